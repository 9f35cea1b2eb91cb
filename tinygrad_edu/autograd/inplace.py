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
    if (base := array.base) is None or (base.__class__ is np.ndarray and base.base is None):
        return array if base is None else base  # mostly, and then without the walk
    while array is not None:
        if isinstance(array, np.ndarray):
            owner = array
        array = getattr(array, "base", None)
    return owner


class Memory:
    """Arrays that are changed in place together, by an optimiser in each of its steps, and whose memory that is."""

    def __init__(self, *arrays: Any) -> None:
        owners = {id(owner): owner for owner in map(_owner, arrays)}
        self._keys = frozenset(owners)
        self.arrays = arrays  # as long as they live, the keys are their identities
        with _noting:
            for key in owners.keys() - _owners.keys():
                _owners[key] = weakref.ref(owners[key], functools.partial(_forget, key))

    def mark_changed(self) -> None:
        """Notes that the arrays are changed: records that hold them from before can no more be differentiated."""
        global newest_change
        with _noting:
            newest_change = moment = next_order()
            _moments.update(dict.fromkeys(self._keys, moment))

    def holds(self, array: Any) -> bool:
        """Whether another array shares memory with these."""
        return id(_owner(array)) in self._keys


def mark_changed(array: Any) -> None:
    """Notes that an array is changed in place."""
    Memory(array).mark_changed()


def _forget(key: int, reference: object) -> None:
    del _owners[key]
    _moments.pop(key, None)


def changed_since(array: Any, order: int) -> bool:
    """Whether `array` was changed in place, through a tensor, after the moment `order`."""
    if order < newest_change or not isinstance(array, np.ndarray):  # smaller is newer
        return False
    return _moments.get(id(_owner(array)), order) < order
