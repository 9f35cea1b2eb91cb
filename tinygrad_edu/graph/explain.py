"""The backward pass in words: a table for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..autograd.tensor import Tensor

if TYPE_CHECKING:
    from ..nn.layers import Module
    from .computation import Computation, Operation


def explain(output: Tensor, *, model: Module | None = None, max_rows: int | None = 100) -> str:
    """How the gradient of `output` is computed, as a table to print: the recorded operations, the last one first, as
    `backward()` walks. A row has the operation's number in the order of execution, where it was called
    from (if it was recorded inside `record_positions()`), the shapes that went in and came out, the rule for each
    argument that wants a gradient, and the norm ‖g‖ of the gradient that arrived at its result: that of `output`, or of
    its sum if it has several elements.

    With `model`, parameters have their names in the model. If there are more than `max_rows` operations, some are
    folded as in drawings; None folds nothing. Nothing is changed, but a graph that `backward()` released has no
    gradients any more. Raises `TypeError` if `output` is not a tensor, `ValueError` if `max_rows` is below 1.

    >>> x = tg.Tensor(np.ones(2), requires_grad=True, name="x")
    >>> print(tg.explain(np.sum(x * x)))  # doctest: +ELLIPSIS, +NORMALIZE_WHITESPACE
    step  operation  shapes                 rules                     ‖g‖
    ───...
    2     sum        (2,) → ()              dx = g, repeated to (2,)  1
    1     multiply   x (2,), x (2,) → (2,)  da = g * b                1.414
                                            db = g * a
    """
    from ..autograd.printing import printable
    from ..autograd.record import reached
    from ..pages.arrays import norm
    from .computation import computation, is_whole

    if not isinstance(output, Tensor):
        raise TypeError(f"explain needs a Tensor that was computed; got {type(output).__name__}")
    if max_rows is not None and not is_whole(max_rows, 1):
        raise ValueError(f"explain: max_rows={max_rows!r} must be a whole number of at least 1, or None for all")
    count = 0 if output.record is None else len(reached(output.record)[0])
    most = None if max_rows is None or count <= max_rows else 2 * max_rows
    found = computation(output, model=model, gradients=True, max_nodes=most)
    if not found.operations:
        return "nothing was recorded: this tensor is a leaf, or nothing that it was computed from requires grad"
    kept = any(operation.position for operation in found.operations.values())
    rows = [["step", "operation", *["called at"] * kept, "shapes", "rules", "‖g‖"]]
    for operation in reversed(found.operations.values()):
        gradient = found.values[operation.output].gradient
        size = "–" if gradient is None else f"{norm(gradient):.4g}"
        rules = [rule for rule in operation.rules if rule is not None] or [
            operation.formula if operation.folded else "–"
        ]
        where = [operation.position or ""] * kept
        rows.append([_step(operation), operation.name, *where, _shapes(operation, found), rules[0], size])
        rows += [["", "", *[""] * kept, "", rule, ""] for rule in rules[1:]]
    return printable("\n".join([*_table(rows), *found.notes]))


def _step(operation: Operation) -> str:
    last = operation.step + operation.folded - 1
    return f"{operation.step}–{last}" if operation.folded > 1 else str(operation.step)


def _shapes(operation: Operation, found: Computation) -> str:
    def shown(key: str) -> str:
        value = found.values[key]
        if value.kind == "constant" and not value.shape and value.data is not None:
            return f"{value.data:.4g}"
        # In one line and without control characters, whatever the name holds
        name = "".join(c if c.isprintable() else "\ufffd" for c in " ".join((value.name or "").split()))
        return f"{name} {value.shape}" if name else str(value.shape)

    return f"{', '.join(map(shown, operation.inputs))} → {', '.join(map(shown, operation.outputs))}".strip()


def _table(rows: list[list[Any]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [lines[0], "─" * (sum(widths) + 2 * len(widths) - 2), *lines[1:]]
