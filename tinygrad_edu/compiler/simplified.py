"""What a trace does not write down, since it changes no bit."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.operators import DIVIDE, MULTIPLY, POWER
from ..autograd.primitives import primitive_of
from ..autograd.reads import Options
from ..autograd.tensor import Tensor

ADD, NEGATIVE = primitive_of(np.add), primitive_of(np.negative)


def simplified(primitive: Any, args: tuple[Any, ...], nodes: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...], Any]:
    """A binary operation with a constant, without changing a bit: a constant array of one repeated value is that value,
    x · 1 and x¹ are x (which is then given in place of the primitive), and x · −1 is −x."""
    for k in (0, 1):
        c, x = args[k], args[1 - k]
        if isinstance(c, Tensor) or not isinstance(x, Tensor):
            continue
        is_like_x = isinstance(c, np.ndarray) and c.ndim and c.size and c.shape == x.shape
        if is_like_x and c.flat[0] and np.all(c == c.flat[0]):
            c = c.flat[0]
            args = (c, x) if k == 0 else (x, c)
        if np.ndim(c) or np.result_type(c, x._value) != x.dtype or isinstance(c, np.ndarray):
            continue
        if c == 1 and (primitive is MULTIPLY or (k == 1 and primitive in (POWER, DIVIDE) and x.dtype.kind == "f")):
            return x, args, nodes
        if c == -1 and primitive is MULTIPLY:
            return NEGATIVE, (x,), (nodes[1 - k],)
    return primitive, args, nodes


def key_of(function: Any, args: tuple[Any, ...], options: Options) -> Any:
    """What calls have in common that give the same: a common subexpression is written once."""
    return function, _key(args), _key(tuple(sorted(options.items())))


def _key(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return (type(value), *(_key(v) for v in value))
    if isinstance(value, str | int | float | bool | np.generic | type(None)):
        return (type(value), repr(value))
    return id(value) if not isinstance(value, slice) else ("slice", repr(value))
