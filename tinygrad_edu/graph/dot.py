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
from .computation import Computation, Group, Operation, Value
from .structure import SIGNS, titled
from .told import number, short

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
BYPASSED = {"style": "filled,dashed", "fillcolor": "#ffffff"}
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
    dot.attr("edge", color=LINE, arrowsize="0.6", fontname=FONT, fontsize="11", fontcolor=LINE)
    picture = _Picture(computation, show)
    notes = [*computation.notes, *computation.newer_values(arrays="values" in show)]
    if notes:
        dot.attr(label=label(*notes), fontcolor=LINE)
    boxes: dict[str | None, Drawing] = {None: dot}
    depths: dict[str | None, int] = {None: -1}
    framed = computation.framed()
    for key, group in computation.groups.items():
        depths[key] = depths[group.parent] + 1
        boxes[key] = _box(group, depths[key]) if key in framed else boxes[group.parent]
    for key, value in computation.values.items():
        if not _is_number(value) and key not in picture.maker:
            boxes[value.group].node(key, label(*picture.value(value)), **KINDS[value.kind])
    for key, operation in computation.operations.items():
        style = FOLDED if operation.folded else OPERATION | (BYPASSED if operation.passed_by else {})
        boxes[operation.group].node(key, label(*picture.operation(operation)), **style)
    # Inner ones first: a box is copied into the one around it.
    for key in sorted(computation.groups, key=depths.__getitem__, reverse=True):
        around = computation.groups[key].parent
        if boxes[key] is not boxes[around]:
            boxes[around].subgraph(boxes[key])
    picture.edges(dot)
    return dot


def _box(group: Group, depth: int) -> Drawing:
    box = Drawing(f"cluster_{group.key}")
    box.attr(label=label(titled(group.path, group.label)), labeljust="l", margin="8", fontcolor=DARK)
    box.attr(style="filled,rounded", color="#b5bec7", fillcolor=GROUPS[depth % 2])
    return box


def _is_number(value: Value) -> bool:
    """Whether it is written in its operation rather than drawn."""
    return value.kind == "constant" and not value.shape and value.name is None


class _Picture:
    """What stands in the nodes and at the edges of a drawing."""

    def __init__(self, computation: Computation, show: Collection[str]) -> None:
        self.values, self.operations, self.show = computation.values, computation.operations, show
        output = computation.values[computation.output]
        self.output = f"∂{short(output.name)}/" if output.name and "formulas" not in show else ""
        self.output = f"∂{output.symbol}/" if "formulas" in show else self.output
        makers = {key: operation.key for operation in computation.operations.values() for key in operation.outputs}
        # An array without a name is the edge from its operation to those that read it.
        self.maker = {} if "values" in show else {
            key: maker for key, maker in makers.items() if self.values[key].shape and self._is_nameless(key)
        }  # fmt: skip

    def _is_nameless(self, key: str) -> bool:
        return self.values[key].kind == "result" and self.values[key].name is None

    def value(self, value: Value, flows: bool = True) -> list[str]:
        name = value.symbol if "formulas" in self.show else short(value.name or "")
        if not value.shape:
            text = "?" if value.data is None else number(value.data)
            lines = [f"{name} = {text}" if name else text]
            lines += [value.dtype or "dtype not kept"] if "dtypes" in self.show else []
            return lines + self.gradient(value, name)
        known = value.dtype or "dtype not kept"
        lines = [name] * bool(name) + [f"{value.shape} {known}" if "dtypes" in self.show else str(value.shape)]
        lines += described(value.data) if "values" in self.show else []
        return lines + (self.gradient(value, name) if flows else [])

    def gradient(self, value: Value, name: str) -> list[str]:
        if value.gradient is None:
            return []
        if not value.shape:
            return [f"{self.output}∂{name} = {number(value.gradient)}" if name and self.output else
                    f"∂ = {number(value.gradient)}"]  # fmt: skip
        return [f"norm of ∂ = {number(norm(value.gradient), 3)}"]

    def operation(self, operation: Operation) -> list[str]:
        last = operation.step + operation.folded - 1
        text = operation.name if operation.folded else self._with_numbers(operation)
        if "order" in self.show:
            text = f"{operation.step}{f'–{last}' if operation.folded > 1 else ''}. {text}"
        lines = [text]
        counts = [f"{operation.folded:,} operations"] * (operation.folded > 1)
        counts += [f"{operation.hidden:,} parameter{'s' * (operation.hidden > 1)}"] * (operation.hidden > 0)
        if counts:
            lines.append(", ".join(counts))
        if "formulas" in self.show:
            lines += [operation.formula, *(rule for rule in operation.rules if rule is not None)]
        return lines + (operation.passed_by or "").replace("computed ", "computed\n").splitlines()

    def _with_numbers(self, operation: Operation) -> str:
        """The operation's sign with the numbers that it reads: "− 10", "1 /", or as a call, "maximum(·, 0)"."""
        sign = SIGNS.get(operation.name, operation.name)
        given = [self.values[key] for key in operation.inputs]
        words = [("?" if v.data is None else number(v.data)) if _is_number(v) else "" for v in given]
        if not any(words):
            return sign
        if sign != operation.name and len(words) == 2:
            return f"{words[0]} {sign} {words[1]}".strip()
        return f"{sign}({', '.join(word or '·' for word in words)})"

    def edges(self, dot: Drawing) -> None:
        for operation in self.operations.values():
            for key, flow in zip(operation.inputs, operation.flows, strict=True):
                if key in self.maker:
                    lines = self.value(self.values[key], flow)
                    dot.edge(self.maker[key], operation.key, label=label(*lines, " "))  # a line clear of other text
                elif not _is_number(self.values[key]):
                    dot.edge(key, operation.key)
            for key in operation.outputs:
                if key not in self.maker:
                    dot.edge(operation.key, key)


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
