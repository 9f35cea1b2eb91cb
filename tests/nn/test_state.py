"""What modules keep besides parameters, precision, partial loading, and the table of any model."""

from __future__ import annotations

import importlib.util
import types

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Dense, Module, Sequential, Tensor


class Centred(Module):
    """Subtracts a running mean, which is a buffer, and counts its calls."""

    def __init__(self, features=2, dtype=np.float64):
        self.layer = Dense(features, 1, rng=0, dtype=dtype)
        self.register_buffer("mean", np.zeros(features, dtype))
        self.register_buffer("calls", np.array(0))

    def forward(self, x):
        if self.training:
            self.mean.data = 0.5 * self.mean + 0.5 * np.mean(x, axis=0)
            self.calls.data = self.calls + 1
        return self.layer(x - self.mean)


# Buffers


def test_buffers_are_stored_and_not_learned(tmp_path):
    net = Centred()
    net(np.ones((3, 2)))
    assert [name for name, _ in net.named_parameters()] == ["layer.weight", "layer.bias"]
    assert net.state_dict()["mean"].tolist() == [0.5, 0.5] and net.state_dict()["calls"] == 1
    for ending in ("npz", "safetensors") if importlib.util.find_spec("safetensors") else ("npz",):
        tg.save(net, tmp_path / f"net.{ending}")
        other = Centred()
        tg.load(other, tmp_path / f"net.{ending}")
        assert other.mean.data.tolist() == [0.5, 0.5] and other.calls.item() == 1
        assert other.calls.dtype.kind == "i" and not other.mean.requires_grad
    without = {name: a for name, a in net.state_dict().items() if name != "mean"}
    with pytest.raises(ValueError, match="missing: mean"):
        net.load_state_dict(without)


def test_compiled_steps_update_buffers_as_recorded_ones_do():
    X, y = np.random.default_rng(0).normal(size=(6, 2)), np.ones((6, 1))
    states = []
    for compiled in (False, True):
        net = Centred()
        optimizer = tg.SGD(net.parameters(), lr=0.1)
        tg.fit(net, X, y, loss=tg.mse_loss, optimizer=optimizer, epochs=3, batch_size=2, rng=0, compiled=compiled)
        states.append(net.state_dict())
    for name, a in states[0].items():
        np.testing.assert_allclose(states[1][name], a, rtol=1e-12, err_msg=name)
    assert states[1]["calls"] == 9 and states[1]["mean"].any()


def test_a_buffer_is_registered_again_under_its_name_only():
    net = Centred()
    net.register_buffer("mean", Tensor([5.0, 6.0]))
    assert net.mean.data.tolist() == [5.0, 6.0] and net.mean.name is None
    for name in ("layer", "train", "forward", "training", "num_parameters"):
        with pytest.raises(ValueError, match=f"there is an attribute '{name}' already"):
            net.register_buffer(name, np.zeros(2))
    net.weight = Tensor(1.0, requires_grad=True)
    with pytest.raises(ValueError, match="there is an attribute 'weight' already, a Tensor"):
        net.register_buffer("weight", np.zeros(2))
    for name in ("", "a.b", 3):
        with pytest.raises(ValueError, match=r"Centred.register_buffer: the name must be a text without dots"):
            net.register_buffer(name, np.zeros(2))
    with pytest.raises(TypeError, match=r"'w' requires grad. Set it as an attribute to have it learned"):
        net.register_buffer("w", net.weight)
    with pytest.raises(TypeError, match="a Tensor holds real numbers"):
        net.register_buffer("w", np.array(["a"]))


@pytest.mark.parametrize("array", [np.array(["cat", "dog"]), np.array([1j]), np.array([None])])
def test_an_array_that_would_be_lost_is_refused(tmp_path, array):
    net = Sequential(Dense(2, 1), Centred())
    net[1].held = {"names": [array]}
    with pytest.raises(TypeError, match=r"net.npz: 1.held.names.0 is an array of dtype .*register_buffer\('0', array"):
        tg.save(net, tmp_path / "net.npz")
    assert not list(tmp_path.iterdir())
    net[1].held = types.SimpleNamespace(names=array, listed=array.tolist())
    tg.save(net, tmp_path / "net.npz")


# Precision


@pytest.mark.parametrize(("dtype", "method"), [(np.float32, "float"), (np.float64, "double"), (np.float16, None)])
def test_precision_is_changed_in_place(dtype, method):
    net = Centred(dtype=np.float32 if dtype == np.float64 else np.float64)
    net.scale, net.table, net.one = np.array([0.5, 1.5]), [np.arange(3), np.ones(2)], np.float64(0.25)
    before = [*net.parameters(), net.mean]
    net(np.ones((3, 2))).sum().backward()
    assert (getattr(net, method)() if method else net.astype(dtype)) is net
    assert all(a is b for a, b in zip([*net.parameters(), net.mean], before, strict=True))
    kinds = {name: a.dtype for name, a in net.state_dict().items()}
    assert kinds.pop("calls").kind == kinds.pop("table.0").kind == "i" and set(kinds.values()) == {np.dtype(dtype)}
    assert net.scale.tolist() == [0.5, 1.5] and type(net.one) is dtype and net.mean.data.tolist() == [0.5, 0.5]
    assert net.layer.bias.grad.dtype == dtype and net.layer.bias.grad.tolist() == [3.0]
    assert net.eval()(np.ones((1, 2), dtype)).dtype == dtype


def test_precision_that_is_none():
    net = Centred()
    for dtype in (int, complex, bool):
        with pytest.raises(TypeError, match=r"Centred.astype\(.*\): parameters are real floats"):
            net.astype(dtype)
    net.constants = (np.ones(2),)
    with pytest.raises(TypeError, match=r"the array .constants\.0. is in a tuple; hold it in a list"):
        net.float()
    assert net.mean.dtype == np.float64


def test_apply_calls_each_module_once_the_inner_ones_first():
    shared = Dense(2, 2)
    net = Sequential(shared, Sequential(tg.Tanh(), shared), {"not": "called"}.get)
    net.extra = {"heads": [Dense(2, 1)]}
    net.extra["again"] = net  # a circle
    called = []
    assert net.apply(called.append) is net
    assert called == [shared, net[1][0], net[1], net.extra["heads"][0], net]


# Loading a part


def test_loading_a_part_says_what_was_left(tmp_path):
    old, new = Sequential(Dense(2, 3), tg.Tanh(), Dense(3, 1)), Sequential(Dense(2, 3), tg.Tanh())
    new.scale = Tensor(2.0)
    tg.save(old, tmp_path / "net.npz")
    before = new.state_dict()
    with pytest.raises(ValueError, match=r"2.weight is not in the model"):
        tg.load(new, tmp_path / "net.npz")
    left = tg.load(new, tmp_path / "net.npz", strict=False)
    assert left == (["scale"], ["2.bias", "2.weight"]) and (left.missing, left.unknown) == tuple(left)
    assert np.array_equal(new[0].weight.data, old[0].weight.data) and new.scale.item() == 2.0
    assert not np.array_equal(before["0.weight"], new[0].weight.data)
    assert new.load_state_dict(old.state_dict() | {"scale": 1.0}, strict=False) == ([], ["2.bias", "2.weight"])
    assert tg.load(old, tmp_path / "net.npz") is None
    before = new.state_dict()
    with pytest.raises(ValueError, match=r"load_state_dict: 0.bias is \(4,\), the model wants \(3,\)$"):
        new.load_state_dict({"0.weight": np.zeros((2, 3)), "0.bias": np.zeros(4), "other": 1.0}, strict=False)
    assert all(np.array_equal(a, before[name]) for name, a in new.state_dict().items())


def test_pytorch_s_count_of_batches_is_ignored(tmp_path):
    net = Sequential(Dense(2, 1))
    state = net.state_dict() | {"num_batches_tracked": np.array(3), "1.num_batches_tracked": np.array(3)}
    assert net.load_state_dict(state) is None
    assert net.load_state_dict(state, strict=False) == ([], [])
    np.savez(tmp_path / "net.npz", **state)
    tg.load(net, tmp_path / "net.npz")
    torch_state = tg.to_torch_state_dict(net) | {"1.num_batches_tracked": np.array(3)}
    tg.from_torch_state_dict(net, torch_state)
    with pytest.raises(ValueError, match="unknown: my_num_batches_tracked"):
        net.load_state_dict(net.state_dict() | {"my_num_batches_tracked": 1})
    net[0].num_batches_tracked = np.array(0)  # of somebody who has one
    net.load_state_dict(net.state_dict() | {"0.num_batches_tracked": np.array(7)})
    assert net[0].num_batches_tracked == 7


# The table


class Table(Module):
    def __init__(self):
        self.weight = Tensor(np.ones((7, 4)), requires_grad=True)

    def forward(self, indices):
        assert np.asarray(indices).dtype.kind in "iu"
        return self.weight[indices]


class Words(Module):
    """Looks up words, and adds what is known of each text: two inputs of different kinds, layers in lists and dicts."""

    def __init__(self):
        self.table = Table()
        self.blocks = [Dense(4, 4, rng=0), Sequential(Dense(4, 4, rng=0), np.tanh)]
        self.heads = {"a": Dense(4, 1, rng=0), "b": Dense(4, 2, rng=0)}
        self.side = Dense(3, 4, rng=0)
        self.scale = Tensor(1.0, requires_grad=True)

    def forward(self, words, known, *, heads="ab"):
        x = self.table(words) * self.scale + self.side(known)[:, None]
        for block in self.blocks:
            x = block(x)
        return {name: self.heads[name](x) for name in heads}


def rows(table):
    return [" ".join(line.split()) for line in table.splitlines()]


@pytest.mark.parametrize(
    "inputs",
    [
        (np.zeros((5, 6), int), np.zeros((5, 3))),
        (Tensor(np.zeros((1, 6), np.uint8)), 3),
        (np.zeros((1, 6), np.int64), (3,)),
    ],
)
def test_the_table_of_a_model_of_several_inputs(inputs):
    shown = rows(Words().summary(*inputs))
    assert shown[2:] == [
        "Words (None, 6, 1), (None, 6, 2) 1",
        "table Table() (None, 6, 4) 28",
        "blocks.0 Dense(4 → 4) (None, 6, 4) 20",
        "blocks.1.0 Dense(4 → 4) (None, 6, 4) 20",
        "blocks.1.1 tanh (None, 6, 4) 0",
        "heads.a Dense(4 → 1) (None, 6, 1) 5",
        "heads.b Dense(4 → 2) (None, 6, 2) 10",
        "side Dense(3 → 4) (None, 4) 16",
        shown[1],
        "total 100",
    ]
    assert rows(Words().summary())[3] == "table Table() ? 28"


def test_lists_and_dicts_of_modules_show_in_repr():
    assert repr(Words()).splitlines() == [
        "Words(",
        "  (table): Table()",
        "  (blocks.0): Dense(4 → 4)",
        "  (blocks.1): Sequential(",
        "    (0): Dense(4 → 4)",
        "    (1): tanh",
        "  )",
        "  (heads.a): Dense(4 → 1)",
        "  (heads.b): Dense(4 → 2)",
        "  (side): Dense(3 → 4)",
        ")",
    ]


def test_wrong_samples_for_the_table_are_refused():
    with pytest.raises(ValueError, match=r"Dense\(2 → 1\) got an input of shape \(4, 3\)"):
        Sequential(Dense(2, 1)).summary(np.ones((4, 3)))
    with pytest.raises(TypeError, match="positional argument"):
        Words().summary(np.zeros((1, 6), int))
