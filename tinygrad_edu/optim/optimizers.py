"""Optimisers: what to do with the gradients that `backward()` left in the parameters. Sorted from simple to less
simple: gradient descent and its adaptive relatives. What they have in common is in `base.py`."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ..autograd.tensor import Tensor
from .base import Array, Group, Optimizer, State


class SGD(Optimizer):
    """Gradient descent: p ← p − lr · d, where d is g + weight_decay · p, with momentum v ← momentum · v + d in its
    place, and d + momentum · v (after that update of v) with Nesterov's.

    `params` and what it raises are as in `Optimizer`; `nesterov=True` needs a momentum. Weight decay applies to all
    parameters of a group, biases too: put those in a group without. (Sutskever et al.,
    "On the importance of initialization and momentum in deep learning", 2013, in PyTorch's formulation.)

    >>> w = tg.Tensor([4.0], requires_grad=True)
    >>> optimizer = tg.SGD([w], lr=0.25)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data
    array([2.])
    """

    _bounds = Optimizer._bounds | {"momentum": (0, math.inf)}

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

    def _update(self, p: Array, g: Array, out: Array, spare: Array, group: Group, state: State) -> None:
        momentum = group["momentum"]
        if momentum:
            if not state:
                state["velocity"] = np.zeros_like(p)
            velocity = state["velocity"]
            velocity *= momentum
            velocity += g
            if group["nesterov"]:
                np.multiply(velocity, momentum, out=spare)
                spare += g
                g = spare
            else:
                g = velocity
        np.multiply(g, group["lr"], out=spare)
        np.subtract(p, spare, out=out)

    def _reads_twice(self, group: Group) -> bool:
        return bool(group["nesterov"]) or type(self)._update is not SGD._update  # a subclass may read it again

    def _entries(self, group: Group) -> set[str]:
        return {"velocity"} if group["momentum"] else set()

    def _possible_entries(self, group: Group) -> set[str]:
        return {"velocity"}


class Adagrad(Optimizer):
    """p ← p − lr · g / (√v + eps), where v ← v + g²: the more a number has been changed, the smaller its steps (Duchi,
    Hazan and Singer, "Adaptive subgradient methods", JMLR 12, 2011). `weight_decay` · p is added to g. `params` and
    what it raises are as in `Optimizer`.

    >>> w = tg.Tensor([4.0], requires_grad=True)
    >>> optimizer = tg.Adagrad([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data.round(6)
    array([3.5])
    """

    _bounds = Optimizer._bounds | {"eps": (0, math.inf)}

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Group],
        lr: float = 0.01,
        eps: float = 1e-10,
        weight_decay: float = 0,
    ) -> None:
        super().__init__(params, {"lr": lr, "eps": eps, "weight_decay": weight_decay})

    def _update(self, p: Array, g: Array, out: Array, spare: Array, group: Group, state: State) -> None:
        if not state:
            state["square"] = np.zeros_like(p)
        state["square"] += np.square(g, out=spare)
        _step_per_root(p, g, state["square"], out, spare, group)

    def _entries(self, group: Group) -> set[str]:
        return {"square"}


class RMSprop(Optimizer):
    """p ← p − lr · g / (√v + eps), where v ← alpha · v + (1 − alpha) g² (Hinton, "Neural networks for machine
    learning", lecture 6e, 2012, in PyTorch's formulation). `weight_decay` · p is added to g. `params` and what it
    raises are as in `Optimizer`.

    >>> w = tg.Tensor([4.0], requires_grad=True)
    >>> optimizer = tg.RMSprop([w], lr=0.1, alpha=0.75)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data.round(6)
    array([3.8])
    """

    _bounds = Optimizer._bounds | {"alpha": (0, 1), "eps": (0, math.inf)}

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Group],
        lr: float = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
    ) -> None:
        super().__init__(params, {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay})

    def _update(self, p: Array, g: Array, out: Array, spare: Array, group: Group, state: State) -> None:
        if not state:
            state["square"] = np.zeros_like(p)
        _average(state["square"], group["alpha"], np.square(g, out=spare))
        _step_per_root(p, g, state["square"], out, spare, group)

    def _entries(self, group: Group) -> set[str]:
        return {"square"}


class Adam(Optimizer):
    """p ← p − lr · m̂ / (√v̂ + eps), where m ← beta1 · m + (1 − beta1) g, v ← beta2 · v + (1 − beta2) g², and m̂ = m /
    (1 − beta1ᵗ), v̂ = v / (1 − beta2ᵗ) in step t (Kingma and Ba, "Adam: a method for stochastic optimization", 2015).
    `weight_decay` · p is added to g. `betas` are (beta1, beta2), each at least 0 and below 1; `params` and what it
    raises are as in `Optimizer`.

    >>> w = tg.Tensor([4.0], requires_grad=True)
    >>> optimizer = tg.Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data.round(6)
    array([3.9])
    """

    _bounds = Optimizer._bounds | {"betas": (0, 1), "eps": (0, math.inf)}

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Group],
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def _update(self, p: Array, g: Array, out: Array, spare: Array, group: Group, state: State) -> None:
        if not state:
            state |= {"mean": np.zeros_like(p), "square": np.zeros_like(p), "steps": 0}
        state["steps"] += 1
        (beta1, beta2), t = group["betas"], state["steps"]
        _average(state["square"], beta2, np.square(g, out=spare))
        np.multiply(g, 1 - beta1, out=spare)
        state["mean"] *= beta1
        state["mean"] += spare
        np.multiply(state["square"], 1 / (1 - beta2**t), out=spare)
        np.sqrt(spare, out=spare)
        spare += group["eps"]
        np.divide(state["mean"], spare, out=spare)
        spare *= group["lr"] / (1 - beta1**t)
        np.subtract(p, spare, out=out)

    def _entries(self, group: Group) -> set[str]:
        return {"mean", "square", "steps"}


class AdamW(Adam):
    """Adam whose weight decay is a step of its own, p ← p − lr · weight_decay · p before Adam's, so that it does not
    pass through the averages m and v (Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019).
    `params`, `betas`, `eps` and what it raises are as in `Adam`.

    >>> w = tg.Tensor([4.0], requires_grad=True)
    >>> optimizer = tg.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data.round(6)
    array([3.7])
    """

    _decay_in_gradient = False

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Group],
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)

    def _update(self, p: Array, g: Array, out: Array, spare: Array, group: Group, state: State) -> None:
        np.multiply(p, 1 - group["lr"] * group["weight_decay"], out=out)
        super()._update(out, g, out, spare, group, state)


def _average(held: Array, keep: float, new: Array) -> None:
    """held ← keep · held + (1 − keep) · new, in place (of `new` too)."""
    held *= keep
    new *= 1 - keep
    held += new


def _step_per_root(p: Array, g: Array, square: Array, out: Array, spare: Array, group: Group) -> None:
    """out ← p − lr · g / (√square + eps)."""
    np.sqrt(square, out=spare)
    spare += group["eps"]
    np.divide(g, spare, out=spare)
    spare *= group["lr"]
    np.subtract(p, spare, out=out)
