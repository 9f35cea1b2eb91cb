"""What lines do with the rows of a batch: where each has them, and how much work that is (see `blocks.py`).

The place of the rows is an axis, counted from the last one: −1, −2, …, as broadcasting counts. Rows may lie along it
several at a time: a batch of m sequences of t words, reshaped to (m t, k), is still cut between sequences.

`RULES` and `TRAITS` say for a function where the result has the rows, if the arguments have them in given places. A
rule raises `Mixes` where rows would meet; a function without a rule is taken to mix them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import EllipsisType, NoneType
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..autograd.broadcasting import sum_rows
from ..functional.layers import _linear
from ..rules.products import product
from ..rules.reductions import _chosen, _even_share
from ..rules.shape import _broadcast_to, _concatenate, _getitem, _reshape, _scatter, _transpose
from .helpers import function_of
from .lines import Line

ELEMENT = 25  # an element of other lines takes about as long as so many multiplications of a product

SUMMED = 0  # the place of a sum over the rows, of which each block has a share
At = Callable[[Any], int | None]  # the place of the rows in a line or an array, None where there are none
Rule = Callable[[Line, At], int]


class Mixes(Exception):
    """A line mixes rows, or it is not known that it does not."""


# What functions do with rows: where the result has them, if the arguments have them in the given places


def _each(line: Line, at: At) -> int:
    """Each element by itself, broadcast as by NumPy."""
    if any(isinstance(value, Line | np.ndarray) for value in line.options.values()):
        raise Mixes  # nobody says how these lie
    return _aligned(line, at)


def _aligned(line: Line, at: At) -> int:
    places = {place for value in line.values() if (place := at(value)) is not None}
    if len(places) > 1:
        raise Mixes
    return places.pop()


def _sum_of_each(line: Line, at: At) -> int:
    """A sum over something of each element: a loss; or nothing at all: a check, which nobody reads."""
    _aligned(line, at)
    return SUMMED


def _along(line: Line, at: At) -> int:
    """Something of whole lines along `axis`."""
    axes, place = _reduced(line, at)
    if place in axes:
        raise Mixes
    return place if line.ndim == line.args[0].ndim else place + sum(axis > place for axis in axes)


def _sum(line: Line, at: At) -> int:
    """Sums, or means, over `axis`."""
    if line.options.keys() - {"axis", "dtype", "keepdims"} or line.options.get("dtype") is not None:
        raise Mixes
    axes, place = _reduced(line, at)
    if place not in axes:
        return _along(line, at)
    if function_of(line.function) is np.mean and (line.dtype.char not in "fd" or line.args[0].dtype != line.dtype):
        raise Mixes
    return SUMMED


def _reduced(line: Line, at: At) -> tuple[set[int], int]:
    """The axes that are reduced, and that of the rows."""
    (x,) = line.args if len(line.args) == 1 else (None,)
    place, axis = at(x), line.options.get("axis")
    if x is None or place is None or line.options.keys() - {"axis", "dtype", "keepdims", "ddof"}:
        raise Mixes
    return {k - x.ndim for k in (range(x.ndim) if axis is None else normalize_axis_tuple(axis, x.ndim))}, place


def _sum_of_rows(line: Line, at: At) -> int:
    return SUMMED if at(line.args[0]) == -2 else -1


def _leading(line: Line, at: At) -> int:
    """Each row by itself, in an array of another shape."""
    x = line.args[0]
    if at(x) != -x.ndim or line.options.get("order", "C") != "C":
        raise Mixes
    return -line.ndim


def _product(line: Line, at: At) -> int:
    """a @ b."""
    a, b = map(at, line.args)
    if (a == -1 and b in (-2, None)) or (a is None and b == -2):
        return SUMMED
    if (a is not None and a < -2 and b in (a, None)) or (a == -2 and b is None):
        return a
    if b is not None and b != -2 and a is None:
        return b
    raise Mixes


def _layer(line: Line, at: At) -> int:
    """x @ weight + bias."""
    place, *others = map(at, line.args)
    if place is None or place == -1 or others != [None, None]:
        raise Mixes
    return place


def _repeated(line: Line, at: At) -> int:
    if (place := at(line.args[0])) is None:
        raise Mixes
    return place


def _turned(line: Line, at: At) -> int:
    place, n = _repeated(line, at), line.ndim
    return [axis % n for axis in line.options["axes"]].index(place % n) - n


def _joined(line: Line, at: At) -> int:
    if (place := _each(line, at)) == line.options["axis"] - line.ndim:
        raise Mixes
    return place


def _part_of_each(line: Line, at: At) -> int:
    """Elements of each row, which is all that slices and numbers behind a colon take."""
    index = line.options["index"]
    first, *others = index if isinstance(index, tuple) and index else (None,)
    kinds = (slice, int, np.int64, EllipsisType, NoneType)
    if not (isinstance(first, slice) and first == slice(None)) or any(type(k) not in kinds for k in others):
        raise Mixes
    return _leading(line, at)


TRAITS = {"each": _each, "along": _along, "leading": _leading, "sum": _sum_of_each}
RULES: dict[Any, Rule] = {
    **dict.fromkeys((np.sum, np.mean), _sum),
    **dict.fromkeys((np.max, np.min, np.prod, np.var, np.std, np.any, np.all, np.argmax, np.argmin), _along),
    **dict.fromkeys((np.zeros_like, np.ones_like, np.astype), _each),
}
for _function, _rule in (
    (sum_rows, _sum_of_rows),
    (product, _product),
    (_linear, _layer),
    (_transpose, _turned),
    (_reshape, _leading),
    (_broadcast_to, _repeated),
    (_concatenate, _joined),
    (_getitem, _part_of_each),
    (_scatter, _part_of_each),
    (_chosen, _each),
    (_even_share, _each),
):
    RULES[function_of(_function)] = _rule
PRODUCTS = {function_of(product), function_of(_linear)}
BROADCAST = (_each, _sum_of_each, _joined)  # what has no rows, but as many elements there, is cut, too


def rule_of(line: Line) -> Rule:
    function: Any = function_of(line.function)
    if function in RULES:
        return RULES[function]
    if (trait := getattr(line.function, "rows", None)) is not None:
        return TRAITS[trait]
    is_ufunc = isinstance(function, np.ufunc) and function.signature is None and function.nout == 1
    return _each if is_ufunc or getattr(line.function, "elementwise", False) else _unknown


def _unknown(line: Line, at: At) -> int:
    raise Mixes


class Kinds:
    """Which lines of a derivation have rows, and where, and in which stage each is computed."""

    def __init__(self, lines: Sequence[Line], leaves: Sequence[Any]) -> None:
        """`leaves` are lines that are given, and arrays; those that are as long as the largest one have the rows."""
        self.rows: int = max(leaves, key=lambda leaf: math.prod(leaf.shape)).shape[0]
        if self.rows < 2:
            raise Mixes
        self._leaves = {id(leaf) for leaf in leaves if leaf.shape[0] == self.rows}
        self.place: dict[Line, int] = {}  # of those that are computed in blocks
        self.stage: dict[Line, int] = {}
        self.counts: dict[Line, int] = {}  # what sums are divided by, to be means
        self.work = 0
        for line in lines:
            if any(self.at(value) is not None for value in line.values()):
                place = self.place[line] = rule_of(line)(line, self.at)
                if place != SUMMED and (line.ndim < -place or not line.shape[place] or line.shape[place] % self.rows):
                    raise Mixes
                self.work += _work(line)
                if place == SUMMED and function_of(line.function) is np.mean:
                    self.counts[line] = math.prod(line.args[0].shape) // math.prod(line.shape)
            elif getattr(line.function, "draws", False):
                raise Mixes
            elif self.is_moved_sum(line):
                self.place[line] = SUMMED
                self.counts.update((line, self.counts[x]) for x in line.operands() if x in self.counts)
            own = self.is_moved_sum(line)
            after = ((x, self.place.get(x) == SUMMED and not own) for x in line.operands())
            self.stage[line] = max((self.stage.get(x, 0) + is_sum for x, is_sum in after), default=0)

    def at(self, value: Any) -> int | None:
        """Where a line or an array has the rows."""
        return -value.ndim if id(value) in self._leaves else (isinstance(value, Line) and self.place.get(value)) or None

    def broadcast(self, line: Line, k: int | None = None) -> set[tuple[int, int]]:
        """The places, each with its length, along which the k-th argument (or an option) meets rows: one without rows
        that is as long is cut there, too."""
        rule = rule_of(line)
        if rule is _product and self.place[line] == SUMMED:
            return {(-1, line.args[0].shape[-1])} if k == 0 else {(-2, line.args[1].shape[-2])}
        of_rows = {(at, value.shape[at]) for value in line.values() if (at := self.at(value)) is not None}
        return of_rows if rule in BROADCAST or (rule is _product and self.place[line] < -2) else set()

    def is_moved_sum(self, line: Line) -> bool:
        """Whether its elements are those of a sum; then each block moves its share."""
        operands = list(line.operands())
        return (
            len(operands) == 1
            and self.place.get(operands[0]) == SUMMED
            and getattr(line.function, "moves", False)
            and math.prod(line.shape) == math.prod(operands[0].shape)
        )


def _work(line: Line) -> int:
    """About how long a line takes, in bytes of numbers that are multiplied in a product."""
    if function_of(line.function) in PRODUCTS:
        return math.prod(line.shape) * int(line.args[0].shape[-1]) * line.dtype.itemsize
    if getattr(line.function, "moves", False):
        return 0
    return ELEMENT * max(math.prod(x.shape) * x.dtype.itemsize for x in (line, *line.operands()))
