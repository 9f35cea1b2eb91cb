"""What a compiled function keeps from one step to the next, wherever it puts it, and what it draws by itself."""

from __future__ import annotations

import random
from collections import OrderedDict, deque
from dataclasses import dataclass

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compiler.test_state import X, agree, losses

hidden = None


def in_a_variable(net):
    h = None

    def loss(x):
        nonlocal h
        z = net(x) if h is None else net(x) + 0.5 * h
        h = z.detach()
        return np.mean(z**2)

    def reset(owner, k):
        nonlocal h
        if k == 2:
            h = None

    return loss, reset


def in_a_global(net):
    global hidden
    hidden = None

    def loss(x):
        global hidden
        z = net(x) if hidden is None else net(x) + 0.5 * hidden
        hidden = z.detach()
        return np.mean(z**2)

    def reset(owner, k):
        global hidden
        if k == 2:
            hidden = None

    return loss, reset


class Held:
    pass


class Slotted:
    __slots__ = ("h",)


class Shared:
    h = None


class Layer(tg.Module):
    def __init__(self):
        self.h = None

    def forward(self, x):
        return x


def in_an_attribute(holder):
    def make(net):
        owner = holder()
        owner.h = None

        def loss(x):
            z = net(x) if owner.h is None else net(x) + 0.5 * owner.h
            owner.h = z.detach()
            return np.mean(z**2)

        return loss, lambda _, k: setattr(owner, "h", None) if k == 2 else None

    return make


def in_a_dict(net):
    kept = {}

    def loss(x):
        z = net(x) + 0.5 * kept.get("h", 0.0)
        kept["h"] = z.detach()
        return np.mean(z**2)

    return loss, lambda _, k: kept.pop("h") if k == 2 else None


PLACES = {
    "a variable": in_a_variable,
    "a global": in_a_global,
    "an attribute": in_an_attribute(Held),
    "an attribute of a module": in_an_attribute(Layer),
    "a slot": in_an_attribute(Slotted),
    "a class": in_an_attribute(lambda: type("Own", (Shared,), {})),
    "a dict": in_a_dict,
}


@pytest.mark.parametrize("name", PLACES)
def test_what_is_none_in_the_first_step_is_a_tensor_in_the_second(name):
    """And None again, when somebody begins anew."""
    results = []
    for compiled in (False, True):
        resetting = []

        def make(net, resetting=resetting):
            loss, reset = PLACES[name](net)
            resetting.append(reset)
            return loss, None

        change = lambda owner, k, resetting=resetting: resetting[0](owner, k)
        results.append(losses(make, change, compiled=compiled, steps=6))
    for recorded, compiled in zip(*results, strict=True):
        np.testing.assert_allclose(compiled, recorded, rtol=1e-12)


@pytest.mark.parametrize("collection", [deque([1.0], maxlen=3), {1.0}])
def test_what_collections_are_given_is_taken_back(collection):
    w = tg.Tensor(np.ones(2), requires_grad=True)
    before = list(collection)

    def loss(x):
        J = np.sum(w * x)
        (collection.add if isinstance(collection, set) else collection.append)(J.detach())
        return J

    name = type(collection).__name__
    with pytest.raises(TypeError, match=f"in the place of the elements of a {name}: a derivation updates"):
        tg.compile_step(loss, tg.SGD([w], lr=0.1))(np.ones(2))
    assert list(collection) == before


GENERATORS = {
    "a generator": lambda seed: (lambda g: lambda: g.random() < 0.5)(np.random.default_rng(seed)),
    "integers": lambda seed: (lambda g: lambda: int(g.integers(2)) == 0)(np.random.default_rng(seed)),
    "RandomState": lambda seed: (lambda g: lambda: g.rand() < 0.5)(np.random.RandomState(seed)),
    "Python's": lambda seed: (lambda g: lambda: g.random() < 0.5)(random.Random(seed)),
    "Python's choice": lambda seed: (lambda choose: lambda: choose([True, False]))(random.Random(seed).choice),
}


@pytest.mark.parametrize("name", GENERATORS)
def test_draws_that_happen_to_be_equal_are_refused_too(name):
    make = GENERATORS[name]
    seed = next(seed for seed in range(1000) if (draw := make(seed))() == draw())
    w, draw = tg.Tensor(np.ones(2), requires_grad=True), make(seed)
    with pytest.raises(TypeError, match=r"draws random numbers by itself, .* Draw them by tg\.random"):
        tg.compile_step(lambda x: np.sum(w * x) * (1.0 if draw() else 3.0), tg.SGD([w], lr=0.1))(np.ones(2))


@pytest.mark.parametrize(("module", "draw"), [(np.random, lambda: np.random.rand()), (random, lambda: random.random())])
def test_draws_of_the_global_generators_are_refused_too(module, draw):
    w = tg.Tensor(np.ones(2), requires_grad=True)
    state = np.random.get_state(), random.getstate()
    try:
        with pytest.raises(TypeError, match="draws random numbers by itself"):
            tg.compile_step(lambda x: np.sum(w * x) * (1.0 if draw() < 2 else 3.0), tg.SGD([w], lr=0.1))(np.ones(2))
    finally:
        np.random.set_state(state[0])
        random.setstate(state[1])


def test_random_numbers_of_our_own_are_not_refused():
    rng, w = np.random.default_rng(0), tg.Tensor(np.ones(200), requires_grad=True)
    drawing = lambda x: np.sum(w * x * tg.random.uniform(size=200, rng=rng)) + np.sum(tg.dropout(w, 0.5, rng=rng))
    step = tg.compile_step(drawing, tg.SGD([w], lr=0.0))
    assert step(np.ones(200)) != step(np.ones(200))


@dataclass
class Config:
    kind: str = "a"


def order(net):
    d = {"a": 1.0, "b": 2.0}
    return lambda x: np.mean(net(x) ** 2) * next(iter(d.values())), d


def moved(d, k):
    d["a"] = d.pop("a")


def ordered(net):
    d = OrderedDict(a=1.0, b=2.0)
    return lambda x: np.mean(net(x) ** 2) * next(iter(d.values())), d


def matched(net):
    config = Config()

    def loss(x):
        match config:
            case Config(kind="a"):
                return np.mean(net(x) ** 2)
        return np.sum(net(x) ** 2)

    return loss, config


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (order, moved),
        (ordered, lambda d, k: d.move_to_end("a")),
        (matched, lambda config, k: setattr(config, "kind", "b")),
    ],
)
def test_the_order_of_a_dict_and_what_match_reads(make, change):
    agree(make, change)


class Signs(tg.SGD):
    """Reads the gradient again after it has written into the spare memory."""

    def _update(self, p, g, out, spare, group, state):
        np.sign(g, out=spare)
        spare *= group["lr"]
        spare += g * 0.01
        np.subtract(p, spare, out=out)


def test_an_update_of_somebodys_own_finds_the_gradient_as_it_was():
    agree(lambda net: (lambda x: np.mean(net(x) ** 2), None), optimizer=Signs)
    assert X.shape == (6, 2)
