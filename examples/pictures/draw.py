"""Makes the guide's picture of the page on which one draws: a 3, drawn with the mouse, read by exercise 4's network.

Needs what walk.py needs, and the extra "examples":

    python examples/pictures/draw.py

trains the network by L-BFGS and writes draw_page.png.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from walk import chromium

import tinygrad_edu as tg
from tinygrad_edu import datasets

# Two arcs: (x, y) of the middle, across, down, and the angles in degrees where they begin and end, clockwise
THREE = ((45, 33, 19, 17, -160, 80), (46, 67, 23, 19, -85, 155))
SIZE = 1280, 700


def exercise_4() -> tg.Module:
    X, y = datasets.ex4_digits()
    Y = tg.one_hot(y, 10)
    net = tg.Sequential(tg.Dense(400, 25, rng=0), tg.Sigmoid(), tg.Dense(25, 10, rng=1), tg.Sigmoid())
    cost = lambda: tg.binary_cross_entropy(net(X), Y, "batchmean") + tg.l2_penalty(net, 1.0, len(X))
    tg.minimize(net, cost, "L-BFGS-B", max_iter=100, compiled=True)
    return net


def arc(x: float, y: float, across: float, down: float, start: float, end: float) -> list[tuple[float, float]]:
    angles = np.radians(np.linspace(start, end, 20))
    return [(x + across * math.cos(a), y + down * math.sin(a)) for a in angles]


def draw(browser: Any, points: list[tuple[float, float]]) -> None:
    """A stroke, in hundredths of the pad."""
    pad = browser.execute_script(
        "const r = document.getElementById('pad').getBoundingClientRect(); return [r.left, r.top, r.width]"
    )
    kinds = ["mousePressed"] + ["mouseMoved"] * (len(points) - 1) + ["mouseReleased"]
    for kind, point in zip(kinds, [*points, points[-1]], strict=True):
        x, y = (start + share * pad[2] / 100 for start, share in zip(pad, point, strict=False))
        event = {"type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1}
        browser.execute_cdp_cmd("Input.dispatchMouseEvent", event)


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as made, chromium() as browser:
        page = tg.drawing_page(exercise_4(), Path(made) / "draw.html", order="F")
        size = {"width": SIZE[0], "height": SIZE[1], "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get(page.as_uri())
        draw(browser, [point for part in THREE for point in arc(*part)])
        (folder / "draw_page.png").write_bytes(browser.get_screenshot_as_png())


if __name__ == "__main__":
    main(Path(__file__).parent)
