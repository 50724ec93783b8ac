"""Parameters of a model, and the architectures that it can have.

The paper does not give its numbers of layers, features, heads and memory tokens; the defaults here are ours.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

from rmaat.base.records import ParameterError, Record, Source, parameter, unknown_name


@dataclass(frozen=True)
class Family:
    """The differences between architectures; code and sizes are the same otherwise."""

    attention: str
    """astromorphic, linear, softmax, or state_space (in the place of attention)"""
    recurrent: bool
    """whether it reads segments with memory tokens, rather than the whole sequence as one segment"""
    retains: bool
    """whether the memory is multiplied by a retention factor"""


ARCHITECTURES = {
    "rmaat": Family("astromorphic", recurrent=True, retains=True),
    "rmt": Family("softmax", recurrent=True, retains=False),
    "rlt": Family("linear", recurrent=True, retains=False),
    "astromorphic_transformer": Family("astromorphic", recurrent=False, retains=False),
    "linear_transformer": Family("linear", recurrent=False, retains=False),
    "transformer": Family("softmax", recurrent=False, retains=False),
    "s4d": Family("state_space", recurrent=False, retains=False),
}
PIXEL_TOKENS = 257
"""Token ids of images: padding, and 256 grey values."""
BYTE_TOKENS = 257
"""Token ids of texts: padding, and 256 bytes; pairs of texts lack the last byte."""
ASTROCYTIC = ("exponent", "relative_positions", "decay_factor", "write_scale", "plasticity_count")
"""Settings of astromorphic attention alone."""
DECAYING = ("decaying", "learned", "random")
"""The relative positions that take a decay from the tables."""
LONG_SEGMENT, ROW_BLOCK = 4096, 512
"""Tokens of a segment from which on `row_block` "automatic" computes it in blocks, and their rows."""
OF_MEMORY = ("memory_rule", "memory_norm", "initial_memory_scale")
"""Settings of architectures with memory tokens alone."""


@dataclass(frozen=True)
class ModelParameters(Record):
    """Sizes and settings of a model, and which entries of the tables it uses."""

    architecture: str = parameter(
        "rmaat",
        "rmaat, or a baseline: rmt, rlt (softmax or linear attention, memory tokens), transformer, linear_transformer, "
        "astromorphic_transformer, s4d (a diagonal state space) over the whole sequence at once",
        choices=tuple(ARCHITECTURES),
        source=Source.PAPER,
    )
    vocabulary: int = parameter(16, "number of token ids, including padding (0)", unit="tokens", low=2, high=2**20)
    classes: int = parameter(10, "number of labels", unit="labels", low=2, high=2**20)
    width: int = parameter(64, "features per row", unit="features", low=1, high=2**16)
    layers: int = parameter(2, "blocks", unit="blocks", low=1, high=256)
    heads: int = parameter(4, "attention heads; the width must be a multiple", unit="heads", low=1, high=256)
    feed_forward_width: int = parameter(
        128, "hidden features of the feed-forward part", unit="features", low=1, high=2**18
    )
    segment_length: int = parameter(
        50, "tokens per segment, without memory tokens", unit="tokens", low=1, high=2**24, symbol="N_seg"
    )
    segments: int = parameter(4, "most segments per sequence", unit="segments", low=1, high=2**16, symbol="T")
    memory_tokens: int = parameter(
        8, "memory rows carried from segment to segment", unit="tokens", low=0, high=2**16, symbol="M"
    )
    retention: str = parameter(
        "increment",
        "variant of the retention factor by its name in the tables; none keeps all; from the tables' values on are "
        "learned: an increment per segment (learned), its law (learned_rate, learned_stretch), or a factor per segment "
        "for any number of segments (learned_saturation)",
        source=Source.READER,
    )
    exponent: str | float = parameter(
        "tables",
        "presynaptic exponent: from the tables, one (no plasticity), learned, starting at the tables' value, or a "
        "number in its place; the parent paper has 0.25",
        low=0.01,
        high=10.0,
        choices=("tables", "one", "learned"),
        source=Source.PARENT,
        symbol="alpha",
    )
    relative_positions: str = parameter(
        "decaying",
        "strength between positions in the astrocytic write: exp(-scale distance) with the scale from the tables or a "
        "learned scale, the whole measured influence, or none (no astrocytic write); two controls: identity (no "
        "coupling of positions) and random (the strengths of decaying at shuffled distances)",
        choices=("decaying", "learned", "measured", "identity", "random", "none"),
        source=Source.READER,
    )
    decay_factor: float = parameter(
        1.0,
        "multiple of the tables' decay per token, to measure the sensitivity to it",
        low=1e-3,
        high=1e3,
    )
    position_embedding: str = parameter(
        "learned",
        "what a token adds for its position before the first block: a learned vector, or none, as a control",
        choices=("learned", "none"),
    )
    write_scale: str = parameter(
        "features",
        "divisor of the write: the features of a head, or one as in linear attention",
        choices=("features", "one"),
    )
    plasticity_count: str = parameter(
        "rows",
        "rows: sums over the N rows of a segment, so that the read grows as N^(1 - alpha); normalised: means, "
        "so that a short last segment is read with the gain of a full one",
        choices=("rows", "normalised"),
    )
    read: str = parameter(
        "divided",
        "what keeps the read in bounds: the division by Q . g, or its root mean square, without plasticity (rms)",
        choices=("divided", "rms"),
        reference="divided: AT (arXiv 2312.10925); rms: TransNormer (arXiv 2210.10340)",
    )
    state_size: int = parameter(
        32,
        "s4d only: states per feature, counting one of each conjugate pair",
        unit="states",
        low=1,
        high=2**12,
        symbol="N / 2",
        reference="S4D (Gu et al. 2022, arXiv 2206.11893): 64 with their conjugates",
    )
    dropout: float = parameter(0.0, "fraction of features dropped in training", low=0, high=0.9)
    norm: str = parameter(
        "post",
        "layer norm after (figure 2 of the paper) or before each part",
        choices=("post", "pre"),
        source=Source.PAPER,
    )
    pixels: str = parameter(
        "embedded",
        "grey values as tokens: an embedding for each, or a linear map of the value (continuous; images only)",
        choices=("embedded", "continuous"),
    )
    pixel_patch: int = parameter(
        1,
        "side of the square of pixels around each one that its row is a linear map of; continuous pixels only",
        unit="pixels",
        low=1,
        high=2**10,
    )
    picture_width: int = parameter(
        32, "pixels in a row of a picture, for patches of pixels", unit="pixels", low=1, high=2**16
    )
    ngrams: tuple[int, ...] = parameter(
        (),
        "lengths of the n-grams whose hashed embeddings a token adds to its own, such as 2,3,4,5; none leaves them out",
        unit="tokens",
        low=2,
        high=64,
        symbol="n",
        reference="hash embeddings of the Byte Latent Transformer (arXiv 2412.09871)",
    )
    ngram_buckets: int = parameter(
        16384, "rows that the n-grams of all lengths share", unit="rows", low=1, high=2**24, symbol="B"
    )
    word_buckets: int = parameter(
        0,
        "rows of a hashed table of words, added to the byte after each word; 0 leaves words out; texts only, and not "
        "language models",
        unit="rows",
        low=0,
        high=2**24,
    )
    readout: str = parameter(
        "last",
        "what the head reads: the mean row of the last segment, of every segment, or the row of the last token",
        choices=("last", "every", "token"),
    )
    local_mixing: int = parameter(
        0,
        "tokens that a depthwise convolution joins before each block's mixing; 0 leaves it out",
        unit="tokens",
        low=0,
        high=2**10,
        symbol="k",
    )
    local_dilations: tuple[int, ...] = parameter(
        (1,),
        "distances between the tokens that the local mixing joins, such as 1,32: a convolution each, added up",
        unit="tokens",
        low=1,
        high=2**16,
        symbol="d",
    )
    local_side: str = parameter(
        "both",
        "neighbours that the local mixing reads: both sides, or the past alone, as in every language model",
        choices=("both", "past"),
    )
    local_into: str = parameter(
        "mixing",
        "what the local mixing changes: the input of each block's mixing, or the rows of the block, so that the "
        "feed-forward part reads neighbours too",
        choices=("mixing", "rows"),
    )
    memory_rule: str = parameter(
        "scaled",
        "next memory from old and new rows: RF new (scaled), old + RF new (share), or RF old + (1 - RF) new (gated)",
        choices=("scaled", "share", "gated"),
        source=Source.PAPER,
    )
    memory_norm: bool = parameter(False, "layer norm of the memory rows as they enter a segment")
    initial_memory_scale: float = parameter(
        0.02, "standard deviation of the initial memory before training", low=0, high=100
    )
    row_block: str | int = parameter(
        "automatic",
        "rows of a segment that are computed at a time, and again in backward, so that memory hardly depends on the "
        "segment's length; none computes all at once; automatic takes 512 if a recurrent model has segments of 4,096 "
        "tokens or more and is not compiled, else none",
        unit="rows",
        low=1,
        high=2**24,
        choices=("automatic", "none"),
    )
    separator: int = parameter(
        0,
        "token between two documents that are encoded separately with the same weights, as in LRA's Retrieval "
        "(bytes: 255); 0 encodes a sequence as one document",
        low=0,
        high=2**20,
    )

    pair_head: str = parameter(
        "joined",
        "what the head of two documents reads: both encodings side by side, as LRA's, or normalised with their "
        "product and distance as well (compared)",
        choices=("joined", "compared"),
        reference="joined: LRA (arXiv 2011.04006); compared: InferSent (arXiv 1705.02364)",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pair_head != "joined" and not self.separator:
            raise ParameterError(
                f"pair_head is {self.pair_head}, but without a separator there is one document; "
                "set the separator, or leave pair_head at joined"
            )
        if self.separator >= self.vocabulary:
            raise ParameterError(
                f"the separator is token {self.separator}, but the vocabulary is 0 to {self.vocabulary - 1}; "
                "give one of these, or 0 for sequences of one document"
            )
        if self.width % self.heads:
            raise ParameterError(f"{self.heads} heads do not divide a width of {self.width}; choose a multiple")
        if self.pixels == "continuous" and (self.vocabulary != PIXEL_TOKENS or self.separator):
            raise ParameterError(
                f"pixels are continuous, but a vocabulary of {self.vocabulary} with separator {self.separator} is not "
                f"that of images ({PIXEL_TOKENS}: padding and 256 grey values); leave pixels at embedded"
            )
        if self.pixel_patch % 2 == 0:
            raise ParameterError(f"pixel_patch {self.pixel_patch} has no middle; choose an odd number")
        if self.pixel_patch > 1 and self.pixels != "continuous":
            raise ParameterError("pixel_patch needs grey values; set pixels to continuous, or leave pixel_patch at 1")
        if self.pixels == "continuous" and self.ngrams:
            raise ParameterError("pixels are continuous, but n-grams are of token ids; leave ngrams at none")
        if self.word_buckets and (self.pixels == "continuous" or self.vocabulary not in (BYTE_TOKENS - 1, BYTE_TOKENS)):
            raise ParameterError(
                f"word_buckets is {self.word_buckets}, but tokens of a vocabulary of {self.vocabulary} are not the "
                f"bytes of a text ({BYTE_TOKENS}, or {BYTE_TOKENS - 1} with a separator); set word_buckets to 0"
            )
        if self.word_buckets == 1:
            raise ParameterError("word_buckets is 1, which leaves no row for a word; give 0, or 2 and more")
        if self.read == "rms" and self.exponent != _default("exponent"):
            raise ParameterError(
                f"exponent is {self.exponent}, but read rms has no plasticity; leave it at {_default('exponent')}"
            )
        if self.read == "rms" and self.plasticity_count != "rows":
            raise ParameterError(
                f"plasticity_count is {self.plasticity_count}, but read rms has no plasticity; leave it at rows"
            )
        if not self.local_dilations:
            raise ParameterError("local_dilations is empty; give at least one distance, such as 1")
        if self.local_mixing and self.local_mixing % 2 == 0 and self.local_side == "both":
            raise ParameterError(
                f"local_mixing {self.local_mixing} has no middle; choose an odd number, or local_side past"
            )
        if self.memory_rule == "gated" and not self.forgets:
            raise ParameterError(
                "memory_rule gated without retention factors (RF = 1) keeps the initial memory for ever; "
                "choose a retention, or memory_rule scaled or share"
            )
        if not self.family.recurrent and (self.segments, self.memory_tokens) != (1, 0):
            raise ParameterError(
                f"a {self.architecture} reads the whole sequence as one segment without memory, not {self.segments} "
                f"segments and {self.memory_tokens} memory tokens; use ModelParameters.as_architecture"
            )
        if self.decay_factor != 1 and self.relative_positions not in DECAYING:
            raise ParameterError(
                f"decay_factor is {self.decay_factor}, but relative_positions {self.relative_positions} have no decay; "
                f"use {', '.join(DECAYING)}"
            )
        for name in foreign_settings(self.architecture):
            if getattr(self, name) != _default(name):
                raise ParameterError(
                    f"{name} is {getattr(self, name)}, which means nothing to a {self.architecture}; "
                    f"leave it at {_default(name)}"
                )

    @property
    def family(self) -> Family:
        """The properties of the architecture."""
        return ARCHITECTURES[self.architecture]

    @property
    def forgets(self) -> bool:
        """Whether any retention factor differs from 1."""
        return self.family.retains and self.retention != "none"

    @property
    def longest_sequence(self) -> int:
        """Largest number of tokens in a sequence, or in each document of a pair."""
        return self.segment_length * self.segments

    @property
    def segment_rows(self) -> int:
        """Rows of a full segment of a classifier: memory and tokens."""
        return self.memory_tokens + self.segment_length

    @property
    def rows_at_once(self) -> int:
        """Rows of a segment of a classifier that are computed at a time, or 0 for all."""
        if isinstance(self.row_block, int):
            return self.row_block
        is_long = self.family.recurrent and self.segment_length >= LONG_SEGMENT
        return ROW_BLOCK if self.row_block == "automatic" and is_long and self.has_sums else 0

    @property
    def has_sums(self) -> bool:
        """Whether rows meet only in sums that attention writes; softmax and a state space have none."""
        return self.family.attention in ("astromorphic", "linear")

    @property
    def has_local_norm(self) -> bool:
        """Whether the local mixing norms the neighbours itself: rows of a block that norms first have any size."""
        return self.local_mixing > 0 and self.local_into == "rows" and self.norm == "pre"

    @property
    def has_positions(self) -> bool:
        """Whether the attention has the astrocytic part phi(R)."""
        return self.family.attention == "astromorphic" and self.relative_positions != "none"

    @property
    def pair_features(self) -> int:
        """Features that the head of a pair classifier reads."""
        return self.width * (2 if self.pair_head == "joined" else 4)

    @property
    def pair_head_widths(self) -> tuple[int, int]:
        """Hidden features of both layers of the head of a pair classifier, as in LRA."""
        return self.feed_forward_width, max(1, self.feed_forward_width // 2)

    def as_architecture(self, architecture: str) -> "ModelParameters":
        """A copy with another architecture and the same size; settings that it does not have get their defaults.

        An architecture that is not recurrent reads the whole sequence as one segment.
        """
        if architecture not in ARCHITECTURES:
            raise ParameterError(unknown_name("architecture", architecture, ARCHITECTURES))
        changes: dict[str, Any] = {name: _default(name) for name in foreign_settings(architecture)}
        if self.memory_rule == "gated" and not ARCHITECTURES[architecture].retains:
            changes["memory_rule"] = _default("memory_rule")
        if not ARCHITECTURES[architecture].recurrent:
            changes |= {"segments": 1, "segment_length": self.longest_sequence, "memory_tokens": 0}
        return dataclasses.replace(self, architecture=architecture, **changes)


def foreign_settings(architecture: str) -> tuple[str, ...]:
    """The settings that `architecture` does not have; they must keep their defaults."""
    family = ARCHITECTURES[architecture]
    return (
        (() if family.retains else ("retention",))
        + (() if family.recurrent else OF_MEMORY)
        + (() if family.attention == "astromorphic" else ASTROCYTIC)
        + (() if family.attention in ("astromorphic", "linear") else ("read", "row_block"))
        + (() if family.attention == "state_space" else ("state_size",))
    )


def _default(name: str) -> Any:
    return next(entry.default for entry in dataclasses.fields(ModelParameters) if entry.name == name)
