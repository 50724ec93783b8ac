"""The array type of the numerical code, and arrays as bytes with a digest for unfinished work."""

import hashlib
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
"""An array of numbers; they have double precision unless a function says otherwise."""


def packed(arrays: Mapping[str, Any]) -> bytes:
    """`arrays` as an NPZ file with the SHA-256 of its content behind it; `numpy.load` reads it too."""
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue() + hashlib.sha256(content.getvalue()).digest()


def unpacked(content: bytes) -> dict[str, NDArray[Any]]:
    """The arrays in the `content` that `packed` made.

    Raises
    ------
    ValueError
        The content was changed or cut.
    """
    # Compared first: a damaged ZIP archive or header can raise any error, or claim any size.
    if hashlib.sha256(content[:-32]).digest() != content[-32:]:
        raise ValueError("it was changed or cut after it was written")
    with np.load(io.BytesIO(content[:-32])) as found:
        return {name: found[name] for name in found.files}
