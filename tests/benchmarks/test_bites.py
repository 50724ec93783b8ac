"""Changes of constants where models use them, and the smallest one that a check notices."""

import math

import pytest

from astro_sim.biophysics import ReleaseParameters
from astro_sim.validation import CHECKS, Check
from astro_sim.validation.check import Kind, Origin
from astro_sim.validation.release import release_at
from benchmarks import bites
from benchmarks.bites import Constant, constants_of, measured, multiplied, numbers_of, totals

PLASTICITY = [check for check in CHECKS if check.quantity.endswith("lag -20 ms")]
THRESHOLD = Constant("pairs", "potentiation_threshold")


def test_a_record_and_a_mapping_are_changed_in_a_copy_also_beyond_bounds():
    record = ReleaseParameters()
    assert multiplied(record, "recovery_rate", -1.0).recovery_rate == -record.recovery_rate
    assert ReleaseParameters() == record
    assert multiplied({"a": 2.0, "b": 3}, "a", 2.0) == {"a": 4.0, "b": 3}
    assert numbers_of({"a": 2.0, "b": 3, "zero": 0.0, "text": "x"}) == {"a": 2.0}


def test_the_constants_of_a_check_are_those_that_its_model_reads():
    (check,) = (check for check in CHECKS if check.quantity == "Tsodyks-Markram: share released per spike at 50 Hz")
    assert {str(constant) for constant in constants_of(check)} == {
        "facilitation_rate (release)",
        "probability (equations)",
        "recovery_rate (release)",
        "release_probability (release)",
    }


def test_a_changed_constant_is_noticed_and_the_models_are_as_before_afterwards():
    assert all(outcome.passed for outcome in measured(PLASTICITY, THRESHOLD, 1.0).values())
    assert not any(outcome.passed for outcome in measured(PLASTICITY, THRESHOLD, 2.0).values())
    assert all(outcome.passed for outcome in measured(PLASTICITY, THRESHOLD, 1.0).values())


def test_a_check_of_3_percent_whose_value_is_one_constant_notices_5_percent(monkeypatch):
    check = Check.relative(
        "made: value", "1", ReleaseParameters().recovery_rate, 3, Origin(Kind.CLOSED_FORM, "made"),
        lambda: float(bites.release.release_at(ReleaseParameters(), None)),
    )  # fmt: skip
    monkeypatch.setattr(bites.release, "release_at", lambda parameters, _: parameters.recovery_rate)
    found = bites.bites([check], [])["made: value"]
    assert found.constants == {"recovery_rate (release)": 2}
    assert (found.smallest, found.of) == (0.05, "recovery_rate (release)")
    assert bites.release.release_at is not release_at


def test_a_model_that_never_ends_is_noticed(monkeypatch):
    monkeypatch.setattr(bites, "MOST_SECONDS", 0.05)

    def endless() -> float:
        while True:
            pass

    check = Check.absolute("made: endless", "1", 0, 1, Origin(Kind.CLOSED_FORM, "made"), endless)
    outcome = measured([check], THRESHOLD, 2.0)["made: endless"]
    assert isinstance(outcome.error, TimeoutError)
    assert math.isnan(outcome.value)


def test_totals_name_what_nothing_notices():
    row = {"smallest": 0.01, "of": "a", "doubled": ["a"], "flipped": [], "unnoticed": ["b"]}
    blunt = {"smallest": None, "of": "", "doubled": [], "flipped": [], "unnoticed": ["a"]}
    found = totals({"sharp": row, "blunt": blunt})
    assert (found["rows"], found["within_1_percent"], found["within_a_doubling"]) == (2, 1, 1)
    assert found["toothless"] == ["blunt"]
    assert found["unnoticed"] == ["b"]


@pytest.mark.parametrize("entry", bites.ENTRIES, ids=lambda entry: entry.name)
def test_the_entries_of_constants_exist(entry):
    assert all(callable(getattr(owner, name)) for owner, name, _ in entry.functions)
