"""Astrocytes of a study: each differs as its name says, and finished tables are not made again."""

import dataclasses

import pytest

from astro_sim import SimulationParameters
from astro_sim.runs.traces import stack_trials
from distill import read_tables
from distill.errors import TableError
from distill.inverse import astrocytes as module
from distill.inverse.astrocytes import DRAWS, TRIALS, Astrocyte, Draw, Trials, astrocytes, drawn, write_tables_of

QUICK = {"run_duration": 150, "relative_tolerance": 1e-6}


def test_the_astrocytes_vary_every_parameter_of_the_study():
    found = astrocytes()
    assert next(iter(found)) == "default"
    changed = {name for each in found.values() for name in each.changes}
    assert {"long_term_time_constant", "cycle_duration", "coupling_scale", "long_term_feedback"} <= changed
    assert {"restart_fast_variables", "long_term_growth"} <= changed
    assert [name for name, each in found.items() if each.biophysical] == ["biophysical"]
    assert found["biological"].preset == "biological"
    # Longer cycles keep their number, as in a sweep.
    assert found["cycle_duration_100"].changes == {"cycle_duration": 100.0, "run_duration": 600.0}
    assert len({each.title for each in found.values()}) == len(found)


def test_tables_of_astrocytes_are_written_once_and_failures_have_their_reason(tmp_path, monkeypatch):
    chosen = {
        "fast": Astrocyte("fast", {**QUICK, "long_term_time_constant": 25.0}),
        "latched": Astrocyte("latched", {**QUICK, "short_term_gain": 2.0}),
    }
    made, missing = write_tables_of(chosen, tmp_path)
    assert made == {"fast": tmp_path / "fast.nc"}
    assert list(missing) == ["latched"]
    assert "never returns to rest" in missing["latched"]
    tables = read_tables(made["fast"])
    assert tables.increment_rate == pytest.approx(2.0, rel=1e-5)
    assert tables.longest == module.SEGMENTS

    def fail(*_):
        raise AssertionError("simulated again")

    monkeypatch.setattr(Astrocyte, "traces", fail)
    assert write_tables_of({"fast": chosen["fast"]}, tmp_path) == (made, {})


def test_damaged_tables_of_an_astrocyte_are_an_error_and_not_left_out(tmp_path):
    (tmp_path / "fast.nc").write_bytes(b"CDF")
    with pytest.raises(TableError, match="not a complete tables file"):
        write_tables_of({"fast": Astrocyte("fast", QUICK)}, tmp_path)


def test_every_change_of_an_astrocyte_is_a_parameter_of_the_rate_model():
    known = {path[-1] for path, _, _ in SimulationParameters().parameters()}
    for each in astrocytes().values():
        assert {*each.changes} <= known
        assert dataclasses.replace(each, title="x").changes == each.changes


def test_draws_are_resamples_of_whole_trials_that_a_seed_repeats():
    found = drawn()
    assert list(found) == ["all_trials", *(f"draw_{number}" for number in range(1, DRAWS + 1))]
    assert found["all_trials"].chosen == tuple(range(TRIALS))
    assert found == drawn()
    assert {name: each.chosen for name, each in found.items()} != {name: each.chosen for name, each in drawn(1).items()}
    # Trials are drawn with replacement, and simulated once for all.
    assert any(len({*each.chosen}) < TRIALS for each in found.values())
    assert len({id(each.trials) for each in found.values()}) == 1


def test_tables_of_a_draw_are_those_of_the_mean_of_its_trials(tmp_path, monkeypatch):
    trials = [Astrocyte("", {**QUICK, "long_term_time_constant": value}).traces() for value in (110.0, 90.0)]
    monkeypatch.setattr(Trials, "traces", stack_trials(trials, ["long_term_process"], [1, 2]))
    draws = {"slow": Draw("slow", Trials(2), (0, 0)), "both": Draw("both", Trials(2), (0, 1))}
    made, missing = write_tables_of(draws, tmp_path)
    assert not missing
    rates = {name: read_tables(path).increment_rate for name, path in made.items()}
    assert rates["slow"] == pytest.approx(50 / 110, rel=1e-3)
    assert 50 / 110 < rates["both"] < 50 / 90
