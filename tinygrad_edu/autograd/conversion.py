"""Which data a tensor accepts, and how it is converted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .record import Operand

# What to do with arrays that are not of real numbers, by the kind of their dtype
_ADVICE = {
    "O": "convert objects with .astype(float), a sparse matrix with .toarray()",
    "U": "numbers written as text are read by .astype(float), names of classes are numbered by "
    "np.unique(names, return_inverse=True)[1]",
    "c": "pass the .real and the .imag part, or abs(z)",
}
_ADVICE["S"] = _ADVICE["U"]


def as_array(values: Any, dtype: DTypeLike | None = None) -> NDArray[Any]:
    """`np.asarray(values)`, but refuses array types with another meaning (masked arrays, matrices)."""
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(
            "a masked array would lose its mask here; fill it first (.filled(value)), or leave out the rows with holes"
        )
    if isinstance(values, np.matrix):
        raise TypeError(
            "a np.matrix takes * for the matrix product, unlike all other arrays; pass np.asarray(m), and write @ for "
            "matrix products"
        )
    return np.asarray(values, dtype=dtype)


def numbers(who: str, values: Any, dtype: DTypeLike | None = None) -> NDArray[Any]:
    """`values` as an array; refuses what is not real numbers."""
    try:
        array = as_array(values, dtype)
    except ValueError as error:
        raise ValueError(
            f"{who} real numbers, in rows of the same length; got {type(values).__name__}: {error}"
        ) from None
    if array.dtype.kind not in "fiub":
        advice = _ADVICE.get(array.dtype.kind, "convert them to floats")
        raise TypeError(f"{who} real numbers; got {type(values).__name__} of dtype {array.dtype}: {advice}")
    return array


def values_of(value: Any, who: str | None = None) -> NDArray[Any]:
    """As `array_of`, for somebody who only looks at the values: to draw them, or to count."""
    value = value.data if isinstance(value, Operand) else value
    return as_array(value) if who is None else numbers(who, value)


def numeric(data: Any, dtype: DTypeLike | None) -> Any:
    """`data` as an array (a single Python or NumPy number as a NumPy scalar); refuses what is not numbers."""
    array = numbers("a Tensor holds", data, dtype)
    return array if isinstance(data, np.ndarray) else array[()]


def constant_value(value: Any) -> Any:
    """Checks an operand that is not a tensor; Python numbers stay as they are, because they leave float32 alone."""
    if value.__class__ is float or value.__class__ is int or value is None:
        return value
    if value.__class__ is np.ndarray or isinstance(value, np.generic):
        if value.dtype.kind in "fiub":
            return value
    elif isinstance(value, bool | int | float):
        return value
    return numeric(value, None)


def differentiable(who: str, y: Any) -> Any:
    """The output of a function that is recorded; refuses anything but one array (or number) of floats."""
    if isinstance(y, float):
        y = np.float64(y)
    if not isinstance(y, np.ndarray | np.generic):
        raise TypeError(f"{who} must give one array, got {type(y).__name__}")
    if y.dtype.kind != "f":
        raise TypeError(
            f"{who} of a tensor that requires grad gave {y.dtype}, which has no gradient; use .detach() "
            "if none is wanted"
        )
    return y


def widened(value: Any) -> Any:
    """Small integers as int64, so that arithmetic on a uint8 image does not wrap around."""
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "iu" and value.dtype.itemsize < 8:
        return value.astype(np.int64)
    return value


def rebuilt(like: Any, parts: Iterable[Any]) -> Any:
    """A list, tuple or named tuple like that one, of other parts."""
    if isinstance(like, list):  # a model's list of parameters has names besides
        return list(parts)
    return type(like)(*parts) if hasattr(like, "_fields") else type(like)(parts)


def shape_of(x: Any) -> tuple[int, ...]:
    """`np.shape(x)`, without the detour over NumPy's protocol for what knows its shape."""
    shape: tuple[int, ...] = x.shape if hasattr(x, "shape") else np.shape(x)
    return shape


def floating(x: Any) -> Any:
    """`x` as floats; integers become float64. Refuses complex numbers, whose imaginary part would be lost."""
    x = np.asarray(x)
    if x.dtype.kind == "c":
        raise TypeError(f"real numbers are wanted here, got {x.dtype}: {_ADVICE['c']}")
    return x if x.dtype.kind == "f" else x.astype(np.float64)
