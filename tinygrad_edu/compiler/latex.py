"""Derivations as formulas, as a person writes them: numbers in front and as fractions, squares, no idle brackets."""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np

from ..autograd.broadcasting import sum_rows
from ..functional.activations import _where_positive, relu, sigmoid
from ..functional.exponentials import _log_softmax
from ..functional.layers import _linear, _mask
from ..functional.losses import _binary_cross_entropy, _cross_entropy, _mse_loss
from ..functional.targets import _checked, _rows_of_labels
from ..random import _standard_normal, _standard_uniform
from ..rules.elementwise import _astype, _where, slope_of_abs
from ..rules.products import product
from ..rules.shape import _broadcast_to, _reshape, _transpose
from .helpers import function_of
from .lines import Line, name_of
from .notation import arguments, choice, of_rows, operand, rows_of_labels, table, usual
from .rows import Filled, Number, OfRows
from .writer import Form, Notation, Text, Writer

# Precedences: a + b, Σ a, a ⊙ b, a b (of which one is a number, or both are matrices), a², f(a)
SUM, BIG, TIMES, BESIDE, POWER, CALL = range(4, 10)
ADD, SUBTRACT, NEGATIVE, MULTIPLY, DIVIDE = np.add, np.subtract, np.negative, np.multiply, np.divide
KNOWN = (np.sin, np.cos, np.tan, np.arcsin, np.arccos, np.arctan, np.sinh, np.cosh, np.tanh, np.log)  # to LaTeX, too
_RESHAPE = function_of(_reshape)
LOGARITHMS = {float(np.log(n)): rf"\log {n}" for n in range(2, 11)}
MOST = 1000  # the largest denominator of a number that is taken for a fraction
GREEK = "alpha|beta|gamma|delta|epsilon|eta|theta|lambda|mu|nu|rho|sigma|tau|phi|omega"


def exact(value: float) -> Fraction:
    """The fraction that was meant by a number: 1/3 by 0.333…, 1/10 by 0.1."""
    near = Fraction(value).limit_denominator(MOST)
    return near if isinstance(value, int) or float(near) == value else Fraction(repr(float(value)))


def halves(number: Fraction) -> tuple[str, str]:
    """A positive number as numerator and denominator, of which "" stands for 1. Short decimals stay as they are, except
    halves, quarters and eighths; long ones are rounded."""
    if number.denominator in (1, 2, 4, 8) or (number.denominator <= MOST and len(repr(float(number))) > 5):
        above, below = ("" if n == 1 else str(n) for n in (number.numerator, number.denominator))
        return above, below
    digits, _, exponent = f"{float(number):.5g}".partition("e")
    power = f"10^{{{int(exponent)}}}" if exponent else ""
    return r" \cdot ".join(part for part in (digits, power) if part and part != "1"), ""


def number_text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return repr(value)
    above, below = halves(abs(exact(value)))
    text = rf"\tfrac{{{above or 1}}}{{{below}}}" if below else above or "1"
    return f"-{text}" if value < 0 else text


def _opened(writer: Writer, value: Any, root: Line) -> Any:
    """The arithmetic function of a line that is written where it is used, if it is one; of `root` in any case."""
    is_written = isinstance(value, Line) and (value is root or value not in writer.names)
    return (
        function_of(value.function)
        if is_written and arithmetic is LATEX.forms.get(function_of(value.function))
        else None
    )


def _number(value: Any) -> tuple[Fraction, str, str] | None:
    """A constant, and what it comes with above or below the line: a power of the number of rows, or a logarithm."""
    if isinstance(value, Filled):
        value = value.value
    if isinstance(value, np.ndarray | np.generic) and not value.ndim:
        value = value.item()
    if isinstance(value, Number) and not value.formula.offset:
        factor, power, shift, _ = value.formula
        text = rows_text(power, shift)
        return (exact(factor), "", text) if power < 0 else (exact(factor), text, "")
    if isinstance(value, bool | OfRows) or not isinstance(value, int | float) or not np.isfinite(value):
        return None
    if abs(value) in LOGARITHMS:
        return Fraction(1 if value > 0 else -1), LOGARITHMS[abs(value)], ""
    return exact(value), "", ""


def rows_text(power: float, shift: int) -> str:
    """A power of m, the number of rows, without its sign."""
    base = f"m {'-' if shift < 0 else '+'} {abs(shift)}" if shift else "m"
    base = f"({base})" if shift and abs(power) != 1 else base
    return base + (f"^{{{number_text(abs(power))}}}" if abs(power) != 1 else "")


class _Product:
    """A number times values over values; those that come several times are powers."""

    def __init__(self, writer: Writer, value: Any, root: Line) -> None:
        self.writer = writer
        self.number = Fraction(1)
        self.over: list[Any] = []
        self.under: list[Any] = []
        waiting = [(value, False)]
        while waiting:
            part, is_under = waiting.pop()
            function, number = _opened(writer, part, root), _number(part)
            if function in (NEGATIVE, MULTIPLY):
                self.number *= -1 if function is NEGATIVE else 1
                waiting += [(a, is_under) for a in part.args[::-1]]
            elif function is DIVIDE:
                waiting += [(part.args[1], not is_under), (part.args[0], is_under)]
            elif number is None or (is_under and not number[0]):
                (self.under if is_under else self.over).append(part)
            else:
                factor, above, below = number
                self.number = self.number / factor if is_under else self.number * factor
                self.over += [text for text in ((below if is_under else above),) if text]
                self.under += [text for text in ((above if is_under else below),) if text]

    @property
    def key(self) -> Any:
        return (*map(_same, self.over), None, *map(_same, self.under))

    def text(self) -> Text:
        """The product without its sign."""
        above, below = halves(abs(self.number))
        if len(self.over) == 1 and not (self.under or above or below or isinstance(self.over[0], str)):
            return self.writer.value(self.over[0])
        if not all(isinstance(value, str) for value in self.under):
            return CALL, rf"\frac{{{self._beside(above, self.over)}}}{{{self._beside(below, self.under)}}}"
        front = [value for value in self.over if self._is_symbol(value)]
        rest = _grouped([value for value in self.over if not self._is_symbol(value)])
        first = self._beside(above, front) if above or front or below or self.under or not rest else ""
        if below or self.under:
            first = rf"\tfrac{{{first}}}{{{self._beside(below, self.under)}}}"
        first += (r" \, " if front and not first.startswith(r"\tfrac") else " ") * bool(first and rest)
        if len(rest) > 1:
            return TIMES, first + r" \odot ".join(self._power(value, n, BESIDE) for value, n in rest)
        if not rest:
            return BESIDE, first
        ((value, n),) = rest
        level = POWER if n > 1 else self.writer.value(value)[0]
        return level if not first else BIG if level == BIG else BESIDE, first + self._power(value, n, BIG)

    def _is_symbol(self, value: Any) -> bool:
        """Whether it stands in front as a number does: m, or a single number that has a name."""
        return isinstance(value, str) or (isinstance(value, Line) and not value.ndim and value in self.writer.names)

    def _beside(self, number: str, values: list[Any]) -> str:
        """What stands above or below a line."""
        alone = len(values) == 1 and not number
        text, before = number, None
        for value, n in _grouped(values):
            between = r" \odot " if before is not None and _rank(before) and _rank(value) else r" \, "
            text += between * (before is not None) + " " * (before is None and bool(number))
            text += self._power(value, n, SUM if alone else BESIDE)
            before = value
        return text or "1"

    def _power(self, value: Any, n: int, precedence: int) -> str:
        base = value if isinstance(value, str) else self.writer.argument(value, precedence if n == 1 else CALL)
        return base if n == 1 else f"{base}^{{{n}}}"


def _rank(value: Any) -> int:
    return getattr(value, "ndim", 0)


def _same(value: Any) -> Any:
    return value if isinstance(value, str) else id(value)


def _grouped(values: list[Any]) -> list[tuple[Any, int]]:
    """The values with how often each comes."""
    counts = Counter(map(_same, values))
    return [(value, counts[key]) for key, value in {_same(value): value for value in values}.items()]


def arithmetic(writer: Writer, line: Line) -> Text:
    """A sum of products; like terms are collected, and numbers."""
    terms: dict[Any, _Product] = {}
    waiting: list[tuple[Any, int]] = [(line, 1)]
    while waiting:
        value, sign = waiting.pop()
        function = _opened(writer, value, line)
        if function in (ADD, SUBTRACT):
            waiting += [(value.args[1], -sign if function is SUBTRACT else sign), (value.args[0], sign)]
            continue
        term = _Product(writer, value, line)
        term.number *= sign
        if abs(term.number) == 1 and not term.under and len(term.over) == 1 and _opened(writer, term.over[0], line):
            waiting.append((term.over[0], int(term.number)))
        elif term.key in terms:
            terms[term.key].number += term.number
        else:
            terms[term.key] = term
    return _sum(writer, [(term.number < 0, term.text()) for term in terms.values() if term.number])


def _sum(writer: Writer, terms: list[tuple[bool, Text]]) -> Text:
    """Terms, of which some are subtracted: those stand behind one that is not."""
    first = next((k for k, (is_negative, _) in enumerate(terms) if not is_negative), 0)
    terms = [*terms[first : first + 1], *terms[:first], *terms[first + 1 :]]
    if len(terms) == 1 and not terms[0][0]:
        return terms[0][1]
    text = ""
    for is_negative, (level, term) in terms:
        needs = level <= SUM and (is_negative or term.startswith("-"))
        text += (" - " if is_negative else " + ") + (writer.notation.parentheses.format(term) if needs else term)
    return (SUM, text.removeprefix(" + ").replace(" - ", "-", text.startswith(" - "))) if text else (CALL, "0")


# Other functions


def call(writer: Writer, line: Line) -> Text:
    function = function_of(line.function)
    name = name_of(function)
    given = arguments(writer, line, with_none=getattr(np, name, None) is not function)
    return CALL, rf"\operatorname{{{name}}}".replace("_", r"\_") + f"({given})"


def formula(writer: Writer, factor: str, power: float, shift: int, times: Any) -> Text:
    base = rows_text(power, shift)
    if power < 0:
        is_fraction = factor.startswith(r"\tfrac")
        text = rf"{factor[:-1]} {base}}}" if is_fraction else rf"\tfrac{{{factor}}}{{{base}}}"
    else:
        text = base if factor == "1" else rf"{factor} \, {base}"
    return BESIDE, text if times is None else f"{text} {writer.argument(times, BESIDE)}"


def symbol(name: str) -> str:
    """A variable's name; that of a gradient begins with ∂."""
    name = "lambda" if name in ("lam", "lambda_") else name
    if name.startswith("∂"):
        return rf"\frac{{\partial J}}{{\partial {symbol(name[1:])}}}"
    parts = re.fullmatch(rf"([A-Za-z]|{GREEK})_?(\d*)", name)
    if parts:
        letter = parts[1] if len(parts[1]) == 1 else f"\\{parts[1]}"
        return f"{letter}_{{{parts[2]}}}" if parts[2] else letter
    return rf"\mathit{{{name}}}".replace("_", r"\_")


def summation(writer: Writer, line: Line) -> Text:
    axis = line.options.get("axis")
    if axis is not None and line.args[0].ndim > 1 and axis not in (0, 1, -1):
        return call(writer, line)
    of = "" if axis is None or line.args[0].ndim < 2 else "_i" if axis == 0 else "_j"
    return BIG, rf"\sum{of} {writer.argument(line.args[0], BIG)}"


def averaged(sign: str, total: str) -> Form:
    """A sum divided by the option `count`."""

    def form(writer: Writer, line: Line) -> Text:
        count = _Product(writer, line.options["count"], line).text()[1]
        text = writer.filled(total, line) if count == "1" else rf"\frac{{1}}{{{count}}} {writer.filled(total, line)}"
        return SUM if sign else BIG, sign + text

    return form


def transpose(writer: Writer, line: Line) -> Text:
    if tuple(line.options["axes"]) != (1, 0):
        return call(writer, line)
    return POWER, rf"{writer.argument(_vector(writer, line.args[0]), CALL)}^{{\top}}"


def matrices(writer: Writer, line: Line) -> Text:
    a, b = (writer.argument(_vector(writer, value), BESIDE) for value in line.args)
    return BESIDE, rf"{a} \, {b}"


def _vector(writer: Writer, value: Any) -> Any:
    """What was made a matrix of one column or row in order to be multiplied as one."""
    is_reshaped = isinstance(value, Line) and value not in writer.names and function_of(value.function) is _RESHAPE
    return value.args[0] if is_reshaped and value.args[0].ndim == 1 and 1 in value.shape else value


def reshape(writer: Writer, line: Line) -> Text:
    given = line.args[0]
    if [n for n in given.shape if n != 1] == [*line.shape]:
        return writer.value(given)
    return CALL, rf"\operatorname{{reshape}}({writer.argument(given)}, {line.shape!r})"


LATEX = Notation(
    table({
        **dict.fromkeys((ADD, SUBTRACT, NEGATIVE, MULTIPLY, DIVIDE), arithmetic),
        **{function: (CALL, rf"\{function.__name__}(<0:0>)") for function in KNOWN},
        np.power: (POWER, "<9:0>^{<0:1>}"),
        np.square: (POWER, "<9:0>^{2}"),
        np.reciprocal: (CALL, r"\frac{1}{<0:0>}"),
        np.absolute: (CALL, r"\left|<0:0>\right|"),
        np.exp: (POWER, "e^{<0:0>}"),
        np.exp2: (POWER, "2^{<0:0>}"),
        np.log1p: (CALL, r"\log(1 + <5:0>)"),
        np.sqrt: (CALL, r"\sqrt{<0:0>}"),
        np.maximum: (CALL, r"\max(<0:0>, <0:1>)"),
        np.minimum: (CALL, r"\min(<0:0>, <0:1>)"),
        np.greater: (3, "<4:0> > <4:1>"),
        np.less: (3, "<4:0> < <4:1>"),
        np.equal: (3, "<4:0> = <4:1>"),
        np.greater_equal: (3, r"<4:0> \ge <4:1>"),
        np.less_equal: (3, r"<4:0> \le <4:1>"),
        _where: choice((CALL, r"\begin{cases} <0:1> & \text{if } <0:0> \\ <0:2> & \text{else} \end{cases}")),
        slope_of_abs: (CALL, r"\operatorname{sign}(<0:0>)"),
        np.sum: summation,
        product: matrices,
        _linear: (SUM, r"<7:0> \, <7:1> + <5:2>"),
        sum_rows: (BIG, r"\sum_i <5:0>"),
        _transpose: transpose,
        _reshape: reshape,
        **dict.fromkeys((_broadcast_to, _astype, np.astype, _checked), operand),
        relu: (CALL, r"\max(<0:0>, 0)"),
        _where_positive: (TIMES, r"<6:1> \odot [<4:0> > 0]"),
        sigmoid: (CALL, r"\sigma(<0:0>)"),
        _mask: (CALL, r"\operatorname{mask}(<0:0>, <0:1>)"),
        _standard_normal: (CALL, r"\mathcal{N}(0, 1)^{<0:0>}"),
        _standard_uniform: (CALL, r"\mathcal{U}(0, 1)^{<0:0>}"),
        _log_softmax: of_rows((CALL, r"\log\operatorname{softmax}(<0:0>)")),
        _mse_loss: averaged("", r"\sum \left(<4:0> - <5:1>\right)^{2}"),
        _binary_cross_entropy: averaged("", r"\sum \left(\log(1 + e^{<0:0>}) - <6:2> \odot <7:0>\right)"),
        _cross_entropy: averaged("-", r"\sum <6:2> \odot <7:1>"),
        _rows_of_labels: rows_of_labels((CALL, r"\operatorname{onehot}(<0:0>)")),
    }),
    call=call,
    formula=formula,
    symbol=symbol,
    number=number_text,
    filled=lambda writer, value: writer.value(value.value),
    parentheses=r"\left({}\right)",
    trivial=frozenset({_RESHAPE}),
    usual=usual,
)  # fmt: skip
