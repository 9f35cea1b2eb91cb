"""`Module`: a function with parameters, which other modules are made of."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar, copy_context
from reprlib import recursive_repr
from typing import Any, Self, TypeVar
from weakref import ref

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ..autograd.conversion import values_of
from ..autograd.inplace import next_order
from ..autograd.printing import Table
from ..autograd.recording import array_of, interpreted, interpreter
from ..autograd.tensor import Tensor
from .state import Kept, NotLoaded, fitted, is_number
from .summary import note_shape, noted_shapes, sample_of, table

Result = TypeVar("Result")
# Inside `evaluated`, the modes that modules were set to there, by identity; None outside.
_evaluating: ContextVar[dict[int, bool] | None] = ContextVar("tinygrad_edu.evaluating", default=None)
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
        if type(result) is Tensor:
            results: Any = (result,)
        elif isinstance(result, _CONTAINERS):
            results = result.values() if isinstance(result, dict) else result
        else:
            return result
        for y in results:
            # A result says, for drawings, who made it since when. It does not keep the module alive, which may keep it.
            if type(y) is Tensor and (record := y.record) is not None and record.order < start:
                record.calls += ((start, type(self), ref(self)),)
        return result

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """What the module computes; `module(x)` calls it. Subclasses define it."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward(self, x)")

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Names such as "0.weight" with their tensors, each tensor once."""
        for name, value in self.named_tensors().items():
            if value.requires_grad:
                yield name, value

    def parameters(self) -> list[Tensor]:
        """The parameters, each once: a list that also has their `names`.

        >>> [p.shape for p in tg.Dense(3, 2).parameters()]
        [(3, 2), (2,)]
        """
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
        """Forgets the gradients of all parameters."""
        for p in self.parameters():
            p.zero_grad()

    def train(self, mode: bool = True) -> Self:
        """Sets the module and all below it to training (dropout drops) or, with `False`, to evaluation."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Sets the module and all below it to evaluation, `train(False)`."""
        return self.train(False)

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Copies of the parameters' arrays by name, including frozen ones, other tensors, and arrays of numbers that
        the modules keep, such as running means.

        >>> tg.Dense(1, 1, init="zeros").state_dict()
        {'weight': array([[0.]]), 'bias': array([0.])}
        """
        return {name: values_of(kept.value).copy(order="K") for name, kept in self._state().items()}

    def named_tensors(self) -> dict[str, Tensor]:
        """All leaf tensors by name, each once: the parameters, frozen ones, and others that the modules keep."""
        return {name: kept.value for name, kept in self._state().items() if isinstance(kept.value, Tensor)}

    def _state(self) -> dict[str, Kept]:
        """What makes up its state by name, each once. Raises `ValueError` for two of one name."""
        found: dict[int, Kept] = {}
        state: dict[str, Kept] = {}
        for name, value, owner, key in self._items():
            if isinstance(value, Tensor):
                if not value.is_leaf:
                    continue
            elif not is_number(value):
                continue
            if id(value) not in found:
                if name in state:
                    raise ValueError(
                        f"{type(self).__name__} has two tensors or arrays of the name {name!r}; rename an attribute or "
                        "a key of a dict, without dots in it and with keys that are all texts"
                    )
                found[id(value)] = state[name] = Kept(value, [])
            found[id(value)].places.append((owner, key))
        return state

    def load_state_dict(self, state: Mapping[str, Tensor | ArrayLike], strict: bool = True) -> NotLoaded | None:
        """Sets everything that `state_dict` gives. Raises `ValueError` and changes nothing if a name or shape is wrong.
        With `strict=False`, names that are not in both are left out, and returned: `NotLoaded(missing, unknown)`.

        Numbers of the name num_batches_tracked, which PyTorch's BatchNorm counts, are ignored."""
        kept = self._state()
        given = {name: array_of(value) for name, value in state.items()}
        arrays, left = fitted({name: k.value for name, k in kept.items()}, given, strict)
        for name, array in arrays.items():
            kept[name].set(array)
        return None if strict else left

    def register_buffer(self, name: str, values: Tensor | ArrayLike) -> None:
        """Makes an attribute of numbers that are not learned, but saved and loaded with the parameters, such as a
        running mean: a tensor that does not require grad. Assign new numbers to its `.data`, in compiled steps too.

        Raises `ValueError` for a name that is taken or has a dot, `TypeError` for a tensor that requires grad.

        >>> net = tg.Module()
        >>> net.register_buffer("mean", np.zeros(3))
        >>> net.state_dict()
        {'mean': array([0., 0., 0.])}
        """
        who = f"{type(self).__name__}.register_buffer"
        if not isinstance(name, str) or not name or "." in name:
            raise ValueError(f"{who}: the name must be a text without dots, not {name!r}")
        old = vars(self).get(name)
        if hasattr(self, name) and not (isinstance(old, Tensor) and not old.requires_grad):
            raise ValueError(f"{who}: there is an attribute {name!r} already, a {type(getattr(self, name)).__name__}")
        if isinstance(values, Tensor) and values.requires_grad:
            raise TypeError(f"{who}: {name!r} requires grad. Set it as an attribute to have it learned, or detach() it")
        setattr(self, name, values if isinstance(values, Tensor) else Tensor(values, name=name))

    def apply(self, function: Callable[[Module], object]) -> Self:
        """Calls `function` with each module below this one and then with this one, each once, and returns this one.

        >>> net = tg.Sequential(tg.Dense(2, 3), tg.Tanh(), tg.Dense(3, 1))
        >>> net.apply(lambda m: print(type(m).__name__)).training
        Dense
        Tanh
        Dense
        Sequential
        True
        """
        seen: set[int] = set()
        waiting: list[tuple[Module, bool]] = [(self, False)]
        while waiting:
            module, ready = waiting.pop()
            if ready:
                function(module)
            elif id(module) not in seen:
                seen.add(id(module))
                waiting.append((module, True))
                waiting += [(m, False) for _, m in reversed(module._children()) if isinstance(m, Module)]
        return self

    def astype(self, dtype: DTypeLike) -> Self:
        """Gives the parameters and buffers another precision, in place, with their gradients; integers stay as they
        are. Raises `TypeError` for a dtype that is not real floats, and for an array in a tuple."""
        wanted = np.dtype(dtype)
        if wanted.kind != "f":
            raise TypeError(f"{type(self).__name__}.astype({wanted}): parameters are real floats, such as np.float32")
        state = self._state()
        for name, kept in state.items():
            if kept.is_fixed:
                raise TypeError(f"{type(self).__name__}.astype: the array {name!r} is in a tuple; hold it in a list")
        for kept in state.values():
            kept.convert(wanted)
        return self

    def summary(self, *inputs: Any) -> Table:
        """A table of the layers with their parameters, and with the shapes of their outputs for `inputs`, which are run
        through the model: samples as `forward` takes them (arrays of floats or integers, also several), or in the place
        of an array the shape of one row, an int or a tuple. That stands for a row of zeros, of integers for a model
        that takes only those. Without inputs, the shapes are those of a `Sequential` that starts with `Dense`, and
        unknown ("?") for another model. None in a shape is the number of rows.

        >>> print(tg.Sequential(tg.Flatten(), tg.Dense(6, 2)).summary(np.ones((5, 2, 3))))
        layer           output shape  parameters
        ────────────────────────────────────────
        0 Flatten()     (None, 6)              0
        1 Dense(6 → 2)  (None, 2)             14
        ────────────────────────────────────────
        total                                 14
        """
        layers = list(self._layers("", set())) or [("0", self, self.num_parameters)]
        begins = isinstance(self, Iterable) or layers[0][1] is self
        first = getattr(layers[0][1], "in_features", None) if begins else None
        given = inputs or (() if first is None else (first,))
        shapes = self._output_shapes(given, strict=bool(inputs)) if given else {}
        rows = [("layer", "output shape", "parameters")]
        for name, layer, count in layers:
            of_layer = shapes.get(id(layer), ["?"])
            shown = of_layer.pop(0) if len(of_layer) > 1 else of_layer[0]
            rows.append((f"{name} {name_of(layer)}".strip(), shown, f"{count:,}"))
        rows.append(("total", "", f"{self.num_parameters:,}"))
        return table(rows)

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

    def _output_shapes(self, inputs: tuple[Any, ...], strict: bool) -> dict[int, list[str]]:
        """The shapes that the layers give for the inputs, or for zeros of the shapes given in their place, by their
        identity; those up to the first error, unless `strict`."""
        shapes: dict[int, list[str]] = {}

        def run(dtype: type) -> None:
            shapes.clear()
            noted_shapes.set(shapes)
            self(*(sample_of(given, dtype) for given in inputs))

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
        inner = "\n".join(f"({name}): {name_of(value, whole=True)}" for name, value in children)
        return f"{type(self).__name__}(\n  " + inner.replace("\n", "\n  ") + "\n)"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """In a notebook, the table of its layers."""
        return {"text/plain": repr(self), "text/html": self.summary()._repr_html_()}

    # Last, because from here on these names mean the methods

    def float(self) -> Self:
        """`astype(np.float32)`."""
        return self.astype(np.float32)

    def double(self) -> Self:
        """`astype(np.float64)`."""
        return self.astype(np.float64)


def name_of(layer: Any, whole: bool = False) -> str:
    if not isinstance(layer, Module):
        return getattr(layer, "__name__", repr(layer))
    return repr(layer) if whole else repr(layer).split("\n", 1)[0].removesuffix("(")


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
