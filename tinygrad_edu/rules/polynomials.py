"""Polynomials, given by their coefficients, those of the highest powers first: all but the roots are made of other
functions."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.call_site import warn_user
from ..autograd.operators import or_numpy
from ..autograd.primitives import FUNCTIONS, implements, primitive, rule
from ..autograd.recording import plain
from .elementwise import as_array


@implements(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    p, x = as_array(p), as_array(x)
    y: Any = np.zeros_like(x)
    for k in range(len(p)):  # Horner's scheme
        y = y * x + p[k]
    return y


def _elementwise(step: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def combined(a1: Any, a2: Any) -> Any:
        a, b = np.atleast_1d(as_array(a1)), np.atleast_1d(as_array(a2))
        n = max(len(a), len(b))
        return step(np.pad(a, (n - len(a), 0)), np.pad(b, (n - len(b), 0)))

    return combined


FUNCTIONS[np.polyadd] = _elementwise(operator.add)
FUNCTIONS[np.polysub] = _elementwise(operator.sub)


@implements(np.polymul)
def polymul(a1: Any, a2: Any) -> Any:
    a, b = (p if len(p) else np.zeros(1, p.dtype) for p in map(np.atleast_1d, map(as_array, (a1, a2))))
    return np.convolve(a, b)[_leading_zeros(a) + _leading_zeros(b) :]


def _leading_zeros(p: Any) -> int:
    """How many coefficients NumPy leaves out, since they are 0."""
    nonzero = np.asarray(plain(p)) != 0  # raises for a symbol, which has no values
    return int(np.argmax(nonzero)) if np.any(nonzero) else nonzero.size - 1


@implements(np.polydiv)
def polydiv(u: Any, v: Any) -> tuple[Any, Any]:
    """Quotient and remainder by long division. What is left of a leading coefficient that was divided away is
    rounding, and left out, as NumPy does."""
    u, v = (np.atleast_1d(as_array(p)) + 0.0 for p in (u, v))
    dtype = (u[0] + v[0]).dtype
    rest, v = as_array(u, dtype), as_array(v, dtype)
    scale, n, quotient = 1.0 / v[0], len(v), []
    for k in range(len(u) - n + 1):
        quotient.append(scale * rest[k])
        rest = np.concatenate((rest[:k], rest[k : k + n] - quotient[-1] * v, rest[k + n :]))
    values = np.asarray(plain(rest))  # raises for a symbol, which has no values
    larger = np.flatnonzero(~np.isclose(values, 0, rtol=1e-14))
    first = int(larger[0]) if larger.size else len(values) - 1
    return np.stack(quotient) if quotient else np.zeros(1, dtype), rest[first:]


@implements(np.polyder)
def polyder(p: Any, m: int = 1) -> Any:
    for _ in range(_how_often("polyder", m)):
        p = p[:-1] * np.arange(len(p) - 1, 0, -1)
    return p


@implements(np.polyint)
def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    """The constants `k` are those of the first integral, the second, …; a single one is that of all of them."""
    m = _how_often("polyint", m)
    constants = np.zeros(m) if k is None else np.atleast_1d(as_array(k))
    constants = np.broadcast_to(constants, m) if len(constants) == 1 else constants
    if len(constants) < m:
        raise ValueError(f"polyint: {m} integrals have as many constants, or one, got {len(constants)}")
    for i in range(m):
        p = np.concatenate((as_array(p) / np.arange(len(p), 0, -1), constants[i : i + 1]))
    return p


def _how_often(who: str, m: Any) -> int:
    if m < 0:
        raise ValueError(f"{who}: the order must not be negative, got {m}")
    return int(m)


@implements(np.poly)
@or_numpy(np.poly)
def poly(seq_of_zeros: Any) -> Any:
    if seq_of_zeros.ndim > 1:
        raise TypeError("poly: takes the roots as a vector; those of a matrix's polynomial are complex")
    roots = np.atleast_1d(seq_of_zeros)
    roots = as_array(roots, np.float32 if roots.dtype == np.float32 else np.float64)
    one = np.ones((), roots.dtype)
    p: Any = one
    for root in roots:
        p = np.convolve(p, np.stack((one, -root)))
    return p


# Roots: the derivative of an implicit function, dr/dp = − rᵏ / p′(r) for the coefficient of the power k


@primitive
def _roots(p: Any) -> Any:
    roots = np.roots(p)
    if np.iscomplexobj(roots):
        raise TypeError(
            f"roots: {np.count_nonzero(roots.imag)} of {len(roots)} roots are complex, and tensors hold real numbers; "
            "pass .detach().numpy() if no gradient is wanted"
        )
    return roots


@primitive
def _slopes_at_roots(p: Any, r: Any) -> Any:
    slopes, bends = np.polyval(np.polyder(p), r), np.polyval(np.polyder(p, 2), r)
    rounding = np.finfo(p.dtype).eps * np.polyval(abs(p), abs(r))
    # It may move a root by rounding / |p′|, and another root, if there is one near, is about |p′ / p″| away.
    is_multiple = slopes * slopes <= 16 * rounding * abs(bends)
    if np.any(is_multiple):
        raise ValueError(
            f"roots: {r[np.argmax(is_multiple)]} is a multiple root (up to rounding), which has no derivative; pass "
            ".detach().numpy() if no gradient is wanted"
        )
    return slopes


rule(
    _slopes_at_roots,
    lambda g, p, r: np.append(np.arange(len(p) - 1, 0, -1) * (g @ np.vander(r, len(p) - 1)), 0.0),
    lambda g, p, r: g * np.polyval(np.polyder(p, 2), r),
)
rule(_roots, lambda g, y, p: -(g / _slopes_at_roots(p, y)) @ np.vander(y, len(p)))


@implements(np.roots)
@or_numpy(np.roots)
def roots(p: Any) -> Any:
    if p.ndim > 1:
        raise ValueError(f"roots: takes a vector of coefficients, got shape {p.shape}")
    return _roots(np.atleast_1d(p))


# Least squares


@implements(np.polyfit)
def polyfit(
    x: Any, y: Any, deg: int, rcond: float | None = None, full: bool = False, w: Any = None, cov: Any = False
) -> Any:
    """As NumPy does it: the columns of the powers are scaled to length 1, which makes the equations better."""
    x, y = (as_array(a) + 0.0 for a in (x, y))
    ones = None if w is None else np.ones(np.shape(w))
    np.polyfit(np.ones(x.shape), np.ones(y.shape), deg, full=True, w=ones)  # says what is wrong
    count = int(deg) + 1
    powers, values = np.vander(x, count), y
    if w is not None:
        w = as_array(w) + 0.0
        powers, values = powers * w[:, None], values * (w if y.ndim == 1 else w[:, None])
    scale = np.sqrt(np.sum(powers * powers, axis=0))
    powers = powers / scale
    rcond = len(x) * np.finfo(x.dtype).eps if rcond is None else rcond
    solution, residuals, rank, singular = np.linalg.lstsq(powers, values, rcond)
    p = (solution.T / scale).T
    if full:
        return p, residuals, rank, singular, rcond
    if rank != count:
        warn_user("Polyfit may be poorly conditioned", np.exceptions.RankWarning)
    if not cov:
        return p
    covariance = np.linalg.inv(powers.T @ powers) / np.outer(scale, scale)
    if cov == "unscaled":
        return p, covariance if y.ndim == 1 else covariance[:, :, None]
    if len(x) <= count:
        raise ValueError(f"polyfit: to scale the covariance takes more than {count} points, got {len(x)}")
    factor = residuals / (len(x) - count)
    return p, (covariance if y.ndim == 1 else covariance[:, :, None]) * factor


@implements(np.vander)
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    if x.ndim != 1:
        raise ValueError(f"vander: takes a vector, got shape {x.shape}")
    n = len(x)
    count = n if N is None else N
    x = np.astype(x, np.promote_types(x.dtype, int))
    copies = np.broadcast_to(x[:, None], (n, max(0, count - 1)))
    powers = np.concatenate((np.ones((n, min(1, count)), x.dtype), np.cumprod(copies, axis=1)), axis=1)
    return powers if increasing else np.flip(powers, 1)
