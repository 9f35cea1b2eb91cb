"""What a program's value and gradients are judged by."""

from __future__ import annotations

import contextlib
import random
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.autograd.recording import watching

from .changes import Disagreement
from .generation import random_array
from .programs import Program

try:
    from . import pytorch
except ImportError:
    pytorch = None  # type: ignore[assignment]


REFUSALS = (  # the engine's documented ones: where a derivative does not exist or has no rule, …
    "two values are equal (up to rounding)",
    "a singular value is 0, and the gradient",
    "the third derivative of a determinant has no rule",
    "or `array += tensor`",
    "destination is read-only",  # of broadcast_to, for NumPy, too
    "got the output of s",  # of sigmoid or softmax, which a loss of logits would apply once more
    "copyto would write a tensor into a plain array",  # full_like(array, tensor), which NumPy keeps for itself
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

    def check(self, endings: Sequence[Callable[[Run], None]]) -> None:
        """All oracles, and one of the endings; the first disagreement is raised."""
        with watching(lambda record, y, values: self.counts.update((record.primitive.name,))):
            try:
                self._check(endings)
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

    def _check(self, endings: Sequence[Callable[[Run], None]]) -> None:
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
        self.rng.choice(endings)(self)

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
