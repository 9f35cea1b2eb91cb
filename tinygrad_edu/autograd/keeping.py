"""What a record keeps of the arguments, so that its rules find them as they were.

Rules read them long after the record was made. An array of constants that a loop fills holds something else by then:
so of small ones copies are kept, and what `tinygrad_edu.numpy` made to be filled is given another array before it is
changed in place. Other large ones are kept as they are: to copy the data in every step would cost more than the step.
And of a small part of a large array a copy is kept as well, for otherwise each step of a loop that fills an array row
by row would keep an array of its own alive for the sake of one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .inplace import _owner
from .record import Notes, Operand, Record
from .views import note_use

SMALL = 4096  # elements
MUCH = 8  # times the memory of a part of it


def keep(record: Record, args: Sequence[Any]) -> None:
    """Keeps the arguments of a new record, as far as its rules read them, and notes the constants among them."""
    saved = record.saved or ()
    for k, value in enumerate(saved[1:]):
        if value.__class__ is not np.ndarray:
            continue
        is_constant = record.nodes[k] is None
        if value.size <= SMALL if is_constant else MUCH * value.nbytes <= _owner(value).nbytes:
            record.saved = saved = (*saved[: k + 1], value.copy(), *saved[k + 2 :])
        elif is_constant and isinstance(args[k], Operand):
            note_use(args[k])
    if any([node is None for node in record.nodes]):
        _note(record, args)


def _note(record: Record, args: Sequence[Any]) -> None:
    """Notes the constants among the arguments of a new record, for drawings: shapes and names of arrays, which are not
    kept, and the number that one of two is."""
    constants = [None if node is not None else _noted(arg) for arg, node in zip(args, record.nodes, strict=True)]
    if any(constants):
        record.notes = notes = Notes()
        notes.constants = tuple(constants)
    number = getattr(record, "number", record)
    if number is record:  # nobody has looked
        number = args[record.nodes[0] is not None] if len(args) == 2 else None
        number = number._value if isinstance(number, Operand) else number
        number = number[()] if isinstance(number, np.ndarray) and not number.ndim else number
        record.number = number if isinstance(number, _NUMBERS) else None
    elif number.__class__ is np.ndarray:
        record.number = None if number.ndim else number[()]


def _noted(arg: Any) -> tuple[tuple[int, ...], str | None] | None:
    if arg.__class__ is np.ndarray:
        return (arg.shape, None) if arg.ndim else None
    return (arg.shape, arg.name) if isinstance(arg, Operand) and (arg.shape or arg.name) else None


_NUMBERS = int, float, np.generic
