"""Parameters to and from PyTorch: the same outputs there as here."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg

X = np.random.default_rng(0).normal(size=(7, 5))


class Twins(tg.Module):
    """Attributes and a list of layers, as a PyTorch module of the same names would have them."""

    def __init__(self):
        self.first = tg.Dense(5, 5, rng=1)
        self.rest = tg.Sequential(tg.ReLU(), tg.Sequential(tg.Dense(5, 5, bias=False, rng=2), np.tanh))
        self.scale = tg.Tensor(np.arange(25.0).reshape(5, 5), requires_grad=True)

    def forward(self, x):
        return self.rest(self.first(x)) @ self.scale


def network():
    """One layer of every kind, square weights among them, which no shape would give away."""
    layers = [tg.Dense(5, 5, rng=1), tg.Sigmoid(), tg.Dense(5, 4, bias=False, rng=2), tg.Tanh(), tg.Dropout(0.3)]
    layers += [tg.Identity(), tg.Dense(4, 4, rng=3), tg.ReLU(), tg.Flatten(), tg.Dense(4, 3, rng=4), tg.LeakyReLU(0.2)]
    net = tg.Sequential(*layers, tg.Softmax())
    for p in net.parameters():
        p.data = p.data + 0.1  # biases that are not 0
    return net.eval()


def torch_network(nn):
    layers = [nn.Linear(5, 5), nn.Sigmoid(), nn.Linear(5, 4, bias=False), nn.Tanh(), nn.Dropout(0.3), nn.Identity()]
    layers += [nn.Linear(4, 4), nn.ReLU(), nn.Flatten(), nn.Linear(4, 3), nn.LeakyReLU(0.2), nn.Softmax(-1)]
    return nn.Sequential(*layers).double().eval()


@pytest.fixture
def torch():
    pytest.importorskip("safetensors", reason="needs the extra examples")
    return pytest.importorskip("torch", reason="PyTorch is not installed")


def test_a_file_of_ours_in_pytorch(torch, tmp_path):
    import safetensors.numpy
    import safetensors.torch

    net, other = network(), torch_network(torch.nn)
    safetensors.numpy.save_file(tg.to_torch_state_dict(net), tmp_path / "net.safetensors")
    other.load_state_dict(safetensors.torch.load_file(tmp_path / "net.safetensors"))
    with torch.no_grad():
        np.testing.assert_allclose(other(torch.from_numpy(X)).numpy(), tg.predict(net, X), rtol=1e-13)


def test_a_file_of_pytorchs_here(torch, tmp_path):
    import safetensors.numpy
    import safetensors.torch

    net, other = network(), torch_network(torch.nn)
    safetensors.torch.save_file(other.state_dict(), tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match=r"not written by `save`.*from_torch_state_dict"):
        tg.load(net, tmp_path / "net.safetensors")
    tg.from_torch_state_dict(net, safetensors.numpy.load_file(tmp_path / "net.safetensors"))
    with torch.no_grad():
        np.testing.assert_allclose(other(torch.from_numpy(X)).numpy(), tg.predict(net, X), rtol=1e-13)


def test_tensors_of_pytorch(torch):
    other = torch.nn.Linear(5, 5)
    net = tg.Dense(5, 5)
    parameters = dict(other.named_parameters())  # these require grad
    tg.from_torch_state_dict(net, parameters)
    np.testing.assert_allclose(net(X).numpy(), other.double()(torch.from_numpy(X)).detach().numpy(), rtol=1e-13)
    with pytest.raises(TypeError, match=r"weight is in bfloat16.*\.float\(\)"):
        tg.from_torch_state_dict(net, other.bfloat16().state_dict())


@pytest.mark.parametrize("build", [network, Twins])
def test_there_and_back(build):
    net, other = build(), build()
    state = tg.to_torch_state_dict(net)
    for name, array in state.items():
        assert array.flags.c_contiguous and array.flags.writeable
        assert not any(np.shares_memory(array, p.data) for p in net.parameters()), name
    for p in other.parameters():
        p.data = p.data * 0
    tg.from_torch_state_dict(other, state)
    for p, q in zip(net.parameters(), other.parameters(), strict=True):
        assert np.array_equal(p.data, q.data) and q.data.flags.c_contiguous


def test_only_weights_of_dense_layers_are_turned():
    net = Twins()
    state = tg.to_torch_state_dict(net)
    assert list(state) == ["first.weight", "first.bias", "rest.1.0.weight", "scale"]
    assert np.array_equal(state["first.weight"], net.first.weight.data.T)
    assert np.array_equal(state["rest.1.0.weight"], net.rest[1][0].weight.data.T)
    assert np.array_equal(state["scale"], net.scale.data)


def test_what_does_not_fit():
    net = tg.Sequential(tg.Dense(3, 2, rng=0), tg.ReLU())
    before = net.state_dict()
    good = tg.to_torch_state_dict(net)
    for state, said in [
        (net.state_dict(), r"0\.weight is \(3, 2\), expected \(out, in\) = \(2, 3\).*\(in, out\) = \(3, 2\)"),
        ({"0.weight": good["0.weight"]}, r"from_torch_state_dict.*missing: 0\.bias.*the same layers"),
        (good | {"2.weight": np.zeros(2)}, r"from_torch_state_dict.*unknown: 2\.weight"),
        (good | {"0.bias": np.zeros(3)}, r"0\.bias is \(3,\), the model wants \(2,\)"),
        (good | {"0.bias": np.array(["a", "b"])}, r"0\.bias has dtype <U1, the model wants real numbers"),
    ]:
        with pytest.raises(ValueError, match=said):
            tg.from_torch_state_dict(net, state)
        assert all(np.array_equal(before[name], array) for name, array in net.state_dict().items())


def test_a_module_instead_of_its_state():
    with pytest.raises(TypeError, match=r"expected a dict, got Dense; pass its .state_dict\(\)"):
        tg.from_torch_state_dict(tg.Dense(2, 1), tg.Dense(2, 1))


class Reader(tg.Module):
    def __init__(self):
        self.lstm, self.grus = tg.LSTM(4, 4, rng=0), [tg.GRU(4, 4, rng=1)]
        self.attention, self.head = tg.MultiHeadAttention(4, 2, rng=2), tg.Dense(4, 4, rng=3)


def test_layers_that_pytorch_names_otherwise():
    net, other = Reader(), Reader()
    state, own = tg.to_torch_state_dict(net), net.state_dict()
    recurrent = [f"{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    assert list(state) == [
        *(f"lstm.{name}" for name in recurrent), *(f"grus.0.{name}" for name in recurrent),
        "attention.in_proj_weight", "attention.in_proj_bias", "attention.out_proj.weight", "attention.out_proj.bias",
        "head.weight", "head.bias",
    ]  # fmt: skip
    for (name, array), (own_name, own_array) in zip(state.items(), own.items(), strict=True):
        assert own_name == name.removesuffix("_l0") and np.array_equal(array, own_array.T)
    for p in other.parameters():
        p.data = p.data * 0
    tg.from_torch_state_dict(other, state)
    assert all(np.array_equal(own[name], array) for name, array in other.state_dict().items())
    with pytest.raises(
        ValueError, match=r"grus\.0\.bias_hh.*lstm\.weight_ih: this is what it is called here; expected"
    ):
        tg.from_torch_state_dict(net, own)
    with pytest.raises(
        ValueError, match=r"lstm\.weight_hh_l0 is \(4, 16\), expected \(out, in\) = \(16, 4\).*of LSTM, here"
    ):
        tg.from_torch_state_dict(net, state | {"lstm.weight_hh_l0": own["lstm.weight_hh"]})
    assert all(np.array_equal(own[name], array) for name, array in net.state_dict().items())


def test_a_tensor_that_pytorch_has_turned_in_one_of_two_layers():
    net = tg.Sequential(tg.Embedding(2, 2), tg.Dense(2, 2, bias=False))
    net[1].weight = net[0].weight
    with pytest.raises(ValueError, match=r"0\.weight is shared by layers of which PyTorch has it turned in some only"):
        tg.to_torch_state_dict(net)
    tied = tg.Sequential(tg.Dense(2, 2, bias=False), tg.Dense(2, 2, bias=False))
    tied[1].weight = tied[0].weight
    assert tg.to_torch_state_dict(tied)["0.weight"].tolist() == tied[0].weight.data.T.tolist()
