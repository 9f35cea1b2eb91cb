"""Folding: which operations of a graph are shown as one, so that a person can read it.

A fold is a run of operations in the order of execution, or one call of a module. No path leads out of a fold and back
into it, so the folded graph has no cycles.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from .structure import Walk

SHORT = 16  # elementwise operations in succession, which are folded at once
MOST_PERIOD = 16  # steps of a repetition, such as the layers of a block


@dataclass(slots=True)
class Unit:
    """What is shown as one: an operation, or a fold of several, in the call around it."""

    members: list[int]  # operations' numbers
    call: int
    label: str | None = None  # None for an operation by itself
    path: str = ""  # of a fold that is one call of a module: its name in the model
    inputs: list[int] = field(default_factory=list)  # values, by position; of a fold those from outside, each once
    outputs: list[int] = field(default_factory=list)
    hidden: int = 0  # parameters that are read by folds alone, and not shown


@dataclass(slots=True)
class Partition:
    """A graph's operations in units, in order of execution, and the values that are shown with them."""

    units: list[Unit]
    shown: set[int]
    homes: dict[int, int]  # of shown values: the innermost call that they are in, −1 for none


def fold(walk: Walk, depth: int | None, max_nodes: int | None, opened: Collection[int] = ()) -> Partition:
    """Folds the modules at `depth`. Then, until at most `max_nodes` operations and tensors are left, folds the deepest
    modules and equal neighbours, and so on outwards, then runs of elementwise operations, then runs of any. At last
    undoes the folds that begin at one of the steps `opened`."""
    folder = _Folder(walk)
    if depth is not None:
        folder.fold_calls(depth)
    if max_nodes is not None:
        for step in folder.steps(max_nodes):
            if folder.size() <= max_nodes:
                break
            step()
    folder.undo(opened)
    return folder.partition()


class _Folder:
    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self.fold_of = [-1] * len(walk.records)  # of each operation, −1 for none
        self.folds: list[tuple[str, int, str]] = []  # the label, the call around it, and the module's path
        self.parameter = walk.parameters()
        self.number = walk.numbers()

    def steps(self, max_nodes: int) -> Iterable[Callable[[], None]]:
        deepest = max((call.depth for call in self.walk.calls), default=0)
        yield self.fold_repetitions
        for depth in range(deepest, -1, -1):
            if depth == 0:  # the model itself, which is the last to be hidden
                yield from self.fold_runs(max_nodes)
                yield self.fold_repetitions
            yield partial(self.fold_calls, depth)
            yield self.fold_repetitions
        yield from self.fold_runs(max_nodes)
        pieces = max_nodes
        while pieces > 1:
            pieces = (pieces + 1) // 2
            yield partial(self.fold_pieces, pieces)

    def _new(self, label: str, call: int, path: str = "") -> int:
        self.folds.append((label, call, path))
        return len(self.folds) - 1

    def fold_calls(self, depth: int) -> None:
        """Folds each call at this depth, with those inside it; what is part of a fold further out stays there."""
        calls = self.walk.calls
        around: dict[int, int] = {}  # of each call at this depth or deeper: that at this depth
        for k, call in enumerate(calls):
            if call.depth >= depth:
                around[k] = around.get(call.parent, k)
        made: dict[int, int] = {}
        for i, f in enumerate(self.fold_of):
            a = around.get(self.walk.call_of[i] if f < 0 else self.folds[f][1])
            if a is not None:
                if a not in made:
                    made[a] = self._new(calls[a].label, calls[a].parent, calls[a].path)
                self.fold_of[i] = made[a]

    def fold_repetitions(self) -> None:
        """Folds neighbours in the same call, or outside all calls, that repeat a series of operations."""
        for _, row in itertools.groupby(self._units(), lambda unit: unit.call):
            units = list(row)
            if len(units) < 3:
                continue
            names = [self._name(unit) for unit in units]
            alike = [(n, self.walk.records[unit.members[-1]].shape) for n, unit in zip(names, units, strict=True)]
            if len(set(alike)) == len(alike):
                continue
            for first, period, times in _repetitions(alike, [self._learns(unit) for unit in units]):
                series = listed(names[first : first + period])
                label = f"{times:,} × {series if period == 1 else f'({series})'}"
                self._merge(units[first : first + period * times], label)

    def fold_runs(self, max_nodes: int) -> Iterable[Callable[[], None]]:
        """Folds runs of elementwise operations: short ones, then long ones in ever longer pieces."""
        longest = max((sum(len(unit.members) for unit in run) for run in self._elementwise_runs()), default=0)
        length = max(2, len(self.fold_of) // max_nodes)
        yield partial(self.fold_elementwise, length)
        while length < longest:
            length *= 2
            yield partial(self.fold_elementwise, length)

    def _elementwise_runs(self) -> Iterable[list[Unit]]:
        for (_, elementwise), run in itertools.groupby(self._units(), lambda u: (u.call, self._is_elementwise(u))):
            if elementwise:
                yield list(run)

    def fold_elementwise(self, length: int) -> None:
        """Folds neighbouring elementwise operations in the same call, or outside all calls, if there are few of them;
        of many, as many at a time as `length` says."""
        for run in self._elementwise_runs():
            most = max(length, SHORT if sum(len(unit.members) for unit in run) <= SHORT else 0)
            piece: list[Unit] = []
            count = 0
            for unit in run:
                if count + len(unit.members) > most:
                    self._merge(piece, f"{count:,} elementwise operations")
                    piece, count = [], 0
                piece.append(unit)
                count += len(unit.members)
            self._merge(piece, f"{count:,} elementwise operations")

    def fold_pieces(self, pieces: int) -> None:
        """Folds everything into that many pieces of about the same length."""
        units = self._units()
        for part in np.array_split(np.arange(len(units)), min(pieces, len(units))):
            inside = [units[k] for k in part]
            self._merge(inside, f"{sum(len(unit.members) for unit in inside):,} operations")

    def undo(self, opened: Collection[int]) -> None:
        folds = {self.fold_of[step - 1] for step in opened} - {-1}
        self.fold_of = [-1 if f in folds else f for f in self.fold_of]

    def _merge(self, units: Sequence[Unit], label: str) -> None:
        if len(units) > 1:
            new = self._new(label, units[0].call)
            for unit in units:
                for i in unit.members:
                    self.fold_of[i] = new

    def _name(self, unit: Unit) -> str:
        return self.walk.records[unit.members[0]].primitive.name if unit.label is None else unit.label

    def _learns(self, unit: Unit) -> bool:
        n = len(self.walk.records)
        return any(v >= n and self.parameter[v - n] for i in unit.members for v in self.walk.inputs[i])

    def _is_elementwise(self, unit: Unit) -> bool:
        return all(self.walk.records[i].primitive.elementwise for i in unit.members)

    def _units(self) -> list[Unit]:
        """In order of their first operations."""
        units: dict[int, Unit] = {}
        for i, f in enumerate(self.fold_of):
            if f < 0:
                units[-1 - i] = Unit([i], self.walk.call_of[i])
            elif f in units:
                units[f].members.append(i)
            else:
                label, call, path = self.folds[f]
                units[f] = Unit([i], call, label, path)
        return list(units.values())

    def _shown(self) -> set[int]:
        """The values that are shown: everything that an unfolded operation reads; between two folds, one; and of what a
        fold reads from outside the graph, the first value that is not a parameter."""
        n, fold_of = len(self.walk.records), self.fold_of
        shown = {self.walk.output}
        between: set[tuple[int, int]] = set()
        first_of: dict[int, int] = {}
        for i in range(n - 1, -1, -1):
            f = fold_of[i]
            for v in self.walk.inputs[i]:
                if f < 0:
                    shown.add(v)
                elif v >= n:
                    if not self.parameter[v - n] and not self.number[v - n]:
                        first_of[f] = v
                elif fold_of[v] != f:
                    pair = (fold_of[v] if fold_of[v] >= 0 else -1 - v, f)
                    if pair not in between:
                        between.add(pair)
                        shown.add(v)
        return shown.union(first_of.values())

    def size(self) -> int:
        """How many nodes a drawing has; numbers are written in their operations."""
        n = len(self.walk.records)
        units = self.fold_of.count(-1) + len(set(self.fold_of) - {-1})
        return units + sum(v < n or not self.number[v - n] for v in self._shown())

    def partition(self) -> Partition:
        units, shown = self._units(), self._shown()
        n = len(self.walk.records)
        unit_of = {i: unit for unit in units for i in unit.members}
        homes: dict[int, int] = {}
        for unit in units:
            if unit.label is None:
                unit.inputs = list(self.walk.inputs[unit.members[0]])
                unit.outputs = unit.members
            else:
                read = dict.fromkeys(v for i in unit.members for v in self.walk.inputs[i])
                unit.inputs = [v for v in read if v in shown and (v >= n or unit_of[v] is not unit)]
                unit.outputs = [v for v in unit.members if v in shown]
                unit.hidden = sum(v >= n and v not in shown and self.parameter[v - n] for v in read)
            for v in unit.inputs:
                if v < n:
                    homes.setdefault(v, self._around(unit_of[v].call, unit.call))
                elif self.parameter[v - n] or self.number[v - n]:
                    homes.setdefault(v, unit.call)
        return Partition(units, shown, homes)

    def _around(self, a: int, b: int) -> int:
        """The innermost call around both."""
        calls = self.walk.calls
        while a != b:
            if a < 0 or b < 0:
                return -1
            if calls[a].depth >= calls[b].depth:
                a = calls[a].parent
            else:
                b = calls[b].parent
        return a


def listed(names: Sequence[str]) -> str:
    return ", ".join(names if len(names) < 6 else (*names[:4], "…"))


def contents(names: Iterable[str]) -> str:
    """ "96 × linear, 96 × relu, sum": the most frequent first."""
    counted = Counter(names).most_common()
    return listed([name if times == 1 else f"{times:,} × {name}" for name, times in counted])


def _repetitions(row: Sequence[Hashable], starts: Sequence[bool]) -> Iterable[tuple[int, int, int]]:
    """(first, period, times) of each series in `row` that occurs at least three times in succession: from each place on
    the longest stretch. A series begins at one of `starts`, if possible."""
    n = len(row)
    known: dict[Hashable, int] = {}
    numbers = np.array([known.setdefault(name, len(known)) for name in row])
    times = np.zeros((min(MOST_PERIOD, n // 3) + 1, n), int)  # of a series of each period from each place on
    for period in range(1, len(times)):
        different = np.append(np.flatnonzero(numbers[:-period] != numbers[period:]), n - period)
        places = np.arange(n - period)
        times[period, : n - period] = (different[np.searchsorted(different, places)] - places) // period + 1
    covered = np.where(times >= 3, times, 0) * np.arange(len(times))[:, None]
    longest = covered.argmax(axis=0)
    end = 0
    for k in np.flatnonzero(covered.any(axis=0)).tolist():
        if k >= end:
            period = int(longest[k])
            repeated = int(times[period, k])
            turned = (j for j in range(k, k + period) if starts[j] and times[period, j] >= repeated)
            first = next(turned, k)
            end = first + period * repeated
            yield first, period, repeated
