"""The table: functions of arrays with their derivative rules.

A `Primitive` is a function together with its rules; `rule` enters them. What a rule reads is seen in its own code.
"""

from __future__ import annotations

import dis
import functools
import inspect
import itertools
import operator
import threading
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

Vjp = Callable[..., Any]
_PLAIN = {bool, float, int, str, tuple, type(None)}  # options that need no second look
Options = dict[str, Any]


_growing = threading.Lock()
tracing = 0  # how many traces are being made: then there are operands that write down what is done to them


class Operand:
    """Base of the objects that a primitive does not compute with but hands itself to: tensors (which record)."""

    __slots__ = ()
    requires_grad: bool
    writes = False  # whether it is a symbol, which takes precedence over tensors

    def _apply(self, primitive: Primitive, args: tuple[Any, ...], options: Options) -> Any:
        raise NotImplementedError

    def _value(self) -> Any:
        """The plain array, for functions through which no gradient flows."""
        raise NotImplementedError

    def _write(self, function: Callable[..., Any], args: tuple[Any, ...], options: Options) -> Any:
        """For a symbol: notes a call through which no gradient flows."""
        raise NotImplementedError


class Primitive:
    """A function of arrays with a derivative rule for each of its array arguments.

    Called with arrays it is the plain function; called with a tensor it is recorded.
    """

    def __init__(self, function: Callable[..., Any], forward: Callable[..., Any] | None = None) -> None:
        self.function = function
        self.forward = forward or function  # the same function by a shorter way, where there is one
        self.name: str = function.__name__.lstrip("_")
        self.vjps: tuple[Vjp | None, ...] = ()
        self.each: Callable[[int], Vjp] | None = None
        self.options: frozenset[str] = frozenset()  # those that the rules honour
        self.positional, self._own_defaults = _positional(function)
        self.defaults: Options = {}  # the function's own, of the options that the rules honour
        self.reads_metadata = True
        self.marks_origin = False  # whether its results remember, while they live, what they were made of
        self.adds: Callable[..., None] | None = None  # adds the gradient of its argument to an array in place
        self.moves = False  # whether it only moves elements: what they were made of stays true
        self.into: Callable[..., Any] | None = None  # `(out, scratch, *args, **options)`: without new arrays
        self.overwrites: int | None = None  # the argument that `out` may be
        self.kept, self.picks = _Kept(self), _Picks(self)
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *args: Any, **options: Any) -> Any:
        if options:
            for name in self.positional[len(args) : len(self.vjps)]:  # arrays given by name
                if name not in options:
                    break
                args += (options.pop(name),)
        for arg in (*args, *options.values()) if options else args:
            if isinstance(arg, Operand):
                if tracing:
                    arg = next((a for a in args if isinstance(a, Operand) and a.writes), arg)
                return arg._apply(self, args, options)
        return self.forward(*args, **options)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def __reduce__(self) -> str:
        """Copied and pickled as what it is, a name in its module: rules are found by identity."""
        return getattr(self.function, "__qualname__", self.function.__name__)

    def set_rules(self, vjps: tuple[Vjp | None, ...], each: Callable[[int], Vjp] | None) -> None:
        self.vjps, self.each = vjps, each
        rules = [vjp for vjp in (*vjps, each and each(0)) if vjp is not None]
        self.options = frozenset(name for vjp in rules for name in _option_names(vjp))
        self.defaults = {name: value for name, value in self._own_defaults.items() if name in self.options}
        self.reads_metadata = any(_reads(vjp, 1 + len(vjps))[1] for vjp in rules)
        self.kept.clear()

    def vjps_for(self, count: int) -> tuple[Vjp | None, ...]:
        """The rules for a call with `count` arguments."""
        if self.each is not None and count > len(self.vjps):
            with _growing:  # or another thread might number the same arguments, or take back what this one added
                self.vjps += tuple(self.each(i) for i in range(len(self.vjps), count))
        return self.vjps if self.each is None else self.vjps[:count]

    def bind(self, args: tuple[Any, ...], options: Options) -> tuple[tuple[Any, ...], Options]:
        """Arrays and named options of a call; options that no rule honours are refused, never ignored."""
        if len(args) == len(self.vjps):
            if not options:
                return args, self.defaults
            if all([name in self.options and value.__class__ in _PLAIN for name, value in options.items()]):
                return args, self.defaults | options if self.defaults else options
        if self.each is None and len(args) != len(self.vjps):
            if not self.vjps:
                raise TypeError(f"{self.name} has no derivative rule; add one with rule({self.name}, …)")
            names = self.positional[len(self.vjps) :]
            if not len(self.vjps) < len(args) <= len(self.vjps) + len(names):
                raise TypeError(f"{self.name} takes {len(self.vjps)} array argument(s) on tensors, got {len(args)}")
            options = dict(zip(names, args[len(self.vjps) :], strict=False)) | options
            args = args[: len(self.vjps)]
        options = {name: value for name, value in options.items() if value is not np._NoValue}
        options = self.defaults | options
        for name, value in options.items():
            if isinstance(value, np.ndarray):
                options[name] = value.copy()  # the rule must find it as it was
            if isinstance(value, Operand):
                if value.requires_grad:
                    raise TypeError(f"{self.name}: {name}= is a tensor that requires grad, but has no derivative rule")
                options[name] = value._value()
            if name not in self.options and value is not None:
                raise TypeError(
                    f"{self.name}: the option {name}= has no rule on tensors "
                    f"(these have: {', '.join(sorted(self.options)) or 'none'}). Leave it out, or compute on plain "
                    "arrays with .detach().numpy() if no gradient is wanted"
                )
        return args, {name: value for name, value in options.items() if name in self.options}


class _Kept(dict[tuple[bool, ...], tuple[bool, ...] | None]):
    """Which of the output and the arguments to keep when these arguments want a gradient; None for nothing.

    Where rules read only the shape of something, its node tells it, and just a constant, which has none, is kept.
    """

    def __init__(self, primitive: Primitive) -> None:
        self.primitive = primitive

    def __missing__(self, needed: tuple[bool, ...]) -> tuple[bool, ...] | None:
        values: set[int] = set()
        for need, vjp in zip(needed, self.primitive.vjps_for(len(needed)), strict=True):
            if need and vjp is not None:
                read, metadata = _reads(vjp, len(needed))
                values |= read | {k for k in metadata if k > 0 and not needed[k - 1]}
        self[needed] = keep = tuple(k in values for k in range(len(needed) + 1)) if values else None
        return keep

    def clear(self) -> None:
        super().clear()
        self.primitive.picks.clear()


class _Picks(dict[tuple[bool, ...], Callable[[Any], tuple[Any, ...]]]):
    """The same as what picks the values to keep out of `(None, y, *arguments)`, with None for the others."""

    def __init__(self, primitive: Primitive) -> None:
        self.primitive = primitive

    def __missing__(self, needed: tuple[bool, ...]) -> Callable[[Any], tuple[Any, ...]]:
        keep = self.primitive.kept[needed] or (False,) * (len(needed) + 1)
        self[needed] = pick = operator.itemgetter(*(k + 1 if kept else 0 for k, kept in enumerate(keep)))
        return pick


def _positional(function: Callable[..., Any]) -> tuple[tuple[str, ...], Options]:
    """The names of the parameters that can be given by position, and the defaults of all."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # ufuncs have no signature, and no option by position but out
        return (), {}
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty and p.default is not np._NoValue}
    return tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD), defaults


def _option_names(vjp: Vjp) -> list[str]:
    return [p.name for p in inspect.signature(vjp).parameters.values() if p.kind is p.KEYWORD_ONLY]


METADATA = frozenset({"shape", "ndim", "size", "dtype"})


def _reads(vjp: Vjp, count: int) -> tuple[set[int], set[int]]:
    """What a rule `(g, y, *arguments)` of `count` arguments reads, seen in its own code: positions (0 for `y`, then
    the arguments), by value and by shape only.

    A record keeps the arrays that its rules read and no others. What is not a plain Python function reads everything.
    """
    if not isinstance(vjp, FunctionType):
        return set(range(count + 1)), set()
    code = vjp.__code__
    positions = {name: {k - 1} for k, name in enumerate(code.co_varnames[: code.co_argcount]) if k > 0}
    if code.co_flags & inspect.CO_VARARGS:
        rest = code.co_varnames[code.co_argcount + code.co_kwonlyargcount]
        positions[rest] = set(range(code.co_argcount - 1, count + 1))
    values: set[int] = set()
    metadata: set[int] = set()
    instructions = list(dis.get_instructions(code))
    for instruction, following in itertools.zip_longest(instructions, instructions[1:]):
        if not instruction.opname.startswith(("LOAD_", "STORE_FAST_LOAD")):
            continue
        names = instruction.argval if isinstance(instruction.argval, tuple) else (instruction.argval,)
        for name in names:
            shape_only = name is names[-1] and following.opname == "LOAD_ATTR" and following.argval in METADATA
            (metadata if shape_only else values).update(positions.get(name, ()))
    return values, metadata - values


# Every function that tensors take, with what to call in its place: its `Primitive`, or a function made of primitives.
FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {}


def primitive_of(function: Callable[..., Any], forward: Callable[..., Any] | None = None) -> Primitive:
    """The primitive that stands for `function` in the table, made if there is none yet."""
    if isinstance(function, Primitive):
        FUNCTIONS[function] = function
        return function
    entry = FUNCTIONS.get(function)
    if not isinstance(entry, Primitive):
        entry = FUNCTIONS[function] = Primitive(function, forward)
    return entry


def primitive(function: Callable[..., Any]) -> Primitive:
    """Makes a plain function of arrays one step of the record; give it its derivative with `rule`.

    >>> @tg.primitive
    ... def square(x):
    ...     return x * x
    ...
    >>> tg.rule(square, lambda g, y, x: g * 2 * x)
    >>> tg.grad(square)(3.0)
    np.float64(6.0)
    """
    return Primitive(function)


def rule(function: Callable[..., Any], *vjps: Vjp | None, each: Callable[[int], Vjp] | None = None) -> None:
    """Enters the derivative of `function` into the table: one vector–Jacobian product for each array argument.

    Each is a function `(g, y, *arguments, **options)`: `g` is the gradient arriving at the output `y`, and it returns
    the gradient of its argument, before broadcasting is undone (the engine does that). Options are keyword-only
    parameters; one that no rule names is refused. None stands for an argument in which the function is piecewise
    constant. `each` makes the rule for argument i, for functions that take any number of arrays.

    Rules are written with NumPy functions and operators that have rules themselves, so they hold for tensors too.

    >>> product = tg.primitive(lambda a, b: a * b)
    >>> tg.rule(product, lambda g, y, a, b: g * b, lambda g, y, a, b: g * a)
    >>> tg.grad(product, argnums=(0, 1))(3.0, 5.0)
    (np.float64(5.0), np.float64(3.0))
    """
    if not vjps and each is None:
        raise TypeError(f"rule({getattr(function, '__name__', function)}): give one rule for each array argument")
    primitive_of(function).set_rules(vjps, each)
