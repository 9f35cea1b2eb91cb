"""The methods and attributes of `ndarray`, each a NumPy function or an assignment in one line.

Those that change an array in place (`fill`, `sort`, `partition`, `put`) are assignments, with what those allow. What
belongs to an array and its memory only is refused where a gradient flows, with what to write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from .primitives import NAMED
from .record import Operand
from .recording import is_constant, is_recording

Axis = int | tuple[int, ...] | None


class Flat:
    """`t.flat`: the elements one after the other, to read and to assign."""

    def __init__(self, t: Any) -> None:
        self._t = t

    def __getitem__(self, index: Any) -> Any:
        """A copy, as of NumPy's."""
        return self._t.ravel()[np.arange(self._t.size)[index]]

    def __setitem__(self, index: Any, value: Any) -> None:
        places = np.arange(self._t.size)[index]
        if np.ndim(places):
            self._t.put(places, value)  # which repeats the values, as NumPy does
        else:
            self._t[np.unravel_index(places, self._t.shape)] = value

    def __iter__(self) -> Iterator[Any]:
        return iter(self._t.ravel())

    def __len__(self) -> int:
        return int(self._t.size)


class _Refused:
    """An attribute of arrays that tensors do not have."""

    def __init__(self, instead: str) -> None:
        self._instead = instead

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, t: Any, owner: type) -> Any:
        raise AttributeError(f"tensors have no {self._name!r}: {self._instead.format(name=self._name)}")


class _OfArray(_Refused):
    """One that belongs to an array and its memory: where no gradient flows, that of the values."""

    def __init__(self) -> None:
        super().__init__("it belongs to an array, t.data.{name}")

    def __get__(self, t: Any, owner: type) -> Any:
        return getattr(t.data, self._name) if t is not None and is_constant((t,)) else super().__get__(t, owner)


class ArrayMethods(Operand):
    """An operand with the methods of `ndarray`: each does what NumPy's does, and is recorded."""

    __slots__ = ()

    def detach(self) -> Self:
        raise NotImplementedError

    def _call(self, function: Callable[..., Any], *args: Any, **options: Any) -> Self:
        raise NotImplementedError

    def __setitem__(self, index: Any, value: Any) -> None:
        raise NotImplementedError

    # Shape

    @property
    def shape(self) -> tuple[int, ...]:
        raise NotImplementedError

    @property
    def size(self) -> int:
        raise NotImplementedError

    @property
    def dtype(self) -> np.dtype[Any]:
        raise NotImplementedError

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize

    @property
    def strides(self) -> tuple[int, ...]:
        strides: tuple[int, ...] = self.data.strides
        return strides

    @property
    def T(self) -> Self:
        return self._call(np.transpose, self)

    @property
    def mT(self) -> Self:
        return self._call(np.swapaxes, self, -1, -2)

    @property
    def flat(self) -> Flat:
        return Flat(self)

    @flat.setter
    def flat(self, value: Any) -> None:
        self.flat[:] = value

    def reshape(self, *shape: Any, order: str = "C") -> Self:
        return self._call(np.reshape, self, shape[0] if len(shape) == 1 else shape, order=order)

    def ravel(self, order: str = "C") -> Self:
        return self._call(np.ravel, self, order=order)

    def flatten(self, order: str = "C") -> Self:
        return self._call(np.ravel, self, order=order).copy()

    def transpose(self, *axes: Any) -> Self:
        return self._call(np.transpose, self, axes[0] if len(axes) == 1 else axes or None)

    def swapaxes(self, axis1: int, axis2: int) -> Self:
        return self._call(np.swapaxes, self, axis1, axis2)

    def squeeze(self, axis: Axis = None) -> Self:
        return self._call(np.squeeze, self, axis=axis)

    def repeat(self, repeats: Any, axis: int | None = None) -> Self:
        return self._call(np.repeat, self, repeats, axis)

    def take(self, indices: Any, axis: int | None = None, *, mode: Any = "raise") -> Self:
        return self._call(np.take, self, indices, axis, mode=mode)

    def compress(self, condition: Any, axis: int | None = None) -> Self:
        return self._call(np.compress, condition, self, axis)

    def choose(self, choices: Any) -> Any:
        return self._call(np.choose, self, choices)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Self:
        return self._call(np.diagonal, self, offset, axis1, axis2)

    # Reductions, with NumPy's further options: dtype=, initial=, where=

    def sum(self, axis: Axis = None, *, keepdims: bool = False, **options: Any) -> Self:
        return self._call(np.sum, self, axis=axis, keepdims=keepdims, **options)

    def mean(self, axis: Axis = None, *, keepdims: bool = False, **options: Any) -> Self:
        return self._call(np.mean, self, axis=axis, keepdims=keepdims, **options)

    def max(self, axis: Axis = None, *, keepdims: bool = False, **options: Any) -> Self:
        return self._call(np.max, self, axis=axis, keepdims=keepdims, **options)

    def min(self, axis: Axis = None, *, keepdims: bool = False, **options: Any) -> Self:
        return self._call(np.min, self, axis=axis, keepdims=keepdims, **options)

    def prod(self, axis: Axis = None, *, keepdims: bool = False, **options: Any) -> Self:
        return self._call(np.prod, self, axis=axis, keepdims=keepdims, **options)

    def var(self, axis: Axis = None, *, ddof: int = 0, keepdims: bool = False, **options: Any) -> Self:
        return self._call(np.var, self, axis=axis, ddof=ddof, keepdims=keepdims, **options)

    def std(self, axis: Axis = None, *, ddof: int = 0, keepdims: bool = False, **options: Any) -> Self:
        return self._call(np.std, self, axis=axis, ddof=ddof, keepdims=keepdims, **options)

    def cumsum(self, axis: int | None = None, dtype: DTypeLike | None = None) -> Self:
        return self._call(np.cumsum, self, axis, dtype)

    def cumprod(self, axis: int | None = None, dtype: DTypeLike | None = None) -> Self:
        return self._call(np.cumprod, self, axis, dtype)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: DTypeLike | None = None) -> Self:
        return self._call(np.trace, self, offset, axis1, axis2, dtype)

    def any(self, axis: Axis = None, *, keepdims: bool = False) -> Any:
        return self._call(np.any, self, axis=axis, keepdims=keepdims)

    def all(self, axis: Axis = None, *, keepdims: bool = False) -> Any:
        return self._call(np.all, self, axis=axis, keepdims=keepdims)

    def argsort(self, axis: int | None = -1, kind: Any = None, **options: Any) -> Any:
        return self._call(np.argsort, self, axis, kind, **options)

    def argpartition(self, kth: Any, axis: int | None = -1) -> Any:
        return self._call(np.argpartition, self, kth, axis)

    def nonzero(self) -> Any:
        return self._call(np.nonzero, self)

    def searchsorted(self, v: Any, side: Any = "left", sorter: Any = None) -> Any:
        return self._call(np.searchsorted, self, v, side, sorter)

    def argmax(self, axis: int | None = None, *, keepdims: bool = False) -> Any:
        return self._call(np.argmax, self, axis=axis, keepdims=keepdims)

    def argmin(self, axis: int | None = None, *, keepdims: bool = False) -> Any:
        return self._call(np.argmin, self, axis=axis, keepdims=keepdims)

    # Changes in place

    def fill(self, value: Any) -> None:
        self[...] = value

    def sort(self, axis: int = -1, kind: Any = None, **options: Any) -> None:
        self[...] = self._call(np.sort, self, axis, kind, **options)

    def partition(self, kth: Any, axis: int = -1) -> None:
        self[...] = self._call(np.partition, self, kth, axis)

    def put(self, indices: Any, values: Any, mode: Any = "raise") -> None:
        self._call(np.put, self, indices, values, mode)

    resize = _Refused("np.reshape and np.resize give a new tensor")

    # Other functions

    def astype(self, dtype: DTypeLike, *, copy: bool = True) -> Self:
        """The values in another dtype; the gradient is converted back to this tensor's. Integers and truth values are
        steps of what they were made of, whose derivative is 0: through these no gradient flows."""
        return self._call(np.astype, self, np.dtype(dtype), copy=copy)

    def dot(self, other: Any) -> Self:
        return self._call(np.dot, self, other)

    def clip(self, min: Any = None, max: Any = None) -> Self:
        return self._call(np.clip, self, min, max)

    def round(self, decimals: int = 0) -> Self:
        return self._call(np.round, self, decimals)

    def copy(self, order: Any = "C") -> Self:
        return self._call(np.copy, self, order)

    def conj(self) -> Self:
        return self.real

    conjugate = conj

    @property
    def real(self) -> Self:
        """The tensor itself; under `no_grad`, as for all that is computed there, without its gradient."""
        return self if is_recording() or not self.requires_grad else self.detach()

    @property
    def imag(self) -> Self:
        return self._call(np.imag, self)

    def exp(self) -> Self:
        """`np.exp` of it."""
        return self._call(np.exp, self)

    def log(self) -> Self:
        """`np.log` of it."""
        return self._call(np.log, self)

    def sqrt(self) -> Self:
        """`np.sqrt` of it."""
        return self._call(np.sqrt, self)

    def tanh(self) -> Self:
        """`np.tanh` of it."""
        return self._call(np.tanh, self)

    def relu(self) -> Self:
        """max(x, 0) for each element, `tg.relu`."""
        return self._call(NAMED["relu"], self)  # by name: `functional`, which defines it, stands above

    def sigmoid(self) -> Self:
        """1 / (1 + e⁻ˣ) for each element, `tg.sigmoid`."""
        return self._call(NAMED["sigmoid"], self)

    # Of an array and its memory

    view = _Refused(".reshape(...) gives another shape, .astype(...) another dtype")
    base, byteswap, ctypes, device, dump, dumps, flags, getfield = (_OfArray() for _ in range(8))
    setfield, setflags, to_device, tobytes, tofile, tostring = (_OfArray() for _ in range(6))
