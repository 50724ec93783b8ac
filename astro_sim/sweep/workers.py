"""Where the batches of a sweep are computed: in this process, in processes of this machine, or on a cluster."""

import importlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from astro_sim.errors import SimulationError
from rmaat.base.errors import UsageError
from rmaat.base.signals import interrupts_ignored

Results = Generator[tuple[int, Any], None, None]
"""Numbers of the items, from 0, and what the function made of them, in the order in which they are done."""


class Workers(ABC):
    """Something that applies a function to items."""

    @abstractmethod
    def apply(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Results:
        """`function` of each item; raises what `function` raises."""


@dataclass(frozen=True)
class InProcess(Workers):
    """One after the other, here; needs no Dask."""

    def apply(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Results:
        """As `Workers.apply`."""
        for place, item in enumerate(items):
            yield place, function(item)


@dataclass(frozen=True)
class LocalProcesses(Workers):
    """`count` processes of this machine, each with one thread, that listen on its loopback address only.

    Raises
    ------
    UsageError
        Dask is not installed.
    """

    count: int

    def apply(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Results:
        """As `Workers.apply`. A script that calls it must do so under `if __name__ == "__main__"`."""
        distributed = _distributed()
        with interrupts_ignored():
            cluster = distributed.LocalCluster(
                n_workers=min(self.count, len(items)),
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address=None,
                # Any free port: that of the dashboard, which is opened even where there is none, may be taken.
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                silence_logs=logging.CRITICAL,
            )
        with cluster, distributed.Client(cluster) as client:
            yield from _apply(client, function, items)


@dataclass(frozen=True)
class Cluster(Workers):
    """A Dask cluster at `address` (`tcp://host:port`), whose workers have this toolkit installed.

    Raises
    ------
    UsageError
        Dask is not installed.
    SimulationError
        Nobody answers at the address.
    """

    address: str
    timeout: float = 10.0

    def apply(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Results:
        """As `Workers.apply`."""
        distributed = _distributed()
        try:
            client = distributed.Client(self.address, timeout=self.timeout)
        except (OSError, ValueError) as error:
            raise SimulationError(
                f"no Dask scheduler answers at {self.address} ({error}); start one with dask scheduler, or leave "
                "--cluster out"
            ) from error
        with client:
            yield from _apply(client, function, items)


def _distributed() -> Any:
    try:
        return importlib.import_module("distributed")
    except ImportError as error:
        raise UsageError(
            "several processes need Dask, which is not installed; install the extra with "
            "pip install 'rmaat-toolkit[sweep]', or use --workers 0"
        ) from error


def _apply(client: Any, function: Callable[[Any], Any], items: Sequence[Any]) -> Results:
    distributed = _distributed()
    futures = {client.submit(function, item, pure=False): place for place, item in enumerate(items)}
    try:
        for future in distributed.as_completed(futures):
            yield futures[future], future.result()
            # What the future holds is kept by the caller now, and need not be kept by the worker.
            del futures[future]
    except distributed.KilledWorker as error:
        raise SimulationError(
            f"a worker died while it computed a batch ({error}); is its memory too small? The batches that are done "
            "are kept: give the same command again to go on"
        ) from error
    finally:
        client.cancel(list(futures))
