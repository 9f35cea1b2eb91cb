"""The reference is complete, says all that the docstrings say, and needs no network."""

from __future__ import annotations

import html
import inspect
import json
import re
import warnings
from importlib import import_module
from pathlib import Path

import pytest

import tinygrad_edu as tg
from tests.contract.test_docstrings import PUBLIC
from tests.strategies import TABLE
from tinygrad_edu.autograd.primitives import Primitive

DOCS = Path(__file__).resolve().parents[2] / "docs"


def taken(name):
    """A module of the folder, as if it were started there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS))
        return import_module(name)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The folder of the pages, and their texts by the names of the files."""
    for needed in ("pdoc", "latex2mathml", "scipy"):
        pytest.importorskip(needed, reason="the reference needs the extra docs")
    folder = tmp_path_factory.mktemp("reference")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        files = taken("make").write(folder)
    return folder, {path.name: path.read_text("utf-8") for path in files}


def plain(page):
    """The words of a page."""
    return " ".join(html.unescape(re.sub(r"<details>.*?</details>|<[^>]+>", " ", page, flags=re.DOTALL)).split())


def test_each_public_name_has_one_place():
    pytest.importorskip("scipy", reason="SciPy for tensors is among them")
    topics = taken("topics")
    names = [name for topic in topics.TOPICS for name in topic.names.split()]
    assert len(names) == len(set(names))
    placed = {id(topics.public(name)) for name in names}
    assert [name for name, value in PUBLIC if id(value) not in placed] == []


def test_every_function_of_numpy_with_a_rule_is_in_the_table(reference):
    page = reference[1]["numpy_functions.html"]
    shown = {html.unescape(name) for name in re.findall(r'<tr id="(.*?)">', page)}
    functions = [f for f in TABLE if not isinstance(f, Primitive)]
    entered = [f for f in functions if (getattr(f, "__module__", None) or "numpy").startswith("numpy")]
    assert len(shown) == len(entered) > 300
    assert {
        "np.exp",
        "np.arccos",
        "np.sinc",
        "np.linalg.svd",
        "np.add.reduce",
        "np.lib.stride_tricks.sliding_window_view",
    } <= shown
    assert "g / (1 + x)" in page and page.count("<math") > 50
    said = {name: plain(row) for name, row in re.findall(r'<tr id="(.*?)">(.*?)</tr>', page, flags=re.DOTALL)}
    assert "∂ y ∂ x = 1 − y 2 ∂x: g * (1 - y * y)" in said["np.tanh"]
    assert "∂ y ∂ a = 1 b ∂ y ∂ b = − y b ∂a: g / b ∂b: -g * y / b" in said["np.divide"]
    assert "∂ y ∂ x = 1 u 1 2 , u 1 = hypot ( 1 , x )" in said["np.arctan"]


def test_formulas_of_the_package_s_own_functions_are_derived(reference):
    tables = taken("tables")
    shown = {name: reference[1][f"{name}.html"].count("<figure>") for name in ("activations", "losses")}
    assert shown == {"activations": len(tables.ACTIVATIONS), "losses": len(tables.LOSSES)}
    assert "<mi>σ</mi>" in html.unescape(reference[1]["activations.html"])


def test_every_function_of_scipy_with_a_rule_is_in_the_table(reference):
    source = (Path(tg.__file__).parent / "scipy" / "rules.py").read_text("utf-8")
    entered = set(re.findall(r"rule\(\s*special\.(\w+)", source))
    page = plain(reference[1]["scipy_functions.html"])
    assert len(entered) > 15 and [name for name in entered if f"scipy.special.{name}" not in page] == []


def test_links_lead_somewhere_and_nothing_is_loaded(reference):
    pages = reference[1]
    places = {name: set(re.findall(r'id="([^"]+)"', page)) for name, page in pages.items()}
    for name, page in pages.items():
        for target in re.findall(r'<a[^>]* href="([^"]+)"', page) if name.endswith("html") else ():
            file, _, place = html.unescape(target).partition("#")
            if not target.startswith("https://"):
                assert (file or name) in pages and (not place or place in places[file or name]), (name, target)
        loaded = re.findall(r'<(?:script|img|link|iframe)\b[^>]*(?:src|href)="([^"]+)"', page)
        assert set(loaded) <= {"reference.css", "reference.js"}, name
    index = json.loads(re.search(r"const docs = (\[.*\]);", pages["search.js"])[1])
    assert len(index) > 500
    for entry in index:
        file, _, place = entry["fullname"].partition("#")
        assert file in pages and (not place or place in places[file]), entry["fullname"]


def test_no_word_of_a_docstring_is_lost(reference):
    topics = taken("topics")
    for topic in topics.TOPICS:
        said = plain(reference[1][f"{topic.file}.html"]).replace(" ", "")
        for name in topic.names.split():
            for word in re.sub(r"`", "", inspect.getdoc(topics.public(name))).split():
                assert word in said, (name, word)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_the_browser(reference, browser, scheme):
    folder, _ = reference
    browser.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.resize(*((1200, 800) if scheme == "light" else (390, 844)))
    try:
        browser.driver.get((folder / ("weights.html" if scheme == "light" else "scipy_functions.html")).as_uri())
        assert browser.violations() == []
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
        browser.press("cross_ent", on="input")
        browser.driver.execute_async_script("look().then(arguments[0])")
        assert browser.text("#found a") == "tg.cross_entropy"
        assert browser.violations() == []
        browser.press("ARROW_DOWN", on="focus")
        assert browser.run("return document.activeElement.textContent") == "tg.cross_entropy"
        browser.press("ARROW_UP", on="focus")
        browser.press("ENTER", on="focus")
        assert browser.driver.current_url.endswith("losses.html#cross_entropy") and browser.find("#page").is_displayed()
        asked = browser.run("return performance.getEntriesByType('resource').map((entry) => entry.name)")
        assert all(address.startswith("file://") for address in asked)
    finally:
        browser.command("Emulation.setEmulatedMedia", features=[])
        browser.command("Emulation.clearDeviceMetricsOverride")
    assert [line for line in browser.console() if "building search index" not in line] == []
