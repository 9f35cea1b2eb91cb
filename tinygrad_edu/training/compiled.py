"""A training step without recording or allocation: the derivation of its loss, run in memory allocated once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..autograd.locks import holding
from ..autograd.recording import array_of, gradient_check
from ..autograd.tensor import Tensor
from ..autograd.trees import _map
from ..compiler.derivation import Derivation
from ..compiler.program import MOST_PROGRAMS, Programs, Scalar
from ..compiler.repeatable import repeatable
from ..compiler.threads import Workers
from ..data import Arrays, arrays_in, each
from ..debug.anomaly import check_compiled
from ..optim.base import Optimizer
from ..optim.clipping import check_bound, clipping


class CompiledStep:
    """`step(*batch)`: the loss of a batch and one update of the optimiser's parameters, as `compile_step` makes it.

    `evaluate(*batch)` and `update()` are its two halves.
    """

    def __init__(
        self,
        loss: Callable[..., Scalar],
        optimizer: Optimizer,
        clip_grad_norm: float | None = None,
        threads: int | None = None,
        *,
        cautious: bool = False,
    ) -> None:
        """`cautious` is for those who did not ask for it: it refuses, too, what a program would not see or do."""
        if getattr(optimizer.zero_grad, "__func__", None) is not Optimizer.zero_grad:
            raise TypeError(
                f"compile_step: {type(optimizer).__name__} has a zero_grad() of its own, but a compiled step neither "
                "accumulates gradients nor calls it. Do what it does in step(), or do not compile"
            )
        if clip_grad_norm is not None:
            check_bound("compile_step: clip_grad_norm", clip_grad_norm)
        if threads is not None and (not isinstance(threads, int) or threads < 1):
            raise ValueError(f"compile_step: threads must be a whole number from 1, or None for all, not {threads!r}")
        self._loss = loss
        self._optimizer = optimizer
        self._bound = clip_grad_norm
        self._cautious, self._derived = cautious, 0
        self._parameters = optimizer.parameters()
        self._workers = Workers(threads)
        self._programs: dict[int | str, Programs] = {}  # by the structure of the batch
        self._gradients: Sequence[Any] | None = None
        self._own: list[bool] = []  # which of them are memory that may be written over
        self._lock = threading.RLock()

    def __call__(self, *batch: Arrays) -> float:
        return holding(self._lock, self._step, *batch)  # its programs have one memory

    def _step(self, *batch: Arrays) -> float:
        value = self.evaluate(*batch)
        self.update()
        return value

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(
            "a compiled step is not copied or pickled: its loss belongs to one model. Copy the model and its optimizer "
            "together, copy.deepcopy((model, optimizer)), and make a step of them with compile_step"
        )

    def evaluate(self, *batch: Arrays) -> float:
        """The loss of the batch; the gradients are kept for `update`. The parameters' `.grad` stays as it is."""
        if all([b.__class__ is np.ndarray for b in batch]):  # mostly, and then this is a part of a small step's time
            arrays: Sequence[Any] = batch
            key: int | str = len(batch)
        else:
            arrays = [_array(a) for b in batch for a in arrays_in(b)]
            structure = [each(_nothing, b) for b in batch]
            key = len(batch) if structure.count(None) == len(batch) else repr(structure)
        programs = self._programs.get(key)
        if programs is None:
            instead = "Cut batches to one shape (drop_last), or do not compile"
            programs = self._programs[key] = Programs(self._parameters, "compile_step", instead, self._workers)
        program = programs.find(arrays, self._derive, batch)
        self._gradients = None  # the same memory
        value, *gradients = program.run(*arrays, *[p._value for p in self._parameters])
        if gradient_check() is not None:
            check_compiled(value, gradients)
        self._gradients, self._own = gradients, program.own
        return float(value.item())

    def _derive(self, arrays: Sequence[NDArray[Any]], batch: Sequence[Arrays]) -> Derivation:
        loss = _of_arrays(self._loss, [each(_nothing, b) for b in batch])
        arrays = [_array(a) for a in arrays]
        self._derived += 1
        if self._cautious and self._derived > MOST_PROGRAMS:
            raise TypeError("what the function reads keeps changing")
        derivation = repeatable(lambda: Derivation(loss, arrays, self._parameters), cautious=self._cautious)
        self._optimizer.report_unreached([g is not None for g in derivation.gradients])
        return derivation

    def update(self) -> None:
        """What the optimiser's `step()` does, with the gradients of the last `evaluate`."""
        if self._gradients is None:
            raise RuntimeError("compile_step: update() without evaluate() before it")
        if self._bound is not None:
            self._gradients = self._clipped(self._gradients, self._bound)
        if getattr(self._optimizer.step, "__func__", None) is not Optimizer.step:  # it reads the gradients
            for p, g in zip(self._parameters, self._gradients, strict=True):
                p.grad = None if g is None or not p.requires_grad else np.array(g)
            self._gradients = None
            self._optimizer.step()
            return
        groups = [group for group in self._optimizer.param_groups for _ in group["params"]]
        updates = zip(self._parameters, self._gradients, groups, self._own, strict=True)
        self._gradients = None
        self._optimizer.advance(
            [(p, g, group, g if own else None) for p, g, group, own in updates if g is not None and p._requires_grad]
        )

    def _clipped(self, gradients: Sequence[Any], bound: float) -> tuple[Any, ...]:
        pairs = [(p, g if p.requires_grad else None) for p, g in zip(self._parameters, gradients, strict=True)]
        wanted = [g for _, g in pairs]
        _, factor = clipping("compile_step", self._parameters, wanted, bound, self._optimizer._names)
        return tuple(g if g is None or factor == 1 else g * p.dtype.type(factor) for p, g in pairs)


def _nothing(array: Any) -> None:
    """What stands in a structure in the place of an array."""


def _of_arrays(loss: Callable[..., Scalar], structure: list[Any]) -> Callable[..., Scalar]:
    """The loss as a function of all arrays in its arguments."""
    if all(part is None for part in structure):
        return loss

    def of_arrays(*arrays: Any) -> Scalar:
        following = iter(arrays)
        return loss(*_map(lambda _: next(following), structure))

    return of_arrays


def _array(batch: Any) -> NDArray[Any]:
    if isinstance(batch, Tensor) and batch.requires_grad:
        raise TypeError(
            f"compile_step: a batch of shape {batch.shape} requires grad, but a step gives gradients to the "
            "optimiser's parameters only; pass .detach()"
        )
    return array_of(batch, "compile_step: a batch holds")


def compile_step(
    loss: Callable[..., Scalar],
    optimizer: Optimizer,
    *,
    clip_grad_norm: float | None = None,
    threads: int | None = None,
) -> CompiledStep:
    """A training step for `loss(*batch)`, a scalar of the batch's arrays and the optimiser's parameters.

    `step = compile_step(lambda X, y: F.cross_entropy(net(X), y), optimizer)`; then `step(X, y)` computes the loss and
    its gradients, updates the parameters in place and returns the loss as a float. The function is run twice for each
    shape and dtype of batch and parameters, on symbols; what it does besides NumPy (printing, counting) happens then
    only. The batch reaches it as tensors, also those in a tuple or a dict, and their small integers do not wrap around.
    Random numbers of `tg.random` and `dropout` are drawn anew in each step. Tensors that are not the optimiser's
    parameters are read in each step, and updated if the function assigns to their `.data` or puts what it computes in
    their place (a running mean, say). Where numbers, arrays or modes (`train()`, `eval()`) that the function reads from
    variables or attributes have changed, it is run again. What libraries read by themselves, arrays of more than
    100,000 elements (keep them in a tensor) and the items of lists and dicts of more than 1000 are taken to stay as
    they are. With `clip_grad_norm`, gradients that together are longer are scaled to that length before the update (see
    `optim.clip_grad_norm_`).

    Where a step takes some milliseconds and treats each row of the batch by itself, up to the sums of loss and
    gradients, the rows are cut into blocks, which are computed in `threads` threads at the same time; BLAS, which has
    threads of its own, is held to one meanwhile, in the whole process. None stands for as many threads as BLAS would
    use, but no more than there are cores; 1 for no blocks. The same number gives the same bits, another one rounds sums
    differently. Blocks need threadpoolctl (extra `examples`); without it, there are none. What mixes rows, as batch
    norm does, draws random numbers or updates tensors is computed in one piece, and so are convolutions.

    Raises `TypeError`, with the line of code, where the function looks at values, in a Python branch, an index, or by
    `float()`, and where it computes something else when it is run again: with random numbers of its own, for example;
    and for an optimiser with a `zero_grad()` of its own. Raises `ValueError` for less than one thread, and
    `FloatingPointError` where gradients that are to be clipped are NaN or infinite.

    >>> net = tg.Dense(2, 1, init="zeros")
    >>> step = tg.compile_step(lambda X, y: tg.mse_loss(net(X), y), tg.SGD(net.parameters(), lr=0.25))
    >>> X, y = np.ones((4, 2)), np.ones((4, 1))
    >>> step(X, y), step(X, y)
    (1.0, 0.25)
    """
    return CompiledStep(loss, optimizer, clip_grad_norm, threads)
