"""Differences, slopes and integrals along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..autograd.operators import option
from ..autograd.primitives import implements, primitive, rule
from .elementwise import as_array

_ABSENT = np._NoValue


def _along(axis: int, ndim: int, chosen: Any) -> tuple[Any, ...]:
    """The index that chooses along one axis."""
    index: list[Any] = [slice(None)] * ndim
    index[axis] = chosen
    return tuple(index)


@implements(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = _ABSENT, append: Any = _ABSENT) -> Any:
    if n < 0:
        raise ValueError(f"diff: n must not be negative, got {n}")
    if n == 0:
        return a
    if np.ndim(a) == 0:
        raise ValueError("diff: the input must have at least one axis")
    parts = []
    for part in (prepend, a, append):
        if part is not _ABSENT:
            edge = list(np.shape(a))
            edge[axis] = 1
            parts.append(np.broadcast_to(part, edge) if np.ndim(part) == 0 else part)
    a = np.concatenate(parts, axis) if len(parts) > 1 else a
    for _ in range(n):
        a = _differences(a, axis=axis)
    return a


@primitive
def _differences(x: Any, *, axis: int) -> Any:
    return np.diff(x, axis=axis)


@primitive
def _differences_back(x: Any, *, shape: Any, axis: int) -> Any:
    """What arrives at each difference, taken from the first of its two numbers and given to the second."""
    total = np.empty(shape, x.dtype)
    rows, x = np.moveaxis(total, axis, 0), np.moveaxis(x, axis, 0)
    if len(x):
        rows[0], rows[-1] = -x[0], x[-1]
        np.subtract(x[:-1], x[1:], out=rows[1:-1])
    else:
        rows[...] = 0
    return total


rule(_differences, lambda g, x_shape, *, axis: _differences_back(g, shape=tuple(x_shape), axis=axis), new=True)
rule(_differences_back, lambda g, *, shape, axis: _differences(g, axis=axis), new=True)


@implements(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    ary = np.ravel(ary)
    ends = {name: as_array(v) for name, v in (("to_begin", to_begin), ("to_end", to_end)) if v is not None}
    for name, end in ends.items():
        if not np.can_cast(end.dtype, ary.dtype, "same_kind"):
            raise TypeError(f"ediff1d: {name} of dtype {end.dtype} does not fit the differences of {ary.dtype}")
    differences = ary[1:] - ary[:-1]  # and not np.diff, which takes truth values, too
    parts = [ends.get("to_begin"), differences, ends.get("to_end")]
    return np.concatenate([np.astype(np.ravel(part), differences.dtype) for part in parts if part is not None])


# What is added to each element is the same around it.
rule(np.unwrap, lambda g, *, discont=None, axis=-1, period=2 * np.pi: g)


@implements(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    y = as_array(y)
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
    axes = range(f.ndim) if axis is None else normalize_axis_tuple(axis, f.ndim)
    spacings = [_spacing(option(v, "gradient: the spacing")) for v in varargs or (1.0,)]
    if len(spacings) == 1 and np.ndim(spacings[0]) == 0:
        spacings *= len(axes)
    if len(spacings) != len(axes):
        raise TypeError(f"gradient: {len(varargs)} spacings for {len(axes)} axes")
    slopes = [_slopes(f, axis=k, spacing=v, edge_order=edge_order) for k, v in zip(axes, spacings, strict=True)]
    return slopes[0] if len(slopes) == 1 else tuple(slopes)


def _spacing(v: Any) -> Any:
    """Distances, or coordinates; of integers as floats, as NumPy takes them: products of small ones would overflow."""
    return np.asarray(v, np.float64) if np.ndim(v) and np.asarray(v).dtype.kind in "iub" else v


@primitive
def _slopes(f: Any, *, axis: int, spacing: Any, edge_order: Any) -> Any:
    return np.gradient(f, spacing, axis=axis, edge_order=edge_order)


@primitive
def _slopes_back(x: Any, *, axis: int, spacing: Any, edge_order: int) -> Any:
    """The gradients of finite differences, handed to the numbers that they are made of."""
    rows = np.moveaxis(x, axis, 0)
    inner = rows[1:-1]
    steps: Any = np.diff(spacing) if np.ndim(spacing) else np.array([spacing], float)
    if steps.size == 1 or np.all(steps == steps[0]):
        parts, total = inner * x.dtype.type(0.5 / steps[0]), np.empty_like(rows)
        np.subtract(parts[:-2], parts[2:], out=total[2:-2])
        total[:2] = total[-2:] = 0
        total[:-2][:2] -= parts[:2]
        total[2:][-2:] += parts[-2:]
    else:
        total = np.zeros_like(rows)
        h, k = steps[:-1], steps[1:]
        for place, weights in enumerate((-k / (h * (h + k)), (k - h) / (h * k), h / (k * (h + k)))):
            weights = np.reshape(weights, (-1, *(1,) * (x.ndim - 1))).astype(x.dtype)
            parts = weights * (inner if np.all(weights) else np.where(weights == 0, 0, inner))  # 0 · ∞ would be NaN
            total[place : place + len(inner)] += parts
    for k, weight in enumerate(_weights_at_end(steps[0], steps[:2][-1], edge_order)):
        total[k] += rows[0] * x.dtype.type(weight)
    for k, weight in enumerate(_weights_at_end(-steps[-1], -steps[-2:][0], edge_order)):
        total[-1 - k] += rows[-1] * x.dtype.type(weight)
    return np.moveaxis(total, 0, axis)


def _weights_at_end(h: Any, k: Any, edge_order: int) -> tuple[Any, ...]:
    """How much the first numbers, h and k apart, count in the first difference."""
    return (-1 / h, 1 / h) if edge_order == 1 else (-(2 * h + k) / (h * (h + k)), (h + k) / (h * k), -h / (k * (h + k)))


rule(
    _slopes,
    lambda g, *, axis, spacing, edge_order: _slopes_back(g, axis=axis, spacing=spacing, edge_order=edge_order),
    new=True,
)
rule(
    _slopes_back,
    lambda g, *, axis, spacing, edge_order: _slopes(g, axis=axis, spacing=spacing, edge_order=edge_order),
)
