"""Derivations as formulas: what is written, and that it is written as a person does."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compiler.test_symbolic import ex4
from tinygrad_edu import functional as F
from tinygrad_edu.compiler.latex import number_text, symbol

V, W = np.array([0.5, 1.5]), np.array([2.0, 3.0])
A = np.array([[1.0, 2.0], [3.0, 4.0]])


def rows(fun, *examples, parameters=()):
    """The right-hand sides, by what stands on the left."""
    text = tg.derive(fun, *examples, parameters=parameters).latex()
    assert text.startswith("\\begin{aligned}\n") and text.endswith("\n\\end{aligned}")
    lines = text.split("\n", 1)[1].rsplit("\n", 1)[0].split(" \\\\\n")
    pairs = (line.split(" &= ", 1) for line in lines if " &= " in line)
    return {re.sub(r"\\frac{\\partial J}{\\partial (.*)}", r"d\1", left): right for left, right in pairs}


def test_ex4():
    net, X, y, J = ex4()
    assert rows(J, X, y, parameters=net) == {
        "z_{1}": r"X \, W_{1} + b_{1}",
        "a_{1}": r"\sigma(z_{1})",
        "z_{2}": r"a_{1} \, W_{2} + b_{2}",
        "h": r"\sigma(z_{2})",
        "J": r"\frac{1}{m} \sum \left(\log(1 + e^{z_{2}}) - y \odot z_{2}\right) + "
        r"\tfrac{1}{2 m} \left(\sum W_{1}^{2} + \sum W_{2}^{2}\right)",
        "dz_{2}": r"\tfrac{1}{m} \left(h - y\right)",
        "dW_{2}": r"\tfrac{1}{m} W_{2} + a_{1}^{\top} \, \frac{\partial J}{\partial z_{2}}",
        "db_{2}": r"\sum_i \frac{\partial J}{\partial z_{2}}",
        "dz_{1}": r"\frac{\partial J}{\partial z_{2}} \, W_{2}^{\top} \odot a_{1} \odot \left(1 - a_{1}\right)",
        "dW_{1}": r"\tfrac{1}{m} W_{1} + X^{\top} \, \frac{\partial J}{\partial z_{1}}",
        "db_{1}": r"\sum_i \frac{\partial J}{\partial z_{1}}",
    }


def test_a_penalty_whose_lambda_has_a_name():
    lam = tg.Tensor(1.0, name="lam")
    found = rows(lambda X: np.sum(X * lam) / (2 * len(X)), A)
    assert found["J"] == r"\tfrac{1}{2 m} \sum \lambda \, X" and found["dX"] == r"\tfrac{\lambda}{2 m}"


@pytest.mark.parametrize(
    ("fun", "written"),
    [
        (lambda x: x * 2, "2 x"),
        (lambda x: 2 * x * (1 - x**2), r"2 x \odot \left(1 - x^{2}\right)"),
        (lambda x: x * (x * 3.0), "3 x^{2}"),
        (lambda x: x + x, "2 x"),
        (lambda x: x - 3 * x, "-2 x"),
        (lambda x: np.negative(-x), "x"),
        (lambda x: -(x - 1), "1 - x"),
        (lambda x: x - (x + 1) * 2, r"x - 2 \left(x + 1\right)"),
        (lambda x: -np.exp(x) + 1 + x + 1, "2 - e^{x} + x"),
        (lambda x: x / 3 - 0.1 * x + 0.5, r"\tfrac{7}{30} x + \tfrac{1}{2}"),
        (lambda x: 1 / (2 * np.sqrt(x)), r"\frac{1}{2 \sqrt{x}}"),
        (lambda x: 3 * x / (2 * np.sin(x) * np.cos(x)), r"\frac{3 x}{2 \sin(x) \odot \cos(x)}"),
        (lambda x: (x + 1) / (x - 1), r"\frac{x + 1}{x - 1}"),
        (lambda x: -x / (x + 1) * (x - 1), r"-\frac{x \odot \left(x - 1\right)}{x + 1}"),
        (lambda x: x / len(x), r"\tfrac{1}{m} x"),
        (lambda x: x * 3 / len(x), r"\tfrac{3}{m} x"),
        (lambda x: x * len(x), r"m \, x"),
        (lambda x: (2 * x) ** 2.0 * x**3, r"\left(2 x\right)^{2} \odot x^{3}"),
        (lambda x: 1e-8 + x * 1.23456789, r"10^{-8} + 1.2346 x"),
        (lambda x: abs(x) + np.sinh(x) + np.log1p(x), r"\left|x\right| + \sinh(x) + \log(1 + x)"),
        (lambda x: np.maximum(x, 0) - np.minimum(x, 1), r"\max(x, 0) - \min(x, 1)"),
        (lambda x: np.where(x > 1, x, 0), r"\begin{cases} x & \text{if } x > 1 \\ 0 & \text{else} \end{cases}"),
        (lambda x: x * 0, "0"),
        (lambda x: np.cumsum(x), r"\operatorname{cumsum}(x, axis=0)"),
    ],
)
def test_expressions(fun, written):
    w = tg.Tensor(1.0, requires_grad=True)  # of x there are no gradients, which would have parts of `fun` named
    found = rows(lambda x: w + np.max(fun(x)), V, parameters={"w": w})
    assert found == {"J": rf"w + \operatorname{{max}}({written})", "dw": "1"}


def test_only_arrays_are_multiplied_element_by_element():
    assert rows(lambda a, b, c, f: (a * b + c) * f, 2.0, -3.0, 10.0, -2.0) == {
        "t_{1}": r"a \, b + c",
        "J": r"t_{1} \, f",
        "da": r"f \, b",
        "db": r"f \, a",
        "dc": "f",
        "df": "t_{1}",
    }
    w = tg.Tensor(1.0, requires_grad=True)
    found = rows(lambda A, B, x: w + np.max(A @ B * (2 * x)), np.ones((5, 3)), np.ones((3, 2)), V, parameters={"w": w})
    assert found["J"] == r"w + \operatorname{max}(2 A \, B \odot x)"


def test_vectors():
    found = rows(lambda theta, X: np.max(X @ theta) + np.max(np.outer(theta, theta)), V, np.ones((6, 2)))
    text = "".join(found.values())
    assert r"X \, \theta" in text and r"X^{\top} \, " in text
    assert r"\operatorname{reshape}(\theta, (m, 1)) \odot \operatorname{reshape}(\theta, (1, m))" in text


def test_sums_along_an_axis():
    found = rows(lambda A: np.max(np.sum(A, axis=0)) - np.max(np.sum(A, axis=-1)), np.ones((5, 2)))
    assert r"\sum_i A" in found.values() and r"\sum_j A" in found.values()


def test_powers():
    assert rows(lambda x: np.sum(2**x), V) == {"t_{1}": "2^{x}", "J": r"\sum t_{1}", "dx": r"\log 2 \, t_{1}"}
    assert rows(lambda x: np.sum(np.exp2(-x)), V)["dx"] == r"-\log 2 \, t_{1}"
    assert rows(lambda x: np.sum(x**x), V) == {
        "t_{1}": "x^{x}",
        "J": r"\sum t_{1}",
        "dx": r"x \odot x^{x - 1} + t_{1} \odot \log(x)",
    }
    own = rows(lambda x: np.sum(np.log(np.where(x == 0, 1, x))), V)  # what somebody has chosen is written
    assert r"\begin{cases}" in "".join(own.values())


def test_losses():
    y, t = np.array([0, 1]), A + 1
    assert rows(F.cross_entropy, A, y)["J"] == r"-\frac{1}{m} \sum Y \odot \mathit{log\_p}"
    assert rows(lambda z, t: F.mse_loss(z, t, "sum"), A, t)["J"] == r"\sum \left(z - t\right)^{2}"
    assert rows(lambda z, t: F.mse_loss(z, t), A, t)["J"] == r"\frac{1}{2 m} \sum \left(z - t\right)^{2}"


def test_gradients_that_are_numbers():
    assert rows(lambda x: np.sum(x) / 3, V)["dx"] == r"\tfrac{1}{3}"
    assert rows(lambda x: np.sum(x) / (2 * len(x)), V)["dx"] == r"\tfrac{1}{2 m}"
    assert rows(lambda x: np.sum(np.clip(x, 0, 1 / len(x))), V)["J"] == r"\sum \operatorname{clip}(x, 0, \tfrac{1}{m})"


def test_inputs_that_begin_with_d_are_no_gradients():
    found = rows(lambda data, theta: np.sum(data * theta), V, W)
    assert found == {
        "J": r"\sum \mathit{data} \odot \theta",
        r"d\mathit{data}": r"\theta",
        r"d\theta": r"\mathit{data}",
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [(2, "2"), (2.0, "2"), (-3.5, r"-\tfrac{7}{2}"), (0.1, "0.1"), (1 / 3, r"\tfrac{1}{3}"), (0.05, "0.05"),
     (1e-8, "10^{-8}"), (2.5e-20, r"2.5 \cdot 10^{-20}"), (np.pi, "3.1416"), (True, "True"),
     (1j, "1j"), (10**30, str(10**30))],
)  # fmt: skip
def test_numbers(value, text):
    assert number_text(value) == text


def test_names():
    assert [symbol(name) for name in ("x", "W12", "z_3", "theta", "sigma_2", "lam", "rate", "log_p", "∂W1")] == [
        "x", "W_{12}", "z_{3}", r"\theta", r"\sigma_{2}", r"\lambda", r"\mathit{rate}", r"\mathit{log\_p}",
        r"\frac{\partial J}{\partial W_{1}}",
    ]  # fmt: skip
