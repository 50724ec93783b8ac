"""The parameters of simulations and trainings with their sources."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from astro_sim.parameter_set import REPLACED_DEFAULT
from astro_sim.runs.traces import open_traces
from distill import DistillParameters, Tables
from figures.report.markup import element, section, table
from figures.report.sources import Sources, read_attribute
from model.training.run_folder import RunFolder
from rmaat.base.nested import flattened
from rmaat.base.records import Record, Source

TAGS = {
    Source.PAPER.value: "paper",
    Source.PARENT.value: "parent",
    Source.READER.value: "reader",
    Source.BENCHMARK.value: "benchmark",
    Source.OURS.value: "ours",
    REPLACED_DEFAULT: "set here",
}
"""The word for each source; a publication is cited in full."""

HEADER = ("parameter", "symbol", "value", "source", "meaning")

Row = tuple[str, str, str, Element, str]


def parameters_section(sources: Sources) -> Element:
    """Every parameter with value, unit, source and meaning, and what the words for the sources stand for.

    Raises
    ------
    FigureError, SimulationError, ModelError
        A file is damaged.
    """
    groups = {
        **{f"{name}: simulation": list(_of_traces(name, path)) for name, path in sources.traces.items()},
        **{f"{name}: distillation": list(_of_tables(name, each)) for name, each in sources.tables.items()},
        **dict(group for name, run in sources.runs.items() for group in _of_run(name, run)),
    }
    return section(
        "parameters",
        "Parameters and their sources",
        _legend(),
        *(table(caption, HEADER, rows) for caption, rows in groups.items()),
    )


def _legend() -> Element:
    pairs = [(element("dt", _tag(text)), element("dd", text)) for text in TAGS]
    return element("dl", *(each for pair in pairs for each in pair), class_="legend")


def _tag(source: str) -> Element:
    word = TAGS.get(source)
    return element("span", word or source, class_=f"tag {word.replace(' ', '-')}" if word else "cited")


def _of_traces(name: str, path: Path) -> Iterator[Row]:
    with open_traces(path) as traces:
        values, details = (read_attribute(traces.attrs, each, name) for each in ("parameters", "parameter_details"))
    for dotted, value in flattened(values).items():
        detail = details.get(dotted.rpartition(".")[2])
        # Names of groups and of kinds have no unit and no source.
        if isinstance(detail, Mapping):
            yield _row(dotted, value, *(str(detail.get(key, "")) for key in ("unit", "source", "symbol", "meaning")))


def _of_tables(name: str, tables: Tables) -> Iterator[Row]:
    yield from _of_record(DistillParameters.from_dict(read_attribute(tables.dataset.attrs, "distill_parameters", name)))


def _of_run(name: str, run: RunFolder) -> Iterator[tuple[str, list[Row]]]:
    configuration = run.read_configuration()
    records = {"task": configuration.task_parameters, "model": configuration.model, "training": configuration.training}
    for words, record in records.items():
        yield f"{name}: {words}", list(_of_record(record))


def _of_record(record: Record) -> Iterator[Row]:
    defaults = {entry.name: entry.default for entry in dataclasses.fields(record)}
    for path, value, quantity in record.parameters():
        source = quantity.said_by if value == defaults.get(path[0]) else REPLACED_DEFAULT
        yield _row(".".join(path), value, quantity.unit, source, quantity.symbol, quantity.meaning)


def _row(name: str, value: Any, unit: str, source: str, symbol: str, meaning: str) -> Row:
    text = ", ".join(map(str, value)) or "none" if isinstance(value, list | tuple) else str(value)
    return name, symbol, text if unit in ("1", "") else f"{text} {unit}", _tag(source), meaning
