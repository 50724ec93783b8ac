"""The connection to a Dask cluster, for the batches of a sweep and the trainings of a study."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from rmaat.base.errors import UsageError
from rmaat.base.extras import require

TIMEOUT = 10.0
"""Seconds to wait for an answer of the scheduler."""


def dask() -> ModuleType:
    """The library `distributed`; raises `UsageError`, which names the extra `sweep`, if it is not installed."""
    return require("distributed", "distributed", "a cluster")


@contextmanager
def dask_client(address: str, timeout: float = TIMEOUT) -> Iterator[Any]:
    """A client of the scheduler at `address` (`tcp://host:port`), closed at the end; needs the extra `sweep`.

    Raises
    ------
    UsageError
        Dask is not installed, or no scheduler answers within `timeout` seconds.
    """
    distributed = dask()
    try:
        client = distributed.Client(address, timeout=timeout)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"no Dask scheduler answers at {address} ({error}); start one with dask scheduler, or leave --cluster out"
        ) from error
    with client:
        yield client
