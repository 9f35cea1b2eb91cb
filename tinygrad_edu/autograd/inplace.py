"""Arrays changed in place after they were recorded: noticed, so that no gradient is computed from what they hold now.

A change is noted for the owner of the memory, so that it is seen through every view; PyTorch's version counters do the
same. Changes through an array that the user kept aside (`a = t.data; a[0] = 1`) are not seen here, only by
`detect_anomaly`.
"""

from __future__ import annotations

import itertools
import math
import threading
import weakref
from typing import Any

import numpy as np

# Moments are counted downwards, so that the newest record is the smallest: what a heap hands out first.
next_order = itertools.count(0, -1).__next__

newest_change: float = math.inf  # the moment of the newest of all changes: what was recorded later need not look
_noting = threading.Lock()
_changes: dict[int, tuple[weakref.ref[Any], int]] = {}  # by the identity of the memory's owner: when it was changed


def _owner(array: Any) -> Any:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def mark_changed(array: Any) -> None:
    """Notes that `array` was changed in place: records that hold it from before can no longer be differentiated."""
    global newest_change
    owner = _owner(array)
    key = id(owner)
    with _noting:
        known = _changes.get(key)
        if known is None or known[0]() is not owner:
            known = weakref.ref(owner, lambda _: _changes.pop(key, None)), 0
        _changes[key] = known[0], next_order()
        newest_change = _changes[key][1]


def changed_since(array: Any, order: int) -> bool:
    """Whether `array` was changed in place, through a tensor, after the moment `order`."""
    if order < newest_change or not isinstance(array, np.ndarray):  # smaller is newer
        return False
    return _changes.get(id(_owner(array)), (None, order))[1] < order
