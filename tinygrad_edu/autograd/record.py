"""What is recorded of an applied function, and which records lie behind one."""

from __future__ import annotations

import operator
import weakref
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from .inplace import next_order

if TYPE_CHECKING:
    from .primitives import Primitive
    from .reads import Options

Node = Any  # a `Record`, or the leaf tensor at which the record ends


class Notes:
    """What only drawings, messages and hooks need to know about a record."""

    name: str | None = None
    constants: tuple[Any, ...] | None = None  # (shape, name, id) of its constant arrays, by argument
    module = ""  # the path of the module that asked for it
    position: tuple[str, int] | None = None  # the file and the line that asked for it
    hooks: Any = None  # what is called with its gradient
    passed_by = False  # whether a loss was computed from what this was made of, so that its gradient does not come here
    retained: weakref.ref[Any] | None = None  # the tensor whose `.grad` gets it


NOTHING = Notes()


class Record:
    """One applied function: where its inputs came from, and what its rules will read.

    It points to the records of its inputs (or to leaf tensors), never to intermediate tensors and never forward, so
    dropping the result frees the whole graph by reference counting.
    """

    __slots__ = (
        "__weakref__",
        "calls",
        "kind",
        "nodes",
        "notes",
        "number",
        "options",
        "order",
        "primitive",
        "saved",
        "shape_and_dtype",
    )

    order: int  # when it was made, counted downwards: newest first is smallest first, as a heap hands them out
    primitive: Primitive
    nodes: tuple[Node | None, ...]  # of the arguments; None where one is constant
    saved: tuple[Any, ...] | None  # the output, then the arguments: those a rule will read; None once released
    options: Options
    kind: type[Any]  # the output's class: `ndarray`, or that of a NumPy scalar, which says it all
    shape_and_dtype: tuple[tuple[int, ...], np.dtype[Any]] | None  # of an array
    calls: tuple[Any, ...]  # of modules that returned it, for drawings
    notes: Notes | None
    number: Any  # the constant one of two arguments, if it is a number; otherwise None, or not there

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
        """The notes, for reading."""
        return self.notes or NOTHING

    @property
    def noting(self) -> Notes:
        """The notes, for writing."""
        if self.notes is None:
            self.notes = Notes()
        return self.notes

    def __repr__(self) -> str:
        return f"Record({self.primitive.name}, shape={self.shape}, dtype={self.dtype})"


class Operand:
    """Base of tensors: what a function does not compute with, but hands to the interpreter."""

    __slots__ = ()
    requires_grad: bool
    record: Record | None
    data: Any
    name: str | None
    shape: Any
    _value: Any
    _name: str | None
    _requires_grad: bool
    _ties: Any

    def _made(self, value: Any, record: Record | None) -> Any:
        """A new tensor of that value, computed as recorded."""
        raise NotImplementedError


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
    record.calls = ()
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
    """The nodes on the paths from `root` to `targets`."""
    leading = set(targets)
    for record in reached(root)[0]:
        if not leading.isdisjoint(record.nodes):
            leading.add(record)
    return leading
