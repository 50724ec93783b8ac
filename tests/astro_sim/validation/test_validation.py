import dataclasses
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from astro_sim import validation
from astro_sim.biophysics import CalciumParameters
from astro_sim.validation import CHECKS, Check, Kind, Origin, Outcome, as_markdown, checks_with, validate
from astro_sim.validation.calcium import edge_of_oscillation
from rmaat.base.errors import Interrupted
from rmaat.base.progress import ignore_progress
from rmaat.cli import main

PAGE = Path(__file__).parents[3] / "docs" / "validation.md"
WHO = Origin(Kind.OTHER_CODE, "who")
# Without the edges of oscillation, which take seconds each: `rmaat validate` runs them, and a test below runs one. And
# without the spiking model, which runs for 32 cycles: its own tests run one cycle.
QUICK = [check for check in checks_with([]) if "oscillations" not in check.quantity]


def name_of(check: Check) -> str:
    return f"{check.origin.kind}: {check.quantity}"


def raises() -> float:
    raise ValueError("math | domain\nerror")


@pytest.mark.slow
@pytest.mark.parametrize("check", QUICK, ids=name_of)
def test_the_model_agrees_with(check: Check):
    outcome = Outcome(check, check.measure())
    assert outcome.passed, outcome.row()


def test_oscillations_begin_where_eigenvalues_by_code_of_our_own_say():
    assert edge_of_oscillation(CalciumParameters(), 0.34, 0.37) == pytest.approx(0.355, rel=0.01)


def test_every_check_has_a_unique_name_a_source_and_bounds_that_a_value_can_miss():
    assert len({check.quantity for check in CHECKS}) == len(CHECKS)
    for check in CHECKS:
        assert check.origin.text
        assert -np.inf < check.low < check.high < np.inf


def test_references_of_our_own_are_called_neither_published_nor_code_of_others():
    own = re.compile("prototype|code of its own|second implementation|our own")
    for check in CHECKS:
        ours = check.origin.kind in (Kind.OWN_PROTOTYPE, Kind.SELF_CONSISTENCY)
        assert ours is bool(own.search(check.origin.text)), check.quantity
    # A published reference names its paper.
    assert all("PMC" in check.origin.text for check in CHECKS if check.origin.kind is Kind.PUBLISHED)


@pytest.mark.parametrize(
    ("value", "passed"), [(9.89, False), (9.91, True), (10.09, True), (10.11, False), (np.nan, False)]
)
def test_a_check_passes_only_within_its_tolerance(value: float, passed: bool):
    for check in (
        Check.relative("q", "s", 10.0, 1, WHO, lambda: value),
        Check.absolute("q", "s", 10.0, 0.1, WHO, lambda: value),
        Check.between("q", "s", 9.9, 10.1, WHO, lambda: value),
    ):
        (outcome,) = validate(ignore_progress, [check])
        assert outcome.passed is passed
        assert outcome.row()[5:] == ("pass" if passed else "FAIL", "other code", "who")


def test_a_check_that_raises_fails_names_the_exception_and_stops_no_other():
    broken = Check.absolute("one", "s", 1, 0.1, WHO, raises)
    good = dataclasses.replace(broken, quantity="two", measure=lambda: 1.0)
    first, second = validate(ignore_progress, [broken, good])
    assert not first.passed
    assert first.row() == ("one", "s", "ValueError", "1", "0.1", "FAIL", "other code", "who")
    assert first.description == "one (ValueError: math | domain\nerror)"
    assert second.passed
    assert second.description == "two"


def test_who_interrupts_the_validation_gets_no_failing_row():
    def interrupted() -> float:
        raise Interrupted("stopped")

    with pytest.raises(Interrupted):
        validate(ignore_progress, [Check.absolute("one", "s", 1, 0.1, WHO, interrupted)])


def test_the_page_in_docs_is_the_table_that_the_command_writes():
    page = PAGE.read_text()
    assert page.startswith(validation.INTRODUCTION)
    shown = re.findall(r"^\| (.+?) \| .* \| (.+?) \| (pass|FAIL) \| (.+?) \| (.+?) \|$", page, re.MULTILINE)
    expected = [(c.quantity, c.tolerance, "pass", c.origin.kind.value, c.origin.text) for c in CHECKS]
    assert shown == expected


def test_the_page_counts_the_rows_of_each_kind():
    counts = Counter(check.origin.kind.value for check in CHECKS)
    shown = re.findall(
        r"^\| (published|other code|closed form|own prototype|self-consistency) \| (\d+) \|",
        PAGE.read_text(),
        re.MULTILINE,
    )
    assert {kind: int(count) for kind, count in shown} == counts


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
    notice = "; skipped 10 checks of the spiking model, which need Brian2: add --with brian2"
    assert (notice in capsys.readouterr().out) is not asked


def test_the_command_prints_and_writes_the_table_and_counts_kinds(monkeypatch, tmp_path, capsys):
    one = Check.absolute("one", "s", 1, 0.1, WHO, lambda: 1.05)
    two = dataclasses.replace(one, quantity="two", origin=Origin(Kind.PUBLISHED, "a paper"))
    monkeypatch.setattr(validation, "validate", lambda progress, _: validate(progress, [one, two]))
    assert main(["validate", "--out", str(tmp_path / "table.md")]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^one +s +1.05 +1 +0.1 +pass +other code +who$", printed, re.MULTILINE)
    assert "references: 1 published, 1 other code\nall 2 checks passed" in printed
    written = (tmp_path / "table.md").read_text()
    assert written == as_markdown([Outcome(one, 1.05), Outcome(two, 1.05)])
    assert "| one | s | 1.05 | 1 | 0.1 | pass | other code | who |" in written
    assert "| published | 1 | a paper prints the number |" in written


def test_the_command_fails_with_status_one_and_names_what_failed(monkeypatch, capsys):
    good = Check.absolute("one", "s", 1, 0.1, WHO, lambda: 1.05)
    bad = dataclasses.replace(good, quantity="two", measure=lambda: 1.2)
    broken = dataclasses.replace(good, quantity="three", measure=raises)
    monkeypatch.setattr(validation, "validate", lambda progress, _: validate(progress, [good, bad, broken]))
    assert main(["validate"]) == 1
    found = capsys.readouterr()
    assert "FAIL" in found.out
    assert "rmaat: 2 of 3 checks failed: two; three (ValueError: math | domain" in found.err
    assert "Traceback" not in found.err
