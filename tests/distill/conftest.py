"""One default simulation and its tables for all tests of `distill`."""

import pytest
import xarray as xr

from astro_sim import simulate
from distill import Tables, distil


@pytest.fixture(scope="session")
def traces() -> xr.Dataset:
    return simulate()


@pytest.fixture(scope="session")
def tables(traces) -> Tables:
    return distil(traces)
