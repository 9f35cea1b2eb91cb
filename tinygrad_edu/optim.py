"""Optimisers: what to do with the gradients that `backward()` left in the parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .tensor import Tensor

Group = dict[str, Any]


class Optimizer:
    """Parameters in groups, each with its own settings, as in PyTorch.

    `params` is the parameters, or groups: `[{"params": weights, "weight_decay": 1e-4}, {"params": biases}]`, where
    what a group does not say is taken from the optimiser's own arguments.
    """

    def __init__(self, params: Iterable[Tensor] | Iterable[Group], defaults: Group) -> None:
        given = list(params)
        if not given:
            raise ValueError(f"{type(self).__name__} got no parameters; pass model.parameters()")
        groups = given if isinstance(given[0], dict) else [{"params": given}]
        self.groups: list[Group] = []
        seen: set[int] = set()
        for group in groups:
            if not isinstance(group, dict) or "params" not in group:
                raise TypeError('parameter groups are dicts such as {"params": [...], "lr": 0.1}')
            unknown = group.keys() - defaults.keys() - {"params"}
            if unknown:
                raise ValueError(f"{type(self).__name__}: unknown settings {sorted(unknown)}")
            parameters = [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
            for p in parameters:
                if not isinstance(p, Tensor) or not p.requires_grad or not p.is_leaf:
                    raise TypeError(f"{type(self).__name__}: parameters are leaf tensors that require grad, not {p!r}")
                if id(p) in seen:
                    raise ValueError(f"{type(self).__name__}: a parameter of shape {p.shape} was given twice")
                seen.add(id(p))
            self.groups.append(defaults | group | {"params": parameters})
        for group in self.groups:
            self._check(group)
        self._state: dict[Tensor, dict[str, Any]] = {}

    def _check(self, group: Group) -> None:
        """Refuses settings that cannot be meant, and makes Python floats of numbers."""
        for name in ("lr", "momentum", "weight_decay"):
            value = group.get(name, 0)
            if not isinstance(value, int | float | np.number) or not 0 <= float(value) < np.inf:
                raise ValueError(f"{type(self).__name__}: {name} must be a finite number of at least 0, not {value!r}")
            if name in group:
                group[name] = float(value)  # a NumPy scalar would turn float32 parameters into float64

    @property
    def lr(self) -> float:
        """The learning rate of the first group; setting it sets that of all groups."""
        return self.groups[0]["lr"]  # type: ignore[no-any-return]

    @lr.setter
    def lr(self, value: float) -> None:
        changed = [group | {"lr": value} for group in self.groups]
        for group in changed:
            self._check(group)
        for group, new in zip(self.groups, changed, strict=True):
            group["lr"] = new["lr"]

    def zero_grad(self) -> None:
        for group in self.groups:
            for p in group["params"]:
                p.zero_grad()

    def step(self) -> None:
        """Updates every parameter that has a gradient. Raises `RuntimeError` if none has."""
        with_gradient = [(p, group) for group in self.groups for p in group["params"] if p.grad is not None]
        if not with_gradient:
            raise RuntimeError(f"{type(self).__name__}.step(): no parameter has a gradient; call loss.backward() first")
        for p, group in with_gradient:
            # A new array is bound, so that the gradients of an older graph stay right.
            p.data = self._updated(p._data, p.grad, group, self._state.setdefault(p, {}))

    def _updated(self, p: Any, g: Any, group: Group, state: dict[str, Any]) -> Any:
        raise NotImplementedError


class SGD(Optimizer):
    """Gradient descent: p ← p − lr · d, where d is g + weight_decay · p, with momentum v ← momentum · v + d in its
    place, and d + momentum · v (after that update of v) with Nesterov's.

    Weight decay applies to all parameters of a group, biases too: put those in a group without. (Sutskever et al.,
    "On the importance of initialization and momentum in deep learning", 2013, in PyTorch's formulation.)
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Group],
        lr: float,
        momentum: float = 0,
        nesterov: bool = False,
        weight_decay: float = 0,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay})

    def _check(self, group: Group) -> None:
        super()._check(group)
        if group["nesterov"] and not group["momentum"]:
            raise ValueError("SGD: nesterov=True needs a momentum above 0")

    def _updated(self, p: Any, g: Any, group: Group, state: dict[str, Any]) -> Any:
        momentum = group["momentum"]
        if group["weight_decay"]:
            g = g + group["weight_decay"] * p
        if momentum:
            state["velocity"] = velocity = momentum * state["velocity"] + g if state else g.copy()
            g = g + momentum * velocity if group["nesterov"] else velocity
        return p - group["lr"] * g
