"""Segment-recurrent classifiers: RMAAT and its baselines, which differ only in attention and memory.

    [memory; tokens + positions] -> { attention, residual, norm; feed-forward, residual, norm } x layers
    memory_{t+1} = RF(t, T) memory'_{t+1},   memory' = the first M rows of the last layer

Source: RMAAT (arXiv 2601.00426) figure 2 and section 3. The paper leaves the following open, and our choices are:
several heads with an output projection, a learned initial memory, learned positions of tokens within a segment, the
readout, and T = the number of segments that hold tokens.
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
from model.networks.cell import PassedSegment, SegmentCell, initial_memory, split_segments
from model.networks.parameters import ModelParameters

COMPILED_LENGTHS = 8
"""Number of lengths to which a compiled model of one segment pads its input."""


class SegmentClassifier(nn.Module):
    """Classify token sequences, one segment after the other.

    Raises
    ------
    ModelError
        In `forward`: an empty sequence, one longer than `segments` x `segment_length`, or a token out of range.
    """

    def __init__(self, parameters: ModelParameters, attentions: list[Mixing], retention: nn.Module):
        """`retention` is a module of `model.memory.retention`."""
        super().__init__()
        self.parameters_record = parameters
        self.cell = SegmentCell(parameters, attentions)
        self.initial_memory = initial_memory(parameters)
        self.head: nn.Module = nn.Linear(parameters.width, parameters.classes)
        self.retention = retention

    def forward(
        self,
        tokens: Int[Tensor, "batch token"],
        lengths: Int[Tensor, " batch"],
        differentiation: Differentiation = Amrb(),  # noqa: B008 (frozen)
    ) -> Float[Tensor, "batch class"]:
        """Logits. `tokens` are padded after their `lengths`; `differentiation` is the method for the gradient."""
        return self.head(self.encode(tokens, lengths, differentiation))

    def encode(
        self, tokens: Int[Tensor, "batch token"], lengths: Int[Tensor, " batch"], differentiation: Differentiation
    ) -> Float[Tensor, "batch width"]:
        """Input of the head: the encoding of each sequence."""
        self._check(tokens, lengths)
        if isinstance(differentiation, LayerwiseAmrb) and self._is_compiled:
            # The replay would run uncompiled stages, which draw other dropout masks than the compiled forward pass.
            raise ModelError("a compiled cell cannot be replayed layer by layer; use Amrb, or do not compile")
        record = self.parameters_record
        counts = (lengths + record.segment_length - 1) // record.segment_length
        if self._is_compiled:
            # If the whole sequence is one segment, padding it to the full segment length would waste time.
            block = record.segment_length if record.segments > 1 else -(-record.segment_length // COMPILED_LENGTHS)
            most = record.longest_sequence - tokens.shape[1]
            tokens = functional.pad(tokens, (0, min(-tokens.shape[1] % block, most)))
        segments = self._mark_passed(split_segments(tokens, lengths, record.segment_length), counts)
        # One factor per sample and segment; factors after the end of a sample are not used.
        retention = list(self.retention(len(segments), counts))
        # Not `len`, which would fix the number of sequences of an exported program. `expand` would have other strides
        # than every later memory, and cost one more compilation.
        memory = self.initial_memory.repeat(tokens.shape[0], 1, 1)
        summaries, _ = scan(self.cell, segments, memory, retention, self.cell.shared(), differentiation)
        return self._readout(segments, summaries, lengths, counts)

    def compile_cell(self, backend: str = "inductor") -> None:
        """Compile the segment cell with `torch.compile`.

        All segments have one shape, so training needs one compiled graph. Three cases add graphs: a whole sequence as
        one segment (up to `COMPILED_LENGTHS`), segments that the readout leaves out (one), and passes without gradient.
        Names of weights stay. Replay and BPTT, both compiled, agree to
        the bit; compiled and plain model agree to rounding. Compiled rows are computed all at once.

        Raises
        ------
        ModelError
            The model has a number of rows for `row_block`.
        """
        if isinstance(self.parameters_record.row_block, int):
            raise ModelError(
                f"row_block is {self.parameters_record.row_block}, but a compiled cell computes all rows at once; "
                "set row_block to automatic or none, or do not compile"
            )
        self.cell.row_block = 0
        # Training, replay, evaluation, passed segments and smaller last batches exceed torch's limit of 8 compilations.
        # `torch.compiler` has no setting for the limit, so this uses the private module.
        torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 32)
        self.cell.compile(backend=backend, dynamic=False, fullgraph=True)

    @property
    def _is_compiled(self) -> bool:
        return self.cell._compiled_call_impl is not None

    def _mark_passed(self, segments: list[Segment], counts: Tensor) -> list[Segment]:
        """The segments, as `PassedSegment` if the readout leaves them out; waits for `counts` on an accelerator."""
        # An exported program does not have the counts of its sequences yet, so it reads every segment.
        if self.parameters_record.readout == "every" or torch.compiler.is_compiling():
            return segments
        # Sequences on the meta device have no lengths; they count as full.
        read = {len(segments) - 1} if counts.is_meta else {count - 1 for count in counts.tolist()}
        return [segment if index in read else PassedSegment(*segment) for index, segment in enumerate(segments)]

    def _readout(self, segments: list[Segment], summaries: list[Tensor], lengths: Tensor, counts: Tensor) -> Tensor:
        """The last token's row, or the mean over valid tokens and memory rows of the last segment or of all."""
        record = self.parameters_record
        index = torch.arange(len(summaries), device=lengths.device)[:, None]
        if record.readout == "every":
            read, rows = index < counts, lengths + counts * record.memory_tokens
        else:
            read, rows = index == counts - 1, lengths - (counts - 1) * record.segment_length + record.memory_tokens
        if record.readout == "token":
            rows = torch.ones_like(rows)
        # Leave passed segments out: zero gradients, unlike None, would trigger a replay under truncation.
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
        if not tokens.shape[0] == lengths.shape[0] > 0:
            raise ModelError(
                f"{tokens.shape[0]} sequences came with {lengths.shape[0]} lengths; "
                "give one length per sequence, and at least one sequence"
            )
        self.check_tokens(tokens)
        if lengths.dtype not in (torch.int32, torch.int64) or lengths.ndim != 1 or lengths.device != tokens.device:
            raise ModelError(
                f"lengths are {lengths.dtype} of shape {tuple(lengths.shape)} on {lengths.device}; "
                f"give one integer per sequence, on {tokens.device}"
            )
        if has_values(tokens) and (int(lengths.min()) < 1 or int(lengths.max()) > tokens.shape[1]):
            raise ModelError(
                f"lengths must lie between 1 and {tokens.shape[1]}, found {lengths.min()} to {lengths.max()}"
            )

    def check_tokens(self, tokens: Tensor) -> None:
        """Raise `ModelError` unless `tokens` are ids (batch, token) of the vocabulary, on the model's device."""
        check_tokens(tokens, self.initial_memory.device, self.parameters_record.vocabulary)


def check_tokens(tokens: Tensor, device: torch.device, vocabulary: int) -> None:
    """Raise `ModelError` unless `tokens` are integers from 0 to `vocabulary` - 1, (batch, token), on `device`."""
    if tokens.ndim != 2 or 0 in tokens.shape or tokens.dtype not in (torch.int32, torch.int64):
        raise ModelError(
            f"tokens are {tokens.dtype} of shape {tuple(tokens.shape)}; "
            "give int32 or int64 of shape (batch, token), with at least one token"
        )
    if tokens.device != device:
        raise ModelError(f"tokens are on {tokens.device}, the model on {device}; move one to the other")
    if has_values(tokens) and (int(tokens.min()) < 0 or int(tokens.max()) >= vocabulary):
        raise ModelError(
            f"token {int(tokens.max() if tokens.min() >= 0 else tokens.min())} is out of range; "
            f"the vocabulary is 0 to {vocabulary - 1}"
        )


def has_values(tokens: Tensor) -> bool:
    """Whether the values of `tokens` can be checked at no cost.

    Not on an accelerator: the check would wait for the device, which reports a wrong index itself. Not during
    `torch.export` and `torch.compile`, whose graph has no values.
    """
    return tokens.device.type == "cpu" and not torch.compiler.is_compiling()
