"""The activations as modules, to be put between the layers of a Sequential."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import functional as F
from .module import Module


class Identity(Module):
    """x itself, of any shape: for a place where a layer may stand or not.

    >>> tg.Identity()(3.0)
    3.0
    """

    def forward(self, x: Any) -> Any:
        return x


class Sigmoid(Module):
    """1 / (1 + e⁻ˣ) for each element of an input of any shape, as `sigmoid`: a probability. `binary_cross_entropy`
    after it computes from x, so that nothing is lost.

    >>> tg.Sigmoid()(np.array([0.0]))
    array([0.5])
    """

    def forward(self, x: Any) -> Any:
        return F.sigmoid(x)


class Tanh(Module):
    """tanh x for each element of an input of any shape, as `np.tanh`.

    >>> tg.Tanh()(np.array([0.0, 100.0]))
    array([0., 1.])
    """

    def forward(self, x: Any) -> Any:
        return np.tanh(x)


class ReLU(Module):
    """max(x, 0) for each element of an input of any shape, as `relu`; the derivative at 0 is 0.

    >>> tg.ReLU()(np.array([-2.0, 3.0]))
    array([0., 3.])
    """

    def forward(self, x: Any) -> Any:
        return F.relu(x)


class LeakyReLU(Module):
    """x where x > 0, negative_slope · x elsewhere, for each element of an input of any shape, as `leaky_relu`. (Maas,
    Hannun and Ng, ICML 2013.)

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
    """eˣ / Σ eˣ along `axis`, of the shape of the input, as `softmax`. Not before `cross_entropy`, which takes logits.

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


class ELU(Module):
    """x where x > 0, α (eˣ − 1) elsewhere, for each element of an input of any shape, as `elu`; α is `alpha`. (Clevert,
    Unterthiner and Hochreiter, ICLR 2016.)

    >>> tg.ELU()(np.array([-1000.0, 3.0]))
    array([-1.,  3.])
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, x: Any) -> Any:
        return F.elu(x, self.alpha)

    def _describe(self) -> str:
        return f"alpha={self.alpha}"


class SiLU(Module):
    """x · sigmoid(x) for each element of an input of any shape, also called swish, as `silu`. (Elfwing, Uchibe and
    Doya, 2018.)

    >>> tg.SiLU()(np.array([0.0, 1000.0]))
    array([   0., 1000.])
    """

    def forward(self, x: Any) -> Any:
        return F.silu(x)


class GELU(Module):
    """x · Φ(x) for each element, Φ the normal distribution function; with `approximate="tanh"`, GPT-2's approximation
    of it, as `gelu`. Raises `ValueError` for another one. (Hendrycks and Gimpel, 2016.)

    >>> tg.GELU()(np.array([0.0, 1000.0]))
    array([   0., 1000.])
    """

    def __init__(self, approximate: str = "none") -> None:
        F.gelu(0.0, approximate)  # raises for an unknown one
        self.approximate = approximate

    def forward(self, x: Any) -> Any:
        return F.gelu(x, self.approximate)

    def _describe(self) -> str:
        return "" if self.approximate == "none" else f"approximate={self.approximate!r}"


class Hardtanh(Module):
    """x, but at least `min_val` and at most `max_val`, for each element of an input of any shape, as `hardtanh`. Raises
    `ValueError` if min_val is not below max_val.

    >>> tg.Hardtanh()(np.array([-2.0, 0.5, 3.0]))
    array([-1. ,  0.5,  1. ])
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0) -> None:
        F.hardtanh(0.0, min_val, max_val)  # raises for a wrong order
        self.min_val, self.max_val = min_val, max_val

    def forward(self, x: Any) -> Any:
        return F.hardtanh(x, self.min_val, self.max_val)

    def _describe(self) -> str:
        return f"{self.min_val}, {self.max_val}"


class Softsign(Module):
    """x / (1 + |x|) for each element of an input of any shape, as `softsign`.

    >>> tg.Softsign()(np.array([0.0, 1.0]))
    array([0. , 0.5])
    """

    def forward(self, x: Any) -> Any:
        return F.softsign(x)
