"""Simulate straight to a file, in bounded memory, with checkpoints from which an interrupted run continues.

`astro_sim.runs.simulate` is the plain form, in memory. Here each state is written, once it is computed, to a NetCDF
file in a hidden folder beside the final path. Every few seconds, at an edge of the stimulus, a checkpoint with the
state is written as well. The solver restarts at edges anyway, so that a run that was interrupted, or killed, continues
to the same bits. Everything else in the file is written before the run starts, and every state has its place already,
so that an interrupt cannot leave the file unreadable.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr

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
from astro_sim.runs.traces import DAMAGED, build_traces, content_digest, describe_state, open_traces, refused_writes
from rmaat.base.arrays import Array, packed, unpacked
from rmaat.base.errors import Interrupted
from rmaat.base.files import FileError, discard, finish, read_bytes, unfinished, unfinished_folder, write_bytes
from rmaat.base.progress import Progress, ignore_progress
from rmaat.base.provenance import blocks, versions
from rmaat.base.seals import seal

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
        the difference), or the unfinished file was damaged.

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
        seal(run.traces)
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
    edge, written = _read_checkpoint(run) if run.checkpoint.is_file() else (start(rate), _digests(run, 0))
    progress(run.job.intervals[edge.interval - 1].end / run.job.intervals[-1].end if edge.interval else 0.0)
    with netCDF4.Dataset(run.traces, "a") as file:
        file.set_auto_maskandscale(False)

        def keep(row: int, states: Array) -> None:
            for label, values in rate.unpack(states).items():
                file[label][row : row + len(states)] = values
                written[label].update(values.tobytes())

        last = time.monotonic()
        for reached in advance(run.job, rate, edge, keep, progress):
            if time.monotonic() - last >= CHECKPOINT_EVERY:
                file.sync()
                _write_checkpoint(run, reached, written)
                last = time.monotonic()


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


_Digests = dict[str, Any]
"""SHA-256 of the states written so far, by the label of the variable, and of everything else in the file."""
_REST = "everything else"


def _digests(run: _Run, rows: int) -> _Digests:
    """The digests of the first `rows` states in the file, and of everything else in it."""
    labels = [variable.label for variable in run.job.model.variables]
    found = {label: hashlib.sha256() for label in (*labels, _REST)}
    with xr.open_dataset(run.traces, engine="netcdf4", decode_times=False, cache=False) as traces:
        found[_REST].update(content_digest(traces.drop_vars(labels)).encode())
        for label in labels if rows else ():
            for block in blocks(traces[label][:rows]):
                found[label].update(block.tobytes())
    return found


def _write_checkpoint(run: _Run, edge: Edge, written: _Digests) -> None:
    identity = json.dumps(run.identity, sort_keys=True)
    digests = json.dumps({name: digest.hexdigest() for name, digest in written.items()})
    values = {"identity": identity, "interval": edge.interval, "rows": edge.rows, "state": edge.state}
    write_bytes(run.checkpoint, packed(values | {"written": digests}))


def _read_checkpoint(run: _Run) -> tuple[Edge, _Digests]:
    """The edge from which to continue, and the digests of what is written.

    Raises
    ------
    FileError
        The checkpoint is from another run, or it or the unfinished file was damaged.
    """
    try:
        stored = unpacked(read_bytes(run.checkpoint))
        edge = Edge(int(stored["interval"]), int(stored["rows"]), stored["state"])
        found, digests = (json.loads(str(stored[name])) for name in ("identity", "written"))
    except (ValueError, KeyError) as error:
        raise _damaged(run.checkpoint) from error
    _check_identity(run, found)
    _check_opens(run.traces)
    try:
        written = _digests(run, edge.rows)
    except DAMAGED as error:
        raise _damaged(run.traces) from error
    if {name: digest.hexdigest() for name, digest in written.items()} != digests:
        raise _damaged(run.traces)
    return edge, written


def _check_opens(path: Path) -> None:
    """Raise `FileError` unless NetCDF's library can open `path`, which has no seal yet.

    The library crashes on some damaged files, so a process of its own tries.
    """
    done = subprocess.run([sys.executable, "-c", _OPEN, str(path)], capture_output=True, check=False)
    if done.returncode:
        raise _damaged(path)


_OPEN = """
import sys, netCDF4
with netCDF4.Dataset(sys.argv[1]) as file:
    [part.getncattr(name) for part in (file, *file.variables.values()) for name in part.ncattrs()]
"""


def _damaged(path: Path) -> FileError:
    return FileError(f"{path} was damaged since the run was interrupted; discard that run with --overwrite")


def _check_identity(run: _Run, found: dict[str, Any]) -> None:
    """Raise `FileError` if a checkpoint with the identity `found` is from another run."""
    # Through JSON, as the stored identity: it turns tuples into lists.
    wanted = json.loads(json.dumps(run.identity))
    for name in sorted({*found, *wanted}):
        if found.get(name) != wanted.get(name):
            raise FileError(
                f"{run.folder} holds an interrupted run with another {name} ({_short(found.get(name))}, not "
                f"{_short(wanted.get(name))}); give it the same, or discard that run with --overwrite"
            )


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 20 else f"{text[:17]}..."
