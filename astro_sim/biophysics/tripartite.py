"""Synapses each with an astrocyte of its own, whose gliotransmitter changes their release: without Brian2, in NumPy.

What `calcium.G_CHI` says of the astrocyte, and

    G' = -Ω_e G,  x_A' = Ω_A (1 - x_A)          gliotransmitter, and the astrocyte's resources
    Γ_S' = O_G G (1 - Γ_S) - Ω_G Γ_S            share of presynaptic receptors bound
    u' = -Ω_f u,  x' = Ω_d (1 - x)              use and resources of the synapse

A spike makes `u += U (1 - u)` with `U = U_0 + (α - U_0) Γ_S`, releases `u x` and adds `ρ_c Y_T u x` to the transmitter.
Where calcium rises above C_Θ, `U_A x_A` goes from the astrocyte's resources into gliotransmitter. Figure 4 of Stimberg
et al. 2019, doi:10.1101/198366.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from astro_sim.biophysics.calcium import G_CHI
from astro_sim.biophysics.parameters import (
    ExchangeParameters,
    ExcitableCalciumParameters,
    ExcitableIp3Parameters,
    ReceptorParameters,
    ReleaseParameters,
    restated,
)
from astro_sim.biophysics.runge_kutta import step_on
from astro_sim.biophysics.sources import Paper
from astro_sim.biophysics.spiking.parameters import GliotransmissionParameters, SpikingTransmitterParameters
from astro_sim.biophysics.system import System, constants_of
from rmaat.base.arrays import Array
from rmaat.base.records import Record

TRIPARTITE = System(
    definitions=G_CHI.definitions,
    rates={
        **G_CHI.rates,
        "gliotransmitter": "-gliotransmitter_clearance * gliotransmitter",
        "astrocyte_resources": "astrocyte_recovery * (1 - astrocyte_resources)",
        "presynaptic_receptors": "presynaptic_binding * gliotransmitter * (1 - presynaptic_receptors)"
        " - presynaptic_unbinding * presynaptic_receptors",
        "used_share": "-facilitation_rate * used_share",
        "resources": "recovery_rate * (1 - resources)",
    },
)
"""Between spikes and releases, for any number of synapses at once."""

PLACES = {name: place for place, name in enumerate(TRIPARTITE.rates)}


@dataclass(frozen=True)
class DecreasingGliotransmissionParameters(GliotransmissionParameters):
    """Gliotransmission that silences the synapse."""

    calcium_threshold: float = restated(GliotransmissionParameters, "calcium_threshold", 0.5, Paper.STIMBERG)
    presynaptic_unbinding: float = restated(
        GliotransmissionParameters, "presynaptic_unbinding", 0.5 / 60, Paper.STIMBERG
    )
    modulated_probability: float = restated(GliotransmissionParameters, "modulated_probability", 0.0, Paper.STIMBERG)


@dataclass(frozen=True)
class WideExchangeParameters(ExchangeParameters):
    """Strong exchange of IP3 with the surroundings, by which an astrocyte can be driven."""

    exchange_rate: float = restated(ExchangeParameters, "exchange_rate", 2.0, Paper.STIMBERG)


@dataclass(frozen=True)
class TripartiteParameters(Record):
    """A synapse and its astrocyte, as in figure 4 of Stimberg et al., with closed-loop gliotransmission."""

    calcium: ExcitableCalciumParameters = field(default_factory=ExcitableCalciumParameters)
    ip3: ExcitableIp3Parameters = field(default_factory=ExcitableIp3Parameters)
    exchange: WideExchangeParameters = WideExchangeParameters()
    receptors: ReceptorParameters = field(default_factory=ReceptorParameters)
    transmitter: SpikingTransmitterParameters = field(default_factory=SpikingTransmitterParameters)
    gliotransmission: DecreasingGliotransmissionParameters = DecreasingGliotransmissionParameters()
    release: ReleaseParameters = field(default_factory=ReleaseParameters)


CLOSED_LOOP = TripartiteParameters()
OPEN_LOOP = CLOSED_LOOP.override({"receptor_binding": 0.0, "ip3_outside": 1.0})
"""The astrocyte does not hear the synapse, but is driven by IP3 from outside."""
WITHOUT = CLOSED_LOOP.override({"astrocyte_vesicles": 0.0})
"""The astrocyte releases nothing."""


def run_tripartite(parameters: TripartiteParameters, spikes: NDArray[np.bool_], step: float) -> Array:
    """Transmitter (time, synapse) in umol/L, in the mean of its values at both ends of each `step` in s.

    Parameters
    ----------
    spikes : (time, synapse)
        Whether a synapse's neuron fires at the start of each step.
    """
    names = constants_of(*(getattr(parameters, name) for name in parameters.to_dict()))
    rate = TRIPARTITE.with_constants(names)
    state = np.zeros((len(PLACES), spikes.shape[1]))
    state[[PLACES[name] for name in ("availability", "astrocyte_resources", "resources")]] = [[0.9], [1], [1]]
    transmitter = np.empty(spikes.shape)
    above = np.zeros(spikes.shape[1], dtype=bool)
    for place, firing in enumerate(spikes):
        _release(names, state, firing)
        following = step_on(rate, state, step)
        transmitter[place] = (state[PLACES["transmitter"]] + following[PLACES["transmitter"]]) / 2
        state = following
        was, above = above, state[PLACES["calcium"]] > names["calcium_threshold"]
        _release_from_astrocyte(names, state, above & ~was)
    return transmitter


def _release(names: dict[str, float], state: Array, firing: NDArray[np.bool_]) -> None:
    use, resources, bound = (state[PLACES[name]] for name in ("used_share", "resources", "presynaptic_receptors"))
    resting, modulated = names["release_probability"], names["modulated_probability"]
    use += firing * (resting + (modulated - resting) * bound) * (1 - use)
    released = firing * use * resources
    resources -= released
    state[PLACES["transmitter"]] += names["vesicle_volume_ratio"] * names["vesicle_transmitter"] * released


def _release_from_astrocyte(names: dict[str, float], state: Array, releasing: NDArray[np.bool_]) -> None:
    resources = state[PLACES["astrocyte_resources"]]
    released = releasing * names["astrocyte_release"] * resources
    resources -= released
    state[PLACES["gliotransmitter"]] += names["astrocyte_vesicles"] * released
