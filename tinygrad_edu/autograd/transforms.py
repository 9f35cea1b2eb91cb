"""Transforms: functions of arrays to functions that give their derivatives. They nest.

The chosen arguments may be arrays, numbers, tensors, or lists, tuples and dicts of those, nested as one likes (a
model's parameters). Arrays in give arrays out. Inside another transform, and where tensors that require grad are
among the arguments or used by the function, the result is a recorded tensor, which can be differentiated again
(under `no_grad` those are constants).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from contextvars import ContextVar, copy_context
from typing import Any

import numpy as np

from .engine import pullback
from .primitives import primitive, rule
from .record import Record, reached
from .recording import DerivativeLost, differentiated, interpreted, interpreter, is_recording, plain, recording
from .tensor import Tensor, rebuilt

# The transforms around this moment, outermost first: each has the variables of those inside it.
_around: ContextVar[tuple[set[Tensor], ...]] = ContextVar("tinygrad_edu.transforms", default=())

ArgNums = int | tuple[int, ...]


def grad(fun: Callable[..., Any], argnums: ArgNums = 0, *, has_aux: bool = False) -> Callable[..., Any]:
    """The function that gives the gradient of `fun`, which must give a single number.

    `argnums` chooses the argument (or several: the gradients come as a tuple), and the gradient has its structure,
    shapes and dtypes; where `fun` ignores it, the gradient is 0. With `has_aux`, `fun` returns `(number, anything)`
    and the function `(gradient, anything)`. Raises `TypeError` for arguments that are not floats, `ValueError` if
    `fun` gives more than one number.

    >>> tg.grad(lambda x: np.sum(x**3))(np.array([1.0, 2.0]))
    array([ 3., 12.])
    >>> tg.grad(tg.grad(lambda x: x**3))(2.0)
    np.float64(12.0)
    """

    _check_argnums(fun, argnums)

    def gradient(*args: Any, **options: Any) -> Any:
        value, gradients = value_and_grad(fun, argnums, has_aux=has_aux)(*args, **options)
        return (gradients, value[1]) if has_aux else gradients

    return gradient


def value_and_grad(fun: Callable[..., Any], argnums: ArgNums = 0, *, has_aux: bool = False) -> Callable[..., Any]:
    """As `grad`, but gives `(value, gradient)`, with `has_aux` `((value, anything), gradient)`.

    >>> tg.value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """

    _check_argnums(fun, argnums)

    def value_and_gradient(*args: Any, **options: Any) -> Any:
        call = _Call(fun, argnums, args, options)
        if has_aux and not (isinstance(call.result, tuple) and len(call.result) == 2):
            raise TypeError(f"with has_aux=True, {_name(fun)} must return (number, anything), got {call.result!r}")
        result, aux = call.result if has_aux else (call.result, None)
        if isinstance(result, list | tuple | dict) or _kind(result) not in "fiu":
            raise TypeError(f"{_name(fun)} must give a real number to have a gradient, got {result!r}")
        if np.size(plain(result)) != 1:
            raise ValueError(
                f"{_name(fun)} gave shape {np.shape(plain(result))}, but only a single number has a gradient. "
                "Reduce it with .sum() or .mean(), or use jacobian"
            )
        gradients = call.pull(result, np.ones(np.shape(plain(result))))
        value = call.plain(result)
        return ((value, _map(call.plain, aux)) if has_aux else value), gradients

    return value_and_gradient


def jacobian(fun: Callable[..., Any], argnums: ArgNums = 0) -> Callable[..., Any]:
    """The function that gives all first derivatives: for an output of shape `(…out)` and an argument of shape
    `(…in)` an array `(…out, …in)`; for an output with a structure, that structure of those.

    >>> tg.jacobian(lambda x: x**2)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """

    _check_argnums(fun, argnums)

    def jacobian_at(*args: Any, **options: Any) -> Any:
        call = _Call(fun, argnums, args, options)

        def of_output(output: Any) -> Any:
            shape = np.shape(plain(output))
            if output is None and call.result is not None:  # in the place of a parameter
                return None
            if _kind(output) not in "fiu":
                raise TypeError(f"{_name(fun)} must give real numbers to have derivatives, got {output!r}")
            rows = [call.pull(output, _unit(k, shape)) for k in range(math.prod(shape))]
            if not rows:
                return _map(lambda x: None if x is None else np.zeros((*shape, *np.shape(plain(x)))), call.chosen)

            def joined(*parts: Any) -> Any:
                return None if parts[0] is None else np.reshape(np.stack(parts), (*shape, *np.shape(parts[0])))

            return _map(joined, *rows)

        return _map(of_output, call.result)

    return jacobian_at


def _check_argnums(fun: Callable[..., Any], argnums: Any) -> None:
    if not isinstance(argnums, tuple | int | np.integer):
        raise TypeError(
            f"argnums says which argument to differentiate by, 0 for the first, not {type(argnums).__name__}; a "
            f"transform gives a function, which then takes the arguments: grad({_name(fun)})(x)"
        )


def _unit(k: int, shape: tuple[int, ...]) -> Any:
    unit = np.zeros(shape)
    unit.flat[k] = 1
    return unit


def hessian(fun: Callable[..., Any], argnums: ArgNums = 0) -> Callable[..., Any]:
    """The function that gives all second derivatives of `fun`, which gives a single number: for an argument of shape
    `(…in)` an array `(…in, …in)`; for one with a structure, that structure of that structure of such arrays.

    >>> tg.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    return jacobian(grad(fun, argnums), argnums)


def vjp(fun: Callable[..., Any], *args: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """`fun(*args)`, and the function that takes a gradient of its output (of its shape, or its structure) to those of
    all arguments: the vector–Jacobian product.

    >>> y, pull = tg.vjp(lambda x: x**2, np.array([1.0, 2.0]))
    >>> pull(np.array([1.0, 10.0]))
    (array([ 2., 40.]),)
    """
    kept = _map(lambda x: x.copy() if isinstance(x, np.ndarray) else x, args)  # the caller may change theirs
    call = _Call(fun, tuple(range(len(args))), kept, {})

    def of_output(output: Any, gradient: Any) -> Any:
        shapes = np.shape(plain(output)), np.shape(plain(gradient))
        if shapes[0] != shapes[1]:
            raise ValueError(f"vjp: the gradient has shape {shapes[1]}, the output of {_name(fun)} {shapes[0]}")
        return call.pull(output, gradient)

    def pull(gradient: Any) -> tuple[Any, ...]:
        outputs, given = _leaves(call.result), _leaves(gradient)
        if not outputs or _map(lambda _: None, call.result) != _map(lambda _: None, gradient):
            raise ValueError(f"vjp: the gradient must have the structure of the output of {_name(fun)}")
        pulled = [of_output(*pair) for pair in zip(outputs, given, strict=True)]
        gradients: tuple[Any, ...] = _map(lambda *parts: parts[0] if parts[0] is None else sum(parts), *pulled)
        return gradients

    return _map(call.plain, call.result), pull


def hvp(fun: Callable[..., Any], x: Any, vector: Any) -> Any:
    """The Hessian of `fun` at `x` times `vector` (of the structure of `x`), without forming the Hessian.

    >>> tg.hvp(lambda x: np.sum(x**3), np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    array([6., 0.])
    """

    def product(g: Any, v: Any) -> Any:
        if np.shape(plain(g)) != np.shape(plain(v)):
            raise ValueError(f"hvp: the vector has shape {np.shape(plain(v))}, x {np.shape(plain(g))}")
        return np.sum(g * v)

    def slope(x: Any) -> Any:
        products = _leaves(_map(product, grad(fun)(x), vector))
        return sum(products[1:], start=products[0])

    return grad(slope)(x)


@primitive
def _variable(x: Any) -> Any:
    """The same value as a variable of its own: what a nested transform differentiates by."""
    return x


rule(_variable, lambda g: g)


class _Call:
    """One call of a function whose chosen arguments are variables, recorded; `pull` gives their gradients."""

    def __init__(self, fun: Callable[..., Any], argnums: ArgNums, args: Sequence[Any], options: dict[str, Any]) -> None:
        self.single = not isinstance(argnums, tuple)
        numbers = [operator.index(n) for n in (argnums if isinstance(argnums, tuple) else (argnums,))]
        for n in numbers:
            if not -len(args) <= n < len(args):
                raise ValueError(f"{_name(fun)}: argnums names argument {n}, but it was called with {len(args)}")
        if len({n % len(args) for n in numbers}) < len(numbers):
            raise ValueError(f"{_name(fun)}: argnums {argnums} names an argument twice")
        arguments = list(args)
        self.variables: list[Tensor] = []
        for n in numbers:
            if args[n] is None and self.single:
                raise TypeError(
                    f"{_name(fun)}: argument {n} is None, so there is nothing to differentiate by; pass floats"
                )
            arguments[n] = _map(self._make_variable, args[n])
        self.chosen: Any = args[numbers[0]] if self.single else tuple(args[n] for n in numbers)
        # What comes from outside is recorded there, and its derivative must be too.
        self.may_use_others = is_recording()
        self.inner: set[Tensor] = set()  # variables of transforms inside this one: nobody else differentiates by them
        context = copy_context()
        context.run(_around.set, (*_around.get(), self.inner))
        nodes = {node for v in self.variables if (node := v._node()) is not None} - differentiated
        try:
            differentiated.update(nodes)
            self.result = context.run(interpreted, interpreter().recording(True), fun, *arguments, **options)
        except ValueError as error:
            reason = error.__cause__ or error.__context__  # NumPy's own, of an element of an array that is assigned
            if isinstance(reason, DerivativeLost):
                raise reason from None
            raise
        finally:
            differentiated.difference_update(nodes)

    def _make_variable(self, x: Any) -> Tensor | None:
        if x is None:  # in the place of a parameter, such as the bias of a layer without one
            return None
        if isinstance(x, Tensor) and x.requires_grad:
            with recording():
                variable: Tensor = _variable(x)
        else:
            is_tensor = isinstance(x, Tensor)
            variable = interpreter().variable(x if is_tensor else Tensor(x), constant=not is_tensor)
        self.variables.append(variable)
        for inner in _around.get():
            inner.add(variable)
        return variable

    def pull(self, output: Any, gradient: Any) -> Any:
        """The gradients of the chosen arguments, in their structure, for a gradient of the output."""
        nodes = [v._node() for v in self.variables]
        found: dict[Any, Any] = {}
        if isinstance(output, Tensor) and output._node() is not None:
            node = output._node()
            seed: Any = gradient
            if not isinstance(gradient, Tensor):
                seed = np.asarray(gradient, dtype=output.dtype)[()]
            if node in set(nodes):  # the function gave an argument back
                found = {node: seed if isinstance(seed, Tensor) else np.array(seed)}
            elif isinstance(node, Record):
                recorded = self._stays_recorded(output) or (isinstance(gradient, Tensor) and gradient.requires_grad)
                with recording():
                    found = pullback(
                        node,
                        seed,
                        tensor=rebuilt if recorded else None,
                        targets=set(nodes),
                    )
        gradients = iter([self._finished(found.get(n), v) for n, v in zip(nodes, self.variables, strict=True)])
        return _map(lambda x: None if x is None else next(gradients), self.chosen)

    def _stays_recorded(self, result: Tensor) -> bool:
        """Whether somebody outside can still differentiate what is computed from `result`."""
        node = result._node()
        if node is None or not self.may_use_others:
            return False
        leaves = reached(node)[1] if isinstance(node, Record) else {node}
        return not leaves <= self.inner.union(self.variables)

    def _finished(self, g: Any, variable: Tensor) -> Any:
        if g is None:
            return np.zeros(variable.shape, variable.dtype)[()]
        return g if isinstance(g, Tensor) else np.asarray(g, variable.dtype)[()]

    def plain(self, x: Any) -> Any:
        """A result as the caller gets it: an array, unless it stays recorded."""
        return x if not isinstance(x, Tensor) or self._stays_recorded(x) else plain(x)


def _map(function: Callable[..., Any], *trees: Any) -> Any:
    """`function` applied to the leaves of nested lists, tuples and dicts of the same structure."""
    first = trees[0]
    if isinstance(first, dict):
        return {key: _map(function, *(t[key] for t in trees)) for key in first}
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(_map(function, *parts) for parts in zip(*trees, strict=True)))
    if isinstance(first, list | tuple):
        return type(first)(_map(function, *parts) for parts in zip(*trees, strict=True))
    return function(*trees)


def _leaves(tree: Any) -> list[Any]:
    leaves: list[Any] = []
    _map(leaves.append, tree)
    return leaves


def _kind(x: Any) -> str:
    return (x if isinstance(x, Tensor) else np.asarray(x)).dtype.kind


def _name(fun: Callable[..., Any]) -> str:
    return getattr(fun, "__name__", type(fun).__name__)
