"""The computation graph of a recorded tensor, as Graphviz draws it.

Boxes are tensors: filled for those that learn (parameters), plain for constants and results, doubled for the output.
Ellipses are operations. Edges point the way the computation went; an operand used twice has two edges.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import graphviz

from .engine import Node, reached
from .tensor import Tensor

if TYPE_CHECKING:
    from .nn import Module

FORMATS = ("svg", "png", "pdf", "dot")

_PARAMETER = {"shape": "box", "style": "filled,rounded", "fillcolor": "#cfe3f7"}
_CONSTANT = {"shape": "box", "style": "filled", "fillcolor": "#eeeeee"}
_RESULT = {"shape": "box", "style": "solid"}
_OUTPUT = {"shape": "box", "style": "filled", "fillcolor": "#fde0b8", "peripheries": "2"}
_OPERATION = {"shape": "ellipse", "style": "solid", "color": "#5b6770"}


def draw_graph(output: Tensor, *, model: Module | None = None) -> graphviz.Digraph:
    """The operations and tensors that `output` was computed by, with their names and shapes, from left to right.

    With `model`, its parameters stand under their names in it ("0.weight"). The graph may have been released by
    `backward()`; it is not changed. Raises `TypeError` for anything but a tensor.
    """
    if not isinstance(output, Tensor):
        raise TypeError(f"draw_graph draws what a Tensor was computed by; got {type(output).__name__}")
    names = {} if model is None else {parameter: name for name, parameter in model.named_parameters()}
    dot = graphviz.Digraph("computation")
    dot.attr(rankdir="LR", fontname="Helvetica", ranksep="0.35", nodesep="0.2")
    dot.attr("node", fontname="Helvetica", fontsize="11", height="0.3")
    dot.attr("edge", color="#5b6770", arrowsize="0.6")
    ids: dict[Node, str] = {}

    def tensor(key: str, name: str | None, shape: tuple[int, ...], style: dict[str, str]) -> None:
        dot.node(key, _label(*([name] if name else []), str(shape)), **style)

    records = [] if output.record is None else reached(output.record)[0]
    for k, record in enumerate(records):
        dot.node(f"op{k}", _label(record.primitive.name), **_OPERATION)
        constants = record.constants or (None,) * len(record.parents)
        for i, (node, constant) in enumerate(zip(record.parents, constants, strict=True)):
            if constant is not None:
                tensor(f"constant{k}_{i}", constant[1], constant[0], _CONSTANT)
                dot.edge(f"constant{k}_{i}", f"op{k}")
            if node is None:
                continue
            if node not in ids:  # a leaf: records come after what they are made of
                ids[node] = f"leaf{len(ids)}"
                tensor(ids[node], names.get(node, node.name), node.shape, _PARAMETER)
            dot.edge(ids[node], f"op{k}")
        ids[record] = f"result{k}"
        tensor(ids[record], record.name, record.shape, _OUTPUT if record is output.record else _RESULT)
        dot.edge(f"op{k}", ids[record])
    if not records:
        tensor("leaf0", names.get(output, output.name), output.shape, _PARAMETER if output.requires_grad else _CONSTANT)
    return dot


def render_graph(output: Tensor, path: str | os.PathLike[str], *, model: Module | None = None) -> Path:
    """Writes the drawing of `draw_graph` to `path`, as svg, png, pdf or dot by the file's ending; returns the path.

    The picture is laid out by Graphviz's program `dot` if there is one, otherwise by pygraphviz, whose wheels bring
    Graphviz along. Raises `ValueError` for another ending, `ImportError` if neither is there.
    """
    path = Path(path)
    form = path.suffix.lower().removeprefix(".")
    if form not in FORMATS:
        raise ValueError(f"render_graph: {path.name!r} must end in {', '.join('.' + f for f in FORMATS)}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"render_graph: there is no folder {os.fspath(path.parent)!r} for {path.name!r}")
    dot = draw_graph(output, model=model)
    content = dot.source.encode() if form == "dot" else _lay_out(dot, form)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(content)
        os.replace(unfinished, path)  # an old picture stays whole until the new one is
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def _lay_out(dot: graphviz.Digraph, form: str) -> bytes:
    if shutil.which("dot"):
        content: bytes = dot.pipe(format=form)
        return content
    try:
        import pygraphviz
    except ImportError:
        raise ImportError(
            "drawing a graph needs Graphviz to lay it out. Either install its program dot (apt install graphviz, "
            "brew install graphviz, choco install graphviz), or run: python -m pip install 'tinygrad-edu[viz]'. "
            "A file that ends in .dot can be written without"
        ) from None
    content = pygraphviz.AGraph(string=dot.source).draw(format=form, prog="dot")
    return content


def _label(*lines: str) -> str:
    """A label that shows the lines as they are, whatever characters they hold."""
    text = "\\n".join(graphviz.escape(line.replace("&", "&amp;").replace("\0", "")) for line in lines)
    label: str = graphviz.nohtml(text)
    return label
