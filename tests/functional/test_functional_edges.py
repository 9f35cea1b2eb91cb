"""Edges of activations and losses that only mutants of their code pointed at."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_edu import Tensor, derive, grad, hessian
from tinygrad_edu import functional as F


def gradient(function, x, dtype=np.float64):
    t = Tensor(np.asarray(x, dtype), requires_grad=True)
    function(t).sum().backward()
    assert t.grad.dtype == dtype
    return t.grad.tolist()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("shape", [(2,), (1, 2)])
def test_relu_in_every_precision(dtype, shape):
    x = np.reshape([-1.0, 2.0], shape)
    assert np.ravel(gradient(lambda t: 3 * F.relu(t), x, dtype)).tolist() == [0, 3]
    assert gradient(F.relu, 2.0, dtype) == 1


def test_the_second_derivative_of_relu():
    x = np.array([-1.0, 0.5, 2.0])
    np.testing.assert_array_equal(hessian(lambda x: np.sum(F.relu(x) ** 2))(x), np.diag([0, 2, 2]))
    third = grad(lambda x: np.sum(grad(lambda x: np.sum(grad(lambda x: np.sum(F.relu(x) ** 3))(x)))(x)))(x)
    np.testing.assert_array_equal(third, [0, 6, 6])


def test_leaky_relu_at_its_kink():
    assert gradient(lambda t: F.leaky_relu(t, 0.25), [-1.0, 0.0, 1.0]) == [0.25, 0.25, 1]


class TestSumsOfExponentials:
    def test_ties(self):
        x = np.array([[1.0, 1.0, 0.0], [2.0, 3.0, 3.0], [0.0, 1.0, 2.0]])
        exact = np.log(np.sum(np.exp(x), axis=1))
        np.testing.assert_allclose(F.logsumexp(x, axis=1), exact, rtol=1e-15)
        np.testing.assert_allclose(F.logsumexp(x, axis=1, keepdims=True), exact[:, None], rtol=1e-15)
        np.testing.assert_allclose(F.logsumexp(x[None], axis=2), exact[None], rtol=1e-15)

    def test_infinite_rows(self):
        for x in (np.full((1, 2), -np.inf), np.full((1, 1, 2), -np.inf)):
            assert F.logsumexp(x, axis=-1).tolist() == np.full(x.shape[:-1], -np.inf).tolist()
        assert F.logsumexp(np.array([[np.inf, 0.0]]), axis=1).tolist() == [np.inf]
        assert np.isnan(F.logsumexp(np.array([np.nan, 0.0])))

    def test_large_values_along_any_axis(self):
        for axes, x in ((0, [1000.0, 1000.0]), ((0, 1), [[1000.0], [1000.0]]), (1, [[1000.0, 1000.0]])):
            np.testing.assert_allclose(F.logsumexp(np.array(x), axis=axes), 1000 + np.log(2), rtol=1e-15)

    def test_the_farthest_that_floats_go(self):
        most = np.finfo(float).max
        for x in (np.array([[most, -most]]), np.array([most, -most])):
            assert np.ravel(F.log_softmax(x)).tolist() == [0, -most]
        assert F.log_softmax(np.array([[0.0, -np.inf]])).tolist() == [[0, -np.inf]]
        with np.errstate(all="raise", under="ignore"):
            assert F.log_softmax(np.array([[9000, -65504]], np.float16)).tolist() == [[0, -65504]]

    def test_rows_that_differ_by_more_than_floats_can_say(self):
        x = np.array([[1000.0, -1000.0], [1000.0, -1000.0]])
        np.testing.assert_allclose(F.logsumexp(x, axis=0), np.array([1000, -1000]) + np.log(2), rtol=1e-15)
        assert F.logsumexp(np.array([[0.0, -np.inf], [np.inf, 0.0]]), axis=1).tolist() == [0, np.inf]
        assert F.logsumexp(np.array([[0.0, 0.0], [np.inf, 0.0]]), axis=1).tolist() == [np.log(2), np.inf]
        assert np.isnan(F.log_softmax(np.array([[np.nan, 0.0]]))).all()


def test_sigmoids_that_are_nearly_0_beside_others():
    exact = np.exp(-740.0)
    assert 0 < exact < np.finfo(float).tiny
    assert F.sigmoid(np.array([-740.0, 0.0])).tolist() == [exact, 0.5]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_the_gradient_of_relu_where_it_arrives_from_outside(dtype):
    x, weights = np.array([[-1, 2], [3, -4]], dtype), np.array([[5, 6], [7, 8]], dtype)
    for f, expected in (
        (lambda x: np.sum(F.relu(x) * weights), [[0, 6], [7, 0]]),
        (lambda x: np.sum(F.relu(x)), [[0, 1], [1, 0]]),
        (lambda x: F.relu(np.sum(x)), [[0, 0], [0, 0]]),
        (lambda x: F.relu(-np.sum(x)), [[0, 0], [0, 0]]),
    ):
        value, (gradient,) = derive(f, x)(x)
        assert value == f(x) and np.array_equal(gradient, expected) and gradient.dtype == dtype


def test_linear_in_mixed_precision():
    x, w = np.array([[1.0, 2.0]], np.float32), np.array([[3.0], [4.0]], np.float32)
    for dtype in (np.float32, np.float64):
        y = F.linear(x, w, np.array([0.5], dtype))
        assert y.dtype == dtype and y.tolist() == [[11.5]]


class TestLosses:
    p, y = np.array([[0.2, 0.7], [0.4, 0.9]]), np.array([[0.0, 1.0], [0.25, 1.0]])

    @pytest.mark.parametrize(
        "loss",
        [
            lambda p, y: F.mse_loss(p, y),
            lambda p, y: F.mse_loss(y, p),
            lambda p, y: F.binary_cross_entropy(p, y),
            lambda p, y: F.binary_cross_entropy(Tensor(y) * 0.5 + 0.25, p),
            lambda p, y: F.binary_cross_entropy_with_logits(p, y),
            lambda p, y: F.binary_cross_entropy_with_logits(y, p),
            lambda p, y: F.cross_entropy(p, [0, 1]),
        ],
    )
    def test_gradients_scale_with_what_arrives(self, loss):
        once = grad(lambda p: loss(p, self.y))(self.p)
        np.testing.assert_allclose(grad(lambda p: 3 * loss(p, self.y))(self.p), 3 * once, rtol=1e-14)
        np.testing.assert_allclose(grad(lambda p: loss(p, self.y) ** 2)(self.p), 2 * loss(self.p, self.y) * once)

    @pytest.mark.parametrize("loss", [F.binary_cross_entropy, F.binary_cross_entropy_with_logits])
    @pytest.mark.parametrize("target", [[-0.5, 1.0], [0.0, 1.5]])
    def test_targets_on_both_sides_of_the_range(self, loss, target):
        with pytest.raises(ValueError, match=r"targets must lie in \[0, 1\]"):
            loss(np.array([0.5, 0.5]), target)

    def test_a_target_is_taken_in_the_precision_of_the_prediction(self):
        for loss in (F.mse_loss, F.binary_cross_entropy, F.binary_cross_entropy_with_logits):
            for target in (self.y, Tensor(self.y)):
                assert loss(self.p.astype(np.float32), target).dtype == np.float32
            named = Tensor(self.y, name="truth")
            record = loss(Tensor(self.p, requires_grad=True), named).record
            assert "truth" in [described[1] for described in record.noted.constants if described]

    def test_the_message_shows_where_to_reshape(self):
        for prediction, target in ((3, 2), ((4, 3), 7), ((4, 3), 3), ((4, 3), (3, 1)), ((4, 3), (4, 2)), ((), 2)):
            with pytest.raises(ValueError, match=r"must have the same shape$"):
                F.mse_loss(np.zeros(prediction), np.zeros(target))
        for target in (4, (4, 1)):
            with pytest.raises(ValueError, match=r"; if these are labels, use one_hot\(target, 3\) or cross_entropy$"):
                F.mse_loss(np.zeros((4, 3)), np.zeros(target))

    def test_a_single_class(self):
        z = Tensor(np.array([[3.0], [4.0]]), requires_grad=True)
        loss = F.cross_entropy(z, [[0], [0]])
        loss.backward()
        assert loss.item() == 0 and z.grad.tolist() == [[0], [0]]

    @pytest.mark.parametrize("row", [[1.5, -0.5, 0.0], [np.nan, 0.5, 0.5], [0.5, 0.4999, 0.0]])
    def test_rows_that_are_no_probabilities(self, row):
        with pytest.raises(ValueError, match="rows of probabilities, but row 1"):
            F.cross_entropy(np.zeros((2, 3)), [[1.0, 0.0, 0.0], row])

    def test_rows_that_sum_to_almost_one(self):
        z, rows = np.array([[1.0, -2.0, 0.5]]), np.array([[0.5, 0.25, 0.25 + 5e-6]])
        exact = F.softmax(z) * rows.sum() - rows  # as the loss is −Σ t log softmax(z), whatever Σ t is
        np.testing.assert_allclose(gradient(lambda t: F.cross_entropy(t, rows), z), exact, rtol=0, atol=1e-12)

    def test_advice_on_labels_in_one_row(self):
        with pytest.raises(ValueError, match=r"got \(1, 2\); use labels.reshape\(2\)$"):
            F.cross_entropy(np.zeros((2, 3)), [[0, 1]])
        with pytest.raises(ValueError, match=r"got \(3,\)$"):
            F.cross_entropy(np.zeros((2, 3)), [0, 1, 2])

    def test_labels_at_both_ends_and_their_hint(self):
        z = np.array([[1.0, 2.0, 4.0]])
        for label in (0, 0.0, 2, 2.0):
            expected = np.log(np.sum(np.exp(z))) - z[0, int(label)]
            np.testing.assert_allclose(F.cross_entropy(z, [label]), expected, rtol=1e-14)
        for classes, label, hint in ((10, 10, True), (10, 11, False), (9, 10, False), (3, 3, False)):
            with pytest.raises(ValueError, match=f"labels contain {label}") as error:
                F.cross_entropy(np.zeros((1, classes)), [label])
            assert ("y % 10" in str(error.value)) == hint
        with pytest.raises(ValueError, match="Number the classes from 0"):
            F.cross_entropy(np.zeros((2, 3)), [3, 5])

    def test_one_hot(self):
        rows = [[0, 0, 1, 0], [1, 0, 0, 0]]
        for labels in ([2, 0], [[2], [0]], [2.0, 0.0]):
            assert F.one_hot(labels, 4).tolist() == rows
        assert F.one_hot([1], 2, np.float32).dtype == np.float32
        assert F.one_hot(np.zeros(0, int), 3).shape == (0, 3)
        assert F.one_hot(2, 4).tolist() == rows[0] and F.one_hot([[[2]]], 4).tolist() == [[[rows[0]]]]
        assert F.one_hot([[2, 0]], 4).tolist() == [rows] and F.one_hot([[1, 0], [0, 1]], 2).shape == (2, 2, 2)
        assert F.one_hot(np.zeros((3, 0), int), 2).shape == (3, 0, 2)
        with pytest.raises(ValueError, match="one_hot: labels contain 4, but there are 4 classes"):
            F.one_hot([[0, 1], [2, 4]], 4)

    def test_l2_penalty_of_one_sample_and_one_array(self):
        assert F.l2_penalty(np.array(3.0), 2, 1) == 9
        assert F.l2_penalty([np.array([1.0, 2.0]), np.array([2.0])], 1, 1) == 4.5
        assert F.l2_penalty(np.array([3.0]), 0, 1) == 0


def test_labels_that_mark_padding():
    """−100 is what PyTorch ignores by default; it is not a class of one's own, as other labels may be."""
    with pytest.raises(ValueError, match="leave those rows out: keep = labels != -100"):
        F.cross_entropy(np.zeros((3, 4)), [0, -100, -100])
    for wrong in ([0, 100, 1], [0, -101, 1]):
        with pytest.raises(ValueError, match=r"Number the classes from 0: np.unique\(labels"):
            F.cross_entropy(np.zeros((3, 4)), wrong)


def test_one_hot_of_one_hot_rows():
    for rows in (np.eye(3), np.eye(3)[[[0, 1], [2, 2]]]):
        with pytest.raises(ValueError, match=r"one_hot: the rows of labels of shape .* are one-hot already"):
            F.one_hot(rows, 3)
        assert F.one_hot(rows, 2).shape == F.one_hot(rows.astype(int), 2).shape == (*rows.shape, 2)  # labels, then


@pytest.mark.parametrize(
    ("shape", "labels", "advice"),
    [
        ((3,), (), "For a single sample"),
        ((3,), (1,), "For a single sample"),
        ((3,), (3,), "For one score of each sample"),
        ((4, 0), (4,), "without any class"),
        ((4, 2, 0), (4, 2), "without any class"),
        ((0, 2, 3), (0, 2), r"the batch is empty \(shape \(0, 2\)\)"),
        ((4, 3, 5), (4, 5), r"np.moveaxis\(logits, 1, -1\)$"),
    ],
)
def test_what_to_do_with_logits_of_other_shapes(shape, labels, advice):
    with pytest.raises(ValueError, match=advice):
        F.cross_entropy(np.zeros(shape), np.zeros(labels, int))


@pytest.mark.parametrize(
    ("labels", "advice"),
    [
        ([0, -1, -1], "If it marks padding"),
        ([0, -1, 7], "3 classes.*Number the classes from 0"),  # two that are wrong do not mark padding
        ([0, 7, 7], "3 classes.*Number the classes from 0"),
    ],
)
def test_what_wrong_labels_may_mean(labels, advice):
    with pytest.raises(ValueError, match=advice) as error:
        F.cross_entropy(np.zeros((3, 3)), np.array(labels))
    assert ("padding" in str(error.value)) == ("padding" in advice)
