"""The data that `fit` learns from, batch by batch: arrays or an iterable of batches, weights, and augmentation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..autograd.recording import array_of
from ..data import Batches, arrays_in, each, several
from ..nn.evaluation import rows_of
from ..nn.module import Module

Augment = Callable[[Any, Any, np.random.Generator], tuple[Any, Any]]
_END = object()


class Samples(NamedTuple):
    """Inputs and targets, each an array or several of them, and perhaps weights: a row for each sample."""

    X: Any
    y: Any
    weight: NDArray[Any] | None = None

    @property
    def rows(self) -> int:
        return rows_of(self.X)

    @property
    def given(self) -> tuple[Any, ...]:
        """Without the weights, if there are none."""
        return tuple(self) if self.weight is not None else self[:2]

    def part(self, rows: slice) -> Samples:
        weight = None if self.weight is None else self.weight[rows]
        return Samples(each(lambda a: a[rows], self.X), each(lambda a: a[rows], self.y), weight)


def is_iterable_of_batches(X: Any, y: Any) -> bool:
    """Whether `X` stands for the targets too: they are not given, and it is no array nor several."""
    array = hasattr(X, "shape") or several(X) or isinstance(X, str | bytes)
    return y is None and isinstance(X, Iterable) and not array


def precision(model: Module) -> np.dtype[Any]:
    """The dtype in which a model computes, to which floats are brought."""
    return next((p.dtype for p in model.parameters()), np.dtype(np.float64))


def given(what: str, values: Any, dtype: np.dtype[Any]) -> Any:
    """`values` as an array with a row for each sample, or as several of them."""

    def converted(values: Any) -> NDArray[Any]:
        array = array_of(values)
        if not array.shape:
            advice = ""
            if isinstance(values, Iterable) and not isinstance(values, str | bytes):
                advice = ". If it gives batches, pairs (X, y), leave out y: fit(model, batches, loss=...)"
            raise TypeError(f"fit: {what} must be an array with a row for each sample, got {array!r}{advice}")
        return array.astype(dtype, copy=False) if array.dtype.kind == "f" else array

    found = each(converted, values)
    if not arrays_in(found):
        raise TypeError(f"fit: {what} must be an array with a row for each sample, got {values!r}, which holds none")
    return found


def pair(X: Any, y: Any, dtype: np.dtype[Any], names: tuple[str, str] = ("X", "y")) -> Samples:
    """Inputs and targets of as many rows, as arrays."""
    samples = Samples(given(names[0], X, dtype), given(names[1], y, dtype))
    lengths = [len(array) for array in (*arrays_in(samples.X), *arrays_in(samples.y))]
    if len(set(lengths)) > 1:
        advice = ". A tuple is several arrays; np.array() makes one of rows" if several(X) or several(y) else ""
        raise ValueError(
            f"fit: {' and '.join(names)} are arrays of {lengths} rows; all must have the same number{advice}"
        )
    return samples


def samples(
    X: Any, y: Any, weight: Any, validation: Any, validation_split: float | None, dtype: np.dtype[Any]
) -> tuple[Samples, Samples | None]:
    """What is learned from, and what is held out for validation."""
    data = pair(X, y, dtype)
    if weight is not None:
        data = data._replace(weight=_weights(weight, data.rows, dtype))
    if not data.rows:
        raise ValueError("fit: there are no samples")
    if validation_split is None:
        held_out = held_out_of(validation, dtype)
        if held_out is not None and weight is not None:  # the loss gives a value for each row
            held_out = held_out._replace(weight=np.ones(held_out.rows, dtype))
        return data, held_out
    first = math.floor(data.rows * (1 - validation_split) + 1e-9)  # 10 · (1 − 0.8) is a little less than 2
    if not 0 < first < data.rows:
        raise ValueError(
            f"fit: validation_split={validation_split} of {data.rows} rows leaves {first} to learn from and "
            f"{data.rows - first} for validation; both need some"
        )
    return data.part(slice(first)), data.part(slice(first, None))


def held_out_of(validation: Any, dtype: np.dtype[Any]) -> Samples | None:
    if validation is None:
        return None
    held_out = pair(validation[0], validation[1], dtype, ("validation[0]", "validation[1]"))
    if not held_out.rows:
        raise ValueError("fit: there are no samples for validation")
    return held_out


def _weights(values: Any, rows: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    weight = array_of(values, "fit: sample_weight holds")
    if weight.shape != (rows,):
        raise ValueError(
            f"fit: sample_weight must be one weight for each of the {rows} rows, of shape ({rows},); got {weight.shape}"
        )
    with np.errstate(over="ignore"):
        weight = weight.astype(dtype)
    if not np.isfinite(weight).all():
        raise ValueError(f"fit: sample_weight holds NaN, infinity, or numbers too large for {dtype}")
    return weight


class Source:
    """Gives the batches of an epoch: those that `batches` gives, as arrays in the model's precision, and augmented."""

    def __init__(
        self, batches: Any, steps: int, said: str, augment: Augment | None, rng: np.random.Generator, dtype: Any
    ) -> None:
        self.steps = steps  # in an epoch
        self.said = said  # by the progress bar
        self.nothing: tuple[Any, Any] = (np.empty(0), np.empty(0))  # before the first batch
        self.generators = [rng]  # that decide what comes
        if isinstance(batches, Batches) and batches.rng is not None:
            self.generators.append(batches.rng)
        self._batches = batches
        self._augment = augment
        self._rng = rng
        self._dtype = dtype
        self._going: Iterator[Any] | None = None  # through the batches, from epoch to epoch

    def epoch(self) -> Iterator[Samples]:
        for k in range(self.steps):
            batch = self._next(k)
            samples = batch if isinstance(batch, Samples) else self._checked(batch, "each batch of the iterable")
            yield samples if self._augment is None else self._augmented(samples, self._augment)

    def _next(self, done: int) -> Any:
        batch = _END if self._going is None else next(self._going, _END)
        if batch is not _END:
            return batch
        again = iter(self._batches)
        if again is self._going:
            raise RuntimeError(
                f"fit: the {type(again).__name__} ended after {done} of the {self.steps} batches of an epoch, and can "
                "be gone through only once. Train for fewer epochs, or pass what begins anew each time: a list of "
                "batches, tg.Batches, or an object with __iter__()"
            )
        self._going = again
        batch = next(again, _END)
        if batch is _END:
            raise ValueError(f"fit: there are no batches in the {type(self._batches).__name__}")
        return batch

    def _checked(self, batch: Any, who: str) -> Samples:
        if not (isinstance(batch, tuple | list) and len(batch) == 2):
            count = f" of {len(batch)}" if isinstance(batch, tuple | list) else ""
            raise TypeError(
                f"fit: {who} must be a pair of inputs and targets, (X, y), got a {type(batch).__name__}{count}. "
                "Several inputs are a tuple or a dict in the place of X"
            )
        samples = pair(batch[0], batch[1], self._dtype, (f"X of {who}", "y"))
        if not samples.rows:
            raise ValueError(f"fit: {who} needs rows, got one without any")
        return samples

    def _augmented(self, samples: Samples, augment: Augment) -> Samples:
        copies = each(np.copy, samples.X), each(np.copy, samples.y)  # it may write into them
        changed = self._checked(augment(*copies, self._rng), "what augment(X, y, rng) returns")
        if samples.weight is not None and changed.rows != len(samples.weight):
            raise ValueError(
                f"fit: augment made {changed.rows} rows of {len(samples.weight)}, and each has a weight. With "
                "sample_weight it must keep the rows"
            )
        return changed._replace(weight=samples.weight)


def source_of_arrays(
    data: Samples, batch_size: int | None, shuffle: bool, augment: Augment | None, rng: np.random.Generator, dtype: Any
) -> Source:
    """Batches of the rows of arrays."""
    rows = data.rows
    size = rows if batch_size is None else min(batch_size, rows)
    batches = _Rows(*data.given, batch_size=size, shuffle=shuffle and batch_size is not None, rng=rng)
    source = Source(batches, len(batches), f"{size} of {rows} rows", augment, rng, dtype)
    source.nothing = data.part(slice(0))[:2]
    return source


class _Rows(Batches):
    """Batches that need no second look."""

    def __iter__(self) -> Iterator[Samples]:
        return itertools.starmap(Samples, super().__iter__())


def source_of_batches(
    batches: Any, steps: int | None, checkpoint: Any, augment: Augment | None, rng: np.random.Generator, dtype: Any
) -> Source:
    """The batches of an iterable. Without `steps`, an epoch is once through it."""
    count = None if isinstance(batches, Iterator) else _length(batches)
    if steps is None and count is None:
        raise ValueError(
            f"fit: how many batches of the {type(batches).__name__} are an epoch? It can be gone through only once, or "
            "has no len(), and may be endless: say steps_per_epoch="
        )
    if steps is None and not count:
        raise ValueError(f"fit: there are no batches in the {type(batches).__name__}")
    if checkpoint is not None and not (isinstance(batches, Batches | list | tuple) and steps in (None, count)):
        raise ValueError(
            f"fit: a checkpoint cannot hold where in the {type(batches).__name__} an epoch ended, and what comes next. "
            "Pass arrays, tg.Batches or a list of batches, without steps_per_epoch; or keep the parameters only, in a "
            "callback: lambda training: tg.save(training.model, 'model.npz')"
        )
    return Source(batches, steps or count or 0, "learning", augment, rng, dtype)


def _length(batches: Any) -> int | None:
    try:
        return len(batches)
    except TypeError:
        return None
