"""Interpolation along the lines between points."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.operators import option
from ..autograd.primitives import implements, primitive, rule
from .counting import sums_by_place
from .elementwise import as_array
from .shape import getitem


@primitive
def _interp(x: Any, xp: Any, fp: Any) -> Any:
    return np.interp(x, xp, fp)


def _line(x: Any, xp: Any) -> tuple[Any, Any, Any]:
    """The points between which each of `x` is (the first and the last line stand for what is outside), and how far they
    are apart: infinitely, if there is no more than a jump."""
    last = xp.shape[0] - 1
    before = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, max(0, last - 1))
    after = np.minimum(before + 1, last)
    width = getitem(xp, after) - getitem(xp, before)
    return before, after, np.where(width == 0, np.inf, width)


def _by_x(g: Any, x: Any, xp: Any, fp: Any) -> Any:
    before, after, width = _line(x, xp)
    slope = (getitem(fp, after) - getitem(fp, before)) / width
    return np.where((x < xp[0]) | (x > xp[-1]), 0, g * np.where(np.isnan(x), np.nan, slope))


def _to_both(g: Any, x: Any, xp: Any) -> Any:
    """What arrives at each of `x`, handed to the points around it, to the nearer one more."""
    before, after, width = _line(x, xp)
    part = np.clip((getitem(xp, after) - x) / width, 0, 1)
    shares = ((before, g * part), (after, g * (1 - part)))
    first, second = (sums_by_place(np.ravel(g), places=np.ravel(k), minlength=xp.shape[0]) for k, g in shares)
    return first + second


rule(
    _interp,
    _by_x,
    lambda g, x, xp, fp: -_to_both(_by_x(g, x, xp, fp), x, xp),
    lambda g, x, xp: _to_both(g, x, xp),
)


@implements(np.interp)
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """Where two lines meet, the derivative by `x` is the slope of the second; at the last point, that of the last."""
    x, xp, fp = (as_array(v, np.float64) for v in (x, xp, fp))
    if period is not None:
        period = abs(option(period, "interp: period"))
        if period == 0:
            raise ValueError("interp: the period must not be 0")
        x, xp = x % period, xp % period
        order = np.argsort(xp)
        xp = np.concatenate((xp[order[-1:]] - period, xp[order], xp[order[:1]] + period))
        fp = np.concatenate((fp[order[-1:]], fp[order], fp[order[:1]]))
        left = right = None
    y = _interp(x, xp, fp)
    if not xp.shape[0]:  # then there is no x either, or NumPy has raised
        return y
    y = y if left is None else np.where(x < xp[0], left, y)
    return y if right is None else np.where(x > xp[-1], right, y)
