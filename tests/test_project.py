"""The project's own files agree with each other, and packages do not import what they must not."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# conda-forge's names for the same packages.
CONDA_NAMES = {
    "torch": "pytorch",
    "matplotlib": "matplotlib-base",
    "lazy-loader": "lazy_loader",
    "huggingface-hub": "huggingface_hub",
}
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


# The other packages have such a test of their own, in the files `test_simulate`, `test_distillation` and `test_folder`.
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
