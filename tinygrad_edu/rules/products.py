"""Products of vectors, matrices and tensors; Einstein's summation is in `einsum.py`."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..autograd.conversion import shape_of
from ..autograd.operators import refuse
from ..autograd.primitives import FUNCTIONS, implements, primitive, rule
from ..autograd.views import owned
from .blocks import _on_diagonal


def is_tall(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Whether BLAS computes (bᵀ aᵀ)ᵀ faster than a b for matrices of these shapes, as it does if the product has many
    rows and few columns. The product is then laid out column by column, and so is what is computed from it element by
    element."""
    return len(a) == len(b) == 2 and b[1] <= 64 and a[0] >= 4 * b[1] > 4


def product_into(out: Any, scratch: Any, a: Any, b: Any) -> None:
    if is_tall(a.shape, b.shape):
        multiply: Any = np.multiply if a.shape[1] == 1 else np.matmul
        multiply(b.T, a.T, out=out.T)
    else:
        np.matmul(a, b, out=out)


@primitive(into=product_into)
def product(a: Any, b: Any) -> Any:
    """The product of matrices, or of stacks of matrices: both arguments have at least two axes."""
    try:
        if is_tall(a.shape, b.shape):
            multiply = np.multiply if a.shape[1] == 1 else operator.matmul
            y: Any = multiply(b.T, a.T).T
            return y
        return operator.matmul(a, b)
    except ValueError as error:
        if a.shape[-1] == b.shape[-2]:
            raise
        raise ValueError(_mismatch(a.shape, b.shape)) from error


def _mismatch(a: tuple[int, ...], b: tuple[int, ...]) -> str:
    rows = b[-2] if len(b) > 1 else b[0]
    return f"matmul: shapes {a} and {b} do not fit: {a[-1]} columns on the left meet {rows} rows on the right"


rule(product, lambda g, b: product(g, b.mT), lambda g, a: product(a.mT, g), new=True)


@implements(np.matmul, np.linalg.matmul)
def matmul(a: Any, b: Any) -> Any:
    """`a @ b`; a vector is a row on the left and a column on the right, and its axis vanishes from the product."""
    dims = len(shape_of(a)), len(shape_of(b))
    if 0 in dims:
        raise ValueError(f"matmul: shapes {np.shape(a)} and {np.shape(b)}: use * to multiply by a single number")
    if dims[0] > 1 and dims[1] > 1:
        return product(a, b)
    if shape_of(a)[-1] != shape_of(b)[-2 if dims[1] > 1 else 0]:
        raise ValueError(_mismatch(shape_of(a), shape_of(b)))
    rows = np.reshape(a, (1, -1)) if dims[0] == 1 else a
    columns = np.reshape(b, (-1, 1)) if dims[1] == 1 else b
    y = product(rows, columns)
    shape = list(y.shape)
    if dims[1] == 1:
        del shape[-1]
    if dims[0] == 1:
        del shape[-1 if dims[1] == 1 else -2]
    return owned(np.reshape(y, shape))


# Sums over pairs of axes. The result has the axes left of a, then those left of b.


def _left(ndim: int, over: list[int]) -> list[int]:
    return [k for k in range(ndim) if k not in over]


def _gradient_of_a(g: Any, a_ndim: int, b: Any, over_a: list[int], over_b: list[int]) -> Any:
    left_a, left_b = _left(a_ndim, over_a), _left(np.ndim(b), over_b)
    y = np.tensordot(g, b, (list(range(len(left_a), g.ndim)), left_b))
    order = left_a + [over_a[over_b.index(k)] for k in sorted(over_b)]  # of the axes of y
    return np.transpose(y, [order.index(k) for k in range(a_ndim)])


def _gradient_of_b(g: Any, a: Any, b_ndim: int, over_a: list[int], over_b: list[int]) -> Any:
    left_a, left_b = _left(np.ndim(a), over_a), _left(b_ndim, over_b)
    y = np.tensordot(a, g, (left_a, list(range(len(left_a)))))
    order = [over_b[over_a.index(k)] for k in sorted(over_a)] + left_b
    return np.transpose(y, [order.index(k) for k in range(b_ndim)])


@primitive
def _tensordot(a: Any, b: Any, *, axes: Any) -> Any:
    try:
        return np.tensordot(a, b, axes)
    except ValueError as error:
        sizes = [
            [np.shape(x)[k] for k in over] for x, over in zip((a, b), _pairs(axes, np.ndim(a), np.ndim(b)), strict=True)
        ]
        raise ValueError(f"tensordot: the axes summed over have sizes {sizes[0]} in a and {sizes[1]} in b") from error


def _pairs(axes: Any, a_ndim: int, b_ndim: int) -> tuple[list[int], list[int]]:
    over_a, over_b = (range(-axes, 0), range(axes)) if isinstance(axes, int) else axes
    return [k % a_ndim for k in over_a], [k % b_ndim for k in over_b]


rule(
    _tensordot,
    lambda g, a_ndim, b, *, axes: _gradient_of_a(g, a_ndim, b, *_pairs(axes, a_ndim, np.ndim(b))),
    lambda g, a, b_ndim, *, axes: _gradient_of_b(g, a, b_ndim, *_pairs(axes, np.ndim(a), b_ndim)),
)


@implements(np.tensordot, np.linalg.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    if isinstance(axes, int | np.integer):
        return _tensordot(a, b, axes=int(axes))
    over_a, over_b = ((int(x),) if isinstance(x, int | np.integer) else tuple(map(int, x)) for x in axes)
    return _tensordot(a, b, axes=(over_a, over_b))


@primitive
def _dot(a: Any, b: Any) -> Any:
    return np.dot(a, b)


def _last_and_last_but_one(a_ndim: int, b_ndim: int) -> tuple[list[int], list[int]]:
    return ([a_ndim - 1], [max(b_ndim - 2, 0)]) if a_ndim and b_ndim else ([], [])


rule(
    _dot,
    lambda g, a_ndim, b: _gradient_of_a(g, a_ndim, b, *_last_and_last_but_one(a_ndim, np.ndim(b))),
    lambda g, a, b_ndim: _gradient_of_b(g, a, b_ndim, *_last_and_last_but_one(np.ndim(a), b_ndim)),
)


@implements(np.dot)
def dot(a: Any, b: Any, out: None = None) -> Any:
    """The sum over the last axis of `a` and the last but one (or only one) of `b`."""
    refuse(np.dot, {"out": out}, "out")
    return product(a, b) if np.ndim(a) == np.ndim(b) == 2 else _dot(a, b)


@primitive
def _inner(a: Any, b: Any) -> Any:
    return np.inner(a, b)


def _last(a_ndim: int, b_ndim: int) -> tuple[list[int], list[int]]:
    return ([a_ndim - 1], [b_ndim - 1]) if a_ndim and b_ndim else ([], [])


rule(
    _inner,
    lambda g, a_ndim, b: _gradient_of_a(g, a_ndim, b, *_last(a_ndim, np.ndim(b))),
    lambda g, a, b_ndim: _gradient_of_b(g, a, b_ndim, *_last(np.ndim(a), b_ndim)),
)
FUNCTIONS[np.inner] = _inner


@primitive
def _vdot(a: Any, b: Any) -> Any:
    return np.vdot(a, b)


rule(_vdot, lambda g, a_shape, b: np.reshape(g * b, a_shape), lambda g, a, b_shape: np.reshape(g * a, b_shape))
FUNCTIONS[np.vdot] = _vdot

# Products of stacks of vectors


@primitive
def _vecdot(a: Any, b: Any) -> Any:
    return np.vecdot(a, b)


rule(_vecdot, lambda g, b: g[..., None] * b, lambda g, a: g[..., None] * a)


@implements(np.vecdot, np.linalg.vecdot)
def vecdot(x1: Any, x2: Any, *, axis: int = -1) -> Any:
    return _vecdot(np.moveaxis(x1, axis, -1), np.moveaxis(x2, axis, -1))


if hasattr(np, "matvec"):  # NumPy 2.2
    rule(np.matvec, lambda g, b: g[..., None] * b[..., None, :], lambda g, a: np.vecmat(g, a))
    rule(np.vecmat, lambda g, b: np.matvec(b, g), lambda g, a: a[..., None] * g[..., None, :])


@implements(np.outer)
def outer(a: Any, b: Any, out: None = None) -> Any:
    refuse(np.outer, {"out": out}, "out")
    return np.reshape(a, (-1, 1)) * np.reshape(b, (1, -1))


@implements(np.linalg.outer)
def outer_of_vectors(x1: Any, x2: Any, /) -> Any:
    if np.ndim(x1) != 1 or np.ndim(x2) != 1:
        raise ValueError(
            f"linalg.outer: takes vectors, got shapes {np.shape(x1)} and {np.shape(x2)}; np.outer is wider"
        )
    return outer(x1, x2)


@implements(np.kron)
def kron(a: Any, b: Any) -> Any:
    ndim = max(np.ndim(a), np.ndim(b))
    shapes = [(1,) * (ndim - np.ndim(x)) + np.shape(x) for x in (a, b)]
    blocks = np.reshape(a, [n for size in shapes[0] for n in (size, 1)])
    block = np.reshape(b, [n for size in shapes[1] for n in (1, size)])
    return owned(np.reshape(blocks * block, [n * m for n, m in zip(*shapes, strict=True)]))


@implements(np.cross, np.linalg.cross)
def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = np.moveaxis(a, axisa, -1), np.moveaxis(b, axisb, -1)
    if (a.shape[-1], b.shape[-1]) != (3, 3):
        raise ValueError(f"cross: both arguments must have 3 components, got {a.shape[-1]} and {b.shape[-1]}")
    forth, back = [1, 2, 0], [2, 0, 1]
    return owned(np.moveaxis(a[..., forth] * b[..., back] - a[..., back] * b[..., forth], -1, axisc))


rule(
    np.trace,
    lambda g, x_shape, *, offset=0, axis1=0, axis2=1, dtype=None: _on_diagonal(
        np.expand_dims(g, -1), shape=x_shape, offset=offset, axis1=axis1, axis2=axis2
    ),
)

# Convolution


@primitive
def _convolve(a: Any, v: Any) -> Any:
    return np.convolve(a, v, "full")


rule(
    _convolve,
    lambda g, v, a_size: _convolve(g, v[::-1])[v.size - 1 : v.size - 1 + a_size],
    lambda g, a, v_size: _convolve(g, a[::-1])[a.size - 1 : a.size - 1 + v_size],
)


@implements(np.convolve)
def convolve(a: Any, v: Any, mode: Any = "full") -> Any:
    return _part(_convolve(np.atleast_1d(a), np.atleast_1d(v)), np.size(a), np.size(v), mode)


@implements(np.correlate)
def correlate(a: Any, v: Any, mode: Any = "valid") -> Any:
    if 0 in (np.ndim(a), np.ndim(v)):
        raise ValueError(f"correlate: takes vectors, got shapes {np.shape(a)} and {np.shape(v)}")
    if np.size(v) > np.size(a):  # NumPy exchanges the two and reverses the result
        return owned(correlate(v, a, mode)[::-1])
    return _part(_convolve(a, v[::-1]), np.size(a), np.size(v), mode)


def _part(full: Any, n: int, m: int, mode: Any) -> Any:
    """The part of the full convolution of n and m numbers that `mode` asks for."""
    n, m = max(n, m), min(n, m)
    parts = {"full": (0, n + m - 1), "same": ((m - 1) // 2, n), "valid": (m - 1, n - m + 1)}
    if mode not in parts:
        raise ValueError(f"convolve and correlate: the mode must be one of {', '.join(parts)}, not {mode!r}")
    start, length = parts[mode]
    return owned(full[start : start + length])
