import ast

import numpy as np
import pytest

from astro_sim.equations.compiler import Body, build_function, parse, require_known_names, substitute
from rmaat.base.errors import UsageError


def test_a_name_is_replaced_by_its_expression_as_a_whole():
    tree = substitute(parse("2 * x + y"), {"x": parse("a + b")})
    assert ast.unparse(tree) == "2 * (a + b) + y"


def test_an_undefined_name_is_refused_with_its_equation_and_similar_names():
    with pytest.raises(UsageError, match="name in the equation of calcium, 'pmup'; perhaps you meant pump"):
        require_known_names(parse("-pmup * 2"), {"pump", "leak"}, "calcium")


def test_a_function_may_use_its_arguments_constants_and_numpys_functions():
    function = build_function("rate", ["x"], ["y = k * exp(x)", "return y - 1"], {"k": 3.0})
    np.testing.assert_array_equal(function(np.array([0.0, 1.0])), 3 * np.exp([0.0, 1.0]) - 1)
    assert function.__name__ == "rate"


def test_a_function_has_no_builtins():
    with pytest.raises(NameError):
        build_function("rate", ["x"], ["return open(x)"], {})("file")


def test_equations_share_a_line_for_equal_calls():
    body = Body({"k": 2.0, "tanh": None})
    texts = [body.write(text, {"x": "_x"}, "y") for text in ("tanh(k * x) + k", "k - tanh(k * x)")]
    assert body.lines == ["_call_0 = tanh(k * _x)"]
    assert texts == ["(_call_0 + k)", "(k - _call_0)"]


@pytest.mark.parametrize(
    ("expression", "simplified"),
    [
        ("one * x + zero", "_x"),
        ("zero * x + x / one", "_x"),
        ("-x + y", "_y - _x"),
        ("x * -one * one", "_x * -one"),
        ("-one * x", "-_x"),
    ],
)
def test_arithmetic_with_zero_and_one_is_dropped(expression: str, simplified: str):
    body = Body({"one": 1, "zero": 0})
    assert body.write(expression, {"x": "_x", "y": "_y"}, "z") == f"({simplified})"
