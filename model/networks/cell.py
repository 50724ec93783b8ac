"""The cell of a network: one segment's token ids and the memory -> an output and the next memory.

    rows = [memory; tokens + positions] -> blocks -> final norm -> output, retention factor x memory rows

Positions belong to tokens alone. Added to memory rows in every segment, they would be a constant as large as the
memory, beside which a memory that its retention factor makes small is hardly read.

`StackedCell` holds what all cells have. `SegmentCell` is the cell of the classifiers; its output is the summary of the
segment. `model.networks.causal_cell.CausalCell` is the cell of the language model.
"""

from functools import partial
from typing import NamedTuple, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from model.layers.block import Block
from model.layers.dropout import Dropout
from model.layers.local_mixing import LocalMixing
from model.layers.mixing import Mixing, SummedMixing
from model.layers.ngrams import NgramEmbedding
from model.layers.pixels import PixelEmbedding
from model.layers.words import WordEmbedding
from model.memory.recurrence import Segment, Stage, State, in_sequence
from model.memory.retention import next_memory
from model.networks.parameters import ModelParameters
from model.networks.row_blocks import by_row_blocks


class StackedCell(nn.Module):
    """A cell made of embedding, positions of tokens, blocks and a final norm.

    Memory rows come first, and again last if the cell is `causal`.

    A subclass defines `segment_rows`, `valid_rows` and `finish`.
    """

    positions: Tensor

    def __init__(self, parameters: ModelParameters, attentions: list[Mixing], *, causal: bool):
        super().__init__()
        self.memory_tokens, self.memory_rule = parameters.memory_tokens, parameters.memory_rule
        self.memory_norm = nn.LayerNorm(parameters.width) if parameters.memory_norm else nn.Identity()
        self.embedding = embedding(parameters)
        self.ngram_reach = max(parameters.ngrams, default=1) - 1
        # Weaker than the embeddings, so that a row starts as its token rather than as its position.
        positions = nn.Parameter(0.3 * torch.randn(parameters.segment_length, parameters.width))
        if parameters.position_embedding == "learned":
            self.positions = positions
        else:
            # Zeros that are added anyway keep one code path, and the draw above keeps the other weights of a seed.
            self.register_buffer("positions", torch.zeros_like(positions), persistent=False)
        self.blocks = nn.ModuleList(
            Block(
                attention,
                parameters.width,
                parameters.feed_forward_width,
                parameters.dropout,
                parameters.norm == "pre",
                local_mixing(parameters, causal=causal),
                parameters.local_into == "rows",
            )
            for attention in attentions
        )
        self.final_norm = nn.LayerNorm(parameters.width) if parameters.norm == "pre" else nn.Identity()
        self.dropout = Dropout(parameters.dropout)

    def shared(self) -> tuple[Tensor, ...]:
        """Tensors that depend on parameters alone, those of the first block first; computed once per step."""
        return tuple(tensor for block in self.blocks for tensor in cast(Block, block).attention.shared())

    def forward(
        self,
        segment: Segment,
        memory: Float[Tensor, "batch memory width"],
        retention: Tensor,
        shared: tuple[Tensor, ...],
    ) -> tuple[Tensor, Float[Tensor, "batch memory width"]]:
        """Output of the segment and the next memory: all `stages`, one after the other."""
        state = cast(State, (memory,))
        for stage in self.stages(segment, retention):
            state = stage(state, shared)
        return state[0], state[1]

    def stages(self, segment: Segment, retention: Tensor) -> list[Stage]:
        """One stage per block, for `LayerwiseAmrb`; between blocks the state is (rows, memory)."""
        # Methods, not functions defined here: the tests would build new checks of shapes for those in every call,
        # which took 60 % of the time of a forward pass.
        valid = self.valid_rows(segment)
        wanted = [valid.shape[1]] * (len(self.blocks) - 1) + [self.wanted_rows(segment, valid)]
        stages: list[Stage] = [partial(self._through, valid, index, count) for index, count in enumerate(wanted)]
        stages[0] = in_sequence(partial(self._enter, segment), stages[0])
        stages[-1] = in_sequence(stages[-1], partial(self._leave, segment, valid, retention))
        return stages

    def _enter(self, segment: Segment, state: State, shared: tuple[Tensor, ...]) -> State:  # noqa: ARG002
        return self.enter(self.segment_rows(segment, self.memory_norm(state[0]))), state[0]

    def _through(self, valid: Tensor, index: int, wanted: int, state: State, shared: tuple[Tensor, ...]) -> State:
        return self.blocks[index](state[0], valid, self.shared_of(index, shared), wanted), state[1]

    def _leave(
        self,
        segment: Segment,
        valid: Tensor,
        retention: Tensor,
        state: State,
        shared: tuple[Tensor, ...],  # noqa: ARG002
    ) -> State:
        return self.finish(segment, self.final_norm(state[0]), valid, state[1], retention)

    def enter(self, rows: Tensor) -> Tensor:
        """Input of the first block, from `rows` of a segment."""
        return self.dropout(rows)

    def embed(
        self,
        tokens: Int[Tensor, "batch token"],
        place: int = 0,
        earlier: Int[Tensor, "batch earlier"] | None = None,
    ) -> Float[Tensor, "batch token width"]:
        """Rows of `tokens`, of which the first has the position `place` in its segment.

        N-grams continue the `earlier` tokens, the last ones before `place`; `ngram_reach` of them are enough.
        """
        known = tokens if earlier is None else torch.cat([earlier, tokens], dim=1)
        rows = self.embedding(known)[:, known.shape[1] - tokens.shape[1] :]
        return rows + self.positions[place : place + tokens.shape[1]]

    def shared_of(self, index: int, shared: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The tensors of block `index` among those of all blocks."""
        count = len(shared) // len(self.blocks)
        return shared[index * count : (index + 1) * count]

    def segment_rows(self, segment: Segment, memory: Tensor) -> Float[Tensor, "batch row width"]:
        """The `memory` as it enters, and the embedded tokens, in the order in which the blocks read them."""
        raise NotImplementedError

    def valid_rows(self, segment: Segment) -> Bool[Tensor, "batch row"]:
        """Rows that others may attend to."""
        raise NotImplementedError

    def wanted_rows(self, segment: Segment, valid: Tensor) -> int:  # noqa: ARG002
        """The number of rows, from the first on, that the last block computes; all by default."""
        return valid.shape[1]

    def finish(self, segment: Segment, rows: Tensor, valid: Tensor, memory: Tensor, retention: Tensor) -> State:
        """Output and next memory, from the last layer's `rows`, those that are `valid`, and the memory before."""
        raise NotImplementedError


def embedding(parameters: ModelParameters) -> nn.Module:
    """The module that makes a row of each token id."""
    if parameters.pixels == "continuous":
        return PixelEmbedding(parameters.width, parameters.pixel_patch, parameters.picture_width)
    vocabulary, width = parameters.vocabulary, parameters.width
    rows = (
        NgramEmbedding(vocabulary, width, parameters.ngrams, parameters.ngram_buckets)
        if parameters.ngrams
        else nn.Embedding(vocabulary, width)
    )
    return WordEmbedding(rows, width, parameters.word_buckets) if parameters.word_buckets else rows


def local_mixing(parameters: ModelParameters, *, causal: bool) -> LocalMixing | None:
    """The local mixing of one block, or None without it; one-sided in a `causal` cell."""
    if not parameters.local_mixing:
        return None
    return LocalMixing(
        parameters.width,
        parameters.local_mixing,
        parameters.local_dilations,
        parameters.memory_tokens,
        parameters.memory_tokens if causal else 0,
        one_sided=causal or parameters.local_side == "past",
        norm=nn.LayerNorm(parameters.width) if parameters.has_local_norm else None,
    )


def initial_memory(parameters: ModelParameters) -> nn.Parameter:
    """The learned memory before the first segment, shape (memory, width)."""
    return nn.Parameter(parameters.initial_memory_scale * torch.randn(parameters.memory_tokens, parameters.width))


class PassedSegment(NamedTuple):
    """A segment that the readout leaves out: it passes memory on, and its summary does not reach the loss."""

    tokens: Int[Tensor, "batch token"]
    present: Bool[Tensor, "batch token"]


class SegmentCell(StackedCell):
    """One segment of a classifier: its output is the summary, shape (batch, width).

    The summary is the sum of the valid rows, or with the readout "token" the row of the last token that is present. A
    sample without tokens in this segment keeps its memory unchanged; its summary is meaningless. The last block of a
    `PassedSegment` computes memory rows only, and the summary is zero. A segment may be shorter than `segment_length`:
    the last one ends with the longest sequence of the batch. `retention` has shape (batch).
    """

    def __init__(self, parameters: ModelParameters, attentions: list[Mixing]):
        super().__init__(parameters, attentions, causal=False)
        self.readout, self.row_block = parameters.readout, parameters.rows_at_once

    def stages(self, segment: Segment, retention: Float[Tensor, " batch"]) -> list[Stage]:
        """As `StackedCell.stages`; a `PassedSegment` without memory computes nothing."""
        if isinstance(segment, PassedSegment) and self.memory_tokens == 0:
            return [lambda state, _: (self._no_summary(segment), *state)]
        return super().stages(segment, retention)

    def shared(self) -> tuple[Tensor, ...]:
        """As `StackedCell.shared`, or what blocks of rows take in its place."""
        if not self.row_block:
            return super().shared()
        attentions = (cast(Block, block).attention for block in self.blocks)
        return tuple(tensor for attention in attentions for tensor in cast(SummedMixing, attention).shared_by_row())

    def _through(self, valid: Tensor, index: int, wanted: int, state: State, shared: tuple[Tensor, ...]) -> State:
        if not self.row_block:
            return super()._through(valid, index, wanted, state, shared)
        block, shared = cast(Block, self.blocks[index]), self.shared_of(index, shared)
        return by_row_blocks(block, state[0], valid, shared, wanted, self.row_block), state[1]

    def segment_rows(self, segment: Segment, memory: Tensor) -> Float[Tensor, "batch row width"]:
        """[memory; tokens]."""
        return torch.cat([memory, self.embed(segment[0])], dim=1)

    def valid_rows(self, segment: Segment) -> Bool[Tensor, "batch row"]:
        """Memory rows, and tokens that are present."""
        present = segment[1]
        valid = torch.cat([present.new_ones(present.shape[0], self.memory_tokens), present], dim=1)
        # Avoid rows whose mask is all false (softmax gives NaN); the output of such samples is discarded.
        return valid | ~valid.any(dim=1, keepdim=True)

    def wanted_rows(self, segment: Segment, valid: Tensor) -> int:
        """Memory rows alone for a `PassedSegment`."""
        return self.memory_tokens if isinstance(segment, PassedSegment) else valid.shape[1]

    def finish(self, segment: Segment, rows: Tensor, valid: Tensor, memory: Tensor, retention: Tensor) -> State:
        """The summary, and the next memory by the memory rule."""
        kept = next_memory(self.memory_rule, memory, rows[:, : self.memory_tokens], retention[:, None, None])
        memory = torch.where(segment[1].any(dim=1)[:, None, None], kept, memory)
        if isinstance(segment, PassedSegment):
            return self._no_summary(segment), memory
        return (rows * self._read_rows(segment, valid)[:, :, None]).sum(dim=1), memory

    def _read_rows(self, segment: Segment, valid: Tensor) -> Bool[Tensor, "batch row"]:
        """The rows that the summary adds up."""
        if self.readout != "token":
            return valid
        # A token is the last one if no token is present at the next place.
        present = functional.pad(segment[1], (self.memory_tokens, 1))
        return present[:, :-1] & ~present[:, 1:]

    def _no_summary(self, segment: Segment) -> Float[Tensor, "batch width"]:
        return self.positions.new_zeros(segment[0].shape[0], self.positions.shape[1])


def split_segments(
    tokens: Int[Tensor, "batch token"], lengths: Int[Tensor, " batch"], segment_length: int
) -> list[Segment]:
    """Token ids and their presence per segment, both (batch, segment_length); the last segment may be shorter."""
    present = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
    return list(zip(tokens.split(segment_length, dim=1), present.split(segment_length, dim=1), strict=True))
