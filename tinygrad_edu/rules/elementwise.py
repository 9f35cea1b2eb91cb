"""Rules of functions that treat each element by itself. Broadcasting is undone by the engine.

Where a function has a kink, the rule gives PyTorch's subgradient: 0 for `abs` at 0, halves for a tie of two arguments,
1 on both ends of `clip`'s interval.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine import FUNCTIONS, primitive, rule
from ..operand import constant

# Arithmetic

rule(np.add, lambda g, y, a, b: g, lambda g, y, a, b: g)
rule(np.subtract, lambda g, y, a, b: g, lambda g, y, a, b: -g)
rule(np.multiply, lambda g, y, a, b: g * b, lambda g, y, a, b: g * a)
rule(np.divide, lambda g, y, a, b: g / b, lambda g, y, a, b: -g * y / b)
rule(np.negative, lambda g, y, x: -g)
rule(np.positive, lambda g, y, x: g)
rule(np.reciprocal, lambda g, y, x: -g * y * y)
rule(np.remainder, lambda g, y, a, b: g, lambda g, y, a, b: -g * np.floor(a / b))


def _one_less(b: Any) -> Any:
    """The exponent of the derivative of a ** b. At b = 0 it is 0 instead of −1: b · a⁰ is 0, also where a is 0."""
    if isinstance(b, int | float):
        return b - 1 if b else b
    return np.where(b == 0, 0, b - 1)


rule(
    np.power,
    lambda g, y, a, b: g * (b * a ** _one_less(b)),
    # At a = 0 the limit of y · log a is 0 for b > 0.
    lambda g, y, a, b: g * y * np.log(np.where((a == 0) & (b >= 0), 1, a)),
)
rule(np.square, lambda g, y, x: 2 * g * x)
rule(np.sqrt, lambda g, y, x: g / (2 * y))
rule(np.cbrt, lambda g, y, x: g / (3 * y * y))
rule(np.hypot, lambda g, y, a, b: g * _ratio(a, y), lambda g, y, a, b: g * _ratio(b, y))


def _ratio(a: Any, y: Any) -> Any:
    """a / y where |a| ≤ y, and 0 at y = 0 (the subgradient of a norm at its tip)."""
    return a / np.where(y == 0, 1, y)


# Exponentials and logarithms

rule(np.exp, lambda g, y, x: g * y)
rule(np.exp2, lambda g, y, x: g * y * np.log(2.0))
rule(np.expm1, lambda g, y, x: g * np.exp(x))
rule(np.log, lambda g, y, x: g / x)
rule(np.log2, lambda g, y, x: g / (x * np.log(2.0)))
rule(np.log10, lambda g, y, x: g / (x * np.log(10.0)))
rule(np.log1p, lambda g, y, x: g / (1 + x))

# Trigonometric and hyperbolic functions and their inverses

rule(np.sin, lambda g, y, x: g * np.cos(x))
rule(np.cos, lambda g, y, x: -g * np.sin(x))
rule(np.tan, lambda g, y, x: g * (1 + y * y))
rule(np.arcsin, lambda g, y, x: g / np.sqrt((1 - x) * (1 + x)))
rule(np.arccos, lambda g, y, x: -g / np.sqrt((1 - x) * (1 + x)))
rule(np.arctan, lambda g, y, x: g / np.square(np.hypot(1, x)))
rule(
    np.arctan2,
    lambda g, y, a, b: g * b / np.square(np.hypot(a, b)),
    lambda g, y, a, b: -g * a / np.square(np.hypot(a, b)),
)
rule(np.sinh, lambda g, y, x: g * np.cosh(x))
rule(np.cosh, lambda g, y, x: g * np.sinh(x))
rule(np.tanh, lambda g, y, x: g * (1 - y * y))
rule(np.arcsinh, lambda g, y, x: g / np.hypot(1, x))
rule(np.arccosh, lambda g, y, x: g / (np.sqrt(x - 1) * np.sqrt(x + 1)))
rule(np.arctanh, lambda g, y, x: g / ((1 - x) * (1 + x)))

# Functions with kinks

rule(np.absolute, lambda g, y, x: g * np.sign(x))
rule(
    np.maximum,
    lambda g, y, a, b: np.where(a > b, g, np.where(a == b, g / 2, 0)),
    lambda g, y, a, b: np.where(b > a, g, np.where(a == b, g / 2, 0)),
)
rule(
    np.minimum,
    lambda g, y, a, b: np.where(a < b, g, np.where(a == b, g / 2, 0)),
    lambda g, y, a, b: np.where(b < a, g, np.where(a == b, g / 2, 0)),
)


@primitive
def _clip(x: Any, low: Any, high: Any) -> Any:
    return np.clip(x, low, high)


def _below(x: Any, low: Any) -> Any:
    return False if low is None else x < low


def _above(x: Any, high: Any) -> Any:
    return False if high is None else x > high


rule(
    _clip,
    lambda g, y, x, low, high: np.where(_below(x, low) | _above(x, high), 0, g),
    lambda g, y, x, low, high: np.where(_below(x, low) & ~_above(low, high), g, 0),
    lambda g, y, x, low, high: np.where(_above(x, high) | (_below(x, low) & _above(low, high)), g, 0),
)


def clip(a: Any, a_min: Any = None, a_max: Any = None, out: None = None, *, min: Any = None, max: Any = None) -> Any:
    if out is not None:
        raise TypeError("clip: out= is not supported on tensors; use the result")
    if (a_min is not None and min is not None) or (a_max is not None and max is not None):
        raise TypeError("clip: give each bound once, as a_min/a_max or as min/max")
    return _clip(a, min if a_min is None else a_min, max if a_max is None else a_max)


FUNCTIONS[np.clip] = clip

rule(np.where, None, lambda g, y, c, a, b: np.where(c, g, 0), lambda g, y, c, a, b: np.where(c, 0, g))

# Steps: the derivative is 0 wherever there is one.

for _step in (np.sign, np.floor, np.ceil, np.trunc, np.rint):
    rule(_step, lambda g, y, x: np.zeros_like(g))
rule(np.floor_divide, lambda g, y, a, b: np.zeros_like(g), lambda g, y, a, b: np.zeros_like(g))


@primitive
def _astype(x: Any, *, dtype: Any) -> Any:
    return x.astype(dtype)


rule(_astype, lambda g, y, x, *, dtype: g)  # the engine gives a gradient the dtype of its argument


def astype(x: Any, dtype: Any, /, *, copy: bool = True) -> Any:
    return _astype(x, dtype=dtype)


FUNCTIONS[np.astype] = astype

constant(np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal)
constant(np.isnan, np.isfinite, np.isinf, np.signbit, np.logical_and, np.logical_or, np.logical_not, np.logical_xor)
constant(np.isclose, np.allclose, np.array_equal, np.array_equiv)
