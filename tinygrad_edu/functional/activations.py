"""Activations, `linear` and `dropout`: what NumPy lacks, each one fused, stable step with its derivative rule.

They take tensors (and record) or arrays (and give arrays), like NumPy's own, and keep the precision of floats. For
finite inputs all results are finite and nothing warns, also at large arguments of either sign. Sorted from simple to
less simple.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..autograd.conversion import floating, shape_of
from ..autograd.operators import Axis, on_values
from ..autograd.primitives import Primitive, primitive, rule
from ..autograd.tensor import Tensor
from ..random import generator
from ..rules.products import product, product_into
from ..rules.reductions import restored

# A primitive's `into` works in memory that it is given: `out` for the result, and `scratch(k, x)` for its k-th
# intermediate result, which is an array laid out like `x` (of another dtype if one is given). In a compiled step these
# are the same arrays in every call.
Scratch = Callable[..., Any]


def new_array(k: int, x: Any, dtype: Any = None) -> Any:
    """The scratch memory of a call outside compiled steps, laid out as in those, so that sums come out the same."""
    return np.empty_like(x, dtype)


if TYPE_CHECKING:

    class Activation(Primitive):
        """What a type checker is told: a tensor gives a tensor, an array gives an array."""

        @overload
        def __call__(self, x: Tensor) -> Tensor: ...
        @overload
        def __call__(self, x: ArrayLike) -> NDArray[Any]: ...
        def __call__(self, x: Any) -> Any: ...

    def activation(**traits: Any) -> Callable[[Callable[..., Any]], Activation]: ...
else:
    activation = primitive


# Activations


def relu_into(out: Any, scratch: Scratch, x: Any) -> None:
    np.maximum(x, 0, out=out)


@activation(into=relu_into, overwrites=0, elementwise=True)
def relu(x: Any) -> Any:
    """max(x, 0) for each element; the derivative at 0 is 0, as in PyTorch.

    >>> tg.relu(np.array([-2.0, 0.0, 3.0]))
    array([0., 0., 3.])
    """
    return np.maximum(x, 0)


BITS = {2: np.int16, 4: np.int32, 8: np.int64}


def where_positive_into(out: Any, scratch: Scratch, h: Any, x: Any) -> None:
    mask = np.greater(h, 0, out=scratch(0, h, bool))
    bits = BITS.get(x.itemsize)  # multiplied by 0 or 1: turns infinity and NaN into 0 too, and is faster than a choice
    if bits is None:
        np.copyto(out, np.where(mask, x, 0))
    else:
        np.multiply(x.view(bits), mask, out=out.view(bits))


@primitive(into=where_positive_into, overwrites=1)
def _where_positive(h: Any, x: Any) -> Any:
    """x where h > 0, elsewhere 0."""
    if not (isinstance(x, np.ndarray) and x.dtype.itemsize in BITS and x.shape == h.shape):
        return np.where(h > 0, x, 0)
    return (x.view(BITS[x.itemsize]) * (h > 0)).view(x.dtype)


rule(relu, lambda g, y: _where_positive(y, g))
rule(_where_positive, None, lambda g, h: _where_positive(h, g))


@primitive(elementwise=True)
def _leaky_relu(x: Any, *, negative_slope: float) -> Any:
    x = np.asarray(x)
    return np.where(x > 0, x, negative_slope * x)


rule(_leaky_relu, lambda g, x, *, negative_slope: np.where(x > 0, g, negative_slope * g))


@overload
def leaky_relu(x: Tensor, negative_slope: float = ...) -> Tensor: ...
@overload
def leaky_relu(x: ArrayLike, negative_slope: float = ...) -> NDArray[Any]: ...
def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """x where x > 0, negative_slope · x elsewhere, for each element; the derivative at 0 is negative_slope.

    (Maas, Hannun and Ng, "Rectifier nonlinearities improve neural network acoustic models", ICML 2013.)

    >>> tg.leaky_relu(np.array([-2.0, 3.0]), 0.5)
    array([-1.,  3.])
    """
    return _leaky_relu(x, negative_slope=negative_slope)


def sigmoid_into(out: Any, scratch: Scratch, x: Any) -> None:
    np.negative(x, out=out)
    with np.errstate(over="ignore"):  # e⁻ˣ may be infinite, and 1/∞ is 0 …
        np.exp(out, out=out)
    out += 1
    np.divide(1, out, out=out)
    if not out.all():
        np.copyto(out, np.exp(np.minimum(x, 0)), where=out == 0)  # … but a subnormal number is nearer


@activation(into=sigmoid_into, elementwise=True, marks_origin=True)  # binary_cross_entropy looks for the logits
def sigmoid(x: Any) -> Any:
    """The logistic function 1 / (1 + e⁻ˣ) for each element; integers become float64.

    >>> tg.sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    x = floating(x)
    y = np.empty_like(x)
    sigmoid_into(y, new_array, x)
    return y if y.ndim else y[()]


rule(sigmoid, lambda g, y: g * (y * (1 - y)))


@activation(elementwise=True)
def softplus(x: Any) -> Any:
    """log(1 + eˣ) for each element, a smooth relu; integers become float64.

    >>> tg.softplus(np.array([-1000.0, 1000.0]))
    array([   0., 1000.])
    """
    return np.logaddexp(floating(x), 0)


rule(softplus, lambda g, x: g * sigmoid(x))


@activation(elementwise=True)
def log_sigmoid(x: Any) -> Any:
    """log(1 / (1 + e⁻ˣ)) = −softplus(−x) for each element; integers become float64.

    >>> tg.log_sigmoid(np.array([-1000.0]))
    array([-1000.])
    """
    return -np.logaddexp(-floating(x), 0)


rule(log_sigmoid, lambda g, x: g * sigmoid(-x))


ORDINARY = 1e4  # up to here, differences are finite in every precision


def _log_sum(x: Any, axis: Any, scratch: Scratch) -> tuple[Any, Any, Any]:
    """The maximum of `x`, then `x` minus its maximum, then by how much log Σ eˣ exceeds the maximum. The first and the
    last keep the reduced axes at size 1.

    The maximum's own term, 1, goes into log1p, so that the tiny rest beside it keeps its digits (Blanchard, Higham and
    Higham, "Accurately computing the log-sum-exp and softmax functions", IMA J. Numer. Anal. 41, 2021).
    """
    if x.ndim == 2 and x.size and axis in (1, -1):
        largest = np.maximum.reduce(x, axis=1, keepdims=True, out=scratch(0, x[:, :1]))
        if np.minimum.reduce(x, axis=None) > -ORDINARY and np.maximum.reduce(largest, axis=None) < ORDINARY:
            below = np.subtract(x, largest, out=scratch(1, x))
            e = np.exp(below, out=scratch(2, x))
            others = np.not_equal(below, 0, out=scratch(3, x, bool))
            e *= others
            rest = np.add.reduce(e, axis=1, keepdims=True, out=scratch(4, largest))
            if np.count_nonzero(others) != x.size - len(x):  # then some tie with the maximum: each is e⁰ = 1
                rest += x.shape[1] - 1 - np.add.reduce(others, axis=1, keepdims=True, dtype=x.dtype)
            return largest, below, np.log1p(rest, out=rest)
    largest = np.max(x, axis=axis, keepdims=True, initial=-np.inf)  # of no numbers, too
    largest = np.where(np.isfinite(largest), largest, 0)
    with np.errstate(over="ignore"):  # a difference may be −∞, and e^−∞ is 0
        below = np.asarray(x - largest)
    ones = np.sum(x == largest, axis=axis, keepdims=True)
    rest = np.sum(np.where(x == largest, 0, np.exp(below)), axis=axis, keepdims=True) + (ones - 1)
    with np.errstate(divide="ignore"):  # log 0 = −∞ is right where every x is −∞
        excess = np.log1p(rest).astype(x.dtype)
    # The difference of finite numbers may overflow to −∞; the lowest float stands for it.
    return largest, np.where(np.isfinite(x), np.maximum(below, np.finfo(x.dtype).min), below), excess


@primitive
def _logsumexp(x: Any, *, axis: Any, keepdims: bool) -> Any:
    largest, _, excess = _log_sum(floating(x), axis, new_array)
    total = largest + excess
    return total if keepdims else np.squeeze(total, axis=axis)[()]


rule(
    _logsumexp,
    lambda g, x, *, axis, keepdims: restored(g, axis, keepdims) * _shares(x, axis),
)


@overload
def logsumexp(x: Tensor, axis: Axis = ..., keepdims: bool = ...) -> Tensor: ...
@overload
def logsumexp(x: ArrayLike, axis: Axis = ..., keepdims: bool = ...) -> Any: ...
def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """log Σ eˣ over `axis` (an int, a tuple, or None for all), which vanishes or, with `keepdims`, stays at size 1.
    Of an array over all axes it is a NumPy scalar.

    >>> float(tg.logsumexp(np.array([1000.0, -1000.0])))
    1000.0
    """
    return _logsumexp(x, axis=axis, keepdims=keepdims)


def _shares(x: Any, axis: Any) -> Any:
    """softmax(x), and 0 where all of x is −∞: eˣ is 0 for each, whatever it does."""
    nothing = np.all(x == -np.inf, axis=axis, keepdims=True)
    return np.where(nothing, 0, softmax(np.where(nothing, 0, x), axis=axis))


def softmax_into(out: Any, scratch: Scratch, x: Any, *, axis: Any) -> None:
    if not x.size:
        return
    largest = np.asarray(np.maximum.reduce(x, axis=axis, keepdims=True))
    with np.errstate(over="ignore"):
        np.subtract(x, largest, out=out)
    np.exp(out, out=out)
    out /= np.add.reduce(out, axis=axis, keepdims=True, out=largest)


@primitive(into=softmax_into, marks_origin=True)  # cross_entropy, which takes logits, refuses its output
def _softmax(x: Any, *, axis: Any) -> Any:
    x = floating(x)
    y = np.empty_like(x)
    softmax_into(y, new_array, x, axis=axis)
    return y


rule(_softmax, lambda g, y, *, axis: y * (g - np.sum(g * y, axis=axis, keepdims=True)))


@overload
def softmax(x: Tensor, axis: Axis = ...) -> Tensor: ...
@overload
def softmax(x: ArrayLike, axis: Axis = ...) -> NDArray[Any]: ...
def softmax(x: Any, axis: Axis = -1) -> Any:
    """eˣ / Σ eˣ along `axis`, of the shape of x: positive numbers that sum to 1. `cross_entropy` takes the logits x
    instead.

    >>> tg.softmax(np.array([[1000.0, 1000.0], [0.0, 1000.0]]))
    array([[0.5, 0.5],
           [0. , 1. ]])
    """
    return _softmax(x, axis=axis)


def log_softmax_into(out: Any, scratch: Scratch, x: Any, *, axis: Any) -> None:
    _, below, excess = _log_sum(x, axis, scratch)
    np.subtract(below, excess, out=out)


@primitive(into=log_softmax_into)
def _log_softmax(x: Any, *, axis: Any) -> Any:
    x = floating(x)
    y = np.empty_like(x)
    log_softmax_into(y, new_array, x, axis=axis)
    return y


rule(_log_softmax, lambda g, y, *, axis: g - np.exp(y) * np.sum(g, axis=axis, keepdims=True))


@overload
def log_softmax(x: Tensor, axis: Axis = ...) -> Tensor: ...
@overload
def log_softmax(x: ArrayLike, axis: Axis = ...) -> NDArray[Any]: ...
def log_softmax(x: Any, axis: Axis = -1) -> Any:
    """x − log Σ eˣ along `axis`, of the shape of x: the logarithm of softmax, also where softmax itself underflows.

    >>> tg.log_softmax(np.array([[0.0, 1000.0]]))
    array([[-1000.,     0.]])
    """
    return _log_softmax(x, axis=axis)


# Layers


def linear_into(out: Any, scratch: Scratch, x: Any, weight: Any, bias: Any) -> None:
    product_into(out, scratch, x, weight)
    out += bias


@primitive(into=linear_into)
def _linear(x: Any, weight: Any, bias: Any) -> Any:
    y = product.forward(x, weight)
    if y.dtype is not bias.dtype:
        return y + bias
    y += bias
    return y


rule(
    _linear,
    lambda g, weight: product(g, weight.mT),
    lambda g, x: product(x.mT, g),
    lambda g: g,
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
    if not hasattr(x, "shape"):
        x = np.asarray(x)
    if not hasattr(weight, "shape"):
        weight = np.asarray(weight)
    if bias is None:
        return x @ weight
    if not hasattr(bias, "shape"):
        bias = np.asarray(bias)
    return _linear(x, weight, bias) if len(shape_of(x)) > 1 else x @ weight + bias


Rng = np.random.Generator | int | None


@overload
def dropout(x: Tensor, p: float = ..., training: bool = ..., rng: Rng = ...) -> Tensor: ...
@overload
def dropout(x: ArrayLike, p: float = ..., training: bool = ..., rng: Rng = ...) -> NDArray[Any]: ...
def dropout(x: Any, p: float = 0.5, training: bool = True, rng: Rng = None) -> Any:
    """Sets each element to 0 with probability `p` and divides the others by 1 − p; without `training`, gives x itself.

    `rng` is a generator, a seed, or None for the package's own generator (`manual_seed`). Raises `ValueError` for a `p`
    outside [0, 1].

    (Srivastava et al., "Dropout", JMLR 15, 2014; scaled in training, so that evaluation needs no change.)

    >>> tg.dropout(np.ones(4), 0.5, rng=0)
    array([2., 0., 0., 0.])
    >>> tg.dropout(np.ones(4), 0.5, training=False)
    array([1., 1., 1., 1.])
    """
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


def as_floats(x: Any) -> Any:
    """`x` as floats: a tensor stays a tensor, anything else becomes an array."""
    if isinstance(x, Tensor):
        return x if x.dtype.kind == "f" else x.astype(np.float64)
    if callable(x):
        raise TypeError(f"pass the output of a model, model(X), not the model itself ({type(x).__name__})")
    return floating(x)
