"""The walk of the chain rule on the page: its numbers, its camera, folds, and what becomes of the page elsewhere."""

from __future__ import annotations

import html
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.graph.test_page import HOSTILE, chain, data_of, key_of, network, node, scalar
from tinygrad_edu import functional as F
from tinygrad_edu.graph import page

# Graphs that learners draw first


def logistic():
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(20, 3)), rng.integers(0, 2, 20)
    w, b = tg.Tensor(rng.normal(size=3), requires_grad=True, name="w"), tg.Tensor(0.5, requires_grad=True, name="b")
    h = 1 / (1 + np.exp(-(X @ w + b)))
    return -np.mean(y * np.log(h) + (1 - y) * np.log(1 - h)), None


def xor():
    net = tg.Sequential(tg.Dense(2, 4, rng=0), tg.Tanh(), tg.Dense(4, 1, rng=1), tg.Sigmoid())
    return F.mse_loss(net(np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])), np.array([[0.0], [1], [1], [0]])), net


def micrograd():
    a, b = tg.Tensor(-4.0, requires_grad=True, name="a"), tg.Tensor(2.0, requires_grad=True, name="b")
    c, d = a + b, a * b + b**3
    c = c + c + 1
    c = c + 1 + c + (-a)
    d = d + d * 2 + F.relu(b + a)
    d = d + 3 * d + F.relu(b - a)
    e = c - d
    f = e**2
    return f / 2.0 + 10.0 / f, None


def residual():
    class Block(tg.Module):
        def __init__(self, seed):
            self.inner = tg.Sequential(tg.Dense(4, 4, rng=seed), tg.ReLU(), tg.Dense(4, 4, rng=seed + 1))

        def forward(self, x):
            return x + self.inner(x)

    net = tg.Sequential(Block(0), Block(2), Block(4), tg.Dense(4, 1, rng=6))
    return np.mean(net(np.ones((5, 4))) ** 2), net


def six_layers():
    net = tg.Sequential(*(layer for k in range(6) for layer in (tg.Dense(4, 4, rng=k), tg.Tanh())))
    return np.mean(net(np.ones((5, 4))) ** 2), net


def ex4():
    net = tg.Sequential(tg.Dense(20, 5, rng=0), tg.Sigmoid(), tg.Dense(5, 4, rng=1), tg.Sigmoid())
    X = tg.Tensor(np.random.default_rng(0).normal(size=(30, 20)), name="X")
    loss = F.binary_cross_entropy(net(X), np.eye(4)[np.arange(30) % 4], "batchmean") + tg.l2_penalty(net, 1.0, 30)
    return loss, net


FIRST = {f.__name__: f for f in (logistic, xor, micrograd, residual, six_layers, ex4)}

INSIDE = """
const box = canvas.getBoundingClientRect(), within = (e) => {
  const r = e.getBoundingClientRect();
  return r.left >= box.left - 1 && r.right <= box.right + 1 && r.top >= box.top - 1 && r.bottom <= box.bottom + 1;
};
"""


@pytest.mark.parametrize("name", FIRST)
def test_what_is_shown_first_can_be_read_and_each_step_stays_in_view(name, browser):
    output, net = FIRST[name]()
    browser.resize(1280, 720)
    browser.open(page.render(output, model=net))
    sizes = (
        "return [...canvas.querySelectorAll('text')].map((t) => parseFloat(getComputedStyle(t).fontSize) * view.scale)"
    )
    assert min(browser.run(sizes)) >= 11
    words = browser.run(
        INSIDE + "return [...canvas.querySelectorAll('.node')].filter(within).map((n) => n.dataset.key)"
    )
    assert len(words) >= 5  # and there is something to read
    seen = browser.run(
        INSIDE + "const seen = []; for (let p = 1; p <= LAST; p++) { walkTo(p);"
        "seen.push([within(stepAt(p).operation.element), view.scale]); } return seen"
    )
    assert len(seen) >= 6 and all(within and scale >= 1 for within, scale in seen)
    assert browser.console() == []


# Numbers


def random_graph(seed, edited=None):
    """A few operations on numbers and small arrays, in which values are read several times; `edited` leaves have other
    values."""
    rng = np.random.default_rng(seed)
    leaves = {"a": tg.Tensor(rng.normal(), requires_grad=True, name="a"),
              "b": tg.Tensor(rng.normal(size=3), requires_grad=True, name="b"),
              "M": tg.Tensor(rng.normal(size=(2, 3)), requires_grad=True, name="M")}  # fmt: skip
    for name, value in (edited or {}).items():
        leaves[name].data = value
    known = list(leaves.values())
    one = [np.tanh, np.sin, np.square, lambda x: np.exp(0.3 * x), lambda x: x.sum(), lambda x: 2 - x, lambda x: x * x]
    two = [np.add, np.multiply, np.subtract, np.maximum, lambda x, y: x / (1 + y * y)]
    for _ in range(rng.integers(2, 6)):
        if rng.random() < 0.5:
            known.append(one[rng.integers(len(one))](known[rng.integers(len(known))]))
        else:
            known.append(two[rng.integers(len(two))](*(known[k] for k in rng.integers(len(known), size=2))))
    output = sum((np.sum(np.tanh(x)) for x in known[-4:]), leaves["a"] * 0.5)
    output.name = "L"
    return output, leaves


SUMS = """
const last = {};
for (let p = operations.length + 1; p <= LAST; p++) {
  const card = html("div", {}, ...stepCard(p)); // what #step shows
  for (const line of card.querySelectorAll("ul:last-of-type > li")) {
    const sum = line.querySelector(".sum b");
    if (sum) last[line.querySelector("button").textContent] = sum.textContent;
  }
}
walkTo(LAST);
const fed = values.filter((v) => v.received.length && v.shape.length);
const arrays = Object.fromEntries(fed.map((v) => [v.key, v.received.at(-1).part.sum]));
return [last, arrays, Object.fromEntries(values.filter((v) => v.gradient).map((v) => [v.key, v.element.textContent]))];
"""


def test_stepping_back_the_running_sums_end_at_the_gradients_of_backward(browser):
    for seed in range(20):
        output, leaves = random_graph(seed)
        written = page.render(output)
        browser.open(written)
        shown, arrays, texts = browser.run(SUMS)
        output.backward()
        for name, leaf in leaves.items():
            if leaf.grad is None:
                continue
            if leaf.ndim == 0:
                end = float(shown[name].split("= ")[-1].replace("−", "-"))
                assert end == pytest.approx(float(leaf.grad), rel=1e-3, abs=1e-9), (seed, name)
            else:
                sums = arrays[key_of(written, name)]
                np.testing.assert_allclose(sums["values"], leaf.grad.ravel(), rtol=1e-4, atol=1e-12)
                assert f"norm of ∂ {np.linalg.norm(leaf.grad):.3g}" in texts[key_of(written, name)]
        assert browser.console() == []


def test_a_step_says_local_derivative_arriving_gradient_product_and_sum(browser):
    x = tg.Tensor(3.0, requires_grad=True, name="x")
    y = x * x
    y.name = "y"
    browser.open(page.render(y), "#step=2")
    step = " ".join(browser.text("#step").split())
    once = "local derivative 3 × gradient that arrives 1 = what it adds 3"
    assert step.count(once) == 2
    assert f"{once} sum so far: 3" in step and f"{once} its gradient: 3 + 3 = 6" in step
    assert "x = 3" in browser.text(node(key_of(page.render(y), "x")))  # the value stays on the way back


def test_a_step_shows_arrays_as_maps_on_one_scale(browser):
    x = tg.Tensor(np.linspace(-2, 2, 12).reshape(3, 4), requires_grad=True, name="x")
    w = tg.Tensor(np.arange(12.0).reshape(3, 4), name="w")
    browser.open(page.render((np.tanh(x) * w).sum()), "#step=6")
    assert "through tanh" in browser.text("#words")
    maps = [c.get_attribute("aria-label") for c in browser.find_all("#step canvas")]
    limit = (np.arange(12) * (1 - np.tanh(np.linspace(-2, 2, 12)) ** 2)).max()
    assert [m.split(",")[0] for m in maps] == ["g", "local derivative", "what it adds"] and limit < 11
    assert maps[0].endswith("from −11 (blue) to 11 (orange)") and maps[2].endswith("from −11 (blue) to 11 (orange)")
    assert "⊙" in browser.text("#step") and "=" in browser.text("#step")
    colours = browser.run(
        "return [...document.querySelectorAll('#step canvas')]"
        ".map((c) => [...c.getContext('2d').getImageData(0, 0, 4, 3).data])"
    )
    exact = np.array([11, 1, 11])[:, None]
    x_, w_ = x.data.ravel(), w.data.ravel()
    shares = np.array([w_, 1 - np.tanh(x_) ** 2, w_ * (1 - np.tanh(x_) ** 2)]) / exact
    shares[1] /= (1 - np.tanh(x_) ** 2).max()
    red = np.array([c[0::4] for c in colours])
    np.testing.assert_allclose(red, 247 + (213 - 247) * shares, atol=1.5)


def test_what_is_summed_to_a_smaller_shape_says_so(browser):
    b = tg.Tensor(np.ones(3), requires_grad=True, name="b")
    browser.open(page.render((np.arange(6.0).reshape(2, 3) * b).sum()), "#step=4")
    names = [c.text for c in browser.find_all("#step figcaption")]
    assert names == ["g, arrives", "local derivative", "product", "what it adds"]
    assert "Σ" in browser.text("#step .maps")


# Folds, addresses, play


def test_folds_open_by_a_click_and_all_by_a_key(browser):
    net, J = network()
    written = page.render(J, model=net, depth=1)
    browser.open(written)
    assert "4 parameters" in browser.text("#contents")  # the biases, too, which the folds hide
    whole = len(data_of(page.render(J, model=net))["operations"])
    labels = lambda: [n.text.split("\n")[0] for n in browser.find_all(".node.operation")]
    assert labels()[0] == "1. 0: Dense(30 → 5)" and len(browser.find_all(".node.operation")) == whole
    before = len(browser.find_all(".node"))
    browser.press_until_read_again("CLICK", on=node("o2"))
    assert browser.driver.current_url.endswith("#open=3")
    assert labels()[2] == "3. linear" and labels()[0] == "1. 0: Dense(30 → 5)"
    assert len(browser.find_all(".node")) == before + 1  # its bias
    assert browser.text("#folds") == "Fold"
    browser.press_until_read_again("o")
    assert labels()[2] == "3. 2: Dense(5 → 3)"
    browser.press_until_read_again("o")
    assert (
        labels()[:4] == ["1. linear", "2. relu", "3. linear", "4. σ"] and len(browser.find_all(".node")) == before + 2
    )
    browser.find(node("o0")).click()
    assert any(button.text == "Fold again" for button in browser.find_all("#card button"))
    assert browser.console() == []


def test_the_walk_stays_where_it_is_when_folds_are_opened(browser):
    net, J = network()
    browser.open(page.render(J, model=net, depth=1))
    shown = "const { operation, backward } = stepAt(position); return [operation.step, operation.folded, backward]"
    seen = lambda: browser.run(shown)
    browser.run("walkTo(3)")
    assert seen() == [3, 1, False]
    browser.press_until_read_again("o")
    assert seen() == [3, 0, False] and "step=3" in browser.driver.current_url
    browser.run("walkTo(LAST)")
    assert seen() == [1, 0, True]
    browser.press_until_read_again("o")
    assert seen() == [1, 1, True] and "open" not in browser.driver.current_url.partition("#")[2]
    browser.open(page.render(J, model=net, depth=0))
    browser.run("walkTo(LAST)")
    assert seen() == [1, 4, True]
    browser.press_until_read_again("o")
    assert seen() == [3, 0, True]  # where the way back through it begins: the sigmoid, 4, is by-passed
    assert browser.console() == []


def test_a_fold_that_is_too_large_says_what_to_do(browser):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "OPENED", 30)
        browser.open(page.render(chain(40), max_nodes=10))
    assert browser.run("return Object.keys(data.opened).length") == 0
    browser.find(".node.operation").click()
    assert "max_nodes" in browser.text("#card") and not browser.find("#folds").is_displayed()


def test_a_link_leads_to_a_step(browser):
    written = page.render(scalar())
    browser.open(written, "#step=5")
    assert "Step 5 of 6, backward" in browser.text("#words")
    browser.press("ARROW_RIGHT")
    assert browser.driver.current_url.endswith("#step=6")
    browser.run("location.hash = 'step=2'")
    browser.driver.execute_async_script("setTimeout(arguments[0], 50)")
    assert "Step 2 of 6" in browser.text("#words")
    browser.press("ESCAPE")
    assert "#" not in browser.driver.current_url
    for wrong in ("#step=x", "#step=-3", "#open=nothing", "#open=constructor"):
        browser.open(written, wrong)
        assert "6 steps" in browser.text("#words") and browser.console() == []
    browser.open(written, "#step=2.5")
    assert "Step 2 of 6" in browser.text("#words")
    browser.open(written, "#step=99")
    assert "Step 6 of 6" in browser.text("#words")


def test_play_goes_on_by_itself_until_the_end_or_a_key(browser):
    browser.open(page.render(scalar()))
    wait = "const done = arguments[0], t = setInterval(() => {if (position === LAST) {clearInterval(t); done();}}, 5)"
    browser.run("realInterval = setInterval; setInterval = (f) => realInterval(f, 60)")  # not a moment but a blink
    play = "const play = document.querySelector('#play'); play.click(); return play.textContent"
    assert browser.run(play) == "❚❚ Pause"
    browser.driver.execute_async_script(wait)
    assert "Step 6 of 6" in browser.text("#words") and browser.text("#play") == "▶ Play"
    browser.run("setInterval = realInterval")
    browser.press("p")  # from the beginning again
    assert "Step 1 of 6" in browser.text("#words") and browser.text("#play") == "❚❚ Pause"
    browser.press("ARROW_LEFT")
    assert browser.text("#play") == "▶ Play"


# The camera, the window, paper


def centre_of(browser):
    return browser.run("return [(room.width / 2 - view.left) / view.scale, (room.height / 2 - view.top) / view.scale]")


def test_the_overview_shows_where_one_is_and_leads_elsewhere(browser):
    browser.resize(1280, 720)
    browser.open(page.render(scalar()))
    assert not browser.find("#overview").is_displayed()  # all is in view
    browser.open(page.render(chain(60)), "#step=30")
    frame = lambda: {n: float(browser.find("#overview .frame").get_attribute(n)) for n in ("x", "width")}
    assert browser.find("#overview").is_displayed()
    x, _ = centre_of(browser)
    assert frame()["x"] + frame()["width"] / 2 == pytest.approx(x, rel=0.05)
    here, now = browser.run(
        "return [Number(document.querySelector('.here').getAttribute('cx')), stepAt(30).operation.x]"
    )
    assert here == pytest.approx(now)
    browser.run("overview.dispatchEvent(new PointerEvent('pointerdown', { buttons: 1,"
                "clientX: overview.firstChild.getBoundingClientRect().right }))")  # fmt: skip
    assert centre_of(browser)[0] == pytest.approx(browser.run("return data.width"), rel=1e-3)


def test_it_follows_the_window_s_size(browser):
    browser.resize(1280, 720)
    browser.open(page.render(scalar()))
    settle = "requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(arguments[0])))"
    browser.resize(900, 600)
    browser.driver.execute_async_script(settle)
    whole = browser.run("return {...view}")
    browser.press("0")
    assert browser.run("return {...view}") == whole
    browser.run("zoomAt(2)")
    before = centre_of(browser)
    browser.resize(1440, 900)
    browser.driver.execute_async_script(settle)
    assert centre_of(browser) == pytest.approx(before)
    assert browser.run("return view.scale") == pytest.approx(2 * whole["scale"])


def test_on_paper_the_whole_graph_is_drawn(browser):
    browser.resize(1000, 700)
    net, J = network()
    browser.open(page.render(J, model=net), "#step=15")
    before = browser.run("return {...view}")
    browser.command("Emulation.setEmulatedMedia", media="print")
    browser.run("dispatchEvent(new Event('beforeprint'))")
    outside = browser.run(INSIDE + "return [...canvas.querySelectorAll('.node')].filter((n) => !within(n)).length")
    shown = {i: browser.find(i).is_displayed() for i in ("#canvas", "#words", "#step .link", "#next", "#query")}
    browser.run("dispatchEvent(new Event('afterprint'))")
    browser.command("Emulation.setEmulatedMedia", media="")
    assert outside == 0
    assert shown == {"#canvas": True, "#words": True, "#step .link": True, "#next": False, "#query": False}
    assert browser.run("return {...view}") == before
    pdf = browser.command("Page.printToPDF")["data"]
    assert len(pdf) > 10_000 and browser.console() == []


def test_the_picture_is_saved_as_a_file_of_its_own(browser, tmp_path):
    net, J = network()
    J.name = HOSTILE
    browser.open(page.render(J, model=net))
    browser.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.find("#save").click()
    browser.driver.execute_async_script("setTimeout(arguments[0], 400)")
    (path,) = tmp_path.iterdir()
    root = ElementTree.fromstring(path.read_text("utf-8"))
    texts = ["".join(t.itertext()) for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert path.name == "computation.svg" and {"1. linear", "4. σ", "0.weight", "(30, 5)"} <= set(texts)
    fills = {e.get("fill") for e in root.iter("{http://www.w3.org/2000/svg}rect")}
    assert "rgb(214, 233, 247)" in fills and not list(root.iter("{http://www.w3.org/2000/svg}script"))
    assert browser.console() == []


def test_on_a_phone_one_finger_scrolls_the_page_and_two_pinch_the_drawing(browser):
    try:
        browser.command("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=2, mobile=True)
        browser.command("Emulation.setTouchEmulationEnabled", enabled=True)
        net, J = network()
        browser.open(page.render(J, model=net))
        assert browser.run("return document.documentElement.scrollWidth") == 390
        touch = lambda kind, *points: browser.command(
            "Input.dispatchTouchEvent",
            type=kind,
            touchPoints=[{"x": x, "y": y, "id": k} for k, (x, y) in enumerate(points)],
        )
        scale = browser.run("return view.scale")
        touch("touchStart", (150, 400), (250, 400))
        for k in range(1, 6):
            touch("touchMove", (150 - 10 * k, 400), (250 + 10 * k, 400))
        touch("touchEnd")
        assert browser.run("return [view.scale, scrollY]") == [pytest.approx(2 * scale, rel=0.05), 0]
        touch("touchStart", (200, 450))
        for k in range(1, 15):
            touch("touchMove", (200, 450 - 15 * k))
        touch("touchEnd")
        end = browser.run("return document.documentElement.scrollHeight - innerHeight")
        assert browser.run("return scrollY") == pytest.approx(min(end, 195), abs=20) and end > 50
        assert browser.run("return view.scale") == pytest.approx(2 * scale, rel=0.05)
    finally:
        browser.command("Emulation.setTouchEmulationEnabled", enabled=False)
        browser.resize(1280, 720)


def test_in_a_frame_without_an_address_it_walks_too(browser):
    written = page.render(scalar()).decode()
    browser.open(f'<!DOCTYPE html><iframe width="900" height="500" srcdoc="{html.escape(written)}"></iframe>'.encode())
    browser.driver.switch_to.frame(0)
    try:
        browser.find("#last").click()
        assert "Step 6 of 6" in browser.text("#words")
    finally:
        browser.driver.switch_to.default_content()
    assert browser.console() == []


# For everybody

CONTRAST = """
const channels = (c) => c.match(/[\\d.]+/g).map(Number);
const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const light = (c) => c.slice(0, 3).reduce((sum, v, k) => sum + linear(v / 255) * [0.2126, 0.7152, 0.0722][k], 0);
const contrast = (a, b) => {
  const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
  return (x + 0.05) / (y + 0.05);
};
const paper = channels(getComputedStyle(document.body).backgroundColor);
const found = [];
for (const text of canvas.querySelectorAll("text")) {
  if (!text.textContent) continue;
  const shape = text.parentNode.querySelector("rect:not(.ring), ellipse, polygon"), style = getComputedStyle(shape);
  const opacity = Number(style.fillOpacity);
  const fill = channels(style.fill).map((v, k) => opacity * v + (1 - opacity) * paper[k]);
  const where = shape.parentNode.getAttribute("class");
  found.push([contrast(channels(getComputedStyle(text).fill), fill), text.textContent, where]);
}
return found.sort((a, b) => a[0] - b[0])[0];
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_anybody_out(browser, scheme):
    net, J = network()
    browser.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    try:
        browser.open(page.render(J, model=net))
        for step in (0, 3, 15, 20, browser.run("return LAST")):
            browser.run("walkTo(arguments[0])", step)
            least, *where = browser.run(CONTRAST)
            assert least >= 4.5, (step, where)
        browser.run("document.getElementById('help').open = true")
        for step, chosen in ((0, None), (20, "2.bias")):
            browser.run(
                "walkTo(arguments[0]); select(values.find((v) => v.name === arguments[1]) ?? null)", step, chosen
            )
            if chosen:  # which is edited
                browser.find(".editor input").send_keys("1")
                browser.find(".editor button").click()
                assert browser.text(".nudged")
            assert browser.violations() == []
    finally:
        browser.command("Emulation.setEmulatedMedia", features=[])


def test_selected_focused_read_and_written_look_different(browser):
    browser.open(page.render(scalar()), "#step=1")
    look = lambda selector: browser.run(
        "const look = (s) => [s.stroke, s.strokeWidth, s.strokeDasharray].join(' ');"
        "const frames = [...document.querySelector(arguments[0]).querySelectorAll('rect')];"
        "return frames.map((frame) => look(getComputedStyle(frame))).join(' / ')",
        selector,
    )
    x = node(key_of(page.render(scalar()), "x"))
    looks = [look(x), look(node(data_of(page.render(scalar()))["operations"][0]["outputs"][0]))]
    browser.run("walkTo(0)")
    looks.append(look(x))
    browser.find(x).click()
    browser.hover("header")
    looks.append(look(x))
    browser.open(page.render(scalar()))
    browser.press("ARROW_DOWN", on="#canvas")
    looks.append(look(x))
    assert len(set(looks)) == 5, looks
