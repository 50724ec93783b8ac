"""Parameter records: checks in the constructor, units in text, files and families of records."""

import dataclasses
import math
import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_sim.parameter_set import SimulationParameters
from distill import DistillParameters
from model.networks.parameters import ModelParameters
from model.tasks.listops import ListOpsParameters
from model.training.parameters import TrainingParameters
from rmaat.base.files import FileError
from rmaat.base.records import OneOf, ParameterError, Quantity, Record, Source, parameter, unknown_name


@dataclass(frozen=True)
class Clock(Record):
    period: float = parameter(
        50.0, "length of one cycle", unit="s", low=1e-3, high=3600, source=Source.PAPER, symbol="τ"
    )
    ticks: int = parameter(6, "cycles", unit="cycles", low=1, high=2**40)
    free: float = parameter(0.0, "without bounds")
    running: bool = parameter(True, "whether it runs")
    hand: str = parameter("short", "which hand", choices=("short", "long"))


@dataclass(frozen=True)
class Alarm(Record):
    volume: str | float = parameter("loud", "of the alarm", unit="dB", low=20, high=90, choices=("loud", "soft"))
    rings: str | int = parameter("once", "how often", unit="times", low=2, high=9, choices=("once", "for ever"))


@dataclass(frozen=True)
class Face(Record):
    marks: tuple[int, ...] = parameter((3, 6), "where marks stand", low=0, high=12)
    edges: tuple[float, ...] = parameter((0.5, 1.5), "radii", unit="mm", low=0, high=100)
    colours: tuple[str, ...] = parameter(("red",), "of the hands", choices=("red", "black"))


@dataclass(frozen=True)
class Watch(Record):
    maker: str = parameter("none", "who made it")
    clock: Clock = Clock()
    face: Face = Face()


RECORDS = [SimulationParameters, DistillParameters, ModelParameters, TrainingParameters, ListOpsParameters, Watch]


# Checks in the constructor.


@pytest.mark.parametrize("record", RECORDS)
def test_every_record_of_the_toolkit_accepts_its_defaults_and_describes_each_parameter(record):
    names = [path[-1] for path, _, _ in record().parameters()]
    assert len(names) == len(set(names)), "a bare name must mean one parameter"
    for path, _, quantity in record().parameters():
        assert isinstance(quantity, Quantity)
        assert quantity.meaning, path


@pytest.mark.parametrize("value", [1e-3, 3600, 3600.0])
def test_bounds_are_inclusive(value):
    assert Clock(period=value).period == value


@pytest.mark.parametrize("value", [math.nextafter(1e-3, 0), math.nextafter(3600, 4000), 0, -1.0, 10**400])
def test_a_value_out_of_bounds_is_refused_with_the_bounds_and_their_unit(value):
    with pytest.raises(ParameterError, match=f"period is {value} s; it must lie between 0.001 and 3600 s"):
        Clock(period=value)


@pytest.mark.parametrize("name", ["period", "free"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_refused_even_without_bounds(name, value):
    with pytest.raises(ParameterError, match=f"{name} is {value}"):
        Clock(**{name: value})


def test_a_default_outside_its_own_bounds_is_refused_by_the_constructor():
    @dataclass(frozen=True)
    class Wrong(Record):
        share: float = parameter(2.0, "a share", low=0, high=1)

    with pytest.raises(ParameterError, match=r"share is 2\.0; it must lie between 0 and 1"):
        Wrong()


def test_an_unknown_choice_is_refused_with_the_list_of_choices():
    with pytest.raises(ParameterError, match="hand is 'middle'; it must be one of short, long"):
        Clock(hand="middle")


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("ticks", 6.0, "int"),
        ("ticks", True, "int"),
        ("ticks", "6", "int"),
        ("ticks", np.int64(6), "int"),
        ("period", True, "float"),
        ("period", "50 s", "float"),
        ("period", None, "float"),
        ("running", 1, "bool"),
        ("running", "true", "bool"),
        ("hand", 3, "str"),
    ],
)
def test_a_value_of_another_type_is_refused(name, value, wanted):
    with pytest.raises(ParameterError, match=re.escape(f"{name} is {value!r}; it must be of type {wanted}")):
        Clock(**{name: value})


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"marks": [3, 6]}, "marks is [3, 6]; it must be of type tuple[int, ...]"),
        ({"marks": (3, 6.5)}, "marks is 6.5; it must be of type int"),
        ({"marks": (3, 13)}, "marks is 13; it must lie between 0 and 12"),
        ({"edges": (1.0, math.nan)}, "edges is nan mm"),
        ({"colours": ("red", "blue")}, "colours is 'blue'; it must be one of red, black"),
    ],
)
def test_each_item_of_a_tuple_is_checked(values, sentence):
    with pytest.raises(ParameterError, match=re.escape(sentence)):
        Face(**values)


def test_a_nested_record_must_have_the_declared_type():
    with pytest.raises(ParameterError, match="clock is 3; it must be of type Clock"):
        Watch(clock=3)


def test_whole_numbers_for_a_float_give_the_same_record_and_text():
    plain = Clock(period=50, free=np.float64(2))
    assert type(plain.period) is float
    assert type(plain.free) is float
    assert repr(plain) == repr(Clock(period=50.0, free=2.0))


def test_a_record_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Clock().period = 3.0  # pyright: ignore


# Text with units.


@pytest.mark.parametrize("value", ["3 s", "3  s", " 3 s ", "3", "3.0", 3, 3.0])
def test_a_value_may_carry_its_unit(value):
    assert Clock.from_dict({"period": value}).period == 3.0


@pytest.mark.parametrize("value", ["3 ms", "3 S", "3 s s", "3 seconds"])
def test_a_value_in_another_unit_is_refused_with_the_unit_wanted(value):
    with pytest.raises(ParameterError, match=f"period is given as '{value}'; it is in s"):
        Clock.from_dict({"period": value})


def test_a_dimensionless_value_has_no_unit():
    with pytest.raises(ParameterError, match="free is given as '3 s'; it has no unit"):
        Clock.from_dict({"free": "3 s"})


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("ticks", 6.0, "it must be a whole number"),
        ("ticks", "6.5", "it must be a whole number"),
        ("ticks", True, "it must be of type int"),
        ("ticks", None, "it must be a whole number"),
        ("ticks", math.inf, "it must be a whole number"),
        ("period", "soon", "it must be a number"),
        ("period", "", "it must be a number"),
        ("period", "3s", "it must be a number"),
        ("period", False, "it must be of type float"),
        ("period", [3], "it must be a number"),
        ("period", "nan", "it must lie between"),
        ("period", "1e999", "it must lie between"),
        ("running", "perhaps", "it must be of type bool"),
        ("running", 1, "it must be of type bool"),
        ("hand", False, "it must be of type str"),
    ],
)
def test_a_written_value_of_another_type_is_refused(name, value, reason):
    with pytest.raises(ParameterError, match=f"{name} is .*{reason}"):
        Clock.from_dict({name: value})


@pytest.mark.parametrize(("value", "meant"), [("true", True), ("False", False), (True, True), (False, False)])
def test_a_boolean_may_be_written_as_a_word(value, meant):
    assert Clock.from_dict({"running": value}).running is meant


@pytest.mark.parametrize("value", [[1, 2], (1, 2), "1,2", "1, 2", ["1", "2"]])
def test_a_tuple_may_be_written_as_a_list_or_with_commas(value):
    assert Face.from_dict({"marks": value}).marks == (1, 2)


@pytest.mark.parametrize(("given", "value"), [("soft", "soft"), ("40", 40.0), ("40 dB", 40.0), (40, 40.0)])
def test_a_word_or_a_number_is_read_from_text_and_yaml(given, value, tmp_path):
    found = Alarm.from_dict({"volume": given})
    assert found.volume == value
    assert type(found.volume) is type(value)
    found.save(tmp_path / "alarm.yaml")
    assert Alarm.load(tmp_path / "alarm.yaml") == found


@pytest.mark.parametrize(("given", "value"), [("once", "once"), ("3", 3), ("3 times", 3), (3, 3)])
def test_a_word_or_a_whole_number_is_read_from_text_and_yaml(given, value, tmp_path):
    found = Alarm.from_dict({"rings": given})
    assert found.rings == value
    assert type(found.rings) is type(value)
    found.save(tmp_path / "alarm.yaml")
    assert Alarm.load(tmp_path / "alarm.yaml") == found


@pytest.mark.parametrize("given", ["twice", "2.5", 2.5, 1, True])
def test_anything_but_a_known_word_or_a_whole_number_in_bounds_is_refused(given):
    with pytest.raises(ParameterError, match="rings is"):
        Alarm.from_dict({"rings": given})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("sof", "volume is 'sof'; it must be loud, soft or a number"),
        (True, "volume is True; it must be loud, soft or a number"),
        ("95", "volume is 95.0 dB; it must lie between 20 and 90 dB"),
        ("40 s", "volume is given as '40 s'; it is in dB"),
    ],
)
def test_anything_but_a_known_word_or_a_number_in_bounds_is_refused(given, message):
    with pytest.raises(ParameterError, match=message):
        Alarm.from_dict({"volume": given})


def test_items_of_a_tuple_may_have_units_and_choices():
    face = Face.from_dict({"edges": "1 mm, 2 mm", "colours": "red, black"})
    assert face == Face(edges=(1.0, 2.0), colours=("red", "black"))
    with pytest.raises(ParameterError, match="edges is given as '2 cm'; it is in mm"):
        Face.from_dict({"edges": ["1 mm", "2 cm"]})


@pytest.mark.parametrize("value", [None, "none", "", []])
def test_a_tuple_is_emptied_by_none(value):
    assert Face.from_dict({"marks": value}).marks == ()


def test_a_tuple_of_one_may_be_written_as_its_item():
    assert Face.from_dict({"marks": 5}).marks == (5,)


def test_a_tuple_written_as_something_else_is_refused():
    with pytest.raises(ParameterError, match=r"marks is .*; it must be of type tuple\[int, ...\]"):
        Face.from_dict({"marks": {1: 2}})


@pytest.mark.parametrize("values", [None, 3, "clock", [1]])
def test_a_record_written_as_something_else_is_refused(values):
    with pytest.raises(ParameterError, match="Clock needs names with values, found"):
        Watch.from_dict({"clock": values})


# Names.


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("perriod", "perhaps you meant period"),
        ("tick", "perhaps you meant ticks"),
        ("Hand", "perhaps you meant hand"),
        ("zzz", "known are free, hand, period, running, ticks"),
        (3, "known are free, hand, period, running, ticks"),
    ],
)
def test_an_unknown_name_is_refused_with_known_names(name, remedy):
    with pytest.raises(ParameterError, match=f"unknown parameter '{name}'; {remedy}"):
        Clock.from_dict({name: 1})


def test_all_similar_names_are_suggested():
    assert unknown_name("colour", "blac", ["black", "block"]) == (
        "unknown colour 'blac'; perhaps you meant black or block"
    )


def test_a_parameter_of_a_nested_record_is_replaced_by_its_bare_name():
    watch = Watch()
    changed = watch.override({"period": "3 s", "marks": "1,2", "maker": "us"})
    assert changed == Watch(maker="us", clock=Clock(period=3.0), face=Face(marks=(1, 2)))
    assert watch == Watch()


def test_no_assignment_changes_nothing():
    assert Watch().override({}) == Watch()


@pytest.mark.parametrize(("name", "remedy"), [("perod", "perhaps you meant period"), ("clock", "perhaps|known")])
def test_an_unknown_bare_name_is_refused(name, remedy):
    with pytest.raises(ParameterError, match=f"unknown parameter '{name}'; ({remedy})"):
        Watch().override({name: 1})


def test_override_refuses_a_value_that_a_nested_record_refuses():
    with pytest.raises(ParameterError, match=r"period is 0\.0 s"):
        Watch().override({"period": 0})


# Files.


@settings(deadline=None, max_examples=80)
@given(
    period=st.floats(1e-3, 3600),
    ticks=st.integers(1, 2**40),
    free=st.floats(allow_nan=False, allow_infinity=False),
    running=st.booleans(),
    hand=st.sampled_from(["short", "long"]),
    maker=st.text(st.characters(codec="utf-8"), max_size=20),
    marks=st.lists(st.integers(0, 12), max_size=3).map(tuple),
    edges=st.lists(st.floats(0, 100), max_size=3).map(tuple),
)
def test_a_record_is_read_back_unchanged_from_values_and_from_its_file(
    tmp_path_factory, period, ticks, free, running, hand, maker, marks, edges
):
    watch = Watch(maker, Clock(period, ticks, free, running, hand), Face(marks, edges, ("black", "red")))
    path = tmp_path_factory.getbasetemp() / "watch.yaml"
    watch.save(path)
    assert Watch.load(path) == watch == Watch.from_dict(watch.to_dict())


@pytest.mark.parametrize("record", RECORDS)
def test_the_defaults_of_every_record_are_read_back_unchanged_from_their_file(record, tmp_path):
    record().save(tmp_path / "record.yaml")
    assert record.load(tmp_path / "record.yaml") == record()


def test_a_file_contains_the_units(tmp_path):
    Watch().save(tmp_path / "watch.yaml")
    written = yaml.safe_load((tmp_path / "watch.yaml").read_text())
    assert written["clock"] == {"period": "50.0 s", "ticks": "6 cycles", "free": 0.0, "running": True, "hand": "short"}
    assert written["face"]["edges"] == ["0.5 mm", "1.5 mm"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Watch()),
        ("# nothing but a comment\n", Watch()),
        ("maker: us\n", Watch(maker="us")),
        ("clock:\n  period: 3 s\n", Watch(clock=Clock(period=3))),
        (
            "clock: {ticks: 2, free: 1e-3}\nface: {marks: [1]}\n",
            Watch(clock=Clock(ticks=2, free=1e-3), face=Face((1,))),
        ),
        ("face:\n  edges: [1 mm, 2.5]\n", Watch(face=Face(edges=(1.0, 2.5)))),
    ],
)
def test_a_file_may_contain_only_the_changed_values(tmp_path, text, expected):
    (tmp_path / "watch.yaml").write_text(text)
    assert Watch.load(tmp_path / "watch.yaml") == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("- 1\n- 2\n", r"Watch needs names with values, found \[1, 2\]"),
        ("just words\n", "Watch needs names with values, found 'just words'"),
        ("[]\n", r"Watch needs names with values, found \[\]"),
        ("0\n", "Watch needs names with values, found 0"),
        ("false\n", "Watch needs names with values, found False"),
        ("clock: {period: 3 ms}\n", "it is in s"),
        ("clock: {perod: 3 s}\n", "perhaps you meant period"),
        ("period: 3 s\n", "unknown parameter 'period'"),
        ("clock:\n", "Clock needs names with values, found None"),
        ("clock: {period: .nan}\n", "period is nan s"),
        ("clock: {period: 2020-01-01}\n", "must be a number"),
        ("clock: {period: 2020-99-99}\n", "month must be in"),
        ("clock: {ticks: 6.0}\n", "must be a whole number"),
        ("clock: {hand: no}\n", "must be of type str"),
        ("clock: [\n", "expected the node content"),
        ("clock: }{\n", "expected"),
        ("\tclock: 3\n", "cannot start any token"),
        ("maker: \x00\n", "unacceptable character"),
        ("maker: *nobody\n", "line 1 has the alias \\*nobody; write its value in full"),
        ("? [a, b]\n: 3\n", "unhashable key"),
        ("clock: " + "[" * 3000, "recursion"),
    ],
)
def test_an_invalid_file_is_refused_with_one_sentence_that_names_it(tmp_path, text, reason):
    path = tmp_path / "watch.yaml"
    path.write_text(text)
    with pytest.raises(ParameterError, match=f"^{path}: .*{reason}") as caught:
        Watch.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "tag",
    ["!!python/object/apply:os.mkdir [{}]", "!!python/object/new:os.mkdir [[{}]]", "!!python/name:os.mkdir ''"],
)
def test_a_file_with_python_objects_is_refused_without_running_them(tmp_path, tag):
    victim = tmp_path / "made"
    (tmp_path / "watch.yaml").write_text("maker: " + tag.format(victim))
    with pytest.raises(ParameterError, match="could not determine a constructor"):
        Watch.load(tmp_path / "watch.yaml")
    assert not victim.exists()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileError, match=r"cannot read .*none\.yaml: No such file"):
        Watch.load(tmp_path / "none.yaml")


# Families: the file names the kind.


@dataclass(frozen=True)
class Shape(OneOf):
    default_kind: ClassVar[str] = "disc"

    size: float = parameter(1.0, "largest width", unit="m", low=0, high=100)


@dataclass(frozen=True)
class Disc(Shape):
    kind: ClassVar[str] = "disc"

    radius: float = parameter(0.5, "radius", unit="m", low=0, high=50)


@dataclass(frozen=True)
class Box(Shape):
    kind: ClassVar[str] = "box"

    size: float = parameter(2.0, "longest side", unit="m", low=0, high=100)
    sides: int = parameter(4, "number of sides", low=3, high=99)


@dataclass(frozen=True)
class Drawing(Record):
    shape: Shape = Disc()
    title: str = parameter("", "what it shows")


@pytest.mark.parametrize("shape", [Disc(size=3.0), Box(sides=5), Disc()])
def test_a_file_keeps_the_kind_of_a_family_member(tmp_path, shape):
    path = tmp_path / "drawing.yaml"
    Drawing(shape).save(path)
    assert Drawing.load(path) == Drawing(shape) == Drawing.from_dict(Drawing(shape).to_dict())
    assert yaml.safe_load(path.read_text())["shape"]["kind"] == shape.kind


def test_a_file_without_a_kind_uses_the_default_kind_or_that_of_its_base():
    assert Drawing.from_dict({"shape": {"radius": 2}}) == Drawing(Disc(radius=2.0))
    assert Drawing(Box()).changed({"shape": {"sides": 3}}) == Drawing(Box(sides=3))


def test_a_change_of_kind_keeps_changed_values_and_takes_its_own_defaults():
    to_box = {"shape": {"kind": "box", "sides": 6}}
    assert Drawing(Disc(size=7.0, radius=3.0), "a").changed(to_box) == Drawing(Box(size=7.0, sides=6), "a")
    assert Drawing(Disc(radius=3.0)).changed(to_box) == Drawing(Box(size=2.0, sides=6))


def test_single_values_are_changed_in_the_current_kind():
    assert Drawing(Box()).override({"sides": "7", "size": "3 m"}) == Drawing(Box(size=3.0, sides=7))
    with pytest.raises(ParameterError, match="unknown parameter 'radius'"):
        Drawing(Box()).override({"radius": 1})


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"kind": "bax"}, "unknown kind of Shape 'bax'; perhaps you meant box"),
        ({"kind": "box", "radius": 1}, "unknown parameter 'radius'"),
        ("box", "Shape needs names with values, found 'box'"),
    ],
)
def test_an_unknown_kind_is_refused_with_similar_ones(values, sentence):
    with pytest.raises(ParameterError, match=sentence):
        Drawing.from_dict({"shape": values})
    with pytest.raises(ParameterError, match=sentence.replace("Shape needs", "(Shape|Disc) needs")):
        Drawing().changed({"shape": values})


def test_aliases_that_multiply_and_long_files_are_refused_before_they_are_read(tmp_path):
    path = tmp_path / "watch.yaml"
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))]
    path.write_text("\n".join(lines))
    with pytest.raises(ParameterError, match=r"line 2 has the alias \*a0; write its value in full"):
        Watch.load(path)
    path.write_text("maker: " + "x" * 2**16)
    with pytest.raises(FileError, match="65,543 bytes, and at most 65,536 are read"):
        Watch.load(path)
