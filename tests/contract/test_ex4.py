"""The network of exercise 4: the course's figures, and autograd against the gradient derived by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_edu import SGD, Dense, Sequential, Sigmoid, numerical_gradient, one_hot
from tinygrad_edu import functional as F


def make(*sizes):
    layers = []
    for n, k in itertools.pairwise(sizes):
        layers += [Dense(n, k, rng=0), Sigmoid()]
    return Sequential(*layers)


def set_thetas(net, thetas):
    for layer, theta in zip(net[::2], thetas, strict=True):
        layer.weight.data, layer.bias.data = theta[:, 1:].T.copy(), theta[:, 0].copy()


def theta_gradients(net):
    """The gradients in the exercise's form: (outputs, 1 + inputs), bias first."""
    return [np.column_stack((layer.bias.grad, layer.weight.grad.T)) for layer in net[::2]]


def cost(net, X, Y, lam):
    return F.binary_cross_entropy(net(X), Y, "batchmean") + F.l2_penalty(net, lam, len(X))


def by_hand(thetas, X, Y, lam):
    """The exercise's vectorised formulas: δ3 = h − y, δ2 = δ3 Θ2 ∘ a2 (1 − a2), λ on weights only."""
    m = len(X)
    activations = [X]
    for theta in thetas:
        z = np.column_stack((np.ones(m), activations[-1])) @ theta.T
        activations.append(1 / (1 + np.exp(-z)))
    h = activations[-1]
    J = -np.sum(Y * np.log(h) + (1 - Y) * np.log(1 - h)) / m
    J += lam / (2 * m) * sum((theta[:, 1:] ** 2).sum() for theta in thetas)
    delta = h - Y
    gradients = []
    for theta, a in zip(thetas[::-1], activations[-2::-1], strict=True):
        g = delta.T @ np.column_stack((np.ones(m), a)) / m
        g[:, 1:] += lam / m * theta[:, 1:]
        gradients.insert(0, g)
        delta = (delta @ theta[:, 1:]) * a * (1 - a)
    return J, gradients


def relative(a, b):
    a, b = (np.concatenate([part.ravel() for part in parts]) for parts in (a, b))
    return np.linalg.norm(a - b) / np.linalg.norm(a + b)


@st.composite
def networks(draw):
    sizes = draw(st.lists(st.integers(1, 7), min_size=2, max_size=5))
    m = draw(st.integers(1, 9))
    lam = draw(st.one_of(st.just(0.0), st.floats(0.01, 10)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    thetas = [rng.normal(0, 1, (k, n + 1)) for n, k in itertools.pairwise(sizes)]
    return sizes, thetas, rng.normal(0, 1, (m, sizes[0])), rng.integers(0, 2, (m, sizes[-1])).astype(float), lam


@given(networks())
def test_autograd_equals_the_gradient_derived_by_hand(drawn):
    sizes, thetas, X, Y, lam = drawn
    net = make(*sizes)
    set_thetas(net, thetas)
    J = cost(net, X, Y, lam)
    J.backward()
    J_hand, gradients = by_hand(thetas, X, Y, lam)
    assert J.item() == pytest.approx(J_hand, rel=1e-12)
    assert relative(theta_gradients(net), gradients) < 1e-12


@settings(max_examples=20)
@given(networks())
def test_autograd_equals_numerical_differences(drawn):
    sizes, thetas, X, Y, lam = drawn
    net = make(*sizes)
    set_thetas(net, thetas)
    cost(net, X, Y, lam).backward()
    measured = numerical_gradient(lambda *_: cost(net, X, Y, lam), *net.parameters())
    assert relative([p.grad for p in net.parameters()], measured) < 1e-8


def debug_weights(rows, columns):
    return (np.sin(np.arange(1, rows * columns + 1)) / 10).reshape(rows, columns, order="F")


@pytest.mark.parametrize(
    ("lam", "J", "norm"), [(0, 2.100950569902, 0.522310080021), (3, 2.146359815024, 0.555328497790)]
)
def test_the_exercise_s_small_network(lam, J, norm):
    net = make(3, 5, 3)
    set_thetas(net, [debug_weights(5, 4), debug_weights(3, 6)])
    X, Y = debug_weights(5, 3), one_hot([1, 2, 0, 1, 2], 3)
    got = cost(net, X, Y, lam)
    got.backward()
    gradients = theta_gradients(net)
    assert got.item() == pytest.approx(J, abs=1e-12)
    assert np.sqrt(sum((g**2).sum() for g in gradients)) == pytest.approx(norm, abs=1e-12)
    np.testing.assert_allclose(
        gradients[0][:, 0], [-0.0092783, 0.0088991, -0.0083601, 0.0076281, -0.0067480], atol=5e-8
    )
    measured = numerical_gradient(lambda *_: cost(net, X, Y, lam), *net.parameters())
    assert relative([p.grad for p in net.parameters()], measured) < 1e-9


def test_a_regularised_bias_would_be_noticed():
    """A test of the tests: the usual mistake passes at λ = 0 and fails at λ = 3."""
    thetas = [debug_weights(5, 4), debug_weights(3, 6)]
    X, Y = debug_weights(5, 3), one_hot([1, 2, 0, 1, 2], 3)
    for lam, expected in ((0, True), (3, False)):
        _, right = by_hand(thetas, X, Y, lam)
        wrong = [
            g + np.column_stack((lam / 5 * t[:, 0], np.zeros_like(t[:, 1:])))
            for g, t in zip(right, thetas, strict=True)
        ]
        assert (relative(wrong, right) < 1e-9) == expected


class TestOnTheDigits:
    def test_the_course_s_weights(self, digits, data_folder):
        from tinygrad_edu.datasets import load_ex4_weights

        X, y = digits
        Y = one_hot(y, 10)
        net = make(400, 25, 10)
        net.load_state_dict(load_ex4_weights(data_folder / "ex4weights.mat"))
        for lam, expected in ((0, 0.2876291651613189), (1, 0.3837698590909236), (3, 0.5760512469501331)):
            assert cost(net, X, Y, lam).item() == pytest.approx(expected, abs=1e-12)
        assert np.mean(net(X).argmax(axis=1) == y) == 0.9752

    @pytest.mark.slow
    def test_800_iterations_of_gradient_descent(self, digits):
        X, y = digits
        Y = one_hot(y, 10)
        rng = np.random.RandomState(0)
        thetas = []
        for n, k in ((400, 25), (25, 10)):
            epsilon = np.sqrt(6) / np.sqrt(n + k)
            thetas.append(rng.rand(k, n + 1) * 2 * epsilon - epsilon)
        thetas[1] = np.roll(thetas[1], 1, axis=0)  # the course's last output is the digit 0
        net = make(400, 25, 10)
        set_thetas(net, thetas)
        optimizer = SGD(net.parameters(), lr=0.8)
        for _ in range(800):
            optimizer.zero_grad()
            J = cost(net, X, Y, 1)
            J.backward()
            optimizer.step()
        assert J.item() == pytest.approx(0.5152334745505083, abs=1e-9)
        assert np.mean(net(X).argmax(axis=1) == y) == 0.9464
