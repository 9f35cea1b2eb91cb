"""`scipy.stats.norm` on tensors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tests.rules.test_rules import check
from tests.strategies import arrays

pytest.importorskip("scipy", reason="needs SciPy (extra examples)")

from scipy import stats

import tinygrad_edu.scipy.stats.norm as norm
from tinygrad_edu.scipy import stats as ours

NAMES = ("pdf", "logpdf", "cdf", "logcdf", "sf", "logsf", "ppf")
slope = tg.elementwise_grad


@pytest.mark.parametrize("name", NAMES)
def test_derivatives(name):
    function = getattr(norm, name)
    low, high = (0.2, 0.8) if name == "ppf" else (-3.0, 3.0)

    @settings(max_examples=15)
    @given(st.tuples(arrays((2, 3), low, high), arrays((3,)), arrays((2, 1), 0.7, 3.0)))
    def property(inputs):
        check(function, [*inputs])

    property()


@pytest.mark.parametrize("name", NAMES)
def test_values_are_scipys(name):
    mine, its = getattr(norm, name), getattr(stats.norm, name)
    x = (
        np.array([0.25, 0.5, 0.0, 1.0, np.nan])
        if name == "ppf"
        else np.array([-40.0, -3, 0.5, 8, np.inf, -np.inf, np.nan])
    )
    scale = np.array([[2.0], [0.5], [0.0], [-1.0], [np.nan]])
    for loc, s in ((0, 1), (0.5, 3), (0.5, scale)):
        with np.errstate(divide="ignore", invalid="ignore"):  # SciPy itself divides by 0
            np.testing.assert_allclose(mine(tg.Tensor(x), loc, s).numpy(), its(x, loc, s), rtol=2e-15)
            np.testing.assert_array_equal(mine(x, loc, s), its(x, loc, s))
    np.testing.assert_allclose(mine(0.5, tg.Tensor(0.25), 2).numpy(), its(0.5, 0.25, 2), rtol=1e-15)
    np.testing.assert_allclose(mine(0.5, scale=tg.Tensor([2.0])).numpy(), its([0.5], scale=2), rtol=1e-15)
    np.testing.assert_allclose(mine([0.5, tg.Tensor(0.25)]).numpy(), its([0.5, 0.25]), rtol=1e-15)
    for row in ([0.5, 0.25], (0.5, 0.25)):
        np.testing.assert_allclose(mine(row, loc=tg.Tensor(1.0)).numpy(), its(row, loc=1.0), rtol=1e-15)
    np.testing.assert_allclose(mine(tg.Tensor([0, 1])).numpy(), its([0, 1]), rtol=1e-15)
    assert mine(tg.Tensor(x[:2].astype(np.float32)), 0.5, 3).dtype == np.float32


def test_the_far_ends():
    """The derivative of log Φ at −t has an asymptotic series (DLMF 7.12.1)."""
    far, t = np.array([-40.0, -1e6]), np.array([40.0, 1e6])
    first = t + 1 / t - 2 / t**3 + 10 / t**5 - 74 / t**7
    second = -1 + 1 / t**2 - 6 / t**4 + 50 / t**6 - 518 / t**8
    np.testing.assert_allclose(slope(norm.logcdf)(far), first, rtol=1e-11)
    np.testing.assert_allclose(slope(norm.logsf)(-far), -first, rtol=1e-11)
    np.testing.assert_allclose(slope(slope(norm.logcdf))(far), second, rtol=1e-9)
    np.testing.assert_allclose(slope(slope(norm.logsf))(-far), second, rtol=1e-9)
    np.testing.assert_allclose(slope(norm.logpdf)(far), -far)
    assert slope(norm.pdf)(np.array([-1e200, 40.0, np.inf])).tolist() == [0, 0, 0]
    np.testing.assert_allclose(slope(norm.pdf)(30.0), -30 * math.exp(-450) / math.sqrt(2 * math.pi), rtol=1e-12)
    q = np.array([1e-300, 0.5, 0.9])
    np.testing.assert_allclose(slope(lambda q: norm.cdf(norm.ppf(q, 3, 2), 3, 2))(q), np.ones(3), rtol=1e-12)


def test_a_model_is_fitted_derived_and_compiled():
    rng = np.random.default_rng(0)
    x = rng.normal(1.0, 2.0, (50, 1))
    loss = lambda x, mean, log_scale: -np.mean(norm.logpdf(x, mean, np.exp(log_scale)))
    found = tg.grad(loss, (1, 2))(x, 0.0, 0.0)
    np.testing.assert_allclose(found, [-np.mean(x), 1 - np.mean(x**2)])
    derived = tg.derive(lambda x, m, s: loss(x, m, s) - np.mean(norm.logsf(x, m)), x, np.zeros(1), np.ones(1))
    namespace = {}
    exec(derived.source, namespace)
    for found in (namespace["value_and_gradients"](x, np.zeros(1), np.ones(1)), derived(x, np.zeros(1), np.ones(1))):
        np.testing.assert_allclose(
            found[1][1], tg.grad(lambda m: loss(x, m, 1.0) - np.mean(norm.logsf(x, m)))(np.zeros(1))
        )
    mean, log_scale = tg.Tensor(0.0, requires_grad=True), tg.Tensor(0.0, requires_grad=True)
    step = tg.compile_step(lambda x: loss(x, mean, log_scale), tg.SGD([mean, log_scale], lr=0.3))
    for _ in range(300):
        step(x)
    np.testing.assert_allclose([mean.item(), math.exp(log_scale.item())], [x.mean(), x.std()], rtol=1e-6)


def test_the_rest_is_scipys():
    assert norm.rvs(size=3, random_state=0).shape == (3,) and norm.isf(0.5) == 0 and "fit" in dir(norm)
    assert ours.t is stats.t and ours.norm is norm and "gamma" in dir(ours) and "beta" in ours.__all__
    for module in (norm, ours):
        with pytest.raises(AttributeError, match=r"tinygrad_edu\.scipy\.stats.*has no attribute '__wrapped__'"):
            _ = module.__wrapped__
    with pytest.raises(TypeError, match=r"what tinygrad_edu\.scipy has in place of SciPy's"):
        tg.grad(stats.norm.pdf)(0.5)
