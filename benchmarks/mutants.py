"""Change one operator or number of a module at a time, and count the changes that its quick tests notice.

python -m benchmarks.mutants [MODULE ...] --most 40

A mutant is a module with one change: + for -, * for /, < for <=, `and` for `or`, `x` for `-x` and `not x`, True for
False, a number plus one, or a statement left out. The strings of the rate model's equations are changed as well.
Messages of errors, annotations, descriptions of parameters, `strict=True` and `frozen=True` stay. Each mutant runs the
quick tests of its module in a process of its own, which ends at the first failure. A mutant survives if all tests pass.
More than `--most` mutants of a module are sampled at random.
"""

import ast
import copy
import os
import random
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS, option_parser, write_report
from rmaat.base.files import read_json
from rmaat.base.provenance import processor

COMMAND = "python -m benchmarks.mutants"
MOST_SECONDS = 120
"""A mutant that takes longer counts as noticed: it never ends."""
REPLAYED = tuple(f"tests/model/memory/test_{name}.py" for name in ("graph", "checks", "learned_retention", "replay"))
TESTS: dict[str, tuple[str, ...]] = {
    "model/layers/attention.py": ("tests/model/layers/test_attention.py", "tests/model/layers/test_fused.py"),
    "model/layers/fused.py": ("tests/model/layers/test_fused.py", "tests/model/layers/test_attention.py"),
    "model/memory/replay.py": REPLAYED,
    "model/memory/graph.py": REPLAYED,
    "model/memory/retention.py": (
        "tests/model/memory/test_retention.py",
        "tests/model/networks/test_options.py::test_memory_rules_by_hand",
        "tests/model/networks/test_classifier.py",
    ),
    "distill/retention.py": ("tests/distill/test_retention.py", "tests/distill/test_tail.py"),
    "astro_sim/equations/rate_model.py": (
        "tests/astro_sim/runs/test_simulate.py::test_the_simulation_equals_explicit_loops",
        "tests/astro_sim/equations/test_rate_model.py",
    ),
    "astro_sim/equations/right_hand_side.py": (
        "tests/astro_sim/equations/test_right_hand_side.py",
        "tests/astro_sim/equations/test_rate_model.py",
    ),
}
"""The tests of each module, the quickest first."""
# Loaded before the processes of the mutants are forked, as they need them anyway.
PRELOADED = ("torch", "numpy", "scipy.integrate", "scipy.optimize", "xarray", "netCDF4", "pytest")
WARNINGS = ("-Wignore::pytest.PytestAssertRewriteWarning",)
"""Modules that are loaded already cannot be rewritten, and need not be."""
EQUATIONS = ((" + ", " - "), (" - ", " + "), (" * ", " / "), (" / ", " * "), ("(-", "("), ("**", "*"), ("tanh(", "("))
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.MatMult: ast.Mult, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.And: ast.Or, ast.Or: ast.And, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change of a module."""

    line: int
    before: str
    after: str
    source: str
    """the whole module with the change"""


def mutants(source: str, equations: bool = False) -> list[Mutant]:
    """Every mutant of a module, in the order of its lines; with `equations`, of its strings too."""
    tree = ast.parse(source)
    found = []
    for place, node in enumerate(_mutable(tree)):
        for change in _changes(node, equations):
            changed = copy.deepcopy(tree)
            target = next(other for index, other in enumerate(_mutable(changed)) if index == place)
            before = ast.unparse(target)
            change(target)
            after = ast.unparse(target)
            if before != after:
                found.append(Mutant(getattr(node, "lineno", 0), before, after, ast.unparse(changed)))
    return found


def _mutable(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that may change, without messages, annotations, docstrings and descriptions of parameters."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.Raise | ast.Import | ast.ImportFrom):
            continue
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue
        # Guards: of lengths that are equal, and of fields that nothing assigns.
        if isinstance(child, ast.keyword) and child.arg in ("strict", "frozen"):
            continue
        if isinstance(child, ast.Call) and getattr(child.func, "id", "") in ("parameter", "TypeVar"):
            continue
        yield child
        if isinstance(child, ast.AnnAssign) and child.value is not None:
            yield from _mutable(ast.Expression(child.value))
        elif isinstance(child, ast.FunctionDef):
            for part in (*child.args.defaults, *filter(None, child.args.kw_defaults)):
                yield part
                yield from _mutable(part)
            yield from _mutable(ast.Module(child.body, []))
        elif not isinstance(child, ast.AnnAssign):
            yield from _mutable(child)


def _changes(node: Any, equations: bool) -> list[Callable[[Any], None]]:
    """What can be changed in a node of a tree; each function changes it in place."""
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(node.op) in SWAPS:
        return [lambda target: setattr(target, "op", SWAPS[type(node.op)]())]
    if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
        return [lambda target: target.ops.__setitem__(0, SWAPS[type(node.ops[0])]())]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        # Twice the same sign is none.
        return [lambda target: setattr(target, "operand", ast.UnaryOp(type(node.op)(), target.operand))]
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return [lambda target: setattr(target, "value", ast.Constant(None))]
    if isinstance(node, ast.Constant):
        return _changes_of_constant(node.value, equations)
    return []


def _changes_of_constant(value: Any, equations: bool) -> list[Callable[[Any], None]]:
    if isinstance(value, bool):
        return [lambda target: setattr(target, "value", not value)]
    if isinstance(value, int | float):
        return [lambda target: setattr(target, "value", value + 1)]
    if not (equations and isinstance(value, str)):
        return []

    def replacing(start: int, old: str, new: str) -> Callable[[Any], None]:
        return lambda target: setattr(target, "value", value[:start] + new + value[start + len(old) :])

    return [
        replacing(match.start(), old, new) for old, new in EQUATIONS for match in re.finditer(re.escape(old), value)
    ]


def survives(module: Path, mutant: str, tests: tuple[str, ...]) -> bool:
    """Whether all `tests` pass with the source `mutant` in place of `module`, in a process of its own."""
    with warnings.catch_warnings():
        # Python warns of forks beside threads; these processes wait for none.
        warnings.simplefilter("ignore")
        child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    status = 1
    try:
        signal.alarm(MOST_SECONDS)
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        replace_source(module, mutant)
        import pytest

        status = int(pytest.main(["-q", "-x", "-m", "not slow", "-p", "no:cacheprovider", *WARNINGS, *tests]))
    finally:
        os._exit(status)


def replace_source(module: Path, source: str) -> None:
    """Let this process import `source` in place of the file `module`."""
    changed, data, stats = str(module.resolve()), SourceFileLoader.get_data, SourceFileLoader.path_stats
    sys.dont_write_bytecode = True

    def get_data(self: SourceFileLoader, path: str) -> bytes:
        return source.encode() if str(path) == changed else data(self, path)

    def path_stats(self: SourceFileLoader, path: str) -> Any:
        # Without the time of the file, its compiled form is not used.
        if str(path) == changed:
            raise OSError
        return stats(self, path)

    SourceFileLoader.get_data = get_data
    SourceFileLoader.path_stats = path_stats


def tried(module: str, most: int, seed: int) -> dict[str, Any]:
    """The counts of one module, and its survivors."""
    chance, every = random.Random(f"{seed} {module}"), mutants_of(module)
    chosen = every if len(every) <= most else [every[place] for place in sorted(chance.sample(range(len(every)), most))]
    if not survives(Path(module), ast.unparse(ast.parse(Path(module).read_text())), TESTS[module]):
        raise SystemExit(f"{module}: its tests fail without a change")
    survivors = survivors_of(module, chosen)
    return {"mutants": len(every), "tried": len(chosen), "killed": len(chosen) - len(survivors), "survivors": survivors}


def tried_again(module: str, earlier: dict[str, Any]) -> dict[str, Any]:
    """The counts of an earlier run of one module, after another try of its survivors alone."""
    known = {(one["line"], one["before"], one["after"]) for one in earlier["survivors"]}
    every = mutants_of(module)
    chosen = [mutant for mutant in every if (mutant.line, mutant.before, mutant.after) in known]
    # What is no mutant any more was never one.
    count = earlier["tried"] - len(known) + len(chosen)
    survivors = survivors_of(module, chosen)
    return {"mutants": len(every), "tried": count, "killed": count - len(survivors), "survivors": survivors}


def mutants_of(module: str) -> list[Mutant]:
    """Every mutant of a module by its path."""
    return mutants(Path(module).read_text(), equations=Path(module).stem == "rate_model")


def survivors_of(module: str, chosen: list[Mutant]) -> list[dict[str, Any]]:
    """The mutants that pass all tests of their module, without their source."""
    survivors = []
    for mutant in chosen:
        if survives(Path(module), mutant.source, TESTS[module]):
            survivors.append({name: value for name, value in asdict(mutant).items() if name != "source"})
            print(f"{module}:{mutant.line}: {mutant.before} -> {mutant.after}", flush=True)
    return survivors


def main() -> int:
    """Try the mutants, print the survivors and write JSON."""
    parser = option_parser(__doc__, RESULTS / "mutants.json")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=", ".join(TESTS))
    parser.add_argument("--most", type=int, default=40, help="mutants of each module [default: 40]")
    parser.add_argument("--seed", type=int, default=0, help="of the sample [default: 0]")
    parser.add_argument("--again", action="store_true", help="try only the survivors of an earlier run")
    options = parser.parse_args()
    for name in PRELOADED:
        with suppress(ImportError):
            __import__(name)
    is_part = options.modules or options.again
    found = read_json(options.out)["modules"] if is_part and options.out.is_file() else {}
    for module in options.modules or TESTS:
        again = options.again and module in found
        counts = tried_again(module, found[module]) if again else tried(module, options.most, options.seed)
        found[module] = counts
        print(f"{module:45} {counts['killed']} of {counts['tried']} of {counts['mutants']}", flush=True)
        sums = {name: sum(one[name] for one in found.values()) for name in ("mutants", "tried", "killed")}
        content = {**sums, "share": sums["killed"] / sums["tried"], "modules": found}
        write_report(options.out, COMMAND, processor(), ("pytest", "hypothesis", "torch", "numpy"), content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
