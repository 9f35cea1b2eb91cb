"""What a recorded operation computes, and the rules that ran for it, in one line each.

The rules are run on symbols that bear the names of their parameters, so what is written is the rule that runs.
"""

from __future__ import annotations

import inspect
import linecache
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.engine import Record
from ..autograd.primitives import Primitive
from ..compiler.notation import PYTHON
from ..compiler.tracing import Line, writing
from ..compiler.writer import Writer

LONGEST = 160  # characters; a rule that is longer when written out is shown as its source has it
Formulas = tuple[str, tuple[str | None, ...]]


def written(record: Record, known: dict[Any, Formulas]) -> Formulas:
    """The forward formula of a record, "y = x @ weight + bias", and for each argument that wants a gradient its rule,
    "dx = g @ weight.T". `known` holds those already written."""
    primitive, options = record.primitive, record.options or {}
    parents = record.parents
    kept = None if record.saved is None else primitive.kept[tuple(node is not None for node in parents)]
    arguments = [
        record.saved[k + 1] if record.saved and kept and kept[k + 1] else _example(record, k)
        for k in range(len(parents))
    ]
    key = (
        primitive,
        tuple(_key(a) for a in arguments),
        tuple(node is not None for node in parents),
        tuple((name, repr(value)) for name, value in options.items()),
    )
    if key not in known:
        known[key] = _formulas(record, arguments, options)
    return known[key]


def _example(record: Record, k: int) -> Any:
    """An array of ones with the shape and the dtype of an argument that was not kept."""
    node = record.parents[k]
    if node is not None:
        return np.broadcast_to(np.ones((), node.dtype), node.shape)[()]
    described = record.constants and record.constants[k]
    return np.broadcast_to(1.0, described[0] if described else ())


def _key(value: Any) -> Any:
    return (value.shape, value.dtype.char) if isinstance(value, np.ndarray) else (type(value), repr(value))


def _formulas(record: Record, arguments: list[Any], options: dict[str, Any]) -> Formulas:
    primitive = record.primitive
    parents = record.parents
    vjps = primitive.vjps_for(len(parents))
    names = argument_names(primitive, len(parents))
    literal = [node is None and not isinstance(a, np.ndarray) for a, node in zip(arguments, parents, strict=True)]
    g = np.broadcast_to(np.ones((), record.dtype), record.shape)[()]
    output = g if record.saved is None or record.saved[0] is None else record.saved[0]
    forward = f"{primitive.name}({', '.join(names)})"
    rules: list[str | None] = []
    with writing() as symbol:
        symbols = [a if plain else symbol(a) for a, plain in zip(arguments, literal, strict=True)]
        gradient, result = symbol(g), symbol(output)
        called = {s._origin: name for s, name in zip(symbols, names, strict=True) if hasattr(s, "_origin")}
        called |= {gradient._origin: "g", result._origin: "y"}
        lines = [s._origin if hasattr(s, "_origin") else s for s in symbols]
        forward = _expression(Line(primitive, tuple(lines), options, g), called) or forward
        for vjp, node, name in zip(vjps, parents, names, strict=True):
            if vjp is None or node is None:
                rules.append(None)
                continue
            try:
                made = vjp(gradient, result, *symbols, **options)
                text = _expression(made._origin if hasattr(made, "_origin") else made, called)
                fitted = _fitting(np.shape(made), node.shape)
            except Exception:  # a rule may look at values, which a symbol refuses
                text, fitted = None, ""
            rules.append(f"d{name} = {text or _source(vjp)}{fitted}")
    return f"y = {forward}", tuple(rules)


def _fitting(made: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """What the engine does to a gradient of another shape than its argument's."""
    if made == wanted:
        return ""
    return f", {'summed' if np.prod(made) > np.prod(wanted) else 'repeated'} to {wanted}"


def _expression(value: Any, names: dict[Line, str]) -> str | None:
    try:
        text = Writer(PYTHON, names).value(value)[1]
    except Exception:
        return None
    return text if len(text) <= LONGEST else None


def argument_names(primitive: Primitive, count: int) -> list[str]:
    """What the rules call their arguments."""
    for vjp in primitive.vjps:
        if inspect.isfunction(vjp):
            code = vjp.__code__
            names = list(code.co_varnames[2 : code.co_argcount])
            if len(names) == count and not any(name.startswith("_") for name in names):
                return names
    return ["x"] if count == 1 else [f"x{k}" for k in range(1, count + 1)]


def _source(vjp: Callable[..., Any]) -> str:
    """A lambda's body as it stands in its file, or a function's name."""
    code = getattr(vjp, "__code__", None)
    if code is not None and code.co_name == "<lambda>":
        places = [p for p in code.co_positions() if (None not in p and p[0] != p[1]) or p[2] != p[3]]
        first = min((p[0], p[2]) for p in places)
        last = max((p[1], p[3]) for p in places)
        lines = [linecache.getline(code.co_filename, n).encode() for n in range(first[0], last[0] + 1)]
        if lines and all(lines):
            lines[-1] = lines[-1][: last[1]]
            lines[0] = lines[0][first[1] :]
            return " ".join(b" ".join(lines).decode().split())
    return f"{getattr(vjp, '__name__', 'rule').lstrip('_')}(g, y, …)"
