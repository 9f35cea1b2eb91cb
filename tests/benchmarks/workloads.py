"""What is timed: training steps, each written once as numbers and sizes, and once for each peer.

`PEERS[name](workload)` gives a function that does one step and returns the loss. The hand-written version is the
straightforward vectorised one, with nothing computed twice and without the gradient of the input.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import functional as F

Step = Callable[[], Any]


@dataclass(frozen=True)
class Workload:
    """A multilayer perceptron: sizes of its layers, rows in a batch, hidden activation, loss, and λ of ex4's cost."""

    sizes: tuple[int, ...]
    rows: int
    hidden: str  # "sigmoid" or "relu"
    loss: str  # "binary" (sigmoid and cross-entropy) or "classes" (softmax and cross-entropy)
    dtype: str = "float64"
    lam: float = 0.0
    lr: float = 0.01

    def data(self) -> tuple[Any, Any]:
        rng = np.random.default_rng(0)
        X = rng.random((self.rows, self.sizes[0])).astype(self.dtype)
        if self.loss == "classes":
            return X, rng.integers(0, self.sizes[-1], self.rows)
        return X, (rng.random((self.rows, self.sizes[-1])) < 0.3).astype(self.dtype)

    def weights(self) -> list[Any]:
        """Weights and biases in turn."""
        rng = np.random.default_rng(1)
        arrays = []
        for a, b in zip(self.sizes[:-1], self.sizes[1:], strict=True):
            arrays += [rng.normal(0, np.sqrt(2 / a), (a, b)).astype(self.dtype), np.zeros(b, self.dtype)]
        return arrays


WORKLOADS = {
    "ex4": Workload((400, 25, 10), 5000, "sigmoid", "binary", lam=1.0, lr=0.8),
    "sgd32": Workload((784, 128, 10), 32, "relu", "classes", "float32", lr=0.1),
    "image": Workload((2, 27, 31, 31, 1), 1024, "relu", "binary", lr=0.3),
    "deep": Workload((64,) * 20 + (10,), 64, "relu", "classes"),
    "batch": Workload((784, 128, 10), 4096, "relu", "classes", "float32", lr=0.1),
}


def by_hand(w: Workload) -> Step:
    X, Y = w.data()
    params = w.weights()
    m, n, lr = w.rows, len(params) // 2, np.dtype(w.dtype).type(w.lr)
    rows = np.arange(m)

    def step() -> Any:
        a, activations = X, [X]
        for i in range(n - 1):
            z = a @ params[2 * i] + params[2 * i + 1]
            a = np.maximum(z, 0) if w.hidden == "relu" else 1 / (1 + np.exp(-z))
            activations.append(a)
        z = a @ params[-2] + params[-1]
        if w.loss == "classes":
            z = z - z.max(axis=1, keepdims=True)
            e = np.exp(z)
            total = e.sum(axis=1, keepdims=True)
            J = -np.mean(z[rows, Y] - np.log(total[:, 0]))
            d = e / total
            d[rows, Y] -= 1
            d /= m
        else:
            h = 1 / (1 + np.exp(-z))
            J = -np.sum(Y * np.log(h) + (1 - Y) * np.log(1 - h)) / m
            d = (h - Y) / m
        if w.lam:
            J += w.lam / (2 * m) * sum(np.sum(W**2) for W in params[::2])
        for i in reversed(range(n)):
            dW, db = activations[i].T @ d, d.sum(axis=0)
            if i > 0:
                a = activations[i]
                d = (d @ params[2 * i].T) * ((a > 0) if w.hidden == "relu" else a * (1 - a))
            if w.lam:
                dW += w.lam / m * params[2 * i]
            params[2 * i] -= lr * dW
            params[2 * i + 1] -= lr * db
        return J

    return step


def by_hand_preallocated(w: Workload) -> Step:
    from tests.benchmarks.preallocated import by_hand_preallocated as step

    return step(w)


def network(w: Workload) -> tg.Sequential:
    net = tg.Sequential()
    activation = {"relu": tg.ReLU, "sigmoid": tg.Sigmoid}[w.hidden]
    for a, b in zip(w.sizes[:-1], w.sizes[1:], strict=True):
        net.append(tg.Dense(a, b, dtype=w.dtype)).append(activation())
    net = net[:-1] if w.loss == "classes" else net[:-1].append(tg.Sigmoid())
    for p, values in zip(net.parameters(), w.weights(), strict=True):
        p.data = values
    return net


def loss_of(w: Workload, net: tg.Sequential) -> Callable[[Any, Any], tg.Tensor]:
    if w.loss == "classes":
        return lambda X, Y: F.cross_entropy(net(X), Y)
    if w.lam:
        return lambda X, Y: F.binary_cross_entropy(net(X), Y, "batchmean") + F.l2_penalty(net, w.lam, w.rows)
    return lambda X, Y: F.binary_cross_entropy(net(X), Y, "batchmean")


def recorded(w: Workload) -> Step:
    X, Y = w.data()
    net = network(w)
    loss, optimizer = loss_of(w, net), tg.SGD(net.parameters(), lr=w.lr)

    def step() -> Any:
        optimizer.zero_grad()
        J = loss(X, Y)
        J.backward()
        optimizer.step()
        return J.item()

    return step


def compiled(w: Workload) -> Step:
    X, Y = w.data()
    net = network(w)
    step = tg.compile_step(loss_of(w, net), tg.SGD(net.parameters(), lr=w.lr))
    return lambda: step(X, Y)


def torch_eager(w: Workload) -> Step:
    return _torch(w)[0]


def torch_compiled(w: Workload) -> Step:
    import torch

    return torch.compile(_torch(w)[0])


def _torch(w: Workload) -> tuple[Step]:
    import torch
    from torch import nn

    torch.set_num_threads(2)
    X, Y = (torch.from_numpy(a) for a in w.data())
    layers: list[Any] = []
    for a, b in zip(w.sizes[:-1], w.sizes[1:], strict=True):
        layers += [nn.Linear(a, b, dtype=X.dtype), nn.ReLU() if w.hidden == "relu" else nn.Sigmoid()]
    net = nn.Sequential(*layers[:-1])
    with torch.no_grad():
        for p, values in zip(net.parameters(), w.weights(), strict=True):
            p.copy_(torch.from_numpy(values.T.copy()))
    optimizer = torch.optim.SGD(net.parameters(), lr=w.lr)

    def step() -> Any:
        optimizer.zero_grad()
        if w.loss == "classes":
            J = nn.functional.cross_entropy(net(X), Y)
        else:
            J = nn.functional.binary_cross_entropy_with_logits(net(X), Y, reduction="sum") / w.rows
        if w.lam:
            J = J + w.lam / (2 * w.rows) * sum((p**2).sum() for p in net.parameters() if p.ndim > 1)
        J.backward()
        optimizer.step()
        return J.detach()

    return (step,)


def _logits(params: Any, X: Any, w: Workload, xp: Any) -> Any:
    a = X
    for i in range(len(params) // 2 - 1):
        z = a @ params[2 * i] + params[2 * i + 1]
        a = xp.maximum(z, 0) if w.hidden == "relu" else 1 / (1 + xp.exp(-z))
    return a @ params[-2] + params[-1]


def _cost(params: Any, X: Any, Y: Any, w: Workload, xp: Any) -> Any:
    """The cost in functions that NumPy, JAX and autograd share; Y is one-hot for classes."""
    z = _logits(params, X, w, xp)
    if w.loss == "classes":
        z = z - xp.max(z, axis=1, keepdims=True)
        J = -xp.sum(Y * (z - xp.log(xp.sum(xp.exp(z), axis=1, keepdims=True)))) / w.rows
    else:
        J = xp.sum(xp.logaddexp(0.0, z) - Y * z) / w.rows
    if w.lam:
        J = J + w.lam / (2 * w.rows) * sum(xp.sum(W**2) for W in params[::2])
    return J


def _one_hot_data(w: Workload) -> tuple[Any, Any]:
    X, Y = w.data()
    return X, np.eye(w.sizes[-1], dtype=w.dtype)[Y] if w.loss == "classes" else Y


def jax_jit(w: Workload) -> Step:
    import jax

    jax.config.update("jax_enable_x64", True)
    X, Y = (jax.numpy.asarray(a) for a in _one_hot_data(w))
    params = [jax.numpy.asarray(a) for a in w.weights()]
    value_and_grad = jax.value_and_grad(lambda params, X, Y: _cost(params, X, Y, w, jax.numpy))

    @jax.jit
    def update(params: Any, X: Any, Y: Any) -> Any:
        J, gradients = value_and_grad(params, X, Y)
        return J, [p - w.lr * g for p, g in zip(params, gradients, strict=True)]

    def step() -> Any:
        nonlocal params
        J, params = update(params, X, Y)
        return J.block_until_ready()

    return step


def hips_autograd(w: Workload) -> Step:
    import autograd
    import autograd.numpy as anp

    X, Y = _one_hot_data(w)
    params = w.weights()
    value_and_grad = autograd.value_and_grad(lambda params: _cost(params, X, Y, w, anp))

    def step() -> Any:
        nonlocal params
        J, gradients = value_and_grad(params)
        params = [p - np.dtype(w.dtype).type(w.lr) * g for p, g in zip(params, gradients, strict=True)]
        return J

    return step


def mygrad(w: Workload) -> Step:
    import mygrad as mg

    X, Y = _one_hot_data(w)
    params = [mg.tensor(a) for a in w.weights()]
    lr = np.dtype(w.dtype).type(w.lr)

    def step() -> Any:
        J = _cost(params, X, Y, w, mg)
        J.backward()
        for i, p in enumerate(params):
            params[i] = mg.tensor(p.data - lr * p.grad)
        return J.item()

    return step


def scikit_learn(w: Workload) -> Step:
    """One step of MLPClassifier's gradient descent: its `partial_fit` of one batch."""
    from sklearn.neural_network import MLPClassifier

    if w.loss != "classes" or w.hidden != "relu":
        raise NotImplementedError("MLPClassifier learns classes")
    X, Y = w.data()
    model = MLPClassifier(
        w.sizes[1:-1], solver="sgd", momentum=0.0, learning_rate_init=w.lr, batch_size=w.rows, alpha=0
    )
    model.partial_fit(X, Y, classes=np.arange(w.sizes[-1]))
    return lambda: model.partial_fit(X, Y).loss_


PEERS: dict[str, Callable[[Workload], Step]] = {
    "NumPy by hand": by_hand,
    "NumPy, preallocated": by_hand_preallocated,
    "recorded": recorded,
    "compiled": compiled,
    "PyTorch eager": torch_eager,
    "torch.compile": torch_compiled,
    "JAX jit": jax_jit,
    "autograd": hips_autograd,
    "MyGrad": mygrad,
    "scikit-learn": scikit_learn,
}
