"""Worker processes on this machine: the one executor for the trainings of a study and the batches of a sweep.

Workers are fresh Python processes (`spawn`), because a fork of a process that has started threads may hang. They ignore
Ctrl-C; only the parent reacts to it. They also end when the parent dies.
"""

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from ctypes import c_bool
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.queues import Queue
from queue import Empty
from types import TracebackType
from typing import Any, Self

from rmaat.base.errors import RmaatError, UsageError
from rmaat.base.signals import interrupts_ignored

THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Environment variables that limit the threads of numerical libraries; they count when a library is loaded"""


class WorkerDied(RmaatError):
    """A worker process could not start, or was killed; the message gives the likely reason and what to do."""


class LocalWorkers:
    """A context manager with `count` worker processes; leaving the block ends them all.

    with LocalWorkers(2) as workers:
        for place, result in workers.apply(function, items):
            ...

    Every worker imports the caller's main module. A script must therefore call this under
    `if __name__ == "__main__":`. Functions and items travel by pickle: define them at the top level of a module.

    Parameters
    ----------
    count : int
        Number of processes, at least 1.
    threads : int
        Threads of numerical libraries in each process.
    patient : bool
        Whether leaving the block waits for functions that still run; they should ask `is_stopping` now and then.
        Without it, running workers are killed. Items that have not started are dropped in both cases.
    """

    def __init__(self, count: int, *, threads: int = 1, patient: bool = False):
        context = multiprocessing.get_context("spawn")
        # Nothing is ever sent: the reader sees the end of file when the parent closes its end, or dies.
        reader, self._keep_running = context.Pipe(duplex=False)
        # A plain value, because a lock could be lost with a worker that is killed.
        self._started = context.RawValue(c_bool, False)
        self._messages: Queue[Any] = context.Queue()
        self._threads = threads
        self._reader = reader
        self._pool = ProcessPoolExecutor(count, context, _begin, (reader, self._messages, self._started, patient))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._keep_running.close()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._reader.close()

    def submit(self, function: Callable[..., Any], items: Sequence[tuple[Any, ...]]) -> list[Future[Any]]:
        """Start `function(*item)` for each of `items`; return their futures in the same order.

        Raises
        ------
        UsageError
            The function or the first item cannot be sent to another process.
        """
        if items:
            _check_can_travel(function, items[0])
        # The processes start here. They inherit the ignored Ctrl-C and the environment.
        with interrupts_ignored(), _environment(dict.fromkeys(THREAD_SETTINGS, str(self._threads))):
            return [self._pool.submit(_work, function, item) for item in items]

    def apply(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Yield the place of each item, from 0, and `function(item)`, in the order in which they finish.

        Raises what `function` raises, `WorkerDied`, and `UsageError` as `submit`.
        """
        places = {future: place for place, future in enumerate(self.submit(function, [(item,) for item in items]))}
        for future in as_completed(list(places)):
            # Without `pop` the results of all items would stay in memory.
            yield places.pop(future), self.result(future)

    def result(self, future: Future[Any]) -> Any:
        """The result of a finished future; raises what its function raised, or `WorkerDied`."""
        try:
            return future.result()
        except BrokenProcessPool as error:
            raise WorkerDied(self._cause_of_death()) from error

    def messages(self) -> list[Any]:
        """What the workers sent with `send` since the last call."""
        found = []
        while True:
            try:
                found.append(self._messages.get_nowait())
            except Empty:
                return found

    def _cause_of_death(self) -> str:
        if self._started.value:
            return "a worker was killed, perhaps for want of memory"
        return (
            "no worker could start; its own message is above. A script must start workers under "
            'if __name__ == "__main__":'
        )


def is_stopping() -> bool:
    """Whether the parent has ended the workers; for functions that run in a patient worker."""
    return _worker.stopping.is_set()


def send(message: Any) -> None:
    """Send `message` from a worker to `LocalWorkers.messages` of the parent."""
    assert _worker.messages is not None, "send works in a worker process only"
    _worker.messages.put(message)


def core_count() -> int:
    """Number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class _Worker:
    """The state of this worker process."""

    patient: bool = False
    messages: "Queue[Any] | None" = None
    stopping: threading.Event = field(default_factory=threading.Event)
    busy: bool = False
    """whether a function runs; guarded by `lock`"""
    lock: threading.Lock = field(default_factory=threading.Lock)


_worker = _Worker()


def _begin(reader: Any, messages: "Queue[Any]", started: Any, patient: bool) -> None:
    """Prepare a worker process."""
    started.value = True
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A worker that ends does not wait until its messages are read.
    messages.cancel_join_thread()
    _worker.messages, _worker.patient = messages, patient
    threading.Thread(target=_end_with_parent, args=(reader,), daemon=True).start()


def _end_with_parent(reader: Any) -> None:
    """Wait until the parent ends the workers or dies, then end this process."""
    wait([reader])
    _worker.stopping.set()
    # Exit only while a function runs: the main thread may otherwise be sending a result, and the parent would wait for
    # the rest of it for ever. The pool itself ends idle workers.
    with _worker.lock:
        if _worker.busy and not _worker.patient:
            os._exit(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        with _worker.lock:
            if not _worker.busy:
                os._exit(1)


def _work(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    with _worker.lock:
        _worker.busy = True
    try:
        # `timeout` and schedulers send SIGTERM to every process of a group. A patient worker lets its parent react.
        # It must heed the signal again when idle, because the pool ends idle workers with it after a worker has died.
        before = signal.signal(signal.SIGTERM, signal.SIG_IGN) if _worker.patient else None
        try:
            return function(*arguments)
        finally:
            if before is not None:
                signal.signal(signal.SIGTERM, before)
            if _worker.stopping.is_set() and _worker.patient:
                # Nobody waits for the result any more.
                os._exit(0)
    finally:
        with _worker.lock:
            _worker.busy = False


def _check_can_travel(function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Refuse what a worker could not load, because the pool would only report a dead worker."""
    try:
        content = pickle.dumps((function, arguments))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UsageError(
            f"{function!r} or its arguments cannot be sent to another process ({error}); "
            "define functions at the top level of a module"
        ) from error
    if b"__main__" in content and not hasattr(sys.modules["__main__"], "__file__"):
        raise UsageError(
            "a function defined in an interactive session cannot be sent to another process; put it into a module, or "
            "work in this process alone"
        )


@contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
