"""Checkpoints: all that a training needs to go on to the same bits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .callbacks import Callback, History
from .nn import Module
from .optim import Optimizer
from .random import generator
from .storage import PathLike, load_arrays, save_arrays


def generators_of(model: Module, rng: np.random.Generator) -> list[np.random.Generator]:
    """All that the training draws random numbers from, each once."""
    found = [rng, generator()]
    found += [value for m in model.modules() for value in vars(m).values() if isinstance(value, np.random.Generator)]
    return list({id(g): g for g in found}.values())


def store(
    path: PathLike,
    model: Module,
    optimizer: Optimizer,
    history: History,
    hooks: Sequence[Callback],
    generators: Sequence[np.random.Generator],
) -> None:
    parts: dict[str, Mapping[str, Any]] = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    parts |= {f"callback{i}": hook.state_dict() for i, hook in enumerate(hooks)}
    parts["history"] = {name: np.array(values) for name, values in history.items()} | {
        "seconds": np.array(history.seconds)
    }
    states = json.dumps([g.bit_generator.state for g in generators], default=lambda array: array.tolist())
    parts["random"] = {"states": np.frombuffer(states.encode(), np.uint8)}
    save_arrays({f"{part}/{name}": v for part, entries in parts.items() for name, v in entries.items()}, path)


def resume(
    path: PathLike,
    model: Module,
    optimizer: Optimizer,
    history: History,
    hooks: Sequence[Callback],
    generators: Sequence[np.random.Generator],
    noted: set[str],
) -> None:
    wanted = {f"model/{name}": array.shape for name, array in model.state_dict().items()}

    def check(name: str, shape: tuple[int, ...]) -> None:
        if shape != wanted.get(name, shape):
            raise ValueError(f"{path}: {name} is {shape}, the model wants {wanted[name]}")

    parts: dict[str, dict[str, NDArray[Any]]] = {}
    for name, value in load_arrays(path, check).items():
        part, _, entry = name.partition("/")
        parts.setdefault(part, {})[entry] = value
    before = model.state_dict(), optimizer.state_dict()
    try:
        states = json.loads(parts["random"]["states"].tobytes())
        if len(states) != len(generators):
            raise ValueError(f"it has the states of {len(states)} generators, here are {len(generators)}")
        model.load_state_dict(parts["model"])
        optimizer.load_state_dict(parts["optimizer"])
        for i, hook in enumerate(hooks):
            hook.load_state_dict(parts.get(f"callback{i}", {}))
        for g, state in zip(generators, states, strict=True):
            g.bit_generator.state = state
        seconds = float(parts["history"].pop("seconds"))
        if parts["history"].keys() != noted:
            raise ValueError(f"it measured {', '.join(parts['history'])}, this training {', '.join(sorted(noted))}")
        history.update({name: values.tolist() for name, values in parts["history"].items()})
        history.seconds = seconds
    except (ValueError, KeyError, TypeError) as error:
        model.load_state_dict(before[0])
        optimizer.load_state_dict(before[1])
        raise ValueError(f"{path} is no checkpoint of this training: {error}. Delete it to start anew") from None
