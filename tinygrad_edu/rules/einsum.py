"""Einstein's summation. Where it is a product of matrices, it is computed as one."""

from __future__ import annotations

import math
import string
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.operators import refuse
from ..autograd.primitives import implements, primitive, rule

LETTERS = string.ascii_uppercase + string.ascii_lowercase  # in NumPy's order of numbered axes


@primitive
def _einsum(*operands: Any, subscripts: tuple[str, ...], output: str, optimize: Any) -> Any:
    if len(operands) == 2 and _is_product(operands[0], operands[1], subscripts[0], subscripts[1], output):
        return _product(operands[0], operands[1], subscripts[0], subscripts[1], output)
    return np.einsum(f"{','.join(subscripts)}->{output}", *operands, optimize=optimize)


def _is_product(a: Any, b: Any, of_a: str, of_b: str, output: str) -> bool:
    """Whether it is a product of matrices, or of stacks of them, large enough for BLAS to be several times as fast."""
    sizes = dict(zip(of_a, np.shape(a), strict=True)) | dict(zip(of_b, np.shape(b), strict=True))
    stack = math.prod(n for c, n in sizes.items() if c in of_a and c in of_b and c in output)
    elements = math.prod(n for c, n in sizes.items() if c in output)
    return (
        math.prod(sizes.values()) >= max(10_000, 1000 * stack)
        and elements >= 8 * stack
        and np.result_type(a) == np.result_type(b) in (np.float64, np.float32)
        and len(set(of_a)) + len(set(of_b)) == len(of_a) + len(of_b)
        and all(sizes[c] == n for c, n in zip(of_a, np.shape(a), strict=True))  # nothing is broadcast
        and all((c in of_a) + (c in of_b) + (c in output) > 1 for c in sizes)
        and any(c not in output for c in sizes)
    )


def _product(a: Any, b: Any, of_a: str, of_b: str, output: str) -> Any:
    """The sum as one product of two stacks of matrices."""
    sizes = dict(zip(of_a, a.shape, strict=True)) | dict(zip(of_b, b.shape, strict=True))
    stack, over = [c for c in of_a if c in of_b and c in output], [c for c in of_a if c not in output]
    rows, columns = [c for c in of_a if c not in of_b], [c for c in of_b if c not in of_a]

    def stacked(x: Any, letters: str, *axes: list[str]) -> Any:
        x = np.transpose(x, [letters.index(c) for part in axes for c in part])
        return np.reshape(x, [math.prod(sizes[c] for c in part) for part in axes])

    y = stacked(a, of_a, stack, rows, over) @ stacked(b, of_b, stack, over, columns)
    letters = [*stack, *rows, *columns]
    return np.transpose(np.reshape(y, [sizes[c] for c in letters]), [letters.index(c) for c in output])


def _einsum_rule(i: int) -> Callable[..., Any]:
    """The gradient of operand i: again an einsum, of the arriving gradient and the other operands. The axes of letters
    that only operand i has were summed away; along those the gradient is constant, and comes back at size 1. Of axes
    with the same letter, only the diagonal was read."""

    def vjp(g: Any, *operands: Any, subscripts: tuple[str, ...], output: str, optimize: Any) -> Any:
        others = [k for k in range(len(operands)) if k != i]
        terms = (output, *(subscripts[k] for k in others))
        known = "".join(c for c in subscripts[i] if any(c in term for term in terms))
        known = "".join(dict.fromkeys(known))
        optimize = bool(optimize) or len(operands) > 2
        gradient = _einsum(g, *(operands[k] for k in others), subscripts=terms, output=known, optimize=optimize)
        seen = subscripts[i]
        gradient = np.expand_dims(gradient, [k for k, c in enumerate(seen) if c not in known or c in seen[:k]])
        numbers = np.indices(operands[i].shape, sparse=True) if len(set(seen)) < len(seen) else ()
        for k, c in enumerate(seen[: len(numbers)]):
            if c in seen[:k]:
                gradient = np.where(numbers[k] == numbers[seen.index(c)], gradient, 0)
        return gradient

    return vjp


rule(_einsum, each=_einsum_rule)


@primitive(moves=True)
def _einsum_view(x: Any, *, subscripts: str, output: str) -> Any:
    """Diagonals, and axes in another order: nothing is summed, so that NumPy gives a view."""
    return np.einsum(f"{subscripts}->{output}", x)


rule(
    _einsum_view,
    lambda g, x, *, subscripts, output: _einsum_rule(0)(g, x, subscripts=(subscripts,), output=output, optimize=False),
)


@implements(np.einsum)
def einsum(*operands: Any, out: None = None, optimize: Any = False, **options: Any) -> Any:
    refuse(np.einsum, {"out": out, **options}, "out", *options)
    text, arrays = _einsum_arguments(operands)
    inputs, arrow, output = text.replace(" ", "").partition("->")
    subscripts = inputs.split(",")
    if len(subscripts) != len(arrays):
        raise ValueError(f"einsum: {len(subscripts)} subscripts for {len(arrays)} operands")
    free = [c for c in LETTERS if c not in text]
    dots = max((np.ndim(a) - len(s) + 3 for a, s in zip(arrays, subscripts, strict=True) if "..." in s), default=0)
    ellipsis = "".join(free[:dots])
    for k, (a, s) in enumerate(zip(arrays, subscripts, strict=True)):
        covered = np.ndim(a) - len(s) + 3  # how many axes the dots of this operand stand for
        subscripts[k] = s.replace("...", ellipsis[dots - covered :] if "..." in s else "")
        if len(subscripts[k]) != np.ndim(a):
            raise ValueError(f"einsum: subscripts {s!r} for an operand of shape {np.shape(a)}")
    letters = "".join(subscripts)
    single = sorted(c for c in set(letters) if letters.count(c) == 1 and c not in ellipsis)
    if arrow and dots and "..." not in output:
        raise ValueError("einsum: the operands have an ellipsis (...), so the output needs one, too")
    output = output.replace("...", ellipsis) if arrow else ellipsis + "".join(single)
    if len(arrays) == 1 and set(letters) == set(output):
        return _einsum_view(arrays[0], subscripts=letters, output=output)
    return _einsum(*arrays, subscripts=tuple(subscripts), output=output, optimize=optimize)


def _einsum_arguments(operands: tuple[Any, ...]) -> tuple[str, list[Any]]:
    """Subscripts as text; NumPy also takes them as lists of numbers after each operand."""
    if isinstance(operands[0], str):
        return operands[0], list(operands[1:])
    lists = [list(x) for x in operands[1::2]] + ([list(operands[-1])] if len(operands) % 2 else [])
    words = ["".join("..." if n is Ellipsis else LETTERS[n] for n in x) for x in lists]
    count = len(operands) // 2
    text = ",".join(words[:count]) + ("->" + words[count] if len(words) > count else "")
    return text, list(operands[: 2 * count : 2])
