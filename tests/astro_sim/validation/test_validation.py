import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from astro_sim import validation
from astro_sim.biophysics import CalciumParameters
from astro_sim.validation import CHECKS, Check, Outcome, as_markdown, checks_with, validate
from astro_sim.validation.calcium import edge_of_oscillation
from rmaat.cli import main

PAGE = Path(__file__).parents[3] / "docs" / "validation.md"
# Without the edges of oscillation, which take seconds each: `rmaat validate` runs them, and a test below runs one. And
# without the spiking model, which runs for 32 cycles: its own tests run one cycle.
QUICK = [check for check in checks_with([]) if "oscillations" not in check.quantity]


@pytest.mark.parametrize("check", QUICK, ids=lambda check: check.quantity)
def test_the_model_agrees_with(check: Check):
    outcome = Outcome(check, check.measure())
    assert outcome.passed, outcome.row()


def test_oscillations_begin_where_published():
    assert edge_of_oscillation(CalciumParameters(), 0.34, 0.37) == pytest.approx(0.355, rel=0.01)


def test_every_check_has_a_unique_name_and_finite_bounds():
    assert len({check.quantity for check in CHECKS}) == len(CHECKS)
    for check in CHECKS:
        assert check.source
        assert -np.inf < check.low <= check.high < np.inf


@pytest.mark.parametrize(
    ("value", "passed"), [(9.89, False), (9.91, True), (10.09, True), (10.11, False), (np.nan, False)]
)
def test_a_check_passes_only_within_its_tolerance(value: float, passed: bool):
    for check in (
        Check.relative("q", "s", 10.0, 1, "who", lambda: value),
        Check.absolute("q", "s", 10.0, 0.1, "who", lambda: value),
        Check.between("q", "s", 9.9, 10.1, "who", lambda: value),
    ):
        (outcome,) = validate(lambda _: None, [check])
        assert outcome.passed is passed
        assert outcome.row()[5] == ("pass" if passed else "FAIL")


def test_the_page_in_docs_is_the_table_that_the_command_writes():
    page = PAGE.read_text()
    assert page.startswith(validation.INTRODUCTION)
    shown = re.findall(r"^\| (.+?) \| .* \| (pass|FAIL) \|", page, re.MULTILINE)
    assert shown == [(check.quantity, "pass") for check in CHECKS]


@pytest.mark.parametrize("asked", [False, True])
def test_the_spiking_model_is_checked_on_demand_and_otherwise_reported_as_left_out(asked: bool, monkeypatch, capsys):
    given = []

    def no_validation(_, checks):
        given.extend(checks)
        return [Outcome(check, (check.low + check.high) / 2) for check in checks]

    monkeypatch.setattr(validation, "validate", no_validation)
    assert main(["validate", *(["--with", "brian2"] if asked else [])]) == 0
    spiking = [check for check in CHECKS if check.needs]
    assert len(spiking) == 10
    assert given == [check for check in CHECKS if asked or not check.needs]
    notice = "; left out are 10 of the spiking model, which need Brian2: add --with brian2"
    assert (notice in capsys.readouterr().out) is not asked


def test_the_command_prints_and_writes_the_table(monkeypatch, tmp_path, capsys):
    checks = [Check.absolute("one", "s", 1, 0.1, "who", lambda: 1.05)]
    monkeypatch.setattr(validation, "validate", lambda progress, _: validate(progress, checks))
    assert main(["validate", "--out", str(tmp_path / "table.md")]) == 0
    assert "all 1 checks passed" in capsys.readouterr().out
    assert (tmp_path / "table.md").read_text() == as_markdown([Outcome(checks[0], 1.05)])


def test_the_command_fails_with_status_one_and_names_what_failed(monkeypatch, capsys):
    good = Check.absolute("one", "s", 1, 0.1, "who", lambda: 1.05)
    bad = dataclasses.replace(good, quantity="two", measure=lambda: 1.2)
    monkeypatch.setattr(validation, "validate", lambda progress, _: validate(progress, [good, bad]))
    assert main(["validate"]) == 1
    found = capsys.readouterr()
    assert "FAIL" in found.out
    assert "rmaat: 1 of 2 checks failed: two" in found.err
