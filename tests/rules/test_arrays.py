"""Windows, counts, interpolation, covariances, polynomials, pieces, and writing: kinks, edges, and what is refused.

Values and derivatives of usual calls are checked in `test_numpy.py`.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import tinygrad_edu as tg
from tinygrad_edu.rules import windows

nan, inf = np.nan, np.inf


def slopes(call, *arrays):
    """The gradients of the sum of the result, whose values are NumPy's."""
    leaves = [tg.Tensor(np.array(a, float), requires_grad=True) for a in arrays]
    y = call(*leaves)
    np.testing.assert_array_equal(y.numpy(), call(*(leaf.numpy() for leaf in leaves)))
    y.sum().backward()
    return [leaf.grad.tolist() for leaf in leaves]


def leaf(values):
    return tg.Tensor(np.array(values, float), requires_grad=True)


# Windows


@pytest.mark.parametrize("shape", [(40, 3), (3, 40), (50, 50, 2)])
def test_windows_are_added_back_a_few_at_a_time(shape, monkeypatch):
    g = np.random.default_rng(0).normal(size=shape)
    whole = windows._sum_of_windows(g, axes=(0,))
    monkeypatch.setattr(windows, "AT_A_TIME", 20)
    np.testing.assert_allclose(windows._sum_of_windows(g, axes=(0,)), whole, rtol=1e-13)
    total = np.zeros_like(whole)
    for i in range(shape[0]):
        total[i : i + shape[-1]] += np.moveaxis(g[i], -1, 0)
    np.testing.assert_allclose(whole, total, rtol=1e-13)
    assert windows._sum_of_windows(g.reshape(*shape[:-1], 1, -1)[..., :0, :], axes=(0,)).size == 0


def test_windows_are_views():
    x = np.arange(5.0, dtype=np.float32)
    t = tg.Tensor(x, requires_grad=True)
    y = sliding_window_view(t, 2)
    assert y.dtype == np.float32 and np.shares_memory(y.data, x) and not y.data.flags.writeable
    (y * np.float32(1)).sum().backward()
    assert t.grad.tolist() == [1, 2, 2, 2, 1] and t.grad.dtype == np.float32
    with pytest.raises(TypeError, match="writeable= is not supported"):
        sliding_window_view(t, 2, writeable=True)
    with pytest.raises(ValueError, match="window shape cannot be larger"):
        sliding_window_view(t, 6)


def test_windows_in_a_derivation():
    x, k = np.random.default_rng(0).normal(size=8), np.array([1.0, -2.0, 0.5])
    f = lambda x, k: np.sum(np.tanh(sliding_window_view(x, 3) @ k))
    derived = tg.derive(f, x, k)
    for found, wanted in zip(derived(x, k)[1], tg.grad(f, (0, 1))(x, k), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-13)


# Counts


def test_counts():
    assert np.bincount(tg.Tensor([0, 1, 1])).tolist() == [1, 2]
    w = tg.Tensor(np.ones(3, np.float32), requires_grad=True)
    y = np.bincount(tg.Tensor([0, 2, 2]), w)
    assert y.dtype == np.float64 and y.tolist() == [1, 0, 2]
    (y * np.array([3.0, 5, 7])).sum().backward()
    assert w.grad.tolist() == [3, 7, 7] and w.grad.dtype == np.float32
    with pytest.raises(TypeError, match="bincount: x got a tensor that requires grad"):
        np.bincount(leaf([1.0, 2.0]))
    assert np.bincount(np.zeros(0, int), leaf([])).shape == (0,)
    with pytest.raises(ValueError, match="length"):
        np.bincount([0, 1], w)


def test_histograms():
    a = np.array([0.0, 0.1, 0.25, 0.5, 0.5, 1.0, 1.5, -0.5, nan])
    w = np.random.default_rng(0).normal(size=9)
    for bins in (4, [0.0, 0.2, 0.5, 1.0]):
        t = leaf(w)
        sums, edges = np.histogram(a, bins, (0, 1), weights=t)
        wanted, places = np.histogram(a, bins, (0, 1), weights=w)
        np.testing.assert_allclose(sums.numpy(), wanted, atol=1e-15)
        np.testing.assert_array_equal(edges, places)
        found = np.histogram(a, bins, (0, 1), True, t)[0]
        np.testing.assert_allclose(found.numpy(), np.histogram(a, bins, (0, 1), True, w)[0], rtol=1e-13)
        sums.sum().backward()
        assert t.grad.tolist() == [1, 1, 1, 1, 1, 1, 0, 0, 0]
    single = tg.Tensor(w[:8].astype(np.float32), requires_grad=True)
    assert np.histogram(a[:8], 4, weights=single)[0].dtype == np.float32
    assert np.histogram(a[:8], weights=single)[0].shape == (10,)
    assert np.histogram([0.0, 0.1], 4, (0, 1), weights=leaf([1.0, 2.0]))[0].tolist() == [3, 0, 0, 0]
    assert np.histogram(tg.Tensor([0.0, 1.0, 1.0]), 2)[0].tolist() == [1, 2]
    with pytest.raises(TypeError, match="histogram: a got a tensor that requires grad"):
        np.histogram(leaf([0.0, 1.0]))
    with pytest.raises(TypeError, match="gradient: the spacing got a tensor that requires grad"):
        np.gradient(leaf([0.0, 1.0]), leaf([0.0, 1.0]))
    with pytest.raises(ValueError, match="same shape"):
        np.histogram(a, weights=leaf([1.0]))


# Interpolation


XP, FP = [0.0, 1.0, 3.0], [1.0, 2.0, 0.0]


def test_interpolation_at_the_points():
    x = [-1.0, 0.0, 0.25, 1.0, 3.0, 4.0]
    by_x, by_xp, by_fp = slopes(np.interp, x, XP, FP)
    assert by_x == [0, 1, 1, -1, -1, 0]
    assert by_fp == [1 + 1 + 0.75, 0.25 + 1, 2]
    assert by_xp == [-1 - 0.75, -0.25 + 1, 1]
    assert slopes(lambda f: np.interp(x, XP, f, left=5.0, right=6.0), FP) == [[1.75, 1.25, 1]]
    assert slopes(lambda e: np.interp(e[2:] - e[2:] + x, XP, FP, e[0], e[1]), [7.0, 8, 9])[0][:2] == [1, 1]


def test_interpolation_across_jumps():
    assert slopes(lambda x, f: np.interp(x, [0, 1, 1, 2], f), [0.5, 1, 2], [0.0, 1, 5, 6]) == [
        [1, 1, 1],
        [0.5, 0.5, 1, 1],
    ]
    assert slopes(lambda x, f: np.interp(x, [0, 1, 1], f), [0.0, 1], [0.0, 1, 5]) == [[1, 0], [1, 0, 1]]
    assert slopes(np.interp, [0.5, 2, 3], [2.0], [4.0]) == [[0, 0, 0], [0], [3]]
    assert slopes(lambda x: np.interp(x, [0, 1], [0, 4]), [0.0, 1, 1.5]) == [[4, 4, 0]]
    assert slopes(lambda x: np.interp(x, XP, FP), np.zeros((0, 2))) == [np.zeros((0, 2)).tolist()]
    with np.errstate(all="raise"):
        t = leaf([nan, 0.5])
        y = np.interp(t, XP, FP)
        np.testing.assert_array_equal(y.numpy(), [nan, 1.5])
        y.sum().backward()
        np.testing.assert_array_equal(t.grad, [nan, 1])


def test_interpolation_of_singles_and_integers():
    t = tg.Tensor(np.array([0.25, 0.5], np.float32), requires_grad=True)
    y = np.interp(t, [0, 1], tg.Tensor([0, 4]))
    assert y.dtype == np.float64 and y.tolist() == [1, 2]
    y.sum().backward()
    assert t.grad.dtype == np.float32 and t.grad.tolist() == [4, 4]
    assert np.interp(tg.Tensor([0.5]), [0, 1], [0, 4]).tolist() == [2]
    with pytest.raises(ValueError, match="period must not be 0"):
        np.interp(t, [0, 1], [0, 4], period=0)
    with pytest.raises(ValueError, match="not of the same length"):
        np.interp(t, [0, 1], [0, 4, 5])
    with pytest.raises(TypeError, match="requires grad"):
        np.interp(t, [0, 1], [0, 4], period=t[0])


# Covariances


def test_covariances_of_few():
    t = leaf([[1.0, 2.0]])
    assert np.cov(leaf([1.0, 2, 4])).shape == () and np.cov(t).item() == 0.5
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="Degrees of freedom <= 0 for slice") as caught:
        assert np.isnan(np.cov(leaf([[3.0]])).item()) and np.isnan(np.cov(t, ddof=2, aweights=[0.0, 1.0]).item())
        assert np.cov(leaf([1.0]), leaf(2.0), rowvar=False).shape == (2, 2)
        assert np.isinf(np.cov(t, ddof=3).item()) and np.isinf(np.cov(t, ddof=4, fweights=[2, 1]).item())
        assert np.isnan(np.cov(leaf([1.0]), ddof=1).item()) and len(caught) >= 6
    assert caught[0].filename == __file__
    assert np.cov(t, dtype=np.float32).dtype == np.corrcoef(leaf([[1.0, 3], [2, 1]]), dtype=np.float32).dtype == "f4"
    m, y = np.array([[1.0, 2], [3, 1], [4, 7]]), np.array([2.0, 0, 1])
    for others in ((y,), (y[None],), (y[:, None],), (m,)):
        np.testing.assert_allclose(np.cov(leaf(m), *others, rowvar=False).numpy(), np.cov(m, *others, rowvar=False))
    np.testing.assert_allclose(np.cov(leaf(y), y, rowvar=False).numpy(), np.cov(y, y, rowvar=False))
    assert np.cov(tg.Tensor(np.ones((2, 3), np.float32))).dtype == np.float64
    assert np.cov(np.zeros((0, 3)), leaf(np.zeros((0, 3)))).shape == (0, 0)
    assert np.corrcoef(leaf([1.0, 3, 2])).item() == 1
    given = {"ddof": 2, "aweights": [0.5, 1.0, 2.0, 1.5]}
    assert np.cov(leaf([1.0, 3, 2, 7]), **given).item() == pytest.approx(np.cov([1.0, 3, 2, 7], **given), rel=1e-14)


def test_correlations_are_no_more_than_1():
    x = np.random.default_rng(0).normal(size=(1, 50))
    rows = np.concatenate([x * k for k in (1.0, 0.1, 0.7, -0.3)])
    assert np.abs(np.corrcoef(leaf(rows)).numpy()).max() <= 1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda t: np.cov(t, ddof=0.5), ValueError, "ddof must be a whole number"),
        (lambda t: np.cov(t[None]), ValueError, r"takes vectors and matrices, got shape \(1, 2, 3\)"),
        (lambda t: np.cov(t, aweights=[1.0, 2.0]), ValueError, r"aweights must have the shape \(3,\)"),
        (lambda t: np.cov(t, aweights=-t[0] - 1), ValueError, "aweights must not be negative"),
        (lambda t: np.cov(t, fweights=[1, -1, 2]), ValueError, "fweights must not be negative"),
        (lambda t: np.cov(t, fweights=[1, 0.5, 2]), TypeError, "fweights must be whole numbers"),
        (lambda t: np.cov(t, fweights=t[0]), TypeError, "requires grad"),
        (lambda t: np.polyder(t[0], -1), ValueError, "polyder: the order must not be negative, got -1"),
        (lambda t: np.polyint(t[0], -1), ValueError, "polyint: the order must not be negative, got -1"),
        (lambda t: np.polyint(t[0], 3, [1.0, 2.0]), ValueError, "3 integrals have as many constants, or one, got 2"),
        (lambda t: np.poly(t), TypeError, "takes the roots as a vector"),
        (lambda t: np.roots(t), ValueError, r"takes a vector of coefficients, got shape \(2, 3\)"),
        (lambda t: np.roots(t[1]), TypeError, "roots: 2 of 2 roots are complex"),
        (lambda t: np.polyfit(t[0], t[1], -1), ValueError, "expected deg >= 0"),
        (lambda t: np.polyfit(t, t, 1), TypeError, "expected 1D vector for x"),
        (lambda t: np.polyfit(t[0], t[1], 1, w=t), TypeError, "1-d array for weights"),
        (lambda t: np.polyfit(t[0] * 0 + 1, t[1], 1), ValueError, "has rank 1"),
        (lambda t: np.polyfit(t[0], t[1], 2, cov=True), ValueError, "takes more than 3 points, got 3"),
        (lambda t: np.vander(t), ValueError, r"takes a vector, got shape \(2, 3\)"),
        (lambda t: np.geomspace(t[0], 1.0), ValueError, "has no zeros"),
        (lambda t: np.geomspace(t[1], 0.0), ValueError, "has no zeros"),
        (lambda t: np.geomspace(t[1] * np.arange(3), 3.0), ValueError, "has no zeros"),
        (lambda t: np.geomspace(t[1], [1.0, 0.0, 2.0]), ValueError, "has no zeros"),
        *((lambda t, f=f: f(t[1], 1.0, -1), ValueError, "must not be negative, got -1")
          for f in (np.linspace, np.logspace, np.geomspace)),
        (lambda t: np.logspace(0.0, 1.0, base=t[0]), TypeError, r"base must be a single number, got shape \(3,\)"),
        (lambda t: np.unstack(t[0, 0]), ValueError, "a single number has no axis"),
        (lambda t: np.apply_along_axis(np.sum, 0, t[:, :0]), ValueError, "there are no rows along axis 0"),
        (lambda t: np.apply_over_axes(lambda x, k: np.sum(x), t, [0]), ValueError, "must drop axis 0 or keep it"),
        (lambda t: np.piecewise(t, [t > 0, t < 0, t == 0], [1.0]), ValueError, "3 conditions need as many functions"),
        (lambda t: np.trim_zeros(t[0], "x"), ValueError, "unexpected"),
    ],
)  # fmt: skip
def test_refused(call, error, message):
    if message == "unexpected" and np.lib.NumpyVersion(np.__version__) < "2.2.0":
        pytest.skip("NumPy 2.1 takes any letters")
    with pytest.raises(error, match=message):
        call(leaf([[0.0, 1, 2], [3, 4, 5]]))


# Polynomials


def test_polynomials_that_lose_their_leading_zeros():
    for a, b in (([0.0, 0, 2, 1], [0.0, 3]), ([0.0, 0], [1.0, 2])):
        np.testing.assert_array_equal(np.polymul(leaf(a), leaf(b)).numpy(), np.polymul(a, b))
    assert slopes(np.polymul, [0.0, 2], [0.0, 3, 1]) == [[1, 4], [0, 2, 2]]  # as if they were nearly 0
    assert np.poly(leaf([])) == 1
    assert np.polyder(leaf([3.0]), 2).shape == (0,)
    assert np.polyint(leaf([2.0]), 0).tolist() == [2] and np.polyder(leaf([2.0]), 0).tolist() == [2]


def test_long_division_as_numpy_does_it():
    for u, v in (([1.0, 5, 6], [1.0, 2]), ([1.0, 2], [1.0, 2, 3]), (3.0, [2.0]), ([1, 2, 3], [0.5, 1])):
        for found, wanted in zip(np.polydiv(leaf(u), v), np.polydiv(u, v), strict=True):
            np.testing.assert_array_equal(found.numpy() if isinstance(found, tg.Tensor) else found, wanted)
    assert np.polydiv(tg.Tensor([1.0, 0, 1e-9]), [1.0, 0])[1].tolist() == [1e-9]  # nearly 0, and the last


def test_fits_as_numpy_s():
    x, y = np.arange(4.0), np.array([[1.0, 3], [2, 2], [5, 0], [7, 1]])
    for options in ({"full": True}, {"cov": True}, {"cov": "unscaled", "w": [1, 2, 1, 1]}, {"rcond": 1e-9}):
        for values in (y, y[:, 0]):
            found, wanted = np.polyfit(x, leaf(values), 1, **options), np.polyfit(x, values, 1, **options)
            for a, b in zip(found, wanted, strict=True):
                a = a.numpy() if isinstance(a, tg.Tensor) else a
                np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)
                assert np.shape(a) == np.shape(b)
    assert np.polyfit(x, leaf(y), 1, full=True)[4] == np.polyfit(x, y, 1, full=True)[4]  # rcond
    with pytest.warns(np.exceptions.RankWarning, match="poorly conditioned") as caught:
        np.polyfit(leaf([0.0, 1.0]), y[:2, 0], 2)
    assert caught[0].filename == __file__


def test_roots():
    assert np.roots(leaf([0.0, 0, 1, -3, 2, 0])).tolist() == pytest.approx([2, 1, 0])
    np.testing.assert_allclose(slopes(lambda p: np.roots(p)[0], [0.0, 1, -3, 2, 0])[0], [-8, -4, -2, -1, -0.5])
    assert np.roots(leaf([5.0])).shape == (0,) and np.roots(leaf([0.0, 0])).shape == (0,)
    np.testing.assert_array_equal(np.roots(tg.Tensor([1.0, 0, 1])), np.roots([1.0, 0, 1]))  # complex, of a constant
    twice = [np.poly([0.3, 0.3]), np.poly([0.9, 0.9]), np.poly([1410.0, 1410.0]), 1e6 * np.poly([1.9, 1.9])]
    for p in ([1.0, -2, 1], [1.0, 0, 0], [-3.0, -6, -3], *twice):  # twice the same but for rounding
        with pytest.raises(ValueError, match=r"roots: -?[\d.]* is a multiple root"):
            slopes(lambda p: np.sum(np.roots(p)), p)
    near = tg.grad(lambda p: np.roots(p)[0])(np.poly([1.0, 1.001]))  # and yet apart
    np.testing.assert_allclose(near, -np.array([1.001**2, 1.001, 1]) / 0.001, rtol=1e-6)


@pytest.mark.parametrize("call", [np.polyder, np.polyint, np.vander, np.poly, np.ediff1d, np.unwrap,
                                  lambda p: np.polyval(p, p), lambda p: np.polymul(p, p), lambda p: np.linspace(p, 3),
                                  lambda p: np.linspace(p[0], 2), lambda p: np.logspace(p, 2), np.bincount,
                                  lambda p: np.geomspace(p, 3), lambda p: np.polyadd(p, [1.0]),
                                  lambda p: np.polydiv(p, p[:2])[0], lambda p: np.polyfit(p, p, 1),
                                  lambda p: np.roots(np.append(p[:2], np.zeros(1, p.dtype)))])  # fmt: skip
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_dtypes_are_numpy_s(call, dtype):
    if call is np.bincount:
        call = lambda p: np.bincount([0, 1, 1], p)
    p = np.array([1, 2, 5], dtype)
    found, wanted = call(tg.Tensor(p)), call(p)
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found.numpy(), wanted, rtol=3e-6)


# Joining, dropping and inserting


def test_blocks_as_numpy_s():
    t = leaf([1.0, 2.0])
    for arrays in (
        [t, 3.0], [[t], [t]], [[[t]], [[t]]], [[np.ones((2, 1)), leaf(np.eye(2))], [t[:1], t]], t, t[0], [[t[0], 1.0]],
        [[np.ones((1, 2, 2)), leaf(np.zeros((1, 2, 1)))]], [[leaf(np.zeros((2, 0))), t[:, None]]],
    ):  # fmt: skip
        plain = tg.autograd.recording.plain(arrays)
        np.testing.assert_array_equal(np.block(arrays).numpy(), np.block(plain))
        assert np.block(arrays).shape == np.block(plain).shape
    for wrong, message in (([[t], t], "same depth"), ([t, [t]], "same depth"), ([[], [t]], "empty")):
        with pytest.raises(ValueError, match=message):
            np.block(wrong)


@pytest.mark.parametrize("obj", [0, 2, -1, [1, 1, -1], [3], slice(0, 3, 2), np.array([True, False, True, False]), []])
@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_inserted_and_deleted(obj, axis):
    if isinstance(obj, np.ndarray) and np.lib.NumpyVersion(np.__version__) < "2.2.0":
        pytest.skip("NumPy 2.1 takes masks for numbers, and warns")
    x = np.arange(16.0).reshape(4, 4)
    if axis is not None or not isinstance(obj, np.ndarray):  # a mask fits the axis
        np.testing.assert_array_equal(np.delete(leaf(x), obj, axis).numpy(), np.delete(x, obj, axis))
    for values in (7.0, np.arange(4.0) + 20, np.arange(4.0).reshape(4, 1), np.arange(8.0).reshape(2, 4)):
        try:
            wanted = np.insert(x, obj, values, axis)
        except ValueError:
            with pytest.raises(ValueError):
                np.insert(leaf(x), obj, values, axis)
            continue
        for found in (np.insert(leaf(x), obj, values, axis), np.insert(x, obj, leaf(values), axis)):
            np.testing.assert_array_equal(tg.autograd.recording.plain(found), wanted)
        if wanted.size == x.size:
            continue
        weights = np.cos(np.arange(wanted.size)).reshape(wanted.shape)
        a, v = leaf(x + 100), leaf(values)
        y = np.insert(a, obj, v, axis)
        (y * weights).sum().backward()
        numbered = np.insert(np.arange(16.0).reshape(4, 4), obj, np.full_like(values, -1), axis)
        kept = [weights[numbered == k].sum() for k in range(16)]
        np.testing.assert_allclose(a.grad.ravel(), kept, rtol=1e-15)
        assert v.grad.sum() == pytest.approx(weights[numbered < 0].sum(), abs=1e-13)


def test_many_are_deleted_and_inserted():
    x, some = np.arange(40.0).reshape(2, 20), np.arange(0, 20, 2)
    weights = np.cos(np.arange(60.0)).reshape(2, 30)
    a, v = leaf(x), leaf(-x[:, :10])
    y = np.insert(a, some, v, axis=1)
    np.testing.assert_array_equal(y.numpy(), np.insert(x, some, -x[:, :10], axis=1))
    (y * weights).sum().backward()
    is_new = np.tile([True, False, False], 10)
    assert a.grad.tolist() == weights[:, ~is_new].tolist() and v.grad.tolist() == weights[:, is_new].tolist()
    a = leaf(x)
    (np.delete(a, some, axis=1) * weights[:, :10]).sum().backward()
    assert a.grad[:, 1::2].tolist() == weights[:, :10].tolist() and not a.grad[:, ::2].any()
    assert np.delete(a, slice(None), 1).shape == (2, 0)


def test_what_cannot_be_inserted_or_deleted():
    t = leaf(np.ones((2, 3)))
    for call in (lambda: np.delete(t, 3, 0), lambda: np.insert(t, 5, 1.0, 0), lambda: np.delete(t, 0, 2)):
        with pytest.raises(IndexError):
            call()


# Zeros at the ends


def test_trimmed_zeros():
    for values in ([0.0, 0], [], [0.0, 1, 0, 2, 0, 0], [3.0]):
        for trim in ("fb", "b", "F"):
            np.testing.assert_array_equal(
                np.trim_zeros(leaf(values), trim).numpy(), np.trim_zeros(np.array(values), trim)
            )


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.2.0", reason="one axis only before NumPy 2.2")
def test_zeros_trimmed_along_axes():
    x = np.zeros((4, 5, 3))
    x[1, 2:4, 1] = x[2, 1, 0] = 1.0
    for options in ({}, {"axis": 1}, {"axis": (0, -1)}, {"trim": "f"}, {"trim": "b", "axis": 0}):
        np.testing.assert_array_equal(np.trim_zeros(leaf(x), **options).numpy(), np.trim_zeros(x, **options))


# What tells something about an array


def test_questions_are_answered_by_plain_values():
    x = np.array([[3.0, 1.0], [2.0, 5.0]], np.float32)
    t = tg.Tensor(x, requires_grad=True)
    for ask in (np.common_type, np.min_scalar_type, lambda a: np.can_cast(a, np.float64), np.array_repr, np.array_str,
                np.array2string, np.lexsort, np.diag_indices_from, np.tril_indices_from, np.triu_indices_from,
                lambda a: np.shares_memory(a, x), lambda a: np.may_share_memory(a, np.ones(2))):  # fmt: skip
        np.testing.assert_array_equal(ask(t), ask(x))


# Pieces


def test_pieces_get_only_their_elements():
    with np.errstate(all="raise"):
        found = slopes(lambda x: np.piecewise(x, [x > 0], [np.log, 0.0]), [-1.0, 2.0, 0.0])
    assert found == [[0, 0.5, 0]]
    assert slopes(lambda x: np.piecewise(x, [x > 0, x <= 0], [1.0, 2.0]), [-1.0, 2.0]) == [[0, 0]]
    listed = lambda x: np.piecewise(x, [[True, False], [False, True]], [np.square, np.negative])
    assert slopes(listed, [-1.0, 2.0]) == [[-2, -1]]
    assert slopes(lambda x: np.piecewise(x, [x > 9], [lambda x: 1 / 0, lambda x: x]), [inf, nan][:0]) == [[]]
    empty = lambda x: np.apply_along_axis(lambda row: row, 1, x)
    assert slopes(empty, np.zeros((2, 0))) == [[[], []]]


def test_pieces_in_a_derivation_are_refused():
    with pytest.raises(TypeError, match=r"np\.where"):
        tg.derive(lambda x: np.sum(np.piecewise(x, [x > 0], [np.log])), np.ones(2))
    f = lambda x: np.sum(np.apply_along_axis(lambda row: row * np.sum(row), 1, x) ** 2)
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose(tg.derive(f, x)(x)[1][0], tg.grad(f)(x), rtol=1e-14)


# Writing


def test_writing_is_assigning():
    t, v = leaf(np.ones((3, 3))), leaf([2.0, 3.0])
    c = t * 1
    np.fill_diagonal(c, v)
    np.put(c, 1, v[0])
    (c * np.arange(9.0).reshape(3, 3)).sum().backward()
    assert c.tolist() == [[2, 2, 1], [1, 3, 1], [1, 1, 2]]
    assert v.grad.tolist() == [0 + 1 + 8, 4] and t.grad.tolist() == [[0, 0, 2], [3, 0, 5], [6, 7, 0]]
    with pytest.raises(TypeError, match="assigning into a tensor that requires grad"):
        np.fill_diagonal(t, 0.0)


def test_writing_lists_of_tensors():
    v = leaf([2.0, 3.0])
    c = v[0] * np.ones((3, 3))
    np.fill_diagonal(c, [v[0], v[1]])
    np.put(c, [1, 2, 3], [v[1], 5.0])
    np.place(c, np.arange(9).reshape(3, 3) == 5, [v[1]])
    np.putmask(c, np.arange(9).reshape(3, 3) > 6, [v[1], 7.0])
    assert c.tolist() == [[2, 3, 5], [3, 3, 3], [2, 7, 3]]
    np.copyto(c, [v[1], 0.0, v[0]], where=np.eye(3, k=2) > 0)
    np.add.at(c, (0, [1, 1]), [v[0], 4.0])
    np.multiply.at(c, (2, [1, 2]), [v[0], 4.0])
    assert c.tolist() == [[2, 9, 2], [3, 3, 3], [2, 14, 12]]
    c.sum().backward()
    assert v.grad.tolist() == [2 + 1 + 1 + 7, 5 + 3]


def test_writing_without_a_gradient():
    constant = tg.Tensor(np.zeros((2, 2)))
    memory = constant.data
    np.copyto(constant, [[1.0, 2.0]])
    np.put(constant, [3], tg.Tensor(7.0))
    assert memory.tolist() == [[1, 2], [1, 7]]
    plain = np.zeros(2)
    np.copyto(plain, tg.Tensor([1.0, 2.0]), casting="unsafe", where=tg.Tensor([1.0, 0.0]) > 0)
    np.place(plain, [False, True], tg.Tensor([5.0]))
    np.putmask(plain, plain > 3, tg.Tensor(4.0))
    assert plain.tolist() == [1, 4]
    np.put_along_axis(plain, np.array([0]), tg.Tensor(9.0), 0)
    np.fill_diagonal(memory, constant[0])
    assert plain.tolist() == [9, 4] and memory.tolist() == [[1, 2], [1, 2]]
    np.place(constant, np.zeros((2, 2)), [])
    before = constant.numpy().copy()
    np.put(constant, [0, 1], [])
    np.putmask(constant, np.ones((2, 2)), [])
    np.fill_diagonal(constant, [])
    array = np.zeros((2, 2))
    np.fill_diagonal(array, tg.Tensor(3.0))
    assert array.tolist() == [[3, 0], [0, 3]]
    number = tg.Tensor(3.0)
    np.put(number, [0, 0], [4.0, 5.0])
    assert number.item() == 5
    np.testing.assert_array_equal(constant.numpy(), before)


@pytest.mark.parametrize(
    ("write", "error", "message"),
    [
        (lambda c, t: np.copyto(np.zeros(3), t), TypeError, "copyto would write a tensor into a plain array"),
        (lambda c, t: np.put(np.zeros(3), [0], t), TypeError, r"np\.zeros of `import tinygrad_edu\.numpy as np`"),
        (lambda c, t: np.place(np.zeros(3), [True] * 3, t), TypeError, "place would write"),
        (lambda c, t: np.putmask(np.zeros(3), [True] * 3, t), TypeError, "putmask would write"),
        (lambda c, t: np.put_along_axis(np.zeros(3), np.array([0]), t, 0), TypeError, "put_along_axis would write"),
        (lambda c, t: np.copyto(c, t, casting="no"), TypeError, "copyto: the option casting= is not supported"),
        (lambda c, t: np.ediff1d(np.astype(c, int), t), TypeError, "ediff1d: to_end of dtype float64 does not fit the"),
        (lambda c, t: np.place(c, [True] * 3, t[:0]), ValueError, "place: there are no values to write"),
        (lambda c, t: np.put(c, [3], 1.0), IndexError, "out of bounds"),
        (lambda c, t: np.fill_diagonal(c, 1.0), ValueError, "at least 2-d"),
        (lambda c, t: np.putmask(c, t, 1.0), TypeError, "requires grad"),
        (lambda c, t: np.putmask(c, [True], 1.0), ValueError, "reshape"),
    ],
)  # fmt: skip
def test_writing_that_is_refused(write, error, message):
    t = leaf([1.0, 2.0, 3.0])
    with pytest.raises(error, match=message):
        write(t * 1, t)


def test_writing_in_a_derivation_is_refused():
    def filled(x):
        c = x * 1
        np.fill_diagonal(c, 0.0)
        return np.sum(c)

    with pytest.raises(TypeError, match="a tensor is assigned into"):
        tg.derive(filled, np.ones((2, 2)))
