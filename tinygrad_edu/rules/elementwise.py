"""Rules of elementwise functions. Broadcasting is undone by the engine.

Where a function has a kink, the rule gives PyTorch's subgradient: 0 for `abs` at 0, halves for a tie of two arguments,
1 on both ends of `clip`'s interval.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.operators import constant, on_values, refuse
from ..autograd.primitives import FUNCTIONS, implements, primitive, primitive_of, rule
from ..autograd.record import Operand
from ..autograd.views import owned

# Arithmetic

rule(np.add, lambda g: g, lambda g: g)
rule(np.subtract, lambda g: g, lambda g: -g)
rule(np.multiply, lambda g, b: g * b, lambda g, a: g * a)
rule(np.divide, lambda g, b: g / b, lambda g, y, b: -g * y / b)
rule(np.negative, lambda g: -g)
rule(np.positive, lambda g: g)
rule(np.reciprocal, lambda g, y: -g * y * y)
rule(np.remainder, lambda g: g, lambda g, a, b: -g * np.floor_divide(a, b))
rule(np.fmod, lambda g: g, lambda g, y, a, b: -g * np.rint((a - y) / b))  # a / b itself may be rounded up
rule(np.ldexp, lambda g, b: np.ldexp(g, b), None)


def _one_less(a: Any, b: Any) -> Any:
    """The exponent b − 1 in the derivative of a ** b. At 0⁰ it is 0, not −1, so that b · a⁰ is 0, as all around."""
    if isinstance(b, int | float):
        return b - 1 if b else b
    if b.dtype.kind in "iu" and b.dtype != np.int64:
        b = b.astype(np.int64)  # as an unsigned number, 0 − 1 would be the largest one; as an int8, −128 − 1 is 127
    return np.where(((a == 0) | np.isnan(a)) & (b == 0), 0, b - 1)


def _base(a: Any, b: Any) -> Any:
    """The a of y · log a, whose limit at a = 0 is 0 for b > 0."""
    if isinstance(a, int | float) and a:
        return a if abs(a) < 2**63 else float(a)  # no dtype holds such an integer
    return np.where((a == 0) & (b >= 0), 1.0, a)  # 1.0: small integers become float64


rule(np.power, lambda g, a, b: g * (b * a ** _one_less(a, b)), lambda g, y, a, b: g * y * np.log(_base(a, b)))
rule(np.float_power, *(power.vjp for power in primitive_of(np.power).rules if power))
rule(np.square, lambda g, x: 2 * g * x)
rule(np.sqrt, lambda g, y: g / (2 * y))
rule(np.cbrt, lambda g, y: g / (3 * y * y))


@primitive(rows="each")
def ratio(part: Any, whole: Any) -> Any:
    """part / whole, and 0 where whole = 0 (a subgradient of a norm at 0, at its tip).

    The tip has no second derivative: there it is NaN, and not the 0 of its surroundings.
    """
    return np.where(whole == 0, 0, part / np.where(whole == 0, 1, whole))


def _or_nan(whole: Any) -> Any:
    return np.where(whole == 0, np.nan, whole)


rule(ratio, lambda g, whole: g / _or_nan(whole), lambda g, y, whole: -g * y / _or_nan(whole))
rule(np.hypot, lambda g, y, a: g * ratio(a, y), lambda g, y, b: g * ratio(b, y))

# Exponentials and logarithms

rule(np.exp, lambda g, y: g * y)
rule(np.exp2, lambda g, y: g * y * np.log(2.0))
rule(np.expm1, lambda g, x: g * np.exp(x))
rule(np.log, lambda g, x: g / x)
rule(np.log2, lambda g, x: g / (x * np.log(2.0)))
rule(np.log10, lambda g, x: g / (x * np.log(10.0)))
rule(np.log1p, lambda g, x: g / (1 + x))


def _share(power: Any, a: Any, b: Any, y: Any) -> Any:
    """The share of a in y = log(eᵃ + eᵇ), eᵃ⁻ʸ. An infinite sum is shared by those that are infinite, and where both
    terms are 0, neither has a share."""
    endless = np.isinf(y)
    evenly = np.where((a == y) & (y > 0), np.where(b == y, 0.5, 1.0), 0.0)
    return np.where(endless, evenly, power(np.where(endless, 0, a) - np.where(endless, 0, y)))


rule(
    np.logaddexp,
    lambda g, y, a, b: g * _share(np.exp, a, b, y),
    lambda g, y, a, b: g * _share(np.exp, b, a, y),
)
rule(
    np.logaddexp2,
    lambda g, y, a, b: g * _share(np.exp2, a, b, y),
    lambda g, y, a, b: g * _share(np.exp2, b, a, y),
)

# Trigonometric and hyperbolic functions and their inverses

rule(np.sin, lambda g, x: g * np.cos(x))
rule(np.cos, lambda g, x: -g * np.sin(x))
rule(np.tan, lambda g, y: g * (1 + y * y))
rule(np.arcsin, lambda g, x: g / np.sqrt((1 - x) * (1 + x)))
rule(np.arccos, lambda g, x: -g / np.sqrt((1 - x) * (1 + x)))
rule(np.arctan, lambda g, x: g / np.hypot(1, x) / np.hypot(1, x))  # a square may overflow


def _per_square(part: Any, a: Any, b: Any) -> Any:
    """part / (a² + b²) for a part of the same size as a or b; 0 where these are infinite."""
    part, a, b = (float(x) if isinstance(x, int) else x for x in (part, a, b))  # such as no dtype holds
    endless = np.isinf(a) | np.isinf(b)
    size = np.where(endless, np.inf, np.hypot(a, b))
    return np.where(endless, 0, part) / size / size


rule(
    np.arctan2,
    lambda g, a, b: g * _per_square(b, a, b),
    lambda g, a, b: -g * _per_square(a, a, b),
)
rule(np.sinh, lambda g, x: g * np.cosh(x))
rule(np.cosh, lambda g, x: g * np.sinh(x))
rule(np.tanh, lambda g, y: g * (1 - y * y))
rule(np.arcsinh, lambda g, x: g / np.hypot(1, x))
rule(np.arccosh, lambda g, x: g / (np.sqrt(x - 1) * np.sqrt(x + 1)))
rule(np.arctanh, lambda g, x: g / ((1 - x) * (1 + x)))

rule(np.deg2rad, lambda g: g * (np.pi / 180))
rule(np.rad2deg, lambda g: g * (180 / np.pi))
rule(np.radians, lambda g: g * (np.pi / 180))
rule(np.degrees, lambda g: g * (180 / np.pi))


@primitive
def _sinc_derivative(x: Any, *, order: int) -> Any:
    """The derivative of order `order` of sin(πx)/(πx): near 0 by its power series, elsewhere by Leibniz's rule."""
    u = np.pi * np.asarray(x, dtype=np.float64)
    near = np.abs(u) < 2
    n = np.arange(0, 60, 2)
    series = np.array([math.perm(k, order) / math.factorial(k + 1) * (-1) ** (k // 2) for k in n.tolist()])
    small = np.sum(series * np.where(near, u, 0)[..., None] ** np.maximum(n - order, 0), axis=-1)
    safe = np.where(near, 1, u)
    large = sum(
        math.comb(order, j)
        * np.sin(safe + j * np.pi / 2)
        * (-1.0) ** (order - j)
        * math.factorial(order - j)
        / safe ** (order - j + 1)
        for j in range(order + 1)
    )
    return (np.where(near, small, large) * np.pi**order).astype(np.asarray(x).dtype)[()]


rule(_sinc_derivative, lambda g, x, *, order: g * _sinc_derivative(x, order=order + 1))
rule(np.sinc, lambda g, x: g * _sinc_derivative(x, order=1))

# Functions with kinks


@primitive(rows="each")
def slope_of_abs(x: Any) -> Any:
    return np.sign(x)


rule(slope_of_abs, lambda g, x: g * np.where(x == 0, np.nan, 0))  # it jumps at 0
rule(np.absolute, lambda g, x: g * slope_of_abs(x))
rule(np.fabs, lambda g, x: g * slope_of_abs(x))
rule(np.copysign, lambda g, y, a: g * slope_of_abs(a) * np.sign(y), lambda g: np.zeros_like(g))
# Like maximum and minimum, but of a number and a NaN, which is not equal to itself, the number is taken.
rule(
    np.fmax,
    lambda g, a, b: np.where((a > b) | (b != b), g, np.where(a == b, g / 2, 0)),
    lambda g, a, b: np.where((b > a) | (a != a), g, np.where(a == b, g / 2, 0)),
)
rule(
    np.fmin,
    lambda g, a, b: np.where((a < b) | (b != b), g, np.where(a == b, g / 2, 0)),
    lambda g, a, b: np.where((b < a) | (a != a), g, np.where(a == b, g / 2, 0)),
)
# Not honoured: copy=False, which would change a tensor without its record.
rule(np.nan_to_num, lambda g, x, *, nan=0.0, posinf=None, neginf=None: np.where(np.isfinite(x), g, 0))


def _of_larger(g: Any, a: Any, b: Any) -> Any:
    """The share of `a` in the gradient of the larger one: half of it each for equal ones; what is NaN comes of both."""
    if isinstance(g, np.floating) and not (isinstance(a, Operand) or isinstance(b, Operand)):  # sooner than by arrays
        return g.dtype.type(0) if a < b else g / 2 if a == b else g
    return np.where(a < b, 0, np.where(a == b, g / 2, g))


def _by_comparing(function: Any, comes_first: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """np.maximum or np.minimum, which take three times as long to compare single numbers as Python does."""

    def choose(a: Any, b: Any) -> Any:
        if a.__class__ is np.float64 and isinstance(b, float):
            if comes_first(a, b):
                return a
            if comes_first(b, a):
                return np.float64(b)
        return function(a, b)  # equal ones and NaN, too

    return choose


primitive_of(np.maximum, _by_comparing(np.maximum, operator.gt))
primitive_of(np.minimum, _by_comparing(np.minimum, operator.lt))
rule(np.maximum, _of_larger, lambda g, a, b: _of_larger(g, b, a))
rule(np.minimum, lambda g, a, b: _of_larger(g, b, a), _of_larger)


@primitive(elementwise=True)
def _clip(x: Any, low: Any, high: Any) -> Any:
    return np.clip(x, low, high)


def _below(x: Any, low: Any) -> Any:
    return False if low is None else x < low


def _above(x: Any, high: Any) -> Any:
    return False if high is None else x > high


rule(
    _clip,
    lambda g, x, low, high: np.where(_below(x, low) | _above(x, high), 0, g),
    lambda g, x, low, high: np.where(_below(x, low) & ~_above(low, high), g, 0),
    lambda g, x, low, high: np.where(_above(x, high) | (_below(x, low) & _above(low, high)), g, 0),
)


@implements(np.clip)
def clip(a: Any, a_min: Any = None, a_max: Any = None, out: None = None, *, min: Any = None, max: Any = None) -> Any:
    refuse(np.clip, {"out": out}, "out")
    if (a_min is not None and min is not None) or (a_max is not None and max is not None):
        raise TypeError("clip: give each bound once, as a_min/a_max or as min/max")
    return _clip(a, min if a_min is None else a_min, max if a_max is None else a_max)


@primitive(elementwise=True, selects=True)
def _where(c: Any, a: Any, b: Any) -> Any:
    return np.where(c, a, b)


rule(_where, None, lambda g, c: np.where(c, g, 0), lambda g, c: np.where(c, 0, g))
FUNCTIONS[np.where] = lambda condition, *branches: _where(condition, *branches) if branches else np.nonzero(condition)

# Step functions: the derivative is 0 wherever it exists.

for _step in (np.sign, np.floor, np.ceil, np.trunc, np.rint, *filter(None, [getattr(np, "fix", None)])):  # fix goes
    rule(_step, lambda g: np.zeros_like(g))
    primitive_of(_step).steps = True
rule(np.imag, lambda g: np.zeros_like(g))  # tensors are real
rule(np.round, lambda g, *, decimals=0: np.zeros_like(g))
primitive_of(np.round).steps = True
rule(np.angle, lambda g, *, deg=False: np.zeros_like(g))  # of reals: 0, or π below 0
FUNCTIONS[np.around] = FUNCTIONS[np.round]
rule(np.heaviside, lambda g: np.zeros_like(g), lambda g, a: np.where(a == 0, g, 0))
rule(np.floor_divide, lambda g: np.zeros_like(g), lambda g: np.zeros_like(g))
primitive_of(np.floor_divide).steps = True


# Functions with two results give them one after the other in one array.


@primitive
def _divmod(a: Any, b: Any) -> Any:
    return np.stack(np.divmod(a, b))


rule(_divmod, lambda g: g[1], lambda g, y: -g[1] * y[0])


@implements(np.divmod)
def divmod_(a: Any, b: Any) -> tuple[Any, Any]:
    both = _divmod(a, b)
    return owned(both[0]), owned(both[1])


@primitive
def _modf(x: Any) -> Any:
    return np.stack(np.modf(x))


rule(_modf, lambda g: g[0])


@implements(np.modf)
def modf(x: Any) -> tuple[Any, Any]:
    both = _modf(x)
    return owned(both[0]), owned(both[1])


@on_values
def _exponent(x: Any) -> Any:
    return np.frexp(x)[1]


@implements(np.frexp)
def frexp(x: Any) -> tuple[Any, Any]:
    exponent = _exponent(x)
    return np.ldexp(x, -exponent), exponent


@primitive(moves=True)
def _copy(x: Any, *, order: Any) -> Any:
    y = np.copy(x, order)
    return y if y.ndim else y[()]


rule(_copy, lambda g, *, order: g)
FUNCTIONS[np.copy] = lambda a, order="K", subok=False: _copy(a, order=order)
FUNCTIONS[np.real] = FUNCTIONS[np.real_if_close] = lambda a, tol=None: a.real
rule(np.conjugate, lambda g: g)


@primitive(elementwise=True)
def _astype(x: Any, *, dtype: Any) -> Any:
    return x.astype(dtype)


rule(_astype, lambda g, *, dtype: g)  # the engine gives a gradient the dtype of its argument


@implements(np.astype)
def astype(x: Any, dtype: Any, /, *, copy: bool = True) -> Any:
    kind = np.dtype(dtype).kind
    if kind not in "fiub":
        raise TypeError(f"astype({np.dtype(dtype)}): tensors hold real numbers")
    if not copy and x.dtype == dtype:
        return x
    return _astype(x if kind == "f" else x.detach(), dtype=dtype)


def in_dtype(a: Any, dtype: Any) -> Any:
    """`a` as the option dtype= wants it; None leaves it as it is. Raises for integers, if a gradient were lost."""
    if dtype is None or a.dtype == dtype:
        return a
    if np.dtype(dtype).kind != "f" and getattr(a, "requires_grad", False):
        raise TypeError(f"dtype={np.dtype(dtype)}, of a tensor that requires grad, has no gradient; use .detach()")
    return np.astype(a, dtype)


def as_array(x: Any, dtype: Any = None) -> Any:
    """`x` as an array, of this dtype if one is given; a tensor remains one."""
    x = x if isinstance(x, Operand) else np.asarray(x)
    return x if dtype is None or x.dtype == dtype else np.astype(x, dtype)


constant(np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal)
constant(
    np.isnan,
    np.isfinite,
    np.isinf,
    np.iscomplex,
    np.isreal,
    np.isrealobj,
    np.signbit,
    np.logical_and,
    np.logical_or,
    np.logical_not,
    np.logical_xor,
    np.bitwise_and,
    np.bitwise_or,
    np.bitwise_xor,
    np.invert,
    np.left_shift,
    np.right_shift,
    np.gcd,
    np.lcm,
)
constant(np.isclose, np.allclose, np.array_equal, np.array_equiv, np.isin, np.isposinf, np.isneginf)
