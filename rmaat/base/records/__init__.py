"""Parameter records: frozen dataclasses whose fields carry meaning, unit, bounds and source.

    @dataclass(frozen=True)
    class Clock(Record):
        period: float = parameter(50.0, "length of one cycle", unit="s", low=1e-3, high=3600, source=Source.PAPER)

- `quantity`: one parameter. Its type, bounds, choices and unit are checked there.
- `record`: a group of parameters, which may hold other groups. It reads and writes YAML.
- `family`: several kinds of record for one field, such as the stimulus protocols. The file names the kind.
"""

from rmaat.base.records.family import OneOf
from rmaat.base.records.quantity import ParameterError, Quantity, Source, parameter, read_text_mapping, unknown_name
from rmaat.base.records.record import Record

__all__ = ["OneOf", "ParameterError", "Quantity", "Record", "Source", "parameter", "read_text_mapping", "unknown_name"]
