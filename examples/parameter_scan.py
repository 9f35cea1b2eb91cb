"""Which network learns the picture best? A scan over layers × units × iterations, on all cores, or on many machines.

    python examples/parameter_scan.py                             # 100 networks, all cores; the same line resumes
    python examples/parameter_scan.py --data may_the_fourth.npz   # the article's picture; the article took 15 hours
    python examples/parameter_scan.py --storage postgresql://user:password@host/scan   # the same on every machine
    python examples/parameter_scan.py --sampler tpe --trials 40 --prune  # let Optuna choose, and stop the hopeless

Optuna is the engine: trials wait in its database, each is taken by one process only, and those of a process that was
killed (its heartbeat stops) wait again. Every machine that runs the same line with the same --storage shares the work.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import multiprocessing
import os
import time
import warnings
import zlib
from pathlib import Path

import _cli
import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import optim

try:
    import optuna
    from optuna.trial import TrialState

    OPEN = (TrialState.WAITING, TrialState.RUNNING)
except ImportError:
    optuna = None  # `--help` goes without
HEARTBEAT, GRACE = 2, 10  # seconds between signs of life, and after which a process counts as dead


class Unfinished(Exception):
    """The time is up, or Ctrl-C was pressed, in the middle of a trial."""


def open_study(args: argparse.Namespace) -> optuna.Study:
    """The study in its database, which is made if it is not there."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # heartbeats are called experimental
    connect = {"connect_args": {"timeout": 60}} if args.storage.startswith("sqlite") else {"pool_pre_ping": True}
    storage = optuna.storages.RDBStorage(
        args.storage,
        engine_kwargs=connect,
        heartbeat_interval=HEARTBEAT,
        grace_period=GRACE,
        heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(),
    )
    if args.storage.startswith("sqlite"):
        lock_at_once(storage.engine)
    samplers = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
    sampler = samplers.get(args.sampler, optuna.samplers.RandomSampler)
    return optuna.create_study(
        study_name=args.study,
        storage=storage,
        sampler=sampler(),
        pruner=optuna.pruners.MedianPruner() if args.prune else optuna.pruners.NopPruner(),
        load_if_exists=True,
    )


def lock_at_once(engine: object) -> None:
    """Has SQLite lock when a transaction begins. It has no locks of rows, and as Python's driver begins transactions,
    two processes could both find the same trial waiting."""
    from sqlalchemy import event

    event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    engine.dispose()  # connections from before this


def claim(study: optuna.Study, X: np.ndarray, Y: np.ndarray, args: argparse.Namespace) -> None:
    """Marks a new study as this picture's and seed's; refuses one that is another's."""
    mark = f"{zlib.crc32(Y.tobytes(), zlib.crc32(X.tobytes())):08x}, seed {args.seed}"
    known = study.user_attrs.get("picture")
    if known is None:
        study.set_user_attr("picture", mark)
    elif known != mark:
        raise ValueError(
            f"the study {args.study!r} in this database is of another picture, size or seed: take another "
            "--study NAME, or another --out"
        )


def fill(study: optuna.Study, args: argparse.Namespace) -> None:
    """Queues the combinations of the grid that are neither done nor waiting nor running."""
    known = [parameters_of(t) for t in study.get_trials(deepcopy=False, states=(*OPEN, TrialState.COMPLETE))]
    for layers, units, iterations in itertools.product(args.layers, args.units, args.iterations):
        wanted = {"layers": layers, "units": units, "iterations": iterations}
        if wanted not in known:
            study.enqueue_trial(wanted)


def parameters_of(trial: optuna.trial.FrozenTrial) -> dict[str, int]:
    return trial.params or trial.system_attrs.get("fixed_params", {})


def make_network(layers: int, units: int, outputs: int, seed: int) -> tg.Sequential:
    rng = np.random.default_rng(seed)
    net = tg.Sequential(tg.Dense(2, units, init="he_normal", rng=rng), tg.ReLU())
    for _ in range(layers - 1):
        net.append(tg.Dense(units, units, init="he_normal", rng=rng)).append(tg.ReLU())
    return net.append(tg.Dense(units, outputs, init="he_normal", rng=rng)).append(tg.Sigmoid())


def objective(trial: optuna.Trial, X: np.ndarray, Y: np.ndarray, deadline: float, args: argparse.Namespace) -> float:
    """The cost at which a network of these measures ends, learned by Adam with a rate that falls along a cosine."""
    layers = trial.suggest_categorical("layers", args.layers)
    units = trial.suggest_categorical("units", args.units)
    iterations = trial.suggest_categorical("iterations", args.iterations)
    mine = trial.study.get_trials(deepcopy=False, states=(*OPEN, TrialState.COMPLETE))
    if any(t.number < trial.number and parameters_of(t) == trial.params for t in mine):
        raise optuna.TrialPruned("another trial has these parameters")
    net = make_network(layers, units, Y.shape[1], args.seed)

    def after_step(training: object) -> None:
        if time.time() > deadline:
            raise StopIteration("the time is up")
        step = training.epoch
        if step % 100 == 0 and step < iterations:
            trial.report(training.history["loss"][-1], step)
            if trial.should_prune():
                raise StopIteration("pruned")

    started = time.perf_counter()
    history = tg.fit(
        net,
        X,
        Y,
        loss=tg.binary_cross_entropy,
        optimizer=tg.Adam(net.parameters(), lr=0.01),
        schedule=optim.cosine(0.01, iterations),
        epochs=iterations,
        batch_size=None,
        callbacks=[after_step],
        compiled=True,
        progress=False,
    )
    if history.stopped == "pruned":
        raise optuna.TrialPruned
    if history.epochs < iterations:
        trial.study.enqueue_trial(trial.params)
        raise Unfinished(history.stopped)
    trial.set_user_attr("parameters", net.num_parameters)
    trial.set_user_attr("seconds", time.perf_counter() - started)
    return history["loss"][-1]


def work(args: argparse.Namespace, X: np.ndarray, Y: np.ndarray, deadline: float) -> None:
    """One process: takes trials as long as there are any, also those that another one left behind."""
    from threadpoolctl import threadpool_limits

    study = open_study(args)
    with threadpool_limits(1):  # a process for each core; more threads would get in each other's way
        while time.time() < deadline:
            trials = study.get_trials(deepcopy=False)
            waiting = any(t.state == TrialState.WAITING for t in trials)
            if args.sampler != "grid":
                waiting |= sum(t.state in (*OPEN, TrialState.COMPLETE, TrialState.PRUNED) for t in trials) < args.trials
            if waiting:
                try:
                    study.optimize(lambda trial: objective(trial, X, Y, deadline, args), n_trials=1)
                except (Unfinished, KeyboardInterrupt):
                    return
            elif any(t.state == TrialState.RUNNING for t in trials):
                time.sleep(1)
                optuna.storages.fail_stale_trials(study)
            else:
                return


def report(study: optuna.Study, args: argparse.Namespace) -> None:
    """The results, the best first, as a table and as heat maps."""
    from matplotlib.figure import Figure  # here, since the processes that compute need none

    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    rows = sorted(
        (t.value, t.params["layers"], t.params["units"], t.params["iterations"], t.user_attrs["parameters"],
         t.user_attrs["seconds"])
        for t in done
        if t.params["layers"] in args.layers and t.params["units"] in args.units
        and t.params["iterations"] in args.iterations
    )  # fmt: skip
    if not rows:
        print("no network is done yet")
        return
    print(f"\n{len(rows)} networks, {sum(row[-1] for row in rows):.0f} s of computing\n")
    print("    cost  layers  units  iterations  parameters  seconds")
    for cost, layers, units, iterations, parameters, seconds in rows[:20]:
        print(f"{cost:8.4f}  {layers:6}  {units:5}  {iterations:10}  {parameters:10}  {seconds:7.1f}")
    with open(args.out / "results.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("cost", "layers", "units", "iterations", "parameters", "seconds"), *rows])

    figure = Figure(figsize=(2.6 * len(args.iterations), 3.2), layout="constrained")
    low, high = rows[0][0], rows[-1][0]
    for axes, iterations in zip(figure.subplots(1, len(args.iterations), squeeze=False)[0], args.iterations,
                                strict=True):  # fmt: skip
        table = np.full((len(args.layers), len(args.units)), np.nan)
        for cost, layers, units, steps, *_ in rows:
            if steps == iterations:
                table[args.layers.index(layers), args.units.index(units)] = cost
        shown = axes.imshow(table, cmap="viridis_r", vmin=low, vmax=high)
        axes.set(title=f"{iterations} iterations", xlabel="units", ylabel="layers")
        axes.set_xticks(range(len(args.units)), args.units)
        axes.set_yticks(range(len(args.layers)), args.layers)
        for i, j in np.argwhere(np.isfinite(table)):
            dark = table[i, j] > low + 0.6 * (high - low)
            axes.text(j, i, f"{table[i, j]:.2f}", ha="center", va="center", fontsize=6, color="w" if dark else "k")
    figure.colorbar(shown, label="cost")
    figure.savefig(args.out / "scan.png", dpi=110)
    print(f"\n  {args.out / 'results.csv'}\n  {args.out / 'scan.png'}")


def parse_arguments() -> argparse.Namespace:
    def numbers(text: str) -> list[int]:
        values = [int(part) for part in text.split(",")]
        if min(values) < 1 or len(set(values)) < len(values):
            raise ValueError
        return values

    about = "Scans layers × units × iterations for the network that learns a picture best."
    parser = _cli.parser(about, seed=1, out="scan_output")
    parser.add_argument("--data", type=Path, metavar="FILE", help="a picture, or the article's may_the_fourth.npz")
    parser.add_argument("--size", type=_cli.PIXELS, default=40, metavar="PIXELS", help="shrink a picture to this")
    parser.add_argument("--layers", type=numbers, default=[1, 2, 3, 4], metavar="N,N,…", help="hidden layers")
    parser.add_argument("--units", type=numbers, default=[5, 10, 18, 27, 31], metavar="N,N,…", help="units in each")
    parser.add_argument("--iterations", type=numbers, default=[250, 500, 1000, 2000, 4000], metavar="N,N,…")
    parser.add_argument("--sampler", choices=("grid", "tpe", "random"), default="grid", help="all, or Optuna's choice")
    parser.add_argument("--trials", type=_cli.COUNT, default=100, help="how many, unless --sampler grid")
    parser.add_argument("--prune", action="store_true", help="give up trials that are worse than the median so far")
    parser.add_argument("--workers", type=_cli.COUNT, default=os.cpu_count() or 1, help="processes on this machine")
    budget = _cli.within(float, lambda seconds: seconds > 0, "positive")
    parser.add_argument(
        "--seconds", type=budget, default=float("inf"), help="time budget; go on later with the same line"
    )
    parser.add_argument("--storage", help="Optuna's database, as postgresql://…; without it SQLite in --out")
    parser.add_argument("--study", default="scan", help="name of the study in the database")
    args = parser.parse_args()
    args.color = False
    args.storage = args.storage or f"sqlite:///{(args.out / 'scan.db').resolve()}"
    args.storage = args.storage.replace("postgresql://", "postgresql+psycopg://")
    return args


def main() -> None:
    args = parse_arguments()
    if optuna is None:
        raise SystemExit("error: this needs Optuna: python -m pip install 'tinygrad-edu[scan]'")
    from learn_image import load

    try:
        with _cli.errors_told():
            args.out.mkdir(parents=True, exist_ok=True)
            X, Y, shape = load(args)
            study = open_study(args)
            claim(study, X, Y, args)
            if args.sampler == "grid":
                fill(study, args)
    except Exception as error:  # SQLAlchemy's and the driver's, of many kinds
        raise SystemExit(f"error: the database cannot be used: {error}") from None
    finished = sum(t.state == TrialState.COMPLETE for t in study.get_trials(deepcopy=False))
    print(f"{shape[1]}×{shape[0]} pixels, {args.workers} processes; {finished} networks were done before", flush=True)

    started = time.time()
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=work, args=(args, X, Y, started + args.seconds)) for _ in range(args.workers)
    ]  # fmt: skip
    for worker in workers:
        worker.start()
    total = args.trials if args.sampler != "grid" else len(args.layers) * len(args.units) * len(args.iterations)
    try:
        watch(study, workers, total)
    except KeyboardInterrupt:
        print("\nStopped; the same line goes on from here.")
    for worker in workers:
        worker.join()
    print(f"{time.time() - started:.0f} s")
    report(study, args)


def watch(study: optuna.Study, workers: list[multiprocessing.Process], total: int) -> None:
    """A progress bar over the whole study, other machines' trials included."""
    from tqdm import tqdm

    with tqdm(total=total, desc="networks", disable=None) as bar:
        while any(worker.is_alive() for worker in workers):
            time.sleep(0.5)
            ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
            bar.n = min(len(ended), total)
            bar.refresh()


if __name__ == "__main__":
    _cli.run(main)
