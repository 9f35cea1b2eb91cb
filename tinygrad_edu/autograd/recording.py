"""Who is handed an operation on tensors, in each thread separately.

"Transform means interpret differently" (JAX's autodidax): an operation on tensors goes to the interpreter of the
moment. `RECORD` computes and records, `COMPUTE` only computes (`no_grad`), an `Observer` looks on while another one
works, and a trace (in `compiler`) writes the operation down. What is recorded is a `Record`, through which `engine.py`
walks back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .call_site import where
from .conversion import as_array, constant_value, differentiable, numbers, rebuilt, widened
from .keeping import keep
from .origin import argument_of, remember
from .record import Node, Operand, Record, record_of

if TYPE_CHECKING:
    from .primitives import Primitive
    from .reads import Options

Watcher = Callable[["Record", Any, Sequence[Any]], None]  # told of a record, its output and its arguments' values

differentiated: set[Node] = set()  # the variables of the transforms that are running, in all threads


class DerivativeLost(TypeError):
    """A number or a plain array was made of what is being differentiated."""


def _behind(t: Operand) -> set[Node]:
    """All that a tensor was computed from and that it changes with, itself among it. A step function, such as `floor`,
    changes with nothing."""
    if t.record is None:
        return {t} if t._requires_grad else set()
    found: set[Node] = {t.record}
    waiting = [t.record]
    while waiting:
        record = waiting.pop()
        for node in () if record.primitive.steps else record.nodes:
            if node is not None and node not in found:
                found.add(node)
                if node.__class__ is Record:
                    waiting.append(node)
    return found


class Interpreter:
    """Who is handed operations on tensors."""

    lines: Any = None  # what a trace has written

    @property
    def records(self) -> bool:
        """Whether a gradient can flow through what it gives."""
        return True

    @property
    def check(self) -> Callable[[], Any] | None:
        """Makes, for each backward pass, the function that is told every gradient."""
        return None

    def apply(self, primitive: Primitive, args: tuple[Any, ...], options: Options) -> Any:
        """An operation on tensors."""
        raise NotImplementedError

    def unary(self, primitive: Primitive, a: Any) -> Any:
        """The same, for a primitive of one operand without options."""
        return self.apply(primitive, (a,), {})

    def binary(self, primitive: Primitive, a: Any, b: Any) -> Any:
        """The same, for a primitive of two operands without options."""
        return self.apply(primitive, (a, b), {})

    def constant(self, function: Callable[..., Any], args: tuple[Any, ...], options: Options) -> Any:
        """A function of tensors through which no gradient flows, such as a comparison."""
        return function(*map(plain, args), **{name: plain(value) for name, value in options.items()})

    def values(self, t: Operand, what: str = "the values of a tensor are asked for") -> Any:
        """The values of a tensor, for somebody who looks at them; `what` says who."""
        return t._value

    def data(self, t: Operand) -> Any:
        """What `t.data` is: the array of its values."""
        t._value = array = np.asarray(self.values(t))
        return array

    def assigns(self, t: Operand, value: Any) -> bool:
        """Whether it does by itself what `t.data = value` does."""
        self.values(t, "a tensor is assigned to")
        return False

    def replaces(self, t: Operand, new: Any) -> Any:
        """What `t += u` gives where `new`, which is `t + u`, takes the place of `t`; None where `t` itself changes."""
        return None

    def number(self, t: Operand, what: str) -> Any:
        """The values of a tensor, for somebody who makes a number or a plain array of them without a word. Inside a
        transform, its derivative would be lost without a word, too."""
        if differentiated and not differentiated.isdisjoint(_behind(t)):
            raise DerivativeLost(
                f"{what} {where()}: inside a transform its derivative would be lost. Keep it a tensor: with `import "
                "tinygrad_edu.numpy as np`, make an array that is filled by np.zeros, one of tensors by np.array or "
                "np.stack; take a @ t in place of an array's own a.dot(t), NumPy's functions in place of math's, what "
                "tinygrad_edu.scipy has in place of SciPy's, np.where in place of a branch; or take .detach() if no "
                "derivative is wanted"
            )
        return self.values(t, what)

    def detached(self, t: Operand) -> Any:
        """What stands for a tensor where no gradient flows: its values, as far as they are known."""
        return t._value

    def variable(self, t: Operand, constant: bool) -> Any:
        """A leaf of the value of `t`, to differentiate by; `constant` says that `t` was made of an array just now."""
        leaf = t._made(t._value, None)
        leaf.requires_grad = True
        return leaf

    def argument_of(self, t: Operand, primitive: Primitive) -> Any:
        """The tensor that `primitive` was applied to, if that made `t` and if that is remembered; else None."""
        return argument_of(t, primitive)

    def recording(self, wanted: bool) -> Interpreter:
        """The same interpreter, with or without recording."""
        return RECORD if wanted else COMPUTE


class _Recorder(Interpreter):
    """Computes, and records what a gradient can flow through."""

    def apply(self, primitive: Primitive, args: tuple[Any, ...], options: Options) -> Any:
        operand, tied = None, False
        values: list[Any] = []
        nodes: list[Node | None] = []
        needed: list[bool] = []
        bound, settings = primitive.bind(args, options)
        for a in bound:
            if isinstance(a, Operand):
                operand, tied = a, tied or a._ties is not None
                values.append(a._value)
                node = a.record if a.record is not None else a if a._requires_grad else None
            else:
                try:
                    values.append(constant_value(a))
                except TypeError as error:
                    error.add_note(
                        f"in '{primitive.name}', which takes arrays by position; if that is a primitive of yours, make "
                        "what is no array an option, a keyword-only parameter of the function and of its rules"
                    )
                    raise
                node = None
            nodes.append(node)
            needed.append(node is not None)
        if operand is None or True not in needed:
            return COMPUTE.apply(primitive, args, options)
        y = primitive.forward(*values, **settings)
        if y.__class__ is not np.ndarray or y.dtype.kind != "f":
            y = differentiable(primitive.name, y)
        saved = primitive.picks[tuple(needed)]((None, y, *values))  # those that the rules will read, else None
        record = record_of(primitive, y, tuple(nodes), saved, settings)
        if tied or False in needed:
            keep(record, bound)
        t = operand._made(y, record)
        if primitive.marks_origin or primitive.moves:
            remember(t, primitive, settings, bound[0], values[0], nodes[0])
        return t

    # The same, unrolled: arithmetic on single numbers is mostly this.

    def unary(self, primitive: Primitive, a: Any) -> Any:
        node = a.record if a.record is not None else a if a._requires_grad else None
        if node is None:
            return COMPUTE.apply(primitive, (a,), {})
        y = primitive.forward(a._value)
        if not primitive.is_ufunc:
            y = differentiable(primitive.name, y)
        saved = primitive.picks[True,]((None, y, a._value))
        record = record_of(primitive, y, (node,), saved, primitive.defaults)
        if a._ties is not None:
            keep(record, (a,))
        return a._made(y, record)

    def binary(self, primitive: Primitive, a: Any, b: Any) -> Any:
        node_a = node_b = None
        if isinstance(a, Operand):
            x, node_a = a._value, a.record if a.record is not None else a if a._requires_grad else None
        else:
            x = constant_value(a)
        if isinstance(b, Operand):
            z, node_b = b._value, b.record if b.record is not None else b if b._requires_grad else None
        else:
            z = constant_value(b)
        if node_a is None and node_b is None:
            return COMPUTE.apply(primitive, (a, b), {})
        y = primitive.forward(x, z)
        if not primitive.is_ufunc:
            y = differentiable(primitive.name, y)
        saved = primitive.picks[node_a is not None, node_b is not None]((None, y, x, z))
        record = record_of(primitive, y, (node_a, node_b), saved, primitive.defaults)
        if node_a is None:
            record.number = x
            if x.__class__ is np.ndarray or b._ties is not None or (x is not a and a._name):
                keep(record, (a, b))
        elif node_b is None:
            record.number = z
            if z.__class__ is np.ndarray or a._ties is not None or (z is not b and b._name):
                keep(record, (a, b))
        elif a._ties is not None or b._ties is not None:
            keep(record, (a, b))
        return (a if node_a is not None else b)._made(y, record)


_FLOATS = {float, *(np.dtype(c) for c in np.typecodes["Float"])}


class _Computer(Interpreter):
    """Computes. Small integers among themselves become int64, so that arithmetic on a uint8 image does not wrap
    around; beside floats they are what they are for NumPy."""

    @property
    def records(self) -> bool:
        return False

    def number(self, t: Operand, what: str) -> Any:
        return self.values(t, what)

    def apply(self, primitive: Primitive, args: tuple[Any, ...], options: Options) -> Any:
        operand = next(a for a in (*args, *options.values()) if isinstance(a, Operand))
        args, options = primitive.bind(args, options)
        values = [a._value if isinstance(a, Operand) else constant_value(a) for a in args]
        if not primitive.selects and not any(getattr(v, "dtype", v.__class__) in _FLOATS for v in values):
            values = [widened(v) for v in values]
        t = operand._made(primitive.forward(*values, **options), None)
        if primitive.marks_origin or primitive.moves:
            remember(t, primitive, options, args[0], values[0], None)
        return t


class Around(Interpreter):
    """Wraps another interpreter and adds something."""

    def __init__(self, inner: Interpreter) -> None:
        self.inner = inner

    @property
    def lines(self) -> Any:
        return self.inner.lines

    @property
    def records(self) -> bool:
        return self.inner.records

    @property
    def check(self) -> Callable[[], Any] | None:
        return self.inner.check

    def apply(self, primitive: Primitive, args: tuple[Any, ...], options: Options) -> Any:
        return self.inner.apply(primitive, args, options)

    def constant(self, function: Callable[..., Any], args: tuple[Any, ...], options: Options) -> Any:
        return self.inner.constant(function, args, options)

    def values(self, t: Operand, what: str = "the values of a tensor are asked for") -> Any:
        return self.inner.values(t, what)

    def data(self, t: Operand) -> Any:
        return self.inner.data(t)

    def assigns(self, t: Operand, value: Any) -> bool:
        return self.inner.assigns(t, value)

    def replaces(self, t: Operand, new: Any) -> Any:
        return self.inner.replaces(t, new)

    def number(self, t: Operand, what: str) -> Any:
        return self.inner.number(t, what)

    def detached(self, t: Operand) -> Any:
        return self.inner.detached(t)

    def variable(self, t: Operand, constant: bool) -> Any:
        return self.inner.variable(t, constant)

    def argument_of(self, t: Operand, primitive: Primitive) -> Any:
        return self.inner.argument_of(t, primitive)

    def recording(self, wanted: bool) -> Interpreter:
        return self.inner.recording(wanted)


class Observer(Around):
    """Tells a watcher of every recorded operation, after the watchers outside."""

    def __init__(self, inner: Interpreter, watcher: Watcher, check: Callable[[], Any] | None = None) -> None:
        super().__init__(inner)
        self.watcher, self._check = watcher, check

    @property
    def check(self) -> Callable[[], Any] | None:
        return self._check or self.inner.check

    def apply(self, primitive: Primitive, args: tuple[Any, ...], options: Options) -> Any:
        bound, options = primitive.bind(args, options)
        t = self.inner.apply(primitive, bound, options)
        if t.record is not None:
            self.watcher(t.record, t._value, [a._value if isinstance(a, Operand) else a for a in bound])
        return t

    def recording(self, wanted: bool) -> Interpreter:
        return Observer(self.inner.recording(wanted), self.watcher, self._check)


RECORD, COMPUTE = _Recorder(), _Computer()
current: ContextVar[Interpreter] = ContextVar("tinygrad_edu.interpreter", default=RECORD)
interpreter = current.get


def is_recording() -> bool:
    return interpreter().records


def gradient_check() -> Callable[[], Any] | None:
    """Makes the checker of a backward pass, inside `detect_anomaly()`."""
    return interpreter().check


def holds_operand(value: Any) -> bool:
    """Whether it is a tensor, or a list or tuple in which there is one, however deep."""
    return isinstance(value, Operand) or (isinstance(value, _SEQUENCES) and any(map(holds_operand, value)))


def is_constant(given: tuple[Any, ...]) -> bool:
    """Whether what a function is given has values, and no gradient flows through it."""
    return bool(given) and interpreter().lines is None and not (is_recording() and wants_gradient(given))


def wants_gradient(value: Any) -> bool:
    if isinstance(value, Operand):
        return value.requires_grad
    return isinstance(value, _SEQUENCES) and any(map(wants_gradient, value))


_SEQUENCES = list, tuple


def plain(value: Any) -> Any:
    """`value` with every tensor in it, also in lists and tuples, replaced by its array."""
    if isinstance(value, Operand):
        return interpreter().detached(value)
    if isinstance(value, list | tuple):
        return rebuilt(value, map(plain, value))
    return value


def array_of(value: Any, who: str | None = None, dtype: Any = None) -> NDArray[Any]:
    """The plain array of a tensor, or of anything else that makes one. With `who`, which begins the message, what is
    not real numbers is refused."""
    if isinstance(value, Operand):
        value = interpreter().number(value, "a plain array is made of a tensor")
    return as_array(value, dtype) if who is None else numbers(who, value, dtype)


def interpreted(by: Interpreter, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Calls `function` while operations on tensors go to `by`, in a context of its own: however it ends, by Ctrl-C at
    any moment, the caller's is as it was."""
    context = copy_context()
    context.run(current.set, by)
    return context.run(function, *args, **options)


@contextmanager
def interpreting(by: Interpreter) -> Iterator[None]:
    """Inside it, operations on tensors are handed to `by`, in this thread."""
    before = interpreter()
    current.set(by)
    try:
        yield
    finally:
        current.set(before)  # and not by a token, which another context (of a task, say) does not take


def recording() -> Any:
    """The opposite of `no_grad`, for code that must record to work."""
    return interpreting(interpreter().recording(True))


def watching(watcher: Watcher, check: Callable[[], Any] | None = None) -> Any:
    """Inside it, `watcher` is told of every operation that is recorded in this thread, after those outside are.

    Every backward pass calls `check`, if it is given, and tells what it gets the gradient of each record and leaf.
    """
    return interpreting(Observer(interpreter(), watcher, check))
