"""The table of a model's layers: the samples that are run through, the shapes that come out, the columns."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import numpy as np

from ..autograd.printing import Table, printable
from ..autograd.tensor import Tensor

# Inside `summary`, the shapes of what modules and functions gave there, by their identity; None outside.
noted_shapes: ContextVar[dict[int, list[str]] | None] = ContextVar("tinygrad_edu.shapes", default=None)


def note_shape(shapes: dict[int, list[str]], layer: Any, output: Any) -> None:
    """Writes down the shape of what a layer gave, or the shapes, if it gave several arrays."""
    known: list[str] = []
    waiting = [output]
    while waiting:
        y = waiting.pop()
        if isinstance(y, dict | list | tuple):
            waiting.extend([*(y.values() if isinstance(y, dict) else y)][::-1])
        else:
            known.append(str((None, *np.shape(y)[1:])) if isinstance(y, Tensor | np.ndarray) else "?")
    shapes.setdefault(id(layer), []).append(", ".join(known))


def sample_of(given: Any, dtype: type) -> Any:
    """A row of zeros, if `given` is a shape, else what is given."""
    shape = given if isinstance(given, tuple) else (given,)
    return np.zeros((1, *shape), dtype) if all(isinstance(n, int | np.integer) for n in shape) else given


def table(rows: list[tuple[str, str, str]]) -> Table:
    """The rows under each other in columns, with a line below the first and above the last."""
    widths = [max(len(row[k]) for row in rows) for k in range(3)]
    lines = [f"{a:{widths[0]}}  {b:{widths[1]}}  {c:>{widths[2]}}" for a, b, c in rows]
    rule = printable("─") * len(lines[0])
    return Table("\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]]), rows)
