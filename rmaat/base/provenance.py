"""Provenance of a result: the digest of a dataset, the versions of the software, and the processor."""

import functools
import hashlib
import json
import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xarray as xr

BLOCK = 2**24
"""Bytes of a large array that are in memory at the same time."""


def content_digest(dataset: "xr.Dataset") -> str:
    """SHA-256 of names, axes, types, values and attributes.

    The order of the variables and their compression in a file do not change it.
    """
    digest = hashlib.sha256()

    def add(*parts: Any) -> None:
        digest.update((json.dumps(parts, sort_keys=True, default=_plain) + "\n").encode())

    add(dataset.attrs)
    for name in sorted(map(str, dataset.variables)):
        variable = dataset[name].variable
        # Objects, fixed-width text and NumPy's variable-width text: the type depends on the reader, so hash the text.
        if variable.dtype.kind in "OUT":
            add(name, variable.dims, "text", np.asarray(variable.values).astype(str).tolist(), variable.attrs)
        else:
            kind = variable.dtype.newbyteorder("<")
            add(name, variable.dims, kind.str, variable.shape, variable.attrs)
            for block in blocks(dataset[name]):
                digest.update(block.astype(kind, copy=False).tobytes())
    return digest.hexdigest()


def blocks(array: "xr.DataArray") -> "Iterator[NDArray]":
    """The values of `array` in contiguous pieces of at most about `BLOCK` bytes along its first axis."""
    rows = max(1, BLOCK // max(1, array[:1].nbytes)) if array.ndim else 1
    for start in range(0, array.shape[0] if array.ndim else 1, rows):
        yield np.ascontiguousarray(array[start : start + rows].values if array.ndim else array.values)


def with_digest(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values`, and as the last entry their SHA-256."""
    return {**values, _DIGEST: _record_digest(values)}


def without_digest(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that `with_digest` got, or all `values` if they have no digest, as in files of before it was added.

    Raises
    ------
    ValueError
        The digest is not that of the values.
    """
    rest = {name: value for name, value in values.items() if name != _DIGEST}
    if values.get(_DIGEST) not in (None, _record_digest(rest)):
        raise ValueError("it was changed after it was written")
    return rest


_DIGEST = "sha256"


def _record_digest(values: Mapping[str, Any]) -> str:
    """SHA-256 of `values` as JSON, whatever the order of their names."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """Convert NumPy numbers and arrays for JSON: attributes read from a file have these types."""
    return value.tolist()


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python, of this toolkit and of `packages`; "not installed" if a package has no metadata."""
    return {"python": platform.python_version()} | {name: _version(name) for name in ("rmaat-toolkit", *packages)}


# Cached: each lookup reads the package's metadata, and a sweep stores the versions with thousands of traces.
@functools.cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def processor() -> str:
    """The name of the processor; the machine type where the system gives no name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
