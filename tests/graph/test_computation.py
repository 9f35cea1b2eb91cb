"""The recorded computation as data: values, operations, groups, gradients, formulas, folding."""

from __future__ import annotations

import gc
import inspect
import re
import threading
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import CALLS
from tinygrad_edu import (
    Dense,
    Dropout,
    Module,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
    Tensor,
    compile_step,
    derive,
    no_grad,
    primitive,
    record_positions,
    rule,
)
from tinygrad_edu import functional as F
from tinygrad_edu.autograd.primitives import FUNCTIONS, Primitive
from tinygrad_edu.autograd.record import reached
from tinygrad_edu.graph.computation import RELEASED, computation
from tinygrad_edu.graph.formulas import argument_names, written
from tinygrad_edu.optim import SGD


def ex4(m=5):
    net = Sequential(Dense(4, 3, rng=0), Sigmoid(), Dense(3, 2, rng=1), Sigmoid())
    rng = np.random.default_rng(0)
    X, Y = Tensor(rng.random((m, 4)), name="X"), Tensor(np.eye(2)[rng.integers(0, 2, m)], name="Y")
    return net, F.binary_cross_entropy(net(X), Y, "batchmean") + F.l2_penalty(net, 1.0, m)


def test_values_operations_and_groups():
    net, loss = ex4()
    found = computation(loss, model=net)
    assert list(found.values) == [f"t{k}" for k in range(len(found.values))]
    assert [o.name for o in found.operations.values()] == [
        "linear", "sigmoid", "linear", "sigmoid", "binary_cross_entropy", "square", "sum", "square", "sum", "add",
        "multiply", "add",
    ]  # fmt: skip
    assert [o.step for o in found.operations.values()] == list(range(1, 13))
    first = found.operations["o0"]
    x, weight, bias = (found.values[key] for key in first.inputs)
    assert (x.kind, x.name, x.shape) == ("constant", "X", (5, 4))
    assert (weight.kind, weight.name, weight.shape) == ("parameter", "0.weight", (4, 3))
    assert (bias.kind, bias.name, bias.dtype) == ("parameter", "0.bias", "float64")
    assert found.operations["o5"].inputs == (weight.key,)  # the penalty's square reads the same tensor
    result = found.values[first.output]
    assert (result.kind, result.name, result.shape) == ("result", None, (5, 3))
    assert found.values[found.output].kind == "output" and found.output == found.operations["o11"].output
    assert [(g.label, g.path, g.parent) for g in found.groups.values()] == [
        ("Sequential", "Sequential", None), ("Dense(4 → 3)", "0", "g0"), ("Sigmoid", "1", "g0"),
        ("Dense(3 → 2)", "2", "g0"), ("Sigmoid", "3", "g0"),
    ]  # fmt: skip
    groups = [o.group for o in found.operations.values()]
    assert groups == ["g1", "g2", "g3", "g4", *[None] * 8]
    # A result that leaves its module stands outside, up to where it is read first.
    assert [found.values[o.output].group for o in found.operations.values()][:5] == ["g0", "g0", "g0", None, None]
    assert (x.group, weight.group, bias.group) == (None, "g1", "g1")
    assert found.notes == () and not found.released
    unnamed = computation(loss)
    assert unnamed.values["t1"].name == "weight" and unnamed.groups["g1"].path == "Dense"


def test_what_is_no_parameter_of_the_model_is_an_input():
    net, loss = ex4()
    x = Tensor([1.0], requires_grad=True, name="x")
    kinds = {v.name: v.kind for v in computation(loss * x, model=net).values.values()}
    assert kinds["x"] == "input" and kinds["0.weight"] == "parameter"
    assert {v.name: v.kind for v in computation(loss * x).values.values()}["x"] == "parameter"


def test_an_operand_used_twice_and_an_array_used_twice():
    x, ones = Tensor([1.0, 2.0], requires_grad=True), np.ones(2)
    found = computation(x * x * ones * ones)
    assert found.operations["o0"].inputs == ("t0", "t0")
    assert found.operations["o1"].inputs[1] == found.operations["o2"].inputs[1]
    for others in ([np.ones(2), np.ones(2)], [np.ones(2000), np.ones(2000)]):  # which only look the same
        found = computation(x[0] * others[0] * others[1])
        assert len({v for operation in found.operations.values() for v in operation.inputs}) == 5


def test_a_leaf_and_what_was_not_recorded():
    found = computation(Tensor([1.0, 2.0], requires_grad=True, name="x"), gradients=True)
    assert not found.operations and found.values["t0"].kind == "parameter"
    assert found.values["t0"].gradient.tolist() == [1, 1]
    with no_grad():
        assert computation(Tensor([1.0]) * 2).values["t0"].kind == "constant"
    with pytest.raises(TypeError, match="got list"):
        computation([1.0])


def test_values_are_those_that_were_seen():
    x = Tensor([1.0, 2.0], requires_grad=True, name="x")
    y = np.exp(x) * np.array([3.0, 4.0])
    x.data = np.array([9.0, 9.0])  # afterwards
    found = computation((y * y).sum())
    by_name = {o.name: o for o in found.operations.values()}
    assert np.allclose(found.values[by_name["exp"].output].data, np.exp([1, 2]))
    assert found.values[by_name["multiply"].inputs[0]].data is not None
    assert found.values[found.output].data == pytest.approx((y.data**2).sum())
    added = computation(x + 1.0).values  # an addition's rules read nothing
    assert added["t1"].data == 1 and added["t1"].dtype is None


def test_gradients_are_those_of_backward_and_nothing_is_changed():
    net, loss = ex4()
    found = computation(loss, model=net, gradients=True)
    assert all(p.grad is None for p in net.parameters())
    h = found.values[found.operations["o2"].output]
    assert h.gradient is not None and h.gradient.shape == (5, 2)
    loss.backward()
    for name, p in net.named_parameters():
        [value] = [v for v in found.values.values() if v.name == name]
        assert np.array_equal(value.gradient, p.grad), name
    assert all(v.gradient is None for v in found.values.values() if v.kind == "constant")


def test_released_and_changed_graphs_say_so():
    net, loss = ex4()
    loss.backward()
    found = computation(loss, model=net, gradients=True)
    assert found.released and found.notes == (RELEASED,)
    # The labels are gone with the records, and so is what is behind the cross-entropy.
    given = {o.name: found.values[o.output].gradient for o in found.operations.values()}
    assert given["add"] == 1 and given["binary_cross_entropy"] == 1 and given["linear"] is None
    assert all(v.gradient is None for v in found.values.values() if v.kind == "parameter")
    x = Tensor([1.0], requires_grad=True)
    y = np.exp(x)
    y.data[:] = 5.0
    y.data = y.data
    [note] = computation(y, gradients=True).notes
    assert "exp used was changed in place" in note
    x = Tensor([1.0, 2.0], requires_grad=True)
    assert computation(x * x, gradients=True).notes == (
        "gradients are those of the sum of the output, which has several elements",
    )


def test_modules_that_return_several_or_nothing_new():
    class Twice(Module):
        def forward(self, x):
            return {"a": (a := np.exp(x)), "b": [a]}["b"] if x.size > 9 else (np.sin(x), np.cos(x), 1.0)

    class Same(Module):
        def forward(self, x):
            return x

    x = Tensor([1.0], requires_grad=True)
    module = Twice()
    a, b, _ = module(x)
    before = np.exp(x)
    assert [o.group for o in computation(Sequential(Tanh())(before)).operations.values()] == [None, "g1"]
    assert Same()(before).record.calls == ()
    found = computation(Same()(a * b))
    assert [o.group for o in found.operations.values()] == ["g0", "g0", None]
    assert [g.label for g in found.groups.values()] == ["Twice"]
    assert [o.group for o in computation(Same()(x) * 1.0).operations.values()] == [None]
    assert [o.group for o in computation(b).operations.values()] == ["g0"]


def test_recurrent_calls_are_one_group_each_and_nest():
    class Cell(Module):
        def __init__(self):
            self.dense = Dense(2, 2, rng=0)

        def forward(self, h):
            return np.tanh(self.dense(h) * 0.5)

    cell, h = Cell(), np.ones((1, 2))
    for _ in range(2):
        h = cell(h)
    found = computation(h, model=cell)
    assert [(g.label, g.path, g.parent) for g in found.groups.values()] == [
        ("Cell", "Cell", None), ("Dense(2 → 2)", "dense", "g0"),
        ("Cell", "Cell", None), ("Dense(2 → 2)", "dense", "g2"),
    ]  # fmt: skip
    assert [o.group for o in found.operations.values()] == ["g1", "g0", "g0", "g3", "g2", "g2"]


def test_a_module_is_neither_kept_alive_nor_missed():
    class Keeper(Module):
        def forward(self, x):
            self.kept = np.exp(x)  # a cycle, if the record held the module
            return self.kept

    gc.collect()
    gc.disable()
    try:
        module = Keeper()
        y = module(Tensor([1.0], requires_grad=True))
        seen = weakref.ref(module)
        del module
        assert seen() is None
        assert [g.label for g in computation(y).groups.values()] == ["Keeper"]
    finally:
        gc.enable()


def test_another_thread_records_into_no_group():
    class Waiting(Module):
        def forward(self, x):
            thread = threading.Thread(target=lambda: results.append(np.sin(np.exp(x))))
            thread.start()
            thread.join()
            return np.cos(x)

    results = []
    x = Tensor([1.0], requires_grad=True)
    found = computation(Waiting()(x) + results[0])
    assert {o.name: o.group for o in found.operations.values()} == {"exp": None, "sin": None, "cos": "g0", "add": None}


def test_derivations_are_not_marked():
    net = Sequential(Dense(2, 1, rng=0), Sigmoid())
    X, y = np.ones((3, 2)), np.ones((3, 1))
    loss = lambda X, y: F.binary_cross_entropy(net(X), y)
    assert "np.logaddexp" in derive(loss, X, y, parameters=net).source
    compile_step(loss, SGD(net.parameters(), lr=0.1))(X, y)


def test_positions_are_kept_on_request():
    x = Tensor([1.0], requires_grad=True)
    with record_positions():
        y = np.exp(x)
        z = Sequential(Tanh())(y)
    positions = [o.position for o in computation((z * 2.0).sum()).operations.values()]
    assert positions[0].startswith("test_computation.py:") and positions[2:] == [None, None]
    file, line = (part for part in positions[1].split(":"))
    assert (file, int(line)) == ("test_computation.py", int(positions[0].split(":")[1]) + 1)


# Formulas


def test_formulas_are_the_rules_that_run():
    x = Tensor(np.ones((4, 3)), requires_grad=True)
    w, b = Tensor(np.ones((3, 2)), requires_grad=True), Tensor(np.ones(2), requires_grad=True)
    for y, formula, *rules in (
        (F.linear(x, w, b), "y = x @ weight + bias", "dx = g @ weight.T", "dweight = x.T @ g", "dbias = g, summed"),
        (F.linear(np.ones((4, 3)), w, b), "y = x @ weight + bias", None, "dweight = x.T @ g", "dbias = g, summed"),
        (F.sigmoid(x), "y = sigmoid(x)", "dx = g * (y * (1 - y))"),
        (x**2, "y = a ** 2", "da = g * (2 * a)", None),
        (x.sum(axis=0), "y = np.sum(x, axis=0, keepdims=False)", "dx = g.reshape((1, 3)), repeated to (4, 3)"),
        (x.mean(), "y = np.mean(x, keepdims=False)", "dx = g / 12, repeated to (4, 3)"),
        (x / 2.0, "y = a / 2.0", "da = g / 2.0", None),
        (x.max(axis=0), None, "dx = np.where((x == y.reshape((1, 3))) | (x != x), g.reshape((1, 3)) * (1 / np.sum("),
        (x.std(axis=0), None, "dx = _per_freedom(restored(g, axis, keepdims), y.size, x, axis, ddof if correction is"),
    ):  # fmt: skip
        made = written(y.record, {})
        assert formula in (made[0], None), made
        assert all(a == b or str(a).startswith(str(b)) for a, b in zip(made[1], rules, strict=True)), made
    assert written((x * 2.0).record, known := {}) != written((x * 3.0).record, known)
    assert len(known) == 2 and written((x * 2.0).record, known) and len(known) == 2


def test_a_rule_that_looks_at_values_is_shown_as_it_stands():
    @primitive
    def odd(x):
        return x * 2.0

    def odd_rule(g, y, x):
        return g * 2.0 if float(x.sum()) > 0 else g

    x = Tensor([1.0], requires_grad=True)
    rule(odd, odd_rule)
    assert written(odd(x).record, {}) == ("y = odd(x)", ("dx = odd_rule(g, y, …)",))
    rule(odd, lambda g, y, x: g * 2.0 if float(x.sum()) > 0 else g)
    assert written(odd(x).record, {})[1] == ("dx = g * 2.0 if float(x.sum()) > 0 else g",)


NAMES = {"np": np, **vars(F), **{p.__name__: p for p in FUNCTIONS.values() if isinstance(p, Primitive)}}


@pytest.mark.parametrize("name", CALLS)
def test_every_rule_has_a_formula_and_it_computes_what_the_rule_does(name):
    @settings(max_examples=4)
    @given(st.data())
    def check(data):
        function, inputs = data.draw(CALLS[name])
        y = function(*(Tensor(x, requires_grad=True) for x in inputs))
        for record in reached(y.record)[0] if y.record is not None else ():
            _, rules = written(record, {})
            applied = record.primitive.rules_for(len(rules))
            names = argument_names(record.primitive, len(rules))
            g = np.ones(record.shape)
            saved = [np.ones(n.shape) if v is None and n is not None else v
                     for v, n in zip(record.saved, (record, *record.nodes), strict=True)]  # fmt: skip
            for text, used, own, node in zip(rules, applied, names, record.nodes, strict=True):
                assert (text is None) == (used is None or node is None)
                if text is None or "…" in text:
                    continue
                assert text.startswith(f"d{own} = ")
                formula, _, fitted = text.partition(" = ")[2].partition(", summed to ")
                formula, _, repeated = formula.partition(", repeated to ")
                known = NAMES | {"g": g, "y": saved[0], **dict(zip(names, saved[1:], strict=True))}
                own_defaults = {p.name: p.default for p in inspect.signature(used.vjp).parameters.values()}
                known |= own_defaults | vars(inspect.getmodule(used.vjp)) | record.options | {"g": g, "y": saved[0]}
                known |= dict(zip(names, saved[1:], strict=True))
                if not re.search(r"\bc[12]\b", formula):
                    with np.errstate(all="ignore"):
                        expected = used.call(g, saved, record.options)
                        np.testing.assert_allclose(eval(formula, known), expected, rtol=1e-12, err_msg=text)
                    assert bool(fitted or repeated) == (np.shape(expected) != node.shape), text

    check()


# Folding


def deep(count):
    inner = [layer for k in range(count) for layer in (Dense(4, 4, rng=k), Tanh())]
    return Sequential(Dense(8, 4, rng=0), Tanh(), *inner, Dense(4, 1, rng=0))


def nodes(found):
    return len(found.operations) + sum(
        v.kind != "constant" or bool(v.shape) or v.name is not None for v in found.values.values()
    )


def test_equal_layers_fold_into_one():
    net = deep(20)
    found = computation(net(np.ones((3, 8))), model=net, max_nodes=30)
    assert [(o.name, o.folded) for o in found.operations.values()] == [
        ("0: Dense(8 → 4)", 1), ("1: Tanh", 1), ("20 × (Dense(4 → 4), Tanh)", 40), ("42: Dense(4 → 1)", 1),
    ]  # fmt: skip
    assert found.notes == ("43 of 43 operations folded into 4 boxes",)
    assert [o.step for o in found.operations.values()] == [1, 2, 3, 43]


def test_depth_folds_modules_below_it():
    net = Sequential(Sequential(Dense(4, 3, rng=0), ReLU()), Dropout(0.5, rng=0), Dense(3, 1, rng=1))
    y = net(np.ones((5, 4))).sum()
    names = [[o.name for o in computation(y, depth=d).operations.values()] for d in (0, 1, 2, 3)]
    assert names == [
        ["Sequential", "sum"],
        ["Sequential", "Dropout(p=0.5)", "Dense(3 → 1)", "sum"],
        ["Dense(4 → 3)", "ReLU", "multiply", "linear", "sum"],
        ["linear", "relu", "multiply", "linear", "sum"],
    ]


def test_elementwise_runs_fold_before_all_others():
    x = Tensor(np.ones((2, 2)), requires_grad=True)
    y = x
    for k in range(30):  # with no repetition
        y = np.exp(y) if k in (0, 1, 3, 6, 10, 15, 21, 28) else np.sin(y)
        y = np.tanh(y) if k in (2, 7, 19, 20) else y
    for most, pieces in ((12, [12, 10, 12]), (8, [34])):  # not further than it must be
        found = computation((y @ x).sum(), max_nodes=most)
        names = [*(f"{n} elementwise operations" for n in pieces), "product", "sum"]
        assert [o.name for o in found.operations.values()] == names


def test_many_operations_on_numbers_become_about_as_many_boxes_as_there_may_be():
    rng = np.random.default_rng(0)
    known = [Tensor(x, requires_grad=True) for x in rng.uniform(-1, 1, 10)]
    for _ in range(1500):
        a, b = (known[-1 - k] for k in rng.integers(10, size=2))
        known.append([np.multiply, np.maximum, lambda a, b: np.sin(a)][rng.integers(3)](a, b))
    for most in (100, 400):
        found = computation(known[-1], max_nodes=most, formulas=False)
        assert most / 3 < len(found.operations) + len(found.values) <= most


@st.composite
def graphs(draw):
    """Random graphs of several modules with side results."""
    x = Tensor(np.ones((2, 2)), requires_grad=True, name="x")

    class Block(Module):
        def __init__(self, *inner):
            self.inner = inner
            self.weight = Tensor(np.ones((2, 2)), requires_grad=True)

        def forward(self, h):
            for module in self.inner:
                h = module(h)
            self.side = np.sin(h * self.weight)
            return np.tanh(self.side) + h

    made, modules = [x], []
    for _ in range(draw(st.integers(1, 14))):
        a, b = (made[-1 - draw(st.integers(0, min(3, len(made) - 1)))] for _ in range(2))
        kind = draw(st.sampled_from(["add", "product", "exp", "block", "again", "side"]))
        if kind == "block":
            inner = [Block() for _ in range(draw(st.integers(0, 2)))]
            modules.append(Block(*inner))
            made.append(modules[-1](a))
        elif kind == "again" and modules:
            made.append(modules[-1](a))
        elif kind == "side" and modules:
            made.append(modules[-1].side * b)
        else:
            made.append(np.cos(a * 0.1) if kind == "exp" else np.sin(a) @ b if kind == "product" else a + b)
    total = made[-1]
    for t in made[-3:-1]:
        total = total + t
    return total


def assert_whole(found, whole):
    """Every operation is in one unit, the units stand in an order in which they can be executed, and all fits."""
    assert sum(o.folded or 1 for o in found.operations.values()) == len(whole.operations)
    maker = {key: o.key for o in found.operations.values() for key in o.outputs}
    done = {key for key in found.values if key not in maker}
    assert all(found.values[key].kind not in ("result", "output") or not whole.operations for key in done)
    for o in found.operations.values():
        assert set(o.inputs) <= done, o
        assert o.output == o.outputs[-1]
        done.update(o.outputs)
    read = {key for o in found.operations.values() for key in o.inputs}
    assert read | {found.output} == set(found.values)
    for part in (*found.operations.values(), *found.values.values()):
        assert part.group is None or part.group in found.groups


@given(graphs(), st.integers(2, 40), st.sampled_from([None, 0, 1]))
def test_folded_graphs_are_small_whole_and_without_cycles(y, max_nodes, depth):
    found = computation(y, max_nodes=max_nodes, depth=depth)
    if y.record is not None:
        assert nodes(found) <= max(max_nodes, 3)
    assert_whole(found, computation(y))


@pytest.mark.parametrize("max_nodes", range(4, 20))
def test_a_repetition_of_folded_modules_stays_whole(max_nodes):
    y, tanh = np.exp(Tensor(np.ones((2, 2)), requires_grad=True)), Sequential(Tanh())
    for _ in range(3):
        y = tanh(np.sin(y) @ np.ones((2, 2)))
    for k in range(2, 8):
        y = y @ np.ones((k, k + 1))
    assert_whole(computation(y, depth=0, max_nodes=max_nodes), computation(y))
