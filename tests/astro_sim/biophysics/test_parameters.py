import pytest

from astro_sim.biophysics import AstrocyteParameters, CalciumParameters, FrequencyCalciumParameters, ReleaseParameters
from rmaat.base.records import ParameterError, Record


@pytest.mark.parametrize("record", [AstrocyteParameters(), CalciumParameters(), ReleaseParameters()])
def test_every_value_has_meaning_unit_bounds_and_source(record: Record):
    for path, value, quantity in record.parameters():
        assert quantity.meaning, path
        assert quantity.unit in ("1", "s", "umol/L", "umol/L/s", "1/s", "L/umol/s")
        assert -1e9 < quantity.low <= value <= quantity.high < 1e9, path
        assert "doi:" in quantity.source, path


def test_a_restated_value_keeps_meaning_and_bounds_but_has_its_own_source():
    base, restated = (
        {path[-1]: (value, quantity) for path, value, quantity in record.parameters()}
        for record in (CalciumParameters(), FrequencyCalciumParameters())
    )
    assert list(base) == list(restated)
    assert [name for name in base if base[name][0] != restated[name][0]] == ["pump_affinity"]
    before, after = base["pump_affinity"][1], restated["pump_affinity"][1]
    assert before.source != after.source
    assert (before.meaning, before.unit, before.low) == (after.meaning, after.unit, after.low)


def test_a_concentration_in_millimolar_or_another_unit_is_refused():
    with pytest.raises(ParameterError, match=r"pump_affinity is given as '0.1 mmol/L'; it is in umol/L"):
        CalciumParameters().override({"pump_affinity": "0.1 mmol/L"})
    with pytest.raises(ParameterError, match="pump_affinity"):
        CalciumParameters().override({"pump_affinity": 0.0001})
