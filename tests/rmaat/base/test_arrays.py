"""Arrays as bytes with a digest."""

import io

import numpy as np
import pytest

from rmaat.base.arrays import packed, unpacked


def test_packed_arrays_come_back_and_numpy_reads_them():
    content = packed({"a": np.arange(3), "b": "text"})
    for found in (unpacked(content), np.load(io.BytesIO(content))):
        assert found["a"].tolist() == [0, 1, 2]
        assert str(found["b"]) == "text"


@pytest.mark.parametrize("place", [0, 50, -40, -1])
def test_packed_arrays_with_one_other_bit_are_refused(place):
    content = bytearray(packed({"a": np.arange(3)}))
    content[place] ^= 1
    with pytest.raises(ValueError, match="changed or cut"):
        unpacked(bytes(content))


def test_packed_arrays_without_their_end_are_refused():
    for content in (packed({"a": np.arange(3)})[:-1], b""):
        with pytest.raises(ValueError, match="changed or cut"):
            unpacked(content)
