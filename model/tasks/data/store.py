"""Prepared data: a task in a folder, one `.npy` file per array and a manifest with their digests.

manifest.json    name, origin, settings, symbols, classes, names of labels, separator, levels; counts of each split,
                 SHA-256 of each file
train_tokens.npy, train_offsets.npy, train_labels.npy, and the same for validation and test
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

from model.tasks.data.dataset import ARRAYS, SPLITS, TaskData, TaskError, TokenDataset
from rmaat.base.files import FileError, atomic_folder, open_file, read_json, write_text
from rmaat.base.provenance import with_digest, without_digest

FILE_VERSION = 2
MANIFEST = "manifest.json"


def write_task(task: TaskData, path: Path, settings: Mapping[str, Any]) -> None:
    """Write `task` as the folder `path`; equal data give equal files.

    The manifest records `settings`, the parameters that the data were made with. The folder appears complete or not at
    all.

    Raises
    ------
    FileError
        The folder exists already, or cannot be written.
    """
    with atomic_folder(path) as folder:
        manifest = {
            "version": FILE_VERSION,
            "name": task.name,
            "origin": task.origin,
            "settings": settings,
            "symbols": task.symbols,
            "classes": task.classes,
            "separator": task.separator,
            "levels": task.levels,
            "labels": task.labels,
            "splits": {split: _write_split(folder, split, dataset) for split, dataset in task.splits.items()},
        }
        write_text(folder / MANIFEST, json.dumps(with_digest(manifest), indent=1) + "\n")


def read_task(path: Path) -> TaskData:
    """Read a folder that `write_task` wrote, with its arrays mapped into memory.

    Every file is read once to compare its SHA-256 with the manifest. Nothing in the folder is executed.

    Raises
    ------
    TaskError
        The folder or a file in it is missing, damaged or inconsistent; the message names it.
    """
    try:
        values = read_manifest(path)
        separator = values.get("separator")
        return TaskData(
            _value(values, "name", str),
            _value(values, "origin", str),
            tuple(map(str, _value(values, "symbols", list))),
            _value(values, "classes", int),
            **{split: _read_split(path, split, _value(values, "splits", dict)) for split in SPLITS},
            separator=separator if separator is None else int(separator),
            levels=tuple(map(str, _value(values, "levels", list))),
            # Folders that were prepared before labels had names lack the entry.
            labels=tuple(map(str, _value({"labels": []} | values, "labels", list))),
        )
    except TaskError as error:
        raise TaskError(f"{path}: {error}; delete the folder and prepare it again") from error


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of the task in the folder `path`; raises `TaskError` if it is missing or damaged."""
    try:
        values = read_json(path / MANIFEST)
    except FileError as error:
        raise TaskError(f"{MANIFEST} cannot be read ({_reason(error)})") from error
    except ValueError as error:
        raise TaskError(f"{MANIFEST} is damaged ({error})") from error
    if not isinstance(values, dict) or values.get("version") != FILE_VERSION:
        raise TaskError(f"{MANIFEST} does not have version {FILE_VERSION}, the one that this program reads")
    try:
        return without_digest(values)
    except ValueError as error:
        raise TaskError(f"{MANIFEST} was changed after it was written (another SHA-256)") from error


def _write_split(folder: Path, split: str, dataset: TokenDataset) -> dict[str, Any]:
    files = {array: _write_array(folder / _file(split, array), getattr(dataset, array)) for array in ARRAYS}
    counts = {"sequences": len(dataset), "tokens": len(dataset.tokens), "longest": int(dataset.lengths.max())}
    return {**counts, "sha256": files}


def _write_array(path: Path, array: np.ndarray) -> str:
    """Write `array` in NumPy's format; return the SHA-256 of the file."""
    # `np.save` hides the system's reason for a failure, such as a full disk. So only its header is used.
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, np.lib.format.header_data_from_array_1_0(array))
        stream.write(np.ascontiguousarray(array).data)
    return _sha256(path)


def _read_split(path: Path, split: str, splits: Mapping[str, Any]) -> TokenDataset:
    digests = _value(_value(splits, split, dict), "sha256", dict)
    return TokenDataset(*(_read_array(path / _file(split, array), _value(digests, array, str)) for array in ARRAYS))


def _read_array(path: Path, sha256: str) -> np.ndarray:
    try:
        if _sha256(path) != sha256:
            raise TaskError(f"{path.name} does not have the SHA-256 of the manifest")
        # A plain array: every slice of a `memmap` would carry its bookkeeping.
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, FileError) as error:
        raise TaskError(f"{path.name} cannot be read ({_reason(error)})") from error
    # NumPy evaluates the header as a literal of Python, which raises any of these.
    except (ValueError, EOFError, SyntaxError, TypeError, KeyError, RecursionError, TokenError) as error:
        raise TaskError(f"{path.name} is not an array") from error


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open_file(path) as stream:
        while block := stream.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _reason(error: OSError | FileError) -> str:
    """The reason of the operating system, without the path."""
    cause = error.__cause__ if isinstance(error, FileError) else error
    return getattr(cause, "strerror", None) or str(error)


def _file(split: str, array: str) -> str:
    return f"{split}_{array}.npy"


def _value(values: Mapping[str, Any], name: str, kind: Callable[..., Any]) -> Any:
    found = values.get(name)
    if type(found) is not kind:
        raise TaskError(f"{MANIFEST} has {found!r:.60} for {name!r}, which must be of type {kind.__name__}")
    return found
