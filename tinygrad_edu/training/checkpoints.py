"""Checkpoints: everything that a training needs to continue with the same results to the last bit."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..nn.module import Module
from ..random import generator
from ..storage.files import PathLike, Refused, load_arrays, save_arrays
from .callbacks import Callback, Training

Entries = dict[str, NDArray[Any]]  # of one part of the file, by name


def generators_of(model: Module, *rngs: np.random.Generator) -> list[np.random.Generator]:
    """All generators that the training draws random numbers from, each once: `rngs`, and what the model draws from."""
    found = [*rngs, generator()]
    found += [value for m in model.modules() for value in vars(m).values() if isinstance(value, np.random.Generator)]
    return list({id(g): g for g in found}.values())


class _State(NamedTuple):
    """Everything that changes during a training, except its history."""

    model: Entries
    optimizer: Entries
    hooks: list[Entries]
    generators: list[Any]


def _state_of(training: Training, hooks: Sequence[Callback], generators: Sequence[np.random.Generator]) -> _State:
    return _State(
        training.model.state_dict(),
        training.optimizer.state_dict(),
        [hook.state_dict() for hook in hooks],
        [g.bit_generator.state for g in generators],
    )


def _load(
    state: _State, training: Training, hooks: Sequence[Callback], generators: Sequence[np.random.Generator]
) -> None:
    training.model.load_state_dict(state.model)
    training.optimizer.load_state_dict(state.optimizer)
    for hook, entries in zip(hooks, state.hooks, strict=True):
        hook.load_state_dict(entries)
    for g, values in zip(generators, state.generators, strict=True):
        g.bit_generator.state = values


def store(
    path: PathLike, training: Training, hooks: Sequence[Callback], generators: Sequence[np.random.Generator]
) -> None:
    """Writes a checkpoint, whole or not at all."""
    state, history = _state_of(training, hooks, generators), training.history
    parts = {"model": state.model, "optimizer": state.optimizer}
    parts |= {f"callback{i}": entries for i, entries in enumerate(state.hooks)}
    parts["history"] = {name: np.array(values) for name, values in history.items()} | {
        "seconds": np.array(history.seconds)
    }
    states = json.dumps(state.generators, default=lambda array: array.tolist())
    parts["random"] = {"states": np.frombuffer(states.encode(), np.uint8)}
    save_arrays({f"{part}/{name}": v for part, entries in parts.items() for name, v in entries.items()}, path)


def resume(
    path: PathLike,
    training: Training,
    hooks: Sequence[Callback],
    generators: Sequence[np.random.Generator],
    noted: set[str],
) -> None:
    """Brings the training to where the checkpoint was written; `noted` are the names in this training's history.

    Raises `ValueError`, with everything left as it was, if the file is damaged or is that of another training.
    """
    parts = _read(path, training.model.state_dict())
    before = _state_of(training, hooks, generators)
    try:
        states, seconds = _checked(parts, before, noted)
        callbacks = [parts.get(f"callback{i}", {}) for i in range(len(hooks))]
        _load(_State(parts["model"], parts["optimizer"], callbacks, states), training, hooks, generators)
    except Exception as error:  # a callback's own among them
        _load(before, training, hooks, generators)
        raise ValueError(f"{path} is no checkpoint of this training: {error}. {ANEW}") from None
    training.history.update({name: values.tolist() for name, values in parts["history"].items() if name in noted})
    training.history.seconds = seconds


def _read(path: PathLike, model: Entries) -> dict[str, Entries]:
    """The parts of the file; what does not fit the model is refused before memory is used for it."""
    left = Path(path).stat().st_size  # of what the file may hold: its arrays are not compressed

    def check(name: str, shape: tuple[int, ...]) -> None:
        nonlocal left
        left -= math.prod(shape)
        if left < 0:
            raise Refused(f"its arrays are larger than the file. {ANEW}")
        part, _, entry = name.partition("/")
        if part == "model" and entry in model and shape != model[entry].shape:
            raise Refused(f"{entry} is {shape}, the model wants {model[entry].shape}. {ANEW}")

    parts: dict[str, Entries] = {}
    for name, value in load_arrays(path, check).items():
        part, _, entry = name.partition("/")
        parts.setdefault(part, {})[entry] = value
    return parts


def _checked(parts: dict[str, Entries], now: _State, noted: set[str]) -> tuple[list[Any], float]:
    """Refuses what was written by another training; gives the states of the generators and the time that it took."""
    if missing := sorted({"history", "model", "optimizer", "random"} - parts.keys()):
        raise ValueError(f"it has no {', no '.join(missing)}")
    for name, values in parts["model"].items():
        if name in now.model and values.dtype != now.model[name].dtype:
            raise ValueError(f"{name} is {values.dtype}, the model's is {now.model[name].dtype}")
    states: list[Any] = json.loads(parts["random"]["states"].tobytes())
    if len(states) != len(now.generators):
        raise ValueError(
            f"it has the states of {len(states)} random generators, this training uses {len(now.generators)}"
        )
    seconds = float(parts["history"]["seconds"])
    measured = parts["history"].keys() - {"seconds"}
    if measured != noted:
        raise ValueError(
            f"it measured {', '.join(sorted(measured))}, this training measures {', '.join(sorted(noted))}"
        )
    return states, seconds


ANEW = "Delete it to start anew"
