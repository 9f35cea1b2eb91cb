"""How lines are rendered: a table has a form for each function, and a function that it lacks is rendered as a call."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .helpers import function_of
from .lines import Line
from .rows import Count, Counted, Filled, Formula, OfRows, Real, Repeated

# An expression's precedence, as of Python's operators (the higher, the tighter it binds; a call has 9), and its text.
Text = tuple[int, str]
# How a function is rendered: a precedence and a format, in which <6:0> stands for argument 0, in parentheses if it
# binds less tightly than 6; or, where a format is not enough, a function that makes the text.
Form = tuple[int, str] | Callable[["Writer", Line], Text]


@dataclass(frozen=True)
class Notation:
    """A language for derivations."""

    forms: dict[Any, Form]  # by the plain function
    call: Callable[[Writer, Line], Text]  # for all other functions
    formula: Callable[[Writer, str, float, int, Any], Text]  # factor · (m + shift)^power, times a value if there is one
    symbol: Callable[[str], str]  # a variable's name
    number: Callable[[Any], str]
    filled: Callable[[Writer, Filled], Text]  # an array of one number
    parentheses: str
    trivial: frozenset[Any] = frozenset()  # functions whose results need no name of their own
    usual: Callable[[Line], Any] | None = None  # what is rendered in place of a choice, if anything is


class Writer:
    """Renders lines as expressions, in which a line that has a name is rendered as its name."""

    def __init__(self, notation: Notation, names: dict[Line, str]) -> None:
        self.notation = notation
        self.names = names
        self.helpers: dict[str, Any] = {}  # functions to be defined, and …
        self.constants: dict[str, Any] = {}  # … arrays, by the names that they were given

    def expression(self, line: Line) -> Text:
        """What the line computes."""
        return self.render(self.notation.forms.get(function_of(line.function), self.notation.call), line)

    def render(self, form: Form, line: Line) -> Text:
        return form(self, line) if callable(form) else (form[0], self.filled(form[1], line))

    def filled(self, text: str, line: Line) -> str:
        """A format with the line's arguments filled in."""
        return re.sub(r"<(\d+):(\d)>", lambda match: self.argument(line.args[int(match[2])], int(match[1])), text)

    def argument(self, value: Any, precedence: int = 0) -> str:
        """A value as an operand of an operator of that precedence."""
        if isinstance(value, list | tuple):
            inner = ", ".join(self.argument(v) for v in value)
            return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' * (len(value) == 1)})"
        own, text = self.value(value)
        return text if own >= precedence else self.notation.parentheses.format(text)

    def value(self, value: Any) -> Text:
        """A line, by its name if it has one, or a constant."""
        if isinstance(value, Line):
            return (10, self.notation.symbol(self.names[value])) if value in self.names else self.expression(value)
        if isinstance(value, OfRows):
            return self._of_rows(value)
        text = self._constant(value)
        return 7 if text.startswith("-") else 10, text

    def statements(self, lines: Iterable[Line]) -> list[tuple[Line, str, str]]:
        """(line, name, expression) for each line that has a name."""
        return [(line, self.names[line], self.expression(line)[1]) for line in lines if line in self.names]

    def per_sample(self, a: Any, b: Any) -> Text | None:
        """A product with a number such as 1/m, as a person writes it: x / m. None for any other number."""
        number, other = (b, a) if isinstance(a, Line) else (a, b)
        return self._formula(number.formula, other) if isinstance(number, Real) else None

    def _formula(self, formula: Formula, times: Any = None) -> Text:
        factor, power, shift, offset = formula
        text = self._array(factor) if isinstance(factor, np.ndarray) else self._constant(factor).removesuffix(".0")
        if not offset:
            return self.notation.formula(self, text, power, shift, times)
        total = f"{self._constant(offset)} + {self.notation.formula(self, text, power, shift, None)[1]}"
        if times is None:
            return 5, total
        return 6, f"{self.notation.parentheses.format(total)} * {self.argument(times, 7)}"

    def _of_rows(self, value: OfRows) -> Text:
        """What comes from the number of rows."""
        if isinstance(value, Count):
            return 10 if repr(value) == "m" else 5, repr(value)
        if isinstance(value, Counted):
            return 9, f"np.arange({value.shape[0]!r})"
        if isinstance(value, Filled):
            return self.notation.filled(self, value)
        if isinstance(value, Repeated):
            return 9, f"np.broadcast_to({self.argument(value.row)}, {value.shape!r})"
        return self._formula(value.formula)  # type: ignore[attr-defined]

    def helper(self, function: Any) -> str:
        """The name of a function that is to be defined beside the derivation."""
        own: str = function.__name__
        name, k = own, 2
        taken = set(self.names.values())
        while name in taken or self.helpers.get(name, function) is not function:
            name, k = f"{own}_{k}", k + 1
        self.helpers[name] = function
        return name

    def _constant(self, value: Any) -> str:
        if isinstance(value, np.ndarray) and value.ndim:
            return self.notation.symbol(self._array(value))
        if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
            return f"np.{np.dtype(value).name}"
        if isinstance(value, np.ndarray | np.generic):
            value = value.item()
        if isinstance(value, float) and not np.isfinite(value):
            return f"np.{value}".replace("np.-", "-np.")
        return self.notation.number(value)

    def _array(self, value: Any) -> str:
        """The name of a constant array."""
        for name, known in self.constants.items():
            if known is value:
                return name
        number = len(self.constants) + 1
        while f"c{number}" in self.names.values():
            number += 1
        self.constants[f"c{number}"] = value
        return f"c{number}"
