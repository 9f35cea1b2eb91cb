"""Losses of distributions: sums written out, derivatives, PyTorch's values, and mistakes; and all composed losses
derived, printed and compiled.
"""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tests.functional.test_distances import REDUCTIONS, reduced
from tests.strategies import arrays
from tinygrad_edu import functional as F

pytestmark = pytest.mark.filterwarnings("ignore:gradcheck is vacuous")  # both distributions are equal, say


@settings(max_examples=40)
@given(data=st.data())
def test_likelihoods_of_classes(data):
    """The same as `cross_entropy` of the logits, with all its options."""
    reduction = data.draw(st.sampled_from(REDUCTIONS))
    m, k = data.draw(st.integers(1, 5)), data.draw(st.integers(2, 4))
    z, labels = data.draw(arrays((m, k))), data.draw(st.lists(st.integers(0, k - 1), min_size=m, max_size=m))
    options = {
        "weight": data.draw(st.one_of(st.none(), arrays((k,), 0.5, 2.0))),
        "ignore_index": labels[0] if len(set(labels)) > 1 else None,
    }
    loss = lambda z: F.nll_loss(F.log_softmax(z), labels, reduction, **options)
    np.testing.assert_allclose(loss(z), F.cross_entropy(z, labels, reduction, **options), rtol=1e-12, atol=1e-14)
    assert tg.gradcheck(loss, z, order=2)


def test_likelihoods_written_out():
    q = np.log([[0.5, 0.5], [0.2, 0.8]])
    assert F.nll_loss(q, [0, 1]) == pytest.approx(-(math.log(0.5) + math.log(0.8)) / 2)
    right = -(3 * math.log(0.5) + 1 * math.log(0.8)) / 4
    assert F.nll_loss(q, [0, 1], weight=[3.0, 1.0]) == pytest.approx(right)
    z = tg.Tensor([[0.0, -np.inf]], requires_grad=True)  # what is impossible, and did not happen
    F.nll_loss(z, [0]).backward()
    np.testing.assert_array_equal(z.grad, [[-1.0, 0.0]])


@settings(max_examples=40)
@given(data=st.data())
def test_divergences_written_out(data):
    logarithms = data.draw(st.sampled_from([False, True]))
    reduction = data.draw(st.sampled_from(REDUCTIONS))
    m, k = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    z, y = data.draw(arrays((m, k))), data.draw(arrays((m, k)))
    q, t = F.log_softmax(z), F.softmax(y)
    each = [[a * (math.log(a) - b) for a, b in zip(*row, strict=True)] for row in zip(t, q, strict=True)]
    target = np.log(t) if logarithms else t
    found = F.kl_div(q, target, reduction, log_target=logarithms)
    np.testing.assert_allclose(found, reduced(each, reduction), rtol=1e-9, atol=1e-12)
    of = F.log_softmax if logarithms else F.softmax
    loss = lambda z, y: F.kl_div(F.log_softmax(z), of(y), reduction, log_target=logarithms)
    assert tg.gradcheck(loss, z, y, order=2)


def test_what_cannot_happen_does_not_count():
    q = tg.Tensor([[math.log(0.5), math.log(0.5), -np.inf]], requires_grad=True)
    for impossible, logarithms in ((0.0, False), (-np.inf, True)):  # for the target: no summand, and no gradient
        target = np.array([[0.0 if logarithms else 1.0, impossible, impossible]])
        found, slope = tg.value_and_grad(lambda q, t=target, by=logarithms: F.kl_div(q, t, "sum", log_target=by))(q)
        assert found == -q[0, 0] and slope.tolist() == [[-1, 0, 0]]
    loss = F.kl_div(q, np.array([[1.0, 0.0, 0.0]]), "sum")
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2))
    np.testing.assert_array_equal(q.grad, [[-1.0, 0.0, 0.0]])


@settings(max_examples=40)
@given(data=st.data())
def test_normal_distributions_written_out(data):
    full = data.draw(st.sampled_from([False, True]))
    reduction = data.draw(st.sampled_from(REDUCTIONS))
    m, n = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    mean, t = data.draw(arrays((m, n))), data.draw(arrays((m, n)))
    v = data.draw(arrays(data.draw(st.sampled_from([(m, n), (m, 1), (n,), ()])), 0.2, 3.0))
    density = np.exp(-((t - mean) ** 2) / (2 * v)) / np.sqrt((2 * np.pi if full else 1.0) * v)
    loss = lambda mean, t, v: F.gaussian_nll_loss(mean, t, v, reduction, full=full)
    np.testing.assert_allclose(loss(mean, t, v), reduced(-np.log(density), reduction), rtol=1e-9, atol=1e-12)
    assert tg.gradcheck(loss, mean, t, v, order=2)


def test_variances_can_grow_again():
    v = tg.Tensor([0.0], requires_grad=True)
    loss = F.gaussian_nll_loss(np.array([0.0]), np.array([1.0]), v, eps=0.5)
    loss.backward()
    assert loss.item() == pytest.approx(0.5 * (math.log(0.5) + 2))
    np.testing.assert_allclose(v.grad, [0.5 * (2 - 4)])


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")  # PyTorch's own, of kl_div
@settings(max_examples=40)
@given(data=st.data())
def test_distributions_are_pytorchs(data):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    f = torch.nn.functional
    z, y = data.draw(arrays((4, 3))), data.draw(arrays((4, 3)))
    v, labels = np.exp(data.draw(arrays((4, 1), -1.0, 1.0))), np.array([0, 2, 1, 2])
    for reduction in ("mean", "sum", "none"):
        cases = [
            (lambda a: F.nll_loss(F.log_softmax(a), labels, reduction),  # noqa: B023
             lambda a: f.nll_loss(f.log_softmax(a, 1), torch.tensor(labels), reduction=reduction)),  # noqa: B023
            (lambda a: F.kl_div(F.log_softmax(a), F.softmax(y), reduction),  # noqa: B023
             lambda a: f.kl_div(f.log_softmax(a, 1), torch.tensor(F.softmax(y)), reduction=reduction)),  # noqa: B023
            (lambda a: F.gaussian_nll_loss(a, y, v, reduction, full=True),  # noqa: B023
             lambda a: f.gaussian_nll_loss(a, torch.tensor(y.copy()), torch.tensor(v.copy()), full=True,
                                           reduction=reduction)),  # noqa: B023
        ]  # fmt: skip
        for ours, theirs in cases:
            a, b = tg.Tensor(z.copy(), requires_grad=True), torch.tensor(z.copy(), requires_grad=True)
            found, right = ours(a), theirs(b)
            np.testing.assert_allclose(found.data, right.detach().numpy(), rtol=1e-10, atol=1e-12)
            found.sum().backward()
            right.sum().backward()
            np.testing.assert_allclose(a.grad, b.grad.numpy(), rtol=1e-10, atol=1e-12)


Q = np.log(np.full((3, 4), 0.25))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: F.nll_loss(Q + 3, [0, 1, 2]), "nll_loss: logarithms of probabilities are at most 0, got 1.614"),
        (lambda: F.kl_div(Q + 3, np.exp(Q)), "pass log_softmax(logits), or use cross_entropy"),
        (lambda: F.nll_loss(Q[0], [0]), "nll_loss: log_probability must be rows (m, k)"),
        (lambda: F.nll_loss(Q, [0, 1, 4]), "nll_loss: labels contain 4, but there are 4 classes"),
        (lambda: F.nll_loss(Q, [0, 1]), "nll_loss: log_probability of shape (3, 4) need labels of shape (3,)"),
        (lambda: F.nll_loss(Q, [5, 5, 5], ignore_index=5), "nll_loss: all labels are ignored"),
        (lambda: F.nll_loss(Q, Q), "nll_loss: labels of the same shape as the log_probability must be rows of"),
        (lambda: F.nll_loss(Q, [0, 1, 2], weight=[1.0]), "nll_loss: weight must hold a factor for each of the 4"),
        (lambda: F.kl_div(Q, Q), "kl_div: targets must not be negative, got -1.386; for logarithms of probabilities"),
        (lambda: F.kl_div(Q, np.exp(Q[:2])), "kl_div: prediction (3, 4) and target (2, 4) must have the same shape"),
        (lambda: F.kl_div(Q[:0], Q[:0]), "kl_div: the batch is empty"),
        (lambda: F.gaussian_nll_loss(Q, Q, -1.0), "gaussian_nll_loss: variances must not be negative, got -1; let a"),
        (lambda: F.gaussian_nll_loss(Q, Q, np.ones(3)), "variances of shape (3,) do not fit (3, 4)"),
        (lambda: F.gaussian_nll_loss(Q, Q[0], 1.0), "gaussian_nll_loss: prediction (3, 4) and target (4,) must have"),
        (lambda: F.gaussian_nll_loss(Q, Q, 1.0, eps=0), "gaussian_nll_loss: eps must be a positive number, not 0"),
    ],
)
def test_mistakes(wrong, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        wrong()


def test_labels_that_require_grad():
    labels = tg.Tensor([0.0, 1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match="nll_loss: the target requires grad, but the loss has no gradient for it"):
        F.nll_loss(Q, labels)


# Everywhere

_RNG = np.random.default_rng(3)
TARGETS, LABELS = _RNG.normal(size=(12, 3)), _RNG.integers(0, 3, 12)
LOSSES = {
    "l1_loss": (lambda z, y: F.l1_loss(z, y), TARGETS),
    "huber_loss": (lambda z, y: F.huber_loss(z, y, delta=0.5), TARGETS),
    "smooth_l1_loss": (lambda z, y: F.smooth_l1_loss(z, y, "sum", beta=0.5), TARGETS),
    "hinge_loss": (lambda z, y: F.hinge_loss(z, y), LABELS),
    "cosine_similarity": (lambda z, y: np.mean(F.cosine_similarity(z, y)), TARGETS),
    "cosine_embedding_loss": (lambda z, y: F.cosine_embedding_loss(z, z[:, ::-1], y), 2 * (LABELS > 0) - 1),
    "nll_loss": (lambda z, y: F.nll_loss(F.log_softmax(z), y), LABELS),
    "kl_div": (lambda z, y: F.kl_div(F.log_softmax(z), F.softmax(y), "batchmean"), TARGETS),
    "kl_div, logarithms": (lambda z, y: F.kl_div(F.log_softmax(z), F.log_softmax(y), log_target=True), TARGETS),
    "gaussian_nll_loss": (lambda z, y: F.gaussian_nll_loss(z, y, np.exp(z[:, :1])), TARGETS),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", LOSSES)
def test_recorded_and_compiled_are_the_same(name, dtype):
    loss, targets = LOSSES[name]
    X = np.random.default_rng(0).normal(size=(12, 4)).astype(dtype)
    targets = targets.astype(dtype) if targets.dtype.kind == "f" else targets
    nets = [tg.Dense(4, 3, rng=1, dtype=dtype) for _ in range(2)]
    optimizers = [tg.SGD(net.parameters(), lr=0.1) for net in nets]
    step = tg.compile_step(lambda X, y: loss(nets[0](X), y), optimizers[0])
    for _ in range(3):
        optimizers[1].zero_grad()
        value = loss(nets[1](X), targets)
        assert value.dtype == dtype
        value.backward()
        optimizers[1].step()
        assert step(X, targets) == pytest.approx(value.item(), rel=1e-5 if dtype == np.float32 else 1e-12)
    for p, q in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=1e-4 if dtype == np.float32 else 1e-11, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_the_printed_derivation_holds_for_other_rows(name):
    loss, targets = LOSSES[name]
    z = np.random.default_rng(1).normal(size=(12, 3))
    names: dict = {}
    exec(tg.derive(loss, tg.Tensor(z[:5], requires_grad=True), targets[:5]).source, names)
    for rows in (slice(0, 3), slice(2, 12)):
        value, gradients = names["value_and_gradients"](z[rows], targets[rows])
        right, gradient = tg.value_and_grad(lambda z: loss(z, targets[rows]))(z[rows])  # noqa: B023
        np.testing.assert_allclose(value, right, rtol=1e-12)
        np.testing.assert_allclose(gradients[0], gradient, rtol=1e-10, atol=1e-14)
