"""Segment-recurrent classifiers: RMAAT and its baselines, which differ in their attention and memory alone.

    [memory; tokens] + positions -> { attention and residual -> norm -> feed-forward -> add & norm } x layers
    memory_{t+1} = RF(t, T) memory'_{t+1},   memory' = the first M rows of the last layer

Source: RMAAT (arXiv 2601.00426) figure 2 and section 3. Heads, output projection, initial memory (learned), learned
positions within a segment, the readout and `T counts the segments that hold tokens` are ours.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from model.errors import ModelError
from model.layers.mixing import Mixing
from model.memory.differentiation import Amrb, Differentiation, LayerwiseAmrb
from model.memory.recurrence import Segment
from model.memory.scan import scan
from model.networks.cell import PassedSegment, SegmentCell, split_segments
from model.networks.parameters import ModelParameters

COMPILED_LENGTHS = 8
"""Lengths that a compiled model of one segment pads to."""


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
