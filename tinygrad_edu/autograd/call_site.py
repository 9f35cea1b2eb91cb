"""Where in the user's code an operation was recorded, kept on request."""

from __future__ import annotations

import copy
import linecache
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .recording import watching

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


@contextmanager
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
