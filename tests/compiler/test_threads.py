"""The threads of blocks of rows: errors and Ctrl-C, memory, BLAS, forked children, several steps at once."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import tracemalloc
import weakref

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compiler.test_blocks import controls_blas, dense, in_blocks, trained
from tinygrad_edu import functional as F
from tinygrad_edu.compiler import blocks, threads


@pytest.fixture(autouse=True)
def everything_is_worth_it(monkeypatch):
    monkeypatch.setattr(blocks, "LEAST_WORK", 1)


# Errors, and Ctrl-C


def interrupted(place, error):
    """A step of two blocks, whose elementwise function raises in the block `place` when `armed` is not empty."""
    armed = []

    def risky(x):
        if armed and float(x[0, 0]) == place:
            raise error
        return x + 0

    function = tg.primitive(elementwise=True)(risky)
    tg.rule(function, lambda g: g)
    net = tg.Dense(1, 1)
    optimizer = tg.SGD(net.parameters(), lr=0.1)
    step = tg.compile_step(lambda X: np.mean((net(function(X)) - 3) ** 2), optimizer, threads=2)
    X = np.repeat([[0.0], [1.0]], 5, axis=0)
    step(X)
    assert in_blocks(step)
    return step, X, net, armed


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_block_leaves_all_as_it_was(place, error):
    step, X, net, armed = interrupted(place, error())
    before = [p.data.copy() for p in net.parameters()]
    armed.append(1)
    with pytest.raises(error):
        step(X)
    with pytest.raises(RuntimeError, match="without evaluate"):
        step.update()
    assert all(np.array_equal(b, p.data) for b, p in zip(before, net.parameters(), strict=True))
    armed.clear()
    expected = np.mean((net(X).numpy() - 3) ** 2)
    assert step(X) == pytest.approx(expected, rel=1e-12)
    assert not any(np.array_equal(b, p.data) for b, p in zip(before, net.parameters(), strict=True))


def test_no_block_runs_any_more_when_an_interrupt_arrives():
    done = []

    def slow(x):
        if armed and float(x[0, 0]) == 0:
            raise KeyboardInterrupt
        if armed:
            time.sleep(0.2)
            done.append(1)
        return x + 0

    armed = []
    function = tg.primitive(elementwise=True)(slow)
    tg.rule(function, lambda g: g)
    net = tg.Dense(1, 1)
    step = tg.compile_step(lambda X: np.mean(net(function(X))), tg.SGD(net.parameters(), lr=0.1), threads=2)
    X = np.repeat([[0.0], [1.0]], 5, axis=0)
    step(X)
    armed.append(1)
    with pytest.raises(KeyboardInterrupt):
        step(X)
    assert done == [1]


def test_errors_are_those_of_the_whole_batch():
    net, X, _, y = dense(20)
    wrong = y.copy()
    wrong[[3, 17]] = 7, 9
    messages = []
    for count in (1, 2):
        step = tg.compile_step(lambda X, y: F.cross_entropy(net(X), y), tg.SGD(net.parameters(), lr=0.1), threads=count)
        step(X, y)
        with pytest.raises(ValueError, match="labels contain 7") as caught:
            step(X, wrong)
        assert caught.value.__context__ is None
        messages.append(str(caught.value))
        assert np.isfinite(step(X, y))
    assert messages[0] == messages[1]


def test_what_only_a_block_refuses_is_computed_whole():
    """Numbers that overflow in a block's share, but not in the sum of all: here they raise, there not."""

    def fussy(x):
        if len(x) < 10:
            raise FloatingPointError
        return x + 0

    function = tg.primitive(elementwise=True)(fussy)
    tg.rule(function, lambda g: g)
    net, X, target, _ = dense(10)
    before = [p.data.copy() for p in net.parameters()]
    loss = lambda X, t: F.mse_loss(function(net(X)), t)
    results = []
    for count in (1, 2):
        for p, values in zip(net.parameters(), before, strict=True):
            p.data = values.copy()
        step = tg.compile_step(loss, tg.SGD(net.parameters(), lr=0.1), threads=count)
        results.append([step(X, target), step(X, target), *[p.data.copy() for p in net.parameters()]])
    assert in_blocks(step)
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


def test_the_callers_errstate_holds_in_each_block():
    w = tg.Tensor(np.ones((1, 1)), requires_grad=True)
    step = tg.compile_step(lambda X: np.mean(np.exp(X @ w)), tg.SGD([w], lr=0.0), threads=2)
    fine = np.ones((10, 1))
    step(fine)
    for row in (0, 9):
        X = fine.copy()
        X[row] = 1e4
        with np.errstate(over="ignore", invalid="ignore"):
            assert step.evaluate(X) == np.inf
        with np.errstate(over="raise"), pytest.raises(FloatingPointError):
            step.evaluate(X)
        with pytest.warns(RuntimeWarning, match="overflow"), np.errstate(over="warn"):
            step.evaluate(X)
    assert in_blocks(step)


# Memory and threads


def alive():
    return {t for t in threading.enumerate() if t.name.startswith("tinygrad-edu")}


def test_memory_does_not_grow_and_nothing_large_is_allocated(frozen):
    net, X, target, _ = dense(40_000, sizes=(4, 6, 4))
    step = tg.compile_step(
        lambda X, t: F.mse_loss(net(X), t) + F.l2_penalty(net, 1.0, 10),
        tg.Adam(net.parameters(), lr=0.1),
        threads=3,
    )
    for _ in range(3):
        step(X, target)
    assert in_blocks(step)
    tracemalloc.start()
    try:
        step(X, target)
        for _ in range(30):
            step(X, target)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        for _ in range(50):
            step(X, target)
        gc.collect()
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 20_000
    assert peak - before < 200_000  # NumPy's own buffers; an array of a block's rows has 426,000 bytes at least


def test_a_batch_is_not_kept():
    net, X, target, _ = dense()
    step = tg.compile_step(lambda X, t: F.mse_loss(net(X), t), tg.SGD(net.parameters(), lr=0.1), threads=3)
    batch = X.copy()
    gone = weakref.ref(batch)
    step(batch, target)
    del batch
    assert gone() is None


def test_threads_end_with_their_step():
    before = alive()
    net, X, target, _ = dense()
    step = tg.compile_step(lambda X, t: F.mse_loss(net(X), t), tg.SGD(net.parameters(), lr=0.1), threads=3)
    step(X, target)
    own = alive() - before
    assert 1 <= len(own) <= 2
    for _ in range(20):
        step(X, target)
    own = alive() - before
    assert 1 <= len(own) <= 2
    del step
    gc.collect()
    for thread in own:
        thread.join(10)
    assert not any(thread.is_alive() for thread in own)


def test_steps_in_several_threads_at_once():
    expected = trained(2, steps=20)
    found = []
    runners = [threading.Thread(target=lambda: found.append(trained(2, steps=20))) for _ in range(4)]
    before = blas_threads()
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    assert found == [expected] * 4
    assert blas_threads() == before


def test_one_step_in_several_threads():
    net, X, target, _ = dense()
    step = tg.compile_step(lambda X, t: F.mse_loss(net(X), t), tg.SGD(net.parameters(), lr=0.0), threads=2)
    value, found = step(X, target), []
    runners = [threading.Thread(target=lambda: found.extend(step(X, target) for _ in range(20))) for _ in range(4)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    assert found == [value] * 80


def test_a_step_inside_another_one():
    inner, X, target, _ = dense()
    nested = tg.compile_step(lambda X, t: F.mse_loss(inner(X), t), tg.SGD(inner.parameters(), lr=0.0), threads=2)
    nested(X, target)
    seen = []

    def watching(x):
        seen.append(nested(X, target))
        return x + 0

    function = tg.primitive(elementwise=True)(watching)
    tg.rule(function, lambda g: g)
    net, *_ = dense()
    step = tg.compile_step(lambda X, t: F.mse_loss(function(net(X)), t), tg.SGD(net.parameters(), lr=0.1), threads=3)
    step(X, target)
    seen.clear()
    step(X, target)
    assert in_blocks(step) and len(seen) == 3 and len(set(seen)) == 1


def blas_threads():
    """Of what was loaded when the first step was made; SciPy brings another BLAS."""
    assert threads.blas().threads
    return [library.get_num_threads() for library in threads.blas()._libraries]


def test_blas_has_one_thread_inside_and_its_own_afterwards():
    seen = []

    def watching(x):
        seen.append(blas_threads())
        if len(seen) == 2 and failing:
            raise KeyboardInterrupt
        return x + 0

    failing = []
    function = tg.primitive(elementwise=True)(watching)
    tg.rule(function, lambda g: g)
    net, X, target, _ = dense()
    with controls_blas.threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        step = tg.compile_step(
            lambda X, t: F.mse_loss(function(net(X)), t), tg.SGD(net.parameters(), lr=0.1), threads=2
        )
        step(X, target)
        for _ in range(2):
            seen.clear()
            if failing:
                with pytest.raises(KeyboardInterrupt):
                    step(X, target)
            else:
                step(X, target)
            assert seen == [[1] * len(before)] * 2
            assert blas_threads() == before
            failing.append(1)


def test_blas_is_held_until_the_last_one_lets_go():
    held = threads.blas().held
    with controls_blas.threadpool_limits(2, user_api="blas"):
        before, most = blas_threads(), threads.blas().threads
        with held():
            with held():
                pass
            assert set(blas_threads()) == {1}
            assert threads.blas().threads == most  # so that a step made now has as many threads as any other
        assert blas_threads() == before


@pytest.mark.parametrize("ends_last", ["here", "there"])
def test_blas_is_held_by_any_thread_and_let_go_by_any_other(ends_last):
    """Whichever thread set the number of threads first, which may still be running."""
    begun, may_end = threading.Event(), threading.Event()

    def hold():
        with threads.blas().held():
            seen.append(blas_threads())
            begun.set()
            may_end.wait(10)

    with controls_blas.threadpool_limits(2, user_api="blas"):
        before, seen, thread = blas_threads(), [], threading.Thread(target=hold)
        if ends_last == "here":
            thread.start()
            assert begun.wait(10)
        with threads.blas().held():
            if ends_last == "here":
                may_end.set()
                thread.join()
            else:
                thread.start()
                assert begun.wait(10)
            seen.append(blas_threads())
        may_end.set()
        thread.join()
        assert blas_threads() == before
        controls_blas.threadpool_limits(2, user_api="blas")  # which belongs to this thread from now on
        thread = threading.Thread(target=hold)
        thread.start()
        thread.join()
        assert blas_threads() == before
    assert seen == [[1] * len(before)] * 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_has_threads_of_its_own(python):
    """In a process of its own, since pytest's has threads."""
    code = """
    import os, signal, threading, numpy as np, tinygrad_edu as tg
    from tinygrad_edu.compiler import blocks
    blocks.LEAST_WORK = 1
    signal.alarm(60)
    net = tg.Dense(3, 2, rng=0)
    step = tg.compile_step(lambda X: np.mean(net(X) ** 2), tg.SGD(net.parameters(), lr=0.0), threads=3)
    X = np.arange(30.0).reshape(10, 3)
    value = step(X)
    assert 2 <= threading.active_count() <= 3
    child = os.fork()
    assert step(X) == step(X) == value
    assert 2 <= threading.active_count() <= 3
    if child:
        assert os.waitpid(child, 0)[1] == 0
        print("both")
    else:
        del step
        os._exit(0)
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [python, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True, timeout=120
    )
    assert (done.stdout, done.stderr) == ("both\n", "")


def test_a_program_ends_with_its_steps_threads(python):
    code = """
    import numpy as np, tinygrad_edu as tg
    from tinygrad_edu.compiler import blocks
    blocks.LEAST_WORK = 1
    net = tg.Dense(3, 2, rng=0)
    step = tg.compile_step(lambda X: np.mean(net(X) ** 2), tg.SGD(net.parameters(), lr=0.0), threads=3)
    print(step(np.ones((10, 3))) > 0)
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [python, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True, timeout=120
    )
    assert (done.stdout, done.stderr, done.returncode) == ("True\n", "", 0)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals")
def test_ctrl_c_at_any_moment():
    """Signals that arrive anywhere in a step: afterwards it gives what it gave before."""
    net, X, target, _ = dense(2000, sizes=(8, 16, 4))
    step = tg.compile_step(lambda X, t: F.mse_loss(net(X), t), tg.SGD(net.parameters(), lr=0.0), threads=2)
    value, interrupts = step(X, target), 0
    for k in range(30):
        killer = threading.Timer(0.0005 * (k % 10), signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
        try:
            killer.start()
            while killer.is_alive():
                step.evaluate(X, target)
            time.sleep(0.05)
        except KeyboardInterrupt:
            interrupts += 1
        killer.join()
        assert step.evaluate(X, target) == value
    assert interrupts > 20
