"""Ways that large arrays take: the results are those of the ways that small ones take."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tests.strategies import LAYOUTS, laid_out, seeds
from tinygrad_edu.rules import einsum as einsums
from tinygrad_edu.rules import running, sorting


def gradients(call, arrays, weights):
    leaves = [tg.Tensor(x, requires_grad=True) for x in arrays]
    y = call(*leaves)
    y.backward(weights)
    return y.numpy(), [leaf.grad for leaf in leaves]


# Einstein's summation as a product of matrices

PRODUCTS = [
    "ij,jk->ik",
    "bqd,bkd->bqk",
    "ij,kj",
    "abij,cjai->bc",
    "ija,ai->aj",
    "bij,jk->ikb",
    "ijk,kl->lij",
    "ij,j->i",
]
OTHERS = ["ij,ij->", "ij,jk->i", "ij,ij->ij", "iij,jk->ik", "i,j->ij", "bi,bi->b"]


@settings(max_examples=60)
@given(st.sampled_from(PRODUCTS), st.sampled_from(LAYOUTS), st.sampled_from([np.float64, np.float32]), seeds)
def test_a_large_einsum_is_a_product(text, layout, dtype, seed):
    rng = np.random.default_rng(seed)
    words = text.partition("->")[0].split(",")
    letters = sorted({c for c in text if c.isalpha()})
    sizes = {c: int(rng.integers(12, 15) if len(letters) > 4 else rng.integers(33, 38)) for c in letters}
    if text == "ij,j->i":
        sizes = {"i": 150, "j": 200}
    arrays = [laid_out(rng.normal(size=[sizes[c] for c in w]), layout).astype(dtype, order="K") for w in words]
    if text == "ij,kj":
        text += "->ik"
    output = text.partition("->")[2]
    assert einsums._is_product(*arrays, *words, output)
    weights = rng.normal(size=[sizes[c] for c in output]).astype(dtype)
    y, found = gradients(lambda *a: np.einsum(text, *a), arrays, weights)
    close = {"rtol": 1e-10, "atol": 1e-10} if dtype == np.float64 else {"rtol": 1e-3, "atol": 1e-3}
    np.testing.assert_allclose(y, np.einsum(text, *arrays), **close)
    np.testing.assert_array_equal(y, einsums._product(*arrays, *words, output))
    assert y.dtype == dtype
    a, b = words
    np.testing.assert_allclose(found[0], np.einsum(f"{output},{b}->{a}", weights, arrays[1]), **close)
    np.testing.assert_allclose(found[1], np.einsum(f"{output},{a}->{b}", weights, arrays[0]), **close)


def test_other_sums_stay_numpy_s():
    for text in OTHERS:
        words, _, output = text.partition("->")
        arrays = [np.ones([40] * len(w)) for w in words.split(",")]
        assert not einsums._is_product(*arrays, *words.split(","), output)
    big, small = np.ones((40, 40)), np.ones((10, 10))
    assert einsums._is_product(big, big, "ij", "jk", "ik") and not einsums._is_product(small, small, "ij", "jk", "ik")
    assert not einsums._is_product(big, big.astype("f4"), "ij", "jk", "ik")
    assert not einsums._is_product(big.astype(int), big.astype(int), "ij", "jk", "ik")
    assert not einsums._is_product(big, np.ones((1, 40)), "ij", "jk", "ik")  # broadcast
    assert not einsums._is_product(np.ones((40, 1)), big, "ij", "jk", "ik")
    assert not einsums._is_product(big, big, "ij", "jk", "ijk")  # nothing is summed
    for m, q, d, is_one in ((2, 40, 40, True), (1000, 4, 8, False), (10, 2, 1000, False)):  # of small matrices
        stacks = np.ones((m, q, d)), np.ones((m, q, d))
        assert einsums._is_product(*stacks, "bqd", "bkd", "bqk") == is_one


def test_a_large_einsum_to_second_order():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 24, 16)), rng.normal(size=(2, 32, 16))
    call = lambda q, k: np.einsum("bqd,bkd->bqk", q, k)
    assert tg.gradcheck(call, a, b, order=2, samples=5)
    assert tg.gradcheck(lambda q, k: np.einsum("bqd,bkd->bqk", q, k, optimize=True), a, b, samples=5)
    derived = tg.derive(lambda q, k: np.sum(np.tanh(call(q, k))), a, b)
    np.testing.assert_allclose(derived(a, b)[1][0], tg.grad(lambda q: np.sum(np.tanh(call(q, b))))(a), rtol=1e-10)
    written = {}
    exec(derived.source, written)
    np.testing.assert_allclose(written["value_and_gradients"](a, b)[1][0], derived(a, b)[1][0], rtol=1e-10)


# Running products


@pytest.mark.parametrize(
    "x",
    [
        np.random.default_rng(0).uniform(0.5, 1.5, 60) * np.random.default_rng(1).choice([-1, 1], 60),
        np.full(60, 1e-6),  # their products become 0
        np.full(60, 1e6),
        np.array([1e-200, 1e-200, 1e200, 1e200, 2.0]),  # the second is no more than a little
        np.array([2.0, 0.0, 3.0, 4.0]),
        np.array([1e300, 1e5, 1e-300, 2.0]),
        np.array([2.0, np.nan, 3.0]),
        np.array([2.0, np.inf, 3.0]),
        np.zeros(0),
    ],
    ids=range(9),
)
def test_running_products_by_division(x, monkeypatch):
    weights = np.cos(np.arange(x.size))
    with np.errstate(all="ignore"):
        found = gradients(np.cumprod, [x], weights)[1][0]
        monkeypatch.setattr(running, "_may_be_divided", lambda g, y: False)
        np.testing.assert_allclose(found, gradients(np.cumprod, [x], weights)[1][0], rtol=1e-12, atol=0)


def test_which_running_products_are_divided_by():
    may, g = running._may_be_divided, np.array([0.0, -1.0])
    assert may(g, np.array([1.0, -2e-150])) and may(g, np.array([-1e150, 2.0])) and may(g, np.ones(2, np.float32))
    for bad in (1e-155, -1e-300, 1e152, -1e300, np.inf, np.nan):
        assert not may(g, np.array([1.0, bad])) and not may(np.array([1.0, bad]), g + 2)
    assert not may(g, np.array([1.0, 0.0])) and not may(g, np.ones(2, np.float16))
    assert not may(tg.Tensor(g), g + 2) and not may(g, tg.Tensor(g + 2))


def test_derivatives_of_running_products_beyond_the_range_of_their_squares():
    for x, expected in ((np.array([1e-25], np.float32), 2e-25), (np.array([1e-200]), 2e-200)):
        np.testing.assert_allclose(tg.grad(lambda t: np.sum(np.cumprod(t) ** 2))(x), [expected], rtol=1e-6)
    with np.errstate(over="ignore"):  # of the value
        found = tg.grad(lambda t: np.sum(np.cumprod(t) * np.float32(1e20)))(np.array([1e20], np.float32))
    np.testing.assert_allclose(found, [1e20], rtol=1e-6)
    curvature = tg.hessian(lambda t: np.sum(np.cumprod(t)))(np.array([3, 1e-25, 2, 3], np.float32))
    assert np.array_equal(np.diag(curvature), np.zeros(4))


def test_what_comes_after_a_running_product_does_not_matter_to_it():
    first = lambda x: np.cumprod(x)[0]
    for x in ([1e200, 1e200, 2.0], [1.0, np.nan, 2.0], [1.0, np.inf, 0.0], [3.0, 1e300, 1e300, 1e300, 1e300]):
        with np.errstate(all="ignore"):
            assert tg.grad(first)(np.array(x)).tolist() == [1.0] + [0.0] * (len(x) - 1)


# Repeats, frames, and indices along a later axis


@settings(max_examples=60)
@given(seeds, st.sampled_from(LAYOUTS), st.sampled_from([np.float64, np.float32, np.float16]))
def test_sums_of_what_was_repeated(seed, layout, dtype):
    rng = np.random.default_rng(seed)
    x = laid_out(rng.integers(-9, 9, size=rng.integers(1, 5, rng.integers(1, 4))).astype(dtype), layout)
    axis = rng.choice([None, *range(-x.ndim, x.ndim)])
    n = x.size if axis is None else x.shape[axis]
    repeats = int(rng.integers(0, 12)) if rng.random() < 0.5 else rng.integers(0, rng.choice([3, 12]), n)
    weights = rng.integers(-9, 9, np.repeat(x, repeats, axis).shape).astype(dtype)
    found = gradients(lambda a: np.repeat(a, repeats, axis), [x], weights)[1][0]
    places = np.repeat(np.arange(x.size).reshape(x.shape), repeats, axis)
    wanted = np.bincount(places.ravel(), weights.ravel(), x.size).reshape(x.shape)
    assert found.dtype == dtype and np.array_equal(found, wanted)


@pytest.mark.parametrize("axis", [0, 1])
def test_sums_of_wide_runs(axis):
    rng = np.random.default_rng(0)
    x, repeats = np.ones((9, 100) if axis == 0 else (100, 9)), np.array([0, 5, 1, 0, 9, 2, 3, 0, 7])
    weights = rng.integers(-9, 9, np.repeat(x, repeats, axis).shape).astype(float)
    found = gradients(lambda a: np.repeat(a, repeats, axis), [x], weights)[1][0]
    ends = np.cumsum(repeats)
    runs = [weights.take(np.arange(end - n, end), axis).sum(axis) for n, end in zip(repeats, ends, strict=True)]
    np.testing.assert_array_equal(found, np.stack(runs, axis))


def test_many_repeats_in_the_middle():
    weights = np.random.default_rng(0).normal(size=(2, 18, 2))
    found = gradients(lambda a: np.repeat(a, 6, 1), [np.ones((2, 3, 2))], weights)[1][0]
    np.testing.assert_allclose(found, weights.reshape(2, 3, 6, 2).sum(2))
    found = gradients(lambda a: np.repeat(a, 3, 1), [np.ones((2, 6, 2))], weights)[1][0]
    np.testing.assert_allclose(found, weights.reshape(2, 6, 3, 2).sum(2))
    assert np.pad(tg.Tensor(3.0), 1).item() == 3.0


def test_a_single_number_is_repeated_and_taken_as_a_row():
    for axis in (0, -1, None):
        for call in (lambda a, k=axis: np.repeat(a, 3, k), lambda a, k=axis: np.take(a, [0, -1, 0], k)):
            value, [found] = gradients(call, [np.array(3.0)], np.array([1.0, 2.0, 4.0]))
            assert value.tolist() == [3, 3, 3]
            assert (found.shape, found.item()) == ((), 7)
    with pytest.raises(np.exceptions.AxisError, match="axis 1 is out of bounds"):
        np.take(tg.Tensor(3.0), 0, 1)


@settings(max_examples=40)
@given(seeds, st.sampled_from(["constant", "edge", "reflect", "symmetric", "wrap"]))
def test_frames(seed, mode):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rng.integers(1, 5, rng.integers(1, 4)))
    widths = [int(rng.integers(0, 7)), rng.integers(0, 7, 2).tolist(), rng.integers(0, 7, (x.ndim, 2)).tolist()]
    width = [*widths, rng.integers(0, 7)][rng.integers(4)]
    y = np.pad(x, width, mode)
    options = {"reflect_type": "even"} if mode in ("reflect", "symmetric") and seed % 2 else {}  # the default
    weights = rng.normal(size=y.shape)
    value, [found] = gradients(lambda a: np.pad(a, width, mode, **options), [x], weights)
    assert np.array_equal(value, y)
    places = np.pad(np.arange(1, x.size + 1).reshape(x.shape), width, mode)  # 0 is none of them
    wanted = np.bincount(places.ravel(), weights.ravel(), x.size + 1)[1:].reshape(x.shape)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_a_wide_frame():
    x = np.arange(5.0)
    y = np.pad(x, 1000, "wrap")
    found = gradients(lambda a: np.pad(a, 1000, "wrap"), [x], y)[1][0]
    np.testing.assert_allclose(found, [np.sum(y[y == k]) for k in x])


@settings(max_examples=40)
@given(seeds, st.sampled_from([3, 300]))
def test_indices_along_a_later_axis(seed, many):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3, 4, 5))
    axis = int(rng.integers(1, 3))
    index = rng.integers(-x.shape[axis], x.shape[axis], (many, 2) if rng.random() < 0.5 else many)
    for call in (lambda a: a[(slice(None),) * axis + (index,)], lambda a: np.take(a, index, axis)):
        weights = rng.normal(size=call(x).shape)
        found = gradients(call, [x], weights)[1][0]
        wanted = np.zeros_like(x)
        np.add.at(wanted, (slice(None),) * axis + (index,), weights)
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("width", [3, 70])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("kind", ["each once", "few twice", "three, often"])
def test_many_rows(kind, axis, width):
    rng = np.random.default_rng(0)
    index = rng.permutation(300)[:250] - 300
    if kind != "each once":
        index = np.where(rng.random(250) < 0.1, 7, index) if kind == "few twice" else index % 3
    x, taken = np.zeros((300, width)), (index,) if axis == 0 else (slice(None), index)
    x = x if axis == 0 else x.T
    w = rng.normal(size=x[taken].shape)
    wanted = np.zeros(x.shape)
    np.add.at(wanted, taken, w)
    np.testing.assert_allclose(gradients(lambda a: a[taken], [x], w)[1][0], wanted, rtol=1e-12, atol=1e-14)
    t = tg.Tensor(x, requires_grad=True)
    (np.sum(t[taken] * w) + np.sum(t[taken] * w)).backward()  # the second added in place to the first
    np.testing.assert_allclose(t.grad, 2 * wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("width", [511, 512])
def test_a_few_long_rows(axis, width):
    rng = np.random.default_rng(axis)
    x = np.moveaxis(np.zeros((5, 4, width // 4 if axis == 2 else width)), 0, axis)
    taken = (slice(None),) * axis + (np.array([3, -1, 0, -1, 4, 3]),)
    w = rng.normal(size=x[taken].shape)
    wanted = np.zeros(x.shape)
    np.add.at(wanted, taken, w)
    np.testing.assert_array_equal(gradients(lambda a: a[taken], [x], w)[1][0], wanted)  # added in the same order
    for index in (np.zeros(0, int), np.array([[3, -1], [0, 3]]), np.array(-1)):
        other = (*taken[:-1], index)
        w, wanted = np.ones(x[other].shape), np.zeros(x.shape)
        np.add.at(wanted, other, w)
        np.testing.assert_array_equal(gradients(lambda a, k=other: a[k], [x], w)[1][0], wanted)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("n", [3, 4, 5, 6, 7])
def test_slopes_of_a_few_points_at_equal_distances(n, order):
    rows = np.eye(n)
    for of in (0.5, np.arange(n) / 2):
        wanted = np.gradient(rows, of, axis=1, edge_order=order)  # it is linear
        for x, transposed in ((np.zeros(n), wanted), (np.zeros((n, 2)), np.repeat(wanted[..., None], 2, -1))):
            for k in range(n):
                weights = np.zeros(x.shape)
                weights[k] = 1
                call = lambda a, of=of: np.gradient(a, of, axis=0, edge_order=order)
                np.testing.assert_allclose(gradients(call, [x], weights)[1][0], transposed[:, k], atol=1e-15)


@settings(max_examples=40)
@given(seeds)
def test_elements_that_are_taken_along_an_axis(seed):
    rng = np.random.default_rng(seed)
    shape = [int(n) for n in rng.integers(1, 4, int(rng.integers(1, 4)))]
    axis = int(rng.integers(-len(shape), len(shape)))
    x, n = rng.normal(size=shape), shape[axis]
    wide = [int(rng.integers(0, 5)) if k == axis % len(shape) else (2 if m == 1 else m) for k, m in enumerate(shape)]
    indices = rng.integers(-n, n, wide).astype(rng.choice([np.int8, np.int64]))
    weights = rng.normal(size=wide)
    found = gradients(lambda a: np.take_along_axis(a, indices, axis), [x], weights)[1][0]
    wanted, numbers = np.zeros(x.size), np.arange(x.size).reshape(shape)
    np.add.at(wanted, np.take_along_axis(numbers, indices.astype(int), axis), weights)
    np.testing.assert_allclose(found, wanted.reshape(shape), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "index", [(slice(None), slice(1, 3), [0, 0, 2]), (slice(1, 3), [2, 0, 2]), (slice(None), [1, 1])]
)
def test_parts_that_are_picked_twice(index):
    """The second gradient is added in place to the first one."""
    x, rng = np.zeros((4, 4, 4)), np.random.default_rng(0)
    weights = [rng.normal(size=x[index].shape) for _ in range(2)]
    expected = np.zeros_like(x)
    for w in weights:
        np.add.at(expected, index, w)
    t = tg.Tensor(x, requires_grad=True)
    sum(np.sum(t[tuple(np.array(i) if isinstance(i, list) else i for i in index)] * w) for w in weights).backward()
    np.testing.assert_allclose(t.grad, expected, rtol=1e-12)


@pytest.mark.parametrize("mode", ["wrap", "clip"])
def test_numbers_that_are_picked_by_an_input(mode):
    x, numbers, weights = np.arange(6.0).reshape(2, 3), np.array([4, -5, 1]), np.arange(6.0).reshape(2, 3)
    J = lambda x, numbers: np.sum(np.take(x, numbers, axis=1, mode=mode) * weights)
    value, (found,) = tg.derive(J, x, numbers)(x, numbers)
    assert value == J(x, numbers)
    np.testing.assert_array_equal(found, tg.grad(J)(x, numbers))
    places = np.take(np.arange(3), numbers, mode=mode)
    np.testing.assert_array_equal(found, [[sum(row[places == k]) for k in range(3)] for row in weights])


# Order


@pytest.mark.parametrize(
    "x", [np.ones(50, np.float16), np.where(np.arange(50) % 3, np.nan, np.arange(50.0))], ids=["all", "NaN"]
)
def test_equal_numbers_keep_their_order(x):
    weights = np.arange(50, dtype=x.dtype)
    _, (found,) = gradients(np.sort, [x], weights)
    np.testing.assert_array_equal(found[np.argsort(x, kind="stable")], weights)


@settings(max_examples=40)
@given(seeds, st.booleans(), st.sampled_from([np.sort, lambda a, axis: np.partition(a, 2, axis)]))
def test_ties_are_shared_out_in_order(seed, ties, function):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 3 if ties else 1000, (4, 40)).astype(float)
    if ties:
        x[rng.random(x.shape) < 0.1] = np.nan
    axis = int(rng.integers(0, 2))
    weights = rng.normal(size=x.shape)
    y, [found] = gradients(lambda a: function(a, axis), [x], weights)
    rank = np.argsort(np.argsort(x, axis, kind="stable"), axis)
    places = np.take_along_axis(np.argsort(y, axis, kind="stable"), rank, axis)
    assert np.array_equal(found, np.take_along_axis(weights, places, axis))


VALUES = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "tied": lambda rng, shape: rng.integers(-2, 3, shape) * 0.5,
    "nearly tied": lambda rng, shape: 1 + rng.integers(0, 40, shape) * 2.0**-50,
    "partly": lambda rng, shape: np.where(rng.random(shape) < 0.02, rng.choice([2.0, -1.0], shape)
                                          + rng.integers(0, 9, shape) * 2.0**-50, rng.normal(size=shape)),
    "nearly tied, and far apart": lambda rng, shape: np.where(rng.random(shape) < 0.9, 1 + rng.integers(
        0, 10**6, shape) * 2.0**-52, rng.choice([-1e300, 1e300], shape)),
    "zeros": lambda rng, shape: rng.choice([0.0, -0.0, -1e-310, 5e-324, np.inf, -np.inf], shape),
    "NaN": lambda rng, shape: rng.choice([np.nan, 1.0, 2.0], shape),
}  # fmt: skip


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_long_rows_are_sorted_with_their_places(values, dtype, monkeypatch):
    monkeypatch.setattr(sorting, "SHORT", 1)
    rng = np.random.default_rng(0)
    for shape in ((1,), (2,), (700,), (3, 300), (0,), (2, 0), (257, 2), (3, 500, 4)):
        with np.errstate(all="ignore"):
            x = VALUES[values](rng, shape).astype(dtype)
        for axis in range(x.ndim):
            found = sorting._order(x, np.sort(x, axis), axis)
            np.testing.assert_array_equal(found, np.argsort(x, axis, kind="stable"), strict=True)


def test_the_quick_order_is_given_up_only_where_it_does_not_pay(monkeypatch):
    quick, found = sorting._order_with_places, []
    monkeypatch.setattr(sorting, "_order_with_places", lambda x, y: found.append(quick(x, y)))  # gives None
    for values in VALUES:
        for dtype in (np.float32, np.float64):
            with np.errstate(all="ignore"):
                x = VALUES[values](np.random.default_rng(1), (3, 300)).astype(dtype)
            if values == "NaN":
                x[:] = 1.0
                x[1, 7] = -np.nan  # one in one row, which has a sign
            order = sorting._order(x.T, np.sort(x).T, 0).T
            if values == "NaN" or (values in ("nearly tied, and far apart", "zeros") and dtype == np.float64):
                assert found.pop() is None
            else:
                np.testing.assert_array_equal(found.pop(), order)


@pytest.mark.parametrize("n", [60, 100])
def test_one_row_with_equal_numbers_is_enough(n):
    rng = np.random.default_rng(n)
    rows = [rng.normal(size=n), np.arange(n) % 3.0]
    rows += [np.where(np.arange(n) < m, rng.normal(size=n), np.nan) for m in (n - 2, n // 2)]
    for k in (1, 2, 3):
        x = np.stack([rows[0], rows[k]])[:, rng.permutation(n)]
        found = sorting._order(x, np.sort(x), -1)
        np.testing.assert_array_equal(found, np.argsort(x, kind="stable"))


@settings(max_examples=40)
@given(seeds, st.sampled_from([np.median, lambda a, axis: np.quantile(a, [0.0, 0.3, 0.35, 1.0], axis)]))
def test_of_tied_numbers_the_first_come_first(seed, function):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 3, (int(rng.integers(1, 4)), int(rng.integers(1, 20)))).astype(float)
    weights = rng.normal(size=function(x, 1).shape)
    found = gradients(lambda a: function(a, 1), [x], weights)[1][0]
    apart = x + 1e-6 * np.arange(x.shape[1])  # the same order, and no ties
    np.testing.assert_allclose(found, gradients(lambda a: function(a, 1), [apart], weights)[1][0], rtol=1e-12)


# Finite differences


def test_a_difference_without_the_number_in_the_middle():
    """Between equal steps it does not count, and an infinite gradient does not reach it as NaN."""
    t = tg.Tensor(np.arange(5.0), requires_grad=True)
    np.gradient(t, np.array([0, 1, 2, 4, 5.0])).backward(np.array([0, np.inf, 0, 0, 0]))
    np.testing.assert_array_equal(t.grad, [-np.inf, 0, np.inf, 0, 0])


def test_a_distance_that_is_not_a_number():
    value, [found] = gradients(lambda a: np.gradient(a, np.nan), [np.arange(5.0)], np.ones(5))
    assert np.all(np.isnan(value))
    assert np.all(np.isnan(found))


@pytest.mark.parametrize(
    ("places", "dtype"),
    [([0, 20, 100, 120], np.uint8), ([120, 100, 20, 0], np.uint16), ([0, 100, 101, 120], np.int8),
     ([0, 60_000, 200_000, 400_000], np.int32), ([0, 10**15, 3 * 10**15, 4 * 10**15], np.int64)],
)  # fmt: skip
def test_coordinates_that_are_integers(places, dtype):
    """Their products, in their own dtype, would overflow."""
    x, weights = np.array([1.0, 2, 4, 3]), np.array([1.0, -2, 3, 5])
    for order in (1, 2):
        found, wanted = (
            gradients(lambda t, of=of, order=order: np.gradient(t, of, edge_order=order), [x], weights)
            for of in (np.array(places, dtype), np.array(places, float))
        )
        np.testing.assert_allclose(found[1][0], wanted[1][0], rtol=1e-12)
        np.testing.assert_array_equal(found[0], np.gradient(x, np.array(places, dtype), edge_order=order))


# In derivations, printed and called

DERIVED = [
    lambda a: np.roll(a, (1, 2), (0, 1)), lambda a: np.flip(a, 1), lambda a: np.rot90(a, 3), lambda a: np.tril(a, 1),
    lambda a: np.triu(a), lambda a: np.repeat(a, 3, 1), lambda a: np.repeat(a, 7), lambda a: np.repeat(a, 7, 0),
    lambda a: np.repeat(a, np.array([0, 2, 1, 5]), 1), lambda a: np.repeat(a, np.array([0, 2, 1, 3]), 1),
    lambda a: np.pad(a, 1), lambda a: np.pad(a, (2, 1), "reflect"), lambda a: np.pad(a, 1, constant_values=3.0),
    lambda a: np.pad(a, 5, "wrap"), lambda a: np.pad(a, 1, "reflect", reflect_type="even"),
    lambda a: np.diagonal(a, 1), lambda a: np.diag(a[0]),
    lambda a: np.tile(a, (2, 1, 2)),
    lambda a: np.split(a, 2, axis=1)[1], lambda a: np.median(a, axis=1), lambda a: np.quantile(a, [0.2, 0.7]),
    lambda a: np.gradient(a, axis=1), lambda a: np.gradient(a, np.array([0, 1, 3.0, 4]), axis=1, edge_order=2),
    lambda a: np.sort(a, axis=1), lambda a: np.partition(a, 1, axis=1), lambda a: np.cumprod(a, axis=1),
    lambda a: np.take(a, [1, 1, 3], axis=1), lambda a: a[:, np.array([0, 0, 2])],
    lambda a: np.einsum("ij,kj->ik", a, a),
]  # fmt: skip


@pytest.mark.parametrize("call", DERIVED, ids=range(len(DERIVED)))
def test_derivations(call):
    x = np.random.default_rng(0).normal(size=(4, 4))
    cost = lambda a: np.sum(
        np.sin(call(a)) * np.cos(np.arange(a.size * 60.0))[: np.size(call(a))].reshape(call(a).shape)
    )
    wanted, slope = tg.value_and_grad(cost)(x)
    derived = tg.derive(cost, x)
    written = {}
    exec(derived.source, written)
    for value, gradients in (derived(x), written["value_and_gradients"](x)):
        np.testing.assert_allclose(value, wanted, rtol=1e-12)
        np.testing.assert_allclose(gradients[0], slope, rtol=1e-12, atol=1e-13)


# Diagonals, parts, tiles


@settings(max_examples=60)
@given(seeds)
def test_moves_follow_numpy(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rng.integers(1, 5, rng.integers(2, 4)))
    k, axes = int(rng.integers(-5, 6)), rng.permutation(x.ndim)[:2].tolist()
    reps = [int(rng.integers(0, 4)), tuple(rng.integers(0, 3, rng.integers(1, 5)).tolist())][rng.integers(2)]
    cuts = sorted(rng.integers(-2, 6, 2).tolist(), reverse=bool(rng.integers(2)))
    shifts = [(k, axes[0]), (k, None), ((k, 2), axes), (k, axes), ([1, k], None)][rng.integers(5)]
    calls = [
        lambda a: np.rot90(a, k, axes),
        lambda a: np.tile(a, reps),
        lambda a: np.roll(a, *shifts),
        lambda a: np.diagonal(a, k, *axes),
        lambda a: np.diagflat(a, k),
        lambda a: np.concatenate([np.ravel(p) * (j + 1) for j, p in enumerate(np.array_split(a, 3, axes[0]))]),
        lambda a: np.concatenate([np.ravel(p) * (j + 1) for j, p in enumerate(np.split(a, cuts, axes[0] - a.ndim))]),
        lambda a: np.concatenate([np.ravel(p) * (j + 1) for j, p in enumerate(np.hsplit(a, [1, 2]))]),
        lambda a: np.triu(a, k) + np.tril(a, k),
        lambda a: np.flip(a, axes),
    ]
    for call in calls:
        places = np.arange(1.0, x.size + 1).reshape(x.shape)
        wanted = call(x)
        weights = rng.normal(size=wanted.shape)
        y, [found] = gradients(call, [x], weights)
        assert y.dtype == wanted.dtype and np.array_equal(y, wanted)
        columns = np.stack([call((places == p).astype(float)).ravel() for p in range(1, x.size + 1)])
        np.testing.assert_allclose(found.ravel(), columns @ weights.ravel(), rtol=1e-12, atol=1e-12)
        assert np.shares_memory(y, x) is False or not y.flags.owndata


def test_parts_of_a_row():
    t = tg.Tensor(np.arange(6.0), requires_grad=True)
    assert [part.tolist() for part in np.hsplit(t, 3)] == [[0, 1], [2, 3], [4, 5]]
    assert [part.tolist() for part in np.split(t, [4, 2])] == [[0, 1, 2, 3], [], [2, 3, 4, 5]]
    for split in (np.vsplit, np.dsplit):
        with pytest.raises(ValueError, match="only works on arrays of"):
            split(t, 2)
    with pytest.raises(ValueError, match="1 or more dimensions"):
        np.hsplit(t[0], 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda a: np.rot90(a, 1, (0, 0)), lambda a: np.split(a, 3, axis=1), lambda a: np.dsplit(a, 1),
        lambda a: np.diag(np.reshape(a, (3, 2, 2))),
        lambda a: np.pad(a, -1), lambda a: np.pad(a, True), lambda a: np.pad(a, 1.0),
        lambda a: np.pad(a, ((1, 2, 3),)), lambda a: np.repeat(a, [1, 2], axis=0),
        lambda a: np.take(a, 99), lambda a: np.roll(a, 1, 5), lambda a: np.flip(a, 4), lambda a: np.tile(a, -1),
        lambda a: np.diagonal(a[0]), lambda a: np.pad(a, 1, "edge", constant_values=1), lambda a: np.repeat(a, -1),
    ],
    ids=range(16),
)  # fmt: skip
def test_mistakes_are_refused_as_numpy_does(call):
    for x in (np.ones((3, 4)), tg.Tensor(np.ones((3, 4)), requires_grad=True)):
        with pytest.raises((ValueError, IndexError, TypeError)):
            call(x)


@pytest.mark.parametrize("width", [2, 700])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("kind", ["each once", "one twice", "all, one twice", "some of few", "many of few"])
def test_what_is_taken_once_or_often_gets_all_its_gradients(kind, axis, width):
    rng = np.random.default_rng(0)
    index = rng.permutation(300)[:250].reshape(50, 5)
    index[1::2] -= 300  # counted from the end
    if kind == "one twice":
        index[3, 3] = index[0, 0] - 300
    if kind == "all, one twice":
        index = np.append(rng.permutation(300), 7)
    if "few" in kind:
        index = rng.integers(-20, 20, 250 if kind == "some of few" else 600)
    x = rng.normal(size=(300, width) if axis == 0 else (width, 300, 2))
    weights = rng.normal(size=np.take(x, index, axis).shape)
    wanted = np.zeros_like(x)
    np.add.at(wanted, (slice(None),) * axis + (index,), weights)
    for take in (lambda x: np.take(x, index, axis), lambda x: x[(slice(None),) * axis + (index,)]):
        found = tg.grad(lambda x, take=take: np.sum(take(x) * weights))(x)
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-13)
    number = tg.grad(lambda x: np.sum(x[index % 300] * 2.0))(np.ones(300))
    np.testing.assert_array_equal(number, 2.0 * np.bincount(index.ravel() % 300, minlength=300))


@pytest.mark.parametrize(("shape", "axis"), [((2, 700, 300, 1), 2), ((1, 300, 700, 1), 1), ((1, 300, 1, 700, 1), 1)])
def test_what_is_taken_twice_is_told_by_the_length_of_its_own_axis(shape, axis):
    index = np.arange(250)
    index[1] -= 1 + 300  # the first once more, counted from the end
    x = np.ones(shape)
    place = (slice(None),) * axis + (index,)
    wanted = np.zeros(shape)
    np.add.at(wanted, place, 1.0)
    np.testing.assert_array_equal(tg.grad(lambda x: np.sum(x[place]))(x), wanted)
