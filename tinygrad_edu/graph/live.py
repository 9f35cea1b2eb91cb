"""The computation as a program that its page runs itself, so that numbers can be edited there.

The operations are done again on symbols, from the leaves on, and the rules are run on symbols behind them: so the page
gets all that it shows of the values, of their gradients and of each step of the walk back, as lines (`exported.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..autograd.record import Record
from ..compiler.exported import KNOWN, Unknown, exported, held, kind_of
from ..compiler.helpers import function_of
from ..compiler.lines import Line
from ..compiler.tracing import Symbol, Trace, written
from .steps import parts_of
from .structure import Walk
from .values import Values

LARGEST = 10**6  # bytes of a program in a page
MOST = 4000  # operations in it
EDITED = 100  # numbers in the largest array that can be edited
PLACES = "index", "indices", "order"
CHOSEN = "{} reads a condition that was worked out beforehand, like x > 0, and would not follow the edit"


def live(walk: Walk, values: Values, key: Mapping[int, str]) -> dict[str, Any]:
    """The program, the values of the leaves that it is given, and which of them can be edited; for each value, by its
    `key`, the numbers of its data and its gradient; for each operation and each of its arguments the numbers of the
    local derivative, the product, the part, and the sum of what has arrived. Or why there is none, as `{"why": …}`."""
    try:
        given = {v: _given(walk, values, v) for v in range(len(walk.records), walk.count)}
        for record, inputs in zip(walk.records, walk.inputs, strict=True):
            if function_of(record.primitive) not in KNOWN:
                raise Unknown(f"the page cannot compute {record.primitive.name}")
            if any(map(_is_condition, [*(given.get(v) for v in inputs), *_parts(record.options)])):
                raise Unknown(CHOSEN.format(record.primitive.name))
        if len(walk.records) > MOST:
            raise Unknown(f"{len(walk.records):,} operations are too many for a page")
        total = sum(array.size for array in given.values())
        if 8 * total > LARGEST:
            raise Unknown(f"{total:,} numbers are too many for a page")
        made = _checked(written(lambda trace: _Writing(walk, given, trace).made(key)))
        return made | {"told": _told(walk)}
    except Unknown as error:
        return {"why": str(error)}
    except TypeError:  # what a symbol says to a rule that looks at its values
        return {"why": "one of the rules looks at the numbers"}


def _parts(option: Any) -> list[Any]:
    """An option, or what is in it."""
    if isinstance(option, dict | list | tuple):
        found = option.values() if isinstance(option, dict) else option
        return [part for x in found for part in _parts(x)]
    return [option]


def _is_condition(x: Any) -> bool:
    """Whether these are truth values, which were found outside of the graph, as by `x > 0`."""
    return isinstance(x, np.ndarray | np.generic) and x.dtype == bool


def _told(walk: Walk) -> list[str]:
    """What operations were told by arrays, which may have been found from the data, as by `argmax`, in words."""
    words = {
        f"the {'places' if name in PLACES else 'options'} of {record.primitive.name}": None
        for record in walk.records
        for name, option in (record.options or {}).items()
        if any(isinstance(x, np.ndarray | np.generic) for x in _parts(option))
    }
    return list(words)


def _checked(made: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(made)) > LARGEST:
        raise Unknown("its program is too long for a page")
    return made


def _given(walk: Walk, values: Values, v: int) -> Any:
    """A leaf. Whole numbers, and single ones, count as what the operation that reads them makes of them."""
    if values.now:
        raise Unknown("something has changed since it was computed")
    first = next((i for i, inputs in enumerate(walk.inputs) if v in inputs), None)
    if v in values.known:
        array = np.asarray(values.known[v])
    elif first is None or (array := _found(walk, values, v, first)) is None:
        raise Unknown("some of its numbers were not kept")
    reader = None if first is None else walk.records[first]
    is_plain = walk.described(v)[1] == "constant" and (array.dtype.kind in "iu" or not array.ndim)
    if is_plain and reader is not None and reader.dtype.kind == "f" and array.dtype.kind in "iuf":
        return array.astype(reader.dtype)
    return array


# For each argument: the argument from the result and the other one
UNDONE: dict[Any, Any] = {np.add: (np.subtract, np.subtract), np.subtract: (np.add, lambda y, a: a - y)}


def _found(walk: Walk, values: Values, v: int, i: int) -> Any:
    """An array that is only added or subtracted by operation i, such as the targets in `prediction - y`, which no rule
    reads and no record keeps: from what came out, up to rounding. None if that is not known either."""
    record, inputs = walk.records[i], walk.inputs[i]
    undone, k = UNDONE.get(function_of(record.primitive)), inputs.index(v)
    if undone is None or inputs.count(v) > 1 or walk.described(v)[3] != record.shape:
        return None
    y, other = values.known.get(i), values.known.get(inputs[1 - k])
    return None if y is None or other is None else np.asarray(undone[k](y, other))


class _Writing:
    """Writes the lines of a computation."""

    def __init__(self, walk: Walk, given: dict[int, Any], trace: Trace) -> None:
        self.walk, self.given, self.trace = walk, given, trace
        self.value: dict[int, Any] = {v: trace.input(array) for v, array in given.items()}
        self.fixed: dict[Line, Any] = {}
        for i, (record, inputs) in enumerate(zip(walk.records, walk.inputs, strict=True)):
            self.value[i] = record.primitive(*(self.value[v] for v in inputs), **(record.options or {}))
        self.inputs = [self.value[v].line for v in given]
        self.outputs: list[Any] = []

    def made(self, key: Mapping[int, str]) -> dict[str, Any]:
        parts, gradients = self._back()
        numbers = {key[v]: [self._number(x), self._number(gradients.get(v))] for v, x in self.value.items()}
        rows = [[part and [self._number(x) for x in part] for part in row] for row in parts]
        program = exported(self.trace.lines, self.inputs, self.outputs, self.fixed)
        found = program.pop("outputs")
        at: Callable[[int | None], Any] = lambda n: None if n is None else found[n]
        return {
            "program": program,
            "given": [held(array) for array in self.given.values()],
            "leaves": [key[v] for v in self.given],
            "editable": [
                key[v] for v, array in self.given.items() if 0 < array.size <= EDITED and array.dtype.kind == "f"
            ],
            "values": {name: [at(n) for n in pair] for name, pair in numbers.items()},
            "parts": [[part and [at(n) for n in part] for part in row] for row in rows],
        }

    def _number(self, x: Any) -> int | None:
        """The number of an output."""
        if x is None:
            return None
        self.outputs.append(x.line if isinstance(x, Symbol) else np.asarray(x))
        return len(self.outputs) - 1

    def _ones(self, record: Record) -> Any:
        kind_of(record.dtype)
        ones = np.ones(record.shape, record.dtype)
        symbol = self.trace.input(ones)
        self.fixed[symbol.line] = ones
        return symbol

    def _back(self) -> tuple[list[list[Any]], dict[int, Any]]:
        """The walk back: for each operation what it adds to the gradients of its arguments, with the sums up to then;
        and all gradients."""
        walk = self.walk
        sums: dict[int, Any] = {walk.output: self._ones(walk.records[-1])} if walk.records else {}
        parts: list[list[Any]] = []
        for i in range(len(walk.records) - 1, -1, -1):
            record, inputs = walk.records[i], walk.inputs[i]
            row: list[Any] = [None] * len(inputs)
            if i in sums:
                saved = (self.value[i], *(self.value[v] for v in inputs))
                for k, part in enumerate(parts_of(record, saved, sums[i], self._ones(record))):
                    if part is None:
                        continue
                    node: Any = record.nodes[k]
                    v = inputs[k]
                    x = part.part if part.part.dtype == node.dtype else np.astype(part.part, node.dtype)
                    sums[v] = sums[v] + x if v in sums else x
                    product = part.product if part.product.shape != part.part.shape else None
                    row[k] = [part.local, product, x, sums[v]]
            parts.append(row)
        return parts[::-1], sums
