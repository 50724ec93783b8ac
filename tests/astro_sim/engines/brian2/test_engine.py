"""Brian2 against SciPy. A C++ build takes about ten seconds; all tests share the builds of one structure."""

import dataclasses
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from astro_sim import SimulationError, SimulationParameters, load_preset, simulate
from astro_sim.engines import integrate
from astro_sim.engines.brian2 import process as brian2_process
from astro_sim.engines.job import Job
from astro_sim.equations.model import Model, Place, Variable
from astro_sim.network.coupling import DenseCoupling
from astro_sim.parameters import RateModelParameters, SolverParameters
from astro_sim.protocol import Interval
from rmaat.base.files import FileError
from rmaat.base.records import ParameterError

# Cycles as short as in these tests raise this warning if the fast variables do not restart.
pytestmark = [
    pytest.mark.filterwarnings("ignore:the long-term process grew"),
    pytest.mark.xdist_group("builds of the rate model"),
]

DEFAULT = SimulationParameters()
STATES = (
    "presynaptic_activity",
    "postsynaptic_activity",
    "synaptic_facilitation",
    "short_term_process",
    "long_term_process",
)
SHORT = DEFAULT.override(
    {
        "run_duration": 20.0,
        "cycle_duration": 10.0,
        "stimulus_duration": 4.0,
        "postsynaptic_neurons": 2,
        "layout": "random",
        "restart_fast_variables": False,
        "short_term_time_constant": 0.5,
    }
)


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each test starts with an empty temporary folder and must leave it empty."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    assert not list(tmp_path.iterdir())


def relative_difference(found: xr.Dataset, expected: xr.Dataset, name: str) -> float:
    """The largest relative difference; the first time is left out, because all values are 0 there."""
    assert not found[name].values[0].any()
    reference = expected[name].values[1:]
    return float(np.abs(found[name].values[1:] / reference - 1).max())


@pytest.fixture(scope="module")
def default_pair() -> tuple[xr.Dataset, xr.Dataset]:
    return simulate(engine="brian2"), simulate()


@pytest.mark.slow
@pytest.mark.brian2
@pytest.mark.parametrize("name", STATES)
def test_brian2_is_within_a_thousandth_of_scipy_at_every_stored_time(
    default_pair: tuple[xr.Dataset, xr.Dataset], name: str
):
    assert relative_difference(*default_pair, name) < 1e-3


@pytest.mark.slow
@pytest.mark.brian2
def test_brian2_stores_the_same_axes_as_scipy(default_pair: tuple[xr.Dataset, xr.Dataset]):
    found, expected = default_pair
    for name in ("time", "cycle_end", "presynaptic_drive", "coupling", "influence"):
        xr.testing.assert_identical(found[name], expected[name])
    assert found.attrs["engine"] == "brian2"
    assert '"brian2": "' in found.attrs["versions"]


@pytest.mark.slow
@pytest.mark.brian2
def test_the_difference_halves_with_the_time_step(default_pair: tuple[xr.Dataset, xr.Dataset]):
    fine, reference = default_pair
    coarse = simulate(DEFAULT.override({"time_step": 2 * DEFAULT.solver.time_step}), "brian2")
    for name in STATES[1:]:
        ratio = relative_difference(coarse, reference, name) / relative_difference(fine, reference, name)
        assert ratio == pytest.approx(2, rel=0.05), name


def own_model_job(rate: str, target: str = "automatic") -> Job:
    model = Model(
        variables=(
            Variable("u", Place.PRE, "(drive - u) / neuron_time_constant", "", ""),
            Variable("w", Place.SYNAPSE, rate, "", ""),
        ),
        synaptic_input="w",
        coupled_signal="w",
    )
    coupling = DenseCoupling(np.arange(36.0).reshape(3, 2, 3, 2) / 100)
    drive = np.array([1.0, 2.0])
    intervals = tuple(Interval(t, t + 0.5, drive * (t < 1), np.zeros(3), t == 1) for t in (0.0, 0.5, 1.0))
    return Job(
        model,
        RateModelParameters(),
        coupling,
        intervals,
        0.25,
        SolverParameters(time_step=0.0005, brian2_target=target),
    )


OWN_RATE = "(u_pre + coupled_input - w) / synapse_time_constant"


@pytest.mark.slow
@pytest.mark.brian2
@pytest.mark.parametrize("target", ["numpy", "cython"])
def test_every_target_gives_the_same_traces(target: str):
    reported: list[float] = []
    compiled = integrate(own_model_job(OWN_RATE, "cpp_standalone"), "brian2", ignore)
    found = integrate(own_model_job(OWN_RATE, target), "brian2", reported.append)
    assert reported == sorted(reported)
    assert any(0 < fraction < 1 for fraction in reported)
    assert found.solver["target"] == target
    for label, values in compiled.values.items():
        np.testing.assert_allclose(found.values[label], values, rtol=1e-12, err_msg=label)
        assert values.any()


@pytest.mark.slow
@pytest.mark.brian2
def test_new_parameters_run_in_the_cached_build_with_the_bits_of_a_fresh_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
):
    job = own_model_job(OWN_RATE, "cpp_standalone")
    integrate(job, "brian2", ignore)
    changed = dataclasses.replace(
        job,
        parameters=RateModelParameters(synapse_time_constant=0.7, neuron_time_constant=0.3),
        coupling=DenseCoupling(job.coupling.dense() / 3),
    )
    with monkeypatch.context() as patch:
        patch.setattr(brian2_process, "_run_worker", refuse)
        again = integrate(changed, "brian2", ignore)
    monkeypatch.setenv("RMAAT_CACHE", str(tmp_path_factory.mktemp("cache")))
    fresh = integrate(changed, "brian2", ignore)
    expected = integrate(changed, "scipy", ignore)
    for label, values in fresh.values.items():
        np.testing.assert_array_equal(again.values[label], values)
        np.testing.assert_allclose(values, expected.values[label], rtol=5e-3, atol=1e-9, err_msg=label)


def ignore(_: float) -> None:
    """A progress without output."""


def refuse(*_) -> None:
    raise AssertionError("Brian2 was asked to build again")


@pytest.mark.brian2
def test_without_a_compiler_brian2_warns_and_runs_another_model_in_numpy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    job = own_model_job(OWN_RATE)
    with pytest.warns(UserWarning, match="no C\\+\\+ compiler and make found"):
        found = integrate(job, "brian2", ignore)
    assert found.solver["target"] == "numpy"
    expected = integrate(job, "scipy", ignore)
    for label, values in expected.values.items():
        np.testing.assert_allclose(found.values[label], values, rtol=5e-3, atol=1e-9, err_msg=label)


@pytest.mark.brian2
def test_an_equation_of_the_wrong_dimension_fails_with_the_message_of_brian2():
    with pytest.raises(SimulationError, match=r"Brian2 failed with status 1; .*DimensionMismatchError"):
        integrate(own_model_job("u_pre + coupled_input - w"), "brian2", ignore)


@pytest.mark.slow
@pytest.mark.brian2
def test_a_build_uses_no_more_make_jobs_than_there_are_cores_and_its_failure_is_an_error_of_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
):
    # This make writes its arguments to a file and fails, so that nothing is compiled.
    folder = tmp_path_factory.mktemp("tools")
    make, written = folder / "make", folder / "arguments"
    make.write_text(f'#!/bin/sh\necho "$@" >> {written}\nexit 1\n')
    make.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(brian2_process, "core_count", lambda: 3)
    with pytest.raises(SimulationError, match=r"Brian2 failed with status 1; .*Project compilation failed") as caught:
        integrate(own_model_job("-2 * w / synapse_time_constant"), "brian2", ignore)
    assert written.read_text().split() == ["-j3"]
    assert "\n" not in str(caught.value)


def test_a_target_whose_compiler_is_missing_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(SimulationError, match=r"brian2_target cpp_standalone needs g\+\+ and make, not found; .*numpy"):
        simulate(DEFAULT.override({"brian2_target": "cpp_standalone"}), "brian2")


def test_a_cache_folder_that_cannot_be_made_is_named_before_a_build(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
):
    occupied = tmp_path_factory.mktemp("cache") / "file"
    occupied.write_text("")
    monkeypatch.setenv("RMAAT_CACHE", str(occupied))
    monkeypatch.setattr(brian2_process, "_run_worker", refuse)
    with pytest.raises(FileError, match=r"cannot write .*file/brian2: .*; set RMAAT_CACHE to a folder of yours"):
        integrate(own_model_job(OWN_RATE, "cpp_standalone"), "brian2", ignore)


@pytest.mark.slow
@pytest.mark.brian2
def test_two_processes_may_build_the_same_network_at_the_same_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
):
    job, cache = own_model_job(OWN_RATE, "cpp_standalone"), tmp_path_factory.mktemp("cache")
    wanted = integrate(job, "brian2", ignore)
    kept = Path(os.environ["RMAAT_CACHE"]) / "brian2"

    def build_while_another_does(_script, _target, folder: Path, _progress) -> None:
        shutil.copytree(kept, cache / "brian2", dirs_exist_ok=True)
        (folder / "build" / "static_arrays").mkdir(parents=True)
        for name in ("build/main", "layout.json", "connections.npz"):
            (folder / name).write_text("of the slower process")

    monkeypatch.setenv("RMAAT_CACHE", str(cache))
    monkeypatch.setattr(brian2_process, "_run_worker", build_while_another_does)
    found = integrate(job, "brian2", ignore)
    for label, values in wanted.values.items():
        np.testing.assert_array_equal(found.values[label], values)
    assert not list((cache / "brian2").glob(".*"))


def test_a_time_step_that_does_not_divide_the_recording_interval_is_refused():
    with pytest.raises(ParameterError, match=r"time_step of 0.0003 s does not divide recording_interval of 0.5 s"):
        simulate(DEFAULT.override({"time_step": 0.0003}), "brian2")


def test_too_many_synapses_for_brian2_are_refused():
    large = DEFAULT.override({"presynaptic_neurons": 17, "postsynaptic_neurons": 16, "coupling_strength": 0.001})
    with pytest.raises(ParameterError, match=r"17 x 16 neurons have 272 synapses, more than the 256 .* engine scipy"):
        simulate(large, "brian2")


def test_the_error_for_a_missing_brian2_gives_the_command_to_install_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SimulationError, match=r'pip install "rmaat-toolkit\[brian2\]"'):
        simulate(engine="brian2")


def test_an_interrupt_kills_the_worker_and_its_children(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
):
    folder = tmp_path_factory.mktemp("worker")
    worker, pids = folder / "worker.py", folder / "pids"
    worker.write_text(
        "import os, pathlib, subprocess, time\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        f"path = pathlib.Path({str(pids)!r})\n"
        "path.with_suffix('.new').write_text(f'{os.getpid()} {child.pid}')\n"
        "os.replace(path.with_suffix('.new'), path)\n"
        "time.sleep(60)\n"
    )
    monkeypatch.setattr(brian2_process, "WORKER", worker)

    def interrupt_once_running():
        while not pids.exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt_once_running, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        simulate(engine="brian2")
    for pid in map(int, pids.read_text().split()):
        assert is_gone(pid)


def is_gone(pid: int) -> bool:
    """Whether a process ended. A zombie counts: an ancestor reaps the child of a killed parent later."""
    for _ in range(100):
        status = Path(f"/proc/{pid}/stat")
        if not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False


def test_a_process_ends_on_windows_which_has_no_process_groups(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delattr(os, "killpg")
    monkeypatch.delattr(signal, "SIGKILL")
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    # Popen.kill itself names SIGKILL where it is not Windows' own.
    monkeypatch.setattr(process, "kill", process.terminate)
    brian2_process._end(process)
    assert process.returncode


@pytest.mark.slow
@pytest.mark.brian2
def test_every_form_and_edges_between_stored_times_are_the_same_in_brian2():
    parameters = load_preset("biological").changed(
        {
            "form": {"long_term_growth": "soft_bound"},
            "model": {
                "neuron_time_constant": 0.1,
                "half_activation": 0.05,
                "long_term_feedback": 0.3,
                "long_term_time_constant": 20.0,
            },
            "protocol": {
                "kind": "theta_bursts",
                "run_duration": 4.0,
                "cycle_duration": 2.0,
                "restart_fast_variables": True,
                "bursts_per_train": 3,
                "train_interval": 2.0,
                "presynaptic_pattern": [40.0, 30.0, 25.0],
                "postsynaptic_pattern": [30.0, 25.0, 20.0],
            },
            "recording": {"recording_interval": 0.5},
            "solver": {"time_step": 0.0005, "absolute_tolerance": 1e-14},
        }
    )
    expected, found = (simulate(parameters, engine) for engine in ("scipy", "brian2"))
    assert expected.long_term_process.values[-1].min() > 1e-4
    for name in ("synaptic_facilitation", "short_term_process", "long_term_process"):
        assert relative_difference(found, expected, name) < 5e-3, name


@pytest.mark.brian2
def test_edges_that_the_time_step_does_not_divide_are_refused():
    bursts = {"protocol": {"kind": "theta_bursts", "pulse_duration": 0.0005}, "solver": {"time_step": 0.002}}
    with pytest.raises(
        ParameterError, match=r"time_step of 0\.002 s does not divide the stimulus's edges, steps of 0\.0005 s"
    ):
        simulate(DEFAULT.changed(bursts), "brian2")
