"""Own documents on the command line: prepare, train, evaluate, predict, export; wrong use is refused in words."""

import csv
import io
import json
import re
from pathlib import Path

import pytest

from rmaat.cli import main

TINY = [
    "--steps", "2", "--validate-every", "2", "--width", "8", "--heads", "2", "--layers", "1", "--batch-size", "8",
    "--segment-length", "8", "--segments", "2",
]  # fmt: skip
COLUMNS = ["--text", "review", "--label", "verdict"]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RMAAT_DATA", raising=False)


@pytest.fixture
def reviews() -> Path:
    path = Path("reviews.csv")
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["review", "verdict"])
        writer.writerows(
            [f'"{label}", a film number {number}', label] for label in ("good", "bad") for number in range(20)
        )
    return path


@pytest.fixture
def trained(reviews) -> Path:
    assert main(["train", "documents", "--source", str(reviews), *COLUMNS, "--out", "run", *TINY]) == 0
    return Path("run")


def answers(capsys, *arguments: str) -> list[dict]:
    capsys.readouterr()
    assert main(["predict", *arguments, "--device", "cpu"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def refusal(capsys, *arguments: str) -> str:
    assert main(list(arguments)) in (1, 2)
    return capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.usefixtures("trained")
def test_own_documents_are_trained_resumed_and_scored_from_the_same_file(capsys, reviews):
    assert main(["train", "documents", "--source", str(reviews), *COLUMNS, "--out", "run", *TINY, "--resume"]) == 0
    shown = capsys.readouterr().out
    assert "40 of 40 sequences are longer than 16 tokens and are cut there; --segments 3 reads all" in shown
    assert main(["evaluate", "run"]) == 0
    shown = capsys.readouterr().out
    assert "reviews.csv, split by seed 0" in shown
    assert re.search(r"naive Bayes on words +100\.0%", shown)
    reviews.rename("moved.csv")
    assert "reviews.csv does not exist" in refusal(capsys, "evaluate", "run")
    assert main(["evaluate", "run", "--source", "moved.csv"]) == 0
    Path("moved.csv").write_text(Path("moved.csv").read_text().replace("film", "book"))
    assert "was trained on other data" in refusal(capsys, "evaluate", "run", "--source", "moved.csv")


def test_texts_files_and_json_lines_get_the_same_answers(capsys, trained, monkeypatch):
    texts = ["a good film", "gr\u00fc\u00dfe, and much too long for the model"]
    first = answers(capsys, str(trained), *texts)
    assert [row["cut"] for row in first] == [False, True]
    for row in first:
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert row["label"] == max(row["probabilities"], key=row["probabilities"].get)
    assert set(first[0]["probabilities"]) == {"good", "bad"}
    for number, text in enumerate(texts):
        Path(f"{number}.txt").write_text(text)
    from_files = answers(capsys, str(trained), "--file", "0.txt", "1.txt")
    assert from_files == [{"file": f"{number}.txt", **row} for number, row in enumerate(first)]
    lines = [json.dumps(texts[0]), "", json.dumps({"review": texts[1], "id": 7})]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
    assert answers(capsys, str(trained), "--batch-size", "1") == first


def test_texts_may_follow_an_option(capsys, trained):
    assert len(answers(capsys, str(trained), "--device", "cpu", "good good", "bad")) == 2


def test_an_export_predicts_and_becomes_a_run_that_is_scored(capsys, trained, reviews):
    assert main(["export", str(trained), "--to", "model"]) == 0
    assert main(["export", "model", "--to", "again"]) == 0
    assert answers(capsys, "model", "a film") == answers(capsys, str(trained), "a film")
    assert main(["evaluate", "again", "--source", str(reviews)]) == 0
    assert "exists already" in refusal(capsys, "export", str(trained), "--to", "model")
    assert "nothing does not exist" in refusal(capsys, "export", "nothing", "--to", "other")


def test_wrong_input_of_a_prediction_is_refused_in_words(capsys, trained, monkeypatch):
    assert "neither a run folder, nor a folder from rmaat export" in refusal(capsys, "predict", "nothing", "a")
    assert "cannot read none.txt" in refusal(capsys, "predict", str(trained), "--file", "none.txt")
    for content, words in (
        ("a film", "line 1 of standard input is no JSON"),
        ('{"title": "a film"}', "line 1 of standard input has no text; write a string"),
        ('"a"\n""', "text 2: the document is empty"),
    ):
        monkeypatch.setattr("sys.stdin", io.StringIO(content))
        assert words in refusal(capsys, "predict", str(trained))
    monkeypatch.setattr("sys.stdin", type("Terminal", (io.StringIO,), {"isatty": lambda _: True})())
    assert "no text; give texts, --file PATH" in refusal(capsys, "predict", str(trained))


def test_own_documents_are_prepared_once_and_trained_from_the_folder(capsys, reviews):
    assert main(["data", "prepare", "documents", "--source", str(reviews), *COLUMNS]) == 0
    folder = capsys.readouterr().out.split(":")[0]
    assert main(["data", "list"]) == 0
    assert "reviews.csv, split by seed 0" in capsys.readouterr().out
    reviews.unlink()
    assert main(["train", "documents", "--source", folder, *COLUMNS, "--out", "run", *TINY]) == 0
    assert json.loads(Path("run/configuration.json").read_text())["labels"] == ["bad", "good"]
    assert "add --source PATH" in refusal(capsys, "train", "documents", *COLUMNS, "--out", "other", *TINY)
    line = refusal(capsys, "train", "documents", "--source", folder, "--out", "other", *TINY)
    assert "was prepared with text review, not text; label verdict, not label; give the same settings" in line
