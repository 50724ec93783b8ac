"""Accuracy against the astrocyte: a column a task, a row an axis, controls as bands."""

import pytest

from figures import FigureError, draw_astrocytes
from model.studies.astrocytes import Point


def point(name, rate, *tasks, kind="astrocyte"):
    return Point(name, name, kind, dict.fromkeys(tasks, (60.0, 62.0, 64.0)), rate, 1.4, 0.4)


def drawn():
    return [
        point("default", 0.5, "needle", "copy"),
        point("long_term_time_constant_25", 2.0, "needle", "copy"),
        point("soft_bound", 0.7, "needle"),
        point("retention_none", 0.0, "needle", "copy", kind="control"),
    ]


def test_every_task_has_a_column_and_both_axes():
    figure = draw_astrocytes(drawn(), "many")
    assert len(figure.axes) == 4
    assert [axes.get_title() for axes in figure.axes] == ["Needle", "Copy", "", ""]
    assert figure.axes[0].get_xlabel() == "rate $a$ (1 / cycle)"
    assert figure.axes[2].get_xlabel() == "reach of influence (tokens)"


def test_points_of_the_axis_are_filled_and_bars_are_standard_deviations():
    axes = draw_astrocytes(drawn(), "many").axes[0]
    filled, hollow = axes.containers
    assert list(filled.lines[0].get_xdata()) == [0.5, 2.0]
    assert list(filled.lines[0].get_ydata()) == [62.0, 62.0]
    assert list(hollow.lines[0].get_ydata()) == [62.0]
    (bars,) = filled.lines[2]
    assert [segment[:, 1].tolist() for segment in bars.get_segments()] == [[60.0, 64.0], [60.0, 64.0]]


def test_controls_are_bands_with_their_names():
    figure = draw_astrocytes(drawn(), "many")
    (line,) = [line for line in figure.axes[0].get_lines() if str(line.get_label()).startswith("control")]
    assert set(line.get_ydata()) == {62.0}
    assert "control, retention_none" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_study_without_astrocytes_is_refused():
    with pytest.raises(FigureError, match="no astrocyte of the study is done"):
        draw_astrocytes([point("retention_none", 0.0, "needle", kind="control")], "none")
