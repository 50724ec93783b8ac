"""`rmaat distill sweep` as a user types it."""

import numpy as np
import pytest

from distill.sweep import read_sweep
from rmaat.cli import main

SHORT = ["--set", "run_duration=150", "--set", "relative_tolerance=1e-5", "--workers", "0"]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def sweep(*arguments):
    return main(["distill", "sweep", *SHORT, *arguments])


def test_a_grid_is_swept_written_and_summed_up(capsys, tmp_path):
    assert sweep("--vary", "short_term_gain=0.3,0.5,1.0", "--vary", "layout=line", "--out", "sweep.nc") == 0
    found, printed = read_sweep(tmp_path / "sweep.nc"), capsys.readouterr().out
    np.testing.assert_array_equal(np.isnan(found.exponent), [False, False, True])
    assert [line.split()[0] for line in printed.splitlines()[2:6]] == ["RF(1,", "a", "scale", "alpha"]
    assert "partial rank correlation" in printed
    assert "sweep.nc: 3 points over short_term_gain, layout" in printed
    assert "1 points lack values" in printed
    assert "lower coupling_strength or short_term_gain" in printed
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.nc"]


def test_an_interrupted_sweep_goes_on_with_the_same_command(capsys, tmp_path, monkeypatch):
    command = ["--random", "6", "--seed", "2", "--vary", "cycle_duration=40:80", "--out", "sweep.nc"]
    monkeypatch.setattr("distill.sweep.POINTS_TOGETHER", 2)
    assert sweep(*command) == 0
    whole = (tmp_path / "sweep.nc").read_bytes()
    (tmp_path / "sweep.nc").unlink()

    from distill import sweep as module

    calls, simulate_batch = [], module.simulate_batch

    def stopping(points):
        calls.append(len(points))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return simulate_batch(points)

    monkeypatch.setattr("distill.sweep.simulate_batch", stopping)
    assert sweep(*command) == 130
    assert len(list((tmp_path / ".sweep.nc.parts").glob("batch-*"))) == 2
    assert not (tmp_path / "sweep.nc").exists()
    assert main(["distill", "sweep", *SHORT, "--vary", "seed=1,2", "--out", "sweep.nc"]) == 1
    assert "another sweep" in capsys.readouterr().err
    assert sweep(*command) == 0
    assert calls == [2, 2, 2, 2]
    assert (tmp_path / "sweep.nc").read_bytes() == whole


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
def test_what_cannot_be_swept_is_refused_in_words(capsys, arguments, words):
    assert sweep(*arguments) == 2
    assert words in capsys.readouterr().err


def test_an_earlier_file_is_not_replaced(capsys, tmp_path):
    (tmp_path / "sweep.nc").touch()
    assert sweep("--vary", "seed=1,2", "--out", "sweep.nc") == 1
    assert "--overwrite" in capsys.readouterr().err
