"""Ufuncs' keywords and methods: `np.divide(a, b, out=…, where=…)`, `np.maximum.reduce`, `np.add.outer` and so on.

What is entered under `np.ufunc.reduce` is called for every ufunc; what is entered under `np.add.reduce` for this one.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd.assignment import joined
from ..autograd.operators import look_up, refuse
from ..autograd.primitives import FUNCTIONS, NAMED, implements, primitive, rule
from ..autograd.recording import holds_operand, interpreter, is_constant, plain
from ..autograd.views import owned
from .elementwise import in_dtype
from .running import axis_to_run_along
from .shape import _frozen, _scatter

_GIVEN: Any = np._NoValue


@implements(np.ufunc.__call__)
def call_ufunc(
    ufunc: Any,
    *inputs: Any,
    out: Any = (None,),
    where: Any = True,
    dtype: Any = None,
    casting: Any = None,
    **options: Any,
) -> Any:
    """A call with keywords. What where= leaves out keeps the value of out=, and takes no part in the derivative, also
    where the function has none there (0/0)."""
    (out,) = out if len(out) == 1 else (None,)
    if out is None and where is not True:
        raise TypeError(
            f"{ufunc.__name__}: with where= but without out=, the other elements are undefined. Give out=, or write "
            "np.where(mask, ..., other), with harmless numbers in place of what the mask leaves out"
        )
    if out is not None and where is True and not holds_operand(out):
        raise TypeError(
            f"{ufunc.__name__} cannot write a Tensor's result into an array (out=, or `array += tensor`): the "
            "gradient could not flow through it. Write a = a + t instead of a += t"
        )
    if dtype is not None or casting is not None or where is not True:
        inputs = tuple(_in_loop(ufunc, inputs, dtype, casting, where))
    y = look_up(ufunc, inputs)(*inputs, **options)
    return y if out is None else _written(ufunc, y, out, where, casting or "same_kind")


def _in_loop(ufunc: Any, inputs: Any, dtype: Any, casting: Any, where: Any) -> Any:
    """The arguments in the dtypes in which the ufunc computes, with harmless numbers where they are left out."""
    arrays = [x if holds_operand(x) or x.__class__ in (int, float) else np.asarray(x) for x in inputs]
    kinds = [x.__class__ if x.__class__ in (int, float) else x.dtype for x in arrays]
    given = {} if dtype is None else {"signature": (*(None,) * ufunc.nin, *(np.dtype(dtype),) * ufunc.nout)}
    loop = ufunc.resolve_dtypes((*kinds, *(None,) * ufunc.nout), casting=casting or "same_kind", **given)
    for x, d in zip(arrays, loop[: ufunc.nin], strict=True):
        x = in_dtype(x, d) if holds_operand(x) else np.asarray(x, d)
        harmless = 1 if d.kind in "iub" else 2 if ufunc is np.arccosh else 0.5
        yield x if where is True else np.where(where, x, d.type(harmless))


def _written(ufunc: Any, y: Any, out: Any, where: Any, casting: Any) -> Any:
    if not np.can_cast(y.dtype, out.dtype, casting):
        raise TypeError(f"{ufunc.__name__}: a result of {y.dtype} does not go into out= of {out.dtype} ({casting=})")
    y = np.where(where, y, out)
    y = y if y.dtype == out.dtype else np.astype(y, out.dtype)
    if y.shape != out.shape:
        raise ValueError(f"{ufunc.__name__}: a result of shape {y.shape} does not fit into out= of shape {out.shape}")
    traced = interpreter().lines is not None
    if holds_operand(out):
        if not traced:  # a derivation knows no assignments
            out[...] = y
        return y
    # Whoever reads on in the plain array, instead of the result, would lose the gradient: then there are no numbers.
    out[...] = np.nan if traced or holds_operand(y) else y
    return y


@implements(np.ufunc.outer)
def outer_of(ufunc: Any, a: Any, b: Any, **options: Any) -> Any:
    return ufunc(np.reshape(a, np.shape(a) + (1,) * np.ndim(b)), b, **options)


# Reductions


def _rows_along(array: Any, axis: Any) -> Any:
    """The array with `axis`, or several of them as one, in front."""
    ndim, shape = np.ndim(array), np.shape(array)
    named = () if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = range(ndim) if axis is None or not ndim else [k % ndim for k in named]
    rest = [k for k in range(ndim) if k not in axes]
    count = math.prod(shape[k] for k in axes)
    return np.reshape(np.transpose(array, (*axes, *rest)), (count, *(shape[k] for k in rest)))


def _fold_left(ufunc: Any, rows: Any, *start: Any) -> Any:
    parts = iter([*start, *rows])
    y = next(parts)
    for part in parts:
        y = ufunc(y, part)
    return y


def _fold_chosen(ufunc: Any, rows: Any, chosen: Any, y: Any) -> Any:
    """The same with those of each row that are chosen; the others are something harmless."""
    for part, mask in zip(rows, chosen, strict=True):
        y = np.where(mask, ufunc(y, part), y)
    return y


@implements(np.ufunc.reduce)
def reduce_by(
    ufunc: Any,
    array: Any,
    axis: Any = 0,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = _GIVEN,
    where: Any = True,
) -> Any:
    """From the first element to the last, one by one."""
    refuse(ufunc.reduce, {"out": out}, "out")
    array = in_dtype(array, dtype)
    ufunc.reduce(np.ones((1,) * np.ndim(array), array.dtype), axis=axis)  # says what is wrong
    start = ufunc.identity if initial is _GIVEN else initial
    if where is not True:
        if start is None:
            raise ValueError(f"{ufunc.__name__}.reduce: it has no identity, so where= needs initial=")
        array = np.where(where, array, 1 if ufunc.identity is None else ufunc.identity)
    rows = _rows_along(array, axis)
    if start is None and not len(rows):
        raise ValueError(f"{ufunc.__name__}.reduce: of no elements, and there is no identity")
    first = () if start is None else (np.full(rows.shape[1:], start, array.dtype),)
    if where is not True and ufunc.identity is None:
        y = _fold_chosen(ufunc, rows, _rows_along(np.broadcast_to(where, array.shape), axis), *first)
    else:
        y = _fold_left(ufunc, rows, *first)
    kept = [1 if axis is None or k in np.atleast_1d(axis) % np.ndim(array) else n for k, n in enumerate(array.shape)]
    return np.reshape(y, kept) if keepdims else y


def _reduced_by(function: Any) -> Any:
    return lambda array, **options: function(array, **{"axis": 0} | options)


FUNCTIONS[np.add.reduce] = _reduced_by(np.sum)
FUNCTIONS[np.multiply.reduce] = _reduced_by(np.prod)
FUNCTIONS[np.maximum.reduce] = _reduced_by(lambda array, *, dtype=None, **how: np.max(in_dtype(array, dtype), **how))
FUNCTIONS[np.minimum.reduce] = _reduced_by(lambda array, *, dtype=None, **how: np.min(in_dtype(array, dtype), **how))
FUNCTIONS[np.logical_and.reduce] = _reduced_by(np.all)
FUNCTIONS[np.logical_or.reduce] = _reduced_by(np.any)


@implements(np.logaddexp.reduce)
def log_sum_of_exponentials(array: Any, *, axis: Any = 0, keepdims: bool = False, **options: Any) -> Any:
    if options or array.dtype.kind != "f":
        return reduce_by(np.logaddexp, array, axis, keepdims=keepdims, **options)
    return NAMED["logsumexp"](array, axis=axis, keepdims=keepdims)  # by name: `functional`, which defines it, is above


@implements(np.ufunc.accumulate)
def accumulate_by(ufunc: Any, array: Any, axis: int | None = 0, dtype: Any = None, out: Any = None) -> Any:
    refuse(ufunc.accumulate, {"out": out}, "out")
    axis = axis_to_run_along(array, axis)
    array = in_dtype(array, dtype)
    found: list[Any] = []
    for row in np.moveaxis(array, axis, 0):
        found.append(ufunc(found[-1], row) if found else row)
    return np.stack(found, axis) if found else array


# Reductions of parts


@primitive
def _sums_of_parts(x: Any, *, starts: Any) -> Any:
    return np.add.reduceat(x, starts, axis=0)


def _lengths_of_parts(starts: Any, n: int) -> Any:
    """How many elements each part has: those up to the next start, or where that is not behind, one."""
    return np.maximum(1, np.append(starts[1:], n) - starts)


def _to_parts(g: Any, shape: tuple[int, ...], starts: Any) -> Any:
    lengths = _lengths_of_parts(starts, shape[0])
    elements = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths) + np.arange(np.sum(lengths))
    return _scatter(np.repeat(g, lengths, axis=0), index=elements, shape=shape)


rule(_sums_of_parts, lambda g, x_shape, *, starts: _to_parts(g, x_shape, starts), new=True)


@implements(np.ufunc.reduceat)
def reduce_parts(ufunc: Any, array: Any, indices: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
    refuse(ufunc.reduceat, {"out": out}, "out")
    rows = np.moveaxis(in_dtype(array, dtype), axis, 0)
    starts = np.array(plain(indices), np.intp)
    np.add.reduceat(np.zeros(len(rows)), starts)  # says what is wrong
    if ufunc is np.add:
        return owned(np.moveaxis(_sums_of_parts(rows, starts=starts), 0, axis))
    parts = zip(starts.tolist(), _lengths_of_parts(starts, len(rows)).tolist(), strict=True)
    found = [_fold_left(ufunc, rows[k : k + n]) for k, n in parts]
    return np.stack(found, axis) if found else np.moveaxis(rows[:0], 0, axis)


@implements(np.ufunc.at)
def change_at(ufunc: Any, a: Any, indices: Any, *b: Any) -> None:
    """What `a[indices] = ufunc(a[indices], *b)` does; only sums count an index that occurs twice."""
    who = f"{ufunc.__name__}.at"
    if not holds_operand(a):
        raise TypeError(
            f"{who} cannot change a plain array by a tensor: the gradient could not flow through it. Make it a tensor "
            "(`import tinygrad_edu.numpy as np` has np.zeros that give one)"
        )
    index = _frozen(plain(indices))
    places = np.arange(a.size).reshape(a.shape)[index]
    b = tuple(map(joined, b))
    if ufunc in (np.add, np.subtract):
        a[...] = ufunc(a, _scatter(np.broadcast_to(b[0], places.shape), index=index, shape=a.shape))
    elif np.unique(places).size < places.size:
        if not is_constant((a, *b)):
            raise TypeError(
                f"{who}: an index occurs twice, which has a derivative for np.add.at and np.subtract.at only"
            )
        values = np.array(plain(a))
        ufunc.at(values, index, *map(plain, b))
        a[...] = values
    else:
        a[index] = ufunc(a[index], *b)
