import math
import warnings

import numpy as np
import pytest

from astro_sim import SimulationParameters, simulate
from rmaat.base.records import ParameterError

# All distances equal: the spectral radius is 8 strength exp(-1), and rest is stable below this strength.
CRITICAL = 0.5 * math.e / 8
EQUAL = SimulationParameters().override({"layout": "equal", "run_duration": 50.0})


def test_a_network_just_above_the_bound_is_refused_and_its_numbers_told():
    with pytest.raises(
        ParameterError, match=r"short_term_decay is 1; it must exceed 1.01.*radius 0.51.*lower coupling"
    ):
        simulate(EQUAL.override({"coupling_strength": 1.02 * CRITICAL}))


def test_a_spectral_radius_is_refused_from_the_bound_on_whatever_the_size():
    large = {"presynaptic_neurons": 18, "postsynaptic_neurons": 18, "layout": "grid", "run_duration": 50.0}
    by_radius = SimulationParameters().override(large | {"coupling_given_by": "spectral_radius"})
    with pytest.raises(ParameterError, match=r"radius 0.51 .*lower coupling_spectral_radius or short_term_gain"):
        simulate(by_radius.override({"coupling_spectral_radius": 0.51}))
    simulate(by_radius.override({"coupling_spectral_radius": 0.49, "recording_interval": 5.0}))


def test_the_bound_is_where_the_dynamics_cease_to_return_to_rest():
    below = EQUAL.override({"coupling_strength": 0.98 * CRITICAL, "cycle_duration": 4000.0, "run_duration": 4000.0})
    silence = simulate(below.override({"recording_interval": 5.0})).short_term_process
    late, later = silence.sel(time=[3000.0, 4000.0]).mean(("post", "pre")).values
    # The way back is τ_p^s / margin, plus a little for the lag of facilitation within the loop.
    decay_time = 1000 / math.log(late / later)
    assert decay_time == pytest.approx((3 + 1 * 0.5) / (0.02 * 0.5), rel=0.05)


def test_cycles_that_run_into_each_other_are_warned_of():
    short = SimulationParameters().override(
        {"cycle_duration": 20.0, "stimulus_duration": 10.0, "run_duration": 40.0, "restart_fast_variables": False}
    )
    with pytest.warns(UserWarning, match=r"cycle_duration is 20 s, shorter than 4 decay times of .* may grow"):
        simulate(short)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        simulate(short.override({"restart_fast_variables": True}))


FED_BACK = EQUAL.override({"coupling_strength": 0.01, "long_term_time_constant": 20.0, "long_term_decay": 2.0})


def test_feedback_of_the_long_term_process_moves_the_bound_to_where_the_dynamics_cease_to_return():
    # Rest is stable while decay 1 > radius + 0.5 / (1 - feedback / 2).
    radius = 8 * 0.01 / math.e
    bound = 2 * (1 - 0.5 / (1 - radius))
    with pytest.raises(ParameterError, match=r"short_term_decay is 1; it must exceed 1\.0\d+"):
        simulate(FED_BACK.override({"long_term_feedback": 1.02 * bound}))
    below = {"long_term_feedback": 0.9 * bound, "cycle_duration": 4000.0, "run_duration": 4000.0}
    silence = simulate(FED_BACK.override({**below, "recording_interval": 5.0})).short_term_process
    late, later = silence.sel(time=[1000.0, 4000.0]).mean(("post", "pre")).values
    assert 0 < later < 1e-3 * late


@pytest.mark.parametrize(("drive", "bound"), [({}, 2.0), ({"long_term_drive": "hill", "hill_exponent": 1.0}, 1.0)])
def test_feedback_that_outweighs_the_decay_of_facilitation_is_refused(drive: dict, bound: float):
    with pytest.raises(
        ParameterError, match=r"synapse_decay is 1; it must exceed 1\.05, what long_term_feedback gives"
    ):
        simulate(FED_BACK.override({**drive, "long_term_feedback": 1.05 * bound}))


def test_a_drive_that_is_flat_at_rest_feeds_nothing_back_there():
    flat = FED_BACK.override({"long_term_drive": "hill", "long_term_feedback": 9.0})
    assert np.isfinite(simulate(flat).influence.values).all()


def test_increments_that_grow_are_warned_of_with_their_numbers():
    rising = SimulationParameters().override({"drive_variation": 1.0, "stimulus_seed": 2})
    with pytest.warns(UserWarning, match="the long-term process grew by") as caught:
        traces = simulate(rising)
    ends = traces.long_term_process.sel(time=traces.cycle_end.values).mean(("post", "pre")).values
    increments = np.diff(ends, prepend=0)
    cycle = int(np.argmax(np.diff(increments) > 0)) + 2
    told = (
        f"grew by {increments[cycle - 1]:.4g} in cycle {cycle} after {increments[cycle - 2]:.4g} in cycle {cycle - 1}"
    )
    assert told in str(caught[0].message)
