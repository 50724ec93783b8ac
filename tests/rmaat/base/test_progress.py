"""The progress bar is redrawn at every update, also after a long stride."""

from rmaat.base.progress import Bar


def test_small_strides_after_a_long_one_are_drawn(capsys):
    bar = Bar("train")
    bar._bar.mininterval = 0.0  # without a terminal the bar is redrawn every 5 seconds only
    with bar as progress:
        progress(0.5, "half")
        for step in range(5):
            progress(0.5 + step / 1000, f"loss {step}")
        shown = capsys.readouterr().err
    assert "loss 1" in shown
    assert "loss 4" in shown
