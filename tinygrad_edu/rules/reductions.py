"""Rules of functions that reduce axes.

A rule gives the gradient with the reduced axes at size 1; the engine repeats it along those.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..autograd.operators import constant, on_values, refuse
from ..autograd.primitives import FUNCTIONS, primitive, primitive_of, rule
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
    lambda g, y_size, x_shape, *, axis=None, dtype=None, keepdims=False, where=True: (
        restored(per(g, _elements_in_each(math.prod(x_shape), y_size)), axis, keepdims)
        if where is True
        else np.where(where, restored(g, axis, keepdims) / np.maximum(1, selected(where, x_shape, axis)), 0)
    ),
)


def selected(where: Any, shape: Any, axis: Any, keepdims: bool = True) -> Any:
    """How many elements of an array of this shape the option where= lets through."""
    return np.sum(np.broadcast_to(where, shape), axis=axis, keepdims=keepdims)


# The variance and the standard deviation

_VARIANCE, _DEVIATION = primitive_of(np.var), primitive_of(np.std)
rule(
    _VARIANCE,
    lambda g, y_size, x, *, axis=None, dtype=None, ddof=0, keepdims=False, where=True, correction=None: (
        _per_freedom(
            2 * restored(g, axis, keepdims), y_size, x, axis, ddof if correction is None else correction, where
        )
        * _centred(x, axis, dtype, where)
    ),
)
rule(
    _DEVIATION,  # where all elements are equal (their mean may be rounded), the gradient is taken as 0
    lambda g, y, x, *, axis=None, dtype=None, ddof=0, keepdims=False, where=True, correction=None: (
        _per_freedom(restored(g, axis, keepdims), y.size, x, axis, ddof if correction is None else correction, where)
        * _deviations(restored(y, axis, keepdims), x, axis, dtype, where)
    ),
)


def _centred(x: Any, axis: Any, dtype: Any, where: Any) -> Any:
    """How far each element is from the mean; 0 for those that are not selected."""
    x = x if dtype is None else np.astype(x, dtype)
    if where is True:
        return x - np.mean(x, axis=axis, keepdims=True)
    x = np.where(where, x, 0)  # they may be NaN
    mean = np.sum(x, axis=axis, keepdims=True) / np.maximum(1, selected(where, x.shape, axis))
    return np.where(where, x - mean, 0)


def _deviations(y: Any, x: Any, axis: Any, dtype: Any, where: Any) -> Any:
    """How far each element is from the mean, in units of the standard deviation `y`."""
    centred = _centred(x, axis, dtype, where)
    if x.size == y.size:
        return centred  # of single numbers
    whole = _flat_is_0(y, x, axis, where)
    return ratio(centred, whole if where is True else np.where(selected(where, x.shape, axis) > 1, whole, 1))


def _per_freedom(g: Any, of_y: int, x: Any, axis: Any, ddof: Any, where: Any) -> Any:
    """g per degree of freedom; NaN where there is none, since the value is NaN, too."""
    if where is True:
        left = _elements_in_each(x.size, of_y) - ddof
        return per(g, left if left > 0 else np.nan)
    left = selected(where, x.shape, axis) - ddof
    return np.where(where, g / np.where(left > 0, left, np.nan), 0)


def _flat_is_0(y: Any, x: Any, axis: Any, where: Any) -> Any:
    if not x.size:
        return y
    low, high = ({}, {}) if where is True else ({"where": where, "initial": s * np.inf} for s in (-1, 1))
    largest = np.max(plain(x), axis=axis, keepdims=True, **low)
    flat = largest == np.min(plain(x), axis=axis, keepdims=True, **high)
    return np.where(flat & ~np.isnan(y), 0, y)


def _about(
    a: Any,
    mean: Any,
    axis: Any = None,
    dtype: Any = None,
    ddof: Any = 0,
    keepdims: Any = False,
    where: Any = True,
    correction: Any = None,
) -> Any:
    """The variance about a given mean, through which the gradient flows, too."""
    squares = np.square(np.where(where, np.subtract(a, mean), 0))
    left = selected(where, squares.shape, axis, keepdims) - (ddof if correction is None else correction)
    variance = np.sum(squares, axis=axis, dtype=dtype, keepdims=keepdims) / np.maximum(left, 0)
    return np.astype(variance, dtype or squares.dtype)


def _root(variance: Any) -> Any:
    """Its square root, whose gradient at 0 is taken as 0."""
    is_positive = variance > 0
    return np.where(is_positive, np.sqrt(np.where(is_positive, variance, 1)), variance)


def _with_mean(function: Callable[..., Any], entry: Callable[..., Any], of_variance: Callable[[Any], Any]) -> None:
    """Enters the function with the option mean=, which may have a gradient."""
    signature = inspect.signature(function)

    def about_mean(*args: Any, **options: Any) -> Any:
        if options.get("mean") is None:
            return entry(*args, **options)
        given = {k: v for k, v in signature.bind(*args, **options).arguments.items() if v is not np._NoValue}
        refuse(function, given, "out")
        return of_variance(_about(**{name: value for name, value in given.items() if name != "out"}))

    FUNCTIONS[function] = about_mean


_with_mean(np.var, _VARIANCE, lambda variance: variance)
_with_mean(np.std, _DEVIATION, _root)

# Extrema


@on_values
def _chosen(x: Any, y: Any, where: Any) -> Any:
    """Which elements are the extremum `y`: all that equal it, or where it is NaN, all NaNs."""
    chosen = x == y
    if np.any(y != y):
        chosen = chosen | (x != x)
    return chosen if where is True else np.logical_and(where, chosen)


@on_values
def _even_share(chosen: Any, y: Any, axis: Any, initial: Any) -> Any:
    """The share of each of the chosen elements: tied ones share evenly. `initial` is one more element."""
    if initial is None and np.count_nonzero(chosen) == np.size(y):  # one each: found out faster than how many
        return np.ones(np.shape(y), y.dtype)
    tied = np.sum(chosen, axis=axis, keepdims=True)
    if initial is not None:
        tied = tied + ((y == initial) | (initial != initial))
    return np.reshape(1 / tied, np.shape(y)).astype(y.dtype)


@primitive(elementwise=True)
def _where_chosen(x: Any, chosen: Any) -> Any:
    """`np.where(chosen, x, 0)`, in a third of the time if few are chosen."""
    y = np.zeros(np.shape(chosen), np.result_type(x))
    np.copyto(y, x, where=chosen)
    return y


rule(_where_chosen, lambda g, chosen: _where_chosen(g, chosen), None, new=True)


def _handed_on(g: Any, y: Any, x: Any, axis: Any, initial: Any, where: Any) -> Any:
    """The gradient of an extremum `y`, handed to the elements that it is."""
    chosen = _chosen(x, y, where)
    return _where_chosen(g * _even_share(chosen, y, axis, initial), chosen)


for _extremum in (np.max, np.min):
    rule(
        _extremum,
        lambda g, y, x, *, axis=None, keepdims=False, initial=None, where=True: _handed_on(
            restored(g, axis, keepdims), restored(y, axis, keepdims), x, axis, initial, where
        ),
        new=True,
    )

# Products


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
    lambda g, x, *, axis=None, dtype=None, keepdims=False, initial=None, where=True: product_rule(
        restored(g, axis, keepdims), x, axis, dtype, initial, where
    ),
)


def product_rule(g: Any, x: Any, axis: Any, dtype: Any, initial: Any, where: Any) -> Any:
    x = x if dtype is None else np.astype(x, dtype)
    g = g if initial is None else g * initial
    if where is True:
        return g * products_of_others(x, axis)
    return np.where(where, g * products_of_others(np.where(where, x, 1), axis), 0)


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
