"""A study trains what is missing, skips what is done, stops on time, and says what it found."""

import csv
import dataclasses
import io
import json
import math
import multiprocessing
import shutil

import numpy as np
import pytest

from distill import default_tables
from model.errors import ModelError
from model.networks.parameters import ModelParameters
from model.studies.contenders import CONTENDERS
from model.studies.presets import PRESETS, Preset
from model.studies.report import findings, markdown, write_csv
from model.studies.runner import run_unfinished, without_data
from model.studies.study import STUDIES, Study, runs_of
from model.tasks.diagnostics import NeedleParameters, answer_distances
from model.tasks.library import load_task
from model.training.checkpoint import CHECKPOINT, load_state, newest
from model.training.evaluation import evaluate, measure_cost
from model.training.loop import train
from model.training.parameters import TrainingParameters
from model.training.run_folder import RunFolder

pytestmark = pytest.mark.xdist_group("one study")
STUDY = Study("Two models", ("needle", "text"), ("rmt", "rmaat"))


def ignore(fraction, note=""):
    pass


@pytest.fixture(scope="module")
def tiny():
    task = NeedleParameters(length=20, gap=5, train_size=60, validation_size=20, test_size=30)
    model = ModelParameters(
        vocabulary=21, classes=10, width=8, heads=2, layers=1, feed_forward_width=8, segment_length=5, segments=4,
        memory_tokens=2,
    )  # fmt: skip
    training = TrainingParameters(steps=4, batch_size=8, warmup_steps=1, validate_every=2, device="cpu")
    return Preset(task, model, training, "for the test")


@pytest.fixture
def presets(tiny, monkeypatch):
    for task in STUDY.tasks:
        monkeypatch.setitem(PRESETS[task], "tiny", tiny)


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory):
    """Two contenders, two seeds, done by two workers."""
    out = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS["needle"], "tiny", tiny)
        runs = runs_of(STUDY, "tiny", 2, out, ["needle"])
        shares = []
        assert without_data(runs, out / "data", ignore) == {}
        run_unfinished(runs, out / "data", 2, math.inf, lambda fraction, note: shares.append((fraction, note)))
    return out, runs, shares


@pytest.mark.usefixtures("presets")
def test_the_first_seed_of_all_comes_before_the_second_of_any(tmp_path):
    runs = runs_of(STUDY, "tiny", 2, tmp_path)
    assert [(run.task, run.contender, run.seed) for run in runs[:5]] == [
        ("needle", "rmt", 0), ("needle", "rmaat", 0), ("text", "rmt", 0), ("text", "rmaat", 0), ("needle", "rmt", 1),
    ]  # fmt: skip
    assert len({run.place for run in runs}) == len(runs) == 8
    assert runs[1].place == tmp_path / "tiny" / "needle" / "rmaat" / "seed-0"


@pytest.mark.slow
def test_all_runs_are_trained_and_scored_with_progress_to_the_end(finished):
    _, runs, shares = finished
    assert all(run.is_done() for run in runs)
    assert shares[-1] == (1.0, "4 of 4 runs")
    assert [fraction for fraction, _ in shares] == sorted(fraction for fraction, _ in shares)
    for run in runs:
        configuration = RunFolder(run.place).read_configuration()
        # Each run states the number of threads that it had.
        training = dataclasses.replace(run.preset.training, threads=1)
        assert (configuration.model, configuration.training) == (run.preset.model, training)
        assert configuration.training.seed == run.seed


@pytest.mark.slow
def test_what_is_done_is_not_done_again(finished):
    out, runs, _ = finished
    before = {run.name: RunFolder(run.place).evaluation.stat().st_mtime_ns for run in runs}
    run_unfinished(runs, out / "data", 1, math.inf, ignore)
    assert before == {run.name: RunFolder(run.place).evaluation.stat().st_mtime_ns for run in runs}


@pytest.mark.slow
def test_a_run_that_fails_is_named_after_others_got_their_missing_score_and_damaged_levels_anew(finished, tmp_path):
    out, runs, _ = finished
    failing = dataclasses.replace(runs[1], place=tmp_path / "needle" / "rmaat" / "seed-0")
    failing.place.mkdir(parents=True)
    folder, path = RunFolder(runs[0].place), out / "tiny" / "needle" / "levels.json"
    score, levels = folder.read_evaluation(), json.loads(path.read_text())
    folder.evaluation.unlink()
    path.write_text("{")
    assert not runs[0].is_done()
    with pytest.raises(ModelError, match=r"runs failed: needle, rmaat, seed 0; the first one because .*holds no run"):
        run_unfinished([failing, runs[0]], out / "data", 1, math.inf, ignore)
    assert runs[0].is_done()
    assert folder.read_evaluation() == score
    assert json.loads(path.read_text()) == levels
    assert folder.read_cost().seconds == load_state(newest(folder.path, CHECKPOINT)).seconds


@pytest.mark.slow
def test_a_run_of_other_settings_is_refused_by_name(finished):
    _, runs, _ = finished
    other = dataclasses.replace(runs[1].preset, training=dataclasses.replace(runs[1].preset.training, batch_size=9))
    clash = dataclasses.replace(runs[1], preset=other)
    for look in (clash.is_done, lambda: findings([clash])):
        with pytest.raises(ModelError, match=r"holds a run of other settings \(training\.batch_size\); delete it"):
            look()


@pytest.mark.slow
def test_runs_of_different_data_make_no_table(finished, tmp_path):
    _, runs, _ = finished
    copied = dataclasses.replace(runs[1], place=tmp_path / "copy")
    shutil.copytree(runs[1].place, copied.place)
    path = RunFolder(copied.place).configuration
    path.write_text(path.read_text().replace(RunFolder(copied.place).read_configuration().data_sha256, "0" * 64))
    with pytest.raises(ModelError, match="copy was trained on other data than runs beside it"):
        findings([runs[0], copied])


@pytest.mark.slow
def test_runs_on_other_data_are_refused_before_anything_is_trained(finished, tmp_path):
    out, runs, _ = finished
    copied = dataclasses.replace(runs[0], place=tmp_path / "copy")
    shutil.copytree(runs[0].place, copied.place)
    assert without_data([copied], out / "data", ignore) == {}
    path = RunFolder(copied.place).configuration
    path.write_text(path.read_text().replace(RunFolder(copied.place).read_configuration().data_sha256, "0" * 64))
    with pytest.raises(ModelError, match=r"copy was trained on other data than .*data holds; delete it"):
        without_data([copied], out / "data", ignore)


@pytest.mark.parametrize("text", ["{", "[]", '{"accuracy": "x"}', '{"accuracy": 0.5}'])
def test_a_damaged_score_is_named_with_what_to_do(tmp_path, text):
    folder = RunFolder(tmp_path)
    folder.evaluation.write_text(text)
    with pytest.raises(ModelError, match=r"evaluation\.json is damaged .*rmaat evaluate"):
        folder.read_evaluation()


@pytest.mark.slow
def test_a_worker_that_is_killed_ends_the_study_with_what_to_do(finished, tmp_path):
    out, runs, _ = finished
    longer = dataclasses.replace(runs[0].preset.training, steps=100_000, validate_every=100_000)
    preset = dataclasses.replace(runs[0].preset, training=longer)
    places = [tmp_path / "needle" / name / "seed-0" for name in ("one", "two", "three")]
    endless = [dataclasses.replace(run, preset=preset, place=place) for run, place in zip(runs, places, strict=False)]

    def workers():
        return [child for child in multiprocessing.active_children() if "SyncManager" not in child.name]

    def kill_one(fraction, _):
        if fraction > 0 and (alive := workers()):
            alive[0].kill()

    with pytest.raises(ModelError, match=r"a worker was killed.*fewer --workers"):
        run_unfinished(endless, out / "data", 2, math.inf, kill_one)
    assert workers() == []


def test_a_task_without_data_is_named_with_what_to_do(tmp_path):
    runs = runs_of(STUDY, "small", 1, tmp_path, ["text"])
    missing = without_data(runs, tmp_path / "data", ignore)
    assert list(missing) == ["text"]
    assert "rmaat data prepare text" in missing["text"]


@pytest.mark.slow
def test_the_page_sets_ours_beside_the_papers_and_the_levels(finished, tmp_path):
    _, runs, _ = finished
    found = findings(runs)
    assert [(finding.contender, list(finding.accuracies)) for finding in found] == [("rmt", [0, 1]), ("rmaat", [0, 1])]
    scores = [
        json.loads(RunFolder(run.place).evaluation.read_text())["accuracy"] for run in runs if run.contender == "rmt"
    ]
    assert found[0].accuracy == pytest.approx(100 * sum(scores) / 2)
    assert found[0].spread == pytest.approx(100 * abs(scores[0] - scores[1]) / 2**0.5)
    page = markdown(STUDY, "tiny", runs, found, "rmaat reproduce two", {})
    assert "4 of 4 runs are done" in page
    assert f"| RMT | {found[0].accuracy:.1f} ± {found[0].spread:.1f} (2) |" in page
    assert "| no model: commonest label |" in page
    write_csv(tmp_path / "two.csv", found)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "two.csv").read_text())))
    assert [row["contender"] for row in rows] == ["rmt", "rmaat"]
    assert float(rows[1]["accuracy"]) == found[1].accuracy


@pytest.mark.slow
def test_a_diagnostic_is_scored_by_how_far_back_the_answers_lie(finished):
    out, runs, _ = finished
    task = load_task(runs[0].preset.task_parameters, None, out / "data")
    distances = answer_distances(runs[0].preset.task_parameters, task.test)
    score = RunFolder(runs[0].place).read_evaluation()
    assert list(score.accuracy_by_distance) == ["5 to 9", "10 to 14", "15 to 19"]
    shares = np.bincount(distances // 5, minlength=4)[1:] / len(distances)
    assert score.accuracy == pytest.approx(np.dot(shares, list(score.accuracy_by_distance.values())))
    found = findings(runs)
    page = markdown(STUDY, "tiny", runs, found, "rmaat reproduce two", {})
    assert "Needle, by the tokens from the answer to the end of the sequence:" in page
    assert "| model | 5 to 9 | 10 to 14 | 15 to 19 |" in page
    means = " | ".join(f"{accuracy:.1f}" for accuracy in found[0].by_distance.values())
    assert f"| RMT | {means} |" in page


@pytest.mark.slow
def test_a_score_of_before_distances_were_kept_is_read(finished):
    _, runs, _ = finished
    folder = RunFolder(runs[0].place)
    text = folder.evaluation.read_text()
    values = json.loads(text)
    # Such a file has no digest either.
    del values["accuracy_by_distance"], values["sha256"]
    folder.evaluation.write_text(json.dumps(values))
    assert folder.read_evaluation().accuracy_by_distance == {}
    assert findings(runs)[0].by_distance == {}
    folder.evaluation.write_text(text)


@pytest.mark.slow
@pytest.mark.usefixtures("presets")
def test_published_figures_stand_in_columns_of_their_own(finished):
    _, runs, _ = finished
    as_text = [dataclasses.replace(finding, task="text") for finding in findings(runs)]
    page = markdown(STUDY, "tiny", runs, as_text, "", {"retrieval": "get the files"})
    assert "| model | Text | *paper* |" in page
    assert "| *65* |" in page
    assert "| *65.9* |" in page
    assert "- Retrieval: left out; get the files" in page
    assert "*paper" not in markdown(STUDY, "tiny", runs, findings(runs), "", {})


@pytest.mark.slow
@pytest.mark.usefixtures("presets")
def test_the_papers_memory_is_a_range_where_no_task_is_known_alone(finished):
    _, runs, _ = finished
    (first, *_) = findings(runs)

    def row(contender, task):
        page = markdown(STUDY, "tiny", runs, [dataclasses.replace(first, contender=contender, task=task)], "", {})
        return page.split("| task | model")[1]

    assert "| *4.7 to 7.8 over tasks* |" in row("transformer", "text")
    assert "| *3.9 to 6.2 over tasks* |" in row("linear_transformer", "image")
    assert "| *4.1 to 6.3 over tasks* |" in row("astromorphic_transformer", "listops")
    assert "| *24* |" in row("rmt", "text")
    for contender, task in (("transformer", "same_film"), ("transformer", "needle"), ("s4d", "text")):
        assert "over tasks" not in row(contender, task)


@pytest.mark.usefixtures("presets")
def test_names_that_a_study_does_not_have_are_refused(tmp_path):
    with pytest.raises(ModelError, match="pathfinder"):
        runs_of(STUDY, "tiny", 1, tmp_path, ["pathfinder"])
    with pytest.raises(ModelError, match="preset of needle"):
        runs_of(STUDY, "huge", 1, tmp_path)


def test_a_study_trains_scores_and_reports_another_decay_and_fewer_memory_tokens(tiny, tmp_path, monkeypatch):
    short = dataclasses.replace(tiny, training=dataclasses.replace(tiny.training, steps=1, validate_every=1))
    monkeypatch.setitem(PRESETS["needle"], "tiny", short)
    study = dataclasses.replace(STUDIES["sensitivity"], tasks=("needle",), contenders=("decay_quarter", "memory_1"))
    runs = runs_of(study, "tiny", 1, tmp_path)
    for run in runs:
        task = load_task(run.preset.task_parameters, None, tmp_path / "data")
        train(run.preset.configuration(task), task, default_tables(), run.place)
        evaluate(run.place, task)
        measure_cost(run.place, task)
    found = findings(runs)
    assert [finding.contender for finding in found] == list(study.contenders)
    page = markdown(study, "tiny", runs, found, "rmaat reproduce sensitivity", {})
    assert "2 of 2 runs are done" in page
    assert all(f"| {CONTENDERS[name].title} | " in page for name in study.contenders)
