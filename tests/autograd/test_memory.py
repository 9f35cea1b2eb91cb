"""Graphs are freed by reference counting alone, and training leaves no memory behind."""

from __future__ import annotations

import contextlib
import gc
import itertools
import tracemalloc
import weakref

import numpy as np
import pytest

from tinygrad_edu import SGD, Adam, Dense, Sequential, Sigmoid, Tensor, compile_step, fit, primitive, rule
from tinygrad_edu import functional as F
from tinygrad_edu.autograd.recording import is_recording


@pytest.fixture(autouse=True)
def no_collector(frozen):
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
    """Trains a small network; the traced bytes after each fifth of the steps."""
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
        if step % (steps // 5) == steps // 5 - 1:
            # No cycle is found; collecting only empties the interpreter's free lists, which would count as memory.
            assert gc.collect() == 0
            sizes.append(tracemalloc.get_traced_memory()[0])
    return sizes


def least_growth(sizes):
    """Of several equal stretches the one in which memory grew least: a leak grows in each of them, whereas a table of
    the interpreter's, or of anything that ran before in this process, is made larger now and then."""
    return min(late - early for early, late in itertools.pairwise(sizes))


@pytest.mark.parametrize("keep_losses", [False, True])
def test_1000_steps_leave_memory_where_it_was(keep_losses):
    tracemalloc.start()
    try:
        growth = least_growth(training(1000, keep_losses))
    finally:
        tracemalloc.stop()
    # A kept loss costs its own value and the structure of its graph, a few kilobytes, but no arrays.
    assert growth < (500 if not keep_losses else 200 * 4_000)


class Trap:
    """A function and its rule, of which one raises when told."""

    def __init__(self):
        self.armed = None

    def spring(self, where, error):
        if self.armed == where:
            self.armed = None
            raise error

    def primitive(self, error):
        @primitive
        def trapped(x):
            self.spring("forward", error)
            return x * 1

        def back(g, y, x):
            self.spring("backward", error)
            return g * 1

        rule(trapped, back)
        return trapped


@pytest.mark.filterwarnings("ignore:compile_step. 'armed', which the function reads, keeps changing")
@pytest.mark.parametrize("error", [ValueError("trap"), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
@pytest.mark.parametrize(
    ("compiled", "where"),  # the rules of a compiled step are read while it is traced, and not again
    [(False, "forward"), (False, "backward"), (False, "update"), (False, "traced"), (True, "forward"),
     (True, "update"), (True, "traced")],
)  # fmt: skip
def test_a_step_left_in_the_middle_leaves_nothing(where, error, compiled):
    trap = Trap()
    trapped = trap.primitive(error)

    class Trapped(Adam):
        def _update(self, p, *rest):
            if p.shape == (1,):
                trap.spring("update", error)
            super()._update(p, *rest)

    net = Sequential(Dense(4, 8, rng=0), trapped, Sigmoid(), Dense(8, 1, rng=1))
    X, y = np.ones((16, 4)), np.ones((16, 1))

    def loss(X, y):
        J = F.binary_cross_entropy_with_logits(net(X), y)
        trap.spring("traced", error)
        return J

    optimizer = Trapped(net.parameters(), lr=0.01)
    step = compile_step(loss, optimizer)

    def go():
        if compiled:
            step(X, y)
        else:
            optimizer.zero_grad()
            loss(X, y).backward()
            optimizer.step()

    def fail():
        nonlocal step
        trap.armed = where
        if where == "traced":
            step = compile_step(loss, optimizer)
        with contextlib.suppress(type(error)):
            go()
            pytest.fail("the trap did not spring")
        error.__traceback__ = error.__context__ = None
        error.__dict__.pop("__notes__", None)

    for _ in range(3):
        go()
    fail()
    gc.collect()  # what was looked up once
    before = [p.data.copy() for p in net.parameters()]
    tracemalloc.start()
    try:
        sizes = []
        for k in range(40):
            fail()
            if k % 10 == 9:
                assert gc.collect() == 0
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert least_growth(sizes) < 5_000  # free lists; a record with its arrays, each time, would be far more
    assert all(type(p) is Tensor and p.is_leaf for p in net.parameters())
    assert is_recording()
    if where != "update":  # that stops between parameters
        assert all(np.array_equal(p.data, b) for p, b in zip(net.parameters(), before, strict=True))
    value = loss(X, y).item()
    for _ in range(20):
        go()
    assert loss(X, y).item() < value and np.isfinite(value)


def test_an_evaluation_that_fails_leaves_no_gradients():
    """They would lie in memory that is half written over."""
    error, trap = ValueError("trap"), Trap()
    w = Tensor([3.0, 4.0], requires_grad=True)
    trapped = trap.primitive(error)
    step = compile_step(lambda: trapped(w * w).sum(), SGD([w], lr=0.1))
    step.evaluate()
    trap.armed = "forward"
    with pytest.raises(ValueError, match="trap"):
        step.evaluate()
    with pytest.raises(RuntimeError, match=r"update\(\) without evaluate\(\)"):
        step.update()
    assert step() == 25 and np.allclose(w.data, [2.4, 3.2])


def test_training_leaves_nothing_behind():
    """Everything is dropped: the memory of the beginning is free again, and the collector finds nothing."""

    def train():
        net = Sequential(Dense(50, 80, rng=0), Sigmoid(), Dense(80, 1, rng=1))
        X, y = np.ones((64, 50)), np.ones((64, 1))
        for compiled in (False, True):
            fit(net, X, y, loss=F.binary_cross_entropy_with_logits, optimizer=Adam(net.parameters()), epochs=2,
                compiled=compiled, progress=False)  # fmt: skip

    train()  # what is imported and looked up once stays
    gc.collect()
    tracemalloc.start()
    try:
        sizes = [0]
        for _ in range(3):
            train()
            assert gc.collect() == 0
            sizes.append(tracemalloc.get_traced_memory()[0])
        arrays = [tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)]
        of_arrays = sum(t.size for t in tracemalloc.take_snapshot().filter_traces(arrays).traces)
    finally:
        tracemalloc.stop()
    assert of_arrays < 500  # one array of it has 32,000 bytes
    assert least_growth(sizes) < 10_000  # CPython keeps small tuples that were freed, to use them again
