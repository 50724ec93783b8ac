"""Fuzzing finds the faults of a reader, and mutants that once broke a reader are refused."""

import ctypes
import random
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.fuzz import trial
from benchmarks.fuzz.__main__ import judged, totals, trials
from benchmarks.fuzz.mutations import BYTES, TEXT, copied, mutate
from benchmarks.fuzz.readers import TARGETS, Target
from benchmarks.fuzz.trial import Outcome, attempts
from rmaat.base.errors import RmaatError

CORPUS = Path(trial.__file__).with_name("corpus")
BY_NAME = {target.name: target for target in TARGETS}
KEPT = sorted(folder for reader in CORPUS.iterdir() for folder in reader.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("kept", KEPT, ids=[f"{kept.parent.name}: {kept.name}" for kept in KEPT])
def test_a_mutant_that_once_broke_its_reader_is_refused(kept, tmp_path):
    target = BY_NAME[kept.parent.name]
    target.make(tmp_path)
    for file in (path for path in kept.rglob("*") if path.is_file()):
        place = tmp_path / file.relative_to(kept)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.read_bytes())
    (found,) = attempts(target.read, lambda _: tmp_path, 1)
    assert found.kind == "refused", found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tables", "drive", "prepared data", "checkpoint"])
def test_a_few_mutants_of_quick_readers_have_no_fault(name, tmp_path):
    found = [outcome.kind for _, outcome in trials(BY_NAME[name], 25, 1, tmp_path)]
    assert len(found) == 25
    assert {*found} <= {"refused", "same", "other"}


def crash(_: Path) -> None:
    ctypes.string_at(0)


def wait(_: Path) -> None:
    time.sleep(60)


def compute(_: Path) -> None:
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass


def refuse(_: Path) -> None:
    raise RmaatError("this is no such file; make it again")


@pytest.mark.parametrize(
    ("read", "kind"),
    [
        (lambda _: 1 / 0, "traceback"),
        (lambda _: np.ones(2**28), "memory"),
        (lambda _: float("nan"), "not finite"),
        (lambda _: 3.0, "same"),
        (refuse, "refused"),
        (crash, "crash"),
        (compute, "slow"),
        (wait, "hang"),
    ],
)
def test_each_end_of_a_trial_is_told_apart(read, kind, tmp_path, monkeypatch):
    if kind == "hang":
        monkeypatch.setattr(trial, "PATIENCE", 0.5)
    monkeypatch.setattr(trial, "MOST_SECONDS", 0.1)
    (found,) = attempts(read, lambda _: tmp_path, 1)
    assert found.kind == kind


def test_a_crash_is_that_of_its_own_mutant():
    folders = [Path("a"), Path("crash"), Path("b")]
    found = attempts(lambda folder: crash(folder) if folder.name == "crash" else 1, folders.__getitem__, 3)
    assert [outcome.kind for outcome in found] == ["same", "crash", "same"]


def test_another_value_is_a_fault_only_behind_a_digest():
    plain, sealed = (Target("a", lambda _: None, lambda _: None, sealed=sealed) for sealed in (False, True))
    expected, other = Outcome("same", "", "1"), Outcome("same", "", "2")
    assert judged(plain, other, expected).kind == "other"
    assert judged(sealed, other, expected).kind == "unseen change"
    assert judged(sealed, expected, expected).kind == "same"
    counts = {"a": {"same": 2, "unseen change": 1}, "b": {"refused": 3, "crash": 1}}
    assert totals(counts).items() >= {"readers": 2, "mutants": 7, "faults": 2}.items()


def test_a_mutant_depends_on_its_seed_alone(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file.csv").write_text("time,value\n1,2.5\n3,4.5\n" * 50)
    found = []
    for seed in ("0", "0", "1"):
        folder = copied(tmp_path / "a", tmp_path / "b")
        found.append((mutate(folder, (".csv",), seed), (folder / "file.csv").read_bytes()))
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    "change", sorted({*BYTES, *TEXT}, key=lambda change: change.__name__), ids=lambda change: change.__name__
)
def test_every_change_keeps_bytes_and_works_on_a_single_one(change):
    for seed in range(20):
        for content in (b"x", b"1,2\n", bytes(range(256))):
            assert isinstance(change(content, random.Random(seed)), bytes)
