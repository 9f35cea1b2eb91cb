"""Activations and layers' functions: what NumPy lacks, each one fused, stable step with its derivative rule.

They take tensors (and record) or arrays (and give arrays), like NumPy's own. For finite inputs all are finite and
warn of nothing, at large arguments of both signs too. Sorted from simple to less simple.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.conversion import floating, shape_of
from ..autograd.operators import on_values
from ..autograd.primitives import primitive, rule
from ..autograd.tensor import Tensor
from ..random import generator
from ..rules.products import product, product_into
from ..rules.reductions import restored

# A primitive's `into` does its work in given memory: in `out`, and in what `scratch(k, x)` gives it for its k-th
# intermediate result: an array laid out like `x`, of another dtype if one is given. In a compiled step it is always
# the same.
Scratch = Callable[..., Any]


def new_array(k: int, x: Any, dtype: Any = None) -> Any:
    """The scratch memory of a call outside compiled steps: laid out as it is in those, so that sums are the same."""
    return np.empty_like(x, dtype)


# Activations


def relu_into(out: Any, scratch: Scratch, x: Any) -> None:
    np.maximum(x, 0, out=out)


@primitive(into=relu_into, overwrites=0, elementwise=True)
def relu(x: Any) -> Any:
    """max(x, 0); the derivative at 0 is 0.

    >>> tg.relu(np.array([-2.0, 0.0, 3.0]))
    array([0., 0., 3.])
    """
    return np.maximum(x, 0)


BITS = {2: np.int16, 4: np.int32, 8: np.int64}


def where_positive_into(out: Any, scratch: Scratch, h: Any, x: Any) -> None:
    mask = np.greater(h, 0, out=scratch(0, h, bool))
    bits = BITS.get(x.itemsize)  # times 0 or 1, which makes 0 of infinity and NaN too, and is faster than a choice
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
    return np.where(x > 0, x, negative_slope * x)


rule(_leaky_relu, lambda g, x, *, negative_slope: np.where(x > 0, g, negative_slope * g))


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """x where x > 0, negative_slope · x elsewhere.

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


@primitive(into=sigmoid_into, elementwise=True, marks_origin=True)  # binary_cross_entropy looks for the logits
def sigmoid(x: Any) -> Any:
    """The logistic function 1 / (1 + e⁻ˣ).

    >>> tg.sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    x = floating(x)
    y = np.empty_like(x)
    sigmoid_into(y, new_array, x)
    return y if y.ndim else y[()]


rule(sigmoid, lambda g, y: g * (y * (1 - y)))


@primitive(elementwise=True)
def softplus(x: Any) -> Any:
    """log(1 + eˣ).

    >>> tg.softplus(np.array([-1000.0, 1000.0]))
    array([   0., 1000.])
    """
    return np.logaddexp(floating(x), 0)


rule(softplus, lambda g, x: g * sigmoid(x))


@primitive(elementwise=True)
def log_sigmoid(x: Any) -> Any:
    """log(1 / (1 + e⁻ˣ)) = −softplus(−x).

    >>> tg.log_sigmoid(np.array([-1000.0]))
    array([-1000.])
    """
    return -np.logaddexp(-floating(x), 0)


rule(log_sigmoid, lambda g, x: g * sigmoid(-x))


ORDINARY = 1e4  # up to here, differences are finite in every precision


def _log_sum(x: Any, axis: Any, scratch: Scratch) -> tuple[Any, Any, Any]:
    """The maximum of `x`, what is left of `x` without it, and by how much log Σ eˣ exceeds it (both with the reduced
    axes at size 1).

    The maximum's own term, 1, goes into log1p, so that the tiny rest beside it keeps its digits.
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
    largest = np.max(x, axis=axis, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0)
    with np.errstate(over="ignore"):  # a difference may be −∞, and e^−∞ is 0
        below = np.asarray(x - largest)
    ones = np.sum(x == largest, axis=axis, keepdims=True)
    rest = np.sum(np.where(x == largest, 0, np.exp(below)), axis=axis, keepdims=True) + (ones - 1)
    with np.errstate(divide="ignore"):  # log 0 = −∞ is right where every x is −∞
        excess = np.log1p(rest).astype(x.dtype)
    # Of finite numbers, none is further below than a float can be.
    return largest, np.where(np.isfinite(x), np.maximum(below, np.finfo(x.dtype).min), below), excess


@primitive
def _logsumexp(x: Any, *, axis: Any, keepdims: bool) -> Any:
    largest, _, excess = _log_sum(floating(x), axis, new_array)
    total = largest + excess
    return total if keepdims else np.squeeze(total, axis=axis)[()]


rule(
    _logsumexp,
    lambda g, x, *, axis, keepdims: restored(g, axis, keepdims) * softmax(x, axis=axis),
)


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """log Σ eˣ over `axis` (an int, a tuple, or None for all).

    >>> float(tg.logsumexp(np.array([1000.0, -1000.0])))
    1000.0
    """
    return _logsumexp(x, axis=axis, keepdims=keepdims)


def softmax_into(out: Any, scratch: Scratch, x: Any, *, axis: Any) -> None:
    largest = np.maximum.reduce(x, axis=axis, keepdims=True)
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


def softmax(x: Any, axis: Any = -1) -> Any:
    """eˣ / Σ eˣ along `axis`.

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


def log_softmax(x: Any, axis: Any = -1) -> Any:
    """x − log Σ eˣ along `axis`: the logarithm of softmax, also where softmax itself underflows.

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


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """x @ weight + bias: x of shape (…, n), weight (n, k), bias (k,), the result (…, k).

    >>> tg.linear(np.ones((1, 2)), np.array([[1.0], [2.0]]), np.array([10.0]))
    array([[13.]])
    """
    if bias is None:
        return x @ weight
    return _linear(x, weight, bias) if len(shape_of(x)) > 1 else x @ weight + bias


def dropout(x: Any, p: float = 0.5, training: bool = True, rng: np.random.Generator | int | None = None) -> Any:
    """Sets each element to 0 with probability `p` and divides the others by 1 − p; x itself outside training.

    (Srivastava et al., "Dropout", JMLR 15, 2014; scaled in training, so that evaluation needs no change.)

    >>> tg.dropout(np.ones(4), 0.5, rng=0)
    array([2., 0., 0., 0.])
    >>> tg.dropout(np.ones(4), 0.5, training=False)
    array([1., 1., 1., 1.])
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p is a probability, not {p}")
    if not training or p == 0:
        return x
    x = as_floats(x)
    return x * _dropout_mask(x, p, rng)


def _mask(x: Any, p: float, rng: np.random.Generator | int | None) -> Any:
    return ((generator(rng).random(np.shape(x)) >= p) / max(1 - p, 1e-300)).astype(x.dtype)


_mask.draws = True  # type: ignore[attr-defined]
_dropout_mask = on_values(_mask)


def as_floats(x: Any) -> Any:
    """A prediction as floats, whatever it came as."""
    if isinstance(x, Tensor):
        return x if x.dtype.kind == "f" else x.astype(np.float64)
    if callable(x):
        raise TypeError(f"a loss compares the output of a model, model(X), not the model itself ({type(x).__name__})")
    return floating(x)
