"""NumPy for tensors: with `import tinygrad_edu.numpy as np`, NumPy code and code for the `autograd` package run nearly
as they are.

NumPy's functions take tensors by themselves. Here is what they cannot do, because nothing that they are given is a
tensor, or because a list hides it:

- `array`, `asarray`, `r_` and `c_` join tensors, and `sum`, `exp`, `concatenate`, `linalg.norm` and all the others take
  lists of them. `random.shuffle` takes a tensor.
- `zeros`, `ones`, `full`, `empty`, `eye`, `linspace` and their like give tensors, which a loop may fill: `t[i] = v` is
  recorded. (Integers and truth values have no gradient, and are plain arrays.)

Everything else is NumPy's own. `t += u` changes an array of floats in place, as it does for every tensor, so that
`for p in parameters: p -= rate * g` learns; but an argument that is being differentiated is left as it is, and `x += u`
makes a new tensor of this name. Views change with what they are views of: after `row = A[i]`, `row += u` changes `A`,
too. This module is not imported with the package.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, ValuesView
from types import ModuleType
from typing import Any

import numpy

from .autograd.assignment import joined
from .autograd.operators import look_up
from .autograd.primitives import FUNCTIONS
from .autograd.record import Operand
from .autograd.recording import holds_operand, interpreter, is_constant, plain
from .autograd.tensor import Tensor

_np: Any = numpy

__all__ = [*_np.__all__]
_OF_LISTS = {_np.concatenate, _np.stack, _np.hstack, _np.vstack, _np.dstack, _np.column_stack}
_OF_LISTS |= {_np.choose, _np.select, _np.linalg.multi_dot}
_OF_NESTED_LISTS = {_np.block}  # in which NumPy finds the tensors


def _names_of(module: ModuleType) -> Callable[[str], Any]:
    """What looks up the names of a module of NumPy's, with functions that take lists of tensors."""

    @functools.cache  # and not put among the names of this file: there `any` and `max` are Python's
    def look_up_name(name: str) -> Any:
        if name.startswith("__") and name not in getattr(module, "__all__", ()):  # what any module is asked for
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
        found = getattr(module, name)
        if not callable(found) or found not in FUNCTIONS or found in _OF_NESTED_LISTS:
            return found
        return _Ufunc(found) if isinstance(found, _np.ufunc) else _taking_lists(found)

    return look_up_name


def _with_lists(function: Callable[..., Any], value: Any) -> Any:
    """An argument of a function, with the tensors in it joined."""
    if function in _OF_LISTS and isinstance(value, Iterator | ValuesView):
        value = list(value)
    if isinstance(value, list | tuple) and holds_operand(value):
        return [*map(joined, value)] if function in _OF_LISTS else joined(value)
    return value


def _taking_lists(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of NumPy's with lists of tensors joined before it sees them."""

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        args = tuple([_with_lists(function, arg) for arg in args])
        return function(*args, **{name: _with_lists(function, value) for name, value in options.items()})

    return call


class _Ufunc:
    """A ufunc that takes lists of tensors, too, as its methods do, and tensors by the shorter way."""

    def __init__(self, ufunc: Any) -> None:
        functools.update_wrapper(self, ufunc)
        self._ufunc = ufunc

    def __call__(self, *args: Any, **options: Any) -> Any:
        operand = False
        for arg in args:
            if isinstance(arg, Operand):
                operand = True
            elif isinstance(arg, list | tuple):
                return self._ufunc(*(_with_lists(self._ufunc, arg) for arg in args), **options)
        return FUNCTIONS[self._ufunc](*args) if operand and not options else self._ufunc(*args, **options)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._ufunc, name)
        return _taking_lists(found) if callable(found) else found

    def __repr__(self) -> str:
        return repr(self._ufunc)


__getattr__ = _names_of(_np)


def __dir__() -> list[str]:
    return dir(_np)


def _shuffle(x: Any) -> Any:
    """`numpy.random.shuffle`. Of what is no array, NumPy exchanges the rows one after the other, and the rows of a
    tensor are views, so that some would be lost."""
    if not isinstance(x, Operand):
        return _np.random.shuffle(x)
    tensor: Any = x
    tensor[...] = tensor[_np.random.permutation(len(tensor))]


def _module(of: ModuleType, **own: Any) -> ModuleType:
    """One that stands for a module of NumPy's, with some names of its own."""
    module = ModuleType(f"{__name__}.{of.__name__.rpartition('.')[2]}", of.__doc__)
    vars(module).update(own, __getattr__=_names_of(of), __all__=of.__all__, __dir__=lambda: dir(of))
    return module


linalg = _module(_np.linalg)
random = _module(_np.random, shuffle=_shuffle)
# For `import tinygrad_edu.numpy.random as npr`, as `os` has it for `os.path`.
sys.modules |= {
    f"{__name__}.{module}": found for module, found in (("linalg", linalg), ("fft", _np.fft), ("random", random))
}


def isscalar(element: Any) -> bool:
    """`numpy.isscalar`; a tensor without axes is a number, as an element of an array is.

    >>> import tinygrad_edu.numpy as np
    >>> np.isscalar(np.ones(2)[0])
    True
    """
    return not element.shape if isinstance(element, Operand) else _np.isscalar(element)


def _of_objects(values: Any, dtype: Any) -> Any:
    """Tensors as the arrays that they are, where Python objects are asked for and no gradient is lost by that."""
    if dtype is None or _np.dtype(dtype).kind != "O" or not holds_operand(values) or not is_constant((values,)):
        return values
    return plain(values)


def array(object: Any, dtype: Any = None, *, copy: bool | None = True, ndmin: int = 0, **options: Any) -> Any:
    """`numpy.array`; of tensors in lists, nested as one likes, one tensor through which the gradient flows. Raises
    `ValueError` for rows of different lengths.

    >>> import tinygrad_edu.numpy as np
    >>> tg.jacobian(lambda x: np.array([x[0] * x[1], 2.0]))(np.array([3.0, 4.0]))
    array([[4., 3.],
           [0., 0.]])
    """
    object = _of_objects(object, dtype)
    t = joined(object)
    if not isinstance(t, Operand):
        return _np.array(object, dtype, copy=copy, ndmin=ndmin, **options)
    t = asarray(t, dtype)
    t = t.copy() if copy and t is object else t
    return _np.reshape(t, (1,) * (ndmin - len(t.shape)) + t.shape) if ndmin > len(t.shape) else t


def asarray(a: Any, dtype: Any = None, *args: Any, **options: Any) -> Any:
    """`numpy.asarray`; a tensor is what it is, and of tensors in lists it makes one.

    >>> import tinygrad_edu.numpy as np
    >>> np.asarray([tg.Tensor(1.0), 2.0])
    Tensor([1., 2.])
    """
    a = _of_objects(a, dtype)
    t = joined(a)
    if not isinstance(t, Tensor):
        return _np.asarray(a, dtype, *args, **options)
    return t if dtype is None or t.dtype == dtype else t.astype(dtype)


asanyarray = asarray


class _Joiner:
    """`np.r_` and `np.c_`."""

    def __init__(self, name: str, axis: int, ndim: int) -> None:
        self._name, self._axis, self._ndim = name, axis, ndim

    def __getitem__(self, items: Any) -> Any:
        items = tuple(map(joined, items)) if isinstance(items, tuple) else (joined(items),)
        if not any(map(holds_operand, items)):
            return getattr(_np, self._name)[items]
        if isinstance(items[0], str):
            raise TypeError(f"{self._name}: {items[0]!r} is not for tensors; use np.concatenate or np.stack")
        parts = [
            _np.r_[x] if isinstance(x, slice) else _np.asarray(x) if isinstance(x, list | tuple) else x for x in items
        ]
        dtype = _np.result_type(*(getattr(x, "dtype", x) for x in parts))
        return _np.concatenate([self._part(x, dtype) for x in parts], self._axis)

    def _part(self, x: Any, dtype: Any) -> Any:
        x = x if isinstance(x, Operand) else _np.asarray(x, dtype)
        missing = self._ndim - len(x.shape)
        return _np.reshape(x, x.shape + (1,) * missing) if missing > 0 else x

    def __len__(self) -> int:
        return 0


r_, c_ = _Joiner("r_", 0, 1), _Joiner("c_", -1, 2)


# What makes arrays


def _creating(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of NumPy's that makes an array; one of floats becomes a tensor, or in a derivation a line."""

    @functools.wraps(function)
    def create(*args: Any, **options: Any) -> Any:
        args = tuple(map(joined, args))
        values = function(*args, **options)
        if isinstance(values, Operand) or values.dtype.kind != "f":
            return values
        if interpreter().lines is not None:
            return interpreter().constant(function, args, options)
        return Tensor(values)

    return create


zeros, ones, eye, identity = map(_creating, (_np.zeros, _np.ones, _np.eye, _np.identity))
zeros_like, ones_like = map(_creating, (_np.zeros_like, _np.ones_like))
empty, empty_like = zeros, zeros_like  # of numbers that are the same each time


def full(shape: Any, fill_value: Any, dtype: Any = None, *args: Any, **options: Any) -> Any:
    """`numpy.full`, a tensor; the gradient of a `fill_value` that is a tensor is that of all its copies together.

    >>> import tinygrad_edu.numpy as np
    >>> tg.grad(lambda x: np.sum(np.full((2, 3), x)))(1.0)
    np.float64(6.0)
    """
    fill = joined(fill_value)
    if isinstance(fill, Operand):
        return look_up(_np.full_like)(fill, fill, dtype, shape=shape)
    return _full(shape, fill_value, dtype, *args, **options)


def full_like(a: Any, fill_value: Any, dtype: Any = None, *args: Any, **options: Any) -> Any:
    """`numpy.full_like`, as `full`, in the shape and dtype of `a`.

    >>> import tinygrad_edu.numpy as np
    >>> np.full_like(np.ones(2), tg.Tensor(3.0))
    Tensor([3., 3.])
    """
    a, fill = joined(a), joined(fill_value)
    if isinstance(fill, Operand):
        return look_up(_np.full_like)(a if hasattr(a, "dtype") else _np.asarray(a), fill, dtype, *args, **options)
    return _full_like(a, fill_value, dtype, *args, **options)


def arange(*args: Any, **options: Any) -> Any:
    """`numpy.arange`, a tensor if it is one of floats. How many there are has no derivative; where the first one is and
    how far they are apart has.

    >>> import tinygrad_edu.numpy as np
    >>> tg.jacobian(lambda step: np.arange(0.0, 6.0, step))(2.0)
    array([0., 1., 2.])
    """
    given = dict(zip(("start", "stop", "step", "dtype"), args, strict=False)) | options
    if not any(map(holds_operand, given.values())):
        return _arange(*args, **options)
    start, stop, step = (given.pop(name, None) for name in ("start", "stop", "step"))
    start, stop = (0, start) if stop is None else (0 if start is None else start, stop)
    step = 1 if step is None else step
    values = [_np.asarray(plain(x)) for x in (start, stop, step)]  # raises for a symbol, which has no values
    numbers = _np.arange(*values, **given)
    return asarray(_np.arange(numbers.size).astype(numbers.dtype) * ((start + step) - start) + start, numbers.dtype)


def linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None, axis: int = 0
) -> Any:
    """`numpy.linspace`, a tensor, through which the gradient flows to both ends.

    >>> import tinygrad_edu.numpy as np
    >>> tg.jacobian(lambda stop: np.linspace(0.0, stop, 3))(1.0)
    array([0. , 0.5, 1. ])
    """
    start, stop = joined(start), joined(stop)
    if isinstance(start, Operand) or isinstance(stop, Operand):
        return look_up(_np.linspace)(start, stop, num, endpoint, retstep, dtype, axis)
    found = _linspace(start, stop, num, endpoint, dtype=dtype, axis=axis)
    return (found, _np.linspace(start, stop, num, endpoint, True)[1]) if retstep else found


_full, _full_like, _arange, _linspace = map(_creating, (_np.full, _np.full_like, _np.arange, _np.linspace))
