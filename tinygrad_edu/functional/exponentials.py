"""Sums of exponentials: logsumexp, softmax and log_softmax, of numbers of any size."""

from __future__ import annotations

from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..autograd.conversion import floating
from ..autograd.methods import Axis
from ..autograd.primitives import primitive, rule
from ..autograd.tensor import Tensor
from ..rules.reductions import restored
from .activations import Scratch, new_array

ORDINARY = 1e15  # a row's maximum, up to which it can be subtracted from every finite number, in float32, too


def _log_sum(x: Any, axis: Any, scratch: Scratch) -> tuple[Any, Any, Any]:
    """The maximum of `x`, then `x` minus its maximum, then by how much log Σ eˣ exceeds the maximum. The first and the
    last keep the reduced axes at size 1.

    The maximum's own term, 1, goes into log1p, so that the tiny rest beside it keeps its digits (Blanchard, Higham and
    Higham, "Accurately computing the log-sum-exp and softmax functions", IMA J. Numer. Anal. 41, 2021).
    """
    if x.ndim == 2 and x.size and axis in (1, -1):
        largest = np.maximum.reduce(x, axis=1, keepdims=True, out=scratch(0, x[:, :1]))
        if x.itemsize > 2 and np.maximum.reduce(np.abs(largest), axis=None) < ORDINARY:  # not so of ∞ and NaN
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


@primitive(rows="along")
def _logsumexp(x: Any, *, axis: Any, keepdims: bool) -> Any:
    largest, _, excess = _log_sum(floating(x), axis, new_array)
    total = largest + excess
    return total if keepdims else np.squeeze(total, axis=axis)[()]


rule(
    _logsumexp,
    lambda g, x, *, axis, keepdims: restored(g, axis, keepdims) * _softmax_or_even(x, axis),
)


@overload
def logsumexp(x: Tensor, axis: Axis = ..., keepdims: bool = ...) -> Tensor: ...
@overload
def logsumexp(x: ArrayLike, axis: Axis = ..., keepdims: bool = ...) -> Any: ...
def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """log Σ eˣ over the `axis` of x (an int, a tuple, or None for all), which vanishes or, with `keepdims`, stays at
    size 1. Of an array over all axes it is a NumPy scalar. Its derivative is softmax(x). No eˣ overflows.

    >>> float(tg.logsumexp(np.array([1000.0, -1000.0])))
    1000.0
    """
    return _logsumexp(x, axis=axis, keepdims=keepdims)


def _softmax_or_even(x: Any, axis: Any) -> Any:
    """softmax(x), and 0 where all of x is −∞: eˣ is 0 for each, whatever it does. Those that are ∞ share evenly."""
    endless = np.any(x == np.inf, axis=axis, keepdims=True)
    nothing = np.all(x == -np.inf, axis=axis, keepdims=True)
    evenly = (x == np.inf) / np.maximum(1, np.sum(x == np.inf, axis=axis, keepdims=True))
    return np.where(endless | nothing, evenly, softmax(np.where(endless | nothing, 0, x), axis=axis))


def softmax_into(out: Any, scratch: Scratch, x: Any, *, axis: Any) -> None:
    if not x.size:
        return
    largest = np.asarray(np.maximum.reduce(x, axis=axis, keepdims=True))
    with np.errstate(over="ignore"):
        np.subtract(x, largest, out=out)
    np.exp(out, out=out)
    out /= np.add.reduce(out, axis=axis, keepdims=True, out=largest)


@primitive(into=softmax_into, marks_origin=True, rows="along")  # cross_entropy, which takes logits, refuses its output
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
    """eˣ / Σ eˣ along `axis`, of the shape of x: positive numbers that sum to 1, without overflow. `cross_entropy`
    takes the logits x instead. The derivative of yᵢ by xⱼ is yᵢ (δᵢⱼ − yⱼ). Raises NumPy's `AxisError` for an axis that
    x does not have.

    >>> tg.softmax(np.array([[1000.0, 1000.0], [0.0, 1000.0]]))
    array([[0.5, 0.5],
           [0. , 1. ]])
    """
    return _softmax(x, axis=axis)


def log_softmax_into(out: Any, scratch: Scratch, x: Any, *, axis: Any) -> None:
    _, below, excess = _log_sum(x, axis, scratch)
    np.subtract(below, excess, out=out)


@primitive(into=log_softmax_into, rows="along")
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
    """x − log Σ eˣ along `axis`, of the shape of x: the logarithm of softmax, also where softmax itself underflows. The
    derivative of yᵢ by xⱼ is δᵢⱼ − e^yⱼ.

    >>> tg.log_softmax(np.array([[0.0, 1000.0]]))
    array([[-1000.,     0.]])
    """
    return _log_softmax(x, axis=axis)
