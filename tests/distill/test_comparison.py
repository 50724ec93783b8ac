"""Two tables compared by meaning."""

import numpy as np
import pytest

from astro_sim import SimulationParameters, simulate
from distill import DistillParameters, Tables, distil, read_tables, write_tables
from distill.comparison import compare


def names(differences):
    return [difference.what for difference in differences if difference.matters]


def test_tables_written_and_read_have_no_differences(tables, tmp_path):
    write_tables(tables, tmp_path / "tables.nc")
    assert compare(tables, read_tables(tmp_path / "tables.nc")) == []


def test_another_length_is_the_only_difference_of_shorter_tables(traces, tables):
    shorter = distil(traces, DistillParameters(segments=7))
    differences = compare(tables, shorter)
    assert names(differences) == ["most segments"]
    assert [difference.what for difference in differences if not difference.matters] == [
        "distillation parameter segments"
    ]


def test_another_token_spacing_is_one_difference_and_one_parameter(traces, tables):
    wider = distil(traces, DistillParameters(token_spacing=0.5))
    assert names(compare(tables, wider)) == ["token_spacing"]
    (found,) = [difference for difference in compare(tables, wider) if difference.matters]
    assert str(found) == "token_spacing: 1 | 0.5"


def test_another_simulation_differs_in_factors_and_scales():
    parameters = SimulationParameters().override({"run_duration": 200})
    slower = parameters.override({"long_term_time_constant": 150.0})
    one, other = (distil(simulate(chosen), DistillParameters(segments=8)) for chosen in (parameters, slower))
    found = names(compare(one, other))
    assert {"retention increment, RF(1, 2)", "increment_rate"} <= set(found)
    # The variant horizon and the coupling do not depend on the time constant.
    assert not any("horizon, RF" in name or "influence_scale" in name for name in found)


@pytest.mark.parametrize(("tolerance", "count"), [(1e-9, 1), (1e-5, 0)])
def test_differences_within_the_tolerance_are_ignored(tables, tolerance, count):
    dataset = tables.dataset.copy(deep=True)
    dataset["token_spacing"].values[()] *= 1 + 1e-7
    assert len(names(compare(tables, Tables(dataset), tolerance))) == count


def test_another_layout_has_other_distances(tables):
    grid = distil(simulate(SimulationParameters().override({"layout": "grid", "run_duration": 150})))
    found = names(compare(tables, grid))
    assert "distance" in found
    assert np.isclose(float(grid.dataset["coupling_scale"]), 1)
