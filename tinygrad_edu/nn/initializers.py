"""Initial weights: functions `(shape, rng) -> array`, where shape is (in_features, out_features)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Initializer = Callable[[tuple[int, ...], np.random.Generator], NDArray[Any]]


def glorot_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """Uniform in ±√(6 / (in + out)) for weights of the `shape` (in, out): neither activations nor gradients grow on
    their way through tanh or sigmoid layers. (Glorot and Bengio, "Understanding the difficulty of training deep
    feedforward neural networks", AISTATS 2010; ex4's ε.)

    >>> bool(np.all(abs(tg.Dense(30, 20, init="glorot_uniform").weight.data) <= np.sqrt(6 / 50)))
    True
    """
    bound = np.sqrt(6 / sum(shape))
    return rng.uniform(-bound, bound, shape)


def glorot_normal(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """Normal with variance 2 / (in + out) for weights of the `shape` (in, out): as `glorot_uniform` (Glorot and Bengio,
    2010), with numbers that have no bound.

    >>> tg.nn.glorot_normal((30, 20), np.random.default_rng(0)).shape
    (30, 20)
    """
    return rng.normal(0.0, np.sqrt(2 / sum(shape)), shape)


def he_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """Uniform in ±√(6 / in) for weights of the `shape` (in, out), before a ReLU, which lets half of the variance
    through. (He et al., "Delving deep into rectifiers", ICCV 2015.)

    >>> tg.nn.he_uniform((30, 20), np.random.default_rng(0)).shape
    (30, 20)
    """
    bound = np.sqrt(6 / shape[0])
    return rng.uniform(-bound, bound, shape)


def he_normal(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """Normal with variance 2 / in for weights of the `shape` (in, out), before a ReLU: as `he_uniform` (He et al.,
    2015), with numbers that have no bound.

    >>> weights = tg.nn.he_normal((200, 300), np.random.default_rng(0))  # Dense(200, 300, init="he_normal")
    >>> weights.shape, round(float(weights.var() * 200), 1)
    ((200, 300), 2.0)
    """
    return rng.normal(0.0, np.sqrt(2 / shape[0]), shape)


def zeros(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """0 everywhere, of the `shape` that is asked for. Only for a single layer: after another one, all units would learn
    the same.

    >>> tg.nn.zeros((1, 2), np.random.default_rng(0))
    array([[0., 0.]])
    """
    return np.zeros(shape)


INITIALIZERS: dict[str, Initializer] = {
    f.__name__: f for f in (glorot_uniform, glorot_normal, he_uniform, he_normal, zeros)
}


def initial(who: str, init: str | Initializer, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    """The first weights of a layer, by the name of an initialiser or by a function of one's own."""
    if isinstance(init, str):
        if init not in INITIALIZERS:
            raise ValueError(f"{who}: unknown initialiser {init!r}; choose from {', '.join(INITIALIZERS)}")
        init = INITIALIZERS[init]
    values = np.asarray(init(shape, rng))
    if values.shape != shape:
        raise ValueError(f"{who}: the initialiser gave shape {values.shape}, expected {shape}")
    return values
