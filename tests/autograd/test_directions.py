"""Transforms that choose: a direction (jvp), one element for each (elementwise_grad), an argument by its name, and the
parameters of a model."""

from __future__ import annotations

import functools
import inspect
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import Tensor, elementwise_grad, grad, hessian, hvp, jacobian, jvp, no_grad, value_and_grad

RNG = np.random.default_rng(0)
W = RNG.normal(size=(3, 4))

# Functions of a vector of 3, of all kinds of rules
FUNCTIONS = {
    "products": lambda x: np.tanh(x @ W) * x.sum(),
    "softmax": lambda x: tg.softmax(x * 3),
    "a number": lambda x: np.sum(x**3) / np.prod(x),
    "losses": lambda x: tg.cross_entropy((x * W.T), np.array([0, 2, 1, 0])),
    "linear algebra": lambda x: np.linalg.inv(np.outer(x, x) + np.eye(3)),
    "indices": lambda x: np.concatenate([x[[0, 0, 2]], np.sort(x), np.cumsum(x)]),
    "kinks": lambda x: np.maximum(x, 0.1) * abs(x) + tg.relu(x),
    "a transform": lambda x: grad(lambda z: np.sum(np.sin(z) * z[0]))(x),
    "itself": lambda x: x,
    "constant": lambda x: np.ones((2, 2)),
    "nothing": lambda x: x[:0],
}


class TestJvp:
    @given(st.sampled_from(sorted(FUNCTIONS)), st.integers(0, 2**32 - 1))
    @settings(max_examples=40)
    def test_is_the_jacobian_times_the_vector(self, name, seed):
        f, rng = FUNCTIONS[name], np.random.default_rng(seed)
        x, v = rng.normal(size=(2, 3))
        value, tangent = jvp(f, (x,), (v,))
        assert not isinstance(value, Tensor) and not isinstance(tangent, Tensor)
        np.testing.assert_array_equal(value, f(x))
        np.testing.assert_allclose(tangent, jacobian(f)(x) @ v, rtol=1e-11, atol=1e-12)
        # which the record of a direction confirms, to second order
        u = rng.normal(size=np.shape(value))
        assert np.sum(u * tangent) == pytest.approx(np.sum(tg.vjp(f, x)[1](u)[0] * v), rel=1e-10, abs=1e-12)

    def test_by_hand(self):
        value, tangent = jvp(lambda x, a: a * np.sin(x), (np.array([0.5, 1.0]), 2.0), (np.array([3.0, -1.0]), 0.25))
        np.testing.assert_allclose(value, 2 * np.sin([0.5, 1.0]))
        x, v = np.array([0.5, 1.0]), np.array([3.0, -1.0])
        np.testing.assert_allclose(tangent, 2 * np.cos(x) * v + 0.25 * np.sin(x), rtol=1e-14)

    def test_structures_and_dtypes(self):
        p, v = {"w": np.ones((2, 2)), "b": [np.zeros(2), None]}, {"w": np.eye(2), "b": (np.ones(2), None)}
        value, tangent = jvp(
            lambda p, x: {"y": x @ p["w"] + p["b"][0], "n": (p["b"][0],)}, [p, np.ones(2)], [v, [1, 0]]
        )
        np.testing.assert_array_equal(value["y"], [2, 2])
        np.testing.assert_array_equal(tangent["y"], [3, 3])  # 1 w₀ + (1 1) v + b'
        np.testing.assert_array_equal(tangent["n"][0], [1, 1])
        value, tangent = jvp(lambda x: x * x, (np.ones(2, np.float32),), (np.array([1.0, 2.0]),))
        assert value.dtype == tangent.dtype == np.float32 and tangent.tolist() == [2, 4]
        assert jvp(lambda x: x**3, (2.0,), (1.0,)) == (8, 12)
        assert jvp(lambda x: 3.0, (2.0,), (1.0,)) == (3, 0) and jvp(lambda x: 3, (2.0,), (1.0,)) == (3, 0)
        assert jvp(lambda x: np.ones(3, int), (2.0,), (1.0,))[1].tolist() == [0, 0, 0]

    def test_nested(self):
        f = lambda x: np.sum(np.exp(x) * x)
        x, v, w = RNG.normal(size=(3, 4))
        H = np.diag((2 + x) * np.exp(x))
        along = lambda x: jvp(f, (x,), (v,))[1]
        np.testing.assert_allclose(grad(along)(x), H @ v, rtol=1e-12)
        np.testing.assert_allclose(jvp(along, (x,), (w,))[1], w @ H @ v, rtol=1e-12)
        np.testing.assert_allclose(jvp(grad(f), (x,), (v,))[1], hvp(f, x, v), rtol=1e-12)
        np.testing.assert_allclose(grad(lambda v: jvp(f, (x,), (v,))[1] ** 2)(v), 2 * along(x) * grad(f)(x), rtol=1e-12)
        assert tg.gradcheck(lambda x, v: jvp(lambda t: np.tanh(t) * t[::-1], (x,), (v,))[1], x, v, order=2)
        third = jvp(lambda x: jvp(along, (x,), (v,))[1], (x,), (v,))[1]
        np.testing.assert_allclose(third, np.sum((3 + x) * np.exp(x) * v**3), rtol=1e-12)
        # the directions of inner and outer transforms are kept apart
        both = jvp(lambda x: x * grad(lambda y: x * y**2)(2.0), (3.0,), (1.0,))
        assert both == (36, 24) and not any(isinstance(b, Tensor) for b in both)
        both = jvp(lambda x: x * jvp(lambda y: x * y, (2.0,), (1.0,))[1], (3.0,), (1.0,))
        assert both == (9, 6) and not any(isinstance(b, Tensor) for b in both)

    def test_tensors_that_the_function_uses(self):
        net = tg.Sequential(tg.Dense(3, 4, rng=0), tg.Tanh(), tg.Dense(4, 1, rng=1))
        x, v = RNG.normal(size=(2, 5, 3))
        _, tangent = jvp(net, (x,), (v,))
        assert isinstance(tangent, Tensor)
        assert tg.gradcheck(lambda *_: np.sum(jvp(net, (x,), (v,))[1] ** 2), *net.parameters())
        with no_grad():
            value, plain = jvp(net, (x,), (v,))
        assert type(plain) is type(value) is np.ndarray
        np.testing.assert_array_equal(plain, tangent.numpy())
        leaf = Tensor(x, requires_grad=True)
        assert isinstance(jvp(np.sin, (leaf,), (v,))[1], Tensor)
        # what nobody outside can differentiate is not recorded
        assert not isinstance(grad(lambda x: np.sum(jvp(np.sin, (x,), (np.ones(2),))[1]))(np.ones(2)), Tensor)

    def test_where_a_slope_is_infinite_the_rest_is_right(self):
        with np.errstate(all="ignore"):
            _, tangent = jvp(np.sqrt, (np.array([0.0, 4.0]),), (np.array([1.0, 1.0]),))
        assert tangent.tolist() == [np.inf, 0.25]
        with tg.detect_anomaly():
            jvp(lambda x: np.where(x > 0, x, 2 * x), (np.array([0.0, 1.0]),), (np.ones(2),))

    def test_misuse(self):
        x = np.ones(2)
        with pytest.raises(TypeError, match=r"jvp: primals are a tuple with one for each argument.*not ndarray"):
            jvp(np.sin, x, (x,))
        with pytest.raises(TypeError, match=r"jvp: tangents are a tuple with one for each argument.*not float"):
            jvp(np.sin, (x,), 1.0)
        with pytest.raises(
            ValueError, match="jvp: tangents must have the structure of primals: a tuple of 1, not a tu"
        ):
            jvp(np.sin, (x,), (x, x))
        with pytest.raises(ValueError, match=r"jvp: tangents\[0\] has shape \(3,\), primals\[0\] \(2,\)"):
            jvp(np.sin, (x,), (np.ones(3),))
        with pytest.raises(
            ValueError, match=r"jvp: tangents\[0\]\['a'\] must have the structure of .* a list of 1, no"
        ):
            jvp(lambda p: p["a"][0], ({"a": [x]},), ({"a": x},))
        with pytest.raises(ValueError, match=r"the structure of primals\[0\]: a dict of 'a', not a dict of 'b'"):
            jvp(lambda p: p["a"], ({"a": x},), ({"b": x},))
        for bad in (None, {"x": x}, ["a", "b"], np.array(["a", "b"]), np.array([1j, 0])):
            with pytest.raises(TypeError, match=r"jvp: tangents\[0\] must be real numbers, as primals\[0\], not"):
                jvp(np.sin, (x,), (bad,))
        with pytest.raises(TypeError, match="only real floats have a gradient"):
            jvp(np.sin, (np.array([1, 2]),), (x,))
        for nothing in ((), None, [x, "a"]):
            with pytest.raises(TypeError, match="<lambda> must give real numbers to have derivatives, got"):
                jvp(lambda x, nothing=nothing: nothing, (x,), (x,))
        with pytest.raises(TypeError, match="must give real numbers to have derivatives, got array"):
            jvp(lambda x: np.array([True]), (x,), (x,))
        with pytest.raises(TypeError, match="inside a transform its derivative would be lost"):
            jvp(lambda x: float(x[0]) * x, (x,), (x,))


class TestElementwise:
    def test_slopes_of_curves(self):
        x = RNG.normal(size=(2, 3))
        f = np.tanh
        for expected in (lambda t: 1 - t**2, lambda t: -2 * t * (1 - t**2), lambda t: (6 * t**2 - 2) * (1 - t**2)):
            f = elementwise_grad(f)
            np.testing.assert_allclose(f(x), expected(np.tanh(x)), rtol=1e-11)
        assert elementwise_grad(lambda x: x**2)(3.0) == 6 and elementwise_grad(np.sin)(np.ones((0, 2))).shape == (0, 2)
        assert elementwise_grad(lambda x: np.ones(2))(np.ones(2)).tolist() == [0, 0]
        assert elementwise_grad(np.exp)(np.ones(2, np.float32)).dtype == np.float32

    def test_which_argument(self):
        f, x = lambda x, a: a * x**2, np.array([1.0, 2.0])
        assert elementwise_grad(f, 1)(x, x).tolist() == elementwise_grad(f, "a")(x, x).tolist() == [1, 4]
        assert [g.tolist() for g in elementwise_grad(f, (0, 1))(x, x)] == [[2, 8], [1, 4]]
        assert [g.tolist() for g in elementwise_grad(f, [0, 1])(x, x)] == [[2, 8], [1, 4]]

    def test_a_message_names_the_function_of_the_caller(self):
        def cost(a, b):
            return a * b

        with pytest.raises(ValueError, match="cost: argnums names argument 2, but it was called with 2"):
            hessian(cost, argnums=2)(1.0, 2.0)

    def test_of_other_shapes_it_is_the_gradient_of_the_sum(self):
        x = np.array([[1.0, 2.0], [3.0, 4.0]])
        assert elementwise_grad(lambda x: np.sum(x**2))(x).tolist() == (2 * x).tolist()
        assert elementwise_grad(lambda x: x[:, 0] ** 2)(x).tolist() == [[2, 0], [6, 0]]
        assert elementwise_grad(lambda k: k * x)(2.0) == 10

    def test_misuse(self):
        with pytest.raises(TypeError, match="must give real numbers"):
            elementwise_grad(lambda x: [x])(1.0)


def scaled(x, /, scale=2.0, *others, shift=0.5, **more):
    return np.sum(scale * x**2 + shift * x + sum(others) * x + more.get("cube", 0.0) * x**3)


class TestArgumentsByName:
    x = np.array([1.0, 3.0])

    def test_as_by_number(self):
        x = self.x
        assert grad(scaled, "x")(x).tolist() == grad(scaled)(x).tolist() == [4.5, 12.5]
        assert grad(scaled, "scale")(x, 2.0) == grad(scaled, "scale")(x, scale=2.0) == grad(scaled, "scale")(x) == 10
        assert grad(scaled, "shift")(x, shift=1.0) == grad(scaled, "shift")(x) == 4
        both = value_and_grad(scaled, ("shift", "x"))(x, 1.0)
        assert both[0] == 12 and both[1][0] == 4 and both[1][1].tolist() == [2.5, 6.5]
        assert grad(scaled, "others")(x, 1.0, 2.0, 3.0) == (4, 4)
        assert grad(scaled, "more")(x, cube=1.0) == {"cube": 28}

    def test_nested(self):
        assert hessian(scaled, "scale")(self.x) == 0 and grad(grad(scaled, "x"), "x")
        np.testing.assert_array_equal(hessian(scaled, "x")(self.x), 4 * np.eye(2))
        np.testing.assert_array_equal(jacobian(grad(scaled, "x"), "scale")(self.x), 2 * self.x)
        np.testing.assert_array_equal(hessian(scaled, ("x", "shift"))(self.x)[0][1], [1, 1])
        assert elementwise_grad(elementwise_grad(lambda t, k: k * t**3, "t"), "t")(self.x, k=2.0).tolist() == [12, 36]

    def test_methods_partials_and_primitives(self):
        class Line:
            def at(self, x, slope):
                return slope * x

        assert grad(Line().at, "slope")(3.0, 1.0) == 3
        assert grad(functools.partial(scaled, shift=0.0), "shift")(self.x) == 4
        assert grad(tg.softplus, "x")(0.0) == 0.5
        third = lambda x, a=2.0, b=3.0, /, c=4.0: x * a * b * c
        assert grad(third, "b")(1.0) == 8 and grad(third, ("c", "x"))(1.0, 5.0) == (15, 60)

    def test_only_defaults_that_are_asked_for_are_passed_on(self):
        """As a function may tell by them whether it was given something: NumPy's do."""
        given = []

        def watched(x, *args, y=None, scale=2.0, **options):
            given.append((args, y, options))
            return x * scale

        watched.__signature__ = inspect.signature(lambda x, z=1.0, *, y="no value", scale=2.0: None)
        assert grad(watched, "scale")(3.0) == 3 and grad(watched, "x")(3.0) == 2
        assert given == [((), None, {})] * 2

    def test_misuse(self):
        with pytest.raises(
            ValueError, match="scaled has no argument named 'y'; its arguments are x, scale, others, shif"
        ):
            grad(scaled, "y")
        with pytest.raises(ValueError, match="scaled has no argument named 'y'"):
            jacobian(scaled, ("x", "y"))
        with pytest.raises(TypeError, match=r"not Dense; .* A model is given as parameters="):
            hessian(scaled, tg.Dense(1, 1))
        with pytest.raises(ValueError, match=r"scaled: argnums \('x', 'x'\) names an argument twice"):
            grad(scaled, ("x", "x"))(self.x)
        with pytest.raises(ValueError, match="max does not tell the names of its arguments; say by number"):
            grad(max, "x")
        with pytest.raises(TypeError, match="missing a required argument: 'x'"):
            grad(scaled, "x")()
        with pytest.raises(TypeError, match=r"or its name, not tuple.*grad\(scaled\)\(x\)"):
            grad(scaled, ("x", 1))
        with pytest.raises(TypeError, match=r"argnums says which argument.*not ndarray"):
            grad(scaled, self.x)
        with pytest.raises(TypeError, match="argument scale is None"):
            grad(scaled, "scale")(self.x, None)


def network():
    return tg.Sequential(tg.Dense(2, 3, rng=0), tg.Tanh(), tg.Dense(3, 1, rng=1))


X, Y = RNG.normal(size=(5, 2)), RNG.normal(size=(5, 1))


def joined(blocks, parameters):
    return np.block([[np.reshape(b, (p.size, q.size)) for q, b in zip(parameters, row, strict=True)]
                     for p, row in zip(parameters, blocks, strict=True)])  # fmt: skip


class TestParameters:
    """Against the same function of one vector."""

    net = network()
    ends = np.cumsum([p.size for p in net.parameters()])[:-1]
    start = np.concatenate([p.data.ravel() for p in net.parameters()])

    def loss(self, x=X):
        return tg.mse_loss(self.net(x), Y)

    def of_vector(self, v):
        W1, b1, W2, b2 = (v[:6].reshape(2, 3), v[6:9], v[9:12].reshape(3, 1), v[12:])
        return np.mean((np.tanh(X @ W1 + b1) @ W2 + b2 - Y) ** 2)

    def test_gradients(self):
        with no_grad():
            value, gradients = value_and_grad(self.loss, parameters=self.net)()
        assert value == pytest.approx(self.of_vector(self.start)) and type(gradients) is list
        assert [g.shape for g in gradients] == [p.shape for p in self.net.parameters()]
        np.testing.assert_allclose(
            np.concatenate([g.ravel() for g in gradients]), grad(self.of_vector)(self.start), rtol=1e-10, atol=1e-14
        )
        assert all(p.grad is None for p in self.net.parameters())
        J = jacobian(self.net, parameters=self.net[2].bias)(X)
        assert J.shape == (5, 1, 1) and np.ravel(J).tolist() == [1] * 5

    def test_hessian_and_products(self):
        H = hessian(self.of_vector)(self.start)
        parameters = self.net.parameters()
        for given_as in (self.net, parameters, tuple(parameters)):
            with no_grad():
                blocks = hessian(self.loss, parameters=given_as)(X)
            assert type(blocks[0][1]) is np.ndarray
            np.testing.assert_allclose(joined(blocks, parameters), H, rtol=1e-9, atol=1e-12)
        v = RNG.normal(size=self.start.size)
        pieces = [part.reshape(p.shape) for part, p in zip(np.split(v, self.ends), parameters, strict=True)]
        for arguments in ((), (X,)):
            product = hvp(self.loss, *arguments, pieces, parameters=self.net)
            assert all(isinstance(part, Tensor) for part in product)  # the parameters can be learned from it
            with no_grad():
                np.testing.assert_allclose(np.concatenate([p.numpy().ravel() for p in product]), H @ v, rtol=1e-9)
        by_name = dict(self.net.named_parameters())
        with no_grad():
            blocks = hessian(self.loss, parameters=by_name)()
        np.testing.assert_allclose(blocks["0.weight"]["2.bias"].ravel(), H[:6, 12], rtol=1e-9, atol=1e-12)

    def test_second_order_and_nested(self):
        """A penalty on the gradient, as it is learned: its gradient needs the third derivatives."""
        parameters = self.net.parameters()
        v = [np.ones(p.shape) for p in parameters]
        penalty = lambda *_: sum(np.sum(g**2) for g in grad(self.loss, parameters=self.net)())
        curved = lambda *_: sum(np.sum(p * np.cos(h)) for p, h in zip(
            parameters, hvp(self.loss, v, parameters=parameters), strict=True))  # fmt: skip
        for f in (penalty, curved):
            assert tg.gradcheck(f, *parameters)
        of_vector = lambda t: np.sum(grad(self.of_vector)(t) ** 2)
        with no_grad():
            found = joined(hessian(penalty, parameters=self.net)(), parameters)
        np.testing.assert_allclose(found, hessian(of_vector)(self.start), rtol=1e-8, atol=1e-10)
        # by the input inside, by the parameters outside, and the other way round
        slope = lambda: np.sum(grad(lambda x: np.sum(self.net(x)))(X) ** 2)
        with no_grad():
            outside = grad(slope, parameters=self.net)()
        recorded = slope()
        recorded.backward()
        for g, p in zip(outside, parameters, strict=True):
            np.testing.assert_allclose(g, 0 if p.grad is None else p.grad, rtol=1e-12, atol=1e-14)
            p.zero_grad()
        inside = grad(lambda x: np.sum(grad(lambda: tg.mse_loss(self.net(x), Y), parameters=self.net)()[0]))(X)
        with no_grad():
            moved = [np.zeros_like(X) for _ in range(2)]
            for i in np.ndindex(X.shape):
                for sign, to in zip((1, -1), moved, strict=True):
                    x = X.copy()
                    x[i] += sign * 1e-6
                    to[i] = np.sum(grad(lambda x=x: self.loss(x), parameters=self.net)()[0])
        np.testing.assert_allclose(inside.numpy(), (moved[0] - moved[1]) / 2e-6, rtol=1e-5, atol=1e-8)

    def test_what_was_computed_outside_is_constant(self):
        """As for an argument: the variable is this transform's own."""
        w = Tensor(3.0, requires_grad=True)
        y = w * 2
        slope = grad(lambda: w * y, parameters=w)()
        assert slope.item() == 6
        slope.backward()
        assert w.grad == 2  # recorded, of y
        assert grad(lambda: w * grad(lambda: w * w * y, parameters=w)(), parameters=w)().item() == 4 * 3 * 6
        assert grad(lambda: w, parameters=w)().item() == 1
        assert grad(lambda: tg.Tensor(2.0) * 1, parameters=[w])()[0] == 0

    def test_numbers_that_leave_the_record(self):
        w = Tensor(np.ones(2), requires_grad=True)
        for leave in (lambda w: float(w[0]), Tensor.tolist, np.array, Tensor.__getstate__):
            with pytest.raises(TypeError, match="inside a transform its derivative would be lost"):
                grad(lambda leave=leave: np.sum(w) * np.sum(leave(w)), parameters=w)()
        w = Tensor(2.0, requires_grad=True)
        for transform in (grad, value_and_grad, jacobian, hessian):
            with pytest.raises(TypeError, match="inside a transform its derivative would be lost"):
                transform(lambda w=w: w * float(w), parameters=w)()
        with pytest.raises(TypeError, match="inside a transform its derivative would be lost"):
            hvp(lambda: w * float(w), 1.0, parameters=w)
        assert float(w) == 2

    def test_no_grad_inside_and_filling_a_tensor(self):
        w = Tensor(2.0, requires_grad=True)

        def held():
            with no_grad():
                factor = w * w
            return factor * w

        assert grad(held, parameters=w)().item() == 4

        def filled():
            t = Tensor(np.zeros(2))
            t[0] = w
            t[1] = w * t[0]
            return np.sum(t)

        assert grad(filled, parameters=w)().item() == 5

    def test_another_thread_may_look_at_the_model_meanwhile(self):
        w = Tensor([2.0], requires_grad=True)
        seen = []

        def loss():
            thread = threading.Thread(target=lambda: seen.append(float(w * 3)))
            thread.start()
            thread.join()
            return np.sum(w**2)

        assert grad(loss, parameters=w)().tolist() == [4] and seen == [6]

    def test_misuse(self):
        w = Tensor(np.ones(2), requires_grad=True)
        loss = lambda: np.sum(w**2)
        with pytest.raises(ValueError, match="give argnums or parameters, not both"):
            grad(lambda x: np.sum(x * w), 0, parameters=w)
        with pytest.raises(TypeError, match=r"parameters= is a model, or tensors that require grad; ndarray is none"):
            grad(loss, parameters=[np.ones(2)])
        with pytest.raises(TypeError, match="tensors that require grad; a tensor that does not is none of those"):
            hessian(loss, parameters=[w, Tensor(1.0)])
        with pytest.raises(ValueError, match="parameters= holds a tensor twice"):
            grad(loss, parameters=[w, w])
        for nothing in (tg.Tanh(), []):
            with pytest.raises(ValueError, match="holds no tensor that requires grad: there is nothing"):
                hvp(loss, [], parameters=nothing)
        with pytest.raises(ValueError, match=r"hvp: the vector has shape \(3,\), parameters \(2,\)"):
            hvp(loss, np.ones(3), parameters=w)
        with pytest.raises(
            ValueError, match="hvp: the vector must have the structure of parameters: a list of 1, not nd"
        ):
            hvp(loss, np.ones(2), parameters=[w])
        with pytest.raises(TypeError, match="a vector comes last, and before it what <lambda> is called with"):
            hvp(lambda x: x, np.ones(2))
        with pytest.raises(TypeError, match="a vector comes last"):
            hvp(loss, parameters=w)
        with pytest.raises(TypeError, match="tensors that require grad; generator is none of those"):
            grad(loss, parameters=(t for t in [w]))


def test_a_product_with_further_arguments():
    x, v, a = np.array([1.0, 2.0]), np.array([1.0, -1.0]), np.array([2.0, 3.0])
    np.testing.assert_allclose(hvp(lambda x, a: np.sum(a * x**3), x, a, v), 6 * a * x * v)
    assert hvp(np.sum, x, v).tolist() == [0, 0]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@given(st.sampled_from(sorted(FUNCTIONS.keys() - {"constant", "nothing"})), st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_transforms_agree_with_each_other_and_with_differences(name, seed):
    rng = np.random.default_rng(seed)
    f = lambda x, scale=1.0: scale * np.sum(np.sin(FUNCTIONS[name](x)))
    x, v = rng.uniform(0.3, 1.5, 3), rng.normal(size=3)
    g, H = grad(f)(x), hessian(f)(x)
    h = 1e-5
    differences = [(f(x + h * e) - f(x - h * e)) / (2 * h) for e in np.eye(3)]
    np.testing.assert_allclose(g, differences, rtol=1e-6, atol=1e-7 * np.max(np.abs(g)))
    second = [(grad(f)(x + h * e) - grad(f)(x - h * e)) / (2 * h) for e in np.eye(3)]
    np.testing.assert_allclose(H, second, rtol=1e-5, atol=1e-6 * max(1, np.max(np.abs(H))))
    close = functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-11 * max(1, np.max(np.abs(H))))
    close(hvp(f, x, v), H @ v)
    close(jacobian(FUNCTIONS[name])(x), jacobian(FUNCTIONS[name], "x")(x))
    close(jvp(grad(f), (x,), (v,))[1], H @ v)
    close(grad(f, "x")(x=x, scale=2.0), 2 * g)
    close(grad(f, ("x", "scale"))(x, 2.0)[1], f(x))
    p = Tensor(x, requires_grad=True)
    of_parameter = lambda scale: f(p, scale)
    close(grad(of_parameter, parameters=p)(1.0).detach(), g)
    close(hessian(of_parameter, parameters=p)(1.0).detach(), H)
    close(hvp(of_parameter, 1.0, v, parameters=p).detach(), H @ v)
    each = lambda a: np.exp(-a * a) * np.tanh(a)
    close(elementwise_grad(each)(x), np.diagonal(jacobian(each)(x)))
    close(elementwise_grad(elementwise_grad(each))(x), np.diagonal(hessian(lambda a: np.sum(each(a)))(x)))
