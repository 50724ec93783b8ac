"""Read mutants in forked processes with bounded memory, and say how each trial ended.

The processes are forked from one that has imported everything. They end as a program does,
with the exit handlers of the C libraries, so that a crash at exit is seen as well.
"""

import atexit
import ctypes
import faulthandler
import gc
import hashlib
import json
import math
import os
import resource
import select
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from io import RawIOBase
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from rmaat.base.errors import RmaatError

MOST_SECONDS = 1.0
"""CPU seconds that a reader may take."""
MOST_MEMORY = 2**29
"""Bytes of address space that a reader may add."""
BATCH = 50
"""Mutants that one process reads."""
PATIENCE = 60
"""Wall seconds until a trial is killed."""


@dataclass(frozen=True)
class Outcome:
    """How a trial ended: "refused", "same", "other", or a fault ("traceback", "slow", "memory", "crash", "hang")."""

    kind: str
    words: str
    """the message, the traceback or the signal"""
    value: str
    """digest of what was read, empty if nothing was"""


FAULTS = ("traceback", "slow", "memory", "crash", "hang", "not finite")


def attempts(read: Callable[[Path], Any], prepare: Callable[[int], Path], count: int) -> Iterator[Outcome]:
    """Read the folders `prepare(0)` to `prepare(count - 1)`; a mutant that is accepted has the kind "same".

    A process reads up to `BATCH` of them, because a fork costs more than most trials. If it crashes or hangs, each of
    its mutants is read again by a process of its own.
    """
    number = 0
    while number < count:
        numbers = range(number, min(number + BATCH, count))
        found = _batch(read, prepare, numbers)
        if found[-1].kind in ("crash", "hang"):
            # An earlier mutant may have damaged the process, so each is read again by a process of its own.
            found = [_batch(read, prepare, range(one, one + 1))[-1] for one in numbers[: len(found)]]
        yield from found
        number += len(found)


def _batch(read: Callable[[Path], Any], prepare: Callable[[int], Path], numbers: range) -> list[Outcome]:
    """The outcomes up to the first crash or hang; one more than `numbers` if the process crashed at its exit."""
    inlet, outlet = os.pipe()
    with warnings.catch_warnings():
        # Python warns of forks beside threads; the trials start none.
        warnings.simplefilter("ignore")
        child = os.fork()
    if not child:
        os.close(inlet)
        _run(read, prepare, numbers, outlet)
    os.close(outlet)
    with open(inlet, "rb", buffering=0) as stream:
        lines, ended = _lines(stream)
    if not ended:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    found = [Outcome(**json.loads(line)) for line in lines]
    if not ended:
        found.append(Outcome("hang", f"no answer within {PATIENCE} s", ""))
    elif status:
        code = os.waitstatus_to_exitcode(status)
        found.append(Outcome("crash", signal.Signals(-code).name if code < 0 else f"exit status {code}", ""))
    return found


def _lines(stream: RawIOBase) -> tuple[list[bytes], bool]:
    """The lines that the child writes, and whether it ended in time."""
    found = b""
    while select.select([stream], [], [], PATIENCE)[0]:
        part = stream.read(2**16)
        if not part:
            return found.splitlines(), True
        found += part
    return found.splitlines(), False


def _run(read: Callable[[Path], Any], prepare: Callable[[int], Path], numbers: range, outlet: int) -> None:
    code = 70
    try:
        # Messages of the C libraries, and stacks of crashes, would drown the report.
        faulthandler.disable()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        for number in numbers:
            outcome = _bounded(read, prepare(number))
            os.write(outlet, json.dumps(asdict(outcome)).encode() + b"\n")
            gc.collect()
        atexit._run_exitfuncs()
        code = 0
    finally:
        os.close(outlet)
        # Not os._exit: the C libraries' own exit handlers must run.
        ctypes.CDLL(None).exit(code)


def _bounded(read: Callable[[Path], Any], folder: Path) -> Outcome:
    """Read `folder` with a limit of address space, so that an allocation fails that would fill the machine."""
    space = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (space + MOST_MEMORY, resource.RLIM_INFINITY))
    before = _cpu()
    outcome = _read(read, folder)
    seconds = _cpu() - before
    return outcome if seconds <= MOST_SECONDS else Outcome("slow", f"{seconds:.1f} s ({outcome.words})", "")


def _read(read: Callable[[Path], Any], folder: Path) -> Outcome:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = read(folder)
        digest = Digest()
        digest.add(value)
    except RmaatError as error:
        words = str(error)
        if not words.strip() or "\n" in words or len(words) > 2000:
            return Outcome("traceback", f"the message is not one sentence: {words[:300]!r}", "")
        return Outcome("refused", words[:300], "")
    except MemoryError as error:
        return Outcome("memory", _short(error), "")
    except Exception as error:
        return Outcome("traceback", _short(error), "")
    return Outcome("not finite" if digest.not_finite else "same", digest.not_finite, digest.hexdigest())


def _short(error: Exception) -> str:
    """The error, and the last places in this project that it passed."""
    root = str(Path(__file__).parents[2])
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(root)]
    own = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames if ".venv" not in frame.filename]
    return f"{type(error).__name__}: {str(error)[:200]} at {' > '.join(own[-3:])}"


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Digest:
    """The digest of nested records, mappings, arrays, datasets and tensors, and the first number that is not finite."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self.not_finite = ""

    def hexdigest(self) -> str:
        """The SHA-256 of everything that was added."""
        return self._sha256.hexdigest()

    def add(self, value: Any, name: str = "value") -> None:
        """Add `value`, which is `name` in words."""
        if isinstance(value, xr.Dataset):
            self.add({key: value[key].variable.values for key in sorted(map(str, value.variables))}, name)
        elif is_dataclass(value) and not isinstance(value, type):
            self.add(vars(value), name)
        elif isinstance(value, Mapping):
            for key in sorted(value, key=str):
                self._text(f"{key}=")
                self.add(value[key], f"{name}.{key}")
        elif isinstance(value, np.ndarray | np.generic):
            self._array(np.asarray(value), name)
        elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
            self._text(f"[{len(value)}]")
            for place, item in enumerate(value):
                self.add(item, f"{name}[{place}]")
        elif isinstance(value, float) and not math.isfinite(value):
            self.not_finite = self.not_finite or f"{name} is {value}"
        else:
            self._text(f"{type(value).__name__} {value!r}")

    def _array(self, array: np.ndarray, name: str) -> None:
        self._text(f"{array.dtype.str}{array.shape}")
        if array.dtype.kind in "OUT":
            self._text(str(array.tolist()))
            return
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            self.not_finite = self.not_finite or f"{name} is not finite"
        self._sha256.update(np.ascontiguousarray(array).tobytes())

    def _text(self, text: str) -> None:
        self._sha256.update(f"{text}\n".encode(errors="replace"))
