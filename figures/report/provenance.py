"""Provenance of the results: versions, seeds, digests and commands."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from astro_sim import SimulationParameters, load_preset
from astro_sim.runs.traces import open_traces
from distill import Tables
from figures.report.markup import element, section, table
from figures.report.sources import Sources, read_attribute
from model.training.run_folder import RunFolder
from rmaat.base.provenance import content_digest
from rmaat.base.records import ParameterError

Row = tuple[str, str | Element]


def provenance_section(folder: Path, sources: Sources) -> Element:
    """Where every result comes from, and the commands that make or print it again.

    Raises
    ------
    FigureError, SimulationError, ModelError
        A file is damaged.
    """
    digests: dict[str, str] = {}
    groups = {f"{name}: traces": list(_traces(folder, name, path, digests)) for name, path in sources.traces.items()}
    for name, each in sources.tables.items():
        groups[f"{name}: tables"] = list(_tables(folder, name, each, digests))
    groups |= {f"{name}: run": list(_run(run)) for name, run in sources.runs.items()}
    parts = [table(caption, ("what", "value"), rows) for caption, rows in groups.items()]
    return section("provenance", "Provenance", *parts)


def _traces(folder: Path, name: str, path: Path, digests: dict[str, str]) -> Iterator[Row]:
    with open_traces(path) as traces:
        attributes, digest = dict(traces.attrs), content_digest(traces)
    digests[digest] = name
    yield "engine", f"{attributes['engine']}, seed {attributes['seed']}"
    yield "solver", _listed(read_attribute(attributes, "solver", name))
    yield "versions", _listed(read_attribute(attributes, "versions", name))
    yield "SHA-256 of content", element("code", digest)
    command = _simulate(read_attribute(attributes, "parameters", name), str(attributes["engine"]), folder / name)
    if command:
        yield "made by", element("code", command)


def _simulate(values: dict[str, Any], engine: str, out: Path) -> str | None:
    """The command that makes the traces of the rate model again; None if options cannot say it all."""
    start = load_preset("paper_default")
    try:
        parameters = SimulationParameters.from_dict(values)
    except ParameterError:
        return None
    defaults = {path: value for path, value, _ in start.parameters()}
    wanted = {path: value for path, value, _ in parameters.parameters()}
    # Another kind of protocol has other names, and only a file can change the kind.
    if parameters.references or wanted.keys() != defaults.keys():
        return None
    changed = [f"{path[-1]}={_plain(value)}" for path, value in wanted.items() if value != defaults[path]]
    settings = [word for each in changed for word in ("--set", each)]
    return shlex.join(["rmaat", "simulate", "--engine", engine, *settings, "--out", str(out)])


def _plain(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _tables(folder: Path, name: str, tables: Tables, digests: Mapping[str, str]) -> Iterator[Row]:
    attributes, made = tables.dataset.attrs, str(folder / name)
    traces, versions = str(attributes["traces_sha256"]), _listed(read_attribute(attributes, "versions", name))
    yield "schema", f"{attributes['schema']} version {attributes['schema_version']}, for 1 to {tables.longest} segments"
    yield "simulated with", f"{attributes['engine']}, seed {attributes['seed']}; {versions}"
    yield "SHA-256 of traces", element("code", traces)
    yield "SHA-256 of content", element("code", str(attributes.get("content_sha256", "none yet")))
    if traces in digests:
        command = ["distill", str(folder / digests[traces]), "--segments", str(tables.longest), "--out", made]
        yield "made by", element("code", shlex.join(["rmaat", *command]))
    yield "printed by", element("code", shlex.join(["rmaat", "distill", "show", made]))


def _run(run: RunFolder) -> Iterator[Row]:
    configuration = run.read_configuration()
    yield "task", configuration.task
    yield "seed of training", str(configuration.training.seed)
    yield "versions", _listed(configuration.versions)
    yield "SHA-256 of data", element("code", configuration.data_sha256)
    if configuration.start_sha256:
        yield "SHA-256 of the weights at the start", element("code", configuration.start_sha256)
    if run.evaluation.exists():
        evaluation = run.read_evaluation()
        yield "data", evaluation.origin
        yield "scored at step", f"{evaluation.best_step:,}"
    yield "scored again by", element("code", shlex.join(["rmaat", "evaluate", str(run.path)]))


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
