"""The layout of the package: nothing imports upwards or in a circle, and what is read first stays small."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import tinygrad_edu

ROOT = Path(tinygrad_edu.__file__).parent
# From the ground up. A file may import from its own place, from its own level and from those below.
LEVELS = [
    {"pages", "memory"},
    {"autograd"},
    {"rules", "random", "numpy"},
    {"functional"},
    {"nn", "data", "datasets"},
    {"compiler", "debug", "storage", "figure", "plots"},
    {"optim", "graph", "scipy"},
    {"training"},
    {"tinygrad_edu"},  # the `__init__.py` that lists the public names
    {"__main__"},
]


def modules() -> dict[str, Path]:
    """Every file by the name of its module: "autograd.engine", and "nn" for `nn/__init__.py`."""
    paths = {path.relative_to(ROOT).with_suffix("").parts: path for path in ROOT.rglob("*.py")}
    return {".".join(parts[:-1] if parts[-1] == "__init__" else parts): path for parts, path in paths.items()}


FILES = modules()
TREES = {name: ast.parse(path.read_text("utf-8"), str(path)) for name, path in FILES.items()}


class Arrow(NamedTuple):
    """An import of one module by another."""

    source: str
    target: str
    line: int
    typing: bool  # only for the eyes of a type checker

    def __str__(self) -> str:
        return f"{FILES[self.source].relative_to(ROOT)}:{self.line} imports {self.target or 'tinygrad_edu'}"


def place(module: str) -> str:
    return module.partition(".")[0] or "tinygrad_edu"


def level(module: str) -> int:
    return next((k for k, places in enumerate(LEVELS) if place(module) in places), -1)


def resolved(module: str, name: str | None, dots: int) -> Iterator[tuple[str, ...]]:
    """The full name, in parts, of what `from …name import …` in the module means."""
    if dots:
        package = module.split(".") if FILES[module].name == "__init__.py" else module.split(".")[:-1]
        parts = [*filter(None, package)]
        yield (*parts[: len(parts) - dots + 1], *filter(None, (name or "").split(".")))
    elif name and name.split(".")[0] == "tinygrad_edu":
        yield tuple(name.split(".")[1:])


def called(node: ast.Call) -> str:
    return str(getattr(node.func, "attr", getattr(node.func, "id", "")))


def arrows(module: str, tree: ast.Module) -> Iterator[Arrow]:
    """What the module imports of the package, also inside functions and by `importlib`."""
    nodes = [*ast.walk(tree)]
    hidden = {
        id(inner)
        for node in nodes
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in nodes:
        targets: list[tuple[str, ...]] = []
        if isinstance(node, ast.Import):
            targets += [found for alias in node.names for found in resolved(module, alias.name, 0)]
        elif isinstance(node, ast.ImportFrom):
            for found in resolved(module, node.module, node.level):
                targets += [(*found, alias.name) for alias in node.names]
        elif isinstance(node, ast.Call) and called(node) in ("import_module", "__import__"):
            assert isinstance(node.args[0], ast.Constant), f"{module}:{node.lineno}: an import that nobody can read"
            name = str(node.args[0].value)
            targets += resolved(module, name.lstrip("."), len(name) - len(name.lstrip(".")))
        for parts in targets:
            while ".".join(parts) not in FILES:  # a name in a module
                parts = parts[:-1]
            yield Arrow(module, ".".join(parts), node.lineno, id(node) in hidden)


ARROWS = [arrow for module, tree in TREES.items() for arrow in arrows(module, tree)]


def circles(links: set[tuple[str, str]]) -> list[tuple[str, ...]]:
    """Names from which one comes back to them, those of one circle together."""
    reached: dict[str, set[str]] = {a: {b for x, b in links if x == a} for a, _ in links}
    for middle in reached:
        for a in reached:
            if middle in reached[a]:
                reached[a] |= reached[middle]
    return sorted({tuple(sorted(b for b in reached[a] if a in reached.get(b, ()))) for a in reached if a in reached[a]})


def test_every_place_has_a_level():
    assert len(FILES) > 50 and len(ARROWS) > 150
    assert {place(module) for module in FILES} == set.union(*LEVELS)


def test_nothing_is_imported_from_above():
    up = [str(arrow) for arrow in ARROWS if level(arrow.target) > level(arrow.source)]
    assert not up, "these imports run up:\n" + "\n".join(up)


def test_no_circle_of_files():
    found = circles({(a.source, a.target) for a in ARROWS if not a.typing})
    assert not found, "\n".join(map(", ".join, found))


def test_no_circle_of_places():
    links = {(place(a.source), place(a.target)) for a in ARROWS}
    found = circles({(a, b) for a, b in links if a != b})
    assert not found, "\n".join(map(", ".join, found))


@pytest.mark.parametrize(
    ("written", "target"),
    [
        ("from ..training.loop import fit", "training.loop"),
        ("from .. import training", "training"),
        ("import tinygrad_edu.training.loop", "training.loop"),
        ("from tinygrad_edu import fit", ""),
        ("def f():\n    from tinygrad_edu.training import loop", "training.loop"),
        ("import importlib\nimportlib.import_module('tinygrad_edu.training.loop')", "training.loop"),
        ("from importlib import import_module\nimport_module('..training.loop', __package__)", "training.loop"),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..training import loop", "training.loop"),
    ],
)
def test_an_arrow_up_is_found(written, target):
    (arrow,) = arrows("autograd.engine", ast.parse(written))
    assert arrow.target == target and level(arrow.target) > level(arrow.source)
    assert str(arrow).startswith("autograd/engine.py:") and str(arrow).endswith(target or "tinygrad_edu")


def test_a_circle_is_found():
    assert circles({("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")}) == [("b", "c")]


# Small is the feature


def lines(module: str) -> int:
    return len(FILES[module].read_text("utf-8").splitlines())


def test_no_file_is_long():
    assert {str(FILES[module].relative_to(ROOT)): lines(module) for module in FILES if lines(module) > 400} == {}


def test_the_core_is_read_in_one_sitting():
    assert lines("autograd.engine") + lines("autograd.tensor") <= 500


def test_the_chain_rule_fits_on_a_page():
    functions = [node for node in ast.walk(TREES["autograd.engine"]) if isinstance(node, ast.FunctionDef)]
    (pullback,) = (node for node in functions if node.name == "pullback")
    assert pullback.end_lineno is not None and pullback.end_lineno - pullback.lineno + 1 <= 50


def test_no_name_stands_for_two_functions():
    """A printed derivation has the definitions of all that it calls side by side."""
    places: dict[str, list[str]] = {}
    for module, tree in TREES.items():
        if module.startswith(("rules.", "functional.", "scipy.rules")):
            defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
            targets = [t for node in tree.body if isinstance(node, ast.Assign) for t in node.targets]
            for name in defined | {t.id for t in targets if isinstance(t, ast.Name)}:
                places.setdefault(name, []).append(module)
    assert {name: modules for name, modules in places.items() if len(modules) > 1} == {}


# Only documented Python


def undocumented(tree: ast.Module) -> Iterator[str]:
    """Reference counts, bytecode, and objects that change their class."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [getattr(node, "module", None), *(alias.name for alias in node.names)]
            yield from (name for name in names if name in ("dis", "getrefcount"))
        elif isinstance(node, ast.Attribute) and node.attr == "getrefcount":
            yield "getrefcount"
        elif isinstance(node, ast.Attribute) and node.attr == "__class__" and isinstance(node.ctx, ast.Store):
            yield "__class__ ="


def test_only_documented_python():
    found = {str(FILES[module].relative_to(ROOT)): sorted({*undocumented(tree)}) for module, tree in TREES.items()}
    assert {file: names for file, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("import sys\nsys.getrefcount(x)", "getrefcount"),
        ("from sys import getrefcount", "getrefcount"),
        ("import dis", "dis"),
        ("from dis import get_instructions", "dis"),
        ("x.__class__ = Symbol", "__class__ ="),
    ],
)
def test_undocumented_python_is_found(written, found):
    assert [*undocumented(ast.parse(written))] == [found]
    assert not [*undocumented(ast.parse("if x.__class__ is Tensor:\n    pass"))]
