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
    """number of the preset's segments that are joined to one; the sequence keeps its length"""
    shortened: int = 1
    """divisor of the preset's number of segments; their length stays, and the model reads a cut sequence"""

    def change(self, preset: Preset) -> Preset:
        """Change `preset` to this contender; size, steps and data stay.

        Raises
        ------
        ParameterError
            The preset has fewer segments than this contender joins or divides by.
        """
        resized = dataclasses.replace(
            preset.model,
            segments=self._segments(preset.model.segments),
            segment_length=preset.model.segment_length * self.joined_segments,
        )
        model = resized.as_architecture(self.architecture).override(self.model)
        overlong = {"overlong": "cut"} if self.shortened > 1 else {}
        return dataclasses.replace(
            preset, model=model, training=preset.training.override({**overlong, **self.training})
        )

    def _segments(self, segments: int) -> int:
        fewest = self.joined_segments * self.shortened
        if segments < fewest:
            raise ParameterError(
                f"{self.title}: the preset has {segments} segments, fewer than the {fewest} that it needs; "
                "choose another contender"
            )
        return -(-segments // fewest)


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
    for variant in ("none", "area", "trace_area", "horizon", "streaming", "saturation", "constant", "random")
}
"""All variants but `increment`, which RMAAT has. `none` switches retention off."""
LEARNED: dict[str, Contender] = {
    f"retention_{form}": _retention(form) for form in ("learned", "learned_rate", "learned_stretch")
}
"""Retention that is learned from the tables' values on."""
MEMORY_RULES: dict[str, Contender] = {
    f"rule_{rule}": Contender(f"RMAAT, memory rule: {rule}", model={"memory_rule": rule}) for rule in ("share", "gated")
}
"""The memory rules besides `scaled`, the paper's."""
ABLATIONS: dict[str, Contender] = (
    RETENTIONS
    | MEMORY_RULES
    | {
        "bptt": Contender("RMAAT, BPTT", training={"differentiation": "bptt"}),
        "no_astrocytic_write": Contender("RMAAT without H_astro", model={"relative_positions": "none"}),
        # Controls of the astrocytic write: it tells positions apart even without the distilled coupling between them.
        "identity_kernel": Contender("RMAAT, identity for the kernel", model={"relative_positions": "identity"}),
        "random_kernel": Contender("RMAAT, shuffled kernel", model={"relative_positions": "random"}),
        "no_learned_positions": Contender("RMAAT without learned positions", model={"position_embedding": "none"}),
        "exponent_one": Contender("RMAAT, alpha = 1", model={"exponent": "one"}),
        "exponent_learned": Contender("RMAAT, alpha learned", model={"exponent": "learned"}),
        "no_memory": Contender("RMAAT without memory", model={"memory_tokens": 0}),
        "pre_norm": Contender("RMAAT, norm before", model={"norm": "pre"}),
        # The paper's: segments keep their length, and the model reads less of the sequence.
        "half_length": Contender("RMAAT, half the length", shortened=2),
        "quarter_length": Contender("RMAAT, a quarter of the length", shortened=4),
        # Ours: the same sequence in fewer, longer segments.
        "joined_by_two": Contender("RMAAT, segments joined by two", joined_segments=2),
        "joined_by_four": Contender("RMAAT, segments joined by four", joined_segments=4),
        "rmt_amrb": Contender("RMT, AMRB", "rmt", training={"differentiation": "amrb"}),
        # RMAAT's attention without H_astro, plasticity and scale is linear attention.
        "rlt_retention_amrb": Contender(
            "RLT, retention, AMRB", model={"relative_positions": "none", "exponent": "one", "write_scale": "one"}
        ),
    }
)
OPTIONS: dict[str, Contender] = {
    "no_ngrams": Contender("RMAAT without n-grams", model={"ngrams": ()}),
    "no_local_mixing": Contender("RMAAT without local mixing", model={"local_mixing": 0}),
    "local_into_mixing": Contender("RMAAT, local mixing not in the rows", model={"local_into": "mixing"}),
    "no_patches": Contender("RMAAT without patches", model={"pixel_patch": 1}),
    "embedded_pixels": Contender("RMAAT, embedded pixels", model={"pixels": "embedded", "pixel_patch": 1}),
    "post_norm": Contender("RMAAT, norm after", model={"norm": "post"}),
    "read_rms": Contender("RMAAT, RMS of the read", model={"read": "rms"}),
    "decay_all": Contender("RMAAT, decay of all parameters", training={"decayed": "all"}),
    "lower_rate": Contender("RMAAT, learning rate 0.002", training={"learning_rate": 2e-3}),
}
"""One option of the presets changed at a time."""
SENSITIVITY: dict[str, Contender] = {
    f"decay_{name}": Contender(f"RMAAT, {factor:g} x decay", model={"decay_factor": factor})
    for name, factor in {"sixteenth": 1 / 16, "quarter": 1 / 4, "fourfold": 4.0, "sixteenfold": 16.0}.items()
} | {
    f"memory_{count}": Contender(f"RMAAT, memory tokens: {count}", model={"memory_tokens": count})
    for count in (1, 4, 32)
}
"""The decay of the relative positions and the number of memory tokens, around a preset's own; the values are ours."""
CONTENDERS: dict[str, Contender] = BASELINES | ABLATIONS | LEARNED | OPTIONS | SENSITIVITY
"""All contenders, by their name on the command line."""
