"""Checkpoints: all that a training needs to go on to the same bits."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..nn.layers import Module
from ..optim.optimizers import Optimizer
from ..random import generator
from ..storage.files import PathLike, Refused, load_arrays, save_arrays
from .callbacks import Callback, History


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
    model_now = model.state_dict()
    left = Path(path).stat().st_size  # of what the file may hold: its arrays are not compressed

    def check(name: str, shape: tuple[int, ...]) -> None:
        nonlocal left
        left -= math.prod(shape)
        if left < 0:
            raise Refused(f"its arrays are larger than the file. {ANEW}")
        part, _, entry = name.partition("/")
        if part == "model" and entry in model_now and shape != model_now[entry].shape:
            raise Refused(f"{entry} is {shape}, the model wants {model_now[entry].shape}. {ANEW}")

    parts: dict[str, dict[str, NDArray[Any]]] = {}
    for name, value in load_arrays(path, check).items():
        part, _, entry = name.partition("/")
        parts.setdefault(part, {})[entry] = value
    optimizer_now = optimizer.state_dict()
    hooks_now = [hook.state_dict() for hook in hooks]
    states_now = [g.bit_generator.state for g in generators]
    try:
        if missing := sorted({"history", "model", "optimizer", "random"} - parts.keys()):
            raise ValueError(f"it has no {', no '.join(missing)}")
        for name, values in parts["model"].items():
            if name in model_now and values.dtype != model_now[name].dtype:
                raise ValueError(f"{name} is {values.dtype}, the model's is {model_now[name].dtype}")
        states = json.loads(parts["random"]["states"].tobytes())
        if len(states) != len(generators):
            raise ValueError(f"it has the states of {len(states)} generators, here are {len(generators)}")
        seconds = float(parts["history"].pop("seconds"))
        if parts["history"].keys() != noted:
            raise ValueError(f"it measured {', '.join(parts['history'])}, this training {', '.join(sorted(noted))}")
        model.load_state_dict(parts["model"])
        optimizer.load_state_dict(parts["optimizer"])
        for i, hook in enumerate(hooks):
            hook.load_state_dict(parts.get(f"callback{i}", {}))
        for g, state in zip(generators, states, strict=True):
            g.bit_generator.state = state
    except Exception as error:  # a callback's own among them
        model.load_state_dict(model_now)
        optimizer.load_state_dict(optimizer_now)
        for hook, state in zip(hooks, hooks_now, strict=True):
            hook.load_state_dict(state)
        for g, state in zip(generators, states_now, strict=True):
            g.bit_generator.state = state
        raise ValueError(f"{path} is no checkpoint of this training: {error}. {ANEW}") from None
    history.update({name: values.tolist() for name, values in parts["history"].items()})
    history.seconds = seconds


ANEW = "Delete it to start anew"
