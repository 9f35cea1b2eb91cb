"""Modules, layers, initialisers: parameters and their names, state, summary, and misuse."""

from __future__ import annotations

import contextlib
import contextvars
from dataclasses import dataclass

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import (
    ELU,
    GELU,
    Dense,
    Dropout,
    Flatten,
    Hardtanh,
    Identity,
    LeakyReLU,
    Module,
    ReLU,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Softsign,
    Tanh,
    Tensor,
)
from tinygrad_edu import functional as F
from tinygrad_edu.nn import INITIALIZERS


def network():
    return Sequential(Dense(4, 3, rng=0), Tanh(), Dropout(0.5, rng=1), Dense(3, 2, rng=2))


class TwoHeads(Module):
    def __init__(self):
        self.shared = Dense(4, 3, rng=0)
        self.heads = [Dense(3, 1, rng=1), Dense(3, 2, rng=2)]
        self.more = {"scale": Tensor(1.0, requires_grad=True), "again": self.shared}
        self.constant = Tensor([1.0])

    def forward(self, x):
        h = np.tanh(self.shared(x))
        return [head(h) * self.more["scale"] for head in self.heads]


def test_parameters_are_found_through_attributes_lists_and_dicts_once():
    names = [name for name, _ in TwoHeads().named_parameters()]
    assert names == [
        "shared.weight",
        "shared.bias",
        "heads.0.weight",
        "heads.0.bias",
        "heads.1.weight",
        "heads.1.bias",
        "more.scale",
    ]
    assert [name for name, _ in network().named_parameters()] == ["0.weight", "0.bias", "3.weight", "3.bias"]
    assert network().num_parameters == 4 * 3 + 3 + 3 * 2 + 2
    assert [type(m).__name__ for m in network().modules()] == ["Sequential", "Dense", "Tanh", "Dropout", "Dense"]
    assert len(list(TwoHeads().modules())) == 4


def test_a_kept_activation_is_no_parameter():
    class Keeping(Module):
        def __init__(self):
            self.layer, self.last = Dense(3, 2, rng=0), None

        def forward(self, x, *, scale=1.0):
            self.last = self.layer(x) * scale
            return self.last

    net = Keeping()
    net(np.ones((4, 3)), scale=2.0)
    assert net.num_parameters == 8 and list(net.state_dict()) == ["layer.weight", "layer.bias"]


def test_shared_layers_count_once():
    layer = Dense(2, 2, rng=0)
    net = Sequential(layer, Tanh(), layer)
    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias"]


def test_dense_computes_x_w_plus_b():
    layer = Dense(3, 2, rng=0)
    layer.bias.data = np.array([1.0, 2.0])
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose(layer(x).data, x @ layer.weight.data + [1, 2])
    assert layer(np.ones((5, 4, 3))).shape == (5, 4, 2) and layer(np.ones(3)).shape == (2,)
    assert Dense(3, 2, bias=False).bias is None and len(Dense(3, 2, bias=False).parameters()) == 1
    assert Dense(3, 2, dtype=np.float32)(np.ones((1, 3), np.float32)).dtype == np.float32
    assert (layer.weight.name, layer.weight.requires_grad, layer.bias.tolist()) == ("weight", True, [1, 2])


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            (5, 4),
            r"Dense\(3 → 2\) got an input of shape \(5, 4\): expected \(\.{3}, 3\). Dense adds its own bias: leave out",
        ),
        ((3, 5), "Samples are rows: pass x.T"),
        ((5, 3, 1), r"Put a Flatten\(\) before it"),
        ((5, 7), r"expected \(\.\.\., 3\)$"),
        ((), r"shape \(\)"),
    ],
)
def test_a_wrong_input_shape(shape, message):
    with pytest.raises(ValueError, match=message):
        Dense(3, 2, rng=0)(np.ones(shape))


def test_initialisers():
    for name, bound in (("glorot_uniform", np.sqrt(6 / 500)), ("he_uniform", np.sqrt(6 / 300))):
        w = Dense(300, 200, init=name, rng=0).weight.data
        assert 0.99 * bound < abs(w).max() <= bound and abs(w.mean()) < 0.01 * bound
    for name, deviation in (("glorot_normal", np.sqrt(2 / 500)), ("he_normal", np.sqrt(2 / 300))):
        w = Dense(300, 200, init=name, rng=0).weight.data
        assert w.std() == pytest.approx(deviation, rel=0.02) and abs(w.mean()) < 0.02 * deviation
    assert not Dense(3, 2, init="zeros").weight.data.any()
    np.testing.assert_array_equal(Dense(3, 2, init=lambda shape, rng: np.full(shape, 7.0)).weight.data, 7)
    assert set(INITIALIZERS) == {"glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "zeros"}
    with pytest.raises(ValueError, match=r"unknown initialiser 'xavier'; choose from glorot_uniform"):
        Dense(3, 2, init="xavier")
    with pytest.raises(ValueError, match=r"gave shape \(2,\), expected \(3, 2\)"):
        Dense(3, 2, init=lambda shape, rng: np.ones(2))
    with pytest.raises(ValueError, match=r"Dense\(2.0, 3\): sizes must be positive whole numbers"):
        Dense(2.0, 3)
    with pytest.raises(TypeError, match=r"write Sequential\(\*layers\)"):
        Sequential([Dense(2, 3)])
    with pytest.raises(ValueError, match="sizes must be positive"):
        Dense(0, 2)


def test_the_same_seed_gives_the_same_network():
    def weights(seed):
        tg.manual_seed(seed)
        return np.concatenate([p.data.ravel() for p in Sequential(Dense(4, 3), Dense(3, 2)).parameters()])

    np.testing.assert_array_equal(weights(3), weights(3))
    assert not np.array_equal(weights(3), weights(4))
    np.testing.assert_array_equal(Dense(4, 3, rng=5).weight.data, Dense(4, 3, rng=np.random.default_rng(5)).weight.data)
    with pytest.raises(TypeError, match=r"rng must be a numpy\.random\.Generator, an int seed or None"):
        Dense(4, 3, rng="seed")


def test_activations():
    x = np.array([[-1.0, 0.0, 2.0]])
    for module, function in (
        (Sigmoid(), F.sigmoid),
        (Tanh(), np.tanh),
        (ReLU(), F.relu),
        (Softmax(), F.softmax),
        (LeakyReLU(0.2), lambda x: F.leaky_relu(x, 0.2)),
        (ELU(0.5), lambda x: F.elu(x, 0.5)),
        (SiLU(), F.silu),
        (GELU(), F.gelu),
        (GELU("tanh"), lambda x: F.gelu(x, "tanh")),
        (Hardtanh(-0.5, 2.0), lambda x: F.hardtanh(x, -0.5, 2.0)),
        (Softsign(), F.softsign),
        (Identity(), lambda x: x),
    ):
        np.testing.assert_array_equal(module(Tensor(x)).data, function(x))
    assert Flatten()(Tensor(np.ones((2, 3, 4)))).shape == (2, 12)
    assert Flatten()(np.ones((0, 3, 4))).shape == (0, 12)


def test_dropout_only_in_training():
    net = network()
    X = np.ones((50, 4))
    assert not np.array_equal(net(X).data, net(X).data)
    net.eval()
    np.testing.assert_array_equal(net(X).data, net(X).data)
    assert not net[2].training and net.train() is net and net[2].training
    with pytest.raises(ValueError, match="a probability"):
        Dropout(-0.1)


def test_sequential_is_a_sequence_of_layers_and_functions():
    net = Sequential(Dense(4, 3, rng=0), np.tanh, lambda x: x * 2)
    assert (
        len(net) == 3 and net[1] is np.tanh and len(net[:2]) == 2 and net[:2][0] is net[0] and net[-1] is list(net)[2]
    )
    assert net.append(Dense(3, 1, rng=1)) is net and net(np.ones((2, 4))).shape == (2, 1)
    with pytest.raises(TypeError, match=r"not <class .*ReLU'>; write ReLU\(\)"):
        Sequential(ReLU)
    with pytest.raises(TypeError, match="takes modules and functions, not 3"):
        net.append(3)


def test_state_dict_round_trip_and_strictness():
    net, other = network(), Sequential(Dense(4, 3, rng=7), Tanh(), Identity(), Dense(3, 2, rng=8))
    state = net.state_dict()
    other.load_state_dict(state)
    net.eval()
    np.testing.assert_array_equal(net(np.ones((1, 4))).data, other(np.ones((1, 4))).data)
    other.load_state_dict(dict(net.named_parameters()))
    state["0.bias"][:] = 99  # a copy
    assert not np.any(net[0].bias.data == 99) and not np.any(other[0].bias.data == 99)
    before = other.state_dict()
    bad = {"0.weight": np.ones((2, 2)), "0.bias": np.ones(3), "3.weight": np.ones((3, 2)), "spare": np.ones(1)}
    with pytest.raises(
        ValueError, match=r"0\.weight is \(2, 2\), the model wants \(4, 3\); missing: 3\.bias; unknown: spare"
    ):
        other.load_state_dict(bad)
    for name, value in other.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    with pytest.raises(ValueError, match="dtype"):
        other.load_state_dict(before | {"0.bias": np.array(["a", "b", "c"])})


def test_load_state_dict_keeps_the_model_s_precision():
    layer = Dense(2, 1, dtype=np.float32)
    layer.load_state_dict({"weight": np.ones((2, 1)), "bias": [1]})
    assert layer.weight.dtype == layer.bias.dtype == np.float32


def test_repr_and_summary():
    net = network()
    assert repr(net) == (
        "Sequential(\n  (0): Dense(4 → 3)\n  (1): Tanh()\n  (2): Dropout(p=0.5)\n  (3): Dense(3 → 2)\n)"
    )
    assert repr(Sequential(net)).count("\n") == 7 and repr(Dense(2, 1, bias=False)) == "Dense(2 → 1, bias=False)"
    lines = net.summary().splitlines()
    assert lines[2].split() == ["0", "Dense(4", "→", "3)", "(None,", "3)", "15"]
    assert lines[-1].split() == ["total", "23"] and net.training
    image_net = Sequential(Flatten(), Dense(6, 2))
    assert "(None, 6)" in image_net.summary((2, 3)) and image_net.summary((2, 3)).count("\n") == 5
    assert "?" in Sequential(np.tanh).summary() and "?" in TwoHeads().summary()
    assert "(None, 2)" in Sequential(lambda x: np.column_stack((x, x)), Dense(6, 2)).summary(3)
    assert "?" in Sequential(Dense(3, 2), Flatten(), lambda x: x @ np.ones(5)).summary()
    with pytest.raises(ValueError, match="expected"):
        net.summary(5)
    assert repr(Sequential(Dense(2, 3), np.tanh)) == "Sequential(\n  (0): Dense(2 → 3)\n  (1): tanh\n)"


def test_zero_grad_and_missing_forward():
    net = network()
    net(np.ones((2, 4))).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    with pytest.raises(NotImplementedError, match="Module does not define forward"):
        Module()(1)


def test_a_module_with_several_outputs_trains():
    net = TwoHeads()
    a, b = net(np.ones((2, 4)))
    (a.sum() + b.sum()).backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in net.parameters())


def test_evaluation_touches_no_mode():
    """Neither an error in the middle nor a thread that trains meanwhile meets another mode."""

    class Looking(Module):
        def forward(self, x):
            seen.append(self.training)
            elsewhere.append(contextvars.Context().run(lambda: self.training))
            if failing:
                raise failing[0]
            return x

    seen, elsewhere, failing, X = [], [], [], np.ones((3, 2))
    net = Sequential(Dense(2, 2), Looking(), Dropout())
    for mode in (True, False):
        net.train(mode)
        for failing[:] in ([], [KeyboardInterrupt()], [RuntimeError("in the middle")]):
            for act in (lambda: net.summary(2), lambda: tg.predict(net, X)):
                with contextlib.suppress(KeyboardInterrupt, RuntimeError):
                    act()
                assert [m.training for m in net.modules()] == [mode] * 4
                assert seen.pop() is False and elsewhere.pop() is mode


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_fit_gives_every_module_its_mode_back(error):
    class Failing(Module):
        def forward(self, x):
            assert self.training
            raise error

    net = Sequential(Dense(2, 2), Failing(), Dropout())
    net[2].eval()
    with contextlib.suppress(error):
        X = np.ones((3, 2))
        tg.fit(net, X, X, loss=tg.mse_loss, optimizer=tg.SGD(net.parameters(), lr=0.1), epochs=1)
    assert [m.training for m in net.modules()] == [True, True, True, False]


def test_a_mode_that_is_set_on_the_class_or_by_a_forward():
    class Always(Module):
        training = True

        def forward(self, x):
            return x * 2 if self.training else x

    class Never(Always):
        training = False

    X = np.ones((4, 3))
    assert Always.training is True and Never.training is False and Always().training and not Never().training
    assert np.array_equal(tg.predict(Always(), X), X) and np.array_equal(tg.predict(Never().train(), X), X)
    assert np.array_equal(Never()(X), X) and np.array_equal(Never().train()(X), 2 * X)

    class Sampling(Module):
        def __init__(self):
            self.drop = Dropout(0.5, rng=0)

        def forward(self, x):
            self.drop.train()
            return self.drop(x)

    net = Sampling().eval()
    with pytest.warns(UserWarning, match="although nothing is recorded"):
        sampled = tg.predict(net, np.ones((50, 3)))
    assert 40 < np.count_nonzero(sampled == 0) < 110
    assert not net.training and not net.drop.training


def test_modules_made_by_dataclass():
    """Their instances are equal where their fields are, so they have no hash."""

    @dataclass
    class Two(Module):
        first: Dense
        second: Dense

        def forward(self, x):
            return self.second(self.first(x))

    net = Two(Dense(2, 3, rng=0), Dense(3, 1, rng=1))
    assert [name for name, _ in net.named_parameters()] == [
        "first.weight", "first.bias", "second.weight", "second.bias"]  # fmt: skip
    assert len(list(net.modules())) == 3 and "3" in net.summary(2) and not net.eval().first.training
    assert net(np.ones((4, 2))).shape == (4, 1)
