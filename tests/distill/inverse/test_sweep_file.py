"""Files that hold no sweep are refused, and the summary and rank correlations of a sweep."""

import json

import netCDF4
import numpy as np
import pytest
import xarray as xr

from astro_sim import SimulationParameters
from astro_sim.sweep import RandomDesign, Span
from distill import TableError
from distill.inverse.sweep import Distillation, RateModelMeasure, sweep
from distill.inverse.sweep_file import rank_correlations, read_sweep, summary, write_sweep
from rmaat.base.files import FileError

BASE = SimulationParameters().override({"run_duration": 150.0, "recording_interval": 1.0, "relative_tolerance": 1e-3})


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> xr.Dataset:
    design = RandomDesign({"cycle_duration": Span(30, 100)}, 3, seed=1)
    return sweep(BASE, design, RateModelMeasure(Distillation((2, 4))), tmp_path_factory.mktemp("sweep") / "parts")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data.assign_attrs(schema="rmaat-tables"), "has schema 'rmaat-tables'"),
        (lambda data: data.assign_attrs(schema_version=9), "version 9"),
        (lambda data: data.drop_attrs(deep=False).assign_attrs(schema="rmaat-sweep", schema_version=1), "does not say"),
        (lambda data: data.assign_attrs(design="["), "does not say which parameters vary"),
        (lambda data: data.assign_attrs(design="3"), "does not say which parameters vary"),
        (lambda data: data.assign_attrs(design='{"values": [[1]]}'), "does not say which parameters vary"),
        (lambda data: data.drop_vars("message"), "lacks message"),
        (lambda data: data.drop_vars("cycle_duration"), "lacks cycle_duration"),
    ],
)
def test_a_file_that_is_no_sweep_is_refused(swept, tmp_path, change, words):
    write_sweep(change(swept), tmp_path / "sweep.nc")
    with pytest.raises(TableError, match=words):
        read_sweep(tmp_path / "sweep.nc")


def test_a_file_that_is_missing_or_no_netcdf_is_refused(tmp_path):
    (tmp_path / "text.nc").write_text("no")
    for name in ("missing.nc", "text.nc"):
        with pytest.raises(TableError, match="cannot be read as a sweep"):
            read_sweep(tmp_path / name)


def test_a_refused_write_is_a_sentence(swept, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("NetCDF: HDF error")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", refuse)
    with pytest.raises(FileError, match=r"cannot write .*sweep\.nc: NetCDF: HDF error \(is the disk full\?\)"):
        write_sweep(swept, tmp_path / "sweep.nc")
    assert not any(tmp_path.iterdir())


def test_texts_survive_the_file_and_have_a_fixed_length_in_it(swept, tmp_path):
    texts = swept.assign(message=("point", ["", "too strong", "été"]))
    write_sweep(texts, tmp_path / "sweep.nc")
    assert list(read_sweep(tmp_path / "sweep.nc")["message"].values) == ["", "too strong", "été"]
    # The NetCDF library crashes if it opens a file with texts of variable length twice.
    with netCDF4.Dataset(tmp_path / "sweep.nc") as file:
        assert not [name for name, variable in file.variables.items() if variable.dtype is str]


def test_another_value_or_byte_is_found(swept, tmp_path):
    path = tmp_path / "sweep.nc"
    write_sweep(swept, path)
    with netCDF4.Dataset(path, "a") as file:
        file["increment_rate"][0] += 1e-9
    with pytest.raises(TableError, match="changed after it was written"):
        read_sweep(path)
    write_sweep(swept, path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(TableError, match="changed after it was written"):
        read_sweep(path)


def test_rank_correlations_are_large_only_for_parameters_with_an_effect():
    generator = np.random.default_rng(0)
    rising, falling, idle = generator.random((3, 400))
    rate = np.exp(3 * rising) * (1.2 - falling)
    rate[5] = np.nan
    names = {"rising": rising, "falling": falling, "idle": idle, "layout": np.array(["line", "grid"] * 200)}
    dataset = xr.Dataset(
        {"increment_rate": ("point", rate), "exponent": ("point", np.ones(400))},
        {name: ("point", values) for name, values in names.items()},
        {"design": json.dumps({"values": dict.fromkeys(names)})},
    )
    found = rank_correlations(dataset)
    assert found.keys() == {"rising", "falling", "idle"}
    assert found["rising"]["a"] > 0.95
    assert found["falling"]["a"] < -0.9
    assert abs(found["idle"]["a"]) < 0.15
    assert np.isnan(found["rising"]["alpha"])


def test_the_summary_has_the_retention_of_a_middle_length(swept):
    np.testing.assert_array_equal(summary(swept)["RF(1, 4)"], swept.retention.sel(length=4, segment=1))
