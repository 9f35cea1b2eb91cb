"""`minimize` over SciPy: where it ends, what it returns, and misuse."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import functional as F

pytest.importorskip("scipy", reason="minimize needs SciPy (extra examples)")


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("method", ["CG", "TNC", "L-BFGS-B"])
def test_finds_the_minimum(method, compiled):
    x = tg.Tensor([-1.2, 1.0, 0.5], requires_grad=True)
    seen = []
    found = tg.minimize(
        x, lambda: rosenbrock(x), method, max_iter=500, compiled=compiled,
        callback=lambda s: seen.append((s.cost, x.data.copy())),
    )  # fmt: skip
    np.testing.assert_allclose(x.data, 1, rtol=1e-3)
    assert found.cost == pytest.approx(float(rosenbrock(x.data)), abs=1e-15) and found.cost < 1e-5
    assert found.evaluations >= found.iterations >= 5 and found.stopped
    assert len(seen) == found.iterations and x.grad is None
    for cost, point in seen:  # the parameters are in place when the callback is called
        assert cost == pytest.approx(float(rosenbrock(point)), rel=1e-12)


@pytest.mark.parametrize("method", ["CG", "TNC", "L-BFGS-B"])
def test_is_bounded(method):
    x = tg.Tensor(np.full(20, -1.2), requires_grad=True)
    found = tg.minimize(x, lambda: rosenbrock(x), method, max_iter=7)
    assert found.iterations <= 7 and (method != "TNC" or found.evaluations <= 7 + 1)
    assert "max" in found.stopped.lower() or "limit" in found.stopped.lower()
    assert found.cost == pytest.approx(float(rosenbrock(x.data)), rel=1e-12)


@pytest.mark.parametrize("method", ["CG", "TNC", "L-BFGS-B"])
@pytest.mark.parametrize(("error", "said"), [(StopIteration, "callback"), (KeyboardInterrupt, "interrupted")])
def test_stops_where_it_is(method, error, said):
    x = tg.Tensor([-1.2, 1.0], requires_grad=True)
    points = []

    def after(state):
        points.append(x.data.copy())
        if state.iterations == 3:
            raise error

    found = tg.minimize(x, lambda: rosenbrock(x), method, callback=after)
    assert said in found.stopped and found.iterations == 3
    assert np.array_equal(x.data, points[-1]) and found.cost == pytest.approx(float(rosenbrock(x.data)))


def test_an_interrupted_evaluation_leaves_the_last_iterate():
    x = tg.Tensor([-1.2, 1.0], requires_grad=True)
    points, calls = [np.array([-1.2, 1.0])], []

    def loss():
        calls.append(1)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return rosenbrock(x)

    found = tg.minimize(x, loss, "L-BFGS-B", callback=lambda s: points.append(x.data.copy()))
    assert found.stopped == "interrupted" and np.array_equal(x.data, points[-1])


def test_a_model_in_float32_stays_so_and_all_shapes_come_back():
    net = tg.Sequential(tg.Dense(3, 4, rng=0, dtype=np.float32), tg.Tanh(), tg.Dense(4, 2, rng=1, dtype=np.float32))
    X, y = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32), np.arange(9) % 2
    found = tg.minimize(net, lambda: F.cross_entropy(net(X), y), max_iter=30)
    assert found.cost < 0.3 and [p.shape for p in net.parameters()] == [(3, 4), (4,), (4, 2), (2,)]
    assert {p.dtype for p in net.parameters()} == {np.dtype(np.float32)}


def test_misuse():
    x = tg.Tensor([1.0], requires_grad=True)
    with pytest.raises(ValueError, match="unknown method 'fmincg'; choose from CG, TNC, L-BFGS-B"):
        tg.minimize(x, lambda: x.sum(), "fmincg")
    with pytest.raises(ValueError, match="max_iter must be at least 1"):
        tg.minimize(x, lambda: x.sum(), max_iter=0)
    with pytest.raises(TypeError, match="leaf tensors that require grad"):
        tg.minimize(tg.Tensor([1.0]), lambda: x.sum())
    with pytest.raises(TypeError, match=r"minimize\(model, loss\): the model comes first, got function"):
        tg.minimize(lambda: x.sum(), tg.Sequential(tg.Dense(1, 1)))
    with pytest.raises(TypeError, match="loss is a function without arguments, not Tensor"):
        tg.minimize(x, x.sum())
    with pytest.raises(TypeError, match="must return a recorded scalar, got float"):
        tg.minimize(x, lambda: 1.0)
    with pytest.raises(ValueError, match="the cost at the start is nan"):
        tg.minimize(x, lambda: (x * np.nan).sum())
