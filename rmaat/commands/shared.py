"""What several commands share: the options that they have in common, and how parameters are shown."""

import argparse
import math
import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rmaat.base.errors import UsageError
from rmaat.base.files import refuse_existing
from rmaat.base.progress import Bar
from rmaat.base.records import Quantity, Record
from rmaat.base.text import table

if TYPE_CHECKING:
    from model.tasks import TaskData, TaskParameters


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
        help="folder in which the tasks' data are kept [default: RMAAT_DATA, else runs/data]",
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


def load_task(parameters: "TaskParameters", source: Path | None, data: Path) -> "TaskData":
    """The data of a task: from `source`, or found in the folder `data`, or generated into it."""
    from model.tasks import library

    with Bar("data") as progress:
        return library.load_task(parameters, source, data, progress)


def add_settings(
    parser: argparse.ArgumentParser, title: str, records: Sequence[Record], but: Collection[str] = ()
) -> None:
    """Add an option for every parameter of any of `records` `but` some; the help shows the first default of each."""
    group = parser.add_argument_group(title)
    added = set(but)
    for record in records:
        for path, value, quantity in record.parameters():
            if path[-1] in added:
                continue
            added.add(path[-1])
            unit = "" if quantity.unit == "1" else f" {quantity.unit}"
            group.add_argument(
                "--" + path[-1].replace("_", "-"),
                metavar="VALUE",
                help=f"{quantity.meaning} [{plain(value)}{unit}; {bounds(quantity)}]".replace("%", "%%"),
            )


def given_settings(options: argparse.Namespace, names: Iterable[str]) -> dict[str, str]:
    """The options among `names` that were given, as they were typed."""
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def task_settings(options: argparse.Namespace, parameters: "TaskParameters") -> "TaskParameters":
    """`parameters` with the task's options that were given in their place; raises for one of another task."""
    from model.tasks.library import TASKS

    every = {path[-1] for task in TASKS.values() for path, _, _ in task.parameters.parameters()}
    return parameters.override(given_settings(options, sorted(every)))


def bounds(quantity: Quantity) -> str:
    """The bounds of a parameter, or its choices, in words."""
    if math.isinf(quantity.low):
        return ", ".join(quantity.choices) or "any"
    return f"{quantity.low:.10g} to {quantity.high:.10g}"


def plain(value: object) -> str:
    """A value as the help shows it."""
    return f"{value:g}" if isinstance(value, float) else str(value)
