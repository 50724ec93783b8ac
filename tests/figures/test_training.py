import numpy as np
import pytest

from figures import FigureError, draw_training


def line(axes, label):
    (found,) = [line for line in axes.lines if line.get_label().startswith(label)]
    return found


def test_curves_are_the_columns_of_the_metrics_against_the_step(metrics):
    loss, accuracy = draw_training(metrics).axes
    for axes, label, name in (
        (loss, "training", "train_loss"),
        (loss, "validation", "validation_loss"),
        (accuracy, "validation", "validation_accuracy"),
    ):
        np.testing.assert_array_equal(line(axes, label).get_xdata(), [100, 200, 300, 400])
        np.testing.assert_array_equal(line(axes, label).get_ydata(), [row[name] for row in metrics])
    assert (len(loss.lines), len(accuracy.lines)) == (2, 1)


def test_an_evaluation_adds_the_test_accuracy_and_both_trivial_levels(metrics, evaluation):
    _, accuracy = draw_training(metrics, evaluation).axes
    assert len(accuracy.lines) == 4
    assert line(accuracy, "test, 60.0% ± 2.0%").get_ydata() == [0.6, 0.6]
    assert line(accuracy, "root operator alone, 36.0%").get_ydata() == [0.36, 0.36]
    assert line(accuracy, "commonest label, 17.0%").get_ydata() == [0.17, 0.17]
    (band,) = accuracy.patches
    assert (band.get_y(), band.get_y() + band.get_height()) == pytest.approx((0.58, 0.62))


def test_axes_carry_their_units_and_accuracy_ticks_are_percent(metrics, evaluation):
    figure = draw_training(metrics, evaluation, "Training of rmaat on listops")
    loss, accuracy = figure.axes
    assert loss.get_ylabel() == "loss (nat)"
    assert accuracy.get_ylabel() == "accuracy (%)"
    assert accuracy.get_xlabel() == "optimiser step"
    assert accuracy.get_shared_x_axes().joined(loss, accuracy)
    figure.draw_without_rendering()
    for label in accuracy.yaxis.get_ticklabels():
        assert float(label.get_text()) == pytest.approx(100 * label.get_position()[1])
    assert figure.get_suptitle() == "Training of rmaat on listops"


def test_legends_are_outside_the_panels(metrics, evaluation):
    figure = draw_training(metrics, evaluation)
    figure.draw_without_rendering()
    for axes in figure.axes:
        box = axes.get_legend().get_window_extent()
        assert not box.overlaps(axes.patch.get_window_extent())
        assert figure.bbox.x1 >= box.x1


def test_a_single_validation_is_drawn_as_a_point(metrics):
    figure = draw_training(metrics[:1])
    assert all(curve.get_marker() == "o" for axes in figure.axes for curve in axes.lines)


def test_metrics_without_a_row_are_refused():
    with pytest.raises(FigureError, match=r"no validation in metrics\.csv"):
        draw_training([])
