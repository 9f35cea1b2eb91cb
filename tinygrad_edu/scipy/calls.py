"""A person's function as SciPy calls it: plain arrays go in and come out."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.assignment import joined
from ..autograd.call_site import where
from ..autograd.differentiation import _name
from ..autograd.record import Operand
from ..autograd.recording import interpreter, is_constant, plain, wants_gradient
from ..autograd.transforms import jacobian, vjp

DIFFERENTIABLE = {"bisect", "brenth", "brentq", "fsolve", "quad", "ridder", "root_scalar", "toms748"}


def given(args: Any) -> tuple[Any, ...]:
    """The `args=` of SciPy's functions, where a single one may stand without a tuple; lists of tensors are joined."""
    return tuple(map(joined, args if isinstance(args, tuple) else (args,)))


def constants(value: Any) -> Any:
    """Tensors as plain arrays, if no gradient flows through them: SciPy's compiled functions take nothing else."""
    return plain(value) if is_constant((value,)) else value


def of_tensors(f: Callable[..., Any], args: tuple[Any, ...]) -> tuple[list[Any], Callable[..., Any]]:
    """The tensors among `args`, and f(x, *args) as a function of x and of them."""
    args = tuple(value.copy() if isinstance(value, np.ndarray) else value for value in args)  # for the rule, later
    places = [k for k, value in enumerate(args) if isinstance(value, Operand)]

    def function(x: Any, *tensors: Any) -> Any:
        instead = dict(zip(places, tensors, strict=True))
        return joined(f(x, *(instead.get(k, value) for k, value in enumerate(args))))

    return [args[k] for k in places], function


def refuse_in_derivation(who: str) -> None:
    """Raises inside `derive` and `compile_step`."""
    if interpreter().lines is not None:
        raise TypeError(
            f"{who} of tensors is called {where()}, but a derivation cannot write down how it calls the function that "
            "it is given. Differentiate by grad or backward(), without derive or compile_step"
        )


def in_numbers(who: str, fun: Callable[..., Any]) -> Callable[..., Any]:
    """The function with plain results. A tensor through which a gradient flows is refused: SciPy would make a number of
    it, and the gradient would be lost."""

    @functools.wraps(fun)
    def call(*args: Any, **options: Any) -> Any:
        y = fun(*args, **options)
        if wants_gradient(y):
            way = "give it in args=" if who in DIFFERENTIABLE else "take its .detach(), if that is meant"
            raise TypeError(
                f"{who}: {_name(fun)} uses a tensor that requires grad, whose gradient would be lost here; {way}"
            )
        return plain(y)

    return call


def explained(who: str, fun: Callable[..., Any], derivative: Callable[..., Any], instead: str) -> Callable[..., Any]:
    """A derivative of the function, whose errors say where it came from and what else there is."""

    @functools.wraps(fun)
    def call(*args: Any, **options: Any) -> Any:
        try:
            return derivative(*args, **options)
        except (TypeError, ValueError) as error:
            error.add_note(
                f"{who} differentiates {_name(fun)} by itself, because no derivative was given. What has no derivative "
                f"here needs one of yours: {instead}"
            )
            raise

    return call


def jacobian_of(fun: Callable[..., Any]) -> Callable[..., Any]:
    """All first derivatives of the function by its first argument, a vector of n numbers, of shape (…out, n).

    Of more than n results they come by columns: the pulled-back gradient Jᵀu is linear in u, and the n rows of its own
    Jacobian are J's columns. So they cost n backward passes rather than one for each result.
    """

    def jacobian_at(x: Any, *args: Any, **options: Any) -> Any:
        def of_x(x: Any) -> Any:
            y = joined(fun(x, *args, **options))
            return y if isinstance(y, Operand) else np.asarray(y)

        x = np.asarray(x, np.float64)  # SciPy starts with whole numbers if it is given some
        y, pull = vjp(of_x, x)
        if np.size(y) <= np.size(x):
            return jacobian(of_x)(x)
        rows = plain(jacobian(lambda u: pull(u)[0])(np.ones(np.shape(y))))  # pull reads x, a variable, too
        return np.moveaxis(rows, 0, -1)

    return jacobian_at
