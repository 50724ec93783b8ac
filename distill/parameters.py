"""Parameters of the distillation."""

from dataclasses import dataclass

from rmaat.base.records import Record, parameter


@dataclass(frozen=True)
class DistillParameters(Record):
    """Parameters of the distillation; all are ours, none is from the paper."""

    segments: int = parameter(
        64, "most segments T that the tables serve", unit="segments", low=1, high=4096, symbol="T"
    )
    token_spacing: float = parameter(
        1.0, "distance between neighbouring tokens, in synapse spacings of the simulated network", low=1e-6, high=1e6
    )
    exponent_range_start: float = parameter(
        0.5,
        "the power law is fitted from this share of the peak response to the end of the stimulus",
        low=0.0,
        high=0.9,
    )
    exponent: float = parameter(
        0.0,
        "presynaptic exponent to use in place of the fitted one; 0 fits it, the parent paper has 0.25",
        low=0.0,
        symbol="alpha",
    )
    horizon_saturation: float = parameter(
        3.0,
        "saturation A at the last segment of the variant horizon: its law has grown to 1 - exp(-A) of its end",
        low=0.01,
        high=30.0,
        symbol="A",
    )
    bootstrap_resamples: int = parameter(
        200, "resamples of the bootstrap, which gives the errors if traces hold several trials", low=20, high=10_000
    )
    seed: int = parameter(0, "seed of the bootstrap and of the variant random", low=0, high=2**31 - 1)
