"""A traced function: its forward lines, and the backward lines that the derivative rules write after them."""

from __future__ import annotations

import functools
import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..autograd.engine import pullback
from ..autograd.record import Record
from ..autograd.recording import interpreted
from ..autograd.tensor import Tensor
from .lines import Line
from .state import MISSING, MOST_ITEMS, Kept, State
from .tracing import Symbol, Trace


def _holds_symbols(lines: list[Line], value: Any) -> bool:
    """Whether somebody would find symbols of a trace in it."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Symbol) and value.lines is lines:
            return True
        if isinstance(value, list | tuple | dict) and len(value) <= MOST_ITEMS:
            waiting += value.values() if isinstance(value, dict) else value
    return False


class Derivation:
    """A program: what a function computes, and its gradients with respect to some of the inputs."""

    def __init__(
        self,
        fun: Callable[..., Any],
        examples: list[Any],
        parameters: list[Tensor],
        wanted: Iterable[int] = (),
    ) -> None:
        """Traces `fun(*examples)` with `parameters`; gradients are of the parameters, then of the examples `wanted`."""
        trace = Trace(parameters)
        state = State(fun)
        try:
            split = interpreted(trace, self._trace, trace, fun, examples, parameters, wanted)
        except BaseException:
            state.rewind()
            raise
        finally:
            kept = state.taken_back(functools.partial(_holds_symbols, trace.lines))
        self.draws, self.rewind = state.draws(), state.rewind
        # What a run puts where the function did: new values of tensors, or tensors in the place of others
        self.updates: list[tuple[Tensor | Kept, Line]] = [*trace.updates.items()]
        self.updates += [self._update(k, trace, sum(v is k.old for v in state.values)) for k in kept]
        self.watched = trace.watched()
        self._forget_what_is_not_needed(trace, split)
        self.counted = state.counted()
        self.changes = "" if state.is_unchanged() else state.changed()  # what the function changes besides
        self.state = State(fun).without(kept)

    def _update(self, kept: Kept, trace: Trace, places: int) -> tuple[Tensor | Kept, Line]:
        """What the function computed and put in a variable or an attribute."""
        old = kept.old
        name = "a variable" if kept.key == "cell_contents" else repr(kept.key)
        if isinstance(kept.holder, set | deque):
            name = f"the elements of a {type(kept.holder).__name__}"
        if not isinstance(kept.value, Symbol):
            raise TypeError(
                f"the function puts a {type(kept.value).__name__} of what it computes in the place of {name}: a "
                "derivation updates single tensors only. Give each an attribute of its own"
            )
        line = kept.value.line
        if isinstance(old, Tensor) and old in trace.captured:
            if places > 1:
                raise TypeError(
                    f"the function puts a tensor in the place of {name}, but the one that was there is also in another "
                    "place that it may read. Start with a tensor for each place"
                )
            if old.requires_grad or old.shape != line.shape or old.dtype != line.dtype:
                raise TypeError(
                    f"the function puts a tensor of shape {line.shape} and dtype {line.dtype} in the place of {name}, "
                    f"which it reads and which has shape {old.shape} and dtype {old.dtype}"
                    f"{' and requires grad' * old.requires_grad}: a derivation cannot go on with that. Keep what is "
                    "updated in a tensor that does not require grad, and update it in its shape and dtype"
                )
            return kept, line
        if isinstance(kept.holder, list) or not (old is None or old is MISSING or isinstance(old, Tensor)):
            was = "nothing" if old is MISSING else type(old).__name__
            raise TypeError(
                f"the function puts what it computes in the place of {name}, where there was {was}: "
                "a derivation reads that only once. Keep what is updated in a tensor, tg.Tensor(...), and collect "
                "values outside of the function"
            )
        return kept, line

    @property
    def given(self) -> list[Line]:
        """What it computes from: the inputs, the parameters, and the other tensors that the function reads."""
        return [*self.inputs, *self.parameters, *self.captured.values()]

    def _trace(
        self,
        trace: Trace,
        fun: Callable[..., Any],
        examples: list[Any],
        parameters: list[Tensor],
        wanted: Iterable[int],
    ) -> int:
        """Runs the function, then the rules; returns how many lines the function wrote."""
        arguments = [trace.input(value) for value in examples]
        differentiated: list[Tensor] = [*parameters]
        for i in wanted:
            arguments[i]._requires_grad = True
            differentiated.append(arguments[i])
        self.inputs: list[Line] = [a.line for a in arguments]
        self.parameters: list[Line] = [*trace.parameters.values()]
        self.differentiated: list[Line] = [trace.line(t) for t in differentiated]
        result = fun(*arguments)
        if not isinstance(result, Tensor) or result.size != 1:
            raise TypeError(
                f"the function must return a scalar computed from its inputs, got {type(result).__name__} of shape "
                f"{np.shape(result)}"
            )
        if result.record is None and not result.requires_grad:
            raise TypeError(
                "the result does not depend on any parameter: there is nothing to differentiate. Are all "
                "of them frozen? Set requires_grad = True on the parameters that should be trained"
            )
        self.captured: dict[Tensor, Line] = trace.captured
        split = len(trace.lines)
        self.value: Line = trace.line(result)
        self.gradient_of: dict[Line, Line] = {}  # lines of the backward part, and whose gradient each is

        def seen(node: Any, g: Any) -> None:
            if isinstance(g, Symbol) and isinstance(node, Record):
                self.gradient_of.setdefault(g.line, trace.line_of[node])

        found: dict[Any, Any] = {result: np.ones(result.shape, result.dtype)[()]}
        if result.record is not None:
            found = interpreted(trace.recording(False), pullback, result.record, found[result], seen=seen)
        self.gradients: list[Any] = [trace.operand(found[p]) if p in found else None for p in differentiated]
        return split

    def _forget_what_is_not_needed(self, trace: Trace, split: int) -> None:
        needed: set[Line] = set()
        waiting = [self.value, *(g for g in self.gradients if isinstance(g, Line)), *trace.effects]
        waiting += [line for _, line in self.updates]
        while waiting:
            line = waiting.pop()
            if line not in needed:
                needed.add(line)
                waiting.extend(line.operands())
        known = set(self.given)
        if any(line.function is None and line not in known for line in needed):
            raise TypeError("a derivation inside a traced function uses tensors of that function; derive outside of it")
        for line in (*trace.lines, *self.given):
            line.example = None
        trace.line_of.clear()
        trace.records_of.clear()
        self.size = sum(math.prod(line.shape) for line in (*trace.lines, *self.given))  # elements of all lines together
        self.forward = [line for line in trace.lines[:split] if line in needed]
        self.backward = [line for line in trace.lines[split:] if line in needed]
