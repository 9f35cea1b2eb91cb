"""What the documents say: their code runs and prints what they show, their commands are accepted, their links lead
somewhere, and the map of the package is that of the package."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from tests.benchmarks.__main__ import ALL as WORKLOADS

from .test_layout import ARROWS, FILES, LEVELS, place

ROOT = Path(__file__).resolve().parents[2]
CODE = "README.md", "examples/guide.md"
OTHERS = (
    "examples/README.md",
    "examples/lessons/README.md",
    "tinygrad_edu/README.md",
    "tests/benchmarks/README.md",
    ".github/CONTRIBUTING.md",
)
DOCUMENTS = *CODE, *OTHERS
NEEDS = {"README.md": (), "examples/guide.md": ("matplotlib", "scipy", "safetensors")}
PICTURES = ".png", ".gif", ".svg"
FOLDERS = ".github", "examples", "tests", "tinygrad_edu"
PAGES = [
    path.relative_to(ROOT).as_posix()
    for top in (ROOT.glob("*.md"), *((ROOT / folder).rglob("*.md") for folder in FOLDERS))
    for path in top
]
LESSONS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "examples" / "lessons").glob("*.ipynb"))


def read(document: str) -> str:
    text = (ROOT / document).read_text("utf-8")
    if not document.endswith(".ipynb"):
        return text
    told = (cell["source"] for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")
    return "\n\n".join(map("".join, told))


def blocks(document: str) -> list[str]:
    """What is indented to be shown as it stands: commands, rules, and what was printed."""
    text = re.sub(r"^```.*?^```$", "", read(document), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"(?:^    .*\n)+(?:\n(?:    .*\n)+)*", text, flags=re.MULTILINE)


def commands(document: str) -> list[list[str]]:
    text = re.sub(r"^```.*?^```$", "", read(document), flags=re.DOTALL | re.MULTILINE)
    lines = re.findall(r"^    ((?:\w+=\w+ )?python .*)$", text, flags=re.MULTILINE)
    lines += re.findall(r"`((?:\w+=\w+ )?python -[^`]*)`", " ".join(text.split()))
    return [part.split("python ", 1)[1] for line in lines for part in line.split(" && ")]


def plain(line: str) -> list[str]:
    """A line without its numbers, which another BLAS rounds otherwise, and without its spaces."""
    return re.sub(r"\d\.\d+(e[−\d]+)?", "number", line).split()


@pytest.mark.parametrize("document", CODE)
def test_the_code_runs_and_prints_what_is_said(document, tmp_path, monkeypatch):
    if not shutil.which("dot"):
        pytest.importorskip("pygraphviz", reason="the drawing needs dot, or the extra viz")
    for needed in NEEDS[document]:
        pytest.importorskip(needed, reason="the plot and SciPy's functions need the extra examples")
    monkeypatch.chdir(tmp_path)
    code = "".join(re.findall(r"```python\n(.*?)```", read(document), flags=re.DOTALL))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, document, "exec"), {})
    rest = " ".join(printed.getvalue().split())
    said = re.findall(r"print\(.*#\s*(.*?)\s*(?:= .*)?$", code, flags=re.MULTILINE)
    assert len(said) > 3
    for words in said:
        _, found, rest = rest.partition(" ".join(words.split()))
        assert found, words  # in this order
    for name in re.findall(r'render_graph\(\w+, "(.*?)"', code):
        assert (tmp_path / name).stat().st_size > 1000
    lines = [plain(line) for line in printed.getvalue().splitlines() if "─" not in line and line.strip()]
    shown = [block for block in blocks(document) if "python " not in block]
    for block in shown:
        wanted = [plain(line) for line in block.splitlines() if "─" not in line and line.strip()]
        assert any(lines[k : k + len(wanted)] == wanted for k in range(len(lines))), block
    assert {"    return J, (dW1, db1, dW2, db2)"} <= {line for block in shown for line in block.splitlines()}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_rules_that_are_shown_are_those_of_the_table(document):
    source = "".join(path.read_text("utf-8") for path in (ROOT / "tinygrad_edu" / "rules").glob("*.py"))
    shown = re.findall(r"^(?:    )?(rule\(.*\))$", read(document), flags=re.MULTILINE)
    assert [line for line in shown if line not in source] == []
    assert len(shown) == 2 * (document in ("tinygrad_edu/README.md", ".github/CONTRIBUTING.md"))


class Accepted(Exception):
    """The command has read its arguments."""


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_are_accepted(document, monkeypatch):
    """What they do is tested elsewhere, in small: the examples, the fuzzer, the mutants, the benchmarks, `.ci/run`."""
    extras = tomllib.loads(read("pyproject.toml"))["project"]["optional-dependencies"]
    markers = tomllib.loads(read("pyproject.toml"))["tool"]["pytest"]["ini_options"]["markers"]
    parse = argparse.ArgumentParser.parse_args

    def accept(*arguments):
        read = parse(*arguments)
        assert not set(getattr(read, "workloads", ())) - set(WORKLOADS)
        raise Accepted

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", accept)
    found, brought = commands(document), {"pytest", "jupyterlab", "nbconvert"}  # with notebook
    assert found or document == "examples/guide.md"
    for command in found:
        what, *arguments = command.split()
        if what == "-m" and arguments[:2] == ["pip", "install"]:
            named = re.search(r"\[(.*)\]", command)
            brought |= {*arguments[2:]}
            assert not named or set(named[1].split(",")) <= {*extras}, command
        elif what == "-m" and arguments[0] in brought:
            assert all([*ROOT.glob(path)] for path in arguments if "/" in path), command
            assert all(any(m.startswith(name) for m in markers) for name in re.findall(r'-m "not (\w+)"', command))
        elif what == "-m":
            module = arguments[0] + ".__main__" * (ROOT / arguments[0].replace(".", "/")).is_dir()
            source = (ROOT / module.replace(".", "/")).with_suffix(".py").read_text("utf-8")
            if "argparse" in source:
                monkeypatch.setattr(sys, "argv", arguments)
                with pytest.raises(Accepted):
                    importlib.import_module(module).main()
        else:
            assert (ROOT / what).is_file() and not re.search(" -", command)  # test_examples.py runs all scripts


def anchors(text: str) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("document", [*PAGES, *LESSONS])
def test_links_and_pictures_exist(document):
    text = re.sub(r"```.*?```|`[^`]*`", "", read(document), flags=re.DOTALL)
    for picture in re.findall(r"<img [^>]*>", text):
        assert re.search(r'alt="[^"]{15,}"', picture), f"{picture}: who does not see it wants to know what it shows"
    assert not re.search(r"!\[.{0,14}\]\(", text)
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]*)"', text)
    for link in links:
        path, _, anchor = link.partition("#")
        if not re.match(r"https?:", link):
            target = (ROOT / document).parent / path if path else ROOT / document
            assert target.exists() and target.resolve().is_relative_to(ROOT), link
            assert not anchor or anchor in anchors(target.read_text("utf-8")), link


def test_the_front_page_is_short():
    text = read("README.md")
    assert len(text.split()) <= 900  # code, tables and links counted
    said = text.partition("\n\n")[2].partition("\n\n")[0]
    assert len(re.findall(r"\.(?=\s|$)", said)) == 3  # what it is


def test_every_document_is_two_clicks_from_the_front_page():
    links = lambda document: {
        ((ROOT / document).parent / path).resolve().relative_to(ROOT).as_posix()
        for path in re.findall(r"\]\(([^)\s#:]+\.md)(?:#[^)]*)?\)", read(document))
    }
    near = links("README.md")
    assert set(PAGES) <= near.union({"README.md"}, *map(links, near))


def rows(document: str) -> list[list[str]]:
    lines = [line.strip("|") for line in read(document).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")] for line in lines]


def test_the_front_page_s_figures_are_those_of_the_benchmarks():
    measured = {row[0]: row[1:] for row in rows("tests/benchmarks/README.md")}
    told = [row for row in rows("README.md") if re.fullmatch(r"\d\.\d\d", row[-1])]
    assert len(told) == 4 and all(measured[name] == figures for name, *figures in told)
    sizes = [[re.sub(r"^\w+: |, float32", "", head) for head in row] for row in rows("tests/benchmarks/README.md")]
    assert next(row for row in rows("README.md") if row[0] == "rows × layers")[1:] in [row[1:] for row in sizes]
    assert f"LSTM takes {measured['an LSTM of 64 units over 35 steps'][1]} times" in read("README.md")


def test_the_gallery_has_all_examples():
    pictures, figures = read("examples/README.md").split("## What they reach")
    scripts = {path.name for path in (ROOT / "examples").glob("[!_]*.py")}
    assert set(re.findall(r"^\| \[`(\w+\.py)`\]", figures, flags=re.MULTILINE)) == scripts
    assert set(re.findall(r"`(\w+\.py)`", pictures)) >= scripts - {"names.py"}
    shown = set(re.findall(r"pictures/(\w+\.(?:png|gif|svg))", "".join(map(read, DOCUMENTS))))
    assert shown == {path.name for path in (ROOT / "examples" / "pictures").iterdir() if path.suffix in PICTURES}


def test_all_lessons_are_listed():
    row = r"^\| (\d+) \| \[(.*)\]\((.*)\) \| .* \| (\d+) \|$"
    lessons = []
    for lesson in LESSONS:
        told = read(lesson)
        number, title = re.match(r"# (\d+)\. (.*)", told).groups()
        takes = re.search(r"Takes:?\*? (?:about )?(\d+) minutes", " ".join(told.split()))
        lessons.append((number, title, Path(lesson).name, takes[1]))
    assert re.findall(row, read("examples/lessons/README.md"), re.MULTILINE) == lessons


def test_the_map_is_that_of_the_package():
    """Every place stands in one row, which needs only those above it; every file is named in it or by its folder."""
    named = {}
    for number, (places, told) in enumerate(row for row in rows("tinygrad_edu/README.md") if row[0].startswith("`")):
        for name in re.findall(r"`(\w+)(?:/|\.py)`", places):
            assert name not in named
            named[name] = number, told
    named["tinygrad_edu"] = named.pop("__init__")
    assert set(named) == set.union(*LEVELS)
    up = [str(a) for a in ARROWS if named[place(a.target)][0] > named[place(a.source)][0]]
    assert not up, "these imports run up:\n" + "\n".join(up)
    for module, path in FILES.items():
        folder = ROOT / "tinygrad_edu" / place(module)
        if module not in named and path.name != "__init__.py" and folder.is_dir():
            told = named[place(module)][1] + FILES[place(module)].read_text("utf-8")
            assert f"`{path.name}`" in told or f"`{path.parent.name}" in told, path
    for name, (_, told) in named.items():
        for file in re.findall(r"`(\w+\.py)`", told):
            assert (ROOT / "tinygrad_edu" / name / file).exists(), file


def test_imports_run_as_is_said():
    said = re.search(r"^    (pages.*→.*)$", read(".github/CONTRIBUTING.md"), flags=re.MULTILINE)[1]
    assert [set(part.split(", ")) for part in said.split(" → ")] == LEVELS[:-2]


def test_the_reading_order_is_of_files_that_exist():
    order = re.findall(r"^\d\. (.*)", read("tinygrad_edu/README.md"), flags=re.MULTILINE)
    files = [file for line in order for file in re.findall(r"`(\w+/\w+\.py)`", line)]
    assert len(order) == 7 and all((ROOT / "tinygrad_edu" / file).is_file() for file in files)
