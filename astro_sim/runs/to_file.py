"""Runs longer than memory or patience: written as they go, and taken up again where they stopped.

The states go, as they are found, into a NetCDF file in a hidden folder beside the wanted one. At edges of the stimulus,
every few seconds, a checkpoint is written there: the state, from which the solver starts afresh anyway, so that a run
that was interrupted, even killed, goes on to the same bits. All else that the file holds is on disk before the run
starts, and each state has its place, so that no interrupt can leave the file unreadable.
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
from astro_sim.equations.influence import measure_influence
from astro_sim.equations.model import Model
from astro_sim.errors import SimulationError
from astro_sim.network.coupling import sources_to_store
from astro_sim.network.geometry import Geometry
from astro_sim.parameter_set import SimulationParameters
from astro_sim.runs.simulate import check_increments, prepare
from astro_sim.runs.traces import build_traces, describe_state, open_traces, refused_writes
from rmaat.base.arrays import Array
from rmaat.base.errors import Interrupted
from rmaat.base.files import FileError, discard, finish, unfinished, unfinished_folder, write_bytes
from rmaat.base.progress import Progress, ignore_progress
from rmaat.base.provenance import versions

TRACES, CHECKPOINT = "traces.nc", "checkpoint.npz"
# Seconds of work that may be lost; an edge sooner after the last checkpoint writes none.
CHECKPOINT_EVERY = 5.0


def simulate_to_file(
    parameters: SimulationParameters,
    path: Path,
    *,
    model: Model | None = None,
    progress: Progress = ignore_progress,
) -> None:
    """Run a model with SciPy and write its traces to `path`, whole or not at all, in memory that no run length raises.

    The file is that of `write_traces(simulate(parameters), path)`. Where an earlier call with the same arguments was
    interrupted after a checkpoint (`has_checkpoint`), this call continues it; `rmaat.base.files.discard` removes it.

    Parameters
    ----------
    model, progress
        As for `simulate`.

    Raises
    ------
    SimulationError
        The solver failed, and would again.
    Interrupted
        By the user, after a checkpoint.
    UsageError
        The network is too large, or rest is not stable.
    FileError
        The disk is full, another process is writing the file, or the checkpoint is of another run: the sentence says
        what differs.

    Warns
    -----
    UserWarning
        As `simulate`.
    """
    geometry, job = prepare(parameters, model)
    run = _Run(parameters, job, _identity(parameters, geometry, job), unfinished(path))
    with unfinished_folder(path), _kept_if_of_use(path), refused_writes():
        if not has_checkpoint(path):
            _check_space(run)
            _create(run, geometry)
        _solve(run, progress)
        with open_traces(run.traces) as traces:
            check_increments(traces)
        finish(run.traces, path)


def has_checkpoint(path: Path) -> bool:
    """Whether an interrupted run left a checkpoint for the file at `path`."""
    return (unfinished(path) / CHECKPOINT).is_file()


@dataclass(frozen=True, eq=False)
class _Run:
    """One run, what tells it from others, and the folder that holds what is done of it."""

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
def _kept_if_of_use(path: Path) -> Iterator[None]:
    """Leave the unfinished folder behind only where a checkpoint waits, and the same work would not fail again."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, SimulationError) or not has_checkpoint(path):
            discard(path)
        if isinstance(error, KeyboardInterrupt) and has_checkpoint(path):
            raise Interrupted("interrupted; continue the same command with --resume") from None
        raise


def _solve(run: _Run, progress: Progress) -> None:
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
    """The file with all but the states, for which it has room."""
    job, names = run.job, run.parameters
    sources = sources_to_store(geometry.shape)
    influence = measure_influence(job.model, names.model, job.coupling, sources)
    nothing = Solution(stored_times(job), {}, describe_solver(job.solver), ("scipy",))
    traces = build_traces(names, "scipy", geometry, job, nothing, sources, influence)
    traces.to_netcdf(run.traces, engine="netcdf4", format="NETCDF4")
    with netCDF4.Dataset(run.traces, "a") as file:
        # The library would write every value twice.
        file.set_fill_off()
        for variable in job.model.variables:
            states = file.createVariable(variable.label, "f8", ("time", *variable.dims), fill_value=np.nan)
            states.setncatts(describe_state(variable))
            # With the last value in place, the file has its full size and will not change but for the states.
            states[-1] = 0.0


def _check_space(run: _Run) -> None:
    size = stored_times(run.job).size * right_hand_side(run.job).size * np.dtype(float).itemsize
    if size > (free := shutil.disk_usage(run.folder).free):
        raise FileError(
            f"the run stores {size / 1e9:.3g} GB and {run.folder.parent} has {free / 1e9:.3g} GB free; lengthen "
            f"recording_interval, now {run.job.recording_interval:g} s, or choose another disk"
        )


def _identity(parameters: SimulationParameters, geometry: Geometry, job: Job) -> dict[str, Any]:
    """All that the result depends on, by name; what files hold that the parameters name, too."""
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
