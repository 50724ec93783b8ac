"""Networks of Brian2 in processes of their own: compiled once, kept, and run again with other values.

A compiled network (target cpp_standalone) is kept in the user's cache folder under a digest of all that went into it;
`rmaat.base.cache` tells where. It is a program that starts without Brian2.
"""

import contextlib
import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from astro_sim.durations import multiples
from astro_sim.errors import SimulationError
from rmaat.base.arrays import Array
from rmaat.base.cache import SETTING, cache_folder
from rmaat.base.files import FileError, atomic_folder
from rmaat.base.progress import Progress, ignore_progress

WORKER = Path(__file__).with_name("worker.py")
LOG_LINES = 6
POLL = 0.1
"""Seconds between two looks at how far a process is."""


@dataclass(frozen=True, eq=False)
class Network:
    """A network and one run of it.

    Attributes
    ----------
    script : Path
        Describes the network to `worker.py`.
    structure : mapping
        All that is compiled in, as plain values: what `script` reads, and `duration`, `time_step`, `edge_step`,
        `recording_interval` in s, `sizes` and `recorded` variables by group, shapes of `inputs` by name.
    values : mapping
        All else: `INPUT.values`, `GROUP.VARIABLE`, or `VARIABLE` for all groups that have it. The rest starts at 0.
    """

    script: Path
    structure: Mapping[str, Any]
    values: Mapping[str, Any]


def run_network(network: Network, target: str, progress: Progress) -> tuple[Array, dict[str, Array]]:
    """Stored times in s, and the values (time, element) of every recorded GROUP.VARIABLE.

    `target` is one of `choose_target`; a compiled network is built where none is kept.

    Raises
    ------
    SimulationError
        A process failed, with the end of its log, or connections or values are not all there.
    FileError
        The cache folder cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="rmaat-brian2-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if target == "cpp_standalone":
            built = _built(network, folder)
            _run_program(network, built, folder, progress)
        else:
            built = folder
            (folder / "structure.json").write_text(json.dumps(network.structure))
            np.savez(folder / "values.npz", **network.values)
            _run_worker(network.script, target, folder, _of_duration(network, progress))
        return _read_results(network, built, folder / "results")


def check_installed() -> None:
    """Raise `SimulationError`, which tells how to install it, where there is no Brian2."""
    if importlib.util.find_spec("brian2") is None:
        raise SimulationError(
            "engine brian2 needs Brian2, which is not installed; pip install rmaat-toolkit[brian2], or use engine scipy"
        )


def choose_target(wanted: str = "automatic") -> str:
    """What Brian2 makes of a network: the `wanted`, and automatically C++ where it compiles, else, warning, NumPy.

    Raises
    ------
    SimulationError
        The wanted one needs a compiler that is not there.
    """
    missing = _missing_tools(wanted)
    if wanted != "automatic" and missing:
        raise SimulationError(f"brian2_target {wanted} needs {missing}, not found; install it, or choose numpy")
    if wanted == "automatic" and missing:
        warnings.warn(
            "no C++ compiler and make found, so that Brian2 runs in NumPy, some hundred times slower; "
            "install g++ and make, or use engine scipy",
            stacklevel=2,
        )
    return ("numpy" if missing else "cpp_standalone") if wanted == "automatic" else wanted


def _missing_tools(target: str) -> str:
    tools = {"numpy": [], "cython": [os.environ.get("CC", "gcc")]}.get(target, [_compiler(), "make"])
    missing = [tool for tool in tools if os.name != "posix" or not shutil.which(tool.split()[0])]
    return " and ".join(missing)


def _compiler() -> str:
    return os.environ.get("CXX", "g++").split()[0]


def _built(network: Network, folder: Path) -> Path:
    """The folder that keeps the compiled network; where there is none yet, it is made, working in `folder`."""
    kept = cache_folder() / "brian2" / _digest(network)
    if kept.is_dir():
        return kept
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot write {kept.parent}: {error.strerror}; set {SETTING} to a folder of yours") from error
    (folder / "structure.json").write_text(json.dumps(network.structure))
    _run_worker(network.script, "cpp_standalone", folder, ignore_progress)
    try:
        with atomic_folder(kept) as temporary:
            for part in ("build/main", "layout.json", "connections.npz"):
                shutil.copy2(folder / part, temporary)
            shutil.copytree(folder / "build" / "static_arrays", temporary / "static_arrays")
    except FileError:
        # Another process that built the same may have been quicker.
        if not kept.is_dir():
            raise
    return kept


def _digest(network: Network) -> str:
    """SHA-256 of all that enters the program: structure, scripts, versions, compiler and its settings."""
    parts = [json.dumps(network.structure, sort_keys=True)]
    parts += [path.read_text() for path in (WORKER, network.script)]
    parts += [importlib.metadata.version("brian2"), importlib.metadata.version("numpy"), platform.python_version()]
    parts += [platform.platform(), platform.machine(), _compiler_version(_compiler())]
    parts += [os.environ.get(name, "") for name in ("CXX", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "MAKEFLAGS")]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


@functools.cache
def _compiler_version(compiler: str) -> str:
    return subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout


def _run_program(network: Network, built: Path, folder: Path, progress: Progress) -> None:
    """Run the program in `built` with the network's values; its results lie in `folder`."""
    settable: dict[str, tuple[str, int]] = json.loads((built / "layout.json").read_text())["settable"]
    values, arguments = folder / "values", []
    values.mkdir()
    (folder / "results").mkdir()
    for name, (kind, count) in settable.items():
        value = network.values.get(name, network.values.get(name.partition(".")[2]))
        if value is not None:
            # The program takes a file of another length for none, and goes on.
            np.broadcast_to(np.ravel(np.asarray(value, kind)), count).tofile(values / name)
            arguments.append(f"{name}={values / name}")
    command = [str(built / "main"), "--results_dir", f"{folder / 'results'}{os.sep}", *arguments]
    _run(command, built, folder, _of_duration(network, progress))


def _run_worker(script: Path, target: str, folder: Path, progress: Progress) -> None:
    cache = str(cache_folder() / "cython")
    _run([sys.executable, "-P", str(WORKER), str(script), target, str(folder), cache], folder, folder, progress)


def _of_duration(network: Network, progress: Progress) -> Progress:
    def report(time: float, note: str = "") -> None:  # noqa: ARG001
        progress(min(time / network.structure["duration"], 1.0))

    return report


def _run(command: Sequence[str], working: Path, folder: Path, progress: Progress) -> None:
    """Run `command` in `working`; it and all that it started are gone when this returns or raises.

    It tells the simulated time on its standard output, which `progress` is told; that and its log lie in `folder`.
    """
    # Brian2 reads preferences from the working folder and logs into the temporary one.
    environment = {**os.environ, "TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)}
    told = folder / "told.txt"
    with (folder / "log.txt").open("wb") as log, told.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=working,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=log,
            start_new_session=True,
        )
        try:
            status = None
            while status is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    status = process.wait(POLL)
                progress(_last_number(told))
        finally:
            _end(process)
    if status != 0:
        lines = (folder / "log.txt").read_text(errors="replace").split("\n")
        text = " | ".join([line.strip() for line in lines if line.strip()][-LOG_LINES:])
        raise SimulationError(
            f"Brian2 failed with status {status}; engine scipy needs none of it; its log ends: {text}"
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the process's group: make, compilers and the compiled network are the worker's children."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _last_number(path: Path) -> float:
    """The last whole line of the file at `path` that is a number; 0 where there is none."""
    with path.open("rb") as stream:
        stream.seek(max(path.stat().st_size - 200, 0))
        lines = stream.read().split(b"\n")[:-1]
    for line in reversed(lines):
        with contextlib.suppress(ValueError):
            return float(line)
    return 0.0


def _read_results(network: Network, built: Path, folder: Path) -> tuple[Array, dict[str, Array]]:
    layout: dict[str, tuple[str, str]] = json.loads((built / "layout.json").read_text())["results"]
    found = {label: np.fromfile(folder / file, kind) for label, (file, kind) in layout.items()}
    with np.load(built / "connections.npz") as connections:
        for label, wanted in connections.items():
            if not np.array_equal(found[label], wanted):
                raise SimulationError(
                    f"Brian2 made {found[label].size} connections of {label[2:]} where {wanted.size} were asked for, "
                    "or in other order; please report it"
                )
    structure = network.structure
    times = multiples(structure["recording_interval"], structure["duration"])
    stored = np.append(found["times"], structure["duration"])
    if stored.shape != times.shape or not np.allclose(stored, times, rtol=0, atol=structure["time_step"] / 2):
        raise SimulationError(f"Brian2 stored {stored.size} times where {times.size} were asked for; please report it")
    values: dict[str, Array] = {}
    for group, variables in structure["recorded"].items():
        for name in (f"{group}.{variable}" for variable in variables):
            flat = np.concatenate([found[f"stored {name}"], found[f"last {name}"]])
            values[name] = flat.reshape(times.size, structure["sizes"][group])
    return times, values
