"""The full parameter set of a simulation: all groups, references for changed values, and the presets.

This file is apart from `astro_sim.parameters` because a full set needs the protocols of `astro_sim.stimuli` and the
forms of `astro_sim.equations`, which themselves use parameters. The split keeps imports free of cycles.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from astro_sim.durations import divides
from astro_sim.equations.rate_model import RateModelForm
from astro_sim.parameters import NetworkParameters, RateModelParameters, RecordingParameters, SolverParameters
from astro_sim.protocol import ProtocolParameters
from astro_sim.stimuli import StpCycles
from rmaat.base.records import ParameterError, Quantity, Record, read_text_mapping, unknown_name

REPLACED_DEFAULT = "given here, in place of the default"


@dataclass(frozen=True)
class SimulationParameters(Record):
    """All parameters of a simulation. Together with the engine's name they determine the result.

    Attributes
    ----------
    references : mapping of parameter names to text
        The source of each value that differs from the default.

    Raises
    ------
    ParameterError
        As `Record`. Also if no stored time falls on an edge of the stimulus, or a reference names no parameter.
    """

    network: NetworkParameters = field(default_factory=NetworkParameters)
    form: RateModelForm = field(default_factory=RateModelForm)
    model: RateModelParameters = field(default_factory=RateModelParameters)
    protocol: ProtocolParameters = field(default_factory=StpCycles)
    recording: RecordingParameters = field(default_factory=RecordingParameters)
    solver: SolverParameters = field(default_factory=SolverParameters)
    references: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_recording(self.protocol, self.recording)
        names = {path[-1] for path, _, _ in super().parameters()}
        for name in self.references:
            if name not in names:
                raise ParameterError(unknown_name("parameter with a reference,", name, names))

    def changed(self, values: Mapping[str, Any]) -> Self:
        """As `Record.changed`. A changed value loses its reference unless `values` gives a new one."""
        values = dict(values) if isinstance(values, Mapping) else values
        given = read_text_mapping("references", values.pop("references", {})) if isinstance(values, dict) else {}
        # Drop the references first: another kind of protocol may lack the parameters that they name.
        bare = dataclasses.replace(self, references={})
        changed = super(SimulationParameters, bare).changed(values)
        own, now = ({path[-1]: value for path, value, _ in record.parameters()} for record in (self, changed))
        kept = {name: text for name, text in self.references.items() if name in now and now[name] == own[name]}
        return dataclasses.replace(changed, references={**kept, **given})

    def parameters(self) -> Iterator[tuple[tuple[str, ...], Any, Quantity]]:
        """As `Record.parameters`, with the reference of each value; see `credited`."""
        return credited(self, super().parameters(), self.references)


def check_recording(protocol: ProtocolParameters, recording: RecordingParameters) -> None:
    """Raise `ParameterError` if the stored times miss an edge that `protocol` needs."""
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
    """The `parameters` of `record`, each with the reference of its value.

    The source of a default applies to the default only. A value that differs gets its text from `references`, or
    REPLACED_DEFAULT.
    """
    defaults = {path: value for path, value, _ in _defaults(record)}
    for path, value, quantity in parameters:
        reference = "" if value == defaults[path] else REPLACED_DEFAULT
        text = references.get(path[-1], reference or quantity.reference)
        yield path, value, dataclasses.replace(quantity, reference=text)


def _defaults(record: Record) -> Iterator[tuple[tuple[str, ...], Any, Quantity]]:
    """The default parameters of every group in `record`, for the same kinds of groups."""
    for entry in dataclasses.fields(record):
        value = getattr(record, entry.name)
        if isinstance(value, Record):
            for path, default, quantity in type(value)().parameters():
                yield (entry.name, *path), default, quantity


PRESETS: Mapping[str, Path] = {
    name: Path(__file__).with_name("presets") / f"{name}.yaml" for name in ("paper_default", "biological")
}
"""The parameter sets of the package, as files for `SimulationParameters.load`."""


def load_preset(name: str) -> SimulationParameters:
    """Load the parameter set `name` of `PRESETS`; raises `ParameterError` if there is none."""
    if name not in PRESETS:
        raise ParameterError(unknown_name("preset", name, PRESETS))
    return SimulationParameters.load(PRESETS[name])
