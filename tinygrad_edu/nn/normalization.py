"""Layers that normalise what passes through them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .. import functional as F
from ..autograd.tensor import Tensor
from ..functional.convolution import whole
from .module import Module


class BatchNorm(Module):
    """Brings each of `features` channels to mean 0 and variance 1, then scales and shifts them by weight and bias,
    which are learned: (m, features) or images (m, features, h, w), see `functional.batch_norm`.

    In training, by the mean and the variance of the batch; the running ones, `running_mean` and `running_var`, follow
    them by a share of `momentum` and are used in evaluation. They are saved with the parameters. `eps` is added to the
    variance, so that nothing is divided by 0.

    Raises `ValueError` for settings that are impossible, for an input with another number of channels, and in training
    for a single number in each channel. (Ioffe and Szegedy, "Batch normalization", ICML 2015.)

    >>> norm = tg.BatchNorm(2)
    >>> norm(np.array([[1.0, 5.0], [3.0, 5.0]])).data.round(3)
    array([[-1.,  0.],
           [ 1.,  0.]])
    >>> norm.running_mean.data
    array([0.2, 0.5])
    """

    def __init__(
        self, features: int, *, momentum: float = 0.1, eps: float = 1e-5, dtype: DTypeLike = np.float64
    ) -> None:
        self.features = whole("BatchNorm: features", features, 1)
        if not (isinstance(momentum, int | float | np.number) and 0 <= momentum <= 1):
            raise ValueError(f"BatchNorm: momentum must be the share of a new batch, from 0 to 1, not {momentum!r}")
        self.momentum, self.eps = float(momentum), _positive("BatchNorm", eps)
        self.weight = Tensor(np.ones(features, dtype), requires_grad=True, name="weight")
        self.bias = Tensor(np.zeros(features, dtype), requires_grad=True, name="bias")
        self.running_mean = Tensor(np.zeros(features, dtype), name="running_mean")
        self.running_var = Tensor(np.ones(features, dtype), name="running_var")

    def forward(self, x: Any) -> Any:
        running = self.running_mean, self.running_var
        return F.batch_norm(x, *running, self.weight, self.bias, self.training, self.momentum, self.eps)

    def _describe(self) -> str:
        return f"{self.features}"


class LayerNorm(Module):
    """Brings each sample to mean 0 and variance 1 over its last axes, whose sizes are `shape`, then scales and shifts
    each number by weight and bias, which are learned: (…, *shape) to the same, see `functional.layer_norm`. `eps` is
    added to the variance. Raises `ValueError` for an input whose last axes are others.

    (Ba, Kiros and Hinton, "Layer normalization", 2016.)

    >>> tg.LayerNorm(3)(np.array([[1.0, 2.0, 3.0]])).data.round(3)
    array([[-1.225,  0.   ,  1.225]])
    """

    def __init__(self, shape: int | tuple[int, ...], *, eps: float = 1e-5, dtype: DTypeLike = np.float64) -> None:
        sizes = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
        self.shape = tuple(whole("LayerNorm: shape", n, 1) for n in sizes)
        self.eps = _positive("LayerNorm", eps)
        self.weight = Tensor(np.ones(self.shape, dtype), requires_grad=True, name="weight")
        self.bias = Tensor(np.zeros(self.shape, dtype), requires_grad=True, name="bias")

    def forward(self, x: Any) -> Any:
        return F.layer_norm(x, self.shape, self.weight, self.bias, self.eps)

    def _describe(self) -> str:
        return f"{self.shape}"


def _positive(who: str, eps: float) -> float:
    if not (isinstance(eps, int | float | np.number) and eps > 0):
        raise ValueError(f"{who}: eps must be positive, not {eps!r}: it is what keeps a variance of 0 from dividing")
    return float(eps)
