"""Rules of functions that reduce axes.

A rule gives the gradient with the reduced axes at size 1; the engine repeats it along those.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..autograd.operators import constant, refuse
from ..autograd.origin import owned
from ..autograd.primitives import FUNCTIONS, primitive, rule
from ..autograd.record import Operand
from ..autograd.recording import plain
from .elementwise import ratio


def restored(g: Any, axis: Any, keepdims: Any) -> Any:
    """`g` with the reduced axes back at size 1, so that it broadcasts against the argument."""
    return g if keepdims or axis is None else np.expand_dims(g, axis)


def _elements_in_each(of_x: int, of_y: int) -> int:
    """How many of the argument's elements went into each of the output's."""
    return max(1, of_x // max(1, of_y))


def per(g: Any, n: Any) -> Any:
    """g / n, also for more elements than a float16 can count."""
    return g / (np.float32(n) if n > 65504 and g.dtype == np.float16 else n)


rule(
    np.sum,
    lambda g, *, axis=None, dtype=None, keepdims=False, initial=0, where=True: (
        restored(g, axis, keepdims) if where is True else np.where(where, restored(g, axis, keepdims), 0)
    ),
)
rule(
    np.mean,
    lambda g, y_size, x_size, *, axis=None, dtype=None, keepdims=False: restored(
        per(g, _elements_in_each(x_size, y_size)), axis, keepdims
    ),
)
rule(
    np.var,
    lambda g, y_size, x, *, axis=None, ddof=0, keepdims=False: (
        restored(per(2 * g, _freedom(x.size, y_size, ddof)), axis, keepdims)
        * (x - np.mean(x, axis=axis, keepdims=True))
    ),
)
rule(
    np.std,  # where all elements are equal (their mean may be rounded), the gradient is taken as 0
    lambda g, y, x, *, axis=None, ddof=0, keepdims=False: (
        restored(per(g, _freedom(x.size, y.size, ddof)), axis, keepdims) * _deviations(y, x, axis, keepdims)
    ),
)


def _deviations(y: Any, x: Any, axis: Any, keepdims: Any) -> Any:
    """How far each element is from the mean, in units of the standard deviation."""
    if x.size == y.size:
        return x - x  # of single numbers
    return ratio(x - np.mean(x, axis=axis, keepdims=True), restored(_flat_is_0(y, x, axis, keepdims), axis, keepdims))


def _freedom(of_x: int, of_y: int, ddof: Any) -> Any:
    """The degrees of freedom; NaN where there is none, since the value is NaN, too."""
    left = _elements_in_each(of_x, of_y) - ddof
    return left if left > 0 else np.nan


def _flat_is_0(y: Any, x: Any, axis: Any, keepdims: Any) -> Any:
    if not x.size:
        return y
    flat = np.max(plain(x), axis=axis, keepdims=keepdims) == np.min(plain(x), axis=axis, keepdims=keepdims)
    return np.where(flat & ~np.isnan(y), 0, y)


def _shares(x: Any, y: Any, axis: Any) -> Any:
    """The share of each element in the extremum `y`: tied elements share evenly, and so do NaNs."""
    chosen = (x == y) | (x != x)
    return (chosen / np.sum(chosen, axis=axis, keepdims=True)).astype(y.dtype)


for _extremum in (np.max, np.min):
    rule(
        _extremum,
        lambda g, y, x, *, axis=None, keepdims=False: (
            restored(g, axis, keepdims) * _shares(x, restored(y, axis, keepdims), axis)
        ),
    )


def products_of_others(x: Any, axis: Any) -> Any:
    """For each element the product of all others along `axis`, without a division, so zeros do no harm."""
    axes = tuple(range(x.ndim)) if axis is None or x.ndim == 0 else normalize_axis_tuple(axis, x.ndim)
    order = (*(k for k in range(x.ndim) if k not in axes), *axes)
    rest = [x.shape[k] for k in order[: x.ndim - len(axes)]]
    rows = np.reshape(np.transpose(x, order), (*rest, math.prod(x.shape[k] for k in axes)))
    others = np.reshape(_products_of_others(rows)[..., : rows.shape[-1]], [x.shape[k] for k in order])
    return np.transpose(others, tuple(map(order.index, range(x.ndim))))


def _products_of_others(x: Any) -> Any:
    """The same along the last axis, which may become longer.

    Elements are multiplied in pairs, the problem of half the size is solved, and each element of a pair takes the other
    one as a further factor.
    """
    levels = []
    while x.shape[-1] > 1:
        if x.shape[-1] % 2:
            x = np.concatenate((x, np.ones((*x.shape[:-1], 1), x.dtype)), axis=-1)
        levels.append(x)
        x = x[..., ::2] * x[..., 1::2]
    others: Any = np.ones(x.shape, x.dtype)
    for level in reversed(levels):
        others = others[..., : level.shape[-1] // 2]
        others = np.stack((others * level[..., 1::2], others * level[..., ::2]), axis=-1).reshape(level.shape)
    return others


rule(
    np.prod,
    lambda g, x, *, axis=None, keepdims=False: restored(g, axis, keepdims) * products_of_others(x, axis),
)


# Running sums and products


@primitive
def _cumsum(x: Any, *, axis: int) -> Any:
    return np.cumsum(x, axis=axis)


rule(_cumsum, lambda g, *, axis: np.flip(np.cumsum(np.flip(g, axis), axis), axis))


@primitive
def _cumprod(x: Any) -> Any:
    return np.cumprod(x, axis=-1)


def _shifted(x: Any, by: int, fill: float) -> Any:
    """`x` moved along the last axis, to the right for positive `by`, with `fill` moving in."""
    edge = np.full((*x.shape[:-1], abs(by)), fill, x.dtype)
    return np.concatenate((edge, x[..., :-by]) if by > 0 else (x[..., -by:], edge), axis=-1)


def _later_products(g: Any, x: Any) -> Any:
    """Σ_{k ≥ j} g_k Π_{j < i ≤ k} x_i for each j: r_j = g_j + x_{j+1} r_{j+1}, solved by doubling the stride."""
    total, factor, stride = g, _shifted(x, -1, 0), 1
    while stride < x.shape[-1]:
        total = total + factor * _shifted(total, -stride, 0)
        factor = factor * _shifted(factor, -stride, 0)
        stride *= 2
    return total


def _may_be_divided(g: Any, y: Any) -> bool:
    """Whether neither the running products y nor g · y have become 0, or so small or large that digits are lost. For a
    further derivative neither: of the quotient it would be a difference of large numbers."""
    if isinstance(g, Operand) or isinstance(y, Operand) or y.dtype == np.float16:
        return False
    root = float(np.finfo(y.dtype).tiny) ** 0.5
    factors, products = np.abs(g), np.abs(y)
    smallest = np.minimum(np.min(factors, where=factors > 0, initial=1), np.min(products, initial=1))
    largest = np.maximum(np.max(factors, initial=1), np.max(products, initial=1))  # NaN, if there is one
    return bool(smallest >= root and largest <= 1e-3 / root)


rule(
    _cumprod,
    lambda g, y, x: (
        np.flip(np.cumsum(np.flip(g * y, -1), -1), -1) / x
        if _may_be_divided(g, y)
        else _shifted(y, 1, 1) * _later_products(g, x)
    ),
    new=True,
)


def _running(function: Callable[..., Any], run: Callable[[Any, int], Any]) -> Callable[..., Any]:
    def accumulate(a: Any, axis: int | None = None, dtype: None = None, out: None = None) -> Any:
        refuse(function, {"dtype": dtype, "out": out}, "dtype", "out")
        return run(np.ravel(a), axis or 0) if axis is None or a.ndim == 0 else run(a, axis)

    return accumulate


FUNCTIONS[np.cumsum] = _running(np.cumsum, lambda a, axis: _cumsum(a, axis=axis))
FUNCTIONS[np.cumprod] = _running(
    np.cumprod,
    lambda a, axis: (
        _cumprod(a) if axis in (-1, a.ndim - 1) else owned(np.moveaxis(_cumprod(np.moveaxis(a, axis, -1)), -1, axis))
    ),
)
FUNCTIONS[np.amax] = FUNCTIONS[np.max]
FUNCTIONS[np.amin] = FUNCTIONS[np.min]

constant(
    np.argmax,
    np.argmin,
    np.argsort,
    np.argpartition,
    np.argwhere,
    np.nonzero,
    np.flatnonzero,
    np.count_nonzero,
    np.any,
    np.all,
)
constant(np.searchsorted, np.digitize)
