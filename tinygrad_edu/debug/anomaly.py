"""`detect_anomaly`: where the first NaN or infinity came from."""

from __future__ import annotations

import itertools
import sys
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..autograd.broadcasting import unbroadcast
from ..autograd.call_site import caller, place
from ..autograd.engine import rule_arguments
from ..autograd.hooks import hooks_of
from ..autograd.positions import block
from ..autograd.record import Node, Record
from ..autograd.recording import gradient_check, plain, watching
from ..nn.layers import Module
from .read_only import Held, Lock, note_view


class AnomalyError(FloatingPointError):
    """An operation gave NaN or infinity, or what it needs for its gradient was changed in place.

    >>> issubclass(tg.AnomalyError, FloatingPointError)
    True
    """


@block
def detect_anomaly() -> Iterator[None]:
    """Inside it, or in a function decorated with `@detect_anomaly()`, NaN and infinity are traced to where they came
    from, in this thread.

    The first recorded operation that gives NaN, or infinity from finite inputs, raises `AnomalyError` (a
    `FloatingPointError`), and so does the first rule that gives such a gradient in a backward pass. The message names
    the operation, the line that asked for it, the module, and what its inputs were like. Infinities in the
    inputs (a mask of −inf) are allowed as long as no NaN results from them.

    Arrays that a record needs are read-only until the record is released, so that a change in place raises NumPy's
    `ValueError` where it happens. A change through a view that was taken earlier raises `AnomalyError` in `backward()`.
    Views that you take of such an array in the meantime stay read-only.

    A compiled step does not record, so only its loss and its gradients are checked, and the error cannot name the
    place. Inside, a step takes several times as long; outside, none of this costs anything.

    >>> x = tg.Tensor([1.0, 0.0], requires_grad=True)
    >>> with np.errstate(divide="ignore"), tg.detect_anomaly():  # doctest: +ELLIPSIS
    ...     x.sqrt().sum().backward()
    Traceback (most recent call last):
    tinygrad_edu.debug.anomaly.AnomalyError: ...
    """
    if gradient_check() is not None:  # inside another one
        yield
        return
    locks: weakref.WeakSet[Lock] = weakref.WeakSet()

    def check_operation(record: Record, y: Any, values: Sequence[Any]) -> None:
        notes = record.noting
        notes.position, notes.module = caller(), _module_path()
        _check_output(record, y, values)
        note_view(y)
        saved = record.saved or ()
        if any(isinstance(value, np.ndarray) for value in saved):
            held = Held.of(saved)
            record.saved = held
            locks.add(held.lock)

    try:
        with watching(check_operation, _GradientCheck):
            yield
    except ValueError as error:
        if "read-only" in str(error):
            error.add_note(
                "inside detect_anomaly(), arrays that a recorded operation needs for its gradient are read-only: "
                "change them after backward(), or make a new array (t.data = t.data - step, not t.data -= step)"
            )
        raise
    finally:
        for lock in list(locks):
            lock.release()


# Forward


def _check_output(record: Record, y: Any, values: Sequence[Any]) -> None:
    nan, inf = _non_finite(y)
    if not nan and not inf:
        return
    given = [_non_finite(v) for v in values]
    if inf and not nan and any(map(any, given)):
        return
    bad = [k for k, counts in enumerate(given) if any(counts)]
    found = f"{_who(record)} gave {_counted(nan, inf)}"
    inputs = "".join(f"\n  argument {k}{_named(record, k)}: {describe(v)}" for k, v in enumerate(values))
    if bad:
        k = bad[0]
        raise AnomalyError(
            f"{found}, because its argument {k}{_named(record, k)} already holds {_counted(*given[k])}: find out "
            f"where that comes from, the data or something that was computed without being checked{inputs}"
        )
    raise AnomalyError(
        f"{found} from finite inputs{inputs}\n"
        f"Keep its inputs where '{record.primitive.name}' is finite: use a loss that takes logits, log_softmax, or "
        "np.where before it; or, if the first steps went well, a smaller learning rate"
    )


def _who(record: Record) -> str:
    position, module = record.position, record.noted.module
    where = " (recorded outside detect_anomaly())" if position is None else f" at {place(*position)}"
    return f"'{record.primitive.name}'{where}{f' in {module}' if module else ''}"


def _named(record: Record, k: int) -> str:
    node = record.nodes[k] if k < len(record.nodes) else None
    return f" {node.name!r}" if node is not None and node.name else ""


def _module_path() -> str:
    """The modules being called, as "Sequential.2.Dense": the outermost one, the path to the innermost, and that one."""
    modules: list[Module] = []
    frame: Any = sys._getframe(1)
    while frame is not None:
        if frame.f_code is Module.__call__.__code__:
            modules.append(frame.f_locals["self"])
        frame = frame.f_back
    if not modules:
        return ""
    modules.reverse()
    path = [type(modules[0]).__name__]
    for outer, inner in itertools.pairwise(modules):
        path += [name for name, value in outer._walk() if value is inner][:1]
    return ".".join(path if len(modules) == 1 else [*path, type(modules[-1]).__name__])


# Backward


class _GradientCheck:
    """Checks one backward pass: it is told the gradient of each record and leaf, and knows which rules gave it."""

    def __init__(self) -> None:
        self._sources: dict[Node, list[tuple[Record, tuple[Any, ...], Any]]] = {}

    def __call__(self, node: Node, g: Any) -> None:
        g = plain(g)
        sources = self._sources.pop(node, [])
        if any(_non_finite(g)):
            raise self._error(node, g, sources)
        if node.__class__ is Record and node.saved is not None:
            if isinstance(node.saved, Held):
                _refuse_changed(node, node.saved)
            for parent in {p for p in node.nodes if p is not None}:
                self._sources.setdefault(parent, []).append((node, node.saved, g))

    def _error(self, node: Node, g: Any, sources: list[tuple[Record, tuple[Any, ...], Any]]) -> AnomalyError:
        for source, saved, arrived in sources:
            for k, parent in enumerate(source.nodes):
                if parent is node:
                    with np.errstate(all="ignore"):
                        counts = _non_finite(_gradient(source, saved, arrived, k))
                    if any(counts):
                        return AnomalyError(
                            f"the backward of {_who(source)} gave {_counted(*counts)} for its argument "
                            f"{k}{_named(source, k)}\n  gradient that arrived: {describe(arrived)}"
                            + _kept(source, saved)
                            + f"\nKeep its inputs where '{source.primitive.name}' has a finite derivative: use "
                            "np.where before it (after it is too late), or add a small number"
                        )
        who = f"a leaf of shape {node.shape}" if node.__class__ is not Record else _who(node)
        came = (
            f"the sum of {len(sources)} gradients overflows there" if sources else "backward() was given it like that"
        ) + (", or a hook gave it (register_hook)" if hooks_of(node) else "")
        return AnomalyError(f"the gradient of {who} holds {_counted(*_non_finite(g))}: {came}")


def _gradient(record: Record, saved: tuple[Any, ...], g: Any, k: int) -> Any:
    """What the rule of argument `k` gives, as the engine calls it."""
    rule, node = record.primitive.rules[k], record.nodes[k]
    if rule is None or node is None:
        return 0.0
    gx = np.asarray(rule.call(g, rule_arguments(record, saved), record.options))
    return unbroadcast(gx, node.shape).astype(node.dtype)


def _kept(record: Record, saved: tuple[Any, ...]) -> str:
    """The output and the arguments that the rules read."""
    names = ["output", *(f"argument {k}{_named(record, k)}" for k in range(len(record.nodes)))]
    return "".join(f"\n  {n}: {describe(v)}" for n, v in zip(names, saved, strict=False) if v is not None)


def _refuse_changed(record: Record, held: Held) -> None:
    changed = held.lock.changed()
    if changed is not None:
        raise AnomalyError(
            f"an array of shape {changed.shape} that {_who(record)} needs for its gradient was changed in place, "
            "through a view of it: change it after backward(), or change a copy"
        )


# Values


def _non_finite(value: Any) -> tuple[int, int]:
    """How many NaN and how many infinities."""
    array = np.asarray(value)
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return 0, 0
    return int(np.isnan(array).sum()), int(np.isinf(array).sum())


def _counted(nan: int, inf: int) -> str:
    infinite = f"{inf} {'infinity' if inf == 1 else 'infinities'}" if inf else ""
    return " and ".join(part for part in (f"{nan} NaN" if nan else "", infinite) if part)


def describe(value: Any) -> str:
    """Shape, dtype, and the statistics of the finite elements."""
    array = np.asarray(value)
    text = f"shape {array.shape}, {array.dtype}"
    if array.dtype.kind not in "fiub":
        return text
    finite = array[np.isfinite(array)]
    if finite.size:
        with np.errstate(all="ignore"):
            mean = (finite / np.float64(finite.size)).sum()  # a sum before the division may overflow
        text += f", min {finite.min():.4g}, mean {mean:.4g}, max {finite.max():.4g}"
    zeros = int((array == 0).sum())
    counts = [_counted(*_non_finite(array)), f"{zeros} zero{'s' * (zeros > 1)}" if zeros else ""]
    return ", ".join([text, *filter(None, counts)])


def check_compiled(value: Any, gradients: Sequence[Any]) -> None:
    """Raises if a compiled step gave NaN or infinity; it records nothing, so there is no place to name."""
    for k, result in enumerate((value, *gradients)):
        if result is not None and any(counts := _non_finite(result)):
            what = "the loss" if k == 0 else f"the gradient of parameter {k - 1}, of shape {np.shape(result)},"
            raise AnomalyError(
                f"{what} of a compiled step holds {_counted(*counts)}. To find out where that came from, "
                "run this step without compiling: only recorded operations can be located"
            )
