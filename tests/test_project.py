"""The project's own files agree with each other, and packages do not import what they must not."""

import json
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# conda-forge's names for the same packages.
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base", "lazy-loader": "lazy_loader"}
CONDA_ONLY = {"python", "pip", "make", "c-compiler", "cxx-compiler"}


def requirements() -> dict[str, str]:
    """Name and version of everything in pyproject.toml, extras included, without conditions on the platform."""
    lines = [*PROJECT["dependencies"], *(line for extra in PROJECT["optional-dependencies"].values() for line in extra)]
    pairs = [re.fullmatch(r"([A-Za-z0-9_-]+)(.*)", line) for line in lines if ";" not in line]
    return {match[1].lower(): match[2].replace(" ", "") for match in pairs if match}


def test_the_conda_environment_has_the_dependencies_of_pyproject():
    entries = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    conda = dict((*entry.split(" ", 1), "")[:2] for entry in entries if isinstance(entry, str))
    found = {name: version.replace(" ", "") for name, version in conda.items() if name not in CONDA_ONLY}
    assert found == {CONDA_NAMES.get(name, name): version for name, version in requirements().items()}
    assert {"pip": ["--editable ."]} in entries


def test_every_dependency_is_pinned_and_torch_as_tested():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {re.split(r"==", line)[0].lower() for line in lines}
    assert set(requirements()) <= pinned
    assert "torch==2.13.0" in lines


def test_versions_agree():
    assert f"version: {PROJECT['version']}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import model.training.loop, model.training.evaluation", {"astro_sim", "brian2", "matplotlib"}),
        ("import astro_sim", {"torch", "brian2", "matplotlib"}),
        ("from distill import distil", {"torch", "brian2", "matplotlib"}),
        ("from distill import default_tables; default_tables()", {"torch", "brian2", "astro_sim"}),
        ("import figures; figures.draw_all", {"torch", "brian2"}),
    ],
)
def test_a_package_runs_without_forbidden_imports(statement, absent):
    code = f"import sys\n{statement}\nprint(sorted({absent!r} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def run_benchmark(monkeypatch, module, path, *arguments):
    monkeypatch.setattr(sys, "argv", [module.__name__, "--out", str(path), *arguments])
    module.main()
    result = json.loads(path.read_text())
    assert {"device", "date", "command", "versions"} <= result.keys()
    return result


def test_the_benchmark_of_replay_measures_exactness_and_costs(tmp_path, monkeypatch):
    from benchmarks import replay

    monkeypatch.setattr(replay, "SEGMENT_LENGTH", 16)
    monkeypatch.setattr(replay, "CASES", [(2, 1, "last"), (2, 1, "every")])
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    result = run_benchmark(monkeypatch, replay, tmp_path / "result.json")
    assert [entry["relative_error"] for entry in result["exactness"]] == [0, 0, 0, 0]
    assert {entry["way"] for entry in result["costs"]} == {
        "BPTT",
        *(f"AMRB, keep {keep}" for keep in range(3)),
        "layerwise AMRB, keep 1",
        "truncated after 2",
    }


def test_the_script_for_the_gpu_runs_on_a_cpu_and_names_what_it_leaves_out(tmp_path, monkeypatch):
    from benchmarks import gpu

    monkeypatch.setattr(gpu, "MODES", ("eager",))
    monkeypatch.setattr(gpu, "SMALL", replace(gpu.SMALL, lengths=(64, 2**22), tokens=64))
    monkeypatch.setattr(gpu, "LONGEST_STEP", 5.0)
    monkeypatch.setattr("sys.argv", ["gpu", "--small", "--minutes", "0.05", "--out", str(tmp_path / "gpu")])
    gpu.main()
    result = json.loads((tmp_path / "gpu.json").read_text())
    assert result["exactness"][0] | {"precision": "float32", "same_bits": True} == result["exactness"][0]
    assert len(result["results"]) == 2 * len(gpu.CONTENDERS)
    assert any("tokens_per_second" in line for line in result["results"])
    assert result["results"][-1]["left_out"]
    assert "tokens/s" in (tmp_path / "gpu.md").read_text()


def test_contenders_are_named_once_and_a_missing_peer_is_left_out_by_name(monkeypatch):
    from benchmarks import peers
    from benchmarks.peer_models import Size

    monkeypatch.setattr(peers, "version", missing_package)
    found = peers.compare(["idiap fast-transformers, linear"], Size(), 1)
    assert found == {"idiap fast-transformers, linear": {"left_out": "pytorch-fast-transformers is not installed"}}


def missing_package(name):
    raise PackageNotFoundError(name)


def test_a_contender_of_ours_is_measured():
    from benchmarks import peers
    from benchmarks.peer_models import Size

    size = Size(length=64, segment_length=16, width=16, layers=1, heads=2, memory_tokens=2)
    result = peers.measure(peers.CONTENDERS["RMAAT, AMRB"], size)
    assert result["parameters"] > 0
    assert result["peak_bytes"] > 0
    assert result["tokens_per_second"] > 0


def test_the_bound_of_rmaats_speed_is_the_ratio_of_the_layers_products():
    from benchmarks import peers
    from benchmarks.peer_models import Size

    size = Size(length=8192, segment_length=512, width=128, layers=4, heads=4, memory_tokens=16)
    rows, width, features = 528, 128, 32
    rmt, rmaat = 12 * width**2 + 2 * width * rows, 12 * width**2 + 2 * width * features
    assert peers.speed_bound(size) == pytest.approx(rmt / rmaat)
    ours, theirs = next(iter(peers.PAIRS.items()))
    shown = peers.bound_table({512: {ours: {"seconds": 1.0}, theirs: {"seconds": 1.3}}}, size)
    assert "1.30   1.62    80%" in shown


def test_the_benchmark_of_length_measures_a_step_and_fits_the_power(monkeypatch):
    from benchmarks import length

    monkeypatch.setattr(length, "SEGMENT_LENGTH", 16)
    monkeypatch.setattr(length, "SIZE", length.SIZE | {"width": 16, "layers": 1, "feed_forward_width": 16})
    monkeypatch.setattr(length, "LEAST_SECONDS", 0)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    result = length.measure(16 * 70)
    assert result["tokens"] == 1120
    assert result["resident_bytes"] > 1e7
    assert length.fit_exponent({tokens: 2e-6 * tokens**1.02 for tokens in (8192, 65536, 2**20)}) == pytest.approx(1.02)


def test_the_benchmark_of_the_coupling_measures_growth_and_runs(tmp_path, monkeypatch):
    from benchmarks import coupling

    sizes = {
        "SIDES": (8, 16, 24),
        "DENSE_SIDES": (8,),
        "EXTRAPOLATED_SIDES": (8,),
        "LARGE": 24,
        "CYCLES": 1,
        "BRIAN2_SIDES": (3,),
    }
    for name, value in sizes.items():
        monkeypatch.setattr(coupling, name, value)
    monkeypatch.setattr(coupling, "LEAST_SECONDS", 1e-4)
    result = run_benchmark(monkeypatch, coupling, tmp_path / "result.json")
    assert result["exponents"].keys() == {"line scan", "city-block scan", "FFT"}
    assert [run["kind"] for run in result["large_runs"]] == ["line scan", "line scan", "FFT", "FFT"]
    assert [run["solver"] for run in result["large_runs"]] == ["lsoda", "dop853"] * 2
    for run in result["large_runs"]:
        dense = result["seconds_per_application"]["dense"]["8"] * 3**4
        fast = result["seconds_per_application"][run["kind"]]["24"]
        assert run["dense_application_seconds"]["8"] == pytest.approx(dense)
        dense_run = run["seconds"] + run["applications"] * (dense - fast)
        assert run["ratio_of_runs"]["8"] == pytest.approx(dense_run / run["seconds"])


def test_the_exponent_of_the_benchmark_is_that_of_the_number_of_synapses():
    from benchmarks.coupling import fit_exponent

    assert fit_exponent({side: 3e-9 * (side**2) ** 1.07 for side in (16, 64, 256)}) == pytest.approx(1.07)


@pytest.mark.brian2
def test_the_benchmark_of_the_engines_measures_their_difference(tmp_path, monkeypatch):
    from benchmarks import engines

    monkeypatch.setattr(engines, "TIME_STEPS", (0.002, 0.001))
    result = run_benchmark(monkeypatch, engines, tmp_path / "result.json", "--cycles", "1")
    coarse, fine = (found["long_term_process"] for found in result["differences"])
    assert 1.8 < coarse / fine < 2.2


def test_the_benchmark_of_sweeps_measures_every_way(monkeypatch):
    from astro_sim.sweep import InProcess
    from benchmarks import sweep

    monkeypatch.setattr(sweep, "LocalProcesses", lambda _: InProcess())
    monkeypatch.setattr(sweep, "ALONE", 1)
    seconds = sweep.measure(points=3, workers=2)
    assert len(seconds) == 4
    assert all(value > 0 for value in seconds.values())
