"""Options of layers and losses that are numbers: there is no derivative by them, and that is said."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg

X = np.random.default_rng(0).normal(size=(4, 3))
OPTIONS = {
    "layer_norm": lambda e: tg.layer_norm(X, 3, eps=e),
    "batch_norm": lambda e: tg.batch_norm(X, tg.Tensor(np.zeros(3)), tg.Tensor(np.ones(3)), training=True, eps=e),
    "gaussian_nll_loss": lambda e: tg.gaussian_nll_loss(X, X, X**2, eps=e),
    "hardtanh": lambda e: tg.hardtanh(X, -e, 1.0),
    "leaky_relu": lambda e: tg.leaky_relu(tg.Tensor(X), e),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_a_number_that_a_gradient_is_wanted_of_is_refused(name):
    """Its gradient would be 0, or nothing, without a word."""
    f = OPTIONS[name]
    for call in (lambda: tg.grad(lambda e: np.sum(f(e)))(0.5), lambda: f(tg.Tensor(0.5, requires_grad=True))):
        with pytest.raises(TypeError, match=rf"{name}.*requires grad.*no derivative rule"):
            call()
    np.testing.assert_array_equal(f(tg.Tensor(0.5)), f(0.5))
