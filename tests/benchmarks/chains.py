"""Chains of operations on single numbers, forward and backward: what recording costs where there is little to compute.

`CHAINS[name][peer](n)` computes `n` operations and their gradients, and returns the value. By hand, it is done on
NumPy's 0-d arrays or single numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_edu as tg

# "chain": multiplications and additions of tensors


def chain(n: int) -> Any:
    x = chain_without_backward(n)
    x.backward()
    return x.item()


def chain_without_backward(n: int) -> tg.Tensor:
    a, b, x = (tg.Tensor(v, requires_grad=True) for v in (1.0001, 1e-4, 1.0))
    for _ in range(n // 2):
        x = x * a
        x = x + b
    return x


def chain_by_hand(n: int) -> Any:
    """The same arithmetic on 0-d arrays: forward, and backward for x, a and b."""
    a, b, x = np.array(1.0001), np.array(1e-4), np.array(1.0)
    saved = []
    for _ in range(n // 2):
        saved.append(x)
        x = x * a
        x = x + b
    y, g, ga, gb = x, np.array(1.0), np.array(0.0), np.array(0.0)
    for x in reversed(saved):
        gb = gb + g
        ga = ga + g * x
        g = g * a
    return y


def chain_torch(n: int) -> Any:
    import torch

    a, b, x = (torch.tensor(v, requires_grad=True, dtype=torch.float64) for v in (1.0001, 1e-4, 1.0))
    for _ in range(n // 2):
        x = x * a
        x = x + b
    x.backward()
    return x.item()


# "numbers": the same with Python numbers, for which no gradient is computed


def numbers(n: int) -> Any:
    first = x = tg.Tensor(1.0, requires_grad=True)
    for _ in range(n // 2):
        x = x * 1.0001
        x = x + 1e-4
    x.backward()
    assert first.grad is not None
    return x.item()


def numbers_torch(n: int) -> Any:
    import torch

    x = torch.tensor(1.0, requires_grad=True, dtype=torch.float64)
    for _ in range(n // 2):
        x = x * 1.0001
        x = x + 1e-4
    x.backward()
    return x.item()


# "functions": exp, tanh, maximum and multiplications


def functions(n: int) -> Any:
    first = x = tg.Tensor(0.5, requires_grad=True)
    for _ in range(n // 4):
        x = np.exp(x)
        x = np.tanh(x)
        x = np.maximum(x, 0.1)
        x = x * 0.9
    x.backward()
    assert first.grad is not None
    return x.item()


def functions_by_hand(n: int) -> Any:
    x, saved = np.float64(0.5), []
    for _ in range(n // 4):
        e = np.exp(x)
        h = np.tanh(e)
        x = np.maximum(h, 0.1) * 0.9
        saved.append((e, h))
    g = np.float64(1.0)
    for e, h in reversed(saved):
        g = g * 0.9 * (h > 0.1) * (1 - h * h) * e
    return x


def functions_torch(n: int) -> Any:
    import torch

    x = torch.tensor(0.5, requires_grad=True, dtype=torch.float64)
    least = torch.tensor(0.1, dtype=torch.float64)
    y = x
    for _ in range(n // 4):
        y = torch.exp(y)
        y = torch.tanh(y)
        y = torch.maximum(y, least)
        y = y * 0.9
    y.backward()
    return y.item()


Chain = dict[str, Callable[[int], Any]]
CHAINS: dict[str, Chain] = {
    "chain": {"NumPy by hand": chain_by_hand, "recorded": chain, "PyTorch eager": chain_torch},
    "numbers": {"NumPy by hand": chain_by_hand, "recorded": numbers, "PyTorch eager": numbers_torch},
    "functions": {"NumPy by hand": functions_by_hand, "recorded": functions, "PyTorch eager": functions_torch},
}
