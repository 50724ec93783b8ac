"""The commands and programs of the documentation run, and its numbers are those that they print."""

import contextlib
import os
import re
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from distill import default_tables
from rmaat.cli import main, parsed

ROOT = Path(__file__).parents[1]
# tests/test_docs.py runs the pages in subfolders.
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ALL_PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

# A whole training takes minutes, and `make demo` runs one. These options shorten the command of the README.
SHORTER = [
    "--steps",
    "3",
    "--validate-every",
    "3",
    "--train-size",
    "200",
    "--validation-size",
    "50",
    "--test-size",
    "50",
]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_commands_of_the_readme_run_in_their_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [line for block in blocks(ROOT / "README.md", "bash") for line in block.splitlines()]
    assert len(lines) >= 5
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "rmaat"
        assert main([*arguments, *(SHORTER if arguments[0] == "train" else [])]) == 0, line
    assert list(Path("runs/figures").glob("*.png"))


PROGRAMS = [(page, index) for page in PAGES for index in range(len(blocks(page, "python")))]


@pytest.mark.slow
@pytest.mark.parametrize(("page", "index"), PROGRAMS, ids=[f"{page.name}-{index}" for page, index in PROGRAMS])
def test_the_programs_of_the_documentation_run(page, index, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program = blocks(page, "python")[index]
    needs = re.findall(r"^# Needs: pip install (.+)$", program, re.MULTILINE)
    libraries = [library for line in needs for library in line.split()]
    with warnings.catch_warnings():
        if libraries:
            # Libraries of others warn as they like.
            warnings.simplefilter("ignore")
        for library in libraries:
            pytest.importorskip(library)
        if "compile_cell" in program:
            # torch.compile cannot trace the checks of shapes that tests add to the modules of this process.
            subprocess.run([sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
        else:
            exec(compile(program, f"{page.name}, program {index}", "exec"), {"__name__": "documentation"})


def test_the_numbers_beside_the_program_of_the_readme_are_those_it_prints(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (program,) = blocks(ROOT / "README.md", "python")
    shown = re.search(r"# ((?:\d\.\d+ ?){4})", program)
    assert shown is not None
    exec(program, {"__name__": "documentation"})
    printed = re.findall(r"\d\.\d+", capsys.readouterr().out)
    assert [f"{float(number):.3f}" for number in printed[:4]] == shown.group(1).split()


def test_the_exponent_in_the_readme_is_that_of_the_default_tables():
    (shown,) = re.findall(r"exponent is distilled here, (\d\.\d+)", (ROOT / "README.md").read_text())
    assert f"{default_tables().exponent:.{len(shown) - 2}f}" == shown


def commands_in(page: Path) -> set[str]:
    """The commands in the text of a page, without captions and comments beside them, and without placeholders."""
    text = re.sub(r"\\\n\s*", " ", page.read_text())
    found = re.findall(r"`(rmaat [^`]+)`", text) + re.findall(r"^ *(rmaat .+)$", text, re.MULTILINE)
    commands = {re.split(r" {2,}| [#>|<] ?| && ", command.replace("\n", " "))[0] for command in found}
    return {command for command in commands if not re.search(r"\.\.\.|\b[A-Z]{2,}", command)}


@pytest.mark.parametrize("page", ALL_PAGES, ids=[page.stem for page in ALL_PAGES])
def test_the_text_names_commands_and_options_that_exist(page, capsys):
    for command in commands_in(page):
        with contextlib.suppress(SystemExit):
            parsed(shlex.split(command)[1:])
        complaint = capsys.readouterr().err
        # A sentence may name a command without its arguments.
        assert not complaint or re.search("(is|are) missing;", complaint), f"{command}: {complaint}"


def test_links_of_the_documentation_lead_to_files():
    for page in ALL_PAGES:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} names {target}"
