"""The models of a comparison: RMAAT, its baselines and its ablations, each a change of a preset.

docs/architecture.md, "Where to add", tells how to add a baseline. To add an ablation, which only changes settings, add
a line to `ABLATIONS`. The option `--contender` and the studies with all ablations find it by its name.

Baselines differentiate by BPTT, as they were published. A baseline with AMRB, which gives the same gradient, is a
contender of its own.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from model.studies.presets import Preset
from rmaat.base.records import ParameterError


@dataclass(frozen=True)
class Contender:
    """One model of a comparison, as its differences from a preset's RMAAT."""

    title: str
    architecture: str = "rmaat"
    model: Mapping[str, Any] = field(default_factory=dict)
    """settings of `ModelParameters` in place of the preset's"""
    training: Mapping[str, Any] = field(default_factory=dict)
    """settings of `TrainingParameters` in place of the preset's"""
    joined_segments: int = 1
    """number of the preset's segments that are joined to one"""

    def change(self, preset: Preset) -> Preset:
        """Change `preset` to this contender; size, steps and data stay.

        Raises
        ------
        ParameterError
            The preset has fewer segments than this contender joins.
        """
        joined = self.joined_segments
        if preset.model.segments < joined:
            raise ParameterError(
                f"{self.title}: the preset has {preset.model.segments} segments, fewer than the {joined} to join; "
                "choose another contender"
            )
        longer = dataclasses.replace(
            preset.model,
            segments=-(-preset.model.segments // joined),
            segment_length=preset.model.segment_length * joined,
        )
        model = longer.as_architecture(self.architecture).override(self.model)
        return dataclasses.replace(preset, model=model, training=preset.training.override(self.training))


def _baseline(title: str, architecture: str) -> Contender:
    return Contender(title, architecture, training={"differentiation": "bptt"})


def _retention(variant: str) -> Contender:
    return Contender(f"RMAAT, retention: {variant}", model={"retention": variant})


BASELINES: dict[str, Contender] = {
    "transformer": _baseline("Transformer", "transformer"),
    "linear_transformer": _baseline("Linear Transformer", "linear_transformer"),
    "astromorphic_transformer": _baseline("AT", "astromorphic_transformer"),
    "s4d": _baseline("S4D", "s4d"),
    "rmt": _baseline("RMT", "rmt"),
    "rlt": _baseline("RLT", "rlt"),
    "rmaat": Contender("RMAAT"),
}
RETENTIONS: dict[str, Contender] = {
    f"retention_{variant}": _retention(variant)
    for variant in ("none", "area", "horizon", "streaming", "saturation", "constant", "random")
}
"""All variants but `increment`, which RMAAT has. `none` switches retention off."""
ABLATIONS: dict[str, Contender] = RETENTIONS | {
    "bptt": Contender("RMAAT, BPTT", training={"differentiation": "bptt"}),
    "no_astrocytic_write": Contender("RMAAT without H_astro", model={"relative_positions": "none"}),
    "exponent_one": Contender("RMAAT, alpha = 1", model={"exponent": "one"}),
    "exponent_learned": Contender("RMAAT, alpha learned", model={"exponent": "learned"}),
    "no_memory": Contender("RMAAT without memory", model={"memory_tokens": 0}),
    "pre_norm": Contender("RMAAT, norm before", model={"norm": "pre"}),
    "half_segments": Contender("RMAAT, half as many segments", joined_segments=2),
    "quarter_segments": Contender("RMAAT, a quarter as many segments", joined_segments=4),
    "rmt_amrb": Contender("RMT, AMRB", "rmt", training={"differentiation": "amrb"}),
    # RMAAT's attention without H_astro, plasticity and scale is linear attention.
    "rlt_retention_amrb": Contender(
        "RLT, retention, AMRB", model={"relative_positions": "none", "exponent": "one", "write_scale": "one"}
    ),
}
CONTENDERS: dict[str, Contender] = BASELINES | ABLATIONS
"""All contenders, by their name on the command line."""
