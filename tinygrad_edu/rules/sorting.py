"""Sorting and partitioning: they move the elements to where their values belong, and the gradient is put back where
they came from.

What is looked for is the order in which the elements are sorted. `np.sort` is much faster than `np.argsort`, above all
than a stable one, so a long row is sorted as whole numbers that hold both a value and its place: the bits of a float,
read as an integer, increase with it (IEEE 754). Counted from those of the smallest value they are few where values are
close together; if they are too many, the last ones give way to the number of the place.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.operators import on_values, option
from ..autograd.primitives import implements, primitive, rule
from .movement import _numbers_along

SHORT = 64  # rows from here on are sorted with their places
MANY = 64  # one in so many may stand in a wrong place because its last bits are missing; else all are sorted anew


@on_values
def _order(x: Any, y: Any, axis: int) -> Any:
    """The order in which the elements of `x` are sorted, as in `y`; of equal ones the first comes first.

    A stable order takes longer to find, and is looked for only where there are equal elements.
    """
    x, y = (np.moveaxis(array, axis, -1) for array in (x, y))
    fits = x.dtype.kind == "f" and x.dtype.itemsize <= 8 and x.shape[-1] >= SHORT and x.size > 0
    order = _order_with_places(x, y) if fits else None
    if order is None:
        tied = np.any(y[..., 1:] == y[..., :-1]) or np.any(np.isnan(y[..., -2:-1]))
        order = np.argsort(x, -1, kind="stable" if tied else None)
    return np.moveaxis(order, -1, axis)


def _order_with_places(x: Any, y: Any) -> Any:
    """The same along the last axis; None if there are NaNs, or too many numbers that differ in their last bits only."""
    n = x.shape[-1]
    if np.isnan(y[..., -1]).any():
        return None
    bits, width = (n - 1).bit_length(), 8 * x.dtype.itemsize
    keys = np.add(x, 0.0, order="C").view(f"i{x.dtype.itemsize}")  # a copy, in which −0 is 0
    keys ^= (keys >> (width - 1)) | np.iinfo(keys.dtype).min  # all bits of negative floats, the sign of the others
    keys = keys.view(f"u{x.dtype.itemsize}").astype(np.uint64, copy=False)
    lost = 0
    if width + bits > 64:
        least = keys.min()
        lost = max(0, int(keys.max() - least).bit_length() + bits - 64)
        keys -= least
        keys >>= lost
    keys <<= bits
    keys |= np.arange(n, dtype=np.uint64)
    keys.sort(axis=-1)
    order = (keys & ((1 << bits) - 1)).view(np.int64)
    if lost and (close := (keys[..., 1:] ^ keys[..., :-1]) < 1 << bits).any():  # equal but for what was lost
        rows, places = np.nonzero(np.reshape(close, (-1, n - 1)))
        places += 1
        x, y, keys, numbers = (np.reshape(array, (-1, n)) for array in (x, y, keys, order))
        wrong = x[rows, numbers[rows, places]] != y[rows, places]
        rows, places = rows[wrong], places[wrong]
        if places.size > x.size // MANY:
            return None
        keys >>= bits
        for row in np.unique(rows):
            same = keys[row, places[rows == row]]
            starts, ends = (np.searchsorted(keys[row], np.unique(same), side) for side in ("left", "right"))
            for start, end in zip(starts, ends, strict=True):
                part = numbers[row, start:end]
                part[:] = part[np.argsort(x[row, part], kind="stable")]
    return order


@primitive(selects=True)
def _reordered(x: Any, *, order: Any, axis: int) -> Any:
    """Each element put where `order` says: what `np.take_along_axis` of the same order undoes."""
    y = np.empty(x.shape, x.dtype)
    np.reshape(y, -1)[_numbers_along(axis, order, x.shape)] = x
    return y


rule(_reordered, lambda g, *, order, axis: np.take_along_axis(g, order, axis), new=True)


@primitive(selects=True)
def _sort(x: Any, *, axis: int, kind: Any, order: Any, stable: Any) -> Any:
    return np.sort(x, axis, kind, order, stable=stable)


@primitive(selects=True)
def _partition(x: Any, *, kth: Any, axis: int, kind: Any, order: Any) -> Any:
    return np.partition(x, kth, axis, kind, order)


rule(
    _sort,
    lambda g, y, x, *, axis, kind, order, stable: _reordered(g, order=_order(x, y, axis), axis=axis),
    new=True,
)


def _unpartitioned(g: Any, y: Any, x: Any, axis: int) -> Any:
    """The gradient put back by way of what both are when they are sorted."""
    in_order = np.sort(x, axis)
    g = np.take_along_axis(g, _order(y, in_order, axis), axis)
    return _reordered(g, order=_order(x, in_order, axis), axis=axis)


rule(_partition, lambda g, y, x, *, kth, axis, kind, order: _unpartitioned(g, y, x, axis), new=True)


@implements(np.sort)
def sort(a: Any, axis: int | None = -1, kind: Any = None, order: None = None, *, stable: Any = None) -> Any:
    a, axis = (np.ravel(a), 0) if axis is None else (a, axis)
    return _sort(a, axis=axis, kind=kind, order=order, stable=stable)


@implements(np.partition)
def partition(a: Any, kth: Any, axis: int | None = -1, kind: Any = "introselect", order: None = None) -> Any:
    a, axis = (np.ravel(a), 0) if axis is None else (a, axis)
    return _partition(a, kth=option(kth, "partition: kth"), axis=axis, kind=kind, order=order)
