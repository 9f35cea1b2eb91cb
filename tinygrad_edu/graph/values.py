"""The values behind a result, for drawings: those that the records kept, and what follows from them.

A record keeps what its rules read and nothing else. The other values are computed again from those that were kept and
from the leaves, unless a leaf holds something else by now.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.inplace import assigned_since, changed_since
from ..autograd.record import Record, record_of
from ..autograd.tensor import Tensor
from .structure import Walk

SMALL = 1000  # elements of what is remembered on the way; larger arrays are dropped after their last use


class Values:
    """What is known of the values with the numbers `wanted`, and of those on the way to them."""

    def __init__(self, walk: Walk, output: Tensor, wanted: set[int]) -> None:
        self.walk, self.wanted = walk, wanted
        self.known: dict[int, Any] = {}
        self.now: dict[int, Any] = {}  # what those hold now that have changed since
        self._collect(output)
        missing = [v for v in wanted if v not in self.known]
        if missing:
            with np.errstate(all="ignore"):
                self._compute(self._leading_to(missing))

    def _collect(self, output: Tensor) -> None:
        """What the records kept, and what the leaves hold."""
        walk, n = self.walk, len(self.walk.records)
        read: dict[int, int] = {}  # when each leaf was read first
        for i, (record, inputs) in enumerate(zip(walk.records, walk.inputs, strict=True)):
            for v in inputs:
                if v >= n:
                    read.setdefault(v, record.order)
            number = getattr(record, "number", None)
            if number is not None:
                self.known[inputs[record.nodes[0] is not None]] = number
            if record.saved is not None:
                for v, value in zip((i, *inputs), record.saved, strict=True):
                    if value is not None:
                        (self.now if changed_since(value, record.order) else self.known)[v] = value
        for v, order in read.items():
            leaf = walk.sources[v - n].node
            if leaf is not None and v not in self.known:
                changed = assigned_since(leaf, order) or changed_since(leaf._value, order)
                (self.now if changed else self.known)[v] = leaf._value
        last = walk.records[-1].order if walk.records else 0
        changed = bool(walk.records) and changed_since(output._value, last)
        (self.now if changed else self.known)[walk.output] = output._value
        for v in self.now:
            self.known.pop(v, None)

    def _leading_to(self, missing: list[int]) -> list[int]:
        """The operations to do again for the missing values, oldest first."""
        seen: set[int] = set()
        waiting = [v for v in missing if v not in self.known]
        while waiting:
            v = waiting.pop()
            if v not in seen and v not in self.known and v not in self.now:
                node, _, _, shape = self.walk.described(v)
                if 0 in shape:  # without elements, it needs nothing else
                    self.known[v] = np.zeros(shape, np.float64 if node is None else node.dtype)
                    continue
                seen.add(v)
                waiting.extend(self.walk.inputs[v] if v < len(self.walk.records) else ())
        return sorted(v for v in seen if v < len(self.walk.records))

    def _compute(self, steps: list[int]) -> None:
        last = {v: i for i in steps for v in (i, *self.walk.inputs[i])}
        done = set(steps)
        for i in steps:
            inputs = self.walk.inputs[i]
            if all(v in self.known for v in inputs):
                record = self.walk.records[i]
                self.known[i] = record.primitive.forward(*(self.known[v] for v in inputs), **(record.options or {}))
            for v in inputs:
                if v in done and last[v] == i and v not in self.wanted and np.size(self.known.get(v, 0)) > SMALL:
                    self.known.pop(v, None)

    def get(self, v: int) -> Any:
        """A value, or what it holds now if that has changed since; None if it is not known."""
        return self.now[v] if v in self.now else self.known.get(v)


def needed(walk: Walk, path: set[Any]) -> set[int]:
    """The values that the rules of the records on a path read."""
    return {
        (i, *inputs)[k]
        for i, (record, inputs) in enumerate(zip(walk.records, walk.inputs, strict=True))
        if record in path
        for k in record.primitive.kept(tuple(node is not None for node in record.nodes))
    }


def again(walk: Walk, values: Values, path: set[Any]) -> tuple[dict[Any, Record], set[Any]]:
    """The records on a path as they were before `backward()` released them, and the nodes to which the way back leads
    through a record whose values are not all known, so that no gradient of theirs is."""
    made: dict[Any, Record] = {}
    waiting: list[Any] = []
    for i, (record, inputs) in enumerate(zip(walk.records, walk.inputs, strict=True)):
        if record not in path:
            continue
        row, needs = (i, *inputs), tuple(node is not None for node in record.nodes)
        if any(row[k] not in values.known for k in record.primitive.kept(needs)):
            waiting += record.nodes
        saved = record.primitive.picks[needs]((None, *(values.known.get(v) for v in row)))
        nodes = tuple(made.get(node, node) for node in record.nodes)
        made[record] = record_of(record.primitive, _like(record), nodes, saved, record.options)
        made[record].notes = record.notes
    behind: set[Any] = set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in behind:
            behind.add(node)
            waiting += node.nodes if isinstance(node, Record) else ()
    return made, behind


def _like(record: Record) -> Any:
    """Something of the shape and the dtype of a record's output."""
    value = np.zeros((), record.dtype)
    return value[()] if record.kind is not np.ndarray else np.broadcast_to(value, record.shape)
