"""The language model: it predicts each token from those before it and carries memory from segment to segment.

The retention factor must not depend on the number of segments, which is unknown for a running text: use the variant
`streaming`, `saturation` or `none`, or `learned_saturation`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from model.errors import ModelError
from model.layers.mixing import CausalMixing
from model.memory.differentiation import Amrb, Differentiation
from model.memory.learned_retention import LearnedFactors
from model.memory.recurrence import Segment
from model.memory.scan import scan
from model.networks.causal_cell import CausalCell, CausalSegment, PredictedSegment
from model.networks.cell import initial_memory, split_segments
from model.networks.classifier import check_tokens
from model.networks.parameters import ModelParameters


@dataclass(frozen=True)
class Carried:
    """State between two parts of a text."""

    memory: Float[Tensor, "batch memory width"]
    segments: int
    """number of segments read so far"""

    def detach(self) -> "Carried":
        """A copy through which no gradient flows."""
        return Carried(self.memory.detach(), self.segments)


class LanguageModel(nn.Module):
    """Predict each token from those before it; memory carries over from segment to segment.

    Raises
    ------
    ModelError
        No tokens; tokens that are not integers of shape (batch, token); a token out of range; more segments than
        retention factors; a carried memory of another batch size.
    """

    def __init__(
        self, parameters: ModelParameters, attentions: Sequence[CausalMixing], retention: Tensor | LearnedFactors
    ):
        """`retention` holds one factor per segment, shape (segment), or learns them."""
        super().__init__()
        self.parameters_record = parameters
        self.cell = CausalCell(parameters, attentions)
        self.initial_memory = initial_memory(parameters)
        if isinstance(retention, LearnedFactors):
            self.retention = retention
        else:
            self.register_buffer("retention", retention)

    def start(self, batch: int) -> Carried:
        """The state before the first token."""
        return Carried(self.initial_memory.repeat(batch, 1, 1), 0)

    def forward(
        self, tokens: Int[Tensor, "batch token"], carried: Carried | None = None
    ) -> tuple[Float[Tensor, "batch token vocabulary"], Carried]:
        """Logits for the token after each token, and the state for the next part of the text."""
        segments = [CausalSegment(*segment) for segment in self._split(tokens)]
        logits, carried = self._scan(segments, tokens, carried, Amrb())
        return torch.cat(logits, dim=1)[:, : tokens.shape[1]], carried

    def loss(
        self,
        tokens: Int[Tensor, "batch token"],
        carried: Carried | None = None,
        differentiation: Differentiation = Amrb(),  # noqa: B008 (frozen)
    ) -> tuple[Float[Tensor, ""], Carried]:
        """Mean loss (nats) over all tokens but the first, and the state for the next part of the text.

        With `Amrb` it takes the memory of one segment, logits included, for any length.
        """
        if tokens.ndim == 2 and tokens.shape[1] < 2:
            raise ModelError(f"a text of {tokens.shape[1]} tokens has none to predict; give at least 2")
        given, following = self._split(tokens[:, :-1]), self._split(tokens[:, 1:])
        segments = [
            PredictedSegment(tokens, present, targets)
            for (tokens, present), (targets, _) in zip(given, following, strict=True)
        ]
        losses, carried = self._scan(segments, tokens, carried, differentiation)
        return torch.stack(losses).sum() / tokens[:, 1:].numel(), carried

    def factor(self, segment: int) -> Float[Tensor, ""]:
        """The retention factor after `segment`, counted from 0."""
        factors = self.retention.parts()[0] if isinstance(self.retention, LearnedFactors) else self.retention
        if segment >= len(factors):
            raise ModelError(
                f"segment {segment + 1} is beyond the {len(factors)} segments of the model; build one with more"
            )
        return factors[segment]

    def check(self, tokens: Tensor) -> None:
        """Raise `ModelError` unless `tokens` are ids (batch, token) of the vocabulary, on the model's device."""
        check_tokens(tokens, self.initial_memory.device, self.parameters_record.vocabulary)

    def _split(self, tokens: Tensor) -> list[Segment]:
        """Segments of equal length; the last is padded with absent tokens."""
        self.check(tokens)
        length = self.parameters_record.segment_length
        lengths = tokens.new_full((len(tokens),), tokens.shape[1])
        return split_segments(functional.pad(tokens, (0, -tokens.shape[1] % length)), lengths, length)

    def _scan(
        self, segments: list, tokens: Tensor, carried: Carried | None, differentiation: Differentiation
    ) -> tuple[list[Tensor], Carried]:
        carried = carried or self.start(len(tokens))
        if len(carried.memory) != len(tokens):
            raise ModelError(
                f"{len(tokens)} sequences came with the memory of {len(carried.memory)}; give the same number"
            )
        retention = [self.factor(carried.segments + index) for index in range(len(segments))]
        found, memory = scan(self.cell, segments, carried.memory, retention, self.cell.shared(), differentiation)
        return found, Carried(memory, carried.segments + len(segments))
