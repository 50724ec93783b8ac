"""`rmaat fit` on the command line."""

from pathlib import Path

import pytest

from astro_sim import SimulationParameters
from rmaat.cli import main

FAST = ["--set", "relative_tolerance=1e-6", "--set", "run_duration=100"]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("target.csv").write_text("segment,retention\n1,0.6225\n2,0.3775\n")


def test_parameters_are_fitted_written_and_simulated_again(capsys):
    assert main(["fit", "target.csv", "--vary", "long_term_time_constant=200", "--out", "fitted.yaml", *FAST]) == 0
    printed = capsys.readouterr().out
    assert "long_term_time_constant" in printed
    assert "fitted.yaml: 1 parameter fitted to 2 rows" in printed
    fitted = SimulationParameters.load(Path("fitted.yaml"))
    assert fitted.model.long_term_time_constant == pytest.approx(100, rel=1e-2)
    assert fitted.references == {"long_term_time_constant": "fitted to target.csv"}
    assert main(["simulate", "--parameters", "fitted.yaml", "--out", "sim.nc"]) == 0
    assert main(["fit", "target.csv", "--vary", "long_term_decay", "--out", "fitted.yaml"]) == 1
    assert "add --overwrite" in capsys.readouterr().err


@pytest.mark.filterwarnings("default:the data do not depend")
def test_parameters_that_the_data_do_not_determine_are_reported(capsys):
    assert main(["fit", "target.csv", "--vary", "short_term_gain", "--out", "fitted.yaml", *FAST]) == 0
    captured = capsys.readouterr()
    assert "undetermined" in captured.out
    assert "the data do not depend on short_term_gain; with restarts retention is one number" in captured.err


def test_an_interrupted_fit_leaves_no_file(capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("distill.inverse.fit.least_squares", interrupted)
    assert main(["fit", "target.csv", "--vary", "long_term_decay", "--out", "fitted.yaml", *FAST]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert not Path("fitted.yaml").exists()


def test_invalid_data_are_refused_with_one_sentence(capsys):
    Path("target.csv").write_text("segment,retention\n1,oops\n")
    assert main(["fit", "target.csv", "--vary", "long_term_decay"]) == 1
    assert capsys.readouterr().err == "rmaat: target.csv, line 2 has 'oops' as retention; write a number\n"
