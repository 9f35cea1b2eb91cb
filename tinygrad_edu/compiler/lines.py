"""The lines that a trace writes, and the examples that it makes of what they compute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..autograd.conversion import rebuilt
from ..autograd.primitives import Primitive
from ..autograd.reads import Options
from ..autograd.tensor import Tensor
from ..memory import axes_in_memory
from ..rules.shape import _scatter
from .simplified import ADD


class Line:
    """One step of a program: a function with its arguments, which are other lines, or constants."""

    __slots__ = ("args", "axes", "dtype", "example", "function", "options", "shape")

    def __init__(
        self, function: Callable[..., Any] | None, args: tuple[Any, ...], options: Options, value: Any
    ) -> None:
        self.function = function  # None for an input
        self.args = args
        self.options = options
        self.shape: tuple[int, ...] = np.shape(value)
        self.dtype: np.dtype[Any] = getattr(value, "dtype", np.dtype(type(value)))
        self.axes = axes_in_memory(np.asarray(value))
        self.example: Any = value  # while it is traced

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def operands(self) -> Iterator[Line]:
        """The lines that this one reads."""
        return (value for value in self.values() if isinstance(value, Line))

    def values(self) -> Iterator[Any]:
        """All that it reads, lines and constants, also those in lists."""
        waiting: list[Any] = [*self.options.values(), *self.args][::-1]
        while waiting:
            value = waiting.pop()
            if isinstance(value, list | tuple):
                waiting.extend(value)
            else:
                yield value

    def __repr__(self) -> str:
        return f"Line({getattr(self.function, '__name__', 'input')}, {self.shape})"


def name_of(function: Any) -> str:
    return getattr(function, "__name__", repr(function)).lstrip("_")


def example_of(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return rebuilt(value, map(example_of, value))
    return value._value if isinstance(value, Tensor) else value


def among_zeros(function: Any, args: tuple[Any, ...], options: Options) -> Any:
    """The example of a part's gradient among zeros, and of sums with such parts, without memory of its own. Each of
    them is as large as the whole array: those of n parts, as of the steps of a sequence, would take n² of it."""
    if function is _scatter:
        return np.broadcast_to(np.zeros((), args[0].dtype), options["shape"])
    if function is ADD and all(isinstance(x, Line) and x.ndim for x in args):
        for x, y in (args, args[::-1]):
            if is_zeros(x) and (x.shape, x.dtype) == (y.shape, y.dtype):
                return y.example if is_zeros(y) or y.example.flags.c_contiguous else None
    return None


def is_zeros(line: Line) -> bool:
    """Whether its example is a single zero, repeated."""
    return line.function in (_scatter, ADD) and line.ndim > 0 and not any(line.example.strides)


def result_of(function: Any, args: tuple[Any, ...], options: Options) -> Any:
    """What a function gives for the examples."""
    forward = function.forward if isinstance(function, Primitive) else function
    with np.errstate(all="ignore"):
        y = forward(*map(example_of, args), **{name: example_of(value) for name, value in options.items()})
    is_wrong = isinstance(y, np.ndarray) and y.dtype.kind == "f" and np.isnan(y).any()
    return np.nan_to_num(y) if is_wrong else y  # nobody warns of an example
