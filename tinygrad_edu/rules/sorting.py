"""Sorting and partitioning: they move the elements to where their values belong, and the gradient is put back where
they came from.

What is looked for is the order in which the elements are sorted. `np.sort` is much faster than `np.argsort`, above all
than a stable one, so a long row is sorted as whole numbers that hold both a value and its place: the bits of a float,
read as an integer, increase with it (IEEE 754), and its last bits give way to the number of its place.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.operators import on_values, option
from ..autograd.primitives import implements, primitive, rule
from .movement import _numbers_along

SHORT, LONG = 64, 20_000  # rows from SHORT on are sorted with their places if elements are equal; from LONG on, always
MANY = 64  # one in so many may stand in a wrong place because its last bits are missing; else all are sorted anew


@on_values
def _order(x: Any, y: Any, axis: int) -> Any:
    """The order in which the elements of `x` are sorted, as in `y`; of equal ones the first comes first.

    A stable order takes longer to find, and is looked for only where there are equal elements.
    """
    x, y = (np.moveaxis(array, axis, -1) for array in (x, y))
    n = x.shape[-1]
    tied = n >= LONG or np.any(y[..., 1:] == y[..., :-1]) or np.any(np.isnan(y[..., -2:-1]))
    fits = x.dtype.kind == "f" and x.dtype.itemsize <= 8 and n >= SHORT and x.size > 0
    order = _order_with_places(x, y) if tied and fits else None
    if order is None:
        order = np.argsort(x, -1, kind="stable" if tied else None)
    return np.moveaxis(order, -1, axis)


def _order_with_places(x: Any, y: Any) -> Any:
    """The same along the last axis; None if there are NaNs, or too many numbers that differ in their last bits only."""
    n = x.shape[-1]
    if np.isnan(y[..., -1]).any():
        return None
    bits = (n - 1).bit_length()
    keys = (np.asarray(x, np.float64) + 0.0).view(np.int64)  # a copy, in which −0 is 0
    keys ^= (keys >> 63) & np.int64(2**63 - 1)  # of negative floats, the larger bits are those of the smaller ones
    keys &= np.int64(-1 << bits)
    keys |= np.arange(n)
    keys.sort(axis=-1)
    order = keys & np.int64((1 << bits) - 1)
    wrong = np.take_along_axis(x, order, -1) != y
    if wrong.any():
        rows, places = np.nonzero(np.reshape(wrong, (-1, n)))
        if places.size > x.size // MANY:
            return None
        keys >>= bits
        x, keys, numbers = (np.reshape(array, (-1, n)) for array in (x, keys, order))
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
