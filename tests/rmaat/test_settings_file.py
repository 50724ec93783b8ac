"""Settings of a training from a file, and what --show, --json, --csv, -q and -v print."""

import csv
import io
import json
from pathlib import Path

import pytest

from distill import default_tables, write_tables
from model.studies.presets import PRESETS
from model.studies.settings import RunSettings
from rmaat.base.records import ParameterError
from rmaat.cli import main

PACKAGED = Path(__file__).parents[2] / "model" / "pretrained" / "text" / "configuration.json"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def tables() -> str:
    write_tables(default_tables(), "tables.nc")
    return "tables.nc"


def shown(capsys, *arguments: str) -> dict:
    assert main(list(arguments)) == 0
    return json.loads(capsys.readouterr().out)


def test_the_configuration_of_a_run_is_accepted_as_it_is(capsys):
    found = shown(capsys, "train", "text", "--config", str(PACKAGED), "--steps", "7", "--show", "--json")
    wanted = json.loads(PACKAGED.read_text())
    assert found["training.steps"]["value"] == 7
    assert found["training.learning_rate"]["value"] == wanted["training"]["learning_rate"] == 0.004
    assert found["model.ngrams"]["value"] == wanted["model"]["ngrams"]
    assert found["task_parameters.longest_length"]["value"] == wanted["task_parameters"]["longest_length"]


def test_a_file_changes_the_preset_and_another_architecture_drops_what_it_lacks():
    Path("run.yaml").write_text("model: {architecture: transformer, width: 64}\ntraining: {steps: 40}\nsource: a.csv\n")
    preset = PRESETS["listops"]["small"]
    settings = RunSettings.load("run.yaml", preset.settings())
    assert (settings.model.architecture, settings.model.width, settings.model.segments) == ("transformer", 64, 1)
    assert (settings.training.steps, settings.source) == (40, "a.csv")
    assert settings.task_parameters == preset.task_parameters


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: {widht: 64}", "run.yaml: unknown parameter 'widht'; perhaps you meant width"),
        ("modle: {width: 64}", "run.yaml: unknown parameter 'modle'; perhaps you meant model"),
        ("task: text", "run.yaml: these are settings of the task text, not of listops"),
        ("task_parameters: {kind: text}", "run.yaml: these are settings of the task text, not of listops"),
        ("model: {architecture: rnn}", "run.yaml: unknown architecture 'rnn'"),
    ],
)
def test_a_wrong_name_in_the_file_is_refused(text, message):
    Path("run.yaml").write_text(text)
    with pytest.raises(ParameterError, match=message):
        RunSettings.load("run.yaml", PRESETS["listops"]["small"].settings())


def test_the_run_folder_is_asked_for_only_if_something_is_trained(capsys):
    assert main(["train", "listops"]) == 2
    assert "--out is missing; name a new run folder, such as --out runs/listops" in capsys.readouterr().err


def test_tables_are_printed_as_csv_and_json_with_all_digits(capsys, tables):
    assert main(["distill", "show", tables, "--segments", "12", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    wanted = default_tables().retention(12)
    assert [float(row["increment"]) for row in rows] == wanted.tolist()
    found = shown(capsys, "distill", "show", tables, "--segments", "12", "--json")
    assert found["retention"]["increment"] == wanted.tolist()
    assert found["provenance"]["parameters"]["protocol"]["cycle_duration"] == 50


def test_small_factors_are_printed_as_powers(capsys, tables):
    assert main(["distill", "show", tables, "--segments", "24"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.split()[:1] == ["24"])
    assert float(line.split()[1]) == pytest.approx(default_tables().retention(24)[-1], rel=0.05)


def test_plans_and_parameters_are_printed_as_json(capsys):
    (first, *_) = shown(capsys, "plan", "--length", "400", "--json")
    assert (first["architecture"], first["parameters"] > 1e4) == ("rmaat", True)
    found = shown(capsys, "simulate", "--show", "--json", "--set", "presynaptic_pattern=none")
    assert found["protocol.presynaptic_pattern"]["value"] == []
    assert found["protocol.cycle_duration"]["unit"] == "s"


def test_limits_are_in_the_words_of_the_option(capsys):
    assert main(["simulate", "--cycles", "10000"]) == 2
    assert "--cycles is 10000; with cycles of 50 s it must be between 1 and 2000" in capsys.readouterr().err


def test_quiet_shows_no_progress_and_verbose_shows_the_place_of_an_error(capsys):
    assert main(["simulate", "--cycles", "1", "--out", "sim.nc", "-q"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["distill", "show", "none.nc", "-v"]) == 1
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert error.endswith("rmaat: cannot read none.nc: No such file or directory\n")
