"""Tables that are incomplete, invalid or changed are refused by one sentence that names the fault."""

import re

import numpy as np
import pytest

from distill import TableError, Tables, read_tables, write_tables
from distill.schema import INTERVALS, PROVENANCE, VARIABLES

# Exact laws have no tail.
NAMES = sorted({*VARIABLES} - {"tail_rate"})
FLAGS = [name for name in NAMES if VARIABLES[name].flags]
AXES = ("length", "segment", "distance")


@pytest.fixture
def refused(small, tmp_path):
    """Write the tables after `change`, unchecked, and return the sentence with which they are refused."""

    def write_and_read(change, **options) -> str:
        dataset = small.dataset.copy(deep=True)
        path = tmp_path / "changed.nc"
        path.write_bytes(bytes((change(dataset) or dataset).to_netcdf(engine="scipy", **options)))
        with pytest.raises(TableError) as caught:
            read_tables(path)
        sentence = str(caught.value)
        assert sentence.startswith(f"{path}: ")
        assert "\n" not in sentence
        return sentence.removeprefix(f"{path}: ")

    return write_and_read


def poke(variable, place, value):
    """A change that puts `value` at one place of `variable`."""

    def change(dataset):
        dataset[variable].values[place] = value

    return change


def coordinate_poke(name, place, value):
    """A change of one place along an axis, which xarray does not change in place."""

    def change(dataset):
        values = dataset[name].values.copy()
        values[place] = value
        return dataset.assign_coords({name: (name, values, dataset[name].attrs)})

    return change


def retention_poke(part, variant, count, factor):
    """A change that multiplies the weight of segment `count`, or the total of length `count`, by `factor`."""

    def change(dataset):
        row = list(dataset["variant"].values).index(variant)
        dataset[f"retention_{part}"].values[row, count - 1] *= factor

    return change


# What is written comes back.


def test_another_schema_is_refused(refused):
    sentence = refused(lambda dataset: dataset.assign_attrs(schema="rmaat-traces"))
    assert "schema rmaat-traces version 2 found, rmaat-tables version 2 wanted" in sentence
    assert "rmaat distill" in sentence


@pytest.mark.parametrize("version", [1, 3])
def test_an_earlier_or_later_version_is_refused(refused, version):
    assert refused(lambda dataset: dataset.assign_attrs(schema_version=version)) == (
        f"schema rmaat-tables version {version} found, rmaat-tables version 2 wanted; "
        "make the tables again with: rmaat distill"
    )


def test_a_netcdf_file_without_a_schema_is_refused(refused):
    assert "schema None version None found" in refused(lambda dataset: dataset.drop_attrs())


@pytest.mark.parametrize("name", PROVENANCE)
def test_a_missing_attribute_of_provenance_is_named(refused, name):
    def change(dataset):
        del dataset.attrs[name]

    assert refused(change) == f"the attribute {name} is missing"


@pytest.mark.parametrize("name", [*(name for name in NAMES if name != "exponent_correlation"), "variant"])
def test_a_missing_variable_is_named(refused, name):
    assert refused(lambda dataset: dataset.drop_vars(name)) == f"the variable {name} is missing"


def test_every_variable_that_distil_writes_is_checked(small):
    assert set(small.dataset.variables) == {*NAMES, "variant", "law", "kernel"}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in AXES])
def test_a_variable_over_other_axes_is_refused(refused, name):
    def change(dataset):
        old = dataset[name]
        others = [f"other_{dimension}" for dimension in old.dims] or ["other"]
        return dataset.drop_vars(name).assign({name: (others, np.reshape(old.values, old.shape or (1,)))})

    sentence = refused(change)
    assert sentence.startswith(f"{name} has the dimensions ('other")
    assert sentence.endswith(f", not {VARIABLES[name].dims}")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", [name for name in NAMES if name not in FLAGS])
def test_a_value_that_is_not_finite_is_refused(refused, name, value):
    def change(dataset):
        values = dataset[name].values.astype(float)
        values[(-1,) * values.ndim] = value
        return dataset.assign({name: (dataset[name].dims, values, dataset[name].attrs)})

    assert refused(change) == f"{name} holds a value that is not finite"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in FLAGS])
def test_another_unit_or_none_is_refused(refused, name):
    def change(dataset):
        dataset[name].attrs["units"] = "ms"

    assert refused(change) == f"{name} is in the unit 'ms', not {VARIABLES[name].units!r}"


@pytest.mark.parametrize("name", [name for name in NAMES if VARIABLES[name].above > -np.inf])
def test_a_value_at_its_lower_end_is_refused_where_it_must_lie_above(refused, name):
    change = poke(name, (0,) * len(VARIABLES[name].dims), VARIABLES[name].above)

    assert refused(change).startswith(f"{name} holds {VARIABLES[name].above:g}; it must be above ")


@pytest.mark.parametrize("name", [name for name in NAMES if VARIABLES[name].least > -np.inf])
def test_a_value_below_its_lower_end_is_refused(refused, name):
    change = (coordinate_poke if name in AXES else poke)(
        name, (0,) * len(VARIABLES[name].dims), VARIABLES[name].least - 1
    )

    assert refused(change).startswith(f"{name} holds {VARIABLES[name].least - 1:g}; it must be ")


@pytest.mark.parametrize("name", ["exponent", "influence_scale"])
def test_text_in_place_of_a_number_is_refused(refused, name):
    sentence = refused(lambda dataset: dataset.assign({name: ((), "a quarter")}))
    assert sentence.startswith(f"{name} holds ")
    assert sentence.endswith("values, not numbers")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (retention_poke("weight", "increment", 3, -1e-6), "factors of increment must lie between 0 and 1"),
        (retention_poke("weight", "streaming", 3, -1e-6), "factors of streaming must lie between 0 and 1"),
        (retention_poke("weight", "none", 4, 1.001), "factors of none must lie between 0 and 1"),
        (retention_poke("total", "increment", 4, -1.0), "factors of increment must lie between 0 and 1"),
        (retention_poke("total", "none", 4, 0.0), "factors of none must lie between 0 and 1"),
        (retention_poke("total", "saturation", 1, 0.3), "factors of saturation must lie between 0 and 1"),
        (retention_poke("weight", "increment", 4, 0.5), "factors of increment do not sum to 1"),
        (retention_poke("total", "increment", 5, 1.001), "factors of increment do not sum to 1"),
        (retention_poke("total", "constant", 4, 1.2), "factors of constant do not sum to 1"),
        (retention_poke("weight", "saturation", 4, 1.8), "factors of saturation increase from one segment to the next"),
        (lambda dataset: dataset.isel(length=slice(0, 3)), "there are 3 lengths but 5 segments"),
        (lambda dataset: dataset.isel(segment=slice(0, 3)), "there are 5 lengths but 3 segments"),
        (retention_poke("weight", "area", 3, 1.5), "factors of area do not sum to 1"),
        (retention_poke("total", "random", 5, 1.001), "factors of random do not sum to 1"),
        (retention_poke("weight", "horizon", 3, -1.0), "factors of horizon must lie between 0 and 1"),
        (poke("retention_form", 0, 1), "retention_form of increment is 1"),
        (poke("retention_form", 2, 7), "retention_form holds a value that is none of its flags, 0 to 2"),
        (poke("increment_simulated", 1, 2), "increment_simulated holds a value that is none of its flags, 0 to 1"),
        (poke("increment", 2, 0.5), "factors of increment do not follow from the law and the increments"),
        (lambda dataset: dataset.assign_coords(variant=["xyz", *dataset["variant"].values[1:]]), "variant 'xyz'"),
        (lambda dataset: dataset.isel(variant=[0, 0, 2, 3, 4, 5, 6, 7]), "variant increment occurs 2 times, not once"),
        (lambda dataset: dataset.isel(variant=slice(0, 7)), "variant random occurs 0 times, not once"),
        (coordinate_poke("length", 0, 2), "length does not count from 1"),
        (coordinate_poke("segment", 4, 9), "segment does not count from 1"),
        (coordinate_poke("distance", 1, 7.0), "distance does not increase"),
        (poke("random_order", 0, 1), "random_order does not hold each segment once"),
        (poke("law_share", 0, 0.9), "the shares of the law sum to 0.9, not to 1"),
        (poke("law_stretch", (), 1.2), "law_stretch is 1.2; increments fall only up to 1"),
        (poke("horizon_cycles", (), 5.0), "the law has grown to 0.9179 of its end in horizon_cycles, not to 0.9502"),
        (poke("law_rate", 0, 0.6), "in horizon_cycles, not to 0.9502"),
        (poke("exponent_range", 0, 99.0), "exponent_range goes from 99 to"),
        (lambda dataset: dataset.isel(bound=[0]), "an interval has 1 ends, not 2"),
        (poke("exponent", (), 0.0), "the exponent is 0; it must lie above 0 and at most at 1"),
        (poke("exponent", (), -0.25), "the exponent is -0.25"),
        (poke("exponent", (), 1.01), "the exponent is 1.01"),
        (lambda dataset: dataset.assign_attrs(parameters="{"), "the attribute parameters is not JSON"),
        (lambda dataset: dataset.assign_attrs(solver=3), "the attribute solver is not JSON"),
        (lambda dataset: dataset.assign_attrs(traces_sha256="0"), "the attribute traces_sha256 is not a SHA-256"),
    ],
)
def test_an_impossible_value_is_refused_by_its_own_sentence(refused, change, expected):
    assert expected in refused(change)


def test_a_swap_of_two_weights_is_refused_even_where_the_totals_follow(refused):
    def change(dataset):
        weight = dataset["retention_weight"].values[0]
        weight[[0, 1]] = weight[[1, 0]]
        dataset["retention_total"].values[0] = weight.cumsum()

    assert "factors of increment increase from one segment to the next" in refused(change)


@pytest.mark.parametrize("name", INTERVALS)
def test_a_value_outside_its_interval_is_refused(refused, name):
    def change(dataset):
        dataset[f"{name}_interval"].values[:] = (7, 8)

    assert re.fullmatch(rf"{name} is \S+, outside its interval from 7 to 8", refused(change))


def test_a_unit_that_looks_like_a_date_is_refused_as_a_unit(refused):
    def change(dataset):
        dataset["increment"].attrs["units"] = "days since 2000-01-01"

    assert refused(change) == "increment is in the unit 'days since 2000-01-01', not '1'"


# Tables that are valid but were changed after they were written.


@pytest.mark.parametrize("name", ["coupling", "exponent_residual", "token_spacing", "influence_kernel_scale"])
def test_a_number_changed_after_writing_is_noticed(refused, name):
    def change(dataset):
        dataset[name].values[(-1,) * dataset[name].ndim] *= 1 + 1e-12

    assert refused(change).startswith("the content was changed after it was written: its SHA-256 is ")


@pytest.mark.parametrize("name", ["engine", "versions", "title"])
def test_provenance_changed_after_writing_is_noticed(refused, name):
    changed = {"engine": "brian2", "versions": "{}", "title": "Tables"}
    assert refused(lambda dataset: dataset.assign_attrs({name: changed[name]})).startswith("the content was changed")


def test_tables_without_a_digest_are_refused(refused):
    def change(dataset):
        del dataset.attrs["content_sha256"]

    assert refused(change) == "the attribute content_sha256 is missing"


def test_one_changed_byte_is_noticed_unless_it_is_padding(small, tmp_path):
    write_tables(small, tmp_path / "whole.nc")
    content, path = (tmp_path / "whole.nc").read_bytes(), tmp_path / "changed.nc"
    noticed = 0
    places = range(7, len(content), 307)
    for place in places:
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        try:
            # A byte of padding between two arrays may change without a change of the content.
            assert read_tables(path).dataset.identical(small.dataset)
        except TableError:
            noticed += 1
    assert noticed > 0.8 * len(places)


def test_tables_made_in_memory_are_checked_too(small):
    dataset = small.dataset.copy(deep=True)
    dataset["exponent"].values[()] = 2
    with pytest.raises(TableError, match="tables in memory: the exponent is 2"):
        Tables(dataset)
