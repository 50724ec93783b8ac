"""Checkpoints: folders of safetensors and JSON that appear complete or not at all; loading one runs no code.

Each checkpoint is a folder such as `checkpoint-000000400`. A rename makes it appear at once; then older ones are
removed. Resuming reads the newest. `best-*` are the same without the optimiser's moments.

No file is larger than `MOST_BYTES`, because some hosts limit the size of files. Tensors are split over files such as
`model-00001-of-00003.safetensors`. A larger tensor is flattened and cut into pieces `name@SHAPE@0`, `name@SHAPE@1` ...
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from model.errors import ModelError
from model.training.distributed import spread_like, whole
from rmaat.base.files import FileError, atomic_folder, read_bytes, read_json
from rmaat.base.provenance import with_digest, without_digest

CHECKPOINT, BEST = "checkpoint", "best"
MODEL, OPTIMIZER, STATE = "model", "optimizer", "state.json"
MOST_BYTES = 16_000_000
"""No file of a checkpoint is larger."""
_HEADER_BYTES = 500_000
"""Reserved for the header of safetensors in each file."""
_MARK = "@"
_FILES = "files"
"""Entry of the state file with the SHA-256 of each file beside it."""


@dataclass(frozen=True)
class TrainingState:
    """The state of a training, without weights and moments.

    The order of the data and all random numbers follow from `step`, the seed and the process.
    """

    step: int
    best_accuracy: float
    seconds: float
    window: list[list[float]]
    """loss and gradient norm of the steps since the last validation, skipped ones left out"""
    skipped: int = 0
    """steps left out because their loss or gradient was not finite"""


def save_checkpoint(
    run: Path,
    kind: str,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None,
    state: TrainingState,
    *,
    is_first: bool = True,
) -> None:
    """Add a checkpoint of `kind` to the folder of the run, then remove older ones; raises `FileError`.

    Every process that trains together must call it; rank 0 writes.
    """
    weights = _on_cpu(model.state_dict())
    moments = None if optimizer is None else _flatten(optimizer)
    if not is_first:
        return
    place = run / f"{kind}-{state.step:09d}"
    if not place.exists():
        with atomic_folder(place) as folder:
            _write(folder, MODEL, weights)
            if moments is not None:
                _write(folder, OPTIMIZER, moments)
            write_state(folder, state)
    for older in run.glob(f"{kind}-*"):
        if older != place:
            shutil.rmtree(older, ignore_errors=True)


def write_model(folder: Path, model: nn.Module) -> None:
    """Write the weights of `model` into `folder` as a checkpoint has them."""
    _write(folder, MODEL, _on_cpu(model.state_dict()))


def write_state(folder: Path, state: TrainingState) -> None:
    """Write `state` into `folder` as a checkpoint has it, with digests of the files there and of itself."""
    files = {path.name: _sha256(path) for path in sorted(folder.glob("*.safetensors"))}
    values = with_digest({**asdict(state), _FILES: files})
    (folder / STATE).write_text(json.dumps(values, indent=2) + "\n")


def newest(run: Path, kind: str) -> Path:
    """The newest checkpoint of `kind` in the folder of a run.

    Raises
    ------
    ModelError
        There is none.
    """
    found = sorted(run.glob(f"{kind}-*"))
    if not found:
        raise ModelError(f"{run} has no {kind} weights yet; train it, or continue it with --resume")
    return found[-1]


def load_model(place: Path, model: nn.Module) -> None:
    """Put the weights of the checkpoint at `place` into `model`.

    Raises
    ------
    ModelError
        The checkpoint is damaged, holds a weight that is not finite, or is of another architecture; the message names
        the first difference.
    """
    tensors = _read_weights(place)
    own = model.state_dict()
    _check_same(place, own, tensors)
    model.load_state_dict({name: spread_like(tensor, own[name]) for name, tensor in tensors.items()})


def load_parameters(place: Path, model: nn.Module) -> None:
    """As `load_model`, without the buffers: those are from the tables, and of a number of segments that may differ."""
    buffers = dict(model.named_buffers())
    own = {name: tensor for name, tensor in model.state_dict().items() if name not in buffers}
    tensors = {name: tensor for name, tensor in _read_weights(place).items() if name not in buffers}
    _check_same(place, own, tensors)
    model.load_state_dict({name: spread_like(tensor, own[name]) for name, tensor in tensors.items()}, strict=False)


def weights_sha256(place: Path) -> str:
    """SHA-256 of the weights in the checkpoint at `place`, from the bytes of their files."""
    digest = hashlib.sha256()
    for path in sorted(place.glob(f"{MODEL}*.safetensors")):
        digest.update(read_bytes(path))
    return digest.hexdigest()


def load_optimizer(place: Path, optimizer: torch.optim.AdamW) -> None:
    """Put the moments of the checkpoint at `place` into `optimizer`; raises `ModelError` as `load_model`."""
    tensors = _read(place, OPTIMIZER)
    if not tensors:  # there are none before the first step
        return
    groups = optimizer.state_dict()["param_groups"]
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    wanted = {
        f"{index}.{name}": torch.zeros(()) if name == "step" else parameter
        for index, parameter in enumerate(parameters)
        for name in ("step", "exp_avg", "exp_avg_sq")
    }
    _check_same(place, wanted, tensors)
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".")
        state.setdefault(int(index), {})[name] = spread_like(tensor, wanted[key])
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def load_state(place: Path) -> TrainingState:
    """Read the state of the checkpoint at `place`; raises `ModelError` if it is damaged."""
    try:
        values = _read_state(place)
        values.pop(_FILES, None)
        state = TrainingState(**values)
        kinds = {"step": int, "best_accuracy": float, "seconds": float, "window": list, "skipped": int}
        for name, kind in kinds.items():
            if not isinstance(getattr(state, name), kind):
                raise TypeError(f"{name} is not of type {kind.__name__}")
        return state
    except (ValueError, TypeError) as error:
        raise ModelError(f"{place / STATE} is damaged ({error}); train again in another folder") from error


def _read_state(place: Path) -> dict[str, Any]:
    """The entries of the state file but its own digest; raises `ValueError` or `TypeError` if it is damaged."""
    values = read_json(place / STATE)
    if not isinstance(values, dict):
        raise TypeError("it does not hold names with values")
    return without_digest(values)


def _file_digests(place: Path) -> dict[str, str]:
    """The digests of the files in `place`; empty if there is no state file, or an older one."""
    try:
        return dict(_read_state(place).get(_FILES, {})) if (place / STATE).is_file() else {}
    except (ValueError, TypeError) as error:
        raise ModelError(f"{place / STATE} is damaged ({error}); train again in another folder") from error


def _check_same(place: Path, own: dict[str, Tensor], tensors: dict[str, Tensor]) -> None:
    for name in sorted(own.keys() | tensors.keys()):
        mine, theirs = (_shape(group.get(name)) for group in (own, tensors))
        if mine != theirs:
            raise ModelError(
                f"{place} holds another architecture: {name} is {theirs} there and {mine} in the model; "
                "build the model with the parameters of that run"
            )


def _flatten(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state: dict[int, dict[str, Any]] = optimizer.state_dict()["state"]
    return _on_cpu({f"{index}.{name}": value for index, group in state.items() for name, value in group.items()})


def _on_cpu(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: whole(tensor.detach()).cpu().contiguous() for name, tensor in tensors.items()}


def _write(folder: Path, stem: str, tensors: dict[str, Tensor]) -> None:
    """Write `tensors` as `stem`.safetensors, or as several files."""
    files: list[dict[str, Tensor]] = [{}]
    free = most = MOST_BYTES - _HEADER_BYTES
    for name, piece in _pieces(tensors, most):
        if piece.nbytes > free:
            files.append({})
            free = most
        files[-1][name] = piece
        free -= piece.nbytes
    for number, content in enumerate(files, start=1):
        name = f"{stem}.safetensors" if len(files) == 1 else f"{stem}-{number:05d}-of-{len(files):05d}.safetensors"
        (folder / name).write_bytes(safetensors.torch.save(content))


def _pieces(tensors: dict[str, Tensor], most: int) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in tensors.items():
        if tensor.nbytes <= most:
            yield name, tensor
            continue
        for number, piece in enumerate(tensor.flatten().split(most // tensor.element_size())):
            yield _MARK.join([name, _shape(tensor), str(number)]), piece.clone()


def _joined(pieces: dict[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `_pieces`; raises `ValueError` or `RuntimeError` unless names and sizes are those of pieces."""
    tensors = {name: piece for name, piece in pieces.items() if _MARK not in name}
    cut: dict[tuple[str, str], dict[int, Tensor]] = {}
    for key, piece in pieces.items():
        if _MARK in key:
            name, shape, number = key.split(_MARK)
            cut.setdefault((name, shape), {})[int(number)] = piece
    for (name, shape), parts in cut.items():
        numbers = [int(number) for number in shape.split("x")]
        tensors[name] = torch.cat([parts[number] for number in range(len(parts))]).reshape(numbers)
    return tensors


def _read(place: Path, stem: str) -> dict[str, Tensor]:
    """Read the files of `_write`; raises `ModelError` if one is missing or damaged."""
    pieces: dict[str, Tensor] = {}
    paths, digests = sorted(place.glob(f"{stem}-*.safetensors")), _file_digests(place)
    if paths and len(paths) != (count := _count(paths[0])):
        raise ModelError(f"{place} has {len(paths)} of the {count} files of {stem}; copy the folder again, whole")
    for path in paths or [place / f"{stem}.safetensors"]:
        try:
            content = read_bytes(path)
            # Compared first: safetensors would read changed numbers as they are.
            if digests.get(path.name, "") not in ("", hashlib.sha256(content).hexdigest()):
                raise ValueError("it was changed after it was written")
            pieces |= safetensors.torch.load(content)
        except FileError as error:
            raise ModelError(f"{error}; copy the folder again, whole") from error
        # safetensors leaves types that it does not support to the caller, as a KeyError.
        except (SafetensorError, KeyError, ValueError) as error:
            raise ModelError(f"{path} is damaged ({error}); train again in another folder") from error
    try:
        return _joined(pieces)
    except (ValueError, KeyError, RuntimeError) as error:
        raise ModelError(f"{place} has pieces of tensors that do not fit ({error!r}); copy it again, whole") from error


def _read_weights(place: Path) -> dict[str, Tensor]:
    """Read the weights; raises `ModelError` as `_read`, or if one is not finite."""
    tensors = _read(place, MODEL)
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ModelError(f"{place} holds a weight of {name} that is not finite; use another checkpoint")
    return tensors


def _sha256(path: Path) -> str:
    return hashlib.sha256(read_bytes(path)).hexdigest()


def _count(path: Path) -> int:
    """The number of files, from the name of one; raises `ModelError` if it names none."""
    try:
        return int(path.stem.rpartition("-")[2])
    except ValueError:
        raise ModelError(f"{path} is not named as a file of a checkpoint; copy the folder again, whole") from None


def _shape(tensor: Tensor | None) -> str:
    return "missing" if tensor is None else "x".join(map(str, tensor.shape)) or "a number"
