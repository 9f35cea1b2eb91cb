"""Gradients that are seen, kept and changed on their way: `register_hook` and `retain_grad`."""

from __future__ import annotations

import copy
import gc
import warnings
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import Tensor
from tinygrad_edu.autograd import hooks
from tinygrad_edu.graph.computation import computation


def leaf(*values):
    return Tensor(np.array(values), requires_grad=True)


# retain_grad


def test_an_intermediate_keeps_its_gradient():
    x = leaf(1.0, 2.0)
    y = x * 10
    y.retain_grad()
    y.retain_grad()  # once more changes nothing
    z = (y**2).sum()
    z.retain_grad()
    z.backward(retain_graph=True)
    assert y.grad.tolist() == [20.0, 40.0] and z.grad == 1 and z.grad.shape == () and x.grad.tolist() == [200.0, 400.0]
    z.backward()
    assert y.grad.tolist() == [40.0, 80.0]  # added up, as that of leaves
    y.zero_grad()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert y.grad is None


def test_of_a_leaf_nothing_changes():
    x = leaf(3.0)
    x.retain_grad()
    (x * x).sum().backward()
    assert x.grad.tolist() == [6.0]


def test_the_kept_gradient_is_nobody_elses_array():
    x = leaf(1.0, 2.0)
    y, z = x * 2, x * 3
    y.retain_grad()
    z.retain_grad()
    (y + z).backward(np.ones(2))
    y.grad[0] = 7.0
    assert z.grad.tolist() == [1.0, 1.0] and x.grad.tolist() == [5.0, 5.0]


def test_reading_the_gradient_of_an_intermediate_explains_itself_once():
    x = leaf(1.0, 2.0)
    y = x * 2
    y.sum().backward()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            assert y.grad is None
    (warning,) = caught
    assert str(warning.message).startswith(".grad of a tensor of shape (2,) that 'multiply' computed is None")
    assert "retain_grad()" in str(warning.message) and warning.filename == __file__
    assert x.grad is not None and Tensor(1.0).grad is None and y.detach().grad is None  # without a word


def test_a_transform_and_a_drawing_fill_nothing():
    kept = []

    def f(x):
        y = x * 3
        y.retain_grad()
        kept.append(y)
        return (y * y).sum()

    assert tg.grad(f)(np.array([1.0])).tolist() == [18.0] and kept[0].grad is None
    x = leaf(1.0)
    y = x * 3
    y.retain_grad()
    loss = (y * y).sum()
    tg.explain(loss)
    assert y.grad is None
    loss.backward()
    assert y.grad.tolist() == [6.0]


def test_assignment_moves_what_is_retained():
    x = leaf(1.0, 2.0)
    y = x * 2
    y.retain_grad()
    y[0] = x[1] * 5
    (y * np.array([3.0, 4.0])).sum().backward()
    assert y.grad.tolist() == [3.0, 4.0] and x.grad.tolist() == [0.0, 8.0 + 15.0]


# register_hook


def test_a_hook_sees_and_changes_the_gradient_of_a_leaf_and_of_an_intermediate():
    x = leaf(1.0, 2.0)
    y = x * 10
    seen = []
    y.register_hook(lambda g: seen.append(g.tolist()))
    first = y.register_hook(lambda g: g + 1)
    y.register_hook(lambda g: g * 2)
    x.register_hook(lambda g: np.minimum(g, 500))
    y.retain_grad()
    loss = (y**2).sum()
    loss.backward(retain_graph=True)
    assert seen == [[20.0, 40.0]] and y.grad.tolist() == [42.0, 82.0] and x.grad.tolist() == [420.0, 500.0]
    first.remove()
    first.remove()
    x.zero_grad()
    loss.backward()
    assert x.grad.tolist() == [400.0, 500.0]


def test_a_hook_is_called_once_with_the_whole_gradient():
    x = leaf(2.0)
    y = x * 1
    calls = []
    for t in (x, y):
        t.register_hook(lambda g: calls.append(g.item()))
    (y * 3 + y * y + x).sum().backward()
    assert calls == [7.0, 8.0]


def test_a_hook_that_removes_itself():
    x = leaf(2.0)

    def once(g):
        handle.remove()
        return g * 10

    handle = x.register_hook(once)
    for _ in range(2):
        (x * 3).sum().backward()
    assert x.grad.tolist() == [33.0]


def test_what_a_hook_returns_stays_its_own():
    x, mask = leaf(1.0, 1.0), np.array([0.0, 1.0])
    x.register_hook(lambda g: mask)
    (x * 3 + x * x).sum().backward()
    x.grad[:] = 5
    assert mask.tolist() == [0.0, 1.0]


@given(st.sampled_from([np.float32, np.float64]), st.booleans(), st.booleans())
def test_a_hook_gives_any_real_numbers_of_the_shape(dtype, intermediate, scalar):
    x = Tensor(np.array(2.0 if scalar else [2.0, 3.0], dtype), requires_grad=True)
    y = x * 1 if intermediate else x
    y.register_hook(lambda g: Tensor([4, 5]) if g.shape else 4)
    y.sum().backward()
    assert x.grad.dtype == dtype and x.grad.tolist() == (4 if scalar else [4, 5])


def test_hooks_are_differentiated():
    def f(x):
        y = x * x
        y.register_hook(lambda g: g * x)  # so the gradient is cos(x²) · x · 2x
        return np.sin(y)

    gradient, second = tg.grad(f), tg.grad(tg.grad(f))
    assert gradient(0.7) == pytest.approx(np.cos(0.49) * 2 * 0.49)
    assert second(0.7) == pytest.approx(
        -np.sin(0.49) * 4 * 0.7**3 * 0.7 + np.cos(0.49) * 4 * 0.7
    )  # and y's other gradient is hooked too


def test_hooks_count_in_what_is_drawn_and_explained():
    x = leaf(1.0, 2.0)
    y = x * 2
    y.register_hook(lambda g: g * 30)
    assert " 42.43" in tg.explain(y.sum())
    shown = computation(y.sum(), gradients=True).values.values()
    assert [v.gradient.tolist() for v in shown if v.kind == "parameter"] == [[60.0, 60.0]]


def test_anomalies_of_hooks_are_found():
    x = leaf(1.0)
    y = x * 2
    y.register_hook(lambda g: g * np.nan)
    with tg.detect_anomaly(), pytest.raises(tg.AnomalyError, match=r"1 NaN: .*, or a hook gave it"):
        (y * 3).sum().backward()


# Refusals


def test_what_requires_no_grad_has_no_hooks():
    for what in ("retain_grad", "register_hook"):
        with pytest.raises(RuntimeError, match=rf"{what} on a tensor of shape \(2,\) that does not require grad"):
            getattr(Tensor([1.0, 2.0]), what)(*[print] * (what == "register_hook"))
    with pytest.raises(TypeError, match="register_hook takes a function of the gradient, not int"):
        leaf(1.0).register_hook(3)


@pytest.mark.parametrize(
    ("hook", "found"),
    [
        (lambda g: g[:1], r"shape \(1,\) of dtype float64"),
        (lambda g: g.sum(), r"shape \(\) of dtype float64"),
        (lambda g: g * 1j, r"shape \(2,\) of dtype complex128"),
        (lambda g: ["a", "b"], r"shape \(2,\) of dtype <U1"),
    ],
)
def test_a_hook_must_give_a_gradient(hook, found):
    x = leaf(1.0, 2.0)
    x.register_hook(hook)
    with pytest.raises(ValueError, match=rf"a hook gave {found} in the place of .* of shape \(2,\)"):
        x.sum().backward()
    assert x.grad is None


def test_a_hook_cannot_change_the_gradient_in_place():
    x = leaf(1.0, 2.0)
    y = x * 1

    def double(g):
        g *= 2

    y.register_hook(double)
    with pytest.raises(ValueError, match="read-only") as caught:
        (y * y + y).sum().backward()
    assert "return a new one, g * 2 and not g *= 2" in caught.value.__notes__[0]

    def fails(g):
        raise ValueError("no")

    x.register_hook(fails)
    with pytest.raises(ValueError, match=r"^no$") as caught:
        x.sum().backward()
    assert not hasattr(caught.value, "__notes__")


def test_compiled_steps_and_derivations_refuse_hooks():
    net = tg.Dense(2, 1, rng=0)
    X, y = np.ones((4, 2)), np.zeros((4, 1))

    def loss(X, y):
        return tg.mse_loss(net(X), y)

    def hooked(X, y):
        h = net(X)
        h.register_hook(print)
        return tg.mse_loss(h, y)

    def retained(X, y):
        h = net(X)
        h.retain_grad()
        return tg.mse_loss(h, y)

    optimizer = tg.SGD(net.parameters(), lr=0.1)
    for fun, what in ((hooked, "register_hook"), (retained, "retain_grad")):
        with pytest.raises(TypeError, match=rf"{what} at .*test_hooks.py:\d+ .*: a compiled step or a derivation"):
            tg.compile_step(fun, optimizer)(X, y)
        with pytest.raises(TypeError, match="without calling hooks"):
            tg.derive(fun, X, y, parameters=net)
    step, derived = tg.compile_step(loss, optimizer), tg.derive(loss, X, y, parameters=net)
    step(X, y)
    handle = net.bias.register_hook(lambda g: g * 0)  # after it was compiled
    before = net.bias.data.copy()
    for call in (step, derived):
        with pytest.raises(TypeError, match=r"parameter 1 of shape \(1,\) has a hook"):
            call(X, y)
    with pytest.raises(TypeError, match=r"a leaf of shape \(1,\) has a hook"):
        tg.derive(loss, X, y, parameters=net)
    with pytest.raises((TypeError, ImportError), match=r"minimize: parameter 1 of shape \(1,\) has a hook|needs SciPy"):
        tg.minimize(net, lambda: loss(X, y), compiled=True)
    assert np.array_equal(net.bias.data, before)
    handle.remove()
    step(X, y)
    derived(X, y)


# Memory


def test_hooks_make_no_circles(frozen):
    def step():
        x = leaf(1.0, 2.0)
        y = x * 2
        y.retain_grad()
        seen = []

        def once(g):
            seen.append(g)
            handle.remove()

        handle = y.register_hook(once)
        gone = weakref.ref(y)
        loss = (y * y).sum()
        del y
        assert gone() is None  # the record does not keep it
        loss.backward()
        assert len(seen) == 1

    gc.collect()
    gc.disable()
    try:
        step()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_copy_has_no_hooks():
    x = leaf(1.0)
    x.register_hook(lambda g: g * 0)
    twin = copy.deepcopy(x)
    (twin * 2).sum().backward()
    assert twin.grad.tolist() == [2.0]


def test_nothing_watches_as_long_as_nobody_asks(monkeypatch):
    monkeypatch.setattr(hooks, "used", False)
    assert hooks.watcher(None, fills=True) is None
    leaf(1.0).register_hook(print)
    assert hooks.used and hooks.watcher(None, fills=True) is not None


# PyTorch's numbers


def test_hooks_do_what_pytorch_s_do():
    torch = pytest.importorskip("torch", reason="compares with PyTorch")

    def run(make, tanh):
        x = make([0.5, -1.0])
        y = x * 3
        z = tanh(y)
        calls = []
        y.retain_grad()
        y.register_hook(lambda g: calls.append(g.tolist()))
        y.register_hook(lambda g: g * 2)
        z.register_hook(lambda g: g + 1)
        x.register_hook(lambda g: -g)
        (z * y).sum().backward()
        return [x.grad.tolist(), y.grad.tolist(), *calls]

    ours = run(lambda v: Tensor(v, requires_grad=True), np.tanh)
    theirs = run(lambda v: torch.tensor(v, dtype=torch.float64, requires_grad=True), torch.tanh)
    assert len(ours) == 3
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_transforms_by_parameters_refuse_hooks():
    t = tg.Tensor([1.0, 2.0], requires_grad=True)
    handle = t.register_hook(lambda g: g * 10)
    for transform in (tg.grad, tg.hessian, tg.jacobian):
        with pytest.raises(TypeError, match=r"holds a tensor of shape \(2,\) with a hook .* use backward\(\)"):
            transform(lambda: np.sum(t**2), parameters=t)
    handle.remove()
    assert tg.grad(lambda: np.sum(t**2), parameters=t)().tolist() == [2, 4]


@pytest.mark.parametrize("move", [lambda p: p, lambda p: p.reshape(2, 1), lambda p: p.reshape(2, 1).T], ids="012")
def test_a_loss_that_knows_the_logits_does_not_pass_by(move):
    """Whoever waits for the gradient of probabilities gets it, though it is computed from what a sigmoid was given."""
    z, target = leaf(1.0, 2.0), np.array([0.0, 1.0])
    loss = lambda p: tg.binary_cross_entropy(move(p), move(target), "sum")

    def wanted(z):
        p = 1 / (1 + np.exp(-z))
        return (p - target) / (p * (1 - p)) + 1

    p = tg.sigmoid(z)
    p.retain_grad()
    (loss(p) + p.sum()).backward()
    np.testing.assert_allclose(p.grad, wanted(z.data), rtol=1e-12)

    z.grad, seen = None, []
    p = tg.sigmoid(z)
    handle = p.register_hook(lambda g: seen.append(np.array(g)) or 0 * g)
    moved = move(p)
    tg.binary_cross_entropy(moved, move(target), "sum").backward()
    np.testing.assert_allclose(seen[0], wanted(z.data) - 1, rtol=1e-12)
    assert z.grad.tolist() == [0, 0]
    handle.remove()
    z.grad = None
    loss(tg.sigmoid(z)).backward()
    np.testing.assert_allclose(z.grad, 1 / (1 + np.exp(-z.data)) - target, rtol=1e-12)


def test_who_comes_after_such_a_loss_is_told():
    z = leaf(1.0, 2.0)
    for ask in (Tensor.retain_grad, lambda p: p.register_hook(lambda g: 10 * g)):
        p = tg.sigmoid(z)
        tg.binary_cross_entropy(p, [0.0, 1.0])
        with pytest.warns(
            UserWarning, match=r"on what 'sigmoid' gave.*its gradient does not come here\. Call .* before"
        ):
            ask(p)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            ask(tg.sigmoid(z))


def test_probabilities_that_are_differentiated_by_themselves():
    """`parameters=` may name what a sigmoid gave: (p − y) / (p (1 − p))."""
    p, y = tg.sigmoid(leaf(1.0, 2.0)), np.array([0.0, 1.0])
    loss = lambda: tg.binary_cross_entropy(p, y, "sum")
    wanted = (p.data - y) / (p.data * (1 - p.data))
    for found in (tg.grad(loss, parameters=p)(), tg.value_and_grad(loss, parameters=p)()[1]):
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-12)
    second = np.diag(y / p.data**2 + (1 - y) / (1 - p.data) ** 2)
    np.testing.assert_allclose(tg.hessian(loss, parameters=p)().numpy(), second, rtol=1e-12)


def test_a_hook_gets_an_array_also_of_a_rule_that_gives_a_tensor():
    weight, seen = leaf(3.0), []
    square = tg.primitive(lambda x: x * x)
    tg.rule(square, lambda g, x: g * 2 * x * weight / 3.0)
    z = leaf(2.0) * 1
    z.register_hook(seen.append)
    square(z).sum().backward()
    assert type(seen[0]) is np.ndarray and seen[0].tolist() == [4]
