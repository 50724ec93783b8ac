"""Samples of memory and open files, and what counts as growth; `make soak` runs the long works."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import soak
from benchmarks.soak import Sample, Sampler, growth

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def test_a_sample_is_taken_once_per_share_of_the_work():
    sampler = Sampler(4)
    for step in range(101):
        sampler(step / 100)
    assert [one.done for one in sampler.found] == [0.25, 0.5, 0.75, 1.0]
    assert all(one.memory_mib > 10 for one in sampler.found)


def test_an_open_file_and_a_used_buffer_are_seen():
    before = soak.sample(0.0)
    with Path(__file__).open():
        buffer = b"x" * (32 * soak.MIB)
        after = soak.sample(1.0)
    assert after.open_files == before.open_files + 1
    assert after.memory_mib > before.memory_mib + 30
    assert len(buffer) > 0


def test_growth_is_that_after_the_first_fifth():
    samples = [Sample(place / 10, 100.0 if place < 2 else 200.0 + place, 5 + place // 9) for place in range(10)]
    assert growth(samples) == {"memory_mib": 6.0, "open_files": 0.5}
    # What grows in the first fifth alone is a cache.
    assert growth([replace(one, memory_mib=min(one.memory_mib, 200.0), open_files=5) for one in samples]) == {
        "memory_mib": 0.0,
        "open_files": 0,
    }


def test_work_that_leaves_files_open_is_not_flat():
    opened = []

    def leaking(folder: Path, progress) -> None:
        for place in range(soak.SAMPLES):
            opened.append((folder / str(place)).open("w"))
            progress((place + 1) / soak.SAMPLES)

    found = soak.soak(leaking)
    for stream in opened:
        stream.close()
    assert not found["is_flat"]
    assert found["growth"]["open_files"] > 10
