"""`rmaat train`: train RMAAT or a baseline on a task."""

import argparse
import dataclasses
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rmaat.base.errors import UsageError
from rmaat.base.files import refuse_existing
from rmaat.base.progress import Bar, is_first_process
from rmaat.base.records import unknown_name
from rmaat.base.text import counted
from rmaat.commands.parser import Parser
from rmaat.commands.settings import add_settings, add_show, model_settings, show, task_settings, with_settings
from rmaat.commands.shared import add_data, load_task_with_bar

if TYPE_CHECKING:
    from model.studies.presets import Preset
    from model.tasks import TaskData

SUMMARY = "Train RMAAT or a baseline on a task"
EXAMPLE = (
    "  rmaat train listops --tables runs/tables.nc --out runs/listops\n"
    "  rmaat train listops --contender rmt --out runs/rmt\n"
    "  rmaat train listops --preset paper --official-files lra_release/listops-1000 --out runs/official\n"
    "  rmaat train text --preset paper --minutes 8 --resume --out runs/text\n"
    "  rmaat train listops --config runs/listops/configuration.json --steps 4000 --out runs/longer\n"
    "  rmaat train pathfinder --start runs/easy --out runs/hard\n"
    "  rmaat train documents --source reviews.csv --text text --label sentiment --out runs/reviews\n"
    "  torchrun --nproc-per-node=2 --no-python rmaat train listops --out runs/two"
)

CHOSEN_ELSEWHERE = ("vocabulary", "classes")
"""Model settings without an option, because the task decides them."""


def add_arguments(parser: Parser) -> None:
    """Add the arguments of `rmaat train`. The help on a task shows the presets and settings of that task alone."""
    from model.studies.contenders import CONTENDERS
    from model.studies.presets import PRESETS
    from model.tasks.library import TASKS

    # Without this, every error message would start with 40 lines of options.
    parser.usage = "rmaat train [options] --out OUT TASK"
    task = parser.only_in_help(PRESETS)
    presets = "; ".join(
        f"{'' if task else f'{kind} '}{name}: {preset.meaning}"
        for kind, group in PRESETS.items()
        for name, preset in group.items()
        if task in (None, kind)
    )
    parser.add_argument("task", choices=tuple(PRESETS), help="task to learn")
    parser.add_argument(
        "--preset",
        metavar="NAME",
        help=f"settings to start from; {presets} [default: the first of the task]".replace("%", "%%"),
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="YAML or JSON file with settings in place of the preset's, under task_parameters, model and training; the "
        "configuration.json of a run has this form. Options change the settings of the file",
    )
    add_show(parser)
    parser.add_argument(
        "--contender",
        choices=tuple(CONTENDERS),
        metavar="NAME",
        help="train a model of the comparisons in rmaat reproduce instead of the preset's RMAAT: "
        + ", ".join(CONTENDERS),
    )
    parser.add_argument("--tables", type=Path, help="file from rmaat distill [default: the tables of this package]")
    parser.add_argument(
        "--out",
        type=Path,
        help="run folder for checkpoints and curves; must not exist unless --resume is given",
    )
    parser.add_argument(
        "--start",
        type=Path,
        metavar="RUN",
        help="begin with the best weights of this run, whose model differs in the number of segments at most: learn "
        "short or easy sequences first",
    )
    parser.add_argument("--resume", action="store_true", help="continue the run in the run folder")
    parser.add_argument(
        "--minutes",
        type=float,
        help="stop after this many minutes, with exit status 75 if steps are left; repeat the command with --resume to "
        "continue to the same result; with both options the command also starts a run that does not exist yet",
    )
    parser.add_argument(
        "--source",
        "--official-files",
        type=Path,
        metavar="PATH",
        help="read the data from these files, or from a folder of rmaat data prepare, instead of from --data",
    )
    add_data(parser)
    example = next(iter(PRESETS[task or "listops"].values()))
    shown = f"{task or 'listops'} {next(iter(PRESETS[task or 'listops']))}"
    add_settings(
        parser,
        "settings of the task, in place of the preset's [default; bounds]",
        [TASKS[kind].parameters for kind in TASKS if task in (None, kind)],
    )
    add_settings(
        parser,
        f"settings of the model, in place of the preset's [value in {shown}; bounds]",
        [example.model],
        CHOSEN_ELSEWHERE,
    )
    add_settings(
        parser,
        f"settings of the training, in place of the preset's [value in {shown}; bounds]",
        [example.training],
    )


def run(options: argparse.Namespace) -> None:
    """Train a model."""
    from distill import default_tables, read_tables
    from model.training.loop import train
    from model.training.run_folder import RunFolder

    started = time.monotonic()
    minutes = math.inf if options.minutes is None else options.minutes
    if not minutes >= 0:
        raise UsageError(f"--minutes is {minutes}; it must be 0 or more")
    preset, source = _preset(options)
    if options.show:
        show(preset.settings(source), options)
        return
    if options.out is None:
        raise UsageError(f"--out is missing; name a new run folder, such as --out runs/{options.task}")
    resume = options.resume and (options.minutes is None or options.out.exists())
    tables = read_tables(options.tables) if options.tables else default_tables()
    if resume:
        # Before the data are read, which takes longer.
        RunFolder(options.out).read_configuration()
    else:
        refuse_existing(options.out, "resume it with --resume, or choose another --out")
    task = load_task_with_bar(preset.task_parameters, source, options.data)
    preset = _sized_for(task, preset)
    _report_cut(task, preset)
    configuration = preset.configuration(task, source)
    with Bar("train") as progress:
        best = train(
            configuration,
            task,
            tables,
            options.out,
            resume=resume,
            start=options.start,
            is_over=lambda: time.monotonic() >= started + 60 * minutes,
            progress=progress,
        )
    if not is_first_process():
        return
    print(f"{options.out}: best validation accuracy {best.accuracy:.1%}; score it with: rmaat evaluate {options.out}")


def _preset(options: argparse.Namespace) -> "tuple[Preset, Path | None]":
    """The chosen preset with the given file and options in place of its values, and the files of the data."""
    from model.studies.contenders import CONTENDERS
    from model.studies.presets import PRESETS
    from model.studies.settings import RunSettings

    presets = PRESETS[options.task]
    name = options.preset or next(iter(presets))
    if name not in presets:
        raise UsageError(unknown_name(f"preset of {options.task}", name, presets))
    preset = presets[name]
    if options.contender is not None:
        if options.architecture is not None:
            raise UsageError(
                f"--contender {options.contender} has an architecture of its own; leave --architecture out"
            )
        preset = CONTENDERS[options.contender].change(preset)
    source = options.source
    if options.config is not None:
        settings = RunSettings.load(options.config, preset.settings(source))
        preset = preset.with_settings(settings)
        source = source or (Path(settings.source) if settings.source else None)
    # A setting that the preset's architecture lacks may belong to the one from --architecture.
    model, foreign = model_settings(options, preset.model, ("architecture", *CHOSEN_ELSEWHERE))
    if options.architecture is not None:
        model = model.as_architecture(options.architecture)
    changed = dataclasses.replace(
        preset,
        task_parameters=task_settings(options, preset.task_parameters),
        model=model.override(foreign),
        training=with_settings(options, preset.training),
    )
    return changed, source


def _report_cut(task: "TaskData", preset: "Preset") -> None:
    """Say how many sequences the model reads in part only."""
    longest = preset.model.longest_sequence
    if preset.training.overlong == "cut" and not preset.model.separator and is_first_process():
        lengths = [length for dataset in task.splits.values() for length in dataset.lengths.tolist()]
        if cut := sum(length > longest for length in lengths):
            print(
                f"{cut:,} of {counted(len(lengths), 'sequence')} are longer than {longest:,} tokens and are cut there; "
                f"--segments {-(-max(lengths) // preset.model.segment_length)} reads all"
            )


def _sized_for(task: "TaskData", preset: "Preset") -> "Preset":
    """The preset with the vocabulary and the number of classes of `task`."""
    sizes = {name: getattr(task, name) for name in CHOSEN_ELSEWHERE}
    return dataclasses.replace(preset, model=preset.model.override(sizes))
