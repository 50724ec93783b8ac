import numpy as np
import pytest

from astro_sim import SimulationParameters, simulate
from distill import distil
from figures import draw_laws


@pytest.fixture(scope="module")
def models(tables):
    soft = SimulationParameters().override({"long_term_growth": "soft_bound"})
    return {"linear": tables, "soft bound": distil(simulate(soft))}


def test_curves_of_models_that_follow_the_law_share_one_line(models):
    curves, _ = draw_laws(models).axes
    *points, line = curves.lines
    assert len(points) == 2
    for each in points:
        np.testing.assert_allclose(each.get_ydata(), -np.expm1(-each.get_xdata()), atol=1e-3)
    np.testing.assert_allclose(line.get_ydata(), -np.expm1(-line.get_xdata()))


def test_each_model_is_drawn_at_its_own_rate(models):
    curves, _ = draw_laws(models).axes
    for line, tables in zip(curves.lines, models.values(), strict=False):
        rate = float(tables.dataset["increment_rate"])
        np.testing.assert_allclose(line.get_xdata(), rate * np.arange(1, tables.dataset.sizes["cycle"] + 1))


def test_the_largest_departure_is_the_residual_in_the_tables_and_the_legend(models):
    curves, departures = draw_laws(models).axes
    texts = [text.get_text() for text in curves.get_legend().get_texts()]
    for line, text, (name, tables) in zip(departures.lines, texts, models.items(), strict=False):
        residual = float(tables.dataset["increment_residual"])
        assert np.abs(line.get_ydata()).max() == pytest.approx(100 * residual, rel=1e-3, abs=1e-7)
        assert text.startswith(f"{name}: ")
        assert f"off by {residual:.0e}" in text
