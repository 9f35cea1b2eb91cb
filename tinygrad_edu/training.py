"""The training loop: `fit`, its history, early stopping and resuming."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compiled import CompiledStep
from .data import Batches
from .nn import Module
from .optim import Optimizer, Schedule
from .progress import progress_bar
from .random import generator
from .recording import no_grad
from .storage import PathLike, load_arrays, save_arrays
from .tensor import Tensor

Loss = Callable[[Any, Any], Tensor]
Metric = Callable[[Any, Any], float]


class History(dict[str, list[float]]):
    """What `fit` measured after each epoch: `history["loss"]`, "val_loss", and each metric, as lists of floats.

    `stopped` says why training ended, `seconds` how long it took. `plot()` draws it.
    """

    stopped: str = ""
    seconds: float = 0.0

    @property
    def epochs(self) -> int:
        return len(self.get("loss", ()))

    def plot(self) -> Any:
        """A matplotlib figure of all curves over the epochs, those of validation beside those of training."""
        from .plots import curves

        return curves(self)


@dataclass
class Training:
    """What callbacks get: the state of a training after an epoch."""

    model: Module
    optimizer: Optimizer
    history: History
    epoch: int  # how many are done
    batch: tuple[Any, Any]  # the last one learned from


class Callback:
    """Called by `fit`; either method may be left out. A plain function serves as `after_epoch`.

    Raising `StopIteration` in `after_epoch` ends the training. What `state_dict` gives is stored in checkpoints.
    """

    def after_epoch(self, training: Training) -> None:
        """After each epoch, when its figures are in the history."""

    def after_training(self, training: Training) -> None:
        """At the end, however it came."""

    def state_dict(self) -> dict[str, NDArray[Any]]:
        return {}

    def load_state_dict(self, state: dict[str, NDArray[Any]]) -> None:
        """Goes on from what `state_dict` gave."""


class EarlyStopping(Callback):
    """Ends the training when `monitor` has not improved by more than `min_delta` for `patience` epochs, and puts the
    best epoch's parameters back (also if the training ends for another reason).

    What ends in "loss" is to go down, everything else, such as "val_accuracy", up.
    """

    def __init__(self, patience: int = 5, monitor: str = "val_loss", min_delta: float = 0.0) -> None:
        if patience < 1 or not min_delta >= 0:
            raise ValueError(
                f"EarlyStopping: patience must be at least 1 and min_delta not negative, got {patience=}, {min_delta=}"
            )
        self.patience = patience
        self.monitor = monitor
        self.min_delta = min_delta
        self.best = math.inf
        self.best_epoch = 0
        self._parameters: dict[str, NDArray[Any]] = {}

    def after_epoch(self, training: Training) -> None:
        if self.monitor not in training.history:
            raise ValueError(
                f"EarlyStopping: nothing is called {self.monitor!r}; there are "
                f"{', '.join(training.history)}. Give fit validation=(X, y) for those of validation"
            )
        value = training.history[self.monitor][-1] * (1 if self.monitor.endswith("loss") else -1)
        if not self._parameters or value < self.best - self.min_delta:
            self.best, self.best_epoch, self._parameters = value, training.epoch, training.model.state_dict()
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


def accuracy(prediction: Any, target: Any) -> float:
    """The share of right answers.

    `prediction` (m, k): the largest score against labels (m,), (m, 1) or one-hot rows (m, k). `prediction` (m, 1) or
    (m,): probabilities of class 1, against 0 and 1.
    """
    p, t = np.asarray(prediction), np.asarray(target)
    if p.ndim == 2 and p.shape[1] > 1:
        labels = np.argmax(t, axis=1) if t.shape == p.shape else t.reshape(-1)
        return _share(np.argmax(p, axis=1), labels)
    return _share(p.reshape(-1) > 0.5, t.reshape(-1) > 0.5)


def _share(guesses: Any, labels: Any) -> float:
    if guesses.shape != labels.shape:
        raise ValueError(f"accuracy: {len(guesses)} predictions for {len(labels)} labels")
    return float(np.mean(guesses == labels))


def predict(model: Any, X: Any, *, batch_size: int = 1000) -> NDArray[Any]:
    """The model's output for all rows of `X`, in evaluation mode and without recording."""
    modes = [(m, m.training) for m in model.modules()] if isinstance(model, Module) else []
    for module, _ in modes:
        module.training = False
    try:
        with no_grad():
            pieces = [model(x) for (x,) in Batches(X, batch_size=batch_size, shuffle=False)]
    finally:
        for module, mode in modes:
            module.training = mode
    if not pieces:
        raise ValueError("predict: there are no samples")
    return np.concatenate([p.numpy() if isinstance(p, Tensor) else np.asarray(p) for p in pieces])


def fit(
    model: Module,
    X: Any,
    y: Any,
    *,
    loss: Loss,
    optimizer: Optimizer,
    epochs: int,
    batch_size: int | None = 32,
    validation: tuple[Any, Any] | None = None,
    metrics: Sequence[Metric] | Mapping[str, Metric] = (),
    schedule: Schedule | None = None,
    callbacks: Iterable[Callback | Callable[[Training], object]] = (),
    checkpoint: PathLike | None = None,
    compiled: bool = False,
    progress: bool | None = None,
    rng: np.random.Generator | int | None = None,
) -> History:
    """Minimises the mean of `loss(model(X), y)` with `optimizer`; returns the history.

    `X` and `y` are rows of samples and what belongs to them; floats are brought to the precision of the model.
    `batch_size` samples make a step, drawn in a new order in each epoch from `rng` (a Generator, a seed, or None for
    the package's own); None makes one step of all. "loss" in the history is the mean over the epoch while it learned;
    the `metrics`, functions `(prediction, target) -> float` by name, are of the model after the epoch, with dropout
    off, on the training data and, as "val_…" and with the loss, on the `validation` data. `schedule(t)` sets the
    learning rate before each step, t in epochs.

    With `checkpoint`, a file in `.npz`, all that is needed to go on is written there after each epoch (model,
    optimiser, generators, history, callbacks); called again with the same arguments, `fit` goes on from there, to the
    same bits as if it had not been stopped.

    With `compiled`, steps run without recording (see `compile_step`, which also says what a loss and a model may not do
    then): faster, to the same numbers.

    `progress`: True shows a bar, False none, None one where somebody looks (a terminal or a notebook, and tqdm is
    installed). Ctrl-C ends the training after the last complete step, and what was learned stays.

    Raises `FloatingPointError` when the loss is not finite, with the parameters from before it.
    """
    if epochs < 0:
        raise ValueError(f"fit: epochs must not be negative, got {epochs}")
    dtype = next((p.dtype for p in model.parameters()), np.dtype(np.float64))
    X, y = _as_given(X, dtype), _as_given(y, dtype)
    held_out = None if validation is None else (_as_given(validation[0], dtype), _as_given(validation[1], dtype))
    named = dict(metrics) if isinstance(metrics, Mapping) else {m.__name__: m for m in metrics}
    rows = len(X)
    if not rows:
        raise ValueError("fit: there are no samples")
    rng = generator(rng)
    batches = Batches(X, y, batch_size=batch_size or rows, shuffle=batch_size is not None, rng=rng)
    hooks = [c if isinstance(c, Callback) else _Function(c) for c in callbacks]
    history = History()
    generators = _generators(model, rng)
    if checkpoint is not None and Path(checkpoint).exists():
        _resume(checkpoint, model, optimizer, history, hooks, generators)
    step = CompiledStep(lambda a, b: loss(model(a), b), optimizer) if compiled else None
    training = Training(model, optimizer, history, history.epochs, (X[:0], y[:0]))
    modes = [(m, m.training) for m in model.modules()]
    started = time.perf_counter() - history.seconds
    bar = progress_bar(progress, epochs * len(batches), history.epochs * len(batches))
    try:
        for epoch in range(history.epochs, epochs):
            model.train()
            total = 0.0
            with np.errstate(over="ignore", invalid="ignore"):  # what they lead to is an error of its own
                for i, batch in enumerate(batches):
                    if schedule is not None:
                        optimizer.lr = schedule(epoch + i / len(batches))
                    if step is not None:
                        value = _finite(step.evaluate(*batch), epoch, i)
                        step.update()
                    else:
                        optimizer.zero_grad()
                        J = loss(model(batch[0]), batch[1])
                        value = _finite(_scalar(J), epoch, i)
                        J.backward()
                        optimizer.step()
                    total += value * len(batch[0])
                    training.batch = batch
                    if bar is not None:
                        bar.update()
            _note(history, "loss", total / rows)
            for name, metric in named.items():
                _note(history, name, metric(predict(model, X), y))
            if held_out is not None:
                outputs = predict(model, held_out[0])
                with no_grad():
                    _note(history, "val_loss", float(loss(outputs, held_out[1])))
                for name, metric in named.items():
                    _note(history, f"val_{name}", metric(outputs, held_out[1]))
            training.epoch = epoch + 1
            history.seconds = time.perf_counter() - started
            if bar is not None:
                shown = ", ".join(f"{name} {values[-1]:.4g}" for name, values in history.items())
                bar.set_postfix_str(shown, refresh=False)
            for hook in hooks:
                hook.after_epoch(training)
            if checkpoint is not None:
                _store(checkpoint, model, optimizer, history, hooks, generators)
        history.stopped = "all epochs done"
    except StopIteration as reason:
        history.stopped = str(reason) or "a callback ended it"
    except KeyboardInterrupt:
        history.stopped = "interrupted"
    finally:
        if bar is not None:
            bar.close()
        for module, mode in modes:
            module.training = mode
    for hook in hooks:
        hook.after_training(training)
    return history


class _Function(Callback):
    def __init__(self, function: Callable[[Training], object]) -> None:
        self.function = function

    def after_epoch(self, training: Training) -> None:
        self.function(training)


def _as_given(values: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    array = values.numpy() if isinstance(values, Tensor) else np.asarray(values)
    return array.astype(dtype, copy=False) if array.dtype.kind == "f" else array


def _scalar(J: Any) -> float:
    if not isinstance(J, Tensor) or J.size != 1:
        raise TypeError(
            f"fit: loss(prediction, target) must return a recorded scalar, got {type(J).__name__} of shape "
            f"{np.shape(J)}"
        )
    return float(J.item())


def _finite(value: float, epoch: int, step: int) -> float:
    if not math.isfinite(value):
        raise FloatingPointError(
            f"fit: the loss became {value} in epoch {epoch + 1}, step {step + 1}. Is the learning rate too large, "
            "or is there NaN in the data? The parameters are those from before this step"
        )
    return value


def _note(history: History, name: str, value: float) -> None:
    history.setdefault(name, []).append(float(value))


# Checkpoints


def _generators(model: Module, rng: np.random.Generator) -> list[np.random.Generator]:
    """All that the training draws random numbers from, each once."""
    found = [rng, generator()]
    found += [value for m in model.modules() for value in vars(m).values() if isinstance(value, np.random.Generator)]
    return list({id(g): g for g in found}.values())


def _store(
    path: PathLike,
    model: Module,
    optimizer: Optimizer,
    history: History,
    hooks: Sequence[Callback],
    generators: Sequence[np.random.Generator],
) -> None:
    parts: dict[str, Mapping[str, Any]] = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    parts |= {f"callback{i}": hook.state_dict() for i, hook in enumerate(hooks)}
    parts["history"] = {name: np.array(values) for name, values in history.items()} | {
        "seconds": np.array(history.seconds)
    }
    states = json.dumps([g.bit_generator.state for g in generators], default=lambda array: array.tolist())
    parts["random"] = {"states": np.frombuffer(states.encode(), np.uint8)}
    save_arrays({f"{part}/{name}": v for part, entries in parts.items() for name, v in entries.items()}, path)


def _resume(
    path: PathLike,
    model: Module,
    optimizer: Optimizer,
    history: History,
    hooks: Sequence[Callback],
    generators: Sequence[np.random.Generator],
) -> None:
    wanted = {f"model/{name}": p.shape for name, p in model.named_parameters()}

    def check(name: str, shape: tuple[int, ...]) -> None:
        if shape != wanted.get(name, shape):
            raise ValueError(f"{path}: {name} is {shape}, the model wants {wanted[name]}")

    parts: dict[str, dict[str, NDArray[Any]]] = {}
    for name, value in load_arrays(path, check).items():
        part, _, entry = name.partition("/")
        parts.setdefault(part, {})[entry] = value
    before = model.state_dict(), optimizer.state_dict()
    try:
        states = json.loads(parts["random"]["states"].tobytes())
        if len(states) != len(generators):
            raise ValueError(f"it has the states of {len(states)} generators, here are {len(generators)}")
        model.load_state_dict(parts["model"])
        optimizer.load_state_dict(parts["optimizer"])
        for i, hook in enumerate(hooks):
            hook.load_state_dict(parts.get(f"callback{i}", {}))
        for g, state in zip(generators, states, strict=True):
            g.bit_generator.state = state
        seconds = float(parts["history"].pop("seconds"))
        history.update({name: values.tolist() for name, values in parts["history"].items()})
        history.seconds = seconds
    except (ValueError, KeyError, TypeError) as error:
        model.load_state_dict(before[0])
        optimizer.load_state_dict(before[1])
        raise ValueError(f"{path} is no checkpoint of this training: {error}. Delete it to start anew") from None
