"""One default simulation and its tables for all tests of `distill`."""

from pathlib import Path

import pytest
import xarray as xr

from astro_sim import read_traces, simulate
from distill import DistillParameters, Tables, distil


@pytest.fixture(scope="session")
def traces() -> xr.Dataset:
    return simulate()


@pytest.fixture(scope="session")
def tables(traces) -> Tables:
    return distil(traces)


@pytest.fixture(scope="session")
def biophysical_traces() -> xr.Dataset:
    """`rmaat simulate --model biophysical --cycles 32`, thinned to the first stimulus and the cycles' ends."""
    return read_traces(Path(__file__).with_name("biophysical_traces.nc"))


@pytest.fixture(scope="session")
def biophysical(biophysical_traces) -> Tables:
    return distil(biophysical_traces)


@pytest.fixture(scope="session")
def small(traces) -> Tables:
    return distil(traces, DistillParameters(segments=5))
