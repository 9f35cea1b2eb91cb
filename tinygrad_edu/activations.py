"""Activations and layers' functions: what NumPy lacks, each one fused, stable step with its derivative rule.

They take tensors (and record) or arrays (and give arrays), like NumPy's own. For finite inputs all are finite and
warn of nothing, at large arguments of both signs too. Sorted from simple to less simple.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .primitives import primitive, rule
from .random import generator
from .rules.reductions import restored
from .tensor import Tensor
from .values import floating

# Activations


@primitive
def relu(x: Any) -> Any:
    """max(x, 0); the derivative at 0 is 0."""
    return np.maximum(x, 0)


rule(relu, lambda g, y, x: np.where(y > 0, g, 0))


@primitive
def _leaky_relu(x: Any, *, negative_slope: float) -> Any:
    return np.where(x > 0, x, negative_slope * x)


rule(_leaky_relu, lambda g, y, x, *, negative_slope: np.where(x > 0, g, negative_slope * g))


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """x where x > 0, negative_slope · x elsewhere."""
    return _leaky_relu(x, negative_slope=negative_slope)


@primitive
def sigmoid(x: Any) -> Any:
    """The logistic function 1 / (1 + e⁻ˣ)."""
    e = np.asarray(-floating(x))
    with np.errstate(over="ignore"):  # e⁻ˣ may be infinite, and 1/∞ is 0 …
        np.exp(e, out=e)
    e += 1
    y = np.divide(1, e, out=e)
    if not y.all():
        y = np.where(y == 0, np.exp(np.minimum(x, 0)), y)  # … but a subnormal number is nearer
    return y if y.ndim else y[()]


rule(sigmoid, lambda g, y, x: g * (y * (1 - y)))
sigmoid.marks_origin = True  # binary_cross_entropy looks for the logits


@primitive
def softplus(x: Any) -> Any:
    """log(1 + eˣ)."""
    return np.logaddexp(floating(x), 0)


rule(softplus, lambda g, y, x: g * sigmoid(x))


@primitive
def log_sigmoid(x: Any) -> Any:
    """log(1 / (1 + e⁻ˣ)) = −softplus(−x)."""
    return -np.logaddexp(-floating(x), 0)


rule(log_sigmoid, lambda g, y, x: g * sigmoid(-x))


def _log_sum(x: Any, axis: Any) -> tuple[Any, Any, Any]:
    """The maximum of `x`, what is left of `x` without it, and by how much log Σ eˣ exceeds it (both with the reduced
    axes at size 1).

    The maximum's own term, 1, goes into log1p, so that the tiny rest beside it keeps its digits.
    """
    largest = np.max(x, axis=axis, keepdims=True)
    finite = np.isfinite(largest).all()
    if not finite:
        largest = np.where(np.isfinite(largest), largest, np.where(np.isnan(largest), np.nan, 0))
    with np.errstate(over="ignore"):  # a difference may be −∞, and e^−∞ is 0
        below = np.asarray(x - largest)
    e = np.exp(below)
    if finite and x.ndim == 2 and axis in (1, -1):
        e[np.arange(len(x)), np.argmax(x, axis=1)] = 0
        return largest, below, np.log1p(np.sum(e, axis=1, keepdims=True))
    ones = np.sum(x == largest, axis=axis, keepdims=True)
    rest = np.sum(np.where(x == largest, 0, e), axis=axis, keepdims=True) + (ones - 1)
    with np.errstate(divide="ignore"):  # log 0 = −∞ is right where every x is −∞
        return largest, below, np.log1p(rest).astype(x.dtype)


@primitive
def _logsumexp(x: Any, *, axis: Any, keepdims: bool) -> Any:
    largest, _, excess = _log_sum(floating(x), axis)
    total = largest + excess
    return total if keepdims else np.squeeze(total, axis=axis)[()]


rule(
    _logsumexp,
    lambda g, y, x, *, axis, keepdims: restored(g, axis, keepdims) * softmax(x, axis=axis),
)


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """log Σ eˣ over `axis` (an int, a tuple, or None for all)."""
    return _logsumexp(x, axis=axis, keepdims=keepdims)


@primitive
def _softmax(x: Any, *, axis: Any) -> Any:
    x = floating(x)
    with np.errstate(over="ignore"):
        e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    e /= np.sum(e, axis=axis, keepdims=True)
    return e


rule(_softmax, lambda g, y, x, *, axis: y * (g - np.sum(g * y, axis=axis, keepdims=True)))
_softmax.marks_origin = True  # cross_entropy, which takes logits, refuses its output


def softmax(x: Any, axis: Any = -1) -> Any:
    """eˣ / Σ eˣ along `axis`."""
    return _softmax(x, axis=axis)


@primitive
def _log_softmax(x: Any, *, axis: Any) -> Any:
    x = floating(x)
    _, below, excess = _log_sum(x, axis)
    if np.isinf(below).any():  # of finite numbers: as far below as a float can be
        below = np.where(np.isfinite(x), np.maximum(below, np.finfo(x.dtype).min), below)
        with np.errstate(over="ignore"):
            return below - excess
    return np.subtract(below, excess, out=below)[()]


rule(_log_softmax, lambda g, y, x, *, axis: g - np.exp(y) * np.sum(g, axis=axis, keepdims=True))


def log_softmax(x: Any, axis: Any = -1) -> Any:
    """x − log Σ eˣ along `axis`: the logarithm of softmax, also where softmax itself underflows."""
    return _log_softmax(x, axis=axis)


# Layers


@primitive
def _linear(x: Any, weight: Any, bias: Any) -> Any:
    y = x @ weight
    if y.dtype is not bias.dtype:
        return y + bias
    y += bias
    return y


rule(
    _linear,
    lambda g, y, x, weight, bias: g @ weight.mT,
    lambda g, y, x, weight, bias: x.mT @ g,
    lambda g, y, x, weight, bias: g,
)


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """x @ weight + bias: x of shape (…, n), weight (n, k), bias (k,), the result (…, k)."""
    if bias is None:
        return x @ weight
    return _linear(x, weight, bias) if np.ndim(x) > 1 else x @ weight + bias


def dropout(x: Any, p: float = 0.5, training: bool = True, rng: np.random.Generator | int | None = None) -> Any:
    """Sets each element to 0 with probability `p` and divides the others by 1 − p; x itself outside training.

    (Srivastava et al., "Dropout", JMLR 15, 2014; scaled in training, so that evaluation needs no change.)
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p is a probability, not {p}")
    if not training or p == 0:
        return x
    keep = generator(rng).random(np.shape(x)) >= p
    x = as_floats(x)
    return x * (keep / max(1 - p, 1e-300)).astype(x.dtype)


def as_floats(x: Any) -> Any:
    """A prediction as floats, whatever it came as."""
    if isinstance(x, Tensor):
        return x if x.dtype.kind == "f" else Tensor(floating(x.data))
    return floating(x)
