"""What a program's value and gradients are judged by."""

from __future__ import annotations

import contextlib
import math
import random
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.autograd.recording import watching

from .changes import CHANGES, Disagreement
from .generation import random_array
from .programs import Program

try:
    from . import pytorch
except ImportError:
    pytorch = None  # type: ignore[assignment]


REFUSALS = (  # the engine's documented ones: where a derivative does not exist or has no rule, …
    "two values are equal (to rounding)",
    "a singular value is 0, and the gradient",
    "the third derivative of a determinant has no rule",
    "or `array += tensor`",
    "got the output of s",  # of sigmoid or softmax, which a loss of logits would apply once more
    "numpy.copyto got a Tensor",  # full_like(array, tensor), which NumPy keeps for itself
)
TIPS = {"absolute", "copysign", "fabs", "hypot", "std", "two_norm", "p_norm"}
Gradients = list[Any]


class Run:
    """One program with everything that is computed of it once."""

    def __init__(self, program: Program, seed: int, counts: Counter[str]) -> None:
        self.program, self.rng, self.counts = program, random.Random(seed), counts
        self.arrays = list(program.leaves.values())
        self.plain = program.plain()
        self.tensors = program.function()
        self.expected = float(self.plain(*self.arrays))

    def leaves(self, dtype: Any = np.float64) -> list[tg.Tensor]:
        return [tg.Tensor(np.array(x, dtype)[()], requires_grad=True) for x in self.arrays]

    def constants(self) -> list[Any]:
        return [tg.Tensor(k.copy()) if i % 2 else k.copy() for i, k in enumerate(self.program.constants.values())]

    def recorded(self, function: Callable[..., Any] | None = None, constants: list[Any] | None = None) -> Any:
        leaves = self.leaves()
        loss = (function or self.tensors)(*leaves, *(self.constants() if constants is None else constants))
        return leaves, loss

    def same_value(self, value: Any, what: str, tolerance: float = 1e-9) -> None:
        if not abs(float(value) - self.expected) <= tolerance * max(1.0, self.scale, abs(self.expected)):
            raise Disagreement(f"{what}: the value is {float(value)!r}, NumPy's is {self.expected!r}")

    def same_gradients(self, found: Gradients, what: str, tolerance: float = 1e-8, factor: float = 1.0) -> None:
        for name, g, wanted in zip(self.program.leaves, found, self.gradients, strict=True):
            if np.shape(g) != np.shape(wanted) or not np.all(np.abs(g - factor * wanted) <= tolerance * self.scale):
                raise Disagreement(f"{what}: the gradient of {name} is {g!r}, not {factor} * {wanted!r}")

    def check(self) -> None:
        """All oracles; the first disagreement is raised."""
        with watching(lambda record, y, values: self.counts.update((record.primitive.name,))):
            try:
                self._check()
            except AssertionError:  # a Disagreement, or a GradientMismatch
                if not self.at_a_jump():
                    raise
                self.counts["(at a jump)"] += 1

    def at_a_jump(self) -> bool:
        """Whether the value itself changes by more than rounding when the leaves change by no more than rounding: then
        a function that jumps (floor, frexp, a comparison) is just where it does, and nothing can be compared."""
        for h in (1e-12, 1e-14, -1e-12, -1e-14) * 4:
            moved = [x + h * random_array(self.rng, np.shape(x)) for x in self.arrays]
            if abs(float(self.plain(*moved)) - self.expected) > 1e-6 * self.scale:
                return True
        return False

    def _check(self) -> None:
        self.scale = 1.0
        try:
            leaves, loss = self.recorded()
            self.same_value(loss, "recorded", 1e-8)
            if not isinstance(loss, tg.Tensor) or not loss.requires_grad:
                self.counts["(everything held)"] += 1
                return
            loss.backward()
        except (ValueError, TypeError, NotImplementedError) as error:
            if not any(text in str(error) for text in REFUSALS):
                raise
            self.counts["(refused)"] += 1
            return
        self.gradients = gradients_of(leaves)
        self.scale = max(1.0, *(float(np.abs(g).max(initial=0)) for g in self.gradients))
        for leaf in leaves:
            if leaf.grad is not None and (leaf.grad.shape != leaf.shape or leaf.grad.dtype != leaf.dtype):
                raise Disagreement(f"a gradient of shape {leaf.grad.shape}, {leaf.grad.dtype} for a leaf {leaf!r}")
        self.numerical()
        order = self.program.function(statements=self.program.shuffled(self.rng))
        leaves, loss = self.recorded(order)
        loss.backward()
        self.same_value(loss.item(), "in another order")
        self.same_gradients(gradients_of(leaves), "in another order")
        alike = all(
            k.dtype in (np.float64, np.int64) for k in self.program.constants.values()
        )  # others round otherwise
        if pytorch and alike and pytorch.comparable(self.program.source()):
            self.with_pytorch()
        self.rng.choice(ENDINGS)(self)

    def numerical(self) -> None:
        """The slope along random directions against differences; what differs is looked at entry by entry, because only
        then a kink can be told from a wrong rule."""
        for _ in range(2):
            along = [random_array(self.rng, np.shape(x)) for x in self.arrays]
            analytic = sum(float(np.sum(d * g)) for d, g in zip(along, self.gradients, strict=True))
            if not slopes_agree(self.plain, self.arrays, along, analytic, 1e-6 * max(self.scale, abs(self.expected))):
                self.counts["(looked at entry by entry)"] += 1
                self.entry_by_entry(1)
                return

    def entry_by_entry(self, order: int) -> None:
        """`gradcheck`, which can tell a kink, but not two that hide each other: those fall apart a little beside."""
        beside = [x + 0.01 * random_array(self.rng, np.shape(x)) for x in self.arrays]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="gradcheck is vacuous")
            check = lambda arrays: tg.gradcheck(
                self.plain, *map(np.asarray, arrays), order=order, rtol=1e-5, atol=1e-7 * self.scale
            )
            try:
                check(self.arrays)
            except tg.GradientMismatch:
                with contextlib.suppress(tg.GradientMismatch):
                    check(beside)
                    self.counts["(right beside a point of its own)"] += 1
                    return
                if order == 2 and self.at_a_tip():
                    self.counts["(at a tip)"] += 1  # which has no second derivative
                    return
                raise

    def at_a_tip(self) -> bool:
        """Whether an absolute value or a norm is 0, up to rounding."""
        found = []
        with watching(
            lambda record, y, values: found.append(record.primitive.name in TIPS and np.any(np.abs(y) < 1e-14))
        ):
            self.recorded()
        return any(found)

    def ill_conditioned(self) -> bool:
        """Whether changes as small as the rounding of float32 move the gradients that far: a kink or a jump is near."""
        for size in (1e-6, 1e-5, 1e-4):
            moved = [x + size * random_array(self.rng, np.shape(x)) for x in self.arrays]
            found = tg.grad(self.plain, tuple(range(len(moved))))(*moved)
            pairs = zip(found, self.gradients, strict=True)
            if any(np.any(np.abs(g - wanted) > 1e-4 * self.scale) for g, wanted in pairs):
                self.counts["(ill-conditioned in single precision)"] += 1
                return True
        return False

    def with_pytorch(self) -> None:
        self.counts["(compared with PyTorch)"] += 1
        program = self.program.function("torch", pytorch.NAMES)
        value, found = pytorch.gradients(program, self.arrays, list(self.program.constants.values()))
        self.same_value(value, "PyTorch", 1e-8)
        self.same_gradients(found, "PyTorch", 1e-7)


def gradients_of(leaves: list[tg.Tensor]) -> Gradients:
    return [np.zeros(leaf.shape) if leaf.grad is None else leaf.grad for leaf in leaves]


def slopes_agree(function: Any, arrays: list[Any], along: list[Any], analytic: float, tolerance: float) -> bool:
    """Whether differences at some step, small enough to get away from a kink, give that derivative."""
    return any(abs(analytic - slope(function, arrays, along, h)) <= tolerance for h in (1e-3, 1e-4, 1e-5))


def slope(function: Callable[..., Any], arrays: list[Any], along: list[Any], h: float) -> float:
    """The derivative of the number `function(*arrays)` along a direction, by two central differences."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            at = {
                k: float(function(*(x + k * h * d for x, d in zip(arrays, along, strict=True))))
                for k in (-1, -0.5, 0.5, 1)
            }
        except (ValueError, IndexError, np.linalg.LinAlgError):  # a mask with fewer elements, for example
            return float("nan")
    return float((8 * (at[0.5] - at[-0.5]) - (at[1] - at[-1])) / (6 * h))


# Ways to end: of these one is drawn for each program.


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
    constants = [tg.Tensor(k.copy()) for k in program.constants.values()]
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
        if "its derivative would be lost" not in str(error):
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
    with_noise, in_single_precision, changed_in_place, changed_in_place, numbers_that_leave]  # fmt: skip
