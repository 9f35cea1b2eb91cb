"""Derivations: what symbols write is what the engine records, it runs without allocating, and it can be read."""

from __future__ import annotations

import gc
import io
import itertools
import math
import tracemalloc
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import functional as F
from tinygrad_edu.compiler import helpers
from tinygrad_edu.compiler import source as writing
from tinygrad_edu.compiler.derivation import Derivation
from tinygrad_edu.compiler.derive import derive
from tinygrad_edu.compiler.emission import emitter_of
from tinygrad_edu.compiler.latex import LATEX
from tinygrad_edu.compiler.lines import Line
from tinygrad_edu.compiler.notation import PYTHON

ACTIVATIONS = [tg.Sigmoid, tg.Tanh, tg.ReLU, tg.LeakyReLU, tg.ELU, tg.SiLU, tg.GELU, tg.Hardtanh, tg.Softsign,
               tg.Identity, tg.Softmax, lambda: F.softplus,
               lambda: np.sin, lambda: F.log_sigmoid, lambda: lambda x: np.exp(-(x**2)) / (1 + abs(x)),
               lambda: lambda x: np.where(x > 0.1, x, np.maximum(x, -0.3))]  # fmt: skip
LOSSES = ["cross_entropy", "one-hot", "probabilities", "mse", "binary", "with_logits", "of probabilities", "logsumexp"]
OPTIMIZERS = [
    lambda p: tg.SGD(p, lr=0.1),
    lambda p: tg.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    lambda p: tg.RMSprop(p, lr=0.01),
    lambda p: tg.Adam([{"params": p[:1], "weight_decay": 0.1}, {"params": p[1:]}] if len(p) > 1 else p, lr=0.01),
]


@st.composite
def problems(draw, dtypes=(np.float64, np.float32)):
    """A network, a loss, and a batch."""
    dtype = draw(st.sampled_from(dtypes))
    sizes = draw(st.lists(st.integers(1, 6), min_size=2, max_size=4))
    loss = draw(st.sampled_from(LOSSES))
    if loss in ("cross_entropy", "one-hot", "probabilities"):
        sizes[-1] = max(2, sizes[-1])
    m, seed = draw(st.integers(1, 7)), draw(st.integers(0, 2**16))
    rng = np.random.default_rng(seed)
    layers = []
    for a, b in itertools.pairwise(sizes):
        layers += [tg.Dense(a, b, bias=draw(st.booleans()), rng=rng, dtype=dtype), draw(st.sampled_from(ACTIVATIONS))()]
    if draw(st.booleans()):
        layers.insert(draw(st.integers(0, len(layers))), tg.Dropout(0.3, rng=seed))
    if draw(st.booleans()) and sizes[0] == sizes[-1] and sizes[1] > 1:
        first = next(layer for layer in layers if isinstance(layer, tg.Dense))
        layers.append(first)  # a shared layer
        sizes.append(sizes[1])
    if loss in (*LOSSES[:3], "with_logits") and isinstance(layers[-1], tg.Softmax | tg.Sigmoid):
        del layers[-1]  # those losses take logits
    net = tg.Sequential(*layers)
    X = rng.normal(size=(m, sizes[0])).astype(dtype)
    k = sizes[-1]
    lam = draw(st.sampled_from([0.0, 1.0]))

    def with_penalty(J):
        return J + F.l2_penalty(net, lam, m) if lam else J

    if loss in ("cross_entropy", "one-hot", "probabilities"):
        y = rng.integers(0, k, m)
        y = {"cross_entropy": y, "one-hot": np.eye(k)[y], "probabilities": rng.dirichlet(np.ones(k), m)}[loss]
        return net, lambda X, y: with_penalty(F.cross_entropy(net(X), y, "sum")), (X, y)
    y = rng.random((m, k)).astype(dtype)
    function = {
        "mse": lambda X, y: F.mse_loss(net(X), y),
        "binary": lambda X, y: F.binary_cross_entropy(F.sigmoid(net(X)), y, "batchmean"),
        "with_logits": lambda X, y: F.binary_cross_entropy_with_logits(net(X), y),
        "of probabilities": lambda X, y: F.binary_cross_entropy(1 / (1 + np.exp(-net(X))), y),
        "logsumexp": lambda X, y: np.mean(F.logsumexp(net(X), axis=1)) - np.sum(net(X) * y) / m,
    }[loss]
    if loss == "logsumexp" and any(isinstance(layer, tg.Dropout) for layer in layers):
        function = lambda X, y: np.mean(F.logsumexp(net(X), axis=1))
    return net, lambda X, y: with_penalty(function(X, y)), (X, y)


def copies(net):
    state = net.state_dict()
    generators = [m.rng.bit_generator.state for m in net.modules() if isinstance(m, tg.Dropout)]
    return state, generators


def put_back(net, kept):
    net.load_state_dict(kept[0])
    for module, state in zip((m for m in net.modules() if isinstance(m, tg.Dropout)), kept[1], strict=True):
        module.rng.bit_generator.state = state


@settings(max_examples=100)
@given(problems(), st.sampled_from(OPTIMIZERS))
def test_compiled_steps_are_the_recorded_ones(problem, make):
    net, loss, batch = problem
    kept = copies(net)
    optimizer, values = make(net.parameters()), []
    for _ in range(3):
        optimizer.zero_grad()
        J = loss(*batch)
        J.backward()
        optimizer.step()
        values.append(J.item())
    recorded = net.state_dict()
    put_back(net, kept)
    step = tg.compile_step(loss, make(net.parameters()))
    assert [step(*batch) for _ in range(3)] == pytest.approx(values, rel=1e-12 if batch[0].itemsize == 8 else 1e-5)
    tolerance = 1e-11 if batch[0].itemsize == 8 else 1e-3
    for name, p in net.named_parameters():
        np.testing.assert_allclose(p.data, recorded[name], rtol=tolerance, atol=tolerance)
        assert p.dtype == recorded[name].dtype


def run(source):
    namespace = {}
    exec(compile(source, "source", "exec"), namespace)
    return namespace["value_and_gradients"]


@settings(max_examples=60)
@given(problems(dtypes=(np.float64,)))
def test_the_source_and_the_call_are_the_recorded_gradient(problem):
    net, loss, batch = problem
    for module in net.modules():
        if isinstance(module, tg.Dropout):
            module.p = 1e-15  # keeps all, and is no identity, through which losses would see what made its input
    net.zero_grad()
    J = loss(*batch)
    J.backward()
    d = derive(loss, *batch, parameters=net)
    value, gradients = d(*batch)
    assert value == pytest.approx(J.item(), rel=1e-13)
    general = d._general  # found once for both that print it
    written = run(writing.source(general, d._names_of_all))(*batch, *(p.data for p in d._parameters))
    assert written[0] == pytest.approx(J.item(), rel=1e-10, abs=1e-12)
    for p, g, w in zip(d._parameters, gradients, written[1], strict=True):
        expected = np.zeros(p.shape) if p.grad is None else p.grad
        np.testing.assert_allclose(np.zeros(p.shape) if g is None else g, expected, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(np.zeros(p.shape) if w is None else w, expected, rtol=1e-9, atol=1e-11)
    assert writing.latex(general, d._names_of_all).startswith(r"\begin{aligned}")


def ex4(m=50):
    net = tg.Sequential(tg.Dense(400, 25, rng=0), tg.Sigmoid(), tg.Dense(25, 10, rng=1), tg.Sigmoid())
    rng = np.random.default_rng(0)
    X, y = rng.random((m, 400)), np.eye(10)[rng.integers(0, 10, m)]
    return net, X, y, lambda X, y: F.binary_cross_entropy(net(X), y, "batchmean") + F.l2_penalty(net, 1.0, len(X))


def test_ex4s_source_is_the_textbooks():
    net, X, y, J = ex4()
    source = derive(J, X, y, parameters=net).source
    body = [line.split("#")[0].strip() for line in source.split("def value_and_gradients")[1].splitlines()[1:]]
    assert [line for line in body if line] == [
        "m = len(X)",
        "z1 = X @ W1 + b1",
        "a1 = sigmoid(z1)",
        "z2 = a1 @ W2 + b2",
        "h = sigmoid(z2)",
        "J = np.sum(np.logaddexp(0, z2) - y * z2) / m + 0.5 / m * (np.sum(W1 ** 2) + np.sum(W2 ** 2))",
        "dz2 = (h - y) / m",
        "dW2 = W2 / m + a1.T @ dz2",
        "db2 = dz2.sum(axis=0)",
        "dz1 = (dz2 @ W2.T) * (a1 * (1 - a1))",
        "dW1 = W1 / m + X.T @ dz1",
        "db1 = dz1.sum(axis=0)",
        "return J, (dW1, db1, dW2, db2)",
    ]
    assert "# (m, 25)" in source and "log(" not in source and "tinygrad" not in source


def test_without_parameters_the_gradients_are_of_the_inputs():
    d = derive(lambda x, k, A: np.sum(A @ x * k), np.ones(3), 2, np.eye(3))
    value, (dx, dA) = d(np.array([1.0, 2, 3]), 5, np.eye(3))
    assert value == 30 and dx.tolist() == [5, 5, 5] and dA[0].tolist() == [5, 10, 15]
    assert d.source.splitlines()[-1].strip() == "return J, (dx, dA)" and "def value_and_gradients(x, k, A)" in d.source
    assert d(np.ones(4), 1, np.eye(4))[0] == 4  # another shape


def test_functions_of_every_kind_run_from_their_source():
    def f(x, A):
        picked = x[[0, 2, 2]] * x[1:4]
        J = np.sum(np.prod(A, axis=0)) + np.linalg.norm(x) + np.max(x) + np.sum(np.cumsum(picked)) + np.std(A)
        return J + np.sum(np.concatenate((x, picked)) ** 3) + np.linalg.slogdet(A)[1] + np.einsum("ij,jk->", A, A)

    rng = np.random.default_rng(0)
    x, A = rng.normal(size=5), rng.normal(size=(3, 3))
    expected = tg.value_and_grad(f, argnums=(0, 1))(x, A)
    d = derive(f, x, A)
    for value, gradients in (d(x, A), run(d.source)(x, A)):
        assert value == pytest.approx(expected[0], rel=1e-13)
        for g, e in zip(gradients, expected[1], strict=True):
            np.testing.assert_allclose(g, e, rtol=1e-12, atol=1e-14)


def test_results_belong_to_the_caller():
    d = derive(lambda x: np.sum(x * x * x), np.ones(3))
    _, (first,) = d(np.array([1.0, 2, 3]))
    d(np.array([9.0, 9, 9]))
    assert first.tolist() == [3, 12, 27]


def test_what_depends_on_values_is_refused_with_the_line():
    def branch(x):
        if np.sum(x) > 0:  # a branch
            return np.sum(x)
        return np.sum(-x)

    for fun, said in [
        (branch, r"a Python branch depends on the data at .*test_symbolic.py:\d+ \(if np.sum\(x\) > 0:  # a branch\)"),
        (lambda x: np.sum(x) * float(x[0]), r"float\(\) asks for the value of a tensor"),
        (lambda x: np.sum(x) * x.item(), "the value of a tensor is asked for"),
        (lambda x: np.sum(x * np.asarray(x)), "a plain array is made of a tensor"),
        (lambda x: np.sum(x * x.numpy()), "the values of a tensor are asked for"),
        (lambda x: np.sum(x) * [1, 2, 3][np.argmax(x)], "an index depends on the data"),
        (lambda x: x, "must return a scalar"),
        (lambda x: 3.0, "must return a scalar"),
        (lambda x: np.sum(x > 0), "does not depend"),
    ]:
        with pytest.raises(TypeError, match=said):
            derive(fun, np.ones(3))
    p = tg.Tensor(np.ones(3), requires_grad=True)
    with pytest.raises(TypeError, match="requires grad is used, but is not among the parameters"):
        derive(lambda x: np.sum(x * p), np.ones(3))
    assert type(p) is tg.Tensor and isinstance(p.data, np.ndarray)
    p.sum().backward()  # as if nothing had been


def test_choices_by_where_are_fine():
    d = derive(lambda x: np.sum(np.where((x > 0) & (x < 2), x**2, -x)), np.ones(3))
    value, (g,) = d(np.array([-1.0, 1.0, 3.0]))
    assert value == -1 and g.tolist() == [-1, 2, -1]


def test_checks_are_made_in_each_call():
    net = tg.Sequential(tg.Dense(3, 4, rng=0))
    step = tg.compile_step(lambda X, y: F.cross_entropy(net(X), y), tg.SGD(net.parameters(), lr=0.1))
    step(np.ones((2, 3)), np.array([0, 3]))
    before = net[0].weight.data.copy()
    with pytest.raises(ValueError, match="labels contain 4"):
        step(np.ones((2, 3)), np.array([0, 4]))
    with pytest.raises(RuntimeError, match="without evaluate"):
        step.update()
    assert np.array_equal(net[0].weight.data, before)
    step = tg.compile_step(lambda X, y: F.binary_cross_entropy(1 * net(X), y), tg.SGD(net.parameters(), lr=0.0))
    with pytest.raises(ValueError, match="probabilities must lie in"):
        step(np.full((2, 3), 9.0), np.ones((2, 4)))


def test_too_many_shapes():
    p = tg.Tensor([1.0], requires_grad=True)
    step = tg.compile_step(lambda x: (x * p).sum(), tg.SGD([p], lr=0.1))
    for n in range(1, 17):
        step(np.ones(n))
    with pytest.raises(RuntimeError, match=r"16 programs were made.*\[\(17,\)\]"):
        step(np.ones(17))
    d = derive(lambda x: np.sum(x * x), np.ones(1))
    with pytest.raises(RuntimeError, match="inputs of 16 different shapes"):
        for n in range(1, 20):
            d(np.ones(n))
    with pytest.raises(TypeError, match=r"takes 1 inputs \(x\), got 2"):
        d(np.ones(1), np.ones(1))


def test_a_parameter_that_others_hold_is_not_written_over():
    p = tg.Tensor(np.ones(1000), requires_grad=True)
    step = tg.compile_step(lambda x: (x * p).sum(), tg.SGD([p], lr=0.1))
    mine = p.data
    step(np.ones(1000))
    assert mine[0] == 1 and p.data[0] == 0.9
    del mine
    where = p.data.ctypes.data
    step(np.ones(1000))
    assert p.data.ctypes.data == where


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_nothing_is_allocated_after_the_first_steps(make, frozen):
    net, X, y, J = ex4(m=3000)
    classes = np.argmax(y, axis=1)
    other = tg.Sequential(tg.Dense(400, 64, rng=0), tg.ReLU(), tg.Dense(64, 10, rng=1))
    for step, batch in [
        (tg.compile_step(J, make(net.parameters())), (X, y)),
        (tg.compile_step(lambda X, y: F.cross_entropy(other(X), y), make(other.parameters())), (X, classes)),
    ]:
        for _ in range(3):
            step(*batch)
        gc.collect()
        tracemalloc.start()
        step(*batch)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(5):
            step(*batch)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        # NumPy's iterators have buffers of up to 66 kB for each operand; the smallest activation is 240 kB.
        assert peak - before < 160_000


def test_a_long_function_is_derived():
    def f(x):
        for _ in range(2000):
            x = np.sin(x) + 0.1
        return np.sum(x)

    x = np.ones(2)
    value, (g,) = derive(f, x)(x)
    expected = tg.value_and_grad(f)(x)
    assert value == expected[0] and np.array_equal(g, expected[1])


def steps(loss, optimizer, *batch, compiled, n=3):
    if compiled:
        step = tg.compile_step(loss, optimizer)
        return [step(*batch) for _ in range(n)]
    values = []
    for _ in range(n):
        optimizer.zero_grad()
        J = loss(*batch)
        J.backward()
        optimizer.step()
        values.append(J.item())
    return values


def both(make_parameters, make_loss, *batch):
    """The parameters after recorded and after compiled steps."""
    results = []
    for compiled in (False, True):
        parameters = make_parameters()
        values = steps(make_loss(*parameters), tg.SGD(parameters, lr=0.1), *batch, compiled=compiled)
        results.append(np.concatenate([np.array(values), *(p.data.ravel() for p in parameters)]))
    return results


@pytest.mark.parametrize("shape", [(2, 3), (4, 3), (30, 3)])
def test_a_reshape_may_be_a_view_or_not(shape):
    rng = np.random.default_rng(0)
    W, X = rng.normal(size=shape), rng.normal(size=(4, shape[0]))

    def make_loss(W):
        def loss(X):
            p = X @ W
            flat = (2.0 * p.T).reshape(-1)
            cube = np.stack((p, p * p)).transpose(1, 0, 2)
            flatter = (cube * 3.0).reshape(len(p), -1)
            return np.sum(flat * flat) + np.sum(np.tanh(p.T)) + np.sum(np.exp(-abs(flatter))) + np.sum(np.sin(p))

        return loss

    recorded, compiled = both(lambda: [tg.Tensor(W.copy(), requires_grad=True)], make_loss, X)
    np.testing.assert_allclose(compiled, recorded, rtol=1e-12)


def test_tensors_that_are_no_parameters_are_read_in_each_step():
    net = tg.Sequential(tg.Dense(3, 4, rng=0), tg.Tanh(), tg.Dense(4, 1, rng=1))
    step = tg.compile_step(lambda X, y: F.mse_loss(net(X), y), tg.SGD(net[2].parameters(), lr=0.0))
    X, y = np.ones((2, 3)), np.ones((2, 1))
    assert step(X, y) == F.mse_loss(net(X), y).item()
    net[0].weight.data = net[0].weight.data * 2
    assert step(X, y) == F.mse_loss(net(X), y).item()
    net[0].weight.requires_grad = False
    net[0].weight.data = net[0].weight.data * 0
    assert step(X, y) == F.mse_loss(net(X), y).item()
    outside = np.exp(net[2].weight)
    with pytest.raises(TypeError, match="was recorded outside"):
        tg.compile_step(lambda X, y: F.mse_loss(net(X) * outside, y), tg.SGD(net.parameters(), lr=0.0))(X, y)


def test_a_parameter_frozen_later_stays():
    net = tg.Sequential(tg.Dense(2, 2, rng=0), tg.Dense(2, 1, rng=1))
    step = tg.compile_step(lambda X, y: F.mse_loss(net(X), y), tg.SGD(net.parameters(), lr=0.1))
    X, y = np.ones((2, 2)), np.zeros((2, 1))
    step(X, y)
    net[0].weight.requires_grad = False
    before, other = net[0].weight.data.copy(), net[1].weight.data.copy()
    step(X, y)
    assert np.array_equal(net[0].weight.data, before) and not np.array_equal(net[1].weight.data, other)


@pytest.mark.parametrize("rng", [None, 5])
def test_dropout_draws_as_it_does_recorded(rng):
    p, q = (tg.Tensor(np.ones(6), requires_grad=True) for _ in range(2))
    tg.manual_seed(3)
    recorded = steps(lambda: (F.dropout(p, 0.5, True, rng) ** 2).sum(), tg.SGD([p], lr=0.1), compiled=False)
    tg.manual_seed(3)
    assert steps(lambda: (F.dropout(q, 0.5, True, rng) ** 2).sum(), tg.SGD([q], lr=0.1), compiled=True) == recorded
    assert np.array_equal(p.data, q.data)


def test_sorting_and_what_looks_for_nan():
    d = derive(lambda x: np.median(x), np.ones(3))
    assert d(np.array([3.0, 1, 2]))[0] == 2 and d(np.array([3.0, 1, 2]))[1][0].tolist() == [0, 0, 1]
    recorded, compiled = both(
        lambda: [tg.Tensor(np.array([3.0, 1, 2, 5]), requires_grad=True)],
        lambda x: lambda: (np.sort(x)[:2] * np.array([1.0, 2])).sum() + (np.roll(x, 1) * x).sum(),
    )
    np.testing.assert_allclose(compiled, recorded, rtol=1e-13)


def test_a_loss_of_one_element_in_two_axes():
    p = tg.Tensor(np.ones((1, 1)), requires_grad=True)
    assert tg.compile_step(lambda: p * 3.0, tg.SGD([p], lr=0.1))() == 3.0 and p.item() == pytest.approx(0.7)


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_gradients_that_are_others_memory_are_left_alone(make):
    X = np.arange(1.0, 7.0).reshape(2, 3)
    kept = X.copy()

    def loss_of(p, q, r, s):
        return lambda X: ((p * X) + (q + r) * np.sin(X)).sum() + (s.T @ np.exp(s)).sum()

    results = []
    for compiled in (False, True):
        ps = [tg.Tensor(np.full((2, 3), v), requires_grad=True) for v in (1.0, 2.0, 3.0, 4.0)]
        steps(loss_of(*ps), make(ps), X, compiled=compiled)
        results.append(np.concatenate([t.data.ravel() for t in ps]))
        assert np.array_equal(X, kept)
    np.testing.assert_allclose(results[1], results[0], rtol=1e-13)


@pytest.mark.slow
def test_a_long_functions_source_is_cut_in_lines():
    def f(x):
        for _ in range(80):
            x = np.sin(x) * 0.9 + np.cos(x * 0.5)
        return np.sum(x)

    x = np.ones(2)
    d = derive(f, x)
    source = d.source
    value, gradients = run(source)(x)
    expected = tg.value_and_grad(f)(x)
    assert value == pytest.approx(expected[0], rel=1e-13) and d.latex()
    np.testing.assert_allclose(gradients[0], expected[1], rtol=1e-10, atol=1e-300)
    assert max(map(len, source.splitlines())) < 200


def agrees(f, *inputs, parameters=(), rtol=1e-12):
    """The call and the source against the recorded gradient."""
    floats = tuple(i for i, x in enumerate(inputs) if np.asarray(x).dtype.kind == "f")
    expected = tg.value_and_grad(f, argnums=floats)(*inputs)
    d = derive(f, *inputs)
    for value, gradients in (d(*inputs), run(d.source)(*inputs)):
        np.testing.assert_allclose(value, expected[0], rtol=rtol)
        for g, e in zip(gradients, expected[1], strict=True):
            np.testing.assert_allclose(np.zeros_like(e) if g is None else g, e, rtol=rtol, atol=1e-14)


V, B, M = np.array([1.0, 2, 3]), np.array([1.0, 0, 1]), np.array([[1.0, 2], [3, 4]])


@pytest.mark.parametrize(
    ("f", "inputs"),
    [
        (lambda a, b: (a @ b) * (a @ a), (V, B)),
        (lambda x: np.sum(np.transpose(x, (0, 1)) * np.array([[0, 1], [2, 0]])), (M,)),
        (lambda x: np.sum(np.prod(x, axis=1) * np.array([1, 0])), (M,)),
        (lambda x: np.sum(np.cumprod(x, axis=1) * np.array([[0.0, 1], [2, 0]])), (M,)),
        (lambda x, y, u: F.mse_loss(x, y + u), (V, np.array([1, 1, 1]), np.array([2, 2, 2]))),
        (lambda z, t, u: F.binary_cross_entropy_with_logits(z, t - u), (V, np.array([1, 1, 1]), np.array([0, 1, 1]))),
        (lambda x, n: np.sum(x * (-2.0) ** n), (V, np.array([2, 3, 4]))),
        (lambda x: F.relu(x) * 2 + F.sigmoid(x), (np.float64(1.0),)),
        (lambda x: np.sum(np.where(np.array([1, 0, 1]), x, 0)), (V,)),
        (lambda x: np.sum(x[1:] ** 2) + np.sum(x[:2]), (V,)),
        (lambda x: np.sum(np.minimum(x, np.array([1, np.inf, 2]))), (V,)),
        (lambda x, n: np.sum(x * np.sum(n / 255)), (V, np.array([1, 2, 4], np.uint8))),
        (lambda x, n: np.sum(x * (n / 1) ** 40), (V, np.array([1, 2, 3]))),
        (lambda x: np.sum(-(x**2) + (-x) ** 2 + x / (x * x) - (x - (x - 2)) + x / (x / 3) + 2**-x), (V,)),
        (lambda x: np.sum((x @ x).T @ x), (M,)),
        (lambda z: F.cross_entropy(z, np.zeros(3, int)), (V[:, None],)),
        (lambda m, np_: np.sum(m * np_), (V, B)),
        (lambda J, h: np.sum(J * h * np.array([1.0, 5, 2])), (V, B)),
    ],
)  # fmt: skip
def test_odd_expressions(f, inputs):
    agrees(f, *inputs)


def test_names_do_not_collide():
    x = np.ones((5, 1))
    for name in ("m", "c1", "np", "sigmoid", "lambda", "J", "z1", "a b"):
        p = tg.Tensor(np.full(1, 3.0), requires_grad=True, name=name)
        q = tg.Tensor(np.full(1, 2.0), requires_grad=True, name="X")
        d = derive(lambda X, y: F.mse_loss(F.sigmoid(X * p * np.arange(5.0)[:, None]) * q, y), x, x, parameters=[p, q])  # noqa: B023
        expected = d(x, x)
        value, gradients = run(d.source)(x, x, p.data, q.data)
        assert value == pytest.approx(expected[0], rel=1e-12)
        for g, e in zip(gradients, expected[1], strict=True):
            np.testing.assert_allclose(g, e, rtol=1e-12)
    with pytest.raises(ValueError, match="given twice"):
        derive(lambda: (p * p).sum(), parameters=[p, p])


def test_sizes_that_depend_on_data_are_refused():
    for f in (lambda a: np.mean(a[a > 0]), lambda a: np.sum(a[np.flatnonzero(a > 0)])):
        with pytest.raises(TypeError, match="the size of a result depends on the data"):
            derive(f, V)


@pytest.mark.parametrize(
    "f",
    [
        lambda a: np.sum(np.partition(a, 1, axis=0) ** 2),
        lambda a: np.sum(np.sort(a, axis=None) ** 2),
        lambda a: np.sum(np.frexp(a)[0]),
        lambda a: np.sum(np.nanmax(a, axis=0) ** 2),
        lambda a: np.sum(np.nanmean(a, axis=0) ** 2),
        lambda a: np.nanprod(a) * np.prod(a, axis=(0, 1)),
        lambda a: np.sum(np.modf(a)[0] ** 2) + np.sum(np.divmod(a, 0.7)[1] ** 2),
        lambda a: np.sum(np.dot(a, a[0]) ** 2) + np.vdot(a, a) * np.inner(a[0], a[1]),
        lambda a: np.sum(np.tensordot(a, a, ([0], [-1])) ** 2) + np.sum(np.vecdot(a, a, axis=0) ** 2),
        lambda a: np.trace(a, 1) ** 2 + np.einsum("ii", a) ** 2,
        lambda a: np.sum(np.gradient(a, np.array([0.0, 1.0, 3.0]), axis=0) ** 2) + np.sum(np.copy(a) + np.imag(a)),
        lambda a: np.sum(np.linalg.eigvalsh(a @ a.T) ** 2),
        lambda a: np.sum(np.sin(abs(np.linalg.eigh(a @ a.T)[1]))),
        lambda a: np.sum(np.linalg.svdvals(a) ** 3),
        lambda a: np.sum(np.clip(np.arange(3.0), a[0], a[1]) ** 2),
    ],
)
def test_functions_that_look_at_values_on_the_way(f):
    agrees(f, np.array([[0.3, -1.2, 2.1], [1.4, 0.8, -0.9], [0.2, 0.1, 1.7]]))


def test_gradients_of_which_some_are_constant_meet():
    """The gradient of an indexed array: constants are added in place, until a symbol has been added."""

    def f(a):
        x = np.stack([a, a * a])
        later = np.sum(x[1:] * B)
        return later + np.min(x) + np.sum(x[np.array([1, 1, 0])] * 2.0)

    agrees(f, V)


def test_a_layer_of_constant_weights():
    agrees(lambda x: np.sum(tg.functional.linear(x, np.ones((3, 2)), np.ones(2)) ** 2), np.ones((2, 3)))
    agrees(lambda x: np.sum((x @ np.ones((3, 2))) ** 2), np.ones((2, 3)))


def test_the_median_of_nothing():
    d = derive(lambda a: np.sum(a) + np.sum(np.median(a, axis=0)), np.zeros((1, 0)))
    assert d(np.zeros((1, 0)))[0] == 0


def test_functions_that_must_look_at_values_say_so():
    for f in (np.unique, lambda a: np.ravel(a, "K"), lambda a: np.reshape(a, (3,), order="A")):
        with pytest.raises(TypeError, match="a plain array is made of a tensor"):
            derive(lambda a, f=f: np.sum(f(a)), V)
    with pytest.raises(TypeError, match="a Python branch depends on the data"):
        derive(lambda a: np.sum(a) if np.sum(a) > 0 else np.sum(a**2), V)


def test_constants_are_as_they_were():
    def changing(x):
        c, total = np.zeros(3), 0.0
        for i in range(3):
            c[i] = 1
            total = total + np.sum(x * c)
        return total

    value, (g,) = derive(changing, V)(V)  # recorded, the array is what it is in the end
    assert value == 3 * 1 + 2 * 2 + 3 and g.tolist() == [3, 2, 1]
    mask = np.array([1.0, 2, 2])
    d = derive(lambda x: np.sum(x * mask), V)
    mask[:] = 0
    assert d(V)[0] == 0


def test_the_value_belongs_to_the_caller_too():
    d = derive(lambda a, b: a.reshape(1, 3) @ b.reshape(3, 1), V, B)
    value, _ = d(V, B)
    d(2 * V, B)
    assert value == 4


def test_threads_share_a_derivation():
    rng = np.random.default_rng(0)
    d = derive(lambda x: np.sum(np.tanh(x @ np.sin(x)) * x), rng.normal(size=(60, 60)))
    inputs = [rng.normal(size=(60, 60)) for _ in range(20)]
    expected = [d(x)[0] for x in inputs]
    with ThreadPoolExecutor(4) as pool:
        assert [value for value, _ in pool.map(d, inputs)] == expected
        nets = [tg.Sequential(tg.Dense(3, 4, rng=k), tg.Tanh(), tg.Dense(4, 1, rng=k)) for k in range(8)]
        made = pool.map(lambda n: derive(lambda X: np.sum(n(X) ** 2), np.ones((2, 3)), parameters=n), nets)
        for net, d in zip(nets, made, strict=True):
            assert d(np.ones((2, 3)))[0] == np.sum(net(np.ones((2, 3))).data ** 2)


# How derivations are written


@pytest.mark.parametrize(
    ("written", "own"),
    [
        (helpers.sigmoid, F.sigmoid),
        (helpers.softmax, F.softmax),
        (helpers.log_softmax, F.log_softmax),
        (lambda z: helpers.one_hot(abs(z[:, :1]) // 1 % 3, 3), lambda z: tg.one_hot(abs(z[:, :1]) // 1 % 3, 3)),
    ],
)
def test_the_helpers_are_the_package_s_functions(written, own):
    z = np.random.default_rng(0).normal(0, 5, (40, 3))
    np.testing.assert_allclose(written(z), own(z), rtol=1e-13, atol=1e-15)
    far = 300 * np.eye(3)
    np.testing.assert_allclose(written(far), own(far), rtol=1e-13, atol=1e-15)


def test_the_tables_know_functions_and_not_names():
    @tg.primitive
    def square(x):
        return 3 * x

    tg.rule(square, lambda g, y, x: 3 * g)
    d = derive(lambda x: np.sum(square(x)) + np.sum(np.square(x)), V)
    assert "J = np.sum(square(x)) + np.sum(x ** 2)" in d.source and r"\operatorname{square}(x)" in d.latex()
    assert d(V)[0] == run(d.source)(V)[0] == 32
    for notation in (PYTHON, LATEX):
        assert not any(isinstance(function, tg.autograd.primitives.Primitive) for function in notation.forms)


FACTOR, TABLE, NONE = 2.0, {"one": 1.0}, 0


def _shifted(x, by=NONE):
    return x + TABLE["one"] + by


other = _shifted


def test_definitions_bring_along_what_they_use():
    inside = 5.0

    @tg.primitive
    def stretched(x):
        def each(v):
            return [FACTOR * w for w in (other(v), v)]

        return each(x)[0] * inside * math.sqrt(4.0)

    tg.rule(stretched, lambda g, y, x: 2 * FACTOR * inside * g)
    d = derive(lambda stretched_, x: np.sum(stretched(x) * stretched_), V, V)
    source = d.source
    for line in (
        "import math",
        "FACTOR = 2.0",
        "NONE = 0",
        "inside = 5.0",
        "TABLE = {'one': 1.0}",
        "def other(x, by=NONE):",
    ):
        assert line in source.splitlines()
    assert run(source)(V, V)[0] == d(V, V)[0] == 20 * np.sum(V * (V + 1))
    assert source == d.source


def test_functions_of_one_name_are_told_apart():
    def make(k):
        @tg.primitive
        def scaled(x):
            return x * (2.0 if len(x) else 1.0)

        @tg.primitive
        def scaled_by_k(x):
            return x * k

        tg.rule(scaled, lambda g: 2.0 * g)
        tg.rule(scaled_by_k, lambda g: k * g)
        return scaled, scaled_by_k

    (first, one), (second, other) = make(3.0), make(4.0)
    d = derive(lambda x: np.sum(first(x) * second(x)), V)
    assert all(f"= {name}(x) " in d.source for name in ("scaled", "scaled_2")) and run(d.source)(V)[0] == d(V)[0]
    d = derive(lambda scaled: np.sum(first(scaled)), V)
    assert "np.sum(scaled_2(scaled))" in d.source and run(d.source)(V)[0] == d(V)[0]
    with pytest.raises(TypeError, match="two functions of this derivation use the name k for different things"):
        _ = derive(lambda x: np.sum(one(x) + other(x)), V).source


def test_a_lambda_has_no_definition():
    doubled = tg.primitive(lambda x: 2 * x)
    tg.rule(doubled, lambda g, y, x: 2 * g)
    d = derive(lambda x: np.sum(doubled(x)), V)
    assert d(V)[0] == 12
    with pytest.raises(TypeError, match="the source of <lambda> is not available"):
        _ = d.source


# Whose memory


def everything(x, A):
    """Functions that give views, functions that do not, and some that do for one layout."""
    B = np.stack((A.T, A @ A)).transpose(1, 0, 2).reshape(len(A), -1)
    z = F.linear(A, A, x) * F.sigmoid(A[::-1]) + np.broadcast_to(x, A.shape).astype(np.float64)
    z = np.where(z > 0, F.relu(z), F.leaky_relu(z)) + np.clip(A, -1, 1) + np.cumsum(np.sum(A, axis=0))
    parts = np.concatenate((z, B), axis=1), F.log_softmax(z), F.softmax(z.T), np.sum(z, axis=1, where=A > 0)
    return sum(np.sum(np.ravel(part) ** 2) for part in parts) + F.cross_entropy(z, np.arange(len(A)))


def test_what_owns_its_memory_is_no_view():
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=3), rng.normal(size=(3, 3))]
    derivation = Derivation(everything, arrays, [], [0, 1])
    values = dict(zip(derivation.inputs, arrays, strict=True))

    def value(a):
        if isinstance(a, list | tuple):
            return type(a)(map(value, a))
        return values.get(a) if isinstance(a, Line) else a

    owning = 0
    for line in (*derivation.forward, *derivation.backward):
        function = getattr(line.function, "forward", line.function)
        y = values[line] = function(*map(value, line.args), **{name: value(v) for name, v in line.options.items()})
        if emitter_of(line).owns:
            owning += 1
            assert not any(np.shares_memory(y, values[operand]) for operand in line.operands()), line
    assert 20 < owning < len(values)
    agrees(everything, *arrays)


def test_a_program_is_kept_for_each_kind_of_inputs_and_parameters():
    p, q = tg.Tensor([1.0, 2.0], requires_grad=True), tg.Tensor([3.0, 4.0], requires_grad=True)
    made = io.StringIO()  # which is not looked through, as a list is

    def f(x):
        made.write(f"{x.ndim} ")
        return np.sum(x * p * q)

    d = derive(f, 1.0, parameters=[p, q])
    assert [g.tolist() for g in d(1.0)[1]] == [[3, 4], [1, 2]]
    q.requires_grad = False
    value, (dp, dq) = d(1.0)
    assert value == 11 and dp.tolist() == [3, 4] and dq is None and made.getvalue() == 4 * "0 "
    q.requires_grad = True
    assert d(1.0)[1][1].tolist() == [1, 2] and d(np.ones(2))[0] == 11 and made.getvalue() == 4 * "0 " + 2 * "1 "


def test_a_step_and_a_derivation_go_without_the_garbage_collector():
    p = tg.Tensor([1.0], requires_grad=True)
    step, d = tg.compile_step(lambda x: np.sum(x * p), tg.SGD([p], lr=0.1)), derive(lambda x: np.sum(x * x), V)
    step(V), d(np.ones(4))
    alive = [weakref.ref(thing) for thing in (step, d, *step._programs.values(), d._programs)]
    gc.disable()
    try:
        del step, d
        assert [thing() for thing in alive] == [None] * 4
    finally:
        gc.enable()


def test_an_average_with_learned_weights():
    """Whether they sum to zero is looked at in each run."""
    w, X = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True), np.arange(6.0).reshape(2, 3)
    d = derive(lambda X: np.sum(np.average(X, axis=1, weights=w) ** 2), X, parameters=[w])
    expected = tg.grad(lambda w: np.sum(np.average(X, axis=1, weights=w) ** 2))(w.data)
    np.testing.assert_allclose(d(X)[1][0], expected, rtol=1e-12)
    w.data = np.array([1.0, -1.0, 0.0])
    with pytest.raises(ZeroDivisionError, match="the weights sum to zero"):
        d(X)


def test_nobody_is_warned_of_an_example():
    """A trace computes with made-up numbers, to know shapes; of what NumPy says to those nobody wants to hear."""
    w = tg.Tensor(np.ones((2, 3)), requires_grad=True)
    loss = lambda x: np.sum(np.nanmin(np.where(w * x > 5, np.nan, w * x), axis=1))
    d = derive(loss, np.full((2, 3), 9.0), parameters=[w])
    assert d(np.array([[1.0, 2.0, 3.0], [9.0, 4.0, 9.0]]))[0] == 5


@pytest.mark.parametrize(
    "f", [lambda x: np.sin(x[0])[()] * x[1], lambda x: np.pad(np.sin(x[0]), 0) * x[1], lambda x: x[np.argmax(x)]]
)
def test_what_is_taken_as_a_whole_is_printed(f):
    agrees(f, np.array([1.0, 3.0, 2.0]))
