"""`rmaat distill`, `rmaat distill show` and `rmaat distill diff`."""

import json
import re

import pytest

from astro_sim import simulate, write_traces
from distill import read_tables
from rmaat.cli import main


@pytest.fixture(scope="module")
def traces(tmp_path_factory):
    path = tmp_path_factory.mktemp("traces") / "sim.nc"
    write_traces(simulate(), path)
    return str(path)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def shown(capsys, *arguments):
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_a_length_in_tokens_becomes_whole_segments(capsys, traces, tmp_path):
    output = shown(capsys, "distill", traces, "--length", "8000", "--segment-length", "512", "--out", "tables.nc")
    assert read_tables(tmp_path / "tables.nc").longest == 16
    assert "T = 16" in output


def test_each_factor_is_printed_with_the_share_of_its_segment_that_is_left_at_the_end(capsys, traces):
    output = shown(capsys, "distill", traces, "--segments", "4", "--out", "tables.nc")
    rows = re.findall(r"^(\d)  (\d\.\d{4})  (\S+)$", output, flags=re.MULTILINE)
    assert [row[0] for row in rows] == ["1", "2", "3", "4"]
    factors, left = [float(row[1]) for row in rows], [float(row[2]) for row in rows]
    assert left == pytest.approx(
        [factors[0] * factors[1] * factors[2], factors[1] * factors[2], factors[2], 1], rel=0.01
    )
    assert "a = 0.5000" in output
    assert "the parent paper has 0.25" in output
    assert "the coupling put in with 1.000" in output


def test_json_of_distilling_and_of_showing_its_file_are_the_same(capsys, traces):
    distilled = shown(capsys, "distill", traces, "--segments", "6", "--out", "tables.nc", "--json")
    assert json.loads(distilled)["retention"]["increment"] == read_tables("tables.nc").retention(6).tolist()
    assert shown(capsys, "distill", "show", "tables.nc", "--segments", "6", "--json") == distilled


def test_a_long_sequence_is_printed_with_its_ends_and_the_extrapolated_share(capsys, traces):
    output = shown(capsys, "distill", traces, "--segments", "4096", "--variant", "horizon", "--out", "tables.nc")
    assert "\n...\n" in output
    assert "\n4096  " in output
    assert "4090 of 4096 increments are the law's" in output
    assert "horizon: exact scaling of the geometric law" in output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--length", "100"], "give the length by --segments, or by --length and --segment-length together"),
        (["--segment-length", "100"], "give the length by --segments, or by --length and --segment-length together"),
        (
            ["--length", "9", "--segment-length", "3", "--segments", "3"],
            "give the length by --segments, or by --length",
        ),
        (["--length", "0", "--segment-length", "3"], "--length 0 and --segment-length 3 must both be 1 or more"),
        (
            ["--length", "9000", "--segment-length", "1"],
            "--length 9000 in segments of 1 is 9000 segments; tables serve 4096 at most",
        ),
    ],
)
def test_an_invalid_length_is_refused(capsys, traces, arguments, sentence):
    assert main(["distill", traces, *arguments]) == 2
    assert sentence in capsys.readouterr().err


def test_an_unknown_variant_writes_nothing(capsys, traces, tmp_path):
    assert main(["distill", traces, "--variant", "horizn", "--out", "tables.nc"]) == 1
    assert "perhaps you meant horizon" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_show_prints_the_provenance_and_every_variant(capsys, traces, tmp_path):
    shown(capsys, "distill", traces, "--segments", "5", "--out", "tables.nc")
    output = shown(capsys, "distill", "show", "tables.nc", "--variant", "random")
    tables = read_tables(tmp_path / "tables.nc")
    assert tables.dataset.attrs["traces_sha256"] in output
    assert "rmaat-tables version 2" in output
    for variant in tables.variants:
        assert re.search(rf"^{variant} .*{tables.retention(5, variant)[-1]:.4f}$", output, flags=re.MULTILINE)


def test_diff_accepts_equal_tables_and_fails_with_a_list_of_differences(capsys, traces):
    for name, segments, spacing in (("a", "5", "1"), ("b", "5", "1"), ("c", "6", "0.5")):
        shown(capsys, "distill", traces, "--segments", segments, "--token-spacing", spacing, "--out", f"{name}.nc")
    assert shown(capsys, "distill", "diff", "a.nc", "b.nc") == "a.nc and b.nc have the same content\n"
    assert main(["distill", "diff", "a.nc", "c.nc"]) == 1
    found = capsys.readouterr()
    assert found.out.splitlines() == [
        "most segments: 5 | 6",
        "token_spacing: 1 | 0.5",
        "(distillation parameter segments: 5 | 6)",
        "(distillation parameter token_spacing: 1.0 | 0.5)",
    ]
    assert found.err == "rmaat: a.nc and c.nc differ in 2 points\n"
