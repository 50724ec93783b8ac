"""A few kills and full disks of quick work; `make faults` has many of every kind."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from benchmarks.faults.__main__ import totals
from benchmarks.faults.trials import full_disks, kills, read_only_disks
from benchmarks.faults.works import WORKS, Work
from rmaat.base.files import write_bytes

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
OLD, NEW = bytes(50_000), b"x" * 50_000


def state(folder: Path) -> str | None:
    path = folder / "file"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def whole(folder: Path) -> None:
    for _ in range(50):
        write_bytes(folder / "file", NEW)


def in_parts(folder: Path) -> None:
    with (folder / "file").open("wb") as stream:
        for place in range(0, len(NEW), 1000):
            stream.write(NEW[place : place + 1000])
            stream.flush()
            time.sleep(0.002)


def write_old(folder: Path) -> None:
    (folder / "file").write_bytes(OLD)


def test_files_written_whole_survive_kills_and_full_disks():
    work = Work("whole", whole, state, write_old)
    assert kills(work, 5, 0).items() >= {"trials": 5, "faults": 0}.items()
    found = full_disks(work, 2)
    assert found["faults"] == 0
    assert found["refused_in_a_sentence"] == found["trials"]


def test_work_on_a_read_only_disk_is_refused_and_continues_on_one_that_can_be_written():
    work = Work("whole", whole, state, write_old)
    found = read_only_disks(work)
    # No trials without the right to mount.
    assert found == {"trials": found["trials"], "refused_in_a_sentence": found["trials"], "faults": 0}


def test_a_file_written_in_parts_is_a_fault(capsys):
    assert kills(Work("parts", in_parts, state, write_old), 3, 0)["faults"] > 0
    assert "neither the old nor the new content" in capsys.readouterr().err


def test_a_temporary_file_that_stays_is_a_fault(capsys):
    def left(folder: Path) -> None:
        (folder / ".file.0a1b2c3d.tmp").touch()
        whole(folder)

    assert kills(Work("left", left, state), 1, 0)["faults"] == 1
    assert "temporary files stay" in capsys.readouterr().err


def test_a_second_start_with_another_result_is_a_fault(capsys):
    def other(folder: Path) -> None:
        if (folder / "began").exists():
            write_bytes(folder / "file", OLD)
            return
        (folder / "began").touch()
        time.sleep(0.2)
        write_bytes(folder / "file", NEW)

    assert kills(Work("other", other, state), 1, 0)["faults"] == 1
    assert "does not give the result of an undisturbed run" in capsys.readouterr().err


@pytest.mark.slow
def test_table_writing_survives_two_kills():
    (work,) = (work for work in WORKS if work.name == "table writing")
    assert kills(work, 2, 0).items() >= {"trials": 2, "faults": 0}.items()


def test_sums_are_those_of_all_kinds_of_work():
    counts = {"kills": {"trials": 2, "faults": 0}, "full disks": {"trials": 3, "faults": 1}}
    assert totals({"a": counts, "b": counts}).items() >= {"kills": 4, "full disks": 6, "faults": 2}.items()
