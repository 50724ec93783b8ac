"""Figures of traces, tables and training runs, drawn from files alone.

    from figures import draw_all
    paths = draw_all(Path("runs"), Path("runs/figures"))

Each `draw_` function takes data that a reader has checked and returns a `matplotlib.figure.Figure`; `save_figure`
writes one. `__init__.pyi` lists the names; they load on first use, so that importing this package does not wait for
Matplotlib.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
