import numpy as np
import pytest

from astro_sim import SimulationError, SimulationParameters, simulate
from astro_sim.engines import ENGINES, integrate
from astro_sim.engines.job import Job, Solution
from astro_sim.equations.model import Model, Place, Variable
from astro_sim.network.coupling import DenseCoupling
from astro_sim.parameters import RateModelParameters, SolverParameters
from astro_sim.protocol import Interval
from rmaat.base.errors import UsageError
from rmaat.base.records import ParameterError


def one_variable_job(rate: str) -> Job:
    model = Model((Variable("growth", Place.SYNAPSE, rate, "", ""),), "growth", "growth")
    interval = Interval(0.0, 5.0, np.zeros(2), np.zeros(3), False)
    return Job(
        model, RateModelParameters(), DenseCoupling(np.zeros((3, 2, 3, 2))), (interval,), 0.5, SolverParameters()
    )


def test_the_error_for_an_unknown_engine_lists_similar_names():
    with pytest.raises(UsageError, match="unknown engine 'brain2'; perhaps you meant brian2"):
        simulate(engine="brain2")


def test_a_model_without_neuronal_variables_runs():
    solution = integrate(one_variable_job("(1 - growth) / synapse_time_constant"), "scipy", lambda _: None)
    np.testing.assert_allclose(solution.values["growth"][:, 2, 1], 1 - np.exp(-solution.times), atol=1e-7)


def test_a_solution_that_escapes_to_infinity_names_time_variable_and_place():
    # All elements escape at the same time, so rounding decides which one the message names.
    job = one_variable_job("(1 + growth**2) / synapse_time_constant")
    with pytest.raises(SimulationError, match=r"growth at post \d, pre \d growing beyond 1e\+09 at 1\.5708 s"):
        integrate(job, "scipy", lambda _: None)


def test_dop853_agrees_with_lsoda_within_their_tolerances():
    short = SimulationParameters().override({"run_duration": 100.0})

    def states(method: str, tolerance: float) -> np.ndarray:
        solver = {"method": method, "relative_tolerance": tolerance, "absolute_tolerance": tolerance / 1000}
        traces = simulate(short.override(solver))
        names = ("postsynaptic_activity", "synaptic_facilitation", "short_term_process", "long_term_process")
        return np.concatenate([traces[name].values.ravel() for name in names])

    reference = states("dop853", 1e-13)
    for tolerance in (1e-5, 1e-7, 1e-9):
        assert np.abs(states("lsoda", tolerance) - reference).max() < 30 * tolerance
    # DOP853 takes long steps, so that interpolation between their ends (order 7) adds to the error.
    for tolerance in (1e-5, 1e-7, 1e-9):
        assert np.abs(states("dop853", tolerance) - reference).max() < 1000 * tolerance


@pytest.mark.parametrize("engine", ["scipy", "brian2"])
def test_a_run_that_stores_more_than_memory_holds_is_refused_before_it_starts(engine: str):
    large = {"presynaptic_neurons": 128, "postsynaptic_neurons": 128, "run_duration": 1600.0}
    radius = {"layout": "grid", "coupling_given_by": "spectral_radius"}
    sentence = r"3201 times of 49408 values take 1.3 GB, more than the 1 GB .* recording_interval, now 0.5 s"
    with pytest.raises(ParameterError, match=sentence):
        simulate(SimulationParameters().override(large | radius), engine)


def test_a_value_that_is_not_finite_is_an_error_of_any_engine(monkeypatch: pytest.MonkeyPatch):
    job = one_variable_job("growth")
    values = np.zeros((11, 3, 2))
    values[4, 2, 1] = np.nan
    solution = Solution(np.arange(11) / 2, {"growth": values}, {}, ())
    monkeypatch.setitem(ENGINES, "broken", lambda *_: solution)  # pyright: ignore[reportArgumentType]
    with pytest.raises(SimulationError, match="broken found nan for growth at post 2, pre 1 at 2 s"):
        integrate(job, "broken", lambda _: None)


def test_edges_between_stored_times_act_at_their_exact_times():
    drives = [np.array([1.0]), np.array([-3.0]), np.array([0.0])]
    edges = [0.0, 0.7, 1.9, 3.0]
    intervals = tuple(
        Interval(start, end, np.zeros(0), drive, False)
        for start, end, drive in zip(edges, edges[1:], drives, strict=False)
    )
    model = Model((Variable("sum", Place.POST, "drive / synapse_time_constant", "", ""),), "0", "0")
    job = Job(model, RateModelParameters(), DenseCoupling(np.zeros((1, 0, 1, 0))), intervals, 1.5, SolverParameters())
    found = integrate(job, "scipy", lambda _: None)
    np.testing.assert_allclose(found.values["postsynaptic_sum"][:, 0], [0, 0.7 - 3 * 0.8, 0.7 - 3 * 1.2], atol=1e-7)
