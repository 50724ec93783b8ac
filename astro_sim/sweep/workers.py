"""Three places to compute the batches of a sweep: this process, processes of this machine, or a Dask cluster."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from astro_sim.errors import SimulationError
from rmaat.base.cluster import TIMEOUT, dask, dask_client
from rmaat.base.workers import LocalWorkers, WorkerDied

_CONTINUE = "finished batches are kept: give the same command again to continue"

Results = Generator[tuple[int, Any], None, None]
"""The place of each item, from 0, and the function's result for it, in the order in which they finish."""


class Workers(ABC):
    """Apply a function to items; the base of `InProcess`, `LocalProcesses` and `Cluster`."""

    @abstractmethod
    def apply(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Results:
        """Yield the place and the result of each item; raise what `function` raises."""


@dataclass(frozen=True)
class InProcess(Workers):
    """Compute one item after the other in this process."""

    def apply(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Results:
        """As `Workers.apply`."""
        for place, item in enumerate(items):
            yield place, function(item)


@dataclass(frozen=True)
class LocalProcesses(Workers):
    """Compute items in `count` processes of this machine, each with one thread.

    A script that uses it needs `if __name__ == "__main__":` around the call, because every worker imports the script.
    Measures must be functions at the top level of a script or module, not of an interactive session.
    """

    count: int

    def apply(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Results:
        """As `Workers.apply`.

        Raises
        ------
        UsageError
            The function or the items cannot be sent to another process.
        SimulationError
            A worker could not start, or was killed.
        """
        with LocalWorkers(min(self.count, len(items))) as workers:
            try:
                yield from workers.apply(function, items)
            except WorkerDied as error:
                raise SimulationError(f"{error}; {_CONTINUE}") from error


@dataclass(frozen=True)
class Cluster(Workers):
    """Compute items on the Dask cluster at `address` (`tcp://host:port`), whose workers have this toolkit installed.

    Needs the extra `sweep`.
    """

    address: str
    timeout: float = TIMEOUT

    def apply(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Results:
        """As `Workers.apply`.

        Raises
        ------
        UsageError
            Dask is not installed, or no scheduler answers at the address.
        SimulationError
            A worker died.
        """
        with dask_client(self.address, self.timeout) as client:
            yield from _apply(client, function, items)


def _apply(client: Any, function: Callable[[Any], Any], items: Sequence[Any]) -> Results:
    distributed = dask()
    futures = {client.submit(function, item, pure=False): place for place, item in enumerate(items)}
    try:
        for future in distributed.as_completed(futures):
            yield futures[future], future.result()
            # Let the cluster free the result, which the caller has now.
            del futures[future]
    except distributed.KilledWorker as error:
        raise SimulationError(
            f"a worker died while it computed a batch ({error}), perhaps for want of memory; {_CONTINUE}"
        ) from error
    finally:
        client.cancel(list(futures))
