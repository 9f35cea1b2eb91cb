"""How far predictions are from their targets: losses that forgive outliers, margins between classes, and angles. Each
is a composition of functions that have rules.
"""

from __future__ import annotations

import math
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike

from ..autograd.conversion import shape_of
from ..autograd.operators import on_values
from ..autograd.tensor import Tensor
from .activations import as_floats, relu
from .losses import Given, _single
from .targets import _rows_of, _target, advice_on_logits, check_option, reduced, refuse_grad

# Of single numbers


@overload
def l1_loss(prediction: Tensor, target: Given, reduction: str = "mean") -> Tensor: ...
@overload
def l1_loss(prediction: ArrayLike, target: Given, reduction: str = "mean") -> Any: ...
def l1_loss(prediction: Any, target: Any, reduction: str = "mean") -> Any:
    """Σ |prediction − target| over the elements of arrays of equal shapes, divided as `reduction` says (see
    `mse_loss`).

    Its best constant is the median, as that of `mse_loss` is the mean. The gradient of an element is −1 or 1, and 0
    where both are equal. Raises `ValueError` as `mse_loss` does.

    >>> tg.l1_loss(np.array([1.0, 4.0]), np.array([1.0, 1.0]))
    np.float64(1.5)
    """
    return reduced("l1_loss", np.abs(_difference("l1_loss", prediction, target)), reduction)


@overload
def huber_loss(prediction: Tensor, target: Given, reduction: str = "mean", delta: float = 1.0) -> Tensor: ...
@overload
def huber_loss(prediction: ArrayLike, target: Given, reduction: str = "mean", delta: float = 1.0) -> Any: ...
def huber_loss(prediction: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Any:
    """Σ d²/2 for differences |d| ≤ `delta`, and δ (|d| − δ/2) for larger ones, where d = prediction − target, of arrays
    of equal shapes. It is divided as `reduction` says (see
    `mse_loss`): outliers pull no harder than with δ.

    (Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35, 1964.) Raises
    `ValueError` as `mse_loss` does, and for a `delta` that is not positive.

    >>> tg.huber_loss(np.array([1.0, 4.0]), np.array([0.0, 0.0]), "none")
    array([0.5, 3.5])
    """
    check_option("huber_loss", "delta", delta, 0 < delta < math.inf, "a positive number")
    return reduced("huber_loss", _huber(_difference("huber_loss", prediction, target), delta), reduction)


@overload
def smooth_l1_loss(prediction: Tensor, target: Given, reduction: str = "mean", beta: float = 1.0) -> Tensor: ...
@overload
def smooth_l1_loss(prediction: ArrayLike, target: Given, reduction: str = "mean", beta: float = 1.0) -> Any: ...
def smooth_l1_loss(prediction: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Any:
    """Σ d²/(2β) for differences |d| < `beta`, and |d| − β/2 for larger ones, where d = prediction − target, of arrays
    of equal shapes: `huber_loss` with δ = β, divided by β. With β = 0 it is `l1_loss`. Divided as `reduction` says (see
    `mse_loss`).

    (Girshick, "Fast R-CNN", 2015.) Raises `ValueError` as `mse_loss` does, and for a negative `beta`.

    >>> tg.smooth_l1_loss(np.array([1.0, 4.0]), np.array([0.0, 0.0]), "none", beta=2.0)
    array([0.25, 3.  ])
    """
    check_option("smooth_l1_loss", "beta", beta, 0 <= beta < math.inf, "0 or a positive number")
    d = _difference("smooth_l1_loss", prediction, target)
    return reduced("smooth_l1_loss", _huber(d, beta) / beta if beta else np.abs(d), reduction)


def _difference(loss: str, prediction: Any, target: Any) -> Any:
    prediction = _single(as_floats(prediction))
    return prediction - _target(loss, prediction, target)


def _huber(d: Any, delta: float) -> Any:
    within = np.clip(d, -delta, delta)
    return within * (d - 0.5 * within)


# Of classes


@overload
def hinge_loss(scores: Tensor, labels: Given, reduction: str = "mean", margin: float = 1.0) -> Tensor: ...
@overload
def hinge_loss(scores: ArrayLike, labels: Given, reduction: str = "mean", margin: float = 1.0) -> Any: ...
def hinge_loss(scores: Any, labels: Any, reduction: str = "mean", margin: float = 1.0) -> Any:
    """Σ max(0, s_j − s_y + margin) over the wrong classes j of each row of `scores` (m, k), where y is its label: the
    loss of a support vector machine of several classes. With `reduction`, "mean" and "batchmean" divide by m, "none"
    gives (m,).

    (Weston and Watkins, "Support vector machines for multi-class pattern recognition", 1999, as in the course cs231n;
    PyTorch's `multi_margin_loss` divides by k besides.) Labels are integers from 0 to k − 1, of shape (m,) or (m, 1).
    Raises `ValueError` for other shapes and labels, for an empty batch, and for a `margin` that is not positive;
    `TypeError` for labels that require grad.

    >>> tg.hinge_loss(np.array([[3.0, 5.0, -2.0]]), [0])
    np.float64(3.0)
    """
    shape = shape_of(scores)
    check_option("hinge_loss", "margin", margin, 0 < margin < math.inf, "a positive number")
    if len(shape) != 2 or not shape[1]:
        raise ValueError(
            f"hinge_loss: scores must be rows of class scores (m, k), got shape {shape}"
            f"{advice_on_logits(shape, shape_of(labels))}"
        )
    m, given = shape[0], shape_of(labels)
    if given not in ((m,), (m, 1)):
        advice = "; of rows use rows.argmax(axis=1)" if given == shape else ""
        raise ValueError(
            f"hinge_loss: labels must be numbers of classes, of shape ({m},) or ({m}, 1), got {given}{advice}"
        )
    refuse_grad("hinge_loss", labels)
    scores = _single(as_floats(scores))
    right = np.equal(_rows_of(labels, shape=shape, dtype=scores.dtype, loss="hinge_loss"), 1)
    of_labels = np.sum(np.where(right, scores, 0), axis=1, keepdims=True)
    gaps = np.where(right, 0, scores) - of_labels + margin  # without ∞ − ∞, of a label's score and itself
    return reduced("hinge_loss", np.sum(np.where(right, 0, relu(gaps)), axis=1), reduction)


# Of directions


@overload
def cosine_similarity(x: Tensor, y: Given, axis: int = -1, eps: float = 1e-8) -> Tensor: ...
@overload
def cosine_similarity(x: ArrayLike, y: Tensor, axis: int = -1, eps: float = 1e-8) -> Tensor: ...
@overload
def cosine_similarity(x: ArrayLike, y: ArrayLike, axis: int = -1, eps: float = 1e-8) -> Any: ...
def cosine_similarity(x: Any, y: Any, axis: int = -1, eps: float = 1e-8) -> Any:
    """x·y / (‖x‖ ‖y‖) along `axis`, of arrays that are broadcast: the cosine of the angle between two directions, (m,)
    for rows (m, n). Norms below `eps` count as `eps`, so that a row of zeros gives 0. Raises `ValueError` for shapes
    that cannot be broadcast.

    >>> tg.cosine_similarity(np.array([3.0, 4.0]), np.array([6.0, 8.0]))
    np.float64(1.0)
    """
    check_option("cosine_similarity", "eps", eps, 0 < eps < math.inf, "a positive number")
    x, y = (_single(as_floats(v)) for v in (x, y))
    return np.sum(_unit(x, axis, eps) * _unit(y, axis, eps), axis=axis)


def _unit(x: Any, axis: int, eps: float) -> Any:
    size = _size(x, axis=axis, eps=eps)  # divided by it, no square is too large or too small; the result is the same
    x = x / size
    return x / np.maximum(np.linalg.norm(x, axis=axis, keepdims=True), eps / size)


@on_values
def _size(x: Any, *, axis: int, eps: float) -> Any:
    return np.maximum(np.max(np.abs(x), axis=axis, keepdims=True, initial=0), np.asarray(eps, x.dtype))


@overload
def cosine_embedding_loss(
    x: Tensor, y: Given, target: Given, reduction: str = "mean", margin: float = 0.0
) -> Tensor: ...
@overload
def cosine_embedding_loss(
    x: ArrayLike, y: Tensor, target: Given, reduction: str = "mean", margin: float = 0.0
) -> Tensor: ...
@overload
def cosine_embedding_loss(
    x: ArrayLike, y: ArrayLike, target: Given, reduction: str = "mean", margin: float = 0.0
) -> Any: ...
def cosine_embedding_loss(x: Any, y: Any, target: Any, reduction: str = "mean", margin: float = 0.0) -> Any:
    """Σ 1 − cos(x, y) for rows of x and y (m, n) that belong together (`target` 1), and max(0, cos(x, y) − margin) for
    those that do not (`target` −1), divided as `reduction` says (see `mse_loss`).

    Raises `ValueError` for unequal shapes, an empty batch, targets that are neither 1 nor −1, and a `margin` outside
    [−1, 1]; `TypeError` for targets that require grad.

    >>> x, y = np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([[0.0, 2.0], [3.0, 0.0]])
    >>> tg.cosine_embedding_loss(x, y, [1, -1], "none")
    array([1., 1.])
    """
    check_option("cosine_embedding_loss", "margin", margin, -1 <= margin <= 1, "a number from -1 to 1")
    shapes = shape_of(x), shape_of(y), shape_of(target)
    if shapes[0] != shapes[1] or len(shapes[0]) != 2 or shapes[2] != shapes[0][:1]:
        raise ValueError(
            "cosine_embedding_loss: x and y must have one shape (m, n), and the target shape (m,); got "
            f"{shapes[0]}, {shapes[1]} and {shapes[2]}"
        )
    refuse_grad("cosine_embedding_loss", target)
    cos = cosine_similarity(x, y)
    together = np.equal(_signs(target), 1)
    return reduced("cosine_embedding_loss", np.where(together, 1 - cos, relu(cos - margin)), reduction)


@on_values
def _signs(target: Any) -> Any:
    target = np.asarray(target)
    if not np.all((target == 1) | (target == -1)):
        raise ValueError(
            "cosine_embedding_loss: targets must be 1 (the rows belong together) or -1 (they do not), got "
            f"{target[(target != 1) & (target != -1)][0]}; turn 0 and 1 into 2 * target - 1"
        )
    return target
