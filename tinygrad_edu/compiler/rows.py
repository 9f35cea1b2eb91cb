"""Which numbers of a derivation come from the number of rows: it is derived for three numbers of rows and compared.

A number that is the same in all three stays as it is. One that differs is written with m, the number of rows, if one
formula gives it in all three. Where the derivations differ in anything else, only that of the examples can be written.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from ..autograd.conversion import rebuilt
from ..autograd.operators import DIVIDE, MULTIPLY, POWER
from .derivation import Derivation
from .lines import Line
from .simplified import NEGATIVE

Derive = Callable[[list[Any]], Derivation]
MOST_ROWS = 64  # of the examples that are kept: only shapes are wanted of them
MANY_ROWS, MOST_ELEMENTS = 200, 5_000_000  # of all lines together


class Formula(NamedTuple):
    """offset + factor · (m + shift)^power."""

    factor: Any
    power: float
    shift: int = 0
    offset: Any = 0

    def at(self, m: int) -> Any:
        return self.offset + self.factor * float(m + self.shift) ** self.power


class OfRows:
    """What stands in place of a number or an array that comes from the number of rows."""


class Number(OfRows):
    """A number: that of one derivation, and its formula."""

    formula: Formula

    def __repr__(self) -> str:
        """As part of a shape, or of a slice."""
        factor, power, _, offset = self.formula
        text = ("m" if factor == 1 else f"{factor} * m") + (f" ** {power}" if power != 1 else "")
        return text + (f" {'-' if offset < 0 else '+'} {abs(offset)}" if offset else "")


class Count(Number, int):
    """A whole number."""


class Real(Number, float):
    """Any other number."""


class Scaled(OfRows):
    """A constant array times a power of m."""

    def __init__(self, formula: Formula) -> None:
        self.formula = formula
        self.shape, self.ndim = formula.factor.shape, formula.factor.ndim


class Filled(OfRows):
    """An array of one number."""

    def __init__(self, shape: tuple[int, ...], value: Any, dtype: np.dtype[Any]) -> None:
        self.shape, self.ndim, self.value, self.dtype = shape, len(shape), value, dtype


class Repeated(OfRows):
    """An array of the same row m times."""

    def __init__(self, shape: tuple[int, ...], row: Any) -> None:
        self.shape, self.ndim, self.row = shape, len(shape), row


class Counted(OfRows):
    """0, 1, 2, …, as many as `shape` says."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape, self.ndim = shape, 1


class Differs(Exception):
    """The derivations differ in more than numbers that come from the number of rows."""


class General(NamedTuple):
    """A derivation, and what is known of the shapes of inputs for which it holds."""

    derivation: Derivation
    shapes: tuple[tuple[int, ...], ...]  # in which an axis of m elements is marked
    is_general: bool = True  # or the shapes are the only ones
    # The derivation for one number of rows, and those where other axes are longer, with the numbers of these inputs
    base: Derivation | None = None
    others: tuple[tuple[tuple[int, ...], Derivation | None], ...] = ()
    # … and an axis of an input with two derivations of which one has a single element there, which fits to any other
    single: tuple[tuple[tuple[int, int], Derivation, Derivation], ...] = ()


class Examples(NamedTuple):
    """The shapes of a function's inputs, and some of their rows."""

    shapes: tuple[tuple[int, ...], ...]
    arrays: tuple[Any, ...]

    def resized(self, lengths: Mapping[tuple[int, int], int]) -> list[Any]:
        """Inputs in which the axes, each of an input, have these lengths; what they hold is repeated."""
        arrays = []
        for k, (shape, array) in enumerate(zip(self.shapes, self.arrays, strict=True)):
            for axis, n in enumerate(shape):
                n = lengths.get((k, axis), n)
                array = np.take(array, np.arange(n) % max(array.shape[axis], 1), axis)
            arrays.append(array)
        return arrays


def examples_of(arrays: Sequence[Any]) -> Examples:
    return Examples(tuple(a.shape for a in arrays), tuple(a[:MOST_ROWS].copy() if a.ndim else a for a in arrays))


def generalised(derivation: Derivation, examples: Examples, derive: Derive) -> General:
    """The derivation for any number of rows, if there is one; else that of the examples."""
    axes = [(k, axis, n) for k, shape in enumerate(examples.shapes) for axis, n in enumerate(shape)]
    if not axes:
        return General(derivation, examples.shapes)
    rows = axes[0][2]
    every = tuple((k, axis) for k, axis, n in axes if n == rows)
    leading = tuple((k, axis) for k, axis in every if axis == 0)
    for varied in dict.fromkeys((leading, every, leading[:1])):
        with suppress(Exception):  # whatever the function says to other numbers of rows
            return _compared(derivation, examples, derive, rows, varied)
    return General(derivation, examples.shapes, is_general=False)


def _compared(
    derivation: Derivation, examples: Examples, derive: Derive, rows: int, varied: Sequence[tuple[int, int]]
) -> General:
    """A derivation for other rows, marked where others differ from it. None has as many rows as another axis has
    elements, for then equal numbers would not say where they come from."""
    fixed = {n for k, shape in enumerate(examples.shapes) for axis, n in enumerate(shape) if (k, axis) not in varied}
    fixed |= {n for line in (*derivation.parameters, *derivation.captured.values()) for n in line.shape}
    fixed |= {0, 1, 2, rows}
    some = min(rows, MOST_ROWS)
    few = (n for n in range(some // 2, 2, -1) if n not in fixed)
    counts = [next(few, next(n for n in itertools.count(2 * some + 3) if n not in fixed))]
    counts.append(next(n for n in itertools.count(some + 1) if n not in fixed and n not in counts))
    others = [derive(examples.resized(dict.fromkeys(varied, count))) for count in counts]
    many = _many([d.size for d in others], counts, (MANY_ROWS, 2 * some + 9, some + 2))
    counts.append(next(n for n in itertools.count(many) if n not in fixed and n not in counts))
    others.append(derive(examples.resized(dict.fromkeys(varied, counts[2]))))
    m = Count(counts[0])
    m.formula = Formula(1, 1)
    shapes = tuple(
        tuple(m if (k, axis) in varied else n for axis, n in enumerate(shape))
        for k, shape in enumerate(examples.shapes)
    )
    marked = _Comparison([*others, derivation], [*counts, rows]).marked()
    base = dict.fromkeys(varied, counts[1])
    longer = tuple(_with_longer_axes(examples, derive, base))
    return General(marked, shapes, True, others[1], longer, tuple(_with_single_rows(examples, derive, base, others[1])))


def _many(sizes: Sequence[int], counts: Sequence[int], candidates: Sequence[int]) -> int:
    """A number of rows of which the function may take a part only, but not so many that memory would not do: arrays
    that grow with a power of the rows soon fill it."""
    power = math.log(sizes[1] / sizes[0]) / math.log(counts[1] / counts[0])
    fitting = (many for many in candidates if sizes[1] * (many / counts[1]) ** power <= MOST_ELEMENTS)
    return next(fitting, candidates[-1])


def _with_longer_axes(
    examples: Examples, derive: Derive, base: dict[tuple[int, int], int]
) -> Iterator[tuple[tuple[int, ...], Derivation | None]]:
    """What the function becomes where inputs have other shapes, with the numbers of these inputs; without the shapes of
    which it says by itself that they are wrong."""
    lengths = {(k, axis): n for k, shape in enumerate(examples.shapes) for axis, n in enumerate(shape)} | base
    fixed: dict[int, list[tuple[int, int]]] = {}
    for place in lengths.keys() - base.keys():
        fixed.setdefault(lengths[place], []).append(place)
    first = min(base)
    for places in (*([place] for place in lengths), *fixed.values()):
        with suppress(Exception):
            changed = derive(examples.resized(lengths | {place: lengths[place] + 1 for place in places}))
            if places == [first]:  # then what else is as long by chance must be looked at
                yield tuple({k for k, _ in base.keys() - {first}}), None
            else:
                yield tuple({k for k, _ in places}), changed


def _with_single_rows(
    examples: Examples, derive: Derive, base: dict[tuple[int, int], int], derivation: Derivation
) -> Iterator[tuple[tuple[int, int], Derivation, Derivation]]:
    """What the function becomes where one of two axes has a single element, if that fits: one that has m elements, or,
    where m is 1, another one."""
    for place in sorted(base.keys() - {min(base)}):
        with suppress(Exception):
            yield place, derive(examples.resized(base | {place: 1})), derivation
    ones = dict.fromkeys(base, 1)
    lengths = {2, *(n for shape in examples.shapes for n in shape if n > 1)}  # that may fit to others
    for place in [(k, axis) for k, shape in enumerate(examples.shapes) for axis, n in enumerate(shape) if n == 1]:
        for n in sorted(lengths) if place not in base else ():
            with suppress(Exception):
                yield place, derive(examples.resized(ones | {place: n})), derive(examples.resized(ones))


class _Comparison:
    """Derivations of one function for different numbers of rows, compared from their results backwards.

    The last is that of the examples. There, numbers that have nothing to do with each other may happen to be equal, and
    lines that differ in them are one, with one gradient. So what it computes is compared, but not how its gradients
    are.
    """

    def __init__(self, derivations: Sequence[Derivation], counts: Sequence[int]) -> None:
        self.derivations = derivations
        self.counts = counts
        self.given = {line: place for d in derivations for place, line in enumerate(d.given)}
        self.compared: dict[Line, tuple[Line, ...]] = {}  # lines of the first, with those of the others
        self.waiting: list[tuple[Line, ...]] = []

    def marked(self) -> Derivation:
        """The first of them, marked."""
        first = self.derivations[0]
        self._equal([list(d.captured) for d in self.derivations])
        first.value = self._marked([d.value for d in self.derivations])
        self._go_back()
        first.gradients = self._marked([d.gradients for d in self.derivations[:-1]])
        self._go_back()
        return first

    def _go_back(self) -> None:
        while self.waiting:
            lines = self.waiting.pop()
            if self._left_out(lines):
                continue
            line = lines[0]
            self._equal([self.given.get(each) for each in lines])
            self._equal([each.function for each in lines])
            self._equal([each.dtype for each in lines])
            names = [tuple(each.options) for each in lines]
            self._equal(names)
            args = self._marked([each.args for each in lines])
            values = self._marked([tuple(each.options.values()) for each in lines])
            line.args, line.options = args, dict(zip(names[0], values, strict=True))
            line.shape = self._marked([each.shape for each in lines])

    def _left_out(self, lines: tuple[Line, ...]) -> bool:
        """Whether this is a product with a number that is 1 or −1 with the rows of the examples, where it was left out
        or written as a negation. If so, what it is a product of is compared."""
        *others, last = lines
        line = others[0]
        if last.function is line.function or {each.function for each in others} - {MULTIPLY, DIVIDE, POWER}:
            return False
        k = int(isinstance(line.args[0], Line))  # which argument is the number
        number = self._marked([each.args[k] for each in others])
        if not isinstance(number, Number) or not np.isclose(abs(number.formula.at(self.counts[-1])), 1, rtol=1e-12):
            return False
        operand = last.args[0] if last.function is NEGATIVE else last
        operands = self._marked([*(each.args[1 - k] for each in others), operand])
        line.args = (operands, number) if k else (number, operands)
        line.shape = self._marked([each.shape for each in lines])
        return True

    def _equal(self, values: Sequence[Any]) -> None:
        if any(type(v) is not type(values[0]) or v != values[0] for v in values):
            raise Differs

    def _marked(self, values: Sequence[Any]) -> Any:
        """The first of the values, which are in the same place of each derivation; what differs is marked."""
        first = values[0]
        if isinstance(first, Line):
            if not all(isinstance(v, Line) for v in values):
                raise Differs
            if first not in self.compared:
                self.compared[first] = tuple(values)
                self.waiting.append(tuple(values))
            elif self.compared[first][: len(values)] != tuple(values):
                raise Differs
            return first
        if len({type(v) for v in values}) > 1:
            raise Differs
        if isinstance(first, list | tuple):
            self._equal([len(v) for v in values])
            return rebuilt(first, map(self._marked, zip(*values, strict=True)))
        if isinstance(first, slice):
            return slice(*map(self._marked, zip(*[(s.start, s.stop, s.step) for s in values], strict=True)))
        if isinstance(first, np.ndarray):
            return self._array(values)
        if isinstance(first, int | float | np.number) and len(set(map(repr, values))) > 1:
            whole = isinstance(first, int | np.integer)
            number: Number = Count(first) if whole else Real(first)
            number.formula = self._formula([v if whole else np.float64(v) for v in values], _precision(first))
            return number
        if isinstance(first, int | float | np.generic):
            self._equal(list(map(repr, values)))
        else:
            self._equal(values)
        return first

    def _array(self, values: Sequence[Any]) -> Any:
        first = values[0]
        self._equal([v.dtype for v in values])
        self._equal([v.ndim for v in values])
        shapes = [v.shape for v in values]
        if len(set(shapes)) == 1 and all(np.array_equal(v, first, equal_nan=first.dtype.kind == "f") for v in values):
            return first
        shape = self._marked(shapes)
        if all(v.size and np.all(v == v.flat[0]) for v in values):
            return Filled(shape, self._marked([v.flat[0] for v in values]), first.dtype)
        if len(set(shapes)) == 1 and first.dtype.kind == "f":
            return Scaled(self._formula(list(values), _precision(first)))
        if first.ndim == 1 and all(np.array_equal(v, np.arange(len(v))) for v in values):
            return Counted(shape)
        one = tuple(slice(1) if isinstance(n, Count) else slice(None) for n in shape)
        if len(set(shapes)) > 1 and all(np.array_equal(v, np.broadcast_to(v[one], v.shape)) for v in values):
            return Repeated(shape, self._marked([v[one] for v in values]))
        raise Differs

    def _formula(self, values: Sequence[Any], precision: float) -> Formula:
        """The formula that gives these numbers, or arrays of numbers."""
        (c, d), (m, n) = values[:2], self.counts[:2]
        for formula in _candidates(c, d, m, n, precision):
            if all(
                np.allclose(v, formula.at(count), rtol=precision, atol=precision * float(np.max(np.abs(c))))
                for v, count in zip(values, self.counts, strict=False)
            ):
                return formula
        raise Differs


def _precision(value: Any) -> float:
    dtype = np.asarray(value).dtype
    return 64 * float(np.finfo(dtype if dtype.kind == "f" else np.float64).eps)


def _candidates(c: Any, d: Any, m: int, n: int, precision: float) -> Iterator[Formula]:
    """Formulas that may give c of m and d of n."""
    whole = isinstance(c, int | np.integer)
    if whole:
        slope = int(d - c) // (n - m)
        yield Formula(slope, 1, offset=int(c) - slope * m)
    largest = np.argmax(np.abs(c))
    a, b = (float(np.asarray(v).flat[largest]) for v in (c, d))
    if a * b > 0:
        power = round(2 * math.log(a / b) / math.log(m / n)) / 2  # halves, too: roots
        power = int(power) if power == int(power) else power
        yield Formula(c // m**power if whole else _plain(c / float(m) ** power, precision), power)
    if np.ndim(c) == 0 and not whole and c != d:
        shift = round((d * n - c * m) / (c - d))
        yield Formula(_plain(c * (m + shift), precision), -1, shift)
        for power in (-1, 1):
            factor = (c - d) / (float(m) ** power - float(n) ** power)
            yield Formula(_plain(factor, precision), power, offset=_plain(c - factor * float(m) ** power, precision))


def _plain(factor: Any, precision: float) -> Any:
    """A number without the digits that rounding has left."""
    if np.ndim(factor):
        return factor
    short = float(f"{float(factor):.6g}")
    return short if abs(short - factor) <= precision * abs(short) else float(factor)
