"""What counts as a mutant, and that a test which notices one ends it."""

import ast
import os
from pathlib import Path

import pytest

from benchmarks import mutants as module
from benchmarks.mutants import TESTS, mutants, survives

SOURCE = '''
"""A docstring with 1 + 1."""

def clipped(x: "int | 3", most: int = 5) -> int:
    """Another one."""
    if x < 0 or not x:
        raise ValueError("1 + 1")
    note("call")
    for one, other in zip([x], [most], strict=True):
        return min(-one, other) * 2
'''
EQUATION = 'RATE = "(-decay * x + tanh(y)) / tau"'


def changes(source: str, equations: bool = False) -> set[tuple[str, str]]:
    return {(mutant.before, mutant.after) for mutant in mutants(source, equations)}


def test_operators_numbers_and_statements_change_and_messages_do_not():
    assert changes(SOURCE) == {
        ("5", "6"),
        ("x < 0 or not x", "x < 0 and (not x)"),
        ("x < 0", "x <= 0"),
        ("0", "1"),
        ("not x", "not not x"),
        ("note('call')", "None"),
        ("-one", "--one"),
        ("min(-one, other) * 2", "min(-one, other) / 2"),
        ("2", "3"),
    }


def test_each_mutant_is_a_whole_module_with_one_change():
    plain = ast.unparse(ast.parse(SOURCE)).splitlines()
    for mutant in mutants(SOURCE):
        lines = mutant.source.splitlines()
        assert sum(one != other for one, other in zip(plain, lines, strict=True)) == 1


def test_terms_of_equations_in_strings_change():
    before = "'(-decay * x + tanh(y)) / tau'"
    assert changes(EQUATION) == set()
    assert changes(EQUATION, equations=True) == {
        (before, "'(-decay * x - tanh(y)) / tau'"),
        (before, "'(-decay / x + tanh(y)) / tau'"),
        (before, "'(-decay * x + tanh(y)) * tau'"),
        (before, "'(decay * x + tanh(y)) / tau'"),
        (before, "'(-decay * x + (y)) / tau'"),
    }


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.slow
def test_a_mutant_survives_tests_that_notice_nothing_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_SECONDS", 60)
    path = Path("rmaat/base/text.py")
    source = path.read_text()
    (tmp_path / "test_sees.py").write_text("import rmaat.base.text as t\ndef test(): assert not hasattr(t, 'ADDED')\n")
    (tmp_path / "test_blind.py").write_text("import rmaat.base.text\ndef test(): pass\n")
    monkeypatch.delitem(__import__("sys").modules, "rmaat.base.text", raising=False)
    changed = source + "\nADDED = True\n"
    assert survives(path, changed, (str(tmp_path / "test_blind.py"),))
    assert not survives(path, changed, (str(tmp_path / "test_sees.py"),))


def test_every_module_and_its_tests_exist():
    assert all(Path(path.split("::")[0]).is_file() for module, tests in TESTS.items() for path in (module, *tests))
