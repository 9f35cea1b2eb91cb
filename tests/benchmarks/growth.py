"""How time per step and memory grow: with the length of a chain of operations, with layers, rows and width."""

from __future__ import annotations

import argparse
import gc
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from tests.benchmarks.chains import chain, chain_without_backward
from tests.benchmarks.workloads import Workload, compiled, recorded

# What grows, and a network of each size, of which the work is proportional to it
SERIES: dict[str, tuple[tuple[int, ...], Callable[[int], Workload]]] = {
    "layers": ((5, 10, 20, 40, 80), lambda n: Workload((64,) * n + (10,), 64, "relu", "classes")),
    "rows": ((256, 512, 1024, 2048, 4096), lambda n: Workload((64, 64, 64, 10), n, "relu", "classes")),
    "width": ((64, 128, 256, 512, 1024), lambda n: Workload((256, n, 10), 64, "relu", "classes")),
}


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def chains(rounds: int) -> None:
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


def peak(step: Callable[[], object]) -> int:
    """The most memory that a step has beside what was there before, in bytes."""
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    step()
    most = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    return most


def measure(rounds: int) -> dict[str, list[dict[str, Any]]]:
    """For each series and size: seconds per step, and bytes: of the recorded step, and of the program with its
    buffers, which the first compiled step makes."""
    results: dict[str, list[dict[str, Any]]] = {}
    print(f"\n{'':12} {'recorded':>10} {'compiled':>10} {'recorded':>10} {'compiled':>10}")
    for name, (sizes, workload) in SERIES.items():
        results[name] = []
        for size in sizes:
            steps = {"recorded": recorded(workload(size)), "compiled": compiled(workload(size))}
            memory = {"compiled": peak(steps["compiled"])}
            steps["recorded"]()
            memory["recorded"] = peak(steps["recorded"])
            times = {mode: min(seconds(step) for _ in range(20 * rounds)) for mode, step in steps.items()}
            results[name].append({"size": size, "time": times, "memory": memory})
            shown = [f"{times[m] * 1e6:8.0f}µs" for m in steps] + [f"{memory[m] / 1e6:8.2f}MB" for m in steps]
            print(f"{f'{name} {size}':12}", *shown)
    return results


def draw(results: dict[str, list[dict[str, Any]]], path: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6), layout="constrained")
    units = {"time": (1e-6, "time per step [µs]"), "memory": (1e6, "memory [MB]")}
    for row, (key, (unit, label)) in zip(figure.subplots(2, len(results)), units.items(), strict=True):
        for axes, (name, points) in zip(row, results.items(), strict=True):
            sizes = [point["size"] for point in points]
            for mode, color in (("recorded", "C0"), ("compiled", "C1")):
                values = [point[key][mode] / unit for point in points]
                axes.plot(sizes, values, "o-", color=color, label=mode)
                axes.plot(sizes, [values[-1] * n / sizes[-1] for n in sizes], ":", color=color, linewidth=1)
            axes.set(xscale="log", yscale="log", xlabel=name)
            axes.set_xticks(sizes, sizes, minor=False)
            axes.set_xticks([], minor=True)
        row[0].set_ylabel(label)
    figure.axes[0].legend()
    figure.suptitle("Growth of a training step (dotted: proportional)", fontsize=11)
    figure.savefig(path, dpi=80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plot", metavar="FILE", help="draw the figures as well")
    args = parser.parse_args()
    chains(args.rounds)
    results = measure(args.rounds)
    if args.plot:
        draw(results, args.plot)
        print(f"\n{args.plot}")


if __name__ == "__main__":
    sys.exit(main())
