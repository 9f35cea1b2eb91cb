"""Running a derivation: Python code for its lines, and one program for each kind of inputs."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..autograd.call_site import warn_user
from ..autograd.hooks import refuse_hooks
from ..autograd.tensor import Tensor
from .blocks import cut
from .derivation import Derivation
from .emission import Code
from .lines import Line
from .state import Kept, same
from .threads import Workers

# NumPy fills a buffer with as many copies of a bias as fit into it, to have longer rows to add. With NumPy's own size
# of 8192 numbers, that takes more time than the addition.
BUFFER = 1024
MOST_PROGRAMS = 16  # of one function: each has memory of its own

# What a derived function returns. NumPy annotates its own functions as giving arrays, also of tensors.
Scalar = Tensor | NDArray[Any] | np.generic


class Program:
    """A derivation as a function of the inputs' and the parameters' arrays, `(value, *gradients)`.

    The gradients lie in memory of the program, and the next call overwrites them.
    """

    def __init__(self, derivation: Derivation, workers: Workers | None = None) -> None:
        """With `workers`, in blocks of rows where it is worth it."""
        self._blocks = cut(derivation, workers) if workers is not None else None
        if self._blocks is None:
            self._run, self.own, self.code = _whole(derivation)
        else:
            self._run, self.own = self._blocks, self._blocks.own  # which gradients an optimiser may write over
            self._derivation = derivation
        self._updated = [place for place, _ in derivation.updates]
        self._state, self._watched = derivation.state, derivation.watched
        rebound = {
            place.old: place for place in self._updated if isinstance(place, Kept) and isinstance(place.old, Tensor)
        }
        self._captured = [(rebound.get(t, t), t.shape_and_dtype, t.requires_grad) for t in derivation.captured]

    def fits(self) -> bool:
        """Whether what the function reads is what this was made of: shape, dtype and requires_grad of other tensors,
        whose values may change, and the numbers, arrays and other objects in variables and attributes."""
        return (
            all(
                [
                    isinstance(t := _current(c), Tensor) and t.shape_and_dtype == kind and t.requires_grad == learns
                    for c, kind, learns in self._captured
                ]
            )
            and self._state.is_unchanged()
            and all([_as_it_was(array, copy) for array, copy in self._watched])
        )

    def changed(self) -> str:
        """What the function reads and what has changed."""
        return "an array" if self._state.is_unchanged() else self._state.changed()

    def computed(self, *arrays: Any) -> tuple[Any, ...]:
        """The value, the gradients, and what is to be put where the function puts it."""
        with np.errstate():  # which also restores the buffer's size
            np.setbufsize(BUFFER)
            arrays += tuple([_current(c).data for c, *_ in self._captured])
            if self._blocks is None:
                return self._run(*arrays)
            with contextlib.suppress(Exception):  # what it says should be about all rows
                return self._blocks(*arrays)
            run, *_ = _whole(self._derivation)
            return tuple(None if result is None else np.array(result)[()] for result in run(*arrays))

    def run(self, *arrays: Any) -> tuple[Any, ...]:
        """`arrays` are those of the inputs and the parameters; other tensors that the function uses bring their own."""
        results = self.computed(*arrays)
        if not self._updated:
            return results
        count = len(results) - len(self._updated)
        for place, value in zip(self._updated, results[count:], strict=True):
            array = np.array(value)
            if isinstance(place, Tensor):
                place.data = array
            else:
                place.put(Tensor(array))
        return results[:count]


def _whole(derivation: Derivation) -> tuple[Callable[..., tuple[Any, ...]], list[bool], str]:
    """The derivation as a function, which of the gradients have memory to themselves, so that an optimiser may write
    over them, and the source."""
    inputs = derivation.given
    updates = [line for _, line in derivation.updates]
    outputs = [derivation.value, *derivation.gradients, *updates]
    code = Code(
        [*derivation.forward, *derivation.backward], inputs, [value for value in outputs if isinstance(value, Line)]
    )
    value, *others = [code.reference(value) for value in outputs]
    # A parameter's gradient may be another parameter's array, which an optimiser writes over before it is read.
    for k, g in enumerate(derivation.gradients):
        if g is not None and not (isinstance(g, Line) and g not in code.lent):
            others[k] = f"np.array({others[k]})"
    run = code.function(inputs, [value, *others])
    return run, [isinstance(g, Line) and g in code.apart for g in derivation.gradients], code.source


def _as_it_was(array: Any, copy: Any) -> bool:
    """Whether an array, if it is still there, is as it was."""
    if isinstance(array, weakref.ref):
        array = array()
    return array is None or same(array, copy)


def _current(captured: Tensor | Kept) -> Tensor:
    """A tensor that is read in each run; where the function puts another one in its place, that."""
    return captured.now() if isinstance(captured, Kept) else captured


class Programs:
    """The programs of one function: one for each combination of shapes and dtypes of the inputs and of dtypes and
    requires_grad of the parameters, made when it is first needed."""

    def __init__(self, parameters: Sequence[Tensor], who: str, instead: str, workers: Workers | None = None) -> None:
        """`who` begins, and the advice `instead` ends, the error for inputs of more than `MOST_PROGRAMS` kinds."""
        self._workers = workers
        self._parameters = parameters
        self._who, self._instead = who, instead
        self._programs: dict[Any, Program] = {}
        self._remade = 0  # how often what the function reads had changed

    def find(self, arrays: Sequence[NDArray[Any]], derive: Callable[..., Derivation], *given: Any) -> Program:
        """The program for inputs like these arrays; if there is none yet, `derive(arrays, *given)` derives it."""
        refuse_hooks(self._who, self._parameters)
        key = self._key(arrays)
        program = self._programs.get(key)
        if program is not None and program.fits():
            return program
        if program is not None:
            self._remade += 1
            if self._remade == MOST_PROGRAMS:
                warn_user(
                    f"{self._who}: {program.changed()}, which the function reads, keeps changing, and each time the "
                    "function is derived anew, which is slow. What changes often is best kept in a tensor that does "
                    "not require grad: t = tg.Tensor(1.0), then t.data = new"
                )
        elif len(self._programs) == MOST_PROGRAMS:
            raise RuntimeError(
                f"{self._who}: {MOST_PROGRAMS} programs were made for inputs of {MOST_PROGRAMS} different shapes, and "
                f"these inputs have others again, {[a.shape for a in arrays]}. {self._instead}"
            )
        return self.add(arrays, derive(arrays, *given))

    def add(self, arrays: Sequence[NDArray[Any]], derivation: Derivation) -> Program:
        """The program of a derivation that was made for inputs like these."""
        program = self._programs[self._key(arrays)] = Program(derivation, self._workers)
        return program

    def _key(self, arrays: Sequence[NDArray[Any]]) -> Any:
        return (  # the shapes of parameters stay as they are
            *[(a.shape, a.dtype.char) for a in arrays],
            *[p._value.dtype.char for p in self._parameters],
            *[p._requires_grad for p in self._parameters],
        )
