"""Locks that Ctrl-C does not leave locked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def holding(lock: Any, function: Callable[..., T], *args: Any) -> T:
    """`function(*args)` while this thread holds the `threading.RLock`.

    `with lock:` may be interrupted when it has taken the lock and would not give it back yet; on Python 3.14 it is.
    """
    try:
        lock.acquire()
        return function(*args)
    finally:
        try:  # noqa: SIM105 (to call `suppress` is another moment for an interrupt)
            lock.release()
        except RuntimeError:  # interrupted before it was taken
            pass
