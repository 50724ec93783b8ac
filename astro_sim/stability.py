"""Whether the rate model returns to rest when the drive is off, and how fast.

Around rest the short-term process and facilitation drive each other with gain κ_s / β, and coupling amplifies at most
by its spectral radius ρ. Rest is stable if and only if `γ^s > ρ + κ_s / β`; the way back takes about
`τ_p^s / (γ^s - ρ - κ_s / β)`. Ours, from the linearised equations.
"""

import warnings

from astro_sim.coupling import Coupling
from astro_sim.parameters import SimulationParameters
from rmaat.records import ParameterError

DECAY_TIMES_PER_CYCLE = 4


def check_stability(parameters: SimulationParameters, coupling: Coupling) -> None:
    """Refuse a network that latches; warn of one that carries much of a cycle into the next.

    Raises
    ------
    ParameterError
        Rest is not stable.
    """
    model, protocol = parameters.model, parameters.protocol
    radius, gain = coupling.spectral_radius(), model.short_term_gain / model.synapse_decay
    margin = model.short_term_decay - radius - gain
    if margin <= 0:
        raise ParameterError(
            f"short_term_decay is {model.short_term_decay:g}; it must exceed {radius + gain:.4g}, the coupling's "
            f"spectral radius {radius:.4g} plus short_term_gain / synapse_decay {gain:.4g}, or the short-term process "
            f"never returns to rest; lower coupling_{parameters.network.coupling_given_by} or short_term_gain"
        )
    decay_time = model.short_term_time_constant / margin
    if not protocol.restart_fast_variables and protocol.cycle_duration < DECAY_TIMES_PER_CYCLE * decay_time:
        warnings.warn(
            f"cycle_duration is {protocol.cycle_duration:g} s, shorter than {DECAY_TIMES_PER_CYCLE} decay times of "
            f"{decay_time:.3g} s of the short-term process, so that increments of the long-term process may grow from "
            "cycle to cycle; lengthen the cycle or restart the fast variables",
            stacklevel=3,
        )
