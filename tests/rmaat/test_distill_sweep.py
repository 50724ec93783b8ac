"""`rmaat distill sweep` on the command line."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import distill.inverse.sweep as module
from distill.inverse.sweep_file import read_sweep
from rmaat.cli import main

SHORT = ["--set", "run_duration=150", "--set", "relative_tolerance=1e-5", "--workers", "0"]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def sweep(*arguments):
    return main(["distill", "sweep", *SHORT, *arguments])


def test_a_grid_is_swept_written_and_summarised(capsys, tmp_path):
    assert sweep("--vary", "short_term_gain=0.3,0.5,1.0", "--vary", "layout=line", "--out", "sweep.nc") == 0
    found, printed = read_sweep(tmp_path / "sweep.nc"), capsys.readouterr().out
    np.testing.assert_array_equal(np.isnan(found.exponent), [False, False, True])
    assert [line.split()[0] for line in printed.splitlines()[2:6]] == ["RF(1,", "a", "scale", "alpha"]
    assert "partial rank correlation" in printed
    assert "sweep.nc: 3 points over short_term_gain, layout" in printed
    assert "1 points lack values" in printed
    assert "lower coupling_strength or short_term_gain" in printed
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.nc"]


def test_the_same_command_continues_an_interrupted_sweep(capsys, tmp_path, monkeypatch):
    command = ["--random", "6", "--seed", "2", "--vary", "cycle_duration=40:80", "--out", "sweep.nc"]
    monkeypatch.setattr("distill.inverse.sweep.POINTS_TOGETHER", 2)
    assert sweep(*command) == 0
    whole = (tmp_path / "sweep.nc").read_bytes()
    (tmp_path / "sweep.nc").unlink()

    calls, simulate_batch = [], module.simulate_batch

    def stopping(points):
        calls.append(len(points))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return simulate_batch(points)

    monkeypatch.setattr("distill.inverse.sweep.simulate_batch", stopping)
    assert sweep(*command) == 130
    assert len(list((tmp_path / ".sweep.nc.parts").glob("batch-*"))) == 2
    assert not (tmp_path / "sweep.nc").exists()
    assert main(["distill", "sweep", *SHORT, "--vary", "seed=1,2", "--out", "sweep.nc"]) == 1
    assert "another sweep" in capsys.readouterr().err
    assert sweep(*command) == 0
    assert calls == [2, 2, 2, 2]
    assert (tmp_path / "sweep.nc").read_bytes() == whole


@pytest.mark.slow
def test_control_c_also_ends_the_workers_and_the_same_command_continues_to_the_same_bytes(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr("distill.inverse.sweep.POINTS_TOGETHER", 4)
    command = ["--set", "relative_tolerance=1e-3", "--random", "40", "--vary", "cycle_duration=40:80", "--out"]
    program = (
        "import sys, distill.inverse.sweep, rmaat.cli\n"
        "distill.inverse.sweep.POINTS_TOGETHER = 4\n"
        "sys.exit(rmaat.cli.main(sys.argv[1:]))"
    )
    words = ["distill", "sweep", *SHORT, "--workers", "2", *command, "cut.nc"]
    # A session of its own: the signal then reaches all its processes, as from a terminal.
    process = subprocess.Popen(
        [sys.executable, "-c", program, *words], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 100
    while not list(Path(".cut.nc.parts").glob("batch-*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.strip().splitlines()[-1] == "rmaat: interrupted; partly written files were removed"
    assert "Traceback" not in error
    # communicate() returned, so the workers, which share standard error, have ended too.
    done = len(list(Path(".cut.nc.parts").glob("batch-*")))
    assert 0 < done < 10
    assert not Path("cut.nc").exists()
    calls, simulate_batch = [], module.simulate_batch
    monkeypatch.setattr(
        "distill.inverse.sweep.simulate_batch", lambda points: calls.append(1) or simulate_batch(points)
    )
    assert sweep(*command, "cut.nc") == 0
    assert len(calls) == 10 - done
    assert sweep(*command, "whole.nc") == 0
    assert Path("cut.nc").read_bytes() == Path("whole.nc").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "nothing varies"),
        (["--vary", "cycle_duration=40:80"], "low:high:count"),
        (["--vary", "cycle_duration=40:80:3", "--workers", "-1"], "--workers is -1"),
        (["--vary", "noise_seed=1,2", "--model", "biophysical", "--preset", "biological"], "of the rate model"),
        (["--vary", "seed=1,2", "--lengths", "0"], "from 1"),
        (["--vary", "seed=1,2", "--set", "seed"], "has no value"),
    ],
)
def test_an_invalid_sweep_is_refused_with_a_sentence(capsys, arguments, words):
    assert sweep(*arguments) == 2
    assert words in capsys.readouterr().err


def test_an_earlier_file_is_not_replaced(capsys, tmp_path):
    (tmp_path / "sweep.nc").touch()
    assert sweep("--vary", "seed=1,2", "--out", "sweep.nc") == 1
    assert "--overwrite" in capsys.readouterr().err
