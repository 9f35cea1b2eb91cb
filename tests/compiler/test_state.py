"""What a compiled function reads besides its arguments: it counts as it is in each step, or is refused."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import gc
import types
import weakref

import numpy as np
import pytest

import tinygrad_edu as tg

X = np.random.default_rng(0).normal(size=(6, 2))
factor = 1.0


def losses(make, change=None, compiled=True, optimizer=tg.SGD, steps=4):
    """The losses of some steps and the parameters after them; `make(net)` gives the loss and what `change` is given."""
    net = tg.Sequential(tg.Dense(2, 3, rng=1), tg.Tanh(), tg.Dense(3, 2, rng=2))
    loss, owner = make(net)
    made = optimizer(net.parameters(), lr=0.1)
    step = tg.compile_step(loss, made)
    found = []
    for k in range(steps):
        if compiled:
            found.append(step(X))
        else:
            made.zero_grad()
            J = loss(X)
            J.backward()
            made.step()
            found.append(J.item())
        if change is not None:
            change(owner, k)
    return [*found, *(p.data.copy() for p in net.parameters())]


def agree(*args, **options):
    for recorded, compiled in zip(losses(*args, compiled=False, **options), losses(*args, **options), strict=True):
        np.testing.assert_allclose(compiled, recorded, rtol=1e-12)


class Settings:
    beta = 1.0

    def __init__(self):
        self.scale, self.inner, self.arrays = 1.0, {"rate": 1.0, "list": [1.0]}, np.ones(2)

    def weigh(self, x):
        return x * self.scale * self.beta * self.inner["rate"] * self.inner["list"][0] * self.arrays

    def __call__(self, x):
        return self.weigh(x)


class Annealed(tg.Module):
    def __init__(self):
        self.temperature = 1.0
        self.dropout = tg.Dropout(0.0, rng=np.random.default_rng(0))

    def forward(self, x):
        return self.dropout(x) * self.temperature


def with_settings(net):
    settings = Settings()
    return lambda x: np.mean(settings.weigh(net(x)) ** 2), settings


def called(net):
    settings = Settings()
    return lambda x: np.mean(settings(net(x)) ** 2), settings


def partial(net):
    settings = Settings()
    return functools.partial(lambda s, x: np.mean(s.weigh(net(x)) ** 2), settings), settings


def method(net):
    class Problem(Settings):
        def loss(self, x):
            return np.mean(self.weigh(net(x)) ** 2)

    problem = Problem()
    return problem.loss, problem


def module(net):
    annealed = Annealed()
    return lambda x: np.mean(annealed(net(x)) ** 2), annealed


def helper(net):
    settings = Settings()

    def inner(x):
        return settings.weigh(x)

    return lambda x: np.mean(inner(net(x)) ** 2), settings


def put(name, value):
    return lambda owner, k: setattr(owner, name, value(k))


def with_slots(net):
    class Slots:
        __slots__ = ("beta",)

        def __mul__(self, other):
            return other * self.beta

        @property
        def doubled(self):
            return 2 * self.beta

    slots = Slots()
    slots.beta = 1.0
    return lambda x: np.mean((slots * net(x)) ** 2) * slots.doubled, slots


def with_namespace(net):
    given = types.SimpleNamespace(beta=1.0)
    return lambda x: np.mean(net(x) ** 2) * given.beta, given


def with_arguments(net):
    given = argparse.Namespace(beta=1.0)
    return lambda x: np.mean(net(x) ** 2) * given.beta, given


def with_dataclass(net):
    @dataclasses.dataclass
    class Given:
        beta: float = 1.0

    given = Given()
    return lambda x: np.mean(net(x) ** 2) * given.beta, given


def with_a_class(net):
    class Given:
        beta = 1.0

        @staticmethod
        def weigh(x):
            return x * Given.beta

    return lambda x: np.mean(Given.weigh(net(x)) ** 2), Given


def with_operators(net):
    class Scale:
        def __init__(self):
            self.inner = types.SimpleNamespace(beta=1.0)

        def __call__(self, x):
            return x * self.inner.beta

    scale = Scale()
    return lambda x: np.mean(scale(net(x)) ** 2), scale.inner


@pytest.mark.parametrize(
    "make", [with_slots, with_namespace, with_arguments, with_dataclass, with_a_class, with_operators]
)
def test_objects_of_every_kind(make):
    agree(make, put("beta", lambda k: 0.5**k))


def test_a_module_of_one_s_own_that_has_the_name_of_one_of_python_s():
    """The file `profile.py` beside a script, say: its functions read what it has now."""

    def made(net):
        module = types.SimpleNamespace(K=1.0, __name__="profile", __file__="/home/somebody/profile.py")
        exec("def weigh(x):\n    return x * K", vars(module))
        return lambda x: np.mean(module.weigh(net(x)) ** 2), module

    agree(made, put("K", lambda k: 0.5**k))


SETTINGS = {
    "an attribute": put("scale", lambda k: 0.5**k),
    "an attribute of the class": put("beta", lambda k: 1.0 + k),
    "a dict": lambda s, k: s.inner.update(rate=0.5**k),
    "a list": lambda s, k: s.inner["list"].__setitem__(0, 0.5**k),
    "an array in place": lambda s, k: s.arrays.__setitem__(0, k),
    "another array": put("arrays", lambda k: np.array([k, 1.0])),
}


@pytest.mark.parametrize("make", [with_settings, called, partial, method, helper])
@pytest.mark.parametrize("change", SETTINGS)
def test_numbers_and_arrays_that_change_between_steps(make, change):
    agree(make, SETTINGS[change])


@pytest.mark.parametrize(
    "change",
    [
        put("temperature", lambda k: 0.5**k),
        lambda m, k: setattr(m.dropout, "p", 0.1 * k),
        lambda m, k: (setattr(m.dropout, "p", 0.5), m.eval() if k % 2 else m.train()),
        lambda m, k: setattr(m, "dropout", tg.Identity()),
        put("forward", lambda k: lambda x: x * 0.5**k),
    ],
)
def test_modules_that_change_between_steps(change):
    agree(module, change)


def test_what_a_class_is_given_later():
    """In place of what it has from another one, in place of the code of a function, and of a default."""

    def made(net):
        class Plain(tg.Module):
            k = 1.0

            def act(self, x, power=1):
                return x**power

            def forward(self, x):
                return self.act(x) * self.k

        class Scaled(Plain):
            pass

        scaled = Scaled()
        return lambda x: np.mean(scaled(net(x)) ** 2), Scaled

    def recoded(cls, k):  # as IPython's autoreload does it
        cls.act.__code__ = (
            (lambda self, x, power=1: x * 0.5).__code__ if k % 2 else (lambda self, x, power=1: x).__code__
        )

    def with_default(cls, k):
        cls.act.__defaults__ = (1 + k % 2,)

    changes = [put("k", lambda k: 0.5**k), put("act", lambda k: lambda self, x: x * 0.5**k), recoded, with_default]
    for change in changes:
        agree(made, change)


@pytest.mark.parametrize("has_its_own", [True, False])
def test_a_forward_that_is_written_anew(has_its_own):
    """As in a notebook, where the class stays and its method is put into it."""

    def made_of_a_class(net):
        class Plain(tg.Module):
            def forward(self, x):
                return 2.0 * x

        class Scaled(Plain):
            pass

        scaled = Scaled()
        return lambda x: np.mean(scaled(net(x)) ** 2), Plain if has_its_own else Scaled

    agree(made_of_a_class, put("forward", lambda k: lambda self, x: x * 0.5**k))


def test_globals_variables_and_what_is_large():
    def of_globals(net):
        anneal(None, 0)
        return lambda x: np.mean((net(x) * factor) ** 2), None

    def anneal(_, k):
        global factor
        factor = 0.5**k

    agree(of_globals, anneal)

    def of_variables(net):
        rate = 1.0

        def loss(x):
            return np.mean((net(x) * rate) ** 2)

        def change(k):
            nonlocal rate
            rate = 0.5**k

        return loss, change

    agree(of_variables, lambda change, k: change(k))
    large = np.ones((200_000, 2))

    def of_large(net):
        large[:] = 1
        return lambda x: np.mean(net(x) ** 2) * np.mean(np.sin(tg.Tensor(np.ones(2)) * large)), None

    agree(of_large, lambda _, k: large.__setitem__(slice(None), 0.5**k))


def test_what_keeps_changing_is_said_once():
    owner = Settings()
    p = tg.Tensor(1.0, requires_grad=True)
    step = tg.compile_step(lambda: p * owner.scale, tg.SGD([p], lr=0.1))
    with pytest.warns(UserWarning, match=r"compile_step: 'scale', .* keeps changing.* kept in a tensor"):
        for k in range(20):
            owner.scale = float(k)
            step()


def counter(net):
    calls = []

    def loss(x):
        calls.append(1)
        return np.mean(net(x) ** 2) * 0.5 ** len(calls)

    return loss, None


def attribute(net):
    s = Settings()

    def loss(x):
        s.scale *= 0.5
        return np.mean(s.weigh(net(x)) ** 2)

    return loss, None


def growing(net):
    terms = []

    def loss(x):
        terms.append(1)
        return sum((np.mean(net(x) ** 2) for _ in terms), np.sum(net(x)))

    return loss, None


OWN = np.random.default_rng(0)
AGAIN = {
    "calls that are counted": counter,
    "an attribute": attribute,
    "more and more terms": growing,
    "a generator of one's own": lambda net: (lambda x: np.mean((net(x) + OWN.normal(size=x.shape)) ** 2), None),
    "NumPy's generator": lambda net: (lambda x: np.mean((net(x) + np.random.normal()) ** 2), None),
    "a tensor of random numbers": lambda net: (lambda x: np.mean((net(x) + tg.Tensor(OWN.normal(size=2))) ** 2), None),
    "rows": lambda net: (lambda x: np.mean(net(x)[OWN.permutation(6)[:3]] ** 2), None),
    "a slice": lambda net: (lambda x: np.mean(net(x)[int(OWN.integers(1 << 40)) % 5 :] ** 2), None),
}


@pytest.mark.parametrize("name", AGAIN)
def test_what_is_another_function_each_time_is_refused(name):
    with pytest.raises(
        TypeError,
        match=r"(computes something else when it is called again|draws random numbers by itself).* by tg.random",
    ):
        for _ in range(30):  # two small numbers may be equal by chance
            losses(AGAIN[name], steps=1)


@pytest.mark.parametrize(
    "same",
    [lambda x: x * 1, lambda x: 1.0 * x, lambda x: x**1, lambda x: x / 1, lambda x: np.negative(-x), lambda x: x * -1],
)
def test_what_is_left_out_under_no_grad_stays_constant(same):
    """A product with 1 is not written, but it cuts the gradient off."""

    def make(net):
        def loss(x):
            with tg.no_grad():
                target, weight = same(net(x)), same(net[0].weight)
            return np.mean((net(x) - 2 * target) ** 2) + np.sum(net[0].weight * weight)

        return loss, None

    agree(make)


class BatchNorm(tg.Module):
    """As learners write it: with an attribute that is assigned, or with the data of one."""

    def __init__(self, how):
        self.how = how
        self.mean, self.var = tg.Tensor(np.zeros(2)), tg.Tensor(np.ones(2))
        self.last = None

    def forward(self, x):
        mean, var = np.mean(x, axis=0), np.var(x, axis=0)
        if self.how == "data":
            self.mean.data = 0.9 * self.mean.data + 0.1 * mean.data
            self.var.data = 0.9 * self.var.data + 0.1 * var.data
        elif self.how == "attribute":
            self.mean = 0.9 * self.mean + 0.1 * mean.detach()
            self.var = 0.9 * self.var + 0.1 * var.detach()
        else:
            with tg.no_grad():
                self.mean.data = self.mean.data + 0.1 * (mean - self.mean)
                self.var = self.var + 0.1 * (var - self.var)
        self.last = x
        return (x - mean) / np.sqrt(var + 1e-5) + np.sum(self.mean) * x + np.mean(self.var)


@pytest.mark.parametrize("how", ["data", "attribute", "no_grad"])
def test_running_statistics_are_updated_by_the_step(how):
    norms = []

    def make(net):
        norms.append(BatchNorm(how))
        return lambda x: np.mean(norms[-1](net(x)) ** 2), None

    agree(make)
    recorded, compiled = norms
    for norm in norms:
        assert type(norm.mean) is type(norm.var) is type(norm.last) is tg.Tensor
        assert not norm.mean.requires_grad and norm.mean.record is None
    np.testing.assert_allclose(compiled.mean.data, recorded.mean.data, rtol=1e-12)
    np.testing.assert_allclose(compiled.var.data, recorded.var.data, rtol=1e-12)
    np.testing.assert_allclose(compiled.last.data, recorded.last.data, rtol=1e-12)
    assert not np.array_equal(compiled.mean.data, np.zeros(2))
    compiled.last.data[:] = 7  # it is its own array


def test_tensors_that_are_assigned_in_the_loss():
    w, c = tg.Tensor(np.ones(2), requires_grad=True), tg.Tensor(np.ones(2))

    def first():
        c.data = np.full(2, 4.0)
        return np.sum(w * c)

    def later():
        y = np.sum(w * c)
        c.data = c.data * 2
        return y

    assert tg.compile_step(first, tg.SGD([w], lr=0.0))() == 8 and c.tolist() == [4, 4]
    step = tg.compile_step(later, tg.SGD([w], lr=0.0))
    assert [step(), step(), step()] == [8, 16, 32] and c.tolist() == [32, 32]
    value, _ = tg.derive(later, parameters=[w])()
    assert value == 64 and c.tolist() == [64, 64]


def keeps(what):
    return lambda box: lambda net: (lambda x: what(box, net(x)), None)


def assigned_parameter(net):
    def loss(x):
        net[0].bias.data = net[0].bias.data * 0.5
        return np.mean(net(x) ** 2)

    return loss, None


def assigned_part(net):
    mean = tg.Tensor(np.zeros(2))

    def loss(x):
        mean[0] = 0.5
        mean.data[:] = np.mean(net(x).data, axis=0)
        return np.mean((net(x) - mean) ** 2)

    return loss, None


def number(net):
    s = Settings()

    def loss(x):
        s.scale = s.scale + np.mean(net(x))
        return np.mean(net(x) ** 2) * s.scale

    return loss, None


def collected(net):
    values = []

    def loss(x):
        J = np.mean(net(x) ** 2)
        values.append(J.detach())
        return J

    return loss, None


def other_shape(net):
    s = Settings()
    s.scale = tg.Tensor(1.0)

    def loss(x):
        s.scale = s.scale + np.mean(net(x), axis=0).detach()
        return np.mean(net(x) ** 2) * np.sum(s.scale)

    return loss, None


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (assigned_parameter, r"a tensor that is computed or learned is assigned to at .*test_state.*t.data = new"),
        (assigned_part, r"a tensor is assigned into at .*test_state.*assigned as a whole: t.data = new"),
        (number, r"in the place of 'scale', where there was float: .* Keep what is updated in a tensor"),
        (collected, r"in the place of 0, where there was nothing: .* collect values outside of the function"),
        (other_shape, r"tensor of shape \(2,\) and dtype float64 in the place of 'scale', .* which has shape \(\)"),
    ],
)
def test_updates_that_cannot_be_made_are_refused(make, said):
    with pytest.raises((TypeError, ValueError), match=said):
        losses(make, steps=1)


def test_nothing_is_left_of_a_trace_that_failed():
    box = {"mean": tg.Tensor(np.zeros(2)), "list": []}

    def loss(x):
        h = x * p
        box["mean"], box["new"] = h, h
        box["list"].append(h)
        if np.sum(h) > 0:
            return np.sum(h)
        return -np.sum(h)

    p = tg.Tensor(np.ones(2), requires_grad=True)
    with pytest.raises(TypeError, match="a Python branch depends on the data"):
        tg.compile_step(loss, tg.SGD([p], lr=0.1))(np.ones(2))
    assert type(box["mean"]) is tg.Tensor and box["list"] == [] and "new" not in box


class Halved(tg.SGD):
    def step(self):
        for p in self.parameters():
            p.grad = p.grad * 0.5
        super().step()


class Clipped(tg.SGD):
    def advance(self, updates):
        super().advance([(p, np.clip(g, -0.01, 0.01), group, None) for p, g, group, _ in updates])


@pytest.mark.parametrize("optimizer", [Halved, Clipped])
def test_optimisers_of_one_s_own(optimizer):
    agree(lambda net: (lambda x: np.mean(net(x) ** 2), None), optimizer=optimizer)


def test_a_step_does_not_keep_what_the_function_no_longer_reads():
    net = tg.Dense(2, 2, rng=0)
    step = tg.compile_step(lambda x: np.mean(net(x) ** 2), tg.SGD(net.parameters(), lr=0.1))
    step(X)
    alive = weakref.ref(step)
    del step
    gc.collect()
    assert alive() is None


def test_a_gradient_that_is_another_parameters_array():
    """p · q: the gradient of each is what the other was before the step, with every rule written out."""
    rules = {
        "descent": (lambda ps: tg.SGD(ps, lr=0.1), lambda p, g, v: (p - 0.1 * g, v)),
        "momentum": (
            lambda ps: tg.SGD(ps, lr=0.1, momentum=0.5, nesterov=True),
            lambda p, g, v: (p - 0.1 * (g + 0.5 * (0.5 * v + g)), 0.5 * v + g),
        ),
        "decay": (lambda ps: tg.SGD(ps, lr=0.1, weight_decay=0.5), lambda p, g, v: (p - 0.1 * (g + 0.5 * p), v)),
        "adagrad": (lambda ps: tg.Adagrad(ps, lr=0.1), lambda p, g, v: (p - 0.1 * g / np.sqrt(v + g * g), v + g * g)),
        "rmsprop": (
            lambda ps: tg.RMSprop(ps, lr=0.1, alpha=0.5, eps=0),
            lambda p, g, v: (p - 0.1 * g / np.sqrt(0.5 * v + 0.5 * g * g), 0.5 * v + 0.5 * g * g),
        ),
        "adamw": (
            lambda ps: tg.AdamW(ps, lr=0.1, betas=(0, 0), eps=0, weight_decay=0.5),
            lambda p, g, v: (p - 0.05 * p - 0.1 * np.sign(g), v),
        ),
    }
    turned, losses = np.array([[2.0, -1.0], [4.0, 3.0]]), {
        "as it is": (lambda p, q: np.sum(p * q), lambda p, q: (q, p)),
        "turned": (lambda p, q: np.sum(p.T * q), lambda p, q: (q.T, p.T)),
        "reversed": (lambda p, q: np.sum(p[::-1] * q), lambda p, q: (q[::-1], p[::-1])),
        "its own": (lambda p, q: np.sum(p * p.detach()) + np.sum(q * p.detach()), lambda p, q: (p, p)),
        "through another": (lambda p, q: np.sum(p * np.reshape(q, 4).reshape(2, 2)), lambda p, q: (q, p)),
    }  # fmt: skip
    for loss, slopes in losses.values():
        for make, rule in rules.values():
            for bound in (None, 1e9):
                start = turned, np.array([[3.0, 5.0], [-2.0, 1.0]])
                p, q = (tg.Tensor(x.copy(), requires_grad=True) for x in start)
                step = tg.compile_step(lambda: loss(p, q), make([p, q]), clip_grad_norm=bound)  # noqa: B023
                (a, b), v, w = start, np.zeros((2, 2)), np.zeros((2, 2))
                for _ in range(4):
                    with tg.detect_anomaly() if bound else contextlib.nullcontext():
                        step()
                    g, h = slopes(a, b)
                    (a, v), (b, w) = rule(a, g, v), rule(b, h, w)
                np.testing.assert_allclose(p.data, a, rtol=1e-9)
                np.testing.assert_allclose(q.data, b, rtol=1e-9)


def test_what_changes_between_the_gradients_and_the_update():
    p, q = (tg.Tensor(np.array([v]), requires_grad=True) for v in (1.0, 2.0))
    constant = np.array([5.0])
    step = tg.compile_step(lambda: np.sum(p * q) + np.sum(p * constant), tg.SGD([p, q], lr=0.1))
    for x, y in ((0.3, 0.9), (-0.29, 0.42)):
        step.evaluate()
        q.data *= 0.5
        step.update()
        np.testing.assert_allclose([*p.data, *q.data], [x, y], rtol=1e-12)
    alone = tg.compile_step(lambda: np.sum(p * constant), tg.SGD([p], lr=0.1))
    alone.evaluate()
    constant[:] = 0
    alone.update()
    np.testing.assert_allclose(p.data, -0.79, rtol=1e-12)


def test_a_buffer_of_another_shape():
    """Put there by the function itself, and then by somebody else."""

    def train(compiled):
        net = tg.Dense(1, 1, rng=0)
        net.m = tg.Tensor(np.ones(3))

        def loss(x):
            y = np.mean(net(x) ** 2) * net.m.size
            net.m = net.m * 0.5
            return y

        optimizer = tg.SGD(net.parameters(), lr=0.1)
        step = tg.compile_step(loss, optimizer)
        found = []
        for shape in ((3,), (), (5,), (5,)):
            net.m = tg.Tensor(np.ones(shape))
            if compiled:
                found.append(step(np.ones((2, 1))))
            else:
                optimizer.zero_grad()
                J = loss(np.ones((2, 1)))
                J.backward()
                optimizer.step()
                found.append(J.item())
            assert net.m.shape == shape
        return found

    np.testing.assert_allclose(train(True), train(False), rtol=1e-12)
