"""A stored file of schema version 1 reads as version 2."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from distill import TableError, read_tables, write_tables
from distill.schema import SCHEMA_VERSION, VARIABLES, VARIANTS
from distill.upgrade import VERSION_1

STORED = Path(__file__).with_name("tables_schema_1.nc")


@pytest.fixture(scope="module")
def upgraded():
    return read_tables(STORED)


@pytest.fixture(scope="module")
def stored():
    with xr.open_dataset(STORED, engine="scipy") as dataset:
        return dataset.load()


def test_what_version_1_held_is_kept(upgraded, stored):
    assert stored.attrs["schema_version"] == 1
    for name in stored.data_vars:
        if name not in ("retention_weight", "retention_total"):
            np.testing.assert_array_equal(upgraded.dataset[name], stored[name])
    for variant in stored["variant"].values:
        for part in ("retention_weight", "retention_total"):
            kept, old = (dataset[part].sel(variant=variant) for dataset in (upgraded.dataset, stored))
            np.testing.assert_array_equal(kept, old)
    for name in ("parameters", "engine", "seed", "traces_sha256"):
        assert upgraded.dataset.attrs[name] == stored.attrs[name]


def test_what_is_new_equals_tables_distilled_afresh(upgraded, tables):
    assert upgraded.variants == VARIANTS
    for variant in VARIANTS:
        for segments in (1, 6, 64):
            fresh = tables.retention(segments, variant)
            np.testing.assert_allclose(upgraded.retention(segments, variant), fresh, rtol=1e-6, err_msg=variant)
    assert upgraded.decay_per_token == pytest.approx(tables.decay_per_token, rel=1e-6)
    np.testing.assert_allclose(upgraded.decay_kernel(6), tables.decay_kernel(6), rtol=1e-6)


def test_the_file_says_that_it_was_brought_up_and_lacks_only_what_the_traces_tell(upgraded):
    assert upgraded.dataset.attrs["schema_version"] == SCHEMA_VERSION
    assert upgraded.dataset.attrs["upgraded_from"] == 1
    missing = {name for name in VARIABLES if name not in upgraded.dataset}
    assert missing
    assert not any(VARIABLES[name].required for name in missing)


def test_what_was_brought_up_is_written_and_read_as_version_2(upgraded, tmp_path):
    write_tables(upgraded, tmp_path / "tables.nc")
    assert read_tables(tmp_path / "tables.nc").dataset.identical(upgraded.dataset)


@pytest.mark.parametrize("name", VERSION_1)
def test_a_version_1_file_without_a_variable_is_refused(stored, tmp_path, name):
    (tmp_path / "tables.nc").write_bytes(bytes(stored.drop_vars(name).to_netcdf(engine="scipy")))
    with pytest.raises(TableError, match=rf"tables.nc: .*{name}"):
        read_tables(tmp_path / "tables.nc")


def test_a_version_1_file_of_another_form_is_refused(stored, tmp_path):
    changed = stored.drop_vars("increment_rate").assign(increment_rate=("rate", [0.5, 0.6]))
    (tmp_path / "tables.nc").write_bytes(bytes(changed.to_netcdf(engine="scipy")))
    with pytest.raises(TableError, match="schema version 1 found, but not in its form"):
        read_tables(tmp_path / "tables.nc")


def test_a_version_1_file_whose_factors_are_wrong_is_refused(stored, tmp_path):
    changed = stored.copy(deep=True)
    changed["retention_weight"].values[0, 3] *= 2
    (tmp_path / "tables.nc").write_bytes(bytes(changed.to_netcdf(engine="scipy")))
    with pytest.raises(TableError, match="factors of increment"):
        read_tables(tmp_path / "tables.nc")
