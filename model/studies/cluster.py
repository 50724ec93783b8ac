"""Train and score the unfinished runs of a study on a Dask cluster whose workers see the same folders."""

import dataclasses
import math
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

from model.errors import ModelError
from model.studies.runner import complete, raise_first, unfinished
from model.studies.study import Run
from rmaat.base.cluster import dask, dask_client
from rmaat.base.errors import Interrupted, UsageError
from rmaat.base.progress import Progress
from rmaat.base.signals import termination_as_interrupt

_ASK_EVERY = 1.0
"""Seconds between two questions of a worker to the scheduler whether to stop."""


def run_on_cluster(runs: Sequence[Run], data: Path, address: str, deadline: float, progress: Progress) -> None:
    """Train and score the unfinished `runs` on the cluster of the scheduler at `address`, `tcp://host:port`.

    The workers have this toolkit installed, run one thread each (`dask worker --nthreads 1`), and see the folders of
    the runs and of `data` under the same paths. `deadline` is a time of `time.monotonic` of this
    machine.

    Raises
    ------
    UsageError
        Dask is not installed, no scheduler answers, or a worker has several threads.
    Interrupted
        Ctrl-C or SIGTERM, or `OutOfTime` at the deadline. The same call continues from the checkpoints.
    ModelError
        A run failed, after the others have finished; a run folder has other settings; a worker died.
    """
    due = unfinished(runs)
    if not due:
        return
    with dask_client(address) as client:
        _check_threads(client)
        stop = dask().Event(f"stop-{uuid.uuid4()}", client)
        futures = [
            client.submit(_complete_on_worker, _absolute(run), data.resolve(), stop.name, pure=False) for run in due
        ]
        try:
            with termination_as_interrupt():
                _watch(futures, len(runs), deadline, stop, progress)
        except KeyboardInterrupt:
            stop.set()
            dask().wait(futures)
            raise Interrupted("interrupted; the same command continues where it stopped") from None
        errors = dict(zip(due, map(_error_of, futures), strict=True))
    raise_first({run: error for run, error in errors.items() if error})


def _check_threads(client: Any) -> None:
    """Two trainings in one process would share random numbers and the number of torch's threads."""
    several = {worker: threads for worker, threads in client.nthreads().items() if threads != 1}
    if several:
        worker, threads = next(iter(several.items()))
        raise UsageError(
            f"the worker {worker} runs {threads} tasks in one process, and trainings need a process each; start it "
            "with dask worker --nthreads 1 --nworkers NUMBER"
        )


def _absolute(run: Run) -> Run:
    return dataclasses.replace(run, place=run.place.resolve(), tables=run.tables.resolve() if run.tables else None)


def _watch(futures: Sequence[Any], count: int, deadline: float, stop: Any, progress: Progress) -> None:
    """Show the number of finished runs until all `futures` are done; set the event `stop` at the deadline."""
    earlier = count - len(futures)
    while True:
        finished = earlier + sum(future.done() for future in futures)
        # Clocks of machines differ, so the workers do not judge the time.
        if time.monotonic() >= deadline:
            stop.set()
        progress(finished / count, f"{finished} of {count} runs")
        if finished == count:
            return
        time.sleep(0.5)


def _error_of(future: Any) -> Exception | None:
    """What a finished run raised."""
    distributed = dask()
    try:
        future.result()
    except (distributed.KilledWorker, CancelledError) as error:
        return ModelError(f"a worker died in it ({error}), perhaps for want of memory; the same command continues")
    except Exception as error:
        return error
    return None


def _complete_on_worker(run: Run, data: Path, stop: str) -> None:
    is_stopping = dask().Event(stop).is_set
    complete(run, data, math.inf, _every(_ASK_EVERY, is_stopping))


def _every(seconds: float, ask: Callable[[], bool]) -> Callable[[], bool]:
    """`ask`, asked once in `seconds` at most; in between the last answer counts, and True stays."""
    answer, next_time = False, 0.0

    def current() -> bool:
        nonlocal answer, next_time
        if not answer and (now := time.monotonic()) >= next_time:
            answer, next_time = ask(), now + seconds
        return answer

    return current
