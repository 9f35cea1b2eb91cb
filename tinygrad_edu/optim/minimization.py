"""Full-batch minimisation with SciPy, as the course does it with `fmincg`."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..autograd.pausing import no_grad
from ..autograd.recording import gradient_check
from ..autograd.tensor import Tensor
from ..autograd.transforms import grad, hessian
from ..compiler.derivation import Derivation
from ..compiler.program import Programs
from ..compiler.repeatable import repeatable
from ..compiler.threads import Workers
from ..debug.anomaly import check_compiled
from ..nn.module import Module
from .base import listed
from .progress import NOT_WANTED, progress_bar, say_how

Vector = NDArray[np.float64]
ELSEWHERE = "start from other parameters, or run it inside detect_anomaly() to see the operation where it began"
METHODS = ("CG", "TNC", "L-BFGS-B", "BFGS", "Newton-CG", "trust-exact")


@dataclass
class Minimized:
    """Where a minimisation is, or where it ended: the cost, the number of iterations and of evaluations of cost and
    gradient; at the end, why it stopped; and why the loss was recorded, if it was not compiled."""

    cost: float
    iterations: int
    evaluations: int
    stopped: str = ""
    why_recorded: str = ""


def minimize(
    model: Module | Tensor | Iterable[Tensor],
    loss: Callable[[], Tensor],
    method: str = "CG",
    *,
    max_iter: int = 100,
    callback: Callable[[Minimized], object] | None = None,
    compiled: bool | None = None,
    progress: bool | None = None,
) -> Minimized:
    """Minimises `loss()`, a scalar computed from the parameters of `model` (a module, or tensors), with SciPy.

    The parameters, n numbers, are unrolled into one vector for `scipy.optimize.minimize` and put back, in their own
    precision. These `method`s need the gradient:

    - "CG": conjugate gradients, in memory for a few vectors;
    - "L-BFGS-B": quasi-Newton from the last ten steps, and "TNC", truncated Newton with differences of gradients, too;
    - "BFGS": quasi-Newton from all steps, in memory for n² numbers, for up to some thousand parameters.

    And these need second derivatives, so the loss must be smooth (tanh, not relu) to gain by them, and float64:

    - "Newton-CG": truncated Newton with exact products of the Hessian and a vector (`hvp`), several in an iteration,
      each of which takes two to four times as long as a gradient;
    - "trust-exact": Newton in a region that is trusted, with the whole Hessian, which takes as long as n to 2 n
      gradients, then memory for n² numbers and time in proportion to n³: for up to some hundred parameters. It gets
      away from saddle points.

    `max_iter` is the largest number of iterations or, for "TNC", of evaluations, which is what SciPy counts there.
    Products with the Hessian are not counted as evaluations.
    `callback` is called after each iteration, with the parameters in place, and may raise `StopIteration` to end the
    minimisation. Ctrl-C ends it too; the parameters stay at the last iteration.

    The loss is compiled: it is run twice on symbols, and then evaluated without recording (see `compile_step`). Where
    that cannot be, it is recorded; the bar says which, and `why_recorded` of what is returned why. `compiled=True`
    raises instead, `compiled=False` always records. `progress` is as in `fit`.

    Raises `ValueError` for an unknown method, or if the cost is not finite at the start, `FloatingPointError` if the
    Hessian is not, `ImportError` without SciPy (extra `examples`). For the methods: Nocedal and Wright, "Numerical
    Optimization", 2006.

    >>> w = tg.Tensor([0.0, 0.0], requires_grad=True)
    >>> end = tg.minimize([w], lambda: np.sum((w - [3.0, 4.0]) ** 2), "L-BFGS-B")
    >>> w.data.round(4)
    array([3., 4.])
    """
    optimize = _scipy_optimize()
    parameters = _checked(model, loss, method, max_iter)
    state = Minimized(math.nan, 0, 0)
    counts = "evaluation" if method == "TNC" else "iteration"
    bar = progress_bar(progress, max_iter, unit=counts)
    objective = _Objective(loss, parameters, compiled, state, bar, alone=callback is None)
    iterations = _Iterations(objective, callback, bar, counts)
    with iterations.kept():
        found = optimize.minimize(
            objective,
            objective.tried,
            method=method,
            jac=True,
            hess=objective.hessian if method == "trust-exact" else None,
            hessp=objective.product if method == "Newton-CG" else None,
            options=_options(method, max_iter),
            callback=iterations,
        )
        iterations.end(found)
    return state


def _options(method: str, max_iter: int) -> dict[str, int]:
    """The limits for SciPy, which has others of its own on evaluations."""
    if method == "TNC":
        return {"maxfun": max_iter}
    return {"maxiter": max_iter} | ({"maxfun": 1000 * max_iter} if method == "L-BFGS-B" else {})


# The objective


class _Objective:
    """The loss as SciPy wants it: a function of one vector, the unrolled parameters, that returns cost and gradient;
    and products of a vector with its Hessian."""

    def __init__(
        self,
        loss: Callable[[], Tensor],
        parameters: list[Tensor],
        compiled: bool | None,
        state: Minimized,
        bar: Any = None,
        alone: bool = True,
    ) -> None:
        self.loss = loss
        self.must, self.alone, self.bar = compiled is True, alone, bar
        self.slope = functools.partial(_slope, loss, parameters)  # in which a program finds what the loss reads
        self.parameters = parameters
        self.state = state
        self.programs: Programs | None = None
        if compiled is not False:
            self.programs = Programs(parameters, "minimize", "Do not compile", Workers())
        state.why_recorded = say_how(bar, "learning", NOT_WANTED if compiled is False else "")
        self.ends = np.cumsum([p.size for p in parameters])[:-1]
        self.tried: Vector = np.concatenate([p.data.ravel() for p in parameters]).astype(np.float64)
        self.costs: dict[bytes, float] = {}  # of the points tried since the last iteration

    def __call__(self, x: Vector) -> tuple[float, Vector]:
        self.put_back(x)
        cost, gradient = self.evaluated(self.loss)
        self.state.evaluations += 1
        if self.state.evaluations == 1:
            if not math.isfinite(cost):
                raise ValueError(f"minimize: the cost at the start is {cost}; {ELSEWHERE}")
            if not np.isfinite(gradient).all():
                raise ValueError(f"minimize: the gradient at the start is NaN or infinite; {ELSEWHERE}")
            self.state.cost = cost
        self.costs[self.tried.tobytes()] = cost
        return cost, gradient

    def product(self, x: Vector, vector: Vector) -> Vector:
        """The Hessian at x times the vector: the gradient of the slope in its direction."""
        if not np.array_equal(x, self.tried):
            self.put_back(x)
        _, product = self.evaluated(self.slope, *self.pieces(vector))
        return _finite(product)

    def hessian(self, x: Vector) -> NDArray[np.float64]:
        """The whole Hessian at x. It is recorded, also where the rest is compiled: the rows share one forward pass,
        which compiled products, one for each row, would all repeat."""
        if not np.array_equal(x, self.tried):
            self.put_back(x)
        with no_grad():
            blocks = hessian(self.loss, parameters=self.parameters)()
        sizes = [p.size for p in self.parameters]
        rows = [
            [b.reshape(m, n) for n, b in zip(sizes, row, strict=True)] for m, row in zip(sizes, blocks, strict=True)
        ]
        return _finite(np.block(rows).astype(np.float64, copy=False))

    def pieces(self, x: Vector) -> list[Any]:
        pieces = zip(self.parameters, np.split(x, self.ends), strict=True)
        return [piece.reshape(p.shape).astype(p.dtype) for p, piece in pieces]

    def put_back(self, x: Vector) -> None:
        """Sets the parameters from the vector."""
        self.tried = x.copy()
        for p, piece in zip(self.parameters, self.pieces(x), strict=True):
            p.data = piece

    def evaluated(self, function: Callable[..., Any], *inputs: Any) -> tuple[float, Vector]:
        """A function of the parameters, and its gradient as one vector."""
        cost, gradients = self.recorded(function, *inputs) if self.programs is None else self.run(function, *inputs)
        pieces = [np.zeros(p.size) if g is None else g.ravel() for p, g in zip(self.parameters, gradients, strict=True)]
        return cost, np.concatenate(pieces).astype(np.float64, copy=False)

    def recorded(self, function: Callable[..., Any], *inputs: Any) -> tuple[float, list[Any]]:
        for p in self.parameters:
            p.zero_grad()
        J = function(*inputs)
        if not isinstance(J, Tensor):
            raise TypeError(f"minimize: loss() must return a recorded scalar, got {type(J).__name__}")
        J.backward()
        return float(J.item()), [p.grad for p in self.parameters]

    def run(self, function: Callable[..., Any], *inputs: Any) -> tuple[float, list[Any]]:
        """The same by the derivation of the function."""
        assert self.programs is not None
        try:
            program = self.programs.find([*inputs], lambda arrays: self.derived(function, arrays))
            value, *gradients = program.run(*inputs, *(p.data for p in self.parameters))
        except Exception as error:
            if self.must:
                raise
            self.programs = None
            self.state.why_recorded = say_how(self.bar, "learning", str(error))
            return self.recorded(function, *inputs)
        cost = float(np.asarray(value).item())
        if gradient_check() is not None:
            check_compiled(cost, gradients)
        return cost, gradients

    def derived(self, function: Callable[..., Any], arrays: list[Any]) -> Derivation:
        make = functools.partial(Derivation, function, arrays, self.parameters)
        return make() if self.must else repeatable(make, cautious=True, alone=self.alone)


def _finite(derivatives: NDArray[np.float64]) -> NDArray[np.float64]:
    if not np.isfinite(derivatives).all():
        raise FloatingPointError(
            "minimize: a second derivative is NaN or infinite; use a method without them, such as L-BFGS-B, or run it "
            "inside detect_anomaly() to see the operation where it began"
        )
    return derivatives


def _slope(loss: Callable[[], Tensor], parameters: list[Tensor], *direction: Any) -> Any:
    """The derivative of the loss in a direction, given in pieces like the parameters."""
    gradients = grad(loss, parameters=parameters)()
    # The zeros are for a loss with constant gradients, which would else depend on no parameter.
    return sum(np.sum(g * v + 0 * p) for g, v, p in zip(gradients, direction, parameters, strict=True))


# The bookkeeping


class _Iterations:
    """What is done after each iteration, and at the end: the state, the bar, the callback, Ctrl-C."""

    def __init__(
        self, objective: _Objective, callback: Callable[[Minimized], object] | None, bar: Any, counts: str
    ) -> None:
        self.objective = objective
        self.state = objective.state
        self.callback = callback
        self.bar = bar
        self.counts = counts
        self.accepted = objective.tried  # by the last iteration: where the parameters are left

    def __call__(self, xk: Vector) -> None:
        state, costs = self.state, self.objective.costs
        self.accepted = xk.copy()
        state.iterations += 1
        state.cost = costs.get(self.accepted.tobytes(), state.cost)
        costs.clear()
        if self.bar is not None:
            self.bar.set_postfix_str(f"cost {state.cost:.6g}", refresh=False)
            self.bar.update((state.evaluations if self.counts == "evaluation" else state.iterations) - self.bar.n)
        if self.callback is not None:
            if not np.array_equal(self.accepted, self.objective.tried):
                self.objective.put_back(self.accepted)
            try:
                self.callback(state)
            except StopIteration:
                raise _Ended from None  # SciPy understands the other with some methods only

    def end(self, found: Any) -> None:
        """Takes over what SciPy returned."""
        self.state.stopped = str(found.message)
        if math.isfinite(found.fun):  # else the last iteration stands
            self.accepted, self.state.cost = found.x, float(found.fun)
        if self.counts == "iteration":
            self.state.iterations = int(found.nit)

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Around the minimisation: however it ends, the parameters are left at the last iteration."""
        try:
            yield
        except _Ended:
            self.state.stopped = "the callback ended it"
        except KeyboardInterrupt:
            self.state.stopped = "interrupted"
        finally:
            if self.bar is not None:
                self.bar.close()
            self.objective.put_back(self.accepted)
            for p in self.objective.parameters:
                p.zero_grad()


class _Ended(Exception):
    """The callback has had enough."""


# Checks of the arguments


def _scipy_optimize() -> Any:
    try:
        from scipy import optimize
    except ImportError:
        raise ImportError("minimize needs SciPy: python -m pip install 'tinygrad-edu[examples]'") from None
    return optimize


def _checked(model: Any, loss: Any, method: str, max_iter: int) -> list[Tensor]:
    """The parameters, when the arguments are what they should be."""
    if method not in METHODS:
        raise ValueError(f"minimize: unknown method {method!r}; choose from {', '.join(METHODS)}")
    if max_iter < 1:
        raise ValueError(f"minimize: max_iter must be at least 1, not {max_iter}")
    if not hasattr(model, "parameters") and not isinstance(model, Tensor | Iterable):
        raise TypeError(f"minimize(model, loss): the model comes first, got {type(model).__name__}")
    if not callable(loss):
        raise TypeError(
            f"minimize(model, loss): loss is a function without arguments, not {type(loss).__name__}; "
            "pass lambda: and what computes it"
        )
    if isinstance(model, Tensor):
        model = [model]
    parameters: list[Tensor] = model.parameters() if hasattr(model, "parameters") else listed("minimize", model)
    if not parameters or not all(isinstance(p, Tensor) and p.requires_grad and p.is_leaf for p in parameters):
        raise TypeError("minimize: expected a model with parameters, or leaf tensors that require grad")
    return parameters
