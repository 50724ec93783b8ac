"""Data files are read, and invalid ones are refused by their line."""

from pathlib import Path

import numpy as np
import pytest

from astro_sim import SimulationError, SimulationParameters
from distill.inverse.data import read_data

SHORT = SimulationParameters().override({"run_duration": 100})


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "data.csv"
    path.write_text(text)
    return path


def test_cycles_and_times_are_read_alike(tmp_path):
    by_cycle = read_data(written(tmp_path, "cycle,value,error\n1,0.2,0.01\n2,0.3,0.02\n"), SHORT)
    by_time = read_data(written(tmp_path, "error,time,value\n0.01,50,0.2\n0.02,100,0.3\n"), SHORT)
    for found in (by_cycle, by_time):
        np.testing.assert_array_equal(found.times, [50, 100])
        np.testing.assert_array_equal(found.values, [0.2, 0.3])
        np.testing.assert_array_equal(found.errors, [0.01, 0.02])
        assert not found.retention


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "time,process\n1,2\n",
            "line 1 has the columns time,process; start the file with time,value or cycle,value or",
        ),
        ("time,value,weight\n1,2,3\n", "line 1: unknown column 'weight'"),
        ("time,value\n1,nan\n", "line 2 has 'nan' as value; write a number"),
        ("time,value\n1,\n", "line 2 has '' as value; write a number"),
        ("time,value\n0,0\n", "line 2 has 0 as time; write a number above 0"),
        ("time,value\n2,0.1\n1,0.2\n", "line 3 has time 1 after one not below it; sort the rows by time, each once"),
        (
            "cycle,value\n1,0.1\n3,0.2\n",
            r"line 3 has cycle 3, beyond the run of 2 cycles, 100 s; lengthen run_duration",
        ),
        ("cycle,value\n1e308,0.1\n", r"line 2 has cycle 1e\+308, beyond the run of 2 cycles, 100 s"),
        ("time,value\n1," + "9" * 200_000 + "\n", r"line 2 is not CSV \(field larger than field limit"),
        ("time,value,error\n1,0.1,0\n", "line 2 has 0 as error; write a number above 0"),
        ("segment,retention\n2,0.5\n", "line 2 has segment 2 where 1 was due; list the segments from 1"),
        ("segment,retention\n1,0.5\n2,0.3\n", "retention factors that sum to 0.8; they are shares of one whole"),
        ("segment,retention\n1,1.2\n2,-0.2\n", "line 3 has -0.2 as retention; write a number above 0"),
        ("time,value\n", "has no rows below its header"),
    ],
)
def test_invalid_data_files_are_refused_in_one_sentence(tmp_path, text, sentence):
    with pytest.raises(SimulationError, match=sentence) as caught:
        read_data(written(tmp_path, text), SHORT)
    assert "\n" not in str(caught.value)
