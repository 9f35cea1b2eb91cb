"""A number that leaves the record inside a transform takes its derivative along: whoever makes one is told."""

from __future__ import annotations

import copy
import math
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor
from tinygrad_edu import functional as F


def filled(x):
    c = np.zeros(2)
    c[0] = x[0] * x[0]
    return c.sum()


def filled_at_once(x):
    c = np.zeros(2)
    c[:] = x[:2]
    return c.sum()


def gathered(x):
    a = np.empty(3)
    a.fill(x[1])
    return a.sum()


LEAKS = {
    "an element assigned": filled,
    "a slice assigned": filled_at_once,
    "fill": gathered,
    "math": lambda x: math.sin(x[0]),
    "float": lambda x: x[0] * float(x[1]),
    "int": lambda x: x[int(x[1])],
    "item": lambda x: x[0] * x[1].item(),
    "tolist": lambda x: np.sum(np.square(x.tolist())),
    "fromiter": lambda x: np.sum(np.fromiter(x, float)),
    "np.array of a list": lambda x: np.sum(np.array([x[0], x[1]])),
    "np.asarray": lambda x: np.sum(np.asarray(x)),
    "a list of floats": lambda x: np.sum([float(v) for v in x]),
    "masked arrays": lambda x: np.ma.median(np.ma.masked_array(x)),
    "round": lambda x: round(float(x[0])),
    "complex": lambda x: abs(complex(float(x[0]), 1.0)),
    "later, of what was computed": lambda x: float(np.exp(np.sum(x * x))),
}
TRANSFORMS = {
    "grad": lambda f: tg.grad(f),
    "value_and_grad": lambda f: tg.value_and_grad(f),
    "jacobian": lambda f: tg.jacobian(f),
    "hessian": lambda f: tg.hessian(f),
    "vjp": lambda f: lambda x: tg.vjp(f, x),
    "hvp": lambda f: lambda x: tg.hvp(f, x, np.ones(3)),
    "in another": lambda f: lambda x: tg.grad(lambda a: tg.grad(lambda z: f(z) * a)(x).sum())(1.0),
    "of the outer one's": lambda f: lambda x: tg.grad(lambda z: tg.grad(lambda a: f(z) * a)(1.0))(x),
}


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("leak", LEAKS)
def test_whoever_makes_a_number_is_told(leak, transform):
    with pytest.raises(TypeError, match=r"would (be lost|drop)|NumPy's functions in place of math's"):
        TRANSFORMS[transform](LEAKS[leak])(np.array([0.5, 1.0, 2.0]))


def test_the_line_and_the_ways_out():
    with pytest.raises(TypeError) as error:
        tg.grad(lambda x: x[0] * float(x[1]))(np.ones(2))
    said = str(error.value)
    assert "float() asks for the value of a tensor at" in said and "test_numbers.py:" in said
    assert all(way in said for way in ("np.stack", "math", "np.where", ".detach()"))


def test_scipy_that_calls_back():
    integrate = pytest.importorskip("scipy.integrate", reason="needs the extra examples")
    with pytest.raises(TypeError, match="its derivative would be lost"):
        tg.grad(lambda k: integrate.quad(lambda x: k * x, 0, 1)[0])(2.0)


def test_what_stays_free():
    """Comparisons, shapes and printing; what does not depend on a variable; and what says so."""
    outside = Tensor([2.0, 3.0], requires_grad=True)

    def f(x):
        assert x.shape == (2,) and len(x) == 2 and np.all(x > 0) and (x[0] < 5).all() and np.argmax(x) == 1
        assert str(x) and repr(x) and f"{x[0]:.1f}" == "1.0" and f"{x}" and np.isfinite(x).all()
        assert float(outside[0]) == 2 and float(Tensor(1.0)) == 1 and outside.tolist() == [2, 3]
        assert x.detach().tolist() == x.numpy().tolist() == x.data.tolist() == [1, 4]
        with tg.no_grad():
            assert float(np.sum(x)) == 5
        copied = copy.copy(outside)
        return np.sum(x * x) * float(x.detach()[0]) + 0 * copied.size

    assert tg.grad(f)(np.array([1.0, 4.0])).tolist() == [2, 8]


def test_on_the_tape_a_number_is_what_it_was():
    x = Tensor([1.0, 2.0], requires_grad=True)
    loss = np.sum(x * x)
    assert float(loss) == loss.item() == 5 and int(loss) == 5 and bool(loss) and math.sqrt(loss) == math.sqrt(5)
    with pytest.raises(TypeError, match="would drop its gradient"):
        np.asarray(loss)


def test_arrays_in_give_arrays_out_in_transforms_at_constant_points():
    inner = []

    def f(a):
        inner.append(tg.grad(lambda x: np.sum(x * x))(np.ones(2)))
        return a * np.sum(inner[-1])

    outer = tg.grad(f)(2.0)
    assert isinstance(inner[0], np.ndarray) and isinstance(outer, np.floating) and outer == 4
    nested = tg.grad(lambda a: tg.grad(lambda x: a * x * x)(3.0))(2.0)
    assert isinstance(nested, np.floating) and nested == 6
    w = Tensor(2.0, requires_grad=True)
    recorded = tg.grad(lambda x: w * x * x)(3.0)  # it depends on a tensor from outside
    recorded.backward()
    assert recorded.item() == 12 and w.grad == 6


def loaded(x):
    net = tg.Dense(2, 1, rng=0)
    net.load_state_dict({"weight": x[:2].reshape(2, 1), "bias": x[2:]})
    return np.sum(net(np.ones((4, 2))))


def stepped(x):
    w = Tensor([1.0, 2.0], requires_grad=True)
    np.sum(x[0] * w * w).backward()
    return np.sum(w.grad)


def fitted(x):
    net = tg.Dense(1, 1, rng=0)
    rows = x.reshape(3, 1)
    tg.fit(net, rows, rows, loss=tg.mse_loss, optimizer=tg.SGD(net.parameters(), lr=0.1), epochs=1, progress=False)
    return np.sum(net(np.ones((1, 1))))


def compiled(x):
    w = Tensor([2.0], requires_grad=True)
    return tg.compile_step(lambda a: np.sum(w * a), tg.SGD([w], lr=0.1))(x) * x[0]


READERS = {
    "load_state_dict": loaded,
    "backward": stepped,
    "fit": fitted,
    "compile_step": compiled,
    "predict": lambda x: np.sum(tg.predict(tg.Dense(3, 1, rng=0), x.reshape(1, 3))),
    "a derivation": lambda x: tg.derive(lambda a: np.sum(a**2), np.ones(3))(x)[0] * x[0],
    "Standardizer": lambda x: np.sum(tg.Standardizer().fit(x.reshape(3, 1))(x.reshape(3, 1)) ** 3),
}


@pytest.mark.parametrize("name", READERS)
def test_our_own_functions_that_make_arrays_say_so_too(name):
    x = np.array([1.0, 2.0, 3.5])
    READERS[name](Tensor(x))  # what needs no gradient loses none
    message = "a batch of shape .* requires grad" if name == "compile_step" else "its derivative would be lost"
    with pytest.raises(TypeError, match=message):
        tg.grad(READERS[name])(x)


def test_numbers_made_in_other_threads():
    def f(x):
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: float(np.sum(x * x))).result() * x[0]

    with pytest.raises(TypeError, match="its derivative would be lost"):
        tg.grad(f)(np.ones(2))
    assert float(np.sum(Tensor(np.ones(2), requires_grad=True) ** 2)) == 2  # nobody differentiates any more


def test_another_thread_reads_its_own_numbers_meanwhile():
    inside, done, read = threading.Event(), threading.Event(), []

    def work():
        inside.wait(60)
        t = Tensor(2.0, requires_grad=True)
        read.append(float(t * t))
        done.set()

    def f(x):
        inside.set()
        assert done.wait(60)
        return x * x

    thread = threading.Thread(target=work)
    thread.start()
    assert tg.grad(f)(3.0) == 6
    thread.join()
    assert read == [4]


def test_options_that_depend_on_a_variable_are_refused():
    for f in (lambda x: np.linalg.norm(x, x[1]), lambda x: np.sum(F.dropout(np.ones(3), p=x[0] / 4)),
              lambda x: np.sum(F.hardtanh(x, -x[1], 5.0)), lambda x: np.sum(F.elu(x, x[1]))):  # fmt: skip
        with pytest.raises(TypeError, match=r"no derivative|would be lost"):
            tg.grad(f)(np.array([1.0, 2.0]))


def test_the_product_with_a_gradient_of_several_outputs():
    y, pull = tg.vjp(lambda v: (v * v[0], [np.sum(v)], {"a": 3.0}), np.array([1.0, 2.0]))
    assert y[0].tolist() == [1, 2] and y[1] == [3.0] and type(y[0]) is np.ndarray and isinstance(y[1][0], np.floating)
    # by hand: d(v₀², v₀v₁) = ((2v₀, v₁), (0, v₀)) and ones for the sum
    (found,) = pull((np.array([10.0, 1.0]), [100.0], {"a": 7.0}))
    assert found.tolist() == [2 * 1 * 10 + 2 * 1 + 100, 1 * 1 + 100]
    for bad in (np.ones(2), (np.ones(2), [1.0]), (np.ones(2), (1.0,), {"a": 1.0})):
        with pytest.raises(ValueError, match="vjp: the gradient must have the structure of the output of <lambda>"):
            pull(bad)
    with pytest.raises(ValueError, match=r"vjp: the gradient has shape \(3,\), the output of <lambda> \(2,\)"):
        pull((np.ones(3), [1.0], {"a": 1.0}))


def test_calls_that_forgot_a_part():
    with pytest.raises(TypeError, match=r"not ndarray; a transform gives a function, .*: grad\(sum\)\(x\)"):
        tg.grad(np.sum, np.ones(2))
    with pytest.raises(TypeError, match=r"with has_aux=True, <lambda> must return \(number, anything\), got Tensor"):
        tg.grad(lambda x: np.sum(x), has_aux=True)(np.ones(2))
