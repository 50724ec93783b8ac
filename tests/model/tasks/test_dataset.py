import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.tasks.dataset import TaskData, TaskError, TokenDataset

SYMBOLS = ("", "a", "b", "c")


def dataset(sequences=(b"\1\2", b"\3", b"\1\1\2"), labels=(0, 1, 1)) -> TokenDataset:
    return TokenDataset.from_sequences(list(sequences), list(labels))


def task(**changes) -> TaskData:
    fields = {"name": "letters", "origin": "made here", "symbols": SYMBOLS, "classes": 2}
    splits = {"train": dataset(), "validation": dataset([b"\3"], [0]), "test": dataset([b"\2\2", b"\1"], [1, 0])}
    return TaskData(**{**fields, **splits, **changes})


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return dict(file)


@pytest.fixture
def saved(tmp_path) -> Path:
    path = tmp_path / "letters.npz"
    task().save(path)
    return path


def test_sequences_come_back_one_by_one():
    data = dataset()
    assert len(data) == 3
    assert [data.sequence(index).tolist() for index in range(3)] == [[1, 2], [3], [1, 1, 2]]
    assert data.lengths.tolist() == [2, 1, 3]
    assert data.first_tokens.tolist() == [1, 3, 1]
    assert data.labels.tolist() == [0, 1, 1]


@pytest.mark.parametrize("index", [-1, 3])
def test_an_index_outside_the_dataset_is_refused(index):
    with pytest.raises(IndexError, match=f"sequence {index} of 3"):
        dataset().sequence(index)


TOKENS = np.array([1, 2, 3], dtype=np.uint8)
OFFSETS = np.array([0, 2, 3])
LABELS = np.array([0, 1])


@pytest.mark.parametrize(
    ("tokens", "offsets", "labels", "sentence"),
    [
        (TOKENS.astype(np.int64), OFFSETS, LABELS, "tokens are int64"),
        (TOKENS[None], OFFSETS, LABELS, r"tokens are uint8 of shape \(1, 3\)"),
        (TOKENS, OFFSETS.astype(np.int32), LABELS, "offsets are int32"),
        (TOKENS, OFFSETS, LABELS.astype(float), "labels are float64"),
        (TOKENS, OFFSETS, LABELS[:1], "3 offsets for 1 labels; there must be 2"),
        (TOKENS, np.array([1, 2, 3]), LABELS, "offsets run from 1 to 3; they must run from 0 to 3"),
        (TOKENS, np.array([0, 2, 4]), LABELS, "offsets run from 0 to 4; they must run from 0 to 3"),
        (TOKENS, np.array([0, 3, 3]), LABELS, "sequence 1 is empty"),
        (TOKENS, np.array([0, 5, 3]), LABELS, "sequence 1 is empty or ends before it starts"),
        (TOKENS, np.array([0, 2**63 - 1, -(2**63), -1, 3]), np.array([0, 1, 1, 0]), "sequence 1 is empty or"),
        (TOKENS[:0], OFFSETS[:1], LABELS[:0], "has no sequence"),
        (np.array([1, 2, 0], dtype=np.uint8), OFFSETS, LABELS, "sequence 1 holds token 0, which is kept for padding"),
        (TOKENS, OFFSETS, np.array([0, -1]), "label -1 is negative"),
    ],
)
def test_arrays_that_contradict_one_another_are_refused(tokens, offsets, labels, sentence):
    TokenDataset(TOKENS, OFFSETS, LABELS)
    with pytest.raises(TaskError, match=sentence):
        TokenDataset(tokens, offsets, labels)


def test_a_task_with_more_than_256_ids_keeps_them_in_two_bytes(tmp_path):
    symbols = ("", *map(str, range(256)))
    pixels = TokenDataset(np.array([256, 1], dtype=np.uint16), np.array([0, 2]), np.array([9], dtype=np.uint8))
    data = TaskData("pixels", "made here", symbols, 10, pixels, pixels, pixels)
    data.save(tmp_path / "pixels.npz")
    assert TaskData.load(tmp_path / "pixels.npz").train.sequence(0).tolist() == [256, 1]
    assert data.vocabulary == 257


def test_a_token_without_a_symbol_is_refused_with_its_split():
    with pytest.raises(TaskError, match="the validation split has token 4; it must lie between 0 and 3"):
        task(validation=dataset([b"\4"], [0]))


def test_a_label_that_is_no_class_is_refused_with_its_split():
    with pytest.raises(TaskError, match="the test split has label 2; it must lie between 0 and 1"):
        task(test=dataset([b"\1"], [2]))


def test_a_symbol_that_the_file_would_lose_is_refused():
    with pytest.raises(TaskError, match=r"the symbol of token 3 is .* printable"):
        task(symbols=("", "a", "b", "\0"))


def test_a_task_survives_its_file(saved):
    wanted, found = task(), TaskData.load(saved)
    assert (found.name, found.origin, found.symbols, found.classes) == ("letters", "made here", SYMBOLS, 2)
    for split in ("train", "validation", "test"):
        for array in ("tokens", "offsets", "labels"):
            before, after = (getattr(getattr(each, split), array) for each in (wanted, found))
            assert after.dtype == before.dtype
            np.testing.assert_array_equal(after, before)


def test_equal_data_give_equal_bytes(saved, tmp_path):
    task().save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == saved.read_bytes()
    task(origin="elsewhere").save(tmp_path / "other.npz")
    assert (tmp_path / "other.npz").read_bytes() != saved.read_bytes()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(TaskError, match=r"absent\.npz: cannot be read \(No such file"):
        TaskData.load(tmp_path / "absent.npz")


@pytest.mark.parametrize(
    "content",
    [b"", b"not a task", json.dumps({"a": 1}).encode(), pickle.dumps({"tokens": 1}), b"PK\3\4 torn"],
    ids=["empty", "text", "json", "pickle", "torn zip"],
)
def test_a_file_that_is_no_npz_is_refused(tmp_path, content):
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    with pytest.raises(TaskError, match=r"bad\.npz: not a task file \(\.npz\)"):
        TaskData.load(path)


def test_a_lone_array_is_refused(tmp_path):
    np.save(tmp_path / "lone.npy", TOKENS)
    with pytest.raises(TaskError, match=r"lone\.npy: not a task file \(\.npz\), but a lone array"):
        TaskData.load(tmp_path / "lone.npy")


def test_a_pickle_inside_the_file_is_refused_and_never_run(saved, tmp_path):
    witness = tmp_path / "was run"

    class Hostile:
        def __reduce__(self):
            return Path.touch, (witness,)

    np.savez(saved, **{**arrays_of(saved), "name": np.array(Hostile(), dtype=object)})
    with pytest.raises(TaskError, match="not a task file"):
        TaskData.load(saved)
    assert not witness.exists()


@pytest.mark.parametrize("name", ["version", "name", "origin", "symbols", "classes", "train_tokens", "test_labels"])
def test_a_missing_array_is_named(saved, name):
    arrays = arrays_of(saved)
    del arrays[name]
    np.savez(saved, **arrays)
    with pytest.raises(TaskError, match=f"letters.npz: the file has no '{name}'"):
        TaskData.load(saved)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("version", np.int64(99), "version 99, this program reads 1; make the file anew"),
        ("version", np.array([1]), r"'version' is int64 of shape \(1,\); it must be one whole number"),
        ("classes", np.float64(2), "'classes' is float64"),
        ("classes", np.int64(1), "the train split has label 1; it must lie between 0 and 0"),
        ("name", np.int64(3), "'name' is int64"),
        ("origin", np.array(["a", "b"]), "'origin' is <U1 of shape"),
        ("symbols", np.array([1, 2]), "'symbols' is int64"),
        ("symbols", np.array(["", "a"]), "the train split has token 3; it must lie between 0 and 1"),
        ("test_tokens", np.array([2, 2, 0], dtype=np.uint8), "sequence 1 holds token 0"),
        ("test_offsets", np.array([0, 1]), "2 offsets for 2 labels"),
        ("test_labels", np.array([1, 7]), "the test split has label 7"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(saved, name, value, sentence):
    np.savez(saved, **{**arrays_of(saved), name: value})
    with pytest.raises(TaskError, match=f"letters.npz: .*{sentence}"):
        TaskData.load(saved)


def loaded_or_refused(path: Path) -> tuple[TaskData | None, str]:
    try:
        return TaskData.load(path), ""
    except TaskError as error:
        return None, str(error)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10**6), change=st.integers(1, 255), keep=st.floats(0, 1))
@pytest.mark.parametrize("torn", [False, True])
def test_damage_never_ends_in_another_error_or_in_other_data(saved, torn, place, change, keep):
    content = bytearray(saved.read_bytes())
    if torn:
        content = content[: int(keep * (len(content) - 1))]
    else:
        content[place % len(content)] ^= change
    damaged = saved.with_name("damaged.npz")
    damaged.write_bytes(content)
    found, sentence = loaded_or_refused(damaged)
    if found is None:
        assert sentence.startswith(f"{damaged}: ")
        return
    assert not torn
    np.testing.assert_array_equal(found.train.tokens, task().train.tokens)
    np.testing.assert_array_equal(found.test.labels, task().test.labels)
