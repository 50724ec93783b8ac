"""The files of a run folder come back as they were written, and damage is named."""

import csv

import pytest

from model.errors import ModelError
from model.training.run_folder import METRICS, Cost, Evaluation, RunFolder

SCORE = Evaluation(0.5, 0.01, 1.2, {"commonest_label": 0.2}, 100, 10, 2, "origin", {"0 to 9": 0.5})
COST = Cost(1.0, 0.5, 1000, "a CPU", "2026-01-01")


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    found = RunFolder(tmp_path)
    found.write_metrics([dict.fromkeys(METRICS, 0.25) | {"step": step, "skipped_steps": 0} for step in (1, 2)])
    found.write_evaluation(SCORE)
    found.write_cost(COST)
    return found


def test_scores_costs_and_curves_come_back(folder):
    assert (folder.read_evaluation(), folder.read_cost()) == (SCORE, COST)
    assert [row["step"] for row in folder.read_metrics()] == [1, 2]


def test_another_digit_of_a_score_is_found(folder):
    folder.evaluation.write_text(folder.evaluation.read_text().replace("0.5,", "0.6,", 1))
    with pytest.raises(ModelError, match=r"was changed after it was written.*score the run again with: rmaat evaluate"):
        folder.read_evaluation()


@pytest.mark.parametrize("content", ["[]", "3", "null", '{"accuracy": 1}', "[" * 100_000])
def test_a_score_that_is_none_is_refused(folder, content):
    folder.evaluation.write_text(content)
    with pytest.raises(ModelError, match=r"evaluation\.json is damaged"):
        folder.read_evaluation()


@pytest.mark.parametrize("accuracy", ["inf", "nan", "-0.1", "1.5", "x", ""])
def test_a_row_without_a_possible_accuracy_is_refused(folder, accuracy):
    lines = folder.metrics.read_text().splitlines()
    fields = lines[1].split(",")
    fields[METRICS.index("validation_accuracy")] = accuracy
    folder.metrics.write_text("\n".join([lines[0], ",".join(fields), ""]))
    with pytest.raises(ModelError, match=r"metrics\.csv is damaged"):
        folder.read_metrics()


def test_a_field_of_more_characters_than_csv_reads_is_refused(folder):
    folder.metrics.write_text(",".join(METRICS) + "\n" + "1" * (csv.field_size_limit() + 1) + "\n")
    with pytest.raises(ModelError, match=r"metrics\.csv is damaged \(field larger than field limit"):
        folder.read_metrics()
