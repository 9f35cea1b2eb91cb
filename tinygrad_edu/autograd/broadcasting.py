"""Undoing NumPy's broadcasting: a gradient is summed back to the shape of its argument, once, for all rules."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .primitives import primitive, rule


@primitive
def sum_rows(x: Any) -> Any:
    """The sum over the first axis of a matrix: BLAS adds rows several times as fast as `np.sum`."""
    return np.dot(ones_of(len(x), x.dtype), x)


@functools.lru_cache(maxsize=16)
def ones_of(n: int, dtype: np.dtype[Any]) -> Any:
    ones = np.ones(n, dtype)
    ones.flags.writeable = False
    return ones


rule(sum_rows, lambda g, x_shape: np.broadcast_to(g, x_shape))


def unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    """Sums `g` over the axes that broadcasting added or stretched, and repeats it along those that a reduction left at
    size 1, so that it has `shape`."""
    added = g.ndim - len(shape)
    if added == 1 and g.ndim == 2 and g.shape[1:] == shape and g.dtype.char in "fd":
        return sum_rows(g)  # a bias
    if added >= 0:
        stretched = tuple(k for k, n in enumerate(g.shape) if k < added or (n != 1 and shape[k - added] == 1))
        if stretched and g.dtype == np.float16:  # which cannot count up to 2049
            total: Any = np.sum(g, axis=stretched, keepdims=True, dtype=np.float32)
            g = total.astype(np.float16)
        elif stretched:
            g = np.sum(g, axis=stretched, keepdims=True)
        if added:
            g = np.reshape(g, g.shape[added:])
    return g if g.shape == shape else np.broadcast_to(g, shape)
