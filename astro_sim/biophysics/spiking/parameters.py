"""Every number of the spiking model of tripartite synapses.

Values follow example 4 of Stimberg et al. 2019, doi:10.1101/198366. Those marked as ours were changed so that calcium
returns to rest in each cycle: with the published ones the astrocyte keeps oscillating in silence.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from astro_sim.biophysics.parameters import (
    BINDING,
    MICROMOLAR,
    RATE,
    ActivatedCalciumParameters,
    Ip3Parameters,
    ReceptorParameters,
    ReleaseParameters,
    TransmitterParameters,
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


@dataclass(frozen=True)
class SpikingNetworkParameters(NetworkParameters):
    """Neurons and where they stand; the coupling weighs the exchange of IP3 between processes."""

    coupling_strength: float = restated(NetworkParameters, "coupling_strength", 1.0, Source.OURS)
    coupling_scale: float = restated(NetworkParameters, "coupling_scale", 2 / 3, Source.OURS)


# Trains of 10 s, a minute apart; drive 1 is the highest rate of the presynaptic neurons.
TRAINS = StpCycles(
    run_duration=360.0, cycle_duration=60.0, stimulus_duration=10.0, drive_weakest=0.45, restart_fast_variables=False
)


@dataclass(frozen=True)
class NeuronParameters(Record):
    """Poisson neurons that send and leaky integrate-and-fire neurons that receive; conductances per leak."""

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


@dataclass(frozen=True)
class SpikingReleaseParameters(ReleaseParameters):
    """A release probability that leaves room for gliotransmission to raise it."""

    release_probability: float = restated(ReleaseParameters, "release_probability", 0.3, Source.OURS)


@dataclass(frozen=True)
class SpikingTransmitterParameters(TransmitterParameters):
    """The vesicles of example 4."""

    vesicle_volume_ratio: float = restated(TransmitterParameters, "vesicle_volume_ratio", 0.005, Paper.STIMBERG)


@dataclass(frozen=True)
class SpikingIp3Parameters(Ip3Parameters):
    """Production weak enough for rest between trains."""

    plc_beta_rate: float = restated(Ip3Parameters, "plc_beta_rate", 0.6, Source.OURS)
    plc_delta_rate: float = restated(Ip3Parameters, "plc_delta_rate", 0.02, Source.OURS)


@dataclass(frozen=True)
class GliotransmissionParameters(Record):
    """Release from the astrocyte where calcium crosses a threshold, and what it does to the synapse."""

    ip3_diffusion: float = parameter(
        0.05, "exchange of IP3 between processes per unit of coupling", unit=RATE, low=0, high=10, symbol="D_I"
    )
    calcium_threshold: float = parameter(
        0.3, "calcium at which the astrocyte releases", unit=MICROMOLAR, low=0.05, high=10, symbol="C_Θ"
    )
    astrocyte_release: float = parameter(
        0.6, "share of its resources that the astrocyte releases", low=0, high=1, source=Paper.STIMBERG, symbol="U_A"
    )
    astrocyte_recovery: float = parameter(
        0.6, "recovery of its resources", unit=RATE, low=0.01, high=100, source=Paper.STIMBERG, symbol="Ω_A"
    )
    astrocyte_vesicles: float = parameter(
        130.0,
        "gliotransmitter outside after a full release",
        unit=MICROMOLAR,
        low=0,
        high=1e5,
        source=Paper.STIMBERG,
        symbol="ρ_e G_T",
    )
    gliotransmitter_clearance: float = parameter(
        60.0, "clearance of gliotransmitter", unit=RATE, low=0.1, high=1e4, source=Paper.STIMBERG, symbol="Ω_e"
    )
    presynaptic_binding: float = parameter(
        1.5, "binding to presynaptic receptors", unit=BINDING, low=0, high=100, source=Paper.STIMBERG, symbol="O_G"
    )
    presynaptic_unbinding: float = parameter(
        0.1, "release from presynaptic receptors", unit=RATE, low=1e-3, high=10, symbol="Ω_G"
    )
    modulated_probability: float = parameter(
        0.6, "release probability where all presynaptic receptors are bound", low=0, high=1, symbol="α"
    )


@dataclass(frozen=True)
class PlasticityParameters(OneOf):
    """Coincidence of spikes, raised by gliotransmission, and a slow variable; kinds differ in what drives that."""

    default_kind: ClassVar[str] = "hill"

    coincidence_window: float = parameter(0.02, "decay of the traces of spikes", unit="s", low=1e-3, high=1)
    coincidence_gain: float = parameter(0.025, "facilitation per coincidence", low=0, high=10)
    receptor_gain: float = parameter(0.3, "facilitation where all presynaptic receptors are bound", low=0, high=10)
    facilitation_time: float = parameter(0.5, "decay of facilitation", unit="s", low=0.01, high=100, symbol="τ_s")
    long_term_time_constant: float = parameter(
        600.0, "time constant of the long-term process", unit="s", low=1, high=20_000, symbol="τ_p^l"
    )

    @property
    def delays(self) -> dict[str, float]:
        """What a presynaptic spike does later, and how much later in s; a network is compiled for it."""
        return {}


@dataclass(frozen=True)
class HillPlasticity(PlasticityParameters):
    """A Hill function of facilitation drives the long-term process."""

    kind: ClassVar[str] = "hill"

    half_facilitation: float = parameter(0.5, "facilitation that drives at half", low=0.01, high=10, symbol="K")
    steepness: float = parameter(4.0, "exponent of the drive", low=1, high=20, symbol="n")


@dataclass(frozen=True)
class GraupnerBrunelPlasticity(PlasticityParameters):
    """The long-term process follows the efficacy that postsynaptic calcium sets, of `astro_sim.biophysics.plasticity`.

    Gliotransmitter adds to that calcium, as D-serine does at NMDA receptors (Henneberger et al. 2010,
    doi:10.1038/nature08673); that it acts in proportion is ours. Efficacy has no noise of its own: that of
    the spikes is enough.
    """

    kind: ClassVar[str] = "graupner_brunel"

    receptor_calcium: float = parameter(
        0.5, "share added to presynaptic calcium where all presynaptic receptors are bound", low=0, high=10
    )
    spine: CalciumPlasticityParameters = field(default_factory=CalciumPlasticityParameters)

    @property
    def delays(self) -> dict[str, float]:
        """Of calcium."""
        return {"calcium": self.spine.presynaptic_delay}


@dataclass(frozen=True)
class SpikingSolverParameters(Record):
    """How finely Brian2 steps."""

    time_step: float = parameter(
        0.0005, "fixed step of Brian2; it divides recording_interval", unit="s", low=1e-5, high=0.001, symbol="dt"
    )
    brian2_target: str = brian2_target()
    noise_seed: int = parameter(1, "seed of the Poisson spikes", low=0, high=2**31 - 1)


@dataclass(frozen=True)
class BiophysicalParameters(Record):
    """All that determines a simulation of the spiking model.

    Raises
    ------
    ParameterError
        As `Record`; a duration is no multiple of the step that it needs; or a restart is asked for.
    """

    network: SpikingNetworkParameters = SpikingNetworkParameters()
    protocol: ProtocolParameters = TRAINS
    neurons: NeuronParameters = NeuronParameters()
    release: SpikingReleaseParameters = SpikingReleaseParameters()
    transmitter: SpikingTransmitterParameters = SpikingTransmitterParameters()
    calcium: ActivatedCalciumParameters = field(default_factory=ActivatedCalciumParameters)
    ip3: SpikingIp3Parameters = SpikingIp3Parameters()
    receptors: ReceptorParameters = field(default_factory=ReceptorParameters)
    gliotransmission: GliotransmissionParameters = GliotransmissionParameters()
    plasticity: PlasticityParameters = HillPlasticity()
    recording: RecordingParameters = field(default_factory=RecordingParameters)
    solver: SpikingSolverParameters = SpikingSolverParameters()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.protocol.restart_fast_variables:
            raise ParameterError("restart_fast_variables is true; cells cannot be restarted, only the rate model's can")
        interval, step = self.recording.recording_interval, self.solver.time_step
        check_recording(self.protocol, self.recording)
        if not divides(step, interval):
            raise ParameterError(
                f"time_step of {step:g} s does not divide recording_interval of {interval:g} s; choose a step that does"
            )

    def parameters(self) -> Iterator[tuple[tuple[str, ...], Any, Quantity]]:
        """As `Record`; what differs from a default is not credited to the default's source."""
        return credited(self, super().parameters(), {})
