"""Draw the whole chain, from the simulation to the accuracy, as one picture for the README.

python docs/draw_chain.py [runs/demo] [--out docs/images/chain.png]

The script draws files that `rmaat demo` wrote: traces, tables and the run folder.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from astro_sim import read_traces
from distill import read_tables
from figures import save_figure
from figures.style import HELD_OUT, LONG_TERM, REFERENCE, STIMULUS, paper_style
from model.training.run_folder import RunFolder
from rmaat.base.files import write_bytes

SEGMENTS = 4
"""Of the sequence whose retention factors the picture shows."""
MODEL = "RMAAT"
TITLES = (
    ("simulate", "long-term process $p^l$"),
    ("distill", "growth of $p^l$ in each cycle"),
    ("distill", "retention factors, 4 segments"),
    ("distill", "memory left at the last segment"),
    ("train", "validation accuracy (%)"),
    ("evaluate", "test accuracy (%), ListOps"),
)
"""The command behind each panel, and what the panel shows."""


def main() -> None:
    """Read the results of a demo and write the picture as PNG."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path, nargs="?", default=Path("runs/demo"), help="folder that rmaat demo wrote")
    parser.add_argument("--out", type=Path, default=Path("docs/images/chain.png"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # save_figure also writes SVG, which the README does not need.
        png, _ = save_figure(draw_chain(options.demo), Path(folder) / "chain")
        write_bytes(options.out, png.read_bytes())


@paper_style()
def draw_chain(demo: Path) -> Figure:
    """Return a figure of six panels, one for each step from the traces to the test accuracy."""
    traces, tables = read_traces(demo / "sim.nc"), read_tables(demo / "tables.nc")
    run = RunFolder(demo / "listops")
    evaluation = run.read_evaluation()
    figure = Figure(figsize=(8.4, 5))
    figure.set_layout_engine("constrained", wspace=0.14, hspace=0.1)
    panels = figure.subplots(2, 3).ravel()
    draw_curve(panels[0], traces)
    draw_bars(panels[1], tables.dataset["increment"].values[: traces.sizes["cycle"]], "cycle")
    draw_bars(panels[2], tables.retention(SEGMENTS), "segment")
    draw_bars(panels[3], tables.remaining(SEGMENTS), "segment")
    draw_training(panels[4], run.read_metrics())
    draw_levels(panels[5], {**evaluation.trivial_levels, MODEL: evaluation.accuracy})
    for number, (axes, (command, words)) in enumerate(zip(panels, TITLES, strict=True)):
        axes.set_title(words, loc="left", fontsize=9)
        axes.text(0, 1.14, f"{number + 1}  {command}", transform=axes.transAxes, fontsize=10, fontweight="bold")
        if number % 3 < 2:
            draw_arrow(axes)
    return figure


def draw_curve(axes: Axes, traces: xr.Dataset) -> None:
    """Draw the mean long-term process over time; a marker is the end of a cycle, a shaded stretch the stimulus."""
    mean = traces["long_term_process"].mean(("post", "pre"))
    driven = (traces["presynaptic_drive"] > 0).any("pre")
    axes.fill_between(
        traces["time"],
        0,
        1,
        where=driven,
        step="post",
        color=STIMULUS,
        linewidth=0,
        transform=axes.get_xaxis_transform(),
    )
    axes.plot(mean["time"], mean, color=LONG_TERM)
    ends = mean.sel(time=traces["cycle_end"].values)
    axes.plot(ends["time"], ends, "o", color=LONG_TERM, markeredgecolor="black")
    axes.set_xlabel("time (s)")
    axes.set_ylim(bottom=0)


def draw_bars(axes: Axes, values: NDArray, words: str) -> None:
    """Draw one bar with its number for each cycle or segment."""
    places = np.arange(1, len(values) + 1)
    bars = axes.bar(places, values, color=LONG_TERM)
    axes.bar_label(bars, [f"{value:.3f}" if value < 1 else "1" for value in values], fontsize=8, padding=1)
    axes.set_xlabel(words)
    axes.set_xticks(places)
    axes.set_ylim(0, 1.1 * max(values))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def draw_training(axes: Axes, metrics: Sequence[Mapping[str, float]]) -> None:
    """Draw the validation accuracy over the steps of the training."""
    accuracy = [100 * row["validation_accuracy"] for row in metrics]
    axes.plot([row["step"] for row in metrics], accuracy, "o-", color=HELD_OUT, markersize=3)
    axes.set_xlabel("optimiser step")


def draw_levels(axes: Axes, accuracies: Mapping[str, float]) -> None:
    """Draw the test accuracy of the model, last, below the trivial levels."""
    places = -np.arange(len(accuracies))
    values = [100 * value for value in accuracies.values()]
    bars = axes.barh(places, values, height=0.42, color=[REFERENCE] * (len(values) - 1) + [HELD_OUT])
    axes.bar_label(bars, [f"{value:.1f}" for value in values], fontsize=8, padding=2)
    for place, name in zip(places, accuracies, strict=True):
        axes.text(
            0, place + 0.26, name if name == MODEL else f"no model: {name}", fontsize=8, verticalalignment="bottom"
        )
    axes.set_ylim(places[-1] - 0.3, 0.62)
    axes.set_xlim(0, 60)
    axes.set_axis_off()


def draw_arrow(axes: Axes) -> None:
    """Draw an arrow from the heading of a panel to that of the next one."""
    style = {"arrowstyle": "-|>", "color": REFERENCE, "linewidth": 1.2}
    axes.annotate(
        "", (1.1, 1.18), (0.62, 1.18), xycoords="axes fraction", annotation_clip=False, arrowprops=style
    ).set_in_layout(False)


if __name__ == "__main__":
    main()
