"""Train and score the unfinished runs of a study, several at a time."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import partial
from pathlib import Path

import torch

from distill.tables import default_tables, read_tables
from model.errors import ModelError
from model.studies.study import Run
from model.tasks import TaskData, TaskError, TrivialLevel, trivial_levels
from model.tasks.library import load_task
from model.training.evaluation import evaluate, measure_cost
from model.training.loop import train
from model.training.run_folder import RunFolder
from rmaat.base.errors import Interrupted, OutOfTime, RmaatError, UsageError
from rmaat.base.files import read_json, write_text
from rmaat.base.progress import Progress, ignore_progress, part_of
from rmaat.base.signals import termination_as_interrupt
from rmaat.base.workers import LocalWorkers, WorkerDied, core_count, is_stopping, send


def without_data(runs: Sequence[Run], data: Path, progress: Progress) -> dict[str, str]:
    """The tasks of `runs` without data in the folder `data`, each with the reason and what to do.

    Tasks that can be generated are generated into `data`.

    Raises
    ------
    ModelError
        A run folder holds a training on other data than these.
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
    """One training per CPU core, or a single one if there is a GPU."""
    return 1 if torch.cuda.is_available() else core_count()


def unfinished(runs: Sequence[Run]) -> list[Run]:
    """Those of `runs` that are not done; raises `ModelError` as `Run.is_done`."""
    return [run for run in runs if not run.is_done()]


def run_unfinished(runs: Sequence[Run], data: Path, workers: int, deadline: float, progress: Progress) -> None:
    """Train and score the unfinished `runs` in `workers` processes that share the CPU cores.

    `deadline` is a time of `time.monotonic`, which no change of the clock moves. Running workers then finish their
    validation or scoring and write a checkpoint.
    A script needs `if __name__ == "__main__":` around the call, because every worker imports the script.

    Raises
    ------
    Interrupted
        Ctrl-C or SIGTERM, or `OutOfTime` at the deadline. The same call continues from the checkpoints.
    ModelError
        A run failed, after the others have finished; a run folder has other settings; a worker was killed.
    """
    due = unfinished(runs)
    if not due:
        return
    threads = max(1, core_count() // workers)
    with LocalWorkers(workers, threads=threads, patient=True) as pool:
        try:
            with termination_as_interrupt():
                futures = pool.submit(_complete_in_worker, [(run, data, deadline) for run in due])
                _watch(pool, dict(zip(futures, due, strict=True)), len(runs), progress)
        except KeyboardInterrupt:
            raise Interrupted("interrupted; the same command continues where it stopped") from None
        errors = dict(zip(due, map(_error_of, [pool] * len(due), futures), strict=True))
    raise_first({run: error for run, error in errors.items() if error})


def _watch(pool: LocalWorkers, futures: dict[Future[None], Run], count: int, progress: Progress) -> None:
    """Show progress until all `futures` are done."""
    earlier = count - len(futures)
    done = dict.fromkeys((run.name for run in futures.values()), 0.0)
    while True:
        ended, waiting = wait(futures, timeout=1.0)
        done |= dict(pool.messages())
        # The last message of a run may still be on its way when its result is there.
        done |= {futures[future].name: 1.0 for future in ended if not future.exception()}
        finished = earlier + sum(share == 1 for share in done.values())
        progress((earlier + sum(done.values())) / count, f"{finished} of {count} runs")
        if not waiting:
            return


def _error_of(pool: LocalWorkers, future: Future[None]) -> Exception | None:
    try:
        pool.result(future)
    except Exception as error:
        return error
    return None


def raise_first(errors: Mapping[Run, Exception]) -> None:
    """Raise the most informative of the `errors` of runs, if there are any: `ModelError`, or `OutOfTime`."""
    for error in errors.values():
        if isinstance(error, WorkerDied):
            raise ModelError(f"{error}; the same command continues, try fewer --workers") from error
    failures = {run: error for run, error in errors.items() if not isinstance(error, Interrupted)}
    if failures:
        names = "; ".join(run.name for run in failures)
        error = next(iter(failures.values()))
        if not isinstance(error, RmaatError):
            raise error
        raise ModelError(f"these runs failed: {names}; the first one because {error}") from error
    if errors:
        raise OutOfTime(f"out of time with {len(errors)} runs to go; the same command continues")


def _complete_in_worker(run: Run, data: Path, deadline: float) -> None:
    def report(fraction: float, note: str = "") -> None:  # noqa: ARG001
        send((run.name, fraction))

    complete(run, data, deadline, is_stopping, report)


def complete(
    run: Run, data: Path, deadline: float, is_stopping: Callable[[], bool], progress: Progress = ignore_progress
) -> None:
    """Train the rest of a run, score it and measure its cost.

    Raises
    ------
    OutOfTime
        `deadline` is over or `is_stopping` says so; a checkpoint is written.
    ModelError, TaskError, TableError, FileError
        As `model.training.loop.train` and `model.training.evaluation.evaluate`.
    """

    def is_over() -> bool:
        return time.monotonic() >= deadline or is_stopping()

    def training(fraction: float, note: str = "") -> None:  # noqa: ARG001
        # The last per cent is for scoring.
        progress(0.99 * fraction)

    def stop_scoring(fraction: float, note: str = "") -> None:  # noqa: ARG001
        # Scoring can stop at any batch; it saves nothing.
        if is_stopping():
            raise OutOfTime("interrupted while scoring, which starts again")

    if is_over():
        raise OutOfTime("out of time before the run began; nothing is lost")
    task = load_task(run.preset.task_parameters, None, data)
    configuration = run.preset.configuration(task)
    tables = read_tables(run.tables) if run.tables else default_tables()
    train(configuration, task, tables, run.place, resume=run.place.exists(), is_over=is_over, progress=training)
    levels = partial(_levels, place=run.place.parents[1])
    evaluate(run.place, task, run.preset.training.device, stop_scoring, levels)
    measure_cost(run.place, task)
    progress(1.0)


def _levels(task: TaskData, place: Path) -> list[TrivialLevel]:
    """The trivial levels of `task`, cached in the folder `place`: on long texts they take as long as a training."""
    path, identity = place / "levels.json", [task.sha256(), *task.levels]
    # Compute them again if the file is damaged.
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        kept = read_json(path) if path.exists() else {}
        if kept["of"] == identity:
            return [TrivialLevel(name, float(accuracy)) for name, accuracy in kept["levels"].items()]
    levels = list(trivial_levels(task))
    content = {"of": identity, "levels": {level.name: level.accuracy for level in levels}}
    write_text(path, json.dumps(content, indent=2) + "\n")
    return levels
