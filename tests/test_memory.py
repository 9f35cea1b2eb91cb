"""Graphs are freed by reference counting alone, and training leaves no memory behind."""

from __future__ import annotations

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

from tinygrad_edu import SGD, Dense, Sequential, Sigmoid, Tensor
from tinygrad_edu import functional as F


@pytest.fixture(autouse=True)
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_dropping_the_loss_frees_the_graph():
    x = Tensor(np.ones(5), requires_grad=True)
    y = np.exp(x * 2)
    intermediate = weakref.ref(y.data)
    loss = (y * y).sum()
    del y
    assert intermediate() is not None
    del loss
    assert intermediate() is None


def test_backward_releases_what_it_has_passed():
    x = Tensor(np.ones(5), requires_grad=True)
    y = np.exp(x * 2)
    intermediate = weakref.ref(y.data)
    loss = (y * y).sum()
    del y
    loss.backward()
    assert intermediate() is None
    assert gc.collect() == 0


def test_a_chain_of_100_000_is_freed():
    x = Tensor(np.ones(()), requires_grad=True)
    y = x
    first = None
    for _ in range(100_000):
        y = np.negative(y) * np.ones(1)
        first = first or weakref.ref(y.data)
    y.sum().backward(retain_graph=True)
    del y
    assert first() is None


def training(steps, keep_losses):
    """Trains a small network; the traced bytes after 200 steps and at the end."""
    net = Sequential(Dense(4, 8, rng=0), Sigmoid(), Dense(8, 1, rng=1))
    optimizer = SGD(net.parameters(), lr=0.1, momentum=0.9)
    X, y = np.ones((16, 4)), np.ones((16, 1))
    losses = []
    sizes = []
    for step in range(steps):
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(net(X), y)
        loss.backward()
        optimizer.step()
        if keep_losses:
            losses.append(loss)
        del loss
        if step in (199, steps - 1):
            # No cycle is found; collecting only empties the interpreter's free lists, which would count as memory.
            assert gc.collect() == 0
            sizes.append(tracemalloc.get_traced_memory()[0])
    return sizes


@pytest.mark.parametrize("keep_losses", [False, True])
def test_2000_steps_leave_memory_where_it_was(keep_losses):
    tracemalloc.start()
    try:
        early, late = training(2000, keep_losses)
    finally:
        tracemalloc.stop()
    # A kept loss costs its own value and the structure of its graph, a few kilobytes, but no arrays.
    assert late - early < (2_000 if not keep_losses else 1800 * 4_000)
