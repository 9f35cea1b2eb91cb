"""Activations and losses: exact over the whole float range, the reductions, and every refusal."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_edu import Dense, Sequential, Sigmoid, Tensor, no_grad
from tinygrad_edu import functional as F

EXTENDED = np.finfo(np.longdouble).nmant > 60
finite = st.floats(allow_nan=False, allow_infinity=False)
moderate = st.one_of(st.floats(-800, 800), st.floats(-5, 5), st.sampled_from([0.0, -0.0, 40.0, -40.0, 709.5, -745.0]))
L = np.longdouble
ACTIVATIONS = [F.relu, F.leaky_relu, F.sigmoid, F.softplus, F.log_sigmoid, F.softmax, F.log_softmax, F.silu, F.elu,
               F.gelu, lambda x: F.gelu(x, "tanh"), F.hardtanh, F.softsign]  # fmt: skip


def in_high_precision(name, x):
    """The definitions, in 80-bit floats."""
    x = L(x)
    if name == "sigmoid":
        return 1 / (1 + np.exp(-x)) if x > -11000 else L(0)
    softplus = np.maximum(x, 0) + np.log1p(np.exp(-abs(x)))
    return {"softplus": softplus, "log_sigmoid": softplus - x if x < 0 else -np.log1p(np.exp(-x))}[name]


@pytest.mark.skipif(not EXTENDED, reason="needs 80-bit floats for comparison")
@pytest.mark.parametrize("name", ["sigmoid", "softplus"])
@given(x=moderate)
def test_accurate_to_a_few_units_in_the_last_place(name, x):
    exact = in_high_precision(name, x)
    got = getattr(F, name)(np.array([x]))[0]
    assert abs(L(got) - exact) <= 4 * np.spacing(float(abs(exact)))


@pytest.mark.skipif(not EXTENDED, reason="needs 80-bit floats for comparison")
@given(x=moderate)
def test_log_sigmoid_is_minus_softplus_of_minus(x):
    exact = -in_high_precision("softplus", -x)
    assert abs(L(F.log_sigmoid(np.array([x]))[0]) - exact) <= 4 * np.spacing(float(abs(exact)))


@pytest.mark.skipif(not EXTENDED, reason="needs 80-bit floats for comparison")
@given(z=moderate, y=st.sampled_from([0.0, 1.0]))
def test_binary_cross_entropy_with_logits_is_accurate(z, y):
    exact = in_high_precision("softplus", -z if y else z)
    got = F.binary_cross_entropy_with_logits(np.array([z]), np.array([y]), "sum")
    assert abs(L(got) - exact) <= 4 * np.spacing(float(abs(exact)))


@pytest.mark.skipif(not EXTENDED, reason="needs 80-bit floats for comparison")
@given(z=st.lists(st.floats(-60, 60), min_size=2, max_size=5), data=st.data())
def test_cross_entropy_is_accurate_even_where_the_loss_is_tiny(z, data):
    label = data.draw(st.integers(0, len(z) - 1))
    others = [L(v) - L(z[label]) for i, v in enumerate(z) if i != label]
    largest = max(*others, L(0))
    exact = (
        np.log1p(sum(np.exp(v) for v in others))
        if largest == 0
        else (largest + np.log(np.exp(-largest) + sum(np.exp(v - largest) for v in others)))
    )
    got = F.cross_entropy(np.array([z]), [label])
    assert abs(L(got) - exact) <= 64 * np.spacing(float(abs(exact)))


@given(x=st.lists(finite, min_size=1, max_size=6))
def test_finite_and_without_warning_for_every_finite_input(x):
    x = np.array(x) / 4  # differences of two of them must be finite too
    y = (np.arange(len(x)) % 2).astype(float)
    with np.errstate(all="raise", under="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error")
        t = Tensor(x, requires_grad=True)
        for f in (*ACTIVATIONS, F.logsumexp):
            t.zero_grad()
            result = f(t)
            result.backward(np.ones(result.shape))
            assert np.all(np.isfinite(result.data)) and np.all(np.isfinite(t.grad)), f
        scaled = Tensor(x / len(x), requires_grad=True)
        for loss in (
            F.binary_cross_entropy_with_logits(scaled, y),
            F.binary_cross_entropy(F.sigmoid(scaled), y),
            F.cross_entropy(scaled.reshape(1, -1), [0]) if len(x) > 1 else scaled.sum(),
        ):
            scaled.zero_grad()
            loss.backward()
            assert np.isfinite(loss.item()) and np.all(np.isfinite(scaled.grad))


def test_sigmoid_at_both_ends():
    x = Tensor([-1000.0, -40.0, 1000.0], requires_grad=True)
    with np.errstate(all="raise", under="ignore"):
        y = F.sigmoid(x)
        y.sum().backward()
    np.testing.assert_allclose(y.data, [0, 4.248354255291589e-18, 1], rtol=1e-15)
    np.testing.assert_allclose(x.grad, [0, 4.248354255291589e-18, 0], rtol=1e-15)
    assert F.sigmoid(np.array([-720.0]))[0] == pytest.approx(np.exp(-720.0), rel=1e-6)
    assert np.isnan(F.sigmoid(np.array([np.nan]))[0])
    assert F.sigmoid(np.array([0], dtype=int))[0] == 0.5 and isinstance(F.sigmoid(0.0), float)
    for dtype in (np.float16, np.float32, np.longdouble):
        assert F.sigmoid(np.array([-3, 3], dtype)).dtype == dtype


def test_subgradients_at_kinks():
    def gradient(f, x):
        t = Tensor(x, requires_grad=True)
        f(t).sum().backward()
        return t.grad.tolist()

    assert gradient(F.relu, [0.0, -0.0, 1.0, -1.0]) == [0, 0, 1, 0]
    assert gradient(abs, [0.0, 2.0]) == [0, 1]
    assert gradient(lambda t: np.maximum(t, 1.0), [1.0]) == [0.5]
    assert gradient(lambda t: np.minimum(t, 1.0), [1.0]) == [0.5]
    assert gradient(lambda t: t.max(), [1.0, 3.0, 3.0]) == [0, 0.5, 0.5]
    assert gradient(lambda t: t.min(axis=0), [3.0, 3.0, 3.0]) == [1 / 3] * 3
    assert gradient(lambda t: t.clip(0, 1), [-1.0, 0.0, 0.5, 1.0, 2.0]) == [0, 1, 1, 1, 0]
    assert np.isnan(F.relu(np.array([np.nan]))[0]) and F.relu(np.array([-np.inf]))[0] == 0


def test_zero_in_the_domain():
    def gradient(f, *values):
        leaves = [Tensor(v, requires_grad=True) for v in values]
        f(*leaves).sum().backward()
        return [leaf.grad.tolist() for leaf in leaves]

    assert gradient(np.prod, [2.0, 0.0, 3.0]) == [[0, 6, 0]]
    assert gradient(np.prod, [2.0, 0.0, 0.0]) == [[0, 0, 0]]
    assert gradient(lambda x: x**0, 0.0) == [0]
    assert gradient(lambda x: x**0.0, [0.0, np.inf]) == [[0, 0]]
    assert gradient(lambda x: x**1, 0.0) == [1]
    assert gradient(lambda a, b: a**b, 0.0, 2.0) == [0, 0]
    assert gradient(np.std, [2.0, 2.0]) == [[0, 0]]
    assert gradient(np.std, [0.1, 0.1, 0.1]) == [[0, 0, 0]]  # whose mean is rounded
    assert gradient(lambda b: np.remainder(1.0, b), 0.1) == [-9]
    assert gradient(np.hypot, 0.0, 0.0) == [0, 0]
    with np.errstate(all="ignore"):
        assert gradient(lambda x: x**0.5, 0.0) == [np.inf]
        assert gradient(np.sqrt, 0.0) == [np.inf]
        assert gradient(lambda x: np.where(x > 0, np.log(x), 0), [0.0, 1.0])[0][1] == 1
        [a], [b] = [[g] for g in gradient(lambda a, b: a**b, -2.0, 2.0)]
    assert a == -4 and np.isnan(b)
    safe = lambda x: np.where(x > 0, np.log(np.where(x > 0, x, 1)), 0)  # the double where
    assert gradient(safe, [0.0, 1.0]) == [[0, 1]]


def test_softmax_and_logsumexp_at_large_and_infinite_values():
    assert F.softmax(np.array([1000.0, 1000.0])).tolist() == [0.5, 0.5]
    assert F.softmax(np.array([1000, 0])).tolist() == [1, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert F.logsumexp(np.array([-np.inf, -np.inf])) == -np.inf
        assert F.logsumexp(np.array([-np.inf, 3.0])) == 3
        assert F.logsumexp(np.array([np.inf, 3.0])) == np.inf
    assert F.logsumexp(np.array([1000.0, 1000.0])) == pytest.approx(1000 + np.log(2), rel=1e-15)
    assert F.logsumexp(np.ones((2, 3)), axis=(0, 1), keepdims=True).shape == (1, 1)
    assert F.log_softmax(np.array([30.0, 0.0]))[0] == pytest.approx(-np.log1p(np.exp(-30.0)), rel=1e-12)


def test_binary_cross_entropy_of_a_sigmoid_computes_from_its_logits():
    y = [0.0, 1.0, 0.0]
    for loss in (
        lambda z: F.binary_cross_entropy_with_logits(z, y, "sum"),
        lambda z: F.binary_cross_entropy(F.sigmoid(z), y, "sum"),
        lambda z: F.binary_cross_entropy(z.sigmoid(), y, "sum"),
        lambda z: F.binary_cross_entropy(F.sigmoid(z.reshape(3, 1)).reshape(-1), y, "sum"),
        lambda z: F.binary_cross_entropy(np.squeeze(Sigmoid()(z.reshape(3, 1))), y, "sum"),
    ):
        z = Tensor([1000.0, -1000.0, 0.0], requires_grad=True)
        J = loss(z)
        J.backward()
        assert J.item() == pytest.approx(2000.6931471805599, rel=1e-15)
        np.testing.assert_array_equal(z.grad, [1, -1, 0.5])


def test_the_logits_are_those_of_the_sigmoid_as_it_was():
    def loss_of(h):
        return F.binary_cross_entropy(h, [1.0, 0.0])

    z = Tensor([1.0, -2.0], requires_grad=True)
    with no_grad():
        h = F.sigmoid(z)
    assert not loss_of(h).requires_grad  # nothing leaks out of no_grad
    assert loss_of(h).item() == loss_of(F.sigmoid(z)).item()  # to the last bit
    h = F.sigmoid(z)
    before = loss_of(h).item()
    z.data = z.data - 100  # an optimiser's step
    assert loss_of(h).item() == before
    for h in (F.sigmoid(z), F.sigmoid(Tensor([1.0, -2.0]))):
        h = h.detach()
        h.requires_grad = True  # a leaf of its own
        loss_of(h).backward()
        assert h.grad is not None
    z = Tensor([1.0, -2.0], requires_grad=True)
    h = F.sigmoid(z)
    before = loss_of(h).item()
    z.data *= 50
    assert loss_of(h).item() == pytest.approx(before)  # of the probabilities: the logits are gone
    h.data = np.array([0.5, 0.5])
    assert loss_of(h).item() == pytest.approx(np.log(2))


def test_moving_probabilities_about_keeps_their_logits():
    for move in (
        lambda h: h[:, 0],
        lambda h: h.T[0],
        lambda h: h.reshape(2, order="F"),
        lambda h: h[h > -1],
        lambda h: h.squeeze(),
    ):
        z = Tensor([[1000.0], [-1000.0]], requires_grad=True)
        J = F.binary_cross_entropy(move(F.sigmoid(z)), [0.0, 1.0], "sum")
        J.backward()
        assert J.item() == 2000 and z.grad.tolist() == [[1], [-1]]
    twice = F.sigmoid(F.softmax(Tensor([[1.0, 2.0]], requires_grad=True)))
    assert F.binary_cross_entropy(F.softmax(twice), [[0.0, 1.0]]).requires_grad  # softmax's output has no logits


def test_integer_predictions_and_lists():
    assert (
        F.mse_loss(np.array([1, 2, 3]), [1.5, 2.5, 3.5])
        == F.mse_loss(Tensor([1, 2, 3]), [1.5, 2.5, 3.5]).item()
        == 0.25
    )
    assert F.mse_loss([1.0, 2.0], [1.0, 2.0]) == 0
    rows = np.array([[0.5, 0.5], [0.3, 0.7]])
    assert F.cross_entropy(np.array([[1, 2], [3, 1]]), rows) == F.cross_entropy([[1.0, 2.0], [3.0, 1.0]], rows)
    assert np.isfinite(F.binary_cross_entropy(np.array([0, 1]), [0, 1]))
    assert F.binary_cross_entropy_with_logits(np.array([0, 0]), [0, 1]) == np.log(2)


def test_the_largest_floats():
    with np.errstate(all="raise", under="ignore"):
        z = np.array([[1.7e308, -1.7e308]])
        assert F.cross_entropy(z, [0]) == 0 and F.softmax(z).tolist() == [[1, 0]] and F.logsumexp(z) == 1.7e308
        assert np.all(np.isfinite(F.log_softmax(z)))
    assert F.log_softmax(np.array([-np.inf, 0.0])).tolist() == [-np.inf, 0]


def test_plain_probabilities_stay_finite():
    p = Tensor([0.0, 1.0, 0.0, 1.0, 0.5], requires_grad=True)
    with np.errstate(all="raise", under="ignore"):
        J = F.binary_cross_entropy(p, [0, 1, 1, 0, 1], "sum")
        J.backward()
    assert np.isfinite(J.item()) and np.all(np.isfinite(p.grad))
    assert p.grad[0] == 1 and p.grad[1] == -1 and p.grad[4] == -2
    with no_grad():
        assert F.binary_cross_entropy(F.sigmoid(Tensor([0.0])), [1]).item() == pytest.approx(np.log(2))


def test_reductions():
    z, y = Tensor(np.arange(6.0).reshape(2, 3) - 2, requires_grad=True), np.array([[0, 1, 0], [1, 1, 0]])
    for loss in (F.mse_loss, F.binary_cross_entropy_with_logits):
        total = loss(z, y, "sum").item()
        assert loss(z, y).item() == loss(z, y, "mean").item() == pytest.approx(total / 6)
        assert loss(z, y, reduction="batchmean").item() == pytest.approx(total / 2)
        with pytest.raises(ValueError, match="reduction must be 'mean', 'sum', 'batchmean' or 'none', not 'median'"):
            loss(z, y, "median")
    total = F.cross_entropy(z, [0, 1], "sum").item()
    assert (
        F.cross_entropy(z, [0, 1]).item() == F.cross_entropy(z, [0, 1], "batchmean").item() == pytest.approx(total / 2)
    )
    with pytest.raises(ValueError, match="cross_entropy: reduction"):
        F.cross_entropy(z, [0, 1], "avg")


class TestShapesAndLabels:
    def test_shapes_that_would_broadcast(self):
        p = Tensor(np.zeros((3, 1)), requires_grad=True)
        for loss in (F.mse_loss, F.binary_cross_entropy, F.binary_cross_entropy_with_logits):
            with pytest.raises(ValueError, match=r"prediction \(3, 1\) and target \(3,\).*reshape\(3, 1\)"):
                loss(p, np.zeros(3))

    def test_empty_batches(self):
        for loss in (F.mse_loss, F.binary_cross_entropy_with_logits):
            with pytest.raises(ValueError, match="batch is empty"):
                loss(np.zeros((0, 2)), np.zeros((0, 2)))
        with pytest.raises(ValueError, match="batch is empty"):
            F.cross_entropy(np.zeros((0, 2)), np.zeros(0, int))
        for loss in (F.mse_loss, F.binary_cross_entropy, F.binary_cross_entropy_with_logits, F.l1_loss, F.huber_loss):
            assert loss(np.zeros((0, 2)), np.zeros((0, 2)), "none").shape == (0, 2)  # no mean is asked for
        assert F.cross_entropy(np.zeros((0, 2)), np.zeros(0, int), "none").shape == (0,)

    def test_targets_out_of_range(self):
        with pytest.raises(ValueError, match=r"targets must lie in \[0, 1\], got 0 to 2"):
            F.binary_cross_entropy_with_logits(np.zeros(2), [0, 2])
        for outside in (1.5, -0.5, np.nan):
            with pytest.raises(ValueError, match=r"probabilities must lie in \[0, 1\].*with_logits"):
                F.binary_cross_entropy(np.array([0.5, outside]), [0, 1])
        with pytest.raises(ValueError, match="contains NaN"):
            F.mse_loss(np.zeros(1), [np.nan])
        with pytest.raises(TypeError, match="must be real numbers"):
            F.mse_loss(np.zeros(1), ["1"])

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            ([10, 1], r"labels contain 10, but there are 10 classes \(0 to 9\).*y % 10"),
            ([-1, 1], "labels contain -1"),
            ([1.5, 0], r"labels contain 1\.5"),
            (np.array([0, 1], np.uint8) - np.uint8(1), "labels contain 255"),
            ([0, 1, 2], r"need labels of shape \(2,\), \(2, 1\) or \(2, 10\), got \(3,\)"),
            (np.full((2, 10), 0.2), r"row 0 is .*sums to 2"),
            (np.eye(10)[:2] * 3 - 2, "rows of probabilities"),
            (["0", "1"], "must be real numbers"),
        ],
    )
    def test_labels_that_cannot_be_right(self, labels, message):
        logits = Tensor(np.zeros((2, 10)), requires_grad=True)
        with np.errstate(over="ignore"), pytest.raises((ValueError, TypeError), match=message):
            F.cross_entropy(logits, labels)

    def test_labels_in_every_form_give_the_same(self):
        logits = np.random.default_rng(0).normal(size=(2, 10))
        results = []
        for labels in (
            [3, 7],
            [[3], [7]],
            np.eye(10)[[3, 7]],
            np.eye(10, dtype=int)[[3, 7]],
            Tensor([3, 7]),
            [3.0, 7.0],
        ):
            z = Tensor(logits, requires_grad=True)
            loss = F.cross_entropy(z, labels)
            loss.backward()
            assert z.grad.shape == (2, 10)
            results.append((loss.item(), z.grad.tolist()))
        assert all(r == results[0] for r in results)

    def test_softmax_before_cross_entropy(self):
        z = Tensor(np.zeros((2, 3)), requires_grad=True)
        with pytest.raises(ValueError, match=r"output of softmax.*Pass the logits"):
            F.cross_entropy(F.softmax(z), [0, 1])

    def test_logits_must_be_rows(self):
        with pytest.raises(ValueError, match=r"rows of class scores \(m, k\), got shape \(3,\)"):
            F.cross_entropy(np.zeros(3), [0])

    def test_a_target_that_requires_grad(self):
        z = Tensor(np.zeros((2, 3)), requires_grad=True)
        with pytest.raises(TypeError, match=r"target requires grad.*detach"):
            F.cross_entropy(z, F.softmax(z))


def test_large_logits():
    z = Tensor([[1000.0, 0.0]], requires_grad=True)
    loss = F.cross_entropy(z, [1])
    loss.backward()
    assert loss.item() == 1000 and z.grad.tolist() == [[1, -1]]


def test_l2_penalty_skips_biases():
    net = Sequential(Dense(3, 2, rng=0), Sigmoid(), Dense(2, 1, rng=1))
    net[0].bias.data = np.array([100.0, 100.0])
    weights = [net[0].weight, net[2].weight]
    expected = 3 / (2 * 5) * sum((w.data**2).sum() for w in weights)
    for what in (net, weights):
        assert F.l2_penalty(what, 3, 5).item() == pytest.approx(expected, rel=1e-14)
    F.l2_penalty(net, 3, 5).backward()
    np.testing.assert_allclose(weights[0].grad, 3 / 5 * weights[0].data, rtol=1e-14)
    assert net[0].bias.grad is None
    for lam, m in ((-1, 5), (1, 0), (np.nan, 5)):
        with pytest.raises(ValueError, match="lam must be at least 0"):
            F.l2_penalty(net, lam, m)
    with pytest.raises(ValueError, match="no weights"):
        F.l2_penalty([], 1, 5)


def test_dropout():
    x = Tensor(np.ones((100, 100)), requires_grad=True)
    y = F.dropout(x, 0.3, rng=0)
    assert set(np.unique(y.data)) == {0, 1 / 0.7} and abs(y.data.mean() - 1) < 0.02
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, y.data)
    assert F.dropout(x, 0.3, training=False) is x and F.dropout(x, 0.0) is x
    assert not F.dropout(x, 1.0).data.any()
    np.testing.assert_array_equal(F.dropout(x, 0.3, rng=5).data, F.dropout(x, 0.3, rng=5).data)
    assert F.dropout(np.ones(3, np.float32), 0.5).dtype == np.float32
    assert set(F.dropout(np.full(50, 200, np.uint8), 0.5, rng=0)) == {0, 400}
    with pytest.raises(ValueError, match="a probability"):
        F.dropout(x, 1.5)


def test_linear_with_a_single_sample_and_mixed_precision():
    w, b = Tensor(np.ones((3, 2)), requires_grad=True), Tensor(np.zeros(2), requires_grad=True)
    F.linear(np.array([1.0, 2.0, 3.0]), w, b).sum().backward()
    assert w.grad.tolist() == [[1, 1], [2, 2], [3, 3]] and b.grad.tolist() == [1, 1]
    assert F.linear(np.ones((2, 3), np.float32), w, b).dtype == np.float64
    assert F.linear(np.ones((2, 3)), w).shape == (2, 2)


def test_arrays_in_arrays_out():
    x = np.array([[1.0, -1.0]])
    for f in ACTIVATIONS:
        assert type(f(x)) is np.ndarray
    assert not isinstance(F.cross_entropy(x, [0]), Tensor) and not isinstance(F.mse_loss(x, x), Tensor)


def test_masked_logits_count_nothing():
    z = Tensor(np.array([[-np.inf, 0.0, 0.0]]), requires_grad=True)
    J = F.cross_entropy(z, [1])
    J.backward()
    assert J.item() == pytest.approx(np.log(2)) and z.grad.tolist() == [[0, -0.5, 0.5]]
