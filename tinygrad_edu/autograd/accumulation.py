"""Which gradients were added to which, by which a forgotten `zero_grad()` is noticed."""

from __future__ import annotations

import weakref
from typing import Any

# Of gradients that are sums of several `backward()`, by identity: the sum, and the identity of the first summand.
sums: dict[int, tuple[weakref.ref[Any], int]] = {}


def note_sum(total: Any, held: Any) -> None:
    """Notes that the gradient `total` was made by adding to `held`, unless that was set to zero in place."""
    if not held.flat[:1].any() and not held.any():
        return
    note_follower(total, held)


def note_follower(total: Any, held: Any) -> None:
    """Notes that the gradient `total` was made of `held`."""
    key = id(total)
    first = sums[id(held)][1] if id(held) in sums else id(held)
    sums[key] = weakref.ref(total, lambda _: sums.pop(key, None)), first


def first_summand(gradient: Any) -> int | None:
    """The identity of the gradient to which others were added to make this one, and forgets it: a step that uses the
    sum makes a fresh start of it."""
    entry = sums.pop(id(gradient), None)
    return None if entry is None else entry[1]
