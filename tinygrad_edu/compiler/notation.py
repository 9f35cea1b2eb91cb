"""How the functions of a derivation are rendered as Python: one table."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..autograd.broadcasting import sum_rows
from ..functional.activations import _leaky_relu, _where_positive, relu, sigmoid
from ..functional.exponentials import _log_softmax, _softmax
from ..functional.layers import _linear, _mask
from ..functional.losses import _binary_cross_entropy, _cross_entropy, _mse_loss
from ..functional.targets import _checked, _rows_of_labels
from ..random import _integers, _permutation, _standard_normal, _standard_uniform
from ..rules.elementwise import _astype, _clip, _where
from ..rules.products import product
from ..rules.reductions import _chosen, _even_share, _where_chosen
from ..rules.shape import _broadcast_to, _getitem, _reshape, _transpose
from . import helpers
from .helpers import function_of
from .lines import Line, name_of
from .rows import Filled
from .writer import Form, Notation, Text, Writer

_WHERE = function_of(_where)

# Forms of either notation


def operand(writer: Writer, line: Line) -> Text:
    """A check is rendered as its argument, which it returns."""
    return writer.value(line.args[0])


def multiplied(otherwise: str) -> Form:
    """A product: with a multiple of 1/m it is a division by m, otherwise as the format says."""

    def form(writer: Writer, line: Line) -> Text:
        return writer.per_sample(*line.args) or (6, writer.filled(otherwise, line))

    return form


def of_rows(form: Form) -> Form:
    """A form for functions along rows that hold something; along other axes the function is rendered as a call."""

    def either(writer: Writer, line: Line) -> Text:
        if line.ndim != 2 or line.options["axis"] not in (1, -1) or line.shape[1] == 0:
            return writer.notation.call(writer, line)
        return writer.render(form, line)

    return either


def unless_given(form: Form) -> Form:
    """A form for calls whose last argument is not given."""

    def either(writer: Writer, line: Line) -> Text:
        is_given = line.args[-1] is not None and line.args[-1] is not True
        return writer.notation.call(writer, line) if is_given else writer.render(form, line)

    return either


def usual(line: Line) -> Any:
    """Of the choices that the rules of a power make at 0 (`rules/elementwise.py`), what they give elsewhere: the
    exponent b - 1, and the a of log a; None of everything else."""
    if function_of(line.function) is not _WHERE:
        return None
    condition, at_zero, other = line.args
    if not isinstance(condition, Line) or condition.function is not np.logical_and or isinstance(at_zero, Line):
        return None
    is_exponent = isinstance(other, Line) and function_of(other.function) is np.subtract and at_zero == 0
    compared = other.args[0] if is_exponent else other if at_zero == 1 else None
    parts = [part for part in condition.args if isinstance(part, Line) and part.function is np.equal]
    return other if any(part.args[0] is compared for part in parts) else None


def choice(form: Form) -> Form:
    """A form for choices, except those that are usually the same."""

    def either(writer: Writer, line: Line) -> Text:
        found = usual(line)
        return writer.render(form, line) if found is None else writer.value(found)

    return either


def rows_of_labels(labels: Form) -> Form:
    """Labels that are rows of probabilities already are rendered as they are."""

    def form(writer: Writer, line: Line) -> Text:
        given = line.args[0]
        if given.ndim == 2 and given.shape == line.shape and line.shape[1] > 1:
            return writer.value(given)
        return writer.render(labels, line)

    return form


def arguments(writer: Writer, line: Line, *, with_none: bool) -> str:
    """The arguments of a call. For NumPy's functions, None means that an option is not given."""
    args = [writer.argument(a) for a in line.args]
    args += [f"{name}={writer.argument(v)}" for name, v in line.options.items() if with_none or v is not None]
    return ", ".join(args)


# Python


def call(writer: Writer, line: Line) -> Text:
    """The call of a NumPy function, or of one that is defined beside the derivation."""
    function = function_of(line.function)
    name = name_of(function)
    is_numpys = getattr(np, name, None) is function
    given = arguments(writer, line, with_none=not is_numpys)
    if is_numpys:
        return 9, f"np.{name}({given})"
    if getattr(np.linalg, name, None) is function:
        return 9, f"np.linalg.{name}({given})"
    special = sys.modules.get("scipy.special")
    if special is not None and getattr(special, name, None) is function:
        writer.helpers["special"] = special
        return 9, f"special.{name}({given})"
    return 9, f"{writer.helper(function)}({given})"


def formula(writer: Writer, factor: str, power: float, shift: int, times: Any) -> Text:
    base = f"(m {'-' if shift < 0 else '+'} {abs(shift)})" if shift else "m"
    base += f" ** {abs(power)}" if abs(power) != 1 else ""
    if power < 0:
        if factor == "1" and times is not None:
            return 6, f"{writer.argument(times, 6)} / {base}"
        return 6, f"{factor} / {base}" + (f" * {writer.argument(times, 7)}" if times is not None else "")
    if factor == "1" and times is None:
        return 8, base
    product = base if factor == "1" else f"{factor} * {base}"
    return 6, product + (f" * {writer.argument(times, 7)}" if times is not None else "")


def full(writer: Writer, value: Filled) -> Text:
    dtype = "" if value.dtype in (np.float64, bool) else f", dtype=np.{value.dtype.name}"
    return 9, f"np.full({value.shape!r}, {writer.argument(value.value)}{dtype})"


def helped(helper: Callable[..., Any]) -> Form:
    """A call of a function of `helpers`."""

    def form(writer: Writer, line: Line) -> Text:
        return 9, f"{writer.helper(helper)}({writer.argument(line.args[0])})"

    return form


def one_hot(writer: Writer, line: Line) -> Text:
    return 9, f"{writer.helper(helpers.one_hot)}({writer.argument(line.args[0])}, {line.shape[-1]})"


def drawn(method: str) -> Form:
    """Random numbers, drawn by NumPy's own generator."""

    def form(writer: Writer, line: Line) -> Text:
        text = f"np.random.{method}({writer.argument(line.args[0])})"
        return 9, text if line.dtype == np.float64 else f"{text}.astype({writer.argument(line.dtype)})"

    return form


def per_count(total: str) -> Form:
    """A sum divided by the option `count`."""

    def form(writer: Writer, line: Line) -> Text:
        count = line.options["count"]
        text = writer.filled(total, line)
        return 6, text if count == 1 else f"{text} / {writer.argument(count, 7)}"

    return form


def leaky_relu(writer: Writer, line: Line) -> Text:
    slope = line.options["negative_slope"]
    return 9, writer.filled(f"np.where(<4:0> > 0, <0:0>, {slope} * <7:0>)", line)


def transpose(writer: Writer, line: Line) -> Text:
    axes = tuple(line.options["axes"])
    return 9, f"{writer.argument(line.args[0], 9)}.{'T' if axes == (1, 0) else f'transpose{axes!r}'}"


def reshape(writer: Writer, line: Line) -> Text:
    if line.options["order"] != "C":
        return call(writer, line)
    return 9, f"{writer.argument(line.args[0], 9)}.reshape({line.shape!r})"


def broadcast_to(writer: Writer, line: Line) -> Text:
    return 9, f"np.broadcast_to({writer.argument(line.args[0])}, {tuple(line.options['shape'])!r})"


def astype(writer: Writer, line: Line) -> Text:
    dtype = line.options["dtype"] if "dtype" in line.options else line.args[1]
    return 9, f"{writer.argument(line.args[0], 9)}.astype({writer.argument(np.dtype(dtype))})"


def share(writer: Writer, line: Line) -> Text:
    text = writer.filled("1 / np.sum(<0:0>, axis=<0:2>, keepdims=True)", line)
    return (6, text) if line.dtype == np.float64 else (9, f"({text}).astype({writer.argument(line.dtype)})")


def getitem(writer: Writer, line: Line) -> Text:
    return 9, f"{writer.argument(line.args[0], 9)}[{_index(writer, line.options['index'])}]"


def _index(writer: Writer, index: Any) -> str:
    if isinstance(index, tuple) and not index:
        return "()"
    if isinstance(index, tuple):
        return ", ".join(_index(writer, i) for i in index) + "," * (len(index) == 1)
    if isinstance(index, slice):
        parts = ["" if v is None else str(v) for v in (index.start, index.stop, index.step)]
        return ":".join(parts[: 2 + (index.step is not None)])
    return "..." if index is Ellipsis else writer.argument(index)


def table(forms: dict[Any, Form]) -> dict[Any, Form]:
    return {function_of(function): form for function, form in forms.items()}


PYTHON = Notation(
    table({
        np.add: (5, "<5:0> + <5:1>"),
        np.subtract: (5, "<5:0> - <6:1>"),
        np.multiply: multiplied("<6:0> * <7:1>"),
        np.divide: (6, "<6:0> / <7:1>"),
        np.power: (8, "<9:0> ** <8:1>"),
        np.square: (8, "<9:0> ** 2"),
        np.negative: (7, "-<7:0>"),
        np.absolute: (9, "abs(<0:0>)"),
        np.greater: (4, "<5:0> > <5:1>"),
        np.less: (4, "<5:0> < <5:1>"),
        np.equal: (4, "<5:0> == <5:1>"),
        np.greater_equal: (4, "<5:0> >= <5:1>"),
        np.less_equal: (4, "<5:0> <= <5:1>"),
        product: (5, "<6:0> @ <7:1>"),
        _linear: (5, "<6:0> @ <7:1> + <6:2>"),
        sum_rows: (9, "<9:0>.sum(axis=0)"),
        _where: (9, "np.where(<0:0>, <0:1>, <0:2>)"),
        _clip: (9, "np.clip(<0:0>, <0:1>, <0:2>)"),
        _transpose: transpose,
        _reshape: reshape,
        _broadcast_to: broadcast_to,
        _getitem: getitem,
        _chosen: unless_given((4, "(<5:0> == <5:1>) | (<5:0> != <5:0>)")),
        _even_share: unless_given(share),
        _where_chosen: (9, "np.where(<0:1>, <0:0>, 0)"),
        _astype: astype,
        np.astype: astype,
        relu: (9, "np.maximum(<0:0>, 0)"),
        _where_positive: (6, "<6:1> * (<4:0> > 0)"),
        _leaky_relu: leaky_relu,
        sigmoid: helped(helpers.sigmoid),
        _softmax: of_rows(helped(helpers.softmax)),
        _log_softmax: of_rows(helped(helpers.log_softmax)),
        _mask: (6, "(np.random.random(<9:0>.shape) >= <0:1>) / (1 - <6:1>)"),
        _standard_normal: drawn("standard_normal"),
        _standard_uniform: drawn("random"),
        _integers: (9, "np.random.randint(<0:0>, <0:1>, <0:2>)"),
        _permutation: (9, "np.random.permutation(<0:0>)"),
        _mse_loss: per_count("np.sum((<5:0> - <6:1>) ** 2)"),
        _binary_cross_entropy: per_count("np.sum(np.logaddexp(0, <0:0>) - <6:2> * <7:0>)"),
        _cross_entropy: per_count("-np.sum(<6:2> * <7:1>)"),
        _rows_of_labels: rows_of_labels(one_hot),
        _checked: operand,
    }),
    call=call,
    formula=formula,
    symbol=lambda name: name,
    number=repr,
    filled=full,
    parentheses="({})",
)  # fmt: skip

# The same for drawings, which tell of a rule what it usually does, and of an array in an option that there is one
BRIEF = replace(
    PYTHON,
    forms=PYTHON.forms | {_WHERE: choice(PYTHON.forms[_WHERE])},
    symbol=lambda name: name if len(name) == 1 else "…",  # all others have names of one character
    usual=usual,
)
