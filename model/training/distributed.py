"""The processes that train together: one alone, or those that torchrun started, each with its share of every batch.

All see the same plan of batches, a function of seed and epoch, and take every `count`-th sequence of each batch, so
that no sampler has a state and none is seen twice. Gradients are averaged by torch: DDP, or FSDP2 for models that do
not fit into one device.
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
    """How many processes train together, and which of them this is."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes files and reports."""
        return self.rank == 0

    def share(self, indices: np.ndarray) -> tuple[np.ndarray, float]:
        """This process's sequences of a batch, and their weight: 1, or 0 where there are too few for all processes.

        A process without a sequence of its own computes one and counts it as nothing, because all must take part.
        """
        own = indices[self.rank :: self.count]
        return (own, 1.0) if len(own) else (indices[:1], 0.0)

    def sum(self, values: Sequence[float], device: torch.device) -> list[float]:
        """Each of `values`, summed over the processes in float64; the same list in all of them."""
        if self.count == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=device)
        distributed.all_reduce(total)
        return total.tolist()

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            distributed.barrier()


@contextmanager
def joined_processes(device: torch.device) -> Iterator[Processes]:
    """The group of processes that is set up, or else the one that torchrun's environment names, or this one alone."""
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
    """`model`, which averages its gradients over the processes in backward; every process holds all of it."""
    if processes.count == 1:
        return model
    return DistributedDataParallel(model)


def sharded(model: nn.Module, processes: Processes) -> nn.Module:
    """`model`, of which every process holds a part of each parameter, gradient and moment (FSDP2).

    Parameters are gathered once a step and stay until its end: replay runs each segment twice, and would gather twice
    for each otherwise.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    device = next(model.parameters()).device
    fully_shard(model, mesh=init_device_mesh(device.type, (processes.count,)), reshard_after_forward=False)
    return model


def without_averaging(model: nn.Module) -> AbstractContextManager[None]:
    """Gradients made inside stay with this process, to be averaged with the last batch of a step."""
    return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor that may be spread over processes; every process must ask."""
    from torch.distributed.tensor import DTensor

    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def spread_like(tensor: Tensor, own: Tensor) -> Tensor:
    """`tensor`, which all processes know, spread over them as `own` is."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(own, DTensor):
        return tensor
    return distribute_tensor(tensor.to(own.device), own.device_mesh, own.placements, src_data_rank=None)
