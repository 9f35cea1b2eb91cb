"""Where in the user's code an operation was recorded, kept on request."""

from __future__ import annotations

import copy
import functools
import linecache
import os
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

import numpy as np

from .recording import watching

Function = TypeVar("Function", bound=Callable[..., Any])
_INSIDE = (
    os.path.dirname(os.path.dirname(__file__)) + os.sep,
    os.path.dirname(np.__file__) + os.sep,
    "<__array_function__",  # NumPy's own dispatcher
    copy.__file__,
)


def caller() -> tuple[str, int]:
    """The file and the line of the innermost call that is neither this package's nor NumPy's: the user's."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_INSIDE):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def library() -> str | None:
    """The installed package whose code calls, other than this one and NumPy; None for the user's own code."""
    parts = os.path.normpath(caller()[0]).split(os.sep)
    k = next((k for k, part in enumerate(parts) if part in ("site-packages", "dist-packages")), None)
    return None if k is None or k + 1 == len(parts) else parts[k + 1].removesuffix(".py")


_INSTEAD = "Pass t.detach() for its values; to keep the gradient, compute with NumPy's arrays (table.to_numpy())"


def _dropped_by_array(shape: tuple[int, ...]) -> str:
    if who := library():
        return f"{who} makes a plain array of a Tensor of shape {shape}, which would drop its gradient. {_INSTEAD}"
    return (
        f"making a plain array of a Tensor that requires grad (shape {shape}) would drop its gradient. To join tensors "
        "use np.stack, np.concatenate or np.column_stack; for the values .numpy() or .detach()"
    )


def _dropped_by_copy(shape: tuple[int, ...], computed: str) -> str:
    if who := library():
        return f"{who} copies a Tensor of shape {shape}, which would drop its gradient. {_INSTEAD}"
    return (
        f"a tensor of shape {shape} that '{computed}' computed is copied or pickled: its record stays here, and its "
        "gradient would be lost. Take .detach(), or drop it from what is copied"
    )


def where() -> str:
    """ "at train.py:41 (the line itself)": the user's."""
    file, number = caller()
    code = linecache.getline(file, number).strip()
    return f"at {file}:{number}{f' ({code})' if code else ''}"


_shown: dict[str, Any] = {}  # so that Python shows each warning once for each line


def warn_user(message: str) -> None:
    """A `UserWarning` at the user's line."""
    file, line = caller()
    warnings.warn_explicit(message, UserWarning, file, line, registry=_shown)  # type: ignore[arg-type]


class _Block(AbstractContextManager[None]):
    """A context manager, anew for each block; as a decorator it refuses what runs later than it is called."""

    def __init__(self, make: Callable[[], AbstractContextManager[None]]) -> None:
        self._make = make
        self._entered: list[AbstractContextManager[None]] = []

    def __enter__(self) -> None:
        self._entered.append(self._make())
        self._entered[-1].__enter__()

    def __exit__(self, *error: Any) -> bool | None:
        return self._entered.pop().__exit__(*error)

    def __call__(self, function: Function) -> Function:
        @functools.wraps(function)
        def inside(*args: Any, **options: Any) -> Any:
            with self._make():
                made = function(*args, **options)
            if isinstance(made, types.CoroutineType):
                made.close()  # it is not going to be awaited
            if isinstance(made, types.GeneratorType | types.CoroutineType | types.AsyncGeneratorType):
                raise TypeError(
                    f"{getattr(function, '__name__', function)} runs when the decorator's block is over, as generators "
                    "and coroutines do; write `with` around its steps instead"
                )
            return made

        return inside  # type: ignore[return-value]


def block(make: Callable[[], Iterator[None]]) -> Callable[[], _Block]:
    """`contextmanager` for what may also decorate a function."""
    managed = contextmanager(make)
    return functools.wraps(make)(lambda: _Block(managed))


@block
def record_positions() -> Iterator[None]:
    """Inside it, each operation recorded in this thread keeps the file and the line of the code that called it, for
    drawings and for `explain`.

    >>> with tg.record_positions():
    ...     y = np.exp(tg.Tensor(1.0, requires_grad=True))
    >>> file, line = y.record.position
    """

    def keep(record: Any, output: Any, values: Sequence[Any]) -> None:
        record.noting.position = caller()

    with watching(keep):
        yield
