"""What a model predicts, and how good its predictions are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..autograd.conversion import array_of, widened
from ..autograd.tensor import Tensor
from ..data import Batches
from .module import Module, evaluated

Loss = Callable[[Any, Any], Any]
Metric = Callable[[NDArray[Any], NDArray[Any]], float]


def accuracy(prediction: Tensor | ArrayLike, target: Tensor | ArrayLike) -> float:
    """The share of predictions that are right.

    `prediction` (m, k): the largest score against labels (m,), (m, 1) or one-hot rows (m, k). `prediction` (m, 1) or
    (m,): predicted labels, if they are integers, or probabilities of class 1, against 0 and 1. Raises `ValueError` for
    numbers that are not probabilities (such as logits: apply `sigmoid`), and for impossible labels.

    >>> tg.accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), [1, 1])
    0.5
    """
    p, t = array_of(prediction, "accuracy: predictions are"), array_of(target, "accuracy: targets are")
    if not p.size:
        raise ValueError("accuracy: there are no samples")
    if p.ndim == 2 and p.shape[1] > 1:
        if t.ndim == 2 and t.shape[1] > 1 and t.shape != p.shape:
            raise ValueError(f"accuracy: one-hot rows of shape {t.shape} for predictions of shape {p.shape}")
        labels = np.argmax(t, axis=1) if t.shape == p.shape else t.reshape(-1)
        if labels.size and not 0 <= labels.min() <= labels.max() < p.shape[1]:
            raise ValueError(f"accuracy: labels from {labels.min()} to {labels.max()} for {p.shape[1]} classes")
        return _share(np.argmax(p, axis=1), labels)
    p, t = p.reshape(-1), t.reshape(-1)
    if p.dtype.kind in "iub":
        return _share(p, t)
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError(
            f"accuracy: {p.min():.4g} to {p.max():.4g} are not probabilities; apply sigmoid to logits, or pass labels "
            "as integers"
        )
    if not np.all((t == 0) | (t == 1)):
        raise ValueError("accuracy: the labels of probabilities must be 0 and 1")
    return _share(p > 0.5, t > 0.5)


def _share(guesses: NDArray[Any], labels: NDArray[Any]) -> float:
    if guesses.shape != labels.shape:
        raise ValueError(f"accuracy: {len(guesses)} predictions for {len(labels)} labels")
    return float(np.mean(guesses == labels))


def predict(model: Module | Callable[[Any], Any], X: Tensor | ArrayLike, *, batch_size: int = 1000) -> NDArray[Any]:
    """The model's output for all rows of `X`, in evaluation mode and without recording.

    >>> tg.predict(tg.Sequential(tg.Dense(2, 1), tg.Dropout()), np.ones((5, 2))).shape
    (5, 1)
    """
    batches = Batches(X, batch_size=batch_size, shuffle=False)
    pieces = evaluated(lambda: [array_of(model(widened(x))) for (x,) in batches])
    if not pieces:
        raise ValueError("predict: there are no samples")
    return np.concatenate(pieces)


def measured(
    model: Module, X: NDArray[Any], y: NDArray[Any], metrics: Mapping[str, Metric], loss: Loss | None = None
) -> dict[str, float]:
    """The metrics, and the loss if it is given, in evaluation mode."""
    totals, outputs = [], []

    def measure() -> None:
        for a, b in Batches(X, y, batch_size=1000, shuffle=False):
            output = model(widened(a))
            if loss is not None:  # of the output itself, which knows the logits it was made of
                totals.append(float(loss(output, b)) * len(a))
            outputs.append(array_of(output))

    evaluated(measure)
    prediction = np.concatenate(outputs)
    values = {name: metric(prediction, y) for name, metric in metrics.items()}
    return values if loss is None else {"loss": sum(totals) / len(X)} | values
