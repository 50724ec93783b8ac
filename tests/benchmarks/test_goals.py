import json

import pytest

from benchmarks import goals
from benchmarks.goals import Goal


@pytest.mark.parametrize(("at_most", "expected"), [(False, 0.25), (True, 0.0)])
def test_a_goal_is_missed_by_a_share_of_it(at_most, expected):
    goal = Goal("speed", 1.5, 2.0, at_most)
    assert goal.missed_by == expected
    assert goal.row() == ("speed", "1.5", *(("at most 2", "met") if at_most else ("at least 2", "missed by 25%")))


def test_the_committed_results_have_a_row_for_each_goal(capsys):
    goals.main()
    printed = capsys.readouterr().out
    for words in (
        "RMT as published",
        "share of the bound",
        "readout every: time",
        "segments of 4,096, in blocks",
        "inference, 16 x",
        "beside its steps",
    ):
        assert words in printed


def test_results_that_are_missing_have_no_row(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(goals, "RESULTS", tmp_path)
    content = {"beside_the_steps": 0.2}
    (tmp_path / "training-share.json").write_text(json.dumps(content))
    goals.main()
    assert capsys.readouterr().out.splitlines()[-1].split()[-2:] == ["by", "300%"]
