"""The progress bar, tqdm's, in a terminal or a notebook."""

from __future__ import annotations

from typing import Any


def progress_bar(
    progress: bool | None, total: int, done: int = 0, *, what: str = "learning", unit: str = "step"
) -> Any:
    """A tqdm bar for True, None for False; for None a bar in a terminal or a notebook, if tqdm is installed.

    The bar begins with the words `what`. Raises `ImportError` for True without tqdm (extra `examples`).
    """
    if progress is False:
        return None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        if progress:
            raise ImportError("the progress bar needs tqdm: pip install 'tinygrad-edu[examples]'") from None
        return None
    bar = tqdm(total=total, initial=done, desc=what, unit=unit, disable=None if progress is None else False)
    return None if bar.disable else bar
