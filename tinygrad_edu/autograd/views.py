"""What a tensor has to do with other ones: what it was made of (`origin.py`), and whose array it has.

A view shows a part of another tensor's array, or its elements in another order, as `A[i]` and `A.T` do. It holds the
tensor that it is a view of, and that knows its views by weak references. `assignment.py` has what a change does.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any
from weakref import ref

from .inplace import _owner
from .locks import holding
from .record import Operand

if TYPE_CHECKING:
    from .primitives import Primitive
    from .reads import Options

_new = object.__new__
_sweeping = threading.RLock()


class Ties:
    """Of one tensor; most have none."""

    __slots__ = ("kept", "many", "of", "options", "origin", "primitive", "views")

    origin: Any  # what it was made of, if that is remembered
    of: Any  # the tensor that it is a view of, by this primitive with these options; None if it is no view
    primitive: Primitive
    options: Options
    views: list[Any] | None  # weak references to its own views, of which most are gone …
    many: int  # … when there are so many
    kept: list[Any] | None  # by what records keep the array as a constant; None if it may be somebody else's, too


def ties_of(t: Any) -> Ties:
    """The ties of a tensor, to be filled in."""
    ties: Ties | None = t._ties
    if ties is None:
        ties = t._ties = _new(Ties)
        ties.origin = ties.of = ties.views = None
        ties.kept = None
    return ties


def note_view(t: Any, of: Any, primitive: Primitive, options: Options) -> None:
    """Notes that `t` is a view, if it has the array of the tensor `of`. A view without gradient of a tensor that has
    one, which was made under `no_grad`, does not change with that."""
    array, base = of._value, t._value.base
    if base is None or (base is not array and base is not array.base and _owner(t._value) is not _owner(array)):
        return
    ties = ties_of(t)
    ties.of, ties.primitive, ties.options = of, primitive, options
    if t.__class__ is of.__class__ and (t.record is not None or not of._requires_grad):  # a trace's symbols go with it
        ties = ties_of(of)
        if ties.views is None:
            ties.views, ties.many = [], 16
        ties.views.append(ref(t))
        if len(ties.views) > ties.many:
            holding(_sweeping, _sweep, ties)


def _sweep(ties: Any) -> None:
    """Drops the references to views that are gone."""
    count = len(ties.views)
    ties.views[:count] = live = [view for view in ties.views[:count] if view() is not None]
    ties.many = max(16, 2 * len(live))  # another thread may have added one behind meanwhile


def view_of(t: Any) -> Ties | None:
    """What a tensor shows of another one, if it is a view."""
    ties: Ties | None = t._ties
    return None if ties is None or ties.of is None else ties


def views_of(t: Any) -> list[Any]:
    """The tensors that are views of `t`, from the oldest on."""
    found = [] if t._ties is None else [view() for view in t._ties.views or ()]
    return [view for view in found if view is not None and view._ties is not None and view._ties.of is t]


def sharing(t: Any) -> list[Any]:
    """All tensors that are views of what `t` is a view of in the end, and this, with which the list begins."""
    found, waiting = [], [_base(t)]
    while waiting:
        found += waiting
        waiting = [view for t in waiting for view in views_of(t)]
    return found


def _base(t: Any) -> Any:
    """The tensor that `t` is a view of in the end."""
    while (view := view_of(t)) is not None:
        t = view.of
    return t


def note_own(t: Any) -> Any:
    """Notes that a tensor was given an array of its own, and gives the tensor."""
    ties_of(t).kept = []
    return t


def is_own(t: Any) -> bool:
    """Whether a tensor has an array of its own, or a view of such a one."""
    ties = _base(t)._ties
    return ties is not None and ties.kept is not None


def note_kept(t: Any, array: Any) -> Any:
    """Notes that a record keeps a constant's own array, by a view of it that nobody else holds, and gives that."""
    kept = _base(t)._ties.kept
    kept.append(ref(array))
    if len(kept) > 16:
        kept[:] = [found for found in kept if found() is not None]
    return array


def leave_to_records(t: Any) -> None:
    """What to do before a constant tensor is changed in place: while a record keeps its own array, the tensor and its
    views go on with a copy."""
    base = _base(t)
    if (
        any(found() is not None for found in base._ties.kept)
        and not base._requires_grad
        and base._value.flags.writeable
    ):
        base._ties.kept = []
        base._value = base._value.copy("K")
        for view in sharing(base)[1:]:  # each behind what it is a view of
            view._value = view._ties.primitive(view._ties.of, **view._ties.options)._value


def set_apart(t: Any) -> None:
    """What to do where a tensor is given an array of its own: it is no view any more, and has none."""
    for view in views_of(t):
        view._ties.of = None
    t._ties = None


def owned(y: Any) -> Any:
    """`y`, of which NumPy makes an array of its own; here it is a view of a step on the way that nobody else holds."""
    if isinstance(y, Operand):
        y._ties = None
    return y
