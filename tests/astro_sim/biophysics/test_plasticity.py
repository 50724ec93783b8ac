"""Calcium-based plasticity: closed forms compared with fine time grids and with each other."""

import numpy as np
import pytest

from astro_sim.biophysics.plasticity import (
    CalciumPlasticityParameters,
    PairingPlasticityParameters,
    drift_under_pairs,
    time_above,
)
from rmaat.base.records import ParameterError

PAIRING = PairingPlasticityParameters()
PAIRS = 60


def shares_above(lag: float, rate: float) -> tuple[float, float]:
    """Shares of time above both thresholds in the last but one of 20 periods, from a time grid of 10 us."""
    starts = np.arange(20) / rate
    times = starts[-2] + np.arange(0, 1 / rate, 1e-5)
    calcium = np.zeros_like(times)
    for start in starts:
        for delay, jump in ((PAIRING.presynaptic_delay, PAIRING.presynaptic_calcium), (lag, 2.0)):
            since = times - start - delay
            calcium += np.where(since >= 0, jump * np.exp(-np.maximum(since, 0) / PAIRING.spine_calcium_time), 0)
    return tuple(float((calcium > threshold).mean()) for threshold in (1.0, 1.3))


@pytest.mark.parametrize(("lag", "rate"), [(0.005, 1.0), (-0.02, 1.0), (0.01, 20.0), (0.0137, 5.0)])
def test_the_drift_equals_the_drift_from_shares_of_time_on_a_fine_grid(lag: float, rate: float):
    high, higher = shares_above(lag, rate)
    strength = 321.808 * higher + 200 * high
    found = drift_under_pairs(PAIRING, lag, rate)
    assert found.rate == pytest.approx(strength / 150, rel=3e-3)
    assert found.level == pytest.approx(321.808 * higher / strength, rel=3e-3)
    assert found.spread == pytest.approx(2.8284 * np.sqrt((high + higher) / (2 * strength)), rel=3e-3)


@pytest.mark.parametrize("start", [0.0, 1.0])
def test_efficacy_solved_spike_by_spike_follows_the_drift(start: float, follow_efficacy):
    lag = 0.03
    intervals = np.tile([lag - PAIRING.presynaptic_delay, 1 - lag + PAIRING.presynaptic_delay], PAIRS)[:, None]
    jumps = np.tile([PAIRING.presynaptic_calcium, PAIRING.postsynaptic_calcium], PAIRS)[:, None]
    found = follow_efficacy(PAIRING, intervals, jumps, start)
    drift = drift_under_pairs(PAIRING, lag, 1.0)
    # The drift acts evenly during each period, spikes only during a part of it.
    np.testing.assert_allclose(found[1::2, 0], [drift.mean(start, pair + 1) for pair in range(PAIRS)], atol=2e-3)


def test_efficacy_solved_spike_by_spike_equals_small_time_steps(follow_efficacy):
    parameters, generator = CalciumPlasticityParameters(), np.random.default_rng(1)
    intervals, jumps = generator.exponential(0.02, (40, 1)), generator.choice([1.0, 0.275865], (40, 1))
    calcium, efficacy, step = 0.0, 0.2, 2e-6
    for (interval,), (jump,) in zip(intervals, jumps, strict=True):
        times = np.arange(0, interval, step)
        course = (calcium + jump) * np.exp(-times / 0.0488373)
        for level, count in ((1.3, (course > 1.3).sum()), (1.0, ((course > 1.0) & (course <= 1.3)).sum())):
            rise, fall = (1645.59 if level == 1.3 else 0.0), 313.0965
            for _ in range(int(count)):
                efficacy += step / 688.355 * (rise * (1 - efficacy) - fall * efficacy)
        calcium = (calcium + jump) * np.exp(-interval / 0.0488373)
    assert efficacy > 0.3
    assert follow_efficacy(parameters, intervals, jumps, 0.2)[-1, 0] == pytest.approx(efficacy, abs=2e-4)


def test_pairs_depress_if_the_postsynaptic_spike_comes_first_and_potentiate_if_it_follows():
    def change(lag: float) -> float:
        return drift_under_pairs(PAIRING, lag, 1.0).mean(0.5, PAIRS) - 0.5

    apart = change(0.1)
    assert change(-0.02) < apart < change(0.02)
    assert change(-0.02) < 0 < change(0.02)
    assert change(-0.1) == pytest.approx(apart, abs=5e-3)


def test_the_drift_ends_at_its_level_and_half_the_synapses_cross_a_boundary_at_that_level():
    drift = drift_under_pairs(PAIRING, 0.01, 1.0)
    assert drift.mean(0.2, 0.0) == pytest.approx(0.2)
    assert drift.mean(0.2, 1e6) == pytest.approx(drift.level)
    balanced = PAIRING.override({"efficacy_boundary": drift.level})
    assert drift_under_pairs(balanced, 0.01, 1.0).share_above(0.0, 1e6) == pytest.approx(0.5)


def test_mean_and_share_equal_those_of_simulated_noisy_synapses():
    drift, generator = drift_under_pairs(PAIRING, -0.02, 1.0), np.random.default_rng(3)
    efficacy, steps = np.zeros(4000), 600
    step = PAIRS / steps
    for _ in range(steps):
        kick = drift.spread * np.sqrt(2 * drift.rate * step) * generator.standard_normal(efficacy.size)
        efficacy += drift.rate * (drift.level - efficacy) * step + kick
    assert efficacy.mean() == pytest.approx(drift.mean(0.0, PAIRS), abs=0.012)
    assert (efficacy > 0.5).mean() == pytest.approx(drift.share_above(0.0, PAIRS), abs=0.03)


def test_calcium_is_above_a_threshold_from_none_to_all_of_the_time():
    found = time_above(np.array([0.0, 0.5, np.e, 10.0]), np.array([1.0, 1.0, 2.0, 2.0]), 1.0, 1.0)
    np.testing.assert_allclose(found, [0, 0, 1, 2])


def test_pairs_that_reach_no_threshold_and_thresholds_in_the_wrong_order_are_refused():
    with pytest.raises(ParameterError, match=r"calcium of 0\.2 never exceeds depression_threshold of 1"):
        drift_under_pairs(PAIRING.override({"presynaptic_calcium": 0.1, "postsynaptic_calcium": 0.2}), 0.3, 1.0)
    with pytest.raises(ParameterError, match=r"potentiation_threshold is 0\.5, below depression_threshold of 1"):
        CalciumPlasticityParameters(potentiation_threshold=0.5)
