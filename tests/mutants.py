"""Mutation testing of the derivative rules, activations and losses: `python -m tests.mutants [--workers 2] [file …]`.

Every mutant is a file of the package with one small change: a sign, an operator, a constant, a comparison, an argument.
In a process of its own the tests that enter the changed function run, the quickest first, until one of them fails: then
the mutant is killed. One that no test notices is printed, unless `mutants_equivalent.txt` says why nobody can notice.
"""

from __future__ import annotations

import argparse
import ast
import copy
import functools
import hashlib
import importlib.abc
import importlib.util
import json
import os
import re
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy
import hypothesis.stateful  # noqa: F401  (imported here so that no child has to)
import numpy as np  # noqa: F401
import pytest
from hypothesis import HealthCheck, Phase, settings

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "tinygrad_edu"
FILES = [*sorted(p for p in (PACKAGE / "rules").glob("*.py") if p.stem != "__init__"), *(
    PACKAGE / name for name in ("activations.py", "losses.py"))]  # fmt: skip
TESTS = [
    f"tests/test_{name}.py" for name in ("rules", "numpy", "functional", "transforms", "tensor", "engine", "symbolic")
]
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
    source: str

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
            if keyword.arg:
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
            source = ast.unparse(ast.fix_missing_locations(tree))
            setattr(parent, field, held)
            yield Mutant(file, node.lineno, function, change, source)


class Changed(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Imports files of the package with other source text."""

    def __init__(self, sources: dict[Path, str]) -> None:
        self.files = {".".join(file.relative_to(ROOT).with_suffix("").parts): file for file in sources}
        self.sources = {str(file): source for file, source in sources.items()}

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        return importlib.util.spec_from_loader(fullname, self) if fullname in self.files else None

    def get_filename(self, fullname: str) -> str:
        return str(self.files[fullname])

    def get_data(self, path: Any) -> bytes:
        return self.sources[path].encode()


entered: set[tuple[str, int]] = set()  # the functions that a test entered, by file and first line


def instrumented(file: Path) -> str:
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
    return ast.unparse(ast.fix_missing_locations(tree))


class Chosen:
    """A pytest plugin: these tests in this order, without looking for the smallest counterexample."""

    def __init__(self, tests: list[str] | None) -> None:
        self.order = None if tests is None else {name: k for k, name in enumerate(tests)}
        self.entered: dict[str, tuple[float, list[tuple[str, int]]]] = {}  # by passing tests, with their seconds

    def pytest_sessionstart(self) -> None:
        settings.register_profile("mutants", derandomize=True, database=None, deadline=None, report_multiple_bugs=False,
            phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))  # fmt: skip
        settings.load_profile("mutants")

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = [i for i in items if "flipped_sign" not in i.name]
        if self.order is not None:
            items[:] = sorted((i for i in items if i.nodeid in self.order), key=lambda i: self.order[i.nodeid])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: Any) -> Any:
        if self.order is not None:
            return (yield)
        entered.clear()
        start = time.process_time()
        result = yield
        self.entered[item.nodeid] = time.process_time() - start, sorted(entered)
        return result


def in_child(work: Any, seconds: int) -> int:
    """Starts `work()` in a process of its own, silent, and gives its id; its exit status is 0 if all tests passed."""
    pid = os.fork()
    if pid:
        return pid
    status = 3
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(seconds)
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        status = int(work())
    finally:
        os._exit(status)


def run(tests: list[str], sources: dict[Path, str], plugin: Chosen | None = None) -> int:
    sys.meta_path.insert(0, Changed(sources))
    os.environ |= {"CI": "1", "OPENBLAS_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    files = list(dict.fromkeys(t.partition("::")[0] for t in tests))
    first = [] if plugin else ["-x"]
    return pytest.main([*files, *first, "-q", "-p", "no:cacheprovider"], plugins=[plugin or Chosen(tests)])


def record(file: str, stamp: str, known: dict[str, Any], kept: Path) -> int:
    plugin = Chosen(None)
    run([file], {f: instrumented(f) for f in FILES}, plugin)  # a few look at source, and fail with this one
    kept.write_text(json.dumps(known | {file: {"stamp": stamp, "tests": plugin.entered}}))
    return 0


@functools.cache
def entered_by_tests() -> dict[str, tuple[float, list[Any]]]:
    """For every test its seconds and the functions of the package that it enters; kept while nothing changes."""
    kept = Path(tempfile.gettempdir()) / "tinygrad_edu_mutants.json"
    known = json.loads(kept.read_text()) if kept.exists() else {}
    for file in TESTS:
        stamp = hashlib.sha256(b"".join((ROOT / f).read_bytes() for f in (*FILES, file))).hexdigest()
        if known.get(file, {}).get("stamp") == stamp:
            continue
        os.waitpid(in_child(functools.partial(record, file, stamp, known, kept), 3000), 0)
        known = json.loads(kept.read_text())
    return {name: found for file in TESTS for name, found in known[file]["tests"].items()}


def tests_of(mutant: Mutant) -> list[str]:
    found = entered_by_tests()
    name = mutant.file.relative_to(PACKAGE).as_posix()
    touching = [t for t, (_, functions) in found.items()
                if any(f == name and mutant.function in (None, line) for f, line in functions)]  # fmt: skip
    words = re.findall(r"[a-z]\w{2,}", mutant.key[1])
    named = {t for t in touching if any(re.search(rf"(\[|_|-){w.strip('_')}(\]|_|$)", t) for w in words)}
    chosen, total = [], 0.0
    for t in sorted(touching, key=lambda t: (t not in named, found[t][0])):
        total += found[t][0]
        if total > MOST_SECONDS and chosen:
            break
        chosen.append(t)
    return chosen


def survivors(candidates: list[Mutant], workers: int) -> Iterator[Mutant]:
    running: dict[int, tuple[Mutant, list[str], float]] = {}
    waiting = [(m, tests) for m in reversed(candidates) for tests in [tests_of(m)]]
    done = 0
    while waiting or running:
        while waiting and len(running) < workers:
            mutant, tests = waiting.pop()
            if tests:
                work = functools.partial(run, tests, {mutant.file: mutant.source})
                running[in_child(work, 3 * MOST_SECONDS)] = mutant, tests, time.perf_counter()
            else:
                yield mutant
        if running:
            pid, status = os.wait()
            mutant, _, _ = running.pop(pid)
            done += 1
            if status == 0:
                yield mutant


def equivalent() -> dict[tuple[str, str, str], str]:
    rows = [line.split(" | ") for line in EQUIVALENT.read_text().splitlines() if line and not line.startswith("#")]
    return {(file, text, change): why for file, text, change, why in rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="of the package; all rules, activations and losses if none")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--every", type=int, default=1, help="only every n-th mutant, for a sample")
    options = parser.parse_args()
    known, unexplained = equivalent(), 0
    for file in [f.resolve() for f in options.files] or FILES:
        candidates = list(mutants(file))[:: options.every]
        start, listed = time.perf_counter(), 0
        for mutant in survivors(candidates, options.workers):
            if mutant.key in known:
                listed += 1
                continue
            unexplained += 1
            print(" | ".join(mutant.key), f"(line {mutant.line})", flush=True)
        name = file.relative_to(PACKAGE).as_posix()
        print(f"{name}: {len(candidates)} mutants in {time.perf_counter() - start:.0f} s, {listed} of the equivalent "
              f"ones survived; {unexplained} unexplained so far", flush=True)  # fmt: skip
    raise SystemExit(bool(unexplained))


if __name__ == "__main__":
    from tests.mutants import main as started  # as the module that the instrumented files know

    started()
