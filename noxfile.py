"""Simulator and distillation on every Python and with the oldest dependencies; checks of security.

    pipx run nox                     every session
    pipx run nox --session oldest    one session

`make test` has the other packages, on the Python and with the versions that it is run with.
"""

import re
import tomllib
from pathlib import Path

import nox

PYTHONS = ("3.11", "3.12", "3.13")
PACKAGES = ("rmaat", "astro_sim", "distill", "model", "figures")
PROJECT = tomllib.loads(Path("pyproject.toml").read_text())["project"]
TESTS = ("tests/astro_sim", "tests/distill")
TOOLS = ("beartype", "hypothesis", "jaxtyping", "pytest", "pytest-xdist")
ELSEWHERE = (
    "tests/astro_sim/biophysics/spiking",
    "tests/astro_sim/engines/brian2",
    "tests/astro_sim/runs/test_interop.py",
    "tests/distill/test_left_out.py",
)
"""Tests that need packages which these environments lack."""
CHOSEN = ("-q", "-m", "not slow and not brian2", *(f"--ignore={path}" for path in ELSEWHERE))

nox.options.default_venv_backend = "venv"


@nox.session(python=PYTHONS)
def newest(session: nox.Session) -> None:
    """With the versions of constraints.txt."""
    session.install("--constraint", "constraints.txt", ".", *TOOLS)
    session.run("pytest", *CHOSEN, *(session.posargs or TESTS))


@nox.session(python=PYTHONS[0])
def oldest(session: nox.Session) -> None:
    """With the oldest versions that pyproject.toml allows."""
    session.install("--constraint", "constraints.txt", *TOOLS)
    session.install(".", *map(oldest_of, PROJECT["dependencies"]))
    # Old packages use what newer ones deprecate, and old binaries warn of a newer NumPy, which they work with.
    allowed = ("-W", "default::DeprecationWarning", "-W", "ignore:numpy.ndarray size changed")
    session.run("pytest", *allowed, *CHOSEN, *(session.posargs or TESTS))


@nox.session
def audit(session: nox.Session) -> None:
    """Unsafe calls in the packages, and known vulnerabilities of the dependencies."""
    session.install("bandit", "pip-audit")
    session.run("bandit", "--quiet", "--severity-level", "medium", "--recursive", *PACKAGES)
    session.run("pip-audit", "--no-deps", "--disable-pip", "--requirement", "constraints.txt")


def oldest_of(requirement: str) -> str:
    """The lower bound of a requirement as its version: "numpy==1.26" of "numpy>=1.26"."""
    name, version = re.fullmatch(r"([\w-]+)>=([\d.]+)", requirement).groups()
    return f"{name}=={version}"
