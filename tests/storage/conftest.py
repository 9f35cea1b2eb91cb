"""The two kinds of files in which models are stored."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", params=[".npz", ".safetensors"])
def ending(request):
    if request.param == ".safetensors":
        pytest.importorskip("safetensors", reason="needs the extra examples")
    return request.param
