"""The lessons: what they print is what they say, their exercises can be solved, and wrong answers are told so.

`answers/` has a file for each lesson, with a dictionary `ANSWERS`: by the id of the exercise's cell a wrong answer, a
part of what is said of it, further such pairs, and last the right answer. An answer is code that stands in place of all
that is above the line of `check(` in that cell.
"""

from __future__ import annotations

import ast
import json
import math
import re
import runpy
from pathlib import Path

import pytest
from lesson import NOTHING

import tinygrad_edu as tg

LESSONS = Path(__file__).resolve().parents[2] / "examples" / "lessons"
PATHS = sorted(LESSONS.glob("*.ipynb"))
ANSWERS = {path.stem: path for path in (Path(__file__).parent / "answers").glob("*.py")}
AGAIN = "python examples/lessons/make.py "
NAMESPACES = {"numpy", "scipy", "matplotlib", "warnings"}
NUMBER = re.compile(r"(?<![\w.])[-−]?\d+(?:\.\d*)?(?:e[-+]?\d+)?")

every_lesson = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def cells(notebook, kind="code"):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def source(cell):
    return "".join(cell["source"])


def exercises(notebook):
    return [cell for cell in cells(notebook) if "exercise" in cell["metadata"].get("tags", ())]


@every_lesson
def test_the_form(path):
    notebook = json.loads(path.read_text("utf-8"))
    first = source(notebook["cells"][0])
    assert first.startswith("# ") and "**For teachers" in first
    told = "\n".join(source(cell) for cell in cells(notebook, "markdown"))
    assert "## What you have seen" in told and "## Where to go on" in told
    assert len(exercises(notebook)) == 3
    assert all(re.search(r"^check\(", source(cell), re.MULTILINE) for cell in exercises(notebook))
    code = "\n".join(map(source, cells(notebook)))
    lines = [line for line in code.splitlines() if line.strip() and not line.strip().startswith("#")]
    assert len(lines) <= 80, f"{len(lines)} lines of code"
    assert [*unknown(ast.parse(code))] == []
    assert path.stat().st_size < 400_000


def unknown(tree):
    """What a lesson uses that is not public."""
    public = {"tinygrad_edu", "tinygrad_edu.numpy", "lesson", *(f"tinygrad_edu.{name}" for name in tg.__all__)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
            if node.module == "tinygrad_edu":
                names += [f"tinygrad_edu.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "tg":
            names = [f"tinygrad_edu.{node.attr}"]
        else:
            continue
        for name in names:
            if name not in public and name.split(".")[0] not in NAMESPACES and "tinygrad_edu.scipy" not in name:
                yield name


@pytest.mark.parametrize("code", ["import os", "from tinygrad_edu import autograd", "tg.nothing(1)", "import torch"])
def test_what_is_not_public_is_found(code):
    assert [*unknown(ast.parse(code))] and not [*unknown(ast.parse("import numpy as np\nfrom lesson import check"))]


def of_make(name):
    """A function of make.py, which is not imported: the reference has a file of the same name."""
    return runpy.run_path(str(LESSONS / "make.py"))[name]


@pytest.fixture(scope="module")
def client(python):
    """One kernel for all lessons, which are written by `make.py` in a kernel each."""
    for needed in ("nbformat", "nbclient", "ipykernel"):
        pytest.importorskip(needed, reason="needs the extra test")
    with of_make("kernel")() as client:
        yield client


# What a lesson may find in the kernel is NumPy, SciPy and Matplotlib, which have been imported; not the package, which
# would have the rules that another lesson brought in, nor names, files and settings.
FORGET = """
import os, sys
os.chdir({folder!r})
if "matplotlib" in sys.modules:
    sys.modules["matplotlib"].rcdefaults()
for name in [*sys.modules]:
    if name.partition(".")[0] in ("tinygrad_edu", "lesson"):
        del sys.modules[name]
%reset -f
get_ipython().execution_count = 1
"""


@every_lesson
def test_the_outputs_are_those_of_the_code(path):
    nbformat = pytest.importorskip("nbformat", reason="needs the extra test")
    pytest.importorskip("nbclient", reason="needs the extra test")
    digest = of_make("digest")

    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.get("code_digest") == digest(notebook), (
        f"the outputs are of older code; {AGAIN}{path.stem}"
    )
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))


@pytest.mark.slow
def test_no_lesson_lives_on_what_another_left(client, tmp_path):
    import nbformat

    codes = [
        "import matplotlib, tinygrad_edu as tg; matplotlib.rcParams['figure.dpi'] = 7; open('left', 'w').close()",
        FORGET.format(folder=str(tmp_path)),
        "import os, sys; print('tg' in globals(), 'tinygrad_edu' in sys.modules, os.listdir())\n"
        "import matplotlib; print(matplotlib.rcParams['figure.dpi'])",
    ]
    notebook = nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, codes)])
    of_make("run")(notebook, client)
    assert "".join(texts(notebook.cells[-1])).split() == ["False", "False", "[]", "100.0"]


def texts(cell):
    """What a cell printed, and the text of what it showed."""
    for output in cell["outputs"]:
        shown = output.get("data", {})
        if "image/svg+xml" in shown:  # a drawing: what is written in it
            yield " ".join(re.findall(r"<text[^>]*>([^<]*)", "".join(shown["image/svg+xml"])))
        else:
            yield "".join(output.get("text", shown.get("text/plain", "")))


def same(found, committed):
    """Whether two texts differ in nothing but the last decimal of numbers, or in 1e-4 of them."""
    if NUMBER.sub("#", found).split() != NUMBER.sub("#", committed).split():
        return False
    return all(map(close, NUMBER.findall(found), NUMBER.findall(committed)))


def close(found, committed):
    mantissa, _, exponent = committed.partition("e")
    decimals = len(mantissa.partition(".")[2])
    unit = 10.0 ** (int(exponent or 0) - decimals) if "." in mantissa else 0
    a, b = (float(text.replace("−", "-")) for text in (found, committed))
    return a == b or (unit > 0 and math.isclose(a, b, rel_tol=1e-4, abs_tol=1.01 * unit))


@pytest.mark.parametrize(
    ("found", "committed", "expected"),
    [
        ("loss 0.1234", "loss  0.1235", True),
        ("loss 0.1234", "loss 0.1236", False),
        ("1234.5678", "1234.6", True),
        ("1.0000e-05", "1.0001e-05", True),
        ("1.0e-05", "1.2e-05", False),
        ("shape (3, 2)", "shape (3, 3)", False),
        ("12345 steps", "12346 steps", False),
        ("∂ = −2.5", "∂ = −2.5", True),
        ("∂ = −2.5", "∂ = 2.5", False),
        ("a 1", "b 1", False),
        ("[1., 2.]", "[1., 2., 3.]", False),
        ("W1 0.5", "W2 0.5", False),
    ],
)
def test_texts_are_compared_number_by_number(found, committed, expected):
    assert same(found, committed) == expected


@every_lesson
@pytest.mark.slow
def test_it_runs_and_its_exercises_can_be_solved(path, client, tmp_path):
    import nbformat

    run = of_make("run")
    forgetting = nbformat.v4.new_code_cell(FORGET.format(folder=str(tmp_path)))
    run(nbformat.v4.new_notebook(cells=[forgetting]), client)
    committed = nbformat.read(path, as_version=4)
    answers = runpy.run_path(str(ANSWERS[path.stem[:2]]))["ANSWERS"]
    assert [cell["id"] for cell in exercises(committed)] == [*answers]
    notebook = nbformat.read(path, as_version=4)
    expected = []
    for cell in exercises(committed):
        *wrong, right = answers[cell.id]
        asked = cell.source[re.search(r"^check\(", cell.source, re.MULTILINE).start() :]
        for code, said in [*zip(wrong[::2], wrong[1::2], strict=True), (right, "Right.")]:
            notebook.cells.append(nbformat.v4.new_code_cell(f"{code}\n{asked}"))
            expected.append((code, said))
    run(notebook, client)
    ran = cells(notebook)
    for cell, before in zip(ran, cells(committed), strict=False):
        assert all(output.get("name") != "stderr" for output in cell.outputs), cell.outputs
        if "varies" not in before.metadata.get("tags", ()):
            found, once = [*texts(cell)], [*texts(before)]
            assert len(found) == len(once) and all(map(same, found, once)), (
                f"{cell.id} gives {found} instead of {once}; {AGAIN}{path.stem}"
            )
        if "exercise" in before.metadata.get("tags", ()):
            assert "".join(texts(cell)) == NOTHING + "\n"
    for cell, (code, said) in zip(ran[len(cells(committed)) :], expected, strict=True):
        assert said in "".join(texts(cell)), f"to\n{code}\n{''.join(texts(cell))}"
