"""Many small tensors in one allocation."""

from torch import Tensor


class PackedTensors:
    """A list of at most `capacity` tensors, copied one after the other into one allocation.

    Separate small tensors would fragment the heap: they stay, and large activations allocated between them are freed.
    For a sequence of 131,072 tokens that cost 100 MB more resident memory.
    """

    def __init__(self, capacity: int):
        self.capacity = capacity
        self.length = 0
        self.packed: Tensor | None = None
        self.others: dict[int, Tensor] = {}

    def append(self, tensor: Tensor) -> None:
        """Add a copy of `tensor`; or `tensor` itself if its shape, dtype or device differs from that of the first."""
        if self.packed is None:
            self.packed = tensor.new_empty((self.capacity, *tensor.shape))
        row = self.packed[self.length]
        if (tensor.shape, tensor.dtype, tensor.device) == (row.shape, row.dtype, row.device):
            row.copy_(tensor)
        else:
            self.others[self.length] = tensor
        self.length += 1

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Tensor:
        assert self.packed is not None
        return self.others[index] if index in self.others else self.packed[index]
