"""Rows of grey values by a linear map, in place of one embedding for each value.

Token ids are those of `model.tasks.data.encoding`: 0 is padding, and the grey value g has the id g + 1.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

MIDDLE, SPREAD = 127.5, 73.9
"""Mean and standard deviation of the values 0 to 255, each equally often."""


class PixelEmbedding(nn.Module):
    """x = sum_j w_j (g_j - mean) / deviation + b over the grey values g_j of a square patch, and zeros for padding.

    The patch of side `patch` is centred at the pixel; with 1 it is the pixel itself. Pictures are read row by row,
    `picture_width` pixels a row. Beyond the edges of the picture and of the segment, the grey is the mean.

    Equal steps of grey are equal steps of x, which separate embeddings would have to learn.
    """

    def __init__(self, width: int, patch: int = 1, picture_width: int = 32):
        super().__init__()
        # Rows are of the size of an embedding, whose entries are normal with deviation 1.
        self.weight = nn.Parameter(torch.randn(patch**2, width) / patch)
        self.bias = nn.Parameter(torch.zeros(width))
        self.patch, self.picture_width = patch, picture_width

    def forward(self, tokens: Int[Tensor, "batch token"]) -> Float[Tensor, "batch token width"]:
        """Rows of the token ids."""
        present = tokens > 0
        grey = (tokens.to(self.weight.dtype) - 1 - MIDDLE) / SPREAD * present
        return (self._patches(grey) @ self.weight + self.bias) * present[..., None]

    def _patches(self, grey: Float[Tensor, "batch token"]) -> Float[Tensor, "batch token pixel"]:
        """The grey values of each pixel's patch, row by row."""
        if self.patch == 1:
            return grey[..., None]
        count = grey.shape[1]
        # The last row of a segment may be cut.
        pictures = functional.pad(grey, (0, -count % self.picture_width)).view(grey.shape[0], 1, -1, self.picture_width)
        return functional.unfold(pictures, self.patch, padding=self.patch // 2).mT[:, :count]
