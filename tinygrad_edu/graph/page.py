"""The computation graph as one self-contained page, on which a learner walks the chain rule.

Graphviz lays the graph out here; what the page draws, shows and steps through is in the folder `pages`.
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import graphviz
import numpy as np

from ..autograd.tensor import Tensor
from ..pages.arrays import norm, summary
from ..pages.document import document
from .computation import Computation, Operation, Value, computation
from .dot import DIRECTIONS, lay_out
from .steps import steps
from .structure import SIGNS
from .told import number as told
from .told import short

if TYPE_CHECKING:
    from ..nn.layers import Module

POINTS = 72  # to Graphviz's inch
CHARACTER, LINE = 6.4, 14.0  # about how wide and how high one is on the page, in points
NOTE = 10  # characters of a value's last line while its gradient is not complete, as in "∂ = 12 + …"
LONGEST = 14  # characters of a derivative that is called by its whole name, "∂L/∂x"
OPENED = 4000  # nodes that a page holds for folds that are opened
LONG = 30  # the most nodes that an edge routed by Graphviz passes: its work grows with edges times nodes passed

SCRIPTS = """page.js drawing.js camera.js walk.js step.js details.js
             evaluate.js images.js primitives.js summary.js live.js graph.js""".split()  # noqa: SIM905

Point = tuple[float, float]


class Layout(NamedTuple):
    """Where things stand, in points from the upper left corner."""

    width: float
    height: float
    nodes: dict[str, dict[str, float]]  # by key: the middle, x and y, width and height
    groups: dict[str, tuple[float, float, float, float]]  # by key: left, top, width, height
    edges: dict[int, list[Point]]  # by number: control points of joined cubic Bézier curves


def render(
    output: Tensor,
    *,
    model: Module | None = None,
    direction: str = "right",
    depth: int | None = None,
    max_nodes: int | None = 4000,
) -> bytes:
    """The page of the computation of `output`, as bytes of HTML. The options are those of `draw_graph`.

    It holds arrays as statistics and pictures, and in full only if they are small; and, unless that is too long, a
    program that computes all that is shown, so that numbers of leaves can be edited there. Raises `TypeError` if
    `output` is not a tensor, `ValueError` for a value that an option does not have, `ImportError` if Graphviz is not
    installed.
    """
    if direction not in tuple(DIRECTIONS):
        raise ValueError(f"render_graph: direction={direction!r}; choose from {', '.join(DIRECTIONS)}")
    options: dict[str, Any] = {"model": model, "gradients": True, "depth": depth, "max_nodes": max_nodes}
    found = computation(output, **options)
    graphs = {}
    for name, steps_opened, size in _openings(found):
        if size <= OPENED:
            graphs[name] = _graph(computation(output, **options, opened=steps_opened), direction)
    title = f"The computation of {output.name}" if output.name else "A computation"
    return document(
        "graph.html",
        title,
        {"title": title, "released": found.released, **_graph(found, direction), "opened": graphs},
        styles=["page.css", "graph.css"],
        scripts=SCRIPTS,
    )


def _openings(found: Computation) -> list[tuple[str, list[int], int]]:
    """The ways in which folds can be opened, all at once or one at a time: a name, steps, and about how many nodes more
    the page holds for it."""
    folds = [(o.step, len(found.values) + len(found.operations) + 3 * o.folded) for o in found.operations.values()
             if o.folded]  # fmt: skip
    total = len(found.values) + len(found.operations) + 3 * sum(o.folded for o in found.operations.values())
    ways = [(str(step), [step], size) for step, size in folds] if len(folds) > 1 else []
    ways = [("all", [step for step, _ in folds], total), *ways] if folds else []
    sizes = itertools.accumulate(size for *_, size in ways)
    return [(name, opened, size) for (name, opened, _), size in zip(ways, sizes, strict=True)]


def _graph(computation: Computation, direction: str) -> dict[str, Any]:
    """What the page is told of a computation, and where it stands."""
    edges = _edges(computation)
    layout = _laid_out(computation, edges, direction)
    walked = steps(computation)
    return {
        "notes": [*computation.notes, *computation.newer_values()],
        "output": computation.output,
        "width": layout.width,
        "height": layout.height,
        "values": [_value(value, computation) | layout.nodes[key] for key, value in computation.values.items()],
        "operations": [
            _operation(operation) | {"parts": walked[key]} | layout.nodes[key]
            for key, operation in computation.operations.items()
        ],
        "groups": [
            {
                "key": key,
                "label": group.label,
                "path": group.path,
                "parent": group.parent,
                "box": layout.groups.get(key),
            }
            for key, group in computation.groups.items()
        ],
        "live": computation.live() if computation.live else None,
        "edges": [{"from": edge[0], "to": edge[1], "points": layout.edges[k]} for k, edge in enumerate(edges)],
    }


def _value(value: Value, computation: Computation) -> dict[str, Any]:
    return {
        "key": value.key,
        "kind": value.kind,
        "name": value.name,
        "symbol": value.symbol,
        "shape": value.shape,
        "dtype": value.dtype,
        "lines": _lines(value),
        "note": _note(value, computation),
        "data": None if value.data is None else summary(value.data),
        "gradient": None if value.gradient is None else summary(value.gradient),
    }


def _note(value: Value, computation: Computation) -> str:
    """The last line of a value when all of its gradient is there."""
    if value.gradient is None:
        return "∂" if value.kind != "constant" else ""
    if value.shape:
        return f"norm of ∂ {told(norm(value.gradient), 3)}"
    output = computation.values[computation.output]
    name = f"∂{output.symbol}/∂{value.symbol}"
    return f"{name if len(name) <= LONGEST and output.name else '∂'} = {told(value.gradient)}"


def _operation(operation: Operation) -> dict[str, Any]:
    return {
        "key": operation.key,
        "name": operation.name,
        "step": operation.step,
        "inputs": operation.inputs,
        "outputs": operation.outputs,
        "group": operation.group,
        "position": operation.position,
        "formula": operation.formula,
        "rules": operation.rules,
        "flows": operation.flows,
        "passed_by": operation.passed_by,
        "folded": operation.folded,
        "hidden": operation.hidden,
        "lines": _lines(operation),
    }


def _edges(computation: Computation) -> list[tuple[str, str]]:
    """The edges from each argument to its operation, and from the operation to its results."""
    return [
        edge
        for operation in computation.operations.values()
        for edge in (
            *((key, operation.key) for key in operation.inputs),
            *((operation.key, key) for key in operation.outputs),
        )
    ]


def _lines(node: Value | Operation) -> list[str]:
    """The text in a node. The last line of a value that gets a gradient stays free for what the walk shows there."""
    if isinstance(node, Operation):
        name = short(node.name) if node.folded else SIGNS.get(node.name, node.name)
        inside = f"{node.folded:,} operation{'s' * (node.folded > 1)}"
        return [f"{node.step}. {name}", *([inside] if node.folded else [])]
    if node.kind == "constant":
        value = str(node.shape if node.data is None or node.shape else told(node.data))
        return [short(node.name), value] if node.name else [value]
    if not node.shape and node.data is not None:
        return [f"{node.symbol} = {told(node.data)}", ""]
    return [node.symbol, str(node.shape), ""]


def _laid_out(computation: Computation, edges: list[tuple[str, str]], direction: str) -> Layout:
    """Where Graphviz puts the nodes; all that it is told of them is their sizes."""
    dot = graphviz.Digraph(
        graph_attr={"rankdir": DIRECTIONS[direction], "ranksep": "0.3", "nodesep": "0.15", "fontsize": "11"}
    )
    dot.attr("node", fixedsize="true", label="", shape="box")
    dot.attr("edge", arrowhead="none")
    framed = computation.framed()
    boxes: dict[str | None, graphviz.Digraph] = {None: dot}
    for key, group in computation.groups.items():
        if key not in framed:
            boxes[key] = boxes[group.parent]
        else:
            boxes[key] = graphviz.Digraph(f"cluster_{key}")
            boxes[key].attr(label="n" * len(short(group.label)), margin="10")
    nodes: list[Value | Operation] = [*computation.values.values(), *computation.operations.values()]
    for node in nodes:
        lines = _lines(node)
        note = 0 if isinstance(node, Operation) else max(NOTE, len(_note(node, computation)))
        is_folded = isinstance(node, Operation) and node.folded > 0
        longest = max(note, *map(len, lines))
        width, height = (longest + 3 + 2 * is_folded) * CHARACTER, (len(lines) + 0.8) * LINE
        boxes[node.group].node(node.key, width=str(width / POINTS), height=str(height / POINTS))
    for key, group in reversed(computation.groups.items()):  # a group comes after the one that it is in
        if boxes[key] is not boxes[group.parent]:
            boxes[group.parent].subgraph(boxes[key])
    ranks = _ranks(computation)
    for k, (tail, head) in enumerate(edges):
        if ranks[head] - ranks[tail] <= LONG:
            dot.edge(tail, head, id=str(k))
    width, height, places, groups, curves = _read(json.loads(lay_out(dot, "json")))
    for k, (tail, head) in enumerate(edges):
        if k not in curves:
            curves[k] = _arc(places[tail], places[head], direction)
    return Layout(width, height, places, groups, curves)


def _ranks(computation: Computation) -> dict[str, int]:
    """How many edges the longest path to each node has; a leaf stands just before its first use."""
    ranks: dict[str, int] = {}
    for operation in computation.operations.values():
        rank = 1 + max((ranks.get(key, 0) for key in operation.inputs), default=0)
        ranks[operation.key] = rank
        for key in operation.inputs:
            ranks.setdefault(key, rank - 1)
        ranks.update(dict.fromkeys(operation.outputs, rank + 1))
    return ranks


def _arc(tail: dict[str, float], head: dict[str, float], direction: str) -> list[Point]:
    """An edge that Graphviz was not told of: a wide curve from node to node, around what stands between them."""
    along, across = ("x", "y") if direction == "right" else ("y", "x")
    size, breadth = ("width", "height") if direction == "right" else ("height", "width")
    start, end = tail[along] + tail[size] / 2, head[along] - head[size] / 2
    bow = min(tail[across] - tail[breadth] / 2, head[across] - head[breadth] / 2) - min(400, 60 + (end - start) / 20)
    places = (start, tail[across]), (start + 40, bow), (end - 40, bow), (end, head[across])
    return [(a, b) if direction == "right" else (b, a) for a, b in places]


def _read(drawing: dict[str, Any]) -> Layout:
    """Graphviz's layout, from what it would draw: its other figures have five digits, too few for large graphs."""
    outlines = {
        thing["name"]: np.array(_points(thing, "p")) for thing in drawing.get("objects", ()) if "_draw_" in thing
    }
    right, top = np.max([points.max(axis=0) for points in outlines.values()], axis=0)
    nodes, groups = {}, {}
    for name, points in outlines.items():
        width, height = (points.max(axis=0) - points.min(axis=0)).round(1).tolist()
        if name.startswith("cluster_"):
            left, upper = points[:, 0].min(), top - points[:, 1].max()
            groups[name.removeprefix("cluster_")] = round(float(left), 1), round(float(upper), 1), width, height
        else:
            x, y = (points.max(axis=0) + points.min(axis=0)) / 2
            nodes[name] = {"x": round(float(x), 1), "y": round(float(top - y), 1), "width": width, "height": height}
    edges = {
        int(edge["id"]): [(round(x, 1), round(top - y, 1)) for x, y in _points(edge, "b")]
        for edge in drawing.get("edges", ())
    }
    return Layout(float(right), float(top), nodes, groups, edges)


def _points(thing: dict[str, Any], kind: str) -> list[Point]:
    """The points of the polygon ("p") or the curve ("b") that is drawn for a thing."""
    return next(operation["points"] for operation in thing["_draw_"] if operation["op"] == kind)
