"""Rules of `numpy.linalg`, batched as NumPy is: inverses, systems of equations, determinants.

Formulas: M. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation"
(2008); for the pseudo-inverse and least squares G. Golub and V. Pereyra, "The differentiation of pseudo-inverses and
nonlinear least squares problems whose variables separate" (1973).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.operators import on_values, option
from ..autograd.primitives import FUNCTIONS, implements, primitive, rule
from ..autograd.recording import plain

# Inverses and determinants

rule(np.linalg.inv, lambda g, y: -y.mT @ g @ y.mT)


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


@implements(np.linalg.pinv)
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = np._NoValue) -> Any:
    if hermitian:
        raise TypeError("pinv: hermitian=True is not supported on tensors; leave it out")
    cutoff = rcond if rtol is np._NoValue else rtol
    if cutoff is None or not a.size:
        return _pinv(a, options={} if cutoff is None else {"rcond": cutoff})
    values = np.linalg.svd(plain(a), compute_uv=False)
    largest = np.max(values, axis=-1, keepdims=True)
    dropped = (values <= np.asarray(option(cutoff))[..., None] * largest) & (values > 1e-13 * largest)
    if np.any(dropped):
        raise ValueError("pinv: there is no derivative rule where rcond cuts off singular values that are not 0")
    return _pinv(a, options={"rcond": cutoff})


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
    return _solve(a, np.expand_dims(b, -1))[..., 0] if np.ndim(b) == 1 else _solve(a, b)


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
