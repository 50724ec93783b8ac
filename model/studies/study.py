"""A study: several contenders on several tasks with several seeds, for one table; planning one needs no torch.

`STUDIES` lists every task of a study by hand. docs/architecture.md, "Where to add", tells how to add a task, a baseline
or a study.

OUT/PRESET/TASK/CONTENDER/seed-0/    one run folder (`model.training.run_folder`) and its cost.json; studies share runs
OUT/PRESET/TASK/levels.json          the task's trivial levels
OUT/PRESET/STUDY.csv, STUDY.md       the report (`model.studies.report`) on the finished runs
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.errors import ModelError
from model.studies.contenders import ABLATIONS, BASELINES, CONTENDERS, MEMORY_RULES, OPTIONS, RETENTIONS, SENSITIVITY
from model.studies.presets import PRESETS, Preset
from model.training.run_folder import RunFolder
from rmaat.base.records import unknown_name

LRA = ("listops", "text", "retrieval", "same_film", "image", "pathfinder")
"""The five tasks of LRA, and Same film, the stand-in for Retrieval, whose data are hard to get."""


CONTROLS = ("retention_constant", "retention_none", "retention_random")
"""Models whose retention is of no astrocyte: the bands of the study `astrocyte`."""


@dataclass(frozen=True)
class Study:
    """The contenders that a study compares, and the tasks that it compares them on."""

    title: str
    tasks: tuple[str, ...]
    contenders: tuple[str, ...]
    preset: str = "small"
    """the preset that it uses unless another is asked for"""


STUDIES: dict[str, Study] = {
    "table1": Study("Accuracy on the Long Range Arena", LRA, tuple(BASELINES)),
    "table2": Study("Speed and memory of training on the Long Range Arena", LRA, tuple(BASELINES)),
    "ablations": Study(
        "Ablations", ("listops", "text", "retrieval", "same_film"), ("rmaat", "rmt", "rlt", *ABLATIONS), "plain"
    ),
    # The paper's appendix F varies these two; its values and numbers are not known to us.
    "sensitivity": Study(
        "Sensitivity to the decay and to the number of memory tokens",
        ("listops", "text", "retrieval", "same_film"),
        ("rmaat", "no_memory", *SENSITIVITY),
        "plain",
    ),
    "baselines": Study(
        "RMAAT and three baselines with the same options",
        ("listops", "text", "image"),
        ("rmaat", "rmt", "linear_transformer", "s4d"),
    ),
    "options": Study("What each option of the model and the training gives", ("text", "image"), ("rmaat", *OPTIONS)),
    "memory": Study(
        "What each memory rule carries over segments",
        ("needle", "copy", "recall"),
        ("rmaat", *MEMORY_RULES, "retention_none", "rmt", "no_memory"),
    ),
    "diagnostics": Study(
        "What memory carries over segments",
        ("needle", "copy", "recall"),
        (*BASELINES, *MEMORY_RULES, *RETENTIONS, "no_memory"),
    ),
    # Its other contenders are astrocytes, which `runs_of` gets by their tables.
    "astrocyte": Study(
        "Accuracy against the astrocyte",
        ("needle", "copy", "recall", "listops"),
        (*CONTROLS, "retention_learned"),
        "brief",
    ),
    # All its contenders are tables of one astrocyte, drawn from their errors.
    "drawn": Study(
        "Accuracy under tables drawn from their errors", ("needle", "copy", "recall", "listops"), (), "brief"
    ),
}


@dataclass(frozen=True)
class Run:
    """One training of a study."""

    task: str
    contender: str
    seed: int
    preset: Preset
    place: Path
    tables: Path | None = None
    """file with the tables of the model, or None for those of this package"""

    @property
    def name(self) -> str:
        """For progress and errors."""
        return f"{self.task}, {self.contender}, seed {self.seed}"

    def is_done(self) -> bool:
        """Whether it is trained and scored and its cost is measured.

        Raises
        ------
        ModelError
            Its folder has a run of other settings.
        """
        folder = RunFolder(self.place)
        if not folder.configuration.exists():
            return False
        found = folder.read_configuration()
        preset = self.preset
        wanted = dataclasses.replace(
            found, task_parameters=preset.task_parameters, model=preset.model, training=preset.training
        )
        if differences := found.differences(wanted):
            names = ", ".join(differences)
            raise ModelError(f"{self.place} holds a run of other settings ({names}); delete it or choose another --out")
        if self.tables is not None and _digest(folder.tables) != _digest(self.tables):
            raise ModelError(f"{self.place} holds a run with other tables than {self.tables}; delete it")
        return folder.evaluation.exists() and folder.cost.exists()


def _digest(tables: Path) -> str:
    # Imported here, because the help of `rmaat reproduce` reads this module and needs no xarray.
    from distill.schema import DIGEST
    from distill.tables import read_tables

    return str(read_tables(tables).dataset.attrs[DIGEST])


def runs_of(
    study: Study,
    preset: str,
    seeds: int,
    out: Path,
    tasks: Sequence[str] = (),
    astrocytes: Mapping[str, Path] | None = None,
) -> list[Run]:
    """All runs of `study`, or those of some of its `tasks`, in the order of the seeds.

    `astrocytes` adds RMAAT with other tables: files by the names of the astrocytes. A contender that leaves a task's
    preset unchanged, such as one without an option that the task does not use, has no run of its own beside RMAAT.

    Raises
    ------
    ModelError
        A task is not in the study, or has no such preset.
    """
    for task in tasks:
        if task not in study.tasks:
            raise ModelError(unknown_name("task of this study", task, study.tasks))
    chosen = [task for task in study.tasks if task in (tasks or study.tasks)]
    for task in chosen:
        if preset not in PRESETS[task]:
            raise ModelError(unknown_name(f"preset of {task}", preset, PRESETS[task]))
    tables = astrocytes or {}
    every = itertools.product(range(seeds), chosen, (*tables, *study.contenders))
    return [
        _run(task, contender, seed, preset, out, tables.get(contender))
        for seed, task, contender in every
        if contender == "rmaat" or contender in tables or _changes(contender, PRESETS[task][preset])
    ]


def _changes(contender: str, preset: Preset) -> bool:
    return CONTENDERS[contender].change(preset) != preset


def _run(task: str, contender: str, seed: int, preset: str, out: Path, tables: Path | None) -> Run:
    chosen = PRESETS[task][preset]
    changed = chosen if tables else CONTENDERS[contender].change(chosen)
    changed = dataclasses.replace(changed, training=dataclasses.replace(changed.training, seed=seed))
    return Run(task, contender, seed, changed, out / preset / task / contender / f"seed-{seed}", tables)
