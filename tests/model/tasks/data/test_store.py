"""The folder of a task: what is written comes back, and damage is refused."""

import hashlib
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.tasks.data.dataset import ARRAYS, TaskData, TaskError, TokenDataset
from model.tasks.data.store import MANIFEST, read_task, write_task
from rmaat.base.files import FileError


def task(**changes) -> TaskData:
    def dataset(sequences: list[bytes], labels: list[int]) -> TokenDataset:
        return TokenDataset.from_sequences(sequences, labels)

    fields = {"name": "letters", "origin": "made here", "symbols": ("", "a", "b", "c"), "classes": 2, "separator": 3}
    splits = {
        "train": dataset([b"\1\2", b"\3", b"\1\1\2"], [0, 1, 1]),
        "validation": dataset([b"\3"], [0]),
        "test": dataset([b"\2\2", b"\1"], [1, 0]),
    }
    return TaskData(**{**fields, **splits, "levels": ("commonest_label", "root_operator"), **changes})


@pytest.fixture
def stored(tmp_path) -> Path:
    write_task(task(), tmp_path / "letters", {})
    return tmp_path / "letters"


def rewrite(folder: Path, change) -> None:
    """Change the manifest, which then has no digest, as those of earlier versions."""
    values = json.loads((folder / MANIFEST).read_text())
    del values["sha256"]
    change(values)
    (folder / MANIFEST).write_text(json.dumps(values))


def test_a_task_survives_its_folder(stored):
    wanted, found = task(), read_task(stored)
    for name in ("name", "origin", "symbols", "classes", "separator", "levels"):
        assert getattr(found, name) == getattr(wanted, name)
    for split, before in wanted.splits.items():
        for array in ARRAYS:
            after = getattr(found.splits[split], array)
            assert after.dtype == getattr(before, array).dtype
            np.testing.assert_array_equal(after, getattr(before, array))
    assert found.sha256() == wanted.sha256()


def test_tokens_are_mapped_into_memory_and_not_read(stored):
    assert isinstance(read_task(stored).train.tokens.base, np.memmap)


def test_two_byte_tokens_survive(tmp_path):
    pixels = TokenDataset(np.array([256, 1], dtype=np.uint16), np.array([0, 2]), np.array([9], dtype=np.uint8))
    write_task(TaskData("pixels", "made here", ("", *map(str, range(256))), 10, *[pixels] * 3), tmp_path / "pixels", {})
    assert read_task(tmp_path / "pixels").train.sequence(0).tolist() == [256, 1]


def test_equal_data_give_equal_files(stored, tmp_path):
    write_task(task(), tmp_path / "again", {})
    files = sorted(path.name for path in stored.iterdir())
    assert len(files) == 10
    assert all((tmp_path / "again" / name).read_bytes() == (stored / name).read_bytes() for name in files)


def test_the_manifest_counts_sequences_and_tokens(stored):
    counts = json.loads((stored / MANIFEST).read_text())["splits"]["train"]
    assert (counts["sequences"], counts["tokens"], counts["longest"]) == (3, 6, 3)


def test_any_tool_that_reads_npy_reads_the_arrays(stored):
    assert np.load(stored / "test_tokens.npy").tolist() == [2, 2, 1]


def test_a_folder_that_is_there_is_not_replaced(stored):
    with pytest.raises(FileError, match="letters"):
        write_task(task(origin="elsewhere"), stored, {})
    assert read_task(stored).origin == "made here"
    assert [path.name for path in stored.parent.iterdir()] == ["letters"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(TaskError, match=r"absent: manifest\.json cannot be read \(No such file"):
        read_task(tmp_path / "absent")


@pytest.mark.parametrize("content", [b"", b"no", b"[1]", b"[" * 100_000, b"\xff", pickle.dumps({"version": 2})])
def test_a_manifest_of_another_form_is_refused(stored, content):
    (stored / MANIFEST).write_bytes(content)
    with pytest.raises(TaskError, match=r"letters: manifest\.json .*; delete the folder and prepare it again"):
        read_task(stored)


def test_a_pickle_in_place_of_an_array_is_refused_and_never_run(stored, tmp_path):
    witness = tmp_path / "was run"

    class Hostile:
        def __reduce__(self):
            return Path.touch, (witness,)

    path = stored / "train_tokens.npy"
    np.save(path, np.array([Hostile()], dtype=object), allow_pickle=True)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    rewrite(stored, lambda values: values["splits"]["train"]["sha256"].update(tokens=digest))
    with pytest.raises(TaskError, match=r"train_tokens\.npy is not an array"):
        read_task(stored)
    assert not witness.exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda values: values.update(version=99), "does not have version 2"),
        (lambda values: values.pop("origin"), "has None for 'origin', which must be of type str"),
        (lambda values: values.update(classes=1.5), "has 1.5 for 'classes', which must be of type int"),
        (lambda values: values.update(classes=1), "the train split has label 1; it must be between 0 and 0"),
        (lambda values: values.update(symbols=["", "a"]), "the train split has token 3; it must be between 0 and 1"),
        (lambda values: values["splits"].pop("test"), "has None for 'test', which must be of type dict"),
        (lambda values: values["splits"]["test"]["sha256"].pop("labels"), "has None for 'labels'"),
    ],
)
def test_a_manifest_that_contradicts_the_arrays_is_refused(stored, change, sentence):
    rewrite(stored, change)
    with pytest.raises(TaskError, match=f"letters: .*{sentence}"):
        read_task(stored)


def test_a_changed_manifest_is_refused(stored):
    path = stored / MANIFEST
    path.write_text(path.read_text().replace('"b"', '"d"'))
    with pytest.raises(TaskError, match=r"manifest\.json was changed after it was written \(another SHA-256\)"):
        read_task(stored)


@pytest.mark.parametrize("header", [b"{'descr': '|u1', (", b"{'descr': [], 'x", b"{[]: 1}", b"(" * 9000])
def test_a_damaged_header_with_the_right_digest_is_refused(stored, header):
    path = stored / "train_tokens.npy"
    content = header.ljust(117) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(content).to_bytes(2, "little") + content + bytes(6))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    rewrite(stored, lambda values: values["splits"]["train"]["sha256"].update(tokens=digest))
    with pytest.raises(TaskError, match=r"train_tokens\.npy is not an array"):
        read_task(stored)


def test_a_missing_array_is_named(stored):
    (stored / "validation_labels.npy").unlink()
    with pytest.raises(TaskError, match=r"validation_labels\.npy cannot be read \(No such file"):
        read_task(stored)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    file=st.sampled_from(["train_tokens", "test_offsets", "validation_labels"]), place=st.integers(0), data=st.data()
)
def test_damage_to_an_array_is_always_noticed(stored, file, place, data):
    path = stored / f"{file}.npy"
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[place % len(whole)] ^= data.draw(st.integers(1, 255))
    if data.draw(st.booleans()):
        damaged = damaged[: place % len(whole)]
    path.write_bytes(damaged)
    with pytest.raises(TaskError, match=rf"{file}\.npy does not have the SHA-256"):
        read_task(stored)
    path.write_bytes(whole)
