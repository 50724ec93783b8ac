"""The autocast state of a forward pass."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Autocast:
    """The autocast state of the forward pass; backward runs outside of it.

    Without its cache: before torch 2.10 a cast made without a graph was served to the pass that builds one, which then
    gave that weight no gradient.
    """

    device_type: str
    enabled: bool
    dtype: torch.dtype

    @classmethod
    def now(cls, device_type: str) -> "Autocast":
        """The state at this moment."""
        enabled = torch.is_autocast_enabled(device_type)
        return cls(device_type, enabled, torch.get_autocast_dtype(device_type))

    def again(self) -> AbstractContextManager:
        """A context in which the state is as it was."""
        return torch.autocast(self.device_type, self.dtype, self.enabled, cache_enabled=False)
