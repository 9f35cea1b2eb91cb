"""`scipy.integrate` for tensors: `quad`, by Leibniz's rule, and NumPy's `trapezoid`. Everything else is SciPy's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import trapezoid as trapezoid
from scipy import integrate as _integrate

from ..autograd.operators import refuse
from ..autograd.primitives import primitive, rule
from ..autograd.record import Operand
from ..autograd.recording import plain
from ..autograd.transforms import grad
from . import rest_of
from .calls import given, in_numbers, of_tensors, refuse_in_derivation

__all__ = [*_integrate.__all__]


__getattr__, __dir__ = rest_of(_integrate, __name__)


@primitive
def _quad(a: Any, b: Any, *args: Any, f: Callable[..., Any], options: Any, value: Any) -> Any:
    """∫ f(x, *args) dx from a to b, which has been found."""
    return value


def _of_parameter(g: Any, a: Any, b: Any, args: Any, f: Callable[..., Any], options: Any, i: int) -> Any:
    """The integrals of the derivatives of f by the elements of argument i."""

    def integral(k: int) -> Any:
        return quad(lambda x, *args: np.ravel(grad(f, i + 1)(x, *args))[k], a, b, args, **options)[0]

    shape = np.shape(args[i])
    found = [integral(k) for k in range(math.prod(shape))]
    return g * np.reshape(np.stack(found) if found else np.zeros(0), shape)


def _of_argument(i: int) -> Callable[..., Any]:
    """The rule of a limit, or of a parameter."""
    if i < 2:
        return lambda g, *given, f, options, value: (g if i else -g) * f(given[i], *given[2:])
    return lambda g, a, *rest, f, options, value: _of_parameter(g, a, rest[0], rest[1:], f, options, i - 2)


rule(_quad, each=_of_argument)


def quad(func: Callable[..., Any], a: Any, b: Any, args: Any = (), **options: Any) -> Any:
    """`scipy.integrate.quad`: (∫ func(x, *args) dx from `a` to `b`, an estimate of the error); `options` are SciPy's.
    Where limits or `args`
    are tensors, the integral is one, and d/dθ ∫ₐᵇ f(x, θ) dx is the integral of ∂f/∂θ, found in the same way, and at
    the limits f(b, θ) db/dθ − f(a, θ) da/dθ (Leibniz's rule, DLMF 1.5.22). That holds for a smooth `func`: what a jump
    adds that moves with θ is not seen.

    Raises `TypeError` if `func` uses a tensor that requires grad in another way, or, for tensors, with options that
    change the integrand (`weight`, `complex_func`).

    >>> from tinygrad_edu.scipy.integrate import quad
    >>> decay = lambda x, rate: np.exp(-rate * x)
    >>> tg.grad(lambda rate: quad(decay, 0.0, np.inf, args=(rate,))[0])(2.0).round(6)  # −1 / rate²
    np.float64(-0.25)
    """
    args = given(args)
    tensors, of_them = of_tensors(func, args)
    differentiable = bool(tensors) or isinstance(a, Operand) or isinstance(b, Operand)
    if differentiable:
        refuse_in_derivation("quad")
        refuse(quad, options, "weight", "complex_func")
    found = _integrate.quad(in_numbers("quad", func), plain(a), plain(b), plain(args), **options)
    if not differentiable:
        return found
    return (_quad(a, b, *tensors, f=of_them, options=options, value=np.float64(found[0])), *found[1:])
