"""Rules of functions that rearrange elements: reshaping, joining, indexing."""

from __future__ import annotations

import copy
import functools
import operator
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from ..autograd.operators import constant, refuse
from ..autograd.primitives import FUNCTIONS, implements, primitive, rule
from ..autograd.record import Operand
from ..autograd.recording import plain


def _shape_after(function: Callable[..., Any], a: Any, *args: Any) -> tuple[int, ...]:
    """The shape that a NumPy function would give `a`, with NumPy's own checks, without touching the values."""
    return function(np.broadcast_to(np.empty(()), a.shape), *args).shape  # type: ignore[no-any-return]


# The same elements in another shape


@primitive(moves=True)
def _reshape(x: Any, *, shape: Any, order: str) -> Any:
    return np.reshape(x, shape, order=order)  # type: ignore[call-overload]


rule(_reshape, lambda g, x_shape, *, shape, order: np.reshape(g, x_shape, order=order))


@implements(np.reshape)
def reshape(a: Any, shape: Any = None, order: Any = "C", *, copy: bool | None = None) -> Any:
    if copy is not None:
        refuse(np.reshape, {"copy": copy}, "copy")
    if order == "A":  # Fortran's order if the values are stored in it
        values = np.asarray(plain(a))  # raises for a symbol, which has no layout
        order = "F" if values.flags.fnc else "C"
    if order not in ("C", "F"):
        raise ValueError(f"reshape: order must be 'C', 'F' or 'A', not {order!r}")
    return _reshape(a, shape=shape, order=order)


@implements(np.ravel)
def ravel(a: Any, order: Any = "C") -> Any:
    if order == "K":  # in the order of memory
        strides = np.asarray(plain(a)).strides
        a, order = np.transpose(a, np.argsort([-abs(stride) for stride in strides], kind="stable")), "C"
    flat = reshape(a, -1, order)
    # NumPy gives a view only of what lies in one piece, and `reshape` also of what lies at equal distances.
    return flat if flat._value.flags.c_contiguous else np.copy(flat)


@implements(np.expand_dims)
def expand_dims(a: Any, axis: Any) -> Any:
    return reshape(a, _shape_after(np.expand_dims, a, axis))


@implements(np.squeeze)
def squeeze(a: Any, axis: Any = None) -> Any:
    return reshape(a, _shape_after(np.squeeze, a, axis))


def _widening(function: Callable[..., Any]) -> Callable[..., Any]:
    def widen(*arrays: Any) -> Any:
        wide = tuple(reshape(a, _shape_after(function, a)) if isinstance(a, Operand) else function(a) for a in arrays)
        return wide[0] if len(wide) == 1 else wide

    return widen


_function: Any
for _function in (np.atleast_1d, np.atleast_2d, np.atleast_3d):
    FUNCTIONS[_function] = _widening(_function)


@primitive(moves=True)
def _broadcast_to(x: Any, *, shape: Any) -> Any:
    return np.broadcast_to(x, shape)


rule(_broadcast_to, lambda g, *, shape: g)  # the engine undoes broadcasting, here as everywhere


@implements(np.broadcast_to)
def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    return _broadcast_to(array, shape=shape)


@implements(np.broadcast_arrays)
def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    shape = np.broadcast_shapes(*map(np.shape, args))
    return tuple(np.broadcast_to(a, shape) for a in args)


@implements(np.full_like)
def full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None
) -> Any:
    shape = np.shape(a) if shape is None else np.empty(shape).shape
    fill_value = _without_leading(fill_value, len(shape))
    return np.astype(np.broadcast_to(fill_value, shape), dtype or a.dtype)


def _without_leading(value: Any, ndim: int) -> Any:
    """`value` without axes of length 1 before its last `ndim`: NumPy's assignments take no notice of them."""
    shape = np.shape(value)
    extra = len(shape) - ndim
    return np.reshape(value, shape[extra:]) if extra > 0 and set(shape[:extra]) == {1} else value


# The axes in another order


@primitive(moves=True)
def _transpose(x: Any, *, axes: tuple[int, ...]) -> Any:
    return np.transpose(x, axes)


rule(_transpose, lambda g, *, axes: np.transpose(g, tuple(map(axes.index, range(len(axes))))))


@functools.cache
def _stand_in(ndim: int) -> Any:
    """An array whose axis k has size k, so that the shape that NumPy gives it is the permutation."""
    return np.empty(range(ndim))


def _permuting(function: Callable[..., Any]) -> Callable[..., Any]:
    def permute(a: Any, *args: Any, **options: Any) -> Any:
        return _transpose(a, axes=function(_stand_in(a.ndim), *args, **options).shape)

    return permute


for _function in (np.transpose, np.swapaxes, np.moveaxis, np.rollaxis):
    FUNCTIONS[_function] = _permuting(_function)

# Indexing

LONG = 512  # a few rows of so many numbers are added one by one in less time than by `np.add.at`


def _add_at(array: Any, g: Any, *, index: Any) -> None:
    """Adds to `array` in place what `_scatter` would give, so that a loop over samples takes linear time."""
    if _is_basic(index):
        array[index] += g
    elif isinstance(index, tuple) and isinstance(index[-1], np.ndarray) and all(map(_is_all, index[:-1])):
        k, n = len(index) - 1, index[-1].ndim  # along a later axis
        _add_at(np.moveaxis(array, k, 0), np.moveaxis(g, range(k, k + n), range(n)), index=index[-1])
    elif isinstance(index, np.ndarray) and index.size > 200 and array.ndim > 1:
        _add_rows(array, np.reshape(g, (index.size, *array.shape[1:])), index.ravel().astype(np.intp) % len(array))
    elif isinstance(index, np.ndarray) and index.ndim == 1 and g.size >= LONG * index.size:
        for place, row in zip(index.tolist(), g, strict=True):
            array[place] += row
    elif isinstance(index, np.ndarray) and array.ndim == 2 and g.size > 400 and array.flags.c_contiguous:
        # One by one in the same order, in a third of the time: `np.add.at` is quick for one axis only.
        places = index.reshape(-1, 1).astype(np.intp) * array.shape[1] + np.arange(array.shape[1])
        np.add.at(array.reshape(-1), places.reshape(-1), g.reshape(-1))
    else:
        np.add.at(array, index, g)


def _add_rows(array: Any, g: Any, index: Any) -> None:
    """Adds each row of `g` to the row of `array` at its index, in less than half of the time that `np.add.at` takes."""
    order = np.argsort(index, kind="stable")
    places = index[order]
    starts = np.flatnonzero(np.concatenate(([True], places[1:] != places[:-1])))
    if index.size > 8 * starts.size:  # many rows for each place: summed, place by place
        if g.size < 64 * len(g):
            array[places[starts]] += np.add.reduceat(g[order], starts, axis=0)
            return
        for place, rows in zip(places[starts], np.split(order, starts[1:]), strict=True):  # of long rows
            array[place] += np.add.reduce(g[rows], axis=0)
        return
    # The first rows of all places at once, then the second ones, …
    rank = np.arange(index.size) - np.repeat(starts, np.diff(np.append(starts, index.size)))
    for k in range(int(rank.max()) + 1):
        rows = order[rank == k]
        array[index[rows]] += g[rows]


def _occurs_once(index: Any, shape: Any) -> bool:
    """Whether no row occurs twice among many; of few it is not worth finding out."""
    if isinstance(index, tuple) and all(map(_is_all, index[:-1])):
        shape, index = shape[len(index) - 1 :], index[-1]
    if not isinstance(index, np.ndarray) or index.size <= 200 or len(shape) < 2:
        return False
    return bool(np.bincount(index.ravel().astype(np.intp) % shape[0]).max() == 1)


def _is_all(index: Any) -> bool:
    return isinstance(index, slice) and index == slice(None)


def _is_basic(index: Any) -> bool:
    """Whether no element can occur twice: slices, single integers and masks."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(
        p is None
        or p is Ellipsis
        or isinstance(p, int | np.integer | slice)
        or (isinstance(p, np.ndarray) and p.dtype.kind == "b")
        for p in parts
    )


@primitive(moves=True, adds=_add_at)
def _getitem(x: Any, *, index: Any) -> Any:
    return x[index]


@primitive
def _scatter(x: Any, *, index: Any, shape: tuple[int, ...]) -> Any:
    """Zeros of `shape` with `x` added at `index`; an element that is indexed twice gets both."""
    out = np.zeros(shape, np.result_type(x))
    if _is_basic(index) or _occurs_once(index, shape):
        out[index] = x
    else:
        _add_at(out, x, index=index)
    return out


rule(_getitem, lambda g, x_shape, *, index: _scatter(g, index=index, shape=x_shape), new=True)
rule(_scatter, lambda g, *, index, shape: g[index])


@implements(operator.getitem)
def getitem(a: Any, index: Any) -> Any:
    return _getitem(a, index=index if index.__class__ in (int, slice) else _frozen(plain(index)))


@primitive
def _setitem(x: Any, value: Any, *, index: Any) -> Any:
    y = np.array(x)
    y[index] = value
    return y


def _of_the_last(g: Any, *, index: Any) -> Any:
    """The elements at an index; where a place occurs twice, for the last one, whose value stays."""
    taken = g[index]
    if _is_basic(index):
        return taken
    order = np.arange(taken.size).reshape(taken.shape)
    places = np.zeros(g.shape, int)
    places[index] = order
    return np.where(places[index] == order, taken, 0)


rule(_setitem, lambda g, *, index: _setitem(g, 0, index=index), _of_the_last)


@implements(operator.setitem)
def setitem(a: Any, index: Any, value: Any) -> Any:
    """`a` with `value` at `index`, anew."""
    index = _frozen(plain(index))
    value = _without_leading(value, np.ndim(np.broadcast_to(0, np.shape(a))[index]))
    return _setitem(a, value, index=index)


def _frozen(index: Any) -> Any:
    """The index with its arrays copied, since the user may change them before the rule reads them."""
    if isinstance(index, tuple):
        return tuple(_frozen(i) for i in index)
    return index.copy() if isinstance(index, np.ndarray) else copy.deepcopy(index) if isinstance(index, list) else index


# Joining


@primitive(selects=True)
def _concatenate(*arrays: Any, axis: int, starts: Sequence[int]) -> Any:
    return np.concatenate(arrays, axis=axis)


rule(
    _concatenate,
    each=lambda i: lambda g, *, axis, starts: g[(slice(None),) * axis + (slice(starts[i], starts[i + 1]),)],
)


@implements(np.concatenate)
def concatenate(
    arrays: Sequence[Any], /, axis: Any = 0, out: None = None, *, dtype: None = None, casting: str | None = None
) -> Any:
    refuse(np.concatenate, {"out": out, "dtype": dtype}, "out", "dtype")
    if casting not in (None, "same_kind"):  # NumPy's default
        refuse(np.concatenate, {"casting": casting}, "casting")
    if axis is None:
        arrays, axis = [np.ravel(a) for a in arrays], 0
    ndim = np.ndim(arrays[0])
    if ndim and -ndim <= axis < ndim:  # otherwise NumPy says what is wrong
        axis %= ndim
        starts = tuple(accumulate((np.shape(a)[axis] for a in arrays), initial=0))
    else:
        starts = ()
    return _concatenate(*arrays, axis=axis, starts=starts)


@implements(np.stack)
def stack(arrays: Sequence[Any], axis: int = 0, out: None = None, **options: Any) -> Any:
    arrays = list(arrays)
    shapes = {np.shape(a) for a in arrays}
    if len(shapes) > 1:
        raise ValueError(f"stack: all tensors must have the same shape, got {sorted(shapes)}")
    return concatenate([np.expand_dims(a, axis) for a in arrays], axis, out, **options)


def _at_least(ndim: int, a: Any) -> Any:
    return a if np.ndim(a) >= ndim else np.reshape(a, (1,) * (ndim - np.ndim(a)) + np.shape(a))


@implements(np.hstack)
def hstack(tup: Sequence[Any], **options: Any) -> Any:
    arrays = [_at_least(1, a) for a in tup]
    return concatenate(arrays, 0 if np.ndim(arrays[0]) == 1 else 1, **options)


@implements(np.vstack)
def vstack(tup: Sequence[Any], **options: Any) -> Any:
    return concatenate([_at_least(2, a) for a in tup], 0, **options)


@implements(np.column_stack)
def column_stack(tup: Sequence[Any]) -> Any:
    return concatenate([a if np.ndim(a) > 1 else np.reshape(a, (-1, 1)) for a in tup], 1)


@implements(np.dstack)
def dstack(tup: Sequence[Any]) -> Any:
    return concatenate([np.atleast_3d(a) for a in tup], 2)


@implements(np.block)
def block(arrays: Any) -> Any:
    depth, first = 0, arrays
    while isinstance(first, list):
        if not first:
            raise ValueError("block: a list is empty")
        depth, first = depth + 1, first[0]
    ndim = max(depth, *(np.ndim(part) for part in _flat(arrays)))

    def joined(part: Any, depth: int) -> Any:
        if isinstance(part, list) != (depth > 0):
            raise ValueError("block: all lists must be nested to the same depth")
        return concatenate([joined(p, depth - 1) for p in part], -depth) if depth else _at_least(ndim, part)

    return joined(arrays, depth) if depth else np.copy(arrays)


def _flat(part: Any) -> list[Any]:
    return [p for inner in part for p in _flat(inner)] if isinstance(part, list) else [part]


@implements(np.append)
def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    return concatenate((arr, values), axis)


constant(np.shape, np.ndim, np.size, np.zeros_like, np.ones_like, np.empty_like, np.result_type, np.iscomplexobj)
constant(np.common_type, np.min_scalar_type, np.can_cast, np.shares_memory, np.may_share_memory, np.lexsort)
constant(np.diag_indices_from, np.tril_indices_from, np.triu_indices_from, np.array2string, np.array_repr, np.array_str)
