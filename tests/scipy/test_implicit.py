"""Roots and integrals, differentiated by the implicit function theorem and by Leibniz's rule."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_edu as tg

pytest.importorskip("scipy", reason="needs SciPy (extra examples)")

from scipy import integrate, optimize, special

from tinygrad_edu.scipy import integrate as our_integrate
from tinygrad_edu.scipy import optimize as our_optimize
from tinygrad_edu.scipy.integrate import quad
from tinygrad_edu.scipy.optimize import brentq, fsolve, root_scalar

cube = lambda x, c: x**3 - c
SCALAR = {
    "brentq": lambda f, *args: brentq(f, 0.0, 5.0, args, xtol=1e-14),
    "bisect": lambda f, *args: our_optimize.bisect(f, 0.0, 5.0, args, xtol=1e-14),
    "brenth": lambda f, *args: our_optimize.brenth(f, 0.0, 5.0, args, xtol=1e-14),
    "ridder": lambda f, *args: our_optimize.ridder(f, 0.0, 5.0, args, xtol=1e-14),
    "toms748": lambda f, *args: our_optimize.toms748(f, 0.0, 5.0, args, xtol=1e-14),
    "root_scalar in a bracket": lambda f, *args: root_scalar(f, args, bracket=(0.0, 5.0), xtol=1e-14).root,
    "root_scalar by secants": lambda f, *args: root_scalar(f, args, x0=1.0, x1=2.0).root,
    "fsolve": lambda f, *args: fsolve(f, 1.0, args)[0],
}


@pytest.mark.parametrize("solve", SCALAR)
def test_a_cube_root(solve):
    """Of c: the derivatives are c^(−2/3) / 3 and −2 c^(−5/3) / 9."""
    solve = SCALAR[solve]
    f = lambda c: solve(cube, c)
    close = lambda found, wanted: np.testing.assert_allclose(found, wanted, rtol=1e-8)
    close(f(8.0), 2)
    close(tg.value_and_grad(f)(8.0), (2, 1 / 12))
    close(tg.grad(tg.grad(f))(8.0), -2 / 9 / 32)
    close(tg.grad(tg.grad(tg.grad(f)))(8.0), 10 / 27 / 256)
    close(tg.jacobian(lambda a: solve(lambda x, a, b: x - a[0] * b, a, 2.0))(np.array([1.0, 5.0])), [2, 0])
    assert tg.gradcheck(
        lambda a, b: solve(lambda x, a, b: np.exp(a * x) - b - x, a, b), np.array(1.5), np.array(3.0), order=2
    )
    c = tg.Tensor(8.0, requires_grad=True)
    root = f(c)
    assert isinstance(root, tg.Tensor) and root.dtype == np.float64
    (root * c).backward()
    close(c.grad, 2 + 8 / 12)


def test_a_system_of_equations():
    def equations(x, a, b):
        return [x[0] * a[0] + np.exp(x[1]) - b, x[1] * a[1] + np.sin(x[0]) - 0.1]

    solve = lambda a, b: fsolve(equations, [0.1, 0.1], args=(a, b))
    a, b = np.array([2.0, 3.0]), np.array(1.5)
    assert tg.gradcheck(solve, a, b, order=2)
    np.testing.assert_array_equal(solve(a, b), solve(tg.Tensor(a), tg.Tensor(b)).numpy())
    linear = lambda A, y: fsolve(lambda x, A, y: A @ x - y, np.zeros(3), (A, y))
    A = np.random.default_rng(0).normal(size=(3, 3))
    for found, wanted in zip(
        tg.jacobian(linear, (0, 1))(A, A[0]), tg.jacobian(np.linalg.solve, (0, 1))(A, A[0]), strict=True
    ):
        np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_other_arguments_and_results():
    x, found = brentq(cube, 0, 5, (tg.Tensor(8.0),), full_output=True)
    assert isinstance(x, tg.Tensor) and found.converged and found.root == x.item()
    x, info, flag, _ = fsolve(cube, 1.0, tg.Tensor(8.0), full_output=True)
    assert isinstance(x, tg.Tensor) and flag == 1 and info["njev"] >= 1
    assert isinstance(root_scalar(cube, (tg.Tensor(8.0),), bracket=(0, 5)), optimize.RootResults)
    with_slopes = lambda x, c: (x**3 - c, 3 * x**2, 6 * x)
    for options in ({"fprime": True}, {"fprime": True, "fprime2": True, "method": "halley"}):
        slope = tg.grad(lambda c, how=options: root_scalar(with_slopes, (c,), x0=1.0, **how).root)
        assert slope(8.0) == pytest.approx(1 / 12)
    for name in ("brentq", "bisect", "brenth", "ridder", "toms748"):
        assert getattr(our_optimize, name)(cube, 0, 5, 8.0) == getattr(optimize, name)(cube, 0, 5, 8.0)
    assert root_scalar(cube, (8.0,), bracket=(0, 5)) == optimize.root_scalar(cube, (8.0,), bracket=(0, 5))
    np.testing.assert_allclose(fsolve(cube, 1.0, 8.0), 2)
    named = lambda x, kind, c: x - c if kind == "linear" else x**2 - c
    assert tg.grad(lambda c: brentq(named, 0, 5, ("linear", c)))(2.0) == 1
    by_list = lambda c: brentq(lambda x, cs: x - cs[0] * cs[1], 0, 5, ([c, 2.0],))
    np.testing.assert_allclose(tg.grad(by_list)(1.0), 2)
    assert tg.grad(lambda b: brentq(cube, 0.0, b, (8.0,)))(5.0) == 0  # the root does not depend on the end
    assert tg.grad(lambda b: brentq(cube, 0.0, b, (8.0 + 0 * b,)))(5.0) == 0
    slopes = []
    fprime = lambda x, c: slopes.append(1) or np.diag(3 * x**2)
    assert tg.grad(lambda c: fsolve(cube, 1.0, c, fprime)[0])(8.0) == pytest.approx(1 / 12) and slopes
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        tg.grad(lambda c: brentq(lambda x, c: (x - c) ** 3, 0, 4, (c,)))(2.0)


INTEGRALS = {  # with limits a, b and parameters t
    "an exponential": (lambda x, t: np.exp(-t[0] * x) * np.cos(t[1] * x), 0.1, 2.0, np.array([0.5, 1.0])),
    "a power": (lambda x, t: x**t, 0.5, 2.0, np.array(1.5)),
    "backwards": (lambda x, t: np.sin(t * x), 1.0, -1.5, np.array(0.5)),
}


@pytest.mark.parametrize("name", INTEGRALS)
def test_integrals(name):
    f, a, b, t = INTEGRALS[name]
    integral = lambda a, b, t: quad(f, a, b, args=(t,))[0]
    assert tg.gradcheck(integral, np.array(a), np.array(b), t, order=2)
    assert quad(f, a, b, args=(t,)) == integrate.quad(f, a, b, args=(t,))
    value, error = quad(f, a, b, (tg.Tensor(t),))
    assert isinstance(value, tg.Tensor) and (value.item(), error) == integrate.quad(f, a, b, (t,))


def test_an_integral_with_two_parameters():
    f = lambda x, t, name, u: t * x + u[0] * np.cos(u[1] * x)
    integral = lambda b, t, u: quad(f, 0.0, b, args=(t, "an option", u))[0]
    assert tg.gradcheck(integral, np.array(1.5), np.array(0.5), np.array([2.0, 0.7]), order=2)


def test_integrals_that_are_known():
    gamma = lambda z: quad(lambda x, z: x ** (z - 1) * np.exp(-x), 0.0, np.inf, z, epsabs=1e-12)[0]
    np.testing.assert_allclose(tg.grad(gamma)(3.5), special.gamma(3.5) * special.digamma(3.5), rtol=1e-8)
    np.testing.assert_allclose(tg.grad(tg.grad(gamma))(3.5), tg.grad(tg.grad(special.gamma))(3.5), rtol=1e-8)
    mean = lambda x, t: t[0] * x + np.sin(t[1, 0])
    t = np.array([[0.5], [1.0]])
    wanted = lambda t, b: t[0, 0] * b**2 / 2 + np.sin(t[1, 0]) * b
    for k in (0, 1):
        found = tg.grad(lambda t, b: quad(lambda x, t: mean(x, t)[0], 0, b, args=(t,))[0], k)(t, 2.0)
        np.testing.assert_allclose(found, tg.grad(wanted, k)(t, 2.0), rtol=1e-12)
    total = quad(np.exp, 0, tg.Tensor(1.0, requires_grad=True), full_output=True)
    total[0].backward()
    assert total[2]["neval"] == 21
    assert tg.grad(lambda b: quad(np.exp, 0, b)[0])(1.0) == pytest.approx(math.e)
    assert tg.grad(lambda a: quad(np.exp, a, 1.0)[0])(0.0) == -1
    assert tg.grad(lambda c: quad(lambda x, c: 1.0, 0.0, 1.0, (c,))[0])(2.0) == 0
    assert tg.grad(lambda c: quad(lambda x, c: x + np.sum(c), 0.0, 1.0, (c,))[0])(np.zeros((0, 2))).shape == (0, 2)
    options = {"epsabs": 1e-2, "epsrel": 0.0}
    rough = tg.grad(lambda c: quad(lambda x, c: np.sqrt(c * x), 0.0, 1.0, (c,), **options)[0])(1.0)
    assert 1e-8 < abs(rough - 1 / 3) < 1e-2  # the derivative's integral is found in the same way


@pytest.mark.parametrize("closed", [
    lambda w: quad(lambda x: w * x, 0.0, 1.0)[0],
    lambda w: quad(lambda x, c: c + w * x, 0.0, 1.0, args=(w,))[0],
    lambda w: brentq(lambda x: x - w, 0.0, 5.0),
    lambda w: brentq(lambda x, c: x - w * c, 0.0, 5.0, args=(w,)),
    lambda w: our_optimize.bisect(lambda x: x - w, 0.0, 5.0),
    lambda w: our_optimize.toms748(lambda x: x - w, 0.0, 5.0),
    lambda w: root_scalar(lambda x: x - w, bracket=(0.0, 5.0)).root,
    lambda w: fsolve(lambda x: x - w, [1.0])[0],
    lambda w: fsolve(lambda x: [x[0] - w], [1.0])[0],
])  # fmt: skip
def test_a_tensor_that_is_not_among_the_arguments(closed):
    """Its derivative would be 0 without a word."""
    for call in (tg.grad(closed), tg.hessian(closed), lambda w: closed(tg.Tensor(w, requires_grad=True))):
        with pytest.raises(
            TypeError, match=r"uses a tensor that requires grad, whose gradient would be lost here; give"
        ):
            call(1.5)
    assert float(closed(tg.Tensor(1.5))) > 0
    with tg.no_grad():
        assert float(closed(tg.Tensor(1.5, requires_grad=True))) > 0


def test_what_is_refused():
    w = tg.Tensor(2.0, requires_grad=True)
    for name, option in (("weight", "cos"), ("complex_func", True)):
        with pytest.raises(TypeError, match=f"quad: the option {name}= is not supported on tensors"):
            quad(lambda x, c: c * x, 0, 1, args=(w,), **{name: option})
    assert (
        quad(lambda x: x, 0, 1, weight="cos", wvar=1.0)[0]
        == integrate.quad(lambda x: x, 0, 1, weight="cos", wvar=1.0)[0]
    )
    for who, loss in (("brentq", lambda: brentq(cube, 0, 5, (w,))), ("quad", lambda: quad(np.sin, 0, w)[0])):
        for call in (lambda loss=loss: tg.compile_step(loss, tg.SGD([w], lr=0.1))(),
                     lambda loss=loss: tg.derive(loss, parameters=[w])):  # fmt: skip
            with pytest.raises(TypeError, match=rf"{who} of tensors is called at .*without derive or compile_step"):
                call()
    assert our_integrate.simpson is integrate.simpson and "dblquad" in dir(our_integrate)
    assert "quad" in our_integrate.__all__
    with pytest.raises(AttributeError, match=r"tinygrad_edu\.scipy\.integrate.*has no attribute '__path__'"):
        _ = our_integrate.__path__


def test_arrays_among_the_arguments_that_change_afterwards():
    b = np.array([1.0, 2.0])
    for solve, wanted in ((lambda w: brentq(lambda x, w, b: x - w * b[0] * b[1], 0, 5, (w, b)), 2),
                          (lambda w: quad(lambda x, w, b: w * b[0] * b[1], 0, 1, (w, b))[0], 2)):  # fmt: skip
        w = tg.Tensor(1.0, requires_grad=True)
        b[:] = 1.0, 2.0
        y = solve(w)
        b[...] = 9.0
        y.backward()
        assert w.grad == pytest.approx(wanted)


def test_trapezoids():
    """Of t x at 0, 1 and 3: t (1/2 + 4)."""
    x = np.array([0.0, 1.0, 3.0])
    assert tg.grad(lambda t: our_integrate.trapezoid(t * x, x))(2.0) == 4.5
    assert our_integrate.trapezoid(2 * x, x) == integrate.trapezoid(2 * x, x)


def test_differential_equations_are_refused():
    t = np.linspace(0, 1, 3)
    for solve in (
        lambda k: our_integrate.odeint(lambda y, t: -k * y, 1.0, t)[-1, 0],
        lambda k: our_integrate.solve_ivp(lambda t, y: -k * y, (0, 1), [1.0]).y[0, -1],
        lambda k: our_integrate.solve_ivp(lambda t, y: -y, (0, 1), [k]).y[0, -1],
    ):
        with pytest.raises(TypeError, match="derivative would be lost"):
            tg.grad(solve)(1.0)
        with pytest.raises(TypeError, match=r"would drop its gradient.*whether tinygrad_edu\.scipy has the function"):
            solve(tg.Tensor(1.0, requires_grad=True))
