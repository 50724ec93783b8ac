import json
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from astro_sim import SimulationError, SimulationParameters, content_digest, read_traces, simulate, write_traces
from astro_sim.runs.schema import DIMS, VARIED
from astro_sim.runs.traces import stack_trials


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "traces.nc"


def test_traces_survive_the_file(default_traces: xr.Dataset, path: Path):
    write_traces(default_traces, path)
    xr.testing.assert_identical(read_traces(path), default_traces)
    assert content_digest(read_traces(path)) == content_digest(default_traces)


def test_ordinary_tools_find_axes_units_and_names_in_the_file(default_traces: xr.Dataset, path: Path):
    write_traces(default_traces, path)
    with netCDF4.Dataset(path) as file:
        assert file.Conventions == "CF-1.11"
        for name, dims in DIMS.items():
            assert file[name].dimensions == dims
            if not name.startswith("source_"):
                assert file[name].units == ("s" if name in ("time", "cycle_end") else "1")
            assert file[name].long_name


def test_a_file_that_is_open_already_can_be_opened_again(default_traces: xr.Dataset, path: Path):
    write_traces(default_traces, path)
    with netCDF4.Dataset(path) as file:
        # In this library a second handle on texts of variable length reads freed memory.
        assert not [name for name, variable in file.variables.items() if variable.dtype is str]
    first, second = xr.open_dataset(path), xr.open_dataset(path)
    assert list(second["space"].values) == list(first["space"].values) == ["x", "y"]
    first.close()
    second.close()


def test_the_file_holds_every_parameter_with_unit_bounds_and_source(default_traces: xr.Dataset):
    attributes = default_traces.attrs
    parameters = SimulationParameters.from_dict(json.loads(attributes["parameters"]))
    assert parameters == SimulationParameters()
    details = json.loads(attributes["parameter_details"])
    assert set(details) == {path[-1] for path, _, _ in parameters.parameters()}
    assert details["cycle_duration"]["source"] == "the RMAAT paper (arXiv 2601.00426)"
    assert details["cycle_duration"]["unit"] == "s"
    assert {"python", "numpy", "scipy", "xarray", "rmaat-toolkit"} <= set(json.loads(attributes["versions"]))


def test_the_digest_is_equal_for_equal_input_only(default_traces: xr.Dataset):
    assert content_digest(simulate()) == content_digest(default_traces)
    other = default_traces.copy(deep=True)
    other.coupling[0, 0, 1] += 1e-16
    assert content_digest(other) != content_digest(default_traces)
    renamed = default_traces.assign_attrs(seed=1)
    assert content_digest(renamed) != content_digest(default_traces)


def test_traces_from_before_the_driven_influence_are_read(default_traces: xr.Dataset, path: Path):
    write_traces(default_traces.drop_vars("influence_driven"), path)
    xr.testing.assert_identical(read_traces(path), default_traces.drop_vars("influence_driven"))


def test_a_driven_influence_over_other_axes_is_refused(default_traces: xr.Dataset, path: Path):
    turned = default_traces["influence_driven"].transpose("post", "pre", "source")
    write_traces(default_traces.assign(influence_driven=turned), path)
    with pytest.raises(
        SimulationError, match=r"influence_driven over \(post, pre, source\), not \(source, post, pre\)"
    ):
        read_traces(path)


def test_a_run_without_a_drive_has_no_driven_influence():
    silent = SimulationParameters().override({"drive_strongest": 0.0, "drive_weakest": 0.0, "run_duration": 50.0})
    assert "influence_driven" not in simulate(silent)


def test_every_source_has_the_index_of_its_synapse(default_traces: xr.Dataset):
    for source in range(9):
        pair = default_traces.isel(source=source)
        at = {"post": int(pair.source_post), "pre": int(pair.source_pre)}
        assert pair.synapse_distance.isel(at) == 0
        assert pair.coupling.isel(at) == 0
        assert pair.influence.isel(at) == pair.influence.max()


def with_value(dataset: xr.Dataset, name: str, index: tuple[int, ...], value: float) -> xr.Dataset:
    values = dataset[name].values.copy()
    values[index] = value
    return dataset.assign({name: (dataset[name].dims, values)})


def test_variables_that_noise_changes_have_an_axis_of_trials_also_in_a_file(default_traces, tmp_path):
    twice = default_traces["long_term_process"].copy(data=2 * default_traces["long_term_process"].values)
    doubled = default_traces.assign(long_term_process=twice)
    trials = stack_trials([default_traces, doubled], VARIED, [5, 9])
    assert trials["long_term_process"].dims == ("trial", "time", "post", "pre")
    assert trials["presynaptic_drive"].dims == ("time", "pre")
    assert trials["noise_seed"].values.tolist() == [5, 9]
    for trial, traces in enumerate((default_traces, doubled)):
        found = trials["long_term_process"].isel(trial=trial, drop=True)
        np.testing.assert_array_equal(found, traces["long_term_process"])
        assert found.attrs == traces["long_term_process"].attrs
    write_traces(trials, tmp_path / "trials.nc")
    xr.testing.assert_identical(read_traces(tmp_path / "trials.nc"), trials)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda d: d.assign_attrs(schema_version=2), "has schema version 2, and this toolkit reads 3"),
        (lambda d: d.transpose("time", "trial", ...), r"over \(time, trial, pre\), not \(trial, time, pre\)"),
        (
            lambda d: with_value(d, "long_term_process", (1, 4, 1, 2), np.nan),
            "has nan in long_term_process at trial 1, time 2 s, post 1, pre 2",
        ),
    ],
)
def test_a_defect_in_one_trial_is_reported_with_its_trial(default_traces, tmp_path, spoil, sentence):
    write_traces(spoil(stack_trials([default_traces] * 2, VARIED, [1, 2])), tmp_path / "trials.nc")
    with pytest.raises(SimulationError, match=sentence):
        read_traces(tmp_path / "trials.nc")


def test_a_value_that_was_changed_in_the_file_is_reported(default_traces: xr.Dataset, path: Path):
    write_traces(default_traces, path)
    with netCDF4.Dataset(path, "a") as file:
        file["coupling"][0, 0, 1] *= 1 + 1e-15
    with pytest.raises(SimulationError, match=r"was changed after it was written \(another SHA-256\); make it again"):
        read_traces(path)
    # One that another program wrote has no seal; its digest is compared.
    digest = content_digest(default_traces)
    changed = with_value(default_traces, "coupling", (0, 0, 1), 0.5)
    changed.assign_attrs(content_sha256=digest).to_netcdf(path)
    with pytest.raises(SimulationError, match=r"was changed after it was written \(another SHA-256\); make it again"):
        read_traces(path)
    # Files of before there was a digest are read.
    changed.to_netcdf(path)
    assert float(read_traces(path)["coupling"][0, 0, 1]) == 0.5


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda d: d.assign_attrs(schema="other"), r"is not a traces file \(schema 'other'"),
        (lambda d: d.assign_attrs(schema_version=99), "has schema version 99, and this toolkit reads 2"),
        (
            lambda d: d.drop_attrs(deep=False).assign_attrs(schema="rmaat-traces", schema_version=2),
            "the attribute engine",
        ),
        (lambda d: d.drop_vars("long_term_process"), "lacks the variable long_term_process"),
        (lambda d: d.drop_vars("time"), "lacks the variable time"),
        (lambda d: d.transpose("pre", "post", ...), r"has presynaptic_activity over \(pre, time\), not \(time, pre\)"),
        (lambda d: d.assign(coupling=d.coupling.astype(int)), "has coupling as int64"),
        (lambda d: d.drop_vars("source_pre"), "lacks the variable source_pre"),
        (lambda d: d.assign_coords(source_pre=d.source_pre * 0.5), "has source_pre as float64, not as whole numbers"),
        (
            lambda d: with_value(d, "short_term_process", (4, 1, 2), np.nan),
            "has nan in short_term_process at time 2 s, post 1, pre 2",
        ),
        (
            lambda d: with_value(d, "coupling", (5, 0, 1), np.inf),
            "has inf in coupling at source 5, post 0, pre 1",
        ),
        (lambda d: d.assign_coords(time=d.time.values[::-1]), r"times that do not increase \(299.5 s follows 300 s\)"),
        (lambda d: d.assign_coords(time=d.time.assign_attrs(units="ms")), "has time in the unit 'ms', not 's'"),
        (lambda d: d.assign(cycle_end=d.cycle_end * 0 + 300), "has cycles that do not end one after the other"),
        (lambda d: d.isel(cycle=[0, 2, 3]), "has cycles of 50 s and of 100 s"),
        (lambda d: d.isel(cycle=[]), "has no value of cycle_end"),
        (lambda d: d.isel(source=[]), "has no value of synapse_distance"),
        (lambda d: d.isel(post=[0]), "has 2 in source_post, but post counts from 0 to 0"),
        (lambda d: d.assign_coords(source_pre=d.source_pre - 5), "has -5 in source_pre"),
        (lambda d: d.assign_attrs(parameters="3"), "has the attribute parameters, which does not hold names"),
        (lambda d: d.assign_attrs(parameters='{"solver": 3}'), "has the attribute parameters, which does not hold"),
        (lambda d: d.assign_attrs(versions="["), "has the attribute versions, which does not hold names"),
    ],
)
def test_an_invalid_file_is_refused_with_its_first_problem(
    default_traces: xr.Dataset, path: Path, spoil, sentence: str
):
    spoil(default_traces).to_netcdf(path, engine="netcdf4")
    with pytest.raises(SimulationError, match=sentence) as caught:
        read_traces(path)
    assert str(caught.value).startswith(str(path))
    assert "rmaat simulate" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"time,p\n0,1\n", b"\x89HDF\r\n\x1a\n" + bytes(200)])
def test_a_file_of_another_kind_or_cut_short_is_refused(path: Path, content: bytes):
    path.write_bytes(content)
    with pytest.raises(SimulationError, match="is not a NetCDF file that can be read"):
        read_traces(path)


def test_a_traces_file_cut_in_half_is_refused(default_traces: xr.Dataset, path: Path):
    write_traces(default_traces, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SimulationError, match="is not a NetCDF file that can be read"):
        read_traces(path)


def test_the_error_for_a_missing_file_says_that_it_does_not_exist(path: Path):
    with pytest.raises(SimulationError, match="does not exist"):
        read_traces(path)


def test_a_file_is_closed_after_reading_and_can_be_replaced(default_traces: xr.Dataset, path: Path):
    write_traces(default_traces, path)
    read_traces(path)
    write_traces(default_traces, path)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
