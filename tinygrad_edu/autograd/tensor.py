"""`Tensor`: an array that remembers how it was computed, so that it can be differentiated."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike as ArrayConvertible
from numpy.typing import DTypeLike, NDArray

from .assignment import assign, changed
from .call_site import _dropped_by_array, _dropped_by_copy
from .conversion import numeric
from .engine import pullback
from .hooks import Hookable, explain_missing
from .inplace import is_written_over, mark_assigned, mark_changed
from .operators import ArrayOperand
from .record import Node, Record
from .recording import interpreter, is_recording
from .views import Ties, set_apart

_new = object.__new__
_NO_OPTIONS: dict[str, Any] = {}


def made(value: Any, record: Node | None) -> Tensor:
    """The tensor of a computed value, which was recorded as `record`, or not."""
    t = _new(Tensor)
    t._value = value
    t.record = record
    t._grad = t._name = t._ties = None
    t._requires_grad = record is not None
    return t


class Tensor(ArrayOperand, Hookable):
    """An array that records what is computed from it, and its gradient.

    `data` is anything `np.asarray` takes, of any shape (an `ndarray` is shared, not copied), and `name` stands in error
    messages and drawings. Python floats give float64, and
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

    __slots__ = ("__weakref__", "_grad", "_hooks", "_name", "_requires_grad", "_stale", "_stepped", "_ties", "_value",
                 "record")  # fmt: skip

    # A 0-d result stays a NumPy scalar inside (arithmetic on those is several times as fast as on 0-d arrays) and
    # becomes an array when somebody asks for `data`.
    _value: Any
    _ties: Ties | None
    record: Record | None  # how it was computed; None for leaves and for whatever was not recorded
    _stepped: bool  # of a leaf: whether an optimiser's step has used the gradient …
    _stale: bool  # … and whether backward() has added to it since: then zero_grad() was forgotten, and step() warns

    def __init__(
        self,
        data: ArrayConvertible,
        requires_grad: bool = False,
        *,
        dtype: DTypeLike | None = None,
        name: str | None = None,
    ) -> None:
        self._value = numeric(data, dtype)
        self.record = None
        self._grad: NDArray[Any] | None = None
        self._name = name
        self._ties = None
        self._requires_grad = False
        self.requires_grad = requires_grad

    # The array and its properties

    @property
    def data(self) -> NDArray[Any]:
        """The values. Assigning an array rebinds them: records keep the array that they saw."""
        array: NDArray[Any] = interpreter().data(self)
        return array

    @data.setter
    def data(self, value: ArrayConvertible) -> None:
        if interpreter().assigns(self, value):
            return
        if value is self._value:  # what `t.data -= step` ends with
            if self._ties is not None:
                self._ties.origin = None
            mark_changed(value)
            return
        array = numeric(value, None)
        if array.shape != self._value.shape:
            raise ValueError(f"data of shape {array.shape} assigned to a tensor of shape {self.shape}; make a new one")
        if self.requires_grad and array.dtype.kind != "f":
            raise TypeError(f"data of dtype {array.dtype} assigned to a tensor that requires grad; assign floats")
        if array.dtype != self._value.dtype:
            self.grad = None  # it had the old dtype
        self._value = array
        set_apart(self)
        if self.record is None:
            mark_assigned(self)

    @property
    def grad(self) -> NDArray[Any] | None:
        """The gradient accumulated by `backward()`, of the shape and dtype of `data`; None before. That of a computed
        tensor is kept after `retain_grad()` only, and reading it otherwise warns."""
        if self._grad is None and self.record is not None:
            explain_missing(self)
        return self._grad

    @grad.setter
    def grad(self, value: NDArray[Any] | None) -> None:
        if value is not None and (not isinstance(value, np.ndarray) or value.shape != self.shape):
            raise ValueError(f"grad of a tensor of shape {self.shape} must be an array of that shape or None")
        self._grad = None if value is None else value.astype(self.dtype, copy=is_written_over(value))
        self._stale = self._stale and value is not None  # `p.grad = p.grad * scale` is the same sum
        self._stepped = self._stale

    @property
    def requires_grad(self) -> bool:
        """Whether what is computed from it is recorded. Of a leaf it can be set, which freezes or thaws a parameter."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and self._value.dtype.kind != "f":
            raise TypeError(
                f"requires_grad=True on data of dtype {self._value.dtype}: only real floats have a gradient. "
                "Write floats ([1., 2.]) or pass dtype=float"
            )
        if not value and self.record is not None:
            raise RuntimeError("this tensor is recorded; use detach() for its values without the record")
        self._requires_grad = bool(value)
        if value and self._ties is not None:
            self._ties.origin = self._ties.of = None  # a leaf is made of nothing
        self._stepped = self._stale = False

    @property
    def name(self) -> str | None:
        """A name for error messages and drawings."""
        return self._name if self.record is None else self.record.noted.name

    @name.setter
    def name(self, value: str | None) -> None:
        if self.record is None:
            self._name = value
        else:
            self.record.noting.name = value

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        shape: tuple[int, ...] = self._value.shape
        return shape

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return int(self._value.size)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The kind of its numbers, float64 unless said otherwise."""
        return self._value.dtype  # type: ignore[no-any-return]

    @property
    def shape_and_dtype(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Both at once, which is faster."""
        return self._value.shape, self._value.dtype

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user rather than recorded; `backward()` fills the `.grad` of leaves."""
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
        interpreter().number(self, "backward() is called")
        for leaf, g in pullback(self.record, self._seed(gradient), release=not retain_graph).items():
            if leaf._grad is None:
                leaf._grad = np.asarray(g)
            else:
                if leaf._stepped and not leaf._grad.any():
                    leaf._stepped = False  # set to 0 in place
                leaf._stale = leaf._stale or leaf._stepped
                leaf._grad = np.asarray(leaf._grad + g)

    def _seed(self, gradient: ArrayConvertible | None) -> Any:
        if gradient is None:
            if self.size != 1:
                raise ValueError(
                    f"backward() on a tensor of shape {self.shape}: only a single number has a gradient. Reduce it "
                    "with .sum() or .mean(), or pass backward(gradient) of the same shape"
                )
            return np.ones(self.shape, self.dtype) if self.shape else self.dtype.type(1)
        seed = np.asarray(gradient, dtype=self.dtype)
        if seed.shape != self.shape:
            raise ValueError(f"backward(gradient) of shape {seed.shape} on a tensor of shape {self.shape}")
        return seed[()]

    def zero_grad(self) -> None:
        """Forgets the accumulated gradient."""
        self._grad, self._stepped, self._stale = None, False, False

    def detach(self) -> Tensor:
        """A tensor of the same array (not a copy) without its record: no gradient flows back through it.

        >>> tg.grad(lambda x: x * x.detach())(3.0)  # the second factor counts as a number
        np.float64(3.0)
        """
        value = interpreter().detached(self)
        return value if isinstance(value, Tensor) else made(value, None)

    # Values, without the record

    def numpy(self) -> NDArray[Any]:
        """The array itself (not a copy), cut off from the record."""
        interpreter().values(self)
        return self.data

    def item(self, *index: int) -> Any:
        """The value of a tensor of one element, or of the element at an index, as a Python number. Raises `ValueError`
        for more than one.

        >>> tg.Tensor([[2.5]]).item(), tg.Tensor([1.0, 4.0]).item(1)
        (2.5, 4.0)
        """
        element = self.flat[index[0]] if len(index) == 1 else self[index] if index else self
        return element._item("the value of a tensor is asked for")

    def _item(self, what: str) -> Any:
        value = interpreter().number(self, what)
        if value.size != 1:
            raise ValueError(f"only a tensor of one element is a number; this one has shape {self.shape}")
        return value.item()

    def tolist(self) -> Any:
        """The values as Python numbers, in nested lists."""
        return np.asarray(interpreter().number(self, "the values of a tensor are asked for")).tolist()

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        values = interpreter().number(self, "a plain array is made of a tensor")
        released = self.record is not None and self.record.saved is None
        if self._requires_grad and not released and is_recording():
            raise TypeError(_dropped_by_array(self.shape))
        return np.array(values, dtype=dtype, copy=copy)

    def __getstate__(self) -> object:
        """For `copy.deepcopy` and pickles, of leaves only. Raises `TypeError` for a recorded tensor."""
        interpreter().number(self, "a tensor is copied")
        if self.record is not None:
            raise TypeError(_dropped_by_copy(self.shape, self.record.primitive.name))
        attributes, slots = cast(tuple[Any, dict[str, Any]], super().__getstate__())
        return attributes, slots | {"_ties": None, "_hooks": None}

    def __float__(self) -> float:
        return float(self._item("float() asks for the value of a tensor"))

    def __int__(self) -> int:
        return int(self._item("int() asks for the value of a tensor"))

    def __round__(self, digits: int | None = None) -> Any:
        return round(self._item("round() asks for the value of a tensor")) if digits is None else self.round(digits)

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(f"the truth of a tensor of shape {self.shape} is ambiguous; use np.any(t) or np.all(t)")
        return bool(interpreter().values(self, "a Python branch depends on the data"))

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise TypeError(f"only an integer tensor can be an index, not {self.dtype}")
        return int(self._item("an index depends on the data"))

    def __setitem__(self, index: Any, value: Any) -> None:
        """What is a view of the tensor, or what it is a view of, changes with it, as in NumPy. Where a gradient flows
        from `value` or to what is already there, this is recorded, and the tensor has a new array from then on, which
        plain arrays that were taken of it before (`t.data`) do not follow. Otherwise the array itself is changed.

        Raises `TypeError` for a leaf that requires grad or a view of one (as PyTorch does), for a recorded tensor under
        `no_grad`, for a view that was taken under `no_grad` of a tensor that is recorded, and where a gradient flows
        into what shows elements twice, or a diagonal.
        """
        assign(self, index, value)

    _changed = changed

    def __format__(self, spec: str) -> str:
        return format(interpreter().values(self).item(), spec) if spec and self.size == 1 else format(str(self), spec)

    def __repr__(self) -> str:
        parts = [np.array2string(np.asarray(self._value), separator=", ", prefix="Tensor(")]
        if self.dtype != np.float64:
            parts.append(f"dtype={self.dtype}")
        if self.record is not None:
            parts.append(f"record={self.record.primitive.name}")
        elif self._requires_grad:
            parts.append("requires_grad=True")
        if self.name:
            parts.append(f"name={self.name!r}")
        return f"Tensor({', '.join(parts)})"

    # Recording

    _made = staticmethod(made)

    def _rebuilt(self, node: Node) -> Tensor:
        """This tensor, recorded as `node`."""
        return node if isinstance(node, Tensor) else made(self._value, node)

    def _node(self) -> Node | None:
        """The node at which the walk back continues: its record, itself if it is a leaf, None if it is constant."""
        return self.record if self.record is not None else self if self._requires_grad else None


def rebuilt(value: Any, node: Node) -> Tensor:
    """The tensor that had `value` when it was recorded as `node`, to read a rule with tensors."""
    if isinstance(value, Tensor):  # a symbol, in a trace
        return value._rebuilt(node)
    return node if isinstance(node, Tensor) and node._value is value else made(value, node)
