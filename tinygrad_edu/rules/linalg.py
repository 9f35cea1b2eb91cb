"""Rules of `numpy.linalg`, batched as NumPy is.

Formulas: M. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation"
(2008); for the Cholesky factor I. Murray, "Differentiation of the Cholesky decomposition" (2016); for the
pseudo-inverse Golub and Pereyra (1973). Decompositions of several factors are one primitive each, with the factors
side by side in one array.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from ..operand import plain
from ..primitives import FUNCTIONS, primitive, rule
from .elementwise import ratio
from .products import cross, matmul, outer, tensordot, vecdot


def _symmetric(x: Any) -> Any:
    return (x + x.mT) / 2


# Inverses and determinants

rule(np.linalg.inv, lambda g, y, a: -y.mT @ g @ y.mT)


@primitive
def _pinv(a: Any, *, options: Any) -> Any:
    return np.linalg.pinv(a, **options)


rule(
    _pinv,
    lambda g, y, a, *, options: (
        -y.mT @ g @ y.mT
        + (np.eye(a.shape[-2]) - a @ y) @ g.mT @ y @ y.mT
        + y.mT @ y @ g.mT @ (np.eye(a.shape[-1]) - y @ a)
    ),
)


def pinv(a: Any, *args: Any, **options: Any) -> Any:
    if args:
        options["rcond"] = args[0]
    return _pinv(a, options=options)


@primitive
def _solve(a: Any, b: Any) -> Any:
    """For matrices b."""
    return np.linalg.solve(a, b)


rule(
    _solve,
    lambda g, y, a, b: -_solve(a.mT, g) @ y.mT,
    lambda g, y, a, b: _solve(a.mT, g),
)


def solve(a: Any, b: Any) -> Any:
    return _solve(a, b) if np.ndim(b) > 1 else _solve(a, np.expand_dims(b, -1))[..., 0]


@primitive
def _cofactors(a: Any) -> Any:
    """det(a) a⁻ᵀ, which exists for singular matrices too: by the singular values, each the product of the others."""
    u, s, vt = np.linalg.svd(a)
    n = s.shape[-1]
    others = np.prod(np.where(np.eye(n, dtype=bool), 1, s[..., None, :]), axis=-1)
    sign = np.linalg.det(u) * np.linalg.det(vt)
    return (np.round(sign)[..., None, None] * u * others[..., None, :]) @ vt


rule(
    _cofactors,
    lambda g, y, a: np.sum(g * np.linalg.inv(a).mT, axis=(-2, -1), keepdims=True) * y - y @ g.mT @ np.linalg.inv(a).mT,
)
rule(np.linalg.det, lambda g, y, a: g[..., None, None] * _cofactors(a))


@primitive
def _log_abs_det(a: Any) -> Any:
    return np.linalg.slogdet(a)[1]


rule(_log_abs_det, lambda g, y, a: g[..., None, None] * np.linalg.inv(a).mT)


def slogdet(a: Any) -> Any:
    values = np.linalg.slogdet(plain(a))
    return type(values)(values[0], _log_abs_det(a))


# Decompositions


def _lower_part(x: Any) -> Any:
    """NumPy reads the lower triangle only: the gradient of its symmetric reading, gathered there."""
    return np.tril(x + x.mT) - np.tril(np.triu(x))


@primitive
def _cholesky(a: Any) -> Any:
    return np.linalg.cholesky(a)


def _halved(x: Any) -> Any:
    """The lower triangle with its diagonal halved."""
    return np.tril(x) - np.tril(np.triu(x)) / 2


rule(
    _cholesky,
    lambda g, y, a: _lower_part(_symmetric(np.linalg.solve(y.mT, np.linalg.solve(y.mT, _halved(y.mT @ g).mT).mT))),
)


def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    return _cholesky(a.mT).mT if upper else _cholesky(a)


@primitive
def _eigh(a: Any) -> Any:
    """The eigenvalues as a column, then the eigenvectors: (…, n, 1 + n)."""
    w, v = np.linalg.eigh(a)
    return np.concatenate((w[..., None], v), axis=-1)


def _inverse_gaps(values: Any) -> Any:
    """1 / (v_j − v_i), and 0 where they are equal (the vectors of equal values have no derivative)."""
    gaps = values[..., None, :] - values[..., :, None]
    return np.where(gaps == 0, 0, 1 / np.where(gaps == 0, 1, gaps))


rule(
    _eigh,
    lambda g, y, a: _lower_part(
        y[..., 1:] @ (_inverse_gaps(y[..., 0]) * (y[..., 1:].mT @ g[..., 1:]) + _diagonal(g[..., 0])) @ y[..., 1:].mT
    ),
)


def _diagonal(x: Any) -> Any:
    """Vectors on the last axis as diagonal matrices."""
    return x[..., None] * np.eye(x.shape[-1], dtype=x.dtype)


def eigh(a: Any, UPLO: str = "L") -> Any:
    packed = _eigh(a if UPLO.upper() == "L" else a.mT)
    return _eigh_result(packed[..., 0], packed[..., 1:])


def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    return eigh(a, UPLO)[0]


@primitive
def _svd(a: Any) -> Any:
    """Uᵀ, the singular values as a column, and Vᵀ side by side: (…, k, m + 1 + n)."""
    u, s, vt = np.linalg.svd(a, full_matrices=False)
    return np.concatenate((u.mT, s[..., None], vt), axis=-1)


def _svd_rule(g: Any, y: Any, a: Any) -> Any:
    m = a.shape[-2]
    u, s, v = y[..., :m].mT, y[..., m], y[..., m + 1 :].mT
    gu, gs, gv = g[..., :m].mT, g[..., m], g[..., m + 1 :].mT
    gaps = s[..., None, :] ** 2 - s[..., :, None] ** 2
    f = np.where(gaps == 0, 0, 1 / np.where(gaps == 0, 1, gaps))
    over_s = (ratio(np.ones(s.shape, s.dtype), s) * np.where(s == 0, 0, 1))[..., None, :]
    skew_u, skew_v = u.mT @ gu, v.mT @ gv
    middle = _diagonal(gs) + (f * (skew_u - skew_u.mT)) * s[..., None, :] + s[..., :, None] * (f * (skew_v - skew_v.mT))
    outside_u, outside_v = gu - u @ skew_u, gv - v @ skew_v
    return u @ middle @ v.mT + (outside_u * over_s) @ v.mT + u @ (outside_v * over_s).mT


rule(_svd, _svd_rule)


def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    m, n = a.shape[-2:]
    if hermitian:
        raise TypeError("svd: hermitian=True is not supported on tensors; use numpy.linalg.eigh")
    if compute_uv and full_matrices and m != n:
        raise TypeError(f"svd: of shape {(m, n)} only full_matrices=False has a derivative")
    packed = _svd(a)
    if not compute_uv:
        return packed[..., m]
    return _svd_result(packed[..., :m].mT, packed[..., m], packed[..., m + 1 :])


def svdvals(x: Any, /) -> Any:
    return svd(x, compute_uv=False)


_eigh_result: Any = type(np.linalg.eigh(np.eye(1)))
_svd_result: Any = type(np.linalg.svd(np.eye(1)))


# Powers and norms


def matrix_power(a: Any, n: int) -> Any:
    if n < 0:
        a, n = np.linalg.inv(a), -n
    result: Any = np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape)
    started = False
    while n:
        if n % 2:
            result, started = (result @ a if started else a), True
        n //= 2
        if n:
            a = a @ a
    return result


def multi_dot(arrays: Any, *, out: None = None) -> Any:
    if out is not None:
        raise TypeError("multi_dot: the option out= is not supported on tensors; leave it out")
    return reduce(np.dot, arrays)


@primitive
def _two_norm(x: Any, *, axis: Any, keepdims: bool) -> Any:
    return np.linalg.norm(x, None, axis, keepdims)


rule(
    _two_norm,  # at 0 the gradient is taken as 0
    lambda g, y, x, *, axis, keepdims: (
        (g if keepdims or axis is None else np.expand_dims(g, axis))
        * ratio(x, y if keepdims or axis is None else np.expand_dims(y, axis))
    ),
)


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    if axis is None and (ord is None or (ord == 2 and x.ndim == 1) or (ord == "fro" and x.ndim == 2)):
        return _frobenius(x, tuple(range(x.ndim)), keepdims)
    axes: Any = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int | np.integer) else tuple(axis)
    if len(axes) == 1:
        return _vector_norm(x, 2 if ord is None else ord, axes[0], keepdims)
    if len(axes) != 2:
        raise ValueError(f"norm: a norm of order {ord} is over one or two axes, got shape {x.shape} and {axis=}")
    if ord in (None, "fro"):
        return _frobenius(x, axes, keepdims)
    rows, columns = (k % x.ndim for k in axes)
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


def _frobenius(x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    if len(axes) == x.ndim:
        y = _two_norm(np.ravel(x), axis=None, keepdims=False)
        return np.reshape(y, (1,) * x.ndim) if keepdims else y
    return _two_norm(x, axis=axes if len(axes) > 1 else axes[0], keepdims=keepdims)


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
    total = np.sum(size**ord, axis=axis, keepdims=keepdims)
    safe = np.where(total == 0, 1, total)  # at 0 the gradient is taken as 0
    return np.where(total == 0, 0, safe ** (1 / ord))


_function: Any
for _function in (pinv, solve, slogdet, cholesky, eigh, eigvalsh, svd, svdvals, matrix_power, multi_dot, norm):
    FUNCTIONS[getattr(np.linalg, _function.__name__)] = _function

# NumPy 2's names of the array standard


def _last_two_first(function: Any, **defaults: Any) -> Any:
    return lambda *args, **options: FUNCTIONS[function](*args, **(defaults | options))


for _function in (cross, matmul, outer, tensordot, vecdot):
    FUNCTIONS[getattr(np.linalg, _function.__name__)] = _function
FUNCTIONS[np.linalg.trace] = _last_two_first(np.trace, axis1=-2, axis2=-1)
FUNCTIONS[np.linalg.diagonal] = _last_two_first(np.diagonal, axis1=-2, axis2=-1)
FUNCTIONS[np.linalg.matrix_transpose] = FUNCTIONS[np.matrix_transpose] = lambda x: x.mT
