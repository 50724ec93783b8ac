"""Drive and spikes from files, and the errors for malformed files."""

from pathlib import Path

import numpy as np
import pytest

from astro_sim import SimulationError, SimulationParameters, simulate
from astro_sim.parameters import NetworkParameters
from astro_sim.protocol import build_intervals, presynaptic_drive
from astro_sim.stimuli import DriveFile, SpikeFile, StpCycles, write_drive
from rmaat.base.errors import RmaatError
from rmaat.base.files import FileError
from rmaat.base.records import ParameterError

NETWORK = NetworkParameters()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "stimulus.csv"


def test_a_drive_written_from_a_protocol_reads_back_as_the_same_intervals(file: Path):
    intervals = build_intervals(StpCycles(restart_fast_variables=False, run_duration=150.0), *NETWORK.sizes)
    pre, post = (np.stack([getattr(i, f"{side}synaptic_drive") for i in intervals]) for side in ("pre", "post"))
    write_drive(file, np.array([interval.start for interval in intervals]), pre, post)
    protocol = DriveFile(stimulus_file=str(file), run_duration=150.0, restart_fast_variables=False)
    short = {"run_duration": 150.0, "restart_fast_variables": False}
    expected = simulate(SimulationParameters().override(short))
    found = simulate(SimulationParameters(protocol=protocol))
    for name in expected.data_vars:
        np.testing.assert_array_equal(found[name].values, expected[name].values)


def test_a_row_of_drive_is_valid_until_the_next_and_missing_neurons_rest(file: Path):
    file.write_text("time,pre2,post1\n10,1.5,0.5\n\n20.5,-1,0\n")
    intervals = build_intervals(DriveFile(stimulus_file=str(file), mean_drive_fraction=2.0), *NETWORK.sizes)
    drive = presynaptic_drive(intervals, np.array([10.0, 10.1, 20.5, 21.0, 300.0]))
    np.testing.assert_array_equal(drive, [[0, 0, 0], [0, 0, 1.5], [0, 0, 1.5], [0, 0, -1], [0, 0, -1]])
    np.testing.assert_array_equal(intervals[1].postsynaptic_drive, [1.0, 0.5, 1.0])


def test_spikes_become_rates_in_bins(file: Path):
    file.write_text("neuron,time\n0,0.05\n0,0.0\n2,0.09\n1,0.1\npost1,0.15\npre0,0.95\n")
    protocol = SpikeFile(
        stimulus_file=str(file), run_duration=1.0, cycle_duration=0.5, drive_per_rate=0.03, mean_drive_fraction=0.5
    )
    intervals = build_intervals(protocol, *NETWORK.sizes)
    assert [interval.start for interval in intervals] == [0, 0.1, 0.2, 0.5, 0.9]
    assert [interval.restart for interval in intervals] == [True, False, False, True, False]
    pre = [interval.presynaptic_drive for interval in intervals]
    np.testing.assert_allclose(pre, [[0.6, 0, 0.3], [0, 0.3, 0], [0, 0, 0], [0, 0, 0], [0.3, 0, 0]])
    post = [interval.postsynaptic_drive for interval in intervals]
    np.testing.assert_allclose(post, [[0.15, 0, 0.15], [0.05, 0.3, 0.05], [0] * 3, [0] * 3, [0.05, 0, 0.05]])


def test_a_wider_bin_keeps_the_mean_rate(file: Path):
    generator = np.random.default_rng(0)
    spikes = zip(generator.uniform(0, 300, 500), generator.integers(0, 3, 500), strict=True)
    file.write_text("time,neuron\n" + "".join(f"{time:.6f},{neuron}\n" for time, neuron in spikes))
    for width in (0.1, 0.5, 2.0):
        intervals = build_intervals(SpikeFile(stimulus_file=str(file), bin_width=width), *NETWORK.sizes)
        total = sum((interval.end - interval.start) * interval.presynaptic_drive.sum() for interval in intervals)
        assert total == pytest.approx(500 * 0.02)


MALFORMED = [
    (DriveFile, "time\n", "stimulus.csv has no rows below its header"),
    (DriveFile, "", "line 1 has no column time; start the file with time"),
    (DriveFile, "time,pre0\n0,1\n1\n", "line 3 has 1 entries under 2 columns"),
    (DriveFile, "time,pre0\n0,1\n1,high\n", "line 3 has 'high' as pre0; write a number"),
    (DriveFile, "time,pre0\n0,1\n1,nan\n", "line 3 has 'nan' as pre0; write a number"),
    (DriveFile, "time,pre0\n1,1\n1,2\n", "line 3 has time 1 s, not after the row before; sort the rows by time"),
    (DriveFile, "time,pre0\n0,1\n400,1\n", "line 3 has time 400 s, outside the run of 300 s; times are in seconds"),
    (DriveFile, "time,pre3\n0,1\n", "line 1 names the neuron 'pre3'; this network has pre0 to pre2 and post0 to post2"),
    (DriveFile, "time,rate\n0,1\n", "line 1 names the neuron 'rate'"),
    (DriveFile, "time,pre1,1\n0,1,1\n", "line 1 names a neuron twice"),
    (DriveFile, "time,pre1,pre1\n0,1,1\n", "line 1 has the column pre1 twice"),
    (SpikeFile, "time,cell\n0,1\n", "line 1 has no column neuron; start the file with time,neuron"),
    (SpikeFile, "time,neuron,layer\n0,1,2\n", "line 1: unknown column 'layer'; known are neuron, time"),
    (SpikeFile, "time,neuron\n0,0\n12,-1\n", "line 3 names the neuron '-1'"),
    (SpikeFile, "time,neuron\n0,0\n12,1.5\n", "line 3 names the neuron '1.5'"),
    (SpikeFile, "time,neuron\n-1,0\n", "line 2 has time -1 s, outside the run"),
    (SpikeFile, "time,neuron\n12000,0\n", "line 2 has time 12000 s, outside the run of 300 s; times are in seconds"),
]


@pytest.mark.parametrize(("kind", "text", "sentence"), MALFORMED, ids=[case[2] for case in MALFORMED])
def test_a_malformed_file_is_refused_and_the_error_names_the_line(file: Path, kind, text: str, sentence: str):
    file.write_text(text)
    with pytest.raises(SimulationError) as caught:
        build_intervals(kind(stimulus_file=str(file)), *NETWORK.sizes)
    assert str(caught.value).startswith(str(file))
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "values", "error", "sentence"),
    [
        (SpikeFile, {}, ParameterError, "the protocol spike_file reads a file; set stimulus_file"),
        (SpikeFile, {"stimulus_file": "absent.csv"}, FileError, "cannot read absent.csv: No such file"),
        (SpikeFile, {"bin_width": 0.7}, ParameterError, "bin_width of 0.7 s does not divide run_duration of 300 s"),
        (SpikeFile, {"drive_per_rate": -1.0}, ParameterError, "drive_per_rate is -1.0 s; it must lie between 0 and"),
    ],
)
def test_a_file_protocol_without_a_file_or_with_a_wrong_bin_is_refused(
    kind, values: dict, error: type[RmaatError], sentence: str
):
    with pytest.raises(error, match=sentence):
        build_intervals(kind(**values), *NETWORK.sizes)


def test_a_drive_of_the_wrong_shape_is_refused(file: Path):
    with pytest.raises(ParameterError, match=r"presynaptic drive has shape \(3, 2\); it must be 4 x neurons"):
        write_drive(file, np.arange(4.0), np.zeros((3, 2)))
    assert not file.exists()
