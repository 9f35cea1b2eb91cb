"""Faults that the field met, by kind: each with its right behaviour, and a neighbour of it."""

from __future__ import annotations

import operator

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor
from tinygrad_edu import functional as F

IN_PLACE = [
    operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ifloordiv, operator.imod, operator.ipow,
    operator.imatmul,
]  # fmt: skip


@pytest.mark.parametrize("operate", IN_PLACE)
def test_no_augmented_assignment_rebinds_a_parameter_silently(operate):
    other = np.full((2, 2), 2.0)
    w = Tensor(np.ones((2, 2)), requires_grad=True)
    with tg.no_grad(), pytest.raises(TypeError, match="would not change the parameter"):
        operate(w, other)
    result = operate(w, other)  # recorded, it is a new tensor as any other
    assert result is not w and result.requires_grad and w.tolist() == [[1, 1], [1, 1]]
    np.testing.assert_array_equal(result.data, operate(np.ones((2, 2)), other))


def test_masked_arrays_do_not_help_themselves():
    x = Tensor([3.0, 1.0, 2.0], requires_grad=True)
    for function in (np.ma.getdata, np.ma.median, np.ma.masked_array, np.ma.asarray):
        with pytest.raises(TypeError, match="would drop its gradient"):
            function(x)
        assert np.all(np.isfinite(function(x.detach())))


def test_a_module_that_knows_its_parent():
    class Child(tg.Module):
        def __init__(self, parent):
            self.parent = parent
            self.layer = tg.Dense(2, 2, rng=0)

    class Parent(tg.Module):
        def __init__(self):
            self.child = Child(self)

    net = Parent()
    assert repr(net).count("Dense(2 → 2)") == 1 and "(parent): ..." in repr(net)
    assert "total" in net.summary() and net.num_parameters == 6


def test_advice_on_padding():
    with pytest.raises(ValueError, match=r"labels contain -100, .* leave those rows out: keep = labels != -100"):
        F.cross_entropy(np.zeros((3, 4)), [0, -100, 1])


def test_lists_are_taken_by_all_activations():
    new = F.silu, F.elu, F.gelu, F.hardtanh, F.softsign
    for function in (F.relu, F.leaky_relu, F.sigmoid, F.softplus, F.log_sigmoid, F.softmax, F.log_softmax, *new):
        assert np.array_equal(function([-1.0, 2.0]), function(np.array([-1.0, 2.0])))


def test_none_in_the_place_of_a_parameter():
    found = tg.grad(lambda p: np.sum(p["weight"] ** 2))({"weight": np.array([1.0, 2.0]), "bias": None})
    assert found["weight"].tolist() == [2, 4] and found["bias"] is None


@pytest.mark.parametrize("suffix", [".NPZ", ".Npz", ".SAFETENSORS"])
def test_endings_in_capitals(suffix, tmp_path):
    if suffix == ".SAFETENSORS":
        pytest.importorskip("safetensors", reason="needs the extra examples")
    net, other = tg.Dense(2, 3, rng=0), tg.Dense(2, 3, rng=1)
    tg.save(net, tmp_path / f"net{suffix}")
    tg.load(other, tmp_path / f"net{suffix}")
    assert np.array_equal(net.weight.data, other.weight.data)


@pytest.mark.parametrize("name", ["a\0b", "__metadata__", "n" * 70_000])
def test_names_that_could_not_be_read_again_are_refused_when_saving(name, tmp_path):
    class Odd(tg.Module):
        def __init__(self):
            self.parts = {name: Tensor([1.0], requires_grad=True)}

        def _members(self):
            return list(self.parts.items())

    with pytest.raises(ValueError, match="could not be read again; give it a shorter, plain name"):
        tg.save(Odd(), tmp_path / "odd.npz")
    assert not list(tmp_path.iterdir())


def test_a_finite_loss_with_a_gradient_that_is_not():
    X = np.zeros((4, 1))
    loss = lambda p, t: np.sqrt(tg.mse_loss(p, t))
    said = r"(weight|bias) became NaN or infinite, though the loss was finite"
    for compiled in (False, True):
        for epochs in (1, 3):
            net = tg.Dense(1, 1, init="zeros")
            optimizer = tg.SGD(net.parameters(), lr=0.1)
            with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match=said):
                tg.fit(net, X, X, loss=loss, compiled=compiled, epochs=epochs, optimizer=optimizer)
