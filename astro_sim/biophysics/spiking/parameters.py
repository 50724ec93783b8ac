"""All parameters of the spiking model of tripartite synapses.

The values follow example 4 of Stimberg et al. 2019, doi:10.1101/198366. Values with source `OURS` differ from it so
that calcium returns to rest in each cycle: with the published values the astrocyte keeps oscillating in silence.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from astro_sim.biophysics.parameters import (
    RATE,
    ActivatedCalciumParameters,
    GliotransmissionParameters,
    Ip3Parameters,
    ReceptorParameters,
    ReleaseParameters,
    SpikingTransmitterParameters,
    restated,
)
from astro_sim.biophysics.plasticity import CalciumPlasticityParameters
from astro_sim.biophysics.sources import Paper
from astro_sim.durations import divides
from astro_sim.parameter_set import check_recording, credited
from astro_sim.parameters import (
    NetworkParameters,
    RecordingParameters,
    brian2_target,
)
from astro_sim.protocol import ProtocolParameters
from astro_sim.stimuli import StpCycles
from rmaat.base.records import OneOf, ParameterError, Quantity, Record, Source, parameter


@restated(Source.OURS, coupling_strength=1.0, coupling_scale=2 / 3)
class SpikingNetworkParameters(NetworkParameters):
    """Numbers and positions of neurons; the coupling weights the exchange of IP3 between processes."""


# Trains of 10 s, one a minute. Drive 1 is the highest rate of the presynaptic neurons.
TRAINS = StpCycles(
    run_duration=360.0, cycle_duration=60.0, stimulus_duration=10.0, drive_weakest=0.45, restart_fast_variables=False
)


@dataclass(frozen=True)
class NeuronParameters(Record):
    """Presynaptic Poisson neurons, postsynaptic leaky integrate-and-fire neurons; conductances relative to the leak."""

    presynaptic_rate: float = parameter(40.0, "rate of a presynaptic neuron at drive 1", unit=RATE, low=0, high=200)
    silent_rate: float = parameter(0.02, "rate of a presynaptic neuron in silence", unit=RATE, low=0, high=200)
    background_rate: float = parameter(
        600.0, "background spikes to each postsynaptic neuron during the stimulus", unit=RATE, low=0, high=1500
    )
    background_weight: float = parameter(0.1, "conductance that a background spike adds", low=0, high=10)
    synaptic_weight: float = parameter(1.0, "conductance that a full release adds", low=0, high=10)
    membrane_time: float = parameter(
        0.0198, "membrane time constant", unit="s", low=1e-3, high=0.2, source=Paper.STIMBERG, symbol="C_m / g_l"
    )
    excitation_time: float = parameter(
        0.005, "decay of excitation", unit="s", low=1e-3, high=0.2, source=Paper.STIMBERG, symbol="τ_e"
    )
    refractory_time: float = parameter(0.005, "refractory period", unit="s", low=0, high=0.1, source=Paper.STIMBERG)
    leak_potential: float = parameter(-60.0, "leak and reset potential", unit="mV", low=-100, high=0)
    threshold_potential: float = parameter(
        -50.0, "threshold", unit="mV", low=-100, high=0, source=Paper.STIMBERG, symbol="V_th"
    )
    rate_window: float = parameter(0.5, "window over which activity is a rate", unit="s", low=0.01, high=10)


@restated(Source.OURS, release_probability=0.3)
class SpikingReleaseParameters(ReleaseParameters):
    """A release probability low enough that gliotransmission can raise it."""


@restated(Source.OURS, plc_beta_rate=0.6, plc_delta_rate=0.02)
class SpikingIp3Parameters(Ip3Parameters):
    """IP3 production weak enough that calcium rests between trains."""


@dataclass(frozen=True)
class PlasticityParameters(OneOf):
    """Facilitation by coincident spikes and gliotransmission, and a slow long-term process; the kind sets its drive."""

    default_kind: ClassVar[str] = "hill"

    coincidence_window: float = parameter(0.02, "decay of the traces of spikes", unit="s", low=1e-3, high=1)
    coincidence_gain: float = parameter(0.025, "facilitation per coincidence", low=0, high=10)
    receptor_gain: float = parameter(0.3, "facilitation when all presynaptic receptors are bound", low=0, high=10)
    facilitation_time: float = parameter(0.5, "decay of facilitation", unit="s", low=0.01, high=100, symbol="τ_s")
    long_term_time_constant: float = parameter(
        600.0, "time constant of the long-term process", unit="s", low=1, high=20_000, symbol="τ_p^l"
    )

    @property
    def delays(self) -> dict[str, float]:
        """The delay in s of each delayed effect of a presynaptic spike. Other effects need another build."""
        return {}


@dataclass(frozen=True)
class HillPlasticity(PlasticityParameters):
    """A Hill function of facilitation drives the long-term process."""

    kind: ClassVar[str] = "hill"

    half_facilitation: float = parameter(0.5, "facilitation that drives at half", low=0.01, high=10, symbol="K")
    steepness: float = parameter(4.0, "exponent of the drive", low=1, high=20, symbol="n")


@dataclass(frozen=True)
class GraupnerBrunelPlasticity(PlasticityParameters):
    """The long-term process follows the synaptic efficacy that postsynaptic calcium drives.

    `astro_sim.biophysics.plasticity` has the equations. Gliotransmitter raises that calcium, as D-serine does at NMDA
    receptors (Henneberger et al. 2010, doi:10.1038/nature08673); the proportional form is ours. Efficacy has no noise
    term, because the spikes are noisy already.
    """

    kind: ClassVar[str] = "graupner_brunel"

    receptor_calcium: float = parameter(
        0.5, "share added to presynaptic calcium when all presynaptic receptors are bound", low=0, high=10
    )
    spine: CalciumPlasticityParameters = field(default_factory=CalciumPlasticityParameters)

    @property
    def delays(self) -> dict[str, float]:
        """The delay of the presynaptic calcium in s."""
        return {"calcium": self.spine.presynaptic_delay}


@dataclass(frozen=True)
class SpikingSolverParameters(Record):
    """Brian2's time step and target, and the seed of the noise."""

    time_step: float = parameter(
        0.0005, "fixed step of Brian2; it divides recording_interval", unit="s", low=1e-5, high=0.001, symbol="dt"
    )
    brian2_target: str = brian2_target()
    noise_seed: int = parameter(1, "seed of the Poisson spikes", low=0, high=2**31 - 1)


@dataclass(frozen=True)
class BiophysicalParameters(Record):
    """All parameters of a simulation of the spiking model.

    Raises
    ------
    ParameterError
        As `Record`; or a duration is not a multiple of the step it needs; or the protocol restarts fast variables.
    """

    network: SpikingNetworkParameters = field(default_factory=SpikingNetworkParameters)
    protocol: ProtocolParameters = TRAINS
    neurons: NeuronParameters = field(default_factory=NeuronParameters)
    release: SpikingReleaseParameters = field(default_factory=SpikingReleaseParameters)
    transmitter: SpikingTransmitterParameters = field(default_factory=SpikingTransmitterParameters)
    calcium: ActivatedCalciumParameters = field(default_factory=ActivatedCalciumParameters)
    ip3: SpikingIp3Parameters = field(default_factory=SpikingIp3Parameters)
    receptors: ReceptorParameters = field(default_factory=ReceptorParameters)
    gliotransmission: GliotransmissionParameters = field(default_factory=GliotransmissionParameters)
    plasticity: PlasticityParameters = HillPlasticity()
    recording: RecordingParameters = field(default_factory=RecordingParameters)
    solver: SpikingSolverParameters = field(default_factory=SpikingSolverParameters)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.protocol.restart_fast_variables:
            raise ParameterError(
                "restart_fast_variables is true; cells cannot be restarted, only the rate model can; set it to false"
            )
        interval, step = self.recording.recording_interval, self.solver.time_step
        check_recording(self.protocol, self.recording)
        if not divides(step, interval):
            raise ParameterError(
                f"time_step of {step:g} s does not divide recording_interval of {interval:g} s; choose a step that does"
            )

    def parameters(self) -> Iterator[tuple[tuple[str, ...], Any, Quantity]]:
        """As `Record`; a value that differs from its default does not keep the default's source."""
        return credited(self, super().parameters(), {})
