"""Locks, with which `detect_anomaly` keeps arrays from being changed in place for as long as a record needs them."""

from __future__ import annotations

import binascii
import threading
import weakref
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..autograd.locks import holding


class _Memory:
    """One piece of memory: how many locks hold it, and the arrays over it that would be writeable without them."""

    def __init__(self) -> None:
        self.count = 0
        self.arrays: dict[int, weakref.ref[NDArray[Any]]] = {}  # the owner of the memory first


_locked: dict[int, _Memory] = {}  # by the identity of the owner
_changing = threading.RLock()  # a lock may be dropped in any thread, and while another one is made


def _chain(array: NDArray[Any]) -> list[NDArray[Any]]:
    """The owner of the array's memory, then the views between, then the array."""
    chain = [array]
    while isinstance(chain[-1].base, np.ndarray):
        chain.append(chain[-1].base)
    return chain[::-1]


def _can_be_restored(owner: NDArray[Any]) -> bool:
    """Whether NumPy will make `owner` writeable again: not where the memory belongs to a read-only foreign object."""
    base: Any = owner.base
    if base is None:
        return True
    try:
        with memoryview(base) as memory:
            return not memory.readonly
    except TypeError:
        return False


def _lock(array: NDArray[Any]) -> None:
    chain = _chain(array)
    owner = chain[0]
    memory = _locked.setdefault(id(owner), _Memory())
    memory.count += 1
    if not memory.arrays and not (owner.flags.writeable and _can_be_restored(owner)):
        return
    for a in chain:
        if a.flags.writeable:
            a.flags.writeable = False
            memory.arrays[id(a)] = weakref.ref(a)
        else:
            _restore_later(a, memory)


def _restore_later(array: NDArray[Any], memory: _Memory) -> None:
    """A view that was taken of locked memory is read-only from birth, but would not be without the lock."""
    if memory.arrays and 0 not in array.strides:  # a broadcast array is read-only anyway
        memory.arrays.setdefault(id(array), weakref.ref(array))


def _unlock(array: NDArray[Any]) -> None:
    key = id(_chain(array)[0])
    memory = _locked[key]
    memory.count -= 1
    if memory.count:
        return
    del _locked[key]
    for reference in memory.arrays.values():
        locked = reference()
        if locked is not None:
            locked.flags.writeable = True


def note_view(array: Any) -> None:
    """Is told of each new array: a view of locked memory becomes writeable with the rest."""
    if isinstance(array, np.ndarray) and array.base is not None and not array.flags.writeable:
        holding(_changing, _note_view, array)


def _note_view(array: NDArray[Any]) -> None:
    memory = _locked.get(id(_chain(array)[0]))
    if memory is not None:
        _restore_later(array, memory)


class Lock:
    """Holds arrays read-only, with the arrays that they are views of, until it is released or dropped."""

    def __init__(self, arrays: Iterable[NDArray[Any]]) -> None:
        self._arrays: list[NDArray[Any]] = []
        for array in arrays:
            holding(_changing, _lock, array)
            self._arrays.append(array)
        self._seen = [_fingerprint(a) for a in self._arrays]

    def changed(self) -> NDArray[Any] | None:
        """An array that was changed in spite of the lock: through an earlier view, or by the memory's foreign owner."""
        return next((a for a, seen in zip(self._arrays, self._seen, strict=True) if _fingerprint(a) != seen), None)

    def release(self) -> None:
        while self._arrays:
            holding(_changing, _unlock, self._arrays.pop())

    __del__ = release


def _fingerprint(array: NDArray[Any]) -> int:
    contiguous: Any = np.ascontiguousarray(array)
    return binascii.crc32(contiguous)


class Held(tuple[Any, ...]):
    """What a record keeps, locked for as long as it is kept."""

    lock: Lock

    @classmethod
    def of(cls, saved: tuple[Any, ...]) -> Held:
        held = cls(saved)
        held.lock = Lock(value for value in saved if isinstance(value, np.ndarray))
        return held
