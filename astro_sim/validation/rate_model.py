"""Checks of what follows from the rate model's equations: increments, stability, influence, kinetics."""

import math
from functools import cache, partial

import numpy as np
import xarray as xr

from astro_sim.equations.influence import measure_influence
from astro_sim.equations.rate_model import RATE_MODEL
from astro_sim.network.coupling import build_coupling
from astro_sim.network.geometry import build_geometry
from astro_sim.parameter_set import SimulationParameters
from astro_sim.parameters import NetworkParameters, RateModelParameters
from astro_sim.runs.simulate import prepare, simulate
from astro_sim.validation.check import Check, Kind, Origin
from rmaat.base.arrays import Array
from rmaat.base.records import ParameterError

LAW = Origin(Kind.CLOSED_FORM, "geometric law of increments, see docs/science.md")
LINEAR = Origin(Kind.CLOSED_FORM, "the equations, linearised around rest")
KINETICS = Origin(Kind.PUBLISHED, "De Pittà et al. 2012, PMC3528083, table 2")
PROTOTYPE = Origin(Kind.OWN_PROTOTYPE, "SciPy prototype of the same equations, fitted as here")
RATIOS_OF_LENGTH = {0.2: 1.13, 0.4: 1.30, 0.6: 1.57, 0.8: 2.16}
"""Reach of the influence divided by that of the coupling, by the coupling's spectral radius per decay."""
SIDE, NEAREST, FARTHEST = 41, 2, 8
EQUAL = SimulationParameters().override({"layout": "equal", "run_duration": 50.0})
# With 9 synapses at equal distances the spectral radius is 8 strength / e; decay minus loop gain is 1 / 2.
CRITICAL_STRENGTH = 0.5 * math.e / 8
# Around rest a mode exp(-k t) has 3 k² - (3 + m) k + m - 0.5 = 0; m = 0.51 is γ^s minus 0.98 of the largest radius.
SLOW_RATE = (3.51 - math.sqrt(3.51**2 - 0.12)) / 6
# Rise and decay must fit in stimulus and silence, or their lengths would bound what can be measured.
LONG_CYCLE = {"run_duration": 200.0, "cycle_duration": 200.0, "stimulus_duration": 100.0}


@cache
def default_traces() -> xr.Dataset:
    """Traces of the default run, which restarts the fast variables."""
    return simulate()


def increments() -> Array:
    """Growth of the mean long-term process in each cycle (cycle,)."""
    traces = default_traces()
    mean = traces["long_term_process"].mean(("post", "pre"))
    return np.diff(mean.sel(time=traces["cycle_end"].values, method="nearest").values, prepend=0)


def ratio_of_increments() -> float:
    """The ratio of neighbouring increments that is farthest from the median ratio."""
    found = increments()
    ratios = found[1:] / found[:-1]
    return float(ratios[np.abs(ratios - np.median(ratios)).argmax()])


def retention_of_first_of_four() -> float:
    """RF(1, 4), the retention factor of the first of four segments."""
    return float(increments()[0] / increments()[:4].sum())


def refused(strength: float) -> bool:
    """Whether a network with equal distances is refused because its rest is not stable."""
    try:
        prepare(EQUAL.override({"coupling_strength": strength}))
    except ParameterError:
        return True
    return False


def smallest_refused_strength() -> float:
    """The coupling strength from which on networks are refused, by bisection; NaN if it is out of the bracket."""
    stable, unstable = 0.5 * CRITICAL_STRENGTH, 2 * CRITICAL_STRENGTH
    if refused(stable) or not refused(unstable):
        return math.nan
    while unstable - stable > 1e-5 * CRITICAL_STRENGTH:
        middle = (stable + unstable) / 2
        stable, unstable = (stable, middle) if refused(middle) else (middle, unstable)
    return (stable + unstable) / 2


def decay_time_below_the_bound() -> float:
    """The time constant in s of the return to rest, at 0.98 of the largest stable coupling."""
    run = {"coupling_strength": 0.98 * CRITICAL_STRENGTH, "cycle_duration": 4000.0, "run_duration": 4000.0}
    silence = simulate(EQUAL.override(run | {"recording_interval": 5.0}))["short_term_process"]
    late, later = silence.sel(time=[3000.0, 4000.0], method="nearest").mean(("post", "pre")).values
    return 1000 / math.log(late / later)


def influence_against_inverse() -> float:
    """The largest relative difference between the measured influence and the inverse of decay - gain - coupling."""
    traces = default_traces()
    coupling, influence = (traces[name].values.reshape(9, 9) for name in ("coupling", "influence"))
    expected = np.linalg.inv(0.5 * np.eye(9) - coupling)
    return float(np.abs(influence / expected - 1).max())


def influence_without_coupling() -> float:
    """The smallest influence of a synapse on itself without coupling."""
    influence = simulate(EQUAL.override({"coupling_strength": 0.0}))["influence"].values.reshape(9, 9)
    return float(np.diag(influence).min())


def ratio_of_lengths(share: float) -> float:
    """The length over which the measured influence falls, divided by that of the coupling.

    The fit of the influence covers distances from `NEAREST` to `FARTHEST` spacings. The coupling's spectral radius is
    `share` times the decay of the short-term process, and facilitation has no feedback.
    """
    network = NetworkParameters(
        presynaptic_neurons=SIDE,
        postsynaptic_neurons=SIDE,
        layout="grid",
        coupling_given_by="spectral_radius",
        coupling_spectral_radius=share,
        coupling_scale=2 / 3,
    )
    geometry = build_geometry(network)
    coupling, centre = build_coupling(geometry, network), (SIDE // 2, SIDE // 2)
    alone = RateModelParameters(short_term_gain=0.0)
    (influence,) = measure_influence(RATE_MODEL, alone, coupling, [centre])
    distance = geometry.distance_from(centre)
    near = (distance >= NEAREST) & (distance <= FARTHEST)
    slope, _ = np.polyfit(distance[near], np.log(influence[near]), 1)
    return -network.coupling_scale / float(slope)


@cache
def mean_response() -> xr.DataArray:
    """The mean short-term process (time,) of the default network, in one long cycle."""
    return simulate(SimulationParameters().override(LONG_CYCLE))["short_term_process"].mean(("post", "pre"))


def rise_time() -> float:
    """The rise time of the mean short-term process from 10 to 90 % of its peak, in s."""
    response = mean_response()
    peak = int(response.values.argmax())
    rising = response.values[: peak + 1] / float(response.max())
    start, end = np.interp([0.1, 0.9], rising, response["time"].values[: peak + 1])
    return float(end - start)


def decay_time() -> float:
    """The decay time of the mean short-term process from its peak to 1 / e of it, in s; NaN if it never falls there."""
    response = mean_response()
    peak = int(response.values.argmax())
    falling, times = response.values[peak:] / float(response.max()), response["time"].values[peak:]
    return float(np.interp(-math.exp(-1), -falling, times, right=np.nan) - times[0])


CHECKS = (
    Check.absolute(
        "rate model: ratio of increments with restarts", "1", math.exp(-0.5), 1e-6, LAW, ratio_of_increments
    ),
    Check.absolute(
        "rate model: retention factor RF(1, 4)",
        "1",
        math.expm1(-0.5) / math.expm1(-2.0),
        1e-6,
        LAW,
        retention_of_first_of_four,
    ),
    Check.relative(
        "rate model: smallest coupling that is refused",
        "1",
        CRITICAL_STRENGTH,
        0.01,
        LINEAR,
        smallest_refused_strength,
    ),
    Check.relative(
        "rate model: decay time 2 % below the bound", "s", 1 / SLOW_RATE, 0.1, LINEAR, decay_time_below_the_bound
    ),
    Check.absolute("rate model: influence against inverse matrix", "1", 0, 1e-6, LINEAR, influence_against_inverse),
    Check.absolute(
        "rate model: influence of a synapse on itself without coupling",
        "1",
        2,
        1e-6,
        LINEAR,
        influence_without_coupling,
    ),
    *(
        Check.relative(
            f"rate model: reach of influence per that of the coupling at a share of {share:g}",
            "1",
            ratio,
            3,
            PROTOTYPE,
            partial(ratio_of_lengths, share),
        )
        for share, ratio in RATIOS_OF_LENGTH.items()
    ),
    Check.between("rate model: rise of the short-term process", "s", 2, 20, KINETICS, rise_time),
    Check.between("rate model: decay of the short-term process", "s", 3, 25, KINETICS, decay_time),
)
"""Exact results of the equations, reach of the influence and calcium kinetics."""
