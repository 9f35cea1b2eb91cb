"""Corners of NumPy's functions that only mutants of their rules pointed at: kinks, defaults, options, and what raises.

As in `test_numpy.py`, values are NumPy's; at kinks the gradients are stated.
"""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest

from tests.rules.test_numpy import CUBE, MATRIX, SQUARES, VECTOR, both, value_and_derivatives
from tests.strategies import PRIMITIVES
from tinygrad_edu import Tensor, compile_step, derive, grad, gradcheck, jacobian, linear
from tinygrad_edu import functional as F
from tinygrad_edu.optim import SGD
from tinygrad_edu.rules import chains

L = np.linalg
nan, inf = np.nan, np.inf

# A call, its arrays, and the gradient of the sum of its result with respect to each.
KINKS = [
    (np.power, [[0.0, 0, 0, 2], [0.0, 1, 2, 0]], [[0, 1, 0, 0], [0, 0, 0, np.log(2)]]),
    (np.power, [[0.0], [-1.0]], [[-inf], [-inf]]),
    (lambda a: a**0, [[0.0, 2]], [[0, 0]]),
    (lambda a: a**0.0, [[0.0, 2]], [[0, 0]]),
    (np.fabs, [[0.0, -2]], [[0, -1]]),
    (np.absolute, [[0.0, -2]], [[0, -1]]),
    (np.copysign, [[0.0, 2, -2], [1.0, -1, 1]], [[0, -1, -1], [0, 0, 0]]),
    (np.maximum, [[1.0, 2, 3], [1.0, 3, 2]], [[0.5, 0, 1], [0.5, 1, 0]]),
    (np.minimum, [[1.0, 2, 3], [1.0, 3, 2]], [[0.5, 1, 0], [0.5, 0, 1]]),
    (np.fmax, [[1.0, 2, 3, nan, 1], [1.0, 3, 2, 1, nan]], [[0.5, 0, 1, 0, 1], [0.5, 1, 0, 1, 0]]),
    (np.fmin, [[1.0, 2, 3, nan, 1], [1.0, 3, 2, 1, nan]], [[0.5, 1, 0, 0, 1], [0.5, 0, 1, 1, 0]]),
    (np.nan_to_num, [[nan, inf, 1]], [[0, 0, 1]]),
    (lambda a: np.clip(a, 0, None), [[-1.0, 0, 1]], [[0, 1, 1]]),
    (lambda a: np.clip(a, None, 0), [[-1.0, 0, 1]], [[1, 1, 0]]),
    # The last two have their bounds exchanged: the upper one wins.
    (np.clip, [[-1.0, 0.5, 2, 5, 2], [0.0, 0, 0, 4, 4], [1.0, 1, 1, 3, 3]],
     [[0, 1, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 1, 1, 1]]),
    (np.heaviside, [[-1.0, 0, 1], [0.3, 0.4, 0.5]], [[0, 0, 0], [0, 1, 0]]),
    (lambda a: a + np.imag(a), [[0.0, 2]], [[1, 1]]),
    (lambda a: np.std(a, axis=1), [[[1.0, 1], [0, 2]]], [[[0, 0], [-0.5, 0.5]]]),
    (np.std, [[0.0, 1e-200]], [[0, 0]]),
    (lambda a: np.std(a, axis=1), [[[0.1] * 3, [0.0, 1, 2]]], [[[0] * 3, [-(6**-0.5), 0, 6**-0.5]]]),
    (np.max, [[nan, 1]], [[1, 0]]),
    (lambda a: np.max(a, axis=1), [[[nan, 1], [2, 2]]], [[[1, 0], [0.5, 0.5]]]),
    (lambda a: np.max(a, axis=0, keepdims=True), [[[3, 1], [2, 2]]], [[[1, 0], [0, 1]]]),
    (lambda a: np.min(a, axis=(0, 1)), [[[3, 1], [1, nan]]], [[[0, 0], [0, 1]]]),
    (lambda a: np.max(a) * np.inf, [[1, 2]], [[0, np.inf]]),
    (lambda a: np.min(a, axis=1), [[[nan, 1], [1, 1]]], [[[1, 0], [0.5, 0.5]]]),
    (lambda a: np.nanmax(a, axis=1), [[[nan, nan], [1, 2]]], [[[0, 0], [0, 1]]]),
    (lambda a: np.nanmin(a, axis=1, keepdims=True), [[[nan, nan], [3, 2]]], [[[0, 0], [0, 1]]]),
    (lambda a: L.norm(a, 3), [[0.0, 0]], [[0, 0]]),
    (lambda a: L.norm(a, 3, axis=1), [[[0.0, 0], [3, 0]]], [[[0, 0], [1, 0]]]),
    (lambda a: np.cumprod(a, axis=0), [np.zeros((0, 3))], [np.zeros((0, 3))]),
    (lambda a: np.cumprod(a.astype("f2"), axis=1), [np.zeros((0, 3))], [np.zeros((0, 3))]),
    (lambda a: np.take_along_axis(a, np.array([0, 5, 5]), None), [np.ones((2, 3))], [[[1, 0, 0], [0, 0, 2]]]),
    (L.det, [[[-1.0, 0], [0, 2]]], [[[2, 0], [0, -1]]]),
    (L.det, [[[0.0, 1, 0], [1, 0, 0], [0, 0, 3]]], [[[0, -3, 0], [-3, 0, 0], [0, 0, -1]]]),
    (lambda a: L.matrix_power(a, 0) + 0 * a, [np.zeros((2, 2))], [np.zeros((2, 2))]),
]  # fmt: skip


@pytest.mark.parametrize("k", range(len(KINKS)))
def test_kinks(k):
    call, arrays, gradients = KINKS[k]
    arrays = [np.array(a, float) for a in arrays]
    leaves = [Tensor(a, requires_grad=True) for a in arrays]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        y = call(*leaves)
        wanted = call(*arrays)
        np.sum(3 * y).backward()  # no number that truth could stand for
    np.testing.assert_array_equal(y.numpy(), wanted)
    assert y.shape == np.shape(wanted)
    for leaf, gradient in zip(leaves, gradients, strict=True):
        np.testing.assert_allclose(leaf.grad, 3 * np.array(gradient), rtol=1e-15)


MASK = np.array([[True, False, True, True], [True, True, False, False], [False, True, True, False]])
WEIGHTS = np.array([0.25, 0.5, 0.25])

# Calls and the shapes of their arrays, as in `test_numpy.py`.
CALLS = [
    (lambda a: np.sum(a, 1, where=MASK), [MATRIX]),
    (lambda a: np.sum(a, 0, keepdims=True, where=MASK), [MATRIX]),
    (lambda a: np.prod(a, (0, 2)), [CUBE]),
    (np.prod, [MATRIX]),
    (np.imag, [MATRIX]),
    (lambda a: np.hstack((a, a * a)), [()]),
    (lambda a: np.vstack((a, a * a)), [()]),
    (lambda a: np.hstack((a, a * a)), [MATRIX]),
    (lambda a, b: np.choose([0, 1, 1, 0], (a, b)), [MATRIX, MATRIX]),
    (lambda a: np.pad(a, 1, constant_values=(0.0, 3.0)), [MATRIX]),
    (np.sort, [CUBE]),
    (lambda a: np.partition(a, 1), [CUBE]),
    (lambda a: np.partition(a, 3, axis=None), [MATRIX]),
    (both(lambda a: np.average(a, 0, returned=True)), [MATRIX]),
    (both(lambda a, w: np.average(a, 1, np.exp(w), returned=True, keepdims=True)), [MATRIX, MATRIX]),
    (lambda a: np.average(a, 0, WEIGHTS), [MATRIX]),
    (lambda a: np.ptp(a, 1, keepdims=True), [MATRIX]),
    *((lambda a, f=f: f(np.where(a > 0.8, np.nan, a), axis=1), [(3, 9)])
      for f in (np.nansum, np.nanprod, np.nanmax, np.nanmin, np.nanmean)),
    (np.diff, [CUBE]),
    (lambda a: np.diff(a, 0), [MATRIX]),
    (np.trapezoid, [CUBE]),
    (lambda a, x: np.trapezoid(a, x, axis=1), [CUBE, (3,)]),
    (lambda a: np.gradient(a, np.array([0, 1, 3, 4.0]), axis=1), [MATRIX]),
    (both(lambda a: np.gradient(a, 2.0)), [MATRIX]),
    (lambda a, b: np.tensordot(a, b, np.int64(1)), [MATRIX, (4, 2)]),
    (lambda a, b: np.tensordot(a, b, (np.int64(0), np.int64(1))), [MATRIX, (4, 3)]),
    (lambda a: np.inner(a, 2.0), [MATRIX]),
    (np.inner, [VECTOR, VECTOR]),
    (np.inner, [CUBE, (5, 4)]),
    (lambda a, b: np.vecdot(a, b, axis=1), [CUBE, CUBE]),
    (np.vecdot, [CUBE, CUBE]),
    *((getattr(np, name), [SQUARES, (2, 3)]) for name in ("matvec",) if hasattr(np, name)),  # NumPy 2.2
    (lambda a, b: np.einsum("...ij,jk", a, b), [(2, 2, 3), (3, 4)]),
    (lambda a, b: np.einsum("iij,jk->ik", a, b), [(3, 3, 4), (4, 2)]),
    (lambda a: np.einsum("iji->j", a), [(3, 2, 3)]),
    (lambda a: np.einsum("iijj->ij", a), [(2, 2, 3, 3)]),
    (lambda a: np.einsum(a, [0, 0]), [(3, 3)]),
    (lambda a, b, c: np.einsum(a, [0, 1], b, [1, 2], c, [2, 3], [3, 0]), [(2, 3), (3, 2), (2, 4)]),
    *((lambda a, v, f=f, m=m: f(a, v, m), shapes) for f in (np.convolve, np.correlate)
      for m in ("full", "same", "valid") for shapes in ([(7,), (4,)], [(4,), (7,)], [(5,), (1,)])),
    (L.det, [SQUARES]),
    (L.det, [(3, 2, 2)]),
    (lambda a: L.matrix_power(a, 2), [(2, 3, 2, 2)]),
    (L.pinv, [(2, 2, 4)]),
    (lambda a: L.pinv(a, 1e-8), [(2, 2, 4)]),
    (lambda a: L.pinv(a, rtol=1e-8), [(2, 4, 2)]),
    *((lambda a, u=u: [abs(x) for x in L.eigh(a + np.diag([0, 8, 16]), u)], [SQUARES]) for u in "LU"),
    *((lambda a, u=u: L.cholesky(0.1 * a + 4 * np.eye(3), upper=u), [SQUARES]) for u in (False, True)),
    (lambda a, b: L.multi_dot([a, b]), [MATRIX, (4, 2)]),
    (lambda a: L.trace(a, offset=1), [SQUARES]),
    (lambda a: L.diagonal(a, offset=-1), [SQUARES]),
    *((lambda a, o=o: L.norm(a, o), [VECTOR]) for o in (1, 2, np.inf, -np.inf, 3)),
    *((lambda a, o=o: L.norm(a, o), [MATRIX]) for o in (None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)),
    *((lambda a, o=o: L.norm(a, o, axis=(0, 2), keepdims=True), [CUBE]) for o in (None, "nuc", 2, 1, np.inf)),
    (lambda a: L.norm(a, "nuc", axis=(0, 2)), [(2, 2, 3, 2)]),
    (lambda a: L.norm(a, axis=(2, 0)), [CUBE]),
    (lambda a: L.norm(a, keepdims=True), [CUBE]),
    (lambda a: L.svd(a + np.diag([0, 8, 16]) @ np.eye(3, 4), full_matrices=False)[0] ** 2, [MATRIX]),
    (lambda a: L.svd((a + 4 * np.eye(4, 3)) @ np.diag([3, 1, 0]), full_matrices=False)[0][:, 0] ** 2, [(4, 3)]),
]  # fmt: skip


@pytest.mark.parametrize("k", range(len(CALLS)))
def test_values_and_derivatives(k):
    value_and_derivatives(*CALLS[k])


REFUSED = [
    (lambda t: np.clip(t, 0, 1, out=np.zeros((2, 3))), TypeError, "out="),
    (lambda t: np.clip(t, 0, min=1), TypeError, "give each bound once"),
    (lambda t: np.clip(t, 0, 1, max=1), TypeError, "give each bound once"),
    (lambda t: np.reshape(t, (3, 2), copy=True), TypeError, "copy="),
    (lambda t: np.prod(t, out=np.zeros(())), TypeError, "out="),
    (lambda t: np.unique(t, axis=0), TypeError, "axis="),
    (lambda t: np.nanmax(t, out=np.zeros(())), TypeError, "out="),
    (lambda t: np.nanmean(t, dtype=int), TypeError, "dtype must be inexact"),
    (lambda t: np.dot(t, np.ones(3), out=np.zeros(2)), TypeError, "out="),
    (lambda t: np.outer(t, t, out=np.zeros((6, 6))), TypeError, "out="),
    (lambda t: np.compress([True, False], t, axis=0, out=np.zeros((1, 3))), TypeError, "out="),
    (lambda t: np.choose(np.zeros(3, int), t, out=np.zeros(3)), TypeError, "out="),
    (lambda t: np.sort(t, order="x"), ValueError, "order"),
    (lambda t: np.partition(t, 1, order="x"), ValueError, "order"),
    (lambda t: np.concatenate([t, t], axis=2), ValueError, "axis 2 is out of bounds"),
    (lambda t: np.concatenate([t, t], axis=-3), ValueError, "axis -3 is out of bounds"),
    (lambda t: np.concatenate([t[0, 0], t[0, 0]]), ValueError, "zero-dimensional"),
    (lambda t: np.average(t, axis=1, weights=np.ones(5)), ValueError, "do not fit"),
    (lambda t: np.average(t, weights=np.ones(3)), ValueError, "do not fit"),
    (lambda t: np.average(t, 1, np.array([[1.0, -1, 0], [1, 1, 1]])), ZeroDivisionError, "sum to zero"),
    (lambda t: np.gradient(t[:, :2], np.arange(2.0)), TypeError, "1 spacings for 2 axes"),
    (lambda t: np.diff(t, -1), ValueError, "must not be negative"),
    (lambda t: t @ np.ones((2, 2)), ValueError, r"3 columns on the left meet 2 rows on the right"),
    (lambda t: t @ np.ones(2), ValueError, r"3 columns on the left meet 2 rows on the right"),
    (lambda t: np.ones(3) @ t, ValueError, r"3 columns on the left meet 2 rows on the right"),
    (lambda t: t @ np.ones((4, 2, 2)), ValueError, r"3 columns on the left meet 2 rows on the right"),
    (lambda t: np.stack([t, t]) @ np.ones((3, 3, 2)), ValueError, "broadcast"),
    (lambda t: np.tensordot(t, np.ones((4, 3)), axes=([0], [0])), ValueError, r"sizes \[2\] in a and \[4\] in b"),
    (lambda t: np.tensordot(t, np.ones((3, 4)), axes=([1, 0], [0, 1])), ValueError, r"sizes \[3, 2\]"),
    *((lambda t, o=o: L.norm(np.stack([t, t]), o), ValueError, "takes one or two axes") for o in ("fro", 2)),
    *((lambda t, f=f: f(t[0], np.ones(2), "foo"), ValueError, "mode must be one of full, same, valid, not 'foo'")
      for f in (np.convolve, np.correlate)),
    (lambda t: np.einsum("ij,jk->ik", t), ValueError, "2 subscripts for 1 operands"),
]  # fmt: skip


@pytest.mark.parametrize("k", range(len(REFUSED)))
def test_refused(k):
    call, error, message = REFUSED[k]
    with pytest.raises(error, match=message):
        call(Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True))


def test_precision_of_what_is_made_up():
    single = Tensor(np.linspace(0.1, 3, 4, dtype=np.float32).reshape(2, 2), requires_grad=True)
    assert np.full_like(single, 1.5).dtype == np.float32
    assert np.full_like(single, 1.5, dtype=np.float64).dtype == np.float64
    assert L.matrix_power(single, 0).dtype == np.float32
    exact = grad(lambda x: np.sum(np.sinc(x)))(single.numpy().astype(np.float64))
    np.testing.assert_allclose(grad(lambda x: np.sum(np.sinc(x)))(single.numpy()), exact, rtol=2e-7)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int32, np.uint64, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("differentiate", [grad, lambda f: lambda x: derive(f, x)(x)[1][0]])
def test_powers_of_integers(dtype, differentiate):
    whole, x = np.array([0, 1, 2, 5], dtype), np.array([1e30, 2.0, 3.0, 0.5])
    with np.errstate(all="raise", under="ignore"):
        found = differentiate(lambda x: np.sum(x**whole))(x)
        np.testing.assert_allclose(found, [0, 1, 6, 5 * 0.5**4], rtol=1e-15)
        found = differentiate(lambda x: np.sum(whole**x))(np.array([2.0, 3.0, 0.5, 1.5]))
        np.testing.assert_allclose(found, [0, 0, 2**0.5 * np.log(2), 5**1.5 * np.log(5)], rtol=1e-6)
        if dtype != np.float32:
            np.testing.assert_allclose(found[2:], [2**0.5 * np.log(2), 5**1.5 * np.log(5)], rtol=1e-15)


def test_medians_of_infinities_warn_of_nothing():
    with np.errstate(all="raise"):
        for values, median in (([inf] * 3, inf), ([1.0, 2.0, inf], 2.0)):
            assert np.median(Tensor(values, requires_grad=True)).item() == median


def test_quantiles_of_rows_with_nan():
    a = np.array([[1.0, nan, 3.0], [3.0, 1.0, 2.0]])
    for call in (lambda a: np.quantile(a, [0.25, 0.5], axis=1), lambda a: np.median(a, axis=1),
                 lambda a: np.quantile(a, [[0.25], [0.5]], axis=0)):  # fmt: skip
        np.testing.assert_array_equal(call(Tensor(a, requires_grad=True)).numpy(), call(a))


def test_what_is_empty():
    t = Tensor(np.zeros((0, 3)), requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.median(t, axis=0, keepdims=True).shape == (1, 3)
        with pytest.raises(ZeroDivisionError):  # as NumPy
            np.average(t, axis=1, returned=True)
        y = np.mean(t, axis=0)
    with np.errstate(all="raise"):
        y.sum().backward()
    assert t.grad.shape == (0, 3)
    inner = Tensor(np.zeros((20, 0)), requires_grad=True) @ Tensor(np.zeros((0, 2)), requires_grad=True)
    assert inner.tolist() == [[0, 0]] * 20
    for function, shape in ((L.eigvalsh, (0, 0)), (L.svdvals, (0, 2)), (lambda a: L.pinv(a, 1e-8), (0, 2))):
        t = Tensor(np.zeros(shape), requires_grad=True)
        y = function(t)
        assert y.shape == function(np.zeros(shape)).shape
        y.sum().backward()
        assert t.grad.shape == shape


def test_first_places_of_unique_numbers():
    values, first = np.unique(Tensor([3.0, 1.0, 3.0], requires_grad=True), return_index=True)
    assert values.tolist() == [1, 3] and first.tolist() == [1, 0]


def test_numbers_of_things():
    x = np.array([[0.0, 2.0, 1.0], [0.0, 0.0, 3.0]])
    for options in ({"axis": 1}, {"axis": 0, "keepdims": True}):
        np.testing.assert_array_equal(L.norm(Tensor(x, requires_grad=True), 0, **options), L.norm(x, 0, **options))


class TestProducts:
    def test_tall_ones_from_constants_in_given_memory(self):
        """What a compiled step computes from an array that is no input."""
        rng = np.random.default_rng(0)
        for inner in (1, 3):
            X, w, b = rng.normal(size=(40, inner)), rng.normal(size=(inner, 2)), rng.normal(size=2)
            for f in (lambda w, b, X=X: np.sum((X @ w + b) ** 3), lambda w, b, X=X: np.sum(linear(X, w, b) ** 3)):
                value, gradients = derive(f, w, b)(w, b)
                t = Tensor(w, requires_grad=True), Tensor(b, requires_grad=True)
                y = f(*t)
                y.backward()
                assert value == pytest.approx(y.item(), rel=1e-14)
                for g, leaf in zip(gradients, t, strict=True):
                    np.testing.assert_allclose(g, leaf.grad, rtol=1e-13)
            p = Tensor(w.copy(), requires_grad=True)
            step = compile_step(lambda X=X, p=p: F.mse_loss(linear(X, p, np.zeros(2)), np.ones((40, 2))), SGD([p], 0.1))
            assert step() == pytest.approx(np.mean((X @ w - 1) ** 2), rel=1e-14)

    def test_the_best_order_is_the_one_with_the_fewest_multiplications(self):
        def cost(split, sizes, i, j):
            if i == j:
                return 0
            k = split[i, j]
            return cost(split, sizes, i, k) + cost(split, sizes, k + 1, j) + sizes[i] * sizes[k + 1] * sizes[j + 1]

        def orders(i, j):
            if i == j:
                yield {}
            for k in range(i, j):
                for left, right in itertools.product(orders(i, k), orders(k + 1, j)):
                    yield left | right | {(i, j): k}

        rng = np.random.default_rng(0)
        for sizes in (*rng.integers(1, 9, (20, 5)).tolist(), *rng.integers(1, 9, (20, 6)).tolist()):
            n = len(sizes) - 2
            fewest = min(cost(split, sizes, 0, n) for split in orders(0, n))
            assert cost(chains._best_splits(sizes), sizes, 0, n) == fewest

    @pytest.mark.parametrize(
        ("shapes", "sizes"), [([(3,), (3, 4), (4, 2)], [1, 3, 4, 2]), ([(2, 3), (3, 5), (5,)], [2, 3, 5, 1])]
    )
    def test_the_sizes_that_decide_on_the_order(self, shapes, sizes, monkeypatch):
        found = []
        best = chains._best_splits
        monkeypatch.setattr(chains, "_best_splits", lambda sizes: found.append(sizes) or best(sizes))
        L.multi_dot([Tensor(np.ones(shape), requires_grad=True) for shape in shapes])
        assert found == [sizes]


class TestDecompositions:
    def pinv(self, *diagonals, rcond=1e-3):
        a = np.stack([np.diag(d) for d in diagonals])
        np.testing.assert_array_equal(L.pinv(Tensor(a, requires_grad=True), rcond).numpy(), L.pinv(a, rcond))

    def test_what_rcond_cuts_off(self):
        self.pinv([1e6, 1e6], [1.0, 1.0])  # by the largest value of each matrix
        self.pinv([1e-6, 1e-6])
        self.pinv([1.0, 0.0])
        self.pinv([0.0, 0.0])
        self.pinv([1e6, 1e-10])  # nothing but rounding
        for diagonal, rcond in (([1.0, 0.5], 0.5), ([1e6, 1e-5], 1e-3), ([1e-6, 1e-12], 1e-3)):
            with pytest.raises(ValueError, match="rcond cuts off"):
                self.pinv(diagonal, rcond=rcond)

    @pytest.mark.parametrize(
        ("diagonals", "equal"),
        [
            ([[1e6, 1e6 + 1e-5]], True),
            ([[1e-6, 1e-6 + 1e-12]], False),
            ([[1e-12, 2e-12]], False),
            ([[1e6, 2e6], [1.0, 1.0 + 1e-5]], False),
            ([[0.0, 0.0]], True),
        ],
    )
    def test_which_eigenvalues_are_equal(self, diagonals, equal):
        a = np.stack([np.diag(d) for d in diagonals])
        first = grad(lambda a: np.sum(L.eigh(a)[1][..., 0, :] * np.array([1.0, 2.0])))
        if equal:
            with pytest.raises(ValueError, match="eigh: two values are equal"):
                first(a)
            with pytest.raises(ValueError, match="eigh: two values are equal"):  # however little it counts
                grad(lambda a: 1e-14 * np.sum(L.eigh(a)[1][..., 0, :] * np.array([1.0, 2.0])))(a)
        else:
            assert np.isfinite(first(a)).all()
        np.testing.assert_allclose(grad(lambda a: np.sum(L.eigvalsh(a)))(a), np.broadcast_to(np.eye(2), a.shape))

    def test_rounding_does_not_count_as_a_gradient_of_vectors(self):
        q = L.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
        lengths = grad(lambda a: np.sum(L.eigh(a)[1] ** 2 * np.array([1.0, 2.0, 3.0])))
        np.testing.assert_allclose(lengths((q * [1.0, 1.0, 5.0]) @ q.T), 0, atol=1e-12)

    @pytest.mark.parametrize("side", [0, 2])
    def test_equal_singular_values(self, side):
        with pytest.raises(ValueError, match="svd: two values are equal"):
            grad(lambda a: np.sum(L.svd(a)[side] * np.array([[1.0, 2.0], [3.0, 5.0]])))(2 * np.eye(2))

    def test_equal_singular_values_of_which_both_sides_count_alike(self):
        weights = np.array([[1.0, 2.0], [2.0, 5.0]])
        with pytest.raises(ValueError, match="svd: two values are equal"):
            grad(lambda a: (lambda u, s, v: np.sum((u + v) * weights))(*L.svd(a)))(2 * np.eye(2))

    def test_one_entry_of_a_vector_of_a_singular_value_0(self):
        for entry in (lambda a: L.svd(a)[0][0, 2], lambda a: L.svd(a)[2][2, 0]):
            with pytest.raises(ValueError, match="svd: a singular value is 0"):
                grad(entry)(np.diag([2.0, 1.0, 0.0]))

    @pytest.mark.parametrize("side", [0, 2])
    @pytest.mark.parametrize(
        ("diagonals", "zero"),
        [
            ([[2.0, 0.0]], True),
            ([[1e6, 1e-8]], True),
            ([[1e-6, 1e-14]], False),
            ([[1e-14, 1e-16]], False),
            ([[1e16, 1e15], [2.0, 1.0]], False),
            ([[0.0]], True),
        ],
    )
    def test_which_singular_values_are_0(self, diagonals, zero, side):
        a = np.stack([np.diag(d) for d in diagonals])
        n = a.shape[-1]
        f = grad(lambda a: np.sum(L.svd(a)[side] * (1 + np.arange(n * n)).reshape(n, n)))
        if zero:
            with pytest.raises(ValueError, match="svd: a singular value is 0"):
                f(a)
        else:
            assert np.isfinite(f(a)).all()
        values = grad(lambda a: np.sum(L.svdvals(a)))(a)
        np.testing.assert_allclose(abs(np.diagonal(values, axis1=-2, axis2=-1)), 1)

    def test_the_derivative_of_cofactors_in_a_direction(self):
        rng = np.random.default_rng(0)
        a, direction = rng.normal(size=(2, 4, 4)), rng.normal(size=(2, 4, 4))
        assert gradcheck(lambda d: PRIMITIVES["cofactors_slope"](a, d), direction)


class TestStatistics:
    """What each option of a statistic does to the gradient of each number."""

    @pytest.mark.parametrize(
        ("f", "slopes"),
        [
            (np.nansum, [[1, 0, 1], [1, 1, 0]]),
            (np.nanmean, [[0.25, 0, 0.25], [0.25, 0.25, 0]]),
            (np.nanmax, [[0, 0, 0.5], [0.5, 0, 0]]),
            (np.nanmin, [[1, 0, 0], [0, 0, 0]]),
            (np.nanprod, [[18, 0, 6], [6, 9, 0]]),
            (lambda x: np.sum(np.nansum(x, axis=0) * [1, 10, 100]), [[1, 0, 100], [1, 10, 0]]),
            (lambda x: np.sum(np.nanmean(x, axis=0) * [1, 10, 100]), [[0.5, 0, 100], [0.5, 10, 0]]),
            (lambda x: np.sum(np.nanmax(x, axis=1, keepdims=True) * [[1], [10]]), [[0, 0, 1], [10, 0, 0]]),
        ],
    )
    def test_nan_is_left_out(self, f, slopes):
        """It gets the gradient 0, and numbers that tie share theirs."""
        with np.errstate(all="raise"):
            assert grad(f)(np.array([[1.0, np.nan, 3.0], [3.0, 2.0, np.nan]])).tolist() == slopes

    def test_nothing_but_nan(self):
        t = Tensor(np.full((2, 3), np.nan), requires_grad=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y = np.nanmean(t, axis=1)
        with np.errstate(all="raise"):
            y.backward(np.ones(2))
        assert not t.grad.any()

    def test_the_first_of_tied_numbers_is_in_the_middle(self):
        """A stable order: of 40 equal numbers those in the middle have the median's gradient."""
        slope = grad(np.median)(np.zeros(40))
        assert np.flatnonzero(slope).tolist() == [19, 20]

    def test_a_row_with_nan_breaks_no_other(self):
        slope = grad(lambda x: np.sum(np.median(x, axis=1)[1:]))(np.array([[1.0, np.nan, 2.0], [3.0, 1.0, 2.0]]))
        assert slope[1].tolist() == [0, 0, 1]

    @pytest.mark.parametrize(
        ("call", "option"),
        [
            (lambda t: np.quantile(t, 0.5, out=np.zeros(())), "out"),
            (lambda t: np.quantile(t, 0.5, weights=np.ones(3), method="inverted_cdf"), "weights"),
            (lambda t: np.percentile(t, 50, out=np.zeros(())), "out"),
            (lambda t: np.percentile(t, 50, weights=np.ones(3), method="inverted_cdf"), "weights"),
            (lambda t: np.median(t, out=np.zeros(())), "out"),
        ],
    )
    def test_options_without_a_rule_are_refused(self, call, option):
        with pytest.raises(TypeError, match=f"the option {option}= is not supported on tensors; leave it out"):
            call(Tensor([1.0, 2.0, 3.0], requires_grad=True))

    def test_infinite_gradients_stay_with_their_neighbours(self):
        """What a difference is not made of gets nothing of its gradient, not 0 · ∞."""
        t = Tensor(np.arange(7.0) ** 2, requires_grad=True)
        np.gradient(t).backward(np.array([1.0, 1, 1, 1, 1, 1, np.inf]))
        assert t.grad.tolist() == [-1.5, 0.5, 0, 0, 0, -np.inf, np.inf]


class TestSorting:
    def test_each_element_of_a_partition_is_found_again(self):
        x, w = np.random.default_rng(0).permutation(np.arange(2000.0)), np.arange(2000.0)
        places = {value: k for k, value in enumerate(np.partition(x, 50).tolist())}
        slope = grad(lambda x: np.sum(np.partition(x, 50) * w))(x)
        assert slope.tolist() == [w[places[value]] for value in x.tolist()]

    @pytest.mark.parametrize("f", [np.sort, lambda x: np.partition(x, 700)])
    def test_tied_elements_stay_in_order(self, f):
        x = np.random.default_rng(0).choice(np.arange(20.0), 1500)
        y = f(x)
        before, after = (sorted(range(1500), key=v.__getitem__) for v in (x, y))  # which is stable
        slope = grad(lambda x: np.sum(f(x) * np.arange(1500.0)))(x)
        assert slope[before].tolist() == after

    def test_unique_has_the_same_zero_as_numpy(self):
        """With and without an index, NumPy keeps another one of -0 and 0."""
        x = np.random.default_rng(0).choice([0.0, -0.0], 40)
        for options in ({}, {"return_index": True}, {"return_counts": True, "return_inverse": True}):
            given, wanted = np.unique(Tensor(x), **options), np.unique(x, **options)
            given, wanted = (given[0], wanted[0]) if options else (given, wanted)
            assert np.signbit(given.numpy()).tolist() == np.signbit(wanted).tolist()


class TestPairsOfAxes:
    """Every pair of numbers of axes: NumPy's shape and values, and the derivatives."""

    @pytest.mark.parametrize(
        ("f", "shapes"),
        [
            (np.matmul, [((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((3,), (4, 3, 2)), ((4, 2, 3), (3,))]),
            (np.dot, [((), (3,)), ((3,), ()), ((), (2, 3)), ((2, 3), ()), ((), ()), ((3,), (3,)), ((3,), (4, 3, 2))]),
            (np.inner, [((), (2, 3)), ((2, 3), ()), ((), ()), ((3,), (2, 3)), ((2, 3), (4, 3))]),
            (lambda a, b: np.tensordot(a, b, (0, 1)), [((3, 2), (4, 3))]),
            (lambda a, b: np.tensordot(a, b, (np.int64(1), [0])), [((2, 3), (3, 4))]),
            (lambda a, b: np.tensordot(a, b, ([0, 1], (1, 0))), [((2, 3), (3, 2))]),
        ],
    )
    def test_axes(self, f, shapes):
        rng = np.random.default_rng(0)
        for pair in shapes:
            a, b = (rng.normal(size=shape) for shape in pair)
            for operands in ((Tensor(a, requires_grad=True), b), (a, Tensor(b, requires_grad=True))):
                y = f(*operands).numpy()
                assert y.shape == np.shape(f(a, b)) and np.array_equal(y, f(a, b))
            assert gradcheck(f, a, b, order=2)


@pytest.mark.parametrize("name", ["fmax", "fmin", "maximum", "minimum", "multiply", "hypot", "copysign", "arctan2"])
@pytest.mark.parametrize("is_first", [False, True])
def test_python_integers_that_no_dtype_holds(name, is_first):
    """They are floats, as for the operators."""
    gradients = []
    for number in (10**25, 1e25):
        t = Tensor(np.array([1.0, 2.0], np.float32), requires_grad=True)
        getattr(np, name)(*((number, t) if is_first else (t, number))).sum().backward()
        gradients.append(t.grad)
    np.testing.assert_array_equal(*gradients)


@pytest.mark.parametrize("power", [np.power, np.float_power])
def test_powers_of_python_integers_that_no_dtype_holds(power):
    t = Tensor([1.0, 2.0], requires_grad=True)
    power(10**25, t).sum().backward()
    np.testing.assert_allclose(t.grad, [1e25 * np.log(1e25), 1e50 * np.log(1e25)], rtol=1e-14)


def test_gradients_of_running_products_by_weights_that_are_zero():
    x = np.array([2.0, 3.0, 0.0, 5.0])
    by_weights = jacobian(lambda w: grad(lambda x: np.sum(w * np.cumprod(x)))(x))(np.zeros(4))
    np.testing.assert_array_equal(by_weights, jacobian(np.cumprod)(x).T)


def test_slopes_by_single_precision_coordinates_are_as_numpy_computes_them():
    x, f = np.random.default_rng(0).random((2, 50), np.float32)
    x.sort()
    np.testing.assert_array_equal(np.gradient(Tensor(f), x).numpy(), np.gradient(f, x), strict=True)
