"""Simulate straight to a file, in bounded memory, with checkpoints from which an interrupted run continues.

`astro_sim.runs.simulate` is the plain form, in memory. Here each state is written, once it is computed, to a NetCDF
file in a hidden folder beside the final path. Every few seconds, at an edge of the stimulus, a checkpoint with the
state is written as well. The solver restarts at edges anyway, so that a run that was interrupted, or killed, continues
to the same bits. Everything else in the file is written before the run starts, and every state has its place already,
so that an interrupt cannot leave the file unreadable.
"""

import hashlib
import io
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from astro_sim.engines.job import Job, Solution
from astro_sim.engines.scipy_engine import Edge, advance, right_hand_side, start, stored_times
from astro_sim.engines.stepping import describe_solver
from astro_sim.equations.model import Model
from astro_sim.errors import SimulationError
from astro_sim.network.coupling import sources_to_store
from astro_sim.network.geometry import Geometry
from astro_sim.parameter_set import SimulationParameters
from astro_sim.runs.schema import DIGEST
from astro_sim.runs.simulate import check_increments, measure_influences, prepare
from astro_sim.runs.traces import build_traces, content_digest, describe_state, open_traces, refused_writes
from rmaat.base.arrays import Array
from rmaat.base.errors import Interrupted
from rmaat.base.files import FileError, discard, finish, unfinished, unfinished_folder, write_bytes
from rmaat.base.progress import Progress, ignore_progress
from rmaat.base.provenance import versions

TRACES, CHECKPOINT = "traces.nc", "checkpoint.npz"
CHECKPOINT_EVERY = 5.0
"""Seconds between two checkpoints, and so the work that an interrupt may lose."""


def simulate_to_file(
    parameters: SimulationParameters,
    path: str | Path,
    *,
    model: Model | None = None,
    progress: Progress = ignore_progress,
) -> None:
    """Run a model with SciPy and write its traces to `path`, completely or not at all.

    The content equals that of `write_traces(simulate(parameters), path)`, but memory does not grow with the length of
    the run. If an earlier call with the same arguments left a checkpoint (`has_checkpoint`), this call continues it;
    `rmaat.base.files.discard` removes it.

    Parameters
    ----------
    model, progress
        As for `simulate`.

    Raises
    ------
    SimulationError
        The solver failed. The checkpoint is removed, because the same run would fail again.
    Interrupted
        The user interrupted the run after a checkpoint.
    UsageError
        The network is too large, or rest is not stable.
    FileError
        The disk is full, another process is writing the file, or the checkpoint is from another run (the message names
        the difference).

    Warns
    -----
    UserWarning
        As `simulate`.
    """
    path = Path(path)
    geometry, job = prepare(parameters, model)
    run = _Run(parameters, job, _identity(parameters, geometry, job), unfinished(path))
    with unfinished_folder(path), _kept_if_resumable(path), refused_writes():
        if not has_checkpoint(path):
            _check_space(run)
            _create(run, geometry)
        _solve(run, progress)
        with open_traces(run.traces) as traces:
            check_increments(traces)
            digest = content_digest(traces)
        with netCDF4.Dataset(run.traces, "a") as file:
            file.setncattr(DIGEST, digest)
        finish(run.traces, path)


def has_checkpoint(path: str | Path) -> bool:
    """Whether an interrupted run left a checkpoint for the file at `path`."""
    return (unfinished(Path(path)) / CHECKPOINT).is_file()


@dataclass(frozen=True, eq=False)
class _Run:
    """One run, the values that identify it, and the folder with its partial results."""

    parameters: SimulationParameters
    job: Job
    identity: dict[str, Any]
    folder: Path

    @property
    def traces(self) -> Path:
        return self.folder / TRACES

    @property
    def checkpoint(self) -> Path:
        return self.folder / CHECKPOINT


@contextmanager
def _kept_if_resumable(path: Path) -> Iterator[None]:
    """Remove the unfinished folder on an error, unless it has a checkpoint from which the run can continue."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, SimulationError) or not has_checkpoint(path):
            discard(path)
        if isinstance(error, KeyboardInterrupt) and has_checkpoint(path):
            raise Interrupted("interrupted; continue the same command with --resume") from None
        raise


def _solve(run: _Run, progress: Progress) -> None:
    """Solve the run from its checkpoint, or from the start, and write the states."""
    rate = right_hand_side(run.job)
    edge = _read_checkpoint(run) if run.checkpoint.is_file() else start(rate)
    progress(run.job.intervals[edge.interval - 1].end / run.job.intervals[-1].end if edge.interval else 0.0)
    with netCDF4.Dataset(run.traces, "a") as file:
        file.set_auto_maskandscale(False)

        def keep(row: int, states: Array) -> None:
            for label, values in rate.unpack(states).items():
                file[label][row : row + len(states)] = values

        written = time.monotonic()
        for reached in advance(run.job, rate, edge, keep, progress):
            if time.monotonic() - written >= CHECKPOINT_EVERY:
                file.sync()
                _write_checkpoint(run, reached)
                written = time.monotonic()


def _create(run: _Run, geometry: Geometry) -> None:
    """Write the file with everything but the states, for which space is allocated."""
    job, names = run.job, run.parameters
    sources = sources_to_store(geometry.shape)
    nothing = Solution(stored_times(job), {}, describe_solver(job.solver), ("scipy",))
    traces = build_traces(names, "scipy", geometry, job, nothing, sources, *measure_influences(names, job))
    traces.to_netcdf(run.traces, engine="netcdf4", format="NETCDF4")
    with netCDF4.Dataset(run.traces, "a") as file:
        # Otherwise the library writes every value twice: first the fill value.
        file.set_fill_off()
        for variable in job.model.variables:
            states = file.createVariable(variable.label, "f8", ("time", *variable.dims), fill_value=np.nan)
            states.setncatts(describe_state(variable))
            # Writing the last value gives the file its full size; afterwards only the states change.
            states[-1] = 0.0


def _check_space(run: _Run) -> None:
    """Raise `FileError` if the disk has no space for the states."""
    size = stored_times(run.job).size * right_hand_side(run.job).size * np.dtype(float).itemsize
    if size > (free := shutil.disk_usage(run.folder).free):
        raise FileError(
            f"the run stores {size / 1e9:.3g} GB and {run.folder.parent} has {free / 1e9:.3g} GB free; lengthen "
            f"recording_interval, now {run.job.recording_interval:g} s, or choose another disk"
        )


def _identity(parameters: SimulationParameters, geometry: Geometry, job: Job) -> dict[str, Any]:
    """Everything that determines the result, by name, with digests for the contents of input files."""
    stimulus = hashlib.sha256()
    for interval in job.intervals:
        stimulus.update(repr((interval.start, interval.end, interval.restart)).encode())
        stimulus.update(interval.presynaptic_drive.tobytes() + interval.postsynaptic_drive.tobytes())
    return {
        **{path[-1]: value for path, value, _ in parameters.parameters()},
        **{f"version of {name}": value for name, value in versions("numpy", "scipy", "xarray", "netCDF4").items()},
        "stimulus": stimulus.hexdigest(),
        "places of the synapses": hashlib.sha256(geometry.position.tobytes()).hexdigest(),
        "equations": repr(job.model),
    }


def _write_checkpoint(run: _Run, edge: Edge) -> None:
    content = io.BytesIO()
    identity = json.dumps(run.identity, sort_keys=True)
    np.savez(content, identity=identity, interval=edge.interval, rows=edge.rows, state=edge.state)
    write_bytes(run.checkpoint, content.getvalue())


def _read_checkpoint(run: _Run) -> Edge:
    """The edge from which to continue; raises `FileError` if the checkpoint is from another run."""
    # Through JSON, as the stored identity: it turns tuples into lists.
    with np.load(run.checkpoint) as stored:
        edge = Edge(int(stored["interval"]), int(stored["rows"]), stored["state"])
        found = json.loads(str(stored["identity"]))
    wanted = json.loads(json.dumps(run.identity))
    for name in sorted({*found, *wanted}):
        if found.get(name) != wanted.get(name):
            raise FileError(
                f"{run.folder} holds an interrupted run with another {name} ({_short(found.get(name))}, not "
                f"{_short(wanted.get(name))}); give it the same, or discard that run with --overwrite"
            )
    return edge


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 20 else f"{text[:17]}..."
