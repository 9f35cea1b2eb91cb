"""What moving, sorting and summing elements costs: forward and backward of a million, in units of NumPy's forward.

`python -m tests.benchmarks.moving [name …]` times each function of the table; what is not named is left out. Where
NumPy gives a view, that is compared with a copy of it. Memory that was freed is kept (by glibc), since to get new pages
from the system takes several times as long as to fill them, for NumPy too if two results live at the same time.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_edu as tg

KEEP = {"MALLOC_TRIM_THRESHOLD_": "4000000000", "MALLOC_MMAP_THRESHOLD_": "4000000000"}
Case = tuple[Callable[..., Any], tuple[tuple[int, ...], ...]]
LONG, SQUARE = (1_000_000,), (1000, 1000)
SOME = np.arange(1000) % 3
WINDOWS = np.lib.stride_tricks.sliding_window_view

CASES: dict[str, Case] = {
    "gradient": (np.gradient, (LONG,)),
    "gradient of rows": (lambda a: np.gradient(a, axis=1, edge_order=2), (SQUARE,)),
    "gradient of columns": (lambda a: np.gradient(a, np.arange(1000.0) ** 1.1, axis=0), (SQUARE,)),
    "pad": (lambda a: np.pad(a, 3), (SQUARE,)),
    "pad, edge": (lambda a: np.pad(a, 3, "edge"), (SQUARE,)),
    "pad, reflect": (lambda a: np.pad(a, 3, "reflect"), (SQUARE,)),
    "pad, wrap": (lambda a: np.pad(a, 3, "wrap"), (SQUARE,)),
    "roll": (lambda a: np.roll(a, 7), (LONG,)),
    "roll of columns": (lambda a: np.roll(a, 7, axis=1), (SQUARE,)),
    "tril": (np.tril, (SQUARE,)),
    "triu": (lambda a: np.triu(a, 1), (SQUARE,)),
    "diagonal": (np.diagonal, (SQUARE,)),
    "diag": (np.diag, ((1000,),)),
    "cumsum": (np.cumsum, (LONG,)),
    "cumprod": (np.cumprod, (LONG,)),
    "cumprod of rows": (lambda a: np.cumprod(a, axis=1), (SQUARE,)),
    "repeat": (lambda a: np.repeat(a, 3), (LONG,)),
    "repeat of columns": (lambda a: np.repeat(a, 2, axis=1), (SQUARE,)),
    "repeat, each otherwise": (lambda a: np.repeat(a, SOME, axis=0), (SQUARE,)),
    "tile": (lambda a: np.tile(a, (2, 2)), (SQUARE,)),
    "median": (np.median, (LONG,)),
    "median of rows": (lambda a: np.median(a, axis=1), (SQUARE,)),
    "quantile": (lambda a: np.quantile(a, [0.1, 0.9]), (LONG,)),
    "sort": (np.sort, (LONG,)),
    "sort of rows": (lambda a: np.sort(a, axis=1), (SQUARE,)),
    "partition": (lambda a: np.partition(a, 500, axis=1), (SQUARE,)),
    "flip": (np.flip, (SQUARE,)),
    "rot90": (np.rot90, (SQUARE,)),
    "split": (lambda a: np.split(a, 4)[1], (SQUARE,)),
    "delete": (lambda a: np.delete(a, [3, 7], axis=0), (SQUARE,)),
    "insert": (lambda a: np.insert(a, 3, 1.0, axis=0), (SQUARE,)),
    "take": (lambda a: np.take(a, SOME, axis=0), (SQUARE,)),
    "take_along_axis": (lambda a: np.take_along_axis(a, np.tile(SOME, (1000, 1)), 1), (SQUARE,)),
    "delete from rows": (lambda a: np.delete(a, 3, axis=1), (SQUARE,)),
    "insert, several": (lambda a: np.insert(a, [3, 7], 1.0, axis=0), (SQUARE,)),
    "sliding windows": (lambda a: WINDOWS(a, 5) * 2.0, (LONG,)),
    "sliding windows of both axes": (lambda a: WINDOWS(a, (3, 3)) * 2.0, (SQUARE,)),
    "interp": (lambda x: np.interp(x, np.arange(1000.0), np.arange(1000.0)), (LONG,)),
    "bincount": (lambda a: np.bincount(np.arange(1_000_000) % 1000, a), (LONG,)),
    "unwrap": (np.unwrap, (LONG,)),
    "cov": (np.cov, (SQUARE,)),
    "block": (lambda a: np.block([[a, a], [a, a]]), (SQUARE,)),
    "diff": (np.diff, (LONG,)),
    "convolve": (lambda a: np.convolve(a, np.ones(5)), (LONG,)),
    "max": (lambda a: np.max(a, axis=1), (SQUARE,)),
    "einsum, a product": (lambda a, b: np.einsum("ij,jk->ik", a, b), ((300, 300), (300, 300))),
    "einsum, attention": (lambda q, k: np.einsum("bqd,bkd->bqk", q, k), ((16, 128, 64), (16, 128, 64))),
    "einsum, a trace": (lambda a, b: np.einsum("ij,ji->", a, b), (SQUARE, SQUARE)),
    "einsum, a chain": (
        lambda a, b, c: np.einsum("ij,jk,kl->il", a, b, c, optimize=True), ((100, 100), (100, 100), (100, 100)),
    ),
}  # fmt: skip


def seconds(function: Callable[[], object], rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best


def measure(name: str, rounds: int = 50) -> tuple[float, float, float]:
    """Seconds of NumPy forward, and of tensors forward, and forward and backward."""
    call, shapes = CASES[name]
    rng = np.random.default_rng(0)
    arrays = [rng.normal(1.0, 1e-3, size=shape) for shape in shapes]
    tensors = [tg.Tensor(x, requires_grad=True) for x in arrays]
    gradient = np.ones(np.shape(call(*arrays)))

    def both() -> None:
        call(*tensors).backward(gradient)
        for t in tensors:
            t.grad = None

    is_view = getattr(call(*arrays), "base", None) is not None

    return (
        seconds(lambda: call(*arrays).copy() if is_view else call(*arrays), rounds),
        seconds(lambda: call(*tensors), rounds),
        seconds(both, rounds),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names of what to time (default: all)")
    parser.add_argument("--rounds", type=int, default=50)
    given = parser.parse_args()
    if not os.environ.keys() >= KEEP.keys():
        os.execve(sys.executable, [sys.executable, "-m", "tests.benchmarks.moving", *sys.argv[1:]], os.environ | KEEP)
    print(f"{'':28} {'NumPy':>10} {'forward':>8} {'both':>8}")
    for name in CASES:
        if not given.names or any(part in name for part in given.names):
            numpy, forward, both = measure(name, given.rounds)
            print(f"{name:28} {numpy * 1e3:7.2f} ms {forward / numpy:8.1f} {both / numpy:8.1f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
