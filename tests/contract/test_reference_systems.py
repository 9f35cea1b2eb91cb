"""The published figures of the five reference systems, to the digits in which they were measured again."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import datasets
from tinygrad_edu import functional as F
from tinygrad_edu.optim import SGD


def normal(random, scale):
    """An initialiser that draws (outputs, inputs), as the published programs do."""
    return lambda shape, rng: random.randn(*shape[::-1]).T * scale


def descend(net, X, y, loss, lr, epochs, **options):
    return tg.fit(net, X, y, loss=loss, optimizer=SGD(net.parameters(), lr=lr), epochs=epochs, batch_size=None,
                  progress=False, **options)["loss"]  # fmt: skip


# ex4 learned by SciPy's minimisers


def ex4_network():
    random = np.random.RandomState(0)
    net = tg.Sequential(tg.Dense(400, 25), tg.Sigmoid(), tg.Dense(25, 10), tg.Sigmoid())
    for layer in (net[0], net[2]):
        epsilon = np.sqrt(6) / np.sqrt(layer.in_features + layer.out_features)
        theta = random.rand(layer.out_features, layer.in_features + 1) * 2 * epsilon - epsilon
        if layer is net[2]:
            theta = np.roll(theta, 1, axis=0)
        layer.weight.data, layer.bias.data = theta[:, 1:].T.copy(), theta[:, 0].copy()
    return net


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "max_iter", "cost", "accuracy"),
    [("CG", 50, (0.46565, 0.46965), (0.959, 0.965)), ("TNC", 400, (0, 1), (0.98, 1)),
     ("L-BFGS-B", 400, (0.305, 0.310), (0.993, 1))],
)  # fmt: skip
def test_ex4_minimised(digits, method, max_iter, cost, accuracy):
    X, y = digits
    Y, net = tg.one_hot(y, 10), ex4_network()

    def J():
        return F.binary_cross_entropy(net(X), Y, "batchmean") + F.l2_penalty(net, 1, 5000)

    found = tg.minimize(net, J, method, max_iter=max_iter, compiled=True, progress=False)
    assert cost[0] <= found.cost <= cost[1] and accuracy[0] <= tg.accuracy(tg.predict(net, X), y) <= accuracy[1]
    assert found.cost == pytest.approx(J().item(), rel=1e-14)
    assert found.evaluations <= 400 + 20 if method != "CG" else found.iterations == 50


# MNIST's zeros and ones


@pytest.mark.slow
def test_zeros_and_ones(data_folder):
    (X, y), (X_test, y_test) = datasets.load_mnist(data_folder / "mnist.npz")
    X, y, X_test, y_test = X[y < 2], y[y < 2].reshape(-1, 1), X_test[y_test < 2], y_test[y_test < 2]
    assert len(X) == 12665 and len(X_test) == 2115
    standardizer = tg.Standardizer(epsilon=1e-9).fit(X.astype(float))
    small = {"init": normal(np.random.RandomState(561), 0.01), "dtype": np.float32}  # half as long, the same digits
    net = tg.Sequential(tg.Dense(784, 10, **small), tg.ReLU(), tg.Dense(10, 1, **small), tg.Sigmoid())
    costs = descend(net, standardizer(X).astype(np.float32), y, F.binary_cross_entropy, 0.5, 500)
    assert f"{costs[24]:.6f} {costs[499]:.6f}" == "0.009138 0.000849"
    guess = tg.predict(net, standardizer(X_test).astype(np.float32))[:, 0] > 0.5
    assert np.flatnonzero(guess != y_test).tolist() == [1749, 2031]


# A general layered network


def test_linear_regression():
    x = np.arange(-2.0, 5).reshape(-1, 1)
    net = tg.Sequential(tg.Dense(1, 1, init=normal(np.random.RandomState(1), 0.01)))
    costs = descend(net, x, 2 * x + 1, F.mse_loss, 0.01, 1000)
    assert costs[:201:100] == pytest.approx(
        [24.643963268924306, 0.009408179907957642, 0.00043269013393172113], rel=1e-9
    )
    assert f"{net(np.array([[12.0]])).item():.8f}" == "25.00000019"


def test_titanic(data_folder):
    X, y = datasets.load_titanic(data_folder / "titanic.csv")
    y = y.reshape(-1, 1)
    net = tg.Sequential(tg.Dense(14, 1, init=normal(np.random.RandomState(1), 0.01)), tg.Sigmoid())
    costs = descend(net, X, y, F.binary_cross_entropy, 0.01, 8000)
    published = [
        0.6912384614194468, 0.5140056920509907, 0.4824062497934128, 0.4697113881273363, 0.46275860969195476,
        0.45807429458700816, 0.4544915367177524, 0.4515471545581365,
    ]  # fmt: skip
    assert costs[::1000] == pytest.approx(published, rel=1e-9)
    assert f"{tg.accuracy(tg.predict(net, X), y):.1%}" == "80.8%"


def test_rose():
    X, y = datasets.rose()
    y = y.reshape(-1, 1)
    line = tg.Sequential(tg.Dense(2, 1, init=normal(np.random.RandomState(1), 0.01)), tg.Sigmoid())
    assert f"{descend(line, X, y, F.binary_cross_entropy, 1.2, 1)[0]:.5f}" == "0.69277"
    small = normal(np.random.RandomState(1), 0.01)
    net = tg.Sequential(tg.Dense(2, 4, init=small), tg.Tanh(), tg.Dense(4, 1, init=small), tg.Sigmoid())
    costs = descend(net, X, y, F.binary_cross_entropy, 1.2, 3001)
    published = [0.6931058695708833, 0.018725110460137, 0.01096037547619666, 0.00772326440782006]
    assert costs[::1000] == pytest.approx(published, rel=1e-6)


@pytest.mark.slow
def test_the_image(data_folder):
    """The recommended setting: L-BFGS-B from He's initial weights. 0.0888 is where the article's 28,000 steps end."""
    threadpoolctl = pytest.importorskip("threadpoolctl", reason="needs the extra examples")
    with np.load(data_folder / "may_the_fourth.npz") as file:
        X, Y = np.ascontiguousarray(file["X"].T), file["Y"].T.astype(float)
    rng, layers = np.random.default_rng(1), []
    for sizes in ((2, 27), (27, 31), (31, 31), (31, 1)):
        layers += [tg.Dense(*sizes, init="he_normal", rng=rng), tg.ReLU()]
    net = tg.Sequential(*layers[:-1], tg.Sigmoid())
    assert net.num_parameters == 1973 and len(X) == 9400
    reached = []

    def after_iteration(state):
        if state.cost < 0.0888 or state.evaluations > 5580:
            reached.append(state)
            raise StopIteration

    with threadpoolctl.threadpool_limits(1):  # as the script finds to be faster
        tg.minimize(net, lambda: F.binary_cross_entropy(net(X), Y), "L-BFGS-B", max_iter=5600, compiled=True,
                    callback=after_iteration, progress=False)  # fmt: skip
    assert reached[0].cost < 0.0888 and reached[0].evaluations <= 5600
