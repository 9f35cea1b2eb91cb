"""What a tensor was made of, remembered by a few primitives for losses that compute from it instead: the
cross-entropy of a sigmoid's output from the sigmoid's input, the logits. Also whether it is a view, for assignment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .inplace import changed_since, next_order
from .record import Operand

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


def origin_of(primitive: Primitive, options: Options, argument: Any, value: Any, node: Any) -> Origin | None:
    """What to remember of an applied primitive: everything if it marks origins; if it only moves elements, the origin
    of those, and without a record (which would say it) that it does."""
    if primitive.marks_origin:
        return Origin(primitive, options, value, node, next_order())
    earlier = getattr(argument, "_origin", None)
    return None if earlier is None and node is not None else Origin(primitive, options, earlier=earlier)


_OF_ITS_OWN: Any = Origin(None, {})  # type: ignore[arg-type]


def owned(y: Any) -> Any:
    """`y`, of which NumPy makes an array of its own; here it is a view of a step on the way that nobody else holds."""
    if isinstance(y, Operand):
        y._origin = _OF_ITS_OWN  # type: ignore[attr-defined]  # a slot of Tensor
    return y


def is_view(t: Any) -> bool:
    """Whether a tensor has the memory of another one, of which it shows a part or another order."""
    origin = getattr(t, "_origin", None)
    made_by = t.record or origin
    if origin is _OF_ITS_OWN or made_by is None or not made_by.primitive.moves:
        return False
    if getattr(t._value, "base", None) is None:
        return False
    index = made_by.options.get("index")  # of arrays it takes copies
    return not any(isinstance(i, np.ndarray | list) for i in (index if isinstance(index, tuple) else (index,)))


def argument_of(t: Any, primitive: Primitive) -> Any:
    """The tensor that `primitive` was applied to, if that made the tensor `t` (its elements may have been moved
    since), and if it was not changed in place since; else None."""
    origin: Origin | None = getattr(t, "_origin", None)
    if origin is None:  # mostly
        return None
    moves = []
    while origin is not None and origin.primitive is not primitive:
        moves.append(origin)
        origin = origin.earlier
    if origin is None or changed_since(origin.value, origin.order) or changed_since(t._value, origin.order):
        return None
    node = origin.node
    argument = node if getattr(node, "_value", None) is origin.value else t._made(origin.value, node)
    for move in reversed(moves):
        argument = move.primitive(argument, **move.options)
    return argument
