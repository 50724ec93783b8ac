"""Whether the rate model returns to rest when the drive is off, from the linearised equations (ours).

Around rest the short-term process and facilitation drive each other with gain `κ_s c_ps / β'`. The coupling amplifies
at most by its spectral radius ρ. Rest is stable if and only if `γ^s > ρ + κ_s c_ps / β'`; the decay to rest then takes
about `τ_p^s / (γ^s - ρ - κ_s c_ps / β')`. In the long run, feedback of the long-term process weakens the decay of
facilitation to `β' = β - c_pl κ'(0) / γ^l`, where κ'(0) is the slope of its drive at 0. Without feedback β' = β.
"""

import warnings

from astro_sim.equations.rate_model import RateModelForm
from astro_sim.network.coupling import Coupling
from astro_sim.parameters import NetworkParameters, RateModelParameters
from astro_sim.protocol import ProtocolParameters
from rmaat.base.records import ParameterError

DECAY_TIMES_PER_CYCLE = 4
"""Shortest cycle, in decay times, without carry-over."""


def check_stability(
    network: NetworkParameters,
    form: RateModelForm,
    model: RateModelParameters,
    protocol: ProtocolParameters,
    coupling: Coupling,
) -> None:
    """Raise if rest is not stable, and warn if the short-term process carries over into the next cycle.

    Raises
    ------
    ParameterError
        Rest is not stable.

    Warns
    -----
    UserWarning
        The fast variables do not restart, and a cycle is shorter than DECAY_TIMES_PER_CYCLE decay times.
    """
    radius, gain = coupling.spectral_radius(), _loop_gain(form, model)
    margin = model.short_term_decay - radius - gain
    if margin <= 0:
        raise ParameterError(
            f"short_term_decay is {model.short_term_decay:g}; it must exceed {radius + gain:.4g}, the coupling's "
            f"spectral radius {radius:.4g} plus short_term_gain x short_term_feedback / synapse_decay {gain:.4g}, or "
            f"the short-term process never returns to rest; lower coupling_{network.coupling_given_by} "
            "or short_term_gain"
        )
    decay_time = model.short_term_time_constant / margin
    if not protocol.restart_fast_variables and protocol.cycle_duration < DECAY_TIMES_PER_CYCLE * decay_time:
        warnings.warn(
            f"cycle_duration is {protocol.cycle_duration:g} s, shorter than {DECAY_TIMES_PER_CYCLE} decay times of "
            f"{decay_time:.3g} s of the short-term process, so that increments of the long-term process may grow from "
            "cycle to cycle; lengthen the cycle or restart the fast variables",
            stacklevel=3,
        )


def _loop_gain(form: RateModelForm, model: RateModelParameters) -> float:
    """`κ_s c_ps / β'`."""
    decay = model.synapse_decay - _long_term_loop(form, model)
    if decay <= 0:
        raise ParameterError(
            f"synapse_decay is {model.synapse_decay:g}; it must exceed {model.synapse_decay - decay:.4g}, what "
            "long_term_feedback gives back, or facilitation never returns to rest; lower long_term_feedback"
        )
    return model.short_term_gain * model.short_term_feedback / decay


def _long_term_loop(form: RateModelForm, model: RateModelParameters) -> float:
    """`c_pl κ'(0) / γ^l`: the steady feedback of the long-term process per facilitation, around rest."""
    # A Hill function with an exponent above 1 has slope 0 at 0.
    flat = form.long_term_drive == "hill" and model.hill_exponent > 1
    if flat or model.long_term_feedback == 0:
        return 0.0
    slope = 1 / model.half_activation if form.long_term_drive == "hill" else 1.0
    return model.long_term_feedback * slope / model.long_term_decay
