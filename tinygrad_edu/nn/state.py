"""What is stored of a model: its parameters, its buffers, and the arrays of numbers that its modules keep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..autograd.conversion import values_of
from ..autograd.inplace import mark_changed
from ..autograd.tensor import Tensor

KEPT = "what forward() keeps in an attribute is stored: make it in __init__, or hold it in a types.SimpleNamespace"
IGNORED = "num_batches_tracked"  # PyTorch's count in a BatchNorm, which nothing here reads


class NotLoaded(NamedTuple):
    """What loading with `strict=False` left as it was: names of the model that were `missing`, and names that are
    `unknown` to it."""

    missing: list[str]
    unknown: list[str]


class Kept(NamedTuple):
    """A tensor or an array of a module's state, and where it is held."""

    value: Any
    places: list[tuple[Any, Any]]  # in which module, list, tuple or dict, and under which key

    def set(self, array: NDArray[Any]) -> None:
        if isinstance(self.value, Tensor):
            self.value.data = array
            return
        for owner, key in self.places:
            new = array if isinstance(self.value, np.ndarray) else array[()]
            if isinstance(owner, list | dict):
                owner[key] = new
            elif not isinstance(owner, tuple) and key in vars(owner):
                setattr(owner, key, new)
            else:  # of a tuple
                np.copyto(self.value, array)
                mark_changed(self.value)

    @property
    def is_fixed(self) -> bool:
        """Whether it cannot be replaced by an array of another dtype."""
        return not isinstance(self.value, Tensor) and any(isinstance(owner, tuple) for owner, _ in self.places)

    def convert(self, dtype: np.dtype[Any]) -> None:
        """Gives real numbers, and the gradient, another precision."""
        if self.value.dtype.kind != "f":
            return
        grad = self.value._grad if isinstance(self.value, Tensor) else None
        self.set(np.array(values_of(self.value), dtype))
        if grad is not None:
            self.value.grad = grad


def is_number(value: Any) -> bool:
    """Whether it is an array of real numbers, or such a number of NumPy's."""
    return isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "fiub"


def refuse_lost(items: Iterable[tuple[str, Any, Any, Any]]) -> None:
    """Refuses arrays that would not be stored."""
    for name, value, _, _ in items:
        if isinstance(value, np.ndarray) and not is_number(value):
            raise TypeError(
                f"{name} is an array of dtype {value.dtype}, of which nothing would be stored: only real numbers are. "
                f"Numbers that change are registered, self.register_buffer({name.rpartition('.')[2]!r}, array); what "
                "__init__ makes anew is held in a list, array.tolist(), or in a types.SimpleNamespace"
            )


def fitted(
    own: Mapping[str, Any], given: Mapping[str, NDArray[Any]], strict: bool
) -> tuple[dict[str, NDArray[Any]], NotLoaded]:
    """Copies of the given arrays in the dtypes of what the model has under their names, and the names that are not in
    both. Raises `ValueError` if there are such names and `strict`, and for an array that does not fit."""
    arrays = {name: a for name, a in given.items() if name in own or name.rpartition(".")[2] != IGNORED}
    left = NotLoaded(sorted(own.keys() - arrays.keys()), sorted(arrays.keys() - own.keys()))
    problems = [f"missing: {', '.join(left.missing)}"] if left.missing and strict else []
    problems += [f"unknown: {', '.join(left.unknown)}"] if left.unknown and strict else []
    fitting: dict[str, NDArray[Any]] = {}
    for name in own.keys() & arrays.keys():
        p = own[name]
        if arrays[name].shape != p.shape:
            problems.append(f"{name} is {arrays[name].shape}, the model wants {p.shape}")
        elif arrays[name].dtype.kind not in ("fiub" if p.dtype.kind == "b" else "fiu"):
            problems.append(f"{name} has dtype {arrays[name].dtype}, the model wants real numbers")
        elif not np.can_cast(arrays[name].dtype, p.dtype, "same_kind" if p.dtype.kind == "f" else "safe"):
            problems.append(f"{name} has dtype {arrays[name].dtype}, which {p.dtype} cannot hold")
        else:
            try:
                with np.errstate(over="raise"):
                    fitting[name] = arrays[name].astype(p.dtype)  # a copy: the caller keeps theirs
            except FloatingPointError:
                problems.append(f"{name} has numbers that are too large for {p.dtype}")
    if problems:
        advice = [KEPT] if left.unknown and not left.missing and strict else []
        raise ValueError(f"load_state_dict: {'; '.join(sorted(problems) + advice)}")
    return fitting, left
