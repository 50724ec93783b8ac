"""The causal form, for language models: a token reads what came before it, and memory goes on from segment to segment.

Within a segment H and g of `model.layers.attention` become sums over the tokens up to each one, in blocks:

    H_n = scale sum_{i <= n} (K_i + phi(R)_i) V_i^T      g_n = (sum_{i <= n} K_i)^alpha      L_n = Q_n H_n / (Q_n . g_n)

phi(R) depends on parameters alone, so that no token sees a later one through it. A segment is [memory; tokens; memory]:
its tokens read the memory in front, and the copy behind, which may see all of them, becomes the next memory. That is
the decoder of RMT (arXiv 2207.06881); the causal form of RMAAT's attention is ours. The retention factor must not
depend on the number of segments, which a language model does not know: variant `streaming`, `saturation` or `none`.
"""

from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from model.errors import ModelError
from model.layers.attention import AstromorphicAttention, join_heads, split_heads
from model.layers.block import Block
from model.layers.fused import LEAST_KEY_SUM, positive_features
from model.layers.precision import at_least_float32, without_autocast
from model.memory.differentiation import Amrb, Differentiation
from model.memory.scan import scan
from model.networks.cell import make_block
from model.networks.classifier import check_tokens
from model.networks.parameters import ModelParameters

BLOCK = 64
"""Tokens of a block: a masked product within, one memory carried between."""


class Written(NamedTuple):
    """What a layer has written so far in a segment."""

    memory: Float[Tensor, "batch head feature value"]
    key_sum: Float[Tensor, "batch head 1 feature"]


def causal_attention(
    query: Float[Tensor, "batch head token feature"],
    key: Float[Tensor, "batch head token feature"],
    value: Float[Tensor, "batch head token value"],
    astrocytic: Float[Tensor, "head token feature"] | None,
    valid: Bool[Tensor, "batch token"],
    exponent: Float[Tensor, ""],
    scale: float,
    written: Written | None = None,
) -> tuple[Float[Tensor, "batch head token value"], Written]:
    """What each token reads of itself and those before it, and of what is `written` already; and what is written then.

    O(token): no (token, token) matrix and no memory for each token. Arguments as in `model.layers.fused`.
    """
    with without_autocast(query):
        features, rows = positive_features(query), valid[:, None, :, None]
        keys = positive_features(key) * rows
        traces = keys if astrocytic is None else keys + astrocytic * rows
        batch, heads, _, size = keys.shape
        before = written or Written(
            keys.new_zeros(batch, heads, size, value.shape[3]), keys.new_zeros(batch, heads, 1, size)
        )
        key_sums = before.key_sum + keys.cumsum(dim=2)
        normaliser = (features * key_sums.clamp(min=LEAST_KEY_SUM).pow(exponent)).sum(dim=3, keepdim=True)
        asked, traces, values = (_blocks(x) for x in (features, scale * traces, at_least_float32(value)))
        memories = before.memory[:, :, None] + (traces.mT @ values).cumsum(dim=2)
        earlier = torch.cat([before.memory[:, :, None], memories[:, :, :-1]], dim=2)
        read = asked @ earlier + (asked @ traces.mT).tril() @ values
        read = read.flatten(2, 3)[:, :, : query.shape[2]] / normaliser
        return read.to(value.dtype), Written(memories[:, :, -1], key_sums[:, :, -1:])


def _blocks(x: Tensor) -> Tensor:
    """(batch, head, token, feature) as (batch, head, block, token, feature), padded with zeros, which write nothing."""
    size = min(BLOCK, x.shape[2])
    return functional.pad(x, (0, 0, 0, -x.shape[2] % size)).unflatten(2, (-1, size))


class CausalAttention(AstromorphicAttention):
    """Astromorphic, or linear, attention whose rows see none behind them."""

    def advance(
        self, rows: Tensor, valid: Tensor, astrocytic: Tensor | None, written: Written | None
    ) -> tuple[Float[Tensor, "batch token width"], Written]:
        """The next rows of a segment, after those that have `written`; `astrocytic` is phi(R) of these rows."""
        query, key, value = split_heads(self.project_in(rows), self.heads, 3)
        read, written = causal_attention(query, key, value, astrocytic, valid, self.exponent, self.scale, written)
        return self.project_out(join_heads(read)), written


class CausalSegment(NamedTuple):
    """Tokens whose logits are wanted."""

    tokens: Int[Tensor, "batch token"]
    present: Bool[Tensor, "batch token"]


class PredictedSegment(NamedTuple):
    """Tokens with those that follow them; the sum of the losses is wanted, and logits are not kept."""

    tokens: Int[Tensor, "batch token"]
    present: Bool[Tensor, "batch token"]
    targets: Int[Tensor, "batch token"]


class CausalCell(nn.Module):
    """One segment: from token ids and memory to logits, or to the sum of their losses, and the next memory."""

    def __init__(self, parameters: ModelParameters, attentions: list[CausalAttention]):
        super().__init__()
        self.memory_tokens = parameters.memory_tokens
        rows = 2 * parameters.memory_tokens + parameters.segment_length
        self.embedding = nn.Embedding(parameters.vocabulary, parameters.width)
        self.positions = nn.Parameter(0.3 * torch.randn(rows, parameters.width))
        self.blocks = nn.ModuleList(make_block(attention, parameters) for attention in attentions)
        self.final_norm = nn.LayerNorm(parameters.width) if parameters.norm == "pre" else nn.Identity()
        self.dropout = nn.Dropout(parameters.dropout)
        self.head = nn.Linear(parameters.width, parameters.vocabulary)

    def shared(self) -> tuple[Tensor, ...]:
        """Each layer's step-constant tensors, one after the other."""
        return tuple(tensor for block in self.blocks for tensor in cast(Block, block).attention.shared())

    def forward(
        self,
        segment: CausalSegment | PredictedSegment,
        memory: Float[Tensor, "batch memory width"],
        retention: Float[Tensor, ""],
        shared: tuple[Tensor, ...],
    ) -> tuple[Tensor, Float[Tensor, "batch memory width"]]:
        """Logits (batch, token, vocabulary) or the sum of losses (), by the kind of segment."""
        tokens, present = segment[:2]
        always = present.new_ones(memory.shape[:2])
        rows = torch.cat([memory, self.embedding(tokens), memory], dim=1)
        rows, _ = self.advance(rows, torch.cat([always, present, always], dim=1), 0, (), shared)
        logits = self.head(rows[:, self.memory_tokens : self.memory_tokens + tokens.shape[1]])
        memory = rows[:, rows.shape[1] - self.memory_tokens :] * retention.to(rows.dtype)
        if isinstance(segment, PredictedSegment):
            losses = functional.cross_entropy(at_least_float32(logits.mT), segment.targets.long(), reduction="none")
            return (losses * present).sum(), memory
        return logits, memory

    def advance(
        self, rows: Tensor, valid: Tensor, first: int, written: tuple[Written, ...], shared: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "batch token width"], tuple[Written, ...]]:
        """The next `rows` of a segment through all layers, the first of them at place `first`.

        `written` holds what each layer has written before, and is empty at the start of a segment.
        """
        places, after = slice(first, first + rows.shape[1]), []
        rows = self.dropout(rows + self.positions[places])
        for index, module in enumerate(self.blocks):
            block = cast(Block, module)
            attention = cast(CausalAttention, block.attention)
            astrocytic = shared[index][:, places] if shared else None
            attended, state = attention.advance(
                block.before(rows), valid, astrocytic, written[index] if written else None
            )
            rows = block.after(rows, attended)
            after.append(state)
        return self.final_norm(rows), tuple(after)


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
        segments = [CausalSegment(*parts) for parts in zip(*self._cut(tokens), strict=True)]
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
        given, targets = self._cut(tokens[:, :-1]), self._cut(tokens[:, 1:])[0]
        segments = [PredictedSegment(*parts) for parts in zip(*given, targets, strict=True)]
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

    def _cut(self, tokens: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Tokens and their presence by segment, the last padded to the shape of the others."""
        self.check(tokens)
        length = self.parameters_record.segment_length
        padded = functional.pad(tokens, (0, -tokens.shape[1] % length))
        present = (torch.arange(padded.shape[1], device=tokens.device) < tokens.shape[1]).expand(len(tokens), -1)
        return padded.split(length, dim=1), present.split(length, dim=1)

    def _scan(
        self, segments: list, tokens: Tensor, carried: Carried | None, differentiation: Differentiation
    ) -> tuple[list[Tensor], Carried]:
        carried = carried or self.start(len(tokens))
        if len(carried.memory) != len(tokens):
            raise ModelError(f"{len(tokens)} sequences came with the memory of {len(carried.memory)}; carry their own")
        retention = [self.factor(carried.segments + index) for index in range(len(segments))]
        found, memory = scan(self.cell, segments, carried.memory, retention, self.cell.shared(), differentiation)
        return found, Carried(memory, carried.segments + len(segments))
