import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_sim.equations.model import FUNCTIONS, Model, Place, Variable
from astro_sim.equations.rate_model import RATE_MODEL
from astro_sim.equations.right_hand_side import RightHandSide
from astro_sim.network.coupling import DenseCoupling
from astro_sim.parameters import RateModelParameters
from rmaat.base.errors import UsageError

CONSTANTS = RateModelParameters().to_dict()


def test_unpacked_variables_are_views_of_the_state():
    rate = RightHandSide(RATE_MODEL, CONSTANTS, DenseCoupling(np.zeros((2, 3, 2, 3))))
    values = rate.unpack(np.arange(rate.size, dtype=float))
    assert [(label, value.shape) for label, value in values.items()] == [
        ("presynaptic_activity", (3,)),
        ("postsynaptic_activity", (2,)),
        ("synaptic_facilitation", (2, 3)),
        ("short_term_process", (2, 3)),
        ("long_term_process", (2, 3)),
    ]
    np.testing.assert_array_equal(np.concatenate([value.ravel() for value in values.values()]), np.arange(rate.size))


def test_a_restart_sets_all_variables_but_the_long_term_process_to_zero():
    rate = RightHandSide(RATE_MODEL, CONSTANTS, DenseCoupling(np.zeros((2, 3, 2, 3))))
    state = np.ones(rate.size)
    after = {label: value.mean() for label, value in rate.unpack(rate.restarted(state)).items()}
    assert [label for label, value in after.items() if value] == ["long_term_process"]
    assert state.all()


def test_the_equations_of_a_custom_model_may_use_the_names_of_their_place():
    model = Model(
        variables=(
            Variable("u", Place.PRE, "drive * k", "", ""),
            Variable("v", Place.POST, "drive + synaptic_input", "", ""),
            Variable("w", Place.SYNAPSE, "u_pre + 10 * v_post + 100 * coupled_input", "", ""),
        ),
        synaptic_input="w * u_pre",
        coupled_signal="w",
    )
    coupling = np.random.default_rng(0).normal(size=(2, 3, 2, 3))
    rate = RightHandSide(model, {"k": 2.0}, DenseCoupling(coupling))
    u, v, w = np.array([1.0, 2, 3]), np.array([4.0, 5]), np.arange(6.0).reshape(2, 3)
    found = rate.unpack(rate(np.concatenate([u, v, w.ravel()]), np.array([1.0, 0, 0]), np.array([0, 1.0])))
    np.testing.assert_allclose(found["presynaptic_u"], [2, 0, 0])
    np.testing.assert_allclose(found["postsynaptic_v"], [0 + 2 + 6, 1 + 3 + 8 + 15])
    for post in range(2):
        for pre in range(3):
            coupled = (coupling[post, pre] * w).sum()
            assert found["w"][post, pre] == pytest.approx(u[pre] + 10 * v[post] + 100 * coupled)


def test_a_function_call_that_several_equations_share_is_evaluated_once(monkeypatch: pytest.MonkeyPatch):
    taken = []
    monkeypatch.setitem(FUNCTIONS, "tanh", lambda value: taken.append(value) or np.tanh(value))  # pyright: ignore
    rate = RightHandSide(RATE_MODEL, CONSTANTS, DenseCoupling(np.zeros((2, 3, 2, 3))))
    rate(np.ones(rate.size), np.zeros(3), np.zeros(2))
    # Of presynaptic and postsynaptic activity, facilitation and the short-term process.
    assert len(taken) == 4


def test_names_of_variables_do_not_collide_with_names_of_parameters():
    model = Model((Variable("x", Place.PRE, "drive + presynaptic_x * x", "", ""),), "u", "u")
    rate = RightHandSide(model, {"presynaptic_x": 5.0, "u": 1.0}, DenseCoupling(np.zeros((2, 3, 2, 3))))
    np.testing.assert_array_equal(rate(np.array([1.0, 2, 3]), np.ones(3), np.zeros(2)), [6, 11, 16])


@pytest.mark.parametrize(
    "broken",
    [
        {"synaptic_input": "tanh(synaptic_facilitatio)"},
        {"coupled_signal": "tanh(activity_pre)"},
        {"variables": (Variable("x", Place.PRE, "-x + synaptic_input", "", ""),)},
        {"variables": (Variable("x", Place.PRE, "__import__('os')", "", ""),)},
    ],
)
def test_an_equation_with_a_name_that_is_undefined_at_its_place_is_refused(broken: dict):
    with pytest.raises(UsageError, match="unknown name in the equation of"):
        RightHandSide(dataclasses.replace(RATE_MODEL, **broken), CONSTANTS, DenseCoupling(np.zeros((2, 3, 2, 3))))


ZEROS_AND_ONES = st.sampled_from([0.0, 1.0, -1.0, 0.3])


@given(values=st.tuples(*[ZEROS_AND_ONES] * 4))
def test_dropped_arithmetic_changes_no_bit(values: tuple[float, ...]):
    model = Model(
        variables=(
            Variable("u", Place.PRE, "-a * u + b * drive - c", "", ""),
            Variable("v", Place.POST, "a", "", ""),
            Variable("w", Place.SYNAPSE, "(-w + b * tanh(c * w) / d2 + 0 * u_pre) * a + coupled_input * -1", "", ""),
        ),
        synaptic_input="a * w",
        coupled_signal="b * w + d",
    )
    numbers = dict(zip("abcd", values, strict=True)) | {"d2": values[3] ** 2 + 1}
    coupling = DenseCoupling(np.random.default_rng(0).normal(size=(2, 3, 2, 3)))
    state = np.random.default_rng(1).normal(size=3 + 2 + 6)
    # Constants that are arrays are never simplified away.
    whole = RightHandSide(model, {name: np.array(value) for name, value in numbers.items()}, coupling)
    short = RightHandSide(model, numbers, coupling)
    drives = np.array([0.5, 0, 1]), np.zeros(2)
    np.testing.assert_array_equal(short(state, *drives), whole(state, *drives))
