"""The recorded computation as data: what drawings, the page and `explain` show."""

from __future__ import annotations

import os
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy import ndarray

from ..autograd.engine import pullback
from ..autograd.inplace import changed_since
from ..autograd.record import Record
from ..autograd.tensor import Tensor
from ..nn.module import Module
from .folding import Partition, Unit, contents, fold, listed
from .formulas import written
from .structure import Walk, titled, walk

RELEASED = "backward() released what the records kept: values and gradients need backward(retain_graph=True)"


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of the graph, or an array or a number that it was computed from."""

    key: str  # "t0", "t1", … in order of execution, leaves where they are first used
    kind: str  # "parameter", "input" (it requires grad but is none of the model's), "constant", "result" or "output"
    name: str | None  # "0.weight" for a parameter of the model, otherwise the tensor's own
    shape: tuple[int, ...]
    dtype: str | None  # None where the record does not know it
    data: ndarray | None  # None where released or not kept: a record keeps only what its rules read; not to be changed
    current: bool  # whether `data` is what a tensor holds now, which may differ from what was computed with
    gradient: ndarray | None  # of the output with respect to this, when asked for; not to be changed
    group: str | None  # key of the group in which it is drawn


@dataclass(frozen=True, slots=True)
class Operation:
    """One recorded operation, or several folded into one."""

    key: str  # "o0", "o1", … in order of execution
    name: str  # of the primitive, "matmul"; of a folded one, what it is
    step: int  # the number in the order of execution, from 1; of a folded one, that of its first operation
    inputs: tuple[str, ...]  # keys of values by argument's position; of a folded one, what comes in from outside
    output: str  # key of a value: of several, which only a folded operation has, the last
    outputs: tuple[str, ...]
    group: str | None  # key of the innermost module's
    position: str | None  # "train.py:41", where it was kept
    formula: str  # "y = x @ weight + bias"; of a folded one, what is in it
    rules: tuple[str | None, ...]  # for each input "dx = g @ weight.T"; None where no gradient goes
    folded: int  # how many operations this stands for; 0 for a real one
    hidden: int  # how many parameters are not shown because only folded operations read them


@dataclass(frozen=True, slots=True)
class Group:
    """A call of a module that recorded operations."""

    key: str  # "g0", "g1", … in order of the calls
    label: str  # "Dense(400 → 25)"
    path: str  # the module's name in the model ("0"), or its class name
    parent: str | None


@dataclass(frozen=True, slots=True)
class Computation:
    """What a tensor was computed from, and by which operations."""

    values: dict[str, Value]
    operations: dict[str, Operation]  # in order of execution
    groups: dict[str, Group]
    output: str  # key of a value
    released: bool  # whether backward() released the graph
    notes: tuple[str, ...]  # what was folded or is missing, in words

    def newer_values(self) -> list[str]:
        """A note to be shown with values: which of them may be newer than the computation."""
        names = [value.name or f"one of shape {value.shape}" for value in self.values.values() if value.current]
        return [f"current values, which may be newer than the computation: {listed(names)}"] if names else []

    def framed(self) -> set[str]:
        """The keys of the groups that have a box: one Sigmoid around one sigmoid would say no more than that."""
        inside: dict[str | None, list[str]] = {}
        for operation in self.operations.values():
            inside.setdefault(operation.group, []).append(operation.name)
        around = {group.parent for group in self.groups.values()}
        return {key for key, group in self.groups.items() if key in around or inside.get(key) != [group.label.lower()]}


def computation(
    output: Tensor,
    *,
    model: Module | None = None,
    gradients: bool = False,
    depth: int | None = None,
    max_nodes: int | None = None,
    formulas: bool = True,
) -> Computation:
    """The operations and tensors that `output` was computed from, as they were recorded; nothing is changed.

    With `model`, parameters and modules have their names in the model. With `gradients`, each value gets the gradient
    of `output` with respect to it (of the sum of `output`, if it has several elements), computed anew from what the
    records kept. `depth` folds each module at that depth (0 is outermost) into one operation; `max_nodes` folds the
    deepest modules, repetitions and runs, until at most that many nodes are left. `formulas=False` leaves out the
    formulas, which are written by running the rules on symbols.

    Raises `TypeError` if `output` is not a tensor or `model` not a Module, `ValueError` for a negative `depth` or
    `max_nodes` below 2.
    """
    if not isinstance(output, Tensor):
        raise TypeError(f"only a Tensor has a computation graph; got {type(output).__name__}")
    if model is not None and not isinstance(model, Module):
        raise TypeError(
            f"model={model!r} is not a module: pass the Module that computed this, which names the parameters"
        )
    if depth is not None and not is_whole(depth, 0):
        raise ValueError(f"depth={depth!r} must be a whole number: 0 is the depth of the outermost modules")
    if max_nodes is not None and not is_whole(max_nodes, 2):
        raise ValueError(f"max_nodes={max_nodes!r} must be a whole number of at least 2, or None for all")
    walked = walk(output, model)
    partition = fold(walked, depth, max_nodes)
    return _Assembly(walked, partition, output, gradients, formulas).computation()


def is_whole(value: Any, least: int) -> bool:
    """Whether it is a whole number of at least `least`; True and False are not."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


class _Assembly:
    """Turns a walk, folded, into values, operations and groups."""

    def __init__(self, walked: Walk, partition: Partition, output: Tensor, gradients: bool, formulas: bool) -> None:
        self.formulas = formulas
        self.walk, self.partition, self.output = walked, partition, output
        self.released = any(record.saved is None for record in walked.records)
        self.notes = _folded(partition)
        if self.released:
            self.notes.append(RELEASED)
        self.gradients: dict[Any, Any] = self._gradients() if gradients else {}
        self.kept = self._kept()

    def _gradients(self) -> dict[Any, Any]:
        """The gradients of the output with respect to each record and leaf."""
        root = self.output.record
        seed = np.ones(self.output.shape, self.output.dtype)[()]
        if root is None:
            return {self.output: seed} if self.output.requires_grad else {}
        if self.released:
            return {}
        found: dict[Any, Any] = {}
        for record in self.walk.records:
            for k, value in enumerate(record.saved or ()):
                if changed_since(value, record.order):
                    self.notes.append(
                        f"no gradients: data that {record.primitive.name} used was changed in place after it was "
                        f"recorded (argument {k - 1})"
                    )
                    return {}
        if self.output.size != 1:
            self.notes.append("gradients are those of the sum of the output, which has several elements")
        with np.errstate(all="ignore"):  # NaN and infinity are shown, which is warning enough
            return pullback(root, seed, seen=found.__setitem__) | found

    def _kept(self) -> dict[int, Any]:
        """The arrays of the values that are shown, as the records kept them."""
        shown = self.partition.shown
        kept: dict[int, Any] = {}
        self.changed: set[int] = set()  # values whose arrays were changed in place since
        for i, (record, inputs) in enumerate(zip(self.walk.records, self.walk.inputs, strict=True)):
            if record.saved is not None and not shown.isdisjoint((i, *inputs)):
                for v, value in zip((i, *inputs), record.saved, strict=True):
                    if value is not None:
                        kept[v] = value
                        if changed_since(value, record.order):
                            self.changed.add(v)
        kept[self.walk.output] = self.output._value
        return kept

    def computation(self) -> Computation:
        order = self._order()
        self.key = {v: f"t{k}" for k, v in enumerate(order)}
        groups = self._groups()
        return Computation(
            values={self.key[v]: self._value(v) for v in order},
            operations=self._operations(),
            groups=groups,
            output=self.key[self.walk.output],
            released=self.released,
            notes=tuple(self.notes),
        )

    def _order(self) -> list[int]:
        """The values that are shown, in the order in which they come up."""
        order: dict[int, None] = {}
        shown = self.partition.shown
        for i, inputs in enumerate(self.walk.inputs):
            order.update((v, None) for v in inputs if v in shown)
            if i in shown:
                order[i] = None
        order[self.walk.output] = None
        return list(order)

    def _groups(self) -> dict[str, Group]:
        """The calls in which something is shown, with the calls around them."""
        calls = self.walk.calls
        shown: set[int] = set()
        for unit in self.partition.units:
            c = unit.call
            while c >= 0 and c not in shown:
                shown.add(c)
                c = calls[c].parent
        self.group = {c: f"g{k}" for k, c in enumerate(sorted(shown))}
        return {
            self.group[c]: Group(self.group[c], calls[c].label, calls[c].path, self.group.get(calls[c].parent))
            for c in sorted(shown)
        }

    def _value(self, v: int) -> Value:
        node, kind, name, shape = self.walk.described(v)
        data = self.kept.get(v)
        current = v in self.changed
        if data is None and isinstance(node, Tensor):
            data, current = node._value, True  # no rule reads what it held when it was recorded
        dtype = node.dtype if node is not None else getattr(data, "dtype", None)
        gradient = None if node is None else self.gradients.get(node)
        return Value(
            key=self.key[v],
            kind=kind,
            name=name,
            shape=shape,
            dtype=None if dtype is None else str(dtype),
            data=None if data is None else np.asarray(data),
            current=current,
            gradient=None if gradient is None else np.broadcast_to(gradient, shape),
            group=self.group.get(self.partition.homes.get(v, -1)),
        )

    def _operations(self) -> dict[str, Operation]:
        known: dict[Any, Any] = {}
        made = (self._operation(f"o{k}", unit, known) for k, unit in enumerate(self.partition.units))
        return {operation.key: operation for operation in made}

    def _operation(self, key: str, unit: Unit, known: dict[Any, Any]) -> Operation:
        record = self.walk.records[unit.members[0]]
        rules: tuple[str | None, ...]
        formula = ""
        if unit.label is None:
            rules = (None,) * len(unit.inputs)
            if self.formulas:
                formula, rules = written(record, known)
        else:
            formula = contents(self.walk.records[i].primitive.name for i in unit.members)
            rules = (None,) * len(unit.inputs)
        return Operation(
            key=key,
            name=record.primitive.name if unit.label is None else titled(unit.path, unit.label),
            step=unit.members[0] + 1,
            inputs=tuple(self.key[v] for v in unit.inputs),
            output=self.key[unit.outputs[-1]],
            outputs=tuple(self.key[v] for v in unit.outputs),
            group=self.group.get(unit.call),
            position=_position(record) if unit.label is None else None,
            formula=formula,
            rules=rules,
            folded=0 if unit.label is None else len(unit.members),
            hidden=unit.hidden,
        )


def _folded(partition: Partition) -> list[str]:
    """What was folded, in words."""
    folds = [len(unit.members) for unit in partition.units if unit.label is not None]
    if not folds:
        return []
    boxes = "a box" if len(folds) == 1 else f"{len(folds)} boxes"
    return [f"{sum(folds):,} of {sum(len(unit.members) for unit in partition.units):,} operations folded into {boxes}"]


def _position(record: Record) -> str | None:
    position = record.position
    return None if position is None else f"{os.path.basename(position[0])}:{position[1]}"
