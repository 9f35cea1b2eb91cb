"""SGD against the formulas, groups, and misuse."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_edu import SGD, Tensor


def by_hand(p, gradients, lr, momentum, nesterov, decay):
    v = None
    for g in gradients:
        d = g + decay * p
        if momentum:
            v = d if v is None else momentum * v + d
            d = d + momentum * v if nesterov else v
        p = p - lr * d
    return p


@pytest.mark.parametrize("momentum", [0, 0.9])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("decay", [0, 0.1])
def test_sgd(momentum, nesterov, decay):
    if nesterov and not momentum:
        with pytest.raises(ValueError, match="nesterov=True needs a momentum"):
            SGD([Tensor([1.0], requires_grad=True)], 0.1, nesterov=True)
        return
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(3, 2)), rng.normal(size=(5, 3, 2))
    p = Tensor(start, requires_grad=True)
    optimizer = SGD([p], lr=0.1, momentum=momentum, nesterov=nesterov, weight_decay=decay)
    for g in gradients:
        optimizer.zero_grad()
        (p * g).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(p.data, by_hand(start, gradients, 0.1, momentum, nesterov, decay), rtol=1e-13)


def test_float32_stays_and_an_old_graph_stays_right():
    p = Tensor(np.ones(2, np.float32), requires_grad=True)
    y = (p * p).sum()
    q = (p**3).sum()
    y.backward()
    before = p.data
    SGD([p], lr=0.1, momentum=0.9, weight_decay=0.1).step()
    SGD([p], lr=np.float64(0.1), momentum=np.float64(0.9)).step()
    assert p.dtype == np.float32 and p.data is not before and before.tolist() == [1, 1]
    p.zero_grad()
    q.backward()
    assert p.grad.tolist() == [3, 3]


def test_groups():
    w, b = Tensor([1.0], requires_grad=True), Tensor([1.0], requires_grad=True)
    optimizer = SGD([{"params": [w], "weight_decay": 0.5}, {"params": b, "lr": 1.0}], lr=0.1)
    (w + b).sum().backward()
    optimizer.step()
    assert w.item() == pytest.approx(1 - 0.1 * 1.5) and b.item() == 0
    optimizer.lr = 0.2
    assert optimizer.lr == 0.2 and [g["lr"] for g in optimizer.groups] == [0.2, 0.2]
    optimizer.zero_grad()
    assert w.grad is None and b.grad is None


def test_misuse():
    p = Tensor([1.0], requires_grad=True)
    with pytest.raises(
        RuntimeError, match=r"SGD\.step\(\): no parameter has a gradient; call loss\.backward\(\) first"
    ):
        SGD([p], 0.1).step()
    for lr in (-1, np.nan, np.inf, "0.1", None):
        with pytest.raises(ValueError, match="lr must be a finite number of at least 0"):
            SGD([p], lr)
    optimizer = SGD([p], 0.1)
    with pytest.raises(ValueError, match="lr must be"):
        optimizer.lr = -1
    assert optimizer.lr == 0.1
    with pytest.raises(ValueError, match="weight_decay must be"):
        SGD([p], 0.1, weight_decay=-1)
    with pytest.raises(ValueError, match=r"got no parameters; pass model\.parameters\(\)"):
        SGD([], 0.1)
    with pytest.raises(TypeError, match="leaf tensors that require grad"):
        SGD([Tensor([1.0])], 0.1)
    with pytest.raises(TypeError, match="leaf tensors that require grad"):
        SGD([p * 2], 0.1)
    with pytest.raises(ValueError, match="given twice"):
        SGD([p, p], 0.1)
    with pytest.raises(ValueError, match=r"unknown settings \['decay'\]"):
        SGD([{"params": [p], "decay": 1}], 0.1)
    with pytest.raises(TypeError, match="parameter groups are dicts"):
        SGD([{"weights": [p]}], 0.1)
