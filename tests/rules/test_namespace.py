"""`import tinygrad_edu.numpy as np`: NumPy code as people write it is differentiated."""

from __future__ import annotations

import doctest
import inspect
import itertools
import math
import subprocess
from collections import namedtuple
from dataclasses import dataclass

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tests.rules.test_numpy as calls
import tinygrad_edu as tg
import tinygrad_edu.numpy as np
from tests.rules.test_numpy import outputs
from tinygrad_edu.autograd.primitives import FUNCTIONS


def close(found, wanted):
    assert not isinstance(found, tg.Tensor)  # arrays in, arrays out
    numpy.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-10)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def data(m=7, n=3, k=4):
    rng = numpy.random.default_rng(0)
    return rng.normal(size=(m, n)), rng.integers(k, size=m), rng


# Cost functions of courses, with the gradients that their exercises ask for


def cost_sample_by_sample(theta, X, y):
    """Logistic regression, as in the second exercise of the machine-learning course."""
    costs = np.zeros(len(y))
    for i in range(len(y)):
        h = sigmoid(np.dot(X[i], theta))
        costs[i] = -y[i] * np.log(h) - (1 - y[i]) * np.log(1 - h)
    return np.mean(costs)


def test_a_loop_over_samples():
    X, labels, rng = data()
    X, y, theta = np.c_[np.ones(len(X)), X], labels % 2, rng.normal(size=4)
    h = sigmoid(X.numpy() @ theta)
    close(tg.grad(cost_sample_by_sample)(theta, X, y), X.numpy().T @ (h - y) / len(y))
    close(tg.hessian(cost_sample_by_sample)(theta, X, y), X.numpy().T * (h * (1 - h)) @ X.numpy() / len(y))
    w = tg.Tensor(theta, requires_grad=True)
    cost_sample_by_sample(w, X, y).backward()
    close(w.grad, X.numpy().T @ (h - y) / len(y))


def network(unrolled, X, y, hidden, k, weight):
    """The network of the fourth exercise: parameters in one vector, labels made rows of 0 and 1 one by one."""
    m, n = X.shape
    theta1 = np.reshape(unrolled[: hidden * (n + 1)], (hidden, n + 1))
    theta2 = unrolled[hidden * (n + 1) :].reshape(k, hidden + 1)
    Y = np.zeros((m, k))
    for i in range(m):
        Y[i, y[i]] = 1
    a1 = np.c_[np.ones(m), X]
    a2 = np.hstack([np.ones((m, 1)), sigmoid(a1 @ theta1.T)])
    h = sigmoid(a2.dot(theta2.T))
    J = 0
    for i in range(m):
        for j in range(k):
            J += -Y[i, j] * np.log(h[i, j]) - (1 - Y[i, j]) * np.log(1 - h[i, j])
    return J / m + weight / (2 * m) * (np.sum(theta1[:, 1:] ** 2) + np.sum(theta2[:, 1:] ** 2))


def backpropagated(theta1, theta2, X, y, weight):
    m, k = len(X), len(theta2)
    a1 = numpy.c_[numpy.ones(m), X]
    z2 = a1 @ theta1.T
    a2 = numpy.c_[numpy.ones(m), 1 / (1 + numpy.exp(-z2))]
    d3 = 1 / (1 + numpy.exp(-a2 @ theta2.T)) - numpy.eye(k)[y]
    d2 = (d3 @ theta2)[:, 1:] * (a2 * (1 - a2))[:, 1:]
    grad1, grad2 = d2.T @ a1 / m, d3.T @ a2 / m
    grad1[:, 1:] += weight / m * theta1[:, 1:]
    grad2[:, 1:] += weight / m * theta2[:, 1:]
    return numpy.r_[grad1.ravel(), grad2.ravel()]


def test_a_network_whose_parameters_are_unrolled():
    X, y, rng = data()
    theta1, theta2 = rng.normal(size=(5, 4)), rng.normal(size=(4, 6))
    unrolled = np.r_[theta1.ravel(), theta2.ravel()]
    assert type(unrolled) is numpy.ndarray
    wanted = backpropagated(theta1, theta2, X, y, 0.7)
    close(tg.grad(network)(unrolled, X, y, 5, 4, 0.7), wanted)
    joined = lambda a, b: network(np.r_[a.ravel(), b.ravel()], X, y, 5, 4, 0.7)
    parts = tg.grad(joined, argnums=(0, 1))(theta1, theta2)
    close(np.concatenate([part.ravel() for part in parts]), wanted)


def test_equations_in_a_list():
    f = lambda x: np.array([x[0] ** 2 + x[1], np.sin(x[0] * x[1]), 3.0])
    x = numpy.array([0.5, -1.5])
    c = numpy.cos(x[0] * x[1])
    close(tg.jacobian(f)(x), [[2 * x[0], 1], [c * x[1], c * x[0]], [0, 0]])
    s = numpy.sin(x[0] * x[1])
    mixed = c - x[0] * x[1] * s
    close(tg.jacobian(tg.jacobian(f))(x)[1], [[-(x[1] ** 2) * s, mixed], [mixed, -(x[0] ** 2) * s]])


def test_a_matrix_that_is_filled():
    def rotated(angle, x):
        R = np.eye(3)
        R[0, 0] = R[1, 1] = np.cos(angle)
        R[:2, :2] += np.array([[0.0, -np.sin(angle)], [np.sin(angle), 0.0]])
        return R @ x

    x = numpy.array([1.0, 2.0, 3.0])
    close(tg.jacobian(rotated)(0.3, x), [-numpy.sin(0.3) - 2 * numpy.cos(0.3), numpy.cos(0.3) - 2 * numpy.sin(0.3), 0])


def test_steps_through_time():
    def end(rate, start=2.0, steps=30, h=0.1):
        path = np.empty((steps + 1, 2))
        path[0] = start, 0.0
        for k in range(steps):
            path[k + 1] = path[k] + h * np.array([-rate * path[k, 0], rate * path[k, 0]])
        return path[-1]

    close(tg.jacobian(end)(0.5), numpy.array([-1.0, 1.0]) * 2 * 30 * 0.1 * (1 - 0.05) ** 29)


def test_a_convolution_in_four_loops():
    def conv(w, image):
        out = np.zeros((3, 3), dtype=image.dtype)
        for i in range(3):
            for j in range(3):
                out[i, j] = np.sum(image[i : i + 2, j : j + 2] * w)
        return np.sum(np.maximum(out, 0.0) ** 2)

    rng = numpy.random.default_rng(1)
    image, w = rng.normal(size=(4, 4)), rng.normal(size=(2, 2))
    windows = numpy.lib.stride_tricks.sliding_window_view(image, (2, 2))
    out = numpy.maximum(numpy.einsum("ijkl,kl->ij", windows, w), 0)
    close(tg.grad(conv)(w, image), 2 * numpy.einsum("ij,ijkl->kl", out, windows))
    assert tg.grad(conv)(w.astype(numpy.float32), image.astype(numpy.float32)).dtype == numpy.float32


# What makes arrays

MAKING = [
    lambda np: np.zeros(3),
    lambda np: np.zeros((2, 3), dtype=numpy.float32),
    lambda np: np.zeros([2, 0], order="F"),
    lambda np: np.zeros(shape=2, dtype=int),
    lambda np: np.ones((2, 2), bool),
    lambda np: np.ones(()),
    lambda np: np.zeros_like(numpy.ones((2, 3)), dtype="f4", shape=(3,)),
    lambda np: np.ones_like([1.0, 2.0]),
    lambda np: np.ones_like([1, 2]),
    lambda np: np.full((2, 2), 1.5),
    lambda np: np.full(3, 7),
    lambda np: np.full((2, 2), [1.0, 2.0], numpy.float32),
    lambda np: np.full_like(numpy.ones((2, 2), "f4"), 1.5),
    lambda np: np.full_like([1, 2], 1.5),
    lambda np: np.eye(3),
    lambda np: np.eye(3, 4, k=1, dtype=int),
    lambda np: np.identity(2),
    lambda np: np.arange(4),
    lambda np: np.arange(1.5, 4, 0.25),
    lambda np: np.arange(4, dtype=float),
    lambda np: np.arange(0, 4, dtype="f4"),
    lambda np: np.linspace(0, 1, 5),
    lambda np: np.linspace([0, 1], 2.0, num=4, endpoint=False, axis=1),
    lambda np: np.linspace(0, 1, 3, retstep=True)[0],
    lambda np: np.linspace(0, 6, 4, dtype=int),
    lambda np: np.array([[1.0, 2.0], [3.0, 4.0]]),
    lambda np: np.array([1, 2], dtype=float, ndmin=3),
    lambda np: np.asarray([1.0], dtype="f4"),
    lambda np: np.r_[1.0, 0:3, [2, 3]],
    lambda np: np.r_["0,2", [1, 2], [3, 4]],
    lambda np: np.r_[0:1:5j],
    lambda np: np.c_[numpy.ones(2), [3, 4]],
]
FILLED = "zeros", "ones", "full", "eye", "identity", "arange", "linspace"


@pytest.mark.parametrize("make", MAKING, ids=range(len(MAKING)))
def test_values_are_numpy_s(make):
    wanted, found = make(numpy), make(np)
    assert isinstance(found, tg.Tensor) == (wanted.dtype.kind == "f" and make.__code__.co_names[0].startswith(FILLED))
    values = found.numpy() if isinstance(found, tg.Tensor) else found
    assert values.dtype == wanted.dtype and values.shape == wanted.shape and numpy.array_equal(values, wanted)


def test_of_tensors_they_give_numpy_s_values_too():
    t = tg.Tensor([1.0, 2.0], requires_grad=True)
    assert not np.zeros_like(t).requires_grad and np.ones_like(t).tolist() == [1, 1]
    assert np.empty_like([t, t]).shape == (2, 2) and np.empty(2, "f4").dtype == numpy.float32
    assert np.full_like(numpy.ones(2), t).requires_grad and np.full_like([1.0, 2.0], t[0]).tolist() == [1, 1]
    assert np.full((3, 2), t).tolist() == [[1, 2]] * 3 and np.full((2, 2), [t[0], 3.0]).requires_grad
    assert np.full(2, t[0], numpy.float32).dtype == numpy.float32
    filled = np.full(3, t[0])
    filled[1] = t[1]
    filled.sum().backward()
    assert t.grad.tolist() == [2, 1]


@pytest.mark.parametrize("numbers", [(0.0, 1.0, 5), (2.0, -1.0, 4), (0.5, 0.5, 3), (1.0, 3.0, 1), (1.0, 3.0, 0)])
def test_of_numbers_between_tensors(numbers):
    start, stop, n = numbers
    for options in ({}, {"endpoint": False}, {"dtype": numpy.float32}, {"dtype": int}):
        found = np.linspace(tg.Tensor(start), stop, n, **options)
        wanted = numpy.linspace(start, stop, n, **options)
        assert found.dtype == wanted.dtype and numpy.array_equal(found.numpy(), wanted)
    if start != stop and n > 1:
        assert np.linspace(tg.Tensor(start), stop, 2, retstep=True)[1].item() == stop - start
    for options in ({}, {"dtype": numpy.float32}, {"dtype": int}):
        found, wanted = np.geomspace(tg.Tensor(1), 8, n, **options), numpy.geomspace(1, 8, n, **options)
        assert found.dtype == wanted.dtype and numpy.allclose(found.numpy(), wanted, rtol=1e-6)
        assert np.linspace(tg.Tensor(1), 4, n, **options).dtype == numpy.linspace(1, 4, n, **options).dtype
    assert tg.gradcheck(lambda a, b: np.linspace(a, b, 4, axis=1), numpy.ones(2), numpy.array([2.0, 3.0]), order=2)
    assert tg.gradcheck(lambda a: np.linspace(a, 3.0, 4, endpoint=False, retstep=True)[1], 1.0)
    wanted = numpy.arange(start, stop + 3, 0.3)
    assert np.allclose(np.arange(tg.Tensor(start), stop + 3, 0.3), wanted, rtol=1e-15)
    assert tg.jacobian(lambda a: np.arange(a, 3.5, 1.0))(1.0).tolist() == [1, 1, 1]
    assert np.arange(tg.Tensor(3.0)).tolist() == [0, 1, 2]
    assert np.linspace(tg.Tensor(1), 4, 3).tolist() == [1, 2.5, 4] and np.linspace(0, 1, 3, retstep=True)[1] == 0.5
    assert np.c_[tg.Tensor(numpy.ones((1, 2, 3))), numpy.zeros((1, 2, 1))].tolist() == [[[1, 1, 1, 0], [1, 1, 1, 0]]]
    two = tg.Tensor(2.0)
    for found in (np.arange(two, stop=9), np.arange(start=two, stop=9), np.arange(two, 9, None)):
        assert found.tolist() == [2, 3, 4, 5, 6, 7, 8]
    for found in (np.arange(9, step=two), np.arange(stop=9, step=two), np.arange(9, None, two)):
        assert found.tolist() == [0, 2, 4, 6, 8]
    assert np.arange(9, two, -two).tolist() == [9, 7, 5, 3]
    assert np.arange(two, 9, 1, numpy.float32).dtype == numpy.float32


# Joining


@dataclass
class Leaf:
    kind: str
    shape: tuple[int, ...]


@st.composite
def nested(draw, shape):
    """Lists in lists of numbers, arrays and tensors, which together have this shape."""
    kind = draw(st.sampled_from(["list", "tuple", "array", "tensor"] if shape else ["number", "tensor"]))
    if kind in ("array", "tensor", "number"):
        return Leaf(kind, shape)
    parts = [draw(nested(shape[1:])) for _ in range(shape[0])]
    return tuple(parts) if kind == "tuple" else parts


def read(value, tensors, make, count):
    """The lists with numbers in them that all differ, and the tensors made by `make`, which are noted."""
    if isinstance(value, list | tuple):
        return type(value)(read(v, tensors, make, count) for v in value)
    if not isinstance(value, Leaf):
        return value
    numbers = numpy.array([next(count) for _ in range(math.prod(value.shape))]).reshape(value.shape)
    if value.kind == "tensor":
        tensors.append(make(numbers))
        return tensors[-1]
    return numbers if value.kind == "array" else float(numbers)


def agree(function, structure):
    """The value is NumPy's, and each element's gradient is what went to its place."""
    distinct = lambda: itertools.count(10.5)
    wanted = function(numpy, read(structure, [], lambda x: x, distinct()))
    tensors = []
    found = function(np, read(structure, tensors, lambda x: tg.Tensor(x, requires_grad=True), distinct()))
    assert isinstance(found, tg.Tensor) == bool(tensors)
    values = found.numpy() if tensors else found
    assert values.shape == wanted.shape and values.dtype == wanted.dtype and numpy.array_equal(values, wanted)
    if tensors:
        weights = numpy.cos(numpy.arange(found.size)).reshape(found.shape)
        (found * weights).sum().backward()
        for t in tensors:
            for x, g in zip(numpy.ravel(t.data), numpy.ravel(t.grad), strict=True):
                assert g == weights[found.numpy() == x]


@settings(max_examples=60)
@given(st.sampled_from([(2,), (3, 2), (2, 1, 2), (1, 3)]).flatmap(nested))
def test_nested_lists(structure):
    agree(lambda np, x: np.array(x), structure)
    agree(lambda np, x: np.asarray(x), structure)
    agree(lambda np, x: np.array(x, ndmin=4), structure)


@settings(max_examples=60)
@given(st.data())
def test_r_and_c(data):
    vectors = st.sampled_from([(), (2,), (3,)]).flatmap(nested)
    items = tuple(data.draw(st.lists(vectors, min_size=1, max_size=4)))
    agree(lambda np, x: np.r_[x], items)
    agree(lambda np, x: np.r_[(*x, slice(0, 3))], items)
    columns = tuple(data.draw(st.lists(st.sampled_from([(2,), (2, 3)]).flatmap(nested), min_size=1, max_size=4)))
    agree(lambda np, x: np.c_[x], columns)
    agree(lambda np, x: np.r_[x], tuple(data.draw(st.lists(nested((2, 3)), min_size=1, max_size=3))))


def test_dtypes_of_what_is_joined():
    t = tg.Tensor(numpy.ones(2, numpy.float32), requires_grad=True)
    assert np.r_[t, 1.0].dtype == np.c_[t, [1, 2]].astype(numpy.float32).dtype == numpy.float32
    assert np.r_[t, numpy.ones(1)].dtype == numpy.float64
    assert np.array([t, t]).dtype == np.array(t).dtype == numpy.float32
    assert np.array([t, t], dtype=float).dtype == np.asarray(t, float).dtype == numpy.float64
    assert np.asarray(t) is t and np.asanyarray(t) is t and np.array(t) is not t
    assert len(np.r_) == len(np.c_) == 0


# All the functions of NumPy


@pytest.mark.parametrize("k", range(len(calls.CALLS)))
def test_functions_give_what_numpy_s_give(k, monkeypatch):
    """The calls of `test_numpy.py`, with the namespace in place of NumPy."""
    _, call, shapes = calls.CALLS[k]
    rng = numpy.random.default_rng(k)
    arrays = [rng.normal(size=shape) for shape in shapes]
    wanted = outputs(call(*arrays))
    leaves = lambda: [tg.Tensor(x, requires_grad=True) for x in arrays]
    flowing = lambda ys: sum(y.sum() for y in ys if isinstance(y, tg.Tensor) and y.requires_grad)
    usual = leaves()
    flowing(outputs(call(*usual))).backward()
    monkeypatch.setattr(calls, "np", np)
    monkeypatch.setattr(calls, "L", np.linalg)
    tensors = leaves()
    found = outputs(call(*tensors))
    flowing(found).backward()
    for a, b in zip(wanted, found, strict=True):
        b = b.numpy() if isinstance(b, tg.Tensor) else b
        assert numpy.array_equal(a, b) or numpy.allclose(a, b, rtol=1e-14, atol=1e-300)
    for a, b in zip(usual, tensors, strict=True):
        assert numpy.array_equal(a.grad, b.grad)


# Of these functions, the first argument says something else, or they take several arrays, or give text or files.
NOT_OF_ONE = {"choose", "compress", "einsum", "extract", "searchsorted", "select", "where", "resize", "iscomplexobj"}
NOT_OF_ONE |= {"empty_like", "histogram", "poly"}  # of any values, refused


def of_one_array():
    """The names of functions in the table that can be called with one array."""
    for name in sorted(set(dir(numpy)) - NOT_OF_ONE):
        function = getattr(numpy, name)
        if callable(function) and function in FUNCTIONS and not isinstance(function, numpy.ufunc):
            try:
                wanted = function([[1.5, 2.5], [0.5, 4.0]])
            except (AttributeError, TypeError, ValueError):
                continue
            yield name, wanted


def test_lists_of_tensors_are_arrays():
    x = tg.Tensor([1.5, 2.5, 0.5, 4.0], requires_grad=True)
    found = dict(of_one_array())
    assert len(found) > 60 and {"sum", "mean", "max", "std", "prod", "cumsum", "sort", "transpose"} <= found.keys()
    for name, wanted in found.items():
        if name == "trim_zeros":  # of vectors only in NumPy 2.1
            continue
        result = getattr(np, name)([[x[0], 2.5], [x[2], x[3]]])
        for a, b in zip(outputs(wanted), outputs(result), strict=True):
            b = b.numpy() if isinstance(b, tg.Tensor) else b
            assert numpy.array_equal(a, b), name
    assert np.mean([x[0] * 2, x[1]]).requires_grad and np.sum((x, x), axis=0).shape == (4,)
    assert np.dot([x[0], x[1]], [x[2], 2.0]).item() == 5.75
    assert np.concatenate([[x[0], 1.0], numpy.ones(2)]).tolist() == [1.5, 1, 1, 1]
    assert np.vstack([[x[0], x[1]], [1.0, 2.0]]).shape == (2, 2)
    assert (
        np.stack([[x[0]], [2.0]], axis=1).tolist() == np.stack(arrays=[[x[0]], [2.0]], axis=1).tolist() == [[1.5, 2.0]]
    )


def test_ufuncs_keywords_and_linear_algebra_take_lists_of_tensors():
    def value(f):
        return lambda x: f([x[0], x[1] * 2.0])

    x = numpy.array([0.6, 0.4])
    a = numpy.array([0.6, 0.8])
    cases = [
        (value(np.linalg.norm), a * [1, 2]),
        (value(lambda p: np.sum(np.exp(p))), numpy.exp(a) * [1, 2]),
        (value(lambda p: np.sum(a=p)), [1, 2]),
        (value(lambda p: np.sum(np.maximum(p, 0.7))), [0, 2]),
        (value(lambda p: np.sum(np.multiply((2.0, 3.0), p))), [2, 6]),
        (value(lambda p: np.sum(np.multiply(tuple(p), 2.0))), [2, 4]),
        (value(lambda p: np.dot(p, p)), 2 * a * [1, 2]),
        (value(lambda p: np.dot(b=p, a=p)), 2 * a * [1, 2]),
        (value(lambda p: np.linalg.det([p, [1.0, 3.0]])), [3, -2]),
        (value(lambda p: np.linalg.multi_dot([numpy.eye(2), numpy.eye(2), np.array(p)])[0]), [1, 0]),
        (value(lambda p: np.sum(np.where([True, False], p, [p, p]))), [2, 4]),
        (value(lambda p: np.hypot(*p)), a * [1, 2]),
        (lambda x: np.sum(np.multiply(x, [x[0], 3.0])), [1.2, 3]),
        (value(lambda p: np.maximum.reduce(p)), [0, 2]),
        (value(lambda p: np.sum(np.multiply.outer(np.array(p), p))), [2.8, 5.6]),
    ]
    for f, wanted in cases:
        close(tg.grad(f)(x), wanted)
        assert tg.gradcheck(f, x, order=2)
    leaf = tg.Tensor(x, requires_grad=True)
    assert np.exp([leaf, leaf]).shape == (2, 2) and np.linalg.norm([leaf, leaf], axis=1).requires_grad
    assert np.add([1.0, 2.0], [3.0, 4.0]).tolist() == [4, 6] and np.exp(leaf).record.primitive.name == "exp"
    with pytest.raises(TypeError, match="cannot write a Tensor's result into an array"):
        np.exp(leaf, out=numpy.ones(2))


# Whoever differentiates


def filled(x):
    out = np.zeros(3)
    for i in range(3):
        out[i] = np.sum(np.array([x[i] ** 3, x[i - 1]]))
    return np.sum(np.r_[out, x[0]] ** 2)


def test_all_transforms():
    x = numpy.array([0.3, -0.8, 1.1])
    slope = tg.grad(filled)(x)
    value, again = tg.value_and_grad(filled)(x)
    assert type(value) is numpy.float64 and type(slope) is numpy.ndarray
    assert type(tg.grad(lambda x: np.sum(x) * np.ones(3)[0], has_aux=False)(x)) is numpy.ndarray
    close(again, slope)
    assert tg.gradcheck(filled, x, order=2)
    v = numpy.array([1.0, 2.0, 3.0])
    close(tg.hvp(filled, x, v), tg.hessian(filled)(x) @ v)
    close(tg.jvp(filled, (x,), (v,))[1], slope @ v)
    aux = tg.grad(lambda x: (np.sum(x), np.zeros(2)), has_aux=True)(x)[1]
    assert type(aux) is numpy.ndarray
    assert type(tg.value_and_grad(lambda x: np.ones(()))(x)[0]) is not tg.Tensor
    net = tg.Dense(3, 1, rng=0)
    model = lambda x: np.mean(np.array([net(x)[0, 0], net(2 * x)[0, 0]]))
    close(tg.grad(model, parameters=net)(x[None])[0], 1.5 * x[:, None])


def test_under_no_grad_values_are_filled_in():
    x = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    with tg.no_grad():
        assert not filled(x).requires_grad
    assert filled(x.detach()).item() == filled(x).item()


def test_derivations_and_compiled_steps():
    X, _, rng = data()
    w = rng.normal(size=4)
    y = rng.normal(size=len(X))

    def cost(w, X, y):
        z = np.c_[np.ones(len(X)), X] @ w
        parts = np.array([np.mean((z - y) ** 2), np.sum(np.full(2, w[0]))])
        return np.sum([parts[0], parts[1] * np.linspace(0.0, 1.0, 3)[1]])

    derived = tg.derive(cost, w, X, y)
    value, gradients = derived(w, X, y)
    wanted, slope = tg.value_and_grad(cost)(w, X, y)
    close(value, wanted)
    close(gradients[0], slope)
    close(derived(w, X[:3], y[:3])[1][0], tg.grad(cost)(w, X[:3], y[:3]))
    written = {}
    exec(derived.source, written)
    close(written["value_and_gradients"](w, X, y)[1][0], slope)
    p = tg.Tensor(w.copy(), requires_grad=True)
    q = tg.Tensor(w.copy(), requires_grad=True)
    step = tg.compile_step(lambda X, y: cost(p, X, y), tg.SGD([p], lr=0.1))
    optimizer = tg.SGD([q], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        cost(q, X, y).backward()
        optimizer.step()
        step(X, y)
    close(p.data, q.data)


def test_assignment_in_a_derivation_is_refused():
    with pytest.raises(TypeError, match=r"a tensor is assigned into at .*test_namespace.*Join parts by np\.stack"):
        tg.derive(filled, numpy.ones(3))
    derived = tg.derive(lambda x: np.sum(np.stack([x[0], x[1] ** 2])), numpy.ones(2))
    assert derived(numpy.array([1.0, 3.0]))[1][0].tolist() == [1, 6]


def test_what_arguments_are_when_they_are_left_out():
    t, a = tg.Tensor(2.0, requires_grad=True), numpy.ones(2)
    assert np.array(t).shape == np.array(2.0).shape == () and np.array([t, t], ndmin=2).shape == (1, 2)
    assert np.array(t, copy=False) is t and np.array(t) is not t
    assert np.array(a, copy=False) is a and np.array(a) is not a
    assert np.c_[t, 3.0].tolist() == [[2.0, 3.0]] and np.r_[t, 3.0].tolist() == [2.0, 3.0]
    assert np.linspace(1.0, t).shape == np.linspace(1.0, 2.0).shape == (50,)
    assert np.linspace(1.0, 2.0, 5, retstep=True)[1] == np.linspace(1.0, t, 5, retstep=True)[1] == 0.25
    assert np.linspace(t, 3.0, 3).tolist() == [2.0, 2.5, 3.0]


# Tensors without a gradient are arrays


def test_constants_go_where_arrays_go():
    t = np.linspace(0.0, 1.0, 5)
    assert isinstance(t, tg.Tensor)
    assert type(numpy.histogram(t, 2)[0]) is numpy.ndarray
    assert numpy.array_equal(numpy.fft.fft(t), numpy.fft.fft(t.numpy()))
    assert numpy.nextafter(t, 2.0)[-1] > 1 and numpy.polyfit(t, t, 1).round(9).tolist() == [1, 0]
    a = numpy.ones(5)
    a += t
    a[:2] = t[3:]
    assert a.tolist() == [0.75, 1, 1.5, 1.75, 2]
    assert list(map(float, t[1:3])) == [0.25, 0.5] and f"{t[1]:.1f}" == "0.2"
    assert round(t[1]) == 0 and type(round(t[1])) is int and round(t, 1).tolist() == [0, 0.2, 0.5, 0.8, 1]
    assert tg.gradcheck(lambda x: np.sum(x**2), np.ones(2)) and tg.gradcheck(lambda x, c: x * c, numpy.ones(2), t[:2])
    assert [g.tolist() for g in tg.numerical_gradient(lambda x, c: np.sum(x * c), 2.0, t[1])] == [pytest.approx(0.25)]
    leaf = tg.Tensor(numpy.ones(5), requires_grad=True)
    for lost in (lambda: numpy.fft.fft(leaf), lambda: numpy.append(t, leaf).__array__(), lambda: numpy.fft.fft([leaf])):
        with pytest.raises(TypeError, match="gradient"):
            lost()
    with pytest.raises(TypeError, match=r"a = a \+ t"):
        a += leaf
    numpy.copyto(t, 1.0)
    numpy.fill_diagonal(square := np.eye(2), 3.0)
    assert t.tolist() == [1] * 5 and square.tolist() == [[3, 0], [0, 3]]
    numpy.exp(a, out=t)
    assert numpy.array_equal(t.data, numpy.exp(a))


NO_DERIVATIVE = [  # for these matrices, or with these options; and what is said if one is wanted
    (lambda a, b: np.linalg.lstsq(a, b, rcond=None), [numpy.ones((6, 2)), numpy.arange(6.0)], "has rank 1"),
    (lambda x, y: np.polyfit(x, y, 2), [numpy.ones(4), numpy.ones(4)], "has rank 1"),
    (lambda a: np.linalg.pinv(a, 0.5), [numpy.diag([1.0, 0.1])], "rcond cuts off"),
    (np.linalg.svd, [numpy.arange(6.0).reshape(3, 2)], "only with full_matrices=False"),
    (lambda a: np.linalg.qr(a, "complete"), [numpy.arange(6.0).reshape(3, 2)], "only with mode='reduced'"),
    (np.linalg.eig, [numpy.array([[0.0, 1.0], [-1.0, 0.0]])], "complex eigenvalues"),
    (np.linalg.eigvals, [numpy.array([[0.0, 1.0], [-1.0, 0.0]])], "complex eigenvalues"),
    (np.roots, [numpy.array([1.0, 0.0, 1.0])], "roots are complex"),
    (np.poly, [numpy.array([[2.0, 1.0], [0.0, 3.0]])], "matrix's polynomial"),
    (lambda x, b: np.logspace(x, 2.0, 3, base=b), [numpy.zeros(2), numpy.array([2.0, 3.0])], "base must be a single"),
    (lambda a: np.pad(a, 2, "linear_ramp"), [numpy.arange(3.0)], "mode must be one of"),
    (lambda a: np.pad(a, 2, "reflect", reflect_type="odd"), [numpy.arange(3.0)], "without reflect_type='odd'"),
]


@pytest.mark.parametrize(("call", "arrays", "refusal"), NO_DERIVATIVE, ids=range(len(NO_DERIVATIVE)))
@pytest.mark.filterwarnings("ignore:Polyfit may be poorly conditioned")
def test_what_has_no_derivative_is_numpys_if_none_is_wanted(call, arrays, refusal):
    leaves = [tg.Tensor(a, requires_grad=True) for a in arrays]
    with pytest.raises((TypeError, ValueError), match=refusal):
        call(*leaves)
    with tg.no_grad():
        under_no_grad = call(*leaves)
    for found in (call(*map(tg.Tensor, arrays)), under_no_grad):
        results = [each if isinstance(each, tuple) else (each,) for each in (call(*arrays), found)]
        for x, y in zip(*results, strict=True):
            numpy.testing.assert_allclose(y.numpy() if isinstance(y, tg.Tensor) else y, x, atol=1e-12)


def test_masks_are_lost_by_no_constant_either():
    masked = numpy.ma.array([1.0, 2.0, 3.0], mask=[False, True, False])
    for call in (
        lambda: np.linalg.lstsq(tg.Tensor(numpy.ones((3, 1))), masked),
        lambda: np.logspace(tg.Tensor(numpy.zeros(3)), 2.0, 3, base=masked),
    ):
        with pytest.raises(TypeError, match="would lose its mask"):
            call()


def test_named_tuples_of_tensors():
    Pair = namedtuple("Pair", "first second")
    pair = Pair(tg.Tensor([1.0, 2.0], requires_grad=True), tg.Tensor([3.0, 4.0]))
    numpy.sum(numpy.choose([1, 0], pair) * [5.0, 7.0]).backward()
    assert pair.first.grad.tolist() == [0, 7]
    assert numpy.histogram(pair.second, Pair(3.0, 4.0))[0].tolist() == [2]
    assert np.array(Pair(tg.Tensor(1.0), None), dtype=object)[1] is None


def test_places_that_occur_twice_in_what_has_no_gradient():
    t, row = np.array([np.ones(3), np.zeros(3)]), np.arange(3.0)
    view = t[1]
    np.maximum.at(t, ([0, 0, 1, 1], [1, 1, 2, 2]), np.asarray([5.0, 3.0, 2.0, 7.0]))
    np.multiply.at(row, [2, 2], 3.0)
    assert t.tolist() == [[1, 5, 1], [0, 0, 7]] and view.tolist() == [0, 0, 7] and row.tolist() == [0, 1, 18]
    for pair in ((t, tg.Tensor(2.0, requires_grad=True)), (tg.Tensor([[1.0]], requires_grad=True).copy(), 2.0)):
        with pytest.raises(TypeError, match=r"maximum\.at: an index occurs twice, which has a derivative for np\.add"):
            np.maximum.at(pair[0], ([0, 0], [0, 0]), pair[1])


def test_objects():
    pairs = np.array([np.ones(2), np.zeros(3)], dtype=object)
    assert pairs.shape == (2,) and pairs[1].tolist() == [0, 0, 0]
    assert np.asarray([np.ones(2), None], dtype="O")[1] is None
    assert np.array((np.ones(2), np.ones(2)), object).tolist() == [[1, 1], [1, 1]]
    assert np.array([np.ones(2), np.ones(2)], "f4").dtype == "f4"
    with pytest.raises(TypeError, match="tensors hold real numbers"):
        np.array([tg.Tensor(1.0, requires_grad=True)], dtype=object)


def test_comparisons_that_the_other_one_makes():
    """By NumPy's protocol: an object whose `__array_ufunc__` is None wants to be asked itself."""

    class Other:
        __array_ufunc__ = None
        __eq__ = lambda self, t: "=="
        __ne__ = lambda self, t: "!="
        __lt__ = lambda self, t: "<"
        __le__ = lambda self, t: "<="
        __gt__ = lambda self, t: ">"
        __ge__ = lambda self, t: ">="

    t, other = np.ones(2), Other()
    assert [t == other, t != other, t > other, t >= other, t < other, t <= other] == ["==", "!=", "<", "<=", ">", ">="]
    assert t == pytest.approx([1, 1 + 1e-9]) and t[0] == pytest.approx(1) and t[0] != pytest.approx(2)
    assert (t == None).tolist() == [False, False]  # noqa: E711
    assert (t == Other).tolist() == [False, False]  # its instances say so, not the class itself
    assert pytest.approx([1, 1]) in t and pytest.approx([1, 2]) not in t and 1.0 in t


def test_constants_inside_a_derivation_are_refused():
    with pytest.raises(TypeError, match=r"numpy\.nextafter got a Tensor and has no derivative rule"):
        tg.derive(lambda x: np.sum(numpy.nextafter(np.zeros(3), 1.0) * x), numpy.ones(3))


# As a module


def test_the_rest_is_numpy_s():
    import tinygrad_edu.numpy.linalg as la
    import tinygrad_edu.numpy.random as npr
    from tinygrad_edu.numpy.linalg import inv

    assert npr is np.random and npr.normal is numpy.random.normal and inv is np.linalg.inv
    assert la is np.linalg and la.LinAlgError is numpy.linalg.LinAlgError
    assert la.__name__ == "tinygrad_edu.numpy.linalg" and la.__doc__ == numpy.linalg.__doc__
    assert set(dir(la)) >= set(la.__all__) == set(numpy.linalg.__all__) and inv.__doc__ == numpy.linalg.inv.__doc__
    for name in ("pi", "ndarray", "float64", "newaxis", "spacing", "newaxis", "s_", "busday_count", "__version__"):
        assert getattr(np, name) is getattr(numpy, name)
    assert set(dir(np)) >= set(numpy.__all__) and np.sum.__doc__ == numpy.sum.__doc__
    assert inspect.signature(np.mean) == inspect.signature(numpy.mean)
    everything = {}
    exec("from tinygrad_edu.numpy import *", everything)
    assert isinstance(everything["zeros"](2), tg.Tensor) and everything["log"] is np.log
    assert repr(np.add) == "<ufunc 'add'>" and np.add.nin == 2 and np.exp.__doc__ == numpy.exp.__doc__
    assert np.add.reduce(numpy.ones(3)) == 3 and np.exp(numpy.zeros(2), out=numpy.ones(2)).tolist() == [1, 1]
    with pytest.raises(AttributeError, match="nothing_of_this_name"):
        _ = np.nothing_of_this_name
    with pytest.raises(AttributeError, match="__path__"):
        _ = np.__path__
    with pytest.raises(ModuleNotFoundError):
        import tinygrad_edu.numpy.polynomial  # noqa: F401


def test_the_package_does_not_import_it(python):
    code = "import sys, tinygrad_edu; assert 'tinygrad_edu.numpy' not in sys.modules"
    subprocess.run([python, "-c", code], check=True)


def test_examples():
    own = [getattr(np, n) for n in ("array", "asarray", "full", "full_like", "arange", "linspace")]
    for function in own:
        said = []
        tests = doctest.DocTestFinder(recurse=False).find(function, globs={"tg": tg})
        assert sum(len(test.examples) for test in tests) > 1
        for test in tests:
            assert not doctest.DocTestRunner(verbose=False).run(test, out=said.append).failed, "".join(said)


def test_what_else_holds_tensors():
    """What has no length joins as a list does; and a number out of an array is a scalar."""
    p = {"a": numpy.array([1.0, 2.0]), "b": numpy.array([3.0, 4.0])}
    for join in (np.stack, np.concatenate, np.vstack, np.hstack):
        lists = lambda p, join=join: np.sum(join([*p.values()]) ** 3)
        for held in (lambda p: p.values(), lambda p: (v for v in p.values()), lambda p: map(np.positive, p.values())):
            found = tg.grad(lambda p, join=join, held=held: np.sum(join(held(p)) ** 3))(p)
            for name, g in tg.grad(lists)(p).items():
                close(found[name], g)
    assert tg.grad(lambda x: x[0] * np.isscalar(x[0]) + x[1] * np.isscalar(x))(p["a"]).tolist() == [1, 0]
    assert np.isscalar(3.0) and not np.isscalar(numpy.ones(1)) and np.isscalar(np.zeros(2)[1])


def test_a_rule_of_one_s_own_that_gives_tensors():
    @tg.primitive
    def square(x):
        return x * x

    tg.rule(square, lambda g, x: np.full(x.shape, g) * 2 * x)
    close(tg.grad(square)(numpy.array(3.0)), 6)
    close(tg.jacobian(square)(numpy.array([1.0, 2.0])), [[2, 0], [0, 4]])
    close(tg.hessian(lambda x: np.sum(square(x) * x))(numpy.array([1.0, 2.0])), [[6, 0], [0, 12]])


def test_an_argument_of_a_primitive_that_is_no_array():
    applied = tg.primitive(lambda x, function: function(x))
    tg.rule(applied, lambda g: g, None)
    with pytest.raises(TypeError, match="got function") as caught:
        tg.grad(lambda x: applied(x, lambda v: v))(1.0)
    assert "in '<lambda>', which takes arrays by position" in caught.value.__notes__[0]
    assert "make what is no array an option, a keyword-only parameter" in caught.value.__notes__[0]


def test_truth_is_no_value():
    """Which way is taken has no derivative, whether that is asked by a comparison or by the number itself."""
    f = lambda x: (x[0] or 1.0) * x[1] if x[1] else x[0]
    assert tg.grad(f)(numpy.array([2.0, 3.0])).tolist() == [3, 2]
    assert tg.grad(f)(numpy.array([0.0, 3.0])).tolist() == [0, 1]
    assert tg.grad(f)(numpy.array([2.0, 0.0])).tolist() == [1, 0]


def test_a_surface_is_drawn():
    figure = pytest.importorskip("matplotlib.figure", reason="needs the extra examples")
    X, Y = np.meshgrid(np.linspace(0, 1, 5), np.linspace(0, 1, 4))
    figure.Figure().add_subplot(projection="3d").plot_surface(X, Y, X * Y)
    assert X.T.strides == X.numpy().T.strides


def test_mistakes():
    t = tg.Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ValueError, match=r"all tensors must have the same shape, got \[\(\), \(2,\)\]"):
        np.array([t, t[0]])
    with pytest.raises(TypeError, match=r"r_: '0,2' is not for tensors; use np\.concatenate or np\.stack"):
        _ = np.r_["0,2", t, t]
    assert np.array([t * 1.7, t], dtype=int).tolist() == [[1, 3], [1, 2]]  # a step function
    with pytest.raises(TypeError, match=r"np\.array joins them and whose np\.zeros can be filled"):
        numpy.array([t, t])

    def fills(x):
        out = numpy.zeros(2)
        out[0] = x[0]
        return numpy.sum(out)

    for lost in (lambda: tg.grad(lambda t: numpy.ones(2).dot(t))(numpy.ones(2)), lambda: numpy.ones(2).dot(t)):
        with pytest.raises(TypeError, match=r"a @ t in place of an array's own a\.dot\(t\)"):
            lost()
    with pytest.raises(
        TypeError, match=r"`import tinygrad_edu\.numpy as np`, make an array that is filled by np\.zeros"
    ):
        tg.grad(fills)(numpy.ones(2))
    with pytest.raises(TypeError, match=r"a plain array is made of a tensor at .*must not depend on them"):
        tg.derive(lambda x: np.sum(np.arange(0.0, x[0])), numpy.ones(1))


def test_what_was_looked_up_before_does_not_matter():
    """`any` and `max` are Python's inside of the namespace, whoever has called NumPy's."""
    np.any([True]), np.max([1, 2]), np.all([True]), np.sum([1]), np.min([1]), np.round(1.5)
    assert isinstance(np.arange(3.0), tg.Tensor)
    numpy.testing.assert_array_equal(np.r_["0,2", [1, 2], [3, 4]], numpy.r_["0,2", [1, 2], [3, 4]])
    x = numpy.array([1.0, 2.0])
    numpy.testing.assert_allclose(tg.jacobian(lambda x: np.linspace(x, 2 * x, 4))(x)[3], 2 * numpy.eye(2))
    assert np.any is np.any


# More of what courses ask for


def test_softmax_regression_in_loops():
    """CS231n's first assignment, and its solution."""

    def loss(W, X, y, weight):
        total = 0.0
        for i in range(X.shape[0]):
            scores = np.dot(X[i], W)
            scores -= np.max(scores)
            p = np.exp(scores) / np.sum(np.exp(scores))
            total += -np.log(p[y[i]])
        return total / X.shape[0] + weight * np.sum(W * W)

    X, y, rng = data()
    W = rng.normal(size=(3, 4))
    p = numpy.exp(X @ W)
    p /= p.sum(axis=1, keepdims=True)
    close(tg.grad(loss)(W, X, y, 0.3), X.T @ (p - numpy.eye(4)[y]) / len(X) + 0.6 * W)


def test_a_hinge_loss_in_loops():
    """Of the same assignment: margins of the wrong classes."""

    def loss(W, X, y, weight):
        total = 0.0
        for i in range(X.shape[0]):
            scores = np.dot(X[i], W)
            for j in range(W.shape[1]):
                if j == y[i]:
                    continue
                margin = scores[j] - scores[y[i]] + 1
                if margin > 0:
                    total += margin
        total /= X.shape[0]
        total += weight * np.sum(W * W)
        return total

    X, y, rng = data()
    W = rng.normal(size=(3, 4))
    scores = X @ W
    wrong = (scores - scores[numpy.arange(len(X)), y][:, None] + 1 > 0) * (1.0 - numpy.eye(4)[y])
    wrong[numpy.arange(len(X)), y] = -wrong.sum(axis=1)
    close(tg.grad(loss)(W, X, y, 0.3), X.T @ wrong / len(X) + 0.6 * W)


def test_features_that_are_normalised():
    """Linear regression with several variables, ex1."""

    def cost(theta, X, y):
        mu, sigma = np.zeros((1, X.shape[1])), np.zeros((1, X.shape[1]))
        scaled = np.array(X)
        for j in range(X.shape[1]):
            mu[0, j], sigma[0, j] = np.mean(X[:, j]), np.std(X[:, j], ddof=1)
        scaled -= mu
        scaled /= sigma
        A = np.hstack((np.ones((len(y), 1)), scaled))
        e = A.dot(theta) - y
        return e.T.dot(e) / (2 * len(y))

    X, _, rng = data()
    y, theta = rng.normal(size=len(X)), rng.normal(size=4)
    z = (X - X.mean(axis=0)) / X.std(axis=0, ddof=1)
    A = numpy.c_[numpy.ones(len(X)), z]
    e = (A @ theta - y) / len(X)
    close(tg.grad(cost)(theta, X, y), A.T @ e)
    close(tg.grad(cost, "X")(theta, X, y).sum(axis=0), numpy.zeros(3))  # where the data lie does not matter
    assert tg.gradcheck(lambda X: cost(theta, X, y), X)


def test_collaborative_filtering():
    """ex8: ratings Y of films by users, known where R is 1."""

    def cost(parameters, Y, R, users, films, features, weight):
        X = np.reshape(parameters[: films * features], (films, features))
        Theta = np.reshape(parameters[films * features :], (users, features))
        J = np.zeros(films)
        for i in range(films):
            seen = np.where(R[i, :] == 1)[0]
            J[i] = np.sum((X[i].dot(Theta[seen].T) - Y[i, seen]) ** 2) / 2
        return np.sum(J) + weight / 2 * (np.sum(np.square(Theta)) + np.sum(X**2))

    rng = numpy.random.default_rng(2)
    X, Theta, Y = rng.normal(size=(5, 3)), rng.normal(size=(4, 3)), rng.normal(size=(5, 4))
    R = rng.integers(2, size=Y.shape)
    e = (X @ Theta.T - Y) * R
    wanted = numpy.r_[(e @ Theta + 1.5 * X).ravel(), (e.T @ X + 1.5 * Theta).ravel()]
    close(tg.grad(cost)(np.concatenate([X.ravel(), Theta.ravel()]), Y, R, 4, 5, 3, 1.5), wanted)


def test_the_distortion_of_k_means():
    """ex7: the nearest centroid of each sample is found, then the mean of the squared distances."""

    def distortion(centroids, X):
        nearest = np.zeros(len(X), dtype=int)
        for i in range(len(X)):
            distances = np.zeros(len(centroids))
            for k in range(len(centroids)):
                distances[k] = np.linalg.norm(X[i] - centroids[k])
            nearest[i] = np.argmin(distances)
        return np.mean(np.sum((X - centroids[nearest]) ** 2, axis=1))

    X, _, rng = data(m=12)
    centroids = rng.normal(size=(3, 3))
    nearest = numpy.argmin(((X[:, None] - centroids) ** 2).sum(axis=-1), axis=1)
    wanted = [2 * numpy.sum(centroids[k] - X[nearest == k], axis=0) / len(X) for k in range(3)]
    close(tg.grad(distortion)(centroids, X), wanted)


def test_a_recurrent_layer_whose_states_are_filled_in():
    """CS231n's third assignment: `rnn_forward`, against its backward pass."""

    def forward(x, h0, Wx, Wh, b):
        h = np.zeros((x.shape[0], x.shape[1], h0.shape[1]))
        before = h0
        for t in range(x.shape[1]):
            h[:, t, :] = np.tanh(before.dot(Wh) + x[:, t].dot(Wx) + b)
            before = h[:, t, :]
        return h

    rng = numpy.random.default_rng(3)
    x, h0, Wx, Wh, b = (rng.normal(size=shape) for shape in [(2, 4, 3), (2, 5), (3, 5), (5, 5), (5,)])
    h, pull = tg.vjp(forward, x, h0, Wx, Wh, b)
    assert type(h) is numpy.ndarray
    dh = rng.normal(size=h.shape)
    wanted = [numpy.zeros_like(a) for a in (x, h0, Wx, Wh, b)]
    carried = numpy.zeros_like(h0)
    for t in reversed(range(4)):
        dz = (dh[:, t] + carried) * (1 - h[:, t] ** 2)
        before = h[:, t - 1] if t else h0
        wanted[0][:, t], carried = dz @ Wx.T, dz @ Wh.T
        for total, part in zip(wanted[2:], (x[:, t].T @ dz, before.T @ dz, dz.sum(axis=0)), strict=True):
            total += part
    wanted[1] = carried
    for found, right in zip(pull(dh), wanted, strict=True):
        close(found, right)


def test_parameters_in_a_list_are_trained_in_place():
    """As in the examples of `autograd`: a list of weights and biases, each changed by its gradient."""

    def loss(parameters, X, y):
        for W, b in parameters:
            X = np.tanh(np.dot(X, W) + b)
        return np.mean((X[:, 0] - y) ** 2)

    X, _, rng = data()
    y = numpy.tanh(X[:, 0])
    start = [rng.normal(size=shape) * 0.5 for shape in [(3, 4), (4, 1)]]
    parameters = [[np.zeros(W.shape) + W, np.zeros(W.shape[1])] for W in start]
    arrays = [[W.copy(), numpy.zeros(W.shape[1])] for W in start]
    losses = []
    for _ in range(20):
        for each in (parameters, arrays):
            value, slopes = tg.value_and_grad(loss)(each, X, y)
            for layer, slope in zip(each, slopes, strict=True):
                for p, g in zip(layer, slope, strict=True):
                    p -= 0.5 * g
            losses.append(value)
    assert losses[-1] < losses[0] / 3 and losses[::2] == losses[1::2]
    assert all(isinstance(p, tg.Tensor) for layer in parameters for p in layer)
    close(parameters[0][0].numpy(), arrays[0][0])


def test_choices_in_lists_of_lists():
    conditions, point = [[True, False, True], [False, True, False]], numpy.array([1.0, 2.0, 3.0])
    select = lambda x: np.select(conditions, [[x[0], 1.0, 2.0], [3.0, x[1] * 2, x[2]]], 0.5)
    choose = lambda x: np.choose([0, 1, 1], [[x[0] ** 2, 1.0, 2.0], [3.0, x[1], x[2] * 3]])
    close(tg.jacobian(select)(point), numpy.diag([1.0, 2.0, 0.0]))
    close(tg.jacobian(choose)(point), numpy.diag([2.0, 1.0, 3.0]))


@pytest.mark.parametrize("shape", [(6,), (6, 2), (1, 3), (0,)])
def test_rows_are_shuffled_as_numpys(shape):
    wanted = numpy.arange(numpy.prod(shape, dtype=float)).reshape(shape)
    found, plain = np.zeros(shape), wanted.copy()
    found[...] = wanted
    for x in (wanted, found, plain):
        (np if x is not wanted else numpy).random.seed(3)
        (np if x is not wanted else numpy).random.shuffle(x)
    assert numpy.array_equal(found.numpy(), wanted) and numpy.array_equal(plain, wanted)
    rows = [[1], [2], [3]]
    np.random.shuffle(rows)
    assert sorted(rows) == [[1], [2], [3]]


def test_a_shuffled_tensor_has_its_gradient():
    order = numpy.random.RandomState(0).permutation(4)

    def shuffled(x):
        a = x * 1
        np.random.seed(0)
        np.random.shuffle(a)
        return np.sum(a * np.arange(4.0))

    assert numpy.array_equal(tg.grad(shuffled)(numpy.ones(4)), numpy.argsort(order))
    with pytest.raises(TypeError, match="requires grad"):
        np.random.shuffle(tg.Tensor([1.0, 2.0], requires_grad=True))
    assert np.random.default_rng is numpy.random.default_rng and "shuffle" in dir(np.random)
