"""What a derivative rule reads, by the names of its parameters, and how it is called with that."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .primitives import Primitive

Vjp = Callable[..., Any]
Options = dict[str, Any]
METADATA = ("shape", "ndim", "size", "dtype")


class Rule:
    """A vector–Jacobian product, and what it reads: of the output, which has position 0, and of the arguments.

    `call(g, saved, options)` is the gradient; `saved` holds the output and the arguments.
    """

    __slots__ = ("call", "metadata", "new", "options", "rest", "values", "vjp")

    def __init__(
        self, vjp: Vjp, given: Sequence[inspect.Parameter], primitive: Primitive, count: int, new: bool
    ) -> None:
        self.vjp = vjp
        self.new = new  # whether it gives an array that nobody else holds
        self.options = options_among(given)
        reads = _reads(given, primitive, count)
        self.rest = any(p.kind is p.VAR_POSITIONAL for p in given)
        self.values = frozenset(k for k, attribute in reads if attribute is None)
        self.metadata = frozenset(k for k, attribute in reads if attribute is not None) - self.values
        names = self.options
        own = lambda *args, **o: vjp(*args, **{name: o[name] for name in names if name in o})
        self.call = _caller(vjp if set(names) == primitive.options else own, reads, self.rest, bool(names))


def parameters_of(vjp: Vjp | None) -> tuple[inspect.Parameter, ...]:
    """The parameters of a rule, which it takes most of the time of an import to find out."""
    return () if vjp is None else tuple(inspect.signature(vjp).parameters.values())


def options_among(given: Sequence[inspect.Parameter]) -> list[str]:
    """The options that a rule reads."""
    return [p.name for p in given if p.kind is p.KEYWORD_ONLY]


def _reads(given: Sequence[inspect.Parameter], primitive: Primitive, count: int) -> list[tuple[int, str | None]]:
    """What the parameters of a rule stand for, behind the arriving gradient: positions, each with an attribute where
    not the value itself is read. What is bound already (`k=k`) stands for itself."""
    known = dict(zip(primitive.arguments, range(1, count + 1), strict=False))
    who = f"rule({primitive.name})"
    if not given or given[0].kind not in (given[0].POSITIONAL_ONLY, given[0].POSITIONAL_OR_KEYWORD):
        raise TypeError(f"{who}: the first parameter of a rule is the arriving gradient, lambda g, ...")
    if given[0].name in known:
        raise TypeError(
            f"{who}: the first parameter of a rule is the arriving gradient, but {given[0].name} is an argument of "
            f"{primitive.name}, too; give one of them another name"
        )
    reads: list[tuple[int, str | None]] = []
    bound = ""
    for p in given[1:]:
        if p.kind is p.VAR_KEYWORD or (p.kind is p.KEYWORD_ONLY and p.name in known):
            what = "options are named one by one" if p.kind is p.VAR_KEYWORD else "an argument stands before the *"
            raise TypeError(f"{who}: {what}, so that a rule says what it reads (got {p})")
        if p.kind is p.KEYWORD_ONLY:
            continue
        if p.kind is not p.VAR_POSITIONAL and (p.default is p.empty or p.name in known):
            reads.append(_resolved(p.name, known, primitive, count))
        elif p.name in primitive.defaults_of_its_own:
            raise TypeError(f"{who}: {p.name} is an option of {primitive.name}; options are keyword-only, after a *")
        elif p.kind is not p.VAR_POSITIONAL:
            bound = bound or p.name
            continue
        if bound:
            raise TypeError(f"{who}: {bound}= is bound already; put it after a *, behind what is to be filled in")
    return reads


def _resolved(name: str, known: dict[str, int], primitive: Primitive, count: int) -> tuple[int, str | None]:
    """What a parameter name of a rule stands for."""
    of, _, attribute = name.rpartition("_")
    if "y" in known and (name == "y" or (of == "y" and attribute in METADATA and name not in known)):
        raise TypeError(
            f"rule({primitive.name}): an argument of {primitive.name} is called y, which in rules is the output; "
            "rename the argument"
        )
    known = {**known, **({"x": 1} if count == 1 and "x" not in known else {}), **({} if "y" in known else {"y": 0})}
    if name in known:
        return known[name], None
    if of in known and attribute in METADATA:
        return known[of], attribute
    raise TypeError(
        f"rule({primitive.name}): nothing is called {name!r}. After the arriving gradient, a rule may name "
        f"{', '.join(known)} (and of each {', '.join(f'..._{m}' for m in METADATA)}); options are keyword-only, "
        "after a *"
    )


def _caller(
    vjp: Vjp, reads: list[tuple[int, str | None]], rest: bool, has_options: bool
) -> Callable[[Any, Any, Options], Any]:
    """`vjp(g, …)` with what it reads picked out of what was saved. The usual ones are spelt out: the call of a rule is
    a large part of the cost of a small operation."""
    if rest or any(attribute is not None for _, attribute in reads):
        getters = [operator.itemgetter(k) if attribute is None else _attribute(k, attribute) for k, attribute in reads]
        named = {k for k, _ in reads}
        none: Options = {}

        def call(g: Any, s: Any, o: Options) -> Any:
            others = [s[k] for k in range(1, len(s)) if k not in named] if rest else ()
            return vjp(g, *[get(s) for get in getters], *others, **(o if has_options else none))

        return call
    match [k for k, _ in reads]:
        case []:
            return (lambda g, s, o: vjp(g, **o)) if has_options else (lambda g, s, o: vjp(g))
        case [i]:
            return (lambda g, s, o: vjp(g, s[i], **o)) if has_options else (lambda g, s, o: vjp(g, s[i]))
        case [i, j]:
            return (lambda g, s, o: vjp(g, s[i], s[j], **o)) if has_options else (lambda g, s, o: vjp(g, s[i], s[j]))
        case positions:
            pick = operator.itemgetter(*positions)
            return (lambda g, s, o: vjp(g, *pick(s), **o)) if has_options else (lambda g, s, o: vjp(g, *pick(s)))


def _attribute(k: int, attribute: str) -> Callable[[Any], Any]:
    def get(saved: Any) -> Any:
        value = saved[k]
        return getattr(value if hasattr(value, attribute) else np.asarray(value), attribute)  # of a Python number, too

    return get
