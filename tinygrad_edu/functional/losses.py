"""Losses: a prediction and a target to one number, each one fused, stable step with its derivative rule.

For finite inputs all results are finite and nothing warns. Prediction and target must have the same shape, and labels
must be possible. The loss has the prediction's precision, except that sums over a batch would overflow in half
precision: the loss of a float16 prediction is computed and returned in float32.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, overload

import numpy as np
from numpy.typing import ArrayLike

from ..autograd.conversion import shape_of
from ..autograd.operators import on_values
from ..autograd.primitives import primitive, rule
from ..autograd.recording import interpreter
from ..autograd.tensor import Tensor
from .activations import Scratch, as_floats, new_array, sigmoid, softplus
from .exponentials import _softmax, log_softmax
from .targets import (
    _count,
    _rows_of,
    _target,
    advice_on_logits,
    as_rows,
    by_rows,
    check_broadcast,
    reduced,
    refuse_grad,
    weighted_rows,
)

Given = Tensor | ArrayLike

# NumPy annotates its own functions as giving arrays, also of tensors. So of a prediction that a type checker takes for
# an array (`np.tanh(t)`, `X @ w`) the loss may well be a tensor, and is annotated as Any: loss.backward() is no error.


@overload
def mse_loss(prediction: Tensor, target: Given, reduction: str = "mean") -> Tensor: ...
@overload
def mse_loss(prediction: ArrayLike, target: Given, reduction: str = "mean") -> Any: ...
def mse_loss(prediction: Any, target: Any, reduction: str = "mean") -> Any:
    """Σ (prediction − target)² over all elements, of arrays of equal shapes (m, …). It is divided as `reduction` says:
    by the number of elements ("mean"), by the number of rows ("batchmean"), or not at all ("sum"). With "none" there is
    no sum: the loss of each element is given.

    Raises `ValueError` for unequal shapes (nothing is broadcast), for an empty batch, and for a target with NaN.

    >>> tg.mse_loss(np.array([[1.0], [4.0]]), np.array([[1.0], [2.0]]))
    np.float64(2.0)
    """
    prediction = _single(as_floats(prediction))
    target = _target("mse_loss", prediction, target)
    if reduction == "none":
        return np.square(prediction - target)
    return _mse_loss(prediction, target, count=_count("mse_loss", reduction, shape_of(prediction)))


def mse_loss_into(out: None, scratch: Scratch, p: Any, t: Any, *, count: int) -> Any:
    difference = np.subtract(p, t, out=scratch(0, p))
    return np.add.reduce(np.multiply(difference, difference, out=difference), axis=None) / count


@primitive(into=mse_loss_into, rows="sum")
def _mse_loss(p: Any, t: Any, *, count: int) -> Any:
    return mse_loss_into(None, new_array, p, t, count=count)


rule(
    _mse_loss,
    lambda g, p, t, *, count: (2 * g / count) * (p - t),
    lambda g, p, t, *, count: (2 * g / count) * (t - p),
)


@overload
def binary_cross_entropy(
    probability: Tensor, target: Given, reduction: str = "mean", *, weight: Given | None = None
) -> Tensor: ...
@overload
def binary_cross_entropy(
    probability: ArrayLike, target: Given, reduction: str = "mean", *, weight: Given | None = None
) -> Any: ...
def binary_cross_entropy(probability: Any, target: Any, reduction: str = "mean", *, weight: Any = None) -> Any:
    """−Σ w [y log p + (1 − y) log(1 − p)] for p, y (the target) in [0, 1] and of equal shapes, divided as `reduction`
    says (see `mse_loss`). The weight w of each element is 1, or given by `weight`, which is broadcast.

    If `probability` is a tensor that `sigmoid` made, the loss is computed from the sigmoid's input, as
    `binary_cross_entropy_with_logits` does: the gradient is p − y, and the logarithm of 0 is never taken. Otherwise
    probabilities below the smallest normal number count as that number, which keeps loss and gradient finite.

    Raises `ValueError` for unequal shapes, an empty batch, and probabilities or targets outside [0, 1].

    >>> z = tg.Tensor([[1000.0]], requires_grad=True)
    >>> tg.binary_cross_entropy(tg.sigmoid(z), [[0.0]]).item()
    1000.0
    """
    given = as_floats(probability)
    logits = interpreter().argument_of(given, sigmoid) if isinstance(given, Tensor) else None
    probability = _single(given)
    target = _target("binary_cross_entropy", probability, target, low=0, high=1)
    count = _count("binary_cross_entropy", reduction, shape_of(probability))
    if logits is None:
        _check_probabilities(probability)
    if weight is not None or reduction == "none":
        each = _of_each(_single(logits), target) if logits is not None else _of_each_probability(probability, target)
        return reduced("binary_cross_entropy", _times_weight("binary_cross_entropy", each, weight), reduction)
    if logits is not None:
        return _binary_cross_entropy(_single(logits), probability, target, count=count)
    return _cross_entropy_of_probabilities(probability, target, count=count)


@overload
def binary_cross_entropy_with_logits(
    logits: Tensor,
    target: Given,
    reduction: str = "mean",
    *,
    weight: Given | None = None,
    pos_weight: Given | None = None,
) -> Tensor: ...
@overload
def binary_cross_entropy_with_logits(
    logits: ArrayLike,
    target: Given,
    reduction: str = "mean",
    *,
    weight: Given | None = None,
    pos_weight: Given | None = None,
) -> Any: ...
def binary_cross_entropy_with_logits(
    logits: Any, target: Any, reduction: str = "mean", *, weight: Any = None, pos_weight: Any = None
) -> Any:
    """−Σ w [p y log h + (1 − y) log(1 − h)] with h = sigmoid(logits) and y the target, divided as `reduction` says (see
    `mse_loss`). The weight w of each element and p of what is positive are 1, or given by `weight` and `pos_weight`,
    which are broadcast: (negatives / positives) as `pos_weight` makes up for rare positives.

    For each logit z it is computed as z (1[z > 0] − y) + log(1 + e^−|z|), so that no digits cancel. The gradient is h −
    y (Bishop, "Pattern recognition and machine learning", 2006, 4.3.2). Raises `ValueError` for unequal shapes, an
    empty batch, targets outside [0, 1], and logits that a sigmoid or softmax has been applied to already.

    >>> tg.binary_cross_entropy_with_logits(np.array([[1000.0], [-1000.0]]), np.array([[0.0], [0.0]]))
    np.float64(500.0)
    """
    logits = _logits("binary_cross_entropy_with_logits", logits, "binary_cross_entropy")
    target = _target("binary_cross_entropy_with_logits", logits, target, low=0, high=1)
    count = _count("binary_cross_entropy_with_logits", reduction, shape_of(logits))
    if weight is not None or pos_weight is not None or reduction == "none":
        each = _times_weight("binary_cross_entropy_with_logits", _of_each(logits, target, pos_weight), weight)
        return reduced("binary_cross_entropy_with_logits", each, reduction)
    return _binary_cross_entropy(logits, sigmoid(logits), target, count=count)


def _of_each(z: Any, t: Any, pos_weight: Any = None) -> Any:
    """The cross-entropy of each logit."""
    return _times_weight("binary_cross_entropy_with_logits", t, pos_weight) * softplus(-z) + (1 - t) * softplus(z)


def _times_weight(loss: str, values: Any, weight: Any) -> Any:
    if weight is None:
        return values
    if not hasattr(weight, "shape"):
        weight = np.asarray(weight)
    check_broadcast(f"{loss}: weights", shape_of(weight), shape_of(values))
    return values * weight.astype(values.dtype)


@primitive(elementwise=True)
def _of_each_probability(p: Any, t: Any) -> Any:
    return -(t * np.log(_at_least_tiny(p)) + (1 - t) * np.log(_at_least_tiny(1 - p)))


rule(
    _of_each_probability,
    lambda g, p, t: g * ((1 - t) / _at_least_tiny(1 - p) - t / _at_least_tiny(p)),
    lambda g, p: g * (np.log(_at_least_tiny(1 - p)) - np.log(_at_least_tiny(p))),
)


@on_values
@by_rows("sum")
def _check_probabilities(p: Any) -> None:
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError(
            f"binary_cross_entropy: probabilities must lie in [0, 1], got {np.min(p):.4g} to {np.max(p):.4g}; "
            "for logits use binary_cross_entropy_with_logits"
        )


def binary_cross_entropy_into(out: None, scratch: Scratch, z: Any, h: Any, t: Any, *, count: int) -> Any:
    e = np.abs(z, out=scratch(0, z))
    np.negative(e, out=e)
    np.exp(e, out=e)
    np.log1p(e, out=e)
    missed = np.subtract(np.greater(z, 0, out=scratch(1, z, bool)), t, out=scratch(2, z))
    missed *= z
    e += missed
    return np.add.reduce(e, axis=None) / count


@primitive(into=binary_cross_entropy_into, rows="sum")
def _binary_cross_entropy(z: Any, h: Any, t: Any, *, count: int) -> Any:
    """From the logits z. Their sigmoid h is passed too, because the gradient is computed from it."""
    return binary_cross_entropy_into(None, new_array, z, h, t, count=count)


rule(
    _binary_cross_entropy,
    lambda g, h, t, *, count: (g / count) * (h - t),
    None,
    lambda g, z, *, count: (-g / count) * z,
)


@primitive(rows="sum")
def _cross_entropy_of_probabilities(p: Any, t: Any, *, count: int) -> Any:
    return -np.sum(t * np.log(_at_least_tiny(p)) + (1 - t) * np.log(_at_least_tiny(1 - p))) / count


def _at_least_tiny(p: Any) -> Any:
    return np.maximum(p, np.finfo(p.dtype).tiny)


rule(
    _cross_entropy_of_probabilities,
    lambda g, p, t, *, count: (g / count) * ((1 - t) / _at_least_tiny(1 - p) - t / _at_least_tiny(p)),
    lambda g, p, *, count: (g / count) * (np.log(_at_least_tiny(1 - p)) - np.log(_at_least_tiny(p))),
)


@overload
def cross_entropy(
    logits: Tensor,
    labels: Given,
    reduction: str = "mean",
    *,
    weight: Given | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> Tensor: ...
@overload
def cross_entropy(
    logits: ArrayLike,
    labels: Given,
    reduction: str = "mean",
    *,
    weight: Given | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> Any: ...
def cross_entropy(
    logits: Any,
    labels: Any,
    reduction: str = "mean",
    *,
    weight: Any = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> Any:
    """−Σ log softmax(logits)[label] over the rows of `logits` (m, k): the loss of a classifier with k classes
    (Bishop, "Pattern recognition and machine learning", 2006, 4.3.4).

    `labels` are integers from 0 to k − 1 of shape (m,) or (m, 1), or rows of probabilities (m, k), such as one-hot
    rows. Of `reduction`, "mean" and "batchmean" both divide by m, "sum" does not, and "none" gives the loss of each
    row, (m,).

    Several labels in each row of the batch, as (m, t) for the words of a text, belong to logits (m, t, k): the axis of
    the classes is the last one here, not the second one as in PyTorch. Then "mean" divides by the number of labels,
    m·t, "batchmean" by m, and "none" gives (m, t). In the same way for more axes.

    `weight` (k,) holds a factor for each class; the mean is then divided by the sum of the labels' factors
    ("batchmean": by the t-th part of that). What has the label `ignore_index` counts nothing. `label_smoothing` ε puts
    (1 − ε) t + ε/k in the place of each row t of probabilities. All three are as in PyTorch, except that no label is
    ignored unless you say which.

    Raises `ValueError` for other shapes, for labels that are not classes, for rows that do not sum to 1, for an empty
    batch, and for logits that a sigmoid or softmax has been applied to already; `TypeError` for labels that require
    grad.

    >>> tg.cross_entropy(np.array([[1000.0, 0.0], [1000.0, 0.0]]), [0, 1])
    np.float64(500.0)
    """
    shape = shape_of(logits)
    if len(shape) < 2 or not shape[-1]:
        raise ValueError(
            f"cross_entropy: logits must be rows of class scores (m, k), got shape {shape}"
            f"{advice_on_logits(shape, shape_of(labels))}"
        )
    logits = _logits("cross_entropy", logits, "binary_cross_entropy, if classes do not exclude each other")
    refuse_grad("cross_entropy", labels)
    batch = shape[:-1]
    if len(shape) > 2:
        logits, labels = as_rows("cross_entropy", logits, labels)
        shape = shape_of(logits)
    if weight is not None or ignore_index is not None or label_smoothing or reduction == "none":
        rows, divisor = weighted_rows(
            "cross_entropy", labels, shape, logits.dtype, weight, ignore_index, label_smoothing, reduction, batch
        )
        if reduction == "none":
            each = -np.sum(np.where(rows == 0, 0, log_softmax(logits)) * rows, axis=1)
            return each if len(batch) == 1 else each.reshape(batch)
        totals = np.sum(rows, axis=1, keepdims=True)
        return _cross_entropy(logits, log_softmax(logits), rows, count=1, totals=totals) / divisor
    rows = _rows_of(labels, shape=shape, dtype=logits.dtype)
    given = shape[1] > 1 and shape_of(labels) == shape
    totals = np.sum(rows, axis=1, keepdims=True) if given else None
    count = _count("cross_entropy", reduction, batch)
    return _cross_entropy(logits, log_softmax(logits), rows, count=count, totals=totals)


def cross_entropy_into(out: None, scratch: Scratch, z: Any, q: Any, t: Any, *, count: int, totals: Any) -> Any:
    with np.errstate(invalid="ignore"):
        products = np.multiply(t, q, out=scratch(0, q))
    total = np.add.reduce(products, axis=None)
    if total != total:  # 0 · −∞ is NaN: a logit of −∞ that no label asks for must not count
        np.copyto(products, 0, where=t == 0)
        total = np.add.reduce(products, axis=None)
    return -total / count


_ACTIVATIONS = (sigmoid, "sigmoid"), (_softmax, "softmax")


def _logits(loss: str, x: Any, instead: str) -> Any:
    """`x` as logits; refuses a tensor that is known to be the output of a sigmoid or softmax."""
    x = as_floats(x)
    if isinstance(x, Tensor):
        argument_of = interpreter().argument_of
        for activation, name in _ACTIVATIONS:
            if argument_of(x, activation) is not None:
                raise ValueError(
                    f"{loss} got the output of {name}, and would apply it a second time. Pass the logits: leave the "
                    f"{name.capitalize()} layer out of the model during training"
                    + (f", or use {instead}" if name == "sigmoid" else "")
                )
    return _single(x)


def _single(x: Any) -> Any:
    """`x`, converted to float32 if it is float16."""
    return x.astype(np.float32) if x.dtype.char == "e" else x


@primitive(into=cross_entropy_into, rows="sum")
def _cross_entropy(z: Any, q: Any, t: Any, *, count: int, totals: Any) -> Any:
    """From the logits z and their log_softmax q; `totals` are the sums of the rows of t, None if those are 1."""
    return cross_entropy_into(None, new_array, z, q, t, count=count, totals=totals)


def _times(h: Any, totals: Any) -> Any:
    return h if totals is None else h * totals


rule(
    _cross_entropy,
    lambda g, q, t, *, count, totals: (g / count) * (_times(np.exp(q), totals) - t),
    None,
    None,
)


class HasParameters(Protocol):
    """A model, which this file cannot import."""

    def parameters(self) -> list[Tensor]: ...


@overload
def l2_penalty(model_or_weights: HasParameters | Tensor | Sequence[Tensor], lam: float, m: int) -> Tensor: ...
@overload
def l2_penalty(model_or_weights: ArrayLike | Iterable[Given], lam: float, m: int) -> Any: ...
def l2_penalty(model_or_weights: Any, lam: float, m: int) -> Any:
    """λ/(2m) Σ w², with λ = `lam`: the regularisation of the course's exercise 4, to be added to the cost of m samples.

    `model_or_weights` are weights (a tensor, an array, or several), or a model: of a model the weights count and the
    biases (parameters with one axis) never do. Raises `ValueError` for a negative λ, for m below 1, and if there are no
    weights.

    >>> tg.l2_penalty(tg.Dense(2, 1, init=lambda shape, rng: np.ones(shape)), 3.0, 6).item()
    0.5
    """
    if m <= 0 or not lam >= 0:
        raise ValueError(f"l2_penalty: lam must be at least 0 and m, the number of samples, positive; got {lam=}, {m=}")
    if hasattr(model_or_weights, "parameters"):
        weights: Iterable[Any] = [p for p in model_or_weights.parameters() if p.ndim > 1]
    else:
        weights = [model_or_weights] if isinstance(model_or_weights, Tensor | np.ndarray) else model_or_weights
    squares = [np.sum(np.square(w)) for w in weights]
    if not squares:
        raise ValueError("l2_penalty: there are no weights to penalise")
    return functools.reduce(operator.add, squares) * (lam / (2 * m))
