"""What several commands share: the options that they have in common, and how parameters are shown."""

import argparse
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from rmaat.errors import UsageError
from rmaat.files import refuse_existing
from rmaat.progress import Bar
from rmaat.records import Quantity, Record
from rmaat.text import table

if TYPE_CHECKING:
    from model.presets import Preset
    from model.run_folder import RunConfiguration
    from model.tasks import TaskData


def add_out(parser: argparse.ArgumentParser, example: str, meaning: str) -> None:
    """Add --out and --overwrite."""
    parser.add_argument("--out", type=Path, default=Path("runs") / example, help=f"{meaning} [default: runs/{example}]")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier file")


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add --data, the folder in which data are kept."""
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("RMAAT_DATA", "runs/data")),
        help="folder in which generated data are kept [default: RMAAT_DATA, else runs/data]",
    )


def new_file(path: Path, options: argparse.Namespace) -> Path:
    """`path`, if it is free or may be overwritten; raises a UsageError otherwise."""
    if not options.overwrite:
        refuse_existing(path, "choose another name, or add --overwrite")
    return path


def assignment(text: str) -> tuple[str, str]:
    """Name and value of `--set NAME=VALUE`; raises a UsageError where there is no value."""
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text} has no value; write --set name=value")
    return name.strip(), value.strip()


def describe(record: Record) -> str:
    """Every parameter of `record`: name, value, unit, bounds, meaning and source."""
    rows = [
        (
            path[-1],
            plain(value),
            "" if quantity.unit == "1" else quantity.unit,
            bounds(quantity),
            quantity.meaning,
            quantity.said_by,
        )
        for path, value, quantity in record.parameters()
    ]
    return table(rows, ("name", "value", "unit", "bounds", "meaning", "source"))


def load_task(settings: "Preset | RunConfiguration", official_files: Path | None, data: Path) -> "TaskData":
    """The data of a task, generated or read."""
    from model.tasks.library import load_listops

    with Bar("data") as progress:
        return load_listops(settings.task_parameters, official_files, data, progress)


def bounds(quantity: Quantity) -> str:
    """The bounds of a parameter, or its choices, in words."""
    if math.isinf(quantity.low):
        return ", ".join(quantity.choices) or "any"
    return f"{quantity.low:.10g} to {quantity.high:.10g}"


def plain(value: object) -> str:
    """A value as the help shows it."""
    return f"{value:g}" if isinstance(value, float) else str(value)
