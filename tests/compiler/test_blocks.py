"""Programs in blocks of rows: what is cut, and that nothing else comes out."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tests.strategies import seeds
from tinygrad_edu import functional as F
from tinygrad_edu.compiler import blocks, threads
from tinygrad_edu.compiler.derivation import Derivation
from tinygrad_edu.compiler.program import Program
from tinygrad_edu.compiler.threads import Workers
from tinygrad_edu.training.compiled import CompiledStep

controls_blas = pytest.importorskip("threadpoolctl", reason="needs the extra examples")
if not threads.blas().threads:
    pytest.skip("threads of this BLAS cannot be held", allow_module_level=True)


@pytest.fixture(autouse=True)
def everything_is_worth_it():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "LEAST_WORK", 1)
        yield


def results_of(loss, parameters, arrays, count):
    """What the program gives uncut, and in so many blocks at most; None if it is not cut."""
    derivation = Derivation(loss, arrays, parameters)
    program = Program(derivation, Workers(count))
    values = [*arrays, *[p.data for p in parameters]]
    whole = Program(derivation).run(*values)
    if program._blocks is None:
        return whole, None
    return whole, program._blocks(*values, *[t.data for t in derivation.captured])  # without a second try


def is_cut(loss, parameters, arrays):
    whole, cut = results_of(loss, parameters, arrays, 3)
    if cut is not None:
        assert_same(whole, cut)
    return cut is not None


def assert_same(whole, cut, tolerance=1e-12):
    for expected, found in zip(whole, cut, strict=True):
        if expected is None:
            assert found is None
            continue
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        assert np.max(np.abs(found - expected), initial=0) <= tolerance * max(1e-3, np.max(np.abs(expected), initial=0))


# Random networks and losses

ACTIVATIONS = [
    np.tanh,
    tg.sigmoid,
    tg.relu,
    tg.softplus,
    tg.silu,
    F.gelu,
    F.leaky_relu,
    F.elu,
    lambda h: F.softmax(h, axis=1),
    lambda h: F.log_softmax(h, axis=-1),
    lambda h: h - np.mean(h, axis=1, keepdims=True),
    lambda h: h * np.max(h, axis=1, keepdims=True),
    lambda h: np.column_stack((np.ones((len(h), 1)), h))[:, :-1],
    lambda h: np.tanh(h.T).T,
    lambda h: np.reshape(np.reshape(h, (-1, 1)) * 2, h.shape),
    lambda h: np.where(h > 0, h, np.expm1(h)),
    lambda h: F.logsumexp(h, axis=1, keepdims=True) - h,
    lambda h: np.cumsum(h, axis=1),
    lambda h: h / np.sqrt(1 + np.sum(h * h, axis=-1, keepdims=True)),
    lambda h: abs(h) + np.hypot(h, 1) + np.clip(h, -0.5, 0.5) + np.maximum(h, 0.1),
]


def of_numbers(rng, rows, columns):
    target = rng.normal(size=(rows, columns))
    mask = (rng.random((rows, 1)) < 0.7).astype(float)
    mask[0] = 1
    return (
        target,
        mask,
        [
            lambda p, t, m: F.mse_loss(p, t),
            lambda p, t, m: F.mse_loss(p, t, "batchmean"),
            lambda p, t, m: F.mse_loss(p, t, "sum"),
            lambda p, t, m: F.huber_loss(p, t),
            lambda p, t, m: np.sqrt(np.mean((p - t) ** 2)),
            lambda p, t, m: np.sum(m * (p - t) ** 2) / np.sum(m),
            lambda p, t, m: np.mean(np.mean((p - t) ** 2, axis=0)),
            lambda p, t, m: np.mean(np.sum(abs(p - t), axis=1) * m[:, 0]),
            lambda p, t, m: np.log(np.sum(np.exp(-((p - t) ** 2)))) + np.mean(p) ** 2,
            lambda p, t, m: F.l1_loss(p, t) * np.tanh(np.mean(p * p)),
            lambda p, t, m: F.mse_loss(p, t) + F.mse_loss(np.repeat(np.mean(t), p.size).reshape(p.shape), p) * 0,
        ],
    )


def of_probabilities(rng, rows, columns):
    target = rng.random((rows, columns))
    weight = rng.random((rows, 1)) + 0.1
    return (
        target,
        weight,
        [
            lambda p, t, w: F.binary_cross_entropy_with_logits(p, t),
            lambda p, t, w: F.binary_cross_entropy_with_logits(p, t, weight=w),
            lambda p, t, w: F.binary_cross_entropy_with_logits(p, t, "batchmean", pos_weight=np.full(columns, 1.5)),
            lambda p, t, w: F.binary_cross_entropy(tg.sigmoid(p), t, "batchmean"),
            lambda p, t, w: F.binary_cross_entropy(tg.sigmoid(p), t, weight=w),
        ],
    )


def of_classes(rng, rows, columns):
    labels = rng.integers(0, columns, rows)
    weight = rng.random(columns) + 0.1
    return (
        labels,
        weight,
        [
            lambda p, y, w: F.cross_entropy(p, y),
            lambda p, y, w: F.cross_entropy(p, y, "sum"),
            lambda p, y, w: F.cross_entropy(p, y.reshape(-1, 1), weight=w),
            lambda p, y, w: F.cross_entropy(p, y, label_smoothing=0.1),
            lambda p, y, w: F.cross_entropy(p, y, "sum", ignore_index=0),
            lambda p, y, w: F.cross_entropy(p, F.one_hot(y, columns)) if columns > 1 else np.mean(p),
            lambda p, y, w: np.mean(F.cross_entropy(p, y, "none") ** 2),
        ],
    )


@settings(max_examples=90)
@given(
    st.integers(2, 40),
    st.lists(st.integers(1, 7), min_size=2, max_size=4),
    st.lists(st.sampled_from(ACTIVATIONS), min_size=3, max_size=3),
    st.sampled_from([of_numbers, of_probabilities, of_classes]),
    st.integers(0, 20),
    st.integers(2, 8),
    st.booleans(),
    st.booleans(),
    seeds,
)
def test_random_networks_and_losses(rows, sizes, activations, kind, which, count, with_bias, with_penalty, seed):
    rng = np.random.default_rng(seed)
    layers = [tg.Dense(a, b, bias=with_bias, rng=rng) for a, b in itertools.pairwise(sizes)]
    parameters = [p for layer in layers for p in layer.parameters()]
    X = rng.normal(size=(rows, sizes[0]))
    target, other, losses = kind(rng, rows, sizes[-1])

    def loss(X, target, other):
        h = X
        for layer, activation in zip(layers[:-1], activations, strict=False):
            h = activation(layer(h))
        h = layers[-1](h)
        J = losses[which % len(losses)](h, target, other)
        return J + F.l2_penalty([p for p in parameters if p.ndim > 1], 0.3, rows) if with_penalty else J

    whole, cut = results_of(loss, parameters, [X, target, other], count)
    if cut is not None:  # that most are is tested below
        assert_same(whole, cut)
    whole, cut = results_of(lambda: loss(X, target, other), parameters, [], count)
    if cut is not None:
        assert_same(whole, cut)


def dense(rows=23, dtype="float64", sizes=(4, 5, 3)):
    rng = np.random.default_rng(0)
    net = tg.Sequential()
    for a, b in itertools.pairwise(sizes):
        net.append(tg.Dense(a, b, rng=rng, dtype=dtype)).append(tg.Tanh())
    net = net[:-1]
    X = rng.normal(size=(rows, sizes[0])).astype(dtype)
    return net, X, rng.normal(size=(rows, sizes[-1])).astype(dtype), rng.integers(0, sizes[-1], rows)


@pytest.mark.parametrize("activation", range(len(ACTIVATIONS)))
def test_activations_are_cut(activation):
    net, X, target, _ = dense()
    assert is_cut(lambda X, t: F.mse_loss(ACTIVATIONS[activation](net(X)), t), net.parameters(), [X, target])


@pytest.mark.parametrize("kind", [of_numbers, of_probabilities, of_classes])
def test_losses_are_cut(kind):
    net, X, *_ = dense()
    target, other, losses = kind(np.random.default_rng(0), len(X), 3)
    cut = [
        is_cut(lambda X, t, o, loss=loss: loss(net(X), t, o), net.parameters(), [X, target, other]) for loss in losses
    ]
    assert all(cut), cut


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_precisions(dtype):
    net, X, target, y = dense(101, dtype)
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    for loss, t in ((F.mse_loss, target), (F.cross_entropy, y)):
        whole, cut = results_of(lambda X, t, loss=loss: loss(net(X), t), net.parameters(), [X, t], 4)
        assert_same(whole, cut, tolerance)


def test_uneven_blocks():
    net, X, target, _ = dense(5001)
    program = Program(Derivation(lambda X, t: F.mse_loss(net(X), t), [X, target], net.parameters()), Workers(2))
    shapes = [
        {b.shape[0] for b in part._run.__globals__.values() if getattr(b, "ndim", 0) == 2}
        for part in program._blocks._stages[0][1]
    ]
    assert 2500 in shapes[0] and 2501 in shapes[1]
    assert is_cut(lambda X, t: F.mse_loss(net(X), t), net.parameters(), [X, target])


def test_sequences_are_cut_between_samples():
    rng = np.random.default_rng(0)
    layer, last = tg.Dense(3, 5, rng=rng), tg.Dense(5, 2, rng=rng)
    X, target = rng.normal(size=(11, 4, 3)), rng.normal(size=(11, 4, 2))
    assert is_cut(
        lambda X, t: F.mse_loss(last(np.tanh(layer(X))), t), layer.parameters() + last.parameters(), [X, target]
    )
    y = rng.integers(0, 2, (11, 4))
    assert is_cut(
        lambda X, y: F.cross_entropy(last(np.tanh(layer(X))), y), layer.parameters() + last.parameters(), [X, y]
    )
    q = tg.Dense(3, 4, rng=rng)  # attention within each sample
    attention = lambda X: F.softmax(q(X) @ np.swapaxes(q(X), 1, 2), axis=-1) @ X
    assert is_cut(lambda X: np.mean(attention(X) ** 2), q.parameters(), [X])


def test_masks_and_arrays_of_all_rows_are_cut():
    net, X, target, _ = dense()
    weights = np.random.default_rng(1).random((len(X), 1))
    captured, offsets = tg.Tensor(weights * 2), tg.Tensor(np.ones((len(X), 3)))
    loss = lambda X, t: np.mean((net(X) + offsets - t) ** 2 * weights * captured)
    assert is_cut(loss, net.parameters(), [X, target])
    bias = tg.Tensor(np.ones((1, 3)), requires_grad=True)
    assert is_cut(lambda X, t: np.mean((net(X) + bias - t) ** 2), [*net.parameters(), bias], [X, target])


def test_captured_batches_are_read_in_each_run():
    net, X, target, _ = dense()
    batch = tg.Tensor(X)
    step = CompiledStep(lambda: F.mse_loss(net(batch), target), tg.SGD(net.parameters(), lr=0.1), threads=2)
    for values in (X, X + 1):
        batch.data = values
        expected = F.mse_loss(net(values), target).item()
        assert step.evaluate() == pytest.approx(expected, rel=1e-12)
    assert in_blocks(step)


def in_blocks(step):
    """How many programs of a step are in blocks."""
    return sum(p._blocks is not None for programs in step._programs.values() for p in programs._programs.values())


# What is not cut

MIXING = {
    "statistics of the batch": lambda h, t: F.mse_loss((h - np.mean(h, axis=0)) / np.std(h, axis=0), t),
    "softmax over the batch": lambda h, t: F.mse_loss(F.softmax(h, axis=0), t),
    "attention across samples": lambda h, t: F.mse_loss(F.softmax(h @ h.T, axis=1) @ h, t),
    "variance": lambda h, t: np.var(h - t),
    "rows turned around": lambda h, t: F.mse_loss(h[::-1], t),
    "some rows": lambda h, t: F.mse_loss(h[:5], t[:5]),
    "differences of rows": lambda h, t: np.mean((h[1:] - h[:-1]) ** 2),
    "rows behind each other": lambda h, t: np.mean(np.concatenate((h, t), axis=0) ** 2),
    "rows beside each other": lambda h, t: np.mean(np.reshape(h - t, (3, -1)) ** 2),
    "running sums": lambda h, t: np.mean((np.cumsum(h, axis=0) - t) ** 2),
    "the largest row": lambda h, t: np.mean(np.max(h - t, axis=0)),
    "all pairs": lambda h, t: np.mean((h[:, None] - h[None]) ** 2),
    "random numbers": lambda h, t: F.mse_loss(F.dropout(h, 0.5), t),
    "column by column": lambda h, t: np.mean(np.reshape(h - t, (-1, 1), order="F")[:, 0] ** 2),
}


@pytest.mark.parametrize("name", MIXING)
def test_what_mixes_rows_is_not_cut(name):
    net, X, target, _ = dense()
    assert not is_cut(lambda X, t: MIXING[name](net(X), t), net.parameters(), [X, target])


def test_batch_norm_is_not_cut():
    rng = np.random.default_rng(0)
    net = tg.Sequential(tg.Dense(4, 5, rng=rng), tg.BatchNorm(5), tg.Dense(5, 3, rng=rng))
    _, X, target, _ = dense()
    assert not is_cut(lambda X, t: F.mse_loss(net(X), t), net.parameters(), [X, target])


def test_a_function_that_does_not_say_how_it_treats_rows_is_not_cut():
    net, X, target, _ = dense()

    def double(x):
        return 2 * x

    for elementwise in (False, True):
        function = tg.primitive(elementwise=elementwise)(double)
        tg.rule(function, lambda g: 2 * g)
        loss = lambda X, t, f=function: F.mse_loss(f(net(X)), t)
        assert is_cut(loss, net.parameters(), [X, target]) == elementwise


def test_updates_of_tensors_are_not_cut():
    net, X, target, _ = dense()
    mean = tg.Tensor(0.0)

    def loss(X, t):
        J = F.mse_loss(net(X), t)
        mean.data = 0.9 * mean + 0.1 * J.detach()
        return J

    assert Program(Derivation(loss, [X, target], net.parameters()), Workers(2))._blocks is None


def test_small_steps_are_not_cut_and_load_nothing(monkeypatch):
    monkeypatch.undo()
    net, X, target, _ = dense()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "LEAST_WORK", 10**7)
        patch.setattr(threads, "_blas_libraries", None)  # which would fail
        assert not is_cut(lambda X, t: F.mse_loss(net(X), t), net.parameters(), [X, target])


def test_how_many_blocks():
    net, X, target, _ = dense(7)
    derivation = Derivation(lambda X, t: F.mse_loss(net(X), t), [X, target], net.parameters())
    count = lambda workers: len(Program(derivation, workers)._blocks._stages[0][1])
    assert [count(Workers(n)) for n in (2, 3, 8)] == [2, 3, 3]  # two rows at least
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "LEAST_WORK", cut_work(derivation) // 2)
        assert count(Workers(8)) == 2
        patch.setattr(blocks, "LEAST_WORK", cut_work(derivation) // 2 + 1)
        assert Program(derivation, Workers(8))._blocks is None


def cut_work(derivation):
    return blocks.Kinds([*derivation.forward, *derivation.backward], derivation.inputs).work


def test_one_thread_is_todays_step():
    net, X, target, _ = dense()
    derivation = Derivation(lambda X, t: F.mse_loss(net(X), t), [X, target], net.parameters())
    program = Program(derivation, Workers(1))
    assert program._blocks is None and program.code == Program(derivation).code


def test_without_threadpoolctl_nothing_is_cut():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "threadpoolctl", None)
        patch.setattr(threads, "_BLAS", {})
        assert Workers(4).count == Workers().count == 1


def test_as_many_threads_as_blas_would_use():
    most = threads.cores()
    for limit in (1, most):
        with controls_blas.threadpool_limits(limit, user_api="blas"):
            assert Workers().count == min(threads.blas().threads, most)
    assert Workers(5).count == 5 and Workers(1).count == 1


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "2"])
def test_wrong_numbers_of_threads(wrong):
    net, *_ = dense()
    with pytest.raises(ValueError, match=r"compile_step: threads must be a whole number from 1, or None"):
        tg.compile_step(lambda X: np.sum(net(X)), tg.SGD(net.parameters(), lr=0.1), threads=wrong)


# The same bits


def trained(threads, steps=3, rows=57):
    net, X, target, _ = dense(rows)
    step = tg.compile_step(lambda X, t: F.mse_loss(net(X), t), tg.Adam(net.parameters(), lr=0.1), threads=threads)
    losses = [step(X, target) for _ in range(steps)]
    assert in_blocks(step) == (threads > 1)
    return b"".join([np.array(losses).tobytes(), *[p.data.tobytes() for p in net.parameters()]])


@pytest.mark.parametrize("count", [2, 8])
def test_the_same_bits_in_a_hundred_runs(count):
    assert len({trained(count) for _ in range(100)}) == 1


def test_shares_are_added_in_their_order():
    """In another order, other bits would come out: 1 + 2⁻⁵³ + 2⁻⁵³ is 1 from the left, and more from the right."""
    w = tg.Tensor(1.0, requires_grad=True)
    x = np.array([0.5, 0.5, 2.0**-54, 2.0**-54, 2.0**-54, 2.0**-54])
    program = Program(Derivation(lambda x: np.sum(x * w), [x], [w]), Workers(3))
    for values, total in ((x, 1.0), (x[::-1].copy(), 1 + 2.0**-52)):
        assert program.run(values, w.data) == (total, total)


@pytest.mark.parametrize("middle", [lambda h: h, np.tanh])
def test_a_part_of_what_is_centred(middle):
    """Its gradient is put among zeros in one stage, and added in another."""
    net, X, target, _ = dense(60)

    def loss(X, t):
        h = middle(net(X))
        h = h - np.mean(h, axis=0)
        return np.mean((h[:, :1] - t[:, :1]) ** 2)

    assert is_cut(loss, net.parameters(), [X, target])


# Where it is used


@pytest.fixture
def used(monkeypatch):
    """Grows with each run in blocks; there are two cores."""
    runs = []
    original = blocks.Blocks.__call__
    monkeypatch.setattr(threads, "cores", lambda: 2)
    monkeypatch.setattr(blocks.Blocks, "__call__", lambda self, *arrays: runs.append(1) or original(self, *arrays))
    return runs


def test_minimize(used):
    pytest.importorskip("scipy", reason="needs the extra examples")
    ends = []
    for compiled in (False, True):
        net, X, target, _ = dense()
        with controls_blas.threadpool_limits(2, user_api="blas"):
            loss = lambda net=net, X=X, target=target: F.mse_loss(net(X), target)
            ends.append(tg.minimize(net, loss, max_iter=5, compiled=compiled).cost)
        assert bool(used) == compiled
    assert ends[0] == pytest.approx(ends[1], rel=1e-6)


def test_fit(used):
    ends = []
    for compiled in (False, True):
        net, X, target, _ = dense(30)
        weights = np.linspace(0.5, 2, 30)
        with controls_blas.threadpool_limits(2, user_api="blas"):
            tg.fit(
                net,
                X,
                target,
                loss=lambda p, t: np.mean(tg.mse_loss(p, t, "none"), axis=1),
                optimizer=tg.SGD(net.parameters(), lr=0.1),
                epochs=3,
                batch_size=8,
                sample_weight=weights,
                compiled=compiled,
                rng=0,
                progress=False,
            )
        ends.append([p.data for p in net.parameters()])
        assert bool(used) == compiled
    for a, b in zip(*ends, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)


def test_gradients_are_clipped_and_written_over():
    ends = []
    for count in (1, 3):
        net, X, target, _ = dense()
        step = tg.compile_step(
            lambda X, t, net=net: F.mse_loss(net(X), t) + F.l2_penalty(net, 1.0, 9),
            tg.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01),
            clip_grad_norm=0.1,
            threads=count,
        )
        for _ in range(4):
            step(X, target)
        ends.append([p.data for p in net.parameters()])
    assert in_blocks(step)
    for a, b in zip(*ends, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


def test_gradients_that_share_memory_are_not_written_over():
    """That of v is that of u, and that of w the same, turned; that of q repeats that of b; those of c and d are
    views of d and c, and those of e and f are f and e."""
    rng = np.random.default_rng(0)
    X, ends = rng.normal(size=(10, 4)), []
    for count in (1, 2):
        u, v = (tg.Tensor(np.ones((4, 3)), requires_grad=True) for _ in range(2))
        w, s = tg.Tensor(np.ones((3, 4)), requires_grad=True), tg.Tensor(2.0, requires_grad=True)
        b, q = (tg.Tensor(np.ones((n, 3)), requires_grad=True) for n in (1, 4))
        c, d = (tg.Tensor(np.full(shape, 0.5), requires_grad=True) for shape in ((3, 2), (2, 3)))
        e, f = (tg.Tensor(np.full(2, x), requires_grad=True) for x in (0.5, 0.25))
        step = tg.compile_step(
            lambda X, u=u, v=v, w=w, s=s, b=b, q=q, c=c, d=d, e=e, f=f: (
                np.mean((X @ (u + v + w.T) * s + b + np.sum(q, axis=0)) ** 2)
                + np.sum(u * v)
                + np.sum(c * d.T)
                + np.sum(e * f)
            ),
            tg.SGD([u, v, w, s, b, q, c, d, e, f], lr=0.01),
            threads=count,
        )
        for _ in range(3):
            step(X)
        ends.append([p.data for p in (u, v, w, s, b, q, c, d, e, f)])
    assert in_blocks(step)
    for a, b in zip(*ends, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11)


def test_what_has_no_rows_is_computed_once():
    net, X, target, _ = dense()
    c = np.random.default_rng(0).random((2, 2))
    w = tg.Tensor(np.ones((2, 2)), requires_grad=True)
    constant = lambda X, t: F.mse_loss(net(X), t) + np.sum(w * c)
    assert is_cut(constant, [*net.parameters(), w], [X, target])
    normed = lambda X, t: F.mse_loss(X @ (w / np.sqrt(np.sum(w * w))), t)
    assert is_cut(normed, [w], [X[:, :2], target[:, :2]])
    twice = lambda X, t: F.mse_loss(net(X) * np.sum(w), t) * np.sum(w)
    assert is_cut(twice, [*net.parameters(), w], [X, target])


def test_empty_batches_and_single_rows_are_not_cut():
    w = tg.Tensor(np.ones((4, 3)), requires_grad=True)
    for rows in (0, 1):
        assert not is_cut(lambda X: np.sum(X @ w), [w], [np.ones((rows, 4))])
