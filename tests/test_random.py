"""The package's random numbers: NumPy's, with gradients, and drawn anew by what is compiled."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg


def test_they_are_those_of_numpy_s_generator():
    def rng():
        return np.random.default_rng(5)

    assert np.array_equal(tg.random.normal(1.0, 2.0, (3, 2), rng=5), rng().normal(1.0, 2.0, (3, 2)))
    assert np.array_equal(tg.random.uniform(-1, 1, 4, rng=5), rng().uniform(-1, 1, 4))
    assert np.array_equal(tg.random.uniform(size=4, dtype=np.float32, rng=5), rng().random(4, np.float32))
    assert np.array_equal(tg.random.integers(3, 9, 7, rng=5), rng().integers(3, 9, 7))
    assert np.array_equal(tg.random.integers(9, rng=5), rng().integers(9))
    assert np.array_equal(tg.random.permutation(7, rng=5), rng().permutation(7))
    x = np.arange(8.0).reshape(4, 2)
    assert np.array_equal(tg.random.permutation(x, rng=5), rng().permutation(x))
    assert np.array_equal(tg.random.permutation([3, 1, 2], rng=5), rng().permutation([3, 1, 2]))
    assert np.array_equal(tg.random.bernoulli(0.3, (2, 3), rng=5), rng().random((2, 3)) < 0.3)


def test_shapes_and_dtypes():
    assert tg.random.normal(np.zeros(3), np.ones((2, 1))).shape == (2, 3)
    assert tg.random.normal(np.zeros(3, np.float32), np.float32(2)).dtype == np.float32
    assert tg.random.normal(np.zeros(3, np.float32), dtype=np.float32).dtype == np.float32
    assert tg.random.uniform([0, 10], [1, 11]).astype(int).tolist() == [0, 10]
    assert isinstance(tg.random.normal(), np.float64) and tg.random.normal(size=()).shape == ()
    for drawn in (tg.random.normal, tg.random.uniform):  # the dtype is that asked for, whatever loc and scale have
        assert drawn(np.zeros(3), np.float64(2), dtype=np.float32).dtype == np.float32
        assert drawn(np.float32(0), np.ones(3, np.float32), dtype=np.float64).dtype == np.float64
        loc = tg.Tensor(np.zeros(3), requires_grad=True)
        drawn(loc, dtype=np.float32).sum().backward()
        assert loc.grad.dtype == np.float64 and loc.grad.shape == (3,)
    assert tg.random.uniform(size=100_000, dtype=np.float16, rng=0).max() < 1
    assert tg.random.uniform(size=2, dtype=np.float16).dtype == np.float16
    assert tg.random.bernoulli(np.array([0.0, 1.0]), dtype=bool).tolist() == [False, True]
    assert tg.random.bernoulli(1).dtype == np.float64 and tg.random.integers(5, size=2).dtype == np.int64
    tg.manual_seed(3)
    a = tg.random.normal(size=2)
    tg.manual_seed(3)
    assert np.array_equal(a, tg.random.normal(size=2))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: tg.random.normal(scale=-1.0), "normal: scale must be at least 0, got -1.0"),
        (lambda: tg.random.bernoulli(1.5), "bernoulli: p must be a probability, from 0 to 1, not 1.5"),
        (lambda: tg.random.bernoulli(np.nan), "bernoulli: p must be a probability"),
        (lambda: tg.random.integers(0), "integers: there is no whole number from 0 to 0 - 1"),
        (lambda: tg.random.integers(5, 2), "integers: there is no whole number from 5 to 2 - 1"),
        (lambda: tg.random.normal(np.zeros(3), size=1), r"size \(1,\) does not fit what is given, .* shape \(3,\)"),
        (lambda: tg.random.normal(np.zeros(3), size=()), r"size \(\) does not fit what is given"),
        (lambda: tg.random.integers(5.5), "'float' object cannot be interpreted as an integer"),
        (lambda: tg.random.permutation(5.7), "'float' object cannot be interpreted as an integer"),
        (lambda: tg.random.permutation(-1), "permutation: there are no -1 numbers"),
        (lambda: tg.random.normal(size=2.0), "'float' object cannot be interpreted as an integer"),
        (lambda: tg.random.normal(rng="0"), "rng must be a numpy.random.Generator, an int seed or None, not str"),
    ],
)
def test_impossible_wishes(call, said):
    with pytest.raises((ValueError, TypeError), match=said):
        call()
    with pytest.raises(TypeError, match="use integers for whole numbers"):
        tg.random.normal(dtype=int)


def test_gradients_flow_through_them():
    mean, spread = tg.Tensor([1.0, 2.0], requires_grad=True), tg.Tensor([0.5, 3.0], requires_grad=True)
    noise = np.random.default_rng(0).standard_normal(2)
    tg.random.normal(mean, spread, rng=0).sum().backward()
    assert mean.grad.tolist() == [1, 1] and np.array_equal(spread.grad, noise)
    low = tg.Tensor(1.0, requires_grad=True)
    tg.random.uniform(low, 3.0, rng=0).backward()
    assert low.grad == pytest.approx(1 - np.random.default_rng(0).random())
    x = tg.Tensor(np.arange(3.0), requires_grad=True)
    (tg.random.permutation(x, rng=0) * [1.0, 2.0, 3.0]).sum().backward()
    assert x.grad[np.random.default_rng(0).permutation(3)].tolist() == [1, 2, 3]
    p = tg.Tensor(0.5, requires_grad=True)
    assert not isinstance(tg.random.bernoulli(p, 3), tg.Tensor)


def noisy(net, x, rng):
    """A loss that draws in every way."""
    h = net(x)
    z = h + tg.random.normal(size=h.shape, rng=rng) * 0.1 + tg.random.normal(h, 0.1, rng=rng)
    z = z * tg.random.bernoulli(0.5, h.shape, rng=rng) + tg.random.uniform(-1, 1, h.shape, rng=rng)
    z = tg.random.permutation(z, rng=rng) * z[tg.random.integers(len(x), size=len(x), rng=rng)]
    return np.mean((z - x[tg.random.permutation(len(x), rng=rng)]) ** 2)


@pytest.mark.parametrize("seeded", ["the package's", "a generator", "a seed"])
def test_compiled_steps_draw_anew_and_what_recorded_ones_draw(seeded):
    x = np.random.default_rng(1).normal(size=(6, 2))
    runs = []
    for compiled in (False, True):
        tg.manual_seed(0)
        rng = {"the package's": None, "a generator": np.random.default_rng(2), "a seed": 3}[seeded]
        net = tg.Dense(2, 2, rng=0)
        optimizer = tg.SGD(net.parameters(), lr=0.1)
        step = tg.compile_step(lambda x, net=net, rng=rng: noisy(net, x, rng), optimizer)
        losses = []
        for _ in range(4):
            if compiled:
                losses.append(step(x))
            else:
                optimizer.zero_grad()
                loss = noisy(net, x, rng)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
        runs.append(losses)
    np.testing.assert_allclose(runs[0], runs[1], rtol=1e-12)
    assert len(set(runs[0])) == 4


def test_a_derivation_draws_anew_and_its_source_says_where():
    net = tg.Dense(2, 2, rng=0)
    derived = tg.derive(lambda x: noisy(net, x, None), np.ones((12, 2)), parameters=net)
    assert derived(np.ones((12, 2)))[0] != derived(np.ones((12, 2)))[0]
    source = derived.source
    for drawn in ("standard_normal((m, 2))", "random((m, 2))", "permutation(m)", "randint(0, m, (m,))"):
        assert f"np.random.{drawn}" in source
    names = {}
    exec(source, names)
    run = names["value_and_gradients"]
    assert np.isfinite(run(np.ones((5, 2)), net.weight.data, net.bias.data)[0]) and r"\mathcal{N}" in derived.latex()
    single = tg.derive(lambda x: np.sum(x * tg.random.normal(size=x.shape, dtype=np.float32)), np.ones(3, np.float32))
    assert "np.random.standard_normal((m,)).astype(np.float32)" in single.source


def test_numbers_that_nobody_needs_are_drawn_as_well():
    """Or the next ones would be others than in a recorded step."""

    def loss(x):
        tg.random.normal(size=3), tg.dropout(x, 0.5), tg.random.permutation(4)
        return np.sum(x * tg.random.normal(size=3) * p)

    p = tg.Tensor(np.ones(3), requires_grad=True)
    tg.manual_seed(0)
    expected = [loss(np.ones(3)).item() for _ in range(3)]
    tg.manual_seed(0)
    step = tg.compile_step(loss, tg.SGD([p], lr=0.0))
    np.testing.assert_allclose([step(np.ones(3)) for _ in range(3)], expected, rtol=1e-12)
    with pytest.raises(TypeError, match=r"mask has a generator made anew \(make it once, outside of the function\)"):
        tg.compile_step(lambda x: np.sum(tg.Dropout(0.5, rng=1)(x) * p), tg.SGD([p], lr=0.1))(np.ones(3))
