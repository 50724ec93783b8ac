"""Building networks: what `build_model` refuses."""

import pytest

from distill import default_tables
from model.errors import ModelError
from model.networks.build import build_model
from model.networks.parameters import ARCHITECTURES, Family, ModelParameters


def test_an_unknown_kind_of_attention_is_refused_rather_than_built_as_astromorphic(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "rmaat", Family("hyena", recurrent=True, retains=True))
    with pytest.raises(ModelError, match=r"no module for attention 'hyena'; build it in model/networks/build\.py"):
        build_model(ModelParameters(), default_tables())
