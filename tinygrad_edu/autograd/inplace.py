"""Notices arrays that were changed in place after they were recorded, so that no gradient is computed from what they
hold now.

A change through a tensor is noted for the owner of the memory, so that it is seen through every view; PyTorch's version
counters do the same. Of a change through an array (`a = t.data; a[0] = 1`) nobody is told. Where it is one of large
constants, a sample of them shows most such changes: all that concern the whole array, such as a batch that takes the
place of another one. `detect_anomaly` sees every change.
"""

from __future__ import annotations

import functools
import itertools
import math
import threading
import weakref
from typing import Any

import numpy as np

from .locks import holding

# Moments are counted downwards, so that the newest record is the smallest: what a heap hands out first.
next_order = itertools.count(0, -1).__next__

newest_change: float = math.inf  # the moment of the newest of all changes: what was recorded later need not look
_moments: dict[int, list[int]] = {}  # when memory was changed last, by the identity of its owner, while that lives
_owners: dict[int, weakref.ref[Any]] = {}
_noting = threading.RLock()


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


def next_change() -> int:
    """The moment of a change that is about to be made."""
    return holding(_noting, _next_change)


def _next_change() -> int:
    global newest_change
    newest_change = moment = next_order()
    return moment


def last_change(array: Any) -> list[int]:
    """Where the moment of the last change of an array's memory stands: who changes it often keeps this, and writes
    `next_change()` into it each time."""
    return holding(_noting, _moment_of, _owner(array))


def _moment_of(owner: Any) -> list[int]:
    moment = _moments.get(id(owner))
    if moment is None:
        moment = _moments[id(owner)] = [0]
        _owners[id(owner)] = weakref.ref(owner, functools.partial(_forget, id(owner)))
    return moment


def mark_changed(array: Any) -> None:
    """Notes that an array is changed in place: records that hold it from before can no more be differentiated."""
    last_change(array)[0] = next_change()


def mark_assigned(t: Any) -> None:
    """Notes that a tensor was given another array: drawings must not take that for what was computed with."""
    (_moments.get(id(t)) or _moment_of(t))[0] = next_order()


def assigned_since(t: Any, order: int) -> bool:
    """Whether a tensor was given another array after the moment `order`."""
    moment = _moments.get(id(t))
    return moment is not None and moment[0] < order


def _forget(key: int, reference: object) -> None:
    del _owners[key], _moments[key]


def is_written_over(array: Any) -> bool:
    """Whether the memory of an array has been changed in place, and so may be changed again."""
    return id(_owner(array)) in _moments


def sample_of(array: Any) -> bytes:
    """About 64 elements of an array, spread over all of it, as bytes."""
    sample: bytes
    if array.flags.c_contiguous:
        step = array.size // 64 | 1  # odd, so that it meets several columns
        sample = array.reshape(-1)[step // 2 :: step].tobytes()
        return sample
    count = max(2, round(64 ** (1 / max(1, array.ndim))))
    steps = [max(1, n // count) for n in array.shape]
    sample = array[tuple([slice(step // 2, None, step) for step in steps])].tobytes()
    return sample


def changed_since(array: Any, order: int) -> bool:
    """Whether `array` was changed in place, through a tensor, after the moment `order`."""
    if order < newest_change or not isinstance(array, np.ndarray):  # smaller is newer
        return False
    moment = _moments.get(id(_owner(array)))
    return moment is not None and moment[0] < order
