"""Numerical gradients, and their comparison with autograd's entry by entry.

The method is the exercise's: a central difference for every parameter, in float64. Where that is not close enough, two
differences, with steps h and h/2, are combined (Richardson's extrapolation), which leaves an error of order h⁴ instead
of h².
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .conversion import values_of
from .engine import pullback
from .printing import printable
from .recording import COMPUTE, Around, interpreted, recording
from .tensor import Tensor, rebuilt

Array = NDArray[np.float64]
MACHINE_EPSILON = float(np.finfo(np.float64).eps)


class GradientMismatch(AssertionError):
    """Autograd's gradient differs from the numerical one; the message is a table of where.

    >>> double = tg.primitive(lambda x: 2 * x)
    >>> tg.rule(double, lambda g, y, x: 3 * g)
    >>> try:
    ...     tg.gradcheck(double, np.array([1.0]))
    ... except tg.GradientMismatch as error:
    ...     print(str(error).splitlines()[0])
    ...
    gradcheck FAILED: 1 of 1 entries are wrong, 0 skipped at a kink
    """


def numerical_gradient(fun: Callable[..., Any], *inputs: Any, eps: float = 1e-4) -> tuple[Array, ...]:
    """The gradient of the number `fun(*inputs)` by central differences in float64, one array for each input.

    An input is an array of floats, or a leaf tensor that requires grad; `fun` is called with tensors, and those are
    the caller's own where it passed tensors, so `fun` may also reach them in another way (a model's parameters).
    Everything else is passed on as it is and gets no array; if that is all, tensors of floats count. The step is
    `eps · max(1, |x|)`. Raises `ValueError` if `fun` gives more than one number.

    >>> (g,) = tg.numerical_gradient(lambda x: np.sum(x**2), np.array([1.0, 2.0]))
    >>> g.round(6)
    array([2., 4.])
    """
    with _float64_leaves(inputs) as (arguments, leaves):
        value = _Value.of(lambda: fun(*arguments))
        value.check_single()
        gradients = tuple(np.zeros(leaf.shape) for leaf in leaves)
        with np.errstate(all="ignore"):  # a step may leave the function's domain
            for gradient, leaf in zip(gradients, leaves, strict=True):
                for i in range(leaf.size):
                    moved = _Moved(value, leaf, i)
                    gradient.flat[i] = moved.extrapolated(eps * moved.unit)
    return gradients


def gradcheck(
    fun: Callable[..., Any],
    *inputs: Any,
    order: int = 1,
    eps: float = 1e-4,
    rtol: float = 1e-6,
    atol: float = 1e-8,
    samples: int | None = None,
    rng: np.random.Generator | int = 0,
) -> bool:
    """Compares autograd's gradient of `fun(*inputs)` with the numerical one; True, or raises `GradientMismatch`.

    Inputs and the step `eps` are as for `numerical_gradient` (float32 is checked in float64). A result of several
    numbers is checked as a weighted sum of them. Every entry is judged by itself: it is wrong if it differs by more
    than `atol + rtol · |numerical|` and the rounding error of the difference quotient. An entry at a kink, where the
    slopes on both sides differ, or at the edge of the domain is skipped. If every gradient is 0, a warning calls the
    check vacuous. With `order=2`, the gradient of a weighted sum of the gradient's entries is checked as well.

    An entry takes two calls of `fun`, up to seventeen where those do not show that it is right. With `samples`, only
    that many of each larger input are checked, drawn with `rng`: an error in a share p of the entries is found with
    probability 1 - (1 - p)^samples.

    Raises `ValueError` if `fun` is not deterministic.
    The message lists the worst entries with the relative difference `|num − ana| / |num + ana|`, and for each input
    `‖num − ana‖ / ‖num + ana‖` as in the course's exercise 4.

    >>> tg.gradcheck(lambda w, x: np.tanh(x @ w), np.ones(2), np.ones((3, 2)))
    True
    >>> tg.gradcheck(lambda w: np.sum(np.tanh(w)), np.ones((200, 300)), samples=20)
    True
    """
    if order not in (1, 2):
        raise ValueError(f"gradcheck: order must be 1 or 2, not {order!r}")
    if samples is not None and (not isinstance(samples, int | np.integer) or samples is True or samples < 1):
        raise ValueError(f"gradcheck: samples is how many entries of an input to check, at least 1, not {samples!r}")
    with _float64_leaves(inputs) as (arguments, leaves):
        drawn = _drawn([leaf.size for leaf in leaves], samples, np.random.default_rng(rng))
        value = _Value.of(lambda: fun(*arguments))
        checks = _check(value, leaves, drawn, (eps, rtol, atol), "gradcheck")
        if order == 2:
            weights = [_weights(leaf.shape) for leaf in leaves]
            slope = _Value(lambda: _slope(value, leaves, weights), ())
            _check(slope, leaves, drawn, (eps, rtol, atol), "gradcheck at order 2")
    if checks and all(c.analytic == 0 or c.verdict == "kink" for c in checks):
        warnings.warn(
            f"gradcheck is vacuous: all {len(checks)} gradients are 0 or at a kink (dead units? an unused input?). "
            "Check at other values",
            stacklevel=2,
        )
    return True


def _drawn(sizes: list[int], samples: int | None, rng: np.random.Generator) -> list[list[int]]:
    """Which entries of each input are checked."""
    return [
        list(range(size))
        if samples is None or size <= samples
        else sorted(rng.choice(size, samples, replace=False).tolist())
        for size in sizes
    ]


def _check(
    value: _Value,
    leaves: list[Tensor],
    drawn: list[list[int]],
    tolerances: tuple[float, float, float],
    what: str,
) -> list[_Entry]:
    analytic = value.gradients(leaves)
    with np.errstate(all="ignore"):  # a step may leave the function's domain
        checks = [
            _check_entry(value, analytic[k].flat[i], leaf, k, i, tolerances)
            for k, leaf in enumerate(leaves)
            for i in drawn[k]
        ]
    wrong = sorted((c for c in checks if c.verdict == "wrong"), key=lambda c: -c.excess)
    if wrong:
        names = [leaf.name or f"input {k}" for k, leaf in enumerate(leaves)]
        raise GradientMismatch(_report(what, checks, wrong, names, [leaf.shape for leaf in leaves]))
    return checks


def _slope(value: _Value, leaves: list[Tensor], weights: list[Any]) -> Any:
    """A weighted sum of the entries of the gradient, recorded."""
    with recording():
        result = value.function()
        if not isinstance(result, Tensor) or result.record is None:
            return 0.0
        seed = Tensor(np.reshape(value.weights, result.shape))
        found = pullback(result.record, seed, tensor=rebuilt, targets=set(leaves))
        parts = [np.sum(found[leaf] * w) for leaf, w in zip(leaves, weights, strict=True) if leaf in found]
        return sum(parts, start=np.float64(0))


@contextmanager
def _float64_leaves(inputs: tuple[Any, ...]) -> Iterator[tuple[list[Any], list[Tensor]]]:
    """The arguments to call with, and those among them that are differentiated, as float64 leaves for the time being.

    A caller's own tensors get their arrays and gradients back at the end.
    """
    arguments: list[Any] = []
    leaves: list[Tensor] = []
    restore: list[tuple[Tensor, Any, Any]] = []
    constants = not any(_is_variable(value, constants=False) for value in inputs)
    for value in inputs:
        if not _is_variable(value, constants):
            arguments.append(value)
            continue
        if isinstance(value, Tensor) and value.is_leaf and value.requires_grad:
            restore.append((value, value._value, value._grad))
            leaves.append(value)
        else:
            leaves.append(Tensor(value.data if isinstance(value, Tensor) else value, True))
        arguments.append(leaves[-1])
    if not leaves:
        raise TypeError("nothing to differentiate: no input is an array of floats or a tensor that requires grad")
    try:
        for leaf in leaves:
            leaf._value = np.array(leaf._value, dtype=np.float64)
            leaf._grad = None
        yield arguments, leaves
    finally:
        for leaf, data, grad in restore:
            leaf._value, leaf._grad = data, grad


def _is_variable(value: Any, constants: bool) -> bool:
    """Whether to differentiate by an input; `constants` says whether also by tensors that do not require grad."""
    if isinstance(value, Tensor):
        return value.requires_grad or (constants and value.dtype.kind == "f")
    return isinstance(value, float) or (isinstance(value, np.ndarray | list) and np.asarray(value).dtype.kind == "f")


class _Evaluating(Around):
    """Only computes, but for somebody who asks it is the recorded function that is evaluated: `Dropout` does."""

    @property
    def records(self) -> bool:
        return True


EVALUATING = _Evaluating(COMPUTE)


class _Value:
    """The number whose gradient is checked: the function's, or a weighted sum of its numbers."""

    def __init__(self, function: Callable[[], Any], shape: tuple[int, ...]) -> None:
        self.function, self.shape, self.weights = function, shape, _weights(shape)

    @classmethod
    def of(cls, function: Callable[[], Any]) -> _Value:
        """That of a function of which it is not known yet what it gives, and whether always the same."""
        first, second = (_values(interpreted(EVALUATING, function)) for _ in range(2))
        if not np.array_equal(first, second, equal_nan=True):
            raise ValueError(
                "the function gives a different value each time it is called (dropout? random numbers?), so it cannot "
                "be compared with differences. Call eval() on the model, or make the generator anew in each call"
            )
        return cls(function, first.shape)

    def check_single(self) -> None:
        if self.weights.size != 1:
            raise ValueError(f"the function must give a single number, got shape {self.shape}; reduce it with .sum()")
        self.weights = np.ones(self.shape)

    def __call__(self) -> float:
        return float((self.weights * _values(interpreted(EVALUATING, self.function))).sum())

    def gradients(self, leaves: list[Tensor]) -> list[Array]:
        for leaf in leaves:
            leaf._grad = None
        with recording():
            result = self.function()
            if isinstance(result, Tensor) and result.is_leaf:
                result = result * 1  # an argument that is given back, which has no backward()
        if isinstance(result, Tensor) and result.record is not None:
            result.backward(np.reshape(self.weights, result.shape))
        return [np.zeros(leaf.shape) if leaf.grad is None else leaf.grad for leaf in leaves]


def _values(result: Any) -> Array:
    if not isinstance(result, Tensor | np.ndarray | np.generic | float | int):
        raise TypeError(f"the function must give one tensor, array or number, not {type(result).__name__}")
    values: Array = np.asarray(values_of(result), np.float64)
    return values


def _weights(shape: tuple[int, ...]) -> Any:
    """What the numbers of a result are weighted with to make it one number: the same in every call."""
    rng = np.random.default_rng(0)
    return rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape) if shape else np.float64(1.0)


class _Moved:
    """The function's values while one entry of a leaf is moved, each computed when it is first asked for."""

    def __init__(self, value: _Value, leaf: Tensor, i: int) -> None:
        self._value, self._data, self._i = value, leaf.data, i
        self._x = self._data.flat[i]
        self._at: dict[float, float] = {}
        self.unit = max(1.0, abs(self._x))

    def at(self, step: float) -> float:
        if step not in self._at:
            try:
                self._data.flat[self._i] = self._x + step
                self._at[step] = self._value()
            finally:
                self._data.flat[self._i] = self._x
        return self._at[step]

    def slope(self, a: float, b: float) -> float:
        return (self.at(b) - self.at(a)) / (b - a)

    def central(self, h: float) -> float:
        return self.slope(-h, h)

    def extrapolated(self, h: float) -> float:
        return (4 * self.central(h / 2) - self.central(h)) / 3

    def noise(self, h: float) -> float:
        """An estimate of the rounding error of slopes."""
        return 16 * MACHINE_EPSILON * max(abs(self.at(-h)), abs(self.at(h))) / h

    def gap(self, h: float) -> float:
        """Between the slopes on the two sides."""
        return abs(self.slope(0.0, h / 2) - self.slope(-h / 2, 0.0))


@dataclass
class _Entry:
    input: int
    index: int
    analytic: float
    numeric: float
    verdict: str  # "right", "wrong" or "kink"
    excess: float = 0.0  # by how many tolerances it is wrong

    @property
    def relative(self) -> float:
        total = abs(self.numeric + self.analytic)
        return abs(self.numeric - self.analytic) / total if total else float("inf")


def _check_entry(
    value: _Value, analytic: float, leaf: Tensor, k: int, i: int, tolerances: tuple[float, float, float]
) -> _Entry:
    eps, rtol, atol = tolerances
    moved = _Moved(value, leaf, i)
    steps = [eps * moved.unit / 16**n for n in range(4)]  # smaller ones may avoid a kink, or stay in the domain
    attempts: list[tuple[float, float, float]] = []
    for h in steps:
        for estimated in (moved.central, moved.extrapolated):  # two values mostly do
            estimate = estimated(h)
            tolerance = atol + rtol * abs(estimate) + moved.noise(h)
            error = abs(estimate - analytic)
            first_error = attempts[0][1] if attempts else np.inf
            if error <= tolerance and not tolerance > first_error / 2:  # noise must not hide what the first step showed
                return _Entry(k, i, analytic, estimate, "right")
        attempts.append((estimate, error, tolerance))
    estimate, error, tolerance = attempts[0]
    if not np.isfinite(estimate):  # near the edge of the domain: what smaller steps show counts if they agree
        (last, *_), (estimate, error, tolerance) = attempts[-2:]
        if not abs(estimate - last) <= 1e-3 * abs(estimate):
            return _Entry(k, i, analytic, estimate, "kink")
    # Where a function is smooth, the slopes on both sides approach each other with the step. At a kink their gap stays
    # as it is; at a jump the slopes, or their gap, grow as the step shrinks. Rounding errors grow too, but irregularly.
    size, later_size = abs(estimate), abs(attempts[2][0])
    gap, later_gap = moved.gap(steps[0]), moved.gap(steps[2])
    unclear = tolerance + 4 * moved.noise(steps[2])
    kink = later_gap > unclear and abs(later_gap - gap) <= gap / 4
    jump = any(b > unclear and abs(b / 256 - a) <= a / 100 for a, b in ((gap, later_gap), (size, later_size)))
    if kink or jump:
        return _Entry(k, i, analytic, estimate, "kink")
    return _Entry(k, i, analytic, estimate, "wrong", error / tolerance if np.isfinite(error) else float("inf"))


def _report(
    what: str, checks: list[_Entry], wrong: list[_Entry], names: list[str], shapes: list[tuple[int, ...]]
) -> str:
    kinks = sum(c.verdict == "kink" for c in checks)
    checked = len(checks), sum(map(math.prod, shapes))
    entries = "entries are" if checked[0] == checked[1] else f"checked entries (of {checked[1]} in all) are"
    lines = [
        f"{what} FAILED: {len(wrong)} of {checked[0]} {entries} wrong, {kinks} skipped at a kink",
        f"{'entry':24} {'analytic':>14} {'numerical':>14} {'relative diff.':>14}",
    ]
    for c in wrong[:12]:
        index = ", ".join(str(n) for n in np.unravel_index(c.index, shapes[c.input])) if shapes[c.input] else ""
        lines.append(f"{f'{names[c.input]}[{index}]':24} {c.analytic:14.7g} {c.numeric:14.7g} {c.relative:14.3g}")
    if len(wrong) > 12:
        lines.append(f"… and {len(wrong) - 12} more")
    for k, name in enumerate(names):
        analytic, numeric = _arrays(checks, k)
        if len(analytic):
            total = float(np.linalg.norm(numeric + analytic))
            difference = float(np.linalg.norm(numeric - analytic)) / total if total else float("inf")
            size = math.prod(shapes[k])
            part = "" if len(analytic) == size else f", {len(analytic)} of {size} entries"
            lines.append(f"{name}, shape {shapes[k]}{part}: ‖num − ana‖ / ‖num + ana‖ = {difference:.3g}")
    return printable("\n".join([*lines, *_hints(checks, wrong, names, shapes)]))


def _arrays(checks: list[_Entry], k: int) -> tuple[Array, Array]:
    entries = [c for c in checks if c.input == k]
    return np.array([c.analytic for c in entries]), np.array([c.numeric for c in entries])


def _hints(checks: list[_Entry], wrong: list[_Entry], names: list[str], shapes: list[tuple[int, ...]]) -> Iterator[str]:
    """The usual causes, where the numbers look like them."""
    bad_inputs = sorted({c.input for c in wrong})
    for k in bad_inputs:
        analytic, numeric = _arrays(checks, k)
        ratio = float(analytic @ numeric / (numeric @ numeric)) if np.any(numeric) else 0.0
        if ratio and np.allclose(analytic, ratio * numeric, rtol=1e-5, atol=1e-12):
            cause = "a flipped sign?" if abs(ratio + 1) < 1e-5 else "a division by m missing or done twice?"
            factor = f"1/{1 / ratio:.6g}" if 0 < ratio < 1 else f"{ratio:.6g}"
            part = "" if len(analytic) == math.prod(shapes[k]) else " that was checked"
            yield f"hint: all of {names[k]}{part} is {factor} times the true gradient: {cause}"
        shape = shapes[k]
        square = len(shape) == 2 and shape[0] == shape[1] and len(analytic) == math.prod(shape)
        if square and np.allclose(analytic.reshape(shape).T, numeric.reshape(shape), rtol=1e-5, atol=1e-7):
            yield f"hint: {names[k]} is right when transposed"
    if all(len(shapes[k]) == 1 for k in bad_inputs) and any(len(s) > 1 for s in shapes):
        yield "hint: only biases differ: is a penalty added to them, or their gradient summed over the wrong axis?"
