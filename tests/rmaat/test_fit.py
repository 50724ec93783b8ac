"""`rmaat fit` on the command line."""

import json
from pathlib import Path

import numpy as np
import pytest

from astro_sim import SimulationParameters
from distill import default_tables, write_tables
from distill.learned import with_learned
from rmaat.cli import main

QUICK = "relative_tolerance=1e-6"
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


@pytest.mark.slow
@pytest.mark.filterwarnings("default:the data do not depend")
def test_json_has_the_estimates_their_profile_and_null_for_an_undetermined_error(capsys):
    command = ["fit", "target.csv", "--vary", "long_term_time_constant", "--vary", "short_term_gain", *FAST]
    assert main([*command, "--profile", "long_term_time_constant", "--out", "fitted.yaml", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    constant = found["estimates"]["long_term_time_constant"]
    assert constant["value"] == SimulationParameters.load(Path("fitted.yaml")).model.long_term_time_constant
    assert constant["unit"] == "s"
    assert found["estimates"]["short_term_gain"]["standard_error"] is None
    assert len(found["profile"]["misfits"]) == len(found["profile"]["values"]) == 7
    assert len(found["data"]["residual"]) == 2


def test_a_profile_of_a_parameter_that_is_not_fitted_is_refused_before_the_fit(capsys):
    assert main(["fit", "target.csv", "--vary", "long_term_decay", "--profile", "long_term_gain"]) == 2
    assert capsys.readouterr().err == "rmaat: --profile long_term_gain is not fitted; add --vary long_term_gain\n"


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


@pytest.mark.slow
def test_a_learned_curve_is_fitted_judged_profiled_and_drawn(capsys):
    factors = np.array([0.455, 0.276, 0.167, 0.102])
    tables = with_learned(default_tables(), factors, factors.cumsum())
    write_tables(tables, Path("learned.nc"))
    command = ["fit", "learned.nc", "--vary", "long_term_time_constant", "--out", "fitted.yaml", "--set", QUICK]
    assert main([*command, "--profile", "long_term_time_constant", "--figure", "back"]) == 0
    printed = capsys.readouterr().out
    fitted = SimulationParameters.load(Path("fitted.yaml")).model.long_term_time_constant
    assert fitted == pytest.approx(100, rel=0.01)
    assert "per cycle: with a published long-term time constant, 300 to 926 s, it takes cycles of" in printed
    assert "is outside the published 300 to 926 s" in printed
    assert "rms residual" in printed
    assert Path("back.png").stat().st_size > 0
    assert "fitted.yaml: 1 parameter fitted to 4 rows" in printed


def test_files_that_cannot_be_fitted_together_are_refused(capsys):
    for words, message in (
        (["target.csv", "target.csv"], "several files can be fitted together only if all are learned.nc"),
        (["target.csv", "--figure", "back"], "--figure draws learned retention factors; fit a learned.nc"),
    ):
        assert main(["fit", *words, "--vary", "long_term_decay", *FAST]) != 0
        assert message in capsys.readouterr().err
