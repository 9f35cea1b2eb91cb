"""Folding: which operations of a graph are shown as one, so that a person can read it."""

from __future__ import annotations

from dataclasses import dataclass, field

from .walk import Walk


@dataclass(slots=True)
class Unit:
    """What is shown as one: an operation, or several folded, with the call around it."""

    members: list[int]  # operations' numbers
    call: int
    label: str | None = None  # None for an operation by itself
    contents: str = ""
    inputs: tuple[int, ...] = ()  # values from outside that are shown, each once
    outputs: tuple[int, ...] = ()


@dataclass(slots=True)
class Partition:
    """A graph's operations in units, and the values that are shown with them."""

    walk: Walk
    units: list[Unit]
    shown: set[int]
    notes: list[str]
    _homes: dict[int, int] = field(default_factory=dict)

    def home(self, v: int) -> int:
        return self._homes.get(v, -1)


def fold(walk: Walk, depth: int | None, max_nodes: int | None) -> Partition:
    units = [Unit([i], c, inputs=walk.inputs[i], outputs=(i,)) for i, c in enumerate(walk.call_of)]
    shown = set(range(len(walk.records) + len(walk.sources)))
    return Partition(walk, units, shown, [])
