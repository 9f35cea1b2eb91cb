"""Random numbers: the package's default generator, how `rng=` is understood everywhere, and functions that draw.

The functions have the names and arguments of the methods of `numpy.random.Generator`. Where one is called in a compiled
step or a derivation, new numbers are drawn each time that runs. `rng` is a generator, a seed, or None for the package's
own generator (`manual_seed`).
"""

from __future__ import annotations

import operator
import os
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .autograd.record import Operand
from .autograd.recording import interpreter

_default = np.random.default_rng()

Rng = np.random.Generator | int | None
Size = int | tuple[int, ...] | None


def manual_seed(seed: int) -> None:
    """Seeds the default generator, which initialisers, dropout and shuffling use when they are given no `rng`.

    All threads draw from the same generator, in an order that is not fixed. For the same numbers each time, give each
    thread its own `rng`. A forked process, such as a worker of a pool, has a generator of its own, which depends on the
    seed and on how many were forked before.

    >>> tg.manual_seed(1)
    >>> a = tg.Dense(2, 2).weight.data
    >>> tg.manual_seed(1)
    >>> bool(np.all(a == tg.Dense(2, 2).weight.data))
    True
    """
    global _default
    _default = np.random.default_rng(seed)


def generator(rng: Rng = None) -> np.random.Generator:
    """`rng` itself, a new generator seeded with it, or for None the default one, which `manual_seed` seeds. Raises
    `TypeError` for anything else.

    >>> tg.random.generator(0).integers(10, size=3)
    array([8, 6, 5])
    """
    if rng is None:
        return _default
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, int | np.integer) and not isinstance(rng, bool):
        return np.random.default_rng(int(rng))
    raise TypeError(f"rng must be a numpy.random.Generator, an int seed or None, not {type(rng).__name__}")


_of_the_next_fork = _default


def _before_fork() -> None:
    global _of_the_next_fork
    [_of_the_next_fork] = _default.spawn(1)  # draws no numbers from the parent's


def _in_the_child() -> None:
    global _default
    _default = _of_the_next_fork


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_in_the_child)


def normal(
    loc: Any = 0.0, scale: Any = 1.0, size: Size = None, *, dtype: DTypeLike | None = None, rng: Rng = None
) -> Any:
    """Numbers from the normal distribution of mean `loc` and standard deviation `scale`, of the shape `size` (by
    default that of loc and scale together): loc + scale · ε, so that gradients flow to both (Kingma and Welling,
    "Auto-encoding variational Bayes", 2014). `dtype` is by default that of loc and scale, or float64. Raises
    `ValueError` for a negative `scale` that is no tensor.

    >>> tg.random.normal(size=3, rng=0)
    array([ 0.12573022, -0.13210486,  0.64042265])
    """
    loc, scale = _array(loc), _array(scale)
    if not isinstance(scale, Operand) and np.any(np.less(scale, 0)):
        raise ValueError(f"normal: scale must be at least 0, got {scale}")
    drawn = _drawn(_standard_normal, _shape(size, loc, scale), _dtype(dtype, loc, scale), rng)
    return _cast(loc + scale * drawn, dtype)


def uniform(
    low: Any = 0.0, high: Any = 1.0, size: Size = None, *, dtype: DTypeLike | None = None, rng: Rng = None
) -> Any:
    """Numbers from `low` to `high`, all equally likely, of the shape `size` (by default that of low and high together):
    low + (high − low) · u, so that gradients flow to both. `dtype` is by default that of low and high, or float64.

    >>> tg.random.uniform(size=3, rng=0)
    array([0.63696169, 0.26978671, 0.04097352])
    """
    low, high = _array(low), _array(high)
    drawn = _drawn(_standard_uniform, _shape(size, low, high), _dtype(dtype, low, high), rng)
    return _cast(low + (high - low) * drawn, dtype)


def bernoulli(p: Any = 0.5, size: Size = None, *, dtype: DTypeLike = np.float64, rng: Rng = None) -> Any:
    """1 with probability `p`, else 0, of the shape `size` (by default that of p). No gradient flows to `p`. Raises
    `ValueError` for a `p` outside [0, 1].

    >>> tg.random.bernoulli(0.3, size=4, rng=0)
    array([0., 1., 1., 1.])
    """
    p = interpreter().detached(p) if isinstance(p, Operand) else np.asarray(p)
    if not isinstance(p, Operand) and not np.all((p >= 0) & (p <= 1)):
        raise ValueError(f"bernoulli: p must be a probability, from 0 to 1, not {p}")
    return (_drawn(_standard_uniform, _shape(size, p), np.dtype(np.float64), rng) < p).astype(dtype)


def integers(low: int, high: int | None = None, size: Size = None, *, rng: Rng = None) -> Any:
    """Whole numbers from `low` to `high` − 1 (from 0 to low − 1 without `high`), as int64, of the shape `size`.
    Raises `ValueError` if there is none.

    >>> tg.random.integers(10, size=5, rng=0)
    array([8, 6, 5, 2, 3])
    """
    first, last = map(operator.index, (0, low) if high is None else (low, high))
    if last <= first:
        raise ValueError(f"integers: there is no whole number from {first} to {last} - 1")
    return interpreter().constant(_integers, (first, last, _shape(size), rng), {})


def permutation(x: Any, *, rng: Rng = None) -> Any:
    """The whole numbers from 0 to x − 1 in random order, (x,); or the rows of an array or tensor `x` in random order,
    in its shape, through which gradients flow. Raises `ValueError` for a negative number.

    >>> tg.random.permutation(5, rng=0)
    array([2, 4, 3, 0, 1])
    """
    if np.ndim(x):
        x = x if isinstance(x, Operand) else np.asarray(x)
        return x[_order(x.shape[0], rng)]
    if (count := operator.index(x)) < 0:
        raise ValueError(f"permutation: there are no {count} numbers")
    return _order(count, rng)


def _order(count: int, rng: Rng) -> Any:
    return interpreter().constant(_permutation, (count, rng), {})


def _shape(size: Size, *others: Any) -> tuple[int, ...]:
    needed = np.broadcast_shapes(*map(np.shape, others))
    if size is None:
        return needed
    shape = tuple(map(operator.index, size)) if isinstance(size, tuple | list) else (operator.index(size),)
    if np.broadcast_shapes(needed, shape) != shape:
        raise ValueError(f"size {shape} does not fit what is given, which has the shape {needed}")
    return shape


def _array(x: Any) -> Any:
    return x if isinstance(x, Operand | int | float) else np.asarray(x)


def _dtype(dtype: DTypeLike | None, *others: Any) -> np.dtype[Any]:
    floats = [x.dtype for x in others if getattr(x, "dtype", np.dtype(int)).kind == "f"]
    return np.dtype(dtype) if dtype is not None else np.result_type(*floats) if floats else np.dtype(np.float64)


def _cast(x: Any, dtype: DTypeLike | None) -> Any:
    return x if dtype is None or x.dtype == dtype else x.astype(dtype)


def _drawn(function: Any, shape: tuple[int, ...], dtype: np.dtype[Any], rng: Rng) -> Any:
    if dtype.kind != "f":
        raise TypeError(f"random numbers are floats, not {dtype}; use integers for whole numbers")
    return interpreter().constant(function, (shape, dtype, rng), {})


# What is drawn. Each takes the generator as its last argument; by `draws`, a trace knows that every call differs.


def _draws(function: Any) -> Any:
    function.draws = True
    return function


@_draws
def _standard_normal(shape: tuple[int, ...], dtype: Any, rng: Rng) -> Any:
    return np.asarray(generator(rng).standard_normal(shape, _drawable(dtype)), dtype)[()]


@_draws
def _standard_uniform(shape: tuple[int, ...], dtype: Any, rng: Rng) -> Any:
    drawn = np.asarray(generator(rng).random(shape, _drawable(dtype)))
    if dtype == np.float16:
        drawn = np.floor(drawn * 2**11) / 2**11  # rounded to the nearest, some would be 1
    return drawn.astype(dtype)[()]


def _drawable(dtype: Any) -> Any:
    """What NumPy draws numbers of the dtype as."""
    return dtype if dtype in (np.float32, np.float64) else np.float64


@_draws
def _integers(low: int, high: int, shape: tuple[int, ...], rng: Rng) -> Any:
    return np.asarray(generator(rng).integers(low, high, shape))[()]


@_draws
def _permutation(count: int, rng: Rng) -> Any:
    return generator(rng).permutation(count)
