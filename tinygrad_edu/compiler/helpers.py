# mypy: allow-untyped-defs
"""The functions that a printed derivation calls: those that NumPy lacks, and how definitions are taken from source."""

from __future__ import annotations

import inspect
import symtable
import textwrap
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..autograd.primitives import Primitive

# What a person would write, for rows of a finite matrix: the package's own functions are longer, because they take any
# axis and infinities.


def sigmoid(z):
    return np.exp(-np.logaddexp(0, -z))


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def log_softmax(z):
    z = z - z.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def one_hot(labels, classes):
    return np.eye(classes)[labels.reshape(-1).astype(int)]


# Definitions


def function_of(function: Any) -> Any:
    """The plain function behind a primitive, or behind what `on_values` gave: the key of the tables here."""
    if isinstance(function, Primitive):
        return function.function
    return inspect.unwrap(function) if isinstance(function, types.FunctionType) else function


def definitions(wanted: dict[str, Any]) -> str:
    """The source of functions under the names that they are called by, after the source of what they use themselves."""
    written: dict[str, str] = {}
    imports: set[str] = set()
    waiting = list(wanted.items())
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, types.ModuleType):
            imports.add(f"import {value.__name__}" + (f" as {name}" if name != value.__name__ else ""))
            continue
        function = inspect.unwrap(function_of(value)) if callable(value) else None
        text = f"{name} = {_literal(value)}" if function is None else _source(name, function)
        if name not in written and function is not None:
            waiting.extend(_used(function, text))
        if written.setdefault(name, text) != text:
            raise TypeError(f"two functions of this derivation use the name {name} for different things; rename one")
    imports -= {"import numpy as np"}
    return "\n".join(sorted(imports)) + "\n\n\n" * bool(imports) + "\n\n\n".join(reversed(written.values()))


def _source(name: str, function: Callable[..., Any]) -> str:
    """The definition of a function, without decorators and under the name that it is called by."""
    head = f"def {getattr(function, '__name__', None)}"
    try:
        lines = textwrap.dedent(inspect.getsource(function)).splitlines()
        start = next(k for k, line in enumerate(lines) if line.startswith(head))
    except (OSError, TypeError, StopIteration):  # NumPy's functions in C have none, and a lambda no definition
        raise TypeError(f"the source of {name} is not available, so the derivation cannot be printed") from None
    return "\n".join([f"def {name}{lines[start].removeprefix(head)}", *lines[start + 1 :]])


def _used(function: Any, text: str) -> Iterator[tuple[str, Any]]:
    """What a function, or one inside it, takes by name from its module, or from a function around it."""
    known = function.__globals__ | inspect.getclosurevars(function).nonlocals
    table = symtable.symtable(f"from __future__ import annotations\n{text}", "<source>", "exec")
    names: set[str] = set()
    scopes = [table]
    while scopes:
        scope = scopes.pop()
        names.update(s.get_name() for s in scope.get_symbols() if s.is_global() and s.is_referenced())
        scopes.extend(scope.get_children())
    written = types.ModuleType, types.FunctionType, Primitive, dict, tuple, int, float, str
    found = ((name, known.get(name)) for name in sorted(names))
    return ((name, v) for name, v in found if isinstance(v, written) or hasattr(v, "cache_info"))  # by functools.cache


def _literal(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_literal(k)}: {_literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, type) and issubclass(value, np.generic):
        return f"np.{value.__name__}"
    return repr(value)
