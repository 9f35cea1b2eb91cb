"""Numbers between two ends, with derivatives by the ends."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.operators import on_values
from ..autograd.primitives import implements


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
    distance = np.subtract(stop, start)
    parts = num - 1 if endpoint else num
    k = np.arange(num, dtype=np.result_type(distance.dtype, 1.0)).reshape(-1, *(1,) * distance.ndim)
    step = distance / parts if parts > 0 else np.nan
    found = (k * step if parts > 0 else k * distance) + start
    if endpoint and num > 1:
        found = np.where(k == parts, stop, found)
    found = np.moveaxis(found, 0, axis)
    found = found if dtype is None else np.astype(found, dtype)
    return (found, step) if retstep else found


@implements(np.logspace)
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
    sign = np.sign(start) * np.float64(1)  # in float64, like NumPy
    found = sign * np.logspace(np.log10(start * sign), np.log10(stop * sign), num, endpoint)
    k = np.arange(num).reshape(-1, *(1,) * (found.ndim - 1))
    found = np.where(k == 0, start, np.where((k == num - 1) & endpoint, stop, found))  # not rounded
    found = np.moveaxis(found, 0, axis)
    return found if dtype is None else np.astype(found, dtype)


@on_values
def _refuse_zeros(start: Any, stop: Any) -> None:
    if np.any(np.equal(start, 0)) or np.any(np.equal(stop, 0)):
        raise ValueError("geomspace: a geometric sequence has no zeros")
