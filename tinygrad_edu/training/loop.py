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
from numpy.typing import NDArray

from ..autograd.conversion import as_array, shape_of, widened
from ..autograd.tensor import Tensor
from ..data import Batches
from ..nn.evaluation import Loss, Metric, measured
from ..nn.layers import Module
from ..optim.optimizers import Optimizer, Schedule
from ..optim.progress import progress_bar
from ..random import generator
from ..storage.files import PathLike
from .callbacks import Callback, FunctionCallback, History, Training
from .checkpoints import generators_of, resume, store
from .compiled import CompiledStep


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
    """Minimises the mean of `loss(model(X), y)`, itself a mean over rows, with `optimizer`; returns the history.

    `X` and `y` are rows of samples and what belongs to them; floats are brought to the precision of the model.
    `batch_size` samples make a step, drawn in a new order in each epoch from `rng` (a Generator, a seed, or None for
    the package's own); None makes one step of all. "loss" in the history is the mean over the epoch while it learned;
    the `metrics`, functions `(prediction, target) -> float` by name, are of the model after the epoch, with dropout
    off, on the training data and, as "val_…" and with the loss, on the `validation` data. `schedule(t)` sets the
    learning rate, of all parameter groups, before each step, t in epochs.

    With `checkpoint`, a file in `.npz`, all that is needed to go on is written there after each epoch (model,
    optimiser, generators, history, callbacks); called again with the same arguments, `fit` goes on from there, to the
    same bits as if it had not been stopped.

    With `compiled`, steps run without recording: faster, to the same numbers, provided that the model and the loss are
    made of functions of arrays. See `compile_step`: they must not look at values, and what they draw from a generator
    of their own, instead of by `dropout`, is drawn once.

    `progress`: True shows a bar, False none, None one where somebody looks (a terminal or a notebook, and tqdm is
    installed). Ctrl-C ends the training when the step is complete (pressed twice, at once), and what was learned stays.

    Raises `FloatingPointError` when the loss is not finite, with the parameters from before that step.

    >>> net = tg.Dense(2, 1, rng=0)
    >>> X = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> optimizer = tg.SGD(net.parameters(), lr=0.3)
    >>> history = tg.fit(net, X, X[:, :1], loss=tg.mse_loss, optimizer=optimizer, epochs=200, rng=0)
    >>> history["loss"][-1] < 1e-6, history.stopped
    (True, 'all epochs done')
    """
    _check_kinds(model, loss, optimizer, metrics, schedule)
    if not _is_count(epochs, 0):
        raise ValueError(f"fit: epochs must be a whole number of at least 0, got {epochs!r}")
    if batch_size is not None and not _is_count(batch_size, 1):
        raise ValueError(
            f"fit: batch_size must be a whole number of at least 1, or None for one step of all; got {batch_size!r}"
        )
    if validation is not None and not (isinstance(validation, tuple | list) and len(validation) == 2):
        raise TypeError("fit: validation is a pair of inputs and targets, (X, y)")
    if checkpoint is not None and (Path(checkpoint).suffix != ".npz" or not Path(checkpoint).parent.is_dir()):
        raise ValueError(f"fit: checkpoint={str(checkpoint)!r} must be a file in .npz, in a folder that exists")
    dtype = next((p.dtype for p in model.parameters()), np.dtype(np.float64))
    X, y = _as_given(X, dtype), _as_given(y, dtype)
    held_out = None if validation is None else (_as_given(validation[0], dtype), _as_given(validation[1], dtype))
    named = dict(metrics) if isinstance(metrics, Mapping) else {m.__name__: m for m in metrics}
    for what, a in (("X", X), ("y", y), *zip(("validation[0]", "validation[1]"), held_out or (), strict=False)):
        if not shape_of(a):
            raise TypeError(f"fit: {what} is an array with a row for each sample, got {a!r}")
    rows = len(X)
    if not rows or (held_out is not None and not len(held_out[0])):
        raise ValueError(f"fit: there are no samples{' for validation' if rows else ''}")
    _check_parameters(model, optimizer)
    rng = generator(rng)
    batches = Batches(
        X, y, batch_size=rows if batch_size is None else batch_size, shuffle=batch_size is not None, rng=rng
    )
    hooks = [c if isinstance(c, Callback) else FunctionCallback(c) for c in callbacks]
    history = History()
    generators = generators_of(model, rng)
    for hook in hooks:
        hook.before_training()
    if checkpoint is not None and Path(checkpoint).exists():
        noted = {"loss", *named} | ({f"val_{name}" for name in ("loss", *named)} if held_out is not None else set())
        resume(checkpoint, model, optimizer, history, hooks, generators, noted)
    step = CompiledStep(lambda a, b: loss(model(a), b), optimizer) if compiled else None
    training = Training(model, optimizer, history, history.epochs, (X[:0], y[:0]), loss)
    modes = [(m, m.training) for m in model.modules()]
    started = time.perf_counter() - history.seconds
    bar = progress_bar(progress, epochs * len(batches), history.epochs * len(batches))
    interrupt = _Interrupt()
    try:
        for epoch in range(history.epochs, epochs):
            model.train()
            total = 0.0
            with np.errstate(over="ignore", invalid="ignore"):  # what they lead to is an error of its own
                for i, batch in enumerate(batches):
                    batch = widened(batch[0]), batch[1]
                    if schedule is not None:
                        optimizer.lr = _scheduled(schedule, epoch + i / len(batches))
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
                    interrupt.check()
                    if bar is not None:
                        bar.update()
            _note(history, "loss", total / rows)
            if named:
                for name, value in measured(model, X, y, named).items():
                    _note(history, name, value)
            if held_out is not None:
                for name, value in measured(model, *held_out, named, loss).items():
                    _note(history, f"val_{name}", value)
            training.epoch = epoch + 1
            history.seconds = time.perf_counter() - started
            if bar is not None:
                shown = ", ".join(f"{name} {values[-1]:.4g}" for name, values in history.items())
                bar.set_postfix_str(shown, refresh=False)
            for hook in hooks:
                hook.after_epoch(training)
            if checkpoint is not None:
                store(checkpoint, model, optimizer, history, hooks, generators)
            interrupt.check()
        history.stopped = "all epochs done"
    except StopIteration as reason:
        history.stopped = str(reason) or "a callback ended it"
    except KeyboardInterrupt:
        history.stopped = "interrupted"
    finally:
        interrupt.restore()
        if bar is not None:
            bar.close()
        for module, mode in modes:
            module.training = mode
        for hook in hooks:
            hook.after_training(training)
    return history


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int | np.integer) and bool(value >= least)


def _check_kinds(model: Any, loss: Any, optimizer: Any, metrics: Any, schedule: Any) -> None:
    """Refuses what is something else than `fit` asks for."""
    if not isinstance(model, Module):
        raise TypeError(f"fit: the model is a Module, such as Sequential(…), not {model!r}")
    if not callable(loss):
        raise TypeError(f"fit: loss is a function (prediction, target), such as mse_loss, not {loss!r}")
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"fit: optimizer is an optimiser, such as SGD(model.parameters(), lr=0.1), not {optimizer!r}")
    listed = metrics.values() if isinstance(metrics, Mapping) else metrics
    if isinstance(listed, str) or not isinstance(listed, Iterable) or not all(map(callable, listed)):
        raise TypeError(
            f"fit: metrics are functions (prediction, target) in a list, such as [accuracy], not {metrics!r}"
        )
    if schedule is not None and not callable(schedule):
        raise TypeError(
            f"fit: schedule is a function of the time in epochs, not {schedule!r}; a rate is the optimiser's lr"
        )


def _check_parameters(model: Module, optimizer: Optimizer) -> None:
    """Refuses an optimiser that was made for another model, or before a layer of this one was replaced."""
    held = optimizer.parameters()
    own = {id(p) for p in model.parameters()}
    lacking = [name for name, p in model.named_parameters() if all(p is not q for q in held)]
    foreign = sum(id(p) not in own for p in held)
    if lacking and foreign:
        raise ValueError(
            f"fit: the optimiser lacks {', '.join(lacking)} of the model, and holds {foreign} parameters that are not "
            "the model's. Was a layer replaced after the optimiser was made? Make it of the finished model: "
            f"{type(optimizer).__name__}(model.parameters(), …). What shall not learn is frozen by "
            "requires_grad = False"
        )


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


def _scheduled(schedule: Schedule, t: float) -> float:
    try:
        return schedule(t)
    except StopIteration:
        raise RuntimeError(f"fit: the schedule has no learning rate for t = {t:g}") from None


def _as_given(values: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    array = values.numpy() if isinstance(values, Tensor) else as_array(values)
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
            "or is there NaN in the data? Inside detect_anomaly() the operation where it began is named. The "
            "parameters are those from before this step"
        )
    return value


def _note(history: History, name: str, value: float) -> None:
    history.setdefault(name, []).append(float(value))
