"""Covariances and correlations."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.operators import on_values, option
from ..autograd.primitives import implements
from .elementwise import as_array


@implements(np.cov)
def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    """Derivatives by what was observed, and by `aweights`, how much each observation counts."""
    if ddof is not None and ddof != int(ddof):
        raise ValueError(f"cov: ddof must be a whole number, not {ddof}")
    observed = [as_array(v) for v in (m, y) if v is not None]
    dtype = dtype or np.result_type(np.float64, *(v.dtype for v in observed))
    rows = [_variables(v, rowvar or v.ndim == 1 or (k == 1 and v.shape[0] == 1), dtype) for k, v in enumerate(observed)]
    x = np.concatenate(rows) if len(rows) > 1 else rows[0]
    ddof = (0 if bias else 1) if ddof is None else ddof
    if fweights is None and aweights is None:
        x = x - np.mean(x, axis=1, keepdims=True)
        return np.squeeze(np.dot(x, x.T) / max(0, x.shape[1] - ddof))
    frequencies = 1.0 if fweights is None else _weights("fweights", option(fweights), x.shape[1])
    weights = frequencies * (1.0 if aweights is None else _weights("aweights", aweights, x.shape[1]))
    total = np.sum(weights)
    squares = total if aweights is None else np.sum(weights * aweights)
    x = x - np.average(x, axis=1, weights=weights, keepdims=True)
    return np.squeeze(np.dot(x, (x * weights).T) / np.maximum(0, total - ddof * squares / total))


def _variables(v: Any, is_one_in_each: bool, dtype: Any) -> Any:
    """Variables as rows."""
    if v.ndim > 2:
        raise ValueError(f"cov: takes vectors and matrices, got shape {v.shape}")
    v = np.atleast_2d(as_array(v, dtype))
    return v if is_one_in_each else v.T


def _weights(name: str, weights: Any, n: int) -> Any:
    if np.shape(weights) != (n,):
        raise ValueError(f"cov: {name} must have the shape ({n},), one number for each observation")
    weights = as_array(weights, np.float64)
    _check(weights, name)
    return weights


@on_values
def _check(weights: Any, name: str) -> None:
    if np.any(weights < 0):
        raise ValueError(f"cov: {name} must not be negative")
    if name == "fweights" and np.any(weights != np.rint(weights)):
        raise TypeError("cov: fweights must be whole numbers")


@implements(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    c = cov(x, y, rowvar, dtype=dtype)
    if not c.ndim:
        return c / c
    spread = np.sqrt(np.diagonal(c))
    return np.clip(c / spread[:, None] / spread, -1, 1)
