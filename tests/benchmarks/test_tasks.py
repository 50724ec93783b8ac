"""The figures of generated data: all are present, and small sets are near the references."""

import pytest

from benchmarks.tasks import file_figures, listops_figures, pathfinder_figures
from model.tasks.text import TextParameters


def test_figures_of_listops_are_near_those_of_the_grammar():
    figures = {figure.what: figure for figure in listops_figures(300)}
    assert figures["shortest"].here > 500
    assert figures["longest"].here < 2000
    for what in (
        "share right by reading 1 level",
        "share right by reading 2 levels",
        "share right by reading 3 levels",
    ):
        assert figures[what].here == pytest.approx(float(figures[what].reference), abs=0.15)
    # Machines differ; the limit catches a generator that is ten times too slow.
    assert 0 < figures["minutes for 100,000"].here < 25


def test_figures_of_pathfinder_are_near_those_of_the_original():
    pytest.importorskip("numba")
    figures = {figure.what: figure.here for figure in pathfinder_figures("easy", 60)}
    assert figures["mean grey value"] == pytest.approx(12.77, rel=0.1)
    assert figures["share of label 1"] == pytest.approx(0.5, abs=0.3)


def test_a_task_without_data_gives_no_figure_and_prints_the_command_that_prepares_it(tmp_path, capsys):
    assert file_figures(TextParameters(), tmp_path) == []
    assert "rmaat data prepare text --source PATH" in capsys.readouterr().out
