"""Training steps of layers that are more than products, with one thread: an LSTM that gives each sequence a class, a
block of a transformer, LeNet on images of 28 × 28, and the network of the makemore lectures, with batch norm.

The LSTM is also written by hand (`lstm_by_hand.py`), which shows what is left to gain: in float32 that takes 1.05 of
PyTorch's time, and the compiled step 1.11. More than half of it are matrix products (35 times two of 32 × 64 × 256, and
those of the whole sequence), at the processor's speed for large ones. A call of NumPy on the numbers of one gate in one
step takes half a microsecond, nearly all of it before the first number is touched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tests.benchmarks.lstm_by_hand import lstm_by_hand
from tests.benchmarks.workloads import Step


@dataclass(frozen=True)
class Sequences:
    """A batch of sequences, as many as `rows`, of `steps` vectors of `width` numbers; the LSTM has `units`. LeNet sees
    images, and the network of makemore `steps` letters."""

    network: str  # "lstm", "block", "lenet" or "makemore"
    rows: int
    steps: int = 0
    width: int = 0
    units: int = 0
    dtype: str = "float32"
    heads: int = 4
    lr: float = 0.1

    def data(self) -> tuple[Any, Any]:
        rng = np.random.default_rng(0)
        if self.network == "makemore":
            return rng.integers(0, 27, (self.rows, self.steps)), rng.integers(0, 27, self.rows)
        if self.network == "lenet":
            return rng.random((self.rows, 1, 28, 28), self.dtype), rng.integers(0, 10, self.rows)
        X = rng.normal(size=(self.rows, self.steps, self.width)).astype(self.dtype)
        return X, rng.integers(0, 10, self.rows)


SEQUENCES = {
    "lstm": Sequences("lstm", 32, 35, 32, 64),
    "lstm, float64": Sequences("lstm", 32, 35, 32, 64, "float64"),
    "block": Sequences("block", 16, 32, 32, 128),
    "block, float64": Sequences("block", 16, 32, 32, 128, "float64"),
    "lenet": Sequences("lenet", 50, lr=0.01),
    "makemore": Sequences("makemore", 32, 3, 10, 200),
}


class LastState(tg.Module):
    def __init__(self, w: Sequences) -> None:
        self.lstm = tg.LSTM(w.width, w.units, rng=0, dtype=w.dtype)
        self.head = tg.Dense(w.units, 10, rng=1, dtype=w.dtype)

    def forward(self, x: Any) -> Any:
        return self.head(self.lstm(x)[1][0])


class Block(tg.Module):
    """x + attention(norm(x)), then x + f(norm(x)), and classes of the mean over the steps."""

    def __init__(self, w: Sequences) -> None:
        self.norms = [tg.LayerNorm(w.width, dtype=w.dtype), tg.LayerNorm(w.width, dtype=w.dtype)]
        self.attention = tg.MultiHeadAttention(w.width, w.heads, rng=0, dtype=w.dtype)
        self.wide = tg.Dense(w.width, w.units, rng=1, dtype=w.dtype)
        self.narrow = tg.Dense(w.units, w.width, rng=2, dtype=w.dtype)
        self.head = tg.Dense(w.width, 10, rng=3, dtype=w.dtype)

    def forward(self, x: Any) -> Any:
        x = x + self.attention(self.norms[0](x), causal=True)
        x = x + self.narrow(tg.relu(self.wide(self.norms[1](x))))
        return self.head(np.mean(x, axis=1))


def network(w: Sequences) -> tg.Module:
    how: dict[str, Any] = {"rng": 0, "dtype": w.dtype}
    if w.network == "lenet":
        return tg.Sequential(
            tg.Conv2d(1, 6, 5, **how), tg.ReLU(), tg.MaxPool2d(2), tg.Conv2d(6, 16, 5, **how), tg.ReLU(),
            tg.MaxPool2d(2), tg.Flatten(), tg.Dense(256, 120, **how), tg.ReLU(), tg.Dense(120, 84, **how), tg.ReLU(),
            tg.Dense(84, 10, **how),
        )  # fmt: skip
    if w.network == "makemore":
        return tg.Sequential(
            tg.Embedding(27, w.width, **how), tg.Flatten(), tg.Dense(w.steps * w.width, w.units, bias=False, **how),
            tg.BatchNorm(w.units, dtype=w.dtype), tg.Tanh(), tg.Dense(w.units, 27, **how),
        )  # fmt: skip
    return LastState(w) if w.network == "lstm" else Block(w)


def recorded(w: Sequences) -> Step:
    X, Y = w.data()
    net = network(w)
    optimizer = tg.SGD(net.parameters(), lr=w.lr)

    def step() -> Any:
        optimizer.zero_grad()
        J = tg.cross_entropy(net(X), Y)
        J.backward()
        optimizer.step()
        return J.item()

    return step


def compiled(w: Sequences) -> Step:
    X, Y = w.data()
    net = network(w)
    step = tg.compile_step(lambda X, Y: tg.cross_entropy(net(X), Y), tg.SGD(net.parameters(), lr=w.lr))
    return lambda: step(X, Y)


def torch_eager(w: Sequences) -> Step:
    import torch
    from torch import nn

    torch.set_num_threads(1)
    X, Y = (torch.from_numpy(a) for a in w.data())
    if w.network == "lenet":
        parts: Any = [
            nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(256, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
        ]  # fmt: skip
    elif w.network == "makemore":
        parts = [nn.Embedding(27, w.width), nn.Flatten(), nn.Linear(w.steps * w.width, w.units, bias=False),
                 nn.BatchNorm1d(w.units), nn.Tanh(), nn.Linear(w.units, 27)]  # fmt: skip
    elif w.network == "lstm":
        parts = {"lstm": nn.LSTM(w.width, w.units, batch_first=True), "head": nn.Linear(w.units, 10)}
    else:
        parts = {
            "norms": nn.ModuleList([nn.LayerNorm(w.width), nn.LayerNorm(w.width)]),
            "attention": nn.MultiheadAttention(w.width, w.heads, batch_first=True),
            "wide": nn.Linear(w.width, w.units),
            "narrow": nn.Linear(w.units, w.width),
            "head": nn.Linear(w.width, 10),
        }
    net = (nn.Sequential(*parts) if isinstance(parts, list) else nn.ModuleDict(parts)).to(getattr(torch, w.dtype))
    ours = tg.to_torch_state_dict(network(w))
    with torch.no_grad():
        for name, p in net.named_parameters():
            p.copy_(torch.from_numpy(ours[name]))
    hidden = torch.ones(w.steps, w.steps, dtype=torch.bool).triu(1)
    optimizer = torch.optim.SGD(net.parameters(), lr=w.lr)

    def forward(x: Any) -> Any:
        if isinstance(parts, list):
            return net(x)
        if w.network == "lstm":
            return net["head"](net["lstm"](x)[1][0][0])
        y = net["norms"][0](x)
        x = x + net["attention"](y, y, y, attn_mask=hidden, is_causal=True, need_weights=False)[0]
        x = x + net["narrow"](torch.relu(net["wide"](net["norms"][1](x))))
        return net["head"](x.mean(1))

    def step() -> Any:
        optimizer.zero_grad()
        J = nn.functional.cross_entropy(forward(X), Y)
        J.backward()
        optimizer.step()
        return J.detach()

    return step


def by_hand_preallocated(w: Sequences) -> Step:
    if w.network != "lstm":
        raise ValueError("written by hand for the LSTM only")
    return lstm_by_hand(w, network(w).state_dict())


SEQUENCE_PEERS: dict[str, Callable[[Sequences], Step]] = {
    "PyTorch eager": torch_eager,
    "NumPy, preallocated": by_hand_preallocated,
    "recorded": recorded,
    "compiled": compiled,
}
