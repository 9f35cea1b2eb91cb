"""Memory that begins at a line of the cache."""

from __future__ import annotations

import copy

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.memory import CACHE_LINE, empty_aligned, empty_aligned_like


def begins_at(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0] % CACHE_LINE


@given(
    hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
    st.sampled_from([np.float16, np.float32, np.float64, np.longdouble, np.int8, ">f8"]),
    st.sampled_from("CF"),
)
def test_arrays_as_numpy_makes_them(shape, dtype, order):
    found, wanted = empty_aligned(shape, dtype, order), np.empty(shape, dtype, order)
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    assert found.strides == wanted.strides or not found.size
    assert begins_at(found) == 0 and found.flags.writeable and found.flags.aligned
    found[...] = 3
    assert np.all(found == 3)


@pytest.mark.parametrize(
    "like", [np.ones((3, 4)), np.ones((3, 4)).T, np.ones((4, 6))[:, ::2], np.ones((2, 3, 4)).T, np.ones(())]
)
def test_the_layout_of_another_array(like):
    found = empty_aligned_like(like)
    assert (found.shape, found.dtype, found.strides) == (like.shape, like.dtype, np.empty_like(like).strides)


@pytest.mark.parametrize("compiled", [False, True])
def test_trained_parameters(compiled):
    net = tg.Dense(5, 3, rng=0)
    held = net.weight.data
    before = held.copy()
    optimizer = tg.SGD(net.parameters(), lr=0.1)
    X, y = np.ones((4, 5)), np.ones((4, 3))
    step = tg.compile_step(lambda X, y: tg.mse_loss(net(X), y), optimizer)
    for _ in range(2):
        if compiled:
            step(X, y)
        else:
            optimizer.zero_grad()
            tg.mse_loss(net(X), y).backward()
            optimizer.step()
    assert begins_at(net.weight.data) == begins_at(net.bias.data) == 0
    np.testing.assert_array_equal(held, before)  # what the user holds is never written over
    other = copy.deepcopy(net)
    np.testing.assert_array_equal(other.weight.data, net.weight.data)
