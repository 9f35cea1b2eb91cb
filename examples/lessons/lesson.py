"""`check`, with which the lessons look at the answer to an exercise."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

import tinygrad_edu as tg

NOTHING = "Nothing yet: replace the ... above by your answer and run this cell again."


def check(
    answer: Any,
    expected: Any,
    *,
    at: Iterable[tuple[Any, ...]] = (),
    hints: Mapping[str, Any] | None = None,
    tolerance: float = 1e-6,
) -> None:
    """Prints "Right.", or "Not yet: " and what is wrong with the answer. It never raises for a wrong answer.

    `expected` is a number, a string, an array or tensor, or a list or tuple of such. With `at`, the answer is a
    function that is called with each tuple of arguments in it, and `expected` a function, too, or a list of what shall
    come out. Numbers may differ by `tolerance`, relative to `expected` or, below 1, absolutely. `hints` maps a sentence
    to the wrong answer that it explains: a value or a function, as `expected`. An answer that is equal to it gets the
    sentence.

    >>> check(..., 12.0)
    Nothing yet: replace the ... above by your answer and run this cell again.
    >>> check(6.0, 12.0, hints={"both paths count: add what comes along each of them": 6.0})
    Not yet: both paths count: add what comes along each of them
    >>> check(lambda x: 2 * x, lambda x: x**2, at=[(2.0,), (3.0,)])
    Not yet: called with 3.0, 6 instead of 9
    """
    at = list(at)
    if answer is not ... and callable(answer) != bool(at):
        kinds = (
            "a function is asked for, and this is none",
            "this is a function; the answer is what it gives when called",
        )
        print(f"Not yet: {kinds[callable(answer)]}")
        return
    try:
        found = _called(answer, at) if answer is not ... else [...]
    except Exception as error:
        print(f"Not yet: the function raises {type(error).__name__}: {(str(error).splitlines() or [''])[0]}")
        return
    if any(value is ... for value in found):
        print(NOTHING)
        return

    def difference(told: Any) -> tuple[int, str]:
        return _first_difference(found, told if at and not callable(told) else _called(told, at), tolerance)

    place, fault = difference(expected)
    if not fault:
        print("Right.")
        return
    called = f"called with {', '.join(map(_shown, at[place]))}, " if at else ""
    explained = [sentence for sentence, wrong in (hints or {}).items() if not difference(wrong)[1]]
    print(f"Not yet: {explained[0] if explained else called + fault}")


def _called(told: Any, at: list[tuple[Any, ...]]) -> list[Any]:
    """What comes out, each time of arrays of its own, since the function may change them; without `at`, the value."""
    own = [[copy.deepcopy(a) if isinstance(a, np.ndarray | list) else a for a in arguments] for arguments in at]
    return [told(*arguments) for arguments in own] if at else [told]


def _first_difference(found: Iterable[Any], expected: Iterable[Any], tolerance: float) -> tuple[int, str]:
    """At which value, and what it is in a few words; "" if there is none."""
    faults = [_difference(*pair, tolerance) for pair in zip(found, expected, strict=True)]
    return next(((k, fault) for k, fault in enumerate(faults) if fault), (0, ""))


def _difference(found: Any, expected: Any, tolerance: float) -> str:
    if found is None or expected is None:
        return "" if found is expected else "it is None; is there a return, or a backward(), missing?"
    a, b = _numbers(found), _numbers(expected)
    if a is not None and b is not None:
        if a.shape != b.shape:
            return f"shape {a.shape} instead of {b.shape}{', a single number' if b.shape == () else ''}"
        differs = np.argwhere(~np.isclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)).tolist()
        if not differs:
            return ""
        place = tuple(differs[0])
        return f"{f'at {list(place)}: ' if place else ''}{_number(a[place])} instead of {_number(b[place])}"
    if isinstance(found, list | tuple) and isinstance(expected, list | tuple):
        if len(found) != len(expected):
            return f"{len(found)} values instead of {len(expected)}"
        k, fault = _first_difference(found, expected, tolerance)
        return f"value {k + 1}: {fault}" if fault else ""
    if isinstance(found, str) and isinstance(expected, str):
        return "" if found.strip().casefold() == expected.strip().casefold() else f"{found!r} is not it"
    return f"{_kind(found)} instead of {_kind(expected)}"


def _numbers(value: Any) -> np.ndarray[Any, Any] | None:
    """The value as an array of floats, if it is one number or a block of them."""
    try:
        array = np.asarray(_plain(value))
        if array.dtype.kind == "O":  # fractions, which are numbers, too
            return np.array([float(number) for number in array.flat]).reshape(array.shape)
    except (TypeError, ValueError):  # no numbers, or rows of different lengths
        return None
    return array.astype(float) if array.dtype.kind in "biuf" else None


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value.data if isinstance(value, tg.Tensor) else value


def _number(value: Any) -> str:
    return "NaN" if np.isnan(value) else f"{value:.10g}"


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "a string"
    if _numbers(value) is not None:
        return "a number" if np.shape(value) == () else "numbers"
    if isinstance(value, list | tuple):
        return f"{len(value)} values"
    return "..." if value is ... else f"something of the type {type(value).__name__}"


def _shown(value: Any) -> str:
    text = getattr(value, "__name__", None) or str(value.data if isinstance(value, tg.Tensor) else value)
    return text if len(text) < 60 and "\n" not in text else f"{type(value).__name__} of shape {np.shape(value)}"
