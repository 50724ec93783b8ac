"""Files that appear whole or not at all.

Content goes to a temporary sibling, reaches the disk, and is renamed into place in one step. An interrupt, a full disk
or a crash leaves the earlier file as it was, or no file.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rmaat.base.errors import RmaatError


class FileError(RmaatError):
    """A file or folder that cannot be read, written or replaced."""


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path; what the caller writes there becomes `path` when the block ends without an error.

    Raises
    ------
    FileError
        The operating system refused (full disk, missing rights); nothing is left behind.
    """
    temporary = _temporary_sibling(path)
    with _refusals(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            _flush_to_disk(temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `path`, which must be free, when the block ends without an error.

    No system replaces a full folder in one step; give each version a name of its own.

    Raises
    ------
    FileError
        As `atomic_file`, and where `path` is there already.
    """
    temporary = _temporary_sibling(path)
    with _refusals(path):
        try:
            temporary.mkdir(parents=True)
            yield temporary
            for file in temporary.rglob("*"):
                if file.is_file():
                    _flush_to_disk(file)
            os.replace(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def unfinished_folder(path: Path) -> Iterator[Path]:
    """Yield the hidden folder beside `path` that holds work on it until it is done, for this process alone.

    What is in the folder stays when the block ends, however it ends; `finish` makes of it the file at `path`.

    Raises
    ------
    FileError
        The operating system refused, or another process holds the folder.
    """
    folder = unfinished(path)
    with _refusals(path):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            try:
                # The system lets go of it when the process ends, even if it is killed.
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise FileError(f"another process is writing {path}; wait for it, or choose another name") from None
            yield folder


def unfinished(path: Path) -> Path:
    """Where `unfinished_folder` keeps the work on `path`."""
    return path.parent / f".{path.name}.unfinished"


def finish(file: Path, path: Path) -> None:
    """Make `file`, in the folder of `unfinished_folder`, the file at `path`, and remove the folder."""
    _flush_to_disk(file)
    os.replace(file, path)
    discard(path)


def discard(path: Path) -> None:
    """Remove what `unfinished_folder` keeps for `path`, if anything."""
    shutil.rmtree(unfinished(path), ignore_errors=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` whole or not at all; raises `FileError`."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 `content` to `path` whole or not at all; raises `FileError`."""
    write_bytes(path, content.encode())


def read_text(path: Path) -> str:
    """The UTF-8 content of `path`; raises `FileError` that names what is missing."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def refuse_existing(path: Path, remedy: str) -> None:
    """Raise `FileError` with `remedy` where `path` is already there, before any work is done for it."""
    if os.path.exists(path):
        raise FileError(f"{path} exists already; {remedy}")


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror or error}; nothing was written") from error


def _temporary_sibling(path: Path) -> Path:
    # Random, so that writers in one process, or on several machines, do not meet.
    return path.parent / f".{path.name}.{secrets.token_hex(4)}.tmp"


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
