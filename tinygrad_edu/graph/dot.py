"""The drawing of a computation: what each node, edge and box looks like, and how it is laid out by Graphviz.

Colours are those of Okabe and Ito, lightened under dark text; what differs in colour differs in shape, too.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection
from typing import Any

import graphviz
import numpy as np
from numpy import ndarray

from ..pages.arrays import norm
from .computation import RELEASED, Computation, Group, Operation, Value
from .structure import titled

DIRECTIONS = {"right": "LR", "down": "TB"}
SHOWABLE = ("dtypes", "values", "gradients", "formulas", "order")
BARS = "▁▂▃▄▅▆▇█"
FEW = 12  # elements that are written out
UNWRITABLE = re.compile("[^\\t\\n\\r\\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML, so SVG, cannot hold

FONT = "Helvetica,Arial,sans-serif"
DARK, LINE = "#1b1f24", "#5b6770"
KINDS = {
    "parameter": {"shape": "box", "style": "filled,rounded", "fillcolor": "#bfe2f7", "color": "#0072b2"},
    "input": {"shape": "hexagon", "fillcolor": "#bfe8d9", "color": "#00694c"},
    "constant": {"shape": "note", "fillcolor": "#eeeeee", "color": LINE},
    "result": {"shape": "box", "fillcolor": "#ffffff", "color": LINE},
    "output": {"shape": "box", "fillcolor": "#fad9b0", "color": "#a84300", "peripheries": "2"},
}
OPERATION = {"shape": "ellipse", "fillcolor": "#fbf6c4", "color": "#8a7f00"}
FOLDED = OPERATION | {"shape": "folder"}
GROUPS = ("#f3f5f7", "#e6eaee")  # nested boxes in turns


class Drawing(graphviz.Digraph):  # type: ignore[misc]
    """A graph in Graphviz's language, which a notebook shows with whichever layout engine is installed."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> dict[str, str]:
        try:
            return {"text/plain": self.source, "image/svg+xml": lay_out(self, "svg").decode()}
        except ImportError:
            return {"text/plain": self.source, "text/vnd.graphviz": self.source}


def draw(computation: Computation, show: Collection[str], direction: str) -> Drawing:
    """A computation as a drawing that also shows the things named in `show`."""
    dot = Drawing("computation")
    dot.attr(rankdir=DIRECTIONS[direction], ranksep="0.3", nodesep="0.2", fontname=FONT, fontsize="11")
    dot.attr("node", fontname=FONT, fontsize="11", fontcolor=DARK, style="filled", height="0.3", margin="0.09,0.04")
    dot.attr("edge", color=LINE, arrowsize="0.6", fontname=FONT, fontsize="9", fontcolor="#a84300")
    notes = [note for note in computation.notes if note != RELEASED or {"values", "gradients"} & set(show)]
    missing = sum(value.data is None and not _is_number(value) for value in computation.values.values())
    if "values" in show and missing and not computation.released:
        what = "1 result is without its value" if missing == 1 else f"{missing} results are without values"
        notes.append(f"{what}: records keep only what a rule reads")
    if "values" in show:
        notes += computation.newer_values()
    if notes:
        dot.attr(label=label(*notes), fontcolor=LINE)
    boxes: dict[str | None, Drawing] = {None: dot}
    depths: dict[str | None, int] = {None: -1}
    framed = computation.framed()
    for key, group in computation.groups.items():
        depths[key] = depths[group.parent] + 1
        boxes[key] = _box(group, depths[key]) if key in framed else boxes[group.parent]
    for key, value in computation.values.items():
        if not _is_number(value):
            boxes[value.group].node(key, label(*_value(value, show)), **KINDS[value.kind])
    for key, operation in computation.operations.items():
        style = FOLDED if operation.folded else OPERATION
        boxes[operation.group].node(key, label(*_operation(operation, show)), **style)
    # Inner ones first: a box is copied into the one around it.
    for key in sorted(computation.groups, key=depths.__getitem__, reverse=True):
        around = computation.groups[key].parent
        if boxes[key] is not boxes[around]:
            boxes[around].subgraph(boxes[key])
    _edges(computation, show, dot)
    return dot


def _box(group: Group, depth: int) -> Drawing:
    box = Drawing(f"cluster_{group.key}")
    box.attr(label=label(titled(group.path, group.label)), labeljust="l", margin="8", fontcolor=DARK)
    box.attr(style="filled,rounded", color="#b5bec7", fillcolor=GROUPS[depth % 2])
    return box


def _is_number(value: Value) -> bool:
    """Whether it is written in its operation rather than drawn."""
    return value.kind == "constant" and not value.shape and value.name is None


def _value(value: Value, show: Collection[str]) -> list[str]:
    lines = [value.name] if value.name else []
    known = value.dtype or "dtype not kept"
    lines.append(f"{value.shape} {known}" if "dtypes" in show else str(value.shape))
    return lines + described(value.data) if "values" in show else lines


def _operation(operation: Operation, show: Collection[str]) -> list[str]:
    name = operation.name
    last = operation.step + operation.folded - 1
    if "order" in show:
        name = f"{operation.step}{f'–{last}' if operation.folded > 1 else ''}. {name}"
    lines = [name]
    counts = [f"{operation.folded:,} operations"] * (operation.folded > 1)
    counts += [f"{operation.hidden:,} parameter{'s' * (operation.hidden > 1)}"] * (operation.hidden > 0)
    if counts:
        lines.append(", ".join(counts))
    if "formulas" in show:
        lines += [operation.formula, *(rule for rule in operation.rules if rule is not None)]
    return lines


def _edges(computation: Computation, show: Collection[str], dot: Drawing) -> None:
    said: set[str] = set()

    def edge(tail: str, head: str, key: str) -> None:
        gradient = computation.values[key].gradient
        if "gradients" in show and gradient is not None and key not in said:
            said.add(key)
            dot.edge(tail, head, label=label(f"‖∂‖ {norm(gradient):.3g}"))
        else:
            dot.edge(tail, head)

    for operation in computation.operations.values():
        for key in operation.inputs:
            if not _is_number(computation.values[key]):
                edge(key, operation.key, key)
        for key in operation.outputs:
            edge(operation.key, key, key)


def described(data: ndarray | None) -> list[str]:
    """An array in a few lines: in full if it is small, otherwise its extremes, its mean and a histogram."""
    if data is None:
        return []
    if data.size <= FEW and data.ndim < 3:
        return np.array2string(data, precision=4, suppress_small=True, separator=" ", max_line_width=60).splitlines()
    finite = data[np.isfinite(data)]
    strange = "" if finite.size == data.size else f", {data.size - finite.size:,} not finite"
    if not finite.size:
        return [f"no finite values{strange}"]
    low, high, mean = float(finite.min()), float(finite.max()), float(finite.mean(dtype=float))
    if low == high:
        return [f"all {low:.3g}{strange}"]
    return [f"{low:.3g} {sparkline(finite)} {high:.3g}", f"mean {mean:.3g}{strange}"]


def sparkline(numbers: ndarray, bins: int = 12) -> str:
    """The histogram of finite numbers, from the smallest to the largest, as a row of bars."""
    numbers = np.asarray(numbers, float).ravel()
    scale = float(np.abs(numbers).max()) or 1.0  # the range of large numbers must not overflow
    counts = np.histogram(numbers / scale, bins)[0]
    heights = np.ceil(counts / counts.max() * (len(BARS) - 1)).astype(int)
    return "".join(BARS[h] for h in heights)


def label(*lines: str) -> str:
    """A label that shows the lines as they are, whatever characters they hold."""
    text = "\\n".join(graphviz.escape(UNWRITABLE.sub("\ufffd", line).replace("&", "&amp;")) for line in lines)
    made: str = graphviz.nohtml(text)
    return made


def lay_out(dot: graphviz.Digraph, form: str) -> bytes:
    """The picture of a graph. Raises `ImportError` if neither the program `dot` nor pygraphviz is installed."""
    if shutil.which("dot"):
        content: bytes = dot.pipe(format=form)
        return content
    try:
        import pygraphviz
    except ImportError:
        raise ImportError(
            "drawing a graph needs Graphviz to lay it out. Either install its program dot (apt install graphviz, "
            "brew install graphviz, choco install graphviz), or run: python -m pip install 'tinygrad-edu[viz]'. "
            "A .dot file can be written without it"
        ) from None
    content = pygraphviz.AGraph(string=dot.source).draw(format=form, prog="dot")
    return content
