"""The project's own files agree with each other, and packages do not import what they must not."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from rmaat.base.extras import EXTRAS
from rmaat.cli import main

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, TOOL = PYPROJECT["project"], PYPROJECT["tool"]

# conda-forge's names for the same packages.
CONDA_NAMES = {
    "cf-xarray": "cf_xarray",
    "build": "python-build",
    "torch": "pytorch",
    "matplotlib": "matplotlib-base",
    "lazy-loader": "lazy_loader",
    "huggingface-hub": "huggingface_hub",
}
CONDA_ONLY = {"python", "pip", "make", "c-compiler", "cxx-compiler"}


def requirements() -> dict[str, str]:
    """Name and version of everything in pyproject.toml, extras included, without conditions on the platform."""
    lines = [*PROJECT["dependencies"], *(line for extra in PROJECT["optional-dependencies"].values() for line in extra)]
    own = PROJECT["name"] + "["
    pairs = [re.fullmatch(r"([A-Za-z0-9_-]+)(.*)", line) for line in lines if ";" not in line and own not in line]
    return {match[1].lower(): match[2].replace(" ", "") for match in pairs if match}


def test_the_conda_environment_has_the_dependencies_of_pyproject():
    entries = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    conda = dict((*entry.split(" ", 1), "")[:2] for entry in entries if isinstance(entry, str))
    found = {name: version.replace(" ", "") for name, version in conda.items() if name not in CONDA_ONLY}
    assert found == {CONDA_NAMES.get(name, name): version for name, version in requirements().items()}
    assert {"pip": ["--editable ."]} in entries


def test_the_conda_recipe_has_the_dependencies_of_the_jobs():
    entries = yaml.safe_load((ROOT / "recipe" / "recipe.yaml").read_text())["requirements"]["run"]
    found = dict(entry.split(" ") for entry in entries if not entry.startswith("python "))
    extras = PROJECT["optional-dependencies"]
    names = {
        re.match(r"[\w-]+", line)[0].lower()
        for line in (*PROJECT["dependencies"], *extras["train"], *extras["figures"])
    }
    assert found == {CONDA_NAMES.get(name, name): requirements()[name] for name in names}


@pytest.mark.slow
def test_the_commands_that_try_the_conda_package_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tests = yaml.safe_load((ROOT / "recipe" / "recipe.yaml").read_text())["tests"]
    (commands,) = [test["script"] for test in tests if "script" in test]
    version, *jobs = [command.removeprefix("rmaat ").split() for command in commands]
    assert version == ["--version"]
    assert [main(job) for job in jobs] == [0, 0]


def test_every_dependency_is_pinned_and_torch_as_tested():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {re.split(r"==", line)[0].lower() for line in lines}
    assert set(requirements()) <= pinned
    assert "torch==2.13.0" in lines


def test_versions_agree():
    assert f"version: {PROJECT['version']}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()
    assert json.loads((ROOT / ".zenodo.json").read_text())["version"] == PROJECT["version"]
    assert f"  version: {PROJECT['version']}\n" in (ROOT / "recipe" / "recipe.yaml").read_text()


def test_the_checks_on_windows_are_those_of_make_test():
    makefile = (ROOT / "Makefile").read_text()
    (target,) = re.findall(r"^test: .*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    (install,) = re.findall(r"-m pip (install .*--editable .*)", makefile)
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())
    steps = [step["run"] for step in workflow["jobs"]["windows"]["steps"] if "run" in step]
    place = ".venv/Scripts/"
    checks = [line.strip().replace("$(BIN)/", place) for line in target.splitlines()]
    assert steps == ["python -m venv .venv", f"{place}python -m pip {install}", *checks]


def test_the_workflows_call_targets_of_the_makefile():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for workflow in (ROOT / ".github" / "workflows").glob("*.yml"):
        jobs = yaml.safe_load(workflow.read_text())["jobs"].values()
        commands = [step["run"] for job in jobs for step in job["steps"] if "run" in step]
        called = {target for command in commands for target in re.findall(r"^make ([\w-]+)", command, re.MULTILINE)}
        assert called
        assert called <= targets, workflow.name


# The extras whose libraries a package may import; the dependencies without extra are for all.
PACKAGES = {
    "rmaat": set(EXTRAS.values()),
    "astro_sim": {"brian2", "sweep", "nwb"},
    "distill": set(),
    "model": {"train", "data", "hub"},
    "figures": {"figures"},
}


@pytest.mark.parametrize(("package", "extras"), PACKAGES.items())
def test_a_package_imports_only_what_its_extras_install(package, extras):
    modules = {"pyyaml": "yaml", "lazy-loader": "lazy_loader"}
    names = [re.match(r"[\w-]+", line)[0] for line in PROJECT["dependencies"]]
    allowed = {modules.get(name, name) for name in names} | {name for name, extra in EXTRAS.items() if extra in extras}
    found = {name.split(".")[0] for path in (ROOT / package).rglob("*.py") for name in imported(path)}
    assert found - set(sys.stdlib_module_names) - set(PACKAGES) <= allowed


def imported(path: Path) -> set[str]:
    """The modules that a file imports, also inside of functions."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    return plain | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_package_depends_on_the_time_of_day_or_the_times_of_files(package):
    # A clock that jumps moves both. `time.monotonic` measures durations; a date in a record is for people.
    clocks = re.compile(r"time\.time\(|st_[amc]time|getmtime|utcnow")
    assert not [path for path in (ROOT / package).rglob("*.py") if clocks.search(path.read_text())]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_that_it_is_typed(package):
    assert (ROOT / package / "py.typed").exists()
    assert package in TOOL["hatch"]["build"]["targets"]["wheel"]["packages"]


# The other packages have such a test of their own, in the files `test_simulate`, `test_distillation` and `test_folder`.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import model.training.loop, model.training.evaluation", {"astro_sim", "brian2", "matplotlib"}),
        ("from distill import distil", {"torch", "brian2", "matplotlib"}),
    ],
)
def test_a_package_runs_without_forbidden_imports(statement, absent):
    code = f"import sys\n{statement}\nprint(sorted({absent!r} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
