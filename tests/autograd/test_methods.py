"""What `ndarray` has, a tensor has: its methods and attributes, and operators that change it in place."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor

OF_THE_MEMORY = {
    "base", "byteswap", "ctypes", "device", "dump", "dumps", "flags", "getfield", "setfield", "setflags",
    "to_device", "tobytes", "tofile", "tostring",  # the last in older NumPy only
}  # fmt: skip


def leaf(values):
    return Tensor(np.array(values), requires_grad=True)


def test_every_public_name_is_there_or_refused():
    t = leaf([[1.0, 2.0]])
    names = {name for name in dir(np.ndarray) if not name.startswith("_") and hasattr(t.data, name)}
    refused = OF_THE_MEMORY | {"view", "resize"}
    assert {name for name in names if not hasattr(t, name)} == names & refused
    for name in OF_THE_MEMORY:
        assert not hasattr(Tensor, name)
        with pytest.raises(AttributeError, match=rf"no '{name}': it belongs to an array, t\.data\.{name}"):
            getattr(t, name)
    constant = t.detach()
    assert {name for name in names if not hasattr(constant, name)} == {"view", "resize"}
    with tg.no_grad():
        assert t.tobytes() == constant.tobytes()
    with pytest.raises(AttributeError, match=r"tensors have no 'flags': it belongs to an array"):
        _ = Tensor.flags
    assert constant.tobytes() == t.data.tobytes() and constant.flags["C_CONTIGUOUS"]
    with pytest.raises(AttributeError, match=r"no 'view': \.reshape\(\.\.\.\) gives another shape"):
        t.view(-1)
    with pytest.raises(AttributeError, match=r"no 'resize': np\.reshape and np\.resize give a new tensor"):
        t.resize(3)


READING = [
    lambda a: a.nbytes, lambda a: a.itemsize, lambda a: a.imag, lambda a: a.real, lambda a: a.conj(),
    lambda a: 2.0 in a, lambda a: 7.5 in a,
       lambda a: a.conjugate(), lambda a: a.compress([False, True], axis=0), lambda a: a.nonzero()[1],
    lambda a: a.ravel().searchsorted([0.4, 2.0]), lambda a: a.ravel().searchsorted(0.5, "right"),
    lambda a: a.searchsorted(0.5, sorter=[1, 0]) if a.ndim == 1 else a[0, [2, 0]].searchsorted(0.6, sorter=[1, 0]),
    lambda a: a.argpartition(1)[:, 1], lambda a: a.argpartition(1, 0), lambda a: a.flat[3], lambda a: a.flat[1:5:2],
    lambda a: len(a.flat), lambda a: [float(x) for x in a.flat], lambda a: a.item(4), lambda a: a.item(1, 0),
    lambda a: a.item(-1), lambda a: a.astype(int),
    lambda a: a.astype(bool).astype(int).choose([1.5, 2.5]), lambda a: a.astype(bool),
    lambda a: a.astype("f4", copy=False), lambda a: a.argsort(0, "stable"), lambda a: a.argsort(kind="stable"),
    lambda a: a.std(1, ddof=1, keepdims=True), lambda a: a.argmax(1, keepdims=True), lambda a: a.argmin(1),
    lambda a: a.argmin(0, keepdims=True), lambda a: (a * (a > 1)).all(1, keepdims=True),
    lambda a: (a * (a > 1)).any(0, keepdims=True),
    lambda a: a.reshape(3, 2, order="F"), lambda a: a.reshape((-1,)), lambda a: a.ravel("F"), lambda a: a.flatten("F"),
    lambda a: a.repeat([2, 0, 1], 1), lambda a: a.take([1, -1], 1), lambda a: a.diagonal(1),
    lambda a: a.diagonal(-1, 1, 0), lambda a: a.trace(1), lambda a: a.swapaxes(0, 1), lambda a: a.transpose(1, 0),
    lambda a: a[None, None].squeeze(0), lambda a: a[None].diagonal(), lambda a: a.min(1),
    lambda a: a.any(0), lambda a: a.all(1), lambda a: a[None].argsort(), lambda a: a[None].argpartition(1),
    lambda a: a.argmax(1), lambda a: a.round(),
    lambda a: a.T, lambda a: a.mT, lambda a: a[None].transpose(),
    lambda a: a[None].transpose(1, 0, 2), lambda a: a[None].transpose((2, 0, 1)),
    lambda a: a.cumsum(1), lambda a: a.cumprod(0), lambda a: a.var(1, ddof=1, keepdims=True), lambda a: a.round(1),
    lambda a: a.prod(0, keepdims=True), lambda a: a.mean(0, keepdims=True), lambda a: a.max(1, keepdims=True),
    lambda a: a.clip(0.3, 1.5), lambda a: a.clip(max=1.0), lambda a: a.dot([1.0, 2.0, 3.0]), lambda a: a.argsort(),
    lambda a: a.take([0, 7], mode="wrap"), lambda a: a.take([[0, 9]], 1, mode="clip"),
]  # fmt: skip


@pytest.mark.parametrize("read", READING, ids=range(len(READING)))
def test_they_give_what_numpy_gives(read):
    values = np.array([[0.5, 2.0, 1.25], [-3.5, 0.25, 7.0]])
    for t in (Tensor(values), leaf(values), leaf(values) * 1):
        found = read(t)
        found = found.numpy() if isinstance(found, Tensor) else found
        assert np.array_equal(found, read(values)) and np.asarray(found).dtype == np.asarray(read(values)).dtype


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "tanh", "relu", "sigmoid"])
def test_functions_that_are_methods_too(name):
    x = np.array([0.25, 2.0])
    of_arrays = {"relu": lambda x: np.maximum(x, 0), "sigmoid": lambda x: 1 / (1 + np.exp(-x))}.get(name)
    np.testing.assert_allclose(getattr(leaf(x), name)().numpy(), (of_arrays or getattr(np, name))(x), rtol=1e-15)


CHANGING = [
    lambda t, v: t.fill(v), lambda t, v: t.flat.__setitem__(4, v), lambda t, v: t.flat.__setitem__(slice(1, 6, 2), v),
    lambda t, v: t.put([0, 5], v), lambda t, v: setattr(t, "flat", v), lambda t, v: t.sort(), lambda t, v: t.sort(0),
    lambda t, v: t.partition(1), lambda t, v: t.partition(1, 0), lambda t, v: setattr(t, "flat", np.arange(6.0)),
    lambda t, v: t.put([[0, 5], [3, 2]], [v, 1.0, 2.0]), lambda t, v: t.put([7, -8], [v, 2.0, 3.0], "wrap"),
    lambda t, v: setattr(t, "flat", [v, 2.0]),
    lambda t, v: t.flat.__setitem__(slice(1, None), [v, 2.0]), lambda t, v: t.flat.__setitem__([2, 0], [v] * 3),
    lambda t, v: t.sort(kind="stable"),
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGING, ids=range(len(CHANGING)))
def test_they_change_an_array_in_place(change):
    values = np.array([[0.5, 2.0, 1.25], [-3.5, 0.25, 7.0]])
    wanted, t = values.copy(), Tensor(values.copy())
    change(wanted, 0.75)
    alias, memory = t, t.data
    change(t, 0.75)
    assert alias is t and t.data is memory and np.array_equal(memory, wanted)
    transposed = Tensor(values.T.copy()).T  # whose elements lie in another order
    change(transposed, 0.75)
    assert np.array_equal(transposed.data, wanted) or change in CHANGING[7:9]

    def total(x, v):
        t = x * 1
        change(t, v)
        return np.sum(t * np.arange(1.0, 7.0).reshape(2, 3)) + np.sum(x**2)

    assert tg.gradcheck(total, values, 0.75, order=2)
    with pytest.raises(TypeError, match=r"c = t\.copy\(\)"):
        change(leaf(values), 0.75)


def test_a_number_has_them_too():
    t = Tensor(np.zeros(()))
    t.fill(2.0)
    t.flat = 3.0
    t.flat = []  # writes nothing, as in NumPy
    assert t.item() == 3 and t.nbytes == 8 and [x.item() for x in t.flat] == [3] and 3.0 in t


def test_vectors_are_sorted_along_their_only_axis():
    t, u = Tensor([3.0, 1.0, 2.0]), Tensor([3.0, 1.0, 2.0])
    t.sort()
    u.partition(0)
    assert t.tolist() == [1, 2, 3] and u[0].item() == 1


# `t += u`

STEPS = [
    lambda t, u: t.__iadd__(u), lambda t, u: t.__isub__(u), lambda t, u: t.__imul__(u), lambda t, u: t.__itruediv__(u),
    lambda t, u: t.__ifloordiv__(u), lambda t, u: t.__imod__(u), lambda t, u: t.__ipow__(u),
    lambda t, u: t.__imatmul__(u),
]  # fmt: skip


@pytest.mark.parametrize("step", STEPS, ids=range(len(STEPS)))
def test_operators_change_arrays_as_numpy_does(step):
    a, u = np.array([[1.5, 2.0], [0.5, 3.0]]), np.array([[2.0, 3.0], [0.5, 1.25]])
    wanted = step(a.copy(), u)
    t, x = Tensor(a.copy()), leaf(u)
    row, memory = t[0], t.data
    assert step(t, u) is t and t.data is memory and np.array_equal(memory, wanted)
    assert np.array_equal(row.data, wanted[0])  # a view sees it
    for before in (Tensor(a), leaf(a) * 1):  # recorded, in a new array
        t = before
        assert step(t, x) is before and before.requires_grad and np.array_equal(before.data, wanted)
    assert a.tolist() == [[1.5, 2.0], [0.5, 3.0]]

    def total(a, u):
        t = a * 1
        step(t, u)
        return np.sum(t**2) + np.sum(a * u)

    assert tg.gradcheck(total, a, u, order=2)


def test_parameters_in_a_list_learn():
    parameters = [Tensor(np.ones(3)), Tensor(np.ones((2, 3)))]
    for p in parameters:
        p -= 0.25 * np.ones(p.shape)
    w = Tensor(np.arange(6.0))
    left = w[:3]
    w -= 1.0
    for row in w.reshape(2, 3):
        row *= 2.0
    assert [p.data.max() for p in parameters] == [0.75, 0.75] and left.tolist() == [-2, 0, 2]


def test_what_is_given_a_new_tensor():
    x, number, whole = leaf([1.0, 2.0]), Tensor(1.0), Tensor([1, 2])
    for before in (x, number, whole):
        after = before
        after += 0.5
        assert after is not before
    assert x.tolist() == [1, 2] and number.item() == 1 and whole.tolist() == [1, 2]
    h = x * 2
    with tg.no_grad():
        after = h
        after += 1.0
    assert after is not h and h.requires_grad and not after.requires_grad and h.tolist() == [2, 4]


def test_it_keeps_its_shape_its_precision_and_its_name():
    t = Tensor(np.ones(3, np.float32), name="t")
    t += np.ones(3)
    t += leaf([1.0, 1.0, 1.0])
    assert t.dtype == np.float32 and t.name == "t" and t.tolist() == [3, 3, 3]
    for other in (np.ones((2, 3)), leaf(np.ones((2, 3)))):
        with pytest.raises(ValueError, match=r"t \+= u gave shape \(2, 3\), which t of shape \(3,\) cannot hold"):
            t += other
    retained = leaf([1.0, 2.0]) * 1
    retained.retain_grad()
    retained *= 3.0
    (retained * [1.0, 10.0]).sum().backward()
    assert retained.grad.tolist() == [1, 10]


def test_what_a_record_needs_is_not_changed_unnoticed():
    x, step = leaf([1.0, 2.0]), np.array([1.0, 1.0])
    y = (x * x).sum()
    x.data -= step
    with pytest.raises(RuntimeError, match=r"t = t \+ u, not t \+= u; and t = t\.copy\(\) before t\[i\] = v"):
        y.backward()
    x = leaf([1.0, 2.0])
    h = x * 2
    y = (h**2).sum()
    h += 1.0  # a new array
    (y + h.sum()).backward()
    assert x.grad.tolist() == [8 + 2, 16 + 2]


def test_arguments_of_functions_that_are_differentiated():
    def squared(x):
        x += 1.0
        x *= x
        return np.sum(x)

    x = np.array([1.0, -3.0])
    assert tg.grad(squared)(x).tolist() == [4, -4] and tg.hessian(squared)(x).tolist() == [[2, 0], [0, 2]]
    assert x.tolist() == [1, -3]

    def inner(a):  # whose variable depends on an outer one
        return tg.grad(lambda x: squared(x) * np.sum(a))(a * np.ones(2))

    assert inner(2.0).tolist() == [2 * 3 * 2] * 2  # 2 (a + 1) a
    assert tg.jacobian(inner)(2.0).tolist() == [2 * (2 * 2 + 1)] * 2


@pytest.mark.parametrize("compiled", [False, True])
def test_what_a_step_changes(compiled):
    """A compiled step changes tensors from outside as a recorded one does."""
    w, state = Tensor(np.ones(2), requires_grad=True), [Tensor(np.zeros(2))]
    optimizer = tg.SGD([w], lr=0.1)

    def loss(x):
        for s in state:
            s *= 0.5
            s += x
        h = w * x
        h -= state[0]
        h *= h
        return np.sum(h)

    def step(x):
        optimizer.zero_grad()
        value = loss(x)
        value.backward()
        optimizer.step()
        return value.item()

    run = tg.compile_step(loss, optimizer) if compiled else step
    found = [run(np.array([1.0, 2.0])) for _ in range(3)]
    np.testing.assert_allclose(found, [0.0, 1.25, 0.9125], rtol=1e-12)
    np.testing.assert_allclose(state[0].data, [1.75, 3.5], rtol=1e-12)
    with pytest.raises(ValueError, match="cannot hold"):
        tg.derive(lambda x: np.sum((x * 2).__iadd__(np.ones((3, 2)))), np.ones(2))


# Whole numbers


def test_steps_become_whole_numbers_without_losing_a_derivative():
    table = np.array([1.0, 10.0, 100.0, 1000.0])

    def between(x):  # linear interpolation
        below = np.floor(x).astype(int)
        return np.sum(table[below] + (x - below) * (table[below + 1] - table[below]))

    x = np.array([0.5, 1.25])
    assert tg.grad(between)(x).tolist() == [9, 90]
    for whole in (np.floor, np.ceil, np.rint, np.trunc, np.sign, np.round, lambda x: x // 0.5):
        assert tg.grad(lambda x, f=whole: x[1] * int(f(x[1])) + table[f(x[0]).astype(int)])(x).tolist()[0] == 0
        assert tg.grad(lambda x, f=whole: x[1] * float(f(2 * x[1] + 0.1)))(x)[1] == float(whole(2.6))
    assert tg.grad(lambda x: np.sum(x * x.astype(int)) + np.sum(x * x.astype(bool)))(x).tolist() == [1, 2]
    for lost in (lambda x: int(x[0]), lambda x: int(np.floor(x[0]) + x[1]), lambda x: table[int(x[0] * 1.0)]):
        with pytest.raises(TypeError, match="its derivative would be lost"):
            tg.grad(lost)(x)
