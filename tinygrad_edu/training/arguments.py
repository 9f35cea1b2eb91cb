"""The arguments of `fit`, looked at before anything is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..nn.evaluation import Metric
from ..nn.module import Module
from ..optim.base import Optimizer


def check_kinds(model: Any, loss: Any, optimizer: Any, metrics: Any, schedule: Any, augment: Any, shuffle: Any) -> None:
    """Raises `TypeError` for an argument of the wrong kind."""
    if not isinstance(model, Module):
        raise TypeError(f"fit: the model must be a Module, such as Sequential(...), not {model!r}")
    if not callable(loss):
        raise TypeError(f"fit: loss must be a function (prediction, target), such as mse_loss, not {loss!r}")
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"fit: optimizer must be an optimiser, such as SGD(model.parameters(), lr=0.1), not {optimizer!r}"
        )
    listed = metrics.values() if isinstance(metrics, Mapping) else metrics
    if isinstance(listed, str) or not isinstance(listed, Iterable) or not all(map(callable, listed)):
        raise TypeError(
            f"fit: metrics must be functions (prediction, target) in a list, such as [accuracy], not {metrics!r}"
        )
    if schedule is not None and not callable(schedule):
        raise TypeError(
            f"fit: schedule must be a function of the time in epochs, not {schedule!r}; set a fixed rate as the "
            "optimiser's lr"
        )
    if augment is not None and not callable(augment):
        raise TypeError(f"fit: augment must be a function (X, y, rng) that returns a pair (X, y), not {augment!r}")
    if not isinstance(shuffle, bool):
        raise TypeError(f"fit: shuffle must be True or False, not {shuffle!r}")


def named(metrics: Any, validated: bool) -> dict[str, Metric]:
    """The metrics by their names in the history, each of which there may be once."""
    pairs: list[tuple[Any, Metric]] = (
        list(metrics.items()) if isinstance(metrics, Mapping) else [(_name(m), m) for m in metrics]
    )
    noted = {"loss", "seconds", *(["val_loss"] if validated else [])}
    for name, metric in pairs:
        names = {name, f"val_{name}"} if validated else {name}
        if not isinstance(name, str) or not noted.isdisjoint(names):
            raise ValueError(
                f"fit: the history has no room for a metric called {name!r}"
                + (", or has one already" if isinstance(name, str) else ", names are texts")
                + f". Give each metric a name of its own: metrics={{'a_name': {_name(metric) or 'function'}, ...}}"
            )
        noted |= names
    return dict(pairs)


def _name(metric: Any) -> str | None:
    return getattr(metric, "__name__", None)


def check_numbers(epochs: Any, batch_size: Any, steps_per_epoch: Any) -> None:
    if not _is_count(epochs, 0):
        raise ValueError(f"fit: epochs must be a whole number of at least 0, got {epochs!r}")
    if batch_size is not None and not _is_count(batch_size, 1):
        raise ValueError(
            f"fit: batch_size must be a whole number of at least 1, or None to use all samples in each step; got "
            f"{batch_size!r}"
        )
    if steps_per_epoch is not None and not _is_count(steps_per_epoch, 1):
        raise ValueError(f"fit: steps_per_epoch must be a whole number of at least 1, got {steps_per_epoch!r}")


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int | np.integer) and bool(value >= least)


def check_places(validation: Any, checkpoint: Any) -> None:
    if validation is not None and not (isinstance(validation, tuple | list) and len(validation) == 2):
        raise TypeError("fit: validation must be a pair of inputs and targets, (X, y)")
    if checkpoint is not None and (Path(checkpoint).suffix.lower() != ".npz" or not Path(checkpoint).parent.is_dir()):
        raise ValueError(f"fit: checkpoint={str(checkpoint)!r} must be an .npz file in a folder that exists")


def check_split(validation_split: Any, validation: Any) -> None:
    if validation_split is None:
        return
    if validation is not None:
        raise ValueError("fit: validation and validation_split exclude each other: one says what the other cuts off")
    if not isinstance(validation_split, float | np.floating) or not 0 < validation_split < 1:
        raise ValueError(
            "fit: validation_split must be the share of the rows that are held out, between 0 and 1, such as 0.2; got "
            f"{validation_split!r}"
        )


def check_goes_with_arrays(steps_per_epoch: Any) -> None:
    if steps_per_epoch is not None:
        raise ValueError(
            "fit: steps_per_epoch is for an iterable of batches (X without y); with arrays, an epoch is once through "
            "all rows"
        )


def check_goes_with_batches(
    batch_size: Any, shuffle: bool, validation_split: Any, sample_weight: Any, metrics: Any, validation: Any
) -> None:
    """Refuses what is said of arrays where there is an iterable of batches."""
    for name, given, advice in [
        ("batch_size", batch_size != 32, "the batches are as they come. Make them of that size"),
        ("shuffle=False", not shuffle, "the batches come in an order of their own"),
        ("validation_split", validation_split is not None, "which rows are the last? Pass validation=(X, y)"),
        (
            "sample_weight",
            sample_weight is not None,
            "it has no known rows. Let each batch hold the weights, (X, (y, weights)), and the loss use them",
        ),
    ]:
        if given:
            raise ValueError(f"fit: {name} does not go with an iterable of batches: {advice}")
    if metrics and validation is None:
        raise ValueError(
            "fit: metrics are not computed on an iterable of batches, which would have to be gone through once more. "
            "Pass validation=(X, y), on which they are computed"
        )


def check_parameters(model: Module, optimizer: Optimizer) -> None:
    """Raises `ValueError` if the optimiser was made for another model, or before a layer of this one was replaced."""
    held = optimizer.parameters()
    own = {id(p) for p in model.parameters()}
    lacking = [name for name, p in model.named_parameters() if all(p is not q for q in held)]
    foreign = sum(id(p) not in own for p in held)
    if lacking and foreign:
        raise ValueError(
            f"fit: the optimiser lacks {', '.join(lacking)} of the model, and holds {foreign} parameters that are not "
            "the model's. Was a layer replaced after the optimiser was made? Make the optimiser from the finished "
            f"model: {type(optimizer).__name__}(model.parameters(), ...). Freeze parameters that should not be trained "
            "(p.requires_grad = False)"
        )
