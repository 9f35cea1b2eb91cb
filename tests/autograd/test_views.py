"""Views change with what they are views of, as NumPy's do, and the gradient follows."""

from __future__ import annotations

import gc
import itertools
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.autograd import views

VIEWS = {
    "row": lambda t, k: t[k % len(t)] if t.ndim > 1 else t[k % 2 :],
    "column": lambda t, k: t[..., k % t.shape[-1]] if t.ndim > 1 else t[::-1],
    "part": lambda t, k: t[k % 2 :, ...],
    "transposed": lambda t, k: t.T,
    "moved": lambda t, k: np.moveaxis(t, 0, -1),
    "flat": lambda t, k: t.reshape(-1),
    "wider": lambda t, k: t[None],
    "squeezed": lambda t, k: np.squeeze(t),
    "split": lambda t, k: np.array_split(t, 2)[0],
    "flipped": lambda t, k: np.flip(t, 0),
    "itself": lambda t, k: t,
    "anew": lambda t, k: t * 1.5,
}
CHANGES = {
    "add": lambda t, u: t.__iadd__(u),
    "multiply": lambda t, u: t.__imul__(u),
    "part": lambda t, u: t.__setitem__(0, u),
    "all": lambda t, u: t.__setitem__(..., u * 2),
    "part += u": lambda t, u: t.__setitem__(0, t[0].__iadd__(u)) if t.ndim > 1 else None,
    "fill": lambda t, u: t.fill(0.5),
}
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["view", "change"]), st.sampled_from(sorted(VIEWS)), st.sampled_from(sorted(CHANGES)),
        st.integers(0, 5), st.integers(0, 5),
    ),
    min_size=3, max_size=12,
)  # fmt: skip


def run(x, steps, start):
    """A program that takes views, and changes them by numbers made of others, with arrays or with tensors."""
    held = [start(x)]
    for kind, view, change, i, k in steps:
        t = held[i % len(held)]
        if not t.size:
            continue
        if kind == "view":
            held.append(VIEWS[view](t, k))
        else:
            CHANGES[change](t, (held[k % len(held)] * 0.3).sum() + x[0])
    return held


def weighed(held):
    return sum((np.cos(np.arange(float(t.size))).reshape(t.shape) * t * t).sum() for t in held)


@settings(max_examples=30)
@given(steps=STEPS, recorded=st.booleans())
def test_programs_that_change_views(steps, recorded):
    x = np.array([0.7, -0.4, 1.1])
    start = (lambda x: np.multiply.outer(x[:2], x)) if recorded else (lambda x: np.arange(6.0).reshape(2, 3) / 6)
    tensors = start if recorded else lambda x: tg.Tensor(start(x))
    leaf = tg.Tensor(x, requires_grad=True)
    wanted, found = run(x, steps, start), run(leaf, steps, tensors)
    for a, t in zip(wanted, found, strict=True):
        np.testing.assert_allclose(t.numpy(), a, rtol=1e-12)
    if not weighed(found).requires_grad:
        return
    slope = tg.grad(lambda x: weighed(run(x, steps, tensors)))(x)
    weighed(found).backward()
    np.testing.assert_array_equal(leaf.grad, slope)
    direction = np.array([0.3, -0.5, 0.2])
    value = lambda h: weighed(run(x + h * direction, steps, start))
    h = 1e-5
    numerical = (8 * (value(h) - value(-h)) - value(2 * h) + value(-2 * h)) / (12 * h)
    assert slope @ direction == pytest.approx(numerical, rel=1e-6, abs=1e-6 * max(1, abs(value(0.0))))


def leaf(values):
    return tg.Tensor(np.array(values, float), requires_grad=True)


@pytest.mark.parametrize("recorded", [False, True])
class TestWriting:
    def start(self, recorded):
        x = leaf([1.0, 2.0, 3.0])
        return x, x * np.ones((2, 3)) if recorded else tg.Tensor(np.ones((2, 3)))

    def test_through_a_row_a_column_and_a_transposed_row(self, recorded):
        x, a = self.start(recorded)
        row, column = a[0], a[:, 1]
        row += x
        column /= x[1]
        a.T[2][1] = x[2] * 4
        b = np.ones((2, 3)) * ([1, 2, 3] if recorded else 1)
        b[0] += [1, 2, 3]
        b[:, 1] /= 2
        b[1, 2] = 12
        assert a.tolist() == b.tolist() and row.tolist() == b[0].tolist() and column.tolist() == b[:, 1].tolist()
        assert np.shares_memory(a.data, row.data) and np.shares_memory(a.data, column.data)

    def test_what_was_computed_before_keeps_its_gradient(self, recorded):
        x, a = self.start(recorded)
        row = a[0]
        y = (row * row * x).sum()
        before = y.item()
        row *= x
        assert y.item() == before
        y.backward(retain_graph=True)
        assert x.grad.tolist() == ([3, 12, 27] if recorded else [1, 1, 1])
        x.zero_grad()
        a.sum().backward()
        assert x.grad.tolist() == ([2 * v + 1 for v in (1.0, 2.0, 3.0)] if recorded else [1, 1, 1])

    def test_an_assignment_is_seen_through_views(self, recorded):
        x, a = self.start(recorded)
        row, flat, window = a[0], a.reshape(-1), np.lib.stride_tricks.sliding_window_view(a, 2, 1)
        a[0] = x * 5
        assert row.tolist() == flat[:3].tolist() == [5, 10, 15] and window[0, 1].tolist() == [10, 15]
        (row * flat[:3] + window[0, 0, 1]).sum().backward()
        assert x.grad.tolist() == [50, 100 + 15, 150]

    def test_augmented_assignment_is_recorded_once(self, recorded):
        x, a = self.start(recorded)
        a[1] += x
        assert a.record.primitive.name == "setitem" and a.record.nodes[1].primitive.name == "add"
        below = a.record.nodes[0]
        assert (below is not None) == recorded and (below is None or below.primitive.name == "multiply")

    def test_what_shows_elements_twice_or_a_diagonal_is_refused(self, recorded):
        x, a = self.start(recorded)
        values = a.tolist()
        for view in (np.broadcast_to(a, (2, 2, 3)), np.einsum("ii->i", a[:, :2]), a[:, :2].diagonal()):
            with pytest.raises(
                TypeError, match=r"into a view of shape .* Assign into the tensor itself, c\[i, j\] = v"
            ):
                view += x[0]
        assert a.tolist() == values

    def test_a_number_that_is_a_view(self, recorded):
        x, a = self.start(recorded)
        number = a[1, 2, ...]
        number += x[1]
        assert number.tolist() == a[1, 2].item() == (5 if recorded else 3)
        for plain in (a[1, 2], np.squeeze(a[1:, 2:])):  # the first is a number in NumPy
            plain += np.ones(2)
            assert a[1, 2].tolist() == plain[0].item() - 1

    def test_a_view_that_was_kept_and_its_name(self, recorded):
        x, a = self.start(recorded)
        a = a * x
        a.name, row = "a", a[0]
        row.name = "row"
        row.retain_grad()
        row += x
        assert (a.name, row.name, a[1].name) == ("a", "row", None)
        (row * 3).sum().backward()
        assert row.grad.tolist() == [3, 3, 3]

    def test_an_array_of_its_own(self, recorded):
        """What a tensor is given for its data does not change with what it was a view of, nor does that with it."""
        x, a = self.start(recorded)
        row, other, values = a[0], a[1], a.tolist()
        other.data = np.zeros(3)
        other += x
        assert a.tolist() == values
        a.data = np.zeros((2, 3))
        row += x
        assert a.tolist() == [[0, 0, 0], [0, 0, 0]] and row.tolist() == [
            v + u for v, u in zip(values[0], (1, 2, 3), strict=True)
        ]


def test_views_of_leaves_are_refused():
    x, u = leaf([[1.0, 2.0], [3.0, 4.0]]), leaf([1.0, 1.0])
    for change in (
        lambda: x[0].__iadd__(u), lambda: x.T[0].__imul__(2.0), lambda: x[0].__setitem__(0, 1.0),
        lambda: x.reshape(-1).fill(0.0),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=r"or into a view of one.* t\.copy\(\).* row = row \+ u"):
            change()
    assert x.tolist() == [[1, 2], [3, 4]]
    with pytest.raises(TypeError, match="into a view of one"):
        tg.grad(lambda x: (x[:1].__iadd__(x[1:]) * x).sum())(np.ones(2))


def test_under_no_grad():
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    h = x * 2
    row = h[0]
    with tg.no_grad():
        with pytest.raises(TypeError, match="into a view of one"):
            row += 1.0
        cut = h[1]
    with pytest.raises(TypeError, match="into a view of one"):
        cut += x[0]
    h[1] = x[0] * 10
    assert cut.tolist() == [6, 8] and not cut.requires_grad and h.tolist() == [[2, 4], [10, 20]]
    h[0] = cut  # a constant, although it has the elements of another row
    h[1] = h[1].detach()
    assert h.requires_grad
    h.sum().backward()
    assert x.grad.tolist() == [[0, 0], [0, 0]]
    with tg.no_grad():
        x[0].__iadd__(1.0)  # of a parameter, between steps
    assert x.tolist() == [[2, 3], [3, 4]]


def test_integers():
    k = tg.Tensor(np.array([[1, 2], [3, 4]]))
    row, column = k[0], k[:, 1]
    row += 1
    column *= tg.Tensor([2, 3])
    assert k.tolist() == [[2, 6], [3, 12]]
    small = tg.Tensor(np.array([[250], [1]], np.uint8))
    small[0] += 3
    assert small.tolist() == [[253], [1]] and small.dtype == np.uint8
    halves = k[0]
    halves /= 2  # which NumPy refuses
    assert halves.tolist() == [1, 3] and k.tolist() == [[2, 6], [3, 12]]


def test_a_copy_is_no_view():
    x = leaf([1.0, 2.0])
    a = np.outer(x, x)
    for copied in (a[[0, 1]], a[:, [0, 1]], a.copy(), a.T.reshape(-1), np.roll(a, 1), a.flatten(), a.detach()[0]):
        copied += 1.0
        copied[...] = 7.0
    assert a.numpy().tolist() == [[1, 2], [2, 4]] or a.tolist() == [[7, 7], [2, 4]]


def test_what_looks_is_not_kept():
    """A tensor does not keep its views alive, and forgets those that are gone."""
    gc.disable()
    try:
        a = leaf(np.ones((3, 4))) * 2
        gone = weakref.ref(a[0])
        assert gone() is None
        kept = [a[k % 3] for k in range(50)]
        for _ in range(1000):
            a[0]
        assert len(views.views_of(a)) == 50 and len(a._ties.views) <= 120
        kept[0] += 1.0
        assert kept[48].tolist() == [3, 3, 3, 3] and kept[49].tolist() == [2, 2, 2, 2]
        whole = weakref.ref(a)
        del a, kept
        assert whole() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("axis", [0, 1])
def test_a_running_product_is_no_view_along_any_axis(axis):
    y = np.cumprod(leaf(np.full((2, 2), 3.0)), axis=axis)
    assert views.view_of(y) is None
    with tg.no_grad():
        z = y
        z *= 2.0  # a new tensor, where a view would refuse
    assert y.tolist() == np.cumprod(np.full((2, 2), 3.0), axis=axis).tolist() and z.tolist() == (2 * y).tolist()


def test_a_long_chain_of_views():
    x = leaf(np.arange(1500.0))
    a = v = x * 1.0
    while len(v) > 1:
        v = v[1:]
    v += x[:1] * 5
    assert a[-1].item() == 1499.0 and a[-2:].tolist() == [1498, 1499]


class TestDerivations:
    def test_what_is_not_read_again(self):
        def f(x):
            h = (x * 2).reshape(-1)
            h += 1.0
            q, k = np.split(h, 2)
            q *= 3.0  # of which k shows nothing
            return (q * k).sum()

        x = np.arange(4.0).reshape(2, 2)
        np.testing.assert_allclose(tg.derive(f, x)(x)[1][0], tg.grad(f)(x), rtol=1e-13)

    @pytest.mark.parametrize("name", ["row", "whole", "alias", "sibling"])
    def test_what_is_read_again_is_refused(self, name):
        def f(x):
            h = x * 2
            row, column = h[0], h[:, 0]
            if name == "row":
                row += 1.0
                return (h * h).sum()
            alias = h
            h += 1.0
            return (h * {"whole": row, "alias": alias, "sibling": column}[name]).sum()

        x = np.ones((2, 2))
        tg.grad(f)(x)
        with pytest.raises(TypeError, match=r"changed in place, by way of a view.* Write t = t \+ u in place of"):
            tg.derive(f, x)

    def test_a_view_of_what_is_from_outside(self):
        a = tg.Tensor(np.ones((2, 2)))
        f = lambda x: (a[0].__iadd__(x) * a).sum()
        with pytest.raises(TypeError, match="a view of a tensor from outside is assigned to"):
            tg.derive(f, np.ones(2))
        assert a.tolist() == [[1, 1], [1, 1]]


# What a second reader found


@pytest.mark.parametrize("made", [lambda x: np.multiply.outer(x, np.ones(2)).T, lambda x: np.stack([x, x], -1).T * 2])
def test_a_change_leaves_the_order_in_memory_as_it_was(made):
    x = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    for change in ("+=", "="):
        A, B = made(x), made(x.numpy())
        if change == "+=":
            A += np.ones((2, 3))
            B += np.ones((2, 3))
        else:
            A[...] = A + 1
            B[...] = B + 1
        for a in (A, B):
            v = a.ravel()  # of a matrix in this order, a copy
            v *= 0.0
        np.testing.assert_array_equal(A.numpy(), B)


def test_what_was_changed_is_not_what_it_was_made_of_any_more():
    z, u = (tg.Tensor(values, requires_grad=True) for values in ([0.0, 2.0], 0.25))
    h = tg.sigmoid(z)
    h[0] = u
    loss = tg.binary_cross_entropy(h, [1.0, 1.0], "sum")  # which takes the logits of a sigmoid
    loss.backward()
    assert loss.item() == pytest.approx(-np.log(0.25) + np.log1p(np.exp(-2)))
    assert u.grad == pytest.approx(-4) and z.grad.tolist() == [0, pytest.approx(1 / (1 + np.exp(-2)) - 1)]


@pytest.mark.parametrize("copied", [
    lambda A: np.take(A, 0, axis=0), lambda A: A.take(1, axis=1), lambda A: np.take(A, 2), lambda A: A.flat[:3],
    lambda A: A.T.copy(), lambda A: A.T.copy().reshape(-1), lambda A: np.copy(A.T).ravel(),
])  # fmt: skip
def test_what_numpy_copies_is_no_view(copied):
    x = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    for with_gradient in (True, False):
        A = np.outer(x, x) if with_gradient else tg.Tensor(np.outer(x.numpy(), x.numpy()))
        v = copied(A)
        np.testing.assert_array_equal(v.numpy(), copied(np.outer(x.numpy(), x.numpy())))
        v *= 0.0
        np.testing.assert_array_equal(A.numpy(), np.outer(x.numpy(), x.numpy()))


def test_a_copy_has_the_order_of_numpy_s():
    x = tg.Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    for order in "CKFA":
        assert x.T.copy(order).numpy().strides == x.numpy().T.copy(order).strides
        assert np.copy(x.T, order).numpy().strides == np.copy(x.numpy().T, order).strides
    B = np.outer(x[0], x[1, :2]).T.copy()
    v = B.reshape(-1)
    v *= 2.0
    assert B.sum().item() == 2 * np.outer(x.numpy()[0], x.numpy()[1, :2]).sum()


def test_a_repeated_view_cannot_be_assigned_to():
    A = np.outer(*[tg.Tensor([1.0, 2.0], requires_grad=True)] * 2)
    b = np.broadcast_to(A, (1, 2, 2))
    with pytest.raises(TypeError, match="a view of shape \\(1, 2, 2\\) that broadcast_to gave"):
        b += 1.0
    assert A.shape == (2, 2)


def test_views_of_integers_follow():
    k = tg.Tensor(np.array([[1, 2], [3, 4]]))
    row = k[0]
    k += 1
    assert row.numpy().tolist() == [2, 3]


def test_a_view_that_is_said_not_to_require_grad_stays_one():
    A, x = tg.Tensor(np.zeros((2, 2))), tg.Tensor([1.0, 2.0], requires_grad=True)
    row = A[0]
    row.requires_grad = False
    row += x
    assert A.numpy().tolist() == [[1, 2], [0, 0]]


def test_numbers_that_are_nan_are_not_replaced_in_place():
    with pytest.raises(TypeError, match="nan_to_num: the option copy="):
        np.nan_to_num(tg.Tensor([1.0, np.nan], requires_grad=True) * 2, copy=False)


def test_what_a_failed_trace_left_is_no_view():
    a = tg.Tensor(np.ones((2, 2)))

    def looks(x):
        row = a[0]
        return float((row * x).sum())

    with pytest.raises(TypeError) as error:
        tg.derive(looks, np.ones(2))
    a[1] = tg.Tensor([2.0, 2.0], requires_grad=True)
    assert a.numpy().tolist() == [[1, 1], [2, 2]] and error.tb is not None  # which holds the symbol


def test_a_product_with_one_may_be_changed():
    def f(x):
        y = x * 2.0
        h = y * 1.0
        h += 1.0
        return (y * h).sum()

    X = np.array([1.0, 2.0])
    value, (gradient,) = tg.derive(f, X)(X)
    assert value == f(X) and gradient.tolist() == tg.grad(f)(X).tolist()


def test_a_tensor_from_outside_cannot_take_a_gradient_into_a_trace():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)

    def f(b):
        total = tg.Tensor(np.ones(2))
        total += w * b
        return (total * total).sum()

    with pytest.raises(TypeError, match="changed by what a gradient flows through"):
        tg.derive(f, np.ones(2), parameters=[w])


def test_maxima_of_single_numbers_are_derived():
    value, (gradient,) = tg.derive(lambda x: np.maximum(x, 0.0) + np.minimum(1.0, x), 2.0)(2.0)
    assert value == 3 and gradient == 1


def test_a_view_of_a_tensor_from_outside_is_not_read_as_it_was():
    w, row_of = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True), tg.Tensor(np.arange(6.0).reshape(2, 3))
    step = tg.compile_step(lambda b: _with_a_view(w, row_of, b), tg.SGD([w], lr=0.1))
    with pytest.raises(TypeError, match="view"):
        step(np.array([1.0, -1.0, 2.0]))


def _with_a_view(w, buffer, b):
    row = buffer[0]
    buffer += b
    return (w * w * row).sum()


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
def test_ravel_is_a_view_or_a_copy_as_numpys(shape):
    """Of what lies at equal distances, but not in one piece, NumPy's is a copy."""
    parts = slice(None), slice(None, None, 2), slice(None, None, -1), slice(1, 2), slice(0, 0), 0, -1, None
    for index in itertools.product(parts, repeat=len(shape)):
        for order, turned in itertools.product("CFAK", (False, True)):
            array = np.arange(1.0, np.prod(shape) + 1).reshape(shape)
            t = tg.Tensor(array.copy(), requires_grad=True) * 1.0
            array, t = (array.T, t.T) if turned else (array, t)
            if not isinstance(array[index], np.ndarray):
                continue
            np.ravel(array[index], order)[...] *= 3
            flat = t[index].ravel(order)
            flat *= 3
            np.testing.assert_array_equal(t.numpy(), array)


def test_of_what_ravel_copied_a_later_change_changes_nothing():
    def kept(x):
        a = x * 1
        old = a[:, 0].ravel()
        a[:, 0] = 0.0
        return np.sum(old**2)

    value, slope = tg.value_and_grad(kept)(np.array([[1.0, 2], [3, 4]]))
    assert value == 10 and slope.tolist() == [[2, 0], [6, 0]]


@pytest.mark.parametrize("k", [0, 4])
def test_not_turned_at_all_is_a_view(k):
    t = tg.Tensor(np.ones((2, 2)), requires_grad=True) * 1.0
    turned = np.rot90(t, k)
    t[0, 0] = 5.0
    assert turned.tolist() == [[5, 1], [1, 1]]
