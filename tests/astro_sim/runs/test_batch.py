import numpy as np
import pytest

from astro_sim import SimulationError, SimulationParameters, simulate, simulate_batch
from astro_sim.engines.batch_engine import BatchCoupling
from astro_sim.engines.stepping import METHODS
from astro_sim.network.coupling import build_coupling
from astro_sim.network.geometry import build_geometry
from rmaat.base.records import ParameterError

BASE = SimulationParameters().override({"run_duration": 150.0, "recording_interval": 1.0})
TOLERANCE = 1e-6
"""The tolerance in docs/sweeps.md, as a share of the largest value of each variable."""

VARIED = (
    {"coupling_strength": 0.02, "short_term_time_constant": 1.5},
    {"cycle_duration": 40.0, "run_duration": 120.0, "neuron_time_constant": 0.2},
    {"stimulus_duration": 10.0, "stimulus_jitter": 0.0, "drive_strongest": 1.7},
    {"long_term_time_constant": 300.0, "coupling_scale": 0.4, "short_term_bias": 0.1, "synapse_bias": 0.05},
)


def points(*changes):
    return [BASE.override(change) for change in changes]


def assert_same(batched, single, tolerance=TOLERANCE):
    """Compare all values of a batch with those of a single run, relative to the largest value."""
    assert set(batched.time.values) <= set(single.time.values)
    alone = single.sel(time=batched.time.values)
    # A sweep leaves out the driven influence, which no quantity of a point needs.
    assert set(alone.data_vars) - set(batched.data_vars) <= {"influence_driven"}
    for name in batched.data_vars:
        size = max(np.abs(alone[name].values).max(), 1e-300)
        np.testing.assert_allclose(batched[name].values / size, alone[name].values / size, rtol=0, atol=tolerance)


def test_points_with_different_constants_and_durations_give_the_results_of_single_runs():
    parameters = points(*VARIED)
    for own, batched in zip(parameters, simulate_batch(parameters), strict=True):
        assert_same(batched, simulate(own))


def test_sizes_forms_and_restarts_may_differ_and_the_order_is_kept():
    changes = (
        {"postsynaptic_neurons": 2},
        {},
        {"long_term_growth": "soft_bound"},
        {"postsynaptic_neurons": 2, "coupling_scale": 2.0},
        {"restart_fast_variables": False},
        {"stimulus_jitter": 3.0, "time_grid": 0.5, "stimulus_seed": 1},
    )
    parameters = points(*changes)
    for own, batched in zip(parameters, simulate_batch(parameters), strict=True):
        assert_same(batched, simulate(own))


def test_dop853_gives_the_same_results_for_a_batch_and_single_runs(monkeypatch):
    monkeypatch.delitem(METHODS, "lsoda")
    # Finer than the default, because single runs have an interpolation error over their long steps.
    explicit = {"method": "dop853", "relative_tolerance": 1e-10, "absolute_tolerance": 1e-14}
    parameters = points(*(change | explicit for change in VARIED))
    for own, batched in zip(parameters, simulate_batch(parameters), strict=True):
        assert_same(batched, simulate(own), tolerance=1e-7)
        assert "DOP853, one step for all points of a batch" in batched.attrs["solver"]


def test_the_other_points_of_a_batch_change_nothing_beyond_the_tolerance():
    own = points(VARIED[0])
    (alone,) = simulate_batch(own)
    assert_same(simulate_batch([*own, *points(*VARIED[1:])])[0], alone)


def test_the_same_batch_gives_the_same_bits():
    first, second = (simulate_batch(points(*VARIED[:2])) for _ in range(2))
    assert all(one.identical(other) for one, other in zip(first, second, strict=True))


def test_the_driven_part_of_the_first_cycle_and_all_ends_of_cycles_are_stored():
    (batched,) = simulate_batch([BASE])
    np.testing.assert_array_equal(batched.time, [*range(26), 50, 100, 150])


def test_a_large_network_is_passed_to_simulate(monkeypatch):
    monkeypatch.setattr("astro_sim.runs.batch.LARGEST_TOGETHER", 8)
    (outcome,) = simulate_batch([BASE])
    assert outcome.identical(simulate(BASE))


def test_an_unstable_network_is_refused_and_the_others_are_solved():
    outcomes = simulate_batch(points({}, {"short_term_gain": 1.0}))
    assert outcomes[0].sizes["cycle"] == 3
    assert isinstance(outcomes[1], ParameterError)


def test_a_failing_point_is_found_and_the_others_are_solved(monkeypatch):
    from astro_sim.engines.batch_engine import integrate_batch

    def breaks(jobs, times):
        if any(job.parameters.synaptic_weight == 2 for job in jobs):
            raise SimulationError("it broke")
        return integrate_batch(jobs, times)

    monkeypatch.setattr("astro_sim.runs.batch.integrate_batch", breaks)
    weights = (1.0, 1.1, 1.2, 2.0, 1.3)
    outcomes = simulate_batch(points(*({"synaptic_weight": weight} for weight in weights)))
    assert [isinstance(outcome, SimulationError) for outcome in outcomes] == [False, False, False, True, False]


def test_the_coupling_of_a_batch_equals_the_coupling_of_each_point():
    networks = [own.network for own in points(VARIED[0], {}, VARIED[3])]
    couplings = [build_coupling(build_geometry(network), network) for network in networks]
    batch = BatchCoupling(couplings)
    signal = np.random.default_rng(0).normal(size=(3, 3, 3))
    for place, own in enumerate(couplings):
        np.testing.assert_allclose(batch.apply(signal)[..., place], own.apply(signal[..., place]), rtol=1e-13)
        np.testing.assert_array_equal(batch.between((2, 1))[..., place], own.between((2, 1)))


@pytest.mark.parametrize("count", [0, 1])
def test_a_batch_may_be_empty_or_have_one_point(count):
    assert len(simulate_batch([BASE] * count)) == count
