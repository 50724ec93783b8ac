"""Write files completely or not at all, and read them within bounds.

A file is written under a temporary name beside its target, flushed to the disk and then renamed in one step. After an
interrupt, a full disk or a crash, the target is the earlier file or does not exist. The next writer of the target
removes the temporary file of one that was killed.

The readers refuse devices, pipes and files that are larger than a bound, so that no input fills the memory.
"""

import errno
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

from rmaat.base.errors import RmaatError

MOST_BYTES = 2**30
"""Size of the largest file that is read into memory as a whole, unless the caller gives another."""
_TEMPORARY = re.compile(r"\..+[.-][0-9a-f]{8}\.tmp")


class FileError(RmaatError):
    """A file or folder cannot be read, written or replaced."""


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; it is renamed to `path` when the block ends without an error.

    Raises
    ------
    FileError
        The operating system refused, for example because the disk is full; the temporary file is removed. Or `path`
        is a device, a pipe or a folder, which a rename would replace.
    """
    _refuse_special(path)
    temporary = _temporary_sibling(path)
    with _system_errors_as_file_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_left(path)
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
            _remove_left(path)
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
    folder = unfinished(path)
    with _system_errors_as_file_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / "lock", path):
            yield folder


@contextmanager
def locked_folder(path: Path) -> Iterator[None]:
    """Lock the folder `path` for this process, and remove the temporary files that a killed process left in it.

    Raises
    ------
    FileError
        The operating system refused, or another process has locked the folder.
    """
    with _locked(path / "lock", path):
        for left in path.iterdir():
            if _TEMPORARY.fullmatch(left.name):
                _remove(left)
        yield


@contextmanager
def _locked(file: Path, path: Path) -> Iterator[None]:
    # Imported here: every command imports this module, but few lock a folder.
    from filelock import FileLock, Timeout

    # A lock of the operating system, which releases it when the process ends, even if it is killed. filelock calls
    # `flock` on Linux and macOS, and `msvcrt.locking` on Windows.
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise FileError(f"another process is writing {path}; wait for it, or choose another name") from None
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror or error}; nothing was written") from error
    try:
        yield
    finally:
        lock.release()


def unfinished(path: Path) -> Path:
    """The folder that `unfinished_folder` yields for `path`."""
    return path.parent / f".{path.name}.unfinished"


def finish(file: Path, path: Path) -> None:
    """Move `file` from the folder of `unfinished_folder` to `path`, and remove the folder."""
    _refuse_special(path)
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


@contextmanager
def open_file(path: Path, most: int | None = None) -> Iterator[BufferedReader]:
    """Open the plain file `path` to read bytes.

    Parameters
    ----------
    most
        The largest size in bytes that is accepted; None for any.

    Raises
    ------
    FileError
        The file cannot be read, is larger than `most`, or is a device or a pipe, which may never end.
    """
    try:
        # Without O_NONBLOCK, opening a pipe waits for its writer. Windows has neither the flag nor such pipes.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as stream:
            state = os.fstat(stream.fileno())
            if not stat.S_ISREG(state.st_mode):
                raise FileError(f"cannot read {path}: it is a device or a pipe; give a plain file")
            if most is not None and state.st_size > most:
                raise FileError(f"cannot read {path}: it has {state.st_size:,} bytes, and at most {most:,} are read")
            yield stream
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror or error}") from error


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """Read the plain file `path` of at most `most` bytes; raises `FileError` as `open_file`."""
    with open_file(path, most) as stream:
        return stream.read()


def read_text(path: Path, most: int = MOST_BYTES) -> str:
    """Read the plain file `path` of at most `most` bytes as UTF-8; raises `FileError` with the path and the reason."""
    try:
        # As `Path.read_text`, with one form of line ends.
        return read_bytes(path, most).decode().replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise FileError(f"cannot read {path}: {error}") from error


def read_json(path: Path) -> Any:
    """Read the plain file `path` as JSON.

    Raises
    ------
    FileError
        The file cannot be read, or is not UTF-8.
    ValueError
        It is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(read_text(path))
    except RecursionError:
        raise ValueError("nested too deeply") from None


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


def _refuse_special(path: Path) -> None:
    """Refuse to replace a device, a pipe or a folder by a file."""
    # Unlike Path's methods, these return False for a name that is too long.
    if os.path.exists(path) and not os.path.isfile(path):
        kind = os.strerror(errno.EISDIR) if os.path.isdir(path) else "it is a device or a pipe"
        raise FileError(f"cannot write {path}: {kind}; choose another name")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _temporary_sibling(path: Path) -> Path:
    # Random: writers in several threads need different names. Host and process tell when nobody writes it any more.
    return path.parent / f".{path.name}.{_host()}-{os.getpid()}-{secrets.token_hex(4)}.tmp"


def _remove_left(path: Path) -> None:
    """Remove the temporary files for `path` that a killed process of this machine left."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.{_host()}-(\d+)-[0-9a-f]{{8}}\.tmp")
    for left in path.parent.iterdir():
        if (match := pattern.fullmatch(left.name)) and not _is_running(int(match[1])):
            _remove(left)


def _host() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:4]


def _is_running(process: int) -> bool:
    # On Windows, `os.kill` would end the process.
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
