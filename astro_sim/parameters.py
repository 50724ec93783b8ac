"""Every number of a simulation: its meaning, unit, bounds and who says so.

The equations are the papers'; most values are ours, because no public text gives them. Bounds are narrow enough that a
time meant in milliseconds falls outside.
"""

import dataclasses
from dataclasses import dataclass

from astro_sim.durations import divides
from rmaat.records import ParameterError, Record, Source, parameter


@dataclass(frozen=True)
class NetworkParameters(Record):
    """Neurons, where they stand, and how strongly the astrocyte couples their synapses.

    Lengths are in units of the spacing of neighbouring neurons in the line layout, of synapses in the grid layout. The
    coupling is given by its strength or by its spectral radius, as `coupling_given_by` says; the other follows.

    Raises
    ------
    ParameterError
        As `Record`, or the one that the coupling is not given by is set as well.
    """

    presynaptic_neurons: int = parameter(
        3, "neurons that the stimulus drives and that send", low=1, high=1024, source=Source.READER
    )
    postsynaptic_neurons: int = parameter(3, "neurons that receive", low=1, high=1024, source=Source.READER)
    layout: str = parameter(
        "line",
        "line: two columns of evenly spaced neurons; grid: synapse (i, j) at grid point (i, j); "
        "random: at random heights; equal: all synapses equally far apart",
        choices=("line", "grid", "random", "equal"),
    )
    distance_measure: str = parameter(
        "euclidean",
        "how distance is measured between synapses; city_block, the sum of the steps along both axes, differs in the "
        "grid layout only",
        choices=("euclidean", "city_block"),
    )
    seed: int = parameter(0, "seed of the random layout", low=0, high=2**32 - 1)
    coupling_given_by: str = parameter(
        "strength",
        "which number sets the coupling: its strength, or its spectral radius, which stays when the network grows",
        choices=("strength", "spectral_radius"),
    )
    coupling_strength: float = parameter(
        0.05, "coupling between the short-term processes of two synapses at distance 0", low=0, high=10, symbol="ε"
    )
    coupling_spectral_radius: float = parameter(
        0.25, "amplification by the coupling of the pattern that it amplifies most", low=0, high=100, symbol="ρ"
    )
    coupling_scale: float = parameter(
        1.0, "decay of the coupling per unit of distance between synapses", low=0, high=100, symbol="scale"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for entry in dataclasses.fields(self):
            given, name = f"coupling_{self.coupling_given_by}", entry.name
            other = name in ("coupling_strength", "coupling_spectral_radius") and name != given
            if other and getattr(self, name) != entry.default:
                raise ParameterError(
                    f"{name} is set to {getattr(self, name):g}, but the coupling is given by {given}; "
                    f"set coupling_given_by to {name.removeprefix('coupling_')}, or leave {name} out"
                )


@dataclass(frozen=True)
class RateModelParameters(Record):
    """Constants of the four equations of `astro_sim.rate_model`; the names stand in the equations."""

    neuron_time_constant: float = parameter(
        0.5, "time constant of neuronal activity", unit="s", low=0.01, high=20, symbol="τ_n"
    )
    synapse_time_constant: float = parameter(
        1.0, "time constant of synaptic facilitation", unit="s", low=0.01, high=100, symbol="τ_s"
    )
    short_term_time_constant: float = parameter(
        3.0, "time constant of the short-term astrocytic process", unit="s", low=0.1, high=1000, symbol="τ_p^s"
    )
    long_term_time_constant: float = parameter(
        100.0, "time constant of the long-term astrocytic process", unit="s", low=1, high=20_000, symbol="τ_p^l"
    )
    neuron_decay: float = parameter(1.0, "decay of neuronal activity", low=0.01, high=100, symbol="λ")
    synapse_decay: float = parameter(1.0, "decay of synaptic facilitation", low=0.01, high=100, symbol="β")
    short_term_decay: float = parameter(1.0, "decay of the short-term process", low=0.01, high=100, symbol="γ^s")
    long_term_decay: float = parameter(1.0, "decay of the long-term process", low=0.01, high=100, symbol="γ^l")
    short_term_gain: float = parameter(
        0.5, "gain from facilitation to the short-term process; 1 nearly latches the loop", low=0, high=10, symbol="κ_s"
    )
    synapse_bias: float = parameter(0.0, "constant input to synaptic facilitation", low=-10, high=10, symbol="c")
    short_term_bias: float = parameter(0.0, "constant input to the short-term process", low=-10, high=10, symbol="d")


@dataclass(frozen=True)
class ProtocolParameters(Record):
    """The stimulus: in each cycle a constant drive for a while, then silence."""

    run_duration: float = parameter(300.0, "length of the run", unit="s", low=1, high=100_000, source=Source.PAPER)
    cycle_duration: float = parameter(
        50.0, "length of one cycle", unit="s", low=0.1, high=10_000, source=Source.PAPER, symbol="τ_cycle"
    )
    stimulus_duration: float = parameter(
        25.0, "how long the drive lasts from the start of each cycle", unit="s", low=0.01, high=10_000
    )
    drive_strongest: float = parameter(
        1.0, "drive of the first presynaptic neuron; the others lie evenly between", low=-100, high=100, symbol="b"
    )
    drive_weakest: float = parameter(0.6, "drive of the last presynaptic neuron", low=-100, high=100, symbol="b")
    postsynaptic_drive_fraction: float = parameter(
        0.5, "share of the same spread of drive that the postsynaptic neurons get", low=-10, high=10
    )
    restart_fast_variables: bool = parameter(True, "set all but the long-term process to 0 at the start of each cycle")

    def __post_init__(self) -> None:
        super().__post_init__()
        run, cycle, stimulus = self.run_duration, self.cycle_duration, self.stimulus_duration
        if cycle > run:
            raise ParameterError(
                f"a cycle of {cycle:g} s is longer than the run of {run:g} s; "
                "shorten cycle_duration or lengthen run_duration"
            )
        if stimulus > cycle:
            raise ParameterError(
                f"a stimulus of {stimulus:g} s is longer than the cycle of {cycle:g} s; "
                "shorten stimulus_duration or lengthen cycle_duration"
            )
        if not divides(cycle, run):
            raise ParameterError(
                f"a run of {run:g} s is not a whole number of cycles of {cycle:g} s; "
                f"set run_duration to a multiple of {cycle:g} s"
            )

    @property
    def cycles(self) -> int:
        """Number of cycles in the run."""
        return round(self.run_duration / self.cycle_duration)


@dataclass(frozen=True)
class RecordingParameters(Record):
    """What is kept of the run."""

    recording_interval: float = parameter(
        0.5, "time between stored values; it divides the cycle and the stimulus", unit="s", low=0.001, high=100
    )


@dataclass(frozen=True)
class SolverParameters(Record):
    """How finely the engines solve; the first two are SciPy's, the last is Brian2's."""

    relative_tolerance: float = parameter(1e-8, "relative error allowed per step of SciPy", low=1e-13, high=1e-2)
    # Far below 1e-14, a sum that cancels to rounding error would be followed step by tiny step, and SciPy gives up.
    absolute_tolerance: float = parameter(1e-30, "absolute error allowed per step of SciPy", low=1e-100, high=1e-2)
    time_step: float = parameter(
        0.0002, "fixed step of Brian2; it divides recording_interval", unit="s", low=1e-6, high=0.1, symbol="dt"
    )


@dataclass(frozen=True)
class SimulationParameters(Record):
    """All that determines a simulation, but for the engine.

    Raises
    ------
    ParameterError
        As `Record`, or the stored times would miss an edge of the stimulus.
    """

    network: NetworkParameters = NetworkParameters()
    model: RateModelParameters = RateModelParameters()
    protocol: ProtocolParameters = ProtocolParameters()
    recording: RecordingParameters = RecordingParameters()
    solver: SolverParameters = SolverParameters()

    def __post_init__(self) -> None:
        super().__post_init__()
        interval = self.recording.recording_interval
        for name in ("stimulus_duration", "cycle_duration"):
            length = getattr(self.protocol, name)
            if not divides(interval, length):
                raise ParameterError(
                    f"recording_interval of {interval:g} s does not divide {name} of {length:g} s, "
                    "so the edge would not be stored; choose an interval that does"
                )
