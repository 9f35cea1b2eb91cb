"""What stands in the nodes and at the edges of a drawing, in lines."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy import ndarray

from ..pages.arrays import histogram, norm
from .computation import Computation, Group, Operation, Value
from .structure import SIGNS, titled
from .told import number, short

BARS = "▁▂▃▄▅▆▇█"
FEW = 12  # elements that are written out


def is_number(value: Value) -> bool:
    """Whether it is written in its operation rather than drawn."""
    return value.kind == "constant" and not value.shape and value.name is None


class Labels:
    """The texts of a drawing that also shows the things named in `show`."""

    def __init__(self, computation: Computation, show: Collection[str], framed: Collection[str]) -> None:
        self.values, self.operations, self.groups = computation.values, computation.operations, computation.groups
        self.show, self.framed = show, framed
        output = computation.values[computation.output]
        self.output = f"∂{short(output.name)}/" if output.name and "formulas" not in show else ""
        self.output = f"∂{output.symbol}/" if "formulas" in show else self.output
        self.referred: set[str] = set()  # values that another line of the drawing refers to
        # A result without a name has no box: an array is the edge from its operation to those that read it, and a
        # single number stands in its operation.
        self.maker = {key: operation.key for operation in computation.operations.values() for key in operation.outputs
                      if self._is_boxless(key, operation)}  # fmt: skip

    def _is_boxless(self, key: str, operation: Operation) -> bool:
        value = self.values[key]
        if value.kind != "result" or value.name is not None:
            return False
        return "values" not in self.show if value.shape else len(operation.outputs) == 1

    def refer(self, key: str) -> None:
        """Gives a value a box of its own, as another line of the drawing refers to it."""
        self.referred.add(key)
        self.maker.pop(key, None)

    def texts(self) -> dict[str, list[list[str]]]:
        """The lines of every node, in fields side by side, of every frame's title, and at the edges."""
        texts = {key: [self.operation(o), self.result(o)] for key, o in self.operations.items()}
        for key, value in self.values.items():
            if not (is_number(value) or (key in self.maker and not value.shape)):
                texts[key] = [self.value(value)]
        return texts | {key: [[self.title(self.groups[key])]] for key in self.framed}

    def name(self, value: Value) -> str:
        """What a value is called: a parameter inside the frame of its module as the module calls it."""
        if "formulas" in self.show or value.key in self.referred:
            return value.symbol
        return short(self._inside(value.name or "", value.group))

    def title(self, group: Group) -> str:
        path = self._inside(group.path, group.parent)
        return short(titled(path, group.label), 36)

    def around(self, key: str | None) -> Group | None:
        """The innermost group around something that has a frame."""
        while key is not None and key not in self.framed:
            key = self.groups[key].parent
        return None if key is None else self.groups[key]

    def _inside(self, path: str, key: str | None) -> str:
        """A path as it is called inside the frame around it: "weight" for "0.weight" inside "0"."""
        around = self.around(key)
        return path if around is None else path.removeprefix(f"{around.path}.")

    def value(self, value: Value, flows: bool = True) -> list[str]:
        name = self.name(value)
        if not value.shape:
            text = "?" if value.data is None else number(value.data)
            lines = [f"{name} = {text}" if name else text]
            lines += [value.dtype or "dtype not kept"] if "dtypes" in self.show else []
            return lines + self.gradient(value, name)
        known = value.dtype or "dtype not kept"
        lines = [name] * bool(name) + [f"{value.shape} {known}" if "dtypes" in self.show else str(value.shape)]
        lines += described(value.data) if "values" in self.show else []
        return lines + (self.gradient(value, name) if flows else [])

    def gradient(self, value: Value, name: str) -> list[str]:
        if value.gradient is None:
            return []
        if not value.shape:
            return [f"{self.output}∂{name} = {number(value.gradient)}" if name and self.output else
                    f"∂ = {number(value.gradient)}"]  # fmt: skip
        return [f"norm of ∂ = {number(norm(value.gradient), 3)}"]

    def operation(self, operation: Operation) -> list[str]:
        last = operation.step + operation.folded - 1
        text = short(operation.name, 36) if operation.folded else self._with_numbers(operation)
        if "order" in self.show:
            text = f"{operation.step}{f'–{last}' if operation.folded > 1 else ''}. {text}"
        lines = [text]
        counts = [f"{operation.folded:,} operations"] * (operation.folded > 1)
        counts += [f"{operation.hidden:,} parameter{'s' * (operation.hidden > 1)}"] * (operation.hidden > 0)
        if counts:
            lines.append(", ".join(counts))
        if "formulas" in self.show:
            lines += [operation.formula, *(rule for rule in operation.rules if rule is not None)]
        return lines + (operation.passed_by or "").replace("computed ", "computed\n").splitlines()

    def result(self, operation: Operation) -> list[str]:
        """The result of an operation in whose node it stands."""
        value = self.values[operation.output]
        return self.value(value) if value.key in self.maker and not value.shape else []

    def _with_numbers(self, operation: Operation) -> str:
        """The operation's sign with the numbers that it reads: "− 10", "1 /", or as a call, "maximum(·, 0)"."""
        sign = SIGNS.get(operation.name, operation.name)
        given = [self.values[key] for key in operation.inputs]
        words = [("?" if v.data is None else number(v.data)) if is_number(v) else "" for v in given]
        if not any(words):
            return sign
        if sign != operation.name and len(words) == 2:
            return f"{words[0]} {sign} {words[1]}".strip()
        return f"{sign}({', '.join(word or '·' for word in words)})"

    def whole(self, node: Value | Operation | Group) -> str:
        """What a shortened name is a part of, for the tooltip."""
        if isinstance(node, Operation):
            return node.name
        return titled(node.path, node.label) if isinstance(node, Group) else node.name or ""


def described(data: ndarray | None) -> list[str]:
    """An array in a few lines: in full if it is small, otherwise its extremes, its mean and a histogram."""
    if data is None:
        return []
    if data.size <= FEW and data.ndim < 3:
        return np.array2string(data, precision=4, suppress_small=True, separator=" ", max_line_width=60).splitlines()
    finite = data[np.isfinite(data)]
    strange = "" if finite.size == data.size else f", {data.size - finite.size:,} not finite"
    if not finite.size:
        return [f"no finite values{strange}"]
    low, high, mean = float(finite.min()), float(finite.max()), float(finite.mean(dtype=float))
    if low == high:
        return [f"all {low:.3g}{strange}"]
    return [f"{low:.3g} {sparkline(finite)} {high:.3g}", f"mean {mean:.3g}{strange}"]


def sparkline(numbers: ndarray, bins: int = 12) -> str:
    """The histogram of finite numbers, from the smallest to the largest, as a row of bars."""
    counts = histogram(np.asarray(numbers, float).ravel(), bins)
    heights = np.ceil(counts / counts.max() * (len(BARS) - 1)).astype(int)
    return "".join(BARS[h] for h in heights)
