"""Who is handed an operation on tensors: in each thread by itself.

"Transform means interpret differently" (JAX's autodidax): an operation on tensors goes to the interpreter of the
moment. `RECORD` computes and records, `COMPUTE` only computes (`no_grad`), an `Observer` looks on while another one
works, and a trace (in `compiler`) writes the operation down. What is recorded is a `Record`, through which `engine.py`
walks back.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ContextDecorator, contextmanager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any

import numpy as np

from .conversion import constant_value, widened
from .inplace import next_order
from .origin import argument_of, origin_of

if TYPE_CHECKING:
    from .primitives import Options, Primitive

Node = Any  # a `Record`, or the leaf tensor at which the record ends
Watcher = Callable[["Record", Any, Sequence[Any]], None]  # told of a record, its output and its arguments' values


class Notes:
    """What only drawings and messages want to know of a record."""

    __slots__ = ("calls", "constants", "module", "name", "position")

    def __init__(self) -> None:
        self.name: str | None = None
        self.calls: tuple[Any, ...] = ()  # of modules that returned it
        self.constants: tuple[Any, ...] | None = None  # (shape, name) of its constant arrays, by argument
        self.module = ""  # the path of the module that asked for it
        self.position: tuple[str, int] | None = None  # the file and the line that asked for it


NOTHING = Notes()


class Record:
    """One applied function: where its inputs came from, and what its rules will read.

    It points to the records of its inputs (or to leaf tensors), never to intermediate tensors and never forward, so
    dropping the result frees the whole graph by reference counting.
    """

    __slots__ = ("kind", "nodes", "notes", "options", "order", "primitive", "saved", "shape_and_dtype")

    order: int  # smaller is newer
    primitive: Primitive
    nodes: tuple[Node | None, ...]  # of the arguments; None where one is constant
    saved: tuple[Any, ...] | None  # the output, then the arguments: those a rule will read; None once released
    options: Options
    kind: type[Any]  # the output's class: `ndarray`, or that of a NumPy scalar, which says it all
    shape_and_dtype: tuple[tuple[int, ...], np.dtype[Any]] | None  # of an array
    notes: Notes | None

    @property
    def shape(self) -> tuple[int, ...]:
        return () if self.shape_and_dtype is None else self.shape_and_dtype[0]

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.kind) if self.shape_and_dtype is None else self.shape_and_dtype[1]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        size = 1
        for n in self.shape:
            size *= n
        return size

    @property
    def name(self) -> str | None:
        return self.noted.name

    @property
    def position(self) -> tuple[str, int] | None:
        return self.noted.position

    @property
    def noted(self) -> Notes:
        """The notes, to be read."""
        return self.notes or NOTHING

    @property
    def noting(self) -> Notes:
        """The notes, to be written."""
        if self.notes is None:
            self.notes = Notes()
        return self.notes

    def __repr__(self) -> str:
        return f"Record({self.primitive.name}, shape={self.shape}, dtype={self.dtype})"


def record_of(
    primitive: Primitive, y: Any, nodes: tuple[Node | None, ...], saved: tuple[Any, ...], options: Options
) -> Record:
    """The record of one applied function that gave `y`."""
    record = _new(Record)
    record.order = next_order()
    record.primitive = primitive
    record.nodes = nodes
    record.saved = saved
    record.options = options
    record.kind = kind = y.__class__
    record.shape_and_dtype = (y.shape, y.dtype) if kind is np.ndarray else None
    record.notes = None
    return record


_new = object.__new__
_order = operator.attrgetter("order")


def reached(root: Record) -> tuple[list[Record], set[Node]]:
    """All records behind `root` and itself, oldest first, and the leaves at their ends."""
    records, leaves = {root}, set()
    waiting = [root]
    while waiting:
        for node in waiting.pop().nodes:
            if node.__class__ is not Record:
                leaves.add(node)
            elif node not in records:
                records.add(node)
                waiting.append(node)
    return sorted(records, key=_order, reverse=True), leaves - {None}


def leading_to(targets: Collection[Node], root: Record) -> set[Node]:
    """The nodes on the ways from `root` to `targets`."""
    leading = set(targets)
    for record in reached(root)[0]:
        if not leading.isdisjoint(record.nodes):
            leading.add(record)
    return leading


class Operand:
    """Base of tensors: what a function does not compute with, but hands to the interpreter."""

    __slots__ = ()
    requires_grad: bool
    record: Record | None
    _data: Any
    _requires_grad: bool

    def _made(self, value: Any, record: Record | None) -> Any:
        """A new tensor of that value, computed as recorded."""
        raise NotImplementedError


class Interpreter:
    """Who is handed operations on tensors."""

    records = True  # whether a gradient can flow through what it gives
    check: Callable[[], Any] | None = None  # makes, for each backward pass, what is told every gradient of it

    def apply(self, primitive: Primitive, args: tuple[Any, ...], options: Options) -> Any:
        """An operation on tensors."""
        raise NotImplementedError

    def constant(self, function: Callable[..., Any], args: tuple[Any, ...], options: Options) -> Any:
        """A function of tensors through which no gradient flows, such as a comparison."""
        return function(*map(plain, args), **{name: plain(value) for name, value in options.items()})

    def values(self, t: Operand, what: str = "the values of a tensor are asked for") -> Any:
        """The values of a tensor, for somebody who looks at them; `what` says who."""
        return t._data

    def detached(self, t: Operand) -> Any:
        """What stands for a tensor where no gradient flows: its values, as far as they are known."""
        return t._data

    def argument_of(self, t: Operand, primitive: Primitive) -> Any:
        """The tensor that `primitive` was applied to, if that made `t` and if that is remembered; else None."""
        return argument_of(t, primitive)

    def recording(self, wanted: bool) -> Interpreter:
        """The same interpreter, with or without recording."""
        return RECORD if wanted else COMPUTE


class _Recorder(Interpreter):
    """Computes, and records what a gradient can flow through."""

    def apply(self, primitive: Primitive, args: tuple[Any, ...], options: Options) -> Any:
        operand = None
        values: list[Any] = []
        nodes: list[Node | None] = []
        needed: list[bool] = []
        bound, settings = primitive.bind(args, options)
        for a in bound:
            if isinstance(a, Operand):
                operand = a
                values.append(a._data)
                node: Node | None = a.record
                if node is None and a._requires_grad:
                    node = a
            else:
                values.append(constant_value(a))
                node = None
            nodes.append(node)
            needed.append(node is not None)
        if operand is None or True not in needed:
            return COMPUTE.apply(primitive, args, options)
        y = primitive.forward(*values, **settings)
        if y.__class__ is not np.ndarray or y.dtype.kind != "f":
            y = _differentiable(primitive, y)
        saved = primitive.picks[tuple(needed)]((None, y, *values))
        record = record_of(primitive, y, tuple(nodes), saved, settings)
        if False in needed:
            note_constants(record, bound)
        t = operand._made(y, record)
        if primitive.marks_origin or primitive.moves:
            t._origin = origin_of(primitive, settings, bound[0], values[0], nodes[0])
        return t


class _Computer(Interpreter):
    """Computes. Small integers become int64, so that arithmetic on a uint8 image does not wrap around."""

    records = False

    def apply(self, primitive: Primitive, args: tuple[Any, ...], options: Options) -> Any:
        operand = next(a for a in (*args, *options.values()) if isinstance(a, Operand))
        args, options = primitive.bind(args, options)
        values = [a._data if isinstance(a, Operand) else constant_value(a) for a in args]
        if not primitive.moves:
            values = [widened(v) for v in values]
        t = operand._made(primitive.forward(*values, **options), None)
        if primitive.marks_origin or primitive.moves:
            t._origin = origin_of(primitive, options, args[0], values[0], None)
        return t


class Observer(Interpreter):
    """Another interpreter, with somebody who is told of every operation that it records."""

    def __init__(self, inner: Interpreter, watcher: Watcher, check: Callable[[], Any] | None = None) -> None:
        self.inner, self.watcher, self.check = inner, watcher, check or inner.check
        self.records = inner.records

    def apply(self, primitive: Primitive, args: tuple[Any, ...], options: Options) -> Any:
        bound, options = primitive.bind(args, options)
        t = self.inner.apply(primitive, bound, options)
        if t.record is not None:
            self.watcher(t.record, t._data, [a._data if isinstance(a, Operand) else a for a in bound])
        return t

    def recording(self, wanted: bool) -> Interpreter:
        return Observer(self.inner.recording(wanted), self.watcher, self.check)


RECORD, COMPUTE = _Recorder(), _Computer()
_interpreter: ContextVar[Interpreter] = ContextVar("tinygrad_edu.interpreter", default=RECORD)
interpreter = _interpreter.get


def is_recording() -> bool:
    return interpreter().records


def gradient_check() -> Callable[[], Any] | None:
    """What makes the one who checks a backward pass, inside `detect_anomaly()`."""
    return interpreter().check


def plain(value: Any) -> Any:
    """`value` with every tensor in it, also in lists and tuples, replaced by its array."""
    if isinstance(value, Operand):
        return interpreter().detached(value)
    if isinstance(value, list | tuple):
        return type(value)(plain(v) for v in value)
    return value


def note_constants(record: Record, args: Sequence[Any]) -> None:
    """Notes the shapes and names of the constant arrays among the arguments, for drawings."""
    for k, (arg, node) in enumerate(zip(args, record.nodes, strict=True)):
        if node is None and (isinstance(arg, Operand) or (arg.__class__ is np.ndarray and arg.ndim)):
            described: Any = arg
            shape, name = described.shape, getattr(arg, "name", None)
            if shape or name:
                notes = record.noting
                constants = list(notes.constants or (None,) * len(args))
                constants[k] = shape, name
                notes.constants = tuple(constants)


def _differentiable(primitive: Primitive, y: Any) -> Any:
    """What a primitive gave, refused unless it is one array (or number) of floats."""
    if isinstance(y, float):
        y = np.float64(y)
    if not isinstance(y, np.ndarray | np.generic):
        raise TypeError(f"{primitive.name} must give one array, got {type(y).__name__}")
    if y.dtype.kind != "f":
        raise TypeError(
            f"{primitive.name} of a tensor that requires grad gave {y.dtype}, which has no gradient; use .detach() "
            "if none is wanted"
        )
    return y


class no_grad(ContextDecorator):
    """Inside it, or in a function decorated with it, nothing is recorded, in this thread.

    >>> x = tg.Tensor([1.0], requires_grad=True)
    >>> with tg.no_grad():
    ...     y = x * 2
    ...
    >>> y.requires_grad
    False
    """

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        """`@no_grad` decorates as `@no_grad()` does."""
        return super().__new__(cls) if function is None else cls()(function)

    def __init__(self) -> None:
        self._tokens: list[Token[Interpreter]] = []

    def _recreate_cm(self) -> no_grad:  # each call of a decorated function, in whatever thread, has its own
        return no_grad()

    def __enter__(self) -> None:
        self._tokens.append(_interpreter.set(interpreter().recording(False)))

    def __exit__(self, *error: object) -> None:
        _interpreter.reset(self._tokens.pop())


@contextmanager
def interpreting(by: Interpreter) -> Iterator[None]:
    """Inside it, operations on tensors are handed to `by`, in this thread."""
    token = _interpreter.set(by)
    try:
        yield
    finally:
        _interpreter.reset(token)


def recording() -> Any:
    """The opposite of `no_grad`, for what must record to do its work."""
    return interpreting(interpreter().recording(True))


def watching(watcher: Watcher, check: Callable[[], Any] | None = None) -> Any:
    """Inside it, `watcher` is told of every operation that is recorded in this thread, after those outside are.

    Every backward pass calls `check`, if it is given, and tells what it gets the gradient of each record and leaf.
    """
    return interpreting(Observer(interpreter(), watcher, check))
