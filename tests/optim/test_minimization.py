"""`minimize` over SciPy: where it ends, what it returns, and misuse."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import functional as F
from tinygrad_edu.optim.minimization import METHODS, Minimized, _Objective

pytest.importorskip("scipy", reason="minimize needs SciPy (extra examples)")


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("method", METHODS)
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


@pytest.mark.parametrize("method", METHODS)
def test_is_bounded(method):
    x = tg.Tensor(np.full(20, -1.2), requires_grad=True)
    found = tg.minimize(x, lambda: rosenbrock(x), method, max_iter=7)
    assert found.iterations <= 7 and (method != "TNC" or found.evaluations <= 7 + 1)
    assert "max" in found.stopped.lower() or "limit" in found.stopped.lower()
    assert found.cost == pytest.approx(float(rosenbrock(x.data)), rel=1e-12)


@pytest.mark.parametrize("method", METHODS)
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
    with pytest.raises(
        ValueError, match="unknown method 'fmincg'; choose from CG, TNC, L-BFGS-B, BFGS, Newton-CG, trust-exact"
    ):
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


SECOND = ["Newton-CG", "trust-exact"]  # those that use second derivatives


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("method", SECOND)
def test_newton_s_step_goes_to_the_bottom_of_a_bowl(method, compiled):
    """In a few steps, each of which is exact but for Newton-CG's inexact first ones; with a wrong Hessian, not."""
    A = np.array([[3.0, 1.0, 0.5], [1.0, 2.0, -0.5], [0.5, -0.5, 4.0]])
    x, y = tg.Tensor([[0.2, -0.1]], requires_grad=True), tg.Tensor(0.05, requires_grad=True)
    bottom = np.array([0.3, 0.1, -0.2])

    def bowl():
        d = np.append(x.ravel(), y) - bottom
        return d @ (A @ d) / 2

    found = tg.minimize([x, y], bowl, method, compiled=compiled)
    np.testing.assert_allclose([*x.data.ravel(), y.item()], bottom, atol=1e-9)
    assert found.iterations <= (5 if method == "Newton-CG" else 2)


@pytest.mark.parametrize("compiled", [False, True])
def test_away_from_a_saddle_point(compiled):
    """Where the gradient is 0 and the Hessian is not positive, only who has the whole Hessian sees a way down."""
    w = tg.Tensor([0.0, 0.0], requires_grad=True)
    loss = lambda: w[0] ** 2 + (w[1] ** 2 - 1) ** 2
    assert tg.minimize(w, loss, "Newton-CG", compiled=compiled).cost == 1
    w.data = np.array([0.1, 1e-6])
    found = tg.minimize(w, loss, "trust-exact", compiled=compiled)
    assert found.cost < 1e-8 and abs(w.data[1]) == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("method", ["BFGS", *SECOND])
def test_a_network_to_the_same_bottom_as_the_others(method, compiled):
    X = np.linspace(-2, 2, 20)[:, None]
    net = tg.Sequential(tg.Dense(1, 4, rng=0), tg.Tanh(), tg.Dense(4, 1, rng=1))
    loss = lambda: tg.mse_loss(net(X), np.sin(2 * X)) + tg.l2_penalty(net, 0.1, 20)
    found = tg.minimize(net, loss, method, max_iter=200, compiled=compiled)
    gradients = tg.no_grad(tg.grad(loss, parameters=net))()
    assert max(float(np.max(abs(g))) for g in gradients) < 1e-3
    assert found.cost == pytest.approx(loss().item()) and found.cost < 0.2


@pytest.mark.parametrize("compiled", [False, True])
def test_numbers_that_the_loss_reads_count_as_they_are(compiled):
    """Also in the program of the Hessian's products: a callback may change them."""
    x, scales, steep = tg.Tensor([1.0, 2.0], requires_grad=True), np.ones(2), [1.0]
    objective = _Objective(lambda: steep[0] * np.sum(scales * x**2), [x], compiled, Minimized(0, 0, 0))
    at, v = np.array([1.0, 2.0]), np.array([1.0, -1.0])
    assert objective.product(at, v).tolist() == [2, -2]
    steep[0] = 3.0
    assert objective.product(at, v).tolist() == [6, -6]
    scales[1] = 2.0
    assert objective.product(at, v).tolist() == [6, -12] and objective.hessian(at).tolist() == [[6, 0], [0, 12]]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("method", SECOND)
def test_second_derivatives_that_are_zero_or_infinite(method, compiled):
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    tg.minimize(w, lambda: np.sum(w), method, max_iter=3, compiled=compiled)  # without end, but not without a limit
    w = tg.Tensor([0.0, 2.0], requires_grad=True)
    with (
        np.errstate(all="ignore"),
        pytest.raises(FloatingPointError, match="a second derivative is NaN or infinite; u"),
    ):
        tg.minimize(w, lambda: w[0] ** 1.5 + (w[1] - 1) ** 2, method, compiled=compiled)
    assert w.tolist() == [0, 2] and w.grad is None


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("method", "what"), [("Newton-CG", "product"), ("trust-exact", "hessian")])
def test_an_interrupted_product_leaves_the_last_iterate(method, what, compiled, monkeypatch):
    x = tg.Tensor([-1.2, 1.0], requires_grad=True)
    points, calls, evaluated = [x.data.copy()], [], getattr(_Objective, what)

    def interrupted(self, at, *vector):
        calls.append(1)
        if len(calls) == 8:
            self.put_back(at + 1)
            raise KeyboardInterrupt
        return evaluated(self, at, *vector)

    monkeypatch.setattr(_Objective, what, interrupted)
    found = tg.minimize(
        x, lambda: rosenbrock(x), method, compiled=compiled, callback=lambda s: points.append(x.data.copy())
    )
    assert found.stopped == "interrupted" and np.array_equal(x.data, points[-1]) and len(points) > 2


def test_the_hessian_of_the_objective():
    x, y = tg.Tensor([[0.3, -0.4]], requires_grad=True), tg.Tensor(2.0, requires_grad=True)
    loss = lambda: np.sum(np.sin(x) * y**2) + x[0, 0] * x[0, 1] ** 3
    a, b, c = 0.3, -0.4, 2.0
    expected = [
        [-np.sin(a) * c**2, 3 * b**2, 2 * c * np.cos(a)],
        [3 * b**2, -np.sin(b) * c**2 + 6 * a * b, 2 * c * np.cos(b)],
        [2 * c * np.cos(a), 2 * c * np.cos(b), 2 * (np.sin(a) + np.sin(b))],
    ]
    for compiled in (False, True):
        objective = _Objective(loss, [x, y], compiled, Minimized(0, 0, 0))
        np.testing.assert_allclose(objective.hessian(np.array([a, b, c])), expected, rtol=1e-13)
        at = np.array([0.1, 0.2, 0.3])  # another point than that of the last evaluation
        objective(at)
        np.testing.assert_allclose(
            objective.product(np.array([a, b, c]), np.array([1.0, 2, 3])), expected @ np.array([1, 2, 3])
        )
        assert np.array_equal(objective.tried, [a, b, c]) and x.tolist() == [[a, b]]


@pytest.mark.parametrize("method", ["CG", "Newton-CG"])
def test_what_cannot_be_compiled_is_recorded(method):
    """With the same numbers; `compiled=True` raises."""
    calls, table, target = [], np.ones(200_000), np.array([1.0, -2.0])

    def looking(w):
        return np.sum((w - target) ** 4) if float(w[0].item()) < 1e9 else w[0]

    def counting(w):
        calls.append(1)
        return np.sum((w - target) ** 4)

    for loss, why in [
        *(
            [(looking, "the value of a tensor is asked for")] if method == "CG" else []
        ),  # Newton-CG differentiates twice
        (counting, "the function changes a variable"),
        (lambda w: np.sum((w - target) ** 4) * table[0], ""),  # nothing runs in between that could change it
    ]:
        ends = []
        for compiled in (None, False):
            w = tg.Tensor([0.5, 0.5], requires_grad=True)
            end = tg.minimize(w, lambda w=w, loss=loss: loss(w), method, compiled=compiled, progress=False)
            ends.append((end.cost, end.iterations, end.evaluations, *w.data))
            assert why in end.why_recorded if compiled is None else end.why_recorded == "compiled=False"
            assert bool(why) == bool(end.why_recorded) or compiled is False
        np.testing.assert_allclose(*ends, rtol=1e-12)
    w = tg.Tensor([0.5, 0.5], requires_grad=True)
    with pytest.raises(TypeError, match="the value of a tensor is asked for"):
        tg.minimize(w, lambda: looking(w), compiled=True, progress=False)
    end = tg.minimize(w, lambda: np.sum(w**2) * table[0], method, callback=lambda state: None, progress=False)
    assert "reads an array of shape (200000,)" in end.why_recorded
