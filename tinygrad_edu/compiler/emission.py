"""The code that the lines of a program become. Memory is allocated once, and reused when a result is read no more."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd.broadcasting import ones_of, sum_rows
from ..autograd.primitives import Primitive
from ..functional.activations import BITS, _where_positive
from ..functional.layers import _linear
from ..memory import empty_aligned
from ..rules.elementwise import _where
from ..rules.products import is_tall, product
from ..rules.shape import _reshape, _scatter, _transpose
from .helpers import function_of
from .lifetimes import is_lent, last_uses, memory_of, owners_of
from .lines import Line
from .parts import sums_of_parts


class Scratch:
    """The arrays that one primitive works in, the same in each call. No result lies in them, so later primitives use
    them too."""

    def __init__(self, shared: dict[Any, Any]) -> None:
        self._arrays: dict[int, Any] = {}
        self._shared = shared

    def __call__(self, k: int, x: Any, dtype: Any = None) -> Any:
        array = self._arrays.get(k)
        if array is None:
            new = empty_aligned(x, dtype) if x.__class__ is tuple else np.empty_like(x, dtype)
            array = self._arrays[k] = self._shared.setdefault((k, new.shape, new.dtype, new.strides), new)
        return array


class Code:
    """Statements for lines, `.statements`, with the arrays and functions that they name, `.namespace`."""

    def __init__(self, lines: Sequence[Line], inputs: Sequence[Line], outputs: Sequence[Line]) -> None:
        self.namespace: dict[str, Any] = {"np": np}
        self.names = {line: f"x{k}" for k, line in enumerate(inputs)}
        self.statements: list[str] = []
        self.buffers: dict[Line, str] = {}  # that hold results, as long as these are needed
        self.memory: dict[Line, Any] = {}  # the arrays that results lie in, where they are the same in each call
        self._free: dict[Any, list[str]] = {}  # buffers by shape, dtype and order of the axes
        self._scratch: dict[Any, Any] = {}
        self._ending: Collection[Line] = ()  # lines whose memory is not read after this statement
        self.parts, merged = sums_of_parts(lines, outputs, _fills_out)
        lines = [line for line in lines if line not in merged]
        special = dict.fromkeys(_read_by_many_products(lines), COPIED) | dict.fromkeys(self.parts, PART)
        emitters = {line: special.get(line) or emitter_of(line) for line in lines}
        owns = {line: emitter.owns for line, emitter in emitters.items()}
        owners = owners_of(inputs, owns)
        ends = last_uses(lines, outputs, owners, self.parts)
        held = Counter(owner for line in outputs for owner in owners[line])
        for k, line in enumerate(lines):
            self.names[line] = f"v{k}"
            self._ending = ends.get(k, ())
            if line in special or not self._is_view(line):
                self.statements.append(emitters[line].emit(self, line))
            for done in self._ending:
                if done in self.buffers and done not in held:
                    self._free.setdefault(memory_of(done), []).append(self.buffers[done])
        # The outputs that have a buffer to themselves
        self.apart = {line for line in outputs if line in self.buffers and held[line] == 1}
        # The outputs that may lie in arrays which others made and may change
        self.lent = {line for line in outputs if any(is_lent(owner, owns) for owner in owners[line])}

    def function(self, inputs: Sequence[Line], returned: Sequence[str]) -> Callable[..., tuple[Any, ...]]:
        """The statements as a function of the inputs; its source is in `.source`."""
        arguments = ", ".join(self.names[line] for line in inputs)
        body = "\n    ".join([*self.statements, f"return ({', '.join([*returned, ''])})"])
        self.source = f"def run({arguments}):\n    {body}\n"
        exec(compile(self.source, "<derivation>", "exec"), self.namespace)
        run: Callable[..., tuple[Any, ...]] = self.namespace.pop("run")  # or they would hold each other
        return run

    def reference(self, value: Any) -> str:
        """The code of an argument."""
        if isinstance(value, Line):
            return self.names[value]
        if isinstance(value, list | tuple) and any(isinstance(v, Line | list | tuple) for v in value):
            inner = ", ".join(self.reference(v) for v in value)
            return f"[{inner}]" if isinstance(value, list) else f"({inner},)"
        if value is None or type(value) in (int, bool):
            return repr(value)
        return self.constant("c", value)

    def arguments(self, line: Line) -> tuple[list[str], str]:
        """The code of each argument, and that of the options behind them."""
        args = [self.reference(a) for a in line.args]
        return args, "".join(f", {name}={self.reference(value)}" for name, value in line.options.items())

    def constant(self, prefix: str, value: Any) -> str:
        """A new name for an object."""
        name = f"{prefix}{len(self.namespace)}"
        self.namespace[name] = value
        return name

    def scratch(self) -> Scratch:
        return Scratch(self._scratch)

    def buffer(self, line: Line, may_be: Sequence[Any] = ()) -> str:
        """Memory for the result: that of an operand that is not needed any more, or unused memory, or new memory."""
        memory = memory_of(line)
        for operand in may_be:
            if (
                isinstance(operand, Line)
                and operand in self.buffers
                and operand in self._ending
                and memory_of(operand) == memory
            ):
                name = self.buffers.pop(operand)
                break
        else:
            unused = self._free.get(memory)
            name = unused.pop() if unused else self.constant("b", empty_aligned(line.shape, line.dtype, line.axes))
        self.buffers[line] = name
        self.memory[line] = self.namespace[name]
        return name

    def _is_view(self, line: Line) -> bool:
        """Whether the line is a view of memory that is known: then the view is made now, once."""
        source = self.memory.get(line.args[0]) if line.args and isinstance(line.args[0], Line) else None
        function: Any = line.function
        if source is None or not getattr(function, "moves", False) or len(list(line.operands())) > 1:
            return False
        view = function.forward(source, **line.options)
        if not (isinstance(view, np.ndarray) and np.may_share_memory(view, source)):
            return False
        self.memory[line] = view
        self.names[line] = self.constant("b", view)
        return True


@dataclass(frozen=True)
class Emitter:
    """How a line becomes code, and whether the result certainly owns its memory. A result that may be a view (whether a
    reshape is one depends on the layout) keeps the memory of its operands in use."""

    emit: Callable[[Code, Line], str]
    owns: bool
    takes: Callable[[Line], bool] = lambda line: True


def emitter_of(line: Line) -> Emitter:
    """The first emitter that takes the line: one for its function, or a general one."""
    candidates = (*EMITTERS.get(function_of(line.function), ()), *GENERAL)
    return next(emitter for emitter in candidates if emitter.takes(line))


# Any function


def _is_ufunc(line: Line) -> bool:
    return isinstance(function_of(line.function), np.ufunc)


def _fills_out(line: Line) -> bool:
    return _is_ufunc(line) and line.ndim > 0 and function_of(line.function).nout == 1 and not line.options


def ufunc(code: Code, line: Line) -> str:
    return f"{code.names[line]} = {ufunc_call(code, line, code.buffer(line, line.args))}"


def ufunc_call(code: Code, line: Line, memory: str) -> str:
    function = function_of(line.function)
    args, _ = code.arguments(line)
    out = "out=" if function in (np.maximum, np.minimum) else ""  # a third position is deprecated for these
    return f"{code.constant('f', function)}({', '.join(args)}, {out}{memory})"


def _has_into(line: Line) -> bool:
    return getattr(line.function, "into", None) is not None


def _works_in_place(line: Line) -> bool:
    is_scalar = not line.ndim and not any(isinstance(a, Line) and a.ndim for a in line.args)
    return _has_into(line) and not is_scalar and (_one_dtype(line) or not isinstance(line.function, Primitive))


def into(code: Code, line: Line) -> str:
    """The call of a primitive's `into`."""
    function: Any = line.function
    args, options = code.arguments(line)
    over = function.overwrites if isinstance(function, Primitive) else None
    b = code.buffer(line, () if over is None else (line.args[over],)) if line.ndim else "None"
    scratch = code.constant("s", code.scratch())
    call = f"{code.constant('f', function.into)}({b}, {scratch}, {', '.join(args)}{options})"
    return f"{call}; {code.names[line]} = {b}" if line.ndim else f"{code.names[line]} = {call}"


def reshaped(code: Code, line: Line) -> str:
    """A reshape that is no view of known memory."""
    source = line.args[0]
    if source not in code.memory or line.options["order"] != "C" or line.axes != tuple(range(line.ndim)):
        return call(code, line)
    b = code.buffer(line)
    view = code.constant("b", code.namespace[b].reshape(source.shape))
    return f"np.copyto({view}, {code.reference(source)}); {code.names[line]} = {b}"


def call(code: Code, line: Line) -> str:
    """The call as it is, which allocates."""
    args, options = code.arguments(line)
    function = line.function.forward if isinstance(line.function, Primitive) else line.function
    return f"{code.names[line]} = {code.constant('f', function)}({', '.join(args)}{options})"


NEW = Emitter(call, owns=True)
GENERAL = (
    Emitter(ufunc, owns=True, takes=_fills_out),
    Emitter(into, owns=True, takes=_works_in_place),
    Emitter(call, owns=True, takes=lambda line: _is_ufunc(line) or _has_into(line)),
    Emitter(call, owns=False),
)


def part(code: Code, line: Line) -> str:
    """A part put, or added, where it belongs in memory that other parts may be in."""
    of = code.parts[line]
    base, taken = (None, None) if of.base is None else (code.reference(of.base), code.buffers.get(of.base))
    b = code.buffer(line, (of.base,))
    view, name = code.constant("b", code.namespace[b][of.index]), code.names[line]
    if of.lands:
        put = ufunc_call(code, of.value, view)
    elif of.is_first:
        put = f"np.copyto({view}, {code.reference(of.value)})"
    else:
        put = f"{code.constant('f', np.add)}({view}, {code.reference(of.value)}, {view})"
    if base is not None:
        return f"{put}; {name} = {b}" if b == taken else f"np.copyto({b}, {base}); {put}; {name} = {b}"
    return f"{b}.fill(0); {put}; {name} = {b}" if of.zeros else f"{put}; {name} = {b}"


PART = Emitter(part, owns=True)


# What most steps consist of, spelt out: the same calls as the primitive's own, with all views made beforehand


def _one_dtype(line: Line) -> bool:
    return all(a.dtype == line.dtype for a in line.args if isinstance(a, Line | np.ndarray | np.generic))


def _lines_of_one_dtype(line: Line) -> bool:
    return all(isinstance(a, Line) and a.dtype == line.dtype for a in line.args)


def turned(code: Code, line: Line) -> str:
    return f"{code.names[line]} = {code.reference(line.args[0])}.T"


def copied(code: Code, line: Line) -> str:
    """A view that is copied into C order, once for all that read it."""
    b = code.constant("b", empty_aligned(line.shape, line.dtype))
    code.memory[line] = code.namespace[b]
    return f"np.copyto({b}, {call(code, line).partition(' = ')[2]}); {code.names[line]} = {b}"


COPIED = Emitter(copied, owns=True)


def _read_by_many_products(lines: Sequence[Line]) -> list[Line]:
    """Transposed matrices that many products of few rows multiply by: those with the weights of a recurrent layer, for
    each step back. With a copy in C order, BLAS computes such a product in half of the time."""
    products = (line for line in lines if line.function in (product, _linear) and line.shape[-2] > 8)
    reads = Counter(line.args[1] for line in products if isinstance(line.args[1], Line))
    return [
        line for line, n in reads.items() if n >= 8 and line.function is _transpose and line.axes[-1] != line.ndim - 1
    ]


def _is_of_matrices(line: Line) -> bool:
    return _lines_of_one_dtype(line) and all(a.ndim > 1 for a in line.args[:2])


def _is_of_rows(line: Line) -> bool:
    return line.ndim == 2 and _is_of_matrices(line)


def matrix_product(code: Code, line: Line) -> str:
    args, _ = code.arguments(line)
    v, b = code.names[line], code.buffer(line)
    x, w = line.args[:2]
    if not is_tall(x.shape, w.shape):
        return f"{v} = np.matmul({args[0]}, {args[1]}, {b})"
    multiply = np.multiply if x.shape[1] == 1 else np.matmul
    of_b = code.constant("b", code.namespace[b].T)
    return f"{code.constant('f', multiply)}({args[1]}.T, {args[0]}.T, {of_b}); {v} = {b}"


def layer(code: Code, line: Line) -> str:
    product, b = matrix_product(code, line), code.buffers[line]
    return f"{product}; {code.constant('f', np.add)}({b}, {code.reference(line.args[2])}, {b})"


def where_positive(code: Code, line: Line) -> str:
    g = line.args[1]
    if g not in code.buffers:  # then its memory, of which a view is needed, is not known yet
        return into(code, line)
    args, _ = code.arguments(line)
    bits = BITS[line.dtype.itemsize]
    of_g = code.constant("b", code.namespace[code.buffers[g]].view(bits))
    b = code.buffer(line, (g,))
    out = code.namespace[b]
    mask = code.constant("s", code.scratch()(0, out, bool))
    seen = f"{code.constant('f', np.greater)}({args[0]}, 0, {mask})"
    times = f"{code.constant('f', np.multiply)}({of_g}, {mask}, {code.constant('b', out.view(bits))})"
    return f"{seen}; {times}; {code.names[line]} = {b}"


def column_sums(code: Code, line: Line) -> str:
    args, _ = code.arguments(line)
    b = code.buffer(line)
    ones = code.constant("c", ones_of(line.args[0].shape[0], line.dtype))
    return f"{code.names[line]} = np.dot({ones}, {args[0]}, {b})"


def _sums_over_axes(line: Line) -> bool:
    known = line.options.keys() <= {"axis", "keepdims", "dtype"} and line.options.get("dtype") is None
    return line.ndim > 0 and _one_dtype(line) and known


def _sums_rows(line: Line) -> bool:
    """Whether it adds the rows of each matrix of a stack: the gradient of a bias."""
    rows = {"axis": (line.ndim - 2,), "keepdims": True, "dtype": None}
    is_stack = line.ndim > 2 and line.dtype.char in "fd"
    return is_stack and _sums_over_axes(line) and {"dtype": None, **line.options} == rows


def sums(code: Code, line: Line) -> str:
    args, options = code.arguments(line)
    return f"{code.names[line]} = np.add.reduce({args[0]}{options}, out={code.buffer(line)})"


def _takes_mean(line: Line) -> bool:
    return _sums_over_axes(line) and line.dtype.char in "fd" and 0 not in line.shape


def means(code: Code, line: Line) -> str:
    total, count = sums(code, line), math.prod(line.args[0].shape) // math.prod(line.shape)
    b = code.buffers[line]
    return f"{total}; {code.constant('f', np.divide)}({b}, {count}, {b})"


def sums_of_rows(code: Code, line: Line) -> str:
    args, _ = code.arguments(line)
    ones = code.constant("c", ones_of(line.args[0].shape[-2], line.dtype)[None])
    return f"{code.names[line]} = np.matmul({ones}, {args[0]}, {code.buffer(line)})"


def where(code: Code, line: Line) -> str:
    args, _ = code.arguments(line)
    b = code.buffer(line)
    return f"{code.constant('f', _where_into)}({b}, {', '.join(args)}); {code.names[line]} = {b}"


def _where_into(out: Any, condition: Any, a: Any, b: Any) -> None:
    np.copyto(out, b)
    np.copyto(out, a, where=np.asarray(condition, bool))


_EMITTERS: dict[Any, tuple[Emitter, ...]] = {
    _reshape: (Emitter(reshaped, owns=False),),
    _transpose: (Emitter(turned, owns=False, takes=lambda line: tuple(line.options["axes"]) == (1, 0)),),
    product: (Emitter(matrix_product, owns=True, takes=_is_of_matrices),),
    _linear: (Emitter(layer, owns=True, takes=_is_of_rows),),
    _where_positive: (
        Emitter(
            where_positive,
            owns=True,
            takes=lambda line: line.ndim > 0 and _lines_of_one_dtype(line) and line.dtype.itemsize in BITS,
        ),
    ),
    sum_rows: (Emitter(column_sums, owns=True, takes=lambda line: line.ndim > 0), NEW),
    np.sum: (
        Emitter(sums_of_rows, owns=True, takes=_sums_rows),
        Emitter(sums, owns=True, takes=_sums_over_axes),
        NEW,
    ),
    np.mean: (Emitter(means, owns=True, takes=_takes_mean), NEW),
    _scatter: (NEW,),
    _where: (Emitter(where, owns=True, takes=lambda line: line.ndim > 0), NEW),
}
EMITTERS = {function_of(function): emitters for function, emitters in _EMITTERS.items()}
