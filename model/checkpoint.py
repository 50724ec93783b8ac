"""Checkpoints: folders of safetensors and JSON that appear whole or not at all, and are never unpickled."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from model.errors import ModelError
from rmaat.files import atomic_folder, read_text

MODEL, OPTIMIZER, STATE = "model.safetensors", "optimizer.safetensors", "state.json"


@dataclass(frozen=True)
class TrainingState:
    """Where a training stands, weights and moments apart. The order of the data follows from `step` and the seed."""

    step: int
    best_accuracy: float
    seconds: float
    random_state: str
    """state of the CPU generator, hexadecimal"""
    cuda_random_state: str | None = None


def save_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer | None, state: TrainingState
) -> None:
    """Replace the checkpoint at `path` in one step; raises `FileError`."""
    with atomic_folder(path) as folder:
        (folder / MODEL).write_bytes(safetensors.torch.save(_contiguous(model.state_dict())))
        if optimizer is not None:
            (folder / OPTIMIZER).write_bytes(safetensors.torch.save(_flatten(optimizer)))
        (folder / STATE).write_text(json.dumps(vars(state), indent=2) + "\n")


def load_model(path: Path, model: nn.Module) -> None:
    """Put the weights at `path` into `model`.

    Raises
    ------
    ModelError
        There is no checkpoint, it is damaged, or it belongs to another architecture; the first difference is named.
    """
    tensors = _read(path / MODEL)
    own = model.state_dict()
    for name in sorted(own.keys() | tensors.keys()):
        mine, theirs = (_shape(group.get(name)) for group in (own, tensors))
        if mine != theirs:
            raise ModelError(
                f"{path} holds another architecture: {name} is {theirs} there and {mine} in the model; "
                "build the model with the parameters of that run"
            )
    model.load_state_dict(tensors)


def load_optimizer(path: Path, optimizer: torch.optim.Optimizer) -> None:
    """Put the moments at `path` into `optimizer`; raises `ModelError` as `load_model`."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in _read(path / OPTIMIZER).items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = tensor
    groups = optimizer.state_dict()["param_groups"]
    wanted = {index for group in groups for index in group["params"]}
    if state.keys() != wanted:
        raise ModelError(f"{path} holds moments of {len(state)} parameters, the model has {len(wanted)}")
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def load_state(path: Path) -> TrainingState:
    """Where the training at `path` stands; raises `ModelError` where there is none."""
    if not (path / STATE).exists():
        raise ModelError(f"{path} holds no checkpoint; start without --resume")
    try:
        return TrainingState(**json.loads(read_text(path / STATE)))
    except (ValueError, TypeError) as error:
        raise ModelError(f"{path / STATE} is damaged ({error}); train again in another folder") from error


def _flatten(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state: dict[int, dict[str, Any]] = optimizer.state_dict()["state"]
    return _contiguous({f"{index}.{name}": value for index, group in state.items() for name, value in group.items()})


def _contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load(path.read_bytes())
    except OSError as error:
        raise ModelError(f"cannot read the checkpoint {path}: {error.strerror}") from error
    except SafetensorError as error:
        raise ModelError(f"{path} is damaged ({error}); resume from another checkpoint") from error


def _shape(tensor: Tensor | None) -> str:
    return "missing" if tensor is None else "x".join(map(str, tensor.shape)) or "a number"
