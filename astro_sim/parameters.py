"""Every number of a simulation: its meaning, unit, bounds and who says so.

The equations are the papers'; most values are ours, because no public text gives them. Bounds are narrow enough that a
time meant in milliseconds falls outside.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from astro_sim.durations import divides
from astro_sim.equations.rate_model import RateModelForm
from astro_sim.protocol import ProtocolParameters
from astro_sim.stimuli import StpCycles
from rmaat.base.records import ParameterError, Quantity, Record, Source, parameter, texts, unknown_name

GIVEN = "given here, in place of the default"


@dataclass(frozen=True)
class NetworkParameters(Record):
    """Neurons, where they stand, and how strongly the astrocyte couples their synapses.

    Lengths are in spacings: between neighbouring neurons in the layouts line and random, between neighbouring synapses
    in grid, of `layout_unit` where they come from a file. The coupling is given by its strength or by its spectral
    radius, as `coupling_given_by` says; the other follows.

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
    """Constants of the four equations of `astro_sim.equations.rate_model`; the names stand in the equations."""

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
    # At exactly 0 the steady state would not be unique, and no influence could be measured around it.
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
    """What is kept of the run."""

    recording_interval: float = parameter(
        0.5, "time between stored values; it divides the cycle and the stimulus", unit="s", low=0.001, high=100
    )


def brian2_target() -> Any:
    """What Brian2 makes of a network, a parameter of every model that runs in it."""
    return parameter(
        "automatic",
        "what Brian2 makes of the network; automatic: C++ where there are compiler and make, else NumPy",
        choices=("automatic", "numpy", "cython", "cpp_standalone"),
    )


@dataclass(frozen=True)
class SolverParameters(Record):
    """How finely the engines solve; the last two are Brian2's, the others are SciPy's."""

    method: str = parameter(
        "lsoda",
        "solver of SciPy; dop853: explicit, of order 8, the second opinion, and of large networks the faster one",
        choices=("lsoda", "dop853"),
    )
    relative_tolerance: float = parameter(1e-8, "relative error allowed per step of SciPy", low=1e-13, high=1e-2)
    # Far below 1e-14, a sum that cancels to rounding error would be followed step by tiny step, and SciPy gives up.
    absolute_tolerance: float = parameter(1e-30, "absolute error allowed per step of SciPy", low=1e-100, high=1e-2)
    time_step: float = parameter(
        0.0002, "fixed step of Brian2; it divides recording_interval", unit="s", low=1e-6, high=0.1, symbol="dt"
    )
    brian2_target: str = brian2_target()


@dataclass(frozen=True)
class SimulationParameters(Record):
    """All that determines a simulation, but for the engine.

    Attributes
    ----------
    references : mapping of parameter names to text
        Who says so, where a value is not the default.

    Raises
    ------
    ParameterError
        As `Record`, the stored times would miss an edge of the stimulus, or a reference to no parameter.
    """

    network: NetworkParameters = NetworkParameters()
    form: RateModelForm = field(default_factory=RateModelForm)
    model: RateModelParameters = RateModelParameters()
    protocol: ProtocolParameters = field(default_factory=StpCycles)
    recording: RecordingParameters = RecordingParameters()
    solver: SolverParameters = SolverParameters()
    references: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_recording(self.protocol, self.recording)
        names = {path[-1] for path, _, _ in super().parameters()}
        for name in self.references:
            if name not in names:
                raise ParameterError(unknown_name("parameter with a reference,", name, names))

    def changed(self, values: Mapping[str, Any]) -> Self:
        """As `Record`; a value that is changed loses its reference, unless `values` brings one."""
        values = dict(values) if isinstance(values, Mapping) else values
        given = texts("references", values.pop("references", {})) if isinstance(values, dict) else {}
        # Another kind of protocol may not have the parameters that the references so far are for.
        bare = dataclasses.replace(self, references={})
        changed = super(SimulationParameters, bare).changed(values)
        own, now = ({path[-1]: value for path, value, _ in record.parameters()} for record in (self, changed))
        kept = {name: text for name, text in self.references.items() if name in now and now[name] == own[name]}
        return dataclasses.replace(changed, references={**kept, **given})

    def parameters(self) -> Iterator[tuple[tuple[str, ...], Any, Quantity]]:
        """As `Record`, each quantity with the reference for its value here; a default's source speaks for no other."""
        return credited(self, super().parameters(), self.references)


def check_recording(protocol: ProtocolParameters, recording: RecordingParameters) -> None:
    """Raise `ParameterError` where the stored times would miss an edge that `protocol` wants stored."""
    interval = recording.recording_interval
    for name in protocol.stored_lengths:
        length = getattr(protocol, name)
        if not divides(interval, length):
            raise ParameterError(
                f"recording_interval of {interval:g} s does not divide {name} of {length:g} s, "
                "so the edge would not be stored; choose an interval that does"
            )


def credited(
    record: Record,
    parameters: Iterator[tuple[tuple[str, ...], Any, Quantity]],
    references: Mapping[str, str],
) -> Iterator[tuple[tuple[str, ...], Any, Quantity]]:
    """The `parameters` of `record`, each with the reference for its value; a default's source speaks for no other."""
    defaults = {path: value for path, value, _ in _defaults(record)}
    for path, value, quantity in parameters:
        reference = "" if value == defaults[path] else GIVEN
        text = references.get(path[-1], reference or quantity.reference)
        yield path, value, dataclasses.replace(quantity, reference=text)


def _defaults(record: Record) -> Iterator[tuple[tuple[str, ...], Any, Quantity]]:
    """The parameters that `record` would have, were every group in it made without arguments."""
    for entry in dataclasses.fields(record):
        value = getattr(record, entry.name)
        if isinstance(value, Record):
            for path, default, quantity in type(value)().parameters():
                yield (entry.name, *path), default, quantity


PRESETS: Mapping[str, Path] = {
    name: Path(__file__).with_name("presets") / f"{name}.yaml" for name in ("paper_default", "biological")
}
"""Parameter sets that come with the package, as files for `SimulationParameters.load`."""


def load_preset(name: str) -> SimulationParameters:
    """The parameter set of that name in `PRESETS`; raises `ParameterError` for an unknown one."""
    if name not in PRESETS:
        raise ParameterError(unknown_name("preset", name, PRESETS))
    return SimulationParameters.load(PRESETS[name])
