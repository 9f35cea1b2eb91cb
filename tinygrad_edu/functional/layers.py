"""What layers compute: `linear` and `dropout`."""

from __future__ import annotations

import math
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..autograd.operators import on_values
from ..autograd.primitives import primitive, rule
from ..autograd.tensor import Tensor
from ..random import generator
from ..rules.products import product, product_into
from .activations import Scratch, as_floats


def _rows(x: Any, **how: Any) -> Any:
    """All but the last axis as one: a single large product is faster than a stack of small ones."""
    return x if x.ndim < 3 else np.reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]), **how)


def _stacked(rows: Any, like: Any) -> Any:
    """The rows in the shape that the axes of `like` had in front."""
    return rows if like.ndim < 3 else np.reshape(rows, (*like.shape[:-1], rows.shape[-1]))


def linear_into(out: Any, scratch: Scratch, x: Any, weight: Any, bias: Any) -> None:
    product_into(_rows(out, copy=False), scratch, _rows(x), weight)  # what is written into a copy would be lost
    out += bias


@primitive(into=linear_into)
def _linear(x: Any, weight: Any, bias: Any) -> Any:
    y = product.forward(x, weight) if x.ndim == 2 else _stacked(product.forward(_rows(x), weight), x)
    if y.dtype is not bias.dtype:
        return y + bias
    y += bias
    return y


rule(
    _linear,
    lambda g, weight: _stacked(product(_rows(g), weight.mT), g),
    lambda g, x: product(_rows(x).mT, _rows(g)),
    lambda g: _rows(g),
    new=(0, 1),
)


@overload
def linear(x: Tensor, weight: Tensor | ArrayLike, bias: Tensor | ArrayLike | None = ...) -> Tensor: ...
@overload
def linear(x: ArrayLike, weight: Tensor, bias: Tensor | ArrayLike | None = ...) -> Tensor: ...
@overload
def linear(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = ...) -> NDArray[Any]: ...
def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """x @ weight + bias: x has shape (…, n), weight (n, k), bias (k,) and the result (…, k).

    Raises `ValueError` if the columns of x and the rows of weight differ in number.

    >>> tg.linear(np.ones((1, 2)), np.array([[1.0], [2.0]]), np.array([10.0]))
    array([[13.]])
    """
    try:
        is_of_rows = len(x.shape) > 1 and len(weight.shape) == 2 and bias is not None and len(bias.shape) == 1
    except AttributeError:  # of a list
        return linear(*[a if a is None or hasattr(a, "shape") else np.asarray(a) for a in (x, weight, bias)])
    if is_of_rows:
        return _linear(x, weight, bias)
    y = x @ weight
    return y if bias is None else y + bias


Rng = np.random.Generator | int | None


@overload
def dropout(x: Tensor, p: float = ..., training: bool = ..., rng: Rng = ...) -> Tensor: ...
@overload
def dropout(x: ArrayLike, p: float = ..., training: bool = ..., rng: Rng = ...) -> NDArray[Any]: ...
def dropout(x: Any, p: float = 0.5, training: bool = True, rng: Rng = None) -> Any:
    """Sets each element of x, of any shape, to 0 with probability `p` and divides the others by 1 − p; without
    `training`, gives x itself.

    `rng` is a generator, a seed, or None for the package's own generator (`manual_seed`). Raises `ValueError` for a `p`
    outside [0, 1], `TypeError` for one that requires grad.

    (Srivastava et al., "Dropout", JMLR 15, 2014; scaled in training, so that evaluation needs no change.)

    >>> tg.dropout(np.ones(4), 0.5, rng=0)
    array([2., 0., 0., 0.])
    >>> tg.dropout(np.ones(4), 0.5, training=False)
    array([1., 1., 1., 1.])
    """
    if isinstance(p, Tensor):
        raise TypeError("dropout: p is a number, not a Tensor, since there is no derivative by it; pass float(p)")
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p must be a probability, from 0 to 1, not {p}")
    if not training or p == 0:
        return x
    x = as_floats(x)
    return x * _dropout_mask(x, p, rng)


def _mask(x: Any, p: float, rng: Rng) -> Any:
    return ((generator(rng).random(np.shape(x)) >= p) / max(1 - p, 1e-300)).astype(x.dtype)


_mask.draws = True  # type: ignore[attr-defined]
_dropout_mask = on_values(_mask)
