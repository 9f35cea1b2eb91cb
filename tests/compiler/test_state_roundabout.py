"""What is read in roundabout ways: it counts as it is, too."""

from __future__ import annotations

import collections
import copy
import functools
import io
import types

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compiler.test_state import X, agree, losses

k = 1.0


class Scaled(tg.Module):
    def __init__(self):
        self.scale = 1.0
        self.layer = tg.Dense(2, 2, rng=0)
        self.mean = tg.Tensor(np.zeros(2))
        self.last = None

    def forward(self, x):
        h = self.layer(x) * self.scale
        self.mean = 0.9 * self.mean + 0.1 * np.mean(h, axis=0).detach()
        self.last = h
        return h - self.mean


def test_fit_sees_what_the_model_reads_and_leaves_no_symbols():
    runs = []
    for compiled in (False, True):
        model = Scaled()

        class Halve(tg.Callback):
            def after_epoch(self, training, model=model):
                model.scale *= 0.5

        history = tg.fit(
            model, X, X, loss=tg.mse_loss, optimizer=tg.SGD(model.parameters(), lr=0.1), epochs=4, rng=0,
            compiled=compiled, callbacks=[Halve()], progress=False,
        )  # fmt: skip
        assert type(model.last) is type(model.mean) is tg.Tensor and np.isfinite(np.mean(model.last.data))
        runs.append([*history["loss"], model.mean.data])
    for recorded, found in zip(*runs, strict=True):
        np.testing.assert_allclose(found, recorded, rtol=1e-10)


def of_transforms(net):
    given = {"k": 1.0}
    slope = tg.grad(lambda x: given["k"] * np.sum(net(x) ** 2))
    return lambda x: np.mean(slope(x) ** 2), given


def wrapped(net):
    given = {"k": 1.0}

    @functools.wraps(tg.mse_loss)
    def scaled(a, b):
        return tg.mse_loss(a, b) * given["k"]

    return lambda x: scaled(net(x), x), given


def growing(net):
    given = {}
    return lambda x: np.mean(net(x) ** 2) * given.get("k", 1.0), given


def named(net):
    class Given:
        k = 1.0

    return lambda x: np.mean(net(x) ** 2) * getattr(Given, "k"), Given  # noqa: B009


@pytest.mark.parametrize("make", [of_transforms, wrapped, growing, named])
def test_numbers_that_are_read_elsewhere(make):
    def change(owner, step):
        if isinstance(owner, dict):
            owner["k"] = 0.5**step
        else:
            owner.k = 0.5**step

    agree(make, change)


class Later:
    """An object that is given an attribute while it is in use."""


def scaled_by(k, x):
    return np.mean(x**2) * k


def with_attribute(net):
    def loss(x):
        return np.mean(net(x) ** 2) * loss.k

    loss.k = 1.0
    return loss, loss


def with_keywords(net):
    given = functools.partial(scaled_by, k=1.0)
    return lambda x: given(x=net(x)), given.keywords


def later(get):
    def make(net):
        given = Later()
        return lambda x: np.mean(net(x) ** 2) * get(given), given

    return make


def viewed(view):
    def make(net):
        given = {"k": 1.0}
        shown = view(given)
        return lambda x: np.mean(net(x) ** 2) * shown["k"], given

    return make


def later_of_a_layer(net):
    return lambda x: np.mean(net(x) ** 2) * getattr(net, "k", 1.0), net


def looked_up(get):
    def make(net):
        given = types.SimpleNamespace(k=1.0)
        return lambda x: np.mean(net(x) ** 2) * get(given), given

    return make


def made_in_the_loss(net):
    class Given:
        k = 1.0

        def __init__(self):
            self.own = self.k

    return lambda x: np.mean(net(x) ** 2) * Given().own, Given


class Numbers(list):
    pass


def of_a_list_with_attributes(net):
    numbers = Numbers([2.0])
    numbers.k = 1.0
    return lambda x: np.mean(net(x) ** 2) * numbers[0] * numbers.k, numbers


@pytest.mark.parametrize("kind", [collections.UserDict, dict])
def test_dicts_of_somebody(kind):
    def make(net):
        given = kind(k=1.0)
        return lambda x: np.mean(net(x) ** 2) * given["k"], given

    agree(make, lambda given, step: given.__setitem__("k", 0.5**step))


@pytest.mark.parametrize(
    "make",
    [
        made_in_the_loss, of_a_list_with_attributes, looked_up(lambda o: getattr(o, f"{'k'}")),
        looked_up(lambda o: sum(vars(o).values())), looked_up(lambda o: (lambda k: k)(**vars(o))),
        later_of_a_layer, with_attribute, with_keywords,
        later(lambda o: getattr(o, "k", 1.0)), later(lambda o: o.k if hasattr(o, "k") else 1),
        viewed(types.MappingProxyType), viewed(collections.ChainMap), viewed(lambda d: collections.ChainMap({}, d)),
        viewed(lambda d: types.SimpleNamespace(mapping=types.MappingProxyType(d)).mapping),
    ],
)  # fmt: skip
def test_other_places_of_numbers(make):
    set_in = lambda owner: owner.__setitem__ if isinstance(owner, dict) else functools.partial(setattr, owner)
    agree(make, lambda owner, step: set_in(owner)("k", 0.5**step))


def test_what_the_loss_reads_of_a_library(tmp_path, monkeypatch):
    """What it names there counts; what the library reads by itself is taken to stay, so that not all of it is looked
    through: it may be endless."""
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "library.py").write_text(
        "k, looked = 1.0, []\n"
        "class Endless:\n"
        "    @property\n"
        "    def __dict__(self):\n"
        "        looked.append(self)\n"
        "        return {'endless': Endless()}\n"
        "endless = Endless()\n"
        "def scaled(x): return (x, endless)[0]\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    import library

    class Odd:
        @property
        def __dict__(self):
            raise NameError("__dict__")

    odd = Odd()

    def make(net):
        library.k = 1.0
        return lambda x: (np.mean(library.scaled(net(x)) ** 2) * library.k, odd)[0], library

    agree(make, lambda owner, step: setattr(owner, "k", 0.5**step))
    assert library.looked == []


@pytest.mark.parametrize("kind", [set, collections.deque, lambda items: [set(items)], lambda items: {"of": set(items)}])
@pytest.mark.parametrize("use", [sum, len, lambda numbers: 2.0 if 0 in numbers else 1.0])
def test_numbers_in_sets_and_queues(kind, use):
    def make(net):
        given = kind([1, 2])
        one = given[0] if isinstance(given, list) else given["of"] if isinstance(given, dict) else given
        return lambda x: np.mean(net(x) ** 2) * use(one), one

    def change(numbers, step):
        if isinstance(numbers, set):
            numbers.symmetric_difference_update({step, 0})
        else:
            numbers.rotate()
            numbers[0] = step

    agree(make, change)


@pytest.mark.parametrize("others", [[1, True, 1.0], [1.0, -0.0, 0.0], [np.float32(1), np.float64(1)], [(1,), (1.0,)]])
def test_equal_numbers_of_another_kind(others):
    calls, given = io.StringIO(), {"k": others[0]}  # a list would be looked through

    def loss(x):
        k = given["k"]
        calls.write(".")
        return np.sum(x * w) * (k[0] if isinstance(k, tuple) else k)

    w = tg.Tensor(np.ones(2), requires_grad=True)
    d = tg.derive(loss, np.ones(2), parameters=[w])
    for k in others:
        given["k"] = k
        before = calls.tell()
        value, _ = d(np.ones(2))
        assert calls.tell() > before or k is others[0]
        assert str(value) == str(loss(np.ones(2)).data)
        before = calls.tell()
        d(np.ones(2))
        assert calls.tell() == before


def with_array(use):
    def make(net):
        array = np.ones(2)
        return lambda x: use(net(x), array), array

    return make


@pytest.mark.parametrize(
    "use",
    [
        lambda h, a: np.mean((h * a) ** 2),  # the same numbers, which could be one number
        lambda h, a: np.mean(h**2) * a[0],
        lambda h, a: np.mean(h**2) * float(a.sum()),
        lambda h, a: np.mean((h / np.sqrt(a + 1e-5)) ** 2),
        lambda h, a: np.mean(h**2 * (a > 0.7)),
    ],
)
def test_arrays_of_which_something_is_computed_first(use):
    agree(with_array(use), lambda a, step: a.__setitem__(0, 0.5**step))


def halving(parameters, lr):
    optimizer = tg.SGD(parameters, lr=lr)
    step = optimizer.step

    def halved():
        for p in optimizer.parameters():
            p.grad = p.grad * 0.5
        step()

    optimizer.step = halved
    return optimizer


def test_a_step_that_one_optimiser_has_of_its_own():
    agree(lambda net: (lambda x: np.mean(net(x) ** 2), None), optimizer=halving)


def test_an_optimiser_with_a_zero_grad_of_its_own_is_refused():
    class Accumulating(tg.SGD):
        def zero_grad(self):
            pass

    net = tg.Dense(2, 2, rng=0)
    with pytest.raises(TypeError, match=r"Accumulating has a zero_grad\(\) of its own, .* do not compile"):
        tg.compile_step(lambda x: np.mean(net(x) ** 2), Accumulating(net.parameters(), lr=0.1))


def test_the_learning_rate_in_the_loss():
    made = {}

    def noted(parameters, lr):
        made["optimizer"] = tg.SGD(parameters, lr=lr)
        return made["optimizer"]

    agree(
        lambda net: (lambda x: np.mean(net(x) ** 2) * made["optimizer"].lr, None),
        lambda _, step: setattr(made["optimizer"], "lr", 0.1 * 0.5**step),
        optimizer=noted,
    )


def test_a_number_that_the_function_advances_is_told():
    def make(net):
        box = {"t": 0}

        def loss(x):
            box["t"] += 1
            return np.mean(net(x) ** 2) + (np.sum(net(x)) if box["t"] > 3 else 0)

        return loss, None

    with pytest.warns(UserWarning, match=r"the function changes 't' when it is called.*keep it in a tensor"):
        losses(make)


def test_a_statistic_is_another_tensor_after_each_step():
    def make(net):
        box = {"mean": tg.Tensor(np.zeros(2))}

        def loss(x):
            h = net(x)
            box["mean"] = 0.9 * box["mean"] + 0.1 * np.mean(h, axis=0).detach()
            return np.mean((h - box["mean"]) ** 2)

        return loss, box

    kept = []
    agree(make, lambda box, step: kept.append((box["mean"], box["mean"].data.copy())))
    assert all(np.array_equal(t.data, values) for t, values in kept)

    def shared(net):
        box = {"a": tg.Tensor(np.zeros(2))}
        box["b"] = box["a"]

        def loss(x):
            box["a"] = 0.9 * box["a"] + np.mean(net(x), axis=0).detach()
            return np.mean((net(x) - box["a"] - box["b"]) ** 2)

        return loss, None

    with pytest.raises(TypeError, match=r"also in another place that it may read. Start with a tensor for each place"):
        losses(shared)


@pytest.mark.parametrize("pack", [lambda h: (h, 2 * h), lambda h: [h], lambda h: {"h": h}])
def test_containers_of_what_is_computed_are_refused_and_taken_back(pack):
    model = Scaled()
    model.pair = None

    def loss(x):
        model.pair = pack(model(x))
        return np.mean(model.last**2)

    with pytest.raises(TypeError, match=r"of what it computes in the place of 'pair': .* single tensors only"):
        tg.compile_step(loss, tg.SGD(model.layer.parameters(), lr=0.1))(X)
    assert model.pair is None and model.last is None and type(model.mean) is tg.Tensor


def test_what_is_only_looked_at_does_not_make_it_derive_anew():
    model, calls = Scaled(), []
    step = tg.compile_step(lambda x: (np.mean(model(x) ** 2), calls_of.add())[0], tg.SGD(model.parameters(), lr=0.1))

    class Calls:
        def add(self):
            calls.append(1)

    calls_of = Calls()
    for _ in range(5):
        step(X)
    assert len(calls) <= 4


def test_tables_are_indexed_as_tensors():
    table, net = np.eye(2), tg.Dense(2, 2, rng=0)
    with pytest.raises(TypeError, match=r"To look numbers up in a table, index a tensor, tg.Tensor\(table\)\[y\]"):
        tg.compile_step(lambda x, y: tg.mse_loss(net(x), table[y[0]]), tg.SGD(net.parameters(), lr=0.1))(
            X, np.zeros(6, int)
        )
    tensor = tg.Tensor(table)
    step = tg.compile_step(lambda x, y: tg.mse_loss(net(x), tensor[y]), tg.SGD(net.parameters(), lr=0.0))
    y = np.array([0, 1, 1, 0, 1, 0])
    assert step(X, y) == pytest.approx(tg.mse_loss(net(X), table[y]).item())


def test_copies_of_variables_inside_transforms():
    with pytest.raises(TypeError, match="its derivative would be lost"):
        tg.grad(lambda p: np.sum(copy.deepcopy(p)["w"] ** 2))({"w": np.ones(2)})
