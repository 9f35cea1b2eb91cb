"""What a model predicts, and how good its predictions are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..autograd.conversion import shape_of, values_of, widened
from ..autograd.recording import array_of
from ..autograd.tensor import Tensor
from ..autograd.trees import _leaves, _map
from ..data import Arrays, Batches, arrays_in, each, several
from ..functional.targets import as_rows, class_indices
from .module import Module, evaluated

Loss = Callable[[Any, Any], Any]
Metric = Callable[[Any, Any], float]


def accuracy(prediction: Tensor | ArrayLike, target: Tensor | ArrayLike) -> float:
    """The share of predictions that are right.

    `prediction` (m, k): the largest score against labels (m,), (m, 1) or one-hot rows (m, k). If rows of the target
    (m, k) have several 1 or none, each column is a question of its own, `prediction` holds probabilities or 0 and 1,
    and a row is right if all of it is. `prediction` (m, 1) or (m,): predicted labels, if they are integers, or
    probabilities of class 1, against 0 and 1. With more axes, the scores of the classes are on the last one, as in
    `cross_entropy`: (m, t, k) against labels (m, t), (m, t, 1) or one-hot (m, t, k).

    Raises `ValueError` for numbers that are not probabilities (such as logits: apply `sigmoid`), and for impossible
    labels; `TypeError` for a tuple or a dict of several predictions.

    >>> tg.accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), [1, 1])
    0.5
    """
    if several(prediction) or several(target):
        raise TypeError(
            "accuracy: these are several arrays, of which each has an accuracy of its own. Say which: metrics={'a': "
            "lambda p, t: tg.accuracy(p['a'], t['a']), ...}, or p[0] and t[0] of tuples"
        )
    p, t = values_of(prediction, "accuracy: predictions are"), values_of(target, "accuracy: targets are")
    if not p.size:
        raise ValueError("accuracy: there are no samples")
    if p.ndim > 2:
        p, t = as_rows("accuracy", p, t)
    if p.ndim == 2 and p.shape[1] > 1:
        return _accuracy_of_rows(p, t)
    p, t = p.reshape(-1), t.reshape(-1)
    return _share(p, t) if p.dtype.kind in "iub" else _share(*_decided(p, t))


def _accuracy_of_rows(p: NDArray[Any], t: NDArray[Any]) -> float:
    if np.isnan(p).any():
        raise ValueError("accuracy: predictions contain NaN, which is the score of no class")
    if t.ndim == 2 and t.shape[1] > 1 and t.shape != p.shape:
        raise ValueError(
            f"accuracy: one-hot rows of shape {t.shape} for predictions of shape {p.shape}; they need one column for "
            f"each of the {p.shape[1]} classes"
        )
    if t.shape != p.shape:
        return _share(np.argmax(p, axis=1), class_indices("accuracy", t, p.shape[1]))
    if np.all(t >= 0) and np.allclose(np.sum(t, axis=1), 1, rtol=0, atol=1e-5):  # one-hot, or probabilities
        return _share(np.argmax(p, axis=1), np.argmax(t, axis=1))
    guesses, labels = _decided(p, t)
    return float(np.mean(np.all(guesses == labels, axis=1)))


def _decided(p: NDArray[Any], t: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Probabilities and their labels as true and false."""
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError(
            f"accuracy: {p.min():.4g} to {p.max():.4g} are not probabilities; apply sigmoid to logits, or pass labels "
            "as integers"
        )
    if not np.all((t == 0) | (t == 1)):
        raise ValueError(
            f"accuracy: the labels of probabilities must be 0 and 1, got {t.min():.4g} to {t.max():.4g}; one-hot rows "
            "hold a single 1. Leave out rows without a label: keep = labels >= 0"
        )
    return p > 0.5, t > 0.5


def _share(guesses: NDArray[Any], labels: NDArray[Any]) -> float:
    if guesses.shape != labels.shape:
        raise ValueError(
            f"accuracy: {len(guesses)} predictions for {len(labels)} labels; there must be one label for each row"
        )
    return float(np.mean(guesses == labels))


def predict(model: Module | Callable[..., Any], X: Arrays, *, batch_size: int = 1000) -> NDArray[Any]:
    """The model's output for all rows of `X`, in evaluation mode and without recording. A model of several inputs gets
    a tuple of arrays as its arguments, a dict of them as its keyword arguments. Of a model with several outputs (a
    tuple, a list or a dict of them), all of them, in the same structure. It is run on `batch_size` rows at a time, so
    that large data need little memory. Raises `ValueError` if there are no rows, and where the model's output is no
    array with a row for each.

    >>> tg.predict(tg.Sequential(tg.Dense(2, 1), tg.Dropout()), np.ones((5, 2))).shape
    (5, 1)
    >>> tg.predict(lambda a, b: a + b, (np.ones((5, 2)), np.ones((5, 1)))).shape
    (5, 2)
    """
    batches = Batches(each(array_of, X), batch_size=batch_size, shuffle=False)
    pieces = evaluated(lambda: [_outputs(called(model, x), rows_of(x)) for (x,) in batches])
    if not pieces:
        raise ValueError("predict: there are no samples")
    whole: NDArray[Any] = _map(lambda *parts: np.concatenate(parts), *pieces)  # or several of them
    return whole


def called(model: Callable[..., Any], X: Any) -> Any:
    """The model's output for the inputs `X`: a tuple of them are its arguments, a dict its keyword arguments."""
    X = each(as_input, X)
    if isinstance(X, dict):
        return model(**X)
    return model(*X) if isinstance(X, tuple) else model(X)


def rows_of(data: Any) -> int:
    """How many rows the array has, or each of the arrays."""
    return len(arrays_in(data)[0])


def objective(model: Callable[..., Any], loss: Loss, X: Any, y: Any, weight: Any = None) -> Any:
    """What a step of `fit` minimises: the loss of a batch, with a weight for each row if there are weights."""
    return _weighted(loss, called(model, X), y, weight)


def _weighted(loss: Loss, output: Any, y: Any, weight: Any) -> Any:
    """The loss; with weights, the mean over the rows of weight times loss."""
    if weight is None:
        return loss(output, y)
    values = loss(output, y)
    shape = shape_of(values)
    if shape[:1] != weight.shape:
        raise TypeError(
            f"fit: with sample_weight, the loss must give a value for each of the {len(weight)} rows, got "
            f"a result of shape {shape}. Losses do with reduction='none': "
            "loss=lambda p, t: tg.mse_loss(p, t, reduction='none')"
        )
    return np.mean(values * weight.reshape(-1, *[1] * (len(shape) - 1)))


def as_input(x: NDArray[Any]) -> Any:
    """A batch as a model gets it: small integers as a tensor, so that arithmetic on a uint8 image does not wrap around
    and gives the dtype that it has where it is recorded."""
    return x if widened(x) is x else Tensor(x)


def _outputs(output: Any, rows: int) -> Any:
    """What a model gave for a batch, as arrays of as many rows."""

    def of_rows(value: Any) -> NDArray[Any]:
        array = array_of(value)
        if array.shape[:1] != (rows,):
            raise ValueError(
                f"predict: for {rows} rows the model gave an output of shape {array.shape}; an output needs a row for "
                "each of them. For an output of another kind call the model itself: with no_grad(): model.eval()(X)"
            )
        return array

    nested = any(isinstance(leaf, Tensor | np.ndarray) for leaf in _leaves(output))  # not a list of plain numbers
    return _map(of_rows, output) if nested else of_rows(output)


def measured(
    model: Module, X: Any, y: Any, metrics: Mapping[str, Metric], loss: Loss | None = None, weight: Any = None
) -> dict[str, float]:
    """The metrics, and the loss if it is given, in evaluation mode; the loss with weights of the rows, if there are."""
    totals, outputs = [], []
    weights = [] if weight is None else [weight]

    def measure() -> None:
        for a, b, *w in Batches(X, y, *weights, batch_size=1000, shuffle=False):
            output = called(model, a)
            if loss is not None:  # of the output itself, which knows the logits it was made of
                totals.append(float(_weighted(loss, output, b, w[0] if w else None)) * rows_of(a))
            if metrics:
                outputs.append(_outputs(output, rows_of(a)))

    evaluated(measure)
    prediction: Any = _map(lambda *parts: np.concatenate(parts), *outputs) if metrics else None
    values = {name: metric(prediction, y) for name, metric in metrics.items()}
    return values if loss is None else {"loss": sum(totals) / rows_of(X)} | values
