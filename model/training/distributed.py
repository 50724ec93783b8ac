"""The processes that train together: a single one, or those that torchrun started, each with its share of every batch.

All processes compute the same plan of batches from seed and epoch, and take every `count`-th sequence of each batch. So
no sampler has a state, and no sequence is seen twice. Torch averages the gradients: DDP, or FSDP2 for models that do
not fit on one device.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Processes:
    """The number of processes that train together, and the rank of this one."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, which writes files and reports."""
        return self.rank == 0

    def share(self, indices: np.ndarray) -> tuple[np.ndarray, float]:
        """This process's share of the sequences `indices` of a batch, and their weight.

        A process without a share gets the first sequence with weight 0, because every process must take part in a step.
        Otherwise the weight is 1.
        """
        own = indices[self.rank :: self.count]
        return (own, 1.0) if len(own) else (indices[:1], 0.0)

    def sum(self, values: Sequence[float], device: torch.device) -> list[float]:
        """Sum each of `values` over the processes in float64; every process gets the same list."""
        if self.count == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=device)
        distributed.all_reduce(total)
        return total.tolist()

    def wait(self) -> None:
        """Wait until all processes have reached this call."""
        if self.count > 1:
            distributed.barrier()


@contextmanager
def joined_processes(device: torch.device) -> Iterator[Processes]:
    """Join the process group: the existing one, else the one of torchrun's environment, else this process alone."""
    if distributed.is_initialized():
        yield Processes(distributed.get_rank(), distributed.get_world_size())
    elif int(os.environ.get("WORLD_SIZE", "1")) > 1:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        try:
            yield Processes(distributed.get_rank(), distributed.get_world_size())
        finally:
            distributed.destroy_process_group()
    else:
        yield Processes()


def replicated(model: nn.Module, processes: Processes) -> nn.Module:
    """Wrap `model` so that its backward pass averages gradients over processes; each process has the whole model."""
    if processes.count == 1:
        return model
    return DistributedDataParallel(model)


def sharded(model: nn.Module, processes: Processes) -> nn.Module:
    """Shard `model` with FSDP2, so that each process has a part of every parameter, gradient and moment.

    Parameters are gathered once per step and kept until its end. Otherwise replay, which runs each segment twice, would
    gather them twice per segment.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    device = next(model.parameters()).device
    fully_shard(model, mesh=init_device_mesh(device.type, (processes.count,)), reshard_after_forward=False)
    return model


def without_averaging(model: nn.Module) -> AbstractContextManager[None]:
    """Do not average gradients inside this context; the last batch of a step averages the sum of all."""
    return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()


def whole(tensor: Tensor) -> Tensor:
    """Gather a tensor that may be sharded over processes; every process must call this."""
    from torch.distributed.tensor import DTensor

    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def spread_like(tensor: Tensor, own: Tensor) -> Tensor:
    """Shard `tensor`, which every process has whole, in the same way as `own`."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(own, DTensor):
        return tensor
    return distribute_tensor(tensor.to(own.device), own.device_mesh, own.placements, src_data_rank=None)
