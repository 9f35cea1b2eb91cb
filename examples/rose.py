"""A rose of seven petals, some red, some green: a straight line cannot part them, four hidden units can.

    python examples/rose.py

Logistic regression starts at a cost of 0.69277 (chance is log 2 = 0.69315) and never gets far; the network 2–4–1 passes
0.018725, 0.010960 and 0.007723 before updates 1000, 2000 and 3000, as in the course that this follows.
"""

from __future__ import annotations

import argparse

import _cli
import numpy as np
from matplotlib.figure import Figure

import tinygrad_edu as tg
from tinygrad_edu import datasets, plots


def dense(inputs: int, outputs: int, random: np.random.RandomState) -> tg.Dense:
    """A layer with small normal weights, drawn (outputs, inputs) as the course does."""
    return tg.Dense(inputs, outputs, init=lambda shape, rng: random.randn(outputs, inputs).T * 0.01)


def learn(net: tg.Sequential, X: np.ndarray, y: np.ndarray, args: argparse.Namespace) -> tg.History:
    optimizer = tg.SGD(net.parameters(), lr=args.alpha)
    with _cli.errors_told():
        history = tg.fit(net, X, y, loss=tg.binary_cross_entropy, optimizer=optimizer, epochs=args.iterations,
                         batch_size=None)  # fmt: skip
    for i in range(0, len(history["loss"]), 1000):
        print(f"  cost before update {i:4}: {history['loss'][i]:.12f}")
    print(f"  accuracy {tg.accuracy(tg.predict(net, X), y):.1%}")
    return history


def main() -> None:
    about = "Logistic regression and a small network on points that no line can part."
    parser = _cli.parser(about, iterations=4000, alpha=1.2, seed=1, out="rose_output")
    args = parser.parse_args()
    usual = _cli.is_usual(parser, args)
    with _cli.errors_told():
        args.out.mkdir(parents=True, exist_ok=True)

    X, labels = datasets.rose()
    y = labels.reshape(-1, 1)
    print(f"{len(X)} points, {labels.mean():.2%} are of class 1")
    print("\nlogistic regression" + " (the course: 0.69277 at the start)" * usual)
    line = tg.Sequential(dense(2, 1, np.random.RandomState(args.seed)), tg.Sigmoid())
    learn(line, X, y, args)
    print("\n2–4–1 with tanh" + " (the course: 0.018725, 0.010960, 0.007723)" * usual)
    random = np.random.RandomState(args.seed)
    net = tg.Sequential(dense(2, 4, random), tg.Tanh(), dense(4, 1, random), tg.Sigmoid())
    history = learn(net, X, y, args)

    figure = Figure(figsize=(10, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    plots.decision_regions(line, X, labels, axes=left, title="logistic regression: a line")
    plots.decision_regions(net, X, labels, axes=right, title="four hidden units")
    print()
    costs = plots.curves({"cost": history["loss"]}, xlabel="update")
    _cli.save_pictures({"regions.png": figure, "cost.png": costs}, args.out)


if __name__ == "__main__":
    _cli.run(main)
