"""The device of a model: its choice, its name for reports, the precision, and batches on it."""

import os
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from model.errors import ModelError
from model.tasks import TokenDataset, collate
from model.training.parameters import TrainingParameters
from rmaat.base.provenance import processor


@dataclass(frozen=True)
class Batch:
    """Sequences on the device of the model."""

    tokens: Int[Tensor, "batch token"]
    lengths: Int[Tensor, " batch"]
    labels: Int[Tensor, " batch"]


def choose_device(name: str) -> torch.device:
    """Choose the device called `name`; `auto` is CUDA if it is available. Under torchrun, each process has its own GPU.

    Raises
    ------
    ModelError
        `name` is cuda, and there is no CUDA device.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ModelError("device is cuda, but torch finds no CUDA device; use device auto or cpu")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device


def mixed_precision(precision: str, device: torch.device) -> torch.autocast:
    """Autocast to bfloat16 if `precision` asks for it, by default on CUDA. The key sums would overflow float16."""
    enabled = precision == "bfloat16" or (precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, torch.bfloat16, enabled)


def device_name(device: torch.device) -> str:
    """The name of the GPU or of the processor, for reports."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else processor()


def load_batch(dataset: TokenDataset, indices: np.ndarray, device: torch.device) -> Batch:
    """Copy the sequences at `indices`, shape (batch,), to `device`."""
    return Batch(*(torch.from_numpy(array).to(device) for array in collate(dataset, indices)))


def longest_batch(dataset: TokenDataset, settings: TrainingParameters, device: torch.device) -> Batch:
    """A batch of the longest sequences on `device`: the one whose step costs most."""
    return load_batch(dataset, np.argsort(dataset.lengths, kind="stable")[-settings.batch_size :], device)
