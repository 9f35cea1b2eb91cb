"""What the page's walk back shows with numbers: what each operation adds to the gradients of its arguments.

A step is the chain rule for one argument x of an operation with the output v: the gradient g = ∂L/∂v that arrives, the
local derivative ∂v/∂x, and their product, which is added to what other operations have given to x before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy import ndarray

from ..autograd.broadcasting import unbroadcast
from ..autograd.engine import rule_arguments
from ..autograd.record import Operand, Record
from ..pages.arrays import sketch

if TYPE_CHECKING:
    from .computation import Computation


class Part(NamedTuple):
    """What an operation adds to the gradient of one of its arguments, in arrays or in symbols."""

    local: Any  # the local derivative, where it is one number for each element of the output, or of x
    product: Any  # what the rule makes of g, before it is summed to the shape of x
    part: Any  # the same in the shape of x


def parts(record: Record, g: Any) -> list[Part | None]:
    """For each argument of a record to whose output the gradient `g` arrives; None where there is no rule for it."""
    return parts_of(record, rule_arguments(record, record.saved), g, np.ones(record.shape, record.dtype)[()])


def parts_of(record: Record, saved: tuple[Any, ...], g: Any, ones: Any) -> list[Part | None]:
    """The same with the output and the arguments given; `ones` are as many as the output has elements."""
    with np.errstate(all="ignore"):
        options = record.options or {}
        made: list[Part | None] = []
        for rule, node in zip(record.primitive.rules_for(len(record.nodes)), record.nodes, strict=True):
            if rule is None or node is None:
                made.append(None)
                continue
            product = _array(rule.call(g, saved, options))
            part = unbroadcast(product, node.shape)
            local = None
            if record.size == 1 or record.primitive.elementwise:
                local = _array(rule.call(ones, saved, options))
                if record.size == 1:
                    local, product = unbroadcast(local, node.shape), part
                elif product.shape != node.shape:
                    local, product = (np.broadcast_to(array, record.shape) for array in (local, product))
            made.append(Part(local, product, part))
    return made


def _array(x: Any) -> Any:
    return x if isinstance(x, Operand) else np.asarray(x)


def steps(computation: Computation) -> dict[str, list[dict[str, Any] | None]]:
    """By the key of each operation, for each argument to which a gradient flows: sketches of its part of the chain
    rule, and of the sum of what has arrived at the argument up to then, in the order of the walk back."""
    sums: dict[str, ndarray] = {}
    left = {key: 0 for key in computation.values}
    for operation in computation.operations.values():
        for key, flow in zip(operation.inputs, operation.flows, strict=True):
            left[key] += flow
    told: dict[str, list[dict[str, Any] | None]] = {}
    for operation in reversed(computation.operations.values()):
        known = operation.parts() if operation.parts else [None] * len(operation.inputs)
        told[operation.key] = []
        for key, flow, part in zip(operation.inputs, operation.flows, known, strict=True):
            left[key] -= flow
            if not flow or part is None:
                told[operation.key].append(None)
                continue
            sums[key] = sums[key] + part.part if key in sums else part.part
            made = {"part": sketch(part.part), "sum": sketch(sums[key])}
            if part.local is not None:
                made["local"] = sketch(part.local)
            if part.product.shape != part.part.shape:
                made["product"] = sketch(part.product)
            told[operation.key].append(made)
            if not left[key]:
                del sums[key]
    return told
