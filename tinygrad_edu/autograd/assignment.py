"""`t[index] = value`: in the array itself, or recorded where a gradient flows."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .inplace import mark_changed
from .operators import look_up
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
    if _is_view(t):
        raise TypeError(
            "assigning into a view of another tensor, which could not follow with its gradient. Assign into the tensor "
            "itself, c[i, j] = v in place of c[i][j] = v or of rows in a loop; or into a copy, v.copy()"
        )
    new = look_up(operator.setitem)(t, index, value)
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


def _is_view(t: Any) -> bool:
    """Whether a tensor has the memory of another one, of which it shows a part or another order."""
    made_by = t.record or getattr(t, "_origin", None)
    if made_by is None or not made_by.primitive.moves or getattr(t._value, "base", None) is None:
        return False
    index = made_by.options.get("index")  # of arrays it takes copies
    return not any(isinstance(i, np.ndarray | list) for i in (index if isinstance(index, tuple) else (index,)))
