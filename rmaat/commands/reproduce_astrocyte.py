"""The study `astrocyte` of `rmaat reproduce`: its astrocytes, and its report."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rmaat.base.files import write_text
from rmaat.base.progress import Bar

if TYPE_CHECKING:
    from model.studies.study import Run

NAME = "astrocyte"


def tables_of_astrocytes(out: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Simulate and distil the missing astrocytes into `out`: their tables, and the reasons of failures, by name."""
    from distill.inverse.astrocytes import astrocytes, write_tables_of

    with Bar("astrocytes") as progress:
        return write_tables_of(astrocytes(), out / "astrocytes", progress)


def write_report(
    stem: Path, command: str, runs: Sequence["Run"], astrocytes: Mapping[str, Path], missing: Mapping[str, str]
) -> str:
    """Write the table as Markdown and CSV, and the figure; returns the Markdown, empty if no run is done."""
    from distill.inverse.astrocytes import astrocytes as every
    from figures import draw_astrocytes, save_figure
    from model.studies.astrocytes import markdown, points, write_csv
    from model.studies.report import findings

    found = findings(runs)
    if not found:
        return ""
    titles = {name: astrocyte.title for name, astrocyte in every().items()}
    shown = points(found, astrocytes, titles)
    page = markdown(shown, found, command, len(runs), missing)
    write_csv(stem.with_name(stem.name + ".csv"), shown, found)
    write_text(stem.with_name(stem.name + ".md"), page)
    if any(point.kind == "astrocyte" for point in shown):
        save_figure(draw_astrocytes(shown, "Accuracy against the astrocyte"), stem)
    return f"{page}\n{stem}.md, .csv, .png, .svg"
