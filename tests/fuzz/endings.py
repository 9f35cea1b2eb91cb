"""Ways to end: what else is done with a program, of which one is drawn for each."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_edu as tg

from .changes import CHANGES, Disagreement
from .generation import random_array
from .oracles import REFUSALS, Run, gradients_of, slopes_agree


def twice(run: Run) -> None:
    """`retain_graph` adds the same gradients again; without it the graph is released."""
    leaves, loss = run.recorded()
    loss.backward(retain_graph=True)
    loss.backward()
    run.same_gradients(gradients_of(leaves), "backward() twice", factor=2.0)
    try:
        loss.backward()
    except RuntimeError as error:
        assert "released" in str(error), error
    else:
        raise Disagreement("a third backward() over a released graph did not raise")


def in_parts(run: Run) -> None:
    """The backward passes of the loss's terms, which share their graph, add up to that of the loss."""
    terms = run.program.loss.split(" + ")
    leaves, parts = run.recorded(run.program.function(loss=f"[{', '.join(terms)}]"))
    run.rng.shuffle(parts)
    for part in parts:
        if isinstance(part, tg.Tensor) and part.requires_grad:
            part.backward(retain_graph=True)
    run.same_gradients(gradients_of(leaves), "term by term")


def transformed(run: Run) -> None:
    numbers = tuple(range(len(run.arrays)))
    value, found = tg.value_and_grad(lambda *leaves: run.tensors(*leaves, *run.constants()), numbers)(*run.arrays)
    run.same_value(value, "value_and_grad")
    run.same_gradients(list(found), "value_and_grad")


def second_order(run: Run) -> None:
    """The gradient of the slope along one direction, along another."""
    first, other = ([random_array(run.rng, np.shape(x)) for x in run.arrays] for _ in range(2))
    numbers = tuple(range(len(run.arrays)))
    gradient = tg.grad(run.plain, numbers)
    along = lambda *leaves: sum(np.sum(d * g) for d, g in zip(first, gradient(*leaves), strict=True))
    try:
        analytic = sum(float(np.sum(d * g)) for d, g in zip(other, tg.grad(along, numbers)(*run.arrays), strict=True))
    except (ValueError, NotImplementedError, TypeError) as error:
        if any(text in str(error) for text in (*REFUSALS, "must give a real number to have a gradient")):
            return
        raise
    if not slopes_agree(along, run.arrays, other, analytic, 1e-5 * max(run.scale, abs(analytic))):
        run.counts["(second order, entry by entry)"] += 1
        run.entry_by_entry(2)


def derived(run: Run) -> None:
    """What `derive` writes down once gives the same when it is run, and so does its source."""
    arrays = [np.asarray(x) for x in run.arrays]
    program = _derive(run, run.plain, arrays)
    if program is None:
        return
    run.counts["(derived)"] += 1
    names: dict[str, Any] = {}
    exec(program.source, names)
    results = {"derive": program(*arrays)}
    if "ropout(" not in run.program.source():  # its source draws by itself
        results["its source"] = names["value_and_gradients"](*arrays)
    for what, (value, found) in results.items():
        run.same_value(value, what)
        pairs = zip(found, run.arrays, strict=True)
        run.same_gradients([np.zeros(np.shape(x)) if g is None else g for g, x in pairs], what)
    if len(results) > 1:
        for_other_rows(run, names["value_and_gradients"], arrays)


def for_other_rows(run: Run, written: Callable[..., Any], arrays: list[Any]) -> None:
    """With another number of rows, the source gives what the program does, or raises."""
    rows = next((len(x) for x in arrays if x.ndim), 0)
    if not rows:
        return
    count = run.rng.choice([n for n in (2, 3, 4, 5, 6) if n != rows])  # a single row broadcasts
    others = [np.resize(x, (count, *x.shape[1:])) if x.ndim and len(x) == rows else x for x in arrays]
    others = [x + 0.01 * random_array(run.rng, x.shape) for x in others]
    numbers = tuple(range(len(others)))
    try:
        with np.errstate(all="ignore"):
            value, gradients = tg.value_and_grad(run.plain, numbers)(*others)
    except Exception:
        return  # the program is one for that number of rows
    try:
        found, ds = written(*others)
    except (ValueError, IndexError, np.linalg.LinAlgError):
        run.counts["(other rows are refused)"] += 1
        return
    run.counts["(other rows)"] += 1
    scale = max(1.0, abs(float(value)), *(float(np.abs(g).max(initial=0)) for g in gradients))
    pairs = [
        (found, value),
        *((np.zeros(np.shape(g)) if d is None else d, g) for d, g in zip(ds, gradients, strict=True)),
    ]
    for d, g in pairs:
        if np.shape(d) != np.shape(g) or not np.allclose(d, g, rtol=0, atol=1e-7 * scale, equal_nan=True):
            raise Disagreement(f"its source with {count} rows in place of {rows}: {d!r}, not {g!r}")


def with_noise(run: Run) -> None:
    """A compiled step draws the random numbers that recorded ones draw, and differentiates inside."""
    arrays = [np.asarray(x, float) for x in run.arrays]
    seed = run.rng.randrange(100)

    def loss(leaves: list[Any], rng: np.random.Generator) -> Any:
        noise = [x + 0.01 * tg.random.normal(size=x.shape, rng=rng) for x in leaves]
        slope = tg.grad(lambda x: np.sum(x**2 * tg.random.uniform(0.5, 1.0, x.shape, rng=rng)))(noise[0])
        return run.tensors(*noise, *constants) + np.sum(slope**2) * 0.1

    constants = run.constants()
    values: list[list[float]] = []
    for compiled in (False, True):
        leaves = [tg.Tensor(x.copy(), requires_grad=True) for x in arrays]
        optimizer, rng = tg.SGD(leaves, lr=1e-3 / run.scale), np.random.default_rng(seed)
        warnings.filterwarnings("ignore", message="SGD.step.*no gradient reached")
        warnings.filterwarnings("ignore", message="All-NaN slice")  # NumPy's own, of what was moved
        step = tg.compile_step(lambda leaves=leaves, rng=rng: loss(leaves, rng), optimizer)
        values.append([])
        for _ in range(2):
            with np.errstate(all="ignore"):
                if compiled:
                    try:
                        values[-1].append(step())
                    except TypeError as error:
                        if not any(text in str(error) for text in (*DERIVE_REFUSES, *REFUSALS)):
                            raise
                        return
                    continue
                optimizer.zero_grad()
                try:
                    J = loss(leaves, rng)
                except (ValueError, IndexError):  # the noise changed how many elements a mask selects
                    return
                J.backward()
                optimizer.step()
                values[-1].append(J.item())
    run.counts["(compiled with noise)"] += 1
    if not np.allclose(*values, rtol=1e-7, atol=1e-7 * run.scale, equal_nan=True):
        raise Disagreement(f"compiled with noise: {values[1]}, recorded {values[0]}")


def in_steps(run: Run) -> None:
    """A compiled step updates as a recorded one does, also where a gradient is another parameter's array."""
    shapes = [np.shape(x) for x in run.arrays] * 2
    start = [random_array(run.rng, shape) for shape in shapes]
    pairs = [(i, j) for i, a in enumerate(shapes) for j, b in enumerate(shapes) if a == b]
    terms = [
        (*run.rng.choice(pairs), run.rng.choice(VIEWS), run.rng.random() < 0.3) for _ in range(run.rng.randint(1, 4))
    ]
    make = run.rng.choice(OPTIMIZERS)
    bound = run.rng.choice([None, None, 1e6])

    def loss(leaves: list[Any]) -> Any:
        pairs = [(view(leaves[i]), leaves[j].detach() if held else leaves[j]) for i, j, view, held in terms]
        return sum((a * np.reshape(b, a.shape)).sum() for a, b in pairs)

    ends = []
    for compiled in (False, True):
        leaves = [tg.Tensor(np.array(x), requires_grad=True) for x in start]
        optimizer = make(leaves)
        warnings.filterwarnings("ignore", message=".*no gradient reached")
        step = tg.compile_step(lambda leaves=leaves: loss(leaves), optimizer, clip_grad_norm=bound)
        for _ in range(4):
            if compiled:
                step()
                continue
            optimizer.zero_grad()
            loss(leaves).backward()
            optimizer.step()
        ends.append([leaf.data for leaf in leaves])
    run.counts["(compiled in steps)"] += 1
    for found, wanted in zip(*ends[::-1], strict=True):
        if not np.allclose(found, wanted, rtol=1e-9, atol=1e-12):
            raise Disagreement(f"compiled in steps, {terms}: {found!r}, recorded {wanted!r}")


VIEWS: list[Callable[[Any], Any]] = [
    lambda x: x, lambda x: x, lambda x: x[..., ::-1] if x.ndim else x, lambda x: x.T, np.ravel]  # fmt: skip
OPTIMIZERS: list[Callable[[Any], Any]] = [
    lambda ps: tg.SGD(ps, lr=0.05), lambda ps: tg.SGD(ps, lr=0.05, weight_decay=0.1),
    lambda ps: tg.SGD(ps, lr=0.05, momentum=0.9), lambda ps: tg.SGD(ps, lr=0.05, momentum=0.9, nesterov=True),
    lambda ps: tg.Adam(ps, lr=0.05), lambda ps: tg.AdamW(ps, lr=0.05), lambda ps: tg.RMSprop(ps, lr=0.05),
    lambda ps: tg.Adagrad(ps, lr=0.05)]  # fmt: skip


def with_a_leaf_from_outside(run: Run) -> None:
    """A leaf that a derivation reads from elsewhere counts as it is when it is run, in the gradients of others, too."""
    k = run.rng.randrange(len(run.arrays))
    held = tg.Tensor(0.75 * np.array(run.arrays[k]))
    arrays = [np.asarray(x) for i, x in enumerate(run.arrays) if i != k]
    program = _derive(run, lambda *others: run.plain(*others[:k], held, *others[k:]), arrays)
    if program is None:
        return
    run.counts["(derived with a leaf from outside)"] += 1
    held.data = np.asarray(run.arrays[k])
    value, found = program(*arrays)
    run.same_value(value, "with a leaf from outside")
    found = [np.zeros(np.shape(x)) if g is None else g for g, x in zip(found, arrays, strict=True)]
    run.same_gradients([*found[:k], run.gradients[k], *found[k:]], "with a leaf from outside")


def _derive(run: Run, function: Callable[..., Any], arrays: list[Any]) -> Any:
    try:
        return tg.derive(function, *arrays)
    except TypeError as error:
        if not any(text in str(error) for text in (*DERIVE_REFUSES, *REFUSALS)):
            raise
        run.counts["(derive refused)"] += 1


# A derivation holds for all values: the functions that look at them say so, and so do transforms of what is traced.
DERIVE_REFUSES = (
    "in a derivation a tensor stands for one value",
    *("depends on the data", "must not depend on them", "was recorded outside is used"),
    "there is nothing to differentiate",
    "has a generator made anew",
    "must return a scalar computed from its inputs",  # a constant, such as the Hessian of a square
)


def in_single_precision(run: Run) -> None:
    """Some leaves as float32: each gradient comes in its leaf's precision, and is the same to that."""
    leaves = [tg.Tensor(np.array(x, run.rng.choice([np.float32, np.float64])), requires_grad=True) for x in run.arrays]
    run.tensors(*leaves, *run.constants()).backward()
    for leaf in leaves:
        if leaf.grad is not None and leaf.grad.dtype != leaf.dtype:
            raise Disagreement(f"a gradient of {leaf.grad.dtype} for a leaf of {leaf.dtype}")
    try:
        run.same_gradients(gradients_of(leaves), "in single precision", 1e-3)
    except Disagreement:
        if not run.ill_conditioned():
            raise


def changed_in_place(run: Run) -> None:
    """Whatever happens to the data between recording and backward(): the gradients are right, or it raises."""
    program = run.program
    inner = run.rng.choice(["None", *(s.target for s in program.statements)])
    make: Any = run.rng.choice([tg.Tensor, np.asarray])
    constants = [make(k.copy()) for k in program.constants.values()]
    leaves, (loss, inner) = run.recorded(program.function(loss=f"({program.loss}, {inner})"), constants)
    leaf = run.rng.choice(leaves)
    for change in run.rng.sample(CHANGES, 2):
        change(leaves, leaf, inner, constants)
    for leaf in leaves:
        leaf.zero_grad()
    try:
        loss.backward()
    except RuntimeError as error:
        if "was changed in place" not in str(error):
            raise
        run.counts["(refused: changed in place)"] += 1
    else:
        run.same_gradients(gradients_of(leaves), "after changes of the data")


def numbers_that_leave(run: Run) -> None:
    """Inside a transform, whatever makes a number or a plain array of what is differentiated raises."""
    away = run.rng.choice(AWAYS)
    numbers = tuple(range(len(run.arrays)))
    try:
        tg.grad(lambda *leaves: away(run.tensors(*leaves, *run.constants())) + np.sum(leaves[0]), numbers)(*run.arrays)
    except TypeError as error:
        said = ("its derivative would be lost", "would drop its gradient")
        if not any(text in str(error) for text in said):
            raise
    else:
        if any(np.any(g) for g in run.gradients):
            raise Disagreement("a number left the record, and nothing was said")


def _assigned(y: Any) -> Any:
    c = np.zeros(2)
    c[1] = y
    return c.sum()


AWAYS: list[Callable[[Any], Any]] = [
    _assigned, float, lambda y: y.item(), lambda y: math.tanh(y), lambda y: np.array([y.tolist()]).sum(),
    lambda y: np.fromiter([y], float).sum(), lambda y: np.asarray(y).sum(), lambda y: np.full(2, y).sum()]  # fmt: skip
ENDINGS: list[Callable[[Run], None]] = [
    twice, in_parts, transformed, second_order, second_order, derived, derived, with_a_leaf_from_outside,
    with_noise, in_steps, in_single_precision, changed_in_place, changed_in_place, numbers_that_leave]  # fmt: skip
