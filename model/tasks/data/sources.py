"""Read the users' files from a folder or a tar archive, which need not be unpacked."""

import tarfile
from collections.abc import Callable
from pathlib import Path

from model.tasks.data.dataset import TaskError
from rmaat.base.progress import Progress, ignore_progress


def read_file(path: Path) -> bytes:
    """The bytes of the file `path`; raises `TaskError` if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise TaskError(f"cannot read {path}: {error.strerror or error}") from error


def read_members(source: Path, wanted: Callable[[str], bool], progress: Progress = ignore_progress) -> dict[str, bytes]:
    """The files of the folder or tar archive `source`, by their path in it, sorted.

    `wanted` takes a path with slashes and says whether to read that file.

    Raises
    ------
    TaskError
        The source cannot be read, or the archive is damaged or incomplete.
    """
    if source.is_dir():
        names = {path.relative_to(source).as_posix(): path for path in source.rglob("*") if path.is_file()}
        return {name: read_file(path) for name, path in sorted(names.items()) if wanted(name)}
    found: dict[str, bytes] = {}
    try:
        size = source.stat().st_size
        with source.open("rb") as raw, tarfile.open(fileobj=raw) as archive:
            for member in archive:
                progress(min(raw.tell() / size, 1))
                if member.isfile() and wanted(member.name) and (content := archive.extractfile(member)) is not None:
                    found[member.name] = content.read()
    except OSError as error:
        raise TaskError(f"cannot read {source}: {error.strerror or error}") from error
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise TaskError(f"{source} is not a tar archive, or incomplete ({error}); download it again") from error
    return dict(sorted(found.items()))
