"""Two checkouts of the package against each other: `python -m tests.benchmarks.pairs OTHER [--seconds 60] [name …]`.

Each checkout runs in a process of its own; both do the same steps in turns, so that noise disturbs both alike.
Printed are the ratios of this checkout's time to the other's, of the minima and of the medians.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parents[2]


def cases() -> dict[str, Callable[[], Any]]:
    """What is timed, made of the package that is imported in this process."""
    import numpy as np

    import tinygrad_edu as tg
    from tests.benchmarks.workloads import WORKLOADS, compiled, recorded

    def chain(step: Callable[[Any], Any], count: int = 1000) -> Callable[[], Any]:
        def run() -> None:
            y = tg.Tensor(1.0, requires_grad=True)
            for _ in range(count):
                y = step(y)
            y.sum().backward()

        return run

    def reused() -> None:
        x = tg.Tensor(1.0, requires_grad=True)
        y: Any = x
        for _ in range(1000):
            y = y + x
        y.backward()

    def indexed() -> None:
        x = tg.Tensor(np.ones(1000), requires_grad=True)
        y: Any = 0.0
        for k in range(1000):
            y = y + x[k]
        y.backward()

    c = tg.Tensor(1.0001)
    arrays = np.ones(1000)
    found: dict[str, Callable[[], Any]] = {}
    for name, workload in WORKLOADS.items():
        found[f"{name}, recorded"] = recorded(workload)
        found[f"{name}, compiled"] = compiled(workload)
    return found | {
        "chain of scalars with numbers": chain(lambda y: y * c * 1.0001 + 1e-4, 333),
        "chain of x * c": chain(lambda y: y * c),
        "chain of x * 1.0001": chain(lambda y: y * 1.0001),
        "chain of functions": chain(lambda y: np.exp(np.maximum(np.tanh(y), 0.01)) * 0.25, 250),
        "chain of arrays of 1000": chain(lambda y: y * 1.0001 + arrays, 300),
        "a scalar used 1000 times": reused,
        "a loop of indexing": indexed,
    }


def serve(names: list[str]) -> None:
    """Does the steps that are asked for, a line each: a name and how many."""
    made = cases()
    print(json.dumps([name for name in made if not names or any(n in name for n in names)]), flush=True)
    for line in sys.stdin:
        name, count = json.loads(line)
        start = time.perf_counter()
        for _ in range(count):
            made[name]()
        print((time.perf_counter() - start) / count, flush=True)


class Worker:
    def __init__(self, checkout: Path, names: list[str]) -> None:
        environment = os.environ | {"PYTHONPATH": str(checkout)}
        code = f"import runpy; runpy.run_path({str(Path(__file__))!r}, run_name='pairs')['serve']({names!r})"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=checkout, env=environment, stdin=-1, stdout=-1, text=True
        )
        assert self.process.stdout is not None
        self.names: list[str] = json.loads(self.process.stdout.readline())

    def time(self, name: str, count: int) -> float:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps([name, count]) + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def main() -> None:
    parser = argparse.ArgumentParser(description="Times two checkouts of the package against each other.")
    parser.add_argument("other", type=Path, help="the folder of the other checkout")
    parser.add_argument("names", nargs="*", help="parts of names of what to time (default: all)")
    parser.add_argument("--seconds", type=float, default=4.0, help="for each (default: %(default)s)")
    given = parser.parse_args()
    this, other = Worker(HERE, given.names), Worker(given.other.resolve(), given.names)
    print(f"{'':32} {'this':>9} {'other':>9} {'minima':>7} {'medians':>7}")
    for name in this.names:
        count = max(1, int(0.02 / min(this.time(name, 1), this.time(name, 1), this.time(name, 1))))
        times: tuple[list[float], list[float]] = ([], [])
        end = time.perf_counter() + given.seconds
        while time.perf_counter() < end or len(times[0]) < 5:
            for worker, measured in zip((this, other), times, strict=True):
                measured.append(worker.time(name, count))
        best, usual = [min(t) for t in times], [median(t) for t in times]
        ratios = f"{best[0] / best[1]:7.2f} {usual[0] / usual[1]:7.2f}"
        print(f"{name:32} {best[0] * 1e6:7.0f} µs {best[1] * 1e6:7.0f} µs {ratios}", flush=True)


if __name__ == "__main__":
    main()
