"""Reverse mode: the walk back through the record.

`pullback` walks from a result to its leaves and applies the chain rule on the way. Each record is visited once, newest
first: inputs are recorded before what is made of them, so when a record's turn comes, all that its gradient is the sum
of has arrived. Nothing here knows what a tensor is: a node is a `Record`, or a leaf with a shape and a dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

import numpy as np
from numpy import ndarray

from . import inplace
from .broadcasting import unbroadcast
from .hooks import watcher
from .keeping import has_changed
from .reads import Rule
from .record import Node, Operand, Record, leading_to
from .recording import plain

Reader = Callable[[Any, Node], Any] | None  # makes a tensor of a value and its node
Seen = Callable[[Node, Any], None] | None  # is told each node's gradient
Watch = Callable[[Node, Any], Any] | None  # is told, too, and gives the gradient to go on with


def pullback(
    root: Record, seed: Any, *, release: bool = False, tensor: Reader = None, targets: Any = (), seen: Seen = None
) -> dict[Node, Any]:
    """The chain rule: the gradients of the leaves behind `root` (or of the nodes `targets`), given its own, `seed`.
    With `tensor`, rules are read with tensors and recorded, so that the result can be differentiated again."""
    watch = watcher(seen, fills=seen is None and not targets)
    wanted = leading_to(targets, root) if targets else None
    gradients: dict[Node, Any] = {root: seed}
    owned: set[Node] = set()  # whose gradient is an array that nobody else holds: further parts are added in place
    waiting = [(root.order, root)]
    while waiting:
        record = heappop(waiting)[1]
        g = gradients.pop(record)
        if watch is not None:
            g = watch(record, g)
        applied, saved, options = record.primitive, record.saved, record.options
        if saved.__class__ is not tuple or tensor or applied.reads_metadata or record.order > inplace.newest_change:
            saved = rule_arguments(record, saved, tensor)
        if release:
            record.saved = None
        for node, rule in zip(record.nodes, applied.rules):  # noqa: B905  (strict= costs a tenth of a scalar's step)
            if node is None or rule is None or (wanted is not None and node not in wanted):
                continue
            if applied.adds is not None and node in owned and not isinstance(g, Operand):
                applied.adds(gradients[node], g, **options)
                continue
            try:
                gx, new, is_record = rule.call(g, saved, options), rule.new, node.__class__ is Record
                kind, form = (node.kind, node.shape_and_dtype) if is_record else _kind_and_form(node._value)
                if gx.__class__ is not kind or (kind is ndarray and (gx.shape, gx.dtype) != form):
                    gx, new = _fitted(plain(gx) if tensor is None else gx, node, new)
            except Exception as error:
                _add_place(error, record, rule, node)
                raise
            held = gradients.get(node)
            if held is None:
                gradients[node] = gx
                if new and gx.__class__ is ndarray:
                    owned.add(node)
                if is_record and node not in targets:
                    heappush(waiting, (node.order, node))
            elif gx.__class__ is ndarray and node in owned:
                held += gx
            else:
                gradients[node] = total = held + gx
                if total.__class__ is ndarray:
                    owned.add(node)
                elif owned:
                    owned.discard(node)
    return _settled(gradients, owned, watch)


def _kind_and_form(value: Any) -> tuple[type[Any], tuple[tuple[int, ...], np.dtype[Any]]]:
    """Of a leaf's values, what a record notes of its output."""
    return value.__class__, (value.shape, value.dtype)


def _settled(gradients: dict[Node, Any], owned: set[Node], watch: Watch) -> dict[Node, Any]:
    """The gradients at the ends of the walk; an array is copied unless nobody else holds it."""
    for node, g in gradients.items():
        final = g if watch is None else watch(node, g)
        own = final is g and node in owned
        gradients[node] = final if own or not isinstance(final, ndarray) else np.array(final)
    return gradients


def rule_arguments(record: Record, saved: tuple[Any, ...] | None, tensor: Reader = None) -> tuple[Any, ...]:
    """The output and the arguments of a record as its rules are called with them: as they were saved, with `tensor`
    as tensors, and where only the shape is read, the node, which knows it."""
    if saved is None:
        raise RuntimeError(
            f"backward() already ran through '{record.primitive.name}' (shape {record.shape}) and released what it "
            "needs. Compute the loss again before each backward(), detach() what is made outside the loop, or pass "
            "retain_graph=True to the first backward()"
        )
    _refuse_changed(record, saved)
    nodes = (record, *record.nodes)
    if tensor is not None:
        saved = tuple(
            value if value is None or node is None else tensor(value, node)
            for value, node in zip(saved, nodes, strict=True)
        )
    if record.primitive.reads_metadata:
        saved = tuple(node if value is None else value for value, node in zip(saved, nodes, strict=True))
    return saved


def _refuse_changed(record: Record, saved: tuple[Any, ...]) -> None:
    for k, value in enumerate(saved):
        if has_changed(record, k, value):
            node = record if k == 0 else record.nodes[k - 1]
            who = f"{node.name!r} " if node is not None and node.name else ""
            raise RuntimeError(
                f"the data {who}of shape {value.shape} that '{record.primitive.name}' used was changed in place "
                "after it was recorded, so its gradient would be wrong. Change it after backward(), or make a new "
                "array: t.data = t.data - step, not t.data -= step; t = t + u, not t += u; and t = t.copy() before "
                "t[i] = v; of an array, use x.copy()"
            )


def _fitted(g: Any, node: Node, new: bool) -> tuple[Any, bool]:
    """`g` in the shape and precision of the node whose gradient it is, and whether nobody else holds that array."""
    fitted = g if hasattr(g, "shape") else np.asarray(g)
    if fitted.dtype.kind not in "fiub":
        raise TypeError(f"a derivative rule gave {g!r}, which is not a gradient")
    if fitted.shape != node.shape:
        fitted = unbroadcast(fitted, node.shape)
    if fitted.dtype != node.dtype:
        fitted = fitted.astype(node.dtype)
    if fitted is not g and fitted.__class__ is ndarray:
        new = fitted.flags.writeable  # summed or converted; what is only repeated is a view that cannot be written to
    return fitted, new


def _add_place(error: Exception, record: Record, rule: Rule, node: Node) -> None:
    error.add_note(
        f"while computing the gradient of '{record.primitive.name}' (output of shape {record.shape}) with respect to "
        f"its argument {record.primitive.rules.index(rule)} of shape {node.shape}"
    )
