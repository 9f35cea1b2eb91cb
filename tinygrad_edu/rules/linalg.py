"""Rules of products of matrices and vectors."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..engine import FUNCTIONS, primitive, rule


@primitive
def _matmul(a: Any, b: Any) -> Any:
    """The product of (stacks of) matrices: both arguments have two axes at least."""
    return operator.matmul(a, b)


rule(_matmul, lambda g, y, a, b: g @ b.mT, lambda g, y, a, b: a.mT @ g)


def matmul(a: Any, b: Any) -> Any:
    """`a @ b`; a vector is a row on the left and a column on the right, and its axis vanishes from the product."""
    dims = np.ndim(a), np.ndim(b)
    if 0 in dims:
        raise ValueError(f"matmul: shapes {np.shape(a)} and {np.shape(b)}: use * to multiply by a single number")
    if dims[0] > 1 and dims[1] > 1:
        return _matmul(a, b)
    rows = np.reshape(a, (1, -1)) if dims[0] == 1 else a
    columns = np.reshape(b, (-1, 1)) if dims[1] == 1 else b
    product = _matmul(rows, columns)
    shape = list(product.shape)
    if dims[1] == 1:
        del shape[-1]
    if dims[0] == 1:
        del shape[-1 if dims[1] == 1 else -2]
    return np.reshape(product, shape)


def dot(a: Any, b: Any, out: None = None) -> Any:
    """The sum over the last axis of `a` and the last but one of `b`."""
    if out is not None:
        raise TypeError("dot: out= is not supported on tensors; use the result")
    if 0 in (np.ndim(a), np.ndim(b)):
        return np.multiply(a, b)
    if np.ndim(b) <= 2:
        return matmul(a, b)
    columns = np.reshape(np.moveaxis(b, -2, 0), (np.shape(b)[-2], -1))
    return np.reshape(matmul(a, columns), (*np.shape(a)[:-1], *np.shape(b)[:-2], np.shape(b)[-1]))


FUNCTIONS[np.matmul] = matmul
FUNCTIONS[np.dot] = dot
