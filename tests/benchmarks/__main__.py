"""Times each workload and its peer in turn, in one run, and prints the ratios.

Machines are shared and noisy: the two are interleaved, and the ratio of the minima and that of the medians are what
counts, not the times. Run with OMP_NUM_THREADS=1 to take the BLAS library's threads out of the picture.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable

import numpy as np

from tests.benchmarks.workloads import PAIRS, chain, chain_without_backward


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def compare(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> tuple[list[float], list[float]]:
    ours(), theirs()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workloads", nargs="*", help=f"which ones, of {', '.join(PAIRS)}; all without")
    parser.add_argument("--rounds", type=int, default=40)
    args = parser.parse_args()
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}, {os.cpu_count()} cores")
    print(f"{'workload':34} {'ours':>10} {'by hand':>10} {'ratio of minima':>16} {'of medians':>11}")
    for name in args.workloads or PAIRS:
        ours, theirs = compare(*PAIRS[name](), rounds=args.rounds)
        low, median = min(ours) / min(theirs), statistics.median(ours) / statistics.median(theirs)
        print(f"{name:34} {min(ours) * 1e3:8.2f}ms {min(theirs) * 1e3:8.2f}ms {low:16.2f} {median:11.2f}")
    if not args.workloads:
        growth(args.rounds)


def growth(rounds: int) -> None:
    """Time and memory per operation of a chain, and how the time grows with its length."""
    short = min(seconds(lambda: chain(10_000)) for _ in range(rounds)) / 10_000
    long = min(seconds(lambda: chain(1_000_000)) for _ in range(3)) / 1_000_000
    print(f"chain: {short * 1e9:.0f} ns an operation at 10,000, {long * 1e9:.0f} ns at 1,000,000: {long / short:.2f}")
    gc.collect()
    gc.disable()
    short = min(seconds(lambda: chain(10_000)) for _ in range(rounds)) / 10_000
    long = min(seconds(lambda: chain(1_000_000)) for _ in range(3)) / 1_000_000
    gc.enable()
    print(f"  with the garbage collector off: {short * 1e9:.0f} and {long * 1e9:.0f} ns: {long / short:.2f}")
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = chain_without_backward(10_000)
    print(f"  {(tracemalloc.get_traced_memory()[0] - before) / 10_000:.0f} bytes an operation")
    tracemalloc.stop()
    del kept


if __name__ == "__main__":
    sys.exit(main())
