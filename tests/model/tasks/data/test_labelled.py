"""Labelled texts are the same from every format, and an error names the file, the row and the remedy."""

import csv
import json
from pathlib import Path

import pytest

from model.tasks.data.dataset import TaskError
from model.tasks.data.labelled import LabelledText, read_labelled

ROWS = [
    ("A fine film", "good"),
    ('said "hello", twice\nand left', "bad"),
    ("Größe \u4f60\u597d", "good"),
    ("tab\there", "bad"),
]
EXPECTED = [LabelledText(text.encode(), label) for text, label in ROWS]


def write_csv(path: Path, rows, header=("id", "text", "label"), delimiter=",", **options) -> Path:
    with path.open("w", newline="", encoding=options.pop("encoding", "utf-8")) as stream:
        writer = csv.writer(stream, delimiter=delimiter, **options)
        writer.writerow(header)
        writer.writerows((number, *row) for number, row in enumerate(rows))
    return path


def write_json(path: Path, rows) -> Path:
    path.write_text("".join(json.dumps({"label": label, "text": text}) + "\n" for text, label in rows))
    return path


def write_parquet(path: Path, text: list, label: list) -> Path:
    parquet, arrow = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")
    parquet.write_table(arrow.table({"text": text, "label": label, "other": text}), path)
    return path


def in_format(form: str, folder: Path) -> Path:
    path = folder / f"reviews.{form}"
    if form == "parquet":
        return write_parquet(path, *map(list, zip(*ROWS, strict=True)))
    if form == "jsonl":
        return write_json(path, ROWS)
    if form == "bom":
        return write_csv(folder / "reviews.csv", ROWS, encoding="utf-8-sig")
    return write_csv(path, ROWS, delimiter="," if form == "csv" else "\t")


@pytest.mark.parametrize("form", ["csv", "tsv", "bom", "jsonl", "parquet"])
def test_texts_and_labels_are_the_same_from_every_format(form, tmp_path):
    assert read_labelled(in_format(form, tmp_path), "text", "label") == {"train": EXPECTED}


def test_a_folder_per_label_names_the_labels_and_hidden_files_are_skipped(tmp_path):
    for number, (text, label) in enumerate(ROWS):
        (tmp_path / label).mkdir(exist_ok=True)
        (tmp_path / label / f"{number}.txt").write_text(text)
    (tmp_path / "good" / ".DS_Store").write_bytes(b"\xff\x00")
    (tmp_path / ".git").mkdir()
    found = read_labelled(tmp_path, "text", "label")["train"]
    assert sorted(found) == sorted(EXPECTED)


def test_a_field_may_be_longer_than_the_limit_of_the_csv_module_which_stays(tmp_path):
    before = csv.field_size_limit()
    long = "word " * 40_000
    assert (
        read_labelled(write_csv(tmp_path / "a.csv", [(long, "x")]), "text", "label")["train"][0].text == long.encode()
    )
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("labels", "names"),
    [([0, 1], ["0", "1"]), ([2.0, 10.0], ["2", "10"]), ([True, False], ["true", "false"]), ([" a", "b "], ["a", "b"])],
)
def test_labels_of_json_and_parquet_become_names(labels, names, tmp_path):
    rows = [("one", labels[0]), ("two", labels[1])]
    for path in (write_json(tmp_path / "a.jsonl", rows), write_parquet(tmp_path / "a.parquet", ["one", "two"], labels)):
        assert [row.label for row in read_labelled(path, "text", "label")["train"]] == names


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"a\.csv has no column 'text'; name one of nothing: it is empty with --text"),
        ("review,label\na,b\n", r"a\.csv has no column 'text'; name one of 'review', 'label' with --text"),
        ("text,stars\na,b\n", r"no column 'label'; name one of 'text', 'stars' with --label"),
        ("text,label\n", r"a\.csv has no text"),
        ("text,label\na,b\n\n ,b\n", r"a\.csv, line 4: the text is empty; delete the row"),
        ("text,label\na,\n", "line 2: the label is missing; delete the row"),
        ("text,label\na, b,c\n", r"line 2: 3 fields, but the header has 2 \('text', 'label'\)"),
        ('text,label\n"a" b,c\n', "line 2: ',' expected after '\"'; put a field with quotes"),
        ('text,label\n"a,b\nc,d\n', "unexpected end of data"),
        (b"text,label\nok,b\ncaf\xe9,b\n", r"line 3: byte 4 \(0xe9\) is not UTF-8; convert the file"),
        ("text,label\na,b\n".encode("utf-16"), r"line 1: byte 1 \(0xff\) is not UTF-8"),
    ],
)
def test_an_error_of_a_table_names_its_line_and_the_remedy(content, message, tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(TaskError, match=message):
        read_labelled(path, "text", "label")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['{"text": "a", "label": "x"}', '{"text": "a"}'], "line 2 has no column 'label'; name one of 'text' with"),
        (['{"text": "a", "label": "x"}', '{"text": "b", "label": 1}'], "is text in line 1 and a number in line 2; use"),
        (['{"text": "a", "label": 0.37}'], r"line 1: the label is 0\.37, a number with a fraction"),
        (['{"text": "a", "label": NaN}'], "line 1: the label is missing"),
        (['{"text": "a", "label": ["x"]}'], r"the label is \['x'\]; give a name or a whole number"),
        (['{"text": 5, "label": "x"}'], "line 1: the text is 5, not text; choose another column with --text"),
        (['{"text": null, "label": "x"}'], "line 1: the text is empty"),
        (["[", "1]"], "line 1: no JSON .* write one object per line"),
        (['["a", "x"]'], "line 1: no JSON object"),
    ],
)
def test_an_error_of_json_lines_names_its_line_and_the_remedy(lines, message, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(lines))
    with pytest.raises(TaskError, match=message):
        read_labelled(path, "text", "label")


def test_half_a_character_in_json_is_replaced(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a\\ud800b", "label": "x"}')
    assert read_labelled(path, "text", "label")["train"] == [LabelledText(b"a?b", "x")]


def test_other_files_and_folders_are_refused_in_words(tmp_path):
    (tmp_path / "a.xlsx").write_text("x")
    with pytest.raises(TaskError, match=r"ends in \.xlsx; --source must be a CSV, TSV"):
        read_labelled(tmp_path / "a.xlsx", "text", "label")
    with pytest.raises(TaskError, match="does not exist"):
        read_labelled(tmp_path / "b.csv", "text", "label")
    with pytest.raises(TaskError, match="has no folder in it"):
        read_labelled(tmp_path, "text", "label")
    (tmp_path / "train" / "good").mkdir(parents=True)
    with pytest.raises(TaskError, match="has a folder train, which is a split, not a label"):
        read_labelled(tmp_path, "text", "label")


def test_a_damaged_parquet_file_is_refused_in_words(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(TaskError, match=r"a\.parquet is no parquet file, or damaged"):
        read_labelled(tmp_path / "a.parquet", "text", "label")
    path = write_parquet(tmp_path / "b.parquet", ["a"], ["x"])
    with pytest.raises(TaskError, match="no column 'sentiment'; name one of 'text', 'label', 'other' with --label"):
        read_labelled(path, "text", "sentiment")
