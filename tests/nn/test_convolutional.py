"""Layers for images, norms and embeddings: in models that are trained, compiled, stored, drawn and read."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import functional as F


def digits(dtype=np.float64):
    """LeNet in small, with batch norms, and a batch."""
    how = {"dtype": dtype, "rng": 0}
    net = tg.Sequential(
        tg.Conv2d(1, 3, 3, padding=1, bias=False, **how), tg.BatchNorm(3, dtype=dtype), tg.ReLU(), tg.MaxPool2d(2),
        tg.Conv2d(3, 4, 3, **how), tg.ReLU(), tg.AvgPool2d(2, padding=1), tg.Flatten(),
        tg.Dense(16, 6, **how), tg.LayerNorm(6, dtype=dtype), tg.Tanh(), tg.Dense(6, 3, **how),
    )  # fmt: skip
    rng = np.random.default_rng(1)
    return net, rng.normal(size=(7, 1, 8, 8)).astype(dtype), rng.integers(0, 3, 7)


def letters():
    """The network of the makemore lectures, and a batch."""
    net = tg.Sequential(
        tg.Embedding(9, 4, rng=0), tg.Flatten(), tg.Dense(12, 8, bias=False, rng=1), tg.BatchNorm(8), tg.Tanh(),
        tg.Dense(8, 9, rng=2),
    )  # fmt: skip
    rng = np.random.default_rng(1)
    return net, rng.integers(0, 9, (11, 3)), rng.integers(0, 9, 11)


def rows():
    net = tg.Sequential(tg.Conv1d(2, 3, 3, stride=2, rng=0), np.tanh, tg.Flatten(), tg.Dense(9, 2, rng=1))
    rng = np.random.default_rng(1)
    return net, rng.normal(size=(5, 2, 8)), rng.integers(0, 2, 5)


class Recurrent(tg.Module):
    """The class of a sequence, from what two layers remember at its end."""

    def __init__(self):
        self.first, self.second = tg.GRU(2, 3, rng=0), tg.LSTM(3, 3, rng=1)
        self.head = tg.Dense(6, 2, rng=2)

    def forward(self, x):
        outputs, h = self.first(x)
        return self.head(np.concatenate([h, self.second(outputs)[1][0]], axis=1))


def sequences():
    rng = np.random.default_rng(1)
    return Recurrent(), rng.normal(size=(5, 4, 2)), rng.integers(0, 2, 5)


class Transformer(tg.Module):
    """The next letter after each, from all before it."""

    def __init__(self):
        self.letter, self.place = tg.Embedding(5, 4, rng=0), tg.Embedding(6, 4, rng=1)
        self.blocks = [
            {"norm": tg.LayerNorm(4), "attention": tg.MultiHeadAttention(4, 2, rng=k), "wide": tg.Dense(4, 6, rng=k),
             "narrow": tg.Dense(6, 4, rng=k)}
            for k in range(2)
        ]  # fmt: skip
        self.head = tg.Dense(4, 5, rng=2)

    def forward(self, x):
        x = self.letter(x) + self.place(np.arange(x.shape[1]))
        for block in self.blocks:
            x = x + block["attention"](block["norm"](x), causal=True)
            x = x + block["narrow"](F.gelu(block["wide"](x)))
        return self.head(x)


def texts():
    rng = np.random.default_rng(1)
    return Transformer(), rng.integers(0, 5, (4, 6)), rng.integers(0, 5, (4, 6))


class Autoencoder(tg.Module):
    def __init__(self):
        self.encoder, self.decoder = tg.Dense(6, 4, rng=0), tg.Dense(2, 6, rng=1)

    def forward(self, x):
        mean, log_variance = np.split(self.encoder(x), 2, axis=1)
        return self.decoder(mean + np.exp(0.5 * log_variance)) - 0.5 * np.mean(mean**2 - log_variance)


def images():
    rng = np.random.default_rng(1)
    return Autoencoder(), rng.normal(size=(5, 6)), rng.integers(0, 6, 5)


MODELS = [digits, letters, rows, sequences, texts, images]


@pytest.mark.parametrize("model", MODELS)
def test_compiled_steps_are_the_recorded_ones(model):
    ends = []
    for compiled in (False, True):
        net, X, y = model()
        history = tg.fit(net, X, y, loss=tg.cross_entropy, optimizer=tg.Adam(net.parameters(), lr=0.01), epochs=4,
                         batch_size=None, compiled=compiled)  # fmt: skip
        ends.append([*history["loss"], *net.state_dict().values(), tg.predict(net, X)])
    for recorded, compiled in zip(*ends, strict=True):
        np.testing.assert_allclose(compiled, recorded, rtol=1e-9, atol=1e-12)
    assert ends[0][3] < ends[0][0]


@pytest.mark.parametrize("model", MODELS)
def test_gradients(model):
    net, X, y = model()
    arrays = [p.data for p in net.parameters()]

    def loss(*values):
        for p, value in zip(places, values, strict=True):
            p[0].__dict__[p[1]] = value
        return tg.cross_entropy(net(X), y)

    places = [(m, name) for m in net.modules() for name, v in vars(m).items()
              if isinstance(v, tg.Tensor) and v.requires_grad]  # fmt: skip
    assert tg.gradcheck(loss, *arrays)


@pytest.mark.parametrize("model", MODELS)
def test_the_derivation_is_the_gradient(model):
    net, X, y = model()
    derived = tg.derive(lambda X: tg.cross_entropy(net(X), y), X, parameters=net)
    net.zero_grad()
    loss = tg.cross_entropy(net(X), y)
    loss.backward()
    value, gradients = derived(X)
    names: dict = {}
    exec(derived.source, names)
    running = [t.data for t in net.named_tensors().values() if not t.requires_grad]
    written = names["value_and_gradients"](X, *(p.data for p in net.parameters()), *running)
    for found, gs in ((value, gradients), written):
        np.testing.assert_allclose(found, loss.item(), rtol=1e-12)
        for p, g in zip(net.parameters(), gs, strict=True):
            np.testing.assert_allclose(g, p.grad, rtol=1e-9, atol=1e-13)
    assert derived.latex()


@pytest.mark.parametrize("model", MODELS)
def test_stored_and_shown(model, tmp_path):
    net, X, y = model()
    with tg.detect_anomaly():
        loss = tg.cross_entropy(net(X), y)
        loss.backward()
    tg.save(net, tmp_path / "net.npz")
    other, _, _ = model()
    tg.load(other, tmp_path / "net.npz")
    np.testing.assert_array_equal(tg.predict(other, X), tg.predict(net, X))
    assert "total" in net.summary(X) and "?" not in net.summary(X)
    loss = tg.cross_entropy(net(X), y)
    assert tg.explain(loss, model=net) and tg.draw_graph(loss, model=net).source


@pytest.mark.parametrize("model", MODELS)
def test_pages(model, tmp_path):
    pytest.importorskip("pygraphviz", reason="a page needs the extra viz")
    net, X, y = model()
    tg.render_graph(tg.cross_entropy(net(X), y), tmp_path / "page.html", model=net)
    assert (tmp_path / "page.html").stat().st_size > 10_000


def test_summaries_and_descriptions():
    net, _, _ = digits()
    table = net.summary((1, 8, 8)).splitlines()
    row = "0 Conv2d(1 → 3, kernel_size=(3, 3), padding=(1, 1), bias=False) (None, 3, 8, 8) 27"
    assert table[2].split() == row.split()
    assert repr(tg.Conv1d(2, 4, 3, 2, groups=2)) == "Conv1d(2 → 4, kernel_size=3, stride=2, groups=2)"
    assert repr(tg.MaxPool2d(3, 2, 1)) == "MaxPool2d((3, 3), stride=(2, 2), padding=(1, 1))"
    assert repr(tg.AvgPool2d((1, 2))) == "AvgPool2d((1, 2))"
    assert repr(tg.Embedding(27, 10)) == "Embedding(27 → 10)"
    assert repr(tg.BatchNorm(5)) == "BatchNorm(5)" and repr(tg.LayerNorm((2, 3))) == "LayerNorm((2, 3))"
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    np.testing.assert_allclose(tg.GlobalAvgPool2d()(x), x.mean((2, 3)))


def test_batch_norm_in_training_and_in_evaluation():
    """Running statistics are the same recorded, compiled, and after loading; evaluation leaves them alone."""
    rng = np.random.default_rng(0)
    batches = rng.normal(size=(4, 6, 2)) * 3 + 1
    norms = [tg.BatchNorm(2), tg.BatchNorm(2)]
    step = tg.compile_step(lambda x: np.mean(norms[1](x) ** 2), tg.SGD(norms[1].parameters(), lr=0.0))
    for x in batches:
        norms[0](x)
        step(x)
    for a, b in zip(norms[0].state_dict().values(), norms[1].state_dict().values(), strict=True):
        np.testing.assert_array_equal(a, b)
    before = norms[0].running_mean.data.copy()
    y = tg.predict(norms[0], batches[0])
    np.testing.assert_array_equal(norms[0].running_mean.data, before)
    var = norms[0].running_var.data
    np.testing.assert_allclose(y, (batches[0] - before) / np.sqrt(var + 1e-5), rtol=1e-12)
    assert np.all(before != 0)
    grown = np.mean([x.mean(0) for x in batches], axis=0)
    many = tg.BatchNorm(2, momentum=1.0)
    many(np.concatenate(batches))
    np.testing.assert_allclose(many.running_mean.data, grown)


def test_precision_is_kept():
    net, X, y = digits(np.float32)
    tg.cross_entropy(net(X), y).backward()
    assert {p.grad.dtype for p in net.parameters()} == {np.dtype(np.float32)}
    assert {a.dtype for a in net.state_dict().values()} == {np.dtype(np.float32)}


def test_they_are_pytorchs_layers():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    nn = torch.nn
    theirs = nn.Sequential(
        nn.Conv2d(2, 4, (3, 2), stride=(1, 2), padding=1, groups=2), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2, 1),
        nn.Conv2d(4, 3, 2, dilation=2, bias=False), nn.AvgPool2d((1, 2), padding=(0, 1)), nn.Flatten(),
        nn.LayerNorm(18), nn.Linear(18, 5), nn.BatchNorm1d(5),
    ).double()  # fmt: skip
    ours = tg.Sequential(
        tg.Conv2d(2, 4, (3, 2), stride=(1, 2), padding=1, groups=2), tg.BatchNorm(4), tg.ReLU(), tg.MaxPool2d(2, 1),
        tg.Conv2d(4, 3, 2, dilation=2, bias=False), tg.AvgPool2d((1, 2), padding=(0, 1)), tg.Flatten(),
        tg.LayerNorm(18), tg.Dense(18, 5), tg.BatchNorm(5),
    )  # fmt: skip
    table, rows = nn.Embedding(7, 3), tg.Embedding(7, 3)
    tg.from_torch_state_dict(rows, table.state_dict())
    np.testing.assert_array_equal(rows(np.array([[0, 6], [2, 2]])).data, table(torch.tensor([[0, 6], [2, 2]])).detach())
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 2, 6, 8))
    theirs(torch.tensor(x))  # running statistics of its own
    tg.from_torch_state_dict(ours, {k: v for k, v in theirs.state_dict().items() if "num_batches" not in k})
    for training in (True, False):
        ours.train(training)
        theirs.train(training)
        np.testing.assert_allclose(ours(x).data, theirs(torch.tensor(x)).detach().numpy(), rtol=1e-9, atol=1e-12)
    back = {name: torch.tensor(array) for name, array in tg.to_torch_state_dict(ours).items()}
    theirs.load_state_dict(back, strict=False)
    np.testing.assert_allclose(ours(x).data, theirs(torch.tensor(x)).detach().numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: tg.Conv2d(0, 3, 3), "Conv2d: in_channels must be a whole number of at least 1, not 0"),
        (lambda: tg.Conv2d(1, 3, "3"), "Conv2d: kernel_size must be a whole number or a pair of them"),
        (lambda: tg.Conv1d(1, 3, (3, 3)), r"Conv1d: kernel_size must be a whole number of at least 1, not \(3, 3\)"),
        (lambda: tg.Conv2d(3, 4, 3, groups=2), "Conv2d: 3 and 4 channels cannot be divided among 2 groups"),
        (lambda: tg.Conv2d(3, 4, 3, init="he"), "Conv2d: unknown initialiser 'he'; choose from glorot_uniform"),
        (lambda: tg.Conv2d(1, 2, 3, init=lambda shape, rng: np.ones(3)), r"gave shape \(3,\), expected \(9, 2\)"),
        (lambda: tg.MaxPool2d(0), "MaxPool2d: kernel_size must be a whole number of at least 1"),
        (lambda: tg.AvgPool2d(2, padding=-1), "AvgPool2d: padding must be a whole number of at least 0"),
        (lambda: tg.BatchNorm(0), "BatchNorm: features must be a whole number of at least 1, not 0"),
        (lambda: tg.BatchNorm(2, momentum=2), "BatchNorm: momentum must be the share of a new batch, from 0 to 1"),
        (lambda: tg.BatchNorm(2, momentum=None), "BatchNorm: momentum must be the share .* not None"),
        (lambda: tg.BatchNorm(2, eps=0), "BatchNorm: eps must be positive, not 0"),
        (lambda: tg.LayerNorm((2, 0)), "LayerNorm: shape must be a whole number of at least 1, not 0"),
        (lambda: tg.Embedding(0, 3), r"Embedding\(0, 3\): sizes must be positive whole numbers"),
        (lambda: tg.GlobalAvgPool2d()(np.ones((2, 3))), r"GlobalAvgPool2d: x must be images \(m, c, h, w\), got"),
        (lambda: tg.Conv2d(1, 2, 3)(np.ones((4, 28, 28))), r"conv2d: x must be \(m, c, h, w\).* x\[:, np.newaxis\]"),
    ],
)
def test_mistakes(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()


def test_initial_kernels():
    layer = tg.Conv2d(2, 500, 3, rng=0)
    bound = np.sqrt(6 / 18)
    assert np.abs(layer.weight.data).max() <= bound and np.std(layer.weight.data) == pytest.approx(bound / 3**0.5, 0.02)
    assert not layer.bias.data.any()
    assert F.conv2d(np.ones((1, 2, 3, 3)), layer.weight).shape == (1, 500, 1, 1)
