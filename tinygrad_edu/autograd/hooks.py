"""Gradients on their way: `register_hook` and `retain_grad`, for whoever wants to see or change them as they pass.

The walk back asks here for a function to show each gradient to. As long as nobody has used either, there is none, and
they cost nothing.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from .call_site import warn_user, where
from .record import Node, Operand, Record
from .recording import interpreted, interpreter, plain

Hook = Callable[[Any], Any]

used = False  # whether anybody has ever used a hook, in any thread
_numbers = itertools.count()


class Hooks(dict[int, Hook]):
    """The hooks of a node, in the order in which they were registered."""

    __slots__ = ("__weakref__",)


class Handle:
    """What `register_hook` gives: `remove()` takes the hook away again, and does nothing a second time."""

    def __init__(self, hooks: Hooks, number: int) -> None:
        self._hooks = weakref.ref(hooks)  # a hook that holds its own handle makes no circle
        self._number = number

    def remove(self) -> None:
        if (hooks := self._hooks()) is not None:
            hooks.pop(self._number, None)


class Hookable(Operand):
    """What a tensor can do with its own gradient while `backward()` runs."""

    __slots__ = ()
    _grad: Any
    _hooks: Hooks | None  # of a leaf; those of a computed tensor are its record's

    def register_hook(self, hook: Callable[[Any], Any]) -> Handle:
        """Has `hook(g)` called with the gradient of this tensor whenever a walk back has computed all of it. What it
        returns is the gradient from then on, unless that is None. Gives a handle, whose `remove()` takes it away.

        `g` is an array of the tensor's shape and dtype that cannot be written to (a NumPy scalar, if it has no axes),
        and a tensor where the gradient is itself differentiated; elsewhere nothing is recorded in it. Several hooks are
        called in the order in which they were registered. Drawings and `explain` compute gradients, too, and so call
        them; transforms such as `grad` differentiate by variables of their own and do not call those of leaves.

        Raises `RuntimeError` for a tensor that does not require grad, and `TypeError` inside a compiled step or a
        derivation; these refuse parameters that have hooks, too. In `backward()`, a gradient of another shape raises
        `ValueError`.

        >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
        >>> handle = x.register_hook(lambda g: np.clip(g, -3, 3))
        >>> (x**2).sum().backward()
        >>> x.grad
        array([2., 3.])
        >>> handle.remove()
        """
        if not callable(hook):
            raise TypeError(f"register_hook takes a function of the gradient, not {type(hook).__name__}")
        _start(self, "register_hook")
        hooks = hooks_of(self if self.record is None else self.record)
        if hooks is None:
            hooks = Hooks()
            if self.record is None:
                self._hooks = hooks  # type: ignore[misc]  # a slot of Tensor
            else:
                self.record.noting.hooks = hooks
        number = next(_numbers)
        hooks[number] = hook
        return Handle(hooks, number)

    def retain_grad(self) -> None:
        """Has `backward()` fill the `.grad` of this computed tensor, as it does for leaves: after the hooks, and added
        to what is there. For a leaf nothing changes.

        Raises `RuntimeError` for a tensor that does not require grad, and `TypeError` inside a compiled step or a
        derivation, which fill no `.grad`.

        >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
        >>> y = x * 10
        >>> y.retain_grad()
        >>> (y**2).sum().backward()
        >>> y.grad
        array([20., 40.])
        """
        _start(self, "retain_grad")
        if self.record is not None:
            self.record.noting.retained = weakref.ref(self)  # the record does not keep its tensor


def hooks_of(node: Node) -> Hooks | None:
    found: Hooks | None = node.noted.hooks if node.__class__ is Record else getattr(node, "_hooks", None)
    return found


def _start(t: Operand, what: str) -> None:
    global used
    if interpreter().lines is not None:
        raise _refusal(f"{what} {where()}")
    if not t._requires_grad:
        raise RuntimeError(
            f"{what} on a tensor of shape {t.shape} that does not require grad: it never gets a gradient. Make what it "
            "is computed from with requires_grad=True, outside of no_grad()"
        )
    if t.record is not None and t.record.noted.passed_by:
        warn_user(
            f"{what} on what '{t.record.primitive.name}' gave, after a loss of it was computed: that loss goes back to "
            f"the logits directly, and its gradient does not come here. Call {what} before the loss"
        )
    used = True


def _refusal(what: str) -> TypeError:
    return TypeError(
        f"{what}: a compiled step or a derivation computes gradients without calling hooks. Run it without compiling, "
        "or write a function whose rule changes the gradient: tg.primitive and tg.rule"
    )


def refuse_hooks(who: str, leaves: Sequence[Any]) -> None:
    """Refuses leaves whose hooks would not be called."""
    if used:
        for k, leaf in enumerate(leaves):
            if hooks_of(leaf):
                raise _refusal(f"{who}: parameter {k} of shape {leaf.shape} has a hook (register_hook)")


def explain_missing(t: Any) -> None:
    """Warns whoever reads the `.grad` of a computed tensor that nobody retained."""
    if t.record.noted.retained is None:
        warn_user(
            f".grad of a tensor of shape {t.shape} that '{t.record.primitive.name}' computed is None: backward() fills "
            "it for leaves only. Call retain_grad() on this tensor before backward() to have its gradient kept"
        )


def watcher(seen: Callable[[Node, Any], None] | None, fills: bool) -> Callable[[Node, Any], Any] | None:
    """The function that a walk back gives each node and its gradient, and that returns the gradient to go on with. It
    calls hooks, and `fills` the `.grad` of tensors that retain it. None, if nobody wants to know."""
    seen = seen or (interpreter().check or _nobody)()
    if seen is None and not used:
        return None

    def watch(node: Node, g: Any) -> Any:
        for hook in list((hooks_of(node) or {}).values()):  # which may remove itself
            g = _changed_by(hook, node, g)
        if seen is not None:
            seen(node, g)
        if fills and node.__class__ is Record and (retained := node.noted.retained) is not None:
            t = retained()
            if t is not None and t.record is node:  # nothing was assigned into it since
                t._grad = np.array(plain(g) if t._grad is None else t._grad + plain(g))
        return g

    return watch


def _nobody() -> None:
    """The default: nobody is told the gradients."""


def _changed_by(hook: Hook, node: Node, g: Any) -> Any:
    given = g
    if interpreter().lines is not None:
        raise _refusal(f"a leaf of shape {node.shape} has a hook (register_hook)")
    if g.__class__ is ndarray:
        given = g.view()
        given.flags.writeable = False  # others may hold the same array
    try:
        new = hook(given) if isinstance(g, Operand) else interpreted(interpreter().recording(False), hook, given)
    except ValueError as error:
        if "read-only" in str(error):
            error.add_note("a hook must not change the gradient in place: return a new one, g * 2 and not g *= 2")
        raise
    if new is None or new is given:
        return g
    if not isinstance(new, Operand) or not isinstance(g, Operand):
        new = np.asarray(new)
    if new.dtype.kind not in "fiub" or new.shape != node.shape:
        raise ValueError(
            f"a hook gave shape {new.shape} of dtype {new.dtype} in the place of the gradient of a tensor of shape "
            f"{node.shape}: return real numbers of that shape, or None to leave the gradient as it is"
        )
    return new.astype(node.dtype, copy=False)[()] if new.__class__ is ndarray else new.astype(node.dtype)
