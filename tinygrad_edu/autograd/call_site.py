"""Where in the user's code something happens, for messages."""

from __future__ import annotations

import copy
import linecache
import os
import sys
import warnings
from typing import Any

import numpy as np

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


def _instead(who: str) -> str:
    way = "compute with NumPy's arrays (table.to_numpy())"
    if who == "scipy":
        way = (
            "see whether tinygrad_edu.scipy has the function (in its special, stats, optimize and integrate), or write "
            "its formula, as the density of a distribution, with functions of NumPy and of scipy.special"
        )
    return f"Pass t.detach() for its values; to keep the gradient, {way}"


def _dropped_by_array(shape: tuple[int, ...]) -> str:
    if who := library():
        return f"{who} makes a plain array of a Tensor of shape {shape}, which would drop its gradient. {_instead(who)}"
    return (
        f"making a plain array of a Tensor that requires grad (shape {shape}) would drop its gradient. To join tensors "
        "use np.stack, np.concatenate or np.column_stack, or take NumPy with `import tinygrad_edu.numpy as np`, whose "
        "np.array joins them and whose np.zeros can be filled; a @ t in place of an array's own a.dot(t); for the "
        "values .numpy() or .detach()"
    )


def _dropped_by_copy(shape: tuple[int, ...], computed: str) -> str:
    if who := library():
        return f"{who} copies a Tensor of shape {shape}, which would drop its gradient. {_instead(who)}"
    return (
        f"a tensor of shape {shape} that '{computed}' computed is copied or pickled: its record stays here, and its "
        "gradient would be lost. Take .detach(), or drop it from what is copied"
    )


def place(file: str, line: int) -> str:
    """A place in the user's code, "train.py:41". In a notebook "cell In[3], line 2": its file is none to be opened."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    name_of = getattr(getattr(shell, "compile", None), "format_code_name", None)
    cell = name_of(file) if name_of is not None else None
    return f"{file}:{line}" if cell is None else f"{cell[0].lower()} {cell[1]}, line {line}"


def where() -> str:
    """ "at train.py:41 (the line itself)": the user's."""
    file, line = caller()
    code = linecache.getline(file, line).strip()
    return f"at {place(file, line)}{f' ({code})' if code else ''}"


_shown: dict[str, Any] = {}  # so that Python shows each warning once for each line


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """A warning at the user's line."""
    file, line = caller()
    warnings.warn_explicit(message, category, file, line, registry=_shown)  # type: ignore[arg-type]
