"""The layers to build a classifier from, sorted from simple to less simple; the activations are beside this file."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any, Self, overload

import numpy as np
from numpy.typing import DTypeLike

from .. import functional as F
from ..autograd.call_site import warn_user
from ..autograd.conversion import as_array, shape_of
from ..autograd.printing import printable
from ..autograd.recording import is_recording
from ..autograd.tensor import Tensor
from ..random import generator
from .initializers import INITIALIZERS as INITIALIZERS
from .initializers import Initializer, initial
from .initializers import glorot_normal as glorot_normal
from .initializers import glorot_uniform as glorot_uniform
from .initializers import he_normal as he_normal
from .initializers import he_uniform as he_uniform
from .initializers import zeros as zeros
from .module import Module as Module
from .module import name_of
from .summary import note_shape, noted_shapes

Rng = np.random.Generator | int | None


# Layers without parameters


class Flatten(Module):
    """(m, …) to (m, features), row by row. Of an array without axes there are no rows: raises `TypeError`.

    >>> tg.Flatten()(np.ones((5, 4, 2))).shape
    (5, 8)
    """

    def forward(self, x: Any) -> Any:
        x = x if hasattr(x, "reshape") else as_array(x)
        return x.reshape(len(x), int(np.prod(x.shape[1:])))


class Dropout(Module):
    """In training mode, sets each element to 0 with probability `p` and multiplies the others by 1/(1 − p); in
    evaluation mode it gives what it gets. The shape stays, (…). See `functional.dropout`.

    Raises `ValueError` for a `p` outside [0, 1]. Warns if it drops although nothing is recorded: then `eval()` was
    forgotten. (Srivastava et al., "Dropout", JMLR 15, 2014.)

    >>> drop = tg.Dropout(0.5, rng=0)
    >>> drop(np.ones(6))
    array([2., 0., 0., 0., 2., 2.])
    >>> drop.eval()(np.ones(6))
    array([1., 1., 1., 1., 1., 1.])
    """

    def __init__(self, p: float = 0.5, *, rng: Rng = None) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p must be a probability, from 0 to 1, not {p}")
        self.p = p
        self.rng = None if rng is None else generator(rng)

    def forward(self, x: Any) -> Any:
        if self.training and self.p and not is_recording():
            warn_user(
                f"Dropout(p={self.p}) drops values at random although nothing is recorded: call model.eval() before "
                "evaluating (and model.train() afterwards), or use predict(model, X), which does both"
            )
        return F.dropout(x, self.p, self.training, self.rng)

    def _describe(self) -> str:
        return f"p={self.p}"


# Layers with parameters


class Dense(Module):
    """y = x @ weight + bias: x of shape (…, in_features), weight (in_features, out_features), bias (out_features,).

    `init` is the name of an initialiser of this module or a function `(shape, rng) -> array`; biases start at 0. Raises
    `ValueError` for sizes that are not positive whole numbers, for an unknown `init`, and for an input whose last axis
    is not `in_features` long.

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
        sizes = in_features, out_features
        if not all(isinstance(n, int | np.integer) and n > 0 for n in sizes):
            raise ValueError(f"Dense({in_features!r}, {out_features!r}): sizes must be positive whole numbers")
        values = initial("Dense", init, (in_features, out_features), generator(rng))
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
            raise ValueError(f"{self!r} got an input of shape {shape}: expected (..., {self.in_features}){hint}")
        return F.linear(x, self.weight, self.bias)

    def _describe(self) -> str:
        return printable(f"{self.in_features} → {self.out_features}") + (
            "" if self.bias is not None else ", bias=False"
        )


class Embedding(Module):
    """A row of `weight` (num, dim), which is learned, for each whole number: (…) to (…, dim), see
    `functional.embedding`. The rows start with numbers of a normal distribution, as in PyTorch.

    Raises `ValueError` for sizes that are not positive whole numbers, `TypeError` for an input that is not of whole
    numbers, and `IndexError` for one below 0 or above num − 1.

    >>> tg.Embedding(27, 10, rng=0)(np.array([[0, 5, 12]])).shape
    (1, 3, 10)
    """

    def __init__(self, num: int, dim: int, *, rng: Rng = None, dtype: DTypeLike = np.float64) -> None:
        if not all(isinstance(n, int | np.integer) and n > 0 for n in (num, dim)):
            raise ValueError(f"Embedding({num!r}, {dim!r}): sizes must be positive whole numbers")
        self.num, self.dim = int(num), int(dim)
        self.weight = Tensor(generator(rng).normal(size=(num, dim)).astype(dtype), requires_grad=True, name="weight")

    def forward(self, indices: Any) -> Any:
        return F.embedding(indices, self.weight)

    def _describe(self) -> str:
        return printable(f"{self.num} → {self.dim}")


class Sequential(Module):
    """Layers one after the other: `layers` are modules, or any functions of one array. What the last one gives, (…), is
    the result. Indices, slices, `len()` and `append` work as those of lists.

    Raises `TypeError` for a layer that is no function. An error inside a layer says in which one it happened.

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
        """Adds a layer at the end, and returns the model. Raises `TypeError` for what is no function.

        >>> len(tg.Sequential(tg.Dense(3, 4)).append(tg.Tanh()))
        2
        """
        if not callable(layer) or isinstance(layer, type):
            hint = f"; write {layer.__name__}()" if isinstance(layer, type) else ""
            if isinstance(layer, list | tuple):
                hint = "; write Sequential(*layers)"
            raise TypeError(f"Sequential takes modules and functions, not {layer!r}{hint}")
        self.layers.append(layer)
        return self

    def forward(self, x: Any) -> Any:
        layers = iter(self.layers)
        shapes = noted_shapes.get()
        try:
            for layer in layers:
                x = layer(x)
                if shapes is not None and not isinstance(layer, Module):
                    note_shape(shapes, layer, x)
        except Exception as error:
            k = len(self.layers) - operator.length_hint(layers) - 1
            error.add_note(f"in layer {k} of {type(self).__name__}, {name_of(layer).rstrip('(')}")
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
