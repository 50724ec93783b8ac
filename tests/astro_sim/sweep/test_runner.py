from dataclasses import dataclass, field

import numpy as np
import pytest
import xarray as xr

from astro_sim import SimulationError, SimulationParameters
from astro_sim.sweep import Each, GridDesign, InProcess, Listed, Span, run_sweep
from rmaat.base.records import ParameterError

BASE = SimulationParameters()
DESIGN = GridDesign({"coupling_strength": Span(0.0, 0.9, count=10), "layout": Listed(("line", "equal"))})


def squared(parameters):
    strength = parameters.network.coupling_strength
    if strength == 0.3 and parameters.network.layout == "equal":
        raise SimulationError("three is refused")
    if strength == 0.4:
        raise ZeroDivisionError("four is a defect")
    return {"square": strength**2, "powers": ("power", strength ** np.arange(3))}


@dataclass(frozen=True)
class Stopping:
    """A measure that raises KeyboardInterrupt, as Ctrl-C does, once it has measured `most` points."""

    most: int
    seen: list = field(default_factory=list, repr=False)

    def __call__(self, points):
        if len(self.seen) >= self.most:
            raise KeyboardInterrupt
        self.seen.extend(points)
        return Each(squared)(points)

    def __repr__(self):
        return "Stopping"


def run(folder, measure=Each(squared), design=DESIGN, **options):  # noqa: B008 (frozen)
    return run_sweep(BASE, design, measure, folder, **options)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_points_are_in_the_order_of_the_design_for_every_batch_size(tmp_path, batch_size):
    found = run(tmp_path / "parts", batch_size=batch_size)
    sound = (found.message == "").values
    assert found.sizes == {"point": 20, "power": 3}
    np.testing.assert_array_equal(found.layout, ["line", "equal"] * 10)
    np.testing.assert_array_equal(found.coupling_strength, np.repeat(np.arange(10) / 10, 2))
    np.testing.assert_array_equal(found.square[sound], found.coupling_strength[sound] ** 2)


def test_a_failed_point_is_nan_with_its_reason_and_the_others_are_complete(tmp_path):
    found = run(tmp_path / "parts", batch_size=4)
    failed = np.flatnonzero(found.message != "")
    assert failed.tolist() == [7, 8, 9]
    assert found.message.values[failed].tolist() == ["three is refused"] + ["ZeroDivisionError: four is a defect"] * 2
    assert np.isnan(found.square[failed]).all()
    assert np.isnan(found.powers[failed]).all()
    assert np.isfinite(np.delete(found.square.values, failed)).all()


def test_an_invalid_combination_of_parameters_fails_only_its_own_point(tmp_path):
    design = GridDesign({"stimulus_duration": Listed((25.0, 45.0)), "cycle_duration": Listed((50.0, 30.0))})
    found = run(tmp_path / "parts", Each(lambda parameters: {"cycles": parameters.protocol.cycles}), design)
    np.testing.assert_array_equal(found.cycles, [6, 6, 6, np.nan])
    assert "longer than the cycle" in str(found.message.values[3])


def test_if_all_points_fail_the_error_gives_the_first_reason(tmp_path):
    with pytest.raises(SimulationError, match="all 1 points failed; the first with: three is refused"):
        run(tmp_path, design=GridDesign({"coupling_strength": Listed((0.3,)), "layout": Listed(("equal",))}))


@pytest.mark.parametrize("done", [3, 9, 15])
def test_a_resumed_sweep_computes_only_the_rest_and_gives_the_same_bits(tmp_path, done):
    whole = run(tmp_path / "whole", Stopping(100), batch_size=3)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", Stopping(done), batch_size=3)
    rest, reported = Stopping(100), []
    again = run(tmp_path / "parts", rest, batch_size=3, progress=reported.append)
    assert len(rest.seen) == 20 - done
    assert again.identical(whole)
    assert reported[0] == pytest.approx(done / 3 / 7)
    assert reported == sorted(reported)
    assert reported[-1] == 1


@pytest.mark.parametrize(
    "other",
    [
        {"design": GridDesign({"coupling_strength": Span(0.0, 0.8, count=10)})},
        {"measure": Each(len)},
        {"batch_size": 2},
    ],
)
def test_a_folder_of_another_sweep_is_refused(tmp_path, other):
    run(tmp_path / "parts")
    with pytest.raises(SimulationError, match="another sweep"):
        run(tmp_path / "parts", **other)


def test_a_folder_around_other_parameters_is_refused(tmp_path):
    run(tmp_path / "parts")
    with pytest.raises(SimulationError, match="another sweep"):
        run_sweep(BASE.override({"seed": 5}), DESIGN, Each(squared), tmp_path / "parts")


def test_a_function_is_identified_by_its_name(tmp_path):
    def measuring():
        return Each(lambda parameters: {"seed": parameters.network.seed})

    assert repr(measuring()) == repr(measuring())
    assert run(tmp_path, measuring()).identical(run(tmp_path, measuring()))


@pytest.mark.parametrize("content", [b"", b"not a batch"])
def test_the_error_for_a_damaged_batch_names_the_file(tmp_path, content):
    run(tmp_path, batch_size=10)
    (tmp_path / "batch-00001.npz").write_bytes(content)
    with pytest.raises(SimulationError, match=r"batch-00001\.npz cannot be read"):
        run(tmp_path, batch_size=10)


def test_a_design_with_unknown_names_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ParameterError, match="coupling_strength"):
        run(tmp_path / "parts", design=GridDesign({"coupling_strenth": Listed((1.0,))}))
    assert not (tmp_path / "parts").exists()


def test_a_measure_may_return_datasets(tmp_path):
    found = run(tmp_path, Each(lambda _: xr.Dataset({"one": 1.0})), workers=InProcess())
    assert found.one.dims == ("point",)
