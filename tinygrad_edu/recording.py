"""Whether operations are recorded: in each thread by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ContextDecorator, contextmanager
from contextvars import ContextVar, Token
from typing import Any

_recording: ContextVar[bool] = ContextVar("tinygrad_edu.recording", default=True)
is_recording = _recording.get


class no_grad(ContextDecorator):
    """Inside it, or in a function decorated with it, nothing is recorded, in this thread."""

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        """`@no_grad` decorates as `@no_grad()` does."""
        return super().__new__(cls) if function is None else cls()(function)

    def __init__(self) -> None:
        self._tokens: list[Token[bool]] = []

    def _recreate_cm(self) -> no_grad:  # each call of a decorated function, in whatever thread, has its own
        return no_grad()

    def __enter__(self) -> None:
        self._tokens.append(_recording.set(False))

    def __exit__(self, *error: object) -> None:
        _recording.reset(self._tokens.pop())


@contextmanager
def recording() -> Iterator[None]:
    """The opposite of `no_grad`, for what must record to do its work."""
    token = _recording.set(True)
    try:
        yield
    finally:
        _recording.reset(token)
