import math
import warnings

import numpy as np
import pytest

from astro_sim import SimulationParameters, simulate
from rmaat.base.records import ParameterError

# All distances equal: the spectral radius is 8 strength exp(-1), and rest is stable below this strength.
CRITICAL = 0.5 * math.e / 8
EQUAL = SimulationParameters().override({"layout": "equal", "run_duration": 50.0})


def test_a_network_just_above_the_bound_is_refused_with_its_numbers():
    with pytest.raises(
        ParameterError, match=r"short_term_decay is 1; it must exceed 1.01.*radius 0.51.*lower coupling"
    ):
        simulate(EQUAL.override({"coupling_strength": 1.02 * CRITICAL}))


def test_a_spectral_radius_above_the_bound_is_refused_for_any_size():
    large = {"presynaptic_neurons": 18, "postsynaptic_neurons": 18, "layout": "grid", "run_duration": 50.0}
    by_radius = SimulationParameters().override(large | {"coupling_given_by": "spectral_radius"})
    with pytest.raises(ParameterError, match=r"radius 0.51 .*lower coupling_spectral_radius or short_term_gain"):
        simulate(by_radius.override({"coupling_spectral_radius": 0.51}))
    simulate(by_radius.override({"coupling_spectral_radius": 0.49, "recording_interval": 5.0}))


def test_below_the_bound_the_dynamics_return_to_rest_at_the_predicted_rate():
    below = EQUAL.override({"coupling_strength": 0.98 * CRITICAL, "cycle_duration": 4000.0, "run_duration": 4000.0})
    silence = simulate(below.override({"recording_interval": 5.0})).short_term_process
    late, later = silence.sel(time=[3000.0, 4000.0]).mean(("post", "pre")).values
    # The decay time is τ_p^s / margin, plus a small lag of facilitation within the loop.
    decay_time = 1000 / math.log(late / later)
    assert decay_time == pytest.approx((3 + 1 * 0.5) / (0.02 * 0.5), rel=0.05)


def test_cycles_too_short_for_the_decay_raise_a_warning():
    short = SimulationParameters().override(
        {"cycle_duration": 20.0, "stimulus_duration": 10.0, "run_duration": 40.0, "restart_fast_variables": False}
    )
    with pytest.warns(UserWarning, match=r"cycle_duration is 20 s, shorter than 4 decay times of .* may grow"):
        simulate(short)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        simulate(short.override({"restart_fast_variables": True}))


FED_BACK = EQUAL.override({"coupling_strength": 0.01, "long_term_time_constant": 20.0, "long_term_decay": 2.0})


def test_feedback_of_the_long_term_process_moves_the_bound_as_the_dynamics_do():
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
def test_feedback_stronger_than_the_decay_of_facilitation_is_refused(drive: dict, bound: float):
    with pytest.raises(
        ParameterError, match=r"synapse_decay is 1; it must exceed 1\.05, what long_term_feedback gives"
    ):
        simulate(FED_BACK.override({**drive, "long_term_feedback": 1.05 * bound}))


def test_a_drive_with_slope_0_at_rest_gives_no_feedback_there():
    flat = FED_BACK.override({"long_term_drive": "hill", "long_term_feedback": 9.0})
    assert np.isfinite(simulate(flat).influence.values).all()
