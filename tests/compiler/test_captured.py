"""Tensors that a compiled function has from elsewhere are read in each step: the values and the gradients are those of
the same function, recorded."""

from __future__ import annotations

import copy
import pickle
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tests.compiler.test_symbolic import problems
from tinygrad_edu import Tensor
from tinygrad_edu import functional as F

FUNCTIONS = {
    "product": lambda q, w: np.sum(q * w),
    "product of what is computed": lambda q, w: np.sum(q * (w * 2)),
    "square": lambda q, w: np.sum((q * w) ** 2),
    "quotient": lambda q, w: np.sum(q / w),
    "matmul": lambda q, w: q @ w,
    "exp": lambda q, w: np.sum(np.exp(w) * q),
    "method": lambda q, w: (w.sqrt() * q).sum(),
    "choice": lambda q, w: np.sum(np.where(w > 3, q, -2 * q)),
    "argmax": lambda q, w: np.sum(q * np.argmax(w)),
    "index": lambda q, w: q[0] * w[1],
    "stack": lambda q, w: np.sum(np.stack([w, q]) ** 2),
    "detached": lambda q, w: np.sum(q * w.detach()),
    "target": lambda q, w: tg.mse_loss(q, w.detach()),
    "probabilities": lambda q, w: tg.binary_cross_entropy(F.sigmoid(q), w.detach() / 10),
    "labels": lambda q, w: tg.cross_entropy(np.stack([q, 2 * q]), w.detach() // 6),
    "norm": lambda q, w: np.linalg.norm(q - w),
    "alone": lambda q, w: np.sum(q**2) + np.sum(w**3),
    "reversed": lambda q, w: np.sum(w - q) ** 2,
}
CHANGES = {
    "bound": lambda w: setattr(w, "data", np.array([5.0, 7.0])),
    "in place": lambda w: w.data.__setitem__(slice(None), [5.0, 7.0]),
    "+=": lambda w: setattr(w, "data", w.data.__iadd__([4.0, 5.0])),
}


@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_changes_between_steps(name, change, requires_grad):
    w = Tensor(np.array([1.0, 2.0]), requires_grad=requires_grad)
    q = Tensor(np.array([0.3, 0.2]), requires_grad=True)
    f = lambda: FUNCTIONS[name](q, w)
    step = tg.compile_step(f, tg.SGD([q], lr=1.0))
    step.evaluate()
    CHANGES[change](w)
    assert type(w) is type(q) is Tensor and w.requires_grad == requires_grad
    before = q.data.copy()
    loss = step()
    gradient, q.data = before - q.data, before
    J = f()
    J.backward()
    assert loss == pytest.approx(J.item(), rel=1e-14)
    np.testing.assert_allclose(gradient, q.grad, rtol=1e-13)
    if not requires_grad:
        derived = tg.derive(f, parameters=[q])
        w.data = np.array([8.0, 6.0])
        value, (gradient,) = derived()
        q.zero_grad()
        J = f()
        J.backward()
        assert value == pytest.approx(J.item(), rel=1e-14)
        np.testing.assert_allclose(gradient, q.grad, rtol=1e-13)


def test_two_networks_that_learn_from_each_other():
    def losses(compiled):
        G = tg.Sequential(tg.Dense(2, 4, rng=0), tg.Tanh(), tg.Dense(4, 1, rng=1))
        D = tg.Sequential(tg.Dense(1, 4, rng=2), tg.ReLU(), tg.Dense(4, 1, rng=3))
        makers = tg.SGD(G.parameters(), lr=0.5), tg.SGD(D.parameters(), lr=0.5)
        cost, rng, ones = tg.binary_cross_entropy_with_logits, np.random.default_rng(0), np.ones((16, 1))
        generated = lambda z: cost(D(G(z)), ones)
        judged = lambda x, z: cost(D(x), ones) + cost(D(G(z)), 0 * ones)
        steps = [tg.compile_step(f, o) for f, o in zip((generated, judged), makers, strict=True)] if compiled else None
        for _ in range(20):
            x, z = rng.normal(3, 1, (16, 1)), rng.normal(size=(16, 2))
            if steps:
                yield steps[1](x, z), steps[0](z)
                continue
            values = []
            for f, optimizer, batch in ((judged, makers[1], (x, z)), (generated, makers[0], (z,))):
                optimizer.zero_grad()
                J = f(*batch)
                J.backward()
                optimizer.step()
                values.append(J.item())
            yield tuple(values)

    np.testing.assert_allclose(list(losses(True)), list(losses(False)), rtol=1e-10)


@pytest.mark.parametrize(
    "look",
    [
        lambda w: w.item(), lambda w: float(w), lambda w: int(w), lambda w: bool(w),
        lambda w: w.numpy(), lambda w: w.tolist(), lambda w: np.asarray(w), lambda w: Tensor(w), lambda w: f"{w:.2f}",
        lambda w: copy.deepcopy(w), lambda w: w.data.__setitem__(0, 1),
    ],
)  # fmt: skip
def test_values_that_are_looked_at(look):
    """They would be those of the first step for ever."""
    q = Tensor(2.0, requires_grad=True)
    for w in (Tensor(3.0), Tensor(np.array([3.0]))):
        step = tg.compile_step(lambda w=w: q * 2 if look(w) is not None else q, tg.SGD([q], lr=0.1))
        with pytest.raises(TypeError, match=r"(a tensor|the data) .*(test_captured|copy)\.py:\d+ .*must not depend on"):
            step()
        assert type(w) is Tensor and w.data.ravel().tolist() == [3]


def test_what_is_frozen_and_thawed():
    """Which weights a penalty has is a matter of requires_grad, of the optimiser's parameters and of others."""
    ones = lambda shape, rng: np.ones(shape)
    a, b = tg.Dense(2, 2, init=ones), tg.Dense(2, 1, init=ones)
    net, X = tg.Sequential(a, b), np.ones((3, 2))
    f = lambda x: np.sum(net(x)) + tg.l2_penalty(net, 6.0, 3)
    step = tg.compile_step(f, tg.SGD(a.parameters(), lr=0.0))
    for frozen, loss in ((False, 18), (True, 16), (False, 18)):
        b.weight.requires_grad = not frozen
        assert step(X) == f(X).item() == loss


def test_other_threads_wait_until_a_tensor_is_one_again():
    w, c = Tensor(np.ones(2), requires_grad=True), Tensor(np.ones(2), requires_grad=True)
    inside, go = threading.Event(), threading.Event()

    def loss():
        y = np.sum(w * c)
        inside.set()
        go.wait(0.2)
        return y

    for act in (
        copy.deepcopy,
        copy.copy,
        lambda c: pickle.loads(pickle.dumps(c)),
        lambda c: setattr(c, "data", np.ones(2)),
    ):
        inside.clear()
        thread = threading.Thread(target=lambda: tg.compile_step(loss, tg.SGD([w], lr=0.0))())
        thread.start()
        inside.wait()
        result = act(c)
        thread.join()
        assert type(result) in (Tensor, type(None)) and type(c) is Tensor
        assert result is None or (result + 1).numpy().tolist() == [2, 2]


def test_a_derivation_inside_another():
    w, c = Tensor(np.ones(2), requires_grad=True), Tensor(np.full(2, 2.0))

    def loss():
        y = np.sum(w * c)
        inner = tg.derive(use, np.ones(2))
        return y if inner.source else inner(y)

    use = lambda z: np.sum(z * c)  # what both have from outside is an input of both
    assert tg.compile_step(loss, tg.SGD([w], lr=0.1))() == 4
    assert w.tolist() == [0.8, 0.8]

    def loss_of_its_own():
        y = np.sum(w * c)
        return tg.derive(lambda z: np.sum(z * y), np.ones(2)) and y

    with pytest.raises(TypeError, match="a tensor of a traced function is used outside of it, or in a derivation ins"):
        tg.compile_step(loss_of_its_own, tg.SGD([w], lr=0.1))()


def test_minimize_goes_on_in_another_precision():
    pytest.importorskip("scipy", reason="needs the extra examples")
    w, c = Tensor(np.zeros(2), requires_grad=True), Tensor(np.array([1, 2]))
    change = lambda state: setattr(c, "data", np.array([1.5, 2.5]))
    loss = lambda: np.sum((w - (c + c)) ** 2) + 0.1 * np.sum((w - c - c) ** 4)
    tg.minimize([w], loss, "CG", compiled=True, callback=change)
    np.testing.assert_allclose(w.data, [3, 5], atol=1e-3)


def test_what_is_only_shown(capsys):
    q, w = Tensor(2.0, requires_grad=True), Tensor(3.0)
    step = tg.compile_step(lambda: print(w, f"{w}", w.shape, w.dtype) or q * w, tg.SGD([q], lr=0.0))
    assert step() == step() == 6
    assert capsys.readouterr().out.startswith("Tensor(3.) Tensor(3.) () float64")
    shown = tg.compile_step(lambda: print(q * w) or q * w, tg.SGD([q], lr=0.0))
    assert shown() == 6 and capsys.readouterr().out == "Symbol(Line(multiply, ()))\n" * 2


def test_what_was_recorded_outside():
    q, w = Tensor(2.0, requires_grad=True), Tensor(3.0, requires_grad=True)
    outside = w * 2
    with pytest.raises(TypeError, match="recorded outside is used: no gradient can flow through it"):
        tg.compile_step(lambda: q * outside, tg.SGD([q], lr=0.1))()
    assert type(outside) is type(w) is Tensor
    outside.backward()
    assert w.grad == 2


def test_another_precision():
    q, w = Tensor(np.ones(2), requires_grad=True), Tensor(np.ones(2, np.float32))
    f = lambda: np.sum(q * (w * w))
    step, derived = tg.compile_step(f, tg.SGD([q], lr=0.0)), tg.derive(f, parameters=[q])
    assert step() == derived()[0] == 2
    w.data = np.array([1e30, 1.0])
    assert step() == derived()[0] == f().item() == pytest.approx(1e60)


@pytest.mark.parametrize("call", [lambda f, q, x: tg.compile_step(f, tg.SGD([q], lr=0.1))(x), lambda f, q, x: tg.derive(
    f, x, parameters=[q])])  # fmt: skip
def test_batches_of_the_wrong_kind(call):
    q = Tensor(np.ones((2, 1)), requires_grad=True)
    f = lambda x: np.sum(x @ q)
    for x, message in (
        (np.ma.array([[1.0, -999.0]], mask=[[0, 1]]), "a masked array would lose its mask"),
        (np.ones((1, 2)).view(np.matrix), "a np.matrix takes \\*"),
        (np.array([[1, "a"]], object), "real numbers; got ndarray of dtype object"),
        (np.array([["a", "b"]]), "real numbers; got ndarray of dtype <U1"),
        (np.ones((1, 2), complex), "real numbers; got ndarray of dtype complex"),
        (None, "real numbers; got NoneType"),
    ):
        with pytest.raises(TypeError, match=message):
            call(f, q, x)
    assert call(f, q, [[1, 2]])


def test_a_batch_that_requires_grad():
    q = Tensor(np.ones((2, 1)), requires_grad=True)
    step = tg.compile_step(lambda x: np.sum(x @ q), tg.SGD([q], lr=0.1))
    with pytest.raises(TypeError, match=r"a batch of shape \(1, 2\) requires grad"):
        step(Tensor([[1.0, 2.0]], requires_grad=True))
    assert step(Tensor([[1.0, 2.0]])) == 3


def test_relu_in_the_largest_precision():
    net = tg.Sequential(tg.Dense(3, 4, rng=0), tg.ReLU(), tg.Dense(4, 2, rng=1))
    for p in net.parameters():
        p.data = p.data.astype(np.longdouble)
    X, Y = np.ones((5, 3), np.longdouble), np.ones((5, 2))
    loss = lambda X, Y: tg.mse_loss(net(X), Y)
    step = tg.compile_step(loss, tg.SGD(net.parameters(), lr=0.0))
    assert step(X, Y) == pytest.approx(loss(X, Y).item(), rel=1e-15)


@settings(max_examples=60)
@given(problems(dtypes=(np.float64,)), st.data())
def test_networks_of_which_others_teach_a_part(problem, data):
    net, loss, batch = problem
    for module in net.modules():
        if isinstance(module, tg.Dropout):
            module.p = 1e-15  # keeps all, and is no identity, through which losses would see what made its input
    parameters = net.parameters()
    learned = data.draw(st.lists(st.sampled_from(range(len(parameters))), min_size=1, unique=True))
    taught = [parameters[k] for k in learned]
    step = tg.compile_step(loss, tg.SGD(taught, lr=1.0))
    for scale in (1.0, 0.5):
        for p in parameters:
            p.data = p.data * scale + 0.01
        net.zero_grad()
        J = loss(*batch)
        J.backward()
        before = [p.data.copy() for p in taught]
        assert step(*batch) == pytest.approx(J.item(), rel=1e-12)
        for p, old in zip(taught, before, strict=True):
            np.testing.assert_allclose(old - p.data, 0 * old if p.grad is None else p.grad, rtol=1e-9, atol=1e-12)
            p.data = old


def test_an_index_made_of_what_varies():
    """The negative log-likelihood as everybody writes it: what indexes is made of tensors of the trace."""
    make = lambda: tg.Sequential(tg.Dense(3, 4, rng=0), tg.Tanh(), tg.Dense(4, 3, rng=1))
    nll = lambda net: lambda X, y: -np.mean(tg.log_softmax(net(X))[np.arange(len(y)), y])
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(5, 3)), np.array([0, 2, 1, 1, 0])
    net, other = make(), make()
    step, optimizer = tg.compile_step(nll(net), tg.SGD(net.parameters(), lr=0.1)), tg.SGD(other.parameters(), lr=0.1)
    for rows, labels in [(X, y), (X, y[::-1].copy()), (X[:2], y[:2])]:
        optimizer.zero_grad()
        J = nll(other)(rows, labels)
        J.backward()
        optimizer.step()
        assert step(rows, labels) == pytest.approx(J.item(), rel=1e-12)
        right = tg.cross_entropy(other(rows), labels).item()  # the same, computed otherwise
        assert step.evaluate(rows, labels) == pytest.approx(right, rel=1e-12)
    for p, q in zip(net.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=1e-12)
    derived = tg.derive(nll(net), X, y, parameters=net)
    net.zero_grad()
    nll(net)(X, y).backward()
    loss, gradients = derived(X, y)
    assert loss == pytest.approx(nll(other)(X, y).item(), rel=1e-12)
    for p, g in zip(net.parameters(), gradients, strict=True):
        np.testing.assert_allclose(g, p.grad, rtol=1e-9, atol=1e-15)
