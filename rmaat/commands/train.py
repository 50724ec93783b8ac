"""`rmaat train`: train a model on a task."""

import argparse
import dataclasses
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rmaat.base.errors import UsageError
from rmaat.base.files import refuse_existing
from rmaat.base.progress import Bar, is_first_process
from rmaat.base.records import Record, unknown_name
from rmaat.commands.shared import add_data, add_settings, given_settings, load_task, task_settings

if TYPE_CHECKING:
    from model.studies.presets import Preset
    from model.tasks import TaskData

SUMMARY = "Train RMAAT or a baseline"
EXAMPLE = (
    "  rmaat train listops --tables runs/tables.nc --out runs/listops\n"
    "  rmaat train listops --contender rmt --out runs/rmt\n"
    "  rmaat train listops --preset paper --official-files lra_release/listops-1000 --out runs/official\n"
    "  rmaat train text --preset paper --minutes 8 --resume --out runs/text\n"
    "  torchrun --nproc-per-node=2 -m rmaat train listops --out runs/two"
)

SETTLED = ("vocabulary", "classes")
"""Settings of the model that the task decides."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat train`."""
    from model.studies.contenders import CONTENDERS
    from model.studies.presets import PRESETS
    from model.tasks.library import TASKS

    first = {task: next(iter(presets.values())) for task, presets in PRESETS.items()}
    presets = "; ".join(
        f"{task} {name}: {preset.meaning}" for task, group in PRESETS.items() for name, preset in group.items()
    )
    parser.add_argument("task", choices=tuple(PRESETS), help="the task to learn")
    parser.add_argument("--preset", metavar="NAME", help=f"{presets} [default: the task's first]".replace("%", "%%"))
    parser.add_argument(
        "--contender",
        choices=tuple(CONTENDERS),
        metavar="NAME",
        help="a model of the comparisons of rmaat reproduce, in place of the preset's RMAAT: "
        + ", ".join(f"{name} ({contender.title})" for name, contender in CONTENDERS.items()),
    )
    parser.add_argument("--tables", type=Path, help="what rmaat distill wrote [default: the tables of the package]")
    parser.add_argument("--out", type=Path, required=True, help="run folder; must not exist yet")
    parser.add_argument("--resume", action="store_true", help="go on with the run that stands in the run folder")
    parser.add_argument(
        "--minutes",
        type=float,
        help="stop after this long, with exit status 75 where steps are left; then the same command with --resume goes "
        "on to the same bits, and begins where there is no run yet",
    )
    parser.add_argument(
        "--source",
        "--official-files",
        type=Path,
        metavar="PATH",
        help="read the data from these files, or from a folder that rmaat data prepare made, and not from --data",
    )
    add_data(parser)
    example = first["listops"]
    add_settings(
        parser, "the task, in place of the preset's (defaults shown)", [task.parameters for task in TASKS.values()]
    )
    add_settings(parser, "the model, in place of the preset's (shown: listops short)", [example.model], SETTLED)
    add_settings(parser, "the training, in place of the preset's (shown: listops short)", [example.training])


def run(options: argparse.Namespace) -> None:
    """Train a model."""
    from distill import default_tables, read_tables
    from model.training.loop import train

    started = time.monotonic()
    minutes = math.inf if options.minutes is None else options.minutes
    if not minutes >= 0:
        raise UsageError(f"--minutes is {minutes}; it must be 0 or more")
    resume = options.resume and (options.minutes is None or options.out.exists())
    preset = _preset(options)
    tables = read_tables(options.tables) if options.tables else default_tables()
    if not resume:
        refuse_existing(options.out, "resume it with --resume, or choose another --out")
    task = load_task(preset.task_parameters, options.source, options.data)
    configuration = _fitted(preset, task).configuration(task, options.source)
    with Bar("train") as progress:
        best = train(
            configuration,
            task,
            tables,
            options.out,
            resume=resume,
            is_over=lambda: time.monotonic() >= started + 60 * minutes,
            progress=progress,
        )
    if not is_first_process():
        return
    print(f"{options.out}: best validation accuracy {best.accuracy:.1%}; score it with: rmaat evaluate {options.out}")


def _preset(options: argparse.Namespace) -> "Preset":
    """The chosen preset, with the options that were given in its place."""
    from model.networks.parameters import foreign_settings
    from model.studies.contenders import CONTENDERS
    from model.studies.presets import PRESETS

    presets = PRESETS[options.task]
    name = options.preset or next(iter(presets))
    if name not in presets:
        raise UsageError(unknown_name(f"preset of {options.task}", name, presets))
    preset = presets[name]
    if options.contender is not None:
        if options.architecture is not None:
            raise UsageError(f"--contender {options.contender} is an architecture already; leave --architecture out")
        preset = CONTENDERS[options.contender].change(preset)
    given = given_settings(options, _names(preset.model) - {"architecture", *SETTLED})
    # What the preset's architecture lacks may be a setting of the one that is asked for.
    late = {name: given.pop(name) for name in foreign_settings(preset.model.architecture) if name in given}
    model = preset.model.override(given)
    if options.architecture is not None:
        model = model.as_architecture(options.architecture)
    return dataclasses.replace(
        preset,
        task_parameters=task_settings(options, preset.task_parameters),
        model=model.override(late),
        training=preset.training.override(given_settings(options, _names(preset.training))),
    )


def _fitted(preset: "Preset", task: "TaskData") -> "Preset":
    """The preset with as many tokens and labels as `task` has."""
    sizes = {name: getattr(task, name) for name in SETTLED}
    return dataclasses.replace(preset, model=preset.model.override(sizes))


def _names(record: Record) -> set[str]:
    return {path[-1] for path, _, _ in record.parameters()}
