"""Run the blocks of the gallery in their order, and save the figure of each one as the picture that the page shows.

python docs/draw_gallery.py [FOLDER]

FOLDER holds `runs/` with the files of the tutorials, and `benchmarks/`; the default is the repository.
"""

import argparse
import io
import os
import re
import shlex
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from figures.style import paper_style
from rmaat.base.files import write_bytes
from rmaat.cli import main as rmaat

PAGE = Path(__file__).resolve().parent / "gallery" / "index.md"
STEP = re.compile(
    r"^!\[[^\]]*\]\((?P<picture>[^)]+)\)|^```(?P<language>bash|python)\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL
)
"""A picture, or a block of code. A block in Python draws the picture above it."""
DOTS_PER_INCH = 110
"""Enough for the width of a page; the files stay small because they are in the repository."""


def main() -> None:
    """Draw every picture of the gallery."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=PAGE.parents[2])
    os.chdir(parser.parse_args().folder)
    names: dict[str, Any] = {"__name__": "gallery"}
    picture = ""
    for step in STEP.finditer(PAGE.read_text()):
        picture = step["picture"] or picture
        if step["language"] == "bash":
            for line in step["code"].splitlines():
                rmaat(shlex.split(line)[1:])
        elif step["language"] == "python":
            exec(step["code"], names)
            write_bytes((PAGE.parent / picture).resolve(), _png(names["figure"]))


@paper_style()
def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None}, pil_kwargs={"optimize": True})
    return content.getvalue()


if __name__ == "__main__":
    main()
