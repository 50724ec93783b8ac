"""Inference on a stream of tokens: constant memory, no limit on length, and the same outputs as for a whole batch.

    stream = LanguageModelStream(model, batch=1)
    logits = stream.feed(tokens)                  # any number of tokens per call

A stream holds the memory and at most one segment: its tokens (classifier), or the states of its layers
(language model). The retention factor must not depend on the number of segments.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from model.errors import ModelError
from model.memory.retention import factors_without_length, next_memory
from model.networks.causal_cell import LayerState
from model.networks.cell import PassedSegment
from model.networks.classifier import SegmentClassifier
from model.networks.language_model import Carried, LanguageModel


class LanguageModelStream:
    """Logits for the token after each token, equal to those of `LanguageModel.forward` on the whole text."""

    @torch.no_grad()
    def __init__(self, model: LanguageModel, batch: int = 1):
        self._model = model
        self._shared = model.cell.shared()
        self._carried = model.start(batch)
        self._states: tuple[LayerState, ...] = ()
        self._place = 0
        self._earlier = torch.zeros(batch, 0, dtype=torch.int64, device=self._carried.memory.device)

    @torch.no_grad()
    def feed(self, tokens: Int[Tensor, "batch token"]) -> Float[Tensor, "batch token vocabulary"]:
        """Read the next `tokens`.

        Raises
        ------
        ModelError
            Tokens out of range, of another shape or batch size; or more segments than retention factors.
        """
        self._model.check(tokens)
        _check_batch(tokens, len(self._carried.memory))
        logits = []
        while tokens.shape[1]:
            if self._place == 0:
                self._model.factor(self._carried.segments)
                self._advance(self._entering())
            missing = self._model.parameters_record.segment_length - self._place
            rows = self._advance(self._embed(tokens[:, :missing]))
            logits.append(self._model.cell.head(rows))
            self._place += rows.shape[1]
            tokens = tokens[:, missing:]
            if self._place == self._model.parameters_record.segment_length:
                self._end_segment()
        return torch.cat(logits, dim=1)

    def _embed(self, tokens: Tensor) -> Tensor:
        """Rows of the next `tokens` of the segment, which become the earlier ones."""
        cell = self._model.cell
        rows = cell.embed(tokens, self._place, self._earlier)
        known = torch.cat([self._earlier, tokens.long()], dim=1)
        self._earlier = known[:, max(0, known.shape[1] - cell.ngram_reach) :]
        return rows

    def _advance(self, rows: Tensor) -> Tensor:
        """Run the next `rows` of the segment through all layers; a memory without tokens has no rows."""
        if rows.shape[1] == 0:
            return rows
        first = self._model.parameters_record.memory_tokens + self._place if self._states else 0
        valid = torch.ones(rows.shape[:2], dtype=torch.bool, device=rows.device)
        rows, self._states = self._model.cell.advance(rows, valid, first, self._states, self._shared)
        return rows

    def _entering(self) -> Tensor:
        return self._model.cell.memory_norm(self._carried.memory)

    def _end_segment(self) -> None:
        """Compute the next memory from the memory rows after the tokens, which read the whole segment."""
        memory, done = self._carried.memory, self._carried.segments
        factor = self._model.factor(done)
        if memory.shape[1]:
            rule = self._model.parameters_record.memory_rule
            memory = next_memory(rule, memory, self._advance(self._entering()), factor)
        self._carried, self._states, self._place = Carried(memory, done + 1), (), 0
        self._earlier = self._earlier[:, :0]


class ClassifierStream:
    """Logits of the tokens read so far, equal to those of `SegmentClassifier.forward` on sequences of that length."""

    @torch.no_grad()
    def __init__(self, model: SegmentClassifier, batch: int = 1):
        record = model.parameters_record
        if record.separator:
            raise ModelError(
                "this model encodes the two documents of a pair separately, but a stream is one document; "
                "use a model without a separator"
            )
        variant = record.retention if record.family.retains else "none"
        self._retention = factors_without_length(model.retention, variant)
        self._model = model
        self._shared = model.cell.shared()
        self._memory = model.initial_memory.repeat(batch, 1, 1)
        self._pending = torch.zeros(batch, 0, dtype=torch.int64, device=self._memory.device)
        self._summed = self._memory.new_zeros(batch, record.width)
        self._segments = 0

    @torch.no_grad()
    def feed(self, tokens: Int[Tensor, "batch token"]) -> None:
        """Read the next `tokens`.

        Raises
        ------
        ModelError
            Tokens out of range, of another shape or batch size; or more segments than retention factors.
        """
        _check_batch(tokens, len(self._memory))
        self._model.check_tokens(tokens)
        record = self._model.parameters_record
        while tokens.shape[1]:
            if self._pending.shape[1] == record.segment_length:
                self._pass_segment()
            missing = record.segment_length - self._pending.shape[1]
            self._pending = torch.cat([self._pending, tokens[:, :missing].long()], dim=1)
            tokens = tokens[:, missing:]

    @torch.no_grad()
    def logits(self) -> Float[Tensor, "batch class"]:
        """Logits if the sequence ended here; raises `ModelError` before the first token."""
        if self._pending.shape[1] == 0:
            raise ModelError("no token has been fed yet; feed some before asking for logits")
        record = self._model.parameters_record
        rows = 1 if record.readout == "token" else self._pending.shape[1] + record.memory_tokens
        summary, _ = self._run(tuple(self._padded()))
        if record.readout == "every":
            summary = summary + self._summed
            rows += self._segments * (record.segment_length + record.memory_tokens)
        return self._model.head(summary / rows)

    def _pass_segment(self) -> None:
        """Run the full pending segment because another follows: for its memory, and its summary if all are read."""
        if self._segments + 1 == len(self._retention):
            raise ModelError(
                f"the stream is longer than {len(self._retention)} segments of "
                f"{self._model.parameters_record.segment_length}; build a model with more segments"
            )
        read = self._model.parameters_record.readout == "every"
        summary, self._memory = self._run(self._padded() if read else PassedSegment(*self._padded()))
        self._summed = self._summed + summary
        self._pending = self._pending[:, :0]
        self._segments += 1

    def _padded(self) -> tuple[Tensor, Tensor]:
        missing = self._model.parameters_record.segment_length - self._pending.shape[1]
        present = functional.pad(torch.ones_like(self._pending, dtype=torch.bool), (0, missing))
        return functional.pad(self._pending, (0, missing)), present

    def _run(self, segment: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        factor = self._retention[self._segments].expand(len(self._memory))
        return self._model.cell(segment, self._memory, factor, self._shared)


def _check_batch(tokens: Tensor, batch: int) -> None:
    if tokens.ndim != 2 or len(tokens) != batch:
        raise ModelError(
            f"tokens of shape {tuple(tokens.shape)} came to a stream of {batch} sequences; give one row per sequence"
        )
