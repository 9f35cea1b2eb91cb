"""Sums of parts: the gradient of an array of which parts were read, as by a loop over the steps of a sequence.

The rules give the gradient of each part among zeros, and the sum of these arrays. Done like that, a loop over n parts
would take n² time. A program adds each part where it belongs, in one array, which it fills with zeros first only if
some element is in no part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

import numpy as np

from ..rules.shape import _scatter
from .lines import Line
from .simplified import ADD


@dataclass
class Part:
    """A part that is put among zeros, or added to a line of which other parts may have been made."""

    value: Any
    index: tuple[Any, ...]  # a view, if it is applied to an array
    base: Line | None = None  # what it is added to; None for zeros
    is_first: bool = True  # whether only zeros are there
    zeros: bool = False  # whether zeros have to be written before
    lands: bool = False  # whether its value is computed here, right in its place

    def operands(self) -> Iterator[Line]:
        """The lines that it reads."""
        values = self.value.operands() if self.lands else (self.value,)
        return (x for x in (*values, self.base) if isinstance(x, Line))


def sums_of_parts(
    lines: Sequence[Line], outputs: Sequence[Line], fills: Callable[[Line], bool]
) -> tuple[dict[Line, Part], set[Line]]:
    """What is made part by part, and the lines that need no statement, since others do what they do. `fills` says
    whether a line can be computed in any memory."""
    reads = Counter(outputs)
    for line in lines:
        reads.update(line.operands())
    parts: dict[Line, Part] = {}
    merged: set[Line] = set()
    growing: dict[Line, tuple[Part, Any]] = {}  # sums that began as zeros: the first part, and which elements are set
    for line in lines:
        if _is_part(line):
            first = parts[line] = Part(line.args[0], _view(line.options["index"]))
            growing[line] = first, None  # found out when it is needed: for each of n parts, it would take n² time
        elif (addition := _addition(line, reads, growing)) is not None:
            base, added = addition
            del growing[added]
            merged.add(added)
            part = parts[line] = Part(parts.pop(added).value, _view(added.options["index"]), base, is_first=False)
            if base in growing and reads[base] == 1:
                first, written = growing.pop(base)
                growing[line] = first, written = first, _written(base, first) if written is None else written
                there = written[part.index]
                part.is_first = not there.any()
                first.zeros |= not (part.is_first or there.all())
                there[...] = True
    for line, (first, written) in growing.items():
        first.zeros |= not (_written(line, first) if written is None else written).all()
    for part in parts.values():
        value = part.value
        if part.is_first and isinstance(value, Line) and reads[value] == 1 and value not in parts and fills(value):
            part.lands = True
            merged.add(value)
    return parts, merged


def _written(line: Line, part: Part) -> Any:
    """Which elements of a line a part sets."""
    written = np.zeros(line.shape, bool)
    written[part.index] = True
    return written


def _is_part(line: Line) -> bool:
    """Whether it puts what slices and numbers select among zeros, so that no element occurs twice."""
    index = line.options.get("index") if line.function is _scatter else ()
    places = index if isinstance(index, tuple) else (index,)
    return line.function is _scatter and all(
        isinstance(p, slice | int | np.integer | EllipsisType | None) for p in places
    )


def _view(index: Any) -> tuple[Any, ...]:
    index = index if isinstance(index, tuple) else (index,)
    return index if Ellipsis in index else (*index, ...)


def _addition(line: Line, reads: Counter[Line], parts: Container[Line]) -> tuple[Line, Line] | None:
    """The operands of an addition, of which the second is one of the parts, which nothing else reads."""
    if line.function is not ADD or not all(
        isinstance(a, Line) and (a.shape, a.dtype) == (line.shape, line.dtype) for a in line.args
    ):
        return None
    a, b = line.args
    alone = [x in parts and _is_part(x) and reads[x] == 1 for x in (a, b)]
    return (a, b) if alone[1] else (b, a) if alone[0] else None
