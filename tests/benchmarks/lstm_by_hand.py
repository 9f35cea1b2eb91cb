"""The LSTM's training step written by hand in NumPy, in memory allocated once: what is left to gain in NumPy.

The numbers of each gate lie together, in the order o, i, f, g. All that the walk back multiplies by is computed for
all steps at once, so that five small calls and one product are left for each step; the gradients of the weights are
single products. Most of the time goes into products that run at the speed of the processor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tests.benchmarks.workloads import Step
from tinygrad_edu.functional.activations import new_array, sigmoid_into
from tinygrad_edu.memory import empty_aligned

if TYPE_CHECKING:
    from tests.benchmarks.sequences import Sequences


def lstm_by_hand(w: Sequences, state: dict[str, Any]) -> Step:
    """One step of SGD on the mean cross entropy of a linear layer on the last h, from the weights in `state`."""
    X, Y = w.data()
    m, t, n, lr = w.rows, w.steps, w.units, w.lr
    memory = lambda *shape: empty_aligned(shape, w.dtype)
    names = "weight_ih", "weight_hh", "bias_ih", "bias_hh"
    by_gates = (state[f"lstm.{name}"].reshape(-1, 4, n) for name in names)
    W, U, b, d = (np.roll(np.moveaxis(a, 1, 0), 1, axis=0).copy() for a in by_gates)
    V, e = state["head.weight"].copy(), state["head.bias"].copy()

    rows, ones = np.moveaxis(X, 1, 0).reshape(t * m, -1).copy(), np.ones((1, t * m), w.dtype)
    z, slopes, dz = memory(4, t, m, n), memory(4, t, m, n), memory(4, t, m, n)
    h, c, shown, through = memory(t + 1, m, n), memory(t + 1, m, n), memory(t, m, n), memory(t, m, n)
    product, part, turned = memory(4, m, n), memory(m, n), memory(4, n, n)
    dh, dc, dh_parts = memory(m, n), memory(m, n), memory(4, m, n)
    h[0] = c[0] = 0
    sigmoids, g = z[:3], z[3]
    o, i, f = sigmoids
    picked = np.arange(m), Y

    def forward() -> None:
        np.matmul(rows, W, z.reshape(4, t * m, n))
        np.add(z, (b + d)[:, None], z)
        for k in range(t):
            zk = z[:, k]
            np.add(zk, np.matmul(h[k], U, product), product)
            sigmoid_into(zk[:3], new_array, product[:3])
            np.tanh(product[3], zk[3])
            ck = np.multiply(zk[2], c[k], c[k + 1])
            np.add(ck, np.multiply(zk[1], zk[3], part), ck)
            np.multiply(zk[0], np.tanh(ck, shown[k]), h[k + 1])

    def slopes_of_all_steps() -> None:
        np.subtract(1, sigmoids, slopes[:3])
        np.multiply(slopes[:3], sigmoids, slopes[:3])
        np.multiply(slopes[0], shown, slopes[0])
        np.multiply(slopes[1], g, slopes[1])
        np.multiply(slopes[2], c[:-1], slopes[2])
        np.multiply(g, g, slopes[3])
        np.subtract(1, slopes[3], slopes[3])
        np.multiply(slopes[3], i, slopes[3])
        np.multiply(shown, shown, through)
        np.subtract(1, through, through)
        np.multiply(through, o, through)

    def back() -> None:
        np.copyto(turned, U.mT)
        dc.fill(0)
        for k in reversed(range(t)):
            slope, dzk = slopes[:, k], dz[:, k]
            np.add(dc, np.multiply(dh, through[k], part), dc)
            np.multiply(dh, slope[0], dzk[0])
            np.multiply(dc, slope[1:], dzk[1:])
            if k:
                np.multiply(dc, f[k], dc)
                np.add.reduce(np.matmul(dzk, turned, dh_parts), axis=0, out=dh)

    def step() -> Any:
        with np.errstate():
            np.setbufsize(1024)
            forward()
            logits = h[t] @ V + e
            logits -= logits.max(axis=1, keepdims=True)
            J = np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[picked])
            delta = np.exp(logits)
            delta /= delta.sum(axis=1, keepdims=True)
            delta[picked] -= 1
            delta /= m
            np.matmul(delta, V.T, dh)
            slopes_of_all_steps()
            back()
            flat = dz.reshape(4, t * m, n)
            bias = np.matmul(ones, flat)
            for p, gradient in (
                (W, rows.T @ flat), (U, h[:-1].reshape(t * m, n).T @ flat), (b, bias), (d, bias),
                (V, h[t].T @ delta), (e, delta.sum(axis=0)),
            ):  # fmt: skip
                p -= lr * gradient
            return J

    return step
