"""The training loop."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..autograd.recording import array_of
from ..autograd.tensor import Tensor
from ..data import Batches
from ..nn.evaluation import Loss, Metric, as_input, measured
from ..nn.module import Module, keeping_modes
from ..optim.base import Optimizer
from ..optim.clipping import check_bound, clip_all
from ..optim.progress import progress_bar
from ..optim.schedules import Schedule
from ..random import generator
from ..storage.files import PathLike
from .callbacks import Callback, FunctionCallback, History, Training
from .checkpoints import generators_of, resume, store
from .compiled import CompiledStep

Samples = tuple[NDArray[Any], NDArray[Any]]  # inputs and targets, a row for each sample


def fit(
    model: Module,
    X: Tensor | ArrayLike,
    y: Tensor | ArrayLike,
    *,
    loss: Loss,
    optimizer: Optimizer,
    epochs: int,
    batch_size: int | None = 32,
    validation: tuple[Tensor | ArrayLike, Tensor | ArrayLike] | None = None,
    metrics: Sequence[Metric] | Mapping[str, Metric] = (),
    schedule: Schedule | None = None,
    clip_grad_norm: float | None = None,
    callbacks: Iterable[Callback | Callable[[Training], object]] = (),
    checkpoint: PathLike | None = None,
    compiled: bool = False,
    progress: bool | None = None,
    rng: np.random.Generator | int | None = None,
) -> History:
    """Trains `model`: minimises `loss(model(X), y)`, a mean over rows, with `optimizer`. Returns the history.

    Each row of `X` is a sample and each row of `y` its target; floats are converted to the precision of the model. A
    step uses `batch_size` samples, shuffled anew in each epoch with `rng` (a Generator, a seed, or None for the
    package's own generator); with `batch_size=None`, it uses all of them.

    "loss" in the history is the mean over the steps of an epoch, while the model was learning. The `metrics`, functions
    `(prediction, target) -> float` in a list or by name, are computed after each epoch, without dropout, on the
    training data and on the `validation` data, there together with the loss and under names that begin with "val_".
    `schedule(t)` sets the learning rate before each step; t counts epochs. Groups of parameters with other rates keep
    their proportions. With `clip_grad_norm`, gradients that together are longer are scaled to that length before each
    step (see `optim.clip_grad_norm_`).

    With `checkpoint`, the name of an `.npz` file, everything that is needed to continue is written to it after each
    epoch (model, optimiser, generators, history, callbacks). Called again with the same arguments, `fit` continues from
    there, with the same results to the last bit as if it had never been stopped.

    With `compiled`, steps run without recording: faster, and with the same numbers, if the model and the loss are made
    of functions of arrays. They must not look at values, and draw random numbers by `tg.random` or `dropout` only (see
    `compile_step`).

    `progress`: True shows a progress bar, False shows none, None shows one in a terminal or a notebook if tqdm is
    installed. Ctrl-C ends the training after the current step (pressed twice, at once) and keeps what was learned.

    Raises `FloatingPointError` if the loss is not finite; the parameters are then as they were before that step.

    >>> net = tg.Dense(2, 1, rng=0)
    >>> X = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> optimizer = tg.SGD(net.parameters(), lr=0.3)
    >>> history = tg.fit(net, X, X[:, :1], loss=tg.mse_loss, optimizer=optimizer, epochs=200, rng=0)
    >>> history["loss"][-1] < 1e-6, history.stopped
    (True, 'all epochs done')
    """
    _check_kinds(model, loss, optimizer, metrics, schedule)
    _check_numbers(epochs, batch_size)
    if clip_grad_norm is not None:
        check_bound("fit: clip_grad_norm", clip_grad_norm)
    _check_places(validation, checkpoint)
    named = _named(metrics, validation is not None)
    data, held_out = _samples(model, X, y, validation)
    _check_parameters(model, optimizer)
    optimizer.note_proportions()
    optimizer.learn_names({p: name for name, p in model.named_parameters()})
    rng = generator(rng)
    rows = len(data[0])
    batches = Batches(*data, batch_size=batch_size or rows, shuffle=batch_size is not None, rng=rng)
    training = Training(model, optimizer, History(), 0, (data[0][:0], data[1][:0]), loss)
    hooks = [c if isinstance(c, Callback) else FunctionCallback(c) for c in callbacks]
    books = _Bookkeeping(training, data, held_out, named, hooks, checkpoint, generators_of(model, rng))
    what = f"learning, {rows if batch_size is None else min(batch_size, rows)} of {rows} rows a step"
    bar = progress_bar(progress, epochs * len(batches), training.epoch * len(batches), what=what)
    step = CompiledStep(lambda a, b: loss(model(a), b), optimizer, clip_grad_norm) if compiled else None
    books.keep(bar, lambda: _learn(training, batches, epochs, schedule, clip_grad_norm, step, books))
    return training.history


def _learn(
    training: Training,
    batches: Batches,
    epochs: int,
    schedule: Schedule | None,
    longest: float | None,
    compiled: CompiledStep | None,
    books: _Bookkeeping,
) -> None:
    """The loop itself: in each epoch all batches, and for each batch one step down the gradient of its loss."""
    model, loss, optimizer = training.model, training.loss, training.optimizer
    for epoch in range(training.epoch, epochs):
        model.train()
        with np.errstate(over="ignore", invalid="ignore"):  # what they lead to is an error of its own
            for i, (x, y) in enumerate(batches):
                x = as_input(x)
                if schedule is not None:
                    optimizer.set_lr_in_proportion(_scheduled(schedule, epoch + i / len(batches)))
                if compiled is None:
                    optimizer.zero_grad()
                    J = loss(model(x), y)
                    value = books.finite(_scalar(J))
                    J.backward()
                    if longest is not None:
                        clip_all("fit", optimizer.parameters(), longest, optimizer._names)
                    optimizer.step()
                else:
                    value = books.finite(compiled.evaluate(x, y))
                    compiled.update()
                books.after_step(value, (x, y))
        books.after_epoch()


def _scheduled(schedule: Schedule, t: float) -> float:
    try:
        return schedule(t)
    except StopIteration:
        raise RuntimeError(f"fit: the schedule has no learning rate for t = {t:g}") from None


def _scalar(J: Any) -> float:
    if not isinstance(J, Tensor) or J.size != 1:
        raise TypeError(
            f"fit: loss(prediction, target) must return a recorded scalar, got {type(J).__name__} of shape "
            f"{np.shape(J)}"
        )
    return float(J.item())


# The bookkeeping


class _Bookkeeping:
    """What `fit` does besides learning: the history, callbacks, checkpoints, the bar, Ctrl-C and the modules' modes."""

    def __init__(
        self,
        training: Training,
        data: Samples,
        held_out: Samples | None,
        metrics: Mapping[str, Metric],
        hooks: Sequence[Callback],
        checkpoint: PathLike | None,
        generators: Sequence[np.random.Generator],
    ) -> None:
        self.training = training
        self.history = training.history
        self.data = data
        self.held_out = held_out
        self.metrics = metrics
        self.hooks = hooks
        self.checkpoint = checkpoint
        self.generators = generators
        self.bar: Any = None  # tqdm's
        self.steps, self.total = 0, 0.0  # of this epoch: how many, and the sum of the losses of its rows
        for hook in hooks:
            hook.before_training()
        if checkpoint is not None and Path(checkpoint).exists():
            noted = {"loss", *metrics} | (set() if held_out is None else {f"val_{name}" for name in ("loss", *metrics)})
            resume(checkpoint, training, hooks, generators, noted)
        training.epoch = self.history.epochs
        self.started = time.perf_counter() - self.history.seconds

    def keep(self, bar: Any, learn: Callable[[], None]) -> None:
        """Runs the loop, says in the history why it ended, and cleans up."""
        self.bar = bar
        self.interrupt = _Interrupt()
        try:
            with keeping_modes(self.training.model):
                learn()
            self.history.stopped = "all epochs done"
        except StopIteration as reason:
            self.history.stopped = str(reason) or "a callback ended it"
        except KeyboardInterrupt:
            self.history.stopped = "interrupted"
        finally:
            self.interrupt.restore()
            if bar is not None:
                bar.close()
            for hook in self.hooks:
                hook.after_training(self.training)

    def finite(self, value: float) -> float:
        if not math.isfinite(value):
            if self.steps or self.training.epoch:  # else they came as they are
                self.check_parameters()
            raise FloatingPointError(
                f"fit: the loss became {value} in epoch {self.training.epoch + 1}, step {self.steps + 1}. Is the "
                "learning rate too large, or is there NaN in the data? Run it inside detect_anomaly() to see the "
                "operation where it began. The parameters are as they were before this step"
            )
        return value

    def check_parameters(self) -> None:
        """Raises if a finite loss had a gradient that was not: √0 has an infinite slope."""
        names = {p: name for name, p in self.training.model.named_parameters()}
        for p in dict.fromkeys((*names, *self.training.optimizer.parameters())):
            if not np.isfinite(p.data).all():
                which = names.get(p, f"a parameter of shape {p.shape}")
                raise FloatingPointError(
                    f"fit: in epoch {self.training.epoch + 1}, {which} became "
                    "NaN or infinite, though the loss was finite: its gradient, or the step, was not. The parameters "
                    "are of no use any more: build or load the model anew, and run it inside detect_anomaly() to see "
                    "the operation where it began"
                )

    def after_step(self, value: float, batch: Samples) -> None:
        self.steps += 1
        self.total += value * len(batch[0])
        self.training.batch = batch
        self.interrupt.check()
        if self.bar is not None:
            self.bar.update()

    def after_epoch(self) -> None:
        self.check_parameters()
        model, history = self.training.model, self.history
        measures = {"loss": self.total / len(self.data[0])}
        if self.metrics:
            measures |= measured(model, *self.data, self.metrics)
        if self.held_out is not None:
            held_out = measured(model, *self.held_out, self.metrics, self.training.loss)
            measures |= {f"val_{name}": value for name, value in held_out.items()}
        for name, value in measures.items():
            history.setdefault(name, []).append(float(value))
        self.training.epoch += 1
        self.steps, self.total = 0, 0.0
        history.seconds = time.perf_counter() - self.started
        if self.bar is not None:
            shown = ", ".join(f"{name} {values[-1]:.4g}" for name, values in history.items())
            self.bar.set_postfix_str(shown, refresh=False)
        for hook in self.hooks:
            hook.after_epoch(self.training)
        if self.checkpoint is not None:
            store(self.checkpoint, self.training, self.hooks, self.generators)
        self.interrupt.check()


class _Interrupt:
    """Ctrl-C, held back until a step is complete; pressed twice, it interrupts at once."""

    def __init__(self) -> None:
        self.pressed = False
        main = threading.current_thread() is threading.main_thread()
        self._own = main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._own:
            signal.signal(signal.SIGINT, self._press)

    def _press(self, number: int, frame: Any) -> None:
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True

    def check(self) -> None:
        if self.pressed:
            raise KeyboardInterrupt

    def restore(self) -> None:
        if self._own:
            signal.signal(signal.SIGINT, signal.default_int_handler)


# Checks of the arguments


def _check_kinds(model: Any, loss: Any, optimizer: Any, metrics: Any, schedule: Any) -> None:
    """Raises `TypeError` for an argument of the wrong kind."""
    if not isinstance(model, Module):
        raise TypeError(f"fit: the model must be a Module, such as Sequential(...), not {model!r}")
    if not callable(loss):
        raise TypeError(f"fit: loss must be a function (prediction, target), such as mse_loss, not {loss!r}")
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"fit: optimizer must be an optimiser, such as SGD(model.parameters(), lr=0.1), not {optimizer!r}"
        )
    listed = metrics.values() if isinstance(metrics, Mapping) else metrics
    if isinstance(listed, str) or not isinstance(listed, Iterable) or not all(map(callable, listed)):
        raise TypeError(
            f"fit: metrics must be functions (prediction, target) in a list, such as [accuracy], not {metrics!r}"
        )
    if schedule is not None and not callable(schedule):
        raise TypeError(
            f"fit: schedule must be a function of the time in epochs, not {schedule!r}; set a fixed rate as the "
            "optimiser's lr"
        )


def _named(metrics: Any, validated: bool) -> dict[str, Metric]:
    """The metrics by their names in the history, each of which there may be once."""
    pairs: list[tuple[Any, Metric]] = (
        list(metrics.items()) if isinstance(metrics, Mapping) else [(_name(m), m) for m in metrics]
    )
    noted = {"loss", "seconds", *(["val_loss"] if validated else [])}
    for name, metric in pairs:
        names = {name, f"val_{name}"} if validated else {name}
        if not isinstance(name, str) or not noted.isdisjoint(names):
            raise ValueError(
                f"fit: the history has no room for a metric called {name!r}"
                + (", or has one already" if isinstance(name, str) else ", names are texts")
                + f". Give each metric a name of its own: metrics={{'a_name': {_name(metric) or 'function'}, ...}}"
            )
        noted |= names
    return dict(pairs)


def _name(metric: Any) -> str | None:
    return getattr(metric, "__name__", None)


def _check_numbers(epochs: Any, batch_size: Any) -> None:
    if not _is_count(epochs, 0):
        raise ValueError(f"fit: epochs must be a whole number of at least 0, got {epochs!r}")
    if batch_size is not None and not _is_count(batch_size, 1):
        raise ValueError(
            f"fit: batch_size must be a whole number of at least 1, or None to use all samples in each step; got "
            f"{batch_size!r}"
        )


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int | np.integer) and bool(value >= least)


def _check_places(validation: Any, checkpoint: Any) -> None:
    if validation is not None and not (isinstance(validation, tuple | list) and len(validation) == 2):
        raise TypeError("fit: validation must be a pair of inputs and targets, (X, y)")
    if checkpoint is not None and (Path(checkpoint).suffix.lower() != ".npz" or not Path(checkpoint).parent.is_dir()):
        raise ValueError(f"fit: checkpoint={str(checkpoint)!r} must be an .npz file in a folder that exists")


def _samples(model: Module, X: Any, y: Any, validation: Any) -> tuple[Samples, Samples | None]:
    """The data as arrays, floats in the precision of the model."""
    dtype = next((p.dtype for p in model.parameters()), np.dtype(np.float64))

    def given(what: str, values: Any) -> NDArray[Any]:
        array = array_of(values)
        if not array.shape:
            raise TypeError(f"fit: {what} must be an array with a row for each sample, got {array!r}")
        return array.astype(dtype, copy=False) if array.dtype.kind == "f" else array

    data, held_out = (given("X", X), given("y", y)), None
    if validation is not None:
        held_out = given("validation[0]", validation[0]), given("validation[1]", validation[1])
    if not len(data[0]) or (held_out is not None and not len(held_out[0])):
        raise ValueError(f"fit: there are no samples{' for validation' if len(data[0]) else ''}")
    return data, held_out


def _check_parameters(model: Module, optimizer: Optimizer) -> None:
    """Raises `ValueError` if the optimiser was made for another model, or before a layer of this one was replaced."""
    held = optimizer.parameters()
    own = {id(p) for p in model.parameters()}
    lacking = [name for name, p in model.named_parameters() if all(p is not q for q in held)]
    foreign = sum(id(p) not in own for p in held)
    if lacking and foreign:
        raise ValueError(
            f"fit: the optimiser lacks {', '.join(lacking)} of the model, and holds {foreign} parameters that are not "
            "the model's. Was a layer replaced after the optimiser was made? Make the optimiser from the finished "
            f"model: {type(optimizer).__name__}(model.parameters(), ...). Freeze parameters that should not be trained "
            "(p.requires_grad = False)"
        )
