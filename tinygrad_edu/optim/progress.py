"""The progress bar, tqdm's, in a terminal or a notebook."""

from __future__ import annotations

import sys
import warnings
from typing import Any


def progress_bar(
    progress: bool | None, total: int, done: int = 0, *, what: str = "learning", unit: str = "step"
) -> Any:
    """A tqdm bar for True, None for False; for None a bar in a terminal or a notebook, if tqdm is installed (and for a
    notebook ipywidgets).

    The bar begins with the words `what`. Raises `ImportError` for True without tqdm (extra `examples`).
    """
    if progress is False:
        return None
    try:
        from tqdm import TqdmWarning

        with warnings.catch_warnings(action="ignore", category=TqdmWarning):  # that a notebook has no ipywidgets
            from tqdm.auto import tqdm
    except ImportError:
        if progress:
            raise ImportError("the progress bar needs tqdm: pip install 'tinygrad-edu[examples]'") from None
        return None
    bar = tqdm(total=total, initial=done, desc=what, unit=unit, disable=None if progress is None else False)
    return None if bar.disable else bar


NOT_WANTED = "compiled=False"


def say_how(bar: Any, what: str, why_recorded: str) -> str:
    """Says at the bar, in front of the words `what`, whether steps are compiled or, and why, recorded.

    Few words, since the loss, which comes last, shall be seen in a terminal of 80 columns.
    """
    if bar is not None:
        bar.set_description(f"{'recorded' if why_recorded else 'compiled'}, {what}")
        if why_recorded and why_recorded != NOT_WANTED:
            bar.write(f"recorded, not compiled: {why_recorded}", file=sys.stderr)
    return why_recorded
