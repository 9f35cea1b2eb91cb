"""Points in a plane that belong to classes, and the classes that a model predicts around them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..nn.evaluation import predict
from ..pages.arrays import NOT_FINITE

SIDE = 64  # pixels of the picture
POINTS = 400  # at most, that are shown
CLASSES = 8


class Plane(NamedTuple):
    points: NDArray[Any]
    labels: NDArray[np.intp]
    low: NDArray[np.float64]  # the corners of the picture
    high: NDArray[np.float64]

    def regions(self, model: Any) -> NDArray[np.uint8] | None:
        """The class that the model predicts in each pixel, the upper rows first; None if it gives something else.

        A single output is the probability of class 1, or its logit if some are below 0 or above 1.
        """
        x, y = (np.linspace(self.low[k], self.high[k], SIDE) for k in range(2))
        grid = np.stack(np.meshgrid(x, y[::-1]), axis=-1).reshape(-1, 2).astype(self.points.dtype)
        scores = predict(model, grid)
        if not isinstance(scores, np.ndarray) or scores.ndim != 2 or not 1 <= scores.shape[1] <= CLASSES:
            return None
        middle = 0.5 if np.all((scores >= 0) & (scores <= 1)) else 0.0
        found = scores[:, 0] > middle if scores.shape[1] == 1 else scores.argmax(axis=1)
        regions = np.where(np.isfinite(scores).all(axis=1), found, NOT_FINITE).astype(np.uint8)
        return regions.reshape(SIDE, SIDE)


def plane_of(X: Any, y: Any) -> Plane | None:
    """The samples as points with labels, evenly chosen from many; None if they are no points of a few classes."""
    if not isinstance(X, np.ndarray) or X.ndim != 2 or X.shape[1] != 2 or not len(X) or not np.isfinite(X).all():
        return None
    if not isinstance(y, np.ndarray) or y.ndim not in (1, 2) or y.dtype.kind not in "biuf":
        return None
    if y.ndim == 2 and y.shape[1] > 1:
        if not (np.all((y == 0) | (y == 1)) and np.all(y.sum(axis=1) == 1)):
            return None
        y = y.argmax(axis=1)
    labels = y.reshape(-1)
    if not (np.all(labels >= 0) and np.all(labels < CLASSES) and np.all(labels == np.floor(labels))):
        return None
    chosen = slice(None, None, -(-len(X) // POINTS))
    low, high = X.min(axis=0).astype(np.float64), X.max(axis=0).astype(np.float64)
    margin = 0.08 * np.maximum(high - low, 1e-9)
    return Plane(X[chosen], labels[chosen].astype(np.intp), low - margin, high + margin)
