"""Where in the user's code an operation was recorded, kept on request."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

from .call_site import caller
from .recording import watching

Function = TypeVar("Function", bound=Callable[..., Any])


class _Block(AbstractContextManager[None]):
    """A context manager, anew for each block; as a decorator it refuses what runs later than it is called."""

    def __init__(self, make: Callable[[], AbstractContextManager[None]]) -> None:
        self._make = make
        self._entered: list[AbstractContextManager[None]] = []

    def __enter__(self) -> None:
        self._entered.append(self._make())
        self._entered[-1].__enter__()

    def __exit__(self, *error: Any) -> bool | None:
        return self._entered.pop().__exit__(*error)

    def __call__(self, function: Function) -> Function:
        @functools.wraps(function)
        def inside(*args: Any, **options: Any) -> Any:
            with self._make():
                made = function(*args, **options)
            if isinstance(made, types.CoroutineType):
                made.close()  # it is not going to be awaited
            if isinstance(made, types.GeneratorType | types.CoroutineType | types.AsyncGeneratorType):
                raise TypeError(
                    f"{getattr(function, '__name__', function)} runs when the decorator's block is over, as generators "
                    "and coroutines do; write `with` around its steps instead"
                )
            return made

        return inside  # type: ignore[return-value]


def block(make: Callable[[], Iterator[None]]) -> Callable[[], _Block]:
    """`contextmanager` for what may also decorate a function."""
    managed = contextmanager(make)
    return functools.wraps(make)(lambda: _Block(managed))


@block
def record_positions() -> Iterator[None]:
    """Inside it, each operation recorded in this thread keeps the file and the line of the code that called it, for
    drawings and for `explain`.

    >>> with tg.record_positions():
    ...     y = np.exp(tg.Tensor(1.0, requires_grad=True))
    >>> file, line = y.record.position
    """

    def keep(record: Any, output: Any, values: Sequence[Any]) -> None:
        record.noting.position = caller()

    with watching(keep):
        yield
