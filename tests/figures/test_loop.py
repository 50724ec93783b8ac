"""Distilled, learned and fitted retention factors in one figure."""

import numpy as np
import pytest

from distill import default_tables
from distill.errors import TableError
from distill.learned import with_learned
from figures import FigureError, draw_loop


def learned(*factors):
    return with_learned(default_tables(), np.array(factors), np.cumsum(factors))


def test_both_panels_have_the_distilled_the_learned_and_the_fitted_curve():
    figure = draw_loop([learned(0.4, 0.3, 0.2, 0.1), learned(0.2, 0.3, 0.2, 0.3)], default_tables())
    left, right = figure.axes
    assert [line.get_ydata()[0] for line in left.get_lines()] == [0.0, 0.0]
    (bars,) = right.containers
    np.testing.assert_allclose(bars.lines[0].get_ydata(), [0.3, 0.3, 0.2, 0.2])
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["distilled", "fitted simulation", "equal shares, $1 / T$", "learned"]
    distilled = next(line for line in right.get_lines() if line.get_label() == "distilled")
    np.testing.assert_allclose(distilled.get_ydata(), default_tables().retention(4))


def test_one_training_has_no_bars():
    (bars,) = draw_loop([learned(0.6, 0.4)], default_tables()).axes[1].containers
    assert not bars.has_yerr


def test_tables_without_a_learned_curve_are_refused():
    with pytest.raises(TableError, match="variant learned is left out"):
        draw_loop([default_tables()], default_tables())
    with pytest.raises(FigureError, match="no learned tables to draw"):
        draw_loop([], default_tables())
