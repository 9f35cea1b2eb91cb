"""Losses of differences, margins and angles: sums written out, derivatives, PyTorch's values, and mistakes."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tests.strategies import arrays
from tinygrad_edu import functional as F

REDUCTIONS = ["mean", "sum", "batchmean", "none"]
pytestmark = pytest.mark.filterwarnings("ignore:gradcheck is vacuous")  # a single class, say


def reduced(each, reduction):
    each = np.asarray(each)
    return {"none": each, "sum": each.sum(), "mean": each.sum() / each.size, "batchmean": each.sum() / len(each)}[
        reduction
    ]


def huber(d, delta):
    return d * d / 2 if abs(d) <= delta else delta * (abs(d) - delta / 2)


EACH = {
    "l1_loss": (F.l1_loss, {}, abs),
    "huber_loss": (F.huber_loss, {}, lambda d: huber(d, 1.0)),
    "huber_loss, delta": (F.huber_loss, {"delta": 0.3}, lambda d: huber(d, 0.3)),
    "smooth_l1_loss": (F.smooth_l1_loss, {"beta": 0.3}, lambda d: huber(d, 0.3) / 0.3),
    "smooth_l1_loss, 0": (F.smooth_l1_loss, {"beta": 0.0}, abs),
}


@settings(max_examples=40)
@given(data=st.data())
def test_differences_written_out(data):
    reduction = data.draw(st.sampled_from(REDUCTIONS))
    name = data.draw(st.sampled_from(sorted(EACH)))
    loss, options, of_one = EACH[name]
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    p, t = data.draw(arrays(tuple(shape))), data.draw(arrays(tuple(shape)))
    right = reduced(np.vectorize(of_one, otypes=[float])(p - t), reduction)
    np.testing.assert_allclose(loss(p, t, reduction, **options), right, rtol=1e-12, atol=1e-13)
    kinks = np.abs(np.abs(p - t)[..., None] - [0.0, *options.values(), 1.0])
    if np.min(kinks) > 1e-3:
        assert tg.gradcheck(lambda p, t: loss(p, t, reduction, **options), p, t, order=2)


@settings(max_examples=40)
@given(data=st.data())
def test_differences_are_pytorchs(data):
    name = data.draw(st.sampled_from(sorted(EACH)))
    reduction = data.draw(st.sampled_from(["mean", "sum", "none"]))
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    loss, options, _ = EACH[name]
    p, t = data.draw(arrays((3, 2))), data.draw(arrays((3, 2)))
    ours = tg.Tensor(p.copy(), requires_grad=True)
    theirs = torch.tensor(p.copy(), requires_grad=True)
    total = loss(ours, t, reduction, **options)
    other = getattr(torch.nn.functional, name.partition(",")[0])(
        theirs, torch.tensor(t.copy()), reduction=reduction, **options
    )
    np.testing.assert_allclose(total.data, other.detach().numpy(), rtol=1e-12, atol=1e-13)
    total.sum().backward()
    other.sum().backward()
    np.testing.assert_allclose(ours.grad, theirs.grad.numpy(), rtol=1e-12, atol=1e-13)


def test_where_both_are_equal():
    z = tg.Tensor([1.0, -1.0], requires_grad=True)
    F.l1_loss(z, [1.0, 0.0], "sum").backward()
    np.testing.assert_array_equal(z.grad, [0.0, -1.0])


def test_at_the_end_of_the_parabola():
    for end in (1.0, -1.0):
        z = tg.Tensor([end], requires_grad=True)
        F.huber_loss(z, [0.0], "sum").backward()
        np.testing.assert_array_equal(z.grad, [end])


def test_large_differences_do_not_overflow():
    z = tg.Tensor([1e300, -1e300], requires_grad=True)
    loss = F.huber_loss(z, [0.0, 0.0], "sum")
    loss.backward()
    assert loss.item() == 2e300
    np.testing.assert_array_equal(z.grad, [1.0, -1.0])


# Margins


@settings(max_examples=40)
@given(data=st.data())
def test_margins_written_out(data):
    reduction = data.draw(st.sampled_from(REDUCTIONS))
    m, k = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 4))
    margin = data.draw(st.sampled_from([1.0, 0.3]))
    s = data.draw(arrays((m, k)))
    labels = data.draw(st.lists(st.integers(0, k - 1), min_size=m, max_size=m))
    gaps = [[row[j] - row[y] + margin for j in range(k) if j != y] for row, y in zip(s, labels, strict=True)]
    right = reduced([sum(max(0.0, gap) for gap in row) for row in gaps], reduction)
    given_labels = data.draw(st.sampled_from([labels, np.array(labels).reshape(-1, 1)]))
    np.testing.assert_allclose(F.hinge_loss(s, given_labels, reduction, margin), right, rtol=1e-12, atol=1e-12)
    flat = [gap for row in gaps for gap in row]
    if max(flat, default=0) > 0 and min(map(abs, flat)) > 1e-3:
        assert tg.gradcheck(lambda s: F.hinge_loss(s, labels, reduction, margin), s, order=2)


def test_margins_by_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    s, labels = np.random.default_rng(0).normal(size=(7, 4)), np.array([0, 1, 2, 3, 0, 1, 2])
    theirs = torch.nn.functional.multi_margin_loss(torch.tensor(s), torch.tensor(labels))
    assert F.hinge_loss(s, labels) / 4 == pytest.approx(theirs.item(), rel=1e-12)


def test_the_scores_of_the_course():
    """cs231n, "Linear classification": cat, car and frog."""
    scores = np.array([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]])
    np.testing.assert_allclose(F.hinge_loss(scores, [0, 1, 2], "none"), [2.9, 0.0, 12.9])


def test_infinite_scores():
    z = tg.Tensor([[0.0, -np.inf], [np.inf, 1.0]], requires_grad=True)
    loss = F.hinge_loss(z, [0, 0])
    loss.backward()
    assert loss.item() == 0
    np.testing.assert_array_equal(z.grad, np.zeros((2, 2)))


# Angles


@settings(max_examples=40)
@given(data=st.data())
def test_angles_written_out(data):
    m, n = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    x, y = data.draw(arrays((m, n), 0.2, 2.0)), data.draw(arrays((m, n), -2.0, 2.0))
    axis = data.draw(st.sampled_from([-1, 0, 1]))
    dot = lambda a, b: (a * b).sum(axis=axis)
    lengths = np.sqrt(dot(x, x)) * np.sqrt(dot(y, y))
    if np.all(lengths > 1e-3):
        np.testing.assert_allclose(F.cosine_similarity(x, y, axis), dot(x, y) / lengths, rtol=1e-11, atol=1e-12)
        assert tg.gradcheck(lambda x, y: F.cosine_similarity(x, y, axis), x, y, order=2)


def test_a_row_of_zeros_has_no_direction():
    x = tg.Tensor(np.zeros((1, 2)), requires_grad=True)
    cos = F.cosine_similarity(x, np.array([[3.0, 4.0]]))
    np.testing.assert_array_equal(cos.data, [0.0])
    cos.sum().backward()
    np.testing.assert_allclose(x.grad, [[0.6e8, 0.8e8]])


def test_directions_of_any_length():
    for scale in (1e-200, 1e200):
        x = np.array([3.0, 4.0]) * scale
        assert F.cosine_similarity(x, x, eps=1e-300) == pytest.approx(1.0, rel=1e-15)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_rows_that_belong_together(reduction):
    rng = np.random.default_rng(0)
    x, y, target = rng.normal(size=(6, 3)), rng.normal(size=(6, 3)), np.array([1, -1, 1, -1, 1, -1])
    cos = [a @ b / math.sqrt(a @ a) / math.sqrt(b @ b) for a, b in zip(x, y, strict=True)]
    each = [1 - c if t == 1 else max(0, c + 0.1) for c, t in zip(cos, target, strict=True)]
    loss = lambda x, y: F.cosine_embedding_loss(x, y, target, reduction, margin=-0.1)
    np.testing.assert_allclose(loss(x, y), reduced(each, reduction), rtol=1e-12)
    assert tg.gradcheck(loss, x, y, order=2)
    if reduction != "batchmean":
        torch = pytest.importorskip("torch", reason="PyTorch is not installed")
        theirs = torch.nn.functional.cosine_embedding_loss(
            *map(torch.tensor, (x, y, target)), margin=-0.1, reduction=reduction
        )
        np.testing.assert_allclose(loss(x, y), theirs.numpy(), rtol=1e-7)


# Mistakes

Z = np.zeros((3, 4))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: F.l1_loss(Z, np.zeros(3)), "l1_loss: prediction (3, 4) and target (3,) must have the same shape"),
        (lambda: F.l1_loss(Z[:0], Z[:0]), "l1_loss: the batch is empty"),
        (lambda: F.huber_loss(Z, Z * np.nan), "huber_loss: the target contains NaN"),
        (lambda: F.huber_loss(Z, Z, "avg"), "huber_loss: reduction must be 'mean', 'sum', 'batchmean' or 'none'"),
        (lambda: F.huber_loss(Z, Z, delta=0), "huber_loss: delta must be a positive number, not 0"),
        (lambda: F.huber_loss(Z, Z, delta=math.nan), "huber_loss: delta must be a positive number, not nan"),
        (lambda: F.smooth_l1_loss(Z, Z, beta=-1), "smooth_l1_loss: beta must be 0 or a positive number, not -1"),
        (lambda: F.hinge_loss(Z, [0, 1, 4]), "hinge_loss: labels contain 4, but there are 4 classes"),
        (lambda: F.hinge_loss(Z, [0, 1]), "labels must be numbers of classes, of shape (3,) or (3, 1), got (2,)"),
        (lambda: F.hinge_loss(Z, np.eye(4)[:3]), "(3,) or (3, 1), got (3, 4); of rows use rows.argmax(axis=1)"),
        (lambda: F.hinge_loss(Z[0], [0]), "hinge_loss: scores must be rows of class scores (m, k), got shape (4,)"),
        (lambda: F.hinge_loss(Z, [0, 1, 2], margin=0), "hinge_loss: margin must be a positive number, not 0"),
        (lambda: F.hinge_loss(Z[:0], []), "hinge_loss: the batch is empty"),
        (lambda: F.cosine_similarity(Z, Z, eps=0), "cosine_similarity: eps must be a positive number, not 0"),
        (lambda: F.cosine_embedding_loss(Z, Z, [1, 0, 1]), "got 0; turn 0 and 1 into 2 * target - 1"),
        (lambda: F.cosine_embedding_loss(Z, Z[:2], [1, 1, 1]), "must have one shape (m, n)"),
        (lambda: F.cosine_embedding_loss(Z, Z, [1, 1]), "and the target shape (m,); got (3, 4), (3, 4) and (2,)"),
        (lambda: F.cosine_embedding_loss(Z, Z, [1, 1, 1], margin=2), "margin must be a number from -1 to 1, not 2"),
    ],
)  # fmt: skip
def test_mistakes(wrong, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        wrong()
