"""Programs one after the other, and the reports of those that fail."""

from __future__ import annotations

import hashlib
import random
import re
import warnings
from collections import Counter
from typing import Any

import numpy as np

from tinygrad_edu import Tensor
from tinygrad_edu.autograd.primitives import FUNCTIONS, Primitive

from .endings import ENDINGS
from .generation import random_program
from .oracles import Run, gradients_of
from .programs import Program

CALLED = re.compile(r"\b(?:np|F|tg)\.[\w.]+")


def failure(program: Program, seed: int, counts: Counter[str]) -> str | None:
    """What is wrong with the program, if anything."""
    try:
        with warnings.catch_warnings(), np.errstate(all="warn", under="ignore"):
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", "numpy.fix is deprecated")  # since NumPy 2.5
            Run(program, seed, counts).check(ENDINGS)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def smallest(program: Program, seed: int) -> Program:
    """The program without the statements that the failure, of the same kind, does not need."""
    kind = (failure(program, seed, Counter()) or "").partition(":")[0]
    k = len(program.statements)
    while k:
        k -= 1
        shorter = program.without(k)
        if shorter and (failure(shorter, seed, Counter()) or "").partition(":")[0] == kind:
            program = shorter
    return program


def fuzz(seeds: range) -> tuple[Counter[str], list[str]]:
    """What was covered, and a report for each program that failed."""
    counts: Counter[str] = Counter()
    reports = []
    for seed in seeds:
        program = random_program(random.Random(seed))
        counts.update(name for s in program.statements for name in set(CALLED.findall(s.text)))
        if message := failure(program, seed, counts):
            small = smallest(program, seed)
            reports.append(f"seed {seed}: {message}\n\n{small.reproducer()}\n")
    return counts, reports


def digest(seeds: range) -> str:
    """Of the values and gradients of these programs, to the bit: the same on every Python with the same NumPy."""
    found = hashlib.sha256()
    for seed in seeds:
        run = Run(random_program(random.Random(seed)), seed, Counter())
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                leaves, loss = run.recorded()
                if isinstance(loss, Tensor) and loss.requires_grad:
                    loss.backward()
                for array in (float(loss), *gradients_of(leaves)):
                    found.update(np.asarray(array, np.float64).tobytes())
            except (ValueError, TypeError, NotImplementedError) as error:  # refused
                found.update(type(error).__name__.encode())
    return found.hexdigest()[:16]


def coverage(counts: Counter[str]) -> str:
    primitives = {p.name for p in FUNCTIONS.values() if isinstance(p, Primitive)}
    split: Any = {"primitives recorded": {n: c for n, c in counts.items() if n in primitives},
                  "functions called": {n: c for n, c in counts.items() if "." in n},
                  "oracles": {n: c for n, c in counts.items() if n.startswith("(")}}  # fmt: skip
    lines = [f"{what}: " + ", ".join(f"{n} {c}" for n, c in sorted(found.items())) for what, found in split.items()]
    return "\n".join([*lines, f"never recorded: {', '.join(sorted(primitives - counts.keys())) or 'none'}"])
