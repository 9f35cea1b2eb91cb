"""Rules of `numpy.linalg`, batched as NumPy is: inverses, systems of equations, determinants.

Formulas: M. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation"
(2008).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd.operators import on_values
from ..autograd.primitives import FUNCTIONS, implements, primitive, rule
from ..autograd.views import owned

# Inverses, systems of equations, determinants

rule(np.linalg.inv, lambda g, y: -y.mT @ g @ y.mT)


@primitive
def _solve(a: Any, b: Any) -> Any:
    """The x with a x = b, for matrices b."""
    return np.linalg.solve(a, b)


rule(
    _solve,
    lambda g, y, a: -_solve(a.mT, g) @ y.mT,
    lambda g, a: _solve(a.mT, g),
)


@implements(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    return owned(_solve(a, np.expand_dims(b, -1))[..., 0]) if np.ndim(b) == 1 else _solve(a, b)


@implements(np.linalg.tensorsolve)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    """The x with `np.tensordot(a, x, x.ndim) == b`: the axes of `a` behind those of `b` are summed over."""
    if axes is not None:
        a = np.transpose(a, [*(k for k in range(np.ndim(a)) if k not in axes), *axes])
    shape = np.shape(a)[np.ndim(b) - np.ndim(a) :]
    n = math.prod(shape)
    if np.size(a) != n * n:
        raise np.linalg.LinAlgError(
            f"tensorsolve: of shapes {np.shape(a)} and {np.shape(b)}, the axes of a behind those of b must have as "
            f"many elements as b, got {n}"
        )
    return np.reshape(np.linalg.solve(np.reshape(a, (n, n)), np.ravel(b)), shape)


@implements(np.linalg.tensorinv)
def tensorinv(a: Any, ind: int = 2) -> Any:
    """The inverse of `b ↦ np.tensordot(a, b, a.ndim - ind)`."""
    if ind <= 0:
        raise ValueError(f"tensorinv: ind must be positive, got {ind}")
    if not a.ndim:
        raise ValueError("tensorinv: a single number has no axes to divide into two")
    rows = math.prod(a.shape[ind:])
    return np.reshape(np.linalg.inv(np.reshape(a, (rows, -1))), (*a.shape[ind:], *a.shape[:ind]))


def _singular(a: Any) -> Any:
    """The singular vectors and values of matrices; of one that is not finite, the values are NaN."""
    broken = ~np.isfinite(a).all(axis=(-2, -1), keepdims=True)
    u, s, vt = np.linalg.svd(np.where(broken, 0, a))
    return u, np.where(broken[..., 0], np.nan, s), vt


@primitive
def _cofactors(a: Any) -> Any:
    """det(a) a⁻ᵀ, which exists for singular matrices too: each singular value becomes the product of the others."""
    u, s, vt = _singular(a)
    n = s.shape[-1]
    others = np.prod(np.where(np.eye(n, dtype=bool), 1, s[..., None, :]), axis=-1)
    sign = np.linalg.det(u) * np.linalg.det(vt)
    return (np.round(sign)[..., None, None] * u * others[..., None, :]) @ vt


@primitive
def _cofactors_slope(a: Any, direction: Any) -> Any:
    """The derivative of the cofactors of `a` in a direction, so the second derivative of the determinant. As the
    determinant is a polynomial, it exists for singular matrices too. In the bases of the singular vectors it needs the
    products of all singular values but two."""
    u, s, vt = _singular(a)
    n = s.shape[-1]
    own = np.eye(n, dtype=bool)
    products = np.prod(np.where(own[:, None] | own, 1, s[..., None, None, :]), axis=-1)
    e = u.mT @ direction @ vt.mT
    diagonal = np.sum(np.where(own, 0, products) * np.diagonal(e, axis1=-2, axis2=-1)[..., None, :], axis=-1)
    x = np.where(own, diagonal[..., None], -e.mT * products)
    return np.round(np.linalg.det(u) * np.linalg.det(vt))[..., None, None] * (u @ x @ vt)


def _no_third(g: Any) -> Any:
    raise NotImplementedError("the third derivative of a determinant has no rule")


rule(_cofactors, lambda g, a: _cofactors_slope(a, g))
rule(_cofactors_slope, _no_third, lambda g, a: _cofactors_slope(a, g))
rule(np.linalg.det, lambda g, a: g[..., None, None] * _cofactors(a))


@primitive
def _log_abs_det(a: Any) -> Any:
    return np.linalg.slogdet(a)[1]


rule(_log_abs_det, lambda g, a: g[..., None, None] * np.linalg.inv(a).mT)


@on_values
def _sign_of_det(a: Any) -> Any:
    return np.linalg.slogdet(a)[0]


@implements(np.linalg.slogdet)
def slogdet(a: Any) -> Any:
    return SlogdetResult(_sign_of_det(a), _log_abs_det(a))


SlogdetResult: Any = type(np.linalg.slogdet(np.eye(1)))


# The names that NumPy 2 has from the array API standard


def _last_two_first(function: Any, **defaults: Any) -> Any:
    return lambda *args, **options: FUNCTIONS[function](*args, **(defaults | options))


FUNCTIONS[np.linalg.trace] = _last_two_first(np.trace, axis1=-2, axis2=-1)
FUNCTIONS[np.linalg.diagonal] = _last_two_first(np.diagonal, axis1=-2, axis2=-1)
FUNCTIONS[np.linalg.matrix_transpose] = FUNCTIONS[np.matrix_transpose] = lambda x: x.mT
