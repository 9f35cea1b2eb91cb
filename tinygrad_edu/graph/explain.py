"""The backward pass in words: a table for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..autograd.tensor import Tensor

if TYPE_CHECKING:
    from ..nn.layers import Module
    from .computation import Computation, Operation, Value


def explain(output: Tensor, *, model: Module | None = None, max_rows: int | None = 100) -> str:
    """How the gradient of `output` is computed, as a table to print: the recorded operations, the last one first, as
    `backward()` walks. A row has the operation's number in the order of execution, where it was called
    from (if it was recorded inside `record_positions()`), what went in and came out (single numbers with their values,
    arrays with their shapes), the rule for each argument that wants a gradient, in which g is the gradient that arrived
    at the result, and this gradient: that of `output`, or of its sum if it has several elements. The last rows are the
    tensors at which the walk ends.

    A result without a name is called v3 if step 3 made it. With `model`, parameters have their names in the model. If
    there are more than `max_rows` operations, some are folded as in drawings; None folds nothing. Nothing is changed.
    After a plain `backward()`, which releases what the records kept, values and gradients are there as far as they
    follow from the leaves. Notebooks show it as a table. Raises `TypeError` if `output` is not a
    tensor, `ValueError` if `max_rows` is below 1.

    >>> x = tg.Tensor(3.0, requires_grad=True, name="x")
    >>> print(tg.explain(x * x + 1.0))  # doctest: +ELLIPSIS, +NORMALIZE_WHITESPACE
    step  operation  values                  rules                      gradient
    ───...
    2     +          v1 = 9, 1 → v2 = 10     ∂v2/∂v1 = g = 1            1
    1     ×          x = 3, x = 3 → v1 = 9   ∂v2/∂x += g · x = 1 · 3 = 3  1
                                             ∂v2/∂x += g · x = 1 · 3 = 3
                     x = 3                                              6
    """
    from ..autograd.printing import Table, printable
    from ..autograd.record import reached
    from .computation import UNRECORDED, computation, is_whole
    from .structure import SIGNS

    if not isinstance(output, Tensor):
        raise TypeError(f"explain needs a Tensor that was computed; got {type(output).__name__}")
    if max_rows is not None and not is_whole(max_rows, 1):
        raise ValueError(f"explain: max_rows={max_rows!r} must be a whole number of at least 1, or None for all")
    count = 0 if output.record is None else len(reached(output.record)[0])
    most = None if max_rows is None or count <= max_rows else 2 * max_rows
    found = computation(output, model=model, gradients=True, max_nodes=most)
    if not found.operations:
        return UNRECORDED
    kept = any(operation.position for operation in found.operations.values())
    rows = [["step", "operation", *["called at"] * kept, "values", "rules", "gradient"]]
    for operation in reversed(found.operations.values()):
        rules = [rule for rule in operation.rules if rule is not None] or [
            operation.passed_by or (operation.formula if operation.folded else "–")
        ]
        where = [operation.position or ""] * kept
        gradient = _gradient(found.values[operation.output]) or "–"
        name = SIGNS.get(operation.name, operation.name)
        rows.append([_step(operation), name, *where, _values(operation, found), rules[0], gradient])
        rows += [["", "", *[""] * kept, "", rule, ""] for rule in rules[1:]]
    made = {key for operation in found.operations.values() for key in operation.outputs}
    for key, value in found.values.items():
        if key not in made and value.gradient is not None:
            rows.append(["", "", *[""] * kept, _value(value), "", _gradient(value)])
    notes = [*found.notes, *found.newer_values(arrays=False)]
    return Table(printable("\n".join([*_table(rows), *notes])), rows, notes)


def _step(operation: Operation) -> str:
    last = operation.step + operation.folded - 1
    return f"{operation.step}–{last}" if operation.folded > 1 else str(operation.step)


def _values(operation: Operation, found: Computation) -> str:
    went_in, came_out = (
        ", ".join(_value(found.values[key]) for key in keys) for keys in (operation.inputs, operation.outputs)
    )
    return f"{went_in} → {came_out}".strip()


def _value(value: Value) -> str:
    from .told import number

    if value.shape:
        return f"{value.symbol} {value.shape}"
    text = "?" if value.data is None else number(value.data)
    return text if value.kind == "constant" and value.name is None else f"{value.symbol} = {text}"


def _gradient(value: Value) -> str:
    from ..pages.arrays import norm
    from .told import number

    if value.gradient is None:
        return ""
    return f"norm {number(norm(value.gradient))}" if value.shape else number(value.gradient)


def _table(rows: list[list[Any]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [lines[0], "─" * (sum(widths) + 2 * len(widths) - 2), *lines[1:]]
