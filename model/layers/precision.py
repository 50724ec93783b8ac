"""Number formats inside a layer: float32 where half precision loses digits; denormal numbers as zero."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """`x` as float32 if it is float16 or bfloat16; otherwise `x`."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def without_autocast(x: Tensor) -> AbstractContextManager:
    """A context without autocast on the device of `x`; the meta device has no autocast."""
    device = x.device.type
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()


@contextmanager
def denormals_flushed() -> Iterator[None]:
    """Replace denormal numbers (below 1.2e-38) by zero on the CPU threads that torch starts in this context.

    Gradients that fade over many segments become denormal, and a step then takes a CPU many times as long.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
