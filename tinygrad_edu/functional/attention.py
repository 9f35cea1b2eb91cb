"""Attention: each query takes a mean of values, weighted by how well their keys fit it."""

from __future__ import annotations

import math
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..autograd.record import Operand
from ..autograd.tensor import Tensor
from .activations import as_floats
from .exponentials import softmax

WHO = "scaled_dot_product_attention"


@overload
def scaled_dot_product_attention(
    q: Tensor, k: Tensor | ArrayLike, v: Tensor | ArrayLike, mask: Any = ..., causal: bool = ...
) -> Tensor: ...
@overload
def scaled_dot_product_attention(
    q: ArrayLike, k: ArrayLike, v: ArrayLike, mask: Any = ..., causal: bool = ...
) -> NDArray[Any]: ...
def scaled_dot_product_attention(q: Any, k: Any, v: Any, mask: Any = None, causal: bool = False) -> Any:
    """softmax(q kᵀ / √d) v: queries q (…, t, d), keys k (…, s, d), values v (…, s, n), and the result (…, t, n). Axes
    in front, such as those of samples and heads, are broadcast. Integers become float64.

    A `mask` has a shape that broadcasts to (…, t, s): of True where a query may attend to a key, or of floats that are
    added to q kᵀ / √d. With `causal`, query i attends to the keys 0 to i only. Both together hold both. A query that
    may attend to no key gets 0, and gives no gradient: the mean of nothing, as of a sample that is all padding, is no
    reason to stop, and PyTorch gives 0, too.

    Raises `ValueError` for shapes that do not fit, and `TypeError` for a mask of whole numbers.

    (Vaswani et al., "Attention is all you need", NeurIPS 2017.)

    >>> x = np.array([[100.0, 0.0], [0.0, 100.0]])
    >>> tg.scaled_dot_product_attention(x, x, np.array([[1.0], [2.0]]))
    array([[1.],
           [2.]])
    >>> tg.scaled_dot_product_attention(0 * x, x, np.array([[1.0], [2.0]]), causal=True)
    array([[1. ],
           [1.5]])
    """
    q, k, v = as_floats(q), as_floats(k), as_floats(v)
    shape = _shape_of_scores(q.shape, k.shape, v.shape)
    scores = (q * (1 / math.sqrt(max(q.shape[-1], 1)))) @ k.mT
    if mask is None and not causal:
        return softmax(scores) @ v
    may, added = _checked_mask(mask, shape, scores.dtype)
    if causal:
        triangle = np.tri(*shape[-2:], dtype=np.bool_)
        may = triangle if may is None else np.logical_and(may, triangle)
    some = np.any(may, axis=-1, keepdims=True)
    added = np.where(some, np.where(may, added, -np.inf), 0)  # −∞ everywhere would make NaN of the row
    y = softmax(scores + np.astype(added, scores.dtype)) @ v
    return y if mask is None or (not isinstance(some, Operand) and some.all()) else np.where(some, y, 0)


def _checked_mask(mask: Any, shape: tuple[int, ...], dtype: Any) -> tuple[Any, Any]:
    """Where a query may attend, and what is added there, in the precision of the scores."""
    if mask is None:
        return None, 0
    mask = mask if isinstance(mask, Operand) else np.asarray(mask)
    if mask.dtype.kind not in "fb":
        raise TypeError(
            f"{WHO}: a mask of {mask.dtype} could mean two things: write mask != 0 for True where a query may attend, "
            "or mask.astype(float) for numbers that are added to the scores"
        )
    try:
        fits = np.broadcast_shapes(mask.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"{WHO}: a mask of shape {mask.shape} does not broadcast to the scores of shape {shape}, which are "
            "(..., queries, keys). One for each sample and key, (m, s), is mask[:, None, None, :] beside heads"
        )
    if mask.dtype.kind == "b":
        return mask, 0
    with np.errstate(over="ignore"):  # the lowest number of a wider kind of floats is −∞ here
        mask = np.astype(mask, dtype)
    return np.not_equal(mask, -np.inf), mask


def _shape_of_scores(q: tuple[int, ...], k: tuple[int, ...], v: tuple[int, ...]) -> tuple[int, ...]:
    shapes = f"q of shape {q}, k of shape {k} and v of shape {v}"
    if min(len(q), len(k), len(v)) < 2:
        raise ValueError(f"{WHO}: got {shapes}: each has at least two axes, (..., steps, features)")
    if q[-1] != k[-1]:
        raise ValueError(f"{WHO}: got {shapes}: a query has {q[-1]} features and a key {k[-1]}; they must be as many")
    if k[-2] != v[-2]:
        raise ValueError(f"{WHO}: got {shapes}: there are {k[-2]} keys and {v[-2]} values; each key has one value")
    try:
        return (*np.broadcast_shapes(q[:-2], k[:-2], v[:-2]), q[-2], k[-2])
    except ValueError:
        raise ValueError(f"{WHO}: got {shapes}: the axes in front of the last two do not broadcast") from None
