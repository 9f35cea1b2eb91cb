"""`scipy.special` for tensors: `import tinygrad_edu.scipy.special as special`.

Its ufuncs, such as `expit`, `erf` and `gammaln`, take tensors as they are; these have derivatives: `expit log_expit
logit erf erfc erfinv erfcinv ndtr log_ndtr ndtri gamma gammaln loggamma digamma psi beta betaln xlogy xlog1py entr i0
i1`. Here is what is no ufunc, which tensors cannot reach by NumPy's protocols. Everything else is SciPy's own.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special as _special

from .. import functional
from ..autograd.assignment import joined
from ..autograd.recording import plain
from ..autograd.tensor import Tensor
from . import rest_of, rules

__all__ = [*_special.__all__]


__getattr__, __dir__ = rest_of(_special, __name__)


def polygamma(n: Any, x: Any) -> Any:
    """`scipy.special.polygamma`: the derivative of order `n` of digamma(x), which is Σ (−1)ⁿ⁺¹ n! / (x + k)ⁿ⁺¹ for
    n ≥ 1 (DLMF 5.15.1). Its derivative by x is that of the next order; it has none by `n`, a whole number. Raises
    `TypeError` if that is a tensor that requires grad.

    >>> from tinygrad_edu.scipy.special import polygamma
    >>> tg.grad(lambda x: polygamma(0, x))(1.0).round(6)  # π²/6
    np.float64(1.644934)
    """
    x = joined(x)
    if not isinstance(x, Tensor) and not isinstance(n, Tensor):
        return _special.polygamma(n, x)
    return rules._polygamma(x, n=n if isinstance(n, int | Tensor) else np.asarray(n))


def logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False) -> Any:
    """`scipy.special.logsumexp`: log Σ b·eᵃ over `axis` (an int, a tuple, or None for all), which stays at
    size 1 with `keepdims`. With `return_sign`,
    (log |Σ b·eᵃ|, its sign); else it is NaN where the sum is negative. The derivative by a is b·eᵃ / Σ b·eᵃ, that by b
    is eᵃ / Σ b·eᵃ.

    >>> from tinygrad_edu.scipy.special import logsumexp
    >>> tg.grad(logsumexp)(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    a, b = joined(a), joined(b)
    if not isinstance(a, Tensor) and not isinstance(b, Tensor):
        return _special.logsumexp(a, axis, b, keepdims, return_sign)
    if b is None:
        total = functional.logsumexp(a, axis, keepdims)
        return (total, np.ones_like(plain(total))) if return_sign else total
    a, b = (np.asarray(v) if isinstance(v, list | tuple) else v for v in (a, b))
    # Any shift would do, since the sum is shifted back: its own derivative is 0. What counts 0 times may be larger.
    shift = np.max(np.where(plain(b) == 0, -np.inf, plain(a)), axis=axis, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(shift), shift, 0)
    below = a - shift
    below = np.where(np.equal(b, 0), np.minimum(below, math.log(np.finfo(below.dtype).max)), below)
    total = np.sum(b * np.exp(below), axis=axis, keepdims=keepdims)
    sign = np.sign(plain(total))
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithm = np.log(np.abs(total) if return_sign else total)
    logarithm = logarithm + (shift if keepdims else np.squeeze(shift, axis=axis))
    return (logarithm, sign) if return_sign else logarithm


def softmax(x: Any, axis: Any = None) -> Any:
    """`scipy.special.softmax`: eˣ / Σ eˣ over `axis` (an int, a tuple, or None for all), of the shape of x. The
    derivative of yᵢ by xⱼ is yᵢ(δᵢⱼ − yⱼ).

    >>> from tinygrad_edu.scipy.special import softmax
    >>> tg.jacobian(softmax)(np.array([0.0, 0.0]))
    array([[ 0.25, -0.25],
           [-0.25,  0.25]])
    """
    x = joined(x)
    return functional.softmax(x, axis) if isinstance(x, Tensor) else _special.softmax(x, axis)


def log_softmax(x: Any, axis: Any = None) -> Any:
    """`scipy.special.log_softmax`: x − log Σ eˣ over `axis`, as `softmax`. The derivative of yᵢ by xⱼ is δᵢⱼ − e^yⱼ.

    >>> from tinygrad_edu.scipy.special import log_softmax
    >>> tg.grad(lambda x: log_softmax(x)[0])(np.array([0.0, 0.0]))
    array([ 0.5, -0.5])
    """
    x = joined(x)
    return functional.log_softmax(x, axis) if isinstance(x, Tensor) else _special.log_softmax(x, axis)
