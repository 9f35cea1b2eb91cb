"""`copy.deepcopy`, `copy.copy` and pickles: what comes back is the same and stands by itself, or it is refused."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import functional as F

X = np.random.default_rng(0).normal(size=(6, 3))
Y = np.array([0, 1, 1, 0, 1, 0])


def pickled(thing):
    return pickle.loads(pickle.dumps(thing))


@pytest.fixture(params=[copy.deepcopy, pickled])
def duplicate(request):
    return request.param


class Own(tg.Module):
    def __init__(self):
        self.dense = tg.Dense(3, 2, rng=1)
        self.scale = tg.Tensor(2.0, requires_grad=True, name="scale")
        self.tied = self.dense.weight
        self.settings = {"shift": tg.Tensor([1.0, 2.0])}

    def forward(self, x):
        return self.dense(x) * self.scale + self.settings["shift"] + np.sum(self.tied)


def network():
    layers = [tg.Dense(3, 4, rng=0), F.relu, tg.Dropout(0.3, rng=2), np.tanh, tg.Dense(4, 2, rng=1), F.log_softmax]
    return tg.Sequential(*layers)


def trained(net, optimizer, steps=3):
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(net(X), Y).backward()
        optimizer.step()
    return [p.data.tobytes() for p in net.parameters()]


def test_tensors(duplicate):
    t = tg.Tensor([[1.0, 2.0]], requires_grad=True, name="t")
    (t * 3).sum().backward()
    other = duplicate(t)
    assert type(other) is tg.Tensor and other.requires_grad and other.name == "t" and other.is_leaf
    assert np.array_equal(other.data, t.data) and np.array_equal(other.grad, t.grad)
    assert not np.shares_memory(other.data, t.data) and not np.shares_memory(other.grad, t.grad)
    (other * other).sum().backward()
    assert other.grad.tolist() == [[5, 7]] and t.grad.tolist() == [[3, 3]]
    for plain in (tg.Tensor([1, 2]), tg.Tensor(np.float32(3)), tg.Tensor([True]), np.exp(tg.Tensor([1.0]))):
        assert np.array_equal(duplicate(plain).data, plain.data) and duplicate(plain).dtype == plain.dtype
    made = duplicate(F.sigmoid(tg.Tensor([0.0])).reshape(1, 1))
    assert made.tolist() == [[0.5]] and made._ties is None  # when it was made says nothing in another process


def test_a_shallow_copy_shares_its_array():
    t = tg.Tensor([1.0, 2.0], requires_grad=True)
    other = copy.copy(t)
    assert other is not t and other.data is t.data and other.requires_grad


def test_what_was_recorded_is_refused(duplicate):
    t = tg.Tensor([1.0, 2.0], requires_grad=True)
    loss = (t * t).sum()
    net = network()
    net.last = np.exp(t)
    for thing, said in [(loss, r"shape \(\) that 'sum'"), (net, r"shape \(2,\) that 'exp'"), ([loss], "that 'sum'")]:
        with pytest.raises(TypeError, match=rf"{said} computed is copied or pickled.*Take \.detach\(\), or drop it"):
            duplicate(thing)
    loss.backward()
    assert t.grad.tolist() == [2, 4]
    assert duplicate(loss.detach()).item() == 5


@pytest.mark.parametrize("build", [network, Own])
def test_models(duplicate, build):
    net = build()
    net.eval()
    other = duplicate(net)
    assert repr(other) == repr(net)
    assert np.array_equal(tg.predict(other, X), tg.predict(net, X))
    names, others = dict(net.named_parameters()), dict(other.named_parameters())
    assert names.keys() == others.keys()
    for name, p in names.items():
        assert others[name].requires_grad and others[name].name == p.name
        assert not np.shares_memory(others[name].data, p.data)
    if build is Own:
        assert other.tied is other.dense.weight
    before = [p.data.tobytes() for p in net.parameters()]
    trained(other, tg.SGD(other.parameters(), lr=0.1))
    assert [p.data.tobytes() for p in net.parameters()] == before


@pytest.mark.parametrize("kind", [tg.SGD, tg.Adam, tg.RMSprop])
def test_a_model_with_its_optimizer(duplicate, kind):
    net = network()
    optimizer = kind([{"params": [net[0].weight, net[0].bias]}, {"params": net[4].parameters(), "lr": 0.2}], lr=0.1)
    trained(net, optimizer)
    other, its = duplicate((net, optimizer))
    assert all(p is q for p, q in zip(its.parameters(), other.parameters(), strict=True))
    assert [g["lr"] for g in its.param_groups] == [0.1, 0.2]
    assert trained(net, optimizer) == trained(other, its)  # dropout's generator was copied, too
    assert repr(duplicate(its).state_dict()) == repr(its.state_dict()) == repr(optimizer.state_dict())
    step = tg.compile_step(lambda X, y: F.cross_entropy(other(X), y), its)
    step(X, Y)
    assert its._work and not duplicate(its)._work  # the arrays to work in are left out


def test_functions_are_the_same_ones(duplicate):
    for function in (F.relu, F.sigmoid, F.softmax, np.tanh, tg.nn.he_normal, softsign):
        assert duplicate(function) is function
    assert copy.copy(F.relu) is F.relu
    net = duplicate(tg.Sequential(tg.Dense(3, 1, init="zeros"), F.sigmoid))
    net[0].bias.data = np.array([-1000.0])  # where a sigmoid that is not the known one would give log 0
    assert tg.binary_cross_entropy(net(X), np.ones((6, 1))).item() == 1000
    assert copy.deepcopy(tg.Sequential(lambda x: 2 * x))(3) == 6
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(tg.Sequential(lambda x: 2 * x))


@tg.primitive
def softsign(x):
    return x / (1 + abs(x))


tg.rule(softsign, lambda g, y, x: g / (1 + abs(x)) ** 2)


def test_what_belongs_to_one_model_is_refused(duplicate):
    net = network()
    step = tg.compile_step(lambda X, y: F.cross_entropy(net(X), y), tg.SGD(net.parameters(), lr=0.1))
    derived = tg.derive(lambda X: np.mean(net(X)), X, parameters=net)
    step(X, Y)
    for thing, said in [
        (step, r"a compiled step is not copied or pickled.*copy\.deepcopy\(\(model, optimizer\)\).*compile_step"),
        (derived, r"a derivation cannot be copied or pickled.*\.source"),
    ]:
        with pytest.raises(TypeError, match=said):
            duplicate(thing)
        with pytest.raises(TypeError, match=said):
            copy.copy(thing)
    with pytest.raises(TypeError, match="a tensor is copied at"):
        tg.derive(lambda X: np.mean(duplicate(net)(X)), X, parameters=net)


def test_a_transformed_function_is_the_same_one():
    slope = tg.grad(np.sum)
    assert copy.deepcopy(slope) is slope
    with pytest.raises((pickle.PicklingError, AttributeError), match=r"Can't (pickle|get) local object .*grad"):
        pickle.dumps(slope)


def test_what_else_trains(duplicate):
    """Batches, callbacks, histories and standardisers are plain data."""
    batches = tg.Batches(X, Y, batch_size=2, rng=np.random.default_rng(1))
    list(batches)
    same = duplicate(batches)
    assert [b[1].tolist() for b in batches] == [b[1].tolist() for b in same]
    net = network()
    stopping = tg.EarlyStopping(monitor="loss")
    history = tg.fit(net, X, Y, loss=F.cross_entropy, optimizer=tg.SGD(net.parameters(), lr=0.1), epochs=2,
                     callbacks=[stopping], progress=False)  # fmt: skip
    assert duplicate(history) == history and duplicate(history).stopped == history.stopped
    assert duplicate(stopping).best == stopping.best
    assert np.array_equal(duplicate(tg.Standardizer().fit(X))(X), tg.Standardizer().fit(X)(X))
