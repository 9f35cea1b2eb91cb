"""`Module`: a function with parameters, which other modules are made of."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar, copy_context
from reprlib import recursive_repr
from typing import Any, NamedTuple, Self, TypeVar
from weakref import ref

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..autograd.conversion import values_of
from ..autograd.inplace import mark_changed, next_order
from ..autograd.printing import printable
from ..autograd.recording import array_of, interpreted, interpreter
from ..autograd.tensor import Tensor

Result = TypeVar("Result")
# Inside `evaluated`, the modes that modules were set to there, by identity; None outside.
_evaluating: ContextVar[dict[int, bool] | None] = ContextVar("tinygrad_edu.evaluating", default=None)
# Inside `summary`, the shapes of what modules and functions gave there, by their identity; None outside.
noted_shapes: ContextVar[dict[int, list[str]] | None] = ContextVar("tinygrad_edu.shapes", default=None)
_CONTAINERS = list, tuple, dict  # in which a module may give several tensors


class _Mode:
    """Whether a module is in training mode. `train()` and `eval()` set it; `predict` evaluates without touching it: in
    its context modules are in evaluation mode, unless one is set to training there (by a `forward` that samples)."""

    def __init__(self, default: bool) -> None:
        self.default = default

    def __get__(self, module: Module | None, owner: type[Any]) -> bool:
        if module is None:
            return self.default
        modes = _evaluating.get()
        if modes is None:
            mode: bool = module.__dict__.get("training", self.default)
            return mode
        return modes.get(id(module), False)

    def __set__(self, module: Module, mode: bool) -> None:
        modes = _evaluating.get()
        if modes is None:
            module.__dict__["training"] = bool(mode)
        else:
            modes[id(module)] = bool(mode)


KEPT = "what forward() keeps in an attribute is stored: make it in __init__, or hold it in a types.SimpleNamespace"


class Parameters(list[Tensor]):
    """A module's parameters, with their names for optimisers."""

    def __init__(self, named: Iterable[tuple[str, Tensor]]) -> None:
        self.names = {p: name for name, p in named}
        super().__init__(self.names)


class Module:
    """A function with parameters: the leaf tensors among its attributes that require grad, and its sub-modules'.

    Attributes are searched in the order in which they were set, and through lists, tuples and dicts. Arrays of numbers
    among them, such as running means, are not learned, but saved with the parameters. Subclasses define `forward`.

    >>> class Scale(tg.Module):
    ...     def __init__(self):
    ...         self.factor = tg.Tensor(2.0, requires_grad=True)
    ...     def forward(self, x):
    ...         return self.factor * x
    ...
    >>> [name for name, _ in tg.Sequential(Scale(), Scale()).named_parameters()]
    ['0.factor', '1.factor']
    """

    training: Any = _Mode(True)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if isinstance(mode := cls.__dict__.get("training"), bool):
            cls.training = _Mode(mode)

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        start = next_order()
        result = self.forward(*inputs, **options)
        if (shapes := noted_shapes.get()) is not None:
            note_shape(shapes, self, result)
        results: Any = (result,)
        if isinstance(result, _CONTAINERS):
            results = result.values() if isinstance(result, dict) else result
        for y in results:
            # A result says, for drawings, who made it since when. It does not keep the module alive, which may keep it.
            if type(y) is Tensor and (record := y.record) is not None and record.order < start:
                record.noting.calls += ((start, type(self), ref(self)),)
        return result

    def forward(self, *inputs: Any, **options: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not define forward(self, x)")

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Names such as "0.weight" with their tensors, each tensor once."""
        for name, value in self.named_tensors().items():
            if value.requires_grad:
                yield name, value

    def parameters(self) -> list[Tensor]:
        """The parameters, each once: a list that also has their `names`."""
        return Parameters(self.named_parameters())

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        yield from {id(m): m for m in (self, *(value for _, value in self._walk())) if isinstance(m, Module)}.values()

    def _walk(self) -> Iterator[tuple[str, Any]]:
        """Every module and tensor below this one with its path, depth first; a module that is met again is skipped."""
        for name, value, _, _ in self._items():
            if isinstance(value, Tensor | Module):
                yield name, value

    def _items(self, within: bool = True) -> Iterator[tuple[str, Any, Any, Any]]:
        """What it holds, also in lists, tuples and dicts and, if `within`, in its modules: each with its path and its
        place (in what, and under which key), depth first. A module or a list that is met again is skipped; modules are
        given again if not `within`."""
        seen = {id(self)}
        waiting: list[tuple[str, Any, Any, Any]] = [(name, v, self, name) for name, v in reversed(self._members())]
        while waiting:
            name, value, _, _ = item = waiting.pop()
            opened = isinstance(value, _CONTAINERS) or (within and isinstance(value, Module))
            if opened and id(value) in seen:
                continue
            if not isinstance(value, _CONTAINERS):
                yield item
            if opened:
                seen.add(id(value))
                if isinstance(value, Module):
                    inner: list[tuple[Any, Any]] = value._members()
                else:
                    inner = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
                waiting.extend((f"{name}.{key}", held, value, key) for key, held in reversed(inner))

    def _members(self) -> list[tuple[str, Any]]:
        return list(vars(self).items())

    @property
    def num_parameters(self) -> int:
        """How many numbers are learned: the elements of all parameters."""
        return sum(p.size for p in self.parameters())

    def zero_grad(self) -> None:
        for p in self.parameters():
            p.zero_grad()

    def train(self, mode: bool = True) -> Self:
        """Sets the module and all below it to training (dropout drops) or, with `False`, to evaluation."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        return self.train(False)

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Copies of the parameters' arrays by name, including frozen ones, other tensors, and arrays of numbers that
        the modules keep, such as running means."""
        return {name: values_of(kept.value).copy(order="K") for name, kept in self._state().items()}

    def named_tensors(self) -> dict[str, Tensor]:
        """All leaf tensors by name, each once: the parameters, frozen ones, and others that the modules keep."""
        return {name: kept.value for name, kept in self._state().items() if isinstance(kept.value, Tensor)}

    def _state(self) -> dict[str, _Kept]:
        """What makes up its state by name, each once. Raises `ValueError` for two of one name."""
        found: dict[int, _Kept] = {}
        state: dict[str, _Kept] = {}
        for name, value, owner, key in self._items():
            if isinstance(value, Tensor):
                if not value.is_leaf:
                    continue
            elif not isinstance(value, np.ndarray | np.generic) or value.dtype.kind not in "fiub":
                continue
            if id(value) not in found:
                if name in state:
                    raise ValueError(
                        f"{type(self).__name__} has two tensors or arrays of the name {name!r}; rename an attribute or "
                        "a key of a dict, without dots in it and with keys that are all texts"
                    )
                found[id(value)] = state[name] = _Kept(value, [])
            found[id(value)].places.append((owner, key))
        return state

    def load_state_dict(self, state: Mapping[str, Tensor | ArrayLike]) -> None:
        """Sets everything that `state_dict` gives. Raises `ValueError` and changes nothing if a name or shape is
        wrong."""
        kept = self._state()
        own = {name: k.value for name, k in kept.items()}
        arrays = {name: array_of(value) for name, value in state.items()}
        missing, unknown = own.keys() - arrays.keys(), arrays.keys() - own.keys()
        problems = [f"missing: {', '.join(sorted(missing))}"] if missing else []
        problems += [f"unknown: {', '.join(sorted(unknown))}"] if unknown else []
        fitted: dict[str, NDArray[Any]] = {}
        for name in own.keys() & arrays.keys():
            p = own[name]
            if arrays[name].shape != p.shape:
                problems.append(f"{name} is {arrays[name].shape}, the model wants {p.shape}")
            elif arrays[name].dtype.kind not in ("fiub" if p.dtype.kind == "b" else "fiu"):
                problems.append(f"{name} has dtype {arrays[name].dtype}, the model wants real numbers")
            elif not np.can_cast(arrays[name].dtype, p.dtype, "same_kind" if p.dtype.kind == "f" else "safe"):
                problems.append(f"{name} has dtype {arrays[name].dtype}, which {p.dtype} cannot hold")
            else:
                try:
                    with np.errstate(over="raise"):
                        fitted[name] = arrays[name].astype(p.dtype)  # a copy: the caller keeps theirs
                except FloatingPointError:
                    problems.append(f"{name} has numbers that are too large for {p.dtype}")
        if problems:
            advice = [KEPT] if unknown and not missing else []
            raise ValueError(f"load_state_dict: {'; '.join(sorted(problems) + advice)}")
        for name, k in kept.items():
            k.set(fitted[name])

    def summary(self, input_shape: int | tuple[int, ...] | None = None) -> str:
        """A table of the layers with their parameters, and with their output shapes for one sample of `input_shape`,
        found by running a sample of zeros through (of integers, for a model that takes only those). Without it, the
        shapes are those of a `Sequential` that starts with `Dense`, and unknown ("?") for another model."""
        layers = list(self._layers("", set())) or [("0", self, self.num_parameters)]
        given = (input_shape,) if isinstance(input_shape, int) else input_shape
        begins = isinstance(self, Iterable) or layers[0][1] is self
        first = getattr(layers[0][1], "in_features", None) if begins else None
        shape = given if given is not None else (None if first is None else (first,))
        shapes = {} if shape is None else self._output_shapes(shape, strict=given is not None)
        rows = [("layer", "output shape", "parameters")]
        for name, layer, count in layers:
            of_layer = shapes.get(id(layer), ["?"])
            shown = of_layer.pop(0) if len(of_layer) > 1 else of_layer[0]
            rows.append((f"{name} {name_of(layer)}".strip(), shown, f"{count:,}"))
        rows.append(("total", "", f"{self.num_parameters:,}"))
        return _table(rows)

    def _layers(self, path: str, seen: set[int]) -> Iterator[tuple[str, Any, int]]:
        """The rows of the table: layers without layers of their own, and modules that have parameters besides."""
        seen.add(id(self))
        children = self._children()
        own = [v for _, v, _, _ in self._items(within=False) if isinstance(v, Tensor) and v.requires_grad and v.is_leaf]
        if children and own:
            yield path, self, sum(p.size for p in dict.fromkeys(own))
        for name, layer in children:
            if not isinstance(layer, Module):
                yield f"{path}{name}", layer, 0
            elif not layer._children():
                yield f"{path}{name}", layer, layer.num_parameters
            elif id(layer) not in seen:
                yield from layer._layers(f"{path}{name}.", seen)

    def _output_shapes(self, shape: tuple[int, ...], strict: bool) -> dict[int, list[str]]:
        """The shapes that the layers give for a sample of zeros, by their identity; those up to the first error, unless
        `strict`."""
        shapes: dict[int, list[str]] = {}

        def run(dtype: type) -> None:
            shapes.clear()
            noted_shapes.set(shapes)
            self(np.zeros((1, *shape), dtype))

        try:
            evaluated(run, float)
        except Exception as error:
            floats = dict(shapes)
            try:
                evaluated(run, int)
            except Exception:
                if strict:
                    raise error from None
                return floats
        return shapes

    def _describe(self) -> str:
        """What `repr` writes between the parentheses."""
        return ""

    def _children(self) -> list[tuple[str, Any]]:
        """Its modules with their names, also those in lists and dicts; and the functions of a Sequential."""
        return [(name, v) for name, v, owner, _ in self._items(within=False)
                if isinstance(v, Module) or (owner is self and name.isdigit())]  # fmt: skip

    @recursive_repr("...")  # of a module that knows its parent
    def __repr__(self) -> str:
        children = self._children()
        if not children:
            return f"{type(self).__name__}({self._describe()})"
        inner = "\n".join(f"({name}): {name_of(value, whole=True)}".replace("\n", "\n  ") for name, value in children)
        return f"{type(self).__name__}(\n  " + inner.replace("\n", "\n  ") + "\n)"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """In a notebook, the table of its layers."""
        import html

        return {"text/plain": repr(self), "text/html": f"<pre>{html.escape(self.summary())}</pre>"}


class _Kept(NamedTuple):
    """A tensor or an array of a module's state, and where it is held."""

    value: Any
    places: list[tuple[Any, Any]]  # in which module, list, tuple or dict, and under which key

    def set(self, array: NDArray[Any]) -> None:
        if isinstance(self.value, Tensor):
            self.value.data = array
            return
        for owner, key in self.places:
            if isinstance(owner, Module) and key in vars(owner):
                setattr(owner, key, array if isinstance(self.value, np.ndarray) else array[()])
            elif isinstance(owner, list | dict):
                owner[key] = array if isinstance(self.value, np.ndarray) else array[()]
            else:  # of a tuple
                np.copyto(self.value, array)
                mark_changed(self.value)


def note_shape(shapes: dict[int, list[str]], layer: Any, output: Any) -> None:
    """Writes down the shape of what a layer gave."""
    several = output.values() if isinstance(output, dict) else output if isinstance(output, list | tuple) else [output]
    known = [str((None, *np.shape(y)[1:])) if isinstance(y, Tensor | np.ndarray) else "?" for y in several]
    shapes.setdefault(id(layer), []).append(", ".join(known))


def name_of(layer: Any, whole: bool = False) -> str:
    if not isinstance(layer, Module):
        return getattr(layer, "__name__", repr(layer))
    return repr(layer) if whole else repr(layer).split("\n", 1)[0].removesuffix("(")


def _table(rows: list[tuple[str, str, str]]) -> str:
    """The rows under each other in columns, with a line below the first and above the last."""
    widths = [max(len(row[k]) for row in rows) for k in range(3)]
    lines = [f"{a:{widths[0]}}  {b:{widths[1]}}  {c:>{widths[2]}}" for a, b, c in rows]
    rule = printable("─") * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


@contextlib.contextmanager
def keeping_modes(model: Any) -> Iterator[None]:
    """Afterwards each module of `model` is in training or evaluation as it was before, however the block ends."""
    modes = [(m, m.training) for m in model.modules()] if isinstance(model, Module) else []
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def evaluated(function: Callable[..., Result], *args: Any) -> Result:
    """Calls the function with all modules in evaluation mode, in this thread, without recording.

    It runs in a context of its own, so that however it ends, by Ctrl-C at any moment, every mode is as it was.
    """
    context = copy_context()
    context.run(_evaluating.set, {})
    result: Result = context.run(interpreted, interpreter().recording(False), function, *args)
    return result
