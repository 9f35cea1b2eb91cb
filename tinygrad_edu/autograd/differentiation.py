"""One call of a function with variables in the place of some arguments, or of tensors that it uses: what every
transform is made of.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar, copy_context
from typing import Any, cast

import numpy as np

from .engine import pullback
from .hooks import hooks_of
from .primitives import Primitive, primitive, rule
from .reads import Options
from .record import Operand, Record, reached
from .recording import (
    Around,
    DerivativeLost,
    Interpreter,
    differentiated,
    interpreted,
    interpreter,
    is_recording,
    plain,
    recording,
)
from .tensor import Tensor, rebuilt
from .trees import _leaves, _map

# The transforms around this moment, outermost first: each has the variables of those inside it.
_around: ContextVar[tuple[set[Tensor], ...]] = ContextVar("tinygrad_edu.transforms", default=())

ArgNums = int | str | tuple[int, ...] | tuple[str, ...] | list[int] | list[str]
Parameters = Any  # a model, a tensor, or tensors in lists, tuples and dicts


class Chosen:
    """What to differentiate a function by: arguments, by number or by name, or tensors that it uses."""

    def __init__(self, fun: Callable[..., Any], argnums: ArgNums | None = None, parameters: Parameters = None) -> None:
        if argnums is not None and parameters is not None:
            raise ValueError(
                f"{_name(fun)} is differentiated by arguments or by parameters: give argnums or parameters, not both"
            )
        self.fun = fun
        argnums = cast(ArgNums, tuple(argnums)) if isinstance(argnums, list) else argnums
        self.argnums: ArgNums = 0 if argnums is None else argnums
        self.parameters = None if parameters is None else _tensors(parameters)
        numbers = self.argnums if isinstance(self.argnums, tuple) else (self.argnums,)
        self.by_name = bool(numbers) and all(isinstance(n, str) for n in numbers)
        if not self.by_name and not all(isinstance(n, int | np.integer) for n in numbers):
            raise TypeError(
                f"argnums says which argument to differentiate by, 0 for the first, or its name, not "
                f"{type(self.argnums).__name__}; a transform gives a function, which then takes the arguments: "
                f"grad({_name(fun)})(x). A model is given as parameters="
            )
        self.signature = _signature(fun) if self.by_name else None
        if self.signature is not None:
            known = self.signature.parameters
            for n in numbers:
                if n not in known:
                    raise ValueError(
                        f"{_name(fun)} has no argument named {n!r}; its arguments are {', '.join(known) or 'none'}"
                    )


def _signature(fun: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(fun)
    except (TypeError, ValueError):
        raise ValueError(
            f"{_name(fun)} does not tell the names of its arguments; say by number which one, argnums=0"
        ) from None


def _bound(
    signature: inspect.Signature, names: Sequence[str], args: Sequence[Any], options: Mapping[str, Any]
) -> inspect.BoundArguments:
    """The arguments by their names, the defaults of those that are named and were not given among them."""
    bound = signature.bind(*args, **options)
    wanted = {*bound.arguments, *names, *(n for n, p in signature.parameters.items() if p.kind is p.POSITIONAL_ONLY)}
    bound.apply_defaults()
    bound.arguments = {name: value for name, value in bound.arguments.items() if name in wanted}
    return bound


def _tensors(parameters: Parameters) -> Any:
    """The tensors of a model, or those given, in their structure."""
    tensors = parameters.parameters() if callable(getattr(parameters, "parameters", None)) else parameters
    found = _leaves(tensors)
    for t in found:
        if isinstance(t, Tensor) and hooks_of(t):
            raise TypeError(
                f"parameters= holds a tensor of shape {t.shape} with a hook (register_hook), which a transform does "
                "not call, since it differentiates by variables of its own. Remove the hook, or use backward()"
            )
        if not isinstance(t, Tensor) or not t.requires_grad:
            what = "a tensor that does not" if isinstance(t, Tensor) else f"{type(t).__name__}"
            raise TypeError(f"parameters= is a model, or tensors that require grad; {what} is none of those")
    if not found:
        raise ValueError("parameters= holds no tensor that requires grad: there is nothing to differentiate by")
    if len({id(t) for t in found}) < len(found):
        raise ValueError("parameters= holds a tensor twice")
    return tensors


class _Replacing(Around):
    """Hands on the variables in the place of the tensors for which they stand."""

    def __init__(self, inner: Interpreter, variables: Mapping[Tensor, Tensor]) -> None:
        super().__init__(inner)
        self.variables = variables

    def now(self, x: Any) -> Any:
        return self.variables.get(x, x) if isinstance(x, Tensor) else x

    def apply(self, primitive: Primitive, args: tuple[Any, ...], options: Options) -> Any:
        return self.inner.apply(primitive, tuple(map(self.now, args)), options)

    def number(self, t: Operand, what: str) -> Any:
        return self.inner.number(self.now(t), what)

    def argument_of(self, t: Operand, primitive: Primitive) -> Any:
        return None if t in self.variables else self.inner.argument_of(t, primitive)  # it is differentiated by itself

    def recording(self, wanted: bool) -> Interpreter:
        return _Replacing(self.inner.recording(wanted), self.variables)


@primitive
def _variable(x: Any) -> Any:
    """The same value as a variable of its own: what a nested transform differentiates by."""
    return x


rule(_variable, lambda g: g)


class Call:
    """One call of a function whose chosen arguments are variables, recorded; `pull` gives their gradients."""

    def __init__(self, chosen: Chosen, args: Sequence[Any], options: Mapping[str, Any]) -> None:
        self.variables: list[Tensor] = []
        by = interpreter().recording(True)
        # What comes from outside is recorded there, and its derivative must be too.
        self.may_use_others = is_recording()
        self.inner: set[Tensor] = set()  # variables of transforms inside this one: nobody else differentiates by them
        if chosen.parameters is None:
            self.chosen, args, options = self._arguments(chosen, args, options)
        else:
            self.chosen = chosen.parameters
            _map(self._make_variable, self.chosen)
            by = _Replacing(by, dict(zip(_leaves(self.chosen), self.variables, strict=True)))
        context = copy_context()
        context.run(_around.set, (*_around.get(), self.inner))
        self.nodes = [v._node() for v in self.variables]  # the function may change a variable in place, as `x += 1`
        nodes = {node for node in self.nodes if node is not None} - differentiated
        try:
            differentiated.update(nodes)
            self.result = context.run(interpreted, by, chosen.fun, *args, **options)
        except ValueError as error:
            reason = error.__cause__ or error.__context__  # NumPy's own, of an element of an array that is assigned
            if isinstance(reason, DerivativeLost):
                raise reason from None
            raise
        finally:
            differentiated.difference_update(nodes)
        if isinstance(by, _Replacing):
            self.result = _map(by.now, self.result)

    def _arguments(
        self, chosen: Chosen, args: Sequence[Any], options: Mapping[str, Any]
    ) -> tuple[Any, Sequence[Any], Mapping[str, Any]]:
        """The chosen arguments, and with what to call the function: variables in their place."""
        argnums, fun = chosen.argnums, chosen.fun
        numbers: list[Any] = [*argnums] if isinstance(argnums, tuple) else [argnums]
        places: Any = [*args]
        bound = None
        if chosen.signature is not None:
            bound = _bound(chosen.signature, numbers, args, options)
            places = bound.arguments
        else:
            for k, n in enumerate(numbers):
                if not -len(args) <= n < len(args):
                    named = f"; say argnums={next(iter(options))!r}, by name" if options else ""
                    raise ValueError(
                        f"{_name(fun)}: argnums names argument {n}, but it was called with {len(args)}{named}"
                    )
                numbers[k] = operator.index(n) % len(args)
        if len(set(numbers)) < len(numbers):
            raise ValueError(f"{_name(fun)}: argnums {argnums} names an argument twice")
        values = tuple(places[n] for n in numbers)
        for n, value in zip(numbers, values, strict=True):
            if value is None and not isinstance(argnums, tuple):
                raise TypeError(
                    f"{_name(fun)}: argument {n} is None, so there is nothing to differentiate by; pass floats"
                )
            places[n] = _map(self._make_variable, value)
        return (
            values if isinstance(argnums, tuple) else values[0],
            places if bound is None else bound.args,
            options if bound is None else bound.kwargs,
        )

    def _make_variable(self, x: Any) -> Tensor | None:
        if x is None:  # in the place of a parameter, such as the bias of a layer without one
            return None
        if isinstance(x, Tensor) and x.requires_grad:
            with recording():
                variable: Tensor = _variable(x)
        else:
            is_tensor = isinstance(x, Tensor)
            if (x if is_tensor else np.asarray(x)).dtype.kind in "iub":
                raise TypeError(
                    f"only real floats have a gradient, so pass 2.0 for 2, x.astype(float) for x: got {x!r}"
                )
            variable = interpreter().variable(x if is_tensor else Tensor(x), constant=not is_tensor)
        self.variables.append(variable)
        for inner in _around.get():
            inner.add(variable)
        return variable

    def pull(self, output: Any, gradient: Any) -> Any:
        """The gradients of the chosen arguments, in their structure, for a gradient of the output."""
        nodes = self.nodes
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


def _name(fun: Callable[..., Any]) -> str:
    return getattr(inspect.unwrap(fun), "__name__", type(fun).__name__)
