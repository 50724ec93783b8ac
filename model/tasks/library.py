"""The tasks by name, and their data. A user's files or a generator give the data; a data folder keeps them.

docs/architecture.md, "Where to add", tells how to add a task; `diagnostics.py` is a short example.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.tasks import diagnostics, documents, image, listops, pairs, text
from model.tasks.data.dataset import TaskData, TaskError, TaskParameters
from model.tasks.data.hub import full_name
from model.tasks.data.store import MANIFEST, read_manifest, read_task, write_task
from model.tasks.pathfinder import task as pathfinder
from rmaat.base.files import FileError, refuse_existing
from rmaat.base.progress import Progress, ignore_progress


@dataclass(frozen=True)
class Task:
    """One task: its default settings, and the functions that make its data."""

    title: str
    parameters: TaskParameters
    """the defaults; their kind is the task's name"""
    version: int
    """increase it when equal settings give other data than before"""
    generate: Callable[[Any, Progress], TaskData] | None = None
    """makes the data from the settings; None if they cannot be generated"""
    read: Callable[[Any, Path, Progress], TaskData] | None = None
    """reads the data from a user's files; None if there are no files"""
    sources: str = ""
    """the files that `read` takes, and where to get them"""
    encode: Callable[[Any, str], bytes] | None = None
    """token ids of a text, one per byte, by the settings; None if sequences are not texts"""
    is_cut: bool = False
    """whether a text may be cut to the length that a model reads, because its beginning has the same label"""
    labels: tuple[str, ...] = ()
    """names of the labels, if they are the same in all data; empty for numbers"""
    many_sources: bool = False
    """whether each source is a data set of its own, so that the settings alone do not identify the data"""

    @property
    def name(self) -> str:
        """The name on the command line."""
        return self.parameters.kind


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            "ListOps",
            listops.ListOpsParameters(),
            2,
            listops.generate,
            listops.read_official,
            "the folder listops-1000 of LRA's lra_release.gz (github.com/google-research/long-range-arena)",
            listops.encode,
        ),
        Task("Text", text.TextParameters(), 2, None, text.read, text.SOURCES, text.encode, True, text.LABELS),
        Task(
            "Documents",
            documents.DocumentsParameters(),
            1,
            None,
            documents.read,
            documents.SOURCES,
            documents.encode,
            is_cut=True,
            many_sources=True,
        ),
        Task("Retrieval", pairs.RetrievalParameters(), 1, None, pairs.read_retrieval, pairs.RETRIEVAL_SOURCES),
        Task("Same film", pairs.SameFilmParameters(), 1, None, pairs.read_same_film, pairs.SAME_FILM_SOURCES),
        Task("Image", image.ImageParameters(), 1, None, image.read, image.SOURCES),
        Task(
            "Pathfinder",
            pathfinder.PathfinderParameters(),
            1,
            pathfinder.generate,
            pathfinder.read_official,
            "the folder pathfinder32 (64, 128) of LRA's lra_release.gz (github.com/google-research/long-range-arena)",
        ),
        Task("Copy", diagnostics.CopyParameters(), 2, diagnostics.generate),
        Task("Recall", diagnostics.RecallParameters(), 2, diagnostics.generate),
        Task("Needle", diagnostics.NeedleParameters(), 1, diagnostics.generate),
    )
}


def load_task(
    parameters: TaskParameters,
    source: str | Path | None,
    data_folder: str | Path,
    progress: Progress = ignore_progress,
) -> TaskData:
    """Load the data that `parameters` describe.

    If `source` is given, read it: a user's files, or a folder that `prepare_task` made. Otherwise look in
    `data_folder`, first for data prepared from files, then for generated data. If there are none, generate them there.

    Raises
    ------
    TaskError
        Files are missing, damaged, or of another task or other settings; or the data are neither found nor can be
        generated.
    """
    task = TASKS[parameters.kind]
    if source is not None:
        source = Path(source)
        if not (source / MANIFEST).exists():
            return _read_files(task, parameters, source, progress)
        _check_settings(source, parameters)
        return read_task(source)
    if task.many_sources:
        raise TaskError(
            f"{task.title} needs {task.sources}; add --source PATH, which may also be a folder from "
            f"rmaat data prepare {task.name}"
        )
    prepared, place = (data_place(parameters, Path(data_folder), from_files=choice) for choice in (True, False))
    if prepared.exists():
        return read_task(prepared)
    if task.generate is None:
        raise TaskError(
            f"{data_folder} has no data of {task.name} with these settings; get {task.sources}, then: "
            f"rmaat data prepare {task.name} --source PATH"
        )
    if not place.exists():
        data = task.generate(parameters, progress)
        try:
            write_task(data, place, _settings(parameters, from_files=False))
        except FileError:
            # Another process, such as another rank of torchrun, was faster. Equal settings give equal data.
            if not place.exists():
                raise
    return read_task(place)


def prepare_task(
    parameters: TaskParameters, source: Path | None, data_folder: Path, progress: Progress = ignore_progress
) -> Path:
    """Read a task from the files at `source`, or generate it if `source` is None; return its folder in `data_folder`.

    The folder appears when it is complete; after an interrupt, call this again.

    Raises
    ------
    TaskError
        As `load_task`.
    FileError
        The folder exists already, or cannot be written.
    """
    task = TASKS[parameters.kind]
    place = data_place(parameters, data_folder, from_files=source is not None, source=source)
    refuse_existing(place, "delete it to prepare the data again")
    if source is not None:
        data = _read_files(task, parameters, source, progress)
    elif task.generate is not None:
        data = task.generate(parameters, progress)
    else:
        raise TaskError(f"{task.name} cannot be generated; get {task.sources} and add --source PATH")
    write_task(data, place, _settings(parameters, from_files=source is not None))
    read_task(place)
    return place


def data_place(parameters: TaskParameters, data_folder: Path, *, from_files: bool, source: Path | None = None) -> Path:
    """The folder in `data_folder` for the data that `parameters` describe.

    Its name depends on all parameters, the task's version and whether the data are read from files. If each source of
    the task is a data set of its own, it also depends on the name of the `source`.
    """
    task = TASKS[parameters.kind]
    identity = {"version": task.version, **parameters.to_dict()}
    if task.many_sources and source is not None:
        identity["source"] = full_name(source)
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    return data_folder / "-".join([parameters.kind, *(["files"] if from_files else []), digest])


def _settings(parameters: TaskParameters, *, from_files: bool) -> dict[str, Any]:
    return {**parameters.to_dict(), "from_files": from_files}


def _check_settings(folder: Path, parameters: TaskParameters) -> None:
    """Refuse a prepared folder of another task or other settings."""
    made = read_manifest(folder).get("settings")
    if not isinstance(made, dict):
        raise TaskError(f"{folder} does not say what it was prepared with; prepare it again")
    # A folder that is older than a setting was made with the default of today.
    made = TASKS[parameters.kind].parameters.to_dict() | made
    asked = _settings(parameters, from_files=bool(made.get("from_files")))
    # Generator settings do not apply to data read from files.
    free = made.get("from_files") and TASKS[parameters.kind].generate is not None
    compared = ("kind",) if free else tuple(asked)
    if other := [f"{name} {made.get(name)}, not {asked[name]}" for name in compared if made.get(name) != asked[name]]:
        raise TaskError(f"{folder} was prepared with {'; '.join(other)}; give the same settings, or prepare it again")


def _read_files(task: Task, parameters: TaskParameters, source: Path, progress: Progress) -> TaskData:
    if task.read is None:
        raise TaskError(f"{task.name} is generated and reads no files; leave --source out")
    return task.read(parameters, source, progress)


@dataclass(frozen=True)
class StoredTask:
    """One folder of prepared data."""

    path: Path
    origin: str
    sequences: int
    longest: int


def stored_tasks(data_folder: Path) -> dict[str, list[StoredTask]]:
    """The folders of data in `data_folder`, by task; one without a valid manifest is listed as damaged."""
    return {name: [_stored(path) for path in sorted(data_folder.glob(f"{name}-*")) if path.is_dir()] for name in TASKS}


def _stored(path: Path) -> StoredTask:
    try:
        manifest = read_manifest(path)
        splits = manifest["splits"].values()
        counts = sum(split["sequences"] for split in splits), max(split["longest"] for split in splits)
        return StoredTask(path, str(manifest["origin"]), *counts)
    except (TaskError, KeyError, TypeError, AttributeError, ValueError) as error:
        return StoredTask(path, f"damaged ({error}); delete it", 0, 0)
