"""Full-batch minimisation with SciPy, as the course does it with `fmincg`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd.recording import gradient_check
from ..autograd.tensor import Tensor
from ..compiler.derivation import Derivation
from ..compiler.program import Program
from ..debug.anomaly import check_compiled
from .progress import progress_bar

METHODS = ("CG", "TNC", "L-BFGS-B")


@dataclass
class Minimized:
    """Where a minimisation is, or ended: the cost, how many iterations and evaluations of cost and gradient it took,
    and, at the end, why it stopped."""

    cost: float
    iterations: int
    evaluations: int
    stopped: str = ""


def minimize(
    model: Any,
    loss: Callable[[], Tensor],
    method: str = "CG",
    *,
    max_iter: int = 100,
    callback: Callable[[Minimized], object] | None = None,
    compiled: bool = False,
    progress: bool | None = None,
) -> Minimized:
    """Minimises `loss()`, a scalar of the parameters of `model` (a module, or tensors), and leaves them at the end.

    The parameters are unrolled into one vector for `scipy.optimize.minimize` and put back, in their own precision.
    `method` is "CG" (conjugate gradients), "L-BFGS-B" (limited-memory quasi-Newton), or "TNC" (truncated Newton).
    `max_iter` bounds the iterations; for "TNC", where SciPy counts those, the evaluations. `callback` is called after
    each iteration, with the parameters in place; it ends the minimisation by raising `StopIteration`. Ctrl-C ends it
    too; the parameters stay at the last iteration.

    With `compiled`, the loss is run once on symbols and then evaluated without recording (see `compile_step`; arrays
    that it holds are constants). `progress` is that of `fit`.

    Raises `ValueError` for an unknown method, or if the cost is not finite at the start, `ImportError` without SciPy
    (extra `examples`).

    >>> w = tg.Tensor([0.0, 0.0], requires_grad=True)
    >>> end = tg.minimize([w], lambda: np.sum((w - [3.0, 4.0]) ** 2), "L-BFGS-B")
    >>> w.data.round(4)
    array([3., 4.])
    """
    try:
        from scipy import optimize
    except ImportError:
        raise ImportError("minimize needs SciPy: python -m pip install 'tinygrad-edu[examples]'") from None
    if method not in METHODS:
        raise ValueError(f"minimize: no method {method!r}; there are {', '.join(METHODS)}")
    if max_iter < 1:
        raise ValueError(f"minimize: max_iter must be at least 1, not {max_iter}")
    parameters: list[Tensor] = list(_parameters_of(model))
    if not parameters or not all(isinstance(p, Tensor) and p.requires_grad and p.is_leaf for p in parameters):
        raise TypeError("minimize: expected a model with parameters, or leaf tensors that require grad")
    ends = np.cumsum([p.size for p in parameters])[:-1]
    state = Minimized(math.nan, 0, 0)
    costs: dict[bytes, float] = {}  # of the points tried since the last iteration
    last = accepted = np.concatenate([p.data.ravel() for p in parameters]).astype(np.float64)

    program = Program(Derivation(loss, [], parameters)) if compiled else None

    def put_back(x: Any) -> None:
        for p, piece in zip(parameters, np.split(x, ends), strict=True):
            p.data = piece.reshape(p.shape).astype(p.dtype)

    def recorded() -> tuple[Any, ...]:
        for p in parameters:
            p.zero_grad()
        J = loss()
        if not isinstance(J, Tensor):
            raise TypeError(f"minimize: loss() must return a recorded scalar, got {type(J).__name__}")
        J.backward()
        return J.item(), *(p.grad for p in parameters)

    def cost_and_gradient(x: Any) -> tuple[float, Any]:
        nonlocal last, program
        put_back(x)
        if program is not None and not program.fits():
            program = Program(Derivation(loss, [], parameters))
        cost, *gradients = recorded() if program is None else program.run(*(p.data for p in parameters))
        cost = float(np.asarray(cost).item())
        if program is not None and gradient_check() is not None:
            check_compiled(cost, gradients)
        state.evaluations += 1
        if state.evaluations == 1:
            if not math.isfinite(cost):
                raise ValueError(f"minimize: the cost at the start is {cost}")
            state.cost = cost
        last = x.copy()
        costs[last.tobytes()] = cost
        pieces = [np.zeros(p.size) if g is None else g.ravel() for p, g in zip(parameters, gradients, strict=True)]
        return cost, np.concatenate(pieces).astype(np.float64, copy=False)

    def after_iteration(xk: Any) -> None:
        nonlocal accepted
        accepted = xk.copy()
        state.iterations += 1
        state.cost = costs.get(accepted.tobytes(), state.cost)
        costs.clear()
        if bar is not None:
            bar.set_postfix_str(f"cost {state.cost:.6g}", refresh=False)
            bar.update((state.evaluations if method == "TNC" else state.iterations) - bar.n)
        if callback is not None:
            if not np.array_equal(accepted, last):
                put_back(accepted)
            try:
                callback(state)
            except StopIteration:
                raise _Ended from None  # SciPy understands the other with some methods only

    # SciPy has further bounds of its own, on evaluations.
    options = {"CG": {"maxiter": max_iter}, "TNC": {"maxfun": max_iter}}
    options["L-BFGS-B"] = {"maxiter": max_iter, "maxfun": 1000 * max_iter}
    bar = progress_bar(progress, max_iter, unit="evaluation" if method == "TNC" else "iteration")
    try:
        found: Any = optimize.minimize(
            cost_and_gradient, accepted, method=method, jac=True, options=options[method], callback=after_iteration
        )
        state.stopped = str(found.message)
        if math.isfinite(found.fun):  # else the last iteration stands
            accepted, state.cost = found.x, float(found.fun)
        if method != "TNC":
            state.iterations = int(found.nit)
    except _Ended:
        state.stopped = "the callback ended it"
    except KeyboardInterrupt:
        state.stopped = "interrupted"
    except BaseException:
        put_back(accepted)
        raise
    finally:
        if bar is not None:
            bar.close()
    put_back(accepted)
    for p in parameters:
        p.zero_grad()
    return state


class _Ended(Exception):
    """The callback has had enough."""


def _parameters_of(model: Any) -> Iterable[Tensor]:
    if isinstance(model, Tensor):
        return [model]
    return model.parameters() if hasattr(model, "parameters") else model  # type: ignore[no-any-return]
