"""`scipy.stats` for tensors: `from tinygrad_edu.scipy.stats import norm`. Everything but `norm` is SciPy's own."""

from __future__ import annotations

from typing import Any

from scipy import stats as _stats

from . import norm as norm

__all__ = [*_stats.__all__]


def __getattr__(name: str) -> Any:
    if name.startswith("__"):  # what a module is asked for
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_stats, name)


def __dir__() -> list[str]:
    return dir(_stats)
