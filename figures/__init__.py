"""Figures of traces, tables, sweeps, studies and training runs, drawn from files alone.

    from figures import draw_all
    paths = draw_all(Path("runs"), Path("runs/figures"))

Each `draw_` function takes data that a reader has checked and returns a `matplotlib.figure.Figure`; `save_figure`
writes one. `__init__.pyi` lists the public names. They load on first use, so importing this package does not load
Matplotlib.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
