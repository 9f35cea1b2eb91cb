"""Threads do not see each other: each gets the bits that it would have got alone."""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import functional as F
from tinygrad_edu.autograd.primitives import Primitive
from tinygrad_edu.autograd.recording import is_recording, watching

THREADS = 16


@pytest.fixture(params=[None, 1e-6], ids=["", "switching all the time"])
def switching(request):
    before = sys.getswitchinterval()
    if request.param is not None:
        sys.setswitchinterval(request.param)
    yield
    sys.setswitchinterval(before)


def at_once(work, count=THREADS):
    """`work(k)` in as many threads, started together; their results."""
    barrier = threading.Barrier(count)

    def run(k):
        barrier.wait(timeout=60)
        return work(k)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def trained(k):
    """The bits of a small network after a training that is different for each k; every other one is compiled."""
    rng = np.random.default_rng(k)
    X = rng.normal(size=(24, 5))
    y = rng.integers(0, 3, 24)
    layers = [tg.Dense(5, 8, rng=rng), [tg.Tanh(), tg.ReLU(), np.tanh][k % 3], tg.Dropout(0.2, rng=rng)]
    net = tg.Sequential(*layers, tg.Dense(8, 3, rng=rng))
    history = tg.fit(
        net, X, y, loss=F.cross_entropy, optimizer=tg.Adam(net.parameters(), lr=0.01), epochs=8, batch_size=8,
        rng=rng, compiled=k % 2 == 1, progress=False, metrics=[tg.accuracy],
    )  # fmt: skip
    return b"".join(p.data.tobytes() for p in net.parameters()), history


def test_16_trainings_at_once_are_those_alone(switching):
    assert at_once(trained) == [trained(k) for k in range(THREADS)]


def test_modes_and_watchers_are_each_threads_own(switching):
    def work(k):
        t = tg.Tensor(np.arange(3.0), requires_grad=True)
        heard = []
        for _ in range(50):
            if k % 2:
                with tg.no_grad():
                    time.sleep(0)
                    assert not is_recording() and np.exp(t).is_leaf
            else:
                with watching(lambda record, output, values: heard.append((record.primitive.name, values[0].tolist()))):
                    time.sleep(0)
                    loss = np.sum(t * k)
                loss.backward()
            assert is_recording() and not np.exp(t).is_leaf
        return heard

    for k, heard in enumerate(at_once(work)):
        assert heard == ([] if k % 2 else 50 * [("multiply", [0, 1, 2]), ("sum", [0, k, 2 * k])])


def test_the_rules_of_many_arguments_are_numbered_once(switching):
    """Rules are made as they are needed, by whoever comes first."""

    own = threading.local()

    def each(i):
        time.sleep(getattr(own, "delay", 0))
        return lambda g, *arrays: i

    def work(k):  # the one that needs fewest is the last to be done
        own.delay = 0.1 / (k + 1) ** 2
        return len(many.rules_for(k + 1))

    many = Primitive(lambda *arrays: sum(arrays))
    many.set_rules((), each, False)
    assert at_once(work, 8) == list(range(1, 9))
    assert [rule.vjp(None) for rule in many.rules] == list(range(8))


def test_one_compiled_step_in_many_threads(switching):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(8, 4)), rng.normal(size=(8, 2))

    def build():
        net = tg.Sequential(tg.Dense(4, 6, rng=1), tg.Tanh(), tg.Dense(6, 2, rng=2))
        step = tg.compile_step(lambda X, y: tg.mse_loss(net(X), y), tg.SGD(net.parameters(), lr=0.1, momentum=0.9))
        return net, step

    net, step = build()
    at_once(lambda k: [step(X, y) for _ in range(25)], 8)
    other, alone = build()
    for _ in range(8 * 25):
        alone(X, y)
    assert all(np.array_equal(p.data, q.data) for p, q in zip(net.parameters(), other.parameters(), strict=True))


def test_a_model_that_another_thread_traces_can_be_used(switching):
    net = tg.Sequential(tg.Dense(4, 6, rng=1), tg.Tanh(), tg.Dense(6, 2, rng=2))
    X = np.ones((3, 4))
    expected = net(X).numpy()
    tracing, done, finished = threading.Event(), threading.Event(), []

    def loss(X):
        z = net(X)
        tracing.set()
        assert done.wait(60)  # the others do not wait until this is over, and see tensors as ever
        return np.mean(z**2)

    uses = [
        lambda: net(X).numpy(),
        lambda: np.tanh(X @ net[0].weight + net[0].bias) @ net[2].weight.numpy() + net[2].bias.data,
        lambda: np.array([[(net[2].weight > 9).any()]]) + net(X).detach().numpy(),
        lambda: net[2].bias.tolist() + net(X).numpy(),
    ]
    reference = [np.asarray(tg.no_grad(use)()) for use in uses]

    def work(k):
        if k == 0:
            return tg.derive(loss, X, parameters=net)(X)[0]
        assert tracing.wait(60)
        with tg.no_grad():
            result = np.asarray(uses[k - 1]())
        finished.append(type(net[0].weight) is tg.Tensor)
        if len(finished) == len(uses):
            done.set()
        return result

    value, *results = at_once(work, 1 + len(uses))
    assert finished == [True] * len(uses)
    np.testing.assert_allclose(value, np.mean(expected**2), rtol=1e-14)
    for result, right in zip(results, reference, strict=True):
        assert np.array_equal(result, right)
    assert type(net[0].weight) is tg.Tensor


def keeping_what_is_sent():
    """Keeps the first tensor that it is sent, and gives it for None."""
    first = yield
    sent = first
    while True:
        sent = yield first if sent is None else None


def test_a_symbol_that_was_kept_is_refused():
    kept = keeping_what_is_sent()  # a list, a deque or an object would be looked through
    next(kept)
    tg.derive(lambda x: kept.send(x * 2) or np.sum(x), np.ones(3))
    symbol = kept.send(None)
    for use in (lambda s: s + 1, np.exp, float, lambda s: s.numpy(), lambda s: s > 0):
        with pytest.raises(TypeError, match=r"a tensor of a traced function is used outside of it.* at .*test_threads"):
            use(symbol)


def test_drawings_and_files_of_one_name(switching, tmp_path):
    """The last one to write stays, whole; nobody fails, and no temporary file is left."""
    net = tg.Sequential(tg.Dense(2, 3, rng=0), tg.Tanh(), tg.Dense(3, 1, rng=1))
    J = net(np.ones((4, 2))).sum()
    drawn = tg.draw_graph(J, model=net).source

    def write(k):
        for _ in range(10):
            tg.render_graph(J, tmp_path / "graph.dot", model=net)
            tg.save(net, tmp_path / "net.npz")

    at_once(write)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["graph.dot", "net.npz"]
    assert (tmp_path / "graph.dot").read_text("utf-8") == drawn
    tg.load(net, tmp_path / "net.npz")
