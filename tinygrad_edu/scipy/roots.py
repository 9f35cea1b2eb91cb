"""Roots of equations, differentiated by the implicit function theorem.

Where f(x, θ) = 0 defines x, dx/dθ = −(∂f/∂x)⁻¹ ∂f/∂θ, whatever found x. (Griewank and Walther, "Evaluating
Derivatives", 2008, chapter 15.) The rule is made of derivatives of f that are recorded themselves, so the second
derivative comes from the same lines.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import optimize as _optimize

from ..autograd.primitives import primitive, rule
from ..autograd.recording import plain
from ..autograd.transforms import grad, jacobian
from .calls import explained, given, in_numbers, jacobian_of, of_tensors, refuse_in_derivation


@primitive
def _root(*args: Any, f: Callable[..., Any], x: Any) -> Any:
    """The solution of f(x, *args) = 0, which has been found."""
    return x


def _pulled_through_root(g: Any, x: Any, args: Any, f: Callable[..., Any], i: int) -> Any:
    """g (∂f/∂x)⁻¹ is λ with (∂f/∂x)ᵀ λ = g; the gradient of argument i is −λ ∂f/∂θᵢ."""
    n = np.size(plain(x))
    slope = np.reshape(jacobian(f)(x, *args), (n, n))
    weights = np.linalg.solve(slope.T, np.reshape(g, (n,)))
    of_argument = lambda value: -np.sum(weights * np.ravel(f(x, *args[:i], value, *args[i + 1 :])))
    return grad(of_argument)(args[i])


rule(_root, each=lambda i: lambda g, y, *args, f, x: _pulled_through_root(g, y, args, f, i))


def _found(who: str, f: Callable[..., Any], args: Any, find: Callable[..., Any]) -> Any:
    """What `find(f, args)` gives of plain arrays: x, or a tuple that begins with it, or an object with it as `.root`.
    Where there are tensors among `args`, x is one, too."""
    args = given(args)
    tensors, of_them = of_tensors(f, args)
    if tensors:
        refuse_in_derivation(who)
    found = find(in_numbers(who, f), plain(args))
    if not tensors:
        return found
    x = found[0] if isinstance(found, tuple) else getattr(found, "root", found)
    x = _root(*tensors, f=of_them, x=np.float64(x))
    if isinstance(found, tuple):
        return (x, *found[1:])
    if not hasattr(found, "root"):
        return x
    found.root = x
    return found


def _between(find: Callable[..., Any]) -> Callable[..., Any]:
    """A function of SciPy's that looks for a root between two ends."""

    @functools.wraps(find)
    def solve(f: Callable[..., Any], a: Any, b: Any, args: Any = (), **options: Any) -> Any:
        return _found(find.__name__, f, args, lambda f, args: find(f, plain(a), plain(b), args, **options))

    return solve


_brentq, bisect, brenth, ridder, toms748 = map(
    _between, (_optimize.brentq, _optimize.bisect, _optimize.brenth, _optimize.ridder, _optimize.toms748)
)


def brentq(f: Callable[..., Any], a: Any, b: Any, args: Any = (), **options: Any) -> Any:
    """`scipy.optimize.brentq`: x between `a` and `b` with f(x, *args) = 0; `options` are SciPy's. Tensors among `args`
    get their gradient, −(∂f/∂x)⁻¹ ∂f/∂θ; the ends have none, since x does not depend on them. Raises `TypeError` if f
    uses a tensor that requires grad in another way, `numpy.linalg.LinAlgError`, when it is differentiated, where ∂f/∂x
    is 0. `bisect`, `brenth`, `ridder` and `toms748` find x in other ways, with the same gradient.

    >>> from tinygrad_edu.scipy.optimize import brentq
    >>> tg.grad(lambda c: brentq(lambda x, c: x**2 - c, 0.0, 3.0, args=(c,)))(4.0).round(6)  # 1 / (2 √4)
    np.float64(0.25)
    """
    return _brentq(f, a, b, args, **options)


def root_scalar(f: Callable[..., Any], args: Any = (), **options: Any) -> Any:
    """`scipy.optimize.root_scalar`, x with f(x, *args) = 0; `options` are SciPy's. Its result has a tensor as `.root`
    if there are some among `args`; their gradient is as in `brentq`.

    >>> from tinygrad_edu.scipy.optimize import root_scalar
    >>> tg.grad(lambda c: root_scalar(lambda x, c: x**3 - c, args=(c,), x0=1.0, x1=2.0).root)(8.0).round(6)
    np.float64(0.083333)
    """
    values = f
    if any(options.get(name) is True for name in ("fprime", "fprime2")):  # then f gives its derivatives as well
        values = lambda x, *args: f(x, *args)[0]
    call = in_numbers("root_scalar", f)
    return _found("root_scalar", values, args, lambda _, args: _optimize.root_scalar(call, args, **options))


def fsolve(
    func: Callable[..., Any], x0: Any, args: Any = (), fprime: Callable[..., Any] | None = None, **options: Any
) -> Any:
    """`scipy.optimize.fsolve`: the vector x with func(x, *args) = 0, found from `x0` on by the Jacobian of `func` if
    `fprime` is None; `options` are SciPy's. Tensors among `args` get their gradient, −(∂f/∂x)⁻¹ ∂f/∂θ; `x0` has none.
    Raises as `brentq`.

    >>> from tinygrad_edu.scipy.optimize import fsolve
    >>> def on_circle_and_line(x, radius):
    ...     return [x[0] ** 2 + x[1] ** 2 - radius**2, x[0] - x[1]]
    >>> tg.jacobian(lambda radius: fsolve(on_circle_and_line, [1.0, 0.5], radius))(2.0).round(6)
    array([0.707107, 0.707107])
    """

    slope = fprime or explained("fsolve", func, jacobian_of(func), "fprime=, or write it in NumPy's functions")
    return _found("fsolve", func, args, lambda f, args: _optimize.fsolve(f, plain(x0), args, slope, **options))
