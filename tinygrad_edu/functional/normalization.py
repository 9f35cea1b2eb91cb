"""Normalisation: numbers brought to mean 0 and variance 1, over a batch or within each sample.

The variance takes two passes (the mean first, then the squares of what differs from it): so it stays exact where the
mean is large beside it. What is computed from x by the way (the mean, the variance, the factor 1/σ) is recorded, but
the rule of the last step gives the whole derivative by x, in the form that a person would simplify it to, and hands
nothing to the others. Derivatives of that rule go through them all, so those of second order are right, too.
"""

from __future__ import annotations

import math
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..autograd.conversion import shape_of
from ..autograd.operators import option
from ..autograd.primitives import primitive, rule
from ..autograd.tensor import Tensor
from .activations import Scratch, as_floats, new_array

Axes = tuple[int, ...]


def _mean(x: Any, axes: Axes) -> Any:
    return np.mean(x, axis=axes, keepdims=True)


def _mean_of(array: Any, axes: Axes) -> Any:
    """The same of a plain array, without the checks of `np.mean`, which a small one feels."""
    sums = np.add.reduce(array, axis=axes, keepdims=True)
    sums /= _elements_over(array.shape, axes)
    return sums


def _variance_into(out: Any, scratch: Scratch, x: Any, mean: Any, *, axes: Axes) -> None:
    difference = np.subtract(x, mean, out=scratch(0, x))
    out[...] = _mean_of(np.square(difference, out=difference), axes)


@primitive(into=_variance_into)
def _variance(x: Any, mean: Any, *, axes: Axes) -> Any:
    """The mean of the squares of x − mean, where `mean` is that of x."""
    difference = x - mean
    return _mean_of(np.square(difference, out=difference), axes)


rule(
    _variance,  # by the mean it is 0: the differences sum to 0
    lambda g, x, mean, *, axes: g * (2 / _elements_over(x.shape, axes)) * (x - mean),
    None,
)


def _elements_over(shape: tuple[int, ...], axes: Axes) -> int:
    return math.prod(shape[axis] for axis in axes)


def _standardised_into(out: Any, scratch: Scratch, x: Any, mean: Any, scale: Any, *, axes: Axes) -> None:
    np.subtract(x, mean, out=out)
    out *= scale


@primitive(into=_standardised_into, overwrites=0)
def _standardised(x: Any, mean: Any, scale: Any, *, axes: Axes) -> Any:
    """(x − mean) · scale, where `mean` is that of x and `scale` 1 / √(its variance + eps)."""
    y = x - mean
    y *= scale
    return y


def _slope_into(out: Any, scratch: Scratch, dy: Any, normal: Any, scale: Any, *, axes: Axes) -> None:
    product = np.multiply(dy, normal, out=scratch(0, normal))
    along, level = _mean_of(product, axes), _mean_of(dy, axes)
    np.multiply(normal, along, out=product)
    np.subtract(dy, level, out=out)
    out -= product
    out *= scale


@primitive(into=_slope_into)
def _slope(dy: Any, normal: Any, scale: Any, *, axes: Axes) -> Any:
    """scale · (dy − its mean − normal · the mean of dy · normal): what arrives at normalised numbers, handed to x."""
    out = np.empty_like(normal)
    _slope_into(out, new_array, dy, normal, scale, axes=axes)
    return out


rule(
    _standardised,
    lambda g, y, scale, *, axes: _slope(g, y, scale, axes=axes),
    None,
    None,
    new=True,
)
rule(
    _slope,  # which is linear in what arrives, and its own transpose
    lambda g, normal, scale, *, axes: _slope(g, normal, scale, axes=axes),
    lambda g, dy, normal, scale, *, axes: -scale * (_mean(g * normal, axes) * dy + _mean(dy * normal, axes) * g),
    lambda g, y, scale, *, axes: np.sum(g * y, axis=axes, keepdims=True) / scale,
)


def _normalized(x: Any, axes: Axes, eps: float) -> tuple[Any, Any, Any]:
    """x with mean 0 and variance 1 over the axes, and the mean and the variance that it had."""
    eps = option(eps, "layer_norm, batch_norm: eps")
    wide = np.astype(x, np.float32) if x.dtype == np.float16 else x  # whose squares are soon too large for float16
    mean = _mean(wide, axes)
    variance = _variance(wide, mean, axes=axes)
    # If the variance itself is too large, all is NaN, by ∞ · 0: divided by ∞, all would be 0, as if it were right.
    y = _standardised(wide, mean, 1 / np.sqrt(variance + eps) + 0 * variance, axes=axes)
    return (y if wide is x else np.astype(y, x.dtype)), mean, variance


def _scaled(y: Any, weight: Any, bias: Any) -> Any:
    if weight is not None:
        y = y * weight
    return y if bias is None else y + bias


def _per_channel(a: Any, ndim: int) -> Any:
    """A number for each channel, (c,), so that it broadcasts with x of `ndim` axes."""
    return a if a is None or ndim == 2 else np.reshape(a, (-1, *[1] * (ndim - 2)))


@overload
def layer_norm(
    x: Tensor, shape: int | tuple[int, ...], weight: Any = ..., bias: Any = ..., eps: float = ...
) -> Tensor: ...
@overload
def layer_norm(
    x: ArrayLike, shape: int | tuple[int, ...], weight: Tensor, bias: Any = ..., eps: float = ...
) -> Tensor: ...
@overload
def layer_norm(
    x: ArrayLike, shape: int | tuple[int, ...], weight: ArrayLike | None = ..., bias: ArrayLike | None = ...,
    eps: float = ...,
) -> NDArray[Any]: ...  # fmt: skip
def layer_norm(x: Any, shape: int | tuple[int, ...], weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """(x − mean) / √(variance + eps) · weight + bias, with mean and variance over the last axes of x, whose sizes are
    `shape`; weight and bias have that shape. Each sample is normalised by itself.

    Raises `ValueError` if these shapes differ. (Ba, Kiros and Hinton, "Layer normalization", 2016.)

    >>> tg.layer_norm(np.array([[1.0, 2.0, 3.0]]), 3, eps=0.0).round(4)
    array([[-1.2247,  0.    ,  1.2247]])
    """
    x = as_floats(x)
    shape = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    count = len(shape)
    if not count or 0 in shape or shape_of(x)[-count:] != shape:
        raise ValueError(
            f"layer_norm: x of shape {shape_of(x)} must end with the axes {shape}, over which it is normalised"
        )
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None and np.shape(value) != shape:
            raise ValueError(f"layer_norm: {name} must have the shape {shape}, got {np.shape(value)}")
    ndim = len(shape_of(x))
    return _scaled(_normalized(x, tuple(range(ndim - count, ndim)), eps)[0], weight, bias)


@overload
def batch_norm(
    x: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Any = ..., bias: Any = ...,
    training: bool = ..., momentum: float = ..., eps: float = ...,
) -> Tensor: ...  # fmt: skip
@overload
def batch_norm(
    x: ArrayLike, running_mean: Tensor | None, running_var: Tensor | None, weight: Any = ..., bias: Any = ...,
    training: bool = ..., momentum: float = ..., eps: float = ...,
) -> Any: ...  # fmt: skip
def batch_norm(
    x: Any,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """(x − mean) / √(variance + eps) · weight + bias for each of the c channels of x, (m, c) or (m, c, …); all others
    have the shape (c,).

    In training, mean and variance are those of the batch, over all axes but that of the channels, and the running ones,
    `running_mean` and `running_var`, if they are given, are moved towards them: r ← (1 − momentum) · r + momentum ·
    new, the variance with n − 1 in its denominator. Otherwise the running ones are used.

    Raises `ValueError` for shapes that do not go together, and in training for a single number in each channel.
    (Ioffe and Szegedy, "Batch normalization", ICML 2015; arguments as in PyTorch.)

    >>> mean, var = tg.Tensor([0.0]), tg.Tensor([1.0])
    >>> tg.batch_norm(np.array([[1.0], [3.0]]), mean, var, training=True, eps=0.0)
    array([[-1.],
           [ 1.]])
    >>> mean.data, var.data
    (array([0.2]), array([1.1]))
    """
    x = as_floats(x)
    shape = shape_of(x)
    given = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    count = _check_channels(shape, training, given)
    weight, bias = (_per_channel(a, len(shape)) for a in (weight, bias))
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm: without training, running_mean and running_var are needed")
        scale = 1 / np.sqrt(running_var + eps)
        y = (x - _per_channel(running_mean, len(shape))) * _per_channel(scale, len(shape))
        return _scaled(y, weight, bias)
    y, mean, variance = _normalized(x, (0, *range(2, len(shape))), eps)
    for running, new in ((running_mean, mean), (running_var, variance * (count / (count - 1)))):
        if running is not None:
            new = np.reshape(new.detach() if isinstance(new, Tensor) else new, -1).astype(running.dtype)
            running.data = running.detach() * (1 - momentum) + new * momentum
    return _scaled(y, weight, bias)


def _check_channels(shape: tuple[int, ...], training: bool, given: dict[str, Any]) -> int:
    """How many numbers of each channel there are; refuses shapes that do not go together."""
    if len(shape) < 2:
        raise ValueError(f"batch_norm: x must be (m, c) or (m, c, ...), got shape {shape}")
    count = math.prod(shape) // max(1, shape[1])
    for name, value in given.items():
        if value is None:
            continue
        if name.startswith("running") and not isinstance(value, Tensor):
            raise TypeError(f"batch_norm: {name} must be a Tensor, which training updates, not {type(value).__name__}")
        if np.shape(value) != (shape[1],):
            advice = ". Channels come second: np.moveaxis(x, -1, 1)" if np.shape(value) == shape[-1:] else ""
            raise ValueError(
                f"batch_norm: {name} must have the shape ({shape[1]},), as x {shape} has {shape[1]} channels, got "
                f"{np.shape(value)}{advice}"
            )
    if training and count < 2:
        raise ValueError(
            f"batch_norm: x {shape} has {count} number(s) in each channel, and training needs more to have a variance; "
            "use larger batches (drop_last), or eval()"
        )
    return count
