"""The parameter scan: many processes on one study, in SQLite and in a real PostgreSQL, one of them killed."""

from __future__ import annotations

import glob
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest

optuna = pytest.importorskip("optuna", reason="the scan needs the extra scan")
pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "parameter_scan.py"
GRID = ("--layers", "1,2", "--units", "3,4,5", "--iterations", "50,100", "--size", "16")


def start(folder, *arguments, script=SCRIPT):
    return subprocess.Popen(
        [sys.executable, script, "--out", folder, *GRID, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(SCRIPT.parent), os.environ.get("PYTHONPATH", "")])},
    )


def finished(process):
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, out + err
    return out


def trials(url):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(url)
    try:
        return optuna.load_study(study_name="scan", storage=storage).get_trials()
    finally:
        storage.engine.dispose()


def completed(url):
    return Counter(tuple(sorted(t.params.items())) for t in trials(url) if t.state.name == "COMPLETE")


@pytest.fixture
def scan(monkeypatch, tmp_path, capsys):
    """What the script says that is run here, which has imported it all before; its workers are processes."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    script = import_module("parameter_scan")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", [SCRIPT.name, "--out", str(tmp_path), *GRID, *map(str, arguments)])
        script.main()
        return capsys.readouterr().out

    return run


def test_one_machine_with_a_time_budget_and_resumed(scan, tmp_path):
    out = scan("--workers", 1, "--seconds", 0.01)
    assert "0 networks were done before" in out and "no network is done yet" in out
    out = finished(start(tmp_path, "--workers", 2))
    assert "12 networks" in out and (tmp_path / "scan.png").stat().st_size > 5000
    table = (tmp_path / "results.csv").read_text().splitlines()
    costs = [float(line.split(",")[0]) for line in table[1:]]
    assert len(costs) == 12 and costs == sorted(costs) and costs[0] < costs[-1]
    assert set(completed(f"sqlite:///{tmp_path}/scan.db").values()) == {1}
    out = scan("--workers", 1, "--layers", "2")
    assert "12 networks were done before" in out and "6 networks" in out  # of those asked for
    with pytest.raises(SystemExit, match="of another picture, size or seed"):
        scan("--seed", 7)


def test_pruning_and_another_sampler(scan, tmp_path):
    assert "networks" in scan("--sampler", "tpe", "--trials", 9, "--prune", "--workers", 1)
    assert len(trials(f"sqlite:///{tmp_path}/scan.db")) == 9


@pytest.fixture
def postgresql():
    """A private server on a socket in a temporary folder."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres")) or [shutil.which("postgres")]
    if found[-1] is None:
        pytest.skip("PostgreSQL's server is not installed (Debian's package postgresql)")
    pytest.importorskip("psycopg", reason="PostgreSQL needs the extra scan")
    binaries = Path(found[-1]).parent
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # short: a socket's path is limited to 107 bytes
    as_user = []
    if os.geteuid() == 0:  # the server refuses to run as root
        shutil.chown(folder, "postgres")
        as_user = ["runuser", "-u", "postgres", "--"]
    try:
        run = partial(subprocess.run, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
        data = folder / "data"
        run([*as_user, binaries / "initdb", "-D", data, "-A", "trust", "-U", "scan", "--no-sync"])
        control = [*as_user, binaries / "pg_ctl", "-D", data, "-w"]
        run([*control, "-l", folder / "log", "-o", f"-k {folder} -c listen_addresses=", "start"])
        try:
            yield f"postgresql+psycopg://scan@/postgres?host={folder}"
        finally:
            run([*control, "-m", "immediate", "stop"])
    finally:
        shutil.rmtree(folder)


def test_several_machines_on_one_postgresql_one_of_them_killed(postgresql, tmp_path):
    url = postgresql.replace("+psycopg", "")
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    impatient = tmp_path / "impatient.py"  # the test need not wait as long until the dead count as dead
    text = SCRIPT.read_text(encoding="utf-8")
    assert text.count("HEARTBEAT, GRACE = 2, 10") == 1
    impatient.write_text(text.replace("HEARTBEAT, GRACE = 2, 10", "HEARTBEAT, GRACE = 1, 5"), encoding="utf-8")
    slow = ("--iterations", "50,2500")  # so that the one that is killed is in the middle of something
    start_here = partial(start, script=impatient)
    victim = start_here(folders[0], "--storage", url, "--workers", 2, *slow)
    for _ in range(300):
        time.sleep(0.1)
        states = [] if victim.poll() is not None else _states(postgresql)
        if states.count("COMPLETE") and states.count("RUNNING") == 2:
            break
    survivor = start_here(folders[1], "--storage", url, "--workers", 2, *slow)
    time.sleep(2)
    os.killpg(victim.pid, signal.SIGKILL)
    victim.communicate()
    out = finished(survivor)
    assert "12 networks" in out
    done = completed(postgresql)
    assert len(done) == 12 and set(done.values()) == {1}  # none lost, none twice
    states = _states(postgresql)
    assert "RUNNING" not in states and "WAITING" not in states
    assert states.count("FAIL") >= 1  # what the killed one was at, taken up by another


def _states(url):
    try:
        return [t.state.name for t in trials(url)]
    except Exception:  # the tables are not there yet
        return []
