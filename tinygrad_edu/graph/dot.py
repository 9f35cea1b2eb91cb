"""The drawing of a computation: what each node, edge and box looks like, and how it is laid out by Graphviz.

Colours are those of Okabe and Ito, lightened under dark text; what differs in colour differs in shape, too.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Collection
from typing import Any

import graphviz

from .arrangement import Arrangement, arranged
from .computation import Computation, Operation, Value
from .labels import Labels, is_number

DIRECTIONS = {"right": "LR", "down": "TB"}
SHOWABLE = ("dtypes", "values", "gradients", "formulas", "order")
UNWRITABLE = re.compile("[^\\t\\n\\r\\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML, so SVG, cannot hold

BY_PYGRAPHVIZ = """
import sys, pygraphviz
graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode())
sys.stdout.buffer.write(graph.draw(format=sys.argv[1], prog="dot"))
"""
RECORD = re.compile(r"[{}|<>]")  # what divides a label into fields

WIDEST = 105  # characters of a note under a drawing, in a line
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
WITH_RESULT = OPERATION | {"shape": "Mrecord"}
FOLDED = OPERATION | {"shape": "folder"}
GROUPS = ("#f3f5f7", "#e6eaee")  # nested boxes in turns
HIDDEN = (
    "A drawing, which a notebook shows once this cell is run (or the notebook is trusted). "
    "print() gives its source, and render_graph a file."
)


class Drawing(graphviz.Digraph):  # type: ignore[misc]
    """A graph in Graphviz's language, which a notebook shows with whichever layout engine is installed. A notebook that
    comes from somebody else shows pictures only when it is trusted, and says so until then."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> dict[str, str]:
        try:
            return {"text/plain": HIDDEN, "image/svg+xml": lay_out(self, "svg").decode()}
        except ImportError:
            return {"text/plain": self.source, "text/vnd.graphviz": self.source}


def draw(computation: Computation, show: Collection[str], direction: str | None) -> Drawing:
    """A computation as a drawing that also shows the things named in `show`."""
    framed = computation.framed()
    labels = Labels(computation, show, framed)
    directions = [direction] if direction else list(DIRECTIONS)
    plan = arranged(computation, labels.texts(), labels.maker, framed, directions)
    return _Sheet(computation, labels, framed, plan).drawn()


class _Sheet:
    """Puts nodes, frames and edges on the lines of an arrangement. A line is a graph of its own: what it reads from
    another line is drawn again at its beginning, dashed, and the frames around it are."""

    def __init__(self, computation: Computation, labels: Labels, framed: Collection[str], plan: Arrangement) -> None:
        self.computation, self.labels, self.framed, self.plan = computation, labels, framed, plan
        self.drawn_frames: set[str] = set()
        self.made = {key for operation in computation.operations.values() for key in operation.outputs}
        self.home: dict[str, int] = {}  # the line of each value
        for key, operation in computation.operations.items():
            for value in (*operation.inputs, *operation.outputs):
                self.home.setdefault(value, plan.line[key])
                if self.home[value] != plan.line[key] and not is_number(computation.values[value]):
                    labels.refer(value)
        self.home.setdefault(computation.output, 0)  # which no operation made

    def drawn(self) -> Drawing:
        computation, direction = self.computation, self.plan.direction
        dot = Drawing("computation")
        dot.attr(rankdir=DIRECTIONS[direction], ranksep="0.22", nodesep="0.15", fontname=FONT, fontsize="11")
        dot.attr("node", fontname=FONT, fontsize="11", fontcolor=DARK, style="filled", width="0.3", height="0.3")
        dot.attr("node", margin="0.08,0.04", ordering="in")
        dot.attr("edge", color=LINE, arrowsize="0.6", fontname=FONT, fontsize="11", fontcolor=LINE)
        notes = [*computation.notes, *computation.newer_values(arrays="values" in self.labels.show)]
        if notes:
            dot.attr(label=label(*(line for note in notes for line in textwrap.wrap(note, WIDEST))), fontcolor=LINE)
        lines = sorted(set(self.home.values()))
        self.several = len(lines) > 1
        if self.several:
            dot.attr(packmode=f"array_ti{len(lines)}", pack="12", ranksep="0.17")
        for line in lines if direction == "down" else reversed(lines):  # lines to the right are packed from below
            self._line(dot, line)
        return dot

    def _line(self, dot: Drawing, line: int) -> None:
        computation, labels = self.computation, self.labels
        operations = [o for key, o in computation.operations.items() if self.plan.line[key] == line]
        boxes, frames = self._frames(dot, line, operations)
        for key, value in computation.values.items():
            if self.home[key] == line and not is_number(value) and key not in labels.maker:
                self._node(boxes[value.group], key, label(*labels.value(value)), KINDS[value.kind], value)
        for operation in operations:
            style = FOLDED if operation.folded else OPERATION | (BYPASSED if operation.passed_by else {})
            lines, result = labels.operation(operation), labels.result(operation)
            text = label(*lines, *result)
            if result and not operation.folded:
                style = WITH_RESULT | style | {"shape": "Mrecord"}
                text = "|".join(RECORD.sub(r"\\\g<0>", label(*some)) for some in (lines, result))
            self._node(boxes[operation.group], operation.key, text, style, operation)
        for key in frames:  # inner ones first: a frame is copied into the one around it
            boxes[computation.groups[key].parent].subgraph(boxes[key])
        self._edges(dot, line, operations)

    def _frames(
        self, dot: Drawing, line: int, operations: list[Operation]
    ) -> tuple[dict[str | None, Drawing], list[str]]:
        """What the things in each group are drawn into, the frame of a module or what is around it; and which groups
        have a frame, inner ones first."""
        groups, labels = self.computation.groups, self.labels
        inside: set[str | None] = {operation.group for operation in operations}
        for key, group in reversed(groups.items()):  # a group comes after the one that it is in
            if key in inside:
                inside.add(group.parent)
        boxes: dict[str | None, Drawing] = {None: dot}
        depths: dict[str | None, int] = {None: 0}
        for key, group in groups.items():
            if key not in inside:
                continue
            boxes[key], depths[key] = boxes[group.parent], depths[group.parent]
            if key in self.framed:
                again = key in self.drawn_frames
                self.drawn_frames.add(key)
                boxes[key] = box = Drawing(f"cluster_{key}{f'_{line}' * again}")
                title, whole = labels.title(group), labels.whole(group)
                box.attr(label=label("… " * again + title), labeljust="l", margin="6", fontcolor=DARK)
                box.attr(style="filled,rounded", color="#b5bec7", fillcolor=GROUPS[depths[key] % 2])
                box.attr(tooltip=label(whole) if whole != title else label(title))
                depths[key] += 1
        frames = [key for key in groups if key in boxes and key in self.framed]
        return boxes, sorted(frames, key=depths.__getitem__, reverse=True)

    def _node(self, box: Drawing, key: str, text: str, style: dict[str, str], shown: Value | Operation) -> None:
        whole = self.labels.whole(shown)
        box.node(key, text, **style, **({"tooltip": label(whole)} if whole and whole not in text else {}))

    def _edges(self, dot: Drawing, line: int, operations: list[Operation]) -> None:
        values, labels = self.computation.values, self.labels
        down = self.plan.direction == "down"
        again: set[str] = set()  # what is drawn again on this line
        for operation in operations:
            for key, flow in zip(operation.inputs, operation.flows, strict=True):
                value, looks = values[key], {}
                if is_number(value):
                    continue
                tail = labels.maker.get(key, key if self.home[key] == line else f"{key}_{line}")
                if tail != key and key not in labels.maker and tail not in again:
                    again.add(tail)
                    self._node(dot, tail, label(*labels.value(value)), _dashed(KINDS[value.kind]), value)
                if key in labels.maker and value.shape:
                    looks["label"] = label(*labels.value(value, flow), *[" "] * (not down))  # clear of other text
                # In one line, Graphviz makes room for labels by itself. What enters a frame stands above it.
                if self.several and (looks or (down and self._enters(key, tail, operation))):
                    looks["minlen"] = "2"
                dot.edge(tail, operation.key, **looks)
            for key in operation.outputs:
                if key not in labels.maker:
                    dot.edge(operation.key, key)

    def _enters(self, key: str, tail: str, operation: Operation) -> bool:
        """Whether something that was not computed on this line is read inside a frame in which it is not."""
        around = self.labels.around
        return tail not in self.computation.operations and (
            tail != key
            or (key not in self.made and around(self.computation.values[key].group) != around(operation.group))
        )


def _dashed(style: dict[str, str]) -> dict[str, str]:
    return style | {"style": f"{style.get('style', 'filled')},dashed"}


def label(*lines: str) -> str:
    """A label that shows the lines as they are, whatever characters they hold."""
    text = "\\n".join(graphviz.escape(UNWRITABLE.sub("\ufffd", line).replace("&", "&amp;")) for line in lines)
    made: str = graphviz.nohtml(text)
    return made


def lay_out(dot: graphviz.Digraph, form: str) -> bytes:
    """The picture of a graph. Raises `ImportError` if neither the program `dot` nor pygraphviz is installed."""
    if shutil.which("dot"):
        content: bytes = dot.pipe(format=form, quiet=True)
        return content
    if importlib.util.find_spec("pygraphviz") is None:
        raise ImportError(
            "drawing a graph needs Graphviz to lay it out. Either install its program dot (apt install graphviz, "
            "brew install graphviz, choco install graphviz), or run: python -m pip install 'tinygrad-edu[viz]'. "
            "A .dot file can be written without it"
        )
    # In a process of its own: Graphviz and Fontconfig write their warnings where no Python program can catch them.
    command = [sys.executable, "-c", BY_PYGRAPHVIZ, form]
    content = subprocess.run(command, input=dot.source.encode(), capture_output=True, check=True).stdout
    return content
