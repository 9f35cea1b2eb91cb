"""The package's default generator of random numbers, and how `rng=` is understood everywhere."""

from __future__ import annotations

import os

import numpy as np

_default = np.random.default_rng()


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


def generator(rng: np.random.Generator | int | None = None) -> np.random.Generator:
    """`rng` itself, a new generator seeded with it, or the default one for None."""
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
