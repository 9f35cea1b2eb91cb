"""grad, jacobian, hessian, vjp, hvp: structures, nesting, and the cost functions of the articles, as written there."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import Tensor, grad, hessian, hvp, jacobian, no_grad, value_and_grad, vjp


class TestGrad:
    def test_arrays_in_arrays_out(self):
        x = np.array([1.0, 2.0])
        g = grad(lambda x: np.sum(x**3))(x)
        assert type(g) is np.ndarray and g.tolist() == [3, 12]
        assert isinstance(grad(lambda x: x * x)(3.0), float)
        assert grad(lambda x: np.sum(x * x))(np.ones(2, np.float32)).dtype == np.float32
        value, g = value_and_grad(lambda x: np.sum(x**2))(x)
        assert value == 5 and not isinstance(value, Tensor) and g.tolist() == [2, 4]
        assert x.tolist() == [1, 2] and g.flags.writeable

    def test_which_arguments(self):
        f = lambda x, y, scale=1.0: scale * x * y**2
        assert grad(f)(3.0, 2.0) == 4 and grad(f, 1)(3.0, 2.0) == 12 and grad(f, -1)(3.0, 2.0) == 12
        assert grad(f, (0, 1))(3.0, 2.0) == (4, 12) and grad(f)(3.0, 2.0, scale=2.0) == 8
        with pytest.raises(ValueError, match="argnums names argument 2, but it was called with 2"):
            grad(f, 2)(1.0, 2.0)

    def test_nested_containers(self):
        parameters = {"layers": [(np.ones((2, 2)), np.zeros(2)), (np.ones((2, 1)), np.zeros(1))], "scale": 2.0}

        def loss(p):
            h = np.ones((3, 2))
            for w, b in p["layers"]:
                h = np.tanh(h @ w + b)
            return p["scale"] * np.sum(h)

        g = grad(loss)(parameters)
        assert g["layers"][0][0].shape == (2, 2) and isinstance(g["layers"][0], tuple) and isinstance(g["scale"], float)
        step = 1e-6
        parameters["scale"] += step
        up = loss(parameters)
        parameters["scale"] -= 2 * step
        assert g["scale"] == pytest.approx((up - loss(parameters)) / (2 * step), rel=1e-7)

    def test_ignored_constant_repeated_and_given_back(self):
        assert grad(lambda x, y: y, 0)(1.0, 2.0) == 0
        assert grad(lambda x: 3.0)(np.ones(2)).tolist() == [0, 0]
        assert grad(lambda x: x + x * x + x)(3.0) == 8
        assert grad(lambda x: x)(2.0) == 1
        x = np.array([1.0, 2.0])
        assert [g.tolist() for g in grad(lambda a, b: np.sum(a * b), (0, 1))(x, x)] == [[1, 2], [1, 2]]

    def test_auxiliary_output(self):
        g, aux = grad(lambda x: (x**2, {"twice": 2 * x, "note": "kept"}), has_aux=True)(3.0)
        assert g == 6 and aux == {"twice": 6, "note": "kept"} and not isinstance(aux["twice"], Tensor)
        (value, aux), g = value_and_grad(lambda x: (x**2, [x]), has_aux=True)(3.0)
        assert (value, aux, g) == (9, [3], 6)

    def test_refusals(self):
        with pytest.raises(ValueError, match=r"<lambda> gave shape \(2,\).*use jacobian"):
            grad(lambda x: x * 2)(np.ones(2))
        with pytest.raises(TypeError, match="must give a real number to have a gradient, got"):
            grad(lambda x: np.allclose(x, 1))(np.ones(2))
        for bad in (3, np.array([1, 2]), "x", np.array([1j]), None):
            with pytest.raises(TypeError):
                grad(lambda x: 1.0)(bad)

    def test_what_is_no_number(self):
        for nothing in (None, "a", [1.0]):
            with pytest.raises(TypeError, match="must give a real number"):
                grad(lambda x, nothing=nothing: nothing)(np.ones(2))
            with pytest.raises(TypeError, match="must give real numbers"):
                jacobian(lambda x: None)(np.ones(2))

    def test_the_name_that_autograd_has_for_argnums(self):
        f = lambda x, y: x * y**2
        assert tg.grad(f, argnum=1)(2.0, 3.0) == 12 and tg.value_and_grad(f, argnum=1)(2.0, 3.0) == (18, 12)
        assert tg.grad(f, argnum=(0, 1))(2.0, 3.0) == (9, 12) and tg.elementwise_grad(f, argnum="y")(2.0, 3.0) == 12
        assert tg.jacobian(f, argnum=1)(2.0, 3.0) == 12 and tg.hessian(f, argnum=1)(2.0, 3.0) == 4
        for both in (lambda: tg.grad(f, 0, argnum=1), lambda: tg.grad(f, argnums=0, argnum=1)):
            with pytest.raises(TypeError, match=r"multiple values for .*argument 'argnums'"):
                both()

    def test_argnums(self):
        for twice in ((0, 0), (0, -2)):
            with pytest.raises(ValueError, match="names an argument twice"):
                grad(lambda x, y: x * y, twice)(2.0, 3.0)
        assert grad(lambda x, y: x * y, np.int64(1))(2.0, 3.0) == 2

    def test_from_another_thread(self):
        def f(x):
            results = []
            thread = threading.Thread(target=lambda: results.append(grad(lambda y: x * y * y)(2.0)))
            thread.start()
            thread.join()
            return results[0] * x

        assert grad(f)(3.0) == 24

    def test_a_loop_over_samples_is_linear(self):
        Z = np.random.default_rng(0).normal(size=(200, 3))

        def loop(Z):
            return sum(Z[i] @ Z[i] * (i + 1) for i in range(len(Z))) + np.sum(Z[[0, 0, 1]]) + np.sum(Z)

        expected = 2 * Z * np.arange(1, 201)[:, None] + 1
        expected[0] += 2
        expected[1] += 1
        np.testing.assert_allclose(grad(loop)(Z), expected, rtol=1e-14)

    def test_under_no_grad(self):
        with no_grad():
            assert not isinstance(grad(lambda x: x**3)(Tensor(2.0, requires_grad=True)), Tensor)
            assert grad(lambda x: x**3)(2.0) == 12 and grad(grad(lambda x: x**3))(2.0) == 12

    def test_tensors_that_the_function_uses(self):
        net = tg.Sequential(tg.Dense(2, 3, rng=0), tg.Tanh(), tg.Dense(3, 1, rng=1))
        X = np.ones((4, 2))
        slope = grad(lambda X: np.sum(net(X)))(X)
        assert isinstance(slope, Tensor) and all(p.grad is None for p in net.parameters())
        np.sum(slope**2).backward()  # reaches the parameters
        assert net[0].weight.grad is not None
        with no_grad():
            plain = grad(lambda X: np.sum(net(X)))(X)
        assert type(plain) is np.ndarray
        X = Tensor(X, requires_grad=True)
        np.sum(net(X)).backward()
        np.testing.assert_allclose(plain, X.grad, rtol=1e-14)
        np.testing.assert_array_equal(plain, slope.numpy())
        assert tg.gradcheck(lambda x: x * grad(lambda y: x * y)(2.0), 1.5, order=2)
        w = Tensor(2.0, requires_grad=True)
        assert isinstance(grad(lambda x: (x, w * x), has_aux=True)(1.0)[1], Tensor)

    def test_only_what_leads_to_the_argument_is_computed(self):
        calls = []

        @tg.primitive
        def watched(x):
            return x * 2

        tg.rule(watched, lambda g, y, x: calls.append(1) or g * 2)
        w = Tensor([1.0], requires_grad=True)
        assert grad(lambda x: np.sum(x * 3 + watched(w)))(np.array([1.0])).tolist() == [3] and not calls


class TestNesting:
    @pytest.mark.parametrize(
        ("f", "derivatives"),
        [
            (np.sin, [math.sin, math.cos, lambda x: -math.sin(x), lambda x: -math.cos(x), math.sin, math.cos]),
            (np.exp, [math.exp] * 6),
        ],
    )
    def test_five_deep(self, f, derivatives):
        for expected in derivatives:
            assert f(0.7) == pytest.approx(expected(0.7), rel=1e-13)
            f = grad(f)

    def test_tanh_five_deep(self):
        f = np.tanh
        for _ in range(5):
            f = grad(f)
        t = math.tanh(0.7)
        assert f(0.7) == pytest.approx((1 - t**2) * (16 - 120 * t**2 + 120 * t**4), rel=1e-9)

    def test_inner_and_outer_variables_are_kept_apart(self):
        assert grad(lambda x: x * grad(lambda y: x * y)(2.0))(3.0) == 6
        assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(1.0) == 1
        assert grad(lambda x: grad(lambda y: x * y**2)(x))(3.0) == 12
        assert grad(lambda x: grad(lambda x: x**3)(x) + x)(2.0) == 13
        assert grad(lambda x: grad(lambda y: y**3)(2.0) + x)(2.0) == 1

    def test_with_tensors_that_require_grad(self):
        x, a = Tensor(3.0, requires_grad=True), Tensor(2.0, requires_grad=True)
        slope = grad(lambda x: a * x**3)(x)
        assert isinstance(slope, Tensor) and slope.item() == 54
        slope.backward()
        assert x.grad == 36 and a.grad == 27

    def test_a_network_trained_on_its_slope(self):
        """The gradient with respect to the input, in a loss whose gradient trains the parameters."""
        net = tg.Sequential(tg.Dense(1, 4, rng=0), tg.Tanh(), tg.Dense(4, 1, rng=1))
        x = Tensor(np.linspace(-1, 1, 5).reshape(-1, 1), requires_grad=True)
        loss = lambda *_: tg.mse_loss(grad(lambda x: np.sum(net(x)))(x), np.ones((5, 1)))
        assert tg.gradcheck(loss, *net.parameters())


class TestJacobianAndHessian:
    def test_jacobian(self):
        f = lambda x: np.outer(x, x)
        x = np.array([1.0, 2.0, 3.0])
        J = jacobian(f)(x)
        expected = np.einsum("ik,j->ijk", np.eye(3), x) + np.einsum("jk,i->ijk", np.eye(3), x)
        np.testing.assert_allclose(J, expected)
        A = np.arange(6.0).reshape(2, 3)
        np.testing.assert_allclose(jacobian(lambda x: A @ x)(x), A)
        assert jacobian(lambda x: np.sum(x))(x).shape == (3,) and jacobian(lambda x: 2 * x)(1.0).shape == ()
        assert jacobian(lambda x: np.ones(2))(x).tolist() == [[0, 0, 0]] * 2
        assert jacobian(lambda x: x[:0])(x).shape == (0, 3)
        parts = jacobian(lambda p: {"a": p[0] * 2, "b": p[1]})((x, np.ones(2)))
        assert parts["a"][0].shape == (3, 3) and parts["b"][1].tolist() == [[1, 0], [0, 1]]

    def test_hessian(self):
        x = np.array([1.0, 2.0])
        np.testing.assert_allclose(hessian(lambda x: np.sum(x**3) + x[0] * x[1])(x), [[6, 1], [1, 12]])
        H = hessian(lambda p: np.sum(p["a"] * p["b"]))({"a": x, "b": x})
        np.testing.assert_allclose(H["a"]["b"], np.eye(2))
        np.testing.assert_allclose(H["a"]["a"], 0)

    @given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 2**32 - 1))
    @settings(max_examples=30)
    def test_hessian_of_logistic_regression(self, m, n, seed):
        rng = np.random.default_rng(seed)
        X, y, theta = rng.normal(size=(m, n)), rng.integers(0, 2, m).astype(float), rng.normal(size=n)

        def cost(theta):
            h = 1 / (1 + np.exp(-X @ theta))
            return -np.mean(y * np.log(h) + (1 - y) * np.log(1 - h))

        h = 1 / (1 + np.exp(-X @ theta))
        expected = X.T @ np.diag(h * (1 - h)) @ X / m
        for by in (cost, lambda t: tg.binary_cross_entropy(tg.sigmoid(X @ t), y)):
            np.testing.assert_allclose(hessian(by)(theta), expected, rtol=1e-11, atol=1e-12)

    def test_products_with_vectors(self):
        x, v = np.array([1.0, 2.0, 3.0]), np.array([1.0, -1.0, 2.0])
        f = lambda x: np.sum(np.sin(x) * np.prod(x))
        np.testing.assert_allclose(hvp(f, x, v), hessian(f)(x) @ v, rtol=1e-12)
        y, pull = vjp(lambda x, a: a * np.cumsum(x), x, 2.0)
        assert y.tolist() == [2, 6, 12]
        gx, ga = pull(v)
        np.testing.assert_allclose(gx, [4, 2, 4])
        assert ga == pytest.approx(v @ np.cumsum(x))
        np.testing.assert_allclose(pull(2 * v)[0], [8, 4, 8])  # again
        with pytest.raises(ValueError, match=r"hvp: the vector has shape \(2,\), x \(3,\)"):
            hvp(f, x, v[:2])
        y, pull = vjp(lambda x: x * x, x)
        x[:] = 9
        assert pull(np.ones(3))[0].tolist() == [2, 4, 6]
        y, pull = vjp(np.cumsum, x)
        with pytest.raises(ValueError, match=r"gradient has shape \(2,\), the output of cumsum \(3,\)"):
            pull(v[:2])


def numerical(f, x, step=1e-6):
    g = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        d = np.zeros_like(x)
        d[i] = step
        g[i] = (f(x + d) - f(x - d)) / (2 * step)
    return g


class TestTheArticlesCostFunctions:
    """Plain NumPy, in the manner of the articles, against the gradients that they derive by hand."""

    rng = np.random.default_rng(0)
    sizes, m, lam = (6, 4, 3), 7, 1.5
    X, labels = rng.normal(size=(m, sizes[0])), rng.integers(0, 3, m)
    Theta1, Theta2 = rng.normal(size=(4, 7)), rng.normal(size=(3, 5))

    def by_hand(self):
        m, X, Y = self.m, self.X, np.eye(3)[self.labels]
        a1 = np.column_stack((np.ones(m), X))
        a2 = np.column_stack((np.ones(m), 1 / (1 + np.exp(-a1 @ self.Theta1.T))))
        h = 1 / (1 + np.exp(-a2 @ self.Theta2.T))
        d3 = h - Y
        d2 = (d3 @ self.Theta2 * a2 * (1 - a2))[:, 1:]
        g1, g2 = d2.T @ a1 / m, d3.T @ a2 / m
        g1[:, 1:] += self.lam / m * self.Theta1[:, 1:]
        g2[:, 1:] += self.lam / m * self.Theta2[:, 1:]
        return g1, g2

    def test_vectorised_with_matrices(self):
        def cost(Theta1, Theta2):
            m = self.X.shape[0]
            a1 = np.hstack((np.ones((m, 1)), self.X))
            a2 = 1 / (1 + np.exp(-np.dot(a1, Theta1.T)))
            a2 = np.insert(a2, 0, 1.0, axis=1)
            h = 1 / (1 + np.exp(-a2.dot(Theta2.T)))
            Y = self.labels.reshape(-1, 1) == np.arange(3)
            J = np.sum(-(Y * np.log(h)) - (1 - Y) * np.log(1 - h)) / m
            return J + self.lam / (2 * m) * (np.sum(np.square(Theta1[:, 1:])) + np.sum(Theta2[:, 1:] ** 2))

        for g, expected in zip(grad(cost, (0, 1))(self.Theta1, self.Theta2), self.by_hand(), strict=True):
            np.testing.assert_allclose(g, expected, rtol=1e-10, atol=1e-12)

    @pytest.mark.parametrize("order", ["C", "F"])
    def test_one_unrolled_vector_and_a_loop_over_samples(self, order):
        def cost(nn_params):
            split = 4 * 7
            Theta1 = nn_params[:split].reshape((4, 7), order=order)
            Theta2 = np.reshape(nn_params[split:], (3, 5), order=order)
            J = 0
            for i in range(self.m):
                a1 = np.append([1.0], self.X[i])
                a2 = np.append(1.0, 1 / (1 + np.exp(-np.dot(Theta1, a1))))
                h = np.squeeze(1 / (1 + np.exp(-(Theta2 @ a2.reshape(-1, 1)))))
                h = np.clip(h, 1e-12, 1 - 1e-12)
                y = np.zeros(3)
                y[self.labels[i]] = 1
                J += -np.sum(y * np.log(h) + (1 - y) * np.log(1 - h))
            J = J / self.m
            J += self.lam / (2 * self.m) * (np.sum(Theta1[:, 1:].flatten() ** 2) + (Theta2[:, 1:].ravel() ** 2).sum())
            return J

        start = np.concatenate([self.Theta1.ravel(order=order), self.Theta2.ravel(order=order)])
        expected = np.concatenate([g.ravel(order=order) for g in self.by_hand()])
        np.testing.assert_allclose(grad(cost)(start), expected, rtol=1e-10, atol=1e-12)
        t = Tensor(start, requires_grad=True)
        cost(t).backward()
        np.testing.assert_allclose(t.grad, expected, rtol=1e-10, atol=1e-12)

    def test_columns_are_samples_relu_and_logistic(self):
        """A 784–10–1-like network of zeros and ones, with samples in columns."""
        X, y = self.X.T, (self.labels > 0).astype(float).reshape(1, -1)
        W1, b1, W2, b2 = (
            self.rng.normal(size=(4, 6)),
            np.ones((4, 1)) * 0.1,
            self.rng.normal(size=(1, 4)),
            np.zeros((1, 1)),
        )

        def cost(W1, b1, W2, b2):
            A1 = np.maximum(0, np.dot(W1, X) + b1)
            A2 = 1 / (1 + np.exp(-(np.dot(W2, A1) + b2)))
            J = -np.mean(np.multiply(y, np.log(A2)) + np.multiply(1 - y, np.log(1 - A2)))
            return np.squeeze(J)

        Z1 = W1 @ X + b1
        A1 = np.maximum(0, Z1)
        dZ2 = (1 / (1 + np.exp(-(W2 @ A1 + b2))) - y) / self.m
        dZ1 = (W2.T @ dZ2) * (Z1 > 0)
        by_hand = (dZ1 @ X.T, dZ1.sum(1, keepdims=True), dZ2 @ A1.T, dZ2.sum(1, keepdims=True))
        for g, expected in zip(grad(cost, (0, 1, 2, 3))(W1, b1, W2, b2), by_hand, strict=True):
            np.testing.assert_allclose(g, expected, rtol=1e-10, atol=1e-13)

    def test_layers_in_a_list_tanh_and_mean_squares(self):
        """A general layered network: parameters in a list of dicts, units in rows."""
        X, Y = self.X.T, self.rng.normal(size=(2, self.m))
        layers = [{"W": self.rng.normal(size=(k, n)) * 0.5, "b": np.zeros((k, 1))} for n, k in ((6, 5), (5, 2))]

        def cost(layers):
            A = X
            for layer, g in zip(layers, (np.tanh, lambda z: z), strict=True):
                A = g(np.matmul(layer["W"], A) + layer["b"])
            return np.average((Y - A) ** 2)

        A1 = np.tanh(layers[0]["W"] @ X)
        d2 = 2 * (layers[1]["W"] @ A1 - Y) / Y.size
        d1 = (layers[1]["W"].T @ d2) * (1 - A1**2)
        g = grad(cost)(layers)
        np.testing.assert_allclose(g[0]["W"], d1 @ X.T, rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(g[1]["W"], d2 @ A1.T, rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(g[1]["b"], d2.sum(1, keepdims=True), rtol=1e-10, atol=1e-13)

    def test_a_likelihood_and_a_physical_model(self):
        data = self.rng.gamma(2.0, size=20)

        def negative_log_likelihood(p):
            mean, log_sigma = p
            return np.sum(0.5 * ((data - mean) / np.exp(log_sigma)) ** 2 + log_sigma)

        p = np.array([1.5, 0.2])
        np.testing.assert_allclose(grad(negative_log_likelihood)(p), numerical(negative_log_likelihood, p), rtol=1e-7)

        def swing(p):
            angle, speed = p
            for _ in range(50):
                speed = speed - 0.02 * 9.81 * np.sin(angle)
                angle = angle + 0.02 * speed
            return angle**2 + speed**2

        p = np.array([1.0, 0.1])
        np.testing.assert_allclose(grad(swing)(p), numerical(swing, p), rtol=1e-7)


def test_a_transform_under_no_grad_is_constant_inside_another():
    """As it is for `backward()`: what is computed under `no_grad` has no derivative."""

    def held(x):
        with no_grad():
            slope = grad(lambda z: np.sum(z**3))(x)
        return np.sum(slope * x)

    x = np.array([1.0, 2.0])
    np.testing.assert_array_equal(grad(held)(x), 3 * x**2)
    t = Tensor(x, requires_grad=True)
    held(t).backward()
    np.testing.assert_array_equal(t.grad, 3 * x**2)
