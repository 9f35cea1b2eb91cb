"""The names that programs use, meaning PyTorch's functions: the same text then runs on PyTorch's tensors.

Only what has an obvious counterpart is here; programs that use anything else are not compared.
"""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch.nn import functional

OWN = [
    "absolute",
    "add",
    "arctan",
    "arctan2",
    "arcsin",
    "arccos",
    "arcsinh",
    "arccosh",
    "arctanh",
    "ceil",
    "copysign",
    "cos",
    "cosh",
    "deg2rad",
    "rad2deg",
    "diag",
    "diagflat",
    "exp",
    "exp2",
    "expm1",
    "fabs",
    "fliplr",
    "flipud",
    "floor",
    "fmax",
    "fmin",
    "hypot",
    "log",
    "log10",
    "log1p",
    "log2",
    "logaddexp",
    "logaddexp2",
    "maximum",
    "minimum",
    "moveaxis",
    "multiply",
    "divide",
    "negative",
    "ravel",
    "reciprocal",
    "rint",
    "sign",
    "sin",
    "sinc",
    "sinh",
    "sqrt",
    "square",
    "squeeze",
    "subtract",
    "swapaxes",
    "tan",
    "tanh",
    "tril",
    "triu",
    "trunc",
    "power",
    "float_power",
    "inner",
    "trapezoid",
    "matmul",
]
LINALG = ["inv", "det", "cholesky", "eigvalsh", "svdvals", "slogdet", "pinv"]


def tensor(x: Any) -> Any:
    return x if isinstance(x, torch.Tensor) else torch.as_tensor(np.asarray(x, np.float64))


def _own(name: str) -> Any:
    function = getattr(torch, {"fabs": "abs", "rint": "round", "power": "pow"}.get(name, name))
    return lambda *args: function(*(a if name in ("squeeze", "moveaxis", "swapaxes", "diag", "tril", "triu", "diagflat")
                                    else tensor(a) for a in args))  # fmt: skip


def _reduction(function: Any) -> Any:
    def reduce(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return function(x, dim=tuple(range(x.ndim)) if axis is None else axis, keepdim=keepdims)

    return reduce


def _prod(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    for k in sorted((a % x.ndim for a in axes), reverse=True):
        x = torch.prod(x, k, keepdim=True)
    return x if keepdims else x.squeeze(tuple(axes)) if x.ndim else x


def _running(function: Any) -> Any:
    return lambda x, axis=None: function(x.ravel() if axis is None else x, 0 if axis is None else axis)


def _variance(function: Any) -> Any:
    def vary(x: Any, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
        return function(x, dim=axis, correction=ddof, keepdim=keepdims)

    return vary


def _loss(function: Any) -> Any:
    def loss(x: Any, y: Any, reduction: str = "mean") -> Any:
        total = function(x, y, reduction="sum" if reduction != "mean" else "mean")
        return total / len(x) if reduction == "batchmean" else total

    return loss


def _clip(x: Any, low: Any, high: Any) -> Any:
    if not isinstance(low, torch.Tensor) and not isinstance(high, torch.Tensor):
        return torch.clamp(tensor(x), low, high)
    x = x if low is None else torch.maximum(tensor(x), tensor(low))  # clamp itself is wrong where the bounds are equal
    return x if high is None else torch.minimum(tensor(x), tensor(high))


def _where(condition: Any, a: Any, b: Any) -> Any:
    return torch.where(torch.as_tensor(condition), tensor(a), tensor(b))


NP: dict[str, Any] = {name: _own(name) for name in OWN} | {
    "sum": _reduction(torch.sum), "mean": _reduction(torch.mean), "max": _reduction(torch.amax),
    "min": _reduction(torch.amin), "amax": _reduction(torch.amax), "amin": _reduction(torch.amin), "prod": _prod,
    "cumsum": _running(torch.cumsum), "cumprod": _running(torch.cumprod), "var": _variance(torch.var),
    "std": _variance(torch.std), "where": _where, "clip": _clip,
    "transpose": lambda x: x.permute(*reversed(range(x.ndim))),
    "concatenate": lambda xs, axis=0: torch.cat([x.ravel() for x in xs] if axis is None else list(xs), axis or 0),
    "stack": lambda xs, axis=0: torch.stack(xs, axis), "hstack": lambda xs: torch.hstack(xs),
    "vstack": lambda xs: torch.vstack(xs), "dstack": lambda xs: torch.dstack(xs),
    "column_stack": lambda xs: torch.column_stack(xs), "broadcast_to": torch.broadcast_to,
    "vdot": lambda a, b: (a * b).sum(), "append": lambda a, b: torch.cat([a.ravel(), b.ravel()]),
    "diff": lambda x, n, axis: torch.diff(x, n, axis),
    "roll": lambda x, n, axis: torch.roll(x, n, axis),
    "tile": lambda x, n: torch.tile(x, (n,) if type(n) is int else n),
    "repeat": lambda x, n, axis: torch.repeat_interleave(x, n, axis), "trace": lambda x, k: x.diagonal(k).sum(-1),
    "take": lambda x, i, axis=None: (x.ravel() if axis is None else x)[torch.tensor(i)],
    "einsum": torch.einsum, "tensordot": lambda a, b, axes: torch.tensordot(a, b, axes),
    "sort": lambda x, axis: torch.sort(x.ravel() if axis is None else x, 0 if axis is None else axis)[0],
    "unique": lambda x: torch.sort(x.ravel())[0], "median": None, "quantile": None,
    "array": lambda x, dtype=None: torch.tensor(x, dtype=torch.bool if dtype is bool else None),
    "arange": lambda *n: torch.arange(*n, dtype=torch.float64), "eye": lambda n: torch.eye(n, dtype=torch.float64),
    "float64": float, "int64": int, "bool": bool,
}  # fmt: skip
NP = {name: function for name, function in NP.items() if function is not None and name != "unique"}
LIN: dict[str, Any] = {name: getattr(torch.linalg, name) for name in LINALG} | {
    "eigh": torch.linalg.eigh, "svd": torch.linalg.svd, "solve": lambda a, b: torch.linalg.inv(a) @ b}  # fmt: skip
OF: dict[str, Any] = {
    "relu": torch.relu, "sigmoid": torch.sigmoid, "softplus": functional.softplus, "softmax": torch.softmax,
    "log_sigmoid": functional.logsigmoid, "leaky_relu": functional.leaky_relu, "silu": functional.silu,
    "elu": functional.elu, "gelu": functional.gelu, "hardtanh": functional.hardtanh, "softsign": functional.softsign,
    "log_softmax": torch.log_softmax,
    "logsumexp": _reduction(torch.logsumexp), "mse_loss": _loss(functional.mse_loss),
    "binary_cross_entropy": _loss(functional.binary_cross_entropy),
    "binary_cross_entropy_with_logits": _loss(functional.binary_cross_entropy_with_logits),
    "cross_entropy": lambda x, y, how: functional.cross_entropy(x, torch.as_tensor(y).ravel(), reduction=how),
    "linear": lambda x, w, b=None: x @ w if b is None else x @ w + b,
    "l2_penalty": lambda xs, lam, m: sum((x * x).sum() for x in xs) * lam / (2 * m),
}  # fmt: skip
NAMES = {"np": SimpleNamespace(**NP, linalg=SimpleNamespace(**LIN)), "F": SimpleNamespace(**OF),
         "tg": SimpleNamespace(no_grad=torch.no_grad)}  # fmt: skip
KNOWN = {f"np.{n}" for n in NP} | {f"np.linalg.{n}" for n in LIN} | {f"F.{n}" for n in OF} | {"tg.no_grad", "np.linalg"}
CALLED = re.compile(r"\b(?:np|F|tg)\.[\w.]+|\bdense\b")
METHODS = re.compile(
    r"(?<=[\w)\]])\.([a-z]\w*)\(|::-|order='F'|, axis=None, where|where=|, dx=|astype|//|%|float32\("
    r"|v\d+\[[^\]]*\[|\+\(|\.T\b|\.ravel\('"
)
METHODS_OF_BOTH = {"reshape", "flatten", "sum", "mean"}


def comparable(source: str) -> bool:
    """Whether every function of the program has its counterpart here."""
    if not all(name in KNOWN for name in CALLED.findall(source)):
        return False
    rest = re.sub(r"\b(?:np|F|tg)\.(?:linalg\.)?\w+\(", "(", source)
    return all(m.group(1) in METHODS_OF_BOTH and m.group(1) for m in METHODS.finditer(rest))


def gradients(program: Any, leaves: list[Any], constants: list[Any]) -> tuple[float, list[Any]]:
    tensors = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in leaves]
    value = program(*tensors, *(tensor(k) for k in constants))
    found = torch.autograd.grad(value, tensors, allow_unused=True)
    zero = [np.zeros(np.shape(x)) if g is None else g.numpy() for x, g in zip(leaves, found, strict=True)]
    return value.item(), zero
