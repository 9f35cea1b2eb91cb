"""What a tensor was made of, remembered by a few primitives for losses that compute from it instead: the
cross-entropy of a sigmoid's output from the sigmoid's input, the logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .inplace import changed_since, next_order
from .views import note_view, ties_of

if TYPE_CHECKING:
    from .primitives import Primitive
    from .reads import Options


class Origin(NamedTuple):
    """What a tensor was made of, kept while the tensor lives."""

    primitive: Primitive
    options: Options
    value: Any = None  # the argument as it was
    node: Any = None
    order: int = 0
    earlier: Any = None  # where `primitive` only moved the elements: the origin of those


def remember(t: Any, primitive: Primitive, options: Options, argument: Any, value: Any, node: Any) -> None:
    """Notes on a tensor how an applied primitive made it: everything if that marks origins; if it only moves elements,
    the origin of those, and whether it is a view."""
    if primitive.marks_origin:
        ties_of(t).origin = Origin(primitive, options, value, node, next_order())
        return
    if t._value.__class__ is np.ndarray:
        note_view(t, argument, primitive, options)
    if argument._ties is not None and argument._ties.origin is not None:
        ties_of(t).origin = Origin(primitive, options, earlier=argument._ties.origin)


def _records_of(t: Any, moves: Sequence[Origin]) -> list[Any]:
    """Those of the tensor and of what its elements were moved from."""
    found, record = [], t.record
    for _ in (*moves, None):
        if record is None:
            break
        found.append(record)
        record = record.nodes[0]
    return found


def argument_of(t: Any, primitive: Primitive) -> Any:
    """The tensor that `primitive` was applied to, if that made the tensor `t` (its elements may have been moved
    since), if it was not changed in place since, and if nobody waits for a gradient of its own; else None."""
    if t._ties is None:  # mostly
        return None
    origin: Origin | None = t._ties.origin
    moves = []
    while origin is not None and origin.primitive is not primitive:
        moves.append(origin)
        origin = origin.earlier
    if origin is None or changed_since(origin.value, origin.order) or changed_since(t._value, origin.order):
        return None
    records = _records_of(t, moves)
    if any(record.noted.hooks or record.noted.retained is not None for record in records):
        return None
    for record in records:
        record.noting.passed_by = True
    node = origin.node
    argument = node if getattr(node, "_value", None) is origin.value else t._made(origin.value, node)
    for move in reversed(moves):
        argument = move.primitive(argument, **move.options)
    return argument
