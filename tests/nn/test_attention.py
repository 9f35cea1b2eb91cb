"""MultiHeadAttention against heads computed one by one, PyTorch, numerical differences, and compiled steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tests.strategies import seeds


@st.composite
def calls(draw):
    """A layer, its inputs (x, or x with key and value), and options."""
    heads, m, t, s = (draw(st.integers(1, 3)) for _ in range(4))
    dim = heads * draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(seeds))
    layer = tg.MultiHeadAttention(dim, heads, bias=draw(st.booleans()), rng=rng)
    for p in layer.parameters():
        p.data = p.data + rng.normal(size=p.shape) / 2
    inputs = [rng.normal(size=(m, t, dim))]
    if draw(st.booleans()):
        inputs += [rng.normal(size=(m, s, dim)) for _ in range(draw(st.integers(1, 2)))]
    keys = inputs[-1].shape[1]
    mask = draw(st.sampled_from([None, rng.random((t, keys)) < 0.7, rng.normal(size=(m, heads, t, keys))]))
    return layer, inputs, {"mask": mask, "causal": draw(st.booleans())}


def head_by_head(layer, x, key=None, value=None, *, mask=None, causal=False):
    key = x if key is None else key
    value = key if value is None else value
    W, b = layer.in_proj_weight.data, layer.in_proj_bias
    b = np.zeros(3 * layer.dim) if b is None else b.data
    n = layer.dim // layer.heads
    y = np.zeros(x.shape)
    for i in range(len(x)):
        for head in range(layer.heads):
            parts = []
            for k, a in enumerate((x, key, value)):
                columns = slice(k * layer.dim + head * n, k * layer.dim + (head + 1) * n)
                parts.append(a[i] @ W[:, columns] + b[columns])
            of_head = mask if mask is None or mask.ndim == 2 else mask[i, head]
            y[i, :, head * n : (head + 1) * n] = tg.scaled_dot_product_attention(*parts, of_head, causal)
    bias = 0 if layer.out_proj.bias is None else layer.out_proj.bias.data
    return y @ layer.out_proj.weight.data + bias


@given(calls())
def test_it_is_what_its_heads_give(call):
    layer, inputs, options = call
    np.testing.assert_allclose(
        layer(*inputs, **options).data, head_by_head(layer, *inputs, **options), rtol=1e-11, atol=1e-13
    )


@settings(max_examples=5)
@given(calls())
def test_its_derivatives(call):
    layer, inputs, options = call
    assert tg.gradcheck(lambda *inputs: np.sin(layer(*inputs, **options)) + inputs[0], *inputs, order=2)

    def of_parameters(*arrays):
        twin = tg.MultiHeadAttention(layer.dim, layer.heads)
        twin.in_proj_weight, twin.out_proj.weight, twin.in_proj_bias, twin.out_proj.bias = arrays
        return np.sin(twin(*inputs, **options))

    biases = [np.ones(3 * layer.dim), np.ones(layer.dim)]
    arrays = layer.in_proj_weight.data, layer.out_proj.weight.data, *biases
    assert tg.gradcheck(of_parameters, *arrays, order=2, samples=30)


@given(calls())
def test_it_is_pytorchs(call):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    layer, inputs, options = call
    has_bias = layer.in_proj_bias is not None
    theirs = torch.nn.MultiheadAttention(layer.dim, layer.heads, bias=has_bias, batch_first=True).double()
    theirs.load_state_dict({k: torch.from_numpy(v) for k, v in tg.to_torch_state_dict(layer).items()})
    x, key, value = (torch.from_numpy(a) for a in (inputs * 3 if len(inputs) == 1 else (inputs + inputs[1:])[:3]))
    mask, (t, s) = options["mask"], (inputs[0].shape[1], inputs[-1].shape[1])
    hidden = torch.zeros((t, s), dtype=torch.float64)
    if mask is not None:
        added = np.where(mask, 0, -np.inf) if mask.dtype == bool else mask.reshape(-1, t, s)
        hidden = torch.from_numpy(added)
    if options["causal"]:
        hidden = hidden.masked_fill(torch.triu(torch.ones(t, s, dtype=torch.bool), 1), -np.inf)
    y, _ = theirs(x, key, value, attn_mask=hidden, need_weights=False)
    np.testing.assert_allclose(layer(*inputs, **options).data, y.detach().numpy(), rtol=1e-9, atol=1e-11)
    (y**2).sum().backward()
    np.sum(layer(*inputs, **options) ** 2).backward()
    np.testing.assert_allclose(layer.in_proj_weight.grad, theirs.in_proj_weight.grad.numpy().T, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(layer.out_proj.weight.grad, theirs.out_proj.weight.grad.numpy().T, rtol=1e-8, atol=1e-10)
    twin = tg.MultiHeadAttention(layer.dim, layer.heads, bias=has_bias)
    tg.from_torch_state_dict(twin, theirs.state_dict())
    np.testing.assert_array_equal(twin(*inputs, **options).data, layer(*inputs, **options).data)


@given(calls())
def test_compiled_it_is_the_same(call):
    layer, inputs, options = call
    parameters = layer.parameters()
    J = np.sum(layer(*inputs, **options) ** 2)
    J.backward()
    expected = [p.data - 0.1 * p.grad for p in parameters]
    step = tg.compile_step(lambda *inputs: np.sum(layer(*inputs, **options) ** 2), tg.SGD(parameters, lr=0.1))
    assert step(*inputs) == pytest.approx(J.item(), rel=1e-11)
    for p, values in zip(parameters, expected, strict=True):
        np.testing.assert_allclose(p.data, values, rtol=1e-10, atol=1e-12)


def test_a_causal_layer_does_not_look_ahead():
    layer = tg.MultiHeadAttention(6, 2, rng=0)
    x = np.random.default_rng(0).normal(size=(2, 5, 6))
    changed = x.copy()
    changed[:, 3:] += 1
    before, after = layer(x, causal=True).data, layer(changed, causal=True).data
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert not np.any(before[:, 3:] == after[:, 3:])


def test_weights_files_and_tables(tmp_path):
    layer = tg.MultiHeadAttention(8, 2, rng=0)
    assert [name for name, _ in layer.named_parameters()] == [
        "in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"
    ]  # fmt: skip
    assert not np.any(layer.in_proj_bias.data) and not np.any(layer.out_proj.bias.data)
    assert 0.4 < abs(layer.in_proj_weight.data).max() <= np.sqrt(6 / 32)
    assert repr(layer) == "MultiHeadAttention(\n  (out_proj): Dense(8 → 8)\n)"
    assert "MultiHeadAttention" in layer.summary((3, 8)) and "(None, 3, 8)" in layer.summary((3, 8))
    assert len(tg.MultiHeadAttention(8, 2, bias=False).parameters()) == 2
    tg.save(layer, tmp_path / "layer.npz")
    other = tg.MultiHeadAttention(8, 2, rng=1)
    tg.load(other, tmp_path / "layer.npz")
    x = np.ones((2, 3, 8))
    assert np.array_equal(layer(x).data, other(x).data)
    assert tg.MultiHeadAttention(8, 2, dtype=np.float32)(x.astype(np.float32), causal=True).dtype == np.float32
    derived = tg.derive(lambda x: np.sum(layer(x, causal=True) ** 2), x, parameters=layer)
    assert derived(x)[0] == pytest.approx(np.sum(layer(x, causal=True).data ** 2))
    with tg.detect_anomaly():
        np.sum(layer(x, mask=np.zeros((3, 3), bool)) ** 2).backward()


def test_messages():
    layer, x = tg.MultiHeadAttention(4, 2, rng=0), np.ones((2, 3, 4))
    for run, said in [
        (lambda: tg.MultiHeadAttention(6, 4), r"MultiHeadAttention\(6, 4\): 6 features cannot be shared out evenly"),
        (lambda: tg.MultiHeadAttention(6, 0), r"MultiHeadAttention\(6, 0\): sizes must be positive whole numbers"),
        (
            lambda: layer(np.ones((2, 3, 5))),
            r"MultiHeadAttention\(4, heads=2\) got an input of shape \(2, 3, 5\): expected \(m, t, 4\)",
        ),
        (lambda: layer(np.ones((3, 4))), r"got an input of shape \(3, 4\): expected \(m, t, 4\)"),
        (lambda: layer(x, np.ones((2, 3, 5))), r"got keys of shape \(2, 3, 5\)"),
        (lambda: layer(x, x, np.ones((2, 3))), r"got values of shape \(2, 3\)"),
        (lambda: layer(x, x, np.ones((2, 2, 4))), r"there are 3 keys and 2 values"),
        (lambda: layer(x, value=x), r"got values without keys: write attention\(x, key, value\)"),
        (lambda: layer(x, mask=np.ones((2, 3), bool)), r"a mask of shape \(2, 3\) does not broadcast"),
    ]:
        with pytest.raises(ValueError, match=said):
            run()
