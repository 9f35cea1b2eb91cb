"""The normal distribution of `scipy.stats` for tensors: `import tinygrad_edu.scipy.stats.norm as norm`.

The functions here take tensors for x (or q), loc (the mean μ) and scale (the standard deviation σ), which broadcast; a
scale that is not positive gives NaN. Of arrays they are SciPy's own, as everything else is (`norm.rvs`, `norm.fit`); of
tensors in float32 they give float32, where SciPy's give float64.

With z = (x − μ)/σ, φ(z) is e^(−z²/2)/√(2π), and Φ(z) its integral from −∞. The derivatives of Φ, log Φ and Φ⁻¹ are in
`scipy/rules.py`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special
from scipy.stats import norm as _norm

from ...autograd.assignment import joined
from ...autograd.record import Operand
from ...functional.normal import _density
from .. import rest_of

__getattr__, __dir__ = rest_of(_norm, __name__)


def _distribution(of_tensors: Callable[..., Any]) -> Callable[..., Any]:
    """SciPy's function, and for tensors this one, of arrays of one precision and a positive scale."""
    of_arrays = getattr(_norm, of_tensors.__name__)

    @functools.wraps(of_tensors)
    def function(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
        given = [joined(v) for v in (x, loc, scale)]
        if not any(isinstance(v, Operand) for v in given):
            return of_arrays(x, loc, scale)
        given = [np.asarray(v) if isinstance(v, list | tuple) else v for v in given]
        dtype = np.result_type(*(getattr(v, "dtype", v) for v in given))
        dtype = dtype if dtype.kind == "f" else np.dtype(np.float64)
        x, loc, scale = (v if isinstance(v, Operand) else np.asarray(v, dtype) for v in given)
        return of_tensors(x, loc, np.where(scale > 0, scale, np.nan))

    return function


@_distribution
def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The density φ(z)/σ at x, with z = (x − μ)/σ, the mean μ = `loc`, the standard deviation σ = `scale`, and φ(z) =
    e^(−z²/2)/√(2π). The three are broadcast; a σ that is not positive gives NaN.

    >>> import tinygrad_edu.scipy.stats.norm as norm
    >>> tg.grad(norm.pdf)(0.0), tg.grad(norm.pdf, "scale")(0.0, scale=1.0).round(4)  # by σ: (z² − 1) φ(z)/σ²
    (np.float64(-0.0), np.float64(-0.3989))
    """
    return _density((x - loc) / scale) / scale


@_distribution
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The logarithm of the density at x, −z²/2 − log √(2π) − log σ, with z, `loc` and `scale` as in `pdf`.

    >>> import tinygrad_edu.scipy.stats.norm as norm
    >>> tg.grad(lambda mean: np.sum(norm.logpdf(np.array([1.0, 4.0]), mean)))(2.0)  # Σ z/σ
    np.float64(1.0)
    """
    z = (x - loc) / scale
    return -z * z / 2 - math.log(math.sqrt(2 * math.pi)) - np.log(scale)


@_distribution
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The distribution function Φ(z): the probability of a number below x, with z, `loc` and `scale` as in `pdf`.

    >>> import tinygrad_edu.scipy.stats.norm as norm
    >>> tg.grad(norm.cdf)(0.0).round(4)
    np.float64(0.3989)
    """
    return special.ndtr((x - loc) / scale)


@_distribution
def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """log Φ(z), with its derivatives also where Φ underflows; x, `loc` and `scale` are as in `pdf`.

    >>> import tinygrad_edu.scipy.stats.norm as norm
    >>> tg.grad(norm.logcdf)(-40.0).round(4)
    np.float64(40.025)
    """
    return special.log_ndtr((x - loc) / scale)


@_distribution
def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The survival function 1 − Φ(z) = Φ(−z): the probability of a number above x, with z, `loc` and `scale` as in
    `pdf`.

    >>> import tinygrad_edu.scipy.stats.norm as norm
    >>> tg.grad(norm.sf)(0.0).round(4)
    np.float64(-0.3989)
    """
    return special.ndtr((loc - x) / scale)


@_distribution
def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """log Φ(−z), as `logcdf`; x, `loc` and `scale` are as in `pdf`.

    >>> import tinygrad_edu.scipy.stats.norm as norm
    >>> tg.grad(norm.logsf)(40.0).round(4)
    np.float64(-40.025)
    """
    return special.log_ndtr((loc - x) / scale)


@_distribution
def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """The inverse of `cdf`, μ + σ Φ⁻¹(q), with μ = `loc` and σ = `scale`: the number below which one lies with the
    probability q.

    >>> import tinygrad_edu.scipy.stats.norm as norm
    >>> tg.grad(norm.ppf)(0.5).round(4)  # √(2π)
    np.float64(2.5066)
    """
    return special.ndtri(q) * scale + loc
