"""What a page shows of an array: statistics, a histogram, an image, and of a small one every value.

However large the array is, its summary stays a few kilobytes of JSON.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 32  # of a histogram
SIDE = 32  # pixels of an image, at most
SMALL_SIDE = 16  # of an image that is only glanced at
FEW = 16  # elements of an array that is glanced at and has its values written
IN_FULL = 100  # elements of the largest array that is also shown in full
NOT_FINITE = 255  # the pixel of a block that holds NaN or infinities


def number(value: Any) -> float | str:
    """`value` to five digits, as JSON can hold it: NaN and infinities as text."""
    value = float(value)
    if np.isfinite(value):
        rounded = float(f"{value:.5g}")
        return rounded if np.isfinite(rounded) else value  # the largest floats would be rounded up to infinity
    return "NaN" if np.isnan(value) else "∞" if value > 0 else "−∞"


def norm(array: NDArray[Any]) -> float:
    """The Euclidean norm, whatever the precision of the array: the squares of large numbers do not overflow."""
    values = np.abs(array).astype(np.float64)
    limit = float(values.max(initial=0))
    scaled = values / limit if 0 < limit < np.inf else values
    with np.errstate(over="ignore"):
        return float(np.linalg.norm(scaled) * (limit if 0 < limit < np.inf else 1))


def histogram(finite: NDArray[Any], bins: int) -> NDArray[np.intp]:
    """How many finite numbers there are in equal parts from the smallest to the largest, however close these are:
    NumPy's own refuses bins that are narrower than the distance of two floats."""
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        return np.bincount([bins // 2], [finite.size], bins).astype(np.intp)
    above = finite - low if high - low < np.inf else finite / 2 - low / 2
    places = (above / above.max() * bins).astype(np.intp)
    return np.bincount(np.minimum(places, bins - 1), minlength=bins)


def summary(array: NDArray[Any]) -> dict[str, Any]:
    """Statistics of the finite elements (of their magnitudes, if complex), how many are not finite, and pictures.

    "histogram" counts the finite elements between "min" and "max" in equal bins. "pixels" are the bytes of an image
    of means over blocks, in base64: 127 is 0, 0 and 254 are ∓"limit", 255 is a block with something not finite. Axes
    before the last are rows.
    """
    values = np.abs(array) if array.dtype.kind == "c" else array
    values = values.astype(np.float64, copy=False)
    finite = values[np.isfinite(values)]
    shown: dict[str, Any] = {
        "size": values.size,
        "nan": int(np.isnan(values).sum()),
        "infinite": int(np.isinf(values).sum()),
    }
    if array.size <= IN_FULL:
        shown["values"] = [number(value) for value in values.flat]
    if not finite.size:
        return shown
    limit = float(np.abs(finite).max())
    unit = finite / limit if limit else finite  # within ±1, where nothing overflows
    with np.errstate(over="ignore"):
        shown |= {
            "min": number(finite.min()),
            "max": number(finite.max()),
            "mean": number(unit.mean() * (limit or 1)),
            "std": number(unit.std() * (limit or 1)),
            "norm": number(np.linalg.norm(unit) * (limit or 1)),
            "zeros": number(np.mean(finite == 0)),
        }
    if values.size > 1:
        shown["histogram"] = histogram(unit, BINS).tolist()
        shown |= _image(values, limit)
    return shown


def sketch(array: NDArray[Any]) -> dict[str, Any]:
    """Of an array that is only glanced at: its size, its norm, its values if they are few, and a small image."""
    values = array.astype(np.float64, copy=False)
    finite = values[np.isfinite(values)]
    shown: dict[str, Any] = {"size": values.size}
    if values.size <= FEW:
        shown["values"] = [number(value) for value in values.flat]
    if values.size > 1 and finite.size:
        shown |= {"norm": number(norm(finite))} | _image(values, float(np.abs(finite).max()), SMALL_SIDE)
    return shown


def _image(values: NDArray[np.float64], limit: float, side: int = SIDE) -> dict[str, Any]:
    image = pixels(values.reshape(-1, values.shape[-1]), limit, side)
    return {
        "limit": number(limit),
        "rows": image.shape[0],
        "columns": image.shape[1],
        "pixels": encoded(image),
    }


def pixels(matrix: NDArray[np.float64], limit: float, side: int = SIDE) -> NDArray[np.uint8]:
    """An image of at most `side` × `side` pixels: 127 is 0, 0 and 254 are ∓`limit`, 255 is not finite."""
    with np.errstate(invalid="ignore"):  # ∞ − ∞ in a block is NaN, and shown as such
        means = _block_means(_block_means(matrix / (limit or 1), 0, side), 1, side)
    finite = np.isfinite(means)
    levels = 127 + np.round(127 * np.clip(np.where(finite, means, 0), -1, 1))
    return np.where(finite, levels, NOT_FINITE).astype(np.uint8)


def encoded(image: NDArray[np.uint8]) -> str:
    return base64.b64encode(image.tobytes()).decode()


def _block_means(matrix: NDArray[np.float64], axis: int, side: int) -> NDArray[np.float64]:
    """The matrix with at most `side` rows (or columns): means over neighbouring ones."""
    length = matrix.shape[axis]
    starts = np.arange(min(length, side)) * length // min(length, side)
    counts = np.diff(np.append(starts, length))
    means: NDArray[np.float64] = np.add.reduceat(matrix, starts, axis) / (counts[:, None] if axis == 0 else counts)
    return means
