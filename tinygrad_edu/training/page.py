"""A page that shows a training: the curves, the gradients, the dead units, and the weights, after each epoch."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..autograd.engine import pullback
from ..autograd.recording import recording, watching
from ..nn.evaluation import objective
from ..nn.module import evaluated
from ..optim.base import Optimizer
from ..pages.arrays import encoded, number, pixels
from ..plots import Order
from ..storage.atomic import replacing
from .callbacks import Callback, History, Training
from .plane import Plane, plane_of

FRAMES = 60  # epochs whose weights are in the page; in a longer training every second, fourth, …
UNITS = 36  # units of the first layer that are shown as images
WEIGHTS = 12  # of the first layers, that are shown as images


class Image(NamedTuple):
    pixels: NDArray[np.uint8]  # as `summary.pixels` makes them
    limit: float  # the magnitude that the strongest colour stands for
    units: int  # how many images are side by side in it; 0 for a matrix as it is


class Frame(NamedTuple):
    """The weights after an epoch, as images by name, and the classes that are predicted in the plane of the samples."""

    epoch: int
    images: dict[str, Image]
    regions: NDArray[np.uint8] | None


class TrainingPage(Callback):
    """Writes the file `path` (`.html`) after each epoch: one page that opens in any browser and needs nothing else.

    It shows the model, the optimiser and its learning rate, the curves of the history, the norm of each parameter's
    gradient, the share of dead units of each relu (units that are 0 for every row), and over the epochs the weights as
    images; those of the first layer unit by unit, if its inputs are square images (`order="F"`: unrolled column by
    column, as in ex4). Where `fit` is given arrays of points in a plane (m, 2) with the numbers of their classes, it
    also shows which class is predicted where. Gradients and dead units are those of the last batch of the epoch, with
    the parameters after it and without dropout. This costs one more forward and backward pass for each epoch, and a
    small batch shows more dead units than there are.

    The file is replaced once the new one is complete. While the training goes on, a browser that shows it reads it
    again by itself every few seconds. A training that continues from a checkpoint continues its page.

    Raises `ValueError` for another ending, and `FileNotFoundError`, when the training begins, if the folder does not
    exist.

    >>> seen = tg.TrainingPage("training.html")  # tg.fit(…, callbacks=[seen])
    """

    def __init__(self, path: str | os.PathLike[str], *, order: Order = "C") -> None:
        self.path = Path(path)
        if self.path.suffix.lower() != ".html":
            raise ValueError(f"TrainingPage: {self.path.name!r} must end in .html")
        if order not in ("C", "F"):
            raise ValueError(f"TrainingPage: order is 'C' (images unrolled row by row) or 'F', not {order!r}")
        self.order = order
        self.before_training()

    def before_training(self) -> None:
        if not self.path.parent.is_dir():
            raise FileNotFoundError(
                f"TrainingPage: there is no folder {os.fspath(self.path.parent)!r} for {self.path.name!r}"
            )
        self.gradients: dict[str, list[float]] = {}
        self.dead: dict[str, list[float]] = {}
        self.frames: list[Frame] = []
        self.stride = 1

    def after_epoch(self, training: Training) -> None:
        self._note_gradients(training)
        plane = None if training.data is None else plane_of(*training.data)
        regions = None if plane is None else plane.regions(training.model)
        self._keep(Frame(training.epoch, dict(self._images(training)), regions))
        self._write(training, goes_on=True)

    def after_training(self, training: Training) -> None:
        if self.frames:
            self._write(training, goes_on=False)

    def _write(self, training: Training, *, goes_on: bool) -> None:
        with replacing(self.path) as file:
            file.write(self._page(training, goes_on))

    def _note_gradients(self, training: Training) -> None:
        """The gradients of the last batch and its dead units, without touching what the parameters hold."""
        dead: list[float] = []

        def watch(record: Any, output: Any, values: Any) -> None:
            if record.primitive.name == "relu":
                dead.append(float(np.mean(np.all(output == 0, axis=0))))

        def run() -> Any:
            with watching(watch), recording():
                return objective(training.model, training.loss, *training.batch, training.weight)

        J = evaluated(run)
        found = pullback(J.record, np.ones(J.shape, J.dtype)[()]) if J.record is not None else {}
        with np.errstate(over="ignore"):
            for name, parameter in training.model.named_parameters():
                norm = np.linalg.norm(found[parameter]) if parameter in found else np.nan
                self.gradients.setdefault(name, []).append(float(norm))
        for k, share in enumerate(dead, 1):
            self.dead.setdefault(f"relu {k}", []).append(share)

    def _images(self, training: Training) -> Iterator[tuple[str, Image]]:
        weights = [(name, p.data) for name, p in training.model.named_parameters() if p.ndim > 1 and p.size]
        for k, (name, weight) in enumerate(weights[:WEIGHTS]):
            matrix = weight.reshape(-1, weight.shape[-1]).astype(np.float64)
            limit = float(np.abs(matrix[np.isfinite(matrix)]).max(initial=0))
            side = round(len(matrix) ** 0.5)
            if k == 0 and weight.ndim == 2 and side > 1 and side * side == len(matrix):
                units = [pixels(unit.reshape(side, side, order=self.order), limit) for unit in matrix.T[:UNITS]]
                yield name, Image(_side_by_side(units), limit, len(units))
            else:
                yield name, Image(pixels(matrix, limit), limit, 0)

    def _keep(self, frame: Frame) -> None:
        """Keeps the newest frame and, of the others, the first and every `stride`-th, FRAMES in all."""
        self.frames = [f for k, f in enumerate(self.frames) if k == 0 or f.epoch % self.stride == 0] + [frame]
        while len(self.frames) > FRAMES:
            self.stride *= 2
            self.frames = [f for k, f in enumerate(self.frames) if k == 0 or f is frame or f.epoch % self.stride == 0]

    def _page(self, training: Training, goes_on: bool) -> bytes:
        from ..pages.document import document  # not before it is needed

        plane = None if training.data is None else plane_of(*training.data)
        data = {
            "epoch": training.epoch,
            "goes_on": goes_on,
            "stopped": training.history.stopped,
            "model": repr(training.model),
            "optimizer": _settings(training.optimizer),
            "plane": None if plane is None else _points(plane),
            "parameters": training.model.num_parameters,
            "seconds": number(training.history.seconds),
            "charts": self._charts(training.history),
            "frames": [
                {
                    "epoch": f.epoch,
                    "images": [_shown(*item) for item in f.images.items()],
                    "regions": None if f.regions is None else encoded(f.regions),
                }
                for f in self.frames
            ],
            "shapes": {name: p.shape for name, p in training.model.named_parameters()},
        }
        return document(
            "training.html",
            f"Training, epoch {training.epoch}",
            data,
            styles=["page.css", "training.css"],
            scripts=["page.js", "marks.js", "chart.js", "plane.js", "training.js"],
        )

    def _charts(self, history: History) -> list[dict[str, Any]]:
        costs = {name: values for name, values in history.items() if name.endswith(("loss", "cost"))}
        panels = [
            ("Loss", costs, True),
            ("Metrics", {name: values for name, values in history.items() if name not in costs}, False),
            ("Norm of each parameter's gradient", self.gradients, True),
            ("Share of dead units", self.dead, False),
        ]
        return [
            {"title": title, "logarithmic": logarithmic, "lines": _lines(curves)}
            for title, curves, logarithmic in panels
            if curves
        ]

    def state_dict(self) -> dict[str, NDArray[Any]]:
        state = {"stride": np.array(self.stride)}
        state |= {f"gradients.{name}": np.array(values) for name, values in self.gradients.items()}
        state |= {f"dead.{name}": np.array(values) for name, values in self.dead.items()}
        for frame in self.frames:
            for name, image in frame.images.items():
                state[f"image.{frame.epoch}.{name}"] = image.pixels
                state[f"scale.{frame.epoch}.{name}"] = np.array([image.limit, image.units])
            if frame.regions is not None:
                state[f"regions.{frame.epoch}"] = frame.regions
        return state

    def load_state_dict(self, state: dict[str, NDArray[Any]]) -> None:
        self.stride = int(state["stride"])
        frames: dict[int, Frame] = {}
        for key, array in state.items():
            part, _, name = key.partition(".")
            if part == "gradients":
                self.gradients[name] = array.tolist()
            elif part == "dead":
                self.dead[name] = array.tolist()
            elif part in ("image", "regions"):
                epoch, _, weight = name.partition(".")
                frame = frames.setdefault(int(epoch), Frame(int(epoch), {}, state.get(f"regions.{epoch}")))
                if weight:
                    limit, units = state[f"scale.{name}"]
                    frame.images[weight] = Image(array, float(limit), int(units))
        self.frames = [frames[epoch] for epoch in sorted(frames)]


def _settings(optimizer: Optimizer) -> str:
    """The optimiser as it would be written, without settings that are 0."""
    given = {name: value for name, value in optimizer.param_groups[0].items() if name != "params" and value}
    shown = (f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value}" for name, value in given.items())
    return f"{type(optimizer).__name__}({', '.join(shown)})"


def _points(plane: Plane) -> dict[str, Any]:
    return {
        "points": [[number(x), number(y)] for x, y in plane.points],
        "labels": plane.labels.tolist(),
        "low": [*map(number, plane.low)],
        "high": [*map(number, plane.high)],
    }


def _shown(name: str, image: Image) -> dict[str, Any]:
    return {
        "name": name,
        "rows": image.pixels.shape[0],
        "columns": image.pixels.shape[1],
        "limit": number(image.limit),
        "units": image.units,
        "pixels": encoded(image.pixels),
    }


def _lines(curves: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
    return [{"name": name, "values": [number(value) for value in values]} for name, values in curves.items()]


def _side_by_side(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Images of one size in a square of rows and columns, with a line of zeros between them."""
    columns = math.ceil(math.sqrt(len(images)))
    height, width = (n + 1 for n in images[0].shape)
    grid = np.full((-(-len(images) // columns) * height - 1, columns * width - 1), 127, np.uint8)
    for k, image in enumerate(images):
        top, left = k // columns * height, k % columns * width
        grid[top : top + height - 1, left : left + width - 1] = image
    return grid
