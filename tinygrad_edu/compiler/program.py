"""Running a derivation: Python code for its lines, and one program for each kind of inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..autograd.tensor import Tensor
from .derivation import Derivation
from .emission import Code
from .tracing import Line

# NumPy fills a buffer with as many copies of a bias as fit into it, to have longer rows to add. With its own size of
# 8192 numbers that takes more time than the addition.
BUFFER = 1024
MOST_PROGRAMS = 16  # of one function: each has memory of its own

# What a function gives that is derived. NumPy annotates its own functions as giving arrays, also of tensors.
Scalar = Tensor | NDArray[Any] | np.generic


class Program:
    """A derivation as a function of the inputs' and the parameters' arrays, `(value, *gradients)`.

    The gradients lie in memory of the program, and are overwritten by the next call.
    """

    def __init__(self, derivation: Derivation) -> None:
        inputs = [*derivation.inputs, *derivation.parameters, *derivation.captured.values()]
        outputs = [derivation.value, *derivation.gradients]
        computed = [value for value in outputs if isinstance(value, Line)]
        code = Code([*derivation.forward, *derivation.backward], inputs, computed)
        # Which gradients are arrays of their own, which may be written over
        self.own = [isinstance(g, Line) and g in code.apart for g in derivation.gradients]
        returned = ", ".join("None" if value is None else code.reference(value) for value in outputs)
        arguments = ", ".join(code.names[line] for line in inputs)
        body = "\n    ".join([*code.statements, f"return {returned},"])
        self.code = f"def run({arguments}):\n    {body}\n"
        exec(compile(self.code, "<derivation>", "exec"), code.namespace)
        self._run: Callable[..., tuple[Any, ...]] = code.namespace.pop("run")  # or they would hold each other
        self._captured = [(t, t.dtype, t.requires_grad) for t in derivation.captured]

    def fits(self) -> bool:
        """Whether the tensors that the function holds besides are of the kind that this was made for."""
        return all([t.dtype == dtype and t.requires_grad == learns for t, dtype, learns in self._captured])

    def run(self, *arrays: Any) -> tuple[Any, ...]:
        """`arrays` are the inputs' and the parameters'; tensors that the function holds besides give theirs."""
        with np.errstate():  # which also brings the buffer's size back
            np.setbufsize(BUFFER)
            return self._run(*arrays, *[t.data for t, *_ in self._captured])


class Programs:
    """The programs of one function: for each shape and dtype of its inputs, and dtype and need of a gradient of its
    parameters, one is made when it is first asked for."""

    def __init__(self, parameters: Sequence[Tensor], who: str, instead: str) -> None:
        """`who` refuses inputs of more than `MOST_PROGRAMS` kinds, and says what to do `instead`."""
        self._parameters = parameters
        self._who, self._instead = who, instead
        self._programs: dict[Any, Program] = {}

    def find(self, arrays: list[NDArray[Any]], derive: Callable[[list[NDArray[Any]]], Derivation]) -> Program:
        """The program for inputs like these arrays; `derive` gives the derivation for them where there is none yet."""
        key = self._key(arrays)
        program = self._programs.get(key)
        if program is not None and program.fits():
            return program
        if program is None and len(self._programs) == MOST_PROGRAMS:
            raise RuntimeError(
                f"{self._who}: {MOST_PROGRAMS} programs were made for inputs of {MOST_PROGRAMS} different shapes, and "
                f"here are others, {[a.shape for a in arrays]}. {self._instead}"
            )
        return self.add(arrays, derive(arrays))

    def add(self, arrays: list[NDArray[Any]], derivation: Derivation) -> Program:
        """The program of a derivation that was made for inputs like these."""
        program = self._programs[self._key(arrays)] = Program(derivation)
        return program

    def _key(self, arrays: list[NDArray[Any]]) -> Any:
        return (  # the shapes of parameters stay as they are
            *[(a.shape, a.dtype.char) for a in arrays],
            *[p.dtype.char for p in self._parameters],
            *[p.requires_grad for p in self._parameters],
        )
