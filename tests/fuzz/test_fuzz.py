"""The fuzzer of the engine: a few of its programs in every run, and the proof that it finds what is wrong."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.fuzz.generation import NAMES, add_statement, random_array, random_program, start
from tests.fuzz.operations import OPERATIONS, Draw
from tests.fuzz.programs import Program
from tests.fuzz.runs import CALLED, failure, fuzz, smallest
from tests.strategies import PRIMITIVES, TABLE, flipped, ruled
from tinygrad_edu.autograd import engine, tensor
from tinygrad_edu.compiler import emission


class Programs(RuleBasedStateMachine):
    """A program grows statement by statement, and is judged as it stands from time to time and at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.program, self.checked = Program(), 0  # there at the end also where Hypothesis breaks off before `begin`

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        start(self.program, random.Random(seed))

    @rule(operation=st.sampled_from(NAMES), seed=st.integers(0, 2**32))
    def compute(self, operation: str, seed: int) -> None:
        add_statement(self.program, operation, random.Random(seed))

    @precondition(lambda self: len(self.program.statements) > self.checked)
    @rule(seed=st.integers(0, 2**32))
    def judge(self, seed: int) -> None:
        self.checked = len(self.program.statements)
        message = failure(self.program, seed, Counter())
        assert message is None, f"{message}\n\n{self.program.reproducer()}"

    def teardown(self) -> None:
        if len(self.program.statements) > self.checked:
            self.judge(0)


Programs.TestCase.settings = settings(max_examples=20, stateful_step_count=12)
TestPrograms = Programs.TestCase


def test_random_programs():
    counts, reports = fuzz(range(80))
    assert not reports, "\n".join(reports)
    assert {"(derived)", "(compiled in steps)"} <= counts.keys()


def test_every_function_of_the_table_is_drawn():
    """What the operations' texts call, over some draws of each, is all that has a rule."""
    rng = random.Random(1)
    program = Program()
    for shape in ((), (3,), (2,), (2, 2), (2, 2), (3, 3), (2, 3), (3, 2), (2, 2, 2)):
        program.add_leaf(random_array(rng, shape)[()])
    draw = Draw(rng, program.values, program.constants)
    texts = [OPERATIONS[name](draw) for name in NAMES for _ in range(4)]
    called = {name.rpartition(".")[2] for text in texts for name in CALLED.findall(text)}
    plain = TABLE[np.equal].__code__  # of those through which no gradient flows
    table = {f.__name__ for f, handler in TABLE.items() if getattr(handler, "__code__", None) is not plain}
    own = {p.name for p in PRIMITIVES.values()}
    in_disguise = {"__call__", "at"}  # a call with keywords; a statement, which has no value
    assert {name for name in table - called - in_disguise if name.lstrip("_") not in own} == set()
    assert own - {"getitem", "setitem"} <= called | UNDER_OTHER_NAMES


# Primitives of our own that functions of other names are made of, or rules.
UNDER_OTHER_NAMES = {"product", "cofactors", "cofactors_slope", "log_abs_det", "two_norm", "scatter", "sum_rows",
                     "variable", "where_positive", "cross_entropy_of_probabilities", "sinc_derivative", "ratio",
                     "slope_of_abs", "p_norm", "order_statistic", "norm_of_nothing", "slopes",
                     "normal_cdf", "elu_slope", "of_each_probability", "conv", "conv_x", "conv_w", "max_pool", "unpool",
                     "pick", "sum_pool", "spread", "standardised", "variance", "slope", "on_diagonal",
                     "sums_of_runs", "folded", "slopes_back", "einsum_view",
                     "basis", "of_full_rank", "values_of_lstsq", "inverse_or_nan",
                     "sliding_windows", "sum_of_windows", "sums_by_place", "differences",
                     "differences_back", "running_max", "running_min", "sums_of_parts",
                     "where_chosen", "put_back", "reordered", "slopes_at_roots"}  # fmt: skip


class TestPlantedFaults:
    """With a fault in the engine, one of a few hundred programs fails."""

    def finds(self, seeds: int = 400, saying: str = "", first: int = 0) -> str:
        for seed in range(first, first + seeds):
            program = random_program(random.Random(seed))
            message = failure(program, seed, Counter())
            if message and saying in message:
                assert len(smallest(program, seed).statements) <= len(program.statements)
                return message
        pytest.fail(f"none of {seeds} programs noticed")

    @pytest.mark.parametrize("name", ["multiply", "sum", "getitem", "tanh", "product", "where", "concatenate"])
    def test_a_flipped_sign(self, name):
        primitive, each = PRIMITIVES[name], PRIMITIVES[name].each
        vjps = () if each else [flipped(rule and rule.vjp) for rule in primitive.rules]
        with ruled(primitive, vjps, each and (lambda i: flipped(each(i)))):
            self.finds()

    def test_a_sum_that_is_not_undone(self, monkeypatch):
        """Broadcasting undone by taking one of the stretched entries instead of the sum."""
        right = engine.unbroadcast

        def wrong(g, shape):
            exact = right(g, shape)
            return exact if g.size <= exact.size else exact / 2

        monkeypatch.setattr(engine, "unbroadcast", wrong)
        self.finds()

    def test_a_change_in_place_that_is_not_noticed(self, monkeypatch):
        monkeypatch.setattr(tensor, "mark_changed", lambda array: None)
        # Which warnings of what was computed from them may precede. Few programs show it, one of them after `first`.
        self.finds(600, "after changes of the data", first=120)

    def test_a_gradient_that_is_read_after_its_memory_was_written_over(self, monkeypatch):
        monkeypatch.setattr(emission, "is_lent", lambda line, owns: False)
        self.finds(saying="compiled in steps")

    def test_a_second_use_that_is_dropped(self):
        """A rule whose second argument gets nothing, as if the gradient had been assigned instead of added."""
        with ruled(PRIMITIVES["add"], (lambda g: g, lambda g: 0 * g)):
            self.finds()

    def test_a_warning(self):
        with ruled(PRIMITIVES["sin"], (lambda g, x: g * np.cos(x) + 0 * np.log(np.zeros(())),)):
            self.finds(saying="RuntimeWarning")


def test_the_operations_have_distinct_names():
    assert len(NAMES) == len(OPERATIONS) > 200
