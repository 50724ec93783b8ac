"""Pages that a reader works through run from top to bottom and print what they show; the site builds without network.

These are the pages in subfolders of `docs`: tutorials, how-to pages, notebooks and the gallery. Each of them is one
program: its blocks run in their order, in one namespace and one folder. The tutorials run first, in one folder, and
every other page starts with a copy of their files. A block `text` shows lines that the block before it printed.
"""

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

from rmaat.cli import main

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TUTORIALS = [DOCS / "tutorials" / name for name in ("simulate.md", "distil.md", "train.md")]
PAGES = [page for folder in ("howto", "gallery", "notebooks") for page in sorted((DOCS / folder).glob("*.md"))]
PACKAGES = ("astro_sim", "distill", "model", "figures")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)

# A whole training takes minutes.
SHORTER = shlex.split(
    "--steps 2 --validate-every 2 --train-size 100 --validation-size 20 --test-size 20 --longest-length 60"
)


def run_page(page: Path) -> None:
    """Run the blocks of a page in the working folder and compare what they print with what the page shows."""
    names: dict[str, Any] = {"__name__": "documentation"}
    printed = ""
    for language, code in FENCE.findall(page.read_text()):
        assert language in ("bash", "python", "text"), f"{page.name}: a block of {language or 'no language'}"
        if language == "text":
            assert lines(code) <= lines(printed), f"{page.name} shows {code}but its block prints {printed}"
            continue
        with contextlib.redirect_stdout(io.StringIO()) as output:
            if language == "python":
                exec(compile(code, page.name, "exec"), names)
            else:
                run_commands(code)
        printed = output.getvalue()


def run_commands(code: str) -> None:
    for line in code.splitlines():
        # One process replaces the two of torchrun; tests/model/training/test_distributed.py starts several.
        command = re.sub(r"^torchrun .*--no-python rmaat", "rmaat", line)
        program, *arguments = shlex.split(command)
        assert program == "rmaat", line
        shorter = (
            {"documents": SHORTER[:4], "listops": SHORTER}.get(arguments[1], []) if arguments[0] == "train" else []
        )
        assert main([*arguments, *shorter]) == 0, line


def lines(text: str) -> set[str]:
    return {" ".join(line.split()) for line in text.splitlines()}


@pytest.fixture(scope="session")
def after_tutorials(tmp_path_factory) -> Path:
    """A folder in which the tutorials have run, in their order; all processes of this test run share it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "tutorials"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            unfinished = folder.with_name("tutorials-unfinished")
            unfinished.mkdir()
            with contextlib.chdir(unfinished):
                for page in TUTORIALS:
                    run_page(page)
            unfinished.rename(folder)
    return folder


@pytest.mark.slow
def test_the_tutorials_run_in_their_order(after_tutorials):
    assert set(TUTORIALS) == set((DOCS / "tutorials").glob("*.md"))
    made = {path.name for path in (after_tutorials / "runs").iterdir()}
    assert made >= {"sim.nc", "tables.nc", "listops", "figures"}


@pytest.mark.slow
@pytest.mark.usefixtures("without_checks_of_shapes")
@pytest.mark.parametrize("page", PAGES, ids=[f"{page.parent.name}-{page.stem}" for page in PAGES])
def test_a_page_runs_after_the_tutorials(page, after_tutorials, tmp_path, monkeypatch):
    shutil.copytree(after_tutorials / "runs", tmp_path / "runs")
    (tmp_path / "benchmarks").symlink_to(ROOT / "benchmarks")
    monkeypatch.chdir(tmp_path)
    run_page(page)


def test_the_gallery_draws_every_figure():
    page = (DOCS / "gallery" / "index.md").read_text()
    drawn = set(re.findall(r"\b(draw_\w+)\(", page))
    assert drawn == {name for name in public_names("figures") if name.startswith("draw_")} - {"draw_all"}


def public_names(package: str) -> list[str]:
    return re.findall(r" as (\w+)$", (ROOT / package / "__init__.pyi").read_text(), re.MULTILINE)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_reference_has_every_public_name(package):
    listed = re.findall(rf"^::: {package}\.(\w+)$", (DOCS / "api" / f"{package}.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(public_names(package))


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The built site; a proxy that refuses every connection shows that the build needs no network."""
    pytest.importorskip("mkdocs", reason="needs the extra docs")
    out = tmp_path_factory.mktemp("site")
    closed = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)]
    built = subprocess.run(command, cwd=ROOT, env={**os.environ, **closed}, capture_output=True, text=True, check=False)
    assert (built.returncode, built.stdout + built.stderr) == (0, "")
    return out


@pytest.mark.slow
def test_the_site_loads_nothing_from_elsewhere(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        loaded = re.findall(r"<(?:script|img|iframe)[^>]* src=\"?([^\" >]+)", page.read_text())
        loaded += re.findall(
            r"<link[^>]*rel=\"?(?:stylesheet|icon|preconnect)[^>]*href=\"?([^\" >]+)", page.read_text()
        )
        assert loaded
        assert not [address for address in loaded if re.match(r"(https?:)?//", address)], page.name


@pytest.mark.slow
def test_formulas_are_mathml(site):
    page = (site / "science.html").read_text()
    assert page.count('display="block"') >= 9
    assert "arithmatex" not in page
    # What the converter does not understand stays as text with a backslash.
    assert not [formula for formula in re.findall(r"<math.*?</math>", page, re.DOTALL) if "\\" in formula]


@pytest.mark.slow
def test_public_names_have_a_heading_in_the_reference(site):
    for package in PACKAGES:
        page = (site / "api" / f"{package}.html").read_text()
        missing = [name for name in public_names(package) if f'id="{package}.{name}"' not in page]
        assert not missing, f"{package}: {missing}"


def test_notebooks_name_the_tool_that_opens_them():
    for page in sorted((DOCS / "notebooks").glob("*.md")):
        header = yaml.safe_load(page.read_text().split("---\n")[1])
        assert header["jupyter"]["jupytext"]["text_representation"]["format_name"] == "markdown"
        assert header["jupyter"]["kernelspec"]["language"] == "python"
