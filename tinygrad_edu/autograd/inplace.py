"""Notices arrays that were changed in place after they were recorded, so that no gradient is computed from what they
hold now.

A change is noted for the owner of the memory, so that it is seen through every view; PyTorch's version counters do the
same. Changes through an array that the user kept aside (`a = t.data; a[0] = 1`) are not seen here, only by
`detect_anomaly`.
"""

from __future__ import annotations

import functools
import itertools
import math
import threading
import weakref
from typing import Any

import numpy as np

# Moments are counted downwards, so that the newest record is the smallest: what a heap hands out first.
next_order = itertools.count(0, -1).__next__

newest_change: float = math.inf  # the moment of the newest of all changes: what was recorded later need not look
_moments: dict[int, int] = {}  # when memory was changed last, by the identity of its owner, as long as that lives
_owners: dict[int, weakref.ref[Any]] = {}
_noting = threading.Lock()


def _owner(array: Any) -> Any:
    """The array whose memory it is, also through what NumPy puts between (`as_strided`, `sliding_window_view`)."""
    owner = array
    while array is not None:
        if isinstance(array, np.ndarray):
            owner = array
        array = getattr(array, "base", None)
    return owner


def mark_changed(*arrays: Any) -> None:
    """Notes that arrays are changed in place: records that hold them from before can no more be differentiated."""
    global newest_change
    owners = [array if array.base is None else _owner(array) for array in arrays]
    with _noting:
        newest_change = moment = next_order()
        for owner in owners:
            key = id(owner)
            if key not in _moments:
                _owners[key] = weakref.ref(owner, functools.partial(_forget, key))
            _moments[key] = moment


def _forget(key: int, reference: object) -> None:
    del _moments[key], _owners[key]


def changed_since(array: Any, order: int) -> bool:
    """Whether `array` was changed in place, through a tensor, after the moment `order`."""
    if order < newest_change or not isinstance(array, np.ndarray):  # smaller is newer
        return False
    return _moments.get(id(_owner(array)), order) < order
