"""What makes an object speak NumPy: Python's operators and NumPy's two protocols; `methods.py` has `ndarray`'s methods.

Everything here ends in the table of `primitives.py`: an operator hands its operands to a primitive, a method or a NumPy
function is looked up. How a primitive treats the object is the object's own business (`_apply`, `_binary`): a tensor
computes and records.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Self

import numpy as np

from .conversion import as_array
from .methods import ArrayMethods
from .primitives import FUNCTIONS, Primitive, entered_now, primitive_of
from .record import Operand
from .recording import holds_operand, interpreter, is_constant, is_recording, plain

# Operators take the shorter way: on NumPy's scalars, Python's operators are ten times as fast as ufuncs.
ADD = primitive_of(np.add, operator.add)
SUBTRACT = primitive_of(np.subtract, operator.sub)
MULTIPLY = primitive_of(np.multiply, operator.mul)
DIVIDE = primitive_of(np.divide, operator.truediv)
POWER = primitive_of(np.power, operator.pow)
primitive_of(np.negative, operator.neg)


def look_up(function: Callable[..., Any], given: tuple[Any, ...] = (), options: Any = None) -> Callable[..., Any]:
    """What to call in place of a NumPy function when a tensor is among its arguments. If these are `given` and no
    gradient flows through them, a function without a rule is called with their values."""
    try:
        return FUNCTIONS[function]
    except KeyError:
        if entered_now(function):
            return FUNCTIONS[function]
        if is_constant((*given, *(options or {}).values())):
            return on_values(function)
        name = function.__name__
        module = "numpy" if getattr(np, name, None) is function else getattr(function, "__module__", None)
        name = f"{module}.{name}" if module else name
        raise TypeError(
            f"{name} got a Tensor and has no derivative rule; its result would be cut off from the gradient. Give it "
            f"one with tinygrad_edu.rule({name}, ...), or pass t.detach().numpy() if no gradient is wanted"
        ) from None


def option(value: Any, who: str) -> Any:
    """`value` as a plain option; one that requires grad is refused, since its gradient would be lost. `who` names the
    function and its argument."""
    for v in value if isinstance(value, list | tuple) else (value,):
        if isinstance(v, Operand) and v.requires_grad:
            raise TypeError(
                f"{who} got a tensor that requires grad, for which there is no derivative rule; pass .detach().numpy()"
            )
    return plain(value)


def refuse(function: Callable[..., Any], given: dict[str, Any], *options: str) -> None:
    """Raises if one of these options was given, rather than ignore it."""
    for name in options:
        if given.get(name) is not None and given[name] is not np._NoValue:
            raise TypeError(f"{function.__name__}: the option {name}= is not supported on tensors; leave it out")


def on_values(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` on the plain arrays of tensors: no gradient flows through it. A symbol writes the call down."""

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        if not any(map(holds_operand, (*args, *options.values()))):
            return function(*args, **options)
        return interpreter().constant(function, args, options)

    return call


def or_numpy(function: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """For what stands for a function of NumPy's and refuses where there is no derivative: if none is wanted, since no
    gradient flows through the tensors, NumPy's function is called with their values."""

    def extend(own: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(own)
        def call(*args: Any, **options: Any) -> Any:
            given = (*args, *options.values())
            try:
                return own(*args, **options)
            except (TypeError, ValueError):
                if not is_constant(given):
                    raise
            for array in given:
                if isinstance(array, np.ndarray):
                    as_array(array)  # a mask would be lost here as well
            return on_values(function)(*args, **options)

        return call

    return extend


def constant(*functions: Callable[..., Any]) -> None:
    """Enters functions through which no gradient flows (comparisons, `argmax`, `shape`, …): they give plain arrays."""
    for function in functions:
        FUNCTIONS[function] = on_values(function)


def _augmented(symbol: str, operation: str) -> Callable[[Any, Any], Any]:
    """An operator such as `+=`: what `+` gives, as the new value of an array, or of a name."""

    def operate(self: Any, other: Any) -> Any:
        if self.record is None:
            self._refuse_rebinding(symbol)
        new = getattr(self, operation)(other)
        return self._changed(new, symbol) if self._value.__class__ is np.ndarray else new

    return operate


def _comparison(function: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    """A comparison, left to an object that says by NumPy's protocol that it wants to make it, such as
    `pytest.approx`."""

    def compare(self: Any, other: Any) -> Any:
        return NotImplemented if getattr(type(other), "__array_ufunc__", 0) is None else look_up(function)(self, other)

    return compare


def _both_ways(function: Callable[..., Any]) -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
    """A binary operator and its reflection."""
    return (lambda self, other: look_up(function)(self, other)), (lambda self, other: look_up(function)(other, self))


class ArrayOperand(ArrayMethods):
    """An operand with NumPy's operators, methods and protocols."""

    __slots__ = ()
    __hash__: ClassVar[Any] = object.__hash__  # `==` compares values; a key is the object
    __pandas_priority__ = 5000  # so that pandas leaves `table * t` to the tensor

    def _call(self, function: Callable[..., Any], *args: Any, **options: Any) -> Self:
        result: Self = look_up(function)(*args, **options)
        return result

    # NumPy's protocols: what `np.exp(t)`, `array * t` and `np.sum(t)` arrive at.

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method == "__call__" and not options:
            function = look_up(ufunc, inputs)
            if isinstance(function, Primitive) and function.operands:  # mostly
                return (interpreter().unary if function.operands == 1 else interpreter().binary)(function, *inputs)
            return function(*inputs)
        bound = getattr(ufunc, method)
        if "out" in options and is_constant((*inputs, *options.values())) and not holds_operand(options["out"]):
            return bound(*map(plain, inputs), **options)
        if bound in FUNCTIONS:  # as np.add.reduce
            return FUNCTIONS[bound](*inputs, **options)
        if method in ("reduce", "accumulate") and is_constant((*inputs, *options.values())):
            values = bound(*map(plain, inputs), **{name: plain(value) for name, value in options.items()})
            return self._made(values, None) if isinstance(FUNCTIONS.get(ufunc), Primitive) else values
        return look_up(getattr(np.ufunc, method))(ufunc, *inputs, **options)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        return look_up(function, args, options)(*args, **options)

    # Arithmetic

    def __add__(self, other: Any) -> Self:
        return interpreter().binary(ADD, self, other)  # type: ignore[no-any-return]

    def __radd__(self, other: Any) -> Self:
        return interpreter().binary(ADD, other, self)  # type: ignore[no-any-return]

    def __sub__(self, other: Any) -> Self:
        return interpreter().binary(SUBTRACT, self, other)  # type: ignore[no-any-return]

    def __rsub__(self, other: Any) -> Self:
        return interpreter().binary(SUBTRACT, other, self)  # type: ignore[no-any-return]

    def __mul__(self, other: Any) -> Self:
        return interpreter().binary(MULTIPLY, self, other)  # type: ignore[no-any-return]

    def __rmul__(self, other: Any) -> Self:
        return interpreter().binary(MULTIPLY, other, self)  # type: ignore[no-any-return]

    def __truediv__(self, other: Any) -> Self:
        return interpreter().binary(DIVIDE, self, other)  # type: ignore[no-any-return]

    def __rtruediv__(self, other: Any) -> Self:
        return interpreter().binary(DIVIDE, other, self)  # type: ignore[no-any-return]

    def __pow__(self, other: Any) -> Self:
        return interpreter().binary(POWER, self, other)  # type: ignore[no-any-return]

    def __rpow__(self, other: Any) -> Self:
        return interpreter().binary(POWER, other, self)  # type: ignore[no-any-return]

    def __matmul__(self, other: Any) -> Self:
        return self._call(np.matmul, self, other)

    def __rmatmul__(self, other: Any) -> Self:
        return self._call(np.matmul, other, self)

    def __mod__(self, other: Any) -> Self:
        return self._call(np.remainder, self, other)

    def __rmod__(self, other: Any) -> Self:
        return self._call(np.remainder, other, self)

    def __floordiv__(self, other: Any) -> Self:
        return self._call(np.floor_divide, self, other)

    def __rfloordiv__(self, other: Any) -> Self:
        return self._call(np.floor_divide, other, self)

    def __divmod__(self, other: Any) -> tuple[Self, Self]:
        return look_up(np.divmod)(self, other)  # type: ignore[no-any-return]

    def __rdivmod__(self, other: Any) -> tuple[Self, Self]:
        return look_up(np.divmod)(other, self)  # type: ignore[no-any-return]

    def __neg__(self) -> Self:
        return self._call(np.negative, self)

    def __pos__(self) -> Self:
        return self._call(np.positive, self)

    def __abs__(self) -> Self:
        return self._call(np.absolute, self)

    # `t += u` changes an array, as NumPy does; to a number, and to a leaf that requires grad, it gives a new value.

    __iadd__, __isub__ = _augmented("+=", "__add__"), _augmented("-=", "__sub__")
    __imul__, __itruediv__ = _augmented("*=", "__mul__"), _augmented("/=", "__truediv__")
    __ipow__, __imatmul__ = _augmented("**=", "__pow__"), _augmented("@=", "__matmul__")
    __ifloordiv__, __imod__ = _augmented("//=", "__floordiv__"), _augmented("%=", "__mod__")

    def _changed(self, new: Any, symbol: str) -> Any:
        raise NotImplementedError

    def _refuse_rebinding(self, operator: str) -> None:
        """Under `no_grad`, `t -= step` would leave a parameter unchanged and bind the name to a new tensor that is not
        trained."""
        if self._requires_grad and self.record is None and not is_recording():
            raise TypeError(
                f"t {operator} ... under no_grad() would not change the parameter (of shape {self.shape}); it would "
                f"make a new tensor that does not require grad. Write t.data {operator} ..., or use an optimiser"
            )

    # Comparisons, and operations on bits, give plain arrays.

    __eq__, __ne__ = _comparison(np.equal), _comparison(np.not_equal)
    __lt__, __le__ = _comparison(np.less), _comparison(np.less_equal)
    __gt__, __ge__ = _comparison(np.greater), _comparison(np.greater_equal)

    __and__, __rand__ = _both_ways(np.bitwise_and)
    __or__, __ror__ = _both_ways(np.bitwise_or)
    __xor__, __rxor__ = _both_ways(np.bitwise_xor)
    __lshift__, __rlshift__ = _both_ways(np.left_shift)
    __rshift__, __rrshift__ = _both_ways(np.right_shift)

    def __invert__(self) -> Any:
        return look_up(np.invert)(self)

    # Elements

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Self]:
        return (self[i] for i in range(len(self)))

    def __contains__(self, value: Any) -> bool:
        return bool(np.any(self == value))

    def __getitem__(self, index: Any) -> Self:
        return self._call(operator.getitem, self, index)
