"""Extras of the package: which library belongs to which, and what a missing one says."""

import re
import sys
import tomllib
from pathlib import Path

import pytest

from rmaat.base.errors import UsageError
from rmaat.base.extras import EXTRAS, require, require_all
from rmaat.cli import main

EXTRAS_OF_PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"][
    "optional-dependencies"
]
DISTRIBUTIONS = {"PIL": "pillow", "huggingface_hub": "huggingface-hub", "pyarrow": "datasets"}
"""Where they differ from the names of the modules; datasets requires pyarrow."""


@pytest.mark.parametrize(("library", "extra"), EXTRAS.items())
def test_an_extra_installs_the_libraries_that_messages_say_it_does(library, extra):
    names = {re.match(r"[\w-]+", line)[0] for line in EXTRAS_OF_PROJECT[extra]}
    assert DISTRIBUTIONS.get(library, library) in names


def test_a_missing_library_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(UsageError, match=r'^drawing needs numba, .* pip install "rmaat-toolkit\[data\]"$'):
        require("numba", "numba", "drawing")


def test_all_libraries_are_looked_for_before_long_work(monkeypatch):
    require_all(("numpy",), "a demo")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "matplotlib" else name)
    with pytest.raises(UsageError, match="a demo needs matplotlib"):
        require_all(("torch", "matplotlib"), "a demo")


def test_a_command_without_its_library_is_one_sentence(monkeypatch, capsys, tmp_path):
    for name in [name for name in sys.modules if name.split(".")[0] in ("figures", "matplotlib")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_Without("matplotlib"), *sys.meta_path])
    assert main(["figures", str(tmp_path), "--out", str(tmp_path / "figures")]) == 2
    assert capsys.readouterr().err == (
        "rmaat: rmaat figures needs matplotlib, which is not installed; "
        'install the extra figures with: pip install "rmaat-toolkit[figures]"\n'
    )


class _Without:
    """An import finder that finds one library missing."""

    def __init__(self, library: str):
        self.library = library

    def find_spec(self, name, *_):
        if name == self.library:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
