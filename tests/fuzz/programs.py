"""Random programs: straight-line NumPy text that arrays, tensors and PyTorch's tensors can all run."""

from __future__ import annotations

import functools
import random
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import functional as F

LARGEST, MOST_ELEMENTS = 50.0, 48  # what a value may be, and how many of them an array may hold
WORDS = re.compile(r"\b[vk]\d+\b")
HELPER = """
def dense(weight, bias):
    layer = tg.Dense(*weight.shape, init="zeros")
    layer.weight, layer.bias = weight, bias
    return layer
"""
NAMES: dict[str, Any] = {"np": np, "tg": tg, "F": F}
exec(HELPER, NAMES)


@functools.lru_cache(4096)
def compiled(text: str) -> CodeType:
    return compile(text, "<program>", "eval")


@dataclass(frozen=True)
class Statement:
    """`target = text`; one that is held is computed under `no_grad`, so that no derivative goes through it."""

    target: str
    text: str
    held: bool = False
    extra: str | None = None  # `target += extra` afterwards

    @functools.cached_property
    def uses(self) -> frozenset[str]:
        return frozenset(WORDS.findall(f"{self.text} {self.extra or ''}"))

    def lines(self, kind: str) -> list[str]:
        """For "tensors"; for "arrays", where `+=` would change what others hold; for "torch"."""
        if self.held and kind == "arrays":
            return [f"{self.target} = held[{self.target!r}]"]
        if self.held:
            where = ["with tg.no_grad():", f"    {self.target} = {self.text}"]
            return (
                [*where, f"{self.target} = {self.target}.detach()"] if kind == "torch" else where
            )  # not the leaf itself
        more = (
            f"{self.target} += {self.extra}" if kind == "tensors" else f"{self.target} = {self.target} + {self.extra}"
        )
        return [f"{self.target} = {self.text}", *([more] if self.extra else [])]


@dataclass
class Program:
    """Leaves, constants and statements, with every value as NumPy computes it."""

    leaves: dict[str, Any] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)
    statements: list[Statement] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)  # of leaves and statements

    def add_leaf(self, value: Any) -> None:
        name = f"v{len(self.values)}"
        self.leaves[name] = self.values[name] = value

    def add(self, text: str, held: bool = False, extra: str | None = None) -> bool:
        """Appends a statement, if NumPy computes it without complaint and its values are moderate."""
        names = NAMES | self.values | self.constants
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                warnings.filterwarnings("ignore", "numpy.fix is deprecated")  # since NumPy 2.5
                value = eval(compiled(text), names)
                if extra:
                    if not np.size(value) or any(np.shares_memory(value, other) for other in self.values.values()):
                        return False  # which `+=` would change, too, or refuse: who has no element may be a view
                    total = value + eval(compiled(extra), names)
                    if np.ndim(value) and np.shape(total) != np.shape(value):
                        return False
                    value = total
        except (ValueError, TypeError, IndexError, ArithmeticError, RuntimeWarning, np.linalg.LinAlgError):
            return False
        if not isinstance(value, np.ndarray | np.floating) or value.dtype != np.float64 or value.size > MOST_ELEMENTS:
            return False
        if value.ndim > 4 or (value.size and not np.abs(value).max() <= LARGEST):
            return False
        name = f"v{len(self.values)}"
        self.values[name] = value
        self.statements.append(Statement(name, text, held, extra))
        return True

    @property
    def loss(self) -> str:
        """Every value that no statement uses, weighed and summed."""
        used = frozenset().union(*(s.uses for s in self.statements))
        ends = [name for name in self.values if name not in used] or list(self.values)[-1:]
        return " + ".join(self._weighed(name) for name in ends)

    def _weighed(self, name: str) -> str:
        shape = np.shape(self.values[name])
        weights = f"np.cos(np.arange({self.values[name].size}.0)).reshape({shape})"
        return f"np.sum({weights} * {name})" if shape else f"1.3 * {name}"

    def shuffled(self, rng: random.Random) -> list[Statement]:
        """The statements in another order in which each comes after those that it uses."""
        done, waiting, order = {*self.leaves, *self.constants}, list(self.statements), []
        while waiting:
            chosen = rng.choice([s for s in waiting if s.uses <= done])
            waiting.remove(chosen)
            done.add(chosen.target)
            order.append(chosen)
        return order

    def source(self, kind: str = "tensors", statements: list[Statement] | None = None, loss: str | None = None) -> str:
        arguments = ", ".join([*self.leaves, *self.constants, *(["held"] if kind == "arrays" else [])])
        lines = [line for s in statements or self.statements for line in s.lines(kind)]
        return "\n    ".join([f"def program({arguments}):", *lines, f"return {loss or self.loss}\n"])

    def function(self, kind: str = "tensors", names: dict[str, Any] = NAMES, **options: Any) -> Callable[..., Any]:
        space = dict(names)
        exec(self.source(kind, **options), space)
        return space["program"]

    def plain(self) -> Callable[..., Any]:
        """The loss as a function of the leaves' arrays, with what is held kept as it is."""
        function = self.function("arrays")
        return lambda *leaves: function(*leaves, *self.constants.values(), self.values)

    def reproducer(self) -> str:
        """A Python program that anybody can run."""
        show = lambda x: f"np.array({np.asarray(x).tolist()}, np.{np.asarray(x).dtype}).reshape({np.shape(x)})"
        leaves = [f"{name} = tg.Tensor({show(value)}, requires_grad=True)" for name, value in self.leaves.items()]
        constants = [f"{name} = tg.Tensor({show(value)})" for name, value in self.constants.items()]
        head = ["import numpy as np", "import tinygrad_edu as tg", "from tinygrad_edu import functional as F"]
        helper = HELPER.splitlines() if "dense(" in self.source() else []
        lines = [line for s in self.statements for line in s.lines("tensors")]
        end = [f"loss = {self.loss}", "loss.backward()", f"print(loss, *(t.grad for t in ({', '.join(self.leaves)},)))"]
        return "\n".join([*head, *helper, "", *leaves, *constants, *lines, *end])

    def without(self, k: int) -> Program | None:
        """The program without one statement; None where another needs it."""
        gone = self.statements[k]
        if any(gone.target in s.uses for s in self.statements):
            return None
        rest = [s for s in self.statements if s is not gone]
        values = {name: value for name, value in self.values.items() if name != gone.target}
        return Program(self.leaves, self.constants, rest, values) if rest else None
