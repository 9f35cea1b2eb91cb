"""One step of `fit`: compiled where the loss can be, else recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..nn.evaluation import objective
from ..optim.clipping import clip_all
from ..optim.progress import NOT_WANTED
from .callbacks import Training
from .compiled import CompiledStep
from .samples import Samples


class Steps:
    """`step(batch)`: the loss of a batch, and one update of the parameters.

    With `compiled=None`, the first batch on which compiling fails is recorded, and so are all after it: a mistake in
    the model or the loss is then reported as it is without compiling.
    """

    def __init__(
        self,
        training: Training,
        longest: float | None,
        compiled: bool | None,
        finite: Callable[[float], float],
        say: Callable[[str], str],
    ) -> None:
        """`finite` gives back the loss of a batch, or raises, and then no parameter is changed. `say` is told why steps
        are recorded, and "" if they are compiled."""
        self._model, self._loss, self._optimizer = training.model, training.loss, training.optimizer
        self._history, self._longest = training.history, longest
        self._must = compiled is True
        self._finite, self._say = finite, say
        self._compiled: CompiledStep | None = None
        self._history.why_recorded = say(NOT_WANTED if compiled is False else "")
        if compiled is not False:
            self._compiled = self._try(self._compile)

    def _compile(self) -> CompiledStep:
        model, loss = self._model, self._loss  # variables of the function, which are looked through
        of_batch = lambda *batch: objective(model, loss, *batch)
        return CompiledStep(of_batch, self._optimizer, self._longest, cautious=not self._must)

    def _try(self, attempt: Callable[[], Any]) -> Any:
        """What `attempt` gives; or None, and steps are recorded from now on."""
        try:
            return attempt()
        except Exception as error:
            if self._must:
                raise
            self._compiled = None
            self._history.why_recorded = self._say(str(error).removeprefix("compile_step: "))
            return None

    def __call__(self, batch: Samples) -> float:
        if self._compiled is not None:
            step = self._compiled
            value = self._try(lambda: step.evaluate(*batch.given))
            if value is not None:
                self._finite(value)
                step.update()
                return float(value)
        self._optimizer.zero_grad()
        J = objective(self._model, self._loss, *batch)
        value = self._finite(_scalar(J))
        J.backward()
        if self._longest is not None:
            clip_all("fit", self._optimizer.parameters(), self._longest, self._optimizer._names)
        self._optimizer.step()
        return value


def _scalar(J: Any) -> float:
    if not isinstance(J, Tensor) or J.size != 1:
        raise TypeError(
            f"fit: loss(prediction, target) must return a recorded scalar, got {type(J).__name__} of shape "
            f"{np.shape(J)}"
        )
    return float(J.item())
