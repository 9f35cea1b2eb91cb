"""The page that `fit` writes of a training: what it measures, what it keeps, what it shows in a browser."""

from __future__ import annotations

import base64
import json
import re

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.browser import Browser
from tinygrad_edu import TrainingPage
from tinygrad_edu import functional as F
from tinygrad_edu.training.page import FRAMES
from tinygrad_edu.training.plane import SIDE, plane_of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 16))
Y = (X[:, 0] * X[:, 1] > 0).astype(int)
HOSTILE = "</script><script>document.title='hurt'</script>"


def network():
    return tg.Sequential(
        tg.Dense(16, 9, rng=0), tg.ReLU(), tg.Dropout(0.5, rng=3), tg.Dense(9, 4, rng=1), F.relu, tg.Dense(4, 2, rng=2)
    )


def trained(path, net=None, **options):
    net = network() if net is None else net
    page = TrainingPage(path, order="F")
    options = {"loss": F.cross_entropy, "epochs": 3, "rng": 0, "progress": False, "batch_size": 20} | options
    options.setdefault("optimizer", tg.SGD(net.parameters(), lr=0.1))
    tg.fit(net, X, Y, callbacks=[page, *options.pop("callbacks", ())], **options)
    return net, page


def data_of(path):
    return json.loads(re.search(r'id="data">(.*?)</script>', path.read_text("utf-8"), re.DOTALL)[1])


def chart(data, title):
    return {line["name"]: line["values"] for c in data["charts"] if c["title"].startswith(title) for line in c["lines"]}


@pytest.mark.parametrize("compiled", [False, True])
def test_gradients_and_dead_units_are_those_of_the_last_batch_after_the_epoch(tmp_path, compiled):
    seen = []

    def by_hand(training):
        rows, labels = training.batch
        net = training.model.eval()
        copy = network().eval()
        copy.load_state_dict(net.state_dict())
        F.cross_entropy(copy(rows), labels).backward()
        hidden = F.relu(copy[0](rows)).numpy()
        second = F.relu(copy[3](hidden)).numpy()
        shares = [np.mean([not units[:, k].any() for k in range(units.shape[1])]) for units in (hidden, second)]
        seen.append(({n: np.linalg.norm(p.grad) for n, p in copy.named_parameters()}, shares))

    _, page = trained(tmp_path / "t.html", compiled=compiled, callbacks=[by_hand], batch_size=3, epochs=4)
    for k, (norms, shares) in enumerate(seen):
        assert {n: values[k] for n, values in page.gradients.items()} == pytest.approx(norms)
        assert [page.dead["relu 1"][k], page.dead["relu 2"][k]] == pytest.approx(shares)
    assert sum(map(sum, page.dead.values())) > 0
    data = data_of(tmp_path / "t.html")
    assert chart(data, "Norm")["0.weight"] == pytest.approx(page.gradients["0.weight"], rel=1e-4)
    assert chart(data, "Share")["relu 2"] == pytest.approx(page.dead["relu 2"], rel=1e-4)


@pytest.mark.parametrize("compiled", [False, True])
def test_watching_changes_nothing_of_the_training(tmp_path, compiled):
    watched, _ = trained(tmp_path / "t.html", compiled=compiled)
    alone = network()
    tg.fit(
        alone, X, Y, loss=F.cross_entropy, optimizer=tg.SGD(alone.parameters(), lr=0.1), epochs=3, batch_size=20,
        rng=0, progress=False, compiled=compiled,
    )  # fmt: skip
    for p, q in zip(watched.parameters(), alone.parameters(), strict=True):
        assert np.array_equal(p.data, q.data)
        assert (p.grad is None) == (q.grad is None) and (p.grad is None or np.array_equal(p.grad, q.grad))


def test_the_curves_are_the_history(tmp_path):
    found = []
    trained(
        tmp_path / "t.html", validation=(X, Y), metrics=[tg.accuracy], callbacks=[lambda t: found.append(t.history)]
    )
    data = data_of(tmp_path / "t.html")
    assert list(chart(data, "Loss")) == ["loss", "val_loss"]
    assert list(chart(data, "Metrics")) == ["accuracy", "val_accuracy"]
    for name, values in (chart(data, "Loss") | chart(data, "Metrics")).items():
        assert values == pytest.approx(found[-1][name], rel=1e-4)


def test_first_weights_are_images_of_units_and_others_matrices(tmp_path):
    net, page = trained(tmp_path / "t.html")
    images = page.frames[-1].images
    assert list(images) == ["0.weight", "3.weight", "5.weight"]
    first, weight = images["0.weight"], net[0].weight.data
    assert first.units == 9 and first.pixels.shape == (14, 14) and first.limit == np.abs(weight).max()
    for k in (0, 4, 8):
        row, column = 5 * (k // 3), 5 * (k % 3)
        shown = (first.pixels[row : row + 4, column : column + 4].astype(float) - 127) / 127 * first.limit
        assert shown == pytest.approx(weight[:, k].reshape(4, 4, order="F"), abs=first.limit / 250)
    assert np.all(first.pixels[4] == 127) and np.all(first.pixels[:, 9] == 127)
    second = images["3.weight"]
    assert second.units == 0 and second.pixels.shape == (9, 4)
    assert (second.pixels.astype(float) - 127) / 127 * second.limit == pytest.approx(net[3].weight.data, abs=0.01)


def test_a_long_training_keeps_the_first_the_last_and_evenly_spaced_epochs(tmp_path):
    epochs = 2 * FRAMES + 11
    net = tg.Sequential(tg.Dense(16, 2, rng=0))
    _, page = trained(tmp_path / "t.html", net, epochs=epochs, batch_size=None)
    kept = [frame.epoch for frame in page.frames]
    assert kept == [1, *range(4, epochs, 4), epochs] and len(kept) <= FRAMES


def test_a_training_that_goes_on_has_the_page_of_one_that_was_not_stopped(tmp_path):
    _, whole = trained(tmp_path / "whole.html", epochs=5)
    trained(tmp_path / "parts.html", epochs=2, checkpoint=tmp_path / "c.npz")
    _, parts = trained(tmp_path / "parts.html", epochs=5, checkpoint=tmp_path / "c.npz")
    one, two = data_of(tmp_path / "whole.html"), data_of(tmp_path / "parts.html")
    assert one | {"seconds": 0} == two | {"seconds": 0} and len(two["frames"]) == 5
    assert whole.gradients == parts.gradients and whole.stride == parts.stride


def test_a_second_training_begins_anew(tmp_path):
    net, page = trained(tmp_path / "t.html")
    tg.fit(net, X, Y, loss=F.cross_entropy, optimizer=tg.SGD(net.parameters(), lr=0.1), epochs=1, callbacks=[page],
           progress=False)  # fmt: skip
    assert len(page.gradients["0.weight"]) == len(page.frames) == 1


def test_refusals_before_the_training_begins(tmp_path):
    with pytest.raises(ValueError, match=r"'t.png' must end in .html"):
        TrainingPage(tmp_path / "t.png")
    with pytest.raises(ValueError, match="order is 'C'"):
        TrainingPage(tmp_path / "t.html", order="A")
    page = TrainingPage(tmp_path / "t.html")
    page.path = tmp_path / "gone" / "t.html"
    net = network()
    before = net.state_dict()
    with pytest.raises(FileNotFoundError, match=r"TrainingPage: there is no folder '.*gone' for 't.html'"):
        tg.fit(net, X, Y, loss=F.cross_entropy, optimizer=tg.SGD(net.parameters(), lr=1.0), epochs=1, callbacks=[page])
    assert all(np.array_equal(before[name], values) for name, values in net.state_dict().items())


def test_frozen_parameters_and_none_of_matrices(tmp_path):
    net = network()
    net[0].weight.requires_grad = False
    _, page = trained(tmp_path / "t.html", net)
    assert "0.weight" not in page.gradients and "0.bias" in page.gradients

    class Shift(tg.Module):
        def __init__(self):
            self.a = tg.Tensor(np.zeros(2), requires_grad=True)
            self.unused = tg.Tensor(np.zeros(2), requires_grad=True)

        def forward(self, x):
            return x[:, :2] + self.a

    with pytest.warns(UserWarning, match="no gradient reached 1 of 2"):
        _, page = trained(tmp_path / "u.html", Shift())
    data = data_of(tmp_path / "u.html")
    assert chart(data, "Norm")["unused"] == ["NaN"] * 3 and chart(data, "Share") == {}
    assert data["frames"][-1]["images"] == []


def pages_of(path):
    """What the file held after each epoch: a callback that notes it, and its notes."""
    noted = []
    return noted, lambda training: noted.append(data_of(path))


def test_its_head_says_what_learns_how_and_whether_it_goes_on(tmp_path):
    path = tmp_path / "t.html"
    noted, note = pages_of(path)
    net = network()
    trained(path, net, optimizer=tg.SGD(net.parameters(), lr=0.1, momentum=0.9), callbacks=[note],
            schedule=lambda t: 0.1 / (1 + int(t)))  # fmt: skip
    assert [data["goes_on"] for data in noted] == [True] * 3
    assert [data["optimizer"] for data in noted[:2]] == ["SGD(lr=0.1, momentum=0.9)", "SGD(lr=0.05, momentum=0.9)"]
    last = data_of(path)
    assert not last["goes_on"] and last["stopped"] == "all epochs done" and last["model"] == repr(net)
    assert last | {"goes_on": True, "stopped": ""} == noted[-1]

    def stop(training):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        trained(path, callbacks=[stop])
    assert not data_of(path)["goes_on"] and data_of(path)["stopped"] == "" and data_of(path)["epoch"] == 1


POINTS = np.random.default_rng(1).normal(size=(60, 2))
SIDES = (POINTS[:, 0] > 0).astype(int)


@pytest.mark.parametrize(
    ("targets", "loss", "outputs"),
    [(SIDES, F.cross_entropy, 2), (np.eye(3)[SIDES], F.cross_entropy, 3),
     (SIDES[:, None], F.binary_cross_entropy_with_logits, 1)],
)  # fmt: skip
def test_regions_of_points_in_a_plane(tmp_path, targets, loss, outputs):
    net = tg.Sequential(tg.Dense(2, outputs, rng=0))
    page = TrainingPage(tmp_path / "t.html")
    tg.fit(net, POINTS, targets, loss=loss, optimizer=tg.SGD(net.parameters(), lr=20.0), epochs=12, batch_size=None,
           callbacks=[page], progress=False)  # fmt: skip
    data = data_of(tmp_path / "t.html")
    assert data["plane"]["labels"] == SIDES.tolist() and np.array(data["plane"]["points"]) == pytest.approx(
        POINTS, 1e-4
    )
    regions = page.frames[-1].regions
    assert regions.shape == (SIDE, SIDE) and base64.b64decode(data["frames"][-1]["regions"]) == regions.tobytes()
    low, high = data["plane"]["low"], data["plane"]["high"]
    column = ((POINTS[:, 0] - low[0]) / (high[0] - low[0]) * (SIDE - 1)).round().astype(int)
    row = SIDE - 1 - ((POINTS[:, 1] - low[1]) / (high[1] - low[1]) * (SIDE - 1)).round().astype(int)
    assert np.mean(regions[row, column] == SIDES) > 0.95 and len(page.frames) == 12


def test_the_upper_rows_come_first():
    plane = plane_of(POINTS, SIDES)
    regions = plane.regions(lambda x: x[:, 1:])  # a logit
    assert regions[0].all() and not regions[-1].any() and {*np.unique(regions)} == {0, 1}
    assert plane.regions(lambda x: np.full((len(x), 1), 0.6)).all()  # a probability
    assert not plane.regions(lambda x: np.full((len(x), 1), 0.4)).any()
    assert np.all(plane.regions(lambda x: np.where(x[:, :1] > 0, np.nan, x[:, :1])) != 1)
    assert plane.regions(lambda x: x[:, :, None]) is None and plane.regions(lambda x: np.ones((len(x), 9))) is None


def test_what_is_no_plane_of_classes():
    assert len(plane_of(np.zeros((5000, 2)), np.zeros(5000)).points) == 385
    for X, y in (
        (np.ones((4, 3)), np.zeros(4)),
        (np.ones((4, 2)), np.full(4, 0.5)),
        (np.ones((4, 2)), np.full(4, -1)),
        (np.ones((4, 2)), np.full(4, 8)),
        (np.ones((4, 2)), np.full((4, 2), 0.5)),
        (np.full((4, 2), np.nan), np.zeros(4)),
        (np.ones((0, 2)), np.zeros(0)),
        ((np.ones((4, 2)),), np.zeros(4)),
        (np.ones((4, 2)), np.array(["a"] * 4)),
    ):
        assert plane_of(X, y) is None


def test_regions_go_on_with_the_training(tmp_path):
    class Shift(tg.Module):  # nothing of it is shown as an image
        def __init__(self):
            self.a = tg.Tensor(np.zeros(2), requires_grad=True)

        def forward(self, x):
            return x + self.a

    def train(name, epochs, **options):
        net, page = Shift(), TrainingPage(tmp_path / name)
        tg.fit(net, POINTS, SIDES, loss=F.cross_entropy, optimizer=tg.SGD(net.parameters(), lr=1.0), epochs=epochs,
               rng=0, callbacks=[page], progress=False, **options)  # fmt: skip
        return data_of(tmp_path / name) | {"seconds": 0}

    whole = train("whole.html", 4)
    train("parts.html", 2, checkpoint=tmp_path / "c.npz")
    assert train("parts.html", 4, checkpoint=tmp_path / "c.npz") == whole and len(whole["frames"]) == 4


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    opened = Browser(tmp_path_factory.mktemp("browser"))
    yield opened
    opened.close()


def test_in_the_browser(tmp_path, browser):
    class Named(tg.Module):
        def __init__(self):
            setattr(self, HOSTILE, tg.Dense(16, 2, rng=0))

        def forward(self, x):
            return getattr(self, HOSTILE)(x)

    trained(tmp_path / "t.html", Named(), validation=(X, Y))
    browser.open((tmp_path / "t.html").read_bytes())
    assert browser.text("h1") == "Training after 3 epochs" and browser.driver.title == "Training, epoch 3"
    data = data_of(tmp_path / "t.html")
    charts = browser.find_all(".chart")
    assert len(charts) == len(data["charts"]) == 2
    loss = chart(data, "Loss")["loss"]
    assert len(charts[0].find_elements("css selector", ".line")) == 4  # two, and their samples
    assert f"loss {loss[-1]:.4g}" in browser.find(".chart > svg").get_attribute("aria-label")
    assert "epoch 3" in charts[0].text and f"{loss[-1]:.4g}" in charts[0].text
    assert HOSTILE in charts[1].text
    box = browser.find(".chart > svg")
    browser.run(
        "const box = arguments[0].getBoundingClientRect();"
        "arguments[0].dispatchEvent(new PointerEvent('pointermove', {clientX: box.left + 0.12 * box.width}))", box
    )  # fmt: skip
    assert "epoch 1" in charts[0].text and f"{loss[0]:.4g}" in charts[0].text
    assert len(browser.find_all("#images canvas")) == 1 and browser.text("#chosen") == "3 of 3"
    last = browser.run("return document.querySelector('#images canvas').toDataURL()")
    browser.press("ARROW_LEFT", on="#epoch")
    assert browser.text("#chosen") == "2 of 3" and "after epoch 2" in browser.find("canvas").get_attribute("aria-label")
    assert browser.run("return document.querySelector('#images canvas').toDataURL()") != last
    assert browser.run("return performance.getEntriesByType('resource').length") == 0
    assert browser.console() == [] and browser.violations() == []


def test_every_axis_has_three_marks_and_every_line_its_own_look(tmp_path, browser):
    trained(tmp_path / "t.html", epochs=1)
    browser.open((tmp_path / "t.html").read_bytes())
    ends = RNG.normal(size=(300, 2)) * 10.0 ** RNG.integers(-6, 7, size=(300, 1)) + RNG.normal(size=(300, 1))
    ends.sort()
    found = browser.run("return arguments[0].map(([a, b]) => [evenMarks(a, b), apart(evenMarks(a, b))])", ends.tolist())
    for (low, high), (marks, words) in zip(ends, found, strict=True):
        assert 3 <= len(marks) <= 8 and low <= marks[0] + 1e-12 and marks[-1] <= high + 1e-12 * abs(high)
        assert len(set(words)) == len(words) or high - low < 1e-6 * abs(high)
    powers = np.cumsum([RNG.uniform(-12, 5, 300), RNG.uniform(1e-3, 30, 300)], axis=0).T.tolist()
    for marks in browser.run("return arguments[0].map(([a, b]) => powers(a, b))", powers):
        assert 3 <= len(marks) <= 12
    counts = [*range(3, 200)]
    found = browser.run("return arguments[0].map((n) => evenMarks(1, n, true))", counts)
    for marks, n in zip(found, counts, strict=True):
        assert len(marks) >= 3 and all(1 <= mark <= n and mark == round(mark) for mark in marks)
    looks = browser.run("return stylesOf(arguments[0])", [{"name": f"{k}"} for k in range(56)])
    assert len({(look["colour"], look["mark"] % 7) for look in looks}) == 56
    norms = browser.find_all(".chart")[1].find_elements("css selector", "li .dot")
    assert len(norms) == 6 and len({norm.get_attribute("d") for norm in norms}) == 6


def test_the_plane_in_the_browser(tmp_path, browser):
    net = tg.Sequential(tg.Dense(2, 2, rng=0))
    tg.fit(net, POINTS, SIDES, loss=F.cross_entropy, optimizer=tg.SGD(net.parameters(), lr=1.0), epochs=3, rng=0,
           callbacks=[TrainingPage(tmp_path / "t.html")], progress=False)  # fmt: skip
    browser.open((tmp_path / "t.html").read_bytes())
    assert "Dense(2 → 2)" in browser.text("#model") and "SGD(lr=1)" in browser.text("#facts")
    assert "all epochs done" in browser.text("#facts") and not browser.find("#live").is_displayed()
    words = browser.find(".plane").get_attribute("aria-label")
    shares = [float(share) for share in re.findall(r"([\d.]+) %", words)]
    assert words.startswith("Predicted after epoch 3: class 0 in ") and sum(shares) == pytest.approx(100, abs=0.1)
    marks = [path.get_attribute("d") for path in browser.find_all(".plane .samples")]
    assert [mark.count("M") for mark in marks] == [*np.bincount(SIDES)] and "a" in marks[0] and "h" in marks[1]
    assert [entry.text for entry in browser.find_all("#regions li")] == ["class 0", "class 1"]
    before = browser.run("return document.querySelector('.plane canvas').toDataURL()")
    browser.press("ARROW_LEFT", "ARROW_LEFT", on="#epoch")
    assert "after epoch 1" in browser.find(".plane").get_attribute("aria-label")
    assert browser.run("return document.querySelector('.plane canvas').toDataURL()") != before
    browser.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    assert browser.console() == [] and browser.violations() == []
    browser.command("Emulation.setEmulatedMedia", features=[])


def test_a_page_is_read_again_until_the_training_ends(tmp_path, browser):
    path, pages = tmp_path / "t.html", []
    trained(path, callbacks=[lambda training: pages.append(path.read_bytes())])
    source = "window.setTimeout = (f, ms) => { window.later = f; window.ms = ms; }"
    script = browser.command("Page.addScriptToEvaluateOnNewDocument", source=source)

    def later():
        browser.run("const go = window.later; window.later = null; go()")
        return browser.text("h1")

    try:
        browser.open(pages[0])
        browser.path.write_bytes(pages[1])
        assert 2000 <= browser.run("return window.ms") <= 60_000
        assert browser.text("h1") == "Training after 1 epoch" and later() == "Training after 2 epochs"
        browser.path.write_bytes(path.read_bytes())
        browser.press("ARROW_LEFT", on="#epoch")  # somebody looks at an earlier epoch
        assert later() == "Training after 2 epochs"
        browser.press("ARROW_RIGHT", on="#epoch")
        browser.find("#live").click()  # or said not to
        assert later() == "Training after 2 epochs"
        browser.find("#live").click()
        assert later() == "Training after 3 epochs" and browser.run("return window.later ?? null") is None
        assert browser.console() == []
    finally:
        browser.command("Page.removeScriptToEvaluateOnNewDocument", identifier=script["identifier"])


def test_one_epoch_and_losses_that_are_zero(tmp_path, browser):
    net = tg.Sequential(tg.Dense(16, 2, rng=0))
    trained(tmp_path / "t.html", net, epochs=1, loss=lambda p, t: F.mse_loss(p * 0.0, np.zeros((len(t), 2))))
    browser.open((tmp_path / "t.html").read_bytes())
    assert "epoch 1" in browser.text(".chart") and browser.console() == []


@pytest.mark.parametrize("shape", [(3, 0), (0, 3)])
def test_a_parameter_without_elements_has_no_image(tmp_path, shape):
    net = tg.Sequential(tg.Dense(2, 1))
    net.empty = tg.Tensor(np.zeros(shape), requires_grad=True)

    def loss(prediction, target):
        return F.mse_loss(prediction, target) + net.empty.sum()

    page = TrainingPage(tmp_path / "t.html")
    tg.fit(net, np.ones((4, 2)), np.ones((4, 1)), loss=loss, optimizer=tg.SGD(net.parameters(), lr=0.1), epochs=2,
           progress=False, callbacks=[page])  # fmt: skip
    assert "empty" in page.gradients and [list(frame.images) for frame in page.frames] == [["0.weight"]] * 2
