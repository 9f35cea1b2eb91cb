"""Nested lists, tuples and dicts of arrays or tensors: arguments and results of the transforms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .conversion import rebuilt
from .recording import plain
from .tensor import Tensor


def _map(function: Callable[..., Any], *trees: Any) -> Any:
    """`function` applied to the leaves of nested lists, tuples and dicts of the same structure."""
    first = trees[0]
    if isinstance(first, dict):
        return {key: _map(function, *(t[key] for t in trees)) for key in first}
    if isinstance(first, list | tuple):
        return _built(first, [_map(function, *parts) for parts in zip(*trees, strict=True)])
    return function(*trees)


def _built(like: Any, parts: list[Any]) -> Any:
    """A dict, list, tuple or named tuple like that one, of other parts."""
    return dict(zip(like, parts, strict=True)) if isinstance(like, dict) else rebuilt(like, parts)


def _leaves(tree: Any) -> list[Any]:
    leaves: list[Any] = []
    _map(leaves.append, tree)
    return leaves


def _alike(what: str, given: Any, of: str, wanted: Any) -> Any:
    """`given` in the structure of `wanted`. Raises `ValueError` unless it has this structure and its arrays these
    shapes, `TypeError` for what is no real numbers. None stands for None."""
    if isinstance(wanted, dict | list | tuple):
        kind = dict if isinstance(wanted, dict) else list | tuple
        if not isinstance(given, kind) or _keys(given) != _keys(wanted):
            raise ValueError(f"{what} must have the structure of {of}: {_shown(wanted)}, not {_shown(given)}")
        return _built(wanted, [_alike(f"{what}[{k!r}]", given[k], f"{of}[{k!r}]", wanted[k]) for k in _keys(wanted)])
    if given is None and wanted is None:
        return None
    if isinstance(given, list | tuple):
        given = np.asarray(given)
    if given is None or isinstance(given, dict) or _kind(given) not in "fiu":
        raise TypeError(f"{what} must be real numbers, as {of}, not {_shown(given)}")
    if np.shape(plain(given)) != np.shape(plain(wanted)):
        raise ValueError(f"{what} has shape {np.shape(plain(given))}, {of} {np.shape(plain(wanted))}")
    return given


def _keys(tree: Any) -> Any:
    return tree.keys() if isinstance(tree, dict) else range(len(tree))


def _shown(tree: Any) -> str:
    if isinstance(tree, dict):
        return f"a dict of {', '.join(map(repr, tree)) or 'nothing'}"
    return f"a {type(tree).__name__} of {len(tree)}" if isinstance(tree, list | tuple) else f"{type(tree).__name__}"


def _kind(x: Any) -> str:
    return (x if isinstance(x, Tensor) else np.asarray(x)).dtype.kind
