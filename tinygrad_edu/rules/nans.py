"""Sums, products, extrema and variances of what is not NaN. (Quantiles without NaNs are in `statistics.py`.)"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.operators import constant, refuse
from ..autograd.primitives import FUNCTIONS, implements, rule
from .reductions import product_rule, restored


def _numbers(x: Any, where: Any) -> Any:
    """Where there are numbers, among those selected."""
    return ~np.isnan(x) if where is True else np.logical_and(where, np.logical_not(np.isnan(x)))


rule(
    np.nansum,
    lambda g, x, *, axis=None, dtype=None, keepdims=False, initial=0, where=True: np.where(
        _numbers(x, where), restored(g, axis, keepdims), 0
    ),
)
rule(
    np.nanmean,
    lambda g, x, *, axis=None, dtype=None, keepdims=False, where=True: np.where(
        (numbers := _numbers(x, where)),
        restored(g, axis, keepdims) / np.maximum(1, np.sum(numbers, axis=axis, keepdims=True)),
        0,
    ),
)
rule(
    np.nanprod,
    lambda g, x, *, axis=None, dtype=None, keepdims=False, initial=None, where=True: product_rule(
        restored(g, axis, keepdims), x, axis, dtype, initial, _numbers(x, where)
    ),
)


def _shares_of_numbers(x: Any, y: Any, axis: Any, where: Any, initial: Any) -> Any:
    """The share of each number in the extremum `y`: tied ones share evenly. `initial` is one more number."""
    chosen = x == y
    if where is not True:
        chosen = np.logical_and(where, chosen)
    tied = np.sum(chosen, axis=axis, keepdims=True)
    if initial is not None:
        tied = tied + (y == initial)
    return (chosen / np.maximum(1, tied)).astype(y.dtype)


for _extremum in (np.nanmax, np.nanmin):
    rule(
        _extremum,
        lambda g, y, x, *, axis=None, keepdims=False, initial=None, where=True: (
            restored(g, axis, keepdims) * _shares_of_numbers(x, restored(y, axis, keepdims), axis, where, initial)
        ),
    )


def _enter_spread(function: Callable[..., Any], of_all: Callable[..., Any]) -> None:
    def spread(a: Any, *args: Any, where: Any = True, **options: Any) -> Any:
        return of_all(a, *args, where=_numbers(a, where is np._NoValue or where), **options)

    FUNCTIONS[function] = spread


_enter_spread(np.nanvar, np.var)
_enter_spread(np.nanstd, np.std)


@implements(np.nancumsum)
def nancumsum(a: Any, axis: Any = None, dtype: Any = None, out: None = None) -> Any:
    refuse(np.nancumsum, {"out": out}, "out")
    return np.cumsum(np.where(np.isnan(a), 0, a), axis, dtype)


@implements(np.nancumprod)
def nancumprod(a: Any, axis: Any = None, dtype: Any = None, out: None = None) -> Any:
    refuse(np.nancumprod, {"out": out}, "out")
    return np.cumprod(np.where(np.isnan(a), 1, a), axis, dtype)


constant(np.nanargmax, np.nanargmin)
