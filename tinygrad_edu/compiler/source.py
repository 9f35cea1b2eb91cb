"""A derivation in writing: as NumPy source that a person can read, and as formulas."""

from __future__ import annotations

import dis
import inspect
import re
import textwrap
import types
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..autograd.primitives import Primitive
from .derivation import Derivation
from .notation import LATEX, PYTHON, Form
from .tracing import Line

HELPERS = {
    "sigmoid": """
        def sigmoid(z):
            return np.exp(-np.logaddexp(0, -z))
        """,
    "softmax": """
        def softmax(z):
            e = np.exp(z - z.max(axis=1, keepdims=True))
            return e / e.sum(axis=1, keepdims=True)
        """,
    "log_softmax": """
        def log_softmax(z):
            z = z - z.max(axis=1, keepdims=True)
            return z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        """,
    "one_hot": """
        def one_hot(labels, classes):
            return np.eye(classes)[labels.reshape(-1).astype(int)]
        """,
}
DEEPEST = 6  # expressions of more functions within functions are cut in pieces
ACTIVATIONS = {"sigmoid", "relu", "tanh", "softmax", "leaky_relu", "softplus"}


class Writer:
    """Writes a derivation line by line, in the form of a table."""

    def __init__(self, derivation: Derivation, names: dict[Line, str], forms: dict[str, Form]) -> None:
        self.derivation = derivation
        self.forms = forms
        self.latex = forms is LATEX
        self.rows = next((line.shape[0] for line in derivation.inputs if line.ndim), 0)
        self.uses_rows = False
        self.helpers: dict[str, Any] = {}
        self.constants: dict[str, Any] = {}
        self.names = dict(names)
        self._uses: dict[Line, int] = {}
        for line in (*derivation.forward, *derivation.backward):
            for operand in line.operands():
                self._uses[operand] = self._uses.get(operand, 0) + 1
        self._name_lines()

    def _name_lines(self) -> None:
        """Names for what deserves a line of its own: layers, activations, the loss, their gradients, and what is used
        more than once. All else is written where it is used."""
        d = self.derivation
        outputs = {line for line in (d.value, *d.gradients) if isinstance(line, Line)}
        taken = set(self.names.values()) | {"m", "np"}
        number = 0

        def give(line: Line, name: str) -> None:
            if line not in self.names and line.function is not None:
                free, k = name, 2
                while free in taken:
                    free, k = f"{name}_{k}", k + 1
                self.names[line] = free
                taken.add(free)

        give(d.value, "J")
        for line in d.forward:
            function = name_of(line.function)
            layer = function in ("linear", "product")
            weight: Any = line.args[1] if layer and isinstance(line.args[1], Line) else None  # or a constant array
            if function == "linear" or (layer and weight in d.parameters):
                digits = re.search(r"\d+$", self.names.get(weight, ""))
                number = int(digits[0]) if digits else number + 1
                give(line, f"z{number}")
            elif function in ACTIVATIONS:
                last = not any(name_of(other.function) in ("linear", "product") and line in other.operands()
                               for other in d.forward)  # fmt: skip
                give(line, "h" if last and function != "relu" else f"a{number}" if number else "a")
            elif function == "log_softmax":
                give(line, "log_p")
            elif function == "rows_of_labels":
                give(line, "Y")
            elif line in outputs or (self._uses.get(line, 0) > 1 and not self._is_trivial(line)):
                give(line, f"t{sum(name.startswith('t') for name in taken) + 1}")
        for k, (line, g) in enumerate(zip(d.differentiated, d.gradients, strict=True)):
            if isinstance(g, Line):
                give(g, f"d{self.names.get(line, k)}")
        for line, of in d.gradient_of.items():
            if of in self.names and name_of(of.function) in ("linear", "product"):
                give(line, f"d{self.names[of]}")
        for line in d.backward:
            if self._uses.get(line, 0) + (line in outputs) > 1 and not self._is_trivial(line):
                forward = d.gradient_of.get(line)
                give(
                    line,
                    f"d{self.names[forward]}"
                    if forward in self.names
                    else f"g{sum(name.startswith('g') for name in taken) + 1}",
                )

        depths: dict[Line, int] = {}  # how deep the expression of a line without a name is
        for letter, lines in (("t", d.forward), ("g", d.backward)):
            for line in lines:
                inner = [depths.get(operand, 0) for operand in line.operands() if operand not in self.names]
                depths[line] = 1 + max(inner, default=0)
                if line not in self.names and depths[line] > DEEPEST:
                    give(line, f"{letter}{sum(name.startswith(letter) for name in taken) + 1}")

    def _is_trivial(self, line: Line) -> bool:
        """Whether the line is as short as its name: a check that changes nothing, or a view turned over."""
        return name_of(line.function) in ("checked", "transpose")

    def statements(self, lines: Iterable[Line]) -> list[tuple[Line, str, str]]:
        """(line, name, expression) for each line that has a name; dead ones are gone."""
        return [(line, self.names[line], self.expression(line)[1]) for line in lines if line in self.names]

    def expression(self, line: Line) -> tuple[int, str]:
        """What the line computes, with its precedence."""
        name = name_of(line.function)
        form = self.forms.get(name)
        if name == "checked":
            return self._wrapped(line.args[0])
        if name == "transpose" and tuple(line.options["axes"]) == (1, 0) and not self.latex:
            return 9, f"{self._argument(line.args[0], 9)}.T"
        if name in ("multiply", "divide") and len(line.args) == 2:
            scaled = self._scaled(name, *line.args)
            if scaled is not None:
                return scaled
        if name == "transpose" and not self.latex:
            return 9, f"{self._argument(line.args[0], 9)}.transpose{tuple(line.options['axes'])!r}"
        if name == "broadcast_to" and not self.latex:
            return 9, f"np.broadcast_to({self._argument(line.args[0], 0)}, {tuple(line.options['shape'])!r})"
        if name == "astype" and not self.latex:
            dtype = line.options["dtype"] if "dtype" in line.options else line.args[1]
            return 9, f"{self._argument(line.args[0], 9)}.astype({self._constant(np.dtype(dtype))})"
        if name == "getitem" and not self.latex:
            return 9, f"{self._argument(line.args[0], 9)}[{self._index(line.options['index'])}]"
        if name == "reshape" and not self.latex and line.options.get("order", "C") == "C":
            return 9, f"{self._argument(line.args[0], 9)}.reshape({line.shape!r})"
        if form is None or (name.endswith("softmax") and (line.ndim != 2 or line.options["axis"] not in (1, -1))):
            return 9, self._call(line, name)
        precedence, text = form
        if name in HELPERS and not self.latex:
            self.helpers[name] = None
        if name == "rows_of_labels":
            if line.args[0].ndim == 2 and line.args[0].shape == line.shape and line.shape[1] > 1:
                return self._wrapped(line.args[0])
            self.helpers["one_hot"] = None

        def argument(match: re.Match[str]) -> str:
            return self._argument(line.args[int(match[2])], int(match[1]))

        text = re.sub(r"<(\d+):(\d)>", argument, text)
        text = text.replace("<negative_slope>", str(line.options.get("negative_slope")))
        if "<count>" in text:
            count = line.options["count"]
            text = text.removesuffix(" / <count>") if count == 1 else text.replace("<count>", self._count(count))
            text = text.replace("<count>", "1")
        return precedence, text.replace("<classes>", str(line.shape[-1])) if "<classes>" in text else text

    def _index(self, index: Any) -> str:
        if isinstance(index, tuple):
            return ", ".join(map(self._index, index)) + "," * (len(index) == 1)
        if isinstance(index, slice):
            parts = ["" if v is None else str(v) for v in (index.start, index.stop, index.step)]
            return ":".join(parts[: 2 + (index.step is not None)])
        return "..." if index is Ellipsis else self._argument(index, 0)

    def _count(self, count: Any) -> str:
        if count == self.rows:
            self.uses_rows = True
            return "m"
        return str(count)

    def _scaled(self, name: str, a: Any, b: Any) -> tuple[int, str] | None:
        """A product with a number that is a plain multiple of 1/m, as a person writes it: x / m."""
        number, other = (a, b) if not isinstance(a, Line) else (b, a)
        if isinstance(number, Line) or np.ndim(number) or name == "divide" or not self.rows:
            return None
        multiple = float(number) * self.rows
        factor = f"{multiple:.6g}"
        if abs(multiple - float(factor)) > 1e-12 * abs(multiple) or self.rows < 3 or abs(number) >= 1:
            return None
        if factor != "1" and len(factor) + 3 > len(repr(float(number))):
            return None
        self.uses_rows = True
        if self.latex:
            return 6, rf"\tfrac{{{factor}}}{{m}} {self._argument(other, 7)}"
        if factor == "1":
            return 6, f"{self._argument(other, 6)} / m"
        return 6, f"{factor} / m * {self._argument(other, 7)}"

    def _wrapped(self, value: Any) -> tuple[int, str]:
        if isinstance(value, Line):
            if value in self.names:
                return 10, self._symbol(self.names[value])
            return self.expression(value)
        text = self._constant(value)
        return 7 if text.startswith("-") else 10, text

    def _argument(self, value: Any, precedence: int) -> str:
        if isinstance(value, list | tuple):
            inner = ", ".join(self._argument(v, 0) for v in value)
            return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' * (len(value) == 1)})"
        own, text = self._wrapped(value)
        if own < precedence:
            return rf"\left({text}\right)" if self.latex else f"({text})"
        return text

    def _symbol(self, name: str) -> str:
        if not self.latex:
            return name
        gradient = re.fullmatch(r"d([A-Za-z]+)(\d*)", name)
        if gradient:
            return rf"\frac{{\partial J}}{{\partial {self._symbol(gradient[1] + gradient[2])}}}"
        parts = re.fullmatch(r"([A-Za-z])_?(\d+)", name)
        return f"{parts[1]}_{{{parts[2]}}}" if parts else name if len(name) == 1 else rf"\mathit{{{name}}}".replace(
            "_", r"\_")  # fmt: skip

    def _constant(self, value: Any) -> str:
        if isinstance(value, np.ndarray) and value.ndim:
            for name, known in self.constants.items():
                if known is value:
                    return self._symbol(name)
            number = len(self.constants) + 1
            while f"c{number}" in self.names.values():
                number += 1
            name = f"c{number}"
            self.constants[name] = value
            return self._symbol(name)
        if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
            return f"np.{np.dtype(value).name}"
        if isinstance(value, np.ndarray | np.generic):
            value = value.item()
        if isinstance(value, float) and not np.isfinite(value):
            return f"np.{value}".replace("np.-", "-np.")
        return repr(value) if not isinstance(value, float) or value != int(value) or abs(value) > 1e15 else f"{value}"

    def _call(self, line: Line, name: str) -> str:
        """The call of a NumPy function, or of one that the module defines."""
        function: Any = line.function
        numpys = function.function if isinstance(function, Primitive) else function
        args = [self._argument(a, 0) for a in line.args]
        own = getattr(np, name, None) is not numpys
        args += [f"{key}={self._argument(v, 0)}" for key, v in line.options.items() if own or v is not None]
        if self.latex:
            return rf"\operatorname{{{name}}}".replace("_", r"\_") + f"({', '.join(args)})"
        if not own:
            return f"np.{name}({', '.join(args)})"
        if getattr(np.linalg, name, None) is numpys:
            return f"np.linalg.{name}({', '.join(args)})"
        self.helpers[numpys.__name__] = numpys
        return f"{numpys.__name__}({', '.join(args)})"


def name_of(function: Any) -> str:
    return getattr(function, "__name__", "").lstrip("_")


def helpers(wanted: dict[str, Any]) -> str:
    """Definitions of the functions that the source calls, with those that they call themselves."""
    written: dict[str, str] = {}
    imports: set[str] = set()
    waiting = list(wanted.items())
    while waiting:
        name, function = waiting.pop()
        if name in written:
            continue
        if function is None:
            written[name] = textwrap.dedent(HELPERS[name]).strip()
            continue
        function = inspect.unwrap(function.function if isinstance(function, Primitive) else function)
        try:
            lines = textwrap.dedent(inspect.getsource(function)).splitlines()
        except (OSError, TypeError):
            raise TypeError(
                f"the source of {name} is not at hand, so that of the derivation cannot be written"
            ) from None
        while lines[0].startswith("@"):
            lines.pop(0)
        written[name] = "\n".join(lines)
        for used in _globals_of(function.__code__):
            value = function.__globals__.get(used)
            if isinstance(value, types.ModuleType):
                imports.add(f"import {value.__name__}" + (f" as {used}" if used != value.__name__ else ""))
            elif isinstance(value, Primitive | types.FunctionType):
                waiting.append((used, value))
            elif isinstance(value, dict | tuple | int | float | str) and used not in written:
                written[used] = f"{used} = {_literal(value)}"
    imports -= {"import numpy as np"}
    return "\n".join(sorted(imports)) + "\n\n\n" * bool(imports) + "\n\n\n".join(reversed(written.values()))


def _globals_of(code: types.CodeType) -> set[str]:
    inner = (c for c in code.co_consts if isinstance(c, types.CodeType))
    own = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return own.union(*(_globals_of(c) for c in inner))


def _literal(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_literal(k)}: {_literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, type) and issubclass(value, np.generic):
        return f"np.{value.__name__}"
    return repr(value)


def source(derivation: Derivation, names: dict[Line, str]) -> str:
    """A module that runs with NumPy alone: a function of the inputs and parameters, which returns the value and the
    gradients."""
    writer = Writer(derivation, names, PYTHON)
    forward = writer.statements(derivation.forward)
    backward = writer.statements(derivation.backward)
    outputs = [writer._wrapped(value)[1] if value is not None else "None" for value in derivation.gradients]
    value = writer._wrapped(derivation.value)[1]
    given = (*derivation.inputs, *derivation.parameters, *derivation.captured.values())
    inputs = [writer.names[line] for line in given]
    body = []
    if writer.uses_rows:
        first = next(line for line in derivation.inputs if line.ndim)
        body.append(f"m = len({writer.names[first]})")
    width = max((len(name) + len(text) + 3 for _, name, text in (*forward, *backward)), default=0)
    width = min(width, 76)
    for title, statements in (("forward", forward), ("backward", backward)):
        body.append(f"# {title}")
        for line, name, text in statements:
            comment = f"  # {line.shape}" if line.ndim else ""
            body.append(f"{f'{name} = {text}':{width}}{comment}".rstrip())
    body.append(f"return {value}, ({', '.join(outputs)}{',' * (len(outputs) == 1)})")
    constants = "".join(f"{name} = {_array(value)}\n" for name, value in writer.constants.items())
    defined = helpers(writer.helpers)
    parts = ["from __future__ import annotations\n\nfrom typing import Any\n\n" if "Any" in defined else ""]
    parts.append("import numpy as np\n")
    if defined:
        parts.append(("\n" if defined.startswith("import") else "\n\n") + defined + "\n")
    if constants:
        parts.append("\n\n" * bool(defined) + "\n" + constants)
    indented = "\n".join(f"    {line}" for line in body)
    parts.append(f"\n\ndef value_and_gradients({', '.join(inputs)}):\n{indented}\n")
    return "".join(parts)


def _array(value: Any) -> str:
    numbers = re.sub(r"\b(inf|nan)\b", r"np.\1", repr(value.tolist()))
    return f"np.array({numbers}, dtype=np.{value.dtype.name}).reshape{value.shape!r}"


def latex(derivation: Derivation, names: dict[Line, str]) -> str:
    """The same as an `aligned` block of formulas."""
    writer = Writer(derivation, names, LATEX)
    rows = [
        f"{writer._symbol(name)} &= {text}"
        for lines in (derivation.forward, derivation.backward)
        for _, name, text in writer.statements(lines)
    ]
    rows += [f"{writer._symbol(name)} &: \\text{{a constant of shape }} {value.shape}"
             for name, value in writer.constants.items()]  # fmt: skip
    inner = " \\\\\n".join(rows)
    return f"\\begin{{aligned}}\n{inner}\n\\end{{aligned}}"
