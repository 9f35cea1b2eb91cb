"""Values and derivatives at edges: tips, infinities, NaN, nothing at all.

What is right is computed independently, or is NumPy's own value of the array.
"""

from __future__ import annotations

import warnings
from fractions import Fraction

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor
from tinygrad_edu import functional as F
from tinygrad_edu.rules.reductions import per

INF, NAN = np.inf, np.nan


def gradients(function, *arrays):
    leaves = [Tensor(np.asarray(a, float), requires_grad=True) for a in arrays]
    y = function(*leaves)
    y.backward(np.ones(y.shape))
    return [leaf.grad.tolist() for leaf in leaves]


def same(found, wanted):
    np.testing.assert_allclose(np.asarray(found, float), np.asarray(wanted, float), rtol=1e-12)


TIPS = {
    "norm²": (lambda x: np.linalg.norm(x) ** 2, np.zeros(2)),
    "norm": (np.linalg.norm, np.zeros(2)),
    "abs²": (lambda x: np.sum(abs(x) ** 2), np.array([0.0, 1.0])),
    "fabs": (lambda x: np.sum(np.fabs(x) * x), np.array([0.0])),
    "std²": (lambda x: np.std(x) ** 2, np.full(3, 2.0)),
    "exp(−norm²)": (lambda x: np.exp(-(np.linalg.norm(x) ** 2)), np.zeros(2)),
    "hypot": (lambda x: np.hypot(x[0], x[1]), np.zeros(2)),
    "norm of order 3": (lambda x: np.linalg.norm(x, 3), np.zeros(2)),
    "norm of rows": (lambda x: np.sum(np.linalg.norm(x, axis=1) ** 2), np.array([[0.0, 0.0], [3.0, 4.0]])),
}


@pytest.mark.parametrize("name", TIPS)
def test_no_second_derivative_at_a_tip_is_never_a_silent_0(name):
    function, x = TIPS[name]
    assert np.all(np.isfinite(tg.grad(function)(x)))  # a subgradient
    assert np.isnan(tg.hessian(function)(x)).any()
    assert np.all(np.isfinite(tg.hessian(function)(x + np.linspace(0.5, 0.7, x.size).reshape(x.shape))))


def test_logaddexp_of_infinities():
    a, b = [INF, 0.0, INF, -INF, -INF, 3.0, 0.0], [0.0, INF, INF, -INF, 1.0, -INF, 0.0]
    for function in (np.logaddexp, np.logaddexp2):
        same(gradients(function, a, b), [[1, 0, 0.5, 0, 0, 1, 0.5], [0, 1, 0.5, 0, 1, 0, 0.5]])
        with np.errstate(invalid="ignore"):  # NumPy's own warning
            same(gradients(function, [INF], [NAN]), [[NAN], [NAN]])
    with np.errstate(all="raise", under="ignore"):
        tg.vjp(np.logaddexp, np.array(a), np.array(b))[1](np.ones(7))


def test_softmax_and_its_like_of_nothing_of_one_number_and_of_what_is_0():
    for function in (F.softmax, F.log_softmax):
        assert function(Tensor(np.ones((2, 0)), requires_grad=True), 1).shape == (2, 0)
        assert gradients(lambda x, f=function: f(x, 1), np.ones((2, 0))) == [[[], []]]
    assert F.logsumexp(np.ones((2, 0)), 1).tolist() == [-INF, -INF]
    assert gradients(lambda x: F.logsumexp(x, 1), np.ones((2, 0))) == [[[], []]]
    assert gradients(F.logsumexp, 3.0) == [1] and tg.hessian(F.logsumexp)(3.0) == 0
    same(gradients(F.logsumexp, [-INF, -INF]), [[0, 0]])
    same(gradients(lambda x: F.logsumexp(x, 1), [[-INF, -INF], [0, -INF]]), [[[0, 0], [1, 0]]])


def test_maximum_and_minimum_of_nan():
    for function in (np.maximum, np.minimum):
        same(gradients(function, [NAN, 1.0, NAN], [1.0, NAN, NAN]), [[1, 1, 1], [1, 1, 1]])
    same(gradients(np.maximum, [1.0, 2.0, 2.0], [2.0, 1.0, 2.0]), [[0, 1, 0.5], [1, 0, 0.5]])
    same(gradients(np.minimum, [1.0, 2.0, 2.0], [2.0, 1.0, 2.0]), [[1, 0, 0.5], [0, 1, 0.5]])


def test_powers_at_their_ends():
    same(gradients(lambda x: x ** np.zeros(2), [NAN, 0.0]), [[0, 0]])
    same(gradients(lambda x: x ** np.int8(-128), [2.0]), [[-128 * 2.0**-129]])
    same(gradients(lambda x: x ** np.array([-128, 3], np.int8), [2.0, 2.0]), [[-128 * 2.0**-129, 12]])
    same(gradients(lambda x: x ** np.array([-32768], np.int16), [1.0]), [[-32768]])
    same(gradients(lambda x: x ** np.array([0, 1], np.uint8), [2.0, 2.0]), [[0, 1]])


def test_the_slope_of_fmod_counts_exactly():
    for a, b in ((0.3, 0.1), (1.0, 0.1), (-1.0, 0.1), (1.0, -0.1), (4.0, 0.4 / 3)):  # 1 / 0.1 is rounded up to 10
        whole = int(Fraction(a) / Fraction(b))
        same(gradients(np.fmod, [a], [b]), [[1], [-whole]])


def test_norms_of_other_orders():
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for p in (-1, -2, 0.5, 3, 1.5):
            for x in ([INF, INF], [1e300, 1e300], [0.0, 2.0], [1.0, 2.0, 3.0], [[1.0, -2.0], [0.5, 4.0]]):
                x = np.asarray(x)
                axis = None if x.ndim == 1 else 1
                assert np.array_equal(np.linalg.norm(Tensor(x), p, axis=axis).data, np.linalg.norm(x, p, axis=axis))
    same(gradients(lambda x: np.linalg.norm(x, 0.5), [0.0, 2.0]), [[0, 1]])
    with np.errstate(divide="ignore"):  # NumPy's own warning
        for p in (0.5, 1.5, 3, -1, -2):
            same(gradients(lambda x, p=p: np.linalg.norm(x, p), [0.0, 0.0]), [[0, 0]])
        for p in (-1, -2):  # a single 0 makes the norm 0, whatever the others are
            same(gradients(lambda x, p=p: np.linalg.norm(x, p), [0.0, 2.0, -3.0]), [[0, 0, 0]])
    assert tg.gradcheck(lambda x: np.linalg.norm(x, 3), np.array([1.0, -2.0, 0.5]), order=2)
    assert tg.gradcheck(lambda x: np.linalg.norm(x, -2), np.array([1.0, -2.0, 0.5]), order=2)


def test_which_triangle_is_read():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(2, 3, 3))
    spd = a @ a.mT + np.eye(3)
    for part in ("L", "U", "l", "u"):
        w, v = np.linalg.eigh(Tensor(a), part)
        assert np.array_equal(w.data, np.linalg.eigh(a, part)[0]) and np.array_equal(v.data, np.linalg.eigh(a, part)[1])
        assert np.array_equal(np.linalg.eigvalsh(Tensor(a), part).data, np.linalg.eigvalsh(a, part))
        read = np.tril if part in "Ll" else np.triu
        for function in (
            lambda x, part=part: np.linalg.eigvalsh(x, part),
            lambda x, part=part: np.linalg.eigh(x, part)[1] ** 2,
        ):
            [g] = gradients(function, a)
            assert np.array_equal(read(g), g)
    for upper in (False, True):
        found = np.linalg.cholesky(Tensor(spd, requires_grad=True), upper=upper)
        assert np.array_equal(found.data, np.linalg.cholesky(spd, upper=upper))
        assert tg.gradcheck(lambda x, up=upper: np.linalg.cholesky(x @ x.mT + np.eye(3), upper=up), a[0], order=2)
    with pytest.raises(ValueError, match="UPLO must be 'L' or 'U', not 'X'"):
        np.linalg.eigh(Tensor(a), "X")


@pytest.mark.parametrize(("scale", "dtype"), [(1e160, np.float64), (1e-160, np.float64), (1e20, np.float32)])
def test_singular_values_whose_squares_overflow(scale, dtype):
    x = (np.diag([3.0, 2.0]) * scale).astype(dtype)
    t = Tensor(x, requires_grad=True)
    np.linalg.svdvals(t).sum().backward()
    np.testing.assert_allclose(t.grad, np.eye(2), atol=1e-6)
    _, s, _ = np.linalg.svd(Tensor(x, requires_grad=True))
    assert np.array_equal(s.data, np.linalg.svd(x)[1])
    [g] = gradients(lambda x: np.linalg.svd(x)[0][0, 1] * scale, x.astype(float))
    small = gradients(lambda x: np.linalg.svd(x)[0][0, 1], np.diag([3.0, 2.0]))[0]
    np.testing.assert_allclose(np.asarray(g), small, rtol=1e-6, atol=1e-7)


def test_order_statistics_are_numpy_s_to_the_bit():
    rng = np.random.default_rng(0)
    cases = [
        rng.normal(size=7),
        rng.normal(size=(4, 5)),
        np.array([INF, INF, 1.0]),
        np.array([-1e308, 1e308]),
        np.array([1.0, NAN]),
    ]
    cases += [
        np.array([-INF, 0.0, INF]),
        np.array([INF, INF]),
        np.array([1e308, 1.7e308, 1.2e308]),
        rng.normal(size=6).astype(np.float32),
    ]
    for x in cases:
        for call in (
            np.median,
            lambda a: np.median(a, axis=-1, keepdims=True),
            lambda a: np.quantile(a, 0.3),
            lambda a: np.percentile(a, [10, 50, 90], axis=0),
            lambda a: np.quantile(a, [[0.25], [0.75]], method="lower"),
        ):
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found, wanted = call(Tensor(x, requires_grad=True)).data, call(x)
            assert found.dtype == wanted.dtype and np.array_equal(found, wanted, equal_nan=True)
    same(gradients(np.median, [INF, 2.0, 1.0]), [[0, 1, 0]])
    same(gradients(np.median, [INF, 2.0, 1.0, 5.0]), [[0, 0.5, 0, 0.5]])
    same(gradients(np.median, [1.0, NAN]), [[NAN, NAN]])
    assert tg.gradcheck(lambda x: np.quantile(x, [0.1, 0.6], axis=1), rng.normal(size=(3, 5)), order=2)


def test_deviations_without_degrees_of_freedom():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for function in (np.std, np.var):
            for x, ddof in (([1.0], 5), ([1.0], 1), ([1.0, 2.0], 2), ([1.0, 2.0], 3)):
                assert np.isnan(function(x, ddof=ddof)) or np.isinf(function(x, ddof=ddof))
                assert np.isnan(gradients(lambda t, f=function, d=ddof: f(t, ddof=d), x)).all()
    same(gradients(np.std, [0.1, 0.1, 0.1]), [[0, 0, 0]])


def test_numpy_s_own_defaults_may_be_said():
    x = Tensor(np.ones(2), requires_grad=True)
    for join in (np.vstack, np.hstack, np.stack, np.concatenate):
        assert join((x, x), casting="same_kind").requires_grad
        with pytest.raises(TypeError, match="casting"):
            join((x, x), casting="unsafe")


@pytest.mark.parametrize("integers", [np.int8, np.int16, np.uint8, np.int32, np.bool_])
def test_small_integers_beside_floats_are_what_they_are_for_numpy(integers):
    """Recorded, under no_grad and by itself: one dtype."""
    w, k = np.ones(3, np.float32), np.array([1, 2, 1], integers)
    for function in (np.multiply, np.add, np.subtract if integers is not np.bool_ else np.maximum, np.divide):
        wanted = function(w, k).dtype
        assert function(Tensor(w, requires_grad=True), k).dtype == wanted
        assert function(Tensor(w), k).dtype == function(Tensor(w), Tensor(k)).dtype == wanted
        with tg.no_grad():
            assert function(Tensor(w, requires_grad=True), k).dtype == wanted
    assert (Tensor(np.array([100], np.uint8)) - np.uint8(128)).tolist() == [
        -28
    ]  # among themselves nothing wraps around


@pytest.mark.parametrize("function", [F.softmax, F.log_softmax])
def test_a_derivation_of_rows_that_hold_nothing(function):
    derived = tg.derive(lambda x: np.sum(function(x) ** 2), np.ones((2, 0)))
    written = {}
    exec(derived.source, written)
    for program in (derived, written["value_and_gradients"]):
        value, (gradient,) = program(np.ones((2, 0)))
        assert value == 0 and np.shape(gradient) == (2, 0)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64, np.int8])
@pytest.mark.parametrize(
    "order, axis", [(None, None), (None, 0), (1, 1), (3, 1), (np.inf, 0), ("fro", (0, 1)), (1, (0, 1))]
)
def test_norms_have_numpy_s_precision(dtype, order, axis):
    x = np.array([[1, -2, 3], [0, 5, -4]], dtype)
    found, wanted = np.linalg.norm(Tensor(x), order, axis), np.linalg.norm(x, order, axis)
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found.data, wanted, rtol=1e-3 if dtype == np.float16 else 1e-6)


def alike(call, *arrays):
    """The value to the bit, the dtype and the warnings are NumPy's, recorded or not."""
    with warnings.catch_warnings(record=True) as wanted_warnings:
        warnings.simplefilter("always")
        wanted = call(*arrays)
    for recorded in (True, False):
        tensors = [Tensor(a, requires_grad=recorded and np.asarray(a).dtype.kind == "f") for a in arrays]
        with warnings.catch_warnings(record=True) as found_warnings:
            warnings.simplefilter("always")
            found = call(*tensors)
        for a, b in zip(*(x if isinstance(x, tuple | list) else [x] for x in (wanted, found)), strict=True):
            a, b = np.asarray(a), np.asarray(b.data if isinstance(b, Tensor) else b)
            assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
        assert {str(w.message) for w in wanted_warnings} == {str(w.message) for w in found_warnings}


def test_the_parts_of_infinite_numbers():
    x = np.array([INF, -INF, -0.0, -2.5, 3.0])
    alike(np.modf, x)
    part, whole = np.modf(Tensor(x))
    assert part.tolist() == [0, 0, 0, -0.5, 0] and whole.tolist() == [INF, -INF, 0, -2, 3]
    same(gradients(lambda t: np.modf(t)[0], x), [[1] * 5])
    same(gradients(lambda t: np.modf(t)[1], x), [[0] * 5])
    assert np.modf(Tensor(np.array([3, 4])))[0].dtype == np.float64
    alike(np.imag, x)
    assert np.imag(Tensor(x)).tolist() == [0] * 5
    same(gradients(lambda t: t + np.imag(t), x), [[1] * 5])


def test_quotient_and_remainder_come_of_one_call():
    a, b = np.array([7.5, -7.5, INF, 1.0]), np.array([2.0, 2.0, 2.0, 0.0])
    alike(np.divmod, a, b)
    with pytest.warns(RuntimeWarning, match="in divmod"):
        divmod(Tensor(a, requires_grad=True), b)
    quotient, remainder = divmod(Tensor(a[:2]), 2.0)
    assert quotient.tolist() == [3, -4] and remainder.tolist() == [1.5, 0.5]
    same(gradients(lambda a, b: divmod(a, b)[1], a[:2], b[:2]), [[1, 1], [-3, 4]])
    same(gradients(lambda a, b: divmod(a, b)[0], a[:2], b[:2]), [[0, 0], [0, 0]])


def test_what_is_put_in_order():
    x = np.array([3.0, NAN, 1.0, NAN, 2.0, -INF, 0.0, -0.0, INF])
    rng = np.random.default_rng(0)
    with_nan = rng.normal(size=(6, 40))
    with_nan[:, ::7] = NAN
    for k in (0, 3, 20):
        alike(lambda a, k=k: np.partition(a, k, axis=1), with_nan)
    alike(np.sort, x)
    alike(lambda a: np.sort(a[::-1]), x)
    weights = np.arange(1.0, 6)
    for call in (np.sort, lambda t: np.partition(t, [0, 1, 2, 3])):
        same(gradients(lambda t, f=call: f(t) * weights, [3.0, NAN, 1.0, 2.0, -INF]), [[4, 5, 2, 3, 1]])
    same(gradients(lambda t: np.unique(t) * weights[:3], [3.0, 1.0, 3.0, 2.0, 1.0]), [[3, 1, 0, 2, 0]])
    alike(np.unique, np.array([0.0, -0.0, 1.0, 0.0, NAN, NAN]))


def test_small_integers_that_are_only_moved_stay_small():
    x = np.array([[3, -1], [2, 127]], np.int8)
    for call in (
        np.sort, lambda a: np.partition(a, 1), np.unique, np.copy, lambda a: np.pad(a, 1, constant_values=7),
        lambda a: np.insert(a, 1, 5), lambda a: np.select([a > 2], [a], a), lambda a: a.flatten(), np.real,
        lambda a: np.stack([a, a]), lambda a: np.where(a > 2, a, a[0]), np.ravel,
    ):  # fmt: skip
        assert call(Tensor(x)).dtype == call(x).dtype == np.int8
        np.testing.assert_array_equal(call(Tensor(x)).data, call(x))


def test_finite_differences_are_numpy_s():
    rng = np.random.default_rng(0)
    places = np.array([0.0, 1.0, 3.0, 4.5, 7.0])
    for dtype in (np.float64, np.float32, np.float16):
        for order in (1, 2):
            alike(lambda a, o=order: np.gradient(a, places, edge_order=o), rng.normal(size=5).astype(dtype))
    alike(np.gradient, np.array([1.0, INF, 2.0, -INF, 3.0]))
    alike(np.gradient, np.array([1.0, 1.79e308, -1.79e308, 0.0]))
    matrix = np.stack([np.gradient(row, places, edge_order=2) for row in np.eye(5)])  # it is linear
    same(gradients(lambda t: np.gradient(t, places, edge_order=2) * places, rng.normal(size=5)), [matrix @ places])


def test_products_of_numbers_in_any_order_of_memory():
    x = np.random.default_rng(0).normal(size=(7, 6, 5))
    for a in (x, np.asfortranarray(x), x[::-1, ::2].astype(np.float32), x.astype(np.float16)):
        for axis in (None, 1, (0, 2), (2, 1)):
            alike(lambda a, axis=axis: np.prod(a, axis=axis), a)
    same(gradients(lambda t: np.prod(t, axis=(0, 1)), [[2.0, 0.0], [3.0, 5.0]]), [[[0, 30], [0, 0]]])


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_products_of_vectors_are_numpy_s(dtype):
    rng = np.random.default_rng(0)
    a, b, c = (rng.normal(size=s).astype(dtype) for s in ((3, 9, 8), (5, 8, 7), (8,)))
    alike(np.dot, a, b)
    alike(np.dot, a, c)
    alike(np.dot, c, b)
    alike(np.inner, a, c)
    alike(np.inner, a[0], a)
    alike(np.inner, a, np.float64(2.5))
    alike(lambda x: np.dot(x, 2.5), a)
    alike(np.vdot, a, np.asfortranarray(a))
    alike(np.vecdot, a, c)
    alike(lambda x, y: np.vecdot(x, y, axis=1), a, a)
    alike(lambda x, y: np.tensordot(x, y, ([2], [1])), a, b)
    alike(lambda x, y: np.linalg.multi_dot([x, y.T, y]), c, a[0])
    alike(lambda x: np.trace(x, 1, 1, 2), a)
    if hasattr(np, "matvec"):  # NumPy 2.2
        alike(np.matvec, a, c)
        alike(np.vecmat, c, b)


def test_products_warn_in_their_own_name():
    infinite, ones = np.array([INF, -INF, 1.0]), np.ones((3, 3))
    for call in (np.dot, np.inner, np.vdot, np.vecdot, lambda a, b: np.tensordot(a, b, 1)):
        alike(call, infinite, np.ones(3))
        alike(call, infinite, infinite)
    if hasattr(np, "matvec"):  # NumPy 2.2
        alike(np.matvec, ones, infinite)
        alike(np.vecmat, infinite, ones)
    alike(lambda a, b: np.tensordot(a, b, ([1], [0])), infinite[None] * ones, ones)


def test_products_refuse_what_numpy_refuses():
    t = Tensor(np.ones((3, 4)), requires_grad=True)
    for call in (
        lambda: np.vdot(t, 1.0), lambda: np.vecdot(t, np.ones((3, 1))), lambda: np.linalg.outer(t, np.ones(2)),
        lambda: np.correlate(t[0], np.array(1.0)), lambda: np.linalg.multi_dot([t, np.array(2.0), t]),
        lambda: np.cumprod(t[0, 0], axis=1), lambda: np.multiply.accumulate(t[0, 0]), lambda: np.average(t[:0], axis=1),
        lambda: np.quantile(Tensor([True, False]), 0.5),
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError, ZeroDivisionError)), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of an empty slice
            call()


def test_sums_of_einstein_are_numpy_s():
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(3, 4)), rng.normal(size=(4, 3)), rng.normal(size=(3, 5))
    a[0, 0], b[1, 1] = INF, -INF
    alike(lambda a, b, c: np.einsum("ij,jk,kl->li", a, b, c), a, b, c)
    half = rng.normal(size=(4, 4, 6)).astype(np.float16)
    for text in ("iij->j", "iij->ij", "iij", "ijk->kj"):
        alike(lambda a, t=text: np.einsum(t, a), half)
    same(gradients(lambda t: np.einsum("ii->i", t) * [1.0, 2.0], [[1.0, INF], [3.0, 4.0]]), [[[1, 0], [0, 2]]])
    same(gradients(lambda t: np.einsum("iji->j", t), np.ones((2, 1, 2))), [[[[1, 0]], [[0, 1]]]])


def test_edges_of_constants_leave_the_sign_of_0():
    x = np.array([-0.0, 1.0])
    alike(lambda a: np.pad(a, 1, constant_values=3.0), x)
    assert np.signbit(np.pad(Tensor(x), 1, constant_values=3.0).data).tolist() == [False, True, False, False]
    same(gradients(lambda t: np.pad(t, 1, constant_values=3.0) * [1.0, 2.0, 3.0, 4.0], [INF, 1.0]), [[2, 3]])


def test_dtypes_of_statistics_are_numpy_s():
    whole, single = np.array([3, 1, 2, 7]), np.array([0.1, 0.7, 0.3], np.float32)
    for method in ("lower", "higher", "nearest", "linear"):
        alike(lambda a, m=method: np.quantile(a, 0.4, method=m), whole)
    for q in (30, [30, 40.5], np.float32(12)):
        alike(lambda a, q=q: np.percentile(a, q), single)
    same(gradients(lambda t: np.percentile(t, 25), [0.0, 1.0, 3.0]), [[0.5, 0.5, 0]])
    alike(lambda a: np.average(a, returned=True), single)
    alike(lambda a, w: np.average(a, weights=w), single > 0.2, single)
    same(gradients(lambda t: np.average(t, weights=[1, 3]), [2.0, 6.0]), [[0.25, 0.75]])
    same(gradients(lambda w: np.average([2, 6], weights=w), [1.0, 3.0]), [[-0.75, 0.25]])
    alike(lambda a: np.insert(a, 1, np.float64(5.0)), single)
    alike(lambda a, v: np.insert(a, 1, v), single, np.array([5.0, 6.0]))
    alike(lambda a: np.diff(a, 2), whole > 1)
    alike(lambda a: np.diff(a, 0), np.float64(2.0))
    alike(lambda a: np.select([a > 2], [a]), whole > 1)
    alike(np.conjugate, whole > 1)


def test_means_of_nothing_but_nan_warn_as_numpy_s():
    x = np.array([[NAN, NAN], [1.0, NAN]])
    for function in (np.nanmean, np.nanmax, np.nanmin, np.nansum, np.nanprod):
        alike(lambda a, f=function: f(a, axis=1), x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        y = np.nanmean(Tensor(x), axis=1)
        assert y.tolist()[1] == 1 and np.isnan(y.tolist()[0])
        same(gradients(lambda t: np.nanmean(t, axis=1), [[NAN, NAN], [1.0, 3.0]]), [[[0, 0], [0.5, 0.5]]])
    same(gradients(lambda t: np.nanprod(t) * 1.0, [2.0, NAN, 5.0, 0.5]), [[2.5, 0, 1, 10]])


def test_norms_of_nothing():
    for order in (None, 1, 2, INF):
        try:
            wanted = np.linalg.norm(np.zeros(0), order)
        except ValueError:  # NumPy before 2.4
            with pytest.raises(ValueError, match="zero-size"):
                np.linalg.norm(Tensor(np.zeros(0)), order)
            continue
        assert np.linalg.norm(Tensor(np.zeros(0), requires_grad=True), order).item() == wanted == 0
        assert gradients(lambda t, o=order: np.linalg.norm(t, o), np.zeros(0)) == [[]]


def test_powers_of_matrices_are_multiplied_in_numpy_s_order():
    a = np.random.default_rng(0).normal(size=(4, 5, 5))
    for n in (2, 3, 4, 5, 7, -3):
        alike(lambda a, n=n: np.linalg.matrix_power(a, n), a)


def test_second_derivatives_beside_infinities():
    for function in (np.logaddexp, np.logaddexp2):
        for a, b in ((INF, 0.0), (0.0, INF), (-INF, -INF), (-INF, 1.0)):
            assert tg.grad(lambda a, f=function, b=b: tg.grad(f)(a, b))(a) == 0
            assert tg.grad(lambda b, f=function, a=a: tg.grad(f)(a, b))(b) == 0


@pytest.mark.parametrize("shape", [(0, 0), (2, 0, 0), (0, 3, 3)])
def test_decompositions_of_nothing(shape):
    for function in (
        np.linalg.eigvalsh,
        np.linalg.svdvals,
        lambda a: np.linalg.eigh(a)[1],
        lambda a: np.linalg.svd(a)[0],
        lambda a: np.linalg.svd(a)[2],
    ):
        [g] = gradients(function, np.zeros(shape))
        assert np.shape(g) == np.zeros(shape).shape or np.size(g) == 0


def test_matrices_of_very_different_sizes_beside_each_other():
    scales = np.array([1e160, 1.0, 1e-160])
    small = np.diag([3.0, 2.0])
    x = small * scales[:, None, None]
    [g] = gradients(lambda x: np.linalg.svd(x)[0][:, 0, 1] * scales, x)
    [wanted] = gradients(lambda x: np.linalg.svd(x)[0][0, 1], small)
    for part in g:
        np.testing.assert_allclose(part, wanted, rtol=1e-12, atol=1e-12)


def test_full_like_takes_axes_of_size_1_as_assignments_do():
    for shape in ((), (2,)):
        a, fill = np.zeros(shape), np.array([[2.0]])
        t = Tensor(fill, requires_grad=True)
        assert np.array_equal(np.full_like(Tensor(a), t).data, np.full_like(a, fill))
        assert np.array_equal(np.full_like(a, 3.0, shape=4), np.full_like(Tensor(a), 3.0, shape=4).data)
        same(gradients(lambda t, a=a: np.full_like(Tensor(a), t), fill), [[[max(a.size, 1)]]])
    with pytest.raises(ValueError, match="broadcast"):
        np.full_like(Tensor(np.zeros(())), Tensor(np.ones(2)))


SQUARES_OF_VALUES = {
    "singular values": lambda x: np.sum(np.linalg.svdvals(x) ** 2),
    "spectral norm": lambda x: np.linalg.norm(x, 2) ** 2,
    "nuclear norm": lambda x: np.linalg.norm(x, "nuc") ** 2,
    "eigenvalues": lambda x: np.sum(np.linalg.eigvalsh((x + x.T) / 2) ** 2),
}


@pytest.mark.parametrize("name", SQUARES_OF_VALUES)
def test_second_derivatives_of_values_whose_vectors_are_not_determined(name):
    """Their gradients are 0 at 0, and so is what arrives at the vectors; the right derivative is 0 · ∞, never 0."""
    f = SQUARES_OF_VALUES[name]
    for x in (np.zeros((2, 2)), np.eye(2), *([] if name == "eigenvalues" else [np.zeros((3, 2)), np.zeros((3, 1))])):
        assert np.isfinite(tg.grad(f)(x)).all()
        with pytest.raises(ValueError, match="have no derivative"):
            tg.hessian(f)(x)
    x = np.array([[2.0, 1], [1, 4]])
    assert tg.gradcheck(f, x, order=2)
    if name == "singular values":  # the sum of squares of all entries
        for y in (x, np.array([[1.0, 2, 0], [0, 1, 4]]), np.outer([1.0, 2], [3, 1])):
            np.testing.assert_allclose(tg.hessian(f)(y).reshape(y.size, y.size), 2 * np.eye(y.size), atol=1e-12)


def test_the_mean_of_more_numbers_than_float16_can_count():
    x = (((np.arange(90_000) % 7) - 3) / 64).reshape(300, 300).astype(np.float16)
    share, tiny = 1 / 90_000, float(np.finfo(np.float16).smallest_subnormal)
    found = tg.grad(np.mean)(x)
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, share, atol=tiny)
    wide = x.astype(float)
    for f in (np.var, np.std, lambda x: np.mean(x, axis=0).sum()):
        np.testing.assert_allclose(tg.grad(f)(x), tg.grad(f)(wide), rtol=2e-2, atol=2 * tiny)


def test_a_bias_of_many_rows_in_float16():
    """Above 2048, float16 counts no more in steps of 1."""
    rows = np.ones((5000, 2), np.float16)
    for shape in ((2,), (1, 2), (1, 1), ()):
        w = Tensor(np.ones(shape, np.float16), requires_grad=True)
        np.sum(rows * w, dtype=np.float32).backward()
        assert w.grad.dtype == np.float16 and np.all(w.grad == rows.size // max(w.size, 1))


@pytest.mark.parametrize(("a", "dtype"), [(300, "f2"), (1e20, "f4"), (1e-20, "f4"), (1e-200, "f8"), (1e200, "f8")])
def test_angles_of_any_size(a, dtype):
    """d arctan2(a, a) = ±1/(2a), and d arctan(a) = 1/(1 + a²)."""
    a, right = np.dtype(dtype).type(a), 0.5 / float(a)
    rtol = 2 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(tg.grad(np.arctan2, argnums=(0, 1))(a, a), [right, -right], rtol=rtol)
    np.testing.assert_allclose(float(tg.grad(np.arctan)(a)), 1 / (1 + float(a)) / (1 + float(a)), rtol=0.1, atol=1e-5)


def test_angles_at_infinity():
    for a, b in ((1.0, INF), (INF, 1.0), (INF, INF), (-INF, 2.0)):
        same(gradients(np.arctan2, [a], [b]), [[0], [0]])
    same(gradients(np.arctan, [INF, -INF, 1e200]), [[0, 0, 0]])


def test_infinite_terms_share_the_sum_of_exponentials():
    same(gradients(F.logsumexp, [INF, 0.0]), [[1, 0]])
    same(gradients(F.logsumexp, [INF, 0.0, INF]), [[0.5, 0, 0.5]])
    same(gradients(lambda x: F.logsumexp(x, axis=1), [[INF, 1.0], [-INF, -INF], [0.0, 0.0], [INF, INF]]),
         [[[1, 0], [0, 0], [0.5, 0.5], [0.5, 0.5]]])  # fmt: skip


def test_derivatives_of_the_deviation_of_single_numbers():
    for f in (np.std, lambda x: np.sum(np.std(x, axis=())), lambda x: np.sum(np.std(x, axis=1, keepdims=True))):
        x = np.ones((2, 1)) if f is not np.std else np.ones(1)
        assert not tg.grad(f)(x).any() and not tg.hessian(f)(x).any()
    with np.errstate(invalid="ignore"):
        same(gradients(np.std, [INF, INF]), [[NAN, NAN]])
        same(gradients(np.std, [NAN]), [[NAN]])


def test_determinants_of_what_is_not_finite():
    with np.errstate(invalid="ignore"):
        a = np.stack([[[NAN, 1.0], [1.0, 2.0]], [[3.0, 1.0], [1.0, 2.0]], [[INF, 1.0], [1.0, 2.0]]])
        slope = tg.grad(lambda a: np.sum(np.linalg.det(a)))(a)
    assert np.isnan(slope[0]).all() and np.isnan(slope[2]).all()
    np.testing.assert_allclose(slope[1], [[2, -1], [-1, 3]], rtol=1e-14)


def test_powers_of_2_beyond_what_a_float_holds():
    same(tg.grad(lambda x: np.ldexp(x, 1000))(2.0), 2.0**1000)
    with np.errstate(over="ignore"):
        same(tg.grad(lambda x: np.ldexp(x, 1025))(0.5), INF)


@pytest.mark.parametrize(
    "f", [lambda x: np.copysign(x, 2.0) ** 2, lambda x: np.linalg.norm(np.append(x, 2.0), 1.5), lambda x: abs(x) ** 1.5]
)
def test_second_derivatives_at_a_tip_are_never_silently_0(f):
    with np.errstate(all="ignore"):
        assert tg.hessian(lambda x: np.sum(f(x)))(np.zeros(1)) != 0


def test_a_mask_in_fortrans_order_gives_numpys_last_bit():
    x, mask = np.random.default_rng(0).normal(size=(40, 50)).T, np.random.default_rng(1).random((50, 40)) < 0.5
    for order in "CF":
        laid_out = np.array(mask, order=order)
        assert np.sum(Tensor(x, requires_grad=True), where=laid_out).item() == np.sum(x, where=laid_out)


def test_second_derivatives_of_norms_that_have_one_at_0():
    for p in (2.5, 3, 4):
        assert not tg.hessian(lambda x, p=p: np.linalg.norm(x, p))(np.array([0.0, 2.0])).any()
    with np.errstate(divide="ignore"):  # NumPy's own warning
        same(gradients(lambda x: np.linalg.norm(x, -1), [0.0, 1.0]), [[0, 0]])


def test_a_mean_is_divided_by_the_number_itself():
    """Also above 2²⁴, where a float32 holds no odd numbers."""
    n = 2**24 + 1
    assert per(np.float64(1.0), n) == 1 / n
    assert per(np.float16(1.0), 90_000) == np.float32(1) / np.float32(90_000)
    assert per(np.float16(1.0), 3).dtype == np.float16
