"""Whether operations are recorded, and who is told of each: in each thread by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ContextDecorator, contextmanager
from contextvars import ContextVar, Token
from typing import Any

Watcher = Callable[[Any, Any, Sequence[Any]], None]  # told of a record, its output and its arguments' values

# One variable says both, so that nothing is paid for watching while nobody watches: False, True, or who is told.
_recording: ContextVar[bool | Watcher] = ContextVar("tinygrad_edu.recording", default=True)
_watcher: ContextVar[Watcher | None] = ContextVar("tinygrad_edu.watcher", default=None)
is_recording = _recording.get

# Who checks the gradients of backward passes: makes what a pass tells each gradient, see `engine.pullback`.
_gradient_check: ContextVar[Callable[[], Any] | None] = ContextVar("tinygrad_edu.gradient_check", default=None)
gradient_check = _gradient_check.get


class no_grad(ContextDecorator):
    """Inside it, or in a function decorated with it, nothing is recorded, in this thread.

    >>> x = tg.Tensor([1.0], requires_grad=True)
    >>> with tg.no_grad():
    ...     y = x * 2
    ...
    >>> y.requires_grad
    False
    """

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        """`@no_grad` decorates as `@no_grad()` does."""
        return super().__new__(cls) if function is None else cls()(function)

    def __init__(self) -> None:
        self._tokens: list[Token[bool | Watcher]] = []

    def _recreate_cm(self) -> no_grad:  # each call of a decorated function, in whatever thread, has its own
        return no_grad()

    def __enter__(self) -> None:
        self._tokens.append(_recording.set(False))

    def __exit__(self, *error: object) -> None:
        _recording.reset(self._tokens.pop())


@contextmanager
def recording() -> Iterator[None]:
    """The opposite of `no_grad`, for what must record to do its work."""
    token = _recording.set(_watcher.get() or True)
    try:
        yield
    finally:
        _recording.reset(token)


@contextmanager
def watching(watcher: Watcher, check: Callable[[], Any] | None = None) -> Iterator[None]:
    """Inside it, `watcher` is told of every operation that is recorded in this thread, after those outside are.

    Every backward pass calls `check`, if it is given, and tells what it gets the gradient of each record and leaf.
    """
    outer = _watcher.get()

    def both(record: Any, output: Any, values: Sequence[Any]) -> None:
        assert outer is not None
        outer(record, output, values)
        watcher(record, output, values)

    told = watcher if outer is None else both
    tokens = _watcher.set(told), _recording.set(told if _recording.get() else False)
    checked = _gradient_check.set(check or _gradient_check.get())
    try:
        yield
    finally:
        _watcher.reset(tokens[0])
        _recording.reset(tokens[1])
        _gradient_check.reset(checked)
