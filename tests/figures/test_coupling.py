import numpy as np
import pytest

from distill import Tables
from figures import draw_coupling


def curves(figure):
    influence, fit, coupling = figure.axes[0].lines
    return influence, fit, coupling


def test_points_are_the_strengths_of_the_tables_against_distance(tables):
    influence, _, coupling = curves(draw_coupling(tables))
    for line, name in ((influence, "influence"), (coupling, "coupling")):
        np.testing.assert_array_equal(line.get_xdata(), tables.dataset["distance"].values)
        np.testing.assert_array_equal(line.get_ydata(), tables.dataset[name].values)


def test_the_line_is_the_exponential_fitted_to_the_influence(tables):
    _, fit, _ = curves(draw_coupling(tables))
    amplitude, scale = (float(tables.dataset[f"influence_{name}"]) for name in ("amplitude", "scale"))
    np.testing.assert_allclose(fit.get_ydata(), amplitude * np.exp(-scale * fit.get_xdata()), rtol=1e-12)
    assert fit.get_xdata()[[0, -1]].tolist() == tables.dataset["distance"].values[[0, -1]].tolist()


def test_the_legend_has_both_scales_and_the_error_and_unit_of_the_fitted_one(tables):
    measured, fit, put_in = [text.get_text() for text in draw_coupling(tables).legends[0].get_texts()]
    data = tables.dataset
    scale, error = float(data["influence_scale"]), float(data["influence_scale_error"])
    assert measured == "influence measured"
    assert f"scale = {scale:.3f} ± {error:.3f} (1 / synapse spacing)" in fit
    assert f"{float(data['influence_amplitude']):.3f}" in fit
    assert put_in.endswith("scale = 1.000")


def test_axes_carry_their_units(tables):
    (axes,) = draw_coupling(tables).axes
    assert axes.get_xlabel() == "distance of two synapses $d$ (synapse spacing)"
    assert axes.get_ylabel() == "strength"


def test_strengths_are_logarithmic_with_plain_numbers(tables):
    figure = draw_coupling(tables)
    assert figure.axes[0].get_yscale() == "log"
    figure.draw_without_rendering()
    low, high = figure.axes[0].get_ylim()
    labels = [label for label in figure.axes[0].yaxis.get_ticklabels() if low <= label.get_position()[1] <= high]
    assert len(labels) >= 2
    for label in labels:
        assert float(label.get_text()) == pytest.approx(label.get_position()[1])


def test_a_strength_that_is_not_positive_is_shown_on_a_linear_axis(tables):
    data = tables.dataset.copy(deep=True)
    data["coupling"][-1] = 0
    figure = draw_coupling(Tables(data))
    assert figure.axes[0].get_yscale() == "linear"
    assert curves(figure)[2].get_ydata()[-1] == 0
