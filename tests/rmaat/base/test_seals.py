"""A sealed file is read as before, and any change of it is found."""

import netCDF4
import pytest

from rmaat.base.files import FileError
from rmaat.base.seals import is_sealed, seal


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_a_sealed_file_is_known_and_one_other_byte_is_found(tmp_path, size):
    path = tmp_path / "file"
    path.write_bytes(bytes(size))
    assert not is_sealed(path)
    seal(path)
    assert is_sealed(path)
    content = bytearray(path.read_bytes())
    for place in {0, size // 2} if size else ():
        changed = content.copy()
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(ValueError, match="changed after it was written"):
            is_sealed(path)


def test_a_file_that_was_cut_or_extended_has_no_seal(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    seal(path)
    content = path.read_bytes()
    for other in (content[:-1], content + b"x"):
        path.write_bytes(other)
        assert not is_sealed(path)


def test_netcdf_reads_and_extends_a_sealed_file(tmp_path):
    path = tmp_path / "file.nc"
    with netCDF4.Dataset(path, "w") as file:
        file.setncattr("name", "value")
    seal(path)
    with netCDF4.Dataset(path, "a") as file:
        assert file.getncattr("name") == "value"
        file.setncattr("other", "x" * 5000)
    with netCDF4.Dataset(path) as file:
        assert len(file.getncattr("other")) == 5000


def test_a_missing_file_is_a_file_error(tmp_path):
    with pytest.raises(FileError, match="No such file"):
        is_sealed(tmp_path / "absent")
