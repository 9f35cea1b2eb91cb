"""Numbers between two ends, with derivatives by the ends."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.operators import on_values, or_numpy
from ..autograd.primitives import implements
from .elementwise import as_array


@implements(np.linspace)
def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    **device: Any,
) -> Any:
    if num < 0:
        raise ValueError(f"linspace: the number of samples must not be negative, got {num}")
    exact = np.result_type(*(v if isinstance(v, int | float) else as_array(v).dtype for v in (start, stop)), 1.0)
    start, stop = as_array(start, exact), as_array(stop, exact)
    distance = stop - start
    parts = num - 1 if endpoint else num
    k = np.arange(num, dtype=exact).reshape(-1, *(1,) * distance.ndim)
    step: Any = np.nan
    if parts > 0:
        step = distance / parts
        found = np.where(np.any(np.equal(step, 0)), k / parts * distance, k * step)  # a step may be too small
    else:
        found = k * distance
    found = found + start
    if endpoint and num > 1:
        found = np.where(k == parts, stop, found)
    found = np.moveaxis(found, 0, axis)
    if dtype is not None:
        found = np.astype(np.floor(found) if np.dtype(dtype).kind in "iu" else found, dtype)
    return (found, step) if retstep else found


@implements(np.logspace)
@or_numpy(np.logspace)
def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0
) -> Any:
    if np.ndim(base):
        raise TypeError(f"logspace: on tensors the base must be a single number, got shape {np.shape(base)}")
    found = np.power(base, np.linspace(start, stop, num, endpoint, axis=axis))
    return found if dtype is None else np.astype(found, dtype)


@implements(np.geomspace)
def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Any:
    _refuse_zeros(start, stop)
    start, stop = as_array(start, np.float64), as_array(stop, np.float64)  # like NumPy
    sign = np.sign(start)
    start, stop = start / sign, stop / sign
    found = np.logspace(np.log10(start), np.log10(stop), num, endpoint)
    k = np.arange(num).reshape(-1, *(1,) * (found.ndim - 1))
    found = np.where(k == 0, start, np.where((k == num - 1) & endpoint, stop, found))  # not rounded
    found = np.moveaxis(found * sign, 0, axis)
    return found if dtype is None else np.astype(found, dtype)


@on_values
def _refuse_zeros(start: Any, stop: Any) -> None:
    if np.any(np.equal(start, 0)) or np.any(np.equal(stop, 0)):
        raise ValueError("geomspace: a geometric sequence has no zeros")
