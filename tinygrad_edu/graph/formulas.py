"""What a recorded operation computes, and the rules that ran for it, in one line each.

The rules are run on symbols that bear the names of their parameters, so what is written is the rule that runs.
"""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from ..autograd.primitives import Primitive
from ..autograd.record import Record
from ..compiler.lines import Line
from ..compiler.notation import BRIEF
from ..compiler.tracing import Symbol, Trace
from ..compiler.tracing import written as traced
from ..compiler.writer import Writer

LONGEST = 160  # characters; a longer rule is shown as it stands in its source
PLACES = 0xE000  # private characters, which no name should hold
EMPTY: Mapping[int, Any] = MappingProxyType({})
Formulas = tuple[str, tuple[str | None, ...]]
Template = tuple[str, tuple[tuple[str, str] | None, ...]]


def written(record: Record, known: dict[Any, Template]) -> Formulas:
    """The forward formula of a record, "y = x @ weight + bias", and for each argument that wants a gradient its rule,
    "dx = g @ weight.T". `known` holds those already written."""
    names = argument_names(record.primitive, len(record.nodes))
    words = ["g", "y", *names]
    forward, rules = template(record, known)
    told = (rule and f"d{name} = {filled(rule[0], words)}{rule[1]}" for rule, name in zip(rules, names, strict=True))
    return f"y = {filled(forward, words)}", tuple(rule or None for rule in told)


def template(record: Record, known: dict[Any, Template], numbers: Mapping[int, Any] = EMPTY) -> Template:
    """The right sides of the forward formula and of the rules, with places for what they read; `numbers` are constant
    arguments that the record did not keep. `known` holds those already written."""
    primitive, options = record.primitive, record.options or {}
    parents = record.nodes
    kept = primitive.kept(tuple(node is not None for node in parents)) if record.saved else set()
    arguments = [
        record.saved[k + 1] if record.saved and k + 1 in kept else numbers.get(k, _example(record, k))
        for k in range(len(parents))
    ]
    key = (
        primitive,
        tuple(_key(a) for a in arguments),
        tuple(node is not None for node in parents),
        tuple(_is_named(record, k) for k in range(len(parents))),
        tuple((name, repr(value)) for name, value in options.items()),
    )
    if key not in known:
        known[key] = _template(record, arguments, options)
    return known[key]


def place(k: int) -> str:
    """What stands in a template for g (0), for the output (1) and for the arguments (from 2)."""
    return chr(PLACES + k)


def filled(text: str, words: Sequence[str]) -> str:
    """A template with words in its places."""
    return text.translate({PLACES + k: word for k, word in enumerate(words)})


def _example(record: Record, k: int) -> Any:
    """An array of ones with the shape and the dtype of an argument that was not kept."""
    node = record.nodes[k]
    if node is not None:
        return np.broadcast_to(np.ones((), node.dtype), node.shape)[()]
    described = record.noted.constants and record.noted.constants[k]
    return np.broadcast_to(1.0, described[0] if described else ())


def _is_named(record: Record, k: int) -> bool:
    """Whether an argument is a constant that has a name, which formulas call it by."""
    described = record.noted.constants and record.noted.constants[k]
    return bool(described and described[1])


def _key(value: Any) -> Any:
    return (value.shape, value.dtype.char) if isinstance(value, np.ndarray) else (type(value), repr(value))


def _template(record: Record, arguments: list[Any], options: dict[str, Any]) -> Template:
    primitive = record.primitive
    parents = record.nodes
    rules_of = primitive.rules_for(len(parents))
    places = [place(k + 2) for k in range(len(parents))]
    literal = [
        node is None and not isinstance(a, np.ndarray) and not _is_named(record, k)
        for k, (a, node) in enumerate(zip(arguments, parents, strict=True))
    ]
    g = np.broadcast_to(np.ones((), record.dtype), record.shape)[()]
    output = g if record.saved is None or record.saved[0] is None else record.saved[0]
    forward = f"{primitive.name}({', '.join(places)})"

    def write(trace: Trace) -> Template:
        symbols = [a if plain else trace.input(a) for a, plain in zip(arguments, literal, strict=True)]
        gradient, result = trace.input(g), trace.input(output)
        called = {s.line: name for s, name in zip(symbols, places, strict=True) if isinstance(s, Symbol)}
        called |= {gradient.line: place(0), result.line: place(1)}
        formula = _expression(Line(primitive, tuple(map(_line, symbols)), options, g), called)
        rules: list[tuple[str, str] | None] = []
        for rule, node in zip(rules_of, parents, strict=True):
            if rule is None or node is None:
                rules.append(None)
                continue
            try:
                made = rule.call(gradient, (result, *symbols), options)
                text = _expression(_line(made), called)
                fitted = _fitting(np.shape(made), node.shape)
            except Exception:  # a rule may look at values, which a symbol refuses
                text, fitted = None, ""
            rules.append((text or _opened(_source(rule.vjp), primitive, len(parents)), fitted))
        return formula or forward, tuple(rules)

    made: Template = traced(write)
    return made


def _opened(text: str, primitive: Primitive, count: int) -> str:
    """A rule as it stands in its source, with places in place of its own names."""
    words = {name: place(k) for k, name in enumerate(["g", "y", *argument_names(primitive, count)])}
    return re.sub(r"(?<![.\w])[A-Za-z_]\w*\b(?!\s*=[^=])", lambda m: words.get(m[0], m[0]), text)


def _line(value: Any) -> Any:
    return value.line if isinstance(value, Symbol) else value


def _fitting(made: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """What the engine does to a gradient whose shape is not that of the argument."""
    if made == wanted:
        return ""
    return f", {'summed' if np.prod(made) > np.prod(wanted) else 'repeated'} to {wanted}"


def _expression(value: Any, names: dict[Line, str]) -> str | None:
    try:
        text = Writer(BRIEF, names).value(value)[1]
    except Exception:
        return None
    return text if len(text) <= LONGEST else None


def argument_names(primitive: Primitive, count: int) -> list[str]:
    """What the rules call their arguments."""
    own = [name.lstrip("_") for name in primitive.arguments[:count]]
    if count == 1 and own != ["x"]:
        named = {name for rule in primitive.rules if rule for name in inspect.signature(rule.vjp).parameters}
        return own if named.intersection(own) else ["x"]
    return own if len(own) == count else [f"x{k}" for k in range(1, count + 1)]


def _source(vjp: Callable[..., Any]) -> str:
    """A lambda's body as it stands in its file, or a function's name."""
    name = getattr(vjp, "__name__", "rule").lstrip("_")
    parameters = list(inspect.signature(vjp).parameters)
    if name == "<lambda>":
        try:
            line = inspect.getsourcelines(vjp)[1]
            bodies = _lambdas(inspect.getsourcefile(vjp) or "", line, tuple(parameters))
        except (OSError, TypeError):
            bodies = set()
        if len(bodies) == 1:
            return bodies.pop()
    return f"{'rule' if name == '<lambda>' else name}({', '.join([*parameters[:2], '…'])})"


def _lambdas(file: str, line: int, parameters: tuple[str, ...]) -> set[str]:
    """The bodies of the lambdas of these parameters that begin in a line."""
    source = "".join(linecache.getlines(file))
    found = set()
    for node in ast.walk(_parsed(source)):
        if isinstance(node, ast.Lambda) and node.lineno == line:
            a = node.args
            names = [p.arg for p in (*a.posonlyargs, *a.args, *([a.vararg] if a.vararg else []), *a.kwonlyargs)]
            if tuple(names) == parameters:
                found.add(" ".join((ast.get_source_segment(source, node.body) or "").split()))
    return found


@functools.lru_cache(maxsize=8)
def _parsed(source: str) -> ast.Module:
    return ast.parse(source)
