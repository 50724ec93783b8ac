"""Number formats inside a layer: float32 where half precision loses digits, and no denormal numbers."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """`x`, widened where it has half precision."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def without_autocast(x: Tensor) -> AbstractContextManager:
    """No autocast on the device of `x`."""
    return torch.autocast(x.device.type, enabled=False)


@contextmanager
def denormals_flushed() -> Iterator[None]:
    """Inside, what would be denormal (below 1.2e-38) is zero, on the CPU threads of torch that are started inside.

    Gradients that fade over many segments get there, and a step then takes a CPU many times as long.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
