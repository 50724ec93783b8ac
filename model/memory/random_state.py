"""Random states and the memory tokens of every segment, stored compactly."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class RandomState:
    """The generators that a cell on `device` draws from."""

    device: torch.device
    cpu: Tensor
    accelerator: Tensor | None

    @classmethod
    def now(cls, device: torch.device) -> "RandomState":
        """The state at this moment."""
        on_cuda = device.type == "cuda"
        return cls(device, torch.get_rng_state(), torch.cuda.get_rng_state(device) if on_cuda else None)

    def equals(self, other: "RandomState") -> bool:
        """Whether the generators stand at the same number."""
        if self.accelerator is not None and other.accelerator is not None:
            return torch.equal(self.cpu, other.cpu) and torch.equal(self.accelerator, other.accelerator)
        return self.accelerator is other.accelerator and torch.equal(self.cpu, other.cpu)

    def restore(self) -> None:
        """Set the generators back to this state."""
        torch.set_rng_state(self.cpu)
        if self.accelerator is not None:
            torch.cuda.set_rng_state(self.accelerator, self.device)


class TensorBlock:
    """A list of tensors, one after the other in one allocation.

    Small tensors that stay, each allocated between the large ones of a segment that go, would split the heap: of a
    sequence of 131,072 tokens, 100 MB more stayed resident.
    """

    def __init__(self, most: int):
        self.most = most
        self.tensors: list[Tensor | None] = []
        self.block: Tensor | None = None

    def append(self, tensor: Tensor) -> None:
        """Add a copy; or the tensor itself, where its form is not that of the others."""
        if self.block is None:
            self.block = tensor.new_empty((self.most, *tensor.shape))
        place = self.block[len(self.tensors)]
        alike = (tensor.shape, tensor.dtype, tensor.device) == (place.shape, place.dtype, place.device)
        self.tensors.append(None if alike else tensor)
        if alike:
            place.copy_(tensor)

    def __len__(self) -> int:
        return len(self.tensors)

    def __getitem__(self, index: int) -> Tensor:
        assert self.block is not None
        other = self.tensors[index]
        return self.block[index] if other is None else other


class RandomStates:
    """The state before each segment, stored once where nothing was drawn since the one before: each takes 5 kB."""

    def __init__(self, device: torch.device, most: int):
        self.device, self.places = device, []
        self.cpu, self.accelerator = TensorBlock(most), TensorBlock(most)
        self.latest: RandomState | None = None

    def append(self) -> None:
        """Add the present state."""
        state = RandomState.now(self.device)
        if self.latest is None or not state.equals(self.latest):
            self.latest = state
            self.cpu.append(state.cpu)
            if state.accelerator is not None:
                self.accelerator.append(state.accelerator)
        self.places.append(len(self.cpu) - 1)

    def __getitem__(self, index: int) -> "RandomState":
        place = self.places[index]
        on_cuda = self.device.type == "cuda"
        # Copies, for torch.set_rng_state crashes on a tensor that does not own its memory.
        return RandomState(self.device, self.cpu[place].clone(), self.accelerator[place].clone() if on_cuda else None)
