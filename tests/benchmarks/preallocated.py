"""The hand-written step once more, in memory that is allocated once: what is left of it when nothing is allocated.

Nobody writes this by hand for long; it shows how far below the straightforward version a step in NumPy can get.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.benchmarks.workloads import Step, Workload


def by_hand_preallocated(w: Workload) -> Step:
    X, Y = w.data()
    params = w.weights()
    m, n, lr, rows = w.rows, len(params) // 2, w.lr, np.arange(w.rows)
    zs = [np.empty((m, size), w.dtype) for size in w.sizes[1:]]
    ds, work = [np.empty_like(z) for z in zs], [np.empty_like(z) for z in zs]
    masks = [np.empty(z.shape, bool) for z in zs]
    gradients, spare = [np.empty_like(p) for p in params], [np.empty_like(p) for p in params]
    last = work[-1], np.empty_like(zs[-1])
    ones, row = np.ones(m, w.dtype), np.empty((m, 1), w.dtype)

    def sigmoid(z: Any) -> None:
        np.negative(z, z)
        np.exp(z, z)
        z += 1
        np.divide(1, z, z)

    def classes(z: Any, d: Any) -> Any:
        np.maximum.reduce(z, axis=1, keepdims=True, out=row)
        z -= row
        np.exp(z, d)
        np.add.reduce(d, axis=1, keepdims=True, out=row)
        J = (np.add.reduce(np.log(row), axis=None) - np.add.reduce(z[rows, Y])) / m
        d /= row
        d[rows, Y] -= 1
        d /= m
        return J

    def binary(h: Any, d: Any, a: Any, b: Any) -> Any:
        sigmoid(h)
        np.log(h, a)
        a *= Y
        np.subtract(1, h, b)
        np.log(b, b)
        np.subtract(1, Y, d)
        b *= d
        a += b
        np.subtract(h, Y, d)
        d /= m
        return -np.add.reduce(a, axis=None) / m

    def step() -> Any:
        a = X
        for i in range(n):
            np.matmul(a, params[2 * i], zs[i])
            zs[i] += params[2 * i + 1]
            a = zs[i]
            if i < n - 1:
                np.maximum(a, 0, out=a) if w.hidden == "relu" else sigmoid(a)
        J = classes(a, ds[-1]) if w.loss == "classes" else binary(a, ds[-1], *last)
        if w.lam:
            J += w.lam / (2 * m) * sum(np.dot(W.ravel(), W.ravel()) for W in params[::2])
        for i in reversed(range(n)):
            d, before = ds[i], X if i == 0 else zs[i - 1]
            np.matmul(before.T, d, gradients[2 * i])
            np.dot(ones, d, gradients[2 * i + 1])
            if i > 0:
                np.matmul(d, params[2 * i].T, ds[i - 1])
                if w.hidden == "relu":
                    np.greater(before, 0, masks[i - 1])
                    ds[i - 1] *= masks[i - 1]
                else:
                    ds[i - 1] *= before
                    np.subtract(1, before, work[i - 1])
                    ds[i - 1] *= work[i - 1]
            if w.lam:
                np.multiply(params[2 * i], w.lam / m, spare[2 * i])
                gradients[2 * i] += spare[2 * i]
            for p, g in zip(params[2 * i : 2 * i + 2], gradients[2 * i : 2 * i + 2], strict=True):
                g *= lr
                p -= g
        return J

    return step
