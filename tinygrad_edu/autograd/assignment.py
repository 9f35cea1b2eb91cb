"""`t[index] = value` and `t += value`: in the array itself, or recorded where a gradient flows."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .inplace import mark_changed
from .operators import look_up
from .origin import is_view
from .recording import holds_operand, interpreter, is_recording, plain


def assign(t: Any, index: Any, value: Any) -> None:
    """What `Tensor.__setitem__` does."""
    values = interpreter().values(t, "a tensor is assigned into")
    if t._requires_grad and not (t.record is not None and is_recording()):
        raise TypeError(
            "assigning into a tensor that requires grad: the gradient could not follow. Assign into a copy, "
            "c = t.copy(), which is recorded; compute a new one, as np.where(mask, new, t); or assign to t.data "
            "(a new array) between steps"
        )
    value = joined(value)
    if not t._requires_grad and not (getattr(value, "requires_grad", False) and is_recording()):
        t._value = values = np.asarray(values)
        values[plain(index)] = plain(value)
        mark_changed(values)
        return
    if is_view(t):
        raise TypeError(
            "assigning into a view of another tensor, which could not follow with its gradient. Assign into the tensor "
            "itself, c[i, j] = v in place of c[i][j] = v or of rows in a loop; or into a copy, v.copy()"
        )
    _become(t, look_up(operator.setitem)(t, index, value))


def changed(t: Any, new: Any, symbol: str) -> Any:
    """What the name is bound to by `t += u`, where `new` is `t + u`. As in NumPy, an array of floats stays the same
    one, with other values: what `t[...] = t + u` does. A new tensor comes of integers, of a leaf that requires grad,
    and of what a derivation computes, where a tensor stands for one value."""
    if t.dtype.kind != "f" or (t._requires_grad and (t.record is None or not is_recording())):
        return new
    if new.shape != t.shape:
        raise ValueError(f"t {symbol} u gave shape {new.shape}, which t of shape {t.shape} cannot hold")
    if (replaced := interpreter().replaces(t, new)) is not None:
        return replaced
    if not new._requires_grad and not t._requires_grad:
        assign(t, ..., new)
    else:
        _become(t, new if new.dtype == t.dtype else new.astype(t.dtype))
    return t


def _become(t: Any, new: Any) -> None:
    """Gives a tensor the value and the record of a new one."""
    new.name = t.name
    retained = t.record is not None and t.record.noted.retained is not None
    t._value, t.record, t._requires_grad, t._origin = new._value, new.record, True, None
    if retained:
        t.retain_grad()


def joined(value: Any) -> Any:
    """Lists of tensors, and of lists of them, as one tensor."""
    if isinstance(value, list | tuple) and holds_operand(value):
        return np.stack([joined(v) for v in value])
    return value
