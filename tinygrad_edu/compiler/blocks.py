"""A program whose batch is cut into blocks of rows, each of which is computed in a thread of its own.

Most of a training step treats each row of the batch by itself, and the rest adds up what the rows give. So the lines of
a derivation are of three kinds:

- without rows: parameters, what is computed of them, and whatever is computed of sums;
- of rows: with an axis along which each part is computed of the same part of its operands, as elementwise functions,
  products with weights on the right, and reductions along other axes do;
- sums over the rows: losses, and the gradients of weights (xᵀ g) and biases. A block gives its share of them.

A line that reads a sum needs all of it, so the program is a sequence of stages. In each, the lines without rows are
computed first, once; then those of rows, for all blocks at the same time, in memory that each block has to itself; then
the shares are added, always in the same order. Mostly there are two stages: in the second one, nothing is left but what
has no rows, such as a penalty for weights that joins their gradients. Where a loss is divided by a sum (of the weights
of the labels' classes), the backward lines make a third.

Nothing is guessed, for instance from equal numbers in shapes: for each function it is known what it does to rows that
lie along a given axis, and a block's lines are those of the whole batch with fewer rows. A count by which a loss is
divided stays that of the batch, so that the shares add up. What is not known, and what mixes rows (statistics of the
batch, attention across samples), is not cut. A function says in its trait `rows` what it does (see `TRAITS`);
elementwise ones need not, and for those that move the axes there is a table. Random numbers, and what updates other
tensors, are not cut either.

Whether and how is decided by shapes and by the number of threads, so that the same numbers come out in every run. Each
thread has one block: smaller ones would fit into its cache, but have more lines, and at each the threads wait for the
interpreter's lock.

If a block raises, the whole is computed without blocks: the error is then what it always is, and is about all rows.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..autograd.conversion import rebuilt
from ..autograd.primitives import primitive_of
from ..memory import empty_aligned
from .derivation import Derivation
from .emission import Code
from .lines import Line
from .placing import SUMMED, Kinds, Mixes
from .threads import Workers

# The least work of a block, see `_work`; it takes 3 to 5 ms. What is gained by threads has to be more than what they
# lose: whenever a line is done, its thread waits until the other one lets go of the interpreter's lock (0.3 ms in 20 to
# 30 lines), and BLAS would have used several threads itself. On two cores, steps of blocks with a quarter of this work
# took 1.1 to 2.3 times as long as uncut ones, with half of it 0.9 to 1.3, and with more of it 0.6 to 0.9.
LEAST_WORK = 450_000_000
SUM = primitive_of(np.sum)


class Part:
    """Some lines of a program as a function, with what it reads and what it gives."""

    def __init__(self, lines: Sequence[Line], reads: Mapping[Line, tuple[Line, Any]], gives: Sequence[Line]) -> None:
        """`reads` says of each line that is read what it is cut out of, and with which index, or None for all of it."""
        code = Code(lines, [*reads], gives)
        self.gives, self.lent, self.apart = gives, code.lent, code.apart
        self._reads = [*reads.values()]
        self._run = code.function([*reads], [code.names[line] for line in gives])

    def __call__(self, known: Mapping[Line, Any]) -> Any:
        return self._run(*[known[line] if index is None else known[line][index] for line, index in self._reads])


class Block:
    """The rows from `start` to `stop`: the lines that compute them, which are those of all rows with other shapes."""

    def __init__(self, kinds: Kinds, start: int, stop: int) -> None:
        self._kinds, self._start, self._stop = kinds, start, stop
        self.of: dict[Line, Line] = {}
        self._cut: dict[tuple[Line, int], Line] = {}
        self._reads: dict[Line, tuple[Line, Any]] = {}

    def part(self, lines: Sequence[Line], gives: Sequence[Line]) -> Part:
        own = dict.fromkeys(self._line(line) for line in lines)
        read = dict.fromkeys(x for line in own for x in line.operands() if x not in own)
        return Part([*own], {x: self._reads.get(x, (x, None)) for x in read}, [self.of[line] for line in gives])

    def _line(self, line: Line) -> Line:
        kinds, place = self._kinds, self._kinds.place[line]
        moved = {x: self.of[x] for x in line.operands()} if kinds.is_moved_sum(line) else {}
        twin = self.of[line] = copy.copy(line)
        twin.args = tuple(self._here(a, kinds.broadcast(line, k), moved) for k, a in enumerate(line.args))
        twin.options = {name: self._here(value, kinds.broadcast(line), moved) for name, value in line.options.items()}
        if line in kinds.counts and not moved:
            twin.function = SUM
        if place != SUMMED:
            twin.shape = self._shape(line, place)
            if "shape" in line.options:  # of the result
                twin.options["shape"] = twin.shape
        return twin

    def _here(self, value: Any, rows: Iterable[tuple[int, int]], moved: Mapping[Line, Line]) -> Any:
        """An argument as the block has it. `rows` are the axes, and their lengths, along which what has no rows
        is broadcast with those that have."""
        if isinstance(value, list | tuple):
            return rebuilt(value, (self._here(v, rows, moved) for v in value))
        if not isinstance(value, Line | np.ndarray):
            return value
        if isinstance(value, Line) and value in moved:
            return moved[value]
        if (place := self._kinds.at(value)) is not None:
            return self.of[value] if isinstance(value, Line) and value in self.of else self._part_of(value, place)
        broadcast = (place for place, n in rows if value.ndim >= -place and value.shape[place] == n)
        return next((self._part_of(value, place) for place in broadcast), value)

    def _part_of(self, value: Any, place: int) -> Any:
        """The block's part of a line that is computed, or given, for all rows, or of an array."""
        index = (..., self._span(value.shape[place]), *[slice(None)] * (-1 - place))
        if not isinstance(value, Line):
            return value[index]
        if (value, place) not in self._cut:
            twin = self._cut[value, place] = copy.copy(value)
            twin.function, twin.args, twin.options, twin.shape = None, (), {}, self._shape(value, place)
            self._reads[twin] = value, index
        return self._cut[value, place]

    def _shape(self, line: Line, place: int) -> tuple[int, ...]:
        span = self._span(line.shape[place])
        return (*line.shape[:place], span.stop - span.start, *line.shape[line.ndim + place + 1 :])

    def _span(self, n: int) -> slice:
        """Of n elements, the same number for each row."""
        of_each = n // self._kinds.rows
        return slice(self._start * of_each, self._stop * of_each)


class Sum(NamedTuple):
    """A sum over the rows: the lines that compute the blocks' shares, memory for it, and what it is divided by."""

    line: Line
    shares: list[Line]
    memory: Any
    divisor: int | None

    def added(self, known: dict[Line, Any]) -> Any:
        # NumPy 2.1.0 makes float64 of single numbers in threads (its issue 27473).
        how = {"out": self.memory, "dtype": self.line.dtype, "casting": "same_kind"}
        total = functools.reduce(lambda a, b: np.add(a, b, **how), [known.pop(share) for share in self.shares])
        return total if self.divisor is None else np.divide(total, self.divisor, **how)


class Blocks:
    """A program in blocks: a function of the arrays that the derivation is given, `(value, *gradients)`."""

    def __init__(self, derivation: Derivation, kinds: Kinds, count: int, workers: Workers) -> None:
        lines = [*derivation.forward, *derivation.backward]
        outputs = [derivation.value, *derivation.gradients]
        ends = [k * kinds.rows // count for k in range(count + 1)]
        blocks = [Block(kinds, start, stop) for start, stop in itertools.pairwise(ends)]
        self._given, self._outputs, self._workers = derivation.given, outputs, workers
        self._stages: list[tuple[Part, list[Part], list[Sum]]] = []
        copied, own = {*derivation.given}, set()
        for stage in range(1 + max(kinds.stage.values())):
            here = [line for line in lines if kinds.stage[line] == stage]
            of_rows = [line for line in here if line in kinds.place]
            once = [line for line in here if line not in kinds.place]
            gives = _read_elsewhere(once, lines, outputs)
            read = dict.fromkeys(x for line in once for x in line.operands() if x not in {*once})
            part = Part(once, {x: (x, None) for x in read}, gives)
            copied |= part.lent
            own |= part.apart
            gives = _read_elsewhere(of_rows, lines, outputs)
            parts = [block.part(of_rows, gives) for block in blocks] if of_rows else []
            sums = [
                Sum(
                    line,
                    [block.of[line] for block in blocks],
                    empty_aligned(line.shape, line.dtype, line.axes) if line.ndim else None,
                    kinds.counts.get(line),
                )
                for line in gives
                if kinds.place[line] == SUMMED
            ]
            own |= {each.line for each in sums if each.line.ndim}
            self._stages.append((part, parts, sums))
        if any(kinds.place.get(line, SUMMED) != SUMMED for line in outputs if isinstance(line, Line)):
            raise Mixes
        # Gradients with memory to themselves; one that may lie where another does, or in a parameter, is copied.
        self.own = [
            isinstance(g, Line) and g in own and sum(x is g for x in outputs) == 1 for g in derivation.gradients
        ]
        self._copied = [g is not None and not (isinstance(g, Line) and g not in copied) for g in derivation.gradients]

    def __call__(self, *arrays: Any) -> tuple[Any, ...]:
        known: dict[Line, Any] = dict(zip(self._given, arrays, strict=True))
        for once, parts, sums in self._stages:
            known.update(zip(once.gives, once(known), strict=True))
            if parts:
                results = self._workers.run([functools.partial(part, known) for part in parts])
                for part, result in zip(parts, results, strict=True):
                    known.update(zip(part.gives, result, strict=True))
                known.update({each.line: each.added(known) for each in sums})
        value, *gradients = [known[g] if isinstance(g, Line) else g for g in self._outputs]
        return value, *[np.array(g) if copy else g for g, copy in zip(gradients, self._copied, strict=True)]


def _read_elsewhere(group: Sequence[Line], lines: Sequence[Line], outputs: Sequence[Any]) -> list[Line]:
    """The lines of a group that others read."""
    inside = {*group}
    read = {x for line in lines if line not in inside for x in line.operands()}
    read |= {x for x in outputs if isinstance(x, Line)}
    return [line for line in group if line in read]


def cut(derivation: Derivation, workers: Workers) -> Blocks | None:
    """The derivation in blocks, if it can be cut and it is worth it."""
    lines = [*derivation.forward, *derivation.backward]
    arrays = {id(value): value for line in lines for value in line.values() if isinstance(value, np.ndarray)}
    candidates: list[list[Any]] = [
        derivation.inputs,
        [*derivation.inputs, *derivation.captured.values(), *arrays.values()],
    ]
    for leaves in candidates:
        if derivation.updates or not any(leaf.ndim for leaf in leaves):
            continue
        with contextlib.suppress(Mixes):
            kinds = Kinds(lines, [leaf for leaf in leaves if leaf.ndim])
            most = min(kinds.work // LEAST_WORK, kinds.rows // 2)
            if most > 1 and workers.count > 1:
                return Blocks(derivation, kinds, min(most, workers.count), workers)
    return None
