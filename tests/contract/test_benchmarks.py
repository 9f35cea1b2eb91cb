"""The benchmarks run; how fast anything is, is never asserted."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest

from tests.benchmarks import __main__ as benchmark
from tests.benchmarks import growth, moving
from tests.benchmarks.chains import CHAINS
from tests.benchmarks.sequences import SEQUENCE_PEERS, SEQUENCES
from tests.benchmarks.workloads import WORKLOADS, by_hand, by_hand_preallocated, compiled, recorded


@pytest.mark.parametrize("name", WORKLOADS)
def test_all_do_the_same_work(name):
    """The hand-written steps, ours recorded and ours compiled: the same losses, so the same updates."""
    losses = [[float(step()) for _ in range(3)] for step in (make(WORKLOADS[name]) for make in
              (by_hand, by_hand_preallocated, recorded, compiled))]  # fmt: skip
    tolerance = 1e-5 if WORKLOADS[name].dtype == "float32" else 1e-10
    for others in losses[1:]:
        np.testing.assert_allclose(others, losses[0], rtol=tolerance)
    assert losses[0][2] < losses[0][0]


@pytest.mark.parametrize("name", SEQUENCES)
def test_all_do_the_same_work_on_sequences(name):
    absent = set() if importlib.util.find_spec("torch") else {"PyTorch eager"}
    absent |= set() if SEQUENCES[name].network == "lstm" else {"NumPy, preallocated"}
    peers = [peer for peer in SEQUENCE_PEERS if peer not in absent]
    losses = [[float(step()) for _ in range(3)] for step in (SEQUENCE_PEERS[p](SEQUENCES[name]) for p in peers)]
    for others in losses[1:]:
        np.testing.assert_allclose(others, losses[0], rtol=1e-5 if SEQUENCES[name].dtype == "float32" else 1e-10)
    assert losses[0][2] < losses[0][0]


@pytest.mark.parametrize("name", CHAINS)
def test_all_do_the_same_work_on_numbers(name):
    peers = {p: run for p, run in CHAINS[name].items() if p != "PyTorch eager" or importlib.util.find_spec("torch")}
    values = [float(run(40)) for run in peers.values()]
    np.testing.assert_allclose(values, values[0], rtol=1e-14)


@pytest.mark.slow
def test_the_command(tmp_path, monkeypatch, capsys):
    command = ["tests.benchmarks", "image", "chain", "--rounds", "1", "--plot", str(tmp_path / "b.png")]
    monkeypatch.setattr(sys, "argv", [*command, "--peers", "NumPy by hand", "recorded", "compiled"])
    monkeypatch.setattr(benchmark, "PAUSE", 0)
    benchmark.main()
    said = capsys.readouterr().out
    assert "ratio of minima" in said and "compiled" in said and "chain" in said
    assert "left out" not in said and (tmp_path / "b.png").stat().st_size > 5000


@pytest.mark.parametrize("name", ["roll", "diagonal", "einsum, attention"])
def test_moving_is_timed(name):
    assert all(time > 0 for time in moving.measure(name, 1))


@pytest.mark.slow
def test_growth_is_drawn(tmp_path, monkeypatch, capsys, frozen):
    monkeypatch.setattr(growth, "SERIES", {name: (sizes[:2], make) for name, (sizes, make) in growth.SERIES.items()})
    results = growth.measure(1)
    assert all(point["memory"]["compiled"] > 1000 for points in results.values() for point in points)
    growth.draw(results, tmp_path / "g.png")
    assert (tmp_path / "g.png").stat().st_size > 5000 and "layers 10" in capsys.readouterr().out
