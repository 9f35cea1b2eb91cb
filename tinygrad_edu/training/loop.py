"""The training loop."""

from __future__ import annotations

import functools
import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..autograd.tensor import Tensor
from ..data import Arrays, each
from ..nn.evaluation import Loss, Metric, as_input, measured
from ..nn.module import Module, keeping_modes
from ..optim.base import Optimizer
from ..optim.clipping import check_bound
from ..optim.progress import progress_bar, say_how
from ..optim.schedules import Schedule
from ..random import generator
from ..storage.files import PathLike
from .arguments import (
    check_goes_with_arrays,
    check_goes_with_batches,
    check_kinds,
    check_numbers,
    check_parameters,
    check_places,
    check_split,
    named,
)
from .callbacks import Callback, FunctionCallback, History, Training
from .checkpoints import generators_of, resume, store
from .samples import (
    Augment,
    Samples,
    Source,
    held_out_of,
    is_iterable_of_batches,
    precision,
    samples,
    source_of_arrays,
    source_of_batches,
)
from .steps import Steps


def fit(
    model: Module,
    X: Arrays | Iterable[Any],
    y: Arrays | None = None,
    *,
    loss: Loss,
    optimizer: Optimizer,
    epochs: int,
    batch_size: int | None = 32,
    shuffle: bool = True,
    steps_per_epoch: int | None = None,
    validation: tuple[Arrays, Arrays] | None = None,
    validation_split: float | None = None,
    sample_weight: Tensor | ArrayLike | None = None,
    augment: Augment | None = None,
    metrics: Sequence[Metric] | Mapping[str, Metric] = (),
    schedule: Schedule | None = None,
    clip_grad_norm: float | None = None,
    callbacks: Iterable[Callback | Callable[[Training], object]] = (),
    checkpoint: PathLike | None = None,
    compiled: bool | None = None,
    progress: bool | None = None,
    rng: np.random.Generator | int | None = None,
) -> History:
    """Trains `model`: minimises `loss(model(X), y)`, a mean over rows, with `optimizer`. Returns the history.

    Each row of `X` is a sample and each row of `y` its target; floats are converted to the precision of the model. A
    step uses `batch_size` samples, shuffled anew in each epoch with `rng` (a Generator, a seed, or None for the
    package's own generator) unless `shuffle=False`; with `batch_size=None`, it uses all of them.

    A model of several inputs gets a tuple of arrays `X` as its arguments, a dict of them as its keyword arguments. A
    tuple or a dict of targets `y` reaches the loss and the metrics as it is, with the rows of the batch. Or `X` is an
    iterable of batches, pairs (X, y), and `y` is left out: `tg.Batches`, a list, a loader of another library; an epoch
    is once through it, or `steps_per_epoch` batches, after which the next epoch goes on.

    `augment(X, y, rng)` returns what a step shall learn from in the place of a batch, of which it is given a copy. If
    it draws its random numbers from `rng` only, a training that continues from a checkpoint does so to the same bits.

    With `sample_weight`, one number for each row, a step minimises the mean over its rows of weight times loss; the
    loss must give a value for each row (`reduction="none"`). Metrics are computed without weights.

    "loss" in the history is the mean over the steps of an epoch, while the model was learning. The `metrics`, functions
    `(prediction, target) -> float` in a list or by name, are computed after each epoch, without dropout, on the
    training data (not on an iterable of batches) and on the `validation` data, there together with the loss and under
    names that begin with "val_". `validation_split=0.2` holds out the last fifth of the rows for that, whatever the
    order in which the others are learned from. `schedule(t)` sets the learning rate before each step; t counts epochs.
    Groups of parameters with other rates keep their proportions. With `clip_grad_norm`, gradients that together are
    longer are scaled to that length before each step (see `optim.clip_grad_norm_`).

    With `checkpoint`, the name of an `.npz` file, everything that is needed to continue is written to it after each
    epoch (model, optimiser, generators, history, callbacks). Called again with the same arguments, `fit` continues from
    there, with the same results to the last bit as if it had never been stopped. Of iterables, only `tg.Batches` and
    lists of batches can promise that.

    `callbacks` are called after each epoch, and a `Callback` after each step too, if it has `after_batch`.

    Steps are compiled: they run without recording, faster and with the same numbers, as `compile_step` has it. For
    that, the model and the loss are first run twice on symbols (a number in which a model counts its calls is then two
    ahead), and gradients are not put into `p.grad`, where callbacks might look for them. Where that cannot be (they
    look at values, draw random numbers of their own, change what is not a tensor, or read arrays too large to be
    watched), steps are recorded; the bar says which, and `history.why_recorded` why. `compiled=True` raises instead,
    `compiled=False` always records.

    `progress`: True shows a progress bar, False shows none, None shows one in a terminal or a notebook if tqdm is
    installed. Ctrl-C ends the training after the current step (pressed twice, at once) and keeps what was learned.

    Raises `FloatingPointError` if the loss is not finite; the parameters are then as they were before that step. Raises
    `ValueError` or `TypeError` for arguments that are wrong or exclude each other, with what to do.

    >>> net = tg.Dense(2, 1, rng=0)
    >>> X = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> optimizer = tg.SGD(net.parameters(), lr=0.3)
    >>> history = tg.fit(net, X, X[:, :1], loss=tg.mse_loss, optimizer=optimizer, epochs=200, rng=0)
    >>> history["loss"][-1] < 1e-6, history.stopped
    (True, 'all epochs done')
    """
    check_kinds(model, loss, optimizer, metrics, schedule, augment, shuffle)
    check_numbers(epochs, batch_size, steps_per_epoch)
    if clip_grad_norm is not None:
        check_bound("fit: clip_grad_norm", clip_grad_norm)
    check_places(validation, checkpoint)
    check_split(validation_split, validation)
    names = named(metrics, validation is not None or validation_split is not None)
    rng, dtype = generator(rng), precision(model)
    if is_iterable_of_batches(X, y):
        check_goes_with_batches(batch_size, shuffle, validation_split, sample_weight, metrics, validation)
        data, held_out = None, held_out_of(validation, dtype)
        source = source_of_batches(X, steps_per_epoch, checkpoint, augment, rng, dtype)
    else:
        check_goes_with_arrays(steps_per_epoch)
        data, held_out = samples(X, y, sample_weight, validation, validation_split, dtype)
        source = source_of_arrays(data, batch_size, shuffle, augment, rng, dtype)
    check_parameters(model, optimizer)
    optimizer.note_proportions()
    optimizer.learn_names({p: name for name, p in model.named_parameters()})
    arrays = None if data is None else (data.X, data.y)
    training = Training(model, optimizer, History(), 0, source.nothing, loss, data=arrays)
    hooks = [c if isinstance(c, Callback) else FunctionCallback(c) for c in callbacks]
    generators = generators_of(model, *source.generators)
    books = _Bookkeeping(training, data, held_out, names, hooks, checkpoint, generators)
    bar = progress_bar(progress, epochs * source.steps, training.epoch * source.steps, what=source.said)
    say = functools.partial(say_how, bar, source.said)
    step = Steps(training, clip_grad_norm, compiled, books.finite, say)
    books.keep(bar, lambda: _learn(training, source, epochs, schedule, step, books))
    return training.history


def _learn(
    training: Training,
    source: Source,
    epochs: int,
    schedule: Schedule | None,
    step: Steps,
    books: _Bookkeeping,
) -> None:
    """The loop itself: in each epoch all batches, and for each batch one step down the gradient of its loss."""
    for epoch in range(training.epoch, epochs):
        training.model.train()
        with np.errstate(over="ignore", invalid="ignore"):  # what they lead to is an error of its own
            for i, batch in enumerate(source.epoch()):
                batch = Samples(each(as_input, batch.X), batch.y, batch.weight)
                if schedule is not None:
                    training.optimizer.set_lr_in_proportion(_scheduled(schedule, epoch + i / source.steps))
                books.after_step(step(batch), batch)
        books.after_epoch()


def _scheduled(schedule: Schedule, t: float) -> float:
    try:
        return schedule(t)
    except StopIteration:
        raise RuntimeError(f"fit: the schedule has no learning rate for t = {t:g}") from None


# The bookkeeping


class _Bookkeeping:
    """What `fit` does besides learning: the history, callbacks, checkpoints, the bar, Ctrl-C and the modules' modes."""

    def __init__(
        self,
        training: Training,
        data: Samples | None,
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
        self.steps, self.rows, self.total = 0, 0, 0.0  # of this epoch; and the sum of the losses of its rows
        self.each_batch = [h for h in hooks if getattr(h.after_batch, "__func__", None) is not Callback.after_batch]
        for hook in hooks:
            hook.before_training()
        if checkpoint is not None and Path(checkpoint).exists():
            noted = {"loss", *metrics} if data is not None else {"loss"}
            noted |= set() if held_out is None else {f"val_{name}" for name in ("loss", *metrics)}
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
        for p in self.training.optimizer.parameters():
            if not np.isfinite(p.data).all():
                names = {q: name for name, q in self.training.model.named_parameters()}
                which = names.get(p, f"a parameter of shape {p.shape}")
                raise FloatingPointError(
                    f"fit: in epoch {self.training.epoch + 1}, {which} became "
                    "NaN or infinite, though the loss was finite: its gradient, or the step, was not. The parameters "
                    "are of no use any more: build or load the model anew, and run it inside detect_anomaly() to see "
                    "the operation where it began"
                )

    def after_step(self, value: float, batch: Samples) -> None:
        training, rows = self.training, batch.rows
        self.steps += 1
        self.rows += rows
        self.total += value * rows
        training.batch, training.weight, training.step, training.batch_loss = batch[:2], batch.weight, self.steps, value
        if self.each_batch:
            with keeping_modes(training.model):
                for hook in self.each_batch:
                    hook.after_batch(training)
        self.interrupt.check()
        if self.bar is not None:
            self.bar.update()

    def after_epoch(self) -> None:
        self.check_parameters()
        model, history = self.training.model, self.history
        measures = {"loss": self.total / self.rows}
        if self.metrics and self.data is not None:
            measures |= measured(model, self.data.X, self.data.y, self.metrics)
        if self.held_out is not None:
            X, y, weight = self.held_out
            held_out = measured(model, X, y, self.metrics, self.training.loss, weight)
            measures |= {f"val_{name}": value for name, value in held_out.items()}
        for name, value in measures.items():
            history.setdefault(name, []).append(float(value))
        self.training.epoch += 1
        self.steps, self.rows, self.total = 0, 0, 0.0
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
