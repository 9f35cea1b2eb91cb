"""Statistics: averages, order statistics, and differences along an axis."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..autograd.operators import on_values, option, refuse
from ..autograd.primitives import FUNCTIONS, implements, primitive, rule
from ..autograd.recording import plain
from .elementwise import as_array
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


def _neighbours(n: int, q: Any, method: Any) -> tuple[Any, Any]:
    """The ranks of the numbers next to each quantile of n numbers, those below and then those above; and the shares."""
    place = np.quantile(np.arange(n, dtype=np.float64), np.ravel(q), method=method)  # of 0, 1, 2, … it is the place
    below = np.floor(place).astype(int)
    part = place - below
    return np.concatenate((below, np.minimum(below + 1, n - 1))), np.concatenate((1 - part, part))


@on_values
def _places_and_shares(rows: Any, q: Any, method: Any) -> Any:
    """Where in each row the numbers are that its quantiles are made of, NaNs aside, and their shares; rows with equally
    many numbers together."""
    found = np.zeros((2, len(rows), 2 * np.size(q)))
    counts = np.sum(~np.isnan(rows), -1)
    for n in np.unique(counts[counts > 0]).tolist():
        ranks, shares = _neighbours(n, q, method)
        found[0, counts == n], found[1, counts == n] = _places_of_ranks(rows[counts == n], ranks), shares
    return found


@primitive
def _order_statistic(a: Any, *, name: str, q: Any, axes: tuple[int, ...], method: Any) -> Any:
    """One of NumPy's quantiles, the axes of `q` first, or of its medians, if `q` is None."""
    function = getattr(np, name)
    return function(a, axes) if q is None else function(a, q, axes, method=method)


def _spread_out(g: Any, a: Any, q: Any, axes: tuple[int, ...], method: Any, ignoring: bool) -> Any:
    """The gradient of each quantile, handed to the elements that it is made of; NaN to all of a row with a NaN, unless
    these are ignored."""
    if not a.size:
        return np.zeros(a.shape, g.dtype)
    rest = [k for k in range(a.ndim) if k not in axes]
    together = math.prod(a.shape[k] for k in axes)
    rows = np.reshape(np.transpose(a, [*rest, *axes]), (math.prod(a.shape[k] for k in rest), together))
    g = np.moveaxis(g, range(q.ndim), range(-q.ndim, 0)) if q.ndim else g
    g = np.reshape(g, (len(rows), q.size))
    if ignoring:
        found, shares = _places_and_shares(rows, q, method)
        found = found.astype(int)
    else:
        ranks, shares = _neighbours(together, q, method)
        found = _places_of_ranks(rows, ranks)
    given = np.concatenate((g, g), axis=1) * shares.astype(g.dtype)
    spread = _scatter(given, index=(np.arange(len(rows))[:, None], found), shape=rows.shape)
    if not ignoring:
        spread = np.where(np.any(np.isnan(rows), axis=-1, keepdims=True), np.nan, spread)
    order = [*rest, *axes]
    return np.transpose(np.reshape(spread, [a.shape[k] for k in order]), np.argsort(order).tolist())


rule(
    _order_statistic,
    lambda g, a, *, name, q, axes, method: _spread_out(
        g,
        plain(a),
        np.asarray(0.5 if q is None else q) / (100 if name.endswith("percentile") else 1),
        axes,
        method,
        name.startswith("nan"),
    ),
)


def _in_order(a: Any, q: Any, axis: Any, method: Any, keepdims: Any, name: str) -> Any:
    axes = tuple(range(a.ndim)) if axis is None else normalize_axis_tuple(axis, a.ndim)
    if name.startswith("nan") and np.ndim(q) > 1 and 1 < len(axes) < a.ndim:
        raise TypeError(
            f"{name}: along several axes, NumPy mixes up the axes of the result if q has several, too; give q as a "
            "vector, and reshape the result"
        )
    y = _order_statistic(a, name=name, q=q, axes=axes, method=method)
    kept = [1 if k in axes else n for k, n in enumerate(a.shape)]
    return np.reshape(y, (*np.shape(0.5 if q is None else q), *kept)) if _keep(keepdims) else y


def _enter_quantile(function: Callable[..., Any]) -> None:
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
        refuse(function, {"out": out, "weights": weights}, "out", "weights")
        return _in_order(a, option(q, f"{function.__name__}: q"), axis, method, keepdims, function.__name__)

    FUNCTIONS[function] = quantile


def _enter_median(function: Callable[..., Any]) -> None:
    def median(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False) -> Any:
        refuse(function, {"out": out}, "out")
        return _in_order(a, None, axis, "linear", keepdims, function.__name__)

    FUNCTIONS[function] = median


_function: Any
for _function in (np.quantile, np.percentile, np.nanquantile, np.nanpercentile):
    _enter_quantile(_function)
for _function in (np.median, np.nanmedian):
    _enter_median(_function)
