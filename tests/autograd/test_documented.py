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
    power = np.frompyfunc(lambda a, b, c: (a + b) ** c, 3, 1)  # a ufunc of more than two
    of_three = primitive(power)
    rule(of_three, lambda g, a, b, c: g * c * (a + b) ** (c - 1), lambda g, a, b, c: g * c * (a + b) ** (c - 1), None)
    with pytest.raises(TypeError, match=r"nothing is called 'x'.*may name a, b, c, y"):
        rule(of_three, lambda g, x: g, None, None)
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


# What a reviewer found


def test_what_a_rule_does_not_name_comes_after_what_it_names():
    f = primitive(lambda a, b: a * b)
    rule(f, lambda g, y, a, *rest: g * rest[0], lambda g, y, a, *rest: g * a)
    assert tg.grad(f, argnums=(0, 1))(2.0, 3.0) == (3, 2)
    rule(f, lambda g, *both: g * both[1], lambda g, b, *rest: g * rest[0])
    assert tg.grad(f, argnums=(0, 1))(2.0, 3.0) == (3, 2)
    many = Primitive(lambda *arrays: arrays[0] * arrays[1] * arrays[2])
    rule(many, each=lambda i: lambda g, *xs, i=i: g * np.prod([xs[k] for k in range(3) if k != i]))
    assert tg.grad(many, argnums=(0, 1, 2))(1.0, 3.0, 5.0) == (15, 5, 3)


def test_a_default_that_bears_an_argument_s_name_is_filled_in():
    f = primitive(lambda x, w: x * w)
    rule(f, lambda g, w=1.0: g * w, lambda g, x=1.0: g * x)
    assert tg.grad(f, argnums=(0, 1))(2.0, 3.0) == (3, 2)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: 1.0, "the first parameter of a rule is the arriving gradient"),
        (lambda *everything: 1.0, "the first parameter of a rule is the arriving gradient"),
        (lambda x, w: w, "but x is an argument of f, too"),
        (lambda g, **o: g, "options are named one by one"),
        (lambda g, *, w: g * w, "an argument stands before the"),
        (lambda g, k=2: g, "k is an option of f; options are keyword-only"),
        (lambda g, scale=3.0, *rest: g * scale, "scale= is bound already; put it after a"),
        (lambda g, scale=3.0, w=1.0: g * scale * w, "scale= is bound already; put it after a"),
    ],
)
def test_rules_that_cannot_be_meant_are_refused_when_they_are_entered(wrong, said):
    @primitive
    def f(x, w, k=5):
        return x * w * k

    with pytest.raises(TypeError, match=said):
        rule(f, wrong, None)


def test_names_that_only_begin_like_the_output():
    loss = primitive(lambda y, y_true: y * y_true)
    rule(loss, lambda g, y_true: g * y_true, None)
    assert tg.grad(loss)(2.0, 3.0) == 3


def test_the_shape_of_a_number():
    f = primitive(lambda a, b: a * b)
    rule(f, lambda g, b, b_shape, b_ndim, b_size: g * b if (b_shape, b_ndim, b_size) == ((), 0, 1) else g, None)
    x = Tensor([1.0, 2.0], requires_grad=True)
    f(x, 3.0).sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_changes_are_seen_through_windows_and_strides():
    for make in (
        lambda a: np.lib.stride_tricks.sliding_window_view(a, 2),
        lambda a: np.lib.stride_tricks.as_strided(a, (2, 2), (8, 8)),
    ):
        x = Tensor(np.arange(4.0), requires_grad=True)
        u = Tensor(make(x.data), requires_grad=True)
        y = (u * u).sum()
        x.data -= 1
        with pytest.raises(RuntimeError, match="changed in place"):
            y.backward()


def test_what_comes_back_belongs_to_nobody_else():
    v = np.ones(2)
    _, pull = tg.vjp(lambda x: x, np.zeros(2))
    assert not np.shares_memory(pull(v)[0], v)
    same = primitive(lambda x: x + 0.0)
    rule(same, lambda g: g.view(np.ndarray))
    x = Tensor(np.zeros(2), requires_grad=True)
    same(x).backward(v)
    assert type(x.grad) is np.ndarray and not np.shares_memory(x.grad, v)


def test_generators_and_coroutines_may_be_decorated():
    import asyncio

    w = Tensor([1.0, 2.0], requires_grad=True)

    @tg.no_grad()
    def steps():
        received = yield (w * 2).requires_grad
        try:
            yield received, (w * 2).requires_grad
        except KeyError:
            yield (w * 3).requires_grad

    made = steps()
    assert next(made) is False and (w * 2).requires_grad  # between the steps it is as it was
    assert made.send("this") == ("this", False) and made.throw(KeyError) is False and (w * 2).requires_grad
    made.close()
    assert list(made) == []

    @tg.no_grad
    async def later():
        await asyncio.sleep(0)
        return (w * 2).requires_grad

    async def both():
        return await asyncio.gather(later(), asyncio.sleep(0), later())

    assert asyncio.run(both()) == [False, None, False] and (w * 2).requires_grad
    with pytest.raises(TypeError, match="asynchronous generator"):

        @tg.no_grad()
        async def stream():
            yield 1
