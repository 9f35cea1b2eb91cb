"""What the scripts have beside their lesson: options, pictures in a folder, errors without tracebacks, Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any


def within(kind: type, fits: Callable[[Any], bool], said: str) -> Callable[[str], Any]:
    """A type for `add_argument`: numbers of a kind, within bounds that are `said` to who breaks them."""

    def read(text: str) -> Any:
        value = kind(text)
        if not fits(value):
            raise argparse.ArgumentTypeError(f"must be {said}, not {text}")
        return value

    read.__name__ = kind.__name__  # argparse says "invalid int value"
    return read


COUNT = within(int, lambda n: n >= 1, "at least 1")
PIXELS = within(int, lambda n: n >= 2, "at least 2")
RATE = within(float, lambda a: 0 < a < math.inf, "positive and finite")
SEED = within(int, lambda n: 0 <= n < 2**32, "from 0 to 2**32 - 1")


def parser(
    description: str,
    *,
    seed: int,
    out: str,
    seeded: str = "of the initial weights",
    iterations: int | None = None,
    alpha: float | None = None,
) -> argparse.ArgumentParser:
    """With the options `--seed` and `--out`, and with `--iterations` and `--alpha` where they are given a default."""
    result = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    if iterations is not None:
        result.add_argument("--iterations", type=COUNT, default=iterations, help="steps of gradient descent")
    if alpha is not None:
        result.add_argument("--alpha", type=RATE, default=alpha, help="learning rate α")
    result.add_argument("--seed", type=SEED, default=seed, help=seeded)
    result.add_argument("--out", type=Path, default=Path(out), metavar="FOLDER", help="for pictures and results")
    return result


def is_usual(parser: argparse.ArgumentParser, args: argparse.Namespace, *free: str) -> bool:
    """Whether every option has its default, except `--out` and those named `free`: what the courses and articles report
    can be compared with such runs only."""
    return all(v == parser.get_default(name) for name, v in vars(args).items() if name not in ("out", *free))


@contextlib.contextmanager
def errors_told() -> Iterator[None]:
    """A missing file, say, or a loss that is not finite, ends the script with one line."""
    try:
        yield
    except (OSError, ValueError, FloatingPointError) as error:
        raise SystemExit(f"error: {error}") from None


def tell_if_interrupted(stopped: str, done: str) -> None:
    if stopped == "interrupted":
        print(f"\nStopped after {done}; going on with what was learned so far.")


def save_pictures(figures: Mapping[str, Any], folder: Path) -> None:
    for name, figure in figures.items():
        figure.savefig(folder / name, dpi=110)
        print(f"  {folder / name}")


def run(main: Callable[[], None]) -> None:
    """What stands behind `if __name__ == "__main__"`. An output that has no Greek letters shows ? in their place."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit("\nstopped") from None
