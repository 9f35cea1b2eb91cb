"""The written derivation is right for any number of rows, or says that it is not."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import functional as F
from tinygrad_edu.compiler.derive import derive

FEATURES, CLASSES, ROWS = 4, 12, 12  # as many classes as rows


class LayerNorm(tg.Module):
    def __init__(self, n):
        self.gain = tg.Tensor(np.linspace(0.5, 1.5, n), requires_grad=True)
        self.shift = tg.Tensor(np.zeros(n), requires_grad=True)

    def forward(self, x):
        centred = x - np.mean(x, axis=-1, keepdims=True)
        return self.gain * centred / np.sqrt(np.mean(centred**2, axis=-1, keepdims=True) + 1e-5) + self.shift


class BatchNorm(LayerNorm):
    def forward(self, x):
        return self.gain * (x - np.mean(x, axis=0)) / np.sqrt(np.var(x, axis=0) + 1e-5) + self.shift


class Embedding(tg.Module):
    """The vectors of three whole numbers of each row, one after the other."""

    def __init__(self):
        self.weight = tg.Tensor(np.random.default_rng(3).normal(size=(5, 2)), requires_grad=True)

    def forward(self, x):
        return self.weight[x].reshape(len(x), -1)


def network(outputs, *between):
    layers = [tg.Dense(FEATURES, 5, rng=1), *between, tg.Dense(5, outputs, rng=2)]
    return tg.Sequential(layers[0], tg.Tanh(), *layers[1:])


def labels(outputs):
    return lambda rng, m: rng.integers(0, outputs, m)


def targets(outputs):
    return lambda rng, m: rng.normal(size=(m, outputs))


def shares(outputs):
    return lambda rng, m: np.eye(outputs)[rng.integers(0, outputs, m)]


def single(rng, m):
    return rng.integers(0, 2, (m, 1)).astype(float)


WEIGHTS = np.linspace(0.5, 2.0, CLASSES)  # of classes
LAMBDA = 1.0


def nll(z, y):
    return -np.mean(tg.log_softmax(z)[np.arange(len(y)), y])


def focal(z, y):
    p = tg.softmax(z)
    return -np.mean(np.sum(y * (1 - p) ** 2 * np.log(p), axis=1))


def huber(z, y):
    return np.mean(np.where(abs(z - y) < 1, 0.5 * (z - y) ** 2, abs(z - y) - 0.5))


def gaussian(z, y):
    """The negative log-likelihood of a mean and a log-variance."""
    return np.sum(z[:, 1:] + (y - z[:, :1]) ** 2 * np.exp(-z[:, 1:])) / (2 * len(y))


CASES = {
    # Those of the docstrings and of the articles
    "cross_entropy": (network(3), labels(3), F.cross_entropy),
    "cross_entropy, as many classes as rows": (network(CLASSES), labels(CLASSES), F.cross_entropy),
    "cross_entropy of shares": (network(CLASSES), shares(CLASSES), F.cross_entropy),
    "cross_entropy, summed": (network(3), labels(3), lambda z, y: F.cross_entropy(z, y, "sum")),
    "binary_cross_entropy": (
        tg.Sequential(*network(5), tg.Sigmoid()),
        shares(5),
        lambda z, y: F.binary_cross_entropy(z, y, "batchmean"),
    ),
    "with logits": (network(1), single, F.binary_cross_entropy_with_logits),
    "with logits, batchmean": (
        network(CLASSES),
        shares(CLASSES),
        lambda z, y: F.binary_cross_entropy_with_logits(z, y, "batchmean"),
    ),
    "mse_loss": (network(CLASSES), targets(CLASSES), F.mse_loss),
    "rmse": (network(2), targets(2), lambda z, y: np.sqrt(F.mse_loss(z, y))),
    "log-rmse": (network(1), single, lambda z, y: np.sqrt(F.mse_loss(tg.softplus(z), np.log1p(y)))),
    "half of the squares": (network(3), targets(3), lambda z, y: np.sum((z - y) ** 2) / (2 * len(y))),
    "half of the mean": (network(3), targets(3), lambda z, y: 0.5 * np.mean((z - y) ** 2)),
    "mae": (network(3), targets(3), lambda z, y: np.mean(abs(z - y))),
    "huber": (network(3), targets(3), huber),
    "hinge": (network(1), single, lambda z, y: np.mean(np.maximum(0, 1 - (2 * y - 1) * z))),
    "nll": (network(3), labels(3), nll),
    "nll, as many classes as rows": (network(CLASSES), labels(CLASSES), nll),
    "focal": (network(3), shares(3), focal),
    "gaussian": (network(2), targets(1), gaussian),
    "kl": (network(3), shares(3), lambda z, y: np.sum((y + 0.1) * (np.log(y + 0.1) - tg.log_softmax(z))) / len(z)),
    # Weighted
    "weighted classes": (
        network(CLASSES),
        labels(CLASSES),
        lambda z, y: -np.sum(tg.log_softmax(z)[np.arange(len(y)), y] * WEIGHTS[:3].sum()) / len(y),
    ),
    "weighted columns": (network(CLASSES), targets(CLASSES), lambda z, y: np.mean((z - y) ** 2 * WEIGHTS)),
    "scaled by 12": (network(3), targets(3), lambda z, y: F.mse_loss(z, y) / 12 + np.sum(z) / 12**2),
    # Layers
    "layer norm": (network(3, LayerNorm(5)), labels(3), F.cross_entropy),
    "batch norm": (network(3, BatchNorm(5)), labels(3), F.cross_entropy),
    "embeddings": (
        tg.Sequential(Embedding(), tg.Dense(6, 3, rng=0)),
        labels(3),
        F.cross_entropy,
    ),
    # Numbers of rows in other places
    "variance of a sample": (network(3), targets(3), lambda z, y: np.mean(np.var(z - y, axis=0, ddof=1))),
    "norm": (network(3), targets(3), lambda z, y: np.linalg.norm(z - y) / np.sqrt(len(y))),
    "sums so far": (network(1), single, lambda z, y: np.sum(np.cumsum(z) * y[:, 0]) / len(y) ** 2),
    "a column of ones": (
        network(2),
        targets(3),
        lambda z, y: F.mse_loss(np.concatenate([np.ones((len(z), 1)), z], axis=1), y),
    ),
    "pairs": (network(2), targets(2), lambda z, y: np.mean((z[:, None] - y[None]) ** 2)),
    "differences": (network(1), single, lambda z, y: np.mean((z[1:] - z[:-1]) ** 2) + F.mse_loss(z, y)),
}


# Sums and means, a constant 12, rows that meet rows: the others differ from these before they are divided.
PENALISED = [
    "cross_entropy, as many classes as rows", "with logits, batchmean", "mse_loss", "rmse", "half of the squares",
    "scaled by 12", "batch norm", "variance of a sample", "pairs",
]  # fmt: skip


def batch(name, m):
    rng = np.random.default_rng(m)
    X = rng.integers(0, 5, (m, 3)) if name == "embeddings" else rng.normal(size=(m, FEATURES))
    return X, CASES[name][1](rng, m)


def written(source):
    namespace = {}
    exec(compile(source, "<source>", "exec"), namespace)
    return namespace["value_and_gradients"]


@pytest.mark.parametrize(
    ("name", "penalty"),
    [*((name, False) for name in CASES), *((name, True) for name in PENALISED)],
)
def test_derived_with_some_rows_and_run_with_others(name, penalty):
    net, _, loss = CASES[name]

    def J(X, y):
        cost = loss(net(X), y)
        return cost + F.l2_penalty(net, LAMBDA, ROWS) + F.l2_penalty(net, LAMBDA, len(X)) if penalty else cost

    d = derive(J, *batch(name, ROWS), parameters=net)
    run = written(d.source)
    assert "Holds only" not in d.source
    for m in (ROWS, 30, 5):
        X, y = batch(name, m)
        net.zero_grad()
        value = J(X, y)
        value.backward()
        for found, gradients in (d(X, y), run(X, y, *(p.data for p in net.parameters()))):
            assert found == pytest.approx(value.item(), rel=1e-12)
            for p, g in zip(net.parameters(), gradients, strict=True):
                np.testing.assert_allclose(g, p.grad, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "optimizer", [functools.partial(tg.SGD, lr=0.01, momentum=0.9), functools.partial(tg.Adam, lr=0.01)]
)
@pytest.mark.parametrize("name", CASES)
def test_compiled_steps_of_the_same_losses_are_the_recorded_ones(name, optimizer):
    net, _, loss = CASES[name]
    start = [p.data.copy() for p in net.parameters()]
    runs = []
    for compiled in (False, True):
        made = optimizer(net.parameters())
        step = tg.compile_step(lambda X, y: loss(net(X), y), made)
        values = []
        for m in (ROWS, 30, ROWS, 5):
            if compiled:
                values.append(step(*batch(name, m)))
            else:
                made.zero_grad()
                X, y = batch(name, m)
                J = loss(net(X), y)
                J.backward()
                made.step()
                values.append(J.item())
        runs.append([*values, *(p.data.copy() for p in net.parameters())])
        for p, values in zip(net.parameters(), start, strict=True):
            p.data = values.copy()
            p.zero_grad()
    for recorded, found in zip(*runs, strict=True):
        np.testing.assert_allclose(found, recorded, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_m_stands_where_the_value_comes_from_the_number_of_rows_and_nowhere_else(dtype):
    source = derive(lambda x: np.sum(x * (12 / len(x))) + np.sum(x * 0.25), np.ones((12, 3), dtype)).source
    assert 'raise ValueError(f"x must have the shape {(m, 3)}, got {np.shape(x)}")' in source  # as the last line says
    source = "".join(line for line in source.splitlines(keepends=True) if "np.shape(x)" not in line)
    lines = [line.strip().split("  #")[0].strip() for line in source[source.index("m =") :].splitlines()]
    kind = "" if dtype is np.float64 else ", dtype=np.float32"
    assert lines == [
        "m = len(x)",
        "# forward",
        "J = np.sum(12 / m * x) + np.sum(x * 0.25)",
        "# backward",
        f"return J, (np.full((m, 3), 0.25 + 12 / m{kind}),)",
    ]


NUMBERS = {
    "m": lambda x: np.sum(x * len(x)),
    "multiples": lambda x: np.sum(x * (3 * len(x) + 2)),
    "less one": lambda x: np.sum(x / (len(x) - 1)),
    "more than one": lambda x: np.sum(x) * (0.5 + 2 / len(x)),
    "roots": lambda x: np.sum(x**2) * len(x) ** 0.5 / len(x) ** 2,
    "exponents": lambda x: np.sum(x ** (len(x) / 5)),
    "shapes": lambda x: np.sum(np.concatenate([x, x**2]).reshape(3 * len(x), 2) ** 2),
    "slices": lambda x: np.sum(x[: len(x) // 1 - 1] * x[1 : len(x)]),
    "the last row": lambda x: np.sum(x[-1] * x[len(x) - 2]),
    "arrays": lambda x: np.sum(x * (np.arange(3.0) / len(x))),
    "rows": lambda x: np.sum(x * np.tile(np.arange(3.0), (len(x), 1))) + np.sum(x[np.arange(len(x)), 0]),
    "filled": lambda x: np.sum(x**2 * np.full(x.shape, 2.5) * np.ones((len(x), 1), np.float32)),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_that_come_from_the_number_of_rows(name):
    function = NUMBERS[name]
    d = derive(function, np.linspace(1, 2, 36).reshape(12, 3))
    assert "Holds only" not in d.source and d.latex()
    for m in (12, 5, 30):
        x = np.random.default_rng(m).uniform(1, 2, (m, 3))
        value, (g,) = written(d.source)(x)
        np.testing.assert_allclose(value, function(x), rtol=1e-12)
        np.testing.assert_allclose(g, tg.grad(function)(x), rtol=1e-12)


FIXED = np.random.default_rng(0).normal(size=(12, 3))
ONLY = {
    "rows of its own": lambda x: np.sum((x - FIXED) ** 2),
    "rows of a tensor": lambda x: F.mse_loss(x, tg.Tensor(FIXED)),
    "a branch": lambda x: np.sum(x**2) if len(x) > 12 else np.sum(x),
    "a branch taken with few": lambda x: np.mean(x) if len(x) < 13 else np.mean(x**2),
    "a loop": lambda x: sum((np.sum(x[k] ** 2) * k for k in range(len(x))), np.sum(x)),
    "at least 10": lambda x: np.sum(x) / max(len(x), 10),
    "at most 100": lambda x: np.sum(x) / min(len(x), 100),
    "a branch with many": lambda x: np.sum(x**2) if len(x) > 100 else np.sum(x),
    "the first 100": lambda x: np.mean(x[:100] ** 2),
    "no formula": lambda x: np.sum(x) * np.log(len(x)),
    "other numbers": lambda x: np.sum(x[:, 0] * np.random.default_rng(len(x)).normal(size=len(x))),
}


@pytest.mark.parametrize("name", ONLY)
def test_what_holds_for_the_rows_of_the_examples_only_says_so(name):
    function = ONLY[name]
    x = np.random.default_rng(1).uniform(1, 2, (12, 3))
    d = derive(function, x)
    assert d.source.startswith("# Holds only for x of shape (12, 3).\n")
    assert r"& \text{only for x of shape (12, 3)}" in d.latex()
    others = [FIXED] * ("constant_1" in d.source)
    value, (g,) = written(d.source)(x, *others)
    np.testing.assert_allclose(value, function(tg.Tensor(x)).data, rtol=1e-12)
    np.testing.assert_allclose(g, tg.grad(function)(x), rtol=1e-12)
    with pytest.raises(ValueError, match=r"x must have the shape \(12, 3\), got \(30, 3\)"):
        written(d.source)(np.ones((30, 3)), *others)


def test_no_more_rows_than_memory_has_room_for():
    """Arrays that grow with a power of the rows, here the fourth, took 13 GB with 200 rows."""
    rows = set()

    def pairs_of_pairs(x):
        rows.add(len(x))
        pairs = np.multiply.outer(x, x)
        return np.sum(np.tanh(np.multiply.outer(pairs, pairs)))

    d = derive(pairs_of_pairs, np.ones(3))
    assert "Holds only" not in d.source
    assert len(rows) > 3 and 10 < max(rows) < 40
    x = np.linspace(0.1, 1, 6)
    np.testing.assert_allclose(written(d.source)(x)[1][0], tg.grad(pairs_of_pairs)(x), rtol=1e-12)


def test_inputs_of_as_many_rows_by_chance():
    """Whoever gives a derivation inputs that need not have equally many rows is told where it takes them to have."""
    d = derive(lambda x, w: np.mean(x**2) + np.mean(w), np.ones((12, 3)), np.ones(12))
    run = written(d.source)
    assert run(np.ones((5, 3)), np.ones(5))[0] == 2
    with pytest.raises(ValueError, match=r"w must have the shape \(5,\), got \(4,\)"):
        run(np.ones((5, 3)), np.ones(4))
    written(derive(lambda x, t: np.sum(x * t), np.ones((12, 3)), np.ones((12, 3))).source)(*np.ones((2, 5, 4)))
    with pytest.raises(ValueError, match=r"target must have the shape \(5, 3\), got \(5, 4\)"):  # m · 3 numbers
        written(derive(F.mse_loss, np.ones((12, 3)), np.ones((12, 3))).source)(np.ones((5, 3)), np.ones((5, 4)))


def test_square_inputs_and_inputs_without_rows():
    d = derive(lambda x, A: x @ A @ x / len(x), np.ones(3), np.eye(3))
    run = written(d.source)
    assert run(np.ones(5), np.eye(5))[0] == 1
    with pytest.raises(ValueError, match=r"reshape|shape"):
        run(np.ones(5), np.ones((5, 4)))
    assert "m" not in derive(lambda x: x**2, 3.0).source.split("def")[1].split("\n", 1)[1]
    assert (
        written(derive(lambda x: np.mean(x), np.ones((1, 3))).source)(np.ones((2, 3)))[1][0].tolist()
        == [[1 / 6] * 3] * 2
    )


def test_a_square_example():
    """Where other inputs need not be square, the number of columns is not taken for that of rows."""
    d = derive(lambda X, w: np.sum((X @ w) ** 2) / X.shape[1], np.ones((3, 3)), np.ones((3, 1)))
    try:
        value = written(d.source)(np.ones((6, 3)), np.ones((3, 1)))[0]
    except ValueError as error:
        assert "X must have the shape" in str(error) or "w must have the shape" in str(error)
    else:
        assert value == 18


def test_the_source_is_that_of_this_moment():
    c = np.array([1.0])
    d = derive(lambda x: np.sum(x**2 * c), np.ones(3))
    c[0] = 2.0
    assert written(d.source)(np.ones(5))[0] == d(np.ones(5))[0] == 10
    mean = tg.Tensor(0.0)

    def updating(x):
        mean.data = np.mean(x)
        return np.sum(x**2)

    assert derive(updating, np.ones(3)).source.startswith("# Tensors that the function updates are left as they are.")


@pytest.mark.parametrize(
    ("f", "rows"),
    [
        (lambda x: np.sum(x**2) if len(x) > 5 else np.sum(x), 3),
        (lambda x: np.sum(x**2) if len(x) > 1 else np.sum(x), 1),
        (lambda x: np.sum(x**2) if len(x) <= 500 else np.sum(x), 601),
        (lambda x: np.mean(x[:1000] ** 2), 1500),
        (lambda x: np.mean(x[:5] ** 2), 3),
        (lambda x: np.mean(x[-5:] ** 2), 3),
        (lambda x: np.sum(x**2) / min(len(x), 500), 601),
        (lambda x: np.sum(x**2) / max(len(x), 4), 2),
        (lambda x: np.sum(np.convolve(x[:, 0], [1.0, 2.0, 3.0], "valid") ** 2), 2),
        (lambda x: np.sum(x**2) / max(len(x), 20), 13),
    ],
)
def test_what_a_function_does_with_some_numbers_of_rows_only(f, rows):
    """The source says that it does not hold for others, or does."""
    source = derive(f, np.full((50 if rows == 13 else 12, 3), 2.0)).source
    x = np.random.default_rng(0).normal(size=(rows, 3))
    with pytest.raises(ValueError, match=r"x must have the shape \((12|50), 3\)"):
        written(source)(x)
    assert source.startswith("# Holds only for x of shape (")


def test_what_every_number_of_rows_allows_is_general():
    """Also where a single row gives NaN, or is refused."""

    def refusing(x):
        if len(x) < 3:
            raise ValueError("too few rows")
        return np.sum(x**2)

    for f in (lambda x: np.sum(np.var(x, axis=0, ddof=1)), refusing, lambda x: np.sum(F.dropout(x, 0.5))):
        assert "Holds only" not in derive(f, np.ones((12, 3))).source


def test_an_input_that_is_called_like_a_function_of_python():
    d = derive(lambda len, float: np.sum(len**2) / len.shape[0] + np.sum(float), np.ones((4, 2)), np.ones(3))
    assert written(d.source)(np.ones((6, 2)), np.ones(3))[0] == 5


def test_an_axis_of_1_that_fits_to_one_other():
    def f(a, b):
        return np.sum(np.tanh(a)) + np.sum(np.broadcast_arrays(b, a)[0] * np.arange(1.0, 4.0))

    run = written(derive(f, np.ones((1, 3)), np.ones(1)).source)
    assert run(np.ones((5, 3)), np.ones(1))[1][1].tolist() == [30]
    with pytest.raises(ValueError, match=r"axis 0 of b must have 1 elements, got \(3,\)"):
        run(np.ones((1, 3)), np.ones(3))


def test_an_axis_of_1_that_fits_to_any_number_of_rows():
    """Where it is as long as the rows of the example by chance, it must not be stretched without a word."""

    def f(a, b):
        return np.sum(np.tanh(a + b) * np.arange(1.0, 4.0).reshape(3, 1))

    a, b = np.ones(1), np.ones((3, 1))
    run = written(derive(f, a, b).source)
    for x, y in ((np.ones(6), b), (a, np.ones((3, 6))), (np.ones(6), np.ones((3, 6))), (a, b)):
        wanted = tg.grad(f, argnums=(0, 1))(x, y)
        try:
            _, found = run(x, y)
        except ValueError as error:
            assert "axis 1 of b must have 1 elements" in str(error) and y.shape[1] != 1
        else:
            for g, h in zip(found, wanted, strict=True):
                np.testing.assert_allclose(g, h, rtol=1e-12)


def test_nobody_is_warned_of_a_trial():
    def f(x):
        return np.sum(np.nanmin(np.where(np.cumsum(x) < 5, np.nan, x)) * x)  # of few rows, all are NaN

    assert "def value_and_gradients" in derive(f, np.ones(12)).source


def test_a_trial_updates_nothing():
    mean = tg.Tensor(np.zeros(3))

    def f(x):
        mean.data = 0.9 * mean + 0.1 * np.mean(x, axis=0)
        return np.sum((x - mean) ** 2) / len(x)

    d = derive(f, np.ones((12, 3)))
    assert "Holds only" not in d.source and d.latex() and mean.data.tolist() == [0, 0, 0]
