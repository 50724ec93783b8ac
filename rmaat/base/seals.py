"""Seal a file with the SHA-256 of its bytes, so that damage is found before a library parses it."""

import hashlib
import os
from pathlib import Path

from rmaat.base.files import open_file

_MARK = b"\nrmaat-sha256\n"
_BLOCK = 2**16


def seal(path: Path) -> None:
    """Append the SHA-256 of the file `path` to it. HDF5 and other formats with a known end ignore it."""
    digest = _sha256(path, path.stat().st_size)
    with path.open("ab") as stream:
        stream.write(_MARK + digest)


def is_sealed(path: Path) -> bool:
    """Whether `path` ends in the seal of its content.

    A library that parses a damaged file may crash, so compare the seal before it opens the file.

    Raises
    ------
    ValueError
        The seal is not that of the content.
    FileError
        The file cannot be read.
    """
    with open_file(path) as stream:
        size = max(0, os.fstat(stream.fileno()).st_size - len(_MARK) - 32)
        stream.seek(size)
        mark, digest = stream.read(len(_MARK)), stream.read()
    if mark != _MARK or len(digest) != 32:
        return False
    if digest != _sha256(path, size):
        raise ValueError("it was changed after it was written")
    return True


def _sha256(path: Path, size: int) -> bytes:
    """The digest of the first `size` bytes of `path`."""
    digest = hashlib.sha256()
    with open_file(path) as stream:
        while size > 0 and (block := stream.read(min(size, _BLOCK))):
            digest.update(block)
            size -= len(block)
    return digest.digest()
