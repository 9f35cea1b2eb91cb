"""The smallest network there is: one unit without an activation learns the line y = 2x + 1 from seven points.

    python examples/linear_regression.py

The course that this follows reports the costs 24.64, 0.0094 and 0.00043 before the updates 0, 100 and 200, and
f(12) = 25.00000019.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import plots


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Learns the line y = 2x + 1 by gradient descent.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--iterations", type=int, default=1000, help="steps of gradient descent")
    parser.add_argument("--alpha", type=float, default=0.01, help="learning rate α")
    parser.add_argument("--seed", type=int, default=1, help="of the initial weight")
    parser.add_argument("--out", type=Path, default=Path("linear_output"), metavar="FOLDER", help="for pictures")
    args = parser.parse_args()
    if args.iterations < 1 or not 0 < args.alpha < np.inf or not 0 <= args.seed < 2**32:
        parser.error("--iterations must be at least 1, --alpha positive and finite, --seed from 0 to 2**32 - 1")
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SystemExit(f"error: {error}") from None

    x = np.arange(-2.0, 5.0).reshape(-1, 1)
    y = 2 * x + 1
    random = np.random.RandomState(args.seed)
    net = tg.Sequential(tg.Dense(1, 1, init=lambda shape, rng: random.randn(*shape) * 0.01))
    try:
        history = tg.fit(
            net,
            x,
            y,
            loss=tg.mse_loss,
            optimizer=tg.SGD(net.parameters(), lr=args.alpha),
            epochs=args.iterations,
            batch_size=None,
        )
    except FloatingPointError as error:
        raise SystemExit(f"error: {error}") from None
    for i in range(0, len(history["loss"]), 100):
        print(f"cost before update {i:4}: {history['loss'][i]:.12g}")
    print(f"\nf(x) = {net[0].weight.item():.8f} x + {net[0].bias.item():.8f}   (the line: 2 x + 1)")
    print(f"f(12) = {net(np.array([[12.0]])).item():.8f}   (the course: 25.00000019)")

    figure = plots.curves({"cost": history["loss"]}, xlabel="update")
    figure.axes[0].set_yscale("log")
    figure.savefig(args.out / "cost.png", dpi=110)
    print(f"  {args.out / 'cost.png'}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit("\nstopped") from None
