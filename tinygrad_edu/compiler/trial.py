"""A printed derivation is tried: with other numbers of rows, it must give what the function itself gives.

What differs between derivations for a few numbers of rows has been found by then. This finds what a function does with
some numbers of rows only: `if len(x) > 5`, `max(len(x), 4)`, `x[:1000]`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from .derivation import Derivation
from .program import Program
from .rows import MOST_ELEMENTS, Count, Derive, Examples, General

FEW, MANY = (1, 2, 3, 5), 1501


def holds(source: str, general: General, examples: Examples, derive: Derive, parameters: Sequence[Any]) -> bool:
    """Whether `value_and_gradients` of `source` agrees with derivations for few and for many rows."""
    varied = [(k, axis) for k, shape in enumerate(general.shapes) for axis, n in enumerate(shape) if type(n) is Count]
    if not varied or _draws(general.derivation):
        return True
    namespace: dict[str, Any] = {}
    exec(compile(source, "<derivation>", "exec"), namespace)
    sizes: dict[int, int] = {}
    for rows in (*FEW, MANY):
        if rows == MANY and _size_of_many(sizes) > MOST_ELEMENTS:
            continue
        arrays = examples.resized(dict.fromkeys(varied, rows))
        derivation = None
        with suppress(Exception):  # whatever the function says to that many rows
            derivation = derive(arrays)
        if derivation is not None:
            sizes[rows] = derivation.size
            if not _agrees(namespace["value_and_gradients"], derivation, [*arrays, *parameters]):
                return False
    return True


def _size_of_many(sizes: Mapping[int, int]) -> float:
    """How many elements there will be for many rows: they grow with a power of the rows. Arrays of rows × rows are too
    many, since products and decompositions of them take longer than they have elements."""
    if len(sizes) < 2:
        return math.inf
    *_, (few, small), (more, large) = sizes.items()
    power = math.log(large / small) / math.log(more / few)
    return float(large * (MANY / more) ** power) if power < 1.5 else math.inf


def _draws(derivation: Derivation) -> bool:
    """Whether it draws random numbers, which are others each time."""
    lines = (*derivation.forward, *derivation.backward)
    return any(getattr(line.function, "draws", False) for line in lines)


def _agrees(function: Any, derivation: Derivation, given: list[Any]) -> bool:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a trial nobody wants to hear
        results = Program(derivation).computed(*given)[: 1 + len(derivation.gradients)]  # nothing is put anywhere
        wanted = [b if b is None else np.array(b) for b in results]
        if not all(b is None or np.isfinite(b).all() for b in wanted):
            return True  # there is nothing to compare with: a variance of one row, for example
        try:
            value, gradients = function(*given, *(t.data for t in derivation.captured))
        except Exception:
            return False
    scale = max(float(np.max(abs(b), initial=0)) for b in wanted if b is not None)  # of what rounds to 0, too
    pairs = zip((value, *gradients), wanted, strict=True)
    return all(a is b if a is None or b is None else _near(np.asarray(a), b, scale) for a, b in pairs)


def _near(a: Any, b: Any, scale: float) -> bool:
    return a.shape == b.shape and bool(np.all(abs(a - b) <= math.sqrt(np.finfo(b.dtype).eps) * scale))
