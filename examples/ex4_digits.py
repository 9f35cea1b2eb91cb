"""Exercise 4 of the machine-learning course: a neural network learns to read handwritten digits.

    python examples/ex4_digits.py                          # 800 iterations of gradient descent, a few seconds
    python examples/ex4_digits.py --weights ex4weights.mat # first the course's own weights: known costs, 97.52 %
    python examples/ex4_digits.py --method cg              # SciPy's minimisers: cg, tnc, lbfgs
    python examples/ex4_digits.py --method sgd --holdout 0.2

It also writes ex4_output/draw.html: open it, draw a digit, and see how the network reads it, and why. What it reads
wrongly can be kept there and saved, and learned from: --more drawings.json.

The network is 400–25–10 with sigmoids. Its gradient, which the exercise has you derive by hand (δ3 = h − y,
δ2 = δ3 Θ2 ∘ a2 (1 − a2)), comes from `backward()`; it is checked numerically first, as in the exercise.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import _cli
import numpy as np
from sklearn.metrics import classification_report

import tinygrad_edu as tg
from tinygrad_edu import functional as F
from tinygrad_edu import plots
from tinygrad_edu.datasets import ex4_digits, load_ex4, load_ex4_weights


def make_network(inputs: int, hidden: int, outputs: int) -> tg.Sequential:
    """Two layers of weights; `Dense` adds the biases that the exercise keeps in a column of ones."""
    return tg.Sequential(tg.Dense(inputs, hidden), tg.Sigmoid(), tg.Dense(hidden, outputs), tg.Sigmoid())


def set_thetas(net: tg.Sequential, *thetas: np.ndarray) -> None:
    """Puts the exercise's matrices into the network: Θ is (outputs, 1 + inputs) with the bias in column 0."""
    for layer, theta in zip((net[0], net[2]), thetas, strict=True):
        layer.weight.data = np.ascontiguousarray(theta[:, 1:].T)
        layer.bias.data = theta[:, 0].copy()


def random_start(net: tg.Sequential, seed: int) -> None:
    """The exercise's randInitializeWeights: uniform in ±ε with ε = √6 / √(inputs + outputs), biases too."""
    rng = np.random.RandomState(seed)
    thetas = []
    for layer in (net[0], net[2]):
        epsilon = np.sqrt(6) / np.sqrt(layer.in_features + layer.out_features)
        thetas.append(rng.rand(layer.out_features, layer.in_features + 1) * 2 * epsilon - epsilon)
    thetas[1] = np.roll(thetas[1], 1, axis=0)  # the exercise's last output is for the digit 0, ours the first
    set_thetas(net, *thetas)


def cost(net: tg.Sequential, X: np.ndarray, Y: np.ndarray, lam: float, m: int) -> tg.Tensor:
    """J = −1/m ΣΣ [y log h + (1 − y) log(1 − h)] + λ/2m ΣΣ Θ²; biases are not regularised."""
    h = net(X)
    return F.binary_cross_entropy(h, Y, reduction="batchmean") + F.l2_penalty(net, lam, m)


def drawn_digits(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Digits that were kept on the page draw.html, with their pixels unrolled as the exercise's: column by column."""
    images, labels = tg.load_drawings(path, side=20, classes=10)
    return images.transpose(0, 2, 1).reshape(-1, 400), labels


def predict(net: tg.Sequential, X: np.ndarray) -> np.ndarray:
    """The digit whose output is the largest."""
    with tg.no_grad():
        return np.argmax(net(X), axis=1)


def accuracy(net: tg.Sequential, X: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(predict(net, X) == y))


def show_course_weights(path: str, X: np.ndarray, y: np.ndarray, Y: np.ndarray) -> None:
    """The costs and the accuracy that the exercise gives for its trained weights."""
    net = make_network(400, 25, 10)
    net.load_state_dict(load_ex4_weights(path))
    print("\nWith the course's weights (it says 0.287629 and 0.383770, 97.5 %):")
    with tg.no_grad():
        for lam in (0, 1):
            print(f"  J = {cost(net, X, Y, lam, len(X)).item():.12f}  (λ = {lam})")
    print(f"  accuracy {accuracy(net, X, y):.2%}")


def check_gradients(lam: float) -> None:
    """The exercise's checkNNGradients: a 3–5–3 network, five samples, and a small step for every parameter."""

    def debug_weights(rows: int, columns: int) -> np.ndarray:
        return (np.sin(np.arange(1, rows * columns + 1)) / 10).reshape(rows, columns, order="F")

    net = make_network(3, 5, 3)
    set_thetas(net, debug_weights(5, 4), debug_weights(3, 6))
    X, Y = debug_weights(5, 3), tg.one_hot([1, 2, 0, 1, 2], 3)
    parameters = net.parameters()

    cost(net, X, Y, lam, len(X)).backward()
    ours = np.concatenate([p.grad.ravel() for p in parameters])
    measured = tg.numerical_gradient(lambda *_: cost(net, X, Y, lam, len(X)), *parameters)
    numerical = np.concatenate([g.ravel() for g in measured])

    difference = np.linalg.norm(numerical - ours) / np.linalg.norm(numerical + ours)
    print(f"\nChecking backpropagation on a 3–5–3 network, λ = {lam:g}:\n\n     numerical   backward()")
    for pair in zip(numerical, ours, strict=True):
        print("  {:12.8f} {:12.8f}".format(*pair))
    print(f"\n  relative difference {difference:.2e} (the exercise wants less than 1e-9)")


# What --iterations counts, how many are usual, and the article's figures where one used this method
METHODS = {
    "gd": ("steps of gradient descent", 800, "94.58 %"),
    "sgd": ("epochs of mini-batches", 40, None),
    "cg": ("iterations of conjugate gradients", 50, "96.5 %, with fmincg"),
    "tnc": ("evaluations by truncated Newton", 400, "98.2 %, after 246 evaluations"),
    "lbfgs": ("iterations of L-BFGS-B", 400, None),
}


def train(net: tg.Sequential, X: np.ndarray, Y: np.ndarray, args: argparse.Namespace) -> tuple[list[float], str]:
    """Learns by the chosen method; the cost in each step or, with mini-batches, epoch; and why it stopped."""
    m = len(X)
    if args.method in ("gd", "sgd"):
        history = tg.fit(
            net,
            X,
            Y,
            loss=lambda h, y: F.binary_cross_entropy(h, y, reduction="batchmean") + F.l2_penalty(net, args.lam, m),
            optimizer=tg.SGD(net.parameters(), lr=args.alpha),
            epochs=args.iterations,
            batch_size=args.batch_size if args.method == "sgd" else None,
            rng=args.seed,
        )
        costs, stopped = history["loss"] if history else [], history.stopped
    else:
        costs = []
        method = {"cg": "CG", "tnc": "TNC", "lbfgs": "L-BFGS-B"}[args.method]
        found = tg.minimize(
            net,
            lambda: cost(net, X, Y, args.lam, m),
            method,
            max_iter=args.iterations,
            callback=lambda state: costs.append(state.cost),
            compiled=True,
        )
        stopped = found.stopped
        print(f"{found.iterations} iterations, {found.evaluations} evaluations ({stopped})")
    _cli.tell_if_interrupted(stopped, f"{len(costs)} steps")
    return costs, stopped


def draw_pictures(
    out: Path, net: tg.Sequential, X: np.ndarray, y: np.ndarray, costs: list[float], args: argparse.Namespace
) -> None:
    rng = np.random.default_rng(args.seed)
    some, fewer = (rng.choice(len(X), min(n, len(X)), replace=False) for n in (100, 40))
    figures = {  # the pixels are unrolled column by column
        "digits.png": plots.digit_grid(X[some], order="F"),
        "hidden_units.png": plots.hidden_units(net, columns=5, order="F"),
        "predictions.png": plots.predictions(X[fewer], y[fewer], predict(net, X[fewer]), order="F"),
        "confusion.png": plots.confusion_matrix(y, predict(net, X)),
    }
    if costs:
        title = f"{args.method}, α = {args.alpha:g}, λ = {args.lam:g}"
        figures["cost.png"] = plots.curves({"cost J": costs}, xlabel="iteration", title=title)
    print("\nPictures:")
    _cli.save_pictures(figures, out)
    J = cost(net, tg.Tensor(X, name="X"), tg.Tensor(tg.one_hot(y, 10), name="Y"), args.lam, len(X))
    J.name = "J"
    print(f"  {tg.render_graph(J, out / 'graph.svg', model=net)}")
    print(f"Draw a digit yourself: {tg.drawing_page(net, out / 'draw.html', order='F')}")


def parse_arguments() -> argparse.Namespace:
    parser = _cli.parser(
        "Learns to read the handwritten digits of the machine-learning course's exercise 4.",
        seed=0,
        seeded="of the initial weights, the batches and the pictures",
        alpha=0.8,
        out="ex4_output",
    )
    parser.add_argument("--data", metavar="FILE", help="the course's ex4data1.mat; without it the data are rebuilt")
    parser.add_argument("--weights", metavar="FILE", help="the course's ex4weights.mat: print its known costs first")
    parser.add_argument("--more", metavar="FILE", help="learn from these drawings too, which draw.html has saved")
    parser.add_argument("--method", choices=METHODS, default="gd", help="how to learn")
    usual = ", ".join(f"{method} {count}" for method, (_, count, _) in METHODS.items())
    parser.add_argument("--iterations", type=_cli.COUNT, help=f"steps, epochs, iterations or evaluations ({usual})")
    finite = _cli.within(float, lambda lam: 0 <= lam < np.inf, "finite and not negative")
    parser.add_argument("--lam", type=finite, default=1.0, help="regularisation λ")
    parser.add_argument("--batch-size", type=_cli.COUNT, default=32, metavar="N", help="samples in a mini-batch of sgd")
    part = _cli.within(float, lambda part: 0 <= part < 1, "between 0 and 1")
    parser.add_argument("--holdout", type=part, default=0.0, metavar="PART", help="keep this part for testing, as 0.2")
    parser.add_argument("--no-plots", action="store_true", help="draw no pictures")
    args = parser.parse_args()
    usual = METHODS[args.method][1]
    args.iterations = args.iterations or usual
    free = ("data", "weights", "method", "iterations", "no_plots")
    args.usual = args.iterations == usual and _cli.is_usual(parser, args, *free)
    return args


def main() -> None:
    args = parse_arguments()
    with _cli.errors_told():
        X, y = load_ex4(args.data) if args.data else ex4_digits()
        Y = tg.one_hot(y, 10)
        print(f"{len(X)} digits of 20×20 pixels")
        more = drawn_digits(args.more) if args.more else (X[:0], y[:0])
        if args.weights:
            show_course_weights(args.weights, X, y, Y)
        if not args.no_plots:
            args.out.mkdir(parents=True, exist_ok=True)  # before the work, not after it

    for lam in (0.0, 3.0):
        check_gradients(lam)

    order = np.random.default_rng(args.seed).permutation(len(X)) if args.holdout else np.arange(len(X))
    testing, training = np.split(order, [round(args.holdout * len(X))])
    if not len(training) or (args.holdout and not len(testing)):
        raise SystemExit(
            f"error: --holdout {args.holdout:g} leaves nothing to {'test' if len(training) else 'learn from'}"
        )
    training = np.append(training, np.arange(len(X), len(X) + len(more[0])))
    X, y = np.concatenate([X, more[0]]), np.concatenate([y, more[1]])
    Y = tg.one_hot(y, 10)
    net = make_network(400, 25, 10)
    random_start(net, args.seed)
    what, _, article = METHODS[args.method]
    own = f" ({len(more[0])} of them drawn)" if args.more else ""
    print(f"\nLearning from {len(training)} digits{own}: {args.iterations} {what}, λ = {args.lam:g}", flush=True)
    costs, stopped = train(net, X[training], Y[training], args)

    if costs:
        print(f"\nJ = {costs[-1]:.13f} in step {len(costs)}")
    said = f"   (the article: {article})" if article and args.usual and stopped != "interrupted" else ""
    print(f"training accuracy {accuracy(net, X[training], y[training]):.2%}{said}")
    if args.more:
        print(f"of {len(more[0])} drawn digits {np.sum(predict(net, more[0]) == more[1])} are read right now")
    shown = testing if len(testing) else training
    if len(testing):
        print(f"accuracy on {len(testing)} held-out digits {accuracy(net, X[testing], y[testing]):.2%}")
    print("\n" + classification_report(y[shown], predict(net, X[shown]), digits=4, zero_division=0))
    if not args.no_plots:
        draw_pictures(args.out, net, X[shown], y[shown], costs, args)


if __name__ == "__main__":
    _cli.run(main)
