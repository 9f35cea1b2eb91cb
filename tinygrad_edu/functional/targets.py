"""The checks of what a prediction is compared with (targets and labels), and the count that a loss is divided by."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ..autograd.conversion import numbers, shape_of
from ..autograd.operators import on_values, option
from ..autograd.tensor import Tensor
from .activations import Scratch, new_array


def by_rows(how: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Says how a function of plain arrays treats the rows of a batch, see `compiler/placing.py`."""

    def said(function: Callable[..., Any]) -> Callable[..., Any]:
        function.rows = how  # type: ignore[attr-defined]
        return function

    return said


# Targets of the prediction's shape


def _values_of(loss: str, target: Any) -> Any:
    return numbers(f"{loss}: targets must be", target)


def _target(loss: str, prediction: Any, target: Any, low: float = -np.inf, high: float = np.inf) -> Any:
    """The target in the prediction's precision; refuses one of another shape."""
    if not (isinstance(target, Tensor) and target.requires_grad):
        checked = _checked(target, loss=loss, low=low, high=high, dtype=prediction.dtype)
        # A tensor stays itself, so that it keeps its name, unless a trace has written down the check.
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
@by_rows("each")
def _checked(target: Any, *, loss: str, low: float, high: float, dtype: Any) -> Any:
    """The target's values as `dtype`; refuses values that are not numbers from `low` to `high`."""
    values = _values_of(loss, target)
    if values.size and not (np.min(values) >= low and np.max(values) <= high):
        if np.isfinite(low):
            span = f"{np.min(values):.4g} to {np.max(values):.4g}"
            advice = _advice_on_targets(np.min(values), np.max(values))
            raise ValueError(f"{loss}: targets must lie in [{low:g}, {high:g}], got {span}; {advice}")
        raise ValueError(f"{loss}: the target contains NaN")
    return values.astype(dtype, copy=False)


def _advice_on_targets(low: Any, high: Any) -> str:
    if low == -1 and high == 1:
        return "turn labels -1 and 1 into (y + 1) / 2"
    if low < 0:
        return f"if {low:g} marks missing targets, leave those out: keep = target != {low:g}"
    return "use cross_entropy for class labels"


def _count(loss: str, reduction: str, shape: tuple[int, ...]) -> int:
    """What a loss over an array of `shape` is divided by."""
    if not isinstance(reduction, str) or reduction not in ("mean", "sum", "batchmean", "none"):
        raise ValueError(f"{loss}: reduction must be 'mean', 'sum', 'batchmean' or 'none', not {reduction!r}")
    if reduction in ("sum", "none"):
        return 1
    count = math.prod(shape if reduction == "mean" else shape[:1])
    if not count:
        raise ValueError(f"{loss}: the batch is empty (shape {shape}), so it has no mean")
    return count


def check_option(loss: str, name: str, value: Any, is_right: bool, wanted: str) -> None:
    if not is_right:
        raise ValueError(f"{loss}: {name} must be {wanted}, not {value!r}")


def refuse_grad(loss: str, labels: Any) -> None:
    if isinstance(labels, Tensor) and labels.requires_grad:
        raise TypeError(f"{loss}: the target requires grad, but the loss has no gradient for it; use .detach()")


def check_broadcast(what: str, shape: tuple[int, ...], of: tuple[int, ...]) -> None:
    """Refuses a shape that is not broadcast to that of the loss's elements."""
    if len(shape) > len(of) or any(a not in (1, b) for a, b in zip(reversed(shape), reversed(of), strict=False)):
        raise ValueError(f"{what} of shape {shape} do not fit {of}")


def reduced(loss: str, values: Any, reduction: str) -> Any:
    """The loss of each element, reduced."""
    count = _count(loss, reduction, shape_of(values))
    return values if reduction == "none" else np.sum(values) / count


# Labels of classes


@by_rows("leading")
def _rows_of_labels(labels: Any, *, shape: tuple[int, ...], dtype: Any, loss: str = "cross_entropy") -> Any:
    """Labels as rows of probabilities; refuses labels that are not possible."""
    rows = np.empty(shape, dtype)
    rows_into(rows, new_array, labels, shape=shape, dtype=dtype, loss=loss)
    return rows


_CALLED = {"nll_loss": "log_probability", "hinge_loss": "scores", "accuracy": "predictions"}  # elsewhere: logits


def as_rows(loss: str, logits: Any, labels: Any) -> tuple[Any, Any]:
    """Logits of more than two axes, of which the last one is that of the classes, and their labels, in rows."""
    shape, given, called = shape_of(logits), shape_of(labels), _CALLED.get(loss, "logits")
    of_labels = shape[:-1]
    if given not in (of_labels, (*of_labels, 1), shape):
        fitting = next((fit for fit in (of_labels, shape) if math.prod(given) == math.prod(fit)), None)
        advice = "" if fitting is None else f"; use labels.reshape{fitting}"
        if fitting is None and given == (shape[0], *shape[2:]):  # PyTorch's layout
            advice = f"; the axis of the classes is the last one here: np.moveaxis({called}, 1, -1)"
        raise ValueError(
            f"{loss}: {called} of shape {shape} need labels of shape {of_labels}, {(*of_labels, 1)} or {shape}, "
            f"got {given}{advice}"
        )
    labels = labels if hasattr(labels, "reshape") else np.asarray(labels)
    return logits.reshape(-1, shape[-1]), labels.reshape((-1, *given[len(of_labels) :]))


def rows_into(
    out: Any, scratch: Scratch, labels: Any, *, shape: tuple[int, ...], dtype: Any, loss: str = "cross_entropy"
) -> None:
    m, k = shape
    given, called = _values_of(loss, labels), _CALLED.get(loss, "logits")
    if given.shape == shape and k > 1:
        sums = np.sum(given, axis=1)
        bad = np.flatnonzero((np.abs(sums - 1) > 1e-5) | np.any(given < 0, axis=1) | np.isnan(sums))
        if len(bad):
            raise ValueError(
                f"{loss}: labels of the same shape as the {called} must be rows of probabilities, but row "
                f"{bad[0]} is {given[bad[0]]}, which sums to {sums[bad[0]]:.6g}"
            )
        np.copyto(out, given)
        return
    if given.shape not in ((m,), (m, 1)):
        advice = f"; use labels.reshape({m})" if given.size == m else ""
        if given.shape[:1] == (m,) and given.ndim == 2:
            advice = f"; one-hot rows need one column for each of the model's {k} outputs"
        raise ValueError(
            f"{loss}: {called} of shape {shape} need labels of shape ({m},), ({m}, 1) or {shape}, "
            f"got {given.shape}{advice}"
        )
    is_class = np.equal(given.reshape(m, 1), np.arange(k), out=scratch(0, out, bool))
    if np.count_nonzero(is_class) != m:
        class_indices(loss, given, k)  # says which label is not a class
    np.copyto(out, is_class)


_rows_of_labels.into = rows_into  # type: ignore[attr-defined]
_rows_of = on_values(_rows_of_labels)


def weighted_rows(
    loss: str,
    labels: Any,
    shape: tuple[int, ...],
    dtype: Any,
    weight: Any,
    ignore_index: int | None,
    smoothing: float,
    reduction: str,
    batch: tuple[int, ...],
) -> tuple[Any, Any]:
    """Labels as rows of probabilities times the weights of their classes, with zeros for what is ignored, and what the
    sum over them is divided by; `batch` is the shape that the labels had before they were put in rows."""
    k = shape[1]
    if not 0 <= smoothing <= 1:
        raise ValueError(f"{loss}: label_smoothing must lie in [0, 1], not {smoothing}")
    count = _count(loss, reduction, batch)
    if weight is not None and shape_of(weight) != (k,):
        raise ValueError(f"{loss}: weight must hold a factor for each of the {k} classes, got shape {shape_of(weight)}")
    one_each = shape_of(labels) != shape or k == 1
    kept: Any = 1
    if ignore_index is not None:
        if not one_each:
            raise ValueError(f"{loss}: ignore_index is for labels that are numbers of classes, not for rows")
        kept = np.reshape(np.not_equal(labels, ignore_index), (-1, 1))
        labels = np.where(np.not_equal(labels, ignore_index), labels, 0)
    rows = _rows_of(labels, shape=shape, dtype=dtype, loss=loss) * kept
    given = option(weight if hasattr(weight, "shape") else np.asarray(weight), f"{loss}: weight")
    factors = np.ones(k, dtype) if weight is None else given.astype(dtype)
    divisor: Any = count
    if one_each and reduction in ("mean", "batchmean") and (weight is not None or ignore_index is not None):
        divisor = np.sum(rows * factors)
        if reduction == "batchmean" and len(batch) > 1:
            divisor = divisor / math.prod(batch[1:])
        _refuse_nothing(divisor, loss=loss)
    return ((1 - smoothing) * rows + smoothing / k * kept) * factors, divisor


def _refuse_zero(total: Any, *, loss: str) -> Any:
    if not total:
        raise ValueError(f"{loss}: all labels are ignored, or of classes of weight 0, so there is no mean")
    return total


_refuse_nothing = on_values(_refuse_zero)


def one_hot(labels: Tensor | ArrayLike, num_classes: int, dtype: DTypeLike = np.float64) -> NDArray[Any]:
    """The array (…, num_classes) with a 1 at each label, 0 elsewhere, for integer labels of shape (…): (m, num_classes)
    for (m,), (m, t, num_classes) for (m, t). A column (m, 1) counts as (m,).

    Raises `ValueError` for labels that are not whole numbers from 0 to num_classes − 1, and for rows of floats that are
    one-hot already.

    >>> tg.one_hot([2, 0], 3)
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    rows: NDArray[Any] = one_hot_rows(labels, num_classes, dtype)
    return rows


@on_values
@by_rows("leading")
def one_hot_rows(labels: Any, num_classes: int, dtype: Any) -> Any:
    given = _values_of("one_hot", labels)
    suspect = given.dtype.kind == "f" and given.ndim > 1 and given.shape[-1] == num_classes > 1 and given.size
    if suspect and np.all((given == 0) | (given == 1)) and np.all(given.sum(axis=-1) == 1):
        raise ValueError(
            f"one_hot: the rows of labels of shape {given.shape} are one-hot already, their labels are "
            "labels.argmax(axis=-1). If they are labels, make integers of them: labels.astype(int)"
        )
    classes = class_indices("one_hot", given, num_classes)
    rows = np.zeros((len(classes), num_classes), dtype)
    rows[np.arange(len(classes)), classes] = 1
    shape = given.shape[:1] if given.ndim == 2 and given.shape[1] == 1 else given.shape
    return rows.reshape(*shape, num_classes)


def class_indices(who: str, labels: Any, num_classes: int) -> Any:
    """Labels as a row of indices; refuses labels that are not classes."""
    classes = labels.reshape(-1)
    unsigned = classes.view(classes.dtype.str.replace("i", "u"))  # read so, −1 is larger than every class
    if classes.dtype.kind == "f" or np.maximum.reduce(unsigned, initial=0) >= num_classes:
        wrong = classes[~((classes >= 0) & (classes < num_classes) & (classes == np.floor(classes)))]
        if np.any(wrong == -100):
            wrong = wrong[wrong == -100]
        if len(wrong):
            raise ValueError(
                f"{who}: labels contain {wrong[0]}, but there are {num_classes} classes (0 to {num_classes - 1})."
                + _advice_on(wrong, num_classes)
            )
    return classes if classes.dtype.kind in "iu" else classes.astype(np.intp)


def advice_on_logits(shape: tuple[int, ...], labels: tuple[int, ...]) -> str:
    """What to do with logits that are not rows (m, k), k > 0."""
    if len(shape) == 1 and labels in ((), (1,)):
        return ". For a single sample: logits.reshape(1, -1), and labels.reshape(1)"
    if len(shape) < 2:
        return ". For one score of each sample use binary_cross_entropy_with_logits"
    if 0 in shape[1:]:
        return ", without any class; give the model an output for each class"
    first = len(shape) > 2 and labels != shape and labels != shape[:-1] and labels == (shape[0], *shape[2:])
    if first:  # PyTorch's layout
        return f". Make rows of them: np.moveaxis(logits, 1, -1).reshape(-1, {shape[1]}), and labels.reshape(-1)"
    rows = f"labels.reshape(-1{f', {shape[-1]}' if labels == shape and shape[-1] > 1 else ''})"
    return f". Make rows of them: logits.reshape(-1, {shape[-1]}), and {rows}"


def _advice_on(wrong: Any, num_classes: int) -> str:
    if num_classes == 10 and wrong[0] == 10:
        return " ex4's files store the digit 0 as 10: use y % 10."
    if num_classes == 1:
        return " For two classes and one score use binary_cross_entropy_with_logits."
    if not np.array_equal(wrong, np.floor(wrong)):
        return " Labels must be whole numbers."
    if np.all(wrong == num_classes):
        return f" If they count from 1, use labels - 1. For {num_classes + 1} classes, give the model as many outputs."
    number = " Number the classes from 0: np.unique(labels, return_inverse=True)[1]."
    if np.all(wrong == wrong[0]) and wrong[0] in PADDING:
        out = f" If it marks padding, leave those rows out: keep = labels != {wrong[0]:g}, then logits[keep] and labels"
        return f"{out}[keep]." + ("" if wrong[0] == -100 else f" If it is a class:{number}")
    return number


PADDING = (-100, -1, 255)  # what PyTorch ignores by default, what others do
