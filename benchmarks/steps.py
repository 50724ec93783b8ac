"""What benchmarks of training steps share; it needs no more than `benchmarks.gpu` does."""

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from model.memory.differentiation import Differentiation
from model.networks.classifier import SegmentClassifier


def random_batch(lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens (batch, token) of 16 kinds, the `lengths` (batch,) themselves, and labels (batch,) of 10 classes."""
    tokens = torch.randint(1, 16, (len(lengths), int(lengths.max())), device=lengths.device)
    return tokens, lengths, torch.randint(0, 10, (len(lengths),), device=lengths.device)


def gradient(
    model: SegmentClassifier,
    batch: tuple[Tensor, Tensor, Tensor],
    way: Differentiation,
    precision: torch.dtype = torch.float32,
) -> Tensor:
    """The gradient of the loss by all parameters, in one row; dropout leaves out the same each time."""
    tokens, lengths, labels = batch
    model.zero_grad()
    torch.manual_seed(1)
    with torch.autocast(tokens.device.type, torch.bfloat16, enabled=precision == torch.bfloat16):
        loss = functional.cross_entropy(model(tokens, lengths, way), labels)
    loss.backward()
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None])


def relative_error(found: Tensor, expected: Tensor) -> float:
    """|found - expected| / |expected|, reckoned in float64."""
    return ((found.double() - expected.double()).norm() / expected.double().norm()).item()


def eager_softmax() -> AbstractContextManager[Any]:
    """Softmax attention with all scores in memory, as in the published RMT; without it, as torch chooses."""
    return sdpa_kernel(SDPBackend.MATH)
