"""Windows that slide along axes, and what adds them back: each is the derivative of the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from numpy.lib.stride_tricks import sliding_window_view

from ..autograd.operators import option, refuse
from ..autograd.primitives import implements, primitive, rule

AT_A_TIME = 300_000  # how many numbers are added up at a time, so that they stay in the processor's cache


@primitive(moves=True)
def _sliding_windows(x: Any, *, window: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    return np.lib.stride_tricks.sliding_window_view(x, window, axes)


@primitive
def _sum_of_windows(x: Any, *, axes: tuple[int, ...]) -> Any:
    """The elements of all windows added up where they came from. The last axes of `x` are those of the windows."""
    for axis in reversed(axes):
        parts = np.moveaxis(x, (axis, -1), (0, 1))
        if parts.shape[0] < parts.shape[1]:
            parts = parts.swapaxes(0, 1)  # the sum is the same if places and windows are exchanged
        places, width = parts.shape[:2]
        total = np.zeros((places + width - 1, *parts.shape[2:]), x.dtype)
        step = max(width, AT_A_TIME // max(1, parts[:1].size))
        for start in range(0, places, step):
            some = parts[start : start + step]
            for k in range(width):
                total[start + k : start + k + len(some)] += some[:, k]
        x = np.moveaxis(total, 0, axis)
    return x


rule(_sliding_windows, lambda g, *, window, axes: _sum_of_windows(g, axes=axes), new=True)
rule(
    _sum_of_windows,
    lambda g, x_shape, *, axes: _sliding_windows(g, window=tuple(x_shape[len(x_shape) - len(axes) :]), axes=axes),
)


@implements(sliding_window_view)
def windows(x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False) -> Any:
    refuse(sliding_window_view, {"writeable": writeable or None}, "writeable")
    window = tuple(np.ravel(option(window_shape, "sliding_window_view: window_shape")).tolist())
    axes = tuple(range(x.ndim)) if axis is None else normalize_axis_tuple(axis, x.ndim, allow_duplicate=True)
    return _sliding_windows(x, window=window, axes=axes)
