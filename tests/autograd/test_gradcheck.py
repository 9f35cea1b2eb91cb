"""The checker itself: what it must pass, what it must fail, and what it says."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import (
    Dense,
    GradientMismatch,
    Sequential,
    Sigmoid,
    Tensor,
    gradcheck,
    no_grad,
    numerical_gradient,
    primitive,
    rule,
)
from tinygrad_edu import functional as F


def wrong(function, *vjps):
    """A primitive with the given (wrong) rules."""
    made = primitive(function)
    rule(made, *vjps)
    return made


def message(function, *inputs):
    with pytest.raises(GradientMismatch) as error:
        gradcheck(function, *inputs)
    return str(error.value)


def test_numerical_gradient():
    [g] = numerical_gradient(lambda x: (x**3).sum(), np.arange(3.0))
    np.testing.assert_allclose(g, [0, 3, 12], atol=1e-10)
    g, h = numerical_gradient(lambda x, w: (x * w).sum(), np.ones((2, 2)), 3.0)
    np.testing.assert_allclose(g, 3, rtol=1e-9)
    assert h.shape == () and h == pytest.approx(4)
    with pytest.raises(ValueError, match=r"single number, got shape \(3,\)"):
        numerical_gradient(lambda x: x, np.arange(3.0))
    with pytest.raises(TypeError, match="nothing to differentiate"):
        numerical_gradient(lambda x: x.sum(), np.arange(3))


def test_float32_is_checked_in_float64_and_the_caller_s_tensors_come_back():
    w = Tensor(np.ones(3, np.float32), requires_grad=True)
    data, w.grad = w.data, np.full(3, 7, np.float32)
    assert gradcheck(lambda t: (t**3 / 3).sum(), w)
    assert w.data is data and w.grad.tolist() == [7, 7, 7]
    with pytest.raises(KeyError):
        gradcheck(lambda t: {}[t], w)
    assert w.data is data and w.grad.tolist() == [7, 7, 7]


def test_parameters_of_a_model_that_the_function_reaches_by_itself():
    net = Sequential(Dense(3, 2, rng=0), Sigmoid(), Dense(2, 1, rng=1))
    X = np.random.default_rng(0).normal(size=(4, 3))
    assert gradcheck(lambda *_: F.mse_loss(net(X), np.ones((4, 1))), *net.parameters())


def test_a_function_that_gives_back_its_argument():
    assert tg.gradcheck(lambda x: x, np.array([1.0, 2.0]), order=2)
    assert tg.gradcheck(lambda x, y: x, np.array([1.0, 2.0]), np.ones(3))


def test_an_entry_of_0_where_1e_6_is_true():
    lost = wrong(lambda x: x[0] + 1e-6 * x[1], lambda g, y, x: g * np.array([1.0, 0.0]))
    assert "input 0[1]" in message(lost, np.array([1.0, 1.0]))


def test_a_large_value_does_not_hide_it():
    lost = wrong(lambda x: 200 + x[0] + 1e-6 * x[1], lambda g, y, x: g * np.array([1.0, 0.0]))
    assert "input 0[1]" in message(lost, np.array([1.0, 1.0]))


def test_rounding_errors_are_no_kink():
    doubled = wrong(lambda a: a * 3.0, lambda g, y, a: g * 6.0)
    text = message(lambda a: doubled(a.astype(np.float32)).sum(), np.array([1.3, 2.7]))
    assert "input 0[0]" in text


def test_the_edge_of_the_domain():
    assert gradcheck(np.sqrt, np.array([1e-6, 1.0]))
    with np.errstate(all="ignore"):
        assert gradcheck(np.sqrt, np.array([0.0, 1.0]))
    for near in (1e-5, 1e-6, 3e-7, 1e-7, 1e-9):
        assert gradcheck(lambda x: np.log(x).sum(), np.array([near, 1.0]))
    log = wrong(np.log, lambda g, y, x: g * 1.01 / x)
    assert "1 of 1 entries are wrong" in message(log, np.array([1e-5]))
    (slopes,) = tg.numerical_gradient(lambda x: np.sum(np.sqrt(x)), np.array([0.0, 1.0]))
    assert np.isnan(slopes[0]) and slopes[1] == pytest.approx(0.5)


def test_functions_that_cannot_be_checked():
    with pytest.raises(ValueError, match=r"a different value each time.*dropout"):
        gradcheck(lambda x: F.dropout(x, 0.5), np.ones(20))
    with pytest.raises(TypeError, match="must give one tensor, array or number, not tuple"):
        gradcheck(lambda x: (x, x), np.ones(2))
    with pytest.raises(ValueError, match="order must be 1 or 2"):
        gradcheck(np.sin, np.ones(2), order=3)


def test_inside_no_grad():
    with no_grad():
        assert gradcheck(np.sin, np.ones(2), order=2)


def test_a_wrong_second_derivative_is_noticed():
    @primitive
    def slope(x):
        return np.cos(x)

    rule(slope, lambda g, y, x: g * np.sin(x))
    sine = wrong(np.sin, lambda g, y, x: g * slope(x))
    x = np.array([0.3, 1.2])
    assert gradcheck(sine, x)
    with pytest.raises(GradientMismatch, match="gradcheck at order 2 FAILED: 2 of 2"):
        gradcheck(sine, x, order=2)


def test_every_entry_by_itself():
    one_wrong = wrong(lambda x: np.sum(x * x), lambda g, y, x: g * 2 * x * (np.arange(x.size) != 7))
    text = message(one_wrong, np.linspace(1, 2, 1000))
    assert "1 of 1000 entries are wrong" in text and "input 0[7]" in text


def test_kinks_are_skipped():
    assert gradcheck(lambda x: F.relu(x).sum(), np.array([0.0, 1.0, -1.0, 1e-7, -1e-6]))
    assert gradcheck(lambda x: abs(x).sum() + x.max(), np.array([0.0, 2.0, 2.0]))
    assert gradcheck(lambda x: np.floor(x) * x, np.array([1.0, 2.5]))


def test_a_wrong_rule_beside_a_kink_still_fails():
    bad = wrong(lambda x: np.maximum(x, 0), lambda g, y, x: np.where(x > 0, 1.01 * g, 0))
    text = message(bad, np.array([0.0, 1.0]))
    assert "1 of 2 entries are wrong, 1 skipped at a kink" in text


def test_all_zero_is_vacuous():
    with pytest.warns(UserWarning, match="vacuous: all 2 gradients are 0"):
        assert gradcheck(F.relu, np.array([-1.0, -2.0]))
    with pytest.warns(UserWarning, match="vacuous"):
        assert gradcheck(lambda x: np.ones(3), np.array([1.0]))


def test_steep_and_large_functions_raise_no_false_alarm():
    assert gradcheck(lambda x: np.log(x).sum(), np.array([1e-3, 1e-2, 1.0]))
    assert gradcheck(lambda x: (1e6 * x**2).sum() + 1e8, np.array([1.0, 2.0]))
    assert gradcheck(lambda x: np.exp(5 * x).sum(), np.array([1.0, 3.0]))
    assert gradcheck(lambda x: np.sin(x), np.array([1e4]))


def test_the_table_and_its_hints():
    x, b = np.arange(1.0, 7).reshape(3, 2), np.array([1.0, 2.0])
    mean = wrong(lambda x: np.mean(x**2), lambda g, y, x: g * 2 * x)
    text = message(mean, Tensor(x, requires_grad=True, name="X"))
    assert "gradcheck FAILED: 6 of 6 entries are wrong, 0 skipped" in text
    assert "X[2, 1]" in text.splitlines()[2] and "12" in text.splitlines()[2]  # the worst first
    assert "‖num − ana‖ / ‖num + ana‖ = 0.714" in text
    assert "all of X is 6 times the true gradient: a division by m missing or done twice?" in text
    assert "1/3 times" in message(wrong(lambda x: np.sum(x**2), lambda g, y, x: g * 2 * x / 3), x)
    assert "-1 times the true gradient: a flipped sign?" in message(wrong(np.sin, lambda g, y, x: -g * np.cos(x)), b)
    square = np.arange(4.0).reshape(2, 2)
    transposed = wrong(lambda w: np.sum(w**3), lambda g, y, w: g * 3 * w.T**2)
    assert "right when transposed" in message(transposed, square)
    biased = wrong(lambda w, b: np.sum(w * w + b), lambda g, y, w, b: g * 2 * w, lambda g, y, w, b: g * w + b)
    assert "only biases differ" in message(biased, x, b)


def test_many_wrong_entries_are_cut():
    text = message(wrong(np.sin, lambda g, y, x: g * 0.5), np.linspace(0, 1, 40))
    assert "… and 28 more" in text


def test_a_layer_that_draws_the_same_each_time_is_checked_without_a_warning():
    """`Dropout` warns where it drops although nothing is recorded; that is not so of a function that is checked."""
    drop = tg.Dropout(0.5)

    def function(x):
        drop.rng = np.random.default_rng(0)
        return drop(x) ** 2

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tg.gradcheck(function, np.linspace(1.0, 2.0, 5), order=2)


class TestSamples:
    """Of large inputs, a part of the entries is checked."""

    x = np.random.default_rng(0).normal(size=(60, 50))

    def test_only_so_many_are_evaluated(self):
        calls = []
        function = lambda x, small: calls.append(1) or np.sum(np.tanh(x)) * np.sum(small)
        assert gradcheck(function, self.x, np.ones(3), samples=4)
        assert len(calls) <= 3 + (4 + 3) * 5

    def test_a_lost_part_is_found(self):
        """Half of the entries are wrong: 12 draws find it but for a chance of 1/4096."""
        half = wrong(lambda x: np.sum(x**2), lambda g, y, x: g * 2 * x * (np.arange(x.size).reshape(x.shape) % 2))
        with pytest.raises(GradientMismatch) as error:
            gradcheck(half, self.x, samples=12)
        first, *_ = str(error.value).splitlines()
        assert "of 12 checked entries (of 3000 in all) are wrong, 0 skipped" in first
        assert "input 0, shape (60, 50), 12 of 3000 entries: ‖num" in str(error.value)
        rows = {line.split("]")[0] for line in str(error.value).splitlines() if line.startswith("input 0[")}
        assert all((int(r.split("[")[1].split(",")[0]) * 50 + int(r.split(",")[1])) % 2 == 0 for r in rows)

    def test_rng_says_which(self):
        def rows(**options):
            with pytest.raises(GradientMismatch) as error:
                gradcheck(wrong(np.sin, lambda g, y, x: g * 0.5), self.x, samples=3, **options)
            return [line for line in str(error.value).splitlines() if line.startswith("input 0[")]

        assert rows() == rows(rng=0) == rows(rng=np.random.default_rng(0)) != rows(rng=1)
        assert len(rows()) == 3
        with pytest.raises(GradientMismatch) as error:
            gradcheck(wrong(np.sin, lambda g, y, x: g * 0.5), np.ones(10), samples=9)
        assert len({line[:10] for line in str(error.value).splitlines() if line.startswith("input 0[")}) == 9

    def test_hints_hold_for_what_was_checked(self):
        with pytest.raises(GradientMismatch, match="all of input 0 that was checked is -1 times the true gradient"):
            gradcheck(wrong(np.sin, lambda g, y, x: -g * np.cos(x)), self.x, samples=5)
        square = wrong(lambda w: np.sum(w**3), lambda g, y, w: g * 3 * w.T**2)
        with pytest.raises(GradientMismatch) as error:
            gradcheck(square, self.x[:50], samples=5)
        assert "transposed" not in str(error.value)

    def test_second_order_and_models(self):
        assert gradcheck(lambda x: np.sum(np.exp(x)), self.x, samples=3, order=2)
        first = primitive(np.cos)
        rule(first, lambda g, y, x: g * np.sin(x))  # the sign is wrong, which shows at order 2
        with pytest.raises(GradientMismatch, match=r"at order 2 FAILED: 3 of 3 checked entries \(of 3000 in all\)"):
            gradcheck(wrong(np.sin, lambda g, y, x: g * first(x)), self.x, samples=3, order=2)
        net = Sequential(Dense(50, 20, rng=0), Sigmoid(), Dense(20, 1, rng=1))
        assert gradcheck(lambda *_: F.mse_loss(net(self.x), np.ones((60, 1))), *net.parameters(), samples=10)

    def test_small_inputs_are_checked_whole(self):
        assert "1 of 2 entries are wrong" in message(
            wrong(lambda x: np.sum(x * x), lambda g, y, x: g * 2 * x * np.array([1, 0])), np.ones(2)
        )
        with pytest.raises(GradientMismatch, match="FAILED: 2 of 2 entries are wrong"):
            gradcheck(wrong(np.sin, lambda g, y, x: g * 0.5), np.ones(2), samples=200)

    @pytest.mark.parametrize("samples", [0, -1, 1.5, True, "all"])
    def test_misuse(self, samples):
        with pytest.raises(
            ValueError, match=f"samples is how many entries of an input to check, at least 1, not {samples!r}"
        ):
            gradcheck(np.sin, self.x, samples=samples)
