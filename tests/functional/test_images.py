"""Convolution, pooling, normalisation and embedding: written out, against PyTorch, at their edges, and mistakes."""

from __future__ import annotations

import math
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tests.images import IMAGES, hows, normal, pairs, seeds
from tests.strategies import laid_out
from tinygrad_edu import functional as F
from tinygrad_edu.functional import convolution


def by_hand(x, w, b, stride, padding, dilation, groups):
    """Number by number."""
    x = np.pad(x, [(0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2])
    (m, c, high, wide), (o, _, kh, kw) = x.shape, w.shape
    rows = (high - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    columns = (wide - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    y = np.zeros((m, o, rows, columns))
    for k, i, j in np.ndindex(o, rows, columns):
        first = k // (o // groups) * (c // groups)
        met = x[:, first : first + c // groups,
                i * stride[0] : i * stride[0] + dilation[0] * (kh - 1) + 1 : dilation[0],
                j * stride[1] : j * stride[1] + dilation[1] * (kw - 1) + 1 : dilation[1]]  # fmt: skip
        y[:, k, i, j] = b[k] + np.sum(met * w[k], axis=(1, 2, 3))
    return y


@given(data=st.data())
def test_convolutions_written_out(data):
    kernel, how, (c, o), size = data.draw(hows())
    x = laid_out(normal(data.draw, (data.draw(st.integers(0, 3)), c, *size)), data.draw(st.sampled_from("CF")))
    if data.draw(st.booleans()):  # in another precision, and as results lie
        x = x.astype(np.float32).transpose(1, 2, 3, 0).copy().transpose(3, 0, 1, 2)
    w, b = normal(data.draw, (o, c // how[3], *kernel)), normal(data.draw, o)
    np.testing.assert_allclose(F.conv2d(x, w, b, *how), by_hand(x, w, b, *how), rtol=1e-12, atol=1e-12)


def test_what_is_not_said_and_other_kinds_of_numbers():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 2, 4, 5)), rng.normal(size=(4, 2, 2, 3))
    b = np.zeros(4)
    np.testing.assert_allclose(F.conv2d(x, w), by_hand(x, w, b, (1, 1), (0, 0), (1, 1), 1))
    np.testing.assert_allclose(
        F.conv1d(x[:, :, 0], w[:, :, 0]), by_hand(x[:, :, :1], w[:, :, :1], b, (1, 1), (0, 0), (1, 1), 1)[:, :, 0]
    )
    np.testing.assert_array_equal(F.conv2d(x, w, None, np.int64(2), [1, 0]), F.conv2d(x, w, None, (2, 2), (1, 0)))
    for pool in (F.max_pool2d, F.avg_pool2d):
        np.testing.assert_array_equal(pool(x, 2), pool(x, (2, 2), stride=(2, 2), padding=(0, 0)))


@settings(max_examples=5)
@given(data=st.data())
def test_large_convolutions_in_blocks(data):
    """So large that rows are done in several blocks."""
    how = data.draw(pairs(1, 2)), data.draw(pairs(0, 1)), (1, 1), 1
    x, w = normal(data.draw, (40, 3, 20, 30)), normal(data.draw, (5, 3, 3, 4))
    a, k = tg.Tensor(x, requires_grad=True), tg.Tensor(w, requires_grad=True)
    y = F.conv2d(a, k, None, *how)
    rows = np.unique(np.random.default_rng(data.draw(seeds)).integers(0, len(x), 2))
    np.testing.assert_allclose(y.data[rows], by_hand(x[rows], w, np.zeros(5), *how), rtol=1e-11, atol=1e-11)
    g = normal(data.draw, y.shape)
    y.backward(g)
    along = normal(data.draw, x.shape), normal(data.draw, w.shape)  # linear in each: exact along a direction
    slopes = [np.sum(g * by_hand(along[0], w, np.zeros(5), *how)), np.sum(g * by_hand(x, along[1], np.zeros(5), *how))]
    np.testing.assert_allclose([np.sum(a.grad * along[0]), np.sum(k.grad * along[1])], slopes, rtol=1e-8)


@given(data=st.data())
def test_the_size_of_blocks_does_not_matter(data):
    kernel, how, (c, o), size = data.draw(hows())
    x, w = normal(data.draw, (2, c, *size)), normal(data.draw, (o, c // how[3], *kernel))
    most = data.draw(st.sampled_from([1, 50, 200]))
    results = []
    for small in ({"COPIED": 130_000}, {"COPIED": most}, {"ADDED": most, "MULTIPLIED": most}):
        with mock.patch.multiple(convolution, **small):
            a, k = tg.Tensor(x, requires_grad=True), tg.Tensor(w, requires_grad=True)
            y = F.conv2d(a, k, None, *how)
            y.backward(np.cos(np.arange(y.size)).reshape(y.shape))
            results.append((y.data, a.grad, k.grad))
    for found in results[1:]:
        for array, right in zip(found, results[0], strict=True):
            np.testing.assert_allclose(array, right, rtol=1e-12, atol=1e-12)


@given(data=st.data())
def test_windows_written_out(data):
    kernel, stride = data.draw(pairs(1, 3)), data.draw(pairs(1, 3))
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
    size = tuple(k + data.draw(st.integers(0, 3)) for k in kernel)
    x = np.round(normal(data.draw, (2, 2, *size)), 1)
    for pool, reduce, edge in ((F.max_pool2d, np.max, -np.inf), (F.avg_pool2d, np.mean, 0.0)):
        y = pool(x, kernel, stride, padding)
        wide = np.pad(x, [(0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2], constant_values=edge)
        for i, j in np.ndindex(y.shape[2:]):
            top, left = i * stride[0], j * stride[1]
            window = wide[:, :, top : top + kernel[0], left : left + kernel[1]]
            np.testing.assert_allclose(y[:, :, i, j], reduce(window, axis=(2, 3)), rtol=1e-12, atol=1e-12)
    wanted = data.draw(pairs(1, 4))
    y = F.adaptive_avg_pool2d(x, wanted)
    for i, j in np.ndindex(wanted):
        (top, bottom), (left, right) = ((k * n // of, math.ceil((k + 1) * n / of))
                                        for k, n, of in zip((i, j), size, wanted, strict=True))  # fmt: skip
        np.testing.assert_allclose(y[:, :, i, j], x[:, :, top:bottom, left:right].mean((2, 3)), rtol=1e-12, atol=1e-12)


def test_of_equal_numbers_the_first_takes_all():
    x = tg.Tensor(np.array([[[[2.0, 2.0, 1.0], [2.0, 0.0, 1.0]]]]), requires_grad=True)
    F.max_pool2d(x, 2, stride=1).sum().backward()
    np.testing.assert_array_equal(x.grad, [[[[1, 1, 0], [0, 0, 0]]]])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble])
def test_pooling_in_other_precisions(dtype):
    x = np.arange(16).reshape(1, 1, 4, 4)
    exact, other = (tg.Tensor(x.astype(d), requires_grad=True) for d in (np.float64, dtype))
    for a in (exact, other):
        F.max_pool2d(a, 3, 1, 1).backward(2 * np.ones((1, 1, 4, 4), a.dtype))
    assert other.grad.dtype == dtype and other.grad.max() == 8
    np.testing.assert_array_equal(other.grad, exact.grad)


def test_pooling_of_what_is_not_finite():
    x = tg.Tensor(np.array([[[[np.nan, 1.0, np.inf, 2.0], [0.0, 1.0, -np.inf, 2.0]]]]), requires_grad=True)
    y = F.max_pool2d(x, 2)
    np.testing.assert_array_equal(y.data, [[[[np.nan, np.inf]]]])
    y.backward(np.array([[[[np.inf, np.inf]]]]))
    assert not np.isnan(x.grad).any() and x.grad[0, 0, 0, 2] == np.inf and np.sum(x.grad) == np.inf
    assert np.count_nonzero(x.grad) == 2


@settings(max_examples=12)
@given(data=st.data())
def test_rows_are_images_of_one_row(data):
    m, c, n, k, o = 2, data.draw(st.integers(1, 3)), data.draw(st.integers(5, 9)), data.draw(st.integers(1, 3)), 2
    x, w, b = normal(data.draw, (m, c, n)), normal(data.draw, (o, c, k)), normal(data.draw, o)
    how = data.draw(st.integers(1, 3)), data.draw(st.integers(0, 2)), data.draw(st.integers(1, 2))
    found = F.conv1d(x, w, b, *how)
    pair = (1, how[0]), (0, how[1]), (1, how[2])
    np.testing.assert_allclose(found, by_hand(x[:, :, None], w[:, :, None], b, *pair, 1)[:, :, 0], rtol=1e-12)
    assert tg.gradcheck(lambda x, w, b: F.conv1d(x, w, b, *how), x, w, b, order=2)


def test_norms_of_large_means_are_exact():
    """Within what the numbers themselves are rounded to: one part in 2²⁴ of 1000, in units of the deviation."""
    x = np.random.default_rng(0).normal(size=(64, 32))
    far = (x + 1000).astype(np.float32)
    exact = far.astype(np.float64)
    for axis, found in ((1, F.layer_norm(far, 32)), (0, F.batch_norm(far, None, None, training=True))):
        exact_here = (exact - exact.mean(axis, keepdims=True)) / np.sqrt(exact.var(axis, keepdims=True) + 1e-5)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, exact_here, atol=3e-4)


@given(data=st.data())
def test_norms_written_out(data):
    """Of samples and channels, with weight and bias, each alone and both, in training and after it."""
    shape = data.draw(st.sampled_from([(2, 2), (3, 2), (2, 3, 4), (2, 3, 2, 2), (4, 1, 1)]))
    x, eps = normal(data.draw, shape) + 1, data.draw(st.sampled_from([1e-5, 0.5]))
    count = data.draw(st.integers(1, len(shape)))
    given = [data.draw(st.booleans()) for _ in range(2)]

    def wanted(mean, var, weight, bias):
        y = (x - mean) / np.sqrt(var + eps)
        y = y * weight if given[0] else y
        return y + bias if given[1] else y

    def those(a, b):
        return a if given[0] else None, b if given[1] else None

    axes = tuple(range(len(shape) - count, len(shape)))
    weight, bias = normal(data.draw, (2, *shape[-count:]))
    y = F.layer_norm(x, shape[-count:], *those(weight, bias), eps=eps)
    right = wanted(x.mean(axes, keepdims=True), x.var(axes, keepdims=True), weight, bias)
    np.testing.assert_allclose(y, right, rtol=1e-11, atol=1e-11)
    channels = normal(data.draw, (4, shape[1]))
    channels[3] **= 2
    over, wide = (0, *range(2, len(shape))), [row.reshape(-1, *[1] * (len(shape) - 2)) for row in channels]
    y = F.batch_norm(x, None, None, *those(*channels[:2]), training=True, eps=eps)
    right = wanted(x.mean(over, keepdims=True), x.var(over, keepdims=True), *wide[:2])
    np.testing.assert_allclose(y, right, rtol=1e-11, atol=1e-11)
    y = F.batch_norm(x, tg.Tensor(channels[2]), tg.Tensor(channels[3]), *those(*channels[:2]), eps=eps)
    np.testing.assert_allclose(y, wanted(wide[2], wide[3], *wide[:2]), rtol=1e-11, atol=1e-11)


def test_norms_of_odd_shapes():
    x = np.array([[1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(F.layer_norm(x, np.int64(3)), F.layer_norm(x, (3,)))
    assert F.batch_norm(np.ones((3, 0)), tg.Tensor(np.zeros(0)), tg.Tensor(np.zeros(0))).shape == (3, 0)


def test_equal_numbers_are_normalised_to_0():
    x = tg.Tensor(np.full((4, 3), 7.0), requires_grad=True)
    y = F.batch_norm(x, None, None, training=True)
    y.backward(np.arange(12.0).reshape(4, 3))
    assert not y.data.any() and np.isfinite(x.grad).all()


def test_running_statistics():
    x = np.random.default_rng(0).normal(size=(6, 2, 3, 4)) * 2 + 1
    mean, var = tg.Tensor(np.zeros(2)), tg.Tensor(np.ones(2))
    F.batch_norm(x, mean, var, training=True, momentum=0.25)
    np.testing.assert_allclose(mean.data, 0.25 * x.mean((0, 2, 3)))
    np.testing.assert_allclose(var.data, 0.75 + 0.25 * x.var((0, 2, 3), ddof=1))
    y = F.batch_norm(x, mean, var, eps=0.0)
    np.testing.assert_allclose(y[:, 1], (x[:, 1] - mean.data[1]) / np.sqrt(var.data[1]))


def test_rows_that_are_taken_twice():
    weight = tg.Tensor(np.arange(6.0).reshape(3, 2), requires_grad=True)
    y = F.embedding(np.array([[0, 2], [2, 2]]), weight)
    y.backward(np.arange(8.0).reshape(2, 2, 2))
    np.testing.assert_array_equal(weight.grad, [[0, 1], [0, 0], [12, 15]])
    assert F.embedding(np.zeros((0, 2), int), weight).shape == (0, 2, 2)


@given(data=st.data())
def test_they_are_pytorchs(data):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    f = torch.nn.functional
    kernel, how, (c, o), size = data.draw(hows())
    m, padding = data.draw(st.integers(1, 3)), tuple(k // 2 for k in kernel)
    x, w, b = normal(data.draw, (m, c, *size)), normal(data.draw, (o, c // how[3], *kernel)), normal(data.draw, o)
    v, channels, last = np.exp(normal(data.draw, c)), normal(data.draw, (2, c)), normal(data.draw, (2, size[1]))
    stride = how[0]
    cases = [
        ((x, w, b), lambda x, w, b: F.conv2d(x, w, b, *how), lambda x, w, b: f.conv2d(x, w, b, *how)),
        ((x,), lambda x: F.max_pool2d(x, kernel, stride, padding), lambda x: f.max_pool2d(x, kernel, stride, padding)),
        ((x,), lambda x: F.avg_pool2d(x, kernel, stride, padding), lambda x: f.avg_pool2d(x, kernel, stride, padding)),
        ((x,), lambda x: F.adaptive_avg_pool2d(x, (2, 3)), lambda x: f.adaptive_avg_pool2d(x, (2, 3))),
        ((x, *last), lambda x, w, b: F.layer_norm(x, x.shape[-1], w, b),
         lambda x, w, b: f.layer_norm(x, x.shape[-1:], w, b)),
        ((x, *channels), lambda x, w, b: F.batch_norm(x, tg.Tensor(b.data), tg.Tensor(v), w, b),
         lambda x, w, b: f.batch_norm(x, b.detach(), torch.tensor(v), w, b)),
    ]  # fmt: skip
    if m * math.prod(size) > 1:
        cases.append(
            ((x, *channels), lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True, eps=0.1),
             lambda x, w, b: f.batch_norm(x, None, None, w, b, training=True, eps=0.1))
        )  # fmt: skip
    for arrays, ours, theirs in cases:
        mine = [tg.Tensor(a.copy(), requires_grad=True) for a in arrays]
        others = [torch.tensor(a.copy(), requires_grad=True) for a in arrays]
        y, right = ours(*mine), theirs(*others)
        np.testing.assert_allclose(y.data, right.detach().numpy(), rtol=1e-10, atol=1e-10)
        g = np.cos(np.arange(y.size)).reshape(y.shape)
        y.backward(g)
        right.backward(torch.tensor(g))
        for a, other in zip(mine, others, strict=True):
            np.testing.assert_allclose(a.grad, other.grad.numpy(), rtol=1e-9, atol=1e-9)


@settings(max_examples=15)
@given(data=st.data())
def test_compiled_they_are_the_same(data):
    """In memory that each step uses again."""
    for name in IMAGES:
        function, arrays = data.draw(IMAGES[name])
        g = np.cos(np.arange(np.size(function(*arrays))))
        ends = []
        for compiled in (False, True):
            ps = [tg.Tensor(a.copy(), requires_grad=True) for a in arrays]
            optimizer = tg.SGD(ps, lr=1e-3)
            loss = lambda ps=ps, function=function, g=g: np.sum(np.reshape(function(*ps), -1) * g)
            step = tg.compile_step(loss, optimizer) if compiled else None
            values = []
            for _ in range(3):
                if step is None:
                    optimizer.zero_grad()
                    J = loss()
                    J.backward()
                    optimizer.step()
                values.append(step() if step else J.item())
            ends.append([*values, *(p.data for p in ps)])
        for recorded, found in zip(*ends, strict=True):
            np.testing.assert_allclose(found, recorded, rtol=1e-12, atol=1e-12)


X, W = np.ones((2, 3, 5, 6)), np.ones((4, 3, 2, 2))
RUNNING = tg.Tensor(np.ones(3))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: F.conv2d(X[:, 0], W), r"x must be \(m, c, h, w\) and weight \(o, c / groups, kh, kw\), .* np.newaxis"),
        (lambda: F.conv2d(X[0], W), r"a single sample has an axis, too: x\[np.newaxis\]"),
        (lambda: F.conv2d(np.ones((6, 5, 6)), W, groups=2), r"a single sample has an axis, too: x\[np.newaxis\]"),
        (lambda: F.conv2d(X[:1, 0], W[:, :1]), r"a single channel has an axis, too: x\[:, np.newaxis\]"),
        (lambda: F.conv2d(X[0], W[:, 0]), r"weight \(o, c / groups, kh, kw\), got \(3, 5, 6\) and \(4, 2, 2\)$"),
        (lambda: F.conv2d(X, W[:0]), r"weight of shape \(0, 3, 2, 2\) holds no kernels"),
        (lambda: F.batch_norm(np.moveaxis(X, 1, -1), None, None, np.ones(3), training=True), "Channels come second"),
        (lambda: F.conv1d(X, W), r"conv1d: x must be \(m, c, n\) and weight \(o, c / groups, k\), got"),
        (lambda: F.conv2d(np.moveaxis(X, 1, -1), W), r"takes 3 channels, x \(2, 5, 6, 3\) has 5. Channels come second"),
        (lambda: F.conv2d(X, W, groups=2), r"takes 6 channels in 2 groups, x \(2, 3, 5, 6\) has 3"),
        (lambda: F.conv2d(X, W[:, :1], groups=3), "4 kernels cannot be divided among 3 groups"),
        (lambda: F.conv2d(X, W, np.ones(3)), r"bias must have the shape \(4,\), one number for each .* got \(3,\)"),
        (lambda: F.conv2d(X, np.ones((4, 3, 7, 2)), dilation=2), r"size \(7, 2\) .* do not fit into images of size"),
        (lambda: F.conv2d(X, np.ones((4, 3, 6, 2))),
         r"\(6, 2\) \(dilation \(1, 1\)\) do not fit into images of size \(5, 6\) with padding \(0, 0\)"),
        (lambda: F.conv1d(X[:, 0], np.ones((4, 5, 4)), dilation=2, padding=0),
         r"\(4,\) \(dilation \(2,\)\) do not fit into images of size \(6,\) with padding \(0,\)"),
        (lambda: F.conv2d(X, W, stride=0), "conv2d: stride must be a whole number of at least 1, not 0"),
        (lambda: F.conv2d(X, W, padding="same"), "padding must be a whole number or a pair of them .* not 'same'"),
        (lambda: F.conv2d(X, W, padding=(1, 1, 1)), r"or a pair of them \(height, width\), not \(1, 1, 1\)"),
        (lambda: F.conv2d(X, W, padding=[1, 1, 1]), r"or a pair of them \(height, width\), not \[1, 1, 1\]"),
        (lambda: F.conv2d(X, W, dilation=0), "conv2d: dilation must be a whole number of at least 1, not 0"),
        (lambda: F.conv2d(X, W, groups=0), "conv2d: groups must be a whole number of at least 1, not 0"),
        (lambda: F.conv2d(X, W, groups=True), "conv2d: groups must be a whole number of at least 1, not True"),
        (lambda: F.conv1d(X[:, 0], W[:, 0], dilation=1.5), "conv1d: dilation must be a whole number .* not 1.5"),
        (lambda: F.max_pool2d(X[0], 2), r"max_pool2d: x must be images .* with pixels, got shape \(3, 5, 6\)"),
        (lambda: F.max_pool2d(X, 7), r"windows of \(7, 7\) do not fit into images of \(5, 6\) with padding \(0, 0\)"),
        (lambda: F.max_pool2d(X[:, :, :0], 2, 1, 1), r"images .* with pixels, got shape \(2, 3, 0, 6\)"),
        (lambda: F.max_pool2d(X, (2, 7)), r"windows of \(2, 7\) do not fit into images of \(5, 6\)"),
        (lambda: F.max_pool2d(X, 0), "max_pool2d: kernel_size must be a whole number of at least 1, not 0"),
        (lambda: F.max_pool2d(X, 2, 0), "max_pool2d: stride must be a whole number of at least 1, not 0"),
        (lambda: F.max_pool2d(X, 3, padding=(0, 2)), r"padding \(0, 2\) is more than half of the kernel_size"),
        (lambda: F.avg_pool2d(X, 3, padding=2), r"padding \(2, 2\) is more than half of the kernel_size \(3, 3\)"),
        (lambda: F.adaptive_avg_pool2d(X[0], 2), r"adaptive_avg_pool2d: x must be images .* got shape"),
        (lambda: F.adaptive_avg_pool2d(X[:, :, :0], 2), r"adaptive_avg_pool2d: x must be images .* \(2, 3, 0, 6\)"),
        (lambda: F.adaptive_avg_pool2d(X, 0), "output_size must be a whole number of at least 1, not 0"),
        (lambda: F.layer_norm(X, (5, 5)), r"x of shape \(2, 3, 5, 6\) must end with the axes \(5, 5\)"),
        (lambda: F.layer_norm(X, 6, np.ones(5)), r"layer_norm: weight must have the shape \(6,\), got \(5,\)"),
        (lambda: F.batch_norm(np.ones(3), None, None), r"x must be \(m, c\) or \(m, c, ...\), got shape \(3,\)"),
        (lambda: F.batch_norm(X, None, None), "without training, running_mean and running_var are needed"),
        (lambda: F.batch_norm(X, RUNNING, None), "without training, running_mean and running_var are needed"),
        (lambda: F.batch_norm(X, RUNNING, RUNNING, np.ones(5)), r"weight must have the shape \(3,\), .* got \(5,\)"),
        (lambda: F.batch_norm(X[:1, :, 0, 0], None, None, training=True), r"has 1 number\(s\) in each channel"),
        (lambda: F.embedding([0], np.ones(3)), r"weight must be a table \(num, dim\), got shape \(3,\)"),
    ],
)  # fmt: skip
def test_mistakes(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()


def test_mistakes_of_other_kinds():
    with pytest.raises(TypeError, match="running_mean must be a Tensor, which training updates, not ndarray"):
        F.batch_norm(X, np.zeros(3), np.ones(3), training=True)
    with pytest.raises(TypeError, match=r"embedding: indices must be whole numbers, got dtype float64.*astype\(int\)"):
        F.embedding(np.ones(2), np.ones((3, 2)))
    with pytest.raises(TypeError, match=r"real numbers are wanted here, got complex128: pass the .real"):
        F.conv2d(X * 1j, W)
    for index in (-1, 3):
        with pytest.raises(IndexError, match=f"embedding: index {index} is not one of the 3 rows, 0 to 2"):
            F.embedding([0, index], np.ones((3, 2)))


def test_windows_whose_largest_number_is_not_finite():
    """The border is never the largest: the gradient stays in the image."""
    low = tg.Tensor(np.full((1, 1, 2, 2), -np.inf), requires_grad=True)
    F.max_pool2d(low, 2, 2, 1).sum().backward()
    np.testing.assert_array_equal(low.grad, np.ones((1, 1, 2, 2)))
    x = np.zeros((1, 1, 3, 3))
    x[0, 0, 1, 1] = np.nan
    holed = tg.Tensor(x, requires_grad=True)
    F.max_pool2d(holed, 3, 2, 1).sum().backward()
    np.testing.assert_array_equal(holed.grad, 4.0 * np.isnan(x))
    row = np.array([np.inf, 1.0, 1.0, 1.0]).reshape(1, 1, 1, 4)
    np.testing.assert_array_equal(F.adaptive_avg_pool2d(row, (1, 2)).ravel(), [np.inf, 1.0])


def test_half_precision_sums_in_single_precision():
    x = np.array([[300, -300, 600, 0]], np.float16)
    wanted = [0.4472, -1.3416, 1.3416, -0.4472]
    for y in (F.layer_norm(x, 4)[0], F.batch_norm(x.T, None, None, training=True)[:, 0]):
        assert y.dtype == np.float16
        np.testing.assert_allclose(y, wanted, rtol=2e-3)
    var = tg.Tensor(np.ones(1, np.float16))
    F.batch_norm(x.T / 10, None, var, training=True)
    assert var.dtype == np.float16 and np.isfinite(var.data).all()
    assert F.avg_pool2d(np.full((1, 1, 32, 32), 300, np.float16), 32).item() == 300


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_a_variance_that_is_too_large_gives_nan():
    """And not zeros, as if all numbers were equal."""
    x = np.array([[1e20, 2e20, 3e20]], np.float32)
    assert np.isnan(F.layer_norm(x, 3)).all() and np.isnan(F.batch_norm(x.T, None, None, training=True)).all()
    step = tg.compile_step(lambda p: np.sum(F.layer_norm(p * w, 3)), tg.SGD([w := tg.Tensor(np.float32(1), True)], 0.1))
    assert np.isnan(step.evaluate(x))


def test_running_statistics_keep_their_precision():
    mean, var = tg.Tensor(np.zeros(2, np.float32)), tg.Tensor(np.ones(2, np.float32))
    F.batch_norm(np.arange(6).reshape(3, 2), mean, var, training=True)
    assert mean.dtype == var.dtype == np.float32
    np.testing.assert_allclose(mean.data, [0.2, 0.3], rtol=1e-6)


def test_small_indices_into_large_tables():
    for dtype, rows in ((np.uint8, 256), (np.int8, 128), (np.int16, 40_000)):
        indices = np.full(201, 7, dtype)
        weight = tg.Tensor(np.ones((rows, 2)), requires_grad=True)
        F.embedding(indices, weight).sum().backward()
        assert weight.grad[7].tolist() == [201, 201] and weight.grad.sum() == 402


@given(data=st.data())
def test_rows_are_added_as_by_numpy(data):
    """Many indices, also negative ones and in several axes: what `np.add.at` gives."""
    rows, count = data.draw(st.sampled_from([(1, 201), (5, 300), (400, 300), (50, 1000), (700, 2000), (27, 96)]))
    rng = np.random.default_rng(data.draw(seeds))
    index = rng.integers(-rows, rows, (count // 3, 3) if data.draw(st.booleans()) else count)
    index = index.astype(data.draw(st.sampled_from([np.int64, np.int16])))
    x = tg.Tensor(rng.normal(size=(rows, *data.draw(st.sampled_from([(2, 3), (6,), (200,)])))), requires_grad=True)
    y = x[index]
    g = rng.normal(size=y.shape)
    y.backward(g)
    wanted = np.zeros(x.shape)
    np.add.at(wanted, index, g)
    np.testing.assert_allclose(x.grad, wanted, rtol=1e-12, atol=1e-12)
