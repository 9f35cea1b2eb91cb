"""Networks: modules that hold parameters, and the layers to build a classifier from. From simple to less simple."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self, overload
from weakref import ref

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from . import functional as F
from .engine import next_order
from .positions import warn_user
from .random import generator
from .recording import is_recording, no_grad
from .tensor import Tensor
from .values import shape_of

Rng = np.random.Generator | int | None
Initializer = Callable[[tuple[int, ...], np.random.Generator], NDArray[Any]]


class Module:
    """A function with parameters: the leaf tensors among its attributes that require grad, and its sub-modules'.

    Attributes are searched in the order in which they were set, and through lists, tuples and dicts. Subclasses
    define `forward`.

    >>> class Scale(tg.Module):
    ...     def __init__(self):
    ...         self.factor = tg.Tensor(2.0, requires_grad=True)
    ...     def forward(self, x):
    ...         return self.factor * x
    ...
    >>> [name for name, _ in tg.Sequential(Scale(), Scale()).named_parameters()]
    ['0.factor', '1.factor']
    """

    training: bool = True

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        start = next_order()
        result = self.forward(*inputs, **options)
        if type(result) is Tensor:
            results: Any = (result,)
        elif isinstance(result, list | tuple | dict):
            results = result.values() if isinstance(result, dict) else result
        else:
            return result
        for y in results:
            # A result says, for drawings, who made it since when. It does not keep the module alive, which may keep it.
            if type(y) is Tensor and (record := y.record) is not None and record.order < start:
                record.calls = (*getattr(record, "calls", ()), (start, type(self), ref(self)))
        return result

    def forward(self, *inputs: Any, **options: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not define forward(self, x)")

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Names such as "0.weight" with their tensors, each tensor once."""
        seen: set[int] = set()
        for name, value in self._walk():
            if isinstance(value, Tensor) and value.requires_grad and value.is_leaf and id(value) not in seen:
                seen.add(id(value))
                yield name, value

    def parameters(self) -> list[Tensor]:
        return [parameter for _, parameter in self.named_parameters()]

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        yield self
        yield from dict.fromkeys(value for _, value in self._walk() if isinstance(value, Module) and value is not self)

    def _walk(self) -> Iterator[tuple[str, Any]]:
        """Every module and tensor below this one with its path, depth first; a module that is met again is skipped."""
        seen = {id(self)}
        waiting: list[tuple[str, Any]] = [(name, value) for name, value in reversed(self._members())]
        while waiting:
            name, value = waiting.pop()
            if isinstance(value, Tensor):
                yield name, value
            elif isinstance(value, Module | list | tuple | dict) and id(value) not in seen:
                seen.add(id(value))
                if isinstance(value, Module):
                    yield name, value
                    inner: list[tuple[Any, Any]] = value._members()
                else:
                    inner = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
                waiting.extend((f"{name}.{key}", item) for key, item in reversed(inner))

    def _members(self) -> list[tuple[str, Any]]:
        return list(vars(self).items())

    @property
    def num_parameters(self) -> int:
        """How many numbers are learned."""
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
        """Copies of the parameters' arrays under their names, frozen ones and other tensors that are kept included."""
        return {name: t.data.copy(order="K") for name, t in self.named_tensors().items()}

    def named_tensors(self) -> dict[str, Tensor]:
        """All leaf tensors by name, each once: the parameters, frozen ones, and others that are kept."""
        found: dict[int, tuple[str, Tensor]] = {}
        for name, value in self._walk():
            if isinstance(value, Tensor) and value.is_leaf:
                found.setdefault(id(value), (name, value))
        return dict(found.values())

    def load_state_dict(self, state: Mapping[str, ArrayLike]) -> None:
        """Sets every parameter from `state`. Raises `ValueError` and changes nothing if a name or shape is wrong."""
        own = self.named_tensors()
        arrays = {n: v.numpy() if isinstance(v, Tensor) else np.asarray(v) for n, v in state.items()}
        missing, unknown = own.keys() - arrays.keys(), arrays.keys() - own.keys()
        problems = [f"missing: {', '.join(sorted(missing))}"] if missing else []
        problems += [f"unknown: {', '.join(sorted(unknown))}"] if unknown else []
        fitted: dict[str, NDArray[Any]] = {}
        for name in own.keys() & arrays.keys():
            p = own[name]
            if arrays[name].shape != p.shape:
                problems.append(f"{name} is {arrays[name].shape}, the model wants {p.shape}")
            elif arrays[name].dtype.kind not in "fiu":
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
            raise ValueError(f"load_state_dict: {'; '.join(sorted(problems))}")
        for name, p in own.items():
            p.data = fitted[name]

    def summary(self, input_shape: int | tuple[int, ...] | None = None) -> str:
        """A table of the layers with their parameters, and with their output shapes for one sample of `input_shape`,
        found by running a sample of zeros through. Without it, the shapes are those of a model that starts with
        `Dense`, and unknown ("?") for another."""
        layers: list[Any] = list(self) if isinstance(self, Sequential) else [self]
        given = (input_shape,) if isinstance(input_shape, int) else input_shape
        shape = given or ((layers[0].in_features,) if layers and isinstance(layers[0], Dense) else None)
        x: Any = None if shape is None else np.zeros((1, *shape))
        rows = [("layer", "output shape", "parameters")]
        training = [(m, m.training) for m in self.modules()]
        self.eval()
        try:
            for i, layer in enumerate(layers):
                try:
                    with no_grad():
                        x = None if x is None else layer(x)
                except Exception:
                    if given is not None:
                        raise
                    x = None
                count = layer.num_parameters if isinstance(layer, Module) else 0
                shown = str((None, *np.shape(x)[1:])) if isinstance(x, Tensor | np.ndarray) else "?"
                rows.append((f"{i} {_name_of(layer)}", shown, f"{count:,}"))
        finally:
            for module, mode in training:
                module.training = mode
        rows.append(("total", "", f"{self.num_parameters:,}"))
        widths = [max(len(row[k]) for row in rows) for k in range(3)]
        lines = [f"{a:{widths[0]}}  {b:{widths[1]}}  {c:>{widths[2]}}" for a, b, c in rows]
        rule = "─" * len(lines[0])
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])

    def _describe(self) -> str:
        """What stands between the parentheses of `repr`."""
        return ""

    def __repr__(self) -> str:
        children = [(name, value) for name, value in self._members() if isinstance(value, Module) or name.isdigit()]
        if not children:
            return f"{type(self).__name__}({self._describe()})"
        inner = "\n".join(f"({name}): {_name_of(value, whole=True)}".replace("\n", "\n  ") for name, value in children)
        return f"{type(self).__name__}(\n  " + inner.replace("\n", "\n  ") + "\n)"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """In a notebook, the table of its layers."""
        import html

        return {"text/plain": repr(self), "text/html": f"<pre>{html.escape(self.summary())}</pre>"}


def _name_of(layer: Any, whole: bool = False) -> str:
    if not isinstance(layer, Module):
        return getattr(layer, "__name__", repr(layer))
    return repr(layer) if whole else repr(layer).split("\n", 1)[0]


# Activations


class Identity(Module):
    """x itself.

    >>> tg.Identity()(3.0)
    3.0
    """

    def forward(self, x: Any) -> Any:
        return x


class Sigmoid(Module):
    """1 / (1 + e⁻ˣ).

    >>> tg.Sigmoid()(np.array([0.0]))
    array([0.5])
    """

    def forward(self, x: Any) -> Any:
        return F.sigmoid(x)


class Tanh(Module):
    """tanh x.

    >>> tg.Tanh()(np.array([0.0, 100.0]))
    array([0., 1.])
    """

    def forward(self, x: Any) -> Any:
        return np.tanh(x)


class ReLU(Module):
    """max(x, 0).

    >>> tg.ReLU()(np.array([-2.0, 3.0]))
    array([0., 3.])
    """

    def forward(self, x: Any) -> Any:
        return F.relu(x)


class LeakyReLU(Module):
    """x where x > 0, negative_slope · x elsewhere.

    >>> tg.LeakyReLU(0.1)(np.array([-2.0, 3.0]))
    array([-0.2,  3. ])
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def forward(self, x: Any) -> Any:
        return F.leaky_relu(x, self.negative_slope)

    def _describe(self) -> str:
        return f"negative_slope={self.negative_slope}"


class Softmax(Module):
    """eˣ / Σ eˣ along `axis`. Not before `cross_entropy`, which takes logits.

    >>> tg.Softmax()(np.array([[1.0, 1.0], [0.0, 1000.0]]))
    array([[0.5, 0.5],
           [0. , 1. ]])
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Any) -> Any:
        return F.softmax(x, self.axis)

    def _describe(self) -> str:
        return f"axis={self.axis}"


class Flatten(Module):
    """(m, …) to (m, features).

    >>> tg.Flatten()(np.ones((5, 4, 2))).shape
    (5, 8)
    """

    def forward(self, x: Any) -> Any:
        return x.reshape(len(x), int(np.prod(x.shape[1:])))


class Dropout(Module):
    """In training sets each element to 0 with probability `p` and scales the others by 1/(1 − p).

    >>> drop = tg.Dropout(0.5, rng=0)
    >>> drop(np.ones(6))
    array([2., 0., 0., 0., 2., 2.])
    >>> drop.eval()(np.ones(6))
    array([1., 1., 1., 1., 1., 1.])
    """

    def __init__(self, p: float = 0.5, *, rng: Rng = None) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p is a probability, not {p}")
        self.p = p
        self.rng = None if rng is None else generator(rng)

    def forward(self, x: Any) -> Any:
        if self.training and self.p and not is_recording():
            warn_user(
                f"Dropout(p={self.p}) drops at random in what is not recorded: call model.eval() before evaluating "
                "(and model.train() after), or use predict(model, X), which does"
            )
        return F.dropout(x, self.p, self.training, self.rng)

    def _describe(self) -> str:
        return f"p={self.p}"


# Initialisers: (shape, rng) -> array, where shape is (in_features, out_features)


def glorot_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    """Uniform in ±√(6 / (in + out)) (Glorot and Bengio, 2010; ex4's ε).

    >>> bool(np.all(abs(tg.Dense(30, 20, init="glorot_uniform").weight.data) <= np.sqrt(6 / 50)))
    True
    """
    bound = np.sqrt(6 / sum(shape))
    return rng.uniform(-bound, bound, shape)


def glorot_normal(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    """Normal with variance 2 / (in + out) (Glorot and Bengio, 2010).

    >>> tg.nn.glorot_normal((30, 20), np.random.default_rng(0)).shape
    (30, 20)
    """
    return rng.normal(0.0, np.sqrt(2 / sum(shape)), shape)


def he_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    """Uniform in ±√(6 / in), for ReLU (He et al., 2015).

    >>> tg.nn.he_uniform((30, 20), np.random.default_rng(0)).shape
    (30, 20)
    """
    bound = np.sqrt(6 / shape[0])
    return rng.uniform(-bound, bound, shape)


def he_normal(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    """Normal with variance 2 / in, for ReLU (He et al., 2015).

    >>> layer = tg.Dense(30, 20, init="he_normal", rng=0)  # or init=tg.nn.he_normal
    """
    return rng.normal(0.0, np.sqrt(2 / shape[0]), shape)


def zeros(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    """0 everywhere: for a single layer; behind another one, all units would learn the same.

    >>> tg.nn.zeros((1, 2), np.random.default_rng(0))
    array([[0., 0.]])
    """
    return np.zeros(shape)


INITIALIZERS: dict[str, Initializer] = {
    f.__name__: f for f in (glorot_uniform, glorot_normal, he_uniform, he_normal, zeros)
}


# Layers with parameters


class Dense(Module):
    """y = x @ weight + bias: x of shape (…, in_features), weight (in_features, out_features), bias (out_features,).

    `init` is the name of an initialiser of this module or a function `(shape, rng) -> array`; biases start at 0.

    >>> layer = tg.Dense(3, 2, rng=0)
    >>> layer(np.ones((5, 3))).shape
    (5, 2)
    >>> layer.weight.shape, layer.bias.shape
    ((3, 2), (2,))
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        init: str | Initializer = "glorot_uniform",
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        if in_features < 1 or out_features < 1:
            raise ValueError(f"Dense({in_features}, {out_features}): sizes must be positive")
        if isinstance(init, str):
            if init not in INITIALIZERS:
                raise ValueError(f"Dense: no initialiser {init!r}; there are {', '.join(INITIALIZERS)}")
            init = INITIALIZERS[init]
        values = np.asarray(init((in_features, out_features), generator(rng)))
        if values.shape != (in_features, out_features):
            raise ValueError(
                f"Dense: the initialiser gave shape {values.shape}, expected {(in_features, out_features)}"
            )
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Tensor(values.astype(dtype), requires_grad=True, name="weight")
        self.bias = Tensor(np.zeros(out_features, dtype), requires_grad=True, name="bias") if bias else None

    def forward(self, x: Any) -> Any:
        shape = shape_of(x)
        if not shape or shape[-1] != self.in_features:
            hint = ""
            if shape and shape[-1] == self.in_features + 1:
                hint = ". Dense adds its own bias: leave out the column of ones"
            elif len(shape) == 2 and shape[0] == self.in_features:
                hint = ". Samples are rows: pass x.T"
            elif int(np.prod(shape[1:])) == self.in_features:
                hint = ". Put a Flatten() before it"
            raise ValueError(
                f"Dense({self.in_features} → {self.out_features}) got an input of shape {shape}: "
                f"expected (…, {self.in_features}){hint}"
            )
        return F.linear(x, self.weight, self.bias)

    def _describe(self) -> str:
        return f"{self.in_features} → {self.out_features}" + ("" if self.bias is not None else ", bias=False")


class Sequential(Module):
    """Layers one after the other: modules, or any functions of one array.

    >>> net = tg.Sequential(tg.Dense(3, 4), np.tanh, tg.Dense(4, 2))
    >>> net(np.ones((5, 3))).shape
    (5, 2)
    >>> net[0]
    Dense(3 → 4)
    >>> net[:2](np.ones((5, 3))).shape
    (5, 4)
    """

    def __init__(self, *layers: Module | Callable[[Any], Any]) -> None:
        self.layers: list[Module | Callable[[Any], Any]] = []
        for layer in layers:
            self.append(layer)

    def append(self, layer: Module | Callable[[Any], Any]) -> Self:
        if not callable(layer) or isinstance(layer, type):
            hint = f"; write {layer.__name__}()" if isinstance(layer, type) else ""
            raise TypeError(f"Sequential takes modules and functions, not {layer!r}{hint}")
        self.layers.append(layer)
        return self

    def forward(self, x: Any) -> Any:
        layers = iter(self.layers)
        try:
            for layer in layers:
                x = layer(x)
        except Exception as error:
            k = len(self.layers) - operator.length_hint(layers) - 1
            error.add_note(f"in layer {k} of {type(self).__name__}, {_name_of(layer).rstrip('(')}")
            raise
        return x

    def _members(self) -> list[tuple[str, Any]]:
        rest = [(name, value) for name, value in vars(self).items() if name != "layers"]
        return [(str(i), layer) for i, layer in enumerate(self.layers)] + rest

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Module | Callable[[Any], Any]]:
        return iter(self.layers)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Any:
        """The layer at `index`, or for a slice a Sequential of the same layers (parameters are shared)."""
        return Sequential(*self.layers[index]) if isinstance(index, slice) else self.layers[index]
