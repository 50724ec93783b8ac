"""Loss and accuracy of a training run against its steps."""

from collections.abc import Mapping, Sequence
from itertools import cycle

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.errors import FigureError
from figures.style import HELD_OUT, LEVEL_LINES, REFERENCE, SEEN, axis_label, paper_style
from model.training.run_folder import Evaluation


@paper_style()
def draw_training(
    metrics: Sequence[Mapping[str, float]], evaluation: Evaluation | None = None, title: str = "Training"
) -> Figure:
    """Loss in nats and accuracy in % against optimiser steps; the figure is ours.

    The upper panel shows the loss on training and validation data, the lower one the validation accuracy. With an
    evaluation the lower panel also shows the accuracy on the test split, with a band of one standard error, and the
    trivial levels.

    Parameters
    ----------
    metrics
        One row per validation, as `model.training.run_folder.RunFolder.read_metrics` returns them.
    evaluation
        The score on the test split, if there is one.

    Raises
    ------
    FigureError
        There are no rows.
    """
    if not metrics:
        raise FigureError(f"{title}: no validation in metrics.csv, so there is no curve to draw; train for more steps")
    step = [row["step"] for row in metrics]
    figure = Figure(figsize=(7, 4.6))
    loss, accuracy = figure.subplots(2, 1, sharex=True)
    style = {"marker": "o", "markersize": 3}
    loss.plot(step, [row["train_loss"] for row in metrics], **style, color=SEEN, label="training")
    loss.plot(step, [row["validation_loss"] for row in metrics], **style, color=HELD_OUT, label="validation")
    accuracy.plot(step, [row["validation_accuracy"] for row in metrics], **style, color=HELD_OUT, label="validation")
    if evaluation is not None:
        _draw_levels(accuracy, evaluation)
    loss.set_ylabel(axis_label("loss", units="nat"))
    accuracy.set_ylabel(axis_label("accuracy", units="%"))
    # The metrics hold shares; only the labels are in %.
    accuracy.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}")
    accuracy.set_xlabel(axis_label("optimiser step"))
    for axes in (loss, accuracy):
        # Beside the panel: inside it would cover curves, which may be anywhere.
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    figure.suptitle(title)
    return figure


def _draw_levels(axes: Axes, evaluation: Evaluation) -> None:
    reached, error = evaluation.accuracy, evaluation.standard_error
    axes.axhline(reached, color=HELD_OUT, linestyle="--", linewidth=1.2, label=f"test, {reached:.1%} ± {error:.1%}")
    axes.axhspan(reached - error, reached + error, color=HELD_OUT, alpha=0.12, linewidth=0)
    for (name, level), line in zip(evaluation.trivial_levels.items(), cycle(LEVEL_LINES), strict=False):
        axes.axhline(level, color=REFERENCE, linestyle=line, linewidth=1.2, label=f"{name}, {level:.1%}")
