"""Turn formulas into MathML while MkDocs builds the site, so that readers need no script and no font."""

import html
import re
from typing import Any

from latex2mathml.converter import convert

# What the Markdown extension arithmatex leaves for a script to draw: `\(...\)` in a line, `\[...\]` on its own.
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(content: str, **_: Any) -> str:
    """Replace every formula of a page; MkDocs calls this function by its name."""
    return FORMULA.sub(_mathml, content)


def _mathml(formula: re.Match[str]) -> str:
    kind, latex = formula.groups()
    if kind == "span":
        return convert(html.unescape(latex))
    return f'<div class="formula">{convert(html.unescape(latex), display="block")}</div>'
