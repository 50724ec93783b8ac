from pathlib import Path

import numpy as np
import pytest

from astro_sim.biophysics import (
    G_CHI,
    LI_RINZEL,
    AstrocyteParameters,
    CalciumParameters,
    FrequencyCalciumParameters,
    constants_of,
    solve,
)

# Written by nest_astrocyte.py in this folder.
NEST = np.genfromtxt(Path(__file__).with_name("nest_astrocyte.csv"), delimiter=",", names=True)


@pytest.mark.parametrize(
    ("name", "parameters", "ip3"),
    [("amplitude", CalciumParameters(), 0.5), ("frequency", FrequencyCalciumParameters(), 0.6)],
)
def test_li_rinzel_gives_the_calcium_of_nests_astrocyte(name: str, parameters: CalciumParameters, ip3: float):
    start = {"calcium": 0.073, "availability": 0.793}
    found = solve(LI_RINZEL, constants_of(parameters) | {"ip3": ip3}, start, np.append(0, NEST["time"]))
    np.testing.assert_allclose(found["calcium"][1:], NEST[f"{name}_calcium"], rtol=2e-6)
    np.testing.assert_allclose(found["availability"][1:], NEST[f"{name}_availability"], rtol=2e-6)


def rate_of_change(**state: float) -> dict[str, float]:
    values = np.array([state.get(name, 0.0) for name in G_CHI.rates])
    rates = G_CHI.with_constants(constants_of(AstrocyteParameters()))(values)
    return dict(zip(G_CHI.rates, map(float, rates), strict=True))


def test_an_empty_cell_fills_from_its_store_by_the_leak_alone():
    assert rate_of_change(availability=1.0)["calcium"] == pytest.approx(0.1 * 2.0)


def test_at_equal_concentrations_in_cytosol_and_store_only_the_pump_moves_calcium():
    # Total calcium is 2 umol/L, so that 2 / 1.18 umol/L in the cytosol means the same concentration in the store.
    full = 2 / 1.18
    assert rate_of_change(calcium=full, availability=0.5, ip3=0.3)["calcium"] == pytest.approx(
        -0.9 * full**2 / (full**2 + 0.01)
    )


def test_without_calcium_receptors_produce_ip3_and_the_phosphatase_degrades_it():
    found = rate_of_change(receptors_bound=0.1, ip3=0.05)
    assert found["ip3"] == pytest.approx(5 * 0.1 - 0.1 * 0.05, rel=1e-4)


def test_calcium_desensitises_receptors():
    quiet, busy = (rate_of_change(receptors_bound=0.5, calcium=level)["receptors_bound"] for level in (0.0, 0.5))
    assert quiet == pytest.approx(-0.5 * 0.5)
    assert busy == pytest.approx(-0.5 * (1 + 10 * 0.5) * 0.5)


def test_ip3_flows_out_only_above_the_threshold_difference():
    below, above = (rate_of_change(ip3=level)["ip3"] + 0.1 * level for level in (0.1, 0.6))
    assert below == pytest.approx(0, abs=1e-4)
    assert above == pytest.approx(-0.09, abs=1e-4)
