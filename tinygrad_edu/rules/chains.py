"""Products of many matrices: powers and chains."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..autograd.primitives import implements
from ..autograd.views import owned
from .products import _dot


@implements(np.linalg.matrix_power)
def matrix_power(a: Any, n: int) -> Any:
    n = operator.index(n)
    if n < 0:
        a, n = np.linalg.inv(a), -n
    if n == 3:
        return (a @ a) @ a  # as NumPy does
    result: Any = np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape)
    started = False
    while n:
        if n % 2:
            result, started = (result @ a if started else a), True
        n //= 2
        if n:
            a = a @ a
    return result


@implements(np.linalg.multi_dot)
def multi_dot(arrays: Any, *, out: None = None) -> Any:
    if out is not None:
        raise TypeError("multi_dot: the option out= is not supported on tensors; leave it out")
    arrays = list(arrays)
    if len(arrays) < 2:
        raise ValueError("multi_dot: expected at least two arrays")
    if len(arrays) == 2:
        return _dot(*arrays)
    ndims = [np.ndim(a) for a in arrays]
    if ndims[0] == 1:
        arrays[0] = np.reshape(arrays[0], (1, -1))
    if ndims[-1] == 1:
        arrays[-1] = np.reshape(arrays[-1], (-1, 1))
    if any(np.ndim(a) != 2 for a in arrays):
        raise ValueError(
            f"multi_dot: takes matrices, between vectors at the ends, got shapes {[*map(np.shape, arrays)]}"
        )
    sizes = [*(np.shape(a)[0] for a in arrays), np.shape(arrays[-1])[1]]
    y = _chained(arrays, 0, len(arrays) - 1, _best_splits(sizes))
    return owned(np.reshape(y, [n for n, ndim in zip(y.shape, (ndims[0], ndims[-1]), strict=True) if ndim > 1]))


def _best_splits(sizes: list[int]) -> dict[tuple[int, int], int]:
    """Where to split each product of matrices i … j for the fewest multiplications (Cormen et al., chapter 15.2)."""
    n = len(sizes) - 1
    cost, split = {(i, i): 0 for i in range(n)}, {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            costs = {k: cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1] for k in range(i, j)}
            split[i, j] = best = min(costs, key=costs.__getitem__)
            cost[i, j] = costs[best]
    return split


def _chained(arrays: list[Any], i: int, j: int, split: dict[tuple[int, int], int]) -> Any:
    if i == j:
        return arrays[i]
    k = split[i, j]
    return _dot(_chained(arrays, i, k, split), _chained(arrays, k + 1, j, split))
