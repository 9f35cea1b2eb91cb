"""Linear algebra: identities that the derivatives of decompositions obey, options, and where there is no derivative.

Values, and derivatives against numerical differences, are tested with all other functions in `test_numpy.py`.
"""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_edu import Tensor, derive, grad, gradcheck, hessian, jacobian
from tinygrad_edu.autograd.primitives import FUNCTIONS

L = np.linalg
RNG = np.random.default_rng(0)
A, B, W = RNG.normal(size=(3, 4, 4))
TALL, WIDE, RIGHT = RNG.normal(size=(5, 3)), RNG.normal(size=(3, 5)), RNG.normal(size=(5, 2))


def leaf(x, dtype=float):
    return Tensor(np.asarray(x, dtype), requires_grad=True)


def same(found, wanted, **tolerance):
    np.testing.assert_allclose(found, wanted, **({"rtol": 1e-9, "atol": 1e-11} | tolerance))


def test_every_function_of_numpys_linear_algebra_takes_tensors():
    functions = [getattr(L, name) for name in L.__all__ if name != "LinAlgError"]
    assert [f.__name__ for f in functions if f not in FUNCTIONS] == []


@pytest.mark.parametrize("options", [{}, {"tol": 10.0}, {"rtol": 0.5}])
def test_the_rank_is_a_plain_number(options):
    assert L.matrix_rank(leaf(A), **options) == L.matrix_rank(A, **options)


class TestQR:
    @pytest.mark.parametrize("a", [TALL, WIDE, A, np.stack([A, B])[..., :2], np.stack([A, B])[..., :2, :]])
    def test_identities(self, a):
        weights = RNG.normal(size=a.shape)
        same(grad(lambda a: np.sum((lambda q, r: q @ r)(*L.qr(a)) * weights))(a), weights)  # Q R = A
        same(grad(lambda a: np.sum((lambda q, r: np.sin(q.mT @ q))(*L.qr(a))))(a), 0)
        same(grad(lambda a: np.sum(L.qr(a, "r") ** 2))(a), 2 * a)

    def test_second_derivatives(self):
        for a in (TALL, WIDE):
            same(hessian(lambda a: np.sum(L.qr(a, "r") ** 2))(a).reshape(15, 15), 2 * np.eye(15), atol=1e-10)

    def test_no_rows(self):
        assert grad(lambda a: np.sum(L.qr(a)[1]))(np.zeros((0, 3))).shape == (0, 3)

    def test_the_determinant(self):
        diagonal = lambda a: np.sum(np.log(abs(np.diagonal(L.qr(a)[1]))))
        same(grad(diagonal)(A), L.inv(A).T)

    def test_modes(self):
        for a in (TALL, WIDE, A):
            for mode in ("reduced", "r") if a is TALL else ("reduced", "complete", "r"):
                found, wanted = L.qr(leaf(a), mode), L.qr(a, mode)
                if mode == "r":
                    found, wanted = [found], [wanted]
                else:
                    assert type(found) is type(wanted)
                for x, y in zip(found, wanted, strict=True):
                    assert np.array_equal(x.numpy(), y)
        with pytest.raises(TypeError, match=r"qr: a matrix of shape \(5, 3\) has a derivative only with"):
            L.qr(leaf(TALL), "complete")
        with pytest.raises(ValueError, match="qr: on tensors the mode must be 'reduced', 'complete' or 'r', not 'raw'"):
            L.qr(leaf(TALL), "raw")

    @pytest.mark.parametrize("columns", [[[1.0, 2], [2, 4], [3, 6]], [[0.0, 1], [0, 2]], [[1.0, 1, 5], [1, 1, 7]]])
    def test_columns_that_depend_on_each_other(self, columns):
        with pytest.raises(ValueError, match=r"qr: the first \d columns depend on each other"):
            grad(lambda a: np.sum(L.qr(a)[0]))(np.array(columns))

    def test_columns_of_different_sizes(self):
        sizes = np.array([1e-30, 1.0, 1e30])
        first = lambda a: np.sum(L.qr(a)[0] * TALL)
        same(grad(first)(TALL * sizes) * sizes, grad(first)(TALL))

    def test_precision(self):
        single = (np.ones((3, 2)) / 3 + [1, 0]).astype(np.float32)
        with pytest.raises(ValueError, match="depend on each other"):
            grad(lambda a: np.sum(L.qr(a)[0]))(single)
        g = grad(lambda a: np.sum(L.qr(a)[0] * TALL))(TALL.astype(np.float32))
        assert g.dtype == np.float32
        same(g, grad(lambda a: np.sum(L.qr(a)[0] * TALL))(TALL), rtol=1e-3, atol=1e-4)


REAL = L.solve(B, np.diag([1.0, -2.0, 0.5, 7.0]) @ B)


class TestEig:
    def test_identities(self):
        for values in (L.eigvals, lambda a: L.eig(a)[0]):
            same(grad(lambda a, f=values: np.sum(f(a)))(REAL), np.eye(4), atol=1e-9)  # the trace
            same(grad(lambda a, f=values: np.prod(f(a)))(REAL), L.det(REAL) * L.inv(REAL).T, rtol=1e-7)
            same(grad(lambda a, f=values: np.sum(f(a) ** 2))(REAL), 2 * REAL.T, rtol=1e-7)
        recomposed = lambda a: (lambda w, v: np.sum((v * w) @ L.inv(v) * W))(*L.eig(a))
        same(grad(recomposed)(REAL), W, rtol=1e-7)
        same(grad(lambda a: np.sum(np.sin(np.sum(L.eig(a)[1] ** 2, axis=0))))(REAL), 0, atol=1e-9)  # of length 1

    def test_of_a_symmetric_matrix(self):
        a = A + A.T
        order = np.argsort(L.eigvals(a))
        for of_eig, of_eigh in ((lambda a: L.eig(a)[0][order], L.eigvalsh), (lambda a: L.eigvals(a)[order], L.eigvalsh),
                                (lambda a: L.eig(a)[1][:, order] ** 2, lambda a: L.eigh(a)[1] ** 2)):  # fmt: skip
            g = grad(lambda a, f=of_eig: np.sum(f(a) * W))(a)
            same(np.tril(g + g.T) - np.diag(np.diag(g)), grad(lambda a, f=of_eigh: np.sum(f(a) * W))(a))

    def test_second_derivatives(self):
        exact = np.einsum("il,jk->ijkl", np.eye(4), np.eye(4)) * 2
        for f in (L.eigvals, lambda a: L.eig(a)[0]):
            same(hessian(lambda a, f=f: np.sum(f(a) ** 2))(REAL), exact, atol=1e-6)

    def test_as_numpy_gives_them(self):
        """As real numbers, which NumPy 2.5 makes complex."""
        for a in (REAL, np.stack([REAL, np.eye(4)])):
            found, wanted = L.eig(leaf(a)), L.eig(a)
            assert type(found) is type(wanted)
            assert all(np.array_equal(x.numpy(), y) for x, y in zip(found, wanted, strict=True))
            assert np.array_equal(L.eigvals(leaf(a)).numpy(), L.eigvals(a))

    def test_the_order_of_the_values_does_not_matter(self, monkeypatch):
        weighed = grad(lambda a: np.sum(L.eigvals(a) * np.arange(8).reshape(2, 4)))
        a = np.stack([REAL, A @ np.diag([3.0, 1.0, 4.0, 2.0]) @ L.inv(A)])
        wanted, eig = weighed(a), L.eig
        turned = [2, 0, 3, 1]
        monkeypatch.setattr(L, "eig", lambda a: (lambda w, v: (w[..., turned], v[..., turned]))(*eig(a)))
        same(weighed(a), wanted)

    @pytest.mark.parametrize("f", [L.eigvals, lambda a: L.eig(a)[0]])
    def test_complex_values(self, f):
        turn = np.array([[0.0, -1], [1, 0]])
        for a in (turn, np.stack([np.eye(2), turn])):
            with pytest.raises(ValueError, match=r"eig: the matrix has complex eigenvalues.*detach\(\)\.numpy"):
                f(leaf(a))
        written = derive(lambda a: np.sum(f(a)), np.diag([1.0, 2.0]))
        with pytest.raises(ValueError, match="complex eigenvalues"):
            written(turn)

    def test_equal_values(self):
        a = L.solve(B, np.diag([1.0, 2.0, 2.0, 3.0]) @ B)
        for x in (np.eye(4), a):
            with pytest.raises(ValueError, match="eig: two values are equal"):
                grad(lambda a: np.sum(L.eig(a)[1] * W))(x)
            for f in (L.eigvals, lambda a: L.eig(a)[0]):
                same(grad(lambda a, f=f: np.sum(f(a)))(x), np.eye(4), atol=1e-8)
            with pytest.raises(ValueError, match="eig: two values are equal"):
                hessian(lambda a: np.sum(L.eigvals(a) ** 2))(x)

    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    @pytest.mark.parametrize("a", [[[1.0, 1], [0, 1]], [[0.0, 1], [0, 0]], [[3.0, 1e-3], [0, 3]],
                                   [[2.0, 1, 0], [0, 2, 1], [0, 0, 2]],
                                   [[5.0, 1, 1], [0, 2, 1], [0, 0, 2]]])  # fmt: skip
    def test_defective_matrices(self, a, dtype):
        for f in (L.eigvals, lambda a: L.eig(a)[0], lambda a: L.eig(a)[1]):
            with pytest.raises(ValueError, match="the matrix is defective"):
                grad(lambda a, f=f: np.sum(f(a)))(np.array(a, dtype))

    def test_vectors_that_are_parallel_to_others_than_those_of_equal_values(self):
        a = np.array([[1.0, 1e5], [0, 2]])
        same(grad(lambda a: L.eigvals(a)[1])(a), [[0, 0], [1e5, 1]], rtol=1e-7)


class TestLeastSquares:
    def test_more_equations_than_unknowns(self):
        normal = lambda a, b: L.solve(a.T @ a, a.T @ b)
        left = lambda a, b: np.sum((b - a @ normal(a, b)) ** 2, axis=0)
        for k, by_hand in enumerate((normal, left)):
            for b in (RIGHT, RIGHT[:, 0]):
                found = grad(lambda a, b, k=k: np.sum(np.sin(L.lstsq(a, b)[k])), argnums=(0, 1))(TALL, b)
                wanted = grad(lambda a, b, f=by_hand: np.sum(np.sin(f(a, b))), argnums=(0, 1))(TALL, b)
                for g, h in zip(found, wanted, strict=True):
                    same(g, h)

    def test_fewer_equations_than_unknowns(self):
        least = lambda a, b: a.T @ L.solve(a @ a.T, b)
        found = grad(lambda a, b: np.sum(np.sin(L.lstsq(a, b)[0])), argnums=(0, 1))(WIDE, RIGHT[:3])
        wanted = grad(lambda a, b: np.sum(np.sin(least(a, b))), argnums=(0, 1))(WIDE, RIGHT[:3])
        for g, h in zip(found, wanted, strict=True):
            same(g, h)

    def test_as_many_equations_as_unknowns(self):
        same(jacobian(lambda b: L.lstsq(A, b)[0])(B[0]), L.inv(A))
        same(grad(lambda a: np.sum(L.lstsq(a, B)[0] * W))(A), grad(lambda a: np.sum(L.solve(a, B) * W))(A))

    def test_singular_values(self):
        for a in (TALL, WIDE, A):
            found = grad(lambda a: np.sum(L.lstsq(a, np.ones(len(a)))[3] ** 3))(a)
            same(found, grad(lambda a: np.sum(L.svdvals(a) ** 3))(a))

    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    def test_as_numpy_gives_them(self, dtype):
        for a, b in ((TALL, RIGHT), (TALL, RIGHT[:, 0]), (WIDE, RIGHT[:3]), (A, B[0]), (TALL, RIGHT[:, :0]),
                     (TALL[:, :0], RIGHT), (TALL[:0], RIGHT[:0]), (TALL[:, :1], RIGHT)):  # fmt: skip
            a = a.astype(dtype)
            for given in (b, b.astype(dtype)):
                found, wanted = L.lstsq(leaf(a, dtype), given), L.lstsq(a, given)
                for x, y in zip(found, wanted, strict=True):
                    x = x.numpy() if isinstance(x, Tensor) else x
                    assert type(x) is type(y) and x.dtype == y.dtype and np.array_equal(x, y)

    def test_a_rank_below_the_full_one(self):
        deficient = np.outer([1.0, 2, 3], [1.0, 2])
        with pytest.raises(ValueError, match=r"lstsq: the matrix of shape \(3, 2\) has rank 1.*below 2"):
            L.lstsq(leaf(deficient), np.ones(3))
        small = np.array([[1.0, 0], [0, 1e-3], [0, 0]])
        assert L.lstsq(leaf(small), np.ones(3))[2] == 2
        with pytest.raises(ValueError, match="has rank 1"):
            L.lstsq(leaf(small), np.ones(3), rcond=0.1)
        tiny = np.array([[1.0, 0], [0, 1e-15], [0, 1e-15]])
        with pytest.raises(ValueError, match="a smaller rcond="):
            L.lstsq(leaf(tiny), np.ones(3), rcond=1e-14)
        slope = grad(lambda b: L.lstsq(tiny, b, rcond=3e-16)[0][1])
        same(slope(np.ones(3)), [0, 5e14, 5e14])
        same(grad(lambda a: 1e-16 * L.lstsq(a, np.ones(3), 3e-16)[0][1])(tiny)[:, 1], [0, -5e13, -5e13], rtol=1e-6)

    def test_options_are_no_place_for_gradients(self):
        with pytest.raises(TypeError, match="tensor that requires grad"):
            L.lstsq(TALL, leaf(RIGHT), rcond=leaf(0.1))
        for bad in (lambda: L.lstsq(leaf(TALL), RIGHT[:3]), lambda: L.lstsq(leaf(np.stack([A, A])), A)):
            with pytest.raises(L.LinAlgError):
                bad()


class TestPseudoInverses:
    def test_which_values_are_cut_off(self):
        a = np.diag([1.0, 3e-16])  # between the two defaults
        for options in ({}, {"rtol": None}, {"rtol": 1e-12}, {"rcond": 1e-12}, {"rcond": 1e-18}):
            assert np.array_equal(L.pinv(leaf(a), **options).numpy(), L.pinv(a, **options))
        for options in ({}, {"rtol": None}):
            a = np.diag([1.0, 4e-16, 1.0, 1.0, 1.0])
            assert np.array_equal(L.pinv(leaf(a), **options).numpy(), L.pinv(a, **options))
        for options in ({"rtol": 0.5}, {"rcond": 0.5}):
            with pytest.raises(ValueError, match="where rcond cuts off singular values that are not 0"):
                L.pinv(leaf(np.diag([1.0, 0.25])), **options)
        with pytest.raises(ValueError, match="both"):
            L.pinv(leaf(a), 1e-3, rtol=1e-3)

    def test_of_symmetric_matrices(self):
        a = A + A.T
        for x in (a, np.tril(a)):
            assert np.array_equal(L.pinv(leaf(x), hermitian=True).numpy(), L.pinv(x, hermitian=True))
        for given in (np.ones(3), leaf(np.ones(3)), Tensor(np.ones(3))):
            with pytest.raises(L.LinAlgError, match="two-dimensional"):
                L.pinv(given, hermitian=True)
        g = grad(lambda a: np.sum(L.pinv(a, hermitian=True) * W))(a)
        whole = grad(lambda a: np.sum(L.pinv(a) * W))(a)
        same(g, np.tril(whole + whole.T) - np.diag(np.diag(whole)))

    def test_rounding_in_single_precision_is_cut_off(self):
        q = L.qr(B)[0]
        a = ((q * [1.0, 2.0, 3.0, 0.0]) @ q.T).astype(np.float32)
        assert np.array_equal(L.pinv(leaf(a, np.float32), 1e-4).numpy(), L.pinv(a, 1e-4))


def test_eigenvectors_in_a_stack_of_stacks():
    a = np.stack([A + A.T, B + B.T, W + W.T]).reshape(1, 3, 4, 4)
    same(grad(lambda a: np.sum(L.eig(a)[0] ** 2))(a), 2 * a)  # the sum of squared eigenvalues is tr(A²)


def test_singular_values_of_symmetric_matrices():
    a = A + A.T - 2 * np.eye(4)
    for x in (a, np.tril(a), np.stack([a, -a])):
        found, wanted = L.svd(leaf(x), hermitian=True), L.svd(x, hermitian=True)
        assert all(np.array_equal(t.numpy(), y) for t, y in zip(found, wanted, strict=True))
        options = {"compute_uv": False, "hermitian": True}
        assert np.array_equal(L.svd(leaf(x), **options).numpy(), L.svd(x, **options))
    recomposed = lambda a: np.sum((lambda u, s, vt: (u * s) @ vt)(*L.svd(a, hermitian=True)) * (W + W.T))
    g = grad(recomposed)(a)
    same(np.tril(g), g)
    same(g + np.tril(g, -1).T, 2 * (W + W.T) - np.diag(np.diag(W + W.T)))


@pytest.mark.parametrize("f", [lambda a: L.eigh(a)[1], lambda a: L.svd(a)[0]])
def test_equal_values_in_single_precision(f):
    """Their rounding errors are no gaps to divide by."""
    for seed in range(5):
        q = L.qr(np.random.default_rng(seed).normal(size=(4, 4)))[0]
        a = ((q * [1.0, 1.0, 5.0, 9.0]) @ q.T).astype(np.float32)
        with pytest.raises(ValueError, match="two values are equal"):
            grad(lambda a: np.sum(f(a) * W))(a)
        lengths = grad(lambda a: np.sum(f(a) ** 2 * np.array([1.0, 2, 3, 4])))(a)
        same(lengths, 0, atol=1e-4)


def test_a_singular_value_0_in_single_precision():
    for seed in range(5):
        q = L.qr(np.random.default_rng(seed).normal(size=(4, 4)))[0]
        a = ((q * [1.0, 0.0, 5.0, 9.0]) @ q.T).astype(np.float32)
        with pytest.raises(ValueError, match="svd: a singular value is 0"):
            grad(lambda a: np.sum(L.svd(a)[0] * W))(a)


ORDERS = (None, 2, -2, "fro", "nuc", 1, -1, np.inf, -np.inf)


class TestConditionNumbers:
    @pytest.mark.parametrize("p", ORDERS)
    def test_the_size_of_the_matrix_does_not_matter(self, p):
        g = grad(lambda a: L.cond(a, p))(A)
        assert np.any(abs(g) > 1e-3)
        same(np.sum(g * A), 0, atol=1e-9 * abs(g).max())
        assert gradcheck(lambda a: np.log(L.cond(a, p)), A[:2, :2], order=2)

    @pytest.mark.parametrize("p", [None, 2, "fro", 1, -1, np.inf, -np.inf])
    def test_of_singular_matrices(self, p):
        singular = np.array([[1.0, 2], [2, 4]])
        pair = np.stack([singular, np.eye(2) * [1, 3]])
        for a in (singular, np.zeros((2, 2)), pair, np.stack([pair] * 3, axis=1)):
            t = leaf(a)
            y = L.cond(t, p)
            same(y.numpy(), L.cond(a, p))
            with np.errstate(all="ignore"):
                y.sum().backward()
            singulars = np.isinf(L.cond(a, p))
            assert np.array_equal(np.isfinite(t.grad).all(axis=(-2, -1)), ~singulars)

    def test_undefined_ones_are_infinite_but_not_those_of_nan(self):
        a = np.stack([np.zeros((2, 2)), np.eye(2) * [1, 3], [[1.0, np.nan], [0.0, 1.0]]])
        with np.errstate(all="ignore"):
            assert np.array_equal(L.cond(leaf(a), 1).numpy(), L.cond(a, 1), equal_nan=True)
            assert np.array_equal(np.isnan(L.cond(a, 1)), [False, False, True])

    def test_more_rows_than_columns(self):
        assert L.cond(leaf(TALL)).item() == L.cond(TALL)
        same(np.sum(grad(L.cond)(TALL) * TALL), 0)
        with pytest.raises(L.LinAlgError):
            L.cond(leaf(TALL), 1)

    def test_refused_as_by_numpy(self):
        for shape in ((0, 0), (2, 0, 3), (2, 3, 0)):
            with pytest.raises(L.LinAlgError, match="empty"):
                L.cond(leaf(np.zeros(shape)))
        assert L.cond(leaf(np.zeros((0, 2, 2)))).shape == (0,)

    def test_nan_stays_nan(self):
        a = np.stack([np.full((2, 2), np.nan), np.eye(2)])
        same(L.cond(leaf(a), 1).numpy(), [np.nan, 1])

    @pytest.mark.parametrize("p", [None, 1])
    def test_precision(self, p):
        for a in (A.astype(np.float32), np.array([[1, 2], [3, 5]])):
            found = L.cond(Tensor(a), p).numpy()
            assert found == L.cond(a, p) and found.dtype == L.cond(a, p).dtype


class TestTensors:
    def test_equations(self):
        a, b = RNG.normal(size=(2, 3, 6)), RNG.normal(size=(2, 3))
        same(jacobian(lambda b: L.tensorsolve(a, b))(b), L.tensorinv(a))
        with pytest.raises(L.LinAlgError, match=r"tensorsolve: of shapes \(2, 3, 5\) and \(2, 3\).*got 5"):
            L.tensorsolve(leaf(a[..., :5]), b)
        for axes in ((0, 0), (3,), (-1,)):
            with pytest.raises(ValueError):
                L.tensorsolve(leaf(a), b, axes=axes)

    def test_inverses(self):
        with pytest.raises(ValueError, match="tensorinv: ind must be positive, got 0"):
            L.tensorinv(leaf(A), ind=0)

    def test_norms_over_several_axes(self):
        a = RNG.normal(size=(2, 3, 4))
        for o in (1, 2, 3, 0.5, -1, np.inf, -np.inf):
            for axis in (None, 1, -1, (0,), (0, 1), (2, 0), (-1, 1, 0)):
                for keepdims in (False, True):
                    options = {"ord": o, "axis": axis, "keepdims": keepdims}
                    assert np.array_equal(L.vector_norm(leaf(a), **options).numpy(), L.vector_norm(a, **options))
        same(grad(lambda a: L.vector_norm(a, axis=(2, 0))[1])(a)[:, 1], a[:, 1] / L.norm(a[:, 1]))
        for bad in (3, (0, 0)):
            with pytest.raises(ValueError):
                L.vector_norm(leaf(a), axis=bad)
        assert L.vector_norm(leaf(2.0)).item() == 2

    def test_norms_of_matrices(self):
        a = RNG.normal(size=(2, 3, 4))
        for o in ORDERS[1:]:
            for keepdims in (False, True):
                options = {"ord": o, "keepdims": keepdims}
                assert np.array_equal(L.matrix_norm(leaf(a), **options).numpy(), L.matrix_norm(a, **options))
        assert L.matrix_norm(leaf(a)).shape == (2,)
        with pytest.raises(ValueError):
            L.matrix_norm(leaf(a), ord=3)
