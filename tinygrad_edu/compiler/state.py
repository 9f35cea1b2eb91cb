"""What a function reads besides its arguments: the variables around it, the globals and attributes that it names, and
the attributes of the modules that it calls. What was made of the function holds as long as these are the same.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..autograd.record import Operand
from ..nn.module import Module

# Code that reads nothing of the user's
FOREIGN = {"numpy", "scipy", "tinygrad_edu", "matplotlib", "pandas", *sys.stdlib_module_names} - {"__main__"}
ENDS = str | bytes | int | float | np.ndarray | np.generic | np.random.Generator | Operand | None
MISSING = object()
MOST_ITEMS = 1000  # of a list or dict that is looked through


class Kept(NamedTuple):
    """What a function put in a place, and what was there before."""

    holder: Any  # a dict (of attributes, perhaps), a list, or the cell of a variable
    key: Any
    old: Any
    value: Any

    def put(self, value: Any) -> None:
        if isinstance(self.holder, types.CellType):
            self.holder.cell_contents = value
        elif value is MISSING:
            del self.holder[self.key]
        else:
            self.holder[self.key] = value


class State:
    """The places where a function finds what it reads, and what was there at one moment."""

    def __init__(self, function: Callable[..., Any]) -> None:
        names: set[str] = set()  # that the code found so far mentions
        known = -1
        while known < len(names):
            known = len(names)
            self._entries: list[tuple[Mapping[Any, Any], Any]] = []
            self._cells: list[types.CellType] = []
            self._lists: list[list[Any]] = []
            self._walk(function, names)
        owners = {id(m): m for m, _ in self._entries if isinstance(m, dict)}
        self._before = [(holder, dict(_items(holder))) for holder in (*owners.values(), *self._cells, *self._lists)]
        self.values = self.now()

    def now(self) -> list[Any]:
        values = [mapping.get(key, MISSING) for mapping, key in self._entries]
        values += [cell.cell_contents for cell in self._cells]
        for items in self._lists:
            values += items
        return values

    def is_unchanged(self) -> bool:
        try:
            return self.now() == self.values  # lists compare identical objects as equal, without looking into them
        except (ValueError, TypeError):  # arrays or tensors, other ones
            return False

    def changed(self) -> str:
        """The name of a place where something else is now."""
        for (_, key), old, new in zip(self._entries, self.values, self.now(), strict=False):
            if old is not new:
                return repr(key)
        return "a variable around it"

    def taken_back(self, concerns: Callable[[Any], bool]) -> list[Kept]:
        """What was put in a place since then and `concerns` us; in its place is again what was there before."""
        found = [
            Kept(holder, key, before.get(key, MISSING), value)
            for holder, before in self._before
            for key, value in list(_items(holder))
            if concerns(value)
        ]
        for kept in reversed(found):
            kept.put(kept.old)
        return found

    def _walk(self, function: Callable[..., Any], names: set[str]) -> None:
        seen: dict[int, Any] = {}
        waiting: list[Any] = [function]
        while waiting:
            value = waiting.pop()
            if isinstance(value, ENDS) or id(value) in seen:
                continue
            seen[id(value)] = value
            if isinstance(value, list) and len(value) <= MOST_ITEMS:
                self._lists.append(value)
                waiting += value
            elif isinstance(value, types.FunctionType):
                waiting += self._function(value, names)
            elif isinstance(value, tuple | functools.partial | types.MethodType):
                waiting += _parts(value)
            else:
                for mapping, keys in _attributes(value, names):
                    self._entries += [(mapping, key) for key in keys]
                    waiting += [mapping.get(key) for key in keys]
                waiting += _methods(value)

    def _function(self, function: types.FunctionType, names: set[str]) -> Iterator[Any]:
        """What a function's code may read."""
        if _is_foreign(function):
            return
        codes = [function.__code__]
        mentioned: set[str] = set()
        while codes:
            code = codes.pop()
            mentioned.update(code.co_names)
            codes += [c for c in code.co_consts if isinstance(c, types.CodeType)]
        names |= mentioned
        found = sorted(mentioned & function.__globals__.keys())
        self._entries += [(function.__globals__, name) for name in found]
        yield from (function.__globals__[name] for name in found)
        for cell in function.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:  # not filled yet
                continue
            self._cells.append(cell)
        yield from function.__defaults__ or ()
        yield from (function.__kwdefaults__ or {}).values()


def _items(holder: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(holder, dict):
        return holder.items()
    return enumerate(holder) if isinstance(holder, list) else [("cell_contents", holder.cell_contents)]


def _is_foreign(value: Any) -> bool:
    module = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
    return not isinstance(module, str) or module.partition(".")[0] in FOREIGN


def _parts(value: Any) -> list[Any]:
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    return list(value) if isinstance(value, tuple) else [value.__func__, value.__self__]


def _attributes(value: Any, names: set[str]) -> Iterator[tuple[Mapping[Any, Any], list[Any]]]:
    """Mappings in which the function may look something up, with the keys."""
    if isinstance(value, dict):
        if len(value) <= MOST_ITEMS:
            yield value, list(value)
        return
    own = getattr(value, "__dict__", None)
    if own is None:
        return
    mro = value.__mro__ if isinstance(value, type) else type(value).__mro__
    classes = [cls for cls in mro if cls is not value and not _is_foreign(cls)]
    inherited = names & {name for cls in classes for name in vars(cls)}
    if isinstance(value, Module):
        yield own, list(own.keys() | inherited | {"training"})
    elif not _is_foreign(value if isinstance(value, type | types.ModuleType) else type(value)):
        yield own, list(names & own.keys() | inherited)
    for cls in classes:
        yield vars(cls), list(names & vars(cls).keys())


def _methods(value: Any) -> Iterator[Any]:
    """The functions of an object's class that run when it is called."""
    if isinstance(value, type | types.ModuleType):
        return
    for cls in type(value).__mro__:
        if not _is_foreign(cls):
            yield from (vars(cls)[name] for name in ("__call__", "forward") if name in vars(cls))
