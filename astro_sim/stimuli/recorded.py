"""Protocols that are read from files: drive over time, or recorded spikes.

Both files are CSV with a header. Neurons are named `pre0`, `pre1` ... and `post0`, `post1` ...; a plain number is a
presynaptic neuron. A postsynaptic neuron that is missing in the file gets a share of the mean presynaptic drive.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import numpy as np

from astro_sim.durations import divides, exact
from astro_sim.protocol import ProtocolParameters, Step
from astro_sim.text_tables import Row, read_csv
from rmaat.base.arrays import Array
from rmaat.base.files import write_text
from rmaat.base.records import ParameterError, parameter


@dataclass(frozen=True)
class RecordedProtocol(ProtocolParameters):
    """The parameters of a file, and of the drive of postsynaptic neurons that are missing in it."""

    stimulus_file: str = parameter("", "file of the stimulus, CSV; relative to the folder the command runs in")
    mean_drive_fraction: float = parameter(
        0.5, "share of the mean presynaptic drive that postsynaptic neurons get which the file leaves out",
        low=-10, high=10,
    )  # fmt: skip

    def _path(self) -> Path:
        if not self.stimulus_file:
            raise ParameterError(f"the protocol {self.kind} reads a file; set stimulus_file to its path")
        return Path(self.stimulus_file)

    def _split(self, drive: Array, named: set[int], presynaptic_neurons: int) -> tuple[Array, Array]:
        """Split the `drive` of all neurons, presynaptic ones first, into (pre,) and (post,), and fill in missing ones.

        `named` holds the indices of the neurons in the file.
        """
        pre, post = np.split(drive, [presynaptic_neurons])
        left_out = [index for index in range(post.size) if presynaptic_neurons + index not in named]
        post[left_out] = self.mean_drive_fraction * pre.mean()
        return pre, post


@dataclass(frozen=True)
class DriveFile(RecordedProtocol):
    """Drive over time: a column `time` in s and one per neuron. A row is valid until the time of the next row."""

    kind: ClassVar[str] = "drive_file"

    def steps(self, presynaptic_neurons: int, postsynaptic_neurons: int) -> list[Step]:
        """One step per row."""
        sizes = presynaptic_neurons, postsynaptic_neurons
        rows = read_csv(self._path(), ("time",))
        header = dataclasses.replace(rows[0], line=1)
        places = {name: _neuron(header, name, *sizes) for name in header.values if name != "time"}
        if len(set(places.values())) < len(places):
            raise header.error("names a neuron twice", "give each neuron one column")
        steps = []
        for row, start in zip(rows, _times(rows, self.run_duration), strict=True):
            if steps and start <= steps[-1].start:
                raise row.error(f"has time {float(start):g} s, not after the row before", "sort the rows by time")
            drive = np.zeros(sum(sizes))
            for name, place in places.items():
                drive[place] = row.number(name)
            steps.append(Step(start, *self._split(drive, set(places.values()), presynaptic_neurons)))
        return steps


@dataclass(frozen=True)
class SpikeFile(RecordedProtocol):
    """Spikes in columns `time` (s) and `neuron`; they are counted in bins, and the rate in a bin sets the drive."""

    kind: ClassVar[str] = "spike_file"

    bin_width: float = parameter(0.1, "width of the bins in which spikes are counted", unit="s", low=0.0001, high=50)
    drive_per_rate: float = parameter(
        0.02, "drive of a neuron per spike rate; 0.02 s makes 50 Hz a drive of 1", unit="s", low=0, high=10
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not divides(self.bin_width, self.run_duration):
            raise ParameterError(
                f"bin_width of {self.bin_width:g} s does not divide run_duration of {self.run_duration:g} s; "
                "choose a bin that does"
            )

    def steps(self, presynaptic_neurons: int, postsynaptic_neurons: int) -> list[Step]:
        """One step at the start of each bin in which a rate changes."""
        sizes = presynaptic_neurons, postsynaptic_neurons
        rows = read_csv(self._path(), ("time", "neuron"), ())
        neurons = [_neuron(row, row.values["neuron"], *sizes) for row in rows]
        width = exact(self.bin_width)
        counts = np.zeros((int(exact(self.run_duration) / width), sum(sizes)))
        for time, neuron in zip(_times(rows, self.run_duration), neurons, strict=True):
            counts[int(time / width), neuron] += 1
        drives = self.drive_per_rate * counts / self.bin_width
        # NaN differs from everything, so that the first bin is always a step.
        changed = np.flatnonzero(np.any(np.diff(drives, axis=0, prepend=np.nan) != 0, axis=1))
        return [
            Step(int(place) * width, *self._split(drives[place], set(neurons), presynaptic_neurons))
            for place in changed
        ]


def write_drive(path: Path, times: Array, presynaptic_drive: Array, postsynaptic_drive: Array | None = None) -> None:
    """Write the drive to a file for `DriveFile`.

    Parameters
    ----------
    times : (time,)
        Start of each row in s, increasing.
    presynaptic_drive, postsynaptic_drive : (time, pre), (time, post)
        Dimensionless drive from each time to the next. Without postsynaptic drive, `mean_drive_fraction` sets it.

    Raises
    ------
    ParameterError
        A drive has not one row per time.
    FileError
        The file cannot be written.
    """
    blocks = {"pre": np.asarray(presynaptic_drive)}
    if postsynaptic_drive is not None:
        blocks["post"] = np.asarray(postsynaptic_drive)
    for name, block in blocks.items():
        if block.ndim != 2 or len(block) != len(times):
            raise ParameterError(f"the {name}synaptic drive has shape {block.shape}; it must be {len(times)} x neurons")
    names = [f"{name}{index}" for name, block in blocks.items() for index in range(block.shape[1])]
    table = np.column_stack([times, *blocks.values()])
    lines = [",".join(map(repr, row)) for row in table.astype(float).tolist()]
    write_text(path, "\n".join([",".join(["time", *names]), *lines, ""]))


def _neuron(row: Row, name: str, presynaptic_neurons: int, postsynaptic_neurons: int) -> int:
    """The index of the neuron `name` among all neurons, presynaptic ones first."""
    side = "post" if name.startswith("post") else "pre"
    digits, size = name.removeprefix(side), postsynaptic_neurons if side == "post" else presynaptic_neurons
    # Python refuses to convert thousands of digits.
    if not digits.isdecimal() or len(digits) > 20 or int(digits) >= size:
        raise row.error(
            f"names the neuron {name!r:.60}",
            f"this network has pre0 to pre{presynaptic_neurons - 1} and post0 to post{postsynaptic_neurons - 1}",
        )
    return int(digits) + (presynaptic_neurons if side == "post" else 0)


def _times(rows: list[Row], run_duration: float) -> Iterator[Fraction]:
    """The exact time of each row in s; raises `SimulationError` if it is outside the run."""
    for row in rows:
        time = row.number("time")
        if not 0 <= time < run_duration:
            raise row.error(
                f"has time {time:g} s, outside the run of {run_duration:g} s", "times are in seconds; set run_duration"
            )
        yield exact(time)
