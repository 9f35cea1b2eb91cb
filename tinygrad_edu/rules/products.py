"""Products of vectors, matrices and tensors."""

from __future__ import annotations

import math
import operator
import string
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.conversion import shape_of
from ..autograd.operators import refuse
from ..autograd.primitives import FUNCTIONS, implements, primitive, rule


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
    return np.reshape(y, shape)


@implements(np.tensordot, np.linalg.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """The sum over pairs of axes: both are reshaped to matrices and multiplied, and the product is reshaped."""
    if isinstance(axes, int | np.integer):
        chosen: Any = (range(-axes, 0), range(axes))
    else:
        chosen = [(x,) if isinstance(x, int | np.integer) else x for x in axes]
    over_a, over_b = ([k % np.ndim(x) for k in over] for x, over in zip((a, b), chosen, strict=True))
    sizes = [np.shape(a)[k] for k in over_a], [np.shape(b)[k] for k in over_b]
    if sizes[0] != sizes[1]:
        raise ValueError(f"tensordot: the axes summed over have sizes {sizes[0]} in a and {sizes[1]} in b")
    rest_a = [k for k in range(np.ndim(a)) if k not in over_a]
    rest_b = [k for k in range(np.ndim(b)) if k not in over_b]
    shape_a, shape_b = [np.shape(a)[k] for k in rest_a], [np.shape(b)[k] for k in rest_b]
    inner = math.prod(sizes[0])
    rows = np.reshape(np.transpose(a, rest_a + over_a), (math.prod(shape_a), inner))
    columns = np.reshape(np.transpose(b, over_b + rest_b), (inner, math.prod(shape_b)))
    return np.reshape(rows @ columns, shape_a + shape_b)


@implements(np.dot)
def dot(a: Any, b: Any, out: None = None) -> Any:
    """The sum over the last axis of `a` and the last but one (or only one) of `b`."""
    refuse(np.dot, {"out": out}, "out")
    if 0 in (np.ndim(a), np.ndim(b)):
        return np.multiply(a, b)
    return matmul(a, b) if np.ndim(b) <= 2 else tensordot(a, b, (-1, -2))


@implements(np.inner)
def inner(a: Any, b: Any) -> Any:
    return np.multiply(a, b) if 0 in (np.ndim(a), np.ndim(b)) else tensordot(a, b, (-1, -1))


@implements(np.outer, np.linalg.outer)
def outer(a: Any, b: Any, out: None = None) -> Any:
    refuse(np.outer, {"out": out}, "out")
    return np.reshape(a, (-1, 1)) * np.reshape(b, (1, -1))


@implements(np.vdot)
def vdot(a: Any, b: Any) -> Any:
    return np.sum(np.ravel(a) * np.ravel(b))


@implements(np.vecdot, np.linalg.vecdot)
def vecdot(x1: Any, x2: Any, *, axis: int = -1) -> Any:
    return np.sum(np.multiply(np.moveaxis(x1, axis, -1), np.moveaxis(x2, axis, -1)), axis=-1)


def matvec(x1: Any, x2: Any) -> Any:
    return np.matmul(x1, np.expand_dims(x2, -1))[..., 0]


def vecmat(x1: Any, x2: Any) -> Any:
    return np.matmul(np.expand_dims(x1, -2), x2)[..., 0, :]


@implements(np.kron)
def kron(a: Any, b: Any) -> Any:
    ndim = max(np.ndim(a), np.ndim(b))
    shapes = [(1,) * (ndim - np.ndim(x)) + np.shape(x) for x in (a, b)]
    blocks = np.reshape(a, [n for size in shapes[0] for n in (size, 1)])
    block = np.reshape(b, [n for size in shapes[1] for n in (1, size)])
    return np.reshape(blocks * block, [n * m for n, m in zip(*shapes, strict=True)])


@implements(np.cross, np.linalg.cross)
def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = np.moveaxis(a, axisa, -1), np.moveaxis(b, axisb, -1)
    if (a.shape[-1], b.shape[-1]) != (3, 3):
        raise ValueError(f"cross: both arguments must have 3 components, got {a.shape[-1]} and {b.shape[-1]}")
    forth, back = [1, 2, 0], [2, 0, 1]
    return np.moveaxis(a[..., forth] * b[..., back] - a[..., back] * b[..., forth], -1, axisc)


@implements(np.trace)
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: None = None, out: None = None) -> Any:
    refuse(np.trace, {"dtype": dtype, "out": out}, "dtype", "out")
    return np.sum(np.diagonal(a, offset, axis1, axis2), axis=-1)


# Einstein's summation


LETTERS = string.ascii_uppercase + string.ascii_lowercase  # in NumPy's order of numbered axes


@primitive
def _einsum(*operands: Any, subscripts: tuple[str, ...], output: str) -> Any:
    return np.einsum(f"{','.join(subscripts)}->{output}", *operands, optimize=len(operands) > 2)


def _einsum_rule(i: int) -> Callable[..., Any]:
    """The gradient of operand i: again an einsum, of the arriving gradient and the other operands. The axes of letters
    that only operand i has were summed away; along those the gradient is constant, and comes back at size 1."""

    def vjp(g: Any, *operands: Any, subscripts: tuple[str, ...], output: str) -> Any:
        others = [k for k in range(len(operands)) if k != i]
        terms = (output, *(subscripts[k] for k in others))
        known = "".join(c for c in subscripts[i] if any(c in term for term in terms))
        gradient = _einsum(g, *(operands[k] for k in others), subscripts=terms, output=known)
        return np.expand_dims(gradient, [k for k, c in enumerate(subscripts[i]) if c not in known])

    return vjp


rule(_einsum, each=_einsum_rule)


@implements(np.einsum)
def einsum(*operands: Any, out: None = None, optimize: Any = False, **options: Any) -> Any:
    refuse(np.einsum, {"out": out, **options}, "out", *options)
    text, arrays = _einsum_arguments(operands)
    inputs, arrow, output = text.replace(" ", "").partition("->")
    subscripts = inputs.split(",")
    if len(subscripts) != len(arrays):
        raise ValueError(f"einsum: {len(subscripts)} subscripts for {len(arrays)} operands")
    free = [c for c in LETTERS if c not in text]
    dots = max((np.ndim(a) - len(s) + 3 for a, s in zip(arrays, subscripts, strict=True) if "..." in s), default=0)
    ellipsis = "".join(free[:dots])
    for k, (a, s) in enumerate(zip(arrays, subscripts, strict=True)):
        covered = np.ndim(a) - len(s) + 3  # how many axes the dots of this operand stand for
        subscripts[k] = s.replace("...", ellipsis[dots - covered :] if "..." in s else "")
        if len(subscripts[k]) != np.ndim(a):
            raise ValueError(f"einsum: subscripts {s!r} for an operand of shape {np.shape(a)}")
    letters = "".join(subscripts)
    single = sorted(c for c in set(letters) if letters.count(c) == 1 and c not in ellipsis)
    if arrow and dots and "..." not in output:
        raise ValueError("einsum: the operands have an ellipsis (...), so the output needs one, too")
    output = output.replace("...", ellipsis) if arrow else ellipsis + "".join(single)
    for k, s in enumerate(subscripts):
        for c in dict.fromkeys(s):  # a letter that an operand has twice means its diagonal
            while s.count(c) > 1:
                first, second = s.index(c), s.rindex(c)
                if np.shape(arrays[k])[first] != np.shape(arrays[k])[second]:
                    raise ValueError(f"einsum: {c!r} stands for axes of different sizes in shape {np.shape(arrays[k])}")
                arrays[k] = np.diagonal(arrays[k], 0, first, second)
                s = s[:first] + s[first + 1 : second] + s[second + 1 :] + c
        subscripts[k] = s
    return _einsum(*arrays, subscripts=tuple(subscripts), output=output)


def _einsum_arguments(operands: tuple[Any, ...]) -> tuple[str, list[Any]]:
    """Subscripts as text; NumPy also takes them as lists of numbers after each operand."""
    if isinstance(operands[0], str):
        return operands[0], list(operands[1:])
    lists = [list(x) for x in operands[1::2]] + ([list(operands[-1])] if len(operands) % 2 else [])
    words = ["".join("..." if n is Ellipsis else LETTERS[n] for n in x) for x in lists]
    count = len(operands) // 2
    text = ",".join(words[:count]) + ("->" + words[count] if len(words) > count else "")
    return text, list(operands[: 2 * count : 2])


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
    a, v = np.atleast_1d(a), np.atleast_1d(v)
    if np.size(v) > np.size(a):  # NumPy exchanges the two and reverses the result
        return correlate(v, a, mode)[::-1]
    return _part(_convolve(a, v[::-1]), np.size(a), np.size(v), mode)


def _part(full: Any, n: int, m: int, mode: Any) -> Any:
    """The part of the full convolution of n and m numbers that `mode` asks for."""
    n, m = max(n, m), min(n, m)
    parts = {"full": (0, n + m - 1), "same": ((m - 1) // 2, n), "valid": (m - 1, n - m + 1)}
    if mode not in parts:
        raise ValueError(f"convolve and correlate: the mode must be one of {', '.join(parts)}, not {mode!r}")
    start, length = parts[mode]
    return full[start : start + length]


_function: Any
for _function in (matvec, vecmat):  # NumPy 2.2
    if hasattr(np, _function.__name__):
        FUNCTIONS[getattr(np, _function.__name__)] = _function
