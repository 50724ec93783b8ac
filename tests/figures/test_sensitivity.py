import json

import numpy as np
import pytest
import xarray as xr

from distill.inverse.sweep_file import rank_correlations, write_sweep
from figures import draw_all, draw_sensitivity


@pytest.fixture
def dataset() -> xr.Dataset:
    generator = np.random.default_rng(0)
    cycle, constant = generator.uniform(30, 100, 60), np.exp(generator.uniform(np.log(50), np.log(900), 60))
    rate = cycle / constant
    rate[7] = np.nan
    factor = np.expm1(-rate) / np.expm1(-4 * rate)
    message = np.where(np.isnan(rate), "it failed", "")
    layout = np.array(["line", "grid", "random"] * 20)
    return xr.Dataset(
        {
            "increment_rate": ("point", rate),
            "retention": (("point", "length", "segment"), factor[:, None, None]),
            "message": ("point", message),
        },
        {
            "cycle_duration": ("point", cycle, {"units": "s"}),
            "long_term_time_constant": ("point", constant, {"units": "s"}),
            "layout": ("point", layout, {"units": "1"}),
            "length": [4],
            "segment": [1],
        },
        {
            "schema": "rmaat-sweep",
            "schema_version": 1,
            "design": json.dumps({"values": dict.fromkeys(["cycle_duration", "long_term_time_constant", "layout"])}),
        },
    )


def test_there_is_a_column_for_each_parameter_and_a_row_for_each_quantity(dataset):
    figure = draw_sensitivity(dataset)
    panels = np.array(figure.axes).reshape(2, 3)
    assert [axes.get_ylabel() for axes in panels[:, 0]] == ["$\\mathrm{RF}(1, 4)$", "increment rate\n(1 / cycle)"]
    labels = [axes.get_xlabel() for axes in panels[1]]
    assert labels == ["cycle duration (s)", "long term time constant (s)", "layout"]
    assert [axes.get_xscale() for axes in panels[1]] == ["linear", "log", "linear"]
    assert [text.get_text() for text in panels[1, 2].get_xticklabels()] == ["grid", "line", "random"]


def test_points_that_failed_are_left_out_and_counted(dataset):
    figure = draw_sensitivity(dataset)
    dots = figure.axes[3].lines[0]
    assert len(dots.get_xdata()) == 59
    np.testing.assert_array_equal(dots.get_xdata(), np.delete(dataset.cycle_duration.values, 7))
    assert figure.get_suptitle() == "60 simulations, 1 of them incomplete"


def test_the_line_joins_medians(dataset):
    _, medians = draw_sensitivity(dataset).axes[5].lines[:2]
    rate = dataset.increment_rate.values
    expected = [np.nanmedian(rate[dataset.layout.values == name]) for name in ("grid", "line", "random")]
    np.testing.assert_allclose(medians.get_ydata(), expected)


def test_a_sweep_in_a_folder_is_found(dataset, tmp_path):
    write_sweep(dataset, tmp_path / "runs" / "wide.nc")
    paths = draw_all(tmp_path / "runs", tmp_path / "out")
    assert [path.name for path in paths] == ["wide-sensitivity.png", "wide-sensitivity.svg"]


def test_an_outcome_that_moves_by_rounding_only_is_a_flat_line_without_a_correlation(dataset):
    noise = np.random.default_rng(1).uniform(-1e-14, 1e-14, (60, 1, 1))
    dataset["retention"] = (("point", "length", "segment"), 0.4 + noise)
    (first, *_), (correlations, *_) = draw_sensitivity(dataset).axes, rank_correlations(dataset).values()
    assert np.isnan(correlations["RF(1, 4)"])
    assert np.isfinite(correlations["a"])
    assert first.get_title(loc="right") == ""
    low, high = first.get_ylim()
    assert high - low > 0.1
