"""Functions that only move, repeat or drop elements.

One mechanism serves all of them: NumPy itself is called on the numbers of the elements instead of their values, which
tells where each element goes. The result is that selection of the elements, so its derivative is that of indexing.
(What moves whole blocks is in `blocks.py`.)
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..autograd.conversion import rebuilt
from ..autograd.operators import on_values, option, refuse
from ..autograd.primitives import FUNCTIONS, implements, primitive, rule
from ..autograd.record import Operand
from ..autograd.recording import plain
from .elementwise import as_array
from .shape import _at_least, _without_leading, getitem


def _moving(function: Callable[..., Any], *data: str) -> Callable[..., Any]:
    """`function` on tensors; `data` names the parameters that hold elements (also in nested lists)."""
    signature = inspect.signature(function)

    def move(*args: Any, **options: Any) -> Any:
        bound = signature.bind(*args, **options)
        refuse(function, bound.arguments, "out")
        sources: list[Any] = []
        total = 1  # 0 is the number of the zeros that the function fills in

        def numbered(x: Any) -> Any:
            nonlocal total
            if isinstance(x, list | tuple):
                return rebuilt(x, map(numbered, x))
            first, total = total, total + np.size(x)
            sources.append(x)
            return np.arange(first, total).reshape(np.shape(x))

        for name, value in bound.arguments.items():
            bound.arguments[name] = numbered(value) if name in data else option(value, f"{function.__name__}: {name}")
        elements = _joined(sources)

        def selected(numbers: Any) -> Any:
            if isinstance(numbers, list):
                return [selected(n) for n in numbers]
            if not isinstance(numbers, Operand) and np.all(numbers):  # the values of a symbol cannot be looked at
                return elements[numbers - 1]
            return getitem(np.concatenate([np.zeros(1, elements.dtype), elements]), numbers)

        return selected(on_values(function)(*bound.args, **bound.kwargs))

    return move


def _joined(sources: list[Any]) -> Any:
    """All elements in one row, in the dtype that NumPy gives them together."""
    if len(sources) == 1:
        return np.ravel(sources[0])
    dtype = np.result_type(*(x.dtype if hasattr(x, "dtype") else x for x in sources))
    return np.concatenate([np.ravel(np.asarray(x, dtype) if np.isscalar(x) else x) for x in sources])


_function: Any
for _function in (np.resize, np.compress):
    FUNCTIONS[_function] = _moving(_function, "a")
FUNCTIONS[np.extract] = _moving(np.extract, "arr")
FUNCTIONS[np.choose] = _moving(np.choose, "choices")
_select = _moving(np.select, "choicelist", "default")
FUNCTIONS[np.select] = lambda condlist, choicelist, default=0: _select(condlist, choicelist, default)


_take = _moving(np.take, "a")


@implements(np.take)
def take(a: Any, indices: Any, axis: int | None = None, out: None = None, mode: Any = "raise") -> Any:
    refuse(np.take, {"out": out}, "out")
    a, axis = (np.ravel(a), axis or 0) if axis is None or a.ndim == 0 else (a, axis)
    indices = option(indices, "take: indices")
    if isinstance(indices, Operand) or a.size == 0:
        return _take(a, indices, axis, mode=mode)
    axis = normalize_axis_index(axis, a.ndim)
    indices = np.take(np.arange(a.shape[axis]), indices, mode=mode)  # says what is wrong
    taken = getitem(a, (*(slice(None),) * axis, np.atleast_1d(indices)))  # a copy, also of what a single number gives
    return np.reshape(taken, (*taken.shape[:axis], *taken.shape[axis + 1 :])) if np.ndim(indices) == 0 else taken


@implements(np.trim_zeros)
def trim_zeros(filt: Any, trim: Any = "fb", *axis: Any, **options: Any) -> Any:
    nonzero = np.asarray(plain(filt) != 0)  # raises for a symbol, which has no values
    shape = np.trim_zeros(nonzero, trim, *axis, **options).shape
    starts = [
        int(np.argmax(np.moveaxis(nonzero, k, 0).reshape(n, -1).any(1))) if m < n and "f" in trim.lower() else 0
        for k, (m, n) in enumerate(zip(shape, nonzero.shape, strict=True))
    ]
    return filt[tuple(slice(start, start + n) for start, n in zip(starts, shape, strict=True))]


@implements(np.unique)
def unique(
    ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False, axis: None = None
) -> Any:
    refuse(np.unique, {"axis": axis}, "axis")
    x = np.asarray(plain(ar))  # raises for a symbol, which has no values
    _, first, inverse, counts = np.unique(x, True, True, True)
    wanted = (return_index, return_inverse, return_counts)
    y = _unique(ar, wanted=wanted, first=first, inverse=np.reshape(inverse, x.shape))
    rest = [value for value, give in zip((first, inverse, counts), wanted, strict=True) if give]
    return (y, *rest) if rest else y


@primitive(selects=True)
def _unique(x: Any, *, wanted: Any, first: Any, inverse: Any) -> Any:
    return np.unique(x, *wanted)[0] if any(wanted) else np.unique(x)


rule(
    _unique,  # the gradient of each value belongs to the first element that has it
    lambda g, *, wanted, first, inverse: np.where(
        first[inverse] == np.arange(inverse.size).reshape(inverse.shape), g[inverse], 0
    ),
)


def _numbers_along(axis: int, indices: Any, shape: tuple[int, ...]) -> Any:
    """The numbers, counted along the rows, of the elements that `np.take_along_axis` takes."""
    axis %= len(shape)
    n, step = shape[axis], math.prod(shape[axis + 1 :])
    first = n * step * np.arange(math.prod(shape[:axis]))[:, None] + np.arange(step)
    indices = np.asarray(indices, np.intp)
    if np.any(indices < 0):
        indices = np.where(indices < 0, indices + n, indices)
    return np.reshape(first, (*shape[:axis], 1, *shape[axis + 1 :])) + (indices * step if step > 1 else indices)


@primitive(selects=True)
def _take_along_axis(x: Any, *, indices: Any, axis: int) -> Any:
    return np.take_along_axis(x, indices, axis)


@primitive
def _put_back(x: Any, *, indices: Any, axis: int, shape: tuple[int, ...]) -> Any:
    """Each element added where `_take_along_axis` would take it from."""
    total = np.zeros(math.prod(shape), x.dtype)
    np.add.at(total, np.ravel(_numbers_along(axis, indices, shape)), np.ravel(x))
    return np.reshape(total, shape)


rule(
    _take_along_axis,
    lambda g, x_shape, *, indices, axis: _put_back(g, indices=indices, axis=axis, shape=tuple(x_shape)),
    new=True,
)
rule(_put_back, lambda g, *, indices, axis, shape: _take_along_axis(g, indices=indices, axis=axis))


@implements(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    arr, axis = (np.ravel(arr), 0) if axis is None else (arr, axis)
    return _take_along_axis(arr, indices=option(indices, "take_along_axis: indices"), axis=axis)


def _taken_in_runs(parts: tuple[Any, ...], numbers: Any, axis: int) -> Any:
    """The elements of these numbers along an axis of one array, or of two: as slices, if a few of them will do, for
    those are fast."""
    before, n = (slice(None),) * axis, parts[0].shape[axis]
    ends = np.flatnonzero((np.diff(numbers) != 1) | np.diff(numbers >= n)) + 1
    if len(ends) > 8 or not numbers.size:
        return getitem(np.concatenate(parts, axis), (*before, numbers))
    bounds = [(int(run[0]), int(run[-1]) + 1) for run in np.split(numbers, ends)]
    runs = [
        parts[0][(*before, slice(start, end))] if start < n else parts[1][(*before, slice(start - n, end - n))]
        for start, end in bounds
    ]
    return np.concatenate(runs, axis)


@implements(np.delete)
def delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    arr, axis = (np.ravel(arr), 0) if axis is None else (arr, normalize_axis_index(axis, arr.ndim))
    left = on_values(np.delete)(np.arange(arr.shape[axis]), option(obj, "delete: obj"))
    return _taken_in_runs((arr,), np.asarray(left), axis)


@implements(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    arr, obj = as_array(arr), option(obj, "insert: obj")
    values = as_array(values, arr.dtype)
    arr, axis = (np.ravel(arr), 0) if axis is None else (arr, normalize_axis_index(axis, arr.ndim))
    n = arr.shape[axis]
    count = np.insert(np.zeros(n), obj, 0).size - n  # says what is wrong
    if count == 1:  # in one place there may be several
        values = _at_least(arr.ndim, values)
        values = values if isinstance(obj, slice) or np.ndim(obj) else np.moveaxis(values, 0, axis)
        count = values.shape[axis]
    shape = [count if k == axis else m for k, m in enumerate(arr.shape)]
    values = np.broadcast_to(_without_leading(values, arr.ndim), shape)
    numbers = np.insert(np.arange(n), obj, n + np.arange(count))
    return _taken_in_runs((arr, values), numbers, axis)


@implements(np.meshgrid)
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: Any = "xy") -> Any:
    grid = np.meshgrid(*(np.arange(np.size(x)) for x in xi), copy=copy, sparse=sparse, indexing=indexing)
    return tuple(np.ravel(x)[numbers] for x, numbers in zip(xi, grid, strict=True))
