"""What defines a model. Layers, widths, heads and memory tokens of the paper are not public; ours are ours."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from rmaat.base.records import ParameterError, Record, Source, parameter, unknown_name


@dataclass(frozen=True)
class Family:
    """What tells one architecture from the others; all else is the same code and size."""

    attention: str
    """astromorphic, linear, softmax, or state_space in its place"""
    recurrent: bool
    """segments with memory tokens, rather than the whole sequence at once"""
    retains: bool
    """the memory is multiplied by a retention factor"""


ARCHITECTURES = {
    "rmaat": Family("astromorphic", recurrent=True, retains=True),
    "rmt": Family("softmax", recurrent=True, retains=False),
    "rlt": Family("linear", recurrent=True, retains=False),
    "astromorphic_transformer": Family("astromorphic", recurrent=False, retains=False),
    "linear_transformer": Family("linear", recurrent=False, retains=False),
    "transformer": Family("softmax", recurrent=False, retains=False),
    "s4d": Family("state_space", recurrent=False, retains=False),
}
ASTROCYTIC = ("exponent", "relative_positions", "write_scale")
"""The settings that astromorphic attention alone has."""


@dataclass(frozen=True)
class ModelParameters(Record):
    """A classifier of token sequences, and what of the tables it uses."""

    architecture: str = parameter(
        "rmaat",
        "rmaat, or a baseline: rmt, rlt (softmax or linear attention, memory tokens), transformer, linear_transformer, "
        "astromorphic_transformer, s4d (a diagonal state space) over the whole sequence at once",
        choices=tuple(ARCHITECTURES),
        source=Source.PAPER,
    )
    vocabulary: int = parameter(16, "token ids, padding (0) included", unit="tokens", low=2, high=2**20)
    classes: int = parameter(10, "labels to tell apart", unit="labels", low=2, high=2**20)
    width: int = parameter(64, "features of a row", unit="features", low=1, high=2**16)
    layers: int = parameter(2, "blocks", unit="blocks", low=1, high=256)
    heads: int = parameter(4, "attention heads; they divide the width", unit="heads", low=1, high=256)
    feed_forward_width: int = parameter(
        128, "hidden features of the feed-forward part", unit="features", low=1, high=2**18
    )
    segment_length: int = parameter(
        50, "tokens of a segment, memory tokens apart", unit="tokens", low=1, high=2**24, symbol="N_seg"
    )
    segments: int = parameter(4, "most segments of a sequence", unit="segments", low=1, high=2**16, symbol="T")
    memory_tokens: int = parameter(
        8, "rows that travel from segment to segment", unit="tokens", low=0, high=2**16, symbol="M"
    )
    retention: str = parameter(
        "increment", "variant of the retention factor, as the tables name it; none keeps all", source=Source.READER
    )
    exponent: str = parameter(
        "tables",
        "presynaptic exponent: the tables' one, one (no plasticity), or learned from the tables' one on",
        choices=("tables", "one", "learned"),
        source=Source.PARENT,
        symbol="alpha",
    )
    relative_positions: str = parameter(
        "decaying",
        "strength between positions in the astrocytes' write: exp(-scale distance) with the tables' scale, with a "
        "learned scale, the whole measured influence, or none (no astrocytic write)",
        choices=("decaying", "learned", "measured", "none"),
        source=Source.READER,
    )
    write_scale: str = parameter(
        "features",
        "what is written is divided by the features of a head, or by one as in linear attention",
        choices=("features", "one"),
    )
    state_size: int = parameter(
        32,
        "states of a feature of s4d, each one of a conjugate pair",
        unit="states",
        low=1,
        high=2**12,
        symbol="N / 2",
        reference="S4D (Gu et al. 2022, arXiv 2206.11893): 64 with their conjugates",
    )
    dropout: float = parameter(0.0, "share of features dropped in training", low=0, high=0.9)
    norm: str = parameter(
        "post",
        "layer norm after (figure 2 of the paper) or before each part",
        choices=("post", "pre"),
        source=Source.PAPER,
    )
    readout: str = parameter(
        "last", "rows that the head averages: of the last segment, or of every segment", choices=("last", "every")
    )

    separator: int = parameter(
        0,
        "token between two documents that are encoded apart with the same weights, each in segments of its own, as in "
        "LRA's Retrieval (bytes: 255); 0 encodes a sequence as it stands",
        low=0,
        high=2**20,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.separator >= self.vocabulary:
            raise ParameterError(
                f"the separator is token {self.separator}, but the model knows 0 to {self.vocabulary - 1}; "
                "name one of these, or 0 to encode sequences as they stand"
            )
        if self.width % self.heads:
            raise ParameterError(f"{self.heads} heads do not divide a width of {self.width}; choose a multiple")
        if not self.family.recurrent and (self.segments, self.memory_tokens) != (1, 0):
            raise ParameterError(
                f"a {self.architecture} sees the whole sequence as one segment without memory, not {self.segments} "
                f"segments and {self.memory_tokens} memory tokens; use ModelParameters.as_architecture"
            )
        for name in foreign_settings(self.architecture):
            if getattr(self, name) != _default(name):
                raise ParameterError(
                    f"{name} is {getattr(self, name)}, which means nothing to a {self.architecture}; "
                    f"leave it at {_default(name)}"
                )

    @property
    def family(self) -> Family:
        """What tells the architecture from the others."""
        return ARCHITECTURES[self.architecture]

    @property
    def longest_sequence(self) -> int:
        """The most tokens that a sequence may have, or each of two documents that are encoded apart."""
        return self.segment_length * self.segments

    @property
    def pair_head_widths(self) -> tuple[int, int]:
        """Hidden features of the two layers of the head that reads two documents, LRA's."""
        return self.feed_forward_width, max(1, self.feed_forward_width // 2)

    def as_architecture(self, architecture: str) -> "ModelParameters":
        """The same size with another architecture, without the settings that it lacks.

        One that is not recurrent sees the whole sequence as one segment.
        """
        if architecture not in ARCHITECTURES:
            raise ParameterError(unknown_name("architecture", architecture, ARCHITECTURES))
        changes: dict[str, Any] = {name: _default(name) for name in foreign_settings(architecture)}
        if not ARCHITECTURES[architecture].recurrent:
            changes |= {"segments": 1, "segment_length": self.longest_sequence, "memory_tokens": 0}
        return dataclasses.replace(self, architecture=architecture, **changes)


def foreign_settings(architecture: str) -> tuple[str, ...]:
    """The settings that `architecture` lacks; in its records they stay at their defaults."""
    family = ARCHITECTURES[architecture]
    return (
        (() if family.retains else ("retention",))
        + (() if family.attention == "astromorphic" else ASTROCYTIC)
        + (() if family.attention == "state_space" else ("state_size",))
    )


def _default(name: str) -> Any:
    return next(entry.default for entry in dataclasses.fields(ModelParameters) if entry.name == name)
