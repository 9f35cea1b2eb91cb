"""What a tensor was made of, remembered by a few primitives for losses that compute from it instead: the
cross-entropy of a sigmoid's output from the sigmoid's input, the logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .inplace import changed_since, next_order

if TYPE_CHECKING:
    from .primitives import Options, Primitive


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
