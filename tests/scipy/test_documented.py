"""Each function of `tinygrad_edu.scipy` shows in its docstring how it is called, and that is what happens."""

from __future__ import annotations

import doctest
import inspect

import numpy as np
import pytest

import tinygrad_edu as tg

pytest.importorskip("scipy", reason="needs SciPy (extra examples)")

from tinygrad_edu.scipy import integrate, optimize, roots, special
from tinygrad_edu.scipy.stats import norm

FUNCTIONS = [
    pytest.param(value, id=f"{module.__name__.removeprefix('tinygrad_edu.scipy.')}.{name}")
    for module in (special, norm, optimize, roots, integrate)
    for name, value in vars(module).items()
    if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_example(function):
    (test,) = doctest.DocTestFinder(recurse=False).find(function, globs={"tg": tg, "np": np})
    assert len(test.examples) > 1
    said = []
    assert not doctest.DocTestRunner(verbose=False).run(test, out=said.append).failed, "".join(said)


def test_all_of_them_are_here():
    assert len(FUNCTIONS) > 18
