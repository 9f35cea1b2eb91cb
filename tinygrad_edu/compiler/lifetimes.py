"""Whose memory is needed until when: what the results of a program lie in, and after which line it is free again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .lines import Line
from .parts import Part


def memory_of(line: Line) -> tuple[Any, ...]:
    return line.shape, line.dtype, line.axes


def owners_of(inputs: Sequence[Line], owns: Mapping[Line, bool]) -> dict[Line, frozenset[Line]]:
    """In whose memory each value may lie: in its own or, where it may be a view, in that of an operand. `owns` says
    which lines certainly have their own."""
    owners = {line: frozenset((line,)) for line in inputs}
    for line, own in owns.items():
        viewed = () if own else (owners[operand] for operand in line.operands())
        owners[line] = frozenset((line,)).union(*viewed)
    return owners


def is_lent(line: Line, owns: Mapping[Line, bool]) -> bool:
    """Whether it is an input, or may be a view of an array that is no line."""
    if line not in owns:
        return True
    return not owns[line] and any(isinstance(value, np.ndarray) for value in line.values())


def last_uses(
    lines: Sequence[Line],
    outputs: Sequence[Line],
    owners: Mapping[Line, frozenset[Line]],
    parts: Mapping[Line, Part],
) -> dict[int, list[Line]]:
    """For each step, the lines whose memory is not read after it."""
    last: dict[Line, int] = {}
    for k, line in enumerate(lines):
        for read in (line, *parts.get(line, line).operands()):
            last |= dict.fromkeys(owners[read], k)
    for line in outputs:
        last |= dict.fromkeys(owners[line], len(lines))
    ends: dict[int, list[Line]] = {}
    for line, k in last.items():
        ends.setdefault(k, []).append(line)
    return ends
