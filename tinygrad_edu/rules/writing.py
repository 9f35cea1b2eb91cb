"""Functions that write into an array: on a tensor each is an assignment `a[index] = values`, and recorded like one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.assignment import joined
from ..autograd.operators import option, refuse
from ..autograd.primitives import implements
from ..autograd.record import Operand
from ..autograd.recording import is_constant, plain


def _is_plain(a: Any) -> bool:
    return not isinstance(a, Operand)


def _into_array(function: Callable[..., Any], *args: Any) -> None:
    """What NumPy does, if no gradient is lost."""
    if not is_constant(args):
        raise TypeError(
            f"{function.__name__} would write a tensor into a plain array, through which no gradient flows. Write into "
            "a tensor, such as np.zeros of `import tinygrad_edu.numpy as np` makes; or pass .detach().numpy() if no "
            "gradient is wanted"
        )
    function(*map(plain, args))


def _at(a: Any, numbers: Any) -> Any:
    """The index of the elements of these numbers, counted along the rows."""
    return np.unravel_index(numbers, a.shape)


def _where_to_write(a: Any, mask: Any) -> Any:
    return np.reshape(np.asarray(option(mask, "place, putmask: mask"), bool), a.shape)


@implements(np.copyto)
def copyto(dst: Any, src: Any, casting: Any = "same_kind", where: Any = True) -> None:
    if _is_plain(dst):
        return _into_array(np.copyto, dst, src, casting, where)
    refuse(np.copyto, {"casting": None if casting == "same_kind" else casting}, "casting")
    if where is True:
        dst[...] = src
    else:
        mask = np.broadcast_to(option(where, "copyto: where"), dst.shape)
        dst[mask] = np.broadcast_to(joined(src), dst.shape)[mask]


@implements(np.fill_diagonal)
def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    val, places = joined(val), np.zeros(a.shape, bool)
    np.fill_diagonal(places, True, wrap)  # says what is wrong
    numbers = np.flatnonzero(places)
    if np.size(val):  # of none NumPy writes none
        a[_at(a, numbers)] = np.resize(val, numbers.shape)


@implements(np.put)
def put(a: Any, ind: Any, v: Any, mode: Any = "raise") -> None:
    if _is_plain(a):
        return _into_array(np.put, a, ind, v, mode)
    numbers = np.take(np.arange(a.size), np.ravel(option(ind, "put: ind")), mode=mode)  # says what is wrong
    v = joined(v)
    if np.size(v) and numbers.size:
        values = np.resize(v, numbers.shape)
        a[_at(a, numbers) if a.ndim else ...] = values if a.ndim else values[-1]


@implements(np.place)
def place(arr: Any, mask: Any, vals: Any) -> None:
    if _is_plain(arr):
        return _into_array(np.place, arr, mask, vals)
    vals, mask = joined(vals), _where_to_write(arr, mask)
    count = np.count_nonzero(mask)
    if count and not np.size(vals):
        raise ValueError("place: there are no values to write")
    arr[mask] = np.resize(vals, count)


@implements(np.putmask)
def putmask(a: Any, mask: Any, values: Any) -> None:
    if _is_plain(a):
        return _into_array(np.putmask, a, mask, values)
    values, mask = joined(values), _where_to_write(a, mask)
    if np.size(values):
        a[mask] = np.resize(values, a.shape)[mask]


@implements(np.put_along_axis)
def put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None) -> None:
    if _is_plain(arr):
        return _into_array(np.put_along_axis, arr, indices, values, axis)
    numbers = np.arange(arr.size).reshape(arr.shape)
    arr[_at(arr, np.take_along_axis(numbers, option(indices, "put_along_axis: indices"), axis))] = values
