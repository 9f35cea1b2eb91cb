"""An epoch of MNIST's classifier 784–128–10 in float32, ours and scikit-learn's `MLPClassifier`, in pairs in one run:
`python -m tests.benchmarks.epochs [mnist.npz]` (random images of the same shape without a file)."""

from __future__ import annotations

import statistics
import sys
import time
import warnings

import numpy as np
from sklearn.neural_network import MLPClassifier

import tinygrad_edu as tg


def main() -> None:
    warnings.simplefilter("ignore")  # one epoch does not converge
    if sys.argv[1:]:
        (images, y), _ = tg.datasets.load_mnist(sys.argv[1])
        X = images / np.float32(255)
    else:
        rng = np.random.default_rng(0)
        X, y = rng.random((60000, 784), dtype=np.float32), rng.integers(0, 10, 60000)
    for size in (32, 128):
        net = tg.Sequential(
            tg.Dense(784, 128, init="he_normal", dtype=np.float32), tg.ReLU(), tg.Dense(128, 10, dtype=np.float32)
        )
        optimizer = tg.SGD(net.parameters(), lr=0.1)
        theirs = MLPClassifier((128,), solver="sgd", learning_rate_init=0.1, momentum=0, alpha=0, batch_size=size,
                               max_iter=1)  # fmt: skip
        works = {
            "recorded": lambda o=optimizer, n=net, s=size: epoch(n, X, y, o, s, False),
            "compiled": lambda o=optimizer, n=net, s=size: epoch(n, X, y, o, s, True),
            "scikit-learn": lambda m=theirs: m.fit(X, y),
        }
        times: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(5):
            for name, work in works.items():
                started = time.perf_counter()
                work()
                times[name].append(time.perf_counter() - started)
        for name in ("recorded", "compiled"):
            middle = statistics.median(times[name]) / statistics.median(times["scikit-learn"])
            ours, other = min(times[name]), min(times["scikit-learn"])
            print(f"batches of {size:3}, {name}: {ours:.2f} s an epoch, scikit-learn {other:.2f} s; ", end="")
            print(f"ratio of minima {ours / other:.2f}, of medians {middle:.2f}")


def epoch(net: tg.Sequential, X: object, y: object, optimizer: tg.SGD, size: int, compiled: bool) -> None:
    tg.fit(net, X, y, loss=tg.cross_entropy, optimizer=optimizer, epochs=1, batch_size=size, compiled=compiled,
           progress=False)  # fmt: skip


if __name__ == "__main__":
    main()
