"""RNN, GRU and LSTM against loops written by hand, numerical differences, PyTorch, and compiled steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tests.strategies import seeds

LAYERS = [tg.RNN, tg.GRU, tg.LSTM]
kinds = st.sampled_from(LAYERS)
sizes = st.integers(1, 4)


def sigma(z):
    return 1 / (1 + np.exp(-z))


def by_hand(layer, x, state):
    """Sample by sample and step by step, with a matrix for each gate; the state is a list of arrays."""
    W, U, b, d = (p.data for p in layer.parameters())
    n, gates = layer.hidden, layer.gates
    part = lambda a, k: a[..., k * n : (k + 1) * n]
    outputs = np.zeros((*x.shape[:2], n))
    state = [s.copy() for s in state]
    for i in range(len(x)):
        for k in range(x.shape[1]):
            h = state[0][i]
            of_x = [x[i, k] @ part(W, j) + part(b, j) for j in range(gates)]
            of_h = [h @ part(U, j) + part(d, j) for j in range(gates)]
            if isinstance(layer, tg.RNN):
                state[0][i] = np.tanh(of_x[0] + of_h[0])
            elif isinstance(layer, tg.GRU):
                r, z = (sigma(of_x[j] + of_h[j]) for j in range(2))
                state[0][i] = (1 - z) * np.tanh(of_x[2] + r * of_h[2]) + z * h
            else:
                i_, f, o = (sigma(of_x[j] + of_h[j]) for j in (0, 1, 3))
                state[1][i] = f * state[1][i] + i_ * np.tanh(of_x[2] + of_h[2])
                state[0][i] = o * np.tanh(state[1][i])
            outputs[i, k] = state[0][i]
    return outputs, state


@st.composite
def calls(draw):
    """A layer, an input, and a state as a list of arrays."""
    kind, m, t, features, hidden = draw(kinds), draw(sizes), draw(sizes), draw(sizes), draw(sizes)
    rng = np.random.default_rng(draw(seeds))
    layer = kind(features, hidden, rng=rng)
    for p in layer.parameters():
        p.data = p.data * 2
    return layer, rng.normal(size=(m, t, features)), [rng.normal(size=(m, hidden)) for _ in parts(layer)]


def parts(layer):
    return "hc" if isinstance(layer, tg.LSTM) else "h"


def packed(layer, state):
    """The state as the layer takes and gives it."""
    return tuple(state) if isinstance(layer, tg.LSTM) else state[0]


def unpacked(state):
    return list(state) if isinstance(state, tuple) else [state]


def loss_of(layer, x, *state):
    outputs, last = layer(x, packed(layer, state) if state else None)
    return np.sum(outputs**2) + sum(np.sum(np.sin(part)) * k for k, part in enumerate(unpacked(last), 1))


@given(calls())
def test_it_is_what_a_loop_gives(call):
    layer, x, state = call
    for start in (state, [0 * s for s in state]):
        outputs, last = by_hand(layer, x, start)
        y, z = layer(x, packed(layer, start) if start is state else None)
        np.testing.assert_allclose(y.data, outputs, rtol=1e-12, atol=1e-14)
        for ours, expected in zip(unpacked(z), last, strict=True):
            np.testing.assert_allclose(ours.data, expected, rtol=1e-12, atol=1e-14)


@given(calls(), st.data())
def test_a_sequence_in_two_pieces_is_the_same_sequence(call, data):
    layer, x, state = call
    cut = data.draw(st.integers(0, x.shape[1]))
    whole, last = layer(x, packed(layer, state))
    pieces, carried = [], packed(layer, state)
    for piece in (x[:, :cut], x[:, cut:]):
        if piece.shape[1]:
            outputs, carried = layer(piece, carried)
            pieces.append(outputs.data)
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole.data, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(unpacked(carried)[-1].data, unpacked(last)[-1].data, rtol=1e-12, atol=1e-14)


@settings(max_examples=8)
@given(calls())
def test_its_derivatives(call):
    layer, x, state = call
    x = x[:2, :3]
    state = [s[:2] for s in state]
    assert tg.gradcheck(lambda x, *state: loss_of(layer, x, *state), x, *state, order=2)
    parameters = layer.parameters()

    def of_parameters(*arrays):
        twin = type(layer)(layer.features, layer.hidden)
        for name, array in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), arrays, strict=True):
            setattr(twin, name, array)
        return loss_of(twin, x, *state)

    assert tg.gradcheck(of_parameters, *(p.data for p in parameters), order=2, samples=30)


def in_torch(torch, layer):
    theirs = getattr(torch.nn, type(layer).__name__)(layer.features, layer.hidden, batch_first=True).double()
    theirs.load_state_dict({k: torch.from_numpy(v) for k, v in tg.to_torch_state_dict(layer).items()})
    return theirs


@given(calls())
def test_it_is_pytorchs(call):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    layer, x, state = call
    theirs = in_torch(torch, layer)
    inputs = [torch.from_numpy(a).requires_grad_() for a in (x, *state)]
    outputs, last = theirs(inputs[0], packed(layer, [a[None] for a in inputs[1:]]))
    ours = [tg.Tensor(a, requires_grad=True) for a in (x, *state)]
    y, z = layer(ours[0], packed(layer, ours[1:]))
    np.testing.assert_allclose(y.data, outputs.detach().numpy(), rtol=1e-10, atol=1e-12)
    for a, b in zip(unpacked(z), unpacked(last), strict=True):
        np.testing.assert_allclose(a.data, b[0].detach().numpy(), rtol=1e-10, atol=1e-12)
    loss_of(layer, *ours).backward()
    total = (outputs**2).sum() + sum(torch.sin(part).sum() * k for k, part in enumerate(unpacked(last), 1))
    total.backward()
    for a, b in zip(ours, inputs, strict=True):
        np.testing.assert_allclose(a.grad, b.grad.numpy(), rtol=1e-9, atol=1e-11)
    for name, p in layer.named_parameters():
        gradient = getattr(theirs, f"{name}_l0").grad.numpy()
        np.testing.assert_allclose(p.grad, gradient.T, rtol=1e-9, atol=1e-11)
    twin = type(layer)(layer.features, layer.hidden)
    tg.from_torch_state_dict(twin, theirs.state_dict())
    assert all(np.array_equal(p.data, q.data) for p, q in zip(twin.parameters(), layer.parameters(), strict=True))


@settings(max_examples=25)
@given(calls())
def test_compiled_it_is_the_same(call):
    layer, x, state = call
    parameters = layer.parameters()
    before = [p.data for p in parameters]
    for batch in ((x,), (x, *state)):
        for p, values in zip(parameters, before, strict=True):
            p.data, p.grad = values, None
        J = loss_of(layer, *(tg.Tensor(a) for a in batch))
        J.backward()
        expected = [p.data - 0.5 * p.grad for p in parameters]
        step = tg.compile_step(lambda *batch: loss_of(layer, *batch), tg.SGD(parameters, lr=0.5))
        assert step(*batch) == pytest.approx(J.item(), rel=1e-12)
        for p, values in zip(parameters, expected, strict=True):
            np.testing.assert_allclose(p.data, values, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("kind", LAYERS)
def test_it_learns_compiled_and_is_derived(kind):
    """Which of four steps was marked: a memory of the whole sequence."""
    marks = np.arange(32) % 4
    X, Y = np.eye(4)[marks][:, :, None], marks
    X = X + np.random.default_rng(0).normal(size=X.shape) / 10

    class Net(tg.Module):
        def __init__(self):
            self.layer, self.head = kind(1, 8, rng=0), tg.Dense(8, 4, rng=1)

        def forward(self, x):
            outputs, _ = self.layer(x)
            return self.head(outputs[:, -1])

    net = Net()
    tg.fit(net, X, Y, loss=tg.cross_entropy, optimizer=tg.Adam(net.parameters(), lr=0.05), epochs=60, batch_size=16,
           rng=0, compiled=True, progress=False)  # fmt: skip
    assert tg.accuracy(tg.predict(net, X), Y) > 0.9
    derived = tg.derive(lambda X, Y: tg.cross_entropy(net(X), Y), X[:3], Y[:3], parameters=net)
    value, gradients = derived(X[:3], Y[:3])
    J = tg.cross_entropy(net(X[:3]), Y[:3])
    J.backward()
    assert value == pytest.approx(J.item())
    for p, g in zip(net.parameters(), gradients, strict=True):
        np.testing.assert_allclose(g, p.grad, rtol=1e-10, atol=1e-12)
    namespace = {}
    exec(derived.source, namespace)
    arrays = [p.data for p in net.parameters()]
    printed, _ = namespace["value_and_gradients"](X[:3], Y[:3], *arrays)
    assert printed == pytest.approx(J.item())


def test_each_number_of_steps_is_a_program_of_its_own():
    layer = tg.RNN(1, 2, rng=0)
    step = tg.compile_step(lambda x: np.sum(layer(x)[0] ** 2), tg.SGD(layer.parameters(), lr=0.1))
    for t in range(1, 17):
        step(np.ones((2, t, 1)))
    with pytest.raises(RuntimeError, match="16 programs were made for inputs of 16 different shapes"):
        step(np.ones((2, 17, 1)))


def test_initial_weights_names_and_files(tmp_path):
    for kind in LAYERS:
        layer = kind(3, 25, rng=0)
        names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
        assert [name for name, _ in layer.named_parameters()] == names == [p.name for p in layer.parameters()]
        assert layer.weight_ih.shape == (3, 25 * kind.gates) and layer.weight_hh.shape == (25, 25 * kind.gates)
        for p in layer.parameters():
            assert 0.15 < abs(p.data).max() <= 1 / 5 and abs(p.data.mean()) < 0.08
        again = kind(3, 25, rng=0)
        assert all(np.array_equal(p.data, q.data) for p, q in zip(layer.parameters(), again.parameters(), strict=True))
        tg.save(layer, tmp_path / "layer.npz")
        other = kind(3, 25, rng=1)
        tg.load(other, tmp_path / "layer.npz")
        x = np.ones((2, 3, 3))
        assert np.array_equal(layer(x)[0].data, other(x)[0].data)
        single = kind(3, 25, rng=0, dtype=np.float32)
        outputs, state = single(x.astype(np.float32))
        assert outputs.dtype == np.float32 and unpacked(state)[-1].dtype == np.float32
        assert repr(layer) == f"{kind.__name__}(3, 25)"
        assert f"{layer.num_parameters:,}" in layer.summary((4, 3)) and "(None, 4, 25)" in layer.summary((4, 3))
        assert "weight_hh" in tg.explain(np.sum(outputs), model=single)
        with tg.detect_anomaly():
            np.sum(layer(x)[0]).backward()


def test_messages():
    layer, memory, x = tg.GRU(3, 2, rng=0), tg.LSTM(3, 2, rng=0), np.ones((4, 5, 3))
    for run, said in [
        (lambda: layer(x[:, 0]), r"GRU\(3, 2\) got an input of shape \(4, 3\): expected \(m, t, 3\)\. .*x\[None\]"),
        (lambda: layer(x[..., 0]), r"expected \(m, t, 3\)\. For sequences of one feature, pass x\[\.\.\., None\]"),
        (lambda: layer(np.ones((4, 5, 2))), r"got an input of shape \(4, 5, 2\): expected \(m, t, 3\)$"),
        (lambda: layer(np.ones((4, 0, 3))), r"\(4, 0, 3\): expected at least one step"),
        (lambda: layer(x, np.ones((1, 2))), r"a state of shape \(1, 2\): expected \(m, 2\) = \(4, 2\)"),
        (lambda: layer(np.ones((4, 5, 3)), (np.ones((4, 2)),) * 2), r"a state of a tuple: expected \(m, 2\)"),
        (lambda: memory(np.ones((4, 5, 3)), np.ones((4, 2))), r"no pair: expected \(h, c\), each of \(m, 2\)"),
        (lambda: memory(np.ones((4, 5, 3)), (np.ones((4, 2)), np.ones((4, 1)))), r"a state of shape \(4, 1\)"),
        (lambda: tg.LSTM(3.0, 2), r"LSTM\(3.0, 2\): sizes must be positive whole numbers"),
        (lambda: tg.RNN(3, 0), r"RNN\(3, 0\): sizes must be positive"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=said):
            run()
    outputs, _ = layer(np.ones((0, 5, 3)))  # no samples
    assert outputs.shape == (0, 5, 2)
