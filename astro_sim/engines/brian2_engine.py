"""Brian2 in a process of its own, the independent second engine.

All methods of Brian2 are of first order here, because what one object reads of another is frozen within a step; the
default step keeps every stored value of the default run within 1e-3 of SciPy's. The network runs as compiled C++ where
there is a compiler, and otherwise, some hundred times slower, in NumPy.
"""

import contextlib
import dataclasses
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from astro_sim.arrays import Array
from astro_sim.coupling import LARGEST_DENSE
from astro_sim.durations import common_step, divides, multiples
from astro_sim.engines.job import Job, Progress, Solution
from astro_sim.errors import SimulationError
from rmaat.records import ParameterError

WORKER = Path(__file__).with_name("brian2_worker.py")
METHOD = "rk4"
LOG_LINES = 6


def integrate(job: Job, progress: Progress) -> Solution:
    """Solve `job`.

    Raises
    ------
    ParameterError
        The time step does not divide the recording interval, or there are too many synapses.
    SimulationError
        Brian2 is not installed, or its process failed; the end of its log is told.
    """
    check_installed()
    _check_steps(job)
    _check_synapses(job)
    target = choose_target()
    with tempfile.TemporaryDirectory(prefix="rmaat-brian2-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        _write_job(job, target, folder)
        progress(0.0)
        run_worker(folder)
        times, values = _read_states(job, folder)
    progress(1.0)
    settings = {"method": METHOD, "time_step": job.solver.time_step, "target": target}
    return Solution(times, values, settings, ("brian2",))


def check_installed() -> None:
    """Raise `SimulationError`, which tells how to install it, where there is no Brian2."""
    if importlib.util.find_spec("brian2") is None:
        raise SimulationError(
            "engine brian2 needs Brian2, which is not installed; pip install rmaat-toolkit[brian2], or use engine scipy"
        )


def _check_steps(job: Job) -> None:
    step, edges = job.solver.time_step, _edge_step(job)
    for name, length in (("recording_interval", job.recording_interval), ("the stimulus's edges, steps", edges)):
        if not divides(step, length):
            # Brian2 then drops the last step or sample of a run, at random.
            raise ParameterError(
                f"time_step of {step:g} s does not divide {name} of {length:g} s; choose a step that does"
            )


def _edge_step(job: Job) -> float:
    return common_step(interval.end for interval in job.intervals)


def _check_synapses(job: Job) -> None:
    post, pre = job.coupling.shape
    if post * pre > LARGEST_DENSE:
        raise ParameterError(
            f"engine brian2 connects synapses pair by pair, and {pre} x {post} neurons have {post * pre} synapses, "
            f"more than the {LARGEST_DENSE} for which it can; use engine scipy or fewer neurons"
        )


def choose_target() -> str:
    """Brian2's device: compiled C++ where there are compiler and make, else, with a warning, NumPy."""
    compiler = os.environ.get("CXX", "g++").split()[0]
    if os.name == "posix" and shutil.which(compiler) and shutil.which("make"):
        return "cpp_standalone"
    warnings.warn(
        "no C++ compiler and make found, so that Brian2 runs in NumPy, some hundred times slower; "
        "install g++ and make, or use engine scipy",
        stacklevel=2,
    )
    return "numpy"


def _write_job(job: Job, target: str, folder: Path) -> None:
    step = _edge_step(job)
    lengths = [round((interval.end - interval.start) / step) for interval in job.intervals]
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    kept = np.ones(sum(lengths))
    kept[starts[[interval.restart for interval in job.intervals]]] = 0
    np.savez(
        folder / "job.npz",
        coupling=job.coupling.dense(),
        kept_at_edge=kept,
        presynaptic_drive=np.repeat([interval.presynaptic_drive for interval in job.intervals], lengths, axis=0),
        postsynaptic_drive=np.repeat([interval.postsynaptic_drive for interval in job.intervals], lengths, axis=0),
    )
    content: dict[str, Any] = {
        "variables": [{**dataclasses.asdict(v), "label": v.label} for v in job.model.variables],
        "synaptic_input": job.model.synaptic_input,
        "coupled_signal": job.model.coupled_signal,
        "parameters": {path[-1]: (value, quantity.unit) for path, value, quantity in job.parameters.parameters()},
        "duration": job.intervals[-1].end,
        "edge_step": step,
        "recording_interval": job.recording_interval,
        "time_step": job.solver.time_step,
        "method": METHOD,
        "target": target,
    }
    (folder / "job.json").write_text(json.dumps(content))


def run_worker(folder: Path, worker: Path | None = None) -> None:
    """Run `worker` [the rate model's] in `folder`; it and all that it started are gone when this returns or raises."""
    # Brian2 reads preferences from the working folder and logs into the temporary one.
    environment = {**os.environ, "TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)}
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", str(worker or WORKER), str(folder)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait()
        finally:
            _end(process)
    if status != 0:
        lines = (folder / "log.txt").read_text(errors="replace").split("\n")
        told = " | ".join([line.strip() for line in lines if line.strip()][-LOG_LINES:])
        raise SimulationError(
            f"Brian2 failed with status {status}; engine scipy needs none of it; its log ends: {told}"
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the worker's process group: make, compilers and the compiled network are its children."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _read_states(job: Job, folder: Path) -> tuple[Array, dict[str, Array]]:
    times = multiples(job.recording_interval, job.intervals[-1].end)
    with np.load(folder / "states.npz") as states:
        found = states["times"]
        if found.shape != times.shape or not np.allclose(found, times, rtol=0, atol=job.solver.time_step / 2):
            raise SimulationError(
                f"Brian2 stored {found.size} times where {times.size} were asked for; please report it"
            )
        sizes: dict[str, int] = dict(zip(("post", "pre"), job.coupling.shape, strict=True))
        shapes = {v.label: (times.size, *(sizes[dim] for dim in v.dims)) for v in job.model.variables}
        return times, {label: states[label].reshape(shape) for label, shape in shapes.items()}
