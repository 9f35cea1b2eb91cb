"""The example scripts, run as a user runs them."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "examples"
for needed in ("mlxtend", "matplotlib", "tqdm", "scipy"):
    pytest.importorskip(needed, reason="the examples need the extra examples")


def run(script, *arguments, cwd, code=0):
    done = subprocess.run(
        [sys.executable, "-W", "error", SCRIPTS / script, *map(str, arguments)], cwd=cwd, capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    return done.stdout + (done.stderr if code else "")


def test_ex4_digits(tmp_path, data_folder):
    out = run(
        "ex4_digits.py", "--iterations", 30, "--holdout", 0.2, "--weights", data_folder / "ex4weights.mat", cwd=tmp_path
    )
    assert "J = 0.287629165161  (λ = 0)" in out and "J = 0.383769859091  (λ = 1)" in out and "accuracy 97.52%" in out
    differences = [float(d) for d in re.findall(r"relative difference (\S+)", out)]
    assert len(differences) == 2 and max(differences) < 1e-9
    assert "Learning from 4000 digits" in out and "on 1000 held-out digits" in out
    written = {p.name for p in (tmp_path / "ex4_output").iterdir()}
    assert written == {"digits.png", "cost.png", "hidden_units.png", "predictions.png", "graph.svg"}
    assert "0.weight" in (tmp_path / "ex4_output" / "graph.svg").read_text()


def test_ex4_digits_in_mini_batches_is_repeatable(tmp_path):
    arguments = ("--iterations", 200, "--batch-size", 50, "--alpha", 0.5, "--seed", 3, "--no-plots")
    first, second = (run("ex4_digits.py", *arguments, cwd=tmp_path) for _ in range(2))
    assert first == second and not list(tmp_path.iterdir())
    assert float(re.search(r"training accuracy ([\d.]+)%", first)[1]) > 75


def test_ctrl_c_keeps_what_was_learned(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-u", SCRIPTS / "ex4_digits.py", "--iterations", "100000000", "--no-plots"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if line.startswith("Learning"):
            break
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert re.search(r"Stopped after \d+ steps", out) and "training accuracy" in out


def test_help_and_bad_arguments(tmp_path):
    text = run("ex4_digits.py", "--help", cwd=tmp_path)
    for option in (
        "--data",
        "--weights",
        "--iterations",
        "--alpha",
        "--lam",
        "--seed",
        "--batch-size",
        "--holdout",
        "--out",
    ):
        assert option in text
    assert "error: nowhere.mat: there is no such file" in run(
        "ex4_digits.py", "--data", "nowhere.mat", cwd=tmp_path, code=1
    )
    assert "leaves nothing to learn from" in run("ex4_digits.py", "--holdout", 0.9999, cwd=tmp_path, code=1)
    (tmp_path / "file").touch()
    assert "error: " in run("ex4_digits.py", "--out", "file", cwd=tmp_path, code=1)
    for bad in (
        ("--seed", -1),
        ("--alpha", "inf"),
        ("--holdout", 1.5),
        ("--iterations", 0),
        ("--alpha", -1),
        ("--batch-size", 0),
    ):
        assert "error: --" in run("ex4_digits.py", *bad, cwd=tmp_path, code=2)
