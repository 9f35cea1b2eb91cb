"""Whether a function computes the same when it is called again: what is made of it calls it no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..autograd.call_site import warn_user
from .derivation import Derivation
from .lines import Line, name_of
from .state import same


def repeatable(make: Callable[[], Derivation], *, cautious: bool = False, alone: bool = False) -> Derivation:
    """The derivation that `make` gives. It is made twice; raises `TypeError` if the two differ, as they do where the
    function draws random numbers by itself, or counts its calls; and, if `cautious`, where it changes anything besides
    tensors, or reads what could change without being seen, unless it is `alone`, with nothing that runs in between."""
    derivations = make(), make()
    try:
        _check(derivations, cautious, alone)
    except TypeError:
        derivations[0].rewind()
        raise
    return derivations[1]


def _check(derivations: tuple[Derivation, Derivation], cautious: bool, alone: bool) -> None:
    for what in _differences(*derivations):
        raise TypeError(
            f"the function computes something else when it is called again: {what}. A derivation calls it no more. "
            "Draw random numbers by tg.random, which draws anew each time; keep what a step updates in a tensor that "
            "does not require grad, t.data = new; and change other numbers outside of the function, between the calls"
        )
    if all(d.draws for d in derivations):  # though both times they led to the same
        raise TypeError(
            "the function draws random numbers by itself, and a derivation calls it no more. Draw them by tg.random, "
            "which draws anew each time"
        )
    if cautious and (changes := derivations[1].changes):
        raise TypeError(f"the function changes {changes} when it is called, but what is compiled calls it no more")
    if cautious and not alone and (unwatched := derivations[1].state.unwatched):
        raise TypeError(f"the function reads {unwatched[0]}, whose changes would not be seen; keep it in a tensor")
    if counted := derivations[1].counted:
        warn_user(
            f"the function changes {', '.join(map(repr, counted))} when it is called, but what is compiled calls it no "
            "more. If it computes with that number, keep it in a tensor: t.data = t.data + 1"
        )


def _differences(a: Derivation, b: Derivation) -> Iterator[str]:
    lines = [[*d.given, *d.forward, *d.backward] for d in (a, b)]
    places = {line: place for each in lines for place, line in enumerate(each)}
    for s, t in zip(a.captured, b.captured, strict=False):
        if s is not t and not _same(s._value, t._value):
            yield f"it makes a tensor of {_shown(s._value)}, then of {_shown(t._value)}"
    for x, y in zip(*lines, strict=False):
        if x.function is not y.function:
            yield f"there is {name_of(x.function)} of shape {x.shape}, then {name_of(y.function)} of shape {y.shape}"
        for u, v in zip(_values(x), _values(y), strict=False):
            if places.get(u) != places.get(v) if isinstance(u, Line) and isinstance(v, Line) else not _same(u, v):
                yield f"{name_of(x.function)} has {_shown(u)}, then {_shown(v)}"
    if len(lines[0]) != len(lines[1]):
        yield f"it has {len(lines[0])} operations, then {len(lines[1])}"


def _values(line: Line) -> Iterator[Any]:
    """The arguments and options of a line, each of what is nested in them."""
    waiting: list[Any] = [*line.options.values(), *line.args][::-1]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list | tuple):
            waiting += [len(value), *value]
        elif isinstance(value, slice):
            waiting += [value.start, value.stop, value.step]
        else:
            yield value


def _same(u: Any, v: Any) -> bool:
    if isinstance(u, np.ndarray | float | np.generic) and type(u) is type(v):
        return same(u, v)
    return u is v or (type(u) is type(v) and bool(u == v))


def _shown(value: Any) -> str:
    if isinstance(value, Line):
        return f"a result of shape {value.shape}"
    if isinstance(value, np.random.Generator):
        return "a generator made anew (make it once, outside of the function)"
    if isinstance(value, np.ndarray) and value.ndim:
        return (
            f"an array of shape {value.shape} whose first element is {value.flat[0]}" if value.size else "no elements"
        )
    return repr(value.item() if isinstance(value, np.generic) else value)
