"""Show the fields of parameter records in the reference with default, meaning, unit and bounds.

A field is declared as `parameter(default, meaning, unit=..., low=..., ...)`. Griffe, which reads the source without
importing it, would print that call as the default of the field.
"""

import ast
from typing import Any

from griffe import Attribute, Docstring, Extension

FACTS = ("unit", "low", "high", "choices", "symbol")
"""The arguments of `parameter` that the reference prints, besides the default and the meaning."""


class RecordFields(Extension):
    """Replace the value of such a field by its default, and give it a docstring of the rest."""

    def on_attribute_instance(self, *, node: Any, attr: Attribute, **_: Any) -> None:
        """Change `attr`, which Griffe has just read from `node`."""
        call = getattr(node, "value", None)
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "parameter"):
            return
        default, meaning = call.args[:2]
        attr.value = ast.unparse(default)
        facts = [f"{entry.arg} {ast.unparse(entry.value)}" for entry in call.keywords if entry.arg in FACTS]
        words = ast.literal_eval(meaning) + (f" ({', '.join(facts)})" if facts else "")
        attr.docstring = Docstring(words[0].upper() + words[1:] + ".", parent=attr)
