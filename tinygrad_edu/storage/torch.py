"""Parameters to and from PyTorch: nearly the same names, with the weights transposed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..nn.attention import MultiHeadAttention
from ..nn.layers import Dense
from ..nn.module import Module
from ..nn.recurrent import GRU, LSTM, RNN

_RECURRENT = {
    "weight_ih": ("weight_ih_l0", True),
    "weight_hh": ("weight_hh_l0", True),
    "bias_ih": ("bias_ih_l0", False),
    "bias_hh": ("bias_hh_l0", False),
}
# What layers have that is different in PyTorch: its name there, and whether it is transposed.
DIFFERENT: dict[type[Module], dict[str, tuple[str, bool]]] = {
    Dense: {"weight": ("weight", True)},
    MultiHeadAttention: {"in_proj_weight": ("in_proj_weight", True)},
    RNN: _RECURRENT,
    GRU: _RECURRENT,
    LSTM: _RECURRENT,
}


class _Twin(NamedTuple):
    """How PyTorch has a tensor or an array of a model."""

    name: str
    is_turned: bool
    layer: str  # the kind of layer that it belongs to


def _twins(model: Module) -> dict[str, _Twin]:
    """The names of all that makes up a model's state, with what PyTorch has."""
    twins: dict[str, _Twin] = {}
    for name, kept in model._state().items():
        twins[name] = _Twin(name, False, "")
        for owner, key in kept.places:
            kinds = [kind for kind in DIFFERENT if isinstance(owner, kind) and key in DIFFERENT[kind]]
            if kinds:
                theirs, is_turned = DIFFERENT[kinds[0]][key]
                if is_turned and len(kept.places) > sum(_is_turned(*place) for place in kept.places):
                    raise ValueError(
                        f"to and from PyTorch: {name} is shared by layers of which PyTorch has it turned in some only; "
                        "give each layer a tensor of its own"
                    )
                own = name.removesuffix(key) + theirs if f".{name}".endswith(f".{key}") else name
                twins[name] = _Twin(own, is_turned, kinds[0].__name__)
    return twins


def _is_turned(owner: Any, key: Any) -> bool:
    return any(isinstance(owner, kind) and key in DIFFERENT[kind] and DIFFERENT[kind][key][1] for kind in DIFFERENT)


def to_torch_state_dict(model: Module) -> dict[str, NDArray[Any]]:
    """The parameters of `model` as the same layers have them in PyTorch: weights transposed to (out, in), under the
    names that a `torch.nn.Sequential` of the same layers gives them ("0.weight"; those of a recurrent layer end in
    "_l0"). All arrays are copies in C order.

    Its recurrent layers and its `MultiheadAttention` take samples first, as here, with `batch_first=True`.

    >>> net = tg.Sequential(tg.Dense(3, 2), tg.Tanh(), tg.Dense(2, 1))
    >>> {name: array.shape for name, array in tg.to_torch_state_dict(net).items()}
    {'0.weight': (2, 3), '0.bias': (2,), '2.weight': (1, 2), '2.bias': (1,)}
    >>> list(tg.to_torch_state_dict(tg.GRU(3, 2)))
    ['weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0', 'bias_hh_l0']
    """
    twins = _twins(model)
    return {
        twins[name].name: np.array(array.T if twins[name].is_turned else array, order="C")
        for name, array in model.state_dict().items()
    }


def from_torch_state_dict(model: Module, state: Mapping[str, ArrayLike]) -> None:
    """Sets the parameters of `model` from those of the same layers in PyTorch, by name: `state` is `net.state_dict()`,
    tensors, or arrays as `safetensors.numpy.load_file` gives them.

    Raises `ValueError`, with the model left as it was, for names or shapes that are not the model's, and `TypeError`
    for numbers that NumPy does not have (bfloat16).

    >>> net = tg.Dense(3, 1)
    >>> tg.from_torch_state_dict(net, {"weight": np.array([[1.0, 2.0, 3.0]]), "bias": np.zeros(1)})
    >>> net.weight.shape
    (3, 1)
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"from_torch_state_dict: expected a dict, got {type(state).__name__}; pass its .state_dict()")
    arrays = {name: _array(name, value) for name, value in state.items()}
    own = {name: kept.value for name, kept in model._state().items()}
    twins = _twins(model)
    names = {twin.name: name for name, twin in twins.items()}
    renamed = sorted(arrays.keys() & own.keys() - names.keys())
    if renamed:
        raise ValueError(
            f"from_torch_state_dict: {', '.join(renamed)}: this is what it is called here; expected PyTorch's names, "
            f"{', '.join(twins[name].name for name in renamed)}. load_state_dict takes a state_dict of this package"
        )
    for name, twin in twins.items():
        if twin.is_turned and twin.name in arrays:
            array, shape = arrays[twin.name], own[name].shape
            if array.shape != shape[::-1]:
                raise ValueError(
                    f"from_torch_state_dict: {twin.name} is {array.shape}, expected (out, in) = {shape[::-1]}, as "
                    f"PyTorch keeps it, for the weight of {twin.layer}, here (in, out) = {shape}"
                )
            arrays[twin.name] = np.ascontiguousarray(array.T)
    try:
        model.load_state_dict({names.get(name, name): array for name, array in arrays.items()})
    except ValueError as error:
        _, _, problems = str(error).partition(": ")
        raise ValueError(f"from_torch_state_dict: {problems}. Build both models from the same layers") from None


def _array(name: str, value: Any) -> NDArray[Any]:
    if hasattr(value, "detach"):
        value = value.detach()  # of a tensor that requires grad
    if hasattr(value, "cpu"):
        value = value.cpu()
    if "bfloat16" in str(getattr(value, "dtype", "")):
        raise TypeError(f"from_torch_state_dict: {name} is in bfloat16, which NumPy does not have; call .float() on it")
    return np.asarray(value)
