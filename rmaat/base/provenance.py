"""Where a result came from: a digest of a dataset's content, the versions of the software, and the processor."""

import functools
import hashlib
import json
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xarray as xr

BLOCK = 2**24
"""bytes that are read of a large file at once"""


def content_digest(dataset: "xr.Dataset") -> str:
    """SHA-256 of names, axes, types, values and attributes, however a file may order or compress them."""
    digest = hashlib.sha256()

    def take(*parts: Any) -> None:
        digest.update((json.dumps(parts, sort_keys=True, default=_plain) + "\n").encode())

    take(dataset.attrs)
    for name in sorted(map(str, dataset.variables)):
        variable = dataset[name].variable
        if variable.dtype.kind in "OUT":
            take(name, variable.dims, "text", np.asarray(variable.values).astype(str).tolist(), variable.attrs)
        else:
            kind = variable.dtype.newbyteorder("<")
            take(name, variable.dims, kind.str, variable.shape, variable.attrs)
            for block in blocks(dataset[name]):
                digest.update(block.astype(kind, copy=False).tobytes())
    return digest.hexdigest()


def blocks(array: "xr.DataArray") -> "Iterator[NDArray]":
    """The values of `array` in pieces along its first axis, each small and in memory in the order of the axes."""
    rows = max(1, BLOCK // max(1, array[:1].nbytes)) if array.ndim else 1
    for start in range(0, array.shape[0] if array.ndim else 1, rows):
        yield np.ascontiguousarray(array[start : start + rows].values if array.ndim else array.values)


def _plain(value: Any) -> Any:
    """NumPy's numbers and arrays, which files turn attributes into, as plain ones."""
    return value.tolist()


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python, of this toolkit and of `packages`; a checkout may run without being installed."""
    return {"python": platform.python_version()} | {name: _version(name) for name in ("rmaat-toolkit", *packages)}


# Looked up once: a sweep says it of thousands of traces, and each look reads the package's metadata.
@functools.cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
