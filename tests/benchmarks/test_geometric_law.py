"""The table of departures from the geometric law, for curves that follow it and one that does not."""

import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from benchmarks.geometric_law import CASES, END, HEADER, START, row, synaptic_growth, with_table
from rmaat.base.errors import UsageError

PAGE = Path(__file__).parents[2] / "docs" / "distillation.md"


def traces(growth: np.ndarray) -> xr.Dataset:
    """Growth (cycle, synapse) of two synapses, from 0.3 on, and their cycles of 10 s."""
    times = 10.0 * np.arange(len(growth) + 1)
    process = 0.3 + np.concatenate([np.zeros((1, 2)), growth]).reshape(-1, 1, 2)
    return xr.Dataset(
        {"long_term_process": (("time", "post", "pre"), process), "cycle_end": ("cycle", times[1:])}, {"time": times}
    )


def test_a_geometric_curve_has_no_departure_and_no_spread_over_synapses():
    growth = -np.expm1(-0.4 * np.arange(1, 9))[:, None] * [1.0, 2.0]
    np.testing.assert_allclose(synaptic_growth(traces(growth)), growth, atol=1e-12)
    cells = dict(zip(HEADER, row(CASES[0], traces(growth)), strict=True))
    assert cells["a, with 95 % interval"] == "0.4000"
    assert float(cells["retention off by"]) < 1e-9
    assert float(cells["spread over synapses"]) < 1e-9
    assert cells["increments decrease"] == "yes"
    assert cells["law taken"] == "geometric"


def test_increments_that_grow_are_counted():
    growth = np.cumsum([1.0, 0.5, 0.6, 0.2, 0.1, 0.05])[:, None] * [1.0, 1.0]
    cells = dict(zip(HEADER, row(CASES[0], traces(growth)), strict=True))
    assert cells["increments decrease"] == "all but 1"


def test_the_page_has_a_row_for_each_model_and_its_other_text_does_not_change(tmp_path):
    written = PAGE.read_text().partition(START)[2].partition(END)[0]
    assert re.findall(r"^\| (.+?) \|", written, re.MULTILINE)[2:] == [case.name for case in CASES]
    page = tmp_path / "page.md"
    page.write_text(f"before\n{START}old\n{END}after\n")
    found = with_table(page, [("x",) * len(HEADER)])
    assert found.startswith(f"before\n{START}\n| model |")
    assert found.endswith(f"| x |\n\n{END}after\n")
    page.write_text("nothing")
    with pytest.raises(UsageError, match="has no place for the table"):
        with_table(page, [])
