"""Every rule of the table against numerical differences; and the proof that these tests notice a wrong rule."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.strategies import CALLS, PRIMITIVES, flipped, ruled
from tinygrad_edu import GradientMismatch, Tensor, gradcheck

STEPS = {
    "sign",
    "floor",
    "ceil",
    "trunc",
    "rint",
    "fix",
    "round",
    "floor_divide",
    "heaviside",
    "imag",
    "angle",
}  # their derivative is 0
# Their rules are exercised at second order, by "getitem", "det" and "sinc", and by the tests of transforms.
USED_BY_RULES = {"sum_rows", "where_positive", "scatter", "cofactors", "cofactors_slope", "sinc_derivative", "variable"}
USED_BY_RULES |= {
    "ratio",
    "slope_of_abs",
    "order_statistic",
    "norm_of_nothing",
    "elu_slope",
    "sums_of_runs",
    "folded",
    "slopes_back",
    "of_full_rank",
    "basis",
    "sum_of_windows",
    "differences_back",
    "einsum_view",
    "where_chosen",
    "put_back",
    "reordered",
    "slopes_at_roots",
}
# Their gradient does not depend on this argument, or the rule is exercised together with another's.
SIGNLESS = {("astype", 0), ("copysign", 1), *((name, 0) for name in STEPS), ("floor_divide", 1), ("heaviside", 1)}


def check(function, inputs):
    """Autograd against numerical differences, and the gradients' shapes and dtypes, in float64 and float32."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="gradcheck is vacuous")
        assert gradcheck(function, *inputs)
        assert gradcheck(moved(function, inputs), *np.zeros(DIRECTIONS), order=2)
    exact = gradients(function, inputs, np.float64)
    for g, x in zip(exact, inputs, strict=True):
        assert g.shape == x.shape and g.dtype == np.float64
    for g, h in zip(exact, gradients(function, inputs, np.float32), strict=True):
        assert h.dtype == np.float32
        assert_close(h, g, rtol=2e-2, atol=2e-3 * (1 + np.abs(g).max(initial=0)))


def assert_close(found, wanted, rtol, atol):
    """As NumPy's, which takes longer than the computation of small arrays and need not be asked where it is plain."""
    with np.errstate(invalid="ignore"):
        plain = np.shape(found) == np.shape(wanted) and np.all(np.abs(found - wanted) <= atol + rtol * np.abs(wanted))
    if not plain:
        np.testing.assert_allclose(found, wanted, rtol, atol)


DIRECTIONS = 2


def moved(function, inputs):
    """The function on the way from the inputs into random directions, among which the entries are shared out: what is
    wrong in some second derivative shows there, and a kink hides those of its direction only."""
    rng = np.random.default_rng(0)
    ways = []
    for x in inputs:
        group, speed = (
            rng.integers(0, DIRECTIONS, x.shape),
            rng.uniform(0.5, 1.5, x.shape) * rng.choice([-1, 1], x.shape),
        )
        ways.append([np.where(group == k, speed, 0.0) for k in range(DIRECTIONS)])
    return lambda *t: function(
        *[sum((s * way for s, way in zip(t, w, strict=True)), start=x) for x, w in zip(inputs, ways, strict=True)]
    )


def gradients(function, inputs, dtype):
    leaves = [Tensor(x.astype(dtype, order="K"), requires_grad=True) for x in inputs]
    y = function(*leaves)
    assert isinstance(y, Tensor)
    unrecorded = function(*(leaf.detach() for leaf in leaves)).numpy()
    assert_close(y.numpy(), unrecorded, rtol=8 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny)
    y.backward(np.cos(np.arange(y.size)).reshape(y.shape))
    return [np.zeros(leaf.shape, dtype) if leaf.grad is None else leaf.grad for leaf in leaves]


def test_every_primitive_has_a_call():
    assert PRIMITIVES.keys() - USED_BY_RULES == CALLS.keys()


@pytest.mark.parametrize("name", sorted(CALLS))
def test_rule(name):
    @settings(max_examples=15)
    @given(st.data())
    def property(data):
        check(*data.draw(CALLS[name]))

    property()


def wrong_rules(primitive):
    """The primitive's rules, each in turn with its sign flipped."""
    if primitive.each is not None:
        each = primitive.each
        yield (), lambda i: flipped(each(i))
        return
    vjps = [rule and rule.vjp for rule in primitive.rules]
    for i, vjp in enumerate(vjps):
        if vjp is not None and (primitive.name, i) not in SIGNLESS:
            yield (*vjps[:i], flipped(vjp), *vjps[i + 1 :]), None


@pytest.mark.parametrize("name", sorted(CALLS.keys() - STEPS - {"astype"}))
def test_a_flipped_sign_is_noticed(name):
    """A test of the tests: with any one rule's sign wrong, the property above fails."""
    primitive = PRIMITIVES[name]

    @settings(
        max_examples=60,
        phases=[Phase.generate],
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def property(data):
        check(*data.draw(CALLS[name]))

    found = 0
    for vjps, each in wrong_rules(primitive):
        with ruled(primitive, vjps, each), pytest.raises((GradientMismatch, AssertionError)):
            property()
        found += 1
    assert found
