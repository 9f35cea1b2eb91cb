"""Losses of distributions: how probable the targets are, and how far one distribution is from another. Each is a
composition of functions that have rules.
"""

from __future__ import annotations

import math
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike

from ..autograd.conversion import shape_of
from ..autograd.operators import on_values, option
from ..autograd.tensor import Tensor
from .activations import as_floats
from .losses import Given, _single
from .targets import (
    _target,
    advice_on_logits,
    as_rows,
    by_rows,
    check_broadcast,
    check_option,
    reduced,
    refuse_grad,
    weighted_rows,
)


@overload
def nll_loss(
    log_probability: Tensor,
    labels: Given,
    reduction: str = "mean",
    *,
    weight: Given | None = None,
    ignore_index: int | None = None,
) -> Tensor: ...
@overload
def nll_loss(
    log_probability: ArrayLike,
    labels: Given,
    reduction: str = "mean",
    *,
    weight: Given | None = None,
    ignore_index: int | None = None,
) -> Any: ...
def nll_loss(
    log_probability: Any,
    labels: Any,
    reduction: str = "mean",
    *,
    weight: Any = None,
    ignore_index: int | None = None,
) -> Any:
    """−Σ log_probability[label] over the rows of `log_probability` (m, k), the negative log-likelihood: `cross_entropy`
    for a model that ends with `log_softmax`, with the same labels and the same `reduction`, `weight` and
    `ignore_index`; (m, t, k) with labels (m, t), too.

    Raises `ValueError` as `cross_entropy` does, and for logarithms above 0, which are not of probabilities.

    >>> tg.nll_loss(np.log(np.array([[0.5, 0.5], [0.25, 0.75]])), [0, 0], "none").round(4)
    array([0.6931, 1.3863])
    """
    shape = shape_of(log_probability)
    if len(shape) < 2 or not shape[-1]:
        raise ValueError(
            f"nll_loss: log_probability must be rows (m, k), one number for each class, got shape {shape}"
            f"{advice_on_logits(shape, shape_of(labels))}"
        )
    q = _single(as_floats(log_probability))
    _check_logarithms(q, loss="nll_loss")
    refuse_grad("nll_loss", labels)
    batch = shape[:-1]
    if len(shape) > 2:
        q, labels = as_rows("nll_loss", q, labels)
    rows, divisor = weighted_rows("nll_loss", labels, shape_of(q), q.dtype, weight, ignore_index, 0.0, reduction, batch)
    each = -np.sum(np.where(rows == 0, 0, q) * rows, axis=1)
    if reduction == "none":
        return each if len(batch) == 1 else each.reshape(batch)
    return np.sum(each) / divisor


@overload
def kl_div(log_probability: Tensor, target: Given, reduction: str = "mean", *, log_target: bool = False) -> Tensor: ...
@overload
def kl_div(log_probability: ArrayLike, target: Given, reduction: str = "mean", *, log_target: bool = False) -> Any: ...
def kl_div(log_probability: Any, target: Any, reduction: str = "mean", *, log_target: bool = False) -> Any:
    """Σ t (log t − log_probability) over the elements of arrays of equal shapes (m, k): the Kullback–Leibler divergence
    of the model's distribution, given by its logarithms, from the distribution t of the target, or with `log_target`
    the logarithms of both. Where t is 0, the summand is 0.

    It is divided as `reduction` says (see `mse_loss`): "batchmean" gives the divergence, "mean" divides it by the
    number of classes besides, as in PyTorch. (Kullback and Leibler, "On information and sufficiency", 1951.) Raises
    `ValueError` for unequal shapes, an empty batch, negative targets, and logarithms above 0.

    >>> tg.kl_div(np.log(np.array([[0.5, 0.5]])), np.array([[1.0, 0.0]]), "batchmean").round(6)
    np.float64(0.693147)
    """
    q = _single(as_floats(log_probability))
    _check_logarithms(q, loss="kl_div")
    t = _target("kl_div", q, target)
    if log_target:
        possible = t > -np.inf
        return reduced("kl_div", np.exp(t) * (np.where(possible, t, 0) - np.where(possible, q, 0)), reduction)
    _check_not_negative(t, loss="kl_div", name="targets", advice="for logarithms of probabilities pass log_target=True")
    possible = t > 0
    return reduced("kl_div", t * (np.log(np.where(possible, t, 1)) - np.where(possible, q, 0)), reduction)


@overload
def gaussian_nll_loss(
    mean: Tensor, target: Given, variance: Given, reduction: str = "mean", *, full: bool = False, eps: float = 1e-6
) -> Tensor: ...
@overload
def gaussian_nll_loss(
    mean: ArrayLike, target: Given, variance: Given, reduction: str = "mean", *, full: bool = False, eps: float = 1e-6
) -> Any: ...
def gaussian_nll_loss(
    mean: Any, target: Any, variance: Any, reduction: str = "mean", *, full: bool = False, eps: float = 1e-6
) -> Any:
    """Σ ½ (log v + (mean − target)² / v) over all elements: the negative log-likelihood of normal distributions whose
    mean and variance v a model gives. Divided as `reduction` says (see `mse_loss`); `full` adds the constant ½ log 2π.

    `mean` and `target` have equal shapes, `variance` has too, or is broadcast to it. Variances below `eps` count as
    `eps`, but get the gradient there, so that they can grow again. (Nix and Weigend, "Estimating the mean and variance
    of the target probability distribution", 1994.)

    Raises `ValueError` for shapes that do not fit, an empty batch, negative variances, and an `eps` that is not
    positive.

    >>> tg.gaussian_nll_loss(np.array([1.0]), np.array([3.0]), np.array([4.0])).round(6)
    np.float64(1.193147)
    """
    check_option("gaussian_nll_loss", "eps", eps, 0 < eps < math.inf, "a positive number")
    mean = _single(as_floats(mean))
    d = mean - _target("gaussian_nll_loss", mean, target)
    v = _single(as_floats(variance))
    check_broadcast("gaussian_nll_loss: variances", shape_of(v), shape_of(mean))
    _check_not_negative(v, loss="gaussian_nll_loss", name="variances", advice="let a softplus or exp make them")
    v = v + _missing(v, eps=option(eps, "gaussian_nll_loss: eps"))
    each = 0.5 * (np.log(v) + np.square(d) / v) + (0.5 * math.log(2 * math.pi) if full else 0.0)
    return reduced("gaussian_nll_loss", each, reduction)


@on_values
def _missing(v: Any, *, eps: float) -> Any:
    """What has to be added to values to make them `eps`."""
    return np.maximum(np.asarray(eps, v.dtype) - v, 0)


@on_values
@by_rows("sum")
def _check_not_negative(values: Any, *, loss: str, name: str, advice: str) -> None:
    if values.size and not np.min(values) >= 0:
        raise ValueError(f"{loss}: {name} must not be negative, got {np.min(values):.4g}; {advice}")


@on_values
@by_rows("sum")
def _check_logarithms(q: Any, *, loss: str) -> None:
    if q.size and np.max(q) > 1e-3:  # rounding makes more than 0 of certainty
        raise ValueError(
            f"{loss}: logarithms of probabilities are at most 0, got {np.max(q):.4g}; pass log_softmax(logits), or use "
            "cross_entropy, which takes logits"
        )
