import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from astro_sim import SimulationError, SimulationParameters, simulate, write_traces
from distill import TableError, Tables, distil, write_tables
from figures import FigureError, draw_all, laws, linear_response
from model.errors import ModelError
from rmaat.base.errors import RmaatError

EVERYTHING = {"sim-dynamics", "tables-retention", "tables-variants", "tables-coupling", "listops-training"}


@pytest.fixture
def out(tmp_path):
    return tmp_path / "figures"


@pytest.fixture
def unrendered(monkeypatch):
    """Figures are drawn but written as empty files, where only their names matter."""

    def touch(_, stem, _form):
        stem.parent.mkdir(parents=True, exist_ok=True)
        paths = [stem.with_name(stem.name + suffix) for suffix in (".png", ".svg")]
        for path in paths:
            path.touch()
        return paths

    monkeypatch.setattr("figures.folder.save_figure", touch)


def stems(paths, out):
    """Stems of figures relative to `out`, each of which must be there as PNG and as SVG."""
    assert len(set(paths)) == len(paths)
    assert all(path.is_file() for path in paths)
    found = {suffix: {str(p.relative_to(out))[:-4] for p in paths if p.suffix == suffix} for suffix in (".png", ".svg")}
    assert found[".png"] == found[".svg"]
    assert len(paths) == 2 * len(found[".png"])
    return found[".png"]


@pytest.mark.slow
def test_traces_tables_and_run_folders_are_found_and_their_figures_named_after_them(runs, out):
    paths = draw_all(runs, out)
    assert stems(paths, out) == EVERYTHING
    assert sorted(out.iterdir()) == sorted(paths)


@pytest.mark.usefixtures("unrendered")
def test_tables_in_a_run_folder_are_not_drawn_again(runs, out):
    assert (runs / "listops" / "tables.nc").is_file()
    assert not any("listops" in stem and "retention" in stem for stem in stems(draw_all(runs, out), out))


@pytest.mark.usefixtures("unrendered")
def test_sources_of_the_same_name_in_different_folders_do_not_share_a_figure(runs, out, traces, add_run):
    write_traces(traces, runs / "a" / "sim.nc")
    write_traces(traces, runs / "a" / "b" / "sim.nc")
    write_traces(traces, runs / "a-b" / "sim.nc")
    write_traces(traces, runs / "sim.v2.nc")
    add_run(runs / "a" / "listops", evaluated=False)
    assert stems(draw_all(runs, out), out) == EVERYTHING | {
        "a/sim-dynamics",
        "a/b/sim-dynamics",
        "a-b/sim-dynamics",
        "sim.v2-dynamics",
        "a/listops-training",
    }


@pytest.mark.usefixtures("unrendered")
def test_a_run_folder_alone_is_drawn_with_or_without_nested_runs(out, tmp_path, add_run):
    add_run(tmp_path / "run")
    assert stems(draw_all(tmp_path / "run", out), out) == {"training"}
    add_run(tmp_path / "run" / "run")
    assert stems(draw_all(tmp_path / "run", out), out) == {"training", "run-training"}


@pytest.mark.usefixtures("unrendered")
def test_a_run_without_a_validation_is_skipped_with_its_tables(runs, out, add_run):
    add_run(runs / "young").metrics.unlink()
    assert stems(draw_all(runs, out), out) == EVERYTHING


@pytest.mark.usefixtures("unrendered")
def test_hidden_folders_and_files_and_other_netcdf_files_are_skipped(runs, out, traces):
    write_traces(traces, runs / ".cache" / "sim.nc")
    shutil.copy(runs / "sim.nc", runs / ".sim.nc.12.tmp")
    shutil.copy(runs / "sim.nc", runs / ".hidden.nc")
    xr.Dataset({"x": ("y", np.arange(3.0))}).to_netcdf(runs / "other.nc")
    xr.Dataset({"x": ("y", np.arange(3.0))}).to_netcdf(runs / "plain.nc", format="NETCDF3_64BIT")
    xr.Dataset(attrs={"schema": "something else"}).to_netcdf(runs / "another.nc", format="NETCDF3_64BIT")
    (runs / "folder.nc").mkdir()
    assert stems(draw_all(runs, out), out) == EVERYTHING


@pytest.mark.usefixtures("unrendered")
def test_sources_in_the_out_folder_are_not_drawn(runs, traces):
    out = runs / "figures"
    write_traces(traces, out / "copy.nc")
    assert stems(draw_all(runs, out), out) == EVERYTHING


@pytest.mark.usefixtures("unrendered")
def test_figures_may_be_written_beside_or_above_their_sources(runs):
    assert stems(draw_all(runs, runs), runs) == EVERYTHING
    assert stems(draw_all(runs, runs.parent), runs.parent) == EVERYTHING


def test_drawing_again_replaces_the_figures_with_the_same_bytes(tmp_path, out, add_run):
    add_run(tmp_path / "run")
    first = {path: path.read_bytes() for path in draw_all(tmp_path / "run", out)}
    assert {path: path.read_bytes() for path in draw_all(tmp_path / "run", out)} == first


@pytest.mark.parametrize("place", ["empty", "missing"])
def test_nothing_to_draw_is_an_error_that_says_what_to_run(tmp_path, out, place):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FigureError, match=r"no traces, tables or run folder .*: rmaat simulate --out .*sim\.nc"):
        draw_all(tmp_path / place, out)
    assert issubclass(FigureError, RmaatError)


def damage_traces(runs):
    content = (runs / "sim.nc").read_bytes()
    (runs / "sim.nc").write_bytes(content[: len(content) // 2])


def empty_traces(runs):
    (runs / "sim.nc").write_bytes(b"")


def lose_a_variable(runs):
    with xr.open_dataset(runs / "sim.nc") as dataset:
        dataset = dataset.load().drop_vars("long_term_process")
    dataset.to_netcdf(runs / "sim.nc")


def cut_tables_header(runs):
    (runs / "tables.nc").write_bytes((runs / "tables.nc").read_bytes()[:40])


def cut_tables_deeper(runs):
    (runs / "tables.nc").write_bytes((runs / "tables.nc").read_bytes()[:900])


def cut_tables_values(runs):
    content = (runs / "tables.nc").read_bytes()
    (runs / "tables.nc").write_bytes(content[: len(content) // 2])


def break_tables(runs):
    with xr.open_dataset(runs / "tables.nc") as dataset:
        dataset = dataset.load()
    dataset["retention_weight"][0, 0] = np.nan
    dataset.to_netcdf(runs / "tables.nc", engine="scipy", format="NETCDF3_64BIT")


def break_configuration(runs):
    (runs / "listops" / "configuration.json").write_text("{")


def break_metrics(runs):
    (runs / "listops" / "metrics.csv").write_text("step,epoch\n1,2\n")


def empty_metrics(runs):
    path = runs / "listops" / "metrics.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")


def break_evaluation(runs):
    (runs / "listops" / "evaluation.json").write_text(json.dumps({"accuracy": 0.5}))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "error", "words"),
    [
        (damage_traces, SimulationError, r"sim\.nc.*rmaat simulate"),
        (empty_traces, SimulationError, r"sim\.nc.*rmaat simulate"),
        (lose_a_variable, SimulationError, r"sim\.nc lacks the variable long_term_process"),
        (cut_tables_header, TableError, r"tables\.nc.*rmaat distill"),
        (cut_tables_deeper, TableError, r"tables\.nc.*rmaat distill"),
        (cut_tables_values, TableError, r"tables\.nc.*rmaat distill"),
        (break_tables, TableError, r"tables\.nc.*retention_weight holds a value that is not finite"),
        (break_configuration, ModelError, r"configuration\.json is damaged"),
        (break_metrics, ModelError, r"metrics\.csv is damaged"),
        (empty_metrics, FigureError, r"no validation in metrics\.csv"),
        (break_evaluation, ModelError, r"evaluation\.json is damaged.*rmaat evaluate"),
    ],
)
def test_a_damaged_file_is_named_by_its_reader_and_nothing_is_written(runs, out, damage, error, words):
    damage(runs)
    with pytest.raises(error, match=words):
        draw_all(runs, out)
    assert not out.exists()


@pytest.mark.usefixtures("unrendered")
def test_tables_are_found_at_any_depth(tmp_path, out, tables):
    write_tables(tables, tmp_path / "runs" / "deep" / "er" / "t.nc")
    assert stems(draw_all(tmp_path / "runs", out), out) == {
        f"deep/er/t-{name}" for name in ("retention", "variants", "coupling")
    }


@pytest.fixture(scope="module")
def models():
    """Three tables by name: two that differ in coupling strength alone, and one of another growth."""
    changes = {
        "strong": {"coupling_strength": 0.05},
        "weak": {"coupling_strength": 0.01},
        "soft": {"coupling_strength": 0.02, "long_term_growth": "soft_bound"},
    }
    short = SimulationParameters().override({"run_duration": 150, "recording_interval": 2.5})
    return {name: distil(simulate(short.override(change))) for name, change in changes.items()}


@pytest.mark.usefixtures("unrendered")
def test_comparable_tables_of_one_folder_are_compared(tmp_path, out, models):
    for name, each in models.items():
        write_tables(each, tmp_path / "runs" / "models" / f"{name}.nc")
    write_tables(models["weak"], tmp_path / "runs" / "alone.nc")
    found = stems(draw_all(tmp_path / "runs", out), out)
    alike = {f"{stem}-{figure}" for stem in models for figure in ("retention", "variants", "coupling")}
    compared = {"laws", "strong-linear-response"}
    assert {stem for stem in found if stem.startswith("models/")} == {f"models/{name}" for name in alike | compared}
    assert len(found) == 3 * 4 + 2


@pytest.mark.parametrize(("runs", "drawn"), [(1, False), (7, True), (8, False)])
def test_laws_of_two_to_seven_runs_are_compared(models, runs, drawn):
    dataset = models["weak"].dataset
    tables = {str(run): Tables(dataset.assign_attrs(traces_sha256=f"{run:064x}")) for run in range(runs)}
    assert bool(laws.comparable(tables)) == drawn


def test_tables_of_the_same_run_are_not_compared(models):
    twice = {"one": models["weak"], "other": models["weak"]}
    assert not laws.comparable(twice)
    assert not linear_response.comparable(twice)


def test_the_response_of_another_model_is_not_compared(models):
    other = json.dumps({"network": {}, "calcium": {}})
    foreign = {name: Tables(each.dataset.assign_attrs(parameters=other)) for name, each in models.items()}
    assert not linear_response.comparable(foreign)


@pytest.mark.slow
def test_drawing_loads_neither_torch_nor_brian2_nor_pyplot_and_importing_not_even_matplotlib(runs, out):
    program = (
        "import sys, figures\n"
        "assert 'matplotlib' not in sys.modules\n"
        "from pathlib import Path\n"
        f"assert len(figures.draw_all(Path({str(runs)!r}), Path({str(out)!r}))) == 10\n"
        "loaded = {'torch', 'brian2', 'matplotlib.pyplot'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
