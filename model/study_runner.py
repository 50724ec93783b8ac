"""Training and scoring the runs of a study that are not done, several at a time."""

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from queue import Empty, Queue
from threading import Event

import torch

from distill.tables import default_tables
from model.errors import Interrupted, ModelError, OutOfTime
from model.evaluation import evaluate, measure_cost
from model.scoring import Progress
from model.study import Run
from model.tasks import TaskData, TaskError, TrivialLevel, trivial_levels
from model.tasks.library import load_task
from model.training import train
from rmaat.errors import RmaatError
from rmaat.files import read_text, write_text


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
    threads = max(1, _cores() // workers)
    with context.Manager() as manager, ProcessPoolExecutor(workers, context, _prepare_worker, (threads,)) as pool:
        stop, reports = manager.Event(), manager.Queue()
        try:
            with _terminated_as_interrupted():
                futures = {pool.submit(_complete, run, data, deadline, stop, reports): run for run in due}
                _watch(futures, reports, len(runs), progress)
        except KeyboardInterrupt:
            raise Interrupted("interrupted; the same command goes on where it stopped") from None
        finally:
            # Whoever still trains ends its step and leaves a checkpoint.
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
    _raise_first({run: error for future, run in futures.items() if (error := future.exception())})


def _watch(futures: dict[Future[None], Run], reports: Queue, count: int, progress: Progress) -> None:
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


def _prepare_worker(threads: int) -> None:
    torch.set_num_threads(threads)
    # Ctrl-C reaches every process of a terminal: the first one tells the others to end their step.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Inside, a request to terminate is a Ctrl-C, so that no worker is left behind."""
    earlier = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)


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
    """Train what is left of a run, score it and measure its cost."""
    parent = multiprocessing.parent_process()

    def is_over() -> bool:
        return time.time() >= deadline or (parent is not None and not parent.is_alive()) or stop.is_set()

    def report(fraction: float, note: str = "") -> None:  # noqa: ARG001
        # Scoring is the rest.
        reports.put((run.name, 0.99 * fraction))

    def end_scoring(fraction: float, note: str = "") -> None:  # noqa: ARG001
        # What is scored is not kept, and needs no more than a moment to be given up.
        if stop.is_set():
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
