"""`rmaat export` of traces; tests/rmaat/test_own_data.py exports models."""

from pathlib import Path

import pytest

from astro_sim import SimulationParameters, read_traces, simulate, write_traces
from distill import default_tables, write_tables
from rmaat.cli import main


@pytest.fixture(autouse=True)
def _traces_and_tables(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_traces(simulate(SimulationParameters().override({"run_duration": 50})), "sim.nc")
    write_tables(default_tables(), "tables.nc")


def test_traces_become_a_valid_nwb_file(capsys):
    pynwb = pytest.importorskip("pynwb")
    assert main(["export", "sim.nc", "--to", "sim.nwb"]) == 0
    assert capsys.readouterr().out == "sim.nwb: traces as NWB\n"
    assert pynwb.validate(path="sim.nwb") == []
    with pynwb.NWBHDF5IO("sim.nwb", "r") as stream:
        states = stream.read().processing["simulation"].data_interfaces
        assert states["short_term_process"].data.shape == read_traces("sim.nc").short_term_process.shape


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sim.nc", "--to", "sim.txt"], "give --to a name that ends with .nwb, not sim.txt"),
        (["tables.nc", "--to", "sim.nwb"], "tables.nc is not a traces file"),
        (["sim.n", "--to", "sim.nwb"], "sim.n does not exist; give a run folder, an exported folder or a traces file"),
        (["sim.nc", "--to", "tables.nc"], "give --to a name that ends with .nwb, not tables.nc"),
    ],
)
def test_what_cannot_be_exported_is_refused(capsys, words, message):
    assert main(["export", *words]) != 0
    assert message in capsys.readouterr().err
    assert not Path("sim.nwb").exists()
