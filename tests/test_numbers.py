"""Numbers in README and docs are those of the committed result files that the comments beside them name.

    A million tokens take 85 s. <!-- from benchmarks/results/length-cpu.json: 85 = steps > tokens=1048576 > seconds -->

A comment names a file, and for each number as printed the place of its value: steps from the outside in, where
`name=value` chooses the rows of a list or of a CSV table. A Python file gives its constants and their fields, a YAML
file its settings. `a / b`, `a * b` and `a - b` compute from left to right. A comment `<!-- by: COMMAND -->` names the
command that printed numbers without a committed file.
"""

import csv
import json
import operator
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml

from rmaat.cli import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
OPERATORS = {"/": operator.truediv, "*": operator.mul, "-": operator.sub}
# Every number of these sections is measured, so every paragraph, item and table there needs a source.
MEASURED = {
    "README.md": ("Results",),
    "docs/reproduce.md": ("Findings",),
    "docs/sweeps.md": ("Findings",),
    "docs/replay.md": ("Measurements",),
    "docs/simulator.md": ("Plasticity of the biophysical model",),
    "docs/science.md": ("Task: ListOps",),
    "docs/loop.md": ("Findings",),
}
# Whole numbers of these pages are settings or definitions; those with a decimal point or a comma need a source.
WITH_SETTINGS = ("docs/simulator.md", "docs/science.md", "docs/tasks.md")


def blocks(text: str) -> list[str]:
    """Paragraphs, tables and items of lists, each with the comments that follow it."""
    without_programs = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return [part for part in re.split(r"\n\s*\n|\n(?=\s*- )", without_programs) if part.strip()]


def section(text: str, title: str) -> str:
    """The text under a heading of the second level, with its subsections."""
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def claims(text: str) -> list[tuple[str, str, str, str]]:
    """Block without comments, file, number as printed, and place of its value."""
    found = []
    for block in blocks(text):
        for comment in COMMENT.findall(block):
            source = re.fullmatch(r"\s*from (\S+):(.*)", " ".join(comment.split()))
            for pair in source[2].split(";") if source else ():
                shown, place = pair.strip().split(" = ")
                found.append((COMMENT.sub("", block), source[1], shown, place))
    return found


def content_of(path: Path) -> Any:
    if path.suffix == ".py":
        return runpy.run_path(str(path))
    if path.suffix == ".yaml":
        return yaml.safe_load(path.read_text())
    text = path.read_text()
    return json.loads(text) if path.suffix == ".json" else list(csv.DictReader(text.splitlines()))


def value_at(content: Any, place: str) -> float:
    for step in place.split(" > "):
        if isinstance(content, list) and "=" in step:
            name, value = step.split("=", 1)
            content = [row for row in content if str(row[name]) == value]
            continue
        if isinstance(content, list):
            (content,) = content
        content = content[step] if isinstance(content, dict) else getattr(content, step)
    return float(content)


def value_of(content: Any, formula: str) -> float:
    operands = re.split(r" ([/*-]) ", formula)
    numbers = [float(text) if re.fullmatch(r"[\d.e]+", text) else value_at(content, text) for text in operands[::2]]
    result = numbers[0]
    for sign, number in zip(operands[1::2], numbers[1:], strict=True):
        result = OPERATORS[sign](result, number)
    return result


def as_printed(value: float, shown: str) -> bool:
    """Whether `value` rounds to the digits of `shown`."""
    places = len(shown.partition(".")[2])
    return abs(value - float(shown.replace(",", ""))) <= 0.5 * 10**-places + 1e-9


CLAIMS = [(page, *claim) for page in PAGES for claim in claims(page.read_text())]


@pytest.mark.parametrize(
    ("page", "block", "file", "shown", "place"),
    CLAIMS,
    ids=[f"{claim[0].name}: {claim[-1]}" for claim in CLAIMS],
)
def test_a_number_is_that_of_the_result_file(page, block, file, shown, place):
    assert re.search(rf"(?<![\d.]){re.escape(shown)}(?!\d|[.,]\d)", block), f"{page.name} does not print {shown}"
    value = value_of(content_of(ROOT / file), place)
    assert as_printed(value, shown), f"{page.name} prints {shown}, but {file} holds {value} at {place}"


SECTIONS = [(page, title) for page, titles in MEASURED.items() for title in titles]


@pytest.mark.parametrize(("page", "title"), SECTIONS, ids=[page for page, _ in SECTIONS])
def test_every_measured_number_has_a_source(page, title):
    for block in blocks(section((ROOT / page).read_text(), title)):
        words = re.sub(r"`[^`]*`|\[[^]]*\]\([^)]*\)|^#.*|^    .*", "", COMMENT.sub("", block), flags=re.MULTILINE)
        sources = [comment.split()[0] for comment in COMMENT.findall(block)]
        assert block.count("<!--") == len(sources), f"{page}: a comment is not closed in {block!r}"
        assert not re.search(r"\d", words) or {"from", "by:"} & set(sources), f"{page}: no source for {block!r}"
        if "by:" not in sources:
            decimals = set(re.findall(r"\d+\.\d+", words)) - {shown for _, _, shown, _ in claims(block)}
            assert not decimals, f"{page}: no source for {sorted(decimals)} in {block!r}"


@pytest.mark.parametrize("page", WITH_SETTINGS)
def test_every_number_with_digits_of_measurement_has_a_source(page):
    for block in blocks((ROOT / page).read_text()):
        words = re.sub(
            r"`[^`]*`|^    .*|(?:arXiv|doi):? ?[\d./]+|1e-\d+", "", COMMENT.sub("", block), flags=re.MULTILINE
        )
        if "by:" in [comment.split()[0] for comment in COMMENT.findall(block)]:
            continue
        exact = set(re.findall(r"\d+\.\d+|\d+(?:,\d{3})+", words)) - {shown for _, _, shown, _ in claims(block)}
        assert not exact, f"{page}: no source for {sorted(exact)} in {block!r}"


def test_commands_that_are_named_as_sources_exist():
    for page in PAGES:
        for command in re.findall(r"<!-- by: (.*?) -->", page.read_text(), re.DOTALL):
            program = re.match(r"rmaat (\w+)|python -m (benchmarks\.\w+)|make (\w+)", command)
            assert program is not None, f"{page.name}: {command}"
            if program[1]:
                assert program[1] in COMMANDS, f"{page.name}: {command}"
            elif program[2]:
                assert (ROOT / program[2].replace(".", "/")).with_suffix(".py").exists(), f"{page.name}: {command}"
            else:
                assert f"\n{program[3]}:" in (ROOT / "Makefile").read_text(), f"{page.name}: {command}"


def test_the_table_of_models_is_that_of_the_benchmark():
    models = content_of(ROOT / "benchmarks/results/peers.json")["by_segment_length"]["512"]
    published = models["RMT as published: eager softmax, BPTT"]
    table = section((ROOT / "docs/replay.md").read_text(), "Measurements").split("| speed / published RMT's |")[1]
    lines = [line for line in table.split("\n\n")[0].splitlines() if line.startswith("| ")]
    rows = [re.split(r"\s*\|\s*", line.strip("| ")) for line in lines if "---" not in line]
    assert [row[0] for row in rows] == list(models)
    for name, tokens, megabytes, speed, memory in rows:
        found = models[name]
        assert as_printed(found["tokens_per_second"], tokens), name
        assert as_printed(found["peak_bytes"] / 1e6, megabytes), name
        assert as_printed(found["tokens_per_second"] / published["tokens_per_second"], speed), name
        assert as_printed(published["peak_bytes"] / found["peak_bytes"], memory.removeprefix("1/")), name


@pytest.mark.parametrize(
    ("text", "value"), [("steps > tokens=2 > seconds", 3.5), ("2 / steps > tokens=1 > seconds", 4.0), ("top - 1", 6.0)]
)
def test_a_place_is_read_from_the_outside_in(text, value):
    content = {"top": 7, "steps": [{"tokens": 1, "seconds": 0.5}, {"tokens": 2, "seconds": 3.5}]}
    assert value_of(content, text) == value


@pytest.mark.parametrize(
    ("value", "shown", "same"),
    [(35.45, "35.5", True), (35.2, "35.5", False), (12269.4, "12,269", True), (12269.4, "12,300", False)],
)
def test_a_number_is_compared_to_the_digits_that_are_printed(value, shown, same):
    assert as_printed(value, shown) == same
