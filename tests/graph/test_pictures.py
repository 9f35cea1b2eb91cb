"""Pictures that fit a page: what stands in a node, where lines are broken, how large the text is."""

from __future__ import annotations

import itertools
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor, draw_graph
from tinygrad_edu import functional as F
from tinygrad_edu.graph import page
from tinygrad_edu.graph.dot import Drawing, lay_out
from tinygrad_edu.graph.labels import sparkline
from tinygrad_edu.pages.arrays import histogram, summary


def micrograd():
    a, b = Tensor(-4.0, requires_grad=True, name="a"), Tensor(2.0, requires_grad=True, name="b")
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + tg.relu(b + a)
    d += 3 * d + tg.relu(b - a)
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    g.name = "g"
    return g, None


def logistic():
    X, y = np.random.default_rng(0).standard_normal((100, 2)), np.arange(100) % 2
    w, b = Tensor(np.zeros(2), requires_grad=True, name="w"), Tensor(0.0, requires_grad=True, name="b")
    h = 1 / (1 + np.exp(-(X @ w + b)))
    J = -np.mean(y * np.log(h) + (1 - y) * np.log(1 - h))
    J.name = "J"
    return J, None


def xor():
    X, y = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([[0.0], [1.0], [1.0], [0.0]])
    net = tg.Sequential(tg.Dense(2, 8, rng=0), tg.Tanh(), tg.Dense(8, 1, rng=1), tg.Sigmoid())
    return tg.binary_cross_entropy(net(X), y), net


class Block(tg.Module):
    def __init__(self, n):
        self.inner = tg.Sequential(tg.Dense(n, n, rng=0), tg.ReLU(), tg.Dense(n, n, rng=1))

    def forward(self, x):
        return tg.relu(x + self.inner(x))


def residual():
    net = tg.Sequential(tg.Dense(10, 16, rng=0), Block(16), Block(16), Block(16), tg.Dense(16, 3, rng=1))
    return tg.cross_entropy(net(np.ones((32, 10))), np.arange(32) % 3), net


def six_layers():
    sizes = [64, 48, 40, 32, 24, 16, 10]
    layers = [layer for p, q in itertools.pairwise(sizes) for layer in (tg.Dense(p, q, rng=0), tg.ReLU())]
    net = tg.Sequential(*layers[:-1])
    return tg.cross_entropy(net(np.ones((32, 64))), np.arange(32) % 10), net


def ex4():
    net = tg.Sequential(tg.Dense(400, 25, rng=0), tg.Sigmoid(), tg.Dense(25, 10, rng=1), tg.Sigmoid())
    X, Y = Tensor(np.ones((50, 400)), name="X"), Tensor(np.eye(10)[np.arange(50) % 10], name="Y")
    J = F.binary_cross_entropy(net(X), Y, reduction="sum") / 50 + F.l2_penalty(net, 1.0, 50)
    J.name = "J"
    return J, net


def chain():
    y = Tensor(np.full((3, 4), 0.5), requires_grad=True, name="x")
    for k in range(29):
        y = (np.sin, np.exp, np.tanh, np.cos, np.arctan)[k * k % 5](y)
    return y.sum(), None


GRAPHS = {make.__name__: make for make in (micrograd, logistic, xor, residual, six_layers, ex4, chain)}


@pytest.mark.skipif(not shutil.which("dot"), reason="sizes are those of the program dot")
@pytest.mark.parametrize("name", GRAPHS)
def test_text_is_large_enough_on_a_first_screen(name):
    output, model = GRAPHS[name]()
    dot = draw_graph(output, model=model)
    assert "folded" not in dot.source
    svg = lay_out(dot, "svg").decode()
    width, height = (float(n) for n in re.search(r'<svg width="([\d.]+)pt" height="([\d.]+)pt"', svg).groups())
    smallest = min(float(size) for size in re.findall(r'font-size="([\d.]+)"', svg))
    assert smallest * min(1280 / width, 720 / height) >= 11
    assert smallest * 1280 / width >= 11 and width < 1000  # about a page wide
    made = svg.count('<g id="edge')
    assert made == dot.source.count(" -> ")


@pytest.mark.parametrize("name", ["blackboard.svg", "ex4_graph.svg"])
def test_readme_s_pictures_are_readable_where_it_is_830_pixels_wide(name):
    root = Path(__file__).parents[2]
    svg = (root / "examples" / "pictures" / name).read_text("utf-8")
    width = float(re.search(r'<svg width="([\d.]+)pt"', svg)[1])
    asked = re.search(rf'{name}" width="(\d+)"', (root / "README.md").read_text("utf-8"))
    pixels = min(4 / 3, (int(asked[1]) if asked else 830) / width)  # to a point
    assert min(float(size) for size in re.findall(r'font-size="([\d.]+)"', svg)) * pixels >= 11


def test_micrograd_s_expression_is_drawn_whole():
    source = draw_graph(micrograd()[0]).source
    assert "folded" not in source and "g = 24.7\\n∂g/∂g = 1" in source and "packmode" not in source
    assert "a = −4\\n∂g/∂a = 138.8" in source and "b = 2\\n∂g/∂b = 645.6" in source
    assert source.count("[label") == 2 + 25 + 1  # the leaves, the operations with their results, the output
    assert "?" not in source and source.count('label="+ 1|−1\\n') == source.count('label="1 +|−2\\n') == 1
    assert 'label="** 2|49\\n∂ = 0.4958"' in source and "shape=Mrecord" in source


def test_a_number_without_a_name_stands_in_its_operation_and_one_with_a_name_beside_it():
    x = Tensor(3.0, requires_grad=True, name="x")
    h = x * 2.0
    source = draw_graph(np.exp(h) + h).source
    assert 'label="× 2|6\\n∂ = 404.4"' in source and source.count("->") == 5
    h.name = "h"
    source = draw_graph(np.exp(h) + h).source
    assert 'label="× 2"' in source and 'label="h = 6\\n∂ = 404.4"' in source

    @tg.primitive
    def odd(x):
        return x + 1.0

    odd.name = "{a|b}<c> \\d"
    tg.rule(odd, lambda g: g)
    source = draw_graph(odd(x) * 1.0).source
    assert r'label="\{a\|b\}\<c\> \\d|4\n∂ = 1"' in source
    if shutil.which("dot"):
        assert "{a|b}&lt;c&gt; \\d</text>" in lay_out(draw_graph(odd(x) * 1.0), "svg").decode()


def test_what_a_further_line_reads_is_drawn_again():
    output, model = residual()
    dot = draw_graph(output, model=model)
    source = dot.source
    columns = int(re.search(r'packmode="?array_ti(\d)', source)[1])
    assert columns > 1 and source.count('style="filled,dashed"') >= columns - 1
    for key, line in re.findall(r"^\t(t\d+)_(\d) \[label", source, re.MULTILINE):
        (symbol,) = set(re.findall(rf'{key}(?:_{line})? \[label="(v\d+)\\n\(32, 16\)"', source)) or {""}
        assert symbol or "(32, 3)" in source
    assert "… Sequential" in source and source.count("cluster_g0") == columns - ("cross_entropy" in source)
    drawn = set(re.findall(r"^\t+(o\d+) \[label", source, re.MULTILINE))
    assert drawn == {f"o{k}" for k in range(len(drawn))} and len(drawn) == 19
    right = draw_graph(output, model=model, direction="right").source
    assert "rankdir=LR" in right and "packmode" in right


def test_names_inside_a_frame_begin_there_and_are_whole_in_the_tooltip():
    output, model = residual()
    source = draw_graph(output, model=model).source
    assert 'label="weight\\n(16, 16)"' in source and 'tooltip="1.inner.0.weight"' in source
    assert 'label="inner: Sequential"' in source and 'tooltip="1.inner.0: Dense(16 → 16)"' in source
    assert "1.inner.0.weight = " not in source and "1.inner.0.weight" in draw_graph(
        output, model=model, show="formulas").source.replace("tooltip", "")  # fmt: skip
    x = Tensor(1.0, requires_grad=True, name="a very long name of a number that nobody wants to read")
    assert 'label="a very long …nts to read = 1' in draw_graph(x * x).source


def test_no_warning_of_graphviz_reaches_the_user(capfd, monkeypatch):
    odd = Drawing("odd")
    odd.node("a", shape="nonsense")
    if shutil.which("dot"):
        assert lay_out(odd, "svg").startswith(b"<?xml")
    pytest.importorskip("pygraphviz")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert lay_out(odd, "svg").startswith(b"<?xml")
    assert capfd.readouterr() == ("", "")


def nearly_equal():
    x = np.linspace(0.0, 6.0, 200)
    yield np.cos(x) ** 2 + np.sin(x) ** 2
    rows = np.exp(np.random.default_rng(0).standard_normal((300, 7)))
    yield (rows / rows.sum(axis=1, keepdims=True)).sum(axis=1)
    yield np.array([1.0, np.nextafter(1.0, 2.0)] * 8)
    yield np.full(20, 5e-324) * np.arange(20)
    yield np.array([-1.7e308, 1.7e308, 0.0] * 5)
    yield np.zeros(15)


@pytest.mark.parametrize("values", list(nearly_equal()))
def test_nearly_equal_numbers_have_a_histogram(values):
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert len(sparkline(values)) == 12 and sum(summary(values)["histogram"]) == values.size
        assert histogram(values, 5).sum() == values.size
    x = Tensor(values, requires_grad=True, name="x")
    source = draw_graph((x * 1.0).sum(), show="values").source
    assert "█" in source or "all 0" in source
    if shutil.which("dot"):
        assert page.render((x * 1.0).sum())


def test_a_histogram_is_numpy_s():
    values = np.random.default_rng(0).standard_normal(1000)
    assert np.array_equal(histogram(values, 12), np.histogram(values, 12)[0])
    assert np.array_equal(histogram(np.full(7, 2.5), 5), [0, 0, 7, 0, 0])
