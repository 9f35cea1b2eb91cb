"""Pictures of the computation graph.

Tensors are boxes: the model's parameters are rounded and blue, other tensors that require grad are green hexagons,
arrays without gradient grey sheets, results white, and the output is orange with a double border. Operations are
yellow ellipses, or boxes in which the number stands that came out; folded ones are folders, dashed ones are by-passed
by the gradient. Edges point the way the computation went, and come in by the order of the operands; an operand that is
used twice has two. The frames around them are the modules that recorded them. A dashed tensor is drawn elsewhere, too.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from ..autograd.tensor import Tensor
from ..storage.atomic import replacing

if TYPE_CHECKING:
    import graphviz

    from ..nn.layers import Module

FORMATS = ("svg", "png", "pdf", "dot", "html")


class Options(TypedDict, total=False):
    """What `draw_graph` can be told."""

    model: Module | None
    show: Collection[str]
    direction: str | None
    depth: int | None
    max_nodes: int | None


def draw_graph(
    output: Tensor,
    *,
    model: Module | None = None,
    show: Collection[str] = (),
    direction: str | None = None,
    depth: int | None = None,
    max_nodes: int | None = 70,
) -> graphviz.Digraph:
    """Draws the operations and tensors from which `output` was computed, with their names and shapes; single numbers
    with their values, and with the derivative of `output` with respect to them. Numbers that an operation reads stand
    in it ("− 10"), and so does its result, if that is a single number without a name; an array without a name is the
    edge from the operation that made it, with its shape. Inside the frame of a module, names begin there: "weight".

    With `model`, its parameters and modules have their names in the model ("0.weight"). `show` names what else is
    shown: "dtypes", "values" (small arrays in full; of large ones the extremes, the mean and a histogram), "gradients"
    (the norms of those of arrays), "formulas" (each operation's and those of its rules, in which a result without a
    name is called v3 if operation 3 made it) and "order" (the number of each operation in the order of execution).
    `direction` is "right" or "down", or None for that in which a page shows the larger text. What is longer than a page
    goes on in a further line (or column), which repeats with dashed borders what it needs from those before.

    `depth` folds each module at that depth (0 is outermost) into one operation. If there are more than `max_nodes`
    operations and tensors, equal neighbours are folded, then the deepest modules, then runs of elementwise operations,
    then any, and the drawing says so; None draws all.

    What no record kept is computed again for the drawing, also after a plain `backward()`, as far as it follows from
    leaves that are unchanged; the drawing names those that are not. Drawing changes nothing. Raises `TypeError` if
    `output` is not a tensor or `model` not a module, `ValueError` for a value that an option does not have.

    >>> a, b = tg.Tensor(2.0, requires_grad=True, name="a"), tg.Tensor(-3.0, name="b")
    >>> drawing = tg.draw_graph(a * b, show=("formulas",))  # shown by a notebook; .source is its text
    >>> "×" in drawing.source
    True
    """
    from . import dot as drawing
    from .computation import computation

    if not isinstance(output, Tensor):
        raise TypeError(f"draw_graph draws how a Tensor was computed; got {type(output).__name__}")
    if not isinstance(show, Collection):
        raise TypeError(f"draw_graph: show={show!r}; pass a tuple of some of {', '.join(drawing.SHOWABLE)}")
    names = [show] if isinstance(show, str) else list(show)
    if unknown := [name for name in names if name not in drawing.SHOWABLE]:
        raise ValueError(f"draw_graph: show={unknown!r}; choose from {', '.join(drawing.SHOWABLE)}")
    if direction not in (None, *drawing.DIRECTIONS):
        raise ValueError(f"draw_graph: direction={direction!r}; choose from {', '.join(drawing.DIRECTIONS)}")
    found = computation(
        output,
        model=model,
        gradients=True,
        depth=depth,
        max_nodes=max_nodes,
        formulas="formulas" in names,
        arrays=not {"values", "gradients"}.isdisjoint(names),
    )
    return drawing.draw(found, names, direction)


def render_graph(output: Tensor, path: str | os.PathLike[str], **options: Unpack[Options]) -> Path:
    """Writes the drawing of `output` that `draw_graph` makes with the same options into the file `path`, as svg, png,
    pdf, dot or html by the file's ending, and returns the path.

    The html page opens in any browser and needs nothing else: you can search the graph and zoom, look at the values and
    gradients of tensors, and walk the chain rule step by step. The page shows everything, so it has no option `show`,
    and its `max_nodes` is 4000.

    The picture is laid out by Graphviz's program `dot` if it is installed, otherwise by pygraphviz, whose wheels bring
    Graphviz along. Raises `ValueError` for another ending, `FileNotFoundError` if there is no such folder, `OSError` if
    the file cannot be written, and `ImportError` if neither layout program is installed.

    >>> a, b = tg.Tensor(2.0, requires_grad=True, name="a"), tg.Tensor(-3.0, name="b")
    >>> tg.render_graph(a * b, "product.html").name  # or .svg, .png, .pdf, .dot
    'product.html'
    """
    path = Path(path)
    form = path.suffix.lower().removeprefix(".")
    if form not in FORMATS:
        raise ValueError(f"render_graph: {path.name!r} must end in {', '.join('.' + f for f in FORMATS)}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"render_graph: there is no folder {os.fspath(path.parent)!r} for {path.name!r}")
    content = _content(output, form, options)
    try:
        with replacing(path) as file:  # an old picture stays whole until the new one is
            file.write(content)
    except OSError as error:
        raise type(error)(f"render_graph: {os.fspath(path)!r} cannot be written: {error.strerror}") from error
    return path


def _content(output: Tensor, form: str, options: Mapping[str, Any]) -> bytes:
    from .dot import lay_out

    if form == "html":
        from .page import render

        if "show" in options:
            raise TypeError("render_graph: the page shows everything; leave out show=")
        return render(output, **options)
    dot = draw_graph(output, **options)
    return lay_out(dot, form) if form != "dot" else dot.source.encode()
