"""`no_grad`: the way to record nothing for a while."""

from __future__ import annotations

import functools
import inspect
import types
import weakref
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from .recording import Around, Interpreter, current, interpreted, interpreter

if TYPE_CHECKING:
    from .primitives import Primitive
    from .reads import Options

Function = TypeVar("Function", bound=Callable[..., Any])


class no_grad:
    """Inside it, or in a function decorated with it, nothing is recorded, in this thread.

    A decorated function runs in a context of its own (`contextvars`), so what it sets there, for example by
    `np.seterr`, ends with it. Generators and coroutines may be decorated, too. (A `with no_grad():` around a `yield`
    holds until the generator goes on, as the context manager that is made of one needs it.)

    >>> x = tg.Tensor([1.0], requires_grad=True)
    >>> with tg.no_grad():
    ...     y = x * 2
    ...
    >>> y.requires_grad
    False
    """

    @overload
    def __new__(cls) -> Self: ...
    @overload
    def __new__(cls, function: Function) -> Function: ...  # type: ignore[misc]
    def __new__(cls, function: Any = None) -> Any:
        """`@no_grad` decorates as `@no_grad()` does."""
        return super().__new__(cls) if function is None else cls()(function)

    def __call__(self, function: Function) -> Function:
        if inspect.isasyncgenfunction(function):
            raise TypeError(ASYNCHRONOUS)
        if not callable(function) or isinstance(function, type):
            what = function.__name__ if isinstance(function, type) else type(function).__name__
            raise TypeError(
                f"no_grad decorates functions, not {what}; write `with no_grad():` for a block, and @no_grad() before "
                "each method, below @classmethod or @property"
            )

        @functools.wraps(function)
        def unrecorded(*args: Any, **options: Any) -> Any:
            made = interpreted(interpreter().recording(False), function, *args, **options)
            if isinstance(made, types.GeneratorType):  # of a function that does not look like one that makes it
                return _unrecorded_steps(made)
            if isinstance(made, types.CoroutineType):
                return awaited(made)
            if isinstance(made, types.AsyncGeneratorType):
                raise TypeError(ASYNCHRONOUS)
            return made

        async def awaited(made: Any) -> Any:
            return await types.coroutine(_unrecorded_steps)(made)

        @functools.wraps(function)
        def generator(*args: Any, **options: Any) -> Any:
            return _unrecorded_steps(function(*args, **options))

        @functools.wraps(function)
        async def coroutine(*args: Any, **options: Any) -> Any:
            return await awaited(function(*args, **options))

        kinds = {inspect.isgeneratorfunction: generator, inspect.iscoroutinefunction: coroutine}
        return next((made for is_one, made in kinds.items() if is_one(function)), unrecorded)  # type: ignore[return-value]

    def __enter__(self) -> None:
        current.set(_Paused(interpreter(), self))

    def __exit__(self, *error: object) -> None:
        paused = interpreter()
        while isinstance(paused, _Paused) and paused.block() is not self:  # one that was interrupted
            paused = paused.outer
        current.set(paused.outer if isinstance(paused, _Paused) else paused)


ASYNCHRONOUS = "no_grad cannot decorate an asynchronous generator; write `with no_grad():` around its steps"


def _unrecorded_steps(steps: Any) -> Generator[Any, Any, Any]:
    """The steps of a generator or a coroutine, none of them recorded; what happens between them is not its business."""
    go, given = steps.send, None
    while True:
        try:
            made = interpreted(interpreter().recording(False), go, given)
        except StopIteration as end:
            return end.value
        try:
            go, given = steps.send, (yield made)
        except GeneratorExit:
            steps.close()
            raise
        except BaseException as error:
            go, given = steps.throw, error


class _Paused(Around):
    """No recording, as long as the block that asked for it exists: Ctrl-C may come before its `__exit__`."""

    def __init__(self, outer: Interpreter, block: no_grad) -> None:
        super().__init__(outer.recording(False))
        self.outer, self.block = outer, weakref.ref(block)

    @property
    def records(self) -> bool:
        return self._lasting().records

    def apply(self, primitive: Primitive, args: tuple[Any, ...], options: Options) -> Any:
        return self._lasting().apply(primitive, args, options)

    def _lasting(self) -> Interpreter:
        if self.block() is not None:
            return self.inner
        if interpreter() is self:
            current.set(self.outer)
        return self.outer

    def recording(self, wanted: bool) -> Interpreter:
        return self.outer.recording(wanted)
