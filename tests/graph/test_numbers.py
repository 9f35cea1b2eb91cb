"""What a teacher writes at the blackboard: names, values and signed gradients, the signs of operations, formulas with
numbers."""

from __future__ import annotations

import html
import json
import re
import shutil

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor, draw_graph, explain
from tinygrad_edu.graph import page
from tinygrad_edu.graph.computation import LOST, computation

NODES = {"a": (2, 6), "b": (-3, -4), "c": (10, -2), "e": (-6, -2), "d": (4, -2), "f": (-2, 4), "L": (-8, 1)}


def karpathy():
    a, b, c, f = (Tensor(float(NODES[n][0]), requires_grad=True, name=n) for n in "abcf")
    e = a * b
    d = e + c
    L = d * f
    e.name, d.name, L.name = "e", "d", "L"
    return {"a": a, "b": b, "c": c, "f": f}, L


def with_minus(n):
    return str(n).replace("-", "−")


STATES = {
    "not called": lambda leaves, L: None,
    "called": lambda leaves, L: L.backward(),
    "retained": lambda leaves, L: L.backward(retain_graph=True),
}


@pytest.mark.parametrize("state", STATES)
def test_all_seven_nodes_have_name_value_and_signed_gradient(state, tmp_path):
    leaves, L = karpathy()
    STATES[state](leaves, L)
    source = draw_graph(L).source
    for name, (value, gradient) in NODES.items():
        assert f'[label="{name} = {with_minus(value)}\\n∂L/∂{name} = {with_minus(gradient)}"' in source
    assert re.findall(r'o\d \[label="?([^" ]*)', source) == ["×", "+", "×"] and "()" not in source
    if shutil.which("dot"):
        svg = html.unescape(tg.render_graph(L, tmp_path / "g.svg").read_text("utf-8"))
        texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
        for name, (value, gradient) in NODES.items():
            at = texts.index(f"{name} = {with_minus(value)}")
            assert texts[at + 1] == f"∂L/∂{name} = {with_minus(gradient)}"
        data = json.loads(re.search(rb'id="data">(.*?)</script>', page.render(L), re.DOTALL)[1])
        for value in data["values"]:
            assert value["lines"][0] == f"{value['name']} = {with_minus(NODES[value['name']][0])}"
            assert (value["data"]["values"], value["gradient"]["values"]) == ([NODES[value["name"]][0]],
                                                                              [NODES[value["name"]][1]])  # fmt: skip
    rows = explain(L).splitlines()
    for name, (value, gradient) in NODES.items():
        text = f"{name} = {with_minus(value)}"
        if name in leaves:
            assert re.search(rf"^ +{text} +{with_minus(gradient)}$", "\n".join(rows), re.MULTILINE)
        else:
            (row,) = (row for row in rows if f"→ {text} " in row)
            assert row.endswith(f" {with_minus(gradient)}")
    assert all(t.grad is None for t in leaves.values()) == (state == "not called")


def test_formulas_have_the_picture_s_names_and_numbers():
    _, L = karpathy()
    for text in (draw_graph(L, show="formulas").source, explain(L)):
        for line in ("∂L/∂d = g · f = 1 · (−2) = −2", "∂L/∂c = g = −2", "∂L/∂a = g · b = (−2) · (−3) = 6"):
            assert line in text, line
    assert "e = a · b = 2 · (−3) = −6" in draw_graph(L, show="formulas").source
    x = Tensor(3.0, requires_grad=True, name="x")
    source = draw_graph(x * x, show="formulas").source
    assert source.count("t0 -> o0") == 2 and source.count("∂v1/∂x += g · x = 1 · 3 = 3") == 2
    assert "v1 = 9" in source and "∂v1/∂x = 6" in source
    y = np.exp(-x)
    y.name = "y"
    assert "y = exp(v1) = exp(−3) = 0.04979" in draw_graph(y, show="formulas").source


def test_a_constant_that_has_a_name_stands_in_formulas_by_it():
    x, k = Tensor(3.0, requires_grad=True, name="x"), Tensor(2.0, name="k")
    for y, rule in (
        (x * k, "g · k = 1 · 2 = 2"),
        (x**k, "g · (k · x ** (k − 1)) = 1 · (2 · 3 ** (2 − 1)) = 6"),
        (k**x, "g · v1 · log(k) = 1 · 8 · log(2) = 5.545"),
        (x**2, "g · (2 · x) = 1 · (2 · 3) = 6"),
        (x**x, "g · v1 · log(x) = 1 · 27 · log(3) = 29.66"),
    ):
        assert rule in draw_graph(y, show="formulas").source, rule


def test_arrays_in_options_are_not_called_as_others_are():
    X = Tensor(np.ones(3), requires_grad=True, name="X")
    source = draw_graph(X[np.array([2, 0, 2])] * np.ones(3), show="formulas").source
    assert "v1 = X[…]" in source and "v2 = v1 * c1" in source


def test_names_of_formulas_do_not_meet_those_of_the_user():
    v1 = Tensor([1.0, 2.0], requires_grad=True, name="v1")
    source = draw_graph((np.exp(v1) * np.ones(2)).sum(), show="formulas").source
    assert "v1′ = np.exp(v1)" in source and "v2 = v1′ * c1" in source


@pytest.mark.parametrize(("make", "label"), [
    (lambda x: x - 10, "− 10"), (lambda x: 10 - x, "10 −"), (lambda x: 1 / (1 + np.exp(-x)), "1 +"),
    (lambda x: 1 / (1 + np.exp(-x)), "1 /"), (lambda x: 0.1 * x, "0.1 ×"), (lambda x: np.tanh(2 * x + 0.5), "+ 0.5"),
    (lambda x: np.maximum(x, 0.25), "maximum(·, 0.25)"), (lambda x: (x - 1e-3) ** 2, "− 0.001"),
    (lambda x: 0 + x, "0 +"), (lambda x: np.exp(-(x - 3)) + 1, "− 3"),
])  # fmt: skip
def test_constants_are_seen(make, label):
    for x in (Tensor(0.5, requires_grad=True), Tensor([0.5, 2.0], requires_grad=True), Tensor(np.float32(0.5))):
        x.requires_grad = True
        assert re.search(f'label="{re.escape(label)}["|]', draw_graph((make(x) ** 2).sum()).source)


@pytest.mark.parametrize("backward", [False, True])
def test_constants_are_those_that_were_given(backward):
    x = Tensor(0.5, requires_grad=True, name="x")
    for make, label in (
        (lambda: (x + 1.0) + 2.0, "+ 1|1.5"), (lambda: np.tanh(x * 50.0 + 1.25) * x, "+ 1.25|26.25"),
        (lambda: np.float32(0.75) - x + 7, "0.75 −|0.25"), (lambda: (x + 1e300) * x * 1e-300, "+ 1e+300"),
        (lambda: np.add(3, x) * 2, "3 +|3.5"), (lambda: (x + True) * 2, "+ 1|1.5"),
    ):  # fmt: skip
        y = make()
        if backward:
            y.backward()
        source = draw_graph(y).source
        assert f'label="{label}' in source and "?" not in source
    with tg.record_positions():
        assert 'label="− 10"' in draw_graph(x - 10.0).source
    y = x - Tensor(3.0, name="λ")
    assert 'label="λ = 3"' in draw_graph(y).source
    assert 'label="λ = 3"' in draw_graph(Tensor(3.0, name="λ") + Tensor([1.0], requires_grad=True)).source
    y = x - 10.0
    x.data = np.array(7.0)
    source = draw_graph(y).source
    assert 'label="− 10"' in source and "x has changed since this was computed: its value is that of now" in source


def test_arrays_are_not_kept_for_drawings():
    x = Tensor(np.ones(3), requires_grad=True, name="x")
    for constant in (np.ones(3), [1.0, 2.0, 3.0]):
        assert getattr((x + constant).record, "number", None) is None
        with tg.record_positions():
            assert getattr((x + constant).record, "number", None) is None


def test_a_constant_that_no_record_kept_is_not_made_up():
    x = Tensor(0.5, requires_grad=True, name="x")

    @tg.primitive
    def shifted(x, a, b):
        return x + a - b

    tg.rule(shifted, lambda g: g, lambda g: g, lambda g: -g)
    source = draw_graph(np.exp(shifted(x, 1.0, 2.0)) + 1.0).source
    assert "shifted(·, ?, ?)" in source
    source = draw_graph(shifted(x, 1.0, 2.0) + 1.0).source
    assert LOST in source and "shifted(·, ?, ?)|?" in source


@pytest.mark.parametrize("change", ["assigned", "in place"])
def test_what_follows_from_a_leaf_that_has_changed_is_not_computed(change):
    leaves, L = karpathy()
    L.backward()
    if change == "assigned":
        leaves["c"].data = np.array(3.0)
    else:
        leaves["c"].data -= 7.0
    source = draw_graph(L).source
    assert "c has changed since this was computed: its value is that of now" in source
    assert 'label="c = 3"' in source and 'label="d = ?\\n∂L/∂d' not in source and "e = −6" in source
    leaves, L = karpathy()
    leaves["c"].data = np.array(3.0)  # the records have what follows
    assert "d = 4\\n∂L/∂d = −2" in draw_graph(L).source and "c = 3\\n∂L/∂c = −2" in draw_graph(L).source


@pytest.mark.parametrize("seed", range(12))
def test_random_expressions_are_the_same_before_and_after_backward(seed):
    rng = np.random.default_rng(seed)
    made = [Tensor(float(v), requires_grad=True, name=f"x{k}") for k, v in enumerate(rng.uniform(0.5, 2, 3).round(2))]
    leaves = list(made)
    for _ in range(12):
        a, b = (made[i] for i in rng.integers(0, len(made), 2))
        made.append([a + b, a * b, a - b, a / (b * b + a * a), np.tanh(a), np.sin(a), -a][rng.integers(7)])
    y = made[-1] + made[-2] * made[-3] + sum(leaves[1:], leaves[0])
    before = draw_graph(y, max_nodes=None, show="formulas").source
    found = computation(y, gradients=True)
    y.backward()
    for t in leaves:
        (value,) = (v for v in found.values.values() if v.name == t.name)
        assert value.gradient == pytest.approx(t.grad) and value.data == t.data
    assert all(v.data is not None for v in found.values.values())
    assert draw_graph(y, max_nodes=None, show="formulas").source == before


def test_a_loss_that_is_computed_from_the_logits_goes_round_the_sigmoid():
    net = tg.Sequential(tg.Dense(2, 1, rng=0), tg.Sigmoid())
    J = tg.binary_cross_entropy(net(np.ones((3, 2))), np.ones((3, 1)))
    assert "σ\\nby-passed: computed\\nfrom the logits" in draw_graph(J, model=net).source
    (row,) = (row for row in explain(J, model=net).splitlines() if " σ " in row)
    assert "by-passed: computed from the logits" in row
    assert "by-passed" not in draw_graph(net(np.ones((3, 2))).sum()).source


def test_arrays_without_a_name_are_edges_and_long_names_are_short():
    x = Tensor(np.ones((4, 3)), requires_grad=True, name="the samples of all the patients")
    h = np.tanh(x)
    source = draw_graph((h * h + np.exp(h)).sum()).source
    assert source.count('o0 -> o1 [label="(4, 3)\\n "]') == 2 and 'o0 -> o2 [label="(4, 3)\\n "]' in source
    assert "the samples …he patients\\n(4, 3)" in source and 'tooltip="the samples of all the patients"' in source
    assert "shape=box" in draw_graph(np.exp(h).sum(), show="values").source.split("->")[0]
    h.name = "h"
    assert 'label="h\\n(4, 3)"' in draw_graph(h.sum()).source
