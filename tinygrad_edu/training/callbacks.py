"""What `fit` writes down and what it calls: the history, callbacks, early stopping."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..nn.module import Module
from ..optim.base import Optimizer

if TYPE_CHECKING:
    from ..figure import Figure


class History(dict[str, list[float]]):
    """What `fit` measured after each epoch: `history["loss"]`, "val_loss", and each metric, as lists of floats.

    `stopped` says why training ended, `seconds` how long it took, `why_recorded` why steps were recorded, if they were
    not compiled. `plot()` draws it.

    >>> history = tg.History(loss=[0.5, 0.25])
    >>> history.epochs
    2
    """

    stopped: str = ""
    seconds: float = 0.0
    why_recorded: str = ""

    @property
    def epochs(self) -> int:
        """How many epochs were trained."""
        return len(self.get("loss", ()))

    def plot(self) -> Figure:
        """A matplotlib figure of all curves over the epochs, validation beside training."""
        from ..plots import curves

        return curves(self)

    def _line(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self.items() if values)
        why = "" if self.stopped in ("", "all epochs done") else f"; {self.stopped}"
        return f"{self.epochs} epoch{'s' * (self.epochs != 1)} in {self.seconds:.3g} s: {last}{why}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """In a notebook, a line, and a small plot if there is matplotlib."""
        import base64
        import html

        shown = f"<p>{html.escape(self._line())}</p>"
        with contextlib.suppress(ImportError, ValueError):  # ValueError: nothing to draw yet
            figure = self.plot()
            figure.set_size_inches(*(0.7 * figure.get_size_inches()))
            png = base64.b64encode(figure._repr_png_()).decode()
            shown = f'<img alt="curves over the epochs" src="data:image/png;base64,{png}">{shown}'
        return {"text/plain": self._line(), "text/html": shown}


@dataclass
class Training:
    """What callbacks are given: the state of the training after a step or an epoch.

    `model`, `optimizer`, `loss` and `history` are those of `fit`. `epoch` is how many epochs are done, `step` how many
    steps of this one. `batch` is the pair (X, y) that was learned from last, `batch_loss` its loss before that step,
    and `weight` the weights of its rows, if there are some. `data` is the pair of all X and y, if they are arrays.
    """

    model: Module
    optimizer: Optimizer
    history: History
    epoch: int  # how many epochs are done
    batch: tuple[Any, Any]  # the last batch that was learned from
    loss: Callable[[Any, Any], Any]
    weight: NDArray[Any] | None = None  # those of the rows of the last batch, with `sample_weight`
    step: int = 0  # how many steps of the epoch are done
    batch_loss: float = math.nan  # of the last batch, before its step
    data: tuple[Any, Any] | None = None  # all samples and targets that it learns from, if they are arrays


class Callback:
    """Methods that `fit` calls; define those that you need. A plain function is called as `after_epoch`.

    Raise `StopIteration` in `after_batch` or `after_epoch` to end the training. What `state_dict` returns is stored in
    checkpoints.

    >>> class Shout(tg.Callback):
    ...     def after_epoch(self, training):
    ...         print(training.epoch, training.history["loss"])
    ...
    >>> net, x = tg.Dense(1, 1, init="zeros"), np.ones((1, 1))
    >>> optimizer = tg.SGD(net.parameters(), lr=0.25)
    >>> history = tg.fit(net, x, x, loss=tg.mse_loss, optimizer=optimizer, epochs=2, callbacks=[Shout()])
    1 [1.0]
    2 [1.0, 0.0]
    """

    def before_training(self) -> None:
        """Called at the beginning, before a checkpoint is read: forget earlier trainings."""

    def after_batch(self, training: Training) -> None:
        """Called after each step: `training.batch` is what it learned from, `training.batch_loss` the loss before it,
        `training.step` its number in the epoch. The modes of the modules, `train()` or `eval()`, are put back."""

    def after_epoch(self, training: Training) -> None:
        """Called after each epoch, when its numbers are in the history."""

    def after_training(self, training: Training) -> None:
        """Called at the end, however the training ended."""

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """What a checkpoint must hold so that the callback can continue."""
        return {}

    def load_state_dict(self, state: dict[str, NDArray[Any]]) -> None:
        """Continues from what `state_dict` returned."""


UP, DOWN = "accuracy", ("loss", "cost", "error", "mse", "rmse", "mae")


class EarlyStopping(Callback):
    """Ends the training when `monitor` has not improved by more than `min_delta` for `patience` epochs, and restores
    the parameters of the best epoch (also if the training ends for another reason).

    A value whose name ends in "accuracy" should go up, one that ends in "loss", "cost", "error", "mse", "rmse" or "mae"
    down; of any other `mode` says so: "max" or "min". NaN is no improvement. Note that "loss" is measured during an
    epoch, "val_loss" and the metrics after it. Raises `ValueError` for impossible settings, for a name whose direction
    is unknown, and in the first epoch for one that is not in the history.

    >>> net, x = tg.Dense(1, 1, init="zeros"), np.ones((1, 1))
    >>> optimizer = tg.SGD(net.parameters(), lr=0.25)
    >>> stopping = tg.EarlyStopping(patience=2, monitor="loss", min_delta=0.1)
    >>> history = tg.fit(net, x, x, loss=tg.mse_loss, optimizer=optimizer, epochs=9, callbacks=[stopping])
    >>> history.stopped
    'loss did not improve after epoch 2'
    """

    def __init__(
        self, patience: int = 5, monitor: str = "val_loss", min_delta: float = 0.0, mode: str | None = None
    ) -> None:
        if patience < 1 or not min_delta >= 0:
            raise ValueError(
                f"EarlyStopping: patience must be at least 1 and min_delta not negative, got {patience=}, {min_delta=}"
            )
        self.patience = patience
        self.monitor = monitor
        self.min_delta = min_delta
        if mode not in (None, "min", "max"):
            raise ValueError(f"EarlyStopping: mode must be 'min', 'max' or None, not {mode!r}")
        *words, last = monitor.lower().split("_")
        if mode is None and (last not in (UP, *DOWN) or not {"neg", "negative"}.isdisjoint(words)):
            raise ValueError(f"EarlyStopping: should {monitor!r} go up or down? Say mode='max' or mode='min'")
        self.sign = -1 if mode == "max" or (mode is None and last == UP) else 1
        self.before_training()

    def before_training(self) -> None:
        self.best = math.inf
        self.best_epoch = 0
        self._parameters: dict[str, NDArray[Any]] = {}

    def after_epoch(self, training: Training) -> None:
        if self.monitor not in training.history:
            raise ValueError(
                f"EarlyStopping: {self.monitor!r} is not in the history, which has "
                f"{', '.join(training.history)}. For names that begin with val_, pass validation=(X, y) to fit"
            )
        value = training.history[self.monitor][-1] * self.sign
        if not self._parameters or value < self.best - self.min_delta:
            self.best = math.inf if math.isnan(value) else value
            self.best_epoch, self._parameters = training.epoch, training.model.state_dict()
        elif training.epoch - self.best_epoch >= self.patience:
            raise StopIteration(f"{self.monitor} did not improve after epoch {self.best_epoch}")

    def after_training(self, training: Training) -> None:
        if self._parameters:
            training.model.load_state_dict(self._parameters)

    def state_dict(self) -> dict[str, NDArray[Any]]:
        return {"best": np.array([self.best, self.best_epoch])} | {
            f"parameters.{name}": values for name, values in self._parameters.items()
        }

    def load_state_dict(self, state: dict[str, NDArray[Any]]) -> None:
        self.best, self.best_epoch = float(state["best"][0]), int(state["best"][1])
        prefix = "parameters."
        self._parameters = {n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)}


class FunctionCallback(Callback):
    def __init__(self, function: Callable[[Training], object]) -> None:
        self.function = function

    def after_epoch(self, training: Training) -> None:
        self.function(training)
