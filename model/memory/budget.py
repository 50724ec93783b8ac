"""How many segments' graphs fit into a `MemoryBudget`, from the size of the first segment's graph."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from model.memory.differentiation import MemoryBudget
from model.memory.graph import SegmentGraph
from model.memory.random_state import RandomState


def measure_first_graph(
    budget: MemoryBudget,
    run_first: Callable[[], SegmentGraph],
    memory: Tensor,
    tensors: Sequence[Tensor],
    segments: int,
) -> tuple[SegmentGraph | None, int]:
    """The number of graphs to keep; with the first segment's graph if all are kept.

    `run_first` runs the first segment with a graph. If not all graphs fit, that graph is dropped and the random state
    is restored.
    """
    random = RandomState.current(memory.device)
    with _record_saved_bytes({_storage_address(tensor) for tensor in (memory, *tensors)}) as saved:
        graph = run_first()
    # Besides graphs, backward holds the memories, the sum of each parameter's gradient, and one part of a sum.
    sums = [tensor.nbytes for tensor in tensors if tensor.requires_grad]
    others = segments * memory.nbytes + sum(sums) + max(sums, default=0)
    keep = budget.keep(sum(saved.values()), others, segments)
    if keep == segments:
        return graph, keep
    random.restore()
    return None, keep


@contextmanager
def _record_saved_bytes(excluded: set[int]) -> Iterator[dict[int, int]]:
    """Bytes of each storage that graphs built in this context save, except the storages at `excluded` addresses."""
    saved: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        # Several saved tensors may be views of one storage; count it once.
        if _storage_address(tensor) not in excluded:
            saved[_storage_address(tensor)] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        yield saved


def _storage_address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
