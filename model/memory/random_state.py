"""States of torch's random generators before each segment, so that a replay draws the same dropout masks."""

from dataclasses import dataclass

import torch
from torch import Tensor

from model.memory.packed import PackedTensors


@dataclass(frozen=True)
class RandomState:
    """The generators that a cell on `device` draws from: the CPU's, and the device's own on CUDA."""

    device: torch.device
    cpu: Tensor
    accelerator: Tensor | None

    @classmethod
    def current(cls, device: torch.device) -> "RandomState":
        """The state at the time of the call."""
        on_cuda = device.type == "cuda"
        return cls(device, torch.get_rng_state(), torch.cuda.get_rng_state(device) if on_cuda else None)

    def equals(self, other: "RandomState") -> bool:
        """Whether both states would draw the same numbers."""
        if self.accelerator is not None and other.accelerator is not None:
            return torch.equal(self.cpu, other.cpu) and torch.equal(self.accelerator, other.accelerator)
        return self.accelerator is other.accelerator and torch.equal(self.cpu, other.cpu)

    def restore(self) -> None:
        """Set the generators back to this state."""
        torch.set_rng_state(self.cpu)
        if self.accelerator is not None:
            torch.cuda.set_rng_state(self.accelerator, self.device)


class RandomStates:
    """The states before each of at most `capacity` segments.

    A state takes 5 kB. It is stored again only if the segment before drew a random number.
    """

    def __init__(self, device: torch.device, capacity: int):
        self.device = device
        self.rows: list[int] = []
        self.cpu, self.accelerator = PackedTensors(capacity), PackedTensors(capacity)
        self.latest: RandomState | None = None

    def append_current(self) -> None:
        """Add the state at the time of the call."""
        state = RandomState.current(self.device)
        if self.latest is None or not state.equals(self.latest):
            self.latest = state
            self.cpu.append(state.cpu)
            if state.accelerator is not None:
                self.accelerator.append(state.accelerator)
        self.rows.append(len(self.cpu) - 1)

    def __getitem__(self, index: int) -> RandomState:
        row = self.rows[index]
        on_cuda = self.device.type == "cuda"
        # Copies: torch.set_rng_state crashes on a tensor that does not own its memory.
        return RandomState(self.device, self.cpu[row].clone(), self.accelerator[row].clone() if on_cuda else None)
