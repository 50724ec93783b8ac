"""Run networks of Brian2 in separate processes, and keep the compiled ones for other values of the parameters.

A compiled network (target cpp_standalone) is a program that runs without Brian2. The user's cache folder, see
`rmaat.base.cache`, holds it under a digest of everything that determines the program.
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
from rmaat.base.extras import missing
from rmaat.base.files import FileError, atomic_folder
from rmaat.base.progress import Progress, ignore_progress
from rmaat.base.workers import core_count

WORKER = Path(__file__).with_name("worker.py")
LOG_LINES = 6
"""Last lines of a failed process's log that its error message shows."""
POLL = 0.1
"""Seconds between two updates of the progress."""


@dataclass(frozen=True, eq=False)
class Network:
    """A network and the values for one run of it.

    Attributes
    ----------
    script : Path
        The script that builds the network in `worker.py`.
    structure : mapping
        Everything that is compiled into the program, as plain values: the entries that `script` reads; `duration`,
        `time_step`, `edge_step` and `recording_interval` in s; `sizes` and `recorded` variables by group; shapes of
        `inputs` by name.
    values : mapping
        Everything else, as `INPUT.values`, as `GROUP.VARIABLE`, or as `VARIABLE` for all groups that have it. Other
        variables start at 0.
    """

    script: Path
    structure: Mapping[str, Any]
    values: Mapping[str, Any]


def run_network(network: Network, target: str, progress: Progress) -> tuple[Array, dict[str, Array]]:
    """Run a network; return the stored times (time,) in s and the values (time, element) by GROUP.VARIABLE.

    `target` is a result of `choose_target`. For cpp_standalone the network is compiled first, unless the cache has it.

    Raises
    ------
    SimulationError
        A process failed (the message ends with the end of its log), or connections or values are missing.
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
    """Raise `SimulationError`, with the command to install it, if Brian2 is missing."""
    if importlib.util.find_spec("brian2") is None:
        raise SimulationError(f"{missing('engine brian2', 'brian2')}, or use engine scipy")


def choose_target(wanted: str = "automatic") -> str:
    """The target for Brian2's code generation: `wanted`, or for automatic C++ if it compiles, else NumPy.

    Raises
    ------
    SimulationError
        The wanted target needs a compiler that is missing.

    Warns
    -----
    UserWarning
        NumPy is chosen because a compiler is missing.
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
    """The cache folder of the compiled network; if it does not exist, compile the network in `folder` first."""
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
        # Another process may have built the same network meanwhile.
        if not kept.is_dir():
            raise
    return kept


def _digest(network: Network) -> str:
    """Digest of everything that determines the program: structure, scripts, versions, compiler and its settings."""
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
    """Run the program in `built` with the network's values; it writes its results into `folder`."""
    settable: dict[str, tuple[str, int]] = json.loads((built / "layout.json").read_text())["settable"]
    values, arguments = folder / "values", []
    values.mkdir()
    (folder / "results").mkdir()
    for name, (kind, count) in settable.items():
        value = network.values.get(name, network.values.get(name.partition(".")[2]))
        if value is not None:
            # The program ignores a file of the wrong length without an error, so every value gets its full length.
            np.broadcast_to(np.ravel(np.asarray(value, kind)), count).tofile(values / name)
            arguments.append(f"{name}={values / name}")
    command = [str(built / "main"), "--results_dir", f"{folder / 'results'}{os.sep}", *arguments]
    _run(command, built, folder, _of_duration(network, progress))


def _run_worker(script: Path, target: str, folder: Path, progress: Progress) -> None:
    arguments = [script, target, folder, cache_folder() / "cython", core_count()]
    # -P keeps the worker's own folder off Python's path: its files could shadow modules of other packages.
    _run([sys.executable, "-P", str(WORKER), *map(str, arguments)], folder, folder, progress)


def _of_duration(network: Network, progress: Progress) -> Progress:
    """A progress that takes the simulated time in s instead of the fraction done."""

    def report(time: float, note: str = "") -> None:  # noqa: ARG001
        progress(min(time / network.structure["duration"], 1.0))

    return report


def _run(command: Sequence[str], working: Path, folder: Path, progress: Progress) -> None:
    """Run `command` in `working`, and end it with all its children before this function returns or raises.

    The command prints the simulated time, in s, which is passed on to `progress`. Its output and its log are files in
    `folder`.

    Raises
    ------
    SimulationError
        The command failed.
    """
    # Brian2 reads preferences from the working folder and writes its log into the temporary folder; both are ours.
    environment = {**os.environ, "TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)}
    printed = folder / "printed.txt"
    with (folder / "log.txt").open("wb") as log, printed.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=working,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=log,
            # A process group of its own, so that `_end` reaches the children; Windows ignores it.
            start_new_session=True,
        )
        try:
            status = None
            while status is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    status = process.wait(POLL)
                progress(_last_number(printed))
        finally:
            _end(process)
    if status != 0:
        lines = (folder / "log.txt").read_text(errors="replace").split("\n")
        text = " | ".join([line.strip() for line in lines if line.strip()][-LOG_LINES:])
        raise SimulationError(
            f"Brian2 failed with status {status}; engine scipy does not need it; its log ends: {text}"
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and its children: make, compilers or the compiled network.

    On Windows the process has no children, because only the NumPy target runs there.
    """
    if sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _last_number(path: Path) -> float:
    """The number in the last complete line of the file that holds one; 0 if there is none yet."""
    with path.open("rb") as stream:
        stream.seek(max(path.stat().st_size - 200, 0))
        lines = stream.read().split(b"\n")[:-1]
    for line in reversed(lines):
        with contextlib.suppress(ValueError):
            return float(line)
    return 0.0


def _read_results(network: Network, built: Path, folder: Path) -> tuple[Array, dict[str, Array]]:
    """The stored times and the recorded values of a run, checked against the network's structure."""
    layout: dict[str, tuple[str, str]] = json.loads((built / "layout.json").read_text())["results"]
    found = {label: np.fromfile(folder / file, kind) for label, (file, kind) in layout.items()}
    with np.load(built / "connections.npz") as connections:
        _check_connections(found, connections)
    structure = network.structure
    times = _checked_times(structure, found["times"])
    values: dict[str, Array] = {}
    for group, variables in structure["recorded"].items():
        for name in (f"{group}.{variable}" for variable in variables):
            flat = np.concatenate([found[f"stored {name}"], found[f"last {name}"]])
            values[name] = flat.reshape(times.size, structure["sizes"][group])
    return times, values


def _check_connections(found: Mapping[str, Array], connections: Mapping[str, Array]) -> None:
    for label, wanted in connections.items():
        if not np.array_equal(found[label], wanted):
            raise SimulationError(
                f"Brian2 made {found[label].size} connections of {label[2:]} instead of {wanted.size}, or made them in "
                "another order; please report it"
            )


def _checked_times(structure: Mapping[str, Any], stored: Array) -> Array:
    """The exact times of the recording; the last one is not in `stored`, because monitors stop before the end."""
    times = multiples(structure["recording_interval"], structure["duration"])
    stored = np.append(stored, structure["duration"])
    if stored.shape != times.shape or not np.allclose(stored, times, rtol=0, atol=structure["time_step"] / 2):
        raise SimulationError(f"Brian2 stored {stored.size} times instead of {times.size}; please report it")
    return times
