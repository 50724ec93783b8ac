"""Inference as tokens come: constant memory, a length that nobody knows, and the outputs of the batch form.

    stream = LanguageModelStream(model, batch=1)
    logits = stream.feed(tokens)                  # any number at a time

A stream holds one segment at most: the tokens of the segment under way (classifier), or what its layers have written
(language model), and the memory. The retention factor must not depend on the number of segments.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from model.errors import ModelError
from model.layers.causal import Written
from model.memory.retention import factors_without_length
from model.networks.cell import PassedSegment
from model.networks.classifier import SegmentClassifier
from model.networks.language_model import Carried, LanguageModel


class LanguageModelStream:
    """Logits for what follows each token, as `LanguageModel.forward` gives them for the whole text."""

    @torch.no_grad()
    def __init__(self, model: LanguageModel, batch: int = 1):
        self._model = model
        self._shared = model.cell.shared()
        self._carried = model.start(batch)
        self._written: tuple[Written, ...] = ()
        self._place = 0

    @torch.no_grad()
    def feed(self, tokens: Int[Tensor, "batch token"]) -> Float[Tensor, "batch token vocabulary"]:
        """Read `tokens` after those that came before.

        Raises
        ------
        ModelError
            Tokens that the model cannot take, of another batch, or more segments than it has retention factors for.
        """
        self._model.check(tokens)
        _check_batch(tokens, len(self._carried.memory))
        logits = []
        while tokens.shape[1]:
            if self._place == 0:
                self._model.factor(self._carried.segments)
                self._advance(self._carried.memory)
            room = self._model.parameters_record.segment_length - self._place
            rows = self._advance(self._model.cell.embedding(tokens[:, :room]))
            logits.append(self._model.cell.head(rows))
            self._place += rows.shape[1]
            tokens = tokens[:, room:]
            if self._place == self._model.parameters_record.segment_length:
                self._end_segment()
        return torch.cat(logits, dim=1)

    def _advance(self, rows: Tensor) -> Tensor:
        """Rows through the layers; an empty memory passes none."""
        if rows.shape[1] == 0:
            return rows
        first = self._model.parameters_record.memory_tokens + self._place if self._written else 0
        valid = torch.ones(rows.shape[:2], dtype=torch.bool, device=rows.device)
        rows, self._written = self._model.cell.advance(rows, valid, first, self._written, self._shared)
        return rows

    def _end_segment(self) -> None:
        """The rows behind the tokens see all of them and become the next memory."""
        memory, done = self._carried.memory, self._carried.segments
        factor = self._model.factor(done)
        if memory.shape[1]:
            memory = self._advance(memory) * factor.to(memory.dtype)
        self._carried, self._written, self._place = Carried(memory, done + 1), (), 0


class ClassifierStream:
    """Logits of all that has come so far, as `SegmentClassifier.forward` gives them for sequences of that length."""

    @torch.no_grad()
    def __init__(self, model: SegmentClassifier, batch: int = 1):
        record = model.parameters_record
        if record.separator:
            raise ModelError(
                "this model encodes the documents of a pair apart, and a stream has one; "
                "stream a model without a separator"
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
        """Read `tokens` after those that came before.

        Raises
        ------
        ModelError
            Tokens that the model cannot take, of another batch, or more segments than it has retention factors for.
        """
        _check_batch(tokens, len(self._memory))
        self._model.check_tokens(tokens)
        record = self._model.parameters_record
        while tokens.shape[1]:
            if self._pending.shape[1] == record.segment_length:
                self._pass_segment()
            room = record.segment_length - self._pending.shape[1]
            self._pending = torch.cat([self._pending, tokens[:, :room].long()], dim=1)
            tokens = tokens[:, room:]

    @torch.no_grad()
    def logits(self) -> Float[Tensor, "batch class"]:
        """The answer if the sequence ended here; raises `ModelError` before the first token."""
        if self._pending.shape[1] == 0:
            raise ModelError("no token has been fed yet, so there is nothing to classify; feed some first")
        record = self._model.parameters_record
        rows = self._pending.shape[1] + record.memory_tokens
        summary, _ = self._run(tuple(self._padded()))
        if record.readout == "every":
            summary = summary + self._summed
            rows += self._segments * (record.segment_length + record.memory_tokens)
        return self._model.head(summary / rows)

    def _pass_segment(self) -> None:
        """The pending segment is followed by another, so that its memory is wanted, and its summary if all are read."""
        if self._segments + 1 == len(self._retention):
            raise ModelError(
                f"the stream is longer than {len(self._retention)} segments of "
                f"{self._model.parameters_record.segment_length}; make a model with more segments"
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
            f"tokens of shape {tuple(tokens.shape)} came to a stream of {batch} sequences; give a row each"
        )
