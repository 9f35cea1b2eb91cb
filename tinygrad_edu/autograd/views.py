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
    kept: list[Any]  # weak references to the records that keep its array as a constant, each with the position there


def ties_of(t: Any) -> Ties:
    """The ties of a tensor, to be filled in."""
    ties: Ties | None = t._ties
    if ties is None:
        ties = t._ties = _new(Ties)
        ties.origin = ties.of = ties.views = None
        ties.kept = []
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
    found, waiting = [], [base_of(t)]
    while waiting:
        found += waiting
        waiting = [view for t in waiting for view in views_of(t)]
    return found


def base_of(t: Any) -> Any:
    """The tensor that `t` is a view of in the end."""
    while (view := view_of(t)) is not None:
        t = view.of
    return t


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
