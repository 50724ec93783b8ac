"""Independent synapses, each with an astrocyte whose gliotransmitter changes the release; in NumPy, without Brian2.

The astrocyte is `calcium.G_CHI`, and the synapse and its modulation are the equations of `release`. Neurons are spike
trains given by the caller. `spiking/network.py` couples the same equations to simulated neurons, in Brian2. Figure 4 of
Stimberg et al. 2019, doi:10.1101/198366.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from astro_sim.biophysics.calcium import G_CHI
from astro_sim.biophysics.parameters import (
    ExchangeParameters,
    ExcitableCalciumParameters,
    ExcitableIp3Parameters,
    GliotransmissionParameters,
    ReceptorParameters,
    ReleaseParameters,
    SpikingTransmitterParameters,
    restated,
)
from astro_sim.biophysics.release import GLIOTRANSMISSION, ON_CALCIUM, ON_SPIKE, PRESYNAPTIC_RECEPTORS, SYNAPSE
from astro_sim.biophysics.runge_kutta import step_on
from astro_sim.biophysics.sources import Paper
from astro_sim.biophysics.system import System, constants_of
from rmaat.base.arrays import Array
from rmaat.base.records import Record

TRIPARTITE = System(
    definitions=G_CHI.definitions,
    rates={**G_CHI.rates, **GLIOTRANSMISSION, **PRESYNAPTIC_RECEPTORS, **SYNAPSE},
)
"""The equations between spikes and releases, for any number of synapses together."""

PLACES = {name: place for place, name in enumerate(TRIPARTITE.rates)}


@restated(Paper.STIMBERG, calcium_threshold=0.5, presynaptic_unbinding=0.5 / 60, modulated_probability=0.0)
class DecreasingGliotransmissionParameters(GliotransmissionParameters):
    """Gliotransmission that lowers the release probability."""


@restated(Paper.STIMBERG, exchange_rate=2.0)
class WideExchangeParameters(ExchangeParameters):
    """Strong exchange of IP3 with the surroundings, so that IP3 outside drives the astrocyte."""


@dataclass(frozen=True)
class TripartiteParameters(Record):
    """A synapse and its astrocyte, as in figure 4 of Stimberg et al., with closed-loop gliotransmission."""

    calcium: ExcitableCalciumParameters = field(default_factory=ExcitableCalciumParameters)
    ip3: ExcitableIp3Parameters = field(default_factory=ExcitableIp3Parameters)
    exchange: WideExchangeParameters = field(default_factory=WideExchangeParameters)
    receptors: ReceptorParameters = field(default_factory=ReceptorParameters)
    transmitter: SpikingTransmitterParameters = field(default_factory=SpikingTransmitterParameters)
    gliotransmission: DecreasingGliotransmissionParameters = field(default_factory=DecreasingGliotransmissionParameters)
    release: ReleaseParameters = field(default_factory=ReleaseParameters)


CLOSED_LOOP = TripartiteParameters()
OPEN_LOOP = CLOSED_LOOP.override({"receptor_binding": 0.0, "ip3_outside": 1.0})
"""IP3 from outside drives the astrocyte, which does not respond to the synapse."""
WITHOUT = CLOSED_LOOP.override({"astrocyte_vesicles": 0.0})
"""The astrocyte releases nothing."""


def run_tripartite(parameters: TripartiteParameters, spikes: NDArray[np.bool_], step: float) -> Array:
    """Simulate synapses whose spikes are given.

    Parameters
    ----------
    spikes : (time, synapse)
        Whether a synapse's neuron fires at the start of each step.
    step : float
        Fixed step of the Runge-Kutta method in s.

    Returns
    -------
    (time, synapse)
        Transmitter in umol/L, the mean of its values at both ends of each step.
    """
    names = constants_of(*(getattr(parameters, name) for name in parameters.to_dict()))
    rate = TRIPARTITE.with_constants(names)
    on_spike, on_calcium = (event.with_constants(names, tuple(PLACES)) for event in (ON_SPIKE, ON_CALCIUM))
    state = np.zeros((len(PLACES), spikes.shape[1]))
    state[[PLACES[name] for name in ("availability", "astrocyte_resources", "resources")]] = [[0.9], [1], [1]]
    transmitter = np.empty(spikes.shape)
    above = np.zeros(spikes.shape[1], dtype=bool)
    for number, firing in enumerate(spikes):
        state[:, firing] = on_spike(state[:, firing])
        following = step_on(rate, state, step)
        transmitter[number] = (state[PLACES["transmitter"]] + following[PLACES["transmitter"]]) / 2
        state = following
        was, above = above, state[PLACES["calcium"]] > names["calcium_threshold"]
        # Only a rise above the threshold releases: calcium stays above it for many steps.
        crossing = above & ~was
        state[:, crossing] = on_calcium(state[:, crossing])
    return transmitter
