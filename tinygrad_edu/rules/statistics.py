"""Statistics: averages, sums and extrema without NaNs, order statistics, and differences along an axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..autograd.operators import on_values, option, refuse
from ..autograd.primitives import implements, primitive, rule
from ..autograd.recording import plain
from .elementwise import as_array
from .reductions import products_of_others, restored
from .shape import _scatter

_GIVEN = np._NoValue


def _keep(keepdims: Any) -> bool:
    return keepdims is not _GIVEN and bool(keepdims)


@implements(np.average)
def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = False) -> Any:
    keepdims = _keep(keepdims)
    if weights is None:
        mean = np.mean(a, axis=axis, keepdims=keepdims)
        total: Any = np.full(mean.shape, np.size(a) / mean.size, mean.dtype)
        return (mean, total) if returned else mean
    if np.shape(a) != np.shape(weights):
        axes = () if axis is None else normalize_axis_tuple(axis, np.ndim(a))
        if np.shape(weights) != tuple(np.shape(a)[k] for k in axes):
            raise ValueError(f"average: weights of shape {np.shape(weights)} do not fit {np.shape(a)}, {axis=}")
        if len(axes) > 1:
            weights = np.transpose(weights, np.argsort(axes))
        weights = np.expand_dims(weights, [k for k in range(np.ndim(a)) if k not in axes])
    a, weights = as_array(a), as_array(weights)
    dtype = np.result_type(a.dtype, weights.dtype, a.dtype if a.dtype.kind == "f" else np.float64)
    a, weights = as_array(a, dtype), as_array(weights, dtype)
    total = np.sum(weights, axis=axis, keepdims=keepdims)
    _refuse_zero_sum(total)
    mean = np.sum(a * weights, axis=axis, keepdims=keepdims) / total
    return (mean, np.broadcast_to(total, np.shape(mean))) if returned else mean


@on_values
def _refuse_zero_sum(total: Any) -> None:
    if np.any(total == 0):
        raise ZeroDivisionError("average: the weights sum to zero")


@implements(np.ptp)
def ptp(a: Any, axis: Any = None, out: None = None, keepdims: Any = False) -> Any:
    refuse(np.ptp, {"out": out}, "out")
    return np.max(a, axis=axis, keepdims=_keep(keepdims)) - np.min(a, axis=axis, keepdims=_keep(keepdims))


# Ignoring NaNs


rule(np.nansum, lambda g, x, *, axis=None, keepdims=False: np.where(np.isnan(x), 0, restored(g, axis, keepdims)))
rule(
    np.nanmean,
    lambda g, x, *, axis=None, keepdims=False: np.where(
        np.isnan(x), 0, restored(g, axis, keepdims) / np.maximum(1, np.sum(~np.isnan(x), axis=axis, keepdims=True))
    ),
)
rule(
    np.nanprod,
    lambda g, x, *, axis=None, keepdims=False: np.where(
        np.isnan(x), 0, restored(g, axis, keepdims) * products_of_others(np.where(np.isnan(x), 1, x), axis)
    ),
)


def _shares_of_numbers(x: Any, y: Any, axis: Any) -> Any:
    """The share of each number in the extremum `y`: tied ones share evenly."""
    chosen = x == y
    return (chosen / np.maximum(1, np.sum(chosen, axis=axis, keepdims=True))).astype(y.dtype)


for _extremum in (np.nanmax, np.nanmin):
    rule(
        _extremum,
        lambda g, y, x, *, axis=None, keepdims=False: (
            restored(g, axis, keepdims) * _shares_of_numbers(x, restored(y, axis, keepdims), axis)
        ),
    )


# Order statistics: weighted sums of two neighbours in sorted order, at a place that depends on their number only


@on_values
def _places_of_ranks(rows: Any, ranks: Any) -> Any:
    """Where in each row the elements are that come at these places in sorted order. Of equal ones the first comes
    first."""
    found = np.empty((*rows.shape[:-1], len(ranks)), np.intp)
    values = np.partition(rows, np.unique(ranks), -1)
    for k, rank in enumerate(ranks):
        value = values[..., rank, None]
        before = rank - np.sum(rows < value, -1)  # of the equal ones
        is_equal = rows == value
        if np.any(before):
            is_equal &= np.cumsum(is_equal, -1) == before[..., None] + 1
        found[..., k] = np.argmax(is_equal, -1)
    return found


@primitive
def _order_statistic(a: Any, *, q: Any, axes: tuple[int, ...], method: Any, percent: bool) -> Any:
    """NumPy's quantiles, the axes of `q` first, or its median, if `q` is None."""
    if q is None:
        return np.median(a, axes)
    return (np.percentile if percent else np.quantile)(a, q, axes, method=method)


def _spread_out(g: Any, a: Any, q: Any, axes: tuple[int, ...], method: Any) -> Any:
    """The gradient of each quantile, handed to the elements that it is made of; NaN to all of a row with a NaN."""
    rest = [k for k in range(a.ndim) if k not in axes]
    together = math.prod(a.shape[k] for k in axes)
    rows = np.reshape(np.transpose(a, [*rest, *axes]), (math.prod(a.shape[k] for k in rest), together))
    # The quantile of 0, 1, 2, … is the place itself.
    place = np.quantile(np.arange(together, dtype=np.float64), np.ravel(q), method=method)
    below = np.floor(place).astype(int)
    part = place - below
    above = np.minimum(below + 1, together - 1)
    found = _places_of_ranks(rows, np.concatenate((below, above)))
    g = np.moveaxis(g, range(q.ndim), range(-q.ndim, 0)) if q.ndim else g
    g = np.reshape(g, (len(rows), q.size))
    shares = np.concatenate((g * (1 - part).astype(g.dtype), g * part.astype(g.dtype)), axis=1)
    spread = _scatter(shares, index=(np.arange(len(rows))[:, None], found), shape=rows.shape)
    broken = np.any(np.isnan(rows), axis=-1, keepdims=True)
    spread = np.where(broken, np.nan, spread)
    order = [*rest, *axes]
    return np.transpose(np.reshape(spread, [a.shape[k] for k in order]), np.argsort(order).tolist())


rule(
    _order_statistic,
    lambda g, a, *, q, axes, method, percent: _spread_out(
        g, plain(a), np.asarray(0.5 if q is None else q) / (100 if percent else 1), axes, method
    ),
)


def _in_order(a: Any, q: Any, axis: Any, method: Any, keepdims: Any, percent: bool = False) -> Any:
    axes = tuple(range(a.ndim)) if axis is None else normalize_axis_tuple(axis, a.ndim)
    y = _order_statistic(a, q=q, axes=axes, method=method, percent=percent)
    kept = [1 if k in axes else n for k, n in enumerate(a.shape)]
    return np.reshape(y, (*np.shape(0.5 if q is None else q), *kept)) if _keep(keepdims) else y


@implements(np.quantile)
def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: Any = "linear",
    keepdims: Any = False,
    *,
    weights: Any = None,
) -> Any:
    refuse(np.quantile, {"out": out, "weights": weights}, "out", "weights")
    return _in_order(a, option(q), axis, method, keepdims)


@implements(np.percentile)
def percentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: Any = "linear",
    keepdims: Any = False,
    *,
    weights: Any = None,
) -> Any:
    refuse(np.percentile, {"out": out, "weights": weights}, "out", "weights")
    return _in_order(a, option(q), axis, method, keepdims, percent=True)


@implements(np.median)
def median(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False) -> Any:
    refuse(np.median, {"out": out}, "out")
    return _in_order(a, None, axis, "linear", keepdims)
