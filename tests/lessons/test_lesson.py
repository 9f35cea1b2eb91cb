"""What `check` says of an answer."""

from __future__ import annotations

import doctest
from fractions import Fraction

import lesson
import numpy as np
import pytest
from lesson import NOTHING, check

import tinygrad_edu as tg

nan = float("nan")


def square(x):
    return x**2


@pytest.fixture
def said(capsys):
    def said(*arguments, **options):
        assert check(*arguments, **options) is None
        return capsys.readouterr().out

    return said


def test_the_examples():
    assert doctest.testmod(lesson) == (0, 3)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (12, 12.0),
        (tg.Tensor(12.0, requires_grad=True) * 1, 12.0),
        (12.0, tg.Tensor(12.0)),
        (12.000001, 12.0),
        (np.float32(0.1), 0.1),
        (np.arange(3), [0, 1, 2]),
        ([0, 1, 2], np.arange(3)),
        ((1.0, tg.Tensor([2.0, 3.0])), [1.0, np.array([2.0, 3.0])]),
        ([tg.Tensor(1.0), tg.Tensor(2.0)], np.array([1.0, 2.0])),
        (tg.Tensor([[1.0], [2.0]]), [[1.0], [2.0]]),
        (True, True),
        (" Chain rule", "chain rule"),
        (Fraction(1, 2), 0.5),
        ([Fraction(1, 2), 1], np.array([0.5, 1.0])),
        (nan, nan),
        (np.inf, np.inf),
        ([], []),
        (["a", 1.0], ("A", 1)),
    ],
)
def test_right(said, answer, expected):
    assert said(answer, expected) == "Right.\n"


@pytest.mark.parametrize(
    ("answer", "expected", "fault"),
    [
        (6.0, 12.0, "6 instead of 12"),
        (12.0001, 12.0, "12.0001 instead of 12"),
        (nan, 12.0, "NaN instead of 12"),
        (12.0, nan, "12 instead of NaN"),
        (-np.inf, np.inf, "-inf instead of inf"),
        (False, True, "0 instead of 1"),
        (np.ones((3,)), np.ones((2, 3)), "shape (3,) instead of (2, 3)"),
        (np.ones(1), 1.0, "shape (1,) instead of (), a single number"),
        (tg.Tensor([[1.0, 2.0], [3.0, 5.0]]), [[1.0, 2.0], [3.0, 4.0]], "at [1, 1]: 5 instead of 4"),
        (np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[1.0, 2.0], [3.0, 4.0]]), "at [1, 1]: 5 instead of 4"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], "shape (2,) instead of (3,)"),
        (1.0, [1.0], "shape () instead of (1,)"),
        (np.array(1.0), [1.0], "shape () instead of (1,)"),
        ("a", [1.0], "a string instead of numbers"),
        (None, 1.0, "it is None; is there a return, or a backward(), missing?"),
        ("12", 12.0, "a string instead of a number"),
        (12, "twelve", "a number instead of a string"),
        ("product rule", "chain rule", "'product rule' is not it"),
        ({"x": 1}, 1.0, "something of the type dict instead of a number"),
        ({0.5}, 0.5, "something of the type set instead of a number"),
        ([..., 2.0], [1.0, 2.0], "value 1: ... instead of a number"),
        ([[1.0], [2.0, 3.0]], np.ones(2), "2 values instead of numbers"),
        (["a", 1.0], ["a", 2.0], "value 2: 1 instead of 2"),
        (["a"], ["a", "b"], "1 values instead of 2"),
        (["1", "2"], [1.0, 2.0], "value 1: a string instead of a number"),
        (square, 4.0, "this is a function; the answer is what it gives when called"),
    ],
)
def test_wrong(said, answer, expected, fault):
    assert said(answer, expected) == f"Not yet: {fault}\n"


def test_nothing_yet(said):
    assert said(..., 12.0) == NOTHING + "\n"
    assert said(..., square, at=[(1.0,)]) == NOTHING + "\n"
    assert said(lambda x: ..., square, at=[(1.0,)]) == NOTHING + "\n"


@pytest.mark.parametrize("expected", [square, [4.0, 9.0]])
def test_functions(said, expected):
    at = [(2.0,), (3.0,)]
    assert said(square, expected, at=at) == "Right.\n"
    assert said(lambda x: 2 * x, expected, at=at) == "Not yet: called with 3.0, 6 instead of 9\n"
    assert said(lambda x: None, expected, at=at).startswith("Not yet: called with 2.0, it is None")
    assert said(4.0, expected, at=at) == "Not yet: a function is asked for, and this is none\n"


def test_a_function_that_raises(said):
    said_ = said(lambda x, y: x, square, at=[(2.0,)])
    assert said_.startswith("Not yet: the function raises TypeError: ") and said_.count("\n") == 1

    def lines(x):
        raise ValueError("first\nsecond")

    assert said(lines, square, at=[(2.0,)]) == "Not yet: the function raises ValueError: first\n"

    def silent(x):
        raise ValueError

    assert said(silent, square, at=[(2.0,)]) == "Not yet: the function raises ValueError: \n"


def test_arguments_are_told_in_a_line(said):
    at = [(np.array([1.0, 2.0]), tg.Tensor([3.0, 4.0]))]
    wrong = said(np.subtract, np.add, at=at)
    assert wrong == "Not yet: called with [1. 2.], [3. 4.], at [0]: -2 instead of 4\n"
    assert "called with square, 4 instead of 5" in said(lambda f: f(2.0), [5.0], at=[(square,)])
    at = [(np.ones((4, 4)),)]
    assert "called with ndarray of shape (4, 4), at [0, 0]: 1 instead of 2" in said(np.positive, lambda x: x + 1, at=at)


def test_a_function_that_changes_its_argument(said):
    def doubled(x):
        x *= 2
        return x

    start = np.ones(2)
    assert said(doubled, lambda x: x + x, at=[(start,), (start,)]) == "Right.\n"
    assert start.tolist() == [1.0, 1.0]


def test_hints(said):
    hints = {"add the two": 6.0, "it is not the sum": 7.0}
    assert said(7.0, 12.0, hints=hints) == "Not yet: it is not the sum\n"
    assert said(8.0, 12.0, hints=hints) == "Not yet: 8 instead of 12\n"
    assert said(12.0, 12.0, hints={"never": 12.0}) == "Right.\n"
    assert said(None, 12.0, hints={"call backward()": None}) == "Not yet: call backward()\n"
    hints = {"that is the derivative": lambda x: 2 * x, "that is the root": [2**0.5, 3**0.5]}
    assert said(lambda x: 2 * x, square, at=[(2.0,), (3.0,)], hints=hints) == "Not yet: that is the derivative\n"
    assert said(lambda x: x**0.5, square, at=[(2.0,), (3.0,)], hints=hints) == "Not yet: that is the root\n"


def test_tolerance(said):
    assert said(0.33, 1 / 3, tolerance=0.01) == "Right.\n"
    assert said(0.33, 1 / 3) == "Not yet: 0.33 instead of 0.3333333333\n"
    assert said(1000.0005, 1000.0) == "Right.\n"
