"""Tensors: what they accept, refuse and say; arithmetic with NumPy on either side; NumPy's functions; no_grad."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest

from tinygrad_edu import Tensor, derive, grad, no_grad
from tinygrad_edu.autograd.recording import watching
from tinygrad_edu.functional import binary_cross_entropy as bce
from tinygrad_edu.functional import sigmoid


def leaf(values, **options):
    return Tensor(values, requires_grad=True, **options)


class TestMaking:
    def test_floats_are_float64_and_float32_stays(self):
        assert Tensor([1.0, 2.0]).dtype == np.float64
        assert Tensor(3.0).dtype == np.float64
        assert Tensor(np.ones(2, np.float32)).dtype == np.float32
        assert Tensor([1, 2], dtype=float, requires_grad=True).dtype == np.float64

    def test_an_array_is_shared(self):
        a = np.ones(3)
        t = Tensor(a)
        assert t.data is a and t.numpy() is a and t.detach().data is a

    def test_data_of_a_number_is_an_array(self):
        for t in (Tensor(3.0), leaf(3.0) * 2, leaf([1.0, 2.0]).sum()):
            assert isinstance(t.data, np.ndarray) and t.data.shape == () and t.data is t.data

    @pytest.mark.parametrize("data", [[1, 2, 3], np.array([True]), np.array(3), 7])
    def test_integers_have_no_gradient(self, data):
        with pytest.raises(TypeError, match=r"only real floats have a gradient.*dtype=float"):
            Tensor(data, requires_grad=True)
        t = Tensor(data)
        with pytest.raises(TypeError, match="only real floats"):
            t.requires_grad = True

    @pytest.mark.parametrize("data", [["a"], [object()], np.array([1j]), [None], 1j])
    def test_what_is_not_real_numbers_is_refused(self, data):
        with pytest.raises(TypeError, match="holds real numbers"):
            Tensor(data)

    def test_a_masked_array_is_refused(self):
        with pytest.raises(TypeError, match="lose its mask"):
            Tensor(np.ma.masked_array([1.0, 2.0], [True, False]))
        with pytest.raises(TypeError, match="lose its mask"):
            leaf([1.0, 2.0]) * np.ma.masked_array([1.0, 2.0], [True, False])

    def test_a_recorded_tensor_is_not_wrapped_again(self):
        with pytest.raises(TypeError, match="would drop its gradient"):
            Tensor(leaf([1.0]) * 2)

    def test_repr(self):
        assert repr(leaf([1.0, 2.0], name="w")) == "Tensor([1., 2.], requires_grad=True, name='w')"
        assert repr(leaf([1.0]) * 2) == "Tensor([2.], record=multiply)"
        assert repr(Tensor(np.float32(2))) == "Tensor(2., dtype=float32)"
        assert f"{leaf(2.0) * 2:.3f}" == "4.000"

    def test_properties(self):
        t = leaf(np.zeros((2, 3)))
        assert (t.shape, t.ndim, t.size, len(t), t.T.shape, t.mT.shape) == ((2, 3), 2, 6, 2, (3, 2), (3, 2))
        assert t.is_leaf and not (t * 2).is_leaf and (t * 2).requires_grad and t.record is None
        assert [row.shape for row in t] == [(3,), (3,)]
        with pytest.raises(TypeError, match="0-d"):
            len(leaf(1.0))

    def test_tensors_are_keys_by_identity(self):
        a, b = leaf([1.0]), leaf([1.0])
        assert {a: 1, b: 2}[a] == 1


class TestBackward:
    def test_diamond(self):
        x = leaf(2.0)
        y = 3 * x
        (2 * y + 5 * y).backward()
        assert x.grad == 21 and isinstance(x.grad, np.ndarray)

    def test_a_tensor_used_several_times(self):
        for function, expected in (
            (lambda x: x * x, 6),
            (lambda x: x / x, 0),
            (lambda x: x - x, 0),
            (lambda x: x**x, None),
        ):
            x = leaf(3.0)
            function(x).backward()
            assert x.grad == pytest.approx(27 * (1 + math.log(3)) if expected is None else expected)

    def test_retain_graph_accumulates_once_more(self):
        x = leaf(3.0)
        h = x * x
        y = h * h
        y.backward(retain_graph=True)
        assert x.grad == 108
        y.backward(retain_graph=True)
        assert x.grad == 216

    def test_a_second_pass_over_a_released_graph(self):
        x = leaf(3.0)
        y = (x * x) ** 2
        y.backward()
        with pytest.raises(RuntimeError, match=r"already ran through 'power'.*retain_graph=True"):
            y.backward()
        assert x.grad == 108

    def test_two_losses_share_a_node(self):
        x = leaf(2.0)
        h = x * x
        (h * 1).backward(retain_graph=True)
        (h * 1).backward()
        assert x.grad == 8
        with pytest.raises(RuntimeError, match="already ran through 'multiply'"):
            (h + 1).backward()

    def test_only_numbers_have_a_gradient(self):
        with pytest.raises(ValueError, match=r"shape \(2,\).*\.sum\(\) or \.mean\(\)"):
            (leaf([1.0, 2.0]) * 2).backward()
        x = leaf([[1.0]])
        (x * 3).backward()
        assert x.grad == 3

    def test_a_given_gradient(self):
        x = leaf([1.0, 2.0])
        (x * x).backward([10, 100])
        np.testing.assert_array_equal(x.grad, [20, 400])
        with pytest.raises(ValueError, match=r"shape \(3,\) on a tensor of shape \(2,\)"):
            (x * x).backward([1.0, 2.0, 3.0])

    def test_nothing_recorded(self):
        with pytest.raises(RuntimeError, match="none of what it was computed from requires grad"):
            (Tensor([1.0]) * 2).backward()
        with pytest.raises(RuntimeError, match="nothing was computed from it yet"):
            leaf(1.0).backward()
        with no_grad():
            y = leaf(1.0) * 2
        with pytest.raises(RuntimeError, match="no_grad"):
            y.backward()

    def test_only_leaves_keep_gradients_and_each_its_own(self):
        a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])
        c = a + b
        c.sum().backward()
        with pytest.warns(UserWarning, match=r"retain_grad\(\)"):
            assert c.grad is None
        a.grad[0] = 99
        assert b.grad[0] == 1 and a.grad.flags.writeable and a.grad.flags.owndata

    def test_the_seed_is_not_the_gradient(self):
        x, seed = leaf([1.0, 2.0]), np.array([1.0, 1.0])
        (+x).backward(seed)
        (x + 0.0).backward(seed)
        x.grad[0] = 5
        assert seed[0] == 1

    def test_a_constant_input_costs_and_gets_nothing(self):
        X, W = Tensor(np.ones((2, 3))), leaf(np.ones((3, 1)))
        y = X @ W
        assert y.record.nodes == (None, W)
        assert y.record.saved[2] is None  # W itself is not read by the rule for W
        y.sum().backward()
        assert X.grad is None

    def test_gradients_have_the_leaf_s_dtype(self):
        x = leaf(np.ones(3, np.float32))
        (x * np.float64(2)).sum().backward()
        assert x.grad.dtype == np.float32
        w = leaf(np.ones(3))
        (w * np.ones(3, np.float32)).astype(np.float32).sum().backward()
        assert w.grad.dtype == np.float64

    def test_the_gradient_of_a_number_stays_an_array(self):
        x = leaf(2.0)
        for _ in range(2):
            (x * x).backward()
        assert isinstance(x.grad, np.ndarray) and x.grad == 8

    def test_setting_grad(self):
        x = leaf([1.0, 2.0])
        x.grad = np.array([1, 2])
        assert x.grad.dtype == np.float64
        x.zero_grad()
        assert x.grad is None
        with pytest.raises(ValueError, match=r"must be an array of that shape"):
            x.grad = np.ones(3)

    def test_plain_depth_first_order_would_be_wrong(self):
        """Why newest first: x is reached through a before all of b's gradient has arrived (Karpathy's example)."""
        a = leaf(-4.0)
        b = leaf(2.0)
        c = a + b
        d = a * b + b**3
        c = c + c + 1
        c = c + 1 + c + (-a)
        d = d + d * 2 + (b + a) * 1
        d = d + 3 * d + (b - a) * 1
        e = c - d
        f = e**2
        g = f / 2.0 + 10.0 / f
        g.backward()
        with_h = 1e-6

        def value(a, b):
            c = a + b
            d = a * b + b**3
            c = c + c + 1
            c = c + 1 + c + (-a)
            d = d + d * 2 + (b + a) * 1
            d = d + 3 * d + (b - a) * 1
            f = (c - d) ** 2
            return f / 2.0 + 10.0 / f

        assert a.grad == pytest.approx((value(-4 + with_h, 2) - value(-4 - with_h, 2)) / (2 * with_h), rel=1e-6)
        assert b.grad == pytest.approx((value(-4, 2 + with_h) - value(-4, 2 - with_h)) / (2 * with_h), rel=1e-6)


class TestChangesInPlace:
    def test_rebinding_leaves_an_older_graph_right(self):
        x = leaf([1.0, 2.0])
        y = (x**2).sum()
        x.data = x.data - 100
        y.backward()
        np.testing.assert_array_equal(x.grad, [2, 4])

    def test_an_index_is_kept_as_it_was(self):
        x, i = leaf([1.0, 2.0, 3.0]), np.array([0])
        for index in (i, Tensor(i), [0]):
            x.zero_grad()
            y = x[index]
            index[0] = 2
            y.sum().backward()
            assert x.grad.tolist() == [1, 0, 0]
            index[0] = 0

    @pytest.mark.parametrize("shape", [(), (2,)])
    def test_a_change_in_place_before_backward_is_noticed(self, shape):
        x = leaf(np.ones(shape), name="w")
        y = (x**2).sum()
        x.data -= 0.5
        with pytest.raises(RuntimeError, match=r"'w'.*'power' used was changed in place.*t\.data = t\.data - step"):
            y.backward()

    def test_also_of_a_large_constant_an_intermediate_and_a_view(self):
        c, x = Tensor(np.ones(5000)), leaf([3.0, 4.0])
        y = (c * x[0]).sum()
        c.data *= 2
        with pytest.raises(RuntimeError, match="changed in place"):
            y.backward()
        h = x * 2
        y = (h * h).sum()
        h.data += 1
        with pytest.raises(RuntimeError, match="changed in place"):
            y.backward()
        v = x.reshape(1, 2)
        y = (v * v).sum()
        x.data += 1
        with pytest.raises(RuntimeError, match="changed in place"):
            y.backward()

    def test_where_the_rule_does_not_read_it_nothing_is_wrong(self):
        x = leaf([1.0, 2.0])
        y = (x + 1).sum()
        x.data -= 5
        y.backward()
        np.testing.assert_array_equal(x.grad, [1, 1])

    def test_the_usual_loop_with_updates_in_place(self):
        w = leaf([1.0, 2.0])
        for _ in range(5):
            w.zero_grad()
            (w * w).sum().backward()
            w.data -= 0.25 * w.grad
        np.testing.assert_allclose(w.data, [1 / 32, 2 / 32])

    def test_assignment_into_a_leaf_is_refused(self):
        x, plain = leaf([1.0, 2.0]), Tensor([1.0, 2.0])
        h = x * 2
        with pytest.raises(TypeError, match=r"requires grad.* c = t\.copy\(\), which is recorded.*np\.where"):
            x[0] = 5.0
        with no_grad():
            for t in (x, h):
                with pytest.raises(TypeError, match=r"assigning into a tensor that requires grad"):
                    t[0] = 5.0
            plain[1] = x[0]
        plain[0] = 5.0
        assert plain.tolist() == [5, 1] and x.tolist() == [1, 2] and h.tolist() == [2, 4]
        assert not plain.requires_grad

    def test_assignment_of_what_is_recorded_is_recorded(self):
        x = leaf([1.0, 2.0, 3.0])
        given = np.zeros((2, 2))
        c = Tensor(given, name="c")
        row, y = c[0], (c + x[0]).sum()
        c[0] = x[1] * x[2]
        c[1, 0] += 3 * x[0]
        assert c.tolist() == [[6, 6], [3, 0]] and c.requires_grad and c.name == "c"
        assert given.tolist() == [[0, 0], [0, 0]] and row.tolist() == [6, 6]
        c[0, 0] = 7.0  # what was there is gone, and so is its gradient
        (c * [[1.0, 10], [100, 1000]]).sum().backward()
        assert x.grad.tolist() == [300, 30, 20]
        y.backward()
        assert x.grad.tolist() == [304, 30, 20]

    def test_assignment_keeps_the_last_of_equal_places(self):
        x, c = leaf([[1.0, 2.0], [3.0, 4.0]]), Tensor(np.zeros((2, 2)))
        c[[1, 1]] = x
        (c * [[1.0, 10], [100, 1000]]).sum().backward()
        assert c.tolist() == [[0, 0], [3, 4]] and x.grad.tolist() == [[0, 0], [100, 1000]]

    def test_assignment_follows_numpy(self):
        x = leaf([1.0, 2.0])
        c, whole = Tensor(np.zeros((3, 2), np.float32)), Tensor(np.zeros(2, int))
        c[np.array([True, False, True])] = x.reshape(1, 1, 2)
        c[1:, Tensor(0)] = x[:1]
        assert c.dtype == np.float32 and c.tolist() == [[1, 2], [1, 0], [1, 2]]
        c.sum().backward()
        assert x.grad.dtype == np.float64 and x.grad.tolist() == [3, 2]
        for t, index, error in ((c, 3, IndexError), (c, (0, slice(0)), ValueError), (whole, slice(None), TypeError)):
            with pytest.raises(error):
                t[index] = x
        with pytest.raises(TypeError, match="setitem of a tensor that requires grad gave int64, which has no gradient"):
            whole[0] = x[0]
        assert whole.tolist() == [0, 0] and not whole.requires_grad

    @pytest.mark.parametrize("values", [lambda x: [x[0] ** 2, 3 * x[1]], lambda x: (x[0] ** 2, x[1] * 3.0)])
    def test_lists_of_tensors_are_assigned(self, values):
        def filled(x, recorded):
            c = x[[0, 0]] if recorded else Tensor(np.zeros(2))
            c[:] = values(x)
            c[1:] = [c[0] * 2]
            return c[0] + c[1]

        for recorded in (False, True):
            assert grad(lambda x, r=recorded: filled(x, r))(np.array([2.0, 3.0])).tolist() == [12, 0]
        nested = lambda x: (t := Tensor(np.zeros((2, 2))), t.__setitem__(..., [[x[0], 1.0], [x[1], x[0]]]))[0]
        assert grad(lambda x: (nested(x) * [[1, 2], [3, 4]]).sum())(np.ones(2)).tolist() == [5, 3]

    @pytest.mark.parametrize("recorded", [False, True])
    @pytest.mark.parametrize(
        "view",
        [
            lambda c: c[0], lambda c: c.T, lambda c: c.reshape(-1), lambda c: next(iter(c)), lambda c: c[:, 1:].T,
            lambda c: np.einsum("ij->ji", c), lambda c: c.reshape(4)[:2], lambda c: c[None].T[1, :, 0],
        ],
        ids=range(8),
    )  # fmt: skip
    def test_assignment_into_a_view(self, view, recorded):
        """What it is a view of follows."""
        x = leaf([1.0, 2.0])
        c = x * np.ones((2, 2)) if recorded else Tensor(np.zeros((2, 2)))
        wanted = np.array(c.data)
        v, array = view(c), view(wanted)
        v[...], array[...] = x[1], 2.0
        assert c.tolist() == wanted.tolist() and v.tolist() == array.tolist()
        (c * [[1.0, 10], [100, 1000]]).sum().backward()
        weights = np.array([[1.0, 10], [100, 1000]])
        changed = view(weights).sum()
        view(weights)[...] = 0
        assert x.grad.tolist() == [recorded * weights[:, 0].sum(), recorded * weights[:, 1].sum() + changed]
        view(c)[...], view(wanted)[...] = 1.0, 1.0
        assert c.tolist() == wanted.tolist()
        copied = view(c).copy()
        copied[...] = x[0]
        assert c.tolist() == wanted.tolist()

    @pytest.mark.parametrize(
        "copied",
        [
            lambda c: c[:, [0, 1]], lambda c: c[[1, 0]], lambda c: np.roll(c, 1), lambda c: np.tile(c, 2),
            lambda c: np.take(c, [0], axis=1), lambda c: np.repeat(c, 2, axis=1), lambda c: np.pad(c, 1),
        ],
        ids=range(7),
    )  # fmt: skip
    def test_assignment_into_a_copy_is_recorded(self, copied):
        """Of other elements, or in another order, NumPy makes a new array, although it may be a view inside."""
        x = leaf([1.0, 2.0])
        y = copied(x * np.ones((2, 2)))
        y[0] = x[1] * 3
        assert np.all(y[0].data == 6)
        y.sum().backward()
        assert x.grad[1] >= 3 * y.shape[1]

    @pytest.mark.parametrize(
        "made",
        [
            lambda x: np.ones((3, 2)) @ x, lambda x: x @ np.ones((2, 3)), lambda x: np.ones((2, 2, 2)) @ x,
            lambda x: np.kron(x, [1.0, 1.0]), lambda x: np.cross(np.tile(x, (3, 2))[:, :3], np.eye(3), axisc=0),
            lambda x: np.convolve(x, np.ones(3), "same"), lambda x: np.correlate(x, np.ones(4), "full"),
            lambda x: np.linalg.solve(np.eye(2), x), lambda x: np.linalg.multi_dot([np.eye(2), np.eye(2), x]),
            lambda x: np.divmod(x, 0.75)[1], lambda x: np.modf(x)[0], lambda x: np.cumprod(np.outer(x, x), axis=0),
        ],
        ids=range(12),
    )  # fmt: skip
    @pytest.mark.parametrize("constant", [False, True])
    def test_assignment_into_what_numpy_makes_anew(self, made, constant):
        """It is a view of what a step on the way gave, which nobody else holds."""
        x = leaf([1.0, 2.0])
        y = made(Tensor([1.0, 2.0]) if constant else x)
        y[0] = x[1] * 3
        assert np.all(y[0].data == 6) and y.record.primitive.name == "setitem"
        y.sum().backward()
        assert x.grad[1] >= 3

    def test_what_is_real_is_itself(self):
        for c in (Tensor(np.zeros((2, 2))), leaf([1.0, 2.0]) * np.ones((2, 2))):
            for same in (np.real(c), c.real, c.conj(), np.real_if_close(c, 100)):
                assert same is c
            assert np.conj(c) is not c

    @pytest.mark.parametrize("made", [lambda x: x, lambda x: x * 1.5], ids=["leaf", "recorded"])
    def test_what_is_real_has_no_gradient_under_no_grad(self, made):
        x = made(leaf([1.0, 2.0]))
        with no_grad():
            for alone in (np.real(x), x.real, x.conj(), np.real_if_close(x)):
                assert not alone.requires_grad and alone.data is x.data

    def test_what_was_assigned_to_is_not_what_a_sigmoid_gave(self):
        """A loss computes from the logits only while the probabilities are those."""
        y = np.array([[1.0], [0.0]])
        for one, other in ((lambda p: p, lambda q: q.reshape(-1)), (lambda p: p.reshape(-1), lambda q: q)):
            p = sigmoid(Tensor([[2.0], [-1.0]]))
            p, q = one(p), other(p)
            p[0] = 0.1
            for t in (p, q):
                assert bce(t, y.reshape(t.shape)).item() == bce(t.data, y.reshape(t.shape)).item()

    def test_a_loop_that_fills_a_tensor(self):
        def powers(b):
            c = Tensor(np.ones(4))
            for k in range(3):
                c[k + 1] = c[k] * b
            return np.sum(c)

        assert grad(powers)(2.0) == 1 + 2 * 2 + 3 * 4 and grad(grad(powers))(2.0) == 2 + 6 * 2
        with pytest.raises(TypeError, match=r"a tensor is assigned into at .*Join parts by np\.stack"):
            derive(powers, 2.0)

    def test_augmented_assignment_leaves_leaves(self):
        x = leaf([1.0, 2.0])
        y = x
        y += 1
        y *= x
        assert y is not x and x.tolist() == [1, 2]
        y.sum().backward()
        np.testing.assert_array_equal(x.grad, [3, 5])

    def test_data_of_another_shape_or_kind(self):
        x = leaf([1.0, 2.0])
        with pytest.raises(ValueError, match=r"shape \(3,\) assigned to a tensor of shape \(2,\)"):
            x.data = np.ones(3)
        with pytest.raises(TypeError, match="assign floats"):
            x.data = np.array([1, 2])


class TestConversions:
    def test_a_silent_drop_of_the_record_is_refused(self):
        x = leaf([1.0, 2.0])
        for t in (x, x * 2):
            for convert in (np.asarray, np.array, lambda t: np.array([t, t]), lambda t: np.asarray([t[0], 1.0])):
                with pytest.raises(TypeError, match=r"drop its gradient.*np\.stack.*\.numpy\(\).*\.detach\(\)"):
                    convert(t)

    def test_scipy_is_refused_too(self):
        special = pytest.importorskip("scipy.special")
        linalg = pytest.importorskip("scipy.linalg")
        with pytest.raises(TypeError, match="jv got a Tensor and has no derivative rule"):
            special.jv(1, leaf([1.0]))
        with pytest.raises(TypeError, match="gradient"):
            linalg.expm(leaf([[1.0]]))

    def test_where_no_gradient_can_flow_they_give_values(self):
        x = leaf([1.0, 2.0])
        losses = []
        for _ in range(3):
            loss = (x * x).sum()
            loss.backward()
            losses.append(loss)
        np.testing.assert_array_equal(np.array(losses), [5, 5, 5])
        np.testing.assert_array_equal(np.asarray(Tensor([1, 2])), [1, 2])
        with no_grad():
            y = x * 2
            np.testing.assert_array_equal(np.asarray(x), [1, 2])
        np.testing.assert_array_equal(np.asarray(y), [2, 4])

    def test_past_losses_plot(self):
        figure = pytest.importorskip("matplotlib.figure").Figure()
        x = leaf(2.0)
        losses = [x * x for _ in range(3)]
        for loss in losses:
            loss.backward()
        [line] = figure.subplots().plot(losses)
        np.testing.assert_array_equal(line.get_ydata(), [4, 4, 4])

    def test_numbers(self):
        t = leaf([2.5]) * 1
        assert (float(t), int(t), bool(t), t.item()) == (2.5, 2, True, 2.5)
        assert [10, 20, 30][Tensor(1)] == 20
        with pytest.raises(TypeError, match="integer tensor"):
            [1, 2][leaf(1.0)]
        many = leaf([1.0, 2.0])
        for convert in (float, int, Tensor.item):
            with pytest.raises(ValueError, match=r"one element.*\(2,\)"):
                convert(many)
        with pytest.raises(ValueError, match=r"ambiguous.*np\.any"):
            bool(many)

    def test_detach_and_astype(self):
        x = leaf([1.5, 2.5])
        assert not (x * 2).detach().requires_grad
        with pytest.raises(TypeError, match=r"astype\(complex128\): tensors hold real numbers"):
            x.astype(complex)
        assert x.astype(np.float64, copy=False) is x and x.astype(float) is not x
        y = x.astype(np.float32)
        assert y.dtype == np.float32
        y.sum().backward()
        assert x.grad.dtype == np.float64
        with pytest.raises(RuntimeError, match="detach"):
            (x * 2).requires_grad = False


class TestNumPyOnEitherSide:
    @pytest.mark.parametrize(
        ("compute", "gradient"),
        [
            (lambda t: np.array([1.0, 2.0]) * t, [1, 2]),
            (lambda t: np.float64(2) * t, [2, 2]),
            (lambda t: np.float64(2) ** t, [8 * np.log(2), 16 * np.log(2)]),
            (lambda t: np.float64(2) - t, [-1, -1]),
            (lambda t: np.array(2.0) / t, [-2 / 9, -2 / 16]),
            (lambda t: np.eye(2) @ t, [1, 1]),
            (lambda t: sum([t, t]), [2, 2]),
            (lambda t: [1.0, 2.0] * t, [1, 2]),
            (lambda t: t - (1, 2), [1, 1]),
            (lambda t: 7 // t + t % 2, [1, 1]),
            (lambda t: np.add.reduce(t), [1, 1]),
            (lambda t: np.exp(t) + np.int64(3) * t, [np.exp(3) + 3, np.exp(4) + 3]),
        ],
    )
    def test_records(self, compute, gradient):
        t = leaf([3.0, 4.0])
        y = compute(t)
        assert isinstance(y, Tensor) and y.dtype == np.float64
        y.sum().backward()
        np.testing.assert_allclose(t.grad, gradient)

    def test_precision_as_in_numpy_2(self):
        t = leaf(np.ones(2, np.float32))
        assert (t * 2.0).dtype == (2 * t).dtype == (t**2).dtype == np.exp(t).dtype == np.float32
        assert (t * np.float64(2)).dtype == np.float64
        assert (leaf(np.float32(1)) * 2.0).dtype == np.float32

    def test_arrays_by_name(self):
        t = leaf([[1.0, 2.0]])
        assert np.sum(a=t).item() == 3 and np.max(a=t, axis=1).shape == (1,)
        assert np.var(a=t).requires_grad and np.sort(a=t).requires_grad

    def test_small_integers_do_not_wrap(self):
        assert (Tensor(np.array([[200]], np.uint8)) @ np.array([[2]], np.uint8)).item() == 400
        image = Tensor(np.array([100, 200], np.uint8))
        assert (image - 128).tolist() == [-28, 72]
        assert (image + image).tolist() == [200, 400]
        assert np.subtract(image, 128).tolist() == [-28, 72]

    def test_comparisons_are_plain_arrays(self):
        t = leaf([1.0, 2.0])
        for result in (t > 1, t == 2, t != t, t > 1, t >= np.ones(2), np.isnan(t), np.argmax(t, axis=0), t.argmax()):
            assert not isinstance(result, Tensor)
        assert (t > 1).tolist() == [False, True] and np.shape(t) == (2,) and np.allclose(t, [1, 2])

    def test_an_array_cannot_take_a_tensor_in_place(self):
        a = np.ones(2)
        with pytest.raises(TypeError, match=r"a = a \+ t"):
            a += leaf([1.0, 2.0])

    def test_what_has_no_rule_says_so(self):
        with pytest.raises(TypeError, match=r"numpy\.fft\.fft got a Tensor and has no derivative rule.*rule\("):
            np.fft.fft(leaf(np.eye(2)))
        with pytest.raises(TypeError, match=r"nextafter got a Tensor"):
            np.nextafter(leaf([1.0]), 2)

    def test_an_option_without_a_rule_is_refused_not_ignored(self):
        t = leaf([1.0, 2.0])
        with pytest.raises(TypeError, match=r"concatenate: the option dtype="):
            np.concatenate([t, t], dtype=int)
        with pytest.raises(TypeError, match=r"sum of a tensor that requires grad gave int64"):
            np.sum(t, dtype=int)
        with pytest.raises(TypeError, match=r"exp: the option signature="):
            np.exp(t, signature="f->f")
        with pytest.raises(TypeError, match="out="):
            np.sum(t, out=np.zeros(()))

    def test_complex_and_strings_are_refused(self):
        for other in (1j, np.array([1j]), "a", {}):
            with pytest.raises(TypeError):
                leaf([1.0]) * other


class TestNoGrad:
    def test_context_and_decorator(self):
        x = leaf([1.0])
        with no_grad():
            assert not (x * 2).requires_grad
        assert (x * 2).requires_grad

        @no_grad()
        def f(t):
            return t * 2

        assert not f(x).requires_grad and not f(x).requires_grad and (x * 2).requires_grad

    def test_an_instance_again_and_the_bare_decorator(self):
        x, off = leaf([1.0]), no_grad()
        for _ in range(2):
            with off, off:
                assert not (x * 2).requires_grad
        assert (x * 2).requires_grad

        @no_grad
        def f(t):
            return t * 2

        assert not f(x).requires_grad and f.__name__ == "f"

    def test_nested_and_after_an_exception(self):
        x = leaf([1.0])
        with pytest.raises(KeyError), no_grad():
            with no_grad():
                pass
            assert not (x * 2).requires_grad
            raise KeyError
        assert (x * 2).requires_grad

    def test_each_thread_has_its_own(self):
        x = leaf([1.0])
        seen = []
        with no_grad():
            thread = threading.Thread(target=lambda: seen.append((x * 2).requires_grad))
            thread.start()
            thread.join()
        assert seen == [True]


def test_names_reach_the_record():
    x = leaf([1.0], name="x")
    y = x * 2
    y.name = "y"
    assert (x.name, y.name, y.record.name) == ("x", "y", "y")


class TestWatching:
    def test_a_watcher_is_told_of_what_is_recorded_and_of_nothing_else(self):
        x, told = leaf([1.0, 2.0]), []
        x * 2
        with watching(lambda record, y, values: told.append((record.primitive.name, y.tolist(), len(values)))):
            y = np.exp(x * 2 - 2)
            with no_grad():
                y * 3
            np.exp(Tensor([1.0]))
            grad(lambda t: t * t)(np.float64(3.0))
            other = threading.Thread(target=lambda: x / 2)
            other.start()
            other.join()
        x * 2
        assert [name for name, _, _ in told] == ["multiply", "subtract", "exp", "multiply"]
        assert told[0] == ("multiply", [2.0, 4.0], 2)

    def test_watchers_nest_and_leave_no_grad_alone(self):
        x, outer, inner = leaf([1.0, 2.0]), [], []
        with watching(lambda record, *_: outer.append(record)):
            a = x * 2
            with watching(lambda record, *_: inner.append(record)):
                b = x * 3
            c = x * 4
            with no_grad(), watching(lambda record, *_: inner.append(record)):
                assert (x * 5).record is None
        assert outer == [a.record, b.record, c.record] and inner == [b.record]
