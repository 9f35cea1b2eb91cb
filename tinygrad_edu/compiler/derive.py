"""`derive`: the derivation of a function, written by reading the rules with symbols, to be printed and to be called."""

from __future__ import annotations

import builtins
import inspect
import keyword
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..autograd.locks import holding
from ..autograd.recording import array_of
from ..autograd.tensor import Tensor
from ..nn.layers import Dense, Module
from . import source as writing
from .derivation import Derivation
from .helpers import log_softmax, one_hot, sigmoid, softmax
from .program import Programs, Scalar
from .repeatable import repeatable
from .rows import General, examples_of, generalised
from .trial import holds

Parameters = Module | Tensor | Iterable[Tensor] | Mapping[str, Tensor]


class Derived:
    """A function with its gradient, derived once: `.source` and `.latex()` print the derivation, and
    `value, gradients = d(*inputs)` runs it.

    The gradients are a list of arrays, in the order of the parameters or, if there are none, of the float inputs; None
    stands for one that the value does not depend on. For inputs of other shapes the function is derived anew.
    """

    def __init__(self, fun: Callable[..., Scalar], examples: Sequence[Any], parameters: Parameters) -> None:
        self._fun = fun
        self._lock = threading.RLock()
        named = _named(parameters)
        self._parameters = list(named.values())
        if len(set(map(id, self._parameters))) < len(self._parameters):
            raise ValueError("derive: a parameter was given twice")
        arrays = [array_of(e, "derive: an input holds") for e in examples]
        self._derivation = self._derive(arrays)
        taken: set[str] = set(RESERVED)
        parameter_names = [_free(name, taken) for name in named]
        self._names = [_free(name, taken) for name in _inputs_of(fun, examples)]
        others = [_free(t.name or f"constant_{k}", taken) for k, t in enumerate(self._derivation.captured, 1)]
        self._names_of_all = [*self._names, *parameter_names, *others]
        self._examples = examples_of(arrays)
        instead = "Derive another function, or use value_and_grad, which records"
        self._programs = Programs(self._parameters, "derive", instead)
        self._programs.add(arrays, self._derivation)

    def _derive(self, arrays: list[NDArray[Any]]) -> Derivation:
        return repeatable(lambda: self._traced(arrays))

    def _traced(self, arrays: list[NDArray[Any]]) -> Derivation:
        """Enough for other inputs of a function that has been found to be repeatable."""
        wanted = [] if self._parameters else [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
        found = Derivation(self._fun, arrays, self._parameters, wanted)
        for t in found.captured:
            if t.requires_grad:
                raise TypeError(
                    f"a tensor of shape {t.shape} that requires grad is used, but is not among the parameters of the "
                    "derivation; pass it as one, or detach() it"
                )
        return found

    @property
    def source(self) -> str:
        """A Python module that runs with NumPy alone, and SciPy where that is called:
        `value_and_gradients(inputs…, parameters…)`, which returns the value and a tuple of the gradients, in the lines
        that a person would write.

        It holds for any number of rows, m, of the inputs; other axes are as long as those of the examples. Where it
        cannot be written for any number of rows, it says so at its top and refuses inputs of other shapes.
        """
        return writing.source(self._general, self._names_of_all)

    def latex(self) -> str:
        """The same lines as formulas, an `aligned` block for a page or a notebook."""
        return writing.latex(self._general, self._names_of_all)

    @property
    def _general(self) -> General:
        """What can be written at this moment: arrays and numbers that the function reads may have changed."""
        general = generalised(self._derive(self._examples.resized({})), self._examples, self._traced)
        parameters = [p.data for p in self._parameters]
        if general.is_general:
            source = writing.source(general, self._names_of_all)
            if not holds(source, general, self._examples, self._traced, parameters):
                of_examples = self._derive(self._examples.resized({}))
                return General(of_examples, self._examples.shapes, is_general=False)
        return general

    def __call__(self, *inputs: Tensor | ArrayLike) -> tuple[np.floating[Any], list[NDArray[Any] | None]]:
        arrays = [array_of(a, "derive: an input holds") for a in inputs]
        if len(arrays) != len(self._names):
            raise TypeError(
                f"this derivation takes {len(self._names)} inputs ({', '.join(self._names)}), got {len(arrays)}"
            )
        program = self._programs.find(arrays, self._derive)
        return holding(self._lock, self._run, program, arrays)  # the program has one memory

    def _run(self, program: Any, arrays: list[NDArray[Any]]) -> tuple[np.floating[Any], list[NDArray[Any] | None]]:
        value, *gradients = program.run(*arrays, *(p.data for p in self._parameters))
        number: Any = np.array(value)[()]
        return number, [None if g is None else np.array(g) for g in gradients]

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(
            "a derivation cannot be copied or pickled: it belongs to one function and its parameters. Keep its "
            ".source, or call derive for the copy"
        )

    def __repr__(self) -> str:
        return f"Derived({', '.join(self._names)})"

    def _repr_latex_(self) -> str:
        return f"$${self.latex()}$$"


def derive(fun: Callable[..., Scalar], *examples: Tensor | ArrayLike, parameters: Parameters = ()) -> Derived:
    """The derivation of `fun(*examples)`, a scalar: its forward and its backward pass as readable NumPy source, and as
    a function that runs them without recording.

    The examples only give shapes and dtypes. `parameters` is a model, tensors, or a dict of tensors by name. They
    become named inputs of the source, and a call computes with the arrays that they hold at that time. The weights and
    biases of a model's `Dense` layers are called W1, b1, W2, b2, …

    Raises `TypeError`, with the line of code, if the function looks at values (a Python branch on data, `float()`), if
    it uses tensors that require grad and are not among the parameters, or if it does not return a scalar.

    >>> derived = tg.derive(lambda x: np.sum(x**2), np.ones(2))
    >>> derived(np.array([1.0, 3.0]))
    (np.float64(10.0), [array([2., 6.])])
    >>> print(derived.source[derived.source.index("def value") :].rstrip())
    def value_and_gradients(x):
        # forward
        J = np.sum(x ** 2)
        # backward
        dx = 2 * x          # (m,)
        return J, (dx,)
    """
    return Derived(fun, examples, parameters)


def _named(parameters: Parameters) -> dict[str, Tensor]:
    if isinstance(parameters, Module):
        named: dict[str, Tensor] = {}
        layers = [m for m in parameters.modules() if isinstance(m, Dense)]
        short = {id(t): f"{letter}{k}" for k, m in enumerate(layers, 1)
                 for letter, t in (("W", m.weight), ("b", m.bias)) if t is not None}  # fmt: skip
        for name, p in parameters.named_parameters():
            named[short.get(id(p), name)] = p
        return named
    if isinstance(parameters, Mapping):
        return dict(parameters)
    tensors = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    named = {}
    for k, p in enumerate(tensors, 1):
        name = p.name or f"p{k}"
        named[name if name not in named else f"{name}_{k}"] = p
    return named


HELPERS = sigmoid, softmax, log_softmax, one_hot
RESERVED = {"m", "np", "special", "J", "value_and_gradients", *dir(builtins), *(helper.__name__ for helper in HELPERS)}


def _free(name: str, taken: set[str]) -> str:
    """A Python name like `name` that is not taken yet, which it takes."""
    text = re.sub(r"\W", "_", name)
    text = f"p_{text}" if not text or text[0].isdigit() else text
    while text in taken or keyword.iskeyword(text):
        text += "_"
    taken.add(text)
    return text


def _inputs_of(fun: Callable[..., Any], examples: Sequence[Any]) -> list[str]:
    """The inputs' names: those of the tensors given, else those of the function's parameters."""
    try:
        own = [p.name for p in inspect.signature(fun).parameters.values() if p.kind in (p.POSITIONAL_ONLY,
               p.POSITIONAL_OR_KEYWORD)]  # fmt: skip
    except (TypeError, ValueError):
        own = []
    names: list[str] = []
    for k, example in enumerate(examples):
        names.append(getattr(example, "name", None) or (own[k] if k < len(own) else f"x{k + 1}"))
    return names
