"""A number that leaves the record inside a transform takes its derivative along: whoever makes one is told."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor


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
    "bool": lambda x: x[0] if x[1] else x[2],
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
