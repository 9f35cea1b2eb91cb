"""Preparing data: batches, one-hot labels, standardisation. Samples are rows."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .autograd.conversion import as_array, rebuilt
from .autograd.recording import array_of
from .autograd.tensor import Tensor
from .functional import one_hot as one_hot
from .random import generator

# One array, or several: a tuple or a dict of them
Arrays: TypeAlias = Tensor | ArrayLike | Mapping[str, Any] | tuple[Any, ...]


def several(data: Any) -> bool:
    """Whether it is a dict, or a tuple with arrays in it. A list, and a tuple of numbers or lists, is one array."""
    return isinstance(data, Mapping) or (isinstance(data, tuple) and any(getattr(part, "shape", ()) for part in data))


def each(function: Callable[[Any], Any], data: Any) -> Any:
    """`function` of the array that `data` is, or of each array in it, in the same structure."""
    if isinstance(data, np.ndarray | Tensor) or not several(data):
        return function(data)
    if isinstance(data, Mapping):
        return {name: each(function, part) for name, part in data.items()}
    parts = [each(function, part) for part in data]
    return rebuilt(data, parts)


def _array(values: Any) -> Any:
    return values if isinstance(values, Tensor) else as_array(values)


def arrays_in(data: Any) -> list[Any]:
    """The array that `data` is, or all arrays in it."""
    if isinstance(data, np.ndarray | Tensor):
        return [data]
    found: list[Any] = []
    each(found.append, data)
    return found


class Batches:
    """Iterates over arrays of the same length in batches of rows: `for X, y in Batches(X, y, batch_size=32)`.

    Each iteration is an epoch; with `shuffle`, each epoch has a new order, drawn from `rng` (a Generator, a seed, or
    None for the package's own generator). If `batch_size` does not divide the number of rows, the last batch is
    smaller, or left out with `drop_last`. `len()` is the number of batches. Without shuffling, batches are views, not
    copies. Of a pandas table the values are taken: rows are positions, never labels of an index. A tuple or a dict of
    arrays stands for one: of it, a batch is a tuple or a dict of their rows. Raises `ValueError` for arrays of
    different lengths and for a `batch_size` below 1, `TypeError` without an array.

    >>> for X, y in tg.Batches(np.zeros((5, 2)), np.arange(5), batch_size=2, shuffle=False):
    ...     print(X.shape, y)
    ...
    (2, 2) [0 1]
    (2, 2) [2 3]
    (1, 2) [4]
    """

    def __init__(
        self,
        *arrays: Arrays,
        batch_size: int,
        shuffle: bool = True,
        drop_last: bool = False,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        self.arrays: list[Any] = [each(_array, given) for given in arrays]
        found = [arrays_in(a) for a in self.arrays]
        if not found or not all(found):
            raise TypeError(f"Batches needs at least one array{', and one in each tuple or dict' if found else ''}")
        every = [array for arrays_of_one in found for array in arrays_of_one]
        if not all(a.shape for a in every):
            raise TypeError("Batches: arrays must have a row for each sample, got a single number or object")
        lengths = [len(a) for a in every]
        if len(set(lengths)) > 1:
            raise ValueError(f"Batches: arrays of {lengths} rows; all must have the same number of rows")
        if not isinstance(batch_size, int | np.integer):
            raise TypeError(f"Batches: batch_size must be a whole number, not {batch_size!r}")
        if batch_size < 1:
            raise ValueError(f"Batches: batch_size must be at least 1, not {batch_size}")
        if drop_last and batch_size > lengths[0]:
            raise ValueError(f"Batches: batch_size {batch_size} with drop_last leaves no batch of {lengths[0]} rows")
        self.rows = lengths[0]
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.rng = generator(rng) if rng is not None else None

    def __len__(self) -> int:
        full, rest = divmod(self.rows, self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        order = generator(self.rng).permutation(self.rows) if self.shuffle else None
        for i in range(len(self)):
            chosen: Any = slice(i * self.batch_size, (i + 1) * self.batch_size)
            if order is not None:
                chosen = order[chosen]
            yield tuple(each(operator.itemgetter(chosen), a) for a in self.arrays)


class Standardizer:
    """(X − mean) / deviation for each column of X, (m, features), with the mean and deviation of the data it was fitted
    on. The deviation
    of a column that is constant, up to rounding, counts as 1. With an `epsilon`, that is added to all deviations
    instead, and what never varied becomes very large where it does.

    Fit it on the training data, then apply it to all data: training, validation, test, a single new sample.

    >>> X = np.array([[1.0, 10.0], [3.0, 30.0]])
    >>> normal = tg.Standardizer().fit(X)
    >>> normal(X).round(6)
    array([[-1., -1.],
           [ 1.,  1.]])
    """

    def __init__(self, epsilon: float = 0.0) -> None:
        self.epsilon = epsilon
        self.mean: NDArray[Any] | None = None
        self.deviation: NDArray[Any] | None = None

    def fit(self, X: ArrayLike) -> Self:
        """Takes mean and deviation of the columns of X, (m, features), and returns itself. Raises `ValueError` for
        another shape or no rows."""
        X = array_of(X)
        X = X.astype(np.result_type(X, np.float32), copy=False)
        if X.ndim != 2 or not len(X):
            raise ValueError(f"Standardizer: expected rows of samples (m, features), got shape {X.shape}")
        # Sums of many float32 numbers are not exact enough; in units of a power of 2, no square overflows.
        exponent = np.frexp(np.max(np.abs(X), axis=0).astype(np.float64))[1]
        scaled = np.ldexp(X.astype(np.float64), -exponent)
        mean, deviation = scaled.mean(axis=0), scaled.std(axis=0)
        # What rounding leaves of the variance of a constant (Chan, Golub and LeVeque, 1983), as in scikit-learn
        rounding = len(X) * np.finfo(np.float64).eps
        constant = deviation**2 <= rounding * deviation**2 + (rounding * mean) ** 2
        mean, deviation = np.ldexp(mean, exponent), np.ldexp(deviation, exponent)
        if not self.epsilon:
            deviation = np.where(constant, 1, deviation)
        self.mean, self.deviation = mean.astype(X.dtype), deviation.astype(X.dtype)
        return self

    @overload
    def __call__(self, X: Tensor) -> Tensor: ...
    @overload
    def __call__(self, X: ArrayLike) -> NDArray[Any]: ...
    def __call__(self, X: Any) -> Any:
        if self.mean is None or self.deviation is None:
            raise RuntimeError("Standardizer: fit it on the training data first")
        if np.shape(X)[-1:] != self.mean.shape:
            raise ValueError(f"Standardizer: fitted on {len(self.mean)} features, got shape {np.shape(X)}")
        return (X - self.mean) / (self.deviation + self.epsilon)
