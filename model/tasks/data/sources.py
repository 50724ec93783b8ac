"""Read the users' files from a folder or a tar archive, which need not be unpacked.

An archive or a folder from elsewhere may be hostile. Only plain files are read, links must not lead out of the folder,
and the size of an archive and of each file in it is bounded.
"""

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

from model.tasks.data.dataset import TaskError
from rmaat.base.files import MOST_BYTES, FileError, open_file, read_bytes
from rmaat.base.progress import Progress, ignore_progress

MOST_MEMBER = 2**26
"""Bytes of the largest file in an archive; the largest in use, a batch of CIFAR-10, has 31 million."""
MOST_UNPACKED = 2**30
"""Bytes of the largest archive when it is unpacked; that of the reviews has some 400 million."""


def read_file(path: Path, most: int = MOST_BYTES) -> bytes:
    """The bytes of the plain file `path`; raises `TaskError` if it cannot be read or has more than `most`."""
    with task_errors():
        return read_bytes(path, most)


@contextmanager
def opened_file(path: Path) -> Iterator[BinaryIO]:
    """Open the plain file `path` of any size; raises `TaskError` if it cannot be read."""
    with task_errors(), open_file(path) as stream:
        yield stream


@contextmanager
def task_errors() -> Iterator[None]:
    """Turn the `FileError` of a reader into a `TaskError`."""
    try:
        yield
    except FileError as error:
        raise TaskError(str(error)) from error


def refuse_outside(path: Path, folder: Path) -> None:
    """Raise `TaskError` if `path` is not in `folder`, for example because a link leads out of it."""
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    # Python 3.11 and 3.12 raise RuntimeError for a link that leads to itself.
    except (OSError, RuntimeError):
        inside = False
    if not inside:
        raise TaskError(f"{path} leads out of {folder}; replace the link or the path by a copy of the file")


def read_members(source: Path, wanted: Callable[[str], bool], progress: Progress = ignore_progress) -> dict[str, bytes]:
    """The files of the folder or tar archive `source`, by their path in it, sorted.

    `wanted` takes a path with slashes and says whether to read that file. Nothing is written, so that paths in an
    archive may have any form; links in it are skipped.

    Raises
    ------
    TaskError
        The source cannot be read, the archive is damaged, incomplete or too large, or a link leads out of the folder.
    """
    if source.is_dir():
        names = {path.relative_to(source).as_posix(): path for path in source.rglob("*") if path.is_file()}
        chosen = [(name, path) for name, path in sorted(names.items()) if wanted(name)]
        for _, path in chosen:
            refuse_outside(path, source)
        return {name: read_file(path) for name, path in chosen}
    found: dict[str, bytes] = {}
    try:
        with opened_file(source) as raw, _unpacked(raw) as stream, _archive(stream) as archive:
            size = source.stat().st_size
            for member in archive:
                progress(min(raw.tell() / size, 1))
                if member.isfile() and wanted(member.name) and (content := archive.extractfile(member)) is not None:
                    _check_member(member.size)
                    found[member.name] = content.read()
    except OSError as error:
        raise TaskError(f"cannot read {source}: {error.strerror or error}") from error
    except (tarfile.TarError, EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
        raise TaskError(f"{source} is not a tar archive, or incomplete ({error}); download it again") from error
    return dict(sorted(found.items()))


def _unpacked(raw: BinaryIO) -> Any:
    """The content of a compressed file, or `raw` itself, by its first bytes."""
    first = raw.read(6)
    raw.seek(0)
    if first.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=raw)
    if first.startswith(b"BZh"):
        return bz2.BZ2File(raw)
    return lzma.LZMAFile(raw) if first == b"\xfd7zXZ\0" else raw


def _archive(stream: BinaryIO) -> tarfile.TarFile:
    bounded: Any = _Bounded(stream)
    # "r:" is a tar archive without compression, which `_unpacked` has removed.
    return tarfile.open(fileobj=bounded, mode="r:")


def _check_member(size: int) -> None:
    if size > MOST_MEMBER:
        raise tarfile.ReadError(f"it has a part of {size:,} bytes, and at most {MOST_MEMBER:,} are read")


class _Bounded:
    """A stream that refuses to go beyond `MOST_UNPACKED`, or to read more than `MOST_MEMBER` at once.

    A few bytes of an archive can claim a file or a name of any size, which `tarfile` would read as a whole.
    """

    def __init__(self, stream: IO[bytes]):
        self._stream = stream
        self.tell = stream.tell

    def read(self, size: int) -> bytes:
        """As a file's `read`."""
        _check_member(size)
        return self._stream.read(size)

    def seek(self, place: int) -> int:
        """As a file's `seek`."""
        if place > MOST_UNPACKED:
            raise tarfile.ReadError(f"unpacked it has {place:,} bytes or more, and at most {MOST_UNPACKED:,} are read")
        return self._stream.seek(place)
