"""Own documents: labels keep their names, splits are drawn by seed and label, and no text is in two splits."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from model.studies.presets import PRESETS
from model.tasks import trivial_levels
from model.tasks.data.dataset import TaskData, TaskError
from model.tasks.data.encoding import to_bytes
from model.tasks.data.labelled import LabelledText
from model.tasks.documents import DocumentsParameters, hold_out, read
from model.tasks.library import load_task, prepare_task
from rmaat.base.records import ParameterError

COUNTS = {"sport": 60, "news": 30, "art": 3}


def write(path: Path, rows) -> Path:
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
    return path


@pytest.fixture
def source(tmp_path) -> Path:
    rows = [(f"{label} report {number} \u00e9", label) for label, count in COUNTS.items() for number in range(count)]
    return write(tmp_path / "own.jsonl", rows)


def texts(task: TaskData, split: str) -> list[tuple[str, str]]:
    dataset = task.splits[split]
    return [
        (to_bytes(dataset.sequence(index)).decode(), task.labels[dataset.labels[index]])
        for index in range(len(dataset))
    ]


def test_every_document_is_in_one_split_with_its_label_and_each_label_in_all(source):
    task = read(DocumentsParameters(), source)
    assert task.labels == ("art", "news", "sport")
    parts = {split: texts(task, split) for split in task.splits}
    assert sorted(row for part in parts.values() for row in part) == sorted(
        (f"{label} report {number} \u00e9", label) for label, count in COUNTS.items() for number in range(count)
    )
    for split in ("validation", "test"):
        assert Counter(label for _, label in parts[split]) == {"sport": 6, "news": 3, "art": 1}


def test_the_seed_decides_the_splits(source):
    first, again, other = (read(DocumentsParameters(data_seed=seed), source) for seed in (0, 0, 1))
    assert first.sha256() == again.sha256() != other.sha256()


def test_equal_texts_are_never_in_two_splits(tmp_path):
    rows = [(f"{label} {number % 5}", label) for label in "ab" for number in range(100)]
    task = read(DocumentsParameters(), write(tmp_path / "twice.jsonl", rows))
    found = [{text for text, _ in texts(task, split)} for split in task.splits]
    assert sum(map(len, found)) == len(set.union(*found)) == 10
    assert sum(len(dataset) for dataset in task.splits.values()) == 200


def test_held_out_shares_hold_for_each_label():
    rows = [LabelledText(f"{number}".encode(), "a" if number % 4 else "b") for number in range(400)]
    held, rest = hold_out(rows, 0.25, np.random.default_rng(0))
    assert Counter(row.label for row in held) == {"a": 75, "b": 25}
    assert sorted(held + rest) == sorted(rows)


def test_numbers_as_labels_are_in_their_order(tmp_path):
    rows = [(f"text {label} {number}", label) for label in (10, 9, -1) for number in range(3)]
    assert read(DocumentsParameters(), write(tmp_path / "n.jsonl", rows)).labels == ("-1", "9", "10")


def test_one_label_and_too_few_documents_are_refused_in_words(tmp_path):
    rows = [(f"text {number}", "a") for number in range(9)]
    with pytest.raises(TaskError, match=r"every document of .* has the label 'a'; a classifier needs at least two"):
        read(DocumentsParameters(), write(tmp_path / "one.jsonl", rows))
    rows += [("same", "b")] * 3
    with pytest.raises(TaskError, match=r"1 of 2 labels have fewer than 3 different documents .*'b' \(1\); add"):
        read(DocumentsParameters(), write(tmp_path / "few.jsonl", rows))
    with pytest.raises(ParameterError, match=r"leave less than 0\.1 of the documents to learn from"):
        DocumentsParameters(validation_share=0.5, test_share=0.5)


def test_names_of_labels_and_levels_survive_the_prepared_folder(source, tmp_path):
    parameters = DocumentsParameters()
    folder = prepare_task(parameters, source, tmp_path / "data")
    stored, direct = load_task(parameters, folder, tmp_path), load_task(parameters, source, tmp_path)
    assert stored.sha256() == direct.sha256()
    assert stored.labels == direct.labels == ("art", "news", "sport")
    assert {level.name for level in trivial_levels(stored)} == {"commonest label", "naive Bayes on words"}
    assert PRESETS["documents"]["small"].configuration(stored, folder).labels == stored.labels


def test_two_sources_have_two_prepared_folders_and_without_a_source_there_are_no_data(source, tmp_path):
    other = write(tmp_path / "other.jsonl", [(f"{label}{number}", label) for label in "ab" for number in range(3)])
    folders = [prepare_task(DocumentsParameters(), path, tmp_path / "data") for path in (source, other)]
    assert len(set(folders)) == 2
    with pytest.raises(TaskError, match=r"Documents needs your own texts: a CSV.*add --source PATH"):
        load_task(DocumentsParameters(), None, tmp_path / "data")


def test_naive_bayes_reads_the_words_of_any_script(tmp_path):
    words = {"gut": "\u03ba\u03b1\u03bb\u03cc", "schlecht": "\u03ba\u03b1\u03ba\u03cc"}
    rows = [(f"{word} {number}", label) for label, word in words.items() for number in range(20)]
    levels = trivial_levels(read(DocumentsParameters(), write(tmp_path / "greek.jsonl", rows)))
    assert [level.accuracy for level in levels] == [0.5, 1.0]


def test_texts_without_a_word_have_the_level_of_the_commonest_label(tmp_path):
    rows = [("!" * (number + 1), "a" if number % 3 else "b") for number in range(30)]
    first, second = trivial_levels(read(DocumentsParameters(), write(tmp_path / "marks.jsonl", rows)))
    assert first.accuracy == second.accuracy


def columns(labels: list[int], start: int) -> dict[str, list]:
    return {"review": [f"text {start + number}" for number in range(len(labels))], "stars": labels}


@pytest.mark.parametrize("form", ["disk", "files", "name"])
def test_a_data_set_of_the_hub_keeps_its_splits_and_names_of_labels(form, datasets, tmp_path):
    features = datasets.Features(
        {"review": datasets.Value("string"), "stars": datasets.ClassLabel(names=["no", "yes"])}
    )
    whole = datasets.DatasetDict(
        train=datasets.Dataset.from_dict(columns([0, 1] * 10, 0), features),
        test=datasets.Dataset.from_dict(columns([1, 1, 0], 50), features),
        validation=datasets.Dataset.from_dict(columns([-1, -1], 90), features),
    )
    place = tmp_path / "hub"
    if form == "disk":
        whole.save_to_disk(place)
    else:
        for split, rows in whole.items():
            place.mkdir(exist_ok=True)
            rows.to_parquet(place / f"{split}-00000-of-00001.parquet")
    # `hf:` takes the path of a folder as the library does.
    source = Path(f"hf:{place}") if form == "name" else place
    task = read(DocumentsParameters(text="review", label="stars"), source)
    assert task.labels == ("no", "yes")
    assert texts(task, "test") == [("text 50", "yes"), ("text 51", "yes"), ("text 52", "no")]
    # The validation split has no labels, so that one is drawn.
    assert (len(task.train), len(task.validation)) == (18, 2)
    with pytest.raises(TaskError, match="no column 'text'; name one of review, stars with --text"):
        read(DocumentsParameters(), source)
