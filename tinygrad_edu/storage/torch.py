"""Parameters to and from PyTorch: the same names, with the weights transposed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..nn.layers import Dense, Module


def to_torch_state_dict(model: Module) -> dict[str, NDArray[Any]]:
    """The parameters as the same layers have them in PyTorch: the weights of `Dense` transposed to (out, in), under the
    names that a `torch.nn.Sequential` of the same layers gives them ("0.weight"). All arrays are copies in C order.

    >>> net = tg.Sequential(tg.Dense(3, 2), tg.Tanh(), tg.Dense(2, 1))
    >>> {name: array.shape for name, array in tg.to_torch_state_dict(net).items()}
    {'0.weight': (2, 3), '0.bias': (2,), '2.weight': (1, 2), '2.bias': (1,)}
    """
    turned = _dense_weights(model)
    return {
        name: np.array(array.T if name in turned else array, order="C") for name, array in model.state_dict().items()
    }


def from_torch_state_dict(model: Module, state: Mapping[str, ArrayLike]) -> None:
    """Sets the parameters of `model` from those of the same layers in PyTorch: tensors, or arrays as
    `safetensors.numpy.load_file` gives them.

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
    for name, shape in _dense_weights(model).items():
        if name in arrays:
            if arrays[name].shape != shape[::-1]:
                raise ValueError(
                    f"from_torch_state_dict: {name} is {arrays[name].shape}, expected (out, in) = {shape[::-1]}, as "
                    f"PyTorch keeps it, for a Dense weight of (in, out) = {shape}"
                )
            arrays[name] = np.ascontiguousarray(arrays[name].T)
    try:
        model.load_state_dict(arrays)
    except ValueError as error:
        _, _, problems = str(error).partition(": ")
        raise ValueError(f"from_torch_state_dict: {problems}. Build both models from the same layers") from None


def _dense_weights(model: Module) -> dict[str, tuple[int, ...]]:
    """The names of the weights of `Dense` layers, with their shapes."""
    weights = {id(m.weight) for m in model.modules() if isinstance(m, Dense)}
    return {name: p.shape for name, p in model.named_tensors().items() if id(p) in weights}


def _array(name: str, value: Any) -> NDArray[Any]:
    if hasattr(value, "detach"):
        value = value.detach()  # of a tensor that requires grad
    if hasattr(value, "cpu"):
        value = value.cpu()
    if "bfloat16" in str(getattr(value, "dtype", "")):
        raise TypeError(f"from_torch_state_dict: {name} is in bfloat16, which NumPy does not have; call .float() on it")
    return np.asarray(value)
