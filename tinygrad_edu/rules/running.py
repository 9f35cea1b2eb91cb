"""Running sums, products and extrema along an axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.operators import on_values, refuse
from ..autograd.primitives import FUNCTIONS, primitive, rule
from ..autograd.record import Operand
from ..autograd.views import owned
from .elementwise import in_dtype


@primitive(rows="along")
def _cumsum(x: Any, *, axis: int) -> Any:
    return np.cumsum(x, axis=axis)


rule(_cumsum, lambda g, *, axis: np.flip(np.cumsum(np.flip(g, axis), axis), axis))


@primitive
def _cumprod(x: Any) -> Any:
    return np.cumprod(x, axis=-1)


def _before(y: Any) -> Any:
    """The running product of what comes before each element."""
    return np.concatenate((np.ones((*y.shape[:-1], min(1, y.shape[-1])), y.dtype), y[..., :-1]), axis=-1)


def _scaled_by(factor: Any, g: Any) -> Any:
    """Their product; a gradient of 0 stays 0, also where the factor is too large for a number, or is NaN."""
    return np.where((g == 0) & ~np.isfinite(factor), 0, factor) * g


def _later_products(g: Any, x: Any) -> Any:
    """Σ_{k ≥ j} g_k Π_{j < i ≤ k} x_i for each j: r_j = g_j + x_{j+1} r_{j+1}, solved by doubling the stride."""
    total, factor, stride = g, x[..., 1:], 1
    while stride < x.shape[-1]:
        later = _scaled_by(factor, total[..., stride:])
        total = np.concatenate((total[..., :-stride] + later, total[..., -stride:]), axis=-1)
        factor = factor[..., :-stride] * factor[..., stride:]
        stride *= 2
    return total


def _may_be_divided(g: Any, y: Any) -> bool:
    """Whether neither the running products y nor g · y have become 0, or so small or large that digits are lost. For a
    further derivative neither: of the quotient it would be a difference of large numbers."""
    if isinstance(g, Operand) or isinstance(y, Operand) or y.dtype == np.float16:
        return False
    root = float(np.finfo(y.dtype).tiny) ** 0.5
    (low, high), (least, most) = _sizes(g, but_zero=True), _sizes(y, but_zero=False)
    return bool(min(low, least) >= root and high <= 1e-3 / root and most <= 1e-3 / root)  # not where there is a NaN


def _sizes(a: Any, but_zero: bool) -> tuple[Any, Any]:
    """The smallest and the largest size of an element, and of 1. Mostly all are positive, which is soon seen."""
    low, high = np.min(a, initial=1), np.max(a, initial=1)
    if not low > 0:
        a = np.abs(a)
        low, high = np.min(a, where=a > 0 if but_zero else True, initial=1), np.max(a, initial=1)
    return low, high


rule(
    _cumprod,
    lambda g, y, x: (
        np.flip(np.cumsum(np.flip(g * y, -1), -1), -1) / x
        if _may_be_divided(g, y)
        else _scaled_by(_before(y), _later_products(g, x))
    ),
    new=True,
)


# The largest and the smallest so far


@primitive
def _running_max(x: Any) -> Any:
    return np.maximum.accumulate(x, axis=-1)


@primitive
def _running_min(x: Any) -> Any:
    return np.minimum.accumulate(x, axis=-1)


@on_values
def _shares_so_far(x: Any, y: Any) -> Any:
    """Whether each element is one of those with the value of the extremum so far, `y`, the share that each of these has
    in it, and whether it is still the one before. A tied element that comes later takes its share from there on."""
    same = np.zeros(y.shape, bool)
    same[..., 1:] = (y[..., 1:] == y[..., :-1]) | (np.isnan(y[..., 1:]) & np.isnan(y[..., :-1]))
    chosen = (x == y) | np.isnan(x)
    counted = np.cumsum(chosen, -1)
    before = np.maximum.accumulate(np.where(same, 0, counted - 1), -1)  # those tied in former extrema
    return np.stack((chosen, 1 / (counted - before), same)).astype(y.dtype)


def _of_extrema(g: Any, x: Any, y: Any) -> Any:
    chosen, share, same = _shares_so_far(x, y)
    return chosen * _later_products(g * share, same)


rule(_running_max, lambda g, y, x: _of_extrema(g, x, y))
rule(_running_min, lambda g, y, x: _of_extrema(g, x, y))

# NumPy's names for all of these


def _on_last(run: Callable[[Any], Any]) -> Callable[[Any, int], Any]:
    """What runs along the last axis, along any."""
    return lambda a, axis: (
        run(a) if axis in (-1, a.ndim - 1) else owned(np.moveaxis(run(np.moveaxis(a, axis, -1)), -1, axis))
    )


def _enter_running(
    function: Callable[..., Any], accumulate: Callable[..., Any], cumulative: Callable[..., Any], first: int, run: Any
) -> None:
    """Enters `np.cumsum`, `np.add.accumulate` and `np.cumulative_sum`, or those of products."""

    def flat_or_along(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
        refuse(function, {"out": out}, "out")
        a = in_dtype(a, dtype)
        return run(np.ravel(a), axis or 0) if axis is None or a.ndim == 0 else run(a, axis)

    def along(
        x: Any, *, axis: int | None = None, dtype: Any = None, out: None = None, include_initial: bool = False
    ) -> Any:
        refuse(cumulative, {"out": out}, "out")
        if axis is None and np.ndim(x) > 1:
            raise ValueError(f"{cumulative.__name__}: of an array with several axes, say which: axis=")
        y = flat_or_along(x, axis, dtype)
        if not include_initial:
            return y
        edge = [1 if k == (axis or 0) % y.ndim else n for k, n in enumerate(y.shape)]
        return np.concatenate((np.full(edge, first, y.dtype), y), axis or 0)

    FUNCTIONS[function], FUNCTIONS[cumulative] = flat_or_along, along
    _enter_accumulate(accumulate, run)


def axis_to_run_along(array: Any, axis: int | None) -> int:
    """That of `accumulate`, where None stands for the only one."""
    if np.ndim(array) == 0:
        raise TypeError("accumulate: a single number has no axis to run along")
    if axis is None and np.ndim(array) > 1:
        raise ValueError("accumulate: of an array with several axes, say which: axis=")
    return axis or 0


def _enter_accumulate(accumulate: Callable[..., Any], run: Callable[[Any, int], Any]) -> None:
    def accumulated(array: Any, axis: int | None = 0, dtype: Any = None) -> Any:
        return run(in_dtype(array, dtype), axis_to_run_along(array, axis))

    FUNCTIONS[accumulate] = accumulated


_enter_running(np.cumsum, np.add.accumulate, np.cumulative_sum, 0, lambda a, axis: _cumsum(a, axis=axis))
_enter_running(np.cumprod, np.multiply.accumulate, np.cumulative_prod, 1, _on_last(_cumprod))
_enter_accumulate(np.maximum.accumulate, _on_last(_running_max))
_enter_accumulate(np.minimum.accumulate, _on_last(_running_min))
