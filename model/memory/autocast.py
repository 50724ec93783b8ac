"""The autocast state of a forward pass, stored so that a replay can run under the same one.

Autograd runs backward outside of autocast, so a replay inside backward must switch it on again.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class AutocastState:
    """Autocast on one type of device: enabled or not, and the dtype it casts to.

    The meta device, on which nothing is computed, has no autocast.
    """

    device_type: str
    enabled: bool
    dtype: torch.dtype

    @classmethod
    def current(cls, device_type: str) -> "AutocastState":
        """The state at the time of the call."""
        if not torch.amp.is_autocast_available(device_type):
            return cls(device_type, enabled=False, dtype=torch.float32)
        enabled = torch.is_autocast_enabled(device_type)
        return cls(device_type, enabled, torch.get_autocast_dtype(device_type))

    def restored(self) -> AbstractContextManager:
        """A context with this state, and without autocast's cache of casted weights.

        Before torch 2.10 the cache could return a cast from a pass without graph to a pass that builds one. That weight
        then received no gradient.
        """
        if not torch.amp.is_autocast_available(self.device_type):
            return nullcontext()
        return torch.autocast(self.device_type, self.dtype, self.enabled, cache_enabled=False)
