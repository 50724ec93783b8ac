"""Sobol indices through a surrogate: those of a function with known ones, and none where the surrogate is poor."""

import json

import numpy as np
import pytest
import xarray as xr

from distill.inverse.sobol import FEWEST_POINTS, variance_shares


def dataset(rate, **parameters):
    return xr.Dataset(
        {"increment_rate": ("point", rate)},
        {name: ("point", values) for name, values in parameters.items()},
        {"design": json.dumps({"values": dict.fromkeys(parameters)})},
    )


@pytest.fixture(scope="module")
def drawn():
    return np.random.default_rng(1).random((3, 300))


def test_the_indices_of_the_ishigami_function_are_found():
    """Its indices are known: 0.314, 0.442 and 0 alone, 0.558, 0.442 and 0.244 with interactions (a = 7, b = 0.1)."""
    angle = np.pi * (2 * np.random.default_rng(1).random((3, 1200)) - 1)
    rate = np.sin(angle[0]) + 7 * np.sin(angle[1]) ** 2 + 0.1 * angle[2] ** 4 * np.sin(angle[0])
    found = variance_shares(dataset(rate, one=angle[0], two=angle[1], three=angle[2]))["a"]
    assert found.r_squared > 0.95
    assert list(found.first.values()) == pytest.approx([0.314, 0.442, 0.0], abs=0.04)
    assert list(found.total.values()) == pytest.approx([0.558, 0.442, 0.244], abs=0.05)


def test_an_effect_without_a_direction_has_a_share(drawn):
    """A quantity that falls, then rises, has no rank correlation."""
    found = variance_shares(dataset((drawn[0] - 0.5) ** 2, valley=drawn[0], idle=drawn[1]))["a"]
    assert found.first["valley"] == pytest.approx(1, abs=0.02)
    assert found.total["idle"] == pytest.approx(0, abs=0.02)


def test_the_scale_of_a_parameter_does_not_matter(drawn):
    rate = drawn[0] + drawn[1]
    linear = variance_shares(dataset(rate, one=drawn[0], two=drawn[1]))["a"]
    logarithmic = variance_shares(dataset(rate, one=np.exp(9 * drawn[0]), two=drawn[1]))["a"]
    assert logarithmic.first == pytest.approx(linear.first)
    assert linear.first["one"] == pytest.approx(0.5, abs=0.05)


def test_noise_and_few_points_give_no_indices(drawn):
    noise = np.random.default_rng(2).random(300)
    assert variance_shares(dataset(noise, one=drawn[0], two=drawn[1])) == {}
    few = drawn[:, : 2 * FEWEST_POINTS - 1]
    assert variance_shares(dataset(few[0], one=few[0], two=few[1])) == {}


def test_failed_points_words_and_constants_are_left_out(drawn):
    rate = drawn[0].copy()
    rate[3] = np.nan
    words = np.array(["line", "grid"] * 150)
    found = variance_shares(dataset(rate, one=drawn[0], layout=words, same=np.ones(300)))["a"]
    assert found.first == pytest.approx({"one": 1.0}, abs=0.01)
