"""The studies of `rmaat reproduce` whose models have the tables of several astrocytes: the tables and the report."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rmaat.base.files import write_text
from rmaat.base.progress import Bar

if TYPE_CHECKING:
    from model.studies.study import Run

FOLDERS = {"astrocyte": "astrocytes", "drawn": "drawn"}
"""Folder of the tables, by the name of the study."""


def tables_of_astrocytes(study: str, out: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Simulate and distil the missing astrocytes of `study` into `out`: the tables, and reasons of failures, by name.

    Both are empty for a study of other models.
    """
    if study not in FOLDERS:
        return {}, {}
    from distill.inverse.astrocytes import SOURCES, write_tables_of

    with Bar("astrocytes") as progress:
        return write_tables_of(SOURCES[study](), out / FOLDERS[study], progress)


def write_report(
    study: str,
    stem: Path,
    command: str,
    runs: Sequence["Run"],
    astrocytes: Mapping[str, Path],
    missing: Mapping[str, str],
) -> str:
    """Write the table as Markdown and CSV, and the figure; returns the Markdown, empty if no run is done."""
    from distill.inverse.astrocytes import SOURCES
    from figures import draw_astrocytes, save_figure
    from model.studies.astrocytes import draw_spreads, markdown, points, write_csv, write_spreads
    from model.studies.report import findings
    from model.studies.study import STUDIES

    found = findings(runs)
    if not found:
        return ""
    titles = {name: source.title for name, source in SOURCES[study]().items()}
    shown = points(found, astrocytes, titles)
    page = markdown(shown, found, command, len(runs), missing)
    write_csv(stem.with_name(stem.name + ".csv"), shown, found)
    write_text(stem.with_name(stem.name + ".md"), page)
    if spreads := draw_spreads(shown):
        # Draws differ too little for a figure against rate and reach.
        write_spreads(stem.with_name(stem.name + "-spreads.csv"), spreads)
        return f"{page}\n{stem}.md, .csv, {stem.name}-spreads.csv"
    if any(point.kind == "astrocyte" for point in shown):
        save_figure(draw_astrocytes(shown, STUDIES[study].title), stem)
    return f"{page}\n{stem}.md, .csv, .png, .svg"
