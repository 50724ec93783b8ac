import numpy as np
import pytest

from astro_sim import SimulationParameters, simulate
from distill import distil
from distill.linear_response import critical_strength
from figures import draw_linear_response

STRENGTHS = (0.001, 0.01, 0.05)


@pytest.fixture(scope="module")
def runs():
    shared = {"run_duration": 150, "recording_interval": 2.5}
    return [
        distil(simulate(SimulationParameters().override({**shared, "coupling_strength": strength})))
        for strength in reversed(STRENGTHS)
    ]


def test_points_are_the_measured_scales_in_order_of_strength(runs):
    (points, *_) = draw_linear_response(runs).axes[0].containers[0]
    assert points.get_xdata().tolist() == list(STRENGTHS)
    scales = [float(run.dataset["influence_scale"]) for run in reversed(runs)]
    np.testing.assert_allclose(points.get_ydata(), scales)


def test_the_line_meets_every_point_and_reaches_one_for_weak_coupling(runs):
    axes = draw_linear_response(runs).axes[0]
    line = axes.lines[0]
    (points, *_) = axes.containers[0]
    assert line.get_ydata()[[0, -1]] == pytest.approx(points.get_ydata()[[0, -1]], rel=1e-6)
    assert (np.diff(line.get_ydata()) < 0).all()


def test_bars_are_the_intervals_of_the_tables(runs):
    bars = draw_linear_response(runs).axes[0].containers[0][2][0].get_segments()
    for bar, run in zip(bars, reversed(runs), strict=True):
        np.testing.assert_allclose(bar[:, 1], run.dataset["influence_scale_interval"])


def test_the_dotted_line_is_at_the_critical_strength(runs):
    dotted = next(line for line in draw_linear_response(runs).axes[0].lines if line.get_linestyle() == ":")
    assert dotted.get_xdata()[0] == critical_strength(SimulationParameters())
