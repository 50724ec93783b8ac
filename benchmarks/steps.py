"""Batches, gradients and the model size that the benchmarks of training steps share.

The module needs torch, NumPy and our own packages only, because `benchmarks.gpu` imports it.
"""

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from model.memory.differentiation import Differentiation
from model.networks.classifier import SegmentClassifier

MODEL_SIZE = {"width": 128, "layers": 4, "heads": 4, "feed_forward_width": 512, "memory_tokens": 16}
"""Size of the compared models. It is ours, because the paper's sizes are not public."""


def random_batch(lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return random tokens (batch, token) below 16, `lengths` (batch,), and random labels (batch,) below 10."""
    tokens = torch.randint(1, 16, (len(lengths), int(lengths.max())), device=lengths.device)
    return tokens, lengths, torch.randint(0, 10, (len(lengths),), device=lengths.device)


def gradient(
    model: SegmentClassifier,
    batch: tuple[Tensor, Tensor, Tensor],
    method: Differentiation,
    precision: torch.dtype = torch.float32,
) -> Tensor:
    """Return the gradient of the cross-entropy by all parameters, shape (parameter,).

    The seed is fixed, so dropout draws the same masks in every call.
    """
    tokens, lengths, labels = batch
    model.zero_grad()
    torch.manual_seed(1)
    with torch.autocast(tokens.device.type, torch.bfloat16, enabled=precision == torch.bfloat16):
        loss = functional.cross_entropy(model(tokens, lengths, method), labels)
    loss.backward()
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None])


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Return |found - expected| / |expected|, computed in float64."""
    return ((found.double() - expected.double()).norm() / expected.double().norm()).item()


def eager_softmax() -> AbstractContextManager[Any]:
    """Return a context in which softmax attention keeps all scores in memory, as the published RMT does.

    Outside of it torch chooses, usually its fused kernel.
    """
    return sdpa_kernel(SDPBackend.MATH)
