"""Whether the rate model returns to rest when the drive is off, and whether its increments fall as they should.

Around rest the short-term process and facilitation drive each other with gain `κ_s c_ps / β'`, and coupling amplifies
at most by its spectral radius ρ. Rest is stable if and only if `γ^s > ρ + κ_s c_ps / β'`; the way back takes about
`τ_p^s / (γ^s - ρ - κ_s c_ps / β')`. In the long run feedback of the long-term process weakens the decay of
facilitation to `β' = β - c_pl κ'(0) / γ^l`, where κ'(0) is the slope of its drive at 0; without it β' = β. Ours, from
the linearised equations.
"""

import warnings

import numpy as np
import xarray as xr

from astro_sim.network.coupling import Coupling
from astro_sim.parameters import SimulationParameters
from astro_sim.runs.traces import mean_over_synapses
from rmaat.base.records import ParameterError

DECAY_TIMES_PER_CYCLE = 4
# Below this share of the largest, an increment is what is left of the tolerances of the solver.
NEGLIGIBLE = 1e-6


def check_stability(parameters: SimulationParameters, coupling: Coupling) -> None:
    """Refuse a network that latches; warn of one that carries much of a cycle into the next.

    Raises
    ------
    ParameterError
        Rest is not stable.
    """
    model, protocol = parameters.model, parameters.protocol
    radius, gain = coupling.spectral_radius(), _loop_gain(parameters)
    margin = model.short_term_decay - radius - gain
    if margin <= 0:
        raise ParameterError(
            f"short_term_decay is {model.short_term_decay:g}; it must exceed {radius + gain:.4g}, the coupling's "
            f"spectral radius {radius:.4g} plus short_term_gain x short_term_feedback / synapse_decay {gain:.4g}, or "
            "the short-term process never returns to rest; "
            f"lower coupling_{parameters.network.coupling_given_by} or short_term_gain"
        )
    decay_time = model.short_term_time_constant / margin
    if not protocol.restart_fast_variables and protocol.cycle_duration < DECAY_TIMES_PER_CYCLE * decay_time:
        warnings.warn(
            f"cycle_duration is {protocol.cycle_duration:g} s, shorter than {DECAY_TIMES_PER_CYCLE} decay times of "
            f"{decay_time:.3g} s of the short-term process, so that increments of the long-term process may grow from "
            "cycle to cycle; lengthen the cycle or restart the fast variables",
            stacklevel=3,
        )


def check_increments(traces: xr.Dataset) -> None:
    """Warn where the mean long-term process grew more in a cycle than in the one before."""
    ends = mean_over_synapses(traces["long_term_process"].sel(time=traces["cycle_end"].values))
    increments = np.diff(ends, prepend=0.0)
    grown = np.flatnonzero(np.diff(increments) > NEGLIGIBLE * np.abs(increments).max())
    if grown.size:
        first = int(grown[0])
        warnings.warn(
            f"the long-term process grew by {increments[first + 1]:.4g} in cycle {first + 2} after "
            f"{increments[first]:.4g} in cycle {first + 1}, so that retention factors do not decrease; "
            "lengthen the cycle, restart the fast variables, lower long_term_feedback, or repeat the same stimulus",
            stacklevel=3,
        )


def _loop_gain(parameters: SimulationParameters) -> float:
    model = parameters.model
    decay = model.synapse_decay - _long_term_loop(parameters)
    if decay <= 0:
        raise ParameterError(
            f"synapse_decay is {model.synapse_decay:g}; it must exceed {model.synapse_decay - decay:.4g}, what "
            "long_term_feedback gives back, or facilitation never returns to rest; lower long_term_feedback"
        )
    return model.short_term_gain * model.short_term_feedback / decay


def _long_term_loop(parameters: SimulationParameters) -> float:
    """What the long-term process gives back to facilitation in the long run, per facilitation, around rest."""
    model = parameters.model
    flat = parameters.form.long_term_drive == "hill" and model.hill_exponent > 1
    if flat or model.long_term_feedback == 0:
        return 0.0
    slope = 1 / model.half_activation if parameters.form.long_term_drive == "hill" else 1.0
    return model.long_term_feedback * slope / model.long_term_decay
