"""The activations beside relu and its like: values in high precision, derivatives, and the same in PyTorch."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tests.strategies import arrays, shapes
from tinygrad_edu import functional as F
from tinygrad_edu.functional.normal import erfc, normal_cdf

COMPOSED = {"silu": F.silu, "softsign": F.softsign, "gelu, tanh": lambda x: F.gelu(x, "tanh")}
PYTORCH = {
    "elu": (lambda x: F.elu(x, 0.7), lambda f, x: f.elu(x, 0.7)),
    "silu": (F.silu, lambda f, x: f.silu(x)),
    "gelu": (F.gelu, lambda f, x: f.gelu(x)),
    "gelu, tanh": (lambda x: F.gelu(x, "tanh"), lambda f, x: f.gelu(x, approximate="tanh")),
    "hardtanh": (lambda x: F.hardtanh(x, -1, 2), lambda f, x: f.hardtanh(x, -1, 2)),
    "softsign": (F.softsign, lambda f, x: f.softsign(x)),
}
EDGES = np.array([-1000.0, -30.0, -2.0, -1.0, -0.0, 0.0, 0.5, 1.0, 2.0, 30.0, 1000.0])


@pytest.mark.parametrize("name", COMPOSED)
@given(data=st.data())
def test_derivatives_of_what_is_composed(name, data):
    x = data.draw(shapes.flatmap(lambda shape: arrays(shape, apart=True)))
    assert not x.size or tg.gradcheck(COMPOSED[name], x, order=2)


@given(x=st.floats(-40, 40))
def test_the_normal_distribution_function_is_accurate_in_both_tails(x):
    exact = math.erfc(-x * math.sqrt(0.5)) / 2
    # √½ · x is rounded, and far out the tail falls by x² for each relative error of x.
    assert abs(normal_cdf(np.float64(x)) - exact) <= (4 + x * x) * np.spacing(exact)


@pytest.mark.parametrize("x", [-1e308, -1e155, -1e4, 1e4, 1e155, 1e308])
@pytest.mark.parametrize("f", [F.gelu, lambda x: F.gelu(x, "tanh"), F.silu, F.elu, F.hardtanh, F.softsign])
def test_far_out_values_and_slopes_are_those_of_the_limit(f, x):
    with np.errstate(all="raise", under="ignore"):
        value, slope = tg.value_and_grad(f)(x)
        curvature = tg.grad(tg.grad(f))(x)
    bounded = f in (F.hardtanh, F.softsign)
    limit = np.sign(x) if bounded else (x if x > 0 else -float(f is F.elu))
    assert value == pytest.approx(limit, rel=2e-4 if f is F.softsign else 1e-15)
    assert slope == pytest.approx(float(x > 0 and not bounded), abs=1e-7)
    assert curvature == pytest.approx(0, abs=1e-7)


def test_the_kinks_are_pytorchs():
    assert tg.grad(lambda x: np.sum(F.elu(x, 0.25)))(np.array([-0.0, 0.0])).tolist() == [0.25, 0.25]
    assert tg.grad(lambda x: np.sum(F.hardtanh(x, -1, 2)))(np.array([-1.0, 0.0, 2.0])).tolist() == [0, 1, 0]
    assert tg.grad(tg.grad(F.elu))(0.0) == 0
    assert tg.grad(F.softsign)(0.0) == 1


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match="gelu: approximate must be 'none' or 'tanh', not 'erf'"):
        tg.GELU("erf")
    with pytest.raises(ValueError, match="hardtanh: min_val must be below max_val, got 1 and 1"):
        tg.Hardtanh(1, 1)


@pytest.mark.parametrize("name", PYTORCH)
@given(data=st.data())
def test_values_and_derivatives_are_pytorchs(name, data):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    ours, theirs = PYTORCH[name]
    x = np.append(EDGES, data.draw(arrays((4,), -40, 40)))
    t = torch.tensor(x, requires_grad=True)
    y = theirs(torch.nn.functional, t)
    (slope,) = torch.autograd.grad(y.sum(), t, create_graph=True)
    np.testing.assert_allclose(ours(x), y.detach().numpy(), rtol=1e-10, atol=1e-15)
    gradient = tg.grad(lambda x: np.sum(ours(x)))
    np.testing.assert_allclose(gradient(x), slope.detach().numpy(), rtol=1e-10, atol=1e-14)
    if slope.requires_grad:
        (curvature,) = torch.autograd.grad(slope.sum(), t)
        second = tg.grad(lambda x: np.sum(gradient(x)))(x)
        smooth = x != 0 if name == "softsign" else slice(None)  # its slope has a tip at 0, where ours is NaN
        np.testing.assert_allclose(second[smooth], curvature.numpy()[smooth], rtol=1e-10, atol=1e-13)


WRITTEN_OUT = {
    "elu": (lambda x: F.elu(x, 0.7), lambda x: x if x > 0 else 0.7 * math.expm1(x)),
    "silu": (F.silu, lambda x: x / (1 + math.exp(-x))),
    "gelu": (F.gelu, lambda x: x * math.erfc(-x / math.sqrt(2)) / 2),
    "gelu, tanh": (
        lambda x: F.gelu(x, "tanh"),
        lambda x: x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    ),
    "hardtanh": (lambda x: F.hardtanh(x, -1, 2), lambda x: min(max(x, -1.0), 2.0)),
    "softsign": (F.softsign, lambda x: x / (1 + abs(x))),
}


@pytest.mark.parametrize("name", WRITTEN_OUT)
@given(x=st.floats(-4, 4))
def test_values_written_out(name, x):
    ours, right = WRITTEN_OUT[name]
    assert float(ours(np.array([x]))[0]) == pytest.approx(right(x), rel=1e-12, abs=1e-15)


def test_the_complementary_error_function_is_accurate_to_a_few_units():
    """Far out too, where rounding x² alone would cost hundreds of them."""
    x = np.append(np.linspace(-6, 26, 4001), [0.46875, -0.46875, 4.0, -4.0, 0.0])
    exact = np.array([math.erfc(v) for v in x])
    assert np.all(abs(erfc(x) - exact) <= 8 * np.spacing(exact))
