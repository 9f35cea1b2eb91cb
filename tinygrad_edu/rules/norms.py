"""Rules of the norms of vectors and matrices, and of condition numbers.

At 0 the gradient of a norm is taken as 0, one of its subgradients.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..autograd.operators import on_values, option
from ..autograd.primitives import implements, primitive, rule
from .decompositions import svdvals
from .elementwise import ratio, slope_of_abs
from .reductions import restored


@primitive
def _two_norm(x: Any, *, axis: Any, keepdims: bool) -> Any:
    return np.linalg.norm(x, None, axis, keepdims)


rule(
    _two_norm,  # at 0 the gradient is taken as 0
    lambda g, y, x, *, axis, keepdims: restored(g, axis, keepdims) * ratio(x, restored(y, axis, keepdims)),
)


@primitive
def _norm_of_nothing(x: Any, *, ord: Any, axis: Any, keepdims: bool) -> Any:
    return np.linalg.norm(x, ord, axis, keepdims)


rule(_norm_of_nothing, lambda g, x_shape, *, ord, axis, keepdims: np.zeros(x_shape))


@implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    ord = option(ord, "norm: ord")
    x = x if x.dtype.kind == "f" else x.astype(np.float64)
    if not x.size:
        return _norm_of_nothing(x, ord=ord, axis=axis, keepdims=keepdims)
    if axis is None and (ord is None or (ord == 2 and x.ndim == 1) or (ord == "fro" and x.ndim == 2)):
        return _two_norm(x, axis=None, keepdims=keepdims)
    axes = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    if len(axes) == 1:
        return _vector_norm(x, 2 if ord is None else ord, axes[0], keepdims)
    if len(axes) != 2:
        raise ValueError(f"norm: a norm of order {ord} takes one or two axes, got shape {x.shape} and {axis=}")
    if ord in (None, "fro"):
        return _two_norm(x, axis=axes, keepdims=keepdims)
    rows, columns = axes
    sums: dict[Any, Any] = {
        1: (rows, np.max),
        -1: (rows, np.min),
        np.inf: (columns, np.max),
        -np.inf: (columns, np.min),
    }
    if ord in sums:
        over, choose = sums[ord]
        other = columns if over == rows else rows
        return choose(np.sum(abs(x), axis=over, keepdims=True), axis=other, keepdims=True).sum(axes, keepdims=keepdims)
    singular = svdvals(np.moveaxis(x, (rows, columns), (-2, -1)))
    choices: dict[Any, Any] = {2: np.max, -2: np.min, "nuc": np.sum}
    if ord not in choices:
        raise ValueError(f"norm: there is no matrix norm of order {ord!r}")
    result = choices[ord](singular, axis=-1)
    return np.expand_dims(result, (rows, columns)) if keepdims else result


@primitive
def _p_norm(x: Any, *, ord: Any, axis: int, keepdims: bool) -> Any:
    return np.linalg.norm(x, ord, axis, keepdims)


def _p_slope(x: Any, y: Any, p: Any) -> Any:
    """± (|x| / y)ᵖ⁻¹. It is 0 at x = 0, where for p < 1 there is no slope, and beside a 0 where that alone makes y = 0,
    as it does for p < 0. At x = 0, for p < 2, it has no derivative in its turn."""
    flat = (x == 0) | (y == 0)
    tip = np.where(x == 0, slope_of_abs(x), 0) if p < 2 else 0
    return np.where(flat, tip, np.sign(x) * np.where(flat, 1, ratio(abs(x), y)) ** (p - 1))


rule(
    _p_norm,
    lambda g, y, x, *, ord, axis, keepdims: restored(g, axis, keepdims) * _p_slope(x, restored(y, axis, keepdims), ord),
)


def _vector_norm(x: Any, ord: Any, axis: int, keepdims: bool) -> Any:
    if ord == 2:
        return _two_norm(x, axis=axis, keepdims=keepdims)
    size = abs(x)
    if ord == np.inf:
        return np.max(size, axis=axis, keepdims=keepdims)
    if ord == -np.inf:
        return np.min(size, axis=axis, keepdims=keepdims)
    if ord == 0:
        return np.sum((x != 0).astype(x.dtype), axis=axis, keepdims=keepdims)
    if ord == 1:
        return np.sum(size, axis=axis, keepdims=keepdims)
    if isinstance(ord, str):
        raise ValueError(f"norm: there is no vector norm of order {ord!r}")
    return _p_norm(x, ord=ord, axis=axis, keepdims=keepdims)


@implements(np.linalg.vector_norm)
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    axes = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    rest = [k for k in range(x.ndim) if k not in axes]
    one = isinstance(axis, int | np.integer)
    together = math.prod(x.shape[k] for k in axes)
    rows = x if one else np.reshape(np.transpose(x, [*axes, *rest]), (together, *(x.shape[k] for k in rest)))
    y = np.linalg.norm(rows, ord, axis if one else 0)
    return np.reshape(y, [1 if k in axes else n for k, n in enumerate(x.shape)]) if keepdims else y


@implements(np.linalg.matrix_norm)
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    return np.linalg.norm(x, ord, (-2, -1), keepdims)


@primitive
def _inverse_or_nan(a: Any) -> Any:
    """The inverses of matrices in float64, as `cond` takes them; NaN in place of those that do not exist."""
    singular = (np.linalg.slogdet(a)[0] == 0)[..., None, None]
    return np.where(singular, np.nan, np.linalg.inv(np.where(singular, np.eye(a.shape[-1]), a)))


rule(_inverse_or_nan, lambda g, y: -y.mT @ g @ y.mT)


@on_values
def _is_undefined(number: Any, x: Any) -> Any:
    return np.isnan(number) & ~np.isnan(x).any(axis=(-2, -1))


@implements(np.linalg.cond)
def cond(x: Any, p: Any = None) -> Any:
    """The condition number ‖x‖ ‖x⁻¹‖; of a singular matrix it is infinite, and its gradient not finite."""
    p = option(p, "cond: p")
    if 0 in x.shape[-2:] and not x.size:
        raise np.linalg.LinAlgError("cond is not defined on empty arrays")
    with np.errstate(all="ignore"):
        if p in (None, 2, -2):
            s = svdvals(x)
            number = s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
        else:
            norms = (np.linalg.norm(matrix, p, (-2, -1)) for matrix in (x, _inverse_or_nan(x)))
            number = np.astype(math.prod(norms), x.dtype if x.dtype.kind == "f" else np.float64)
    return np.where(_is_undefined(number, x), np.inf, number)
