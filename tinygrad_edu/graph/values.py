"""The values behind a result, for drawings: those that the records kept, and what follows from them.

A record keeps what its rules read and nothing else. The other values are computed again from those that were kept and
from the leaves, unless a leaf holds something else by now. A number such as the 10 of `x - 10`, which no rule reads, is
found from what came out: it is the shortest one that gives that.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.inplace import assigned_since, changed_since
from ..autograd.record import Record, record_of
from ..autograd.tensor import Tensor
from .structure import Walk

SMALL = 1000  # elements of what is remembered on the way; larger arrays are dropped after their last use
DIGITS = 12  # of a number that is found from a result
CLOSE = 1e-6  # relative error of a value that is shown although it was found backwards

# For each argument: the argument from the result and the other one.
INVERSES: dict[str, tuple[Any, ...]] = {
    "add": (np.subtract, np.subtract),
    "subtract": (np.add, lambda y, a: a - y),
    "multiply": (np.divide, np.divide),
    "divide": (np.multiply, lambda y, a: a / y),
    "negative": (np.negative,),
    "exp": (np.log,),
    "log": (np.exp,),
    "sqrt": (np.square,),
    "tanh": (np.arctanh,),
    "sigmoid": (lambda y: np.log(y / (1 - y)),),
}


class Values:
    """What is known of the values with the numbers `wanted`, and of those on the way to them."""

    def __init__(self, walk: Walk, output: Tensor, wanted: set[int]) -> None:
        self.walk, self.wanted = walk, wanted
        self.known: dict[int, Any] = {}
        self.now: dict[int, Any] = {}  # what those hold now that have changed since
        self.found: dict[int, Any] = {}  # numbers that no record had
        self.guessed: dict[int, tuple[Any, float]] = {}  # what follows from results, and how far it may be off
        self._collect(output)
        self.lost = {  # numbers that no record has, and which operation read them
            v: i for i, row in enumerate(walk.inputs) for v in row if v not in self.known and self._is_number(v)
        }
        missing = [v for v in wanted if v not in self.known]
        if missing:
            with np.errstate(all="ignore"):
                steps = self._leading_to(missing)
                self._compute(steps)
                while self.lost and self._solve():
                    self._compute(self._leading_to(missing))
                for v, (value, spread) in self.guessed.items():
                    if v not in self.known and spread <= CLOSE * _largest(value):
                        self.known[v] = value

    def _collect(self, output: Tensor) -> None:
        """What the records kept, and what the leaves hold."""
        walk, n = self.walk, len(self.walk.records)
        read: dict[int, int] = {}  # when each leaf was read first
        for i, (record, inputs) in enumerate(zip(walk.records, walk.inputs, strict=True)):
            for v in inputs:
                if v >= n:
                    read.setdefault(v, record.order)
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

    def _is_number(self, v: int) -> bool:
        n = len(self.walk.records)
        return v >= n and self.walk.sources[v - n].node is None and not self.walk.sources[v - n].shape

    def _leading_to(self, missing: list[int]) -> list[int]:
        """The operations to do again for the missing values, oldest first."""
        seen: set[int] = set()
        waiting = [v for v in missing if v not in self.known]
        while waiting:
            v = waiting.pop()
            if v not in seen and v not in self.known and v not in self.now:
                seen.add(v)
                maker = self.lost.get(v, v)  # of a number, the operation that reads it
                waiting.extend(self.walk.inputs[maker] if maker < len(self.walk.records) else ())
        return sorted(v for v in seen if v < len(self.walk.records))

    def _compute(self, steps: list[int]) -> None:
        last = {v: i for i in steps for v in (i, *self.walk.inputs[i])}
        done = set(steps)
        for i in steps:
            inputs = self.walk.inputs[i]
            if all(v in self.known for v in inputs):
                self.known[i] = self._result(i, [self.known[v] for v in inputs])
            for v in inputs:
                if v in done and last[v] == i and v not in self.wanted and np.size(self.known.get(v, 0)) > SMALL:
                    self.known.pop(v, None)

    def _result(self, i: int, arguments: list[Any]) -> Any:
        record = self.walk.records[i]
        return record.primitive.forward(*arguments, **(record.options or {}))

    def get(self, v: int) -> Any:
        """A value, or what it holds now if that has changed since; None if it is not known."""
        return self.now[v] if v in self.now else self.known.get(v)

    # Numbers that no rule reads

    def _solve(self) -> bool:
        """Finds numbers from results that are known, or that follow from known ones; whether there was one."""
        found = False
        guessed: dict[int, tuple[Any, float]] = {}
        self.guessed = guessed
        for i in range(len(self.walk.records) - 1, -1, -1):
            record, inputs = self.walk.records[i], self.walk.inputs[i]
            y, width = (self.known[i], 0.0) if i in self.known else guessed.get(i, (None, 0.0))
            unknown = {v for v in inputs if v not in self.known}
            if y is None or len(unknown) != 1 or record.size > SMALL or record.primitive.name not in INVERSES:
                continue
            (v,) = unknown
            if v in self.now or inputs.count(v) != 1:
                continue
            k = inputs.index(v)
            others = [self.known[w] for w in inputs if w != v]
            if v in self.lost:
                number = self._number(i, k, y, width, others)
                if number is not None:
                    self.known[v] = self.found[v] = number
                    del self.lost[v]
                    found = True
            elif v not in guessed and all(np.shape(value) == record.shape for value in others):
                inverse = INVERSES[record.primitive.name][k]
                around = max(width, 4 * float(np.finfo(record.dtype).eps) * _largest(y))
                spread = _largest(inverse(y + around, *others) - inverse(y - around, *others))
                if np.isfinite(spread):
                    guessed[v] = inverse(y, *others), spread
        return found

    def _number(self, i: int, k: int, y: Any, width: float, others: list[Any]) -> float | None:
        """The shortest number that gives the result as an argument; None if very different ones would."""
        record = self.walk.records[i]
        raw = float(np.median(INVERSES[record.primitive.name][k](y, *others))) if np.size(y) else np.nan
        if not np.isfinite(raw):
            return None
        near = width + 4 * float(np.finfo(record.dtype).eps) * max(map(_largest, (y, *others, raw)))

        def error(number: float) -> float:
            arguments = [*others[:k], record.dtype.type(number), *others[k:]]
            return _largest(self._result(i, arguments) - y)

        if raw and error(raw * (1 + 1e-3)) <= near:
            return None
        for digits in range(1, DIGITS + 1):
            number = float(f"{raw:.{digits}g}")
            if error(number) <= near:
                return int(number) if number.is_integer() and abs(number) < 1e15 else number
        return None


def _largest(value: Any) -> float:
    return float(np.max(np.abs(value)))


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
