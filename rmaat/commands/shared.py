"""Options that several commands have: output files, JSON, the data folder, and the data of a task."""

import argparse
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

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


def add_json(parser: "argparse._ActionsContainer") -> None:
    """Add --json, for commands that print a table."""
    parser.add_argument("--json", action="store_true", help="print JSON with all digits instead of text")


def print_json(value: Any) -> None:
    """Print mappings, lists, arrays and numbers as JSON; numbers that are not finite become null."""
    print(json.dumps(_plain(value), ensure_ascii=False, indent=2))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    # Arrays and numbers of NumPy, without an import of NumPy.
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int) else str(value)


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
