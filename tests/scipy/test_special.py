"""`scipy.special` on tensors: values, first and second derivatives, and those at the far ends."""

from __future__ import annotations

import decimal
import math
import subprocess
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tests.rules.test_rules import check, wrong_rules
from tests.strategies import TABLE, one, reduction, ruled, two

pytest.importorskip("scipy", reason="needs SciPy (extra examples)")

from scipy import special

import tinygrad_edu.scipy.special as ours
from tinygrad_edu.autograd.primitives import FUNCTIONS, Primitive
from tinygrad_edu.scipy import rules

second = lambda f: tg.elementwise_grad(tg.elementwise_grad(f))
slope = tg.elementwise_grad

UFUNCS = {
    "expit": one(special.expit),
    "log_expit": one(special.log_expit),
    "logit": one(special.logit, 0.1, 0.9),
    "erf": one(special.erf),
    "erfc": one(special.erfc),
    "erfinv": one(special.erfinv, -0.8, 0.8),
    "erfcinv": one(special.erfcinv, 0.2, 1.8),
    "ndtr": one(special.ndtr),
    "log_ndtr": one(special.log_ndtr, -8.0, 3.0),
    "ndtri": one(special.ndtri, 0.1, 0.9),
    "psi": one(special.digamma, 0.5, 4.0),
    "gammaln": one(special.gammaln, 0.5, 4.0),
    "loggamma": one(special.loggamma, 0.5, 4.0),
    "gamma": one(special.gamma, 0.5, 4.0),
    "beta": two(special.beta, 0.5, 3.0),
    "betaln": two(special.betaln, 0.5, 3.0),
    "xlogy": two(special.xlogy, low2=0.3),
    "xlog1py": two(special.xlog1py, low2=-0.6),
    "entr": one(special.entr, 0.2, 3.0),
    "i0": one(special.i0),
    "i1": one(special.i1),
}
INNER = {  # what the rules themselves are made of
    "polygamma": st.sampled_from([0, 1, 3]).flatmap(lambda n: one(lambda x: ours.polygamma(n, x), 0.5, 4.0)),
    "hazard": one(rules._hazard, -8.0, 3.0),
    "bessel_i": st.sampled_from([0, 1, 2]).flatmap(lambda n: one(lambda x: rules._bessel_i(x, order=n))),
}
CALLS = UFUNCS | INNER
PRIMITIVES = {
    entry.name: entry
    for function, entry in FUNCTIONS.items()
    if isinstance(entry, Primitive)
    and function not in TABLE
    and (getattr(special, entry.name, None) is function or getattr(rules, f"_{entry.name}", None) is function)
}


def close(found, wanted, rtol=1e-12):
    assert not isinstance(found, tg.Tensor)
    np.testing.assert_allclose(found, wanted, rtol=rtol)


def test_every_rule_has_a_call():
    assert PRIMITIVES.keys() == CALLS.keys()


@pytest.mark.parametrize("name", CALLS)
def test_rule(name):
    @settings(max_examples=20)
    @given(CALLS[name])
    def property(call):
        check(*call)

    property()


@pytest.mark.parametrize("name", CALLS)
def test_a_flipped_sign_is_noticed(name):
    @settings(
        max_examples=40,
        phases=[Phase.generate],
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(CALLS[name])
    def property(call):
        check(*call)

    for vjps, each in wrong_rules(PRIMITIVES[name]):
        with ruled(PRIMITIVES[name], vjps, each), pytest.raises((tg.GradientMismatch, AssertionError)):
            property()


@pytest.mark.parametrize("name", UFUNCS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_values_and_precision_are_scipys(name, dtype):
    function = getattr(special, name)
    values = [np.array([[0.0, 0.25, 0.75, 1.0, np.nan, 0.5]], dtype)] * function.nin
    wanted = function(*values)
    found = function(*(tg.Tensor(v, requires_grad=True) for v in values))
    assert found.dtype == wanted.dtype and found.requires_grad
    np.testing.assert_array_equal(found.numpy(), wanted)
    with tg.no_grad():
        np.testing.assert_array_equal(function(*map(tg.Tensor, values)).numpy(), wanted)
    leaves = [tg.Tensor(v[:, 1:3], requires_grad=True) for v in values]
    function(*leaves).sum().backward()
    assert {leaf.grad.dtype for leaf in leaves} == {np.dtype(dtype)}


# The far ends


def test_logistic():
    far = np.array([-700.0, -40.0, 40.0, 700.0])
    close(slope(special.expit)(far), np.exp(-abs(far)))
    close(second(special.expit)(far), -np.sign(far) * np.exp(-abs(far)))
    close(slope(special.log_expit)(far), [1, 1, math.exp(-40), math.exp(-700)])
    close(slope(special.logit)(np.array([1e-300, 0.5])), [1e300, 4])
    both = lambda x: special.logit(special.expit(x))
    close(slope(both)(np.array([-30.0, 0.0, 3.0])), np.ones(3))


def test_error_functions():
    x = np.array([-6.0, -1.0, 0.0, 2.0, 6.0, 26.0])
    bell = [2 / math.sqrt(math.pi) * math.exp(-v * v) for v in x.tolist()]
    close(slope(special.erf)(x), bell)
    close(slope(special.erfc)(x), np.negative(bell))
    close(second(special.erfc)(x), 2 * x * bell)
    for f in (special.erf, special.erfc, special.ndtr):
        assert slope(f)(np.array([-1e200, 1e200, -np.inf, np.inf])).tolist() == [0, 0, 0, 0]
    u = np.array([1e-300, 1e-10, 0.3, 1.9])
    close(slope(lambda u: special.erfc(special.erfcinv(u)))(u), np.ones(4))
    close(second(lambda x: special.erfinv(special.erf(x)))(np.array([-1.5, 0.5])) + 1, np.ones(2))
    close(second(lambda x: special.ndtri(special.ndtr(x)))(np.array([-1.5, 0.5])) + 1, np.ones(2))
    assert slope(special.erfinv)(np.array([-1.0, 1.0])).tolist() == [np.inf, np.inf]


def test_log_of_the_normal_distribution():
    """φ/Φ and its derivative, −φ/Φ (x + φ/Φ), by a continued fraction in 50 digits."""
    x = np.array([-1e8, -400.0, -40.0, -10.0, -5.5, -5.0, -4.5])
    found, found2 = slope(special.log_ndtr)(x), second(special.log_ndtr)(x)
    with decimal.localcontext(decimal.Context(prec=50)):
        for k, v in enumerate(x.tolist()):
            t, above = decimal.Decimal(-v), decimal.Decimal(0)
            for n in range(400, 0, -1):
                above = n / (t + above)
            close(found[k], float(t + above))
            close(found2[k], float(-(t + above) * above))
    close(
        slope(special.log_ndtr)(np.array([-5.0, 0.0, 10.0])),
        [5.186503967125843, math.sqrt(2 / math.pi), 7.694598626706419e-23],
    )
    assert slope(special.log_ndtr)(np.array([40.0, np.inf])).tolist() == [0, 0]
    third = tg.elementwise_grad(second(special.log_ndtr))
    t = np.array([40.0, 100.0])
    close(third(-t), 2 / t**3, rtol=2e-2)
    single = slope(special.log_ndtr)(np.array([-40.0], np.float32))
    assert single.dtype == np.float32 and abs(single - 40.024968) < 1e-5


def test_gamma_functions():
    x = np.array([1e-300, 1e-100, 1e-10])
    close(slope(special.gammaln)(x), -1 / x, rtol=1e-9)
    close(second(special.gammaln)(x[1:]), 1 / x[1:] ** 2)
    close(slope(special.digamma)(np.array([0.5, 1.0])), [math.pi**2 / 2, math.pi**2 / 6])
    close(second(special.digamma)(np.array([0.5, 1.0])), [-14 * special.zeta(3), -2 * special.zeta(3)])
    x = np.array([0.1, 1.0, 7.5, 1e3])
    close(slope(lambda x: special.digamma(x + 1) - special.digamma(x))(x), -1 / x**2, rtol=1e-8)
    close(
        second(special.gamma)(np.array([3.0, 170.0])),
        second(lambda x: np.exp(special.gammaln(x)))(np.array([3.0, 170.0])),
        rtol=1e-10,
    )
    mirrored = lambda x: special.gammaln(x) + special.gammaln(1 - x) + np.log(abs(np.sin(np.pi * x)))  # = log π
    close(slope(mirrored)(np.array([-1.5, -0.3, 0.3, 2.7])) + 1, np.ones(4), rtol=1e-11)
    a, b = np.array([0.3, 1e-8, 5.0]), np.array([2.0, 1e-8, 700.0])
    by_gammas = lambda a, b: special.gammaln(a) + special.gammaln(b) - special.gammaln(a + b)
    for k in (0, 1):
        close(slope(special.betaln, k)(a, b), slope(by_gammas, k)(a, b))
        close(slope(special.beta, k)(a, b), special.beta(a, b) * slope(by_gammas, k)(a, b))


def test_polygamma():
    x = np.array([0.3, 2.0])
    for n in (0, 1, 2):
        close(slope(lambda x, n=n: ours.polygamma(n, x))(x), special.polygamma(n + 1, x))
        assert ours.polygamma(n, tg.Tensor(x.astype(np.float32))).dtype == np.float32
        assert isinstance(ours.polygamma(n, x), np.ndarray)
    orders = np.array([1, 2])
    close(slope(lambda x: ours.polygamma(orders, x))(x), special.polygamma(orders + 1, x))
    close(tg.jacobian(lambda x: ours.polygamma([[1], [2]], x))(x)[1, 0], [special.polygamma(3, 0.3), 0])
    close(tg.grad(lambda x: ours.polygamma(1, [x, x * x])[1])(0.5), special.polygamma(2, 0.25))
    with pytest.raises(TypeError, match="n= is a tensor that requires grad, but has no derivative rule"):
        tg.grad(lambda n: ours.polygamma(n, 1.0))(1.0)


def test_entropies_at_zero():
    """0 · log y is 0: by x its derivative is log y, by y it is x / y."""
    both = tg.jacobian(special.xlogy, (0, 1))
    for x, y, by_x, by_y in ((0.0, 2.0, math.log(2), 0.0), (0.0, 0.0, -np.inf, 0.0), (2.0, 0.0, -np.inf, np.inf)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore" if by_y else "error")  # 2 / 0 is a division by zero
            assert both(x, y) == (by_x, by_y)
    assert tg.grad(tg.grad(special.xlogy, 1))(0.0, 2.0) == tg.grad(tg.grad(special.xlogy), 1)(0.0, 2.0) == 0.5
    assert tg.jacobian(special.xlog1py, (0, 1))(0.0, 1.0) == (math.log(2), 0)
    assert tg.jacobian(special.xlog1py, (0, 1))(0.0, -1.0) == (-np.inf, 0)
    assert tg.grad(tg.grad(special.xlog1py, 1))(0.0, 1.0) == 0.5
    close(slope(special.entr)(np.array([0.0, 1e-300, 1.0])), [np.inf, -math.log(1e-300) - 1, -1])
    p = np.array([0.0, 1.0])  # a cross-entropy in which nothing is said of an impossible event
    close(tg.grad(lambda q: -np.sum(special.xlogy(p, q)))(np.array([0.0, 1.0])) + 1, [1, 0])


def test_bessel():
    """I″ + I′/x − (1 + ν²/x²) I = 0 (DLMF 10.25.1)."""
    x = np.array([-3.0, 1e-3, 0.5, 20.0, 600.0])
    for nu, f in enumerate((special.i0, special.i1)):
        close(second(f)(x) + slope(f)(x) / x, (1 + nu**2 / x**2) * f(x), rtol=1e-9)
    assert slope(special.i1)(0.0) == 0.5 and slope(special.i0)(0.0) == second(special.i1)(0.0) == 0


# What is no ufunc


@pytest.mark.parametrize("function", [ours.logsumexp, ours.softmax, ours.log_softmax])
def test_sums_of_exponentials(function):
    @given(reduction(lambda a, axis, keepdims: function(a, axis=axis)))
    @settings(max_examples=20)
    def property(call):
        f, (x,) = call
        if x.size:
            check(f, [x])

    property()
    its = getattr(special, function.__name__)
    x = np.array([[1000.0, -1000.0, 3.0], [-1000.0, 0.5, 0.5]])
    for axis in (None, 0, 1, -1, (0, 1)):
        np.testing.assert_allclose(function(tg.Tensor(x), axis).numpy(), its(x, axis), rtol=2e-15)
        np.testing.assert_array_equal(function(x, axis), its(x, axis))
    assert function(tg.Tensor(x.astype(np.float32))).dtype == np.float32
    assert isinstance(tg.grad(lambda t: np.sum(function([t, t * 2])))(1.0), np.floating)


def test_weighted_sums_of_exponentials():
    a, b = np.array([[0.5, 900.0, 1.0], [-np.inf, 2.0, 0.0]]), np.array([[2.0, 0.0, 0.5], [1.0, 3.0, 0.25]])
    small = np.where(a == 900, 0, np.where(np.isinf(a), -3, a))
    for axis in (None, 0, 1):
        for keepdims in (False, True):
            f = lambda a, b, axis=axis, keepdims=keepdims: ours.logsumexp(a, axis, b, keepdims)
            np.testing.assert_allclose(f(tg.Tensor(a), b).numpy(), special.logsumexp(a, axis, b, keepdims), rtol=1e-15)
            assert f(tg.Tensor(a), b).shape == special.logsumexp(a, axis, b, keepdims).shape
            check(f, [small, b])
    found, sign = ours.logsumexp(tg.Tensor(small), 1, b - 1, return_sign=True)
    wanted, its = special.logsumexp(small, 1, b - 1, return_sign=True)
    np.testing.assert_allclose(found.numpy(), wanted)
    assert sign.tolist() == its.tolist()
    check(lambda a, b: ours.logsumexp(a, 1, b, return_sign=True)[0], [small, b - 4])
    assert ours.logsumexp(tg.Tensor(small), 1, return_sign=True)[1].tolist() == [1, 1]
    with np.errstate(all="raise", under="ignore"):
        assert np.isnan(ours.logsumexp(tg.Tensor([0.0]), b=[-1.0]).item())
        assert ours.logsumexp(tg.Tensor([1000.0, 2000.0]), b=[1.0, 0.0]).item() == 1000
    assert np.isnan(special.logsumexp([0.0], b=[-1.0]))
    rows = tg.Tensor([[-2000.0, -2000.0], [0.0, 0.0]])  # of which the first is nothing beside the second
    assert ours.logsumexp(rows, 1, np.ones(2)).tolist() == [math.log(2) - 2000, math.log(2)]
    assert ours.logsumexp(tg.Tensor(np.zeros(2, np.float32)), b=2.0).dtype == np.float32
    assert ours.logsumexp([1000.0, 2000.0], b=tg.Tensor([1.0, 0.0])).item() == 1000
    assert ours.logsumexp(tg.Tensor(np.zeros((0, 2))), 0, np.ones((0, 2))).tolist() == [-np.inf, -np.inf]
    assert ours.logsumexp(tg.Tensor(np.zeros((2, 2, 1))), 0, [0.5]).tolist() == [[0], [0]]
    close(tg.grad(lambda b: ours.logsumexp(np.array([0.0, 1.0]), b=b))(np.array([1.0, 0.0])), [1, math.e])
    assert ours.logsumexp(tg.Tensor([-np.inf, -np.inf]), b=np.ones(2)).item() == -np.inf


# How they come in


def test_derivations_and_compiled_steps():
    def f(x):
        return np.sum(ours.expit(x) * ours.log_ndtr(x) + ours.polygamma(1, x) + ours.xlogy(x, x))

    x = np.array([[0.5, 1.5], [2.5, 0.25], [1.0, 2.0]])
    derived = tg.derive(f, x[:2])
    assert "special.expit(x)" in derived.source and r"\operatorname{expit}(x)" in derived.latex()
    namespace = {}
    exec(derived.source, namespace)
    for value, (gradient,) in (namespace["value_and_gradients"](x), derived(x)):
        close(np.array(value), f(x))
        close(gradient, tg.grad(f)(x))
    named = tg.derive(lambda special: np.sum(ours.erf(special)), x)
    exec(named.source, namespace)
    close(namespace["value_and_gradients"](x)[1][0], slope(special.erf)(x))
    w, v = tg.Tensor(x, requires_grad=True), tg.Tensor(x, requires_grad=True)
    step = tg.compile_step(lambda: f(w), tg.SGD([w], lr=0.1))
    by_hand = tg.SGD([v], lr=0.1)
    for _ in range(3):
        v.zero_grad()
        f(v).backward()
        close(np.array(step()), f(v).item())
        by_hand.step()
        close(w.data, v.data)


def test_the_rules_come_with_scipy_special(python):
    code = """
import sys, numpy as np, tinygrad_edu as tg
x = tg.Tensor([0.5, 1.0], requires_grad=True)
try:
    np.fft.fft(x)
except TypeError:
    pass
assert not [name for name in sys.modules if "scipy" in name]
from scipy import special
assert not [name for name in sys.modules if name.startswith("tinygrad_edu.scipy")]
constant = special.erf(tg.Tensor([0.5]))
assert isinstance(constant, tg.Tensor)
special.expit(x).sum().backward()
assert x.grad is not None
"""
    subprocess.run([python, "-c", code], check=True)


def test_two_threads_that_come_first(python):
    code = """
import threading, numpy as np, tinygrad_edu as tg
from scipy import special
found, start = [], threading.Barrier(4)
def work():
    start.wait()
    found.append(tg.grad(special.expit)(0.0))
threads = [threading.Thread(target=work) for _ in range(4)]
[t.start() for t in threads], [t.join() for t in threads]
assert found == [0.25] * 4, found
"""
    subprocess.run([python, "-c", code], check=True)


def test_without_scipy(python):
    code = """
import sys
sys.modules["scipy"] = sys.modules["scipy.special"] = None
import numpy as np, tinygrad_edu as tg
try:
    np.fft.fft(tg.Tensor([0.5], requires_grad=True))
except TypeError as error:
    assert "no derivative rule" in str(error)
try:
    import tinygrad_edu.scipy.special
except ImportError as error:
    assert "tinygrad_edu.scipy needs SciPy: python -m pip install scipy" in str(error)
else:
    raise AssertionError
"""
    subprocess.run([python, "-c", code], check=True)


def test_the_rest_is_scipys():
    assert ours.jv is special.jv and ours.expit is special.expit and "zeta" in dir(ours) and "erf" in ours.__all__
    with pytest.raises(AttributeError, match="has no attribute 'no_such_function'"):
        _ = ours.no_such_function
    with pytest.raises(AttributeError, match=r"tinygrad_edu\.scipy\.special.*__path__"):
        _ = ours.__path__
    x = tg.Tensor([0.3, 0.4], requires_grad=True)
    with pytest.raises(TypeError, match=r"scipy makes a plain array.*see whether tinygrad_edu\.scipy has the function"):
        special.logsumexp(x)
    with pytest.raises(TypeError, match=r"what tinygrad_edu\.scipy has in place of SciPy's"):
        tg.grad(special.logsumexp)(np.ones(2))
    with pytest.raises(TypeError, match="expit: with where= but without out="):
        special.expit(x, where=np.array([True, False]))
