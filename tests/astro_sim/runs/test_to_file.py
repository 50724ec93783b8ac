"""Streamed runs against runs in memory, with interrupts at any time."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import xarray as xr

from astro_sim import (
    SimulationError,
    SimulationParameters,
    content_digest,
    has_checkpoint,
    read_traces,
    simulate,
    simulate_to_file,
)
from astro_sim.engines import scipy_engine
from astro_sim.runs import to_file
from rmaat.base.errors import Interrupted
from rmaat.base.files import FileError, unfinished, unfinished_folder

SHORT = SimulationParameters().override({"run_duration": 150.0})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "traces.nc"


@pytest.fixture(scope="module")
def plain() -> xr.Dataset:
    return simulate(SHORT)


@pytest.fixture
def _a_checkpoint_at_every_edge(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(to_file, "CHECKPOINT_EVERY", 0.0)


def stopping_after(fraction: float, error: type[BaseException] = KeyboardInterrupt) -> Callable[[float], None]:
    def progress(done: float) -> None:
        if done > fraction:
            raise error

    return progress


def interrupt(path: Path, fraction: float, parameters: SimulationParameters = SHORT) -> None:
    with pytest.raises(Interrupted, match="interrupted; continue the same command with --resume"):
        simulate_to_file(parameters, path, progress=stopping_after(fraction))
    assert not path.exists()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lsoda", "dop853"])
@pytest.mark.parametrize("layout", [{}, {"layout": "random", "presynaptic_neurons": 20, "postsynaptic_neurons": 15}])
def test_the_streamed_file_equals_that_of_the_run_in_memory(path: Path, method: str, layout: dict):
    parameters = SHORT.override({"method": method, "coupling_strength": 0.01} | layout)
    simulate_to_file(parameters, path)
    in_memory = simulate(parameters)
    assert content_digest(read_traces(path)) == content_digest(in_memory)
    xr.testing.assert_identical(read_traces(path), in_memory)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.slow
@pytest.mark.usefixtures("_a_checkpoint_at_every_edge")
@pytest.mark.parametrize("fraction", [0.25, 1 / 3, 0.5, 0.7, 0.99])
def test_an_interrupted_run_continues_to_the_same_bits(path: Path, plain: xr.Dataset, fraction: float):
    interrupt(path, fraction)
    reported: list[float] = []
    simulate_to_file(SHORT, path, progress=reported.append)
    assert fraction - 0.25 < reported[0] <= fraction
    xr.testing.assert_identical(read_traces(path), plain)
    assert not unfinished(path).exists()


@pytest.mark.usefixtures("_a_checkpoint_at_every_edge")
def test_a_run_may_be_interrupted_again_and_again(path: Path, plain: xr.Dataset):
    for fraction in (0.3, 0.3, 0.6, 0.9):
        interrupt(path, fraction)
    simulate_to_file(SHORT, path)
    xr.testing.assert_identical(read_traces(path), plain)


def test_a_killed_run_continues_to_the_same_bits(path: Path, plain: xr.Dataset):
    code = (
        "import sys; from pathlib import Path\n"
        "from astro_sim import SimulationParameters, simulate_to_file\n"
        "from astro_sim.runs import to_file\n"
        "to_file.CHECKPOINT_EVERY = 0.0\n"
        "def progress(done):\n"
        "    if done > 0.8: print('ready', flush=True); sys.stdin.read()\n"
        "simulate_to_file(SimulationParameters().override({'run_duration': 150.0}), Path(sys.argv[1]),"
        " progress=progress)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    # Older LSODAs print warnings of their own.
    assert any(line.endswith("ready\n") for line in iter(process.stdout.readline, ""))
    with pytest.raises(FileError, match=r"another process is writing .*traces.nc; wait for it"):
        simulate_to_file(SHORT, path)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert not path.exists()
    assert has_checkpoint(path)
    simulate_to_file(SHORT, path)
    xr.testing.assert_identical(read_traces(path), plain)
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.usefixtures("_a_checkpoint_at_every_edge")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"coupling_strength": 0.04}, r"with another coupling_strength \(0.05, not 0.04\)"),
        ({"method": "dop853"}, r"with another method \(lsoda, not dop853\)"),
        ({"run_duration": 200.0}, r"with another run_duration \(150.0, not 200.0\)"),
    ],
)
def test_a_checkpoint_from_other_parameters_is_refused_and_kept(
    path: Path, plain: xr.Dataset, change: dict, sentence: str
):
    interrupt(path, 0.5)
    with pytest.raises(FileError, match=sentence):
        simulate_to_file(SHORT.override(change), path)
    simulate_to_file(SHORT, path)
    xr.testing.assert_identical(read_traces(path), plain)


@pytest.mark.usefixtures("_a_checkpoint_at_every_edge")
def test_a_checkpoint_from_other_versions_or_equations_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch):
    interrupt(path, 0.5)
    other = SHORT.form.model(4)
    other = type(other)(other.variables, other.synaptic_input, "0 * short_term_process")
    with pytest.raises(FileError, match="with another equations"):
        simulate_to_file(SHORT, path, model=other)
    monkeypatch.setattr(to_file, "versions", lambda *_: {"scipy": "0.1"})
    with pytest.raises(FileError, match="with another version of"):
        simulate_to_file(SHORT, path)


CRASH = Path(__file__).parents[3] / "benchmarks/fuzz/corpus/unfinished simulation/crash/unfinished/traces.nc"
"""One byte of it is another, and NetCDF's library crashes when the program ends."""


@pytest.mark.usefixtures("_a_checkpoint_at_every_edge")
def test_an_unfinished_file_that_was_damaged_is_refused_without_a_crash(path: Path):
    interrupt(path, 0.7)
    content = (unfinished(path) / "traces.nc").read_bytes()
    changed = bytearray(content)
    # A state that was written before the checkpoint.
    value = simulate(SHORT)["long_term_process"].values[3, 0, 0].tobytes()
    changed[content.index(value)] ^= 1
    for damaged in (CRASH.read_bytes(), bytes(changed), b""):
        (unfinished(path) / "traces.nc").write_bytes(damaged)
        with pytest.raises(FileError, match=r"traces\.nc was damaged since the run was interrupted; discard that run"):
            simulate_to_file(SHORT, path)
    (unfinished(path) / "traces.nc").write_bytes(content)
    simulate_to_file(SHORT, path)


@pytest.mark.usefixtures("_a_checkpoint_at_every_edge")
@pytest.mark.parametrize("content", [b"", b"PK", bytes(1000)])
def test_a_checkpoint_that_was_damaged_is_refused(path: Path, content: bytes):
    interrupt(path, 0.5)
    (unfinished(path) / "checkpoint.npz").write_bytes(content)
    with pytest.raises(FileError, match=r"checkpoint\.npz was damaged since the run was interrupted"):
        simulate_to_file(SHORT, path)


def test_an_interrupt_before_any_checkpoint_leaves_no_file(path: Path):
    with pytest.raises(KeyboardInterrupt):
        simulate_to_file(SHORT, path, progress=stopping_after(0.5))
    assert not os.listdir(path.parent)


@pytest.mark.usefixtures("_a_checkpoint_at_every_edge")
def test_a_failed_run_leaves_no_file(path: Path):
    with pytest.raises(SimulationError):
        simulate_to_file(SHORT, path, progress=stopping_after(0.5, SimulationError))
    assert not os.listdir(path.parent)


def test_another_process_may_not_write_the_same_file(path: Path):
    with unfinished_folder(path), pytest.raises(FileError, match="another process is writing"):
        simulate_to_file(SHORT, path)


def test_a_run_that_does_not_fit_on_the_disk_is_refused_before_it_starts(path: Path, monkeypatch: pytest.MonkeyPatch):
    free = shutil.disk_usage(path.parent)._replace(free=9_999)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    with pytest.raises(FileError, match=r"stores 7.95e-05 GB and .* has 1e-05 GB free; lengthen recording_interval"):
        simulate_to_file(SHORT, path)
    assert not os.listdir(path.parent)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_run(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rmaat.base.provenance.BLOCK", 2**16)
    network = {"presynaptic_neurons": 24, "postsynaptic_neurons": 24, "coupling_given_by": "spectral_radius"}

    def peak(cycles: int) -> int:
        loose = {"relative_tolerance": 1e-4, "absolute_tolerance": 1e-6, "run_duration": 50.0 * cycles}
        parameters = SimulationParameters().override(network | loose)
        tracemalloc.start()
        simulate_to_file(parameters, path)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(1)
    short, long = peak(1), peak(3)
    # Two more cycles of 100 times of 1,776 values would take 2.8 MB.
    assert long - short < 300_000


def test_progress_advances_within_the_cycles(path: Path):
    reported: list[float] = []
    simulate_to_file(SHORT, path, progress=reported.append)
    assert reported[0] == 0
    assert reported[-1] == 1
    assert max(after - before for before, after in itertools.pairwise(reported)) < 0.05


def test_states_do_not_depend_on_how_many_are_interpolated_together(plain: xr.Dataset, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scipy_engine, "ROWS_AT_ONCE", 2)
    xr.testing.assert_allclose(simulate(SHORT), plain, rtol=1e-12, atol=1e-15)
