"""Tables without a part that the traces do not determine, and with an exponent that is given."""

import numpy as np
import pytest

from astro_sim import SimulationParameters, simulate, write_traces
from distill import DistillParameters, TableError, distil, read_tables, write_tables
from distill.comparison import compare
from distill.schema import ADDED_PARTS, LEFT_OUT, OPTIONAL_VARIANTS, PARTS
from distill.summary import summarize
from figures.folder import draw_all
from model import ModelParameters, build_model
from rmaat.base.records import ParameterError
from rmaat.cli import main


@pytest.fixture(scope="module")
def short_stimulus():
    # The response is still convex after 8 s: the fitted exponent is 1.12.
    return simulate(SimulationParameters().override({"stimulus_duration": 8.0, "run_duration": 150.0}))


@pytest.fixture(scope="module")
def without_exponent(short_stimulus):
    return distil(short_stimulus, DistillParameters(segments=4))


def test_a_failed_exponent_leaves_out_nothing_else(without_exponent):
    assert without_exponent.left_out.keys() == {"exponent", "exponent_fit"}
    assert "to the power 1.12" in without_exponent.left_out["exponent"]
    assert without_exponent.retention(4).sum() == pytest.approx(1)
    assert without_exponent.decay_per_token > 0


def test_only_the_reader_of_the_exponent_gets_the_error(without_exponent, tmp_path):
    write_tables(without_exponent, tmp_path / "tables.nc")
    stored = read_tables(tmp_path / "tables.nc")
    with pytest.raises(TableError, match=r"tables\.nc: the exponent is left out: .* power 1\.12.*--exponent 0\.25"):
        _ = stored.exponent


def test_a_model_that_needs_no_exponent_is_built_and_one_that_does_is_refused(without_exponent):
    small = {"segment_length": 4, "segments": 2, "width": 8, "heads": 2, "layers": 1}
    build_model(ModelParameters(exponent="one", **small), without_exponent)
    build_model(ModelParameters(architecture="rmt", **small), without_exponent)
    with pytest.raises(TableError, match="the exponent is left out"):
        build_model(ModelParameters(**small), without_exponent)


def test_the_summary_prints_the_reason_once(without_exponent):
    lines = summarize(without_exponent, 4).splitlines()
    assert [line for line in lines if line.startswith("left out")] == [
        f"left out: exponent: {without_exponent.left_out['exponent']}"
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"presynaptic_neurons": 4, "postsynaptic_neurons": 4, "layout": "equal"}, {"influence", "coupling"}),
        ({"presynaptic_neurons": 1, "postsynaptic_neurons": 1}, {"influence", "coupling"}),
        ({"drive_strongest": -1.0, "drive_weakest": -1.0}, {"exponent"}),
    ],
)
def test_what_a_network_does_not_determine_is_left_out_of_a_file_that_can_be_read(changes, parts, tmp_path):
    tables = distil(simulate(SimulationParameters().override({"run_duration": 150.0, **changes})))
    assert parts <= tables.left_out.keys()
    write_tables(tables, tmp_path / "tables.nc")
    assert read_tables(tmp_path / "tables.nc").left_out == tables.left_out
    summarize(tables, 4)
    assert "sim-coupling.png" not in [path.name for path in draw_all(tmp_path, tmp_path / "figures")]


@pytest.mark.parametrize("exponent", [0.25, 1.7])
def test_a_given_exponent_is_used_and_recorded_as_given(short_stimulus, exponent, tmp_path):
    tables = distil(short_stimulus, DistillParameters(segments=4, exponent=exponent))
    write_tables(tables, tmp_path / "tables.nc")
    stored = read_tables(tmp_path / "tables.nc")
    assert stored.exponent == exponent
    assert stored.dataset["exponent"].attrs["source"] == "given, not fitted"
    assert "exponent_interval" not in stored.dataset
    assert f"presynaptic exponent {exponent:g}, given, not fitted" in summarize(stored, 4)


def test_the_command_takes_an_exponent_and_refuses_a_negative_one(short_stimulus, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_traces(short_stimulus, tmp_path / "sim.nc")
    assert main(["distill", "sim.nc", "--exponent", "0.25", "--out", "given.nc"]) == 0
    assert read_tables(tmp_path / "given.nc").exponent == 0.25
    assert main(["distill", "sim.nc", "--exponent-range-start", "0.9", "--out", "late.nc"]) == 0
    capsys.readouterr()
    with pytest.raises(ParameterError, match=r"exponent is -1\.0; it must be 0 or more"):
        DistillParameters(exponent=-1.0)


def test_a_part_that_is_missing_without_a_reason_is_refused(without_exponent):
    with pytest.raises(TableError, match="the variable exponent is missing"):
        type(without_exponent)(without_exponent.dataset.assign_attrs({LEFT_OUT: "{}"}))


def test_tables_of_before_the_new_parts_are_read_and_count_as_equal(tables):
    added = [name for part in ADDED_PARTS for name in PARTS[part] if name in tables.dataset]
    rest = [name for name in tables.variants if name not in OPTIONAL_VARIANTS]
    dataset = tables.dataset.drop_vars(added).sel(variant=rest)
    del dataset.attrs[LEFT_OUT]
    older = type(tables)(dataset)
    assert not [difference for difference in compare(older, tables) if difference.matters]
    np.testing.assert_array_equal(older.retention(8), tables.retention(8))
    with pytest.raises(TableError, match="the variant trace_area is left out: the file is older; make it again"):
        older.retention(8, "trace_area")


def test_tables_with_and_without_an_exponent_differ(without_exponent, short_stimulus):
    given = distil(short_stimulus, DistillParameters(segments=4, exponent=0.25))
    assert "exponent: left out | present" in map(str, compare(without_exponent, given))
