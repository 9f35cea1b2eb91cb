"""The normal distribution function, which NumPy lacks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd.primitives import primitive, rule

# Rational approximations of the error function, with numerator and denominator from the highest power down: W. J. Cody,
# "Rational Chebyshev approximations for the error function", Mathematics of Computation 23, 1969. Up to NEAR erf(x) =
# x · R(x²), from there to FAR erfc(x) = e^−x² · R(x), and farther out erfc(x) = e^−x²/x · (1/√π − R(1/x²)/x²).
NEAR, FAR = 0.46875, 4.0
FIRST = (
    (1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2, 3.77485237685302021e2, 3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
SECOND = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1, 2.98635138197400131e2,
     8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
     3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3),
)  # fmt: skip
THIRD = (
    (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
     1.60837851487422766e-2, 6.58749161529837803e-4),
    (1.0, 2.56852019228982242, 1.87295284992346725, 5.27905102951428412e-1, 6.05183413124413191e-2,
     2.33520497626869185e-3),
)  # fmt: skip


def _ratio(coefficients: Any, x: Any) -> Any:
    """A rational function by Horner's scheme."""
    above, below = (np.full_like(x, c[0]) for c in coefficients)
    for a, b in zip(coefficients[0][1:], coefficients[1][1:], strict=True):
        above = above * x + a
        below = below * x + b
    return above / below


def erfc(x: Any) -> Any:
    """2/√π ∫ e^−t² dt from x to ∞, for float64, to a few units in the last place of the result."""
    size = abs(x)
    near, far = size <= NEAR, size > FAR
    rest = np.empty_like(x)  # erfc(|x|)
    u = size[near]
    rest[near] = 1 - u * _ratio(FIRST, u * u)
    u = size[~(near | far)]
    rest[~(near | far)] = _gaussian(u) * _ratio(SECOND, u)
    u = np.minimum(size[far], 100)  # erfc(27) is 0 already
    rest[far] = _gaussian(u) / u * (1 / math.sqrt(math.pi) - _ratio(THIRD, 1 / u**2) / u**2)
    return np.where(x < 0, 2 - rest, rest)


def _gaussian(u: Any) -> Any:
    """e^−u², where rounding u² would cost digits: u is split into one with few digits and a small rest."""
    short = np.round(u * 16) / 16
    return np.exp(-short * short) * np.exp(-(u - short) * (u + short))


@primitive(elementwise=True)
def normal_cdf(x: Any) -> Any:
    """Φ(x): the probability that a standard normal number is below x, for each element."""
    y = 0.5 * erfc(np.atleast_1d(np.asarray(x, np.float64)) * -math.sqrt(0.5))
    return y.astype(np.result_type(x)).reshape(np.shape(x))[()]


rule(normal_cdf, lambda g, x: g * _density(x))


def _density(x: Any) -> Any:
    """e^(−x²/2) / √(2π), which is 0 beyond 40, where x² may overflow."""
    x = np.clip(x, -40, 40)
    return np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
