"""The cell of the language model: a segment in which each token reads the memory and the tokens before it.

A segment is [memory; tokens; memory]. Its tokens read the memory in front. The copy behind them sees all tokens and
becomes the next memory. Source: the decoder of RMT (arXiv 2207.06881).
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from model.layers.block import Block
from model.layers.causal import Written
from model.layers.causal_softmax import Cached
from model.layers.local_mixing import LocalMixing
from model.layers.mixing import CausalMixing, Mixing
from model.layers.precision import at_least_float32
from model.memory.recurrence import Segment, State
from model.memory.retention import next_memory
from model.networks.cell import StackedCell
from model.networks.parameters import ModelParameters


class CausalSegment(NamedTuple):
    """A segment whose logits are the output."""

    tokens: Int[Tensor, "batch token"]
    present: Bool[Tensor, "batch token"]


class PredictedSegment(NamedTuple):
    """A segment with the token that follows each of its tokens; the sum of the losses is the output."""

    tokens: Int[Tensor, "batch token"]
    present: Bool[Tensor, "batch token"]
    targets: Int[Tensor, "batch token"]


class LayerState(NamedTuple):
    """What one layer of a stream keeps of a segment, and the last tokens for its local mixing."""

    written: Written | Cached | None
    """sums (linear time), or keys and values (softmax)"""
    past: Float[Tensor, "batch reach width"] | None


class _Advancing:
    """The local mixing of a stream as a function of the next tokens; it keeps the `past` ones."""

    def __init__(self, local: LocalMixing, past: Tensor | None):
        self.local, self.past = local, past

    def __call__(self, tokens: Tensor) -> Tensor:
        past = tokens.new_zeros(len(tokens), self.local.reach, tokens.shape[2]) if self.past is None else self.past
        mixed, self.past = self.local.advance(tokens, past)
        return mixed


class CausalCell(StackedCell):
    """One segment of a language model.

    Its output depends on the kind of segment: logits (batch, token, vocabulary) of a `CausalSegment`, the sum of losses
    () of a `PredictedSegment`, whose logits are not kept. `retention` has shape ().
    """

    def __init__(self, parameters: ModelParameters, attentions: Sequence[CausalMixing]):
        super().__init__(parameters, cast(list[Mixing], attentions), causal=True)
        self.segment_length = parameters.segment_length
        self.head = nn.Linear(parameters.width, parameters.vocabulary)

    def segment_rows(self, segment: Segment, memory: Tensor) -> Float[Tensor, "batch row width"]:
        """[memory; tokens; memory]."""
        return torch.cat([memory, self.embed(segment[0]), memory], dim=1)

    def valid_rows(self, segment: Segment) -> Bool[Tensor, "batch row"]:
        """Both copies of the memory, and tokens that are present."""
        always = segment[1].new_ones(len(segment[1]), self.memory_tokens)
        return torch.cat([always, segment[1], always], dim=1)

    def finish(
        self,
        segment: Segment,
        rows: Tensor,
        valid: Tensor,  # noqa: ARG002
        memory: Tensor,
        retention: Tensor,
    ) -> State:
        """Logits or losses from the rows of tokens; the next memory from the last rows."""
        logits = self.head(rows[:, self.memory_tokens : self.memory_tokens + segment[0].shape[1]])
        memory = next_memory(self.memory_rule, memory, rows[:, rows.shape[1] - self.memory_tokens :], retention)
        if isinstance(segment, PredictedSegment):
            losses = functional.cross_entropy(at_least_float32(logits.mT), segment.targets.long(), reduction="none")
            return (losses * segment.present).sum(), memory
        return logits, memory

    def advance(
        self,
        rows: Float[Tensor, "batch row width"],
        valid: Bool[Tensor, "batch row"],
        first: int,
        states: tuple[LayerState, ...],
        shared: tuple[Tensor, ...],
    ) -> tuple[Float[Tensor, "batch row width"], tuple[LayerState, ...]]:
        """The rows of a segment from position `first` on through all blocks, as a stream reads them.

        They are all memory rows or all tokens. `states` holds the state of each layer after the earlier rows of the
        segment; it is empty at the start.
        """
        rows, after = self.enter(rows), []
        are_tokens = self.memory_tokens <= first < self.memory_tokens + self.segment_length
        for index, module in enumerate(self.blocks):
            block = cast(Block, module)
            written, past = states[index] if states else LayerState(None, None)
            if block.local is not None and are_tokens:
                local = _Advancing(block.local, past)
                rows, mixed = block.localised(rows, local)
                past = local.past
            else:
                mixed = block.before(rows)
            attended, written = cast(CausalMixing, block.attention).advance(
                mixed, valid, self.shared_of(index, shared), first, written
            )
            rows = block.after(rows, attended)
            after.append(LayerState(written, past))
        return self.final_norm(rows), tuple(after)
