"""The third reader of the rules: a trace, which writes down what is done to tensors instead of computing it.

A function is run once on symbols. That gives its forward part as a list of `Line`s; read with symbols, the derivative
rules write the backward part behind it. What was written is printed as NumPy source (`source.py`), or run in memory
that is allocated once (`program.py`).

A trace is an interpreter. Tensors that the function has from elsewhere, such as parameters, stay what they are.
"""

from __future__ import annotations

import copy
import operator
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..autograd.conversion import constant_value, rebuilt, widened
from ..autograd.differentiation import _variable
from ..autograd.primitives import Primitive
from ..autograd.reads import Options
from ..autograd.record import Node, Record, record_of
from ..autograd.recording import Interpreter, interpreted, interpreter
from ..autograd.tensor import Tensor
from ..autograd.views import note_view, sharing, views_of
from ..random import generator
from .lines import Line, among_zeros, example_of, is_zeros, name_of, result_of
from .refusals import ADVICE, ASSIGN, CHANGED, LOOK, refusal
from .simplified import NEGATIVE, key_of, simplified
from .state import MOST_WATCHED

METADATA = {np.shape, np.ndim, np.size, np.result_type, np.iscomplexobj}
SIZES_FROM_DATA = {np.nonzero, np.flatnonzero, np.argwhere}


class Trace(Interpreter):
    """The lines of a function that was run on symbols, in the order in which they were written."""

    def __init__(self, parameters: Iterable[Tensor] = ()) -> None:
        self._records = True
        self.lines: list[Line] = []
        self.effects: list[Line] = []  # what must be done in any case: checks, which may raise, and drawing
        self.line_of: dict[Record, Line] = {}
        self.records_of: dict[Line, Record] = {}
        self.parameters = {p: Line(None, (), {}, p._value) for p in parameters}
        self.captured: dict[Tensor, Line] = {}  # tensors that are neither inputs nor parameters: read in each run
        self.updates: dict[Tensor, Line] = {}  # what some of those are afterwards
        self.shown: dict[Tensor, list[Symbol]] = {}  # views of tensors from outside
        self._constants: dict[int, tuple[Any, Any]] = {}
        self._held: dict[int, Any] = {}  # the copies
        self._known: dict[Any, Line] = {}  # a common subexpression is written once

    @property
    def records(self) -> bool:
        return self._records

    def recording(self, wanted: bool) -> Interpreter:
        twin = copy.copy(self)  # which writes into the same lists
        twin._records = wanted
        return twin

    def symbol(self, line: Line) -> Symbol:
        """A tensor that stands for what a line computes."""
        return _symbol(line, self.lines)

    def input(self, value: Any) -> Symbol:
        """A symbol for an input of the function, of which `value` is an example."""
        return self.symbol(Line(None, (), {}, value))

    def line(self, t: Tensor) -> Line:
        """The line of a tensor. A tensor from outside the traced function gets a line of its own, so that what is
        computed from it is computed anew in each run."""
        if isinstance(t, Symbol):
            return t.line_in(self.lines)
        found = self.updates.get(t) or self.parameters.get(t) or self.captured.get(t)
        if found is None:
            if t.record is not None:
                raise TypeError(
                    f"a tensor of shape {t.shape} that was recorded outside is used: no gradient can flow through it. "
                    "Compute it inside the function, or detach() it"
                )
            found = self.captured[t] = Line(None, (), {}, t._value)
        return found

    # What the trace is handed

    def apply(self, primitive: Primitive, args: tuple[Any, ...], options: Options) -> Any:
        args, options = primitive.bind(args, options)
        args = tuple(a if isinstance(a, Tensor) else self.operand(constant_value(a)) for a in args)
        nodes = tuple(self._node(a) for a in args)
        wanted = self.records and any(node is not None for node in nodes)
        if not wanted and not primitive.selects:
            args = tuple(self._widened(a) for a in args)
        if primitive is NEGATIVE and not wanted and (line := self.line(args[0])).function is NEGATIVE:
            return self.symbol(line.args[0])
        if isinstance(primitive.function, np.ufunc) and len(args) == 2:
            primitive, args, nodes = simplified(primitive, args, nodes)
            if not isinstance(primitive, Primitive):
                return self._twin(primitive) if wanted else self.detached(primitive)
        y = self.write(primitive, args, options)
        if wanted:
            y.record, y._requires_grad = self._record(primitive, args, nodes, options, y.line), True
        if primitive.moves and isinstance(args[0], Tensor) and isinstance(y.line.example, np.ndarray):
            note_view(y, args[0], primitive, options)
            if not isinstance(args[0], Symbol):
                self.shown.setdefault(args[0], []).append(y)
        return y

    def constant(self, function: Callable[..., Any], args: tuple[Any, ...], options: Options) -> Any:
        if function in METADATA:
            return function(*map(example_of, args), **options)
        return self.write(function, args, options)

    def values(self, t: Any, what: str = "the values of a tensor are asked for") -> Any:
        raise refusal(what, next((advice for about, advice in ADVICE.items() if about in what), LOOK))

    def data(self, t: Any) -> Any:
        return self.detached(t)

    def assigns(self, t: Any, value: Any) -> bool:
        if isinstance(t, Symbol) or t.requires_grad:
            raise refusal("a tensor that is computed or learned is assigned to", ASSIGN)
        self.line(t)  # which is read first in each run, so that it has a value if nothing is assigned
        if np.shape(value) != t.shape:
            raise ValueError(f"data of shape {np.shape(value)} assigned to a tensor of shape {t.shape}; make a new one")
        new = value if isinstance(value, Symbol) else self.write(np.positive, (np.asarray(value),), {})
        self.updates[t] = self.line(new if new.dtype == t.dtype else new.astype(t.dtype))
        return True

    def replaces(self, t: Any, new: Any) -> Any:
        if not isinstance(t, Symbol):
            if new._requires_grad:
                raise refusal("a tensor from outside is changed by what a gradient flows through", ASSIGN)
            shown = list(self.shown.get(t, ()))
            for view in shown:
                view.is_changed = True
                shown += views_of(view)
            return t if self.assigns(t, new) else None
        for other in sharing(t):
            if not isinstance(other, Symbol):
                raise refusal("a view of a tensor from outside is assigned to", ASSIGN)
            other.is_changed |= np.shares_memory(other.line.example, t.line.example)
        return new

    def _twin(self, t: Any) -> Any:
        """Another symbol of the same line and record, which may be changed without `t`."""
        if not isinstance(t, Symbol) or t.record is None:
            return t
        twin = self.symbol(t.line)
        twin.record, twin._requires_grad = t.record, t._requires_grad
        return twin

    def detached(self, t: Any) -> Any:
        return self.symbol(self.line(t))

    def variable(self, t: Any, constant: bool) -> Any:
        leaf = self.write(np.positive, (t._value,), {}) if constant else self.detached(t)
        leaf.requires_grad = True
        return leaf

    def argument_of(self, t: Any, primitive: Primitive) -> Any:
        if not isinstance(t, Symbol):
            return None
        line: Any = t.line
        node: Any = t.record
        moves = []
        while isinstance(line.function, Primitive) and line.function.moves:
            moves.append(line)
            line, node = line.args[0], node and node.nodes[0]
        if line.function is not primitive:
            return None
        parent = node.nodes[0] if isinstance(node, Record) else None
        argument = parent if isinstance(parent, Tensor) else self.symbol(line.args[0])
        if isinstance(parent, Record):
            argument.record, argument._requires_grad = parent, True
        for move in reversed(moves):
            argument = move.function(argument, **move.options)
        return argument

    # Writing

    def _node(self, a: Any) -> Node | None:
        if not isinstance(a, Tensor):
            return None
        self.line(a)
        return a._node()

    def _record(
        self, primitive: Primitive, args: tuple[Any, ...], nodes: tuple[Node | None, ...], options: Options, line: Line
    ) -> Record:
        """The record of a line, for the walk back; a common subexpression has only one."""
        record = self.records_of.get(line)
        if record is None or not all(map(operator.is_, record.nodes, nodes)):
            plain = [self.symbol(self.line(a)) if isinstance(a, Tensor) else a for a in args]
            pick = primitive.picks[tuple(node is not None for node in nodes)]
            record = record_of(primitive, line.example, nodes, pick((None, self.symbol(line), *plain)), options)
            self.line_of[record] = line
            self.records_of[line] = record
        return record

    def _constant(self, array: Any) -> Any:
        """A copy of the array as it is now, since others may change it; one too large to be watched is used itself."""
        if array.size > MOST_WATCHED or id(array) in self._held:
            return array
        _, held = self._constants.get(id(array), (None, None))
        if held is None or held.dtype != array.dtype or not np.array_equal(held, array):
            held = array.copy(order="K")
            self._constants[id(array)] = array, held
            self._held[id(held)] = held
        return held

    def watched(self) -> list[tuple[Any, Any]]:
        """The constant arrays, as long as somebody else has them, with copies of what they hold now."""
        # A view is kept, since others may have what it is a view of.
        return [
            (weakref.ref(array) if array.base is None else array, array.copy()) for array, _ in self._constants.values()
        ]

    def operand(self, value: Any) -> Any:
        """An argument as a line holds it: lines in place of tensors, copies of arrays."""
        if isinstance(value, Tensor):
            return self.line(value)
        if isinstance(value, list | tuple):
            return rebuilt(value, map(self.operand, value))
        return self._constant(value) if isinstance(value, np.ndarray) else value

    def _widened(self, value: Any) -> Any:
        """Small integers as int64, as tensors do."""
        if not isinstance(value, Tensor):
            return widened(value)
        if widened(np.empty((), value.dtype)).dtype == value.dtype:
            return value
        return self.write(np.astype, (value, np.dtype(np.int64)), {})

    def write(self, function: Callable[..., Any], args: tuple[Any, ...], options: Options) -> Any:
        """Writes a call down as a line and returns its value, a symbol without a record."""
        if function in SIZES_FROM_DATA or _selects(options.get("index")):
            raise refusal("the size of a result depends on the data")
        lines = tuple(self.operand(a) for a in args)
        settings = {name: self.operand(value) for name, value in options.items()}
        key = key_of(function, lines, settings)
        if key in self._known and function is not _variable:  # each transform differentiates by one of its own
            return self.symbol(self._known[key])
        draws = getattr(function, "draws", False)  # then the last argument is the generator, and each call differs
        drawn_from = generator(args[-1]) if draws else None
        state: Any = drawn_from.bit_generator.state if drawn_from is not None else None
        y = among_zeros(function, lines, options)
        y = result_of(function, args, options) if y is None else y
        if drawn_from is not None:
            drawn_from.bit_generator.state = state  # the example must not use up random numbers
        line = Line(function, lines, settings, y)
        self.lines.append(line)
        if y is None:
            self.effects.append(line)
            return None
        if not isinstance(y, np.ndarray | np.generic | bool | int | float):
            raise TypeError(f"{name_of(function)} gives {type(y).__name__}, which a derivation cannot hold")
        if draws:
            self.effects.append(line)  # the next numbers are others, whether or not these are needed
        else:
            self._known[key] = line
        return self.symbol(line)


class Symbol(Tensor):
    """A tensor that stands for what a line computes. It has a shape and a dtype, but no values to look at."""

    __slots__ = ("is_changed", "line", "lines")

    is_changed: bool
    line: Line
    lines: list[Line]  # those of its trace

    def line_in(self, lines: list[Line]) -> Line:
        if self.is_changed:
            raise refusal("a tensor is used", because=CHANGED)
        if lines is not self.lines:
            raise refusal("a tensor of a traced function is used outside of it, or in a derivation inside of it")
        return self.line

    def _rebuilt(self, node: Node) -> Tensor:
        if isinstance(node, Tensor):
            return node
        return _symbol(self.line, self.lines, node)

    @property
    def _value(self) -> Any:
        """An example of the values: for the trace itself, and only as long as it goes on."""
        line = self.line_in(interpreter().lines)
        return np.zeros(line.shape, line.dtype) if is_zeros(line) else line.example

    @property
    def shape(self) -> tuple[int, ...]:
        return self.line.shape

    @property
    def size(self) -> int:
        return int(np.prod(self.line.shape))

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.line.dtype

    def __repr__(self) -> str:
        return f"Symbol({self.line!r})"

    # Comparisons give symbols, which can be combined.

    def __and__(self, other: Any) -> Any:
        return np.logical_and(self, other)

    def __or__(self, other: Any) -> Any:
        return np.logical_or(self, other)

    def __invert__(self) -> Any:
        return np.logical_not(self)

    __rand__, __ror__ = __and__, __or__


def _symbol(line: Line, lines: list[Line], record: Record | None = None) -> Symbol:
    s = Symbol.__new__(Symbol)
    s.line, s.lines, s.record, s.is_changed = line, lines, record, False
    s._grad = s._name = s._ties = None
    s._requires_grad = record is not None
    return s


def _selects(index: Any) -> bool:
    """Whether an index is a mask made of data."""
    if isinstance(index, tuple):
        return any(map(_selects, index))
    return isinstance(index, Tensor) and index.dtype == bool


def written(function: Callable[[Trace], Any]) -> Any:
    """What `function` gives when it is called with a trace, which makes symbols. What is done to these is written down,
    without records."""
    trace = Trace()
    return interpreted(trace.recording(False), function, trace)
