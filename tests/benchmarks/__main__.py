"""Times each workload for each peer that is installed, in turns in one run, and prints the ratios.

Machines are shared and noisy: each peer has a process of its own, all take turns for several rounds, and the ratio of
the minima and that of the medians are what counts, not the times. Set OMP_NUM_THREADS=1 to take the BLAS library's
threads out of the picture.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.chains import CHAINS
from tests.benchmarks.sequences import SEQUENCE_PEERS, SEQUENCES
from tests.benchmarks.workloads import PEERS, WORKLOADS

ROOT = Path(__file__).resolve().parents[2]
ALL = [*WORKLOADS, *SEQUENCES, *CHAINS]
PAUSE = 0.25  # seconds before a turn: the threads of the last peer's BLAS are busy with waiting for a tenth of a second


class Peer:
    """A process that does the steps of one peer."""

    def __init__(self, workload: str, name: str) -> None:
        self.name = name
        self.times: list[float] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.peer", workload, name],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.start = self._answer()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line.startswith("{") else None

    def run(self, steps: int) -> None:
        assert self.process.stdin is not None
        time.sleep(PAUSE)
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        answer = self._answer()
        self.times += answer["times"]
        self.memory = answer["memory"]

    def stop(self) -> str:
        _, errors = self.process.communicate()
        return errors.strip().rpartition("\n")[2]


def compare(workload: str, names: list[str], rounds: int) -> list[dict[str, Any]]:
    """The figures of each peer; the first, mostly the hand-written version, is what the others are compared with."""
    peers = [Peer(workload, name) for name in names]
    running = []
    for peer in peers:
        if peer.start is None:
            print(f"  {peer.name}: left out ({peer.stop()})")
        else:
            running.append(peer)
    for peer in running:
        peer.run(5)
    steps = {peer.name: max(1, min(100, int(0.15 / min(peer.times)))) for peer in running}
    for peer in running:
        peer.times.clear()
    for _ in range(rounds):
        for peer in running:
            peer.run(steps[peer.name])
    hand = running[0]
    figures = []
    for peer in running:
        figures.append({
            "peer": peer.name,
            "minimum": min(peer.times),
            "ratio": min(peer.times) / min(hand.times),
            "ratio of medians": statistics.median(peer.times) / statistics.median(hand.times),
            "first": peer.start["first"],
            "memory": peer.memory,
            "losses": peer.start["losses"],
        })  # fmt: skip
        peer.stop()
    return figures


def show(workload: str, figures: list[dict[str, Any]]) -> None:
    print(f"\n{workload:16} {'step':>10} {'ratio of minima':>16} {'of medians':>11} {'first call':>11} {'memory':>8}")
    for f in figures:
        print(
            f"{f['peer']:16} {f['minimum'] * 1e6:8.0f}µs {f['ratio']:16.2f} {f['ratio of medians']:11.2f} "
            f"{f['first'] * 1e3:9.1f}ms {f['memory'] / 1e6:6.0f}MB"
        )


def draw(results: dict[str, list[dict[str, Any]]], path: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 8), layout="constrained")
    colors = {name: f"C{k}" for k, name in enumerate(PEERS)}
    kinds = (
        ("ratio", "time per step (by hand: 1)", 1),
        ("memory", "memory [MB]", 1e6),
        ("first", "first call [ms]", 1e-3),
    )
    for axes, (key, label, unit) in zip(figure.subplots(3, 1), kinds, strict=True):
        place, ticks = 0.0, []
        for workload, figures in results.items():
            ticks.append((place + (len(figures) - 1) / 2, workload))
            for f in figures:
                value = f[key] / unit
                axes.bar(place, value, color=colors[f["peer"]])
                axes.text(
                    place, value, f"{value:.0f}" if value > 20 else f"{value:.2g}", ha="center", va="bottom", fontsize=6
                )
                place += 1
            place += 1
        axes.set_xticks(*zip(*ticks, strict=True))
        axes.set(ylabel=label, yscale="log")
    shown = {f["peer"] for figures in results.values() for f in figures}
    handles = [figure.axes[0].bar(0, 0, color=c, label=name) for name, c in colors.items() if name in shown]
    figure.legend(handles=handles, loc="outside right upper")
    figure.savefig(path, dpi=90)


def versions() -> str:
    names = ("numpy", "torch", "jax", "autograd", "mygrad", "scikit-learn")
    found = []
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return f"Python {platform.python_version()}, {', '.join(found)}; {platform.machine()}, {os.cpu_count()} cores"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workloads", nargs="*", help=f"of {', '.join(ALL)}; all without")
    parser.add_argument(
        "--peers", nargs="*", default=list(PEERS), help=f"of {', '.join(PEERS)}; all that are installed"
    )
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--plot", metavar="FILE", help="draw the figures as well")
    args = parser.parse_args()
    print(versions())
    results = {}
    for workload in args.workloads or ALL:
        known: Any = CHAINS.get(workload) or (SEQUENCE_PEERS if workload in SEQUENCES else PEERS)
        results[workload] = compare(workload, [name for name in known if name in args.peers], args.rounds)
        show(workload, results[workload])
    if args.plot:
        draw(results, args.plot)
        print(f"\n{args.plot}")


if __name__ == "__main__":
    sys.exit(main())
