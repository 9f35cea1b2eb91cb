"""A network learns a picture: from the coordinates of a point to black or white, or to its red, green and blue.

    python examples/learn_image.py                             # a picture drawn here, the article's network and rates
    python examples/learn_image.py --data cat.jpg --color      # any picture, in colour
    python examples/learn_image.py --data may_the_fourth.npz --method lbfgs   # the article's data, as recommended

What was learned is a function, so it can be drawn at any resolution ("enhance!"), and an animation shows how it came
about. The network is 2–27–31–31–1 with ReLUs and a sigmoid, 1973 parameters. The article's 28,000 steps of gradient
descent end at a cost of 0.0888 on its 9400 points, by a path that is chaotic: another BLAS ends elsewhere. The
recommended setting, L-BFGS-B from He's initial weights, needs a fifth of the evaluations.
"""

from __future__ import annotations

import argparse
import itertools
import time
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import _cli
import numpy as np
from PIL import Image, ImageDraw
from threadpoolctl import threadpool_info, threadpool_limits

import tinygrad_edu as tg
from tinygrad_edu import datasets, optim, plots

RATES = [2.8, 1.4, 0.6, 0.3, 0.15, 0.075, 0.0375, 0.01875]
LENGTHS = [1000, 2000, 2000, 2000, 4000, 5000, 8000, 4000]


def draw_picture() -> Image.Image:
    """A house under the sun, to have something to learn without a file."""
    picture = Image.new("RGB", (256, 256), "#6fb7e9")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 190, 256, 256), fill="#4f9d4a")
    draw.ellipse((176, 22, 234, 80), fill="#ffd23f")
    draw.rectangle((52, 118, 150, 216), fill="#f4efe6")
    draw.polygon([(36, 122), (101, 58), (166, 122)], fill="#a5382f")
    draw.rectangle((88, 160, 114, 216), fill="#4a2f1d")
    draw.rectangle((64, 134, 82, 154), fill="#27415c")
    draw.rectangle((120, 134, 138, 154), fill="#27415c")
    draw.rectangle((196, 150, 206, 208), fill="#5b3a21")
    draw.ellipse((174, 104, 228, 162), fill="#1e5d2f")
    return picture


def load(args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Coordinates (n, 2), values (n, 1 or 3), and the height and width."""
    if args.data is None:
        draw_picture().save(args.out / "original.png")
    if args.data is None or args.data.suffix != ".npz":
        X, Y, shape = datasets.image_points(args.data or args.out / "original.png", args.size, color=args.color)
        return X, Y if args.color else (Y.mean() < Y).astype(np.float64), shape
    try:
        with np.load(args.data, allow_pickle=False) as file:
            X, Y = file["X"].T, file["Y"].T.astype(np.float64)
    except (KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{args.data}: expected the article's arrays X (2, n) and Y (1, n): {error}") from None
    if X.ndim != 2 or X.shape[1] != 2 or Y.ndim != 2 or len(Y) != len(X) or not np.all((Y >= 0) & (Y <= 1)):
        raise ValueError(f"{args.data}: expected X (2, n) and Y (1, n) from 0 to 1, got {X.T.shape} and {Y.T.shape}")
    shape = len(np.unique(X[:, 0])), len(np.unique(X[:, 1]))
    if shape[0] * shape[1] != len(X):
        raise ValueError(f"{args.data}: expected all points of a grid, got X {X.T.shape} and Y {Y.T.shape}")
    return np.ascontiguousarray(X), Y, shape


def make_network(outputs: int, method: str, seed: int) -> tg.Sequential:
    """2–27–31–31–outputs; for gradient descent with the article's initial weights, for L-BFGS-B with He's."""
    if method == "gd":
        random = np.random.RandomState(seed)
        init, rng = (lambda shape, _: random.randn(*shape[::-1]).T * 0.2), None
    else:
        init, rng = "he_normal", np.random.default_rng(seed)
    sizes = (2, 27, 31, 31, outputs)
    layers = [tg.Dense(a, b, init=init, rng=rng) for a, b in itertools.pairwise(sizes)]
    return tg.Sequential(
        layers[0], tg.ReLU(), layers[1], tg.ReLU(), layers[2], tg.ReLU(), layers[3], tg.Sigmoid()
    )  # fmt: skip


def fewest_threads(work: Callable[[], object]) -> int:
    """The faster number of BLAS threads, one or all: for small matrices the others only get in each other's way."""
    every = max((pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"), default=1)
    if every == 1:
        return 1
    seconds = {}
    for count in (1, every):
        with threadpool_limits(count, user_api="blas"):
            work()
            rounds = []
            for _ in range(5):
                started = time.perf_counter()
                work()
                rounds.append(time.perf_counter() - started)
            seconds[count] = min(rounds)
    best = min(seconds, key=lambda count: seconds[count])
    told = ", ".join(
        f"{count} {'thread' if count == 1 else 'threads'} {1e3 * s:.2f} ms" for count, s in seconds.items()
    )
    print(f"BLAS for one evaluation: {told}: taking {best}")
    return best


class Filmed(tg.Callback):
    """Collects frames of what the network paints: often at first, then ever more rarely."""

    def __init__(self, net: tg.Sequential, shape: tuple[int, int], steps: int, frames: int = 60) -> None:
        self.net, self.shape = net, shape
        self.wanted = set(np.unique(np.geomspace(1, steps, frames).astype(int)).tolist())
        self.frames: list[Image.Image] = []

    def take(self, step: int) -> None:
        if step in self.wanted:
            painted = Image.fromarray(np.uint8(255 * plots.drawn(self.net, *self.shape)))
            scale = max(1, 240 // max(self.shape))
            self.frames.append(painted.resize((self.shape[1] * scale, self.shape[0] * scale), Image.Resampling.NEAREST))

    def after_epoch(self, training: object) -> None:
        self.take(training.epoch)

    def save(self, path: Path) -> None:
        first, *rest = self.frames
        pauses = [100] * len(rest) + [2000]
        first.save(path, save_all=True, append_images=rest, duration=pauses, loop=0)


def learn(net: tg.Sequential, X: np.ndarray, Y: np.ndarray, film: Filmed, args: argparse.Namespace) -> list[float]:
    if args.method == "gd":
        lengths = [length * args.iterations / sum(LENGTHS) for length in LENGTHS]
        history = tg.fit(
            net,
            X,
            Y,
            loss=tg.binary_cross_entropy,
            optimizer=tg.SGD(net.parameters(), lr=RATES[0]),
            epochs=args.iterations,
            batch_size=None,
            schedule=optim.piecewise_constant(RATES, lengths),
            callbacks=[film],
            compiled=True,
        )
        costs, stopped = history["loss"], history.stopped
    else:
        costs = []

        def after_iteration(state: object) -> None:
            costs.append(state.cost)
            film.take(state.iterations)
            if state.evaluations > args.iterations - 20:  # a line search takes at most 20
                raise StopIteration

        found = tg.minimize(
            net,
            lambda: tg.binary_cross_entropy(net(X), Y),
            "L-BFGS-B",
            max_iter=args.iterations,
            callback=after_iteration,
            compiled=True,
        )
        stopped = found.stopped
        print(f"{found.iterations} iterations, {found.evaluations} evaluations")
    _cli.tell_if_interrupted(stopped, f"{len(costs)} steps")
    return costs


def parse_arguments() -> argparse.Namespace:
    about = "Learns a picture as a function of its coordinates, and draws it at any resolution."
    parser = _cli.parser(about, seed=1, out="image_output")
    parser.add_argument("--data", type=Path, metavar="FILE", help="a picture, or the article's may_the_fourth.npz")
    parser.add_argument("--color", action="store_true", help="red, green and blue instead of black and white")
    parser.add_argument(
        "--size", type=_cli.PIXELS, default=40, metavar="PIXELS", help="shrink a picture to this on its longer side"
    )
    parser.add_argument("--method", choices=("gd", "lbfgs"), default="gd", help="gd: the article's; lbfgs: recommended")
    parser.add_argument("--iterations", type=_cli.COUNT, help="steps (gd, 28000) or evaluations (lbfgs, 5600)")
    args = parser.parse_args()
    args.iterations = args.iterations or {"gd": 28000, "lbfgs": 5600}[args.method]
    own = args.data is not None and args.data.suffix == ".npz" and args.iterations == sum(LENGTHS)
    args.usual = own and _cli.is_usual(parser, args, "data", "iterations")
    return args


def main() -> None:
    args = parse_arguments()
    with _cli.errors_told():
        args.out.mkdir(parents=True, exist_ok=True)
        X, Y, shape = load(args)
    net = make_network(Y.shape[1], args.method, args.seed)
    print(f"{len(X)} points of a picture of {shape[1]}×{shape[0]} pixels, {net.num_parameters} parameters")

    evaluate = partial(tg.compile_step(lambda a, b: tg.binary_cross_entropy(net(a), b),
                                       tg.SGD(net.parameters(), lr=0)).evaluate, X, Y)  # fmt: skip

    film = Filmed(net, shape, args.iterations)
    with threadpool_limits(fewest_threads(evaluate), user_api="blas"):
        costs = learn(net, X, Y, film, args)
    if not costs:
        raise SystemExit("nothing was learned")
    usual = args.usual and len(costs) == args.iterations
    print(f"cost {costs[-1]:.4f} after {len(costs)} steps" + "   (the article: 0.0888)" * usual)

    height, width = shape
    original = Y.reshape(height, width, -1).squeeze()
    enhanced = {f"learned, ×{k}": plots.drawn(net, k * height, k * width) for k in (1, 2, 4, 8)}
    figures = {
        "enhanced.png": plots.pictures({"original": original} | enhanced),
        "cost.png": plots.curves({"cost": costs}, xlabel="step"),
    }
    _cli.save_pictures(figures, args.out)
    film.save(args.out / "learning.gif")
    print(f"  {args.out / 'learning.gif'}")


if __name__ == "__main__":
    _cli.run(main)
