"""The kinds of work that are killed, each with the digest of its result."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from astro_sim import SimulationParameters, content_digest, read_traces, simulate, simulate_to_file
from astro_sim.runs import to_file
from astro_sim.sweep import RandomDesign, Span
from distill import DistillParameters, Tables, default_tables, distil, read_tables, write_tables
from distill.inverse.sweep import Distillation, RateModelMeasure, sweep
from distill.inverse.sweep_file import read_sweep, write_sweep
from model.networks.parameters import ModelParameters
from model.studies.presets import PRESETS, Preset
from model.studies.runner import complete
from model.studies.study import Study, runs_of
from model.tasks.diagnostics import NeedleParameters
from model.tasks.library import load_task, prepare_task
from model.tasks.listops import SHORT
from model.training.checkpoint import BEST, CHECKPOINT, newest
from model.training.loop import train
from model.training.parameters import TrainingParameters
from model.training.run_folder import RunFolder

SMALL = SimulationParameters().override(
    {"presynaptic_neurons": 2, "postsynaptic_neurons": 2, "run_duration": 150.0, "recording_interval": 2.5,
     "relative_tolerance": 1e-3}
)  # fmt: skip
TINY = Preset(
    NeedleParameters(length=20, gap=5, train_size=60, validation_size=20, test_size=30),
    ModelParameters(vocabulary=21, classes=10, width=8, heads=2, layers=1, feed_forward_width=8, segment_length=5,
                    segments=4, memory_tokens=2),
    TrainingParameters(steps=12, batch_size=8, warmup_steps=1, validate_every=2, device="cpu", threads=1),
    "for the faults",
)  # fmt: skip
STUDY = Study("Two models", ("needle",), ("rmt", "rmaat"))
LISTOPS = replace(SHORT, train_size=300, validation_size=50, test_size=50)


@dataclass(frozen=True)
class Work:
    """One kind of work in a folder: `start` begins or continues it, `state` digests what is there.

    `state` returns None if there is no result yet, and raises an error if there is a part of one.
    """

    name: str
    start: Callable[[Path], None]
    state: Callable[[Path], str | None]
    prepare: Callable[[Path], None] = lambda _: None
    """writes the old content that the work replaces"""
    factor: int = 1
    """kills per kill of the others"""


def _train(folder: Path) -> None:
    task = load_task(TINY.task_parameters, None, folder / "data")
    run = folder / "run"
    train(TINY.configuration(task), task, default_tables(), run, resume=run.exists())


def _run_digest(run: Path) -> str | None:
    """The digest of a finished run's weights and curve, without its times; None if it is not finished."""
    if not run.exists():
        return None
    folder = RunFolder(run)
    folder.read_configuration()
    read_tables(folder.tables)
    place, rows = newest(run, CHECKPOINT), folder.read_metrics()
    weights = [(path / "model.safetensors").read_bytes() for path in (place, *sorted(run.glob(f"{BEST}-*")))]
    if not place.name.endswith(f"{TINY.training.steps:09d}") or not rows or rows[-1]["step"] != TINY.training.steps:
        return None
    moments = (place / "optimizer.safetensors").read_bytes()
    curve = [{name: value for name, value in row.items() if name != "seconds"} for row in rows]
    return hashlib.sha256(b"".join([*weights, moments, repr(curve).encode()])).hexdigest()


def _stream(folder: Path) -> None:
    to_file.CHECKPOINT_EVERY = 0.0
    if not (folder / "traces.nc").exists():
        simulate_to_file(SMALL, folder / "traces.nc")


def _file_digest(name: str, read: Callable[[Path], Any]) -> Callable[[Path], str | None]:
    """A function that digests the file `name` after `read` has checked it."""

    def digest(folder: Path) -> str | None:
        if not (folder / name).exists():
            return None
        return content_digest(read(folder / name))

    return digest


def _sweep(folder: Path) -> None:
    if (folder / "sweep.nc").exists():
        return
    design = RandomDesign({"cycle_duration": Span(30, 100)}, 6, seed=1)
    found = sweep(SMALL, design, RateModelMeasure(Distillation((2, 4))), folder / "parts")
    write_sweep(found, folder / "sweep.nc")
    shutil.rmtree(folder / "parts")


def _runs(folder: Path) -> list[Any]:
    PRESETS["needle"]["tiny"] = replace(TINY, training=replace(TINY.training, steps=4))
    return runs_of(STUDY, "tiny", 1, folder / "out")


def _study(folder: Path) -> None:
    # In this process instead of workers, so that the kill hits the training, the scoring or the measurement itself.
    for run in _runs(folder):
        if not run.is_done():
            complete(run, folder / "data", float("inf"), lambda: False)


def _study_digest(folder: Path) -> str | None:
    digest = hashlib.sha256()
    for run in _runs(folder):
        if not run.is_done():
            return None
        digest.update(repr(RunFolder(run.place).read_evaluation()).encode())
        digest.update((newest(run.place, BEST) / "model.safetensors").read_bytes())
    return digest.hexdigest()


def _prepare_data(folder: Path) -> None:
    if not any((folder / "data").glob("listops-*")):
        prepare_task(LISTOPS, None, folder / "data")


def _data_digest(folder: Path) -> str | None:
    if not any((folder / "data").glob("listops-*")):
        return None
    return load_task(LISTOPS, None, folder / "data").sha256()


def _old_tables(folder: Path) -> None:
    # Made in this process, once for all trials.
    _new_tables()
    write_tables(default_tables(), folder / "tables.nc")


@cache
def _new_tables() -> Tables:
    return distil(simulate(SMALL), DistillParameters(segments=4))


def _write_tables(folder: Path) -> None:
    # Often, because one takes a millisecond.
    for _ in range(20):
        write_tables(_new_tables(), folder / "tables.nc")


WORKS = (
    Work("training", _train, lambda folder: _run_digest(folder / "run"), factor=2),
    Work("simulation to a file", _stream, _file_digest("traces.nc", read_traces)),
    Work("sweep", _sweep, _file_digest("sweep.nc", read_sweep)),
    Work("study", _study, _study_digest),
    Work("data preparation", _prepare_data, _data_digest),
    Work("table writing", _write_tables, _file_digest("tables.nc", lambda path: read_tables(path).dataset),
         _old_tables),
)  # fmt: skip
