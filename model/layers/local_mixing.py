"""Local mixing: each token adds a weighted sum of its neighbours, feature by feature, before a block mixes all rows.

    u_n = x_n + sum_d sum_j w_dj x_{n + d (j - c)}        j = 0 .. k - 1, for each dilation d

The middle c is (k - 1) / 2, or k - 1 if a token reads itself and earlier ones only. Beyond the edges of the segment and
at padded tokens, x counts as zero. Memory rows have no neighbours and stay as they are. In a picture read row by row,
the dilation of one row's length reaches the vertical neighbours.

The rows x are the input of the mixing alone, or the rows of the block themselves (`Block`). The neighbours then also
reach the feed-forward part, through a norm of their own in a block that norms first.

This is ours. Networks that lead the Long Range Arena mix neighbours before they attend (such as MEGA,
arXiv 2209.10655).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional


class LocalMixing(nn.Module):
    """Depthwise convolutions over the tokens of a segment, one per dilation, with `kernel` weights per feature.

    The tokens are all rows but the first `before` and the last `after`, which are memory. `one_sided` means that a
    token reads itself and earlier tokens only. `norm` is applied to neighbours before they are summed.
    """

    def __init__(
        self,
        width: int,
        kernel: int,
        dilations: tuple[int, ...],
        before: int,
        after: int,
        *,
        one_sided: bool,
        norm: nn.Module | None = None,
    ):
        super().__init__()
        self.norm = norm or nn.Identity()
        self.weights = nn.ParameterList(
            nn.Parameter(torch.empty(width, kernel).uniform_(-1, 1) / kernel**0.5) for _ in dilations
        )
        self.kernel, self.dilations, self.one_sided = kernel, dilations, one_sided
        self.before, self.after = before, after

    @property
    def reach(self) -> int:
        """The number of earlier tokens that a one-sided mixing reads."""
        return (self.kernel - 1) * max(self.dilations)

    def forward(
        self, rows: Float[Tensor, "batch row width"], valid: Bool[Tensor, "batch row"]
    ) -> Float[Tensor, "batch row width"]:
        """The rows of a segment, the tokens with their valid neighbours added."""
        end = rows.shape[1] - self.after
        tokens = rows[:, self.before : end]
        present = self.norm(tokens) * valid[:, self.before : end, None]
        if self.one_sided:
            present = functional.pad(present, (0, 0, self.reach, 0))
        mixed = tokens + self._neighbours(present)
        return torch.cat([rows[:, : self.before], mixed, rows[:, end:]], dim=1) if self.before + self.after else mixed

    def advance(
        self, tokens: Float[Tensor, "batch token width"], past: Float[Tensor, "batch reach width"]
    ) -> tuple[Float[Tensor, "batch token width"], Float[Tensor, "batch reach width"]]:
        """The next `tokens` of a segment with earlier ones added, after the `past` ones; and the new past."""
        known = torch.cat([past, self.norm(tokens)], dim=1)
        return tokens + self._neighbours(known), known[:, known.shape[1] - self.reach :]

    def _neighbours(self, tokens: Float[Tensor, "batch extended width"]) -> Float[Tensor, "batch token width"]:
        """The sum of all convolutions; a one-sided one takes `tokens` with `reach` rows before the first."""
        # Two-dimensional with one row, a convolution is fastest on a CPU.
        laid_out = tokens.mT.unsqueeze(2)
        first, *others = (self._convolve(laid_out, *part) for part in zip(self.weights, self.dilations, strict=True))
        return sum(others, first).squeeze(2).mT

    def _convolve(
        self, tokens: Float[Tensor, "batch width 1 extended"], weights: Float[Tensor, "width kernel"], dilation: int
    ) -> Float[Tensor, "batch width 1 token"]:
        span = dilation * (self.kernel - 1)
        return functional.conv2d(
            tokens[..., self.reach - span :] if self.one_sided else tokens,
            weights[:, None, None],
            padding=(0, 0 if self.one_sided else span // 2),
            dilation=(1, dilation),
            groups=tokens.shape[1],
        )
