"""Reverse mode: what was recorded, and the walk back through the record.

Nothing here knows what a tensor is. A `Record` is one applied function; `pullback` walks from a result to its leaves
and applies the chain rule on the way.
"""

from __future__ import annotations

import functools
import itertools
import operator
import weakref
from collections.abc import Callable, Collection
from heapq import heappop, heappush
from sys import getrefcount
from typing import Any

import numpy as np
from numpy import ndarray

from .primitives import Options, Primitive, primitive, rule
from .recording import gradient_check

Node = Any  # a `Record`, or the leaf tensor at which the record ends

# Counts downwards, so that the newest record is the smallest: what a heap hands out first.
next_order = itertools.count(0, -1).__next__
_order = operator.attrgetter("order")


class Record:
    """One applied function: where its inputs came from, and what its rules will read.

    It points to the records of its inputs (or to leaf tensors), never to intermediate tensors and never forward, so
    dropping the result frees the whole graph by reference counting.
    """

    __slots__ = (
        "calls",
        "constants",
        "kind",
        "left",
        "module",
        "name",
        "nodes",
        "options",
        "order",
        "position",
        "primitive",
        "right",
        "saved",
        "shape_and_dtype",
    )

    order: int  # smaller is newer
    primitive: Primitive
    nodes: tuple[Node | None, ...] | None  # of the arguments; None for an operator, which has two:
    left: Node | None  # a tuple would double what the garbage collector has to look at
    right: Node | None
    constants: tuple[tuple[tuple[int, ...], str | None] | None, ...] | None  # shapes and names of constant arrays
    saved: tuple[Any, ...] | None  # the output, then the arguments: those a rule will read; None once released
    options: Options | None
    kind: type[Any]  # the output's class: `ndarray`, or that of a NumPy scalar, which says it all
    shape_and_dtype: tuple[tuple[int, ...], np.dtype[Any]] | None  # of an array
    name: str | None
    calls: tuple[Any, ...]  # of modules that returned it
    # Unset unless there is something to say:
    module: str  # the path of the one that asked for it
    position: tuple[str, int]  # the file and the line that asked for it

    @property
    def parents(self) -> tuple[Node | None, ...]:
        """Where the record goes on, for each argument; None where it is constant."""
        return (self.left, self.right) if self.nodes is None else self.nodes

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

    def __repr__(self) -> str:
        return f"Record({self.primitive.name}, shape={self.shape}, dtype={self.dtype})"


@primitive
def sum_rows(g: Any) -> Any:
    """The sum over the first axis of a matrix: BLAS adds rows several times as fast as `np.sum`."""
    return np.dot(ones_of(len(g), g.dtype), g)


@functools.lru_cache(maxsize=16)
def ones_of(n: int, dtype: np.dtype[Any]) -> Any:
    ones = np.ones(n, dtype)
    ones.flags.writeable = False
    return ones


rule(sum_rows, lambda g, y, x: np.broadcast_to(g, x.shape))


def unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    """`g` brought to `shape`: summed over the axes that broadcasting added or stretched, repeated along those that a
    reduction left at size 1."""
    added = g.ndim - len(shape)
    if added == 1 and g.ndim == 2 and g.shape[1:] == shape and g.dtype.char in "fd":
        return sum_rows(g)  # a bias
    if added >= 0:
        stretched = tuple(k for k, n in enumerate(g.shape) if k < added or (n != 1 and shape[k - added] == 1))
        if stretched:
            g = np.sum(g, axis=stretched, keepdims=True)
        if added:
            g = np.reshape(g, g.shape[added:])
    return g if g.shape == shape else np.broadcast_to(g, shape)


# Arrays changed in place through a tensor, by the identity of the memory's owner: when (in `next_order`'s count).
_changed: dict[int, tuple[weakref.ref[Any], int]] = {}


def _owner(array: Any) -> Any:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def mark_changed(array: Any) -> None:
    """Notes that `array` was changed in place: records that hold it from before can no longer be differentiated."""
    owner = _owner(array)
    key = id(owner)
    _changed[key] = weakref.ref(owner, lambda _: _changed.pop(key, None)), next_order()


def changed_since(array: Any, order: int) -> bool:
    """Whether `array` was changed in place through a tensor after the moment `order`."""
    return isinstance(array, ndarray) and _changed.get(id(_owner(array)), (None, order))[1] < order  # smaller is newer


def _refuse_changed(record: Record, saved: tuple[Any, ...]) -> None:
    for k, value in enumerate(saved):
        if changed_since(value, record.order):
            node = record if k == 0 else record.parents[k - 1]
            who = f"{node.name!r} " if node is not None and node.name else ""
            raise RuntimeError(
                f"the data {who}of shape {value.shape} that '{record.primitive.name}' used was changed in place "
                "after it was recorded, so its gradient would be wrong. Update data after backward(), or assign a "
                "new array: t.data = t.data - step, not t.data -= step"
            )


def _fitted(g: Any, node: Node) -> Any:
    """`g` in the shape and precision of the node whose gradient it is."""
    shape, dtype = node.shape, node.dtype
    if not hasattr(g, "shape"):
        g = np.asarray(g)
    if g.dtype.kind not in "fiub":
        raise TypeError(f"a derivative rule gave {g!r}, which is no gradient")
    if g.shape != shape:
        g = unbroadcast(g, shape)
    return g if g.dtype is dtype else g.astype(dtype)


def reached(root: Record) -> tuple[list[Record], set[Node]]:
    """All records behind `root` and itself, oldest first, and the leaves at their ends."""
    records, leaves = {root}, set()
    waiting = [root]
    while waiting:
        for node in waiting.pop().parents:
            if node.__class__ is not Record:
                leaves.add(node)
            elif node not in records:
                records.add(node)
                waiting.append(node)
    return sorted(records, key=_order, reverse=True), leaves - {None}


def _leading_to(targets: Collection[Node], root: Record) -> set[Node]:
    """The nodes on the ways from `root` to `targets`."""
    leading = set(targets)
    for record in reached(root)[0]:
        if not leading.isdisjoint(record.parents):
            leading.add(record)
    return leading


def pullback(
    root: Record,
    seed: Any,
    *,
    release: bool = False,
    tensor: Callable[[Any, Node], Any] | None = None,
    targets: Collection[Node] | None = None,
    seen: Callable[[Record, Any], None] | None = None,
) -> dict[Node, Any]:
    """The chain rule from `root` back to the leaves: the gradient of each leaf, given that of the root.

    Each record is visited once, newest first: inputs are recorded before what is made of them, so when a record's turn
    comes, all that its gradient is the sum of has arrived. Read with arrays as it stands; with `tensor`, which makes
    a tensor of a value and its node, every rule is itself recorded, so that the result can be differentiated again.
    With `targets`, only what leads to those nodes is visited, and theirs are the gradients. `seen` is told the gradient
    of each record that is visited.
    """
    checking = gradient_check()
    check = None if checking is None or seen is not None else checking()
    if check is not None:
        seen = check
    wanted = None if targets is None else _leading_to(targets, root)
    gradients: dict[Node, Any] = {root: seed}
    results: dict[Node, Any] = {}
    owned: set[Node] = set()  # whose gradient is an array that nobody else holds
    waiting = [(root.order, root)]
    while waiting:
        record = heappop(waiting)[1]
        g = gradients.pop(record)
        if seen is not None:
            seen(record, g)
        if targets is not None and record in targets:
            results[record] = g
            continue
        applied = record.primitive
        parents = record.parents
        saved = record.saved
        options = record.options
        if saved is None:
            raise RuntimeError(
                f"backward() already ran through '{applied.name}' (shape {record.shape}) and released what it needs. "
                "Compute the loss again before each backward(), detach() what is made outside the loop, or pass "
                "retain_graph=True to the first backward()"
            )
        if _changed:
            _refuse_changed(record, saved)
        if release:
            record.saved = None
        if tensor is not None:
            saved = tuple(
                value if value is None or node is None else tensor(value, node)
                for value, node in zip(saved, (record, *parents), strict=False)
            )
        if applied.reads_metadata:
            saved = tuple(
                node if value is None else value for value, node in zip(saved, (record, *parents), strict=False)
            )
        binary = options is None and len(saved) == 3
        y, a, b = saved if binary else (None, None, None)
        for node, vjp in zip(parents, applied.vjps):  # noqa: B905  (strict= costs a tenth of a scalar's step)
            if node is None or vjp is None or (wanted is not None and node not in wanted):
                continue
            if applied.adds is not None and node in owned and not getattr(g, "writes", False):
                held = gradients[node]
                if type(held) is ndarray:  # what was added to it since may have made a tensor or symbol of it
                    applied.adds(held, g, **options or {})
                    continue
            try:
                # Spelt out, the call of a binary rule is twice as fast as with its arguments in a tuple.
                gx = vjp(g, y, a, b) if binary else vjp(g, *saved, **options or {})
                is_record = node.__class__ is Record
                kind = node.kind if is_record else node._data.__class__
                if gx.__class__ is not kind:
                    gx = _fitted(gx, node)
                elif kind is ndarray:
                    shape, dtype = node.shape_and_dtype if is_record else (node._data.shape, node._data.dtype)
                    if gx.shape != shape or gx.dtype is not dtype:
                        gx = _fitted(gx, node)
            except Exception as error:
                error.add_note(
                    f"while computing the gradient of '{applied.name}' (output of shape {record.shape}) with respect "
                    f"to its argument {applied.vjps.index(vjp)} of shape {node.shape}"
                )
                raise
            held = gradients.get(node)
            if held is None:
                gradients[node] = gx
                if is_record:
                    heappush(waiting, (node.order, node))
            elif held.__class__ is gx.__class__ is ndarray and getrefcount(held) == 3 and held.flags.owndata:
                held += gx  # nobody else holds it, nor a view of it
            else:
                gradients[node] = held + gx
            if applied.adds is not None and type(gradients[node]) is ndarray and gradients[node].ndim:
                owned.add(node)
    if check is not None:
        for leaf, g in gradients.items():
            check(leaf, g)
    return gradients | results
