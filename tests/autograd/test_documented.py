"""Nothing rests on what Python does not promise: who holds an array, what bytecode reads, when a signal comes.

Each test fails for the reason itself, on whatever Python it runs.
"""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tests.strategies import CALLS
from tinygrad_edu import Tensor, primitive, rule
from tinygrad_edu.autograd.engine import rule_arguments
from tinygrad_edu.autograd.primitives import Primitive
from tinygrad_edu.autograd.record import Record, reached
from tinygrad_edu.autograd.recording import RECORD, interpreter

# Who holds a gradient


def test_a_gradient_that_two_nodes_hold():
    """A sum hands one array to both of its arguments; what is added to one of them later is not added to the other."""
    a, b = Tensor([1.0, 2.0], requires_grad=True), Tensor([3.0, 4.0], requires_grad=True)
    (np.sum(a * a) + np.sum(b * b) + np.sum((a + b) ** 2)).backward()
    assert a.grad.tolist() == [10, 16] and b.grad.tolist() == [14, 20]
    c, d, e = (Tensor(np.ones(2), requires_grad=True) for _ in range(3))
    (c * 3.0 + (c + d) * 2.0 + (c + e) * 5.0).sum().backward()
    assert [t.grad.tolist() for t in (c, d, e)] == [[10, 10], [2, 2], [5, 5]]
    assert not any(np.shares_memory(t.grad, u.grad) for t, u in ((c, d), (d, e), (c, e)))


def test_only_its_own_arrays_are_added_to(monkeypatch):
    """What a rule gives may be held by anybody, unless the rule says that it is new: here none of it can be written to,
    and nobody tries."""
    held = []

    def given_away(rule):
        call = rule.call

        def spy(g, saved, options):
            gx = call(g, saved, options)
            if isinstance(gx, np.ndarray) and not rule.new:
                gx = gx.copy() if gx.base is None and not gx.flags.owndata else gx
                held.append((gx, gx.copy()))
                gx.flags.writeable = False
            return gx

        return spy

    net = tg.Sequential(tg.Dense(3, 4, rng=0), tg.Tanh(), tg.Dense(4, 3, rng=1))
    x = Tensor(np.random.default_rng(0).normal(size=(5, 3)), requires_grad=True)
    h = net(x)
    loss = tg.mse_loss(h + x + h * x + x, np.zeros((5, 3))) + np.sum(x[0] * x[1] + x[0]) + np.sum((x + h) * (h + x))
    rules = {r for record in reached(loss.record)[0] for r in record.primitive.rules if r is not None}
    for r in rules:
        monkeypatch.setattr(r, "call", given_away(r))
    loss.backward(retain_graph=True)
    assert len(held) > 10 and all(np.array_equal(array, before) for array, before in held)
    monkeypatch.undo()
    kept = [p.grad for p in (x, *net.parameters())]
    for p in (x, *net.parameters()):
        p.zero_grad()
    loss.backward()
    assert all(np.array_equal(k, p.grad) for k, p in zip(kept, (x, *net.parameters()), strict=True))


def test_a_leaf_s_gradient_belongs_to_nobody_else():
    seed = np.ones((2, 2))
    x = Tensor(np.ones((2, 2)), requires_grad=True)
    y = Tensor(np.ones((2, 2)), requires_grad=True)
    (x + y).backward(seed)
    x.T.reshape(4)[1:].sum().backward()
    x.grad[:] = 7
    assert seed.tolist() == y.grad.tolist() == [[1, 1], [1, 1]]


# Who holds a parameter's array


@pytest.mark.parametrize("make", [tg.SGD, tg.Adam, tg.RMSprop])
def test_a_user_s_array_is_never_written_over(make):
    """Neither the one that the parameter was made of, nor one that was assigned, nor one that a new optimiser meets."""
    mine = np.ones(3)
    p = Tensor(mine, requires_grad=True)
    optimizer = make([p], lr=0.1)
    for _ in range(3):
        p.zero_grad()
        (p * p).sum().backward()
        optimizer.step()
    assert mine.tolist() == [1, 1, 1]
    p.data = mine
    optimizer.step()
    assert mine.tolist() == [1, 1, 1]
    trained = p.data
    kept = trained.copy()
    make([p], lr=0.1).step()
    assert np.array_equal(trained, kept)


# What a rule reads


class Untouchable:
    """Raises when anybody looks at it."""

    def __getattribute__(self, name):
        raise AssertionError(f"a rule touched what it does not name (.{name})")

    def _touched(self, *args):
        raise AssertionError("a rule touched what it does not name")

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __neg__ = _touched
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = __getitem__ = __array__ = __len__ = __bool__ = _touched
    __hash__ = None


@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_rule_touches_only_what_it_names(name):
    @settings(max_examples=5)
    @given(st.data())
    def property(data):
        function, inputs = data.draw(CALLS[name])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y = function(*(Tensor(x, requires_grad=True) for x in inputs))
            for record in reached(y.record)[0] if isinstance(y.record, Record) else ():
                g = np.ones(record.shape, record.dtype)[()]
                saved = rule_arguments(record, record.saved)
                for rule_, node in zip(record.primitive.rules, record.nodes, strict=False):
                    if rule_ is None or node is None or rule_.rest:
                        continue
                    named = rule_.values | rule_.metadata
                    others = [v if k in named else Untouchable() for k, v in enumerate(saved)]
                    right = rule_.call(g, saved, record.options)
                    np.testing.assert_array_equal(rule_.call(g, others, record.options), right)

    property()


def test_what_a_rule_may_name():
    @primitive
    def scaled(x, factor, *, shift=0.0):
        return x * factor + shift

    rule(scaled, lambda g, factor, *, shift: g * factor, lambda g, x_shape, x: g * x if x_shape else g)
    x, f = Tensor([1.0, 2.0], requires_grad=True), Tensor([3.0, 4.0], requires_grad=True)
    y = scaled(x, f, shift=1.0)
    assert y.record.saved[0] is None and [v.tolist() for v in y.record.saved[1:]] == [[1, 2], [3, 4]]
    y.sum().backward()
    assert x.grad.tolist() == [3, 4] and f.grad.tolist() == [1, 2]
    assert scaled(x, 2.0, shift=0.0).record.saved == (None, None, 2.0)  # the rule for x reads the factor alone
    for wrong, said in [
        (lambda g, z: g, "nothing is called 'z'. After the arriving gradient, a rule may name x, factor"),
        (lambda g, shift: g, "options are keyword-only"),
        (lambda g, x_mean: g, "nothing is called 'x_mean'"),
    ]:
        with pytest.raises(TypeError, match=said):
            rule(scaled, wrong, None)
    rule(scaled, lambda g, y, x, factor, *, shift: g * factor, lambda g, y, x, factor, *, shift: g * x)  # keeps all
    assert all(v is not None for v in scaled(x, f, shift=1.0).record.saved)
    for k in (2.0, 3.0):
        rule(scaled, lambda g, k=k, *, shift: g * k, None)  # what is bound already is not filled in
    assert tg.grad(scaled)(1.0, 5.0, shift=0.0) == 3.0


def test_an_argument_called_as_the_output():
    power = Primitive(lambda x, y: x**y)
    rule(power, None, lambda g, x: g * x)  # the other may be read
    with pytest.raises(TypeError, match="an argument of <lambda> is called y, which in rules is the output; rename"):
        rule(power, lambda g, y: g * y, None)


# When a signal comes


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer's signal")
def test_ctrl_c_at_any_moment_leaves_every_mode_as_it_was():
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals come to the main thread")
    net = tg.Sequential(tg.Dense(3, 4, rng=0), tg.Tanh(), tg.Dropout(0.3, rng=1), tg.Dense(4, 2, rng=2))
    X, Y, weight = np.ones((5, 3)), np.ones((5, 2)), net[0].weight
    decorated = tg.no_grad()(net[0])

    def block():
        with tg.no_grad():
            net[0](X)

    acts = [
        block,
        lambda: decorated(X),
        lambda: tg.predict(net, X),
        lambda: tg.derive(lambda X: tg.mse_loss(net(X), Y), X, parameters=net),
        net.summary,
    ]

    def press(number, frame):
        raise KeyboardInterrupt

    before, rng, broken = signal.signal(signal.SIGALRM, press), random.Random(0), []
    try:
        for k in range(400):
            with contextlib.suppress(KeyboardInterrupt):
                try:
                    signal.setitimer(signal.ITIMER_REAL, rng.uniform(2e-4, 3e-3), 5e-3)
                    while True:
                        acts[k % len(acts)]()
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            recorded = (weight * 2).record is not None and interpreter() is RECORD
            if not recorded or type(weight) is not Tensor or not all(m.training for m in net.modules()):
                broken.append(k % len(acts))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert not broken
