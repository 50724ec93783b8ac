"""The numbers of a simulation in groups: network, rate model, recording and solver.

Each parameter has a meaning, a unit, bounds and a source. `astro_sim.parameter_set` joins these groups with the form of
the equations and the protocol. The equations are the papers'; most values are ours, because no public text gives them.
The bounds are narrow: a time given in milliseconds falls outside.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

from rmaat.base.records import ParameterError, Record, Source, parameter


@dataclass(frozen=True)
class NetworkParameters(Record):
    """Number and layout of the neurons, and the strength of the coupling between their synapses.

    The unit of length is one spacing. In the layouts line and random it is the distance between neighbouring neurons,
    in grid the distance between neighbouring synapses. Layouts that are read from a file have `layout_unit`.
    `coupling_given_by` selects the number that sets the coupling: its strength or its spectral radius. The other one
    follows from it.

    Raises
    ------
    ParameterError
        As `Record`. Also if both the strength and the spectral radius are set.
    """

    presynaptic_neurons: int = parameter(
        3, "neurons that the stimulus drives and that send", low=1, high=1024, source=Source.READER
    )
    postsynaptic_neurons: int = parameter(3, "neurons that receive", low=1, high=1024, source=Source.READER)
    layout: str = parameter(
        "line",
        "places of the synapses; docs/simulator.md describes each",
        choices=("line", "random", "equal", "grid", "csv", "swc"),
    )
    layout_file: str = parameter("", "file of the layout csv or swc; relative to the folder the command runs in")
    layout_unit: float = parameter(
        1.0, "length in layout_file that counts as one spacing: in its unit, µm in SWC", low=1e-9, high=1e9
    )
    distance_measure: str = parameter(
        "euclidean",
        "how distance is measured between synapses; city_block, the sum of the steps along the axes, differs where "
        "they do not lie on one line",
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

    @property
    def sizes(self) -> tuple[int, int]:
        """Numbers of presynaptic and postsynaptic neurons."""
        return self.presynaptic_neurons, self.postsynaptic_neurons

    def __post_init__(self) -> None:
        super().__post_init__()
        given = f"coupling_{self.coupling_given_by}"
        derived = {"coupling_strength", "coupling_spectral_radius"} - {given}
        for entry in dataclasses.fields(self):
            name = entry.name
            if name in derived and getattr(self, name) != entry.default:
                raise ParameterError(
                    f"{name} is set to {getattr(self, name):g}, but the coupling is given by {given}; "
                    f"set coupling_given_by to {name.removeprefix('coupling_')}, or leave {name} out"
                )


@dataclass(frozen=True)
class RateModelParameters(Record):
    """Constants of the four equations of `astro_sim.equations.rate_model`, under the names used in the equations."""

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
    # Never 0: the steady state would not be unique, and the influence is measured around it.
    long_term_decay: float = parameter(1.0, "decay of the long-term process", low=1e-6, high=100, symbol="γ^l")
    synaptic_weight: float = parameter(
        1.0, "weight of what synapses send to a postsynaptic neuron", low=0, high=100, symbol="w"
    )
    short_term_feedback: float = parameter(
        1.0, "gain from the short-term process to facilitation", low=0, high=10, symbol="c_ps"
    )
    long_term_feedback: float = parameter(
        0.0, "gain from the long-term process to facilitation; 1 and more latch", low=0, high=10, symbol="c_pl"
    )
    short_term_gain: float = parameter(
        0.5, "gain from facilitation to the short-term process; 1 nearly latches the loop", low=0, high=10, symbol="κ_s"
    )
    half_activation: float = parameter(
        0.5, "facilitation at which the drive hill is half of its most", low=0.001, high=100, symbol="K"
    )
    hill_exponent: float = parameter(4.0, "steepness of the drive hill", low=1, high=20, symbol="n")
    synapse_bias: float = parameter(0.0, "constant input to synaptic facilitation", low=-10, high=10, symbol="c")
    short_term_bias: float = parameter(0.0, "constant input to the short-term process", low=-10, high=10, symbol="d")


@dataclass(frozen=True)
class RecordingParameters(Record):
    """What a run stores."""

    recording_interval: float = parameter(
        0.5, "time between stored values; it divides the cycle and the stimulus", unit="s", low=0.001, high=100
    )


def brian2_target() -> Any:
    """The parameter that selects Brian2's code generation, shared by all models that run in Brian2."""
    return parameter(
        "automatic",
        "what Brian2 makes of the network; automatic: C++ where there are compiler and make, else NumPy",
        choices=("automatic", "numpy", "cython", "cpp_standalone"),
    )


@dataclass(frozen=True)
class SolverParameters(Record):
    """Accuracy of the engines. `time_step` and `brian2_target` are for Brian2, the others for SciPy."""

    method: str = parameter(
        "lsoda",
        "solver of SciPy; dop853: explicit, of order 8, the second opinion, and of large networks the faster one",
        choices=("lsoda", "dop853"),
    )
    relative_tolerance: float = parameter(1e-8, "relative error allowed per step of SciPy", low=1e-13, high=1e-2)
    # If the tolerance is far below 1e-14, SciPy follows rounding errors of cancelling sums in tiny steps and gives up.
    absolute_tolerance: float = parameter(1e-30, "absolute error allowed per step of SciPy", low=1e-100, high=1e-2)
    time_step: float = parameter(
        0.0002, "fixed step of Brian2; it divides recording_interval", unit="s", low=1e-6, high=0.1, symbol="dt"
    )
    brian2_target: str = brian2_target()
