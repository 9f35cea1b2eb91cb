"""`python -m tinygrad_edu` draws a small network, trains it for three seconds, and says where to begin."""

from __future__ import annotations

import argparse
import contextlib
import math
import time
from collections.abc import Sequence
from pathlib import Path

import tinygrad_edu as tg

CHECKOUT = Path(__file__).resolve().parents[1]
PLACES = {
    "examples/lessons/README.md": "lessons in notebooks: begin here to learn how networks learn",
    "examples/README.md": "programs that learn to read digits, to draw, to make up names",
    "examples/guide.md": "a tour of all that can be done",
    "docs/make.py": "makes the reference, pages for a browser: pip install -e '.[docs]' && python docs/make.py",
    "tinygrad_edu/README.md": "how it works, and in which order to read the source",
}


def draw(loss: tg.Tensor, net: tg.Module, folder: Path) -> None:
    """Writes the computation as a picture and as a page, or says why that cannot be done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("network.svg", "network.html"):
            print("   ", tg.render_graph(loss, folder / name, model=net).resolve())
        print("The second is a page: open it in a browser, and the arrow keys walk the chain rule.")
    except (ImportError, OSError) as error:
        advice = " --out names another folder." if isinstance(error, OSError) else ""
        print(f"    not drawn: {error}.{advice}")


def train(net: tg.Module, X: tg.Tensor, y: tg.Tensor, seconds: float) -> None:
    """The whole training loop: forward, backward, and a step against the gradient."""
    optimizer = tg.Adam(net.parameters(), lr=0.005)
    start, step, shown = time.perf_counter(), 0, 0
    print("    seconds   step    loss")
    while (passed := time.perf_counter() - start) < seconds:
        optimizer.zero_grad()
        loss = tg.binary_cross_entropy(net(X), y)
        loss.backward()
        if passed >= shown * seconds / 10:
            print(f"    {passed:7.1f} {step:6}  {loss:.4f}  {'#' * round(60 * loss.item())}", flush=True)
            shown += 1
        optimizer.step()
        step += 1


def where_to_begin() -> None:
    here = (CHECKOUT / "examples").is_dir()
    print("Where to begin:" if here else "Where to begin, in the project's repository:")
    for place, what in PLACES.items():
        print(f"    {CHECKOUT / place if here else place}\n        {what}")
    print("    >>> import tinygrad_edu as tg; help(tg.Tensor)\n        what a name does; every one has an example")


def duration(text: str) -> float:
    """A time in seconds, which must end. Raises `ValueError` for others, of which argparse tells the user."""
    if not 0 <= (seconds := float(text)) < math.inf:
        raise ValueError
    return seconds


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m tinygrad_edu", description=__doc__)
    parser.add_argument("--seconds", type=duration, default=3.0, help="how long it is trained (3)")
    out = Path("tinygrad_edu_output")
    parser.add_argument("--out", type=Path, default=out, metavar="FOLDER", help=f"for its picture ({out})")
    args = parser.parse_args(arguments)

    points, labels = tg.datasets.rose()
    X, y = tg.Tensor(points, name="points"), tg.Tensor(labels.reshape(-1, 1), dtype=float, name="colours")
    net = tg.Sequential(tg.Dense(2, 8, rng=0), tg.Tanh(), tg.Dense(8, 1, rng=1), tg.Sigmoid())
    loss = tg.binary_cross_entropy(net(X), y)
    loss.name = "loss"
    print(f"tinygrad_edu {tg.__version__}: neural networks on NumPy, small enough to read.\n")
    print(f"The task: {len(X)} points make a rose, three of whose seven petals are red. Which points are red?")
    print("The network: 8 hidden units. What it computes, drawn:")
    draw(loss, net, args.out)
    print(f"\nIt learns for {args.seconds:g} seconds:")
    with contextlib.suppress(KeyboardInterrupt):  # which ends the learning only
        train(net, X, y, args.seconds)
    print(f"Now it is right about {tg.accuracy(tg.predict(net, X), labels):.1%} of the points.\n")
    where_to_begin()


if __name__ == "__main__":
    main()
