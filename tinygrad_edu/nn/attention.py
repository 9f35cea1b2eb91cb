"""Attention with several heads, each of which looks at a part of the features."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .. import functional as F
from ..autograd.conversion import shape_of
from ..autograd.tensor import Tensor
from ..random import generator
from .initializers import glorot_uniform
from .layers import Dense, Module, Rng


class MultiHeadAttention(Module):
    """Each step of a sequence takes what it needs from the steps of a sequence: of its own, (m, t, dim), or of another.

    `attention(x)` projects x to queries, keys and values by one product, x @ in_proj_weight + in_proj_bias of shapes
    (dim, 3·dim) and (3·dim,), cuts each into `heads` parts of dim/heads features, lets every head attend by itself
    (`scaled_dot_product_attention`), and mixes what they give, side by side again, with `out_proj`, a `Dense` layer.
    `attention(x, key, value)` has keys and values from other sequences, (m, s, dim); without `value`, they are the
    keys'. `mask` and `causal` are as there; a mask of shape (t, s) holds for all, and for heads and samples apart it is
    (m, heads, t, s), any of them 1.

    The weights start as `Dense` has them, with biases of 0, or without any (`bias=False`). Raises `ValueError` where
    dim is not a multiple of heads, and for an input of another shape.

    (Vaswani et al., "Attention is all you need", NeurIPS 2017.)

    >>> attention = tg.MultiHeadAttention(8, 2, rng=0)
    >>> attention(np.ones((5, 3, 8)), causal=True).shape
    (5, 3, 8)
    """

    def __init__(
        self, dim: int, heads: int, *, bias: bool = True, rng: Rng = None, dtype: DTypeLike = np.float64
    ) -> None:
        if not all(isinstance(n, int | np.integer) and n > 0 for n in (dim, heads)):
            raise ValueError(f"MultiHeadAttention({dim!r}, {heads!r}): sizes must be positive whole numbers")
        if dim % heads:
            raise ValueError(
                f"MultiHeadAttention({dim}, {heads}): {dim} features cannot be shared out evenly among {heads} heads; "
                "dim must be a multiple of heads"
            )
        self.dim, self.heads = dim, heads
        rng = generator(rng)
        weight = glorot_uniform((dim, 3 * dim), rng).astype(dtype)
        self.in_proj_weight = Tensor(weight, requires_grad=True, name="in_proj_weight")
        self.in_proj_bias = Tensor(np.zeros(3 * dim, dtype), requires_grad=True, name="in_proj_bias") if bias else None
        self.out_proj = Dense(dim, dim, bias=bias, rng=rng, dtype=dtype)

    def forward(self, x: Any, key: Any = None, value: Any = None, *, mask: Any = None, causal: bool = False) -> Any:
        who = f"MultiHeadAttention({self._describe()})"
        if key is None and value is not None:
            raise ValueError(f"{who} got values without keys: write attention(x, key, value)")
        for name, given in (("an input", x), ("keys", key), ("values", value)):
            if given is not None and (len(shape := shape_of(given)) != 3 or shape[2] != self.dim):
                raise ValueError(f"{who} got {name} of shape {shape}: expected (m, t, {self.dim})")
        if key is None:
            y = F.linear(x, self.in_proj_weight, self.in_proj_bias)
            q, k, v = (self._part(y, part) for part in range(3))
        else:
            q, k, v = (self._projected(a, n) for n, a in enumerate((x, key, key if value is None else value)))
        y = F.scaled_dot_product_attention(self._split(q), self._split(k), self._split(v), mask, causal)
        return self.out_proj(np.reshape(np.swapaxes(y, 1, 2), (*shape_of(x)[:2], self.dim)))

    def _part(self, y: Any, n: int) -> Any:
        """The n-th of three parts of the last axis: of the queries, the keys and the values."""
        return y[..., n * self.dim : (n + 1) * self.dim]

    def _projected(self, x: Any, n: int) -> Any:
        bias = self.in_proj_bias
        return F.linear(x, self._part(self.in_proj_weight, n), None if bias is None else self._part(bias, n))

    def _split(self, x: Any) -> Any:
        """(m, t, dim) to (m, heads, t, dim/heads)."""
        return np.swapaxes(np.reshape(x, (*x.shape[:2], self.heads, self.dim // self.heads)), 1, 2)

    def _describe(self) -> str:
        return f"{self.dim}, heads={self.heads}" + ("" if self.in_proj_bias is not None else ", bias=False")
