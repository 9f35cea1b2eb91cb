"""The third reader of the rules: a symbol, which speaks NumPy and writes down what is done to it.

A function is run once on symbols. That gives its forward part as a list of `Line`s; read with symbols, the derivative
rules write the backward part behind it. What was written is printed as NumPy source (`source.py`), or run in memory
that is allocated once (`program.py`).
"""

from __future__ import annotations

import contextlib
import functools
import linecache
import operator
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..autograd import primitives
from ..autograd.conversion import constant_value, widened
from ..autograd.engine import Record, next_order
from ..autograd.operators import DIVIDE, MULTIPLY, POWER
from ..autograd.primitives import Options, Primitive, primitive_of
from ..autograd.recording import is_recording, no_grad, recording
from ..autograd.tensor import Tensor
from ..random import generator

NEGATIVE = primitive_of(np.negative)
METADATA = {np.shape, np.ndim, np.size, np.result_type, np.iscomplexobj}
PACKAGE = str(Path(__file__).parents[1])


class Line:
    """One step of a program: a function with its arguments, which are other lines, or constants."""

    __slots__ = ("args", "dtype", "example", "function", "options", "order", "shape")

    def __init__(
        self, function: Callable[..., Any] | None, args: tuple[Any, ...], options: Options, value: Any
    ) -> None:
        self.function = function  # None for an input
        self.args = args
        self.options = options
        self.shape: tuple[int, ...] = np.shape(value)
        self.dtype: np.dtype[Any] = getattr(value, "dtype", np.dtype(type(value)))
        by_columns = isinstance(value, np.ndarray) and value.flags.f_contiguous and not value.flags.c_contiguous
        self.order: Any = "F" if by_columns else "C"  # of the elements in memory
        self.example: Any = value  # while it is traced

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def operands(self) -> Iterator[Line]:
        """The lines that this one reads."""
        waiting: list[Any] = [*self.options.values(), *self.args][::-1]
        while waiting:
            value = waiting.pop()
            if isinstance(value, Line):
                yield value
            elif isinstance(value, list | tuple):
                waiting.extend(value)

    def __repr__(self) -> str:
        return f"Line({getattr(self.function, '__name__', 'input')}, {self.shape})"


class Trace:
    """The lines of a function that was run on symbols, in the order in which they were written."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.effects: list[Line] = []  # checks, which may raise
        self.line_of: dict[Record, Line] = {}
        self.records: dict[Any, Record] = {}  # of lines
        self.captured: dict[Tensor, Line] = {}  # tensors that are neither inputs nor parameters: read in each run
        self.held: list[tuple[Tensor, type[Any], Any]] = []  # what is a symbol meanwhile, and what it was
        self._constants: dict[int, tuple[Any, Any]] = {}
        self._known: dict[Any, Line] = {}  # a common subexpression is written once

    def hold(self, t: Tensor) -> Line:
        """Makes a symbol of a tensor, with a line of its own."""
        self.held.append((t, t.__class__, getattr(t, "_origin", None)))
        line = Line(None, (), {}, t._data)
        t._origin = line  # type: ignore[assignment]
        t.__class__ = Symbol
        return line

    def constant(self, array: Any) -> Any:
        """A copy of the array as it is now: what becomes of it later is not what was seen."""
        _, held = self._constants.get(id(array), (None, None))
        if held is None or held.dtype != array.dtype or not np.array_equal(held, array):
            held = array.copy(order="K")
            self._constants[id(array)] = array, held
        return held

    def write(self, function: Callable[..., Any], args: tuple[Any, ...], options: Options) -> Any:
        """Notes a call and returns its value, a symbol without a record."""
        if function in SIZES_FROM_DATA or _selects(options.get("index")):
            raise _refusal("the size of a result depends on the data")
        values = [_example(a) for a in args]
        named = {name: _example(value) for name, value in options.items()}
        lines = tuple(_line_of(a) for a in args)
        settings = {name: _line_of(value) for name, value in options.items()}
        key = (function, _key(lines), _key(tuple(sorted(settings.items()))))
        if key in self._known:
            return _symbol(self._known[key])
        draws = getattr(function, "draws", False)  # then the last argument says what from, and each call differs
        drawn_from = generator(args[-1]) if draws else None
        state: Any = drawn_from.bit_generator.state if drawn_from is not None else None
        with np.errstate(all="ignore"):
            y = (function.forward if isinstance(function, Primitive) else function)(*values, **named)
        if drawn_from is not None:
            drawn_from.bit_generator.state = state  # the example is not a draw
        line = Line(function, lines, settings, y)
        self.lines.append(line)
        if y is None:
            self.effects.append(line)
            return None
        if not isinstance(y, np.ndarray | np.generic | bool | int | float):
            raise TypeError(f"{_name(function)} gives {type(y).__name__}, which a derivation cannot hold")
        if not draws:
            self._known[key] = line
        return _symbol(line)


_traces: list[Trace] = []  # of this process …
_one_at_a_time = threading.RLock()  # … and of one thread:
_tracer: int | None = None


SIZES_FROM_DATA = {np.nonzero, np.flatnonzero, np.argwhere}


def _selects(index: Any) -> bool:
    """Whether an index is a mask made of data."""
    if isinstance(index, tuple):
        return any(map(_selects, index))
    return isinstance(index, Symbol) and index.dtype == bool


def _name(function: Any) -> str:
    return getattr(function, "__name__", repr(function)).lstrip("_")


def _example(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_example(v) for v in value)
    return value._data if isinstance(value, Tensor) else value


def _line_of(value: Any) -> Any:
    if isinstance(value, Tensor):
        capture(value)
        return value._origin
    if isinstance(value, list | tuple):
        return type(value)(_line_of(v) for v in value)
    if isinstance(value, np.ndarray):
        return _traces[-1].constant(value)
    return value


def capture(t: Tensor) -> bool:
    """Makes a symbol of a tensor that the traced function has from elsewhere: what is computed from it is computed in
    each run. Does nothing, and says so, while this thread traces nothing."""
    if _tracer != threading.get_ident():
        return False
    if not isinstance(t, Symbol):
        if t.record is not None:
            raise TypeError(
                f"a tensor of shape {t.shape} that was recorded outside is used: its gradient could not go on. "
                "Compute it inside the function, or detach() it"
            )
        _traces[-1].captured[t] = _traces[-1].hold(t)
    return True


def _key(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return (type(value), *(_key(v) for v in value))
    if isinstance(value, str | int | float | bool | np.generic | type(None)):
        return (type(value), repr(value))
    return id(value) if not isinstance(value, slice) else ("slice", repr(value))


def _symbol(line: Line) -> Any:
    s = Symbol.__new__(Symbol)
    s._data = line.example
    s._origin = line  # type: ignore[assignment]
    s.record = s._grad = s._name = None
    s._requires_grad = False
    return s


def _refusal(what: str) -> TypeError:
    """What is wrong, and the line of the user's code."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
    code = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
    return TypeError(
        f"{what} at {place}{f' ({code})' if code else ''}: a derivation holds for all values, so it must not depend on "
        "them. Write np.where(condition, a, b) for a choice, and leave values in arrays"
    )


def _to_its_thread(method: Callable[..., Any]) -> Any:
    """A parameter is a symbol only to the thread that traces: others wait until it is a tensor again."""

    @functools.wraps(method)
    def call(self: Any, *args: Any, **options: Any) -> Any:
        if _tracer == threading.get_ident():
            return method(self, *args, **options)
        with _one_at_a_time:
            if isinstance(self, Symbol):
                raise _refusal("a symbol is used after the function that it was made for")
            return getattr(self, method.__name__)(*args, **options)

    return call


def _refuses(name: str, what: str) -> Any:
    def method(self: Any, *args: Any, **options: Any) -> Any:
        raise _refusal(what)

    method.__name__ = name
    return _to_its_thread(method)


class Symbol(Tensor):
    """A tensor that writes down what is done to it. It has a shape and a dtype, but no values to look at."""

    __slots__ = ()
    writes = True

    @_to_its_thread
    def _apply(self, primitive: Primitive, args: tuple[Any, ...], options: Options) -> Any:
        args, options = primitive.bind(args, options)
        return self._written(primitive, args, options)

    @_to_its_thread
    def _binary(self, primitive: Primitive, a: Any, b: Any) -> Any:
        return self._written(primitive, (a, b), {})

    def _written(self, primitive: Primitive, args: tuple[Any, ...], options: Options) -> Any:
        args = tuple(_symbol_or_constant(a) for a in args)
        nodes = tuple(a._node() if isinstance(a, Tensor) else None for a in args)
        wanted = is_recording() and any(node is not None for node in nodes)
        if not wanted and not primitive.moves:
            args = tuple(_widened(a) for a in args)
        first: Any = args[0]._origin if isinstance(args[0], Symbol) else None
        if primitive is NEGATIVE and first is not None and first.function is NEGATIVE and not wanted:
            return _symbol(first.args[0])
        if isinstance(primitive.function, np.ufunc) and len(args) == 2:
            primitive, args, nodes = _simplified(primitive, args, nodes)
            if not isinstance(primitive, Primitive):
                return primitive
        y = _traces[-1].write(primitive, args, options)
        known = _traces[-1].records.get(y._origin) if wanted and y is not None else None
        if known is not None and all(map(operator.is_, known.parents, nodes)):
            # A common subexpression has one record, too.
            y.record, y._requires_grad = known, True
        elif wanted:
            pick = primitive.picks[tuple(node is not None for node in nodes)]
            plain = (None, y._value(), *(a._value() if isinstance(a, Symbol) else a for a in args))
            record = Record.__new__(Record)
            record.order, record.primitive, record.nodes = next_order(), primitive, nodes
            record.left = record.right = record.constants = record.name = None
            record.calls = ()
            record.saved = pick(plain)
            record.options, record.kind = options or None, type(y._data)
            record.shape_and_dtype = (y.shape, y.dtype) if isinstance(y._data, np.ndarray) else None
            y.record, y._requires_grad = record, True
            _traces[-1].line_of[record] = y._origin
            _traces[-1].records[y._origin] = record
        return y

    @_to_its_thread
    def _write(self, function: Callable[..., Any], args: tuple[Any, ...], options: Options) -> Any:
        if function in METADATA:
            return function(*map(_example, args), **options)
        return _traces[-1].write(function, args, options)

    @_to_its_thread
    def _value(self) -> Any:
        return _symbol(self._origin)  # type: ignore[arg-type]

    @_to_its_thread
    def detach(self) -> Any:
        return self._value()

    @_to_its_thread
    def argument_of(self, primitive: Primitive) -> Any:
        line: Any = self._origin
        node: Any = self.record
        moves = []
        while isinstance(line.function, Primitive) and line.function.moves:
            moves.append(line)
            line, node = line.args[0], node and node.parents[0]
        if line.function is not primitive:
            return None
        parent = node.parents[0] if isinstance(node, Record) else None
        t = parent if isinstance(parent, Symbol) else _symbol(line.args[0])
        if isinstance(parent, Record):
            t.record, t._requires_grad = parent, True
        for move in reversed(moves):
            t = move.function(t, **move.options)
        return t

    # What would look at values

    @property
    def data(self) -> Any:
        return self.numpy()

    @data.setter
    def data(self, value: Any) -> None:
        self._bind(value)

    @_to_its_thread
    def _bind(self, value: Any) -> None:
        raise _refusal("a symbol is assigned to")

    numpy = _refuses("numpy", "the values of a symbol are asked for")
    item = _refuses("item", "the value of a symbol is asked for")
    tolist = _refuses("tolist", "the values of a symbol are asked for")
    __array__ = _refuses("__array__", "a plain array is made of a symbol")
    __float__ = _refuses("__float__", "the value of a symbol is asked for")
    __int__ = _refuses("__int__", "the value of a symbol is asked for")
    __bool__ = _refuses("__bool__", "a Python branch depends on the data")
    __index__ = _refuses("__index__", "an index depends on the data")
    __setitem__ = _refuses("__setitem__", "a symbol is assigned into")
    __getstate__ = _refuses("__getstate__", "a symbol is copied")
    __reduce_ex__ = _refuses("__reduce_ex__", "a symbol is copied")
    backward = _refuses("backward", "backward() is called on a symbol")

    def __repr__(self) -> str:
        return f"Symbol({self._origin!r})"

    # Python asks a subclass first only for what it defines itself.

    def __radd__(self, other: Any) -> Any:
        return Tensor.__radd__(self, other)

    def __rsub__(self, other: Any) -> Any:
        return Tensor.__rsub__(self, other)

    def __rmul__(self, other: Any) -> Any:
        return Tensor.__rmul__(self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return Tensor.__rtruediv__(self, other)

    def __rpow__(self, other: Any) -> Any:
        return Tensor.__rpow__(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return Tensor.__rmatmul__(self, other)

    # Comparisons give symbols, which can be combined.

    def __and__(self, other: Any) -> Any:
        return self._write(np.logical_and, (self, other), {})

    def __or__(self, other: Any) -> Any:
        return self._write(np.logical_or, (self, other), {})

    def __invert__(self) -> Any:
        return self._write(np.logical_not, (self,), {})

    __rand__, __ror__ = __and__, __or__


def _symbol_or_constant(a: Any) -> Any:
    if not isinstance(a, Tensor):
        return constant_value(a)
    capture(a)
    return a


def _simplified(primitive: Any, args: tuple[Any, ...], nodes: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...], Any]:
    """A binary operation with a constant, without changing a bit: a constant array of one repeated value is that value,
    x · 1 and x¹ are x (which stands then in place of the primitive), and x · −1 is −x."""
    for k in (0, 1):
        c, x = args[k], args[1 - k]
        if isinstance(c, Tensor) or not isinstance(x, Symbol):
            continue
        if (
            isinstance(c, np.ndarray)
            and c.ndim
            and c.size
            and c.shape == x.shape
            and c.flat[0]
            and np.all(c == c.flat[0])
        ):
            c = c.flat[0]
            args = (c, x) if k == 0 else (x, c)
        if np.ndim(c) or np.result_type(c, x._data) != x.dtype or isinstance(c, np.ndarray):
            continue
        if c == 1 and (primitive is MULTIPLY or (k == 1 and primitive in (POWER, DIVIDE) and x.dtype.kind == "f")):
            return x, args, nodes
        if c == -1 and primitive is MULTIPLY:
            return NEGATIVE, (x,), (nodes[1 - k],)
    return primitive, args, nodes


def _widened(value: Any) -> Any:
    """Small integers as int64, as tensors do."""
    if isinstance(value, Symbol):
        return (
            value if widened(value._data) is value._data else value._write(np.astype, (value, np.dtype(np.int64)), {})
        )
    return widened(value)


@contextlib.contextmanager
def _tracing(trace: Trace, parameters: Iterable[Tensor]) -> Iterator[None]:
    """Inside it, the parameters are symbols, wherever they are held, and so are the tensors that are captured."""
    global _tracer
    outer = _tracer
    primitives.tracing += 1
    _traces.append(trace)
    try:
        _tracer = threading.get_ident()
        for p in parameters:
            trace.hold(p)
        with recording():
            yield
    finally:
        for t, kind, origin in trace.held:
            t.__class__ = kind
            t._origin = origin
        trace.held.clear()
        _traces.pop()
        _tracer = outer
        primitives.tracing -= 1


@contextlib.contextmanager
def writing() -> Iterator[Callable[[Any], Any]]:
    """Inside it, what is yielded makes symbols of arrays, on which a function writes down what it does."""
    with _one_at_a_time, _tracing(Trace(), ()), no_grad():
        yield lambda value: _symbol(Line(None, (), {}, value))
