"""Kill work, fill its disk or make it read-only, and check what is there afterwards."""

import collections
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.faults.works import Work
from rmaat.base.errors import RmaatError
from rmaat.base.files import atomic_file

Counts = dict[str, int]
"""How often each thing was found; always with "trials" and "faults"."""
LARGE = 100 * 2**20
"""Bytes of a disk that any of the works fits on."""
REFUSED = 3
"""Status of a process whose work was refused in a sentence."""


def kills(work: Work, count: int, seed: int) -> Counts:
    """Kill `work` `count` times, each time from the start, and count what was found."""
    chance, counts = random.Random(f"{seed} {work.name}"), collections.Counter[str]()
    old, new, seconds, _ = _undisturbed(work)
    while counts["trials"] < count:
        with _folder() as folder:
            work.prepare(folder)
            child = _started(work, folder)
            time.sleep(chance.uniform(0, seconds))
            os.kill(child, signal.SIGKILL)
            if not os.WIFSIGNALED(_wait(child)):
                # It had ended; another moment is drawn.
                continue
            counts["trials"] += 1
            counts.update(_after(work, folder, {old, new}, new))
    return {name: counts[name] for name in ("trials", "left_a_temporary_file", "found_finished", "faults")}


def _undisturbed(work: Work) -> tuple[str | None, str, float, list[int]]:
    """The digests before and after `work`, the seconds that it takes, and the sizes of the files then."""
    with _folder() as folder:
        work.prepare(folder)
        old, before = work.state(folder), time.monotonic()
        _wait(_started(work, folder))
        seconds, new = time.monotonic() - before, work.state(folder)
        sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    if new is None:
        raise SystemExit(f"{work.name} gave no result")
    return old, new, seconds, sizes


def _after(work: Work, folder: Path, allowed: set[str | None], new: str) -> Iterator[str]:
    """Look at what a killed process left, start the work again, and yield what was found."""
    if _temporary(folder):
        yield "left_a_temporary_file"
    try:
        found = work.state(folder)
        if found == new:
            yield "found_finished"
        if found not in {None, *allowed}:
            raise ValueError("neither the old nor the new content is there")
        if _wait(_started(work, folder)) or work.state(folder) != new:
            raise ValueError("the second start does not give the result of an undisturbed run")
        if left := _temporary(folder):
            raise ValueError(f"temporary files stay: {left}")
    except (ValueError, RmaatError, OSError) as error:
        print(f"{work.name}: {error!r}", file=sys.stderr, flush=True)
        yield "faults"


def full_disks(work: Work, trials: int = 6) -> Counts:
    """Run `work` on disks that are too small, then on a large one; count refusals with a sentence, and faults."""
    counts = collections.Counter[str]()
    old, new, _, sizes = _undisturbed(work)
    for trial in range(trials):
        share = (trial + 1) / (trials + 1)
        mounts = trial % 2 == 1 and _can_mount()
        with _folder(int(share * sum(sizes)) if mounts else 0) as folder:
            try:
                work.prepare(folder)
            except (RmaatError, OSError):
                # Not even the old content has space.
                continue
            counts["trials"] += 1
            child = _started(work, folder, 0 if mounts else max(512, int(share * max(sizes))))
            counts["refused_in_a_sentence"] += os.waitstatus_to_exitcode(_wait(child)) == REFUSED
            if mounts:
                _remount(folder, f"size={LARGE}")
            counts.update(name for name in _after(work, folder, {old, new}, new) if name == "faults")
    return _disk_counts(counts)


def read_only_disks(work: Work, trials: int = 2) -> Counts:
    """Continue killed `work` on a disk that became read-only, then on one that can be written again.

    The first trial kills nothing: the work begins on the read-only disk. No trials where mounting is not allowed.
    """
    counts = collections.Counter[str]()
    old, new, seconds, _ = _undisturbed(work)
    for trial in range(trials if _can_mount() else 0):
        with _folder(LARGE) as folder:
            work.prepare(folder)
            if trial:
                child = _started(work, folder)
                time.sleep(seconds * trial / trials)
                os.kill(child, signal.SIGKILL)
                _wait(child)
            counts["trials"] += 1
            _remount(folder, "ro")
            is_done = work.state(folder) == new
            status = os.waitstatus_to_exitcode(_wait(_started(work, folder)))
            counts["refused_in_a_sentence"] += status == REFUSED
            counts["faults"] += status != REFUSED and not (is_done and status == 0)
            _remount(folder, "rw")
            counts.update(name for name in _after(work, folder, {old, new}, new) if name == "faults")
    return _disk_counts(counts)


def _disk_counts(counts: collections.Counter[str]) -> Counts:
    return {name: counts[name] for name in ("trials", "refused_in_a_sentence", "faults")}


def _started(work: Work, folder: Path, most: int = 0) -> int:
    """A process that does `work`, with files of at most `most` bytes unless that is 0; its status is 3 for an error."""
    with warnings.catch_warnings():
        # Python warns of forks beside threads; these processes wait for none.
        warnings.simplefilter("ignore")
        child = os.fork()
    if child:
        return child
    status = 4
    try:
        if most:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
        work.start(folder)
        status = 0
    except RmaatError as error:
        status = REFUSED if "\n" not in str(error) else 4
    except BaseException as error:
        os.write(2, f"{work.name}: {error!r}\n".encode())
    finally:
        os._exit(status)


def _wait(child: int) -> int:
    return os.waitpid(child, 0)[1]


def _temporary(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob(".*.tmp")]


@contextmanager
def _folder(size: int = 0) -> Iterator[Path]:
    """A new folder, on a tmpfs of `size` bytes unless that is 0."""
    folder = Path(tempfile.mkdtemp(prefix="rmaat-faults-"))
    try:
        if size:
            _call("mount", "-t", "tmpfs", "-o", f"size={max(8192, size)}", "rmaat", str(folder))
        yield folder
    finally:
        if size:
            _call("umount", "-l", str(folder))
        shutil.rmtree(folder, ignore_errors=True)


def _can_mount() -> bool:
    try:
        with _folder(2**16) as folder, atomic_file(folder / "try") as file:
            file.touch()
    except (subprocess.CalledProcessError, OSError):
        return False
    return True


def _remount(folder: Path, option: str) -> None:
    _call("mount", "-o", f"remount,{option}", str(folder))


def _call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
