"""The study of astrocytes: runs with other tables, and its table beside what the model takes from each."""

import dataclasses
import math

import pytest

from distill import default_tables, read_tables, write_tables
from distill.tables import Tables
from model.errors import ModelError
from model.studies.astrocytes import Point, draw_spreads, markdown, points, read_csv, write_csv, write_spreads
from model.studies.presets import PRESETS
from model.studies.report import Finding
from model.studies.study import CONTROLS, STUDIES, runs_of
from model.training.loop import train
from model.training.run_folder import RunFolder

FINDING = Finding(
    task="needle", contender="slow", accuracies={0: 60.0, 1: 62.0}, parameters=1000, steps=10, batch_size=4,
    test_sequences=50, seconds={0: 3.0, 1: 4.0}, step_seconds=0.1, peak_megabytes=2.0, levels={"commonest label": 10.0},
    by_distance={}, origin="generated", made=("a processor",),
)  # fmt: skip


@pytest.fixture
def slow(tmp_path):
    """The file of one astrocyte's tables."""
    write_tables(default_tables(), tmp_path / "slow.nc")
    return tmp_path / "slow.nc"


def test_the_study_trains_every_astrocyte_beside_the_controls(slow, tmp_path):
    study = STUDIES["astrocyte"]
    runs = runs_of(study, study.preset, 2, tmp_path, ["copy"], {"slow": slow})
    assert [run.contender for run in runs[:5]] == ["slow", *CONTROLS, "retention_learned"]
    assert [run.tables for run in runs[:2]] == [slow, None]
    expected = dataclasses.replace(PRESETS["copy"]["brief"].training, seed=1)
    assert runs[5].preset == dataclasses.replace(PRESETS["copy"]["brief"], training=expected)
    assert runs[5].place == tmp_path / "brief" / "copy" / "slow" / "seed-1"


def test_a_run_with_other_tables_is_refused(slow, tmp_path, task, configuration):
    study = STUDIES["astrocyte"]
    run = dataclasses.replace(
        runs_of(study, study.preset, 1, tmp_path, ["copy"], {"slow": slow})[0], place=tmp_path / "run"
    )
    train(configuration, task, read_tables(slow), run.place)
    preset = dataclasses.replace(
        run.preset, task_parameters=configuration.task_parameters, model=configuration.model,
        training=RunFolder(run.place).read_configuration().training,
    )  # fmt: skip
    run = dataclasses.replace(run, preset=preset)
    assert not run.is_done()
    dataset = default_tables().dataset.copy()
    dataset["token_spacing"] = dataset["token_spacing"] * 2
    write_tables(Tables(dataset), slow)
    with pytest.raises(ModelError, match=r"holds a run with other tables than .*slow\.nc; delete it"):
        run.is_done()


CONTROL = dataclasses.replace(FINDING, contender="retention_none", accuracies={0: 90.0})
LEARNED = dataclasses.replace(FINDING, contender="retention_learned", task="copy")
FOUND = [FINDING, CONTROL, LEARNED]


@pytest.fixture
def shown(slow):
    return points(FOUND, {"slow": slow, "unfinished": slow}, {"slow": "slow one"})


def test_points_have_the_numbers_of_their_tables(shown):
    assert [(point.title, point.kind) for point in shown] == [
        ("slow one", "astrocyte"),
        ("retention: none", "control"),
        ("retention: learned", "learned"),
    ]
    assert shown[0].rate == pytest.approx(0.5)
    assert shown[0].reach == pytest.approx(1 / default_tables().decay_per_token)
    assert math.isnan(shown[1].rate)
    assert (shown[0].accuracy("needle"), shown[1].spread("needle")) == (61.0, 0.0)


def test_the_table_names_each_point_with_its_accuracies(shown):
    page = markdown(shown, FOUND, "rmaat reproduce astrocyte", 9, {"biophysical": "Brian2 is missing"})
    lines = page.splitlines()
    assert "`rmaat reproduce astrocyte`: 5 of 9 runs are done. a processor." in lines
    assert "| slow one | 0.500 | 1.38 | 0.41 | 0.46, 0.28, 0.17, 0.10 | 61.0 ± 1.4 (2) |  |" in lines
    assert "| *retention: none* |  |  |  | 1.00, 1.00, 1.00, 1.00 | 90.0 (1) |  |" in lines
    assert "| *retention: learned* |  |  |  |  |  | 61.0 ± 1.4 (2) |" in lines
    assert "| no model: commonest label |  |  |  |  | 10.0 | 10.0 |" in lines
    assert lines[-1] == "- biophysical: left out; Brian2 is missing"


def test_the_csv_gives_back_the_points(shown, tmp_path):
    write_csv(tmp_path / "found.csv", shown, FOUND)
    again = read_csv(tmp_path / "found.csv")
    assert [(point.name, point.kind, point.accuracies) for point in again] == [
        (point.name, point.kind, point.accuracies) for point in shown
    ]
    assert again[0].rate == shown[0].rate
    assert math.isnan(again[1].rate)
    assert again[0].retention == pytest.approx(shown[0].retention, abs=1e-4)


def test_a_damaged_csv_is_named(tmp_path):
    (tmp_path / "found.csv").write_text("astrocyte,task\ndefault,needle\n")
    with pytest.raises(ModelError, match=r"is damaged .*accuracies"):
        read_csv(tmp_path / "found.csv")


def drawn_point(number, *accuracies):
    return Point(f"draw_{number}", f"draw {number}", "astrocyte", {"copy": accuracies})


def test_the_spread_over_draws_is_apart_from_the_spread_over_seeds(tmp_path):
    # The seed moves both by 30, the tables move both seeds by 2.
    shown = [drawn_point(1, 20.0, 50.0), drawn_point(2, 22.0, 52.0)]
    found = draw_spreads([*shown, dataclasses.replace(shown[0], name="all_trials", accuracies={"copy": (0.0, 0.0)})])
    assert found["copy"].over_draws == pytest.approx(2 / math.sqrt(2))
    assert found["copy"].over_seeds == pytest.approx(30 / math.sqrt(2))
    write_spreads(tmp_path / "spreads.csv", found)
    assert (tmp_path / "spreads.csv").read_text() == "task,over_draws,over_seeds\ncopy,1.414,21.213\n"


def test_unfinished_draws_have_no_spread():
    assert draw_spreads([drawn_point(1, 20.0, 50.0), drawn_point(2, 22.0)]) == {}
    assert draw_spreads([drawn_point(1, 20.0, 50.0)]) == {}
    assert draw_spreads([drawn_point(1, 20.0), drawn_point(2, 22.0)]) == {}
