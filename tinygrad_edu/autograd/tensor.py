"""`Tensor`: an array that remembers how it was computed, so that it can be differentiated."""

from __future__ import annotations

from collections.abc import Sequence
from sys import getrefcount
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike as ArrayConvertible
from numpy.typing import DTypeLike, NDArray

from . import primitives
from .accumulation import note_follower, note_sum, sums
from .conversion import constant_value, numeric, shape_of, widened
from .engine import Node, Record, changed_since, mark_changed, next_order, pullback
from .operators import ArrayLike
from .primitives import Options, Primitive
from .recording import is_recording

_new = object.__new__
_NOTHING = (None, None, None)  # what the record of an operator keeps when its rules read nothing


class Origin(NamedTuple):
    """What a tensor was made of, kept while the tensor lives, for losses that compute from it instead."""

    primitive: Primitive
    options: Options
    value: Any = None  # the argument as it was
    node: Node | None = None
    order: int = 0
    earlier: Any = None  # where `primitive` only moved the elements: the origin of those


class Tensor(ArrayLike):
    """An array with its derivative.

    `data` is anything `np.asarray` takes (an `ndarray` is shared, not copied); Python floats give float64, and
    float32 stays float32. With `requires_grad=True`, what is computed from the tensor is recorded, and `backward()`
    on a result adds its gradient to `.grad`. Raises `TypeError` for data that is not numeric, and for
    `requires_grad=True` on integer, boolean or complex data, which have no gradient.

    >>> x = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> y = np.sum(x**2)
    >>> y.backward()
    >>> x.grad
    array([2., 4., 6.])
    >>> x * 2
    Tensor([2., 4., 6.], record=multiply)
    """

    __slots__ = ("__weakref__", "_data", "_grad", "_name", "_origin", "_requires_grad", "record")

    # A 0-d result stays a NumPy scalar inside (arithmetic on those is several times as fast as on 0-d arrays) and
    # becomes an array when somebody asks for `data`.
    _data: Any
    record: Record | None  # how it was computed; None for leaves and for whatever was not recorded
    _origin: Origin | None  # set by the few primitives that mark it

    def __init__(
        self,
        data: ArrayConvertible,
        requires_grad: bool = False,
        *,
        dtype: DTypeLike | None = None,
        name: str | None = None,
    ) -> None:
        self._data = numeric(data, dtype)
        self.record = None
        self._grad: NDArray[Any] | None = None
        self._name = name
        self._requires_grad = False
        self.requires_grad = requires_grad

    # The array and its properties

    @property
    def data(self) -> NDArray[Any]:
        """The values. Assigning an array rebinds them: records keep the array that they saw."""
        if primitives.tracing and self._becomes_symbol():
            return self.data
        if not isinstance(self._data, np.ndarray):
            self._data = np.asarray(self._data)
        array: NDArray[Any] = self._data
        return array

    @data.setter
    def data(self, value: ArrayConvertible) -> None:
        self._bind(value)

    def _bind(self, value: ArrayConvertible) -> None:
        if primitives.tracing and self._becomes_symbol():
            self._bind(value)
            return
        self._origin = None
        if value is self._data:  # what `t.data -= step` ends with
            mark_changed(value)
            return
        array = numeric(value, None)
        if array.shape != self._data.shape:
            raise ValueError(f"data of shape {array.shape} assigned to a tensor of shape {self.shape}; make a new one")
        if self.requires_grad and array.dtype.kind != "f":
            raise TypeError(f"data of dtype {array.dtype} assigned to a tensor that requires grad; assign floats")
        if array.dtype != self._data.dtype:
            self._grad = None  # it had the old dtype
        self._data = array

    @property
    def grad(self) -> NDArray[Any] | None:
        """The gradient accumulated by `backward()`, of the shape and dtype of `data`; None before."""
        return self._grad

    @grad.setter
    def grad(self, value: NDArray[Any] | None) -> None:
        if value is not None and (not isinstance(value, np.ndarray) or value.shape != self.shape):
            raise ValueError(f"grad of a tensor of shape {self.shape} must be an array of that shape or None")
        new = None if value is None else value.astype(self.dtype, copy=False)
        if new is not None and new is not self._grad and id(self._grad) in sums:
            note_follower(new, self._grad)  # such as p.grad = p.grad * scale: still a sum
        self._grad = new

    @property
    def requires_grad(self) -> bool:
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and self._data.dtype.kind != "f":
            raise TypeError(
                f"requires_grad=True on data of dtype {self._data.dtype}: only real floats have a gradient. "
                "Write floats ([1., 2.]) or pass dtype=float"
            )
        if not value and self.record is not None:
            raise RuntimeError("this tensor is recorded; use detach() for its values without the record")
        self._requires_grad = bool(value)
        self._origin = None  # a leaf is made of nothing

    @property
    def name(self) -> str | None:
        """A name for error messages and drawings."""
        return self._name if self.record is None else self.record.name

    @name.setter
    def name(self, value: str | None) -> None:
        if self.record is None:
            self._name = value
        else:
            self.record.name = value

    @property
    def shape(self) -> tuple[int, ...]:
        return self._data.shape  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        return int(self._data.size)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._data.dtype  # type: ignore[no-any-return]

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user rather than recorded; `backward()` fills the `.grad` of leaves only."""
        return self.record is None

    # Differentiation

    def backward(self, gradient: ArrayConvertible | None = None, *, retain_graph: bool = False) -> None:
        """Adds the gradient of this tensor with respect to every leaf that requires it to that leaf's `.grad`.

        `gradient` is that of the final result with respect to this tensor, of its shape; a tensor of one element
        needs none (1). The record is released on the way unless `retain_graph=True`. Raises `ValueError` if the
        gradient is missing or its shape is wrong, `RuntimeError` if nothing was recorded, if the graph was released
        by an earlier call, or if data that it needs was changed in place.
        """
        if self.record is None:
            raise RuntimeError(
                "backward() on a leaf: nothing was computed from it yet. Compute a loss and call backward() on that"
                if self.requires_grad
                else "backward() on a tensor with nothing recorded: none of what it was computed from requires grad "
                "(make those with requires_grad=True), or it was computed under no_grad() or detached"
            )
        seed = self._seed(gradient)
        gradients = pullback(self.record, seed, release=not retain_graph)
        seen = {id(seed)}
        for leaf, g in gradients.items():
            if not isinstance(g, np.ndarray) or id(g) in seen or not (g.base is None or _is_all_of_its_base(g)):
                g = np.array(g)  # a leaf's gradient is an array of its own
            seen.add(id(g))
            if leaf._grad is None:
                leaf._grad = g
            else:
                total = np.asarray(leaf._grad + g)
                note_sum(total, leaf._grad)
                leaf._grad = total

    def _seed(self, gradient: ArrayConvertible | None) -> Any:
        if gradient is None:
            if self.size != 1:
                raise ValueError(
                    f"backward() on a tensor of shape {self.shape}: only a single number has a gradient. Reduce it "
                    "with .sum() or .mean(), or pass backward(gradient) of the same shape"
                )
            return np.ones(self.shape, self.dtype)[()]
        seed = np.asarray(gradient, dtype=self.dtype)
        if seed.shape != self.shape:
            raise ValueError(f"backward(gradient) of shape {seed.shape} on a tensor of shape {self.shape}")
        return seed[()]

    def zero_grad(self) -> None:
        """Forgets the accumulated gradient."""
        self._grad = None

    def detach(self) -> Tensor:
        """A tensor of the same array (not a copy) without its record."""
        if primitives.tracing and self._becomes_symbol():
            return self.detach()
        return _unrecorded(self._data)

    # Values, without the record

    def numpy(self) -> NDArray[Any]:
        """The array itself (not a copy), cut off from the record."""
        return self.data

    def item(self) -> Any:
        """The value of a tensor of one element as a Python number."""
        if primitives.tracing and self._becomes_symbol():
            return self.item()
        if self.size != 1:
            raise ValueError(f"only a tensor of one element is a number; this one has shape {self.shape}")
        return self._data.item()

    def tolist(self) -> Any:
        return self.data.tolist()

    def astype(self, dtype: DTypeLike) -> Tensor:
        """The values in another precision; the gradient comes back in this tensor's."""
        if self._requires_grad and np.dtype(dtype).kind != "f":
            raise TypeError(
                f"astype({np.dtype(dtype)}) would drop the gradient: use t.detach().astype(…) if you mean it"
            )
        return self._call(np.astype, self, np.dtype(dtype))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if primitives.tracing and self._becomes_symbol():
            return self.__array__()
        released = self.record is not None and self.record.saved is None
        if self._requires_grad and not released and is_recording():
            raise TypeError(
                f"making a plain array of a Tensor that requires grad (shape {self.shape}) would drop its gradient. "
                "To join tensors use np.stack, np.concatenate or np.column_stack; for the values .numpy() or .detach()"
            )
        return np.array(self._data, dtype=dtype, copy=copy)

    @property
    def _mask(self) -> Any:
        """What functions of masked arrays ask for after they have helped themselves to `_data`."""
        self.__array__()  # refuses where that would drop a gradient
        raise AttributeError("_mask")

    def __getstate__(self) -> object:
        """For `copy.deepcopy` and pickles, of leaves only. Raises `TypeError` for a recorded tensor."""
        if primitives.tracing and self._becomes_symbol():
            return self.__getstate__()
        if self.record is not None:
            raise TypeError(
                f"a tensor of shape {self.shape} that '{self.record.primitive.name}' computed is copied or pickled: "
                "its record stays here, and its gradient would be lost. Take .detach(), or drop it from what is copied"
            )
        attributes, slots = cast(tuple[Any, dict[str, Any]], super().__getstate__())
        return attributes, slots | {"_origin": None}

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(f"the truth of a tensor of shape {self.shape} is ambiguous; use np.any(t) or np.all(t)")
        return bool(self.item())

    def __index__(self) -> int:
        if self._data.dtype.kind not in "iu":
            raise TypeError(f"only an integer tensor can be an index, not {self.dtype}")
        return int(self.item())

    def __setitem__(self, index: Any, value: Any) -> None:
        if self._requires_grad or (isinstance(value, Tensor) and value.requires_grad and is_recording()):
            raise TypeError(
                "assigning into a tensor that is recorded or requires grad: the gradient could not follow. "
                "Compute a new one, as np.where(mask, new, t), or assign to t.data (a new array) between steps"
            )
        self.data[_plain_index(index)] = value._data if isinstance(value, Tensor) else value
        mark_changed(self.data)
        self._origin = None

    def __iadd__(self, other: Any) -> Any:
        self._refuse_rebinding("+=")
        return self + other

    def __isub__(self, other: Any) -> Any:
        self._refuse_rebinding("-=")
        return self - other

    def __imul__(self, other: Any) -> Any:
        self._refuse_rebinding("*=")
        return self * other

    def _refuse_rebinding(self, operator: str) -> None:
        """A tensor is not changed by `t -= step`: under `no_grad` that would leave a parameter unchanged and bind the
        name to one that does not learn."""
        if self._requires_grad and self.record is None and not is_recording():
            raise TypeError(
                f"t {operator} … under no_grad() would not change the parameter (of shape {self.shape}), but make a "
                f"new tensor that does not require grad. Write t.data {operator} …, or use an optimiser"
            )

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __repr__(self) -> str:
        if primitives.tracing and self._becomes_symbol():
            return repr(self)
        text = np.array2string(self.data, separator=", ", prefix="Tensor(")
        parts = [text]
        if self.dtype != np.float64:
            parts.append(f"dtype={self.dtype}")
        if self.record is not None:
            parts.append(f"record={self.record.primitive.name}")
        elif self._requires_grad:
            parts.append("requires_grad=True")
        if self.name:
            parts.append(f"name={self.name!r}")
        return f"Tensor({', '.join(parts)})"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """In a notebook, what it was computed by: a drawing, or its source where nothing can lay it out."""
        drawn: dict[str, str] = {}
        if self.record is not None:
            from ..graph.render import draw_graph

            drawn = draw_graph(self)._repr_mimebundle_()
        return drawn | {"text/plain": repr(self)}

    # Recording

    def argument_of(self, primitive: Primitive) -> Tensor | None:
        """What `primitive` was applied to, if that made this tensor (its elements may have been moved since)."""
        if primitives.tracing and self._becomes_symbol():
            return self.argument_of(primitive)
        origin = getattr(self, "_origin", None)
        moves = []
        while origin is not None and origin.primitive is not primitive:
            moves.append(origin)
            origin = origin.earlier
        if origin is None or changed_since(origin.value, origin.order):
            return None
        t = _unrecorded(origin.value) if origin.node is None else rebuilt(origin.value, origin.node)
        for move in reversed(moves):
            t = move.primitive(t, **move.options)
        return t

    def _value(self) -> Any:
        if primitives.tracing and self._becomes_symbol():
            return self._value()
        return self._data

    def _becomes_symbol(self) -> bool:
        """Whether a function is being traced in this thread. Then the tensor, which the function has from elsewhere,
        is a symbol from now on, until the trace is done."""
        from ..compiler.tracing import capture

        return capture(self)

    def _node(self) -> Node | None:
        """Where the record of this tensor goes on: its record, itself if it is a leaf, None if it is constant."""
        return self.record if self.record is not None else self if self._requires_grad else None

    def _apply(self, primitive: Primitive, args: tuple[Any, ...], options: Options) -> Tensor:
        if primitives.tracing and self._becomes_symbol():
            return self._apply(primitive, args, options)
        args, options = primitive.bind(args, options)
        values: list[Any] = []
        nodes: list[Node | None] = []
        needed: list[bool] = []
        for a in args:
            if isinstance(a, Tensor):
                values.append(a._data)
                node: Node | None = a.record
                if node is None and a._requires_grad:
                    node = a
            else:
                values.append(constant_value(a))
                node = None
            nodes.append(node)
            needed.append(node is not None)
        mode = is_recording()
        if mode and True in needed:
            y = primitive.forward(*values, **options)
            if y.__class__ is not np.ndarray or y.dtype.kind != "f":
                y = _differentiable(primitive, y)
            saved = primitive.picks[tuple(needed)]((None, y, *values))
            constants = _constants(args, nodes) if False in needed else None
            t = _recorded(primitive, y, tuple(nodes), None, None, saved, options or None, constants)
            if mode is not True:
                mode(t.record, t._data, values)
        else:
            if not primitive.moves:
                values = [widened(v) for v in values]
            t = _unrecorded(primitive.forward(*values, **options))
        if primitive.marks_origin:
            t._origin = Origin(primitive, options, values[0], nodes[0] if t._requires_grad else None, next_order())
        elif primitive.moves and (earlier := getattr(args[0], "_origin", None)) is not None:
            t._origin = Origin(primitive, options, earlier=earlier)
        return t

    def _binary(self, primitive: Primitive, a: Any, b: Any) -> Tensor:
        """`_apply` for an operator: the same, unrolled, because a scalar's arithmetic is mostly this."""
        if primitives.tracing and self._becomes_symbol():
            return self._binary(primitive, a, b)
        if isinstance(a, Tensor):
            x = a._data
            node_a = a.record if a.record is not None else a if a._requires_grad else None
        else:
            x, node_a = constant_value(a), None
        if isinstance(b, Tensor):
            z = b._data
            node_b = b.record if b.record is not None else b if b._requires_grad else None
        else:
            z, node_b = constant_value(b), None
        mode = is_recording()
        if not mode or (node_a is None and node_b is None):
            return _unrecorded(primitive.forward(widened(x), widened(z)))
        y = primitive.forward(x, z)
        keep = primitive.kept[node_a is not None, node_b is not None]
        saved = _NOTHING if keep is None else (y if keep[0] else None, x if keep[1] else None, z if keep[2] else None)
        constants = None if node_a is not None and node_b is not None else _constants((a, b), (node_a, node_b))
        t = _recorded(primitive, y, None, node_a, node_b, saved, None, constants)
        if mode is not True:
            mode(t.record, y, (x, z))
        return t


def _is_all_of_its_base(view: Any) -> bool:
    """Whether a view, such as a transposed product, has for itself alone what it is a view of."""
    base = view.base
    return isinstance(base, np.ndarray) and getrefcount(base) == 3 and base.size == view.size and view.flags.writeable


def _differentiable(primitive: Primitive, y: Any) -> Any:
    """What a primitive gave, refused unless it is one array (or number) of floats."""
    if isinstance(y, float):
        y = np.float64(y)
    if not isinstance(y, np.ndarray | np.generic):
        raise TypeError(f"{primitive.name} must give one array, got {type(y).__name__}")
    if y.dtype.kind != "f":
        raise TypeError(
            f"{primitive.name} of a tensor that requires grad gave {y.dtype}, which has no gradient; use .detach() "
            "if none is wanted"
        )
    return y


def _recorded(
    primitive: Primitive,
    y: Any,
    nodes: tuple[Node | None, ...] | None,
    left: Node | None,
    right: Node | None,
    saved: tuple[Any, ...],
    options: Options | None,
    constants: Any,
) -> Tensor:
    record = _new(Record)
    record.order = next_order()
    record.primitive = primitive
    record.nodes = nodes
    record.left = left
    record.right = right
    record.constants = constants
    record.saved = saved
    record.options = options
    record.kind = kind = y.__class__
    record.shape_and_dtype = (y.shape, y.dtype) if kind is np.ndarray else None
    record.name = None
    record.calls = ()
    t = _new(Tensor)
    t._data = y
    t.record = record
    t._grad = None
    t._requires_grad = True
    return t


def _constants(args: tuple[Any, ...], nodes: Sequence[Node | None]) -> Any:
    """The shapes and names of the constant arrays among the arguments, for drawings; None without any."""
    described: list[Any] | None = None
    for k, node in enumerate(nodes):
        if node is None:
            arg = args[k]
            shape, name = shape_of(arg), getattr(arg, "name", None)
            if shape or name:
                described = described or [None] * len(nodes)
                described[k] = shape, name
    return described and tuple(described)


def _unrecorded(value: Any) -> Tensor:
    t = _new(Tensor)
    t._data = value
    t.record = t._grad = t._name = None
    t._requires_grad = False
    return t


def rebuilt(value: Any, node: Node) -> Tensor:
    """The tensor that had `value` when it was recorded as `node`, to read a rule with tensors."""
    if isinstance(node, Tensor) and node._data is value:
        return node
    t = _unrecorded(value)
    t.record = node
    t._requires_grad = True
    return t


def _plain_index(index: Any) -> Any:
    if isinstance(index, tuple):
        return tuple(_plain_index(i) for i in index)
    return index._data if isinstance(index, Tensor) else index
