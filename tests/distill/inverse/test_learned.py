"""The way back from learned retention to the rate model, shown in both directions."""

import dataclasses
import math

import numpy as np
import pytest

from astro_sim import SimulationParameters, simulate
from distill import DistillParameters, default_tables, distil, read_tables, write_tables
from distill.errors import TableError
from distill.inverse.data import learned_data
from distill.inverse.fit import fit
from distill.inverse.published import PUBLISHED, cycles_for_rate, is_one_number, judged
from distill.learned import learned_from, with_learned

SEGMENTS = 4
QUICK = SimulationParameters().override({"run_duration": 200, "relative_tolerance": 1e-7})
UNRESTARTED = QUICK.override({"restart_fast_variables": False})


def as_learned(factors: np.ndarray):
    return with_learned(default_tables(), factors, factors.cumsum())


def factors_of(parameters: SimulationParameters) -> np.ndarray:
    return distil(simulate(parameters), DistillParameters(segments=SEGMENTS)).retention(SEGMENTS)


def test_parameters_give_factors_and_factors_give_back_the_parameters():
    truth = QUICK.override({"long_term_time_constant": 220.0})
    data = learned_data([as_learned(factors_of(truth))], QUICK)
    assert data.retention
    found = fit(data, QUICK, ["long_term_time_constant"])
    error = found.errors["long_term_time_constant"]
    assert abs(found.estimates["long_term_time_constant"] - 220.0) < max(3 * error, 1e-3)
    np.testing.assert_allclose(factors_of(found.parameters), data.values, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 6))
def test_several_trainings_give_back_the_parameters_within_the_stated_errors(seed):
    truth, size = UNRESTARTED.override({"long_term_time_constant": 60.0}), 2e-3
    draws = np.random.default_rng(seed).normal(factors_of(truth), size, (8, SEGMENTS))
    data = learned_data([as_learned(row / row.sum()) for row in draws], UNRESTARTED)
    assert data.errors is not None
    assert data.errors.mean() == pytest.approx(size / math.sqrt(8), rel=0.5)
    found = fit(data, UNRESTARTED, ["long_term_time_constant"])
    error = found.errors["long_term_time_constant"]
    assert 0 < error < 1
    assert abs(found.estimates["long_term_time_constant"] - 60.0) < 3 * error


def test_what_learned_factors_leave_open_is_named():
    data = learned_data([as_learned(factors_of(QUICK))], QUICK)
    with pytest.warns(UserWarning, match="do not depend on short_term_gain; with restarts retention is one number"):
        found = fit(data, QUICK, ["long_term_time_constant", "short_term_gain"])
    assert found.errors["short_term_gain"] == math.inf
    assert math.isfinite(found.errors["long_term_time_constant"])


def test_learned_tables_survive_their_file_and_serve_as_many_segments_as_were_learned(tmp_path):
    factors = np.array([0.1, 0.4, 0.2, 0.3])
    write_tables(as_learned(factors), tmp_path / "learned.nc")
    again = read_tables(tmp_path / "learned.nc")
    assert again.longest == SEGMENTS
    np.testing.assert_allclose(again.retention(SEGMENTS, "learned"), factors)
    np.testing.assert_allclose(again.retention(2, "learned"), [0.2, 0.8])
    # The distilled variants are those of the tables before, the shuffled ones too.
    for variant in default_tables().variants:
        np.testing.assert_allclose(
            again.retention(SEGMENTS, variant), default_tables().retention(SEGMENTS, variant), rtol=1e-12
        )


def test_factors_that_do_not_sum_to_one_are_fitted_as_shares():
    weight = np.array([0.8, 0.4, 0.4, 0.4])
    learned = with_learned(default_tables(), weight, np.ones(SEGMENTS))
    np.testing.assert_allclose(learned.retention(SEGMENTS, "learned"), weight)
    np.testing.assert_allclose(learned_from(learned, SEGMENTS), weight / 2)


def test_factors_above_one_are_refused():
    with pytest.raises(TableError, match="retention factors of learned must lie between 0 and 1"):
        with_learned(default_tables(), np.array([0.5, 2.0]), np.ones(2))


def test_a_run_that_is_too_short_is_named():
    with pytest.raises(Exception, match="has 4 segments, but the run 2 cycles; set run_duration to 200 or more"):
        learned_data([as_learned(np.full(4, 0.25))], QUICK.override({"run_duration": 100}))
    with pytest.raises(Exception, match="of 3 and 4 segments; fit those of one length"):
        learned_data([as_learned(np.full(4, 0.25)), as_learned(np.full(3, 1 / 3))], QUICK)


def test_estimates_are_judged_beside_published_ranges():
    known = PUBLISHED["long_term_time_constant"]
    names = ("long_term_time_constant", "short_term_time_constant", "coupling_scale")

    def words(long_term, error):
        return next(judged(dict(zip(names, (long_term, 3.0, 1.0), strict=True)), dict.fromkeys(names, error)))

    assert f"600 s, is within the published {known.low:g} to {known.high:g} s" in words(600.0, 1.0)
    assert "is outside the published" in words(2000.0, 1.0)
    assert "outside, by less than two standard errors, the published" in words(1000.0, 50.0)
    assert len(list(judged(dict.fromkeys(names, 5.0), dict.fromkeys(names, 1.0)))) == 2


def test_the_cycles_of_a_rate_are_those_of_the_published_time_constants():
    known = PUBLISHED["long_term_time_constant"]
    assert cycles_for_rate(0.1, QUICK).endswith(f"cycles of {0.1 * known.low:g} to {0.1 * known.high:g} s")
    assert is_one_number(QUICK)
    assert not is_one_number(UNRESTARTED)


def test_published_ranges_hold_the_values_of_the_preset_biological():
    from astro_sim import load_preset

    model = load_preset("biological").model
    for name, known in PUBLISHED.items():
        assert known.holds(getattr(model, name))
    assert dataclasses.replace(PUBLISHED["short_term_time_constant"], high=2.5).holds(2.2)
