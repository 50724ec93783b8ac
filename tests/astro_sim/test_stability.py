import math
import warnings

import pytest

from astro_sim import SimulationParameters, simulate
from rmaat.records import ParameterError

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
