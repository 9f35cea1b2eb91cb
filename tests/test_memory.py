"""Memory that begins at a line of the cache."""

from __future__ import annotations

import copy

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.compiler import emission
from tinygrad_edu.memory import CACHE_LINE, axes_in_memory, empty_aligned, empty_aligned_like


def begins_at(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0] % CACHE_LINE


@given(
    hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
    st.sampled_from([np.float16, np.float32, np.float64, np.longdouble, np.int8, ">f8"]),
    st.data(),
)
def test_arrays_as_numpy_makes_them(shape, dtype, data):
    axes = tuple(data.draw(st.permutations(range(len(shape)))))
    usual = empty_aligned(shape, dtype)
    assert usual.strides == np.empty(shape, dtype).strides or not usual.size
    wanted = np.empty([shape[axis] for axis in axes], dtype).transpose(np.argsort(axes))
    found = empty_aligned(shape, dtype, axes_in_memory(wanted))
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    assert begins_at(found) == 0 and found.flags.writeable and found.flags.aligned
    steps = [(a, b) for a, b, n in zip(found.strides, wanted.strides, shape, strict=True) if n > 1]
    assert all(a == b for a, b in steps) or not found.size
    found[...] = 3
    assert np.all(found == 3)


@pytest.mark.parametrize(
    "like", [np.ones((3, 4)), np.ones((3, 4)).T, np.ones((4, 6))[:, ::2], np.ones((2, 3, 4)).T, np.ones(())]
)
def test_the_layout_of_another_array(like):
    found = empty_aligned_like(like)
    assert (found.shape, found.dtype, found.strides) == (like.shape, like.dtype, np.empty_like(like).strides)


def test_the_axes_of_arrays_with_gaps():
    x = np.ones((2, 3, 4)).T
    assert axes_in_memory(x) == (2, 1, 0) and axes_in_memory(x[::2]) == axes_in_memory(x[::-1]) == (0, 1, 2)
    assert axes_in_memory(np.broadcast_to(1.0, (2, 3))) == (0, 1)


SIZES = range(5, 13)  # so many that not all would begin there by chance


@pytest.mark.parametrize("compiled", [False, True])
def test_trained_parameters(compiled):
    net = tg.Sequential(*[tg.Dense(n, n + 1, rng=0) for n in SIZES])
    held = [p.data for p in net.parameters()]
    before = [array.copy() for array in held]
    optimizer = tg.SGD(net.parameters(), lr=0.1)
    X, y = np.ones((4, SIZES[0])), np.ones((4, SIZES[-1] + 1))
    step = tg.compile_step(lambda X, y: tg.mse_loss(net(X), y), optimizer)
    for _ in range(2):
        if compiled:
            step(X, y)
        else:
            optimizer.zero_grad()
            tg.mse_loss(net(X), y).backward()
            optimizer.step()
    assert [begins_at(p.data) for p in net.parameters()] == [0] * 2 * len(SIZES)
    for array, values in zip(held, before, strict=True):
        np.testing.assert_array_equal(array, values)  # what the user holds is never written over
    other = copy.deepcopy(net)
    np.testing.assert_array_equal(other[0].weight.data, net[0].weight.data)


def test_the_buffers_of_a_compiled_step(monkeypatch):
    made = []
    monkeypatch.setattr(emission, "empty_aligned", lambda *how: made.append(how) or empty_aligned(*how))
    net = tg.Dense(5, 3, rng=0)
    step = tg.compile_step(lambda X, y: tg.mse_loss(net(X), y), tg.SGD(net.parameters(), lr=0.1))
    step(np.ones((4, 5)), np.ones((4, 3)))
    assert ((5, 3), net.weight.dtype) in [how[:2] for how in made]


def test_every_parameter_is_marked_as_changed():
    """A graph from before a step that needs what a parameter held raises, whichever parameter it is."""
    for k in range(3):
        parameters = [tg.Tensor([1.0, 2.0], requires_grad=True) for _ in range(3)]
        optimizer = tg.SGD(parameters, lr=0.1)
        for _ in range(2):  # the second step writes into the arrays that the first one made
            older = np.sum(parameters[k] ** 2)
            optimizer.zero_grad()
            sum(np.sum(p**2) for p in parameters).backward()
            optimizer.step()
        with pytest.raises(RuntimeError, match="changed"):
            older.backward()
