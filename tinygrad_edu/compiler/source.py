"""A derivation printed: as NumPy source that a person can read, and as formulas."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..functional.activations import _leaky_relu, relu, sigmoid, softplus
from ..functional.exponentials import _log_softmax, _softmax
from ..functional.layers import _linear
from ..functional.targets import _checked, _rows_of_labels
from ..rules.products import product
from ..rules.shape import _transpose
from .derivation import Derivation
from .helpers import definitions, function_of
from .latex import LATEX
from .lines import Line
from .notation import PYTHON
from .rows import General
from .writer import Notation, Writer

LAYERS = {function_of(f) for f in (_linear, product)}
ACTIVATIONS = {function_of(f) for f in (sigmoid, relu, np.tanh, _softmax, _leaky_relu, softplus)}
TRIVIAL = {function_of(f) for f in (_checked, _transpose)}  # as short as a name: a check, or a transpose
NAMED = {function_of(_log_softmax): "log_p", function_of(_rows_of_labels): "Y"}
DEEPEST = 6  # expressions nested deeper than this are cut in pieces


class _Names:
    """Names for what deserves a line of its own: layers, activations, the loss, their gradients, and what is used
    more than once. Everything else is written where it is used."""

    def __init__(self, derivation: Derivation, given: dict[Line, str], notation: Notation) -> None:
        self.derivation = derivation
        self.names = dict(given)
        self.trivial = TRIVIAL | notation.trivial
        self.taken = set(given.values()) | {"m", "np", "special"}
        self.initials = Counter(name[0] for name in self.taken)
        self.outputs = {line for line in (derivation.value, *derivation.gradients) if isinstance(line, Line)}
        self.uses: Counter[Line] = Counter()
        for line in reversed((*derivation.forward, *derivation.backward)):
            if notation.usual is None:
                self.uses.update(line.operands())
            elif line in self.outputs or line in self.uses:
                found = notation.usual(line)
                self.uses.update(line.operands() if found is None else {found} & {*line.operands()})
        self._give(derivation.value, "J")
        self._name_forward()
        self._name_backward()
        self._cut()

    def _give(self, line: Line, name: str) -> None:
        if line in self.names or line.function is None:
            return
        free, k = name, 2
        while free in self.taken:
            free, k = f"{name}_{k}", k + 1
        self.names[line] = free
        self.taken.add(free)
        self.initials[free[0]] += 1

    def _number(self, line: Line, letter: str) -> None:
        self._give(line, f"{letter}{self.initials[letter] + 1}")

    def _name_forward(self) -> None:
        layers = [line for line in self.derivation.forward if function_of(line.function) in LAYERS]
        into_layers = {operand for line in layers for operand in line.operands()}
        number = 0  # of the layer
        for line in self.derivation.forward:
            function = function_of(line.function)
            weight = line.args[1] if function in LAYERS and isinstance(line.args[1], Line) else None
            if function is function_of(_linear) or (weight is not None and weight in self.derivation.parameters):
                digits = re.search(r"\d+$", self.names.get(weight, "") if weight is not None else "")
                number = int(digits[0]) if digits else number + 1
                self._give(line, f"z{number}")
            elif function in ACTIVATIONS:
                is_last = line not in into_layers and function is not function_of(relu)
                self._give(line, "h" if is_last else f"a{number}" if number else "a")
            elif function in NAMED:
                self._give(line, NAMED[function])
            elif line in self.outputs or self._is_shared(line):
                self._number(line, "t")

    def _name_backward(self) -> None:
        d = self.derivation
        for k, (line, g) in enumerate(zip(d.differentiated, d.gradients, strict=True)):
            if isinstance(g, Line):
                self._give(g, f"d{self.names.get(line, k)}")
        for line, of in d.gradient_of.items():
            if of in self.names and function_of(of.function) in LAYERS:
                self._give(line, f"d{self.names[of]}")
        for line in d.backward:
            if self._is_shared(line):
                of_line = d.gradient_of.get(line)
                if of_line in self.names:
                    self._give(line, f"d{self.names[of_line]}")
                else:
                    self._number(line, "g")

    def _cut(self) -> None:
        """Names parts of expressions that are nested too deep."""
        depths: dict[Line, int] = {}  # how deep the expression of a line without a name is
        for letter, lines in (("t", self.derivation.forward), ("g", self.derivation.backward)):
            for line in lines:
                inner = [depths.get(operand, 0) for operand in line.operands() if operand not in self.names]
                depths[line] = 1 + max(inner, default=0)
                if line not in self.names and depths[line] > DEEPEST:
                    self._number(line, letter)

    def _is_shared(self, line: Line) -> bool:
        return self.uses[line] + (line in self.outputs) > 1 and function_of(line.function) not in self.trivial


def _writer(derivation: Derivation, given: dict[Line, str], notation: Notation) -> Writer:
    return Writer(notation, _Names(derivation, given, notation).names)


def source(general: General, names: Sequence[str]) -> str:
    """A module that runs with NumPy alone: a function of the inputs and parameters, which returns the value and the
    gradients. `names` are those of the inputs, the parameters and the other tensors that the function reads."""
    derivation = general.derivation
    writer = _writer(derivation, dict(zip(derivation.given, names, strict=True)), PYTHON)
    body = _body(general, writer, names)
    constants = "".join(f"{name} = {_array(value)}\n" for name, value in writer.constants.items())
    defined = definitions(writer.helpers)
    parts = [] if general.is_general else [f"# Holds only for {_shapes(general.shapes, names)}.\n"]
    if derivation.updates:
        parts.append("# Tensors that the function updates are left as they are.\n")
    parts.append("from __future__ import annotations\n\nfrom typing import Any\n\n" if "Any" in defined else "")
    parts.append("import numpy as np\n")
    if defined:
        parts.append(("\n" if defined.startswith("import") else "\n\n") + defined + "\n")
    if constants:
        parts.append("\n\n" * bool(defined) + "\n" + constants)
    parts.append(f"\n\ndef value_and_gradients({', '.join(names)}):\n")
    parts += [f"    {line}\n" for line in body]
    return "".join(parts)


def _shapes(shapes: Sequence[tuple[int, ...]], names: Sequence[str]) -> str:
    return " and ".join(f"{name} of shape {shape}" for name, shape in zip(names, shapes, strict=False) if shape)


def _body(general: General, writer: Writer, names: Sequence[str]) -> list[str]:
    """The lines of the function."""
    derivation = general.derivation
    forward, backward = writer.statements(derivation.forward), writer.statements(derivation.backward)
    outputs = ["None" if g is None else writer.value(g)[1] for g in derivation.gradients]
    value = writer.value(derivation.value)[1]
    body = _checks(general, names)
    if any(re.search(r"\bm\b", text) for text in (*(text for _, _, text in (*forward, *backward)), *outputs, *body)):
        first = next(k for k, line in enumerate(derivation.inputs) if line.ndim)
        body.insert(0, f"m = len({names[first]})")
    width = max((len(name) + len(text) + 3 for _, name, text in (*forward, *backward)), default=0)
    width = min(width, 76)
    for title, statements in (("forward", forward), ("backward", backward)):
        body.append(f"# {title}")
        for line, name, text in statements:
            comment = f"  # {line.shape}" if line.ndim else ""
            body.append(f"{f'{name} = {text}':{width}}{comment}".rstrip())
    body.append(f"return {value}, ({', '.join(outputs)}{',' * (len(outputs) == 1)})")
    return body


def _checks(general: General, names: Sequence[str]) -> list[str]:
    """Lines that refuse inputs for which the derivation does not hold, where NumPy would not."""
    wanted = {k for k, shape in enumerate(general.shapes) if shape} if not general.is_general else set()
    single: list[tuple[int, int]] = []
    if general.base is not None:
        base = _texts(general.base, names)
        wanted.update(
            k for inputs, other in general.others for k in inputs if not other or _texts(other, names) != base
        )
        different = [place for place, one, two in general.single if _texts(one, names) != _texts(two, names)]
        single = list(dict.fromkeys(different))
    checks = [
        f"if np.shape({name}) != {shape}:\n"
        f'        raise ValueError(f"{name} must have the shape {{{shape}}}, got {{np.shape({name})}}")'
        for k, (name, shape) in enumerate(zip(names, general.shapes, strict=False))
        if k in wanted
    ]
    for k, axis in single:
        if k not in wanted:
            name, n = names[k], repr(general.shapes[k][axis])
            text = f"axis {axis} of {name} must have {{{n}}} elements, got {{np.shape({name})}}"
            checks.append(f'if np.shape({name})[{axis}] != {n}:\n        raise ValueError(f"{text}")')
    return checks


def _texts(derivation: Derivation, names: Sequence[str]) -> list[str]:
    """The lines of a derivation, without the shapes of what they give."""
    writer = _writer(derivation, dict(zip(derivation.given, names, strict=True)), PYTHON)
    texts = [text for lines in (derivation.forward, derivation.backward) for _, _, text in writer.statements(lines)]
    texts += [writer.argument(g) for g in (*derivation.gradients, derivation.value)]
    return [*texts, *map(_array, writer.constants.values())]


def _array(value: Any) -> str:
    numbers = re.sub(r"\b(inf|nan)\b", r"np.\1", repr(value.tolist()))
    return f"np.array({numbers}, dtype=np.{value.dtype.name}).reshape{value.shape!r}"


def latex(general: General, names: Sequence[str]) -> str:
    """The same as an `aligned` block of formulas."""
    derivation = general.derivation
    writer = _writer(derivation, dict(zip(derivation.given, names, strict=True)), LATEX)
    for line in derivation.backward:
        if line in writer.names and writer.names[line].startswith("d"):
            writer.names[line] = f"∂{writer.names[line][1:]}"
    rows = [
        f"{LATEX.symbol(name)} &= {text}"
        for lines in (derivation.forward, derivation.backward)
        for _, name, text in writer.statements(lines)
    ]
    for line, gradient in zip(derivation.differentiated, derivation.gradients, strict=True):
        name = f"∂{writer.names[line]}"
        if gradient is not None and (not isinstance(gradient, Line) or writer.names.get(gradient) != name):
            rows.append(f"{LATEX.symbol(name)} &= {writer.argument(gradient)}")
    rows += [
        f"{LATEX.symbol(name)} &: \\text{{a constant of shape }} {value.shape}"
        for name, value in writer.constants.items()
    ]
    if not general.is_general:
        rows.insert(0, f"& \\text{{only for {_shapes(general.shapes, names)}}}".replace("_", r"\_"))
    inner = " \\\\\n".join(rows)
    return f"\\begin{{aligned}}\n{inner}\n\\end{{aligned}}"
