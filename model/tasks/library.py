"""Task data by parameters: generated once, kept in a data folder, read from there afterwards."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from model.tasks.dataset import TaskData
from model.tasks.listops import GENERATOR_VERSION, ListOpsParameters, generate, read_official


def load_listops(
    parameters: ListOpsParameters,
    official_files: Path | None,
    data_folder: Path,
    progress: Callable[[float], None] | None = None,
) -> TaskData:
    """ListOps from LRA's files where `official_files` names their folder, otherwise generated from `parameters`.

    Generated data are kept in `data_folder` under a name that depends on all parameters and on the generator's version.

    Raises
    ------
    TaskError
        Files are missing or damaged, or the grammar yields no sample.
    """
    if official_files is not None:
        return read_official(official_files)
    identity = {"generator": GENERATOR_VERSION, **parameters.to_dict()}
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    path = data_folder / f"listops-{digest}.npz"
    if path.exists():
        return TaskData.load(path)
    task = generate(parameters, progress)
    task.save(path)
    return task
