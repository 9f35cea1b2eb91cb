"""`scipy.optimize` with the package's derivatives: it ends where SciPy ends, in fewer evaluations."""

from __future__ import annotations

import math
import re
from collections import namedtuple

import numpy as np
import pytest

import tinygrad_edu as tg
import tinygrad_edu.numpy as tnp

pytest.importorskip("scipy", reason="needs SciPy (extra examples)")

from scipy import optimize

import tinygrad_edu.scipy.optimize as ours
from tinygrad_edu.scipy.calls import jacobian_of

START = np.array([-1.2, 1.0])


def valley(x, height=100.0):
    """Rosenbrock's function, whose minimum is at (1, …, 1)."""
    return np.sum(height * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def plain(found):
    assert isinstance(found, optimize.OptimizeResult)
    assert not any(isinstance(value, tg.Tensor) for value in found.values())
    return found


# minimize


@pytest.mark.parametrize("method", [None, "CG", "BFGS", "L-BFGS-B", "SLSQP", "Newton-CG", "trust-ncg", "trust-krylov",
                                    "trust-exact", "trust-constr"])  # fmt: skip
def test_with_derivatives(method):
    found = plain(ours.minimize(valley, START, method=method, options={"maxiter": 1000}))
    np.testing.assert_allclose(found.x, 1, atol=1e-3)
    assert found.get("grad", found.jac).shape == (2,)
    given = {"jac": tg.grad(valley)}
    if method in ("Newton-CG", "trust-ncg", "trust-krylov", "trust-constr"):
        given["hessp"] = lambda x, p: tg.hvp(valley, x, p)
    elif method == "trust-exact":
        given["hess"] = tg.hessian(valley)
    same = optimize.minimize(valley, START, method=method, options={"maxiter": 1000}, **given)
    assert found.nfev == same.nfev and found.get("nhev") == same.get("nhev")
    np.testing.assert_array_equal(found.x, same.x)


@pytest.mark.parametrize("method", ["TNC", "dogleg"])
def test_near_the_minimum(method):
    found = plain(ours.minimize(valley, np.full(3, 1.02), (10.0,), method))
    np.testing.assert_allclose(found.x, 1, atol=1e-2)


@pytest.mark.parametrize("method", ["Nelder-Mead", "Powell", "COBYLA"])
def test_without_derivatives(method):
    rounded = lambda x: math.exp(x[0] - 1) - x[0]  # which has none here
    found = plain(ours.minimize(rounded, [0.5], method=method, constraints=()))
    np.testing.assert_allclose(found.x, 1, atol=1e-3)


def test_what_the_caller_gives_is_used():
    given = []

    def gradient(x):
        given.append("jac")
        return 2 * x

    def both(x):
        return np.sum(x * x), gradient(x)

    square = lambda x: np.sum(x * x)
    plain(ours.minimize(square, [1.0], jac=gradient))
    plain(ours.minimize(both, [1.0], jac=True))
    assert plain(ours.minimize(both, [1.0], jac=True, method="trust-exact")).hess.tolist() == [[2]]
    plain(ours.minimize(both, [1.0], jac=True, method="Newton-CG"))
    assert len(given) > 6
    plain(ours.minimize(lambda x: math.cos(x[0]), [1.0], jac="2-point"))
    for name, derivative in (("hess", lambda x: 2 * np.eye(1)), ("hessp", lambda x, p: 2 * p)):
        seen = []
        call = lambda *args, derivative=derivative, seen=seen: seen.append(1) or derivative(*args)
        plain(ours.minimize(square, [1.0], method="trust-ncg", **{name: call}))
        assert seen


def test_constraints():
    fun = lambda x: (x[0] - 1) ** 2 + (x[1] - 2.5) ** 2
    wanted = [1.75, 1.75]
    constraints = (
        {"type": "ineq", "fun": lambda x: [x[0] - 2 * x[1] + 2, -x[0] - 2 * x[1] + 6, 3.0]},
        {"type": "eq", "fun": lambda x, c: x[0] - c * x[1], "args": (1.0,)},
    )
    found = plain(ours.minimize(fun, [2.0, 0.0], method="SLSQP", constraints=constraints, bounds=[(0, None)] * 2))
    np.testing.assert_allclose(found.x, wanted, atol=1e-6)
    assert constraints[1].keys() == {"type", "fun", "args"}  # the caller's are left as they are
    found = plain(ours.minimize(fun, [2.0, 0.0], method="COBYLA", constraints=constraints[:1]))
    np.testing.assert_allclose(found.x, [1.4, 1.7], atol=1e-2)
    calls = []
    single = {"type": "eq", "fun": lambda x: calls.append(type(x[0])) or x[0] - x[1]}
    for given in (single, [single], (single,)):
        calls.clear()
        np.testing.assert_allclose(ours.minimize(fun, [2.0, 0.0], constraints=given).x, wanted, atol=1e-6)
        assert tg.Tensor in calls  # it was differentiated
    single["jac"] = lambda x: np.array([1.0, -1.0])
    calls.clear()
    np.testing.assert_allclose(ours.minimize(fun, [2.0, 0.0], constraints=single).x, wanted, atol=1e-6)
    assert tg.Tensor not in calls
    line = optimize.LinearConstraint([[1.0, -1.0]], 0, 0)
    np.testing.assert_allclose(ours.minimize(fun, [2.0, 0.0], constraints=line).x, wanted, atol=1e-6)


# root, least_squares, curve_fit


@pytest.mark.parametrize("method", ["hybr", "lm", "broyden1", "krylov"])
def test_root(method):
    fun = lambda x, c: [x[0] * np.exp(x[1]) - c, x[1] - x[0] + c]
    found = plain(ours.root(fun, np.array([1.5, 0.5]), 1.0, method))
    np.testing.assert_allclose(found.x, [1, 0], atol=1e-5)
    if method == "hybr":
        assert found.njev >= 1 and found.nfev < optimize.root(fun, [1.5, 0.5], 1.0).nfev
    given = plain(ours.root(lambda x: [math.exp(x[0]) - 2], [0.5], jac=lambda x: [[math.exp(x[0])]]))
    np.testing.assert_allclose(given.x, math.log(2))


def test_least_squares():
    t = np.linspace(0, 2, 30)
    y = 3 * np.exp(-0.7 * t) + 0.2
    residuals = lambda x, offset, scale=1.0: scale * (x[0] * np.exp(-x[1] * t) + offset - y)
    for options in ({}, {"method": "lm"}, {"bounds": (0, 5)}, {"kwargs": {"scale": 2.0}}, {"loss": "soft_l1"}):
        found = plain(ours.least_squares(residuals, [1.0, 1.0], args=(0.2,), **options))
        np.testing.assert_allclose(found.x, [3, 0.7], rtol=1e-6)
        assert found.jac.shape == (30, 2) and found.njev
    found = ours.least_squares(lambda x: math.exp(x[0]) - 2, [0.5], jac="2-point")
    np.testing.assert_allclose(found.x, math.log(2))
    np.testing.assert_allclose(ours.least_squares(lambda x: x[0] ** 2 - 2, [1.0]).x, math.sqrt(2))


def test_curve_fit():
    rng = np.random.default_rng(0)
    wave = lambda t, size, speed, shift: size * np.sin(speed * t) + shift
    t = np.linspace(0, 3, 40)
    y = wave(t, 2.0, 1.5, 0.3) + rng.normal(0, 0.1, 40)
    for options in ({}, {"p0": [1.0, 1.2, 0.0]}, {"sigma": np.full(40, 0.1), "absolute_sigma": True},
                    {"bounds": (0, 3)}):  # fmt: skip
        found = ours.curve_fit(wave, t, y, **options)
        wanted = optimize.curve_fit(wave, t, y, **options)
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    found, _ = ours.curve_fit(wave, t, y, [1.0, 1.2, 0.0], method="trf", jac="2-point")
    np.testing.assert_allclose(found, wanted[0], rtol=1e-4)


@pytest.mark.parametrize("outputs", [0, 1, 2, 3, 7])
def test_the_jacobian_by_rows_and_by_columns(outputs):
    weights = np.random.default_rng(0).normal(size=(outputs, 3))
    f = lambda x, shift: np.sin(weights @ x) + shift * x[0]
    x = np.array([0.5, -0.2, 0.8])
    found = jacobian_of(f)(x, 2.0)
    assert type(found) is np.ndarray
    np.testing.assert_allclose(found, tg.jacobian(f)(x, 2.0), rtol=1e-14)
    f = lambda x: [[x[0] * x[1], 1.0], [x[2], x[0]], [2.0, x[1]]]
    np.testing.assert_array_equal(jacobian_of(f)(x)[:, 0], [[-0.2, 0.5, 0], [0, 0, 1], [0, 0, 0]])
    np.testing.assert_array_equal(jacobian_of(lambda x: [1.0] * outputs)(x), np.zeros((outputs, 3)))


def test_from_whole_numbers_on():
    f = lambda x: x**2 - np.array([4.0, 9.0])
    for method in ("hybr", "lm"):
        np.testing.assert_allclose(ours.root(f, [1, 1], method=method).x, [2, 3])
    np.testing.assert_allclose(ours.fsolve(f, [1, 1]), [2, 3])
    t = np.arange(5.0)
    np.testing.assert_allclose(ours.curve_fit(lambda t, a, b: a * t**b, t, 3 * t**2, [1, 1])[0], [3, 2])


# What has no derivative


def test_what_cannot_be_differentiated_is_named():
    def rigid(x):
        return math.sin(x[0])

    several = lambda x: [math.sin(x[0])]
    curve = lambda t, a: np.array([math.sin(a)] * 3)
    for call, instead in (
        (lambda: ours.minimize(rigid, [1.0]), r"minimize differentiates rigid .*jac='2-point'"),
        (lambda: ours.minimize(rigid, [1.0], method="trust-exact", jac=np.cos), "differentiates rigid .*hess="),
        (lambda: ours.minimize(rigid, [1.0], method="Newton-CG", jac=np.cos), "minimize differentiates rigid .*hessp="),
        (lambda: ours.minimize(np.sum, [1.0], constraints={"type": "eq", "fun": rigid}), "minimize differentiates rig"),
        (lambda: ours.root(several, [1.0]), "root differentiates <lambda> .*jac="),
        (lambda: ours.least_squares(rigid, [1.0]), "least_squares differentiates rigid .*jac="),
        (lambda: ours.curve_fit(curve, [1.0, 2, 3], [1.0, 2, 3]), "curve_fit differentiates <lambda> .*jac="),
        (lambda: ours.fsolve(several, [1.0]), "fsolve differentiates <lambda> .*fprime="),
    ):  # fmt: skip
        with pytest.raises(TypeError, match="inside a transform its derivative would be lost") as error:
            call()
        assert len(error.value.__notes__) == 1
        assert re.search(instead, error.value.__notes__[0])
    with pytest.raises(ValueError, match="only a single number has a gradient"):
        ours.minimize(lambda x: x * 2, [1.0, 2.0])


def test_a_tensor_whose_gradient_would_be_lost():
    w = tg.Tensor(2.0, requires_grad=True)
    x = [1.0]
    for call in (
        lambda w: ours.minimize(lambda x: np.sum((x - w) ** 2), x).x,
        lambda w: ours.minimize(lambda x, w: np.sum((x - w) ** 2), x, w).x,
        lambda w: ours.minimize(lambda x: np.sum((x - w) ** 2), x, method="Powell").x,
        lambda w: ours.minimize(lambda x: (np.sum((x - w) ** 2), 2 * x), x, jac=True).x,
        lambda w: ours.root(lambda x: x - w, x).x,
        lambda w: ours.root(lambda x: [x[0] - w], x, method="krylov").x,
        lambda w: ours.least_squares(lambda x: x - w, x).x,
        lambda w: ours.curve_fit(lambda t, a: a * t - w, [1.0, 2.0], [1.0, 2.0])[0],
    ):
        with pytest.raises(TypeError, match=r"<lambda> uses a tensor that requires grad, .*take its \.detach\(\)"):
            call(w)
        with pytest.raises(TypeError, match="uses a tensor that requires grad"):
            tg.grad(lambda w, call=call: np.sum(call(w)))(2.0)
        with tg.no_grad():
            assert np.isfinite(call(w)).all()
        assert np.isfinite(call(w.detach())).all()
    plain(ours.minimize(lambda x: np.sum(tnp.array([x[0], 2.0]) ** 2), x))


def test_functions_that_give_tensors():
    """What one writes with the namespace gives tensors where nothing is differentiated; SciPy gets arrays."""
    f, near = lambda x: tnp.sum((x - tnp.ones(2)) ** 2), {"atol": 1e-4}
    jac, hess, hessp = lambda x: 2 * (x - tnp.ones(2)), lambda x: 2 * tnp.eye(2), lambda x, p: 2 * tnp.eye(2) @ p
    for method in ("SLSQP", "L-BFGS-B", "BFGS", "CG", "TNC"):
        found = ours.minimize(f, tnp.zeros(2), jac=jac, method=method).x
        assert type(found) is np.ndarray and np.allclose(found, 1, **near)
    for method, second in (("dogleg", {"hess": hess}), ("trust-ncg", {"hess": hess}), ("trust-ncg", {"hessp": hessp})):
        found = ours.minimize(f, tnp.zeros(2), jac=jac, method=method, **second).x
        assert type(found) is np.ndarray and np.allclose(found, 1, **near)
    found = ours.minimize(
        lambda x: (f(x), jac(x)), tnp.zeros(2), jac=True, method="SLSQP", bounds=tnp.ones((2, 1)) * [0.0, 0.5]
    )
    assert np.allclose(found.x, 0.5)
    for own in ({}, {"jac": lambda x: tnp.ones(2)}):
        sum_is_1 = {"type": "eq", "fun": lambda x: tnp.sum(x * tnp.ones(2)) - 1, **own}
        for method in ("SLSQP", "COBYLA"):
            given = {} if method == "COBYLA" else {"jac": jac}
            found = ours.minimize(f, tnp.zeros(2), method=method, constraints=[sum_is_1], **given)
            assert np.allclose(found.x, 0.5, **near)
    off, eye = lambda x: x - tnp.ones(2), lambda x: tnp.eye(2)
    for found in (
        ours.root(off, tnp.zeros(2), jac=eye).x,
        ours.least_squares(off, tnp.zeros(2)).x,
        ours.least_squares(off, tnp.zeros(2), jac=eye, method="lm").x,
        ours.least_squares(off, tnp.zeros(2), jac=eye, bounds=(tnp.zeros(2) - 9, tnp.ones(2))).x,
    ):
        assert type(found) is np.ndarray and np.allclose(found, 1, atol=1e-3)
    t = tnp.linspace(0.0, 1.0, 5)
    line, slopes = lambda x, a, b: a * x + b, lambda x, a, b: tnp.stack([x, tnp.ones(5)], 1)
    for own in ({}, {"jac": slopes}, {"sigma": tnp.ones(5), "p0": tnp.ones(2), "bounds": (tnp.zeros(2), np.inf)}):
        found = ours.curve_fit(line, t, 2 * t + 1, **own)[0]
        assert type(found) is np.ndarray and np.allclose(found, [2, 1])


def test_scipys_own_objects_that_hold_tensors():
    f = lambda x: tnp.sum((x - tnp.ones(2)) ** 2)
    box = ours.Bounds(tnp.zeros(2), tnp.full(2, 0.5))
    for method in ("nelder-mead", "powell", "SLSQP", "trust-constr"):
        found = ours.minimize(f, [0.1, 0.1], method=method, bounds=box).x
        assert type(found) is np.ndarray and np.allclose(found, 0.5, atol=1e-3)
    assert type(box.lb) is tg.Tensor  # the caller's is as it was
    whole = ours.LinearConstraint(tnp.ones((1, 2)), tnp.ones(1), tnp.ones(1))
    curved = ours.NonlinearConstraint(
        lambda x: tnp.sum(x * tnp.ones(2)),
        tnp.ones(1)[0],
        1.0,
        jac=lambda x: tnp.ones((1, 2)),
        hess=lambda x, v: tnp.zeros((2, 2)),
    )
    two = ours.NonlinearConstraint(
        lambda x: tnp.ones(2) * x, tnp.zeros(2), tnp.full(2, 0.5), lambda x: tnp.eye(2), lambda x, v: tnp.zeros((2, 2))
    )
    for constraint in (whole, [curved], two):
        found = ours.minimize(f, tnp.zeros(2), method="trust-constr", constraints=constraint).x
        assert type(found) is np.ndarray and np.allclose(found, 0.5, atol=1e-3)
    loss = lambda z: tnp.stack([z, tnp.ones_like(z), tnp.zeros_like(z)])
    found = ours.least_squares(lambda x: x - tnp.ones(2), [0.1, 0.1], loss=loss, method="dogbox", bounds=box)
    assert type(found.x) is np.ndarray and not isinstance(found.cost, tg.Tensor) and np.allclose(found.x, 0.5)


def test_named_tuples():
    Pair = namedtuple("Pair", "lo hi")
    assert np.allclose(ours.least_squares(lambda x: x - 1, Pair(0.1, 0.1), bounds=Pair(0, 0.5)).x, 0.5)
    assert np.allclose(ours.minimize(lambda x: np.sum((x - 1) ** 2), Pair(0.0, 0.0), bounds=[Pair(0, 0.5)] * 2).x, 0.5)
    assert np.allclose(ours.root(lambda x: Pair(x[0] - 1, x[1] - 2), Pair(0.0, 0.0), jac=False).x, [1, 2])
    found = ours.curve_fit(lambda t, a, b: a * t + b, [1.0, 2.0, 3.0], [1.0, 2.0, 3.0], bounds=Pair([0, -1], [3, 1]))[0]
    assert np.allclose(found, [1, 0], atol=1e-6)


def test_the_rest_is_scipys():
    assert ours.linprog is optimize.linprog and "newton" in dir(ours) and "minimize" in ours.__all__
    with pytest.raises(AttributeError, match=r"tinygrad_edu\.scipy\.optimize.*has no attribute '__path__'"):
        _ = ours.__path__
