"""Gradients of arrays of which parts are read: in programs, each part is added where it belongs."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tests.strategies import seeds
from tinygrad_edu.compiler.derivation import Derivation
from tinygrad_edu.compiler.program import Program

slices = st.builds(slice, *2 * [st.none() | st.integers(-4, 4)], st.sampled_from([None, 1, 2, -1]))
places = st.lists(slices | st.integers(-3, 2) | st.just(Ellipsis), min_size=1, max_size=2)
indices = places.filter(lambda p: p.count(Ellipsis) < 2).map(tuple) | slices | st.sampled_from([[0, 0], (None, 1)])
FUNCTIONS = [np.sin, np.square, lambda a: a, lambda a: a * 0.5, lambda a: a + 1, np.exp]


def code_of(function, x):
    p = tg.Tensor(x, requires_grad=True)
    return Program(Derivation(lambda: function(p), [], [p])).code


@given(st.lists(st.tuples(indices, st.sampled_from(FUNCTIONS)), min_size=1, max_size=6), st.booleans(), seeds)
def test_parts_of_all_kinds(reads, squared, seed):
    x = np.random.default_rng(seed).normal(size=(3, 4))
    p = tg.Tensor(x, requires_grad=True)

    def loss():
        y = np.exp(p) if squared else p
        total = np.sum(y * y) if squared else np.sum(p) * 0.0
        for index, function in reads:
            total = total + np.sum(function(y[index]) ** 2)
        return total

    J = loss()
    J.backward()
    expected = x - 0.01 * p.grad
    step = tg.compile_step(loss, tg.SGD([p], lr=0.01))
    for _ in range(2):  # what the memory holds from the first call does not count
        p.data = x
        assert step() == pytest.approx(J.item(), rel=1e-12)
        np.testing.assert_allclose(p.data, expected, rtol=1e-12, atol=1e-14)


def test_zeros_are_written_where_they_are_needed_only():
    x = np.ones((4, 6))
    every = code_of(lambda p: sum(np.sum(np.sin(p[:, k]) * k) for k in range(6)), x)
    assert "fill" not in every and "add" not in every
    most = code_of(lambda p: sum(np.sum(np.sin(p[:, k]) * k) for k in range(5)), x)
    assert most.count("fill") == 1
    overlapping = code_of(lambda p: sum(np.sum(np.sin(p[:, k : k + 2]) * k) for k in range(5)), x)
    assert overlapping.count("fill") == 1


def test_a_loop_over_steps_takes_linear_time():
    """No statement of a program for n steps works on all n but those that do so once."""
    x = np.ones((2, 50, 3))
    p = tg.Tensor(x, requires_grad=True)
    derivation = Derivation(lambda: np.sum(sum(np.sin(p[:, k]) for k in range(50)) ** 2), [], [p])
    assert sum(line.shape == x.shape for line in derivation.backward) > 50
    assert len([s for s in Program(derivation).code.splitlines() if "fill" in s]) == 0
    large = [
        v for v in Program(derivation)._run.__globals__.values() if isinstance(v, np.ndarray) and v.shape == x.shape
    ]
    assert len(large) == 1


def test_views_are_made_once():
    x = np.ones((4, 6))
    code = code_of(lambda p: np.sum((np.sin(p).T.reshape(2, 12)[:, ::2] * np.cos(p)[:2]) ** 2), x)
    assert "index" not in code and "[" not in code


@pytest.mark.parametrize(
    "places", [[(0, 1), (1, 1), (2, 2)], [(1, 1), (2, 2), (0, 1)], [(0, 0), (2, 1), (1, 1), (0, 1)]]
)
def test_parts_that_several_sums_share(places):
    """The rules write one line for what is equal: here the gradients of the same part of two tensors."""
    x, y = np.random.default_rng(0).normal(size=(2, 3, 2))
    p, q = tg.Tensor(x, requires_grad=True), tg.Tensor(y, requires_grad=True)
    loss = lambda: sum(np.sum(np.sin(p[j] + q[k]) * n) for n, (j, k) in enumerate(places, 1))
    loss().backward()
    expected = x - p.grad, y - q.grad
    step = tg.compile_step(loss, tg.SGD([p, q], lr=1.0))
    for _ in range(2):
        p.data, q.data = x, y
        step()
        np.testing.assert_allclose(p.data, expected[0], rtol=1e-14)
        np.testing.assert_allclose(q.data, expected[1], rtol=1e-14)


def test_what_is_traced_of_n_parts_takes_memory_for_n():
    def peak(n):
        p = tg.Tensor(np.ones((40, n, 50)), requires_grad=True)
        tracemalloc.start()
        try:
            Derivation(lambda: np.sum(sum(np.sin(p[:, k]) for k in range(n)) ** 2), [], [p])
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(80) < 6 * peak(20)  # and not 16 times as much


def test_parts_beside_the_whole():
    """Their gradients are added to one that is no sum of parts, in whatever order of its axes."""
    x = np.random.default_rng(0).normal(size=(3, 4))
    p = tg.Tensor(x, requires_grad=True)
    for turn in (lambda a: a, lambda a: a.T):
        loss = lambda turn=turn: (
            np.sum(np.sin(turn(p)) ** 3) + sum(np.sum(turn(p)[k] ** 2) * k for k in range(3)) + np.sum(p[1:] * 2)
        )
        p.data, p.grad = x, None
        loss().backward()
        expected = x - p.grad
        tg.compile_step(loss, tg.SGD([p], lr=1.0))()
        np.testing.assert_allclose(p.data, expected, rtol=1e-14)
