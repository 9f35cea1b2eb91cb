"""NumPy's options of reductions, and the keywords and methods of ufuncs."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.rules.test_numpy import value_and_derivatives
from tinygrad_edu import Tensor, grad, hessian, jacobian

NAN, INF = np.nan, np.inf
MASK = np.array([[True, False, True, True], [False, True, True, False], [True, True, False, True]])
MATRIX, CUBE = (3, 4), (2, 3, 4)
SPREADS = np.var, np.std, np.nanvar, np.nanstd

CALLS = [
    *((lambda a, f=f: f(a, axis=1, where=MASK), [MATRIX]) for f in (np.mean, np.prod, np.var, np.nanstd)),
    *((lambda a, f=f: f(a, axis=0, where=a > -1.2, keepdims=True), [(9, 2)]) for f in (np.mean, np.var, np.std)),
    *((lambda a, f=f: f(a, where=MASK), [CUBE]) for f in (np.std, np.nanmean, np.nansum, np.nanprod)),
    *((lambda a, f=f: f(a, 0, where=MASK[:, :1]), [MATRIX]) for f in (np.mean, np.sum, np.var)),
    *((lambda a, f=f: f(a, axis=1, correction=1), [MATRIX]) for f in (np.var, np.std)),
    *((lambda a, f=f: f(a, axis=1, ddof=1, where=MASK), [MATRIX]) for f in (np.nanvar, np.std)),
    *((lambda a, b, f=f: f(a, 0, None, None, 1, True, mean=b, where=MASK), [MATRIX, (1, 4)]) for f in SPREADS),
    *((lambda a, b, f=f: f(a, axis=0, correction=1, mean=b), [MATRIX, (1, 4)]) for f in (np.var, np.std)),
    *((lambda a, f=f: f(a, axis=1, dtype=np.float64), [MATRIX])
      for f in (np.mean, np.prod, np.cumsum, np.cumprod, np.nansum, np.nanmean, np.nanprod, np.var, np.std)),
    (lambda a: np.trace(a, dtype=np.float64), [MATRIX]),
    (lambda a: np.cumulative_sum(a, axis=1, dtype=np.float64), [MATRIX]),
    *((lambda a, f=f: f(a, axis=1, initial=0.3), [MATRIX]) for f in (np.max, np.min, np.nanmax, np.nanmin, np.prod)),
    *((lambda a, f=f: f.reduce(a, axis=1, initial=0.7), [MATRIX]) for f in (np.subtract, np.logaddexp, np.maximum)),
    *((lambda a, f=f: f.reduce(a, axis=1, where=MASK), [MATRIX]) for f in (np.add, np.logaddexp, np.hypot)),
    *((lambda a, f=f: f.reduce(a, axis=1, dtype=np.float64), [MATRIX]) for f in (np.add, np.hypot)),
    (lambda a: np.hypot.accumulate(a, axis=1, dtype=np.float64), [MATRIX]),
    (lambda a: np.add.reduceat(a, [0, 1], 1, dtype=np.float64), [MATRIX]),
    (lambda a: np.maximum.reduceat(a, [1, 0, 2]), [MATRIX]),
    (lambda a: np.multiply(a, [[1], [2], [3]], dtype=np.float64, casting="safe"), [MATRIX]),
]  # fmt: skip


INTO_ARRAYS = [
    (lambda a, b: np.divide(a, b, out=np.zeros(MATRIX), where=MASK), [MATRIX, (4,)]),
    (lambda a: np.log(a, out=np.full(MATRIX, 7.0), where=a > 0), [MATRIX]),
    (lambda a: np.arccosh(a * 9, out=np.full(MATRIX, 7.0), where=a > 0.3), [MATRIX]),
    (lambda a: np.power(2, a, out=np.ones(CUBE), where=MASK), [MATRIX]),
    (lambda a: np.ldexp(a, np.arange(4), out=np.ones(MATRIX), where=MASK), [MATRIX]),
    (lambda a: np.add.outer(a, a, out=np.ones((4, 4)), where=MASK[0]), [(4,)]),
]


@pytest.mark.parametrize("k", range(len(CALLS)))
def test_value_and_derivatives(k):
    value_and_derivatives(*CALLS[k])


@pytest.mark.parametrize("k", range(len(INTO_ARRAYS)))
def test_into_an_array_where_a_mask_says_so(k):
    call, shapes = INTO_ARRAYS[k]  # of tensors without a gradient it gives the array
    value_and_derivatives(lambda a, *b: call(a, *b) + np.sum(a), shapes)


def slope(call, x):
    t = Tensor(x, requires_grad=True)
    np.sum(call(t)).backward()
    return t.grad.tolist()


class TestReductions:
    def test_methods_take_the_options(self):
        x = np.arange(1.0, 13).reshape(MATRIX)
        t = Tensor(x, requires_grad=True)
        for call in (
            lambda a: a.sum(axis=0, where=MASK, initial=2.0), lambda a: a.mean(axis=1, where=MASK),
            lambda a: a.max(axis=1, initial=3.0), lambda a: a.min(axis=1, where=MASK, initial=3.0, keepdims=True),
            lambda a: a.prod(axis=1, initial=2.0), lambda a: a.sum(dtype=np.float32),
            lambda a: a.mean(dtype=np.float32),
            lambda a: a.var(axis=0, where=MASK), lambda a: a.std(axis=1, where=MASK, dtype=np.float32),
            lambda a: a.cumsum(1, np.float32), lambda a: a.cumprod(1, dtype=np.float32),
            lambda a: a.trace(dtype=np.float32), lambda a: a.var(axis=1, mean=a.mean(axis=1, keepdims=True)),
        ):  # fmt: skip
            have = call(t)
            assert have.requires_grad and have.dtype == call(x).dtype
            np.testing.assert_allclose(have.numpy(), call(x), rtol=1e-6)

    def test_what_is_added_up_in_more_digits(self):
        x = np.array([0.1, 1e4, 0.3], np.float32)
        for f in (np.sum, np.mean, np.prod, np.cumsum, np.cumprod, np.var, np.std, np.nanvar):
            t = Tensor(x, requires_grad=True)
            y = f(t, dtype=np.float64)
            assert y.dtype == np.float64
            np.testing.assert_allclose(y.numpy(), f(x.astype(np.float64)), rtol=1e-14)
            np.sum(y).backward()
            assert t.grad.dtype == np.float32

    def test_the_gradient_is_computed_in_the_dtype(self):
        x = np.array([3e4, 2e4, 1.0], np.float16)
        np.testing.assert_allclose(slope(lambda t: np.prod(t, dtype=np.float64) / 1e9, x), [2e-5, 3e-5, 0.6], rtol=1e-2)
        y = np.array([1.0, 1 + 2.0**-10, 1 + 2.0**-9], np.float16)  # whose mean a float16 does not hold
        exact = 2 / 3 * (y.astype(float) - y.astype(float).mean())
        for f in (np.var, lambda t, **o: np.var(t, where=t > 0, **o)):
            np.testing.assert_allclose(slope(lambda t, f=f: f(t, dtype=np.float64), y), exact, rtol=1e-3, atol=1e-8)

    @pytest.mark.parametrize(
        "f", [np.sum, np.mean, np.prod, np.cumsum, np.cumprod, np.trace, np.nansum, np.cumulative_sum]
    )
    def test_integers_have_no_gradient(self, f):
        t = Tensor(np.eye(2) if f is np.trace else np.ones(3), requires_grad=True)
        with pytest.raises(TypeError, match="int"):
            f(t, dtype=int)

    def test_an_initial_value_is_one_more_element(self):
        for f in (np.max, np.nanmax):
            assert slope(lambda t, f=f: f(t, initial=2.0), [2.0, 1.0, 2.0]) == [1 / 3, 0, 1 / 3]
            assert slope(lambda t, f=f: f(t, initial=5.0), [2.0, 1.0, 2.0]) == [0, 0, 0]
            assert slope(lambda t, f=f: f(t, where=t < 2, initial=-INF), [2.0, 1.0, 2.0]) == [0, 1, 0]
        assert slope(lambda t: np.max(t, initial=NAN), [2.0, 1.0]) == [0, 0]
        assert slope(lambda t: np.max(t, initial=1.0), [NAN, 1.0, NAN]) == [0.5, 0, 0.5]
        assert slope(lambda t: np.min(t, initial=0.5), np.zeros((0, 2))) == []

    def test_what_is_left_out_may_be_nan(self):
        x, mask = np.array([1.0, NAN, 4.0, INF]), np.array([True, False, True, False])
        for f in (np.sum, np.mean, np.prod, np.var, np.std):
            call = lambda a, f=f: f(a, where=mask)
            kept = lambda a, f=f: f(a)
            assert call(Tensor(x)).item() == pytest.approx(kept(x[mask]))
            found, wanted = grad(call)(x), grad(kept)(x[mask])
            np.testing.assert_allclose(found[mask], wanted, rtol=1e-14)
            assert found[~mask].tolist() == [0, 0]
            found = hessian(call)(x)
            np.testing.assert_allclose(found[np.ix_(mask, mask)], hessian(kept)(x[mask]), rtol=1e-13, atol=1e-15)
            assert not found[~mask].any() and not found[:, ~mask].any()

    def test_spread_of_single_numbers_and_of_none(self):
        x = np.array([[1.0, NAN, NAN], [1.0, 2.0, NAN], [3.0, 3.0, 3.0]])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            assert slope(lambda t: np.nanstd(t, axis=1), x) == [[0, 0, 0], [-0.5, 0.5, 0], [0, 0, 0]]
            assert not hessian(np.nanstd)(x[0]).any()
            assert np.isnan(slope(lambda t: np.nanvar(t, axis=1, ddof=1), x)[0]).tolist() == [True, False, False]
            assert slope(lambda t: np.nanvar(t, axis=0), np.full((2, 1), NAN)) == [[0], [0]]
            for f in (np.mean, np.var, np.std, np.nansum, np.nanmean):
                assert slope(lambda t, f=f: f(t, where=False), [1.0, 2.0]) == [0, 0]
        assert slope(lambda t: np.std(t, mean=2.0), [2.0, 2.0]) == [0, 0]
        for x in (1.1, -1.1):  # whose mean is rounded
            assert slope(lambda t: np.std(t, where=abs(t) < 2), [x] * 6 + [5.0]) == [0] * 7
        assert slope(lambda t: np.var(t, axis=1), [[0.0, 3.0, 6.0], [3.0, 3.0, 12.0]]) == [[-2, 0, 2], [-2, -2, 4]]
        assert np.isnan(np.std(Tensor([NAN, 1.0]), mean=1.0).item())

    def test_about_a_mean_in_few_digits(self):
        t = Tensor(np.array([1, 2, 4], np.float16), requires_grad=True)
        for f in (np.var, np.std):
            y = f(t, mean=np.mean(t, keepdims=True))
            assert y.dtype == np.float16
            assert y.item() == pytest.approx(f(t.numpy()), rel=1e-2)
        assert np.var(t, mean=np.float16(2), dtype=np.float64).dtype == np.float64

    def test_quantiles_of_rows_with_differently_many_numbers(self):
        x = np.array([[3.0, NAN, 1.0, 2.0], [NAN, 5.0, NAN, 4.0], [NAN, NAN, 7.0, NAN], [1.0, 2.0, 3.0, 4.0]])
        wanted = [[0, 0, 0, 1], [0, 0.5, 0, 0.5], [0, 0, 1, 0], [0, 0.5, 0.5, 0]]
        for f in (np.nanmedian, lambda t, axis: np.nanquantile(t, 0.5, axis=axis)):
            assert slope(lambda t, f=f: f(t, axis=1), x) == wanted
        with pytest.warns(RuntimeWarning, match="All-NaN slice"):
            assert slope(lambda t: np.nanmedian(t, axis=0), [[NAN, 1.0]]) == [[0, 1]]
        cube, table = (
            np.stack([x, 2 * x]),
            [[0.3], [0.6]],
        )  # only of several axes, but not of all, is no table of shares
        for q, axis in (([0.3, 0.6], (0, 1)), (table, 1), (table, None), (0.3, (0, 1))):
            y = np.nanquantile(tg.Tensor(cube, requires_grad=True), q, axis=axis)
            np.testing.assert_array_equal(y.numpy(), np.nanquantile(cube, q, axis=axis))
        found = tg.derive(lambda a: np.nanquantile(a, [0.3, 0.6], axis=1).sum(), x)
        np.testing.assert_array_equal(found(x)[1][0], slope(lambda t: np.nanquantile(t, [0.3, 0.6], axis=1), x))

    def test_running_extrema_share_ties_as_extrema_do(self):
        x = np.array([1.0, 3.0, 3.0, 2.0, 3.0, 4.0, 4.0])
        found = jacobian(lambda a: np.maximum.accumulate(a))(x)
        for k in range(len(x)):
            np.testing.assert_allclose(found[k, : k + 1], grad(np.max)(x[: k + 1]), rtol=1e-15)
            assert not found[k, k + 1 :].any()
        np.testing.assert_array_equal(jacobian(lambda a: np.minimum.accumulate(a))(-x), found)
        assert jacobian(lambda a: np.maximum.accumulate(a))(np.array([1.0, NAN, 2.0, NAN])).tolist() == [
            [1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0.5, 0, 0.5]]  # fmt: skip
        assert slope(lambda t: np.maximum.accumulate(t, axis=1), np.zeros((2, 0))) == [[], []]

    def test_methods_of_ufuncs_on_few_axes(self):
        x = [3.0, 4.0, 2.0]
        for f in (np.add, np.maximum, np.hypot):
            assert slope(f.reduce, 3.0) == 1
            run = lambda t, axis, f=f: f.accumulate(t, axis=axis) * [1.0, 2.0, 4.0]
            assert slope(lambda t, run=run: run(t, None), x) == slope(lambda t, run=run: run(t, 0), x)
        for f, wanted in ((np.maximum, [0, 1, 0]), (np.minimum, [0, 0, 1])):
            assert slope(lambda t, f=f: f.reduce(t, dtype=np.float32), x) == wanted

    def test_reductions_by_ufuncs_are_those_of_numpy_s_functions(self):
        """Also of ties, which one by one would be shared in another way; and along the first axis if none is named."""
        x = np.array([[2.0, 1.0, 3.0], [2.0, 0.0, 1.0], [2.0, 1.0, 0.0]])
        for method, function in ((np.maximum.reduce, np.max), (np.minimum.reduce, np.min)):
            np.testing.assert_array_equal(jacobian(method)(x), jacobian(lambda t, f=function: f(t, axis=0))(x))
        t = Tensor(x, requires_grad=True)
        for f in (np.logical_and, np.logical_or):
            np.testing.assert_array_equal(f.reduce(t), f.reduce(x))
        for f in (np.logaddexp, np.hypot):
            np.testing.assert_allclose(f.reduce(t).numpy(), f.reduce(x), rtol=1e-14)
            np.testing.assert_array_equal(f.accumulate(t).numpy(), f.accumulate(x))
            y = f.reduce(t, 1, keepdims=True, initial=0.5)
            assert y.shape == (3, 1)
            np.testing.assert_allclose(y.numpy(), f.reduce(x, 1, keepdims=True, initial=0.5), rtol=1e-15)

    def test_keywords_of_calls(self):
        x = np.array([1.5, -0.25, 0.0])
        for f in (np.add, np.divide, np.arctan2):  # of two numbers, in a dtype
            y = f(Tensor(x, requires_grad=True), 3, dtype=np.float32)
            np.testing.assert_array_equal(y.numpy(), f(x, 3, dtype=np.float32), strict=True)
        for found, plain in zip(
            np.divmod(Tensor(x), 0.5, dtype=np.float32), np.divmod(x, 0.5, dtype=np.float32), strict=True
        ):
            np.testing.assert_array_equal(np.asarray(found), plain, strict=True)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert slope(lambda t: np.log(t, out=np.ones(3), where=False), x) == [0, 0, 0]
            counts, wanted = np.array([0, 2, 5]), [7, 4, 1]
            found = np.floor_divide(Tensor([9, 9, 9]), counts, out=Tensor([7, 7, 7]), where=counts > 0)
            assert found.numpy().tolist() == wanted

    def test_ties_with_what_is_left_out(self):
        mask = np.array([True, False, True])
        for f in (np.max, np.nanmax):
            assert slope(lambda t, f=f: f(t, where=mask, initial=-INF), [2.0, 2.0, 2.0]) == [0.5, 0, 0.5]
            assert slope(lambda t, f=f: f(t, where=False, initial=2.0), [2.0, 2.0]) == [0, 0]

    def test_running_sums_say_what_is_wrong(self):
        t = Tensor(np.ones((2, 2)), requires_grad=True)
        with pytest.raises(ValueError, match="cumulative_sum: of an array with several axes, say which"):
            np.cumulative_sum(t)
        for f in (np.add, np.maximum, np.hypot):
            with pytest.raises(TypeError, match="a single number has no axis"):
                f.accumulate(t[0, 0])
            with pytest.raises(ValueError, match="accumulate: of an array with several axes, say which"):
                f.accumulate(t, axis=None)

    @pytest.mark.parametrize("ufunc", [np.fmax, np.fmin, np.subtract, np.divide], ids=lambda f: f.__name__)
    @pytest.mark.parametrize("axis", [0, -1, None])
    def test_a_chosen_part_without_identity(self, ufunc, axis):
        x, mask = np.random.default_rng(1).uniform(0.5, 2, (3, 4)), np.arange(12).reshape(3, 4) % 5 != 1
        if axis is None and ufunc in (np.subtract, np.divide):
            return  # in which order is not said
        reduced = lambda x: ufunc.reduce(x, axis=axis, where=mask, initial=1.25)
        np.testing.assert_allclose(reduced(Tensor(x, requires_grad=True)).numpy(), reduced(x), rtol=1e-15)
        assert tg.gradcheck(reduced, x)
        left_out = np.where(mask, x, 0)
        np.testing.assert_array_equal(tg.grad(lambda x: reduced(x).sum())(left_out)[~mask], 0)

    def test_reductions_of_ufuncs_say_what_is_wrong(self):
        t = Tensor(np.ones((2, 2)), requires_grad=True)
        for call, error, message in (
            (lambda: np.subtract.reduce(t, axis=None), ValueError, "not reorderable"),
            (lambda: np.hypot.reduce(t, axis=5), ValueError, "out of bounds"),
            (lambda: np.fmax.reduce(t, where=MASK[:2, :2]), ValueError, "fmax.reduce: .* no identity.* initial="),
            (lambda: np.divide.reduce(t[:0]), ValueError, "no identity"),
            *(
                (lambda f=f: f.reduceat(t, [0, 2]), IndexError, "out-of-bounds|out of bounds")
                for f in (np.add, np.maximum)
            ),
            (lambda: np.nanquantile(t[None], [[0.5]], (0, 1)), TypeError, "nanquantile: along several axes"),
        ):
            with pytest.raises(error, match=message):
                call()
        assert np.hypot.reduce(t[:0]).tolist() == [0, 0]
        assert np.divide.reduce(t[:0], initial=3.0).tolist() == [3, 3]
        assert np.hypot.accumulate(t[:0], dtype=np.float32).shape == (0, 2)
        assert np.hypot.accumulate(t[:0], dtype=np.float32).dtype == np.float32
        for f in (np.add, np.hypot):
            assert f.reduceat(t, np.zeros(0, int), axis=1).shape == (2, 0)
        assert np.maximum.reduce(t, dtype=np.float32).dtype == np.float32


class TestUfuncs:
    def test_a_division_by_zero_that_is_left_out(self):
        a, b = np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.0, 4.0])
        quotient = lambda a, b: np.divide(a, b, out=np.zeros_like(a), where=b != 0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            np.testing.assert_array_equal(tg.value_and_grad(lambda a: quotient(a, b).sum())(a)[1], [0, 0, 0.25])
            assert grad(lambda b: quotient(a, b).sum())(b).tolist() == [0, 0, -0.125]
            assert hessian(lambda b: quotient(a, b).sum())(b)[2].tolist() == [0, 0, 0.0625]
            derived = tg.derive(lambda a, b: quotient(a, b).sum(), a, b)
            value, (da, db) = derived(a, b)
            slope = grad(lambda a: np.arcsin(a, out=np.zeros(2), where=a < 1).sum())
            assert slope(np.array([0.0, 2.0])).tolist() == [1, 0]
        assert (value, da.tolist(), db.tolist()) == (0.5, [0, 0, 0.25], [0, 0, -0.125])

    def test_into_an_array_of_a_derivation(self):
        f = lambda a: np.square(a, out=np.array([6.0, 7.0]), where=[True, False]).sum()
        value, (slope,) = tg.derive(f, np.ones(2))(np.array([3.0, 4.0]))
        assert (value, slope.tolist()) == (16, [6, 0])

    def test_whoever_reads_on_in_the_array_finds_no_numbers(self):
        out, t = np.array([1.0, 2.0]), Tensor([4.0, 9.0], requires_grad=True)
        y = np.sqrt(t, out=out, where=np.array([True, False]))
        assert y.tolist() == [2, 2] and np.isnan(out).all()
        out = np.array([1.0, 2.0])
        with tg.no_grad():
            assert np.sqrt(t, out=out, where=np.array([True, False])).tolist() == out.tolist() == [2, 2]
        out = np.array([1.0, 2.0])
        assert np.sqrt(t.detach(), out=out, where=np.array([True, False])) is out
        assert out.tolist() == [2, 2]

    def test_into_a_tensor(self):
        import tinygrad_edu.numpy as tnp

        def f(x):
            out = tnp.zeros(2)
            np.multiply(x, x, out=out)
            np.divide(out, x, out=out, where=x > 2)
            return np.sum(out)

        assert grad(f)(np.array([1.0, 3.0])).tolist() == [2, 1]

    def test_float32_stays_float32(self):
        t = Tensor(np.ones(2, np.float32), requires_grad=True)
        y = np.divide(1, t, out=np.zeros(2, np.float32), where=np.array([True, False]))
        assert y.dtype == np.float32
        y = np.divide(1, t, out=np.zeros(2), where=np.array([True, False]))
        assert np.divide(1, y, out=np.zeros(2, np.float32), where=y > 0).dtype == np.float32
        assert y.dtype == np.float64 and np.exp(t, dtype=np.float64).dtype == np.float64

    @pytest.mark.parametrize(
        ("call", "error", "message"),
        [
            (lambda t: np.exp(t, where=t > 0), TypeError, "exp: with where= but without out=.*np.where"),
            (lambda t: np.exp(t, out=np.zeros(2)), TypeError, "cannot write a Tensor's result into an array"),
            (lambda t: np.exp(t, out=np.zeros(2, int), where=t > 0), TypeError, "does not go into out= of int64"),
            (lambda t: np.exp(t, out=np.zeros(1), where=[True]), ValueError, r"does not fit into out= of shape \(1,\)"),
            (lambda t: np.add(t, t, casting="no", dtype=np.float32), TypeError, "Cannot cast"),
            (lambda t: np.add(t, 1, dtype=int, casting="unsafe"), TypeError, "dtype=int64, of a tensor"),
            (lambda t: np.add.at(np.zeros(2), [0], t[0]), TypeError, "add.at cannot change a plain array by a tensor"),
            (lambda t: np.add.at(t, [0], 1.0), TypeError, "copy"),
            (lambda t: np.multiply.at(t * 2, [0, 0], 1.0), TypeError, "multiply.at: an index occurs twice"),
        ],
    )  # fmt: skip
    def test_refused(self, call, error, message):
        with pytest.raises(error, match=message):
            call(Tensor([1.0, 2.0], requires_grad=True))


class TestConstants:
    def test_operators_on_bits(self):
        x, y = np.array([5, 6, 9]), np.array([3, 1, 2])
        for call in (
            lambda a, b: a & b, lambda a, b: a | b, lambda a, b: a ^ b, lambda a, b: a << b, lambda a, b: a >> b,
            lambda a, b: ~a, lambda a, b: a & 1, lambda a, b: 12 & a, lambda a, b: 12 | a, lambda a, b: 12 ^ a,
            lambda a, b: 12 << b, lambda a, b: 12 >> b, np.gcd, np.lcm, np.left_shift, np.right_shift,
            lambda a, b: np.bitwise_or.reduce(a), lambda a, b: np.gcd.reduce(a), lambda a, b: np.less.outer(a, b),
            lambda a, b: (a > 5) & (b > 1), lambda a, b: ~(a > 5),
        ):  # fmt: skip
            found = call(Tensor(x), Tensor(y))
            assert isinstance(found, np.ndarray | np.integer) and found.dtype == call(x, y).dtype
            np.testing.assert_array_equal(found, call(x, y))
        with pytest.raises(TypeError, match="bitwise_and"):
            Tensor([1.0]) & 1

    def test_functions_through_which_no_gradient_flows(self):
        x = np.array([3.0, 1.0, NAN, -INF, 2.0, 2.0])
        for call in (
            lambda a: np.isin(a, [1.0, 2.0]), lambda a: np.isin([1.0, 2.0, 4.0], a), np.isposinf, np.isneginf,
            np.nanargmax, np.nanargmin, lambda a: np.logical_or.reduce(a), lambda a: np.less.outer(a, a),
        ):  # fmt: skip
            found = call(Tensor(x, requires_grad=True))
            assert not isinstance(found, Tensor)
            np.testing.assert_array_equal(found, call(x))

    def test_angle_of_reals(self):
        x = np.array([-2.0, 0.0, 3.0])
        for deg in (False, True):
            np.testing.assert_array_equal(np.angle(Tensor(x, requires_grad=True), deg).numpy(), np.angle(x, deg))
            assert slope(lambda t, deg=deg: np.angle(t, deg=deg), x) == [0, 0, 0]
