"""Progress is a bar on a terminal, and whole lines elsewhere."""

import pytest

from rmaat.base import progress
from rmaat.base.progress import Bar


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets, in seconds."""
    seconds = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: seconds[0])
    return seconds


def test_small_strides_after_a_long_one_are_drawn_on_a_terminal(capsys):
    bar = progress._TerminalBar("train")
    bar._bar.mininterval = 0.0
    bar.update(0.5, "half")
    for step in range(5):
        bar.update(0.5 + step / 1000, f"loss {step}")
    bar.close()
    shown = capsys.readouterr().err
    assert "loss 1" in shown
    assert "loss 4" in shown


def test_a_file_gets_a_line_at_once_then_every_ten_seconds_and_one_at_the_end(capsys, clock):
    with Bar("train") as report:
        for second in range(1, 31):
            clock[0] = second
            report(second / 40, f"loss {second}")
    assert capsys.readouterr().err.splitlines() == [
        "train 2%, 00:01, loss 1",
        "train 28%, 00:11, 00:29 left, loss 11",
        "train 52%, 00:21, 00:19 left, loss 21",
        "train 75%, 00:30, 00:10 left, loss 30",
    ]


def test_the_time_left_of_resumed_work_is_of_the_part_since_then(capsys, clock):
    with Bar("train") as report:
        report(0.8)
        clock[0] = 3600 * 2
        report(0.9)
    assert capsys.readouterr().err.splitlines()[-1] == "train 90%, 2:00:00, 2:00:00 left"


def test_work_that_reports_nothing_and_other_processes_print_nothing(capsys, monkeypatch):
    with Bar("train"):
        pass
    monkeypatch.setenv("RANK", "1")
    with Bar("train") as report:
        report(1.0, "done")
    assert capsys.readouterr().err == ""
