"""Drawings that were kept on the page on which one draws, read back from the file that it saved."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

KIND = "drawings of tinygrad_edu, 1"  # what the page writes at the beginning of its file
MOST = 100_000_000  # bytes of a file that is read


def load_drawings(
    path: str | os.PathLike[str], side: int, classes: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The drawings in the file `path` that a page of `drawing_page` saved: images `X` (m, side, side) in the form that
    the page's network gets, and their labels `y` (m,), from 0 to `classes` − 1.

    Raises `FileNotFoundError` if there is no such file, `ValueError` if it is of another kind, damaged, or made for a
    network with images of another size or other classes.

    >>> X, y = tg.load_drawings("drawings.json", side=20, classes=10)  # doctest: +SKIP
    """
    name = os.fspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{name}: there is no such file")
    if os.path.getsize(path) > MOST:
        raise ValueError(f"{name}: not a file of drawings: it is larger than {MOST // 1_000_000} MB")
    try:
        with open(path, encoding="utf-8") as file:
            content: Any = json.load(file)
    except (ValueError, RecursionError):
        raise ValueError(f"{name}: not a file of drawings, as the page saves them, or damaged") from None
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise ValueError(f"{name}: not a file of drawings: it does not begin with {KIND!r}")
    if content.get("side") != side or content.get("classes") != classes:
        raise ValueError(
            f"{name}: these drawings were made for another network, with images of {content.get('side')!r:.20} pixels "
            f"on a side and {content.get('classes')!r:.20} classes; expected {side} and {classes}"
        )
    try:
        X = np.array(content["images"], dtype=np.float64)
        y = np.array(content["labels"])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise ValueError(f"{name}: damaged: its images or labels are missing, or are not all numbers") from None
    if y.ndim != 1 or y.dtype.kind != "i" or y.min() < 0 or y.max() >= classes:
        raise ValueError(f"{name}: damaged: labels must be whole numbers from 0 to {classes - 1}")
    if X.shape != (len(y), side * side) or not np.all(np.abs(X) <= 2):
        raise ValueError(
            f"{name}: damaged: expected for each of {len(y)} labels an image of {side * side} numbers around 0 to 1"
        )
    return X.reshape(-1, side, side), y.astype(np.int64)
