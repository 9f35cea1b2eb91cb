"""Which data tensors take, and as what."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike


def numeric(data: Any, dtype: DTypeLike | None) -> Any:
    """`data` as an array (a single Python or NumPy number as a NumPy scalar); refuses what is not numbers."""
    if isinstance(data, np.ma.MaskedArray):
        raise TypeError("a masked array would lose its mask in a Tensor; fill it first (.filled(value))")
    array = np.asarray(data, dtype=dtype)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"a Tensor holds real numbers; got {type(data).__name__} of dtype {array.dtype}")
    return array if isinstance(data, np.ndarray) else array[()]


def constant_value(value: Any) -> Any:
    """An operand that is no tensor, checked; Python numbers stay as they are, since they leave float32 alone."""
    if value.__class__ is float or value.__class__ is int or value is None:
        return value
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind in "fiub" and not isinstance(value, np.ma.MaskedArray):
            return value
    elif isinstance(value, bool | int | float):
        return value
    return numeric(value, None)


def widened(value: Any) -> Any:
    """Small integers as int64, so that arithmetic on a uint8 image does not wrap around."""
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "iu" and value.dtype.itemsize < 8:
        return value.astype(np.int64)
    return value


def shape_of(x: Any) -> tuple[int, ...]:
    """`np.shape(x)`, without the detour over NumPy's protocol for what knows its shape."""
    shape: tuple[int, ...] = x.shape if hasattr(x, "shape") else np.shape(x)
    return shape


def floating(x: Any) -> Any:
    """`x` as floats; integers become float64."""
    x = np.asarray(x)
    return x if x.dtype.kind == "f" else x.astype(np.float64)
