"""The walk back, un-broadcasting, what a record keeps, and rules that users add."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from tinygrad_edu import Tensor, gradcheck, primitive, rule
from tinygrad_edu.autograd.engine import unbroadcast


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=3))
def test_unbroadcast_is_the_transpose_of_broadcasting(shapes):
    """⟨broadcast(x), g⟩ = ⟨x, unbroadcast(g)⟩."""
    rng = np.random.default_rng(0)
    x = rng.integers(-5, 5, shapes.input_shapes[0]).astype(float)
    g = rng.integers(-5, 5, shapes.result_shape).astype(float)
    back = unbroadcast(g, x.shape)
    assert back.shape == x.shape
    assert np.sum(np.broadcast_to(x, g.shape) * g) == np.sum(x * back)


def test_unbroadcast_repeats_what_a_reduction_left_out():
    np.testing.assert_array_equal(unbroadcast(np.array([[1.0], [2.0]]), (2, 3)), [[1, 1, 1], [2, 2, 2]])
    assert unbroadcast(np.float64(3), (2, 2)).tolist() == [[3, 3], [3, 3]]


def test_broadcast_gradient_by_hand():
    x, b = Tensor([[1.0, 2.0], [3.0, 4.0]], True), Tensor([0.5, 0.5], True)
    ((x + b) ** 2).sum().backward()
    assert b.grad.tolist() == [10, 14]


@pytest.mark.parametrize("n", [100_000])
def test_a_long_chain_needs_no_recursion(n):
    limit = sys.getrecursionlimit()
    x = Tensor(1.0, True)
    y = x
    for _ in range(n):
        y = y + 1
    y.backward()
    assert x.grad == 1 and y.item() == n + 1
    del y
    assert sys.getrecursionlimit() == limit


def test_a_wide_graph_of_doublings_is_visited_once():
    x = Tensor(1.0, True)
    y = x
    for _ in range(60):
        y = y + y
    y.backward()
    assert x.grad == 2.0**60


class TestWhatARecordKeeps:
    def saved(self, y):
        return [value is not None for value in y.record.saved]

    def test_only_what_a_rule_reads(self):
        a, b = Tensor(np.ones((2, 2)), True), Tensor(np.ones((2, 2)), True)
        c = np.ones((2, 2))
        assert self.saved(a * b) == [False, True, True]
        assert self.saved(a * c) == [False, False, True]
        assert self.saved(c * a) == [False, True, False]
        assert self.saved(a + b) == [False, False, False]
        assert self.saved(np.exp(a)) == [True, False]
        assert self.saved(a.sum()) == [False, False]
        assert self.saved(a.reshape(4)) == [False, False]
        assert self.saved(np.concatenate([a, b])) == [False, False, False]
        assert self.saved(a @ c) == [False, False, True]
        assert self.saved(a[0]) == [False, False]

    def test_released_records_keep_the_structure(self):
        a = Tensor([1.0, 2.0], True)
        y = (a * a).sum()
        y.backward()
        assert y.record.saved is None and y.record.shape == () and y.record.primitive.name == "sum"
        assert y.record.nodes[0].primitive.name == "multiply"


class TestUsersPrimitives:
    def test_as_documented(self):
        @primitive
        def cube(x):
            return x**3

        rule(cube, lambda g, y, x: g * 3 * x**2)
        assert gradcheck(cube, np.array([1.0, -2.0]))
        assert cube(np.array([2.0])).tolist() == [8]

    def test_a_wrong_shape_names_function_and_argument(self):
        @primitive
        def halve(x, w):
            return x * w

        rule(halve, lambda g, y, x, w: np.ones((2, 5)), lambda g, y, x, w: g * x)
        with pytest.raises(ValueError) as error:
            halve(Tensor([1.0, 2.0, 3.0], True), 2.0).sum().backward()
        assert "gradient of 'halve' (output of shape (3,)) with respect to its argument 0" in error.value.__notes__[0]

    def test_the_error_of_a_rule_comes_through(self):
        @primitive
        def product(a, b):
            return a * b

        def broken(g, y, a, b):
            raise ZeroDivisionError("the real cause")

        rule(product, lambda g, y, a, b: g * b, broken)
        a, b = Tensor([1.0, 2.0], True), Tensor([3.0, 4.0], True)
        with pytest.raises(ZeroDivisionError, match="the real cause") as error:
            product(a, b).sum().backward()
        assert "respect to its argument 1 of shape (2,)" in error.value.__notes__[0]
        assert a.grad is None

    def test_a_rule_may_give_a_number(self):
        @primitive
        def total(x):
            return np.sum(x)

        rule(total, lambda g, y, x: 1.0)
        assert gradcheck(total, np.array([1.0, 2.0]))

    def test_a_rule_that_gives_none_or_a_function_that_gives_several(self):
        @primitive
        def forgetful(x):
            return x * 2

        rule(forgetful, lambda g, y, x: None)
        with pytest.raises(TypeError, match=r"rule gave .*None.*, which is not a gradient"):
            forgetful(Tensor([1.0], True)).backward()

        @primitive
        def pair(x):
            return x, x

        rule(pair, lambda g, y, x: g)
        with pytest.raises(TypeError, match="pair must give one array, got tuple"):
            pair(Tensor([1.0], True))

        @primitive
        def number(x, *, p=2.0):
            return float(np.sum(x) * p)

        rule(number, lambda g, y, x, *, p: g * p)  # the default is the function's
        assert gradcheck(number, np.array([1.0, 2.0]))

    def test_arguments_by_name(self):
        @primitive
        def scaled(x, factor):
            return x * factor

        rule(scaled, lambda g, y, x, factor: g * factor, lambda g, y, x, factor: g * x)
        x = Tensor([1.0, 2.0], True)
        scaled(x=x, factor=3.0).sum().backward()
        assert x.grad.tolist() == [3, 3]

    def test_without_a_rule(self):
        @primitive
        def lonely(x):
            return x

        with pytest.raises(TypeError, match="lonely has no derivative rule; add one"):
            lonely(Tensor([1.0], True))
        with pytest.raises(TypeError, match="one rule for each array argument"):
            rule(lonely)

    def test_wrong_number_of_arrays_and_unknown_option(self):
        @primitive
        def scaled(x, *, by=1.0):
            return x * by

        rule(scaled, lambda g, y, x, *, by=1.0: g * by)
        t = Tensor([1.0], True)
        assert scaled(t, by=3.0).item() == 3
        with pytest.raises(TypeError, match=r"scaled takes 1 array argument\(s\) on tensors, got 2"):
            scaled(t, t)
        with pytest.raises(TypeError, match=r"the option times= has no rule.*by"):
            scaled(t, times=2)

    def test_rules_that_are_not_plain_functions_read_everything(self):
        class Rule:
            def __call__(self, g, y, x):
                return g * x * 2

        @primitive
        def squared(x):
            return x * x

        rule(squared, Rule())
        assert gradcheck(squared, np.array([3.0]))


def test_importing_loads_only_what_it_needs_and_changes_nothing(python):
    code = """
import sys, warnings, numpy as np
before = np.geterr(), np.get_printoptions(), warnings.filters[:], sys.getrecursionlimit(), np.random.get_state()[1][0]
import tinygrad_edu as tg
after = np.geterr(), np.get_printoptions(), warnings.filters[:], sys.getrecursionlimit(), np.random.get_state()[1][0]
assert before == after
assert all(hasattr(tg, name) for name in tg.__all__)
for name in ("scipy", "matplotlib", "sklearn", "mlxtend", "pygraphviz", "tqdm", "pandas"):
    assert name not in sys.modules, name
"""
    subprocess.run([python, "-c", code], check=True)


def test_gradients_of_leaves_are_arrays_of_their_own_also_where_they_came_as_views():
    a, b = (Tensor(np.ones(shape), requires_grad=True) for shape in ((3, 2), (2, 3)))
    given = np.ones((2, 3))
    (a.T + b).backward(given)
    a.grad[0, 0] = b.grad[0, 0] = 7
    assert given.sum() == 6 and a.grad.sum() == b.grad.sum() == 12
    x = Tensor(np.ones(1), requires_grad=True)
    np.broadcast_to(x.sum(), (1,)).sum().backward()
    x.grad[0] = 4
    tall, weight = (Tensor(np.ones(shape), requires_grad=True) for shape in ((100, 4), (4, 2)))
    (tall @ weight).sum().backward()
    tall.grad[0] = 5
    assert tall.grad.sum() == 5 * 4 + 99 * 4 * 2 and weight.grad.tolist() == [[100, 100]] * 4
