"""Running a derivation: Python code for its lines, in memory that is allocated once and reused by lifetime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd.broadcasting import ones_of, sum_rows
from ..autograd.primitives import Primitive
from ..functional.activations import BITS, _linear, _where_positive
from ..rules.elementwise import _where
from ..rules.products import is_tall, product
from ..rules.shape import _transpose as transpose
from .derivation import Derivation
from .tracing import Line

# NumPy fills a buffer with as many copies of a bias as fit into it, to have longer rows to add. With its own size of
# 8192 numbers that takes more time than the addition.
BUFFER = 1024


class Scratch:
    """The arrays that one primitive works with, the same in each call. No result lies in them, so that primitives
    after it have the same ones."""

    def __init__(self, shared: dict[Any, Any]) -> None:
        self._arrays: dict[int, Any] = {}
        self._shared = shared

    def __call__(self, k: int, x: Any, dtype: Any = None) -> Any:
        array = self._arrays.get(k)
        if array is None:
            new = np.empty_like(x, dtype)
            array = self._arrays[k] = self._shared.setdefault((k, new.shape, new.dtype, new.strides), new)
        return array


def _where_into(out: Any, scratch: Any, condition: Any, a: Any, b: Any) -> None:
    np.copyto(out, b)
    np.copyto(out, a, where=np.asarray(condition, bool))


class Program:
    """A derivation as a function of the inputs' and the parameters' arrays, `(value, *gradients)`.

    The gradients lie in memory of the program, and are overwritten by the next call.
    """

    def __init__(self, derivation: Derivation) -> None:
        self._namespace: dict[str, Any] = {"np": np}
        self._names: dict[Line, str] = {}
        self._code: list[str] = []
        lines = [*derivation.forward, *derivation.backward]
        inputs = [*derivation.inputs, *derivation.parameters, *derivation.captured.values()]
        for k, line in enumerate(inputs):
            self._names[line] = f"x{k}"
        outputs = [derivation.value, *derivation.gradients]
        self._owners = _owners(lines, inputs)
        self._last = _last_uses(lines, outputs, self._owners)
        self._free: dict[Any, list[str]] = {}  # buffers by shape, dtype and order
        self._buffers: dict[Line, str] = {}
        self._scratch: dict[Any, Any] = {}
        kept = {owner for line in outputs if isinstance(line, Line) for owner in self._owners[line]}
        for k, line in enumerate(lines):
            self._names[line] = f"v{k}"
            self._emit(k, line)
            for done in self._last.get(k, ()):
                if done in self._buffers and done not in kept:
                    self._free.setdefault(_memory_of(done), []).append(self._buffers[done])
        owners = [o for line in outputs if isinstance(line, Line) for o in self._owners[line]]
        self.own = [isinstance(g, Line) and g in self._buffers and owners.count(g) == 1 for g in derivation.gradients]
        returned = ", ".join("None" if g is None else self._reference(g) for g in outputs)
        arguments = ", ".join(self._names[line] for line in inputs)
        body = "\n    ".join([*self._code, f"return {returned},"])
        self.code = f"def run({arguments}):\n    {body}\n"
        exec(compile(self.code, "<derivation>", "exec"), self._namespace)
        self._run: Callable[..., tuple[Any, ...]] = self._namespace.pop("run")  # or they would hold each other
        self._captured = [(t, t.dtype, t.requires_grad) for t in derivation.captured]

    def fits(self) -> bool:
        """Whether the tensors that the function holds besides are of the kind that this was made for."""
        return all([t.dtype == dtype and t.requires_grad == learns for t, dtype, learns in self._captured])

    def run(self, *arrays: Any) -> tuple[Any, ...]:
        """`arrays` are the inputs' and the parameters'; tensors that the function holds besides give theirs."""
        with np.errstate():  # which also brings the buffer's size back
            np.setbufsize(BUFFER)
            return self._run(*arrays, *[t.data for t, *_ in self._captured])

    def _reference(self, value: Any) -> str:
        """The code of an argument."""
        if isinstance(value, Line):
            return self._names[value]
        if isinstance(value, list | tuple) and any(isinstance(v, Line | list | tuple) for v in value):
            inner = ", ".join(self._reference(v) for v in value)
            return f"[{inner}]" if isinstance(value, list) else f"({inner},)"
        if value is None or type(value) in (int, bool):
            return repr(value)
        return self._constant("c", value)

    def _constant(self, prefix: str, value: Any) -> str:
        name = f"{prefix}{len(self._namespace)}"
        self._namespace[name] = value
        return name

    def _buffer(self, k: int, line: Line, may_be: Sequence[Any]) -> str:
        """Memory for the result: that of an operand which is not needed any more, or unused, or new."""
        for operand in may_be:
            if (
                isinstance(operand, Line)
                and operand in self._buffers
                and operand in self._last.get(k, ())
                and _memory_of(operand) == _memory_of(line)
            ):
                name = self._buffers.pop(operand)
                break
        else:
            unused = self._free.get(_memory_of(line))
            name = unused.pop() if unused else self._constant("b", np.empty(line.shape, line.dtype, line.order))
        self._buffers[line] = name
        return name

    def _emit(self, k: int, line: Line) -> None:
        function: Any = line.function
        v = self._names[line]
        args = [self._reference(a) for a in line.args]
        options = {name: self._reference(value) for name, value in line.options.items()}
        numpys = function.function if isinstance(function, Primitive) else function
        same = all(a.dtype == line.dtype for a in line.args if isinstance(a, Line | np.ndarray | np.generic))
        if line.ndim:
            if isinstance(numpys, np.ufunc) and numpys.nout == 1 and not options:
                b = self._buffer(k, line, line.args)
                out = "out=" if numpys in (np.maximum, np.minimum) else ""  # a third position is deprecated for these
                self._code.append(f"{v} = {self._constant('f', numpys)}({', '.join(args)}, {out}{b})")
                return
            if self._inlined(k, line, v, args):
                return
            if function is sum_rows:
                b = self._buffer(k, line, ())
                ones = self._constant("c", ones_of(line.args[0].shape[0], line.dtype))
                self._code.append(f"{v} = np.dot({ones}, {args[0]}, {b})")
                return
            if numpys is np.sum and same and options.keys() <= {"axis", "keepdims"}:
                b = self._buffer(k, line, ())
                given = "".join(f", {name}={code}" for name, code in options.items())
                self._code.append(f"{v} = np.add.reduce({args[0]}{given}, out={b})")
                return
            if function is _where:
                b = self._buffer(k, line, ())
                self._code.append(f"{self._constant('f', _where_into)}({b}, None, {', '.join(args)}); {v} = {b}")
                return
        into = getattr(function, "into", None)
        scalar = not line.ndim and not any(isinstance(a, Line) and a.ndim for a in line.args)
        if into is not None and not scalar and (same or not isinstance(function, Primitive)):
            over = function.overwrites if isinstance(function, Primitive) else None
            b = self._buffer(k, line, () if over is None else (line.args[over],)) if line.ndim else "None"
            given = "".join(f", {name}={code}" for name, code in options.items())
            scratch = self._constant("s", Scratch(self._scratch))
            call = f"{self._constant('f', into)}({b}, {scratch}, {', '.join(args)}{given})"
            self._code.append(f"{call}; {v} = {b}" if line.ndim else f"{v} = {call}")
            return
        forward = function.forward if isinstance(function, Primitive) else function
        given = ", ".join([*args, *(f"{name}={code}" for name, code in options.items())])
        self._code.append(f"{v} = {self._constant('f', forward)}({given})")

    def _inlined(self, k: int, line: Line, v: str, args: list[str]) -> bool:
        """Spells out what most steps consist of: the same calls as the primitive's own, with all views made before."""
        function: Any = line.function
        same = all(isinstance(a, Line) and a.dtype == line.dtype for a in line.args)
        if function is transpose and tuple(line.options["axes"]) == (1, 0):
            self._code.append(f"{v} = {args[0]}.T")
        elif function in (product, _linear) and line.ndim == 2 and same and line.args[0].ndim == 2:
            b = self._buffer(k, line, ())
            x, w = line.args[:2]
            if is_tall(x.shape, w.shape):
                multiply = np.multiply if x.shape[1] == 1 else np.matmul
                turned = self._constant("b", self._namespace[b].T)
                self._code.append(f"{self._constant('f', multiply)}({args[1]}.T, {args[0]}.T, {turned}); {v} = {b}")
            else:
                self._code.append(f"{v} = np.matmul({args[0]}, {args[1]}, {b})")
            if function is _linear:
                self._code.append(f"{self._constant('f', np.add)}({b}, {args[2]}, {b})")
        elif function is _where_positive and same and line.dtype.itemsize in BITS and line.args[1] in self._buffers:
            bits = BITS[line.dtype.itemsize]
            g = self._constant("b", self._namespace[self._buffers[line.args[1]]].view(bits))
            b = self._buffer(k, line, (line.args[1],))
            out = self._namespace[b]
            mask = self._constant("s", Scratch(self._scratch)(0, out, bool))
            seen = f"{self._constant('f', np.greater)}({args[0]}, 0, {mask})"
            times = f"{self._constant('f', np.multiply)}({g}, {mask}, {self._constant('b', out.view(bits))})"
            self._code.append(f"{seen}; {times}; {v} = {b}")
        else:
            return False
        return True


def _memory_of(line: Line) -> tuple[Any, ...]:
    return line.shape, line.dtype, line.order


def _owners(lines: Sequence[Line], inputs: Sequence[Line]) -> dict[Line, frozenset[Line]]:
    """In whose memory each value may lie: in its own, or, where it may be a view, in that of an operand. Whether a
    reshape is a view depends on the layout, so what may be one counts as one."""
    owners = {line: frozenset((line,)) for line in inputs}
    for line in lines:
        own = frozenset((line,))
        if not _fills_a_buffer(line):
            own = own.union(*(owners[operand] for operand in line.operands()))
        owners[line] = own
    return owners


def _fills_a_buffer(line: Line) -> bool:
    """Whether the result is certainly an array of its own."""
    function: Any = line.function
    numpys = function.function if isinstance(function, Primitive) else function
    filled = function in (sum_rows, _where) or numpys is np.sum or isinstance(numpys, np.ufunc)
    return filled or getattr(function, "into", None) is not None


def _last_uses(
    lines: Sequence[Line], outputs: Sequence[Any], owners: dict[Line, frozenset[Line]]
) -> dict[int, list[Line]]:
    """For each step, the lines of which the memory is not read after it."""
    last: dict[Line, int] = {}
    for k, line in enumerate(lines):
        for read in (line, *line.operands()):
            last |= dict.fromkeys(owners[read], k)
    for line in outputs:
        if isinstance(line, Line):
            last |= dict.fromkeys(owners[line], len(lines))
    uses: dict[int, list[Line]] = {}
    for line, k in last.items():
        uses.setdefault(k, []).append(line)
    return uses
