"""What a record keeps of the arguments, so that its rules find them as they were.

Rules read them long after the record was made. An array of constants that a loop fills holds something else by then:
so of small ones copies are kept, and of a large tensor as soon as it is changed in place. Other large arrays are kept
as they are, with a sample by which most changes of them are noticed: to copy the data in every step would cost more
than the step. And of a small part of a large array a copy is kept as well, for otherwise each step of a loop that fills
an array row by row would keep an array of its own alive for the sake of one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import ref

import numpy as np
from numpy import ndarray

from .inplace import _owner, changed_since, sample_of
from .record import Notes, Operand, Record
from .views import base_of, ties_of

SMALL = 1024  # elements
MUCH = 8  # times the memory of a part of it


class Sampled(tuple[Any, ...]):
    """What a record keeps, with samples of those arrays that somebody may change unseen, by their positions."""

    samples: dict[int, bytes]


def has_changed(record: Record, k: int, value: Any) -> bool:
    """Whether what a record keeps at the position k was changed in place since, as far as that is seen."""
    if changed_since(value, record.order):
        return True
    return (
        isinstance(record.saved, Sampled)
        and k in record.saved.samples
        and (sample_of(value) != record.saved.samples[k])
    )


def keep(record: Record, args: Sequence[Any]) -> None:
    """Keeps the arguments of a new record, as far as its rules read them. Of the constants among them it notes, for
    drawings, shapes and names of arrays, and the number that one of two is."""
    nodes = record.nodes
    saved: Any = record.saved
    kept: list[Any] | None = None
    constants: list[Any] | None = None
    samples: dict[int, bytes] = {}
    is_constant = False
    for k, node in enumerate(nodes):
        value = saved[k + 1]
        if node is None:
            arg, is_constant = args[k], True
            if (noted := _noted(arg)) is not None:
                constants = constants or [None] * len(nodes)
                constants[k] = noted
            if value.__class__ is not ndarray:
                continue
            if value.size <= SMALL:
                own = value.copy()
            else:
                samples[k + 1] = sample_of(value)
                if isinstance(arg, Operand):
                    _note_kept(arg, record, k + 1)
                continue
        elif value.__class__ is ndarray and value.base is not None and _is_part(value):
            own = value.copy()
        else:
            continue
        kept = kept or [*saved]
        kept[k + 1] = own
    if kept is not None or samples:
        record.saved = _sampled(kept or saved, samples)
    if constants is not None:
        record.notes = notes = Notes()
        notes.constants = tuple(constants)
    if is_constant:
        _note_number(record, args)


def _sampled(saved: Sequence[Any], samples: dict[int, bytes]) -> tuple[Any, ...]:
    if not samples:
        return tuple(saved)
    sampled = Sampled(saved)
    sampled.samples = samples
    return sampled


def _note_kept(t: Any, record: Record, k: int) -> None:
    """Notes that a record keeps the array of a constant tensor at the position k."""
    kept = ties_of(base_of(t)).kept
    kept.append((ref(record), k))
    if (count := len(kept)) > 16:
        kept[:count] = [(r, k) for r, k in kept[:count] if _saved(r) is not None]  # threads may add some meanwhile


def _saved(reference: Any) -> Any:
    record = reference()
    return None if record is None else record.saved


def leave_to_records(t: Any) -> None:
    """What to do before a constant tensor is changed in place: the records that keep its array get copies."""
    ties = base_of(t)._ties
    if ties is None or not ties.kept:
        return
    kept, ties.kept = ties.kept, []
    for reference, k in kept:
        saved = _saved(reference)
        if saved is not None:
            record, copied = reference(), [*saved]
            copied[k] = saved[k].copy()
            samples = {n: sample for n, sample in getattr(saved, "samples", {}).items() if n != k}
            record.saved = _sampled(copied, samples)


def _is_part(array: Any) -> bool:
    return bool(MUCH * array.nbytes <= _owner(array).nbytes)


def _note_number(record: Record, args: Sequence[Any]) -> None:
    number = getattr(record, "number", record)
    if number is record:  # nobody has looked
        number = args[record.nodes[0] is not None] if len(args) == 2 else None
        number = number._value if isinstance(number, Operand) else number
        number = number[()] if isinstance(number, ndarray) and not number.ndim else number
        record.number = number if isinstance(number, _NUMBERS) else None
    elif number.__class__ is ndarray:
        record.number = None if number.ndim else number[()]


def _noted(arg: Any) -> tuple[tuple[int, ...], str | None, int] | None:
    if arg.__class__ is ndarray:
        return (arg.shape, None, id(arg)) if arg.ndim else None
    return (arg.shape, arg.name, id(arg._value)) if isinstance(arg, Operand) and (arg.shape or arg.name) else None


_NUMBERS = int, float, np.generic
