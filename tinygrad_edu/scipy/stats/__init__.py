"""`scipy.stats` for tensors: `from tinygrad_edu.scipy.stats import norm`. Everything but `norm` is SciPy's own."""

from __future__ import annotations

from scipy import stats as _stats

from .. import rest_of
from . import norm as norm

__all__ = [*_stats.__all__]


__getattr__, __dir__ = rest_of(_stats, __name__)
