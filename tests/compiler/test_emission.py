"""What lines become: which calls a program consists of, and that these give what the engine gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tests.strategies import seeds
from tinygrad_edu.compiler.derivation import Derivation
from tinygrad_edu.compiler.program import Program


def code_of(loss, *parameters):
    return Program(Derivation(loss, [], list(parameters))).code


def stepped(loss, *parameters):
    """The gradients, as the engine and as a compiled step's second call find them."""
    before = [p.data for p in parameters]
    loss().backward()
    expected = [p.grad for p in parameters]
    step = tg.compile_step(loss, tg.SGD(parameters, lr=1.0))
    for _ in range(2):
        for p, values in zip(parameters, before, strict=True):
            p.data = values
        step()
    return [(b - p.data, g) for b, p, g in zip(before, parameters, expected, strict=True)]


def recurrent(rows, steps, parts, dtype="float64"):
    """A loss of `steps` products with the same weights, and with `parts` more weights side by side."""
    rng = np.random.default_rng(0)
    W = tg.Tensor((rng.normal(size=(3, 3 * parts)) / 2).astype(dtype), requires_grad=True)
    b = tg.Tensor(rng.normal(size=(parts, 1, 3)).astype(dtype), requires_grad=True)
    x = rng.normal(size=(rows, 3)).astype(dtype)

    def loss():
        h, stack = x, np.swapaxes(np.reshape(W, (3, parts, 3)), 0, 1)
        for _ in range(steps):
            h = np.tanh(np.sum(h @ stack + b, axis=0)) if parts > 1 else np.tanh(h @ W + b[0, 0])
        return np.sum(h**2)

    return loss, W, b


@pytest.mark.parametrize("parts", [1, 3])
def test_weights_that_many_products_read_transposed_are_copied_once(parts):
    copies = lambda *how: code_of(*recurrent(*how, parts)).count("np.copyto(")
    few = copies(16, 5)
    assert copies(16, 12) == few + 1  # the product of the first step has no gradient by h, so there are 11
    assert copies(16, 8) == few and copies(16, 9) == few + 1
    assert copies(4, 12) == few  # a product of few rows reads its weights only once anyway


@given(st.integers(1, 3), st.sampled_from(["float64", "float32"]), st.sampled_from([1, 9]), st.sampled_from([3, 10]))
def test_recurrent_products(parts, dtype, rows, steps):
    loss, *parameters = recurrent(rows, steps, parts, dtype)
    for ours, expected in stepped(loss, *parameters):
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours, expected, rtol=1e-12 if dtype == "float64" else 1e-4, atol=1e-6)


@given(st.sampled_from(["float64", "float32", "float16"]), st.booleans(), seeds)
def test_rows_of_stacks_are_summed_as_a_product(dtype, other, seed):
    x = np.random.default_rng(seed).normal(size=(2, 5, 3)).astype(dtype)
    b = tg.Tensor(np.ones((2, 1, 3) if not other else (2, 5, 1), dtype), requires_grad=True)
    loss = lambda: np.sum((x * b) ** 2)
    code = code_of(loss, b)
    assert code.count("np.matmul") == (dtype != "float16" and not other)
    ((ours, expected),) = stepped(loss, b)
    tolerance = {"float64": 1e-13, "float32": 1e-5, "float16": 1e-2}[dtype]
    np.testing.assert_allclose(ours, expected, rtol=tolerance, atol=tolerance)


@given(st.sampled_from(["float64", "float32", "float16"]), st.sampled_from([0, 1, -1, None, (0, 2)]), st.booleans())
def test_means_lie_in_memory_of_the_program(dtype, axis, keepdims):
    x = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(dtype)
    p = tg.Tensor(x, requires_grad=True)
    loss = lambda: np.sum(np.exp(np.mean(p, axis=axis, keepdims=keepdims)) ** 2)
    assert ("np.add.reduce" in code_of(loss, p)) == (dtype != "float16" and (axis is not None or keepdims))
    expected = float(loss())
    step = tg.compile_step(loss, tg.SGD([p], lr=0.0))
    assert step() == step() == expected
