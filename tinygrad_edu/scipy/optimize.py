"""`scipy.optimize` for tensors: `import tinygrad_edu.scipy.optimize as optimize`.

`minimize`, `root`, `least_squares` and `curve_fit` are given the derivatives that the caller does not give, those of
the function as it is written in NumPy's functions; they return what SciPy's return, plain arrays. `brentq`
and its like, `root_scalar` and `fsolve` are differentiated themselves (`roots.py`). Everything else is SciPy's own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import optimize as _optimize

from ..autograd.transforms import hessian, hvp, value_and_grad
from . import rest_of
from .calls import constants, explained, given, in_numbers, jacobian_of
from .roots import bisect as bisect
from .roots import brenth as brenth
from .roots import brentq as brentq
from .roots import fsolve as fsolve
from .roots import ridder as ridder
from .roots import root_scalar as root_scalar
from .roots import toms748 as toms748

__all__ = [*_optimize.__all__]

WITHOUT_GRADIENT = {"nelder-mead", "powell", "cobyla", "cobyqa"}
WITH_PRODUCTS = {"newton-cg", "trust-ncg", "trust-krylov", "trust-constr"}  # of the Hessian and a vector
WITH_HESSIAN = {"dogleg", "trust-exact"}
ROOT_WITH_JACOBIAN = {"hybr", "lm"}


__getattr__, __dir__ = rest_of(_optimize, __name__)


def _in_arrays(who: str, value: Any) -> Any:
    """What SciPy is given, with arrays in place of tensors, also in its own objects and as functions' results."""
    if isinstance(value, _optimize.Bounds | _optimize.NonlinearConstraint):
        own = copy.copy(value)
        vars(own).update({name: _in_arrays(who, v) for name, v in vars(value).items()})
        return own
    return in_numbers(who, value) if callable(value) else constants(value)


def minimize(
    fun: Callable[..., Any],
    x0: Any,
    args: Any = (),
    method: Any = None,
    jac: Any = None,
    hess: Any = None,
    hessp: Any = None,
    bounds: Any = None,
    constraints: Any = (),
    **options: Any,
) -> Any:
    """`scipy.optimize.minimize` of `fun(x, *args)`, a single number of the vector x, from `x0` on. `method`, `bounds`
    and `options` are SciPy's.

    Without `jac` the gradient is that of `fun`, found together with its value; "2-point" asks for SciPy's differences.
    The methods that use second derivatives get them where neither `hess` nor `hessp` is given: "Newton-CG",
    "trust-ncg", "trust-krylov" and "trust-constr" products of the Hessian and a vector, "dogleg" and "trust-exact" the
    Hessian. `constraints` given as dicts get the Jacobian of their `fun`; to a `NonlinearConstraint` give
    `jac=tg.jacobian(fun)`. What `fun` uses besides x must not require grad. A model's parameters are minimised over by
    `tg.minimize`.

    >>> from tinygrad_edu.scipy.optimize import minimize
    >>> valley = lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
    >>> minimize(valley, np.array([-1.0, 2.0]), method="trust-exact").x.round(4)
    array([1., 1.])
    """
    name = method.lower() if isinstance(method, str) else ""
    value = (lambda x, *args: fun(x, *args)[0]) if jac is True else fun
    instead = "jac= (and hess= or hessp= for second derivatives), or jac='2-point'"
    if hess is None and hessp is None and name in WITH_PRODUCTS:
        hessp = explained("minimize", fun, lambda x, p, *args: hvp(value, x, *args, p), instead)
    if hess is None and hessp is None and name in WITH_HESSIAN:
        hess = explained("minimize", fun, hessian(value), instead)
    constraints = _with_derivatives(constraints, instead, name not in WITHOUT_GRADIENT)
    if name not in WITHOUT_GRADIENT and jac is None:
        jac, fun = True, explained("minimize", fun, value_and_grad(fun), instead)
    fun_and_x0 = (_in_arrays("minimize", v) for v in (fun, x0))
    others = (_in_arrays("minimize", v) for v in (jac, hess, hessp, bounds))
    return _optimize.minimize(*fun_and_x0, given(args), method, *others, constraints, **options)


def _with_derivatives(constraints: Any, instead: str, wanted: bool) -> Any:
    """The constraints with plain results. Those that are dicts get the Jacobian of their function if one is wanted and
    they have none."""
    if isinstance(constraints, list | tuple):
        return [_with_derivatives(c, instead, wanted) for c in constraints]
    if not isinstance(constraints, dict) or "fun" not in constraints:
        return _in_arrays("minimize", constraints)
    fun, jac = constraints["fun"], constraints.get("jac")
    if jac is None and wanted:
        jac = explained("minimize", fun, jacobian_of(fun), instead)
    own = {"fun": fun} if jac is None else {"fun": fun, "jac": jac}
    return constraints | {name: _in_arrays("minimize", f) for name, f in own.items()}


def root(
    fun: Callable[..., Any], x0: Any, args: Any = (), method: str = "hybr", jac: Any = None, **options: Any
) -> Any:
    """`scipy.optimize.root`: where all numbers of `fun(x, *args)` are 0, found from `x0` on by `method`; `options` are
    SciPy's. The methods that use a Jacobian, "hybr" and
    "lm", are given that of `fun` if `jac` is None. The result is plain; `fsolve` can be differentiated.

    >>> from tinygrad_edu.scipy.optimize import root
    >>> root(lambda x: [x[0] * np.exp(x[1]) - 2, x[1] - x[0] + 2], np.array([2.0, 1.0])).x.round(4)
    array([2., 0.])
    """
    if jac is None and method.lower() in ROOT_WITH_JACOBIAN:
        jac = explained("root", fun, jacobian_of(fun), "jac=, or jac=False for SciPy's differences")
    fun, x0, jac = (_in_arrays("root", v) for v in (fun, x0, jac))
    return _optimize.root(fun, x0, given(args), method, jac, **options)


def least_squares(fun: Callable[..., Any], x0: Any, jac: Any = None, **options: Any) -> Any:
    """`scipy.optimize.least_squares`: the x for which the squares of `fun(x)` have the least sum, found from `x0` on;
    `options` are SciPy's. Without `jac`, the
    Jacobian is that of `fun`; "2-point" asks for SciPy's differences.

    >>> from tinygrad_edu.scipy.optimize import least_squares
    >>> least_squares(lambda x: np.array([1.0, 2.0, 4.0]) - np.exp(x * np.arange(3)), [0.5]).x.round(4)  # log 2
    array([0.6931])
    """
    if jac is None:
        jac = explained("least_squares", fun, jacobian_of(fun), "jac=, or jac='2-point' for SciPy's differences")
    options = {name: _in_arrays("least_squares", v) for name, v in options.items()}
    return _optimize.least_squares(*(_in_arrays("least_squares", v) for v in (fun, x0, jac)), **options)


def curve_fit(f: Callable[..., Any], xdata: Any, ydata: Any, *args: Any, jac: Any = None, **options: Any) -> Any:
    """`scipy.optimize.curve_fit`: the parameters with which `f(xdata, *parameters)` comes nearest to `ydata`, and their
    covariance; `args` and `options` are SciPy's. Without `jac`, the Jacobian is that of `f`; "2-point" asks for SciPy's
    differences, which have the methods "trf" and "dogbox".

    >>> from tinygrad_edu.scipy.optimize import curve_fit
    >>> decay = lambda t, start, rate: start * np.exp(-rate * t)
    >>> t = np.linspace(0.0, 4.0, 20)
    >>> found, covariance = curve_fit(decay, t, decay(t, 3.0, 0.5))
    >>> found.round(4)
    array([3. , 0.5])
    """
    if jac is None:
        by_parameters = jacobian_of(lambda parameters, x: f(x, *parameters))
        instead = "jac=, or jac='2-point' with method='trf' for SciPy's differences"
        jac = explained("curve_fit", f, lambda x, *parameters: by_parameters(np.array(parameters), x), instead)
    options = {name: _in_arrays("curve_fit", v) for name, v in (options | {"jac": jac}).items()}
    return _optimize.curve_fit(*(_in_arrays("curve_fit", v) for v in (f, xdata, ydata, *args)), **options)
