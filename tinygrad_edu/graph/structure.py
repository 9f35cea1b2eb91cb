"""The record behind a tensor, walked once: which value each operation reads, and which call of a module it is part of.

Operations are numbered from 0 in order of execution, and the result of operation i is value i; leaves and constants
have the numbers after those.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ..autograd.keeping import SMALL
from ..autograd.record import Node, Record, reached
from ..autograd.tensor import Tensor

if TYPE_CHECKING:
    from ..nn.layers import Module

# How operations are written in pictures and tables, where that is not their name.
SIGNS = {"add": "+", "subtract": "−", "multiply": "×", "divide": "/", "negative": "−", "power": "**",
         "product": "@", "matmul": "@", "sigmoid": "σ", "sum": "Σ", "sqrt": "√"}  # fmt: skip


class Source(NamedTuple):
    """A value that no operation of the graph made."""

    node: Tensor | None  # None for a constant
    shape: tuple[int, ...] = ()
    name: str | None = None


NUMBER = Source(None)


@dataclass(slots=True)
class Call:
    """A call of a module that recorded operations."""

    label: str
    path: str
    parent: int  # the number of the call around it, −1 for none
    depth: int


@dataclass(slots=True)
class Walk:
    records: list[Record]  # oldest first
    inputs: list[tuple[int, ...]]  # of each operation: numbers of values, by argument's position
    sources: list[Source]
    calls: list[Call]  # in order of their starts, so outer ones first
    call_of: list[int]  # of each operation: the innermost call's number, −1 for none
    output: int  # number of a value
    names: dict[Tensor, str] | None  # the model's parameters; None without a model

    @property
    def count(self) -> int:
        """How many values there are."""
        return len(self.records) + len(self.sources)

    def described(self, v: int) -> tuple[Node | None, str, str | None, tuple[int, ...]]:
        """The node, the kind, the name and the shape of a value."""
        if v < len(self.records):
            record = self.records[v]
            return record, "output" if v == self.output else "result", record.name, record.shape
        node, shape, name = self.sources[v - len(self.records)]
        if node is None or not node.requires_grad:
            return node, "constant", name, shape
        kind = "parameter" if self.names is None or node in self.names else "input"
        return node, kind, (self.names or {}).get(node, name), shape

    def parameters(self) -> list[bool]:
        """For each source: whether it is a parameter."""
        n = len(self.records)
        return [source.node is not None and self.described(n + k)[1] == "parameter"
                for k, source in enumerate(self.sources)]  # fmt: skip

    def numbers(self) -> list[bool]:
        """For each source: whether it is a constant number without a name, like the 2 in 2 * x."""
        return [source.node is None and not source.shape and source.name is None for source in self.sources]


def walk(output: Tensor, model: Module | None) -> Walk:
    """The operations and values that `output` was computed from."""
    records = [] if output.record is None else reached(output.record)[0]
    number: dict[Any, int] = {record: i for i, record in enumerate(records)}
    inputs: list[tuple[int, ...]] = []
    sources: list[Source] = []

    def new(made: Source) -> int:
        sources.append(made)
        return len(records) + len(sources) - 1

    for record in records:
        saved = record.saved
        row = []
        for k, node in enumerate(record.nodes):
            v = None if node is None else number.get(node)
            if v is None and node is not None:
                v = number[node] = new(Source(node, node.shape, node.name))
            elif v is None:
                value = None if saved is None else saved[k + 1]
                described = record.noted.constants and record.noted.constants[k]
                made = Source(None, *described[:2]) if described else NUMBER
                if made is NUMBER or value is None:
                    v = new(made)
                else:  # an array that is used twice is one value, unless it was changed in between
                    key = "constant", described, value.tobytes() if value.size <= SMALL else None
                    v = number[key] = number[key] if key in number else new(made)
            row.append(v)
        inputs.append(tuple(row))
    last = len(records) - 1 if records else new(Source(output, output.shape, output.name))
    names = None if model is None else {parameter: name for name, parameter in model.named_parameters()}
    calls, call_of = _calls(records, number, model)
    return Walk(records, inputs, sources, calls, call_of, last, names)


def _calls(records: list[Record], number: dict[Any, int], model: Module | None) -> tuple[list[Call], list[int]]:
    """The calls of modules, and for each operation the innermost call that it is part of. A call consists of what its
    result was computed from, as far as that was recorded since the call began."""
    marked: dict[int, list[Record]] = {}
    modules: dict[int, tuple[type[Any], Any]] = {}
    for record in records:
        for start, kind, reference in record.calls:
            marked.setdefault(start, []).append(record)
            modules[start] = kind, reference()
    paths = {} if model is None else {id(m): name for name, m in model._walk() if not isinstance(m, Tensor)}
    calls: list[Call] = []
    call_of = [-1] * len(records)
    for start in sorted(modules, reverse=True):  # outer calls began earlier: orders count downwards
        kind, module = modules[start]
        around = call_of[number[marked[start][-1]]]
        seen: set[Record] = set()
        waiting: list[Any] = list(marked[start])
        while waiting:
            node = waiting.pop()
            if isinstance(node, Record) and node.order < start and node not in seen:
                seen.add(node)
                waiting.extend(node.nodes)
        for record in seen:
            call_of[number[record]] = len(calls)
        calls.append(
            Call(
                label=_label(kind, module),
                path=paths.get(id(module)) or kind.__name__,
                parent=around,
                depth=0 if around < 0 else calls[around].depth + 1,
            )
        )
    return calls, call_of


def titled(path: str, label: str) -> str:
    """A module's name in the model, then what it is: "2: Dense(25 → 10)"."""
    return label if label.startswith(path) else f"{path}: {label}"


def _label(kind: type[Any], module: Any) -> str:
    """ "Dense(400 → 25)", or just "Dense" if the module is gone."""
    description = "" if module is None else module._describe()
    return f"{kind.__name__}({description})" if description else kind.__name__
