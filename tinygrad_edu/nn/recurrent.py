"""Recurrent layers: they read a sequence step by step and carry a state along, sorted from simple to less simple.

Each computes what it takes from the input for all steps in one product, before the loop.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .. import functional as F
from ..autograd.conversion import as_array, shape_of
from ..autograd.tensor import Tensor
from ..random import generator
from .layers import Module, Rng


class _Recurrent(Module):
    """What the layers share: weights of `gates` parts side by side, and the checks of what comes in."""

    gates = 1

    def __init__(self, features: int, hidden: int, *, rng: Rng = None, dtype: DTypeLike = np.float64) -> None:
        if not all(isinstance(n, int | np.integer) and n > 0 for n in (features, hidden)):
            raise ValueError(f"{type(self).__name__}({features!r}, {hidden!r}): sizes must be positive whole numbers")
        self.features, self.hidden = features, hidden
        rng = generator(rng)

        def uniform(name: str, *shape: int) -> Tensor:
            values = rng.uniform(-1, 1, shape) / np.sqrt(hidden)
            return Tensor(values.astype(dtype), requires_grad=True, name=name)

        self.weight_ih = uniform("weight_ih", features, self.gates * hidden)
        self.weight_hh = uniform("weight_hh", hidden, self.gates * hidden)
        self.bias_ih = uniform("bias_ih", self.gates * hidden)
        self.bias_hh = uniform("bias_hh", self.gates * hidden)

    def _sequence(self, x: Any) -> Any:
        x = x if hasattr(x, "shape") else as_array(x)
        if len(x.shape) != 3 or x.shape[2] != self.features:
            hint = ""
            if x.shape == (*x.shape[:1], self.features):
                hint = ". For a single sequence, pass x[None]"
            elif len(x.shape) == 2:
                hint = ". For sequences of one feature, pass x[..., None]"
            raise ValueError(f"{self!r} got an input of shape {x.shape}: expected (m, t, {self.features}){hint}")
        if x.shape[1] == 0:
            raise ValueError(f"{self!r} got an input of shape {x.shape}: expected at least one step")
        return x

    def _before(self, x: Any, state: Any) -> Any:
        """The state before the first step: zeros, unless it is given."""
        shape = len(x), self.hidden
        if state is None:
            return np.zeros(shape, self.weight_hh.dtype)
        if isinstance(state, tuple | list) or shape_of(state) != shape:
            got = f"a {type(state).__name__}" if isinstance(state, tuple | list) else f"shape {shape_of(state)}"
            raise ValueError(f"{self!r} got a state of {got}: expected (m, {self.hidden}) = {shape}")
        return state

    def _parts(self, weight: Any) -> Any:
        """Weights of parts side by side, (n, gates·hidden), as a stack, (gates, n, hidden): then the numbers of each
        part lie together in all that is computed from it, and small steps take half of the time."""
        return np.swapaxes(np.reshape(weight, (-1, self.gates, self.hidden)), 0, 1)

    def _inputs(self, x: Any, bias: Any) -> Any:
        """What the parts take from the input in all steps: (gates, t, m, hidden)."""
        m, t, _ = x.shape
        rows = np.reshape(np.swapaxes(x, 0, 1), (t * m, self.features))
        return np.reshape(rows @ self._parts(self.weight_ih) + self._parts(bias), (self.gates, t, m, self.hidden))

    def _describe(self) -> str:
        return f"{self.features}, {self.hidden}"


class RNN(_Recurrent):
    """A simple recurrent layer: h = tanh(x @ weight_ih + bias_ih + h @ weight_hh + bias_hh), step after step.

    `outputs, h = layer(x, state=None)`: x has shape (m, t, features), m samples of t steps; `outputs`, (m, t, hidden),
    has the h after each step, and h, (m, hidden), that after the last. `state` is the h before the first step, zeros if
    it is not given. weight_ih is (features, hidden), weight_hh (hidden, hidden) and the biases (hidden,); they start as
    PyTorch's, uniform in ±1/√hidden.

    Compiled, the steps of the sequence are written out one after the other: each number of steps is derived anew, which
    takes its time, and there are at most 16 kinds of batches. Cut or pad sequences to a few lengths.

    Raises `ValueError` for an input or a state of another shape.

    (Elman, "Finding structure in time", Cognitive Science 14, 1990.)

    >>> outputs, h = tg.RNN(3, 4, rng=0)(np.ones((2, 5, 3)))
    >>> outputs.shape, h.shape
    ((2, 5, 4), (2, 4))
    """

    def forward(self, x: Any, state: Any = None) -> tuple[Any, Any]:
        x = self._sequence(x)
        h = self._before(x, state)
        inputs = F.linear(x, self.weight_ih, self.bias_ih + self.bias_hh)
        outputs = []
        for k in range(x.shape[1]):
            h = np.tanh(inputs[:, k] + h @ self.weight_hh)
            outputs.append(h)
        return np.stack(outputs, axis=1), h


class GRU(_Recurrent):
    """A recurrent layer whose gates r and z say what of its state is read and what of it stays:

        r = σ(x @ W_r + b_r + h @ U_r + d_r)          h = (1 − z) n + z h
        z = σ(x @ W_z + b_z + h @ U_z + d_z)
        n = tanh(x @ W_n + b_n + r (h @ U_n + d_n))

    weight_ih, (features, 3·hidden), is W_r, W_z and W_n side by side, as in PyTorch; weight_hh, (hidden, 3·hidden), the
    U; bias_ih and bias_hh, (3·hidden,), the b and d. All else is as in `RNN`, and what it raises.

    (Cho et al., "Learning phrase representations using RNN encoder–decoder", EMNLP 2014; r after the product, as in
    PyTorch.)

    >>> outputs, h = tg.GRU(3, 4, rng=0)(np.ones((2, 5, 3)))
    >>> outputs.shape, h.shape
    ((2, 5, 4), (2, 4))
    """

    gates = 3

    def forward(self, x: Any, state: Any = None) -> tuple[Any, Any]:
        x = self._sequence(x)
        h = self._before(x, state)
        inputs, weight, bias = self._inputs(x, self.bias_ih), self._parts(self.weight_hh), self._parts(self.bias_hh)
        outputs = []
        for k in range(x.shape[1]):
            of_x, of_h = inputs[:, k], h @ weight + bias
            gates = F.sigmoid(of_x[:2] + of_h[:2])
            read, stay = gates[0], gates[1]
            new = np.tanh(of_x[2] + read * of_h[2])
            h = new + stay * (h - new)
            outputs.append(h)
        return np.stack(outputs, axis=1), h


class LSTM(_Recurrent):
    """A recurrent layer with a memory c beside its state h, and gates that say what is written, kept and shown:

        i = σ(x @ W_i + b_i + h @ U_i + d_i)          c = f c + i g
        f = σ(x @ W_f + b_f + h @ U_f + d_f)          h = o tanh(c)
        g = tanh(x @ W_g + b_g + h @ U_g + d_g)
        o = σ(x @ W_o + b_o + h @ U_o + d_o)

    `outputs, (h, c) = layer(x, state=None)`, where `state` is a pair (h, c), too, each of (m, hidden). weight_ih,
    (features, 4·hidden), is W_i, W_f, W_g and W_o side by side, as in PyTorch; weight_hh, (hidden, 4·hidden), the U;
    bias_ih and bias_hh, (4·hidden,), the b and d. All else is as in `RNN`, and what it raises.

    (Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 9, 1997; f by Gers, Schmidhuber and
    Cummins, "Learning to forget", Neural Computation 12, 2000.)

    >>> outputs, (h, c) = tg.LSTM(3, 4, rng=0)(np.ones((2, 5, 3)))
    >>> outputs.shape, h.shape, c.shape
    ((2, 5, 4), (2, 4), (2, 4))
    """

    gates = 4

    def _parts(self, weight: Any) -> Any:
        parts = super()._parts(weight)
        return np.concatenate((parts[3:], parts[:3]))  # o, i, f, g: the three sigmoids side by side

    def forward(self, x: Any, state: Any = None) -> tuple[Any, tuple[Any, Any]]:
        x, n = self._sequence(x), self.hidden
        if state is not None and not (isinstance(state, tuple | list) and len(state) == 2):
            raise ValueError(f"{self!r} got a state that is no pair: expected (h, c), each of (m, {n})")
        h, c = (self._before(x, part) for part in state or (None, None))
        inputs, weight = self._inputs(x, self.bias_ih + self.bias_hh), self._parts(self.weight_hh)
        outputs = []
        for k in range(x.shape[1]):
            z = inputs[:, k] + h @ weight
            show, write, keep = F.sigmoid(z[:3])
            c = keep * c + write * np.tanh(z[3])
            h = show * np.tanh(c)
            outputs.append(h)
        return np.stack(outputs, axis=1), (h, c)
