"""Polynomials, given by their coefficients, those of the highest powers first: all are made of other functions."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.primitives import FUNCTIONS, implements
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
