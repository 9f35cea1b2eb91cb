"""What a function reads besides its arguments: the variables around it, the globals and attributes that it names, and
the attributes of the modules that it calls. What was made of the function holds as long as these are the same.
"""

from __future__ import annotations

import functools
import operator
import random
import sys
import sysconfig
import types
from collections import ChainMap, UserDict, UserList, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..autograd.record import Operand
from ..nn.module import Module

# Code that reads nothing of the user's
FOREIGN = {"numpy", "scipy", "tinygrad_edu", "matplotlib", "pandas", *sys.builtin_module_names}
ENDS = str | bytes | int | float | np.ndarray | np.generic | np.random.Generator | Operand | None
_WRITTEN = str | bytes | int | float | np.generic  # by which numbers are told apart
_GENERATORS = np.random.Generator | np.random.RandomState | random.Random
_MAPPINGS = (dict, types.MappingProxyType, ChainMap)  # others may make their items anew, without end
BY_NAME = {"getattr", "vars", "__dict__", "asdict", "astuple", "attrgetter"}  # then any attribute may be read
MISSING = object()
_STDLIB = sysconfig.get_path("stdlib")
MOST_WATCHED = 100_000  # elements of an array of which every run looks whether it has changed
MOST_ITEMS = 1000  # of a list or dict that is looked through


class Kept(NamedTuple):
    """What a function put in a place, and what was there before."""

    holder: Any  # a dict (of attributes, perhaps), other attributes, a list, the cell of a variable, a set or a deque
    key: Any
    old: Any
    value: Any

    def now(self) -> Any:
        if isinstance(self.holder, types.CellType):
            return self.holder.cell_contents
        return self.holder[self.key] if isinstance(self.holder, list) else self.holder.get(self.key)

    def put(self, value: Any) -> None:
        if isinstance(self.holder, types.CellType):
            self.holder.cell_contents = value
        elif isinstance(self.holder, _Attributes):
            self.holder.put(self.key, value)
        elif isinstance(self.holder, set | deque):
            self.holder.clear()
            (self.holder.update if isinstance(self.holder, set) else self.holder.extend)(value)
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
            self._entries: list[tuple[Any, Any]] = []  # mappings, or what has their `get`, with keys
            self._cells: list[types.CellType] = []
            self._functions: list[types.FunctionType] = []
            self._lists: list[list[Any]] = []
            self._found: dict[int, Any] = {}  # arrays
            self._sized: list[Mapping[Any, Any]] = []
            self._collections: list[set[Any] | deque[Any]] = []
            self._absent: list[tuple[Any, set[str]]] = []  # the attributes of objects, and those that they do not have
            self._generators: list[Any] = []  # of random numbers
            self.unwatched: list[str] = []  # what is too large to be looked at in each run
            self._walk(function, names)
        if "random" in names:
            self._generators += [np.random, random]  # each has one of its own
        self._arrays = [(array, array.copy()) for array in self._found.values() if array.size <= MOST_WATCHED]
        places = [m for m, _ in self._entries if isinstance(m, dict | _Attributes)]
        places += [m for m in (*self._sized, *(own for own, _ in self._absent)) if isinstance(m, dict)]
        holders = {id(m): m for m in (*places, *self._cells, *self._lists, *self._collections)}.values()
        self._before = [(holder, dict(_items(holder))) for holder in holders]
        self.unwatched += [f"an array of shape {a.shape}" for a in self._found.values() if a.size > MOST_WATCHED]
        self._drawn = [_state_of(g) for g in self._generators]
        self._reads = [(mapping.get, key) for mapping, key in self._entries]
        self.values = self.now()

    def now(self) -> list[Any]:
        values = [read(key, MISSING) for read, key in self._reads]
        values += [cell.cell_contents for cell in self._cells]
        for function in self._functions:  # which get new code where a notebook reads a changed file again
            values += function.__code__, function.__defaults__
        for items in self._lists:
            values += items
        for mapping in self._sized:
            values += mapping  # its keys, in their order
        values += map(tuple, self._collections)
        values += [own.keys().isdisjoint(names) for own, names in self._absent]
        return values

    def is_unchanged(self) -> bool:
        now = self.now()
        if len(now) != len(self.values):
            return False
        if not all(map(operator.is_, now, self.values)) and not all(map(_equal, now, self.values)):
            return False
        return all([same(array, copy) for array, copy in self._arrays])

    def draws(self) -> bool:
        """Whether random numbers were drawn since then that a program would not draw anew."""
        return repr(self._drawn) != repr([_state_of(g) for g in self._generators])

    def rewind(self) -> None:
        """Brings the generators of random numbers back to where they were."""
        for generator, state in zip(self._generators, self._drawn, strict=True):
            if isinstance(generator, np.random.Generator):
                generator.bit_generator.state = state
            else:
                (generator.set_state if hasattr(generator, "set_state") else generator.setstate)(state)

    def counted(self) -> list[str]:
        """The names of numbers that are others now."""
        pairs = zip(self._entries, self.values, self.now(), strict=False)
        return [
            str(key)
            for (mapping, key), old, new in pairs
            if isinstance(new, int | float) and new == new and old != new and not _is_installed(mapping)
        ]

    def without(self, kept: list[Kept]) -> State:
        """The same without the places whose tensors are put to use in each run. Where there was none yet, the next run
        finds one, and may do something else with it."""
        places = {(_identity(k.holder), k.key) for k in kept if isinstance(k.old, Operand)}
        self._entries = [(m, key) for m, key in self._entries if (_identity(m), key) not in places]
        self._cells = [cell for cell in self._cells if (id(cell), "cell_contents") not in places]
        self._reads = [(mapping.get, key) for mapping, key in self._entries]
        self.values = self.now()
        return self

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
            if value is not before.get(key, MISSING) and concerns(value)
        ]
        for kept in reversed(found):
            kept.put(kept.old)
        return found

    def _walk(self, function: Callable[..., Any], names: set[str]) -> None:
        seen: dict[int, Any] = {}
        waiting: list[Any] = [function]
        while waiting:
            value = waiting.pop()
            if isinstance(value, np.ndarray):
                self._found[id(value)] = value
            if isinstance(value, _GENERATORS) and not any(value is g for g in self._generators):
                self._generators.append(value)
            if isinstance(value, ENDS) or id(value) in seen:
                continue
            seen[id(value)] = value
            container = True
            if isinstance(value, list) and len(value) <= MOST_ITEMS:
                self._lists.append(value)
                waiting += value
            elif isinstance(value, _MAPPINGS) and len(value) <= MOST_ITEMS:
                self._sized.append(value)
                self._entries += [(value, key) for key in value]
                waiting += value.values()
            elif isinstance(value, set | deque) and len(value) <= MOST_ITEMS:
                self._collections.append(value)
                waiting += value
            elif isinstance(value, UserDict | UserList):
                waiting.append(value.data)
            elif isinstance(value, types.FunctionType):
                waiting += self._function(value, names)
            elif isinstance(
                value, tuple | functools.partial | types.MethodType | property | staticmethod | classmethod
            ):
                waiting += _parts(value)
            else:
                container = False
            if not container and isinstance(value, list | dict | set | deque):
                self.unwatched.append(f"a {type(value).__name__} of {len(value)} items")
            if not container or not _is_foreign(type(value)):
                if not isinstance(value, types.ModuleType):
                    own = _own(value)
                    self._absent.append((own, names - own.keys()))
                for mapping, keys in _attributes(value, names):
                    self._entries += [(mapping, key) for key in keys]
                    waiting += [mapping.get(key) for key in keys]
                waiting += _methods(value)

    def _function(self, function: types.FunctionType, names: set[str]) -> Iterator[Any]:
        """What a function's code may read; of a foreign one, what it was made with."""
        yield vars(function)  # its attributes
        codes = [] if _is_foreign(function) else [function.__code__]
        self._functions += [function] if codes else []
        mentioned: set[str] = set()
        while codes:
            code = codes.pop()
            constants = [c for each in code.co_consts for c in (each if isinstance(each, tuple) else (each,))]
            mentioned.update(code.co_names, (c for c in constants if isinstance(c, str) and c.isidentifier()))
            codes += [c for c in constants if isinstance(c, types.CodeType)]
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


def _equal(new: Any, old: Any) -> bool:
    """Whether a function computes the same with both: 1, 1.0 and True are equal, but results have other dtypes."""
    if new is old:
        return True
    if type(new) is not type(old):
        return False
    if isinstance(new, tuple):
        return len(new) == len(old) and all(map(_equal, new, old))
    return repr(new) == repr(old) if isinstance(new, _WRITTEN) else False


def same(array: Any, copy: Any) -> bool:
    """Whether an array, or a number, is as it was."""
    return np.array_equal(array, copy) or np.array_equal(array, copy, equal_nan=np.asarray(array).dtype.kind == "f")


def _items(holder: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(holder, dict | _Attributes):
        return holder.items()
    if isinstance(holder, set | deque):
        return [("elements", tuple(holder))]
    return enumerate(holder) if isinstance(holder, list) else [("cell_contents", holder.cell_contents)]


def _is_foreign(value: Any) -> bool:
    """Whether it is of a library, whose own globals are taken to stay as they are."""
    if isinstance(value, types.ModuleType):  # whose attributes the function names
        return value.__name__.partition(".")[0] in FOREIGN
    if isinstance(value, types.FunctionType):  # whose `__module__` may be that of what it wraps
        module, names = value.__globals__.get("__name__", "__main__"), value.__globals__
    else:
        module = getattr(value, "__module__", None)
        names = _own(sys.modules.get(str(module)))
    return not isinstance(module, str) or module.partition(".")[0] in FOREIGN or _is_installed(names)


def _state_of(generator: Any) -> Any:
    """Where a generator of random numbers is."""
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    return generator.get_state() if hasattr(generator, "get_state") else generator.getstate()


def _own(value: Any) -> Any:
    """The attributes of an object, if it can have any."""
    try:
        return vars(value)
    except Exception:  # also of somebody's own way to look up attributes
        return {}


def _parts(value: Any) -> list[Any]:
    if isinstance(value, functools.partial):
        return [value.func, *value.args, value.keywords]
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, property):
        return [value.fget]
    return [value.__func__, getattr(value, "__self__", None)]


def _is_installed(mapping: Any) -> bool:
    """Whether these are the names of a module of Python's own or of an installed package."""
    file = str(mapping.get("__file__") or "")
    return file.startswith(_STDLIB) or "site-packages" in file or "dist-packages" in file


def _identity(holder: Any) -> int:
    return id(holder.value if isinstance(holder, _Attributes) else holder)


class _Attributes:
    """The attributes of a class, or of an object that has no dict of them. `kept` are those that may be put back."""

    def __init__(self, value: Any, kept: Iterable[str] = ()) -> None:
        self.value, self.kept = value, list(kept)

    def get(self, name: str, default: Any = None) -> Any:
        if isinstance(self.value, type):
            return vars(self.value).get(name, default)
        try:
            return getattr(self.value, name, default)
        except Exception:  # of a property, whatever it is
            return default

    def put(self, name: str, value: Any) -> None:
        if value is MISSING:
            delattr(self.value, name)
        else:
            setattr(self.value, name, value)

    def items(self) -> list[tuple[str, Any]]:
        return [(name, value) for name in self.kept if (value := self.get(name, MISSING)) is not MISSING]


def _attributes(value: Any, names: set[str]) -> Iterator[tuple[Any, list[Any]]]:
    """Where the function may look something up, with the keys: mappings, or what has their `get`."""
    mro = value.__mro__ if isinstance(value, type) else type(value).__mro__
    classes = [cls for cls in mro if cls is not value and not _is_foreign(cls)]
    inherited = names & {name for cls in classes for name in vars(cls)}
    own = _own(value)
    if isinstance(value, Module):
        yield own, list(own.keys() | inherited | {"training", "forward"})  # which are read by `__call__`
    elif not names.isdisjoint(BY_NAME) and _is_somebodys(value):
        yield own, list(own)
    elif own and not (isinstance(value, type | types.ModuleType) and _is_foreign(value)):
        of_own = names & own.keys()
        yield _Attributes(value, of_own) if isinstance(value, type) else own, list(of_own | inherited)
    properties = {n for cls in mro for n in names & vars(cls).keys() if isinstance(vars(cls)[n], property)}
    if not isinstance(value, type):
        found = _Attributes(value)
        yield found, [n for n in properties if isinstance(found.get(n), int | float | str)]
    for cls in classes:
        of_class = inherited | {"forward"}  # each class may be given what it has from others so far
        yield _Attributes(cls, of_class), list(of_class)
        if slots := vars(cls).get("__slots__"):
            own = names & {slots} if isinstance(slots, str) else names & set(slots)
            yield _Attributes(value, own), list(own)


def _is_somebodys(value: Any) -> bool:
    """Whether it is an object of the user's, or a namespace."""
    kind = type(value)
    return not isinstance(value, type | types.ModuleType) and (
        not _is_foreign(kind) or kind.__module__ in ("types", "argparse")
    )


def _methods(value: Any) -> Iterator[Any]:
    """The functions of a class that run when objects are made, called, or stand beside an operator."""
    if isinstance(value, types.ModuleType):
        return
    for cls in value.__mro__ if isinstance(value, type) else type(value).__mro__:
        if not _is_foreign(cls):
            yield from (f for name, f in vars(cls).items() if name == "forward" or name.startswith("__"))
