"""The segment cell: from a segment's token ids and the memory to a summary and the next memory."""

from functools import partial
from typing import NamedTuple, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from model.layers.attention import Mixing
from model.layers.block import Block
from model.memory.recurrence import Segment, Stage, State, joined
from model.networks.parameters import ModelParameters


class PassedSegment(NamedTuple):
    """A segment whose summary does not reach the loss: only its memory goes on, and only that is computed."""

    tokens: Int[Tensor, "batch token"]
    present: Bool[Tensor, "batch token"]


def make_block(attention: Mixing, parameters: ModelParameters) -> Block:
    """A layer of the width, feed-forward width, dropout and norm that `parameters` name."""
    return Block(
        attention, parameters.width, parameters.feed_forward_width, parameters.dropout, parameters.norm == "pre"
    )


class SegmentCell(nn.Module):
    """One segment: from token ids and memory to a summary (the sum of the valid rows) and the next memory."""

    def __init__(self, parameters: ModelParameters, attentions: list[Mixing]):
        super().__init__()
        rows = parameters.memory_tokens + parameters.segment_length
        self.memory_tokens = parameters.memory_tokens
        self.embedding = nn.Embedding(parameters.vocabulary, parameters.width)
        # Weaker than the embeddings, so that training starts from what a token is rather than from where it stands.
        self.positions = nn.Parameter(0.3 * torch.randn(rows, parameters.width))
        self.blocks = nn.ModuleList(make_block(attention, parameters) for attention in attentions)
        self.final_norm = nn.LayerNorm(parameters.width) if parameters.norm == "pre" else nn.Identity()
        self.dropout = nn.Dropout(parameters.dropout)

    def shared(self) -> tuple[Tensor, ...]:
        """Each layer's step-constant tensors, one after the other."""
        return tuple(tensor for block in self.blocks for tensor in cast(Block, block).attention.shared())

    def forward(
        self,
        segment: Segment,
        memory: Float[Tensor, "batch memory width"],
        retention: Float[Tensor, " batch"],
        shared: tuple[Tensor, ...],
    ) -> tuple[Float[Tensor, "batch width"], Float[Tensor, "batch memory width"]]:
        """Where a sample has no token in this segment, its memory passes unchanged and its summary means nothing.

        The last layer of a `PassedSegment` makes memory rows alone, and the summary is zero. A segment may be shorter
        than those that the cell was made for: so is the last one, where no sample of the batch fills it.
        """
        state = cast(State, (memory,))
        for stage in self.stages(segment, retention):
            state = stage(state, shared)
        return state[0], state[1]

    def stages(self, segment: Segment, retention: Float[Tensor, " batch"]) -> list[Stage]:
        """The same a block at a time, for `LayerwiseAmrb`; between blocks the state is (rows, memory)."""
        tokens, present = segment
        passed = isinstance(segment, PassedSegment)
        if passed and self.memory_tokens == 0:
            return [lambda state, _: (self.positions.new_zeros(len(tokens), self.positions.shape[1]), *state)]
        all_rows = self.memory_tokens + tokens.shape[1]
        wanted = self.memory_tokens if passed else all_rows
        active = present.any(dim=1)
        valid = torch.cat([present.new_ones(len(tokens), self.memory_tokens), present], dim=1)
        # A row to attend to for samples that have none left; what they give is not used.
        valid = valid | ~valid.any(dim=1, keepdim=True)

        def enter(state: State, shared: tuple[Tensor, ...]) -> State:  # noqa: ARG001
            (memory,) = state
            rows = torch.cat([memory, self.embedding(tokens)], dim=1) + self.positions[:all_rows]
            return self.dropout(rows), memory

        def through(index: int, wanted: int, state: State, shared: tuple[Tensor, ...]) -> State:
            rows, memory = state
            count = len(shared) // len(self.blocks)
            return self.blocks[index](rows, valid, shared[index * count : (index + 1) * count], wanted), memory

        def leave(state: State, shared: tuple[Tensor, ...]) -> State:  # noqa: ARG001
            rows, memory = self.final_norm(state[0]), state[1]
            kept = rows[:, : self.memory_tokens] * retention[:, None, None].to(rows.dtype)
            summary = rows.new_zeros(len(tokens), rows.shape[2]) if passed else (rows * valid[:, :, None]).sum(dim=1)
            return summary, torch.where(active[:, None, None], kept, memory)

        last = len(self.blocks) - 1
        stages: list[Stage] = [
            partial(through, index, wanted if index == last else all_rows) for index in range(len(self.blocks))
        ]
        stages[0] = joined(enter, stages[0])
        stages[-1] = joined(stages[-1], leave)
        return stages


def split_segments(
    tokens: Int[Tensor, "batch token"], lengths: Int[Tensor, " batch"], segment_length: int
) -> list[Segment]:
    """Pairs of token ids and their validity, both (batch, segment_length); the last ends with the longest sequence."""
    present = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
    return list(zip(tokens.split(segment_length, dim=1), present.split(segment_length, dim=1), strict=True))
