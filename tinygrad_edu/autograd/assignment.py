"""`t[index] = value` and `t += value`: in the array itself, or recorded where a gradient flows; and what follows from
either for views.

As in NumPy, what changes a tensor or a view of it changes all of them. A change through which a gradient flows leaves
the array itself as it was, since what was recorded before needs that. So the tensor that is viewed is given a new
array with the new part in it, and all its views are taken of it anew.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .inplace import mark_changed
from .keeping import leave_to_records
from .operators import look_up
from .record import Operand
from .recording import holds_operand, interpreter, is_recording, plain
from .views import Ties, sharing, view_of, views_of

_INTO_LEAF = (
    "assigning into a tensor that requires grad, or into a view of one: the gradient could not follow. Assign into a "
    "copy, c = t.copy(), which is recorded; compute a new one, as row = row + u or np.where(mask, new, t); or assign "
    "to t.data (a new array) between steps"
)


def assign(t: Any, index: Any, value: Any) -> None:
    """What `Tensor.__setitem__` does."""
    interpreter().values(t, "a tensor is assigned into")
    if t._requires_grad and not (t.record is not None and is_recording()):
        raise TypeError(_INTO_LEAF)
    value = joined(value)
    if not t._requires_grad and not (getattr(value, "requires_grad", False) and is_recording()):
        leave_to_records(t)
        t._value = values = np.asarray(t._value)
        values[plain(index)] = plain(value)
        mark_changed(values)
    elif not _shows(value, t, index):
        _change(t, look_up(operator.setitem)(t, index, value))


def _shows(value: Any, t: Any, index: Any) -> bool:
    """Whether `value` is that view of `t` which `t[index]` is: then `t[index] += u` has changed both already."""
    view = view_of(value) if isinstance(value, Operand) else None
    if view is None or view.of is not t or value._requires_grad != t._requires_grad:
        return False
    return bool(value._value.__array_interface__ == t._value[plain(index)].__array_interface__)


def changed(t: Any, new: Any, symbol: str) -> Any:
    """What the name is bound to by `t += u`, where `new` is `t + u`. As in NumPy, an array of floats stays the same
    one, with other values: what `t[...] = t + u` does. A new tensor comes of integers that are no view, of a leaf that
    requires grad, and of what a derivation computes, where a tensor stands for one value."""
    is_float, view = t.dtype.kind == "f", view_of(t)
    is_view = view is not None and (t.shape or "index" in view.options)  # others without axes are numbers
    held = t._requires_grad and not is_recording()
    is_tied = is_view or bool(views_of(t))
    if (t._requires_grad and t.record is None) or (not is_tied and (held or not is_float or not t.shape)):
        return new
    if held:
        raise TypeError(_INTO_LEAF)
    if new.shape != t.shape:
        raise ValueError(f"t {symbol} u gave shape {new.shape}, which t of shape {t.shape} cannot hold")
    if (replaced := interpreter().replaces(t, new)) is not None:
        return replaced
    if not new._requires_grad and not t._requires_grad:
        if not is_float and new.dtype.kind == "f":  # which NumPy refuses
            return new
        assign(t, ..., new)
    else:
        _change(t, new if new.dtype == t.dtype else new.astype(t.dtype))
    return t


def _change(t: Any, new: Any) -> None:
    """Gives a tensor the value and the record of a new one; the tensor that it is a view of, with that part in it; and
    all other views of this one, what they show of it from then on."""
    given = {t: new}
    while (view := view_of(t)) is not None:
        t, new = view.of, _with_part(t, view, new)
        given[t] = new
    _become(t, new, new)
    for view in sharing(t)[1:]:  # each behind what it is a view of
        new = view._ties.primitive(view._ties.of, **view._ties.options)
        _become(view, new, given.get(view, new))  # of what was computed, the record is shorter


def _with_part(t: Any, view: Ties, new: Any) -> Any:
    """What the tensor that `t` is a view of becomes if `new` takes the place of `t`."""
    of = view.of
    if of._requires_grad and (of.record is None or not t._requires_grad):
        raise TypeError(_INTO_LEAF)
    if "index" in view.options:
        return look_up(operator.setitem)(of, view.options["index"], new)
    if new.size != of.size or view.primitive.name == "broadcast_to":
        raise TypeError(
            f"assigning into a view of shape {new.shape} that {view.primitive.name.lstrip('_')} gave of a tensor of "
            f"shape {of.shape}, which could not follow with its gradient. Assign into the tensor itself, c[i, j] = v, "
            "or into a copy, v.copy()"
        )
    back: Any = view.primitive.rules[0]  # elements in another order go back to their places
    return back.call(new, (None, of), view.options)


def _become(t: Any, new: Any, computed: Any) -> None:
    """Gives a tensor the value of another one, and the record of what was computed."""
    retained = t.record is not None and t.record.noted.retained is not None
    computed.name = t.name
    value = new._value
    if view_of(t) is None and value.strides != t._value.strides:  # of which it depends what a later ravel() is a view
        value = np.empty_like(t._value)
        value[...] = new._value
    t._value, t.record, t._requires_grad = value, computed.record, True
    if t._ties is not None:
        t._ties.origin = None
    if retained:
        t.retain_grad()


def joined(value: Any) -> Any:
    """Lists of tensors, and of lists of them, as one tensor."""
    if isinstance(value, list | tuple) and holds_operand(value):
        return np.stack([joined(v) for v in value])
    return value
