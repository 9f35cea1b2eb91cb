"""Mutation testing of the derivative rules, activations and losses, of what has NumPy's and SciPy's names, of views:
`python -m tests.mutants [--workers 2] [file …]`.

Every mutant is a file of the package with one small change: a sign, an operator, a constant, a comparison, an argument.
The tests are collected once; in a fork of that process the changed function gets its new code, and the tests that enter
it run, the quick ones and those that noticed similar changes first, until one of them fails: then the mutant is killed.
One that no test notices is printed, unless `mutants_equivalent.txt` says why nobody can notice.
"""

from __future__ import annotations

import argparse
import ast
import copy
import functools
import gc
import hashlib
import importlib.abc
import importlib.util
import itertools
import json
import mmap
import os
import re
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import hypothesis.extra.numpy
import hypothesis.stateful  # noqa: F401  (imported here so that no child has to)
import numpy as np  # noqa: F401
import pytest
from hypothesis import HealthCheck, Phase, settings

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "tinygrad_edu"
ROOMS = ("rules", "functional", "scipy")
FILES = [p for room in ROOMS for p in sorted((PACKAGE / room).rglob("*.py")) if p.stem != "__init__"]
FILES += [PACKAGE / "numpy.py", *(PACKAGE / "autograd" / f"{name}.py" for name in ("methods", "assignment", "views"))]
AREAS = "functional/functional functional/functional_edges contract/misuse rules/rules autograd/tensor"
AREAS += " functional/activations functional/losses functional/distances functional/likelihoods functional/images"
AREAS += " functional/attention functional/sequences"
AREAS += " contract/faults contract/faults_messages contract/faults_training"
AREAS += " autograd/transforms compiler/symbolic rules/numpy rules/numpy_corners rules/edges"
AREAS += " rules/blocks rules/linalg rules/namespace rules/options rules/arrays rules/values"
AREAS += " autograd/methods autograd/views autograd/keeping scipy/special scipy/stats scipy/optimize scipy/implicit"
TESTS = [f"tests/{folder}/test_{name}.py" for folder, _, name in (area.partition("/") for area in AREAS.split())]
EQUIVALENT = ROOT / "tests" / "mutants_equivalent.txt"
MOST_SECONDS = 60  # of tests for one mutant

SWAPPED = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Pow: ast.Mult,
    ast.Mod: ast.Add, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.And: ast.Or, ast.Or: ast.And,
    ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
OPPOSITE = dict(pair for a, b in [("min", "max"), ("minimum", "maximum"), ("any", "all"), ("fmin", "fmax"),
    ("tril", "triu"), ("sin", "cos"), ("sinh", "cosh"), ("floor", "ceil")] for pair in ((a, b), (b, a)))  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    file: Path
    line: int
    function: int | None  # the first line of the function that is changed
    change: str
    tree: ast.Module

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is, whatever lines were put in above it."""
        text = self.file.read_text().splitlines()[self.line - 1].strip()
        return self.file.relative_to(PACKAGE).as_posix(), text, self.change


def mutations(node: ast.AST, parent: ast.AST | None) -> Iterator[tuple[ast.AST | None, str]]:
    """What to put in the node's place, and the change in words; None removes a statement."""
    if isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign) and type(node.op) in SWAPPED:
        yield _with(node, op=SWAPPED[type(node.op)]()), f"{_name(node.op)} to {SWAPPED[type(node.op)].__name__}"
    if isinstance(node, ast.BinOp) and not isinstance(node.op, ast.Mod):
        yield node.left, f"only left of {_name(node.op)}"
        yield node.right, f"only right of {_name(node.op)}"
    if isinstance(node, ast.UnaryOp):
        yield node.operand, f"without {_name(node.op)}"
    if isinstance(node, ast.Compare):
        for k, op in enumerate(node.ops):
            if type(op) in SWAPPED:
                ops = [*node.ops[:k], SWAPPED[type(op)](), *node.ops[k + 1 :]]
                yield _with(node, ops=ops), f"{_name(op)} to {_name(ops[k])}"
    if isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        value: Any = not node.value if isinstance(node.value, bool) else {0: 1, 1: 0}.get(node.value, node.value + 1)
        yield _with(node, value=value), f"{node.value} to {value}"
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        yield _with(node, test=ast.UnaryOp(ast.Not(), node.test)), "not the condition"
    if isinstance(node, ast.Lambda) and [a.arg for a in node.args.args[:1]] == ["g"]:
        yield _with(node, body=ast.UnaryOp(ast.USub(), node.body)), "minus the rule"
    if isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Load):
        field = "attr" if isinstance(node, ast.Attribute) else "id"
        if getattr(node, field) in OPPOSITE:
            opposite = OPPOSITE[getattr(node, field)]
            yield _with(node, **{field: opposite}), f"{getattr(node, field)} to {opposite}"
        if getattr(node, field) in ("T", "mT"):
            yield node.value, f"without {node.attr}"
    if isinstance(node, ast.Call):
        for k, keyword in enumerate(node.keywords):
            if keyword.arg and keyword.arg not in ("out", "strict"):  # without them memory or a check is lost
                yield _with(node, keywords=node.keywords[:k] + node.keywords[k + 1 :]), f"without {keyword.arg}="
        if len(node.args) > 1 and _name(node.func) not in ("rule", "isinstance", "hasattr", "zip") and not any(
            isinstance(a, ast.Starred) for a in node.args):  # fmt: skip
            yield _with(node, args=[node.args[1], node.args[0], *node.args[2:]]), "first two arguments exchanged"
    if isinstance(node, ast.Expr | ast.AugAssign) or (
        isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript | ast.Attribute)
    ):
        yield None, "without the statement"


def _with(node: ast.AST, **fields: Any) -> ast.AST:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _name(node: ast.AST) -> str:
    return getattr(node, "id", None) or getattr(node, "attr", None) or type(node).__name__


def sites(node: ast.AST, function: int | None, parent: Any = None, field: str = "", index: Any = None) -> Iterator[Any]:
    """Every node whose change means something, with where it hangs: not in annotations, messages and docstrings."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    inside = function
    if isinstance(node, ast.FunctionDef | ast.Lambda):
        inside = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
    yield node, inside, parent, field, index
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list") or isinstance(
            node, ast.Raise | ast.Import | ast.ImportFrom
        ):
            continue
        for k, child in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr):
                outer = function if name == "args" and isinstance(node, ast.FunctionDef | ast.Lambda) else inside
                yield from sites(child, outer, node, name, k if isinstance(value, list) else None)


def mutants(file: Path) -> Iterator[Mutant]:
    tree = ast.parse(file.read_text())
    for node, function, parent, field, index in list(sites(tree, None)):
        for new, change in mutations(node, parent):
            held = getattr(parent, field)
            new = ast.Pass() if new is None else new
            setattr(parent, field, new if index is None else [*held[:index], new, *held[index + 1 :]])
            yield Mutant(file, node.lineno, function, change, ast.fix_missing_locations(tree))  # until the next one
            setattr(parent, field, held)


entered: set[tuple[str, int]] = set()  # the functions that a test entered, by file and first line


def instrumented(file: Path) -> ast.Module:
    """The file with every function telling `entered` of itself."""
    tree = ast.parse(file.read_text())
    for node, line, *_ in list(sites(tree, None)):
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            note = f"__import__('tests.mutants').mutants.entered.add({(file.relative_to(PACKAGE).as_posix(), line)})"
            call = ast.parse(note, mode="eval").body
            if isinstance(node, ast.Lambda):
                node.body = ast.Subscript(ast.Tuple([call, node.body], ast.Load()), ast.Constant(1), ast.Load())
            else:
                node.body.insert(0, ast.Expr(call))
    return ast.fix_missing_locations(tree)


def codes(code: CodeType) -> Iterator[CodeType]:
    """The code of every function in that of a module."""
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield const
            yield from codes(const)


@functools.cache
def made() -> tuple[list[FunctionType], list[Any]]:
    """The package's functions and primitives, which are looked for once, before there are children."""
    objects = gc.get_objects()
    functions = [x for x in objects if type(x) is FunctionType and x.__code__.co_filename.startswith(str(PACKAGE))]
    primitives = [x for x in objects if type(x).__name__ == "Primitive"]
    gc.freeze()  # so that no child copies the memory they are in when it looks for garbage
    return functions, primitives


def swap(file: Path, tree: ast.Module) -> None:
    """Gives the functions that were made from the file the code of the tree, and has their rules read anew."""
    new: dict[tuple[str, int], list[CodeType]] = {}
    for code in codes(compile(tree, str(file), "exec")):
        new.setdefault((code.co_name, code.co_firstlineno), []).append(code)
    pairs: dict[CodeType, CodeType] = {}
    for old in codes(compile(file.read_text(), str(file), "exec")):
        fitting = new.get((old.co_name, old.co_firstlineno), [])
        if fitting:
            pairs[old] = fitting.pop(0)
    functions, primitives = made()
    changed = {f for f in functions if pairs.get(f.__code__, f.__code__) != f.__code__}
    for function in changed:
        function.__code__ = pairs[function.__code__]
    for x in primitives:
        vjps = tuple(rule and rule.vjp for rule in x.rules)
        if not changed.isdisjoint((*vjps, x.each)):
            x.set_rules(() if x.each else vjps, x.each, x._new)


class Changed(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Imports one file of the package from another tree."""

    def __init__(self, file: Path, tree: ast.Module) -> None:
        self.file, self.source = file, ast.unparse(tree).encode()
        self.module = ".".join(file.relative_to(ROOT).with_suffix("").parts)

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        return importlib.util.spec_from_loader(fullname, self) if fullname == self.module else None

    def get_filename(self, fullname: str) -> str:
        return str(self.file)

    def get_data(self, path: Any) -> bytes:
        return self.source


class Profile:
    """A pytest plugin: without looking for the smallest counterexample."""

    def pytest_sessionstart(self) -> None:
        settings.register_profile("mutants", derandomize=True, database=None, deadline=None, report_multiple_bugs=False,
            phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))  # fmt: skip
        settings.load_profile("mutants")


class Loop(Profile):
    """A pytest plugin: instead of running what was collected, it hands it to a function."""

    def __init__(self, work: Callable[[Tests], None]) -> None:
        self.work = work

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:  # every mutant would seem to be killed
            raise session.Interrupted(f"{session.testsfailed} errors while the tests were collected")
        self.work(Tests(session))
        return True


class Tests:
    """The tests that were collected, with the time that each takes and the functions that it enters."""

    def __init__(self, session: pytest.Session) -> None:
        made()
        self.session = session
        self.items = {i.nodeid: i for i in session.items if "flipped_sign" not in i.name}
        self.found: dict[str, tuple[float, list[Any]]] = {}
        self.history: dict[tuple[str, int | None, str], tuple[int, int]] = {}  # of each test: runs, mutants killed
        kept = Path(tempfile.gettempdir()) / "tinygrad_edu_mutants.json"
        known = json.loads(kept.read_text()) if kept.exists() else {}
        for file in TESTS:
            stamp = hashlib.sha256(b"".join((ROOT / f).read_bytes() for f in (*FILES, file))).hexdigest()
            if known.get(file, {}).get("stamp") != stamp:
                os.waitpid(in_child(functools.partial(self.record, file, stamp, known, kept), 3000), 0)
                known = json.loads(kept.read_text())
            self.found |= known[file]["tests"]

    def record(self, file: str, stamp: str, known: dict[str, Any], kept: Path) -> int:
        for changed in FILES:
            swap(changed, instrumented(changed))
        tests = {}
        for name, item in self.items.items():
            if name.startswith(file):
                entered.clear()
                start, failed = time.process_time(), self.session.testsfailed
                self.session.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
                if self.session.testsfailed == failed:  # a few look at the source of what is changed here
                    tests[name] = time.process_time() - start, sorted(entered)
        kept.write_text(json.dumps(known | {file: {"stamp": stamp, "tests": tests}}))
        return 0

    def of(self, mutant: Mutant) -> list[str]:
        """Tests that enter the changed function: for up to a minute, and first those that are quick and likely to
        fail, as with its name and as they did for other mutants of the function."""
        name = mutant.file.relative_to(PACKAGE).as_posix()
        touching = [t for t, (_, functions) in self.found.items()
                    if any(f == name and mutant.function in (None, line) for f, line in functions)]  # fmt: skip
        words = re.findall(r"[a-z]\w{2,}", mutant.key[1])
        named = {t for t in touching if any(re.search(rf"(\[|_|-){w.strip('_')}(\]|_|$)", t) for w in words)}
        chosen, total = [], 0.0
        for t in sorted(touching, key=lambda t: self.found[t][0] / (8 if t in named else 1)):
            total += self.found[t][0]
            if total > MOST_SECONDS and chosen:
                break
            chosen.append(t)

        def seconds(t: str) -> float:  # that it takes until such a mutant is killed by it
            runs, kills = self.history.get((name, mutant.function, t), (0, 0))
            return (self.found[t][0] + 0.003) * (runs + 1) / (kills + (0.8 if t in named else 0.1))

        return sorted(chosen, key=seconds)

    def note(self, mutant: Mutant, ran: list[str], is_killed: bool) -> None:
        """Which tests ran for a mutant, the last of which killed it or not."""
        for k, t in enumerate(ran, start=1):
            place = mutant.file.relative_to(PACKAGE).as_posix(), mutant.function, t
            runs, kills = self.history.get(place, (0, 0))
            self.history[place] = runs + 1, kills + (is_killed and k == len(ran))

    def survives(self, mutant: Mutant, tests: list[str], ran: mmap.mmap) -> bool:
        if mutant.function is None:  # a change of what happens at import: everything is imported anew
            for name in list(sys.modules):
                if name.startswith(("tinygrad_edu", "tests.")) and name != "tests.mutants":
                    del sys.modules[name]
            sys.meta_path.insert(0, Changed(mutant.file, mutant.tree))
            return pytest.main([*ARGUMENTS, "-x", *tests], plugins=[Profile()]) == 0
        swap(mutant.file, mutant.tree)
        for k, name in enumerate(tests, start=1):
            ran[:8] = k.to_bytes(8, "little")
            self.session.config.hook.pytest_runtest_protocol(item=self.items[name], nextitem=None)
            if self.session.testsfailed:
                return False
        return True


ARGUMENTS = ["-q", "-s", "-p", "no:cacheprovider"]


def in_child(work: Any, seconds: int) -> int:
    """Starts `work()` in a process of its own, silent, and gives its id; its exit status is 0 if all tests passed."""
    pid = os.fork()
    if pid:
        return pid
    status = 3
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))  # on a busy machine, tests take longer by the clock
        signal.alarm(20 * seconds)
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        status = int(work())
    finally:
        os._exit(status)


def survivors(candidates: Iterable[Mutant], tests: Tests, workers: int) -> Iterator[Mutant | None]:
    """The mutants that no test notices, and None for each that is killed."""
    running: dict[int, tuple[Mutant, list[str], mmap.mmap]] = {}

    def finished() -> Mutant | None:
        pid, status = os.wait()
        mutant, chosen, ran = running.pop(pid)
        tests.note(mutant, chosen[: int.from_bytes(ran[:8], "little")], bool(status))
        return None if status else mutant

    for mutant in candidates:
        chosen = tests.of(mutant)
        if not chosen:  # code that runs at import only
            mutant = replace(mutant, function=None)
            chosen = tests.of(mutant)
        if not chosen:
            yield mutant
            continue
        if len(running) == workers:
            yield finished()
        ran = mmap.mmap(-1, 8)  # how many tests have begun, which the child tells by memory that both have
        work = functools.partial(lambda *work: not tests.survives(*work), mutant, chosen, ran)
        running[in_child(work, 3 * MOST_SECONDS)] = mutant, chosen, ran
    while running:
        yield finished()


def equivalent() -> dict[tuple[str, str, str], str]:
    rows = [line.split(" | ") for line in EQUIVALENT.read_text().splitlines() if line and not line.startswith("#")]
    return {(file, " | ".join(text), change): why for file, *text, change, why in rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="of the package; all rules, activations and losses if none")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--every", type=int, default=1, help="only every n-th mutant, for a sample")
    parser.add_argument("--start", type=int, default=0, help="with which of them")
    options = parser.parse_args()
    os.environ |= {"CI": "1", "OPENBLAS_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    unexplained: list[Mutant] = []

    def work(tests: Tests) -> None:
        known = equivalent()
        for file in [f.resolve() for f in options.files] or FILES:
            start, count, survived = time.perf_counter(), 0, 0
            candidates = itertools.islice(mutants(file), options.start, None, options.every)
            for mutant in survivors(candidates, tests, options.workers):
                count += 1
                survived += mutant is not None
                if mutant is not None and mutant.key not in known:
                    unexplained.append(mutant)
                    print(" | ".join(mutant.key), f"(line {mutant.line})", flush=True)
            name = file.relative_to(PACKAGE).as_posix()
            print(f"{name}: {count} mutants in {time.perf_counter() - start:.0f} s, {survived} survived; "
                  f"{len(unexplained)} unexplained so far", flush=True)  # fmt: skip

    status = pytest.main([*ARGUMENTS, *TESTS], plugins=[Loop(work)])
    raise SystemExit(status or bool(unexplained))


if __name__ == "__main__":
    from tests.mutants import main as started  # as the module that the instrumented files know

    started()
