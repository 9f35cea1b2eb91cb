"""What all optimisers share: groups of parameters with their settings, and the step in which each rule is applied."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..autograd.call_site import warn_user
from ..autograd.inplace import is_written_over, last_change, next_change
from ..autograd.tensor import Tensor
from ..memory import empty_aligned, empty_aligned_like, keep_freed_memory

Group = dict[str, Any]
State = dict[str, Any]
Array = NDArray[Any]
# Of a parameter: the array that the optimiser made for it and may write over, where the moment of its last change is
# noted, two arrays to work in, and what is accumulated.
Work = tuple[Array, list[int], Array, Array, State]


class Optimizer:
    """Parameters in groups, each with its own settings, as in PyTorch.

    `params` is the parameters, or groups: `[{"params": weights, "weight_decay": 1e-4}, {"params": biases}]`, where what
    a group does not say is taken from the optimiser's own arguments, `defaults`. Raises `ValueError` for no parameters,
    one given twice, and settings that are unknown or out of their bounds; `TypeError` for what is no list of leaf
    tensors that require grad.

    Arrays that the optimiser made itself are updated in place: who wants a snapshot of a trained parameter takes a
    copy, and a graph from before a step that still needs the old values raises. So a model is trained by one thread at
    a time, and others that use it meanwhile may find it half updated; different models are trained in as many threads
    as you like. `copy.deepcopy((model, optimizer))` copies both together; a copy of the optimiser alone has parameters
    of its own.

    >>> net = tg.Dense(2, 1)
    >>> optimizer = tg.Adam([{"params": net.weight, "weight_decay": 1e-4}, {"params": net.bias}], lr=0.01)
    >>> [group["weight_decay"] for group in optimizer.param_groups]
    [0.0001, 0.0]
    """

    def __init__(self, params: Iterable[Tensor] | Iterable[Group], defaults: Group) -> None:
        given = listed(type(self).__name__, params)
        if not given:
            raise ValueError(f"{type(self).__name__} got no parameters; pass model.parameters()")
        groups = given if isinstance(given[0], dict) else [{"params": params if hasattr(params, "names") else given}]
        names: dict[Tensor, str] = {}
        defaults = {"weight_decay": 0.0} | defaults  # for optimisers of one's own
        self.param_groups: list[Group] = []
        seen: set[int] = set()
        for group in groups:
            if not isinstance(group, dict) or "params" not in group:
                raise TypeError('parameter groups are dicts such as {"params": [...], "lr": 0.1}')
            unknown = group.keys() - defaults.keys() - {"params"}
            if unknown:
                raise ValueError(f"{type(self).__name__}: unknown settings {sorted(unknown)}")
            those = group["params"]
            parameters = [those] if isinstance(those, Tensor) else listed(type(self).__name__, those)
            names |= getattr(those, "names", {})
            for p in parameters:
                if not isinstance(p, Tensor) or not p.requires_grad or not p.is_leaf:
                    raise TypeError(f"{type(self).__name__}: parameters are leaf tensors that require grad, not {p!r}")
                if id(p) in seen:
                    raise ValueError(f"{type(self).__name__}: a parameter of shape {p.shape} was given twice")
                seen.add(id(p))
            self.param_groups.append(defaults | group | {"params": parameters})
        for group in self.param_groups:
            self._check(group)
        self._proportions = [1.0] * len(self.param_groups)
        self.note_proportions()
        self._names: dict[Tensor, str] = {}  # in the model, where they are known
        self.learn_names(names)
        keep_freed_memory()
        self._state: dict[Tensor, State] = {}
        self._spare: dict[np.dtype[Any], list[Array]] = {}
        self._work: dict[Tensor, Work] = {}
        self._reached = len(seen)  # how many parameters had a gradient in the last step
        self._told: set[str] = set()  # what was warned of: once is enough

    def __getstate__(self) -> dict[str, Any]:
        """For `copy.deepcopy((model, optimizer))` and pickles: without the arrays to work in."""
        return vars(self) | {"_spare": {}, "_work": {}}

    _decay_in_gradient: ClassVar[bool] = True  # whether `weight_decay` · p is added to the gradient

    # The numbers among the settings: the bounds between which they are meant, the upper one excluded
    _bounds: ClassVar[dict[str, tuple[float, float]]] = {"lr": (0, math.inf), "weight_decay": (0, math.inf)}

    def _check(self, group: Group) -> None:
        """Refuses impossible settings, and turns numbers into Python floats."""
        for name, (low, high) in self._bounds.items():
            value = group[name]
            numbers = tuple(value) if name == "betas" and np.shape(value) == (2,) else (value,)
            if not all(isinstance(v, int | float | np.number) and low <= float(v) < high for v in numbers):
                wanted = f"a finite number of at least {low:g}" if high == math.inf else f"in [{low:g}, {high:g})"
                raise ValueError(f"{type(self).__name__}: {name} must be {wanted}, not {value!r}")
            for p in group["params"] if name == "eps" and value else ():
                if not p.dtype.type(value):
                    raise ValueError(
                        f"{type(self).__name__}: eps={value!r} is 0 in {p.dtype}, and a gradient of 0 would be divided "
                        "by it. Use eps=1e-4, or parameters in float32"
                    )
            # A NumPy scalar would turn float32 parameters into float64.
            group[name] = float(value) if numbers[0] is value else tuple(float(v) for v in numbers)

    @property
    def lr(self) -> float:
        """The learning rate of the first group; setting it sets that of all groups.

        >>> optimizer = tg.SGD(tg.Dense(2, 1).parameters(), lr=0.1)
        >>> optimizer.lr = 0.01
        >>> optimizer.param_groups[0]["lr"]
        0.01
        """
        return self.param_groups[0]["lr"]  # type: ignore[no-any-return]

    @lr.setter
    def lr(self, value: float) -> None:
        self._proportions = [1.0] * len(self.param_groups)
        self.set_lr_in_proportion(value)

    def note_proportions(self) -> None:
        """Notes how the groups' learning rates are to each other, which schedules keep."""
        first = self.lr
        if first:
            self._proportions = [group["lr"] / first for group in self.param_groups]

    def set_lr_in_proportion(self, value: float) -> None:
        """Sets the learning rate of the first group, and those of the others in proportion."""
        self._check(self.param_groups[0] | {"lr": value})
        changed = [g | {"lr": value * c} for g, c in zip(self.param_groups, self._proportions, strict=True)]
        for group in changed:
            self._check(group)
        for group, new in zip(self.param_groups, changed, strict=True):
            group["lr"] = new["lr"]

    def parameters(self) -> list[Tensor]:
        """The parameters of all groups."""
        return [p for group in self.param_groups for p in group["params"]]

    def learn_names(self, names: Mapping[Tensor, str]) -> None:
        """Names parameters that have no name yet. What is accumulated for a parameter is stored with its name, so that
        it comes back to it in a model whose parameters are in another order."""
        self._names = {p: names[p] for p in self.parameters() if p in names} | self._names

    def zero_grad(self) -> None:
        """Forgets the gradients of all parameters: to be called before `backward()` in each step."""
        for p in self.parameters():
            p.zero_grad()

    def step(self) -> None:
        """Updates every parameter that has a gradient and is not frozen. Raises `RuntimeError` if none has.

        Warns, once, of parameters that no gradient reached, and of gradients that were not zeroed since the last step.
        """
        groups = self.param_groups
        updates = [
            (p, p._grad, group, None)
            for group in groups
            for p in group["params"]
            if p._grad is not None and p._requires_grad
        ]
        if not updates:
            if not any(p.requires_grad for p in self.parameters()):
                raise RuntimeError(
                    f"{type(self).__name__}.step(): all parameters are frozen; set p.requires_grad = True for those "
                    "that should be trained"
                )
            raise RuntimeError(
                f"{type(self).__name__}.step(): no parameter has a gradient; call loss.backward() first. If that was "
                "done, the loss does not depend on these parameters: make the optimiser from the model's current "
                f"parameters, {type(self).__name__}(model.parameters(), ...)"
            )
        if len(updates) != self._reached:
            self._reached = len(updates)
            self.report_unreached([p._grad is not None for p in self.parameters()])
        if any([p._stale for p, _, _, _ in updates]):
            self._tell(
                "the gradients were added to those that the last step() had used already. Call optimizer.zero_grad() "
                "before backward() in each step; to sum several backward(), call it before the first of them"
            )
        self.advance(updates)
        for p, _, _, _ in updates:
            p._stepped, p._stale = True, False

    def report_unreached(self, reached: Sequence[bool]) -> None:
        """Warns of the parameters that the loss does not depend on, given for each whether it has a gradient."""
        parameters = self.parameters()
        unreached = [
            f"number {k}, {repr(p.name) + ' ' if p.name else ''}of shape {p.shape}"
            for k, (p, has) in enumerate(zip(parameters, reached, strict=True))
            if not has and p.requires_grad
        ]
        if unreached:
            self._tell(
                f"no gradient reached {len(unreached)} of {len(parameters)} parameters: {'; '.join(unreached)}. Is a "
                "layer left out of forward(), or was one replaced after the optimiser was made? Then make it of the "
                f"finished model: {type(self).__name__}(model.parameters(), ...). Freeze parameters that should not be "
                "trained (p.requires_grad = False); those that only some of the steps use may stay, this is said once"
            )

    def _tell(self, message: str) -> None:
        kind = message.partition(" ")[0]
        if kind not in self._told:
            self._told.add(kind)
            warn_user(f"{type(self).__name__}.step(): {message}")

    def advance(self, updates: Sequence[tuple[Tensor, Any, Group, Array | None]]) -> None:
        """Updates parameters: for each, it is given the gradient, the group, and an array of its shape to work in, or
        None; that may be the gradient itself.

        The first step binds a new array, so that what the user made is never written over. Further steps write into
        that array, which is faster, and mark it as changed: a graph that still needs what it held raises.
        """
        find = self._work.get
        work = [w if (w := find(p)) and w[0] is p._value and w[0].flags.writeable else None for p, _, _, _ in updates]
        if None in work:
            for (p, _, _, _), own in zip(updates, work, strict=True):
                if own is None and is_written_over(p._value):  # another parameter's array
                    p.data = np.array(p._value)
        moment = next_change()
        for (p, g, group, spare), own in zip(updates, work, strict=True):
            out, last_changed, a, b, state = own or self._prepared(p)
            values = out if own else np.asarray(p._value)
            last_changed[0] = moment
            decay = group["weight_decay"]
            if decay and self._decay_in_gradient:
                np.multiply(values, decay, out=b)
                b += g
                g = b
            self._update(values, g, out, a if spare is None or self._reads_twice(group) else spare, group, state)
            if not own:
                p.data = out if isinstance(p._value, np.ndarray) else out[()]

    def _prepared(self, p: Tensor) -> Work:
        """What `advance` works with: a new array for a parameter that it has not updated yet, or that has been given
        another one since, or one that is locked (`detect_anomaly` locks what it needs)."""
        out = empty_aligned_like(np.asarray(p._value))
        self._work[p] = work = out, last_change(out), *self._spare_arrays(out), self._state.setdefault(p, {})
        return work

    def _spare_arrays(self, values: Array) -> tuple[Array, Array]:
        """Two arrays of that shape to work in: parts of what all parameters of a dtype share."""
        spare = self._spare.get(values.dtype)
        if spare is None or spare[0].size < values.size:
            spare = [empty_aligned((values.size,), values.dtype) for _ in range(2)]
            self._spare[values.dtype] = spare
        a, b = (array[: values.size].reshape(values.shape) for array in spare)
        return a, b

    def _update(self, p: Array, g: Array, out: Array, spare: Array, group: Group, state: State) -> None:
        """The rule itself, which writes what becomes of `p` into `out`; that may be `p` itself. `g` includes weight
        decay, if `_decay_in_gradient`, and must not be changed; `spare`, of the same shape, may be written over."""
        raise NotImplementedError

    def _reads_twice(self, group: Group) -> bool:
        """Whether the rule still reads the gradient when it has begun to write into its spare memory."""
        return True

    def state_dict(self) -> dict[str, Array]:
        """Copies of the settings and of what was accumulated for the parameters, as arrays: "groups.0.lr", and
        "state.3.velocity" for the parameter numbered 3 over all groups, with its group and its name in the model, if
        the optimiser was made of `model.parameters()`, as the bytes "names.3"."""
        state = {
            f"groups.{i}.{name}": np.array(value)
            for i, group in enumerate(self.param_groups)
            for name, value in group.items()
            if name != "params"
        }
        placed = [(p, i) for i, group in enumerate(self.param_groups) for p in group["params"]]
        for k, (p, i) in enumerate(placed):
            if accumulated := self._state.get(p):
                state |= {f"state.{k}.{name}": np.array(value) for name, value in accumulated.items()}
                if p in self._names:
                    state[f"names.{k}"] = np.frombuffer(self._place(i, p), np.uint8)
        return state

    def load_state_dict(self, state: Mapping[str, ArrayLike]) -> None:
        """Continues from the state of an earlier optimiser. Parameters are found by their names, if both optimisers
        know them, else by their numbers. Raises `ValueError` and changes nothing if it had other groups, or parameters
        of other names or shapes."""
        who = f"{type(self).__name__}.load_state_dict"
        parameters = [(p, i) for i, group in enumerate(self.param_groups) for p in group["params"]]
        groups = [dict(group) for group in self.param_groups]
        found: dict[Tensor, State] = {}
        places = self._places(state, parameters)
        settings = {f"groups.{i}.{s}": (i, s) for i, group in enumerate(groups) for s in group if s != "params"}
        for name in sorted(settings.keys() - state.keys()):
            raise ValueError(f"{who}: {name} is missing; the state belongs to another optimiser")
        for name, value in state.items():
            array = np.asarray(value)
            if name in settings:
                i, setting = settings[name]
                if array.shape != np.shape(groups[i][setting]) or array.dtype.kind not in "fiub":
                    raise ValueError(f"{who}: {name} is {array!r}, expected something like {groups[i][setting]!r}")
                groups[i][setting] = array.item() if not array.ndim else tuple(array.tolist())
                continue
            kind, _, rest = name.partition(".")
            number, _, what = rest.partition(".")
            if kind == "names":
                continue
            if kind != "state" or number not in places or not what:
                raise ValueError(f"{who}: {name} is unknown; the state belongs to another optimiser")
            p, i = parameters[places[number]]
            wanted = () if what == "steps" else p.shape
            if array.dtype.kind not in "fiu" or array.shape != wanted:
                raise ValueError(f"{who}: {name} is {array.dtype} of shape {array.shape}, expected shape {wanted}")
            found.setdefault(p, {})[what] = array.item() if what == "steps" else array.astype(p.dtype)
        for group in groups:
            self._check(group)
        for p, i in parameters:
            if p in found and not self._entries(groups[i]) <= found[p].keys() <= self._possible_entries(groups[i]):
                raise ValueError(f"{who}: the state belongs to another optimiser, or to one with other settings")
        self.param_groups, self._state = groups, found
        self._work.clear()

    def _places(self, state: Mapping[str, ArrayLike], parameters: Sequence[tuple[Tensor, int]]) -> dict[str, int]:
        """Which of the parameters each number in the state stands for."""
        places = {str(k): k for k in range(len(parameters))}
        own = {self._place(i, p): k for k, (p, i) in enumerate(parameters) if p in self._names}
        named = {name.removeprefix("names."): value for name, value in state.items() if name.startswith("names.")}
        if not own or not named:
            return places
        places = {number: k for number, k in places.items() if parameters[k][0] not in self._names}
        for number, value in named.items():
            place = np.asarray(value, np.uint8).tobytes()
            if place not in own:
                raise ValueError(
                    f"{type(self).__name__}.load_state_dict: the state is one of {place.decode(errors='replace')!r} "
                    "(group/name), which this optimiser does not have; build model and optimiser as they were"
                )
            places[number] = own[place]
        return places

    def _place(self, group: int, p: Tensor) -> bytes:
        return f"{group}/{self._names[p]}".encode("utf-8", "surrogatepass")

    def _entries(self, group: Group) -> set[str]:
        """The names of what is accumulated for a parameter."""
        return set()

    def _possible_entries(self, group: Group) -> set[str]:
        """The same with what earlier settings of the group may have left."""
        return self._entries(group)


def listed(who: str, params: Any) -> list[Any]:
    """The parameters, or groups, that were given; refuses what is something else or has no order."""
    advice = None
    if isinstance(params, Tensor):
        advice = "[tensor]"
    elif isinstance(params, set | frozenset):
        advice = "a list: what is accumulated for a parameter goes by their order, and a set has another in each run"
    elif isinstance(params, dict):
        advice = "a list of them, [{...}]" if "params" in params else "list(params.values())"
    elif hasattr(params, "parameters") or not isinstance(params, Iterable):
        advice = "model.parameters()"
    if advice is not None:
        raise TypeError(f"{who} takes a list of parameters, not {type(params).__name__}; pass {advice}")
    return list(params)
