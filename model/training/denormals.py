"""Numbers below float32's normal range, which a CPU takes many times longer to handle."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


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
