"""The derivatives of the ufuncs of `scipy.special`, which take tensors as NumPy's do.

The formulas are those of the NIST Digital Library of Mathematical Functions (DLMF), https://dlmf.nist.gov, where no
other source is named.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from ..autograd.primitives import primitive, rule
from ..functional.normal import _density
from ..rules.elementwise import ratio

# The logistic function: e^−x / (1 + e^−x)² is expit(x) · expit(−x), which keeps its digits where 1 − expit(x) is 0.

rule(special.expit, lambda g, y, x: g * (y * special.expit(-x)))
rule(special.log_expit, lambda g, x: g * special.expit(-x))
rule(special.logit, lambda g, x: g / (x * (1 - x)))

# The error function (7.2.1), its complement (7.2.2), and their inverses


def _bell(x: Any) -> Any:
    """2/√π · e^−x², which is 0 beyond 30, where x² may overflow."""
    x = np.clip(x, -30, 30)
    return np.exp(-x * x) * (2 / math.sqrt(math.pi))


rule(special.erf, lambda g, x: g * _bell(x))
rule(special.erfc, lambda g, x: -g * _bell(x))
rule(special.erfinv, lambda g, y: g * (np.exp(y * y) * (math.sqrt(math.pi) / 2)))
rule(special.erfcinv, lambda g, y: -g * (np.exp(y * y) * (math.sqrt(math.pi) / 2)))

# The normal distribution function Φ(x) = erfc(−x/√2) / 2, its logarithm and its inverse


@primitive(elementwise=True)
def _hazard(x: Any) -> Any:
    """φ(x) / Φ(x), the slope of log Φ: by the scaled erfcx(z) = e^z² erfc(z) (7.2.3), also where both underflow."""
    return math.sqrt(2 / math.pi) / special.erfcx(x * -math.sqrt(0.5))


def _hazard_above_line(y: Any, x: Any) -> Any:
    """x + φ(x)/Φ(x). Left of −5 these nearly cancel; there it is, with t = −x, the continued fraction
    1 / (t + 2 / (t + 3 / (t + …))), which follows from that of erfc (7.9.1)."""
    far = x < -5
    t = np.where(far, -x, 5.0)
    fraction: Any = 0.0
    for k in range(25, 0, -1):
        fraction = k / (t + fraction)
    return np.where(far, fraction, x + y)


rule(_hazard, lambda g, y, x: -g * (y * _hazard_above_line(y, x)))
rule(special.ndtr, lambda g, x: g * _density(x))
rule(special.log_ndtr, lambda g, x: g * _hazard(x))
rule(special.ndtri, lambda g, y: g * (np.exp(y * y / 2) * math.sqrt(2 * math.pi)))

# The gamma function, its logarithm and the derivatives of that (5.2.2, 5.15); the beta function (5.12.1)


@primitive(elementwise=True)
def _polygamma(x: Any, *, n: Any) -> Any:
    """The derivative of digamma of the order n, in the precision of x."""
    return special.polygamma(n, x).astype(np.result_type(special.digamma(x)))[()]


rule(_polygamma, lambda g, x, *, n: g * _polygamma(x, n=n + 1))
rule(special.digamma, lambda g, x: g * _polygamma(x, n=1))
rule(special.gammaln, lambda g, x: g * special.digamma(x))
rule(special.loggamma, lambda g, x: g * special.digamma(x))
rule(special.gamma, lambda g, y, x: g * (y * special.digamma(x)))
rule(
    special.beta,
    lambda g, y, a, b: g * (y * (special.digamma(a) - special.digamma(a + b))),
    lambda g, y, a, b: g * (y * (special.digamma(b) - special.digamma(a + b))),
)
rule(
    special.betaln,
    lambda g, a, b: g * (special.digamma(a) - special.digamma(a + b)),
    lambda g, a, b: g * (special.digamma(b) - special.digamma(a + b)),
)

# Terms of entropies, in which 0 · log 0 is 0


def _part_of(a: Any, b: Any) -> Any:
    """a / b, and 0 where both are 0."""
    return np.where(a == 0, ratio(a, b), a / np.where(a == 0, 1, b))


rule(special.xlogy, lambda g, b: special.xlogy(g, b), lambda g, a, b: g * _part_of(a, b))
rule(special.xlog1py, lambda g, b: special.xlog1py(g, b), lambda g, a, b: g * _part_of(a, 1 + b))
rule(special.entr, lambda g, x: -g - special.xlogy(g, x))

# Modified Bessel functions of the first kind (10.29.1), of an order that is no variable


@primitive(elementwise=True)
def _bessel_i(x: Any, *, order: int) -> Any:
    return special.iv(order, x)


rule(_bessel_i, lambda g, x, *, order: g * ((_bessel_i(x, order=order - 1) + _bessel_i(x, order=order + 1)) / 2))
rule(special.i0, lambda g, x: g * special.i1(x))
rule(special.i1, lambda g, x: g * ((special.i0(x) + _bessel_i(x, order=2)) / 2))
