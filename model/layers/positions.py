"""Relative positions: products x @ r of rows with r_ij = k(|i - j|), for k exponential or any kernel.

The plain form is the dense (token, token) matrix: `decay_matrix` and `kernel_matrix`. For more than `DENSE_TOKENS`
tokens the modules never make it:

- `exponential_product`, for k(d) = exp(-decay d), in O(token). With a = exp(-decay) it adds two scans:
  y_i = f_i + b_i - x_i,  f_i = a f_{i-1} + x_i,  b_i = a b_{i+1} + x_i.
- `kernel_product`, for any k, in O(token log token): a Toeplitz product by FFT.

Up to `DENSE_TOKENS` the dense product is faster.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from model.layers.position_sizes import BLOCK, DENSE_TOKENS


def distance_matrix(tokens: int, device: torch.device | None = None) -> Int[Tensor, "token token"]:
    """Distances |i - j| between tokens."""
    position = torch.arange(tokens, device=device)
    return (position[:, None] - position).abs()


def decay_matrix(tokens: int, decay: Float[Tensor, ""]) -> Float[Tensor, "token token"]:
    """r_ij = exp(-decay |i - j|), with `decay` per token: the spatial coupling of the astrocytes."""
    return torch.exp(-decay * distance_matrix(tokens, decay.device))


def exponential_product(rows: Float[Tensor, "*rows token"], decay: Float[Tensor, ""]) -> Float[Tensor, "*rows token"]:
    """`rows @ decay_matrix(tokens, decay)` by two scans, in O(token) time and memory."""
    backward = exponential_scan(rows.flip(-1), decay).flip(-1)
    return exponential_scan(rows, decay) + backward - rows


def exponential_scan(rows: Float[Tensor, "*rows token"], decay: Float[Tensor, ""]) -> Float[Tensor, "*rows token"]:
    """f_i = sum of exp(-decay (i - j)) x_j over j <= i.

    Within blocks it is a dense product. The sums carried into the blocks are the same scan over the ends of the blocks,
    with the decay of a whole block; the recursion depth is the logarithm of the length.
    """
    tokens = rows.shape[-1]
    within = decay_matrix(min(BLOCK, tokens), decay).triu().to(rows.dtype)
    if tokens <= BLOCK:
        return rows @ within
    blocks = functional.pad(rows, (0, -tokens % BLOCK)).unflatten(-1, (-1, BLOCK)) @ within
    ends = exponential_scan(blocks[..., -1], BLOCK * decay)
    carried = functional.pad(ends[..., :-1], (1, 0))
    fading = torch.exp(-decay * torch.arange(1, BLOCK + 1, device=rows.device)).to(rows.dtype)
    return (blocks + carried[..., None] * fading).flatten(-2)[..., :tokens]


def kernel_matrix(weights: Float[Tensor, " token"]) -> Float[Tensor, "token token"]:
    """r_ij = weights[|i - j|]."""
    return weights[distance_matrix(len(weights), weights.device)]


def kernel_product(
    rows: Float[Tensor, "*rows token"], weights: Float[Tensor, " token"]
) -> Float[Tensor, "*rows token"]:
    """`rows @ kernel_matrix(weights)` in O(token log token), as a circulant product of twice the length by FFT."""
    tokens = rows.shape[-1]
    circulant = torch.cat([weights, weights.new_zeros(1), weights[1:].flip(0)])
    spectrum = torch.fft.rfft(rows, n=2 * tokens) * torch.fft.rfft(circulant)
    return torch.fft.irfft(spectrum, n=2 * tokens)[..., :tokens]


def shuffled_decay(tokens: int, decay: float) -> Float[Tensor, " token"]:
    """The weights exp(-decay d) at shuffled distances d > 0: a control that keeps the strengths and loses distance.

    The order is the same in every call with the same number of `tokens`, whatever the seed of the model.
    """
    weights = torch.exp(-decay * torch.arange(tokens))
    order = torch.randperm(tokens - 1, generator=torch.Generator().manual_seed(0))
    return torch.cat([weights[:1], weights[1:][order]])


class ExponentialKernel(nn.Module):
    """k(d) = exp(-decay d), with the decay per token from the tables."""

    decay: Tensor

    def __init__(self, decay: float):
        super().__init__()
        self.register_buffer("decay", torch.tensor(decay))

    def forward(self, rows: Float[Tensor, "*rows token"]) -> Float[Tensor, "*rows token"]:
        """`rows @ r`."""
        return _exponential(rows, self.decay)


class LearnedExponentialKernel(nn.Module):
    """k(d) = exp(-decay d) with a learned decay that starts at the tables' value and stays positive."""

    def __init__(self, decay: float):
        super().__init__()
        self.log_decay = nn.Parameter(torch.tensor(decay).log())

    def forward(self, rows: Float[Tensor, "*rows token"]) -> Float[Tensor, "*rows token"]:
        """`rows @ r`."""
        return _exponential(rows, self.log_decay.exp())


class MeasuredKernel(nn.Module):
    """k(d) = weights[d] of any form, such as the measured influence; d in tokens."""

    weights: Tensor

    def __init__(self, weights: Float[Tensor, " token"]):
        super().__init__()
        self.register_buffer("weights", weights)

    def forward(self, rows: Float[Tensor, "*rows token"]) -> Float[Tensor, "*rows token"]:
        """`rows @ r`."""
        if rows.shape[-1] <= DENSE_TOKENS:
            return rows @ kernel_matrix(self.weights).to(rows.dtype)
        return kernel_product(rows, self.weights.to(rows.dtype))


def _exponential(rows: Tensor, decay: Tensor) -> Tensor:
    if rows.shape[-1] <= DENSE_TOKENS:
        return rows @ decay_matrix(rows.shape[-1], decay).to(rows.dtype)
    return exponential_product(rows, decay)
