"""Makes README's film and the guide's picture of the page that walks the chain rule, in Chromium without a window.

Needs the extra "test" (selenium, and Pillow with it), Chromium and its driver:

    python examples/pictures/walk.py

writes walk.gif, the walk through L = (a·b + c)·f, and graph_page.png, a step back through exercise 4's network.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tinygrad_edu as tg
from tinygrad_edu import datasets

SECONDS = 1.8  # that each step of the film is shown
COLOURS = 64


def blackboard() -> tg.Tensor:
    """The expression that Andrej Karpathy's lecture on micrograd begins with."""
    a, b, c, f = (
        tg.Tensor(v, requires_grad=True, name=n) for n, v in (("a", 2.0), ("b", -3.0), ("c", 10.0), ("f", -2.0))
    )
    e = a * b
    d = e + c
    L = d * f
    e.name, d.name, L.name = "e", "d", "L"
    return L


def exercise_4() -> tuple[tg.Tensor, tg.Module]:
    """The regularised cost of the course's network with its first weights."""
    X, y = datasets.ex4_digits()
    net = tg.Sequential(tg.Dense(400, 25, rng=0), tg.Sigmoid(), tg.Dense(25, 10, rng=1), tg.Sigmoid())
    J = tg.binary_cross_entropy(net(tg.Tensor(X, name="X")), tg.Tensor(tg.one_hot(y, 10), name="Y"), "batchmean")
    J = J + tg.l2_penalty(net, 1.0, len(X))
    J.name = "J"
    return J, net


def shots(browser: Any, page: Path, size: tuple[int, int], steps: range | None) -> Iterator[bytes]:
    """PNG images of a page at some steps of its walk; None for all."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False},
    )
    browser.get(page.as_uri())
    for step in steps or range(browser.execute_script("return LAST") + 1):
        browser.execute_script("walkTo(arguments[0])", step)
        yield browser.get_screenshot_as_png()


def chromium() -> Any:
    """The browser, which is closed at the end of a `with`."""
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        sys.exit("this needs: python -m pip install 'tinygrad-edu[test]'")
    driver = shutil.which("chromedriver")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if driver is None or program is None:
        sys.exit("this needs Chromium and its driver (apt install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for switch in ("--headless=new", "--no-sandbox", "--hide-scrollbars"):
        options.add_argument(switch)
    return webdriver.Chrome(options=options, service=Service(driver))


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as made, chromium() as browser:
        from PIL import Image

        page = tg.render_graph(blackboard(), Path(made) / "blackboard.html")
        frames = [Image.open(io.BytesIO(shot)).convert("RGB") for shot in shots(browser, page, (1060, 600), None)]
        few = [frame.quantize(COLOURS, dither=Image.Dither.NONE) for frame in frames]
        times = [int(1000 * SECONDS)] * (len(few) - 1) + [int(2500 * SECONDS)]
        few[0].save(folder / "walk.gif", save_all=True, append_images=few[1:], duration=times, loop=0, optimize=True)
        loss, net = exercise_4()
        page = tg.render_graph(loss, Path(made) / "ex4.html", model=net)
        (shot,) = shots(browser, page, (1280, 720), range(21, 22))
        (folder / "graph_page.png").write_bytes(shot)


if __name__ == "__main__":
    main(Path(__file__).parent)
