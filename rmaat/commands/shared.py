"""Options that several commands have: output files, the data folder, and the data of a task."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from rmaat.base.files import refuse_existing
from rmaat.base.progress import Bar

if TYPE_CHECKING:
    from model.tasks import TaskData, TaskParameters


def add_out(parser: argparse.ArgumentParser, example: str, meaning: str) -> None:
    """Add --out and --overwrite."""
    parser.add_argument("--out", type=Path, default=Path("runs") / example, help=f"{meaning} [default: runs/{example}]")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add --data, the folder with the data of all tasks."""
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("RMAAT_DATA", "runs/data")),
        help="folder with the prepared data of all tasks [default: environment variable RMAAT_DATA, else runs/data]",
    )


def new_file(path: Path, options: argparse.Namespace) -> Path:
    """Return `path`; raises `FileError` if it exists and --overwrite is not given."""
    if not options.overwrite:
        refuse_existing(path, "choose another name, or add --overwrite")
    return path


def load_task_with_bar(parameters: "TaskParameters", source: Path | None, data: Path) -> "TaskData":
    """Call `library.load_task` and show a progress bar."""
    from model.tasks import library

    with Bar("data") as progress:
        return library.load_task(parameters, source, data, progress)
