"""Schedules: the learning rate at a time t, counted in epochs by `fit` (with fractions within an epoch)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

Schedule = Callable[[float], float]


def piecewise_constant(rates: Sequence[float], lengths: Sequence[float]) -> Schedule:
    """rates[0] for a time of lengths[0], then rates[1] for lengths[1], …; the last rate stays. Times are epochs, if
    `fit` is given the schedule. Raises `ValueError` unless there is one positive length for each rate.

    >>> rate = tg.optim.piecewise_constant([0.1, 0.01], [5, 5])
    >>> rate(0), rate(4.9), rate(5), rate(99)
    (0.1, 0.1, 0.01, 0.01)
    """
    if not rates or len(rates) != len(lengths) or not all(length > 0 for length in lengths):
        raise ValueError(f"piecewise_constant: {len(rates)} rates need as many positive lengths, got {list(lengths)}")
    ends = np.cumsum(lengths)[:-1]
    return lambda t: rates[int(np.searchsorted(ends, t, side="right"))]


def exponential(lr: float, decay: float) -> Schedule:
    """lr · decayᵗ, where t counts epochs: a `decay` of 0.5 halves the rate in each. Raises `ValueError` for a decay
    outside (0, 1].

    >>> rate = tg.optim.exponential(0.8, 0.5)
    >>> rate(0), rate(1), rate(2)
    (0.8, 0.4, 0.2)
    """
    if not 0 < decay <= 1:
        raise ValueError(f"exponential: decay must lie in (0, 1], not {decay}")
    return lambda t: lr * decay**t


def cosine(lr: float, length: float, final: float = 0.0) -> Schedule:
    """From `lr` down to `final` over the time `length`, in epochs, along half a cosine, then `final`: final + (lr −
    final) (1 + cos(πt / length)) / 2. Raises `ValueError` for a `length` that is not positive. (Loshchilov and Hutter,
    "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.)

    >>> rate = tg.optim.cosine(0.5, length=10)
    >>> rate(0), round(rate(5), 6), rate(10), rate(11)
    (0.5, 0.25, 0.0, 0.0)
    """
    if not length > 0:
        raise ValueError(f"cosine: length must be positive, not {length}")
    return lambda t: final + (lr - final) * (1 + math.cos(math.pi * min(t / length, 1))) / 2


def warmup(schedule: Schedule, length: float) -> Schedule:
    """Rises linearly from 0 to the schedule over the time `length`, then follows it (Goyal et al., "Accurate, Large
    Minibatch SGD", 2017): schedule(length) · t / length, then schedule(t).

    It helps where the first steps would be too long: with large rates, and with Adam, whose averages know only a few
    gradients by then. The very first step, at t = 0, has the rate 0 and changes nothing. Raises `TypeError` if
    `schedule` is no function of the time, `ValueError` if `length` is not positive.

    >>> rate = tg.optim.warmup(tg.optim.exponential(0.8, 0.5), length=2)
    >>> rate(0), rate(1), rate(2), rate(3)
    (0.0, 0.1, 0.2, 0.1)
    """
    if not callable(schedule):
        raise TypeError(
            f"warmup: schedule must be a function of the time, such as cosine(0.1, 10), not {schedule!r}; a fixed rate "
            "is lambda t: 0.1"
        )
    if not 0 < length < math.inf:
        raise ValueError(f"warmup: length must be positive and finite, not {length}")
    return lambda t: schedule(length) * t / length if t < length else schedule(t)
