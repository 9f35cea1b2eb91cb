"""Losses: a prediction and a target to one number, each one fused, stable step with its derivative rule.

For finite inputs all are finite and warn of nothing. Shapes must be equal, and labels must be possible. In half
precision sums over a batch overflow, so of float16 predictions they are taken, and given, in float32.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..autograd.conversion import numbers, shape_of
from ..autograd.operators import on_values
from ..autograd.primitives import primitive, rule
from ..autograd.recording import interpreter
from ..autograd.tensor import Tensor
from .activations import Scratch, _softmax, as_floats, log_softmax, new_array, sigmoid


def mse_loss(prediction: Any, target: Any, reduction: str = "mean") -> Any:
    """Σ (prediction − target)², divided as `reduction` says: by the number of elements ("mean"), by that of rows
    ("batchmean"), or not at all ("sum").

    >>> tg.mse_loss(np.array([[1.0], [4.0]]), np.array([[1.0], [2.0]]))
    np.float64(2.0)
    """
    prediction = _single(as_floats(prediction))
    target = _target("mse_loss", prediction, target)
    return _mse_loss(prediction, target, count=_count("mse_loss", reduction, shape_of(prediction)))


def mse_loss_into(out: None, scratch: Scratch, p: Any, t: Any, *, count: int) -> Any:
    difference = np.subtract(p, t, out=scratch(0, p))
    return np.add.reduce(np.multiply(difference, difference, out=difference), axis=None) / count


@primitive(into=mse_loss_into)
def _mse_loss(p: Any, t: Any, *, count: int) -> Any:
    return mse_loss_into(None, new_array, p, t, count=count)


rule(
    _mse_loss,
    lambda g, p, t, *, count: (2 * g / count) * (p - t),
    lambda g, p, t, *, count: (2 * g / count) * (t - p),
)


def binary_cross_entropy(probability: Any, target: Any, reduction: str = "mean") -> Any:
    """−Σ [y log p + (1 − y) log(1 − p)] for p, y in [0, 1], divided as `reduction` says (see `mse_loss`).

    Where `probability` is a tensor made by `sigmoid`, this is `binary_cross_entropy_with_logits` of the sigmoid's
    input: the gradient is p − y and no logarithm of 0 is ever taken. Otherwise probabilities below the
    smallest normal number count as that number, which keeps loss and gradient finite.

    >>> z = tg.Tensor([[1000.0]], requires_grad=True)
    >>> tg.binary_cross_entropy(tg.sigmoid(z), [[0.0]]).item()
    1000.0
    """
    given = as_floats(probability)
    logits = interpreter().argument_of(given, sigmoid) if isinstance(given, Tensor) else None
    probability = _single(given)
    target = _target("binary_cross_entropy", probability, target, low=0, high=1)
    count = _count("binary_cross_entropy", reduction, shape_of(probability))
    if logits is not None:
        return _binary_cross_entropy(_single(logits), probability, target, count=count)
    _check_probabilities(probability)
    return _cross_entropy_of_probabilities(probability, target, count=count)


def binary_cross_entropy_with_logits(logits: Any, target: Any, reduction: str = "mean") -> Any:
    """−Σ [y log h + (1 − y) log(1 − h)] with h = sigmoid(logits), divided as `reduction` says (see `mse_loss`).

    Computed as z (1[z > 0] − y) + log(1 + e^−|z|), in which nothing cancels. The gradient is h − y.

    >>> tg.binary_cross_entropy_with_logits(np.array([[1000.0], [-1000.0]]), np.array([[0.0], [0.0]]))
    np.float64(500.0)
    """
    logits = _logits("binary_cross_entropy_with_logits", logits, "binary_cross_entropy")
    target = _target("binary_cross_entropy_with_logits", logits, target, low=0, high=1)
    count = _count("binary_cross_entropy_with_logits", reduction, shape_of(logits))
    return _binary_cross_entropy(logits, sigmoid(logits), target, count=count)


@on_values
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


@primitive(into=binary_cross_entropy_into)
def _binary_cross_entropy(z: Any, h: Any, t: Any, *, count: int) -> Any:
    """From the logits z; their sigmoid h comes along because the gradient is made of it."""
    return binary_cross_entropy_into(None, new_array, z, h, t, count=count)


rule(
    _binary_cross_entropy,
    lambda g, h, t, *, count: (g / count) * (h - t),
    None,
    lambda g, z, *, count: (-g / count) * z,
)


@primitive
def _cross_entropy_of_probabilities(p: Any, t: Any, *, count: int) -> Any:
    return -np.sum(t * np.log(_at_least_tiny(p)) + (1 - t) * np.log(_at_least_tiny(1 - p))) / count


def _at_least_tiny(p: Any) -> Any:
    return np.maximum(p, np.finfo(p.dtype).tiny)


rule(
    _cross_entropy_of_probabilities,
    lambda g, p, t, *, count: (g / count) * ((1 - t) / _at_least_tiny(1 - p) - t / _at_least_tiny(p)),
    lambda g, p, *, count: (g / count) * (np.log(_at_least_tiny(1 - p)) - np.log(_at_least_tiny(p))),
)


def cross_entropy(logits: Any, labels: Any, reduction: str = "mean") -> Any:
    """−Σ log softmax(logits)[label] over the rows of `logits` (m, k): the loss of a classifier of k classes.

    `labels` are integers 0 … k − 1 of shape (m,) or (m, 1), or rows of probabilities (m, k), such as one-hot rows.
    "mean" and "batchmean" both divide by m, "sum" does not.

    >>> tg.cross_entropy(np.array([[1000.0, 0.0], [1000.0, 0.0]]), [0, 1])
    np.float64(500.0)
    """
    shape = shape_of(logits)
    if len(shape) != 2 or not shape[1]:
        raise ValueError(
            f"cross_entropy: logits must be rows of class scores (m, k), got shape {shape}. For one score of each "
            "sample use binary_cross_entropy_with_logits"
        )
    logits = _logits("cross_entropy", logits, "binary_cross_entropy, if classes do not exclude each other")
    if isinstance(labels, Tensor) and labels.requires_grad:
        raise TypeError("cross_entropy: the target requires grad, but the loss has no gradient for it; use .detach()")
    rows = _rows_of(labels, shape=shape, dtype=logits.dtype)
    given = shape_of(labels) == shape and shape[1] > 1
    totals = np.sum(rows, axis=1, keepdims=True) if given else None
    count = 1 if reduction == "sum" else _count("cross_entropy", reduction, shape[:1])
    return _cross_entropy(logits, log_softmax(logits), rows, count=count, totals=totals)


def cross_entropy_into(out: None, scratch: Scratch, z: Any, q: Any, t: Any, *, count: int, totals: Any) -> Any:
    with np.errstate(invalid="ignore"):
        products = np.multiply(t, q, out=scratch(0, q))
    total = np.add.reduce(products, axis=None)
    if total != total:  # a logit of −∞ that no label asks for counts nothing
        np.copyto(products, 0, where=t == 0)
        total = np.add.reduce(products, axis=None)
    return -total / count


def _logits(loss: str, x: Any, instead: str) -> Any:
    """`x` as logits; what is seen to be probabilities is refused."""
    x = as_floats(x)
    if isinstance(x, Tensor):
        for activation, name in ((sigmoid, "sigmoid"), (_softmax, "softmax")):
            if interpreter().argument_of(x, activation) is not None:
                raise ValueError(
                    f"{loss} got the output of {name}, and would squash it once more. Pass the logits: take the "
                    f"{name.capitalize()} layer out of the model while it learns"
                    + (f", or use {instead}" if name == "sigmoid" else "")
                )
    return _single(x)


def _single(x: Any) -> Any:
    """float16 as float32."""
    return x.astype(np.float32) if x.dtype == np.float16 else x


@primitive(into=cross_entropy_into)
def _cross_entropy(z: Any, q: Any, t: Any, *, count: int, totals: Any) -> Any:
    """From the logits z and their log_softmax q; `totals` are the sums of the rows of t, where these are not 1."""
    return cross_entropy_into(None, new_array, z, q, t, count=count, totals=totals)


def _times(h: Any, totals: Any) -> Any:
    return h if totals is None else h * totals


rule(
    _cross_entropy,
    lambda g, q, t, *, count, totals: (g / count) * (_times(np.exp(q), totals) - t),
    None,
    None,
)


def _rows_of_labels(labels: Any, *, shape: tuple[int, ...], dtype: Any) -> Any:
    """Labels as rows of probabilities, checked."""
    rows = np.empty(shape, dtype)
    rows_into(rows, new_array, labels, shape=shape, dtype=dtype)
    return rows


def rows_into(out: Any, scratch: Scratch, labels: Any, *, shape: tuple[int, ...], dtype: Any) -> None:
    m, k = shape
    given = _values_of("cross_entropy", labels)
    if given.shape == shape and k > 1:
        sums = np.sum(given, axis=1)
        bad = np.flatnonzero((np.abs(sums - 1) > 1e-5) | np.any(given < 0, axis=1) | np.isnan(sums))
        if len(bad):
            raise ValueError(
                f"cross_entropy: labels of the logits' shape are rows of probabilities, but row {bad[0]} is "
                f"{given[bad[0]]}, which sums to {sums[bad[0]]:.6g}"
            )
        np.copyto(out, given)
        return
    if given.shape not in ((m,), (m, 1)):
        advice = f"; use labels.reshape({m})" if given.size == m else ""
        if given.shape[:1] == (m,) and given.ndim == 2:
            advice = f"; one-hot rows have a column for each of the model's {k} outputs"
        raise ValueError(
            f"cross_entropy: logits of shape {shape} need labels of shape ({m},), ({m}, 1) or {shape}, "
            f"got {given.shape}{advice}"
        )
    is_class = np.equal(given.reshape(m, 1), np.arange(k), out=scratch(0, out, bool))
    if np.count_nonzero(is_class) != m:
        _classes(given, k)  # says which is none
    np.copyto(out, is_class)


_rows_of_labels.into = rows_into  # type: ignore[attr-defined]
_rows_of = on_values(_rows_of_labels)


@on_values
def one_hot(labels: Any, num_classes: int, dtype: Any = np.float64) -> Any:
    """Integer labels of shape (m,) or (m, 1) to an array (m, num_classes) with a 1 at each label.

    Raises `ValueError` for labels that are not integers from 0 to num_classes − 1.

    >>> tg.one_hot([2, 0], 3)
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    given = _values_of("one_hot", labels)
    if given.ndim != 1 and given.shape[1:] != (1,):
        advice = "; rows that are one-hot already have labels rows.argmax(axis=1)" if given.ndim == 2 else ""
        raise ValueError(f"one_hot: labels must have shape (m,) or (m, 1), got {given.shape}{advice}")
    classes = _classes(given, num_classes)
    rows = np.zeros((len(classes), num_classes), dtype)
    rows[np.arange(len(classes)), classes] = 1
    return rows


def _classes(labels: Any, num_classes: int) -> Any:
    """Labels as a row of indices, checked."""
    classes = labels.reshape(-1)
    unsigned = classes.view(classes.dtype.str.replace("i", "u"))  # in which −1 is above every class
    if classes.dtype.kind == "f" or np.maximum.reduce(unsigned, initial=0) >= num_classes:
        wrong = classes[~((classes >= 0) & (classes < num_classes) & (classes == np.floor(classes)))]
        if len(wrong):
            raise ValueError(
                f"labels contain {wrong[0]}, but there are {num_classes} classes (0 to {num_classes - 1})."
                + _advice_on(wrong, num_classes)
            )
    return classes if classes.dtype.kind in "iu" else classes.astype(np.intp)


def _advice_on(wrong: Any, num_classes: int) -> str:
    if num_classes == 10 and wrong[0] == 10:
        return " ex4's files store the digit 0 as 10: use y % 10."
    if num_classes == 1:
        return " For two classes and one score use binary_cross_entropy_with_logits."
    if not np.array_equal(wrong, np.floor(wrong)):
        return " Labels are whole numbers."
    if np.all(wrong == num_classes):
        return f" If they count from 1, use labels - 1. For {num_classes + 1} classes the model needs as many outputs."
    return " Number the classes from 0: np.unique(labels, return_inverse=True)[1]."


def l2_penalty(model_or_weights: Any, lam: float, m: int) -> Any:
    """λ/(2m) Σ w²: the regularisation of the course's exercise 4, to be added to a cost of m samples.

    Takes a model, of which the weights count and the biases (parameters of one axis) never do, or the weights.

    >>> tg.l2_penalty(tg.Dense(2, 1, init=lambda shape, rng: np.ones(shape)), 3.0, 6).item()
    0.5
    """
    if m <= 0 or not lam >= 0:
        raise ValueError(f"l2_penalty: λ must be at least 0 and the number of samples m positive, got {lam=}, {m=}")
    if hasattr(model_or_weights, "parameters"):
        weights: Iterable[Any] = [p for p in model_or_weights.parameters() if p.ndim > 1]
    else:
        weights = [model_or_weights] if isinstance(model_or_weights, Tensor | np.ndarray) else model_or_weights
    squares = [np.sum(np.square(w)) for w in weights]
    if not squares:
        raise ValueError("l2_penalty: there are no weights to penalise")
    return functools.reduce(operator.add, squares) * (lam / (2 * m))


def _values_of(loss: str, target: Any) -> Any:
    return numbers(f"{loss}: targets must be", target)


def _target(loss: str, prediction: Any, target: Any, low: float = -np.inf, high: float = np.inf) -> Any:
    """The target, of exactly the prediction's shape and in its precision."""
    if not (isinstance(target, Tensor) and target.requires_grad):
        checked = _checked(target, loss=loss, low=low, high=high, dtype=prediction.dtype)
        # A tensor keeps its name, unless the check itself is written down.
        if isinstance(checked, Tensor) or not (isinstance(target, Tensor) and target.dtype == prediction.dtype):
            target = checked
    shapes = shape_of(prediction), shape_of(target)
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"{loss}: prediction {shapes[0]} and target {shapes[1]} must have the same shape"
            + _advice_on_shapes(*shapes)
        )
    return target


def _advice_on_shapes(prediction: tuple[int, ...], target: tuple[int, ...]) -> str:
    if math.prod(prediction) == math.prod(target):
        return f"; use target.reshape{prediction}"
    if len(prediction) == 2 and target in ((prediction[0],), (prediction[0], 1)):
        return f"; if these are labels, use one_hot(target, {prediction[1]}) or cross_entropy"
    return ""


@on_values
def _checked(target: Any, *, loss: str, low: float, high: float, dtype: Any) -> Any:
    """The target's values as `dtype`, if they are numbers from `low` to `high`."""
    values = _values_of(loss, target)
    if values.size and not (np.min(values) >= low and np.max(values) <= high):
        if np.isfinite(low):
            span = f"{np.min(values):.4g} to {np.max(values):.4g}"
            advice = (
                "labels -1 and 1 become (y + 1) / 2" if np.min(values) < 0 else "labels of classes go to cross_entropy"
            )
            raise ValueError(f"{loss}: targets must lie in [{low:g}, {high:g}], got {span}; {advice}")
        raise ValueError(f"{loss}: the target contains NaN")
    return values.astype(dtype, copy=False)


def _count(loss: str, reduction: str, shape: tuple[int, ...]) -> int:
    """What a loss over an array of `shape` is divided by."""
    if reduction not in ("mean", "sum", "batchmean"):
        raise ValueError(f"{loss}: reduction must be 'mean', 'sum' or 'batchmean', not {reduction!r}")
    if reduction == "sum":
        return 1
    count = math.prod(shape if reduction == "mean" else shape[:1])
    if not count:
        raise ValueError(f"{loss}: the batch is empty (shape {shape}); its mean is not a number")
    return count
