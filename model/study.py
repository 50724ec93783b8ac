"""A study: several contenders on several tasks with several seeds, trained where they are not yet, and its table.

OUT/PRESET/TASK/CONTENDER/seed-0/    one run folder a run (`model.run_folder`); studies share runs
OUT/PRESET/STUDY.csv, STUDY.md       what `model.study_report` makes of the runs that are done
"""

import itertools
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from queue import Empty, Queue
from threading import Event

import torch

from distill.tables import default_tables
from model.contenders import ABLATIONS, BASELINES, CONTENDERS, RETENTIONS
from model.errors import Interrupted, ModelError, OutOfTime
from model.evaluation import evaluate
from model.presets import PRESETS, Preset
from model.run_folder import RunFolder
from model.tasks import TaskData, TaskError, TrivialLevel, trivial_levels
from model.tasks.library import load_task
from model.training import Progress, train
from rmaat.files import read_text, write_text
from rmaat.records import unknown_name

LRA = ("listops", "text", "retrieval", "same_film", "image", "pathfinder")
"""The five tasks, and the stand-in for Retrieval's data, which few can get."""


@dataclass(frozen=True)
class Study:
    """What is compared with what."""

    title: str
    tasks: tuple[str, ...]
    contenders: tuple[str, ...]


STUDIES: dict[str, Study] = {
    "table1": Study("Accuracy on the Long Range Arena", LRA, tuple(BASELINES)),
    "table2": Study("Speed and memory of training on the Long Range Arena", LRA, tuple(BASELINES)),
    "ablations": Study("Ablations", ("listops", "text", "retrieval", "same_film"), ("rmaat", "rmt", "rlt", *ABLATIONS)),
    "diagnostics": Study(
        "What memory carries over segments", ("copy", "recall", "needle"), (*BASELINES, *RETENTIONS, "no_memory")
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

    @property
    def name(self) -> str:
        """For progress and errors."""
        return f"{self.task}, {self.contender}, seed {self.seed}"

    def is_done(self) -> bool:
        """Whether it is trained and scored."""
        return RunFolder(self.place).evaluation.exists()


def runs_of(study: Study, preset: str, seeds: int, out: Path, tasks: Sequence[str] | None = None) -> list[Run]:
    """All runs of `study`, the first seed of all before the second of any.

    Raises
    ------
    ModelError
        A task is not of the study, or has no such preset.
    """
    for task in tasks or ():
        if task not in study.tasks:
            raise ModelError(unknown_name("task of this study", task, study.tasks))
    chosen = [task for task in study.tasks if task in (tasks or study.tasks)]
    for task in chosen:
        if preset not in PRESETS[task]:
            raise ModelError(unknown_name(f"preset of {task}", preset, PRESETS[task]))
    every = itertools.product(range(seeds), chosen, study.contenders)
    return [_run(task, contender, seed, preset, out) for seed, task, contender in every]


def _run(task: str, contender: str, seed: int, preset: str, out: Path) -> Run:
    changed = CONTENDERS[contender].change(PRESETS[task][preset])
    changed = replace(changed, training=replace(changed.training, seed=seed))
    return Run(task, contender, seed, changed, out / preset / task / contender / f"seed-{seed}")


def without_data(runs: Sequence[Run], data: Path, progress: Progress) -> dict[str, str]:
    """The tasks of `runs` whose data are not in the folder `data`, and what to do about each; some are generated."""
    missing: dict[str, str] = {}
    tasks = {run.task: run.preset.task_parameters for run in runs}
    for count, (task, parameters) in enumerate(tasks.items()):
        try:
            load_task(parameters, None, data, lambda share, count=count: progress((count + share) / len(tasks)))
        except TaskError as error:
            missing[task] = str(error)
    return missing


def carry_out(runs: Sequence[Run], data: Path, workers: int, seconds: float, progress: Progress) -> None:
    """Train and score the `runs` that are not yet, in `workers` processes that share the cores, for so many `seconds`.

    Raises
    ------
    Interrupted
        By the user, or the time was over (`OutOfTime`); what was under way has a checkpoint, and the same call goes on.
    ModelError
        A run failed, or its folder holds a run of other settings; the others are finished first.
    """
    due = [run for run in runs if not run.is_done()]
    threads = max(1, (os.cpu_count() or 1) // workers)
    deadline = time.time() + seconds
    # Fresh processes: a fork of one that has used torch's threads may hang.
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(workers, context, _prepare_worker, (threads,)) as pool:
        stop, reports = manager.Event(), manager.Queue()
        futures = {pool.submit(_complete, run, data, deadline, stop, reports): run for run in due}
        done = dict.fromkeys((run.name for run in due), 0.0)
        try:
            while True:
                waiting = wait(futures, timeout=1.0).not_done
                done |= _reported(reports)
                finished = len(runs) - len(due) + sum(value == 1 for value in done.values())
                share = (len(runs) - len(due) + sum(done.values())) / max(1, len(runs))
                progress(share, f"{finished} of {len(runs)} runs")
                if not waiting:
                    break
        except KeyboardInterrupt:
            stop.set()
            # Each ends the step under way and leaves a checkpoint.
            pool.shutdown(wait=True, cancel_futures=True)
            raise Interrupted("interrupted; the same command goes on where it stopped") from None
    _raise_first({run: error for future, run in futures.items() if (error := future.exception())}, len(due))


def _raise_first(errors: dict[Run, BaseException], due: int) -> None:
    failures = {run: error for run, error in errors.items() if not isinstance(error, Interrupted)}
    for run, error in failures.items():
        others = f" ({len(failures)} runs failed)" if len(failures) > 1 else ""
        raise ModelError(f"the run of {run.name} failed{others}: {error}") from error
    if errors:
        raise OutOfTime(f"out of time with {len(errors)} of {due} runs to go; the same command goes on")


def _prepare_worker(threads: int) -> None:
    torch.set_num_threads(threads)
    # Ctrl-C reaches every process of a terminal; who trains ends its step, and who waits does nothing.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _reported(reports: Queue) -> dict[str, float]:
    """The newest share done of each run that has said something."""
    newest: dict[str, float] = {}
    while True:
        try:
            name, share = reports.get_nowait()
        except Empty:
            return newest
        newest[name] = share


def _complete(run: Run, data: Path, deadline: float, stop: Event, reports: Queue) -> None:
    """Train what is left of a run and score it."""

    def is_over() -> bool:
        return time.time() >= deadline or stop.is_set()

    def report(fraction: float, note: str = "") -> None:  # noqa: ARG001
        # Scoring is the rest.
        reports.put((run.name, 0.99 * fraction))

    if is_over():
        raise OutOfTime("out of time before the run began")
    task = load_task(run.preset.task_parameters, None, data)
    configuration = run.preset.configuration(task)
    train(configuration, task, default_tables(), run.place, resume=run.place.exists(), is_over=is_over, progress=report)
    evaluate(run.place, task, run.preset.training.device, levels=partial(_levels, place=run.place.parents[1]))
    reports.put((run.name, 1.0))


def _levels(task: TaskData, place: Path) -> list[TrivialLevel]:
    """The trivial levels of `task`, kept in the folder `place`: on long texts they take as long as a training."""
    path, digest = place / "levels.json", task.sha256()
    if path.exists():
        kept = json.loads(read_text(path))
        if kept["data_sha256"] == digest:
            return [TrivialLevel(name, accuracy) for name, accuracy in kept["levels"].items()]
    levels = list(trivial_levels(task))
    content = {"data_sha256": digest, "levels": {level.name: level.accuracy for level in levels}}
    write_text(path, json.dumps(content, indent=2) + "\n")
    return levels
