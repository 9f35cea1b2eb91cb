"""The smallest network there is: one unit without an activation learns the line y = 2x + 1 from seven points.

    python examples/linear_regression.py

The course that this follows reports the costs 24.64, 0.0094 and 0.00043 before the updates 0, 100 and 200, and
f(12) = 25.00000019.
"""

from __future__ import annotations

import _cli
import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import plots


def main() -> None:
    about = "Learns the line y = 2x + 1 by gradient descent."
    parser = _cli.parser(about, iterations=1000, alpha=0.01, seed=1, out="linear_output")
    args = parser.parse_args()
    with _cli.errors_told():
        args.out.mkdir(parents=True, exist_ok=True)

    x = np.arange(-2.0, 5.0).reshape(-1, 1)
    y = 2 * x + 1
    random = np.random.RandomState(args.seed)
    net = tg.Sequential(tg.Dense(1, 1, init=lambda shape, rng: random.randn(*shape) * 0.01))
    with _cli.errors_told():
        history = tg.fit(
            net,
            x,
            y,
            loss=tg.mse_loss,
            optimizer=tg.SGD(net.parameters(), lr=args.alpha),
            epochs=args.iterations,
            batch_size=None,
        )
    for i in range(0, len(history["loss"]), 100):
        print(f"cost before update {i:4}: {history['loss'][i]:.12g}")
    print(f"\nf(x) = {net[0].weight.item():.8f} x + {net[0].bias.item():.8f}   (the line: 2 x + 1)")
    usual = _cli.is_usual(parser, args) and history.stopped != "interrupted"
    print(f"f(12) = {net(np.array([[12.0]])).item():.8f}" + "   (the course: 25.00000019)" * usual)

    figure = plots.curves({"cost": history["loss"]}, xlabel="update")
    figure.axes[0].set_yscale("log")
    _cli.save_pictures({"cost.png": figure}, args.out)


if __name__ == "__main__":
    _cli.run(main)
