"""Formulas as a picture tells them: with its own names, and for single numbers with these, too:
"∂L/∂d = g · f = 1 · (−2) = −2".
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from .formulas import Formulas, Template, filled, place, template
from .structure import Walk
from .values import Values

LONGEST = 24  # characters of a name in a picture
FLOAT = re.compile(r"(?<![\w.])\d+\.\d+(?:e-?\d+)?")
PRETTY = (("np.", ""), (" * ", " · "), (" ** 2", "²"), ("-", "−"))


def number(value: Any, digits: int = 4) -> str:
    """A single number as it is written in a picture."""
    return f"{float(value):.{digits}g}".replace("-", "−").replace("inf", "∞")


def short(name: str, longest: int = LONGEST) -> str:
    """A name in one line, without control characters, and not too long."""
    name = "".join(c if c.isprintable() else "\ufffd" for c in " ".join(name.split()))
    return name if len(name) <= longest else f"{name[: longest // 2]}…{name[1 - longest // 2 :]}"


def symbols(walk: Walk, shown: list[int]) -> dict[int, str]:
    """What formulas call the values: by their names, or a result by the number of its operation ("v3"), and other
    arrays by letters of their own."""
    names = {v: name for v in shown if (name := walk.described(v)[2])}
    taken = set(names.values())
    made = {v: short(name) for v, name in names.items()}
    counts = {"x": itertools.count(1), "c": itertools.count(1)}
    for v in shown:
        if v not in made:
            letter = "v" if v < len(walk.records) else "c" if walk.described(v)[1] == "constant" else "x"
            name = f"v{v + 1}" if letter == "v" else f"{letter}{next(counts[letter])}"
            while name in taken:
                name += "′"
            made[v] = name
    return made


class Telling:
    """Writes the formulas of operations."""

    def __init__(self, walk: Walk, values: Values, gradients: Mapping[Any, Any], symbols: Mapping[int, str]) -> None:
        self.walk, self.values, self.gradients, self.symbols = walk, values, gradients, symbols
        self.parts: Counter[int] = Counter()  # of how many parts each gradient is the sum
        self.templates: dict[Any, Template] = {}

    def is_scalar(self, i: int) -> bool:
        """Whether an operation makes a single number of single numbers, so that its formula is worked out."""
        return not any(self.walk.described(v)[3] for v in (i, *self.walk.inputs[i]))

    def texts(self, i: int) -> Template:
        """The right sides of the formula of an operation and of its rules, with places for what they read."""
        record, scalar = self.walk.records[i], self.is_scalar(i)
        constant = getattr(record, "number", None)
        numbers = {} if constant is None else {int(record.nodes[0] is not None): constant}
        forward, rules = template(record, self.templates, numbers)

        def legible(text: str) -> str:
            text = FLOAT.sub(lambda match: f"{float(match[0]):.4g}", text)
            for old, new in PRETTY if scalar else ():
                text = text.replace(old, new)
            return text

        return legible(forward), tuple(rule and (legible(rule[0]), rule[1]) for rule in rules)

    def told(self, i: int, flows: tuple[bool, ...]) -> Formulas:
        """The formula of an operation, and its rules for the arguments to which a gradient flows."""
        record, inputs = self.walk.records[i], self.walk.inputs[i]
        forward, rules = self.texts(i)
        row, scalar = (i, *inputs), self.is_scalar(i)
        g = self.gradients.get(record)
        known = [g, *(self.values.known.get(v) for v in row)]
        words = ["g", *(self.symbols[v] for v in row)]
        output = self.symbols[self.walk.output]

        def right(text: str, result: Any) -> str:
            parts = [filled(text, words)]
            if scalar and result is not None and all(v is not None for k, v in enumerate(known) if place(k) in text):
                numbers = ["" if v is None else number(v) for v in known]
                put = filled(text, [f"({n})" if n[:1] == "−" else n for n in numbers])
                put = re.sub(r"\((\(−[^()]*\))\)", r"\1", put)
                parts += [number(result)] if put.strip("()") == number(result) else [put, number(result)]
            return " = ".join(parts)

        told: list[str | None] = []
        for k, (rule, flow, v) in enumerate(zip(rules, flows, inputs, strict=True)):
            if rule is None or not flow:
                told.append(None)
                continue
            becomes = "+=" if self.parts[v] > 1 else "="
            part = self._part(i, k, known) if scalar else None
            told.append(f"∂{output}/∂{self.symbols[v]} {becomes} {right(rule[0], part)}{rule[1]}")
        return f"{self.symbols[i]} = {right(forward, known[1])}", tuple(told)

    def _part(self, i: int, k: int, known: list[Any]) -> Any:
        """What an operation adds to the gradient of an argument, a single number; None if it is not known."""
        record = self.walk.records[i]
        rule = record.primitive.rules_for(len(record.nodes))[k]
        if rule is None or known[0] is None or rule.rest or any(known[j + 1] is None for j in rule.values):
            return None
        saved = tuple(np.float64(0) if v is None else np.asarray(v)[()] for v in known[1:])
        with np.errstate(all="ignore"):
            return rule.call(known[0], saved, record.options or {})
