"""A panel a task, a row a contender, a dot a seed."""

import dataclasses

import pytest

from figures import FigureError, draw_study
from model.studies.report import Finding

FINDING = Finding(
    task="text", contender="rmaat", accuracies={0: 60.0, 1: 62.0}, parameters=1000, steps=10, batch_size=4,
    test_sequences=50, seconds={0: 3.0, 1: 4.0}, step_seconds=0.1, peak_megabytes=2.0,
    levels={"commonest label": 50.0, "words": 82.7}, by_distance={}, origin="official", made=(),
)  # fmt: skip
OTHER = dataclasses.replace(FINDING, contender="no_memory", accuracies={0: 55.0})


def lines(axes, marker):
    return [line for line in axes.get_lines() if line.get_marker() == marker]


def test_dots_are_seeds_bars_their_mean_and_diamonds_the_papers():
    axes = draw_study([FINDING, OTHER], "two").axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["RMAAT without memory", "RMAAT"]
    assert [list(line.get_xdata()) for line in lines(axes, "o")] == [[60.0, 62.0], [55.0]]
    assert [list(line.get_ydata()) for line in lines(axes, "o")] == [[1, 1], [0]]
    assert [list(line.get_xdata()) for line in lines(axes, "|")] == [[61.0], [55.0]]
    assert [list(line.get_xdata()) for line in lines(axes, "D")] == [[65.9]]


def test_the_legend_explains_the_marks_and_names_the_paper_only_if_it_has_an_accuracy():
    def legend(*findings):
        return [text.get_text() for text in draw_study(findings, "two").legends[0].get_texts()]

    assert legend(FINDING, OTHER) == ["a seed", "mean", "the paper's, of other sizes and budgets"]
    assert legend(OTHER) == ["a seed", "mean"]


def test_levels_without_a_model_are_lines_with_their_names():
    axes = draw_study([FINDING], "one").axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["commonest label", "words"]


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_every_task_has_a_panel_with_its_name(count):
    tasks = ("text", "image", "listops", "pathfinder", "needle")[:count]
    figure = draw_study([dataclasses.replace(FINDING, task=task) for task in tasks], "many")
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title().lower() for axes in shown] == list(tasks)


def test_a_study_without_findings_is_refused():
    with pytest.raises(FigureError, match="no run of the study is done"):
        draw_study([], "none")
