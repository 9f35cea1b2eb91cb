"""Memory that training uses again in each step."""

from __future__ import annotations

import numpy as np

_LARGEST = 31 * 2**20  # bytes; of larger blocks the C library learns nothing


def keep_freed_memory() -> None:
    """Has the C library keep what a training step frees, for the next step.

    A step frees its whole graph. GNU's C library hands that back to the system, which then has to give it again in the
    next step, page by page and filled with zeros: up to half of the time of a step. Once a large block was freed, it
    keeps as much as twice its size (mallopt(3), "dynamic mmap threshold"). Other libraries are not affected.
    """
    np.empty(_LARGEST, np.uint8)
