"""Drawings of the computation graph: what is in them, and how they are laid out."""

from __future__ import annotations

import shutil
import sys

import graphviz
import numpy as np
import pytest

from tinygrad_edu import Dense, Sequential, Sigmoid, Tensor, draw_graph, no_grad, render_graph
from tinygrad_edu import functional as F


def loss_of_a_network():
    net = Sequential(Dense(4, 3, rng=0), Sigmoid(), Dense(3, 1, rng=1), Sigmoid())
    X = Tensor(np.ones((5, 4)), name="X")
    return net, F.binary_cross_entropy(net(X), np.ones((5, 1))) + F.l2_penalty(net, 1.0, 5)


def test_a_square_is_one_tensor_with_two_edges():
    x = Tensor(3.0, requires_grad=True, name="x")
    source = draw_graph(x * x).source
    assert source.count("leaf0 -> op0") == 2 and source.count("label=multiply") == 1
    assert source.count('label="x\\n()"') == 1


def test_operations_tensors_names_and_shapes():
    net, loss = loss_of_a_network()
    loss.name = "J"
    dot = draw_graph(loss, model=net)
    assert isinstance(dot, graphviz.Digraph)
    for text in (
        "0.weight\\n(4, 3)",
        "2.bias\\n(1,)",
        "X\\n(5, 4)",
        "label=linear",
        "label=sigmoid",
        "J\\n()",
        "(5, 3)",
    ):
        assert text in dot.source, text
    assert "weight\\n(4, 3)" in draw_graph(loss).source
    parameters = [line for line in dot.source.splitlines() if "rounded" in line]
    assert len(parameters) == 4


def test_constants_with_a_name_are_drawn():
    x, lam = Tensor([1.0], requires_grad=True), Tensor(2.0, name="λ")
    assert "λ\\n()" in draw_graph(x * lam).source and "λ" not in draw_graph(x * 2.0).source


def test_the_same_before_and_after_backward_and_changes_nothing():
    net, loss = loss_of_a_network()
    before = draw_graph(loss, model=net).source
    assert all(p.grad is None for p in net.parameters())
    loss.backward()
    assert draw_graph(loss, model=net).source == before == draw_graph(loss, model=net).source


def test_a_leaf_alone_and_what_is_no_tensor():
    assert "(2,)" in draw_graph(Tensor([1.0, 2.0], requires_grad=True)).source
    with no_grad():
        assert "(2,)" in draw_graph(Tensor([1.0, 2.0]) * 2).source
    with pytest.raises(TypeError, match="got ndarray"):
        draw_graph(np.ones(2))


def test_100_000_operations_deep():
    x = Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y * 1.0
    assert draw_graph(y).source.count("label=multiply") == 100_000


@pytest.mark.parametrize(
    "name",
    ['a"b', "<b>bold</b>", "<x>", "back\\slash\\n", "quote'", "ünï", "new\nline", "{a|b}", "a&lt;b", "&amp;", "nul\0"],
)
def test_names_are_escaped(name, tmp_path):
    x = Tensor(1.0, requires_grad=True, name=name)
    y = x * 2
    source = draw_graph(y).source
    assert source.count("->") == 2
    if can_lay_out():
        text = render_graph(y, tmp_path / "g.svg").read_text()
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
    monkeypatch.setattr(graphviz.Digraph, "pipe", lambda self, format: f"laid out as {format}".encode())
    _, loss = loss_of_a_network()
    assert render_graph(loss, tmp_path / "g.png").read_text() == "laid out as png"


def test_other_endings(tmp_path):
    _, loss = loss_of_a_network()
    with pytest.raises(ValueError, match=r"'g\.jpeg' must end in \.svg, \.png, \.pdf, \.dot"):
        render_graph(loss, tmp_path / "g.jpeg")
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere' for 'g\.dot'"):
        render_graph(loss, tmp_path / "nowhere" / "g.dot")
