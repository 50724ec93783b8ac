"""Rows of grey values by a linear map, in place of one embedding for each value.

Token ids are those of `model.tasks.data.encoding`: 0 is padding, and the grey value g has the id g + 1.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

MIDDLE, SPREAD = 127.5, 73.9
"""Mean and standard deviation of the values 0 to 255, each equally often."""


class PixelEmbedding(nn.Module):
    """x = w (g - mean) / deviation + b for a grey value g, and zeros for padding.

    Equal steps of grey are equal steps of x, which separate embeddings would have to learn.
    """

    def __init__(self, width: int):
        super().__init__()
        # Of the size of an embedding, whose entries are normal with deviation 1.
        self.weight = nn.Parameter(torch.randn(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, tokens: Int[Tensor, "batch token"]) -> Float[Tensor, "batch token width"]:
        """Rows of the token ids."""
        grey = (tokens.to(self.weight.dtype) - 1 - MIDDLE) / SPREAD
        return (grey[..., None] * self.weight + self.bias) * (tokens > 0)[..., None]
