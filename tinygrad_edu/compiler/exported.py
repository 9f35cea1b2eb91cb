"""Lines as data that JSON can hold: a program for the small evaluator of the pages, `pages/evaluate.js`.

Values are numbered: the inputs first, then the lines in their order; what a program holds itself, such as labels or
weights, has the numbers −1, −2, … A line is `[name, arguments, shape]`, then its options, if there are any, and its
dtype, if that is not float64. An argument is the number of a value, or null for None.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..autograd.broadcasting import sum_rows
from ..functional import activations, convolution, exponentials, losses, normal, normalization, pooling, targets
from ..functional.layers import _linear
from ..rules import blocks, differences, elementwise, movement, norms, products, reductions, running, shape, sorting
from ..rules.einsum import _einsum, _einsum_view
from ..rules.windows import _sliding_windows, _sum_of_windows
from .helpers import function_of
from .lines import Line, name_of

SMALL = 16  # elements of an array that is written as a list of numbers, which is legible

_OF_NUMPY = """
    absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh bitwise_and bitwise_or cbrt ceil copysign cos cosh
    deg2rad degrees divide equal exp exp2 expm1 fabs float_power floor floor_divide fmax fmin fmod greater greater_equal
    heaviside hypot isfinite isinf isnan less less_equal log log10 log1p log2 logaddexp logaddexp2 logical_and
    logical_not logical_or maximum minimum multiply negative not_equal positive power rad2deg radians reciprocal
    remainder rint sign sin sinh sqrt square subtract tan tanh trunc
    all any fix max mean min ones_like prod round std sum trace var zeros_like astype
""".split()  # noqa: SIM905
_OF_THE_PACKAGE = (
    [getattr(activations, name) for name in ("_elu", "_elu_slope", "_hardtanh", "_leaky_relu", "_where_positive",
                                             "log_sigmoid", "relu", "sigmoid", "softplus")]
    + [exponentials._softmax, exponentials._log_softmax, exponentials._logsumexp, normal.normal_cdf]
    + [getattr(losses, name) for name in ("_binary_cross_entropy", "_cross_entropy", "_cross_entropy_of_probabilities",
                                          "_mse_loss", "_of_each_probability")]
    + [targets._checked, targets._rows_of_labels]
    + [normalization._variance, normalization._standardised, normalization._slope]
    + [convolution._conv, convolution._conv_x, convolution._conv_w]
    + [getattr(pooling, name) for name in ("_max_pool", "_unpool", "_pick", "_sum_pool", "_spread")]
    + [_linear, sum_rows, _einsum]
    + [getattr(products, name) for name in ("product", "_dot", "_inner", "_tensordot", "_vdot", "_vecdot")]
    + [elementwise._astype, elementwise._clip, elementwise._copy, elementwise._where]
    + [elementwise.ratio, elementwise.slope_of_abs]
    + [reductions._chosen, reductions._even_share, reductions._where_chosen]
    + [getattr(shape, name) for name in ("_broadcast_to", "_concatenate", "_getitem", "_reshape", "_scatter",
                                         "_setitem", "_transpose")]
    + [blocks._flip, running._cumsum, running._cumprod, differences._differences, differences._differences_back]
    + [sorting._sort, sorting._order, sorting._reordered, movement._take_along_axis, movement._put_back]
    + [norms._two_norm, norms._p_norm, products._convolve]
)  # fmt: skip
KNOWN: dict[Any, str] = {function_of(f): name_of(f) for f in _OF_THE_PACKAGE}
KNOWN |= {getattr(np, name): name for name in (*_OF_NUMPY, "matvec", "vecmat") if hasattr(np, name)}  # from NumPy 2.2

# What only moves elements is known by where it takes them from; what it gives elsewhere, as `pad` does, is constant.
_MOVING = {
    function_of(getattr(blocks, name))
    for name in ("_diagonal", "_on_diagonal", "_pad", "_repeat", "_roll", "_tile", "_tril", "_triu")
} | {function_of(_einsum_view), function_of(_sliding_windows)}
# What adds elements where another function takes them from, and the options of that one
_ADDING: dict[Any, Any] = {
    function_of(blocks._sums_of_runs): lambda x, *, shape, **options: blocks._repeat(x, **options),
    function_of(blocks._folded): lambda x, **options: blocks._pad(x, values=0, **options),
    function_of(_sum_of_windows): lambda x, *, axes, window: _sliding_windows(x, window=window, axes=axes),
}
KNOWN |= dict.fromkeys(_MOVING, "moved") | dict.fromkeys(_ADDING, "added_back")

# What is given by position although it is no array
_OPTIONS: dict[Any, tuple[str, ...]] = {
    function_of(reductions._even_share): ("axis", "initial"),
    function_of(sorting._order): ("axis",),
    np.astype: ("dtype",),
}
_KINDS = {"f8": "float64", "f4": "float32", "b1": "bool"}


class Unknown(TypeError):
    """Something that the evaluator of the pages cannot compute, in a few words."""


def exported(
    lines: Iterable[Line], inputs: Sequence[Line], outputs: Sequence[Line], fixed: Mapping[Line, Any] | None = None
) -> dict[str, Any]:
    """The program that computes the `outputs`, given the `inputs`; `fixed` has the values of lines that are computed
    from nothing and are not inputs, such as a network's weights. Lines that no output needs are left out.

    Raises `Unknown` with a line whose function, options or dtype the evaluator does not know.
    """
    fixed = fixed or {}
    made: dict[str, Any] = {"inputs": [[line.shape, kind_of(line.dtype)] for line in inputs], "constants": []}
    number = {line: k for k, line in enumerate(inputs)}
    known: dict[Any, int] = {}

    def constant(value: Any) -> int:
        array = np.asarray(value)
        key = array.shape, array.dtype, array.tobytes()
        if key not in known:
            made["constants"].append(held(array))
            known[key] = -len(made["constants"])
        return known[key]

    def numbered(value: Any) -> int:
        if isinstance(value, Line):
            if value not in number and value in fixed:
                number[value] = constant(fixed[value])
            return number[value]
        return constant(value)

    for line in (needed := _needed(lines, outputs)):
        if function_of(line.function) not in KNOWN:
            raise Unknown(f"the page cannot compute {name_of(line.function)}")
    made["lines"] = []
    for line in needed:
        made["lines"].append(_written(line, numbered))
        number[line] = len(inputs) + len(made["lines"]) - 1
    made["outputs"] = [numbered(line) for line in outputs]
    return made


def _needed(lines: Iterable[Line], outputs: Sequence[Line]) -> list[Line]:
    """The lines that the outputs follow from."""
    needed: set[Line] = set()
    waiting = list(outputs)
    while waiting:
        line = waiting.pop()
        if isinstance(line, Line) and line not in needed:
            needed.add(line)
            waiting.extend(line.operands())
    return [line for line in lines if line in needed]


def _written(line: Line, numbered: Any) -> list[Any]:
    function = function_of(line.function)
    named = _OPTIONS.get(function, ())
    args = line.args[: len(line.args) - len(named)]
    options = dict(zip(named, line.args[len(args) :], strict=True)) | line.options
    order = options.pop("order", None) if KNOWN[function] in ("reshape", "copy") else None  # a copy's is of its memory
    if function in _MOVING or function in _ADDING or (KNOWN[function] == "reshape" and order == "F"):
        return _moved(line, function, line.options, numbered)
    for name in ("dtype", "copy", "optimize", "casting", "kind", "stable"):  # the line has its dtype; else, one result
        options.pop(name, None)
    if "index" in options:
        whole = options["shape"] if name_of(function) == "scatter" else args[0].shape
        options["index"] = _index(options["index"], tuple(whole), numbered)
    arguments = [None if a is None else numbered(a) for a in args]
    settings = {name: _setting(value, numbered) for name, value in options.items() if value is not None}
    written: list[Any] = [KNOWN[function], arguments, line.shape]
    if settings or line.dtype != np.float64:
        written.append(settings)
    return written if line.dtype == np.float64 else [*written, kind_of(line.dtype)]


def _moved(line: Line, function: Any, options: Mapping[str, Any], numbered: Any) -> list[Any]:
    """What only moves elements, by their numbers, or adds them where they are moved from."""
    [x] = line.args
    if function in _ADDING:
        if function is function_of(_sum_of_windows):
            options = {**options, "window": x.shape[x.ndim - len(options["axes"]) :]}
        places = _numbers(line.shape, lambda numbers: _ADDING[function](numbers, **options))[0]
        return _of_dtype(["added_back", [numbered(x), numbered(places)], line.shape], line)
    places, others = _numbers(x.shape, lambda numbers: function(numbers, **options))
    more = [numbered(others.astype(line.dtype))] if others.any() else []
    return _of_dtype(["moved", [numbered(x), numbered(places), *more], line.shape], line)


def _numbers(size: tuple[int, ...], moved: Any) -> tuple[Any, Any]:
    """Where a function takes each element from in an array of a shape, -1 for those that it gives itself; and those."""
    numbers = np.arange(1.0, 1 + np.prod(size)).reshape(size)
    once, again = moved(numbers), moved(-numbers)
    return np.where(once == again, -1, once - 1).astype(int), np.where(once == again, once, 0)


def _of_dtype(written: list[Any], line: Line) -> list[Any]:
    return written if line.dtype == np.float64 else [*written, {}, kind_of(line.dtype)]


def _setting(value: Any, numbered: Any) -> Any:
    """An option: lines and arrays as `{"value": number}`."""
    if isinstance(value, list | tuple):
        return [_setting(v, numbered) for v in value]
    if isinstance(value, Line) or (isinstance(value, np.ndarray) and value.ndim):
        return {"value": numbered(value)}
    if isinstance(value, np.generic | np.ndarray):
        value = value.item()
    if value is None or isinstance(value, bool | int | str | dict):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else {"value": numbered(value)}
    raise Unknown(f"the page does not know the option {value!r}")


def _index(index: Any, whole: tuple[int, ...], numbered: Any) -> list[Any]:
    """An index, with an item for each axis: a whole number from 0, a slice as [first, step, count], an array of whole
    numbers as `{"value": number}`, or null for a new axis."""
    items: list[Any] = []
    for item in index if isinstance(index, tuple) else (index,):
        if isinstance(item, list):
            item = np.asarray(item)
        items += np.nonzero(item) if isinstance(item, np.ndarray) and item.dtype == bool and item.ndim else [item]
    left = len(whole) - sum(item is not None and item is not Ellipsis for item in items)
    where = next((k for k, item in enumerate(items) if item is Ellipsis), len(items))
    items[where : where + 1] = [slice(None)] * left
    written: list[Any] = []
    sizes = iter(whole)
    for item in items:
        if item is None:
            written.append(None)
            continue
        n = next(sizes)
        if isinstance(item, slice):
            steps = range(n)[item]
            written.append([steps.start, steps.step, len(steps)])
        elif isinstance(item, Line) or np.ndim(item):
            written.append({"value": numbered(item)})
        elif isinstance(item, int | np.integer | np.ndarray) and np.asarray(item).dtype != bool:
            written.append(int(item) % n)
        else:
            raise Unknown("the page does not know this kind of index")
    return written


def held(value: Any) -> Any:
    """An array as a program holds it: `[shape, dtype, numbers]`, where many numbers are the base64 of their bytes, of
    which the lowest comes first; a single float64 is a plain number."""
    array = np.asarray(value)
    kind = kind_of(array.dtype)
    if array.size <= SMALL and np.isfinite(array).all():
        return array.item() if kind == "float64" and not array.ndim else [array.shape, kind, array.ravel().tolist()]
    stored = array.astype({"bool": "u1", "float32": "<f4"}.get(kind, "<f8"))
    return [array.shape, kind, base64.b64encode(stored.tobytes()).decode()]


def kind_of(dtype: np.dtype[Any]) -> str:
    """What the evaluator calls a dtype; all whole numbers are one kind there."""
    kind = "int64" if dtype.kind in "iu" else _KINDS.get(f"{dtype.kind}{dtype.itemsize}")
    if kind is None:
        raise Unknown(f"the page does not compute in {dtype}")
    return kind
