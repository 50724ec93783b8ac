"""The page: the template's files, filled with the results of a folder."""

import base64
import hashlib
import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any
from xml.etree.ElementTree import Element

from astro_sim.runs.traces import open_traces
from figures.folder import figures_in
from figures.report.animation import frames
from figures.report.explorer import explorer_data
from figures.report.markup import element, section, to_html
from figures.report.parameters import parameters_section
from figures.report.provenance import provenance_section
from figures.report.results import accuracy_section, tables_section
from figures.report.sources import Sources, find_sources
from figures.save import render
from rmaat.base.files import write_text
from rmaat.base.provenance import versions

SCRIPTS = ("closed_form.js", "plot.js", "explorer.js", "animation.js")

ANIMATION_BYTES = 900_000
"""Frames of all traces together, before base64 adds a third."""

MOST_SVG_BYTES = 400_000
"""A larger drawing becomes a PNG."""


def write_report(folder: str | Path, out: str | Path) -> None:
    """Write one page with the results in `folder`, at any depth, to `out`; it loads nothing from elsewhere.

    The page has the accuracy of the runs, all figures, the tables, parameters with their sources, and provenance. Its
    interactive parts redraw the retention factors by the closed form and play the synapses of the traces. Parts whose
    files are missing are left out. Equal files give an equal page.

    Raises
    ------
    FigureError
        There are no traces, tables or run folders, or one of them is damaged.
    SimulationError, TableError, ModelError, FileError
        A file cannot be read, or the page cannot be written.
    """
    folder, out = Path(folder), Path(out)
    sources = find_sources(folder, out)
    write_text(out, _page(folder, sources, _data(sources), list(_sections(folder, out, sources))))


def _sections(folder: Path, out: Path, sources: Sources) -> Iterator[Element | str]:
    """The parts of the page in their order; a text is an interactive part of the template."""
    if sources.runs:
        yield accuracy_section(sources.runs)
    if sources.tables:
        yield _template("explorer.html")
    if sources.traces:
        yield _template("animation.html")
    if drawn := [_figure(stem, figure) for stem, figure in figures_in(folder, out).items()]:
        yield section("figures", "Figures", element("div", *drawn, class_="figures"))
    if sources.tables:
        yield tables_section(sources.tables)
    yield parameters_section(sources)
    yield provenance_section(folder, sources)


def _data(sources: Sources) -> dict[str, Any]:
    share = ANIMATION_BYTES // max(len(sources.traces), 1)
    animations = []
    for name, path in sources.traces.items():
        with open_traces(path) as traces:
            animations.append(frames(traces, name, share))
    return {"tables": [explorer_data(name, each) for name, each in sources.tables.items()], "animations": animations}


def _page(folder: Path, sources: Sources, data: dict[str, Any], sections: list[Element | str]) -> str:
    script, style = "\n".join(map(_template, SCRIPTS)), _template("report.css")
    counts = {"traces": sources.traces, "tables": sources.tables, "runs": sources.runs}
    summary = ", ".join(f"{name}: {', '.join(found)}" for name, found in counts.items() if found)
    return Template(_template("page.html")).substitute(
        title=_text(f"Report of {folder.resolve().name}"),
        summary=_text(f"{summary}. Written by rmaat-toolkit {versions()['rmaat-toolkit']}."),
        sections="\n".join(each if isinstance(each, str) else to_html([each]) for each in sections),
        data=embedded(data),
        script=script,
        style=style,
        script_digest=_digest(script),
        style_digest=_digest(style),
    )


def embedded(data: Any) -> str:
    """`data` as JSON that cannot end the element that holds it."""
    return json.dumps(data, allow_nan=False).replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _figure(stem: Path, figure: Any) -> Element:
    content, kind = render(figure, "svg"), "image/svg+xml"
    if len(content) > MOST_SVG_BYTES:
        content, kind = render(figure, "png"), "image/png"
    # As an image, a drawing runs no script, whatever its text.
    address = f"data:{kind};base64,{base64.b64encode(content).decode()}"
    words = stem.as_posix()
    return element("figure", element("img", src=address, alt=words), element("figcaption", words))


def _text(text: str) -> str:
    escaped = to_html([element("i", text)])
    return escaped.removeprefix("<i>").removesuffix("</i>")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _template(name: str) -> str:
    return resources.files("figures.report").joinpath("template", name).read_text(encoding="utf-8")
