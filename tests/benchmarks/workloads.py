"""What is timed: a training step or a chain of operations in our way, and the same by hand.

The hand-written versions are what a good engineer writes: vectorised, nothing computed twice, the gradient of the
first layer's input left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu import SGD, Dense, Sequential, Sigmoid, Tensor
from tinygrad_edu import functional as F

Pair = tuple[Callable[[], object], Callable[[], object]]


def ex4() -> Pair:
    """A full-batch step of exercise 4: 5000 samples, 400–25–10, sigmoids, λ = 1."""
    rng = np.random.default_rng(0)
    m, lam, lr = 5000, 1.0, 0.8
    X, Y = rng.random((m, 400)), np.eye(10)[rng.integers(0, 10, m)]
    net = Sequential(Dense(400, 25, rng=1), Sigmoid(), Dense(25, 10, rng=2), Sigmoid())
    optimizer = SGD(net.parameters(), lr=lr)

    def ours() -> float:
        optimizer.zero_grad()
        J = F.binary_cross_entropy(net(X), Y, "batchmean") + F.l2_penalty(net, lam, m)
        J.backward()
        optimizer.step()
        return J.item()

    W1, b1, W2, b2 = (p.data.copy() for p in net.parameters())

    def theirs() -> float:
        nonlocal W1, b1, W2, b2
        a1 = 1 / (1 + np.exp(-(X @ W1 + b1)))
        h = 1 / (1 + np.exp(-(a1 @ W2 + b2)))
        J = -np.sum(Y * np.log(h) + (1 - Y) * np.log(1 - h)) / m + lam / (2 * m) * (np.sum(W1**2) + np.sum(W2**2))
        d2 = (h - Y) / m
        d1 = (d2 @ W2.T) * a1 * (1 - a1)
        W2, b2 = W2 - lr * (a1.T @ d2 + lam / m * W2), b2 - lr * d2.sum(axis=0)
        W1, b1 = W1 - lr * (X.T @ d1 + lam / m * W1), b1 - lr * d1.sum(axis=0)
        return float(J)

    return ours, theirs


def chain(n: int) -> Any:
    """`n` recorded operations on single numbers, multiplications and additions, and their gradients."""
    x = chain_without_backward(n)
    x.backward()
    return x


def chain_without_backward(n: int) -> Tensor:
    a, b, x = (Tensor(v, requires_grad=True) for v in (1.0001, 1e-4, 1.0))
    for _ in range(n // 2):
        x = x * a
        x = x + b
    return x


def chain_by_hand(n: int) -> Any:
    """The same arithmetic on 0-d arrays: forward, and backward for x, a and b."""
    a, b, x = np.array(1.0001), np.array(1e-4), np.array(1.0)
    saved = []
    for _ in range(n // 2):
        saved.append(x)
        x = x * a
        x = x + b
    g, ga, gb = np.array(1.0), np.array(0.0), np.array(0.0)
    for x in reversed(saved):
        gb = gb + g
        ga = ga + g * x
        g = g * a
    return g, ga, gb


PAIRS: dict[str, Callable[[], Pair]] = {
    "ex4 step (5000 × 400–25–10)": ex4,
    "chain (10,000 scalar operations)": lambda: (lambda: chain(10_000), lambda: chain_by_hand(10_000)),
}
