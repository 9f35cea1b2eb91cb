"""How a drawing fits a page: which way it runs, and where a long one goes on in a further line, as text does.

Sizes are estimated from the text in the nodes, so that a drawing is the same wherever Graphviz is installed, or not.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from .computation import Computation, Operation

PAGE = 820.0, 660.0  # the width and the height of a page, in points
CHARACTER, LINE = 6.6, 13.5  # about how wide and how high one is, in points
PADDING = 13.0, 6.0  # of a node's text
ELLIPSE = 1.2  # how much larger an ellipse is than a box
GAP = 18.0  # between an operation and what it reads
BREAK = 30.0  # what is drawn at the end of a line for the next one, and at its beginning again
FRAME, TITLE = 16.0, 22.0  # what a frame adds to what is in it
SMALLER = 0.93  # by how much a page is enlarged at a time, until all fits on it
MOST_CROSSING = 6  # values and frames that are cut by the end of a line
MOST_OPERATIONS = 1000  # beyond which no text is readable, whatever one does
WORTH = 0.88  # how much smaller text may be for a tensor less that is drawn again in another line

Texts = Sequence[Sequence[str]]  # of a node: the lines in each of its fields


class Arrangement(NamedTuple):
    """Which way a drawing runs, and the line that each operation is in."""

    direction: str
    line: dict[str, int]


class Cell(NamedTuple):
    """An operation with the tensors that stand around it: its extent along the direction and across it."""

    along: float
    across: float
    reads: tuple[tuple[str, float, float], ...]  # keys of operations, and the extents of the edges from them


def arranged(
    computation: Computation,
    texts: Mapping[str, Texts],
    edges: Collection[str],
    framed: Collection[str],
    directions: Sequence[str],
) -> Arrangement:
    """The arrangement in which a page shows the largest text. `texts` are those of all nodes, by key, and of the values
    that are `edges`; `framed` are the groups that have a frame."""
    operations = list(computation.operations.values())
    frames = [_frames(operation, computation, framed) for operation in operations]
    crossing = _crossing(operations, frames)
    best, highest = Arrangement(directions[0], dict.fromkeys(computation.operations, 0)), 0.0
    cells = {d: _cells(operations, frames, texts, edges, d == "down") for d in directions}
    scale = 1.0
    while scale > highest:
        for most in sorted({c for c in crossing if 0 < c <= MOST_CROSSING} | {0}):
            for direction in directions:
                length = PAGE[direction == "down"] / scale - BREAK
                line = _broken(cells[direction], crossing, length, most)
                size = _size(cells[direction], line)
                width, height = size if direction == "right" else size[::-1]
                score = min(1.0, PAGE[0] / width, PAGE[1] / height) * WORTH ** _again(cells[direction], line)
                if score > highest:
                    best, highest = Arrangement(direction, line), score
        scale *= SMALLER if len(operations) <= MOST_OPERATIONS else 0
    return best


def _extent(fields: Texts, down: bool) -> tuple[float, float]:
    """How long a node with these fields is in the direction of the drawing, and how broad."""
    wide = [max(map(len, lines)) * CHARACTER + PADDING[0] for lines in fields if lines]
    high = [len(lines) * LINE + PADDING[1] for lines in fields if lines]
    return (max(high), sum(wide)) if down else (max(wide), sum(high))


def _frames(operation: Operation, computation: Computation, framed: Collection[str]) -> list[str]:
    """The frames around an operation, the innermost first."""
    found, key = [], operation.group
    while key is not None:
        if key in framed:
            found.append(key)
        key = computation.groups[key].parent
    return found


def _crossing(operations: Sequence[Operation], frames: Sequence[Sequence[str]]) -> list[int]:
    """How bad a break before each operation is: how many values and frames it cuts."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for i, operation in enumerate(operations):
        for key in (*operation.inputs, *operation.outputs, *frames[i]):
            first.setdefault(key, i)
            last[key] = i
    changes = [0] * (len(operations) + 1)
    for key, i in first.items():
        changes[i + 1] += 1
        changes[last[key] + 1] -= 1
    return list(itertools.accumulate(changes))[:-1]


def _cells(
    operations: Sequence[Operation],
    frames: Sequence[Sequence[str]],
    texts: Mapping[str, Texts],
    edges: Collection[str],
    down: bool,
) -> dict[str, Cell]:
    known: dict[str, str] = {}  # which operation made a value, or read it first
    seen: set[str] = set()
    cells = {}
    for operation, around in zip(operations, frames, strict=True):
        along, across = _extent(texts[operation.key], down)
        if not texts[operation.key][1]:  # an ellipse
            along, across = ELLIPSE * along, ELLIPSE * across
        leaves = [key for key in operation.inputs if key not in known and key in texts]
        boxes = [_extent(texts[key], down) for key in dict.fromkeys(leaves)]
        if boxes:
            along += max(a for a, _ in boxes) + GAP
            across = max(across, sum(b for _, b in boxes) + 0.7 * GAP * (len(boxes) - 1))
        results = [key for key in operation.outputs if key in texts and key not in edges]
        for key in results:
            box = _extent(texts[key], down)
            along, across = along + box[0] + GAP, max(across, box[1])
        if around:
            new = [key for key in around if key not in seen]
            title = _extent(texts[around[0]], False)[0]
            along, across = (along, max(across, title)) if down else (max(along, title), across)
            along += (TITLE + FRAME) * len(new) if down else FRAME * len(new)
            across += FRAME * len(around) if down else (TITLE + FRAME) * len(around)
            seen.update(new)
        reads = []
        for key in operation.inputs:
            if key in known and known[key] != operation.key:
                label = _extent(texts[key], down) if key in edges and key in texts else (0.0, 0.0)
                reads.append((known[key], GAP + label[0], 12 + label[1]))
        known.update(dict.fromkeys(leaves, operation.key))
        known.update(dict.fromkeys(operation.outputs, operation.key))
        cells[operation.key] = Cell(along, across, tuple(reads))
    return cells


def _again(cells: Mapping[str, Cell], line: Mapping[str, int]) -> int:
    """How many results are drawn again in a line."""
    read = ((other, key) for key, cell in cells.items() for other, *_ in cell.reads)
    return len({(other, line[key]) for other, key in read if line[other] < line[key]})


def _placed(cells: Mapping[str, Cell], line: Mapping[str, int]) -> dict[str, tuple[float, float]]:
    """Where each cell begins and ends in its line."""
    places: dict[str, tuple[float, float]] = {}
    for key, cell in cells.items():
        ends = (gap + (places[other][1] if line[other] == line[key] else GAP) for other, gap, _ in cell.reads)
        start = max(ends, default=0.0)
        places[key] = start, start + cell.along
    return places


def _broken(cells: Mapping[str, Cell], crossing: Sequence[int], length: float, most: int) -> dict[str, int]:
    """The line of each operation, if lines are not to be longer than `length` and end where at most `most` values and
    frames are cut."""
    keys = list(cells)
    places = _placed(cells, dict.fromkeys(keys, 0))
    line: dict[str, int] = {}
    start = current = 0
    cut = 0  # the last place where this line may end
    for i, key in enumerate(keys):
        if 0 < crossing[i] <= most:
            cut = i
        if cut > start and places[key][1] - places[keys[start]][0] > length:
            start, current = cut, current + 1
            line.update(dict.fromkeys(keys[cut:i], current))
        line[key] = current
    return line


def _size(cells: Mapping[str, Cell], line: Mapping[str, int]) -> tuple[float, float]:
    """How long the longest line is, and how broad all are together."""
    places = _placed(cells, line)
    events: list[list[tuple[float, float]]] = [[] for _ in range(1 + max(line.values(), default=0))]
    for key, cell in cells.items():
        start, end = places[key]
        events[line[key]] += (start, cell.across), (end, -cell.across)
        for other, _, across in cell.reads:
            if line[other] == line[key]:
                events[line[key]] += (places[other][1], across), (start, -across)
    breadth = sum(map(_breadth, events)) + GAP * (len(events) - 1)
    return max((end for _, end in places.values()), default=1.0), max(breadth, 1.0)


def _breadth(events: Iterable[tuple[float, float]]) -> float:
    """The most that stands side by side."""
    return max(itertools.accumulate(change for _, change in sorted(events)), default=0.0)
