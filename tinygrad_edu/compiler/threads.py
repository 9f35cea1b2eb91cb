"""The threads that the blocks of a step are computed in, and BLAS held to one thread meanwhile.

NumPy lets go of the interpreter's lock in its loops and in BLAS, so that plain threads compute at the same time. BLAS
has threads of its own, which would be in each other's way; threadpoolctl (extra `examples`) limits them, and without it
there is one thread only, in which nothing is cut.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from ..autograd.locks import holding

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor


class Blas:
    """The number of threads that BLAS uses, which is one number in the whole process: while some steps hold it to one,
    the first of them has noted it, and the last one puts it back."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._holding: set[object] = set()  # a token of each step
        self._libraries: list[Any] | None = None
        self._before: list[int] = []

    @property
    def threads(self) -> int:
        """How many threads BLAS uses when no step holds it; 0 if it cannot be held."""
        return holding(self._lock, lambda: max(self._before if self._holding else self._now(), default=0))

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        token = object()
        try:
            holding(self._lock, self._hold, token)
            yield
        finally:
            holding(self._lock, self._let_go, token)

    def _hold(self, token: object) -> None:
        if not self._holding:
            self._before = self._now()
        self._holding.add(token)
        self._set([1] * len(self._before))

    def _let_go(self, token: object) -> None:
        self._holding.discard(token)
        if not self._holding:
            self._set(self._before)

    def _now(self) -> list[int]:
        if self._libraries is None:
            self._libraries = _blas_libraries()
        return [library.get_num_threads() for library in self._libraries]

    def _set(self, numbers: Sequence[int]) -> None:
        for library, number in zip(self._libraries or (), numbers, strict=True):
            if library.get_num_threads() != number:
                # From threadpoolctl 3.8 on, the thread that sets the number is the only one that can set it again.
                give_up = getattr(library, "clear_controlling_thread", lambda force: None)
                give_up(force=True)
                library.set_num_threads(number)
                give_up(force=True)


def _blas_libraries() -> list[Any]:
    """What threadpoolctl says of BLAS; nothing if it is missing, or if the limit would not hold in other threads."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return []
    libraries: list[Any] = ThreadpoolController().select(user_api="blas").lib_controllers
    # OpenMP has a number for each thread that asks.
    return [] if any(getattr(b, "threading_layer", None) == "openmp" for b in libraries) else libraries


_BLAS: dict[int, Blas] = {}


def blas() -> Blas:
    """That of this process: a forked child has locks of its own."""
    return _BLAS.get(os.getpid()) or _BLAS.setdefault(os.getpid(), Blas())


def cores() -> int:
    """How many cores this process may use."""
    count = getattr(os, "process_cpu_count", None)  # Python 3.13
    if count is not None:
        return count() or 1
    affinity = getattr(os, "sched_getaffinity", None)  # Linux
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


class Workers:
    """Threads for the blocks of one step, which end when it is dropped."""

    def __init__(self, threads: int | None = None) -> None:
        """`threads`: None for as many as BLAS would use, but no more than there are cores."""
        self._asked = threads
        self._count: int | None = None
        self._process = 0

    @property
    def count(self) -> int:
        """How many blocks are computed at the same time. It is found out when it is first asked for, since that loads
        threadpoolctl."""
        if self._count is None:
            of_blas = blas().threads if self._asked != 1 else 0
            self._count = (self._asked or min(of_blas, cores())) if of_blas else 1
        return self._count

    def run(self, tasks: Sequence[Callable[[], Any]]) -> list[Any]:
        """What the tasks return: the first one runs here, the others in threads, each with the caller's context, in
        which NumPy has its `errstate`. None of them runs any more when this returns or raises, except after a second
        Ctrl-C; then the next call's wait for those."""
        from concurrent.futures import wait  # which loads logging: by the first step with threads, not by every import

        running: list[Future[Any]] = []
        with blas().held():
            pool = self._threads()
            try:
                for task, turn in zip(tasks[1:], self._turns, strict=False):
                    running.append(pool.submit(copy_context().run, _in_turn, turn, task))
                results = [tasks[0]()]
            finally:
                wait(running)
        return results + [future.result() for future in running]

    def _threads(self) -> ThreadPoolExecutor:
        if self._process != os.getpid():  # a forked child has none of its parent's threads
            from concurrent.futures import ThreadPoolExecutor

            self._turns = [threading.Lock() for _ in range(self.count - 1)]
            self._pool = ThreadPoolExecutor(self.count - 1, "tinygrad-edu")
            self._process = os.getpid()
            weakref.finalize(self, _end, self._pool, self._process)
        return self._pool


def _in_turn(turn: threading.Lock, task: Callable[[], Any]) -> Any:
    """The task, when the one before it, which computes in the same memory, is done."""
    with turn:
        return task()


def _end(pool: ThreadPoolExecutor, process: int) -> None:
    if process == os.getpid():
        pool.shutdown(wait=False)  # not here: this may be one of its threads
