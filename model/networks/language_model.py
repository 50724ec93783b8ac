"""The language model: it predicts each token from those before it and carries memory from segment to segment.

The retention factor must not depend on the number of segments, which is unknown for a running text: use the variant
`streaming`, `saturation` or `none`.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from model.errors import ModelError
from model.layers.causal import CausalAttention
from model.memory.differentiation import Amrb, Differentiation
from model.memory.recurrence import Segment
from model.memory.scan import scan
from model.networks.causal_cell import CausalCell, CausalSegment, PredictedSegment
from model.networks.cell import split_segments
from model.networks.classifier import check_tokens
from model.networks.parameters import ModelParameters


@dataclass(frozen=True)
class Carried:
    """What goes on from one stretch of text to the next."""

    memory: Float[Tensor, "batch memory width"]
    segments: int
    """segments read so far"""

    def detach(self) -> "Carried":
        """The same, where the gradient stops."""
        return Carried(self.memory.detach(), self.segments)


class LanguageModel(nn.Module):
    """Predict each token from those before it, segment after segment, with memory carried over.

    Raises
    ------
    ModelError
        No tokens, tokens that are not integers of shape (batch, token), a token out of range, more segments than the
        model has retention factors for, a carried memory of another batch.
    """

    retention: Tensor

    def __init__(self, parameters: ModelParameters, attentions: list[CausalAttention], retention: Tensor):
        """`retention` holds a factor for each segment."""
        super().__init__()
        self.parameters_record = parameters
        self.cell = CausalCell(parameters, attentions)
        self.initial_memory = nn.Parameter(0.02 * torch.randn(parameters.memory_tokens, parameters.width))
        self.register_buffer("retention", retention)

    def start(self, batch: int) -> Carried:
        """Before the first token."""
        return Carried(self.initial_memory.repeat(batch, 1, 1), 0)

    def forward(
        self, tokens: Int[Tensor, "batch token"], carried: Carried | None = None
    ) -> tuple[Float[Tensor, "batch token vocabulary"], Carried]:
        """Logits for what follows each token, and what the next stretch of text starts from."""
        segments = [CausalSegment(*segment) for segment in self._split(tokens)]
        logits, carried = self._scan(segments, tokens, carried, Amrb())
        return torch.cat(logits, dim=1)[:, : tokens.shape[1]], carried

    def loss(
        self,
        tokens: Int[Tensor, "batch token"],
        carried: Carried | None = None,
        differentiation: Differentiation = Amrb(),  # noqa: B008 (frozen)
    ) -> tuple[Float[Tensor, ""], Carried]:
        """Mean loss (nats) of each token but the first, given those before it, and what the next stretch starts from.

        Under `Amrb` memory is that of one segment, its logits included, whatever the length.
        """
        if tokens.ndim == 2 and tokens.shape[1] < 2:
            raise ModelError(f"a stretch of {tokens.shape[1]} tokens has none to predict; give 2 at least")
        given, following = self._split(tokens[:, :-1]), self._split(tokens[:, 1:])
        segments = [
            PredictedSegment(tokens, present, targets)
            for (tokens, present), (targets, _) in zip(given, following, strict=True)
        ]
        losses, carried = self._scan(segments, tokens, carried, differentiation)
        return torch.stack(losses).sum() / tokens[:, 1:].numel(), carried

    def factor(self, segment: int) -> Float[Tensor, ""]:
        """The retention factor after `segment`, counted from 0."""
        if segment >= len(self.retention):
            raise ModelError(
                f"segment {segment + 1} is beyond the {len(self.retention)} of the model; make one with more segments"
            )
        return self.retention[segment]

    def check(self, tokens: Tensor) -> None:
        """Raise `ModelError` where `tokens` are not (batch, token) ids on the model's device that it knows."""
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
            raise ModelError(f"{len(tokens)} sequences came with the memory of {len(carried.memory)}; carry their own")
        retention = [self.factor(carried.segments + index) for index in range(len(segments))]
        found, memory = scan(self.cell, segments, carried.memory, retention, self.cell.shared(), differentiation)
        return found, Carried(memory, carried.segments + len(segments))
