"""A digest of what a dataset holds, and reading it piece by piece."""

import hashlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xarray as xr

# In bytes; what is read of a large file at once.
BLOCK = 2**24


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
