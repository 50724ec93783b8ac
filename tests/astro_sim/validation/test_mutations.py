"""Mutations of the models: the validation must notice each one by a failing row, never by a traceback.

A mutation changes an equation or a constant where the models use it, and leaves the parameters as they are: a check
that computes its reference from the same parameters cannot follow it.
"""

import dataclasses
import re
from collections.abc import Callable, Iterator
from fractions import Fraction

import pytest

from astro_sim.biophysics.parameters import ReleaseParameters
from astro_sim.biophysics.plasticity import PairingPlasticityParameters
from astro_sim.biophysics.system import Event, System
from astro_sim.equations import stability
from astro_sim.equations.right_hand_side import RightHandSide
from astro_sim.stimuli import StpCycles
from astro_sim.validation import CHECKS, Outcome, calcium, rate_equations, rate_model, release, validate, waves
from rmaat.base.progress import ignore_progress

Mutation = Callable[[pytest.MonkeyPatch], None]

# A mutated model may overflow or grow without bound; rows must fail by their values all the same.
pytestmark = pytest.mark.filterwarnings("ignore")

PRE, POST = "presynaptic_activity", "postsynaptic_activity"
FACILITATION, SHORT, LONG = "synaptic_facilitation", "short_term_process", "long_term_process"
# Cheap rows that together see every equation: those of `rate_equations`, without the long run of the default network.
EQUATIONS = "rate model: .*(1 s after|constant input|steady|changed network)"


def forget() -> None:
    """Drop every cached result of the models; the second implementation does not depend on them."""
    for module in (calcium, rate_equations, rate_model, release, waves):
        for name, function in vars(module).items():
            if name != "second_solution" and hasattr(function, "cache_clear"):
                function.cache_clear()


@pytest.fixture(autouse=True)
def _nothing_is_cached() -> Iterator[None]:
    forget()
    yield
    forget()


def in_equation(old: str, new: str, *labels: str) -> Mutation:
    """Replace a text in the rates of the variables with these labels."""

    def mutate(monkeypatch: pytest.MonkeyPatch) -> None:
        build = RightHandSide.__init__

        def mutated(self, model, parameters, coupling):
            assert all(old in v.rate for v in model.variables if v.label in labels)
            variables = (
                dataclasses.replace(v, rate=v.rate.replace(old, new)) if v.label in labels else v
                for v in model.variables
            )
            build(self, dataclasses.replace(model, variables=tuple(variables)), parameters, coupling)

        monkeypatch.setattr(RightHandSide, "__init__", mutated)

    return mutate


def in_sums(old: str, new: str, field: str) -> Mutation:
    """Replace a text in one of the two sums over synapses."""

    def mutate(monkeypatch: pytest.MonkeyPatch) -> None:
        build = RightHandSide.__init__

        def mutated(self, model, parameters, coupling):
            text = getattr(model, field)
            assert old in text
            build(self, dataclasses.replace(model, **{field: text.replace(old, new)}), parameters, coupling)

        monkeypatch.setattr(RightHandSide, "__init__", mutated)

    return mutate


def constant(name: str, factor: float) -> Mutation:
    """Multiply a constant wherever biophysical equations are compiled."""

    def mutate(monkeypatch: pytest.MonkeyPatch) -> None:
        for owner in (System, Event):

            def compiled(self, constants, *rest, original=owner.with_constants):
                changed = {name: constants[name] * factor} if name in constants else {}
                return original(self, {**constants, **changed}, *rest)

            monkeypatch.setattr(owner, "with_constants", compiled)

    return mutate


def default(record: type, name: str, factor: float) -> Mutation:
    """Multiply the default of a parameter, for formulas that take it from its record."""

    def mutate(monkeypatch: pytest.MonkeyPatch) -> None:
        names = [entry.name for entry in dataclasses.fields(record)]
        defaults = list(record.__init__.__defaults__)
        defaults[names.index(name)] *= factor
        monkeypatch.setattr(record.__init__, "__defaults__", tuple(defaults))

    return mutate


def late_stimulus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin and end each stimulus a second late."""
    steps = StpCycles.steps

    def late(self, *sizes):
        return [dataclasses.replace(step, start=step.start + Fraction(1)) for step in steps(self, *sizes)]

    monkeypatch.setattr(StpCycles, "steps", late)


def mean_field_without_facilitation(monkeypatch: pytest.MonkeyPatch) -> None:
    def unfacilitated(parameters, rate):
        use, recovery = parameters.release_probability, parameters.recovery_rate
        return use * recovery / (recovery + use * rate)

    monkeypatch.setattr(release, "mean_release", unfacilitated)


def stability_without_feedback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stability, "_loop_gain", lambda _: 0.0)


SLOWER_ASTROCYTE = in_equation("/ short_term_time_constant", "/ (3 * short_term_time_constant)", SHORT)
NEST = "after 60 s"

MUTATIONS: dict[str, tuple[Mutation, str, str]] = {
    "synaptic input to the neuron flipped": (
        in_equation("+ synaptic_input", "- synaptic_input", POST),
        EQUATIONS,
        "what synapses add to steady postsynaptic activity",
    ),
    "time constant of the neurons x 4": (
        in_equation("neuron_time_constant", "(4 * neuron_time_constant)", PRE, POST),
        EQUATIONS,
        "(pre|post)synaptic activity 1 s after the drive begins",
    ),
    "decay of the neurons x 2": (
        in_equation("-neuron_decay", "-2 * neuron_decay", PRE, POST),
        EQUATIONS,
        "presynaptic activity 1 s after the drive ends",
    ),
    "drive of the postsynaptic neuron dropped": (
        in_equation("+ drive", "+ 0 * drive", POST),
        EQUATIONS,
        "postsynaptic activity 1 s after the drive begins",
    ),
    "decay of facilitation x 2": (
        in_equation("-synapse_decay", "-2 * synapse_decay", FACILITATION),
        EQUATIONS,
        "facilitation by constant input",
    ),
    "time constant of facilitation x 2": (
        in_equation("/ synapse_time_constant", "/ (2 * synapse_time_constant)", FACILITATION),
        EQUATIONS,
        "facilitation by constant input",
    ),
    "facilitation by the sum of activities": (
        in_equation(") * tanh(", ") + tanh(", FACILITATION),
        EQUATIONS,
        "steady facilitation of two driven neurons",
    ),
    "feedback of the astrocyte flipped": (
        in_equation("+ short_term_feedback", "- short_term_feedback", FACILITATION),
        EQUATIONS,
        "steady state of synaptic facilitation",
    ),
    "transmission without facilitation": (
        in_sums("synaptic_facilitation", "1.0", "synaptic_input"),
        EQUATIONS,
        "what synapses add to steady postsynaptic activity",
    ),
    "decay of the short-term process x 2": (
        in_equation("-short_term_decay", "-2 * short_term_decay", SHORT),
        EQUATIONS,
        "short-term process by constant input",
    ),
    "coupling flipped": (
        in_equation("+ coupled_input", "- coupled_input", SHORT),
        EQUATIONS,
        "steady state of short-term process",
    ),
    "coupling without tanh": (
        in_sums("tanh(short_term_process)", "short_term_process", "coupled_signal"),
        EQUATIONS,
        "steady state of short-term process",
    ),
    "gain of the short-term process x 2": (
        in_equation("+ short_term_gain", "+ 2 * short_term_gain", SHORT),
        EQUATIONS,
        "steady state of short-term process",
    ),
    "decay of the long-term process x 0.5": (
        in_equation("-long_term_decay", "-0.5 * long_term_decay", LONG),
        EQUATIONS,
        "time constant of the long-term process",
    ),
    "input of the long-term process flipped": (
        in_equation("long_term_process + ", "long_term_process - ", LONG),
        EQUATIONS,
        "steady state of long-term process",
    ),
    "stimulus 1 s late": (late_stimulus, EQUATIONS, "presynaptic activity 1 s after the drive begins"),
    "short-term process three times slower": (
        SLOWER_ASTROCYTE,
        "(rise|decay) of the short-term process",
        "(rise|decay) of the short-term process",
    ),
    "decay of the short-term process x 1.01": (
        in_equation("-short_term_decay", "-1.01 * short_term_decay", SHORT),
        "influence of a synapse|influence against",
        "influence of a synapse|influence against",
    ),
    "bound of stability without feedback": (stability_without_feedback, "refused", "smallest coupling"),
    "SERCA pump x 1.2": (constant("pump_rate", 1.2), NEST, "Li-Rinzel AM"),
    "leak of the store x 2": (constant("leak_rate", 2.0), NEST, "Li-Rinzel FM"),
    "IP3 production by PLC-beta x 2": (constant("plc_beta_rate", 2.0), "G-ChI", "time of calcium peak 2"),
    "IP3 degradation by IP3-3K x 2": (constant("kinase_rate", 2.0), "G-ChI", "time of calcium peak 1"),
    "IP3 exchange between cells x 2": (constant("exchange_rate", 2.0), "ring", "from cell to cell"),
    "recovery of release x 0.5": (default(ReleaseParameters, "recovery_rate", 0.5), "share released", "at 10 Hz"),
    "release probability x 0.5": (constant("probability", 0.5), "Tsodyks-Markram", "mean field above the run at 5 Hz"),
    "mean field without facilitation": (mean_field_without_facilitation, "mean field", r"at (0.1|1|5|10|50) Hz"),
    "recovery in the tripartite synapse x 2": (constant("recovery_rate", 2.0), "figure 4B.*without", " (1.1|11) Hz"),
    "gliotransmitter x 0.5": (constant("astrocyte_vesicles", 0.5), "figure 4B.*closed", " (1.1|11) Hz"),
    "postsynaptic calcium x 2": (
        default(PairingPlasticityParameters, "postsynaptic_calcium", 2.0),
        "Graupner-Brunel",
        "lag -20 ms",
    ),
}
"""Each mutation, and two patterns for the rows that must fail; only rows that match both are measured, to save time."""


def measured(*patterns: str) -> list[Outcome]:
    """The outcomes of the rows whose names match all patterns."""
    checks = [check for check in CHECKS if all(re.search(pattern, check.quantity) for pattern in patterns)]
    return validate(ignore_progress, [check for check in checks if not check.needs])


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_of_the_models_fails_rows_and_raises_nothing(name: str, monkeypatch):
    mutate, rows, expected = MUTATIONS[name]
    mutate(monkeypatch)
    found = measured(rows, expected)
    assert found
    assert not [outcome.check.quantity for outcome in found if outcome.passed]


@pytest.mark.parametrize(
    ("label", "old", "new"),
    [(FACILITATION, "-synapse_decay", "-2 * synapse_decay"), (SHORT, "+ coupled_input", "- coupled_input")],
)
def test_a_mutation_for_which_a_check_takes_the_logarithm_of_a_negative_number_fails_its_row(
    label, old, new, monkeypatch
):
    in_equation(old, new, label)(monkeypatch)
    (outcome,) = measured("decay time 2 % below the bound")
    assert not outcome.passed


def test_a_model_that_cannot_be_simulated_fails_every_row_that_simulates_it(monkeypatch):
    in_equation("-neuron_decay", "-neuron_decai", PRE)(monkeypatch)
    outcomes = measured("1 s after the drive")
    assert len(outcomes) == 3
    assert {type(outcome.error).__name__ for outcome in outcomes} == {"UsageError"}
    assert all("neuron_decai" in outcome.description for outcome in outcomes)
