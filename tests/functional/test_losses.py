"""Losses with weights, labels that are left out, smoothing and no reduction: sums written out, and PyTorch's."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tests.strategies import arrays
from tinygrad_edu import functional as F

REDUCTIONS = ["mean", "sum", "none"]


def sigmoid(z):
    return 1 / (1 + math.exp(-z))


def by_hand(logits, labels, weight, ignored, smoothing, reduction):
    """The cross-entropy, row by row; `labels` are numbers of classes or rows of probabilities."""
    k, losses, divisor = len(logits[0]), [], 0.0
    for z, label in zip(logits, labels, strict=True):
        total = math.log(sum(math.exp(v) for v in z))
        if np.ndim(label) == 0 and label == ignored:
            losses.append(0.0)
            continue
        t = list(label) if np.ndim(label) else [float(c == label) for c in range(k)]
        smooth = [(1 - smoothing) * p + smoothing / k for p in t]
        losses.append(sum(w * p * (total - v) for w, p, v in zip(weight, smooth, z, strict=True)))
        divisor += 1.0 if np.ndim(label) else weight[label]
    return losses if reduction == "none" else sum(losses) / (divisor if reduction == "mean" else 1)


def drawn(data):
    """Logits, labels of one of the two kinds, and options."""
    m, k = data.draw(st.integers(1, 5)), data.draw(st.integers(2, 4))
    logits = data.draw(arrays((m, k)))
    smoothing = data.draw(st.sampled_from([0.0, 0.1, 1.0]))
    weight = data.draw(st.one_of(st.none(), arrays((k,), 0.5, 2.0)))
    if data.draw(st.booleans()):
        rows = data.draw(arrays((m, k), 0.1, 1.0))
        return logits, rows / rows.sum(axis=1, keepdims=True), weight, None, smoothing
    labels = np.array(data.draw(st.lists(st.integers(0, k - 1), min_size=m, max_size=m)))
    ignored = data.draw(st.sampled_from([None, -100, 1]))
    if ignored is not None:
        labels[data.draw(st.integers(0, m - 1))] = ignored
    return logits, labels, weight, ignored, smoothing


@given(data=st.data())
def test_cross_entropy_written_out(data):
    reduction = data.draw(st.sampled_from(REDUCTIONS))
    logits, labels, weight, ignored, smoothing = drawn(data)
    options = {"weight": weight, "ignore_index": ignored, "label_smoothing": smoothing}
    if reduction == "mean" and labels.ndim == 1 and np.all(labels == ignored):
        with pytest.raises(ValueError, match="cross_entropy: all labels are ignored, or of classes of weight 0"):
            F.cross_entropy(logits, labels, reduction, **options)
        return
    factors = np.ones(logits.shape[1]) if weight is None else weight
    right = by_hand(logits, labels, factors, ignored, smoothing, reduction)
    np.testing.assert_allclose(F.cross_entropy(logits, labels, reduction, **options), right, rtol=1e-12, atol=1e-14)
    f = lambda z: F.cross_entropy(z, labels, reduction, **options)
    assert np.all(labels == ignored) or tg.gradcheck(f, logits, order=2)


@given(data=st.data())
def test_cross_entropy_is_pytorchs(data):
    reduction = data.draw(st.sampled_from(REDUCTIONS))
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    logits, labels, weight, ignored, smoothing = drawn(data)
    if labels.ndim == 1 and np.all(labels == ignored):
        return
    tensor = lambda x: torch.tensor(x.copy())  # PyTorch takes no negative strides
    z = tensor(logits).requires_grad_()
    theirs = torch.nn.functional.cross_entropy(
        z, tensor(labels), weight=None if weight is None else tensor(weight),
        ignore_index=-100 if ignored is None else ignored, label_smoothing=smoothing, reduction=reduction,
    )  # fmt: skip
    (slope,) = torch.autograd.grad(theirs.sum(), z)
    ours = lambda z: F.cross_entropy(
        z, labels, reduction, weight=weight, ignore_index=ignored, label_smoothing=smoothing)  # fmt: skip
    np.testing.assert_allclose(ours(logits), theirs.detach().numpy(), rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(
        tg.grad(lambda z: np.sum(ours(z)))(logits), slope.numpy(), rtol=1e-10, atol=1e-13)  # fmt: skip


def test_a_logit_of_minus_infinity_that_no_label_asks_for():
    z = np.array([[-np.inf, 0.0, 0.0], [1.0, 2.0, 3.0]])
    each = F.cross_entropy(z, [1, 0], "none")
    np.testing.assert_allclose(each, [math.log(2), math.log(math.e**2 + math.e + 1)], rtol=1e-14)
    assert np.isfinite(tg.grad(lambda z: np.sum(F.cross_entropy(z, [1, 0], "none")))(z)).all()


@given(data=st.data())
def test_binary_cross_entropies_written_out(data):
    reduction = data.draw(st.sampled_from([*REDUCTIONS, "batchmean"]))
    shape = (data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3)))
    z, y = data.draw(arrays(shape, -30, 30)), data.draw(arrays(shape, 0, 1))
    w = data.draw(st.one_of(st.none(), arrays(shape[1:], 0.5, 2.0), arrays(shape, 0.5, 2.0)))
    positive = data.draw(st.one_of(st.none(), arrays(shape[1:], 0.5, 2.0)))
    right = np.zeros(shape)
    for i, j in np.ndindex(shape):
        factor = 1.0 if w is None else np.broadcast_to(w, shape)[i, j]
        p = 1.0 if positive is None else positive[j]
        v = z[i, j]
        right[i, j] = factor * (p * y[i, j] * math.log1p(math.exp(-v)) + (1 - y[i, j]) * (v + math.log1p(math.exp(-v))))
    count = {"mean": right.size, "sum": 1, "batchmean": len(right), "none": 1}[reduction]
    wanted = right if reduction == "none" else right.sum() / count
    got = F.binary_cross_entropy_with_logits(z, y, reduction, weight=w, pos_weight=positive)
    np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-12)
    if positive is None:
        h = 1 / (1 + np.exp(-z))
        for probability in (h, F.sigmoid(tg.Tensor(z))):
            value = F.binary_cross_entropy(probability, y, reduction, weight=w)
            np.testing.assert_allclose(value, wanted, rtol=1e-3, atol=1e-3)
        inner = np.clip(h, 0.05, 0.95)
        assert tg.gradcheck(
            lambda p, y: F.binary_cross_entropy(p, y, reduction, weight=w), inner, y / 2 + 0.25, order=2
        )
    f = lambda z, y: F.binary_cross_entropy_with_logits(z, y, reduction, weight=w, pos_weight=positive)
    assert tg.gradcheck(f, z / 10, y / 2 + 0.25, order=2)


def test_losses_of_each_element_add_up():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(4, 3)), rng.uniform(size=(4, 3))
    for loss in (
        F.mse_loss,
        F.binary_cross_entropy_with_logits,
        lambda z, y, r: F.binary_cross_entropy(F.sigmoid(z), y, r),
    ):
        each = loss(z, y, "none")
        assert each.shape == (4, 3)
        np.testing.assert_allclose(np.sum(each), loss(z, y, "sum"), rtol=1e-13)
    assert F.mse_loss(z, y, "none").tolist() == ((z - y) ** 2).tolist()
    np.testing.assert_allclose(F.cross_entropy(z, [0, 1, 2, 0], "none").sum(), F.cross_entropy(z, [0, 1, 2, 0], "sum"))


def test_weights_may_be_tensors_and_compiled():
    net, rng = tg.Dense(3, 4, rng=0), np.random.default_rng(0)
    X, y = rng.normal(size=(6, 3)), np.array([0, 1, 2, 3, -1, 1])
    weight = tg.Tensor(np.array([1.0, 2.0, 0.5, 3.0]))
    loss = lambda X, y: F.cross_entropy(net(X), y, weight=weight, ignore_index=-1, label_smoothing=0.1)
    J = loss(X, y)
    step = tg.compile_step(loss, tg.SGD(net.parameters(), lr=0.0))
    assert step(X, y) == pytest.approx(J.item(), rel=1e-14)
    weight.data = np.ones(4)
    assert step(X, y) == pytest.approx(loss(X, y).item(), rel=1e-14)
    d = tg.derive(loss, X, y, parameters=net)
    J.backward()
    weight.data = np.array([1.0, 2.0, 0.5, 3.0])
    for g, p in zip(d(X, y)[1], net.parameters(), strict=True):
        np.testing.assert_allclose(g, p.grad, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda z, y: F.cross_entropy(z, y, weight=np.ones(3)),
            r"factor for each of the 4 classes, got shape \(3,\)",
        ),
        (lambda z, y: F.cross_entropy(z, y, label_smoothing=1.5), r"label_smoothing must lie in \[0, 1\], not 1\.5"),
        (lambda z, y: F.cross_entropy(z, z + 0.25, ignore_index=1), "ignore_index is for labels that are numbers of"),
        (lambda z, y: F.cross_entropy(z, [0, 1, 9], ignore_index=1), "labels contain 9, but there are 4 classes"),
        (lambda z, y: F.cross_entropy(z, y, "median"), "must be 'mean', 'sum', 'batchmean' or 'none', not 'median'"),
        (lambda z, y: F.binary_cross_entropy(z, z, weight=np.ones(3)), r"weights of shape \(3,\) do not fit \(3, 4\)"),
        (lambda z, y: F.binary_cross_entropy_with_logits(z, z, pos_weight=np.ones((2, 3, 4))), "do not fit"),
    ],
)
def test_impossible_options_are_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call(np.zeros((3, 4)), [0, 1, 2])


def test_weights_that_are_learned_are_refused():
    with pytest.raises(TypeError, match="requires grad"):
        F.cross_entropy(np.zeros((3, 4)), [0, 1, 2], weight=tg.Tensor(np.ones(4), requires_grad=True))


def test_which_weights_fit():
    z, y = np.zeros((3, 4)), np.ones((3, 4))  # each loss is log 2
    for weight, total in (([1.0, 2.0, 3.0, 4.0], 30), (np.array([[1.0], [2.0], [3.0]]), 24), (2.0, 24), ([[1.0]], 12)):
        for loss, x in ((F.binary_cross_entropy_with_logits, z), (F.binary_cross_entropy, z + 0.5)):
            np.testing.assert_allclose(loss(x, y, "sum", weight=weight), total * math.log(2), rtol=1e-14)
    for shape in ((2, 4), (3, 2), (1, 3, 4), (3,)):
        with pytest.raises(ValueError, match=re.escape(f"weights of shape {shape} do not fit (3, 4)")):
            F.binary_cross_entropy_with_logits(z, y, weight=np.ones(shape))


def test_labels_of_a_single_class_may_be_ignored():
    z = np.array([[3.0], [1.0], [2.0]])
    assert F.cross_entropy(z, [[0], [-1], [0]], ignore_index=-1) == 0
    assert F.cross_entropy(z, [0, 0, -1], "none", ignore_index=-1).tolist() == [0, 0, 0]
