"""Settings of tasks, models and training: one option for each, and how the help shows parameters.

`rmaat.commands.simulation_options` has the parameters of the simulator.
"""

import argparse
import math
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from rmaat.base.records import ParameterError, Quantity, Record
from rmaat.base.text import table
from rmaat.commands.shared import print_json

if TYPE_CHECKING:
    from model.networks.parameters import ModelParameters
    from model.tasks import TaskParameters

Settings = TypeVar("Settings", bound=Record)


def add_settings(
    parser: argparse.ArgumentParser, title: str, records: Sequence[Record], leave_out: Collection[str] = ()
) -> None:
    """Add an option for every parameter of `records`, except for those in `leave_out`.

    If several records have a parameter, the help shows the default of the first.
    """
    group = parser.add_argument_group(title)
    added = set(leave_out)
    for record in records:
        for path, value, quantity in record.parameters():
            if path[-1] in added:
                continue
            added.add(path[-1])
            unit = "" if quantity.unit == "1" or value == () else f" {quantity.unit}"
            group.add_argument(
                "--" + path[-1].replace("_", "-"),
                metavar="VALUE",
                # argparse formats help texts with %.
                help=f"{quantity.meaning} [{_plain(value)}{unit}; {_bounds(value, quantity)}]".replace("%", "%%"),
            )


def with_settings(options: argparse.Namespace, record: Settings) -> Settings:
    """`record` with the given options in place of its values."""
    return record.override(_given(options, _names(record)))


def task_settings(options: argparse.Namespace, parameters: "TaskParameters") -> "TaskParameters":
    """`parameters` with the given task options; raises `ParameterError` for an option of another task."""
    from model.tasks.library import TASKS

    every = {name: kind for kind, task in TASKS.items() for name in _names(task.parameters)}
    given, own = _given(options, sorted(every)), _names(parameters)
    for name in given:
        if name not in own:
            raise ParameterError(f"--{name.replace('_', '-')} is a setting of {every[name]}, not of {parameters.kind}")
    return parameters.override(given)


def model_settings(
    options: argparse.Namespace, model: "ModelParameters", leave_out: Collection[str]
) -> tuple["ModelParameters", dict[str, str]]:
    """`model` with the given options, and the given options that its architecture lacks but others may have.

    The caller applies the second part after it has chosen another architecture.
    """
    from model.networks.parameters import foreign_settings

    given = _given(options, _names(model) - set(leave_out))
    foreign = {name: given.pop(name) for name in foreign_settings(model.architecture) if name in given}
    return model.override(given), foreign


def _given(options: argparse.Namespace, names: Iterable[str]) -> dict[str, str]:
    """The options among `names` that the user gave, as text."""
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def _names(record: Record) -> set[str]:
    return {path[-1] for path, _, _ in record.parameters()}


# How parameters are shown.


def add_show(parser: argparse.ArgumentParser) -> None:
    """Add --show, and --json for its table."""
    parser.add_argument(
        "--show", action="store_true", help="print every parameter with unit, bounds and source, then exit"
    )
    parser.add_argument("--json", action="store_true", help="with --show: print JSON instead of a table")


def show(record: Record, options: argparse.Namespace) -> None:
    """Print all parameters of `record` as a table, or as JSON if `options` say so."""
    if options.json:
        print_json({".".join(path): _facts(value, quantity) for path, value, quantity in record.parameters()})
    else:
        print(describe(record))


def _facts(value: object, quantity: Quantity) -> dict[str, object]:
    return {
        "value": value,
        "unit": quantity.unit,
        "low": quantity.low,
        "high": quantity.high,
        "choices": quantity.choices,
        "meaning": quantity.meaning,
        "source": quantity.said_by,
    }


def describe(record: Record) -> str:
    """A table of all parameters of `record`: name, value, unit, bounds, meaning and source."""
    rows = [
        (
            path[-1],
            _plain(value),
            "" if quantity.unit == "1" else quantity.unit,
            _bounds(value, quantity),
            quantity.meaning,
            quantity.said_by,
        )
        for path, value, quantity in record.parameters()
    ]
    return table(rows, ("name", "value", "unit", "bounds", "meaning", "source"))


def _bounds(value: object, quantity: Quantity) -> str:
    if isinstance(value, bool):
        return "true, false"
    numbers = [] if math.isinf(quantity.low) else [quantity.bounds]
    return ", ".join([*quantity.choices, *numbers]) or "any"


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_plain, value)) or "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value) or "empty"
