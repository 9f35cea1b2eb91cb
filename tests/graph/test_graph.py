"""Drawings of the computation graph: what is in them, and how they are laid out."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
import tracemalloc
from xml.etree import ElementTree

import graphviz
import numpy as np
import pytest

from tinygrad_edu import (
    Dense,
    Dropout,
    Module,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
    Tensor,
    draw_graph,
    no_grad,
    render_graph,
)
from tinygrad_edu import functional as F
from tinygrad_edu.graph.dot import KINDS, SHOWABLE
from tinygrad_edu.graph.labels import described, sparkline


def loss_of_a_network():
    net = Sequential(Dense(4, 3, rng=0), Sigmoid(), Dense(3, 1, rng=1), Sigmoid())
    X = Tensor(np.ones((5, 4)), name="X")
    return net, F.binary_cross_entropy(net(X), np.ones((5, 1))) + F.l2_penalty(net, 1.0, 5)


def test_a_square_is_one_tensor_with_two_edges():
    x = Tensor(3.0, requires_grad=True, name="x")
    source = draw_graph(x * x).source
    assert source.count("t0 -> o0") == 2 and source.count('label="×"') == 1
    assert source.count('label="x = 3\\n∂ = 6"') == 1


def test_operations_tensors_names_and_shapes():
    net, loss = loss_of_a_network()
    loss.name = "J"
    dot = draw_graph(loss, model=net)
    assert isinstance(dot, graphviz.Digraph)
    for text in (
        "weight\\n(4, 3)",
        'tooltip="0.weight"',
        "bias\\n(1,)",
        "X\\n(5, 4)",
        "label=linear",
        'label="σ"',
        "J = 1.107\\n∂J/∂J = 1",
        'o0 -> o1 [label="(5, 3)"]',
    ):
        assert text in dot.source, text
    assert "weight\\n(4, 3)" in draw_graph(loss).source
    parameters = [
        line for line in dot.source.splitlines() if KINDS["parameter"]["fillcolor"] in line and "label" in line
    ]
    assert len(parameters) == 4


def test_constants_with_a_name_are_drawn():
    x, lam = Tensor([1.0], requires_grad=True), Tensor(2.0, name="λ")
    assert 'label="λ = 2"' in draw_graph(x * lam).source and "λ" not in draw_graph(x * 2.0).source


def test_the_same_before_and_after_backward_and_changes_nothing():
    net, loss = loss_of_a_network()
    before = draw_graph(loss, model=net).source
    assert all(p.grad is None for p in net.parameters())
    loss.backward(retain_graph=True)
    assert draw_graph(loss, model=net).source == before == draw_graph(loss, model=net).source
    loss.backward()
    assert draw_graph(loss, model=net).source.count(" [") == before.count(" [")


def test_a_leaf_alone_and_what_is_no_tensor():
    assert "(2,)" in draw_graph(Tensor([1.0, 2.0], requires_grad=True)).source
    with no_grad():
        assert "(2,)" in draw_graph(Tensor([1.0, 2.0]) * 2).source
    with pytest.raises(TypeError, match="got ndarray"):
        draw_graph(np.ones(2))


def test_5_000_operations_deep():
    x = Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(5_000):
        y = y * 1.0
    assert draw_graph(y, max_nodes=None).source.count('label="× 1') == 5_000


@pytest.mark.parametrize(
    "name",
    [
        'a"b',
        "<b>bold</b>",
        "<x>",
        "back\\slash\\n",
        "quote'",
        "ünï",
        "new\nline",
        "{a|b}",
        "a&lt;b",
        "&amp;",
        "nul\0",
        "bell\7",
        "\ud800",
    ],
)
def test_names_are_escaped(name, tmp_path):
    x = Tensor(1.0, requires_grad=True, name=name)
    y = x * 2
    source = draw_graph(y).source
    assert source.count("->") == 2
    if can_lay_out():
        text = render_graph(y, tmp_path / "g.svg").read_text("utf-8")
        ElementTree.fromstring(text.encode())  # well-formed
        assert "<b>" not in text and ("&amp;lt;b" in text) == ("&lt;b" in name) and text.count('<g id="node') == 3


def can_lay_out():
    try:
        import pygraphviz  # noqa: F401
    except ImportError:
        return shutil.which("dot") is not None
    return True


@pytest.mark.skipif(not can_lay_out(), reason="needs Graphviz or pygraphviz (extra viz)")
@pytest.mark.parametrize(
    ("ending", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF"), ("SVG", b"<?xml")]
)
def test_rendering(ending, start, tmp_path):
    net, loss = loss_of_a_network()
    path = tmp_path / f"graph.{ending}"
    assert render_graph(loss, str(path), model=net) == path
    assert path.read_bytes().startswith(start) and list(tmp_path.iterdir()) == [path]


def test_dot_needs_no_layout(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    _, loss = loss_of_a_network()
    assert render_graph(loss, tmp_path / "g.dot").read_text() == draw_graph(loss).source
    (tmp_path / "g.svg").write_text("old")
    with pytest.raises(ImportError, match=r"apt install graphviz.*pip install 'tinygrad-edu\[viz\]'.*\.dot"):
        render_graph(loss, tmp_path / "g.svg")
    assert (tmp_path / "g.svg").read_text() == "old"


def test_dot_is_preferred_where_it_is_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/dot")
    monkeypatch.setattr(graphviz.Digraph, "pipe", lambda self, format, quiet: f"laid out as {format}".encode())
    _, loss = loss_of_a_network()
    assert render_graph(loss, tmp_path / "g.png").read_text() == "laid out as png"


def boxes(source):
    """The labels of the boxes, each with its depth."""
    found, depth = [], 0
    for line in source.splitlines():
        if line.strip().startswith("subgraph cluster"):
            depth += 1
        elif line.strip() == "}":
            depth -= 1
        elif depth and "labeljust" in line:
            found.append((depth, re.search(r'label=("[^"]*"|\S+)', line)[1].strip('"')))
    return found


def test_modules_are_nested_boxes():
    net = Sequential(Sequential(Dense(4, 3, rng=0), ReLU()), Dropout(0.5, rng=0), Dense(3, 1, rng=1))
    loss = net(np.ones((5, 4))).sum()
    expected = [
        (1, "Sequential"),
        (2, "0: Sequential"),
        (3, "0: Dense(4 → 3)"),
        (2, "1: Dropout(p=0.5)"),
        (2, "2: Dense(3 → 1)"),
    ]
    assert boxes(draw_graph(loss, model=net).source) == expected
    assert (3, "Dense(4 → 3)") in boxes(draw_graph(loss).source)
    loss.backward()
    assert boxes(draw_graph(loss, model=net).source) == expected


def test_kinds_differ_in_shape_and_colour():
    looks = [(kind["shape"], kind.get("style"), kind.get("peripheries")) for kind in KINDS.values()]
    assert len(set(looks)) == len(KINDS) == len({kind["fillcolor"] for kind in KINDS.values()})
    net, loss = loss_of_a_network()
    x = Tensor([1.0], requires_grad=True, name="mine")
    source = draw_graph(loss * x, model=net).source
    assert re.search(r'label="mine\\n\(1,\)".*shape=hexagon', source)
    assert source.count("peripheries=2") == 1


def test_what_is_shown():
    net, loss = loss_of_a_network()
    plain = draw_graph(loss, model=net).source
    for name, text in (
        ("dtypes", "(4, 3) float64"),
        ("values", "[0.]"),
        ("gradients", "norm of ∂ = "),
        ("formulas", "v1 = X @ 0.weight + 0.bias\\n∂v12/∂0.weight += X.T @ g\\n∂v12/∂0.bias = g, summed to (3,)"),
        ("order", 'label="1. linear"'),
    ):
        assert text in draw_graph(loss, model=net, show={name}).source and text not in plain, name
        assert text in draw_graph(loss, model=net, show=name).source
    assert "rankdir=LR" in draw_graph(loss, direction="right").source and "rankdir=TB" in plain
    with pytest.raises(ValueError, match=r"show=\['shapes'\]; choose from dtypes, values, gradients, formulas, order"):
        draw_graph(loss, show=["shapes", "values"])
    with pytest.raises(TypeError, match="draw_graph: show=3; pass a tuple of some of dtypes, values"):
        draw_graph(loss, show=3)
    with pytest.raises(TypeError, match=r"model=3 is not a module: pass the Module that computed this"):
        draw_graph(loss, model=3)
    with pytest.raises(TypeError, match=r"model=<class .*Dense'> is not a module"):
        draw_graph(loss, model=Dense)
    with pytest.raises(ValueError, match=r"show=\[\['values'\]\]; choose from dtypes"):
        draw_graph(loss, show=[["values"]])
    with pytest.raises(ValueError, match=r"direction=\[\]; choose from right, down"):
        draw_graph(loss, direction=[])
    assert draw_graph(loss, depth=np.int64(0), max_nodes=np.int64(3)).source == draw_graph(
        loss, depth=0, max_nodes=3).source  # fmt: skip
    for depth in (-1, "all", 0.5, True):
        with pytest.raises(ValueError, match=f"depth={depth!r} must be a whole number: 0 is the depth of the o"):
            draw_graph(loss, depth=depth)
    with pytest.raises(ValueError, match="direction='up'; choose from right, down"):
        draw_graph(loss, direction="up")


def test_norms_of_gradients_are_called_norms():
    x = Tensor([3.0, 4.0], requires_grad=True, name="x")
    loss = (x * 2.0 + np.ones(2)).sum()
    source = draw_graph(loss, show=["gradients"]).source
    assert 't0 [label="x\\n(2,)\\nnorm of ∂ = 2.83"' in source
    assert re.findall(r"(\S+ -> \S+)(?: \[label=(.*)\])?", source) == [
        ("t0 -> o0", ""), ("o0 -> o1", r'"(2,)\nnorm of ∂ = 1.41\n "'), ("t3 -> o1", ""),
        ("o1 -> o2", r'"(2,)\nnorm of ∂ = 1.41\n "'), ("o2 -> t5", ""),
    ]  # fmt: skip
    y = x * x
    assert draw_graph(y.sum(), show=["gradients"]).source.count("norm of ∂ = 10") == 1  # of two edges: it is their sum


def test_drawing_changes_nothing_and_is_the_same_each_time():
    net, loss = loss_of_a_network()
    before = [p.data.copy() for p in net.parameters()]
    sources = {draw_graph(loss, model=net, show=SHOWABLE).source for _ in range(2)}
    assert len(sources) == 1 and all(p.grad is None for p in net.parameters())
    assert all(np.array_equal(p.data, b) for p, b in zip(net.parameters(), before, strict=True))
    loss.backward(retain_graph=True)
    assert sources == {draw_graph(loss, model=net, show=SHOWABLE).source}
    loss.backward()
    assert "draw before it, or use backward(retain_graph=True)" in draw_graph(loss, model=net, show=SHOWABLE).source


def test_the_same_bytes_in_another_process():
    program = """
import numpy as np, tinygrad_edu as tg
net = tg.Sequential(tg.Dense(4, 3, rng=0), tg.Sigmoid())
print(tg.draw_graph(tg.l2_penalty(net, 1.0, 5) + net(np.ones((5, 4))).sum(), model=net, show=("values", "gradients")))
"""
    runs = [subprocess.run([sys.executable, "-c", program], capture_output=True, check=True) for _ in range(2)]
    assert runs[0].stdout == runs[1].stdout != b""


@pytest.mark.parametrize("name", ["<script>", 'a"b', "\\", "&amp;"])
def test_names_of_modules_are_escaped(name, tmp_path):
    class Odd(Module):
        def forward(self, x):
            return np.exp(np.sin(x))

        def _describe(self):
            return name

    loss = Odd()(Tensor(1.0, requires_grad=True)) * 1.0
    assert "cluster_g0" in draw_graph(loss).source
    if can_lay_out():
        text = render_graph(loss, tmp_path / "g.svg").read_text()
        assert "<script" not in text and text.count('class="cluster"') == 1
    assert "<script" not in Odd()._repr_mimebundle_()["text/html"]


def layers(count):
    return Sequential(
        Dense(8, 4, rng=0),
        Tanh(),
        *(layer for k in range(count) for layer in (Dense(4, 4, rng=k), Tanh())),
        Dense(4, 1),
    )


def test_200_layers_are_read_at_a_glance():
    net = layers(198)
    loss = net(np.ones((3, 8))).sum() + F.l2_penalty(net, 1.0, 3)
    source = draw_graph(loss, model=net).source
    assert source.count(" [label") < 35
    for text in (
        "198 × (Dense(4 → 4), Tanh)\\n396 operations, 396 parameters",
        "198 × (square, sum)",
        "Dense(8 → 4)",
        "0.weight",
        "operations folded into",
    ):
        assert text in source, text
    assert "folded" not in draw_graph(loss, model=net, max_nodes=None).source


def test_a_folded_module_hides_its_parameters_but_not_what_others_read():
    net, loss = loss_of_a_network()
    source = draw_graph(loss, model=net, depth=1).source
    assert "bias" not in source.split("2: Dense")[0] and "0.weight" in source  # which the penalty reads
    assert "X\\n(5, 4)" in source and 'label="0: Dense(4 → 3)\\n1 parameter"' in source
    assert 'label="Sequential\\n4 operations, 2 parameters"' in draw_graph(loss, model=net, depth=0).source
    with pytest.raises(ValueError, match="depth=-1"):
        draw_graph(loss, depth=-1)
    with pytest.raises(ValueError, match="max_nodes=1"):
        draw_graph(loss, max_nodes=1)


@pytest.mark.slow
@pytest.mark.parametrize("build", ["chain", "cells"])
def test_100_000_operations_in_5_seconds_and_500_megabytes(build, frozen):
    class Cell(Module):
        def __init__(self):
            self.weight = Tensor(0.5, requires_grad=True)

        def forward(self, h):
            return np.tanh(h * self.weight + 0.1)

    y, cell, count = Tensor(1.0, requires_grad=True), Cell(), 100_000 if build == "chain" else 33_334
    for k in range(count):
        y = y * 1.0 if build == "chain" else cell(y)
        if k == count // 10:
            tenth = y
    for _ in range(3):  # one of three, if others work here too
        started = time.process_time()
        source = draw_graph(y, max_nodes=300, show=SHOWABLE).source
        if (taken := time.process_time() - started) < 5:
            break
    assert taken < 5
    assert ("100,000 × multiply" if build == "chain" else "33,334 × Cell") in source
    tracemalloc.start()
    try:
        draw_graph(tenth, max_nodes=300)  # tracing takes ten times as long
        assert tracemalloc.get_traced_memory()[1] < 500e6 / 10
    finally:
        tracemalloc.stop()


def test_notebooks(monkeypatch):
    net, loss = loss_of_a_network()
    if can_lay_out():
        shown = draw_graph(loss)._repr_mimebundle_(include=None, exclude=None)
        assert "<svg" in shown["image/svg+xml"] and "once this cell is run" in shown["text/plain"]
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    source = draw_graph(loss).source
    assert draw_graph(loss)._repr_mimebundle_() == {"text/plain": source, "text/vnd.graphviz": source}
    assert not hasattr(loss, "_repr_mimebundle_")  # its values, by `repr`; its drawing is for who asks for it
    shown = net._repr_mimebundle_()
    assert shown["text/plain"] == repr(net) and "Dense(4 → 3)</td>" in shown["text/html"]
    assert net.summary()._repr_html_() == shown["text/html"] and repr(net.summary()) == net.summary()


def test_nothing_is_imported_until_it_is_used():
    program = """
import sys, importlib.util, numpy as np, tinygrad_edu as tg
x = tg.Tensor(np.ones(2), requires_grad=True)
(x * x).sum().backward()
own = {"graph": "dot computation structure folding formulas page", "training": "page", "pages": "arrays document"}
own = [f"tinygrad_edu.{place}.{name}" for place, names in own.items() for name in names.split()]
print([name for name in ("graphviz", "pygraphviz", "html", *own) if name in sys.modules])
assert all(map(importlib.util.find_spec, own))
assert tg.TrainingPage.__name__ in tg.__all__ and not hasattr(tg, "NoSuchName")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_arrays_in_few_lines():
    assert described(np.array([1.0, 0.5])) == ["[1.  0.5]"] and described(None) == []
    assert described(np.zeros(50)) == ["all 0"]
    assert described(np.linspace(0, 1, 100)) == ["0 " + "█" * 12 + " 1", "mean 0.5"]
    assert described(np.arange(100) == 3)[0].startswith("0 █") and described(np.full(20, np.nan)) == [
        "no finite values, 20 not finite"
    ]
    assert "2 not finite" in described(np.append(np.arange(20.0), [np.inf, np.nan]))[1]
    assert sparkline(np.array([-1e308, 1e308, 1e308])) == "▅▁▁▁▁▁▁▁▁▁▁█"
    assert sparkline(np.zeros(3)).count("█") == 1


def test_other_endings(tmp_path):
    _, loss = loss_of_a_network()
    with pytest.raises(ValueError, match=r"'g\.jpeg' must end in \.svg, \.png, \.pdf, \.dot"):
        render_graph(loss, tmp_path / "g.jpeg")
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere' for 'g\.dot'"):
        render_graph(loss, tmp_path / "nowhere" / "g.dot")


def test_values_that_are_not_those_of_the_computation_are_said_to_be():
    net = Sequential(Dense(2, 1, init="zeros"))
    loss = (net(np.ones((1, 2))) ** 2.0).sum()
    assert "changed" not in draw_graph(loss, model=net, show="values").source  # though no rule reads the bias
    net[0].bias.data = np.ones(1)
    net[0].weight.data -= 1
    said = "0.weight, 0.bias have changed since this was computed: their values are that of now"
    assert said in draw_graph(loss, model=net, show="values").source
    assert "changed" not in draw_graph(loss, model=net).source
    x = Tensor([3.0], requires_grad=True, name="x")
    square = x * x
    x.data = x.data + 1  # the record keeps what it saw
    source = draw_graph(square, show="values").source
    assert "[3.]" in source and "changed" not in source
    y = Tensor([3.0], requires_grad=True, name="y")
    square = y * y
    y.data -= 1
    assert "y has changed since this was computed: its value is that of now" in draw_graph(square, show="values").source


def test_a_module_that_is_named_like_its_operation_has_a_box_around_others():
    class Sum(Module):
        def __init__(self):
            self.inner = Dense(2, 3)

        def forward(self, x):
            return np.sum(self.inner(x))

    net = Sequential(Sum())
    source = draw_graph(net(np.ones((1, 2))), model=net).source
    assert "0: Sum" in source and "inner: Dense(2 → 3)" in source


def test_folded_modules_bear_their_names():
    net = Sequential(Dense(2, 2), np.tanh, Dense(2, 2))
    source = draw_graph(net(np.ones((1, 2))), model=net, depth=1).source
    assert "0: Dense(2 → 2)" in source and "2: Dense(2 → 2)" in source


def test_what_cannot_be_written_and_what_a_page_has_no_choice_of(tmp_path):
    loss = Tensor([1.0], requires_grad=True).sum()
    (tmp_path / "folder.dot").mkdir()
    with pytest.raises(IsADirectoryError, match=r"render_graph: '.*folder.dot' cannot be written: .*irectory"):
        render_graph(loss, tmp_path / "folder.dot")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.dot"]
    with pytest.raises(TypeError, match="the page shows everything; leave out show="):
        render_graph(loss, tmp_path / "page.html", show="values")
