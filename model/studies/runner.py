"""Training and scoring the runs of a study that are not done, several at a time."""

import json
import multiprocessing
import os
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from ctypes import c_bool
from dataclasses import dataclass
from functools import partial
from multiprocessing.queues import Queue
from pathlib import Path
from queue import Empty
from typing import ClassVar, TypeAlias

import torch

from distill.tables import default_tables
from model.errors import ModelError
from model.studies.study import Run
from model.tasks import TaskData, TaskError, TrivialLevel, trivial_levels
from model.tasks.library import load_task
from model.training.evaluation import evaluate, measure_cost
from model.training.loop import train
from model.training.run_folder import RunFolder
from rmaat.base.errors import Interrupted, OutOfTime, RmaatError, UsageError
from rmaat.base.files import read_text, write_text
from rmaat.base.progress import Progress, part_of
from rmaat.base.signals import ignore_stop_signals, termination_as_interrupt

Reports: TypeAlias = "Queue[tuple[str, float]]"
"""Names of runs and the share of each that is done."""


def without_data(runs: Sequence[Run], data: Path, progress: Progress) -> dict[str, str]:
    """The tasks of `runs` whose data are not in the folder `data`, and what to do about each; some are generated.

    Raises
    ------
    ModelError
        A run's folder holds a training on other data than these.
    """
    missing: dict[str, str] = {}
    by_task: dict[str, list[Run]] = {}
    for run in runs:
        by_task.setdefault(run.task, []).append(run)
    for count, (task, of_task) in enumerate(by_task.items()):
        parameters = of_task[0].preset.task_parameters
        try:
            found = load_task(parameters, None, data, part_of(progress, count, len(by_task)))
        except (TaskError, UsageError) as error:
            missing[task] = str(error)
            continue
        digest = found.sha256()
        for folder in (RunFolder(run.place) for run in of_task):
            if folder.configuration.exists() and folder.read_configuration().data_sha256 != digest:
                raise ModelError(f"{folder.path} was trained on other data than {data} holds; delete it and run again")
    return missing


def default_workers() -> int:
    """A training a core, or one where there is a GPU."""
    return 1 if torch.cuda.is_available() else _cores()


def carry_out(runs: Sequence[Run], data: Path, workers: int, deadline: float, progress: Progress) -> None:
    """Train and score the `runs` that are not done, in `workers` processes that share the cores, until `deadline`.

    The deadline is one of `time.time`; a validation or scoring under way is finished.

    Raises
    ------
    Interrupted
        By the user, or the time was over (`OutOfTime`); what was under way has a checkpoint, and the same call goes on.
    ModelError
        A run failed, the others are finished first; a run's folder holds one of other settings; a worker was killed.
    """
    due = [run for run in runs if not run.is_done()]
    if not due:
        return
    # Fresh processes: a fork of one that has used torch's threads may hang.
    context = multiprocessing.get_context("spawn")
    threads, channel = max(1, _cores() // workers), _Channel(context.RawValue(c_bool, False), context.Queue())
    with ProcessPoolExecutor(workers, context, _prepare_worker, (threads, channel)) as pool:
        try:
            with termination_as_interrupt():
                futures = {pool.submit(_complete, run, data, deadline): run for run in due}
                _watch(futures, channel.reports, len(runs), progress)
        except KeyboardInterrupt:
            raise Interrupted("interrupted; the same command goes on where it stopped") from None
        finally:
            # Whoever still trains ends its step and leaves a checkpoint.
            channel.stop.value = True
            pool.shutdown(wait=True, cancel_futures=True)
    _raise_first({run: error for future, run in futures.items() if (error := future.exception())})


def _watch(futures: dict[Future[None], Run], reports: Reports, count: int, progress: Progress) -> None:
    """Show progress until all `futures` are done."""
    earlier = count - len(futures)
    done = dict.fromkeys((run.name for run in futures.values()), 0.0)
    while True:
        waiting = wait(futures, timeout=1.0).not_done
        done |= _reported(reports)
        finished = earlier + sum(share == 1 for share in done.values())
        progress((earlier + sum(done.values())) / count, f"{finished} of {count} runs")
        if not waiting:
            return


def _raise_first(errors: dict[Run, BaseException]) -> None:
    """Raise what says most of the `errors`, if there are any."""
    if any(isinstance(error, BrokenProcessPool) for error in errors.values()):
        raise ModelError(
            "a worker was killed, perhaps for want of memory; the same command goes on, try fewer --workers"
        )
    failures = {run: error for run, error in errors.items() if not isinstance(error, Interrupted)}
    if failures:
        names = "; ".join(run.name for run in failures)
        error = next(iter(failures.values()))
        if not isinstance(error, RmaatError):
            raise error
        raise ModelError(f"these runs failed: {names}; the first one because {error}") from error
    if errors:
        raise OutOfTime(f"out of time with {len(errors)} runs to go; the same command goes on")


@dataclass(frozen=True)
class _Channel:
    """What the first process and its workers share. It reaches a worker only as that starts, and lives there here."""

    stop: c_bool
    """without a lock, which a worker that is killed could take along"""
    reports: Reports

    here: ClassVar["_Channel"]
    """of this worker"""


def _prepare_worker(threads: int, channel: _Channel) -> None:
    torch.set_num_threads(threads)
    # Ctrl-C and `timeout` reach every process of a group; the parent tells the workers to end their step.
    ignore_stop_signals()
    # A worker that ends does not wait until its reports are read.
    channel.reports.cancel_join_thread()
    _Channel.here = channel


def _reported(reports: Reports) -> dict[str, float]:
    """The newest share done of each run that has said something."""
    newest: dict[str, float] = {}
    while True:
        try:
            name, share = reports.get_nowait()
        except Empty:
            return newest
        newest[name] = share


def _complete(run: Run, data: Path, deadline: float) -> None:
    """Train what is left of a run, score it and measure its cost."""
    parent, stop, reports = multiprocessing.parent_process(), _Channel.here.stop, _Channel.here.reports

    def is_over() -> bool:
        return time.time() >= deadline or (parent is not None and not parent.is_alive()) or stop.value

    def report(fraction: float, note: str = "") -> None:  # noqa: ARG001
        # Scoring is the rest.
        reports.put((run.name, 0.99 * fraction))

    def end_scoring(fraction: float, note: str = "") -> None:  # noqa: ARG001
        # What is scored is not kept, and needs no more than a moment to be given up.
        if stop.value:
            raise OutOfTime("interrupted while scoring; it begins again")

    if is_over():
        raise OutOfTime("out of time before the run began; nothing is lost")
    task = load_task(run.preset.task_parameters, None, data)
    configuration = run.preset.configuration(task)
    train(configuration, task, default_tables(), run.place, resume=run.place.exists(), is_over=is_over, progress=report)
    levels = partial(_levels, place=run.place.parents[1])
    evaluate(run.place, task, run.preset.training.device, end_scoring, levels)
    measure_cost(run.place, task)
    reports.put((run.name, 1.0))


def _levels(task: TaskData, place: Path) -> list[TrivialLevel]:
    """The trivial levels of `task`, kept in the folder `place`: on long texts they take as long as a training."""
    path, identity = place / "levels.json", [task.sha256(), *task.levels]
    # What cannot be read is made anew.
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        kept = json.loads(read_text(path)) if path.exists() else {}
        if kept["of"] == identity:
            return [TrivialLevel(name, float(accuracy)) for name, accuracy in kept["levels"].items()]
    levels = list(trivial_levels(task))
    content = {"of": identity, "levels": {level.name: level.accuracy for level in levels}}
    write_text(path, json.dumps(content, indent=2) + "\n")
    return levels


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
