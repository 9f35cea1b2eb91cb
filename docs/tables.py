"""The functions of NumPy and SciPy that have derivatives, read from the table of rules itself."""

from __future__ import annotations

import ast
import functools
import html
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.special
from latex2mathml.converter import convert

import tinygrad_edu as tg
from tinygrad_edu.autograd.primitives import FUNCTIONS, WAITING, Primitive
from tinygrad_edu.graph.formulas import argument_names

# What one looks for in the file of `tinygrad_edu/rules/`, in the order in which these are read.
GROUPS = {
    "elementwise": "Element by element",
    "shape": "Shapes: reshaping, joining, indexing",
    "reductions": "Sums, means, extrema",
    "running": "Running sums, products and extrema",
    "products": "Products of vectors and matrices",
    "einsum": "Einstein's summation",
    "blocks": "Moving and repeating blocks",
    "movement": "Picking and moving elements",
    "sorting": "Sorting",
    "windows": "Windows that slide",
    "statistics": "Averages, medians, quantiles",
    "nans": "The same without NaNs",
    "covariance": "Covariance and correlation",
    "differences": "Differences, slopes, integrals",
    "counting": "Counting with weights",
    "interpolation": "Interpolation",
    "spacing": "Numbers between two ends",
    "polynomials": "Polynomials",
    "pieces": "Functions that call others",
    "writing": "Writing into an array",
    "ufuncs": "Methods of ufuncs",
    "linalg": "Inverses, equations, determinants",
    "decompositions": "Decompositions: eigenvalues, singular values, QR, Cholesky",
    "least_squares": "Least squares",
    "chains": "Powers and chains of matrices",
    "norms": "Norms and condition numbers",
    "numpy": "Truth values, places, counts, shapes and text: through these no gradient flows",
}
LONGEST = 140  # characters of LaTeX; a longer derivative is shown as its rule only


class Row(NamedTuple):
    """A function, all its names, its derivatives as formulas in MathML, and its rules as NumPy."""

    name: str
    others: list[str]
    group: str
    formulas: list[str]
    rules: list[str]


def numpy_rows() -> list[Row]:
    """The functions of NumPy, in the order of the groups."""
    places = list(GROUPS)
    return sorted(_rows("np."), key=lambda row: places.index(row.group))


def scipy_rows() -> list[Row]:
    """The ufuncs of `scipy.special`."""
    return [*_rows("scipy.special.")]


def _rows(prefix: str) -> Iterator[Row]:
    """The rows of all functions whose first name begins so."""
    for enter in WAITING.values():
        enter()
    called = _names()
    for function, entry in FUNCTIONS.items():
        names = called.get(id(function)) or [_method(function)]
        if names[0].startswith(prefix):
            yield _row(names, function, entry)


def _names() -> dict[int, list[str]]:
    """All names of each function of NumPy and of `scipy.special`, its own name first."""
    spaces = {"np": np, "np.linalg": np.linalg, "scipy.special": scipy.special}
    named = [
        (getattr(space, name), f"{at}.{name}") for at, space in spaces.items() for name in dict.fromkeys(space.__all__)
    ]
    named.append((np.lib.stride_tricks.sliding_window_view, "np.lib.stride_tricks.sliding_window_view"))
    called: dict[int, list[str]] = {}
    is_own = lambda pair: getattr(pair[0], "__name__", "") == pair[1].rpartition(".")[2]
    for function, name in sorted(named, key=lambda pair: (not is_own(pair), pair[1])):
        called.setdefault(id(function), []).append(name)
    return called


def _method(function: Any) -> str:
    """The name of a method of ufuncs, of one ufunc's or of all; "" for what is something else."""
    owner = getattr(function, "__self__", None) or getattr(function, "__objclass__", None)
    return f"np.{owner.__name__}.{function.__name__}" if owner is np.ufunc or isinstance(owner, np.ufunc) else ""


def _row(names: list[str], function: Any, entry: Any) -> Row:
    if not isinstance(entry, Primitive):
        where = entry.__module__
        return Row(names[0], names[1:], "numpy" if where.startswith("numpy") else where.rpartition(".")[2], [], [])
    vjps = [rule and rule.vjp for rule in entry.rules] or [entry.each(0)]
    group = next(vjp for vjp in vjps if vjp).__module__.rpartition(".")[2]
    arguments = argument_names(entry, len(vjps))
    rules = [f"∂{name}: {_written(vjp)}" if vjp else f"∂{name}: 0" for name, vjp in zip(arguments, vjps, strict=True)]
    return Row(names[0], names[1:], group, derivatives(function), rules)


def _written(vjp: Callable[..., Any]) -> str:
    """A rule as it stands in its file: a lambda's body, or the call of a function."""
    code = vjp.__code__
    if code.co_name != "<lambda>":
        return f"{code.co_name}({', '.join(inspect.signature(vjp).parameters)})"
    source = Path(code.co_filename).read_text("utf-8")
    places = [(line, column) for line, _, column, _ in code.co_positions() if line and column]
    for node in ast.walk(_parsed(source)):
        if isinstance(node, ast.Lambda) and (node.body.lineno, node.body.col_offset) in places:
            return " ".join((ast.get_source_segment(source, node.body) or "").split())
    raise LookupError(f"the rule at {code.co_filename}:{code.co_firstlineno} was not found")


@functools.lru_cache
def _parsed(source: str) -> ast.Module:
    return ast.parse(source)


# Formulas


def derivatives(function: Any) -> list[str]:
    """The derivatives of an elementwise function by its arguments, as `tg.derive` writes them for numbers."""
    if not isinstance(function, np.ufunc) or function.signature or function is np.ldexp:
        return []
    example = np.array(1.5 if function is np.arccosh else 0.5)
    if function.nin == 1:
        return formulas(tg.derive(lambda x: function(x), example))
    return formulas(tg.derive(lambda a, b: function(a, b), example, example))


ACTIVATIONS = "relu", "leaky_relu", "silu", "softplus", "sigmoid", "log_sigmoid", "softsign"
LOSSES = "mse_loss", "l1_loss", "binary_cross_entropy_with_logits", "cross_entropy"


def derivation(name: str) -> list[str]:
    """What `tg.derive` writes for a function of the package, in MathML: for some whose derivation is short."""
    function = getattr(tg, name, None)
    if name in ACTIVATIONS:
        return formulas(tg.derive(lambda x: function(x), np.array(0.5)))
    if name in LOSSES:
        column = np.full((3, 1), 0.5)
        p, y = (np.eye(3), np.arange(3)) if name == "cross_entropy" else (column, column * 0.5)
        lines = _lines(tg.derive(lambda p, y: function(p, y), p, y))
        return [mathml(f"{left} = {right}") for left, right in lines.items()]
    return []


def _lines(derived: Any) -> dict[str, str]:
    """The lines of a derivation in LaTeX, by what stands left of the equals sign."""
    return dict(re.findall(r"^(.*?) &= (.*?)(?: \\\\)?$", derived.latex(), flags=re.MULTILINE))


def formulas(derived: Any) -> list[str]:
    """The gradients of a derivation for numbers, in MathML, if they are short; with `y` for its value."""
    lines = _lines(derived)
    read = {name: text for name, text in lines.items() if name != "J" and not name.startswith(r"\frac")}
    found = []
    for name in derived._names:
        slope = rf"\frac{{\partial J}}{{\partial {name}}}"
        told = f"{slope} = {lines[slope]}"
        for other, text in read.items():  # what the derivative reads, and what this reads in turn
            if re.search(rf"(?<![\\\w]){re.escape(other)}(?!\w)", told):
                told += rf", \; {other} = {text}"
        told = re.sub(r"(?<![A-Za-z\\])J(?![A-Za-z])", "y", told)
        if len(told) <= LONGEST and told.count("cases") <= 2:
            found.append(mathml(told.replace("g_{", "u_{").replace(r"\odot", r"\,")))  # g is the gradient that arrives
    return found if len(found) == len(derived._names) else []


def mathml(latex: str) -> str:
    """A formula that the browser sets by itself: the page loads nothing for it."""
    latex = latex.replace(r"np.inf", r"\infty").replace(r"1 \, [", "[").replace(r"\log\operator", r"\log \, \operator")
    latex = re.sub(r"\\left\(((?:(?!frac|left).)*?)\\right\)", r"(\1)", latex)  # brackets grow around fractions only
    latex = re.sub(r"\\operatorname\{(.*?)\}", lambda m: rf"\text{{{m[1]}}}".replace(r"\_", "_"), latex)
    return convert(latex).replace(' xmlns="http://www.w3.org/1998/Math/MathML"', ' displaystyle="true"')


# Tables of what the package has


def first_sentence(docstring: str) -> str:
    """What it is, in one sentence of Markdown, without where that was read."""
    text = " ".join(docstring.split("\n\n")[0].split())
    return re.split(r"(?<=[.!?:])\s+(?=[A-Z`])|\s+\((?=[A-Z][a-z]+[^()]*, \")", text)[0].rstrip(":.") + "."


def escaped(text: str) -> str:
    """Markdown's `code` as HTML."""
    return re.sub(r"`(.*?)`", r"<code>\1</code>", html.escape(text, quote=False))
