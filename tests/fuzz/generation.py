"""How a random program comes about."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from .operations import OPERATIONS, Draw, Unfit
from .programs import Program

NAMES = sorted(OPERATIONS)


def random_array(rng: random.Random, shape: tuple[int, ...]) -> Any:
    size = int(np.prod(shape))
    return np.array([rng.uniform(-2, 2) for _ in range(size)]).reshape(shape)


def start(program: Program, rng: random.Random) -> None:
    """Leaves of a few sizes that go together, 0 and 1 among them, and constants of other dtypes."""
    sizes = rng.choices([0, 1, 2, 3, 4], weights=[1, 3, 6, 6, 2], k=2)
    for _ in range(rng.randint(1, 4)):
        shape = tuple(rng.choice(sizes) if rng.random() < 0.9 else 1 for _ in range(rng.choice([0, 1, 1, 2, 2, 2, 3])))
        program.add_leaf(random_array(rng, shape)[()])
    for k in range(rng.choice([0, 0, 1, 2])):
        shape = tuple(rng.choice(sizes) for _ in range(rng.choice([1, 2])))
        dtype = rng.choice([np.uint8, np.int64, np.float32, np.float64, np.bool_])
        program.constants[f"k{k}"] = np.abs(random_array(rng, shape) * (100 if dtype == np.uint8 else 1)).astype(dtype)


def add_statement(program: Program, operation: str, rng: random.Random) -> bool:
    draw = Draw(rng, program.values, program.constants)
    try:
        text = OPERATIONS[operation](draw)
        kind = rng.random()
        arrays = "tg." in text + "".join(s.text for s in program.statements)  # which `+=` changes in place
        extra = draw.any() if kind < 0.05 and not arrays else None
    except Unfit:
        return False
    held = 0.05 < kind < 0.1 and "tg.Dropout" not in text  # which warns where nothing is recorded, as it should
    return program.add(text, held=held, extra=extra)


def random_program(rng: random.Random) -> Program:
    program = Program()
    start(program, rng)
    length = rng.randint(1, 9)
    while len(program.statements) < length:
        add_statement(program, rng.choice(NAMES), rng)
    return program
