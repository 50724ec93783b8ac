"""Accuracies of a study, with one panel per task."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from figures.errors import FigureError
from figures.style import HELD_OUT, LEVEL_LINES, REFERENCE, SEEN, axis_label, paper_style
from model.studies.contenders import CONTENDERS
from model.studies.report import Finding
from model.tasks.library import TASKS

COLUMNS = 3
"""panels side by side"""


@paper_style()
def draw_study(findings: Sequence[Finding], title: str) -> Figure:
    """Test accuracy in % of each contender, one panel per task; the figure is ours.

    A dot is one seed and a bar the mean over seeds. A hollow diamond is the accuracy that the RMAAT paper prints, for
    other sizes and budgets. Grey lines are the trivial levels.

    Raises
    ------
    FigureError
        `findings` is empty.
    """
    if not findings:
        raise FigureError("no run of the study is done, so there is nothing to draw; run it first")
    tasks = list(dict.fromkeys(finding.task for finding in findings))
    # Reversed, because the vertical axis counts from the bottom and a table from the top.
    contenders = list(dict.fromkeys(finding.contender for finding in findings))[::-1]
    columns = min(COLUMNS, len(tasks))
    rows = -(-len(tasks) // columns)
    figure = Figure(figsize=(1.8 + 2.4 * columns, rows * (1.3 + 0.2 * len(contenders))))
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes, task in zip(grid.ravel(), tasks, strict=False):
        _draw_task(axes, [finding for finding in findings if finding.task == task], contenders)
        axes.set_title(TASKS[task].title)
        axes.set_xlabel(axis_label("test accuracy", units="%"))
    # The last row may have more panels than tasks are left.
    for axes in grid.ravel()[len(tasks) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_yticks(range(len(contenders)), [CONTENDERS[contender].title for contender in contenders])
    figure.suptitle(title)
    marks = [
        Line2D([], [], marker="o", color=SEEN, markersize=3, linestyle="", label="a seed"),
        Line2D([], [], marker="|", color=HELD_OUT, markersize=9, markeredgewidth=1.6, linestyle="", label="mean"),
    ]
    if any(finding.paper_accuracy is not None for finding in findings):
        words = "the paper's, of other sizes and budgets"
        marks.append(
            Line2D([], [], marker="D", markerfacecolor="none", color=REFERENCE, markersize=4, linestyle="", label=words)
        )
    figure.legend(handles=marks, loc="outside lower center", ncols=len(marks), fontsize=7, frameon=False)
    return figure


def _draw_task(axes: Axes, findings: Sequence[Finding], contenders: list[str]) -> None:
    for finding in findings:
        height = contenders.index(finding.contender)
        seeds = list(finding.accuracies.values())
        axes.plot(seeds, [height] * len(seeds), "o", color=SEEN, markersize=3)
        axes.plot([finding.accuracy], [height], "|", color=HELD_OUT, markersize=9, markeredgewidth=1.6)
        if finding.paper_accuracy is not None:
            axes.plot([finding.paper_accuracy], [height], "D", markerfacecolor="none", color=REFERENCE, markersize=4)
    for (name, level), line in zip(findings[0].levels.items(), LEVEL_LINES, strict=False):
        axes.axvline(level, color=REFERENCE, linestyle=line, linewidth=1, label=name)
    # A fixed distance in inches below the panel, because a share of its height would overlap the label.
    below = axes.transAxes + ScaledTranslation(0, -0.38, axes.figure.dpi_scale_trans)
    axes.legend(fontsize=6, loc="upper center", bbox_to_anchor=(0.5, 0), bbox_transform=below, frameon=False)
