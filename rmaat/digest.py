"""A digest of what a dataset holds."""

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr


def content_digest(dataset: "xr.Dataset") -> str:
    """SHA-256 of names, axes, types, values and attributes, however a file may order or compress them."""
    digest = hashlib.sha256()

    def take(*parts: Any) -> None:
        digest.update((json.dumps(parts, sort_keys=True, default=_plain) + "\n").encode())

    take(dataset.attrs)
    for name in sorted(map(str, dataset.variables)):
        variable = dataset[name].variable
        values = np.asarray(variable.values)
        if values.dtype.kind in "OUT":
            take(name, variable.dims, "text", values.astype(str).tolist(), variable.attrs)
        else:
            values = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
            take(name, variable.dims, values.dtype.str, values.shape, variable.attrs)
            digest.update(values.tobytes())
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """NumPy's numbers and arrays, which files turn attributes into, as plain ones."""
    return value.tolist()
