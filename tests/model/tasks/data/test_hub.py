"""Text and Image from the forms of the Hugging Face hub hold what the authors' files do; all are made here."""

import importlib
import io
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from model.studies.presets import PRESETS
from model.tasks import image, text
from model.tasks.data.dataset import TaskError
from model.tasks.data.hub import full_name, is_hub, read_texts
from model.tasks.data.imdb import read_reviews
from model.tasks.image import ImageParameters
from model.tasks.text import TextParameters
from rmaat.base.errors import UsageError

TEXT, IMAGE = TextParameters(validation_size=2), ImageParameters(validation_size=5)
FORMS = ["parquet", "flat parquet", "disk"]


@pytest.fixture
def store(datasets, tmp_path):
    """Write columns, by split, in a form of the hub; the folder."""

    def write(form, splits, features):
        whole = datasets.DatasetDict(
            {split: datasets.Dataset.from_dict(columns, features) for split, columns in splits.items()}
        )
        place = tmp_path / form
        if form == "disk":
            whole.save_to_disk(place)
            return place
        folder = place if form == "flat parquet" else place / "plain_text"
        folder.mkdir(parents=True)
        for split, rows in whole.items():
            # Two files a split, as the hub cuts what is large.
            for part in (0, 1):
                rows.shard(2, part, contiguous=True).to_parquet(folder / f"{split}-0000{part}-of-00002.parquet")
        return place

    return write


@pytest.fixture
def reviews(tmp_path) -> Path:
    place = tmp_path / "aclImdb"
    for split in ("train", "test"):
        for label in ("neg", "pos"):
            (place / split / label).mkdir(parents=True)
            for number in range(3):
                (place / split / label / f"{number}_5.txt").write_text(f"A {label} film\u00e9\n{split} {number}")
    return place


def columns_of(reviews):
    found = read_reviews(reviews)
    splits = {
        split: {"text": [row.text.decode() for row in rows], "label": [row.label for row in rows]}
        for split, rows in found.items()
    }
    return splits | {"unsupervised": {"text": ["no label"] * 2, "label": [-1] * 2}}


def text_features(datasets):
    return datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})


def image_features(datasets):
    return datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(num_classes=10)})


@pytest.mark.parametrize("form", FORMS)
def test_reviews_are_those_of_the_authors_folder(datasets, store, reviews, form):
    place = store(form, columns_of(reviews), text_features(datasets))
    before = sorted(place.rglob("*"))
    found = text.read(TEXT, place)
    assert found.sha256() == text.read(TEXT, reviews).sha256()
    assert found.origin.startswith("Hugging Face files")
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("form", FORMS)
def test_pictures_are_those_of_the_authors_batches(datasets, store, tmp_path, form):
    pictures = pytest.importorskip("PIL.Image")
    place, random = tmp_path / "cifar-10-batches-py", np.random.default_rng(0)
    place.mkdir()
    splits = {split: {"img": [], "label": []} for split in ("train", "test")}
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        colours, labels = random.integers(0, 256, (2, 3072), dtype=np.uint8), random.integers(0, 10, 2).tolist()
        (place / name).write_bytes(pickle.dumps({b"labels": labels, b"data": colours}, protocol=2))
        split = splits["test" if name == "test_batch" else "train"]
        split["img"] += [pictures.fromarray(row.reshape(3, 32, 32).transpose(1, 2, 0).copy()) for row in colours]
        split["label"] += labels
    found = image.read(IMAGE, store(form, splits, image_features(datasets)))
    assert found.sha256() == image.read(IMAGE, place).sha256()


def png(size, colour=0):
    content = io.BytesIO()
    pytest.importorskip("PIL.Image").new("RGB", size, colour).save(content, "png")
    return content.getvalue()


@pytest.mark.parametrize(
    ("value", "label", "message"),
    [
        ({"bytes": b"GIF89a", "path": None}, 1, "row 1 of split test: no picture"),
        ({"bytes": None, "path": "/etc/hostname"}, 1, "has paths of pictures in its test split"),
        ((31, 32), 1, "row 1 of split test: no picture .31 x 32 pixels"),
        ((32, 32), 10, "row 1 of split test: label 10"),
        ((32, 32), -1, "row 1 of split test: label -1"),
        ((32, 32), None, "has no img or no label"),
    ],
    ids=["no PNG", "a path", "size", "label 10", "label -1", "no label"],
)
def test_bad_pictures_are_named(datasets, store, value, label, message):
    value = {"bytes": png(value), "path": None} if isinstance(value, tuple) else value
    good = {"bytes": png((32, 32)), "path": None}
    splits = {"train": {"img": [good] * 2, "label": [0, 0]}, "test": {"img": [good, value], "label": [0, label]}}
    content = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    features = datasets.Features({"img": content, "label": datasets.Value("int64")})
    with pytest.raises(TaskError, match=message):
        image.read(IMAGE, store("parquet", splits, features))


def test_bad_reviews_are_named(datasets, store):
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.Value("int64")})

    def read(form, text_column, labels):
        splits = {split: {"text": text_column, "label": labels} for split in ("train", "test")}
        return text.read(TEXT, store(form, splits, features))

    with pytest.raises(TaskError, match="row 2 of split train: label -1"):
        read("parquet", ["a", "b", "c"], [0, 1, -1])
    with pytest.raises(TaskError, match=r"a row of the train split of .* has no text or no label"):
        read("flat parquet", ["a", None, "c"], [0, 1, 1])


def test_missing_columns_and_splits_are_named(datasets, store, tmp_path):
    rows = {"review": ["a", "b"], "label": [0, 1]}
    features = datasets.Features({"review": datasets.Value("string"), "label": datasets.Value("int64")})
    with pytest.raises(TaskError, match="with columns text and label from"):
        read_texts(store("parquet", {"train": rows, "test": rows}, features))
    with pytest.raises(TaskError, match="cannot read splits train and test"):
        read_texts(store("disk", {"train": rows}, features))
    (tmp_path / "torn").mkdir()
    for split in ("train", "test"):
        (tmp_path / "torn" / f"{split}-0.parquet").write_bytes(b"torn")
    with pytest.raises(TaskError, match="cannot read splits train and test"):
        read_texts(tmp_path / "torn")


def test_a_name_is_read_from_the_hub_as_parquet_whatever_the_repository_holds(datasets, monkeypatch):
    asked, rows = [], datasets.Dataset.from_dict({"text": ["good"], "label": [1], "other": ["x"]})

    def load(*arguments, **options):
        asked.append((arguments, options))
        return {"train": rows.to_iterable_dataset(), "test": rows.to_iterable_dataset()}

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert read_texts(Path("hf:stanfordnlp/imdb")) == {"train": [(b"good", 1)], "test": [(b"good", 1)]}
    files = {split: f"hf://datasets/stanfordnlp/imdb/**/{split}-*.parquet" for split in ("train", "test")}
    assert asked == [(("parquet",), {"data_files": files, "streaming": True})]


# Without the library.


def test_a_missing_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    for read, parameters in ((text.read, TEXT), (image.read, IMAGE)):
        with pytest.raises(UsageError, match=r'needs datasets, .*pip install "rmaat-toolkit\[hub\]"'):
            read(parameters, Path("hf:someone/something"))


def test_a_library_that_runs_scripts_of_repositories_is_refused(monkeypatch):
    monkeypatch.setattr(importlib, "import_module", lambda _: SimpleNamespace(__version__="3.6.0"))
    with pytest.raises(UsageError, match=r"datasets 3\.6\.0 can run programs .* install 4\.0 or newer"):
        read_texts(Path("hf:someone/something"))


def test_a_name_on_the_hub_stays_a_name_in_the_configuration_of_a_run(task, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = Path("hf:stanfordnlp/imdb")
    assert PRESETS["text"]["small"].configuration(task, name).source == "hf:stanfordnlp/imdb"
    assert full_name(Path("files")) == str(tmp_path / "files")
    assert is_hub(name)
    assert not is_hub(tmp_path)
