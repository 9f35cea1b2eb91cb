"""Gradients that are bounded before a step, so that one steep place does not undo what was learned."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from .base import listed


def clip_grad_norm_(parameters: Iterable[Tensor], max_norm: float) -> float:
    """Scales the gradients of all `parameters` by one factor, so that together, as one vector, they are no longer than
    `max_norm`; call it between `backward()` and `step()`. Returns the length that they had. Parameters without a
    gradient are left out.

    Raises `ValueError` for a `max_norm` that is not positive, and `FloatingPointError`, with the gradients as they
    were, if one is NaN or infinite.

    (Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", ICML 2013.)

    >>> w = tg.Tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> tg.clip_grad_norm_([w], 1.0), w.grad.round(6)
    (10.0, array([0.6, 0.8]))
    """
    given = listed("clip_grad_norm_", parameters)
    check_bound("clip_grad_norm_: max_norm", max_norm)
    return clip_all("clip_grad_norm_", given, max_norm, getattr(parameters, "names", {}))


def clip_grad_value_(parameters: Iterable[Tensor], clip_value: float) -> None:
    """Bounds each number of the gradients of `parameters` to ±`clip_value`; call it between `backward()` and `step()`.

    Raises `ValueError` for a `clip_value` that is not positive, and `FloatingPointError`, with the gradients as they
    were, if one is NaN.

    >>> w = tg.Tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> tg.clip_grad_value_([w], 7.0)
    >>> w.grad
    array([6., 7.])
    """
    given = listed("clip_grad_value_", parameters)
    check_bound("clip_grad_value_: clip_value", clip_value)
    for k, p in enumerate(given):
        if p._grad is not None and np.isnan(p._grad).any():
            raise FloatingPointError(_not_finite("clip_grad_value_", k, p, "NaN", getattr(parameters, "names", {})))
    for p in given:
        if p._grad is not None:
            p._grad = np.clip(p._grad, -clip_value, clip_value).astype(p.dtype, copy=False)


def check_bound(what: str, bound: Any) -> None:
    if not isinstance(bound, int | float | np.number) or not 0 < bound < math.inf:
        raise ValueError(f"{what} must be a positive number, not {bound!r}")


def clip_all(who: str, parameters: Sequence[Tensor], bound: float, names: Mapping[Tensor, str]) -> float:
    """Scales the gradients that the parameters have; returns their norm before."""
    norm, factor = clipping(who, parameters, [p._grad for p in parameters], bound, names)
    for p in parameters:
        if factor < 1 and p._grad is not None:
            p._grad = np.asarray(p._grad * p.dtype.type(factor))
    return norm


def clipping(
    who: str, parameters: Sequence[Tensor], gradients: Sequence[Any], bound: float, names: Mapping[Tensor, str]
) -> tuple[float, float]:
    """The norm of all gradients (None for those of a parameter that has none) as one vector, and the factor, at most 1,
    that makes it no longer than `bound`."""
    peaks = [0.0 if g is None else float(np.max(np.abs(g), initial=0)) for g in gradients]
    for k, (peak, p) in enumerate(zip(peaks, parameters, strict=True)):
        if not math.isfinite(peak):
            raise FloatingPointError(_not_finite(who, k, p, "NaN" if math.isnan(peak) else "infinite", names))
    peak = max(peaks, default=0.0)
    if not peak:
        return 0.0, 1.0
    # In units of the largest number, squares neither overflow nor vanish.
    squares = [np.sum(np.square(g / peak, dtype=np.float64)) for g in gradients if g is not None]
    norm = peak * math.sqrt(sum(squares))
    return norm, min(1.0, bound / norm)


def _not_finite(who: str, k: int, p: Tensor, what: str, names: Mapping[Tensor, str]) -> str:
    name = names.get(p) or p.name
    return (
        f"{who}: the gradient of parameter number {k}{f', {name!r},' if name else ''} of shape {p.shape} is {what}. "
        "Run forward and backward inside detect_anomaly() to see the operation where that began"
    )
