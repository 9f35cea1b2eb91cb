"""Transforms: functions of arrays to functions that give their derivatives. They nest.

What to differentiate by is chosen by `argnums`, the number or the name of an argument of the function, 0 if nothing is
said, or several in a tuple; or by `parameters`, tensors that the function uses: a model, or tensors in lists, tuples
and dicts. The chosen arguments may be arrays, numbers, tensors, or lists, tuples and dicts of those, nested as one
likes. Arrays in give arrays out. Inside another transform, and where tensors that require grad are among the arguments
or used by the function, as a model's parameters are, the result is a recorded tensor, which can be differentiated again
(under `no_grad` those are constants, and it is an array). Code for the package autograd says `argnum=` instead of
`argnums=`, which is understood.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import numpy as np

from .differentiation import ArgNums, Call, Chosen, Parameters, _name
from .recording import plain
from .trees import _alike, _kind, _leaves, _map

Transform = TypeVar("Transform", bound=Callable[..., Any])


def _by_argnum(transform: Transform) -> Transform:
    """The transform, which takes `argnums` under autograd's name as well."""

    @functools.wraps(transform)
    def made(*args: Any, **options: Any) -> Any:
        if "argnum" in options:
            return transform(*args, argnums=options.pop("argnum"), **options)
        return transform(*args, **options)

    return cast(Transform, made)


def _named(made: Callable[..., Any], fun: Callable[..., Any]) -> Callable[..., Any]:
    """What was made of `fun`, with its arguments' names, by which a transform around may choose."""
    return functools.update_wrapper(made, fun, assigned=(), updated=())


@_by_argnum
def grad(
    fun: Callable[..., Any],
    argnums: ArgNums | None = None,
    *,
    parameters: Parameters = None,
    has_aux: bool = False,
) -> Callable[..., Any]:
    """The function that gives the gradient of `fun`, which must give a single number.

    `argnums` chooses the argument by its number or its name, 0 if nothing is said (or several, in a tuple: the
    gradients come as one), and the gradient has its structure, shapes and dtypes; where `fun` ignores it, the gradient
    is 0. With `parameters`, a model or tensors that `fun` uses, it is the gradient by those: for a model a list in the
    order of `model.parameters()`. With `has_aux`, `fun` returns `(number, anything)` and the function `(gradient,
    anything)`. Raises `TypeError` for arguments that are not floats, `ValueError` if `fun` gives more than one number
    or has no such argument.

    >>> tg.grad(lambda x: np.sum(x**3))(np.array([1.0, 2.0]))
    array([ 3., 12.])
    >>> tg.grad(tg.grad(lambda x: x**3))(2.0)
    np.float64(12.0)
    >>> tg.grad(lambda x, scale: scale * x**2, "scale")(3.0, scale=2.0)
    np.float64(9.0)
    """
    both = value_and_grad(fun, argnums, parameters=parameters, has_aux=has_aux)

    def gradient(*args: Any, **options: Any) -> Any:
        value, gradients = both(*args, **options)
        return (gradients, value[1]) if has_aux else gradients

    return _named(gradient, fun)


@_by_argnum
def value_and_grad(
    fun: Callable[..., Any],
    argnums: ArgNums | None = None,
    *,
    parameters: Parameters = None,
    has_aux: bool = False,
) -> Callable[..., Any]:
    """As `grad`, but the function gives both the value of `fun` and its gradient: `(value, gradient)`, and with
    `has_aux` `((value, anything), gradient)`. `argnums` and `parameters` say by what. Raises `ValueError` and
    `TypeError` as `grad` does.

    >>> tg.value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """
    chosen = Chosen(fun, argnums, parameters)

    def value_and_gradient(*args: Any, **options: Any) -> Any:
        call = Call(chosen, args, options)
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

    return _named(value_and_gradient, fun)


@_by_argnum
def elementwise_grad(fun: Callable[..., Any], argnums: ArgNums | None = None) -> Callable[..., Any]:
    """The function that gives the derivative of each element of the output of `fun` by the same element of its
    argument, where each depends on that one only: the slope of a curve at many points at once.

    It is the gradient of the output's sum, whatever the shapes. So if an element of the argument has a part in several
    elements of the output, as in a softmax, their derivatives are added up. `argnums` says which argument it is, as in
    `grad`. Raises `TypeError` if the output is no array of real numbers.

    >>> tg.elementwise_grad(np.tanh)(np.array([0.0, 1.0])).round(4)
    array([1.  , 0.42])
    >>> tg.elementwise_grad(tg.elementwise_grad(lambda x: x**3))(np.array([1.0, 2.0]))
    array([ 6., 12.])
    """
    chosen = Chosen(fun, argnums)

    def derivative(*args: Any, **options: Any) -> Any:
        call = Call(chosen, args, options)
        _require_numbers(fun, call.result)
        return call.pull(call.result, np.ones(np.shape(plain(call.result))))

    return _named(derivative, fun)


@_by_argnum
def jacobian(
    fun: Callable[..., Any], argnums: ArgNums | None = None, *, parameters: Parameters = None
) -> Callable[..., Any]:
    """The function that gives all first derivatives of `fun`: for an output of shape `(…out)` and an argument of shape
    `(…in)` an array `(…out, …in)`; for an output with a structure, that structure of those. `argnums` and `parameters`
    are as in `grad`. Raises `TypeError` for an output or an argument that is not of real numbers.

    >>> tg.jacobian(lambda x: x**2)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """
    chosen = Chosen(fun, argnums, parameters)

    def jacobian_at(*args: Any, **options: Any) -> Any:
        call = Call(chosen, args, options)

        def of_output(output: Any) -> Any:
            shape = np.shape(plain(output))
            if output is None and call.result is not None:  # in the place of a parameter
                return None
            _require_numbers(fun, output)
            rows = [call.pull(output, _unit(k, shape)) for k in range(math.prod(shape))]
            if not rows:
                return _map(lambda x: None if x is None else np.zeros((*shape, *np.shape(plain(x)))), call.chosen)

            def joined(*parts: Any) -> Any:
                return None if parts[0] is None else np.reshape(np.stack(parts), (*shape, *np.shape(parts[0])))

            return _map(joined, *rows)

        return _map(of_output, call.result)

    return _named(jacobian_at, fun)


def _require_numbers(fun: Callable[..., Any], output: Any) -> None:
    if isinstance(output, list | tuple | dict) or _kind(output) not in "fiu":
        raise TypeError(f"{_name(fun)} must give real numbers to have derivatives, got {output!r}")


def _unit(k: int, shape: tuple[int, ...]) -> Any:
    unit = np.zeros(shape)
    unit.flat[k] = 1
    return unit


@_by_argnum
def hessian(
    fun: Callable[..., Any], argnums: ArgNums | None = None, *, parameters: Parameters = None
) -> Callable[..., Any]:
    """The function that gives all second derivatives of `fun`, which gives a single number: for an argument of shape
    `(…in)` an array `(…in, …in)`; for one with a structure, that structure of that structure of such arrays.

    `argnums` and `parameters` are as in `grad`: with a model, `H[i][j]` has the second derivatives by its parameters i
    and j, in the order of `model.parameters()`. Raises `ValueError` if `fun` gives more than a single number.

    >>> tg.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    >>> net = tg.Dense(1, 1)
    >>> with tg.no_grad():
    ...     H = tg.hessian(lambda x: tg.mse_loss(net(x), x), parameters=net)(np.array([[1.0], [3.0]]))
    >>> H[0][0].item(), H[0][1].item(), H[1][1].item()  # of (w x + b - x)², on average
    (10.0, 4.0, 2.0)
    """
    return jacobian(grad(fun, argnums, parameters=parameters), argnums, parameters=parameters)


def vjp(fun: Callable[..., Any], *args: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """`fun(*args)`, and the function that takes a gradient of its output (of its shape, or its structure) to those of
    all arguments: the vector–Jacobian product. That function raises `ValueError` for a gradient of another shape.

    >>> y, pull = tg.vjp(lambda x: x**2, np.array([1.0, 2.0]))
    >>> pull(np.array([1.0, 10.0]))
    (array([ 2., 40.]),)
    """
    kept = _map(lambda x: x.copy() if isinstance(x, np.ndarray) else x, args)  # the caller may change theirs
    call = _of_all(fun, kept)
    return _map(call.plain, call.result), lambda gradient: _pulled("vjp", fun, call, gradient)


def _of_all(fun: Callable[..., Any], args: Sequence[Any]) -> Call:
    return Call(Chosen(fun, tuple(range(len(args)))), args, {})


def _pulled(who: str, fun: Callable[..., Any], call: Call, gradient: Any) -> Any:
    """The gradients of the chosen arguments, for a gradient of all that the function gave."""

    def of_output(output: Any, gradient: Any) -> Any:
        shapes = np.shape(plain(output)), np.shape(plain(gradient))
        if shapes[0] != shapes[1]:
            raise ValueError(f"{who}: the gradient has shape {shapes[1]}, the output of {_name(fun)} {shapes[0]}")
        return call.pull(output, gradient)

    outputs, given = _leaves(call.result), _leaves(gradient)
    if not outputs or _map(lambda _: None, call.result) != _map(lambda _: None, gradient):
        raise ValueError(f"{who}: the gradient must have the structure of the output of {_name(fun)}")
    pulled = [of_output(*pair) for pair in zip(outputs, given, strict=True)]
    return _map(lambda *parts: parts[0] if parts[0] is None else sum(parts), *pulled)


def jvp(fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """`fun(*primals)`, and how it changes when the arguments move by `tangents`: the derivative in that direction, of
    the structure of the output. It is the Jacobian–vector product, J v.

    `primals` and `tangents` are tuples with one of each for every argument, of the same structures and shapes. There is
    no forward mode: Jᵀu is linear in u, and its own vector–Jacobian product, by u, is J v (Townsend, "A new trick for
    calculating Jacobian vector products", 2017). That is exact, and costs as much as a second derivative. Raises
    `ValueError` where structures or shapes differ, `TypeError` for what is no real numbers.

    >>> tg.jvp(lambda x, a: a * x**2, (np.array([1.0, 2.0]), 3.0), (np.array([1.0, 0.0]), 1.0))
    (array([ 3., 12.]), array([7., 4.]))
    """
    for what, given in (("primals", primals), ("tangents", tangents)):
        if not isinstance(given, tuple | list):
            raise TypeError(
                f"jvp: {what} are a tuple with one for each argument, jvp(f, (x,), (v,)), not {type(given).__name__}"
            )
    directions = _alike("jvp: tangents", tuple(tangents), "primals", tuple(primals))
    call = _of_all(fun, primals)

    def seed(output: Any) -> Any:
        _require_numbers(fun, output)
        # Any number would do, since only the slope by it counts; 1 is what a gradient begins with.
        return np.ones(np.shape(plain(output)), getattr(output, "dtype", None) if _kind(output) == "f" else None)

    if not _leaves(call.result):
        raise TypeError(f"{_name(fun)} must give real numbers to have derivatives, got {call.result!r}")
    back = _of_all(lambda u: _pulled("jvp", fun, call, u), (_map(seed, call.result),))
    # These variables are nobody else's, and what depends on no other is not recorded.
    back.inner.update(call.inner, call.variables)
    (tangent,) = _pulled("jvp", fun, back, directions)
    return _map(call.plain, call.result), tangent


def hvp(fun: Callable[..., Any], *args: Any, parameters: Parameters = None) -> Any:
    """`hvp(fun, x, vector)`: the Hessian of `fun` at `x` times `vector` (of the structure of `x`), without forming the
    Hessian. `fun` gives a single number.

    `args` are the point and the vector; further arguments of `fun` stand between the two. With `parameters`, a model or
    tensors that `fun` uses, it is the Hessian by those, `hvp(fun, *arguments, vector, parameters=net)`, where `vector`
    is, for a model, a list in the order of `net.parameters()`, as the result. Raises `ValueError` if structures or
    shapes differ, `TypeError` if there are fewer arguments than a point and a vector.

    >>> tg.hvp(lambda x: np.sum(x**3), np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    array([6., 0.])
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> tg.hvp(lambda: np.sum(w**3), np.array([1.0, 0.0]), parameters=w).tolist()
    [6.0, 0.0]
    """
    if len(args) < 2 - (parameters is not None):
        raise TypeError(f"hvp({_name(fun)}, ...): a vector comes last, and before it what {_name(fun)} is called with")
    *arguments, vector = args
    slope_of = grad(fun, parameters=parameters)

    def slope(*args: Any) -> Any:
        gradient = slope_of(*args)
        direction = _alike("hvp: the vector", vector, "x" if parameters is None else "parameters", gradient)
        products = _leaves(_map(lambda g, v: None if g is None else np.sum(g * v), gradient, direction))
        return sum(p for p in products if p is not None)

    return grad(slope, parameters=parameters)(*arguments)
