"""The page on which one draws and a network reads: what is in the file, and what it does in a browser."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.datasets import bicubic

from .strokes import DIGITS

HOSTILE = "</script><script>document.title='hurt'</script><img src=x onerror=\"document.title='hurt'\">"


def ex4_network():
    return tg.Sequential(tg.Dense(400, 25, rng=0), tg.Sigmoid(), tg.Dense(25, 10, rng=1), tg.Sigmoid())


def convolutional():
    how = {"rng": np.random.default_rng(0), "dtype": np.float32}
    return tg.Sequential(
        *(tg.Conv2d(1, 4, 5, **how), tg.BatchNorm(4, dtype=np.float32), tg.ReLU(), tg.MaxPool2d(2)),
        *(tg.Flatten(), tg.Dropout(0.3), tg.Dense(576, 10, **how)),
    )


def written(net, path, *arguments, **options):
    return tg.drawing_page(net, path / "draw.html", *arguments, **options).read_bytes()


def data_of(page: bytes):
    return json.loads(re.search(rb'id="data">(.*?)</script>', page, re.DOTALL)[1])


@pytest.fixture(scope="session")
def trained(digits):
    """Exercise 4's network after a short training."""
    X, y = digits
    net = ex4_network()
    loss = lambda h, Y: tg.binary_cross_entropy(h, Y, "batchmean")
    adam = tg.Adam(net.parameters(), lr=0.01)
    tg.fit(net, X, tg.one_hot(y, 10), loss=loss, optimizer=adam, epochs=5, batch_size=50, compiled=True, rng=0)
    return net


@pytest.fixture(scope="session")
def page(trained, tmp_path_factory):
    return written(trained, tmp_path_factory.mktemp("page"), order="F")


# The file


def test_the_file_is_small_and_asks_for_nothing(page):
    assert len(page) < 600_000
    text = page.decode()
    assert set(re.findall(r"https?://[^\s\"'<>]*", text)) == {"http://www.w3.org/2000/svg"}  # a name, not an address
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy
    assert "innerHTML" not in text and "style=" not in text and "@import" not in text


def test_the_network_is_left_as_it_is(tmp_path):
    net = convolutional()
    state = net.state_dict()
    assert written(net, tmp_path, (1, 28, 28)) == written(net, tmp_path, (1, 28, 28))
    assert all(np.array_equal(state[name], value) for name, value in net.state_dict().items())
    assert all(m.training for m in net.modules()) and all(p.grad is None for p in net.parameters())


def test_units_are_those_of_a_dense_layer_that_reads_the_image(tmp_path):
    shown = lambda net, *shape: data_of(written(net, tmp_path, *shape))
    data = shown(ex4_network())
    assert len(data["units"]) == data["hidden_units"] == 25
    assert data["hidden"] == data["steps"][1]["value"] and data["steps"][1]["text"] == "a1 = sigmoid(z1)"
    assert [step["text"] for step in data["steps"]][-1] == "dimage = dz1 @ W1.T"
    assert data["steps"][data["backward"] - 1]["text"] == "score = np.sum(h * chosen)"
    single = shown(tg.Sequential(tg.Flatten(), tg.Dense(64, 3)), (8, 8))
    assert len(single["units"]) == 3 and single["hidden"] == single["outputs"] and not single["shares"]
    assert shown(convolutional(), (1, 28, 28))["units"] is None
    many = shown(tg.Sequential(tg.Dense(16, 300), tg.Tanh(), tg.Dense(300, 2), tg.Softmax()))
    assert len(many["units"]) == 100 and many["hidden_units"] == 300 and many["shares"]


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((lambda x: x, "a.html"), {}, TypeError, r"pass a network \(a Module\), not function"),
        ((ex4_network(), "a.svg"), {}, ValueError, r"'a\.svg' must end in \.html"),
        ((ex4_network(), "nowhere/a.html"), {}, FileNotFoundError, r"there is no folder 'nowhere' for 'a\.html'"),
        ((tg.Sequential(tg.ReLU()), "a.html", 9), {}, ValueError, "has no parameters"),
        ((convolutional(), "a.html"), {}, ValueError, r"does not start with Dense, so say what shape .*\(1, 28, 28\)"),
        ((tg.Dense(30, 3), "a.html"), {}, ValueError, r"grey and square, .* and these have the shape \(30,\)"),
        ((tg.Dense(30, 3), "a.html", (3, 8, 8)), {}, ValueError, r"these have the shape \(3, 8, 8\)"),
        ((tg.Dense(1, 3), "a.html"), {}, ValueError, r"these have the shape \(1,\)"),
        ((tg.Dense(16, 3), "a.html", (4.0, 4)), {}, ValueError, r"input_shape=\(4\.0, 4\) is not a shape"),
        ((tg.Dense(16, 3), "a.html", ()), {}, ValueError, r"input_shape=\(\) is not a shape"),
        ((tg.Dense(16, 3), "a.html"), {"order": "A"}, ValueError, "order is 'C' .* or 'F', not 'A'"),
        ((convolutional(), "a.html", (1, 28, 28)), {"order": "F"}, ValueError, "order='F' is for .* unrolled"),
        ((tg.Dense(16, 1), "a.html"), {}, ValueError, r"a row with a number for each class.* of shape \(1, 1\)"),
        ((tg.Dense(4, 3), "a.html", (4, 4)), {}, ValueError, r"gives an output of shape \(1, 4, 3\)"),
        ((tg.Dense(16, 3), "a.html"), {"classes": "abc"}, ValueError, "pass 3 different names"),
        ((tg.Dense(16, 3), "a.html"), {"classes": ["a", "b"]}, ValueError, r"classes=\['a', 'b'\]; pass 3 different"),
        ((tg.Dense(16, 3), "a.html"), {"classes": [1, "1", 2]}, ValueError, "pass 3 different names"),
        ((tg.Dense(16, 3, dtype=np.float16), "a.html"), {}, TypeError, "the page does not compute in float16, which"),
    ],
)  # fmt: skip
def test_mistakes(arguments, options, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=f"drawing_page: .*{message}"):
        tg.drawing_page(*arguments, **options)
    assert not list(tmp_path.iterdir())


# In a browser


def as_list(X):
    return np.asarray(X, np.float64).tolist()


def point_on(browser, x, y):
    left, top, width = browser.run(
        "document.getElementById('pad').scrollIntoView();"
        "const r = document.getElementById('pad').getBoundingClientRect(); return [r.left, r.top, r.width]"
    )
    return {"x": left + x * width / 100, "y": top + y * width / 100}


def by_mouse(browser, strokes, kind="mouse", button="left"):
    corner, other = point_on(browser, 0, 0), point_on(browser, 100, 100)
    place = lambda p: {k: corner[k] + p[i] * (other[k] - corner[k]) / 100 for i, k in enumerate("xy")}
    send = lambda event, p, **more: browser.command(
        "Input.dispatchMouseEvent", type=event, **place(p), button=button, pointerType=kind, **more
    )
    for first, *rest in strokes:
        send("mousePressed", first, clickCount=1)
        for p in rest:
            send("mouseMoved", p, buttons=1)
        send("mouseReleased", (rest or [first])[-1], clickCount=1)


def by_touch(browser, strokes):
    corner, other = point_on(browser, 0, 0), point_on(browser, 100, 100)
    place = lambda p: {k: corner[k] + p[i] * (other[k] - corner[k]) / 100 for i, k in enumerate("xy")}
    send = lambda event, *points: browser.command("Input.dispatchTouchEvent", type=event, touchPoints=[*points])
    for first, *rest in strokes:
        send("touchStart", place(first))
        for p in rest:
            send("touchMove", place(p))
        send("touchEnd")


CLEAR = "clearPad();"
READS = "return best(outputs)"


def test_the_page_computes_what_the_library_does(page, trained, digits, browser):
    X = digits[0][::25]
    browser.open(page)
    upright = X.reshape(-1, 20, 20).transpose(0, 2, 1).reshape(-1, 400)
    found = browser.run("return arguments[0].map((x) => [...read(Float64Array.from(x)).outputs])", as_list(upright))
    assert len(X) == 200
    np.testing.assert_allclose(found, tg.predict(trained, X), rtol=1e-9)
    gradient = browser.run(
        "const values = evaluated(program, given(Float64Array.from(arguments[0]), 3));"
        "return [...values[data.gradient].data]",
        as_list(upright[0]),
    )
    np.testing.assert_allclose(gradient, tg.grad(lambda x: trained(x)[0, 3])(X[:1])[0].numpy(), rtol=1e-9)
    assert browser.console() == []


def test_the_page_computes_in_float32_too(tmp_path, browser):
    net = convolutional()
    for _ in range(3):
        net(np.random.default_rng(0).normal(1, 2, (20, 1, 28, 28)).astype(np.float32))  # BatchNorm's running means
    browser.open(written(net, tmp_path, (1, 28, 28)))
    X = np.random.default_rng(1).random((20, 1, 28, 28)).astype(np.float32)
    found = browser.run(
        "return arguments[0].map((x) => [...read(Float64Array.from(x)).outputs])", as_list(X.reshape(-1, 784))
    )
    z = tg.predict(net, X)
    np.testing.assert_allclose(found, z, rtol=1e-5, atol=1e-5)
    parts = browser.run("return [...shares(Float64Array.from(arguments[0]))]", as_list(z[0]))
    np.testing.assert_allclose(parts, tg.functional.softmax(z[0]).astype(np.float64), rtol=1e-5)


def image_of(strokes):
    """MNIST's preparation, written once more: a pen of 2.5 pixels in a box of 20, its centre of mass in the middle."""
    points = np.concatenate([np.asarray(s, np.float64) for s in strokes])
    scale = 17.5 / np.ptp(points, axis=0).max()
    move = lambda s: (np.asarray(s, np.float64) - points.min(axis=0)) * scale + 1.25
    x, y = np.meshgrid(np.arange(20) + 0.5, np.arange(20) + 0.5)
    pixels = np.stack([x.ravel(), y.ravel()], 1)[:, None]
    distances = [np.full((400, 1), np.inf)]
    for stroke in map(move, strokes):
        a, b = stroke[:-1], stroke[1:]
        along = np.clip(np.sum((pixels - a) * (b - a), -1) / np.sum((b - a) ** 2, -1), 0, 1)
        distances.append(np.linalg.norm(pixels - a - along[..., None] * (b - a), axis=-1))
    box = np.clip(1.75 - np.concatenate(distances, 1).min(axis=1), 0, 1).reshape(20, 20)
    k = np.arange(20)
    right, down = (round(14 - box.sum(axis) @ k / box.sum()) for axis in (0, 1))
    field = np.zeros((48, 48))
    field[down + 10 : down + 30, right + 10 : right + 30] = box
    return field[10:38, 10:38]


def test_drawings_get_the_form_of_the_data(page, browser):
    browser.open(page)
    W = bicubic(28, 20)
    for strokes in DIGITS.values():
        found = browser.run("return [...imageOf(arguments[0], data.resize).pixels]", strokes)
        np.testing.assert_allclose(found, (W @ image_of(strokes) @ W.T).ravel(), atol=1e-12)
    field = np.array(browser.run("return [...imageOf(arguments[0], null).pixels]", DIGITS[7])).reshape(28, 28)
    rows, columns = np.flatnonzero(field.any(1)), np.flatnonzero(field.any(0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20 and field.max() == 1 and field.min() == 0
    small = [[(x / 9 + 80, y / 9 + 3) for x, y in stroke] for stroke in DIGITS[7]]
    again = browser.run("return [...imageOf(arguments[0], null).pixels]", small)
    np.testing.assert_allclose(again, field.ravel(), atol=1e-12)
    dot = browser.run("return [...imageOf([[[5, 5]]], null).pixels]")
    assert 4.5 < sum(dot) < 5.5  # π (2.5 / 2)² = 4.9


def test_digits_drawn_by_mouse_and_by_touch_are_read_right(page, browser):
    browser.resize(1360, 860)
    browser.open(page)
    read = {by_mouse: [], by_touch: []}
    for draw, found in read.items():
        for strokes in DIGITS.values():
            browser.run(CLEAR)
            draw(browser, strokes)
            found.append(browser.run(READS))
    for found in read.values():
        assert sum(a == b for a, b in zip(found, DIGITS, strict=True)) >= 9, read
    times = browser.run(
        "const time = () => parseFloat(byId('time').textContent.slice('read in '.length));"
        "return Array.from({ length: 10 }, () => { readStrokes(true); return time() })"
    )
    assert min(times) < 20
    assert browser.console() == []


def test_why(page, trained, browser):
    browser.open(page)
    assert browser.text("#winner") == "nothing drawn yet" and not browser.find("#chain").is_displayed()
    by_mouse(browser, DIGITS[3])
    assert browser.find("#reasons").is_displayed() and browser.text("#reasons-told").startswith(
        "Ink on orange raises the output for 3"
    )
    pixels = np.array(browser.run("return [...shown.pixels]")).reshape(20, 20).T.reshape(1, 400)
    expected = lambda k: tg.grad(lambda x: trained(x)[0, k])(pixels).numpy().reshape(20, 20).T
    strengths = lambda: np.array(
        browser.run("const c = byId('reasons'); return [...c.getContext('2d').getImageData(0, 0, 20, 20).data]")
    ).reshape(20, 20, 4)
    for k in (3, 8):
        if k == 8:
            browser.run("rows[8].button.click()")
            assert "for 8" in browser.text("#reasons-told")
        g, shown = expected(k), strengths()
        np.testing.assert_allclose(shown[..., 3], 255 * np.abs(g) / np.abs(g).max(), atol=0.51)
        strong = shown[..., 3] > 100
        assert np.array_equal((shown[..., 0] > shown[..., 2])[strong], (g > 0)[strong])  # orange and blue
    assert browser.text("#ahead code") == "z1 = image @ W1 + b1" and len(browser.find_all("#back figure")) == 3
    browser.find("#why").click()
    assert not browser.find("#reasons").is_displayed() and not browser.find("#chain").is_displayed()


def test_the_map_lies_on_the_drawing(page, browser):
    browser.open(page)
    by_mouse(browser, [[(30, 20), (30, 80)]])
    image = browser.run("return shown")
    column = (30 - image["left"]) / image["pixel"]  # of the stroke in the image
    pixels = np.array(list(image["pixels"].values()) if isinstance(image["pixels"], dict) else image["pixels"])
    assert abs(pixels.reshape(20, 20).sum(0) @ (np.arange(20) + 0.5) / pixels.sum() - column) < 0.1
    assert browser.run("return byId('reasons').style.left") == f"{image['left']:g}%"


def test_keys_draw(page, browser):
    browser.open(page)
    browser.run("byId('pad').focus()")
    browser.press("ARROW_UP", "ARROW_UP", " ", *["ARROW_DOWN"] * 6, " ", "ARROW_LEFT", on="#pad")
    assert browser.run("return strokes") == [[[50, 42 + 4 * k] for k in range(7)]]
    assert browser.text("#winner") != "nothing drawn yet" and "hidden" not in browser.run(
        "return byId('pen').getAttributeNames()"
    )
    browser.press("z", on="#pad")
    assert browser.run("return strokes") == [] and browser.text("#winner") == "nothing drawn yet"


def test_pens_draw_and_other_buttons_and_fingers_do_not(page, browser):
    browser.open(page)
    by_mouse(browser, [[(20, 20), (40, 40)]], button="middle")
    assert browser.run("return strokes.length") == 0
    by_mouse(browser, [[(20, 20), (40, 40)]], kind="pen")
    assert browser.run("return strokes.length") == 1
    a, b, c = (point_on(browser, 20 * k, 60) for k in (1, 2, 3))
    touch = lambda kind, *points: browser.command("Input.dispatchTouchEvent", type=kind, touchPoints=[*points])
    touch("touchStart", {**a, "id": 0})
    touch("touchStart", {**a, "id": 0}, {**b, "id": 1})
    touch("touchMove", {**a, "id": 0}, {**c, "id": 1})
    touch("touchEnd")
    last = browser.run("return strokes")
    assert len(last) == 2 and {round(x) for x, _ in last[1]} == {20}
    browser.find("#undo").click()
    browser.find("#undo").click()
    assert browser.run("return strokes.length") == 0


def test_wrong_readings_are_kept_and_saved(page, browser, tmp_path):
    browser.open(page)
    assert browser.run("return byId('keep').disabled && byId('save').disabled")
    pixels = []
    for strokes, label in ((DIGITS[4], 9), (DIGITS[1], 7)):
        by_mouse(browser, strokes)
        pixels.append(browser.run("return [...shown.pixels]"))
        browser.run("byId('right').value = arguments[0]; byId('right').dispatchEvent(new Event('change'))", str(label))
        browser.find("#keep").click()
    assert browser.text("#kept") == "kept, not yet saved: 9, 7" and browser.run("return strokes.length") == 0
    (tmp_path / "drawings.json").write_text(browser.run("return keptFile()"))
    X, y = tg.load_drawings(tmp_path / "drawings.json", side=20, classes=10)
    assert X.shape == (2, 20, 20) and y.tolist() == [9, 7]
    np.testing.assert_allclose(X.reshape(2, 400), pixels, atol=5e-5)
    browser.run("HTMLAnchorElement.prototype.click = function () { globalThis.saved = this.download }")
    browser.find("#save").click()
    assert (
        browser.run("return saved") == "drawings.json" and browser.text("#kept") == "2 drawings saved in drawings.json"
    )


def test_nobody_is_kept_out(page, browser):
    try:
        for scheme, size in (("light", (1360, 860)), ("dark", (390, 844))):
            browser.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            browser.resize(*size)
            browser.open(page)
            by_mouse(browser, DIGITS[1])
            assert browser.violations() == []
            assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    finally:
        browser.command("Emulation.setEmulatedMedia", features=[])
        browser.resize(1360, 860)


def test_hostile_names(tmp_path, browser):
    net = tg.Sequential(tg.Dense(16, 2, rng=0))
    browser.open(written(net, tmp_path, classes=[HOSTILE, "\ud800 & <b>"], title=HOSTILE))
    by_mouse(browser, DIGITS[1])
    assert browser.text("#outputs button") == HOSTILE and browser.run("return document.title") == HOSTILE
    assert browser.console() == [] and browser.find_all("img") == []


# The file of drawings


def saved(path, **changes):
    content = {
        "kind": "drawings of tinygrad_edu, 1",
        "side": 2,
        "classes": 3,
        "images": [[0, 1, 0.5, 0]],
        "labels": [2],
    }
    path.write_text(json.dumps(content | changes))
    return path


def test_drawings_are_read(tmp_path):
    X, y = tg.load_drawings(saved(tmp_path / "a.json"), side=2, classes=3)
    assert X.tolist() == [[[0, 1], [0.5, 0]]] and y.tolist() == [2] and X.dtype == float and y.dtype == np.int64


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "cats"}, "not a file of drawings: it does not begin with"),
        ({"side": 28}, "made for another network, with images of 28 pixels on a side and 3 classes; expected 2 and 3"),
        ({"classes": 10}, "made for another network, .* and 10 classes"),
        ({"images": [[0, 1]]}, "damaged: expected for each of 1 labels an image of 4 numbers around 0 to 1"),
        ({"images": [[0, 1, float("nan"), 0]]}, "numbers around 0 to 1"),
        ({"images": [[0, 255, 0, 0]]}, "numbers around 0 to 1"),
        ({"images": [[0, 1], [0]]}, "damaged: its images or labels are missing, or are not all numbers"),
        ({"images": [["a"] * 4]}, "not all numbers"),
        ({"images": None}, "damaged"),
        ({"images": [], "labels": []}, "labels must be whole numbers"),
        ({"labels": [3]}, "labels must be whole numbers from 0 to 2"),
        ({"labels": [-1]}, "labels must be whole numbers from 0 to 2"),
        ({"labels": [0.5]}, "labels must be whole numbers"),
        ({"labels": [True]}, "labels must be whole numbers"),
        ({"labels": 1}, "labels must be whole numbers"),
        ({"labels": ["2"]}, "labels must be whole numbers"),
    ],
)
def test_files_that_are_no_drawings(changes, message, tmp_path):
    with pytest.raises(ValueError, match=rf"a\.json: .*{message}"):
        tg.load_drawings(saved(tmp_path / "a.json", **changes), side=2, classes=3)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"[" * 100_000, b"[1, 2]", b"PK\x03\x04", b'{"kind": ['])
def test_junk_is_no_file_of_drawings(content, tmp_path):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.json: not a file of drawings"):
        tg.load_drawings(tmp_path / "a.json", side=20, classes=10)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.json: there is no such file"):
        tg.load_drawings("nowhere.json", side=20, classes=10)
