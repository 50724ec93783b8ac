"""The tables file is read as it was written, and other files are refused."""

import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from distill import DistillParameters, TableError, distil, read_tables, write_tables
from distill.schema import VARIABLES, VARIANTS
from rmaat.base.files import FileError

NAMES = sorted(VARIABLES)
FLAGS = [name for name in NAMES if VARIABLES[name].flags]
AXES = ("length", "segment", "distance")


def test_tables_are_read_as_they_were_written(tables, tmp_path):
    write_tables(tables, tmp_path / "tables.nc")
    back = read_tables(tmp_path / "tables.nc")
    xr.testing.assert_identical(back.dataset.drop_attrs(), tables.dataset.drop_attrs())
    assert {name: str(value) for name, value in back.dataset.attrs.items()} == {
        name: str(value) for name, value in tables.dataset.attrs.items()
    }
    for variable in tables.dataset.variables:
        assert back.dataset[variable].variable.identical(tables.dataset[variable].variable)
    assert (back.exponent, back.decay_per_token, back.longest) == (tables.exponent, tables.decay_per_token, 64)


def test_the_same_traces_give_the_same_bytes(traces, tables, tmp_path):
    write_tables(tables, tmp_path / "first.nc")
    write_tables(distil(traces.copy(deep=True)), tmp_path / "second.nc")
    assert (tmp_path / "first.nc").read_bytes() == (tmp_path / "second.nc").read_bytes()


def test_writing_replaces_an_earlier_file_and_leaves_nothing_else(tables, small, tmp_path):
    for each in (tables, small):
        write_tables(each, tmp_path / "tables.nc")
    assert read_tables(tmp_path / "tables.nc").longest == 5
    assert [path.name for path in tmp_path.iterdir()] == ["tables.nc"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_rows_of_every_variant_hold_the_factors_of_every_length(small, variant):
    rows = small.retention_rows(5, variant)
    for length in range(1, 6):
        assert rows[length - 1, :length].tolist() == small.retention(length, variant).tolist()
        assert (rows[length - 1, length:] == 0).all()


@pytest.mark.parametrize("variant", ["horizon", "random"])
def test_variants_without_parts_are_refused_by_name(small, variant):
    with pytest.raises(TableError, match=f"{variant} are no quotients .* take them from retention"):
        small.retention_parts(3, variant)


@pytest.mark.parametrize("segments", [1, 2, 5])
def test_rows_hold_every_length_up_to_the_requested_one(small, segments):
    rows = small.retention_rows(segments)
    assert rows.shape == (segments, segments)
    for length in range(1, segments + 1):
        assert rows[length - 1, :length].tolist() == small.retention(length).tolist()
        assert (rows[length - 1, length:] == 0).all()
        assert rows[length - 1].sum() == pytest.approx(1)
    assert small.retention(segments, "none").tolist() == [1] * segments


def test_changing_rows_does_not_change_the_tables(small):
    small.retention_rows(3)[:] = 7
    assert small.retention_rows(3).max() <= 1


def test_decay_per_token_is_scale_times_spacing(traces):
    near = distil(traces, DistillParameters(token_spacing=0.25))
    assert near.decay_per_token == pytest.approx(0.25 * float(near.dataset["influence_scale"]))


# What is asked for and not there.


@pytest.mark.parametrize("segments", [65, 1000])
def test_more_segments_than_the_tables_serve_names_the_command_that_makes_them(tables, tmp_path, segments):
    path = tmp_path / "tables.nc"
    write_tables(tables, path)
    with pytest.raises(TableError) as caught:
        read_tables(path).retention(segments)
    assert f"{path}: made for 1 to 64 segments, not {segments}" in str(caught.value)
    assert f"rmaat distill TRACES.nc --segments {segments}" in str(caught.value)


@pytest.mark.parametrize("segments", [0, -1])
def test_no_segments_are_refused(small, segments):
    with pytest.raises(TableError, match=f"not {segments}"):
        small.retention_rows(segments)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("incremnt", "perhaps you meant increment"),
        ("stream", "perhaps you meant streaming"),
        ("xyzq", "known are area, constant, horizon, increment, none, random, saturation, streaming"),
    ],
)
def test_an_unknown_variant_is_refused_with_names_that_exist(small, name, remedy):
    with pytest.raises(TableError, match=f"unknown retention variant '{name}'; {remedy}"):
        small.retention(3, name)


# Files that are not tables.


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileError, match=f"cannot read {re.escape(str(tmp_path))}/none.nc: No such file"):
        read_tables(tmp_path / "none.nc")


def test_a_folder_is_not_read_as_a_file(tmp_path):
    with pytest.raises(FileError, match="Is a directory"):
        read_tables(tmp_path)


def unreadable(path: Path) -> str:
    with pytest.raises(TableError) as caught:
        read_tables(path)
    assert str(caught.value) == f"{path} is not a complete tables file; make it again with: rmaat distill"
    return str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not a table\n" * 50, b"CDF\x02"])
def test_content_of_another_kind_is_refused(tmp_path, content):
    path = tmp_path / "tables.nc"
    path.write_bytes(content)
    assert unreadable(path)


def test_a_netcdf4_file_is_refused(small, tmp_path):
    path = tmp_path / "tables.nc"
    small.dataset.to_netcdf(path, engine="netcdf4", format="NETCDF4")
    with pytest.raises(TableError, match="is not a tables file; if it holds traces, give what rmaat distill"):
        read_tables(path)


def test_a_file_cut_anywhere_is_refused(small, tmp_path):
    write_tables(small, tmp_path / "whole.nc")
    content = (tmp_path / "whole.nc").read_bytes()
    path = tmp_path / "cut.nc"
    lengths = {*range(0, len(content), 61), *range(len(content) - 12, len(content))}
    assert len(lengths) > 100
    for length in lengths:
        path.write_bytes(content[:length])
        assert unreadable(path)


# From distance to tokens.


@pytest.mark.parametrize("spacing", [0.25, 1.0])
def test_the_whole_kernel_of_an_exponential_influence_is_the_exponential(traces, spacing):
    changed = traces.copy(deep=True)
    changed["influence"].values[:] = 0.3 * np.exp(-0.7 * changed["synapse_distance"].values)
    tables = distil(changed, DistillParameters(token_spacing=spacing))
    np.testing.assert_allclose(tables.decay_kernel(50), np.exp(-0.7 * spacing * np.arange(50)), rtol=1e-6)
    assert tables.decay_per_token == pytest.approx(0.7 * spacing, rel=1e-6)


def test_the_whole_kernel_meets_the_measured_strengths_and_keeps_falling_beyond_them(traces):
    tables = distil(traces, DistillParameters(token_spacing=0.5))
    found, kernel = tables.dataset, tables.decay_kernel(12)
    # Distances 0, 0.5, 1, 1.5 and 2 are those of tokens 0 to 4.
    expected = found["influence"].values[1:] / float(found["influence_amplitude"])
    assert kernel[0] == 1
    np.testing.assert_allclose(kernel[1:5], expected, rtol=1e-12)
    np.testing.assert_allclose(kernel[5:] / kernel[4:-1], np.exp(-tables.decay_per_token), rtol=1e-9)
    assert tables.decay_kernel(1).tolist() == [1.0]


# The geometric law.


def test_the_geometric_curve_is_the_least_squares_fit_of_its_rate(tables):
    growth, (law, end) = tables.dataset["long_term_curve"].values, tables.geometric_curve()
    assert end == pytest.approx(float(tables.dataset["law_saturation"]), rel=1e-6)
    assert abs((growth - law) @ law) < 1e-9


def test_the_geometric_factors_are_those_of_a_curve_that_follows_the_law(tables):
    segment = np.arange(1, 9)
    np.testing.assert_allclose(tables.geometric_retention(segment, 8), tables.retention(8), rtol=1e-4)


def test_the_fitted_influence_is_the_exponential_of_the_tables(tables):
    amplitude, scale = (float(tables.dataset[f"influence_{name}"]) for name in ("amplitude", "scale"))
    distance = np.array([0.0, 0.5, 2.0])
    np.testing.assert_allclose(tables.fitted_influence(distance), amplitude * np.exp(-scale * distance), rtol=1e-15)
