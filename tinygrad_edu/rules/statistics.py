"""Statistics made of sums, extrema and sorting, and differences along an axis. None needs a rule of its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.operators import on_values, option, refuse
from ..autograd.primitives import FUNCTIONS, implements, primitive, rule
from ..autograd.recording import plain

_GIVEN = np._NoValue


def _keep(keepdims: Any) -> bool:
    return keepdims is not _GIVEN and bool(keepdims)


@implements(np.average)
def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = False) -> Any:
    keepdims = _keep(keepdims)
    if weights is None:
        mean = np.mean(a, axis=axis, keepdims=keepdims)
        total: Any = np.full(mean.shape, np.size(a) / max(1, mean.size))
    else:
        if np.shape(a) != np.shape(weights):
            if not isinstance(axis, int) or np.shape(weights) != (np.shape(a)[axis],):
                raise ValueError(f"average: weights of shape {np.shape(weights)} do not fit {np.shape(a)}, {axis=}")
            shape = [1] * np.ndim(a)
            shape[axis] = -1
            weights = np.broadcast_to(np.reshape(weights, shape), np.shape(a))
        total = np.sum(weights, axis=axis, keepdims=keepdims)
        if np.any(plain(total) == 0):
            raise ZeroDivisionError("average: the weights sum to zero")
        mean = np.sum(a * weights, axis=axis, keepdims=keepdims) / total
    return (mean, total) if returned else mean


@implements(np.ptp)
def ptp(a: Any, axis: Any = None, out: None = None, keepdims: Any = False) -> Any:
    refuse(np.ptp, {"out": out}, "out")
    return np.max(a, axis=axis, keepdims=_keep(keepdims)) - np.min(a, axis=axis, keepdims=_keep(keepdims))


# Ignoring NaNs


def _ignoring(function: Callable[..., Any], reduce: Callable[..., Any], neutral: float) -> Callable[..., Any]:
    def ignore(a: Any, axis: Any = None, dtype: None = None, out: None = None, keepdims: Any = False) -> Any:
        refuse(function, {"dtype": dtype, "out": out}, "dtype", "out")
        return reduce(np.where(np.isnan(a), neutral, a), axis=axis, keepdims=_keep(keepdims))

    return ignore


def _extreme(function: Callable[..., Any], reduce: Callable[..., Any], neutral: float) -> Callable[..., Any]:
    def ignore(a: Any, axis: Any = None, out: None = None, keepdims: Any = False) -> Any:
        refuse(function, {"out": out}, "out")
        keepdims = _keep(keepdims)
        none = np.isnan(on_values(function)(a, axis=axis, keepdims=keepdims))  # NumPy warns of slices without a number
        best = reduce(np.where(np.isnan(a), neutral, a), axis=axis, keepdims=keepdims)
        return np.where(none, np.nan, best) if np.any(none) else best

    return ignore


@implements(np.nanmean)
def nanmean(a: Any, axis: Any = None, dtype: None = None, out: None = None, keepdims: Any = False) -> Any:
    refuse(np.nanmean, {"dtype": dtype, "out": out}, "dtype", "out")
    count = np.sum(~np.isnan(a), axis=axis, keepdims=_keep(keepdims)).astype(a.dtype)
    return np.nansum(a, axis=axis, keepdims=_keep(keepdims)) / count


FUNCTIONS[np.nansum] = _ignoring(np.nansum, np.sum, 0)
FUNCTIONS[np.nanprod] = _ignoring(np.nanprod, np.prod, 1)
FUNCTIONS[np.nanmax] = _extreme(np.nanmax, np.max, -np.inf)
FUNCTIONS[np.nanmin] = _extreme(np.nanmin, np.min, np.inf)


# Order statistics: weighted sums of two neighbours in sorted order, at a place that depends on their number only


def _weights(a: Any, q: Any, axes: tuple[int, ...], method: Any) -> Any:
    """How much each element has of each quantile: the axes `axes`, flattened, are last but one, and `q`, flattened, is
    last. A row that holds NaN has quantiles that are NaN, and so are its weights."""
    rest = [k for k in range(a.ndim) if k not in axes]
    together = math.prod(a.shape[k] for k in axes)
    rows = np.reshape(np.transpose(a, [*rest, *axes]), (*(a.shape[k] for k in rest), together))
    # The quantile of 0, 1, 2, … is the place itself.
    place = np.quantile(np.arange(rows.shape[-1], dtype=np.float64), np.ravel(q), method=method)
    below = np.floor(place).astype(int)
    part = place - below
    rank = np.argsort(np.argsort(rows, axis=-1, kind="stable"), axis=-1)[..., None]
    weights = (1 - part) * (rank == below) + part * (rank == below + 1)
    broken = np.any(np.isnan(rows), axis=-1, keepdims=True)[..., None]
    return np.where(broken, np.nan, weights)


@primitive
def _order_statistic(a: Any, *, q: Any, axes: tuple[int, ...], method: Any) -> Any:
    """NumPy's quantiles, the axes of `q` first, or its median, if `q` is None."""
    return np.median(a, axes) if q is None else np.quantile(a, q, axes, method=method)


def _spread_out(g: Any, a: Any, q: Any, axes: tuple[int, ...], method: Any) -> Any:
    """The gradient of each quantile, handed to the elements that it is made of."""
    q = np.asarray(0.5 if q is None else q)
    weights = _weights(a, q, axes, method)
    g = np.moveaxis(g, range(q.ndim), range(-q.ndim, 0)) if q.ndim else g
    rows = np.sum(weights * np.reshape(g, (*weights.shape[:-2], 1, q.size)), axis=-1)
    order = [k for k in range(a.ndim) if k not in axes] + list(axes)
    return np.transpose(np.reshape(rows, [a.shape[k] for k in order]), np.argsort(order).tolist())


rule(
    _order_statistic,
    lambda g, a, *, q, axes, method: _spread_out(g, plain(a), q, axes, method),
)


def _order(a: Any, q: Any, axis: Any, method: Any, keepdims: Any) -> Any:
    a = a if a.dtype.kind == "f" else a.astype(np.float64)
    axes = tuple(range(a.ndim)) if axis is None else np.lib.array_utils.normalize_axis_tuple(axis, a.ndim)
    y = _order_statistic(a, q=q, axes=axes, method=method)
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
    return _order(a, option(q), axis, method, keepdims)


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
    return _order(a, np.true_divide(option(q), 100), axis, method, keepdims)


@implements(np.median)
def median(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False) -> Any:
    refuse(np.median, {"out": out}, "out")
    return _order(a, None, axis, "linear", keepdims)


# Differences and integrals along an axis


def _along(axis: int, ndim: int, chosen: Any) -> tuple[Any, ...]:
    """The index that chooses along one axis."""
    index: list[Any] = [slice(None)] * ndim
    index[axis] = chosen
    return tuple(index)


@implements(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = _GIVEN, append: Any = _GIVEN) -> Any:
    if n < 0:
        raise ValueError(f"diff: n must not be negative, got {n}")
    if np.ndim(a) == 0:
        raise ValueError("diff: the input must have at least one axis")
    parts = []
    for part in (prepend, a, append):
        if part is not _GIVEN:
            edge = list(np.shape(a))
            edge[axis] = 1
            parts.append(np.broadcast_to(part, edge) if np.ndim(part) == 0 else part)
    a = np.concatenate(parts, axis) if len(parts) > 1 else a
    for _ in range(n):
        a = a[_along(axis, np.ndim(a), slice(1, None))] - a[_along(axis, np.ndim(a), slice(None, -1))]
    return a


@implements(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    if x is not None:
        dx = np.diff(x) if np.ndim(x) == 1 else np.diff(x, axis=axis)
        if np.ndim(x) == 1:
            shape = [1] * np.ndim(y)
            shape[axis] = -1
            dx = np.reshape(dx, shape)
    later, earlier = _along(axis, np.ndim(y), slice(1, None)), _along(axis, np.ndim(y), slice(None, -1))
    return np.sum(dx * (y[later] + y[earlier]) / 2, axis=axis)


@implements(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: Any = 1) -> Any:
    axes = range(f.ndim) if axis is None else np.lib.array_utils.normalize_axis_tuple(axis, f.ndim)
    spacings = [option(v) for v in varargs or (1.0,)]
    f = f if f.dtype.kind == "f" else f.astype(np.float64)
    if len(spacings) == 1 and np.ndim(spacings[0]) == 0:
        spacings *= len(axes)
    if len(spacings) != len(axes):
        raise TypeError(f"gradient: {len(varargs)} spacings for {len(axes)} axes")
    slopes = [_slopes(f, *pair, edge_order) for pair in zip(axes, spacings, strict=True)]
    return slopes[0] if len(slopes) == 1 else tuple(slopes)


def _slopes(f: Any, axis: int, spacing: Any, edge_order: Any) -> Any:
    """NumPy's finite differences along an axis. Each is a weighted sum of up to five neighbours; the weights are found
    by giving NumPy combs of ones, so far apart that no two ones fall into the same sum."""
    n, width = f.shape[axis], 5
    here = np.arange(n)
    total: Any = 0
    spacing = spacing if np.ndim(spacing) else float(spacing)
    for offset in range(-2, 3):
        coefficients = np.zeros(n, f.dtype)
        for phase in range(width):
            comb = (here % width == phase).astype(f.dtype)
            hits = (here + offset) % width == phase
            coefficients[hits] = np.gradient(comb, spacing, edge_order=edge_order)[hits]
        shape = [1] * f.ndim
        shape[axis] = n
        neighbours = f[_along(axis, f.ndim, np.clip(here + offset, 0, n - 1))]  # those out of range have weight 0
        weights = np.reshape(coefficients, shape)
        total = total + np.where(weights == 0, 0, weights * neighbours)  # 0 · NaN is NaN
    return total
