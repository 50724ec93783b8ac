"""Dropout with a byte of random bits for each feature, much quicker on a CPU than torch's (`benchmarks.dropout`).

    y = x m / k        m = 1 where the byte is at least d, else 0        d = round(256 p)        k = 1 - d / 256

torch draws one number per feature, and for a small model that is a quarter of a forward pass. One random integer of 64
bits has eight bytes. The probability p is rounded to d / 256, and the rest scaled by the true k, so that the mean of y
is x. The mask m takes one byte per feature until the backward pass, torch's four. On other devices torch's dropout, its
twin, is as quick and serves instead.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

STEPS = 256
"""A probability is a multiple of one in this number, the values of a byte."""
_LOWEST = -(2**63)
_BYTES = 8


class Dropout(nn.Module):
    """Drop features at random in training, with a probability rounded to 1/256, and scale the others up.

    The bytes come from torch's default generator, so that `torch.manual_seed` and a replay repeat them.
    """

    def __init__(self, probability: float):
        super().__init__()
        self.dropped = round(STEPS * probability)
        """number of the byte's values for which a feature is dropped"""

    def forward(self, rows: Tensor) -> Tensor:
        """The `rows`, of any shape, with some features dropped in training."""
        if not self.training or not self.dropped:
            return rows
        if rows.device.type != "cpu":
            return functional.dropout(rows, self.dropped / STEPS)
        return rows * _kept(rows.detach(), self.dropped) * (STEPS / (STEPS - self.dropped))

    def extra_repr(self) -> str:
        """The probability, for printing a model."""
        return f"p={self.dropped / STEPS:g}"


# One operation for the compiler, which would break its graph at `random_`; the tag forbids it to merge or repeat draws.
@torch.library.custom_op("rmaat::kept_features", mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,))
def _kept(rows: Tensor, dropped: int) -> Tensor:
    """1 for a feature that is kept, else 0, as bytes in the shape of `rows`."""
    integers = torch.empty(-(-rows.numel() // _BYTES), dtype=torch.int64).random_(_LOWEST, None)
    # Comparing in place is ten times as quick as making a tensor of booleans.
    return integers.view(torch.uint8)[: rows.numel()].ge_(dropped).view(rows.shape)


@_kept.register_fake
def _(rows: Tensor, dropped: int) -> Tensor:  # noqa: ARG001
    return torch.empty(rows.shape, dtype=torch.uint8)
