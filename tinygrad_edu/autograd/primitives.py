"""The table: functions of arrays with their derivative rules.

A `Primitive` is a function together with its rules; `rule` enters them. A rule names what it reads.
"""

from __future__ import annotations

import functools
import inspect
import operator
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np

from .locks import holding
from .reads import Options, Rule, Vjp, options_among, parameters_of
from .record import Operand
from .recording import interpreter

_PLAIN = {bool, float, int, slice, str, tuple, type(None)}  # options that need no second look
_growing = threading.RLock()


class Primitive:
    """A function of arrays with a derivative rule for each of its array arguments.

    Called with arrays it is the plain function; called with a tensor it is handed to the interpreter, which records it.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        forward: Callable[..., Any] | None = None,
        into: Callable[..., Any] | None = None,
        overwrites: int | None = None,
        adds: Callable[..., None] | None = None,
        moves: bool = False,
        selects: bool = False,
        elementwise: bool = False,
        marks_origin: bool = False,
        rows: str | None = None,
    ) -> None:
        self.function = function
        self.forward = forward or function  # the same function by a shorter way, where there is one
        self.into = into  # `(out, scratch, *args, **options)`: the same in given memory
        self.overwrites = overwrites  # the argument that `out` may be
        self.adds = adds  # adds the gradient of its argument to an array in place
        self.moves = moves  # whether it only moves elements: what they were made of stays true
        self.selects = selects or moves  # whether its results are elements of its argument: small integers stay small
        self.is_ufunc = isinstance(function, np.ufunc)  # then it gives floats for floats
        self.elementwise = elementwise or (isinstance(function, np.ufunc) and function.signature is None)
        self.rows = rows  # how it treats the rows of a batch, see `compiler/blocks.py`
        self.marks_origin = marks_origin  # whether its results remember, while they live, what they were made of
        self.steps = False  # whether it is a step function, from which whole numbers are taken without losing anything
        self.name: str = function.__name__.lstrip("_")
        self.rules: tuple[Rule | None, ...] = ()
        self.each: Callable[[int], Vjp] | None = None
        self.options: frozenset[str] = frozenset()  # those that the rules honour
        self.arguments, self.positional, self.defaults_of_its_own = _parameters(function)
        self.defaults: Options = {}  # the function's own, of the options that the rules honour
        self.reads_metadata = False
        self.operands = 0  # one or two, if that is all there is to say of it: then recording it is short
        self.picks = _Picks(self)
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *args: Any, **options: Any) -> Any:
        if not options and len(args) == self.operands:
            if isinstance(args[0], Operand):
                return interpreter().unary(self, *args) if self.operands == 1 else interpreter().binary(self, *args)
        elif options:
            for name in self.positional[len(args) : len(self.rules)]:  # arrays given by name
                if name not in options:
                    break
                args += (options.pop(name),)
        for arg in args:
            if isinstance(arg, Operand):
                return interpreter().apply(self, args, options)
        for value in options.values():  # in a trace, an index may be made of tensors
            if isinstance(value, Operand) or (value.__class__ is tuple and any(isinstance(v, Operand) for v in value)):
                return interpreter().apply(self, args, options)
        return self.forward(*args, **options)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def __reduce__(self) -> str:
        """Copied and pickled by name, as rules are found by identity."""
        return getattr(self.function, "__qualname__", self.function.__name__)

    def set_rules(
        self, vjps: tuple[Vjp | None, ...], each: Callable[[int], Vjp] | None, new: bool | tuple[int, ...]
    ) -> None:
        count = len(vjps)
        self.each, self._new = each, new
        given = [parameters_of(vjp) for vjp in (*vjps, each and each(0))]
        self.options = frozenset(name for parameters in given for name in options_among(parameters))
        self.rules = tuple(vjp and self._rule(vjp, given[k], k, count) for k, vjp in enumerate(vjps))
        rules = [rule for rule in (*self.rules, each and self._rule(each(0), given[-1], 0, 1)) if rule is not None]
        self.defaults = {name: value for name, value in self.defaults_of_its_own.items() if name in self.options}
        self.reads_metadata = any(rule.metadata for rule in rules)
        simple = self.elementwise and each is None and not (self.options or self.marks_origin or self.moves)
        self.operands = count if simple and count <= 2 else 0
        self.picks.clear()

    def _rule(self, vjp: Vjp, given: Sequence[inspect.Parameter], k: int, count: int) -> Rule:
        return Rule(vjp, given, self, count, self._new if isinstance(self._new, bool) else k in self._new)

    def rules_for(self, count: int) -> tuple[Rule | None, ...]:
        """The rules for a call with `count` arguments."""
        if self.each is None:
            return self.rules
        if count > len(self.rules):
            # or another thread might number the same arguments, or take back what this one added
            holding(_growing, self._grow, self.each, count)
        return self.rules[:count]

    def _grow(self, each: Callable[[int], Vjp], count: int) -> None:
        for i in range(len(self.rules), count):
            vjp = each(i)
            self.rules += (self._rule(vjp, parameters_of(vjp), i, count),)

    def kept(self, needed: tuple[bool, ...]) -> set[int]:
        """The positions of what to keep when these arguments want a gradient: what their rules read.

        Where a rule reads only the shape of something, its node tells it, and just a constant, which has none, is kept.
        """
        kept: set[int] = set()
        for need, rule in zip(needed, self.rules_for(len(needed)), strict=True):
            if need and rule is not None:
                kept |= rule.values | {k for k in rule.metadata if k > 0 and not needed[k - 1]}
                kept |= set(range(1, len(needed) + 1)) if rule.rest else set()
        return kept

    def bind(self, args: tuple[Any, ...], options: Options) -> tuple[tuple[Any, ...], Options]:
        """Arrays and named options of a call; options that no rule honours are refused, never ignored."""
        count = len(self.rules)
        if len(args) == count:
            if not options:
                return args, self.defaults
            if all([name in self.options and value.__class__ in _PLAIN for name, value in options.items()]):
                return args, self.defaults | options if self.defaults else options
        if self.each is None and len(args) != count:
            if not self.rules:
                raise TypeError(f"{self.name} has no derivative rule; add one with rule({self.name}, ...)")
            names = self.positional[count:]
            if not count < len(args) <= count + len(names):
                raise TypeError(f"{self.name} takes {count} array argument(s) on tensors, got {len(args)}")
            options = dict(zip(names, args[count:], strict=False)) | options
            args = args[:count]
        options = {name: value for name, value in options.items() if value is not np._NoValue}
        options = self.defaults | options
        for name, value in options.items():
            if isinstance(value, Operand):
                if value.requires_grad:
                    raise TypeError(f"{self.name}: {name}= is a tensor that requires grad, but has no derivative rule")
                options[name] = interpreter().detached(value)
            if isinstance(options[name], np.ndarray):
                options[name] = options[name].copy(order="K")  # the rule must find it as it was
            if name not in self.options and value is not None:
                raise TypeError(
                    f"{self.name}: the option {name}= has no rule on tensors "
                    f"(these have: {', '.join(sorted(self.options)) or 'none'}). Leave it out, or compute on plain "
                    "arrays with .detach().numpy() if no gradient is wanted"
                )
        return args, {name: value for name, value in options.items() if name in self.options}


class _Picks(dict[tuple[bool, ...], Callable[[Any], tuple[Any, ...]]]):
    """What picks the values to keep out of `(None, y, *arguments)`, with None for the others."""

    def __init__(self, primitive: Primitive) -> None:
        self.primitive = primitive

    def __missing__(self, needed: tuple[bool, ...]) -> Callable[[Any], tuple[Any, ...]]:
        kept = self.primitive.kept(needed)
        nothing = (None,) * (len(needed) + 1)
        pick: Callable[[Any], tuple[Any, ...]] = lambda _: nothing  # one for all, which costs no memory
        if kept:
            pick = operator.itemgetter(*(k + 1 if k in kept else 0 for k in range(len(needed) + 1)))
        self[needed] = pick
        return pick


def _parameters(function: Callable[..., Any]) -> tuple[tuple[str, ...], tuple[str, ...], Options]:
    """The names of the arguments given by position, those of them that may be given by name, and all defaults."""
    if isinstance(function, np.ufunc):
        return ("x",) if function.nin == 1 else tuple("abcdefg"[: function.nin]), (), {}
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return (), (), {}
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty and p.default is not np._NoValue}
    named = tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)
    return tuple(p.name for p in parameters if p.kind is p.POSITIONAL_ONLY) + named, named, defaults


# Every function that tensors take, with what to call in its place: its `Primitive`, or a function made of primitives.
FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {}
NAMED: dict[str, Primitive] = {}  # the primitives with rules by name, for methods of tensors
WAITING: dict[str, Callable[[], None]] = {}  # what enters the rules for a module's functions, once that is imported


def entered_now(function: Callable[..., Any]) -> bool:
    """Whether the table has the function after all, with the rules for modules that somebody has imported meanwhile."""
    for module, enter in WAITING.items():
        if sys.modules.get(module) is not None:
            enter()
    return function in FUNCTIONS


def primitive_of(function: Callable[..., Any], forward: Callable[..., Any] | None = None) -> Primitive:
    """The primitive that stands for `function` in the table, made if there is none yet."""
    if isinstance(function, Primitive):
        FUNCTIONS[function] = function
        return function
    entry = FUNCTIONS.get(function)
    if not isinstance(entry, Primitive):
        entry = FUNCTIONS[function] = Primitive(function, forward=forward)
    return entry


def implements(*functions: Callable[..., Any]) -> Callable[[Vjp], Vjp]:
    """Registers the function to call in place of NumPy's when a tensor is among the arguments: one made of functions
    that have rules."""

    def enter(function: Vjp) -> Vjp:
        for replaced in functions:
            FUNCTIONS[replaced] = function
        return function

    return enter


@overload
def primitive(function: Callable[..., Any]) -> Primitive: ...
@overload
def primitive(
    *,
    into: Callable[..., Any] | None = None,
    overwrites: int | None = None,
    adds: Callable[..., None] | None = None,
    moves: bool = False,
    selects: bool = False,
    elementwise: bool = False,
    marks_origin: bool = False,
    rows: str | None = None,
) -> Callable[[Callable[..., Any]], Primitive]: ...
def primitive(function: Callable[..., Any] | None = None, **traits: Any) -> Any:
    """Makes a plain function of arrays one step of the record; give it its derivative with `rule`.

    What the function is besides is said by `traits`: `@primitive(elementwise=True)`, if it treats each element by
    itself (then drawings may fold it with its like), or `into=`, the same function in given memory; see `Primitive`.

    >>> @tg.primitive
    ... def square(x):
    ...     return x * x
    ...
    >>> tg.rule(square, lambda g, x: g * 2 * x)
    >>> tg.grad(square)(3.0)
    np.float64(6.0)
    """
    return Primitive(function) if function is not None else functools.partial(Primitive, **traits)


def rule(
    function: Callable[..., Any],
    *vjps: Vjp | None,
    each: Callable[[int], Vjp] | None = None,
    new: bool | tuple[int, ...] = False,
) -> None:
    """Enters the derivative of `function` into the table: `vjps`, one vector–Jacobian product for each array argument.

    Each is a function `(g, …, *, options)`. `g` is the gradient arriving at the output; what else the rule reads, it
    names, and what a rule names is what a record keeps: `y`, the output; the function's own arguments by their names
    (`x` for a single one; `x`, or `a`, `b`, … for a ufunc), or only their shape (`x_shape`, also `_size`, `_ndim`,
    `_dtype`); `*rest` are the arguments that it does not name, in their order. It returns the gradient of its argument,
    before broadcasting is undone (the engine does that). Options are keyword-only parameters; one that no rule names is
    refused. None stands for an argument in which the function is piecewise constant. `each` makes the rule for argument
    i, for functions that take any number of arrays. `new` says that the rules (or those of these arguments) give arrays
    that nobody else holds, which saves a copy.

    Rules are written with NumPy functions and operators that have rules themselves, so they hold for tensors too.
    Raises `TypeError` for a rule that names something else.

    >>> product = tg.primitive(lambda a, b: a * b)
    >>> tg.rule(product, lambda g, b: g * b, lambda g, a: g * a)
    >>> tg.grad(product, argnums=(0, 1))(3.0, 5.0)
    (np.float64(5.0), np.float64(3.0))
    """
    if not vjps and each is None:
        raise TypeError(f"rule({getattr(function, '__name__', function)}): give one rule for each array argument")
    entry = primitive_of(function)
    entry.set_rules(vjps, each, new)
    NAMED.setdefault(entry.name, entry)
