"""Wrap models of other packages so that each returns the loss of one batch of tokens, for `benchmarks.peers`.

`benchmarks/peers.txt` lists the packages to install. A missing package is reported and its model skipped. No code of
these packages is copied here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

VOCABULARY, CLASSES = 16, 10


@dataclass(frozen=True)
class Size:
    """Sizes that all compared models share."""

    length: int = 8192
    segment_length: int = 512
    width: int = 128
    layers: int = 4
    heads: int = 4
    memory_tokens: int = 16

    @property
    def head_width(self) -> int:
        """Number of features of one head."""
        return self.width // self.heads


@dataclass(frozen=True)
class Peer:
    """A model of another package."""

    package: str
    """distribution that the model needs"""
    build: Callable[[Size], nn.Module]
    """returns a module from tokens (batch, token) to a loss; with a true `backpropagates` it computes gradients too"""


class Classifier(nn.Module):
    """Embedding and positions, an encoder of another package, the mean over tokens, the cross-entropy of class 0."""

    def __init__(self, size: Size, encoder: Callable[[Tensor], Tensor]):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, size.width)
        self.positions = nn.Parameter(0.02 * torch.randn(size.length, size.width))
        self.encoder = encoder
        self.head = nn.Linear(size.width, CLASSES)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the loss of one batch of tokens (batch, token)."""
        rows: Tensor = self.encoder(self.embedding(tokens) + self.positions)
        logits = self.head(rows.mean(1))
        return functional.cross_entropy(logits, tokens.new_zeros(len(tokens)))


class RecurrentMemory(nn.Module):
    """lucidrains' RMT with its own loss (the next token) and BPTT or its own memory replay."""

    def __init__(self, size: Size, replay: bool):
        super().__init__()
        from recurrent_memory_transformer_pytorch import (  # pyright: ignore[reportMissingImports]
            RecurrentMemoryTransformer,
            RecurrentMemoryTransformerWrapper,
        )

        # One residual stream and no memories of Transformer-XL give the plain RMT, like our baseline.
        model = RecurrentMemoryTransformer(
            size.width,
            num_tokens=VOCABULARY,
            depth=size.layers,
            num_memory_tokens=size.memory_tokens,
            seq_len=size.segment_length,
            dim_head=size.head_width,
            heads=size.heads,
            use_flash_attn=True,
            use_xl_memories=False,
            num_residual_streams=1,
        )
        self.model = RecurrentMemoryTransformerWrapper(model)
        self.replay = replay
        self.backpropagates = replay

    def forward(self, tokens: Tensor) -> Tensor:
        """The loss of one batch; with replay, gradients exist when it returns."""
        # The wrapper uses the last token as a label only.
        longer = functional.pad(tokens, (0, 1), value=1)
        if self.replay:
            return self.model(longer, memory_replay_backprop=True)
        return self.model(longer, return_loss=True)[0]


def _idiap(size: Size) -> nn.Module:
    from fast_transformers.builders import TransformerEncoderBuilder  # pyright: ignore[reportMissingImports]

    encoder = TransformerEncoderBuilder.from_kwargs(
        n_layers=size.layers,
        n_heads=size.heads,
        query_dimensions=size.head_width,
        value_dimensions=size.head_width,
        feed_forward_dimensions=4 * size.width,
        attention_type="linear",
        activation="gelu",
        dropout=0.0,
    ).get()
    return Classifier(size, encoder)


def _linear_attention_transformer(size: Size) -> nn.Module:
    from linear_attention_transformer import LinearAttentionTransformer  # pyright: ignore[reportMissingImports]

    encoder = LinearAttentionTransformer(
        size.width, size.layers, size.length, heads=size.heads, dim_head=size.head_width, causal=False
    )
    return Classifier(size, encoder)


def _x_transformers(size: Size) -> nn.Module:
    from x_transformers import Encoder  # pyright: ignore[reportMissingImports]

    encoder = Encoder(
        dim=size.width, depth=size.layers, heads=size.heads, attn_dim_head=size.head_width, attn_flash=True
    )
    return Classifier(size, encoder)


def _mambapy(size: Size) -> nn.Module:
    from mambapy.mamba import Mamba, MambaConfig  # pyright: ignore[reportMissingImports]

    configuration: Any = MambaConfig(d_model=size.width, n_layers=size.layers)
    return Classifier(size, Mamba(configuration))


PEERS = {
    "idiap fast-transformers, linear": Peer("pytorch-fast-transformers", _idiap),
    "linear-attention-transformer": Peer("linear-attention-transformer", _linear_attention_transformer),
    "x-transformers, softmax (flash)": Peer("x-transformers", _x_transformers),
    "mambapy, parallel scan": Peer("mambapy", _mambapy),
    "lucidrains RMT, BPTT": Peer("recurrent-memory-transformer-pytorch", lambda size: RecurrentMemory(size, False)),
    "lucidrains RMT, its replay": Peer(
        "recurrent-memory-transformer-pytorch", lambda size: RecurrentMemory(size, True)
    ),
}
