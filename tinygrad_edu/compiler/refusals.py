"""What a trace refuses, at which line of the user's code, and what to write there."""

from __future__ import annotations

from ..autograd.call_site import where

LOOK = "Write np.where(condition, a, b) for a choice, and leave values in arrays"
INDEX = "To look numbers up in a table, index a tensor, tg.Tensor(table)[y]; for rows of 0 and 1 use tg.one_hot(y, k)"
ASSIGN = "Join parts by np.stack. What a step updates does not require grad and is assigned as a whole: t.data = new"
CHANGED = (
    "it was changed in place, by way of a view or another name, and in a derivation a tensor stands for one value. "
    "Write t = t + u in place of t += u, and join parts by np.stack"
)
ADVICE = {"assigned": f"{ASSIGN}. {INDEX}", "an index": INDEX, "a plain array": f"{LOOK}. {INDEX}"}


def refusal(what: str, instead: str = LOOK, because: str = "") -> TypeError:
    """The error that says what is wrong, and at which line of the user's code."""
    because = because or f"a derivation holds for all values, so it must not depend on them. {instead}"
    return TypeError(f"{what} {where()}: {because}")
