"""Functions that call others: along an axis, over axes, and of parts of an array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..autograd.primitives import implements
from ..autograd.recording import holds_operand, plain
from .shape import setitem


@implements(np.apply_along_axis)
def apply_along_axis(func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    axis = normalize_axis_index(axis, arr.ndim)
    rows = np.moveaxis(arr, axis, -1)
    places = rows.shape[:-1]
    results = [func1d(rows[place], *args, **kwargs) for place in np.ndindex(places)]
    if not results:
        raise ValueError(f"apply_along_axis: there are no rows along axis {axis} of an array of shape {arr.shape}")
    y = np.stack(results) if holds_operand(results) else np.asarray(results)
    ndim = y.ndim - 1
    y = np.reshape(y, places + y.shape[1:])
    return np.moveaxis(y, range(-ndim, 0), range(axis, axis + ndim)) if ndim else y


@implements(np.apply_over_axes)
def apply_over_axes(func: Callable[..., Any], a: Any, axes: Any) -> Any:
    for axis in np.ravel(axes).tolist():
        y = func(a, axis)
        y = y if np.ndim(y) == np.ndim(a) else np.expand_dims(y, axis)
        if np.ndim(y) != np.ndim(a):
            raise ValueError(f"apply_over_axes: the function must drop axis {axis} or keep it with size 1")
        a = y
    return a


@implements(np.piecewise)
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """The functions get the elements that meet their conditions. In their place there may be numbers, also tensors; of
    conditions that overlap the last one counts."""
    conditions = plain(condlist)
    if np.isscalar(conditions) or (x.ndim and not isinstance(conditions[0], list | np.ndarray)):
        conditions = [conditions]
    masks = np.asarray(conditions, bool)
    if len(funclist) == len(masks) + 1:  # the last one is for what is left
        masks = np.concatenate((masks, ~np.any(masks, axis=0, keepdims=True)))
    if len(funclist) != len(masks):
        raise ValueError(f"piecewise: {len(masks)} conditions need as many functions, or one more, got {len(funclist)}")
    y = np.where(False, x, np.zeros((), x.dtype))  # a tensor, if only because its zeros are
    for mask, function in zip(masks, funclist, strict=True):
        if np.any(mask):
            y = setitem(y, mask, function(x[mask], *args, **kw) if callable(function) else function)
    return y
