"""Transforms inside what is traced: the loss of a physics-informed network, for example."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg

POINTS = np.linspace(-1.0, 1.0, 12)[:, None]


def network():
    return tg.Sequential(tg.Dense(1, 5, rng=1), tg.Tanh(), tg.Dense(5, 1, rng=2))


def slope(u):
    return tg.grad(lambda x: np.sum(u(x)))


LOSSES = {
    "u' = cos": lambda u, x: np.mean((slope(u)(x) - np.cos(x)) ** 2) + u(np.zeros((1, 1))).sum() ** 2,
    "u'' = −sin": lambda u, x: np.mean((slope(slope(u))(x) + np.sin(x)) ** 2) + np.mean(u(x) ** 2),
    "at points of its own": lambda u, x: np.mean((slope(u)(POINTS) - 1) ** 2) + np.sum(u(x)),
    "at a number": lambda u, x: tg.grad(lambda s: np.sum(u(s * x)))(2.0) ** 2 + np.sum(u(x)),
    "value_and_grad": lambda u, x: np.sum(tg.value_and_grad(lambda t: np.sum(u(t) ** 2))(x)[1] ** 2) + np.sum(u(x)),
    "vjp": lambda u, x: np.sum(tg.vjp(u, x)[1](np.ones(x.shape))[0] ** 2) + np.sum(u(x)),
    "jacobian": lambda u, x: np.sum(tg.jacobian(lambda t: u(t)[:, 0])(x) ** 2) + np.sum(u(x)),
    "hessian": lambda u, x: np.sum(tg.hessian(lambda t: np.sum(u(t) ** 2))(x) ** 2) + np.sum(u(x)),
    "hvp": lambda u, x: np.sum(tg.hvp(lambda t: np.sum(u(t) ** 2), x, np.ones_like(POINTS)) ** 2) + np.sum(u(x)),
    "of a parameter": lambda u, x: np.sum(tg.grad(lambda w: np.sum((x @ w) ** 2))(u[0].weight) ** 2) + np.sum(u(x)),
    "one after the other": lambda u, x: (
        np.sum(tg.grad(lambda w: np.sum(w**2 * tg.grad(lambda v: np.sum((x @ v) ** 2))(u[0].weight)))(u[0].weight) ** 2)
        + np.sum(tg.hessian(lambda w: np.sum(np.tanh(w) * slope(u)(x)[0]))(u[0].weight) * 0.1)
        + np.sum(u(x))
    ),
    "jvp": lambda u, x: np.sum(tg.jvp(u, (x,), (np.cos(POINTS),))[1] ** 2) + np.sum(tg.jvp(np.sin, (x,), (u(x),))[1]),
    "jvp of a jvp": lambda u, x: (
        np.sum(tg.jvp(lambda t: tg.jvp(u, (t,), (POINTS,))[1] ** 2, (x,), (POINTS + 2,))[1]) + np.sum(u(x))
    ),
    "of a jvp": lambda u, x: np.sum(slope(lambda t: tg.jvp(u, (t,), (t**2,))[1])(x) ** 2) + np.sum(u(x)),
    "element by element": lambda u, x: np.mean((tg.elementwise_grad(tg.elementwise_grad(u))(x) + u(x)) ** 2),
    "by name": lambda u, x: np.sum(tg.grad(lambda k, t: np.sum(u(k * t)), "t")(2.0, t=x) ** 2) + np.sum(u(x)),
    "of the parameters": lambda u, x: (
        sum(np.sum(g**2) for g in tg.grad(lambda: np.mean(u(x) ** 2), parameters=u)()) + np.sum(u(x))
    ),
    "curvature": lambda u, x: (
        np.sum(
            tg.hessian(lambda t: np.mean(u(t) ** 2), parameters={"b": u[2].bias, "w": u[2].weight})(x)["w"]["b"] ** 2
        )
        + np.sum(tg.hvp(lambda: np.mean(u(x) ** 4), np.ones(5), parameters=u[0].bias) ** 2)
        + np.sum(u(x))
    ),
    "under no_grad": lambda u, x: np.sum(tg.no_grad(slope(u))(x) * u(x)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_compiled_and_derived_as_recorded(name):
    x = np.random.default_rng(0).normal(size=(12, 1))
    runs = []
    for compiled in (False, True):
        u = network()
        optimizer = tg.SGD(u.parameters(), lr=0.01)
        step = tg.compile_step(lambda x, u=u: LOSSES[name](u, x), optimizer)
        losses = []
        for _ in range(3):
            if compiled:
                losses.append(step(x))
            else:
                optimizer.zero_grad()
                loss = LOSSES[name](u, x)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
        runs.append([*losses, *(p.data.ravel() for p in u.parameters())])
    for recorded, found in zip(*runs, strict=True):
        np.testing.assert_allclose(found, recorded, rtol=1e-10)

    u = network()
    d = tg.derive(lambda x: LOSSES[name](u, x), x, parameters=u)
    loss = LOSSES[name](u, x)
    loss.backward()
    names = {}
    exec(d.source, names)
    for value, gradients in (d(x), names["value_and_gradients"](x, *(p.data for p in u.parameters()))):
        np.testing.assert_allclose(value, loss.item(), rtol=1e-10)
        for p, g in zip(u.parameters(), gradients, strict=True):
            np.testing.assert_allclose(np.zeros(p.shape) if g is None else g, p.grad, rtol=1e-8, atol=1e-12)


def test_arrays_in_a_trace_are_differentiated_as_elsewhere():
    with pytest.raises(TypeError, match="only real floats have a gradient"):
        tg.derive(lambda x: np.sum(x) * tg.grad(lambda k: k * 2)(3), np.ones(2))
    with pytest.raises(ValueError, match="only a single number has a gradient"):
        tg.derive(lambda x: np.sum(tg.grad(lambda t: t * 2)(x)), np.ones(2))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda u, x: tg.jvp(lambda t: t * float(u(t)[0, 0]), (x,), (x,))[1],
        lambda u, x: tg.elementwise_grad(lambda t: t * u(t).tolist()[0][0])(x),
        lambda u, x: tg.hvp(lambda: np.sum(u(x)) * float(u[2].bias[0]), [np.ones(1)], parameters=[u[2].bias])[0],
    ],
)
def test_numbers_do_not_leave_a_trace(wrong):
    u = network()
    with pytest.raises(TypeError, match=r"test_transforms.py:\d+ .* inside a transform its derivative would be lost"):
        tg.derive(lambda x: np.sum(wrong(u, x)), POINTS, parameters=u)
