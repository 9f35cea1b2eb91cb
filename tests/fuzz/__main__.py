"""`python -m tests.fuzz --programs 100000 --seed 0 --workers 2`: random programs, and a report of what was found."""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from .runs import coverage, digest, fuzz


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first program; the others count on from it")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--digest", action="store_true", help="only a digest of all values and gradients")
    options = parser.parse_args()
    if options.digest:
        print(f"digest of {options.programs} programs: {digest(range(options.seed, options.seed + options.programs))}")
        return
    start, counts, reports = time.perf_counter(), Counter[str](), list[str]()
    parts = [range(k, min(k + 250, options.seed + options.programs))
             for k in range(options.seed, options.seed + options.programs, 250)]  # fmt: skip
    with contextlib.ExitStack() as stack:
        results = map(fuzz, parts)  # one worker needs no process of its own
        if options.workers > 1:
            # Unlike multiprocessing.Pool, this does not wait for a worker that was killed (for want of memory, say).
            pool = stack.enter_context(ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn")))
            results = pool.map(fuzz, parts)
        for k, (found, wrong) in enumerate(results, 1):
            counts += found
            reports += wrong
            print(*wrong, sep="\n", end="", flush=True)
            if not k % 40:
                print(f"{250 * k} programs, {time.perf_counter() - start:.0f} s, {len(reports)} failed", flush=True)
    seconds = time.perf_counter() - start
    print(f"{options.programs} programs from seed {options.seed} in {seconds:.0f} s; {len(reports)} failed")
    print(coverage(counts))
    raise SystemExit(bool(reports))


if __name__ == "__main__":
    main()
