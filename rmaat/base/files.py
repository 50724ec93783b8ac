"""Write files completely or not at all.

A file is written under a temporary name beside its target, flushed to the disk and then renamed in one step. After an
interrupt, a full disk or a crash, the target is the earlier file or does not exist.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rmaat.base.errors import RmaatError


class FileError(RmaatError):
    """A file or folder cannot be read, written or replaced."""


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; it is renamed to `path` when the block ends without an error.

    Raises
    ------
    FileError
        The operating system refused, for example because the disk is full; the temporary file is removed.
    """
    temporary = _temporary_sibling(path)
    with _system_errors_as_file_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            _flush_to_disk(temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder; it is renamed to `path` when the block ends without an error.

    A folder that is not empty cannot be replaced in one step, so `path` must not exist: give each version its own name.

    Raises
    ------
    FileError
        As `atomic_file`, or `path` exists already.
    """
    temporary = _temporary_sibling(path)
    with _system_errors_as_file_errors(path):
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
    """Yield a hidden folder beside `path` for unfinished work, and lock it for this process.

    The folder stays when the block ends, also after an error, so that the next process can resume the work. `finish`
    moves the complete file to `path`.

    Raises
    ------
    FileError
        The operating system refused, or another process has locked the folder.
    """
    # Imported here: every command imports this module, but few lock a folder.
    from filelock import FileLock, Timeout

    folder = unfinished(path)
    with _system_errors_as_file_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
        # A lock of the operating system, which releases it when the process ends, even if it is killed. filelock calls
        # `flock` on Linux and macOS, and `msvcrt.locking` on Windows.
        lock = FileLock(folder / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise FileError(f"another process is writing {path}; wait for it, or choose another name") from None
        try:
            yield folder
        finally:
            lock.release()


def unfinished(path: Path) -> Path:
    """The folder that `unfinished_folder` yields for `path`."""
    return path.parent / f".{path.name}.unfinished"


def finish(file: Path, path: Path) -> None:
    """Move `file` from the folder of `unfinished_folder` to `path`, and remove the folder."""
    _flush_to_disk(file)
    os.replace(file, path)
    discard(path)


def discard(path: Path) -> None:
    """Remove the folder of `unfinished_folder` for `path`, if it exists."""
    shutil.rmtree(unfinished(path), ignore_errors=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` completely or not at all; raises `FileError`."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write `content` as UTF-8 to `path` completely or not at all; raises `FileError`."""
    write_bytes(path, content.encode())


def read_text(path: Path) -> str:
    """Read `path` as UTF-8; raises `FileError` with the path and the reason."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def refuse_existing(path: Path, remedy: str) -> None:
    """Raise `FileError` with `remedy` if `path` exists; call it before long work for `path` starts."""
    if os.path.exists(path):
        raise FileError(f"{path} exists already; {remedy}")


@contextmanager
def _system_errors_as_file_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror or error}; nothing was written") from error


def _temporary_sibling(path: Path) -> Path:
    # Random: writers in several threads, processes or machines need different names.
    return path.parent / f".{path.name}.{secrets.token_hex(4)}.tmp"


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
