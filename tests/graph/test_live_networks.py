"""The networks of the examples whose inputs are no numbers to be edited, or that draw random ones, as the page computes
them: before and after an edit as the library does. `test_evaluate.py` has the others."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.graph.test_evaluate import compare, evaluated, expected, program_of
from tests.graph.test_live import case_of, wanted_of
from tinygrad_edu import functional as F
from tinygrad_edu.graph.computation import computation


class Autoencoder(tg.Module):
    """The network of examples/vae.py, small, and with dropout."""

    def __init__(self):
        self.rng = np.random.default_rng(0)
        dense = lambda a, b: tg.Dense(a, b, rng=self.rng, dtype=np.float32)
        self.encoder = tg.Sequential(dense(6, 5), tg.GELU(), tg.Dropout(0.3, rng=self.rng), dense(5, 4))
        self.decoder = tg.Sequential(dense(2, 5), tg.GELU(), dense(5, 6))

    def forward(self):
        X = np.random.default_rng(0).random((3, 6), np.float32)
        mean, log_variance = np.split(self.encoder(X), 2, axis=1)
        z = self.decoder(tg.random.normal(mean, np.exp(0.5 * log_variance), rng=self.rng))
        divergence = 0.5 * np.sum(mean**2 + np.exp(log_variance) - 1 - log_variance, axis=1)
        return F.binary_cross_entropy_with_logits(z, X, "batchmean") + np.mean(divergence)


class Perceptron(tg.Sequential):
    """The perceptron of examples/names.py, small, and what it learns from."""

    def __init__(self):
        before = [tg.Embedding(5, 3, rng=0), tg.Flatten(), tg.Dense(9, 6, bias=False, rng=1), tg.BatchNorm(6)]
        super().__init__(*before, tg.Tanh(), tg.Dense(6, 5, rng=2))

    def forward(self):
        X = np.random.default_rng(0).integers(0, 5, (7, 3))
        return F.cross_entropy(super().forward(X), np.arange(7) % 5)


class Transformer(tg.Module):
    """The transformer of examples/names.py, small, and what it learns from."""

    def __init__(self):
        self.letter, self.place = tg.Embedding(5, 4, rng=0), tg.Embedding(4, 4, rng=1)
        self.attention, self.norms = tg.MultiHeadAttention(4, 2, rng=2), [tg.LayerNorm(4) for _ in range(3)]
        self.thought = tg.Sequential(tg.Dense(4, 8, rng=3), tg.GELU(), tg.Dense(8, 4, rng=4))
        self.head = tg.Dense(4, 5, rng=5)

    def forward(self):
        x = self.letter(np.array([[0, 1, 4, 0], [0, 2, 2, 3]])) + self.place(np.arange(4))
        x = x + self.attention(self.norms[0](x), causal=True)
        x = self.head(self.norms[2](x + self.thought(self.norms[1](x))))
        return F.cross_entropy(x, np.array([[1, 4, 0, -1], [2, 2, 3, 1]]), ignore_index=-1)


@pytest.mark.parametrize("make", [Autoencoder, Perceptron])
def test_values_and_gradients_are_the_library_s_before_and_after_an_edit(make, browser):
    cases, wanted = [], []
    names = [name for name, p in make().named_parameters() if p.size <= 100]
    for name in (None, names[0], names[len(names) // 2], names[-1]):
        nets = make(), make()  # which draw the same numbers
        p = dict(nets[1].named_parameters()).get(name)
        edited = {} if p is None else {name: np.linspace(-1, 1, p.size).reshape(p.shape).astype(p.dtype)}
        if p is not None:
            p.data = edited[name]
        found, exact = (computation(net(), model=net, gradients=True) for net in nets)
        cases.append(case_of(found, found.live(), edited))
        wanted.append(wanted_of(exact))
    for found, exact in zip(evaluated(browser, cases), wanted, strict=True):
        compare(found, exact, 1e-5 if make is Autoencoder else 1e-9, make.__name__)


def test_a_transformer_as_it_is_derived(browser):
    """Its record keeps no causal mask, so that the page of a graph says why it cannot be edited."""
    net = Transformer()
    rng = np.random.default_rng(0)
    program, cases, wanted = program_of(net, [], net.parameters()), [], []
    for scale in (0.0, 0.5):
        for p in net.parameters():
            p.data = p.data + rng.normal(scale=scale, size=p.shape)
        cases.append((program, [p.data for p in net.parameters()]))
        wanted.append(expected(net, [], net.parameters()))
    for found, exact in zip(evaluated(browser, cases), wanted, strict=True):
        compare(found, exact, 1e-9, "transformer")
    assert "not kept" in computation(net(), model=net, gradients=True).live()["why"]
