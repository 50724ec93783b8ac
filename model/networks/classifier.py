"""Segment-recurrent classifiers: RMAAT and its baselines, which differ in their attention and memory alone.

    [memory; tokens] + positions -> { attention and residual -> norm -> feed-forward -> add & norm } x layers
    memory_{t+1} = RF(t, T) memory'_{t+1},   memory' = the first M rows of the last layer

Source: RMAAT (arXiv 2601.00426) figure 2 and section 3. Heads, output projection, initial memory (learned), learned
positions within a segment, the readout and `T counts the segments that hold tokens` are ours.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from distill.tables import Tables
from model.errors import ModelError
from model.layers.attention import AstromorphicAttention, Mixing, RelativePositions, SoftmaxAttention
from model.layers.positions import ExponentialKernel, LearnedExponentialKernel, MeasuredKernel
from model.layers.state_space import StateSpace
from model.memory.replay import Amrb, Differentiation, LayerwiseAmrb, Segment, Stage, State, joined, scan
from model.memory.retention import build_retention
from model.networks.pairs import pair_head, split_pairs
from model.networks.parameters import ModelParameters

AnyAstromorphic = TypeVar("AnyAstromorphic", bound=AstromorphicAttention)


class Block(nn.Module):
    """Attention and a feed-forward part, each with its residual; norms after them, or before them."""

    def __init__(self, attention: Mixing, parameters: ModelParameters):
        super().__init__()
        self.attention = attention
        self.feed_forward = nn.Sequential(
            nn.Linear(parameters.width, parameters.feed_forward_width),
            nn.GELU(),
            nn.Linear(parameters.feed_forward_width, parameters.width),
        )
        self.attention_norm = nn.LayerNorm(parameters.width)
        self.feed_forward_norm = nn.LayerNorm(parameters.width)
        self.dropout = nn.Dropout(parameters.dropout)
        self.norm_first = parameters.norm == "pre"

    def forward(
        self,
        rows: Float[Tensor, "batch token width"],
        valid: Bool[Tensor, "batch token"],
        shared: tuple[Tensor, ...],
        wanted: int,
    ) -> Float[Tensor, "batch wanted width"]:
        """The first `wanted` rows of the next layer."""
        return self.after(rows[:, :wanted], self.attention(self.before(rows), valid, shared, wanted))

    def before(self, rows: Tensor) -> Tensor:
        """What attention sees of the block's `rows`."""
        return self.attention_norm(rows) if self.norm_first else rows

    def after(self, rows: Tensor, attended: Tensor) -> Tensor:
        """Rows of the next layer from those that came in and what attention made of them."""
        if self.norm_first:
            rows = rows + self.dropout(attended)
            return rows + self.dropout(self.feed_forward(self.feed_forward_norm(rows)))
        rows = self.attention_norm(rows + self.dropout(attended))
        return self.feed_forward_norm(rows + self.dropout(self.feed_forward(rows)))


COMPILED_LENGTHS = 8
"""Lengths that a compiled model of one segment pads to."""


class PassedSegment(NamedTuple):
    """A segment whose summary does not reach the loss: only its memory goes on, and only that is computed."""

    tokens: Int[Tensor, "batch token"]
    present: Bool[Tensor, "batch token"]


class SegmentCell(nn.Module):
    """One segment: from token ids and memory to a summary (the sum of the valid rows) and the next memory."""

    def __init__(self, parameters: ModelParameters, attentions: list[Mixing]):
        super().__init__()
        rows = parameters.memory_tokens + parameters.segment_length
        self.memory_tokens = parameters.memory_tokens
        self.embedding = nn.Embedding(parameters.vocabulary, parameters.width)
        # Weaker than the embeddings, so that training starts from what a token is rather than from where it stands.
        self.positions = nn.Parameter(0.3 * torch.randn(rows, parameters.width))
        self.blocks = nn.ModuleList(Block(attention, parameters) for attention in attentions)
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


class SegmentClassifier(nn.Module):
    """Classify token sequences, segment after segment.

    Raises
    ------
    ModelError
        In `forward`: a sequence that is empty or longer than `segments` x `segment_length`, or a token out of range.
    """

    def __init__(self, parameters: ModelParameters, attentions: list[Mixing], retention: nn.Module):
        """`retention` gives the factors, as those of `model.memory.retention` do."""
        super().__init__()
        self.parameters_record = parameters
        self.cell = SegmentCell(parameters, attentions)
        self.initial_memory = nn.Parameter(0.02 * torch.randn(parameters.memory_tokens, parameters.width))
        self.head: nn.Module = nn.Linear(parameters.width, parameters.classes)
        self.retention = retention

    def forward(
        self,
        tokens: Int[Tensor, "batch token"],
        lengths: Int[Tensor, " batch"],
        differentiation: Differentiation = Amrb(),  # noqa: B008 (frozen)
    ) -> Float[Tensor, "batch class"]:
        """Logits. `tokens` are padded behind their `lengths`; `differentiation` says how gradients will be made."""
        return self.head(self.encode(tokens, lengths, differentiation))

    def encode(
        self, tokens: Int[Tensor, "batch token"], lengths: Int[Tensor, " batch"], differentiation: Differentiation
    ) -> Float[Tensor, "batch width"]:
        """What the head reads of each sequence."""
        self._check(tokens, lengths)
        if isinstance(differentiation, LayerwiseAmrb) and self._is_compiled:
            # The replay would run uncompiled, and draw other dropout masks than the compiled forward pass.
            raise ModelError("a compiled cell cannot be replayed layer by layer; use Amrb, or do not compile")
        record = self.parameters_record
        counts = (lengths + record.segment_length - 1) // record.segment_length
        if self._is_compiled:
            # A whole sequence in one segment would be padded to the longest that there can be.
            block = record.segment_length if record.segments > 1 else -(-record.segment_length // COMPILED_LENGTHS)
            room = record.longest_sequence - tokens.shape[1]
            tokens = functional.pad(tokens, (0, min(-tokens.shape[1] % block, room)))
        segments = self._mark_passed(split_segments(tokens, lengths, record.segment_length), counts)
        # Rows (segment, batch); where a sample has ended the factor is not used.
        retention = list(self.retention(len(segments), counts))
        # Not `expand`, whose strides differ from those of every later memory and would cost a compilation.
        memory = self.initial_memory.repeat(len(tokens), 1, 1)
        summaries, _ = scan(self.cell, segments, memory, retention, self.cell.shared(), differentiation)
        return self._readout(segments, summaries, lengths, counts)

    def compile_cell(self, backend: str = "inductor") -> None:
        """Compile the segment cell with `torch.compile`: segments have one shape, so one training graph serves all.

        Where the whole sequence is one segment, there are up to `COMPILED_LENGTHS` shapes, and as many graphs.
        Where the readout leaves segments out there is a second one for these; passes without a graph have their own.
        Weights keep their names. Replay and BPTT, both compiled, agree to the bit; with the plain model, to rounding.
        """
        # Training, replay and evaluation, read or passed, last batches that are not full: more than torch's limit of 8.
        torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 32)
        self.cell.compile(backend=backend, dynamic=False, fullgraph=True)

    @property
    def _is_compiled(self) -> bool:
        return self.cell._compiled_call_impl is not None

    def _mark_passed(self, segments: list[Segment], counts: Tensor) -> list[Segment]:
        """The segments, those that the readout leaves out as `PassedSegment`; shapes depend on it, so it is fetched."""
        if self.parameters_record.readout == "every":
            return segments
        read = {count - 1 for count in counts.tolist()}
        return [segment if index in read else PassedSegment(*segment) for index, segment in enumerate(segments)]

    def _readout(self, segments: list[Segment], summaries: list[Tensor], lengths: Tensor, counts: Tensor) -> Tensor:
        """The mean over valid tokens and memory rows: of the last segment that holds tokens, or of all that do."""
        record = self.parameters_record
        index = torch.arange(len(summaries), device=lengths.device)[:, None]
        if record.readout == "last":
            read, rows = index == counts - 1, lengths - (counts - 1) * record.segment_length + record.memory_tokens
        else:
            read, rows = index < counts, lengths + counts * record.memory_tokens
        # What is left out gets no gradient at all, rather than zeros that truncation would replay a segment for.
        chosen = [
            summary * mask[:, None]
            for segment, summary, mask in zip(segments, summaries, read, strict=True)
            if not isinstance(segment, PassedSegment)
        ]
        return torch.stack(chosen).sum(dim=0) / rows[:, None]

    def _check(self, tokens: Tensor, lengths: Tensor) -> None:
        self._check_batch(tokens, lengths)
        record = self.parameters_record
        if tokens.shape[1] > record.longest_sequence:
            raise ModelError(
                f"a sequence of {tokens.shape[1]} tokens is longer than {record.segments} segments of "
                f"{record.segment_length}; make a model with segments={-(-tokens.shape[1] // record.segment_length)}"
            )

    def _check_batch(self, tokens: Tensor, lengths: Tensor) -> None:
        if not len(tokens) == len(lengths) > 0:
            raise ModelError(
                f"{len(tokens)} sequences came with {len(lengths)} lengths; each needs its own, and one is least"
            )
        self.check_tokens(tokens)
        if lengths.dtype not in (torch.int32, torch.int64) or lengths.ndim != 1 or lengths.device != tokens.device:
            raise ModelError(
                f"lengths are {lengths.dtype} of shape {tuple(lengths.shape)} on {lengths.device}; "
                f"give one integer a sequence on {tokens.device}"
            )
        # On an accelerator this would wait for the device, and an index out of range stops there by itself.
        if tokens.device.type == "cpu" and (int(lengths.min()) < 1 or int(lengths.max()) > tokens.shape[1]):
            raise ModelError(
                f"lengths must lie between 1 and {tokens.shape[1]}, found {lengths.min()} to {lengths.max()}"
            )

    def check_tokens(self, tokens: Tensor) -> None:
        """Raise `ModelError` where `tokens` are not (batch, token) ids on the model's device that it knows."""
        check_tokens(tokens, self.initial_memory.device, self.parameters_record.vocabulary)


class PairClassifier(SegmentClassifier):
    """Classify pairs of documents, given as one sequence each with the record's `separator` between them.

    The documents are encoded apart, as rows of one batch; the head reads both encodings. `segments` and
    `segment_length` are those of a document.

    Raises
    ------
    ModelError
        In `forward`: as `SegmentClassifier` for each document, and as `model.networks.pairs.split_pairs`.
    """

    def __init__(self, parameters: ModelParameters, attentions: list[Mixing], retention: nn.Module):
        super().__init__(parameters, attentions, retention)
        self.head = pair_head(parameters)

    def forward(
        self,
        tokens: Int[Tensor, "batch token"],
        lengths: Int[Tensor, " batch"],
        differentiation: Differentiation = Amrb(),  # noqa: B008 (frozen)
    ) -> Float[Tensor, "batch class"]:
        """Logits of each pair; `tokens` are padded behind their `lengths`."""
        self._check_batch(tokens, lengths)
        documents, document_lengths = split_pairs(tokens, lengths, self.parameters_record.separator)
        first, second = self.encode(documents, document_lengths, differentiation).chunk(2)
        return self.head(torch.cat([first, second], dim=1))


def check_tokens(tokens: Tensor, device: torch.device, vocabulary: int) -> None:
    """Raise `ModelError` where `tokens` are not integers of shape (batch, token) on `device` below `vocabulary`."""
    if tokens.ndim != 2 or 0 in tokens.shape or tokens.dtype not in (torch.int32, torch.int64):
        raise ModelError(
            f"tokens are {tokens.dtype} of shape {tuple(tokens.shape)}; "
            "give int32 or int64 of shape (batch, token), one token at least"
        )
    if tokens.device != device:
        raise ModelError(f"tokens are on {tokens.device}, the model on {device}; move one to the other")
    # On an accelerator this would wait for the device, and an index out of range stops there by itself.
    if tokens.device.type == "cpu" and (int(tokens.min()) < 0 or int(tokens.max()) >= vocabulary):
        raise ModelError(
            f"token {int(tokens.max() if tokens.min() >= 0 else tokens.min())} is out of range; "
            f"the model knows 0 to {vocabulary - 1}"
        )


def split_segments(
    tokens: Int[Tensor, "batch token"], lengths: Int[Tensor, " batch"], segment_length: int
) -> list[Segment]:
    """Pairs of token ids and their validity, both (batch, segment_length); the last ends with the longest sequence."""
    present = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
    return list(zip(tokens.split(segment_length, dim=1), present.split(segment_length, dim=1), strict=True))


def build_model(parameters: ModelParameters, tables: Tables) -> SegmentClassifier:
    """The model that `parameters` name, with retention factors, exponent and decay from `tables`.

    With a `separator` it is a `PairClassifier`.

    Raises
    ------
    distill.tables.TableError
        The tables lack the variant or the number of segments; the message gives the command that makes them.
    """
    variant = parameters.retention if parameters.family.retains else "none"
    retention = build_retention(tables, parameters.segments, variant)
    kind = PairClassifier if parameters.separator else SegmentClassifier
    return kind(parameters, [_attention(parameters, tables) for _ in range(parameters.layers)], retention)


def _attention(parameters: ModelParameters, tables: Tables) -> Mixing:
    rows = parameters.memory_tokens + parameters.segment_length
    if parameters.family.attention == "softmax":
        return SoftmaxAttention(parameters.width, parameters.heads)
    if parameters.family.attention == "state_space":
        return StateSpace(parameters.width, parameters.state_size, rows)
    return linear_time_attention(AstromorphicAttention, parameters, tables, rows)


def linear_time_attention(
    kind: type[AnyAstromorphic], parameters: ModelParameters, tables: Tables, rows: int
) -> AnyAstromorphic:
    """Astromorphic attention of a `kind` over `rows`, or the linear attention that it contains, as `parameters` say."""
    width, heads = parameters.width, parameters.heads
    if parameters.family.attention == "linear":
        return kind(width, heads, None, 1.0, 1.0)
    kernels: dict[str, Callable[[], nn.Module]] = {
        "decaying": lambda: ExponentialKernel(tables.decay_per_token),
        "learned": lambda: LearnedExponentialKernel(tables.decay_per_token),
        "measured": lambda: MeasuredKernel(torch.from_numpy(tables.decay_kernel(rows)).float()),
    }
    make_kernel = kernels.get(parameters.relative_positions)
    exponent = 1.0 if parameters.exponent == "one" else tables.exponent
    return kind(
        width,
        heads,
        RelativePositions(width, heads, rows, make_kernel()) if make_kernel else None,
        nn.Parameter(torch.tensor(exponent)) if parameters.exponent == "learned" else exponent,
        1.0 if parameters.write_scale == "one" else None,
    )
