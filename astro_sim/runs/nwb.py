"""Write traces as Neurodata Without Borders (NWB), the format of DANDI and of many tools of neurophysiology.

Needs the extra `nwb`. Each state variable becomes a `TimeSeries` (time, post, pre) in the processing module
`simulation`, and each cycle a row of `epochs`. `notes` has the parameters as JSON.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import xarray as xr

from astro_sim.errors import SimulationError
from astro_sim.runs.schema import TRIAL
from rmaat.base.extras import require
from rmaat.base.files import atomic_file
from rmaat.base.provenance import content_digest


def write_nwb(traces: xr.Dataset, path: str | Path) -> None:
    """Write `traces`, as `read_traces` returns them, to `path`, completely or not at all.

    NWB wants the date of the session; a simulation has none, so the file has the date on which it is written.

    Raises
    ------
    UsageError
        The extra `nwb` is not installed.
    SimulationError
        The traces hold several trials.
    FileError
        The file cannot be written.
    """
    if TRIAL in traces.dims:
        raise SimulationError("an NWB file holds one session; select a trial first: traces.isel(trial=0)")
    pynwb: Any = require("pynwb", "pynwb", "writing NWB files")
    file = pynwb.NWBFile(
        session_description=traces.attrs["title"],
        identifier=content_digest(traces),
        session_start_time=datetime.now(UTC),
        source_script=f"engine {traces.attrs['engine']}",
        source_script_file_name="rmaat simulate",
        notes=traces.attrs["parameters"],
    )
    module = file.create_processing_module("simulation", "simulated states of neurons, synapses and astrocytes")
    for series in _series(pynwb, traces):
        module.add(series)
    start = float(traces["time"][0])
    for end in traces["cycle_end"].values.tolist():
        file.add_epoch(start_time=start, stop_time=end, tags=["cycle"])
        start = end
    h5py: Any = require("pynwb", "h5py", "writing NWB files")
    # Opened here, because pynwb warns of a name that does not end with .nwb, as that of the temporary file.
    with (
        atomic_file(Path(path)) as temporary,
        h5py.File(temporary, "w") as target,
        pynwb.NWBHDF5IO(file=target, mode="w") as stream,
    ):
        stream.write(file)


def _series(pynwb: Any, traces: xr.Dataset) -> Iterator[Any]:
    """A series per variable that has a time axis. They share one array of times."""
    first: Any = None
    for name, variable in traces.data_vars.items():
        if "time" in variable.dims:
            units = variable.attrs["units"]
            series = pynwb.TimeSeries(
                name=str(name),
                data=variable.transpose("time", ...).values,
                unit="n.a." if units == "1" else units,
                timestamps=traces["time"].values if first is None else first,
                description=f"{variable.attrs['long_name']}; axes {', '.join(map(str, variable.dims))}",
            )
            # NWB stores a link to the times of the first series.
            first = first or series
            yield series
