"""The recorded computation as data: what drawings, the page and `explain` show."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
from numpy import ndarray

from ..autograd.call_site import place
from ..autograd.engine import pullback
from ..autograd.keeping import has_changed
from ..autograd.record import Record, leading_to
from ..autograd.tensor import Tensor
from ..nn.module import Module
from .folding import Partition, Unit, contents, fold, listed
from .live import live
from .steps import Part, parts
from .structure import Walk, titled, walk
from .told import Telling, symbols
from .values import Values, again, needed

RELEASED = "backward() released what some values follow from: draw before it, or use backward(retain_graph=True)"
UNRECORDED = (
    "nothing was recorded: this tensor is a leaf, or nothing that it was computed from requires grad, or it was "
    "computed under no_grad() or after detach()"
)
LOST = "some values follow from numbers that no record kept, because no rule reads them"


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of the graph, or an array or a number that it was computed from."""

    key: str  # "t0", "t1", … in order of execution, leaves where they are first used
    kind: str  # "parameter", "input" (it requires grad but is none of the model's), "constant", "result" or "output"
    name: str | None  # "0.weight" for a parameter of the model, otherwise the tensor's own
    symbol: str  # what formulas call it: its name, shortened, or "v3" for the result of step 3
    shape: tuple[int, ...]
    dtype: str | None  # None where the record does not know it
    data: ndarray | None  # None where it was neither kept nor follows from what is known; not to be changed
    current: bool  # whether `data` is what it holds now, and something else was computed with
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
    formula: str  # "v1 = X @ W + b", "d = e + c = −6 + 10 = 4"; of a folded one, what is in it
    rules: tuple[str | None, ...]  # for each input "∂L/∂d = g · f = 1 · (−2) = −2"; None where no gradient goes
    flows: tuple[bool, ...]  # for each input, whether a gradient flows back to it
    passed_by: str | None  # why none does: a loss that is computed from the logits goes round the sigmoid
    folded: int  # how many operations this stands for; 0 for a real one
    hidden: int  # how many parameters are not shown because only folded operations read them
    # For each input, what is added to its gradient, computed when it is asked for; None where it cannot be.
    parts: Callable[[], list[Part | None]] | None = field(default=None, compare=False, repr=False)


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
    # The same as a program that a page can run, written when it is asked for, see `live.py`
    live: Callable[[], dict[str, Any]] | None = field(default=None, compare=False, repr=False)

    def newer_values(self, arrays: bool = True) -> list[str]:
        """A note to be shown with values: which of them are newer than the computation; of arrays if `arrays` are shown
        or a single number is missing."""
        missing = any(value.data is None and not value.shape for value in self.values.values())
        names = [value.name or f"one of shape {value.shape}" for value in self.values.values()
                 if value.current and (arrays or missing or not value.shape)]  # fmt: skip
        if not names:
            return []
        verb, whose = ("has", "its value is") if len(names) == 1 else ("have", "their values are")
        return [f"{listed(names)} {verb} changed since this was computed: {whose} that of now"]

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
    arrays: bool = True,
    opened: Collection[int] = (),
) -> Computation:
    """The operations and tensors that `output` was computed from, as they were recorded; nothing is changed.

    With `model`, parameters and modules have their names in the model. With `gradients`, each value gets the gradient
    of `output` with respect to it (of the sum of `output`, if it has several elements). Values that no record kept and
    gradients are computed anew, as far as what they follow from was kept or is unchanged; `arrays=False` does so for
    single numbers only. `depth` folds each module at that depth (0 is outermost) into one operation; `max_nodes` folds
    the deepest modules, repetitions and runs, until at most that many nodes are left; those folds that begin at one of
    the steps `opened` are undone. `formulas=False` leaves out the formulas, which are written by running the rules on
    symbols.

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
    partition = fold(walked, depth, max_nodes, opened)
    return _Assembly(walked, partition, output, gradients, formulas, arrays).computation()


def is_whole(value: Any, least: int) -> bool:
    """Whether it is a whole number of at least `least`; True and False are not."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


class _Assembly:
    """Turns a walk, folded, into values, operations and groups."""

    def __init__(
        self, walked: Walk, partition: Partition, output: Tensor, gradients: bool, formulas: bool, arrays: bool
    ) -> None:
        self.formulas = formulas
        self.walk, self.partition, self.output = walked, partition, output
        self.released = any(record.saved is None for record in walked.records)
        self.notes = _folded(partition) if walked.records else [UNRECORDED]
        self.asked = {v for v in partition.shown if arrays or not walked.described(v)[3]}
        nodes = (walked.described(v)[0] for v in self.asked) if gradients else ()
        self.targets = {node for node in nodes if isinstance(node, Record) or (node is not None and node.requires_grad)}
        self.path = leading_to(self.targets, output.record) if self.targets and output.record else set()
        self.recalled = Values(walked, output, self.asked | (needed(walked, self.path) if self.released else set()))
        self.twins: dict[Any, Record] = {}  # of released records
        self.behind: set[Any] = set()
        self.gradients: dict[Any, Any] = self._gradients()
        if any(self.recalled.get(v) is None for v in self.asked) and not self.recalled.now:
            self.notes.append(RELEASED if self.released else LOST)

    def _gradients(self) -> dict[Any, Any]:
        """The gradients of the output with respect to each target."""
        root = self.output.record
        seed = np.ones(self.output.shape, self.output.dtype)[()]
        if root is None or not self.targets:
            return {self.output: seed} if root is None and self.targets else {}
        for record in self.walk.records:
            for k, value in enumerate(record.saved or () if record in self.path else ()):
                if has_changed(record, k, value):
                    self.notes.append(
                        f"no gradients: data that {record.primitive.name} used was changed in place after it was "
                        f"recorded (argument {k - 1})"
                    )
                    return {}
        if self.output.size != 1:
            self.notes.append("gradients are those of the sum of the output, which has several elements")
        targets, path = self.targets, self.path
        if self.released:
            self.twins, self.behind = again(self.walk, self.recalled, path)
            targets = targets - self.behind
            path = leading_to(targets, root)
        twins = self.twins
        ends = {twins.get(t, t) for t in targets if not isinstance(t, Record) or path.isdisjoint(t.nodes)}
        wanted = {twins.get(t, t): t for t in targets}
        found: dict[Any, Any] = {}

        def seen(node: Any, g: Any) -> None:
            if node in wanted:
                found[wanted[node]] = g

        with np.errstate(all="ignore"):  # NaN and infinity are shown, which is warning enough
            last = pullback(twins.get(root, root), seed, targets=ends, seen=seen)
        return found | {wanted[node]: g for node, g in last.items() if node in wanted}

    def computation(self) -> Computation:
        order = self._order()
        self.key = {v: f"t{k}" for k, v in enumerate(order)}
        self.symbols = symbols(self.walk, order)
        groups = self._groups()
        return Computation(
            values={self.key[v]: self._value(v) for v in order},
            operations=self._operations(),
            groups=groups,
            output=self.key[self.walk.output],
            released=self.released,
            notes=tuple(self.notes),
            live=self._live,
        )

    def _live(self) -> dict[str, Any]:
        if any(unit.label is not None for unit in self.partition.units):
            return {"why": "some operations are folded"}
        made = live(self.walk, self.recalled, self.key)
        # Of single numbers the texts with places, so that the page can put others in them
        texts = [self.telling.texts(i) if self.telling.is_scalar(i) else None for i in range(len(self.walk.records))]
        made["formulas"] = [text and (text[0], [rule and rule[0] for rule in text[1]]) for text in texts]
        return made

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
        data = self.recalled.get(v)
        dtype = node.dtype if node is not None else getattr(data, "dtype", None)
        gradient = None if node is None else self.gradients.get(node)
        return Value(
            key=self.key[v],
            kind=kind,
            name=name,
            symbol=self.symbols[v],
            shape=shape,
            dtype=None if dtype is None else str(dtype),
            data=None if data is None else np.asarray(data),
            current=v in self.recalled.now,
            gradient=None if gradient is None else np.broadcast_to(gradient, shape),
            group=self.group.get(self.partition.homes.get(v, -1)),
        )

    def _operations(self) -> dict[str, Operation]:
        units = self.partition.units
        self.telling = telling = Telling(self.walk, self.recalled, self.gradients, self.symbols)
        reached = {self.walk.output}
        flows: list[tuple[bool, tuple[bool, ...]]] = []
        for unit in reversed(units):
            alive = not reached.isdisjoint(unit.outputs)
            row = tuple(alive and open_ for open_ in self._open(unit))
            parts = [v for v, flow in zip(unit.inputs, row, strict=True) if flow]
            reached.update(parts)
            telling.parts.update(parts)
            flows.append((alive, row))
        made = (self._operation(f"o{k}", unit, *flows[-1 - k], telling) for k, unit in enumerate(units))
        return {operation.key: operation for operation in made}

    def _open(self, unit: Unit) -> list[bool]:
        """To which arguments a gradient would flow that arrives at an operation."""
        if unit.label is not None:
            return [self.walk.described(v)[1] != "constant" for v in unit.inputs]
        record = self.walk.records[unit.members[0]]
        rules = record.primitive.rules_for(len(record.nodes))
        return [node is not None and rule is not None for node, rule in zip(record.nodes, rules, strict=True)]

    def _operation(self, key: str, unit: Unit, alive: bool, flows: tuple[bool, ...], telling: Telling) -> Operation:
        record = self.walk.records[unit.members[0]]
        rules: tuple[str | None, ...] = (None,) * len(unit.inputs)
        formula, passed_by = "", None
        if unit.label is not None:
            formula = contents(self.walk.records[i].primitive.name for i in unit.members)
        elif self.formulas:
            formula, rules = telling.told(unit.members[0], flows)
        if not alive:
            passed_by = "by-passed: computed from the logits" if record.primitive.marks_origin else "by-passed"
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
            flows=flows,
            passed_by=passed_by,
            folded=0 if unit.label is None else len(unit.members),
            hidden=unit.hidden,
            parts=self._parts(record) if unit.label is None and alive else None,
        )

    def _parts(self, record: Record) -> Callable[[], list[Part | None]] | None:
        g = self.gradients.get(record)
        if g is None or not self.behind.isdisjoint(record.nodes):
            return None
        return partial(parts, self.twins.get(record, record), g)


def _folded(partition: Partition) -> list[str]:
    """What was folded, in words."""
    folds = [len(unit.members) for unit in partition.units if unit.label is not None]
    if not folds:
        return []
    boxes = "a box" if len(folds) == 1 else f"{len(folds)} boxes"
    return [f"{sum(folds):,} of {sum(len(unit.members) for unit in partition.units):,} operations folded into {boxes}"]


def _position(record: Record) -> str | None:
    position = record.position
    return None if position is None else os.path.basename(place(*position))
