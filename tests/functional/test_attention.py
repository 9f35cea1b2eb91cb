"""scaled_dot_product_attention against loops written by hand, numerical differences, PyTorch, and compiled steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tests.strategies import seeds

attention = tg.scaled_dot_product_attention
sizes = st.integers(1, 4)


def by_hand(q, k, v, mask=None, causal=False):
    """Query by query."""
    front = np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    (t, d), (s, n) = q.shape[-2:], v.shape[-2:]
    q, k, v = (np.broadcast_to(a, front + a.shape[-2:]) for a in (q, k, v))
    mask = np.broadcast_to(True if mask is None else mask, (*front, t, s))
    y = np.zeros((*front, t, n))
    for place in np.ndindex(*front, t):
        at, i = place[:-1], place[-1]
        shares = []
        for j in range(s):
            score = q[place] @ k[at][j] / np.sqrt(d)
            allowed = mask[place][j] if mask.dtype == bool else mask[place][j] > -np.inf
            score += 0 if mask.dtype == bool else mask[place][j]
            shares.append(np.exp(score) if allowed and (j <= i or not causal) else 0)
        if sum(shares):
            y[place] = sum(share * v[at][j] for j, share in enumerate(shares)) / sum(shares)
    return y


@st.composite
def calls(draw):
    t, s, d, n = (draw(sizes) for _ in range(4))
    fronts = [((), (), ()), ((2,), (2,), (2,)), ((2, 3), (3,), (2, 1)), ((1,), (), (2,)), ((), (2,), (1,))]
    front = draw(st.sampled_from(fronts))
    rng = np.random.default_rng(draw(seeds))
    q, k, v = (rng.normal(size=(*f, *z)) for f, z in zip(front, ((t, d), (s, d), (s, n)), strict=True))
    scores = (*np.broadcast_shapes(*front), t, s)
    shape = draw(st.sampled_from([scores, (t, s), (s,), (t, 1)]))
    mask = draw(st.sampled_from([None, rng.random(shape) < 0.6, rng.normal(size=shape)]))
    if mask is not None and mask.dtype == float and draw(st.booleans()):
        mask = np.where(rng.random(shape) < 0.5, -np.inf, mask)
    return q, k, v, mask, draw(st.booleans())


@given(calls())
def test_it_is_what_a_loop_gives(call):
    q, k, v, mask, causal = call
    np.testing.assert_allclose(attention(q, k, v, mask, causal), by_hand(q, k, v, mask, causal), rtol=1e-12, atol=1e-14)
    recorded = attention(tg.Tensor(q, requires_grad=True), k, tg.Tensor(v), mask, causal=causal)
    np.testing.assert_array_equal(recorded.data, attention(q, k, v, mask, causal))
    triangle = np.tri(q.shape[-2], k.shape[-2], dtype=bool)
    np.testing.assert_array_equal(attention(q, k, v, causal=True), attention(q, k, v, triangle))
    np.testing.assert_array_equal(attention(q, k, v, triangle), attention(q, k, v, np.where(triangle, 0, -np.inf)))


@pytest.mark.filterwarnings("ignore:gradcheck is vacuous")  # of a mean of nothing
@settings(max_examples=15)
@given(calls())
def test_its_derivatives(call):
    q, k, v, mask, causal = call
    assert tg.gradcheck(lambda q, k, v: attention(q, k, v, mask, causal), q, k, v, order=2)
    if mask is not None and mask.dtype == float and np.isfinite(mask).all():
        assert tg.gradcheck(lambda mask: attention(q, k, v, mask, causal), mask, order=2)


@given(calls())
def test_it_is_pytorchs(call):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    q, k, v, mask, causal = call
    t, s = q.shape[-2], k.shape[-2]
    theirs = [torch.from_numpy(a).requires_grad_() for a in (q, k, v)]
    allowed = None if mask is None else torch.from_numpy(mask)
    if causal and mask is not None:  # PyTorch refuses both
        lower = np.tri(t, s, dtype=bool)
        allowed = torch.from_numpy(mask & lower if mask.dtype == bool else np.where(lower, mask, -np.inf))
    front = np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])  # PyTorch's mask knows nothing of v
    wide = [a.expand(*front, *a.shape[-2:]) for a in theirs]
    y = torch.nn.functional.scaled_dot_product_attention(*wide, allowed, is_causal=causal and mask is None)
    ours = [tg.Tensor(a, requires_grad=True) for a in (q, k, v)]
    z = attention(*ours, mask, causal)
    np.testing.assert_allclose(z.data, y.detach().numpy(), rtol=1e-10, atol=1e-12)
    weights = np.random.default_rng(0).normal(size=z.shape)
    (y * torch.from_numpy(weights)).sum().backward()
    np.sum(z * weights).backward()
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.grad, b.grad.numpy(), rtol=1e-10, atol=1e-12)


@given(calls())
def test_compiled_it_is_the_same(call):
    """The mask in a variable, and as a part of the batch."""
    q, k, v, mask, causal = call
    p = tg.Tensor(q, requires_grad=True)
    masks = [] if mask is None else [mask]
    for loss, batch in (
        (lambda k, v: np.sum(attention(p, k, v, mask, causal) ** 2), [k, v]),
        (lambda k, v, *mask: np.sum(attention(p, k, v, *mask, causal=causal) ** 2), [k, v, *masks]),
    ):
        p.data, p.grad = q, None
        J = loss(*(tg.Tensor(a) for a in batch))
        J.backward()
        step = tg.compile_step(loss, tg.SGD([p], lr=1.0))
        assert step(*batch) == pytest.approx(J.item(), rel=1e-12)
        np.testing.assert_allclose(p.data, q - p.grad, rtol=1e-12, atol=1e-14)


def test_a_query_that_may_attend_to_nothing_gets_0_and_gives_no_gradient():
    rng = np.random.default_rng(0)
    q, k, v = (tg.Tensor(rng.normal(size=(3, 2)), requires_grad=True) for _ in range(3))
    mask = np.array([[True, True, False], [False, False, False], [False, True, True]])
    for given_mask in (mask, np.where(mask, 0.0, -np.inf), tg.Tensor(mask)):
        with tg.detect_anomaly():
            y = attention(q, k, v, given_mask)
            np.sum(y**2).backward()
        assert np.array_equal(y.data[1], [0, 0]) and not np.any(q.grad[1]) and np.all(q.grad[[0, 2]])
        assert np.isfinite(k.grad).all() and np.isfinite(v.grad).all()
        q.grad = k.grad = v.grad = None
    hidden = np.full((3, 3), -np.inf)
    assert not np.any(attention(q, k, v, hidden, causal=True).data)
    assert np.array_equal(attention(np.ones((3, 2)), np.ones((0, 2)), np.ones((0, 4))), np.zeros((3, 4)))  # no keys
    assert attention(np.ones((0, 2)), np.ones((3, 2)), np.ones((3, 4)), causal=True).shape == (0, 4)
    assert np.array_equal(attention(np.ones((2, 0)), np.ones((2, 0)), np.array([[1.0], [3.0]])), [[2], [2]])


def test_large_scores_and_kinds_of_numbers():
    x = np.array([[1e200, 0.0], [0.0, 1e100]])
    with np.errstate(over="ignore"):
        assert np.isfinite(attention(np.minimum(x, 1e150), np.minimum(x, 1e150), x, causal=True)).all()
    for mask in (None, np.eye(2, dtype=bool), np.zeros((2, 2))):
        y = attention(np.float32(x.clip(0, 1)), np.float32(x.clip(0, 1)), np.float32(x.clip(0, 1)), mask, True)
        assert y.dtype == np.float32
    assert attention([[1, 2]], [[3, 4]], [[5, 6]]).tolist() == [[5.0, 6.0]]
    y = attention(tg.Tensor([[1, 2]]), tg.Tensor([[3, 4]]), tg.Tensor([[5, 6]]))
    assert y.tolist() == [[5.0, 6.0]]


def test_messages():
    a, b = np.ones((2, 3, 4)), np.ones((2, 5, 4))
    for args, said in [
        ((a, np.ones((2, 5, 3)), b), r"q of shape \(2, 3, 4\).*a query has 4 features and a key 3"),
        ((a, b, a), r"there are 5 keys and 3 values; each key has one value"),
        ((np.ones(4), b, b), r"each has at least two axes, \(..., steps, features\)"),
        ((np.ones((3, 3, 4)), b, b), r"the axes in front of the last two do not broadcast"),
        ((a, b, b, np.ones((2, 5), bool)), r"a mask of shape \(2, 5\) does not broadcast to .* \(2, 3, 5\)"),
        ((a, b, b, np.ones((4, 2, 3, 5), bool)), r"does not broadcast.*mask\[:, None, None, :\]"),
    ]:
        with pytest.raises(ValueError, match=f"scaled_dot_product_attention: .*{said}"):
            attention(*args)
    with pytest.raises(TypeError, match=r"a mask of int64 could mean two things: write mask != 0"):
        attention(a, b, b, np.ones((3, 5), np.int64))


def test_masks_with_nan_and_lowest_numbers():
    ones, v = np.ones((2, 1)), np.array([[1.0], [2.0]])
    y = attention(ones, ones, v, np.array([[np.nan, 0.0], [0.0, 0.0]]))
    assert np.isnan(y[0, 0]) and y[1, 0] == 1.5
    low = np.full((2, 2), np.finfo(np.float64).min)  # −∞ in single precision: no query may attend
    single = (a.astype(np.float32) for a in (ones, ones, v))
    np.testing.assert_array_equal(attention(*single, low), np.zeros((2, 1)))
