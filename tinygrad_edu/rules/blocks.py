"""Functions that move or repeat whole blocks, and those that move them back: each is the derivative of the other."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..autograd.operators import option, or_numpy
from ..autograd.primitives import FUNCTIONS, implements, primitive, rule
from .shape import _add_at

# The same number of elements


@primitive(moves=True, rows="along")
def _flip(x: Any, *, axis: Any) -> Any:
    return np.flip(x, axis)


@primitive(selects=True)
def _roll(x: Any, *, shift: Any, axis: Any) -> Any:
    return np.roll(x, shift, axis)


@primitive(selects=True)
def _tril(x: Any, *, k: int) -> Any:
    return np.tril(x, k)


@primitive(selects=True)
def _triu(x: Any, *, k: int) -> Any:
    return np.triu(x, k)


rule(_flip, lambda g, *, axis: _flip(g, axis=axis))
rule(_roll, lambda g, *, shift, axis: _roll(g, shift=tuple(-n for n in shift), axis=axis), new=True)
rule(_tril, lambda g, *, k: _tril(g, k=k), new=True)
rule(_triu, lambda g, *, k: _triu(g, k=k), new=True)


@implements(np.flip)
def flip(m: Any, axis: Any = None) -> Any:
    return _flip(m, axis=option(axis, "flip: axis"))


FUNCTIONS[np.flipud] = lambda m: flip(m, 0)
FUNCTIONS[np.fliplr] = lambda m: flip(m, 1)
FUNCTIONS[np.tril] = lambda m, k=0: _tril(m, k=option(k, "tril: k"))
FUNCTIONS[np.triu] = lambda m, k=0: _triu(m, k=option(k, "triu: k"))


@implements(np.rot90)
def rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    np.rot90(np.empty((1,) * m.ndim), k, axes)  # says what is wrong with the axes
    first, second = axes
    k %= 4
    if k == 2:
        return flip(m, (first, second))
    m = flip(m, second) if k == 1 else m
    m = np.swapaxes(m, first, second) if k else m[...]
    return flip(m, second) if k == 3 else m


@implements(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    shift = tuple(np.ravel(option(shift, "roll: shift")).tolist())
    return _roll(a, shift=shift, axis=tuple(axis) if isinstance(axis, list) else axis)


# Repeated elements


@primitive(selects=True)
def _repeat(a: Any, *, repeats: Any, axis: Any) -> Any:
    return np.repeat(a, repeats, axis)


FEW = 4  # so many runs are summed by adding the second elements of all to the first ones, …
WIDE = 64  # of so many numbers, `np.add.reduceat` takes longer than one sum for each run, up to eight times as long


@primitive
def _sums_of_runs(x: Any, *, shape: Any, repeats: Any, axis: Any) -> Any:
    """The sums of elements that `_repeat` makes of the same one."""
    shape = tuple(shape) if axis is not None and len(shape) else (math.prod(shape),)
    axis = (axis or 0) % len(shape)
    repeats = np.asarray(repeats, np.intp)
    if repeats.size == 1:
        n = int(repeats.ravel()[0])
        runs = np.reshape(x, (*shape[: axis + 1], n, *shape[axis + 1 :]))
        if n > FEW and math.prod(shape[axis + 1 :]) == 1:
            return np.reshape(np.reshape(x, (-1, n)) @ np.ones(n, x.dtype), shape)
        if not 0 < n <= FEW:
            return np.sum(runs, axis + 1)
        each = np.moveaxis(runs, axis + 1, 0)
        total = each[0] + each[1] if n > 1 else each[0].copy()
        for part in each[2:]:
            total += part
        return total
    if not x.size:
        return np.zeros(shape, x.dtype)
    starts = np.cumsum(repeats) - repeats
    total = np.take(x, np.minimum(starts, x.shape[axis] - 1), axis)
    rows, x = np.moveaxis(total, axis, 0), np.moveaxis(x, axis, 0)
    if repeats.max() > FEW and math.prod(rows.shape[1:]) >= WIDE:
        for row, start, n in zip(rows, starts.tolist(), repeats.tolist(), strict=True):
            np.add.reduce(x[start : start + n], axis=0, out=row)
    elif repeats.max() > FEW:
        rows[repeats > 0] = np.add.reduceat(x, starts[repeats > 0], axis=0)
    else:
        for k in range(1, repeats.max()):
            rows[repeats > k] += x[starts[repeats > k] + k]
    rows[repeats == 0] = 0
    return total


rule(
    _repeat,
    lambda g, a_shape, *, repeats, axis: np.reshape(
        _sums_of_runs(g, shape=a_shape, repeats=repeats, axis=axis), a_shape
    ),
    new=True,
)
rule(_sums_of_runs, lambda g, *, shape, repeats, axis: _repeat(g, repeats=repeats, axis=axis))


@implements(np.repeat)
def repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    repeats = option(repeats, "repeat: repeats")
    return _repeat(a, repeats=tuple(repeats) if isinstance(repeats, list) else repeats, axis=axis)


@primitive(selects=True)
def _tile(x: Any, *, reps: tuple[int, ...]) -> Any:
    return np.tile(x, reps)


def _sum_of_tiles(g: Any, shape: tuple[int, ...], reps: tuple[int, ...]) -> Any:
    shapes = [(1,) * (g.ndim - len(x)) + tuple(x) for x in (reps, shape)]
    tiles = np.reshape(g, [n for pair in zip(*shapes, strict=True) for n in pair])
    return np.reshape(np.sum(tiles, tuple(range(0, tiles.ndim, 2))), shape)


rule(_tile, lambda g, x_shape, *, reps: _sum_of_tiles(g, x_shape, reps))


@implements(np.tile)
def tile(A: Any, reps: Any) -> Any:
    return _tile(A, reps=tuple(np.ravel(option(reps, "tile: reps")).tolist()))


# Parts


def _splitting(function: Callable[..., Any], own_axis: int | None = None) -> Callable[..., Any]:
    def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
        k = axis if own_axis is None else min(own_axis, ary.ndim - 1)
        k = normalize_axis_index(k, ary.ndim) if ary.ndim else 0
        places = np.reshape(np.arange(ary.shape[k] if ary.ndim else 1), [-1 if j == k else 1 for j in range(ary.ndim)])
        parts = function(
            places,
            option(indices_or_sections, f"{function.__name__}: indices_or_sections"),
            *(() if own_axis is not None else (axis,)),
        )
        starts = [part.flat[0] if part.size else 0 for part in parts]
        return [
            ary[(slice(None),) * k + (slice(int(start), int(start) + part.shape[k]),)]
            for start, part in zip(starts, parts, strict=True)
        ]

    return split


for _function, _own_axis in ((np.split, None), (np.array_split, None), (np.hsplit, 1), (np.vsplit, 0), (np.dsplit, 2)):
    FUNCTIONS[_function] = _splitting(_function, _own_axis)


@implements(np.unstack)
def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    if not x.ndim:
        raise ValueError("unstack: a single number has no axis to take it apart along")
    return tuple(np.moveaxis(x, axis, 0))


@primitive(moves=True)
def _diagonal(a: Any, *, offset: int, axis1: int, axis2: int) -> Any:
    return np.diagonal(a, offset, axis1, axis2)


@primitive(selects=True)
def _on_diagonal(x: Any, *, shape: Any, offset: int, axis1: int, axis2: int) -> Any:
    """Zeros of `shape` with `x` on a diagonal; its last axis is that of the diagonal, or of size 1."""
    y = np.zeros(shape, x.dtype)
    k = np.arange(max(0, min(shape[axis1] + min(0, offset), shape[axis2] - max(0, offset))))
    np.moveaxis(y, (axis1, axis2), (-2, -1))[..., k + max(0, -offset), k + max(0, offset)] = x
    return y


rule(
    _diagonal,
    lambda g, a_shape, *, offset, axis1, axis2: _on_diagonal(g, shape=a_shape, offset=offset, axis1=axis1, axis2=axis2),
)
rule(
    _on_diagonal,
    lambda g, *, shape, offset, axis1, axis2: _diagonal(g, offset=offset, axis1=axis1, axis2=axis2),
)


@implements(np.diagonal)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    return _diagonal(a, offset=option(offset, "diagonal: offset"), axis1=axis1, axis2=axis2)


@implements(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    if v.ndim != 1:
        np.diag(np.empty((1,) * v.ndim))  # says what is wrong
        return np.diagonal(v, k)
    n = v.shape[0] + abs(k)
    return _on_diagonal(v, shape=(n, n), offset=k, axis1=0, axis2=1)


FUNCTIONS[np.diagflat] = lambda v, k=0: diag(np.ravel(v), k)


# A frame around them


@primitive(selects=True)
def _pad(x: Any, *, widths: Any, mode: Any, values: Any) -> Any:
    widths = widths or 0  # of a single number
    return np.pad(x, widths, mode, constant_values=values) if mode == "constant" else np.pad(x, widths, mode)


@functools.lru_cache(maxsize=8)
def _framing(n: int, before: int, after: int, mode: str) -> tuple[Any, Any]:
    """The numbers of the elements, of n, that are repeated before and after them."""
    numbers = np.pad(np.arange(n), (before, after), mode)  # type: ignore[call-overload]
    return numbers[:before].copy(), numbers[before + n :].copy()


@primitive
def _folded(x: Any, *, widths: Any, mode: Any) -> Any:
    """What was padded by repeating elements, with the padding added to the elements that it repeats."""
    x = x.copy()
    for axis, (before, after) in enumerate(widths):
        if before or after:
            rows = x.swapaxes(axis, 0)
            n = len(rows) - before - after
            middle = rows[before : before + n]
            first, last = _framing(n, before, after, mode)
            _add_at(middle, rows[:before], index=first)
            _add_at(middle, rows[before + n :], index=last)
            x = middle.swapaxes(axis, 0)
    return x


rule(
    _pad,
    lambda g, *, widths, mode, values: (
        np.copy(g[tuple(slice(before, n - after) for n, (before, after) in zip(g.shape, widths, strict=True))])
        if mode == "constant"
        else _folded(g, widths=widths, mode=mode)
    ),
    new=True,
)
rule(_folded, lambda g, *, widths, mode: _pad(g, widths=widths, mode=mode, values=0))


@implements(np.pad)
@or_numpy(np.pad)
def pad(array: Any, pad_width: Any, mode: Any = "constant", **options: Any) -> Any:
    moving = ("constant", "edge", "reflect", "symmetric", "wrap", "empty")
    if mode not in moving or options.get("reflect_type", "even") != "even":
        raise TypeError(f"pad: on tensors the mode must be one of {', '.join(moving)}, without reflect_type='odd'")
    options = {name: option(value, f"pad: {name}") for name, value in options.items()}
    pad_width = option(pad_width, "pad: pad_width")
    if options:
        np.pad(np.zeros((1,) * array.ndim), pad_width, mode, **options)  # says what is wrong
    if pad_width.__class__ is int and pad_width >= 0:  # mostly
        widths: tuple[tuple[int, int], ...] = ((pad_width, pad_width),) * array.ndim
    else:
        marked = np.pad(np.ones((1,) * array.ndim, bool), pad_width)
        place = np.unravel_index(np.argmax(marked), marked.shape)
        widths = tuple((int(k), n - 1 - int(k)) for n, k in zip(marked.shape, place, strict=True))
    mode = "constant" if mode == "empty" else mode  # of numbers that are the same each time
    return _pad(array, widths=widths, mode=mode, values=options.get("constant_values", 0))
