"""Covariances and correlations."""

from __future__ import annotations

import warnings
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
    rows = [
        _variables(v, rowvar or v.ndim == 1 or (k == 1 and v.shape[:-1] in ((), (1,))), dtype)
        for k, v in enumerate(observed)
    ]
    if not rows[0].shape[0]:
        return np.zeros((0, 0))  # whatever there is besides, as in NumPy
    x = np.concatenate(rows) if len(rows) > 1 else rows[0]
    ddof = (0 if bias else 1) if ddof is None else ddof
    weights, freedom = None, x.shape[1] - ddof
    if fweights is not None:
        weights = _weights("fweights", option(fweights, "cov: fweights"), x.shape[1])
        freedom = np.sum(weights) - ddof
    if aweights is not None:
        aweights = _weights("aweights", aweights, x.shape[1])
        weights = aweights if weights is None else weights * aweights
        total = np.sum(weights)
        freedom = total - ddof * np.sum(weights * aweights) / total if ddof else total
    _warn_of_none(freedom)
    x = x - np.average(x, axis=1, weights=weights, keepdims=True)
    c = np.dot(x, (x if weights is None else x * weights).T) * np.divide(1, np.maximum(0, freedom))
    return np.squeeze(as_array(c, dtype))


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


@on_values
def _warn_of_none(freedom: Any) -> None:
    if freedom <= 0:
        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=5)


@implements(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    c = cov(x, y, rowvar, dtype=dtype)
    if not c.ndim:
        return c / c
    spread = np.sqrt(np.diagonal(c))
    return np.clip(c / spread[:, None] / spread, -1, 1)
